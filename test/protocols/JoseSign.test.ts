import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { LocalSigner, PublicKey, Signer, type SignerError, Verifier } from "effect-signer"
import * as Jws from "../../src/protocols/Jws.ts"
import * as JoseSign from "../../src/protocols/adapters/JoseSign.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)
const base64url = (text: string) => Buffer.from(text).toString("base64url")
const headerOf = (token: string): unknown => JSON.parse(Buffer.from(token.split(".")[0]!, "base64url").toString())
const rejection = (evaluate: () => Promise<unknown>) =>
  Effect.flip(Effect.tryPromise({ try: evaluate, catch: (error) => error as SignerError.SignerError }))

const Live = KeyResolver.layerSigner().pipe(Layer.provideMerge(LocalSigner.layerGenerated("Ed25519")))

describe("sign", () => {
  it.effect("writes the header as it is stated, and a kid where it states none", () =>
    Effect.gen(function* () {
      const kid = PublicKey.thumbprint(yield* Signer.Signer.use((signer) => signer.publicKey()))
      const { alg, sign } = yield* JoseSign.make()
      assert.strictEqual(alg, "EdDSA")
      const claims = { sub: "7" }
      for (const [header, written] of [
        [undefined, { alg, kid }],
        [{ alg }, { alg, kid }],
        [
          { alg: "Ed25519", kid: "a", typ: "x", note: [1], crit: ["note"] },
          { alg: "Ed25519", kid: "a", typ: "x", note: [1], crit: ["note"] }
        ]
      ] as const) {
        assert.deepStrictEqual(headerOf(yield* Effect.promise(() => sign(claims, header))), written)
      }
      const { sign: named } = yield* JoseSign.make({ kid: "mine" })
      assert.deepStrictEqual(headerOf(yield* Effect.promise(() => named(claims))), { alg, kid: "mine" })
      const { payload } = yield* Jws.verify(yield* Effect.promise(() => sign(claims)))
      assert.deepStrictEqual(payload, utf8(`{"sub":"7"}`))
      assert.deepStrictEqual(
        (yield* Jws.verify(yield* Effect.promise(() => sign(utf8("hello"))))).payload,
        utf8("hello")
      )
    }).pipe(Effect.provide(Live))
  )

  it.effect("signs a payload as it is, where b64 is false", () =>
    Effect.gen(function* () {
      const { signFlattened } = yield* JoseSign.make()
      const header = { b64: false, crit: ["b64"] }
      const error = yield* rejection(() => signFlattened(utf8("$.02"), header, { n: 1n } as never))
      assert.include(error.message, "unprotected: cannot be written as JSON")
      const flattened = yield* Effect.promise(() => signFlattened(utf8("$.02"), header, { note: "x" }))
      assert.deepStrictEqual([flattened.payload, flattened.header], ["$.02", { note: "x" }])
      assert.deepStrictEqual((yield* Jws.verifyFlattened(flattened)).payload, utf8("$.02"))
    }).pipe(Effect.provide(Live))
  )

  const cycle: Record<string, unknown> = {}
  cycle["self"] = cycle
  it.effect.each([
    { why: "another alg", header: { alg: "ES256" }, says: `"alg" is not that of the key: EdDSA` },
    { why: "no alg", header: { alg: "none" }, says: `"alg" is not that of the key` },
    { why: "a symmetric alg", header: { alg: "HS256" }, says: `"alg" is not that of the key` },
    { why: "an alg that is no text", header: { alg: 7 }, says: `"alg" is not that of the key` },
    { why: "a kid that is no text", header: { kid: 7 }, says: `"kid" must be text` },
    { why: "a typ that is no text", header: { typ: {} }, says: `"typ" must be text` },
    { why: "a b64 that is no boolean", header: { b64: "false", crit: ["b64"] }, says: `"b64" must be true or false` },
    { why: "b64 that is not critical", header: { b64: false }, says: `"b64" must be listed in "crit"` },
    { why: "a crit that is no list", header: { crit: "b64" }, says: `"crit" must be a list of names` },
    { why: "a crit without the parameter", header: { crit: ["note"] }, says: "critical: names a parameter" },
    { why: "a header that is no object", header: [] as object, says: "header: expected an object" },
    { why: "no header", header: null as never, says: "header: expected an object" },
    {
      why: "a header with a bigint",
      header: { n: 1n },
      says: "header: expected an object that can be written as JSON"
    },
    { why: "text as a payload", payload: "text", says: "payload: expected a Uint8Array, or an object of claims" },
    { why: "a list as a payload", payload: [1], says: "payload: expected a Uint8Array, or an object of claims" },
    { why: "null as a payload", payload: null, says: "payload: expected a Uint8Array, or an object of claims" },
    { why: "a bigint", payload: { n: 1n }, says: "payload: cannot be written as JSON" },
    { why: "a cycle", payload: cycle, says: "payload: cannot be written as JSON" }
  ] as const)("refuses $why", ({ header, payload, says }: { header?: object; payload?: unknown; says: string }) =>
    Effect.gen(function* () {
      const { sign } = yield* JoseSign.make()
      const error = yield* rejection(() => sign((payload === undefined ? {} : payload) as object, header as never))
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.include(error.message, says)
    }).pipe(Effect.provide(Live))
  )
})

describe("signInput", () => {
  it.effect("signs the input of a JWS, as text or bytes", () =>
    Effect.gen(function* () {
      const { signInput } = yield* JoseSign.make()
      const key = yield* Signer.Signer.use((signer) => signer.publicKey())
      const input = `${base64url(`{"alg":"EdDSA"}`)}.${base64url("hello")}`
      for (const given of [input, utf8(input)]) {
        const signature = yield* Effect.promise(() => signInput(given))
        assert.isTrue(yield* Verifier.verify(key, utf8(input), new Uint8Array(Buffer.from(signature, "base64url"))))
      }
    }).pipe(Effect.provide(Live))
  )

  it.effect.each([
    ["what is no JWS", "transfer everything"],
    ["a header that is no base64url", `!!!.${base64url("hello")}`],
    ["a header that is no JSON", `${base64url("alg")}.`],
    ["a header with alg twice", `${base64url(`{"alg":"none","alg":"EdDSA"}`)}.`],
    ["a header without alg", `${base64url("{}")}.`],
    ["a header of another algorithm", `${base64url(`{"alg":"ES256"}`)}.`],
    ["a header alone", base64url(`{"alg":"EdDSA"}`)],
    ["what is no text", 7 as never]
  ] as const)("refuses %s", ([, input]) =>
    Effect.gen(function* () {
      const { signInput } = yield* JoseSign.make()
      const error = yield* rejection(() => signInput(input))
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.include(error.message, "input: expected the signing input of a JWS")
    }).pipe(Effect.provide(Live))
  )
})
