/**
 * The two encodings of an ECDSA signature, raw `r‖s` and ASN.1 DER, and low-S.
 *
 * The encoding is declared and never guessed. Reading is strict: DER only, no
 * negative or padded integers, no trailing bytes (RFC 3279 section 2.2.3, X.690
 * section 10).
 *
 * @since 0.1.0
 */
import type { KeyType } from "./SignatureAlgorithm.ts"

/**
 * The curves of ECDSA.
 *
 * @category models
 * @since 0.1.0
 */
export type Curve = Extract<KeyType, "P-256" | "P-384" | "P-521" | "secp256k1">

/**
 * Bytes of one coordinate, and so of `r` and of `s`.
 *
 * @category models
 * @since 0.1.0
 */
export const coordinateLength: { readonly [C in Curve]: number } = {
  "P-256": 32,
  "P-384": 48,
  "P-521": 66,
  secp256k1: 32
}

/**
 * Raw `r‖s` from DER, in new bytes: `length` bytes for each of `r` and `s`.
 * `undefined` where the input is not the one DER form of two positive integers
 * of at most `length` bytes.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fromDer = (der: Uint8Array, length: number): Uint8Array | undefined => {
  // SEQUENCE { INTEGER r, INTEGER s }; P-521 needs the one-byte long form of length
  if (der[0] !== 0x30) return undefined
  let offset = 2
  let total = der[1]!
  if (total === 0x81) {
    total = der[2]!
    offset = 3
    if (!(total >= 0x80)) return undefined
  }
  if (total !== der.length - offset) return undefined
  const raw = new Uint8Array(2 * length)
  for (let half = 0; half < 2; half++) {
    if (der[offset] !== 0x02) return undefined
    const size = der[offset + 1]!
    let start = offset + 2
    const end = start + size
    if (!(size >= 1 && size < 0x80) || end > der.length) return undefined
    if (der[start]! >= 0x80) return undefined // negative
    if (der[start] === 0) {
      if (!(size > 1 && der[start + 1]! >= 0x80)) return undefined // zero, or not the shortest form
      start++
    }
    if (end - start > length) return undefined
    raw.set(der.subarray(start, end), (half + 1) * length - (end - start))
    offset = end
  }
  return offset === der.length ? raw : undefined
}

/**
 * DER from raw `r‖s`, in new bytes. `undefined` where the input cannot be halved.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toDer = (raw: Uint8Array): Uint8Array | undefined => {
  if (raw.length === 0 || raw.length % 2 === 1) return undefined
  const length = raw.length / 2
  const integer = (from: number) => {
    let start = from
    const end = from + length
    while (start < end - 1 && raw[start] === 0) start++
    const pad = raw[start]! >= 0x80 ? 1 : 0
    const out = new Uint8Array(2 + pad + end - start)
    out[0] = 0x02
    out[1] = pad + end - start
    out.set(raw.subarray(start, end), 2 + pad)
    return out
  }
  const r = integer(0)
  const s = integer(length)
  const size = r.length + s.length
  const header = size < 0x80 ? [0x30, size] : [0x30, 0x81, size]
  const der = new Uint8Array(header.length + size)
  der.set(header)
  der.set(r, header.length)
  der.set(s, header.length + r.length)
  return der
}

/** The curves whose signatures have a low-S form that a protocol asks for. */
type LowSCurve = Extract<Curve, "P-256" | "secp256k1">

const half = (n: bigint) => Uint8Array.from({ length: 32 }, (_, i) => Number((n >> BigInt(249 - 8 * i)) & 0xffn))

const order = (n: bigint) => ({ n, half: half(n) })

/** The order n, and n/2 rounded down (SEC 2 section 2.4.1; FIPS 186-5 and SP 800-186 section 3.2.1.3). */
const orders: { readonly [C in LowSCurve]: { readonly n: bigint; readonly half: Uint8Array } } = {
  secp256k1: order(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n),
  "P-256": order(0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n)
}

/**
 * Tells whether `s` of a raw signature is at most n/2 (BIP 62 rule 5, EIP-2).
 * Default curve: secp256k1.
 *
 * @category guards
 * @since 0.1.0
 */
export const isLowS = (raw: Uint8Array, curve: LowSCurve = "secp256k1"): boolean => {
  const { half } = orders[curve]
  for (let i = 0; i < 32; i++) {
    const difference = raw[32 + i]! - half[i]!
    if (difference !== 0) return difference < 0
  }
  return true
}

/**
 * The same signature with `s` at most n/2: the input itself where it is low
 * already, otherwise new bytes with `n - s`. Both verify alike; Bitcoin, Ethereum
 * and AT Protocol accept the low one only. `undefined` where `s` is not from 1 to
 * n - 1: that is no signature. Default curve: secp256k1.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toLowS = (raw: Uint8Array, curve: LowSCurve = "secp256k1"): Uint8Array | undefined => {
  if (isLowS(raw, curve)) return raw.subarray(32).some((byte) => byte !== 0) ? raw : undefined
  let s = 0n
  for (let i = 32; i < 64; i++) s = (s << 8n) | BigInt(raw[i]!)
  const { n } = orders[curve]
  if (s >= n) return undefined
  let low = n - s
  const out = new Uint8Array(raw)
  for (let i = 63; i >= 32; i--) {
    out[i] = Number(low & 0xffn)
    low >>= 8n
  }
  return out
}
