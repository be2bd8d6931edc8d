/**
 * A clock that stands still until it is told to go on: both sides of a socket read the
 * same time, and the last moment at which a message counts is met exactly. Sleeping,
 * and what is measured, stay real.
 */
import { Clock, Duration, Effect } from "effect"

/** A clock that reads a time, in milliseconds, from elsewhere. */
const reading = (live: Clock.Clock, now: () => number): Clock.Clock => {
  const nanos = () => BigInt(now()) * 1_000_000n
  return {
    currentTimeMillisUnsafe: now,
    currentTimeMillis: Effect.sync(now),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: () => live.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: live.monotonicTimeNanos,
    sleep: (duration) => live.sleep(duration)
  }
}

/** Stands at noon of a day, on a whole second. */
export const make = Effect.map(Clock.Clock, (live) => {
  let now = Date.UTC(2026, 0, 1, 12)
  return {
    clock: reading(live, () => now),
    advance: (by: Duration.Input) =>
      Effect.sync(() => {
        now += Duration.toMillis(Duration.fromInputUnsafe(by))
      })
  }
})

/** Runs as somebody whose clock differs by so many seconds. */
export const offBy =
  (seconds: number) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(Clock.Clock, (clock) =>
      Effect.provideService(
        effect,
        Clock.Clock,
        reading(clock, () => clock.currentTimeMillisUnsafe() + seconds * 1000)
      )
    )
