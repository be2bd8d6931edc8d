import { assert, describe, it } from "@effect/vitest"
import * as crypto from "node:crypto"
import { fromPkcs8, publicFromSecret, toPkcs8, toSpki } from "../../src/primitives/rsa.ts"

const { privateKey, publicKey } = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 })
const bytes = (buffer: Buffer) => new Uint8Array(buffer)
const secret = bytes(privateKey.export({ format: "der", type: "pkcs1" }))

/** A writer of its own: a private key of any nine numbers. */
const encode = (numbers: ReadonlyArray<bigint>): Uint8Array => {
  const tlv = (tag: number, content: Buffer) => {
    const { length } = content
    const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
    return Buffer.concat([Buffer.from([tag, ...size]), content])
  }
  return bytes(
    tlv(
      0x30,
      Buffer.concat(
        numbers.map((value) => {
          const hex = value.toString(16)
          const even = hex.length % 2 === 1 ? `0${hex}` : hex
          return tlv(0x02, Buffer.from(Number.parseInt(even.slice(0, 2), 16) >= 0x80 ? `00${even}` : even, "hex"))
        })
      )
    )
  )
}

const jwk = privateKey.export({ format: "jwk" })
const number = (text: string | undefined) => BigInt(`0x${Buffer.from(text!, "base64url").toString("hex")}`)
const numbers = [0n, ...[jwk.n, jwk.e, jwk.d, jwk.p, jwk.q, jwk.dp, jwk.dq, jwk.qi].map(number)]
const names = ["version", "n", "e", "d", "p", "q", "dp", "dq", "qi"]
const withNumber = (name: string, change: (value: bigint) => bigint) =>
  encode(numbers.map((value, i) => (names[i] === name ? change(value) : value)))

describe("publicFromSecret", () => {
  it("is the RSAPublicKey", () => {
    assert.deepStrictEqual(encode(numbers), secret)
    assert.deepStrictEqual(publicFromSecret(secret), bytes(publicKey.export({ format: "der", type: "pkcs1" })))
  })

  it("accepts d modulo the totient and modulo the least common multiple", () => {
    const [, , e, , p, q] = numbers as [bigint, bigint, bigint, bigint, bigint, bigint]
    const inverse = (a: bigint, m: bigint) => {
      let [r0, r1, t0, t1] = [m, a % m, 0n, 1n]
      while (r1 > 0n) [r0, r1, t0, t1] = [r1, r0 % r1, t1, t0 - (r0 / r1) * t1]
      return ((t0 % m) + m) % m
    }
    const gcd = (a: bigint, b: bigint): bigint => (b === 0n ? a : gcd(b, a % b))
    const totient = (p - 1n) * (q - 1n)
    for (const modulus of [totient, totient / gcd(p - 1n, q - 1n)]) {
      assert.isDefined(publicFromSecret(withNumber("d", () => inverse(e, modulus))))
    }
  })

  it.each(names)("refuses another %s", (name) => {
    assert.isUndefined(publicFromSecret(withNumber(name, (value) => value + 1n)))
    assert.isUndefined(publicFromSecret(withNumber(name, (value) => value + 2n)))
    assert.isUndefined(publicFromSecret(withNumber(name, () => 0n + BigInt(name === "version"))))
  })

  it("refuses numbers that are right in a smaller ring only", () => {
    const [, n, , d, p, q, dp, dq, qi] = numbers as ReadonlyArray<bigint>
    assert.isUndefined(publicFromSecret(withNumber("d", () => d! + (p! - 1n) * (q! - 1n))))
    assert.isUndefined(publicFromSecret(withNumber("dp", () => dp! + p! - 1n)))
    assert.isUndefined(publicFromSecret(withNumber("dq", () => dq! + q! - 1n)))
    assert.isUndefined(publicFromSecret(withNumber("qi", () => qi! + p!)))
    assert.isUndefined(publicFromSecret(withNumber("p", () => n!)))
    // a consistent key over p = n and q = 1
    const trivial = [0n, n!, 3n, 1n, n!, 1n, 1n, 0n, 0n]
    assert.isUndefined(publicFromSecret(encode(trivial)))
  })

  it("refuses what is not the DER of a private key", () => {
    const truncated = secret.slice(0, -1)
    const trailing = new Uint8Array([...secret, 0])
    const eight = encode(numbers.slice(0, 8))
    const ten = encode([...numbers, 1n])
    const padded = encode(numbers)
    const exponentAt = Buffer.from(padded).indexOf(Buffer.from([0x02, 0x03, 0x01, 0x00, 0x01]))
    padded.set([0x02, 0x03, 0x00, 0x00, 0x03], exponentAt)
    const negative = encode(numbers)
    negative.set([0x02, 0x03, 0xff, 0x00, 0x01], exponentAt)
    const longLength = new Uint8Array([0x30, 0x83, 0x00, ...secret.subarray(2)])
    const indefinite = new Uint8Array([0x30, 0x80, ...secret.subarray(4), 0, 0])
    const set = new Uint8Array([0x31, ...secret.subarray(1)])
    const others = [truncated, trailing, eight, ten, padded, negative, longLength, indefinite, set]
    for (const other of [...others, new Uint8Array(0), Uint8Array.of(0x30), Uint8Array.of(0x30, 0x00)]) {
      assert.isUndefined(publicFromSecret(other))
    }
  })

  it("refuses every truncation, without throwing", () => {
    for (let length = 0; length < secret.length; length++) {
      assert.isUndefined(publicFromSecret(secret.subarray(0, length)))
    }
  })
})

describe("wrapping", () => {
  it("is the PKCS#8 and the SPKI that Node writes", () => {
    const pkcs8 = bytes(privateKey.export({ format: "der", type: "pkcs8" }))
    assert.deepStrictEqual(toPkcs8(secret), pkcs8)
    assert.deepStrictEqual(fromPkcs8(pkcs8), secret)
    assert.deepStrictEqual(
      toSpki(bytes(publicKey.export({ format: "der", type: "pkcs1" }))),
      bytes(publicKey.export({ format: "der", type: "spki" }))
    )
  })

  it("unwraps nothing from other bytes", () => {
    for (const other of [new Uint8Array(0), secret, Uint8Array.of(0x30, 0x03, 0x02, 0x01, 0x00)]) {
      assert.isUndefined(fromPkcs8(other))
    }
  })
})
