/**
 * `RSAPublicKey` and `RSAPrivateKey` of PKCS#1 (RFC 8017 appendix A.1), and the
 * RSA keys that are accepted at all: 2048 to 16384 bits, a public exponent that
 * is odd, at least 65537 and below 2^256 (FIPS 186-5 section 5.1).
 *
 * @category internal
 */
import * as Der from "./Der.ts"
import { Malformed } from "./Malformed.ts"
import * as Roca from "./Roca.ts"

/** Bits of the modulus. */
export const minModulusLength = 2048

/** Bits of the modulus. */
export const maxModulusLength = 16384

/** The numbers of a public key, big-endian in the fewest bytes. */
export interface PublicNumbers {
  readonly n: Uint8Array
  readonly e: Uint8Array
}

/** The numbers of a private key with two primes, under their JWK names (RFC 7518 section 6.3.2). */
export interface PrivateNumbers extends PublicNumbers {
  readonly d: Uint8Array
  readonly p: Uint8Array
  readonly q: Uint8Array
  readonly dp: Uint8Array
  readonly dq: Uint8Array
  readonly qi: Uint8Array
}

const bitLength = (number: Uint8Array): number => 8 * number.length - Math.clz32(number[0]!) + 24

const check = <N extends PublicNumbers>(numbers: N, field: string): N => {
  const { e, n } = numbers
  const bits = bitLength(n)
  if (bits < minModulusLength || bits > maxModulusLength) {
    throw new Malformed(
      field,
      `an RSA modulus of ${bits} bits; it must have ${minModulusLength} to ${maxModulusLength}`
    )
  }
  if ((n[n.length - 1]! & 1) === 0) throw new Malformed(field, "the RSA modulus is even")
  const isLarge = e.length > 3 || (e.length === 3 && (e[0]! > 1 || (e[0] === 1 && (e[1]! > 0 || e[2]! > 0))))
  if (!isLarge || e.length > 32 || (e[e.length - 1]! & 1) === 0) {
    throw new Malformed(field, "the RSA public exponent must be odd, at least 65537 and below 2^256")
  }
  if (Roca.isWeak(n)) {
    throw new Malformed(field, "the RSA modulus comes from a flawed generator (ROCA, CVE-2017-15361): replace the key")
  }
  return numbers
}

/** Reads `RSAPublicKey`. */
export const decodePublic = (der: Uint8Array, field = "pkcs1"): PublicNumbers =>
  Der.decode(der, field, (reader) =>
    reader.sequence("the RSAPublicKey", (key) =>
      check({ n: key.integer("the modulus"), e: key.integer("the public exponent") }, field)
    )
  )

/** Writes `RSAPublicKey`. */
export const encodePublic = (numbers: PublicNumbers): Uint8Array =>
  Der.sequence(Der.integer(numbers.n), Der.integer(numbers.e))

/** Reads `RSAPrivateKey`. Whether its numbers belong together is not yet known. */
export const decodePrivate = (der: Uint8Array, field = "pkcs1"): PrivateNumbers =>
  Der.decode(der, field, (reader) =>
    reader.sequence("the RSAPrivateKey", (key) => {
      const version = key.number("the version")
      if (version === 1) key.refuse("an RSA key with more than two primes is not supported")
      if (version !== 0) key.refuse("the version of the RSAPrivateKey must be 0")
      return check(
        {
          n: key.integer("the modulus"),
          e: key.integer("the public exponent"),
          d: key.integer("the private exponent"),
          p: key.integer("the first prime"),
          q: key.integer("the second prime"),
          dp: key.integer("the first CRT exponent"),
          dq: key.integer("the second CRT exponent"),
          qi: key.integer("the CRT coefficient")
        },
        field
      )
    })
  )

/** Writes `RSAPrivateKey`. */
export const encodePrivate = (numbers: PrivateNumbers): Uint8Array => {
  const { d, dp, dq, e, n, p, q, qi } = numbers
  return Der.sequence(Der.number(0), ...[n, e, d, p, q, dp, dq, qi].map(Der.integer))
}
