import { p256 } from "@noble/curves/nist.js"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EcdsaSignature, KeyId, PrivateKey, Signer, type SignerError, Verifier } from "effect-signer"
import * as AtprotoKeypair from "../../src/protocols/adapters/AtprotoKeypair.ts"

const message = new TextEncoder().encode("a commit")

describe("did", () => {
  it.effect.each([
    // bluesky-social/atproto, interop-test-files/crypto: w3c_didkey_K256.json and w3c_didkey_P256.json
    [
      "secp256k1",
      "9085d2bef69286a6cbb51623c8fa258629945cd55ca705cc4e66700396894e0c",
      "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme"
    ],
    [
      "P-256",
      "82ebbd63ebbd9ff60141a69bd4c9be282f2415e8eafa9d42c0ed396daccca979",
      "did:key:zDnaeTiq1PdzvZXUaMdezchcMJQpBdH2VN4pgrrEhMCCbmwSb"
    ]
  ] as const)("of a %s key", ([type, secret, expected]) =>
    Effect.gen(function* () {
      assert.strictEqual(AtprotoKeypair.did((yield* PrivateKey.fromHex(type, secret)).publicKey), expected)
    })
  )
})

describe("make", () => {
  /** A backend that answers with high-S, as about every second signature is. */
  const highS = Effect.fnUntraced(function* (change: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes) {
    const secret = new Uint8Array(32).fill(7)
    const { publicKey } = yield* PrivateKey.fromRaw("P-256", secret)
    return yield* Signer.make({
      name: "high",
      keyId: KeyId.make("k"),
      algorithm: "ES256",
      input: "digest",
      publicKey: () => Effect.succeed(publicKey),
      sign: (digest) =>
        Effect.sync(() => {
          const bytes = p256.sign(digest, secret, { prehash: false, lowS: true })
          const s = p256.Point.Fn.ORDER - p256.Signature.fromBytes(bytes, "compact").s
          return { bytes: change(Uint8Array.of(...bytes.subarray(0, 32), ...p256.Point.Fn.toBytes(s))) }
        })
    })
  })

  it.effect("makes low-S of the high-S of a backend", () =>
    Effect.gen(function* () {
      const signer = yield* highS()
      const high = yield* signer.sign(message)
      assert.isFalse(EcdsaSignature.isLowS(high.bytes, "P-256"))
      const keypair = yield* Effect.provideService(AtprotoKeypair.make(), Signer.Signer, signer)
      const signature = yield* Effect.promise(() => keypair.sign(message))
      assert.lengthOf(signature, 64)
      assert.isTrue(EcdsaSignature.isLowS(signature, "P-256"))
      assert.isTrue(yield* Verifier.verify(yield* signer.publicKey(), message, signature))
      assert.strictEqual(keypair.jwtAlg, "ES256")
    })
  )

  it.effect("rejects an s that is none", () =>
    Effect.gen(function* () {
      const signer = yield* highS((bytes: Uint8Array) => new Uint8Array(bytes).fill(0, 32))
      const keypair = yield* Effect.provideService(AtprotoKeypair.make(), Signer.Signer, signer)
      const error = yield* Effect.flip(
        Effect.tryPromise({ try: () => keypair.sign(message), catch: (error) => error as SignerError.SignerError })
      )
      assert.include(error.message, "s of the signature is not from 1 to n - 1")
    })
  )
})
