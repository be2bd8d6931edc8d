import { assert, describe, it } from "@effect/vitest"
import { ed25519, ED25519_TORSION_SUBGROUP } from "@noble/curves/ed25519.js"
import * as crypto from "node:crypto"
import { isCanonicalScalar, isStrictEncoding } from "../../src/primitives/ed25519Encoding.ts"
import { primitives as node } from "../../src/primitives/node.ts"
import { primitives as portable } from "../../src/primitives/portable.ts"
import { seeded } from "./random.ts"

const { Point } = ed25519
const p = Point.Fp.ORDER
const L = Point.Fn.ORDER

const littleEndian = (value: bigint, sign = 0): Uint8Array => {
  const bytes = Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn))
  bytes[31]! |= sign << 7
  return bytes
}

const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"))

const torsion = ED25519_TORSION_SUBGROUP.map((hex) => Point.fromBytes(fromHex(hex)))

describe("isStrictEncoding", () => {
  it("refuses the eight points of small order", () => {
    assert.lengthOf(ED25519_TORSION_SUBGROUP, 8)
    for (const hex of ED25519_TORSION_SUBGROUP) assert.isFalse(isStrictEncoding(fromHex(hex)), hex)
  })

  it("refuses every y from p on, with either sign", () => {
    for (let y = p; y < 1n << 255n; y++) {
      assert.isFalse(isStrictEncoding(littleEndian(y, 0)), String(y - p))
      assert.isFalse(isStrictEncoding(littleEndian(y, 1)), String(y - p))
    }
  })

  it("refuses x = 0 with the sign of a negative number", () => {
    assert.isFalse(isStrictEncoding(littleEndian(1n, 1)))
    assert.isFalse(isStrictEncoding(littleEndian(p - 1n, 1)))
  })

  it("refuses other lengths", () => {
    for (const length of [0, 31, 33, 64]) assert.isFalse(isStrictEncoding(new Uint8Array(length).fill(9)))
  })

  it("is noble's canonical decoding and large order, wherever bytes are a point", () => {
    const random = seeded(8032)
    const near = [2n, 3n, 4n, p - 2n, p - 3n, p - 4n].flatMap((y) => [littleEndian(y, 0), littleEndian(y, 1)])
    const inputs = [...near, ...Array.from({ length: 200 }, () => random.bytes(32))]
    let points = 0
    for (const bytes of inputs) {
      const isPoint = ed25519.utils.isValidPublicKey(bytes, true)
      if (!isPoint) continue
      points++
      const isCanonical = ed25519.utils.isValidPublicKey(bytes, false)
      assert.strictEqual(isStrictEncoding(bytes), isCanonical && !Point.fromBytes(bytes, true).isSmallOrder())
    }
    assert.isAbove(points, 50)
  })
})

describe("isCanonicalScalar", () => {
  it("is below the order", () => {
    for (const scalar of [0n, 1n, L - 1n, 1n << 251n]) assert.isTrue(isCanonicalScalar(littleEndian(scalar)))
    for (const scalar of [L, L + 1n, 1n << 253n, (1n << 256n) - 1n]) {
      assert.isFalse(isCanonicalScalar(littleEndian(scalar)))
    }
  })

  it("refuses other lengths", () => {
    for (const length of [0, 31, 33]) assert.isFalse(isCanonicalScalar(new Uint8Array(length)))
  })
})

describe("strict verification", () => {
  const verifyNatively = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
    const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), publicKey])
    return crypto.verify(null, message, crypto.createPublicKey({ key: spki, format: "der", type: "spki" }), signature)
  }

  const concat = (...parts: ReadonlyArray<Uint8Array>) => new Uint8Array(Buffer.concat(parts))

  const challenge = (r: Uint8Array, publicKey: Uint8Array, message: Uint8Array): bigint => {
    const hash = crypto.createHash("sha512").update(r).update(publicKey).update(message).digest()
    return Point.Fn.create(BigInt(`0x${hash.reverse().toString("hex")}`))
  }

  it("answers as native code does behind the byte checks, for keys and R with every torsion component", async () => {
    const random = seeded(1)
    const a = 0x1234567890abcdef1234567890abcdefn
    const r = 0xfedcba0987654321fedcba0987654321n
    let accepted = 0
    for (const inKey of torsion) {
      for (const inR of torsion) {
        for (let i = 0; i < 4; i++) {
          const message = random.bytes(8)
          const publicKey = Point.BASE.multiply(a).add(inKey).toBytes()
          const encodedR = Point.BASE.multiply(r).add(inR).toBytes()
          const h = challenge(encodedR, publicKey, message)
          const signature = concat(encodedR, littleEndian(Point.Fn.create(r + h * a)))
          const expected = verifyNatively(publicKey, message, signature)
          if (expected) accepted++
          for (const primitives of [node, portable]) {
            const verify = await primitives.prepareVerify("Ed25519", publicKey)
            assert.strictEqual(await verify(message, signature), expected, primitives.name)
          }
          // with the cofactor every one of them holds
          const verify = await portable.prepareVerify("Ed25519", publicKey, { ed25519: "zip215" })
          assert.isTrue(await verify(message, signature))
        }
      }
    }
    assert.isAtLeast(accepted, 4)
    assert.isBelow(accepted, 256)
  }, 60_000)

  it("refuses S + L, small-order keys and small-order R, which satisfy the equation", async () => {
    const message = new Uint8Array([1, 2, 3])
    const seed = new Uint8Array(32).fill(5)
    const signature = ed25519.sign(message, seed)
    const s = signature.slice(32).reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n)
    const malleable = concat(signature.subarray(0, 32), littleEndian(s + L))
    const identity = littleEndian(1n)
    const forged = concat(identity, new Uint8Array(32))
    for (const primitives of [node, portable]) {
      const verify = await primitives.prepareVerify("Ed25519", ed25519.getPublicKey(seed))
      assert.isTrue(await verify(message, signature))
      assert.isFalse(await verify(message, malleable))
      const small = await primitives.prepareVerify("Ed25519", identity)
      assert.isFalse(await small(message, forged)) // A, R and S all zero: holds for every message
    }
  })
})
