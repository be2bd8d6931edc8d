/**
 * `jose` and ours on the same tokens: each verifies what the other signs. Where
 * ours refuses what jose accepts, a test says why.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as jose from "jose"
import { PrivateKey, PublicKey, SignatureAlgorithm } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as Jws from "../../src/protocols/Jws.ts"
import * as Jwt from "../../src/protocols/Jwt.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Mac from "../../src/services/Mac.ts"
import * as Signer from "../../src/services/Signer.ts"
import { testRsaKey } from "../../src/testing/TestKey.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)
const promise = <A>(evaluate: () => Promise<A>) => Effect.tryPromise({ try: evaluate, catch: (error) => error as Error })
const accepts = (evaluate: () => Promise<unknown>) =>
  Effect.match(promise(evaluate), { onFailure: () => false, onSuccess: () => true })

/** ES256K has no WebCrypto, which is all that jose has. */
const withoutJose: ReadonlyArray<SignatureAlgorithm.SignatureAlgorithm> = ["ES256K"]

const algorithms = SignatureAlgorithm.all.filter(
  (algorithm) => SignatureAlgorithm.facts[algorithm].jose !== undefined && !withoutJose.includes(algorithm)
)

const nameOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm) => SignatureAlgorithm.facts[algorithm].jose!

const setup = Effect.fnUntraced(function* (algorithm: SignatureAlgorithm.SignatureAlgorithm) {
  const isRsa = SignatureAlgorithm.facts[algorithm].keyType === "RSA"
  const privateKey = isRsa
    ? yield* PrivateKey.fromJwk(testRsaKey, { algorithm })
    : yield* PrivateKey.generate(algorithm)
  const signer = yield* LocalSigner.make({ privateKey, algorithm })
  const publicKey = yield* signer.publicKey()
  const kid = PublicKey.thumbprint(publicKey)
  const resolver = yield* KeyResolver.fromJwks({ keys: [PublicKey.toJwk(publicKey, { kid })] })
  const theirSecret = yield* promise(() =>
    jose.importJWK(Redacted.value(PrivateKey.toJwk(privateKey)) as jose.JWK, nameOf(algorithm))
  )
  const theirPublic = yield* promise(() => jose.importJWK(PublicKey.toJwk(publicKey) as jose.JWK, nameOf(algorithm)))
  const provide = <A, E>(effect: Effect.Effect<A, E, Signer.Signer | KeyResolver.KeyResolver>) =>
    effect.pipe(
      Effect.provideService(Signer.Signer, signer),
      Effect.provideService(KeyResolver.KeyResolver, resolver)
    )
  return { kid, provide, publicKey, signer, theirPublic, theirSecret }
})

const payloads = [new Uint8Array(0), utf8("hello"), Uint8Array.from({ length: 1000 }, (_, i) => i)]

describe.each(algorithms)("%s", (algorithm) => {
  const names = algorithm === "Ed25519" ? ["EdDSA", "Ed25519"] : [nameOf(algorithm)]

  it.live("jose verifies what we sign, in all forms", () =>
    Effect.gen(function* () {
      const { provide, signer, theirPublic } = yield* setup(algorithm)
      for (const payload of payloads) {
        for (const ed25519 of ["EdDSA", "Ed25519"] as const) {
          const compact = yield* provide(Jws.sign(payload, { ed25519 }))
          assert.deepStrictEqual((yield* promise(() => jose.compactVerify(compact, theirPublic))).payload, payload)
        }
        const flattened = yield* provide(Jws.signFlattened(payload, { unprotected: { note: "x" } }))
        yield* promise(() => jose.flattenedVerify(flattened as jose.FlattenedJWSInput, theirPublic))
        const general = yield* Jws.signGeneral(payload, [{ signer }, { signer }])
        yield* promise(() => jose.generalVerify(general as unknown as jose.GeneralJWSInput, theirPublic))
      }
      const text = utf8("$.02")
      const unencoded = yield* provide(Jws.signFlattened(text, { unencoded: true }))
      yield* promise(() => jose.flattenedVerify(unencoded as jose.FlattenedJWSInput, theirPublic))
      const detached = yield* provide(Jws.signFlattened(text, { unencoded: true, detached: true }))
      yield* promise(() => jose.flattenedVerify({ ...detached, payload: text } as jose.FlattenedJWSInput, theirPublic))
    })
  )

  it.live("we verify what jose signs, in all forms", () =>
    Effect.gen(function* () {
      const { kid, provide, theirSecret } = yield* setup(algorithm)
      for (const alg of names) {
        for (const payload of payloads) {
          for (const header of [{ alg }, { alg, kid, typ: "x" }]) {
            const compact = yield* promise(() =>
              new jose.CompactSign(payload).setProtectedHeader(header).sign(theirSecret)
            )
            assert.deepStrictEqual((yield* provide(Jws.verify(compact))).payload, payload)
          }
          const flattened = yield* promise(() =>
            new jose.FlattenedSign(payload)
              .setProtectedHeader({ alg })
              .setUnprotectedHeader({ kid })
              .sign(theirSecret)
          )
          yield* provide(Jws.verifyFlattened(JSON.stringify(flattened)))
          const general = yield* promise(() =>
            new jose.GeneralSign(payload)
              .addSignature(theirSecret)
              .setProtectedHeader({ alg })
              .addSignature(theirSecret)
              .setProtectedHeader({ alg, kid })
              .sign()
          )
          yield* provide(Jws.verifyGeneral(JSON.stringify(general)))
        }
        const unencoded = yield* promise(() =>
          new jose.FlattenedSign(utf8("$.02"))
            .setProtectedHeader({ alg, b64: false, crit: ["b64"] })
            .sign(theirSecret)
        )
        yield* provide(Jws.verifyFlattened({ ...unencoded, payload: "$.02" } as Jws.FlattenedJws))
      }
    })
  )

  it.live("tokens pass in both directions", () =>
    Effect.gen(function* () {
      const { kid, provide, theirPublic, theirSecret } = yield* setup(algorithm)
      const [issuer, audience] = ["https://id.example", "api"]
      const ours = yield* provide(
        Jwt.sign({ role: "reader" }, { issuer, audience, expiresIn: "5 minutes", subject: "7", jwtId: true })
      )
      const read = yield* promise(() =>
        jose.jwtVerify(ours, theirPublic, { issuer, audience, typ: "JWT", maxTokenAge: "1m", requiredClaims: ["exp"] })
      )
      assert.deepStrictEqual([read.payload["role"], read.payload.sub], ["reader", "7"])
      for (const alg of names) {
        const theirs = yield* promise(() =>
          new jose.SignJWT({ role: "reader" })
            .setProtectedHeader({ alg, kid, typ: "JWT" })
            .setIssuer(issuer!)
            .setAudience([audience!, "other"])
            .setIssuedAt()
            .setNotBefore("0s")
            .setExpirationTime("5m")
            .sign(theirSecret)
        )
        assert.strictEqual((yield* provide(Jwt.verify(theirs, { issuer, audience }))).claims["role"], "reader")
      }
    })
  )

  it.live("the thumbprint and the JWK are the same", () =>
    Effect.gen(function* () {
      const { kid, publicKey } = yield* setup(algorithm)
      const jwk = PublicKey.toJwk(publicKey) as jose.JWK
      assert.strictEqual(yield* promise(() => jose.calculateJwkThumbprint(jwk)), kid)
    })
  )
})

describe.each(["HS256", "HS384", "HS512"] as const)("%s", (algorithm) => {
  it.live("passes in both directions", () =>
    Effect.gen(function* () {
      const secret = Uint8Array.from({ length: 64 }, (_, i) => i)
      const mac = yield* Mac.make({ algorithm, secret: Redacted.make(secret) })
      const ours = yield* Jws.signMac(utf8("hello"), mac)
      yield* promise(() => jose.compactVerify(ours, secret))
      const theirs = yield* promise(() =>
        new jose.CompactSign(utf8("hello")).setProtectedHeader({ alg: algorithm }).sign(secret)
      )
      yield* Jws.verifyMac(theirs, mac)
    })
  )
})

it.live.each(algorithms)("jose finds the key of our token in our JWK Set, without any option: %s", (algorithm) =>
  Effect.gen(function* () {
    const { kid, provide, publicKey } = yield* setup(algorithm)
    const jwks = { keys: [PublicKey.toJwk(publicKey, { kid })] } as jose.JSONWebKeySet
    const token = yield* provide(Jwt.sign({}, { issuer: "i", audience: "a", expiresIn: "5 minutes" }))
    const { payload } = yield* promise(() => jose.jwtVerify(token, jose.createLocalJWKSet(jwks)))
    assert.strictEqual(payload.iss, "i")
  })
)

it.live("jose finds the key of our token in our JWK Set, where both write Ed25519 in one way", () =>
  Effect.gen(function* () {
    const { kid, provide, publicKey } = yield* setup("Ed25519")
    for (const ed25519 of ["EdDSA", "Ed25519"] as const) {
      const jwks = { keys: [PublicKey.toJwk(publicKey, { kid, ed25519 })] } as jose.JSONWebKeySet
      const verify = (token: string) => accepts(() => jose.compactVerify(token, jose.createLocalJWKSet(jwks)))
      assert.isTrue(yield* verify(yield* provide(Jws.sign(utf8("x"), { ed25519 }))))
      const other = ed25519 === "EdDSA" ? "Ed25519" : "EdDSA"
      assert.isFalse(yield* verify(yield* provide(Jws.sign(utf8("x"), { ed25519: other }))))
    }
  })
)

describe("what jose accepts and we refuse", () => {
  const cases: ReadonlyArray<{
    readonly why: string
    /** From a token by jose with the header `{"alg":"EdDSA"}`, one that jose takes, too. */
    readonly change: (sign: (header: string, payload: string) => Promise<string>) => Promise<string>
  }> = [
    {
      why: "a header with a member twice: another reader takes the other one (RFC 7515 section 4)",
      change: (sign) => sign(`{"alg":"EdDSA","x":1,"x":2}`, "hello")
    },
    {
      why: "a critical parameter that the header names with a member twice",
      change: (sign) => sign(`{"alg":"EdDSA","typ":"a","typ":"b"}`, "hello")
    },
    {
      why: "a kid that names no key: the one key that is there is not the one that was named",
      change: (sign) => sign(`{"alg":"EdDSA","kid":"nobody"}`, "hello")
    },
    {
      why: "padding after the signature: a token has one text (RFC 7515 section 2)",
      change: async (sign) => `${await sign(`{"alg":"EdDSA"}`, "hello")}==`
    },
    {
      why: "whitespace in the signature: a token has one text (RFC 7515 section 2)",
      change: async (sign) => {
        const token = await sign(`{"alg":"EdDSA"}`, "hello")
        return `${token.slice(0, -4)} ${token.slice(-4)}`
      }
    }
  ]

  it.live.each(cases)("$why", ({ change }) =>
    Effect.gen(function* () {
      const { provide, signer, theirPublic } = yield* setup("Ed25519")
      const token = yield* promise(() =>
        change(async (header, payload) => {
          const input = [header, payload].map((text) => Buffer.from(text).toString("base64url")).join(".")
          const { bytes } = await Effect.runPromise(signer.sign(utf8(input)))
          return `${input}.${Buffer.from(bytes).toString("base64url")}`
        })
      )
      assert.isTrue(yield* accepts(() => jose.compactVerify(token, theirPublic)))
      const error = yield* Effect.flip(provide(Jws.verify(token)))
      assert.oneOf(error._tag, ["JwsInvalid", "KeyUnknown"])
    })
  )

  it.live("a token without exp, iss or aud: required here by default", () =>
    Effect.gen(function* () {
      const { provide, theirPublic, theirSecret } = yield* setup("Ed25519")
      const token = yield* promise(() =>
        new jose.SignJWT({}).setProtectedHeader({ alg: "EdDSA", typ: "JWT" }).sign(theirSecret)
      )
      assert.isTrue(yield* accepts(() => jose.jwtVerify(token, theirPublic)))
      const error = yield* Effect.flip(provide(Jwt.verify(token, { issuer: "i", audience: "a" })))
      assert.strictEqual(error._tag, "JwtInvalid")
    })
  )

  it.live("a JWK Set with a kid twice, or a symmetric key in it", () =>
    Effect.gen(function* () {
      const { kid, publicKey, theirSecret } = yield* setup("Ed25519")
      const jwk = PublicKey.toJwk(publicKey, { kid })
      const token = yield* promise(() =>
        new jose.CompactSign(utf8("x")).setProtectedHeader({ alg: "EdDSA", kid }).sign(theirSecret)
      )
      const other = PublicKey.toJwk((yield* PrivateKey.generate("ES256")).publicKey, { kid })
      const twice = { keys: [jwk, other] }
      assert.isTrue(yield* accepts(() => jose.compactVerify(token, jose.createLocalJWKSet(twice as jose.JSONWebKeySet))))
      const refused = yield* Effect.flip(KeyResolver.fromJwks(twice))
      assert.strictEqual(refused.reason, "DuplicateKeyId")
      const mixed = { keys: [jwk, { kty: "oct", k: "AAAA", kid: "s" }] }
      assert.isTrue(yield* accepts(() => jose.compactVerify(token, jose.createLocalJWKSet(mixed as jose.JSONWebKeySet))))
      assert.strictEqual((yield* Effect.flip(KeyResolver.fromJwks(mixed))).reason, "SymmetricKey")
    })
  )
})
