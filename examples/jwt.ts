import { Console, Effect, Layer, Schema } from "effect"
import { LocalSigner } from "effect-signer"
import * as Jwt from "effect-signer/Jwt"
import * as KeyResolver from "effect-signer/KeyResolver"

const Claims = Schema.Struct({ role: Schema.Literals(["reader", "writer"]) })

const issuer = "https://id.example"

const program = Effect.gen(function* () {
  const token = yield* Jwt.sign(
    { role: "writer" },
    { schema: Claims, issuer, audience: "api", subject: "alice", expiresIn: "5 minutes" }
  )

  const { claims, key, subject } = yield* Jwt.verify(token, { schema: Claims, issuer, audience: "api" })
  yield* Console.log(`${subject} is a ${claims.role}, says the key of ${key.owner}`)

  // what is refused is a typed error with a reason
  const elsewhere = yield* Effect.flip(Jwt.verify(token, { issuer, audience: "billing" }))
  yield* Console.log(elsewhere.message)
})

// the key stays where it is: any Signer layer takes the place of this one
const SignerLive = LocalSigner.layerGenerated("ES256")
const KeysLive = KeyResolver.layerSigner({ owner: issuer })

await Effect.runPromise(program.pipe(Effect.provide(KeysLive.pipe(Layer.provideMerge(SignerLive)))))
