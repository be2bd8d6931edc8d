import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, ManagedRuntime, Stream } from "effect"
import {
  FetchHttpClient,
  HttpClient,
  HttpClientRequest,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "effect/http"
import { TestClock } from "effect/testing"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as MemoryReplayStore from "../../src/layers/MemoryReplayStore.ts"
import * as StaticRevocationStore from "../../src/layers/StaticRevocationStore.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as HttpSignature from "../../src/protocols/HttpSignature.ts"
import * as HttpSignatureClient from "../../src/protocols/HttpSignatureClient.ts"
import * as HttpSignatureExpress from "../../src/protocols/HttpSignatureExpress.ts"
import * as HttpSignatureFetch from "../../src/protocols/HttpSignatureFetch.ts"
import * as HttpSignatureProfile from "../../src/protocols/HttpSignatureProfile.ts"
import * as HttpSignatureServer from "../../src/protocols/HttpSignatureServer.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as ReplayStore from "../../src/services/ReplayStore.ts"
import * as RevocationStore from "../../src/services/RevocationStore.ts"

const policy: HttpSignature.Policy = {
  components: ["@method", "@target-uri"],
  algorithms: ["Ed25519"],
  maxAge: "5 minutes",
  skew: "30 seconds",
  tag: "orders"
}

const request = HttpMessage.request({
  method: "POST",
  target: "https://api.example/orders",
  fields: [["Content-Type", "application/json"]],
  body: new TextEncoder().encode(`{"item":7}`)
})

const options = { components: ["@method", "@target-uri", "content-digest"], tag: "orders", nonce: true } as const

const Keys = KeyResolver.layerSigner({ owner: "alice" }).pipe(Layer.provideMerge(LocalSigner.layerGenerated("Ed25519")))
const Live = Layer.merge(Keys, MemoryReplayStore.layer({ maxPerKey: 3 }))

const broken = ReplayStore.make({
  name: "broken",
  insert: () => Effect.fail(new ReplayStore.ReplayStoreUnavailable({ store: "broken", problem: "is gone" })),
  has: () => Effect.succeed(false),
  isFull: () => Effect.succeed(false)
})

const signed = (more: Partial<HttpSignature.SignOptions> = {}) =>
  Effect.map(HttpSignature.sign(request, { ...options, ...more }), ({ message }) => message)

/** What it comes to: `"accepted"`, the reason, or the tag. */
const outcomeOf = <A, E extends { readonly _tag: string }, R>(verification: Effect.Effect<A, E, R>) =>
  Effect.match(verification, {
    onSuccess: () => "accepted",
    onFailure: (error) =>
      error._tag === "HttpSignatureInvalid" ? (error as unknown as { reason: string }).reason : error._tag
  })

const once = (message: HttpMessage.HttpMessage, more: Partial<HttpSignature.Policy> = {}, scope?: string) =>
  outcomeOf(HttpSignature.verifyOnce(message, { ...policy, ...more }, { scope }))

describe("HttpSignature.verifyOnce", () => {
  it.effect("accepts a message once, as long as it could verify again", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 hour")
      const message = yield* signed()
      assert.strictEqual(yield* once(message), "accepted")
      assert.strictEqual(yield* once(message), "Replayed")
      // To the last millisecond in which it verifies, and after that it is too old
      yield* TestClock.adjust(330_000)
      assert.strictEqual(yield* outcomeOf(HttpSignature.verify(message, policy)), "accepted")
      assert.strictEqual(yield* once(message), "Replayed")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* once(message), "TooOld")
    }).pipe(Effect.provide(Live))
  )

  it.effect("remembers a message from the future for as long, and one that expires no longer than that", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const store = ReplayStore.make({
        name: "recording",
        insert: ({ expiresAt, now }) => Effect.sync(() => (seen.push(expiresAt - now), "inserted" as const)),
        has: () => Effect.succeed(false),
        isFull: () => Effect.succeed(false)
      })
      yield* TestClock.adjust("1 hour")
      const early = yield* signed()
      const expiring = yield* signed({ expiresIn: "1 minute" })
      const verify = (message: HttpMessage.HttpMessage) =>
        Effect.provideService(HttpSignature.verifyOnce(message, policy), ReplayStore.ReplayStore, store)
      yield* verify(early)
      yield* verify(expiring)
      yield* TestClock.setTime(3_600_000 - 30_000)
      yield* verify(early)
      assert.deepStrictEqual(seen, [360_001, 120_001, 390_001])
    }).pipe(Effect.provide(Keys))
  )

  it.effect("of 1,000 callers with one message accepts one", () =>
    Effect.gen(function* () {
      const message = yield* signed()
      const outcomes = yield* Effect.forEach(Array.from({ length: 1000 }), () => once(message), {
        concurrency: "unbounded"
      })
      assert.strictEqual(outcomes.filter((outcome) => outcome === "accepted").length, 1)
      assert.strictEqual(outcomes.filter((outcome) => outcome === "Replayed").length, 999)
    }).pipe(Effect.provide(Live))
  )

  it.effect("a nonce counts for its key and within its scope, whatever else the message says", () =>
    Effect.gen(function* () {
      const first = yield* signed({ nonce: "n-1" })
      assert.strictEqual(yield* once(first), "accepted")
      // Another time, another signature
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* once(yield* signed({ nonce: "n-1" })), "Replayed")
      assert.strictEqual(yield* once(yield* signed({ nonce: "n-1" }), {}, "another service"), "accepted")
      const other = yield* Effect.gen(function* () {
        return yield* once(yield* signed({ nonce: "n-1" }))
      }).pipe(Effect.provide(Layer.fresh(Keys)))
      assert.strictEqual(other, "accepted")
    }).pipe(Effect.provide(Live))
  )

  it.effect("wants a nonce, and more nonces of a key than it may have are refused until they expire", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* once(yield* signed({ nonce: undefined })), "ParameterMissing")
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* once(yield* signed()), "accepted")
      assert.strictEqual(yield* once(yield* signed()), "TooManyNonces")
      yield* TestClock.adjust("7 minutes")
      assert.strictEqual(yield* once(yield* signed()), "accepted")
    }).pipe(Effect.provide(Live))
  )

  it.effect("a message that does not verify uses no nonce up", () =>
    Effect.gen(function* () {
      const message = yield* signed()
      const changed = { ...message, body: new TextEncoder().encode(`{"item":8}`) }
      assert.strictEqual(yield* once(changed), "DigestInvalid")
      assert.strictEqual(yield* once({ ...message, method: "PUT" }), "SignatureInvalid")
      assert.strictEqual(yield* once(message), "accepted")
    }).pipe(Effect.provide(Live))
  )

  it.effect("refuses everything where the store cannot answer", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* once(yield* signed()), "ReplayStoreUnavailable")
    }).pipe(Effect.provideService(ReplayStore.ReplayStore, broken), Effect.provide(Keys))
  )

  it.effect("refuses a policy under which a nonce would be remembered for ever", () =>
    Effect.gen(function* () {
      const message = yield* signed()
      assert.strictEqual(yield* once(message, { maxAge: Infinity }), "InvalidConfiguration")
      assert.strictEqual(yield* once(message, { maxAge: "-1 second" }), "InvalidConfiguration")
      assert.strictEqual(yield* once(message, { skew: Infinity }), "InvalidConfiguration")
      // The skew counts: with it no store would remember the nonce as long
      assert.strictEqual(yield* once(message, { maxAge: "360 days", skew: "2 days" }), "InvalidConfiguration")
      assert.strictEqual(yield* once(message, { maxAge: "365 days", skew: "1 minute" }), "accepted")
    }).pipe(Effect.provide(Live))
  )

  it.effect("remembers each signature that verifies", () =>
    Effect.gen(function* () {
      const message = yield* signed({ nonce: "a" })
      const { message: both } = yield* HttpSignature.sign(message, { ...options, label: "sig2", nonce: "b" })
      assert.strictEqual(yield* once(both), "accepted")
      assert.strictEqual(yield* once(message), "Replayed")
      assert.strictEqual(yield* once(yield* signed({ nonce: "b" })), "Replayed")
    }).pipe(Effect.provide(Live))
  )

  it.effect("accepts what two signatures of one tag were taken apart to, and not what has a tag each", () =>
    Effect.gen(function* () {
      const only = (message: HttpMessage.HttpRequest, label: string) => ({
        ...message,
        fields: message.fields.filter(
          ([name, value]) => !name.toLowerCase().startsWith("signature") || value.startsWith(`${label}=`)
        )
      })
      const first = yield* signed({ nonce: "a" })
      const same = yield* HttpSignature.sign(first, { ...options, label: "sig2", nonce: "b" })
      assert.strictEqual(yield* once(only(same.message, "sig1")), "accepted")
      assert.strictEqual(yield* once(only(same.message, "sig2")), "accepted")
      const third = yield* signed({ nonce: "c" })
      const other = yield* HttpSignature.sign(third, { ...options, label: "sig2", nonce: "d", tag: "proxy" })
      assert.strictEqual(yield* once(only(other.message, "sig1")), "accepted")
      assert.strictEqual(yield* once(only(other.message, "sig2")), "NoSignature")
    }).pipe(Effect.provide(Live))
  )
})

// ---------------------------------------------------------------------------
// server and client
// ---------------------------------------------------------------------------

const handler = Effect.map(HttpSignatureServer.VerifiedRequest, ({ body, signatures: [{ key }] }) =>
  HttpServerResponse.text(`${key.owner}: ${new TextDecoder().decode(body)}`)
)

const serving = HttpServer.serve(handler.pipe(HttpSignatureServer.verifiedOnce(policy))).pipe(
  Layer.provideMerge(NodeHttpServer.layerTest)
)

const Once = serving.pipe(Layer.provideMerge(Live))

const order = HttpClientRequest.post("/orders").pipe(HttpClientRequest.bodyText(`{"item":7}`, "application/json"))

const willing = { allowed: ["@method", "@target-uri", "content-digest"], tags: ["orders"] }

/** A client that keeps what it sends, one request after the other. */
const recording = Effect.map(HttpClient.HttpClient, (client) => {
  const sent: Array<HttpClientRequest.HttpClientRequest> = []
  return {
    sent,
    client: HttpClient.transform(client, (effect, request) =>
      Effect.suspend(() => {
        sent.push(request)
        return effect
      })
    )
  }
})

describe("HttpSignatureServer.verifiedOnce", () => {
  it.live("handles a request once, and says with which nonce to sign another", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* recording
      const first = yield* client.pipe(HttpSignatureClient.signed(options)).execute(order)
      assert.deepStrictEqual([first.status, yield* first.text], [200, `alice: {"item":7}`])
      const second = yield* client.postprocess(Effect.succeed(sent[0]!))
      assert.strictEqual(second.status, 401)
      assert.match(
        second.headers["accept-signature"]!,
        /^sig1=\("@method" "@target-uri" "content-digest"\);created;nonce="[\w-]{22}";tag="orders"$/
      )
      // RFC 9110 section 11.6.1
      assert.strictEqual(second.headers["www-authenticate"], "Signature")
    }).pipe(Effect.provide(Once))
  )

  it.live("asks for a nonce that its policy accepts", () =>
    Effect.gen(function* () {
      const response = yield* HttpClient.execute(order)
      assert.match(response.headers["accept-signature"]!, /;nonce="[\w-]{43}";/)
      const { status } = yield* (yield* HttpClient.HttpClient)
        .pipe(HttpSignatureClient.fulfilling(willing))
        .execute(order)
      assert.strictEqual(status, 200)
    }).pipe(
      Effect.provide(
        HttpServer.serve(handler.pipe(HttpSignatureServer.verifiedOnce({ ...policy, minNonceBytes: 32 }))).pipe(
          Layer.provideMerge(NodeHttpServer.layerTest),
          Layer.provideMerge(Live)
        )
      )
    )
  )

  it.live("goes by a profile, and wants covered what the request has", () =>
    Effect.gen(function* () {
      const http = yield* HttpClient.HttpClient
      const profile = HttpSignatureProfile.rfc9421Strict
      const client = http.pipe(HttpSignatureClient.signed(HttpSignatureProfile.signOptionsFor(profile)))
      const withSecret = HttpClientRequest.setHeader(order, "authorization", "Bearer abc")
      assert.deepStrictEqual(
        [(yield* client.execute(order)).status, (yield* client.execute(withSecret)).status],
        [200, 200]
      )
      // a field that comes beside the signature
      const adding = client.pipe(HttpClient.mapRequest(HttpClientRequest.setHeader("authorization", "Bearer abc")))
      const added = yield* adding.execute(order)
      assert.strictEqual(added.status, 401)
      assert.include(added.headers["accept-signature"], `"content-digest" "authorization"`)
    }).pipe(
      Effect.provide(
        HttpServer.serve(
          handler.pipe(
            HttpSignatureServer.verifiedOnce(HttpSignatureProfile.policyFor(HttpSignatureProfile.rfc9421Strict))
          )
        ).pipe(
          Layer.provideMerge(NodeHttpServer.layerTest),
          Layer.provideMerge(Layer.merge(Keys, MemoryReplayStore.layer()))
        )
      )
    )
  )

  it.live("answers 429 where a key has used too many nonces", () =>
    Effect.gen(function* () {
      const client = (yield* HttpClient.HttpClient).pipe(HttpSignatureClient.signed(options))
      const statuses: Array<number> = []
      for (let i = 0; i < 4; i++) statuses.push((yield* client.execute(order)).status)
      assert.deepStrictEqual(statuses, [200, 200, 200, 429])
    }).pipe(Effect.provide(Once))
  )

  it.live.each([
    {
      name: "the store cannot answer",
      store: broken,
      revoked: StaticRevocationStore.make({}),
      status: 503
    },
    {
      name: "nobody knows which keys are revoked",
      store: undefined,
      revoked: RevocationStore.RevocationStore.of({
        check: () => Effect.fail(new RevocationStore.RevocationStale({ reason: "Outdated", problem: "old" })),
        checkToken: () => Effect.void
      }),
      status: 503
    }
  ])("answers $status where $name", ({ revoked, status, store }) =>
    Effect.gen(function* () {
      const client = (yield* HttpClient.HttpClient).pipe(HttpSignatureClient.signed(options))
      assert.strictEqual((yield* client.execute(order)).status, status)
    }).pipe(
      Effect.provide(
        serving.pipe(
          Layer.provide(
            RevocationStore.layerRefusing.pipe(Layer.provide(Layer.succeed(RevocationStore.RevocationStore, revoked)))
          ),
          Layer.provide(
            store === undefined ? MemoryReplayStore.layer() : Layer.succeed(ReplayStore.ReplayStore, store)
          ),
          Layer.provideMerge(Keys)
        )
      )
    )
  )
})

describe("HttpSignatureClient.fulfilling", () => {
  it.live("signs what the server asks for, once, with its nonce", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* recording
      const response = yield* client.pipe(HttpSignatureClient.fulfilling(willing)).execute(order)
      assert.deepStrictEqual([response.status, yield* response.text], [200, `alice: {"item":7}`])
      assert.deepStrictEqual(
        sent.map(({ headers }) => headers["signature"] === undefined),
        [true, false]
      )
      assert.match(sent[1]!.headers["signature-input"]!, /nonce="[\w-]{22}"/)
    }).pipe(Effect.provide(Once))
  )

  it.live.each([
    { name: "a component it does not sign", change: { allowed: ["@method", "@target-uri"] } },
    { name: "a tag it does not sign for", change: { tags: [] } },
    { name: "a key that is another", change: { keyId: "other" as const }, isSent: true }
  ])("does not sign $name", ({ change, isSent = false }) =>
    Effect.gen(function* () {
      const { client, sent } = yield* recording
      const response = yield* client.pipe(HttpSignatureClient.fulfilling({ ...willing, ...change })).execute(order)
      // Who sends no keyid that the server knows is refused a second time, and does not try a third
      assert.strictEqual(response.status, 401)
      assert.strictEqual(sent.length, isSent ? 2 : 1)
    }).pipe(Effect.provide(Once))
  )

  it.live("does not send a body again that cannot be sent again", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* recording
      const asking = client.pipe(HttpSignatureClient.fulfilling(willing))
      const body = Stream.make(new TextEncoder().encode("x"))
      const response = yield* asking.execute(HttpClientRequest.bodyStream(HttpClientRequest.post("/orders"), body))
      assert.deepStrictEqual([response.status, sent.length], [401, 1])
      yield* asking.execute(order)
      assert.strictEqual(sent.length, 3)
    }).pipe(
      Effect.provide(
        HttpServer.serve(
          Effect.succeed(HttpServerResponse.empty({ status: 401, headers: { "accept-signature": `sig1=("@method")` } }))
        ).pipe(Layer.provideMerge(NodeHttpServer.layerTest), Layer.provideMerge(Keys))
      )
    )
  )

  it.live.each([
    { name: "is malformed", field: `sig1=(` },
    { name: "asks for nothing", field: `sig1=();created` },
    { name: "asks for the signature of a response", field: `sig1=("@status");created` },
    { name: "asks of the request that it answers", field: `sig1=("@method";req);created` },
    { name: "asks for an algorithm that is not that of the key", field: `sig1=("@method");alg="rsa-pss-sha512"` }
  ])("leaves the answer as it is where Accept-Signature $name", ({ field }) =>
    Effect.gen(function* () {
      const { client, sent } = yield* recording
      const allowed = ["@method", "@status", "@method;req"]
      const response = yield* client.pipe(HttpSignatureClient.fulfilling({ allowed })).execute(order)
      assert.deepStrictEqual([response.status, sent.length], [401, 1])
    }).pipe(
      Effect.provide(
        HttpServer.serve(
          Effect.succeed(HttpServerResponse.empty({ status: 401, headers: { "accept-signature": field } }))
        ).pipe(Layer.provideMerge(NodeHttpServer.layerTest), Layer.provideMerge(Keys))
      )
    )
  )

  it.live("makes those of several signatures that it is willing to make", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* recording
      yield* client.pipe(HttpSignatureClient.fulfilling({ allowed: ["@method", "@path"] })).execute(order)
      assert.strictEqual(sent.length, 2)
      assert.match(sent[1]!.headers["signature-input"]!, /^a=\("@method"\).*, c=\("@path"\)/)
    }).pipe(
      Effect.provide(
        HttpServer.serve(
          Effect.succeed(
            HttpServerResponse.empty({
              status: 401,
              headers: { "accept-signature": `a=("@method");created, b=("@query");created, c=("@path");created` }
            })
          )
        ).pipe(Layer.provideMerge(NodeHttpServer.layerTest), Layer.provideMerge(Keys))
      )
    )
  )

  it.live("does not sign for another origin, to which a client was led", () =>
    Effect.gen(function* () {
      const { client, sent } = yield* recording
      const led = client.pipe(
        HttpClient.mapRequest(HttpClientRequest.setHeader("x-first", "yes")),
        HttpClient.followRedirects(2)
      )
      const response = yield* led.pipe(HttpSignatureClient.fulfilling(willing)).execute(HttpClientRequest.get("/away"))
      assert.strictEqual(response.status, 401)
      assert.deepStrictEqual(
        sent.map(({ headers, url }) => [new URL(url).hostname, headers["signature"]]),
        [
          ["127.0.0.1", undefined],
          ["localhost", undefined]
        ]
      )
    }).pipe(
      Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" }),
      Effect.provide(
        HttpRouter.serve(
          HttpRouter.addAll([
            HttpRouter.route(
              "GET",
              "/away",
              Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
                HttpServerResponse.redirect(`http://localhost:${headers["host"]!.split(":")[1]}/there`)
              )
            ),
            HttpRouter.route(
              "GET",
              "/there",
              Effect.succeed(
                HttpServerResponse.empty({ status: 401, headers: { "accept-signature": `sig1=("@method")` } })
              )
            )
          ]),
          { disableLogger: true, disableListenLog: true }
        ).pipe(Layer.provideMerge(NodeHttpServer.layerTest), Layer.provideMerge(Keys))
      )
    )
  )
})

describe("HttpSignatureFetch", () => {
  const withRuntime = <A>(
    use: (runtime: ManagedRuntime.ManagedRuntime<Layer.Success<typeof Live>, unknown>) => Promise<A>
  ) =>
    Effect.acquireUseRelease(
      Effect.sync(() => ManagedRuntime.make(Live)),
      (runtime) => Effect.promise(() => use(runtime)),
      (runtime) => runtime.disposeEffect
    )

  const post = (body: BodyInit | null = `{"item":7}`) =>
    new Request("https://api.example/orders", { method: "POST", body })

  it.live("signs whatever a Request is made of, and verifies it with the body still to be read", () =>
    withRuntime(async (runtime) => {
      const sign = HttpSignatureFetch.requestSigner({ runtime, ...options })
      const verify = HttpSignatureFetch.verifier({ runtime, policy, replay: "accept" })
      const form = new FormData()
      form.set("a", "1")
      for (const body of [`{"item":7}`, form, new Uint8Array([0, 255]), null]) {
        const request = await sign(post(body))
        const copy = request.clone()
        const outcome = await verify(request)
        assert.isTrue(outcome.ok)
        if (!outcome.ok) continue
        const [read, expected] = [new Uint8Array(await request.arrayBuffer()), new Uint8Array(await copy.arrayBuffer())]
        assert.deepStrictEqual(read, expected)
        assert.deepStrictEqual(outcome.message.body, expected)
      }
    })
  )

  it.live("refuses with an answer and a reason: unsigned, changed, replayed, too long", () =>
    withRuntime(async (runtime) => {
      const sign = HttpSignatureFetch.requestSigner({ runtime, ...options })
      const verify = HttpSignatureFetch.verifier({ runtime, policy, replay: "refuse", maxBodySize: 20 })
      const outcomes = []
      const unsigned = await verify(post())
      assert.strictEqual(!unsigned.ok && unsigned.response.headers.get("www-authenticate"), "Signature")
      const request = await sign(post())
      const copies = [request.clone(), request.clone(), request.clone()] as const
      for (const one of [
        post(),
        new Request(copies[0], { body: "x", method: "POST" }),
        request,
        copies[1],
        new Request(copies[2], { body: "x".repeat(21), method: "POST" })
      ]) {
        const outcome = await verify(one)
        outcomes.push(
          outcome.ok
            ? 200
            : [outcome.response.status, outcome.error._tag === "HttpSignatureInvalid" ? outcome.error.reason : ""]
        )
      }
      assert.deepStrictEqual(outcomes, [
        [401, "NoSignature"],
        [401, "DigestInvalid"],
        200,
        [401, "Replayed"],
        [413, "TooLarge"]
      ])
    })
  )

  it.live("takes a body that was read, and says so where it was read and is not there", () =>
    withRuntime(async (runtime) => {
      const sign = HttpSignatureFetch.requestSigner({ runtime, ...options })
      const verify = HttpSignatureFetch.verifier({ runtime, policy, replay: "refuse" })
      const request = await sign(post())
      const body = new Uint8Array(await request.arrayBuffer())
      const problem = await verify(request).then(
        () => "",
        (error: { readonly problem: string }) => error.problem
      )
      assert.include(problem, "its body was read before it was verified")
      assert.isTrue((await verify(request, { body })).ok)
    })
  )

  const streamOf = (start: (controller: ReadableStreamDefaultController<unknown>) => void) =>
    new ReadableStream({ start }) as ReadableStream<Uint8Array>

  const streaming = (headers: Headers, body: ReadableStream<Uint8Array>) =>
    new Request("https://api.example/orders", { method: "POST", headers, body, duplex: "half" } as RequestInit)

  it.live("answers where a client leaves in the middle, and says so where somebody is reading", () =>
    withRuntime(async (runtime) => {
      const sign = HttpSignatureFetch.requestSigner({ runtime, ...options })
      const verify = HttpSignatureFetch.verifier({ runtime, policy, replay: "refuse" })
      const { headers } = await sign(post())
      const outcome = await verify(
        streaming(
          headers,
          streamOf((controller) => {
            controller.enqueue(new Uint8Array(1))
            controller.error(new Error("gone"))
          })
        )
      )
      assert.isFalse(outcome.ok)
      if (outcome.ok) return
      assert.strictEqual(outcome.response.status, 400)
      assert.notInclude(outcome.error.message, "gone")
      const locked = await sign(post())
      locked.body!.getReader()
      const problem = await verify(locked).then(
        () => "",
        (error: { readonly problem: string }) => error.problem
      )
      assert.include(problem, "its body was read before it was verified")
    })
  )

  it.live("neither signs nor verifies a stream of texts, of which fetch would send nothing", () =>
    withRuntime(async (runtime) => {
      const sign = HttpSignatureFetch.requestSigner({ runtime, ...options })
      const verify = HttpSignatureFetch.verifier({ runtime, policy, replay: "refuse" })
      const { headers } = await sign(post())
      for (const use of [sign, verify]) {
        const texts = streamOf((controller) => {
          // As a list, it would be the bytes 1 and 2
          controller.enqueue("12")
          controller.close()
        })
        const problem = await use(streaming(use === sign ? new Headers() : headers, texts)).then(
          () => "",
          (error: { readonly problem: string }) => error.problem
        )
        assert.strictEqual(problem, "must be a stream of bytes")
      }
    })
  )

  it.live.each([
    { field: "maxBodySize", wrong: { maxBodySize: Number("1MB") } },
    { field: "maxBodySize", wrong: { maxBodySize: -1 } },
    { field: "replay", wrong: { replay: undefined } },
    { field: "replay", wrong: { replay: "reject" } }
  ])("is not made with a $field that lets anything pass: $wrong", ({ field, wrong }) =>
    withRuntime(async (runtime) => {
      for (const make of [HttpSignatureFetch.verifier, HttpSignatureExpress.middleware]) {
        const given = { runtime, policy, replay: "refuse", ...wrong } as HttpSignatureFetch.VerifierOptions<unknown>
        assert.throws(() => make(given), new RegExp(`InvalidConfiguration: ${field}`))
      }
    })
  )

  it.live("rejects where the policy is wrong", () =>
    withRuntime(async (runtime) => {
      const sign = HttpSignatureFetch.requestSigner({ runtime, ...options })
      const verify = HttpSignatureFetch.verifier({ runtime, policy: { ...policy, components: [] }, replay: "accept" })
      const tag = await verify(await sign(post())).then(
        () => "",
        (error: { readonly _tag: string }) => error._tag
      )
      assert.strictEqual(tag, "InvalidConfiguration")
    })
  )

  it.live("signs a response, bound to its request", () =>
    withRuntime(async (runtime) => {
      const sign = HttpSignatureFetch.responseSigner({
        runtime,
        components: ["@status", "content-digest", "@target-uri;req"],
        tag: "answer"
      })
      const request = post()
      const response = await sign(Response.json({ ok: true }, { status: 201 }), request)
      assert.strictEqual(response.status, 201)
      const body = new Uint8Array(await response.clone().arrayBuffer())
      assert.deepStrictEqual(await response.json(), { ok: true })
      const verified = await runtime.runPromise(
        HttpSignature.verify(
          HttpMessage.fromFetchResponse(response, { body, request: HttpMessage.fromFetchRequest(request) }),
          { ...policy, tag: "answer", components: ["@status", "@target-uri;req"] }
        )
      )
      assert.strictEqual(HttpSignature.value(verified.signatures[0], "@target-uri;req"), "https://api.example/orders")
    })
  )
})
