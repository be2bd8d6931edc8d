/**
 * What becomes of a request once it is known what is signed and what is right: the
 * table of AdCP, for each of its lists.
 *
 * @category internal
 */
import type { SigningMode } from "./AdcpCapability.ts"
import type { AdcpErrorCode } from "./AdcpError.ts"

/**
 * What is known of a request.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestFacts {
  readonly mode: SigningMode
  /** Whether the endpoint binds the content of every signed request: AdCP 3.2 and later. */
  readonly bindsContent: boolean
  readonly hasBody: boolean
  /** `"malformed"`: there is one field of the two, or what is there cannot be read. */
  readonly signature: "absent" | "malformed" | "present"
  readonly coversContentDigest: boolean
  /** Whether the signature verifies. Default `true`. */
  readonly isSignatureValid?: boolean | undefined
  /** Whether the digest is that of the body. Default `true`. */
  readonly isDigestRight?: boolean | undefined
  /** Whether the caller has another credential that is accepted: a token, an API key, mTLS. */
  readonly isAuthenticatedOtherwise: boolean
}

/**
 * What becomes of it: who it is from, or why it is refused. `RejectUnauthenticated` is
 * for the application's own words: nobody said who they are, and nobody had to sign.
 *
 * @category models
 * @since 0.1.0
 */
export type RequestDecision =
  | { readonly _tag: "Accept"; readonly by: "signature" | "credential"; readonly warning?: AdcpErrorCode | undefined }
  | { readonly _tag: "Reject"; readonly code: AdcpErrorCode }
  | { readonly _tag: "RejectUnauthenticated"; readonly warning?: AdcpErrorCode | undefined }

/**
 * Decides about a request.
 *
 * **Details**
 *
 * A signature that is there and wrong is refused, and no other credential makes up
 * for it: but where the list is one that warns, the signature counts as absent. One
 * that cannot even be read is refused always.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const decide = (facts: RequestFacts): RequestDecision => {
  const { isAuthenticatedOtherwise, mode, signature } = facts
  const unsigned = (warning?: AdcpErrorCode): RequestDecision =>
    isAuthenticatedOtherwise
      ? { _tag: "Accept", by: "credential", ...(warning === undefined ? {} : { warning }) }
      : { _tag: "RejectUnauthenticated", ...(warning === undefined ? {} : { warning }) }
  if (signature === "malformed") return { _tag: "Reject", code: "request_signature_header_malformed" }
  if (signature === "absent") {
    return mode === "required" && !isAuthenticatedOtherwise
      ? { _tag: "Reject", code: "request_signature_required" }
      : unsigned()
  }
  const code = problemOf(facts)
  if (code === undefined) return { _tag: "Accept", by: "signature" }
  return mode === "warn" ? unsigned(code) : { _tag: "Reject", code }
}

const problemOf = (facts: RequestFacts): AdcpErrorCode | undefined => {
  const { bindsContent, coversContentDigest, hasBody } = facts
  if (bindsContent && hasBody && !coversContentDigest) return "request_signature_components_incomplete"
  if (facts.isSignatureValid === false) return "request_signature_invalid"
  return coversContentDigest && facts.isDigestRight === false ? "request_signature_digest_mismatch" : undefined
}
