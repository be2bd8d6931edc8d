/**
 * How steps of a rotation are taken: read, decide, write, and tell; and how a key
 * proves that it signs.
 *
 * @category internal
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as PublicKey from "../schemas/PublicKey.ts"
import { isText, maxNameLength } from "../schemas/PublishedKey.ts"
import * as RotationState from "../schemas/RotationState.ts"
import { RotationRefused } from "../schemas/RotationState.ts"
import * as RotationStateJson from "../schemas/RotationStateJson.ts"
import { InvalidConfiguration, SignerError } from "../schemas/SignerError.ts"
import * as RotatingSigner from "./RotatingSigner.ts"
import { RotationStoreError } from "./RotationStore.ts"
import type * as RotationStore from "./RotationStore.ts"
import * as RotationView from "./RotationView.ts"
import type * as Signer from "./Signer.ts"
import * as Verifier from "./Verifier.ts"

/**
 * A key came into a state.
 *
 * @category models
 * @since 0.1.0
 */
export interface Moved {
  readonly _tag: "Moved"
  readonly id: string
  readonly kid: string
  /** Absent for a key that is new. */
  readonly from: RotationState.KeyState | undefined
  readonly to: RotationState.KeyState
  /** Milliseconds since the Unix epoch. */
  readonly at: number
}

/**
 * What is told as it happens.
 *
 * @category models
 * @since 0.1.0
 */
export type RotationEvent =
  | Moved
  /** A key did not sign as it must; it does not become active. */
  | { readonly _tag: "CanaryFailed"; readonly at: number; readonly error: CanaryFailed }
  /** A turn of `run` failed; it goes on. `error` is the tag of the error. */
  | { readonly _tag: "TurnFailed"; readonly at: number; readonly error: string }

/**
 * The key did not prove that it signs: a challenge was not signed, or the signature
 * does not verify by the key that is published.
 *
 * @category errors
 * @since 0.1.0
 */
export class CanaryFailed extends Schema.TaggedError<CanaryFailed>("effect-signer/CanaryFailed")("CanaryFailed", {
  id: Schema.String,
  /** How many challenges it signed before. */
  verified: Schema.Int,
  /** Why a challenge was not signed; absent where its signature does not verify. */
  error: Schema.optionalKey(SignerError)
}) {
  override get message() {
    return `CanaryFailed: ${this.id}: ${this.error?.message ?? "its signature does not verify by the published key"}`
  }
}

/**
 * Why a step was not taken.
 *
 * @category errors
 * @since 0.1.0
 */
export type StepError = RotationRefused | RotationStoreError | SignerError | CanaryFailed

/**
 * Options of `start` and `adopt`.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyOptions {
  /**
   * How messages name the key. Default: its RFC 7638 thumbprint, which is what `Jws` and
   * `Jwt` write by themselves; with another one, sign with `active` and its `keyId`.
   */
  readonly kid?: string | undefined
}

/** No message of any protocol begins like this: what a canary signs is of no use to anybody. */
const challengePrefix = new TextEncoder().encode("effect-signer rotation canary\0")

const makeChallenge = (): Uint8Array => {
  const message = new Uint8Array(challengePrefix.length + 32)
  message.set(challengePrefix)
  message.set(globalThis.crypto.getRandomValues(new Uint8Array(32)), challengePrefix.length)
  return message
}

/** How often a step is tried of which others take one first. */
const maxAttempts = 100

const movesBetween = (before: RotationState.RotationState, after: RotationState.RotationState): ReadonlyArray<Moved> =>
  after.keys.flatMap(({ id, kid, state }) => {
    const from = before.keys.find((key) => key.id === id)?.state
    return from === state ? [] : [{ _tag: "Moved" as const, id, kid, from, to: state, at: after.updatedAt }]
  })

/** Whether a state keeps keys for less time than somebody needs who lives by these numbers. */
const isBelow = ({ policy }: RotationState.RotationState, given: RotationState.Policy): boolean =>
  (["propagation", "tokenLifetime", "refresh", "outage", "clockSkew"] as const).some(
    (field) => policy[field] < given[field]
  )

/** What steps are taken with. */
export interface Context {
  readonly store: RotationStore.Service
  readonly view: RotationView.View
  readonly policy: RotationState.Policy
  readonly signerOf: (id: string) => Effect.Effect<Signer.Service, SignerError>
  /** A key is done with: its Signer is no longer needed. */
  readonly release: (id: string) => Effect.Effect<void>
  readonly events: PubSub.PubSub<RotationEvent>
}

export const make = ({ events, policy, release, signerOf, store, view }: Context) => {
  const tell = (told: ReadonlyArray<RotationEvent>) => PubSub.publishAll(events, told)

  /** Has a key sign challenges, each of which must verify by its published key. */
  const challenge = Effect.fnUntraced(function* (key: RotationState.RotationKey, count: number) {
    let verified = 0
    const failed = (error?: SignerError) =>
      Effect.gen(function* () {
        const failure = new CanaryFailed({ id: key.id, verified, ...(error === undefined ? {} : { error }) })
        yield* tell([{ _tag: "CanaryFailed", at: yield* Clock.currentTimeMillis, error: failure }])
        return yield* failure
      })
    yield* Effect.gen(function* () {
      const verifier = yield* Verifier.make(key.publicKey, { algorithm: key.algorithm })
      const signer = yield* signerOf(key.id)
      for (; verified < count; verified++) {
        const message = makeChallenge()
        const signature = yield* RotatingSigner.signWith(signer, key, message)
        if (!(yield* verifier.verify(message, signature))) return yield* Effect.fail(undefined)
      }
    }).pipe(Effect.catch(failed))
    return verified
  })

  /** Whether a store that did not answer has written this state all the same. */
  const hasWritten = (revision: number, state: RotationState.RotationState) =>
    Effect.match(view.read, {
      onFailure: () => false,
      onSuccess: (found) =>
        found.revision === revision &&
        found.state !== undefined &&
        RotationStateJson.toText(found.state) === RotationStateJson.toText(state)
    })

  /** Writes a state in place of the one that was read, and says whether it did. */
  const write = Effect.fnUntraced(function* (revision: number, state: RotationState.RotationState) {
    const at = yield* RotationView.instant
    const isWritten = yield* Effect.catchIf(
      store.compareAndSet(revision, state),
      ({ reason }) => reason === "Unavailable",
      (error) =>
        Effect.filterOrFail(
          hasWritten(revision + 1, state),
          (isWritten) => isWritten,
          () => error
        )
    )
    if (isWritten) yield* view.note({ revision: revision + 1, state }, at)
    return isWritten
  })

  /** Has the store keep the numbers of this process, before somebody relies on them. */
  const keepPolicy = (
    left: number = maxAttempts
  ): Effect.Effect<RotationState.RotationState | undefined, RotationStoreError> =>
    Effect.gen(function* () {
      const { revision, state } = yield* view.read
      if (state === undefined || !isBelow(state, policy)) return state
      const { canaryLength, canarySignatures } = state.policy
      const raised = RotationState.raise(state, { ...policy, canaryLength, canarySignatures })
      if (yield* Effect.uninterruptible(write(revision, raised))) return raised
      return left > 0
        ? yield* keepPolicy(left - 1)
        : yield* new RotationStoreError({
            store: store.name,
            operation: "compareAndSet",
            reason: "Unavailable",
            problem: "other processes write all the time"
          })
    })

  let tidied: RotationState.RotationState | undefined

  /** Whoever took the step: keys that are done with need no Signer here. */
  const releaseDone = (state: RotationState.RotationState | undefined) =>
    Effect.suspend(() => {
      if (state === undefined || state === tidied) return Effect.void
      tidied = state
      const done = state.keys.filter(({ state }) => state === "retired" || state === "disabled")
      return Effect.forEach(done, ({ id }) => release(id), { discard: true })
    })

  /** A state to sign and to publish by: young enough, and kept by the numbers of this process. */
  const current = Effect.filterOrElse(
    view.current,
    (state) => state === undefined || !isBelow(state, policy),
    () => keepPolicy()
  ).pipe(Effect.tap(releaseDone))

  /** Reads, decides, writes; and again where another process was faster. */
  const commit = <E>(
    stepOf: (state: RotationState.RotationState, now: number) => Effect.Effect<RotationState.Step, E>,
    left: number = maxAttempts
  ): Effect.Effect<ReadonlyArray<Moved>, E | RotationRefused | RotationStoreError> =>
    Effect.gen(function* () {
      const { revision, state: found } = yield* view.read
      const before = RotationState.raise(found ?? RotationState.empty(policy), policy)
      const step = yield* stepOf(before, yield* Clock.currentTimeMillis)
      const after = yield* Effect.fromResult(RotationState.transition(before, yield* Clock.currentTimeMillis, step))
      // Who has taken a step also tells so
      const moves = yield* Effect.uninterruptible(
        Effect.gen(function* () {
          if (!(yield* write(revision, after))) return undefined
          const moves = movesBetween(before, after)
          yield* tell(moves)
          return moves
        })
      )
      if (moves === undefined) {
        return left > 0
          ? yield* commit(stepOf, left - 1)
          : yield* new RotationRefused({
              step: step._tag,
              reason: "Contended",
              problem: "other processes take steps all the time; try again"
            })
      }
      yield* releaseDone(after)
      return moves
    })

  /** A key as its Signer shows it, once it has signed a challenge. */
  const newKey = Effect.fnUntraced(function* (id: string, options: KeyOptions) {
    for (const [field, name] of [
      ["id", id],
      ["kid", options.kid ?? id]
    ] as const) {
      if (!isText(name, maxNameLength)) {
        return yield* new InvalidConfiguration({
          backend: "rotation",
          keyId: "-",
          operation: "make",
          field,
          problem: `must be text of 1 to ${maxNameLength} characters without control characters`
        })
      }
    }
    const signer = yield* signerOf(id)
    const { algorithm } = signer
    const publicKey = yield* Effect.flatMap(signer.publicKey(), (key) => PublicKey.withAlgorithm(key, algorithm))
    const key = { id, kid: options.kid ?? PublicKey.thumbprint(publicKey), publicKey, algorithm }
    yield* challenge({ ...key, state: "created", since: {} }, 1)
    return key
  })

  /** The first of the steps that are due that can be taken. A canary that fails holds up no other key. */
  const dueStep = Effect.fnUntraced(function* (
    state: RotationState.RotationState,
    now: number
  ): Effect.fn.Return<RotationState.Step, RotationRefused | CanaryFailed> {
    yield* Effect.fromResult(RotationState.due(state, now))
    let failure: CanaryFailed | undefined
    for (const { dueAt, key, step } of RotationState.pending(state)) {
      if (dueAt > now) break
      if (step !== "Activate") return { _tag: step, id: key.id }
      const verified = yield* Effect.result(challenge(key, state.policy.canarySignatures))
      if (Result.isSuccess(verified)) return { _tag: step, id: key.id, verified: verified.success }
      failure = verified.failure
    }
    return yield* failure! // something was due
  })

  return { challenge, commit, current, dueStep, newKey, tell }
}
