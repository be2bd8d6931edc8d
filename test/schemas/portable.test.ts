/** The same keys through the portable primitives, which browsers use. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as crypto from "node:crypto"
import { vi } from "vitest"
import { primitives } from "#primitives"
import * as PrivateKey from "../../src/schemas/PrivateKey.ts"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import { curves, keyTypes, nodeKey, nodeKeys } from "./keys.ts"
import { refused } from "./refused.ts"

vi.mock("#primitives", () => import("../../src/primitives/portable.ts"))

it("uses the portable primitives", () => {
  assert.strictEqual(primitives.name, "portable")
})

describe.each(nodeKeys)("$type", ({ pkcs8, privateKey, publicKey, spki }) => {
  it.effect("is read and written alike", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromPkcs8(pkcs8)
      assert.isTrue(crypto.createPrivateKey(Redacted.value(PrivateKey.toPem(key))).equals(privateKey))
      assert.deepStrictEqual(PublicKey.toSpki(key.publicKey), new Uint8Array(spki))
      assert.isTrue(PublicKey.sameKey(yield* PublicKey.fromSpki(spki), key.publicKey))
      assert.deepStrictEqual(PublicKey.toJwk(key.publicKey), publicKey.export({ format: "jwk" }) as never)
      const { digest } = primitives
      assert.deepStrictEqual(digest("SHA-256", spki), new Uint8Array(crypto.hash("sha256", spki, "buffer")))
    })
  )
})

it.effect.each(keyTypes.filter((type) => type !== "RSA"))("makes %s keys that node reads", (type) =>
  Effect.gen(function* () {
    const key = yield* PrivateKey.generate(type)
    const again = yield* PrivateKey.fromPem(PrivateKey.toPem(key))
    assert.isTrue(PublicKey.sameKey(again.publicKey, key.publicKey))
    if (!type.startsWith("ML-DSA")) {
      const node = crypto.createPublicKey(crypto.createPrivateKey(Redacted.value(PrivateKey.toPem(key))))
      assert.isTrue(node.equals(crypto.createPublicKey(PublicKey.toPem(key.publicKey))))
    }
  })
)

it.effect.each(curves)("refuses points off %s, and scalars that are none", (curve) =>
  Effect.gen(function* () {
    const point = (yield* PublicKey.fromSpki(nodeKey(curve).spki)).bytes
    yield* refused(PublicKey.fromRaw(curve, point.with(9, point[9]! ^ 1)), "raw", /not a point/)
    const length = (point.length - 1) / 2
    yield* refused(PrivateKey.fromRaw(curve, new Uint8Array(length)), "raw", /not a private key/)
    yield* refused(PrivateKey.fromRaw(curve, new Uint8Array(length).fill(0xff)), "raw", /not a private key/)
  })
)

it.effect("refuses RSA numbers that do not belong together", () => {
  const jwk = nodeKey("RSA").privateKey.export({ format: "jwk" })
  return refused(PrivateKey.fromJwk({ ...jwk, p: jwk.q, q: jwk.p }), "jwk", /do not belong together/)
})

it.effect("reads encrypted keys", () =>
  Effect.gen(function* () {
    const { privateKey } = nodeKey("P-256")
    const passphrase = Redacted.make("pass")
    const text = privateKey.export({
      format: "pem",
      type: "pkcs8",
      cipher: "aes-256-cbc",
      passphrase: "pass"
    }) as string
    const key = yield* PrivateKey.fromPem(text, { passphrase })
    const again = yield* PrivateKey.fromPem(yield* PrivateKey.toEncryptedPem(key, passphrase), { passphrase })
    assert.isTrue(PublicKey.sameKey(again.publicKey, key.publicKey))
  })
)
