/**
 * Message authentication with a shared secret: HMAC with SHA-2 (RFC 2104), the
 * `HS256`, `HS384` and `HS512` of JOSE.
 *
 * A service of its own, never a kind of `Signer` and never an answer of a
 * `KeyResolver`: who can check a MAC can also make one, and a public key taken for
 * a shared secret is the oldest forgery of tokens there is.
 *
 * **Gotchas**
 *
 * The secret stays in this process's memory. A MAC proves to nobody else who made
 * it: where that matters, sign.
 *
 * **Example** (A MAC with a secret from the environment)
 *
 * ```ts
 * import { Config, Effect } from "effect"
 * import * as Mac from "effect-signer/Mac"
 *
 * const MacLive = Mac.layerConfig({
 *   secret: Config.Redacted("SESSION_SECRET"),
 *   algorithm: Config.succeed("HS256" as const)
 * })
 *
 * const program = Mac.Mac.use((mac) => mac.compute(new TextEncoder().encode("hello"))).pipe(Effect.provide(MacLive))
 * ```
 *
 * @since 0.1.0
 */
import { hmac } from "@noble/hashes/hmac.js"
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { primitives } from "#primitives"
import * as Base64Url from "../schemas/Base64Url.ts"
import { isBytes } from "../schemas/Bytes.ts"
import { invalid, maxInputLength } from "../schemas/Malformed.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"

/**
 * The algorithms, by their JOSE names.
 *
 * @category schemas
 * @since 0.1.0
 */
export const MacAlgorithm = Schema.Literals(["HS256", "HS384", "HS512"])

/**
 * The type of {@link MacAlgorithm}.
 *
 * @category models
 * @since 0.1.0
 */
export type MacAlgorithm = typeof MacAlgorithm.Type

/**
 * Makes and checks MACs with one secret and one algorithm.
 *
 * @category services
 * @since 0.1.0
 */
export class Mac extends Context.Service<
  Mac,
  {
    readonly algorithm: MacAlgorithm
    /** How messages name the secret. */
    readonly keyId?: string | undefined
    readonly compute: (message: Uint8Array) => Effect.Effect<Uint8Array>
    /** Whether the MAC is that of the message. Takes the same time wherever they differ. */
    readonly verify: (message: Uint8Array, mac: Uint8Array) => Effect.Effect<boolean>
  }
>()("effect-signer/Mac") {}

/**
 * What a {@link Mac} is, as a value.
 *
 * @category models
 * @since 0.1.0
 */
export type Service = Mac["Service"]

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly algorithm: MacAlgorithm
  /** At least as long as the hash: 32, 48 or 64 bytes. Random bytes, not a password. */
  readonly secret: Redacted.Redacted<Uint8Array>
  readonly keyId?: string | undefined
}

const hashes = { HS256: sha256, HS384: sha384, HS512: sha512 } as const

/** Looks at every byte, whatever the first ones say. */
const isEqual = (a: Uint8Array, b: Uint8Array): boolean => {
  let difference = a.length ^ b.length
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i % b.length]!
  return difference === 0
}

const isAlgorithm = Schema.is(MacAlgorithm)

/**
 * A Mac with a secret, which is copied.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where the secret is shorter than the hash (RFC
 * 7518 section 3.2).
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Service, InvalidConfiguration> =>
  Effect.suspend(() => {
    const { algorithm, keyId } = options
    if (!isAlgorithm(algorithm)) {
      return Effect.fail(invalid("algorithm", `must be one of ${MacAlgorithm.literals.join(", ")}`))
    }
    const hash = hashes[algorithm]
    const secret = Redacted.value(options.secret)
    if (!isBytes(secret)) return Effect.fail(invalid("secret", "expected bytes, as a Uint8Array"))
    if (secret.length < hash.outputLen || secret.length > maxInputLength) {
      return Effect.fail(
        invalid(
          "secret",
          `${secret.length} bytes; ${algorithm} needs ${hash.outputLen} random bytes or more (RFC 7518 section 3.2), ` +
            `and ${maxInputLength} at most`
        )
      )
    }
    // Keyed once; each MAC starts from a clone of this state
    const keyed = hmac.create(hash, new Uint8Array(secret))
    const digest = (message: Uint8Array) => keyed.clone().update(message).digest()
    return Effect.succeed(
      Mac.of({
        algorithm,
        keyId,
        compute: (message) => Effect.sync(() => digest(message)),
        verify: (message, mac) =>
          Effect.sync(() => isBytes(mac) && mac.length === hash.outputLen && isEqual(digest(message), mac))
      })
    )
  })

/**
 * A Mac from a symmetric JWK (RFC 7518 section 6.4), already parsed from JSON.
 *
 * **Details**
 *
 * `kty` must be `oct`, `alg` one of `HS256`, `HS384`, `HS512`, `use` and `key_ops`
 * those of signatures. `kid` becomes the key id.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromJwk = (
  jwk: Redacted.Redacted<unknown>,
  options?: {
    /** Needed where the JWK has no `alg`; must be the one that it has. */
    readonly algorithm?: MacAlgorithm | undefined
  }
): Effect.Effect<Service, InvalidConfiguration> =>
  Effect.suspend(() => {
    const value = Redacted.value(jwk)
    if (typeof value !== "object" || value === null) return Effect.fail(invalid("jwk", "expected an object"))
    const { alg: stated, k, key_ops: operations, kid, kty, use } = { ...value } as { readonly [name: string]: unknown }
    const alg = stated ?? options?.algorithm
    if (kty !== "oct") return Effect.fail(invalid("jwk", `"kty" must be "oct"`))
    if (!isAlgorithm(alg)) {
      return Effect.fail(invalid("jwk", `"alg" must be one of ${MacAlgorithm.literals.join(", ")}`))
    }
    if (options?.algorithm !== undefined && alg !== options.algorithm) {
      return Effect.fail(invalid("algorithm", `${options.algorithm} was asked for, and the secret is for ${alg} only`))
    }
    if (use !== undefined && use !== "sig") return Effect.fail(invalid("jwk", `"use" must be "sig"`))
    if (
      operations !== undefined &&
      !(Array.isArray(operations) && operations.length > 0 && operations.every((o) => o === "sign" || o === "verify"))
    ) {
      return Effect.fail(invalid("jwk", `"key_ops" must list "sign" and "verify" and nothing else`))
    }
    if (kid !== undefined && typeof kid !== "string") return Effect.fail(invalid("jwk", `"kid" must be text`))
    const secret = typeof k === "string" && k.length <= maxInputLength ? Base64Url.decode(k) : undefined
    if (secret === undefined) return Effect.fail(invalid("jwk", `"k" is not base64url in its one form`))
    return make({ algorithm: alg, secret: Redacted.make(secret), keyId: kid })
  })

/** Secrets of a set, at most. */
const maxKeys = 100

/**
 * Macs from a set of symmetric JWKs, already parsed from JSON: the secrets that
 * are valid while one is replaced by the next.
 *
 * **Details**
 *
 * Every key must be one that {@link fromJwk} reads, with a `kid` of its own where
 * there are several. A set that holds anything else is refused: public keys and
 * secrets do not belong together.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromJwks = Effect.fnUntraced(function* (
  jwks: Redacted.Redacted<unknown>,
  options?: { readonly algorithm?: MacAlgorithm | undefined }
): Effect.fn.Return<ReadonlyArray<Service>, InvalidConfiguration> {
  const set = Redacted.value(jwks)
  const keys = typeof set === "object" && set !== null && "keys" in set ? set.keys : undefined
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > maxKeys) {
    return yield* invalid("jwks", `expected an object with a list "keys" of 1 to ${maxKeys}`)
  }
  const macs: Array<Service> = []
  for (const [index, jwk] of (keys as ReadonlyArray<unknown>).entries()) {
    const mac = yield* Effect.mapError(fromJwk(Redacted.make(jwk), options), (error) =>
      invalid(`jwks.keys[${index}]`, error.problem)
    )
    if (keys.length > 1 && mac.keyId === undefined) {
      return yield* invalid(`jwks.keys[${index}]`, `"kid" is missing, and there are several keys`)
    }
    if (macs.some((other) => other.keyId === mac.keyId)) {
      return yield* invalid(`jwks.keys[${index}]`, "another key of the set has the same kid")
    }
    macs.push(mac)
  }
  return macs
})

/**
 * A Mac with a new random secret, as long as the hash, that dies with the process.
 *
 * @category constructors
 * @since 0.1.0
 */
export const generate = (algorithm: MacAlgorithm): Effect.Effect<Service, InvalidConfiguration> =>
  Effect.suspend(() =>
    make({ algorithm, secret: Redacted.make(primitives.randomBytes(hashes[algorithm]?.outputLen ?? 0)) })
  )

/**
 * Provides a `Mac`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Mac, InvalidConfiguration> => Layer.effect(Mac, make(options))

/**
 * What {@link layerConfig} reads.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigOptions {
  readonly algorithm: MacAlgorithm
  /** The secret in unpadded base64url. */
  readonly secret: Redacted.Redacted<string>
  readonly keyId?: string | undefined
}

/**
 * Provides a `Mac` with a secret from `Config`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<ConfigOptions>
): Layer.Layer<Mac, InvalidConfiguration | Config.ConfigError> =>
  Layer.effect(
    Mac,
    Effect.flatMap(Config.unwrap(config), ({ algorithm, keyId, secret }) => {
      const bytes = Base64Url.decode(Redacted.value(secret))
      return bytes === undefined
        ? Effect.fail(invalid("secret", "expected unpadded base64url"))
        : make({ algorithm, keyId, secret: Redacted.make(bytes) })
    })
  )
