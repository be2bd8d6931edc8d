/**
 * The cases of a `KeyStore` that has several callers at once, some of whom give up,
 * or a second instance beside it.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { Service } from "../../services/KeyStore.ts"
import type { Check, Checks, PairCheck } from "./demands.ts"
import { demand, holds, isActive, lists, newKey, opens, refused } from "./demands.ts"

/** Every one of these inserts a key of its own under one id: one of them succeeds, and its key is there. */
const oneWins = Effect.fnUntraced(function* (stores: ReadonlyArray<Service>, reader: Service) {
  const keys = yield* Effect.forEach(stores, (_, index) => newKey("same", { seed: `seed ${index}` }))
  const outcomes = yield* Effect.forEach(stores, (store, index) => Effect.result(store.insert([keys[index]!])), {
    concurrency: "unbounded"
  })
  const winners = keys.filter((_, index) => outcomes[index]!._tag === "Success")
  yield* demand(winners.length === 1, `${winners.length} of ${keys.length} callers inserted one id`)
  const others = outcomes.flatMap((outcome) => (outcome._tag === "Failure" ? [outcome.failure._tag] : []))
  yield* demand(
    others.every((tag) => tag === "KeyExists"),
    `those who were too late failed with ${[...new Set(others)].join(", ")}`
  )
  yield* holds(reader, winners[0]!)
  yield* opens(reader, winners[0]!)
})

const noneIsLost = Effect.fnUntraced(function* (stores: ReadonlyArray<Service>, reader: Service, count: number) {
  const keys = yield* Effect.forEach(Array.from({ length: count }), (_, index) =>
    newKey(`key-${String(index).padStart(2, "0")}`)
  )
  yield* Effect.forEach(
    keys,
    (key, index) => {
      const store = stores[index % stores.length]!
      return Effect.andThen(store.insert([key]), store.update(key.id, { tags: { index: String(index) } }))
    },
    { concurrency: "unbounded", discard: true }
  )
  yield* lists(
    reader,
    keys.map(({ id }) => id)
  )
  for (const [index, key] of keys.entries()) {
    yield* holds(reader, { ...key, tags: { index: String(index) } })
    yield* opens(reader, key)
  }
})

/** Some make a key active while others remove it: at the end the active key is there, or there is none. */
const activeIsThere = Effect.fnUntraced(function* ([first, second]: readonly [Service, Service]) {
  for (let turn = 0; turn < 5; turn++) {
    const id = `key-${turn}`
    yield* first.insert([yield* newKey(id)])
    const [made, removed] = yield* Effect.all(
      [Effect.result(first.setActive(id)), Effect.result(second.remove(id, { force: turn % 2 === 0 }))],
      { concurrency: "unbounded" }
    )
    const active = Option.getOrUndefined(yield* second.active)
    yield* demand(active === undefined || (yield* first.has(active)), "the active key is one that was removed")
    yield* demand(
      removed._tag === "Success"
        ? !(yield* first.has(id)) && active !== id
        : removed.failure._tag === "ActiveKeyDelete" && made._tag === "Success" && active === id,
      "a key was made active and removed at once"
    )
    if (active === id) yield* second.remove(id, { force: true })
  }
})

/** Of one store with many callers. */
export const concurrentChecks: Checks<Check> = [
  [
    "lets one of many callers insert an id",
    Effect.fnUntraced(function* (store) {
      yield* oneWins(yield* Effect.forEach(Array.from({ length: 12 }), () => Effect.succeed(store)), store)
    })
  ],
  [
    "loses no key of concurrent callers",
    Effect.fnUntraced(function* (store) {
      yield* noneIsLost([store], store, 24)
    })
  ],
  [
    "never has an active key that is not there",
    Effect.fnUntraced(function* (store) {
      yield* activeIsThere([store, store])
    })
  ],
  [
    "works after a call that was interrupted",
    Effect.fnUntraced(function* (store) {
      for (let turn = 0; turn < 8; turn++) {
        const fiber = yield* Effect.forkChild(store.insert([yield* newKey(`interrupted-${turn}`)]))
        for (let i = 0; i < turn; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
      }
      const key = yield* newKey("after")
      yield* store.insert([key], { setActive: "after" })
      yield* holds(store, key)
      yield* opens(store, key)
      for (const { id } of yield* store.list()) {
        // whole or not at all
        yield* opens(store, yield* newKey(id))
      }
    })
  ]
]

/** Of two stores that share what they keep. */
export const pairChecks: Checks<PairCheck> = [
  [
    "shows at once what another instance wrote",
    Effect.fnUntraced(function* (first, second) {
      const key = yield* newKey("key", { tags: { a: "1" } })
      yield* first.insert([key])
      yield* holds(second, key)
      yield* opens(second, key)
      for (let i = 0; i < 10; i++) {
        yield* first.update("key", { tags: { a: `${i}` } })
        yield* holds(second, { ...key, tags: { a: `${i}` } })
      }
      yield* second.setActive("key")
      yield* isActive(first, "key")
      yield* refused(first.remove("key"), "ActiveKeyDelete", `"remove"`, "key")
      yield* second.remove("key", { force: true })
      yield* refused(first.get("key"), "KeyNotFound", `"get"`, "key")
      yield* refused(first.privateKey("key"), "KeyNotFound", `"privateKey"`, "key")
      yield* isActive(first, undefined)
      yield* refused(first.update("key", { disabled: true }), "KeyNotFound", `"update"`, "key")
    })
  ],
  [
    "lets one of two instances insert an id",
    Effect.fnUntraced(function* (first, second) {
      yield* oneWins([first, second, first, second, first, second], second)
    })
  ],
  [
    "loses no key of two instances",
    Effect.fnUntraced(function* (first, second) {
      yield* noneIsLost([first, second], first, 12)
    })
  ],
  [
    "never has an active key that another instance removed",
    Effect.fnUntraced(function* (first, second) {
      yield* activeIsThere([first, second])
    })
  ]
]
