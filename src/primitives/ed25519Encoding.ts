/**
 * The checks of strict Ed25519 verification that need no curve arithmetic, on the
 * encoded bytes alone. With them, and the cofactorless equation of RFC 8032
 * section 5.1.7, every runtime gives the same answer: what native code accepts
 * beyond them (non-canonical points, small-order keys) differs from library to
 * library.
 *
 * @category internal
 */

/** The group order L = 2^252 + 27742317777372353535851937790883648493, little-endian. */
const order = Uint8Array.of(
  0xed,
  0xd3,
  0xf5,
  0x5c,
  0x1a,
  0x63,
  0x12,
  0x58,
  0xd6,
  0x9c,
  0xf7,
  0xa2,
  0xde,
  0xf9,
  0xde,
  0x14,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0x10
)

/** The field prime p = 2^255 - 19, little-endian. */
const prime = new Uint8Array(32).fill(0xff)
prime[0] = 0xed
prime[31] = 0x7f

/** p - 1: the y of the point of order 2. */
const minusOne = prime.slice()
minusOne[0] = 0xec

/**
 * The y coordinates of the eight points of small order, little-endian: 0 (order
 * 4, twice), 1 (order 1), -1 (order 2), and the two of order 8, twice each.
 */
const smallOrder: ReadonlyArray<Uint8Array> = [
  new Uint8Array(32),
  Uint8Array.of(1, ...new Uint8Array(31)),
  minusOne,
  Uint8Array.of(
    0xc7,
    0x17,
    0x6a,
    0x70,
    0x3d,
    0x4d,
    0xd8,
    0x4f,
    0xba,
    0x3c,
    0x0b,
    0x76,
    0x0d,
    0x10,
    0x67,
    0x0f,
    0x2a,
    0x20,
    0x53,
    0xfa,
    0x2c,
    0x39,
    0xcc,
    0xc6,
    0x4e,
    0xc7,
    0xfd,
    0x77,
    0x92,
    0xac,
    0x03,
    0x7a
  ),
  Uint8Array.of(
    0x26,
    0xe8,
    0x95,
    0x8f,
    0xc2,
    0xb2,
    0x27,
    0xb0,
    0x45,
    0xc3,
    0xf4,
    0x89,
    0xf2,
    0xef,
    0x98,
    0xf0,
    0xd5,
    0xdf,
    0xac,
    0x05,
    0xd3,
    0xc6,
    0x33,
    0x39,
    0xb1,
    0x38,
    0x02,
    0x88,
    0x6d,
    0x53,
    0xfc,
    0x05
  )
]

/** Little-endian comparison of 32 bytes, the last one of `a` given apart. */
const isBelow = (a: Uint8Array, last: number, b: Uint8Array): boolean => {
  if (last !== b[31]) return last < b[31]!
  for (let i = 30; i >= 0; i--) {
    if (a[i] !== b[i]) return a[i]! < b[i]!
  }
  return false
}

const isEqual = (a: Uint8Array, last: number, b: Uint8Array): boolean => {
  if (last !== b[31]) return false
  for (let i = 0; i < 31; i++) {
    if (a[i] !== b[i]) return false
  }
  return true
}

/**
 * Tells whether 32 bytes, a public key `A` or the `R` of a signature, are the
 * canonical encoding of a point not of small order, provided they encode a point
 * at all: y < p (RFC 8032 section 5.1.3), and y is none of the small-order ones.
 * The second check covers the sign bit of x = 0, which only y = 1 and y = -1 have.
 */
export const isStrictEncoding = (point: Uint8Array): boolean => {
  if (point.length !== 32) return false
  const last = point[31]! & 0x7f
  return isBelow(point, last, prime) && !smallOrder.some((y) => isEqual(point, last, y))
}

/** Tells whether 32 bytes, the `S` of a signature, are below the order L (RFC 8032 section 5.1.7). */
export const isCanonicalScalar = (scalar: Uint8Array): boolean =>
  scalar.length === 32 && isBelow(scalar, scalar[31]!, order)
