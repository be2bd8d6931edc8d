/** viem recovers our address from everything that an account signs. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as viem from "viem"
import { privateKeyToAccount, toAccount } from "viem/accounts"
import * as viemUtils from "viem/utils"
import { PrivateKey } from "../../src/index.ts"
import * as ViemAccount from "../../src/protocols/adapters/ViemAccount.ts"
import * as DangerousPrehash from "../../src/services/DangerousPrehash.ts"

const promise = <A>(evaluate: () => Promise<A>) =>
  Effect.tryPromise({ try: evaluate, catch: (error) => error as Error })

const secret = "0x4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
const theirs = privateKeyToAccount(secret)

const setup = Effect.gen(function* () {
  const privateKey = PrivateKey.fromHex("secp256k1", secret.slice(2), { algorithm: "ES256K" })
  const signer = yield* DangerousPrehash.makeLocal({ privateKey })
  // Typed against viem: this line, and every call below, is compiled with its types
  return toAccount(yield* ViemAccount.make(signer, viemUtils))
})

const typedData = {
  domain: {
    name: "Ether Mail",
    version: "1",
    chainId: 1,
    verifyingContract: "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"
  },
  types: {
    Person: [
      { name: "name", type: "string" },
      { name: "wallet", type: "address" }
    ],
    Mail: [
      { name: "from", type: "Person" },
      { name: "to", type: "Person" },
      { name: "contents", type: "string" }
    ]
  },
  primaryType: "Mail",
  message: {
    from: { name: "Cow", wallet: "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826" },
    to: { name: "Bob", wallet: "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB" },
    contents: "Hello, Bob!"
  }
} as const

const to = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
const common = { to, chainId: 1, nonce: 3, gas: 21_000n, value: 10n } as const
const fees = { maxFeePerGas: 30n, maxPriorityFeePerGas: 2n } as const

const transactions: ReadonlyArray<viem.TransactionSerializable & { readonly type: string }> = [
  { ...common, type: "legacy", gasPrice: 20n },
  { ...common, type: "eip2930", gasPrice: 20n, accessList: [{ address: to, storageKeys: [viem.zeroHash] }] },
  { ...common, ...fees, type: "eip1559", data: "0x1234" },
  { ...common, ...fees, type: "eip4844", maxFeePerBlobGas: 9n, blobVersionedHashes: [`0x01${"22".repeat(31)}`] }
]

const rounds = 8 // both recovery ids come up

describe("ViemAccount", () => {
  it.live("has the address and the public key that viem has", () =>
    Effect.gen(function* () {
      const account = yield* setup
      assert.strictEqual(account.address, theirs.address)
      const signer = yield* DangerousPrehash.makeLocal({
        privateKey: PrivateKey.fromHex("secp256k1", secret.slice(2)),
        algorithm: "ES256K"
      })
      assert.strictEqual((yield* ViemAccount.make(signer, viem)).publicKey, theirs.publicKey)
    })
  )

  it.live("signs messages of every form", () =>
    Effect.gen(function* () {
      const account = yield* setup
      for (const message of ["", "hello", { raw: "0x00ff" }, { raw: new Uint8Array(100) }] as const) {
        for (let i = 0; i < rounds; i++) {
          const signature = yield* promise(() => account.signMessage({ message }))
          assert.strictEqual(yield* promise(() => viem.recoverMessageAddress({ message, signature })), theirs.address)
          assert.isTrue(yield* promise(() => viem.verifyMessage({ address: account.address, message, signature })))
        }
      }
    })
  )

  it.live("signs typed data", () =>
    Effect.gen(function* () {
      const account = yield* setup
      const signature = yield* promise(() => account.signTypedData(typedData))
      assert.strictEqual(
        yield* promise(() => viem.recoverTypedDataAddress({ ...typedData, signature })),
        theirs.address
      )
    })
  )

  it.live.each(transactions)("signs a transaction: $type", (transaction) =>
    Effect.gen(function* () {
      const account = yield* setup
      for (let i = 0; i < rounds; i++) {
        const serializedTransaction = (yield* promise(() =>
          account.signTransaction(transaction)
        )) as viem.TransactionSerialized
        const recovered = yield* promise(() => viem.recoverTransactionAddress({ serializedTransaction }))
        assert.strictEqual(recovered, theirs.address)
        // but for its signature, it is what viem's own account makes
        const expected = viem.parseTransaction(yield* promise(() => theirs.signTransaction(transaction)))
        const actual = viem.parseTransaction(serializedTransaction)
        const bare = ({ r: _r, s: _s, v: _v, yParity: _y, ...rest }: Record<string, unknown>) => rest
        assert.deepStrictEqual(bare(actual), bare(expected))
      }
    })
  )

  it.live("signs a blob transaction without its blobs, and sends it with them", () =>
    Effect.gen(function* () {
      const account = yield* setup
      const sidecars = [{ blob: "0x01", commitment: `0x${"03".repeat(48)}`, proof: `0x${"04".repeat(48)}` }] as const
      const transaction = { ...transactions[3], sidecars } as unknown as viem.TransactionSerializableEIP4844
      const wrapped = (yield* promise(() => account.signTransaction(transaction))) as viem.TransactionSerializedEIP4844
      assert.deepEqual(viem.parseTransaction(wrapped).sidecars, [...sidecars])
      assert.strictEqual(
        yield* promise(() => viem.recoverTransactionAddress({ serializedTransaction: wrapped })),
        theirs.address
      )
    })
  )

  it.live("signs with the serializer of a chain", () =>
    Effect.gen(function* () {
      const account = yield* setup
      const seen: Array<unknown> = []
      const serializer: viem.SerializeTransactionFn = (transaction, signature) => {
        seen.push(signature)
        return viem.serializeTransaction(transaction, signature)
      }
      yield* promise(() => account.signTransaction(transactions[2]!, { serializer }))
      assert.lengthOf(seen, 2)
    })
  )

  it.live("signs an authorization of EIP-7702, where it has hashAuthorization", () =>
    Effect.gen(function* () {
      const account = yield* setup
      const authorization = yield* promise(() => account.signAuthorization!({ address: to, chainId: 1, nonce: 5 }))
      assert.strictEqual(yield* promise(() => viemUtils.recoverAuthorizationAddress({ authorization })), theirs.address)
      const signer = yield* DangerousPrehash.makeLocal({
        privateKey: PrivateKey.generate("ES256K"),
        algorithm: "ES256K"
      })
      assert.isUndefined((yield* ViemAccount.make(signer, viem)).signAuthorization)
    })
  )
})
