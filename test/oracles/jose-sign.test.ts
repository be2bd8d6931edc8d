/** `jose` verifies what callers of Promises have signed: `JoseSign`, `OctokitAppJwt` and `BetterAuthJwt`. */
import { createAppAuth } from "@octokit/auth-app"
import { betterAuth } from "better-auth"
import { memoryAdapter } from "better-auth/adapters/memory"
import { jwt } from "better-auth/plugins"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as jose from "jose"
import { PrivateKey, PublicKey, SignatureAlgorithm } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as BetterAuthJwt from "../../src/protocols/adapters/BetterAuthJwt.ts"
import * as JoseSign from "../../src/protocols/adapters/JoseSign.ts"
import * as OctokitAppJwt from "../../src/protocols/adapters/OctokitAppJwt.ts"
import * as Signer from "../../src/services/Signer.ts"
import { testRsaKey } from "../../src/testing/TestKey.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)
const promise = <A>(evaluate: () => Promise<A>) =>
  Effect.tryPromise({ try: evaluate, catch: (error) => error as Error })

const provide =
  (algorithm: SignatureAlgorithm.SignatureAlgorithm) =>
  <A, E>(effect: Effect.Effect<A, E, Signer.Signer>) =>
    Effect.provideServiceEffect(
      effect,
      Signer.Signer,
      LocalSigner.make({
        privateKey:
          SignatureAlgorithm.facts[algorithm].keyType === "RSA"
            ? PrivateKey.fromJwk(testRsaKey, { algorithm })
            : PrivateKey.generate(algorithm),
        algorithm
      })
    )

const publicKey = Signer.Signer.use((signer) => signer.publicKey())
const imported = (alg: string) =>
  Effect.flatMap(publicKey, (key) => promise(() => jose.importJWK(PublicKey.toJwk(key) as jose.JWK, alg)))

describe.each(["Ed25519", "ES256", "ES512", "RS256", "PS256"] as const)("JoseSign with %s", (algorithm) => {
  it.live("signs what jose verifies, in the shapes of jose", () =>
    Effect.gen(function* () {
      const { alg, sign, signFlattened, signInput } = yield* JoseSign.make()
      const key = yield* imported(alg)
      const kid = PublicKey.thumbprint(yield* publicKey)
      const header: jose.JWTHeaderParameters = { alg, typ: "JWT" }
      const token = yield* promise(() => sign({ sub: "7" } satisfies jose.JWTPayload, header))
      const verified = yield* promise(() => jose.jwtVerify(token, key, { typ: "JWT" }))
      assert.deepStrictEqual(verified, { payload: { sub: "7" }, protectedHeader: { alg, typ: "JWT", kid } } as never)

      const flattened = yield* promise(() =>
        signFlattened(utf8("$.02"), { alg, b64: false, crit: ["b64"] }, { note: "x" })
      )
      const read = yield* promise(() => jose.flattenedVerify(flattened as jose.FlattenedJWSInput, key))
      assert.deepStrictEqual(read.unprotectedHeader, { note: "x" })
      assert.deepStrictEqual(read.payload, utf8("$.02"))

      const input = [{ alg, kid }, { sub: "8" }].map((part) => jose.base64url.encode(JSON.stringify(part))).join(".")
      const assembled = `${input}.${yield* promise(() => signInput(input))}`
      assert.strictEqual((yield* promise(() => jose.jwtVerify(assembled, key))).payload.sub, "8")
    }).pipe(provide(algorithm))
  )
})

describe("OctokitAppJwt", () => {
  it.live("auth-app hands out a token in the shape that GitHub asks for", () =>
    Effect.gen(function* () {
      const createJwt = yield* OctokitAppJwt.make()
      const auth = createAppAuth({ appId: 123, createJwt })
      const { appId, expiresAt, token, type } = yield* promise(() => auth({ type: "app" }))
      assert.deepStrictEqual([appId, type], [123, "app"])
      const key = yield* imported("RS256")
      const { payload, protectedHeader } = yield* promise(() =>
        jose.jwtVerify(token, key, { algorithms: ["RS256"], issuer: "123", typ: "JWT", maxTokenAge: "10m" })
      )
      assert.deepStrictEqual(protectedHeader, { alg: "RS256", typ: "JWT" })
      assert.deepStrictEqual(Object.keys(payload).toSorted(), ["exp", "iat", "iss"])
      assert.strictEqual(payload.exp! - payload.iat!, 600)
      assert.strictEqual(new Date(payload.exp! * 1000).toISOString(), expiresAt)
    }).pipe(provide("RS256"))
  )

  it.live("auth-app exchanges the token for one of an installation, at a clock that GitHub corrects", () =>
    Effect.gen(function* () {
      const createJwt = yield* OctokitAppJwt.make()
      const seen: Array<string> = []
      const request = Object.assign(
        async (_route: unknown, options: { readonly headers: { readonly authorization: string } }) => {
          seen.push(options.headers.authorization)
          return { data: { token: "t", expires_at: "2100-01-01T00:00:00Z", permissions: {} } }
        },
        { endpoint: () => ({}) }
      )
      const auth = createAppAuth({ appId: 123, installationId: 7, createJwt, request: request as never })
      yield* promise(() => auth({ type: "installation" }))
      const token = seen[0]!.replace("bearer ", "")
      const key = yield* imported("RS256")
      yield* promise(() => jose.jwtVerify(token, key, { issuer: "123" }))

      const { jwt } = yield* promise(() => createJwt("Iv1.abc", 3600))
      const ahead = jose.decodeJwt(jwt)
      assert.closeTo(ahead.iat!, Date.now() / 1000 + 3600 - 60, 30)
      assert.strictEqual(ahead.iss, "Iv1.abc")
    }).pipe(provide("RS256"))
  )
})

describe.each(["Ed25519", "ES256", "ES512", "PS256", "RS256"] as const)("BetterAuthJwt with %s", (algorithm) => {
  it.live("better-auth signs with it, and jose verifies by its JWK Set", () =>
    Effect.gen(function* () {
      const { jwks, keyPairConfig, sign } = yield* BetterAuthJwt.make()
      const auth = betterAuth({
        baseURL: "https://id.example",
        secret: "a secret of better-auth, for its own cookies",
        database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
        plugins: [
          jwt({ jwks: { remoteUrl: "https://id.example/jwks.json", keyPairConfig }, jwt: { sign, audience: "api" } })
        ],
        emailAndPassword: { enabled: true },
        telemetry: { enabled: false }
      })
      const keys = jose.createLocalJWKSet((yield* promise(jwks)) as jose.JSONWebKeySet)
      const expected = { issuer: "https://id.example", audience: "api", typ: "JWT", algorithms: [keyPairConfig.alg] }
      const { token } = yield* promise(() => auth.api.signJWT({ body: { payload: { role: "reader" } } }))
      const { payload, protectedHeader } = yield* promise(() => jose.jwtVerify(token, keys, expected))
      assert.strictEqual(payload["role"], "reader")
      assert.strictEqual(protectedHeader.kid, PublicKey.thumbprint(yield* publicKey))

      // the token of a session
      const { headers } = yield* promise(() =>
        auth.api.signUpEmail({
          body: { name: "Ada", email: "ada@id.example", password: "correct horse battery" },
          returnHeaders: true
        })
      )
      const cookie = headers
        .getSetCookie()
        .map((line) => line.split(";")[0]!)
        .join("; ")
      const session = yield* promise(() => auth.api.getToken({ headers: new Headers({ cookie }) }))
      const read = yield* promise(() => jose.jwtVerify(session.token, keys, expected))
      assert.strictEqual(read.payload["email"], "ada@id.example")
    }).pipe(provide(algorithm))
  )
})
