/**
 * Requests to Vault and OpenBao: one attempt each, and what its answer means in
 * our words.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import { VendorError } from "../../schemas/SignerError.ts"
import * as HttpExchange from "../remote/HttpExchange.ts"
import {
  byStatus,
  invalid,
  invalidResponse,
  keyIs,
  keyNotFound,
  keyNotSigner,
  notThere,
  notAuthenticated,
  rateLimited,
  tokenRefused,
  unavailable
} from "../remote/Outcome.ts"
import type { Outcome, Problem, RetryAfter } from "../remote/Outcome.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/** A request below `/v1/`. */
export interface Call {
  readonly method: "GET" | "POST"
  /** Encoded segments: `transit/sign/release`. */
  readonly path: string
  /** Text of JSON. */
  readonly body?: string | undefined
  /** The parameter `context` of the query, which no log is to show. */
  readonly context?: string | undefined
  /** Absent: the call needs none, as a login. */
  readonly token?: Redacted.Redacted<string> | undefined
}

/** Any answer of the server, also one that refuses. */
export interface Answer {
  readonly status: number
  /** `undefined` where the body is no JSON. */
  readonly json: unknown
  readonly retryAfter?: RetryAfter
  /** The token that was sent, which no error is to show. */
  readonly token?: Redacted.Redacted<string> | undefined
}

/** Sends one call in one attempt. */
export type Send = (call: Call) => Effect.Effect<Answer, Problem>

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

const server = { name: "Vault", address: "url" }
const noMount = invalid("no secrets engine is mounted there, in this namespace", "mount")
const tooLarge = invalid("the server does not take requests of this size; lower maxMessageLength", "maxMessageLength")

const loginRefused = notAuthenticated("the login was refused")

/**
 * What Vault and OpenBao say in `errors`, and in `error` of a batch item, in the
 * order in which it is looked for. A missing key is `400` when it is to sign; some
 * mistakes of the caller are `500`.
 */
const byText: ReadonlyArray<readonly [RegExp, Outcome]> = [
  [/signing key not found|encryption key not found/, keyNotFound],
  [/soft[- ]?deleted/i, keyIs("soft-deleted")],
  [/does not support signing|signing not supported|not contain a private part/, keyNotSigner],
  [/invalid token|bad token|missing client token|token mac|token not found/, tokenRefused],
  [/invalid role or secret ID|invalid role ID|invalid secret id|invalid role name/i, loginRefused],
  [/no handler for route|unsupported path/, noMount],
  [/missing 'context'|base64-decode context|derivation/, invalid("the key is derived: state its context", "context")],
  [/too large|exceeds allowed|exceeded.*limit/, tooLarge],
  [/lease count quota exceeded|rate limit quota exceeded/, rateLimited]
]

/** https://developer.hashicorp.com/vault/api-docs#http-status-codes, and what a proxy in front of it may say. */
const ofStatus = byStatus(
  server,
  {
    400: invalid("Vault calls the request invalid"),
    404: keyNotFound,
    405: invalid("the path does not allow this: is it the mount of a transit engine?", "mount"),
    412: unavailable, // a performance standby or secondary that is behind
    413: tooLarge,
    472: unavailable, // a disaster recovery secondary
    473: unavailable // a performance standby
    // 503: sealed, overloaded, or without a leader
  },
  invalid(
    "the server redirects, and the token goes to no other host: name its origin in redirectOrigins, or use its url",
    "redirectOrigins"
  )
)

/** Statuses at which the words of the server decide. Elsewhere its status is certain. */
const worded = new Set([400, 403, 404, 405, 500])

/** A word that may be a token, or bytes of a caller. */
const opaque = /[A-Za-z0-9+/_=-]{20,}(?:\.[A-Za-z0-9+/_=-]+)*|\b(?:hv[sbr]|[sbr])\.[A-Za-z0-9_-]+/g

const texts = (json: unknown): string => {
  const errors = (json as { readonly errors?: unknown } | null | undefined)?.errors
  return Array.isArray(errors) ? errors.filter((error) => typeof error === "string").join("; ") : ""
}

/** What the server said, without anything of what was sent to it. */
const shown = (text: string, { body = "", context, token }: Call, used = token): { readonly text?: string } => {
  // Too much to look through for what must not show.
  if (body.length > 65_536) return {}
  const echoes = [used === undefined ? undefined : Redacted.value(used), ...(body.match(/[^"\\]{4,}/g) ?? []), context]
  const line = text
    .replace(/[^\x20-\x7e]+/g, " ")
    .trim()
    .slice(0, 1000)
  if (
    line === "" ||
    echoes.some((echo) => echo !== undefined && echo.length >= 4 && !known.has(echo) && line.includes(echo))
  ) {
    return {}
  }
  return { text: line.replace(opaque, "...").slice(0, 200) }
}

/** Words of ours in requests, which may come back. */
const known = new Set([
  "input",
  "context",
  "hash_algorithm",
  "signature_algorithm",
  "marshaling_algorithm",
  "salt_length",
  "prehashed",
  "batch_input",
  "role_id",
  "secret_id",
  "role",
  "pkcs1v15",
  "hash",
  "sha2-256",
  "sha2-384",
  "sha2-512"
])

/** The status and words of an answer in our words. */
const outcomeOf = (status: number, json: unknown): Outcome => {
  const text = worded.has(status) ? texts(json) : ""
  const said = byText.find(([pattern]) => pattern.test(text))?.[1]
  if (said !== undefined) return said
  return status === 404 && json === undefined ? notThere(server) : ofStatus(status)
}

const refusedWith =
  (outcome: Outcome, answer: Answer, call: Call): Problem =>
  (context) =>
    outcome(
      {
        ...context,
        cause: new VendorError({ status: answer.status, ...shown(texts(answer.json), call, answer.token) })
      },
      answer.retryAfter
    )

/** An answer that refuses, or that is none. */
export const refusal = (answer: Answer, call: Call): Problem =>
  refusedWith(outcomeOf(answer.status, answer.json), answer, call)

const noAuthMethod = invalid("no auth method is mounted there, in this namespace", "token")

/** A login that is refused: who we are is at fault, whatever status says so. */
export const loginRefusal = (answer: Answer, call: Call): Problem =>
  refusedWith(
    [400, 401, 403].includes(answer.status)
      ? loginRefused
      : answer.status === 404
        ? noAuthMethod
        : outcomeOf(answer.status, answer.json),
    answer,
    call
  )

/** The error of one item of a batch. */
export const itemRefusal = (text: string | undefined, call: Call): Problem =>
  text === undefined || text === ""
    ? invalidResponse("an item of the batch has neither a signature nor an error")
    : (context) =>
        outcomeOf(400, { errors: [text] })({ ...context, cause: new VendorError(shown(text, call)) }, undefined)

/** Whether the server says that the token is at fault, and not what it may do. */
export const isInvalidToken = (answer: Answer): boolean =>
  [tokenRefused, loginRefused].includes(outcomeOf(answer.status, answer.json))

/** No answer at all, whatever the client is. */
export const unreachable = (error: unknown): Problem => HttpExchange.unreachable(error, server.address)

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

export interface ClientOptions {
  /** An http or https URL without a query. */
  readonly url: URL
  readonly namespace?: string | undefined
  /** Origins beside that of `url` that may have the token. */
  readonly redirectOrigins?: ReadonlyArray<string> | undefined
}

/** Sends with an `HttpClient`. */
export const make = Effect.fnUntraced(function* ({
  namespace,
  redirectOrigins,
  url
}: ClientOptions): Effect.fn.Return<Send, never, HttpClient.HttpClient> {
  const send = yield* HttpExchange.make({
    url,
    address: server.address,
    client: "HttpClient",
    tokenHeader: "x-vault-token",
    headers: { "x-vault-request": "true", ...(namespace === undefined ? {} : { "x-vault-namespace": namespace }) },
    redirectOrigins,
    maxBodyLength: 8 * 1024 * 1024 // a key of RSA 4096 has 900 bytes for each of its versions
  })
  const prefix = `${url.pathname.replace(/\/$/, "")}/v1/`
  return ({ body, context, method, path, token }) =>
    send({
      method,
      path: `${prefix}${path}`,
      query: context === undefined ? undefined : { context: Redacted.make(context) },
      token,
      body
    })
})
