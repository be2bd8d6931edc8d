/**
 * Requests to Key Vault and Managed HSM: one attempt each, and what their answers
 * mean in our words.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { VendorError } from "../../schemas/SignerError.ts"
import type { Tokens } from "./AzureCredential.ts"
import type { Answer, Exchange, Send } from "../remote/HttpExchange.ts"
import { byStatus, denied, identifier, invalid, keyIs, keyNotFound, keyNotSigner, notThere } from "../remote/Outcome.ts"
import type { Outcome, Problem } from "../remote/Outcome.ts"

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
  readonly apiVersion: string
  readonly tokens: Tokens
  readonly send: Send
}

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/** The option that says where the vault is. */
export const address = "vaultUrl"

const server = { name: "Key Vault", address }

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
const ofStatus = byStatus(server, {
  400: invalid("Key Vault calls the request invalid"),
  404: keyNotFound,
  405: invalid("the address does not allow this: is it that of a vault?", address),
  409: keyIs("in another operation"),
  413: invalid("the server does not take requests of this size", address)
})

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
  if (status === 404 && error === undefined) return notThere(server)
  if (status >= 400 && status < 500 && status !== 429 && error !== undefined) {
    const { innerCode, text } = error
    const said =
      innerCode !== undefined && Object.hasOwn(byInnerCode, innerCode)
        ? byInnerCode[innerCode]
        : byText.find(([wanted, pattern]) => wanted === status && pattern.test(text))?.[2]
    if (said !== undefined) return said
  }
  return ofStatus(status)
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

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/** Asks with the token in use, and once more with another where it is refused and there is another. */
export const make = ({ apiVersion, send, tokens }: ClientOptions): Ask => {
  const query = { "api-version": apiVersion }
  return (call) => {
    const path = `/${call.path}`
    const exchange: Exchange =
      call.body === undefined
        ? { method: "GET", path, query }
        : { method: "POST", path, query, body: JSON.stringify(call.body) }
    const sendWith = (token: Redacted.Redacted<string>) => send({ ...exchange, token })
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
