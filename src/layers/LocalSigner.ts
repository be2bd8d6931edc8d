/**
 * Signs with a private key in this process: for development, for tests, and
 * where a key file is the best a host offers.
 *
 * **Details**
 *
 * Native cryptography on Node, `@noble/curves` elsewhere. The key is parsed once,
 * when the Signer is made. Signatures that take over about 200 microseconds (RSA,
 * P-384, P-521, secp256k1, ML-DSA, messages over 64 KiB) run on the libuv pool;
 * the short ones are synchronous. BIP340 is pure JavaScript and takes about
 * 2 ms of this thread.
 *
 * **Gotchas**
 *
 * Whoever reads this process's memory has the key. A key that matters belongs in
 * a KMS, an HSM or an agent: only the layer changes.
 *
 * **Example** (A key from a PEM file)
 *
 * ```ts
 * import { LocalSigner, PrivateKey } from "effect-signer"
 *
 * const signerFrom = (pem: string) => LocalSigner.layer({ privateKey: PrivateKey.fromPem(pem) })
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import { primitives } from "#primitives"
import type { KeyId } from "../schemas/KeyId.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
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
 * A Signer with a private key in this process.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where the algorithm is not certain or the key
 * cannot be read, and with `UnsupportedAlgorithm` where this runtime lacks it
 * (ML-DSA needs Node 24 or `@noble/post-quantum`).
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options: Options) => Effect.Effect<Service, SignerError> = LocalBackend.make("local", primitives)

/**
 * Provides a `Signer` with a private key in this process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Signer, SignerError> => Layer.effect(Signer, make(options))

/**
 * Provides a `Signer` with a new key that dies with the process.
 *
 * **Gotchas**
 *
 * Refuses to be built where `NODE_ENV` is `production`, unless
 * `allowInProduction`: signatures by a key nobody can name tomorrow are rarely
 * meant.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerGenerated = (
  algorithm: SignatureAlgorithm,
  options?: {
    readonly keyId?: KeyId | undefined
    readonly purpose?: string | undefined
    /** RSA only, in bits. Default 3072. */
    readonly modulusLength?: number | undefined
    readonly allowInProduction?: boolean | undefined
  }
): Layer.Layer<Signer, SignerError> =>
  Layer.effect(
    Signer,
    Effect.suspend(() =>
      make({
        privateKey: PrivateKey.generate(algorithm, { modulusLength: options?.modulusLength }),
        algorithm,
        keyId: options?.keyId,
        purpose: options?.purpose,
        allowInProduction: options?.allowInProduction
      })
    )
  )

/**
 * What {@link layerConfig} reads.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigOptions {
  /** PEM text: `PRIVATE KEY`, `ENCRYPTED PRIVATE KEY`, `EC PRIVATE KEY` or `RSA PRIVATE KEY`. */
  readonly pem: Redacted.Redacted<string>
  /** Of an `ENCRYPTED PRIVATE KEY`. */
  readonly passphrase?: Redacted.Redacted<string> | undefined
  readonly algorithm?: SignatureAlgorithm | undefined
  readonly keyId?: KeyId | undefined
  readonly purpose?: string | undefined
}

/**
 * Provides a `Signer` with a PEM key from `Config`.
 *
 * **Example** (A key from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import { LocalSigner } from "effect-signer"
 *
 * const SignerLive = LocalSigner.layerConfig({ pem: Config.Redacted("SIGNING_KEY") })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<ConfigOptions>
): Layer.Layer<Signer, SignerError | Config.ConfigError> =>
  Layer.effect(
    Signer,
    Effect.flatMap(Config.unwrap(config), ({ passphrase, pem, ...options }) =>
      make({ ...options, privateKey: PrivateKey.fromPem(pem, { passphrase, algorithm: options.algorithm }) })
    )
  )
