/**
 * The auxiliary randomness of one BIP340 signature, for the tests that must make a
 * published signature byte for byte.
 */
import { Effect } from "effect"

/**
 * Runs an effect whose next 32 random bytes are these: the auxiliary randomness of
 * one BIP340 signature. Nothing public chooses it, and nothing should: where it
 * repeats over another message, or is known, so is less of what it protects. The
 * published signatures were made with it, so the source is replaced for one draw.
 */
export const withAuxiliary = <A, E, R>(auxiliary: Uint8Array, self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const { crypto } = globalThis
      const own = Object.getOwnPropertyDescriptor(crypto, "getRandomValues")
      const random = crypto.getRandomValues.bind(crypto)
      const restore = () => {
        if (own === undefined) Reflect.deleteProperty(crypto, "getRandomValues")
        else Object.defineProperty(crypto, "getRandomValues", own)
      }
      Object.defineProperty(crypto, "getRandomValues", {
        configurable: true,
        writable: true,
        value: (array: Uint8Array<ArrayBuffer>) => {
          if (array.length !== auxiliary.length) return random(array)
          restore()
          array.set(auxiliary)
          return array
        }
      })
      return restore
    }),
    () => self,
    (restore) => Effect.sync(restore)
  )
