/** The middleware over `node:http` and `node:http2` themselves; test/oracles runs it inside Express. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, ManagedRuntime, type Scope } from "effect"
import { createServer, request as httpRequest } from "node:http"
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2"
import { type AddressInfo, connect, type Server } from "node:net"
import { gzipSync } from "node:zlib"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as MemoryReplayStore from "../../src/layers/MemoryReplayStore.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as HttpSignature from "../../src/protocols/HttpSignature.ts"
import * as HttpSignatureExpress from "../../src/protocols/HttpSignatureExpress.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"

const Live = Layer.mergeAll(
  KeyResolver.layerSigner({ owner: "alice" }).pipe(Layer.provideMerge(LocalSigner.layerGenerated("Ed25519"))),
  MemoryReplayStore.layer()
)

type Runtime = ManagedRuntime.ManagedRuntime<Layer.Success<typeof Live>, unknown>

const policy: HttpSignature.Policy = {
  components: ["@method", "@target-uri"],
  algorithms: ["Ed25519"],
  maxAge: "5 minutes",
  skew: "30 seconds",
  tag: "orders"
}

const origin = "http://api.example"

/** The lines that sign a request of {@link origin}. */
const fieldsOf = (method: string, body?: Uint8Array, fields: ReadonlyArray<HttpMessage.FieldLine> = []) =>
  Effect.map(
    HttpSignature.sign(HttpMessage.request({ method, target: `${origin}/orders`, fields, body }), {
      components: ["@method", "@target-uri", ...(body === undefined ? [] : ["content-digest"])],
      tag: "orders",
      nonce: true
    }),
    (signed) => [...fields, ...signed.fields]
  )

/**
 * Two pieces of middleware, one after the other, and what came of a request in words.
 * `errors` has what was handed to the error handler.
 */
const serving = (runtime: Runtime, errors: Array<unknown>) => {
  const options = { runtime, replay: "accept", policy, maxBodySize: 1000 } as const
  const [first, second] = [HttpSignatureExpress.middleware(options), HttpSignatureExpress.middleware(options)]
  return (
    request: HttpSignatureExpress.Incoming,
    response: HttpSignatureExpress.Outgoing & { readonly write: (text: string) => unknown }
  ) => {
    const step = (use: () => void) => (error?: unknown) => {
      if (error === undefined) return use()
      errors.push(error)
      response.statusCode = 500
      response.end()
    }
    const answer = step(() => {
      const { body, signatures } = HttpSignatureExpress.verifiedRequest(request)
      response.write(`${signatures[0].key.owner}: ${body === undefined ? "nothing" : new TextDecoder().decode(body)}`)
      response.end()
    })
    first(
      request,
      response,
      step(() => second(request, response, answer))
    )
  }
}

const listening = <S extends Server>(server: S) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: S; readonly port: number }>((resume) => {
      server.listen(0, "127.0.0.1", () =>
        resume(Effect.succeed({ server, port: (server.address() as AddressInfo).port }))
      )
    }),
    () => Effect.sync(() => server.close())
  )

const withRuntime = <A, E>(use: (runtime: Runtime, errors: Array<unknown>) => Effect.Effect<A, E, Scope.Scope>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => ManagedRuntime.make(Live)),
    (runtime) => Effect.scoped(use(runtime, [])),
    (runtime) => runtime.disposeEffect
  )

const headersOf = (fields: ReadonlyArray<HttpMessage.FieldLine>) =>
  Object.fromEntries(fields.map(([name, value]) => [name.toLowerCase(), value]))

const text = new TextEncoder().encode(`{"item":7}`)

/** Writes bytes to a socket as they are, and reads until it is closed. */
const raw = (port: number, parts: string) =>
  Effect.callback<string>((resume) => {
    let answer = ""
    const socket = connect(port, "127.0.0.1", () => socket.write(parts))
    socket.on("data", (chunk) => (answer += chunk.toString()))
    socket.on("error", () => undefined)
    socket.on("close", () => resume(Effect.succeed(answer)))
    return Effect.sync(() => socket.destroy())
  })

const linesOf = (fields: ReadonlyArray<HttpMessage.FieldLine>) =>
  fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")

const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])

describe("HttpSignatureExpress.middleware", () => {
  it.live.each<{
    readonly name: string
    readonly method: string
    readonly body?: Uint8Array
    readonly coding?: "gzip"
  }>([
    { name: "without content", method: "GET" },
    { name: "with content", method: "POST", body: text },
    { name: "with compressed content", method: "POST", body: new Uint8Array(gzipSync(text)), coding: "gzip" }
  ])("verifies a request $name twice where it stands twice, over HTTP/1.1 and HTTP/2", ({ body, coding, method }) =>
    withRuntime((runtime, errors) =>
      Effect.gen(function* () {
        const fields = yield* Effect.promise(() =>
          runtime.runPromise(fieldsOf(method, body, coding === undefined ? [] : [["Content-Encoding", coding]]))
        )
        const expected = `alice: ${body === undefined ? "nothing" : new TextDecoder().decode(body)}`
        const one = yield* listening(createServer(serving(runtime, errors)))
        // Without a length, so that there may be content, and is none
        for (const chunked of [false, true]) {
          const answer = yield* Effect.callback<string>((resume) => {
            const request = httpRequest(
              {
                host: "127.0.0.1",
                port: one.port,
                method,
                path: "/orders",
                headers: {
                  ...headersOf(fields),
                  host: "api.example",
                  ...(chunked ? { "transfer-encoding": "chunked" } : {})
                }
              },
              (response) => {
                let answer = ""
                response.on("data", (chunk: Buffer) => (answer += chunk.toString()))
                response.on("end", () => resume(Effect.succeed(answer)))
              }
            )
            request.end(body)
          })
          assert.strictEqual(answer, expected)
        }
        const two = yield* listening(createHttp2Server({}, serving(runtime, errors)))
        const client = yield* Effect.acquireRelease(
          Effect.sync(() => connectHttp2(`http://127.0.0.1:${two.port}`)),
          (client) => Effect.sync(() => client.destroy())
        )
        const answer = yield* Effect.callback<string>((resume) => {
          const stream = client.request(
            { ":method": method, ":path": "/orders", ":authority": "api.example", ...headersOf(fields) },
            { endStream: body === undefined }
          )
          let answer = ""
          stream.on("data", (chunk: Buffer) => (answer += chunk.toString()))
          stream.on("end", () => resume(Effect.succeed(answer)))
          if (body !== undefined) stream.end(body)
        })
        assert.strictEqual(answer, expected)
        assert.deepStrictEqual(errors, [])
      })
    )
  )

  it.live.each([
    { name: "asks whom the signature says", target: "/orders", host: ["api.example"], status: 200 },
    { name: "names them in full", target: `${origin}/orders`, host: ["api.example"], status: 200 },
    {
      name: "names them in full, and another in Host",
      target: `${origin}/orders`,
      host: ["evil.example"],
      status: 401
    },
    { name: "has two Host lines", target: "/orders", host: ["api.example", "evil.example"], status: 401 },
    { name: "asks another", target: "/orders", host: ["evil.example"], status: 401 }
  ])("answers $status where a request $name", ({ host, status, target }) =>
    withRuntime((runtime, errors) =>
      Effect.gen(function* () {
        const fields = yield* Effect.promise(() => runtime.runPromise(fieldsOf("GET")))
        const { port } = yield* listening(createServer(serving(runtime, errors)))
        const hosts = host.map((name) => `Host: ${name}\r\n`).join("")
        const answer = yield* raw(port, `GET ${target} HTTP/1.1\r\n${hosts}Connection: close\r\n${linesOf(fields)}\r\n`)
        assert.strictEqual(statusOf(answer), status)
        // RFC 9110 section 11.6.1
        assert.strictEqual(/^www-authenticate: (.*)\r$/im.exec(answer)?.[1], status === 401 ? "Signature" : undefined)
        assert.deepStrictEqual(errors, [])
      })
    )
  )

  it.live("does not call it a mistake of the program when a client leaves before its request is whole", () =>
    withRuntime((runtime, errors) =>
      Effect.gen(function* () {
        const fields = yield* Effect.promise(() => runtime.runPromise(fieldsOf("POST", text)))
        let closed = () => {}
        const gone = new Promise<void>((resolve) => (closed = resolve))
        const responses: Array<{ readonly statusCode: number }> = []
        const handle = serving(runtime, errors)
        const { port } = yield* listening(
          createServer((request, response) => {
            response.on("close", closed)
            responses.push(response)
            handle(request, response)
          })
        )
        const socket = connect(port, "127.0.0.1", () => {
          socket.write(
            `POST /orders HTTP/1.1\r\nHost: api.example\r\nContent-Length: 10\r\n${linesOf(fields)}\r\n{"i`,
            () => setTimeout(() => socket.destroy(), 50)
          )
        })
        yield* Effect.promise(() => gone)
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        assert.deepStrictEqual(
          responses.map(({ statusCode }) => statusCode),
          [400]
        )
        assert.deepStrictEqual(errors, [])
      })
    )
  )
})
