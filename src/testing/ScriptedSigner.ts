/**
 * A Signer whose backend follows a script: fail, hang, answer late, answer
 * wrongly, and when the script ends, sign.
 *
 * **Details**
 *
 * The script is played by a backend under `Signer.make`, so whatever a real
 * backend's Signer guarantees, this one does. Each `sign` that reaches the
 * backend takes the next step, and each public key read takes the next step of a
 * script of its own. Delays follow Effect's clock, so `TestClock` moves them.
 *
 * **Gotchas**
 *
 * The public key is not read while the signer is made, unless `lazy: false`: the
 * script starts with what the test does.
 *
 * **Example** (A backend that recovers)
 *
 * ```ts
 * import { Effect, Schedule } from "effect"
 * import { Decorator, SignerError } from "effect-signer"
 * import { ScriptedSigner } from "effect-signer/testing"
 *
 * const program = Effect.gen(function*() {
 *   const { script, signer } = yield* ScriptedSigner.make({
 *     steps: [
 *       ScriptedSigner.fail(new SignerError.BackendUnavailable({})),
 *       ScriptedSigner.hang,
 *       ScriptedSigner.delay("1 second")
 *     ]
 *   })
 *   const resilient = Decorator.retry({ schedule: Schedule.spaced("1 second"), times: 3 })(
 *     Decorator.timeout("5 seconds")(signer)
 *   )
 *   yield* resilient.sign(new Uint8Array(3))
 *   return yield* script.attemptTimes // [0, 1000, 7000] under TestClock
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { primitives } from "#primitives"
import type { KeyId } from "../schemas/KeyId.ts"
import type { KeyVersion } from "../schemas/KeyVersion.ts"
import type { PublicKey } from "../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import type { ErrorContext, RetryableReason, SignerError } from "../schemas/SignerError.ts"
import { isSignerError, Retryable } from "../schemas/SignerError.ts"
import { refuseInProduction } from "../services/Ephemeral.ts"
import * as LocalBackend from "../services/LocalBackend.ts"
import * as Signer from "../services/Signer.ts"
import * as TestKey from "./TestKey.ts"

// ---------------------------------------------------------------------------
// steps
// ---------------------------------------------------------------------------

/**
 * How an answer is wrong. `truncated` lacks the last byte, `tampered` has one
 * bit flipped, `anotherMessage` is a signature over a longer message, and
 * `anotherKey` one by a key that this signer does not have.
 *
 * @category models
 * @since 0.1.0
 */
export type Mistake = "truncated" | "tampered" | "anotherMessage" | "anotherKey"

/**
 * What the backend does with one call, as data.
 *
 * @category models
 * @since 0.1.0
 */
export type Step<M extends Mistake = Mistake> =
  | { readonly _tag: "Succeed" }
  | { readonly _tag: "Fail"; readonly error: SignerError | RetryableReason }
  | { readonly _tag: "Die"; readonly defect: unknown }
  | { readonly _tag: "Hang" }
  | { readonly _tag: "Delay"; readonly duration: Duration.Input; readonly then: Step<M> }
  | { readonly _tag: "Invalid"; readonly mistake: M }

/**
 * What the backend does with one read of the public key. Of the wrong answers
 * only another key exists.
 *
 * @category models
 * @since 0.1.0
 */
export type PublicKeyStep = Step<"anotherKey">

/**
 * Answers as it should.
 *
 * @category constructors
 * @since 0.1.0
 */
export const succeed: Step<never> = { _tag: "Succeed" }

/**
 * Fails. A reason alone, such as `new RateLimited({})`, becomes the `Retryable`
 * of this signer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fail = (error: SignerError | RetryableReason): Step<never> => ({ _tag: "Fail", error })

/**
 * Dies with a defect, as a backend with a bug does.
 *
 * @category constructors
 * @since 0.1.0
 */
export const die = (defect: unknown): Step<never> => ({ _tag: "Die", defect })

/**
 * Never answers. Can be interrupted.
 *
 * @category constructors
 * @since 0.1.0
 */
export const hang: Step<never> = { _tag: "Hang" }

/**
 * Waits, then does the next thing: by default, answers as it should.
 *
 * @category constructors
 * @since 0.1.0
 */
export const delay = <M extends Mistake = never>(duration: Duration.Input, then: Step<M> = succeed): Step<M> => ({
  _tag: "Delay",
  duration,
  then
})

/**
 * Answers, wrongly.
 *
 * @category constructors
 * @since 0.1.0
 */
export const invalid = <M extends Mistake>(mistake: M): Step<M> => ({ _tag: "Invalid", mistake })

// ---------------------------------------------------------------------------
// script
// ---------------------------------------------------------------------------

/**
 * One call that reached the backend.
 *
 * @category models
 * @since 0.1.0
 */
export interface Attempt {
  /** Milliseconds of Effect's clock: from 0 under `TestClock`. */
  readonly at: number
  readonly step: Step
  /** The very buffer the backend was given. */
  readonly message: Uint8Array
  /** How it ended; `undefined` while it runs. */
  readonly exit: Exit.Exit<Signer.BackendSignature, SignerError> | undefined
}

/**
 * One read of the public key that reached the backend.
 *
 * @category models
 * @since 0.1.0
 */
export interface PublicKeyRead {
  /** Milliseconds of Effect's clock: from 0 under `TestClock`. */
  readonly at: number
  readonly step: PublicKeyStep
  readonly version: KeyVersion | undefined
  /** How it ended; `undefined` while it runs. */
  readonly exit: Exit.Exit<PublicKey, SignerError> | undefined
}

/**
 * The script of a {@link make | scripted signer}: what is still to come, and what
 * happened.
 *
 * @category services
 * @since 0.1.0
 */
export class Script extends Context.Service<
  Script,
  {
    /** Adds steps to the end of the script of `sign`. */
    readonly push: (...steps: ReadonlyArray<Step>) => Effect.Effect<void>
    /** Adds steps to the end of the script of `publicKey`. */
    readonly pushPublicKey: (...steps: ReadonlyArray<PublicKeyStep>) => Effect.Effect<void>
    /** Calls of the backend's `sign`, oldest first. */
    readonly attempts: Effect.Effect<ReadonlyArray<Attempt>>
    /** When they began. */
    readonly attemptTimes: Effect.Effect<ReadonlyArray<number>>
    /** Calls of the backend's `publicKey`, oldest first. */
    readonly publicKeyAttempts: Effect.Effect<ReadonlyArray<PublicKeyRead>>
    /** When they began. */
    readonly publicKeyTimes: Effect.Effect<ReadonlyArray<number>>
    /** How often the public key was read from the backend. */
    readonly publicKeyReads: Effect.Effect<number>
  }
>()("effect-signer/testing/Script") {}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * Options of {@link make} and {@link layer}. Those of `Signer.make` are passed
 * on; `lazy` is `true` by default.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Signer.MakeOptions {
  /** Default `Ed25519`. */
  readonly algorithm?: SignatureAlgorithm | undefined
  /** What the key is derived from, see `TestSigner`. */
  readonly seed?: string | Uint8Array | undefined
  /** Default: `urn:kms:<curve>:<fingerprint>` of the public key. */
  readonly keyId?: KeyId | undefined
  /** The script of `sign`. Real signatures when it ends. */
  readonly steps?: ReadonlyArray<Step> | undefined
  /** The script of `publicKey`. The real key when it ends. */
  readonly publicKeySteps?: ReadonlyArray<PublicKeyStep> | undefined
  readonly allowInProduction?: boolean | undefined
}

type Recorded<Call, A> = Call & { exit: Exit.Exit<A, SignerError> | undefined }

/** Plays one script: takes the next step per call, and records each call with its end. */
const player = <M extends Mistake>(context: ErrorContext, steps: ReadonlyArray<Step<M>> = []) => {
  const coming = steps.slice()

  const perform = <A>(
    step: Step<M>,
    answer: Effect.Effect<A, SignerError>,
    wrong: (mistake: M) => Effect.Effect<A, SignerError>
  ): Effect.Effect<A, SignerError> => {
    switch (step._tag) {
      case "Succeed":
        return answer
      case "Fail":
        return Effect.fail(isSignerError(step.error) ? step.error : new Retryable({ ...context, reason: step.error }))
      case "Die":
        return Effect.die(step.defect)
      case "Hang":
        return Effect.never
      case "Delay":
        return Effect.delay(perform(step.then, answer, wrong), step.duration)
      case "Invalid":
        return wrong(step.mistake)
    }
  }

  return {
    push: (...steps: ReadonlyArray<Step<M>>) => Effect.sync(() => void coming.push(...steps)),
    play: <Call, A>(
      calls: Array<Recorded<Call & { readonly at: number; readonly step: Step<M> }, A>>,
      call: Call,
      answer: Effect.Effect<A, SignerError>,
      wrong: (mistake: M) => Effect.Effect<A, SignerError>
    ) =>
      Effect.flatMap(Clock.currentTimeMillis, (at) => {
        const step = coming.shift() ?? succeed
        const recorded = { ...call, at, step, exit: undefined as Exit.Exit<A, SignerError> | undefined }
        calls.push(recorded)
        return Effect.onExit(perform(step, answer, wrong), (exit) =>
          Effect.sync(() => {
            recorded.exit = exit
          })
        )
      })
  }
}

/**
 * A scripted signer and its {@link Script}.
 *
 * **Details**
 *
 * Refuses to be built where `NODE_ENV` is `production`, unless
 * `allowInProduction`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: Options = {}): Effect.fn.Return<
  {
    readonly signer: Signer.Service
    readonly script: Script["Service"]
  },
  SignerError
> {
  yield* refuseInProduction("scripted", "a signer that does as it is told", options.allowInProduction)
  const algorithm = options.algorithm ?? "Ed25519"
  const local = LocalBackend.make("scripted", primitives)
  const real = yield* local({ privateKey: TestKey.make(algorithm, options.seed), algorithm, keyId: options.keyId })
  const another = yield* Effect.cached(local({ privateKey: TestKey.another(algorithm), algorithm }))
  const context = { backend: real.backend, keyId: real.keyId }

  const mistakes: {
    readonly [M in Mistake]: (message: Uint8Array) => Effect.Effect<Signer.BackendSignature, SignerError>
  } = {
    truncated: (message) => Effect.map(real.sign(message), ({ bytes }) => ({ bytes: bytes.slice(0, -1) })),
    tampered: (message) =>
      Effect.map(real.sign(message), (signature) => {
        const bytes = new Uint8Array(signature.bytes)
        bytes[bytes.length - 1]! ^= 1
        return { bytes }
      }),
    anotherMessage: (message) => {
      const longer = new Uint8Array(message.length + 1)
      longer.set(message)
      return Effect.map(real.sign(longer), ({ bytes }) => ({ bytes }))
    },
    anotherKey: (message) =>
      Effect.flatMap(another, (signer) => Effect.map(signer.sign(message), ({ bytes }) => ({ bytes })))
  }

  const attempts: Array<Recorded<Attempt, Signer.BackendSignature>> = []
  const reads: Array<Recorded<PublicKeyRead, PublicKey>> = []
  const signing = player({ ...context, operation: "sign" }, options.steps)
  const reading = player({ ...context, operation: "publicKey" }, options.publicKeySteps)

  const signer = yield* Signer.make(
    {
      name: real.backend,
      keyId: real.keyId,
      algorithm,
      input: "message",
      publicKey: (version) =>
        reading.play(reads, { version }, real.publicKey(version), () =>
          Effect.flatMap(another, (signer) => signer.publicKey())
        ),
      sign: (message) =>
        signing.play(
          attempts,
          { message },
          Effect.map(real.sign(message), ({ bytes }) => ({ bytes })),
          (mistake) => mistakes[mistake](message)
        )
    },
    { ...options, lazy: options.lazy ?? true }
  )

  const copyOf = <Call>(calls: ReadonlyArray<Call>) => Effect.sync(() => calls.map((call) => ({ ...call })))
  const timesOf = (calls: ReadonlyArray<{ readonly at: number }>) => Effect.sync(() => calls.map(({ at }) => at))
  return {
    signer,
    script: Script.of({
      push: signing.push,
      pushPublicKey: reading.push,
      attempts: copyOf(attempts),
      attemptTimes: timesOf(attempts),
      publicKeyAttempts: copyOf(reads),
      publicKeyTimes: timesOf(reads),
      publicKeyReads: Effect.sync(() => reads.length)
    })
  }
})

/**
 * Provides a scripted `Signer`, and its {@link Script}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Signer.Signer | Script, SignerError> =>
  Layer.effectContext(
    Effect.map(make(options), ({ script, signer }) =>
      Context.make(Signer.Signer, signer).pipe(Context.add(Script, script))
    )
  )
