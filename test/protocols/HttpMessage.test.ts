import { assert, describe, it } from "@effect/vitest"
import { HttpClientRequest, HttpClientResponse, HttpServerRequest } from "effect/http"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"

const partsOf = ({ authority, path, query, scheme }: HttpMessage.HttpRequest) => ({ scheme, authority, path, query })

const incoming = (message: Partial<HttpMessage.IncomingMessage>): HttpMessage.IncomingMessage => ({
  method: "GET",
  url: "/",
  rawHeaders: [],
  rawTrailers: [],
  complete: true,
  socket: {},
  ...message
})

describe("HttpMessage", () => {
  it.each([
    ["GET", "/a//b/../c?x=%20&y", { scheme: undefined, authority: "h", path: "/a//b/../c", query: "x=%20&y" }],
    ["GET", "/?", { scheme: undefined, authority: "h", path: "/", query: "" }],
    ["GET", "/a?b?c", { scheme: undefined, authority: "h", path: "/a", query: "b?c" }],
    ["GET", "HTTPS://o:1?q", { scheme: "HTTPS", authority: "o:1", path: "/", query: "q" }],
    ["GET", "http://o/p", { scheme: "http", authority: "o", path: "/p", query: undefined }],
    ["CONNECT", "o:443", { scheme: undefined, authority: "o:443", path: undefined, query: undefined }],
    ["OPTIONS", "*", { scheme: undefined, authority: "h", path: "", query: undefined }],
    ["GET", "/a#b", { scheme: undefined, authority: undefined, path: undefined, query: undefined }],
    ["GET", "a", { scheme: undefined, authority: undefined, path: undefined, query: undefined }],
    ["GET", "", { scheme: undefined, authority: undefined, path: undefined, query: undefined }]
  ] as const)("%s %s", (method, target, expected) => {
    const request = HttpMessage.request({ method, target, fields: [["host", " h "]] })
    assert.deepStrictEqual(partsOf(request), expected)
    assert.strictEqual(request.requestTarget, target)
  })

  it("of two Host lines neither is the authority", () => {
    const fields = [
      ["Host", "a"],
      ["host", "b"]
    ] as const
    assert.isUndefined(HttpMessage.request({ method: "GET", target: "/", fields }).authority)
  })

  it("a message of node:http keeps its lines, and knows its trailers once it is read", () => {
    const rawHeaders = ["Host", "h", "X-A", "1", "x-a", "2"]
    const message = incoming({ rawHeaders, rawTrailers: ["X-End", "1"], socket: { encrypted: true } })
    const request = HttpMessage.fromIncomingMessage(message)
    assert.deepStrictEqual(partsOf(request), { scheme: "https", authority: "h", path: "/", query: undefined })
    assert.deepStrictEqual(request.fields, [
      ["Host", "h"],
      ["X-A", "1"],
      ["x-a", "2"]
    ])
    assert.deepStrictEqual(request.trailers, [["X-End", "1"]])
    assert.isUndefined(HttpMessage.fromIncomingMessage({ ...message, complete: false }).trailers)
    assert.strictEqual(HttpMessage.fromIncomingMessage(incoming({ rawHeaders })).scheme, "http")
    const stated = HttpMessage.fromIncomingMessage(message, { authority: "public.example", scheme: "http" })
    assert.deepStrictEqual([stated.scheme, stated.authority], ["http", "public.example"])
    const response = HttpMessage.fromIncomingResponse(incoming({ statusCode: 404, rawHeaders }), { request })
    assert.deepStrictEqual([response.status, response.fields.length, response.request], [404, 3, request])
  })

  it("a router that takes off the path where it is mounted does not change what was asked for", () => {
    const mounted = incoming({ url: "/orders", originalUrl: "/admin/orders?a", rawHeaders: ["Host", "h"] })
    const request = HttpMessage.fromIncomingMessage(mounted)
    assert.deepStrictEqual(partsOf(request), { scheme: "http", authority: "h", path: "/admin/orders", query: "a" })
    assert.strictEqual(request.requestTarget, "/admin/orders?a")
  })

  it("of HTTP/2 pseudo-header fields are no fields, and there is no request target", () => {
    const rawHeaders = [":method", "GET", ":scheme", "https", ":authority", "h:1", ":path", "/a", "x", ":path"]
    const request = HttpMessage.fromIncomingMessage(incoming({ url: "/a", rawHeaders }))
    assert.deepStrictEqual(partsOf(request), { scheme: "https", authority: "h:1", path: "/a", query: undefined })
    assert.deepStrictEqual(request.fields, [["x", ":path"]])
    assert.isUndefined(request.requestTarget)
  })

  it("a Fetch message has joined lines, no request target and no trailers", () => {
    const headers = new Headers([
      ["X-A", "1"],
      ["X-A", "2"]
    ])
    const request = HttpMessage.fromFetchRequest(new Request("https://H.example:443/a?", { headers }))
    assert.deepStrictEqual(partsOf(request), { scheme: "https", authority: "h.example", path: "/a", query: "" })
    assert.deepStrictEqual(request.fields, [["x-a", "1, 2"]])
    assert.deepStrictEqual(
      [request.areLinesExact, request.requestTarget, request.trailers],
      [false, undefined, undefined]
    )
    const response = HttpMessage.fromFetchResponse(new Response("", { status: 201, headers }), { request })
    assert.deepStrictEqual([response.status, response.areLinesExact, response.trailers], [201, false, undefined])
  })

  it("a request of an Effect client is what the client sends", () => {
    const request = HttpClientRequest.put("https://h.example/a?b=1#c").pipe(
      HttpClientRequest.setUrlParam("d", "e f"),
      HttpClientRequest.setHeader("X-A", "1"),
      HttpClientRequest.bodyText("text", "text/plain")
    )
    const message = HttpMessage.fromClientRequest(request)
    assert.deepStrictEqual(partsOf(message), {
      scheme: "https",
      authority: "h.example",
      path: "/a",
      query: "b=1&d=e+f"
    })
    assert.deepInclude(message.fields, ["x-a", "1"])
    assert.deepInclude(message.fields, ["content-type", "text/plain"])
    assert.deepStrictEqual(message.body, new TextEncoder().encode("text"))
    assert.deepStrictEqual([message.requestTarget, message.trailers], [undefined, undefined])
    const form = HttpMessage.fromClientRequest(HttpClientRequest.bodyFormData(request, new FormData()))
    assert.isUndefined(form.body)
    const relative = HttpMessage.fromClientRequest(HttpClientRequest.get("/a"))
    assert.deepStrictEqual(partsOf(relative), {
      scheme: undefined,
      authority: undefined,
      path: undefined,
      query: undefined
    })
    const response = HttpClientResponse.fromWeb(request, new Response(null, { status: 204, headers: { "x-b": "2" } }))
    const received = HttpMessage.fromClientResponse(response, { request: message })
    assert.deepStrictEqual([received.status, received.areLinesExact], [204, false])
    assert.deepInclude(received.fields, ["x-b", "2"])
  })

  it("a request of an Effect server over Fetch knows what Fetch knows", () => {
    const source = new Request("https://h.example/a?b", { method: "POST", headers: { "X-A": "1" } })
    const message = HttpMessage.fromServerRequest(HttpServerRequest.fromWeb(source), { scheme: "https" })
    assert.deepStrictEqual(partsOf(message), { scheme: "https", authority: "h.example", path: "/a", query: "b" })
    assert.deepStrictEqual([message.areLinesExact, message.requestTarget], [false, undefined])
  })
})
