import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, Layer } from "effect"
import {
  HttpClient,
  HttpClientRequest,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "effect/http"
import { createServer, type IncomingMessage, request as httpRequest } from "node:http"
import type { AddressInfo } from "node:net"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as HttpSignature from "../../src/protocols/HttpSignature.ts"
import * as HttpSignatureClient from "../../src/protocols/HttpSignatureClient.ts"
import * as HttpSignatureServer from "../../src/protocols/HttpSignatureServer.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"

const policy: HttpSignature.Policy = {
  components: ["@method", "@target-uri", "@request-target"],
  algorithms: ["Ed25519"],
  maxAge: "5 minutes",
  skew: "30 seconds",
  tag: "orders"
}
const clientPolicy = { ...policy, components: ["@method", "@target-uri"] }
const options = {
  components: ["@method", "@target-uri", "content-digest", "content-type"],
  tag: "orders",
  nonce: true
} as const

const Keys = KeyResolver.layerSigner({ owner: "alice" }).pipe(Layer.provideMerge(LocalSigner.layerGenerated("Ed25519")))

/** Answers with what was verified, what the handler reads of the body, and signs that. */
const handler = Effect.gen(function* () {
  const { body, signatures } = yield* HttpSignatureServer.VerifiedRequest
  const request = yield* HttpServerRequest.HttpServerRequest
  const [{ key, nonce }] = signatures
  const text = yield* request.text
  const answer = new TextEncoder().encode(
    JSON.stringify({ owner: key.owner, nonce, text, verified: new TextDecoder().decode(body) })
  )
  const response = HttpMessage.response({
    status: 200,
    fields: [],
    body: answer,
    request: HttpMessage.fromServerRequest(request, { body: body! })
  })
  const { fields } = yield* HttpSignature.sign(response, {
    components: ["@status", "content-digest", "@target-uri;req", `signature;req;key="sig1"`],
    tag: "answer"
  })
  return HttpServerResponse.uint8Array(answer, { headers: Object.fromEntries(fields) })
})

const Live = HttpServer.serve(handler.pipe(HttpSignatureServer.verified(clientPolicy))).pipe(
  Layer.provideMerge(NodeHttpServer.layerTest),
  Layer.provideMerge(Keys)
)

const order = HttpClientRequest.post("/orders?dry=1&name=a%20b").pipe(
  HttpClientRequest.setUrlParam("page", "1 2"),
  HttpClientRequest.bodyText(`{"item":7}`, "application/json")
)

describe("over a socket, client and server of effect/http", () => {
  it.effect("a signed request is verified, its body read once, and the answer bound to it", () =>
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      let sent: HttpClientRequest.HttpClientRequest | undefined
      const signing = client.pipe(
        HttpSignatureClient.signed(options),
        HttpClient.mapRequest((request) => (sent = request))
      )
      const response = yield* signing.execute(order)
      assert.strictEqual(response.status, 200)
      const bytes = new Uint8Array(yield* response.arrayBuffer)
      const answer = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, string>
      assert.deepInclude(answer, { owner: "alice", text: `{"item":7}`, verified: `{"item":7}` })
      assert.lengthOf(answer["nonce"]!, 22)

      const received = HttpMessage.fromClientResponse(response, {
        body: bytes,
        request: HttpMessage.fromClientRequest(sent!)
      })
      const answerPolicy = { ...policy, components: ["@status", "@target-uri;req"], tag: "answer" }
      const { body, signatures } = yield* HttpSignature.verify(received, answerPolicy)
      assert.deepStrictEqual(body, bytes)
      assert.match(HttpSignature.value(signatures[0], "@target-uri;req")!, /\/orders\?dry=1&name=a\+b&page=1\+2$/)

      // The answer to another request is not the answer to this one
      const other = HttpMessage.fromClientRequest(HttpClientRequest.setUrlParam(sent!, "page", "2"))
      const error = yield* Effect.flip(HttpSignature.verify({ ...received, request: other }, answerPolicy))
      assert.strictEqual(error._tag === "HttpSignatureInvalid" && error.reason, "SignatureInvalid")
    }).pipe(Effect.provide(Live))
  )

  it.effect("a request without a signature, or changed after it, is answered with what to sign", () =>
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const changes: ReadonlyArray<
        (request: HttpClientRequest.HttpClientRequest) => HttpClientRequest.HttpClientRequest
      > = [
        HttpClientRequest.removeHeader("signature"),
        HttpClientRequest.removeHeader("signature-input"),
        HttpClientRequest.setMethod("PUT"),
        HttpClientRequest.setUrlParam("dry", "0"),
        HttpClientRequest.bodyText(`{"item":8}`, "application/json"),
        HttpClientRequest.setHeader("content-type", "text/plain")
      ]
      for (const change of changes) {
        const response = yield* client
          .pipe(HttpSignatureClient.signed(options), HttpClient.mapRequest(change))
          .execute(order)
        assert.strictEqual(response.status, 401)
        assert.strictEqual(
          response.headers["accept-signature"],
          `sig1=("@method" "@target-uri" "content-digest");created;tag="orders"`
        )
        assert.strictEqual(yield* response.text, "")
      }
      const empty = yield* client.get("/orders")
      assert.strictEqual(empty.headers["accept-signature"], `sig1=("@method" "@target-uri");created;tag="orders"`)
    }).pipe(Effect.provide(Live))
  )

  it.effect.each([
    new KeyResolver.KeysUnavailable({ problem: "no answer" }),
    new KeyResolver.JwksInvalid({ reason: "Malformed", problem: "not JSON" })
  ])("keys that cannot be read are no verdict about the request: $_tag", (error) =>
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const response = yield* client.pipe(HttpSignatureClient.signed(options)).execute(order)
      assert.strictEqual(response.status, 503)
    }).pipe(
      Effect.provide(
        HttpServer.serve(handler.pipe(HttpSignatureServer.verified(clientPolicy))).pipe(
          Layer.provide(
            Layer.succeed(
              KeyResolver.KeyResolver,
              KeyResolver.make(() => Effect.fail(error))
            )
          ),
          Layer.provideMerge(NodeHttpServer.layerTest),
          Layer.provideMerge(LocalSigner.layerGenerated("Ed25519"))
        )
      )
    )
  )

  it.effect("a body that is longer than a server would hold for anybody is refused, unless it says so", () =>
    Effect.gen(function* () {
      const mebibyte = 1_048_576
      const send = (path: string, length: number) =>
        Effect.gen(function* () {
          const client = (yield* HttpClient.HttpClient).pipe(HttpSignatureClient.signed(options))
          const request = HttpClientRequest.post(path).pipe(HttpClientRequest.bodyUint8Array(new Uint8Array(length)))
          return (yield* client.execute(request)).status
        })
      const size = Effect.map(HttpSignatureServer.VerifiedRequest, ({ body }) =>
        HttpServerResponse.text(String(body!.length))
      ).pipe(HttpSignatureServer.verified(clientPolicy))
      const more = Effect.provideService(size, HttpServerRequest.MaxBodySize, ByteSize.mebibytes(2))
      const Sizes = HttpRouter.serve(
        Layer.mergeAll(HttpRouter.add("POST", "/default", size), HttpRouter.add("POST", "/more", more)),
        { disableListenLog: true, disableLogger: true }
      ).pipe(Layer.provideMerge(NodeHttpServer.layerTest), Layer.provideMerge(Keys))
      const statuses = yield* Effect.all([
        send("/default", mebibyte),
        send("/default", mebibyte + 1),
        send("/more", mebibyte + 1)
      ]).pipe(Effect.provide(Sizes))
      assert.deepStrictEqual(statuses, [200, 413, 200])
    })
  )

  it.effect("a second signature joins the first", () =>
    Effect.gen(function* () {
      const request = HttpClientRequest.post("https://api.example/orders").pipe(
        HttpClientRequest.bodyText("{}", "application/json")
      )
      const once = yield* HttpSignatureClient.signRequest(request, options)
      const twice = yield* HttpSignatureClient.signRequest(once, {
        components: [`signature;key="sig1"`, "@method", "@target-uri", "content-digest"],
        label: "sig2",
        tag: "orders"
      })
      const { outcomes } = yield* HttpSignature.verify(HttpMessage.fromClientRequest(twice), clientPolicy)
      assert.deepStrictEqual(
        outcomes.map(({ label, outcome }) => [label, outcome._tag]),
        [
          ["sig1", "Success"],
          ["sig2", "Success"]
        ]
      )
    }).pipe(Effect.provide(Keys))
  )

  it.effect("content that is not known cannot be covered", () =>
    Effect.gen(function* () {
      const form = HttpClientRequest.post("https://api.example/").pipe(HttpClientRequest.bodyFormData(new FormData()))
      const error = yield* Effect.flip(HttpSignatureClient.signRequest(form, options))
      assert.strictEqual(
        error.message,
        `HttpSignatureInvalid: ComponentUnavailable "content-digest": the message has no such field`
      )
    }).pipe(Effect.provide(Keys))
  )
})

describe("over a socket, as a middleware of HttpRouter", () => {
  const Verified = HttpRouter.middleware<{ provides: HttpSignatureServer.VerifiedRequest }>()(
    Effect.map(
      KeyResolver.KeyResolver,
      (resolver) => (route) =>
        Effect.provideService(HttpSignatureServer.verified(clientPolicy)(route), KeyResolver.KeyResolver, resolver)
    )
  )
  const who = Effect.map(HttpSignatureServer.VerifiedRequest, ({ signatures: [{ key }] }) =>
    HttpServerResponse.text(key.owner ?? "")
  )
  const Routes = Layer.mergeAll(
    HttpRouter.add("POST", "/who", who).pipe(Layer.provide(Verified.layer)),
    HttpRouter.add("GET", "/open", HttpServerResponse.text("open"))
  )
  const Router = HttpRouter.serve(Routes, { disableLogger: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layerTest),
    Layer.provideMerge(Keys)
  )

  it.effect("the routes that it guards need a signature, and others do not", () =>
    Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const signed = yield* HttpSignatureClient.signed({ components: ["@method", "@target-uri"], tag: "orders" })(
        client
      ).post("/who")
      assert.deepStrictEqual([signed.status, yield* signed.text], [200, "alice"])
      assert.strictEqual((yield* client.post("/who")).status, 401)
      assert.strictEqual((yield* client.get("/open")).status, 200)
    }).pipe(Effect.provide(Router))
  )
})

/** A server of node:http that hands out the first message and its body. */
const received = (send: (port: number) => void) =>
  Effect.callback<{ readonly message: IncomingMessage; readonly body: Uint8Array }>((resume) => {
    const server = createServer((message, response) => {
      const chunks: Array<Buffer> = []
      message.on("data", (chunk: Buffer) => chunks.push(chunk))
      message.on("end", () => {
        response.end()
        resume(Effect.succeed({ message, body: new Uint8Array(Buffer.concat(chunks)) }))
      })
    })
    server.listen(0, "127.0.0.1", () => send((server.address() as AddressInfo).port))
    return Effect.sync(() => server.close())
  })

describe("over a socket, node:http", () => {
  it.effect("every line, the request target and the trailers are those of the wire", () =>
    Effect.gen(function* () {
      const fields: ReadonlyArray<HttpMessage.FieldLine> = [
        ["Host", "api.example"],
        ["X-List", "a, b"],
        ["X-List", "c"],
        ["Trailer", "X-End"],
        ["Transfer-Encoding", "chunked"]
      ]
      const body = new TextEncoder().encode("content")
      const trailers: ReadonlyArray<HttpMessage.FieldLine> = [["X-End", "done"]]
      const message = HttpMessage.request({ method: "POST", target: "/a//b?c", scheme: "http", fields, trailers, body })
      const components = ["@request-target", "@target-uri", "x-list;bs", "x-list", "x-end;tr", "content-digest"]
      const signed = yield* HttpSignature.sign(message, { components, tag: "orders" })
      const { body: sentBody, message: source } = yield* received((port) => {
        const request = httpRequest({ host: "127.0.0.1", port, method: "POST", path: "/a//b?c", setHost: false })
        const names = new Set(signed.message.fields.map(([name]) => name))
        for (const name of names) {
          request.setHeader(
            name,
            signed.message.fields.filter(([other]) => other === name).map(([, value]) => value)
          )
        }
        request.write(body)
        request.addTrailers({ "X-End": "done" })
        request.end()
      })
      const wire = HttpMessage.fromIncomingMessage(source, { body: sentBody })
      const { signatures } = yield* HttpSignature.verify(wire, { ...policy, components })
      assert.strictEqual(HttpSignature.value(signatures[0], "x-list;bs"), ":YSwgYg==:, :Yw==:")
      assert.strictEqual(HttpSignature.value(signatures[0], "@target-uri"), "http://api.example/a//b?c")
      assert.strictEqual(HttpSignature.value(signatures[0], "x-end;tr"), "done")
      // Behind a proxy that ends TLS it would be another URI
      const proxied = HttpMessage.fromIncomingMessage(source, { body: sentBody, scheme: "https" })
      const error = yield* Effect.flip(HttpSignature.verify(proxied, { ...policy, components }))
      assert.strictEqual(error._tag === "HttpSignatureInvalid" && error.reason, "SignatureInvalid")
      // And at a server that serves another host, a replay
      const replayed = HttpMessage.fromIncomingMessage(source, { body: sentBody, authority: "other.example" })
      const replay = yield* Effect.flip(HttpSignature.verify(replayed, { ...policy, components }))
      assert.strictEqual(replay._tag === "HttpSignatureInvalid" && replay.reason, "SignatureInvalid")
    }).pipe(Effect.provide(Keys))
  )
})
