import { verifySignature } from "@atproto/crypto"
import { Effect } from "effect"
import { LocalSigner } from "effect-signer"
import * as AtprotoKeypair from "effect-signer/AtprotoKeypair"

const program = Effect.gen(function* () {
  const keypair = yield* AtprotoKeypair.make()
  const commit = new TextEncoder().encode("a commit")
  const signature = yield* Effect.promise(() => keypair.sign(commit))
  console.log(keypair.jwtAlg, keypair.did())
  console.log("atproto verifies:", yield* Effect.promise(() => verifySignature(keypair.did(), commit, signature)))
})

await Effect.runPromise(program.pipe(Effect.provide(LocalSigner.layerGenerated("ES256"))))
