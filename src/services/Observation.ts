/**
 * How the inside of a Signer tells the `observed` decorator around it what no
 * result shows: that an attempt was repeated, that a public key was read and not
 * found in the cache. Absent, and so free, where nobody observes.
 *
 * @category internal
 */
import * as Context from "effect/Context"

/** @internal */
export interface Observer {
  readonly retried: () => void
  readonly publicKeyRead: () => void
}

/** @internal */
export const Observation = Context.Reference<Observer | undefined>("effect-signer/Observation", {
  defaultValue: () => undefined
})
