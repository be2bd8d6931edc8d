/**
 * How the inside of a Signer tells the `observed` decorator around it what no
 * result shows: that an attempt was repeated, and whether a public key came from
 * the cache. Absent, and so free, where nobody observes.
 *
 * @category internal
 */
import * as Context from "effect/Context"

/** @internal */
export interface Observer {
  readonly retried: () => void
  /** A public key was asked for, and was in the cache or not. */
  readonly publicKeyAsked: (isHit: boolean) => void
}

/** @internal */
export const Observation = Context.Reference<Observer | undefined>("effect-signer/Observation", {
  defaultValue: () => undefined
})
