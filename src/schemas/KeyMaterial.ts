/**
 * Public key bytes as the codecs hand them to each other, and what is true of
 * the bytes of each kind of key.
 *
 * @category internal
 */
import * as Hex from "effect/encoding/Hex"
import * as Ecdsa from "./Ecdsa.ts"
import { Malformed } from "./Malformed.ts"
import * as Pkcs1 from "./Pkcs1.ts"
import type { KeyType } from "./SignatureAlgorithm.ts"

/** A kind of key and its public bytes. */
export interface KeyMaterial {
  readonly type: KeyType
  /**
   * Ed25519 32 bytes, ML-DSA as FIPS 204 encodes it, RSA the PKCS#1
   * `RSAPublicKey`, EC a SEC1 point: uncompressed in a finished key, either form
   * while it is being read.
   */
  readonly bytes: Uint8Array
}

/** Tells whether a kind of key is a point of a Weierstrass curve. */
export const isCurve = (type: KeyType): type is Ecdsa.Curve => Object.hasOwn(Ecdsa.coordinateLength, type)

/** Bytes of the keys that have one length (RFC 8032 section 5.1.5, FIPS 204 table 2). */
const exactLength: { readonly [T in Exclude<KeyType, Ecdsa.Curve | "RSA">]: number } = {
  Ed25519: 32,
  "ML-DSA-44": 1312,
  "ML-DSA-65": 1952,
  "ML-DSA-87": 2592
}

/** Checks the form of public bytes: all but whether a point is on its curve. */
export const check = (type: KeyType, bytes: Uint8Array, field: string): KeyMaterial => {
  if (type === "RSA") {
    Pkcs1.decodePublic(bytes, field)
  } else if (isCurve(type)) {
    // SEC 1 section 2.3.4; the hybrid forms 06 and 07 and the point at infinity are no public keys (RFC 5480 section 2.2)
    const length = Ecdsa.coordinateLength[type]
    const expected = bytes[0] === 0x04 ? 1 + 2 * length : bytes[0] === 0x02 || bytes[0] === 0x03 ? 1 + length : 0
    if (bytes.length !== expected) {
      throw new Malformed(
        field,
        `a ${type} public key is a point of ${1 + length} bytes that starts with 02 or 03, or of ${1 + 2 * length} ` +
          "bytes that starts with 04"
      )
    }
  } else if (bytes.length !== exactLength[type]) {
    throw new Malformed(field, `${bytes.length} bytes; ${type} public keys have ${exactLength[type]}`)
  }
  return { type, bytes }
}

/** The compressed form of an uncompressed point (SEC 1 section 2.3.3). */
export const compress = (point: Uint8Array): Uint8Array => {
  const length = (point.length - 1) / 2
  const compressed = point.slice(0, 1 + length)
  compressed[0] = 0x02 + (point[2 * length]! & 1)
  return compressed
}

/** The x coordinate of an uncompressed point: how BIP 340 writes a public key. */
export const xOnly = (point: Uint8Array): Uint8Array => point.slice(1, (point.length + 1) / 2)

/** The prime of the field of secp256k1 (SEC 2 section 2.4.1). */
const fieldPrime = 2n ** 256n - 2n ** 32n - 977n

/** Of the two uncompressed secp256k1 points with this x, the one with even y: what BIP 340 means by an x. */
export const evenY = (point: Uint8Array): Uint8Array => {
  const even = new Uint8Array(point)
  if ((point[64]! & 1) === 0) return even
  let y = fieldPrime - BigInt(`0x${Hex.encode(point.subarray(33))}`)
  for (let i = 64; i > 32; i--, y >>= 8n) even[i] = Number(y & 0xffn)
  return even
}

/** Whether two arrays hold the same bytes. Not for what an attacker may guess at: the time it takes depends on them. */
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])
