import { Effect, Layer } from "effect"
import { LocalSigner, Signer } from "effect-signer"

class RootSigner extends Signer.Tag<RootSigner>()("app/RootSigner") {}

const Live = Layer.mergeAll(
  LocalSigner.layerGenerated("Ed25519"), // everyday key
  LocalSigner.layerGenerated("ES384").pipe(Signer.as(RootSigner)) // decorate first, rename last
)

const program = Effect.gen(function* () {
  const everyday = yield* Signer.Signer
  const root = yield* RootSigner
  const statement = new TextEncoder().encode(`may sign until Friday: ${everyday.keyId}`)
  const certificate = yield* root.sign(statement)
  console.log(everyday.algorithm, "certified with", certificate.algorithm)
})

await Effect.runPromise(program.pipe(Effect.provide(Live)))
