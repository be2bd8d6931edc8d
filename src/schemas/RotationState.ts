/**
 * The rotation of a signing key as data: which keys there are, which of them signs,
 * which are published, since when, and what may happen next.
 *
 * A key goes `created -> published -> canary -> active -> retiring -> retired ->
 * disabled`. One rule stands behind every refusal: a token that some signer may have
 * issued, and that is alive, verifies with any key set that a verifier may still hold.
 *
 * **Details**
 *
 * Three delays make the rule hold ({@link Policy}). A verifier may hold a key set for
 * `propagation` after it was sent. A signer, and whoever serves the key set, may go on
 * for `refresh + outage` with a state that has changed since. The clocks of two
 * processes differ by `clockSkew` at most. So
 *
 * - a key signs no sooner than `propagation + refresh + outage + clockSkew` after it
 *   was published: no verifier holds a key set without it by then;
 * - a key stays published for `tokenLifetime + refresh + outage + clockSkew` after
 *   another one took its place: no token by it is alive after that.
 *
 * Everything here is pure: a function of the state, the time and a {@link Step}.
 *
 * **Gotchas**
 *
 * The numbers are promises of the application. A key set that is sent with a longer
 * `max-age` than `propagation` says, or a token that lives longer than `tokenLifetime`,
 * is outside of the rule. So is a clock that is far ahead: it takes steps too soon, and
 * nothing here can tell. The clocks that are right are behind from then on, and can only
 * disable a compromised key: correct the times in the store.
 *
 * **Example** (What is next, and when)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as RotationState from "effect-signer/RotationState"
 *
 * const program = Effect.gen(function*() {
 *   const policy = yield* RotationState.makePolicy({ propagation: "10 minutes", tokenLifetime: "1 hour" })
 *   return RotationState.pending(RotationState.empty(policy)) // []: there is no key yet
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Jwks from "./Jwks.ts"
import * as PublicKey from "./PublicKey.ts"
import type { KeyState, NewKey, RefusalReason, RotationKey, RotationState, Step } from "./RotationModel.ts"
import { RotationRefused } from "./RotationModel.ts"
import type { Policy } from "./RotationPolicy.ts"

export * from "./RotationModel.ts"
export * from "./RotationPolicy.ts"

// ---------------------------------------------------------------------------
// policy
// ---------------------------------------------------------------------------

/**
 * The larger of each number that keys are kept by; of the canary, what is given.
 *
 * **Details**
 *
 * A number never falls: tokens and key sets that were sent under a larger one are
 * still out there.
 *
 * @category combinators
 * @since 0.1.0
 */
export const raise = (state: RotationState, given: Policy): RotationState => {
  const { policy } = state
  const larger = (field: keyof Policy) => Math.max(policy[field], given[field])
  return {
    ...state,
    policy: {
      propagation: larger("propagation"),
      tokenLifetime: larger("tokenLifetime"),
      refresh: larger("refresh"),
      outage: larger("outage"),
      clockSkew: larger("clockSkew"),
      canarySignatures: given.canarySignatures,
      canaryLength: given.canaryLength
    }
  }
}

/** For how long anybody may act on a state that has changed since, and be wrong about the time. */
const margin = ({ clockSkew, outage, refresh }: Policy) => refresh + outage + clockSkew

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

/**
 * A rotation without keys.
 *
 * @category constructors
 * @since 0.1.0
 */
export const empty = (policy: Policy): RotationState => ({ policy, updatedAt: 0, keys: [] })

const publishedStates: ReadonlyArray<KeyState> = ["published", "canary", "active", "retiring"]
const candidateStates: ReadonlyArray<KeyState> = ["created", "published", "canary"]

/**
 * The keys that belong into the key set.
 *
 * @category combinators
 * @since 0.1.0
 */
export const published = (state: RotationState): ReadonlyArray<RotationKey> =>
  state.keys.filter((key) => publishedStates.includes(key.state))

/**
 * The key that signs.
 *
 * @category combinators
 * @since 0.1.0
 */
export const active = (state: RotationState): RotationKey | undefined =>
  state.keys.find((key) => key.state === "active")

/**
 * The key that is on its way to become active.
 *
 * @category combinators
 * @since 0.1.0
 */
export const candidate = (state: RotationState): RotationKey | undefined =>
  state.keys.find((key) => candidateStates.includes(key.state))

/** The key that a rollback makes active again: of those still published, the one that signed last. */
export const predecessor = (state: RotationState): RotationKey | undefined =>
  state.keys
    .filter((key) => key.state === "retiring")
    .reduce<RotationKey | undefined>(
      (last, key) => (last === undefined || key.since.retiring! >= last.since.retiring! ? key : last),
      undefined
    )

/**
 * The next step of one key, and from when on it may be taken.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pending {
  readonly step: "Publish" | "Canary" | "Activate" | "Retire" | "Disable"
  readonly key: RotationKey
  /** Milliseconds since the Unix epoch. */
  readonly dueAt: number
  /** What is waited for until then. */
  readonly reason: RefusalReason
}

type Next = (policy: Policy) => {
  readonly step: Pending["step"]
  readonly wait: number
  readonly reason: RefusalReason
}

/** What follows each state, and how long after the key came into it. */
const next: { readonly [State in KeyState]?: Next } = {
  created: () => ({ step: "Publish", wait: 0, reason: "WrongState" }),
  published: (policy) => ({
    step: "Canary",
    wait: policy.propagation + margin(policy),
    reason: "PropagationNotOver"
  }),
  canary: ({ canaryLength }) => ({ step: "Activate", wait: canaryLength, reason: "CanaryNotOver" }),
  retiring: (policy) => ({ step: "Retire", wait: policy.tokenLifetime + margin(policy), reason: "TokensAlive" }),
  // By then no verifier holds a key set with it.
  retired: (policy) => ({ step: "Disable", wait: policy.propagation + margin(policy), reason: "PropagationNotOver" })
}

/**
 * The steps that time alone brings, soonest first; of two at one time the older key's.
 *
 * @category combinators
 * @since 0.1.0
 */
export const pending = (state: RotationState): ReadonlyArray<Pending> =>
  state.keys
    .flatMap((key) => {
      const follows = next[key.state]?.(state.policy)
      if (follows === undefined) return []
      const { reason, step, wait } = follows
      return [{ step, key, dueAt: key.since[key.state]! + wait, reason }]
    })
    .sort((a, b) => a.dueAt - b.dueAt)

// ---------------------------------------------------------------------------
// steps
// ---------------------------------------------------------------------------

/** Keys that are done with are remembered, so that none of them comes back; so many of them. */
const maxDisabled = 8

const refuse = (step: string, reason: RefusalReason, problem: string, more: { id?: string; until?: number } = {}) =>
  Result.fail(new RotationRefused({ step, reason, problem, ...more }))

const prune = (keys: ReadonlyArray<RotationKey>): ReadonlyArray<RotationKey> => {
  const disabled = keys.filter((key) => key.state === "disabled")
  const forgotten = [...disabled]
    .sort((a, b) => a.since.disabled! - b.since.disabled!)
    .slice(0, Math.max(0, disabled.length - maxDisabled))
  return keys.filter((key) => !forgotten.includes(key))
}

const moved = (state: RotationState, at: number, moves: { readonly [id: string]: KeyState }): RotationState => ({
  policy: state.policy,
  updatedAt: at,
  keys: prune(
    state.keys.map((key) => {
      const to = Object.hasOwn(moves, key.id) ? moves[key.id]! : undefined
      return to === undefined ? key : { ...key, state: to, since: { ...key.since, [to]: at } }
    })
  )
})

const known = (state: RotationState, key: NewKey) =>
  state.keys.find(
    (other) => other.id === key.id || other.kid === key.kid || PublicKey.sameKey(other.publicKey, key.publicKey)
  )

type Taken = Result.Result<RotationState, RotationRefused>

const utf8 = new TextEncoder()

/** What a key set or a file says of a key beside its names and its JWK, at most. */
const maxFactsLength = 400

/** How many bytes a key takes up, at most, in a key set or in the file of a state, whatever happens to it. */
const lengthOf = ({ id, kid, publicKey }: NewKey): number =>
  utf8.encode(JSON.stringify([id, kid, PublicKey.toJwk(publicKey)])).length + maxFactsLength

/** Whether one more key fits: into a key set that its readers take, and into a file. */
const hasRoom = (state: RotationState, key: NewKey): boolean =>
  published(state).length < Jwks.maxKeys &&
  [...state.keys, key].reduce((length, key) => length + lengthOf(key), maxFactsLength) <= Jwks.maxLength

const start = (state: RotationState, at: number, step: Extract<Step, { readonly _tag: "Start" }>): Taken => {
  const { id } = step.key
  const other = known(state, step.key)
  if (other !== undefined) {
    return refuse("Start", "KeyKnown", `the rotation has this key, its name or its kid already, as ${other.state}`, {
      id
    })
  }
  if (!hasRoom(state, step.key)) {
    const problem =
      `${published(state).length} keys are published still, and one more would be too much for a key set; ` +
      "rotate less often, or let tokens live shorter"
    return refuse("Start", "TooManyKeys", problem, { id })
  }
  const before = candidate(state)
  if (before !== undefined) {
    return refuse("Start", "InProgress", `${before.id} is ${before.state}; one key at a time becomes active`, { id })
  }
  const current = active(state) ?? predecessor(state)
  if (current !== undefined && current.algorithm !== step.key.algorithm && step.allowAlgorithmChange !== true) {
    return refuse(
      "Start",
      "AlgorithmChange",
      `${id} signs with ${step.key.algorithm}, the key before it with ${current.algorithm}: ` +
        "allow it with allowAlgorithmChange, once every verifier takes both",
      { id }
    )
  }
  const key: RotationKey = { ...step.key, state: "created", since: { created: at } }
  return Result.succeed({ ...state, updatedAt: at, keys: [...state.keys, key] })
}

const adopt = (state: RotationState, at: number, key: NewKey): Taken =>
  state.keys.length > 0
    ? refuse("Adopt", "NotEmpty", "only the first key of a rotation is adopted; start the others", { id: key.id })
    : Result.succeed({
        ...state,
        updatedAt: at,
        keys: [{ ...key, state: "active", since: { created: at, published: at, active: at } }]
      })

const rollback = (state: RotationState, at: number, to: string | undefined): Taken => {
  const before = predecessor(state)
  if (before === undefined) {
    return refuse("Rollback", "NoPredecessor", "no key that signed before is still published; start a new one")
  }
  if (to !== undefined && before.id !== to) {
    const problem = "another process was faster, and the key before is another one now; see what is active"
    return refuse("Rollback", "Contended", problem, { id: to })
  }
  const current = active(state)
  return Result.succeed(
    moved(state, at, {
      ...(current === undefined ? {} : { [current.id]: "retiring" as const }),
      [before.id]: "active"
    })
  )
}

const disable = (state: RotationState, at: number, key: RotationKey, isCompromised: boolean): Taken => {
  if (key.state === "disabled") return refuse("Disable", "WrongState", "it is disabled already", { id: key.id })
  if (!isCompromised && (key.state === "active" || key.state === "retiring")) {
    const retire = pending(state).find((pending) => pending.key === key)
    return refuse(
      "Disable",
      "StillNeeded",
      retire === undefined
        ? "it is the key that signs; make another one active first, or say that it is compromised"
        : "tokens that it signed may be alive; wait, or say that it is compromised",
      { id: key.id, ...(retire === undefined ? {} : { until: retire.dueAt }) }
    )
  }
  return Result.succeed(moved(state, at, { [key.id]: "disabled" }))
}

const reached: {
  readonly [S in "Publish" | "Canary" | "Activate" | "Retire"]: readonly [from: KeyState, to: KeyState]
} = {
  Publish: ["created", "published"],
  Canary: ["published", "canary"],
  Activate: ["canary", "active"],
  Retire: ["retiring", "retired"]
}

/** A step that time brings: from one state, and not too soon. */
const onTime = (
  state: RotationState,
  at: number,
  step: Extract<Step, { readonly _tag: keyof typeof reached }>,
  key: RotationKey
): Taken => {
  const [from, to] = reached[step._tag]
  const { id } = key
  if (key.state !== from) return refuse(step._tag, "WrongState", `it is ${key.state}, and must be ${from}`, { id })
  const { dueAt, reason } = pending(state).find((pending) => pending.key === key)!
  if (at < dueAt) return refuse(step._tag, reason, waitingFor[reason] ?? "it is too soon", { id, until: dueAt })
  const { canarySignatures } = state.policy
  if (step._tag === "Activate" && !(step.verified >= canarySignatures)) {
    return refuse(
      "Activate",
      "CanaryFailed",
      `${step.verified} of ${canarySignatures} challenges were signed so that they verify`,
      { id }
    )
  }
  const current = active(state)
  return Result.succeed(
    moved(state, at, {
      ...(step._tag === "Activate" && current !== undefined ? { [current.id]: "retiring" as const } : {}),
      [id]: to
    })
  )
}

/** What a refusal that has an end says. */
const waitingFor: { readonly [R in RefusalReason]?: string } = {
  PropagationNotOver: "a verifier may hold a key set from before the change",
  CanaryNotOver: "the key has not been a canary for long enough",
  TokensAlive: "tokens that the key signed may be alive, and need it published"
}

/**
 * Takes one step, or says why not.
 *
 * **Details**
 *
 * `now` may lie behind the last step by `clockSkew`, as clocks of several processes
 * do; the step is then taken at the time of the last one. Behind by more it is refused,
 * except for `Disable` of a compromised key.
 *
 * @category combinators
 * @since 0.1.0
 */
export const transition = (
  state: RotationState,
  now: number,
  step: Step
): Result.Result<RotationState, RotationRefused> => {
  const earliest = state.updatedAt - state.policy.clockSkew
  // No wait depends on when that was
  const isUrgent = step._tag === "Disable" && step.compromised === true
  if (!isUrgent && !(now >= earliest)) {
    return refuse(
      step._tag,
      "ClockBackwards",
      "the last step was taken at a later time than it is now; one of two clocks is wrong",
      { until: earliest }
    )
  }
  const at = now >= state.updatedAt ? Math.floor(now) : state.updatedAt
  if (step._tag === "Start") return start(state, at, step)
  if (step._tag === "Adopt") return adopt(state, at, step.key)
  if (step._tag === "Rollback") return rollback(state, at, step.to)
  const key = state.keys.find(({ id }) => id === step.id)
  if (key === undefined) return refuse(step._tag, "KeyUnknown", "the rotation has no key of this name", { id: step.id })
  return step._tag === "Disable" ? disable(state, at, key, step.compromised === true) : onTime(state, at, step, key)
}

/**
 * The step to take now, or why there is none: `NothingToDo`, or what is waited for
 * and until when.
 *
 * @category combinators
 * @since 0.1.0
 */
export const due = (state: RotationState, now: number): Result.Result<Pending, RotationRefused> => {
  const [first] = pending(state)
  if (first === undefined) return refuse("Advance", "NothingToDo", "no key is on its way; start one")
  const { dueAt, key, reason, step } = first
  return now >= dueAt
    ? Result.succeed(first)
    : refuse(step, reason, waitingFor[reason] ?? "it is too soon", { id: key.id, until: dueAt })
}
