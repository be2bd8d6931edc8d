/**
 * Signs with a WebCrypto `CryptoKey`, which may be non-extractable: then not even
 * this program can read the key.
 *
 * **Gotchas**
 *
 * Each signature is asynchronous and costs about twice the native synchronous
 * one. WebCrypto has no secp256k1; ML-DSA is not offered here.
 *
 * **Example** (A browser key that cannot be exported)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import * as WebCryptoSigner from "effect-signer/WebCryptoSigner"
 *
 * const SignerLive = Layer.unwrap(Effect.map(
 *   Effect.promise(() => crypto.subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"])),
 *   (pair) => WebCryptoSigner.layer(pair as CryptoKeyPair)
 * ))
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { webCryptoParameters } from "../primitives/webCryptoParameters.ts"
import type { KeyId } from "../schemas/KeyId.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration, KeyNotFound, KeyNotSigner, UnknownBackendError } from "../schemas/SignerError.ts"
import * as Signer from "../services/Signer.ts"
import * as Verifier from "../services/Verifier.ts"
import { fromCryptoKey } from "../schemas/WebCrypto.ts"

/**
 * A key pair, as `crypto.subtle.generateKey` returns it, and its name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly privateKey: CryptoKey
  /** Extractable, as public keys are. */
  readonly publicKey: CryptoKey
  /** Default: `urn:kms:<curve>:<fingerprint>` of the public key. */
  readonly keyId?: KeyId | undefined
  readonly purpose?: string | undefined
}

const backend = "web-crypto"

/**
 * A Signer with a `CryptoKey`. Signs and verifies once while it is made, so that
 * a pair that does not belong together is refused.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Signer.Service, SignerError> {
  const key = yield* fromCryptoKey(options.publicKey)
  const algorithm = yield* PublicKey.resolveAlgorithm(key)
  const keyId = options.keyId ?? PublicKey.keyId(key)
  const context = { backend, keyId, operation: "make" } as const
  const { operation } = webCryptoParameters[algorithm]!
  if (options.privateKey.type !== "private" || !options.privateKey.usages.includes("sign")) {
    return yield* new KeyNotSigner(context)
  }
  const sign = (message: Uint8Array) =>
    Effect.tryPromise({
      try: () => crypto.subtle.sign(operation, options.privateKey, message as Uint8Array<ArrayBuffer>),
      catch: () => new UnknownBackendError({ backend, keyId, operation: "sign" })
    })
  const probe = new Uint8Array(1)
  const refused = new InvalidConfiguration({
    ...context,
    field: "privateKey",
    problem: "it is not the private half of publicKey"
  })
  const signature = yield* Effect.mapError(sign(probe), () => refused)
  const isPair = yield* Verifier.verify(key, probe, new Uint8Array(signature))
  if (!isPair) return yield* refused

  return yield* Signer.make(
    {
      name: backend,
      keyId,
      algorithm,
      input: "message",
      publicKey: (version) =>
        version === undefined
          ? Effect.succeed(key)
          : Effect.fail(KeyNotFound.version({ backend, keyId, operation: "publicKey" }, version)),
      sign: (message) => Effect.map(sign(message), (bytes) => ({ bytes: new Uint8Array(bytes) }))
    },
    { purpose: options.purpose }
  )
})

/**
 * Provides a `Signer` with a `CryptoKey`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Signer.Signer, SignerError> =>
  Layer.effect(Signer.Signer, make(options))
