/**
 * `@adcp/sdk` and ours by the AdCP profiles: each verifies what the other signs,
 * and both write the same bytes. Where we differ, a test says who is right.
 */
import {
  type AdcpJsonWebKey,
  canonicalTargetUri,
  InMemoryReplayStore,
  InMemoryRevocationStore,
  RequestSignatureError,
  type SignerKey,
  signRequest,
  signWebhook,
  StaticJwksResolver,
  verifyRequestSignature,
  verifyWebhookSignature,
  WebhookSignatureError
} from "@adcp/sdk/signing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { createPrivateKey, sign as signRaw } from "node:crypto"
import { PrivateKey, PublicKey } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as MemoryReplayStore from "../../src/layers/MemoryReplayStore.ts"
import * as StaticRevocationStore from "../../src/layers/StaticRevocationStore.ts"
import * as Adcp from "../../src/protocols/Adcp.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as HttpSignatureProfile from "../../src/protocols/HttpSignatureProfile.ts"
import * as ReplayStore from "../../src/services/ReplayStore.ts"
import * as RevocationStore from "../../src/services/RevocationStore.ts"
import * as Signer from "../../src/services/Signer.ts"

const promise = <A>(evaluate: () => Promise<A>) =>
  Effect.tryPromise({ try: evaluate, catch: (error) => error as Error })

/** What theirs answers, or the code of what it throws. */
const said = (evaluate: () => Promise<{ readonly status: string }>) =>
  Effect.match(promise(evaluate), {
    onFailure: (error) =>
      error instanceof RequestSignatureError || error instanceof WebhookSignatureError ? error.code : error.message,
    onSuccess: ({ status }) => status
  })

const utf8 = new TextEncoder()
const seconds = () => Math.floor(Date.now() / 1000)

// ---------------------------------------------------------------------------
// messages of both
// ---------------------------------------------------------------------------

interface Case {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: string
}

const oursOf = ({ body, headers, method, url }: Case, added: Record<string, string> = {}) =>
  HttpMessage.request({
    method,
    target: url,
    fields: Object.entries({ ...headers, ...added }),
    body: utf8.encode(body)
  })

const theirsOf = (one: Case, fields: ReadonlyArray<HttpMessage.FieldLine> = []): Case => ({
  ...one,
  headers: { ...one.headers, ...Object.fromEntries(fields) }
})

const post: Case = {
  method: "POST",
  url: "https://seller.example/adcp/create_media_buy",
  headers: { "Content-Type": "application/json" },
  body: `{"plan_id":"plan_001"}`
}

const Draw = Schema.Struct({
  method: Schema.Literals(["POST", "PUT", "PATCH", "GET"]),
  host: Schema.Literals(["seller.example", "seller.example:8443", "[2001:db8::1]:8443"]),
  path: Schema.Array(Schema.String.check(Schema.isMaxLength(8))),
  query: Schema.Array(Schema.String.check(Schema.isMaxLength(8))),
  charset: Schema.Boolean,
  hasBody: Schema.Boolean,
  body: Schema.String.check(Schema.isMaxLength(32)),
  nonce: Schema.Uint8Array.check(Schema.isMinLength(16), Schema.isMaxLength(16)),
  coverDigest: Schema.Boolean
})
type Draw = typeof Draw.Type

/** What a URL has of it in every normal form: RFC 3986 says `'` and `*` alike, WHATWG does not. */
const encoded = (text: string) => encodeURIComponent(text.toWellFormed()).replace(/['*!()]/g, "-")

const caseOf = (draw: Draw): Case => {
  const path = draw.path.map((segment) => `p${encoded(segment)}`).join("/")
  const query = draw.query.map((value, index) => `q${index}=${encoded(value)}`).join("&")
  return {
    method: draw.method,
    url: `https://${draw.host}/${path}${query === "" ? "" : `?${query}`}`,
    headers: { "Content-Type": draw.charset ? "application/json; charset=utf-8" : "application/json" },
    body: draw.hasBody ? JSON.stringify({ text: draw.body.toWellFormed() }) : ""
  }
}

// ---------------------------------------------------------------------------
// keys of both
// ---------------------------------------------------------------------------

const capability = { supported: true, covers_content_digest: "either" as const, required_for: [] }

const purposes = { request: "request-signing", webhook: "webhook-signing" } as const
type Kind = keyof typeof purposes

const setup = Effect.fnUntraced(function* (
  algorithm: "Ed25519" | "ES256",
  kind: Kind = "request",
  members: Record<string, unknown> = {}
) {
  const purpose = purposes[kind]
  const privateKey = yield* PrivateKey.generate(algorithm)
  const signer = yield* LocalSigner.make({ privateKey, algorithm, purpose })
  const publicKey = yield* signer.publicKey()
  const keyid = PublicKey.thumbprint(publicKey)
  const alg = algorithm === "Ed25519" ? ("ed25519" as const) : ("ecdsa-p256-sha256" as const)
  const theirPrivate = Redacted.value(PrivateKey.toJwk(privateKey)) as unknown as AdcpJsonWebKey
  const theirPublic: AdcpJsonWebKey = {
    ...(PublicKey.toJwk(publicKey) as unknown as AdcpJsonWebKey),
    kid: keyid,
    alg: algorithm === "Ed25519" ? "EdDSA" : "ES256",
    use: "sig",
    key_ops: ["verify"],
    adcp_use: purpose,
    ...members
  }
  const key: SignerKey = { keyid, alg, privateKey: theirPrivate }
  const ourKeys = yield* Adcp.keysFromJwks({ keys: [theirPublic] })
  const provide = <A, E>(effect: Effect.Effect<A, E, Signer.Signer | Adcp.VerifyServices>) =>
    Effect.gen(function* () {
      const replay = yield* MemoryReplayStore.make()
      return yield* effect.pipe(
        Effect.provideService(Signer.Signer, signer),
        Effect.provideService(Adcp.AdcpKeys, ourKeys),
        Effect.provideService(ReplayStore.ReplayStore, replay),
        Effect.provideService(RevocationStore.RevocationStore, StaticRevocationStore.make({ keyIds: [] }))
      )
    })
  const stores = () => ({
    jwks: new StaticJwksResolver([theirPublic]),
    replayStore: new InMemoryReplayStore(),
    revocationStore: new InMemoryRevocationStore()
  })
  const theyVerify = (one: Case) =>
    said(() =>
      kind === "request"
        ? verifyRequestSignature(one, { ...stores(), capability })
        : verifyWebhookSignature(one, stores())
    )
  const theySign = (one: Case, options: { readonly coverContentDigest?: boolean; readonly nonce?: string } = {}) =>
    kind === "request" ? signRequest(one, key, options) : signWebhook(one, key, options)
  return {
    keyid,
    provide,
    raw: createPrivateKey(Redacted.value(PrivateKey.toPem(privateKey))),
    theySign,
    theyVerify
  }
})

type Setup = Effect.Success<ReturnType<typeof setup>>

const versions = ["adcp30", "adcp31"] as const
type Version = (typeof versions)[number]

/** What ours answers, or the code that it fails with. Nothing is remembered from one message to the next. */
const weVerify = ({ provide }: Setup, version: Version, kind: Kind, message: HttpMessage.HttpRequest) => {
  const profile = HttpSignatureProfile[version]
  const verified: Effect.Effect<
    { readonly _tag: string },
    ReplayStore.ReplayStoreUnavailable | { readonly _tag: string; readonly code: string },
    Adcp.VerifyServices
  > =
    kind === "webhook"
      ? Adcp.verifyWebhook(message, { profile })
      : Effect.flatMap(Adcp.parseCapability({ request_signing: capability }), (capability) =>
          Adcp.verifyRequest(message, { profile, capability })
        ).pipe(Effect.catchTag("InvalidConfiguration", Effect.die))
  return Effect.match(provide(verified), {
    onFailure: (error) => ("code" in error ? error.code : error._tag),
    onSuccess: ({ _tag }) => (_tag === "Signed" ? "verified" : "unsigned")
  })
}

/** Both directions of one message, and a body and a method that are not those that were signed. */
const bothWays = Effect.fnUntraced(function* (
  keys: Setup,
  version: Version,
  kind: Kind,
  one: Case,
  options: { readonly coverDigest: boolean; readonly nonce: string }
) {
  const { coverDigest, nonce } = options
  const profile = HttpSignatureProfile[version]
  const signing =
    kind === "request"
      ? Adcp.signRequest(oursOf(one), { profile, nonce, coverDigest })
      : Adcp.signWebhook(oursOf(one), { profile, nonce })
  const ours = yield* keys.provide(signing)
  const received = theirsOf(one, ours.fields)
  assert.strictEqual(yield* keys.theyVerify(received), "verified", JSON.stringify(received))
  assert.match(yield* keys.theyVerify({ ...received, method: "PURGE" }), /_signature_invalid$/)

  const theirs = keys.theySign(one, { coverContentDigest: coverDigest, nonce })
  const message = oursOf(one, theirs.headers)
  assert.strictEqual(yield* weVerify(keys, version, kind, message), "verified", JSON.stringify(theirs))
  assert.strictEqual(yield* weVerify(keys, version, kind, { ...message, method: "PURGE" }), `${kind}_signature_invalid`)
  if (one.body.length > 0 && (coverDigest || kind === "webhook")) {
    const body = `${one.body} `
    assert.match(yield* keys.theyVerify({ ...received, body }), /_digest_mismatch$/)
    assert.strictEqual(
      yield* weVerify(keys, version, kind, { ...message, body: utf8.encode(body) }),
      `${kind}_signature_digest_mismatch`
    )
  }
})

const nonceOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url")

// ---------------------------------------------------------------------------

describe.each(versions)("%s", (version) => {
  describe.each(["Ed25519", "ES256"] as const)("%s", (algorithm) => {
    it.live("requests: each verifies what the other signs", () =>
      Effect.gen(function* () {
        const keys = yield* setup(algorithm)
        for (const coverDigest of [true, false]) {
          for (let i = 0; i < 8; i++) {
            const nonce = nonceOf(new Uint8Array(16).fill(i))
            yield* bothWays(keys, version, "request", post, { coverDigest, nonce })
          }
        }
      })
    )

    it.live("webhooks: each verifies what the other signs", () =>
      Effect.gen(function* () {
        const keys = yield* setup(algorithm, "webhook")
        const nonce = nonceOf(new Uint8Array(16))
        yield* bothWays(keys, version, "webhook", post, { coverDigest: true, nonce })
      })
    )
  })

  it.live.prop(
    "requests of any kind",
    { draw: Draw },
    ({ draw }) =>
      Effect.gen(function* () {
        const { coverDigest } = draw
        const nonce = nonceOf(draw.nonce)
        yield* bothWays(yield* setup("Ed25519"), version, "request", caseOf(draw), { coverDigest, nonce })
      }),
    { arbitrary: { runs: 150 } }
  )
})

it.live("with one key, nonce and second, both write the same bytes", () =>
  Effect.gen(function* () {
    const keys = yield* setup("Ed25519")
    const nonce = nonceOf(new Uint8Array(16))
    const profile = HttpSignatureProfile.adcp31
    // Again, where a second passes between the two
    for (;;) {
      const before = seconds()
      const { fields } = yield* keys.provide(Adcp.signRequest(oursOf(post), { profile, nonce, coverDigest: false }))
      const theirs = keys.theySign(post, { nonce })
      if (seconds() !== before) continue
      const { "Signature-Input": input, Signature: signature } = theirs.headers
      assert.deepStrictEqual(fields, [
        ["Signature-Input", input!],
        ["Signature", signature!]
      ])
      return
    }
  })
)

describe("where theirs accepts what the profile does not allow", () => {
  /** A request with a signature over exactly these lines, by neither library. */
  const written = ({ keyid, raw }: Setup, lines: ReadonlyArray<string>, components: string, signature?: string) => {
    const created = seconds()
    const nonce = nonceOf(new Uint8Array(16))
    const member =
      `(${components});created=${created};expires=${created + 60};nonce="${nonce}";keyid="${keyid}"` +
      `;alg="ed25519";tag="adcp/request-signing/v1"`
    const base = [...lines, `"@signature-params": ${member}`].join("\n")
    const bytes = signRaw(null, Buffer.from(base), raw).toString("base64url")
    return { "Signature-Input": `sig1=${member}`, Signature: signature ?? `sig1=:${bytes}:` }
  }

  const target = `"@target-uri": ${post.url}`
  const lines = [`"@method": POST`, target, `"@authority": seller.example`, `"content-type": application/json`]

  /** What theirs and ours say of one message. */
  const verdicts = Effect.fnUntraced(function* (keys: Setup, one: Case, added: Record<string, string>) {
    const theirs = yield* keys.theyVerify({ ...one, headers: { ...one.headers, ...added } })
    return [theirs, yield* weVerify(keys, "adcp31", "request", oursOf(one, added))] as const
  })

  it.live("the control: what is right, both accept", () =>
    Effect.gen(function* () {
      const keys = yield* setup("Ed25519")
      const added = written(keys, lines, `"@method" "@target-uri" "@authority" "content-type"`)
      assert.deepStrictEqual(yield* verdicts(keys, post, added), ["verified", "verified"])
    })
  )

  it.live("parameters of a component are not read: `;req` in a request (RFC 9421 section 2.4)", () =>
    Effect.gen(function* () {
      const keys = yield* setup("Ed25519")
      const added = written(keys, lines, `"@method";req "@target-uri" "@authority" "content-type"`)
      const said = yield* verdicts(keys, post, added)
      assert.deepStrictEqual(said, ["verified", "request_signature_components_incomplete"])
    })
  )

  it.live("a component that comes twice (RFC 9421 section 2.5)", () =>
    Effect.gen(function* () {
      const keys = yield* setup("Ed25519")
      const twice = written(
        keys,
        [...lines, `"content-type": application/json`],
        `"@method" "@target-uri" "@authority" "content-type" "content-type"`
      )
      assert.deepStrictEqual(yield* verdicts(keys, post, twice), ["verified", "request_signature_header_malformed"])
    })
  )

  it.live("a key that is not said to be for signatures: `use` is absent", () =>
    Effect.gen(function* () {
      const keys = yield* setup("Ed25519", "request", { use: undefined })
      const added = written(keys, lines, `"@method" "@target-uri" "@authority" "content-type"`)
      assert.deepStrictEqual(yield* verdicts(keys, post, added), ["verified", "request_signature_key_purpose_invalid"])
    })
  )
})

// ---------------------------------------------------------------------------
// targets
// ---------------------------------------------------------------------------

const Target = Schema.Struct({
  scheme: Schema.Literals(["https", "HTTPS", "http"]),
  host: Schema.Literals(["seller.example", "SELLER.Example", "10.0.0.1", "[2001:DB8::1]", "xn--bcher-kva.example"]),
  port: Schema.Literals(["", ":443", ":80", ":8443", ":"]),
  segments: Schema.Array(
    Schema.Literals([
      "",
      ".",
      "..",
      "a",
      "%61",
      "%2f",
      "%2F",
      "%7e",
      "~",
      "%C3%A9",
      "%c3%a9",
      "a=b",
      "a;b",
      "a,b",
      "@:"
    ])
  ),
  query: Schema.Array(Schema.Literals(["a=1", "b=%2f", "%61=1", "", "c=%7E", "d=a+b", "e=/?"])),
  fragment: Schema.Literals(["", "#top"])
})

const urlOf = ({ fragment, host, port, query, scheme, segments }: typeof Target.Type) =>
  `${scheme}://${host}${port}${segments.map((segment) => `/${segment}`).join("")}` +
  `${query.length === 0 ? "" : `?${query.join("&")}`}${fragment}`

const ourUri = (url: string) =>
  Effect.match(Adcp.canonicalUri(url), { onFailure: () => "refused", onSuccess: ({ uri }) => uri })

const theirUri = (url: string) => {
  try {
    return canonicalTargetUri(url)
  } catch {
    return "refused"
  }
}

describe("targets", () => {
  it.live.prop(
    "both have one canonical form of a URL, but for the query, which AdCP keeps byte for byte",
    { target: Target },
    ({ target }) =>
      Effect.gen(function* () {
        const url = urlOf(target)
        const [ours, theirs] = [yield* ourUri(url), theirUri(url)]
        const [path] = ours.split("?") as [string]
        const query = url.split("#")[0]!.split("?").slice(1).join("?")
        assert.strictEqual(path, theirs.split("?")[0], url)
        assert.strictEqual(ours, target.query.length === 0 ? path : `${path}?${query}`, url)
      }),
    { arbitrary: { runs: 500 } }
  )

  it.live.each([
    ["https://seller.example/p?x=%61%7e", "https://seller.example/p?x=%61%7e", "https://seller.example/p?x=a~"]
  ] as const)("%s is %s, and to theirs %s", ([url, ours, theirs]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual([yield* ourUri(url), theirUri(url)], [ours, theirs])
    })
  )
})
