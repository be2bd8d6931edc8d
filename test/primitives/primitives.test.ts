import { assert, describe, it, vi } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import * as crypto from "node:crypto"
import { primitives as node } from "../../src/primitives/node.ts"
import { primitives as portable } from "../../src/primitives/portable.ts"
import { type EcCurve, Unsupported } from "../../src/primitives/Primitives.ts"
import { all, facts, type KeyType } from "../../src/schemas/SignatureAlgorithm.ts"
import { seeded } from "./random.ts"

const curves = ["P-256", "P-384", "P-521", "secp256k1"] as const
const keyTypes = ["Ed25519", ...curves, "RSA", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"] as const
const coordinate: { readonly [C in EcCurve]: number } = { "P-256": 32, "P-384": 48, "P-521": 66, secp256k1: 32 }
const order: { readonly [C in EcCurve]: string } = {
  "P-256": "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
  "P-384": "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
  "P-521":
    "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa" +
    "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
  secp256k1: "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
}

const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"))
const both = [node, portable]
const secrets = new Map(
  await Promise.all(
    keyTypes.map(async (type) => [type as KeyType, await portable.generate(type, { modulusLength: 2048 })] as const)
  )
)

describe.each(both)("$name", (primitives) => {
  it("digests", () => {
    const random = seeded(180)
    for (const [hash, name] of [
      ["SHA-256", "sha256"],
      ["SHA-384", "sha384"],
      ["SHA-512", "sha512"]
    ] as const) {
      for (const length of [0, 1, 111, 112, 128, 5000]) {
        const message = random.bytes(length)
        assert.deepStrictEqual(
          primitives.digest(hash, message),
          new Uint8Array(crypto.createHash(name).update(message).digest())
        )
      }
    }
  })

  it("makes random bytes of any length, never the same", () => {
    assert.lengthOf(primitives.randomBytes(0), 0)
    assert.lengthOf(primitives.randomBytes(32), 32)
    assert.notDeepEqual(primitives.randomBytes(32), primitives.randomBytes(32))
  })

  it.each(keyTypes)("generates %s keys that both implementations know", async (type) => {
    const secret = await primitives.generate(type, { modulusLength: 2048 })
    const publicKey = await primitives.publicFromSecret(type, secret)
    assert.isDefined(publicKey)
    for (const other of both) assert.deepStrictEqual(await other.publicFromSecret(type, secret), publicKey)
    if (type !== "RSA") assert.notDeepEqual(await primitives.generate(type), secret)
  })

  it("generates RSA keys of the asked length with e = 65537", async () => {
    for (const modulusLength of [2048, 3072]) {
      const secret = await primitives.generate("RSA", { modulusLength })
      const key = crypto.createPrivateKey({ key: Buffer.from(secret), format: "der", type: "pkcs1" })
      assert.deepStrictEqual(key.asymmetricKeyDetails, { modulusLength, publicExponent: 65537n })
    }
  })

  it.each(curves)("knows no secret of %s outside of 1 to n - 1", async (curve) => {
    const n = fromHex(order[curve])
    const below = n.slice()
    below[below.length - 1]!--
    const one = new Uint8Array(n.length)
    one[one.length - 1] = 1
    const above = n.slice()
    above[above.length - 1]!++
    for (const secret of [one, below]) assert.isDefined(await primitives.publicFromSecret(curve, secret))
    for (const secret of [new Uint8Array(n.length), n, above, new Uint8Array(n.length).fill(0xff)]) {
      assert.isUndefined(await primitives.publicFromSecret(curve, secret))
    }
    for (const length of [0, n.length - 1, n.length + 1]) {
      assert.isUndefined(await primitives.publicFromSecret(curve, new Uint8Array(length).fill(1)))
    }
  })

  it.each(["Ed25519", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"] as const)(
    "knows %s seeds of 32 bytes only",
    async (type) => {
      for (const length of [0, 31, 33, 64]) {
        assert.isUndefined(await primitives.publicFromSecret(type, new Uint8Array(length).fill(1)))
      }
    }
  )

  it.each(curves)("decodes points of %s, compressed and not, and nothing else", async (curve) => {
    const point = (await primitives.publicFromSecret(curve, secrets.get(curve)!))!
    const length = coordinate[curve]
    const sign = point.at(-1)! & 1
    const x = point.subarray(1, 1 + length)
    const negated = (await primitives.decodePoint(curve, new Uint8Array([0x03 - sign, ...x])))!
    assert.lengthOf(point, 1 + 2 * length)
    assert.deepStrictEqual(await primitives.decodePoint(curve, point), point)
    assert.deepStrictEqual(await primitives.decodePoint(curve, new Uint8Array([0x02 + sign, ...x])), point)
    assert.deepStrictEqual(negated.subarray(0, 1 + length), point.subarray(0, 1 + length))
    assert.notDeepEqual(negated, point)

    const offCurve = point.slice()
    offCurve[offCurve.length - 1]! ^= 1
    const wrong = [
      new Uint8Array(0),
      Uint8Array.of(0), // the point at infinity (SEC 1 section 2.3.3)
      offCurve,
      new Uint8Array([0x06 + sign, ...point.subarray(1)]), // hybrid
      new Uint8Array([0x05, ...point.subarray(1)]),
      new Uint8Array([0x02 + sign, ...point.subarray(1)]),
      new Uint8Array([0x04, ...x]),
      point.subarray(0, -1),
      new Uint8Array([...point, 0]),
      new Uint8Array([0x02, ...new Uint8Array(length).fill(0xff)]), // x not below p
      new Uint8Array([0x04, ...new Uint8Array(2 * length)])
    ]
    for (const bytes of wrong) {
      assert.isUndefined(await primitives.decodePoint(curve, bytes), Buffer.from(bytes).toString("hex"))
    }
  })

  it.each(all)("signs %s canonically and answers false to malformed signatures", async (algorithm) => {
    const { keyType, signatureLength } = facts[algorithm]
    const secret = secrets.get(keyType)!
    const internal = (await primitives.publicFromSecret(keyType, secret))!
    const publicKey = algorithm === "BIP341" ? await primitives.taprootOutputKey(internal, undefined) : internal
    const sign = await primitives.prepareSign(algorithm, secret)
    const verify = await primitives.prepareVerify(algorithm, publicKey)
    const message = new TextEncoder().encode("message")
    const signature = await sign(message)
    const length = signatureLength ?? 256
    assert.strictEqual(signature.constructor, Uint8Array)
    assert.lengthOf(signature, length)
    assert.isTrue(await verify(message, signature))
    assert.isTrue(await verify(new Uint8Array(0), await sign(new Uint8Array(0))))
    assert.isFalse(await verify(new Uint8Array(0), signature))

    const malformed = [
      new Uint8Array(0),
      new Uint8Array(1),
      signature.subarray(0, length - 1),
      signature.subarray(1),
      new Uint8Array([...signature, 0]),
      new Uint8Array([0, ...signature]),
      new Uint8Array(length),
      new Uint8Array(length).fill(0xff),
      new Uint8Array([...signature.subarray(0, length / 2), ...new Uint8Array(length / 2)]),
      new Uint8Array([...new Uint8Array(length / 2), ...signature.subarray(length / 2)])
    ]
    for (const bytes of malformed) assert.isFalse(await verify(message, bytes))
  })

  it("signs with Ed25519 and PKCS#1 v1.5 what the other signs", async () => {
    const message = seeded(7).bytes(70_000)
    for (const algorithm of ["Ed25519", "RS256", "RS384", "RS512"] as const) {
      const secret = secrets.get(facts[algorithm].keyType)!
      const [first, second] = await Promise.all(
        both.map(async (each) => (await each.prepareSign(algorithm, secret))(message))
      )
      assert.deepStrictEqual(first, second)
    }
  })

  it.each(["PS512", "RS256"] as const)(
    "verifies %s signatures of the length of the modulus only",
    async (algorithm) => {
      const secret = secrets.get("RSA")!
      const verify = await primitives.prepareVerify(algorithm, (await primitives.publicFromSecret("RSA", secret))!)
      const sign = await node.prepareSign(algorithm, secret)
      let shortened = 0
      // one signature in 256 begins with a zero byte, which is not to be left out
      for (let i = 0; shortened === 0 && i < 20_000; i++) {
        const message = new Uint8Array([i >> 8, i])
        const signature = await sign(message)
        if (signature[0] !== 0) continue
        shortened++
        assert.isTrue(await verify(message, signature))
        assert.isFalse(await verify(message, signature.subarray(1)))
        assert.isFalse(await verify(message, new Uint8Array([0, ...signature])))
      }
      assert.strictEqual(shortened, 1)
    }
  )

  it("verifies PSS with the salt of the hash's length only", async () => {
    const secret = secrets.get("RSA")!
    const key = crypto.createPrivateKey({ key: Buffer.from(secret), format: "der", type: "pkcs1" })
    const publicKey = (await primitives.publicFromSecret("RSA", secret))!
    const message = new Uint8Array([1, 2, 3])
    const variants = [
      ["PS256", "sha256", 32],
      ["PS384", "sha384", 48],
      ["PS512", "sha512", 64]
    ] as const
    for (const [algorithm, hash, saltLength] of variants) {
      const verify = await primitives.prepareVerify(algorithm, publicKey)
      const pss = (saltLength: number) =>
        new Uint8Array(crypto.sign(hash, message, { key, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength }))
      assert.isTrue(await verify(message, pss(saltLength)))
      for (const other of [0, 20, saltLength - 1, saltLength + 1, crypto.constants.RSA_PSS_SALTLEN_MAX_SIGN]) {
        assert.isFalse(await verify(message, pss(other)), `${algorithm} with ${other}`)
      }
    }
  })

  it("does not change when the caller's key bytes do", async () => {
    for (const algorithm of all) {
      const secret = secrets.get(facts[algorithm].keyType)!.slice()
      const internal = (await primitives.publicFromSecret(facts[algorithm].keyType, secret))!
      const publicKey = algorithm === "BIP341" ? await primitives.taprootOutputKey(internal, undefined) : internal
      const sign = await primitives.prepareSign(algorithm, secret)
      const verify = await primitives.prepareVerify(algorithm, publicKey)
      secret.fill(0)
      publicKey.fill(0)
      const message = new Uint8Array(3)
      assert.isTrue(await verify(message, await sign(message)), algorithm)
    }
  })
})

describe.each(both.map((each) => [each.name, each] as const))("%s", (_, primitives) => {
  it.each(all)("verifies nothing for %s with what is no public key", async (algorithm) => {
    const hybrid = new Uint8Array(65).fill(0xff)
    hybrid[0] = 0x06
    for (const key of [...[0, 1, 31, 32, 65].map((length) => new Uint8Array(length).fill(0xff)), hybrid]) {
      const verify = await primitives.prepareVerify(algorithm, key)
      assert.isFalse(await verify(new Uint8Array(1), new Uint8Array(facts[algorithm].signatureLength ?? 256).fill(1)))
    }
  })

  it.each(all)("does not sign %s with what is no secret", async (algorithm) => {
    const { keyType, scheme } = facts[algorithm]
    const isScalar = scheme === "ECDSA" || scheme === "Schnorr"
    const length = keyType === "RSA" ? 0 : secrets.get(keyType)!.length
    const wrong = [0, 31, 33].map((length) => new Uint8Array(length))
    if (isScalar) wrong.push(new Uint8Array(length), new Uint8Array(length).fill(0xff))
    for (const secret of wrong) {
      const isPrepared = await primitives.prepareSign(algorithm, secret).then(
        () => true,
        () => false
      )
      assert.isFalse(isPrepared, `${secret.length} bytes, the first ${secret[0]}`)
    }
  })
})

describe("portable", () => {
  it("makes more random bytes than one call of getRandomValues gives", () => {
    const bytes = portable.randomBytes(200_000)
    assert.lengthOf(bytes, 200_000)
    for (const start of [0, 65_500, 131_000, 199_000]) {
      assert.isTrue(bytes.subarray(start, start + 100).some((byte) => byte !== 0))
    }
  })

  it("signs and verifies messages in shared memory", async () => {
    const message = new Uint8Array(new SharedArrayBuffer(16)).fill(4)
    for (const algorithm of ["Ed25519", "ES256", "PS256"] as const) {
      const secret = secrets.get(facts[algorithm].keyType)!
      const publicKey = (await portable.publicFromSecret(facts[algorithm].keyType, secret))!
      const signature = await (await portable.prepareSign(algorithm, secret))(message)
      assert.isTrue(await (await portable.prepareVerify(algorithm, publicKey))(message, signature))
    }
  })

  it("signs ECDSA the same each time", async () => {
    for (const algorithm of ["ES256", "ES384", "ES512", "ES256K"] as const) {
      const sign = await portable.prepareSign(algorithm, secrets.get(facts[algorithm].keyType)!)
      assert.deepStrictEqual(await sign(new Uint8Array(9)), await sign(new Uint8Array(9)))
    }
  })

  it("says which package ML-DSA needs where it is absent", async () => {
    vi.resetModules()
    vi.doMock("@noble/post-quantum/ml-dsa.js", () => {
      throw new Error("Cannot find package")
    })
    try {
      const { primitives } = await import("../../src/primitives/portable.ts")
      const { Unsupported } = await import("../../src/primitives/Primitives.ts")
      const attempts = [
        primitives.prepareSign("ML-DSA-65", new Uint8Array(32)),
        primitives.prepareVerify("ML-DSA-65", new Uint8Array(1952)),
        primitives.publicFromSecret("ML-DSA-65", new Uint8Array(32))
      ]
      for (const attempt of attempts) {
        const error: unknown = await attempt.then(
          () => undefined,
          (error) => error
        )
        assert.instanceOf(error, Unsupported)
        assert.include((error as Error).message, "npm install @noble/post-quantum")
      }
    } finally {
      vi.doUnmock("@noble/post-quantum/ml-dsa.js")
      vi.resetModules()
    }
  })

  it("says that RSA needs WebCrypto where a runtime has none", async () => {
    const secret = secrets.get("RSA")!
    vi.stubGlobal("crypto", { getRandomValues: () => new Uint8Array(0) })
    try {
      const attempts = [
        portable.prepareSign("PS256", secret),
        portable.prepareVerify("RS256", new Uint8Array(270)),
        portable.generate("RSA")
      ]
      for (const attempt of attempts) {
        const error: unknown = await attempt.then(
          () => undefined,
          (error) => error
        )
        assert.instanceOf(error, Unsupported)
        assert.include((error as Error).message, "crypto.subtle")
      }
    } finally {
      vi.unstubAllGlobals()
    }
  })

  it("loads no curve and nothing of Node before a key asks for it", () => {
    const script = `
      import { registerHooks } from "node:module"
      const seen = []
      registerHooks({
        resolve(specifier, context, next) {
          const found = next(specifier, context)
          seen.push([found.url, context.parentURL ?? ""])
          return found
        }
      })
      const { primitives } = await import(process.argv[1])
      const loaded = seen.map(([url]) => url)
      const ours = seen.filter(([, parent]) => parent.includes("/src/")).map(([url]) => url)
      const before = loaded.filter((url) => url.includes("@noble/curves") || url.includes("@noble/post-quantum"))
      const node = ours.filter((url) => url.startsWith("node:"))
      await primitives.publicFromSecret("P-256", new Uint8Array(32).fill(1))
      const after = seen.some(([url]) => url.endsWith("/nist.js"))
      console.log(JSON.stringify({ before, node, after }))
    `
    const output = execFileSync(
      process.execPath,
      [
        "--conditions=effect-signer-source",
        "--input-type=module",
        "-e",
        script,
        new URL("../../src/primitives/portable.ts", import.meta.url).href
      ],
      { encoding: "utf8" }
    )
    assert.deepStrictEqual(JSON.parse(output), { before: [], node: [], after: true })
  })
})
