/**
 * JSON Web Tokens (RFC 7519), with any key: claims in, a token out; a token in,
 * claims out, checked.
 *
 * **Details**
 *
 * - Issuer, audience, `typ` and expiry are required by default, when a token is
 *   written and when it is read.
 * - Time is that of Effect's `Clock`. Readers allow clocks to differ by 60 seconds.
 * - Claims of your own are built and read with a `Schema`. The registered ones
 *   (`iss`, `sub`, `aud`, `exp`, `nbf`, `iat`, `jti`) have options.
 *
 * **Gotchas**
 *
 * A token says who signed it, not who carries it, and it is valid until it expires.
 * Keep `expiresIn` short.
 *
 * **Example** (A token with a claim of your own)
 *
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { LocalSigner } from "effect-signer"
 * import * as Jwt from "effect-signer/Jwt"
 * import * as KeyResolver from "effect-signer/KeyResolver"
 *
 * const Claims = Schema.Struct({ role: Schema.Literals(["reader", "writer"]) })
 *
 * const program = Effect.gen(function*() {
 *   const token = yield* Jwt.sign(
 *     { role: "reader" },
 *     { schema: Claims, issuer: "https://id.example", audience: "api", expiresIn: "5 minutes", subject: "7" }
 *   )
 *   const { claims, subject } = yield* Jwt.verify(token, {
 *     schema: Claims,
 *     issuer: "https://id.example",
 *     audience: "api"
 *   })
 *   return [subject, claims.role]
 * })
 *
 * const Live = KeyResolver.layerSigner().pipe(Layer.provideMerge(LocalSigner.layerGenerated("ES256")))
 *
 * const result = Effect.runPromise(Effect.provide(program, Live))
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { primitives } from "#primitives"
import * as Base64Url from "../schemas/Base64Url.ts"
import { shownKeyId } from "../schemas/KeyResolverError.ts"
import { Malformed } from "../schemas/Malformed.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import * as StrictJson from "../schemas/StrictJson.ts"
import type { KeyAmbiguous, KeyUnknown, ResolvedKey } from "../services/KeyResolver.ts"
import { KeyResolver } from "../services/KeyResolver.ts"
import type * as Mac from "../services/Mac.ts"
import type { Signer } from "../services/Signer.ts"
import * as Jws from "./Jws.ts"
import { check, checkMac } from "./jose/JwsCheck.ts"
import { JwsInvalid } from "./jose/JwsInvalid.ts"
import { openCompact } from "./jose/JwsReader.ts"

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * Why the claims of a token are refused, whose form and signature are in order
 * (where the reader knows the signature already).
 *
 * @category errors
 * @since 0.1.0
 */
export const JwtReason = Schema.Literals([
  "Expired",
  "NotYetValid",
  "IssuedInFuture",
  "TooOld",
  "WrongIssuer",
  "WrongAudience",
  "WrongSubject",
  "MissingClaim",
  "MalformedClaim",
  "ClaimsInvalid"
])

/**
 * The type of {@link JwtReason}.
 *
 * @category errors
 * @since 0.1.0
 */
export type JwtReason = typeof JwtReason.Type

/**
 * A token whose claims are refused. It holds no value of a claim.
 *
 * @category errors
 * @since 0.1.0
 */
export class JwtInvalid extends Schema.TaggedError<JwtInvalid>("effect-signer/JwtInvalid")("JwtInvalid", {
  reason: JwtReason,
  /** The claim it is about, or the paths that the schema refuses. */
  claim: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return `JwtInvalid: ${this.reason}${this.claim === undefined ? "" : `: ${this.claim}`}`
  }
}

/**
 * What verifying a token can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type VerifyError = JwtInvalid | Jws.VerifyError

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * Written for `issuer` or `audience` where a reader accepts any, or none.
 *
 * @category models
 * @since 0.1.0
 */
export const any: unique symbol = Symbol.for("effect-signer/Jwt/any")

/**
 * A schema of claims: whatever it decodes from a JSON object.
 *
 * @category models
 * @since 0.1.0
 */
export type ClaimsSchema<Claims> = Schema.Codec<Claims, unknown>

interface Registered {
  /** `iss`. Written as `undefined` where a token shall have none. */
  readonly issuer: string | undefined
  /** `aud`. Written as `undefined` where a token shall have none. */
  readonly audience: string | ReadonlyArray<string> | undefined
  /** `exp`, from now. `"never"` writes none, and readers refuse it by default. */
  readonly expiresIn: Duration.Input | "never"
  readonly subject?: string | undefined
  /** `nbf`, from now. Default: none. */
  readonly notBefore?: Duration.Input | undefined
  /** `iat`, now. Default `true`. */
  readonly issuedAt?: boolean | undefined
  /** `jti`: stated, or `true` for 128 random bits. Default: none. */
  readonly jwtId?: string | boolean | undefined
}

/**
 * Options of {@link sign}. `typ` is `"JWT"` where none is stated; a more specific
 * one (`"at+jwt"`) keeps one kind of token from passing for another.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignOptions<Claims = Schema.JsonObject> extends Registered, Jws.HeaderOptions {
  /** How the claims are written. Default: as they are. */
  readonly schema?: ClaimsSchema<Claims> | undefined
  /** What the key must be for: a Signer of another purpose is refused. */
  readonly purpose?: string | undefined
}

/**
 * Options of {@link signMac}.
 *
 * @category models
 * @since 0.1.0
 */
export type SignMacOptions<Claims = Schema.JsonObject> = Omit<SignOptions<Claims>, "purpose" | "ed25519">

interface Expected<Claims> {
  /** How the claims are read. Default: a JSON object. */
  readonly schema?: ClaimsSchema<Claims> | undefined
  /** The issuer, or those of which it must be one; or {@link any}. */
  readonly issuer: string | ReadonlyArray<string> | typeof any
  /** Who reads this token, by any of these names; or {@link any}. */
  readonly audience: string | ReadonlyArray<string> | typeof any
  readonly subject?: string | undefined
  /** Default `"JWT"`. `any` accepts all, and none. */
  readonly typ?: string | typeof any | undefined
  /** How far clocks may differ. Default 60 seconds. */
  readonly skew?: Duration.Input | undefined
  /** How long ago it may have been issued, whenever it expires. Needs `iat`. */
  readonly maxAge?: Duration.Input | undefined
  /** Whether a token without `exp` is refused. Default `true`. */
  readonly requireExpiry?: boolean | undefined
  /** Parameters that `crit` may name, because the caller heeds them. */
  readonly critical?: ReadonlyArray<string> | undefined
  /** Characters of the token at most. Default 65,536. */
  readonly maxLength?: number | undefined
}

/**
 * Options of {@link verify}.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyOptions<Claims = Schema.JsonObject> extends Expected<Claims> {
  /** The tenant the key must be for. */
  readonly tenant?: string | undefined
  /** What the key must be for. */
  readonly purpose?: string | undefined
}

/**
 * Options of {@link verifyMac}.
 *
 * @category models
 * @since 0.1.0
 */
export type VerifyMacOptions<Claims = Schema.JsonObject> = Expected<Claims>

/**
 * What a token says. Times are milliseconds since the epoch.
 *
 * @category models
 * @since 0.1.0
 */
export interface Token<Claims> {
  /** All claims, or what the schema makes of them. */
  readonly claims: Claims
  readonly issuer: string | undefined
  readonly subject: string | undefined
  readonly audience: ReadonlyArray<string>
  readonly expiresAt: number | undefined
  readonly notBefore: number | undefined
  readonly issuedAt: number | undefined
  readonly jwtId: string | undefined
  readonly header: Schema.JsonObject
}

/**
 * A token that is verified, and by whose key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verified<Claims> extends Token<Claims> {
  readonly key: ResolvedKey
}

/**
 * A token whose MAC is verified, and with which secret.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifiedMac<Claims> extends Token<Claims> {
  readonly mac: Mac.Service
}

// ---------------------------------------------------------------------------
// signing
// ---------------------------------------------------------------------------

const registered = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"]

const misconfigured = (field: string, problem: string) =>
  Effect.fail(InvalidConfiguration.of({ operation: "sign", field, problem }))

/** Where a schema refuses claims: paths, never values. */
const pathsOf = ({ issue }: Schema.SchemaError): string => {
  const paths = formatIssue(issue).issues.map(({ path }) =>
    (path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".")
  )
  return [...new Set(paths)].map((path) => (path === "" ? "the claims" : path)).join(", ")
}

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()

const encodeClaims = <Claims>(claims: Claims, schema: ClaimsSchema<Claims> | undefined) =>
  schema === undefined
    ? Effect.succeed<unknown>(claims)
    : Effect.catch(Schema.encodeEffect(schema)(claims), (error) =>
        misconfigured("claims", `the schema refuses ${pathsOf(error)}`)
      )

/** NumericDate: whole seconds (RFC 7519 section 2). */
const inSeconds = (millis: number) => Math.floor(millis / 1000)

const isText = (value: unknown) => typeof value === "string" && value !== ""

/** A NumericDate from now; NaN where there is no finite one. */
const fromNow = (input: Duration.Input, now: number): number => {
  const seconds = inSeconds(
    now + Option.match(Duration.fromInput(input), { onNone: () => NaN, onSome: Duration.toMillis })
  )
  return Number.isSafeInteger(seconds) ? seconds : NaN
}

const registeredClaims = (options: Registered, now: number) => {
  const { audience, expiresIn, issuer, jwtId, notBefore, subject } = options
  return {
    iss: issuer,
    sub: subject,
    aud: audience,
    iat: options.issuedAt === false ? undefined : inSeconds(now),
    nbf: notBefore === undefined ? undefined : fromNow(notBefore, now),
    exp: expiresIn === "never" ? undefined : fromNow(expiresIn, now),
    jti: jwtId === true ? Base64Url.encode(primitives.randomBytes(16)) : jwtId === false ? undefined : jwtId
  }
}

const problemOf = ({ audience, issuer, jwtId, subject }: Registered) => {
  const texts = { issuer, subject, jwtId: typeof jwtId === "boolean" ? undefined : jwtId }
  const wrong = Object.entries(texts).find(([, value]) => value !== undefined && !isText(value))
  if (wrong !== undefined) return misconfigured(wrong[0], "must be text, and not empty")
  const audiences = typeof audience === "string" ? [audience] : audience
  return audiences !== undefined && (audiences.length === 0 || !audiences.every(isText))
    ? misconfigured("audience", "must name at least one, none of them empty")
    : undefined
}

const utf8 = new TextEncoder()

const jsonOf = (claims: object): string | undefined => {
  try {
    return JSON.stringify(claims)
  } catch {
    return undefined // a bigint, a cycle
  }
}

const payloadOf = <Claims>(
  claims: Claims,
  options: Registered & { readonly schema?: ClaimsSchema<Claims> | undefined }
): Effect.Effect<Uint8Array, InvalidConfiguration> => {
  const problem = problemOf(options)
  if (problem !== undefined) return problem
  return Effect.clockWith((clock) =>
    Effect.flatMap(encodeClaims(claims, options.schema), (encoded) => {
      if (!StrictJson.isRecord(encoded)) return misconfigured("claims", "must be an object")
      // Its answer would be written instead, with another issuer and expiry
      if (typeof encoded["toJSON"] === "function") return misconfigured("claims", "must not have a function toJSON")
      const taken = registered.find((name) => encoded[name] !== undefined)
      if (taken !== undefined) return misconfigured("claims", `"${taken}" is not set here; it has an option of its own`)
      const all = { ...registeredClaims(options, clock.currentTimeMillisUnsafe()), ...encoded }
      if (Number.isNaN(all.exp)) {
        return misconfigured("expiresIn", `must be a finite time, as "5 minutes"; or "never"`)
      }
      if (Number.isNaN(all.nbf)) return misconfigured("notBefore", `must be a finite time, as "5 minutes"`)
      const text = jsonOf(all)
      return text === undefined
        ? misconfigured("claims", "cannot be written as JSON")
        : Effect.succeed(utf8.encode(text))
    })
  )
}

/**
 * Signs a token.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where the claims do not encode, or set a
 * registered claim that has an option.
 *
 * @category signing
 * @since 0.1.0
 */
export const sign = <Claims extends object = Schema.JsonObject>(
  claims: Claims,
  options: SignOptions<Claims>
): Effect.Effect<string, SignerError, Signer> =>
  Effect.flatMap(payloadOf(claims, options), (payload) => Jws.sign(payload, jwsOptions(options)))

const jwsOptions = (options: Jws.SignOptions): Jws.SignOptions => ({
  typ: options.typ ?? "JWT",
  kid: options.kid,
  ed25519: options.ed25519,
  header: options.header,
  critical: options.critical,
  purpose: options.purpose
})

/**
 * Writes a token with a MAC: for two parties that share a secret.
 *
 * @category shared secrets
 * @since 0.1.0
 */
export const signMac = <Claims extends object = Schema.JsonObject>(
  claims: Claims,
  mac: Mac.Service,
  options: SignMacOptions<Claims>
): Effect.Effect<string, InvalidConfiguration> =>
  Effect.flatMap(payloadOf(claims, options), (payload) => Jws.signMac(payload, mac, jwsOptions(options)))

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

const defaultMaxLength = 65_536

const refuse = (reason: JwtReason, claim?: string): never => {
  throw new JwtInvalid(claim === undefined ? { reason } : { reason, claim })
}

/** Runs a check: what it refused is a typed failure, anything else is a bug. */
const attempt = <A>(read: () => A): Effect.Effect<A, JwtInvalid | JwsInvalid> => {
  try {
    return Effect.succeed(read())
  } catch (error) {
    if (error instanceof JwtInvalid || error instanceof JwsInvalid) return Effect.fail(error)
    throw error
  }
}

const textClaim = (claims: StrictJson.JsonRecord, name: string): string | undefined => {
  const value = claims[name]
  return value === undefined || typeof value === "string" ? value : refuse("MalformedClaim", name)
}

/** A NumericDate, in milliseconds. */
const timeClaim = (claims: StrictJson.JsonRecord, name: string): number | undefined => {
  const value = claims[name]
  if (value === undefined) return undefined
  const millis = typeof value === "number" ? value * 1000 : NaN
  return Number.isFinite(millis) ? millis : refuse("MalformedClaim", name)
}

const audienceOf = ({ aud }: StrictJson.JsonRecord): ReadonlyArray<string> => {
  if (aud === undefined) return []
  if (typeof aud === "string") return [aud]
  return Array.isArray(aud) && aud.every((value) => typeof value === "string") ? aud : refuse("MalformedClaim", "aud")
}

const tokenOf = (claims: StrictJson.JsonRecord, header: StrictJson.JsonRecord): Token<StrictJson.JsonRecord> => ({
  claims,
  issuer: textClaim(claims, "iss"),
  subject: textClaim(claims, "sub"),
  audience: audienceOf(claims),
  expiresAt: timeClaim(claims, "exp"),
  notBefore: timeClaim(claims, "nbf"),
  issuedAt: timeClaim(claims, "iat"),
  jwtId: textClaim(claims, "jti"),
  header: header as Schema.JsonObject
})

const open = (token: string, options: Pick<Expected<never>, "typ" | "critical" | "maxLength">) => {
  const opened = openCompact(token, {
    typ: options.typ === any ? undefined : (options.typ ?? "JWT"),
    critical: options.critical,
    maxLength: options.maxLength ?? defaultMaxLength
  })
  // RFC 7797 section 7: a JWT must not use it
  if (!opened.header.isEncoded) throw new JwsInvalid({ reason: "HeaderInvalid", problem: "a JWT must not use b64" })
  let claims: unknown
  try {
    claims = StrictJson.parseBytes(opened.payload, "the claims")
  } catch (error) {
    if (error instanceof Malformed) throw new JwsInvalid({ reason: "Malformed", problem: error.message })
    throw error
  }
  if (!StrictJson.isRecord(claims))
    throw new JwsInvalid({ reason: "Malformed", problem: "the claims are not an object" })
  return { opened, token: tokenOf(claims, opened.header.protectedHeader) }
}

/** Whether one of the values is one of those expected. An expectation that is missing matches nothing. */
const isExpected = (expected: string | ReadonlyArray<string> | typeof any, values: ReadonlyArray<string>): boolean =>
  expected === any ||
  values.some((value) => (typeof expected === "string" ? expected === value : expected?.includes(value) === true))

/** Who: cheap, and before any key is looked up, so that no key of another issuer is. */
const checkParties = (token: Token<unknown>, options: Expected<never>): void => {
  const { audience, issuer, subject } = token
  if (options.issuer !== any && issuer === undefined) refuse("MissingClaim", "iss")
  if (!isExpected(options.issuer, issuer === undefined ? [] : [issuer])) refuse("WrongIssuer", "iss")
  if (options.audience !== any && audience.length === 0) refuse("MissingClaim", "aud")
  if (!isExpected(options.audience, audience)) refuse("WrongAudience", "aud")
  if (options.subject !== undefined && subject !== options.subject) {
    refuse(subject === undefined ? "MissingClaim" : "WrongSubject", "sub")
  }
}

const millisOf = (input: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(input))

/** When (RFC 7519 sections 4.1.4 to 4.1.6). */
const checkTimes = (token: Token<unknown>, options: Expected<never>, now: number): void => {
  const { expiresAt, issuedAt, notBefore } = token
  const skew = options.skew === undefined ? 60_000 : millisOf(options.skew)
  if (expiresAt === undefined && options.requireExpiry !== false) refuse("MissingClaim", "exp")
  if (expiresAt !== undefined && now >= expiresAt + skew) refuse("Expired", "exp")
  if (notBefore !== undefined && now < notBefore - skew) refuse("NotYetValid", "nbf")
  if (issuedAt !== undefined && now < issuedAt - skew) refuse("IssuedInFuture", "iat")
  if (options.maxAge !== undefined) {
    if (issuedAt === undefined) refuse("MissingClaim", "iat")
    else if (now > issuedAt + millisOf(options.maxAge) + skew) refuse("TooOld", "iat")
  }
}

const decoders = new WeakMap<object, (claims: unknown) => Effect.Effect<unknown, Schema.SchemaError>>()

/** The claims as the schema reads them. The decoder of a schema is made once. */
const decode = <Claims>(claims: StrictJson.JsonRecord, schema: ClaimsSchema<Claims> | undefined) => {
  if (schema === undefined) return Effect.succeed(claims as Claims)
  let decoder = decoders.get(schema)
  if (decoder === undefined) {
    decoder = Schema.decodeUnknownEffect(schema)
    decoders.set(schema, decoder)
  }
  return Effect.mapError(
    decoder(claims) as Effect.Effect<Claims, Schema.SchemaError>,
    (error) => new JwtInvalid({ reason: "ClaimsInvalid", claim: shownKeyId(pathsOf(error)) })
  )
}

type Opened = ReturnType<typeof open>

/** Everything but the signature, which `check` verifies in between: parties before, times and schema after. */
const verifyWith = <Claims, Checked, E>(
  token: string,
  options: Expected<Claims>,
  checkSignature: (opened: Opened) => Effect.Effect<Checked, E>
): Effect.Effect<readonly [Token<Claims>, Checked], E | JwtInvalid | JwsInvalid> =>
  Effect.clockWith((clock) =>
    Effect.flatMap(
      attempt(() => {
        const opened = open(token, options)
        checkParties(opened.token, options as Expected<never>)
        return opened
      }),
      (opened) =>
        Effect.flatMap(checkSignature(opened), (checked) =>
          Effect.flatMap(
            attempt(() => checkTimes(opened.token, options as Expected<never>, clock.currentTimeMillisUnsafe())),
            () =>
              Effect.map(
                decode(opened.token.claims, options.schema),
                (claims) => [{ ...opened.token, claims }, checked] as const
              )
          )
        )
    )
  )

/**
 * Verifies a token: its form, `typ`, issuer, audience, signature, times, and your
 * own claims, in this order.
 *
 * **Details**
 *
 * The `KeyResolver` is asked for a key of the token's issuer, which is one of those
 * expected: keys with another `owner` do not fit. Without `issuer` in the options
 * of a JavaScript caller nothing matches.
 *
 * **Gotchas**
 *
 * A key without an `owner` fits every issuer. Where several are expected, state the
 * `owner` of each key, or one issuer signs tokens of another.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verify = <Claims = Schema.JsonObject>(
  token: string,
  options: VerifyOptions<Claims>
): Effect.Effect<Verified<Claims>, VerifyError, KeyResolver> =>
  KeyResolver.use((resolver) =>
    Effect.map(
      verifyWith(token, options, ({ opened, token }) =>
        check(resolver, opened, { issuer: token.issuer, tenant: options.tenant, purpose: options.purpose })
      ),
      ([token, key]) => ({ ...token, key })
    )
  )

/**
 * Verifies a token with a MAC.
 *
 * @category shared secrets
 * @since 0.1.0
 */
export const verifyMac = <Claims = Schema.JsonObject>(
  token: string,
  macs: Mac.Service | ReadonlyArray<Mac.Service>,
  options: VerifyMacOptions<Claims>
): Effect.Effect<VerifiedMac<Claims>, JwtInvalid | JwsInvalid | KeyUnknown | KeyAmbiguous> =>
  Effect.map(
    verifyWith(token, options, ({ opened }) => checkMac(Array.isArray(macs) ? macs : [macs as Mac.Service], opened)),
    ([token, mac]) => ({ ...token, mac })
  )

/**
 * What a token says, **unverified**: anybody may have written it. For logs and
 * tools, never for a decision.
 *
 * @category reading
 * @since 0.1.0
 */
export const decodeUnverified = (token: string): Effect.Effect<Token<Schema.JsonObject>, JwtInvalid | JwsInvalid> =>
  attempt(() => open(token, { typ: any }).token as Token<Schema.JsonObject>)
