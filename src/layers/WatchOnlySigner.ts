/**
 * A Signer with a public key only: it names a key and verifies, and `sign` fails
 * with `KeyNotSigner`.
 *
 * **When to use**
 *
 * Where a program is wired for a Signer and this host may only watch: a verifier
 * node, a wallet view, a spec.
 *
 * **Example** (Watching a key)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PublicKey, Signer, WatchOnlySigner } from "effect-signer"
 *
 * const program = Effect.gen(function*() {
 *   const publicKey = yield* PublicKey.fromHex(
 *     "Ed25519",
 *     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
 *   )
 *   return yield* Signer.sign(new Uint8Array(1)).pipe(
 *     Effect.provide(WatchOnlySigner.layer({ publicKey })),
 *     Effect.catchTag("KeyNotSigner", () => Effect.succeed("watch-only"))
 *   )
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { KeyId } from "../schemas/KeyId.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { KeyNotFound, KeyNotSigner } from "../schemas/SignerError.ts"
import type { Service } from "../services/Signer.ts"
import * as Signer from "../services/Signer.ts"

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly publicKey: PublicKey.PublicKey
  /** Required where the key allows several and names none: RSA and secp256k1. */
  readonly algorithm?: SignatureAlgorithm | undefined
  /** Default: `urn:kms:<curve>:<fingerprint>` of the public key. */
  readonly keyId?: KeyId | undefined
  readonly purpose?: string | undefined
}

/**
 * A Signer that cannot sign.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Service, SignerError> {
  const name = "watch-only"
  const algorithm = yield* PublicKey.resolveAlgorithm(options.publicKey, options.algorithm)
  const keyId = options.keyId ?? PublicKey.keyId(options.publicKey)
  return yield* Signer.make(
    {
      name,
      keyId,
      algorithm,
      input: "message",
      publicKey: (version) =>
        version === undefined
          ? Effect.succeed(options.publicKey)
          : Effect.fail(KeyNotFound.version({ backend: name, keyId, operation: "publicKey" }, version)),
      sign: () => Effect.fail(new KeyNotSigner({ backend: name, keyId, operation: "sign" }))
    },
    { purpose: options.purpose }
  )
})

/**
 * Provides a `Signer` that cannot sign.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Signer.Signer, SignerError> =>
  Layer.effect(Signer.Signer, make(options))
