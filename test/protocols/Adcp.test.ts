import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryReplayStore from "../../src/layers/MemoryReplayStore.ts"
import * as Adcp from "../../src/protocols/Adcp.ts"
import * as ContentDigest from "../../src/protocols/ContentDigest.ts"
import type { HttpRequest } from "../../src/protocols/HttpMessage.ts"
import { response } from "../../src/protocols/HttpMessage.ts"
import * as HttpSignatureProfile from "../../src/protocols/HttpSignatureProfile.ts"
import { KeysUnavailable, RevocationStale } from "../../src/schemas/KeyResolverError.ts"
import { ReplayStore, ReplayStoreUnavailable } from "../../src/services/ReplayStore.ts"
import { RevocationStore } from "../../src/services/RevocationStore.ts"
import {
  capability,
  craft,
  type Crafted,
  jwkOf,
  keyId,
  post,
  url,
  verifier,
  withField,
  without
} from "./adcpParties.ts"

const { adcp30, adcp31, adcp32 } = HttpSignatureProfile

const utf8 = new TextEncoder()

const verify = (message: HttpRequest, options: Partial<Adcp.VerifyRequestOptions> = {}) =>
  Adcp.verifyRequest(message, { profile: adcp31, capability, ...options })

/** The code of the refusal, or how the message was accepted. */
const codeOf = <E extends { readonly _tag: string }, R>(
  effect: Effect.Effect<{ readonly _tag: string; readonly warning?: { readonly code: string } | undefined }, E, R>
): Effect.Effect<string, Exclude<E, Adcp.AdcpSignatureError>, R> =>
  Effect.matchEffect(effect, {
    onSuccess: ({ _tag, warning }) => Effect.succeed(warning === undefined ? _tag : `${_tag}: ${warning.code}`),
    onFailure: (error) =>
      error instanceof Adcp.AdcpSignatureError
        ? Effect.succeed(error.code)
        : Effect.fail(error as Exclude<E, Adcp.AdcpSignatureError>)
  })

interface Case {
  readonly what: string
  readonly code: string
  readonly crafted?: Crafted
  /** What happens to the message on its way. */
  readonly change?: (message: HttpRequest) => HttpRequest
  readonly verifier?: Parameters<typeof verifier>[0]
  readonly options?: Partial<Adcp.VerifyRequestOptions>
  readonly request?: HttpRequest
}

const input = (change: (value: string) => string) => (message: HttpRequest) =>
  withField(message, "signature-input", change)

const all = ["@method", "@target-uri", "@authority", "content-type", "content-digest"]

const twoDigests = post({
  fields: [
    ["Content-Type", "application/json"],
    [
      "Content-Digest",
      Effect.runSync(ContentDigest.make(utf8.encode(`{"plan_id":"plan_001"}`), ["sha-256", "sha-512"]))
    ]
  ]
})

const cases: ReadonlyArray<Case> = [
  { what: "a request as it should be", code: "Signed" },
  { what: "an ES256 key", crafted: { algorithm: "ES256" }, verifier: { algorithm: "ES256" }, code: "Signed" },
  {
    what: "no digest where it is up to the signer",
    crafted: { options: { components: all.slice(0, 4) } },
    code: "Signed"
  },
  { what: "a digest by two algorithms", request: twoDigests, code: "Signed" },
  {
    what: "another label beside, in one field only",
    change: input((value) => `${value}, relay=("@method");keyid="x"`),
    code: "Signed"
  },
  {
    what: "no signature",
    change: (message) => post({ body: new TextDecoder().decode(message.body) }),
    code: "request_signature_required"
  },
  {
    what: "Signature alone",
    change: (message) => without(message, "signature-input"),
    code: "request_signature_header_malformed"
  },
  {
    what: "Signature-Input alone",
    change: (message) => without(message, "signature"),
    code: "request_signature_header_malformed"
  },
  { what: "a field that is no dictionary", change: input(() => "sig1=("), code: "request_signature_header_malformed" },
  { what: "another label", crafted: { options: { label: "sig2" } }, code: "request_signature_header_malformed" },
  {
    what: "a label twice in Signature-Input",
    change: input((value) => `${value}, ${value}`),
    code: "request_signature_header_malformed"
  },
  {
    what: "a label twice in Signature",
    change: (message) => withField(message, "signature", (value) => `${value}, ${value}`),
    code: "request_signature_header_malformed"
  },
  {
    what: "a parameter twice",
    change: input((value) => `${value};tag="x"`),
    code: "request_signature_header_malformed"
  },
  {
    what: "keyid that is a token",
    change: input((value) => value.replace(`keyid="${keyId}"`, `keyid=${keyId}`)),
    code: "request_signature_header_malformed"
  },
  {
    what: "created that is text",
    change: input((value) => value.replace(/created=(\d+)/, `created="$1"`)),
    code: "request_signature_header_malformed"
  },
  {
    what: "a component twice",
    change: input((value) => value.replace(`"@method"`, `"@method" "@method"`)),
    code: "request_signature_header_malformed"
  },
  {
    what: "both alphabets in one signature",
    change: (message) => withField(message, "signature", (value) => value.replace(/:..../, ":-+-+")),
    code: "request_signature_header_malformed"
  },
  {
    what: "two content types",
    change: (message) => withField(message, "content-type", (value) => `${value}, text/plain`),
    code: "request_signature_header_malformed"
  },
  {
    what: "a digest twice",
    change: (message) => withField(message, "content-digest", (value) => `${value}, ${value}`),
    code: "request_signature_header_malformed"
  },
  {
    what: "an algorithm of a digest in capitals",
    change: (message) => withField(message, "content-digest", (value) => value.replace("sha-256", "SHA-256")),
    code: "request_signature_header_malformed"
  },
  {
    what: "a host that is not ASCII",
    change: (message) => ({ ...message, authority: "bücher.example" }),
    code: "request_signature_header_malformed"
  },
  ...["created", "expires", "nonce", "keyid", "alg", "tag"].map((name): Case => ({
    what: `no ${name}`,
    change: input((value) => value.replace(new RegExp(`;${name}=("[^"]*"|\\d+)`), "")),
    code: "request_signature_params_incomplete"
  })),
  {
    what: "a nonce of 15 bytes",
    crafted: { options: { nonce: "A".repeat(20) } },
    code: "request_signature_params_incomplete"
  },
  {
    what: "a nonce that no bytes have",
    crafted: { options: { nonce: "A".repeat(25) } },
    code: "request_signature_params_incomplete"
  },
  {
    what: "a nonce with padding",
    crafted: { options: { nonce: `${"A".repeat(22)}==` } },
    code: "request_signature_params_incomplete"
  },
  {
    what: "the tag of webhooks",
    crafted: { options: { tag: "adcp/webhook-signing/v1" } },
    code: "request_signature_tag_invalid"
  },
  {
    what: "a tag in capitals",
    crafted: { options: { tag: "ADCP/request-signing/v1" } },
    code: "request_signature_tag_invalid"
  },
  {
    what: "another algorithm",
    change: input((value) => value.replace(`alg="ed25519"`, `alg="rsa-pss-sha512"`)),
    code: "request_signature_alg_not_allowed"
  },
  {
    what: "the JOSE name of the algorithm",
    change: input((value) => value.replace(`alg="ed25519"`, `alg="EdDSA"`)),
    code: "request_signature_alg_not_allowed"
  },
  {
    what: "a window of 301 seconds",
    crafted: { options: { expiresIn: "301 seconds" } },
    code: "request_signature_window_invalid"
  },
  {
    what: "no window",
    change: input((value) => value.replace(/expires=\d+/, "expires=1776520800")),
    code: "request_signature_window_invalid"
  },
  {
    what: "a negative time",
    change: input((value) => value.replace(/created=\d+/, "created=-5")),
    code: "request_signature_window_invalid"
  },
  ...all.slice(0, 4).map((name): Case => ({
    what: `${name} not covered`,
    crafted: { options: { components: all.filter((other) => other !== name) } },
    code: "request_signature_components_incomplete"
  })),
  {
    what: "no digest where it is required",
    crafted: { options: { components: all.slice(0, 4) } },
    options: { capability: { ...capability, coversContentDigest: "required" } },
    code: "request_signature_components_incomplete"
  },
  {
    what: "no digest in 3.2, whatever the capability says",
    crafted: { profile: adcp32.request, options: { components: all.slice(0, 4) } },
    options: { profile: adcp32 },
    code: "request_signature_components_incomplete"
  },
  {
    what: "a component that the message does not have",
    change: (message) => without(message, "content-digest"),
    code: "request_signature_components_incomplete"
  },
  {
    what: "a digest where it is forbidden",
    options: { capability: { ...capability, coversContentDigest: "forbidden" } },
    code: "request_signature_components_unexpected"
  },
  {
    what: "@query beside",
    crafted: { options: { components: [...all, "@query"] } },
    code: "request_signature_components_unexpected"
  },
  {
    what: "a part of a field",
    crafted: { options: { components: [...all, "content-type;bs"] } },
    code: "request_signature_components_unexpected"
  },
  {
    what: "a key that nobody published",
    crafted: { options: { keyId: "other" } },
    code: "request_signature_key_unknown"
  },
  { what: "a set without keys", verifier: { jwks: [] }, code: "request_signature_key_unknown" },
  ...[
    { adcp_use: "governance-signing" },
    { adcp_use: "webhook-signing" },
    { adcp_use: ["request-signing"] },
    { adcp_use: undefined },
    { use: undefined },
    { use: "enc" },
    { key_ops: ["sign"] },
    { key_ops: undefined },
    { key_ops: "verify" },
    { alg: "ES256" },
    { alg: undefined },
    { crv: "P-256" },
    { kty: "EC" },
    { x: "AAAA" }
  ].map((jwk): Case => ({
    what: `a JWK with ${JSON.stringify(jwk)} ${Object.keys(jwk)[0]}`,
    verifier: { jwk },
    code: "request_signature_key_purpose_invalid"
  })),
  {
    what: "a key of the other algorithm",
    crafted: { algorithm: "ES256" },
    code: "request_signature_key_purpose_invalid"
  },
  {
    what: "a private JWK",
    verifier: { jwk: { d: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" } },
    code: "request_signature_key_purpose_invalid"
  },
  { what: "a key with more operations", verifier: { jwk: { key_ops: ["verify", "wrapKey"] } }, code: "Signed" },
  { what: "a revoked key", verifier: { revoked: [keyId] }, code: "request_signature_key_revoked" },
  { what: "another key revoked", verifier: { revoked: ["other"] }, code: "Signed" },
  {
    what: "another host on the wire",
    change: (message) => ({ ...message, fields: [...message.fields, ["Host", "evil.example"]] }),
    code: "request_target_uri_malformed"
  },
  {
    what: "the same host on the wire",
    change: (message) => ({ ...message, fields: [...message.fields, ["Host", "SELLER.example.com:443"]] }),
    code: "Signed"
  },
  {
    what: "two hosts on the wire",
    change: (message) => ({
      ...message,
      fields: [...message.fields, ["Host", "seller.example.com"], ["Host", "seller.example.com"]]
    }),
    code: "request_target_uri_malformed"
  },
  ...["seller.example.com:port", "[::1", "user@seller.example.com", "", "seller..example.com", "bücher.example"].map(
    (host): Case => ({
      what: `Host ${JSON.stringify(host)}`,
      change: (message) => ({ ...message, fields: [...message.fields, ["Host", host]] }),
      code: "request_target_uri_malformed"
    })
  ),
  {
    what: "a target with an empty label",
    change: (message) => ({ ...message, authority: "seller.example.com.." }),
    code: "request_target_uri_malformed"
  },
  {
    what: "a target that is not known",
    change: (message) => ({ ...message, scheme: undefined, requestTarget: undefined }),
    code: "request_target_uri_malformed"
  },
  { what: "another method", change: (message) => ({ ...message, method: "PUT" }), code: "request_signature_invalid" },
  {
    what: "another path",
    change: (message) => ({ ...message, path: "/adcp/create_media_buy2" }),
    code: "request_signature_invalid"
  },
  { what: "http for https", change: (message) => ({ ...message, scheme: "http" }), code: "request_signature_invalid" },
  {
    what: "the target spelled otherwise",
    change: (message) => ({
      ...message,
      authority: "SELLER.example.com.:443",
      path: "/x/../adcp/./%63reate_media_buy"
    }),
    code: "Signed"
  },
  {
    what: "another nonce",
    change: input((value) => value.replace(/nonce="../, `nonce="zz`)),
    code: "request_signature_invalid"
  },
  {
    what: "a signature of no length",
    change: (message) => withField(message, "signature", () => "sig1=::"),
    code: "request_signature_invalid"
  },
  {
    what: "another body",
    change: (message) => ({ ...message, body: utf8.encode(`{"plan_id":"plan_002"}`) }),
    code: "request_signature_digest_mismatch"
  },
  {
    what: "a body that nobody gave",
    change: (message) => ({ ...message, body: undefined }),
    code: "request_signature_digest_mismatch"
  },
  { what: "a member twice", request: post({ body: `{"a":1,"a":2}` }), code: "request_body_malformed" },
  { what: "a member twice, escaped", request: post({ body: `{"a":1,"\\u0061":2}` }), code: "request_body_malformed" },
  { what: "JSON that is none", request: post({ body: `{"a":` }), code: "request_body_malformed" },
  {
    what: "bytes that are no JSON and do not say so",
    request: post({ body: "hello", fields: [["Content-Type", "text/plain"]] }),
    code: "Signed"
  },
  {
    what: "a member twice under another type",
    request: post({ body: `{"a":1,"a":2}`, fields: [["Content-Type", "text/plain"]] }),
    code: "request_body_malformed"
  }
]

describe("verifyRequest", () => {
  it.effect.each(cases)("$what: $code", ({ change, code, crafted, options, request, verifier: verifies }) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_776_520_800_000)
      const signed = yield* craft(request ?? post(), crafted)
      assert.strictEqual(yield* codeOf(verify(change?.(signed) ?? signed, options)), code)
    }).pipe(Effect.provide(verifier(verifies)))
  )

  // What 3.2 says in its own way: the digest is always covered
  const ofOlder = ["no digest where it is up to the signer", "a digest where it is forbidden"]

  it.effect.each(cases.filter(({ what }) => !ofOlder.includes(what)))(
    "3.2: $what: $code",
    ({ change, code, crafted, options, request, verifier: verifies }) =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_776_520_800_000)
        const signed = yield* craft(request ?? post(), { profile: adcp32.request, ...crafted })
        assert.strictEqual(yield* codeOf(verify(change?.(signed) ?? signed, { ...options, profile: adcp32 })), code)
      }).pipe(Effect.provide(verifier(verifies)))
  )

  it.effect("3.2: a signature or a digest in base64url is refused as what it is", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_776_520_800_000)
      for (const name of ["signature", "content-digest"]) {
        const signed = yield* craft(post(), { profile: adcp32.request })
        const older = withField(signed, name, (value) =>
          value.replaceAll("+", "-").replaceAll("/", "_").replace(/=*:$/, ":")
        )
        const code = yield* codeOf(verify(older, { profile: adcp32 }))
        assert.strictEqual(code, "request_signature_header_malformed", name)
      }
    }).pipe(Effect.provide(verifier()))
  )

  it.effect("a host in brackets, with its port, as it was received", () =>
    Effect.gen(function* () {
      for (const profile of [adcp31, adcp32]) {
        const target = "https://[2001:db8::1]:8443/adcp/create_media_buy"
        const signed = yield* craft(post({ target }), { profile: profile.request })
        const received = (host: string): HttpRequest => ({ ...signed, fields: [...signed.fields, ["Host", host]] })
        const code = (host: string) => Effect.provide(codeOf(verify(received(host), { profile })), verifier())
        assert.strictEqual(yield* code("[2001:DB8::1]:8443"), "Signed")
        for (const host of ["[2001:db8::1]", "2001:db8::1", "[2001:db8::1]:8443x", "[2001:db8::1%25eth0]:8443"]) {
          assert.strictEqual(yield* code(host), "request_target_uri_malformed", host)
        }
      }
    })
  )

  it.effect("says who signed what, and until when", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_776_520_800_500)
      const verified = yield* verify(yield* craft(post()))
      assert.strictEqual(verified._tag, "Signed")
      const { algorithm, body, components, created, expires, target, verifiedAt } = verified as Adcp.VerifiedSigner
      assert.deepStrictEqual(
        [algorithm, created, expires, verifiedAt],
        ["Ed25519", 1_776_520_800, 1_776_521_100, 1_776_520_800]
      )
      assert.strictEqual(target.uri, url)
      assert.strictEqual(
        components.find(({ identifier }) => identifier === `"@authority"`)?.value,
        "seller.example.com"
      )
      assert.strictEqual(new TextDecoder().decode(body), `{"plan_id":"plan_001"}`)
    }).pipe(Effect.provide(verifier()))
  )

  it.effect("holds the window to the second, at both ends", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_776_520_800_000)
      const signed = yield* craft(post())
      for (const [seconds, code] of [
        [-61, "request_signature_window_invalid"],
        [-60, "Signed"],
        [360, "Signed"],
        [361, "request_signature_window_invalid"]
      ] as const) {
        yield* TestClock.setTime(1_776_520_800_000 + seconds * 1000)
        assert.strictEqual(yield* Effect.provide(codeOf(verify(signed)), verifier()), code, `${seconds}`)
      }
    })
  )

  it.effect("remembers a nonce for as long as it could be accepted", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_776_520_800_000)
      const signed = yield* craft(post())
      assert.strictEqual(yield* codeOf(verify(signed)), "Signed")
      for (const at of [0, 360_999]) {
        yield* TestClock.setTime(1_776_520_800_000 + at)
        assert.strictEqual(yield* codeOf(verify(signed)), "request_signature_replayed")
      }
      const elsewhere = yield* craft(post({ target: `${url}2` }))
      assert.strictEqual(yield* codeOf(verify(elsewhere)), "Signed")
    }).pipe(Effect.provide(verifier()))
  )

  it.effect("uses up the nonce of a body with two meanings, and of no forgery", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_776_520_800_000)
      const twice = yield* craft(post({ body: `{"a":1,"a":2}` }))
      assert.strictEqual(yield* codeOf(verify(twice)), "request_body_malformed")
      assert.strictEqual(yield* codeOf(verify(twice)), "request_signature_replayed")
      const signed = yield* craft(post())
      const forged = withField(signed, "signature", (value) => value.replace(/:..../, ":AAAA"))
      assert.strictEqual(yield* codeOf(verify(forged)), "request_signature_invalid")
      assert.strictEqual(yield* codeOf(verify(signed)), "Signed")
    }).pipe(Effect.provide(verifier()))
  )

  it.effect("refuses a key with too many signatures before it verifies another one", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_776_520_800_000)
      for (let count = 0; count < 2; count++) assert.strictEqual(yield* codeOf(verify(yield* craft(post()))), "Signed")
      const forged = withField(yield* craft(post()), "signature", (value) => value.replace(/:..../, ":AAAA"))
      assert.strictEqual(yield* codeOf(verify(forged)), "request_signature_rate_abuse")
    }).pipe(Effect.provide(verifier({ maxPerKey: 2 })))
  )

  it.effect("lets one of many through with one nonce", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_776_520_800_000)
      const signed = yield* craft(post())
      const codes = yield* Effect.all(
        Array.from({ length: 20 }, () => codeOf(verify(signed))),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(
        codes.filter((code) => code === "Signed"),
        1
      )
    }).pipe(Effect.provide(verifier()))
  )

  it.effect("refuses where nobody knows whether the key is revoked", () =>
    Effect.gen(function* () {
      const stale = () => Effect.fail(new RevocationStale({ reason: "Outdated", problem: "old" }))
      const outcome = verify(yield* craft(post())).pipe(
        Effect.provideService(RevocationStore, { check: stale, checkToken: stale })
      )
      assert.strictEqual(yield* codeOf(outcome), "request_signature_revocation_stale")
    }).pipe(Effect.provide(verifier()))
  )

  it.effect("fails where nonces cannot be remembered", () =>
    Effect.gen(function* () {
      const down = Effect.fail(new ReplayStoreUnavailable({ store: "test", problem: "down" }))
      const store = yield* ReplayStore
      const error = yield* verify(yield* craft(post())).pipe(
        Effect.provideService(ReplayStore, { ...store, insert: () => down }),
        Effect.flip
      )
      assert.strictEqual(error._tag, "ReplayStoreUnavailable")
    }).pipe(Effect.provide(verifier()))
  )

  it.effect("tells keys that cannot be read from keys that are refused", () =>
    Effect.gen(function* () {
      const signed = yield* craft(post())
      const withKeys = (load: Effect.Effect<unknown, KeysUnavailable>) =>
        Effect.flip(Effect.provide(verify(signed), Adcp.layerLoader(load)))
      const unavailable = yield* withKeys(Effect.fail(new KeysUnavailable({ problem: "down", reason: "Unreachable" })))
      const untrusted = yield* withKeys(Effect.succeed({ keys: [yield* jwkOf("Ed25519"), yield* jwkOf("Ed25519")] }))
      const [first, second] = [unavailable, untrusted] as [Adcp.AdcpSignatureError, Adcp.AdcpSignatureError]
      assert.deepStrictEqual([first.code, first.retryable], ["request_signature_jwks_unavailable", true])
      assert.deepStrictEqual([second.code, second.retryable], ["request_signature_jwks_untrusted", false])
    }).pipe(Effect.provide(Layer.merge(verifier(), Layer.empty)))
  )

  it.effect("takes no key with another id than the one that was asked for", () =>
    Effect.gen(function* () {
      const jwk = yield* jwkOf("Ed25519", { kid: "other" })
      const outcome = verify(yield* craft(post())).pipe(
        Effect.provideService(Adcp.AdcpKeys, { resolve: () => Effect.succeed({ jwk }) })
      )
      assert.strictEqual(yield* codeOf(outcome), "request_signature_key_unknown")
    }).pipe(Effect.provide(verifier()))
  )

  it.effect("says in a header why, and nothing of the message", () =>
    Effect.gen(function* () {
      const secret = "attacker\r\nX-Evil: 1"
      const error = yield* Effect.flip(
        verify(yield* craft(post({ body: `{"${"x".repeat(99)}":1,"${"x".repeat(99)}":2}` })))
      )
      const refused = error as Adcp.AdcpSignatureError
      assert.strictEqual(refused.status, 401)
      assert.strictEqual(refused.wwwAuthenticate, `Signature error="request_body_malformed"`)
      assert.deepStrictEqual(refused.duplicateMembers, ["x".repeat(32)])
      const signed = yield* craft(post())
      const evil = withField(signed, "signature-input", (value) =>
        value.replace(`keyid="${keyId}"`, `keyid="evil-key"`)
      )
      const unknown = yield* Effect.flip(verify(evil))
      assert.notInclude(JSON.stringify(unknown), "evil-key")
      assert.notInclude(`${unknown.message}${JSON.stringify(refused)}`, secret)
    }).pipe(Effect.provide(verifier()))
  )
})

describe("unsigned requests", () => {
  const rpc = (method: string, params: unknown = {}) =>
    post({ target: "https://seller.example.com/mcp", body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }) })
  const skill = (...skills: ReadonlyArray<string>) => ({
    message: {
      messageId: "1",
      parts: [{ text: "hi" }, ...skills.map((name) => ({ data: { skill: name, input: {} } }))]
    }
  })
  const credentials = { push_notification_config: { url: "https://x.example", authentication: { scheme: "Bearer" } } }

  const unsigned: ReadonlyArray<{
    readonly what: string
    readonly request: HttpRequest
    readonly options?: Partial<Adcp.VerifyRequestOptions>
    readonly code: string
  }> = [
    { what: "an operation that needs one", request: post(), code: "request_signature_required" },
    {
      what: "the same with another credential",
      request: post(),
      options: { isAuthenticatedOtherwise: true },
      code: "Unsigned"
    },
    {
      what: "an operation that does not",
      request: post({ target: "https://seller.example.com/adcp/get_products" }),
      code: "Unsigned"
    },
    {
      what: "a tool of MCP",
      request: rpc("tools/call", { name: "create_media_buy" }),
      code: "request_signature_required"
    },
    { what: "another tool of MCP", request: rpc("tools/call", { name: "get_products" }), code: "Unsigned" },
    {
      what: "a skill of A2A",
      request: rpc("message/send", skill("create_media_buy")),
      code: "request_signature_required"
    },
    {
      what: "a skill of A2A 1.0",
      request: rpc("SendMessage", skill("create_media_buy")),
      code: "request_signature_required"
    },
    {
      what: "a skill of A2A without JSON-RPC",
      request: post({
        target: "https://seller.example.com/message:send",
        body: JSON.stringify(skill("create_media_buy"))
      }),
      code: "request_signature_required"
    },
    {
      what: "two skills",
      request: rpc("message/send", skill("get_products", "create_media_buy")),
      code: "request_body_malformed"
    },
    { what: "no skill", request: rpc("message/send", skill()), code: "request_body_malformed" },
    { what: "a protocol method", request: rpc("tasks/cancel"), code: "request_signature_required" },
    {
      what: "a method of A2A that calls any operation",
      request: rpc("SendMessage", skill("get_products")),
      options: { capability: { ...capability, protocolMethodsRequiredFor: ["SendMessage"] } },
      code: "request_signature_required"
    },
    {
      what: "the path of an operation in another spelling",
      request: { ...post(), path: "/adcp/Create%5Fmedia_buy/" },
      code: "request_signature_required"
    },
    {
      what: "a body in another charset",
      request: post({
        target: "https://s.example/mcp",
        body: `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"+AGM-reate_media_buy"}}`,
        fields: [["Content-Type", "application/json; charset=utf-7"]]
      }),
      code: "request_body_malformed"
    },
    {
      what: "credentials for the webhooks of an account",
      request: post({
        target: "https://s.example/adcp/sync_accounts",
        body: JSON.stringify({
          accounts: [{ notification_configs: [{ url: "https://x.example" }, credentials.push_notification_config] }]
        })
      }),
      options: { isAuthenticatedOtherwise: true },
      code: "request_signature_required"
    },
    {
      what: "webhooks of an account that have no credentials",
      request: post({
        target: "https://s.example/adcp/sync_accounts",
        body: JSON.stringify({
          accounts: [{ notification_configs: [{ url: "https://x.example", authentication: null }] }]
        })
      }),
      code: "Unsigned"
    },
    {
      what: "credentials for webhooks in other letters",
      request: post({
        target: "https://s.example/adcp/update_x",
        body: `{"Push_Notification_Config":{"AUTHENTICATION":{"schemes":["Bearer"]}}}`
      }),
      code: "request_signature_required"
    },
    { what: "another protocol method", request: rpc("tasks/get"), code: "Unsigned" },
    { what: "a tool that is called as a method", request: rpc("create_media_buy"), code: "Unsigned" },
    {
      what: "a method that is called as a tool",
      request: rpc("tools/call", { name: "tasks/cancel" }),
      code: "Unsigned"
    },
    {
      what: "a batch",
      request: post({ target: "https://s.example/mcp", body: `[{"jsonrpc":"2.0","method":"tasks/cancel"}]` }),
      code: "request_body_malformed"
    },
    {
      what: "a method in another letter case",
      request: post({
        target: "https://s.example/mcp",
        body: `{"jsonrpc":"2.0","method":"ping","Method":"tasks/cancel"}`
      }),
      code: "request_body_malformed"
    },
    {
      what: "a method twice",
      request: post({
        target: "https://s.example/mcp",
        body: `{"jsonrpc":"2.0","method":"ping","method":"tasks/cancel"}`
      }),
      code: "request_body_malformed"
    },
    {
      what: "a path that names it, and a body that names another",
      request: { ...rpc("tasks/get"), path: "/adcp/create_media_buy" },
      code: "request_signature_required"
    },
    {
      what: "credentials for webhooks",
      request: post({ target: "https://s.example/adcp/update_x", body: JSON.stringify(credentials) }),
      options: { isAuthenticatedOtherwise: true },
      code: "request_signature_required"
    },
    {
      what: "credentials for webhooks, deeper",
      request: post({ target: "https://s.example/adcp/update_x", body: JSON.stringify({ a: [{ b: credentials }] }) }),
      options: { isAuthenticatedOtherwise: true },
      code: "request_signature_required"
    },
    {
      what: "credentials for webhooks where nothing is signed",
      request: post({ target: "https://s.example/adcp/update_x", body: JSON.stringify(credentials) }),
      options: { capability: { ...capability, supported: false } },
      code: "Unsigned"
    },
    {
      what: "an operation that the application names",
      request: post(),
      options: { operation: { name: "get_products" } },
      code: "Unsigned"
    },
    {
      what: "a body that nobody gave",
      request: { ...post({ target: "https://s.example/x" }), body: undefined },
      code: "request_body_malformed"
    },
    {
      what: "a GET",
      request: { ...post({ target: "https://s.example/x" }), method: "GET", body: undefined },
      code: "Unsigned"
    }
  ]

  it.effect.each(unsigned)("$what: $code", ({ code, options, request }) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* codeOf(verify(request, options)), code)
    }).pipe(Effect.provide(verifier()))
  )

  it.effect("a wrong signature is a warning where the list says so, but for one that cannot be read", () =>
    Effect.gen(function* () {
      const request = post({ target: "https://seller.example.com/adcp/sync_creatives" })
      const signed = yield* craft(request)
      const forged = { ...signed, method: "PUT" }
      assert.strictEqual(yield* codeOf(verify(forged)), "Unsigned: request_signature_invalid")
      assert.strictEqual(yield* codeOf(verify(without(signed, "signature"))), "request_signature_header_malformed")
      assert.strictEqual(
        yield* codeOf(verify(withField(signed, "signature-input", () => "sig1"))),
        "request_signature_header_malformed"
      )
      assert.strictEqual(yield* codeOf(verify(signed)), "Signed")
    }).pipe(Effect.provide(verifier()))
  )

  it.effect("a long body is looked at once it is known who sent it", () =>
    Effect.gen(function* () {
      const call = { name: "sync_catalogs", arguments: { pad: "x".repeat(1_100_000) } }
      const long = rpc("tools/call", call)
      assert.strictEqual(yield* codeOf(verify(long)), "request_body_malformed")
      assert.strictEqual(yield* codeOf(verify(long, { isAuthenticatedOtherwise: true })), "Unsigned")
      assert.strictEqual(yield* codeOf(verify(yield* craft(long))), "Signed")
      const batch = post({ target: "https://s.example/mcp", body: JSON.stringify([call, call]) })
      assert.strictEqual(yield* codeOf(verify(yield* craft(batch))), "request_body_malformed")
    }).pipe(Effect.provide(verifier()))
  )

  it.effect("a signed call that two readers route differently is refused after its signature", () =>
    Effect.gen(function* () {
      const signed = yield* craft(rpc("message/send", skill("get_products", "create_media_buy")))
      assert.strictEqual(yield* codeOf(verify(signed)), "request_body_malformed")
      assert.strictEqual(yield* codeOf(verify({ ...signed, method: "PUT" })), "request_signature_invalid")
    }).pipe(Effect.provide(verifier()))
  )
})

describe("verifyWebhook", () => {
  const webhook = post({ target: "https://buyer.example.com/hooks/1" })
  const signed = (options?: Crafted["options"]) =>
    craft(webhook, { profile: adcp31.webhook, ...(options && { options }) })
  const outcome = (message: HttpRequest, profile = adcp31) => codeOf(Adcp.verifyWebhook(message, { profile }))

  it.effect("takes a key for requests, but in 3.0", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* outcome(yield* signed()), "Signed")
      assert.strictEqual(yield* outcome(yield* signed(), adcp32), "Signed")
      assert.strictEqual(yield* outcome(yield* signed(), adcp30), "webhook_signature_key_purpose_invalid")
    }).pipe(Effect.provide(verifier()))
  )

  it.effect.each([
    { what: "no signature", change: () => webhook, code: "webhook_signature_required" },
    {
      what: "half of one",
      change: (message: HttpRequest) => without(message, "signature"),
      code: "webhook_signature_header_malformed"
    },
    {
      what: "the older header",
      change: () => ({ ...webhook, fields: [...webhook.fields, ["X-ADCP-Signature", "sha256=00"] as const] }),
      code: "webhook_mode_mismatch"
    },
    {
      what: "both",
      change: (message: HttpRequest) => ({
        ...message,
        fields: [...message.fields, ["x-adcp-signature", "sha256=00"] as const]
      }),
      code: "webhook_mode_mismatch"
    },
    {
      what: "another body",
      change: (message: HttpRequest) => ({ ...message, body: utf8.encode("{}") }),
      code: "webhook_signature_digest_mismatch"
    },
    {
      what: "another host",
      change: (message: HttpRequest) => ({ ...message, authority: "buyer..example" }),
      code: "webhook_target_uri_malformed"
    }
  ])("$what: $code", ({ change, code }) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* outcome(change(yield* signed())), code)
    }).pipe(Effect.provide(verifier()))
  )

  it.effect("wants the digest also where there is no content", () =>
    Effect.gen(function* () {
      const empty = { ...webhook, body: new Uint8Array(0) }
      const bare = yield* craft(empty, { profile: adcp31.webhook })
      assert.strictEqual(yield* outcome(bare), "webhook_signature_components_incomplete")
    }).pipe(Effect.provide(verifier()))
  )

  it.effect("does not take a request for a webhook, nor a webhook for a request", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* outcome(yield* craft(webhook)), "webhook_signature_tag_invalid")
      assert.strictEqual(yield* codeOf(verify(yield* signed())), "request_signature_tag_invalid")
    }).pipe(Effect.provide(verifier()))
  )
})

describe("verifyResponse", () => {
  const answer = response({
    status: 200,
    fields: [["Content-Type", "application/json"]],
    body: utf8.encode(`{"media_buy_id":"mb_1"}`),
    request: post()
  })
  const signed = craft(answer, { profile: adcp32.response })
  const ofResponses = verifier({ jwk: { adcp_use: "response-signing" } })

  it.effect.each([
    { what: "as it was signed", change: {}, code: "Signed" },
    { what: "another status", change: { status: 201 }, code: "response_signature_invalid" },
    {
      what: "the answer to another request",
      change: { request: post({ target: `${url}2` }) },
      code: "response_signature_invalid"
    },
    { what: "the answer to nobody knows what", change: { request: undefined }, code: "response_target_uri_malformed" },
    { what: "another body", change: { body: utf8.encode("{}") }, code: "response_signature_digest_mismatch" },
    { what: "no signature", change: { fields: answer.fields }, code: "response_signature_required" }
  ])("$what: $code", ({ change, code }) =>
    Effect.gen(function* () {
      const message = { ...(yield* signed), ...change }
      assert.strictEqual(yield* codeOf(Adcp.verifyResponse(message, { profile: adcp32 })), code)
    }).pipe(Effect.provide(ofResponses))
  )

  it.effect("wants a key for responses", () =>
    Effect.gen(function* () {
      const code = yield* codeOf(Adcp.verifyResponse(yield* signed, { profile: adcp32 }))
      assert.strictEqual(code, "response_signature_key_purpose_invalid")
    }).pipe(Effect.provide(verifier()))
  )
})

describe("replay store", () => {
  it.effect("counts the nonces of two agents apart, though their keys have one id", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_776_520_800_000)
      const signed = yield* craft(post(), { options: { nonce: "AAAAAAAAAAAAAAAAAAAAAA" } })
      const jwk = yield* jwkOf("Ed25519")
      const of = (agentUrl: string) =>
        Effect.provide(codeOf(verify(signed)), Adcp.layerJwks({ keys: [jwk] }, { agentUrl }))
      assert.strictEqual(yield* of("https://a.example"), "Signed")
      assert.strictEqual(yield* of("https://b.example"), "Signed")
      assert.strictEqual(yield* of("https://a.example"), "request_signature_replayed")
    }).pipe(Effect.provide(Layer.merge(verifier(), MemoryReplayStore.layer())))
  )
})
