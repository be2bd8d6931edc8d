import { assert, describe, it } from "@effect/vitest"
import { NodeCrypto } from "@effect/platform-node"
import { Effect } from "effect"
import * as EffectSignature from "effect/crypto/Signature"
import { LocalSigner, PrivateKey, PublicKey } from "effect-signer"
import * as WebCrypto from "effect-signer/WebCrypto"

const message = new TextEncoder().encode("message")

const algorithms = ["Ed25519", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"] as const

const generated = (algorithm: (typeof algorithms)[number]) => PrivateKey.generate(algorithm)

describe("CryptoKey", () => {
  it.effect.each(algorithms)("%s round trips, and verifies what we sign", (algorithm) =>
    Effect.gen(function* () {
      const privateKey = yield* generated(algorithm)
      const cryptoKey = yield* WebCrypto.toCryptoKey(privateKey.publicKey, { algorithm })
      assert.deepStrictEqual(cryptoKey.usages, ["verify"])
      const again = yield* WebCrypto.fromCryptoKey(cryptoKey)
      assert.isTrue(PublicKey.sameKey(again, privateKey.publicKey))
      assert.strictEqual(again.algorithm, algorithm)

      const { bytes } = yield* (yield* LocalSigner.make({ privateKey, algorithm })).sign(message)
      const hash = `SHA-${algorithm.slice(2)}`
      const valid = yield* Effect.promise(() =>
        crypto.subtle.verify(
          { name: cryptoKey.algorithm.name, hash, saltLength: Number(algorithm.slice(2)) / 8 },
          cryptoKey,
          new Uint8Array(bytes),
          message
        )
      )
      assert.isTrue(valid)
    })
  )

  it.effect.each(["ES256K", "BIP340", "ML-DSA-65"] as const)("refuses %s, which WebCrypto lacks", (algorithm) =>
    Effect.gen(function* () {
      const { publicKey } = yield* PrivateKey.generate(algorithm)
      assert.strictEqual(
        (yield* Effect.flip(WebCrypto.toCryptoKey(publicKey, { algorithm })))._tag,
        "UnsupportedAlgorithm"
      )
    })
  )

  it.effect("refuses private, symmetric and key-agreement keys", () =>
    Effect.gen(function* () {
      const keys = yield* Effect.promise(async () => [
        ((await crypto.subtle.generateKey({ name: "Ed25519" }, true, ["sign", "verify"])) as CryptoKeyPair).privateKey,
        await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, true, ["sign"]),
        ((await crypto.subtle.generateKey({ name: "X25519" }, true, ["deriveBits"])) as CryptoKeyPair).publicKey
      ])
      for (const key of keys) {
        assert.strictEqual((yield* Effect.flip(WebCrypto.fromCryptoKey(key)))._tag, "InvalidConfiguration")
      }
    })
  )
})

describe("effect/crypto", () => {
  it.effect.each(algorithms)("%s round trips, and effect/crypto verifies what we sign", (algorithm) =>
    Effect.gen(function* () {
      const privateKey = yield* generated(algorithm)
      const key = yield* WebCrypto.toEffectPublicKey(privateKey.publicKey, { algorithm })
      const { bytes } = yield* (yield* LocalSigner.make({ privateKey, algorithm })).sign(message)
      const service = yield* EffectSignature.Signature
      assert.isTrue(yield* service.verify(key, bytes, message))
      assert.isFalse(yield* service.verify(key, bytes, new Uint8Array(7)))
      const again = yield* WebCrypto.fromEffectPublicKey(key)
      assert.isTrue(PublicKey.sameKey(again, privateKey.publicKey))
      assert.strictEqual(again.algorithm, algorithm)
    }).pipe(Effect.provide(NodeCrypto.layerSignature))
  )
})
