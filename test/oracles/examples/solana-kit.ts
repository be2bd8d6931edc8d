import {
  blockhash,
  createTransactionMessage,
  getPublicKeyFromAddress,
  pipe,
  setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash,
  signTransactionMessageWithSigners,
  verifySignature
} from "@solana/kit"
import { Effect } from "effect"
import { LocalSigner } from "effect-signer"
import * as SolanaSigner from "effect-signer/SolanaSigner"

const latest = { blockhash: blockhash("4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM"), lastValidBlockHeight: 100n }

const program = Effect.gen(function* () {
  const signer = yield* SolanaSigner.make()
  const message = pipe(
    createTransactionMessage({ version: 0 }),
    (message) => setTransactionMessageFeePayerSigner(signer, message),
    (message) => setTransactionMessageLifetimeUsingBlockhash(latest, message)
  )
  const transaction = yield* Effect.promise(() => signTransactionMessageWithSigners(message))

  const key = yield* Effect.promise(() => getPublicKeyFromAddress(signer.address))
  const signature = transaction.signatures[signer.address]!
  console.log(
    "kit verifies the transaction:",
    yield* Effect.promise(() => verifySignature(key, signature, transaction.messageBytes))
  )
})

await Effect.runPromise(program.pipe(Effect.provide(LocalSigner.layerGenerated("Ed25519"))))
