/**
 * Public keys to and from WebCrypto's `CryptoKey` and `effect/crypto`'s
 * `Signature.PublicKey`.
 *
 * **Details**
 *
 * To sign with a `CryptoKey`, extractable or not, use `effect-signer/WebCryptoSigner`.
 *
 * **Gotchas**
 *
 * Touches `effect/crypto`, which Effect tags unstable: pin `effect` to `~4.1.0`
 * where you import this. WebCrypto has no secp256k1; ML-DSA is not offered here.
 *
 * **Example** (A published key for `effect/crypto`)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PublicKey } from "effect-signer"
 * import * as WebCrypto from "effect-signer/WebCrypto"
 *
 * const toEffect = (jwk: unknown) =>
 *   Effect.flatMap(PublicKey.fromJwk(jwk), (key) => WebCrypto.toEffectPublicKey(key))
 * ```
 *
 * @since 0.1.0
 */
import * as EffectSignature from "effect/crypto/Signature"
import * as Effect from "effect/Effect"
import { webCryptoParameters } from "../primitives/webCryptoParameters.ts"
import * as PublicKey from "./PublicKey.ts"
import * as SignatureAlgorithm from "./SignatureAlgorithm.ts"
import { InvalidConfiguration, UnsupportedAlgorithm } from "./SignerError.ts"

const unsupported = (algorithm: SignatureAlgorithm.SignatureAlgorithm) =>
  new UnsupportedAlgorithm({
    backend: "web-crypto",
    keyId: "-",
    operation: "parse",
    algorithm,
    problem: "WebCrypto has no such algorithm, or this module does not offer it"
  })

const refused = (problem: string) => InvalidConfiguration.of({ backend: "web-crypto", field: "key", problem })

/**
 * A `CryptoKey` with the usage `verify`, for the key's algorithm.
 *
 * **Details**
 *
 * `algorithm` is required where the key allows several: RSA. Fails with
 * `UnsupportedAlgorithm` for secp256k1 and ML-DSA.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toCryptoKey = Effect.fnUntraced(function* (
  key: PublicKey.PublicKey,
  options?: { readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm | undefined }
): Effect.fn.Return<CryptoKey, InvalidConfiguration | UnsupportedAlgorithm> {
  const algorithm = yield* PublicKey.resolveAlgorithm(key, options?.algorithm)
  const parameters = webCryptoParameters[algorithm]
  if (parameters === undefined) return yield* unsupported(algorithm)
  return yield* Effect.tryPromise({
    try: () => crypto.subtle.importKey("spki", new Uint8Array(PublicKey.toSpki(key)), parameters.key, true, ["verify"]),
    catch: () => refused("this runtime's WebCrypto does not take the key")
  })
})

/** The algorithm of ours that a `CryptoKey` is for: WebCrypto binds RSA keys to one hash. */
const algorithmOf = (key: CryptoKey) =>
  SignatureAlgorithm.all.find((algorithm) => {
    const parameters = webCryptoParameters[algorithm]?.key
    const { hash, name, namedCurve } = key.algorithm as KeyAlgorithm & {
      readonly hash?: KeyAlgorithm
      readonly namedCurve?: string
    }
    return parameters?.name === name && parameters.hash === hash?.name && parameters.namedCurve === namedCurve
  })

/**
 * The public key of a `CryptoKey`, which must be public and extractable (all
 * public keys that a browser generates are).
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromCryptoKey = Effect.fnUntraced(function* (
  key: CryptoKey
): Effect.fn.Return<PublicKey.PublicKey, InvalidConfiguration> {
  if (key.type !== "public") return yield* refused(`a ${key.type} CryptoKey; pass the public one of the pair`)
  if (!key.extractable) return yield* refused("the CryptoKey is not extractable, so its bytes cannot be read")
  const algorithm = algorithmOf(key)
  if (algorithm === undefined)
    return yield* refused(`a CryptoKey for ${key.algorithm.name}, which is no signature key here`)
  const spki = yield* Effect.tryPromise({
    try: () => crypto.subtle.exportKey("spki", key),
    catch: () => refused("this runtime's WebCrypto does not export the key")
  })
  return yield* PublicKey.fromSpki(new Uint8Array(spki), { algorithm })
})

const effectAlgorithms: { readonly [A in SignatureAlgorithm.SignatureAlgorithm]?: EffectSignature.Algorithm } = {
  Ed25519: EffectSignature.ed25519,
  ES256: EffectSignature.ecdsaP256,
  ES384: EffectSignature.ecdsaP384,
  ES512: EffectSignature.ecdsaP521,
  PS256: EffectSignature.rsaPssSha256,
  PS384: EffectSignature.rsaPssSha384,
  PS512: EffectSignature.rsaPssSha512,
  RS256: EffectSignature.rsaPkcs1v15Sha256,
  RS384: EffectSignature.rsaPkcs1v15Sha384,
  RS512: EffectSignature.rsaPkcs1v15Sha512
}

/**
 * A public key of `effect/crypto`, for its `Signature` service.
 *
 * **Details**
 *
 * `algorithm` is required where the key allows several: RSA. Fails with
 * `UnsupportedAlgorithm` for secp256k1 and ML-DSA.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toEffectPublicKey = Effect.fnUntraced(function* (
  key: PublicKey.PublicKey,
  options?: { readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm | undefined }
): Effect.fn.Return<EffectSignature.PublicKey, InvalidConfiguration | UnsupportedAlgorithm> {
  const algorithm = yield* PublicKey.resolveAlgorithm(key, options?.algorithm)
  const target = effectAlgorithms[algorithm]
  if (target === undefined) return yield* unsupported(algorithm)
  const cryptoKey = yield* toCryptoKey(key, { algorithm })
  return yield* Effect.mapError(EffectSignature.publicKeyFromCryptoKey(target, cryptoKey), () =>
    refused("effect/crypto does not take the key")
  )
})

/**
 * The public key of an `effect/crypto` key.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromEffectPublicKey = Effect.fnUntraced(function* (
  key: EffectSignature.PublicKey
): Effect.fn.Return<PublicKey.PublicKey, InvalidConfiguration> {
  const algorithm = SignatureAlgorithm.all.find((candidate) => {
    const target = effectAlgorithms[candidate]
    return target !== undefined && target._tag === key.algorithm._tag && target.name === key.algorithm.name
  })
  if (algorithm === undefined) return yield* refused(`an effect/crypto key for ${key.algorithm.name}`)
  const bytes = yield* Effect.mapError(EffectSignature.toBytes(key), () =>
    refused("effect/crypto does not export the key")
  )
  return yield* SignatureAlgorithm.facts[algorithm].keyType === "RSA"
    ? PublicKey.fromSpki(bytes, { algorithm })
    : PublicKey.fromRaw(SignatureAlgorithm.facts[algorithm].keyType, bytes, { algorithm })
})
