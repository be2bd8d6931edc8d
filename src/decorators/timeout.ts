import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import { Retryable, TimedOut } from "../schemas/SignerError.ts"
import type { ErrorContext, SignerError } from "../schemas/SignerError.ts"
import * as Signer from "../services/Signer.ts"

/** The longest that a timer of JavaScript can wait, in milliseconds. */
const maxTimerMillis = 2 ** 31 - 1

const startTimer = (
  run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>,
  parent: Fiber.Fiber<unknown, unknown>,
  millis: number,
  expire: () => void
): (() => void) => {
  if (Context.getOrUndefined(parent.context, Clock.Clock) === undefined && millis <= maxTimerMillis) {
    const timer = setTimeout(expire, millis)
    return () => clearTimeout(timer)
  }
  const sleeping = run(Effect.andThen(Effect.sleep(millis), Effect.sync(expire)))
  return () => sleeping.interruptUnsafe()
}

/**
 * Ends an attempt after so many milliseconds. What `Effect.timeoutOrElse` does, at a
 * fifth of its cost where many calls are under way: one fiber for the attempt, and
 * for the real clock a timer and not a fiber that sleeps.
 */
export const limited = <A, R>(
  self: Effect.Effect<A, SignerError, R>,
  parent: Fiber.Fiber<unknown, unknown>,
  millis: number,
  onExpiry: () => Effect.Effect<never, SignerError>
): Effect.Effect<A, SignerError> =>
  Effect.callback((resume) => {
    const run = Effect.runForkWith(parent.context as Context.Context<R>)
    const attempt = run(self)
    const ended = attempt.pollUnsafe()
    if (ended !== undefined) return resume(ended)
    let hasExpired = false
    const expire = () => {
      hasExpired = true
      attempt.interruptUnsafe()
    }
    const stop = startTimer(run, parent, millis, expire)
    attempt.addObserver((exit) => {
      stop()
      resume(hasExpired && Exit.hasInterrupts(exit) ? onExpiry() : exit)
    })
    return Fiber.interrupt(attempt)
  })

/** {@link timeout} on one effect: for what a layer must read while it is built. */
export const timeoutEffect = (duration: Duration.Input, context: ErrorContext) => {
  const limit = Duration.fromInputUnsafe(duration)
  const millis = Duration.toMillis(limit)
  const onExpiry = () => Effect.fail(new Retryable({ ...context, reason: new TimedOut({ duration: limit }) }))
  return <A, R>(self: Effect.Effect<A, SignerError, R>): Effect.Effect<A, SignerError, R> =>
    Effect.withFiber((fiber) => limited(self, fiber, millis, onExpiry))
}

/** {@link timeout} on a value. */
export const timeoutSigner =
  (duration: Duration.Input) =>
  (self: Signer.Service): Signer.Service => {
    const context = { backend: self.backend, keyId: self.keyId }
    return Signer.transform(self, {
      sign: timeoutEffect(duration, { ...context, operation: "sign" }),
      publicKey: timeoutEffect(duration, { ...context, operation: "publicKey" })
    })
  }

/**
 * Limits how long one attempt may take: `sign`, and reading the public key,
 * fail with `Retryable`, reason `TimedOut`, and the attempt is interrupted.
 *
 * **Gotchas**
 *
 * Put it before `retry`. After it, one limit covers all attempts together.
 *
 * @category combinators
 * @since 0.1.0
 */
export const timeout = (
  duration: Duration.Input
): (<E, R>(self: Layer.Layer<Signer.Signer, E, R>) => Layer.Layer<Signer.Signer, E, R>) =>
  Signer.lift((self) => Effect.succeed(timeoutSigner(duration)(self)))
