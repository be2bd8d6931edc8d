import { assert, describe, it } from "@effect/vitest"
import { p256, p384, p521 } from "@noble/curves/nist.js"
import { secp256k1 } from "@noble/curves/secp256k1.js"
import * as Schema from "effect/Schema"
import * as crypto from "node:crypto"
import * as Ecdsa from "../../src/schemas/Ecdsa.ts"
import { seeded } from "../primitives/random.ts"
import { bytes, curves, nodeKey, tlv } from "./keys.ts"

const noble = { "P-256": p256, "P-384": p384, "P-521": p521, secp256k1 }
const n = secp256k1.Point.Fn.ORDER
const toBigInt = (part: Uint8Array) => BigInt(`0x${Buffer.from(part).toString("hex")}`)
const fromBigInt = (value: bigint) => bytes(value.toString(16).padStart(64, "0"))
const raw = (r: bigint, s: bigint) => new Uint8Array([...fromBigInt(r), ...fromBigInt(s)])

describe("fromDer and toDer", () => {
  it.each(curves)("agree with node and noble on %s", (curve) => {
    const { privateKey, publicKey } = nodeKey(curve)
    const length = Ecdsa.coordinateLength[curve]
    for (let i = 0; i < 50; i++) {
      const message = Buffer.from(`message ${i}`)
      const der = new Uint8Array(crypto.sign("sha256", message, privateKey))
      const signature = Ecdsa.fromDer(der, length)!
      assert.lengthOf(signature, 2 * length)
      assert.isTrue(crypto.verify("sha256", message, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature))
      assert.deepStrictEqual(Ecdsa.toDer(signature), der)
      assert.deepStrictEqual(noble[curve].Signature.fromBytes(der, "der").toBytes("compact"), signature)
    }
  })

  const integer = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))).check(
    Schema.isMinLength(66),
    Schema.isMaxLength(66)
  )

  it.prop(
    "are inverse, whatever the leading zeros",
    { r: integer, s: integer, zeros: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65 })) },
    ({ r, s, zeros }) => {
      for (const length of [32, 48, 66]) {
        const pad = (part: ReadonlyArray<number>) =>
          [...new Uint8Array(Math.min(zeros, length - 1)), ...part].slice(0, length - 1)
        const signature = Uint8Array.from([...pad(r), 1, ...pad(s), 1])
        assert.deepStrictEqual(Ecdsa.fromDer(Ecdsa.toDer(signature)!, length), signature)
      }
    }
  )

  const [r, s] = [bytes("7f".repeat(32)), bytes("80".repeat(32))]
  const int = (magnitude: Uint8Array) => tlv(0x02, magnitude)
  const good = tlv(0x30, int(r), int(Uint8Array.of(0, ...s)))

  it("writes the shortest integers", () => {
    assert.deepStrictEqual(Ecdsa.toDer(Uint8Array.of(...r, ...s)), good)
    const small = new Uint8Array(64).with(31, 1).with(63, 0x80)
    assert.deepStrictEqual(Ecdsa.toDer(small), bytes("30 07 02 01 01 02 02 00 80"))
    assert.deepStrictEqual(Ecdsa.fromDer(bytes("30 07 02 01 01 02 02 00 80"), 32), small)
  })

  it("writes the one-byte long form of length for P-521 only", () => {
    assert.deepStrictEqual(Ecdsa.toDer(new Uint8Array(132).fill(0x7f))!.subarray(0, 3), bytes("30 81 88"))
    assert.deepStrictEqual(Ecdsa.toDer(new Uint8Array(96).fill(0xff))!.subarray(0, 2), bytes("30 66"))
  })

  it.each([
    ["nothing", new Uint8Array(0)],
    ["one byte", bytes("30")],
    ["an empty sequence", bytes("30 00")],
    ["one integer", tlv(0x30, int(r))],
    ["three integers", tlv(0x30, int(r), int(r), int(r))],
    ["another type around it", Uint8Array.of(0x31, ...good.subarray(1))],
    ["another type inside", tlv(0x30, tlv(0x04, r), int(r))],
    ["bytes after the end", Uint8Array.of(...good, 0)],
    ["bytes missing", good.subarray(0, -1)],
    ["bytes after s", tlv(0x30, int(r), int(r), bytes("05 00"))],
    ["a long form of a short length", Uint8Array.of(0x30, 0x81, ...good.subarray(1))],
    ["a longer long form", Uint8Array.of(0x30, 0x82, 0, ...good.subarray(1))],
    ["an indefinite length", Uint8Array.of(0x30, 0x80, ...good.subarray(2), 0, 0)],
    ["a long form inside", tlv(0x30, bytes("02 81 01 01"), int(r))],
    ["a negative r", tlv(0x30, int(s), int(r))],
    ["a negative s", tlv(0x30, int(r), int(s))],
    ["an r with a zero too many", tlv(0x30, int(Uint8Array.of(0, ...r)), int(r))],
    ["an s with two zeros too many", tlv(0x30, int(r), int(Uint8Array.of(0, 0, ...s)))],
    ["an r of 33 bytes", tlv(0x30, int(Uint8Array.of(1, ...r)), int(r))],
    ["an empty r", tlv(0x30, bytes("02 00"), int(r))],
    ["r = 0", tlv(0x30, bytes("02 01 00"), int(r))],
    ["s = 0", tlv(0x30, int(r), bytes("02 01 00"))],
    ["an r that is longer than all", tlv(0x30, bytes("02 7f 01"), int(r))]
  ])("refuse %s", (_, der) => {
    assert.isUndefined(Ecdsa.fromDer(der, 32))
  })

  it("read nothing that they do not write", () => {
    const random = seeded(32)
    let accepted = 0
    for (const der of [good, Ecdsa.toDer(new Uint8Array(132).fill(0x7f))!]) {
      for (let i = 0; i < 4000; i++) {
        const at = random.below(Math.min(der.length, i % 2 === 0 ? 8 : der.length))
        const mutant = der.with(at, random.below(256))
        const length = der === good ? 32 : 66
        const signature = Ecdsa.fromDer(mutant, length)
        if (signature === undefined) continue
        accepted++
        assert.deepStrictEqual(Ecdsa.toDer(signature), mutant)
      }
    }
    assert.isAbove(accepted, 1000)
  })
})

describe("isLowS and toLowS", () => {
  it.each([
    ["1", 1n, true],
    ["n/2", (n - 1n) / 2n, true],
    ["n/2 + 1", (n + 1n) / 2n, false],
    ["n - 1", n - 1n, false],
    ["half of n with its last byte less by one", (n - 1n) / 2n - 1n, true]
  ])("knows s = %s", (_, s, low) => {
    const signature = raw(5n, s)
    const before = new Uint8Array(signature)
    assert.strictEqual(Ecdsa.isLowS(signature), low)
    const normal = Ecdsa.toLowS(signature)!
    assert.isTrue(Ecdsa.isLowS(normal))
    assert.strictEqual(toBigInt(normal.subarray(32)), low ? s : n - s)
    assert.deepStrictEqual(normal.subarray(0, 32), signature.subarray(0, 32))
    assert.deepStrictEqual(signature, before)
    assert.strictEqual(normal === signature, low)
  })

  it("agree with noble, and verify alike", () => {
    const { privateKey, publicKey } = nodeKey("secp256k1")
    let high = 0
    for (let i = 0; i < 60; i++) {
      const message = Buffer.from(`message ${i}`)
      const signature = new Uint8Array(crypto.sign("sha256", message, { key: privateKey, dsaEncoding: "ieee-p1363" }))
      const isHigh = secp256k1.Signature.fromBytes(signature, "compact").hasHighS()
      if (isHigh) high++
      assert.strictEqual(Ecdsa.isLowS(signature), !isHigh)
      assert.isTrue(
        crypto.verify("sha256", message, { key: publicKey, dsaEncoding: "ieee-p1363" }, Ecdsa.toLowS(signature)!)
      )
    }
    assert.isTrue(high > 0 && high < 60)
  })

  it("know the order of P-256, too, as noble does", () => {
    const n = p256.Point.Fn.ORDER
    const half = (n - 1n) / 2n
    for (const [s, low] of [
      [1n, true],
      [half, true],
      [half + 1n, false],
      [n - 1n, false]
    ] as const) {
      const signature = raw(5n, s)
      assert.strictEqual(Ecdsa.isLowS(signature, "P-256"), low)
      const normal = Ecdsa.toLowS(signature, "P-256")!
      assert.strictEqual(toBigInt(normal.subarray(32)), low ? s : n - s)
    }
    for (const s of [0n, n, n + 1n]) assert.isUndefined(Ecdsa.toLowS(raw(5n, s), "P-256"))
  })
})
