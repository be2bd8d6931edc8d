import { assert, describe, it } from "@effect/vitest"
import { primitives } from "../../src/primitives/portable.ts"
import {
  prepareSign,
  prepareVerify,
  signWith,
  taprootOutputKey,
  taprootOutputSecret
} from "../../src/primitives/schnorr.ts"
import { seeded } from "./random.ts"

const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"))
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")

const lift = async (x: string) => (await primitives.decodePoint("secp256k1", fromHex(`02${x}`)))!

describe("BIP341", () => {
  it("tweaks an internal key without and with a script tree (wallet-test-vectors, scriptPubKey 0 and 1)", async () => {
    const keyPathOnly = taprootOutputKey(
      await lift("d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d"),
      undefined
    )
    assert.strictEqual(
      toHex(keyPathOnly.subarray(1, 33)),
      "53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343"
    )
    const withTree = taprootOutputKey(
      await lift("187791b6f712a8ea41c8ecdd0ee77fab3e85263b37e1ec18a3651926b3a6cf27"),
      fromHex("5b75adecf53548f3ec6ad7d78383bf84cc57b55a3127c72b9a2481752dd88b21")
    )
    assert.strictEqual(
      toHex(withTree.subarray(1, 33)),
      "147c9c57132f6e7ecddba9800bb0c4449251c92a1e60371ee77557b6620f3ea3"
    )
  })

  it("tweaks a secret key and signs with it (wallet-test-vectors, keyPathSpending input 0)", () => {
    const secret = taprootOutputSecret(
      fromHex("6b973d88838f27366ed61c9ad6367663045cb456e28335c109e30717ae0c6baa"),
      undefined
    )
    assert.strictEqual(toHex(secret), "2405b971772ad26915c8dcdf10f238753a9b837e5f8e6a86fd7c0cce5b7296d9")
    const signature = signWith(
      secret,
      fromHex("2514a6272f85cfa0f45eb907fcb0d121b808ed37c6ea160a5a9046ed5526d555"),
      new Uint8Array(32)
    )
    assert.strictEqual(
      toHex(signature),
      "ed7c1647cb97379e76892be0cacff57ec4a7102aa24296ca39af7541246d8ff1" +
        "4d38958d4cc1e2e478e4d4a764bbfd835b16d4e314b72937b29833060b87276c"
    )
  })

  it("gives a secret whose public key is the output key, for internal keys with either sign of y", async () => {
    const random = seeded(341)
    const signs = new Set<number>()
    for (let i = 0; i < 12; i++) {
      const secret = random.bytes(32)
      const merkleRoot = i % 3 === 0 ? undefined : random.bytes(32)
      const internal = (await primitives.publicFromSecret("secp256k1", secret))!
      signs.add(internal.at(-1)! & 1)
      const output = taprootOutputKey(internal, merkleRoot)
      const tweaked = taprootOutputSecret(secret, merkleRoot)
      assert.deepStrictEqual(await primitives.publicFromSecret("secp256k1", tweaked), output)
      const message = random.bytes(i)
      const signature = await prepareSign("BIP341", secret, { merkleRoot })(message)
      assert.isTrue(await prepareVerify(output)(message, signature))
      assert.isFalse(await prepareVerify(internal)(message, signature))
    }
    assert.strictEqual(signs.size, 2)
  })

  it("throws where the Merkle root has not 32 bytes", async () => {
    const internal = await lift("d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d")
    for (const length of [0, 31, 33]) {
      assert.throws(() => taprootOutputKey(internal, new Uint8Array(length)), /Merkle root/)
      assert.throws(
        () => prepareSign("BIP341", new Uint8Array(32).fill(1), { merkleRoot: new Uint8Array(length) }),
        /Merkle root/
      )
    }
  })
})

describe("BIP340", () => {
  it("signs each time with fresh randomness, messages of any length", async () => {
    const secret = new Uint8Array(32).fill(3)
    const publicKey = (await primitives.publicFromSecret("secp256k1", secret))!
    const sign = prepareSign("BIP340", secret)
    const verify = prepareVerify(publicKey)
    for (const length of [0, 1, 32, 4097]) {
      const message = new Uint8Array(length).fill(9)
      const [first, second] = [await sign(message), await sign(message)]
      assert.notDeepEqual(first, second)
      assert.isTrue(await verify(message, first))
      assert.isTrue(await verify(message, second))
    }
  })

  it("does not see a Merkle root", async () => {
    const secret = new Uint8Array(32).fill(3)
    const publicKey = (await primitives.publicFromSecret("secp256k1", secret))!
    const message = new Uint8Array(5)
    const signature = await prepareSign("BIP340", secret, { merkleRoot: new Uint8Array(32) })(message)
    assert.isTrue(await prepareVerify(publicKey)(message, signature))
  })

  it("keeps its own copy of the secret", async () => {
    const secret = new Uint8Array(32).fill(3)
    const publicKey = (await primitives.publicFromSecret("secp256k1", secret))!
    const sign = prepareSign("BIP340", secret)
    secret.fill(0)
    assert.isTrue(await prepareVerify(publicKey)(new Uint8Array(1), await sign(new Uint8Array(1))))
  })

  it("throws with the key and not with the message where the secret is none", () => {
    for (const secret of [new Uint8Array(32), new Uint8Array(32).fill(0xff), new Uint8Array(31).fill(1)]) {
      assert.throws(() => prepareSign("BIP340", secret))
      assert.throws(() => prepareSign("BIP341", secret))
    }
  })
})
