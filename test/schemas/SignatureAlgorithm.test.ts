import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as crypto from "node:crypto"
import * as Ecdsa from "../../src/schemas/Ecdsa.ts"
import * as SignatureAlgorithm from "../../src/schemas/SignatureAlgorithm.ts"
import { refused } from "./refused.ts"

const { all, facts, forKeyType, fromName } = SignatureAlgorithm

describe("facts", () => {
  it.each(all)("of %s are consistent", (algorithm) => {
    const { cose, hash, jose, keyType, saltLength, scheme, signatureLength } = facts[algorithm]
    assert.include(forKeyType(keyType), algorithm)
    assert.strictEqual(hash !== undefined, scheme === "ECDSA" || scheme.startsWith("RSA"))
    assert.strictEqual(
      saltLength,
      scheme === "RSA-PSS" ? crypto.hash(hash!.replace("-", ""), "", "buffer").length : undefined
    )
    assert.strictEqual(signatureLength === undefined, keyType === "RSA")
    if (scheme === "ECDSA") assert.strictEqual(signatureLength, 2 * Ecdsa.coordinateLength[keyType as Ecdsa.Curve])
    assert.strictEqual(jose === undefined, scheme === "Schnorr")
    assert.strictEqual(cose === undefined, jose === undefined)
  })

  it.each(["jose", "cose", "cosePolymorphic", "httpSignature", "ssh"] as const)(
    "never name two algorithms alike in %s",
    (name) => {
      const names = all.map((algorithm) => facts[algorithm][name]).filter((value) => value !== undefined)
      assert.strictEqual(new Set(names).size, names.length)
    }
  )

  it("have the registered COSE numbers", () => {
    // IANA, COSE Algorithms
    assert.deepStrictEqual(
      all.map((algorithm) => facts[algorithm].cose),
      [-19, -9, -51, -52, -47, undefined, undefined, -37, -38, -39, -257, -258, -259, -48, -49, -50]
    )
  })

  it("have signatures as long as node makes them", () => {
    for (const [algorithm, type, options] of [
      ["Ed25519", "ed25519", {}],
      ["ES256", "ec", { namedCurve: "P-256" }],
      ["ES384", "ec", { namedCurve: "P-384" }],
      ["ES512", "ec", { namedCurve: "P-521" }],
      ["ES256K", "ec", { namedCurve: "secp256k1" }]
    ] as const) {
      const { privateKey } = crypto.generateKeyPairSync(type as "ed25519", options)
      const key = { key: privateKey, dsaEncoding: "ieee-p1363" } as const
      const hash = facts[algorithm].hash?.replace("-", "") ?? null
      assert.lengthOf(crypto.sign(hash, Buffer.of(1), key), facts[algorithm].signatureLength!)
    }
  })
})

describe("forKeyType", () => {
  it("partitions the algorithms", () => {
    const byType = SignatureAlgorithm.KeyType.literals.flatMap(forKeyType)
    assert.lengthOf(byType, all.length)
    assert.deepStrictEqual(new Set(byType), new Set(all))
    assert.deepStrictEqual(forKeyType("secp256k1"), ["ES256K", "BIP340", "BIP341"])
  })
})

describe("fromName", () => {
  it.effect.each(all)("reads the names of %s in any letter case", (algorithm) =>
    Effect.gen(function* () {
      const { httpSignature, jose, ssh } = facts[algorithm]
      for (const name of [algorithm, jose, httpSignature, ssh]) {
        if (name === undefined) continue
        for (const text of [name, name.toLowerCase(), name.toUpperCase(), ` ${name}\n`]) {
          assert.strictEqual(yield* fromName(text), algorithm)
        }
      }
    })
  )

  it.effect.each([
    ["EdDSA", "Ed25519"],
    ["ESP256", "ES256"],
    ["P-384", "ES384"],
    ["ecdsa-p521-sha512", "ES512"],
    ["ecdsa-secp256k1", "ES256K"],
    ["schnorr", "BIP340"],
    ["taproot", "BIP341"],
    ["rsa-sha2-512", "RS512"],
    ["rsa-v1_5-sha384", "RS384"]
  ] as const)("reads %s as %s", ([name, algorithm]) =>
    Effect.map(fromName(name), (read) => assert.strictEqual(read, algorithm))
  )

  it.effect.each([
    ["RSA", /PS256, PS384, PS512, RS256, RS384, RS512$/],
    ["RSA-PSS", /PS256, PS384, PS512$/],
    ["RSASSA-PSS", /PS256, PS384, PS512$/],
    ["RSASSA-PKCS1-v1_5", /RS256, RS384, RS512$/],
    ["ssh-rsa", /RS256, RS512$/],
    ["ECDSA", /ES256, ES384, ES512, ES256K$/],
    ["secp256k1", /ES256K, BIP340, BIP341$/],
    ["ML-DSA", /ML-DSA-44, ML-DSA-65, ML-DSA-87$/]
  ] as const)("refuses %s with its candidates", ([name, candidates]) =>
    refused(fromName(name), "algorithm", candidates)
  )

  it.effect.each(["", "none", "HS256", "ES256K1", "Ed448", "constructor", "__proto__", "toString"])(
    "refuses %j with all algorithms",
    (name) =>
      refused(fromName(name), "algorithm", /is not a known signature algorithm; known are Ed25519, ES256,.*ML-DSA-87$/)
  )

  it.effect.each(["x".repeat(25), "ab".repeat(32), "-----BEGIN PRIVATE KEY-----", "a\nbbbbbbbbbbbbbbbbb"])(
    "does not repeat %j, which is no name",
    (name) =>
      Effect.map(Effect.flip(fromName(name)), ({ message }) => {
        assert.notInclude(message, name)
        assert.notInclude(message, name.slice(0, 12))
      })
  )
})
