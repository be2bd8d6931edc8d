import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Hex } from "effect/encoding"
import { KeyId, KeyVersion, LocalSigner, PrivateKey, PublicKey, SignatureAlgorithm, Verifier } from "../../src/index.ts"
import * as NobleSigner from "../../src/layers/NobleSigner.ts"
import { Conformance } from "../../src/testing.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { bytesFromHex, secretsOf } from "./keys.ts"

const message = new TextEncoder().encode("message")

for (const algorithm of SignatureAlgorithm.all) {
  const layer = NobleSigner.layer({ privateKey: TestKey.make(algorithm), algorithm })
  Conformance.suite(it, `kit/noble/${algorithm}`, layer, { secrets: secretsOf(algorithm) })
}

describe("make", () => {
  it.effect.each(SignatureAlgorithm.all)("has the key that LocalSigner has: %s", (algorithm) =>
    Effect.gen(function* () {
      const privateKey = yield* TestKey.make(algorithm)
      const noble = yield* NobleSigner.make({ privateKey, algorithm })
      const local = yield* LocalSigner.make({ privateKey, algorithm })
      assert.strictEqual(noble.backend, "noble")
      assert.strictEqual(noble.keyId, local.keyId)
      const [publicKey, same] = [yield* noble.publicKey(), yield* local.publicKey()]
      assert.isTrue(PublicKey.sameKey(publicKey, same))
      assert.isTrue(yield* Verifier.verify(publicKey, message, yield* local.sign(message)))
      assert.isTrue(yield* Verifier.verify(publicKey, message, yield* noble.sign(message)))
    })
  )

  it.effect("signs as RFC 8032 says: section 7.1, test 3", () =>
    Effect.gen(function* () {
      const signer = yield* NobleSigner.make({
        privateKey: PrivateKey.fromHex("Ed25519", "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
      })
      assert.strictEqual(
        Hex.encode((yield* signer.sign(bytesFromHex("af82"))).bytes),
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac" +
          "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
      )
    })
  )

  it.effect("takes the same options and refuses the same mistakes", () =>
    Effect.gen(function* () {
      const privateKey = yield* TestKey.make("ES256K")
      const named = yield* NobleSigner.make({
        privateKey,
        algorithm: "BIP340",
        keyId: KeyId.make("coins"),
        purpose: "coins"
      })
      assert.deepStrictEqual([named.keyId, named.purpose], [KeyId.make("coins"), "coins"])
      assert.strictEqual((yield* Effect.flip(named.publicKey(KeyVersion.make("1"))))._tag, "KeyNotFound")
      const mistakes: ReadonlyArray<NobleSigner.Options> = [
        { privateKey },
        { privateKey, algorithm: "ES256" },
        { privateKey, algorithm: "ES256K", merkleRoot: new Uint8Array(32) },
        { privateKey, algorithm: "BIP341", merkleRoot: new Uint8Array(33) }
      ]
      for (const options of mistakes) {
        assert.strictEqual((yield* Effect.flip(NobleSigner.make(options)))._tag, "InvalidConfiguration")
      }
    })
  )

  it.effect("signs after the private key was wiped: it was read once", () =>
    Effect.gen(function* () {
      for (const algorithm of SignatureAlgorithm.all) {
        const privateKey = yield* TestKey.make(algorithm)
        const signer = yield* NobleSigner.make({ privateKey, algorithm })
        PrivateKey.wipe(privateKey)
        const signature = yield* signer.sign(message)
        assert.isTrue(yield* Verifier.verify(yield* signer.publicKey(), message, signature), algorithm)
      }
    })
  )
})
