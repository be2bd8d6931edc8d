/**
 * BIP340 signatures and BIP341 key tweaking, over noble's secp256k1: no runtime
 * has either natively, so every implementation of the primitives uses this one.
 *
 * Public keys are uncompressed points in and out. BIP340 sees their x coordinate
 * only.
 *
 * @category internal
 */
import { schnorr } from "@noble/curves/secp256k1.js"
import type { Sign, SignOptions, Verify } from "./Primitives.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"

const { Point } = schnorr
const { Fn } = Point

const xOnly = (publicKey: Uint8Array): Uint8Array => publicKey.slice(1, 33)

/** The tweak t of BIP341: hash_TapTweak of x(P), and of the Merkle root where there is a script tree. */
const tweakOf = (x: Uint8Array, merkleRoot: Uint8Array | undefined): bigint => {
  if (merkleRoot !== undefined && merkleRoot.length !== 32) throw new RangeError("a Merkle root has 32 bytes")
  // BIP341: fails where t is not below the order, which Fn.fromBytes checks
  return Fn.fromBytes(schnorr.utils.taggedHash("TapTweak", x, merkleRoot ?? new Uint8Array(0)))
}

/** BIP341 `taproot_tweak_pubkey`: lift_x(P) + t*G, with its own y. */
export const taprootOutputKey = (internalKey: Uint8Array, merkleRoot: Uint8Array | undefined): Uint8Array => {
  const { x } = Point.fromBytes(internalKey).toAffine()
  const tweak = tweakOf(xOnly(internalKey), merkleRoot)
  return schnorr.utils.lift_x(x).add(Point.BASE.multiplyUnsafe(tweak)).toBytes(false)
}

/** BIP341 `taproot_tweak_seckey`: the secret of {@link taprootOutputKey}. */
export const taprootOutputSecret = (secret: Uint8Array, merkleRoot: Uint8Array | undefined): Uint8Array => {
  const scalar = Fn.fromBytes(secret)
  const point = Point.BASE.multiply(scalar).toBytes(true)
  const even = point[0] === 0x02 ? scalar : Fn.neg(scalar)
  return Fn.toBytes(Fn.add(even, tweakOf(point.slice(1), merkleRoot)))
}

/** BIP340 `Sign` with given auxiliary randomness, 32 bytes: for the published vectors. */
export const signWith = (secret: Uint8Array, message: Uint8Array, auxiliary: Uint8Array): Uint8Array =>
  schnorr.sign(message, secret, auxiliary)

/** Signs messages of any length, each time with 32 fresh random bytes (BIP340, "Default Signing"). */
export const prepareSign = (algorithm: SignatureAlgorithm, secret: Uint8Array, options?: SignOptions): Sign => {
  const key = algorithm === "BIP341" ? taprootOutputSecret(secret, options?.merkleRoot) : secret.slice()
  schnorr.getPublicKey(key) // throws here, and not with the first message, where the key is none
  return (message) => signWith(key, message, globalThis.crypto.getRandomValues(new Uint8Array(32)))
}

/** Verifies messages of any length. For BIP341 the key is the output key. */
export const prepareVerify = (publicKey: Uint8Array): Verify => {
  const key = xOnly(publicKey)
  if (key.length !== 32) return () => false
  return (message, signature) => signature.length === 64 && schnorr.verify(signature, message, key)
}
