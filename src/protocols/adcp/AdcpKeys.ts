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
 * may be retried.
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
  let held: { readonly keys: KeySet; readonly at: number } | undefined
  let asked = -Infinity
  const isFresh = (now: number) => held !== undefined && now >= held.at && now < held.at + maxAge
  const reading = Semaphore.makeUnsafe(1)

  const refresh = (before: typeof held): Effect.Effect<KeySet, AdcpKeysError> =>
    reading.withPermit(
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        // Somebody else has read it while this one waited
        if (held !== undefined && held !== before && isFresh(now)) return held.keys
        asked = now
        const keys = yield* Effect.flatMap(load, (set) => read(set, options.agentUrl))
        held = { keys, at: now }
        return keys
      })
    )

  return AdcpKeys.of({
    resolve: (keyId) =>
      Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<AdcpKey, AdcpKeysError> => {
        const set = held
        if (set === undefined || !isFresh(now)) return Effect.flatMap(refresh(set), (keys) => find(keys, keyId))
        if (set.keys.has(keyId) || (now >= asked && now < asked + cooldown)) return find(set.keys, keyId)
        return Effect.flatMap(refresh(set), (keys) => find(keys, keyId))
      })
  })
})

/**
 * Asks several in turn: the first that knows the key answers. One that cannot be
 * read is the reason where nobody knows it.
 *
 * @category keys
 * @since 0.1.0
 */
export const firstKeys = (all: ReadonlyArray<AdcpKeysService>): AdcpKeysService =>
  AdcpKeys.of({
    resolve: Effect.fnUntraced(function* (keyId) {
      let missing: KeysUnavailable | undefined
      for (const keys of all) {
        const found = yield* Effect.catchTags(Effect.asSome(keys.resolve(keyId)), {
          KeyUnknown: () => Effect.succeedNone,
          KeysUnavailable: (error) => {
            missing ??= error
            return Effect.succeedNone
          }
        })
        if (Option.isSome(found)) return found.value
      }
      return yield* missing ?? new KeyUnknown({ keyId: shownKeyId(keyId) })
    })
  })

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
