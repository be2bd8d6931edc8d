/**
 * Where a verifier of AdCP finds the JWK that a signature names: with all its
 * members, because what a key is for is one of them.
 *
 * @category internal
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import { isBytes } from "../../schemas/Bytes.ts"
import type { KeysUnavailable } from "../../schemas/KeyResolverError.ts"
import { JwksInvalid, KeyUnknown, shownKeyId } from "../../schemas/KeyResolverError.ts"
import * as Jwks from "../../schemas/Jwks.ts"
import { Malformed } from "../../schemas/Malformed.ts"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import * as StrictJson from "../../schemas/StrictJson.ts"

/**
 * A JWK as its owner published it, and who that is.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdcpKey {
  readonly jwk: { readonly [member: string]: unknown }
  /** The agent whose JWK Set it is of: the `url` of its entry in `brand.json`. */
  readonly agentUrl?: string | undefined
}

/**
 * What looking up a key can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type AdcpKeysError = KeyUnknown | KeysUnavailable | JwksInvalid

/**
 * Finds the JWK that a signature names.
 *
 * **Details**
 *
 * It is not asked to judge the key: purpose, operations and algorithm are checked by
 * whoever verifies, with a code of their own.
 *
 * @category services
 * @since 0.1.0
 */
export class AdcpKeys extends Context.Service<
  AdcpKeys,
  { readonly resolve: (keyId: string) => Effect.Effect<AdcpKey, AdcpKeysError> }
>()("effect-signer/AdcpKeys") {}

/**
 * What {@link AdcpKeys} is, as a value.
 *
 * @category models
 * @since 0.1.0
 */
export type AdcpKeysService = AdcpKeys["Service"]

/** The keys of a set, by their id. */
type KeySet = ReadonlyMap<string, AdcpKey>

const untrusted = (reason: JwksInvalid["reason"], problem: string, index?: number) =>
  new JwksInvalid({ reason, problem, ...(index === undefined ? {} : { index }) })

/** All of it is read anew: nobody changes a key that was read. */
const freeze = <A>(value: A): A => {
  if (typeof value === "object" && value !== null) {
    for (const member of Object.values(value)) freeze(member)
    Object.freeze(value)
  }
  return value
}

const textOf = (input: unknown): string => {
  try {
    return JSON.stringify(input) ?? ""
  } catch {
    return ""
  }
}

/** Reads a set: its form, and that each key has an id of its own. What a key says is not judged here. */
const read = (input: unknown, agentUrl: string | undefined): Effect.Effect<KeySet, JwksInvalid> =>
  Effect.suspend(() => {
    const json = typeof input === "string" || isBytes(input) ? input : textOf(input)
    if (json.length > Jwks.maxLength) {
      return Effect.fail(untrusted("TooLarge", `longer than ${Jwks.maxLength} bytes`))
    }
    let set: unknown
    try {
      set = typeof json === "string" ? StrictJson.parse(json, "jwks") : StrictJson.parseBytes(json, "jwks")
    } catch (error) {
      if (error instanceof Malformed) return Effect.fail(untrusted("Malformed", error.problem))
      throw error
    }
    const keys = StrictJson.isRecord(set) ? set["keys"] : undefined
    if (!Array.isArray(keys)) {
      return Effect.fail(untrusted("Malformed", `a JWK Set is an object with an array "keys"`))
    }
    if (keys.length > Jwks.maxKeys) {
      return Effect.fail(untrusted("TooManyKeys", `${keys.length} keys; a set has ${Jwks.maxKeys} at most`))
    }
    const byId = new Map<string, AdcpKey>()
    for (const [index, jwk] of (keys as ReadonlyArray<unknown>).entries()) {
      if (!StrictJson.isRecord(jwk)) return Effect.fail(untrusted("MalformedKey", "a key must be an object", index))
      const { kid } = jwk
      // A key without an id is none that a signature can name
      if (typeof kid !== "string" || kid === "") continue
      if (byId.has(kid)) {
        return Effect.fail(untrusted("DuplicateKeyId", "another key of the set has the same kid", index))
      }
      byId.set(kid, { jwk: freeze(jwk), ...(agentUrl === undefined ? {} : { agentUrl }) })
    }
    return Effect.succeed(byId)
  })

const find = (keys: KeySet, keyId: string): Effect.Effect<AdcpKey, KeyUnknown> => {
  const key = keys.get(keyId)
  return key === undefined ? Effect.fail(new KeyUnknown({ keyId: shownKeyId(keyId) })) : Effect.succeed(key)
}

/**
 * Options of {@link keysFromJwks}.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdcpKeysOptions {
  /** The agent whose keys they are: what a verified message says of who signed it. */
  readonly agentUrl?: string | undefined
}

/**
 * The keys of a JWK Set: JSON as text or bytes, or parsed already.
 *
 * **Details**
 *
 * At most 64 KiB and 100 keys, no JSON member and no `kid` twice. Keys without `kid`
 * are left out.
 *
 * @category keys
 * @since 0.1.0
 */
export const keysFromJwks = (
  jwks: unknown,
  options: AdcpKeysOptions = {}
): Effect.Effect<AdcpKeysService, JwksInvalid> =>
  Effect.map(read(jwks, options.agentUrl), (keys) => AdcpKeys.of({ resolve: (keyId) => find(keys, keyId) }))

/**
 * Options of {@link keysFromLoader}.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdcpLoaderOptions extends AdcpKeysOptions {
  /** How long a set is kept. Default 10 minutes; not longer than revocations are polled. */
  readonly maxAge?: Duration.Input | undefined
  /** How long it is not read again for a key that is not in it. Default 30 seconds, as AdCP says. */
  readonly cooldown?: Duration.Input | undefined
  /** How long it is not read again after that failed. Default 5 seconds. */
  readonly failureFor?: Duration.Input | undefined
}

const millisOf = (
  field: string,
  input: Duration.Input,
  most: Duration.Duration
): Effect.Effect<number, InvalidConfiguration> => {
  const duration = Option.getOrUndefined(Duration.fromInput(input))
  return duration !== undefined && Duration.between(duration, { minimum: Duration.seconds(1), maximum: most })
    ? Effect.succeed(Duration.toMillis(duration))
    : Effect.fail(
        InvalidConfiguration.of({ operation: "make", field, problem: `must be from 1s to ${Duration.format(most)}` })
      )
}

/**
 * The keys of a JWK Set that is read when it is needed: by an effect of yours, which
 * fetches it in a way that you trust.
 *
 * **Details**
 *
 * One read for all who wait. A key id that is not in the set has it read again, once
 * in `cooldown`. A set that cannot be read leaves the last one in place until
 * `maxAge` has passed, and nothing after that: then it is `KeysUnavailable`, which
 * may be retried. A failure is the answer for `failureFor`.
 *
 * For a set behind an https URL there is `RemoteAdcpKeys`.
 *
 * @category keys
 * @since 0.1.0
 */
export const keysFromLoader = Effect.fnUntraced(function* (
  load: Effect.Effect<unknown, KeysUnavailable>,
  options: AdcpLoaderOptions = {}
): Effect.fn.Return<AdcpKeysService, InvalidConfiguration> {
  const maxAge = yield* millisOf("maxAge", options.maxAge ?? "10 minutes", Duration.hours(1))
  const cooldown = yield* millisOf("cooldown", options.cooldown ?? "30 seconds", Duration.hours(1))
  const failureFor = yield* millisOf("failureFor", options.failureFor ?? "5 seconds", Duration.hours(1))
  let held: { readonly keys: KeySet; readonly at: number } | undefined
  let failed: { readonly error: AdcpKeysError; readonly at: number } | undefined
  const reading = Semaphore.makeUnsafe(1)

  const keysWithin = (now: number, millis: number): KeySet | undefined =>
    held !== undefined && isWithin(now, held.at, millis) ? held.keys : undefined

  /** What is known without reading, where that is an answer. */
  const known = (keyId: string, now: number): Effect.Effect<AdcpKey, AdcpKeysError> | undefined => {
    const keys = keysWithin(now, maxAge)
    if (keys?.has(keyId) === true) return find(keys, keyId)
    // Not to know a key is no answer while the set cannot be read
    if (failed !== undefined && isWithin(now, failed.at, failureFor)) return Effect.fail(failed.error)
    const recent = keysWithin(now, Math.min(cooldown, maxAge))
    return recent && find(recent, keyId)
  }

  const refresh = Effect.flatMap(load, (set) => read(set, options.agentUrl)).pipe(
    Effect.tapError((error) =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        failed = { error, at }
      })
    )
  )

  return AdcpKeys.of({
    resolve: (keyId) => {
      const knownNow = Effect.map(Clock.currentTimeMillis, (now) => known(keyId, now))
      return Effect.flatMap(
        knownNow,
        (answer) =>
          answer ??
          reading.withPermit(
            Effect.gen(function* () {
              // Somebody else may have read it while this one waited
              const answer = yield* knownNow
              if (answer !== undefined) return yield* answer
              const at = yield* Clock.currentTimeMillis
              const keys = yield* refresh
              held = { keys, at }
              failed = undefined
              return yield* find(keys, keyId)
            })
          )
      )
    }
  })
})

/** Whether less than `millis` have passed. A clock that was set back has passed everything. */
const isWithin = (now: number, start: number, millis: number): boolean => now >= start && now < start + millis

/**
 * The keys of several agents.
 *
 * **Details**
 *
 * All of them are asked, at once. A key id that two agents have is `JwksInvalid`: one
 * of them may have published the key of the other, and be taken for who signed. A set
 * that cannot be read, or is refused, is the reason only where nobody knows the key.
 *
 * **Gotchas**
 *
 * A lookup waits for the slowest of them. Where another credential says who asks,
 * look in the keys of that agent only.
 *
 * @category keys
 * @since 0.1.0
 */
export const allKeys = (all: ReadonlyArray<AdcpKeysService>): AdcpKeysService =>
  AdcpKeys.of({
    resolve: Effect.fnUntraced(function* (keyId) {
      const outcomes = yield* Effect.forEach(all, (keys) => Effect.result(keys.resolve(keyId)), {
        concurrency: "unbounded"
      })
      const [found, ...others] = outcomes.flatMap((one) => (Result.isSuccess(one) ? [one.success] : []))
      if (found === undefined) {
        const failures = outcomes.flatMap((one) => (Result.isFailure(one) ? [one.failure] : []))
        return yield* failures.find(({ _tag }) => _tag !== "KeyUnknown") ?? new KeyUnknown({ keyId: shownKeyId(keyId) })
      }
      if (others.some((other) => !isSameKey(found, other))) {
        return yield* untrusted("DuplicateKeyId", "keys of two agents have the same kid")
      }
      return found
    })
  })

/** Whether two sources speak of one key of one agent. */
const isSameKey = (a: AdcpKey, b: AdcpKey): boolean =>
  a.jwk === b.jwk || (a.agentUrl !== undefined && a.agentUrl === b.agentUrl)

/**
 * Provides the keys of a JWK Set.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerJwks = (jwks: unknown, options?: AdcpKeysOptions): Layer.Layer<AdcpKeys, JwksInvalid> =>
  Layer.effect(AdcpKeys, keysFromJwks(jwks, options))

/**
 * Provides keys that are read when they are needed, as {@link keysFromLoader}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerLoader = (
  load: Effect.Effect<unknown, KeysUnavailable>,
  options?: AdcpLoaderOptions
): Layer.Layer<AdcpKeys, InvalidConfiguration> => Layer.effect(AdcpKeys, keysFromLoader(load, options))
