import { betterAuth } from "better-auth"
import { memoryAdapter } from "better-auth/adapters/memory"
import { jwt } from "better-auth/plugins"
import { Effect } from "effect"
import { LocalSigner } from "effect-signer"
import * as BetterAuthJwt from "effect-signer/BetterAuthJwt"
import { createLocalJWKSet, jwtVerify } from "jose"

const program = Effect.gen(function* () {
  const { jwks, keyPairConfig, sign } = yield* BetterAuthJwt.make()
  const auth = betterAuth({
    baseURL: "https://id.example",
    secret: "for the cookies of better-auth, not for its tokens",
    database: memoryAdapter({ user: [], session: [], account: [], verification: [], jwks: [] }),
    // serve what jwks() gives at remoteUrl
    plugins: [jwt({ jwks: { remoteUrl: "https://id.example/jwks.json", keyPairConfig }, jwt: { sign } })]
  })
  const { token } = yield* Effect.promise(() => auth.api.signJWT({ body: { payload: { sub: "alice" } } }))

  const keys = createLocalJWKSet({ keys: (yield* Effect.promise(jwks)).keys.map((key) => ({ ...key })) })
  const { payload } = yield* Effect.promise(() => jwtVerify(token, keys, { issuer: "https://id.example" }))
  console.log("better-auth issued a token for", payload.sub)
})

await Effect.runPromise(program.pipe(Effect.provide(LocalSigner.layerGenerated("Ed25519"))))
