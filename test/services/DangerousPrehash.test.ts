import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Stream } from "effect"
import { EcdsaSignature, KeyId, LocalSigner, PrivateKey, Signer, Verifier } from "effect-signer"
import * as DangerousPrehash from "effect-signer/DangerousPrehash"
import * as NobleSigner from "effect-signer/NobleSigner"
import { inNodeEnv } from "../layers/keys.ts"

const message = new TextEncoder().encode("a message that the signer never sees")

describe("makeLocal", () => {
  it.effect.each([
    ["ES256", "SHA-256"],
    ["ES384", "SHA-384"],
    ["ES512", "SHA-512"],
    ["ES256K", "SHA-256"]
  ] as const)("%s makes the signature that Signer makes over the message", ([algorithm, hash]) =>
    Effect.gen(function* () {
      const privateKey = yield* PrivateKey.generate(algorithm)
      const signer = yield* DangerousPrehash.makeLocal({ privateKey, algorithm })
      const key = yield* signer.publicKey
      for (let i = 0; i < 8; i++) {
        const signature = yield* signer.signDigest(DangerousPrehash.digest(hash, message))
        assert.isTrue(yield* Verifier.verify(key, message, signature))
        if (algorithm === "ES256K") assert.isTrue(EcdsaSignature.isLowS(signature.bytes))
      }
    })
  )

  it.effect("hashes a message that arrives in chunks", () =>
    Effect.gen(function* () {
      const streamed = yield* DangerousPrehash.digestStream(
        "SHA-384",
        Stream.fromIterable([message.subarray(0, 5), new Uint8Array(0), message.subarray(5)])
      )
      assert.deepStrictEqual(streamed, DangerousPrehash.digest("SHA-384", message))
    })
  )

  it.effect("refuses a digest by another hash, and one of the wrong length", () =>
    Effect.gen(function* () {
      const signer = yield* DangerousPrehash.makeLocal({ privateKey: PrivateKey.generate("ES384") })
      const wrong = yield* Effect.flip(signer.signDigest(DangerousPrehash.digest("SHA-256", message)))
      assert.include(wrong.message, "a SHA-256 digest; ES384 signs SHA-384")
      const short = yield* Effect.flip(DangerousPrehash.digestFromBytesUnsafe("SHA-256", new Uint8Array(31)))
      assert.include(short.message, "31 bytes, a SHA-256 digest has 32")
      // 64 hex digits: the length of a SHA-512 digest, and no bytes at all
      for (const hash of ["SHA-256", "SHA-512"] as const) {
        const text = yield* Effect.flip(DangerousPrehash.digestFromBytesUnsafe(hash, "ab".repeat(32) as never))
        assert.include(text.message, "expected a Uint8Array, not its hex or base64")
      }
    })
  )

  it.effect.each(["Ed25519", "RSA", "ML-DSA-44"] as const)("refuses %s", (type) =>
    Effect.gen(function* () {
      const privateKey = yield* PrivateKey.generate(type)
      const algorithm = type === "RSA" ? "PS256" : undefined
      const error = yield* Effect.flip(DangerousPrehash.makeLocal({ privateKey, algorithm }))
      assert.strictEqual(error._tag, "UnsupportedAlgorithm")
    })
  )
})

describe("a wiped key", () => {
  it.effect("is refused", () =>
    Effect.gen(function* () {
      const privateKey = yield* PrivateKey.generate("ES256")
      PrivateKey.wipe(privateKey)
      const errors = [
        yield* Effect.flip(DangerousPrehash.makeLocal({ privateKey })),
        yield* Effect.flip(LocalSigner.make({ privateKey }))
      ]
      for (const error of errors) assert.include(error.message, "the key was wiped")
    })
  )
})

describe("production", () => {
  it.effect("refuses a key that dies with the process, unless that is allowed", () =>
    Effect.gen(function* () {
      const privateKey = yield* PrivateKey.generate("ES256")
      yield* inNodeEnv("production")
      const error = yield* Effect.flip(DangerousPrehash.makeLocal({ privateKey }))
      assert.include(error.message, "local-prehash.make: InvalidConfiguration: allowInProduction")
      yield* DangerousPrehash.makeLocal({ privateKey, allowInProduction: true })
    })
  )
})

describe("a key wiped while a signer is made, or later", () => {
  it.effect("leaves the signer with its own copy, or makes none", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.generate("ES256")
      const prehash = yield* DangerousPrehash.makeLocal({ privateKey: key })
      PrivateKey.wipe(key)
      const signature = yield* prehash.signDigest(DangerousPrehash.digest("SHA-256", message))
      assert.isTrue(yield* Verifier.verify(key.publicKey, message, signature))

      for (const make of [LocalSigner.make, NobleSigner.make]) {
        const privateKey = yield* PrivateKey.generate("Ed25519")
        const [made] = yield* Effect.all(
          [Effect.exit(make({ privateKey })), Effect.sync(() => PrivateKey.wipe(privateKey))],
          { concurrency: "unbounded" }
        )
        if (Exit.isFailure(made)) continue
        const { bytes } = yield* made.value.sign(message)
        assert.isTrue(yield* Verifier.verify(privateKey.publicKey, message, bytes))
      }
    })
  )
})

describe("make", () => {
  it.effect("refuses a backend that signs messages", () =>
    Effect.gen(function* () {
      const { publicKey } = yield* PrivateKey.generate("ES256")
      const backend: Signer.Backend = {
        name: "fake",
        keyId: KeyId.make("k"),
        algorithm: "ES256",
        input: "message",
        publicKey: () => Effect.succeed(publicKey),
        sign: () => Effect.die("never")
      }
      assert.strictEqual((yield* Effect.flip(DangerousPrehash.make(backend)))._tag, "UnsupportedAlgorithm")
    })
  )
})
