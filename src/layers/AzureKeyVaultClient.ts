/**
 * Requests to Key Vault and Managed HSM: one attempt each, and what their answers
 * mean in our words.
 *
 * @category internal
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { ErrorContext, SignerError } from "../schemas/SignerError.ts"
import {
  AuthenticationFailed,
  BackendUnavailable,
  InvalidConfiguration,
  InvalidResponse,
  KeyNotFound,
  KeyNotSigner,
  KeyUnavailable,
  PermissionDenied,
  RateLimited,
  Retryable,
  UnknownBackendError,
  VendorError
} from "../schemas/SignerError.ts"
import type { Problem, Tokens } from "./AzureCredential.ts"
import type { Answer, Exchange, Failure, Send } from "./HttpExchange.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/** What is asked of a key. */
export interface Call {
  /** Encoded segments below the address of the vault: `keys/release/0123/sign`. */
  readonly path: string
  /** Absent: it is read. */
  readonly body?: { readonly alg: string; readonly value: string } | undefined
}

/** The answer of status 200. */
export type Ask = (call: Call) => Effect.Effect<unknown, Problem>

export interface ClientOptions {
  /** Without a path. */
  readonly url: URL
  readonly apiVersion: string
  readonly tokens: Tokens
  readonly send: Send
}

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

interface Refused extends ErrorContext {
  readonly cause: VendorError
}

type Outcome = (refused: Refused, retryAfter: Duration.Duration | undefined) => SignerError

const after = (retryAfter: Duration.Duration | undefined) => (retryAfter === undefined ? {} : { retryAfter })

const unavailable: Outcome = (refused, retryAfter) =>
  new Retryable({ ...refused, reason: new BackendUnavailable(after(retryAfter)) })
const rateLimited: Outcome = (refused, retryAfter) =>
  new Retryable({ ...refused, reason: new RateLimited(after(retryAfter)) })
const unauthenticated: Outcome = (refused) => new AuthenticationFailed(refused)
const denied: Outcome = (refused) => new PermissionDenied(refused)
const keyNotFound: Outcome = (refused) => new KeyNotFound(refused)
const keyNotSigner: Outcome = (refused) => new KeyNotSigner(refused)
const keyIs =
  (state: string): Outcome =>
  (refused) =>
    new KeyUnavailable({ ...refused, state })
const invalid =
  (problem: string, field?: string): Outcome =>
  (refused) =>
    new InvalidConfiguration({ ...refused, problem, ...(field === undefined ? {} : { field }) })

/**
 * `error.innererror.code`, which is more exact than the status: a key that is
 * disabled and a caller who may not are both `403`.
 */
const byInnerCode: { readonly [code: string]: Outcome } = {
  KeyDisabled: keyIs("disabled"),
  KeyExpired: keyIs("expired"),
  KeyNotYetValid: keyIs("not yet valid"),
  KeyNotYetValidOrExpired: keyIs("expired or not yet valid"),
  KeyOperationForbidden: keyNotSigner,
  ObjectIsDeletedButRecoverable: keyIs("deleted"),
  ObjectIsBeingDeleted: keyIs("being deleted"),
  ObjectIsBeingRecovered: keyIs("being recovered"),
  ForbiddenByPolicy: denied,
  ForbiddenByRbac: denied,
  ForbiddenByFirewall: denied,
  ForbiddenByConnection: denied,
  AccessDenied: denied
}

/** What Key Vault says of a key where it states no inner code. */
const byText: ReadonlyArray<readonly [status: number, pattern: RegExp, outcome: Outcome]> = [
  [403, /not allowed on a disabled key/i, keyIs("disabled")],
  [403, /not allowed on an expired key|key is expired|key has expired/i, keyIs("expired")],
  [403, /not yet valid/i, keyIs("not yet valid")],
  [403, /validity period|outside .*valid/i, keyIs("expired or not yet valid")],
  [403, /is not permitted on this key/i, keyNotSigner],
  [409, /deleted but recoverable/i, keyIs("deleted")]
]

/** https://learn.microsoft.com/azure/key-vault/general/rest-error-codes, and what a proxy in front of it may say. */
const byStatus: { readonly [status: number]: Outcome } = {
  400: invalid("Key Vault calls the request invalid"),
  401: unauthenticated,
  403: denied,
  404: keyNotFound,
  405: invalid("the address does not allow this: is it that of a vault?", "vaultUrl"),
  407: invalid("a proxy asks for credentials", "vaultUrl"),
  408: unavailable,
  409: keyIs("in another operation"),
  413: invalid("the server does not take requests of this size", "vaultUrl"),
  425: unavailable,
  429: rateLimited
}

/** The error of an answer: `{ error: { code, message, innererror: { code } } }`. */
interface AzureError {
  readonly code: string | undefined
  readonly innerCode: string | undefined
  readonly text: string
}

const member = (value: unknown, ...names: ReadonlyArray<string>): unknown =>
  typeof value === "object" && value !== null
    ? names
        .map((name) => (Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined))
        .find((v) => v !== undefined)
    : undefined

const identifier = (value: unknown): string | undefined =>
  typeof value === "string" && /^[\w.-]{1,64}$/.test(value) ? value : undefined

const errorOf = (json: unknown): AzureError | undefined => {
  const error = member(json, "error")
  if (typeof error !== "object" || error === null) return undefined
  const message = member(error, "message")
  return {
    code: identifier(member(error, "code")),
    innerCode: identifier(member(member(error, "innererror", "innerError"), "code")),
    text: typeof message === "string" ? message : ""
  }
}

/** A word that may be a token, bytes of a caller, or who the caller is. */
const opaque = /[A-Za-z0-9+/_=-]{20,}(?:\.[A-Za-z0-9+/_=-]+)*/g

/** The first line of what the service said, without anything of what was sent to it. */
const shown = (text: string, call: Call, token: Redacted.Redacted<string>): string | undefined => {
  const line = (/^[^\r\n]{0,1000}/.exec(text)?.[0] ?? "").replace(/[^\x20-\x7e]+/g, " ").trim()
  const echoes = [Redacted.value(token), call.body?.value]
  return line === "" || echoes.some((echo) => echo !== undefined && line.includes(echo))
    ? undefined
    : line.replace(opaque, "...").slice(0, 200)
}

const outcomeOf = (status: number, error: AzureError | undefined): Outcome => {
  if (status >= 200 && status < 300) {
    return (refused) => new InvalidResponse({ ...refused, problem: "the answer is not one of Key Vault" })
  }
  if (status < 400) {
    return invalid("the server redirects, and the token goes to no other host: state where it is", "vaultUrl")
  }
  if (status === 404 && error === undefined) return invalid("nothing answers as Key Vault there", "vaultUrl")
  if (status < 500 && status !== 429 && error !== undefined) {
    const { innerCode, text } = error
    const said =
      innerCode !== undefined && Object.hasOwn(byInnerCode, innerCode)
        ? byInnerCode[innerCode]
        : byText.find(([wanted, pattern]) => wanted === status && pattern.test(text))?.[2]
    if (said !== undefined) return said
  }
  return byStatus[status] ?? (status >= 500 ? unavailable : (refused) => new UnknownBackendError(refused))
}

/** An answer that refuses, or that is none. */
const refusal =
  (answer: Answer, call: Call, token: Redacted.Redacted<string>): Problem =>
  (context) => {
    const { headers, retryAfter, status } = answer
    const error = errorOf(answer.json)
    const requestId = identifier(headers["x-ms-request-id"])
    const text = error === undefined ? undefined : shown(error.text, call, token)
    const cause = new VendorError({
      status,
      ...(error?.code === undefined ? {} : { vendorName: error.code }),
      ...(error?.innerCode === undefined ? {} : { code: error.innerCode }),
      ...(requestId === undefined ? {} : { requestId }),
      ...(text === undefined ? {} : { text })
    })
    return outcomeOf(status, error)({ ...context, cause }, retryAfter)
  }

/** An answer of status 200 that says nothing we can use. */
export const invalidResponse =
  (problem: string): Problem =>
  (context) =>
    new InvalidResponse({ ...context, problem })

/** No answer. */
const unanswered =
  (failure: Failure): Problem =>
  (context) => {
    switch (failure._tag) {
      case "TooLong":
        return new InvalidResponse({ ...context, problem: `an answer of more than ${failure.limit} bytes` })
      case "Strayed":
        return new InvalidConfiguration({
          ...context,
          field: "HttpClient",
          problem: "it has followed a redirect to another host, with the token: give one without followRedirects"
        })
      case "Unreachable": {
        const { code, isUntrusted } = failure
        const refused = { ...context, cause: new VendorError(code === undefined ? {} : { code }) }
        return isUntrusted
          ? invalid("the certificate of the server is not trusted", "vaultUrl")(refused, undefined)
          : unavailable(refused, undefined)
      }
    }
  }

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/** Asks with the token in use, and once more with another where it is refused and there is another. */
export const make = ({ apiVersion, send, tokens, url }: ClientOptions): Ask => {
  const query = { "api-version": apiVersion }
  return (call) => {
    const target = new URL(`/${call.path}`, url)
    const exchange = (token: Redacted.Redacted<string>): Exchange =>
      call.body === undefined
        ? { method: "GET", url: target, query, token }
        : { method: "POST", url: target, query, token, body: JSON.stringify(call.body) }
    const sendWith = (token: Redacted.Redacted<string>) => Effect.mapError(send(exchange(token)), unanswered)
    const finish = (answer: Answer, token: Redacted.Redacted<string>): Effect.Effect<unknown, Problem> =>
      answer.status === 200 && answer.json !== undefined
        ? Effect.succeed(answer.json)
        : Effect.fail(refusal(answer, call, token))
    return Effect.flatMap(tokens.current, (token) =>
      Effect.flatMap(sendWith(token), (answer) =>
        answer.status !== 401
          ? finish(answer, token)
          : Effect.flatMap(tokens.instead(token, answer.headers["www-authenticate"]), (other) =>
              other === undefined
                ? finish(answer, token)
                : Effect.flatMap(sendWith(other), (second) => finish(second, other))
            )
      )
    )
  }
}
