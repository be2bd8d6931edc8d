/** The kit itself: a store that does right passes it, and one with a single mistake does not. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as ReplayStore from "../../src/services/ReplayStore.ts"
import * as ReplayStoreConformance from "../../src/testing/ReplayStoreConformance.ts"

// The least that a subject may have
const maxPerKey = 4

interface Stored {
  readonly holder: string
  readonly insertedAt: number
  expiresAt: number
}

type Insertion = Parameters<ReplayStore.Backend["insert"]>[0]

/** What a store may get wrong. Each is right unless it is stated. */
interface Mistake {
  readonly isLive?: (stored: Stored, now: number) => boolean
  readonly holderOf?: (insertion: Pick<Insertion, "holder">) => string
  readonly max?: number
  readonly isCounted?: (stored: Stored, now: number) => boolean
  readonly fullFirst?: boolean
  readonly isTorn?: boolean
  readonly onReplay?: (stored: Stored, insertion: Insertion) => void
  readonly onInsert?: (all: ReadonlyMap<string, Stored>, insertion: Insertion) => void
  readonly replaces?: boolean
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")

const storeWith = (mistake: Mistake = {}) => {
  const {
    holderOf = ({ holder }) => hex(holder),
    isLive = ({ expiresAt }, now) => expiresAt > now,
    isCounted = isLive,
    max = maxPerKey
  } = mistake
  const all = new Map<string, Stored>()
  const isFull = (holder: string, now: number) =>
    [...all.values()].filter((stored) => stored.holder === holder && isCounted(stored, now)).length >= max
  const look = (insertion: Insertion): ReplayStore.Outcome => {
    const stored = all.get(hex(insertion.entry))
    const full = isFull(holderOf(insertion), insertion.now)
    if (full && mistake.fullFirst === true) return "full"
    if (stored !== undefined && isLive(stored, insertion.now)) {
      mistake.onReplay?.(stored, insertion)
      return "replayed"
    }
    if (stored !== undefined && mistake.replaces === false) return "replayed"
    return full ? "full" : "inserted"
  }
  return ReplayStore.make({
    name: "mistaken",
    insert: (insertion) => {
      const keep = (outcome: ReplayStore.Outcome) => {
        if (outcome !== "inserted") return outcome
        mistake.onInsert?.(all, insertion)
        const { entry, expiresAt, now } = insertion
        all.set(hex(entry), { holder: holderOf(insertion), insertedAt: now, expiresAt })
        return outcome
      }
      return mistake.isTorn === true
        ? Effect.sync(() => look(insertion)).pipe(
            Effect.tap(() => Effect.yieldNow),
            Effect.map(keep)
          )
        : Effect.sync(() => keep(look(insertion)))
    },
    has: ({ entry, now }) =>
      Effect.sync(() => {
        const stored = all.get(hex(entry))
        return stored !== undefined && isLive(stored, now)
      }),
    isFull: (question) => Effect.sync(() => isFull(holderOf(question), question.now))
  })
}

/** A store that is given something else than what it was asked for. */
const changing = (change: (nonce: ReplayStore.Entry) => ReplayStore.Entry) => {
  const { insert, has, isFull, name } = storeWith()
  return ReplayStore.ReplayStore.of({
    name,
    isFull,
    insert: (entry) => insert(change(entry)),
    has: (nonce) => has(change({ ...nonce, ttl: 1 }))
  })
}

const secret = "canary-of-the-replay-store"

const failing = (problem: string) =>
  ReplayStore.make({
    name: "failing",
    insert: () => Effect.fail(new ReplayStore.ReplayStoreUnavailable({ store: "failing", problem })),
    has: () => Effect.fail(new ReplayStore.ReplayStoreUnavailable({ store: "failing", problem })),
    isFull: () => Effect.fail(new ReplayStore.ReplayStoreUnavailable({ store: "failing", problem }))
  })

/** The cases that a store does not pass. */
const failuresOf = (make: () => ReplayStore.Service, unavailable = failing("no answer")) => {
  const subject = {
    name: "subject",
    maxPerKey,
    layer: Layer.effect(ReplayStore.ReplayStore, Effect.sync(make)),
    unavailable: Layer.succeed(ReplayStore.ReplayStore, unavailable),
    secrets: [secret]
  }
  return Effect.map(
    Effect.forEach(ReplayStoreConformance.cases(subject), ({ run }) => Effect.result(run)),
    (results) => results.flatMap((result) => (result._tag === "Failure" ? [result.failure.case] : []))
  )
}

const mistakes: ReadonlyArray<readonly [name: string, make: () => ReplayStore.Service]> = [
  ["forgets the scope", () => changing((entry) => ({ ...entry, scope: "" }))],
  ["forgets the key id", () => changing((entry) => ({ ...entry, keyId: "" }))],
  ["forgets the nonce", () => changing((entry) => ({ ...entry, nonce: "" }))],
  ["joins its texts", () => changing((entry) => ({ ...entry, scope: "", nonce: entry.scope + entry.nonce }))],
  ["folds letter case", () => changing((entry) => ({ ...entry, nonce: entry.nonce.toLowerCase() }))],
  ["normalizes texts", () => changing((entry) => ({ ...entry, scope: entry.scope.trim() }))],
  ["cuts long texts", () => changing((entry) => ({ ...entry, nonce: entry.nonce.slice(0, 100_000) }))],
  ["takes any ttl", () => changing((entry) => ({ ...entry, ttl: 60_000 }))],
  ["looks, and inserts later", () => storeWith({ isTorn: true })],
  ["never forgets", () => storeWith({ isLive: () => true })],
  ["forgets a millisecond too early", () => storeWith({ isLive: ({ expiresAt }, now) => expiresAt > now + 1 })],
  ["forgets a millisecond too late", () => storeWith({ isLive: ({ expiresAt }, now) => expiresAt >= now })],
  [
    "forgets where its clock is set back",
    () => storeWith({ isLive: (stored, now) => stored.expiresAt > now && stored.insertedAt <= now })
  ],
  [
    "remembers longer what comes again",
    () => storeWith({ onReplay: (stored, { expiresAt }) => (stored.expiresAt = expiresAt) })
  ],
  [
    "has one ttl for a key",
    () =>
      storeWith({
        onInsert: (all, { expiresAt, holder }) => {
          for (const stored of all.values()) if (stored.holder === hex(holder)) stored.expiresAt = expiresAt
        }
      })
  ],
  ["does not replace what has expired", () => storeWith({ replaces: false })],
  ["has no maximum", () => storeWith({ max: Infinity })],
  ["has one more than its maximum", () => storeWith({ max: maxPerKey + 1 })],
  ["has a maximum for all keys together", () => storeWith({ holderOf: () => "all" })],
  ["counts what has expired", () => storeWith({ isCounted: () => true })],
  ["does not say that a nonce was there where its key is full", () => storeWith({ fullFirst: true })]
]

describe("ReplayStoreConformance", () => {
  it.effect("passes a store that does right", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* failuresOf(() => storeWith()), [])
    })
  )

  it.effect.each(mistakes)("fails a store that %s", ([, make]) =>
    Effect.gen(function* () {
      assert.notDeepEqual(yield* failuresOf(make), [])
    })
  )

  it.effect.each([
    ["accepts what it cannot know", storeWith()],
    ["shows a secret when it fails", failing(`the password is ${secret}`)]
  ] as const)("fails a store that %s", ([, unavailable]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* failuresOf(() => storeWith(), unavailable), ["without its server it fails"])
    })
  )
})
