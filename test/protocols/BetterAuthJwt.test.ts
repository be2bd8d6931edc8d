import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSigner, PublicKey, Signer, type SignerError } from "effect-signer"
import * as BetterAuthJwt from "../../src/protocols/adapters/BetterAuthJwt.ts"

const partsOf = (token: string): ReadonlyArray<unknown> =>
  token
    .split(".")
    .slice(0, 2)
    .map((part) => JSON.parse(Buffer.from(part, "base64url").toString()))

const thumbprint = Effect.map(
  Signer.Signer.use((signer) => signer.publicKey()),
  PublicKey.thumbprint
)

describe("sign", () => {
  it.effect("writes alg and kid, the claims that are there, and what is asked for of typ and cty", () =>
    Effect.gen(function* () {
      const { jwks, keyPairConfig, sign } = yield* BetterAuthJwt.make()
      const kid = yield* thumbprint
      assert.deepStrictEqual(keyPairConfig, { alg: "EdDSA" })
      const token = yield* Effect.promise(() => sign({ sub: "7", nbf: undefined }))
      assert.deepStrictEqual(partsOf(token), [{ alg: "EdDSA", typ: "JWT", kid }, { sub: "7" }])
      const logout = yield* Effect.promise(() => sign({}, { typ: "logout+jwt", cty: "x" }))
      assert.deepStrictEqual(partsOf(logout)[0], { alg: "EdDSA", typ: "logout+jwt", kid, cty: "x" })
      const { keys } = yield* Effect.promise(jwks)
      assert.deepStrictEqual(
        keys.map(({ alg, kid }) => [alg, kid]),
        [["EdDSA", kid]]
      )
    }).pipe(Effect.provide(LocalSigner.layerGenerated("Ed25519")))
  )

  it.effect("names the key as it is stated, in tokens and in the JWK Set", () =>
    Effect.gen(function* () {
      const { jwks, sign } = yield* BetterAuthJwt.make({ kid: "k1" })
      assert.include(partsOf(yield* Effect.promise(() => sign({})))[0] as object, { kid: "k1" })
      assert.strictEqual((yield* Effect.promise(jwks)).keys[0]!.kid, "k1")
    }).pipe(Effect.provide(LocalSigner.layerGenerated("ES256")))
  )

  it.effect("heeds what a call is pinned to", () =>
    Effect.gen(function* () {
      const { sign } = yield* BetterAuthJwt.make()
      yield* Effect.flatMap(thumbprint, (signingKeyId) =>
        Effect.promise(() => sign({}, undefined, { signingKeyId, signingAlgorithm: "ES256" }))
      )
      for (const [pinned, says] of [
        [{ signingKeyId: "another" }, "signingKeyId: is not that of the key"],
        [{ signingAlgorithm: "EdDSA" }, "signingAlgorithm: is not that of the key: ES256"]
      ] as const) {
        const error = yield* Effect.flip(
          Effect.tryPromise({
            try: () => sign({}, undefined, pinned),
            catch: (error) => error as SignerError.SignerError
          })
        )
        assert.strictEqual(error._tag, "InvalidConfiguration")
        assert.include(error.message, says)
      }
    }).pipe(Effect.provide(LocalSigner.layerGenerated("ES256")))
  )
})
