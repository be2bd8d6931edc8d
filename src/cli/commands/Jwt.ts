/**
 * `effect-signer jwt sign`, `effect-signer jwt verify` and `effect-signer jwt decode`
 *
 * @category internal
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Jwt from "../../protocols/Jwt.ts"
import { Malformed } from "../../schemas/Malformed.ts"
import * as StrictJson from "../../schemas/StrictJson.ts"
import { KeyResolver } from "../../services/KeyResolver.ts"
import { Signer } from "../../services/Signer.ts"
import * as DurationFlag from "../DurationFlag.ts"
import { fail, failure, ofSigner, plain, shownPath } from "../Failure.ts"
import * as Files from "../Files.ts"
import * as JoseKeys from "../JoseKeys.ts"
import * as Message from "../Message.ts"
import * as Output from "../Output.ts"

const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

const anything = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false), Flag.withoutNegation)

const claimsIn = Effect.fnUntraced(function* (path: string) {
  const { bytes } = yield* Files.readSmall(path)
  const claims = yield* Effect.try({
    try: () => StrictJson.parseBytes(bytes, "claims"),
    catch: (error) => {
      if (!(error instanceof Malformed)) throw error
      return failure(`${shownPath(path)}: ${error.problem}`, "MalformedClaims")
    }
  })
  return StrictJson.isRecord(claims)
    ? (claims as Schema.JsonObject)
    : yield* fail(`${shownPath(path)}: claims are a JSON object`)
})

const sign = Command.make(
  "sign",
  {
    ...JoseKeys.signFlags,
    claims: text("claims", "FILE", "Further claims: a JSON object, or - for standard input"),
    issuer: text("issuer", "TEXT", "Who issues the token (iss)"),
    audience: text("audience", "TEXT", "Who it is for (aud)"),
    subject: text("subject", "TEXT", "Whom it is about (sub)"),
    expiresIn: Flag.String("expires-in").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription(`How long it is valid: "5 minutes", "1 hour". Default: 5 minutes`),
      Flag.withDefault("5 minutes")
    ),
    notBefore: text("not-before", "TIME", "From when on it is valid, after now. Default: now"),
    jwtId: text("jwt-id", "TEXT", "The id of the token (jti). Default: 128 random bits"),
    typ: Flag.String("typ").pipe(
      Flag.withMetavar("TYPE"),
      Flag.withDescription("What kind of token it is. Default: JWT"),
      Flag.withDefault("JWT")
    )
  },
  Effect.fnUntraced(function* (flags) {
    const { audience, claims, ed25519, expiresIn, issuer, jwtId, kid, notBefore, subject, typ, ...source } = flags
    const claimsFile = Option.getOrElse(claims, () => "")
    const signer = yield* JoseKeys.openSigner(source, claimsFile)
    const token = yield* Jwt.sign(claimsFile === "" ? {} : yield* claimsIn(claimsFile), {
      issuer: Option.getOrUndefined(issuer),
      audience: Option.getOrUndefined(audience),
      subject: Option.getOrUndefined(subject),
      expiresIn: yield* DurationFlag.read("expires-in", expiresIn),
      notBefore: yield* DurationFlag.readOptional("not-before", notBefore),
      jwtId: Option.getOrElse(jwtId, () => true),
      typ,
      kid: Option.getOrUndefined(kid),
      ed25519: Option.getOrUndefined(ed25519)
    }).pipe(Effect.provideService(Signer, signer), Effect.mapError(ofSigner))
    for (const [flag, stated] of Object.entries({ issuer, audience })) {
      if (Option.isNone(stated)) {
        yield* Output.warn(`there is no --${flag}: jwt verify refuses the token unless it is told --any-${flag}`)
      }
    }
    yield* (yield* Output.Json) ? Output.print({ token, algorithm: signer.algorithm }) : Output.write(`${token}\n`)
  }, Effect.scoped)
).pipe(
  Command.withDescription("Sign a JSON Web Token."),
  Command.withShortDescription("Sign a JSON Web Token"),
  Command.withExamples([
    {
      command: "effect-signer jwt sign --key id.pem --issuer https://id.example --audience api --subject 7",
      description: "A token for five minutes"
    },
    {
      command: "effect-signer jwt sign --config id.json --issuer https://id.example --audience api --claims role.json",
      description: "A key of any backend, and claims of your own"
    }
  ])
)

const times = (token: Jwt.Token<unknown>) => ({
  issuedAt: isoOf(token.issuedAt),
  notBefore: isoOf(token.notBefore),
  expiresAt: isoOf(token.expiresAt)
})

/** A time as a person reads it; what is beyond the calendar is not shown. */
const isoOf = (millis: number | undefined): string | undefined =>
  millis === undefined || Math.abs(millis) > 8.64e15 ? undefined : new Date(millis).toISOString()

const report = (token: Jwt.Token<Schema.JsonObject>) => ({
  header: token.header,
  claims: token.claims,
  ...times(token)
})

const verify = Command.make(
  "verify",
  {
    token: Message.token,
    ...JoseKeys.verifyFlags,
    issuer: text("issuer", "TEXT", "Who must have issued the token (iss)"),
    anyIssuer: anything("any-issuer", "Accept any issuer, and none"),
    audience: text("audience", "TEXT", "Who it must be for (aud)"),
    anyAudience: anything("any-audience", "Accept any audience, and none"),
    subject: text("subject", "TEXT", "Whom it must be about (sub). Default: anybody"),
    typ: Flag.String("typ").pipe(
      Flag.withMetavar("TYPE"),
      Flag.withDescription("What kind of token it must be. Default: JWT"),
      Flag.withDefault("JWT")
    ),
    skew: text("skew", "TIME", "How far clocks may differ. Default: 60 seconds"),
    maxAge: text("max-age", "TIME", "How long ago it may have been issued. Default: until it expires")
  },
  Effect.fnUntraced(function* (flags) {
    const { anyAudience, anyIssuer, audience, issuer, maxAge, skew, subject, token: tokenFile, typ, ...source } = flags
    if (Option.isSome(issuer) === anyIssuer) return yield* fail("state --issuer TEXT or --any-issuer")
    if (Option.isSome(audience) === anyAudience) return yield* fail("state --audience TEXT or --any-audience")
    const resolver = yield* JoseKeys.openResolver(source, [Message.pathOf(tokenFile)])
    const token = yield* Effect.flatMap(Message.readToken(tokenFile), JoseKeys.tokenIn)
    const verified = yield* Jwt.verify(token, {
      issuer: Option.isSome(issuer) ? issuer.value : Jwt.any,
      audience: Option.isSome(audience) ? audience.value : Jwt.any,
      subject: Option.getOrUndefined(subject),
      typ,
      skew: yield* DurationFlag.readOptional("skew", skew),
      maxAge: yield* DurationFlag.readOptional("max-age", maxAge)
    }).pipe(Effect.provideService(KeyResolver, resolver), Effect.catch(JoseKeys.conclude))
    const { key } = verified
    yield* (yield* Output.Json)
      ? Output.print({ valid: true, algorithm: key.publicKey.algorithm, keyId: key.keyId, ...report(verified) })
      : Output.write("valid\n")
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Verify a JSON Web Token: its signature, and who issued it for whom and until when. Prints valid or invalid; exits " +
      "with 0 where it is valid, 1 where it is not, and 2 where that could not be found out."
  ),
  Command.withShortDescription("Verify a JSON Web Token"),
  Command.withExamples([
    {
      command: "effect-signer jwt verify --jwks jwks.json --issuer https://id.example --audience api token.jwt",
      description: "With the keys that the issuer publishes"
    }
  ])
)

const decode = Command.make(
  "decode",
  { token: Message.token },
  Effect.fnUntraced(function* ({ token: tokenFile }) {
    const token = yield* Effect.flatMap(Message.readToken(tokenFile), JoseKeys.tokenIn)
    const decoded = yield* Effect.mapError(Jwt.decodeUnverified(token), (error) =>
      failure(plain(error.message), error._tag)
    )
    yield* Output.print({ verified: false, ...report(decoded) })
  })
).pipe(
  Command.withDescription("Show what a JSON Web Token says. Nothing is verified: anybody may have written it."),
  Command.withShortDescription("Show what a token says, unverified"),
  Command.withExamples([{ command: "effect-signer jwt decode token.jwt --json", description: "Header and claims" }])
)

/** JSON Web Tokens. */
export const jwt = Command.make("jwt").pipe(
  Command.withDescription("Sign, verify and look into JSON Web Tokens (RFC 7519)."),
  Command.withShortDescription("JSON Web Tokens"),
  Command.withSubcommands([sign, verify, decode])
)
