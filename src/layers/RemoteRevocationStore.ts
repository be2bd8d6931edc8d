/**
 * Keys and tokens that an issuer has revoked: a signed list behind an https URL.
 *
 * The list is a compact JWS of `{version, issuer, updated, next_update, revoked_jtis,
 * revoked_kids}`. Its signature is verified with the `KeyResolver` of the environment,
 * by a key of that issuer.
 *
 * **Details**
 *
 * - It is read when it is first needed, by one request for all who wait, and again
 *   when it is five minutes old or its `next_update` has come, once in 30 seconds at
 *   most.
 * - A list that cannot be had, or that is refused, leaves the last one in force until
 *   five minutes (`grace`) after its `next_update`. Then every check fails, with
 *   `RevocationStale`: nobody knows what was revoked meanwhile.
 * - Refused are: a wrong signature, `typ` or issuer; a list that is good for more than
 *   seven days, or comes from the future; and one that is older than the last one, by
 *   `version` or `updated`, or by a key that the last one has revoked, with which somebody
 *   could take a revocation back.
 * - The request is guarded as that of `RemoteJwks`: https, public addresses, no
 *   redirect, five seconds, 64 KiB.
 *
 * **Gotchas**
 *
 * Keys of another owner than `issuer` or `owner` pass: the list has nothing to say of
 * them. State the `owner` where keys name their issuer differently than the list does.
 *
 * After a restart there is no last list to compare with: an older one that is still
 * good passes. Whoever can keep the list from being read can stop everything that
 * depends on it: state a longer `grace` where that weighs more.
 *
 * **Example** (Keys of an issuer, and its list)
 *
 * ```ts
 * import { Layer } from "effect"
 * import * as RemoteJwks from "effect-signer/RemoteJwks"
 * import * as RemoteRevocationStore from "effect-signer/RemoteRevocationStore"
 * import * as RevocationStore from "effect-signer/RevocationStore"
 *
 * const issuer = "https://gov.example"
 *
 * const KeysLive = RevocationStore.layerRefusing.pipe(
 *   Layer.provide(RemoteRevocationStore.layer({
 *     url: "https://gov.example/.well-known/governance-revocations.json",
 *     issuer,
 *     typ: "adcp-gov-revocation+jws"
 *   })),
 *   Layer.provide(RemoteJwks.layer({ url: "https://gov.example/.well-known/jwks.json", owner: issuer }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Jws from "../protocols/Jws.ts"
import { KeyRevoked, RevocationStale, shownKeyId } from "../schemas/KeyResolverError.ts"
import { Malformed } from "../schemas/Malformed.ts"
import { InvalidConfiguration, VendorError } from "../schemas/SignerError.ts"
import { KeyResolver } from "../services/KeyResolver.ts"
import * as RevocationStore from "../services/RevocationStore.ts"
import { millisOf } from "./jwks/BoundedTime.ts"
import * as GuardedFetch from "./jwks/GuardedFetch.ts"
import * as RevocationList from "./revocation/RevocationList.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The https URL of the list. */
  readonly url: string
  /** Who publishes it, exactly as the list says: the owner of the key that signs it, unless `owner` is stated. */
  readonly issuer: string
  /** Whose key signs the list. Default: the issuer. */
  readonly owner?: string | undefined
  /** The purpose that the key must have. Default: any. */
  readonly purpose?: string | undefined
  /** The `typ` of the JWS. */
  readonly typ: string
  /** How long a list is not read again, unless its `next_update` comes first. Default 5 minutes, at most 30. */
  readonly maxAge?: Duration.Input | undefined
  /** How long after its `next_update` a list is still gone by. Default 5 minutes, at most 2 hours. */
  readonly grace?: Duration.Input | undefined
  /** The time between two requests, at least. Default 30 seconds. */
  readonly cooldown?: Duration.Input | undefined
  /** From `updated` to `next_update`, at most. Default and at most 7 days. */
  readonly maxValidity?: Duration.Input | undefined
  /** For one GET. Default 5 seconds, at most 30. */
  readonly timeout?: Duration.Input | undefined
  /** As of `RemoteJwks`. */
  readonly allow?: ReadonlyArray<string> | undefined
  /** Default: 443 only. */
  readonly ports?: ReadonlyArray<number> | undefined
  /** Certificates in PEM that are trusted instead of those of the runtime. */
  readonly ca?: string | ReadonlyArray<string> | undefined
}

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

const minute = 60_000

/** Milliseconds: the default and the bounds of each time. */
const times = {
  maxAge: { default: 5 * minute, min: 1000, max: 30 * minute },
  grace: { default: 5 * minute, min: 0, max: 120 * minute },
  cooldown: { default: 30_000, min: 1000, max: 30 * minute },
  maxValidity: { default: 7 * 1440 * minute, min: minute, max: 7 * 1440 * minute },
  timeout: { default: 5000, min: 1, max: 30_000 }
} as const

/** How far the clock of the issuer may be ahead, in milliseconds. */
const skew = minute

/** RFC 7515 section 9.2.1, and what servers make of a file. */
const accept = ["application/jose", "application/json", "text/plain"]

const invalid = (field: string, problem: string) => InvalidConfiguration.of({ operation: "make", field, problem })

/** Why a list does not count, in words that quote nothing of it. */
interface Refusal {
  readonly problem: string
  readonly cause?: VendorError | undefined
}

const refuse = (problem: string, cause?: VendorError) => Effect.fail<Refusal>({ problem, cause })

const utf8 = new TextDecoder("utf-8", { fatal: false })

/** Whether less than `millis` have passed. A clock that was set back has passed everything. */
const isWithin = (now: number, start: number, millis: number): boolean => now >= start && now < start + millis

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * A store of what an issuer publishes, for as long as the scope is open.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where options are wrong; the list is read later,
 * when it is needed. Nothing is retried. A caller that is interrupted leaves the
 * request to the others; closing the scope ends it. A question about another issuer is
 * answered without the list: it has nothing to say of it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<RevocationStore.Service, InvalidConfiguration, KeyResolver | Scope.Scope> {
  const { allow, ca, issuer, owner = issuer, ports, purpose, typ } = options
  const maxAge = yield* millisOf("maxAge", options.maxAge, times.maxAge)
  const grace = yield* millisOf("grace", options.grace, times.grace)
  const cooldown = yield* millisOf("cooldown", options.cooldown, times.cooldown)
  const maxValidity = yield* millisOf("maxValidity", options.maxValidity, times.maxValidity)
  const timeout = yield* millisOf("timeout", options.timeout, times.timeout)
  if (issuer === "") return yield* invalid("issuer", "state who publishes the list")
  if (typ === "") return yield* invalid("typ", "state the typ of the JWS")
  const { get, parseUrl } = yield* GuardedFetch.make({ allow, ca, ports, timeout })
  const url = parseUrl(options.url)
  if (typeof url === "string") return yield* invalid("url", url)
  const resolver = yield* KeyResolver
  const scope = yield* Scope.Scope

  let held:
    | { readonly list: RevocationList.RevocationList; readonly at: number; readonly etag: string | undefined }
    | undefined
  let failed: Refusal | undefined
  /** When the list was asked for last. */
  let askedAt: number | undefined
  let loading: Deferred.Deferred<void> | undefined

  const listOf = Effect.fnUntraced(function* (
    body: Uint8Array,
    now: number
  ): Effect.fn.Return<RevocationList.RevocationList, Refusal> {
    const { key, payload } = yield* Jws.verify(utf8.decode(body).trim(), { typ, issuer: owner, purpose }).pipe(
      Effect.provideService(KeyResolver, resolver),
      Effect.catch((error) => refuse(`its signature is not accepted (${error._tag})`))
    )
    const list = yield* Effect.try({
      try: () => RevocationList.read(payload),
      catch: (error): Refusal => {
        if (error instanceof Malformed) return { problem: error.problem }
        throw error
      }
    })
    if (list.issuer !== issuer) return yield* refuse("it is that of another issuer")
    if (list.updated > now + skew) return yield* refuse("it comes from the future")
    if (list.nextUpdate - list.updated > maxValidity) return yield* refuse("it is good for longer than maxValidity")
    const last = held?.list
    if (last === undefined) return list
    if (last.keyIds.has(key.keyId)) return yield* refuse("the one before has revoked the key that signs it")
    if (list.version < last.version || list.updated < last.updated) {
      return yield* refuse("it is older than the one before")
    }
    return list
  })

  const read = Effect.fnUntraced(function* (now: number): Effect.fn.Return<void, Refusal> {
    const answer = yield* Effect.mapError(get({ url, accept, etag: held?.etag }), (failure): Refusal => {
      const { code, problem, reason, status } = failure
      const cause = new VendorError({
        ...(code === undefined ? {} : { code }),
        ...(status === undefined ? {} : { status })
      })
      return { problem: `${reason}: ${problem}`, cause: code === undefined && status === undefined ? undefined : cause }
    })
    // RFC 9110 section 15.4.5: without a body it is the one we have
    held =
      answer.body === undefined
        ? { ...held!, at: now }
        : { list: yield* listOf(answer.body, now), at: now, etag: answer.etag }
    failed = undefined
  })

  const refresh = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    askedAt = now
    return Effect.catch(read(now), (refusal) =>
      Effect.sync(() => {
        failed = refusal
      })
    )
  }).pipe(
    Effect.withSpan("RemoteRevocationStore.fetch", { kind: "client", attributes: { "server.address": url.hostname } })
  )

  /** One request for all who wait, in a fiber of its own: it ends, whoever of them leaves. */
  const load: Effect.Effect<void> = Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      if (loading !== undefined) return restore(Deferred.await(loading))
      const outcome = Deferred.makeUnsafe<void>()
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

  const isFresh = (now: number) => held !== undefined && isWithin(now, held.at, maxAge) && now < held.list.nextUpdate

  const stale = (reason: RevocationStale["reason"]) => {
    const { cause, problem }: Refusal = failed ?? { problem: "there is no newer list" }
    return Effect.fail(new RevocationStale({ reason, problem, ...(cause === undefined ? {} : { cause }) }))
  }

  const current: Effect.Effect<RevocationList.RevocationList, RevocationStale> = Effect.gen(function* () {
    const before = yield* Clock.currentTimeMillis
    if (!isFresh(before) && (askedAt === undefined || !isWithin(before, askedAt, cooldown) || loading !== undefined)) {
      yield* load
    }
    const now = yield* Clock.currentTimeMillis
    if (held === undefined) return yield* stale("Unavailable")
    return now < held.list.nextUpdate + grace ? held.list : yield* stale("Outdated")
  })

  const isOurs = (asked: string | undefined) => asked === undefined || asked === issuer || asked === owner

  return RevocationStore.RevocationStore.of({
    check: (question) =>
      isOurs(question.issuer)
        ? Effect.flatMap(current, ({ keyIds }) =>
            keyIds.has(question.keyId)
              ? Effect.fail(new KeyRevoked({ keyId: shownKeyId(question.keyId), issuer }))
              : Effect.void
          )
        : Effect.void,
    checkToken: (question) =>
      isOurs(question.issuer)
        ? Effect.flatMap(current, ({ tokenIds }) =>
            tokenIds.has(question.jti) ? Effect.fail(new RevocationStore.TokenRevoked({ issuer })) : Effect.void
          )
        : Effect.void
  })
})

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides a store of what an issuer publishes.
 *
 * **Gotchas**
 *
 * Keep the layer in a `const`: two calls of `layer(options)` are two stores, each with
 * a list of its own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<RevocationStore.RevocationStore, InvalidConfiguration, KeyResolver> =>
  Layer.effect(RevocationStore.RevocationStore, make(options))
