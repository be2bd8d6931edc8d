import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { TestClock } from "effect/testing"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as HttpSignature from "../../src/protocols/HttpSignature.ts"
import * as HttpSignatureProfile from "../../src/protocols/HttpSignatureProfile.ts"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../../src/schemas/SignatureAlgorithm.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Signer from "../../src/services/Signer.ts"

const { adcp30, adcp31, adcp32, rfc9421Strict, webBotAuth } = HttpSignatureProfile

const utf8 = new TextEncoder()

const post = (fields: ReadonlyArray<HttpMessage.FieldLine> = [["Content-Type", "application/json"]]) =>
  HttpMessage.request({
    method: "POST",
    target: "https://seller.example.com/adcp/create_media_buy?dry=1",
    fields,
    body: utf8.encode(`{"plan_id":"plan_001"}`)
  })

const get = HttpMessage.request({ method: "GET", target: "https://seller.example.com/feed", fields: [] })

const answer = HttpMessage.response({
  status: 200,
  fields: [["Content-Type", "application/json"]],
  body: utf8.encode(`{"ok":true}`),
  request: post()
})

const withKey = (algorithm: SignatureAlgorithm, purpose?: string) =>
  KeyResolver.layerSigner().pipe(Layer.provideMerge(LocalSigner.layerGenerated(algorithm, { purpose })))

const fieldOf = (message: HttpMessage.HttpMessage, name: string) =>
  message.fields.find(([other]) => other.toLowerCase() === name)?.[1] ?? ""

const reasonOf = (outcome: Result.Result<unknown, { readonly _tag: string; readonly reason?: unknown }>) =>
  Result.isSuccess(outcome) ? "verified" : (outcome.failure.reason ?? outcome.failure._tag)

const profiles: ReadonlyArray<{
  readonly profile: HttpSignatureProfile.Profile
  readonly message: HttpMessage.HttpMessage
  readonly covers: string
}> = [
  { profile: rfc9421Strict, message: post(), covers: "@method @target-uri content-type content-digest" },
  { profile: webBotAuth, message: get, covers: "@authority" },
  {
    profile: webBotAuth,
    message: post([["Signature-Agent", `"https://bot.example"`]]),
    covers: "@authority signature-agent"
  },
  {
    profile: adcp30.request,
    message: post(),
    covers: "@method @target-uri @authority content-type content-digest"
  },
  {
    profile: adcp31.webhook,
    message: post(),
    covers: "@method @target-uri @authority content-type content-digest"
  },
  {
    profile: adcp32.request,
    message: post(),
    covers: "@method @target-uri @authority content-type content-digest"
  },
  {
    profile: adcp32.response,
    message: answer,
    covers: "@status @method;req @authority;req @target-uri;req content-type content-digest"
  }
]

describe("profiles", () => {
  it.effect.each(profiles)("$profile.name signs what it verifies, in its order", ({ covers, message, profile }) =>
    Effect.gen(function* () {
      const signed = yield* HttpSignatureProfile.sign(profile, message)
      const input = fieldOf(signed.message, "signature-input")
      const listed = /^sig1=\(([^)]*)\)/.exec(input)![1]!.replaceAll(`"`, "")
      assert.strictEqual(listed, covers)
      const names = [...input.matchAll(/;([a-z]+)=/g)].map(([, name]) => name)
      assert.deepStrictEqual(
        names,
        profile.parameterOrder.filter((name) => names.includes(name))
      )
      const { signatures } = yield* HttpSignatureProfile.verify(profile, signed.message)
      assert.strictEqual(signatures[0].tag, profile.tag)
    }).pipe(Effect.provide(withKey("Ed25519", profile.purposes[0])))
  )

  it.effect("encode as their version says", () =>
    Effect.gen(function* () {
      const old = (yield* HttpSignatureProfile.sign(adcp31.request, post())).message
      const now = (yield* HttpSignatureProfile.sign(adcp32.request, post())).message
      for (const name of ["signature", "content-digest"]) {
        assert.match(fieldOf(old, name), /^[a-z0-9-]+=:[A-Za-z0-9_-]+:$/)
        assert.match(fieldOf(now, name), /^[a-z0-9-]+=:[A-Za-z0-9+/]+={1,2}:$/)
      }
      assert.strictEqual(reasonOf(yield* Effect.result(HttpSignatureProfile.verify(adcp32.request, old))), "Malformed")
      assert.strictEqual(reasonOf(yield* Effect.result(HttpSignatureProfile.verify(adcp31.request, now))), "verified")
    }).pipe(Effect.provide(withKey("Ed25519", "request-signing")))
  )

  it.effect("web-bot-auth names the key by its thumbprint, and the nonce has 64 bytes", () =>
    Effect.gen(function* () {
      const signer = yield* Signer.Signer
      const { message } = yield* HttpSignatureProfile.sign(webBotAuth, get)
      const input = fieldOf(message, "signature-input")
      assert.include(input, `;keyid="${PublicKey.thumbprint(yield* signer.publicKey())}"`)
      assert.match(input, /;tag="web-bot-auth"$/)
      assert.strictEqual(Buffer.from(/;nonce="([^"]+)"/.exec(input)![1]!, "base64").length, 64)
    }).pipe(Effect.provide(withKey("Ed25519")))
  )
})

describe("sign", () => {
  it.effect.each([
    { what: "another purpose", purpose: "webhook-signing", algorithm: "Ed25519", field: "purposes" },
    { what: "no purpose", purpose: undefined, algorithm: "Ed25519", field: "purposes" },
    { what: "another algorithm", purpose: "request-signing", algorithm: "ES384", field: "algorithms" }
  ] as const)("refuses a Signer with $what", ({ algorithm, field, purpose }) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(HttpSignatureProfile.sign(adcp32.request, post()))
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.strictEqual((error as { readonly field?: string }).field, field)
    }).pipe(Effect.provide(withKey(algorithm, purpose)))
  )

  it.effect("refuses a lifetime that the profile does not allow", () =>
    Effect.gen(function* () {
      const sign = (seconds: number) =>
        HttpSignatureProfile.sign(adcp32.request, post(), { expiresIn: `${seconds} seconds` })
      assert.strictEqual((yield* Effect.flip(sign(301)))._tag, "InvalidConfiguration")
      yield* sign(300)
    }).pipe(Effect.provide(withKey("Ed25519", "request-signing")))
  )

  it.effect("leaves the digest out where the caller says so and the profile lets it", () =>
    Effect.gen(function* () {
      const covered = (profile: HttpSignatureProfile.Profile) =>
        Effect.map(HttpSignatureProfile.sign(profile, post(), { coverDigest: false }), ({ message }) =>
          fieldOf(message, "signature-input").includes("content-digest")
        )
      assert.isFalse(yield* covered(adcp31.request))
      assert.isTrue(yield* covered(adcp32.request))
    }).pipe(Effect.provide(withKey("Ed25519", "request-signing")))
  )
})

type Change = { readonly [K in keyof HttpSignature.SignOptions]?: HttpSignature.SignOptions[K] | undefined }

describe("content that is not known", () => {
  const unread = { ...post(), body: undefined }

  it.effect("is not signed as if there were none", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(HttpSignatureProfile.sign(rfc9421Strict, unread))
      assert.strictEqual(reasonOf(Result.fail(error)), "ComponentUnavailable")
    }).pipe(Effect.provide(withKey("Ed25519")))
  )

  it.effect("is not verified as if there were none", () =>
    Effect.gen(function* () {
      const { message } = yield* HttpSignatureProfile.sign(rfc9421Strict, post())
      const outcome = yield* Effect.result(HttpSignatureProfile.verify(rfc9421Strict, { ...message, body: undefined }))
      assert.strictEqual(reasonOf(outcome), "DigestInvalid")
      const empty = HttpMessage.request({
        method: "POST",
        target: "https://a.example/",
        fields: [],
        body: new Uint8Array(0)
      })
      const bare = (yield* HttpSignatureProfile.sign(rfc9421Strict, empty)).message
      const other = yield* Effect.result(HttpSignatureProfile.verify(rfc9421Strict, { ...bare, body: undefined }))
      assert.strictEqual(reasonOf(other), "NotCovered")
    }).pipe(Effect.provide(withKey("Ed25519")))
  )
})

describe("verify", () => {
  const strict = { ...rfc9421Strict, tag: "orders" }
  const resign = (change: Change) =>
    Effect.gen(function* () {
      const options = yield* HttpSignatureProfile.signOptions(strict, post())
      const { message } = yield* HttpSignature.sign(post(), {
        ...options,
        maxLifetime: undefined,
        ...change
      } as HttpSignature.SignOptions)
      return reasonOf(yield* Effect.result(HttpSignatureProfile.verify(strict, message)))
    }).pipe(Effect.provide(withKey("Ed25519")))

  it.effect.each<{ readonly what: string; readonly change: Change; readonly reason: string }>([
    { what: "nothing", change: {}, reason: "verified" },
    { what: "a longer life", change: { expiresIn: "301 seconds" }, reason: "ParameterInvalid" },
    { what: "a short nonce", change: { nonce: "AAAAAAAAAAAAAAAAAAAA" }, reason: "ParameterInvalid" },
    { what: "a nonce that is no base64url", change: { nonce: "AAAAAAAAAAAAAAAAAAAAAA==" }, reason: "ParameterInvalid" },
    { what: "no nonce", change: { nonce: undefined }, reason: "ParameterMissing" },
    { what: "another tag", change: { tag: "other" }, reason: "NoSignature" },
    { what: "no digest", change: { components: ["@method", "@target-uri", "content-type"] }, reason: "NotCovered" },
    {
      what: "no method",
      change: { components: ["@target-uri", "content-type", "content-digest"] },
      reason: "NotCovered"
    }
  ])("$what: $reason", ({ change, reason }) =>
    Effect.map(resign(change), (outcome) => assert.strictEqual(outcome, reason))
  )

  it.effect("refuses a component that a profile forbids", () =>
    Effect.gen(function* () {
      const forbids = { ...adcp31.request, contentDigest: "forbidden" } as const
      const { message } = yield* HttpSignatureProfile.sign(adcp31.request, post())
      assert.strictEqual(
        reasonOf(yield* Effect.result(HttpSignatureProfile.verify(forbids, message))),
        "ComponentInvalid"
      )
      const own = yield* HttpSignatureProfile.sign(forbids, post())
      yield* HttpSignatureProfile.verify(forbids, own.message)
    }).pipe(Effect.provide(withKey("Ed25519", "request-signing")))
  )

  it.effect("lets a signature live as long as the profile says", () =>
    Effect.gen(function* () {
      const { message } = yield* HttpSignatureProfile.sign(strict, post())
      yield* TestClock.adjust("89 seconds")
      yield* HttpSignatureProfile.verify(strict, message)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(reasonOf(yield* Effect.result(HttpSignatureProfile.verify(strict, message))), "Expired")
    }).pipe(Effect.provide(withKey("Ed25519")))
  )
})
