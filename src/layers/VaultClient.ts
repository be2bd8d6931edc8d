/**
 * Requests to Vault and OpenBao: one attempt each, and what its answer means in
 * our words.
 *
 * @category internal
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Headers from "effect/http/Headers"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as RetryAfter from "../schemas/RetryAfter.ts"
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

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/** What went wrong. Where, the operation that met it says. */
export type Problem = (context: ErrorContext) => SignerError

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
  readonly retryAfter?: Duration.Duration | undefined
  /** The token that was sent, which no error is to show. */
  readonly token?: Redacted.Redacted<string> | undefined
}

/** Sends one call in one attempt. */
export type Send = (call: Call) => Effect.Effect<Answer, Problem>

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
const invalid =
  (problem: string, field?: string): Outcome =>
  (refused) =>
    new InvalidConfiguration({ ...refused, problem, ...(field === undefined ? {} : { field }) })

const noMount = invalid("no secrets engine is mounted there, in this namespace", "mount")
const tooLarge = invalid("the server does not take requests of this size; lower maxMessageLength", "maxMessageLength")

/**
 * What Vault and OpenBao say in `errors`, and in `error` of a batch item, in the
 * order in which it is looked for. A missing key is `400` when it is to sign; some
 * mistakes of the caller are `500`.
 */
const byText: ReadonlyArray<readonly [RegExp, Outcome]> = [
  [/signing key not found|encryption key not found/, keyNotFound],
  [/soft[- ]?deleted/i, (refused) => new KeyUnavailable({ ...refused, state: "soft-deleted" })],
  [/does not support signing|signing not supported|not contain a private part/, keyNotSigner],
  [/invalid token|bad token|missing client token|token mac|token not found/, unauthenticated],
  [/invalid role or secret ID|invalid role ID|invalid secret id|invalid role name/i, unauthenticated],
  [/no handler for route|unsupported path/, noMount],
  [/missing 'context'|base64-decode context|derivation/, invalid("the key is derived: state its context", "context")],
  [/too large|exceeds allowed|exceeded.*limit/, tooLarge],
  [/lease count quota exceeded|rate limit quota exceeded/, rateLimited]
]

/** https://developer.hashicorp.com/vault/api-docs#http-status-codes, and what a proxy in front of it may say. */
const byStatus: { readonly [status: number]: Outcome } = {
  400: invalid("Vault calls the request invalid"),
  401: unauthenticated,
  403: denied,
  404: keyNotFound,
  405: invalid("the path does not allow this: is it the mount of a transit engine?", "mount"),
  407: invalid("a proxy asks for credentials", "url"),
  408: unavailable,
  412: unavailable, // a performance standby or secondary that is behind
  413: tooLarge,
  425: unavailable,
  429: rateLimited,
  472: unavailable, // a disaster recovery secondary
  473: unavailable, // a performance standby
  500: unavailable,
  502: unavailable,
  503: unavailable, // sealed, overloaded, or without a leader
  504: unavailable
}

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
  if (status === 404 && json === undefined) return invalid("nothing answers as Vault there", "url")
  if (status >= 200 && status < 300) {
    return (refused) => new InvalidResponse({ ...refused, problem: "the answer is not one of Vault" })
  }
  if (status < 400) {
    return invalid(
      "the server redirects, and the token goes to no other host: name its origin in redirectOrigins, or use its url",
      "redirectOrigins"
    )
  }
  return byStatus[status] ?? (status >= 500 ? unavailable : (refused) => new UnknownBackendError(refused))
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
      ? unauthenticated
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

/** An answer of status 200 that says nothing we can use. */
export const invalidResponse =
  (problem: string): Problem =>
  (context) =>
    new InvalidResponse({ ...context, problem })

/** Whether the server says that the token is at fault, and not what it may do. */
export const isInvalidToken = (answer: Answer): boolean => outcomeOf(answer.status, answer.json) === unauthenticated

const identifier = (value: unknown): string | undefined =>
  typeof value === "string" && /^[\w.-]{1,64}$/.test(value) ? value : undefined

/** The code of the runtime somewhere below an error: `fetch` puts it two levels down. */
const codeOf = (error: unknown): string | undefined => {
  let below = error
  for (let depth = 0; depth < 4 && typeof below === "object" && below !== null; depth++) {
    const code = identifier((below as { readonly code?: unknown }).code)
    if (code !== undefined) return code
    below = (below as { readonly cause?: unknown }).cause
  }
}

/** Of OpenSSL, in which Node and Bun report that they do not trust a server. */
const untrusted = /CERT|^UNABLE_TO_|^ERR_TLS_|^ERR_SSL_/

/** No answer at all. */
export const unreachable =
  (error: unknown): Problem =>
  (context) => {
    const code = codeOf(error)
    const refused = { ...context, cause: new VendorError(code === undefined ? {} : { code }) }
    return code !== undefined && untrusted.test(code)
      ? invalid("the certificate of the server is not trusted", "url")(refused, undefined)
      : unavailable(refused, undefined)
  }

// ---------------------------------------------------------------------------
// HttpClient
// ---------------------------------------------------------------------------

/** Bytes of an answer at most. A key of RSA 4096 has 900 for each of its versions. */
const maxBodyLength = 8 * 1024 * 1024

const bodyTooLong = invalidResponse(`an answer of more than ${maxBodyLength} bytes`)

const decoder = new TextDecoder()

const collect = (response: HttpClientResponse) =>
  Stream.runFoldEffect(
    response.stream,
    () => ({ chunks: [] as Array<Uint8Array>, length: 0 }),
    (state, chunk) => {
      state.length += chunk.length
      if (state.length > maxBodyLength) return Effect.fail(bodyTooLong)
      state.chunks.push(chunk)
      return Effect.succeed(state)
    }
  ).pipe(
    Effect.map(({ chunks, length }) => {
      const bytes = new Uint8Array(length)
      let offset = 0
      for (const chunk of chunks) {
        bytes.set(chunk, offset)
        offset += chunk.length
      }
      return decoder.decode(bytes)
    })
  )

/** The body, whose length the transport holds to where it is stated. */
const bodyOf = (response: HttpClientResponse): Effect.Effect<string, HttpClientError | Problem> => {
  const { "content-encoding": encoding, "content-length": length } = response.headers
  return length !== undefined && encoding === undefined && /^\d{1,7}$/.test(length) ? response.text : collect(response)
}

const parse = (text: string): unknown => {
  try {
    const json: unknown = JSON.parse(text)
    return typeof json === "object" && json !== null ? json : undefined
  } catch {
    return undefined
  }
}

const isProblem = (error: HttpClientError | Problem): error is Problem => typeof error === "function"

/** Where a redirect leads, if to the same path of an origin that may have the token. */
const allowedOrigin = (location: string | undefined, from: URL, origins: ReadonlyArray<string>): string | undefined => {
  if (location === undefined || !URL.canParse(location, from)) return undefined
  const to = new URL(location, from)
  return to.pathname === from.pathname && to.search === from.search && origins.includes(to.origin)
    ? to.origin
    : undefined
}

export interface ClientOptions {
  /** An http or https URL without a query. */
  readonly url: URL
  readonly namespace?: string | undefined
  /** Origins beside that of `url` that may have the token. */
  readonly redirectOrigins?: ReadonlyArray<string> | undefined
}

/**
 * Sends with an `HttpClient`: no redirect is followed by it, and its spans are
 * off, because they keep requests, and so tokens.
 */
export const make = Effect.fnUntraced(function* (options: ClientOptions) {
  const client = yield* HttpClient.HttpClient
  const context = yield* Effect.context<never>()
  const quiet = Context.empty().pipe(
    Context.add(FetchHttpClient.RequestInit, {
      ...Context.getOrUndefined(context, FetchHttpClient.RequestInit),
      redirect: "manual"
    }),
    Context.add(HttpClient.TracerDisabledWhen, () => true),
    Context.add(Headers.CurrentRedactedNames, [...Context.get(context, Headers.CurrentRedactedNames), "x-vault-token"])
  )
  const prefix = `${options.url.pathname.replace(/\/$/, "")}/v1/`
  const headers = Headers.fromInput({
    "x-vault-request": "true",
    ...(options.namespace === undefined ? {} : { "x-vault-namespace": options.namespace })
  })

  const execute = (
    call: Call,
    origin: string,
    isRedirected: boolean
  ): Effect.Effect<Answer, HttpClientError | Problem> => {
    const { body, context, method, path, token } = call
    const base = `${origin}${prefix}${path}`
    return client
      .execute(
        HttpClientRequest.make(method)(base, {
          headers: token === undefined ? headers : Headers.set(headers, "x-vault-token", Redacted.value(token)),
          ...(body === undefined ? {} : { body: HttpBody.text(body, "application/json") }),
          ...(context === undefined ? {} : { urlParams: { context: Redacted.make(context) } })
        })
      )
      .pipe(
        Effect.flatMap((response): Effect.Effect<Answer, HttpClientError | Problem> => {
          const { headers, status } = response
          if (response.url !== "" && !response.url.startsWith(`${origin}/`)) {
            return Effect.fail(invalidClient)
          }
          if (status < 200 || (status >= 300 && status < 400)) {
            const from = new URL(context === undefined ? base : `${base}?context=${encodeURIComponent(context)}`)
            const to =
              isRedirected || (status !== 307 && status !== 308)
                ? undefined
                : allowedOrigin(headers["location"], from, options.redirectOrigins ?? [])
            return to === undefined ? Effect.succeed({ status, json: undefined }) : execute(call, to, true)
          }
          return Effect.flatMap(bodyOf(response), (text) => {
            const retryAfter = headers["retry-after"]
            return retryAfter === undefined
              ? Effect.succeed({ status, json: parse(text) })
              : Effect.map(Clock.currentTimeMillis, (now) => ({
                  status,
                  json: parse(text),
                  retryAfter: RetryAfter.parse(retryAfter, now)
                }))
          })
        })
      )
  }

  const send: Send = (call) =>
    Effect.mapError(
      Effect.provideContext(
        Effect.suspend(() => execute(call, options.url.origin, false)),
        quiet
      ),
      (error) => (isProblem(error) ? error : unreachable(error))
    )
  return send
})

const invalidClient: Problem = (context) =>
  new InvalidConfiguration({
    ...context,
    field: "HttpClient",
    problem:
      "it has followed a redirect to another host, with the token: give one without followRedirects, and revoke the token"
  })
