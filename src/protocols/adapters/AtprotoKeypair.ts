/**
 * The `Keypair` of `@atproto/crypto`: repositories, PLC operations and service
 * tokens of AT Protocol signed with a key elsewhere.
 *
 * **Details**
 *
 * P-256 (`ES256`) or secp256k1 (`ES256K`), 64 bytes `r‖s`. AT Protocol demands
 * low-S of both curves; backends do not make it for P-256, this does.
 *
 * **Gotchas**
 *
 * The DID is that of the key as it was when this was made. A signature by another
 * version, after the key was rotated, rejects.
 *
 * **Example** (Signing as `did:key`)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LocalSigner } from "effect-signer"
 * import * as AtprotoKeypair from "effect-signer/AtprotoKeypair"
 *
 * const program = Effect.gen(function*() {
 *   const keypair = yield* AtprotoKeypair.make()
 *   const signature = yield* Effect.promise(() => keypair.sign(new TextEncoder().encode("a commit")))
 *   return [keypair.did(), signature]
 * }).pipe(Effect.provide(LocalSigner.layerGenerated("ES256")))
 *
 * const result = Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 */
import { base58 } from "@scure/base"
import * as Effect from "effect/Effect"
import * as Ecdsa from "../../schemas/Ecdsa.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import { InvalidResponse } from "../../schemas/SignerError.ts"
import * as Signer from "../../services/Signer.ts"
import { run, signAs, signerFor } from "./Adapter.ts"

/**
 * The `Keypair` of `@atproto/crypto`.
 *
 * @category models
 * @since 0.1.0
 */
export interface AtprotoKeypair {
  readonly jwtAlg: "ES256" | "ES256K"
  /** The `did:key` of the public key. */
  readonly did: () => string
  /** Hashes with SHA-256 and signs. What fails rejects with a `SignerError`. */
  readonly sign: (message: Uint8Array) => Promise<Uint8Array<ArrayBuffer>>
}

/** By key type: the multicodec prefix of the public key as a varint (`p256-pub` 0x1200, `secp256k1-pub` 0xe7). */
const prefixes = { "P-256": [0x80, 0x24], secp256k1: [0xe7, 0x01] } as const

type AtprotoCurve = keyof typeof prefixes

/**
 * The `did:key` of a P-256 or secp256k1 key (atproto.com/specs/cryptography);
 * `undefined` for other keys.
 *
 * @category names
 * @since 0.1.0
 */
export const did = (key: PublicKey.PublicKey): string | undefined =>
  Object.hasOwn(prefixes, key.type)
    ? `did:key:z${base58.encode(Uint8Array.of(...prefixes[key.type as AtprotoCurve], ...PublicKey.toCompressed(key)!))}`
    : undefined

/**
 * Makes a `Keypair` of `@atproto/crypto` with the Signer of the context.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: {
    /** What the key must be for: a Signer of another purpose is refused. */
    readonly purpose?: string | undefined
  } = {}
): Effect.fn.Return<AtprotoKeypair, SignerError, Signer.Signer> {
  const signer = yield* signerFor({
    library: "AT Protocol",
    algorithms: ["ES256", "ES256K"],
    purpose: options.purpose
  })
  const key = yield* signer.publicKey()
  const toPromise = yield* run
  const sign = signAs(signer, key)
  const name = did(key)!

  return {
    jwtAlg: signer.algorithm as "ES256" | "ES256K",
    did: () => name,
    sign: (message) =>
      toPromise(
        Effect.flatMap(sign(message), ({ bytes }) => {
          const low = Ecdsa.toLowS(bytes, key.type as AtprotoCurve)
          return low === undefined
            ? Effect.fail(
                new InvalidResponse({
                  backend: signer.backend,
                  keyId: signer.keyId,
                  operation: "sign",
                  problem: "s of the signature is not from 1 to n - 1"
                })
              )
            : Effect.succeed(new Uint8Array(low))
        })
      )
  }
})
