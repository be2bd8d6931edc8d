/**
 * **Dangerous.** Signs a digest that was made elsewhere.
 *
 * Whoever may choose the digest may have anything signed: the signer cannot see
 * the message, no `guard` can inspect it, and a digest of one protocol's message
 * may be a valid message of another. Use `Signer` unless the message truly cannot
 * be handed over: a file of many gigabytes, a transaction hash with a hash
 * function that no algorithm here names.
 *
 * **Details**
 *
 * ECDSA and RSA only. Ed25519, BIP340 and ML-DSA sign messages: their prehashed
 * variants are other algorithms, and nothing here pretends otherwise.
 *
 * {@link Digest} values come from {@link digest} and {@link digestStream}, over a
 * message that this program saw. {@link digestFromBytesUnsafe} takes bytes on
 * trust.
 *
 * **Example** (Signing a file too large for memory)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { PrivateKey } from "effect-signer"
 * import * as DangerousPrehash from "effect-signer/DangerousPrehash"
 *
 * const signStream = (pem: string, chunks: Stream.Stream<Uint8Array>) =>
 *   Effect.gen(function*() {
 *     const signer = yield* DangerousPrehash.makeLocal({ privateKey: PrivateKey.fromPem(pem), algorithm: "ES256" })
 *     const digest = yield* DangerousPrehash.digestStream("SHA-256", chunks)
 *     return yield* signer.signDigest(digest)
 *   })
 * ```
 *
 * @since 0.1.0
 */
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { primitives } from "#primitives"
import { prepareSignDigest } from "../primitives/prehash.ts"
import { isBytes } from "../schemas/Bytes.ts"
import type * as Ecdsa from "../schemas/Ecdsa.ts"
import type { KeyId } from "../schemas/KeyId.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import * as PrivateKeySecret from "../schemas/PrivateKeySecret.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { Signature } from "../schemas/Signature.ts"
import * as SignatureAlgorithm from "../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration, KeyNotFound, UnsupportedAlgorithm } from "../schemas/SignerError.ts"
import { privateKeyOf } from "./LocalBackend.ts"
import type { Options } from "./LocalBackend.ts"
import { backendOf, toSignature } from "./Signer.ts"
import type { Backend, Service } from "./Signer.ts"

const TypeId = "~effect-signer/DangerousPrehash/Digest" as const

/**
 * The output of a hash function, and which function that was.
 *
 * @category models
 * @since 0.1.0
 */
export interface Digest {
  readonly [TypeId]: typeof TypeId
  readonly hash: SignatureAlgorithm.Hash
  /** A copy of its own, 32, 48 or 64 bytes. */
  readonly bytes: Uint8Array
}

const makeDigest = (hash: SignatureAlgorithm.Hash, bytes: Uint8Array): Digest => ({ [TypeId]: TypeId, hash, bytes })

/**
 * The digest of a message.
 *
 * @category constructors
 * @since 0.1.0
 */
export const digest = (hash: SignatureAlgorithm.Hash, message: Uint8Array): Digest =>
  makeDigest(hash, primitives.digest(hash, message))

const incremental = { "SHA-256": sha256, "SHA-384": sha384, "SHA-512": sha512 } as const

/**
 * The digest of a message that arrives in chunks and is never held whole.
 *
 * @category constructors
 * @since 0.1.0
 */
export const digestStream = <E, R>(
  hash: SignatureAlgorithm.Hash,
  message: Stream.Stream<Uint8Array, E, R>
): Effect.Effect<Digest, E, R> =>
  Effect.suspend(() => {
    const state = incremental[hash].create()
    return message.pipe(
      Stream.runForEach((chunk) => Effect.sync(() => void state.update(chunk))),
      Effect.map(() => makeDigest(hash, state.digest()))
    )
  })

const lengths: { readonly [H in SignatureAlgorithm.Hash]: number } = { "SHA-256": 32, "SHA-384": 48, "SHA-512": 64 }

/**
 * A digest from bytes, taken on trust: `hash` says only how long it must be and
 * which algorithms take it. For hash functions this toolkit does not have, such as
 * Keccak-256 in place of SHA-256 on Ethereum.
 *
 * @category constructors
 * @since 0.1.0
 */
export const digestFromBytesUnsafe = (
  hash: SignatureAlgorithm.Hash,
  bytes: Uint8Array
): Effect.Effect<Digest, InvalidConfiguration> =>
  isBytes(bytes) && bytes.length === lengths[hash]
    ? Effect.succeed(makeDigest(hash, new Uint8Array(bytes)))
    : Effect.fail(
        InvalidConfiguration.of({
          field: "digest",
          // The hex of a SHA-256 digest is as long as a SHA-512 one, and `new Uint8Array(hex)` is empty
          problem: isBytes(bytes)
            ? `${bytes.length} bytes, a ${hash} digest has ${lengths[hash]}`
            : "expected a Uint8Array, not its hex or base64"
        })
      )

/**
 * Signs digests with one key and one algorithm.
 *
 * @category models
 * @since 0.1.0
 */
export interface PrehashSigner {
  readonly backend: string
  readonly keyId: KeyId
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm
  readonly publicKey: Effect.Effect<PublicKey.PublicKey, SignerError>
  /** The same signature that `Signer.sign` makes over the message of this digest. */
  readonly signDigest: (digest: Digest) => Effect.Effect<Signature, SignerError>
}

/**
 * A prehash signer over a {@link Backend} whose `input` is `"digest"`.
 *
 * **Details**
 *
 * Fails with `UnsupportedAlgorithm` where the backend takes messages. One call,
 * no retry. A digest by another hash than the algorithm's is
 * `InvalidConfiguration`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  backend: Backend
): Effect.fn.Return<PrehashSigner, UnsupportedAlgorithm> {
  const { algorithm, keyId, name } = backend
  const context = { backend: name, keyId, operation: "sign" } as const
  const { hash } = SignatureAlgorithm.facts[algorithm]
  const finish = toSignature(backend)
  if (backend.input !== "digest" || hash === undefined) {
    return yield* new UnsupportedAlgorithm({
      ...context,
      operation: "make",
      algorithm,
      problem: "the backend signs messages, not digests"
    })
  }
  return {
    backend: name,
    keyId,
    algorithm,
    publicKey: backend.publicKey(),
    signDigest: Effect.fnUntraced(function* (digest): Effect.fn.Return<Signature, SignerError> {
      if (digest.hash !== hash) {
        return yield* new InvalidConfiguration({
          ...context,
          field: "digest",
          problem: `a ${digest.hash} digest; ${algorithm} signs ${hash}`
        })
      }
      return yield* Effect.flatMap(backend.sign(digest.bytes), finish)
    })
  }
})

/**
 * A prehash signer with the key of a Signer whose backend takes digests: AWS KMS,
 * Google Cloud KMS, Azure Key Vault, Vault and PKCS#11, with ECDSA and RSA keys.
 *
 * **Details**
 *
 * One call, no retry. The public key is that of the Signer, from its cache.
 *
 * **Gotchas**
 *
 * The Signer must be bare, as `make` and `layerBare` of its backend make it. One
 * with decorators is refused with `UnsupportedAlgorithm`: a guard or an audit
 * would not see the message, and nobody may pass it by. Local keys sign messages:
 * {@link makeLocal} is for these.
 *
 * **Example** (A digest signed by AWS KMS)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as AwsKmsSigner from "effect-signer/AwsKmsSigner"
 * import * as DangerousPrehash from "effect-signer/DangerousPrehash"
 *
 * const signDigest = (digest: DangerousPrehash.Digest) =>
 *   Effect.gen(function*() {
 *     const signer = yield* AwsKmsSigner.make({ keyId: "alias/release", region: "eu-central-1" })
 *     const prehash = yield* DangerousPrehash.fromSigner(signer)
 *     return yield* prehash.signDigest(digest)
 *   }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSigner = (signer: Service): Effect.Effect<PrehashSigner, UnsupportedAlgorithm> => {
  const backend = backendOf(signer)
  return backend?.input === "digest"
    ? make({ ...backend, publicKey: signer.publicKey })
    : Effect.fail(
        new UnsupportedAlgorithm({
          backend: signer.backend,
          keyId: signer.keyId,
          operation: "make",
          algorithm: signer.algorithm,
          problem:
            backend === undefined
              ? "a decorated Signer signs no digests, because its rules would not see the message; use the bare one"
              : "the backend signs messages, not digests; for a key in this process use DangerousPrehash.makeLocal"
        })
      )
}

/**
 * A prehash signer with an ECDSA key in this process.
 *
 * **Gotchas**
 *
 * Pure JavaScript, about half a millisecond per signature: no runtime signs a
 * digest natively.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeLocal = Effect.fnUntraced(function* (
  options: Pick<Options, "privateKey" | "algorithm" | "keyId" | "allowInProduction">
): Effect.fn.Return<PrehashSigner, SignerError> {
  const name = "local-prehash"
  const privateKey = yield* privateKeyOf(name, options)
  const algorithm = yield* PublicKey.resolveAlgorithm(privateKey.publicKey, options.algorithm ?? privateKey.algorithm)
  const publicKey = yield* PublicKey.withAlgorithm(privateKey.publicKey, algorithm)
  const keyId = options.keyId ?? PublicKey.keyId(publicKey)
  const { keyType, scheme } = SignatureAlgorithm.facts[algorithm]
  if (scheme !== "ECDSA") {
    return yield* new UnsupportedAlgorithm({
      backend: name,
      keyId,
      operation: "make",
      algorithm,
      problem: "only ECDSA signs digests with a local key"
    })
  }
  if (PrivateKey.isWiped(privateKey)) {
    return yield* InvalidConfiguration.of({
      backend: name,
      operation: "make",
      field: "privateKey",
      problem: "the key was wiped"
    })
  }
  const sign = yield* Effect.promise(() =>
    prepareSignDigest(keyType as Ecdsa.Curve, PrivateKeySecret.secretBytes(privateKey))
  )
  return yield* make({
    name,
    keyId,
    algorithm,
    input: "digest",
    publicKey: (version) =>
      version === undefined
        ? Effect.succeed(publicKey)
        : Effect.fail(new KeyNotFound({ backend: name, keyId, operation: "publicKey" })),
    sign: (input) => Effect.sync(() => ({ bytes: sign(input) }))
  })
})
