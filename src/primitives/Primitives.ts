/**
 * What the core needs of a runtime's cryptography. `#primitives` resolves to
 * `node.ts` (native, `node:crypto`) on Node and to `portable.ts` (no `node:` at
 * all) elsewhere; both must give the same answers, which the tests check.
 *
 * All byte formats are canonical:
 *
 * | key type | public bytes | secret bytes |
 * | --- | --- | --- |
 * | Ed25519 | 32, RFC 8032 | 32-byte seed |
 * | P-256, P-384, P-521, secp256k1 | uncompressed point `04‖x‖y` | scalar, big-endian, padded |
 * | RSA | PKCS#1 `RSAPublicKey` DER | PKCS#1 `RSAPrivateKey` DER |
 * | ML-DSA | FIPS 204 public key | 32-byte seed |
 *
 * Signatures: Ed25519 64 bytes, ECDSA raw `r‖s` (as the primitive made it: low-S
 * is `Signer.make`'s business), BIP340 64 bytes, RSA big-endian, modulus length.
 *
 * @category internal
 */
import type { Hash, KeyType, SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"

/** The curves with Weierstrass points. */
export type EcCurve = Extract<KeyType, "P-256" | "P-384" | "P-521" | "secp256k1">

/** A value now, or a promise of it where the work leaves this thread. */
export type Awaitable<A> = A | Promise<A>

/** Signs one message. Synchronous where the work is short, on a thread pool where it is long. */
export interface Sign {
  (message: Uint8Array): Awaitable<Uint8Array>
  /** Messages of at most this many bytes are signed before the call returns, if stated. */
  readonly inlineLimit?: number
}

/** Verifies one canonical signature. Never throws on malformed signature bytes. */
export type Verify = (message: Uint8Array, signature: Uint8Array) => Awaitable<boolean>

export interface SignOptions {
  /** BIP341 only: the 32-byte Merkle root of the script tree; absent for a key-path-only output. */
  readonly merkleRoot?: Uint8Array | undefined
}

export interface VerifyOptions {
  /**
   * Ed25519 only. `strict` (RFC 8032 with canonical encodings, cofactorless, no
   * small-order A or R: dalek's `verify_strict`) or `zip215` (for consensus).
   */
  readonly ed25519?: "strict" | "zip215" | undefined
}

/** Thrown by `prepareSign`, `prepareVerify` and `generate` where this runtime cannot do an algorithm. */
export class Unsupported extends Error {
  override readonly name = "Unsupported"
}

export interface Primitives {
  readonly name: "node" | "portable"
  readonly digest: (hash: Hash, message: Uint8Array) => Uint8Array
  readonly randomBytes: (length: number) => Uint8Array
  /** New secret bytes. RSA: `modulusLength` bits, e = 65537. */
  readonly generate: (type: KeyType, options?: { readonly modulusLength?: number | undefined }) => Promise<Uint8Array>
  /**
   * The public bytes of secret bytes; `undefined` where the secret is not one: a
   * scalar that is zero or not below the order, an RSA key whose numbers disagree.
   */
  readonly publicFromSecret: (type: KeyType, secret: Uint8Array) => Promise<Uint8Array | undefined>
  /** A SEC1 point, compressed or uncompressed, as uncompressed; `undefined` where it is not on the curve. */
  readonly decodePoint: (curve: EcCurve, point: Uint8Array) => Promise<Uint8Array | undefined>
  /** BIP341: the tweaked output key, uncompressed, of an uncompressed internal key. */
  readonly taprootOutputKey: (internalKey: Uint8Array, merkleRoot: Uint8Array | undefined) => Promise<Uint8Array>
  /** Parses the key once; throws where the secret is none. The returned function is the hot path. */
  readonly prepareSign: (algorithm: SignatureAlgorithm, secret: Uint8Array, options?: SignOptions) => Promise<Sign>
  /**
   * Parses the key once; bytes that are no key verify nothing. For `BIP341` the
   * public bytes are the tweaked output key.
   */
  readonly prepareVerify: (
    algorithm: SignatureAlgorithm,
    publicKey: Uint8Array,
    options?: VerifyOptions
  ) => Promise<Verify>
}
