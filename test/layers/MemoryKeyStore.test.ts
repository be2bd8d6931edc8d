import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { PrivateKey, PublicKey } from "../../src/index.ts"
import * as MemoryKeyStore from "../../src/layers/MemoryKeyStore.ts"
import { KeyStore } from "../../src/services/KeyStore.ts"
import * as KeyManager from "../../src/services/KeyManager.ts"
import * as KeyStoreConformance from "../../src/testing/KeyStoreConformance.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { inNodeEnv } from "./keys.ts"

KeyStoreConformance.suite(it, "memory", MemoryKeyStore.layer)

const key = Effect.gen(function* () {
  const privateKey = yield* TestKey.make("ES256")
  const publicKey = yield* PublicKey.withAlgorithm(privateKey.publicKey, "ES256")
  return { id: "key", publicKey, privateKey, tags: {}, createdAt: 0 }
})

describe("layer", () => {
  it.effect("is empty each time that it is built", () =>
    Effect.gen(function* () {
      yield* Effect.provide(
        KeyStore.use((store) => Effect.flatMap(key, (key) => store.insert([key]))),
        MemoryKeyStore.layer
      )
      const keys = yield* Effect.provide(
        KeyStore.use((store) => store.list()),
        MemoryKeyStore.layer
      )
      assert.deepStrictEqual(keys, [])
    })
  )

  it.effect("forgets its keys when it is released", () =>
    Effect.gen(function* () {
      const [store, opened] = yield* Effect.scoped(
        Effect.gen(function* () {
          const store = yield* MemoryKeyStore.make
          yield* store.insert([yield* key], { setActive: "key" })
          return [store, yield* store.privateKey("key")] as const
        })
      )
      assert.isFalse(yield* store.has("key"))
      assert.strictEqual((yield* store.active)._tag, "None")
      // what it gave away is not its own any more
      assert.isAbove(Redacted.value(PrivateKey.toPkcs8(opened)).length, 0)
    })
  )
})

describe("where NODE_ENV is production", () => {
  const inProduction = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.scoped(Effect.andThen(inNodeEnv("production"), effect))
  const over = (store: Layer.Layer<KeyStore>) => Effect.provide(KeyManager.layer.pipe(Layer.provide(store)))

  it.effect("refuses a key that was generated, and takes one that was read", () =>
    inProduction(
      KeyManager.KeyManager.use((keys) =>
        Effect.gen(function* () {
          for (const algorithm of ["Ed25519", "BIP341"] as const) {
            const error = yield* Effect.flip(keys.generateKey(algorithm))
            assert.deepInclude(error, { _tag: "KeyStoreError", store: "memory", reason: "Invalid" })
            assert.include(error.message, "allowInProduction")
          }
          assert.deepStrictEqual(yield* keys.list(), [])
          const generated = yield* PrivateKey.generate("Ed25519")
          yield* keys.importPublicKey(generated.publicKey, { id: "watched" })
          const read = yield* PrivateKey.fromPem(PrivateKey.toPem(generated))
          yield* keys.sign(new Uint8Array(1), yield* keys.importKey(read))
        })
      ).pipe(over(MemoryKeyStore.layer))
    )
  )

  it.effect("takes it where that is allowed by name", () =>
    inProduction(
      KeyManager.KeyManager.use((keys) =>
        Effect.gen(function* () {
          for (const algorithm of ["Ed25519", "BIP341"] as const) {
            yield* keys.sign(new Uint8Array(1), yield* keys.generateKey(algorithm))
          }
        })
      ).pipe(over(MemoryKeyStore.layerWith({ allowInProduction: true })))
    )
  )
})
