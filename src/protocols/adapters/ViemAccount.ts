/**
 * An account for viem: Ethereum messages, typed data, transactions and EIP-7702
 * authorizations signed with a secp256k1 key elsewhere.
 *
 * **Details**
 *
 * Ethereum signs Keccak-256 digests, and `ES256K` hashes with SHA-256: so this
 * takes a `DangerousPrehash.PrehashSigner`, which signs a digest as it is. AWS KMS,
 * Google Cloud KMS (HSM keys), Azure Key Vault and PKCS#11 have such keys
 * (`DangerousPrehash.fromSigner`), and so has this process
 * (`DangerousPrehash.makeLocal`). ssh-agent, Vault and WebCrypto have none.
 *
 * viem hashes and serializes; its functions are an argument. Every signature is
 * low-S (EIP-2), and the account's address is recovered from it before anybody
 * sees it: that finds the recovery id, and verifies.
 *
 * **Gotchas**
 *
 * Who can have digests signed can have anything signed: give the key to nothing
 * else. The key behind an account cannot be rotated: the address is the key.
 *
 * **Example** (An account of viem)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PrivateKey } from "effect-signer"
 * import * as DangerousPrehash from "effect-signer/DangerousPrehash"
 * import * as ViemAccount from "effect-signer/ViemAccount"
 *
 * // import * as viem from "viem"
 * const account = (viem: ViemAccount.Viem) =>
 *   Effect.gen(function*() {
 *     const privateKey = yield* PrivateKey.generate("ES256K")
 *     const signer = yield* DangerousPrehash.makeLocal({ privateKey, algorithm: "ES256K" })
 *     return yield* ViemAccount.make(signer, viem) // toAccount(...) of "viem/accounts"
 *   })
 * ```
 *
 * @since 0.1.0
 */
import { secp256k1 } from "@noble/curves/secp256k1.js"
import { keccak_256 } from "@noble/hashes/sha3.js"
import { hex } from "@scure/base"
import * as Effect from "effect/Effect"
import { resilientEffect } from "../../decorators/resilient.ts"
import type { ResilientOptions } from "../../decorators/resilient.ts"
import { sameBytes } from "../../schemas/KeyMaterial.ts"
import type * as PublicKey from "../../schemas/PublicKey.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import { InvalidResponse } from "../../schemas/SignerError.ts"
import * as DangerousPrehash from "../../services/DangerousPrehash.ts"
import { checkAlgorithm, misconfigured, run } from "./Adapter.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * `0x` and hex digits.
 *
 * @category models
 * @since 0.1.0
 */
export type Hex = `0x${string}`

/**
 * The functions of viem that are needed: `import * as viem from "viem"` has all but
 * the last, `import * as viem from "viem/utils"` has all.
 *
 * @category models
 * @since 0.1.0
 */
export interface Viem {
  readonly hashMessage: (message: never) => unknown
  readonly hashTypedData: (parameters: never) => unknown
  readonly serializeTransaction: (transaction: never, signature?: never) => unknown
  /** For EIP-7702. Without it the account has no `signAuthorization`. */
  readonly hashAuthorization?: ((authorization: never) => unknown) | undefined
}

/**
 * Parts of a signature, as viem serializes them.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignatureParts {
  readonly r: Hex
  readonly s: Hex
  readonly v: bigint
  readonly yParity: number
}

interface Authorization {
  readonly address?: Hex | undefined
  readonly contractAddress?: Hex | undefined
  readonly chainId: number
  readonly nonce: number
}

/**
 * What viem's `toAccount` takes. What fails rejects with a `SignerError`, or with
 * what viem threw.
 *
 * @category models
 * @since 0.1.0
 */
export interface ViemAccount {
  /** With the checksum of EIP-55. */
  readonly address: Hex
  /** The uncompressed point. */
  readonly publicKey: Hex
  readonly sign: (parameters: { readonly hash: Hex }) => Promise<Hex>
  readonly signMessage: (parameters: { readonly message: unknown }) => Promise<Hex>
  readonly signTypedData: (parameters: unknown) => Promise<Hex>
  readonly signTransaction: (
    transaction: unknown,
    options?: { readonly serializer?: unknown } | undefined
  ) => Promise<Hex>
  readonly signAuthorization?: (
    authorization: Authorization
  ) => Promise<SignatureParts & { readonly address: Hex; readonly chainId: number; readonly nonce: number }>
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Timeout per attempt and retries, which a prehash signer has none of. Default:
   * those of every remote layer, see `Signer.resilient`.
   */
  readonly resilience?: ResilientOptions | undefined
}

// ---------------------------------------------------------------------------
// addresses and digests
// ---------------------------------------------------------------------------

const toHex = (bytes: Uint8Array): Hex => `0x${hex.encode(bytes)}`

const ascii = new TextEncoder()

/**
 * The address of a secp256k1 key with its checksum (EIP-55); `undefined` for other
 * keys.
 *
 * @category names
 * @since 0.1.0
 */
export const address = (key: PublicKey.PublicKey): Hex | undefined => {
  if (key.type !== "secp256k1") return undefined
  const digits = hex.encode(keccak_256(key.bytes.subarray(1)).subarray(12))
  const checksum = hex.encode(keccak_256(ascii.encode(digits)))
  return `0x${[...digits].map((digit, i) => (checksum[i]! >= "8" ? digit.toUpperCase() : digit)).join("")}`
}

const isHex = (value: unknown): value is Hex =>
  typeof value === "string" && value.length % 2 === 0 && /^0x[0-9a-f]*$/i.test(value)

const bytesOf = (value: unknown, field: string, length?: number) =>
  isHex(value) && (length === undefined || value.length === 2 + 2 * length)
    ? Effect.succeed(hex.decode(value.slice(2).toLowerCase()))
    : Effect.fail(
        misconfigured(
          field,
          length === undefined ? "expected 0x and hex digits" : `expected 0x and ${2 * length} hex digits`
        )
      )

/**
 * Which of the two points with the x coordinate `r` is the key (SEC 1 section
 * 4.1.6). Ethereum has no signatures whose x was reduced: `v` is 27 or 28.
 */
const yParityOf = (signature: Uint8Array, digest: Uint8Array, point: Uint8Array): 0 | 1 | undefined => {
  try {
    const parts = secp256k1.Signature.fromBytes(signature, "compact")
    return ([0, 1] as const).find((yParity) =>
      sameBytes(parts.addRecoveryBit(yParity).recoverPublicKey(digest).toBytes(false), point)
    )
  } catch {
    return undefined // r is no x coordinate, or r or s is out of range
  }
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

type Serialize = (transaction: unknown, signature?: SignatureParts) => unknown

/** A blob transaction is signed without its blobs (EIP-4844). */
const unsigned = (transaction: unknown): unknown =>
  typeof transaction === "object" && transaction !== null && "type" in transaction && transaction.type === "eip4844"
    ? { ...transaction, sidecars: false }
    : transaction

/**
 * Makes an account for viem's `toAccount`.
 *
 * **Details**
 *
 * Fails with `UnsupportedAlgorithm` where the signer is not `ES256K`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  signer: DangerousPrehash.PrehashSigner,
  viem: Viem,
  options: Options = {}
): Effect.fn.Return<ViemAccount, SignerError> {
  const { backend, keyId } = signer
  yield* checkAlgorithm(signer, { library: "Ethereum", algorithms: ["ES256K"] })
  const resilient = (operation: "publicKey" | "sign") =>
    resilientEffect(options.resilience ?? {}, { backend, keyId, operation })
  const key = yield* resilient("publicKey")(signer.publicKey)
  const toPromise = yield* run
  const resilientSign = resilient("sign")
  const point = key.bytes

  const signBytes = Effect.fnUntraced(function* (digest: Uint8Array): Effect.fn.Return<SignatureParts, SignerError> {
    const prehashed = yield* DangerousPrehash.digestFromBytesUnsafe("SHA-256", digest)
    const { bytes } = yield* resilientSign(signer.signDigest(prehashed)) // low-S, as every ES256K signature
    const yParity = yParityOf(bytes, digest, point)
    if (yParity === undefined) {
      const problem = "the signature is not by the key of the account"
      return yield* new InvalidResponse({ backend, keyId, operation: "sign", problem })
    }
    return { r: toHex(bytes.subarray(0, 32)), s: toHex(bytes.subarray(32)), v: BigInt(27 + yParity), yParity }
  })

  const sign = async (hash: unknown) => toPromise(Effect.flatMap(bytesOf(hash, "hash", 32), signBytes))

  /** 65 bytes: r, s, and 27 or 28. */
  const signToHex = async (hash: unknown): Promise<Hex> => {
    const { r, s, v } = await sign(hash)
    return `${r}${s.slice(2)}${v.toString(16)}` as Hex
  }

  const { hashAuthorization } = viem
  return {
    address: address(key)!,
    publicKey: toHex(point),
    sign: async ({ hash }) => signToHex(hash),
    signMessage: async ({ message }) => signToHex(viem.hashMessage(message as never)),
    signTypedData: async (parameters) => signToHex(viem.hashTypedData(parameters as never)),
    signTransaction: async (transaction, { serializer = viem.serializeTransaction } = {}) => {
      const serialize = serializer as Serialize
      const serialized = await serialize(unsigned(transaction))
      const signature = await toPromise(
        Effect.flatMap(bytesOf(serialized, "transaction"), (bytes) => signBytes(keccak_256(bytes)))
      )
      return (await serialize(transaction, signature)) as Hex
    },
    ...(hashAuthorization === undefined
      ? undefined
      : ({
          signAuthorization: async (authorization) => {
            const { chainId, nonce } = authorization
            const address = authorization.contractAddress ?? authorization.address
            const signature = await sign(hashAuthorization({ address, chainId, nonce } as never))
            return { address: address!, chainId, nonce, ...signature }
          }
        } satisfies Pick<ViemAccount, "signAuthorization">))
  }
})
