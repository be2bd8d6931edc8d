import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Redacted } from "effect"
import { PrivateKey } from "../../src/index.ts"
import * as MemoryKeyStore from "../../src/layers/MemoryKeyStore.ts"
import type { Service, StoredKey } from "../../src/services/KeyStore.ts"
import { KeyStore } from "../../src/services/KeyStore.ts"
import * as KeyStoreConformance from "../../src/testing/KeyStoreConformance.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

/** A store in memory with one mistake. */
const mistaken = (mistake: (store: Service) => Partial<Service>) =>
  Layer.effect(
    KeyStore,
    Effect.map(MemoryKeyStore.make, (store) => KeyStore.of({ ...store, ...mistake(store) }))
  )

const failed = Effect.fnUntraced(function* (subject: KeyStoreConformance.Subject) {
  const names: Array<string> = []
  for (const { name, run } of KeyStoreConformance.cases(subject)) {
    if (Exit.isFailure(yield* Effect.exit(run))) names.push(name)
  }
  return names
})

const mistakes: ReadonlyArray<readonly [string, (store: Service) => Partial<Service>]> = [
  [
    "inserts some where one is there already",
    (store) => ({
      insert: (keys, options) =>
        Effect.forEach(keys, (key) => store.insert([key], key.id === options?.setActive ? options : {}), {
          discard: true
        })
    })
  ],
  [
    "looks whether an id is free, and takes it later",
    (store) => ({
      insert: (keys, options) =>
        Effect.gen(function* () {
          const taken = yield* Effect.filter(keys, ({ id }) => store.has(id))
          yield* Effect.yieldNow
          if (taken.length > 0) return yield* store.insert(keys, options)
          for (const { id } of keys) yield* Effect.ignore(store.remove(id, { force: true }))
          yield* store.insert(keys, options)
        })
    })
  ],
  ["overlooks setActive", (store) => ({ insert: (keys) => store.insert(keys) })],
  ["removes the active key", (store) => ({ remove: (id) => store.remove(id, { force: true }) })],
  ["keeps what is removed", (store) => ({ remove: (id) => Effect.asVoid(store.get(id)) })],
  [
    "forgets tags at a change of state",
    (store) => ({ update: (id, change) => store.update(id, { tags: {}, ...change }) })
  ],
  [
    "merges tags",
    (store) => ({
      update: (id, { tags, ...change }) =>
        Effect.flatMap(store.get(id), (key) => store.update(id, { ...change, tags: { ...key.tags, ...tags } }))
    })
  ],
  ["lists in the order of ids", (store) => ({ list: (filter) => Effect.map(store.list(filter), byId) })],
  ["overlooks a filter by tags", (store) => ({ list: (filter) => store.list({ ...filter, tags: undefined }) })],
  ["overlooks a filter by state", (store) => ({ list: (filter) => store.list({ ...filter, disabled: undefined }) })],
  [
    "overlooks a filter by algorithm",
    (store) => ({ list: (filter) => store.list({ ...filter, algorithm: undefined }) })
  ],
  [
    "overlooks a filter by private half",
    (store) => ({ list: (filter) => store.list({ ...filter, hasPrivateKey: undefined }) })
  ],
  [
    "trims ids",
    (store) => ({
      insert: (keys, options) =>
        store.insert(
          keys.map((key) => ({ ...key, id: key.id.trim() || " " })),
          options
        )
    })
  ],
  [
    "normalizes ids",
    (store) => ({
      insert: (keys, options) =>
        store.insert(
          keys.map((key) => ({ ...key, id: key.id.normalize() })),
          options
        )
    })
  ],
  [
    "loses the tag __proto__",
    (store) => ({
      insert: (keys, options) =>
        store.insert(
          keys.map((key) => ({ ...key, tags: withoutProto(key.tags) })),
          options
        )
    })
  ],
  ["has the same private half for all", () => ({ privateKey: () => Effect.orDie(TestKey.make("Ed25519", "key")) })],
  [
    "states no algorithm of private halves",
    (store) => ({
      privateKey: (id) =>
        Effect.flatMap(store.privateKey(id), (key) => Effect.orDie(PrivateKey.fromPkcs8(PrivateKey.toPkcs8(key))))
    })
  ],
  [
    "gives the same private key each time",
    (store) => {
      const known = new Map<string, PrivateKey.PrivateKey>()
      return {
        privateKey: (id) =>
          Effect.tap(
            Effect.map(store.privateKey(id), (key) => known.get(id) ?? key),
            (key) => Effect.sync(() => known.set(id, key))
          )
      }
    }
  ],
  [
    "looks at what it was given, waits, and looks again",
    (store) => ({
      insert: (keys, options) => Effect.andThen(Effect.yieldNow, store.insert(keys, options)),
      update: (id, change) =>
        Effect.andThen(
          Effect.yieldNow,
          Effect.suspend(() => store.update(id, change))
        )
    })
  ],
  [
    "keeps an entry without its private half where that was wiped meanwhile",
    (store) => ({
      insert: (keys, options) =>
        Effect.suspend(() => {
          const copies = keys.map((key) => ({ ...key, tags: { ...key.tags } }))
          return Effect.andThen(
            Effect.yieldNow,
            Effect.suspend(() =>
              store.insert(
                copies.map((key) =>
                  key.privateKey !== undefined && PrivateKey.isWiped(key.privateKey)
                    ? { ...key, privateKey: undefined }
                    : key
                ),
                options
              )
            )
          )
        })
    })
  ],
  ["dies where a key is not there", (store) => ({ get: (id) => Effect.orDie(store.get(id)) })],
  ["has no active key", () => ({ active: Effect.succeedNone })],
  ["has an active key that is not there", () => ({ active: Effect.succeed(Option.some("ghost")) })],
  [
    "shows private halves",
    (store) => ({
      get: (id) =>
        Effect.gen(function* () {
          const key = yield* store.get(id)
          const opened = yield* Effect.option(store.privateKey(id))
          return {
            ...key,
            ...Option.match(opened, {
              onNone: () => ({}),
              onSome: (key) => ({ jwk: Redacted.value(PrivateKey.toJwk(key)) })
            })
          }
        })
    })
  ]
]

const byId = (keys: ReadonlyArray<StoredKey>) => [...keys].sort((a, b) => (a.id < b.id ? -1 : 1))

const withoutProto = (tags: Readonly<Record<string, string>>) => {
  const copy: Record<string, string> = {}
  for (const name of Object.keys(tags)) copy[name] = tags[name]!
  return copy
}

describe("cases", () => {
  it.effect.each(mistakes)("find a store that %s", ([, mistake]) =>
    Effect.gen(function* () {
      assert.isNotEmpty(yield* failed({ name: "mistaken", layer: mistaken(mistake) }))
    })
  )

  it.effect("pass a store without a mistake", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* failed({ name: "right", layer: mistaken(() => ({})) }), [])
    })
  )

  it.effect("find two stores that do not share what they keep", () =>
    Effect.gen(function* () {
      const pair = Effect.all([MemoryKeyStore.make, MemoryKeyStore.make])
      const names = yield* failed({ name: "apart", layer: MemoryKeyStore.layer, pair })
      assert.lengthOf(names, 4)
      const shared = Effect.map(MemoryKeyStore.make, (store) => [store, store] as const)
      assert.deepStrictEqual(yield* failed({ name: "shared", layer: MemoryKeyStore.layer, pair: shared }), [])
    })
  )

  it.effect("have exceptions by name, and refuse one that names none", () =>
    Effect.gen(function* () {
      const exceptions = [
        { case: "inserts all or none", reason: "no transactions" },
        { case: "no such case", reason: "none" }
      ]
      const cases = KeyStoreConformance.cases({ name: "memory", layer: MemoryKeyStore.layer, exceptions })
      assert.strictEqual(cases.find(({ name }) => name === "inserts all or none")?.exception, "no transactions")
      const last = cases.at(-1)!
      assert.strictEqual((yield* Effect.flip(last.run)).case, "no such case")
      assert.isUndefined(last.exception)
    })
  )

  it.effect("show no secret of a store that fails with one", () =>
    Effect.gen(function* () {
      const secret = "the secret of the store"
      const layer = mistaken(() => ({ has: () => Effect.die(new Error(secret)) }))
      const [first] = KeyStoreConformance.cases({ name: "leaky", layer, secrets: [secret] })
      const error = yield* Effect.flip(first!.run)
      assert.notInclude(error.message, secret)
      assert.include(error.message, "secrets[0]")
    })
  )
})
