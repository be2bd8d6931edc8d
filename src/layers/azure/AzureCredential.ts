/**
 * Tokens of Microsoft Entra ID: whoever gives them, kept until shortly before
 * they expire, and obtained once however many requests wait for them.
 *
 * @category internal
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import {
  AuthenticationFailed,
  BackendUnavailable,
  InvalidConfiguration,
  RateLimited,
  Retryable,
  VendorError
} from "../../schemas/SignerError.ts"
import { codeOf } from "../remote/HttpExchange.ts"
import * as OptionalPeer from "../remote/OptionalPeer.ts"
import { identifier, type Problem } from "../remote/Outcome.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What gives tokens: any credential of `@azure/identity`, or one of your own.
 *
 * **Details**
 *
 * `getToken` is asked again shortly before a token expires, and once when the
 * service refuses one; then `claims` may hold what the service wants to know
 * (continuous access evaluation).
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenCredential {
  getToken(
    scopes: string | Array<string>,
    options?: {
      readonly abortSignal?: AbortSignal
      readonly claims?: string
      readonly enableCae?: boolean
    }
  ): Promise<{
    readonly token: string
    /** Milliseconds since 1970. */
    readonly expiresOnTimestamp: number
  } | null>
}

/**
 * An application with a secret, which `ClientSecretCredential` of
 * `@azure/identity` exchanges for tokens.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientSecret {
  readonly tenantId: string
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted<string>
}

/** The token in use. */
export interface Tokens {
  readonly current: Effect.Effect<Redacted.Redacted<string>, Problem>
  /** Another token than one that was refused, if there is another. `challenge` is the header of the refusal. */
  readonly instead: (
    refused: Redacted.Redacted<string>,
    challenge: string | undefined
  ) => Effect.Effect<Redacted.Redacted<string> | undefined, Problem>
}

// ---------------------------------------------------------------------------
// @azure/identity
// ---------------------------------------------------------------------------

const importIdentity = OptionalPeer.load("@azure/identity", () => import("@azure/identity"), ", or state a credential")

/**
 * The credential of the options; absent, `DefaultAzureCredential`, which tries what
 * the environment, the platform and the tools of a developer offer.
 */
export const resolve = (
  source: TokenCredential | ClientSecret | undefined,
  authorityHost: string | undefined
): Effect.Effect<TokenCredential, Problem> => {
  if (source !== undefined && "getToken" in source) return Effect.succeed(source)
  const options = authorityHost === undefined ? {} : { authorityHost }
  return Effect.flatMap(importIdentity, (identity) =>
    Effect.try({
      try: (): TokenCredential =>
        source === undefined
          ? new identity.DefaultAzureCredential(options)
          : new identity.ClientSecretCredential(
              source.tenantId,
              source.clientId,
              Redacted.value(source.clientSecret),
              options
            ),
      catch: (): Problem => (context) =>
        new InvalidConfiguration({
          ...context,
          field: "credential",
          problem: "@azure/identity refuses it: check the tenant id, the client id and AZURE_TOKEN_CREDENTIALS"
        })
    })
  )
}

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/** Codes of Node with which no answer came. */
const network = /^(?:E[A-Z_]+|UND_ERR_[A-Z_]+|REQUEST_SEND_ERROR|network_error|endpoints_resolution_error)$/

const below = (error: unknown, name: string): unknown =>
  typeof error === "object" && error !== null ? (error as Readonly<Record<string, unknown>>)[name] : undefined

/** A token that could not be had, and why: the code of the runtime, or a status. */
const unanswered = (why: unknown) => `no answer from whoever gives access tokens (${String(why)})`

const noCredentials =
  "no credentials were found: state a credential, set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, give the " +
  "host a managed identity, or log in with az login"

/** Where no credential of a chain had anything to ask with. */
const unavailableNames: ReadonlySet<string> = new Set(["CredentialUnavailableError", "AggregateAuthenticationError"])

/**
 * What a credential throws, without the words: those of a request may be among
 * them. `AADSTS7000215` is what to look up.
 */
const refused =
  (error: unknown): Problem =>
  (context) => {
    const message = below(error, "message")
    const entra = typeof message === "string" ? /\bAADSTS\d{3,8}\b/.exec(message)?.[0] : undefined
    const status = below(error, "statusCode")
    const code = entra ?? codeOf(error) ?? identifier(below(below(error, "errorResponse"), "error"))
    const name = identifier(below(error, "name"))
    const cause = new VendorError({
      ...(name === undefined ? {} : { vendorName: name }),
      ...(code === undefined ? {} : { code }),
      ...(typeof status === "number" && Number.isInteger(status) ? { status } : {})
    })
    const failure = { ...context, cause }
    if (status === 429) return new Retryable({ ...failure, reason: new RateLimited({}) })
    const isUnanswered = entra === undefined && code !== undefined && network.test(code)
    return isUnanswered || (typeof status === "number" && status >= 500)
      ? new Retryable({ ...failure, reason: new BackendUnavailable({ problem: unanswered(code ?? status) }) })
      : new AuthenticationFailed({
          ...failure,
          // https://learn.microsoft.com/javascript/api/@azure/identity/credentialunavailableerror: nobody was asked
          problem: unavailableNames.has(name ?? "") ? noCredentials : "the credential was refused"
        })
  }

const noToken: Problem = (context) =>
  new AuthenticationFailed({
    ...context,
    problem: "no credentials were found: the credential gave no token",
    cause: new VendorError({ text: "the credential gave no token" })
  })

const malformed: Problem = (context) =>
  new InvalidConfiguration({
    ...context,
    field: "credential",
    problem: "what it gave is not a token with its expiry in milliseconds since 1970"
  })

// ---------------------------------------------------------------------------
// tokens
// ---------------------------------------------------------------------------

interface Held {
  readonly token: Redacted.Redacted<string>
  /** Milliseconds for which it is used. */
  readonly usableFor: number
}

/** Before it expires, a token is replaced. */
const margin = 120_000

/** What a header may hold. Anything else would be shown by the error of the HTTP client. */
const isToken = (value: unknown): value is string => typeof value === "string" && /^[\x21-\x7e]{1,65536}$/.test(value)

/**
 * The claims that a refusal asks for: a header parameter in base64.
 * https://learn.microsoft.com/entra/identity-platform/claims-challenge
 */
const claimsOf = (challenge: string | undefined): string | undefined => {
  if (challenge === undefined || challenge.length > 8192) return undefined
  const text = /\bclaims="([A-Za-z0-9+/=]{1,4096})"/.exec(challenge)?.[1]
  const bytes = text === undefined ? undefined : Result.getOrUndefined(Base64.decode(text))
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
}

const obtain = (credential: TokenCredential, scope: string, claims: string | undefined): Effect.Effect<Held, Problem> =>
  Effect.tryPromise({
    try: async (abortSignal) =>
      credential.getToken(scope, { abortSignal, enableCae: true, ...(claims === undefined ? {} : { claims }) }),
    catch: refused
  }).pipe(
    Effect.flatMap((given) =>
      Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<Held, Problem> => {
        if (given === null || given === undefined) return Effect.fail(noToken)
        const { expiresOnTimestamp, token } = given
        if (!isToken(token) || !Number.isFinite(expiresOnTimestamp)) return Effect.fail(malformed)
        const left = Math.max(0, expiresOnTimestamp - now)
        return Effect.succeed({ token: Redacted.make(token), usableFor: left - Math.min(margin, left / 2) })
      })
    )
  )

/** Tokens of a credential. None is asked for before the first request. */
export const make = (credential: TokenCredential, scope: string): Effect.Effect<Tokens> =>
  Effect.gen(function* () {
    let held: Held | undefined
    let claims: string | undefined
    // Single flight; whoever waits last and leaves aborts it.
    const [get, forget] = yield* Effect.cachedInvalidateWithTTL(
      Effect.suspend(() => obtain(credential, scope, claims)).pipe(
        Effect.tap((next) =>
          Effect.sync(() => {
            held = next
            claims = undefined
          })
        )
      ),
      (exit) => (Exit.isSuccess(exit) ? Duration.millis(exit.value.usableFor) : Duration.zero)
    )
    const current = Effect.map(get, ({ token }) => token)
    return {
      current,
      instead: (refused, challenge) =>
        Effect.suspend(() => {
          const isHeld = held !== undefined && Redacted.value(held.token) === Redacted.value(refused)
          if (isHeld) {
            held = undefined
            claims = claimsOf(challenge)
          }
          return Effect.andThen(isHeld ? forget : Effect.void, current)
        }).pipe(Effect.map((token) => (Redacted.value(token) === Redacted.value(refused) ? undefined : token)))
    }
  })
