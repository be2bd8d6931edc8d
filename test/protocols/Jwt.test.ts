import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { PrivateKey, type SignerError } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as Jws from "../../src/protocols/Jws.ts"
import * as Jwt from "../../src/protocols/Jwt.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Mac from "../../src/services/Mac.ts"
import * as Signer from "../../src/services/Signer.ts"

const own = KeyResolver.layerSigner().pipe(Layer.provideMerge(LocalSigner.layerGenerated("ES256")))
const withOwn = <A, E>(effect: Effect.Effect<A, E, Signer.Signer | KeyResolver.KeyResolver>) =>
  Effect.provide(effect, own)

const issuer = "https://id.example"
const audience = "api"
const registered = { issuer, audience, expiresIn: "5 minutes" } as const
const expected = { issuer, audience } as const

const reasonOf = <A, R>(effect: Effect.Effect<A, Jwt.VerifyError, R>) =>
  Effect.map(Effect.flip(effect), (error) =>
    error._tag === "JwtInvalid"
      ? `${error.reason} ${error.claim ?? ""}`.trim()
      : error._tag === "JwsInvalid"
        ? error.reason
        : error._tag
  )

const fieldOf = <A, R>(effect: Effect.Effect<A, SignerError.SignerError, R>) =>
  Effect.map(Effect.flip(effect), (error) => (error._tag === "InvalidConfiguration" ? error.field : error._tag))

/** A token with any claims, properly signed. */
const signed = (claims: unknown, typ: string | undefined = "JWT") =>
  Jws.sign(new TextEncoder().encode(typeof claims === "string" ? claims : JSON.stringify(claims)), { typ })

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString())

describe("sign", () => {
  it.effect("writes the registered claims by the clock, and custom ones after them", () =>
    withOwn(
      Effect.gen(function* () {
        yield* TestClock.setTime(1_000_999)
        const token = yield* Jwt.sign(
          { role: "reader" },
          { ...registered, subject: "7", notBefore: "10 seconds", jwtId: "j" }
        )
        assert.deepStrictEqual(Object.entries(claimsOf(token)), [
          ["iss", issuer],
          ["sub", "7"],
          ["aud", "api"],
          ["iat", 1000],
          ["nbf", 1010],
          ["exp", 1300],
          ["jti", "j"],
          ["role", "reader"]
        ])
      })
    )
  )

  it.effect("jwtId true is random, issuedAt false writes none, several audiences are a list", () =>
    withOwn(
      Effect.gen(function* () {
        const options = { ...registered, jwtId: true, issuedAt: false, audience: ["a", "b"] }
        const [a, b] = [claimsOf(yield* Jwt.sign({}, options)), claimsOf(yield* Jwt.sign({}, options))]
        assert.match(a.jti, /^[\w-]{22}$/)
        assert.notStrictEqual(a.jti, b.jti)
        assert.deepStrictEqual([a.aud, "iat" in a], [["a", "b"], false])
      })
    )
  )

  it.effect("refuses claims and options that are wrong", () =>
    withOwn(
      Effect.gen(function* () {
        for (const name of ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"]) {
          assert.strictEqual(yield* fieldOf(Jwt.sign({ [name]: 1 }, registered)), "claims")
        }
        assert.strictEqual(yield* fieldOf(Jwt.sign([] as never, registered)), "claims")
        assert.strictEqual(yield* fieldOf(Jwt.sign({ n: 1n } as never, registered)), "claims")
        assert.strictEqual(yield* fieldOf(Jwt.sign({}, { ...registered, issuer: "" })), "issuer")
        assert.strictEqual(yield* fieldOf(Jwt.sign({}, { ...registered, audience: [] })), "audience")
        assert.strictEqual(yield* fieldOf(Jwt.sign({}, { ...registered, audience: ["a", ""] })), "audience")
        assert.strictEqual(yield* fieldOf(Jwt.sign({}, { ...registered, subject: "" })), "subject")
        assert.strictEqual(yield* fieldOf(Jwt.sign({}, { ...registered, expiresIn: Duration.infinity })), "expiresIn")
        assert.strictEqual(yield* fieldOf(Jwt.sign({}, { ...registered, notBefore: Duration.infinity })), "notBefore")
        for (const expiresIn of [undefined, "soon", null]) {
          assert.strictEqual(yield* fieldOf(Jwt.sign({}, { ...registered, expiresIn } as never)), "expiresIn")
        }
        assert.strictEqual(yield* fieldOf(Jwt.sign({}, { ...registered, notBefore: "5 minuts" } as never)), "notBefore")
        // it would take the place of the issuer and of the expiry
        const disguised = { toJSON: () => ({ iss: "other", exp: 9_999_999_999 }) }
        assert.strictEqual(yield* fieldOf(Jwt.sign(disguised as never, registered)), "claims")
        assert.strictEqual(yield* fieldOf(Jwt.sign({}, { ...registered, header: { alg: "none" } })), "header")
      })
    )
  )
})

describe("verify", () => {
  it.effect("gives back what was signed, and whose key it was", () =>
    withOwn(
      Effect.gen(function* () {
        yield* TestClock.setTime(1_000_000)
        const token = yield* Jwt.sign({ role: "reader" }, { ...registered, subject: "7", jwtId: "j" })
        const { key, ...verified } = yield* Jwt.verify(token, expected)
        assert.strictEqual(verified.header["kid"], key.keyId)
        const { claims, header: _, ...rest } = verified
        assert.strictEqual(claims["role"], "reader")
        assert.deepStrictEqual(rest, {
          issuer,
          subject: "7",
          audience: ["api"],
          expiresAt: 1_300_000,
          notBefore: undefined,
          issuedAt: 1_000_000,
          jwtId: "j"
        })
      })
    )
  )

  it.effect("reads claims with a schema, and says where it refuses them, not what they are", () =>
    withOwn(
      Effect.gen(function* () {
        const Claims = Schema.Struct({
          role: Schema.Literals(["reader", "writer"]),
          since: Schema.DateTimeUtcFromString,
          nested: Schema.Struct({ n: Schema.Int })
        })
        const claims = { role: "reader" as const, since: DateTime.makeUnsafe(0), nested: { n: 1 } }
        const token = yield* Jwt.sign(claims, { ...registered, schema: Claims })
        assert.strictEqual(claimsOf(token).since, "1970-01-01T00:00:00.000Z")
        assert.deepStrictEqual((yield* Jwt.verify(token, { ...expected, schema: Claims })).claims, claims)
        const wrong = yield* signed({ iss: issuer, aud: audience, exp: 9, role: "s3cretrole", since: "x", nested: {} })
        const error = yield* Effect.flip(Jwt.verify(wrong, { ...expected, schema: Claims }))
        assert.include(error.message, "ClaimsInvalid")
        assert.include(error.message, "role")
        assert.notInclude(error.message, "s3cretrole")
        // also the name of a claim is the sender's text
        const named = yield* signed({ iss: issuer, aud: audience, exp: 9, [`\u001b[2J${"x".repeat(500)}`]: "x" })
        const Numbers = Schema.Record(Schema.String, Schema.Union([Schema.Int, Schema.Literals([issuer, audience])]))
        const hostile = yield* Effect.flip(Jwt.verify(named, { ...expected, schema: Numbers }))
        assert.include(hostile.message, "ClaimsInvalid")
        assert.notInclude(hostile.message, "\u001b")
        assert.isBelow(hostile.message.length, 300)
        const unencodable = yield* Effect.flip(
          Jwt.sign({ ...claims, nested: { n: 0.5 } }, { ...registered, schema: Claims })
        )
        assert.include(unencodable.message, "nested.n")
      })
    )
  )

  it.effect("lets clocks differ by 60 seconds, to the millisecond", () =>
    withOwn(
      Effect.gen(function* () {
        const token = yield* signed({ iss: issuer, aud: audience, iat: 1000, nbf: 1000, exp: 1100 })
        const at = (millis: number, options = {}) =>
          Effect.andThen(
            TestClock.setTime(millis),
            Effect.match(Jwt.verify(token, { ...expected, ...options }), {
              onSuccess: () => "valid",
              onFailure: (error) => ("reason" in error ? error.reason : error._tag)
            })
          )
        assert.strictEqual(yield* at(939_999), "NotYetValid")
        assert.strictEqual(yield* at(940_000), "valid")
        assert.strictEqual(yield* at(1_159_999), "valid")
        assert.strictEqual(yield* at(1_160_000), "Expired")
        assert.strictEqual(yield* at(1_099_999, { skew: 0 }), "valid")
        assert.strictEqual(yield* at(1_100_000, { skew: 0 }), "Expired")
        assert.strictEqual(yield* at(1_040_000, { skew: 0, maxAge: "40 seconds" }), "valid")
        assert.strictEqual(yield* at(1_040_001, { skew: 0, maxAge: "40 seconds" }), "TooOld")
        assert.strictEqual(yield* at(1_100_000, { maxAge: "40 seconds" }), "valid")
        assert.strictEqual(yield* at(1_100_001, { maxAge: "40 seconds" }), "TooOld")
      })
    )
  )

  it.effect("requires issuer, audience, expiry and typ, unless it is said otherwise", () =>
    withOwn(
      Effect.gen(function* () {
        const claims = { iss: issuer, aud: audience, exp: 100 }
        const reason = (claims: unknown, options: Partial<Jwt.VerifyOptions> = {}, typ = "JWT") =>
          Effect.flatMap(signed(claims, typ), (token) => reasonOf(Jwt.verify(token, { ...expected, ...options })))
        assert.strictEqual(yield* reason({ ...claims, iss: undefined }), "MissingClaim iss")
        assert.strictEqual(yield* reason({ ...claims, aud: undefined }), "MissingClaim aud")
        assert.strictEqual(yield* reason({ ...claims, aud: [] }), "MissingClaim aud")
        assert.strictEqual(yield* reason({ ...claims, exp: undefined }), "MissingClaim exp")
        assert.strictEqual(yield* reason(claims, { maxAge: "1 minute" }), "MissingClaim iat")
        assert.strictEqual(yield* reason(claims, { subject: "7" }), "MissingClaim sub")
        assert.strictEqual(yield* reason({ ...claims, sub: "8" }, { subject: "7" }), "WrongSubject sub")
        assert.strictEqual(yield* reason({ ...claims, iss: "https://evil.example" }), "WrongIssuer iss")
        assert.strictEqual(yield* reason({ ...claims, aud: ["other"] }), "WrongAudience aud")
        assert.strictEqual(yield* reason({ ...claims, aud: "ap" }), "WrongAudience aud")
        assert.strictEqual(yield* reason(claims, { issuer: undefined } as never), "WrongIssuer iss")
        assert.strictEqual(yield* reason(claims, { audience: undefined } as never), "WrongAudience aud")
        assert.strictEqual(yield* reason({ ...claims, iat: 61 }), "IssuedInFuture iat")
        assert.strictEqual(yield* reason(claims, {}, "at+jwt"), "WrongType")
        assert.strictEqual(yield* reason(claims, { typ: "at+jwt" }), "WrongType")
        for (const [name, value] of [
          ["iss", 1],
          ["sub", {}],
          ["aud", [1]],
          ["aud", { a: 1 }],
          ["exp", "100"],
          ["exp", null],
          ["nbf", true],
          ["iat", []],
          ["jti", 7]
        ] as const) {
          assert.strictEqual(yield* reason({ ...claims, [name]: value }), `MalformedClaim ${name}`)
        }
        const bare = yield* Jws.sign(new TextEncoder().encode("{}"))
        yield* Jwt.verify(bare, { issuer: Jwt.any, audience: Jwt.any, typ: Jwt.any, requireExpiry: false })
        const many = yield* signed({ ...claims, aud: ["x", "api"] })
        yield* Jwt.verify(many, { issuer: ["a", issuer], audience: ["api", "api2"], typ: "application/jwt" })
      })
    )
  )

  it.effect("refuses claims that are no JSON object, or have a member twice, or a number that is none", () =>
    withOwn(
      Effect.gen(function* () {
        const twice = `{"iss":"${issuer}","aud":"api","exp":100,"exp":100}`
        for (const payload of ["", "[]", `"x"`, "null", "{", `\uFEFF{}`, twice, `{"a":{"b":1,"b":1}}`]) {
          assert.strictEqual(yield* reasonOf(Jwt.verify(yield* signed(payload), expected)), "Malformed")
        }
        const infinite = yield* signed(`{"iss":"${issuer}","aud":"api","exp":1e999}`)
        assert.strictEqual(yield* reasonOf(Jwt.verify(infinite, expected)), "MalformedClaim exp")
        // in milliseconds it would be infinite, and expire never
        const endless = yield* signed(`{"iss":"${issuer}","aud":"api","exp":1e306}`)
        assert.strictEqual(yield* reasonOf(Jwt.verify(endless, expected)), "MalformedClaim exp")
        const long = yield* signed({ iss: issuer, aud: audience, exp: 1, x: "x".repeat(65_536) })
        assert.strictEqual(yield* reasonOf(Jwt.verify(long, expected)), "TooLarge")
        assert.strictEqual(yield* reasonOf(Jwt.verify(long, { ...expected, maxLength: Number.NaN })), "TooLarge")
        const unencoded = yield* Jws.sign(new TextEncoder().encode(`{"aud":"api"}`), { unencoded: true, typ: "JWT" })
        assert.strictEqual(yield* reasonOf(Jwt.verify(unencoded, expected)), "HeaderInvalid")
      })
    )
  )

  it.effect("looks for no key of another issuer than the token's", () =>
    Effect.gen(function* () {
      const [acme, globex] = [
        yield* LocalSigner.make({ privateKey: PrivateKey.generate("Ed25519") }),
        yield* LocalSigner.make({ privateKey: PrivateKey.generate("Ed25519") })
      ]
      const resolver = KeyResolver.fromSigners([
        { signer: acme, owner: "https://acme.example" },
        { signer: globex, owner: "https://globex.example" }
      ])
      const sign = (signer: Signer.Service, iss: string) =>
        Effect.provideService(Jwt.sign({}, { ...registered, issuer: iss }), Signer.Signer, signer)
      const verify = (token: string) =>
        Effect.provideService(
          Jwt.verify(token, { issuer: ["https://acme.example", "https://globex.example"], audience }),
          KeyResolver.KeyResolver,
          resolver
        )
      const { key } = yield* verify(yield* sign(acme, "https://acme.example"))
      assert.strictEqual(key.owner, "https://acme.example")
      const forged = yield* sign(globex, "https://acme.example")
      assert.strictEqual(yield* reasonOf(verify(forged)), "KeyUnknown")
    })
  )
})

describe("shared secrets", () => {
  it.effect("sign and verify", () =>
    Effect.gen(function* () {
      const [mac, other] = [yield* Mac.generate("HS256"), yield* Mac.generate("HS256")]
      const token = yield* Jwt.signMac({ role: "reader" }, mac, registered)
      const verified = yield* Jwt.verifyMac(token, mac, expected)
      assert.deepStrictEqual([verified.claims["role"], verified.mac], ["reader", mac])
      assert.strictEqual(yield* reasonOf(Jwt.verifyMac(token, other, expected)), "SignatureInvalid")
      yield* TestClock.adjust("6 minutes")
      assert.strictEqual(yield* reasonOf(Jwt.verifyMac(token, mac, expected)), "Expired exp")
    })
  )
})

describe("decodeUnverified", () => {
  it.effect("reads what no signature vouches for", () =>
    withOwn(
      Effect.gen(function* () {
        const token = yield* Jwt.sign({ role: "reader" }, { ...registered, issuer: "https://evil.example" })
        const forged = `${token.slice(0, token.lastIndexOf(".") + 1)}AAAA`
        const { claims, header, issuer } = yield* Jwt.decodeUnverified(forged)
        assert.deepStrictEqual([claims["role"], header["alg"], issuer], ["reader", "ES256", "https://evil.example"])
        assert.strictEqual(yield* reasonOf(Jwt.decodeUnverified("x.y")), "Malformed")
      })
    )
  )
})
