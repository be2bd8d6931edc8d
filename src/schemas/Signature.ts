/**
 * A signature that says who made it: algorithm, key, key version where the
 * backend has versions, and the canonical bytes.
 *
 * **Details**
 *
 * `JSON.stringify(signature)` writes the form of {@link SignatureJson}, which reads
 * it back: bytes are unpadded base64url.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { fromBase64Url } from "./BaseEncoding.ts"
import * as Ecdsa from "./Ecdsa.ts"
import { KeyId } from "./KeyId.ts"
import { KeyVersion } from "./KeyVersion.ts"
import * as SignatureAlgorithm from "./SignatureAlgorithm.ts"

/**
 * A signature and who made it.
 *
 * **Details**
 *
 * `bytes` are canonical: Ed25519 64 bytes, ECDSA raw `r‖s` (64, 96 or 132
 * bytes; `ES256K` is low-S), BIP340 64 bytes, RSA big-endian with the length of
 * the modulus, ML-DSA as FIPS 204 encodes it. Two signatures with the same fields
 * are `Equal`.
 *
 * @category models
 * @since 0.1.0
 */
export class Signature extends Data.Class<{
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm
  readonly keyId: KeyId
  readonly keyVersion?: KeyVersion | undefined
  readonly bytes: Uint8Array
}> {
  /** What {@link SignatureJson} encodes, so that `JSON.stringify` keeps the bytes. */
  toJSON(): typeof SignatureJson.Encoded {
    const { algorithm, bytes, keyId, keyVersion } = this
    const encoded = { algorithm, keyId, bytes: Base64Url.encode(bytes) }
    return keyVersion === undefined ? encoded : { ...encoded, keyVersion }
  }
}

/** Strict: one text per value, unlike Effect's own codec, which takes padding and line breaks. */
const BytesFromBase64Url = Schema.String.pipe(
  Schema.check(Schema.makeFilter((text) => fromBase64Url(text) !== undefined || "expected unpadded base64url")),
  Schema.decodeTo(
    Schema.Uint8Array,
    SchemaTransformation.transform({ decode: (text) => fromBase64Url(text)!, encode: Base64Url.encode })
  )
)

/**
 * The JSON form: the same fields, `bytes` in unpadded base64url.
 *
 * **Example** (Sending a signature, and reading it back)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Signature, Signer } from "effect-signer"
 *
 * const read = Schema.decodeUnknownEffect(Schema.fromJsonString(Signature.SignatureJson))
 *
 * const program = Effect.gen(function*() {
 *   const signature = yield* Signer.sign(new TextEncoder().encode("hello"))
 *   return yield* read(JSON.stringify(signature))
 * })
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const SignatureJson = Schema.Struct({
  algorithm: SignatureAlgorithm.SignatureAlgorithm,
  keyId: KeyId,
  keyVersion: Schema.optionalKey(KeyVersion),
  bytes: BytesFromBase64Url
}).pipe(
  Schema.check(
    Schema.makeFilter(({ algorithm, bytes }) => {
      const length = SignatureAlgorithm.facts[algorithm].signatureLength
      return length === undefined || bytes.length === length || `${algorithm} signatures have ${length} bytes`
    })
  ),
  Schema.decodeTo(
    Schema.instanceOf(Signature),
    SchemaTransformation.transform({
      decode: (fields) => new Signature(fields),
      encode: ({ algorithm, bytes, keyId, keyVersion }) =>
        keyVersion === undefined ? { algorithm, keyId, bytes } : { algorithm, keyId, keyVersion, bytes }
    })
  )
)

/**
 * The ASN.1 DER form of an ECDSA signature (RFC 3279 section 2.2.3), in new
 * bytes. `undefined` for algorithms that have none.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toDer = (self: Signature): Uint8Array | undefined =>
  SignatureAlgorithm.facts[self.algorithm].scheme === "ECDSA" ? Ecdsa.toDer(self.bytes) : undefined
