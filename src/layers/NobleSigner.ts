/**
 * Signs with a private key in this process in pure JavaScript, on
 * `@noble/curves`: the same on Node, in browsers and on the edge.
 *
 * **Details**
 *
 * Uses nothing of `node:`. RSA goes through WebCrypto, ML-DSA through the
 * optional `@noble/post-quantum`.
 *
 * **Gotchas**
 *
 * Ten to twenty times slower than `LocalSigner` on Node, and constant time only
 * as far as JavaScript allows. In a browser `LocalSigner` is already this.
 *
 * **Example** (The same key in a browser)
 *
 * ```ts
 * import { PrivateKey } from "effect-signer"
 * import * as NobleSigner from "effect-signer/NobleSigner"
 *
 * const SignerLive = NobleSigner.layer({ privateKey: PrivateKey.generate("Ed25519") })
 * ```
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { primitives } from "../primitives/portable.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import * as LocalBackend from "../services/LocalBackend.ts"
import type { Options } from "../services/LocalBackend.ts"
import type { Service } from "../services/Signer.ts"
import { Signer } from "../services/Signer.ts"

export type {
  /**
   * Options of {@link make} and {@link layer}.
   *
   * @category models
   * @since 0.1.0
   */
  Options
}

/**
 * A Signer with a private key in this process, in pure JavaScript.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options: Options) => Effect.Effect<Service, SignerError> = LocalBackend.make("noble", primitives)

/**
 * Provides a `Signer` with a private key in this process, in pure JavaScript.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Signer, SignerError> => Layer.effect(Signer, make(options))
