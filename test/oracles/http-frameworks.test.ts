/** The plain functions of HTTP signatures inside the real frameworks, over sockets. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Layer, ManagedRuntime } from "effect"
import { LocalSigner, PublicKey, Signer } from "effect-signer"
import * as HttpSignatureFetch from "effect-signer/HttpSignatureFetch"
import * as KeyResolver from "effect-signer/KeyResolver"
import * as MemoryReplayStore from "effect-signer/MemoryReplayStore"
import { Hono } from "hono"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"

const runtime = ManagedRuntime.make(
  Layer.mergeAll(
    KeyResolver.layerSigner({ owner: "alice" }).pipe(Layer.provideMerge(LocalSigner.layerGenerated("Ed25519"))),
    MemoryReplayStore.layer()
  )
)
afterAll(() => runtime.dispose())

const policy = {
  components: ["@method", "@target-uri"],
  algorithms: ["Ed25519"],
  maxAge: "5 minutes",
  skew: "30 seconds",
  tag: "orders"
} as const

const signer = (more: object = {}) =>
  HttpSignatureFetch.requestSigner({
    runtime,
    components: ["@method", "@target-uri", "content-digest"],
    tag: "orders",
    nonce: true,
    ...more
  })

const order = (url: string, init: RequestInit = {}) =>
  new Request(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: `{"item": 7, "name": "ä"}`,
    ...init
  })

describe("hono", () => {
  const verify = HttpSignatureFetch.verifier({ runtime, replay: "refuse", policy })
  const app = new Hono<{ Variables: { owner: string } }>()
  app.use("/orders/*", async (c, next) => {
    const outcome = await verify(c.req.raw)
    if (!outcome.ok) return outcome.response
    c.set("owner", outcome.message.signatures[0].key.owner!)
    await next()
  })
  app.post("/orders/new", async (c) => c.json({ owner: c.get("owner"), order: await c.req.json() }))

  it("hands a signed request to the handler, which reads its body, and refuses it the second time", async () => {
    const signed = await signer()(order("http://api.example/orders/new?dry=1"))
    const again = signed.clone()
    const response = await app.request(signed)
    assert.strictEqual(response.status, 200)
    assert.deepStrictEqual(await response.json(), { owner: "alice", order: { item: 7, name: "ä" } })
    const refused = await app.request(again)
    assert.strictEqual(refused.status, 401)
    assert.match(refused.headers.get("accept-signature")!, /^sig1=\("@method" "@target-uri" "content-digest"\);created;nonce="[\w-]{22}";tag="orders"$/)
  })

  it("refuses what is not signed, changed, or for another URL", async () => {
    assert.strictEqual((await app.request(order("http://api.example/orders/new"))).status, 401)
    const signed = await signer()(order("http://api.example/orders/new"))
    const changed = new Request(signed, { body: `{"item": 8}`, duplex: "half" } as RequestInit)
    assert.strictEqual((await app.request(changed)).status, 401)
    const other = await signer()(order("http://api.example/orders/new"))
    const moved = new Request("http://other.example/orders/new", { method: "POST", headers: other.headers, body: await other.arrayBuffer() })
    assert.strictEqual((await app.request(moved)).status, 401)
  })
})

describe("express", () => {
  let server: ChildProcess
  let origin: string

  // In a process of its own: the conditions under which a test runs are not those under which Express is made to run
  beforeAll(async () => {
    const publicKey = await runtime.runPromise(Signer.Signer.use((signer) => signer.publicKey()))
    const jwks = JSON.stringify({ keys: [{ ...PublicKey.toJwk(publicKey), use: "sig" }] })
    const path = fileURLToPath(new URL("express-server.ts", import.meta.url))
    server = spawn(process.execPath, ["--conditions=effect-signer-source", path, jwks], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    const [port] = (await once(server.stdout!, "data")) as [Buffer]
    origin = `http://127.0.0.1:${port.toString().trim()}`
  })
  afterAll(() => void server.kill())

  const text = `{"item": 7, "name": "ä"}`

  it.each([
    { path: "/captured", body: { item: 7, name: "ä" } },
    { path: "/raw", body: text },
    { path: "/mounted/orders?dry=1", body: text }
  ])("verifies the bytes of the body at $path, once", async ({ body, path }) => {
    const request = await signer()(order(`${origin}${path}`))
    const again = request.clone()
    const response = await fetch(request)
    assert.strictEqual(response.status, 200)
    assert.deepStrictEqual(await response.json(), { owner: "alice", covered: text, body })
    const refused = await fetch(again)
    assert.strictEqual(refused.status, 401)
    assert.include(refused.headers.get("accept-signature")!, `;tag="orders"`)
  })

  it("verifies a request without content", async () => {
    const request = await signer({ components: ["@method", "@target-uri"] })(new Request(`${origin}/mounted/orders`))
    const response = await fetch(request)
    assert.strictEqual(response.status, 200)
    assert.deepStrictEqual(await response.json(), { owner: "alice", covered: null, body: null })
  })

  it.each(["/captured", "/raw", "/mounted/orders"])("refuses a body that was changed at %s", async (path) => {
    const request = await signer()(order(`${origin}${path}`))
    const response = await fetch(request.url, {
      method: "POST",
      headers: request.headers,
      body: `{"item": 8, "name": "ä"}`
    })
    assert.strictEqual(response.status, 401)
  })

  it("refuses what is not signed without reading it", async () => {
    const response = await fetch(order(`${origin}/mounted/orders`, { body: "x".repeat(5000) }))
    assert.strictEqual(response.status, 401)
  })

  it.each([
    { length: "stated", init: { body: "x".repeat(1001) } },
    { length: "not stated", init: { body: new Blob(["x".repeat(1001)]).stream(), duplex: "half" } }
  ])("refuses a body that is too long, its length $length", async ({ init }) => {
    const { headers } = await signer()(order(`${origin}/mounted/orders`))
    const response = await fetch(`${origin}/mounted/orders`, { method: "POST", headers, ...init } as RequestInit)
    assert.strictEqual(response.status, 413)
  })

  it("says so where a parser kept no bytes", async () => {
    const response = await fetch(await signer()(order(`${origin}/parsed`)))
    assert.strictEqual(response.status, 500)
    assert.include(((await response.json()) as { problem: string }).problem, "express.json({ verify: capture })")
  })

  it("says so where a parser has decompressed the body, and verifies it where none has", async () => {
    const compressed = (path: string) =>
      order(`${origin}${path}`, {
        body: new Uint8Array(gzipSync(text)),
        headers: { "content-type": "application/json", "content-encoding": "gzip" }
      })
    const response = await fetch(await signer()(compressed("/captured")))
    assert.strictEqual(response.status, 500)
    assert.include(((await response.json()) as { problem: string }).problem, "decompressed")
    assert.strictEqual((await fetch(await signer()(compressed("/mounted/orders")))).status, 200)
  })

  it("throws where a request was not verified", async () => {
    const response = await fetch(order(`${origin}/unverified`))
    assert.strictEqual(response.status, 500)
  })
})
