import { createAppAuth } from "@octokit/auth-app"
import { Effect } from "effect"
import { LocalSigner } from "effect-signer"
import * as OctokitAppJwt from "effect-signer/OctokitAppJwt"
import { decodeJwt } from "jose"

const program = Effect.gen(function* () {
  const createJwt = yield* OctokitAppJwt.make()
  const auth = createAppAuth({ appId: 123, createJwt }) // and no privateKey
  const { expiresAt, token } = yield* Effect.promise(() => auth({ type: "app" }))
  const { exp, iat, iss } = decodeJwt(token)
  console.log("app", iss, "for", exp! - iat!, "seconds, until", expiresAt)
})

// GitHub takes RS256 only: AwsKmsSigner.layer({ keyId: "alias/github-app", algorithm: "RS256" })
await Effect.runPromise(program.pipe(Effect.provide(LocalSigner.layerGenerated("RS256"))))
