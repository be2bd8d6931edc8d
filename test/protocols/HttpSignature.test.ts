import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Result } from "effect"
import { TestClock } from "effect/testing"
import { PrivateKey } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as HttpSignature from "../../src/protocols/HttpSignature.ts"
import { seal } from "../../src/protocols/http/HttpSignatureWriter.ts"
import { KeyVersion } from "../../src/schemas/KeyVersion.ts"
import { Signature } from "../../src/schemas/Signature.ts"
import type { SignatureAlgorithm } from "../../src/schemas/SignatureAlgorithm.ts"
import * as StructuredFields from "../../src/schemas/StructuredFields.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Mac from "../../src/services/Mac.ts"
import * as Signer from "../../src/services/Signer.ts"

const now = 1_700_000_000

const live = (algorithm: SignatureAlgorithm = "Ed25519") =>
  KeyResolver.layerSigner().pipe(Layer.provideMerge(LocalSigner.layerGenerated(algorithm)))

const utf8 = new TextEncoder()

const request = HttpMessage.request({
  method: "POST",
  target: "/orders?a=1&b=2&b=3",
  scheme: "https",
  fields: [
    ["Host", "api.example"],
    ["Content-Type", "application/json"],
    ["Priority", "u=1, i"],
    ["X-Lines", "a"],
    ["X-Lines", "b"]
  ],
  trailers: [["X-End", "done"]],
  body: utf8.encode("{}")
})

const response = HttpMessage.response({ status: 200, fields: [["Content-Type", "text/plain"]], request })

const policy: HttpSignature.Policy = {
  components: ["@method"],
  algorithms: ["Ed25519"],
  maxAge: "5 minutes",
  skew: "30 seconds",
  tag: undefined
}
const covering = ["@method", "content-digest"]

const reasonOf = <A, E extends { readonly _tag: string; readonly reason?: unknown }, R>(
  effect: Effect.Effect<A, E, R>
) =>
  Effect.map(Effect.result(effect), (outcome) =>
    Result.isSuccess(outcome) ? "accepted" : String(outcome.failure.reason ?? outcome.failure._tag)
  )

/** A message with a signature over exactly this member of `Signature-Input`, whatever it says. */
const sealed = Effect.fnUntraced(function* <M extends HttpMessage.HttpMessage>(
  message: M,
  member: string,
  label = "sig1"
) {
  const signer = yield* Signer.Signer
  const dictionary = Result.getOrThrow(StructuredFields.parseDictionary(`${label}=${member}`))
  const input = dictionary[0]![1] as StructuredFields.InnerList
  const { signed } = yield* seal({ message, added: [], label }, input, {}, signer.sign)
  return signed.message
})

/** A message with a signature that nobody made. */
const claimed = (message: HttpMessage.HttpMessage, member: string): HttpMessage.HttpMessage => ({
  ...message,
  fields: [
    ...message.fields,
    ["Signature-Input", `sig1=${member}`],
    ["Signature", `sig1=:${Buffer.alloc(64).toString("base64")}:`]
  ]
})

const atTheTime = TestClock.setTime(now * 1000)

describe("components", () => {
  it.effect.each([
    // names
    [`"@signature-params"`, "request", "ComponentInvalid"],
    [`"@unknown"`, "request", "ComponentInvalid"],
    [`"@METHOD"`, "request", "ComponentInvalid"],
    [`"Content-Type"`, "request", "ComponentInvalid"],
    [`"content type"`, "request", "ComponentInvalid"],
    [`""`, "request", "ComponentInvalid"],
    [`content-type`, "request", "ComponentInvalid"],
    [`1`, "request", "ComponentInvalid"],
    // the wrong message
    [`"@status"`, "request", "ComponentInvalid"],
    [`"@method"`, "response", "ComponentInvalid"],
    [`"@target-uri"`, "response", "ComponentInvalid"],
    [`"@authority"`, "response", "ComponentInvalid"],
    [`"@scheme"`, "response", "ComponentInvalid"],
    [`"@request-target"`, "response", "ComponentInvalid"],
    [`"@path"`, "response", "ComponentInvalid"],
    [`"@query"`, "response", "ComponentInvalid"],
    [`"@query-param";name="a"`, "response", "ComponentInvalid"],
    [`"@status";req`, "response", "ComponentInvalid"],
    [`"@method";req`, "request", "ComponentInvalid"],
    [`"content-type";req`, "request", "ComponentInvalid"],
    // parameters of derived components
    [`"@method";sf`, "request", "ComponentInvalid"],
    [`"@method";bs`, "request", "ComponentInvalid"],
    [`"@method";tr`, "request", "ComponentInvalid"],
    [`"@method";key="a"`, "request", "ComponentInvalid"],
    [`"@method";name="a"`, "request", "ComponentInvalid"],
    [`"@query-param"`, "request", "ComponentInvalid"],
    [`"@query-param";name`, "request", "ComponentInvalid"],
    [`"@query-param";name=a`, "request", "ComponentInvalid"],
    [`"@query-param";name="a";bs`, "request", "ComponentInvalid"],
    // parameters of fields
    [`"content-type";name="a"`, "request", "ComponentInvalid"],
    [`"content-type";unknown`, "request", "ComponentInvalid"],
    [`"priority";sf;bs`, "request", "ComponentInvalid"],
    [`"priority";key="u";bs`, "request", "ComponentInvalid"],
    [`"priority";key="u";sf;bs`, "request", "ComponentInvalid"],
    [`"priority";sf=?0`, "request", "ComponentInvalid"],
    [`"priority";sf=1`, "request", "ComponentInvalid"],
    [`"priority";bs="a"`, "request", "ComponentInvalid"],
    [`"priority";tr=?0`, "request", "ComponentInvalid"],
    [`"priority";key`, "request", "ComponentInvalid"],
    [`"priority";key=u`, "request", "ComponentInvalid"],
    // twice
    [`"content-type" "content-type"`, "request", "ComponentInvalid"],
    [`"content-type" "@method" "content-type"`, "request", "ComponentInvalid"],
    [`"content-type";sf;tr "content-type";tr;sf`, "request", "ComponentInvalid"],
    // what the message does not have
    [`"x-none"`, "request", "ComponentUnavailable"],
    [`"x-end"`, "request", "ComponentUnavailable"],
    [`"content-type";tr`, "request", "ComponentUnavailable"],
    [`"content-type";sf`, "request", "ComponentUnavailable"],
    [`"content-type";key="a"`, "request", "ComponentUnavailable"],
    [`"priority";key="x"`, "request", "ComponentUnavailable"],
    [`"@query-param";name="c"`, "request", "ComponentUnavailable"],
    [`"@query-param";name="b"`, "request", "ComponentUnavailable"],
    [`"x-end";tr`, "response", "ComponentUnavailable"],
    // what is right
    [`"@method" "@target-uri" "@authority" "@scheme" "@request-target" "@path" "@query"`, "request", "accepted"],
    [`"@query-param";name="a" "priority";sf "priority";key="u" "priority";key="i"`, "request", "accepted"],
    [`"priority";sf;key="u" "x-lines" "x-lines";bs "x-end";tr "x-end";tr;bs`, "request", "accepted"],
    [`"@status" "@method";req "priority";req;sf "x-end";tr;req "@query-param";req;name="a"`, "response", "accepted"]
  ] as const)("%s of a %s: %s", ([identifiers, kind, expected]) =>
    Effect.gen(function* () {
      yield* atTheTime
      const source = kind === "request" ? { ...request, body: undefined } : response
      const message = { ...source, fields: [...source.fields, ["X-Anchor", "1"] as const] }
      const member = `("x-anchor" ${identifiers});created=${now}`
      assert.strictEqual(yield* reasonOf(sealed(message, member)), expected)
      // A verifier says the same, before it looks at the signature
      const outcome = yield* reasonOf(
        HttpSignature.verify(claimed(message, member), { ...policy, components: ["x-anchor"] })
      )
      assert.strictEqual(outcome, expected === "accepted" ? "SignatureInvalid" : expected)
    }).pipe(Effect.provide(live()))
  )

  it.effect.each([
    ["a=1&b=2", "a", "1"],
    ["a", "a", ""],
    ["a=", "a", ""],
    ["a=b=c", "a", "b%3Dc"],
    ["a=b+c", "a", "b%20c"],
    ["a=b%2Bc", "a", "b%2Bc"],
    ["a='~()!*-._", "a", "%27%7E%28%29%21*-._"],
    ["a=%c3%a9", "a", "%C3%A9"],
    ["%61=1", "a", "1"],
    ["a=%zz", "a", "%25zz"],
    ["&&a=1&&", "a", "1"],
    ["a+b=1", "a%20b", "1"],
    ["a+b=1", "a+b", undefined],
    ["a=1&a=1", "a", undefined],
    ["a=1&%61=2", "a", undefined],
    ["a=%ff", "a", undefined],
    ["a=\u0169", "a", undefined],
    ["A=1", "a", undefined],
    ["", "a", undefined]
  ] as const)("of the query %s the parameter %s is %s", ([query, name, expected]) =>
    Effect.gen(function* () {
      const message = HttpMessage.request({ method: "GET", target: `/?${query}`, fields: [] })
      const outcome = yield* Effect.result(HttpSignature.explain(claimed(message, `("@query-param";name="${name}")`)))
      assert.strictEqual(Result.isSuccess(outcome) ? /: (.*)\n/.exec(outcome.success.base)![1] : undefined, expected)
    })
  )

  it.effect("a digest that is absent is added, by the algorithm that is covered", () =>
    Effect.gen(function* () {
      const components = [`content-digest;key="sha-512"`, "@method"]
      const { fields, message } = yield* HttpSignature.sign(request, { components })
      assert.match(fields[0]![1], /^sha-512=:/)
      assert.strictEqual(yield* reasonOf(HttpSignature.verify(message, policy)), "accepted")
      const weak = HttpSignature.sign(request, { components: [`content-digest;key="md5"`] })
      assert.strictEqual(yield* reasonOf(weak), "ComponentUnavailable")
    }).pipe(Effect.provide(live()))
  )

  it.effect("what the source of a message cannot know is refused", () =>
    Effect.gen(function* () {
      const fetched = HttpMessage.fromFetchRequest(new Request("https://api.example/a?b", { headers: { "x-a": "1" } }))
      for (const component of ["@request-target", "x-a;bs", "x-a;tr"]) {
        assert.strictEqual(
          yield* reasonOf(HttpSignature.sign(fetched, { components: [component] })),
          "ComponentUnavailable"
        )
      }
      const alone = HttpMessage.response({ status: 200, fields: [] })
      assert.strictEqual(
        yield* reasonOf(HttpSignature.sign(alone, { components: ["@method;req"] })),
        "ComponentUnavailable"
      )
    }).pipe(Effect.provide(live()))
  )

  it.effect.each([
    ["a\r\nb", "a line that goes on without a blank"],
    ["a\nb", "a bare line feed"],
    ["a\rb", "a bare carriage return"],
    ["a\0b", "a NUL"],
    ["caf\u00e9", "a byte that is not ASCII"]
  ] as const)("%j is not signed: %s", ([value]) =>
    Effect.gen(function* () {
      const message = HttpMessage.request({ method: "GET", target: "https://a.example/", fields: [["X-A", value]] })
      assert.strictEqual(yield* reasonOf(HttpSignature.sign(message, { components: ["x-a"] })), "ComponentUnavailable")
    }).pipe(Effect.provide(live()))
  )

  it.effect("bytes that are not ASCII are covered with bs", () =>
    Effect.gen(function* () {
      const message = HttpMessage.request({ method: "GET", target: "https://a.example/", fields: [["X-A", "\u00e9"]] })
      const { message: signed } = yield* HttpSignature.sign(message, { components: ["@method", "x-a;bs"] })
      const { signatures } = yield* HttpSignature.verify(signed, policy)
      assert.strictEqual(HttpSignature.value(signatures[0], "x-a;bs"), ":6Q==:")
    }).pipe(Effect.provide(live()))
  )

  it.effect.each([
    ["https", "API.Example:443", "api.example"],
    ["https", "api.example:80", "api.example:80"],
    ["http", "api.example:80", "api.example"],
    ["http", "api.example:", "api.example"],
    ["https", "[2001:DB8::1]:8443", "[2001:db8::1]:8443"],
    [undefined, "api.example:8080", "api.example:8080"],
    [undefined, "api.example:443", undefined],
    ["https", "user@api.example", undefined],
    ["https", "api.example/a", undefined],
    ["https", "", undefined]
  ] as const)("the authority of %s and %s is %s", ([scheme, host, expected]) =>
    Effect.gen(function* () {
      const message = HttpMessage.request({ method: "GET", target: "/", scheme, fields: [["Host", host]] })
      const outcome = yield* Effect.result(HttpSignature.explain(claimed(message, `("@authority")`)))
      assert.strictEqual(Result.isSuccess(outcome) ? /: (.*)\n/.exec(outcome.success.base)![1] : undefined, expected)
    })
  )
})

describe("policy", () => {
  const member = (parameters: string) => `("@method" "content-digest");${parameters}`
  const digest = "content-digest"
  const withDigest = Effect.map(
    HttpSignature.sign(request, { components: [digest] }),
    ({ fields }): HttpMessage.HttpRequest => ({ ...request, fields: [...request.fields, fields[0]!] })
  )

  it.effect.each([
    [`created=${now}`, {}, "accepted"],
    // time: skew is granted at both ends
    [`created=${now + 30}`, {}, "accepted"],
    [`created=${now + 31}`, {}, "NotYetValid"],
    [`created=${now - 330}`, {}, "accepted"],
    [`created=${now - 331}`, {}, "TooOld"],
    [`created=${now - 331}`, { maxAge: "1 hour" }, "accepted"],
    [`created=${now - 60};expires=${now - 29}`, {}, "accepted"],
    [`created=${now - 60};expires=${now - 30}`, {}, "Expired"],
    [`created=${now};expires=${now}`, {}, "ParameterInvalid"],
    [`created=${now};expires=${now - 1}`, {}, "ParameterInvalid"],
    // parameters
    [`expires=${now + 60}`, {}, "ParameterMissing"],
    [`created="${now}"`, {}, "ParameterInvalid"],
    [`created=${now}.0`, {}, "ParameterInvalid"],
    [`created=-1`, {}, "ParameterInvalid"],
    [`created=@${now}`, {}, "ParameterInvalid"],
    [`created`, {}, "ParameterInvalid"],
    [`created=${now};keyid=k`, {}, "ParameterInvalid"],
    [`created=${now};nonce=1`, {}, "ParameterInvalid"],
    [`created=${now};alg=ed25519`, {}, "ParameterInvalid"],
    [`created=${now};keyid="other"`, {}, "KeyUnknown"],
    [`created=${now};unknown="a"`, {}, "accepted"],
    [`created=${now}`, { parameters: ["nonce"] }, "ParameterMissing"],
    [`created=${now};nonce="n"`, { parameters: ["nonce"] }, "accepted"],
    // algorithms
    [`created=${now};alg="ed25519"`, {}, "accepted"],
    [`created=${now};alg="Ed25519"`, {}, "AlgorithmUnsupported"],
    [`created=${now};alg="EdDSA"`, {}, "AlgorithmUnsupported"],
    [`created=${now};alg="none"`, {}, "AlgorithmUnsupported"],
    [`created=${now};alg="hmac-sha256"`, {}, "AlgorithmUnsupported"],
    [`created=${now};alg="ecdsa-p256-sha256"`, {}, "AlgorithmNotAllowed"],
    [`created=${now};alg="ecdsa-p256-sha256"`, { algorithms: ["Ed25519", "ES256"] }, "KeyUnknown"],
    [`created=${now}`, { algorithms: ["ES256"] }, "AlgorithmNotAllowed"],
    // tags and labels
    [`created=${now};tag="a"`, {}, "NoSignature"],
    [`created=${now};tag="a"`, { tag: "a" }, "accepted"],
    [`created=${now};tag=a`, { tag: "a" }, "NoSignature"],
    [`created=${now};tag="a"`, { tag: "b" }, "NoSignature"],
    [`created=${now}`, { tag: "a" }, "NoSignature"],
    [`created=${now}`, { label: "sig1" }, "accepted"],
    [`created=${now}`, { label: "sig2" }, "NoSignature"],
    // cover
    [`created=${now}`, { components: ["@method", digest] }, "accepted"],
    [`created=${now}`, { components: ["@method", "@path"] }, "NotCovered"],
    [`created=${now}`, { components: ["@method", "content-digest;req"] }, "NotCovered"],
    // the policy itself
    [`created=${now}`, { components: [] }, "InvalidConfiguration"],
    [`created=${now}`, { components: ["@nothing"] }, "InvalidConfiguration"],
    [`created=${now}`, { algorithms: [] }, "InvalidConfiguration"],
    [`created=${now}`, { maxAge: "a while" }, "InvalidConfiguration"],
    [`created=${now}`, { skew: -1 }, "InvalidConfiguration"],
    [`created=${now - 1_000_000}`, { maxAge: Number.POSITIVE_INFINITY }, "accepted"]
  ] as const)("%s with %j: %s", ([parameters, change, expected]) =>
    Effect.gen(function* () {
      yield* atTheTime
      const message = yield* sealed(yield* withDigest, member(parameters))
      const changed = { ...policy, ...change } as HttpSignature.Policy
      assert.strictEqual(yield* reasonOf(HttpSignature.verify(message, changed)), expected)
    }).pipe(Effect.provide(live()))
  )

  it.effect("a signature that covers nothing never verifies", () =>
    Effect.gen(function* () {
      yield* atTheTime
      const message = yield* sealed({ ...request, body: undefined }, `();created=${now}`)
      const error = yield* Effect.flip(HttpSignature.verify(message, policy))
      assert.strictEqual(error.message, "HttpSignatureInvalid: NotCovered: the signature covers nothing")
      assert.strictEqual(yield* reasonOf(HttpSignature.sign(request, { components: [] })), "InvalidConfiguration")
    }).pipe(Effect.provide(live()))
  )

  it.effect.each(["0 seconds", "999 millis", "a while" as "1 second", Number.POSITIVE_INFINITY] as const)(
    "a signature cannot expire in %s",
    (expiresIn) =>
      Effect.gen(function* () {
        const signed = HttpSignature.sign(request, { components: covering, expiresIn })
        assert.strictEqual(yield* reasonOf(signed), "InvalidConfiguration")
      }).pipe(Effect.provide(live()))
  )

  it.effect("the key must be the one that is named, of the algorithm that is stated", () =>
    Effect.gen(function* () {
      const { message } = yield* HttpSignature.sign(request, { components: covering, alg: true })
      const others = yield* KeyResolver.fromKeys([
        { publicKey: (yield* PrivateKey.generate("ES256")).publicKey, keyId: "k" }
      ])
      const liar = KeyResolver.KeyResolver.of({ resolve: () => others.resolve({ keyId: "k" }) })
      const both = { ...policy, algorithms: ["Ed25519", "ES256"] } as const
      const verified = (effect: ReturnType<typeof HttpSignature.verify>) =>
        reasonOf(Effect.provideService(effect, KeyResolver.KeyResolver, liar))
      assert.strictEqual(yield* verified(HttpSignature.verify(message, both)), "KeyUnknown")
      const { message: unnamed } = yield* HttpSignature.sign(request, { components: covering, alg: true, keyId: false })
      assert.strictEqual(yield* verified(HttpSignature.verify(unnamed, both)), "AlgorithmMismatch")
    }).pipe(Effect.provide(live()))
  )
})

describe("content", () => {
  it.effect("that is no bytes has no digest", () =>
    Effect.gen(function* () {
      const text = { ...request, body: "text" as never }
      assert.strictEqual(yield* reasonOf(HttpSignature.sign(text, { components: ["content-digest"] })), "DigestInvalid")
    }).pipe(Effect.provide(live()))
  )

  it.effect("what is covered is checked, when signing and when verifying", () =>
    Effect.gen(function* () {
      const { message } = yield* HttpSignature.sign(request, { components: covering })
      const verified = yield* HttpSignature.verify(message, policy)
      assert.deepStrictEqual(verified.body, request.body)
      const other = utf8.encode("[]")
      assert.strictEqual(yield* reasonOf(HttpSignature.verify({ ...message, body: other }, policy)), "DigestInvalid")
      assert.strictEqual(
        yield* reasonOf(HttpSignature.verify({ ...message, body: undefined }, policy)),
        "DigestInvalid"
      )
      const wrong = {
        ...message,
        fields: message.fields.filter(([name]) => !name.startsWith("Signature")),
        body: other
      }
      assert.strictEqual(yield* reasonOf(HttpSignature.sign(wrong, { components: covering })), "DigestInvalid")
    }).pipe(Effect.provide(live()))
  )

  it.effect("content whose digest is not covered is refused, or not in the result", () =>
    Effect.gen(function* () {
      const { message } = yield* HttpSignature.sign(request, { components: ["@method"] })
      assert.strictEqual(yield* reasonOf(HttpSignature.verify(message, policy)), "NotCovered")
      const { body } = yield* HttpSignature.verify(message, { ...policy, body: "any" })
      assert.isUndefined(body)
      const empty = { ...message, body: new Uint8Array(0) }
      assert.strictEqual(yield* reasonOf(HttpSignature.verify(empty, policy)), "accepted")
    }).pipe(Effect.provide(live()))
  )

  it.effect("a member that is not covered, and one by a weak algorithm, vouch for nothing", () =>
    Effect.gen(function* () {
      yield* atTheTime
      const sha256 = "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=" // of {}
      const fields = (value: string): HttpMessage.HttpRequest => ({
        ...request,
        body: undefined,
        fields: [...request.fields, ["Content-Digest", value]]
      })
      const member = (key: string) => `("@method" "content-digest";key="${key}");created=${now}`
      const md5 = yield* sealed(fields(`md5=:mZFLkyvTelC5g8XnyQrpOw==:, sha-256=:${sha256}:`), member("md5"))
      assert.strictEqual(yield* reasonOf(HttpSignature.verify({ ...md5, body: request.body }, policy)), "DigestInvalid")
      const covered = yield* sealed(fields(`sha-256=:${sha256}:`), member("sha-256"))
      assert.strictEqual(yield* reasonOf(HttpSignature.verify({ ...covered, body: request.body }, policy)), "accepted")
    }).pipe(Effect.provide(live()))
  )

  it.effect("a digest of the request that is covered by the response is checked, too", () =>
    Effect.gen(function* () {
      const { message: asked } = yield* HttpSignature.sign(request, { components: covering })
      const answer = HttpMessage.response({ status: 204, fields: [], request: asked })
      const { message } = yield* HttpSignature.sign(answer, { components: ["@status", "content-digest;req"] })
      const asking = { ...policy, components: ["@status"] }
      assert.strictEqual(yield* reasonOf(HttpSignature.verify(message, asking)), "accepted")
      // The digest of the request is not that of the response
      const answered = { ...message, body: utf8.encode("answer") }
      assert.strictEqual(yield* reasonOf(HttpSignature.verify(answered, asking)), "NotCovered")
      const forged = { ...message, request: { ...asked, body: utf8.encode("[]") } }
      assert.strictEqual(yield* reasonOf(HttpSignature.verify(forged, asking)), "DigestInvalid")
    }).pipe(Effect.provide(live()))
  )
})

describe("several signatures", () => {
  it.effect("each has its result, and the mode says how many are needed", () =>
    Effect.gen(function* () {
      const { message: first } = yield* HttpSignature.sign(request, { components: covering })
      const stranger = yield* LocalSigner.make({ privateKey: yield* PrivateKey.generate("Ed25519") })
      const { message } = yield* HttpSignature.sign(first, { components: [...covering, "@path"], label: "other" }).pipe(
        Effect.provideService(Signer.Signer, stranger)
      )
      assert.strictEqual(yield* reasonOf(HttpSignature.verify(message, policy)), "KeyUnknown")
      const { outcomes, signatures } = yield* HttpSignature.verify(message, { ...policy, mode: "any" })
      assert.deepStrictEqual(
        outcomes.map(({ label, outcome }) => [label, Result.isSuccess(outcome)]),
        [
          ["sig1", true],
          ["other", false]
        ]
      )
      assert.strictEqual(signatures.length, 1)
      // Only what the one that verifies covers
      assert.isUndefined(HttpSignature.value(signatures[0], "@path"))
      assert.strictEqual(yield* reasonOf(HttpSignature.verify(message, { ...policy, label: "sig1" })), "accepted")
    }).pipe(Effect.provide(live()))
  )

  it.effect("a first one that is invalid fails, whatever comes after it", () =>
    Effect.gen(function* () {
      const { message } = yield* HttpSignature.sign(claimed(request, `("@method" "content-type");created=0`), {
        components: covering,
        label: "good"
      })
      assert.strictEqual(yield* reasonOf(HttpSignature.verify(message, { ...policy, body: "any" })), "SignatureInvalid")
    }).pipe(Effect.provide(live()))
  )

  it.effect.each([
    [
      "a signature that is not described",
      [
        ["Signature-Input", `a=("@method");created=0`],
        ["Signature", "a=:AAAA:, b=:AAAA:"]
      ],
      "Malformed"
    ],
    ["a label in one field only", [["Signature-Input", `sig1=("@method");created=0`]], "Malformed"],
    [
      "other labels",
      [
        ["Signature-Input", `a=("@method");created=0`],
        ["Signature", "b=:AAAA:"]
      ],
      "Malformed"
    ],
    [
      "a label twice",
      [
        ["Signature-Input", `a=("@method");created=0`],
        ["Signature-Input", `a=("@path");created=0`],
        ["Signature", "a=:AAAA:"]
      ],
      "Malformed"
    ],
    [
      "a parameter twice",
      [
        ["Signature-Input", `a=("@method");created=0;created=1`],
        ["Signature", "a=:AAAA:"]
      ],
      "Malformed"
    ],
    [
      "no inner list",
      [
        ["Signature-Input", `a="@method"`],
        ["Signature", "a=:AAAA:"]
      ],
      "Malformed"
    ],
    [
      "no bytes",
      [
        ["Signature-Input", `a=("@method");created=0`],
        ["Signature", `a="AAAA"`]
      ],
      "Malformed"
    ],
    [
      "a signature with a parameter",
      [
        ["Signature-Input", `a=("@method");created=0`],
        ["Signature", "a=:AAAA:;b"]
      ],
      "Malformed"
    ],
    [
      "base64url",
      [
        ["Signature-Input", `a=("@method");created=0`],
        ["Signature", "a=:_-_-:"]
      ],
      "Malformed"
    ],
    [
      "too many",
      [
        ["Signature-Input", Array.from({ length: 17 }, (_, i) => `a${i}=("@method");created=0`).join()],
        ["Signature", Array.from({ length: 17 }, (_, i) => `a${i}=:AAAA:`).join()]
      ],
      "TooLarge"
    ],
    [
      "too many components",
      [
        ["Signature-Input", `a=(${Array.from({ length: 129 }, (_, i) => `"x${i}"`).join(" ")});created=0`],
        ["Signature", "a=:AAAA:"]
      ],
      "TooLarge"
    ],
    ["none", [], "NoSignature"]
  ] as const)("%s", ([, lines, expected]) =>
    Effect.gen(function* () {
      const message = { ...request, fields: [...request.fields, ...lines] }
      assert.strictEqual(yield* reasonOf(HttpSignature.verify(message, policy)), expected)
    }).pipe(Effect.provide(live()))
  )

  it.effect("another alphabet is written and read where both sides state it", () =>
    Effect.gen(function* () {
      const options = { components: covering, alphabet: "base64url" } as const
      const { fields, message } = yield* HttpSignature.sign(request, options)
      assert.match(fields[0]![1], /^sha-256=:[\w-]{43}:$/)
      assert.match(fields[2]![1], /^sig1=:[\w-]{86}:$/)
      assert.strictEqual(yield* reasonOf(HttpSignature.verify(message, policy)), "Malformed")
      for (const alphabet of ["base64url", "either"] as const) {
        assert.strictEqual(yield* reasonOf(HttpSignature.verify(message, { ...policy, alphabet })), "accepted")
      }
    }).pipe(Effect.provide(live()))
  )

  it.effect("a label that is taken, and a field that changes with the signature, are refused", () =>
    Effect.gen(function* () {
      const { message } = yield* HttpSignature.sign(request, { components: covering })
      assert.strictEqual(yield* reasonOf(HttpSignature.sign(message, { components: covering })), "LabelTaken")
      for (const component of ["signature", "signature-input;sf", "signature;bs"]) {
        const signed = HttpSignature.sign(message, { components: [component], label: "b" })
        assert.strictEqual(yield* reasonOf(signed), "ComponentInvalid")
      }
      assert.strictEqual(
        yield* reasonOf(HttpSignature.sign(message, { components: covering, label: "B" })),
        "InvalidConfiguration"
      )
    }).pipe(Effect.provide(live()))
  )
})

describe("keys", () => {
  it.effect.each([
    ["Ed25519", `;alg="ed25519"`],
    ["ES256", `;alg="ecdsa-p256-sha256"`],
    ["ES384", `;alg="ecdsa-p384-sha384"`],
    ["ML-DSA-44", `;alg="ml-dsa-44"`],
    ["ES512", undefined],
    ["ES256K", undefined]
  ] as const)("%s signs and verifies, and writes %s", ([algorithm, alg]) =>
    Effect.gen(function* () {
      const { message } = yield* HttpSignature.sign(request, { components: covering })
      const { signatures } = yield* HttpSignature.verify(message, { ...policy, algorithms: [algorithm] })
      assert.strictEqual(signatures[0].algorithm, algorithm)
      const named = yield* Effect.result(HttpSignature.sign(request, { components: covering, alg: true }))
      // Section 3.3.7: JOSE algorithms are never named
      if (Result.isFailure(named)) assert.isUndefined(alg)
      else assert.include(named.success.fields[1]![1], alg!)
    }).pipe(Effect.provide(live(algorithm)))
  )

  it.effect("an algorithm that neither RFC 9421 nor JOSE knows is refused", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf(HttpSignature.sign(request, { components: covering })), "UnsupportedAlgorithm")
    }).pipe(Effect.provide(live("BIP340")))
  )

  it.effect("keyid names the key that signed, also where it was rotated meanwhile", () =>
    Effect.gen(function* () {
      const old = yield* LocalSigner.make({ privateKey: yield* PrivateKey.generate("Ed25519") })
      const current = yield* LocalSigner.make({ privateKey: yield* PrivateKey.generate("Ed25519") })
      const rotated = Signer.Signer.of({
        ...old,
        publicKey: (version) => (version === undefined ? old.publicKey() : current.publicKey()),
        sign: (message) =>
          Effect.map(
            current.sign(message),
            ({ algorithm, bytes, keyId }) =>
              new Signature({ algorithm, bytes, keyId, keyVersion: KeyVersion.make("2") })
          )
      })
      const { message } = yield* Effect.provideService(
        HttpSignature.sign(request, { components: covering }),
        Signer.Signer,
        rotated
      )
      const resolver = KeyResolver.fromSigners([{ signer: current }])
      const verified = yield* Effect.provideService(
        HttpSignature.verify(message, policy),
        KeyResolver.KeyResolver,
        resolver
      )
      assert.strictEqual(verified.signatures.length, 1)
    })
  )

  it.effect("a Signer for another purpose does not sign", () =>
    Effect.gen(function* () {
      const signed = HttpSignature.sign(request, { components: covering, purpose: "orders" })
      assert.strictEqual(yield* reasonOf(signed), "InvalidConfiguration")
    }).pipe(Effect.provide(live()))
  )
})

describe("shared secrets", () => {
  const { algorithms: _, ...macPolicy } = policy
  const make = (keyId: string | undefined, algorithm: Mac.MacAlgorithm = "HS256") =>
    Mac.make({ algorithm, secret: Redacted.make(new Uint8Array(64).fill(7)), keyId })

  it.effect("sign and verify, by the functions that take a Mac alone", () =>
    Effect.gen(function* () {
      const mac = yield* make("shared")
      const { message } = yield* HttpSignature.signMac(request, mac, { components: covering, alg: true })
      assert.include(message.fields.at(-2)![1], `;alg="hmac-sha256";keyid="shared"`)
      const { signatures } = yield* HttpSignature.verifyMac(
        message,
        [yield* Mac.generate("HS256"), mac].slice(1),
        macPolicy
      )
      assert.strictEqual(signatures[0].mac.keyId, "shared")
      const other = yield* make("other")
      assert.strictEqual(yield* reasonOf(HttpSignature.verifyMac(message, other, macPolicy)), "KeyUnknown")
      const wrong = yield* Mac.generate("HS256")
      assert.strictEqual(yield* reasonOf(HttpSignature.verifyMac(message, wrong, macPolicy)), "SignatureInvalid")
      assert.strictEqual(yield* reasonOf(HttpSignature.verifyMac(message, [wrong, mac], macPolicy)), "KeyAmbiguous")
      const longer = yield* make("shared", "HS512")
      assert.strictEqual(yield* reasonOf(HttpSignature.verifyMac(message, longer, macPolicy)), "AlgorithmMismatch")
    })
  )

  it.effect("HS512 is of JOSE, and has no name", () =>
    Effect.gen(function* () {
      const mac = yield* make(undefined, "HS512")
      assert.strictEqual(
        yield* reasonOf(HttpSignature.signMac(request, mac, { components: covering, alg: true })),
        "InvalidConfiguration"
      )
      const { message } = yield* HttpSignature.signMac(request, mac, { components: covering })
      assert.strictEqual(yield* reasonOf(HttpSignature.verifyMac(message, mac, macPolicy)), "accepted")
    })
  )

  it.effect("a signature is no MAC", () =>
    Effect.gen(function* () {
      const { message } = yield* HttpSignature.sign(request, { components: covering, alg: true })
      const mac = yield* make(undefined)
      assert.strictEqual(yield* reasonOf(HttpSignature.verifyMac(message, mac, macPolicy)), "AlgorithmUnsupported")
    }).pipe(Effect.provide(live()))
  )
})

describe("Accept-Signature", () => {
  const wanted: HttpSignature.SignatureRequest = {
    label: "want",
    components: [`"@method"`, `"@query-param";name="a"`, `"content-digest"`],
    created: true,
    expires: true,
    nonce: "n-1",
    alg: "ed25519",
    tag: "orders"
  }
  const willing = {
    allowed: ["@method", '@query-param;name="a"', "content-digest"],
    tags: ["orders"],
    expiresIn: "1 minute"
  } as const

  it.effect("is built, parsed and fulfilled", () =>
    Effect.gen(function* () {
      const value = yield* HttpSignature.acceptSignature([wanted])
      assert.strictEqual(
        value,
        `want=("@method" "@query-param";name="a" "content-digest");created;expires;nonce="n-1";alg="ed25519";tag="orders"`
      )
      const asking = HttpMessage.response({ status: 401, fields: [["Accept-Signature", value]] })
      const requests = yield* HttpSignature.parseAcceptSignature(asking)
      assert.deepStrictEqual(requests, [wanted])
      const { label, message } = yield* HttpSignature.fulfill(request, requests[0]!, willing)
      assert.strictEqual(label, "want")
      const { signatures } = yield* HttpSignature.verify(message, {
        ...policy,
        components: wanted.components,
        tag: "orders",
        label: "want",
        parameters: ["nonce", "expires", "alg"]
      })
      assert.strictEqual(signatures[0].nonce, "n-1")
    }).pipe(Effect.provide(live()))
  )

  it.effect.each([
    ["more components", { components: [`"@method"`, `"authorization"`] }, {}, "NotFulfilled"],
    ["another tag", { tag: "other" }, {}, "NotFulfilled"],
    ["nothing", { components: [] }, {}, "NotFulfilled"],
    ["another key", { keyId: "other" }, {}, "NotFulfilled"],
    ["another algorithm", { alg: "rsa-pss-sha512" }, {}, "NotFulfilled"],
    ["an algorithm that is unknown", { alg: "rot13" }, {}, "AlgorithmUnsupported"],
    ["an expiry nobody stated", {}, { expiresIn: undefined }, "NotFulfilled"],
    ["this key", { keyId: "mine" }, { keyId: "mine" }, "accepted"]
  ] as const)("a request for %s", ([, change, options, expected]) =>
    Effect.gen(function* () {
      const fulfilled = HttpSignature.fulfill(request, { ...wanted, ...change }, { ...willing, ...options })
      assert.strictEqual(yield* reasonOf(fulfilled), expected)
    }).pipe(Effect.provide(live()))
  )

  it.effect.each([
    [`a="@method"`, "Malformed"],
    [`a=("@method"), a=()`, "Malformed"],
    [`a=("@method");created=1`, "ParameterInvalid"],
    [`a=("@method");tag=b`, "ParameterInvalid"],
    [`a=("@nothing")`, "ComponentInvalid"],
    [`a=("@method" "@method")`, "ComponentInvalid"]
  ] as const)("%s is refused: %s", ([value, expected]) =>
    Effect.gen(function* () {
      const asking = HttpMessage.response({ status: 401, fields: [["Accept-Signature", value]] })
      assert.strictEqual(yield* reasonOf(HttpSignature.parseAcceptSignature(asking)), expected)
    })
  )
})

describe("explain", () => {
  it.effect("shows the base and the first line that differs", () =>
    Effect.gen(function* () {
      yield* atTheTime
      const message = yield* sealed({ ...request, body: undefined }, `("@method" "@path");created=${now}`)
      const base = `"@method": POST\n"@path": /orders\n"@signature-params": ("@method" "@path");created=${now}`
      assert.deepStrictEqual(yield* HttpSignature.explain(message), { label: "sig1", base, difference: undefined })
      const theirs = base.replace("/orders", "/orders/")
      const { difference } = yield* HttpSignature.explain(message, { theirs })
      assert.deepStrictEqual(difference, { line: 2, ours: `"@path": /orders`, theirs: `"@path": /orders/` })
      const shorter = yield* HttpSignature.explain(message, { theirs: base.split("\n").slice(0, 2).join("\n") })
      assert.deepStrictEqual([shorter.difference?.line, shorter.difference?.theirs], [3, undefined])
    }).pipe(Effect.provide(live()))
  )
})

describe("cost", () => {
  it.effect("each field line is read a few times, however many components and signatures there are", () =>
    Effect.gen(function* () {
      const names = Array.from({ length: 128 }, (_, index) => `"x-${index}"`).join(" ")
      const labels = Array.from({ length: 16 }, (_, index) => `s${index}`)
      let reads = 0
      const lines: ReadonlyArray<HttpMessage.FieldLine> = [
        ...Array.from({ length: 2000 }, (_, index): HttpMessage.FieldLine => [`X-${index}`, "value"]),
        ["Signature-Input", labels.map((label) => `${label}=(${names});created=0`).join()],
        ["Signature", labels.map((label) => `${label}=:AAAA:`).join()]
      ]
      const fields = new Proxy(lines, {
        get: (target, property, receiver) => {
          if (typeof property === "string" && /^\d+$/.test(property)) reads++
          return Reflect.get(target, property, receiver) as unknown
        }
      })
      const message = { ...request, body: undefined, fields }
      const outcome = yield* reasonOf(HttpSignature.verify(message, { ...policy, components: ["x-0"] }))
      assert.strictEqual(outcome, "SignatureInvalid")
      assert.isBelow(reads, 8 * lines.length)
    }).pipe(Effect.provide(live()))
  )
})

describe("errors", () => {
  it.effect("hold nothing of the message but names of components", () =>
    Effect.gen(function* () {
      const secret = "hunter2-very-secret"
      const message = HttpMessage.request({
        method: "POST",
        target: `https://a.example/?token=${secret}&token=${secret}`,
        fields: [["Authorization", `Bearer ${secret}\u00e9`]],
        body: utf8.encode(secret)
      })
      for (const component of ["authorization", "authorization;sf", `@query-param;name="token"`]) {
        const error = yield* Effect.flip(HttpSignature.sign(message, { components: [component] }))
        assert.notInclude(JSON.stringify(error) + String(error), "hunter2")
      }
    }).pipe(Effect.provide(live()))
  )
})
