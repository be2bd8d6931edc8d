/**
 * Where the state of a rotation is kept: one document, changed by comparing and
 * setting its revision, so that of two processes that take the same step one does.
 *
 * **Details**
 *
 * What a store owes: a `read` that begins after a `compareAndSet` answered `true` sees
 * what that one wrote, in other processes too; of several `compareAndSet` of one
 * revision at most one answers `true`; a process that is killed leaves the old document
 * or the new one, whole.
 *
 * **Gotchas**
 *
 * A `compareAndSet` that fails may have written: the answer was lost. Read again.
 *
 * **Example** (The state of a rotation in a file)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as FileRotationStore from "effect-signer/FileRotationStore"
 * import { RotationStore } from "effect-signer/RotationStore"
 *
 * const program = RotationStore.use((store) => store.read).pipe(
 *   Effect.provide(FileRotationStore.layer({ path: "/var/lib/app/rotation.json" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { RotationState } from "../schemas/RotationState.ts"
import { VendorError } from "../schemas/SignerError.ts"

/**
 * Why a store cannot answer. Only `Unavailable` may pass by itself.
 *
 * @category errors
 * @since 0.1.0
 */
export const RotationStoreReason = Schema.Literals([
  "Unavailable",
  "PermissionDenied",
  "TooLarge",
  "Corrupt",
  "NewerFormat"
])

/**
 * The type of {@link RotationStoreReason}.
 *
 * @category errors
 * @since 0.1.0
 */
export type RotationStoreReason = typeof RotationStoreReason.Type

/**
 * The store cannot answer. Its text holds no statement, no address and no content.
 *
 * @category errors
 * @since 0.1.0
 */
export class RotationStoreError extends Schema.TaggedError<RotationStoreError>("effect-signer/RotationStoreError")(
  "RotationStoreError",
  {
    /** Which store: `"memory"`, `"file"`, `"postgres"`. */
    store: Schema.String,
    operation: Schema.Literals(["make", "read", "compareAndSet"]),
    reason: RotationStoreReason,
    problem: Schema.String,
    cause: Schema.optionalKey(VendorError)
  }
) {
  override get message() {
    return `${this.store}.${this.operation}: ${this.reason}: ${this.problem}`
  }
}

/**
 * What a store holds. Revision 0 is a store without a state.
 *
 * @category models
 * @since 0.1.0
 */
export interface Stored {
  readonly revision: number
  readonly state: RotationState | undefined
}

/**
 * Keeps the state of one rotation.
 *
 * @category services
 * @since 0.1.0
 */
export class RotationStore extends Context.Service<
  RotationStore,
  {
    readonly name: string
    readonly read: Effect.Effect<Stored, RotationStoreError>
    /** Writes the state as the next revision, where the store still has this one; says whether it did. */
    readonly compareAndSet: (revision: number, state: RotationState) => Effect.Effect<boolean, RotationStoreError>
  }
>()("effect-signer/RotationStore") {}

/**
 * What a {@link RotationStore} is, as a value.
 *
 * @category models
 * @since 0.1.0
 */
export type Service = RotationStore["Service"]
