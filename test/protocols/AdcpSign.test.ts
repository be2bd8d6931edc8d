import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { LocalSigner, type SignatureAlgorithm, Signer } from "effect-signer"
import { readdir } from "node:fs/promises"
import * as MemoryReplayStore from "../../src/layers/MemoryReplayStore.ts"
import * as StaticRevocationStore from "../../src/layers/StaticRevocationStore.ts"
import * as Adcp from "../../src/protocols/Adcp.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as HttpSignatureProfile from "../../src/protocols/HttpSignatureProfile.ts"
import * as PrivateKey from "../../src/schemas/PrivateKey.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { folder as vectorsFolder } from "../schemas/vectors.ts"
import { readText } from "../../src/cli/vectors/VectorSuite.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)

const signerOf = (purpose?: string, algorithm: SignatureAlgorithm.SignatureAlgorithm = "Ed25519") =>
  LocalSigner.make({ privateKey: TestKey.make(algorithm), algorithm, purpose })

const withSigner =
  (signer: Signer.Service) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provideService(effect, Signer.Signer, signer)

const post = (target: string, body = '{"plan_id":"plan_001"}', fields: ReadonlyArray<HttpMessage.FieldLine> = []) =>
  HttpMessage.request({
    method: "POST",
    target,
    fields: [["Content-Type", "application/json"], ...fields],
    body: utf8(body)
  })

const url = "https://seller.example.com/adcp/create_media_buy"

const verifier = (keys: ReadonlyArray<unknown>) =>
  Layer.mergeAll(Adcp.layerJwks({ keys }), MemoryReplayStore.layer(), StaticRevocationStore.layer({ keyIds: [] }))

const capability = Adcp.parseCapability({ supported: true, required_for: ["create_media_buy"] })

const profiles = [
  ["3.0", HttpSignatureProfile.adcp30],
  ["3.1", HttpSignatureProfile.adcp31],
  ["3.2", HttpSignatureProfile.adcp32]
] as const

const cases = profiles.flatMap((profile) =>
  (["Ed25519", "ES256"] as const).map((algorithm) => [...profile, algorithm] as const)
)

describe("signRequest", () => {
  it.effect.each(cases)("%s with %s: our verifier accepts it, once", ([, profile, algorithm]) =>
    Effect.gen(function* () {
      const signer = yield* signerOf("request-signing", algorithm)
      const jwk = Adcp.publicJwk(yield* signer.publicKey(), { adcpUse: "request-signing", keyId: "k1" })
      const { message } = yield* Adcp.signRequest(post(url), { profile, keyId: "k1" }).pipe(withSigner(signer))
      const verify = Effect.flatMap(capability, (capability) => Adcp.verifyRequest(message, { profile, capability }))
      yield* Effect.gen(function* () {
        const verified = yield* verify
        assert.strictEqual(verified._tag, "Signed")
        const error = yield* Effect.flip(verify)
        assert.strictEqual(error._tag === "AdcpSignatureError" && error.code, "request_signature_replayed")
      }).pipe(Effect.provide(verifier([jwk])))
    })
  )

  it.effect("writes what the profile of the version says", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_776_520_800_000)
      const signer = yield* signerOf("request-signing")
      const fieldsOf = (options: Adcp.SignRequestOptions) =>
        Effect.map(Adcp.signRequest(post(url), options).pipe(withSigner(signer)), ({ fields }) =>
          Object.fromEntries(fields)
        )
      const now = yield* fieldsOf({ profile: HttpSignatureProfile.adcp31, keyId: "k1" })
      assert.match(
        now["Signature-Input"]!,
        /^sig1=\("@method" "@target-uri" "@authority" "content-type" "content-digest"\);created=1776520800;expires=1776521100;nonce="[\w-]{22}";(?:keyid="k1";alg="ed25519"|alg="ed25519";keyid="k1");tag="adcp\/request-signing\/v1"$/
      )
      assert.match(now["Signature"]!, /^sig1=:[\w-]{86}:$/)
      assert.match(now["Content-Digest"]!, /^sha-256=:[\w-]{43}:$/)
      const next = yield* fieldsOf({ profile: HttpSignatureProfile.adcp32, keyId: "k1", coverDigest: false })
      assert.match(next["Signature"]!, /^sig1=:[A-Za-z0-9+/]{86}==:$/)
      assert.match(next["Content-Digest"]!, /^sha-256=:[A-Za-z0-9+/]{43}=:$/)
      const without = yield* fieldsOf({ profile: HttpSignatureProfile.adcp31, keyId: "k1", coverDigest: false })
      assert.notProperty(without, "Content-Digest")
      const again = yield* fieldsOf({ profile: HttpSignatureProfile.adcp31, keyId: "k1" })
      assert.notStrictEqual(now["Signature-Input"], again["Signature-Input"]) // another nonce
    })
  )

  it.effect("signs the canonical target, and answers with it", () =>
    Effect.gen(function* () {
      const signer = yield* signerOf("request-signing")
      const { message } = yield* Adcp.signRequest(post("HTTPS://Seller.Example.com:443/a/../b%7e?x=%41"), {
        profile: HttpSignatureProfile.adcp32
      }).pipe(withSigner(signer))
      assert.deepStrictEqual(
        [message.scheme, message.authority, message.path, message.query],
        ["https", "seller.example.com", "/b~", "x=%41"]
      )
    })
  )

  it.effect.each(["https:///p", "https://a..b/", "https://seller.example/%2e%2e/x"])(
    "refuses the target %s",
    (target) =>
      Effect.gen(function* () {
        const signer = yield* signerOf("request-signing")
        const error = yield* Effect.flip(
          Adcp.signRequest(post(target), { profile: HttpSignatureProfile.adcp32 }).pipe(withSigner(signer))
        )
        assert.strictEqual(error._tag, "TargetUriMalformed")
      })
  )

  it.effect.each([
    ["a nonce of 15 bytes", { nonce: "A".repeat(20) }, "nonce"],
    ["a padded nonce", { nonce: "AAAAAAAAAAAAAAAAAAAAAA==" }, "nonce"],
    ["a nonce that is no base64url", { nonce: "AAAAAAAAAAAAAAAAAAAAA+" }, "nonce"],
    ["a long nonce", { nonce: "A".repeat(300) }, "nonce"],
    ["301 seconds", { expiresIn: "301 seconds" }, "expiresIn"],
    ["no time", { expiresIn: 0 }, "expiresIn"]
  ] as const)("refuses %s", ([, options, field]) =>
    Effect.gen(function* () {
      const signer = yield* signerOf("request-signing")
      const error = yield* Effect.flip(
        Adcp.signRequest(post(url), { profile: HttpSignatureProfile.adcp32, ...options }).pipe(withSigner(signer))
      )
      assert.strictEqual(error._tag === "InvalidConfiguration" && error.field, field)
    })
  )

  it.effect("refuses a body that is not known, and a type that is missing", () =>
    Effect.gen(function* () {
      const signer = yield* signerOf("request-signing")
      const sign = (request: HttpMessage.HttpRequest) =>
        Effect.flip(Adcp.signRequest(request, { profile: HttpSignatureProfile.adcp31 }).pipe(withSigner(signer)))
      const unknown = yield* sign({ ...post(url), body: undefined })
      assert.strictEqual(unknown._tag === "InvalidConfiguration" && unknown.field, "body")
      const untyped = yield* sign({ ...post(url), fields: [] })
      assert.strictEqual(untyped._tag === "HttpSignatureInvalid" && untyped.reason, "ComponentUnavailable")
    })
  )

  it.effect("shows nothing of the message and the nonce in what it fails with", () =>
    Effect.gen(function* () {
      const signer = yield* signerOf("releases")
      const error = yield* Effect.flip(
        Adcp.signRequest(post(`${url}?token=secret-of-mine`), {
          profile: HttpSignatureProfile.adcp31,
          nonce: "KXYnfEfJ0PBRZXQyVXfVQA"
        }).pipe(withSigner(signer))
      )
      const secrets = ["secret-of-mine", "KXYnfEfJ0PBRZXQyVXfVQA", "plan_001"].map((secret) => ({
        name: secret,
        secret
      }))
      assert.isUndefined(Canary.search(secrets)(Canary.show(error)))
    })
  )
})

describe("purposes", () => {
  const response = HttpMessage.response({
    status: 200,
    fields: [["Content-Type", "application/json"]],
    body: utf8("{}"),
    request: post(url)
  })
  const options: Adcp.SignMessageOptions = { profile: HttpSignatureProfile.adcp31 }
  const signs: { readonly [kind: string]: Effect.Effect<unknown, Adcp.SignFailure, Signer.Signer> } = {
    request: Adcp.signRequest(post(url), options),
    webhook: Adcp.signWebhook(post(url), options),
    response: Adcp.signResponse(response, options)
  }
  it.effect.each([
    ["request", "request-signing", undefined],
    ["request", "webhook-signing", "request_signature_key_purpose_invalid"],
    ["request", undefined, "request_signature_key_purpose_invalid"],
    ["webhook", "webhook-signing", undefined],
    ["webhook", "request-signing", undefined],
    ["webhook", "response-signing", "webhook_signature_key_purpose_invalid"],
    ["response", "response-signing", undefined],
    ["response", "request-signing", "response_signature_key_purpose_invalid"]
  ] as const)("a %s by a key for %s: %s", ([kind, purpose, code]) =>
    Effect.gen(function* () {
      const signer = yield* signerOf(purpose)
      const outcome = yield* Effect.result(signs[kind]!.pipe(withSigner(signer)))
      if (code === undefined) assert.strictEqual(outcome._tag, "Success")
      else {
        assert.strictEqual(
          outcome._tag === "Failure" && outcome.failure._tag === "AdcpSignatureError" && outcome.failure.code,
          code
        )
      }
    })
  )

  it.effect("AdcpSignatureError comes before anything is signed, other algorithms are refused", () =>
    Effect.gen(function* () {
      const signer = yield* signerOf("request-signing", "ES384")
      const error = yield* Effect.flip(signs["request"]!.pipe(withSigner(signer)))
      assert.strictEqual(error._tag === "InvalidConfiguration" && error.field, "algorithms")
    })
  )
})

describe("signWebhook and signResponse", () => {
  it.effect.each(cases)("%s with %s: our verifier accepts them", ([, profile, algorithm]) =>
    Effect.gen(function* () {
      const hooks = yield* signerOf("webhook-signing", algorithm)
      const answers = yield* signerOf("response-signing", algorithm)
      const jwks = [
        Adcp.publicJwk(yield* hooks.publicKey(), { adcpUse: "webhook-signing", keyId: "hooks" }),
        Adcp.publicJwk(yield* answers.publicKey(), { adcpUse: "response-signing", keyId: "answers" })
      ]
      yield* Effect.gen(function* () {
        const webhook = yield* Adcp.signWebhook(post("https://buyer.example.com/hook"), {
          profile,
          keyId: "hooks"
        }).pipe(withSigner(hooks))
        assert.strictEqual((yield* Adcp.verifyWebhook(webhook.message, { profile }))._tag, "Signed")
        const response = HttpMessage.response({
          status: 200,
          fields: [["Content-Type", "application/json"]],
          body: utf8('{"ok":true}'),
          request: post(url)
        })
        const signed = yield* Adcp.signResponse(response, { profile, keyId: "answers" }).pipe(withSigner(answers))
        assert.strictEqual((yield* Adcp.verifyResponse(signed.message, { profile }))._tag, "Signed")
        const moved = { ...signed.message, request: post("https://seller.example.com/adcp/other") }
        const error = yield* Effect.flip(Adcp.verifyResponse(moved, { profile }))
        assert.strictEqual(error._tag === "AdcpSignatureError" && error.code, "response_signature_invalid")
      }).pipe(Effect.provide(verifier(jwks)))
    })
  )

  it.effect("a webhook has content, and a response its request", () =>
    Effect.gen(function* () {
      const signer = yield* signerOf("webhook-signing")
      const profile = HttpSignatureProfile.adcp31
      const empty = yield* Effect.flip(Adcp.signWebhook(post(url, ""), { profile }).pipe(withSigner(signer)))
      assert.strictEqual(empty._tag === "InvalidConfiguration" && empty.field, "body")
      const response = HttpMessage.response({ status: 200, fields: [], body: utf8("{}") })
      const alone = yield* Effect.flip(Adcp.signResponse(response, { profile }).pipe(withSigner(signer)))
      assert.strictEqual(alone._tag === "InvalidConfiguration" && alone.field, "request")
    })
  )
})

// ---------------------------------------------------------------------------
// published vectors
// ---------------------------------------------------------------------------

const Vector = Schema.fromJsonString(
  Schema.Struct({
    reference_now: Schema.Int,
    request: Schema.Struct({
      method: Schema.String,
      url: Schema.String,
      headers: Schema.Record(Schema.String, Schema.String),
      body: Schema.optionalKey(Schema.String)
    })
  })
)
const Keys = Schema.fromJsonString(Schema.Struct({ keys: Schema.Array(Schema.JsonObject) }))

const isAdded = (name: string) => ["signature", "signature-input"].includes(name.toLowerCase())

/** Signs a vector anew: its fields without the signature, at its time, with its nonce, by its key. */
const resign = Effect.fnUntraced(function* (folder: string, name: string, kind: "request" | "webhook") {
  const { keys } = yield* Schema.decodeEffect(Keys)(yield* readText(`${folder}/keys.json`))
  const { reference_now: now, request } = yield* Schema.decodeEffect(Vector)(
    yield* readText(`${folder}/positive/${name}`)
  )
  const { body = "", headers, method, url } = request
  const input = headers["Signature-Input"]!
  const [, nonce] = /;nonce="([^"]*)"/.exec(input)!
  const [, keyId] = /;keyid="([^"]*)"/.exec(input)!
  const jwk = keys.find(({ kid }) => kid === keyId)!
  const { _private_d_for_test_only: d, adcp_use: purpose, crv, kty, x, y } = jwk
  const privateKey = yield* PrivateKey.fromJwk({ kty, crv, x, d, ...(y === undefined ? {} : { y }) })
  const signer = yield* LocalSigner.make({ privateKey, purpose: purpose as string })
  yield* TestClock.setTime(now * 1000)
  const unsigned = HttpMessage.request({
    method,
    target: url,
    fields: Object.entries(headers).filter(([name]) => !isAdded(name)),
    body: utf8(body)
  })
  const options = { profile: HttpSignatureProfile.adcp31, keyId, nonce }
  const signed =
    kind === "webhook"
      ? yield* Adcp.signWebhook(unsigned, options).pipe(withSigner(signer))
      : yield* Adcp.signRequest(unsigned, { ...options, coverDigest: input.includes('"content-digest"') }).pipe(
          withSigner(signer)
        )
  return { expected: headers, made: Object.fromEntries(signed.fields) }
})

const folders = ["request", "webhook"] as const

const published =
  vectorsFolder === undefined
    ? []
    : (
        await Promise.all(
          folders.map(async (kind) => {
            const folder = `${vectorsFolder}/adcp/${kind}-signing`
            return (await readdir(`${folder}/positive`)).map((name) => [kind, name, folder] as const)
          })
        )
      ).flat()

describe.skipIf(vectorsFolder === undefined)(
  "vectors of AdCP (skipped where EFFECT_SIGNER_VECTORS names no folder)",
  () => {
    it.effect.each(published)("%s %s is signed byte for byte", ([kind, name, folder]) =>
      Effect.gen(function* () {
        const { expected, made } = yield* resign(folder, name, kind)
        // Of several signatures ours is the first; ECDSA is randomized
        const isDeterministic = expected["Signature-Input"]!.includes('alg="ed25519"')
        assert.isTrue(expected["Signature-Input"]!.includes(made["Signature-Input"]!), made["Signature-Input"])
        if (isDeterministic) assert.isTrue(expected["Signature"]!.includes(made["Signature"]!), made["Signature"])
      })
    )
  }
)

describe("publicJwk", () => {
  it.effect("states the algorithm, also of a key that does not", () =>
    Effect.gen(function* () {
      for (const [type, alg] of [
        ["Ed25519", "EdDSA"],
        ["P-256", "ES256"]
      ] as const) {
        const { publicKey } = yield* PrivateKey.generate(type)
        assert.isUndefined(publicKey.algorithm)
        const jwk = Adcp.publicJwk(publicKey, { adcpUse: "request-signing" })
        assert.deepInclude(jwk, { alg, use: "sig", adcp_use: "request-signing" })
      }
    })
  )
})
