/** What it takes and refuses. Against `web-bot-auth`: `test/oracles`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSigner, PublicKey, type SignatureAlgorithm, Signer, type SignerError, Verifier } from "effect-signer"
import * as WebBotAuthSigner from "../../src/protocols/adapters/WebBotAuthSigner.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { ScriptedPublicKeys } from "../services/support/ScriptedPublicKeys.ts"

const baseOf = (keyId: string, tag = "web-bot-auth", alg = "ed25519") =>
  `"@authority": shop.example\n"@signature-params": ("@authority");created=1;keyid="${keyId}";alg="${alg}";expires=2;tag="${tag}"`

const signerOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm = "Ed25519", purpose?: string) =>
  LocalSigner.make({ privateKey: TestKey.make(algorithm), algorithm, purpose })

const makeFor = (signer: Signer.Service, purpose?: string) =>
  Effect.provideService(WebBotAuthSigner.make({ purpose }), Signer.Signer, signer)

const rejection = (evaluate: () => Promise<unknown>) =>
  Effect.flip(Effect.tryPromise({ try: evaluate, catch: (error) => error as SignerError.SignerError }))

describe("WebBotAuthSigner", () => {
  it.effect.each([
    ["Ed25519", "ed25519"],
    ["PS512", "rsa-pss-sha512"]
  ] as const)("%s signs as the thumbprint of the key", ([algorithm, alg]) =>
    Effect.gen(function* () {
      const signer = yield* signerOf(algorithm)
      const { keyid, publicKey, sign, ...made } = yield* makeFor(signer)
      assert.strictEqual(made.alg, alg)
      assert.strictEqual(keyid, PublicKey.thumbprint(publicKey))
      const base = baseOf(keyid, "web-bot-auth", alg)
      const bytes = yield* Effect.promise(() => sign(base))
      assert.isTrue(yield* Verifier.verify(publicKey, new TextEncoder().encode(base), bytes, { algorithm }))
    })
  )

  it.effect.each(["ES256", "PS256", "RS256"] as const)("web-bot-auth verifies no %s", (algorithm) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(makeFor(yield* signerOf(algorithm)))
      assert.strictEqual(error._tag, "UnsupportedAlgorithm")
      assert.include(error.message, "web-bot-auth needs Ed25519, PS512")
    })
  )

  it.effect("is made with a Signer of the purpose that is asked for, and of no other", () =>
    Effect.gen(function* () {
      const signer = yield* signerOf("Ed25519", "bot")
      yield* makeFor(signer, "bot")
      assert.include((yield* Effect.flip(makeFor(signer, "releases"))).message, "the Signer is not for this purpose")
    })
  )

  it.effect("signs signature bases of its key with one of two tags, and nothing else", () =>
    Effect.gen(function* () {
      const { keyid, sign } = yield* makeFor(yield* signerOf())
      yield* Effect.promise(() => sign(baseOf(keyid, WebBotAuthSigner.directoryTag)))
      const problemOf = (data: unknown) =>
        Effect.map(
          rejection(() => sign(data as string)),
          (error) => error.message
        )
      assert.include(yield* problemOf(new Uint8Array(3)), "expected text")
      assert.include(yield* problemOf("hello"), "expected a signature base of RFC 9421")
      assert.include(yield* problemOf(baseOf("another")), "another keyid")
      assert.include(yield* problemOf(baseOf(keyid, "web-bot-auth", "rsa-pss-sha512")), "another alg")
      assert.include(yield* problemOf(baseOf(keyid, "adcp/request-signing/v1")), "its tag is neither web-bot-auth")
    })
  )

  it.effect("rejects by a key that was rotated meanwhile", () =>
    Effect.gen(function* () {
      const keys = yield* ScriptedPublicKeys.make(["v1", "v2"])
      const { keyid, sign } = yield* makeFor(keys.signer)
      yield* Effect.promise(() => sign(baseOf(keyid)))
      keys.rotate("v2")
      assert.include((yield* rejection(() => sign(baseOf(keyid)))).message, "the key was rotated")
    })
  )

  it.effect("a directory names each key by its thumbprint", () =>
    Effect.gen(function* () {
      const keys = [yield* (yield* signerOf()).publicKey(), yield* (yield* signerOf("PS512")).publicKey()]
      const directory = WebBotAuthSigner.directory(keys)
      assert.deepStrictEqual(
        directory.keys.map((key) => [key["kid"], key["use"], "d" in key]),
        keys.map((key) => [PublicKey.thumbprint(key), "sig", false])
      )
    })
  )
})
