import { assert, describe, it } from "@effect/vitest"
import { primitives as node } from "../../src/primitives/node.ts"
import { primitives as portable } from "../../src/primitives/portable.ts"
import type { EcCurve, Primitives } from "../../src/primitives/Primitives.ts"
import { facts, type KeyType, type SignatureAlgorithm } from "../../src/schemas/SignatureAlgorithm.ts"
import { type Random, seeded } from "./random.ts"

/** How many bits are flipped: 10,000 in all, fewer where a verification in JavaScript is slow. */
const flips: { readonly [A in SignatureAlgorithm]: number } = {
  Ed25519: 3000,
  ES256: 1500,
  ES384: 400,
  ES512: 200,
  ES256K: 1500,
  BIP340: 900,
  BIP341: 100,
  PS256: 500,
  PS384: 200,
  PS512: 200,
  RS256: 700,
  RS384: 200,
  RS512: 200,
  "ML-DSA-44": 200,
  "ML-DSA-65": 100,
  "ML-DSA-87": 100
}

const cases = Object.entries(flips).map(([algorithm, count]) => ({ algorithm: algorithm as SignatureAlgorithm, count }))

const isCurve = (type: KeyType): type is EcCurve => type.startsWith("P-") || type === "secp256k1"

const rsaSecret = node.generate("RSA", { modulusLength: 2048 })

const secretFor = async (type: KeyType, random: Random): Promise<Uint8Array> => {
  if (type === "RSA") return rsaSecret
  const length = type === "P-384" ? 48 : type === "P-521" ? 66 : 32
  while (true) {
    const secret = random.bytes(length)
    if (type === "P-521") secret[0] = 0
    if ((await node.publicFromSecret(type, secret)) !== undefined) return secret
  }
}

/** A curve's key is compressed, of which half of all changes are a point again. */
interface Signed {
  readonly publicKey: Uint8Array
  readonly message: Uint8Array
  readonly signature: Uint8Array
}

const compressed = (point: Uint8Array): Uint8Array => {
  const short = point.slice(0, (point.length + 1) / 2)
  short[0] = 0x02 | (point.at(-1)! & 1)
  return short
}

const merkleRoot = new Uint8Array(32).fill(7)

const signed = async (primitives: Primitives, algorithm: SignatureAlgorithm, random: Random): Promise<Signed> => {
  const { keyType } = facts[algorithm]
  const secret = await secretFor(keyType, random)
  const internal = (await primitives.publicFromSecret(keyType, secret))!
  const publicKey = algorithm === "BIP341" ? await primitives.taprootOutputKey(internal, merkleRoot) : internal
  const message = random.bytes(1 + random.below(100))
  const sign = await primitives.prepareSign(algorithm, secret, algorithm === "BIP341" ? { merkleRoot } : undefined)
  return {
    publicKey: isCurve(keyType) ? compressed(publicKey) : publicKey,
    message,
    signature: await sign(message)
  }
}

/** As a program verifies: public bytes that are no point or that cannot be read are no key. */
const answer = async (
  primitives: Primitives,
  algorithm: SignatureAlgorithm,
  { message, publicKey, signature }: Signed
): Promise<boolean> => {
  const { keyType } = facts[algorithm]
  const key = isCurve(keyType) ? await primitives.decodePoint(keyType, publicKey) : publicKey
  if (key === undefined) return false
  const verify = await primitives.prepareVerify(algorithm, key).catch(() => () => false)
  return verify(message, signature)
}

const flip = (bytes: Uint8Array, bit: number): Uint8Array => {
  const copy = bytes.slice()
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return copy
}

const fields = ["signature", "message", "publicKey"] as const

/** BIP340 does not see the sign of y, the lowest bit of a compressed key. */
const isUnseen = (algorithm: SignatureAlgorithm, field: (typeof fields)[number], bit: number) =>
  facts[algorithm].scheme === "Schnorr" && field === "publicKey" && bit === 0

const toHex = (signed: Signed) =>
  Object.entries(signed)
    .map(([name, bytes]) => `${name} ${Buffer.from(bytes).toString("hex")}`)
    .join(", ")

describe("node and portable", () => {
  it("flip 10,000 bits in all", () =>
    assert.strictEqual(
      cases.reduce((total, { count }) => total + count, 0),
      10_000
    ))

  it.each(cases)(
    "verify each other's $algorithm and agree on $count flipped bits",
    async ({ algorithm, count }) => {
      const random = seeded(0x5eed + algorithm.length)
      const originals: Array<Signed> = []
      for (const signer of [node, portable, node, portable]) {
        const original = await signed(signer, algorithm, random)
        originals.push(original)
        assert.isTrue(await answer(node, algorithm, original), `node: ${toHex(original)}`)
        assert.isTrue(await answer(portable, algorithm, original), `portable: ${toHex(original)}`)
      }
      for (let i = 0; i < count; i++) {
        const original = originals[i % originals.length]!
        const field = fields[random.below(fields.length)]!
        const bit = random.below(8 * original[field].length)
        const flipped = { ...original, [field]: flip(original[field], bit) }
        const expected = isUnseen(algorithm, field, bit)
        assert.strictEqual(await answer(node, algorithm, flipped), expected, `node, ${field}: ${toHex(flipped)}`)
        assert.strictEqual(
          await answer(portable, algorithm, flipped),
          expected,
          `portable, ${field}: ${toHex(flipped)}`
        )
      }
    },
    120_000
  )
})
