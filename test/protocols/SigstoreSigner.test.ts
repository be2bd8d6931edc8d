import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSigner, PublicKey, Signer, type SignerError, Verifier } from "effect-signer"
import { createHash } from "node:crypto"
import * as SigstoreSigner from "../../src/protocols/adapters/SigstoreSigner.ts"

const data = new TextEncoder().encode("an artifact")

describe("sign", () => {
  it.effect("gives DER, and the key with its hint", () =>
    Effect.gen(function* () {
      const { sign } = yield* SigstoreSigner.make()
      const { key, signature } = yield* Effect.promise(() => sign(data))
      const publicKey = yield* Signer.Signer.use((signer) => signer.publicKey())
      assert.isTrue(yield* Verifier.verify(publicKey, data, signature, { encoding: "der" }))
      const hint = createHash("sha256").update(PublicKey.toSpki(publicKey)).digest("base64")
      assert.deepStrictEqual(key, { $case: "publicKey", publicKey: PublicKey.toPem(publicKey), hint })
      const { sign: named } = yield* SigstoreSigner.make({ hint: "release" })
      assert.strictEqual((yield* Effect.promise(() => named(data))).key.hint, "release")
    }).pipe(Effect.provide(LocalSigner.layerGenerated("ES256")))
  )

  it.effect("gives a Buffer for a Buffer, and bytes for bytes", () =>
    Effect.gen(function* () {
      const { sign } = yield* SigstoreSigner.make({ envelopesOnly: true })
      const { signature } = yield* Effect.promise(() => sign(Buffer.from(data)))
      assert.isTrue(Buffer.isBuffer(signature))
      assert.strictEqual(signature.length, 64)
      assert.strictEqual(
        Object.getPrototypeOf((yield* Effect.promise(() => sign(data))).signature),
        Uint8Array.prototype
      )
    }).pipe(Effect.provide(LocalSigner.layerGenerated("Ed25519")))
  )

  it.effect("refuses what is no bytes", () =>
    Effect.gen(function* () {
      const { sign } = yield* SigstoreSigner.make()
      const error = yield* Effect.flip(
        Effect.tryPromise({ try: () => sign("text" as never), catch: (error) => error as SignerError.SignerError })
      )
      assert.include(error.message, "data: expected bytes")
    }).pipe(Effect.provide(LocalSigner.layerGenerated("ES256")))
  )
})
