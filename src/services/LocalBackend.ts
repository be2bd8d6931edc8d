/**
 * A {@link Backend} over a private key in this process, on either
 * implementation of the primitives. `LocalSigner` and `NobleSigner` are this.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { Primitives, Sign } from "../primitives/Primitives.ts"
import { Unsupported } from "../primitives/Primitives.ts"
import type { KeyId } from "../schemas/KeyId.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import * as PrivateKeySecret from "../schemas/PrivateKeySecret.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import type { ErrorContext, SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration, KeyNotFound, UnsupportedAlgorithm } from "../schemas/SignerError.ts"
import { refuseInProduction } from "./Ephemeral.ts"
import * as Signer from "./Signer.ts"

/**
 * Options of a Signer with a private key in this process.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The key, or how to get it: `PrivateKey.fromPem(pem)`, `PrivateKey.generate("Ed25519")`. */
  readonly privateKey: PrivateKey.PrivateKey | Effect.Effect<PrivateKey.PrivateKey, SignerError>
  /** Required where the key allows several and names none: RSA and secp256k1. */
  readonly algorithm?: SignatureAlgorithm | undefined
  /** Default: `urn:kms:<curve>:<fingerprint>` of the public key. */
  readonly keyId?: KeyId | undefined
  readonly purpose?: string | undefined
  /** `BIP341` only: the 32-byte Merkle root of the script tree. Absent: a key-path-only output. */
  readonly merkleRoot?: Uint8Array | undefined
  /** Allow a key from `PrivateKey.generate` where `NODE_ENV` is `production`. It dies with the process. */
  readonly allowInProduction?: boolean | undefined
}

/** The key of the options. One that `PrivateKey.generate` made is refused in production, unless that is allowed. */
export const privateKeyOf = Effect.fnUntraced(function* (
  name: string,
  options: Pick<Options, "privateKey" | "allowInProduction">
): Effect.fn.Return<PrivateKey.PrivateKey, SignerError> {
  const privateKey = Effect.isEffect(options.privateKey) ? yield* options.privateKey : options.privateKey
  if (PrivateKeySecret.isGenerated(privateKey)) {
    yield* refuseInProduction(name, "a key that dies with the process", options.allowInProduction)
  }
  return privateKey
})

/** An algorithm that this runtime lacks is a typed error; anything else is a bug. */
const attempt = <A>(context: ErrorContext, algorithm: string, evaluate: () => Promise<A>) =>
  Effect.catch(Effect.tryPromise({ try: evaluate, catch: (error) => error }), (error) =>
    error instanceof Unsupported
      ? Effect.fail(new UnsupportedAlgorithm({ ...context, algorithm, problem: error.message }))
      : Effect.die(error)
  )

/** @internal */
export const make = (name: string, primitives: Primitives) =>
  Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Signer.Service, SignerError> {
    const privateKey = yield* privateKeyOf(name, options)
    const merkleRoot = options.merkleRoot?.slice()
    const internalKey = privateKey.publicKey
    const algorithm = yield* PublicKey.resolveAlgorithm(internalKey, options.algorithm ?? privateKey.algorithm)
    const context = { backend: name, keyId: options.keyId ?? PublicKey.keyId(internalKey), operation: "make" } as const
    if (merkleRoot !== undefined && (algorithm !== "BIP341" || merkleRoot.length !== 32)) {
      return yield* new InvalidConfiguration({
        ...context,
        field: "merkleRoot",
        problem:
          algorithm === "BIP341" ? `${merkleRoot.length} bytes, expected 32` : `applies to BIP341, not to ${algorithm}`
      })
    }
    // BIP 341: what signs, and what verifies, is the tweaked output key
    const publicKey =
      algorithm === "BIP341"
        ? yield* Effect.flatMap(
            attempt(context, algorithm, () => primitives.taprootOutputKey(internalKey.bytes, merkleRoot)),
            (point) => PublicKey.fromRaw(internalKey.type, point, { algorithm })
          )
        : yield* PublicKey.withAlgorithm(internalKey, algorithm)
    const keyId = options.keyId ?? PublicKey.keyId(publicKey)
    // Our own copy, taken before anything waits: the key may be wiped meanwhile, and zeros are a seed, too.
    const secret = Effect.acquireRelease(
      Effect.sync(() => PrivateKeySecret.secretBytes(privateKey).slice()),
      (bytes) => Effect.sync(() => void bytes.fill(0))
    )
    const sign = yield* Effect.scoped(
      Effect.flatMap(secret, (bytes): Effect.Effect<Sign, SignerError> =>
        bytes.length === 0
          ? Effect.fail(new InvalidConfiguration({ ...context, field: "privateKey", problem: "the key was wiped" }))
          : attempt(context, algorithm, () => primitives.prepareSign(algorithm, bytes, { merkleRoot }))
      )
    )
    const inlineLimit = sign.inlineLimit ?? -1

    return yield* Signer.make(
      {
        name,
        keyId,
        algorithm,
        input: "message",
        publicKey: (version) =>
          version === undefined
            ? Effect.succeed(publicKey)
            : Effect.fail(new KeyNotFound({ backend: name, keyId, operation: "publicKey" })),
        signNow: (message) => (message.length <= inlineLimit ? { bytes: sign(message) as Uint8Array } : undefined),
        sign: (message) =>
          Effect.suspend(() => {
            const bytes = sign(message)
            return Predicate.isPromiseLike(bytes)
              ? Effect.map(
                  Effect.promise(() => bytes),
                  (bytes) => ({ bytes })
                )
              : Effect.succeed({ bytes })
          })
      },
      { purpose: options.purpose }
    )
  })
