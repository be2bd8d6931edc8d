import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type { ErrorContext } from "../schemas/SignerError.ts"
import * as Signer from "../services/Signer.ts"
import { retryEffect, retrySigner } from "./retry.ts"
import type { AttemptOptions, RetryOptions } from "./retry.ts"

/**
 * Options of {@link resilient}. What is absent has the default.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResilientOptions {
  /** The most one attempt may take. Default 10 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Default: exponential from 100 ms, capped at 5 s, with jitter. */
  readonly schedule?: RetryOptions["schedule"] | undefined
  /** Repetitions at most. Default 3. */
  readonly times?: number | undefined
  /** The most all attempts and pauses may take together. Default 45 seconds. */
  readonly budget?: Duration.Input | undefined
}

const defaultSchedule = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

const withDefaults = (options: ResilientOptions): AttemptOptions => ({
  timeout: options.timeout ?? "10 seconds",
  schedule: options.schedule ?? defaultSchedule,
  times: options.times ?? 3,
  budget: options.budget ?? "45 seconds"
})

/** {@link resilient} on one effect: for what a layer must read while it is built. */
export const resilientEffect = (options: ResilientOptions, context: ErrorContext) =>
  retryEffect(withDefaults(options), context)

/** {@link resilient} on a value. */
export const resilientSigner = (options: ResilientOptions = {}) => retrySigner(withDefaults(options))

/**
 * A timeout per attempt and a retry with a budget, with the defaults that every
 * remote layer has: 10 s per attempt, 3 repetitions, exponential from 100 ms with
 * jitter capped at 5 s, a server's `Retry-After` honoured, 45 s in all.
 *
 * @see {@link timeout}
 * @see {@link retry}
 * @category combinators
 * @since 0.1.0
 */
export const resilient = (
  options?: ResilientOptions
): (<E, R>(self: Layer.Layer<Signer.Signer, E, R>) => Layer.Layer<Signer.Signer, E, R>) =>
  Signer.lift((self) => Effect.succeed(resilientSigner(options)(self)))
