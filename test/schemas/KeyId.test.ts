import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as crypto from "node:crypto"
import * as KeyId from "../../src/schemas/KeyId.ts"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import { nodeKeys } from "./keys.ts"

const sha256 = (bytes: Uint8Array) => crypto.createHash("sha256").update(bytes).digest("hex")

const names: Record<string, string> = { "P-256": "p256", "P-384": "p384", "P-521": "p521" }
const curveNames: Record<string, string> = {
  "P-256": "prime256v1",
  "P-384": "secp384r1",
  "P-521": "secp521r1",
  secp256k1: "secp256k1"
}

describe("fromPublicKey", () => {
  it.effect.each(nodeKeys)("names $type by its hash", ({ publicKey, spki, type }) =>
    Effect.gen(function* () {
      const key = yield* PublicKey.fromSpki(spki)
      const jwk = publicKey.export({ format: "jwk" }) as Record<string, string>
      const part = (name: string) => Buffer.from(jwk[name]!, "base64url")
      const hashed =
        type === "RSA"
          ? spki
          : type === "Ed25519"
            ? part("x")
            : type.startsWith("ML-DSA")
              ? part("pub")
              : crypto.ECDH.convertKey(
                  Buffer.concat([Buffer.of(4), part("x"), part("y")]),
                  curveNames[type]!,
                  undefined,
                  undefined,
                  "compressed"
                )
      const hex = sha256(hashed as Buffer)
      const urn = `urn:kms:${names[type] ?? type.toLowerCase()}:${hex.slice(0, 32)}`
      assert.strictEqual(KeyId.fromPublicKey(key), urn)
      assert.strictEqual(PublicKey.keyId(key), urn)
      assert.strictEqual(PublicKey.fingerprint(key), hex.slice(0, 16))
      assert.strictEqual(Buffer.from(PublicKey.address(key)).toString("hex"), hex)
      assert.deepStrictEqual(KeyId.parseUrn(urn), { keyType: type, fingerprint: hex.slice(0, 32) })
      assert.deepStrictEqual(KeyId.parseUrn(urn.slice(0, -16)), { keyType: type, fingerprint: hex.slice(0, 16) })
      for (const other of nodeKeys) {
        const otherKey = yield* PublicKey.fromSpki(other.spki)
        assert.strictEqual(KeyId.matches(urn, otherKey), other.type === type)
        assert.strictEqual(KeyId.matches(urn.slice(0, -16), otherKey), other.type === type)
      }
      assert.isFalse(
        KeyId.matches(
          urn.replace(/.$/, (digit) => (digit === "0" ? "1" : "0")),
          key
        )
      )
      assert.isFalse(KeyId.matches("alias/release", key))
    })
  )

  it.effect("matches a BIP340 key by either point with its x", () =>
    Effect.gen(function* () {
      for (const prefix of [0x02, 0x03]) {
        const point = yield* PublicKey.fromSpki(nodeKeys.find(({ type }) => type === "secp256k1")!.spki)
        const compressed = PublicKey.toCompressed(point)!.with(0, prefix)
        const key = yield* PublicKey.fromRaw("secp256k1", compressed)
        const lifted = yield* PublicKey.fromRaw("BIP340", compressed.subarray(1))
        assert.isTrue(KeyId.matches(KeyId.fromPublicKey(key), lifted))
        assert.isTrue(KeyId.matches(KeyId.fromPublicKey(key).slice(0, -16), lifted))
      }
    })
  )
})

describe("parseUrn", () => {
  it.each([
    "",
    "alias/release",
    "urn:kms:ed25519:",
    "urn:kms:ed25519:00",
    `urn:kms:ed25519:${"0".repeat(15)}`,
    `urn:kms:ed25519:${"0".repeat(24)}`,
    `urn:kms:ed25519:${"0".repeat(33)}`,
    `urn:kms:ed25519:${"A".repeat(32)}`,
    `URN:kms:ed25519:${"0".repeat(32)}`,
    `urn:kms:Ed25519:${"0".repeat(32)}`,
    `urn:kms:constructor:${"0".repeat(32)}`,
    `urn:kms:p256:${"0".repeat(32)}\n`,
    ` urn:kms:p256:${"0".repeat(32)}`,
    `urn:kms:p256:${"0".repeat(32)}/0`
  ])("knows nothing in %j", (text) => {
    assert.isUndefined(KeyId.parseUrn(text))
  })
})

describe("make", () => {
  it("takes any text but the empty one", () => {
    assert.strictEqual(KeyId.make("arn:aws:kms:eu-central-1:1:key/2"), "arn:aws:kms:eu-central-1:1:key/2")
    assert.throws(() => KeyId.make(""))
  })
})
