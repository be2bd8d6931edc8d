/**
 * A signer for `@sigstore/sign`: bundles signed with a key of one's own, with no
 * certificate and no account at Fulcio.
 *
 * **Details**
 *
 * `DSSEBundleBuilder` and `MessageSignatureBundleBuilder` take it as `signer`.
 * Signatures are in the form that sigstore reads: DER for ECDSA. The bundle names
 * the key by a hint and does not hold it: give verifiers the key.
 *
 * The algorithms are those that `@sigstore/verify` can verify in both kinds of
 * bundle: `ES256` and `RS256`. Its bundles of attestations (DSSE) alone take
 * `Ed25519`, too: state `envelopesOnly`.
 *
 * **Example** (A signer for `@sigstore/sign`)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LocalSigner } from "effect-signer"
 * import * as SigstoreSigner from "effect-signer/SigstoreSigner"
 *
 * const program = Effect.gen(function*() {
 *   const signer = yield* SigstoreSigner.make()
 *   // new DSSEBundleBuilder({ signer, witnesses: [] }).create({ data, type: "application/vnd.in-toto+json" })
 *   return yield* Effect.promise(() => signer.sign(new TextEncoder().encode("an artifact")))
 * }).pipe(Effect.provide(LocalSigner.layerGenerated("ES256")))
 *
 * const result = Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import { primitives } from "#primitives"
import { isBytes } from "../../schemas/Bytes.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import * as Signature from "../../schemas/Signature.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import * as Signer from "../../services/Signer.ts"
import { misconfigured, run, signerFor } from "./Adapter.ts"

/**
 * What `@sigstore/sign` takes as a signer. The signature is an array of bytes of
 * the kind that was signed: a `Buffer` for a `Buffer`, as sigstore wants it.
 *
 * @category models
 * @since 0.1.0
 */
export interface SigstoreSigner {
  readonly sign: <Bytes extends Uint8Array>(
    data: Bytes
  ) => Promise<{
    signature: Bytes
    key: { $case: "publicKey"; publicKey: string; hint: string }
  }>
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** By what verifiers find the key. Default: {@link hint} of the key that signed. */
  readonly hint?: string | undefined
  /** Only for DSSE envelopes, which may be by an Ed25519 key. Default `false`. */
  readonly envelopesOnly?: boolean | undefined
  /** What the key must be for: a Signer of another purpose is refused. */
  readonly purpose?: string | undefined
}

/**
 * The hint of a key where none is stated, as cosign and sigstore-go write it: the
 * base64 of SHA-256 of the SPKI DER.
 *
 * @category names
 * @since 0.1.0
 */
export const hint = (key: PublicKey.PublicKey): string =>
  Base64.encode(primitives.digest("SHA-256", PublicKey.toSpki(key)))

/** Bytes in an array of the same kind: `Buffer` has the `from` of `Uint8Array`. */
const like = <Bytes extends Uint8Array>(bytes: Uint8Array, model: Bytes): Bytes =>
  (model.constructor as unknown as { readonly from: (bytes: Uint8Array) => Uint8Array }).from(bytes) as Bytes

/**
 * Makes a signer for `@sigstore/sign` with the Signer of the context. What fails
 * rejects with a `SignerError`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<SigstoreSigner, SignerError, Signer.Signer> {
  const signer = yield* signerFor({
    library: options.envelopesOnly === true ? "a DSSE envelope of sigstore" : "sigstore",
    algorithms: options.envelopesOnly === true ? ["ES256", "RS256", "Ed25519"] : ["ES256", "RS256"],
    purpose: options.purpose
  })
  const toPromise = yield* run

  const sign = Effect.fnUntraced(function* <Bytes extends Uint8Array>(data: Bytes) {
    if (!isBytes(data)) return yield* misconfigured("data", "expected bytes")
    const signature = yield* signer.sign(data)
    const key = yield* signer.publicKey(signature.keyVersion)
    return {
      signature: like(Signature.toDer(signature) ?? signature.bytes, data),
      key: { $case: "publicKey" as const, publicKey: PublicKey.toPem(key), hint: options.hint ?? hint(key) }
    }
  })

  return { sign: (data) => toPromise(sign(data)) }
})
