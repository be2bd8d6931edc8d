import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Tracer from "effect/Tracer"
import type { SignerError } from "../schemas/SignerError.ts"
import type { Observer } from "../services/Observation.ts"
import { Observation } from "../services/Observation.ts"
import * as Signer from "../services/Signer.ts"

/**
 * Calls of `sign` and `publicKey` that ended, by `backend`, `algorithm` and
 * `operation`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const calls = Metric.counter("signer_calls_total", {
  description: "Calls of sign and publicKey that ended",
  incremental: true
})

/**
 * Calls that failed, with the `error` tag. Interrupted calls are `Interrupted`,
 * bugs are `Defect`.
 *
 * @category metrics
 * @since 0.1.0
 */
export const failures = Metric.counter("signer_failures_total", {
  description: "Calls of sign and publicKey that failed, by error tag",
  incremental: true
})

/**
 * Attempts after the first.
 *
 * @category metrics
 * @since 0.1.0
 */
export const retries = Metric.counter("signer_retries_total", {
  description: "Attempts after the first",
  incremental: true
})

/**
 * How long calls of `sign` took, all attempts together.
 *
 * @category metrics
 * @since 0.1.0
 */
export const duration = Metric.timer("signer_duration", { description: "How long calls of sign took" })

/**
 * How often a public key was needed, also to verify, by `result`: `hit` was
 * answered from the cache, `miss` asked the backend.
 *
 * @category metrics
 * @since 0.1.0
 */
export const publicKeyCache = Metric.counter("signer_public_key_cache_total", {
  description: "Calls of publicKey, answered from the cache or by the backend",
  incremental: true
})

/**
 * Options of {@link observed}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ObservedOptions {
  /**
   * More metric attributes. Key ids are not among the defaults: they may hold
   * account numbers, and each value is a time series of its own. What
   * `Metric.CurrentMetricAttributes` says under the same name stands instead.
   */
  readonly attributes?: Readonly<Record<string, string>> | undefined
}

/**
 * The series of a counter with these attributes. `Metric.withAttributes` merges, sorts and
 * writes them anew with each update, which costs a call as much as its span.
 */
const series = ({ description, id }: Metric.Counter<number>, attributes: Record<string, string>) =>
  Metric.counter(id, { description, attributes, incremental: true })

const tagOf = (exit: Exit.Failure<unknown, SignerError>): string => {
  const error = Exit.findErrorOption(exit)
  return error._tag === "Some" ? error.value._tag : Exit.hasInterrupts(exit) ? "Interrupted" : "Defect"
}

/** What happens inside one call. */
class Call implements Observer {
  retries = 0
  hits = 0
  misses = 0
  retried() {
    this.retries++
  }
  publicKeyAsked(isHit: boolean) {
    if (isHit) this.hits++
    else this.misses++
  }
}

/** {@link observed} on a value. */
export const observedSigner =
  (options: ObservedOptions = {}) =>
  (self: Signer.Service): Signer.Service => {
    const attributesOf = (operation: string) => ({
      backend: self.backend,
      algorithm: self.algorithm,
      ...options.attributes,
      operation
    })
    const hits = series(publicKeyCache, { ...attributesOf("publicKey"), result: "hit" })
    const misses = series(publicKeyCache, { ...attributesOf("publicKey"), result: "miss" })
    const { description, id } = duration
    const took = Metric.timer(id, { description, attributes: attributesOf("sign") })

    /** Records a call that ended. Between its first and its last step it costs no other. */
    const recorder = (operation: "sign" | "publicKey") => {
      const attributes = attributesOf(operation)
      const ended = series(calls, attributes)
      const repeated = series(retries, attributes)
      return (call: Call, exit: Exit.Exit<unknown, SignerError>, context: Context.Context<never>) => {
        ended.updateUnsafe(1, context)
        if (Exit.isFailure(exit)) {
          series(failures, { ...attributes, error: tagOf(exit) }).updateUnsafe(1, context)
        }
        if (call.retries > 0) repeated.updateUnsafe(call.retries, context)
        if (call.hits > 0) hits.updateUnsafe(call.hits, context)
        if (call.misses > 0) misses.updateUnsafe(call.misses, context)
      }
    }
    const signed = recorder("sign")
    const read = recorder("publicKey")

    const spanAttributes = {
      "signer.backend": self.backend,
      "signer.key_id": self.keyId,
      "signer.algorithm": self.algorithm
    }

    return Signer.transform(self, {
      // By hand what withSpan, provideService and Metric.update do in three times as many steps.
      sign: (sign, message) =>
        Effect.useSpan(
          "Signer.sign",
          { kind: "client", attributes: { ...spanAttributes, "signer.message_length": message.length } },
          (span) =>
            Effect.withFiber(({ context }) => {
              const call = new Call()
              const clock = Context.get(context, Clock.Clock)
              const start = clock.currentTimeNanosUnsafe()
              return Effect.onExit(
                Effect.updateContext(sign, (context) =>
                  Context.add(Context.add(context, Tracer.ParentSpan, span), Observation, call)
                ),
                (exit) =>
                  Effect.sync(() => {
                    signed(call, exit, context)
                    took.updateUnsafe(Duration.millis(Number(clock.currentTimeNanosUnsafe() - start) / 1e6), context)
                  })
              )
            })
        ),
      publicKey: (publicKey) =>
        Effect.withFiber((fiber) => {
          const call = new Call()
          return Effect.onExit(Effect.provideService(publicKey, Observation, call), (exit) =>
            Effect.sync(() => read(call, exit, fiber.context))
          )
        })
    })
  }

/**
 * A span per `sign`, and metrics: calls, failures by tag, retries, a latency
 * histogram, and hits and misses of the public key cache.
 *
 * **Details**
 *
 * The span `Signer.sign` carries backend, key id, algorithm and message length.
 * Metric attributes carry no key id. Nothing of the message is recorded. Applied
 * after `retry` it sees one call with all its attempts.
 *
 * @category combinators
 * @since 0.1.0
 */
export const observed = (
  options?: ObservedOptions
): (<E, R>(self: Layer.Layer<Signer.Signer, E, R>) => Layer.Layer<Signer.Signer, E, R>) =>
  Signer.lift((self) => Effect.succeed(observedSigner(options)(self)))
