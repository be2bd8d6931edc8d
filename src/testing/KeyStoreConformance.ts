/**
 * What every `KeyStore` must do, as a list of effects: the same cases run over the
 * stores of this package and over one of your own.
 *
 * **Details**
 *
 * Each case builds the store anew and releases it: the layer must give an empty
 * store each time. With `pair`, two stores over one medium, what one writes must be
 * what the other reads. Cases run by the clock of the system, also under a
 * `TestClock`, because a store may wait for its turn.
 *
 * **Gotchas**
 *
 * No case can kill a process. What a store leaves behind when it is killed in the
 * middle is for a test of its own.
 *
 * **Example** (All cases as tests)
 *
 * ```ts
 * import { it } from "@effect/vitest"
 * import * as MemoryKeyStore from "effect-signer/MemoryKeyStore"
 * import { KeyStoreConformance } from "effect-signer/testing"
 *
 * KeyStoreConformance.suite(it, "memory", MemoryKeyStore.layer)
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Service } from "../services/KeyStore.ts"
import { KeyStore } from "../services/KeyStore.ts"
import * as Canary from "./Canary.ts"
import type { Case, Exception, TestRunner } from "./Conformance.ts"
import { ConformanceFailure } from "./Conformance.ts"
import { concurrentChecks, pairChecks } from "./keyStore/concurrentCases.ts"
import { Problem, problem } from "./keyStore/demands.ts"
import { storeChecks } from "./keyStore/storeCases.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * Options of a {@link Subject}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Two stores over one medium, empty: as two processes have them. */
  readonly pair?: Effect.Effect<readonly [Service, Service], unknown, Scope.Scope> | undefined
  /** What must not show beside private halves, in 8 bytes or more: a passphrase, a password, a secret. */
  readonly secrets?: ReadonlyArray<Uint8Array | string> | undefined
  /** Cases that are not run. One that names no case is an error. */
  readonly exceptions?: ReadonlyArray<Exception> | undefined
}

/**
 * What is tested. `layer` is built anew by each case, and is empty each time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject extends Options {
  readonly name: string
  readonly layer: Layer.Layer<KeyStore, unknown>
}

// ---------------------------------------------------------------------------
// running
// ---------------------------------------------------------------------------

const describe = (cause: Cause.Cause<unknown>): string => {
  const [error] = cause.reasons.map((reason) =>
    reason._tag === "Fail" ? reason.error : reason._tag === "Die" ? reason.defect : "interrupted"
  )
  return error instanceof Problem ? error.text : String(error)
}

/** The clock of the system: a store may wait for its turn, and no test moves the time for it. */
const live = Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())

/**
 * All cases of a store.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cases = (subject: Subject): ReadonlyArray<Case> => {
  const exceptions = subject.exceptions ?? []
  const search = Canary.search((subject.secrets ?? []).map((secret, i) => ({ name: `secrets[${i}]`, secret })))
  const caseOf = (name: string, check: Effect.Effect<void, unknown, Scope.Scope>): Case => ({
    name,
    run: live(Effect.scoped(check)).pipe(
      Effect.catchCause((cause) => {
        const text = describe(cause)
        const sighting = search(text)
        return Effect.fail(
          new ConformanceFailure({
            suite: subject.name,
            case: name,
            problem: sighting === undefined ? text : `what it says shows ${sighting.secret} as ${sighting.form}`
          })
        )
      })
    ),
    exception: exceptions.find((exception) => exception.case === name)?.reason
  })
  const { pair } = subject
  const known = [
    ...[...storeChecks, ...concurrentChecks].map(([name, check]) =>
      caseOf(
        name,
        Effect.flatMap(Layer.build(Layer.fresh(subject.layer)), (context) =>
          check(Context.get(context, KeyStore), subject.secrets ?? [])
        )
      )
    ),
    ...(pair === undefined
      ? []
      : pairChecks.map(([name, check]) =>
          caseOf(
            name,
            Effect.flatMap(pair, ([first, second]) => check(first, second))
          )
        ))
  ]
  const unknown = exceptions
    .filter((exception) => !known.some(({ name }) => name === exception.case))
    .map(({ case: name }) => caseOf(name, problem("an exception names this case, and there is none")))
    .map((unknown): Case => ({ ...unknown, exception: undefined }))
  return [...known, ...unknown]
}

/**
 * Registers all cases as tests. A case with an exception is registered as skipped,
 * with its reason in the name.
 *
 * @category combinators
 * @since 0.1.0
 */
export const suite = (
  it: TestRunner,
  name: string,
  layer: Layer.Layer<KeyStore, unknown>,
  options?: Options & {
    /** Milliseconds per case. Default: the runner's. */
    readonly timeout?: number | undefined
  }
): void => {
  for (const { exception, name: caseName, run } of cases({ ...options, name, layer })) {
    if (exception === undefined) it.effect(`${name}: ${caseName}`, () => run, options?.timeout)
    else it.effect.skip(`${name}: ${caseName} (${exception})`, () => run, options?.timeout)
  }
}
