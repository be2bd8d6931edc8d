/**
 * The errors of AWS KMS and of its SDK, in our words.
 *
 * @category internal
 */
import type * as Duration from "effect/Duration"
import * as RetryAfter from "../../schemas/RetryAfter.ts"
import type { ErrorContext, SignerError } from "../../schemas/SignerError.ts"
import { KeyNotFound, KeyUnavailable, VendorError } from "../../schemas/SignerError.ts"
import {
  byStatus,
  denied,
  identifier,
  invalid,
  keyIs,
  keyNotSigner,
  noAnswer,
  notAuthenticated,
  notThere,
  notTls,
  rateLimited,
  unauthenticated,
  unavailable,
  unknown,
  untrusted
} from "../remote/Outcome.ts"
import type { Refused } from "../remote/Outcome.ts"

/** What may be on something that an SDK throws. */
interface Thrown {
  readonly name?: unknown
  readonly code?: unknown
  readonly message?: unknown
  /** Where the runtime tried to connect to. */
  readonly hostname?: unknown
  readonly address?: unknown
  readonly port?: unknown
  /** Of a name with several addresses. */
  readonly errors?: ReadonlyArray<Thrown>
  readonly $metadata?: {
    readonly httpStatusCode?: unknown
    readonly requestId?: unknown
    readonly clockSkewCorrected?: unknown
  }
  readonly $response?: { readonly headers?: Readonly<Record<string, unknown>> }
}

const statusOf = ({ $metadata }: Thrown): number | undefined =>
  Number.isInteger($metadata?.httpStatusCode) ? ($metadata!.httpStatusCode as number) : undefined

const reduced = (thrown: Thrown): VendorError => {
  const parts = {
    vendorName: identifier(thrown.name),
    code: identifier(thrown.code),
    status: statusOf(thrown),
    requestId: identifier(thrown.$metadata?.requestId)
  }
  return new VendorError(Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined)))
}

type Outcome = (
  refused: Refused,
  retryAfter: Duration.Duration | undefined,
  thrown: Thrown,
  endpoint: string | undefined
) => SignerError

const server = { name: "AWS KMS", address: "endpoint" }
const refused = invalid("AWS KMS calls the request invalid")

/** States that AWS KMS names in its text: https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html */
const keyStates = [
  "pending replica deletion",
  "pending deletion",
  "pending import",
  "creating",
  "updating",
  "unavailable"
]

const notUsable: Outcome = (refused, _, { message }) =>
  new KeyUnavailable({
    ...refused,
    state: keyStates.find((state) => String(message).includes(state)) ?? "in a state that does not allow this"
  })

/** An id of a key, of one region or of several: https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id */
const idOfKey = /^(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i

const keyNotFound: Outcome = (refused) =>
  refused.keyId.startsWith("alias/") || refused.keyId.startsWith("arn:") || idOfKey.test(refused.keyId)
    ? new KeyNotFound(refused)
    : new KeyNotFound({ ...refused, problem: `there is no key ${refused.keyId}; an alias begins with alias/` })

const noCredentials = notAuthenticated(
  "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a profile that has some, or give " +
    "the container or the instance a role"
)

/** Where was tried to connect to: as the runtime says, else the endpoint that is stated. */
const tried = (thrown: Thrown, endpoint: string | undefined): string | undefined => {
  const { address, hostname, port } = thrown.errors?.[0] ?? thrown
  const host =
    identifier(hostname) ?? (typeof address === "string" && /^[\w.:]{1,64}$/.test(address) ? address : undefined)
  return host === undefined
    ? endpoint
    : typeof port === "number"
      ? `${host.includes(":") ? `[${host}]` : host}:${port}`
      : host
}

const unanswered: Outcome = (refused, retryAfter, thrown, endpoint) =>
  noAnswer(tried(thrown, endpoint), identifier(thrown.code))(refused, retryAfter)

/** What `node:https` says of an answer in the clear. */
const protocolError: Outcome = (refused, retryAfter, thrown, endpoint) =>
  /wrong version number|packet length too long|http request/.test(String(thrown.message))
    ? notTls(server)(refused, retryAfter)
    : unanswered(refused, retryAfter, thrown, endpoint)

/**
 * The errors of Sign, of GetPublicKey and of every AWS API, by name:
 *
 * - https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html#API_Sign_Errors
 * - https://docs.aws.amazon.com/kms/latest/APIReference/API_GetPublicKey.html#API_GetPublicKey_Errors
 * - https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
 *
 * and the names that the SDK gives to what happens on this side. Names, because
 * most of the common ones are no classes of the SDK.
 */
const byName: { readonly [name: string]: Outcome } = {
  ThrottlingException: rateLimited,
  Throttling: rateLimited,
  TooManyRequestsException: rateLimited,
  RequestLimitExceeded: rateLimited,
  LimitExceededException: rateLimited,

  KMSInternalException: unavailable,
  DependencyTimeoutException: unavailable,
  KeyUnavailableException: unavailable,
  InternalFailure: unavailable,
  InternalException: unavailable,
  InternalServerError: unavailable,
  ServiceUnavailable: unavailable,
  ServiceUnavailableException: unavailable,
  RequestTimeout: unavailable,
  RequestTimeoutException: unavailable,
  RequestAbortedException: unavailable,

  DisabledException: keyIs("disabled"),
  KMSInvalidStateException: notUsable,
  NotFoundException: keyNotFound,
  InvalidKeyUsageException: keyNotSigner,

  AccessDeniedException: denied,
  AccessDenied: denied,
  InvalidGrantTokenException: denied,
  NotAuthorized: denied,
  OptInRequired: denied,

  ExpiredTokenException: unauthenticated,
  ExpiredToken: unauthenticated,
  UnrecognizedClientException: unauthenticated,
  InvalidClientTokenId: unauthenticated,
  InvalidSignatureException: unauthenticated,
  SignatureDoesNotMatch: unauthenticated,
  IncompleteSignature: unauthenticated,
  IncompleteSignatureException: unauthenticated,
  MissingAuthenticationToken: unauthenticated,
  MissingAuthenticationTokenException: unauthenticated,
  RequestExpired: unauthenticated,
  CredentialsProviderError: noCredentials,
  TokenProviderError: noCredentials,
  ProviderError: noCredentials,

  InvalidArnException: invalid("AWS KMS calls the ARN invalid", "keyId"),
  UnsupportedOperationException: invalid("the key does not allow this operation: is it an asymmetric key?", "keyId"),
  DryRunOperationException: invalid("a dry run signs nothing"),
  ValidationException: refused,
  ValidationError: refused,
  SerializationException: refused,
  MalformedHttpRequestException: refused,
  RequestEntityTooLargeException: refused,
  UnknownOperationException: refused,
  InvalidAction: refused,
  InvalidParameterCombination: refused,
  InvalidParameterValue: refused,
  InvalidQueryParameter: refused,
  MalformedQueryString: refused,
  MissingAction: refused,
  MissingParameter: refused,

  // of the SDK and of the runtime
  TimeoutError: unanswered,
  AbortError: unanswered // not by us: our interruption waits for no answer
}

/** Answers whose error has no name that we know: an HTML page of a proxy is a `SyntaxError` with a status. */
const ofStatus = byStatus(
  server,
  { 401: unauthenticated, 404: notThere(server), 413: refused },
  invalid("the server redirects; state where it is", server.address)
)

/** No answer at all: codes of the runtime. */
const byCode: { readonly [code: string]: Outcome } = {
  ...Object.fromEntries(
    [
      "EAI_AGAIN",
      "ECONNABORTED",
      "ECONNREFUSED",
      "ECONNRESET",
      "EHOSTUNREACH",
      "ENETDOWN",
      "ENETUNREACH",
      "ENOTFOUND",
      "EPIPE",
      "ETIMEDOUT",
      "ERR_STREAM_PREMATURE_CLOSE",
      "UND_ERR_SOCKET"
    ].map((code) => [code, unanswered])
  ),
  EPROTO: protocolError,
  ...Object.fromEntries(
    [
      "CERT_HAS_EXPIRED",
      "CERT_NOT_YET_VALID",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      "ERR_TLS_CERT_ALTNAME_INVALID",
      "SELF_SIGNED_CERT_IN_CHAIN",
      "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
    ].map((code) => [code, untrusted(server)])
  )
}

const lookUp = (table: { readonly [key: string]: Outcome }, key: unknown): Outcome | undefined =>
  typeof key === "string" && Object.hasOwn(table, key) ? table[key] : undefined

/**
 * What an SDK threw, in our words. `endpoint` is the host and port that is stated, if one is.
 *
 * @internal
 */
export const classify = (
  context: ErrorContext,
  error: unknown,
  now: number,
  endpoint?: string | undefined
): SignerError => {
  const thrown: Thrown = typeof error === "object" && error !== null ? error : {}
  const status = statusOf(thrown)
  const named = lookUp(byName, thrown.name)
  const outcome =
    named === rateLimited
      ? rateLimited
      : // The SDK has set its clock right by what the server said: the same request works now.
        thrown.$metadata?.clockSkewCorrected === true || (status !== undefined && status >= 500)
        ? unavailable
        : (named ?? (status === undefined ? (lookUp(byCode, thrown.code) ?? unknown) : ofStatus(status)))
  return outcome(
    { ...context, cause: reduced(thrown) },
    RetryAfter.parse(thrown.$response?.headers?.["retry-after"], now),
    thrown,
    endpoint
  )
}
