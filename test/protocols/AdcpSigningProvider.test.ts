/** What it takes and refuses. Against `@adcp/sdk`: `test/oracles`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { LocalSigner, PublicKey, type SignatureAlgorithm, Signer, SignerError, Verifier } from "effect-signer"
import { ScriptedSigner } from "effect-signer/testing"
import * as AdcpSigningProvider from "../../src/protocols/adapters/AdcpSigningProvider.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { ScriptedPublicKeys } from "../services/support/ScriptedPublicKeys.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)

interface Base {
  readonly keyId?: string
  readonly alg?: string
  readonly tag?: string
}

/** A signature base of RFC 9421, as `@adcp/sdk` builds it. */
const baseText = ({ alg = "ed25519", keyId = "k1", tag = "adcp/request-signing/v1" }: Base = {}) =>
  [
    '"@method": POST',
    '"@target-uri": https://seller.example/adcp',
    `"@signature-params": ("@method" "@target-uri");created=1;expires=2;nonce="n";keyid="${keyId}";alg="${alg}";tag="${tag}"`
  ].join("\n")
const base = (stated?: Base) => utf8(baseText(stated))

const signerOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm = "Ed25519", purpose?: string) =>
  LocalSigner.make({ privateKey: TestKey.make(algorithm), algorithm, purpose })

const makeFor = (signer: Signer.Service, options?: AdcpSigningProvider.Options) =>
  Effect.provideService(AdcpSigningProvider.make(options), Signer.Signer, signer)

const rejection = (evaluate: () => Promise<unknown>) =>
  Effect.map(
    Effect.flip(Effect.tryPromise({ try: evaluate, catch: (error) => error as SignerError.SignerError })),
    (error) => error
  )

describe("make", () => {
  it.effect.each([
    ["Ed25519", "ed25519"],
    ["ES256", "ecdsa-p256-sha256"]
  ] as const)("%s signs 64 bytes that verify", ([algorithm, alg]) =>
    Effect.gen(function* () {
      const signer = yield* signerOf(algorithm)
      const provider = yield* makeFor(signer, { keyId: "k1", algorithm: alg })
      assert.strictEqual(provider.algorithm, alg)
      assert.isFalse("adcpUse" in provider)
      const bytes = yield* Effect.promise(() => provider.sign(base({ alg })))
      assert.strictEqual(bytes.length, 64)
      assert.isTrue(yield* Verifier.verify(yield* signer.publicKey(), base({ alg }), bytes))
    })
  )

  it.effect.each([
    ["ES256", "ed25519", "ecdsa-p256-sha256"],
    ["Ed25519", "ecdsa-p256-sha256", "ed25519"],
    ["ES256K", "ed25519", "ES256K"]
  ] as const)("a key of %s is not one of %s", ([algorithm, expected, actual]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(makeFor(yield* signerOf(algorithm), { keyId: "k1", algorithm: expected }))
      assert.strictEqual(error._tag, "AdcpAlgorithmMismatch")
      const mismatch = error as AdcpSigningProvider.AdcpAlgorithmMismatch
      assert.deepStrictEqual(
        [mismatch.expected, mismatch.actual, mismatch.keyId, mismatch.code],
        [expected, actual, "k1", "signing_provider_algorithm_mismatch"]
      )
    })
  )

  it.effect.each(["ES384", "PS256", "BIP340", "ES256K"] as const)("AdCP has no %s", (algorithm) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(makeFor(yield* signerOf(algorithm)))
      assert.strictEqual(error._tag, "UnsupportedAlgorithm")
      assert.include(error.message, "AdCP needs Ed25519, ES256")
    })
  )

  it.effect("has the one purpose of its Signer", () =>
    Effect.gen(function* () {
      const outcome = (purpose: string | undefined, adcpUse?: AdcpSigningProvider.AdcpUse) =>
        Effect.flatMap(signerOf("Ed25519", purpose), (signer) => makeFor(signer, { adcpUse })).pipe(
          Effect.match({ onFailure: (error) => error.message, onSuccess: (provider) => provider.adcpUse ?? "none" })
        )
      assert.strictEqual(yield* outcome(undefined), "none")
      assert.strictEqual(yield* outcome("request-signing"), "request-signing")
      assert.strictEqual(yield* outcome("webhook-signing", "webhook-signing"), "webhook-signing")
      assert.include(yield* outcome("webhook-signing", "request-signing"), "the Signer is not for request-signing")
      assert.include(yield* outcome(undefined, "request-signing"), "the Signer is not for request-signing")
      assert.include(yield* outcome("releases"), "for something else than AdCP")
      assert.include(yield* outcome("governance-signing"), "use Jws")
      assert.include(yield* outcome("x", "x" as never), "must be one of request-signing")
    })
  )

  it.effect("names a key by what is stated, or by its thumbprint", () =>
    Effect.gen(function* () {
      const signer = yield* signerOf()
      const provider = yield* makeFor(signer)
      assert.strictEqual(provider.keyid, PublicKey.thumbprint(yield* signer.publicKey()))
      for (const keyId of ["", 'a"b', "a\\b", "a b", "a\nb", "é", "k".repeat(257)]) {
        const error = yield* Effect.flip(makeFor(signer, { keyId }))
        assert.include(error.message, "keyId: must be 1 to 256 visible ASCII characters")
      }
    })
  )

  it.effect("has a fingerprint that is the same in every process, and another one for each key", () =>
    Effect.gen(function* () {
      const fingerprints: Array<string> = []
      for (const algorithm of ["Ed25519", "ES256"] as const) {
        for (const keyId of ["k1", "k2"]) {
          const one = yield* makeFor(yield* signerOf(algorithm), { keyId })
          const again = yield* makeFor(yield* signerOf(algorithm), { keyId })
          assert.strictEqual(one.fingerprint, again.fingerprint)
          assert.match(one.fingerprint, /^[\w-]{43}$/)
          fingerprints.push(one.fingerprint)
        }
      }
      assert.strictEqual(new Set(fingerprints).size, 4)
    })
  )
})

describe("lazy", () => {
  it.effect("reads the public key with the first signature, and again where that failed", () =>
    Effect.gen(function* () {
      const inner = yield* signerOf()
      let reads = 0
      let isDown = true
      const down = new SignerError.KeyNotFound({ backend: "test", keyId: "k", operation: "publicKey" })
      const signer = Signer.Signer.of({
        ...inner,
        publicKey: () =>
          Effect.suspend(() => {
            reads++
            return isDown ? Effect.fail(down) : inner.publicKey()
          })
      })
      assert.strictEqual((yield* Effect.flip(makeFor(signer, { keyId: "k1" })))._tag, "KeyNotFound")
      const provider = yield* makeFor(signer, { keyId: "k1", lazy: true })
      assert.strictEqual(reads, 1)
      assert.strictEqual(yield* rejection(() => provider.sign(base())), down)
      isDown = false
      yield* Effect.promise(() => Promise.all([provider.sign(base()), provider.sign(base())]))
      yield* Effect.promise(() => provider.sign(base()))
      assert.isAtMost(reads, 4)
    })
  )

  it.effect("needs a stated key id, and knows the algorithm at once", () =>
    Effect.gen(function* () {
      const signer = yield* signerOf()
      assert.include((yield* Effect.flip(makeFor(signer, { lazy: true }))).message, "keyId: must be stated where lazy")
      const error = yield* Effect.flip(makeFor(signer, { lazy: true, keyId: "k1", algorithm: "ecdsa-p256-sha256" }))
      assert.strictEqual(error._tag, "AdcpAlgorithmMismatch")
    })
  )
})

describe("sign", () => {
  it.effect.each([
    ["text", baseText() as never, "expected a Uint8Array"],
    ["nothing", new Uint8Array(0), "expected a signature base"],
    ["other bytes", Uint8Array.of(0xff, 0xfe), "expected a signature base"],
    ["a token", utf8("eyJhbGciOiJFZERTQSJ9.e30"), "expected a signature base"],
    ["parameters alone, of other components", utf8(baseText().split("\n").at(-1)!), "expected a signature base"],
    ["parameters that are no list", utf8('"@signature-params": 1;keyid="k1"'), "expected a signature base"],
    ["a line too many", utf8(`"x": y\n${baseText()}`), "expected a signature base"],
    ["another line", utf8(baseText().replace('"@method": POST', "transfer: 1000")), "expected a signature base"],
    ["something after it", utf8(`${baseText()}\n`), "expected a signature base"],
    ["a long text", utf8(baseText({ keyId: "k".repeat(70_000) })), "expected a signature base"],
    ["another keyid", base({ keyId: "k2" }), "another keyid"],
    ["another alg", base({ alg: "rsa-pss-sha512" }), "another alg"],
    ["no tag of AdCP", base({ tag: "web-bot-auth" }), "its tag is not one of this key"],
    ["the tag of responses", base({ tag: "adcp/response-signing/v1" }), "its tag is not one of this key"]
  ] as const)("refuses %s", ([, payload, problem]) =>
    Effect.gen(function* () {
      const provider = yield* makeFor(yield* signerOf(), { keyId: "k1" })
      const error = yield* rejection(() => provider.sign(payload))
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.include(error.message, problem)
    })
  )

  it.effect.each([
    ["request-signing", "adcp/request-signing/v1", true],
    ["request-signing", "adcp/webhook-signing/v1", true],
    ["request-signing", "adcp/response-signing/v1", false],
    ["webhook-signing", "adcp/webhook-signing/v1", true],
    ["webhook-signing", "adcp/request-signing/v1", false],
    ["response-signing", "adcp/response-signing/v1", true],
    ["response-signing", "adcp/request-signing/v1", false]
  ] as const)("a key for %s and the tag %s: %s", ([purpose, tag, isSigned]) =>
    Effect.gen(function* () {
      const provider = yield* makeFor(yield* signerOf("Ed25519", purpose), { keyId: "k1" })
      const outcome = yield* Effect.exit(Effect.tryPromise(() => provider.sign(base({ tag }))))
      assert.strictEqual(outcome._tag === "Success", isSigned)
    })
  )

  it.effect("signs what was checked, whatever the caller does to it meanwhile", () =>
    Effect.gen(function* () {
      const inner = yield* signerOf()
      const signer = Signer.Signer.of({
        ...inner,
        publicKey: (version) => Effect.andThen(Effect.yieldNow, inner.publicKey(version))
      })
      const provider = yield* makeFor(signer, { keyId: "k1", lazy: true })
      const payload = base()
      const signing = provider.sign(payload)
      payload.fill(0)
      assert.isTrue(yield* Verifier.verify(yield* inner.publicKey(), base(), yield* Effect.promise(() => signing)))
    })
  )

  it.effect("rejects with the typed error of the Signer, which shows nothing of the message", () =>
    Effect.gen(function* () {
      const { signer } = yield* ScriptedSigner.make({
        algorithm: "Ed25519",
        steps: [ScriptedSigner.fail(new SignerError.RateLimited({}))]
      })
      const provider = yield* makeFor(signer, { keyId: "k1" })
      const error = yield* rejection(() => provider.sign(base()))
      assert.strictEqual(error._tag, "Retryable")
      assert.isUndefined(Canary.search([{ name: "message", secret: base() }])(Canary.show(error)))
      yield* Effect.promise(() => provider.sign(base()))
    })
  )

  it.effect.each([false, true])("rejects by a key that was rotated meanwhile (lazy: %s)", (lazy) =>
    Effect.gen(function* () {
      const keys = yield* ScriptedPublicKeys.make(["v1", "v2"])
      const provider = yield* makeFor(keys.signer, { keyId: "k1", lazy })
      yield* Effect.promise(() => provider.sign(base()))
      keys.rotate("v2")
      const error = yield* rejection(() => provider.sign(base()))
      assert.strictEqual(error._tag, "InvalidResponse")
      assert.include(error.message, "the key was rotated")
    })
  )
})

describe("publicJwk", () => {
  it.effect.each([
    ["Ed25519", "EdDSA"],
    ["ES256", "ES256"]
  ] as const)("%s has the members that verifiers of AdCP demand", ([algorithm, alg]) =>
    Effect.gen(function* () {
      const key = yield* (yield* signerOf(algorithm)).publicKey()
      const jwk = AdcpSigningProvider.publicJwk(key, { adcpUse: "request-signing", keyId: "k1" })
      const { adcp_use, key_ops, kid, use } = jwk
      assert.deepStrictEqual(
        [jwk["alg"], kid, use, key_ops, adcp_use],
        [alg, "k1", "sig", ["verify"], "request-signing"]
      )
      assert.isFalse("d" in jwk)
      assert.isTrue(PublicKey.sameKey(yield* PublicKey.fromJwk({ ...jwk }), key))
      assert.strictEqual(
        AdcpSigningProvider.publicJwk(key, { adcpUse: "webhook-signing" }).kid,
        PublicKey.thumbprint(key)
      )
    })
  )
})
