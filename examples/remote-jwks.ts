import { Console, Effect } from "effect"
import { LocalSigner } from "effect-signer"
import * as Jwt from "effect-signer/Jwt"
import * as RemoteJwks from "effect-signer/RemoteJwks"

// node remote-jwks.ts https://id.example eyJ... reads the keys of an OpenID provider. Who that is, is for whoever runs
// this to say and never for a token; without it, this is what becomes of an issuer that leads into one's own network.
const [issuer = "https://169.254.169.254", given] = process.argv.slice(2)

const KeysLive = RemoteJwks.layer({ issuer, purpose: "login", maxAge: "5 minutes" })

const tokenOfOurOwn = Jwt.sign({}, { issuer, audience: "api", subject: "alice", expiresIn: "5 minutes" }).pipe(
  Effect.provide(LocalSigner.layerGenerated("ES256"))
)

const program = Effect.gen(function* () {
  const token = given ?? (yield* tokenOfOurOwn)
  const { key, subject } = yield* Jwt.verify(token, { issuer, audience: "api" })
  yield* Console.log(`${subject}, says the key ${key.keyId} of ${key.owner}, which is for ${key.purpose}`)
}).pipe(
  // the provider cannot be read now; whether that may pass is known
  Effect.catchTag("KeysUnavailable", ({ isRetryable, message }) =>
    Console.log(`${isRetryable ? "try again later" : "do not try again"}: ${message}`)
  ),
  Effect.provide(KeysLive)
)

await Effect.runPromise(program)
