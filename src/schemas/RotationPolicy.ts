/**
 * The numbers behind every wait of a rotation.
 *
 * @category internal
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidConfiguration } from "./SignerError.ts"

/**
 * The numbers behind every wait, in milliseconds. {@link makePolicy} makes one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy {
  /** How long a verifier may use a key set after it was sent. */
  readonly propagation: number
  /** From the signature to the last moment at which anybody accepts it. */
  readonly tokenLifetime: number
  /** How often signers, and who serves the key set, read the state. */
  readonly refresh: number
  /** How much longer they go on where the state cannot be read. */
  readonly outage: number
  /** How far the clocks of two processes are apart. */
  readonly clockSkew: number
  /** How many challenges a key must sign before it becomes active. */
  readonly canarySignatures: number
  /** How long it stays a canary at least. */
  readonly canaryLength: number
}

/**
 * Options of {@link makePolicy}.
 *
 * @category models
 * @since 0.1.0
 */
export interface PolicyOptions {
  /**
   * How long a verifier may use a key set after it was sent: `max-age`, and
   * `stale-while-revalidate`, `stale-if-error` and every cache in between on top. What
   * verifiers do of their own accord counts, too: `RemoteJwks` keeps a set for its
   * `cooldown` at least, and for `staleFor` longer while your server is silent.
   */
  readonly propagation: Duration.Input
  /**
   * From the signature to the last moment at which any verifier accepts it: the
   * longest life of a token, and the leeway of verifiers on top.
   */
  readonly tokenLifetime: Duration.Input
  /** How often signers, and who serves the key set, read the state. Default 30 seconds. */
  readonly refresh?: Duration.Input | undefined
  /** How much longer they go on where the state cannot be read. Then they stop. Default 5 minutes. */
  readonly outage?: Duration.Input | undefined
  /** How far the clocks of two processes may be apart. Default one minute. */
  readonly clockSkew?: Duration.Input | undefined
  /** How many challenges a key must sign, and verify, before it becomes active. Default 3. */
  readonly canarySignatures?: number | undefined
  /** How long a key stays a canary at least. Default zero. */
  readonly canaryLength?: Duration.Input | undefined
}

/**
 * The longest wait, in milliseconds: ten years.
 *
 * @category models
 * @since 0.1.0
 */
export const maxWait = 315_360_000_000

/**
 * Checks the numbers of a rotation.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makePolicy = Effect.fnUntraced(function* (
  options: PolicyOptions
): Effect.fn.Return<Policy, InvalidConfiguration> {
  const misconfigured = (field: string, problem: string) =>
    new InvalidConfiguration({ backend: "rotation", keyId: "-", operation: "make", field, problem })
  const given = {
    propagation: options.propagation,
    tokenLifetime: options.tokenLifetime,
    refresh: options.refresh ?? "30 seconds",
    outage: options.outage ?? "5 minutes",
    clockSkew: options.clockSkew ?? "1 minute",
    canaryLength: options.canaryLength ?? 0
  }
  const millis = { propagation: 0, tokenLifetime: 0, refresh: 0, outage: 0, clockSkew: 0, canaryLength: 0 }
  for (const field of Object.keys(given) as ReadonlyArray<keyof typeof given>) {
    // NaN would be a duration of zero
    const parsed = Number.isNaN(given[field]) ? Option.none() : Duration.fromInput(given[field])
    const value = Option.isSome(parsed) ? Math.ceil(Duration.toMillis(parsed.value)) : NaN
    if (!(value >= 0 && value <= maxWait)) {
      return yield* misconfigured(field, "must be a duration from zero to ten years")
    }
    millis[field] = value
  }
  const { canarySignatures = 3 } = options
  if (!Number.isSafeInteger(canarySignatures) || canarySignatures < 1 || canarySignatures > 1000) {
    return yield* misconfigured("canarySignatures", "must be an integer from 1 to 1000")
  }
  return { ...millis, canarySignatures }
})
