import { secp256k1 } from "@noble/curves/secp256k1.js"
import { keccak_256 } from "@noble/hashes/sha3.js"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { KeyId, LocalSigner, PrivateKey, Signer, SignerError } from "effect-signer"
import * as AwsKmsSigner from "effect-signer/AwsKmsSigner"
import * as AzureKeyVaultSigner from "effect-signer/AzureKeyVaultSigner"
import * as GcpKmsSigner from "effect-signer/GcpKmsSigner"
import * as DangerousPrehash from "../../src/services/DangerousPrehash.ts"
import * as ViemAccount from "../../src/protocols/adapters/ViemAccount.ts"
import * as AwsKmsEmulator from "../../src/testing/AwsKmsEmulator.ts"
import * as AzureKeyVaultEmulator from "../../src/testing/AzureKeyVaultEmulator.ts"
import * as GcpKmsEmulator from "../../src/testing/GcpKmsEmulator.ts"

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")
const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"))
const rejection = (evaluate: () => Promise<unknown>) =>
  Effect.flip(Effect.tryPromise({ try: evaluate, catch: (error) => error as SignerError.SignerError }))

/** Functions that stand for viem's: what it does with them is tested with viem itself. */
const viem: ViemAccount.Viem = {
  hashMessage: (message: { readonly raw: string }) => message.raw,
  hashTypedData: () => "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2",
  serializeTransaction: (transaction: unknown, signature?: unknown) =>
    signature === undefined ? "0x02c0" : JSON.stringify([transaction, typeof signature])
}

const privateKeyOf = (secret: string) => PrivateKey.fromHex("secp256k1", secret, { algorithm: "ES256K" })

/** Keys that are published with their addresses. */
const cow = hexOf(keccak_256(new TextEncoder().encode("cow")))
const web3 = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"

/** Signs as RFC 6979 says, without the random bytes that we add: signatures that are published can be compared. */
const deterministic = Effect.fnUntraced(function* (secret: string, change = (raw: Uint8Array) => raw) {
  const { publicKey } = yield* privateKeyOf(secret)
  return yield* DangerousPrehash.make({
    name: "deterministic",
    keyId: KeyId.make("published"),
    algorithm: "ES256K",
    input: "digest",
    publicKey: () => Effect.succeed(publicKey),
    sign: (digest) =>
      Effect.succeed({ bytes: change(secp256k1.sign(digest, bytesOf(secret), { prehash: false, lowS: false })) })
  })
})

describe("address", () => {
  it.effect.each([
    [cow, "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"], // EIP-712, its example
    [web3, "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"], // web3.js, accounts.sign
    ["01".padStart(64, "0"), "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"] // the generator
  ] as const)("of %s is %s", ([secret, expected]) =>
    Effect.gen(function* () {
      assert.strictEqual(ViemAccount.address((yield* privateKeyOf(secret)).publicKey), expected)
    })
  )

  it.effect("is none of another curve", () =>
    Effect.gen(function* () {
      assert.isUndefined(ViemAccount.address((yield* PrivateKey.generate("ES256")).publicKey))
    })
  )
})

describe("signatures that are published", () => {
  it.effect.each([
    {
      of: "the typed data of EIP-712, its example",
      secret: cow,
      hash: "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2",
      signature:
        "0x4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d" +
        "07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c"
    },
    {
      of: "the message of web3.js, accounts.sign (EIP-191)",
      secret: web3,
      hash: "0x1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655",
      signature:
        "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd" +
        "6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c"
    }
  ] as const)("$of", ({ hash, secret, signature }) =>
    Effect.gen(function* () {
      const account = yield* ViemAccount.make(yield* deterministic(secret), viem)
      assert.strictEqual(yield* Effect.promise(() => account.sign({ hash })), signature)
      assert.strictEqual(yield* Effect.promise(() => account.signMessage({ message: { raw: hash } })), signature)
    })
  )
})

describe("make", () => {
  const hash = `0x${"11".repeat(32)}` as const

  it.effect("finds the recovery id of both kinds, and is low-S", () =>
    Effect.gen(function* () {
      const account = yield* ViemAccount.make(yield* deterministic(cow), viem)
      const seen = new Set<string>()
      for (let i = 0; i < 24; i++) {
        const digest = keccak_256(Uint8Array.of(i))
        const signature = yield* Effect.promise(() => account.sign({ hash: `0x${hexOf(digest)}` }))
        seen.add(signature.slice(-2))
        const raw = bytesOf(signature.slice(2, 130))
        const parts = secp256k1.Signature.fromBytes(raw, "compact")
        assert.isFalse(parts.hasHighS())
        const recovered = parts.addRecoveryBit(Number.parseInt(signature.slice(-2), 16) - 27).recoverPublicKey(digest)
        assert.strictEqual(`0x${recovered.toHex(false)}`, account.publicKey)
      }
      assert.deepStrictEqual([...seen].toSorted(), ["1b", "1c"])
    })
  )

  it.effect.each([
    ["by another key", (raw: Uint8Array) => raw.map((byte, i) => (i === 40 ? byte ^ 1 : byte))],
    ["with an r that is no point", () => new Uint8Array(64).fill(1, 63).fill(5, 31, 32)],
    ["with r = 0", () => new Uint8Array(64).fill(1, 63)]
  ] as const)("passes on no signature %s", ([, change]) =>
    Effect.gen(function* () {
      const account = yield* ViemAccount.make(yield* deterministic(cow, change), viem)
      const error = yield* rejection(() => account.sign({ hash }))
      assert.strictEqual(error._tag, "InvalidResponse")
      assert.include(error.message, "the signature is not by the key of the account")
    })
  )

  it.effect.each(["", "0x", "0x11", `${hash}11`, hash.slice(2), `0x${"zz".repeat(32)}`, 7, undefined] as const)(
    "refuses %s as a hash",
    (wrong) =>
      Effect.gen(function* () {
        const account = yield* ViemAccount.make(yield* deterministic(cow), viem)
        const error = yield* rejection(() => account.sign({ hash: wrong as never }))
        assert.strictEqual(error._tag, "InvalidConfiguration")
        assert.include(error.message, "hash: expected 0x and 64 hex digits")
      })
  )

  it.effect("rejects with what a serializer throws, and refuses what is no hex", () =>
    Effect.gen(function* () {
      const account = yield* ViemAccount.make(yield* deterministic(cow), viem)
      const thrown = new Error("no such transaction")
      const serializer = () => {
        throw thrown
      }
      assert.strictEqual<unknown>(yield* rejection(() => account.signTransaction({}, { serializer })), thrown)
      for (const wrong of ["legacy", "0x1", "0xzz", 7]) {
        const error = yield* rejection(() => account.signTransaction({}, { serializer: () => wrong }))
        assert.include(error.message, "transaction: expected 0x and hex digits")
      }
    })
  )

  it.effect("signs a transaction of megabytes, with its own signature in it", () =>
    Effect.gen(function* () {
      const account = yield* ViemAccount.make(yield* deterministic(cow), viem)
      const large: `0x${string}` = `0x${"ab".repeat(4_000_000)}`
      const serializer = (transaction: unknown, signature?: unknown) =>
        signature === undefined ? large : [transaction, signature]
      const [transaction, signature] = (yield* Effect.promise(() =>
        account.signTransaction({ nonce: 1 }, { serializer })
      )) as unknown as [unknown, ViemAccount.SignatureParts]
      assert.deepStrictEqual(transaction, { nonce: 1 })
      const digest = keccak_256(bytesOf(large.slice(2)))
      const expected = yield* Effect.promise(() => account.sign({ hash: `0x${hexOf(digest)}` }))
      const { r, s, v, yParity } = signature
      assert.strictEqual(`${r}${s.slice(2)}${v.toString(16)}`, expected)
      assert.strictEqual(v, BigInt(27 + yParity))
    })
  )

  it.effect("needs ES256K", () =>
    Effect.gen(function* () {
      const signer = yield* DangerousPrehash.makeLocal({ privateKey: PrivateKey.generate("ES256") })
      const error = yield* Effect.flip(ViemAccount.make(signer, viem))
      assert.strictEqual(error._tag, "UnsupportedAlgorithm")
      assert.include(error.message, "ES256: Ethereum needs ES256K")
    })
  )

  it.effect("repeats what may succeed later, and gives up after the budget", () =>
    Effect.gen(function* () {
      const prehash = yield* deterministic(cow)
      let failures = 2
      const retryable = () =>
        new SignerError.Retryable({
          backend: "deterministic",
          keyId: "published",
          operation: "sign",
          reason: new SignerError.BackendUnavailable({})
        })
      const account = yield* ViemAccount.make(
        {
          ...prehash,
          signDigest: (digest) =>
            Effect.suspend(() => (failures-- > 0 ? Effect.fail(retryable()) : prehash.signDigest(digest)))
        },
        viem,
        { resilience: { times: 2 } }
      )
      const call = (hash: `0x${string}`) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(
            Effect.tryPromise({ try: () => account.sign({ hash }), catch: (error) => error }),
            { startImmediately: true }
          )
          for (let i = 0; i < 10; i++) {
            yield* Effect.yieldNow
            yield* TestClock.adjust("10 seconds")
          }
          return yield* Fiber.join(fiber)
        })
      assert.lengthOf(yield* call(hash), 132)
      failures = 3
      assert.strictEqual(((yield* Effect.flip(call(hash))) as SignerError.SignerError)._tag, "Retryable")
    })
  )
})

describe("keys elsewhere, through DangerousPrehash.fromSigner", () => {
  const backends = [
    {
      name: "AWS KMS",
      make: Effect.gen(function* () {
        const kms = yield* AwsKmsEmulator.make()
        const key = yield* kms.createKey("ECC_SECG_P256K1", {})
        return yield* AwsKmsSigner.make({ ...kms.connection, keyId: key.keyId, algorithm: "ES256K" })
      })
    },
    {
      name: "Google Cloud KMS",
      make: Effect.gen(function* () {
        const kms = yield* GcpKmsEmulator.make({ transports: ["grpc"] })
        const key = yield* kms.createKey("kit", "EC_SIGN_SECP256K1_SHA256", {})
        return yield* GcpKmsSigner.make({ ...kms.grpc, key: key.name, algorithm: "ES256K" })
      })
    },
    {
      name: "Azure Key Vault",
      make: Effect.gen(function* () {
        const vault = yield* AzureKeyVaultEmulator.make()
        yield* vault.createKey("kit", "P-256K", {})
        return yield* AzureKeyVaultSigner.make({ ...vault.connection, key: "kit", algorithm: "ES256K" })
      })
    }
  ]

  it.live.each(backends)("$name signs for its address", ({ make }) =>
    Effect.gen(function* () {
      const signer = yield* make
      const account = yield* ViemAccount.make(yield* DangerousPrehash.fromSigner(signer), viem)
      assert.strictEqual(account.address, ViemAccount.address(yield* signer.publicKey()))
      // the account recovers its own address from each signature, or rejects
      for (let i = 0; i < 8; i++) {
        const signature = yield* Effect.promise(() =>
          account.sign({ hash: `0x${hexOf(keccak_256(Uint8Array.of(i)))}` })
        )
        assert.lengthOf(signature, 132)
      }
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.effect("a decorated Signer is refused: its rules would be passed by", () =>
    Effect.gen(function* () {
      const signer = yield* Signer.make({
        name: "digests",
        keyId: KeyId.make("k"),
        algorithm: "ES256K",
        input: "digest",
        publicKey: () => Effect.map(PrivateKey.generate("ES256K"), ({ publicKey }) => publicKey),
        sign: () => Effect.succeed({ bytes: new Uint8Array(64).fill(1) })
      })
      yield* DangerousPrehash.fromSigner(signer)
      const guarded = Signer.transform(signer, { sign: (sign) => sign })
      const error = yield* Effect.flip(DangerousPrehash.fromSigner(guarded))
      assert.strictEqual(error._tag, "UnsupportedAlgorithm")
      assert.include(error.message, "a decorated Signer signs no digests")
    })
  )

  it.effect("its public key is that of the Signer: read once, and held against the one that is expected", () =>
    Effect.gen(function* () {
      const { publicKey } = yield* PrivateKey.generate("ES256K")
      const { publicKey: another } = yield* PrivateKey.generate("ES256K")
      let reads = 0
      const make = (options: Signer.MakeOptions) =>
        Signer.make(
          {
            name: "digests",
            keyId: KeyId.make("k"),
            algorithm: "ES256K",
            input: "digest",
            publicKey: () =>
              Effect.sync(() => {
                reads++
                return publicKey
              }),
            sign: () => Effect.succeed({ bytes: new Uint8Array(64).fill(1) })
          },
          options
        )
      const prehash = yield* DangerousPrehash.fromSigner(yield* make({}))
      yield* prehash.publicKey
      yield* prehash.publicKey
      assert.strictEqual(reads, 1)
      const wrong = yield* DangerousPrehash.fromSigner(yield* make({ lazy: true, expectedPublicKey: another }))
      assert.strictEqual((yield* Effect.flip(wrong.publicKey))._tag, "InvalidResponse")
    })
  )

  it.effect("a local Signer signs messages, and says what to use", () =>
    Effect.gen(function* () {
      const signer = yield* LocalSigner.make({ privateKey: PrivateKey.generate("ES256K"), algorithm: "ES256K" })
      const error = yield* Effect.flip(DangerousPrehash.fromSigner(signer))
      assert.include(error.message, "use DangerousPrehash.makeLocal")
    })
  )
})
