/**
 * A signature that says who made it: algorithm, key, key version where the
 * backend has versions, and the canonical bytes.
 *
 * **Gotchas**
 *
 * `JSON.stringify(signature)` breaks the bytes. Encode with
 * `Schema.encodeEffect(Signature.SignatureJson)`: bytes become unpadded
 * base64url.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
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
 * the modulus, ML-DSA as FIPS 204 encodes it.
 *
 * @category models
 * @since 0.1.0
 */
export class Signature extends Schema.Class<Signature>("effect-signer/Signature")({
  algorithm: SignatureAlgorithm.SignatureAlgorithm,
  keyId: KeyId,
  keyVersion: Schema.optionalKey(KeyVersion),
  bytes: Schema.Uint8Array
}) {}

/**
 * The JSON form: the same fields, `bytes` in unpadded base64url.
 *
 * **Example** (Storing a signature as JSON)
 *
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Signature, Signer } from "effect-signer"
 *
 * const program = Effect.gen(function*() {
 *   const signature = yield* Signer.sign(new TextEncoder().encode("hello"))
 *   return yield* Schema.encodeEffect(Signature.SignatureJson)(signature)
 * })
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const SignatureJson = Schema.toCodecJson(Signature)

/**
 * The ASN.1 DER form of an ECDSA signature (RFC 3279 section 2.2.3), in new
 * bytes. `undefined` for algorithms that have none.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toDer = (self: Signature): Uint8Array | undefined =>
  SignatureAlgorithm.facts[self.algorithm].scheme === "ECDSA" ? Ecdsa.toDer(self.bytes) : undefined
