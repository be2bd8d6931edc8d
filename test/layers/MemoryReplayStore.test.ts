import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryReplayStore from "../../src/layers/MemoryReplayStore.ts"
import * as ReplayStoreConformance from "../../src/testing/ReplayStoreConformance.ts"

const subject = { name: "memory", layer: MemoryReplayStore.layer({ maxPerKey: 5 }), maxPerKey: 5 }

describe("MemoryReplayStore", () => {
  for (const { name, run } of ReplayStoreConformance.cases(subject)) it.effect(name, () => run)

  it.effect.each([
    { field: "maxPerKey", options: { maxPerKey: 0 } },
    { field: "maxPerKey", options: { maxPerKey: 1.5 } },
    { field: "maxTotal", options: { maxTotal: Number.NaN } },
    { field: "maxTotal", options: { maxTotal: 100_000_000 } }
  ])("refuses a limit that is none: $options", ({ field, options }) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(MemoryReplayStore.make(options))
      assert.strictEqual(error.field, field)
    })
  )

  it.effect("has a maximum for all keys, which is free again when entries expire", () =>
    Effect.gen(function* () {
      const store = yield* MemoryReplayStore.make({ maxTotal: 10 })
      const insert = (keyId: string) => store.insert({ keyId, scope: "s", nonce: "n", ttl: "1 minute" })
      for (let key = 0; key < 10; key++) assert.strictEqual(yield* insert(`k${key}`), "inserted")
      assert.strictEqual(yield* insert("k10"), "full")
      assert.isTrue(yield* store.isFull("k10"))
      yield* TestClock.adjust("61 seconds")
      assert.isFalse(yield* store.isFull("k10"))
      assert.strictEqual(yield* insert("k10"), "inserted")
    })
  )

  it.effect("counts an entry that comes again once, and keeps it when the old one is dropped", () =>
    Effect.gen(function* () {
      const store = yield* MemoryReplayStore.make({ maxPerKey: 2 })
      const insert = (nonce: string, ttl: number) => store.insert({ keyId: "k", scope: "s", nonce, ttl })
      assert.strictEqual(yield* insert("a", 10), "inserted")
      yield* TestClock.adjust(10)
      assert.strictEqual(yield* insert("a", 3_600_000), "inserted")
      assert.strictEqual(yield* insert("b", 3_600_000), "inserted")
      assert.strictEqual(yield* insert("c", 3_600_000), "full")
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(yield* store.isFull("k"))
      assert.isTrue(yield* store.has({ keyId: "k", scope: "s", nonce: "a" }))
    })
  )

  it.effect("drops what expired while it goes on, over years and in bursts", () =>
    Effect.gen(function* () {
      const store = yield* MemoryReplayStore.make({ maxPerKey: 1000, maxTotal: 1000 })
      const insert = (nonce: string, ttl: number) => store.insert({ keyId: "k", scope: "s", nonce, ttl })
      for (let round = 0; round < 20; round++) {
        for (let i = 0; i < 1000; i++) {
          assert.strictEqual(yield* insert(`${round}-${i}`, 1 + ((i * 7919) % 60_000)), "inserted")
        }
        assert.strictEqual(yield* insert("more", 1), "full")
        yield* TestClock.adjust(round % 2 === 0 ? "62 seconds" : "400 days")
      }
    })
  )
})
