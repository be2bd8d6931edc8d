/**
 * What every `ReplayStore` must do, as a list of effects.
 *
 * **Details**
 *
 * Each case builds the store anew and uses key ids of its own, so one server serves
 * all of them. Time is the cases' own: none sleeps.
 *
 * **Example** (All cases as tests)
 *
 * ```ts
 * import { it } from "@effect/vitest"
 * import * as MemoryReplayStore from "effect-signer/MemoryReplayStore"
 * import { ReplayStoreConformance } from "effect-signer/testing"
 *
 * const subject = { name: "memory", layer: MemoryReplayStore.layer({ maxPerKey: 5 }), maxPerKey: 5 }
 * for (const { name, run } of ReplayStoreConformance.cases(subject)) it.effect(name, () => run)
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Entry, Outcome, Service } from "../services/ReplayStore.ts"
import { ReplayStore, ReplayStoreUnavailable } from "../services/ReplayStore.ts"
import * as Canary from "./Canary.ts"
import type { Case } from "./Conformance.ts"
import { ConformanceFailure } from "./Conformance.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What is tested.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject {
  readonly name: string
  /** The store, with `maxPerKey`. Built anew by each case. */
  readonly layer: Layer.Layer<ReplayStore, unknown>
  /** Its maximum, from 4 to 100. */
  readonly maxPerKey: number
  /** Another client of the same store, as another process has it. Default: none. */
  readonly other?: Layer.Layer<ReplayStore, unknown> | undefined
  /** A store whose server does not answer (any more): each of its calls must fail. Default: none. */
  readonly unavailable?: Layer.Layer<ReplayStore, unknown> | undefined
  /** What no error may show: passwords, in 8 characters or more. */
  readonly secrets?: ReadonlyArray<string> | undefined
}

// ---------------------------------------------------------------------------
// what cases are made of
// ---------------------------------------------------------------------------

/** What a case found out. */
class Problem {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const demand = (holds: boolean, text: string) => (holds ? Effect.void : Effect.fail(new Problem(text)))

interface Setting {
  readonly subject: Subject
  readonly store: Service
  /** Clients of the store: two where there is another. */
  readonly clients: ReadonlyArray<Service>
  /** A key id that nobody has used. */
  readonly newKey: () => string
  /** Moves the time by milliseconds. */
  readonly move: (millis: number) => Effect.Effect<void>
}

type Check = (setting: Setting) => Effect.Effect<void, unknown, Scope.Scope>

/** The time of a case: what it says moves as the case wants, and who sleeps, sleeps by the clock of the runner. */
const clockOf = (time: { now: number }, clock: Clock.Clock): Clock.Clock => ({
  currentTimeMillisUnsafe: () => time.now,
  currentTimeMillis: Effect.sync(() => time.now),
  currentTimeNanosUnsafe: () => BigInt(time.now) * 1_000_000n,
  currentTimeNanos: Effect.sync(() => BigInt(time.now) * 1_000_000n),
  monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
  monotonicTimeNanos: clock.monotonicTimeNanos,
  sleep: (duration) => clock.sleep(duration)
})

const minute = 60_000

const entryOf = (keyId: string, more?: Partial<Entry>): Entry => ({
  keyId,
  scope: "https://api.example/orders",
  nonce: "n-1",
  ttl: minute,
  ...more
})

const insertion = (store: Service, entry: Entry, expected: Outcome, when: string) =>
  Effect.flatMap(store.insert(entry), (outcome) =>
    demand(outcome === expected, `${when} the outcome is "${outcome}", expected "${expected}"`)
  )

const presence = (store: Service, entry: Entry, expected: boolean, when: string) =>
  Effect.flatMap(store.has(entry), (has) =>
    demand(has === expected, `${when} the nonce is ${has ? "" : "not "}there, expected the contrary`)
  )

const fullness = (store: Service, keyId: string, expected: boolean, when: string) =>
  Effect.flatMap(store.isFull(keyId), (isFull) =>
    demand(isFull === expected, `${when} the key is ${isFull ? "" : "not "}full, expected the contrary`)
  )

const callers = 1000

/** Many callers insert one nonce at once; one is told that it is new. */
const race = (clients: ReadonlyArray<Service>, entry: Entry, when: string) =>
  Effect.forEach(
    Array.from({ length: callers }, (_, number) => clients[number % clients.length]!),
    (store) => store.insert(entry),
    { concurrency: "unbounded" }
  ).pipe(
    Effect.flatMap((outcomes) => {
      const inserted = outcomes.filter((outcome) => outcome === "inserted").length
      const replayed = outcomes.filter((outcome) => outcome === "replayed").length
      return demand(
        inserted === 1 && replayed === callers - 1,
        `${when} ${inserted} of ${callers} callers were told "inserted" and ${replayed} "replayed"`
      )
    })
  )

const fill = ({ store, subject }: Setting, keyId: string) =>
  Effect.forEach(
    Array.from({ length: subject.maxPerKey }, (_, number) => number),
    (number) => insertion(store, entryOf(keyId, { nonce: `n-${number}` }), "inserted", `of nonce ${number}`),
    { discard: true }
  )

/** Texts that are taken apart, cut, joined, obeyed or taken for the next one where they are not hashed. */
const texts: ReadonlyArray<string> = [
  "",
  " ",
  "\0",
  "\r\n",
  "a\0b",
  "a",
  "A",
  "ä",
  "a\u0308",
  "\ud800",
  "\udc00",
  "\ufffd",
  "😀",
  "'; DROP TABLE effect_signer_replay; --",
  `" OR 1=1`,
  "*",
  "\r\nFLUSHALL\r\n",
  "%s%n",
  "{a}",
  "__proto__",
  "constructor",
  "x".repeat(100_000),
  "x".repeat(100_001)
]

const wrongTtls: ReadonlyArray<Duration.Input> = [0, -1, Number.NaN, Infinity, "-1 minute", "367 days"]

const checks: ReadonlyArray<readonly [name: string, check: Check]> = [
  [
    "a nonce is new once",
    Effect.fnUntraced(function* ({ newKey, store }) {
      const entry = entryOf(newKey())
      yield* presence(store, entry, false, "before the insert")
      yield* insertion(store, entry, "inserted", "first")
      yield* presence(store, entry, true, "after the insert")
      yield* insertion(store, entry, "replayed", "the second time")
      yield* insertion(store, { ...entry, ttl: "1 hour" }, "replayed", "with another ttl")
    })
  ],
  [
    "key id, scope and nonce are told apart",
    Effect.fnUntraced(function* ({ newKey, store }) {
      const key = newKey()
      const entries = [
        { keyId: `${key}a`, scope: "b", nonce: "c" },
        { keyId: `${key}ab`, scope: "", nonce: "c" },
        { keyId: key, scope: "ab", nonce: "c" },
        { keyId: `${key}a`, scope: "", nonce: "bc" },
        { keyId: `${key}a`, scope: "bc", nonce: "" },
        { keyId: `${key}a`, scope: "c", nonce: "b" }
      ]
      for (const [index, entry] of entries.entries()) {
        yield* insertion(store, { ...entry, ttl: minute }, "inserted", `of entry ${index}`)
      }
      for (const [index, entry] of entries.entries()) {
        yield* insertion(store, { ...entry, ttl: minute }, "replayed", `of entry ${index}, again`)
      }
    })
  ],
  [
    "texts of any kind are what they are",
    Effect.fnUntraced(function* ({ newKey, store }) {
      for (const [index, text] of texts.entries()) {
        const key = newKey()
        // Next to one that it is easily taken for: four nonces of one key, and two of others
        const entries = [text, texts[(index + 1) % texts.length]!].flatMap((one) => [
          entryOf(key, { scope: one }),
          entryOf(key, { scope: "nonce", nonce: one }),
          entryOf(`${key} ${one}`)
        ])
        for (const entry of entries) yield* insertion(store, entry, "inserted", `of text ${index} or the next`)
        for (const entry of entries) {
          yield* insertion(store, entry, "replayed", `of text ${index} or the next, again,`)
          yield* presence(store, entry, true, `of text ${index} or the next`)
        }
      }
    })
  ],
  [
    "of many callers at once one inserts, among all clients",
    Effect.fnUntraced(function* ({ clients, newKey }) {
      yield* race(clients, entryOf(newKey()), "of a new nonce")
    })
  ],
  [
    "of many callers at once one replaces what has expired",
    Effect.fnUntraced(function* ({ clients, move, newKey, store }) {
      const entry = entryOf(newKey())
      yield* insertion(store, entry, "inserted", "first")
      yield* move(minute)
      yield* race(clients, entry, "of an expired nonce")
    })
  ],
  [
    "a nonce lives exactly as long as its ttl",
    Effect.fnUntraced(function* ({ move, newKey, store }) {
      const entry = entryOf(newKey())
      yield* insertion(store, entry, "inserted", "first")
      yield* move(minute - 1)
      yield* presence(store, entry, true, "a millisecond before the end of its ttl")
      yield* insertion(store, entry, "replayed", "a millisecond before the end of its ttl")
      yield* move(1)
      yield* presence(store, entry, false, "at the end of its ttl")
      yield* insertion(store, entry, "inserted", "at the end of its ttl")
      yield* move(minute - 1)
      yield* insertion(store, entry, "replayed", "before the end of its second ttl")
    })
  ],
  [
    "each nonce has a ttl of its own",
    Effect.fnUntraced(function* ({ move, newKey, store }) {
      const key = newKey()
      const [short, long] = [
        entryOf(key, { nonce: "short", ttl: "1 second" }),
        entryOf(key, { nonce: "long", ttl: "1 day" })
      ]
      yield* insertion(store, long, "inserted", "of the long one")
      yield* insertion(store, short, "inserted", "of the short one")
      yield* move(2 * 3_600_000)
      yield* insertion(store, entryOf(key, { nonce: "another" }), "inserted", "of another")
      yield* insertion(store, long, "replayed", "of the long one, later,")
      yield* insertion(store, short, "inserted", "of the short one, later,")
    })
  ],
  [
    "a clock that is set back forgets nothing",
    Effect.fnUntraced(function* ({ move, newKey, store }) {
      const entry = entryOf(newKey())
      yield* insertion(store, entry, "inserted", "first")
      yield* move(-3_600_000)
      yield* insertion(store, entry, "replayed", "an hour earlier")
    })
  ],
  [
    "a key has its maximum, and other keys have theirs",
    Effect.fnUntraced(function* (setting) {
      const { newKey, store } = setting
      const [key, other] = [newKey(), newKey()]
      yield* fullness(store, key, false, "at first")
      yield* fill(setting, key)
      yield* fullness(store, key, true, "with its maximum")
      yield* insertion(store, entryOf(key, { nonce: "one more" }), "full", "beyond the maximum")
      yield* insertion(store, entryOf(key, { nonce: "one more", scope: "other" }), "full", "in another scope")
      yield* insertion(store, entryOf(key, { nonce: "n-0" }), "replayed", "of a nonce that is there")
      yield* presence(store, entryOf(key, { nonce: "one more" }), false, "that was refused")
      yield* fullness(store, other, false, "of which there is nothing")
      yield* insertion(store, entryOf(other), "inserted", "of another key")
    })
  ],
  [
    "a full key has room again when its nonces have expired",
    Effect.fnUntraced(function* (setting) {
      const { move, newKey, store } = setting
      const key = newKey()
      yield* fill(setting, key)
      yield* insertion(store, entryOf(key, { nonce: "one more" }), "full", "beyond the maximum")
      // A second for stores that look once a second
      yield* move(minute + 1000)
      yield* fullness(store, key, false, "after its nonces expired")
      yield* fill(setting, key)
      yield* insertion(store, entryOf(key, { nonce: "one more" }), "full", "beyond the maximum, again,")
    })
  ],
  [
    "a nonce of an interrupted caller is new to one other at most",
    Effect.fnUntraced(function* ({ newKey, store }) {
      const entry = entryOf(newKey())
      const fiber = yield* Effect.forkChild(store.insert(entry), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      yield* store.insert(entry)
      yield* insertion(store, entry, "replayed", "after that")
    })
  ],
  [
    "a ttl that is none is refused",
    Effect.fnUntraced(function* ({ newKey, store }) {
      for (const ttl of wrongTtls) {
        const entry = entryOf(newKey(), { ttl })
        const outcome = yield* Effect.result(store.insert(entry))
        yield* demand(
          outcome._tag === "Failure" && outcome.failure._tag === "ReplayStoreUnavailable",
          `a ttl of ${String(ttl)} is accepted`
        )
      }
    })
  ]
]

/** Without its server a store fails, and what it says shows no secret. */
const failsClosed = Effect.fnUntraced(function* (
  layer: Layer.Layer<ReplayStore, unknown>,
  secrets: ReadonlyArray<string>
) {
  const store = Context.get(yield* Layer.build(layer), ReplayStore)
  const search = Canary.search(secrets.map((secret, index) => ({ name: `secrets[${index}]`, secret })))
  const key = globalThis.crypto.randomUUID()
  const calls: ReadonlyArray<readonly [string, Effect.Effect<unknown, ReplayStoreUnavailable>]> = [
    ["insert", store.insert(entryOf(key))],
    ["has", store.has(entryOf(key))],
    ["isFull", store.isFull(key)]
  ]
  for (const [name, call] of calls) {
    const exit = yield* Effect.exit(call)
    const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
    yield* demand(error instanceof ReplayStoreUnavailable, `${name} does not fail with ReplayStoreUnavailable`)
    const shown = [Canary.show(error), Exit.isFailure(exit) ? Cause.pretty(exit.cause) : ""].join("\n")
    const sighting = search(shown)
    yield* demand(sighting === undefined, `the error of ${name} shows ${sighting?.secret} as ${sighting?.form}`)
  }
})

/** A cause in one line. */
const describe = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  if (error instanceof Problem) return error.text
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

// ---------------------------------------------------------------------------
// cases
// ---------------------------------------------------------------------------

/**
 * The cases for a store, in order.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cases = (subject: Subject): ReadonlyArray<Case> => {
  const { layer, name: suite, other, secrets = [], unavailable } = subject
  const made = (name: string, run: Effect.Effect<void, unknown, Scope.Scope>): Case => ({
    name: `${suite}: ${name}`,
    run: Effect.scoped(run).pipe(
      Effect.catchCause((cause) => Effect.fail(new ConformanceFailure({ suite, case: name, problem: describe(cause) })))
    )
  })
  const setting = Effect.gen(function* () {
    const stores = yield* Effect.forEach(other === undefined ? [layer] : [layer, other], (layer) =>
      Effect.map(Layer.build(Layer.fresh(layer)), Context.get(ReplayStore))
    )
    return stores as [Service, ...Array<Service>]
  })
  return [
    ...checks.map(([name, check]) =>
      made(
        name,
        Effect.clockWith((clock) => {
          const time = { now: 1_800_000_000_000 }
          return Effect.flatMap(setting, (clients) =>
            check({
              subject,
              store: clients[0],
              clients,
              newKey: () => globalThis.crypto.randomUUID(),
              move: (millis) =>
                Effect.sync(() => {
                  time.now += millis
                })
            })
          ).pipe(Effect.provideService(Clock.Clock, clockOf(time, clock)))
        })
      )
    ),
    ...(unavailable === undefined ? [] : [made("without its server it fails", failsClosed(unavailable, secrets))])
  ]
}
