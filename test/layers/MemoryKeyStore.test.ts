import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { PrivateKey, PublicKey } from "../../src/index.ts"
import * as MemoryKeyStore from "../../src/layers/MemoryKeyStore.ts"
import { KeyStore } from "../../src/services/KeyStore.ts"
import * as KeyStoreConformance from "../../src/testing/KeyStoreConformance.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

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
