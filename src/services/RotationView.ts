/**
 * The state of a rotation as those see it who sign and publish: read again after
 * `refresh`, kept for `outage` more where the store does not answer, and not used
 * after that. Who cannot know whether a key is still published must stop.
 *
 * The age of a state counts from the moment when its reading began. It is the larger of
 * what two clocks say: the monotonic one stands still while a machine sleeps, the other
 * one may be set back.
 *
 * @category internal
 */
import * as Cache from "effect/Cache"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { Policy, RotationState } from "../schemas/RotationState.ts"
import type { Service, Stored } from "./RotationStore.ts"
import { RotationStoreError } from "./RotationStore.ts"

/** One moment on both clocks. */
export interface Instant {
  readonly wall: number
  readonly monotonic: bigint
}

export const instant: Effect.Effect<Instant> = Effect.clockWith((clock) => Effect.sync(() => instantOf(clock)))

const instantOf = (clock: Clock.Clock): Instant => ({
  wall: clock.currentTimeMillisUnsafe(),
  monotonic: clock.monotonicTimeNanosUnsafe()
})

/** Milliseconds; for ever where the clock was set back by more than clocks may differ. */
const between = (from: Instant, to: Instant, clockSkew: number): number => {
  const wall = to.wall - from.wall
  return wall < -clockSkew ? Infinity : Math.max(wall, Number(to.monotonic - from.monotonic) / 1e6)
}

/** The most one reading may take. */
const timeout = Duration.seconds(5)

/** The most anybody waits for one who could do without. */
const patience = Duration.seconds(1)

/** Milliseconds between two attempts to read, while the store does not answer. */
const backOff = 1000

interface Seen {
  readonly stored: Stored
  /** When the reading began. */
  readonly at: Instant
}

export interface View {
  /** A state that is young enough to act on; `undefined` where there is none yet. */
  readonly current: Effect.Effect<RotationState | undefined, RotationStoreError>
  /** Reads the store, however young the state is. */
  readonly read: Effect.Effect<Stored, RotationStoreError>
  /** Takes note of what was written, at a moment before it was. */
  readonly note: (stored: Stored, at: Instant) => Effect.Effect<void>
}

export const make = Effect.fnUntraced(function* (
  store: Service,
  policy: Policy
): Effect.fn.Return<View, never, Scope.Scope> {
  let seen: Seen | undefined
  /** How often something was noted: clocks do not tell two moments apart that are close. */
  let notes = 0
  let failedAt: Instant | undefined

  /** The newer of what was read and what is known; what has gone back is refused. `before`: the notes when it began. */
  const accept = (stored: Stored, at: Instant, before: number) =>
    Effect.suspend(() => {
      const last = seen
      if (last !== undefined && stored.revision < last.stored.revision) {
        // A slow reading that began before the last one ended says nothing
        return before < notes
          ? Effect.succeed(last.stored)
          : Effect.fail(
              new RotationStoreError({
                store: store.name,
                operation: "read",
                reason: "Corrupt",
                problem:
                  `it went back from revision ${last.stored.revision} to ${stored.revision}: steps that were taken ` +
                  "are lost; see that the keys in it are right, then start this process again"
              })
            )
      }
      if (last === undefined || stored.revision > last.stored.revision || at.monotonic > last.at.monotonic) {
        seen = { stored, at }
        notes++
      }
      return Effect.succeed(stored)
    })

  const within = (duration: Duration.Duration) => {
    const problem = `no answer within ${Duration.format(duration)}`
    return Effect.timeoutOrElse({
      duration,
      orElse: () =>
        Effect.fail(new RotationStoreError({ store: store.name, operation: "read", reason: "Unavailable", problem }))
    })
  }

  const read = Effect.flatMap(instant, (at) => {
    const before = notes
    return store.read.pipe(
      within(timeout),
      Effect.flatMap((stored) => accept(stored, at, before))
    )
  })

  // Nothing is kept here: callers at the same moment share one reading. It goes on where they do not wait for it.
  const scope = yield* Effect.scope
  const inBackground = Effect.flatMap(Effect.forkIn(read, scope), Fiber.join)
  const shared = yield* Cache.makeWith((_: "state") => inBackground, { capacity: 1, timeToLive: () => Duration.zero })

  const current = Effect.clockWith((clock) =>
    Effect.suspend(() => {
      const now = instantOf(clock)
      const last = seen
      const { clockSkew, outage, refresh } = last?.stored.state?.policy ?? policy
      const age = last === undefined ? Infinity : between(last.at, now, clockSkew)
      const mayGoOn = last !== undefined && age <= refresh + outage
      const isWaiting = failedAt !== undefined && between(failedAt, now, clockSkew) < backOff
      if (last !== undefined && (age < refresh || (mayGoOn && isWaiting))) return Effect.succeed(last.stored.state)
      const answer = Cache.get(shared, "state")
      return Effect.matchEffect(mayGoOn ? within(patience)(answer) : answer, {
        onSuccess: ({ state }) =>
          Effect.sync(() => {
            failedAt = undefined
            return state
          }),
        onFailure: (error) =>
          Effect.suspend(() => {
            const then = instantOf(clock)
            failedAt = then
            return last !== undefined && between(last.at, then, clockSkew) <= refresh + outage
              ? Effect.succeed(last.stored.state)
              : Effect.fail(error)
          })
      })
    })
  )

  return { current, read, note: (stored, at) => Effect.suspend(() => Effect.ignore(accept(stored, at, notes))) }
})
