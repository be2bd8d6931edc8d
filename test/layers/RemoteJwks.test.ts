import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Fiber, Layer, Scope, Tracer } from "effect"
import { TestClock } from "effect/testing"
import type { OutgoingHttpHeaders } from "node:http"
import { LocalSigner, PrivateKey, PublicKey } from "../../src/index.ts"
import * as RemoteJwks from "../../src/layers/RemoteJwks.ts"
import * as Jwt from "../../src/protocols/Jwt.ts"
import { KeysUnavailable, KeysUnavailableReason } from "../../src/schemas/KeyResolverError.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Canary from "../../src/testing/Canary.ts"
import { testRsaKey } from "../../src/testing/TestKey.ts"
import { ca, serve, until } from "./httpsServer.ts"

const json = "application/json"
const secret = "canary-7d0e44b1a9"
const owner = "https://id.example"

interface Answer {
  readonly status?: number
  readonly headers?: OutgoingHttpHeaders
  readonly body?: unknown
  /** Nothing more is sent after the headers. */
  readonly hangs?: boolean
}

/** A server that answers with whatever `answer` is at the moment, by path. */
const publisher = Effect.gen(function* () {
  const state = { answer: (_path: string): Answer => ({ status: 404 }) }
  const server = yield* serve((request, response) => {
    const { body, hangs = false, headers, status = 200 } = state.answer(request.url!)
    response.writeHead(status, { "content-type": json, ...headers })
    if (hangs) return void response.flushHeaders()
    response.end(body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body))
  })
  const origin = `https://127.0.0.1:${server.port}`
  return {
    ...server,
    origin,
    url: `${origin}/jwks.json`,
    says: (answer: Answer) => {
      state.answer = () => answer
    },
    routes: (answers: { readonly [path: string]: Answer }) => {
      state.answer = (path) => answers[path] ?? { status: 404 }
    },
    options: { allow: ["127.0.0.1"], ports: [server.port], ca }
  }
})

const jwkOf = (kid: string) =>
  Effect.map(PrivateKey.generate("Ed25519"), ({ publicKey }) => ({
    ...PublicKey.toJwk(publicKey, { kid }),
    use: "sig"
  }))

const setOf = (...kids: ReadonlyArray<string>) => Effect.map(Effect.forEach(kids, jwkOf), (keys) => ({ keys }))

/** A resolver of a server, which publishes keys with these ids. */
const published = Effect.fnUntraced(function* (
  kids: ReadonlyArray<string>,
  settings: RemoteJwks.Settings & { readonly headers?: OutgoingHttpHeaders } = {}
) {
  const { headers = {}, ...options } = settings
  const server = yield* publisher
  server.says({ body: yield* setOf(...kids), headers })
  const { resolve } = yield* RemoteJwks.make({ ...server.options, url: server.url, owner, ...options })
  return { ...server, resolve }
})

const tagOf = <A>(effect: Effect.Effect<A, KeyResolver.KeyResolverError>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.isUndefined(Canary.search([{ name: "body", secret }])(Canary.show(error)))
    return error._tag === "KeysUnavailable" || error._tag === "JwksInvalid"
      ? `${error._tag} ${error.reason}`
      : error._tag
  })

describe("resolve", () => {
  it.effect("answers with the key, its owner, its tenant and its purpose", () =>
    Effect.gen(function* () {
      const { resolve, seen } = yield* published(["a", "b"], { tenant: "t1", purpose: "tokens" })
      const found = yield* resolve({ keyId: "b", issuer: owner, tenant: "t1", purpose: "tokens" })
      assert.deepStrictEqual(
        [found.keyId, found.publicKey.algorithm, found.owner, found.tenant, found.purpose],
        ["b", "Ed25519", owner, "t1", "tokens"]
      )
      assert.strictEqual((yield* resolve({ keyId: "a" })).keyId, "a")
      assert.strictEqual(yield* tagOf(resolve({})), "KeyAmbiguous")
      assert.strictEqual(seen.length, 1)
      assert.deepStrictEqual([seen[0]!.method, seen[0]!.url], ["GET", "/jwks.json"])
      assert.strictEqual(seen[0]!.headers["accept"], "application/jwk-set+json, application/json")
    })
  )

  it.effect("asks nobody about the keys of others", () =>
    Effect.gen(function* () {
      const { resolve, seen } = yield* published(["a"], { tenant: "t1", purpose: "tokens" })
      for (const more of [{ issuer: "https://evil.example" }, { tenant: "t2" }, { purpose: "releases" }]) {
        assert.strictEqual(yield* tagOf(resolve({ keyId: "a", ...more })), "KeyUnknown")
      }
      const other = yield* published(["a"])
      for (const more of [{ tenant: "t1" }, { purpose: "tokens" }]) {
        assert.strictEqual(yield* tagOf(other.resolve({ keyId: "a", ...more })), "KeyUnknown")
      }
      assert.deepStrictEqual([seen.length, other.seen.length], [0, 0])
    })
  )

  it.effect("makes one request for 10,000 lookups at once", () =>
    Effect.gen(function* () {
      const { resolve, seen } = yield* published(["a"])
      const lookups = Array.from({ length: 10_000 }, () => resolve({ keyId: "a" }))
      const found = yield* Effect.all(lookups, { concurrency: "unbounded" })
      assert.strictEqual(new Set(found).size, 1)
      assert.strictEqual(seen.length, 1)
      yield* TestClock.adjust("10 minutes")
      yield* Effect.all(lookups, { concurrency: "unbounded" })
      assert.strictEqual(seen.length, 2)
    })
  )

  it.effect("makes one request for 10,000 lookups of keys that nobody knows, and for 10,000 that fail", () =>
    Effect.gen(function* () {
      const { resolve, says, seen } = yield* published(["a"])
      yield* resolve({ keyId: "a" })
      yield* TestClock.adjust("30 seconds")
      const unknown = Array.from({ length: 10_000 }, (_, index) => tagOf(resolve({ keyId: `x${index}` })))
      const tags = yield* Effect.all(unknown, { concurrency: "unbounded" })
      assert.deepStrictEqual([...new Set(tags)], ["KeyUnknown"])
      assert.strictEqual(seen.length, 2)
      says({ status: 404 })
      yield* TestClock.adjust("10 minutes")
      const gone = yield* Effect.all(unknown, { concurrency: "unbounded" })
      assert.deepStrictEqual([...new Set(gone)], ["KeysUnavailable StatusRefused"])
      assert.strictEqual(seen.length, 3)
    })
  )

  it.effect("reads the set again for an id that is not in it, once in 30 seconds", () =>
    Effect.gen(function* () {
      const { resolve, says, seen } = yield* published(["a"])
      yield* resolve({ keyId: "a" })
      says({ body: yield* setOf("a", "b") })
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(yield* tagOf(resolve({ keyId: "b" })), "KeyUnknown")
      assert.strictEqual(seen.length, 1)
      yield* TestClock.adjust("1 second")
      yield* resolve({ keyId: "a" })
      assert.strictEqual(seen.length, 1)
      assert.strictEqual((yield* resolve({ keyId: "b" })).keyId, "b")
      assert.strictEqual(seen.length, 2)
      for (let i = 0; i < 29; i++) {
        assert.strictEqual(yield* tagOf(resolve({ keyId: `c${i}` })), "KeyUnknown")
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual(seen.length, 2)
    })
  )

  it.effect("reads it again, too, for a message that names no key", () =>
    Effect.gen(function* () {
      const { resolve, says, seen } = yield* published([], { cooldown: "1 minute" })
      assert.strictEqual(yield* tagOf(resolve({ algorithm: "Ed25519" })), "KeyUnknown")
      says({ body: yield* setOf("a") })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* resolve({ algorithm: "Ed25519" })).keyId, "a")
      assert.strictEqual(seen.length, 2)
    })
  )
})

describe("how long a set is kept", () => {
  it.effect.each([
    { said: undefined, seconds: 600 },
    { said: "public, max-age=120", seconds: 120 },
    { said: "max-age=86400", seconds: 600 },
    { said: "max-age=5", seconds: 30 },
    { said: "no-store", seconds: 30 },
    { said: "no-cache, max-age=120", seconds: 30 },
    { said: "max-age=120", age: "50", seconds: 70 },
    { said: "max-age=7200", options: { maxAge: "1 hour" as const }, seconds: 3600 },
    { said: undefined, options: { maxAge: "20 seconds" as const }, seconds: 20 },
    { said: "max-age=0", options: { maxAge: "20 seconds" as const }, seconds: 20 },
    { said: "max-age=0", options: { cooldown: "2 seconds" as const }, seconds: 2 }
  ])("$seconds seconds where the server says $said, age $age, with $options", ({ age, options, said, seconds }) =>
    Effect.gen(function* () {
      const headers = {
        ...(said === undefined ? {} : { "cache-control": said }),
        ...(age === undefined ? {} : { age })
      }
      const { resolve, seen } = yield* published(["a"], { ...options, headers })
      yield* resolve({ keyId: "a" })
      yield* TestClock.adjust(seconds * 1000 - 1)
      yield* resolve({ keyId: "a" })
      assert.strictEqual(seen.length, 1)
      yield* TestClock.adjust(1)
      yield* resolve({ keyId: "a" })
      assert.strictEqual(seen.length, 2)
    })
  )

  it.effect("a key that left the set is refused when it is read again", () =>
    Effect.gen(function* () {
      const { resolve, says } = yield* published(["a", "b"])
      yield* resolve({ keyId: "a" })
      says({ body: yield* setOf("b") })
      yield* TestClock.adjust("9 minutes")
      yield* resolve({ keyId: "a" })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* tagOf(resolve({ keyId: "a" })), "KeyUnknown")
    })
  )

  it.effect("a clock that was set back ends it", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000_000_000)
      const { resolve, seen } = yield* published(["a"])
      yield* resolve({ keyId: "a" })
      yield* TestClock.setTime(500_000_000)
      yield* resolve({ keyId: "a" })
      assert.strictEqual(seen.length, 2)
    })
  )

  it.effect("a clock that was set back to a failure which is over does not bring it back", () =>
    Effect.gen(function* () {
      const { resolve, says, seen } = yield* published(["a"])
      says({ status: 503 })
      yield* tagOf(resolve({ keyId: "a" }))
      says({ body: yield* setOf("a") })
      yield* TestClock.setTime(5000)
      yield* resolve({ keyId: "a" })
      yield* TestClock.setTime(1000)
      yield* resolve({ keyId: "a" })
      assert.strictEqual(seen.length, 3)
    })
  )

  it.effect("a set that is unchanged is not sent again, and is kept anew", () =>
    Effect.gen(function* () {
      const { resolve, says, seen } = yield* published(["a"], { headers: { etag: `"1"` } })
      const first = yield* resolve({ keyId: "a" })
      assert.isUndefined(seen[0]!.headers["if-none-match"])
      for (const [etag, named] of [
        [undefined, `"1"`],
        [`"2"`, `"1"`],
        [undefined, `"2"`]
      ] as const) {
        says({ status: 304, headers: { "cache-control": "max-age=60", ...(etag === undefined ? {} : { etag }) } })
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual(yield* resolve({ keyId: "a" }), first)
        assert.strictEqual(seen.at(-1)!.headers["if-none-match"], named)
        yield* TestClock.adjust("59 seconds")
        yield* resolve({ keyId: "a" })
      }
      assert.strictEqual(seen.length, 4)
      says({ body: yield* setOf("b"), headers: { etag: `"3"` } })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* tagOf(resolve({ keyId: "a" })), "KeyUnknown")
      says({ status: 304 })
      yield* TestClock.adjust("10 minutes")
      yield* resolve({ keyId: "b" })
      assert.strictEqual(seen.at(-1)!.headers["if-none-match"], `"3"`)
    })
  )
})

describe("a set that is unchanged", () => {
  it.effect("is kept no longer than was said with it, where the 304 says nothing", () =>
    Effect.gen(function* () {
      const { resolve, says, seen } = yield* published(["a"], {
        headers: { etag: `"1"`, "cache-control": "max-age=60" }
      })
      yield* resolve({ keyId: "a" })
      says({ status: 304 })
      for (const requests of [2, 3]) {
        yield* TestClock.adjust("60 seconds")
        yield* resolve({ keyId: "a" })
        assert.strictEqual(seen.length, requests)
      }
      says({ body: yield* setOf("b") })
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual(yield* tagOf(resolve({ keyId: "a" })), "KeyUnknown")
    })
  )
})

describe("while the server is silent", () => {
  it.effect("the last set serves for ten minutes more, and the server is asked every five seconds", () =>
    Effect.gen(function* () {
      const { resolve, says, seen } = yield* published(["a"])
      yield* resolve({ keyId: "a" })
      says({ status: 503, body: secret })
      yield* TestClock.adjust("10 minutes")
      for (let i = 0; i < 10; i++) {
        yield* resolve({ keyId: "a" })
        yield* TestClock.adjust("1 second")
      }
      assert.strictEqual(seen.length, 3)
      // what it does not know may be there by now
      assert.strictEqual(yield* tagOf(resolve({ keyId: "b" })), "KeysUnavailable Busy")
      yield* TestClock.adjust("589999 millis")
      yield* resolve({ keyId: "a" })
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* tagOf(resolve({ keyId: "a" })), "KeysUnavailable Busy")
      says({ body: yield* setOf("a") })
      yield* TestClock.adjust("5 seconds")
      yield* resolve({ keyId: "a" })
    })
  )

  it.effect("a set that is still fresh serves its own keys, and others are unavailable", () =>
    Effect.gen(function* () {
      const { resolve, says, seen } = yield* published(["a"])
      yield* resolve({ keyId: "a" })
      says({ status: 500 })
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* tagOf(resolve({ keyId: "b" })), "KeysUnavailable Busy")
      assert.strictEqual(yield* tagOf(resolve({ keyId: "b" })), "KeysUnavailable Busy")
      yield* resolve({ keyId: "a" })
      assert.strictEqual(seen.length, 2)
    })
  )

  it.effect("no set serves where staleFor is 0", () =>
    Effect.gen(function* () {
      const { resolve, says } = yield* published(["a"], { staleFor: 0 })
      yield* resolve({ keyId: "a" })
      says({ status: 503 })
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* tagOf(resolve({ keyId: "a" })), "KeysUnavailable Busy")
    })
  )

  it.effect("it is left alone for as long as it asks, five minutes at most", () =>
    Effect.gen(function* () {
      for (const [asked, seconds] of [
        ["20", 20],
        ["3600", 300],
        ["1", 5]
      ] as const) {
        const { resolve, says, seen } = yield* published([])
        says({ status: 429, headers: { "retry-after": asked } })
        const error = yield* Effect.flip(resolve({ keyId: "a" }))
        assert.deepStrictEqual(
          error._tag === "KeysUnavailable" && [error.isRetryable, error.retryAfter, error.cause?.status],
          [true, Duration.seconds(Number(asked)), 429]
        )
        yield* TestClock.adjust(seconds * 1000 - 1)
        yield* tagOf(resolve({ keyId: "a" }))
        assert.strictEqual(seen.length, 1)
        yield* TestClock.adjust(1)
        yield* tagOf(resolve({ keyId: "a" }))
        assert.strictEqual(seen.length, 2)
      }
    })
  )

  it.effect("a body that does not come is over after five seconds, and the set serves", () =>
    Effect.gen(function* () {
      const { resolve, says, seen, sockets } = yield* published(["a"])
      yield* resolve({ keyId: "a" })
      says({ hangs: true })
      yield* TestClock.adjust("10 minutes")
      const fiber = yield* Effect.forkChild(resolve({ keyId: "a" }), { startImmediately: true })
      yield* until(() => seen.length === 2)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).keyId, "a")
      yield* until(() => sockets.size === 0)
    })
  )

  it.effect("another certificate is silence, too", () =>
    Effect.gen(function* () {
      const { options, url } = yield* publisher
      const { resolve } = yield* RemoteJwks.make({ ...options, ca: undefined, url, owner })
      assert.strictEqual(yield* tagOf(resolve({ keyId: "a" })), "KeysUnavailable Untrusted")
    })
  )
})

describe("what the server says counts at once", () => {
  it.effect.each([
    { what: "that nothing is there", answer: { status: 404, body: secret }, tag: "KeysUnavailable StatusRefused" },
    {
      what: "to look elsewhere",
      answer: { status: 302, headers: { location: secret } },
      tag: "KeysUnavailable Redirected"
    },
    {
      what: "a page",
      answer: { headers: { "content-type": "text/html" }, body: secret },
      tag: "KeysUnavailable WrongContentType"
    },
    { what: "something else", answer: { body: { secret } }, tag: "JwksInvalid Malformed" },
    { what: "no JSON", answer: { body: secret }, tag: "JwksInvalid Malformed" },
    { what: "too much", answer: { body: "x".repeat(65_537) }, tag: "KeysUnavailable TooLarge" }
  ])("$what", ({ answer, tag }) =>
    Effect.gen(function* () {
      const { resolve, says, seen } = yield* published(["a"], { headers: { etag: `"1"` } })
      yield* resolve({ keyId: "a" })
      says(answer)
      yield* TestClock.adjust("10 minutes")
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* tagOf(resolve({ keyId: "a" })), tag)
      assert.strictEqual(seen.length, 2)
      says({ body: yield* setOf("a") })
      yield* TestClock.adjust("5 seconds")
      yield* resolve({ keyId: "a" })
      assert.isUndefined(seen[2]!.headers["if-none-match"])
    })
  )

  it.effect("a set with a key that does not belong there, which the error names", () =>
    Effect.gen(function* () {
      const good = yield* jwkOf("good")
      const weak = { kty: "RSA", n: Buffer.alloc(128, 0xff).toString("base64url"), e: "AQAB", alg: "RS256" }
      const cases = [
        [[good, { ...good }], "DuplicateKeyId", 1],
        [[good, { ...good, kid: "p", d: Buffer.from(secret).toString("base64url") }], "PrivateKey", 1],
        [[{ kty: "oct", k: Buffer.from(secret).toString("base64url") }], "SymmetricKey", 0],
        [[{ ...good, use: "enc" }], "WrongUse", 0],
        [[{ ...good, key_ops: ["encrypt"] }], "WrongKeyOps", 0],
        [[weak], "WeakKey", 0],
        [[{ ...good, alg: "ES256" }], "AlgorithmMismatch", 0],
        [[{ kty: "RSA", n: testRsaKey.n, e: testRsaKey.e }], "AlgorithmUnstated", 0],
        [Array.from({ length: 101 }, (_, index) => ({ ...good, kid: `k${index}` })), "TooManyKeys", undefined]
      ] as const
      for (const [keys, reason, index] of cases) {
        const { resolve, says } = yield* published([])
        says({ body: { keys } })
        const error = yield* Effect.flip(resolve({ keyId: "good" }))
        assert.isUndefined(Canary.search([{ name: "key", secret }])(Canary.show(error)))
        assert.deepStrictEqual(error._tag === "JwksInvalid" && [error.reason, error.index], [reason, index])
      }
    })
  )

  it.effect("keys for something else may be left out, and RSA keys without alg be for the one that is stated", () =>
    Effect.gen(function* () {
      const { resolve, says } = yield* published([], { foreignKeys: "ignore", algorithms: ["RS256", "Ed25519"] })
      const good = yield* jwkOf("a")
      says({
        body: {
          keys: [good, { ...good, kid: "e", use: "enc" }, { kty: "RSA", n: testRsaKey.n, e: testRsaKey.e, kid: "r" }]
        }
      })
      assert.strictEqual((yield* resolve({ keyId: "a" })).publicKey.algorithm, "Ed25519")
      assert.strictEqual((yield* resolve({ keyId: "r" })).publicKey.algorithm, "RS256")
      assert.strictEqual(yield* tagOf(resolve({ keyId: "e" })), "KeyUnknown")
    })
  )
})

describe("callers that leave", () => {
  it.effect("leave the request to the others", () =>
    Effect.gen(function* () {
      const { resolve, says, seen, sockets } = yield* published(["a"])
      const set = yield* setOf("a")
      says({ hangs: true })
      const first = yield* Effect.forkChild(resolve({ keyId: "a" }), { startImmediately: true })
      const second = yield* Effect.forkChild(resolve({ keyId: "a" }), { startImmediately: true })
      yield* until(() => seen.length === 1)
      yield* Fiber.interrupt(first)
      assert.strictEqual(sockets.size, 1)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* tagOf(Fiber.join(second)), "KeysUnavailable TimedOut")
      assert.strictEqual(seen.length, 1)
      says({ body: set })
      yield* TestClock.adjust("5 seconds")
      yield* resolve({ keyId: "a" })
      assert.strictEqual(seen.length, 2)
    })
  )

  it.effect("all of them, cause no second request while the first is on its way", () =>
    Effect.gen(function* () {
      const { resolve, says, seen } = yield* published(["a"])
      says({ hangs: true })
      for (let i = 0; i < 20; i++) {
        const fiber = yield* Effect.forkChild(resolve({ keyId: "a" }), { startImmediately: true })
        yield* until(() => seen.length === 1)
        yield* Fiber.interrupt(fiber)
      }
      assert.strictEqual(seen.length, 1)
    })
  )

  it.effect("close the connection where they close the layer", () =>
    Effect.gen(function* () {
      const { options, says, seen, sockets, url } = yield* publisher
      says({ hangs: true })
      const scope = yield* Scope.make()
      const { resolve } = yield* Scope.provide(RemoteJwks.make({ ...options, url, owner }), scope)
      const fiber = yield* Effect.forkChild(resolve({ keyId: "a" }), { startImmediately: true })
      yield* until(() => seen.length === 1)
      yield* Scope.close(scope, Exit.void)
      yield* until(() => sockets.size === 0)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      // nobody waits for ever on a resolver that is closed
      assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(resolve({ keyId: "a" }))))
      assert.strictEqual(seen.length, 1)
    })
  )
})

describe("OpenID discovery", () => {
  const configuration = "/.well-known/openid-configuration"

  /** A provider at a path of a server, whose document says what `metadata` adds. */
  const provider = Effect.fnUntraced(function* (
    path: string,
    metadata: (origin: string) => { readonly [name: string]: unknown } = () => ({}),
    settings: RemoteJwks.Settings = {}
  ) {
    const server = yield* publisher
    const issuer = `${server.origin}${path}`
    const document = { issuer, jwks_uri: `${server.origin}/keys`, secret, ...metadata(server.origin) }
    const routes = {
      [`${path.replace(/\/$/, "")}${configuration}`]: { body: document },
      "/keys": { body: yield* setOf("a") }
    }
    server.routes(routes)
    const { resolve } = yield* RemoteJwks.make({ ...server.options, issuer, ...settings })
    return { ...server, issuer, resolve, document, allRoutes: routes }
  })

  it.effect.each(["", "/", "/tenant/7", "/tenant/7/"])("finds the keys of an issuer with the path %j", (path) =>
    Effect.gen(function* () {
      const { issuer, resolve, seen } = yield* provider(path)
      const found = yield* resolve({ keyId: "a", issuer })
      assert.deepStrictEqual([found.owner, found.keyId], [issuer, "a"])
      assert.deepStrictEqual(
        seen.map(({ url }) => url),
        [`${path.replace(/\/$/, "")}${configuration}`, "/keys"]
      )
    })
  )

  it.effect.each([
    { what: "of another issuer", metadata: () => ({ issuer: "https://evil.example" }) },
    { what: "of an issuer with a slash more", metadata: (origin: string) => ({ issuer: `${origin}/` }) },
    { what: "of nobody", metadata: () => ({ issuer: undefined }) },
    { what: "without keys", metadata: () => ({ jwks_uri: undefined }) },
    { what: "with keys that are no text", metadata: () => ({ jwks_uri: ["https://id.example/keys"] }) },
    { what: "with keys on http", metadata: () => ({ jwks_uri: "http://id.example/keys" }) },
    { what: "with keys on another port", metadata: () => ({ jwks_uri: "https://id.example:22/keys" }) },
    { what: "with a password", metadata: () => ({ jwks_uri: "https://a:b@id.example/keys" }) }
  ])("refuses a document $what", ({ metadata }) =>
    Effect.gen(function* () {
      const { resolve, seen } = yield* provider("", metadata)
      assert.strictEqual(yield* tagOf(resolve({ keyId: "a" })), "KeysUnavailable InvalidDiscovery")
      assert.strictEqual(seen.length, 1)
    })
  )

  it.effect.each(["127.0.0.2", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "0x7f.2", "10.0.0.1"])(
    "does not follow a document to %s",
    (host) =>
      Effect.gen(function* () {
        const { resolve } = yield* provider("", (origin) => ({
          jwks_uri: `https://${host}:${new URL(origin).port}/keys`
        }))
        assert.strictEqual(yield* tagOf(resolve({ keyId: "a" })), "KeysUnavailable AddressRefused")
      })
  )

  it.effect("refuses a document that can be read in two ways, or not at all", () =>
    Effect.gen(function* () {
      for (const body of [`{"issuer":"a","issuer":"b"}`, "[]", "null", secret, ""]) {
        const { resolve, routes } = yield* provider("")
        routes({ [configuration]: { body } })
        assert.strictEqual(yield* tagOf(resolve({ keyId: "a" })), "KeysUnavailable InvalidDiscovery")
      }
    })
  )

  it.effect("is repeated where the set is gone from where it was", () =>
    Effect.gen(function* () {
      const { document, origin, resolve, routes, seen } = yield* provider("")
      yield* resolve({ keyId: "a" })
      const moved = { ...document, jwks_uri: `${origin}/new` }
      routes({ [configuration]: { body: moved }, "/new": { body: yield* setOf("b") } })
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* tagOf(resolve({ keyId: "b" })), "KeysUnavailable StatusRefused")
      yield* TestClock.adjust("5 seconds")
      yield* resolve({ keyId: "b" })
      assert.deepStrictEqual(
        seen.map(({ url }) => url),
        [configuration, "/keys", "/keys", configuration, "/new"]
      )
    })
  )

  it.effect("is repeated when the set is read anew, and follows keys that moved", () =>
    Effect.gen(function* () {
      const { allRoutes, document, origin, resolve, routes, seen } = yield* provider("", () => ({}), { staleFor: 0 })
      yield* resolve({ keyId: "a" })
      yield* TestClock.adjust("30 seconds")
      yield* tagOf(resolve({ keyId: "b" })) // within ten minutes the document is not asked for again
      assert.strictEqual(seen.length, 3)
      routes({
        ...allRoutes,
        [configuration]: { body: { ...document, jwks_uri: `${origin}/new` } },
        "/new": { body: yield* setOf("b") }
      })
      yield* TestClock.adjust("10 minutes")
      yield* resolve({ keyId: "b" })
      assert.deepStrictEqual(
        seen.slice(3).map(({ url }) => url),
        [configuration, "/new"]
      )
    })
  )
})

describe("options", () => {
  it.effect.each([
    [{ url: "http://id.example/keys", owner }, "url", "must be an https URL"],
    [{ url: "id.example", owner }, "url", "is not a URL"],
    [{ url: "https://id.example:8443/keys", owner }, "url", "names port 8443, which ports does not allow"],
    [{ url: "https://a:b@id.example/keys", owner }, "url", "must not hold a user name or a password"],
    [{ url: "https://id.example/keys", owner: "" }, "owner", "state whose keys they are"],
    [{ url: "https://id.example/keys" } as RemoteJwks.Options, "owner", "state whose keys they are"],
    [{} as RemoteJwks.Options, "url", "state the url of a set or the issuer, one of them"],
    [
      { url: "https://id.example/keys", issuer: owner } as RemoteJwks.Options,
      "url",
      "state the url of a set or the issuer, one of them"
    ],
    [{ issuer: "http://id.example" }, "issuer", "must be an https URL"],
    [{ issuer: "https://id.example?a" }, "issuer", "must not have a query"],
    [{ issuer: "https://id.example#a" }, "issuer", "must not have a fragment"],
    [{ issuer: owner, maxAge: "61 minutes" as const }, "maxAge", "must be from 1s to 1h"],
    [{ issuer: owner, maxAge: 0 }, "maxAge", "must be from 1s to 1h"],
    [{ issuer: owner, maxAge: "soon" as never }, "maxAge", "must be from 1s to 1h"],
    [{ issuer: owner, maxAge: Number.NaN }, "maxAge", "must be from 1s to 1h"],
    [{ issuer: owner, staleFor: "2 hours" as const }, "staleFor", "must be from 0 to 1h"],
    [{ issuer: owner, cooldown: 999 }, "cooldown", "must be from 1s to 1h"],
    [{ issuer: owner, failureFor: 0 }, "failureFor", "must be from 1s to 1h"],
    [{ issuer: owner, timeout: "31 seconds" as const }, "timeout", "must be from 1ms to 30s"],
    [{ issuer: owner, timeout: "Infinity" as const }, "timeout", "must be from 1ms to 30s"],
    [
      { issuer: owner, allow: ["localhost"] },
      "allow[0]",
      "expected an IP address, or a network such as 10.1.0.0/16 (no host name)"
    ]
  ] as const)("%j is refused", ([options, field, problem]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(RemoteJwks.make(options))
      assert.deepStrictEqual(
        [error._tag, error.operation, error.field, error.problem],
        ["InvalidConfiguration", "make", field, problem]
      )
    })
  )
})

describe("KeysUnavailable", () => {
  it("may be retried where the server was out of reach", () => {
    const retryable = KeysUnavailableReason.literals.filter(
      (reason) => new KeysUnavailable({ reason, problem: "" }).isRetryable
    )
    assert.deepStrictEqual(retryable, ["Unreachable", "TimedOut", "Busy"])
    assert.isTrue(new KeysUnavailable({ problem: "" }).isRetryable)
  })

  it.effect("says what is wrong and what to do, and nothing of what was sent", () =>
    Effect.gen(function* () {
      const refused = yield* RemoteJwks.make({ url: "https://169.254.169.254/keys", owner })
      assert.strictEqual(
        (yield* Effect.flip(refused.resolve({ keyId: "a" }))).message,
        "KeysUnavailable: AddressRefused: 169.254.169.254: link-local, where clouds serve credentials (RFC 3927); " +
          "only public addresses are reached, and those that allow lists"
      )
      const { resolve, says } = yield* published([])
      says({ status: 500, body: secret, headers: { "x-secret": secret, "retry-after": "9" } })
      const error = yield* Effect.flip(resolve({ keyId: "a" }))
      assert.strictEqual(
        error.message,
        "KeysUnavailable: Busy: the server cannot answer now (status 500); retry after 9s"
      )
      assert.isUndefined(Canary.search([{ name: "body", secret }])(Canary.show(error)))
    })
  )
})

describe("spans", () => {
  it.effect("one for each time that the server is asked, without what it said", () =>
    Effect.gen(function* () {
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const { resolve, says } = yield* published(["a"])
      yield* Effect.gen(function* () {
        yield* resolve({ keyId: "a" })
        yield* resolve({ keyId: "a" })
        says({ status: 404, body: secret })
        yield* TestClock.adjust("10 minutes")
        yield* tagOf(resolve({ keyId: "a" }))
        yield* tagOf(resolve({ keyId: "a" }))
      }).pipe(Effect.withTracer(tracer))
      assert.deepStrictEqual(
        spans.map(({ attributes, kind, name }) => [name, kind, Object.fromEntries(attributes)]),
        Array.from({ length: 2 }, () => ["RemoteJwks.fetch", "client", { "server.address": "127.0.0.1" }])
      )
      assert.isUndefined(Canary.search([{ name: "body", secret }])(Canary.show(spans.map(({ status }) => status))))
    })
  )
})

describe("layer", () => {
  it.effect("verifies the tokens of an OpenID provider", () =>
    Effect.gen(function* () {
      const server = yield* publisher
      const issuer = server.origin
      const privateKey = yield* PrivateKey.generate("ES256")
      const kid = PublicKey.thumbprint(privateKey.publicKey)
      server.routes({
        "/.well-known/openid-configuration": { body: { issuer, jwks_uri: `${issuer}/keys` } },
        "/keys": { body: { keys: [PublicKey.toJwk(privateKey.publicKey, { kid })] } }
      })
      const sign = (key: PrivateKey.PrivateKey) =>
        Effect.provide(
          Jwt.sign({}, { issuer, audience: "api", subject: "7", expiresIn: "5 minutes" }),
          LocalSigner.layer({ privateKey: key })
        )
      const verify = (token: string, from = issuer) => Jwt.verify(token, { issuer: from, audience: "api" })
      const KeysLive = RemoteJwks.layer({ ...server.options, issuer })
      yield* Effect.gen(function* () {
        const { key, subject } = yield* verify(yield* sign(privateKey))
        assert.deepStrictEqual([key.owner, subject], [issuer, "7"])
        const forged = yield* Effect.flip(verify(yield* sign(yield* PrivateKey.generate("ES256"))))
        assert.strictEqual(forged._tag, "KeyUnknown")
      }).pipe(Effect.provide(KeysLive))
      assert.strictEqual(server.seen.length, 2)
    })
  )

  it.effect("of several providers are one resolver", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* publisher, yield* publisher]
      a.says({ body: yield* setOf("1") })
      b.says({ body: yield* setOf("1") })
      const resolver = KeyResolver.firstOf([
        yield* RemoteJwks.make({ ...a.options, url: a.url, owner: "a" }),
        yield* RemoteJwks.make({ ...b.options, url: b.url, owner: "b" })
      ])
      assert.strictEqual((yield* resolver.resolve({ keyId: "1", issuer: "b" })).owner, "b")
      assert.deepStrictEqual([a.seen.length, b.seen.length], [0, 1])
    })
  )

  it.effect("fails where its options are wrong", () =>
    Effect.gen(function* () {
      const built = Layer.build(RemoteJwks.layer({ issuer: "http://id.example" }))
      assert.strictEqual((yield* Effect.flip(built)).field, "issuer")
      const context = yield* Layer.build(RemoteJwks.layer({ issuer: owner }))
      assert.isFunction(Context.get(context, KeyResolver.KeyResolver).resolve)
    })
  )
})
