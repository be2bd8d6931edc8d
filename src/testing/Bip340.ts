/**
 * BIP340 verification from the text of BIP 340 and nothing else: what the
 * conformance kit judges Schnorr signatures with, since every runtime signs them
 * with the same library. Slow, and over public values only.
 *
 * @category internal
 */
import { primitives } from "#primitives"

const p = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2fn
const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/** A point in Jacobian coordinates; the point at infinity has z = 0. */
interface Point {
  readonly x: bigint
  readonly y: bigint
  readonly z: bigint
}

const infinity: Point = { x: 1n, y: 1n, z: 0n }
const generator: Point = {
  x: 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  y: 0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
  z: 1n
}

const mod = (a: bigint): bigint => ((a % p) + p) % p

const power = (base: bigint, exponent: bigint): bigint => {
  let result = 1n
  for (let b = mod(base), e = exponent; e > 0n; e >>= 1n, b = (b * b) % p) {
    if ((e & 1n) === 1n) result = (result * b) % p
  }
  return result
}

const double = ({ x, y, z }: Point): Point => {
  if (z === 0n) return infinity
  const s = mod(4n * x * y * y)
  const m = mod(3n * x * x)
  const x2 = mod(m * m - 2n * s)
  return { x: x2, y: mod(m * (s - x2) - 8n * power(y, 4n)), z: mod(2n * y * z) }
}

const add = (a: Point, b: Point): Point => {
  if (a.z === 0n) return b
  if (b.z === 0n) return a
  const [aa, bb] = [mod(a.z * a.z), mod(b.z * b.z)]
  const [u1, u2] = [mod(a.x * bb), mod(b.x * aa)]
  const [s1, s2] = [mod(a.y * bb * b.z), mod(b.y * aa * a.z)]
  if (u1 === u2) return s1 === s2 ? double(a) : infinity
  const [h, r] = [mod(u2 - u1), mod(s2 - s1)]
  const [hh, hhh] = [mod(h * h), mod(h * h * h)]
  const x = mod(r * r - hhh - 2n * u1 * hh)
  return { x, y: mod(r * (u1 * hh - x) - s1 * hhh), z: mod(h * a.z * b.z) }
}

const multiply = (point: Point, scalar: bigint): Point => {
  let result = infinity
  for (let q = point, k = scalar; k > 0n; k >>= 1n, q = double(q)) {
    if ((k & 1n) === 1n) result = add(result, q)
  }
  return result
}

const toInt = (bytes: Uint8Array): bigint => bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)

/** The point with this x and an even y, if there is one. */
const lift = (x: bigint): Point | undefined => {
  if (x >= p) return undefined
  const square = mod(x * x * x + 7n)
  const y = power(square, (p + 1n) / 4n)
  return (y * y) % p === square ? { x, y: (y & 1n) === 0n ? y : p - y, z: 1n } : undefined
}

/** The section "Verification" of BIP 340, step by step. `publicKey` is 32 bytes, `signature` 64. */
export const verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  const point = lift(toInt(publicKey))
  const r = toInt(signature.subarray(0, 32))
  const s = toInt(signature.subarray(32))
  if (point === undefined || r >= p || s >= n) return false
  const tag = primitives.digest("SHA-256", new TextEncoder().encode("BIP0340/challenge"))
  const prefix = Uint8Array.from([...tag, ...tag, ...signature.subarray(0, 32), ...publicKey])
  const input = new Uint8Array(prefix.length + message.length)
  input.set(prefix)
  input.set(message, prefix.length)
  const e = toInt(primitives.digest("SHA-256", input)) % n
  const sum = add(multiply(generator, s), multiply(point, n - e))
  if (sum.z === 0n) return false
  const inverse = power(sum.z, p - 2n)
  const x = mod(sum.x * inverse * inverse)
  const y = mod(sum.y * inverse * inverse * inverse)
  return (y & 1n) === 0n && x === r
}
