/**
 * Signature algorithms, fully specified: curve or scheme, hash, salt and
 * encoding are part of the name, so a key and an algorithm leave nothing to
 * choose.
 *
 * {@link facts} is the one table of what the standards say about each
 * algorithm. Vendor names (`ECDSA_SHA_256`, `EC_SIGN_P256_SHA256`) are not in
 * it: they live in the vendor's layer.
 *
 * **Gotchas**
 *
 * Names other people write are read by {@link fromName}, and only where their
 * meaning is certain: `"RSA-PSS"` does not say which hash, so it is refused with
 * the candidates.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { InvalidConfiguration } from "./SignerError.ts"

/**
 * The algorithms this toolkit signs and verifies with.
 *
 * **Details**
 *
 * `BIP340` is Schnorr on secp256k1 over the whole message. `BIP341` is the same
 * with the Taproot tweak applied to the key: the tweak (and its optional Merkle
 * root) belongs to the key's configuration, and it exists on local keys only.
 *
 * @category schemas
 * @since 0.1.0
 */
export const SignatureAlgorithm = Schema.Literals([
  "Ed25519",
  "ES256",
  "ES384",
  "ES512",
  "ES256K",
  "BIP340",
  "BIP341",
  "PS256",
  "PS384",
  "PS512",
  "RS256",
  "RS384",
  "RS512",
  "ML-DSA-44",
  "ML-DSA-65",
  "ML-DSA-87"
])

/**
 * The type of {@link SignatureAlgorithm}.
 *
 * @category models
 * @since 0.1.0
 */
export type SignatureAlgorithm = typeof SignatureAlgorithm.Type

/**
 * Kinds of key material. One kind may serve several algorithms: an RSA key can
 * sign `PS256` and `RS512`, a secp256k1 key `ES256K` and `BIP340`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const KeyType = Schema.Literals([
  "Ed25519",
  "P-256",
  "P-384",
  "P-521",
  "secp256k1",
  "RSA",
  "ML-DSA-44",
  "ML-DSA-65",
  "ML-DSA-87"
])

/**
 * The type of {@link KeyType}.
 *
 * @category models
 * @since 0.1.0
 */
export type KeyType = typeof KeyType.Type

/**
 * Hash functions of the signature algorithms, by their registered names.
 *
 * @category models
 * @since 0.1.0
 */
export type Hash = "SHA-256" | "SHA-384" | "SHA-512"

/**
 * What the standards say about one algorithm.
 *
 * @category models
 * @since 0.1.0
 */
export interface Facts {
  readonly scheme: "EdDSA" | "ECDSA" | "Schnorr" | "RSA-PSS" | "RSA-PKCS1" | "ML-DSA"
  readonly keyType: KeyType
  /** What an ECDSA or RSA backend that signs digests must be given. */
  readonly hash?: Hash
  /** Bytes of a canonical signature. Absent for RSA: the length of the modulus. */
  readonly signatureLength?: number
  /** Bytes of PSS salt: the length of the hash (RFC 7518 section 3.5). */
  readonly saltLength?: number
  /** JOSE `alg` (RFC 7518, 8812, 9864). */
  readonly jose?: string
  /** COSE `alg`, fully specified (RFC 9053, 8812, 9864). */
  readonly cose?: number
  /** The deprecated, polymorphic COSE `alg` still in wide use (RFC 9053). */
  readonly cosePolymorphic?: number
  /** RFC 9421 section 6.2.2 registry; `ml-dsa-*` from C2SP httpsig-pq. */
  readonly httpSignature?: string
  /** SSH public key algorithm name (RFC 8709, 5656, 8332). */
  readonly ssh?: string
}

/**
 * The table of standard facts.
 *
 * @category models
 * @since 0.1.0
 */
export const facts: { readonly [A in SignatureAlgorithm]: Facts } = {
  Ed25519: {
    scheme: "EdDSA",
    keyType: "Ed25519",
    signatureLength: 64,
    jose: "Ed25519",
    cose: -19,
    cosePolymorphic: -8,
    httpSignature: "ed25519",
    ssh: "ssh-ed25519"
  },
  ES256: {
    scheme: "ECDSA",
    keyType: "P-256",
    hash: "SHA-256",
    signatureLength: 64,
    jose: "ES256",
    cose: -9,
    cosePolymorphic: -7,
    httpSignature: "ecdsa-p256-sha256",
    ssh: "ecdsa-sha2-nistp256"
  },
  ES384: {
    scheme: "ECDSA",
    keyType: "P-384",
    hash: "SHA-384",
    signatureLength: 96,
    jose: "ES384",
    cose: -51,
    cosePolymorphic: -35,
    httpSignature: "ecdsa-p384-sha384",
    ssh: "ecdsa-sha2-nistp384"
  },
  ES512: {
    scheme: "ECDSA",
    keyType: "P-521",
    hash: "SHA-512",
    signatureLength: 132,
    jose: "ES512",
    cose: -52,
    cosePolymorphic: -36,
    ssh: "ecdsa-sha2-nistp521"
  },
  ES256K: { scheme: "ECDSA", keyType: "secp256k1", hash: "SHA-256", signatureLength: 64, jose: "ES256K", cose: -47 },
  BIP340: { scheme: "Schnorr", keyType: "secp256k1", signatureLength: 64 },
  BIP341: { scheme: "Schnorr", keyType: "secp256k1", signatureLength: 64 },
  PS256: { scheme: "RSA-PSS", keyType: "RSA", hash: "SHA-256", saltLength: 32, jose: "PS256", cose: -37 },
  PS384: { scheme: "RSA-PSS", keyType: "RSA", hash: "SHA-384", saltLength: 48, jose: "PS384", cose: -38 },
  PS512: {
    scheme: "RSA-PSS",
    keyType: "RSA",
    hash: "SHA-512",
    saltLength: 64,
    jose: "PS512",
    cose: -39,
    httpSignature: "rsa-pss-sha512"
  },
  RS256: {
    scheme: "RSA-PKCS1",
    keyType: "RSA",
    hash: "SHA-256",
    jose: "RS256",
    cose: -257,
    httpSignature: "rsa-v1_5-sha256",
    ssh: "rsa-sha2-256"
  },
  RS384: { scheme: "RSA-PKCS1", keyType: "RSA", hash: "SHA-384", jose: "RS384", cose: -258 },
  RS512: { scheme: "RSA-PKCS1", keyType: "RSA", hash: "SHA-512", jose: "RS512", cose: -259, ssh: "rsa-sha2-512" },
  "ML-DSA-44": {
    scheme: "ML-DSA",
    keyType: "ML-DSA-44",
    signatureLength: 2420,
    jose: "ML-DSA-44",
    cose: -48,
    httpSignature: "ml-dsa-44"
  },
  "ML-DSA-65": {
    scheme: "ML-DSA",
    keyType: "ML-DSA-65",
    signatureLength: 3309,
    jose: "ML-DSA-65",
    cose: -49,
    httpSignature: "ml-dsa-65"
  },
  "ML-DSA-87": {
    scheme: "ML-DSA",
    keyType: "ML-DSA-87",
    signatureLength: 4627,
    jose: "ML-DSA-87",
    cose: -50,
    httpSignature: "ml-dsa-87"
  }
}

/**
 * All algorithms, in the order of the table.
 *
 * @category models
 * @since 0.1.0
 */
export const all: ReadonlyArray<SignatureAlgorithm> = SignatureAlgorithm.literals

/**
 * The algorithms a kind of key can sign with, in the order of the table.
 *
 * @category combinators
 * @since 0.1.0
 */
export const forKeyType = (type: KeyType): ReadonlyArray<SignatureAlgorithm> =>
  all.filter((algorithm) => facts[algorithm].keyType === type)

/**
 * Names with more than one meaning, each with its candidates.
 */
const ambiguous: ReadonlyMap<string, ReadonlyArray<SignatureAlgorithm>> = new Map<
  string,
  ReadonlyArray<SignatureAlgorithm>
>([
  ["rsa", ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"]],
  ["rsa-pss", ["PS256", "PS384", "PS512"]],
  ["rsassa-pss", ["PS256", "PS384", "PS512"]],
  ["rsa-pkcs1", ["RS256", "RS384", "RS512"]],
  ["rsassa-pkcs1-v1_5", ["RS256", "RS384", "RS512"]],
  ["pkcs1v15", ["RS256", "RS384", "RS512"]],
  ["ssh-rsa", ["RS256", "RS512"]],
  ["ecdsa", ["ES256", "ES384", "ES512", "ES256K"]],
  ["secp256k1", ["ES256K", "BIP340", "BIP341"]],
  ["ml-dsa", ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"]]
])

/**
 * Names with one meaning that no table row carries, in lower case. `EdDSA`
 * names Ed25519 and Ed448 in JOSE (RFC 8037); only the first exists here.
 * `schnorr` is BIP340, the one Schnorr scheme here without a tweak.
 */
const synonyms: ReadonlyArray<readonly [string, SignatureAlgorithm]> = [
  ["eddsa", "Ed25519"],
  ["ed25519", "Ed25519"],
  ["ecdsa-p256", "ES256"],
  ["ecdsa-p384", "ES384"],
  ["ecdsa-p521", "ES512"],
  ["ecdsa-p521-sha512", "ES512"],
  ["esp256", "ES256"],
  ["esp384", "ES384"],
  ["esp512", "ES512"],
  ["p-256", "ES256"],
  ["p-384", "ES384"],
  ["p-521", "ES512"],
  ["ecdsa-secp256k1", "ES256K"],
  ["ecdsa-secp256k1-sha256", "ES256K"],
  ["schnorr", "BIP340"],
  ["taproot", "BIP341"],
  ["rsa-pss-sha256", "PS256"],
  ["rsa-pss-sha384", "PS384"],
  ["rsa-v1_5-sha384", "RS384"],
  ["rsa-v1_5-sha512", "RS512"]
]

const names: ReadonlyMap<string, SignatureAlgorithm> = new Map(
  all
    .flatMap((algorithm): ReadonlyArray<readonly [string, SignatureAlgorithm]> =>
      [algorithm, facts[algorithm].jose, facts[algorithm].httpSignature, facts[algorithm].ssh]
        .filter((name) => name !== undefined)
        .map((name) => [name.toLowerCase(), algorithm] as const)
    )
    .concat(synonyms)
)

/** A name as it may appear in an error: what is too long to be one may be a key in the wrong place. */
const shown = (name: string): string => (/^[\w .+/-]{1,24}$/.test(name) ? `"${name}"` : "that")

/**
 * Reads an algorithm by any name whose meaning is certain: ours, JOSE's,
 * RFC 9421's, SSH's and common synonyms, in any letter case.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` that lists the candidates where a name fits
 * several algorithms (`"RSA-PSS"`, `"secp256k1"`), and all algorithms where the
 * name is unknown.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromName = (name: string): Effect.Effect<SignatureAlgorithm, InvalidConfiguration> => {
  const key = name.trim().toLowerCase()
  const algorithm = names.get(key)
  if (algorithm !== undefined) return Effect.succeed(algorithm)
  const candidates = ambiguous.get(key)
  return Effect.fail(
    InvalidConfiguration.of({
      field: "algorithm",
      problem:
        candidates === undefined
          ? `${shown(name)} is not a known signature algorithm; known are ${all.join(", ")}`
          : `${shown(name)} does not say which algorithm; state one of ${candidates.join(", ")}`
    })
  )
}
