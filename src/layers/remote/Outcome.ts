/**
 * What the refusal of a server means in our words: the entries of which the backends
 * make their tables of statuses, names and codes.
 *
 * @category internal
 */
import type * as Duration from "effect/Duration"
import type { ErrorContext, SignerError } from "../../schemas/SignerError.ts"
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
  type VendorError
} from "../../schemas/SignerError.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/** What went wrong. Where, the operation that met it says. */
export type Problem = (context: ErrorContext) => SignerError

/** Where something was refused, and what is kept of the refusal. */
export interface Refused extends ErrorContext {
  readonly cause: VendorError
}

/** How long the server asks to wait. */
export type RetryAfter = Duration.Duration | undefined

/** What a refusal means. */
export type Outcome = (refused: Refused, retryAfter: RetryAfter) => SignerError

// ---------------------------------------------------------------------------
// outcomes
// ---------------------------------------------------------------------------

const after = (retryAfter: RetryAfter) => (retryAfter === undefined ? {} : { retryAfter })

export const unavailable: Outcome = (refused, retryAfter) =>
  new Retryable({ ...refused, reason: new BackendUnavailable(after(retryAfter)) })
export const rateLimited: Outcome = (refused, retryAfter) =>
  new Retryable({ ...refused, reason: new RateLimited(after(retryAfter)) })
export const notAuthenticated =
  (problem: string): Outcome =>
  (refused) =>
    new AuthenticationFailed({ ...refused, problem })
export const unauthenticated: Outcome = notAuthenticated("the credentials were refused")
export const tokenRefused: Outcome = notAuthenticated("the token was refused")
export const denied: Outcome = (refused) => new PermissionDenied(refused)
export const keyNotFound: Outcome = (refused) => new KeyNotFound(refused)
export const keyNotSigner: Outcome = (refused) => new KeyNotSigner(refused)
export const keyIs =
  (state: string): Outcome =>
  (refused) =>
    new KeyUnavailable({ ...refused, state })
export const invalid =
  (problem: string, field?: string): Outcome =>
  (refused) =>
    new InvalidConfiguration({ ...refused, problem, ...(field === undefined ? {} : { field }) })
export const unknown: Outcome = (refused) => new UnknownBackendError(refused)

/** A server, as its tables and its errors name it. */
export interface Server {
  /** `AWS KMS`. */
  readonly name: string
  /** The option that says where it is. */
  readonly address: string
}

/** What is at a statement of the address that is wrong. */
export const notThere = ({ address, name }: Server): Outcome => invalid(`nothing answers as ${name} there`, address)

/**
 * What a status of HTTP means where nothing says it better, also of a proxy before
 * the server: by the table of the backend, then by what they have in common.
 */
export const byStatus = (
  server: Server,
  own: { readonly [status: number]: Outcome },
  redirects: Outcome = invalid(
    "the server redirects, and the token goes to no other host: state where it is",
    server.address
  )
): ((status: number) => Outcome) => {
  const table: { readonly [status: number]: Outcome } = {
    401: tokenRefused,
    403: denied,
    407: invalid("a proxy asks for credentials", server.address),
    408: unavailable,
    425: unavailable,
    429: rateLimited,
    ...own
  }
  const notOfIt: Outcome = (refused) =>
    new InvalidResponse({ ...refused, problem: `the answer is not one of ${server.name}` })
  return (status) =>
    status >= 200 && status < 300
      ? notOfIt
      : status < 400
        ? redirects
        : (table[status] ?? (status >= 500 ? unavailable : unknown))
}

/** An answer of status 200 that says nothing we can use. */
export const invalidResponse =
  (problem: string): Problem =>
  (context) =>
    new InvalidResponse({ ...context, problem })

/** Host and port of a URL, and nothing else of it. */
export const hostOf = ({ hostname, port, protocol }: URL): string =>
  `${hostname}:${port === "" ? (protocol === "http:" ? 80 : 443) : port}`

/** No answer came from there: why, and what was tried. Neither a path nor a query, which may hold what is secret. */
export const noAnswer =
  (from: string | undefined, code: string | undefined): Outcome =>
  (refused) =>
    new Retryable({
      ...refused,
      reason: new BackendUnavailable(
        from === undefined && code === undefined
          ? {}
          : {
              problem: `no answer${from === undefined ? "" : ` from ${from}`}${code === undefined ? "" : ` (${code})`}`
            }
      )
    })

/** A server that is asked for https where it speaks something else, http most of all. */
export const notTls = ({ address }: Pick<Server, "address">): Outcome =>
  invalid("the server does not speak TLS there: is it http, or another port?", address)

/** The certificate of a server is not trusted. */
export const untrusted = ({ address }: Pick<Server, "address">): Outcome =>
  invalid("the certificate of the server is not trusted", address)

// ---------------------------------------------------------------------------
// what may be kept
// ---------------------------------------------------------------------------

/** Names, codes and ids only: free text of a vendor names callers, accounts and keys. */
export const identifier = (value: unknown): string | undefined =>
  typeof value === "string" && /^[\w.-]{1,64}$/.test(value) ? value : undefined
