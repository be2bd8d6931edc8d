import { assert, describe, it } from "@effect/vitest"
import { schnorr } from "@noble/curves/secp256k1.js"
import { readFile } from "node:fs/promises"
import { verify } from "../../src/testing/Bip340.ts"
import { variable, vectors } from "../../src/cli/vectors/VectorSuites.ts"

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"))

describe("the kit's own BIP340 verification", () => {
  it.skipIf(vectors === undefined)(`gives the answer of all 19 published vectors (needs ${variable})`, async () => {
    const [, ...rows] = (await readFile(`${vectors}/bip340/test-vectors.csv`, "utf8")).trim().split(/\r?\n/)
    assert.lengthOf(rows, 19)
    for (const row of rows) {
      const [index, , publicKey, , message, signature, result] = row.split(",")
      assert.strictEqual(verify(bytes(publicKey!), bytes(message!), bytes(signature!)), result === "TRUE", index)
    }
  })

  it("agrees with the library on signatures and on flipped bits", () => {
    for (let i = 0; i < 12; i++) {
      const secret = new Uint8Array(32).fill(i + 1)
      const message = new Uint8Array(i * 7).fill(i)
      const publicKey = schnorr.getPublicKey(secret)
      const signature = schnorr.sign(message, secret)
      assert.isTrue(verify(publicKey, message, signature))
      signature[i * 5]! ^= 1
      assert.isFalse(verify(publicKey, message, signature))
      assert.isFalse(schnorr.verify(signature, message, publicKey))
    }
  })
})
