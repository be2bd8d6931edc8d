/**
 * Where the token of Vault comes from, and how it is kept fresh.
 *
 * @category internal
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import { invalidResponse } from "../remote/Outcome.ts"
import type { Problem } from "../remote/Outcome.ts"
import type { Answer, Call, Send } from "./VaultClient.ts"
import { isInvalidToken, loginRefusal } from "./VaultClient.ts"

/**
 * Where the token comes from.
 *
 * **Details**
 *
 * | source | what is done |
 * | --- | --- |
 * | a token | sent as it is, and never renewed |
 * | `file` | read when the first request needs it, and again when Vault refuses it: the sink of Vault Agent |
 * | `appRole` | `auth/<mount>/login` with a role id and a secret id |
 * | `kubernetes` | `auth/<mount>/login` with the token of the pod's service account, read for each login |
 *
 * A token from a login is renewed after two thirds of its time to live, for as
 * long as the scope is open, and replaced by a new login where it cannot be
 * renewed or Vault refuses it.
 *
 * @category models
 * @since 0.1.0
 */
export type TokenSource =
  | Redacted.Redacted<string>
  | { readonly file: string }
  | {
      readonly appRole: {
        readonly roleId: string
        /** Absent where the role does not want one. */
        readonly secretId?: Redacted.Redacted<string> | undefined
        /** Default `approle`. */
        readonly mount?: string | undefined
      }
    }
  | {
      readonly kubernetes: {
        readonly role: string
        /** Default: where Kubernetes puts it. */
        readonly jwtFile?: string | undefined
        /** Default `kubernetes`. */
        readonly mount?: string | undefined
      }
    }

/** The token in use. */
export interface Tokens {
  readonly current: Effect.Effect<Redacted.Redacted<string>, Problem>
  /** Another token than one that was refused, if there is another. */
  readonly instead: (
    refused: Redacted.Redacted<string>,
    isInvalid: boolean
  ) => Effect.Effect<Redacted.Redacted<string> | undefined, Problem>
}

/** Path segments of a mount, encoded. `undefined` where it is none. */
export const encodePath = (path: string): string | undefined => {
  const segments = path.replace(/\/$/, "").split("/")
  return segments.every((segment) => /^[^\p{Cc}\p{Cs}\\?#]{1,128}$/u.test(segment) && !/^\.+$/.test(segment))
    ? segments.map(encodeURIComponent).join("/")
    : undefined
}

const invalid =
  (field: string, problem: string): Problem =>
  (context) =>
    new InvalidConfiguration({ ...context, field, problem })

/** What a header may hold. Anything else would be shown by the error of the HTTP client. */
const isToken = (text: string) => /^[\x21-\x7e]{1,16384}$/.test(text)

const same = (a: Redacted.Redacted<string>, b: Redacted.Redacted<string>) => Redacted.value(a) === Redacted.value(b)

// ---------------------------------------------------------------------------
// files
// ---------------------------------------------------------------------------

declare const process: { readonly getBuiltinModule?: (id: string) => unknown } | undefined

interface Files {
  readonly readFile: (
    path: string,
    options: { readonly encoding: "utf8"; readonly signal: AbortSignal }
  ) => Promise<string>
}

/** A secret in a file, without the line end. */
const readSecret = (path: string, field: string): Effect.Effect<Redacted.Redacted<string>, Problem> =>
  Effect.suspend(() => {
    const files = (typeof process === "undefined" ? undefined : process.getBuiltinModule?.("node:fs/promises")) as
      | Files
      | undefined
    if (files === undefined) return Effect.fail(invalid(field, "there are no files in this runtime"))
    return Effect.tryPromise({
      try: (signal) => files.readFile(path, { encoding: "utf8", signal }),
      catch: (error) => {
        const code = (error as { readonly code?: unknown } | null)?.code
        return invalid(field, `the file cannot be read: ${typeof code === "string" ? code : "unknown error"}`)
      }
    }).pipe(
      Effect.flatMap((text) => {
        const secret = text.trim()
        if (isToken(secret) && !secret.startsWith("{")) return Effect.succeed(Redacted.make(secret))
        return Effect.fail(
          invalid(
            field,
            secret === ""
              ? "the file is empty"
              : secret.startsWith("{")
                ? "the file holds JSON, not a token: turn off response wrapping of the sink"
                : "the file holds something other than one token"
          )
        )
      })
    )
  })

const makeFile = Effect.fnUntraced(function* (path: string): Effect.fn.Return<Tokens> {
  let held: Redacted.Redacted<string> | undefined
  // single flight
  const read = yield* Effect.cachedWithTTL(
    Effect.tap(readSecret(path, "token.file"), (token) =>
      Effect.sync(() => {
        held = token
      })
    ),
    Duration.zero
  )
  return {
    current: Effect.suspend(() => (held === undefined ? read : Effect.succeed(held))),
    instead: (refused) =>
      held !== undefined && !same(held, refused)
        ? Effect.succeed(held)
        : Effect.map(read, (token) => (same(token, refused) ? undefined : token))
  }
})

// ---------------------------------------------------------------------------
// logins
// ---------------------------------------------------------------------------

interface Lease {
  readonly token: Redacted.Redacted<string>
  /** Milliseconds. */
  readonly timeToLive: number
  readonly expiresAt: number
  readonly isRenewable: boolean
}

const Login = Schema.Struct({
  auth: Schema.Struct({
    client_token: Schema.String,
    lease_duration: Schema.Int,
    renewable: Schema.Boolean
  })
})
const decodeLogin = Schema.decodeUnknownResult(Login)

const toLease = (answer: Answer, begun: number): Lease | undefined => {
  const login = Result.getOrUndefined(decodeLogin(answer.json))
  if (answer.status !== 200 || login === undefined) return undefined
  const { client_token: token, lease_duration: seconds, renewable } = login.auth
  if (!isToken(token) || seconds < 0) return undefined
  // Vault: a lease of 0 does not expire
  const timeToLive = seconds === 0 ? Infinity : seconds * 1000
  return { token: Redacted.make(token), timeToLive, expiresAt: begun + timeToLive, isRenewable: renewable }
}

/** Asks for a lease. */
const askForLease = (send: Send, call: Call): Effect.Effect<Lease, Problem> =>
  Effect.flatMap(Clock.currentTimeMillis, (begun) =>
    Effect.flatMap(send(call), (answer) => {
      const lease = toLease(answer, begun)
      return lease !== undefined
        ? Effect.succeed(lease)
        : Effect.fail(
            answer.status === 200 ? invalidResponse("the answer to the login has no token") : loginRefusal(answer, call)
          )
    })
  )

/** Milliseconds between two logins that a refused request alone gives rise to. */
const quiet = 60_000

const makeLogin = Effect.fnUntraced(function* (
  send: Send,
  login: Effect.Effect<Call, Problem>
): Effect.fn.Return<Tokens, never, Scope.Scope> {
  let held: Lease | undefined
  let quietUntil = -Infinity
  const tending = yield* FiberHandle.make<void, never>()

  const hold = (lease: Lease): Lease => (held = lease)
  const obtain: Effect.Effect<Lease, Problem> = Effect.flatMap(login, (call) =>
    Effect.map(askForLease(send, call), hold)
  )
  const renew = ({ token }: Lease) =>
    Effect.option(askForLease(send, { method: "POST", path: "auth/token/renew-self", body: "{}", token }))

  /** Renews a lease until it cannot be renewed any longer, then logs in anew. While that fails, the old one serves. */
  const tend = Effect.fnUntraced(function* (first: Lease): Effect.fn.Return<void> {
    let lease = first
    let full = first.timeToLive
    while (lease.timeToLive < Infinity) {
      const left = lease.expiresAt - (yield* Clock.currentTimeMillis)
      if (left <= 0) return // the next request logs in
      yield* Effect.sleep(Duration.millis(Math.min(left, Math.max(1000, (left * 2) / 3))))
      const answered = lease.isRenewable ? yield* renew(lease) : Option.none()
      // What had an end has one: less than a second is answered as 0, too.
      const renewed = Option.filter(answered, ({ timeToLive }) => timeToLive < Infinity)
      // Near the end of what Vault allows at all, it renews for less and less.
      if (Option.isSome(renewed) && renewed.value.timeToLive >= full / 2) {
        lease = hold(renewed.value)
        continue
      }
      const replaced = yield* Effect.option(obtain)
      if (Option.isSome(replaced)) {
        lease = replaced.value
        full = lease.timeToLive
      } else if (Option.isSome(renewed)) {
        lease = hold(renewed.value)
      }
    }
  })

  // single flight: ten thousand requests without a token, one login
  const begin = yield* Effect.cachedWithTTL(
    Effect.tap(obtain, (lease) => FiberHandle.run(tending, tend(lease))),
    Duration.zero
  )
  return {
    current: Effect.flatMap(Clock.currentTimeMillis, (now) =>
      held !== undefined && now < held.expiresAt ? Effect.succeed(held.token) : Effect.map(begin, ({ token }) => token)
    ),
    instead: (refused, isInvalid) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        if (held !== undefined && !same(held.token, refused)) return Effect.succeed(held.token)
        // A policy that forbids is refused in the words of a token that is gone: no storm of logins for it.
        if (!isInvalid && now < quietUntil) return Effect.undefined
        quietUntil = now + quiet
        return Effect.map(begin, ({ token }) => token)
      })
  }
})

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token"

/** Tokens of a source. Nothing is read or sent before the first is asked for. */
export const make = Effect.fnUntraced(function* (
  source: TokenSource,
  send: Send
): Effect.fn.Return<Tokens, Problem, Scope.Scope> {
  if (Redacted.isRedacted(source)) {
    if (!isToken(Redacted.value(source))) {
      return yield* Effect.fail(invalid("token", "must be printable ASCII, without spaces and line ends"))
    }
    return { current: Effect.succeed(source), instead: () => Effect.undefined }
  }
  if ("file" in source) return yield* makeFile(source.file)
  const [name, mount] =
    "appRole" in source
      ? (["appRole", source.appRole.mount ?? "approle"] as const)
      : (["kubernetes", source.kubernetes.mount ?? "kubernetes"] as const)
  const encoded = encodePath(mount)
  if (encoded === undefined) {
    return yield* Effect.fail(invalid(`token.${name}.mount`, "must be the path of an auth method, without . and .."))
  }
  const call = (body: object): Call => ({ method: "POST", path: `auth/${encoded}/login`, body: JSON.stringify(body) })
  if ("appRole" in source) {
    const { roleId, secretId } = source.appRole
    return yield* makeLogin(
      send,
      Effect.sync(() =>
        call({
          role_id: roleId,
          ...(secretId === undefined ? {} : { secret_id: Redacted.value(secretId) })
        })
      )
    )
  }
  const { jwtFile, role } = source.kubernetes
  return yield* makeLogin(
    send,
    Effect.map(readSecret(jwtFile ?? serviceAccountToken, "token.kubernetes.jwtFile"), (jwt) =>
      call({ role, jwt: Redacted.value(jwt) })
    )
  )
})

/** Sends with the token in use, and once more with another where it is refused and there is another. */
export const authenticated = (send: Send, tokens: Tokens): Send => {
  const sendWith = (call: Call, token: Redacted.Redacted<string>) =>
    Effect.map(send({ ...call, token }), (answer) => (answer.status === 200 ? answer : { ...answer, token }))
  return (call) =>
    Effect.flatMap(tokens.current, (token) =>
      Effect.flatMap(sendWith(call, token), (answer) =>
        answer.status !== 403
          ? Effect.succeed(answer)
          : Effect.flatMap(tokens.instead(token, isInvalidToken(answer)), (other) =>
              other === undefined ? Effect.succeed(answer) : sendWith(call, other)
            )
      )
    )
}
