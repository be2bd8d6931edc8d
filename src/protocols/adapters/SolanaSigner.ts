/**
 * A signer for `@solana/kit`: messages and transactions signed with an Ed25519 key
 * elsewhere.
 *
 * **Details**
 *
 * It is a `MessagePartialSigner` and a `TransactionPartialSigner`: kit builds what
 * is signed and puts the signatures where they belong. An `abortSignal` really
 * stops the calls to the backend, and rejects with its reason.
 *
 * Several messages are signed at the same time, ten at most.
 *
 * **Gotchas**
 *
 * The address is the key as it was when this was made. A signature by another
 * version, after the key was rotated, rejects. AWS KMS signs Ed25519 messages of
 * 4096 bytes at most; a Solana transaction has 1232.
 *
 * **Example** (A fee payer)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LocalSigner } from "effect-signer"
 * import * as SolanaSigner from "effect-signer/SolanaSigner"
 *
 * const program = Effect.gen(function*() {
 *   const signer = yield* SolanaSigner.make()
 *   // setTransactionMessageFeePayerSigner(signer, message)
 *   const content = new TextEncoder().encode("hello")
 *   return yield* Effect.promise(() => signer.signMessages([{ content }]))
 * }).pipe(Effect.provide(LocalSigner.layerGenerated("Ed25519")))
 *
 * const result = Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 */
import { base58 } from "@scure/base"
import * as Effect from "effect/Effect"
import { isBytes } from "../../schemas/Bytes.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import * as Signer from "../../services/Signer.ts"
import { run, signAs, signerFor } from "./Adapter.ts"

/**
 * A base58 address, with the marks by which kit's types know one.
 *
 * @category models
 * @since 0.1.0
 */
export type Address = string & {
  readonly "__brand:@solana/kit": "Address"
  readonly "__stringEncoding:@solana/kit": "base58"
}

/**
 * A signature, with the mark by which kit's types know one.
 *
 * @category models
 * @since 0.1.0
 */
export type SignatureBytes = Uint8Array<ArrayBuffer> & { readonly "__brand:@solana/kit": "SignatureBytes" }

/**
 * Signatures by the address of who signed.
 *
 * @category models
 * @since 0.1.0
 */
export type Signatures = Readonly<Record<Address, SignatureBytes>>

/** `ReadonlyUint8Array` of kit: a `Uint8Array` without what changes it. */
type ReadonlyBytes = Omit<Uint8Array, "copyWithin" | "fill" | "reverse" | "set" | "sort">

interface Config {
  readonly abortSignal?: AbortSignal | undefined
}

/**
 * What kit calls a `MessagePartialSigner` and a `TransactionPartialSigner`. What
 * fails rejects with a `SignerError`.
 *
 * @category models
 * @since 0.1.0
 */
export interface SolanaSigner {
  readonly address: Address
  readonly signMessages: (
    messages: ReadonlyArray<{ readonly content: Uint8Array }>,
    config?: Config
  ) => Promise<ReadonlyArray<Signatures>>
  readonly signTransactions: (
    transactions: ReadonlyArray<{ readonly messageBytes: ReadonlyBytes }>,
    config?: Config
  ) => Promise<ReadonlyArray<Signatures>>
}

/**
 * The address of an Ed25519 key: base58 of its 32 bytes; `undefined` for other
 * keys.
 *
 * @category names
 * @since 0.1.0
 */
export const address = (key: PublicKey.PublicKey): Address | undefined =>
  key.type === "Ed25519" ? (base58.encode(key.bytes) as Address) : undefined

const concurrency = 10

/**
 * Makes a signer for `@solana/kit` with the Signer of the context.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: {
    /** What the key must be for: a Signer of another purpose is refused. */
    readonly purpose?: string | undefined
  } = {}
): Effect.fn.Return<SolanaSigner, SignerError, Signer.Signer> {
  const signer = yield* signerFor({ library: "Solana", algorithms: ["Ed25519"], purpose: options.purpose })
  const key = yield* signer.publicKey()
  const toPromise = yield* run
  const sign = signAs(signer, key)
  const by = address(key)!

  /** Copies at once: the last of many messages is signed when the caller is long past this. */
  const signAll = (messages: ReadonlyArray<Uint8Array>, config: Config | undefined) =>
    toPromise(
      Effect.forEach(
        messages.map((message) => (isBytes(message) ? new Uint8Array(message) : message)),
        (message) =>
          Effect.map(sign(message), (signature): Signatures =>
            Object.freeze({ [by]: new Uint8Array(signature.bytes) as SignatureBytes })
          ),
        { concurrency }
      ),
      config?.abortSignal
    )

  // frozen, as the signers of kit are: it tells signers apart by identity
  return Object.freeze({
    address: by,
    signMessages: async (messages, config) =>
      signAll(
        messages.map(({ content }) => content),
        config
      ),
    signTransactions: async (transactions, config) =>
      signAll(
        transactions.map(({ messageBytes }) => messageBytes as Uint8Array),
        config
      )
  } satisfies SolanaSigner)
})
