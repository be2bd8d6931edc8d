import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { Retryable, TimedOut } from "../schemas/SignerError.ts"
import type { ErrorContext, SignerError } from "../schemas/SignerError.ts"
import { Observation } from "../services/Observation.ts"
import * as Signer from "../services/Signer.ts"
import { limited } from "./timeout.ts"

/**
 * Options of {@link retry}.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryOptions {
  /** When to try again. Only `Retryable` errors reach it. */
  readonly schedule: Schedule.Schedule<unknown, SignerError>
  /** Repetitions at most, so `times + 1` attempts. Default: as the schedule says. */
  readonly times?: number | undefined
  /**
   * The most all attempts and pauses may take together. No attempt outlives it:
   * the last one is cut off, and the last real error is reported.
   */
  readonly budget?: Duration.Input | undefined
}

/** What a server asked us to wait. */
const retryAfter = (error: SignerError): Duration.Duration =>
  error._tag === "Retryable" && "retryAfter" in error.reason && error.reason.retryAfter !== undefined
    ? error.reason.retryAfter
    : Duration.zero

/** {@link RetryOptions}, and the most one attempt may take: one timer serves it and the budget. */
export interface AttemptOptions extends RetryOptions {
  readonly timeout?: Duration.Input | undefined
}

const millis = (duration: Duration.Input | undefined): number =>
  duration === undefined ? Infinity : Duration.toMillis(Duration.fromInputUnsafe(duration))

/** {@link retry} on one effect: for what a layer must read while it is built. */
export const retryEffect = (options: AttemptOptions, context: ErrorContext) => {
  const timeout = millis(options.timeout)
  const budget = millis(options.budget)
  const repeats =
    options.times === undefined ? options.schedule : Schedule.upTo(options.schedule, { times: options.times })
  const waiting = Schedule.modifyDelay(repeats, ({ duration, input }) =>
    Effect.succeed(Duration.max(duration, retryAfter(input)))
  )
  const timedOut = (limit: number) =>
    Effect.fail(new Retryable({ ...context, reason: new TimedOut({ duration: Duration.millis(limit) }) }))

  return <A, R>(self: Effect.Effect<A, SignerError, R>): Effect.Effect<A, SignerError, R> =>
    Effect.withFiber((fiber) => {
      const clock = fiber.getRef(Clock.Clock)
      // jittered pauses are fractions of a millisecond: count in nanoseconds and round down, never beyond the budget
      const start = clock.currentTimeNanosUnsafe()
      const left = () => Math.max(0, Math.floor(budget - Number(clock.currentTimeNanosUnsafe() - start) / 1e6))
      let last: SignerError | undefined
      const attempt = (remaining: number): Effect.Effect<A, SignerError, R> => {
        const limit = Math.min(timeout, remaining)
        return limit === Infinity
          ? self
          : limited(self, fiber, limit, () =>
              timeout <= remaining ? timedOut(timeout) : last === undefined ? timedOut(budget) : Effect.fail(last)
            )
      }
      // the schedule is set up only where the first attempt failed: the common path pays for one timer
      return Effect.catchTag(attempt(budget), "Retryable", (first) => {
        const again = Effect.flatMap(Observation, (observation) => {
          observation?.retried()
          return attempt(left())
        })
        return Effect.retry(
          Effect.suspend(() => (last === undefined ? Effect.fail((last = first)) : again)).pipe(
            Effect.tapError((error) =>
              Effect.sync(() => {
                last = error
              })
            )
          ),
          Schedule.while(waiting, ({ duration, input }) =>
            Effect.succeed(input._tag === "Retryable" && Duration.toMillis(duration) < left())
          )
        )
      })
    })
}

/** {@link retry} on a value. */
export const retrySigner =
  (options: AttemptOptions) =>
  (self: Signer.Service): Signer.Service => {
    const context = { backend: self.backend, keyId: self.keyId }
    return Signer.transform(self, {
      sign: retryEffect(options, { ...context, operation: "sign" }),
      publicKey: retryEffect(options, { ...context, operation: "publicKey" })
    })
  }

/**
 * Repeats `sign`, and reading the public key, on `Retryable` and on nothing
 * else.
 *
 * **Details**
 *
 * Waits what the schedule says or what the server asked for (`retryAfter`),
 * whichever is longer. A pause that does not fit into the budget is not begun:
 * the call fails at once with the error it has. Interruption ends everything.
 *
 * **Gotchas**
 *
 * ECDSA, PSS and ML-DSA sign with fresh randomness: each attempt makes other
 * bytes, and each is billed and counted by the backend.
 *
 * **Example** (Three more attempts within ten seconds)
 *
 * ```ts
 * import { Schedule } from "effect"
 * import { LocalSigner, Signer } from "effect-signer"
 *
 * const SignerLive = LocalSigner.layerGenerated("Ed25519").pipe(
 *   Signer.timeout("2 seconds"),
 *   Signer.retry({
 *     schedule: Schedule.exponential("100 millis").pipe(Schedule.jittered),
 *     times: 3,
 *     budget: "10 seconds"
 *   })
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const retry = (
  options: RetryOptions
): (<E, R>(self: Layer.Layer<Signer.Signer, E, R>) => Layer.Layer<Signer.Signer, E, R>) =>
  Signer.lift((self) => Effect.succeed(retrySigner(options)(self)))
