/**
 * A set of keys behind an https URL that is read when it is needed, and kept for a
 * while: one request for all who wait, and no more of them than somebody who makes up
 * key ids may cause.
 *
 * @category internal
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as CacheControl from "../../schemas/CacheControl.ts"
import type { JwksInvalid, KeysUnavailable, KeysUnavailableReason } from "../../schemas/KeyResolverError.ts"
import { KeyUnknown } from "../../schemas/KeyResolverError.ts"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import { millisOf } from "./BoundedTime.ts"
import * as JwksFetch from "./JwksFetch.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/** How long a set is kept, and how it is fetched. */
export interface Settings {
  /**
   * How long a set is kept, at most. The server may say less (`Cache-Control`), but
   * not less than `cooldown`. Default 10 minutes, at most one hour.
   */
  readonly maxAge?: Duration.Input | undefined
  /** How long after that it still serves while the server cannot be reached. Default 10 minutes, at most one hour. */
  readonly staleFor?: Duration.Input | undefined
  /** How long a set is not read again for a key id that is not in it. Default 30 seconds, at least one. */
  readonly cooldown?: Duration.Input | undefined
  /**
   * How long the server is not asked again after a failure. Default 5 seconds, at
   * least one. What the server asks for (`Retry-After`) counts up to 5 minutes.
   */
  readonly failureFor?: Duration.Input | undefined
  /** For one GET, from the lookup of the name to the last byte. Default 5 seconds, at most 30. */
  readonly timeout?: Duration.Input | undefined
  /**
   * Addresses (`127.0.0.1`) and networks (`10.1.0.0/16`) that may be reached though
   * they are not public: of an intranet or a test.
   */
  readonly allow?: ReadonlyArray<string> | undefined
  /** Default: 443 only. */
  readonly ports?: ReadonlyArray<number> | undefined
  /** Certificates in PEM that are trusted instead of those of the runtime. */
  readonly ca?: string | ReadonlyArray<string> | undefined
}

/** Where a set is, and what it is read as. */
export interface Options<K> extends Settings {
  readonly origin: JwksFetch.Origin
  readonly read: (body: Uint8Array) => Effect.Effect<K, JwksInvalid>
  /** For spans: who fetches. */
  readonly name: string
}

export type LoadError = KeysUnavailable | JwksInvalid

/** Looks something up in a set: a failure `KeyUnknown` may have the set read again. */
export type Lookup<K> = <A, E>(
  find: (keys: K) => Effect.Effect<A, E | KeyUnknown>
) => Effect.Effect<A, E | KeyUnknown | LoadError>

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

const second = 1000
const hour = 3_600_000

/** Milliseconds: the default and the bounds of each time. */
const times = {
  maxAge: { default: 600_000, min: second, max: hour },
  staleFor: { default: 600_000, min: 0, max: hour },
  cooldown: { default: 30_000, min: second, max: hour },
  failureFor: { default: 5_000, min: second, max: hour },
  timeout: { default: 5_000, min: 1, max: 30_000 }
} as const

/** Milliseconds of `Retry-After`, at most. */
const maxRetryAfter = 300_000

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

/** Failures in which the server said nothing that is certainly its own word. */
const silent: ReadonlyArray<KeysUnavailableReason | undefined> = [
  "Unreachable",
  "TimedOut",
  "Busy",
  "AddressRefused",
  "Untrusted"
]

/** A set that was read. */
interface Held<K> {
  readonly url: string
  readonly keys: K
  readonly etag: string | undefined
  readonly cacheControl: string | undefined
  /** When it was asked for, and for how many milliseconds it is good. */
  readonly at: number
  readonly freshFor: number
}

/** A failure, and for how many milliseconds it is the answer. */
interface Failed {
  readonly error: LoadError
  readonly at: number
  readonly for: number
}

/** Whether less than `millis` have passed. A clock that was set back has passed everything. */
const isWithin = (now: number, start: number, millis: number): boolean => now >= start && now < start + millis

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const isUnknown = (error: unknown): error is KeyUnknown => error instanceof KeyUnknown

/** A set, for as long as the scope is open. Nothing is read yet. */
export const make = Effect.fnUntraced(function* <K>(
  options: Options<K>
): Effect.fn.Return<Lookup<K>, InvalidConfiguration, Scope.Scope> {
  const maxAge = yield* millisOf("maxAge", options.maxAge, times.maxAge)
  const staleFor = yield* millisOf("staleFor", options.staleFor, times.staleFor)
  const cooldown = yield* millisOf("cooldown", options.cooldown, times.cooldown)
  const failureFor = yield* millisOf("failureFor", options.failureFor, times.failureFor)
  const timeout = yield* millisOf("timeout", options.timeout, times.timeout)
  const { allow, ca, ports } = options
  const { find: locate, get, host } = yield* JwksFetch.make(options.origin, { allow, ca, ports, timeout })
  const scope = yield* Scope.Scope

  let held: Held<K> | undefined
  let failed: Failed | undefined
  let found: { readonly url: URL; readonly at: number } | undefined
  let loading: Deferred.Deferred<Held<K>, LoadError> | undefined

  const read = Effect.fnUntraced(function* (at: number): Effect.fn.Return<Held<K>, LoadError> {
    if (found === undefined || !isWithin(at, found.at, maxAge)) {
      found = { url: yield* locate, at }
    }
    const { url } = found
    const before = held?.url === url.href ? held : undefined
    const answer = yield* get(url, before?.etag)
    // RFC 9111 section 4.3.4: what a 304 does not say stays as it was said
    const cacheControl = answer.cacheControl ?? (answer.body === undefined ? before?.cacheControl : undefined)
    const left = CacheControl.secondsLeft(cacheControl, answer.age)
    const freshFor = left === undefined ? maxAge : Math.min(maxAge, Math.max(cooldown, left * second))
    // RFC 9110 section 15.4.5: without a body it is the one we have, and its tag may be a new one
    if (answer.body === undefined) {
      return { ...before!, etag: answer.etag ?? before!.etag, cacheControl, at, freshFor }
    }
    const keys = yield* options.read(answer.body)
    return { url: url.href, keys, etag: answer.etag, cacheControl, at, freshFor }
  })

  const refresh = Effect.flatMap(Clock.currentTimeMillis, (at) =>
    read(at).pipe(
      Effect.tap((set) =>
        Effect.sync(() => {
          held = set
          failed = undefined
        })
      ),
      Effect.tapError((error) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          const isSilent = error._tag === "KeysUnavailable" && silent.includes(error.reason)
          if (!isSilent) held = undefined
          found = undefined
          const asked = error._tag === "KeysUnavailable" ? error.retryAfter : undefined
          const wait = asked === undefined ? 0 : Math.min(Duration.toMillis(asked), maxRetryAfter)
          failed = { error, at: now, for: Math.max(failureFor, wait) }
        })
      )
    )
  ).pipe(Effect.withSpan(`${options.name}.fetch`, { kind: "client", attributes: { "server.address": host } }))

  /** One request for all who wait, in a fiber of its own: it ends, whoever of them leaves. */
  const load: Effect.Effect<Held<K>, LoadError> = Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      if (loading !== undefined) return restore(Deferred.await(loading))
      const outcome = Deferred.makeUnsafe<Held<K>, LoadError>()
      loading = outcome
      return Effect.flatMap(Effect.forkIn(refresh, scope), (fiber) => {
        fiber.addObserver((exit) => {
          loading = undefined
          Deferred.doneUnsafe(outcome, exit)
        })
        return restore(Deferred.await(outcome))
      })
    })
  )

  return (find) => {
    /** The answer of a set that is not fresh, where it may still serve; and else the failure. */
    const orStale = (error: LoadError, now: number) =>
      held !== undefined && isWithin(now, held.at, held.freshFor + staleFor)
        ? // Not to know a key is no answer while the set cannot be read
          Effect.catchIf(find(held.keys), isUnknown, () => Effect.fail(error))
        : Effect.fail(error)

    const reload = (now: number) =>
      failed !== undefined && isWithin(now, failed.at, failed.for)
        ? orStale(failed.error, now)
        : Effect.matchEffect(load, {
            onSuccess: ({ keys }) => find(keys),
            onFailure: (error) => Effect.flatMap(Clock.currentTimeMillis, (later) => orStale(error, later))
          })

    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const set = held
      if (set === undefined || !isWithin(now, set.at, set.freshFor)) return reload(now)
      return Effect.catchIf(find(set.keys), isUnknown, (unknown) =>
        isWithin(now, set.at, cooldown) ? Effect.fail(unknown) : reload(now)
      )
    })
  }
})
