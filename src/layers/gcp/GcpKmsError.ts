/**
 * The errors of Cloud KMS, of its clients and of what stands between, in our
 * words.
 *
 * @category internal
 */
import * as Duration from "effect/Duration"
import type { SignerError } from "../../schemas/SignerError.ts"
import {
  KeyNotSigner,
  KeyUnavailable,
  ResponseCorrupted,
  Retryable,
  TimedOut,
  VendorError
} from "../../schemas/SignerError.ts"
import {
  byStatus as byHttpStatus,
  denied,
  invalid,
  keyNotFound,
  noAnswer,
  notAuthenticated,
  notThere,
  notTls,
  rateLimited,
  tokenRefused,
  unavailable,
  unknown,
  untrusted
} from "../remote/Outcome.ts"
import type { Problem, Refused, RetryAfter } from "../remote/Outcome.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/** A status of Cloud KMS, as either transport has it. */
export interface Refusal {
  /** The name of a gRPC code; absent where none came, as from a proxy. */
  readonly status: string | undefined
  /** Of an HTTP answer. */
  readonly http?: number | undefined
  /** Free text. It names keys and callers, and so it is read and not kept. */
  readonly text: string
  /** `google.rpc` details, decoded: https://cloud.google.com/apis/design/errors#error_payloads */
  readonly details: ReadonlyArray<unknown>
  /** Of a header. */
  readonly retryAfter?: Duration.Duration | undefined
  /** Host and port that were asked. */
  readonly from?: string | undefined
  /** How long was waited, where it was the caller who did. */
  readonly waited?: Duration.Duration | undefined
}

// ---------------------------------------------------------------------------
// what a status says
// ---------------------------------------------------------------------------

/** A member of something that may be no object. */
export const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined

/** The first detail that has a member of this name. */
const detail = ({ details }: Refusal, name: string): unknown =>
  details.map((entry) => member(entry, name)).find((value) => value !== undefined && value !== null)

/** `google.protobuf.Duration`: `"1.5s"` in JSON, seconds and nanos otherwise. */
const durationOf = (value: unknown): Duration.Duration | undefined => {
  const [, text] = typeof value === "string" ? (/^(\d{1,9}(?:\.\d{1,9})?)s$/.exec(value) ?? []) : []
  if (text !== undefined) return Duration.millis(Math.ceil(Number(text) * 1000))
  if (typeof value !== "object" || value === null) return undefined
  const millis = Number(member(value, "seconds") ?? 0) * 1000 + Number(member(value, "nanos") ?? 0) / 1_000_000
  return Number.isFinite(millis) && millis > 0 && millis < 1e12 ? Duration.millis(Math.ceil(millis)) : undefined
}

/** The permission that is missing, of those that are used here, and nothing else of the text. */
const permission = /\bcloudkms\.cryptoKeyVersions\.(?:useToSign|viewPublicKey|list)\b/

/** As Google writes the names of codes and of reasons: https://google.aip.dev/193#errorinfo */
const upperSnakeCase = (value: unknown): string | undefined =>
  typeof value === "string" && /^[A-Z][A-Z0-9_]{0,62}$/.test(value) ? value : undefined

const reduced = (refusal: Refusal): VendorError => {
  const status = upperSnakeCase(refusal.status)
  const reason = upperSnakeCase(detail(refusal, "reason"))
  const named = refusal.status === "PERMISSION_DENIED" ? permission.exec(refusal.text.slice(0, 2000))?.[0] : undefined
  return new VendorError({
    ...(status === undefined ? {} : { vendorName: status }),
    ...(reason === undefined ? {} : { code: reason }),
    ...(refusal.http === undefined ? {} : { status: refusal.http }),
    ...(named === undefined ? {} : { text: named })
  })
}

// ---------------------------------------------------------------------------
// outcomes
// ---------------------------------------------------------------------------

type Outcome = (refused: Refused, retryAfter: RetryAfter, refusal: Refusal) => SignerError

/** The option that says where Cloud KMS is. */
export const address = "endpoint"

const server = { name: "Cloud KMS", address }
const refusedRequest = invalid("Cloud KMS calls the request invalid")
const notTheService = notThere(server)

/** Of a client that could not get a token from whoever gives them. */
const noCredentials = notAuthenticated("no credentials were found, or they were refused: there is no access token")

/** What a client of gRPC says of itself where no token could be had, whatever the code. */
const withoutToken = /\bGetting metadata from plugin failed with error: (.*)$/s

const networkFailure =
  /\bE(?:AI_AGAIN|CONN[A-Z]+|HOSTUNREACH|NETUNREACH|NOTFOUND|PIPE|TIMEDOUT)\b|socket hang up|status code 5\d\d/

/** A code that says little, unless it is the client's own about its credentials. */
const ofClient =
  (otherwise: Outcome): Outcome =>
  (refused, retryAfter, refusal) => {
    const [, said] = withoutToken.exec(refusal.text.slice(0, 2000)) ?? []
    return (said === undefined ? otherwise : networkFailure.test(said) ? unavailable : noCredentials)(
      refused,
      retryAfter,
      refusal
    )
  }

const timedOut: Outcome = (refused, retryAfter, refusal) =>
  refusal.waited === undefined
    ? unavailable(refused, retryAfter)
    : new Retryable({ ...refused, reason: new TimedOut({ duration: refusal.waited }) })

/** "Perform a limited number of retries": the comment on `digest_crc32c` in google/cloud/kms/v1/service.proto. */
const invalidArgument: Outcome = (refused, retryAfter, refusal) =>
  /\bcrc32c\b|checksum/i.test(refusal.text)
    ? new Retryable({ ...refused, reason: new ResponseCorrupted({}) })
    : refusedRequest(refused, retryAfter)

/** https://cloud.google.com/kms/docs/key-states */
const keyStates: { readonly [state: string]: string } = {
  PENDING_GENERATION: "still being generated",
  DISABLED: "disabled",
  DESTROYED: "destroyed",
  DESTROY_SCHEDULED: "scheduled for destruction",
  PENDING_IMPORT: "still being imported",
  IMPORT_FAILED: "not imported: that failed",
  GENERATION_FAILED: "not generated: that failed",
  PENDING_EXTERNAL_DESTRUCTION: "being destroyed",
  EXTERNAL_DESTRUCTION_FAILED: "destroyed"
}

/** A state of the API in words. */
export const stateOf = (state: string | undefined): string =>
  state !== undefined && Object.hasOwn(keyStates, state) ? keyStates[state]! : "in a state that does not allow this"

const preconditionFailed: Outcome = (refused, retryAfter, refusal) => {
  const { text } = refusal
  if (/has not been used in (?:this )?project|is disabled\. Enable it/i.test(text)) {
    return invalid("the Cloud KMS API is not enabled in the project of the credentials")(refused, retryAfter)
  }
  if (/\bpurpose\b|may not be used for|do(?:es)? not contain a public key/i.test(text)) return new KeyNotSigner(refused)
  const violations = detail(refusal, "violations")
  const type = Array.isArray(violations) ? member(violations[0], "type") : undefined
  const violated = typeof type === "string" ? /^KEY_([A-Z_]{1,64})$/.exec(type)?.[1] : undefined
  const said = /current state is:? ([A-Z_]{1,64})/.exec(text)?.[1]
  return new KeyUnavailable({ ...refused, state: stateOf(said ?? violated) })
}

/** What no connection stands for is in the text alone: a code of the runtime, or what OpenSSL says. */
const noConnectionCode = /\bE(?:AI_AGAIN|CONN[A-Z]+|HOSTUNREACH|NETUNREACH|NOTFOUND|PIPE|TIMEDOUT)\b/

const noConnection: Outcome = (refused, retryAfter, refusal) =>
  (/wrong version number|packet length too long/i.test(refusal.text)
    ? notTls(server)
    : /certificate|CERT_|self[- ]signed/i.test(refusal.text)
      ? untrusted(server)
      : noAnswer(refusal.from, noConnectionCode.exec(refusal.text.slice(0, 2000))?.[0]))(refused, retryAfter)

/** Every code there is: https://grpc.io/docs/guides/status-codes */
const byStatus: { readonly [status: string]: Outcome } = {
  CANCELLED: unavailable, // not by us: our interruption waits for no answer
  UNKNOWN: ofClient(unavailable),
  INVALID_ARGUMENT: invalidArgument,
  DEADLINE_EXCEEDED: timedOut,
  NOT_FOUND: keyNotFound,
  ALREADY_EXISTS: refusedRequest,
  PERMISSION_DENIED: denied,
  RESOURCE_EXHAUSTED: rateLimited,
  FAILED_PRECONDITION: preconditionFailed,
  ABORTED: unavailable,
  OUT_OF_RANGE: refusedRequest,
  UNIMPLEMENTED: notTheService,
  INTERNAL: ofClient(unavailable),
  UNAVAILABLE: noConnection,
  DATA_LOSS: unavailable,
  UNAUTHENTICATED: ofClient(tokenRefused)
}

/** The names of the codes, by number. */
export const statusNames: ReadonlyArray<string> = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED"
]

/** Answers of something that is not Cloud KMS, as of a proxy before it. */
const byHttp = byHttpStatus(server, { 404: notTheService, 405: notTheService, 413: refusedRequest })

const outcomeOf = ({ http, status }: Refusal): Outcome =>
  status !== undefined && Object.hasOwn(byStatus, status)
    ? byStatus[status]!
    : http === undefined
      ? unknown
      : byHttp(http)

/** A status that refuses. */
export const refused =
  (refusal: Refusal): Problem =>
  (context) =>
    outcomeOf(refusal)(
      { ...context, cause: reduced(refusal) },
      refusal.retryAfter ?? durationOf(detail(refusal, "retryDelay")),
      refusal
    )

/** An answer, or a request, that was changed on its way. */
export const corrupted: Problem = (context) => new Retryable({ ...context, reason: new ResponseCorrupted({}) })

/** Whether Cloud KMS said that something in the request is wrong. */
export const isInvalidArgument = (error: SignerError): boolean =>
  error._tag === "InvalidConfiguration" && error.cause?.vendorName === "INVALID_ARGUMENT"
