/**
 * Why a JWS is refused.
 *
 * @category internal
 */
import * as Schema from "effect/Schema"

/**
 * The reasons. `SignatureInvalid` is all that is ever said of a signature.
 *
 * | reason | when |
 * | --- | --- |
 * | `TooLarge` | longer than allowed, or more signatures |
 * | `Malformed` | not a JWS of the form that was asked for, or not strict base64url |
 * | `HeaderInvalid` | not a JSON object with each member once, or a parameter of the wrong kind |
 * | `CriticalUnknown` | `crit` names what is not understood here, or is itself wrong |
 * | `AlgorithmUnsupported` | `alg` is none of ours: also `none`, and `HS256` where a public key verifies |
 * | `AlgorithmMismatch` | the key that was found is for another algorithm |
 * | `WrongType` | `typ` is not the one that was asked for |
 * | `PayloadMismatch` | a detached payload that is not given, or one given twice |
 * | `SignatureInvalid` | the signature is not by this key over this message |
 *
 * @category errors
 * @since 0.1.0
 */
export const JwsReason = Schema.Literals([
  "TooLarge",
  "Malformed",
  "HeaderInvalid",
  "CriticalUnknown",
  "AlgorithmUnsupported",
  "AlgorithmMismatch",
  "WrongType",
  "PayloadMismatch",
  "SignatureInvalid"
])

/**
 * The type of {@link JwsReason}.
 *
 * @category errors
 * @since 0.1.0
 */
export type JwsReason = typeof JwsReason.Type

/**
 * A JWS that is refused. It holds nothing of the token.
 *
 * @category errors
 * @since 0.1.0
 */
export class JwsInvalid extends Schema.TaggedError<JwsInvalid>("effect-signer/JwsInvalid")("JwsInvalid", {
  reason: JwsReason,
  /** Absent where the reason says all. */
  problem: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return `JwsInvalid: ${this.reason}${this.problem === undefined ? "" : `: ${this.problem}`}`
  }
}

/**
 * For codecs, which throw what `Jws` fails with.
 *
 * @internal
 */
export const refuse = (reason: JwsReason, problem?: string): never => {
  throw new JwsInvalid(problem === undefined ? { reason } : { reason, problem })
}
