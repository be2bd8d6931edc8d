/** `@solana/kit` signs a transaction with our signer, and verifies it. */
import {
  address,
  appendTransactionMessageInstruction,
  assertIsFullySignedTransaction,
  blockhash,
  createSignableMessage,
  createTransactionMessage,
  generateKeyPairSigner,
  getAddressFromPublicKey,
  getPublicKeyFromAddress,
  isMessagePartialSigner,
  isTransactionPartialSigner,
  type MessagePartialSigner,
  partiallySignTransactionMessageWithSigners,
  pipe,
  setTransactionMessageFeePayerSigner,
  setTransactionMessageLifetimeUsingBlockhash,
  signTransactionMessageWithSigners,
  type TransactionPartialSigner,
  verifySignature
} from "@solana/kit"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as SolanaSigner from "../../src/protocols/adapters/SolanaSigner.ts"

const promise = <A>(evaluate: () => Promise<A>) =>
  Effect.tryPromise({ try: evaluate, catch: (error) => error as Error })

const setup = Effect.gen(function* () {
  // Typed against kit: what make gives is assigned to kit's own types
  const signer: MessagePartialSigner & TransactionPartialSigner = yield* SolanaSigner.make()
  return signer
}).pipe(Effect.provide(LocalSigner.layerGenerated("Ed25519")))

const memo = (feePayer: MessagePartialSigner & TransactionPartialSigner) =>
  pipe(
    createTransactionMessage({ version: 0 }),
    (message) => setTransactionMessageFeePayerSigner(feePayer, message),
    (message) =>
      setTransactionMessageLifetimeUsingBlockhash(
        { blockhash: blockhash("4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJziofM"), lastValidBlockHeight: 100n },
        message
      ),
    (message) =>
      appendTransactionMessageInstruction(
        { programAddress: address("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"), data: new Uint8Array([104, 105]) },
        message
      )
  )

describe("SolanaSigner", () => {
  it.live("is a signer of messages and of transactions, by kit's own guards", () =>
    Effect.gen(function* () {
      const signer = yield* setup
      assert.isTrue(isMessagePartialSigner(signer) && isTransactionPartialSigner(signer))
      const key = yield* promise(() => getPublicKeyFromAddress(signer.address))
      assert.strictEqual(yield* promise(() => getAddressFromPublicKey(key)), signer.address)
    })
  )

  it.live("kit verifies messages, several at once and in order", () =>
    Effect.gen(function* () {
      const signer = yield* setup
      const key = yield* promise(() => getPublicKeyFromAddress(signer.address))
      const messages = Array.from({ length: 25 }, (_, i) => createSignableMessage(`message ${i}`))
      const signatures = yield* promise(() => signer.signMessages(messages))
      for (const [i, { content }] of messages.entries()) {
        assert.isTrue(yield* promise(() => verifySignature(key, signatures[i]![signer.address]!, content)))
      }
    })
  )

  it.live("kit signs a transaction message with it and verifies the transaction", () =>
    Effect.gen(function* () {
      const signer = yield* setup
      const transaction = yield* promise(() => signTransactionMessageWithSigners(memo(signer)))
      assertIsFullySignedTransaction(transaction)
      const key = yield* promise(() => getPublicKeyFromAddress(signer.address))
      const signature = transaction.signatures[signer.address]!
      assert.isTrue(yield* promise(() => verifySignature(key, signature, transaction.messageBytes)))
    })
  )

  it.live("signs beside a signer of kit", () =>
    Effect.gen(function* () {
      const [ours, theirs] = [yield* setup, yield* promise(() => generateKeyPairSigner())]
      const message = appendTransactionMessageInstruction(
        {
          programAddress: address("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"),
          accounts: [{ address: theirs.address, role: 2, signer: theirs }],
          data: new Uint8Array([104])
        },
        memo(ours)
      )
      const transaction = yield* promise(() => signTransactionMessageWithSigners(message))
      for (const { address } of [ours, theirs]) {
        const key = yield* promise(() => getPublicKeyFromAddress(address))
        const signature = transaction.signatures[address]!
        assert.isTrue(yield* promise(() => verifySignature(key, signature, transaction.messageBytes)))
      }
    })
  )

  it.live("rejects with the reason of kit's abort signal", () =>
    Effect.gen(function* () {
      const signer = yield* setup
      const reason = new Error("the user changed their mind")
      const error = yield* Effect.flip(
        promise(() =>
          partiallySignTransactionMessageWithSigners(memo(signer), { abortSignal: AbortSignal.abort(reason) })
        )
      )
      assert.strictEqual(error, reason)
    })
  )
})
