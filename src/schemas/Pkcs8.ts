/**
 * `PrivateKeyInfo` (RFC 5208) and `OneAsymmetricKey` (RFC 5958): the DER of a
 * private key with its algorithm, in PEM the block `PRIVATE KEY`.
 *
 * @category internal
 */
import * as AlgorithmIdentifier from "./AlgorithmIdentifier.ts"
import * as Der from "./Der.ts"
import * as KeyMaterial from "./KeyMaterial.ts"
import * as Pkcs1 from "./Pkcs1.ts"
import * as Sec1 from "./Sec1.ts"
import type { KeyType } from "./SignatureAlgorithm.ts"

/** A public key that private key data carries. It must be the one that belongs to the secret. */
export interface Claim {
  readonly what: string
  readonly bytes: Uint8Array
}

/** A private key while it is being read. The bytes are views of the input. */
export interface PrivateMaterial {
  readonly type: KeyType
  /** As `Primitives` has it: a seed, a scalar, or a PKCS#1 `RSAPrivateKey`. */
  readonly secret: Uint8Array
  readonly claims: ReadonlyArray<Claim>
  /** ML-DSA: the expanded key (FIPS 204 algorithm 24) that came with the seed. */
  readonly expandedKey?: Uint8Array | undefined
}

type MlDsa = Extract<KeyType, `ML-DSA-${string}`>

/** FIPS 204: k and l (table 1), bytes of the expanded private key (table 2). */
const mlDsa: { readonly [T in MlDsa]: { readonly k: number; readonly l: number; readonly expanded: number } } = {
  "ML-DSA-44": { k: 4, l: 4, expanded: 2560 },
  "ML-DSA-65": { k: 6, l: 5, expanded: 4032 },
  "ML-DSA-87": { k: 8, l: 7, expanded: 4896 }
}

const isMlDsa = (type: KeyType): type is MlDsa => Object.hasOwn(mlDsa, type)

/** RFC 9881 section 6: `CHOICE { seed [0], expandedKey, both }`. */
const decodeMlDsa = (type: MlDsa, reader: Der.Reader): PrivateMaterial => {
  const tag = reader.peek()
  if (tag === Der.Tag.octetString) {
    reader.refuse(
      `an ${type} key in its expanded form, from which the seed cannot be computed; export it with its seed ` +
        "(OpenSSL: -provparam ml-dsa.output_formats=seed-only)"
    )
  }
  const exactly = (bytes: Uint8Array, length: number, what: string) =>
    bytes.length === length
      ? bytes
      : reader.refuse(`${what} of an ${type} key has ${length} bytes, this one ${bytes.length}`)
  if (tag !== Der.Tag.sequence) {
    const seed = reader.content(Der.context(0, "primitive"), "the seed")
    return { type, secret: exactly(seed, 32, "the seed"), claims: [] }
  }
  return reader.sequence("the private key", (both) => ({
    type,
    secret: exactly(both.octetString("the seed"), 32, "the seed"),
    claims: [],
    expandedKey: exactly(both.octetString("the expanded key"), mlDsa[type].expanded, "the expanded key")
  }))
}

const decodePrivateKey = (type: KeyType, bytes: Uint8Array): PrivateMaterial => {
  if (type === "RSA") {
    Pkcs1.decodePrivate(bytes, "pkcs8")
    return { type, secret: bytes, claims: [] }
  }
  if (KeyMaterial.isCurve(type)) {
    const { publicKey, secret } = Sec1.decode(bytes, "pkcs8", type)
    const claims = publicKey === undefined ? [] : [{ what: "the public key inside the ECPrivateKey", bytes: publicKey }]
    return { type, secret, claims }
  }
  return Der.decode(bytes, "pkcs8", (reader) => {
    if (isMlDsa(type)) return decodeMlDsa(type, reader)
    const secret = reader.octetString("the seed") // RFC 8410 section 7
    if (secret.length !== 32) reader.refuse(`an Ed25519 seed has 32 bytes, this one ${secret.length}`)
    return { type, secret, claims: [] }
  })
}

/** Reads PKCS#8 of version 1 or 2. Attributes are skipped. */
export const decode = (der: Uint8Array): PrivateMaterial =>
  Der.decode(der, "pkcs8", (reader) =>
    reader.sequence("the PrivateKeyInfo", (info) => {
      if (info.peek() === Der.Tag.sequence) {
        info.refuse("this is an EncryptedPrivateKeyInfo: a passphrase is needed (option passphrase)")
      }
      const version = info.number("the version")
      if (version > 1) info.refuse("the version must be 0 or 1")
      const type = AlgorithmIdentifier.decode(info.element(Der.Tag.sequence, "the algorithm"), "pkcs8")
      const material = decodePrivateKey(type, info.octetString("the private key"))
      const attributes = Der.context(0, "constructed")
      if (info.peek() === attributes) {
        Der.decode(info.content(attributes, "the attributes"), "pkcs8", (set) => {
          while (set.peek() !== undefined) set.element(Der.Tag.sequence, "an attribute")
        })
      }
      // RFC 5958 section 2: a public key if, and only if, the version is 2 (which is written 1)
      if (version === 0) return material
      const publicKey = info.bitString("the public key that version 2 must have", Der.context(1, "primitive"))
      return { ...material, claims: [...material.claims, { what: "the public key beside it", bytes: publicKey }] }
    })
  )

/** Writes PKCS#8 of version 1. ML-DSA in the seed form. */
export const encode = (type: KeyType, secret: Uint8Array, publicKey: Uint8Array): Uint8Array =>
  Der.sequence(
    Der.number(0),
    AlgorithmIdentifier.encode(type),
    Der.octetString(
      type === "RSA"
        ? secret
        : KeyMaterial.isCurve(type)
          ? Sec1.encode(secret, publicKey)
          : isMlDsa(type)
            ? Der.encode(Der.context(0, "primitive"), secret)
            : Der.octetString(secret)
    )
  )

/**
 * Whether an expanded ML-DSA key belongs to the seed it came with (RFC 9881
 * section 8.2). It starts with rho, K and tr: rho and K are drawn from the seed, and
 * tr is the hash of the public key (FIPS 204 algorithm 6). The rest is never used.
 */
export const agreesWithSeed = async (
  type: KeyType,
  seed: Uint8Array,
  publicKey: Uint8Array,
  expandedKey: Uint8Array
): Promise<boolean> => {
  if (!isMlDsa(type)) return false
  const { shake256 } = await import("@noble/hashes/sha3.js")
  const { k, l } = mlDsa[type]
  const drawn = shake256(Der.concat(seed, Uint8Array.of(k, l)), { dkLen: 128 })
  const rho = drawn.subarray(0, 32)
  const secretK = drawn.subarray(96, 128)
  const tr = shake256(publicKey, { dkLen: 64 })
  const agrees = KeyMaterial.sameBytes(expandedKey.subarray(0, 128), Der.concat(rho, secretK, tr))
  drawn.fill(0)
  return agrees
}
