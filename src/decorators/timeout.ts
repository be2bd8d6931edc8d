import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { Retryable, TimedOut } from "../schemas/SignerError.ts"
import type { ErrorContext, SignerError } from "../schemas/SignerError.ts"
import * as Signer from "../services/Signer.ts"

/** {@link timeout} on one effect: for what a layer must read while it is built. */
export const timeoutEffect = (duration: Duration.Input, context: ErrorContext) => {
  const limit = Duration.fromInputUnsafe(duration)
  const options = {
    duration: limit,
    orElse: () => Effect.fail(new Retryable({ ...context, reason: new TimedOut({ duration: limit }) }))
  }
  return <A, R>(self: Effect.Effect<A, SignerError, R>): Effect.Effect<A, SignerError, R> =>
    Effect.timeoutOrElse(self, options)
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
