import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PrivateKey, PublicKey, Verifier } from "../../src/index.ts"
import * as FileKeyStore from "../../src/layers/FileKeyStore.ts"
import * as KeyStoreSigner from "../../src/layers/KeyStoreSigner.ts"
import * as FileRotationStore from "../../src/layers/FileRotationStore.ts"
import * as KeyManager from "../../src/services/KeyManager.ts"
import * as Rotation from "../../src/services/Rotation.ts"
import { Conformance } from "../../src/testing.ts"
import { cheap } from "../conformance/file.ts"

const passphrase = Redacted.make("the passphrase of a key store")

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-signer-store-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

/** A store with an active key for Ed25519, one for ES256, and one that only verifies. */
const store = Effect.gen(function* () {
  const path = join(yield* folder, "keys.json")
  yield* KeyManager.KeyManager.use((keys) =>
    Effect.all([
      keys.generateKey("Ed25519", { id: "first", setActive: true }),
      keys.generateKey("ES256", { id: "second" }),
      Effect.flatMap(PrivateKey.generate("Ed25519"), ({ publicKey }) => keys.importPublicKey(publicKey, { id: "seen" }))
    ])
  ).pipe(Effect.provide(KeyManager.layer.pipe(Layer.provide(FileKeyStore.layer({ path, passphrase, cost: cheap })))))
  return { path, passphrase }
})

const message = new TextEncoder().encode("message")

const layerOf = (change: Partial<KeyStoreSigner.Options> = {}) =>
  Layer.unwrap(Effect.map(store, (options) => KeyStoreSigner.layer({ ...options, ...change })))

Conformance.suite(it, "key store, ES256", layerOf({ id: "second" }), {
  secrets: [Redacted.value(passphrase)],
  faulty: [layerOf({ passphrase: Redacted.make("another passphrase") }), layerOf({ id: "seen" })]
})

describe("KeyStoreSigner", () => {
  it.effect("signs with the active key, or with the one that is named", () =>
    Effect.gen(function* () {
      const options = yield* store
      for (const [id, algorithm] of [
        [undefined, "Ed25519"],
        ["first", "Ed25519"],
        ["second", "ES256"]
      ] as const) {
        const signer = yield* KeyStoreSigner.make({ ...options, id, purpose: "release" })
        assert.deepStrictEqual([signer.algorithm, signer.purpose], [algorithm, "release"])
        assert.strictEqual<string>(signer.keyId, id ?? "first")
        const signature = yield* signer.sign(message)
        assert.isTrue(yield* Verifier.verify(yield* signer.publicKey(), message, signature))
      }
    }).pipe(Effect.scoped)
  )

  it.effect("fails while it is made where it cannot sign", () =>
    Effect.gen(function* () {
      const options = yield* store
      const { publicKey } = yield* PrivateKey.generate("Ed25519")
      const failures: ReadonlyArray<readonly [Partial<KeyStoreSigner.Options>, string, string?]> = [
        [{ path: `${options.path}.none` }, "InvalidConfiguration", "path"],
        [{ passphrase: Redacted.make("another passphrase") }, "InvalidConfiguration", "passphrase"],
        [{ id: "none" }, "KeyNotFound"],
        [{ expectedPublicKey: publicKey }, "InvalidResponse"]
      ]
      for (const [change, tag, field] of failures) {
        const error = yield* Effect.flip(KeyStoreSigner.make({ ...options, ...change }))
        assert.strictEqual(error._tag, tag)
        if (field !== undefined) assert.deepInclude(error, { field })
      }
      const watching = yield* KeyStoreSigner.make({ ...options, id: "seen" }).pipe(
        Effect.flatMap((signer) => signer.sign(message)),
        Effect.flip
      )
      assert.strictEqual(watching._tag, "KeyNotSigner")
    }).pipe(Effect.scoped)
  )

  it.effect("signs with whichever key is active in a rotation", () =>
    Effect.gen(function* () {
      const options = { ...(yield* store), rotation: join(yield* folder, "rotation.json") }
      assert.strictEqual((yield* Effect.flip(KeyStoreSigner.make(options)))._tag, "KeyNotFound")
      const keys = yield* KeyManager.KeyManager.pipe(
        Effect.provide(KeyManager.layer.pipe(Layer.provide(FileKeyStore.layer(options))))
      )
      yield* keys.generateKey("Ed25519", { id: "third" })
      const rotation = yield* Rotation.make({
        policy: { propagation: "10 minutes", tokenLifetime: "1 hour" },
        signerOf: KeyManager.signerOf(keys)
      }).pipe(Effect.provide(FileRotationStore.layer({ path: options.rotation })))
      yield* rotation.adopt("first")
      const signer = yield* KeyStoreSigner.make(options)
      const kidOf = (id: string) => Effect.map(keys.publicKey(id), PublicKey.thumbprint)
      assert.strictEqual<string | undefined>((yield* signer.sign(message)).keyVersion, yield* kidOf("first"))
      yield* rotation.start("third")
      yield* rotation.advance
      yield* TestClock.adjust("1 hour")
      yield* rotation.advance
      yield* rotation.advance
      yield* TestClock.adjust("1 minute")
      assert.strictEqual<string | undefined>((yield* signer.sign(message)).keyVersion, yield* kidOf("third"))
      const both = yield* Effect.flip(KeyStoreSigner.make({ ...options, id: "first" }))
      assert.deepInclude(both, { _tag: "InvalidConfiguration", field: "rotation" })
    }).pipe(Effect.scoped)
  )

  it.effect("says that no key is active", () =>
    Effect.gen(function* () {
      const options = yield* store
      yield* KeyManager.KeyManager.use((keys) => keys.remove("first", { force: true })).pipe(
        Effect.provide(KeyManager.layer.pipe(Layer.provide(FileKeyStore.layer(options))))
      )
      const error = yield* Effect.flip(KeyStoreSigner.make(options))
      assert.strictEqual(error._tag, "KeyNotFound")
      assert.include(error.message, "no key is active")
    }).pipe(Effect.scoped)
  )
})
