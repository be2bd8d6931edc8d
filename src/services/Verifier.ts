/**
 * Local verification: a public key, a message, a signature, and no backend.
 *
 * The algorithm comes from the key (or is stated with it), never from the
 * message or the signature. A verifier answers `true` or `false` and never says
 * why.
 *
 * **Details**
 *
 * - Ed25519 is strict: canonical encodings, no small-order points, the
 *   cofactorless equation. `zip215` is an explicit option for consensus systems.
 * - RSA-PSS demands a salt as long as the hash.
 * - ECDSA signatures are raw `r‖s` unless `encoding: "der"` is declared; the
 *   encoding is never guessed. High-S is accepted unless `lowS` is set, which is
 *   Bitcoin's and Ethereum's rule, not that of JOSE, COSE or RFC 9421.
 *
 * **Gotchas**
 *
 * An ECDSA signature is malleable: never use its bytes as an identity.
 *
 * **Example** (Verifying with a published key)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PublicKey, Verifier } from "effect-signer"
 *
 * const program = Effect.gen(function*() {
 *   const publicKey = yield* PublicKey.fromHex(
 *     "Ed25519",
 *     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
 *   )
 *   return yield* Verifier.verify(publicKey, new Uint8Array(0), new Uint8Array(64)) // false
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { primitives } from "#primitives"
import type { Primitives } from "../primitives/Primitives.ts"
import { Unsupported } from "../primitives/Primitives.ts"
import { isBytes } from "../schemas/Bytes.ts"
import * as Ecdsa from "../schemas/Ecdsa.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import { Signature } from "../schemas/Signature.ts"
import * as SignatureAlgorithm from "../schemas/SignatureAlgorithm.ts"
import { InvalidConfiguration, UnsupportedAlgorithm } from "../schemas/SignerError.ts"

/**
 * Verifies signatures by one public key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verifier {
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm
  readonly publicKey: PublicKey.PublicKey
  /**
   * Whether the signature is by this key over this message. A {@link Signature}
   * of another algorithm is `false`.
   */
  readonly verify: (message: Uint8Array, signature: Uint8Array | Signature) => Effect.Effect<boolean>
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Required where the key allows several and names none: RSA and secp256k1. */
  readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm | undefined
  /** Ed25519 only. Default `"strict"`. */
  readonly ed25519?: "strict" | "zip215" | undefined
  /** ECDSA only: how signature bytes are encoded. Default `"raw"`. A `Signature` is always raw. */
  readonly encoding?: "raw" | "der" | undefined
  /** `ES256K` only: refuse `s` above half the order. Default `false`. */
  readonly lowS?: boolean | undefined
}

const misplaced = (field: string, algorithm: string, belongsTo: string) =>
  InvalidConfiguration.of({ operation: "verify", field, problem: `applies to ${belongsTo}, not to ${algorithm}` })

/** @internal */
export const makeWith = (primitives: Primitives) =>
  Effect.fnUntraced(function* (
    publicKey: PublicKey.PublicKey,
    options: Options = {}
  ): Effect.fn.Return<Verifier, InvalidConfiguration | UnsupportedAlgorithm> {
    const algorithm = yield* PublicKey.resolveAlgorithm(publicKey, options.algorithm)
    const { keyType, scheme } = SignatureAlgorithm.facts[algorithm]
    for (const [field, value, known] of [
      ["encoding", options.encoding, ["raw", "der"]],
      ["ed25519", options.ed25519, ["strict", "zip215"]]
    ] as const) {
      if (value !== undefined && !(known as ReadonlyArray<string>).includes(value)) {
        return yield* InvalidConfiguration.of({ operation: "verify", field, problem: `must be ${known.join(" or ")}` })
      }
    }
    const isDer = options.encoding === "der"
    if (isDer && scheme !== "ECDSA") return yield* misplaced("encoding", algorithm, "ECDSA")
    if (options.lowS === true && algorithm !== "ES256K") return yield* misplaced("lowS", algorithm, "ES256K")
    if (options.ed25519 !== undefined && scheme !== "EdDSA") return yield* misplaced("ed25519", algorithm, "Ed25519")
    const prepared = yield* Effect.tryPromise({
      try: () => primitives.prepareVerify(algorithm, publicKey.bytes, { ed25519: options.ed25519 }),
      catch: (error) => error
    }).pipe(
      Effect.catch((error) =>
        error instanceof Unsupported
          ? Effect.fail(
              new UnsupportedAlgorithm({
                backend: "verifier",
                keyId: "-",
                operation: "verify",
                algorithm,
                problem: error.message
              })
            )
          : Effect.die(error)
      )
    )
    const coordinate = scheme === "ECDSA" ? Ecdsa.coordinateLength[keyType as Ecdsa.Curve] : 0
    return {
      algorithm,
      publicKey,
      verify: (message, signature) =>
        Effect.suspend(() => {
          const isSignature = signature instanceof Signature
          if (isSignature && signature.algorithm !== algorithm) return Effect.succeed(false)
          const given = isSignature ? signature.bytes : signature
          if (!isBytes(message) || !isBytes(given)) return Effect.succeed(false)
          const bytes = isDer && !isSignature ? Ecdsa.fromDer(given, coordinate) : given
          if (bytes === undefined) return Effect.succeed(false)
          if (options.lowS === true && (bytes.length !== 64 || !Ecdsa.isLowS(bytes))) return Effect.succeed(false)
          const valid = prepared(message, bytes)
          return typeof valid === "boolean" ? Effect.succeed(valid) : Effect.promise(() => valid)
        })
    }
  })

/**
 * Prepares a verifier: parses the key once, so that many signatures by one key
 * cost only the verification.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where the algorithm is not certain or an
 * option does not apply to it, and with `UnsupportedAlgorithm` where this runtime
 * lacks it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (
  publicKey: PublicKey.PublicKey,
  options?: Options
) => Effect.Effect<Verifier, InvalidConfiguration | UnsupportedAlgorithm> = makeWith(primitives)

/**
 * Verifies one signature. {@link make} is cheaper for several by one key.
 *
 * @category combinators
 * @since 0.1.0
 */
export const verify = (
  publicKey: PublicKey.PublicKey,
  message: Uint8Array,
  signature: Uint8Array | Signature,
  options?: Options
): Effect.Effect<boolean, InvalidConfiguration | UnsupportedAlgorithm> =>
  Effect.flatMap(make(publicKey, options), (verifier) => verifier.verify(message, signature))
