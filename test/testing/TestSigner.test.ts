import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { Hex } from "effect/encoding"
import { KeyId, SignatureAlgorithm, Signer, SignerError, Verifier } from "../../src/index.ts"
import { ScriptedSigner, TestSigner } from "../../src/testing.ts"

const message = new TextEncoder().encode("message")

/** What every machine must derive. RSA: the key of RFC 7520 section 3.4. */
const keyIds: { readonly [T in SignatureAlgorithm.KeyType]: string } = {
  Ed25519: "urn:kms:ed25519:424e2b1240a601cf2417bffa4c19fa0d",
  "P-256": "urn:kms:p256:2194d687532aa370b272f727f8aa7f4c",
  "P-384": "urn:kms:p384:9963395d0ee7f028a2f1be92312a7d72",
  "P-521": "urn:kms:p521:3d151737e932442156202894e99d47d6",
  secp256k1: "urn:kms:secp256k1:df54f04cbbcd15f1362e4b20e0151676",
  RSA: "urn:kms:rsa:627771f25da426d1f9ae315e42106d70",
  "ML-DSA-44": "urn:kms:ml-dsa-44:7bf2a0d2c46e286e6c1ca59b91e77923",
  "ML-DSA-65": "urn:kms:ml-dsa-65:62756c0ebd40eadba7142ca15ce4e96a",
  "ML-DSA-87": "urn:kms:ml-dsa-87:44964cb23dc01ad9d5241f6d4210f10a"
}

const inProduction = Effect.acquireRelease(
  Effect.sync(() => {
    const before = process.env["NODE_ENV"]
    process.env["NODE_ENV"] = "production"
    return before
  }),
  (before) =>
    Effect.sync(() => {
      process.env["NODE_ENV"] = before
    })
)

describe("TestSigner", () => {
  it.effect.each(SignatureAlgorithm.all)("has the same key in every run: %s", (algorithm) =>
    Effect.gen(function* () {
      const { signer } = yield* TestSigner.make({ algorithm })
      const again = yield* TestSigner.make({ algorithm })
      const publicKey = yield* signer.publicKey()
      assert.deepStrictEqual(yield* again.signer.publicKey(), publicKey)
      assert.strictEqual(signer.algorithm, algorithm)
      assert.strictEqual(signer.backend, "test")
      if (algorithm !== "BIP341") {
        assert.strictEqual(signer.keyId, keyIds[SignatureAlgorithm.facts[algorithm].keyType])
      }
      assert.isTrue(yield* Verifier.verify(publicKey, message, yield* signer.sign(message)))
    })
  )

  it.effect("makes the same Ed25519 signature in every run", () =>
    Effect.gen(function* () {
      const { signer } = yield* TestSigner.make()
      assert.strictEqual(
        Hex.encode((yield* signer.sign(message)).bytes),
        "77f24d329052355b25c9590e2730483cf6cb3ca4fcc2dec53e4a926aeb1f2406" +
          "d9a9a1534df00ce173986a520b2d106bbd50dbb2b006380dccd4998b632bb405"
      )
    })
  )

  it.effect("derives another key from another seed, text or bytes", () =>
    Effect.gen(function* () {
      const seeds = [undefined, "a", "b", "", new Uint8Array(32)]
      const ids = yield* Effect.forEach(seeds, (seed) =>
        Effect.map(TestSigner.make({ seed, algorithm: "ES512" }), ({ signer }) => signer.keyId)
      )
      assert.strictEqual(new Set(ids).size, seeds.length)
      const bytes = yield* TestSigner.make({ seed: new TextEncoder().encode("a"), algorithm: "ES512" })
      assert.strictEqual(bytes.signer.keyId, ids[1])
    })
  )

  it.effect("has one RSA key, whatever the seed", () =>
    Effect.gen(function* () {
      const a = yield* TestSigner.make({ seed: "a", algorithm: "PS256" })
      const b = yield* TestSigner.make({ seed: "b", algorithm: "RS512" })
      assert.strictEqual(a.signer.keyId, b.signer.keyId)
    })
  )

  it.effect("takes a key id and a purpose", () =>
    Effect.gen(function* () {
      const signer = yield* Signer.Signer
      assert.deepStrictEqual([signer.keyId, signer.purpose], [KeyId.make("release"), "releases"])
    }).pipe(Effect.provide(TestSigner.layer({ keyId: KeyId.make("release"), purpose: "releases" })))
  )

  it.effect("records calls in order: copies of the messages, and how they ended", () =>
    Effect.gen(function* () {
      const calls = yield* TestSigner.Calls
      const buffer = message.slice()
      const first = yield* Signer.sign(buffer)
      buffer.fill(0)
      yield* Signer.sign(new Uint8Array(0))
      assert.deepStrictEqual(yield* calls.messages, [message, new Uint8Array(0)])
      assert.deepStrictEqual((yield* calls.all)[0], { message, exit: Exit.succeed(first) })
      yield* calls.clear
      assert.deepStrictEqual(yield* calls.all, [])
    }).pipe(Effect.provide(TestSigner.layer()))
  )

  it.effect("records a call while it runs, and one that was interrupted", () =>
    Effect.gen(function* () {
      const { calls, signer } = yield* TestSigner.make({ algorithm: "PS256" })
      const fiber = yield* Effect.forkChild(signer.sign(message), { startImmediately: true })
      assert.deepStrictEqual(yield* calls.all, [{ message, exit: undefined }])
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts((yield* calls.all)[0]!.exit!))
    })
  )
})

describe("in production", () => {
  const makers: ReadonlyArray<
    readonly [
      name: string,
      make: (options?: { readonly allowInProduction?: boolean }) => Effect.Effect<unknown, SignerError.SignerError>
    ]
  > = [
    ["TestSigner", TestSigner.make],
    ["ScriptedSigner", ScriptedSigner.make]
  ]

  it.effect.each(makers)("%s is not built, unless that is allowed", ([, make]) =>
    Effect.gen(function* () {
      yield* inProduction
      const error = yield* Effect.flip(make())
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.include(error.message, "allowInProduction")
      yield* make({ allowInProduction: true })
    })
  )
})
