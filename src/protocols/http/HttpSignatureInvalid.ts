/**
 * Why a signature of an HTTP message is refused, or cannot be made.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/**
 * The reasons. `SignatureInvalid` is all that is ever said of a signature.
 *
 * | reason | when |
 * | --- | --- |
 * | `Malformed` | `Signature`, `Signature-Input` or `Accept-Signature` is not what RFC 9421 says, or a label is in one field only |
 * | `TooLarge` | more signatures or components, or a longer body, than allowed |
 * | `NoSignature` | no signature of the message is one that the policy asks for |
 * | `LabelTaken` | the message has a signature with this label |
 * | `ComponentInvalid` | an identifier that is unknown, contradicts itself, or comes twice |
 * | `ComponentUnavailable` | the message does not have the component, or its source cannot know it |
 * | `NotCovered` | a component that the policy requires is not covered |
 * | `ParameterMissing` | a parameter that the policy requires is absent |
 * | `ParameterInvalid` | a parameter of the wrong type, or one that contradicts another |
 * | `NotYetValid`, `Expired`, `TooOld` | by `created`, `expires` and the maximum age |
 * | `AlgorithmUnsupported` | `alg` is none of ours, or a MAC where a public key verifies |
 * | `AlgorithmNotAllowed` | the key is for an algorithm that the policy does not allow |
 * | `AlgorithmMismatch` | `alg` is not the algorithm of the key |
 * | `DigestInvalid` | a digest is covered and is not that of the content, or the content is not known |
 * | `NotFulfilled` | an `Accept-Signature` asks for what this signer does not sign |
 * | `Replayed` | a nonce of the message was accepted before |
 * | `TooManyNonces` | the key has used as many nonces as it may within their lifetime |
 * | `SignatureInvalid` | the signature is not by this key over this message |
 *
 * @category errors
 * @since 0.1.0
 */
export const HttpSignatureReason = Schema.Literals([
  "Malformed",
  "TooLarge",
  "NoSignature",
  "LabelTaken",
  "ComponentInvalid",
  "ComponentUnavailable",
  "NotCovered",
  "ParameterMissing",
  "ParameterInvalid",
  "NotYetValid",
  "Expired",
  "TooOld",
  "AlgorithmUnsupported",
  "AlgorithmNotAllowed",
  "AlgorithmMismatch",
  "DigestInvalid",
  "NotFulfilled",
  "Replayed",
  "TooManyNonces",
  "SignatureInvalid"
])

/**
 * The type of {@link HttpSignatureReason}.
 *
 * @category errors
 * @since 0.1.0
 */
export type HttpSignatureReason = typeof HttpSignatureReason.Type

/**
 * A signature of an HTTP message that is refused, or cannot be made. It holds no
 * value of the message: names of components at most, which are cut where they are
 * long.
 *
 * @category errors
 * @since 0.1.0
 */
export class HttpSignatureInvalid extends Schema.TaggedError<HttpSignatureInvalid>(
  "effect-signer/HttpSignatureInvalid"
)("HttpSignatureInvalid", {
  reason: HttpSignatureReason,
  /** Which component. */
  component: Schema.optionalKey(Schema.String),
  /** Absent where the reason says all. */
  problem: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const component = this.component === undefined ? "" : ` ${this.component}`
    return `HttpSignatureInvalid: ${this.reason}${component}${this.problem === undefined ? "" : `: ${this.problem}`}`
  }
}

/** The text of an identifier as an error may hold it. */
const shown = (text: string) => (text.length > 128 ? `${text.slice(0, 128)}...` : text).replace(/\p{C}/gu, "?")

/**
 * For codecs, which throw what `HttpSignature` fails with.
 *
 * @internal
 */
export const refuse = (reason: HttpSignatureReason, problem?: string, component?: string): never => {
  throw new HttpSignatureInvalid({
    reason,
    ...(problem === undefined ? undefined : { problem }),
    ...(component === undefined ? undefined : { component: shown(component) })
  })
}

/**
 * Runs a codec: what it refused is a typed failure, anything else is a bug.
 *
 * @internal
 */
export const attempt = <A>(codec: () => A): Effect.Effect<A, HttpSignatureInvalid> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(codec())
    } catch (error) {
      if (error instanceof HttpSignatureInvalid) return Effect.fail(error)
      throw error
    }
  })
