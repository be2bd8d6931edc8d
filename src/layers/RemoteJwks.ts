/**
 * Keys that somebody publishes: a JWK Set behind an https URL, or that of an OpenID
 * provider, as a `KeyResolver`.
 *
 * The URL comes from whoever configures the program, never from a message.
 *
 * **Details**
 *
 * - The set is read when a key is first needed, by one request for all who wait, and
 *   kept as long as the server says, ten minutes at most (`maxAge`, up to an hour). A
 *   key id that is not in it has it read again, once in 30 seconds at most.
 * - While the server is silent, the last set serves for ten more minutes. What the
 *   server says counts at once: a set that is wrong, or gone, ends that.
 * - A key that leaves the set is refused after 20 minutes at the latest: `maxAge`
 *   and `staleFor`.
 * - One GET over TLS to public addresses, checked and then connected to. No redirect
 *   is followed; five seconds, 64 KiB and 100 keys at most; plain JSON. Loopback,
 *   private, link-local and every other special address is refused, in any notation.
 *
 * **Gotchas**
 *
 * Needs `node:https`. A network that reaches IPv4 by NAT64 must allow that prefix:
 * `allow: ["64:ff9b::/96"]`.
 *
 * **Example** (Tokens of an OpenID provider)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as Jwt from "effect-signer/Jwt"
 * import * as RemoteJwks from "effect-signer/RemoteJwks"
 *
 * const issuer = "https://id.example"
 * const KeysLive = RemoteJwks.layer({ issuer })
 *
 * const subjectOf = (token: string) =>
 *   Jwt.verify(token, { issuer, audience: "api" }).pipe(
 *     Effect.map(({ subject }) => subject),
 *     Effect.provide(KeysLive)
 *   )
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as CacheControl from "../schemas/CacheControl.ts"
import type { JwksInvalid, KeyResolverError, KeysUnavailableReason } from "../schemas/KeyResolverError.ts"
import { KeysUnavailable, KeyUnknown, shownKeyId } from "../schemas/KeyResolverError.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import * as KeyResolver from "../services/KeyResolver.ts"
import * as JwksFetch from "./jwks/JwksFetch.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * Where the keys are, and whose.
 *
 * @category models
 * @since 0.1.0
 */
export type Source =
  | {
      /** The https URL of a JWK Set. */
      readonly url: string
      /** Whose keys they are: for tokens, the issuer. */
      readonly owner: string
    }
  | {
      /**
       * An OpenID provider, exactly as its tokens name it in `iss`. Its discovery
       * document (`/.well-known/openid-configuration`) says where its keys are.
       */
      readonly issuer: string
      /** Default: the issuer. */
      readonly owner?: string | undefined
    }

/**
 * Options that a {@link Source} may have.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly tenant?: string | undefined
  readonly purpose?: string | undefined
  /** As `KeyResolver.fromJwks`: needed where RSA keys state no `alg`. */
  readonly algorithms?: ReadonlyArray<SignatureAlgorithm> | undefined
  /** As `KeyResolver.fromJwks`: `"ignore"` where the set holds keys for encryption, too. Default `"refuse"`. */
  readonly foreignKeys?: "refuse" | "ignore" | undefined
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

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export type Options = Source & Settings

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

const invalid = (field: string, problem: string) => InvalidConfiguration.of({ operation: "make", field, problem })

const millisOf = (settings: Settings, name: keyof typeof times): Effect.Effect<number, InvalidConfiguration> => {
  const { default: otherwise, max, min } = times[name]
  const [least, most] = [Duration.millis(min), Duration.millis(max)]
  const duration = Option.getOrUndefined(Duration.fromInput(settings[name] ?? otherwise))
  return duration !== undefined && Duration.between(duration, { minimum: least, maximum: most })
    ? Effect.succeed(Duration.toMillis(duration))
    : Effect.fail(invalid(name, `must be from ${Duration.format(least)} to ${Duration.format(most)}`))
}

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

type LoadError = KeysUnavailable | JwksInvalid

/** A set that was read. */
interface Held {
  readonly url: string
  readonly keys: KeyResolver.Service
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

/**
 * A resolver of the keys that somebody publishes, for as long as the scope is open.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where options are wrong; the set is read later,
 * when a key is needed. Lookups then fail with `KeysUnavailable` (see its `reason`),
 * `JwksInvalid`, or `KeyUnknown`. Nothing is retried here. A caller that is
 * interrupted leaves the request to the others; closing the scope ends it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<KeyResolver.Service, InvalidConfiguration, Scope.Scope> {
  const maxAge = yield* millisOf(options, "maxAge")
  const staleFor = yield* millisOf(options, "staleFor")
  const cooldown = yield* millisOf(options, "cooldown")
  const failureFor = yield* millisOf(options, "failureFor")
  const timeout = yield* millisOf(options, "timeout")
  const { algorithms, allow, ca, foreignKeys, ports, purpose, tenant } = options
  const { find, get, host } = yield* JwksFetch.make(options as JwksFetch.Origin, { allow, ca, ports, timeout })
  const owner = options.owner ?? (options as JwksFetch.Origin).issuer
  if (owner === undefined || owner === "") return yield* invalid("owner", "state whose keys they are")
  const scope = yield* Scope.Scope

  let held: Held | undefined
  let failed: Failed | undefined
  let found: { readonly url: URL; readonly at: number } | undefined
  let loading: Deferred.Deferred<Held, LoadError> | undefined

  const read = Effect.fnUntraced(function* (at: number): Effect.fn.Return<Held, LoadError> {
    if (found === undefined || !isWithin(at, found.at, maxAge)) {
      found = { url: yield* find, at }
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
    const keys = yield* KeyResolver.fromJwks(answer.body, { algorithms, foreignKeys, owner, purpose, tenant })
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
  ).pipe(Effect.withSpan("RemoteJwks.fetch", { kind: "client", attributes: { "server.address": host } }))

  /** One request for all who wait, in a fiber of its own: it ends, whoever of them leaves. */
  const load: Effect.Effect<Held, LoadError> = Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      if (loading !== undefined) return restore(Deferred.await(loading))
      const outcome = Deferred.makeUnsafe<Held, LoadError>()
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

  /** The answer of a set that is not fresh, where it may still serve; and else the failure. */
  const orStale = (request: KeyResolver.KeyRequest, error: LoadError, now: number) =>
    held !== undefined && isWithin(now, held.at, held.freshFor + staleFor)
      ? // Not to know a key is no answer while the set cannot be read
        Effect.catchTag(held.keys.resolve(request), "KeyUnknown", () => Effect.fail(error))
      : Effect.fail(error)

  const reload = (
    request: KeyResolver.KeyRequest,
    now: number
  ): Effect.Effect<KeyResolver.ResolvedKey, KeyResolverError> =>
    failed !== undefined && isWithin(now, failed.at, failed.for)
      ? orStale(request, failed.error, now)
      : Effect.matchEffect(load, {
          onSuccess: ({ keys }) => keys.resolve(request),
          onFailure: (error) => Effect.flatMap(Clock.currentTimeMillis, (later) => orStale(request, error, later))
        })

  return KeyResolver.KeyResolver.of({
    resolve: (request) =>
      Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<KeyResolver.ResolvedKey, KeyResolverError> => {
        const isOfOthers =
          (request.issuer !== undefined && request.issuer !== owner) ||
          (request.tenant !== undefined && request.tenant !== tenant) ||
          (request.purpose !== undefined && request.purpose !== purpose)
        if (isOfOthers) {
          return Effect.fail(new KeyUnknown(request.keyId === undefined ? {} : { keyId: shownKeyId(request.keyId) }))
        }
        const set = held
        if (set === undefined || !isWithin(now, set.at, set.freshFor)) return reload(request, now)
        return Effect.catchTag(set.keys.resolve(request), "KeyUnknown", (unknown) =>
          isWithin(now, set.at, cooldown) ? Effect.fail(unknown) : reload(request, now)
        )
      })
  })
})

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides a resolver of the keys that somebody publishes.
 *
 * **Gotchas**
 *
 * Keep the layer in a `const`: two calls of `layer(options)` are two resolvers, each
 * with a set of its own. Several issuers are several resolvers, put together with
 * `KeyResolver.firstOf`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<KeyResolver.KeyResolver, InvalidConfiguration> =>
  Layer.effect(KeyResolver.KeyResolver, make(options))
