import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { LocalSigner, Signer } from "effect-signer"
import * as MemoryReplayStore from "../../src/layers/MemoryReplayStore.ts"
import * as StaticRevocationStore from "../../src/layers/StaticRevocationStore.ts"
import * as Adcp from "../../src/protocols/Adcp.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as HttpSignatureProfile from "../../src/protocols/HttpSignatureProfile.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

const origin = "https://seller.example.com"

const block = {
  supported: true,
  covers_content_digest: "either",
  required_for: ["create_media_buy"],
  warn_for: ["update_media_buy"],
  supported_for: ["get_products"],
  protocol_methods_required_for: ["tasks/cancel"],
  protocol_methods_warn_for: ["tasks/get"],
  protocol_methods_supported_for: ["tasks/resubscribe"]
}

const signerOf = (purpose = "request-signing") => LocalSigner.make({ privateKey: TestKey.make("Ed25519"), purpose })

/** A client whose transport keeps what it was given. */
const recording = () => {
  const sent: Array<HttpClientRequest.HttpClientRequest> = []
  const client = HttpClient.make((request) =>
    Effect.sync(() => {
      sent.push(request)
      return HttpClientResponse.fromWeb(request, new Response("{}"))
    })
  )
  return { client, sent }
}

const post = (path: string, body: unknown) =>
  HttpClientRequest.post(`${origin}${path}`).pipe(HttpClientRequest.bodyJsonUnsafe(body))

const tool = (name: string, args: object = {}) =>
  post("/mcp", { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: args } })

const skill = (name: string) =>
  post("/a2a", {
    jsonrpc: "2.0",
    id: 1,
    method: "message/send",
    params: { message: { parts: [{ kind: "data", data: { skill: name } }] } }
  })

const method = (name: string) => post("/mcp", { jsonrpc: "2.0", id: 1, method: name, params: {} })

const sendWith = Effect.fnUntraced(function* (
  request: HttpClientRequest.HttpClientRequest,
  options: Partial<Adcp.ClientOptions> = {},
  changes: object = {},
  purpose?: string
) {
  const capability = yield* Adcp.parseCapability({ ...block, ...changes })
  const { client, sent } = recording()
  const signing = Adcp.client({ profile: HttpSignatureProfile.adcp31, capability, keyId: "k1", ...options })(client)
  const outcome = yield* Effect.result(
    signing.execute(request).pipe(Effect.provideServiceEffect(Signer.Signer, signerOf(purpose)))
  )
  return { outcome, sent }
})

const isSigned = (request: HttpClientRequest.HttpClientRequest | undefined) =>
  request?.headers["signature"] !== undefined && request.headers["signature-input"] !== undefined

describe("client", () => {
  const requests: { readonly [what: string]: readonly [HttpClientRequest.HttpClientRequest, boolean] } = {
    "a path that is required": [post("/adcp/create_media_buy", {}), true],
    "a tool that is required": [tool("create_media_buy"), true],
    "a skill that is required": [skill("create_media_buy"), true],
    "a tool that is warned of": [tool("update_media_buy"), true],
    "a tool that is supported": [tool("get_products"), true],
    "a tool that is not named": [tool("list_creatives"), false],
    "a protocol method that is required": [method("tasks/cancel"), true],
    "a protocol method that is warned of": [method("tasks/get"), true],
    "a protocol method that is supported": [method("tasks/resubscribe"), true],
    "a protocol method that is not named": [method("tools/list"), false],
    "the handshake of MCP": [method("initialize"), false],
    "a tool with the name of a protocol method": [tool("tasks/cancel"), false],
    "a protocol method with the name of a tool": [method("create_media_buy"), false],
    "the capabilities": [tool("get_adcp_capabilities"), false],
    "no operation at all": [HttpClientRequest.get(`${origin}/.well-known/agent.json`), false],
    "credentials for webhooks": [
      tool("list_creatives", {
        push_notification_config: { url: "https://b.example", authentication: { schemes: ["HMAC-SHA256"] } }
      }),
      true
    ],
    "a batch, which may be anything": [
      post("/mcp", [{ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "get_products" } }]),
      true
    ]
  }

  it.effect.each(Object.keys(requests))("%s", (what) =>
    Effect.gen(function* () {
      const [request, expected] = requests[what]!
      const { outcome, sent } = yield* sendWith(request)
      assert.strictEqual(outcome._tag, "Success")
      assert.strictEqual(isSigned(sent[0]), expected)
      assert.strictEqual(sent[0]!.headers["content-digest"] !== undefined, expected)
    })
  )

  it.effect("what is sent is verified, with the digest of its content", () =>
    Effect.gen(function* () {
      const { sent } = yield* sendWith(tool("create_media_buy"))
      const signer = yield* signerOf()
      const jwk = Adcp.publicJwk(yield* signer.publicKey(), { adcpUse: "request-signing", keyId: "k1" })
      const capability = yield* Adcp.parseCapability({ ...block, covers_content_digest: "required" })
      const received = HttpMessage.fromClientRequest(sent[0]!)
      const verified = yield* Adcp.verifyRequest(received, { profile: HttpSignatureProfile.adcp31, capability }).pipe(
        Effect.provide(
          Layer.mergeAll(
            Adcp.layerJwks({ keys: [jwk] }),
            MemoryReplayStore.layer(),
            StaticRevocationStore.layer({ keyIds: [] })
          )
        )
      )
      assert.strictEqual(verified._tag, "Signed")
    })
  )

  it.effect("covers the digest unless the seller forbids it", () =>
    Effect.gen(function* () {
      for (const [policy, isCovered] of [
        ["required", true],
        ["either", true],
        ["forbidden", false]
      ] as const) {
        const { sent } = yield* sendWith(tool("create_media_buy"), {}, { covers_content_digest: policy })
        assert.strictEqual(sent[0]!.headers["signature-input"]!.includes("content-digest"), isCovered)
        assert.strictEqual(sent[0]!.headers["content-digest"] !== undefined, isCovered)
      }
      const { outcome, sent } = yield* sendWith(
        tool("create_media_buy"),
        { profile: HttpSignatureProfile.adcp32 },
        { covers_content_digest: "forbidden" }
      )
      assert.include(
        outcome._tag === "Failure" ? outcome.failure.message : "",
        "the seller forbids what adcp/3.2 request demands"
      )
      assert.deepStrictEqual(sent, [])
    })
  )

  it.effect("leaves out what is only supported, where that is wished", () =>
    Effect.gen(function* () {
      const options = { signSupported: false }
      assert.isFalse(isSigned((yield* sendWith(tool("get_products"), options)).sent[0]))
      assert.isTrue(isSigned((yield* sendWith(tool("update_media_buy"), options)).sent[0]))
    })
  )

  it.effect("goes by the operation that the application states", () =>
    Effect.gen(function* () {
      const options = { operation: () => ({ name: "create_media_buy" }) }
      assert.isTrue(isSigned((yield* sendWith(post("/v2/buys", {}), options)).sent[0]))
      assert.isFalse(isSigned((yield* sendWith(post("/v2/buys", {}))).sent[0]))
    })
  )

  it.effect("sends nothing where it should sign and cannot", () =>
    Effect.gen(function* () {
      const purpose = yield* sendWith(tool("create_media_buy"), {}, {}, "releases")
      assert.strictEqual(
        purpose.outcome._tag === "Failure" &&
          purpose.outcome.failure._tag === "AdcpSignatureError" &&
          purpose.outcome.failure.code,
        "request_signature_key_purpose_invalid"
      )
      const stream = HttpClientRequest.post(`${origin}/adcp/create_media_buy`).pipe(
        HttpClientRequest.bodyStream(Stream.make(new Uint8Array(3)), { contentType: "application/json" })
      )
      const unknown = yield* sendWith(stream)
      assert.strictEqual(
        unknown.outcome._tag === "Failure" &&
          unknown.outcome.failure._tag === "InvalidConfiguration" &&
          unknown.outcome.failure.field,
        "body"
      )
      assert.deepStrictEqual([purpose.sent, unknown.sent], [[], []])
      // and sends what needs no signature by any key
      const unsigned = yield* sendWith(tool("list_creatives"), {}, {}, "releases")
      assert.strictEqual(unsigned.sent.length, 1)
    })
  )

  it.effect("adds its signature to others of the request", () =>
    Effect.gen(function* () {
      const request = tool("create_media_buy").pipe(
        HttpClientRequest.setHeader("signature", "other=:AAAA:"),
        HttpClientRequest.setHeader("signature-input", 'other=("@method")')
      )
      const { headers } = (yield* sendWith(request)).sent[0]!
      assert.match(headers["signature"]!, /^other=:AAAA:, sig1=:/)
      assert.match(headers["signature-input"]!, /^other=\("@method"\), sig1=\(/)
    })
  )
})

describe("cachedCapability", () => {
  it.effect("is not asked for by what asks the seller", () =>
    Effect.gen(function* () {
      const { client, sent } = recording()
      const capability = yield* Adcp.cachedCapability(Effect.fail("unreachable" as const))
      const signing = Adcp.client({ profile: HttpSignatureProfile.adcp31, capability })(client)
      yield* signing.execute(tool("get_adcp_capabilities")).pipe(Effect.provideServiceEffect(Signer.Signer, signerOf()))
      assert.deepStrictEqual(sent.map(isSigned), [false])
    })
  )

  it.effect("is read once, when it is first needed, and again after its time", () =>
    Effect.gen(function* () {
      let reads = 0
      const load = Effect.sync(() => {
        reads++
        return { request_signing: block }
      })
      const capability = yield* Adcp.cachedCapability(load)
      assert.strictEqual(reads, 0)
      yield* Effect.all(
        Array.from({ length: 20 }, () => capability),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(reads, 1)
      yield* TestClock.adjust("299 seconds")
      assert.deepStrictEqual((yield* capability).requiredFor, ["create_media_buy"])
      assert.strictEqual(reads, 1)
      yield* TestClock.adjust("2 seconds")
      yield* capability
      assert.strictEqual(reads, 2)
    })
  )

  it.effect("a failure is that of the request, and is not kept", () =>
    Effect.gen(function* () {
      let answers: ReadonlyArray<unknown> = [undefined, { request_signing: { required_for: ["tasks/cancel"] } }, block]
      const load: Effect.Effect<unknown, "unreachable"> = Effect.suspend(() => {
        const [next, ...rest] = answers
        answers = rest
        return next === undefined ? Effect.fail("unreachable" as const) : Effect.succeed(next)
      })
      const capability = yield* Adcp.cachedCapability(load)
      const { client, sent } = recording()
      const signing = Adcp.client({ profile: HttpSignatureProfile.adcp31, capability })(client)
      const send = signing
        .execute(tool("create_media_buy"))
        .pipe(Effect.provideServiceEffect(Signer.Signer, signerOf()))
      assert.strictEqual(yield* Effect.flip(send), "unreachable")
      const malformed = yield* Effect.flip(send)
      assert.strictEqual(
        typeof malformed === "object" && malformed._tag === "InvalidConfiguration" && malformed.field,
        "request_signing.required_for"
      )
      assert.deepStrictEqual(sent, [])
      yield* send
      assert.isTrue(isSigned(sent[0]))
    })
  )

  it.effect("one who gives up does not take it from the others", () =>
    Effect.gen(function* () {
      const answer = yield* Deferred.make<unknown>()
      const capability = yield* Adcp.cachedCapability(Deferred.await(answer))
      const impatient = yield* Effect.forkChild(capability)
      const patient = yield* Effect.forkChild(capability)
      yield* Effect.yieldNow
      yield* Fiber.interrupt(impatient)
      yield* Deferred.succeed(answer, block)
      assert.isTrue((yield* Fiber.join(patient)).supported)
    })
  )

  it.effect.each(["0 seconds", "2 days"] as const)("refuses to keep it for %s", (timeToLive) =>
    Effect.gen(function* () {
      const outcome = yield* Adcp.cachedCapability(Effect.succeed(block), { timeToLive }).pipe(
        Effect.match({ onFailure: ({ field }) => field, onSuccess: () => "kept" })
      )
      assert.strictEqual(outcome, "timeToLive")
    })
  )
})
