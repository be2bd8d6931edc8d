import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { createHash, createPublicKey, verify as nodeVerify } from "node:crypto"
import * as StaticRevocationStore from "../../src/layers/StaticRevocationStore.ts"
import * as Adcp from "../../src/protocols/Adcp.ts"
import * as AdcpResponsePayload from "../../src/protocols/AdcpResponsePayload.ts"
import * as Jws from "../../src/protocols/Jws.ts"
import * as Signer from "../../src/services/Signer.ts"
import * as Canary from "../../src/testing/Canary.ts"
import { signerOf } from "./adcpParties.ts"

const now = 1_776_520_800
const keyId = "brand-2026"
const secret = "canary-90ad7be15c"

const binding: AdcpResponsePayload.Binding = {
  task: "verify_brand_claim",
  brandDomain: "acme.example",
  agentUrl: "https://brand.acme.example/agent",
  callerIdentity: "signed-agent-url:https://buyer.example/agent",
  request: { claim_type: "property", value: "shop.example", n: 1.5 }
}

const answer = { verdict: "owned", details: { b: [1, 2], a: "é" }, note: secret }

type Algorithm = "Ed25519" | "ES256"

const setTime = TestClock.setTime(now * 1000)

const signed = Effect.fnUntraced(function* (
  options: {
    readonly algorithm?: Algorithm | undefined
    readonly binding?: Partial<AdcpResponsePayload.Binding> | undefined
    readonly purpose?: string | undefined
  } = {}
) {
  const signer = yield* signerOf(options.algorithm ?? "Ed25519", options.purpose ?? "response-signing")
  return yield* AdcpResponsePayload.sign(answer, { ...binding, ...options.binding }, { keyId }).pipe(
    Effect.provideService(Signer.Signer, signer)
  )
})

/** Signs any payload under any header, also one that nobody should accept. */
const craft = Effect.fnUntraced(function* (payload: Schema.JsonObject, options: Jws.SignOptions = {}) {
  const signer = yield* signerOf("Ed25519", "response-signing")
  const text = JSON.stringify(payload)
  const token = yield* Jws.sign(new TextEncoder().encode(text), {
    typ: "adcp-response-payload+jws",
    kid: keyId,
    ...options
  }).pipe(Effect.provideService(Signer.Signer, signer))
  const [header, , signature] = token.split(".")
  return { protected: header, payload, signature }
})

const jwkOf = (algorithm: Algorithm, change: object = {}) =>
  Effect.gen(function* () {
    const signer = yield* signerOf(algorithm, "response-signing")
    return { ...Adcp.publicJwk(yield* signer.publicKey(), { adcpUse: "response-signing", keyId }), ...change }
  })

const bodyOf = (signed_response: unknown, more: object = {}) => JSON.stringify({ ...answer, ...more, signed_response })

interface Receiver {
  readonly algorithm?: Algorithm | undefined
  readonly jwk?: object | undefined
  readonly agentUrl?: string | undefined
  readonly revoked?: ReadonlyArray<string> | undefined
  readonly binding?: Partial<AdcpResponsePayload.Binding> | undefined
}

const verify = (body: string, receiver: Receiver = {}) =>
  AdcpResponsePayload.verify(body, { ...binding, ...receiver.binding }).pipe(
    Effect.provide(
      Layer.merge(
        Layer.effect(
          Adcp.AdcpKeys,
          Effect.flatMap(jwkOf(receiver.algorithm ?? "Ed25519", receiver.jwk), (jwk) =>
            Adcp.keysFromJwks({ keys: [jwk] }, { agentUrl: receiver.agentUrl })
          )
        ),
        StaticRevocationStore.layer({ keyIds: receiver.revoked ?? [] })
      )
    )
  )

/** Why it was refused: in words that show nothing of the answer. */
const reasonOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.isUndefined(Canary.search([{ name: "answer", secret }])(Canary.show(error)))
    const { _tag, reason } = error as { readonly _tag: string; readonly reason?: string }
    return reason === undefined ? _tag : reason
  })

describe("sign", () => {
  it.effect.each(["Ed25519", "ES256"] as const)("%s: another library verifies it", (algorithm) =>
    Effect.gen(function* () {
      yield* setTime
      const { payload, protected: header, signature } = yield* signed({ algorithm })
      assert.deepStrictEqual(JSON.parse(Buffer.from(header, "base64url").toString()), {
        alg: algorithm === "Ed25519" ? "EdDSA" : "ES256",
        kid: keyId,
        typ: "adcp-response-payload+jws"
      })
      // RFC 8785 by hand: the names in their order, nothing between the tokens
      const hashed =
        `{"agent_url":"${binding.agentUrl}","brand_domain":"acme.example","caller_identity":"${binding.callerIdentity}",` +
        `"request":{"claim_type":"property","n":1.5,"value":"shop.example"},"task":"verify_brand_claim"}`
      const request_hash = `sha256:${createHash("sha256").update(hashed).digest("base64url")}`
      assert.deepStrictEqual(payload, {
        typ: "adcp-response-payload+jws",
        task: "verify_brand_claim",
        brand_domain: "acme.example",
        agent_url: binding.agentUrl,
        request_hash,
        iat: now,
        exp: now + 300,
        response: answer
      })
      const canonical =
        `{"agent_url":"${binding.agentUrl}","brand_domain":"acme.example","exp":${now + 300},"iat":${now},` +
        `"request_hash":"${request_hash}","response":{"details":{"a":"é","b":[1,2]},"note":"${secret}","verdict":"owned"},` +
        `"task":"verify_brand_claim","typ":"adcp-response-payload+jws"}`
      const key = createPublicKey({ key: (yield* jwkOf(algorithm)) as never, format: "jwk" })
      const input = Buffer.from(`${header}.${Buffer.from(canonical).toString("base64url")}`)
      const bytes = Buffer.from(signature, "base64url")
      assert.isTrue(
        nodeVerify(algorithm === "Ed25519" ? null : "sha256", input, { key, dsaEncoding: "ieee-p1363" }, bytes)
      )
    })
  )

  it.effect("needs a key for responses, a value of JSON, and a time", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf(signed({ purpose: "request-signing" })), "InvalidConfiguration")
      const signer = yield* signerOf("Ed25519", "response-signing")
      const other = { ...signer, algorithm: "ES384" as const }
      for (const [by, response, expiresIn, tag] of [
        [other, answer, "1 minute", "InvalidConfiguration"],
        [signer, answer, "0 seconds", "InvalidConfiguration"],
        [signer, { a: Number.NaN }, "1 minute", "JcsInvalid"],
        [signer, { a: "x".repeat(768_000) }, "1 minute", "InvalidConfiguration"]
      ] as const) {
        const outcome = AdcpResponsePayload.sign(response, binding, { expiresIn })
        assert.strictEqual(yield* reasonOf(Effect.provideService(outcome, Signer.Signer, by)), tag)
      }
    })
  )
})

describe("verify", () => {
  it.effect.each(["Ed25519", "ES256"] as const)("%s: answers with what was signed", (algorithm) =>
    Effect.gen(function* () {
      yield* setTime
      const body = bodyOf(yield* signed({ algorithm }), { status: "completed", context_id: "c", replayed: false })
      const verified = yield* verify(body, { algorithm, agentUrl: binding.agentUrl })
      assert.deepStrictEqual(verified, {
        response: answer,
        keyId,
        agentUrl: binding.agentUrl,
        issuedAt: now,
        expiresAt: now + 300
      })
    })
  )

  it.effect.each([
    { what: "no JSON", body: () => "{", is: "Malformed" },
    { what: "no signed answer", body: () => JSON.stringify(answer), is: "Malformed" },
    { what: "a signed answer that is text", body: () => bodyOf("a.b.c"), is: "Malformed" },
    {
      what: "a payload that is too long",
      body: (one: AdcpResponsePayload.SignedResponse) =>
        bodyOf({ ...one, payload: { ...one.payload, more: "x".repeat(768_000) } }),
      is: "Malformed"
    },
    {
      what: "a payload that is text",
      body: (one: AdcpResponsePayload.SignedResponse) => bodyOf({ ...one, payload: "e30" }),
      is: "Malformed"
    },
    {
      what: "a member twice, in the answer",
      body: (one: AdcpResponsePayload.SignedResponse) =>
        bodyOf(one).replace(`"verdict":"owned"`, `"verdict":"owned","verdict":"owned"`),
      is: "Malformed"
    },
    {
      what: "another answer in the payload",
      body: (one: AdcpResponsePayload.SignedResponse) => bodyOf(one).replaceAll("owned", "not_ours"),
      is: "SignatureInvalid"
    },
    {
      what: "another answer beside the payload",
      body: (one: AdcpResponsePayload.SignedResponse) => bodyOf(one, { verdict: "not_ours" }),
      is: "Inconsistent"
    },
    {
      what: "a member that is not signed",
      body: (one: AdcpResponsePayload.SignedResponse) => bodyOf(one, { more: 1 }),
      is: "Inconsistent"
    },
    {
      what: "a member named as one of every object",
      body: (one: AdcpResponsePayload.SignedResponse) => bodyOf(one).replace("{", `{"toString":null,`),
      is: "Inconsistent"
    },
    {
      what: "a signature with padding",
      body: (one: AdcpResponsePayload.SignedResponse) => bodyOf({ ...one, signature: `${one.signature}==` }),
      is: "Malformed"
    },
    {
      what: "a header that is no base64url",
      body: (one: AdcpResponsePayload.SignedResponse) => bodyOf({ ...one, protected: `${one.protected}=` }),
      is: "HeaderInvalid"
    }
  ])("refuses $what", ({ body, is }) =>
    Effect.gen(function* () {
      yield* setTime
      assert.strictEqual(yield* reasonOf(verify(body(yield* signed()))), is)
    })
  )

  it.effect.each([
    { what: "another key", receiver: { jwk: { kid: "other" } }, is: "KeyUnknown" },
    { what: "a key for requests", receiver: { jwk: { adcp_use: "request-signing" } }, is: "KeyUnknown" },
    { what: "a key for nothing stated", receiver: { jwk: { adcp_use: undefined } }, is: "KeyUnknown" },
    { what: "a key that may not verify", receiver: { jwk: { key_ops: ["sign"] } }, is: "KeyUnknown" },
    { what: "a key of the other algorithm", receiver: { algorithm: "ES256" as const }, is: "KeyUnknown" },
    { what: "a revoked key", receiver: { revoked: [keyId] }, is: "KeyRevoked" },
    {
      what: "another task",
      receiver: { binding: { task: "verify_brand_claims" as const } },
      is: "TaskMismatch"
    },
    { what: "another request", receiver: { binding: { request: {} } }, is: "RequestHashMismatch" },
    { what: "another caller", receiver: { binding: { callerIdentity: null } }, is: "RequestHashMismatch" },
    { what: "another brand", receiver: { binding: { brandDomain: "evil.example" } }, is: "RequestHashMismatch" },
    { what: "the keys of another agent", receiver: { agentUrl: "https://evil.example" }, is: "AgentMismatch" }
  ])("refuses $what", ({ is, receiver }) =>
    Effect.gen(function* () {
      yield* setTime
      assert.strictEqual(yield* reasonOf(verify(bodyOf(yield* signed()), receiver)), is)
    })
  )

  const payloadOf = Effect.map(signed(), ({ payload }) => payload)

  it.effect.each([
    { what: "the typ of governance", payload: { typ: "adcp-gov+jws" }, is: "TypeMismatch" },
    { what: "another brand than was hashed", payload: { brand_domain: "evil.example" }, is: "TenantMismatch" },
    { what: "another agent than was hashed", payload: { agent_url: "https://evil.example" }, is: "AgentMismatch" },
    { what: "no end", payload: { exp: null }, is: "Malformed" },
    { what: "an end that is text", payload: { exp: `${now + 300}` }, is: "Malformed" },
    { what: "an end before the beginning", payload: { exp: now - 1 }, is: "Malformed" },
    { what: "an answer that is a list", payload: { response: [] }, is: "Malformed" }
  ])("refuses a payload with $what", ({ is, payload }) =>
    Effect.gen(function* () {
      yield* setTime
      // In the order of RFC 8785, so that the signature is right
      const changed = Object.fromEntries(
        Object.entries({ ...(yield* payloadOf), ...payload, response: payload.response ?? { verdict: "owned" } }).sort(
          ([a], [b]) => (a < b ? -1 : 1)
        )
      ) as Schema.JsonObject
      const body = JSON.stringify({ verdict: "owned", signed_response: yield* craft(changed) })
      assert.strictEqual(yield* reasonOf(verify(body)), is)
    })
  )

  it.effect.each([
    { what: "another typ", options: { typ: "adcp-gov+jws" } },
    { what: "its typ in capitals", options: { typ: "ADCP-response-payload+jws" } },
    { what: "its typ with the prefix of media types", options: { typ: "application/adcp-response-payload+jws" } },
    { what: "no kid", options: { kid: false as const } },
    { what: "the other name of EdDSA", options: { ed25519: "Ed25519" as const } },
    { what: "a parameter more", options: { header: { jku: "https://evil.example" } } },
    { what: "an unencoded payload", options: { unencoded: true } }
  ])("refuses a header with $what", ({ options }) =>
    Effect.gen(function* () {
      yield* setTime
      const one = yield* craft({ a: 1 }, options.unencoded === true ? { ...options, detached: true } : options)
      assert.strictEqual(yield* reasonOf(verify(bodyOf(one))), "HeaderInvalid")
    })
  )

  it.effect("holds its time to the second, at both ends", () =>
    Effect.gen(function* () {
      yield* setTime
      const body = bodyOf(yield* signed())
      for (const [seconds, is] of [
        [-61, "NotYetValid"],
        [-60, undefined],
        [359, undefined],
        [360, "Expired"]
      ] as const) {
        yield* TestClock.setTime((now + seconds) * 1000)
        if (is === undefined) yield* verify(body)
        else assert.strictEqual(yield* reasonOf(verify(body)), is)
      }
    })
  )

  // A defect fails the test
  it.effect.prop(
    "anything else is a typed refusal",
    { payload: Schema.Record(Schema.String, Schema.Json), header: Schema.String, signature: Schema.String },
    ({ header, payload, signature }) =>
      Effect.gen(function* () {
        const one = yield* signed()
        for (const changed of [
          { payload },
          { protected: header },
          { signature },
          { payload: { ...one.payload, ...payload } }
        ]) {
          const body = JSON.stringify({ ...payload, more: 1, signed_response: { ...one, ...changed } })
          yield* Effect.flip(verify(body))
        }
      }),
    { arbitrary: { runs: 50 } }
  )

  it.effect("says the codes of AdCP, where it has some", () =>
    Effect.gen(function* () {
      yield* setTime
      const outcome = verify(bodyOf(yield* signed()), { binding: { request: {} } })
      const error = yield* Effect.flip(outcome)
      assert.strictEqual(
        error instanceof AdcpResponsePayload.ResponsePayloadInvalid && error.code,
        "SIGNED_RESPONSE_REQUEST_HASH_MISMATCH"
      )
      assert.isUndefined(new AdcpResponsePayload.ResponsePayloadInvalid({ reason: "Malformed", problem: "" }).code)
    })
  )

  it.effect("takes no skew of more than a minute", () =>
    Effect.gen(function* () {
      const outcome = AdcpResponsePayload.verify("{}", binding, { skew: "61 seconds" }).pipe(
        Effect.provide(Layer.merge(Adcp.layerJwks({ keys: [] }), StaticRevocationStore.layer({ keyIds: [] })))
      )
      assert.strictEqual(yield* reasonOf(outcome), "InvalidConfiguration")
    })
  )
})
