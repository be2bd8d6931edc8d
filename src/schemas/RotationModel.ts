/**
 * What a rotation is: its keys, where each of them stands, what can happen, and why
 * that is refused.
 *
 * @category internal
 */
import * as Schema from "effect/Schema"
import type * as PublicKey from "./PublicKey.ts"
import type { Policy } from "./RotationPolicy.ts"
import type { SignatureAlgorithm } from "./SignatureAlgorithm.ts"

/**
 * Where a key stands.
 *
 * **Details**
 *
 * `created`: known, shown to nobody. `published`: in the key set, signs nothing.
 * `canary`: every verifier has it; it signs challenges that leave nobody. `active`: the
 * one that signs. `retiring`: signs no more, still published. `retired`: not published.
 * `disabled`: done with; its holder may destroy it.
 *
 * @category schemas
 * @since 0.1.0
 */
export const KeyState = Schema.Literals(["created", "published", "canary", "active", "retiring", "retired", "disabled"])

/**
 * The type of {@link KeyState}.
 *
 * @category models
 * @since 0.1.0
 */
export type KeyState = typeof KeyState.Type

/**
 * One key of a rotation. It holds no secret.
 *
 * @category models
 * @since 0.1.0
 */
export interface RotationKey {
  /** Under which name its Signer is found. */
  readonly id: string
  /** How messages name it: its RFC 7638 thumbprint, where no other name was stated. */
  readonly kid: string
  /** With its algorithm. */
  readonly publicKey: PublicKey.PublicKey
  readonly algorithm: SignatureAlgorithm
  readonly state: KeyState
  /** When it last came into each state, in milliseconds since the Unix epoch. */
  readonly since: { readonly [State in KeyState]?: number }
}

/**
 * A rotation: its numbers, and its keys, oldest first.
 *
 * @category models
 * @since 0.1.0
 */
export interface RotationState {
  readonly policy: Policy
  /** When the last step was taken, in milliseconds since the Unix epoch. */
  readonly updatedAt: number
  readonly keys: ReadonlyArray<RotationKey>
}

/**
 * A key that comes in.
 *
 * @category models
 * @since 0.1.0
 */
export type NewKey = Pick<RotationKey, "id" | "kid" | "publicKey" | "algorithm">

/**
 * What can happen to a state.
 *
 * @category models
 * @since 0.1.0
 */
export type Step =
  | { readonly _tag: "Start"; readonly key: NewKey; readonly allowAlgorithmChange?: boolean | undefined }
  /** Takes the first key as active at once: one that verifiers have already, or of a system that has none yet. */
  | { readonly _tag: "Adopt"; readonly key: NewKey }
  | { readonly _tag: "Publish" | "Canary" | "Retire"; readonly id: string }
  /** `verified`: how many challenges the key signed, each verified by its published key. */
  | { readonly _tag: "Activate"; readonly id: string; readonly verified: number }
  /** `compromised`: at once, from any state; what the key signed no longer verifies. */
  | { readonly _tag: "Disable"; readonly id: string; readonly compromised?: boolean | undefined }
  /** `to`: which key is meant; refused where the key before is another one by now. */
  | { readonly _tag: "Rollback"; readonly to?: string | undefined }

/**
 * Keys of a rotation at most, those that are done with included.
 *
 * @category models
 * @since 0.1.0
 */
export const maxKeys = 256

/**
 * Why a step was refused.
 *
 * @category errors
 * @since 0.1.0
 */
export const RefusalReason = Schema.Literals([
  "PropagationNotOver",
  "CanaryNotOver",
  "CanaryFailed",
  "TokensAlive",
  "StillNeeded",
  "WrongState",
  "InProgress",
  "KeyKnown",
  "KeyUnknown",
  "TooManyKeys",
  "NotEmpty",
  "AlgorithmChange",
  "NoPredecessor",
  "NothingToDo",
  "ClockBackwards",
  "Contended"
])

/**
 * The type of {@link RefusalReason}.
 *
 * @category errors
 * @since 0.1.0
 */
export type RefusalReason = typeof RefusalReason.Type

/**
 * A step that is not to be taken, or not yet: `until` is the time, in milliseconds
 * since the Unix epoch, before which it is not to be tried again.
 *
 * @category errors
 * @since 0.1.0
 */
export class RotationRefused extends Schema.TaggedError<RotationRefused>("effect-signer/RotationRefused")(
  "RotationRefused",
  {
    /** Which step: `"Activate"`... */
    step: Schema.String,
    reason: RefusalReason,
    problem: Schema.String,
    /** Which key, by its name in the rotation. */
    id: Schema.optionalKey(Schema.String),
    until: Schema.optionalKey(Schema.Finite)
  }
) {
  override get message() {
    const until = this.until === undefined ? "" : `; wait until ${new Date(this.until).toISOString()}`
    return `rotation.${this.step}: ${this.reason}: ${this.problem}${until}`
  }
}
