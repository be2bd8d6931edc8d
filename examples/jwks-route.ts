import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { LocalSigner, Signer } from "effect-signer"
import * as Jwks from "effect-signer/Jwks"
import * as Jwt from "effect-signer/Jwt"
import * as KeyResolver from "effect-signer/KeyResolver"

const issuer = "https://id.example"
const SignerLive = LocalSigner.layerGenerated("ES256")

// Asked for with each request; of a rotation they are Rotation.use((rotation) => rotation.published)
const keys = Effect.gen(function* () {
  const signer = yield* Signer.Signer
  return [{ publicKey: yield* signer.publicKey() }]
})

const program = Effect.gen(function* () {
  const signer = yield* Signer.Signer
  const routes = Jwks.layerRoute({ keys, maxAge: "5 minutes" }).pipe(
    Layer.provide(Layer.succeed(Signer.Signer, signer))
  )
  const { dispose, handler } = HttpRouter.toWebHandler(routes, { disableLogger: true })
  yield* Effect.addFinalizer(() => Effect.promise(dispose))
  const ask = (headers: Record<string, string> = {}) =>
    Effect.promise(() => handler(new Request(`${issuer}/.well-known/jwks.json`, { headers })))

  const response = yield* ask()
  console.log(response.status, response.headers.get("content-type"), response.headers.get("cache-control"))
  const set = yield* Effect.promise(() => response.text())

  const again = yield* ask({ "if-none-match": response.headers.get("etag")! })
  console.log("asked again:", again.status)

  // Somebody who knows nothing but the set
  const token = yield* Jwt.sign({}, { issuer, audience: "api", subject: "alice", expiresIn: "5 minutes" })
  const resolver = yield* KeyResolver.fromJwks(set, { owner: issuer })
  const { subject } = yield* Jwt.verify(token, { issuer, audience: "api" }).pipe(
    Effect.provideService(KeyResolver.KeyResolver, resolver)
  )
  console.log("verified:", subject)
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(SignerLive)))
