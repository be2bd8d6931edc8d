/**
 * Rotates signing keys, bound to their publication: a key signs only when every
 * verifier has it, and stays published while a token by it may be alive.
 *
 * The state is one document in a `RotationStore`; any number of processes may take
 * steps, sign and publish by it. What a key goes through, and why, is in
 * `RotationState`.
 *
 * **Details**
 *
 * `signerOf` says where each key is, so one rotation leads from a local key to a KMS,
 * or from one cloud to another. A signature of a version that nobody has published is
 * withheld, where the holder of the key says which version signed; so name keys with
 * their version, that no other one ever signs.
 *
 * The key set comes from `published` at each request. A copy of it elsewhere (a file, a
 * CDN) makes verifiers see it later: add that to `propagation`.
 *
 * Whoever signs or publishes reads the state every `refresh`. Where that fails, it goes
 * on for `outage`, and then fails: it cannot know whether its key is still published.
 *
 * **Gotchas**
 *
 * A key of another algorithm is refused by `start`, unless allowed. A `Signer` has one
 * algorithm: those that were made before fail when the new key becomes active, and
 * must be made again. `active` gives one for the key of this moment.
 *
 * Events tell what happened in this process, at most once each: a process that is
 * killed right after a step tells nobody. The state is what is certain.
 *
 * **Example** (Rotating by itself, once in 90 days)
 *
 * ```ts
 * import { Effect, Layer, Schedule } from "effect"
 * import { LocalSigner, PrivateKey } from "effect-signer"
 * import * as FileRotationStore from "effect-signer/FileRotationStore"
 * import { Rotation } from "effect-signer/Rotation"
 * import * as Rotations from "effect-signer/Rotation"
 *
 * const RotationLive = Rotations.layer({
 *   policy: { propagation: "15 minutes", tokenLifetime: "1 hour" },
 *   signerOf: (id) => LocalSigner.make({ privateKey: PrivateKey.fromPem(`...${id}`) })
 * }).pipe(Layer.provide(FileRotationStore.layer({ path: "/var/lib/app/rotation.json" })))
 *
 * const program = Rotation.use((rotation) =>
 *   rotation.run({
 *     schedule: Schedule.spaced("1 minute"),
 *     rotateEvery: "90 days",
 *     newKey: Effect.succeed("the name of a key that was just made")
 *   })
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as ScopedCache from "effect/ScopedCache"
import * as Stream from "effect/Stream"
import type { PublishedKey } from "../schemas/PublishedKey.ts"
import { isText, maxNameLength, maxPurposeLength } from "../schemas/PublishedKey.ts"
import * as RotationState from "../schemas/RotationState.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import * as RotatingSigner from "./RotatingSigner.ts"
import { RotationStore, RotationStoreError } from "./RotationStore.ts"
import type { KeyOptions, Moved, RotationEvent, StepError } from "./RotationSteps.ts"
import * as RotationSteps from "./RotationSteps.ts"
import * as RotationView from "./RotationView.ts"
import * as Signer from "./Signer.ts"

export {
  /**
   * The key did not prove that it signs: a challenge was not signed, or the signature
   * does not verify by the key that is published.
   *
   * @category errors
   * @since 0.1.0
   */
  CanaryFailed
} from "./RotationSteps.ts"
export type {
  /**
   * Options of `start` and `adopt`.
   *
   * @category models
   * @since 0.1.0
   */
  KeyOptions,
  /**
   * A key came into a state.
   *
   * @category models
   * @since 0.1.0
   */
  Moved,
  /**
   * What is told as it happens.
   *
   * @category models
   * @since 0.1.0
   */
  RotationEvent,
  /**
   * Why a step was not taken.
   *
   * @category errors
   * @since 0.1.0
   */
  StepError
} from "./RotationSteps.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * The state of a rotation, as the store has it now.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status {
  readonly revision: number
  readonly state: RotationState.RotationState
  /** What time brings next, soonest first. */
  readonly pending: ReadonlyArray<RotationState.Pending>
}

/**
 * Options of `run`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunOptions {
  /** When to look for a step that is due. */
  readonly schedule: Schedule.Schedule<unknown>
  /**
   * Makes the next key and answers with its name. It runs again where this process is
   * killed before the key was started, and in each process that rotates: let it answer
   * with the key that it made before.
   */
  readonly newKey?: Effect.Effect<string, unknown> | undefined
  /** How long a key is active before the next one is made. Required with `newKey`. */
  readonly rotateEvery?: Duration.Input | undefined
  /**
   * Begin a rotation with `newKey` where the store has none. Default `false`: a store that was
   * lost looks the same, and its verifiers would lose the keys that they have. `adopt` or
   * `start` begins one by hand.
   */
  readonly begin?: boolean | undefined
}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The numbers behind every wait. They are kept with the state, where a number never
   * falls, and rises before a process that has a larger one signs, publishes or takes a
   * step.
   */
  readonly policy: RotationState.PolicyOptions
  /** The Signer of a key. It is asked once for each key, and again after it failed. */
  readonly signerOf: (id: string) => Effect.Effect<Signer.Service, SignerError, Scope.Scope>
  /** The key id of the Signer that signs with the active key. Default `"rotation"`. */
  readonly name?: string | undefined
  /** What the keys may sign for. */
  readonly purpose?: string | undefined
}

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * Rotates keys, signs with the one that is active, and says which are to be published.
 *
 * @category services
 * @since 0.1.0
 */
export class Rotation extends Context.Service<
  Rotation,
  {
    /** The state, read from the store now. */
    readonly status: Effect.Effect<Status, RotationStoreError>
    /** Takes a key in: it proves that it signs, and is `created`. */
    readonly start: (
      id: string,
      options?: KeyOptions & { readonly allowAlgorithmChange?: boolean | undefined }
    ) => Effect.Effect<ReadonlyArray<Moved>, StepError>
    /**
     * Takes the first key in as active, at once: a key that every verifier has already,
     * or that of a system that has no verifiers yet.
     */
    readonly adopt: (id: string, options?: KeyOptions) => Effect.Effect<ReadonlyArray<Moved>, StepError>
    /** Takes the one step that is due, or fails and says until when there is none. */
    readonly advance: Effect.Effect<ReadonlyArray<Moved>, StepError>
    /**
     * Makes the key before active again, where it is still published and still signs. Of
     * several processes that do so at once one does; once more, and it goes forward again.
     */
    readonly rollback: Effect.Effect<ReadonlyArray<Moved>, StepError>
    /**
     * Is done with a key that no token needs. With `compromised` at once, whatever needs
     * it: other processes stop signing with it, and publishing it, within `refresh` (and
     * `outage`, where they cannot read the state), and verifiers stop accepting it
     * within `propagation` after that.
     */
    readonly disable: (
      id: string,
      options?: { readonly compromised?: boolean | undefined }
    ) => Effect.Effect<ReadonlyArray<Moved>, StepError>
    /**
     * Takes steps as they are due, and starts new keys, for as long as the schedule lasts.
     * It goes on after a failure, which it tells as `TurnFailed`; only a defect ends it.
     */
    readonly run: (options: RunOptions) => Effect.Effect<void, InvalidConfiguration>
    /** What happens from now on in this process. Slow readers lose the oldest of 1024. */
    readonly events: Stream.Stream<RotationEvent>
    /** The keys for the key set: `published` to `retiring`. Fails where no rotation was begun, as a store that was lost looks. */
    readonly published: Effect.Effect<ReadonlyArray<PublishedKey>, RotationStoreError>
    /** A Signer that always signs with the active key. Its key version is the kid of the key that signed. */
    readonly signer: Effect.Effect<Signer.Service, SignerError>
    /** A Signer for the key that is active now, with its kid as key id; fails once another one is. */
    readonly active: Effect.Effect<Signer.Service, SignerError>
  }
>()("effect-signer/Rotation") {}

/**
 * What a {@link Rotation} is, as a value.
 *
 * @category models
 * @since 0.1.0
 */
export type Service = Rotation["Service"]

// ---------------------------------------------------------------------------
// make
// ---------------------------------------------------------------------------

/** Signers that are kept at once. */
const signerCapacity = 64

/** Steps of one turn of `run`, at most. */
const maxSteps = 256

const tagOf = (error: unknown): string => {
  const tag = (error as { readonly _tag?: unknown } | null | undefined)?._tag
  return typeof tag === "string" && /^\w{1,64}$/.test(tag) ? tag : "Failed"
}

/**
 * A rotation over a `RotationStore`, for as long as the scope is open.
 *
 * **Details**
 *
 * Reads nothing yet. Fails with `InvalidConfiguration` where an option is wrong.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Service, InvalidConfiguration, RotationStore | Scope.Scope> {
  const { name = "rotation", purpose } = options
  const policy = yield* RotationState.makePolicy(options.policy)
  for (const [field, text, maxLength] of [
    ["name", name, maxNameLength],
    ["purpose", purpose ?? "-", maxPurposeLength]
  ] as const) {
    if (!isText(text, maxLength)) {
      const problem = `must be text of 1 to ${maxLength} characters without control characters`
      return yield* new InvalidConfiguration({ backend: "rotation", keyId: "-", operation: "make", field, problem })
    }
  }
  const store = yield* RotationStore
  const view = yield* RotationView.make(store, policy)
  const events = yield* Effect.acquireRelease(PubSub.sliding<RotationEvent>(1024), PubSub.shutdown)
  const signers = yield* ScopedCache.makeWith({
    lookup: options.signerOf,
    capacity: signerCapacity,
    timeToLive: (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.zero)
  })
  const signerOf = (id: string) => ScopedCache.get(signers, id)
  const contextOf = (operation: "make" | "publicKey" | "sign") => ({ backend: "rotation", keyId: name, operation })

  const { challenge, commit, current, dueStep, newKey, tell } = RotationSteps.make({
    store,
    view,
    policy,
    signerOf,
    release: (id) => ScopedCache.invalidate(signers, id),
    events
  })

  const start: Service["start"] = (id, options = {}) =>
    Effect.flatMap(newKey(id, options), (key) =>
      commit(() => Effect.succeed({ _tag: "Start", key, allowAlgorithmChange: options.allowAlgorithmChange }))
    ).pipe(Effect.withSpan("Rotation.start"))

  const advance = Effect.withSpan(commit(dueStep), "Rotation.advance")

  const rollback = Effect.suspend(() => {
    let to: string | undefined
    return commit((state) => {
      const key = RotationState.predecessor(state)
      // Where another process was faster, the key before is the one that is to go
      to ??= key?.id
      const step = Effect.succeed<RotationState.Step>({ _tag: "Rollback", to })
      return key === undefined || key.id !== to ? step : Effect.andThen(challenge(key, 1), step)
    })
  }).pipe(Effect.withSpan("Rotation.rollback"))

  const seen = Effect.mapError(current, RotatingSigner.toSignerError(contextOf("make")))

  const signerFor = (algorithm: SignatureAlgorithm, keyId: string, only?: string) =>
    RotatingSigner.make({ state: current, signerOf, keyId, algorithm, purpose, only })

  const status = Effect.map(view.read, ({ revision, state: found }): Status => {
    const state = RotationState.raise(found ?? RotationState.empty(policy), policy)
    return { revision, state, pending: RotationState.pending(state) }
  })

  const run = Effect.fnUntraced(function* (options: RunOptions): Effect.fn.Return<void, InvalidConfiguration> {
    const { newKey } = options
    const rotateEvery = Option.getOrUndefined(Duration.fromInput(options.rotateEvery ?? Duration.infinity))
    if (rotateEvery === undefined || (newKey !== undefined && !Duration.isFinite(rotateEvery))) {
      return yield* new InvalidConfiguration({
        ...contextOf("make"),
        field: "rotateEvery",
        problem: "must be a duration where newKey is given"
      })
    }

    /** All that is due. */
    const advanceAll = Effect.gen(function* () {
      for (let steps = 0; steps < maxSteps; steps++) {
        const result = yield* Effect.result(advance)
        if (Result.isSuccess(result)) continue
        if (result.failure._tag !== "RotationRefused" || result.failure.reason === "ClockBackwards") {
          return yield* result.failure
        }
        return
      }
    })

    const startNext = Effect.gen(function* () {
      if (newKey === undefined) return
      const { state } = yield* status
      if (state.keys.length === 0 && options.begin !== true) {
        return yield* new InvalidConfiguration({
          ...contextOf("make"),
          field: "begin",
          problem: "the store has no rotation: adopt the key that verifiers have, or state begin where there is none"
        })
      }
      if (RotationState.candidate(state) !== undefined) return
      const key = RotationState.active(state)
      const now = yield* Clock.currentTimeMillis
      if (key !== undefined && now < key.since.active! + Duration.toMillis(rotateEvery)) return
      yield* start(yield* newKey)
      yield* advanceAll
    })

    const failed = (error: unknown) =>
      Effect.gen(function* () {
        yield* Effect.logWarning(`rotation: a turn failed: ${tagOf(error)}`)
        yield* tell([{ _tag: "TurnFailed", at: yield* Clock.currentTimeMillis, error: tagOf(error) }])
      })

    const turn = Effect.andThen(Effect.catch(advanceAll, failed), Effect.catch(startNext, failed))
    yield* Effect.repeat(turn, options.schedule)
  })

  return Rotation.of({
    status,
    start,
    adopt: (id, options = {}) =>
      Effect.flatMap(newKey(id, options), (key) => commit(() => Effect.succeed({ _tag: "Adopt", key }))).pipe(
        Effect.withSpan("Rotation.adopt")
      ),
    advance,
    rollback,
    disable: (id, options) =>
      commit(() => Effect.succeed({ _tag: "Disable", id, compromised: options?.compromised })).pipe(
        Effect.withSpan("Rotation.disable")
      ),
    run,
    events: Stream.fromPubSub(events),
    published: Effect.flatMap(current, (state) =>
      state === undefined
        ? // An empty key set would take every key from verifiers that have some
          Effect.fail(
            new RotationStoreError({
              store: store.name,
              operation: "read",
              reason: "Unavailable",
              problem: "it holds no rotation; start or adopt a key first"
            })
          )
        : Effect.succeed(
            RotationState.published(state).map(({ kid, publicKey }) => ({
              publicKey,
              keyId: kid,
              ...(purpose === undefined ? {} : { purpose })
            }))
          )
    ),
    signer: Effect.gen(function* () {
      const state = yield* seen
      const key = state === undefined ? undefined : (RotationState.active(state) ?? RotationState.candidate(state))
      const { algorithm } = key ?? (yield* RotatingSigner.activeOf(state, contextOf("make")))
      return yield* signerFor(algorithm, name)
    }),
    active: Effect.gen(function* () {
      const { algorithm, kid } = yield* RotatingSigner.activeOf(yield* seen, contextOf("make"))
      return yield* signerFor(algorithm, kid, kid)
    })
  })
})

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides a `Rotation` over a `RotationStore`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Rotation, InvalidConfiguration, RotationStore> =>
  Layer.effect(Rotation, make(options))

/**
 * Provides the `Signer` that signs with the active key of a rotation.
 *
 * **Gotchas**
 *
 * The rotation must have a key that is active, or on its way, when this is built.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSigner: Layer.Layer<Signer.Signer, SignerError, Rotation> = Layer.effect(
  Signer.Signer,
  Rotation.use((rotation) => rotation.signer)
)
