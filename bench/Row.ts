/**
 * A benchmark row, and how it is measured: ours and the reference run in turn,
 * many short batches each, and the median of the paired ratios is reported, so
 * that a busy machine disturbs both alike.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** What `--json` writes for each row. */
export interface Result {
  readonly name: string
  /** Median of ours, in `unit`. `decorators/*`: what the decorators add. */
  readonly value: number
  readonly unit: string
  readonly against: string
  /** Ours / reference. */
  readonly ratio: number
  readonly samples: number
}

export interface Row<E = unknown> {
  readonly name: string
  readonly measure: Effect.Effect<Result, E>
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** One operation of each side, run `n` times as one batch inside the running fiber. */
export interface Pair<E> {
  readonly ours: (n: number) => Effect.Effect<void, E>
  readonly reference: (n: number) => Effect.Effect<void, E>
}

/** Microseconds per operation of one batch. */
const timed = <E>(batch: (n: number) => Effect.Effect<void, E>, n: number) =>
  Effect.flatMap(Clock.Clock, (clock) =>
    Effect.suspend(() => {
      const start = clock.currentTimeNanosUnsafe()
      return Effect.map(batch(n), () => Number(clock.currentTimeNanosUnsafe() - start) / 1000 / n)
    })
  )

const rounds = 61
const batchMicros = 8_000

const paired = Effect.fnUntraced(function* <E>(pair: Pair<E>) {
  // warm up, and choose how many operations fill a batch
  yield* timed(pair.reference, 200)
  yield* timed(pair.ours, 200)
  const once = Math.max(yield* timed(pair.reference, 50), yield* timed(pair.ours, 50))
  const n = Math.max(5, Math.min(20_000, Math.round(batchMicros / once)))
  const ours: Array<number> = []
  const reference: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    const isOursFirst = round % 2 === 0
    if (isOursFirst) ours.push(yield* timed(pair.ours, n))
    reference.push(yield* timed(pair.reference, n))
    if (!isOursFirst) ours.push(yield* timed(pair.ours, n))
  }
  return { ours, reference }
})

/** A row that compares times per operation. */
export const ratio = <E, E2>(name: string, against: string, setup: Effect.Effect<Pair<E>, E2>): Row<E | E2> => ({
  name,
  measure: Effect.flatMap(setup, paired).pipe(
    Effect.map(({ ours, reference }) => ({
      name,
      value: median(ours),
      unit: "us",
      against,
      ratio: median(ours.map((value, index) => value / reference[index]!)),
      samples: ours.length
    }))
  )
})

/** A row that says what ours adds to the reference per operation. */
export const added = <E, E2>(name: string, against: string, setup: Effect.Effect<Pair<E>, E2>): Row<E | E2> => ({
  name,
  measure: Effect.flatMap(setup, paired).pipe(
    Effect.map(({ ours, reference }) => ({
      name,
      value: median(ours.map((value, index) => value - reference[index]!)),
      unit: "us",
      against,
      ratio: median(ours.map((value, index) => value / reference[index]!)),
      samples: ours.length
    }))
  )
})

/** A batch of effects, one after the other in this fiber. */
export const sequential = <A, E>(effect: () => Effect.Effect<A, E>) =>
  Effect.fnUntraced(function* (n: number): Effect.fn.Return<void, E> {
    for (let i = 0; i < n; i++) yield* effect()
  })
