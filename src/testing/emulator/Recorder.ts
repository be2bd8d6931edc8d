/**
 * What happened at an emulator, in order, without a clock: which requests came,
 * how each ended, and which the caller gave up.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/**
 * `Received` begins a request. It ends as `Answered`, as `Dropped` where the
 * emulator broke the connection, or as `Abandoned` where the caller did before the
 * answer was out.
 *
 * @category models
 * @since 0.1.0
 */
export type Event =
  | { readonly _tag: "Received"; readonly request: number; readonly operation: string; readonly input: unknown }
  | { readonly _tag: "Answered"; readonly request: number; readonly operation: string; readonly status: number }
  | { readonly _tag: "Dropped"; readonly request: number; readonly operation: string }
  | { readonly _tag: "Abandoned"; readonly request: number; readonly operation: string }

/**
 * The record of an emulator.
 *
 * @category models
 * @since 0.1.0
 */
export interface Recorder {
  /** What happened, oldest first. The last 10,000 events are kept. */
  readonly events: Effect.Effect<ReadonlyArray<Event>>
  /** How many requests came, ever: all, or those of one operation. */
  readonly count: (operation?: string) => Effect.Effect<number>
  /** The first event that `isWanted` accepts, of those recorded and of those to come. */
  readonly waitFor: (isWanted: (event: Event) => boolean) => Effect.Effect<Event>
  /** Forgets the events, and not the counts. */
  readonly clear: Effect.Effect<void>
}

/** How a request ended, for the emulator to say. */
export interface Ended {
  readonly _tag: "Answered" | "Dropped"
  readonly status: number
}

const capacity = 10_000

/** A recorder, and how an emulator writes to it. */
export const make = (): {
  readonly recorder: Recorder
  /** Records a request, and how the effect that answers it ends. */
  readonly record: <A extends Ended, E>(
    operation: string,
    input: unknown,
    answer: Effect.Effect<A, E>
  ) => Effect.Effect<A, E>
} => {
  const events: Array<Event> = []
  const counts = new Map<string, number>()
  const waiting = new Set<(event: Event) => void>()
  let requests = 0

  const add = (event: Event) => {
    events.push(event)
    if (events.length > capacity) events.shift()
    for (const notice of waiting) notice(event)
  }

  return {
    recorder: {
      events: Effect.sync(() => events.slice()),
      count: (operation) => Effect.sync(() => (operation === undefined ? requests : (counts.get(operation) ?? 0))),
      waitFor: (isWanted) =>
        Effect.callback((resume) => {
          const past = events.find(isWanted)
          if (past !== undefined) return resume(Effect.succeed(past))
          const notice = (event: Event) => {
            if (!isWanted(event)) return
            waiting.delete(notice)
            resume(Effect.succeed(event))
          }
          waiting.add(notice)
          return Effect.sync(() => void waiting.delete(notice))
        }),
      clear: Effect.sync(() => {
        events.length = 0
      })
    },
    record: (operation, input, answer) =>
      Effect.suspend(() => {
        const request = requests++
        counts.set(operation, (counts.get(operation) ?? 0) + 1)
        add({ _tag: "Received", request, operation, input })
        return Effect.onExit(answer, (exit) =>
          Effect.sync(() => {
            if (!Exit.isSuccess(exit)) add({ _tag: "Abandoned", request, operation })
            else if (exit.value._tag === "Dropped") add({ _tag: "Dropped", request, operation })
            else add({ _tag: "Answered", request, operation, status: exit.value.status })
          })
        )
      })
  }
}
