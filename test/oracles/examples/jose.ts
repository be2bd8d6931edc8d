import { Effect } from "effect"
import { LocalSigner, PublicKey, Signer } from "effect-signer"
import * as JoseSign from "effect-signer/JoseSign"
import { importJWK, jwtVerify } from "jose"

const program = Effect.gen(function* () {
  // (payload, header) => Promise<string>: what libraries take in place of a key
  const { alg, sign } = yield* JoseSign.make()
  const token = yield* Effect.promise(() => sign({ sub: "alice" }, { alg, typ: "JWT" }))

  const publicKey = yield* Signer.publicKey()
  const key = yield* Effect.promise(() => importJWK({ ...PublicKey.toJwk(publicKey) }, alg))
  const { payload } = yield* Effect.promise(() => jwtVerify(token, key))
  console.log("jose verifies the token of", payload.sub)
})

await Effect.runPromise(program.pipe(Effect.provide(LocalSigner.layerGenerated("ES256"))))
