import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type { SignerError } from "../schemas/SignerError.ts"
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
   * account numbers, and each value is a time series of its own.
   */
  readonly attributes?: Readonly<Record<string, string>> | undefined
}

const tagOf = (exit: Exit.Failure<unknown, SignerError>): string => {
  const error = Exit.findErrorOption(exit)
  return error._tag === "Some" ? error.value._tag : Exit.hasInterrupts(exit) ? "Interrupted" : "Defect"
}

/** What happened inside one call. */
interface Counts {
  retried: number
  hits: number
  misses: number
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

    const hits = Metric.withAttributes(publicKeyCache, { ...attributesOf("publicKey"), result: "hit" })
    const misses = Metric.withAttributes(publicKeyCache, { ...attributesOf("publicKey"), result: "miss" })
    const add = (metric: typeof hits, count: number) => (count === 0 ? Effect.void : Metric.update(metric, count))

    /** Counts what happens inside one call, and records it when the call ends. */
    const observe = (operation: "sign" | "publicKey") => {
      const attributes = attributesOf(operation)
      const ended = Metric.withAttributes(calls, attributes)
      const retried = Metric.withAttributes(retries, attributes)
      const failed = (exit: Exit.Failure<unknown, SignerError>) =>
        Metric.update(Metric.withAttributes(failures, { ...attributes, error: tagOf(exit) }), 1)
      const recordRest = Effect.fnUntraced(function* (exit: Exit.Exit<unknown, SignerError>, counts: Counts) {
        if (Exit.isFailure(exit)) yield* failed(exit)
        yield* add(retried, counts.retried)
        yield* add(hits, counts.hits)
        yield* add(misses, counts.misses)
      })
      return <A>(self: Effect.Effect<A, SignerError>) =>
        Effect.suspend(() => {
          const counts: Counts = { retried: 0, hits: 0, misses: 0 }
          return self.pipe(
            Effect.provideService(Observation, {
              retried: () => void counts.retried++,
              publicKeyAsked: (isHit) => void (isHit ? counts.hits++ : counts.misses++)
            }),
            Effect.onExit((exit) => {
              const counted = Metric.update(ended, 1)
              const isPlain = Exit.isSuccess(exit) && counts.retried + counts.hits + counts.misses === 0
              return isPlain ? counted : Effect.andThen(counted, recordRest(exit, counts))
            })
          )
        })
    }

    const signing = observe("sign")
    const timer = Metric.withAttributes(duration, attributesOf("sign"))
    const reading = observe("publicKey")

    const spanOptions = {
      kind: "client",
      captureStackTrace: false, // half the cost of a span, to show a line of this file
      attributes: { "signer.backend": self.backend, "signer.key_id": self.keyId, "signer.algorithm": self.algorithm }
    } as const

    return Signer.transform(self, {
      sign: (sign, message) =>
        Effect.clockWith((clock) => {
          const start = clock.currentTimeNanosUnsafe()
          const timed = Effect.onExit(signing(sign), () =>
            Metric.update(timer, Duration.nanos(clock.currentTimeNanosUnsafe() - start))
          )
          // data-first: the other form captures the stack whatever the options say
          return Effect.withSpan(timed, "Signer.sign", {
            ...spanOptions,
            attributes: { ...spanOptions.attributes, "signer.message_length": message.length }
          })
        }),
      publicKey: reading
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
