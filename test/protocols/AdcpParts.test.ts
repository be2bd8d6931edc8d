import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Result } from "effect"
import { TestClock } from "effect/testing"
import * as Adcp from "../../src/protocols/Adcp.ts"
import * as DuplicateMembers from "../../src/protocols/adcp/DuplicateMembers.ts"
import { KeysUnavailable } from "../../src/schemas/KeyResolverError.ts"
import { post } from "./adcpParties.ts"

describe("canonicalUri", () => {
  it.effect.each([
    ["HTTPS://Seller.Example.COM/p", "https://seller.example.com/p"],
    ["https://BÜCHER.Example/p", "https://xn--bcher-kva.example/p"],
    ["https://faß.example/", "https://xn--fa-hia.example/"],
    ["https://a.example", "https://a.example/"],
    ["https://a.example?x=1", "https://a.example/?x=1"],
    ["https://a.example?", "https://a.example/?"],
    ["https://a.example:0443/", "https://a.example/"],
    ["https://a.example:/", "https://a.example/"],
    ["http://a.example:443/", "http://a.example:443/"],
    ["https://u:p@a.example@b.example/", "https://b.example/"],
    ["https://127.0.0.1:8443/", "https://127.0.0.1:8443/"],
    ["https://[2001:DB8::A]:8443/p", "https://[2001:db8::a]:8443/p"],
    ["https://[::FFFF:1.2.3.4]/", "https://[::ffff:1.2.3.4]/"],
    ["https://a.example/a/b/../c", "https://a.example/a/c"],
    ["https://a.example/a/.//b", "https://a.example/a//b"],
    ["https://a.example/a/..", "https://a.example/"],
    ["https://a.example/a/.", "https://a.example/a/"],
    ["https://a.example/../../x", "https://a.example/x"],
    ["https://a.example/...", "https://a.example/..."],
    ["https://a.example/%41%2e%7e%3a%zz%", "https://a.example/A.~%3A%zz%"],
    ["https://a.example/p?%7e=a+b%2f&&#x?y", "https://a.example/p?%7e=a+b%2f&&"]
  ] as const)("%s", ([url, expected]) =>
    Effect.map(Adcp.canonicalUri(url), ({ uri }) => assert.strictEqual(uri, expected))
  )

  it.effect.each([
    "",
    "/p",
    "//a.example/p",
    "ftp://a.example/",
    "https:/a.example/",
    "https:///p",
    "https://:443/p",
    "https://user@/p",
    "https://user@:1/p",
    "https://[::1/p",
    "https://fe80::1/p",
    "https://[fe80::1%25eth0]/p",
    "https://[::1]x/",
    "https://[zz::1]/",
    "https://a.example../",
    "https://a..example/",
    "https://.a.example/",
    "https://./",
    "https://a.example:65536/",
    "https://a.example:1a/",
    "https://a_b.example/",
    "https://-a.example/",
    "https://a%41.example/",
    "https://a b.example/",
    "https://0/",
    "https://1.2.3/",
    "https://0x7f.1/",
    "https://256.1.1.1/",
    `https://${"a".repeat(64)}.example/`,
    "https://a\\b.example/",
    "https://a.example/a\\..\\b",
    "https://a.example/a/%2e%2E/b",
    "https://a.example/%2e",
    "https://a.example/.%2e/",
    "https://a.example/a b",
    "https://a.example/ü",
    "https://a.example/p?ü",
    "https://a.example/p\n"
  ])("refuses %j", (url) =>
    Effect.map(Effect.flip(Adcp.canonicalUri(url)), ({ _tag, message }) => {
      assert.strictEqual(_tag, "TargetUriMalformed")
      assert.isTrue(url === "" || !message.includes(url))
    })
  )
})

describe("parseCapability", () => {
  it.effect("reads an answer, a block, and nothing", () =>
    Effect.gen(function* () {
      const block = { supported: true, required_for: ["a"], protocol_methods_warn_for: ["tasks/get"], other: 1 }
      const read = yield* Adcp.parseCapability({ request_signing: block, adcp: {} })
      assert.deepStrictEqual(read, yield* Adcp.parseCapability(block))
      assert.deepStrictEqual(read.requiredFor, ["a"])
      assert.strictEqual(read.coversContentDigest, "either")
      assert.isFalse((yield* Adcp.parseCapability({ adcp: {} })).supported)
    })
  )

  it.effect.each([
    null,
    [],
    { request_signing: "yes" },
    { supported: 1 },
    { supported: true, covers_content_digest: "maybe" },
    { supported: true, required_for: "all" },
    { supported: true, required_for: ["tasks/cancel"] },
    { supported: true, warn_for: [1] },
    { supported: true, supported_for: [""] },
    { supported: true, required_for: ["CancelTask"] },
    { supported: true, protocol_methods_required_for: ["create_media_buy"] },
    { supported: true, protocol_methods_required_for: ["tasks/cancel", "tools/call"] }
  ])("refuses %j", (input) =>
    Effect.map(Effect.flip(Adcp.parseCapability(input)), ({ _tag }) => assert.strictEqual(_tag, "InvalidConfiguration"))
  )

  it.effect("takes the methods of both versions of A2A, each for itself", () =>
    Effect.gen(function* () {
      const capability = yield* Adcp.parseCapability({
        supported: true,
        protocol_methods_required_for: ["tasks/cancel", "CreateTaskPushNotificationConfig", "SendMessage"],
        operation_sources: ["mcp_tools_call"]
      })
      const modes = ["tasks/cancel", "CancelTask", "SendMessage", "sendmessage"].map((protocolMethod) =>
        Adcp.modeOf(capability, { protocolMethod })
      )
      assert.deepStrictEqual(modes, ["required", "none", "required", "none"])
    })
  )

  it.effect("the strictest list that names an operation counts", () =>
    Effect.gen(function* () {
      const capability = yield* Adcp.parseCapability({
        supported: true,
        required_for: ["a"],
        warn_for: ["a", "b"],
        supported_for: ["a", "b", "c"],
        protocol_methods_supported_for: ["x/y"]
      })
      const modes = ["a", "b", "c", "d"].map((name) => Adcp.modeOf(capability, { name }))
      assert.deepStrictEqual(modes, ["required", "warn", "supported", "none"])
      assert.strictEqual(Adcp.modeOf(capability, { protocolMethod: "x/y" }), "supported")
      assert.strictEqual(Adcp.modeOf(capability, { name: "x/y" }), "none")
      assert.strictEqual(Adcp.modeOf(capability, { protocolMethod: "a" }), "none")
    })
  )
})

describe("decide", () => {
  const facts: Adcp.RequestFacts = {
    mode: "supported",
    bindsContent: true,
    hasBody: true,
    signature: "present",
    coversContentDigest: true,
    isAuthenticatedOtherwise: false
  }
  const shown = (change: Partial<Adcp.RequestFacts>) => {
    const decision = Adcp.decide({ ...facts, ...change })
    if (decision._tag === "Accept")
      return `${decision.by}${decision.warning === undefined ? "" : ` ${decision.warning}`}`
    return decision._tag === "Reject"
      ? decision.code
      : `unauthenticated${decision.warning === undefined ? "" : " warned"}`
  }
  const modes = ["required", "warn", "supported", "none"] as const

  it.each([
    { change: {}, each: ["signature", "signature", "signature", "signature"] },
    {
      change: { coversContentDigest: false },
      each: ["incomplete", "unauthenticated warned", "incomplete", "incomplete"]
    },
    {
      change: { coversContentDigest: false, isAuthenticatedOtherwise: true },
      each: ["incomplete", "credential incomplete", "incomplete", "incomplete"]
    },
    {
      change: { coversContentDigest: false, bindsContent: false },
      each: ["signature", "signature", "signature", "signature"]
    },
    {
      change: { coversContentDigest: false, hasBody: false },
      each: ["signature", "signature", "signature", "signature"]
    },
    { change: { signature: "absent" }, each: ["required", "unauthenticated", "unauthenticated", "unauthenticated"] },
    {
      change: { signature: "absent", isAuthenticatedOtherwise: true },
      each: ["credential", "credential", "credential", "credential"]
    },
    {
      change: { signature: "malformed", isAuthenticatedOtherwise: true },
      each: ["malformed", "malformed", "malformed", "malformed"]
    },
    { change: { isSignatureValid: false }, each: ["invalid", "unauthenticated warned", "invalid", "invalid"] },
    {
      change: { isDigestRight: false, isAuthenticatedOtherwise: true },
      each: ["mismatch", "credential mismatch", "mismatch", "mismatch"]
    }
  ] as const)("$change", ({ change, each }) => {
    const short = (text: string) =>
      text
        .replaceAll("request_signature_components_incomplete", "incomplete")
        .replaceAll("request_signature_digest_mismatch", "mismatch")
        .replaceAll("request_signature_header_malformed", "malformed")
        .replaceAll("request_signature_required", "required")
        .replaceAll("request_signature_invalid", "invalid")
    assert.deepStrictEqual(
      modes.map((mode) => short(shown({ ...change, mode }))),
      [...each]
    )
  })
})

describe("operationOf", () => {
  const rpc = (body: unknown) => post({ target: "https://s.example/a2a", body: JSON.stringify(body) })
  const call = (parts: unknown) => rpc({ jsonrpc: "2.0", method: "message/send", params: { message: { parts } } })

  it.effect.each([
    { what: "a path", request: post(), is: { name: "create_media_buy" } },
    { what: "no path", request: post({ target: "https://s.example/" }), is: {} },
    {
      what: "a form in another charset",
      request: post({ body: "a=1", fields: [["Content-Type", "application/x-www-form-urlencoded; charset=latin1"]] }),
      is: { name: "create_media_buy" }
    },
    {
      what: "JSON that says its charset",
      request: post({ fields: [["Content-Type", `application/json; charset="UTF-8"`]] }),
      is: { name: "create_media_buy" }
    },
    {
      what: "a tool",
      request: rpc({ jsonrpc: "2.0", method: "tools/call", params: { name: "a_b" } }),
      is: { name: "a_b" }
    },
    { what: "a method", request: rpc({ jsonrpc: "2.0", method: "tasks/get" }), is: { protocolMethod: "tasks/get" } },
    { what: "an answer", request: rpc({ jsonrpc: "2.0", id: 1, result: {} }), is: {} },
    {
      what: "a skill",
      request: call([{ kind: "data", data: { skill: "x" } }]),
      is: { name: "x", protocolMethod: "message/send" }
    },
    ...[
      "/adcp/create_media_buy/",
      "/adcp/create_media_buy//",
      "/adcp/Create_Media_Buy",
      "/adcp/create%5Fmedia%5fbuy",
      "/adcp/create_media_buy;v=1",
      "/adcp/create_media_buy/x/..",
      "/adcp\\create_media_buy"
    ].map((path) => ({ what: `the path ${path}`, request: { ...post(), path }, is: { name: "create_media_buy" } }))
  ])("$what", ({ is, request }) =>
    Effect.map(Adcp.operationOf(request), (operation) => assert.deepStrictEqual(operation, is))
  )

  it.effect.each([
    call([{ kind: "text", data: { skill: "x" } }]),
    call([{ text: "a", data: { skill: "x" } }]),
    call([{ text: "a", data: { skill: "x" } }, { data: { skill: "y" } }]),
    call([{ data: { skill: "x" } }, { file: {} }]),
    call([{ data: { skill: "x", Skill: "y" } }]),
    call([{ data: { skill: "" } }]),
    call([{ data: "x" }]),
    call([]),
    call({ data: {} }),
    rpc({ jsonrpc: "2.0", method: "message/send", params: { message: { parts: [] }, Message: {} } }),
    rpc({ jsonrpc: "2.0", method: "tools/call", params: [] }),
    rpc({ jsonrpc: "2.0", method: "tools/call", params: { name: "a", NAME: "b" } }),
    rpc({ jsonrpc: "2.0", method: 5 }),
    rpc({ id: 1, method: "SendMessage" }),
    rpc({ Method: "tasks/cancel", Params: {} }),
    rpc({ method: "tasks/cancel", Params: {} }),
    ...[[], [{}], "SendMessage", 5, null, true].map(rpc),
    { ...rpc({ message: {} }), path: "/message%3Asend" },
    ...[`{"a":`, `{"a":NaN}`, "\uFEFF{}", `{"\u0000":1}{`].map((body) => post({ body })),
    ...["utf-16", '"UTF-7"', "latin1", "utf-8; Charset=utf-7"].map((charset) =>
      post({ fields: [["Content-Type", `application/json; charset=${charset}`]] })
    ),
    rpc({ JSONRPC: "2.0", method: "ping" })
  ])("refuses what two readers may see differently", (request) =>
    Effect.map(Effect.flip(Adcp.operationOf(request)), ({ bodyLength, code }) => {
      assert.strictEqual(code, "request_body_malformed")
      assert.strictEqual(bodyLength, request.body!.length)
    })
  )
})

describe("keys", () => {
  const set = (...kids: ReadonlyArray<string>) => ({ keys: kids.map((kid) => ({ kid, kty: "OKP" })) })
  const tagOf = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>) =>
    Effect.map(Effect.result(effect), (outcome) => (Result.isSuccess(outcome) ? "found" : outcome.failure._tag))

  it.effect.each([
    { what: "no set", jwks: {}, reason: "Malformed" },
    { what: "text that is no JSON", jwks: "{", reason: "Malformed" },
    { what: "a member twice", jwks: `{"keys":[{"kid":"a","kid":"b"}]}`, reason: "Malformed" },
    { what: "a kid twice", jwks: set("a", "a"), reason: "DuplicateKeyId" },
    { what: "a key that is none", jwks: { keys: [1] }, reason: "MalformedKey" },
    {
      what: "too many keys",
      jwks: set(...Array.from({ length: 101 }, (_, index) => `${index}`)),
      reason: "TooManyKeys"
    },
    { what: "too much text", jwks: " ".repeat(65_537), reason: "TooLarge" }
  ])("$what is refused", ({ jwks, reason }) =>
    Effect.map(Effect.flip(Adcp.keysFromJwks(jwks)), (error) => assert.strictEqual(error.reason, reason))
  )

  it.effect("keep every member, and let nobody change one", () =>
    Effect.gen(function* () {
      const jwks = { keys: [{ kid: "a", adcp_use: "request-signing", key_ops: ["verify"] }, { kty: "OKP" }] }
      const keys = yield* Adcp.keysFromJwks(jwks, { agentUrl: "https://a.example" })
      jwks.keys[0]!.adcp_use = "other"
      const { agentUrl, jwk } = yield* keys.resolve("a")
      assert.deepStrictEqual([agentUrl, jwk["adcp_use"]], ["https://a.example", "request-signing"])
      assert.isFrozen(jwk["key_ops"])
      assert.strictEqual(yield* tagOf(keys.resolve("b")), "KeyUnknown")
    })
  )

  it.effect("are read once for all who wait, again for a new key, and not within the cooldown", () =>
    Effect.gen(function* () {
      let reads = 0
      let published = set("a")
      const gate = yield* Deferred.make<void>()
      const load = Effect.map(Deferred.await(gate), () => {
        reads++
        return published
      })
      const keys = yield* Adcp.keysFromLoader(load)
      const waiting = yield* Effect.forkChild(
        Effect.forEach([1, 2, 3], () => keys.resolve("a"), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(waiting)
      assert.strictEqual(reads, 1)
      published = set("a", "b")
      assert.strictEqual(yield* tagOf(keys.resolve("b")), "KeyUnknown")
      assert.strictEqual(reads, 1)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* tagOf(keys.resolve("b")), "found")
      assert.strictEqual(reads, 2)
      yield* TestClock.adjust("9 minutes")
      assert.strictEqual(yield* tagOf(keys.resolve("a")), "found")
      assert.strictEqual(reads, 2)
      yield* TestClock.adjust("1 minute")
      yield* keys.resolve("a")
      assert.strictEqual(reads, 3)
    })
  )

  it.effect("an unknown key is a failure to read while the set cannot be read, and others still serve", () =>
    Effect.gen(function* () {
      let isDown = false
      const down = Effect.fail(new KeysUnavailable({ problem: "down" }))
      const keys = yield* Adcp.keysFromLoader(Effect.suspend(() => (isDown ? down : Effect.succeed(set("a")))))
      yield* keys.resolve("a")
      isDown = true
      yield* TestClock.adjust("31 seconds")
      assert.strictEqual(yield* tagOf(keys.resolve("b")), "KeysUnavailable")
      assert.strictEqual(yield* tagOf(keys.resolve("a")), "found")
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* tagOf(keys.resolve("a")), "KeysUnavailable")
    })
  )

  it.effect("a set that cannot be read is asked for once by all who wait, and again after five seconds", () =>
    Effect.gen(function* () {
      let reads = 0
      let isDown = true
      const load = Effect.suspend(() => {
        reads++
        return Effect.andThen(
          Effect.yieldNow,
          isDown ? Effect.fail(new KeysUnavailable({ problem: "down" })) : Effect.succeed(set("a"))
        )
      })
      const keys = yield* Adcp.keysFromLoader(load)
      const all = Array.from({ length: 100 }, () => tagOf(keys.resolve("a")))
      const tags = yield* Effect.all(all, { concurrency: "unbounded" })
      assert.deepStrictEqual([...new Set(tags), reads], ["KeysUnavailable", 1])
      isDown = false
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* tagOf(keys.resolve("a")), "KeysUnavailable")
      assert.strictEqual(reads, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* tagOf(keys.resolve("a")), "found")
      assert.strictEqual(reads, 2)
      isDown = true
      yield* TestClock.adjust("30 seconds")
      for (const _ of [1, 2]) {
        assert.strictEqual(yield* tagOf(keys.resolve("b")), "KeysUnavailable")
        assert.strictEqual(yield* tagOf(keys.resolve("a")), "found")
      }
      assert.strictEqual(reads, 3)
    })
  )

  it.effect("of several agents are asked for, and an id that two of them have is refused", () =>
    Effect.gen(function* () {
      const a = yield* Adcp.keysFromJwks(set("a", "x"), { agentUrl: "https://a.example" })
      const b = yield* Adcp.keysFromJwks(set("b", "x"), { agentUrl: "https://b.example" })
      const down = yield* Adcp.keysFromLoader(Effect.fail(new KeysUnavailable({ problem: "down" })))
      const found =
        (...all: ReadonlyArray<Adcp.AdcpKeysService>) =>
        (keyId: string) =>
          tagOf(Adcp.allKeys(all).resolve(keyId))
      assert.strictEqual(yield* found(a, b)("b"), "found")
      assert.strictEqual(yield* found(a, b)("c"), "KeyUnknown")
      assert.strictEqual(yield* found(down, b)("b"), "found")
      assert.strictEqual(yield* found(down, b)("c"), "KeysUnavailable")
      assert.strictEqual(yield* found(a, b)("x"), "JwksInvalid")
      assert.strictEqual(yield* found(a, a)("x"), "found")
      const wrong = yield* Adcp.keysFromLoader(Effect.succeed(set("z", "z")))
      assert.strictEqual(yield* found(wrong, b)("b"), "found")
      assert.strictEqual(yield* found(wrong, b)("c"), "JwksInvalid")
    })
  )

  it.effect("options have bounds", () =>
    Effect.gen(function* () {
      const load = Effect.succeed(set("a"))
      for (const options of [{ maxAge: "2 hours" }, { cooldown: 0 }] as const) {
        assert.strictEqual(
          (yield* Effect.flip(Layer.build(Adcp.layerLoader(load, options)).pipe(Effect.scoped)))._tag,
          "InvalidConfiguration"
        )
      }
    })
  )
})

describe("names of members that are there twice", () => {
  it.each([
    [`{"a":1,"b":2}`, []],
    [`{"a":{"b":1},"b":{"b":2}}`, []],
    [`[{"a":1},{"a":1}]`, []],
    [`{"a":"{\\"a\\":1}","b":":"}`, []],
    [`{"a":1,"\\u0061":2}`, ["a"]],
    [`{"x":[{"a":1,"b":2,"a":3}]}`, ["a"]],
    [`{"a\\nb":1,"a\\nb":2}`, ["a<sanitized:2>"]],
    [`{"${"é".repeat(20)}":1,"${"é".repeat(20)}":2}`, ["é".repeat(16)]],
    [`{"a":1,"a":1,"b":1,"b":1,"c":1,"c":1,"d":1,"d":1,"e":1,"e":1}`, ["a", "b", "c", "d"]]
  ] as const)("%s", (text, names) => {
    assert.deepStrictEqual(DuplicateMembers.find(text), [...names])
  })
})
