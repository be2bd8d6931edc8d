import { Effect } from "effect"
import { Signer } from "effect-signer"
import { TestSigner } from "effect-signer/testing"

// the application: asks for a Signer, knows no backend
const publish = Effect.fn("publish")(function* (release: string) {
  const signature = yield* Signer.sign(new TextEncoder().encode(`release ${release}`))
  return { release, signedBy: signature.keyId }
})

// the spec: the same program, another layer
const spec = Effect.gen(function* () {
  yield* publish("1.0.0")
  const calls = yield* TestSigner.Calls
  console.log((yield* calls.messages).map((message) => new TextDecoder().decode(message)))
}).pipe(Effect.provide(TestSigner.layer({ algorithm: "ES256", seed: "spec" })))

await Effect.runPromise(spec)
