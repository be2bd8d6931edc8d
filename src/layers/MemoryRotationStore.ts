/**
 * Keeps the state of a rotation in memory: for tests and development, and for one
 * process whose keys die with it.
 *
 * **Example** (A rotation for a spec)
 *
 * ```ts
 * import { RotationStore } from "effect-signer/RotationStore"
 * import * as MemoryRotationStore from "effect-signer/MemoryRotationStore"
 *
 * const program = RotationStore.use((store) => store.read)
 * const StoreLive = MemoryRotationStore.layer()
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Service, Stored } from "../services/RotationStore.ts"
import { RotationStore } from "../services/RotationStore.ts"

/**
 * A store in memory.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Service> = Effect.sync(() => {
  let stored: Stored = { revision: 0, state: undefined }
  return RotationStore.of({
    name: "memory",
    read: Effect.sync(() => stored),
    compareAndSet: (revision, state) =>
      Effect.sync(() => {
        if (stored.revision !== revision) return false
        stored = { revision: revision + 1, state }
        return true
      })
  })
})

/**
 * Provides a `RotationStore` in memory: each call another one, so that two rotations
 * never share their state.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (): Layer.Layer<RotationStore> => Layer.effect(RotationStore, make)
