/**
 * Which fault which request gets: a script in order, then chance with a seed.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type { Fault } from "./Fault.ts"
import { none } from "./Fault.ts"

/**
 * The faults that are still to come for one kind of request.
 *
 * @category models
 * @since 0.1.0
 */
export interface FaultScript {
  /** Adds faults to the end of the script: one for each request. */
  readonly push: (...faults: ReadonlyArray<Fault>) => Effect.Effect<void>
  /**
   * When the script is at its end, this fault with this probability. The same seed
   * makes the same choices, by the order in which requests arrive.
   */
  readonly sometimes: (
    fault: Fault,
    options: { readonly probability: number; readonly seed: number }
  ) => Effect.Effect<void>
  /** When the script is at its end, this fault for every request. */
  readonly always: (fault: Fault) => Effect.Effect<void>
  /** Forgets all faults. */
  readonly clear: Effect.Effect<void>
  /** The fault of the next request. */
  readonly next: Effect.Effect<Fault>
}

/** Numbers from 0 to 1 by a Weyl sequence and the finalizer of MurmurHash3: even enough for chance in tests. */
const random = (seed: number) => {
  let state = seed | 0
  return (): number => {
    state = (state + 0x9e3779b9) | 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32
  }
}

/**
 * A script with these faults.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (faults: ReadonlyArray<Fault> = []): FaultScript => {
  const coming = faults.slice()
  const noFault = () => none
  let otherwise: () => Fault = noFault
  return {
    push: (...faults) => Effect.sync(() => void coming.push(...faults)),
    sometimes: (fault, { probability, seed }) =>
      Effect.sync(() => {
        const chance = random(seed)
        otherwise = () => (chance() < probability ? fault : none)
      }),
    always: (fault) =>
      Effect.sync(() => {
        otherwise = () => fault
      }),
    clear: Effect.sync(() => {
      coming.length = 0
      otherwise = noFault
    }),
    next: Effect.sync(() => coming.shift() ?? otherwise())
  }
}
