import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { execFile } from "node:child_process"
import type { RequestListener, ServerResponse } from "node:http"
import { promisify } from "node:util"
import { gzipSync } from "node:zlib"
import * as GuardedFetch from "../../src/layers/jwks/GuardedFetch.ts"
import * as Canary from "../../src/testing/Canary.ts"
import { ca, issue, serve, serveRaw, stranger, until } from "./httpsServer.ts"

const json = "application/json"
const secret = "canary-3f1c9e0d7b"
const document = JSON.stringify({ keys: [], secret })

const answering =
  (status: number, headers: Readonly<Record<string, string>>, body: string | Uint8Array = document): RequestListener =>
  (_, response) => {
    response.writeHead(status, headers)
    response.end(body)
  }

/** A fetch that may reach the loopback interface, and a URL of the server there. */
const local = (port: number, options: GuardedFetch.Options = {}) =>
  GuardedFetch.make({ allow: ["127.0.0.1"], ports: [port], ca, lookup: async () => ["127.0.0.1"], ...options })

const get = Effect.fnUntraced(function* (
  url: string,
  fetch: GuardedFetch.GuardedFetch,
  more: Partial<GuardedFetch.Request> = {}
) {
  const parsed = fetch.parseUrl(url)
  if (typeof parsed === "string") return yield* Effect.die(parsed)
  return yield* fetch.get({ url: parsed, accept: [json], ...more })
})

/** The failure, which shows nothing of what the server sent. */
const failureOf = Effect.fnUntraced(function* (get: Effect.Effect<GuardedFetch.Answer, GuardedFetch.Failure>) {
  const failure = yield* Effect.flip(get)
  assert.isUndefined(Canary.search([{ name: "body", secret }])(Canary.show(failure)))
  return failure
})

const failureFrom = Effect.fnUntraced(function* (handle: RequestListener, more: Partial<GuardedFetch.Request> = {}) {
  const { port, url } = yield* serve(handle)
  return yield* failureOf(get(`${url}/jwks.json`, yield* local(port), more))
})

describe("get", () => {
  it.effect("asks once, for what it names and nothing else", () =>
    Effect.gen(function* () {
      const { port, seen, url } = yield* serve(
        answering(200, {
          "content-type": "Application/JSON; charset=UTF-8",
          etag: `"v1"`,
          "set-cookie": "a=1",
          age: "3"
        })
      )
      const fetch = yield* local(port)
      const answer = yield* get(`${url}/a/b?c=d`, fetch)
      assert.strictEqual(new TextDecoder().decode(answer.body), document)
      assert.deepStrictEqual([answer.etag, answer.age, answer.cacheControl], [`"v1"`, "3", undefined])
      yield* get(`${url}/a/b?c=d`, fetch)
      assert.deepStrictEqual(seen[0], {
        method: "GET",
        url: "/a/b?c=d",
        headers: {
          accept: json,
          "accept-encoding": "identity",
          "user-agent": "effect-signer",
          host: `localhost:${port}`,
          connection: "close"
        }
      })
      assert.deepStrictEqual(seen[1], seen[0])
      assert.strictEqual(seen.length, 2)
    })
  )

  it.effect("takes 304 for an answer only where it named what it has", () =>
    Effect.gen(function* () {
      const { port, seen, url } = yield* serve(answering(304, { etag: `W/"v1"`, "cache-control": "max-age=9" }, ""))
      const fetch = yield* local(port)
      const answer = yield* get(url, fetch, { etag: `W/"v1"` })
      assert.deepStrictEqual(answer, { body: undefined, etag: `W/"v1"`, cacheControl: "max-age=9", age: undefined })
      assert.strictEqual(seen[0]!.headers["if-none-match"], `W/"v1"`)
      assert.strictEqual((yield* failureOf(get(url, fetch))).reason, "Redirected")
    })
  )

  it.effect("forgets a tag that is none", () =>
    Effect.gen(function* () {
      for (const etag of ["v1", `"${"a".repeat(300)}"`, `"a"b"`]) {
        const { port, url } = yield* serve(answering(200, { "content-type": json, etag }))
        assert.isUndefined((yield* get(url, yield* local(port))).etag)
      }
    })
  )

  it.effect("takes a body of exactly 64 KiB, and not a byte more", () =>
    Effect.gen(function* () {
      for (const isChunked of [false, true]) {
        for (const [length, isTaken] of [
          [65_536, true],
          [65_537, false]
        ] as const) {
          const { port, url } = yield* serve((_, response) => {
            response.writeHead(200, { "content-type": json, ...(isChunked ? {} : { "content-length": length }) })
            response.write("1".repeat(1000))
            response.end("1".repeat(length - 1000))
          })
          const exchange = get(url, yield* local(port))
          if (isTaken) assert.strictEqual((yield* exchange).body?.length, length)
          else assert.strictEqual((yield* failureOf(exchange)).reason, "TooLarge")
        }
      }
    })
  )
})

describe("answers that are refused", () => {
  it.effect.each([300, 301, 302, 303, 305, 307, 308, 399])("redirect %i", (status) =>
    Effect.gen(function* () {
      const target = yield* serve(answering(200, { "content-type": json }))
      const failure = yield* failureFrom(
        answering(status, { location: `${target.url}/${secret}`, "content-type": json })
      )
      assert.deepStrictEqual([failure.reason, failure.status], ["Redirected", status])
      assert.strictEqual(target.seen.length, 0)
    })
  )

  it.effect.each([
    { status: 201, reason: "StatusRefused" },
    { status: 204, reason: "StatusRefused" },
    { status: 206, reason: "StatusRefused" },
    { status: 400, reason: "StatusRefused" },
    { status: 401, reason: "StatusRefused" },
    { status: 404, reason: "StatusRefused" },
    { status: 410, reason: "StatusRefused" },
    { status: 429, reason: "Busy" },
    { status: 500, reason: "Busy" },
    { status: 503, reason: "Busy" }
  ])("status $status is $reason", ({ reason, status }) =>
    Effect.gen(function* () {
      const failure = yield* failureFrom(answering(status, { "content-type": json, "retry-after": "7" }, secret))
      assert.deepStrictEqual([failure.reason, failure.status], [reason, status])
      assert.deepStrictEqual(failure.retryAfter, reason === "Busy" ? Duration.seconds(7) : undefined)
    })
  )

  it.effect.each([
    "text/html",
    "text/plain",
    "application/jsonp",
    "application/octet-stream",
    "application/json; charset=utf-16",
    "text/html, application/json",
    ""
  ])("content type %j", (type) =>
    Effect.gen(function* () {
      const failure = yield* failureFrom(answering(200, type === "" ? {} : { "content-type": type }))
      assert.strictEqual(failure.reason, "WrongContentType")
    })
  )

  it.effect.each(["gzip", "deflate", "br", "zstd", "x-gzip", "identity, gzip"])("content encoding %s", (encoding) =>
    Effect.gen(function* () {
      const failure = yield* failureFrom(answering(200, { "content-type": json, "content-encoding": encoding }))
      assert.strictEqual(failure.reason, "Compressed")
    })
  )

  it.effect("a compressed bomb, before a byte of it is unpacked", () =>
    Effect.gen(function* () {
      const bomb = gzipSync(Buffer.alloc(50_000_000, 0x20))
      const failure = yield* failureFrom(
        answering(200, { "content-type": json, "content-encoding": "gzip" }, new Uint8Array(bomb))
      )
      assert.strictEqual(failure.reason, "Compressed")
    })
  )

  it.effect("a body without end", () =>
    Effect.gen(function* () {
      let sent = 0
      const { port, sockets, url } = yield* serve((_, response) => {
        response.writeHead(200, { "content-type": json })
        const more = () => {
          while (!response.destroyed) {
            sent += 16_384
            if (!response.write("[".repeat(16_384))) return void response.once("drain", more)
          }
        }
        more()
      })
      const failure = yield* failureOf(get(url, yield* local(port)))
      assert.strictEqual(failure.reason, "TooLarge")
      yield* until(() => sockets.size === 0)
      assert.isBelow(sent, 50_000_000)
    })
  )

  it.effect("headers of more than 16 KiB, whatever the runtime would take", () =>
    Effect.gen(function* () {
      for (const [length, isTaken] of [
        [15_000, true],
        [17_000, false]
      ] as const) {
        const { port, url } = yield* serve(answering(200, { "content-type": json, "x-a": "a".repeat(length) }))
        const exchange = get(url, yield* local(port))
        if (isTaken) assert.isDefined((yield* exchange).body)
        else assert.strictEqual((yield* failureOf(exchange)).reason, "TooLarge")
      }
    })
  )

  it.effect("headers without end", () =>
    Effect.gen(function* () {
      const failure = yield* failureFrom((_, response: ServerResponse) => {
        const socket = response.socket!
        socket.write(`HTTP/1.1 200 OK\r\nContent-Type: ${json}\r\n`)
        const more = () => {
          while (!socket.destroyed) if (!socket.write(`X-A: ${"a".repeat(1000)}\r\n`)) return
        }
        socket.on("drain", more)
        more()
      })
      assert.strictEqual(failure.reason, "TooLarge")
    })
  )

  it.effect.each([
    ["a length that is not reached", `HTTP/1.1 200 OK\r\ncontent-type: ${json}\r\ncontent-length: 100\r\n\r\n{}`],
    [
      "a chunk that does not end",
      `HTTP/1.1 200 OK\r\ncontent-type: ${json}\r\ntransfer-encoding: chunked\r\n\r\n50\r\n{}`
    ],
    ["no answer", ""],
    ["half a header", "HTTP/1.1 200 OK\r\ncontent-"],
    ["a switch of protocols", "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"]
  ] as const)("%s is not an answer", ([, text]) =>
    Effect.gen(function* () {
      const failure = yield* failureFrom((_, response: ServerResponse) => response.socket!.end(text))
      assert.strictEqual(failure.reason, "Unreachable")
    })
  )

  it.effect.each([
    ["two lengths", `HTTP/1.1 200 OK\r\ncontent-type: ${json}\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} `],
    ["a length and chunks", `HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["another protocol", "SSH-2.0-OpenSSH_9.9\r\n"],
    ["a broken header", "HTTP/1.1 200 OK\r\ncontent type: x\r\n\r\n"]
  ] as const)("%s is no HTTP", ([, text]) =>
    Effect.gen(function* () {
      const failure = yield* failureFrom((_, response: ServerResponse) => response.socket!.end(text))
      assert.strictEqual(failure.reason, "InvalidResponse")
    })
  )

  it.effect("a length beyond the limit, before the body comes", () =>
    Effect.gen(function* () {
      const failure = yield* failureFrom((_, response) => {
        response.writeHead(200, { "content-type": json, "content-length": "9999999999" })
        response.flushHeaders()
      })
      assert.strictEqual(failure.reason, "TooLarge")
    })
  )
})

describe("time", () => {
  /** Waits for `isThere`, lets five seconds pass, and sees the connection closed. */
  const expectTimeout = Effect.fnUntraced(function* (
    url: string,
    fetch: GuardedFetch.GuardedFetch,
    isThere: () => boolean,
    sockets: ReadonlySet<unknown> = new Set()
  ) {
    const fiber = yield* Effect.forkChild(failureOf(get(url, fetch)), { startImmediately: true })
    yield* until(isThere)
    yield* TestClock.adjust("4999 millis")
    assert.isUndefined(fiber.pollUnsafe())
    yield* TestClock.adjust("1 millis")
    assert.strictEqual((yield* Fiber.join(fiber)).reason, "TimedOut")
    yield* until(() => sockets.size === 0)
  })

  it.effect("covers the lookup of the name", () =>
    Effect.gen(function* () {
      let isAsked = false
      const lookup = () => {
        isAsked = true
        return new Promise<ReadonlyArray<string>>(() => {})
      }
      yield* expectTimeout("https://keys.test", yield* GuardedFetch.make({ lookup }), () => isAsked)
    })
  )

  it.effect("covers the handshake", () =>
    Effect.gen(function* () {
      const { port, sockets, url } = yield* serveRaw((socket) => void socket.resume())
      yield* expectTimeout(url, yield* local(port), () => sockets.size === 1, sockets)
    })
  )

  it.effect("covers the headers", () =>
    Effect.gen(function* () {
      const { port, seen, sockets, url } = yield* serve(() => {})
      yield* expectTimeout(url, yield* local(port), () => seen.length === 1, sockets)
    })
  )

  it.effect("covers a body that comes byte by byte", () =>
    Effect.gen(function* () {
      let sent = 0
      const { port, sockets, url } = yield* serve((_, response) => {
        response.writeHead(200, { "content-type": json })
        const timer = setInterval(() => {
          response.write(" ")
          sent++
        }, 2)
        response.on("close", () => clearInterval(timer))
      })
      yield* expectTimeout(url, yield* local(port), () => sent > 3, sockets)
    })
  )

  it.effect("is the caller's, who closes the connection by leaving", () =>
    Effect.gen(function* () {
      const { port, seen, sockets, url } = yield* serve((_, response) => {
        response.writeHead(200, { "content-type": json })
        response.write("[")
      })
      const fiber = yield* Effect.forkChild(get(url, yield* local(port)), { startImmediately: true })
      yield* until(() => seen.length === 1)
      yield* Fiber.interrupt(fiber)
      yield* until(() => sockets.size === 0)
    })
  )
})

describe("addresses", () => {
  /** Every refused kind of address, in the notations that a URL can have. */
  const literals = `
    127.0.0.1 127.1 127.0.1 0x7f.1 0x7f000001 2130706433 0177.0.0.1 017700000001 127.0.0.1. １２７.0.0.1 127。0。0。1
    ①②⑦.0.0.1 %31%32%37.0.0.1 127.255.255.254 0.0.0.0 0 0x0 10.0.0.1 0xa.1 167772161 172.16.0.1 172.31.255.255
    192.168.1.1 169.254.169.254 0xa9fea9fe 2852039166 169.254.43518 0251.0376.0251.0376 100.64.0.1
    100.127.255.255 100.100.100.200 192.0.0.192 192.0.2.1 198.51.100.1 203.0.113.1 198.18.0.1 198.19.255.255
    192.88.99.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16 [::1] [::] [0:0:0:0:0:0:0:1]
    [0000::0001] [::127.0.0.1] [::7f00:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:10.0.0.1] [::ffff:8.8.8.8]
    [::ffff:0:127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b::8.8.8.8] [64:ff9b:1::1]
    [64:ff9b:1:ffff::7f00:1] [2002:7f00:1::] [2002:a9fe:a9fe::1] [2001::1] [2001:0:7f00:1::] [2001:db8::1]
    [2001:20::1] [fe80::1] [febf::1] [fec0::1] [fc00::1] [fd00:ec2::254] [ff02::1] [ff0e::1] [100::1] [3fff::1]
    [5f00::1] [4000::1] [1::1] [2620:4f:8000::1]`
    .trim()
    .split(/\s+/)

  it.effect("of every refused kind, in every notation of a URL, are refused unasked", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const fetch = yield* GuardedFetch.make({
        lookup: async (hostname) => {
          asked.push(hostname)
          return ["127.0.0.1"]
        }
      })
      for (const host of literals) {
        const failure = yield* failureOf(get(`https://${host}/`, fetch))
        assert.strictEqual(failure.reason, "AddressRefused", host)
      }
      assert.deepStrictEqual(asked, [])
    })
  )

  it.effect("that a name has are refused, also one among others that are public", () =>
    Effect.gen(function* () {
      for (const host of literals) {
        const { hostname } = new URL(`https://${host}/`)
        const address = hostname.replace(/^\[|\]$/g, "")
        for (const addresses of [[address], ["1.1.1.1", address], ["2606:4700::1111", "1.1.1.1", address, "8.8.8.8"]]) {
          const fetch = yield* GuardedFetch.make({ lookup: async () => addresses })
          const failure = yield* failureOf(get("https://keys.test/", fetch))
          assert.strictEqual(failure.reason, "AddressRefused", address)
          assert.include(failure.problem, `keys.test is ${address}: `)
        }
      }
    })
  )

  it.effect.each(["fe80::1%eth0", "::1%lo", "127.1", "0x7f.1", "localhost", "", "127.0.0.1 ", "[::1]", "1.2.3.4.5"])(
    "that a resolver writes as %j are none",
    (address) =>
      Effect.gen(function* () {
        const fetch = yield* GuardedFetch.make({ lookup: async () => ["1.1.1.1", address] })
        const failure = yield* failureOf(get("https://keys.test/", fetch))
        assert.strictEqual(failure.reason, "AddressRefused")
      })
  )

  it.effect.each(["https://[fe80::1%25eth0]/", "https://[fe80::1%eth0]/", "https://256.0.0.1/", "https://1.2.3.4.5/"])(
    "of %s are not even a URL",
    (url) =>
      Effect.gen(function* () {
        assert.strictEqual((yield* GuardedFetch.make()).parseUrl(url), "is not a URL")
      })
  )

  it.effect("of the system: localhost is refused", () =>
    Effect.gen(function* () {
      const fetch = yield* GuardedFetch.make()
      for (const host of ["localhost", "LOCALHOST"]) {
        const failure = yield* failureOf(get(`https://${host}/`, fetch))
        assert.strictEqual(failure.reason, "AddressRefused", host)
      }
    })
  )

  it.effect("are looked up once: a name that leads elsewhere the next time stays where it was checked", () =>
    Effect.gen(function* () {
      const inside = yield* serve(answering(200, { "content-type": json }, `"inside"`), { address: "127.0.0.2" })
      const answers = [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2"]]
      let lookups = 0
      const outside = yield* serve(answering(200, { "content-type": json }, `"outside"`))
      // 127.0.0.1 plays the public address, and 127.0.0.2 what is inside
      const fetch = yield* local(outside.port, { lookup: async () => answers[lookups++]! })
      const answer = yield* get(`https://keys.test:${outside.port}/`, fetch)
      assert.strictEqual(new TextDecoder().decode(answer.body), `"outside"`)
      assert.strictEqual(lookups, 1)
      assert.strictEqual(inside.seen.length, 0)
      // the next request asks anew, and is refused
      const failure = yield* failureOf(get(`https://keys.test:${outside.port}/`, fetch))
      assert.deepStrictEqual([failure.reason, lookups, outside.seen.length], ["AddressRefused", 2, 1])
    })
  )

  it.effect("that answer with another one than was checked are never connected to", () =>
    Effect.gen(function* () {
      // What the system would say of this name is loopback: a second lookup would end there.
      const { port, sockets } = yield* serve(answering(200, { "content-type": json }), { address: "127.0.0.2" })
      const fetch = yield* local(port, { lookup: async () => ["127.0.0.1"] })
      const failure = yield* failureOf(get(`https://localhost:${port}/`, fetch))
      assert.deepStrictEqual([failure.reason, failure.code], ["Unreachable", "ECONNREFUSED"])
      assert.strictEqual(sockets.size, 0)
    })
  )

  it.effect("are tried in turn where a name has several", () =>
    Effect.gen(function* () {
      const { port } = yield* serve(answering(200, { "content-type": json }))
      const fetch = yield* local(port, {
        allow: ["127.0.0.0/8"],
        lookup: async () => ["127.0.0.3", "127.0.0.1"]
      })
      assert.isDefined((yield* get(`https://keys.test:${port}/`, fetch)).body)
    })
  )

  it.effect("of a name that has none, or that nobody knows", () =>
    Effect.gen(function* () {
      const unknown = Object.assign(new Error(secret), { code: "ENOTFOUND" })
      for (const [lookup, code] of [
        [async () => [], undefined],
        [() => Promise.reject(unknown), "ENOTFOUND"]
      ] as const) {
        const failure = yield* failureOf(get("https://keys.test/", yield* GuardedFetch.make({ lookup })))
        assert.deepStrictEqual([failure.reason, failure.code], ["Unreachable", code])
      }
    })
  )

  it.effect("of an intranet may be allowed, and only those", () =>
    Effect.gen(function* () {
      const { port } = yield* serve(answering(200, { "content-type": json }), { address: "127.0.0.2" })
      const fetch = yield* local(port, { allow: ["127.0.0.2/31", "fd00::/8"] })
      assert.isDefined((yield* get(`https://127.0.0.2:${port}/`, fetch)).body)
      for (const host of ["127.0.0.1", "[::ffff:127.0.0.2]", "10.0.0.1"]) {
        assert.strictEqual((yield* failureOf(get(`https://${host}:${port}/`, fetch))).reason, "AddressRefused")
      }
    })
  )
})

describe("TLS", () => {
  it.effect.each([
    {
      what: "an authority that nobody trusts",
      identity: stranger.issue(["localhost"]),
      code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
    },
    { what: "another name", identity: issue(["other.test"]), code: "ERR_TLS_CERT_ALTNAME_INVALID" },
    { what: "the address and not the name", identity: issue(["127.0.0.1"]), code: "ERR_TLS_CERT_ALTNAME_INVALID" },
    { what: "a time that is over", identity: issue(["localhost"], "2021-01-01"), code: "CERT_HAS_EXPIRED" }
  ])("refuses a certificate of $what, whatever the environment says", ({ code, identity }) =>
    Effect.gen(function* () {
      const { port, seen, url } = yield* serve(answering(200, { "content-type": json }), { identity })
      const fetch = yield* local(port)
      yield* Effect.acquireUseRelease(
        Effect.sync(() => {
          process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0"
        }),
        () =>
          Effect.gen(function* () {
            const failure = yield* failureOf(get(url, fetch))
            assert.deepStrictEqual([failure.reason, failure.code], ["Untrusted", code])
          }),
        () =>
          Effect.sync(() => {
            delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"]
          })
      )
      assert.strictEqual(seen.length, 0)
    })
  )

  it.effect("trusts the runtime's authorities where none is stated", () =>
    Effect.gen(function* () {
      const { port, url } = yield* serve(answering(200, { "content-type": json }))
      const failure = yield* failureOf(get(url, yield* local(port, { ca: undefined })))
      assert.strictEqual(failure.reason, "Untrusted")
    })
  )

  it.effect("is not plain HTTP", () =>
    Effect.gen(function* () {
      const { port, url } = yield* serveRaw((socket) => {
        socket.on("data", () => {})
        socket.end(`HTTP/1.1 200 OK\r\ncontent-type: ${json}\r\n\r\n{}`)
      })
      assert.strictEqual((yield* failureOf(get(url, yield* local(port)))).reason, "Untrusted")
    })
  )
})

describe("the environment", () => {
  it.live("has no say in the way: its proxies are not asked", () =>
    Effect.gen(function* () {
      const proxy = yield* serveRaw((socket) => socket.destroy())
      const { port, url } = yield* serve(answering(200, { "content-type": json }))
      const program = `
        import { Effect } from "effect"
        import * as GuardedFetch from "./src/layers/jwks/GuardedFetch.ts"
        const fetch = await Effect.runPromise(GuardedFetch.make({
          allow: ["127.0.0.1"], ports: [${port}], ca: ${JSON.stringify(ca)}, lookup: async () => ["127.0.0.1"]
        }))
        const answer = await Effect.runPromise(fetch.get({ url: new URL("${url}"), accept: ["${json}"] }))
        console.log(answer.body.length)`
      const through = `http://127.0.0.1:${proxy.port}`
      const { stdout } = yield* Effect.promise(() =>
        promisify(execFile)(
          process.execPath,
          ["--conditions=effect-signer-source", "--input-type=module", "--eval", program],
          {
            cwd: new URL("../../", import.meta.url),
            timeout: 30_000,
            env: { NODE_USE_ENV_PROXY: "1", HTTPS_PROXY: through, HTTP_PROXY: through, ALL_PROXY: through }
          }
        )
      )
      assert.strictEqual(stdout.trim(), String(document.length))
      assert.strictEqual(proxy.sockets.size, 0)
    })
  )
})

describe("make", () => {
  it.effect("says what to do where there is no node:https", () =>
    Effect.gen(function* () {
      const before = process.getBuiltinModule
      const error = yield* Effect.acquireUseRelease(
        Effect.sync(() => Object.assign(process, { getBuiltinModule: () => undefined })),
        () => Effect.flip(GuardedFetch.make()),
        () => Effect.sync(() => Object.assign(process, { getBuiltinModule: before }))
      )
      assert.deepStrictEqual([error._tag, error.field], ["InvalidConfiguration", "runtime"])
    })
  )
})

describe("parseUrl", () => {
  it.effect.each([
    ["http://keys.test/", "must be an https URL"],
    ["file:///etc/passwd", "must be an https URL"],
    ["data:application/json,{}", "must be an https URL"],
    ["keys.test", "is not a URL"],
    ["//keys.test/", "is not a URL"],
    ["", "is not a URL"],
    ["https://user@keys.test/", "must not hold a user name or a password"],
    ["https://:pass@keys.test/", "must not hold a user name or a password"],
    ["https://keys.test/#a", "must not have a fragment"],
    ["https://keys.test/#", "must not have a fragment"],
    ["https://keys.test:8443/", "names port 8443, which ports does not allow"],
    ["https://keys.test:22/", "names port 22, which ports does not allow"]
  ] as const)("refuses %s", ([url, problem]) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* GuardedFetch.make()).parseUrl(url), problem)
    })
  )

  it.effect("takes port 443 alone unless others are stated", () =>
    Effect.gen(function* () {
      const standard = yield* GuardedFetch.make()
      assert.instanceOf(standard.parseUrl("https://keys.test/a?b"), URL)
      assert.instanceOf(standard.parseUrl("https://keys.test:443/"), URL)
      const other = yield* GuardedFetch.make({ ports: [8443] })
      assert.instanceOf(other.parseUrl("https://keys.test:8443/"), URL)
      assert.isString(other.parseUrl("https://keys.test/"))
    })
  )
})

describe("options", () => {
  it.effect.each([
    [{ allow: ["127.0.0.1", "localhost"] }, "allow[1]"],
    [{ allow: ["10.0.0.1/8"] }, "allow[0]"],
    [{ allow: ["10.0.0.0/33"] }, "allow[0]"],
    [{ allow: ["0.0.0.0/0"] }, "allow[0]"],
    [{ allow: ["::/0"] }, "allow[0]"],
    [{ ports: [0] }, "ports[0]"],
    [{ ports: [443, 70_000] }, "ports[1]"],
    [{ ports: [1.5] }, "ports[0]"],
    [{ ca: "id.example.crt" }, "ca"],
    [{ ca: [] }, "ca"],
    [{ ca: [ca, ""] }, "ca"],
    [{ ca: [7 as never] }, "ca"]
  ] as const)("%j is refused", ([options, field]) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(GuardedFetch.make(options))).field, field)
    })
  )
})
