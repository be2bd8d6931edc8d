import { Effect } from "effect"
import { PrivateKey } from "effect-signer"
import * as DangerousPrehash from "effect-signer/DangerousPrehash"
import * as ViemAccount from "effect-signer/ViemAccount"
import * as viem from "viem"
import { toAccount } from "viem/accounts"

const program = Effect.gen(function* () {
  // a key elsewhere: DangerousPrehash.fromSigner(yield* AwsKmsSigner.make({ keyId, region, algorithm: "ES256K" }))
  const privateKey = yield* PrivateKey.generate("ES256K")
  const signer = yield* DangerousPrehash.makeLocal({ privateKey, algorithm: "ES256K" })

  const account = toAccount(yield* ViemAccount.make(signer, viem))
  const message = "hello"
  const signature = yield* Effect.promise(() => account.signMessage({ message }))
  const recovered = yield* Effect.promise(() => viem.recoverMessageAddress({ message, signature }))
  console.log("viem recovers our address:", recovered === account.address)

  const serializedTransaction = yield* Effect.promise(() =>
    account.signTransaction({ type: "eip1559", chainId: 1, to: account.address, value: 1n, maxFeePerGas: 30n })
  )
  console.log("signed a transaction of", viem.size(serializedTransaction), "bytes")
})

await Effect.runPromise(program)
