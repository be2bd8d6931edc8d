import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Result } from "effect"
import { PrivateKey, SignatureAlgorithm, type SignerError } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as Jws from "../../src/protocols/Jws.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Mac from "../../src/services/Mac.ts"
import * as Signer from "../../src/services/Signer.ts"
import { testRsaKey } from "../../src/testing/TestKey.ts"
import { ScriptedPublicKeys } from "../services/support/ScriptedPublicKeys.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)
const b64 = (text: string) => Buffer.from(text).toString("base64url")
const headerOf = (token: string) => JSON.parse(Buffer.from(token.split(".")[0]!, "base64url").toString())

const own = KeyResolver.layerSigner().pipe(Layer.provideMerge(LocalSigner.layerGenerated("Ed25519")))
const withOwn = <A, E>(effect: Effect.Effect<A, E, Signer.Signer | KeyResolver.KeyResolver>) =>
  Effect.provide(effect, own)

const signerOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm) =>
  LocalSigner.make({
    privateKey:
      SignatureAlgorithm.facts[algorithm].keyType === "RSA"
        ? PrivateKey.fromJwk(testRsaKey)
        : PrivateKey.generate(algorithm),
    algorithm
  })

const jose = SignatureAlgorithm.all.filter((algorithm) => SignatureAlgorithm.facts[algorithm].jose !== undefined)

const fieldOf = <A, R>(effect: Effect.Effect<A, SignerError.SignerError, R>) =>
  Effect.map(Effect.flip(effect), (error) => (error._tag === "InvalidConfiguration" ? error.field : error._tag))

const reasonOf = <A, R>(effect: Effect.Effect<A, Jws.VerifyError, R>) =>
  Effect.map(Effect.flip(effect), (error) => (error._tag === "JwsInvalid" ? error.reason : error._tag))

describe("sign and verify", () => {
  it.effect.each(jose)("%s, in all forms", (algorithm) =>
    Effect.gen(function* () {
      const signer = yield* signerOf(algorithm)
      const resolver = KeyResolver.fromSigners([{ signer }])
      const payload = utf8("hello")
      yield* Effect.gen(function* () {
        for (const options of [{}, { detached: true }, { unencoded: true }, { unencoded: true, detached: true }]) {
          const given = "detached" in options ? { payload } : {}
          const compact = yield* Jws.verify(yield* Jws.sign(payload, options), given)
          assert.deepStrictEqual([compact.payload, compact.key.publicKey.algorithm], [payload, algorithm])
          const flattened = yield* Jws.signFlattened(payload, { ...options, unprotected: { note: "x" } })
          assert.deepStrictEqual((yield* Jws.verifyFlattened(flattened, given)).unprotectedHeader, { note: "x" })
          const general = yield* Jws.signGeneral(payload, [{ signer }, { signer, kid: false }], options)
          const { signatures } = yield* Jws.verifyGeneral(JSON.stringify(general), given)
          assert.deepStrictEqual(signatures.map(Result.isSuccess), [true, true])
        }
      }).pipe(Effect.provideService(Signer.Signer, signer), Effect.provideService(KeyResolver.KeyResolver, resolver))
    })
  )

  it.effect("writes alg, typ and kid, and the header of the caller after them", () =>
    withOwn(
      Effect.gen(function* () {
        const { keyId } = (yield* Jws.verify(yield* Jws.sign(utf8("x")))).key
        const token = yield* Jws.sign(utf8("x"), { typ: "t", header: { cty: "text", x: 1 }, critical: ["x"] })
        assert.deepStrictEqual(Object.entries(headerOf(token)), [
          ["alg", "EdDSA"],
          ["typ", "t"],
          ["kid", keyId],
          ["crit", ["x"]],
          ["cty", "text"],
          ["x", 1]
        ])
        assert.strictEqual(yield* reasonOf(Jws.verify(token)), "CriticalUnknown")
        assert.strictEqual((yield* Jws.verify(token, { critical: ["x"] })).protectedHeader["x"], 1)
      })
    )
  )

  it.effect("reads both names of Ed25519, and writes the one that is asked for", () =>
    withOwn(
      Effect.gen(function* () {
        for (const ed25519 of ["EdDSA", "Ed25519"] as const) {
          const token = yield* Jws.sign(utf8("x"), { ed25519 })
          assert.strictEqual(headerOf(token).alg, ed25519)
          yield* Jws.verify(token)
        }
      })
    )
  )

  it.effect("a stated kid is written, and must be the resolver's", () =>
    Effect.gen(function* () {
      const signer = yield* signerOf("ES256")
      const token = yield* Effect.provideService(Jws.sign(utf8("x"), { kid: "k1" }), Signer.Signer, signer)
      const verifyAs = (keyId: string | undefined) =>
        Effect.provideService(Jws.verify(token), KeyResolver.KeyResolver, KeyResolver.fromSigners([{ signer, keyId }]))
      assert.strictEqual((yield* verifyAs("k1")).key.keyId, "k1")
      assert.strictEqual(yield* reasonOf(verifyAs(undefined)), "KeyUnknown")
      const wrong = KeyResolver.KeyResolver.of({
        resolve: () => Effect.map(signer.publicKey(), (publicKey) => ({ publicKey, keyId: "k2" })).pipe(Effect.orDie)
      })
      const misled = Effect.provideService(Jws.verify(token), KeyResolver.KeyResolver, wrong)
      assert.strictEqual(yield* reasonOf(misled), "KeyUnknown")
    })
  )

  it.effect.each(["BIP340", "BIP341"] as const)("%s has no name in JOSE", (algorithm) =>
    Effect.gen(function* () {
      const signer = yield* signerOf(algorithm)
      const error = yield* Effect.flip(Effect.provideService(Jws.sign(utf8("x")), Signer.Signer, signer))
      assert.deepStrictEqual([error._tag, error.backend], ["UnsupportedAlgorithm", "local"])
    })
  )

  it.effect("the kid is that of the key that signed, when it was rotated before the public key was read again", () =>
    Effect.gen(function* () {
      const keys = yield* ScriptedPublicKeys.make(["v1", "v2"])
      keys.rotate("v2", { stale: true })
      const token = yield* Effect.provideService(Jws.sign(utf8("x")), Signer.Signer, keys.signer)
      assert.strictEqual(headerOf(token).kid, keys.thumbprint("v2"))
      const resolver = yield* KeyResolver.fromKeys([{ publicKey: keys.publicKey("v2") }])
      yield* Effect.provideService(Jws.verify(token), KeyResolver.KeyResolver, resolver)
    })
  )

  it.effect("a Signer of another purpose is refused, and a key of another", () =>
    Effect.gen(function* () {
      const signer = yield* LocalSigner.make({ privateKey: PrivateKey.generate("Ed25519"), purpose: "tokens" })
      const sign = (purpose: string) => Effect.provideService(Jws.sign(utf8("x"), { purpose }), Signer.Signer, signer)
      assert.strictEqual((yield* Effect.flip(sign("releases")))._tag, "InvalidConfiguration")
      const token = yield* sign("tokens")
      const verify = (purpose: string) =>
        Effect.provideService(
          Jws.verify(token, { purpose }),
          KeyResolver.KeyResolver,
          KeyResolver.fromSigners([{ signer }])
        )
      yield* verify("tokens")
      assert.strictEqual(yield* reasonOf(verify("releases")), "KeyUnknown")
    })
  )

  it.effect("refuses headers that contradict the options", () =>
    withOwn(
      Effect.gen(function* () {
        for (const options of [
          { header: { alg: "none" } },
          { header: { kid: "x" } },
          { header: { crit: ["x"] } },
          { header: { b64: false } },
          { critical: ["x"] },
          { critical: ["toString"] }
        ]) {
          assert.strictEqual(yield* fieldOf(Jws.sign(utf8("x"), options)), Object.keys(options)[0])
        }
        for (const unprotected of [{ alg: "none" }, { kid: "x" }, { crit: [] }, { b64: false }, { a: 1 }]) {
          const field = yield* fieldOf(Jws.signFlattened(utf8("x"), { unprotected, header: { a: 2 } }))
          assert.strictEqual(field, "unprotected")
        }
        yield* Jws.signFlattened(utf8("x"), { kid: false, unprotected: { kid: "x" } })
        // what no reader would take, ours least of all
        for (const [field, options] of [
          ["critical", { header: { jku: "x" }, critical: ["jku"] }],
          ["critical", { header: { x: 1 }, critical: ["x", "x"] }],
          ["critical", { header: { x: undefined as never }, critical: ["x"] }],
          ["header", { header: { x: 1n as never } }],
          ["header", { header: { x: "x".repeat(16_384) } }],
          ["header", { header: ["x"] as never }],
          ["header", { header: { toJSON: () => ({ alg: "none" }) } as never }],
          ["unprotected", { unprotected: { x: 1n as never } }],
          ["unprotected", { unprotected: { toJSON: () => ({ alg: "none" }) } as never }],
          ["typ", { typ: "" }],
          ["typ", { typ: 7 as never }],
          ["kid", { kid: "" }],
          ["kid", { kid: 7 as never }]
        ] as const) {
          assert.strictEqual(yield* fieldOf(Jws.signFlattened(utf8("x"), options)), field)
        }
        assert.strictEqual(yield* fieldOf(Jws.sign("text" as never)), "payload")
      })
    )
  )
})

it.effect("a resolver that answers for another tenant or purpose is not believed", () =>
  Effect.gen(function* () {
    const signer = yield* signerOf("ES256")
    const publicKey = yield* signer.publicKey()
    const token = yield* Effect.provideService(Jws.sign(utf8("x"), { kid: "k" }), Signer.Signer, signer)
    const careless = KeyResolver.KeyResolver.of({
      resolve: () => Effect.succeed({ publicKey, keyId: "k", owner: "acme", tenant: "a", purpose: "tokens" })
    })
    const verify = (options: Jws.VerifyOptions) =>
      Effect.provideService(Jws.verify(token, options), KeyResolver.KeyResolver, careless)
    yield* verify({ issuer: "acme", tenant: "a", purpose: "tokens" })
    for (const options of [{ issuer: "globex" }, { tenant: "b" }, { purpose: "releases" }]) {
      assert.strictEqual(yield* reasonOf(verify(options)), "KeyUnknown")
    }
  })
)

describe("unencoded payloads (RFC 7797)", () => {
  it.effect("a compact one must be printable ASCII without a period, unless it is detached", () =>
    withOwn(
      Effect.gen(function* () {
        for (const text of ["a.b", "é", "a\n"]) {
          const error = yield* Effect.flip(Jws.sign(utf8(text), { unencoded: true }))
          assert.include(error.message, "RFC 7797 section 5.2")
          const token = yield* Jws.sign(utf8(text), { unencoded: true, detached: true })
          yield* Jws.verify(token, { payload: utf8(text) })
          const flattened = yield* Jws.signFlattened(utf8(text), { unencoded: true })
          assert.strictEqual(flattened.payload, text)
          yield* Jws.verifyFlattened(flattened)
        }
        // two texts with one encoding: only one of them was signed
        const signed = yield* Jws.signFlattened(utf8("\uFFFD"), { unencoded: true })
        yield* Jws.verifyFlattened(signed)
        const lone = JSON.stringify({ ...signed, payload: "\uD800" })
        assert.strictEqual(yield* reasonOf(Jws.verifyFlattened(lone)), "Malformed")
        const binary = new Uint8Array([0xff])
        assert.include((yield* Effect.flip(Jws.signFlattened(binary, { unencoded: true }))).message, "UTF-8")
      })
    )
  )

  it.effect("all signatures must agree on it", () =>
    Effect.gen(function* () {
      const signer = yield* signerOf("Ed25519")
      const encoded = yield* Jws.signGeneral(utf8("aGk"), [{ signer }])
      const unencoded = yield* Jws.signGeneral(utf8("aGk"), [{ signer }], { unencoded: true })
      const mixed = { payload: "aGk", signatures: [...encoded.signatures, ...unencoded.signatures] }
      const verified = Effect.provideService(
        Jws.verifyGeneral(mixed, { policy: "any" }),
        KeyResolver.KeyResolver,
        KeyResolver.fromSigners([{ signer }])
      )
      assert.strictEqual(yield* reasonOf(verified), "HeaderInvalid")
    })
  )
})

/** Tokens whose protected header is this text, with a signature that is right for it. */
const signedWithHeader = Effect.fnUntraced(function* (header: string, payload = "hello") {
  const signer = yield* Signer.Signer
  const input = `${b64(header)}.${b64(payload)}`
  const { bytes } = yield* signer.sign(utf8(input))
  return `${input}.${Buffer.from(bytes).toString("base64url")}`
})

describe("what verify refuses, although the signature is right", () => {
  it.effect.each([
    ["HeaderInvalid", `{"alg":"EdDSA","alg":"EdDSA"}`],
    ["HeaderInvalid", `{"alg":"EdDSA","a":{"b":1,"b":2}}`],
    ["HeaderInvalid", `{"alg":"EdDSA","\\u0061lg":"none"}`],
    ["HeaderInvalid", `{"alg":7}`],
    ["HeaderInvalid", `{}`],
    ["HeaderInvalid", `[]`],
    ["HeaderInvalid", `{"alg":"EdDSA"`],
    ["HeaderInvalid", `\uFEFF{"alg":"EdDSA"}`],
    ["HeaderInvalid", `{"alg":"EdDSA","x":${"[".repeat(80)}${"]".repeat(80)}}`],
    ["HeaderInvalid", `{"alg":"EdDSA","kid":7}`],
    ["HeaderInvalid", `{"alg":"EdDSA","typ":[]}`],
    ["HeaderInvalid", `{"alg":"EdDSA","b64":true}`],
    ["HeaderInvalid", `{"alg":"EdDSA","b64":"false","crit":["b64"]}`],
    ["CriticalUnknown", `{"alg":"EdDSA","crit":[]}`],
    ["CriticalUnknown", `{"alg":"EdDSA","crit":"b64","b64":true}`],
    ["CriticalUnknown", `{"alg":"EdDSA","crit":["b64"]}`],
    ["CriticalUnknown", `{"alg":"EdDSA","crit":["b64","b64"],"b64":true}`],
    ["CriticalUnknown", `{"alg":"EdDSA","crit":["alg"]}`],
    ["CriticalUnknown", `{"alg":"EdDSA","crit":["exp"],"exp":1}`],
    ["AlgorithmUnsupported", `{"alg":"none"}`],
    ["AlgorithmUnsupported", `{"alg":"HS256"}`],
    ["AlgorithmUnsupported", `{"alg":"eddsa"}`],
    ["AlgorithmUnsupported", `{"alg":"__proto__"}`],
    ["KeyUnknown", `{"alg":"ES256"}`],
    ["KeyUnknown", `{"alg":"EdDSA","kid":"__proto__"}`],
    ["TooLarge", `{"alg":"EdDSA","x":"${"x".repeat(20_000)}"}`]
  ] as const)("%s: %s", ([reason, header]) =>
    withOwn(
      Effect.gen(function* () {
        const token = yield* signedWithHeader(header)
        assert.strictEqual(yield* reasonOf(Jws.verify(token)), reason)
      })
    )
  )

  it.effect("b64 that crit does not list, also where crit lists something that is understood", () =>
    withOwn(
      Effect.gen(function* () {
        const token = yield* signedWithHeader(`{"alg":"EdDSA","b64":true,"crit":["x"],"x":1}`)
        assert.strictEqual(yield* reasonOf(Jws.verify(token, { critical: ["x"] })), "HeaderInvalid")
      })
    )
  )

  it.effect("nothing that a caller did to the header of the same token before", () =>
    withOwn(
      Effect.gen(function* () {
        const token = yield* Jws.sign(utf8("x"), { typ: "t" })
        for (let i = 0; i < 2; i++) {
          const { protectedHeader } = yield* Jws.verify(token, { typ: "t" })
          assert.strictEqual(protectedHeader["typ"], "t")
          assert.throws(() => Object.assign(protectedHeader, { typ: "other" }), TypeError)
        }
      })
    )
  )

  it.effect("an alg that is not that of the key which kid names", () =>
    withOwn(
      Effect.gen(function* () {
        const { keyId } = (yield* Jws.verify(yield* signedWithHeader(`{"alg":"EdDSA"}`))).key
        const token = yield* signedWithHeader(JSON.stringify({ alg: "ES256", kid: keyId }))
        assert.strictEqual(yield* reasonOf(Jws.verify(token)), "AlgorithmMismatch")
      })
    )
  )

  it.effect("another typ; application/ and letter case make no difference (RFC 7515 section 4.1.9)", () =>
    withOwn(
      Effect.gen(function* () {
        const token = yield* Jws.sign(utf8("x"), { typ: "Greeting" })
        for (const typ of ["Greeting", "greeting", "application/greeting"]) yield* Jws.verify(token, { typ })
        for (const typ of ["other", "text/greeting", ""]) {
          assert.strictEqual(yield* reasonOf(Jws.verify(token, { typ })), "WrongType")
        }
        const untyped = yield* Jws.sign(utf8("x"))
        assert.strictEqual(yield* reasonOf(Jws.verify(untyped, { typ: "greeting" })), "WrongType")
      })
    )
  )

  it.effect("text that is not strict base64url, or not three parts", () =>
    withOwn(
      Effect.gen(function* () {
        const token = yield* Jws.sign(utf8("hello!"))
        const [header, payload, signature] = token.split(".") as [string, string, string]
        for (const wrong of [
          "",
          "..",
          header,
          `${header}.${payload}`,
          `${header}.${payload}.`,
          `${token}.`,
          `${token}.x`,
          ` ${token}`,
          `${token}\n`,
          `${token}=`,
          `${header}=.${payload}.${signature}`,
          `${header}.${payload}=.${signature}`,
          `${header}.${payload}+.${signature}`,
          `${header}.é${payload}.${signature}`,
          `${header}.${payload}A.${signature}`,
          `.${payload}.${signature}`,
          7 as never,
          undefined as never
        ]) {
          const reason = yield* reasonOf(Jws.verify(wrong))
          assert.oneOf(reason, ["Malformed", "HeaderInvalid"], String(wrong))
        }
        assert.strictEqual(yield* reasonOf(Jws.verify(token, { maxLength: 10 })), "TooLarge")
      })
    )
  )

  it.effect("a payload that is detached and not given, or given twice", () =>
    withOwn(
      Effect.gen(function* () {
        const payload = utf8("hello")
        const token = yield* Jws.sign(payload)
        assert.strictEqual(yield* reasonOf(Jws.verify(token, { payload })), "PayloadMismatch")
        const flattened = yield* Jws.signFlattened(payload)
        assert.strictEqual(yield* reasonOf(Jws.verifyFlattened(flattened, { payload })), "PayloadMismatch")
        const detached = yield* Jws.signFlattened(payload, { detached: true })
        assert.strictEqual(yield* reasonOf(Jws.verifyFlattened(detached)), "PayloadMismatch")
        const compact = yield* Jws.sign(payload, { detached: true })
        assert.strictEqual(yield* reasonOf(Jws.verify(compact)), "SignatureInvalid")
        const text = { payload: "hello" as never }
        assert.strictEqual(yield* reasonOf(Jws.verify(compact, text)), "PayloadMismatch")
        assert.strictEqual(yield* reasonOf(Jws.verifyFlattened(detached, text)), "PayloadMismatch")
        assert.strictEqual(yield* reasonOf(Jws.verify(compact, { payload: utf8("other") })), "SignatureInvalid")
      })
    )
  )

  it.effect("JSON forms that are two at once, or have a member twice or of the wrong kind", () =>
    withOwn(
      Effect.gen(function* () {
        const jws = yield* Jws.signFlattened(utf8("hello"))
        const { payload, ...signature } = jws
        const text = JSON.stringify(jws)
        const flattened = [
          `${text.slice(0, -1)},"payload":"x"}`,
          "[]",
          "7",
          { ...jws, signature: 7 },
          { ...jws, protected: "" },
          { ...jws, protected: 7 },
          { ...jws, header: [] },
          { ...jws, header: { alg: "EdDSA" } },
          { ...jws, header: { crit: ["x"], x: 1 } },
          { ...jws, signatures: [signature] },
          { payload, signatures: [signature] }
        ]
        for (const wrong of flattened) {
          const reason = yield* reasonOf(Jws.verifyFlattened(wrong as never))
          assert.oneOf(reason, ["Malformed", "HeaderInvalid"], JSON.stringify(wrong))
        }
        const general = [
          jws,
          { payload, signatures: [] },
          { payload, signatures: [7] },
          { payload, signatures: [signature], protected: jws.protected },
          { payload, signatures: [{ ...signature, signature: "" }] }
        ]
        for (const wrong of general) {
          assert.oneOf(yield* reasonOf(Jws.verifyGeneral(wrong as never)), ["Malformed", "HeaderInvalid"])
        }
        const many = { payload: payload!, signatures: Array.from({ length: 17 }, () => signature) }
        assert.strictEqual(yield* reasonOf(Jws.verifyGeneral(many)), "TooLarge")
      })
    )
  )
})

describe("verifyGeneral", () => {
  it.effect("needs all signatures, or any, and says what came of each", () =>
    Effect.gen(function* () {
      const [a, b, stranger] = [yield* signerOf("Ed25519"), yield* signerOf("ES256"), yield* signerOf("ES256")]
      const mac = yield* Mac.generate("HS256")
      const resolver = KeyResolver.fromSigners([{ signer: a }, { signer: b }])
      const verify = (jws: Jws.GeneralJws, options: Jws.GeneralOptions) =>
        Effect.provideService(Jws.verifyGeneral(jws, options), KeyResolver.KeyResolver, resolver)
      const both = yield* Jws.signGeneral(utf8("x"), [{ signer: a }, { signer: b }])
      assert.lengthOf((yield* verify(both, {})).signatures, 2)
      const three = yield* Jws.signGeneral(utf8("x"), [{ signer: a }, { signer: stranger }, { mac }])
      assert.strictEqual(yield* reasonOf(verify(three, {})), "KeyUnknown")
      const { signatures } = yield* verify(three, { policy: "any" })
      assert.deepStrictEqual(
        signatures.map((outcome) =>
          Result.isSuccess(outcome)
            ? outcome.success.key?.publicKey.algorithm
            : outcome.failure._tag === "JwsInvalid"
              ? outcome.failure.reason
              : outcome.failure._tag
        ),
        ["Ed25519", "KeyUnknown", "AlgorithmUnsupported"]
      )
      const withMac = yield* verify(three, { policy: "any", macs: [mac] })
      assert.deepStrictEqual(withMac.signatures.map(Result.isSuccess), [true, false, true])
      const strange = yield* Jws.signGeneral(utf8("x"), [{ signer: stranger }])
      assert.strictEqual(yield* reasonOf(verify(strange, { policy: "any" })), "KeyUnknown")
    })
  )

  it.effect("signs nothing with no signer, and fails where one fails", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(Jws.signGeneral(utf8("x"), [] as never)))._tag, "InvalidConfiguration")
      const [a, b] = [yield* signerOf("Ed25519"), yield* signerOf("BIP340")]
      const error = yield* Effect.flip(Jws.signGeneral(utf8("x"), [{ signer: a }, { signer: b }]))
      assert.strictEqual(error._tag, "UnsupportedAlgorithm")
    })
  )
})

describe("shared secrets", () => {
  it.effect("a public key is never taken for one, nor the other way round", () =>
    Effect.gen(function* () {
      const signer = yield* signerOf("ES256")
      const publicKey = yield* signer.publicKey()
      const mac = yield* Mac.make({ algorithm: "HS256", secret: Redacted.make(publicKey.bytes), keyId: "k" })
      const forged = yield* Jws.signMac(utf8("x"), mac)
      const resolver = KeyResolver.fromSigners([{ signer, keyId: "k" }])
      const verified = Effect.provideService(Jws.verify(forged), KeyResolver.KeyResolver, resolver)
      assert.strictEqual(yield* reasonOf(verified), "AlgorithmUnsupported")
      const signed = yield* Effect.provideService(Jws.sign(utf8("x"), { kid: "k" }), Signer.Signer, signer)
      assert.strictEqual(yield* reasonOf(Jws.verifyMac(signed, mac)), "AlgorithmUnsupported")
    })
  )

  it.effect("kid chooses among several; without one, exactly one must fit", () =>
    Effect.gen(function* () {
      const secret = (fill: number) => Redacted.make(new Uint8Array(64).fill(fill))
      const make = (fill: number, keyId: string | undefined, algorithm: Mac.MacAlgorithm) =>
        Mac.make({ algorithm, keyId, secret: secret(fill) })
      const [a, b, c] = [yield* make(1, "a", "HS256"), yield* make(2, "b", "HS256"), yield* make(3, "c", "HS512")]
      const all = [a, b, c]
      assert.strictEqual((yield* Jws.verifyMac(yield* Jws.signMac(utf8("x"), b), all)).mac, b)
      assert.strictEqual((yield* Jws.verifyMac(yield* Jws.signMac(utf8("x"), c, { kid: false }), all)).mac, c)
      const reason = (options: { readonly kid: string | false }) =>
        Effect.flatMap(Jws.signMac(utf8("x"), a, options), (token) => reasonOf(Jws.verifyMac(token, all)))
      assert.strictEqual(yield* reason({ kid: false }), "KeyAmbiguous")
      assert.strictEqual(yield* reason({ kid: "b" }), "SignatureInvalid")
      assert.strictEqual(yield* reason({ kid: "c" }), "AlgorithmMismatch")
      assert.strictEqual(yield* reason({ kid: "d" }), "KeyUnknown")
      const unnamed = yield* make(1, undefined, "HS256")
      assert.strictEqual((yield* Jws.verifyMac(yield* Jws.signMac(utf8("x"), a), unnamed)).mac, unnamed)
    })
  )
})

describe("RFC 7515", () => {
  const payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

  it.effect("appendix A.1 verifies, and its MAC is ours", () =>
    Effect.gen(function* () {
      const k = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
      const mac = yield* Mac.fromJwk(Redacted.make({ kty: "oct", k }), { algorithm: "HS256" })
      const token = `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${payload}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`
      assert.include(new TextDecoder().decode((yield* Jws.verifyMac(token, mac)).payload), `"iss":"joe"`)
    })
  )

  it.effect("appendix A.3 verifies", () =>
    Effect.gen(function* () {
      const jwk = {
        kty: "EC",
        crv: "P-256",
        x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
      }
      const resolver = yield* KeyResolver.fromJwks({ keys: [jwk] })
      const token =
        `eyJhbGciOiJFUzI1NiJ9.${payload}.` +
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
      yield* Effect.provideService(Jws.verify(token), KeyResolver.KeyResolver, resolver)
    })
  )
})
