/**
 * How the holder of a key names it: an ARN, a path, a label, or the URN that is
 * computed from the public key. Never the key itself.
 *
 * @since 0.1.0
 */
import * as Hex from "effect/encoding/Hex"
import * as Schema from "effect/Schema"
import { primitives } from "#primitives"
import * as KeyMaterial from "./KeyMaterial.ts"
import type { KeyType, SignatureAlgorithm } from "./SignatureAlgorithm.ts"
import * as Spki from "./Spki.ts"

/**
 * A key id.
 *
 * @category schemas
 * @since 0.1.0
 */
export const KeyId = Schema.NonEmptyString.pipe(Schema.brand("effect-signer/KeyId"))

/**
 * The type of {@link KeyId}.
 *
 * @category models
 * @since 0.1.0
 */
export type KeyId = typeof KeyId.Type

/**
 * A key id from text that is not empty.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (text: string): KeyId => KeyId.make(text)

/**
 * What a key id is computed from: a `PublicKey` is one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Identified {
  readonly type: KeyType
  /** As `PublicKey.bytes` has them. */
  readonly bytes: Uint8Array
  readonly algorithm?: SignatureAlgorithm | undefined
}

const curveNames: { readonly [T in KeyType]: string } = {
  Ed25519: "ed25519",
  "P-256": "p256",
  "P-384": "p384",
  "P-521": "p521",
  secp256k1: "secp256k1",
  RSA: "rsa",
  "ML-DSA-44": "ml-dsa-44",
  "ML-DSA-65": "ml-dsa-65",
  "ML-DSA-87": "ml-dsa-87"
}

const types: ReadonlyMap<string, KeyType> = new Map(
  Object.entries(curveNames).map(([type, name]) => [name, type as KeyType])
)

/**
 * SHA-256 of the public key: of the 32 bytes of Ed25519, the compressed SEC1
 * point of a curve, the SPKI DER of RSA, the FIPS 204 bytes of ML-DSA.
 *
 * @internal
 */
export const digest = ({ bytes, type }: Identified): Uint8Array =>
  primitives.digest(
    "SHA-256",
    type === "RSA" ? Spki.encode({ type, bytes }) : KeyMaterial.isCurve(type) ? KeyMaterial.compress(bytes) : bytes
  )

/**
 * The URN of a public key: `urn:kms:<curve>:<fingerprint>`.
 *
 * **Details**
 *
 * The curve is one of `ed25519`, `p256`, `p384`, `p521`, `secp256k1`, `rsa`,
 * `ml-dsa-44`, `ml-dsa-65` and `ml-dsa-87`. The fingerprint is the first 16 bytes,
 * in lower-case hex, of SHA-256 over the public key: the 32 raw bytes of Ed25519,
 * the compressed SEC1 point of a curve, the SPKI DER of RSA, the FIPS 204 bytes of
 * ML-DSA.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromPublicKey = (key: Identified): KeyId =>
  make(`urn:kms:${curveNames[key.type]}:${Hex.encode(digest(key).subarray(0, 16))}`)

/**
 * What the URN of a key says.
 *
 * @category models
 * @since 0.1.0
 */
export interface Urn {
  readonly keyType: KeyType
  /** 32 lower-case hex digits; 16 in the older form. */
  readonly fingerprint: string
}

/**
 * Reads the URN of a public key, with a fingerprint of 16 bytes or, as older
 * URNs have, of 8. `undefined` for any other text.
 *
 * @category combinators
 * @since 0.1.0
 */
export const parseUrn = (text: string): Urn | undefined => {
  const match = /^urn:kms:([a-z0-9-]{1,16}):([0-9a-f]{16}|[0-9a-f]{32})$/.exec(text)
  const keyType = match === null ? undefined : types.get(match[1]!)
  return keyType === undefined ? undefined : { keyType, fingerprint: match![2]! }
}

/**
 * Tells whether a key id is the URN of this public key, in the 16-byte or in the
 * older 8-byte form.
 *
 * **Details**
 *
 * A BIP340 or BIP341 key is its x coordinate, and so matches the URN of either
 * point with it.
 *
 * @category guards
 * @since 0.1.0
 */
export const matches = (keyId: string, publicKey: Identified): boolean => {
  const urn = parseUrn(keyId)
  if (urn === undefined || urn.keyType !== publicKey.type) return false
  const isDigestOf = (key: Identified) => Hex.encode(digest(key)).startsWith(urn.fingerprint)
  return isDigestOf(publicKey) || (isXOnly(publicKey.algorithm) && isDigestOf(negated(publicKey)))
}

const isXOnly = (algorithm: SignatureAlgorithm | undefined) => algorithm === "BIP340" || algorithm === "BIP341"

/** The same x with a y of the other parity: enough for the compressed point. */
const negated = ({ bytes, type }: Identified): Identified => ({
  type,
  bytes: bytes.with(bytes.length - 1, bytes[bytes.length - 1]! ^ 1)
})
