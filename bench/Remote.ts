/**
 * How a client of a remote backend is measured: against another client of the same
 * server, which is a process of its own. Many calls at once, both sides in turn; the
 * median of the paired ratios is reported.
 */
import { fork } from "node:child_process"
import * as Effect from "effect/Effect"
import type { Scope } from "effect/Scope"
import type { Row } from "./Row.ts"
import { median } from "./Row.ts"

/** Signs so many times, so many at once. */
export type Run = (count: number, concurrency: number) => Effect.Effect<void>

/** A server in a process of its own, which prints its port when it listens. */
export const server = (script: string): Effect.Effect<{ readonly url: string }, never, Scope> =>
  Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<{ readonly url: string; readonly stop: () => void }>((resolve, reject) => {
          const child = fork(new URL(script, import.meta.url), { stdio: ["ignore", "pipe", "inherit", "ipc"] })
          child.once("error", reject)
          child.stdout!.once("data", (port: Buffer) =>
            resolve({ url: `http://127.0.0.1:${Number(port)}`, stop: () => void child.kill() })
          )
        })
    ),
    ({ stop }) => Effect.sync(stop)
  )

/** A side that is a function of promises. */
export const promises =
  (call: () => Promise<unknown>): Run =>
  (count, concurrency) =>
    Effect.promise(async () => {
      let left = count
      await Promise.all(
        Array.from({ length: concurrency }, async () => {
          while (left-- > 0) await call()
        })
      )
    })

/** A side that is an effect: as many loops as there are calls at once, as the other side has. */
export const effects =
  (call: () => Effect.Effect<unknown, unknown>): Run =>
  (count, concurrency) =>
    Effect.suspend(() => {
      let left = count
      const loop = Effect.whileLoop({ while: () => left-- > 0, body: call, step: () => {} })
      return Effect.orDie(
        Effect.forEach(Array.from({ length: concurrency }), () => loop, { concurrency: "unbounded", discard: true })
      )
    })

/** What one signature costs, in microseconds. */
export interface Cost {
  /** Of the clock. */
  readonly time: number
  /** Of this process's CPU. */
  readonly cpu: number
}

const costOf = (run: Run, count: number, concurrency: number) =>
  Effect.suspend(() => {
    const cpu = process.cpuUsage()
    const start = performance.now()
    return Effect.map(run(count, concurrency), (): Cost => {
      const { system, user } = process.cpuUsage(cpu)
      return { time: ((performance.now() - start) * 1000) / count, cpu: (user + system) / count }
    })
  })

const rounds = 31

export interface Comparison {
  readonly server: string
  readonly ours: (url: string) => Effect.Effect<Run, unknown, Scope>
  readonly reference: (url: string) => Effect.Effect<Run, unknown, Scope>
  readonly against: string
  readonly count: number
  readonly concurrency: number
}

/** A row of one number of the cost. */
export const row = (name: string, unit: string, valueOf: (cost: Cost) => number, comparison: Comparison): Row => ({
  name,
  measure: Effect.scoped(
    Effect.gen(function* () {
      const { against, concurrency, count } = comparison
      const { url } = yield* server(comparison.server)
      const ours = yield* comparison.ours(url)
      const reference = yield* comparison.reference(url)
      const values: { readonly ours: Array<number>; readonly reference: Array<number> } = { ours: [], reference: [] }
      for (let warmUp = 0; warmUp < 3; warmUp++) {
        yield* ours(count, concurrency)
        yield* reference(count, concurrency)
      }
      for (let round = 0; round < rounds; round++) {
        if (round % 2 === 0) values.ours.push(valueOf(yield* costOf(ours, count, concurrency)))
        values.reference.push(valueOf(yield* costOf(reference, count, concurrency)))
        if (round % 2 === 1) values.ours.push(valueOf(yield* costOf(ours, count, concurrency)))
      }
      return {
        name,
        value: median(values.ours),
        unit,
        against,
        ratio: median(values.ours.map((value, index) => value / values.reference[index]!)),
        samples: rounds
      }
    })
  )
})

export const throughput = ({ time }: Cost): number => 1_000_000 / time
export const cpu = ({ cpu }: Cost): number => cpu
