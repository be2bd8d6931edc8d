import { Effect } from "effect"
import { LocalSigner, Signer, Verifier } from "effect-signer"

const message = new TextEncoder().encode("ship it")

const program = Effect.gen(function* () {
  const signature = yield* Signer.sign(message)
  const publicKey = yield* Signer.publicKey()
  console.log(yield* Verifier.verify(publicKey, message, signature)) // true
  console.log(yield* Verifier.verify(publicKey, new TextEncoder().encode("ship 1t"), signature)) // false
})

const SignerLive = LocalSigner.layerGenerated("Ed25519")

await Effect.runPromise(program.pipe(Effect.provide(SignerLive)))
