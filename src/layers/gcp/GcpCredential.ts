/**
 * Access tokens of Google Cloud: whoever gives them, and another one where one was
 * refused.
 *
 * @category internal
 */
import type { GoogleAuth } from "google-auth-library"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import {
  AuthenticationFailed,
  BackendUnavailable,
  InvalidConfiguration,
  RateLimited,
  Retryable,
  VendorError
} from "../../schemas/SignerError.ts"
import { member } from "./GcpKmsError.ts"
import { codeOf } from "../remote/HttpExchange.ts"
import * as OptionalPeer from "../remote/OptionalPeer.ts"
import { identifier, type Problem } from "../remote/Outcome.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What gives access tokens: a client or a `GoogleAuth` of `google-auth-library`, or
 * one of your own.
 *
 * **Details**
 *
 * It is asked before every request, so it should keep what it has, and once more
 * when Cloud KMS refuses a token. The scope is
 * `https://www.googleapis.com/auth/cloudkms`.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenSource {
  getAccessToken(): Promise<string | { readonly token?: string | null | undefined } | null | undefined>
}

/** Which credentials. Absent: those that Application Default Credentials finds, as `GOOGLE_APPLICATION_CREDENTIALS` says. */
export interface CredentialOptions {
  /** The JSON text of the key file of a service account. Other kinds: `GOOGLE_APPLICATION_CREDENTIALS`. */
  readonly credentials?: Redacted.Redacted<string> | undefined
}

/** A token, and the project whose quota it uses where that is not the project of the key. */
export interface Token {
  readonly token: Redacted.Redacted<string>
  readonly quotaProject: string | undefined
}

export interface Tokens {
  readonly current: Effect.Effect<Token, Problem>
  /** Another token than one that was refused, if there is another. */
  readonly instead: (refused: Token) => Effect.Effect<Token | undefined, Problem>
}

/** As much as is used of an `AuthClient` of `google-auth-library`, which keeps its token in `credentials`. */
interface AuthClient extends TokenSource {
  readonly credentials?: { readonly access_token?: string | null } & Readonly<Record<string, unknown>>
  readonly setCredentials?: (credentials: object) => void
  readonly quotaProjectId?: string | undefined
}

/** A `GoogleAuth`, which finds its client when it is first asked. */
interface Finder {
  readonly getClient: () => Promise<AuthClient>
}

const isFinder = (source: object): source is Finder => "getClient" in source && typeof source.getClient === "function"

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/** Codes of Node with which no answer came. */
const network = /^(?:E(?:AI_|CONN|HOST|NET|NOTFOUND|PIPE|PROTO|TIMEDOUT)[A-Z_]*|UND_ERR_[A-Z_]+)$/

/** What Application Default Credentials says of a file that it cannot read. */
const file = /\b(?:ENOENT|EACCES|EISDIR|ENOTDIR)\b|is not a file/

/** What Application Default Credentials says where it has found none. */
const nothingFound = /Could not load the default credentials|Unable to find credentials/

/** A token that could not be had, and why: the code of the runtime, or a status. */
const unanswered = (why: unknown) => `no answer from whoever gives access tokens (${String(why)})`

const noCredentials =
  "no credentials were found: state credentials or tokens, set GOOGLE_APPLICATION_CREDENTIALS, or log in with gcloud auth " +
  "application-default login"

/** What OpenSSL says of a private key. */
const malformedKey = /^ERR_(?:OSSL_|INVALID_ARG)/

const invalidCredentials: Problem = (context) =>
  new InvalidConfiguration({
    ...context,
    field: "credentials",
    problem:
      "must be the JSON text of the key file of a service account; name a file of another kind with " +
      "GOOGLE_APPLICATION_CREDENTIALS, or hand in what gives tokens"
  })

/** What a source of tokens throws, without the words: credentials may be among them. */
export const refusedCredential =
  (error: unknown): Problem =>
  (context) => {
    const response = member(error, "response")
    const said = member(member(response, "data"), "error")
    const status = [member(error, "status"), member(response, "status")].find((value) => Number.isInteger(value))
    const code = identifier(said) ?? codeOf(error)
    const name = identifier(member(error, "name"))
    const cause = new VendorError({
      ...(name === undefined ? {} : { vendorName: name }),
      ...(code === undefined ? {} : { code }),
      ...(typeof status === "number" ? { status } : {})
    })
    const failure = { ...context, cause }
    const text = member(error, "message")
    if (typeof text === "string" && file.test(text.slice(0, 2000))) {
      return new InvalidConfiguration({
        ...failure,
        field: "GOOGLE_APPLICATION_CREDENTIALS",
        problem: "names a file that cannot be read"
      })
    }
    if (code !== undefined && malformedKey.test(code)) return invalidCredentials(context)
    if (status === 429) return new Retryable({ ...failure, reason: new RateLimited({}) })
    return (code !== undefined && network.test(code)) || (typeof status === "number" && status >= 500)
      ? new Retryable({ ...failure, reason: new BackendUnavailable({ problem: unanswered(code ?? status) }) })
      : new AuthenticationFailed({
          ...failure,
          problem:
            typeof text === "string" && nothingFound.test(text.slice(0, 2000))
              ? noCredentials
              : "the credentials were refused"
        })
  }

const malformed: Problem = (context) =>
  new InvalidConfiguration({ ...context, field: "tokens", problem: "what it gave is not an access token" })

const noToken: Problem = (context) =>
  new AuthenticationFailed({
    ...context,
    problem: "no credentials were found: there is no access token",
    cause: new VendorError({ text: "there is no access token" })
  })

// ---------------------------------------------------------------------------
// google-auth-library
// ---------------------------------------------------------------------------

const scopes = "https://www.googleapis.com/auth/cloudkms"

export const importLibrary = OptionalPeer.load(
  "google-auth-library",
  () => import("google-auth-library"),
  ", or state tokens"
)

/** https://developers.google.com/identity/protocols/oauth2/service-account#creatinganaccount */
const decodeServiceAccount = Schema.decodeUnknownResult(
  Schema.fromJsonString(
    Schema.Struct({
      type: Schema.Literal("service_account"),
      client_email: Schema.NonEmptyString,
      private_key: Schema.NonEmptyString,
      private_key_id: Schema.optionalKey(Schema.String)
    })
  )
)

/** The credentials of the options, for the libraries of Google. Nobody is asked before the first token. */
export const resolve = ({ credentials }: CredentialOptions): Effect.Effect<GoogleAuth, Problem> =>
  Effect.flatMap(importLibrary, ({ GoogleAuth, JWT }): Effect.Effect<GoogleAuth, Problem> => {
    if (credentials === undefined) return Effect.succeed(new GoogleAuth({ scopes }))
    const decoded = decodeServiceAccount(Redacted.value(credentials))
    if (Result.isFailure(decoded)) return Effect.fail(invalidCredentials)
    const { client_email, private_key, private_key_id } = decoded.success
    const authClient = new JWT({ email: client_email, key: private_key, keyId: private_key_id ?? "", scopes: [scopes] })
    return Effect.succeed(new GoogleAuth({ authClient }))
  })

// ---------------------------------------------------------------------------
// tokens
// ---------------------------------------------------------------------------

const clientOf = (source: TokenSource): Effect.Effect<AuthClient, Problem> =>
  isFinder(source)
    ? Effect.tryPromise({ try: async () => source.getClient(), catch: refusedCredential })
    : Effect.succeed(source)

/** What a header may hold. Anything else would be shown by the error of the HTTP client. */
const isHeader = (value: unknown): value is string => typeof value === "string" && /^[\x21-\x7e]{1,65536}$/.test(value)

const ask = (client: AuthClient): Effect.Effect<Token, Problem> =>
  Effect.flatMap(
    Effect.tryPromise({ try: async () => client.getAccessToken(), catch: refusedCredential }),
    (given): Effect.Effect<Token, Problem> => {
      const token = typeof given === "object" && given !== null ? given.token : given
      if (token === undefined || token === null || token === "") return Effect.fail(noToken)
      if (!isHeader(token)) return Effect.fail(malformed)
      const project = client.quotaProjectId
      return Effect.succeed({
        token: Redacted.make(token, { label: "access token" }),
        quotaProject: isHeader(project) ? project : undefined
      })
    }
  )

/** Lets a client of the library forget its token where it is still this one. */
const forget = (client: AuthClient, token: string): void => {
  const { credentials, setCredentials } = client
  if (setCredentials === undefined || credentials?.access_token !== token) return
  const { access_token: _, ...rest } = credentials
  client.setCredentials!({ ...rest, expiry_date: 1 })
}

/** Tokens of a source. */
export const make = (source: TokenSource): Tokens => ({
  current: Effect.flatMap(clientOf(source), ask),
  instead: (refused) =>
    Effect.flatMap(clientOf(source), (client) => {
      const before = Redacted.value(refused.token)
      forget(client, before)
      return Effect.map(ask(client), (next) => (Redacted.value(next.token) === before ? undefined : next))
    })
})

/**
 * Obtains another token than the one that a client of the library holds; whether
 * there is another now. For who cannot say which token was refused.
 */
export const renew = (source: unknown): Effect.Effect<boolean> =>
  typeof source !== "object" || source === null || !(isFinder(source) || "getAccessToken" in source)
    ? Effect.succeed(false)
    : Effect.flatMap(clientOf(source as TokenSource), (client) => {
        const before = client.credentials?.access_token
        if (typeof before !== "string") return Effect.succeed(false)
        forget(client, before)
        return Effect.map(ask(client), ({ token }) => Redacted.value(token) !== before)
      }).pipe(Effect.orElseSucceed(() => false))
