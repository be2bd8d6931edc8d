/**
 * Signs messages of AdCP: requests, webhooks and responses.
 *
 * @category internal
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64Url from "../../schemas/Base64Url.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import * as Signer from "../../services/Signer.ts"
import type { HttpMessage, HttpRequest, HttpResponse } from "../HttpMessage.ts"
import type { HttpSignatureInvalid, Signed } from "../HttpSignature.ts"
import type { AdcpProfiles, Profile } from "../HttpSignatureProfile.ts"
import * as HttpSignatureProfile from "../HttpSignatureProfile.ts"
import type { AdcpMessageKind, AdcpSignatureError } from "./AdcpError.ts"
import { refusals } from "./AdcpError.ts"
import type { TargetUriMalformed } from "./TargetUri.ts"
import * as TargetUri from "./TargetUri.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * Options of {@link signWebhook} and {@link signResponse}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignMessageOptions {
  /** Which version of AdCP the other side speaks. */
  readonly profile: AdcpProfiles
  /** `kid` of the published JWK. Default: the RFC 7638 thumbprint of the key that signs. */
  readonly keyId?: string | undefined
  /** Default, and at most, 5 minutes. */
  readonly expiresIn?: Duration.Input | undefined
  /** Unpadded base64url of 16 bytes or more. Default: 16 random ones. */
  readonly nonce?: string | undefined
}

/**
 * Options of {@link signRequest}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignRequestOptions extends SignMessageOptions {
  /** Whether the digest of the content is covered, where the version leaves it open. Default `true`. */
  readonly coverDigest?: boolean | undefined
}

/**
 * What signing a message of AdCP can fail with. An `AdcpSignatureError` is that of a
 * key for another purpose: who verifies would refuse it with the same code.
 *
 * @category errors
 * @since 0.1.0
 */
export type SignFailure = SignerError | HttpSignatureInvalid | TargetUriMalformed | AdcpSignatureError

// ---------------------------------------------------------------------------
// checks
// ---------------------------------------------------------------------------

const misconfigured = (field: string, problem: string) => InvalidConfiguration.of({ operation: "sign", field, problem })

/** Bytes of a nonce, and its characters, at most. */
const minNonceBytes = 16
const maxNonceLength = 256

const nonceProblem = (nonce: string | undefined): InvalidConfiguration | undefined => {
  if (nonce === undefined) return undefined
  const bytes = typeof nonce === "string" && nonce.length <= maxNonceLength ? Base64Url.decode(nonce) : undefined
  return bytes === undefined || bytes.length < minNonceBytes
    ? misconfigured("nonce", `must be the unpadded base64url of ${minNonceBytes} bytes or more`)
    : undefined
}

/** A body that is not known yet could be content that no signature covers. */
const bodyProblem = ({ body }: HttpMessage, kind: AdcpMessageKind): InvalidConfiguration | undefined => {
  if (body === undefined) return misconfigured("body", "must be known: give the bytes, or none")
  return body.length === 0 && kind === "webhook" ? misconfigured("body", "a webhook has content") : undefined
}

/** The code with which the other side would refuse the key, before anything is signed with it. */
const purposeProblem = (
  { purpose }: Signer.Service,
  { purposes }: Profile,
  kind: AdcpMessageKind
): AdcpSignatureError | undefined => {
  if (purpose !== undefined && purposes.includes(purpose)) return undefined
  return refusals(kind).signature(
    "key_purpose_invalid",
    "8",
    `the Signer is not for this: its purpose must be ${purposes.join(" or ")}`
  )
}

const signAs = <M extends HttpMessage>(
  kind: AdcpMessageKind,
  message: M,
  options: SignRequestOptions
): Effect.Effect<Signed<M>, SignFailure, Signer.Signer> =>
  Signer.Signer.use((signer): Effect.Effect<Signed<M>, SignFailure, Signer.Signer> => {
    const profile = options.profile[kind]
    const problem = purposeProblem(signer, profile, kind) ?? nonceProblem(options.nonce) ?? bodyProblem(message, kind)
    if (problem !== undefined) return Effect.fail(problem)
    const { coverDigest, expiresIn, keyId, nonce } = options
    return HttpSignatureProfile.sign(profile, message, { coverDigest, expiresIn, keyId, nonce })
  })

const canonicalOf = (request: HttpRequest): Effect.Effect<HttpRequest, TargetUriMalformed> =>
  Effect.suspend(() =>
    Effect.map(Effect.fromResult(TargetUri.ofRequest(request)), (target) => TargetUri.withTarget(request, target))
  )

// ---------------------------------------------------------------------------
// signing
// ---------------------------------------------------------------------------

/**
 * Signs a request.
 *
 * **Details**
 *
 * The target is signed in its canonical form, which is that of the message in the
 * answer: send that one. The Signer must have the purpose `"request-signing"`, and
 * one of the two algorithms of AdCP.
 *
 * @category signing
 * @since 0.1.0
 */
export const signRequest = (
  request: HttpRequest,
  options: SignRequestOptions
): Effect.Effect<Signed<HttpRequest>, SignFailure, Signer.Signer> =>
  Effect.flatMap(canonicalOf(request), (canonical) => signAs("request", canonical, options))

/**
 * Signs a webhook, content and all. Sign it again for each delivery.
 *
 * **Details**
 *
 * As {@link signRequest}. The purpose of the Signer is `"webhook-signing"`, or
 * `"request-signing"` where one key serves both.
 *
 * @category signing
 * @since 0.1.0
 */
export const signWebhook = (
  request: HttpRequest,
  options: SignMessageOptions
): Effect.Effect<Signed<HttpRequest>, SignFailure, Signer.Signer> =>
  Effect.flatMap(canonicalOf(request), (canonical) => signAs("webhook", canonical, { ...options, coverDigest: true }))

/**
 * Signs a response, bound to the request that it answers.
 *
 * **Details**
 *
 * The response must hold the request as it was received. The purpose of the Signer is
 * `"response-signing"`. AdCP does not specify signed responses: the profile is that of
 * its SDKs.
 *
 * **Gotchas**
 *
 * AdCP 3.2 lets no agent sign its responses over HTTP this way: it signs payloads, of
 * two tasks only, with keys that sign nothing else. Use this between parties who have
 * agreed on it, with a key of its own.
 *
 * @category signing
 * @since 0.1.0
 */
export const signResponse = (
  response: HttpResponse,
  options: SignMessageOptions
): Effect.Effect<Signed<HttpResponse>, SignFailure, Signer.Signer> => {
  const { request } = response
  return request === undefined
    ? Effect.fail(misconfigured("request", "must be there: the signature binds the response to it"))
    : Effect.flatMap(canonicalOf(request), (canonical) =>
        signAs("response", { ...response, request: canonical }, { ...options, coverDigest: true })
      )
}
