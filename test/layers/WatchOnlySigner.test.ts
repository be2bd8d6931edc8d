import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { KeyId, KeyVersion, PublicKey, SignatureAlgorithm, Signer, Verifier, WatchOnlySigner } from "../../src/index.ts"
import { TestSigner } from "../../src/testing.ts"

const message = new TextEncoder().encode("message")

describe("WatchOnlySigner", () => {
  it.effect.each(SignatureAlgorithm.all)("has the public key, verifies with it, and does not sign: %s", (algorithm) =>
    Effect.gen(function* () {
      const { signer } = yield* TestSigner.make({ algorithm })
      const watched = yield* signer.publicKey()
      const watcher = yield* WatchOnlySigner.make({ publicKey: watched })
      assert.strictEqual(watcher.backend, "watch-only")
      assert.strictEqual(watcher.algorithm, algorithm)
      assert.strictEqual(watcher.keyId, PublicKey.keyId(watched))
      const publicKey = yield* watcher.publicKey()
      assert.deepStrictEqual(publicKey, watched)
      assert.isTrue(yield* Verifier.verify(publicKey, message, yield* signer.sign(message)))
      const error = yield* Effect.flip(watcher.sign(message))
      assert.strictEqual(error._tag, "KeyNotSigner")
      assert.deepInclude(error, { backend: "watch-only", keyId: watcher.keyId, operation: "sign" })
    })
  )

  it.effect("wants an algorithm where the key allows several", () =>
    Effect.gen(function* () {
      const publicKey = yield* PublicKey.fromHex(
        "secp256k1",
        "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
      )
      assert.strictEqual((yield* Effect.flip(WatchOnlySigner.make({ publicKey })))._tag, "InvalidConfiguration")
      const watcher = yield* WatchOnlySigner.make({ publicKey, algorithm: "BIP340" })
      assert.strictEqual((yield* watcher.publicKey()).algorithm, "BIP340")
    })
  )

  it.effect("refuses an algorithm of another kind of key", () =>
    Effect.gen(function* () {
      const { signer } = yield* TestSigner.make()
      const publicKey = yield* signer.publicKey()
      const error = yield* Effect.flip(WatchOnlySigner.make({ publicKey, algorithm: "ES256" }))
      assert.strictEqual(error._tag, "InvalidConfiguration")
    })
  )

  it.effect("provides a Signer with the given key id and purpose, which knows no versions", () =>
    Effect.gen(function* () {
      const { signer } = yield* TestSigner.make()
      const layer = WatchOnlySigner.layer({
        publicKey: yield* signer.publicKey(),
        keyId: KeyId.make("theirs"),
        purpose: "releases"
      })
      yield* Effect.gen(function* () {
        const watcher = yield* Signer.Signer
        assert.deepStrictEqual([watcher.keyId, watcher.purpose], [KeyId.make("theirs"), "releases"])
        assert.strictEqual((yield* Effect.flip(Signer.publicKey(KeyVersion.make("1"))))._tag, "KeyNotFound")
        assert.strictEqual((yield* Effect.flip(Signer.sign(message)))._tag, "KeyNotSigner")
      }).pipe(Effect.provide(layer))
    })
  )
})
