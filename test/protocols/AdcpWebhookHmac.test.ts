import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { createHmac } from "node:crypto"
import * as MemoryReplayStore from "../../src/layers/MemoryReplayStore.ts"
import * as AdcpWebhookHmac from "../../src/protocols/AdcpWebhookHmac.ts"
import type * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as Mac from "../../src/services/Mac.ts"
import * as Canary from "../../src/testing/Canary.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)
const at = (seconds: number) => TestClock.setTime(seconds * 1000)

/**
 * Of `static/test-vectors/webhook-hmac-sha256.json` (github.com/adcontextprotocol/adcp,
 * Apache-2.0). The secret is public: SHA-256 of
 * "adcp-webhook-hmac-test-vector-v1-DO-NOT-USE-IN-PRODUCTION".
 */
const publishedSecret = "cc237f7fe354609bb41360c6530a2deb7926f3cc55e91df3ff90e37202950b6c"

const published = [
  {
    id: "compact-js-style",
    timestamp: 1700000000,
    body: '{"event":"creative.status_changed","creative_id":"creative_123","status":"approved"}',
    signature: "sha256=0987f9b3e89d331142297dbc0e992edbc13b2ae29e7038ed8f948b565aa05c4b"
  },
  {
    id: "unicode-utf8",
    timestamp: 1700000000,
    body: '{"brand_name":"Café Münchën","tagline":"日本語テスト"}',
    signature: "sha256=0e445863247724694581d538497527218443961f15c9645d656b52d8fdca4f9c"
  },
  {
    id: "empty-body",
    timestamp: 1700000000,
    body: "",
    signature: "sha256=d9f70ba6cb43e92a8f55c1fc73bec0f8f07fa3a652e1ec1d5ee69846cfde9fe8"
  },
  {
    id: "timestamp-zero",
    timestamp: 0,
    body: '{"event":"test"}',
    signature: "sha256=e098ea1f745765614027918d988930b96c38a2f8e2b5d05560f4bffa53d77dcd"
  },
  {
    id: "timestamp-2040",
    timestamp: 2208988800,
    body: '{"event":"test"}',
    signature: "sha256=4b9923c61f2d51b20e4df1231827dd8b760b0ab99f80cab739cdead6841f0d69"
  },
  {
    id: "null-bytes",
    timestamp: 1700000000,
    body: '{"event":"test\u0000null"}',
    signature: "sha256=8c58874bc393c7941088d48da3af913c4dcb3fb20244bf0ab0543cb872cb5330"
  },
  {
    id: "trailing-newline",
    timestamp: 1700000000,
    body: '{"event":"test"}\n',
    signature: "sha256=a1ea163af47d6b34ce0de5d27c4c88b5dd9f348dd8a2bc2751a71f8f27622738"
  }
]

const duplicateKeys = {
  timestamp: 1700000000,
  body: '{"event":"creative.status_changed","creative_id":"creative_123","status":"approved","status":"rejected"}',
  signature: "sha256=7fd84f13f71228b5c0dc24b58acafaa62855b26fe5477a31e88884ed24ae5b7f"
}

const newSecret = AdcpWebhookHmac.secret(Redacted.make(publishedSecret), { keyId: "buyer-7" })

const fieldsOf = (timestamp: number | string, signature: string): ReadonlyArray<HttpMessage.FieldLine> => [
  ["X-ADCP-Timestamp", String(timestamp)],
  ["X-ADCP-Signature", signature]
]

const outcomeOf = <A extends { readonly keyId: string | undefined }, E extends { readonly _tag: string }, R>(
  verified: Effect.Effect<A, E, R>
) =>
  verified.pipe(
    Effect.match({
      onFailure: (error) =>
        error._tag === "WebhookInvalid" ? (error as never as AdcpWebhookHmac.WebhookInvalid).reason : error._tag,
      onSuccess: ({ keyId }) => keyId
    })
  )

describe("published vectors", () => {
  it.effect.each(published)("$id is signed byte for byte, and verified", ({ body, signature, timestamp }) =>
    Effect.gen(function* () {
      yield* at(timestamp)
      const secret = yield* newSecret
      const signed = yield* AdcpWebhookHmac.sign(utf8(body), secret)
      assert.deepStrictEqual(signed.fields, fieldsOf(timestamp, signature))
      const verified = yield* AdcpWebhookHmac.verify({ fields: signed.fields, body: utf8(body) }, { secrets: [secret] })
      assert.deepStrictEqual(verified, { timestamp, body: utf8(body), keyId: "buyer-7" })
    })
  )

  it.effect("a member that is there twice is a malformed body, not a wrong signature", () =>
    Effect.gen(function* () {
      const { body, signature, timestamp } = duplicateKeys
      yield* at(timestamp)
      const secrets = [yield* newSecret]
      const verify = (text: string, value: string) =>
        outcomeOf(AdcpWebhookHmac.verify({ fields: fieldsOf(timestamp, value), body: utf8(text) }, { secrets }))
      assert.strictEqual(yield* verify(body, signature), "BodyMalformed")
      // without a right signature nothing is said of the body
      assert.strictEqual(yield* verify(body, published[0]!.signature), "SignatureInvalid")
    })
  )

  it.effect.each([
    ["truncated-signature", "sha256=c4faf8", "Malformed"],
    ["wrong-algorithm-prefix", "sha512=0ae7bf3ebd08098a9bec251fd1405a852dfbe3f75f5f19d9aa3e81af0f2617ca", "Malformed"],
    ["empty-signature", "", "Malformed"],
    ["double-prefix", "sha256=sha256=2a96056c93bf02b81076e11769945c8d9bf47cccf5073310f9736a8e5b08063c", "Malformed"],
    ["body-tampered", "sha256=2a96056c93bf02b81076e11769945c8d9bf47cccf5073310f9736a8e5b08063c", "SignatureInvalid"],
    ["upper case", `sha256=${"2A".repeat(32)}`, "Malformed"],
    ["two of them", `${published[0]!.signature}, ${published[0]!.signature}`, "Malformed"]
  ])("refuses %s", ([, signature, reason]) =>
    Effect.gen(function* () {
      yield* at(1700000000)
      const delivery = { fields: fieldsOf(1700000000, signature!), body: utf8('{"event":"hacked"}') }
      const outcome = yield* outcomeOf(AdcpWebhookHmac.verify(delivery, { secrets: [yield* newSecret] }))
      assert.strictEqual(outcome, reason)
    })
  )

  it.effect.each([
    [1699999399, "TooOld"],
    [1699999699, "TooOld"],
    [1700000301, "TooNew"],
    [1700000401, "TooNew"],
    ["not-a-number", "Malformed"],
    ["1700000000.5", "Malformed"],
    ["2023-11-14T22:13:20Z", "Malformed"],
    ["", "Malformed"]
  ] as const)("refuses the time %s", ([timestamp, reason]) =>
    Effect.gen(function* () {
      yield* at(1700000000)
      const signature = `sha256=${createHmac("sha256", publishedSecret).update(`${timestamp}.{}`).digest("hex")}`
      const delivery = { fields: fieldsOf(timestamp, signature), body: utf8("{}") }
      assert.strictEqual(yield* outcomeOf(AdcpWebhookHmac.verify(delivery, { secrets: [yield* newSecret] })), reason)
    })
  )
})

describe("secret", () => {
  it.effect.each([
    ["31 bytes", "1234567890abcdef1234567890abcde"],
    ["nothing", ""],
    ["zeros", "0".repeat(32)],
    ["one letter", "a".repeat(64)],
    ["two letters", "ab".repeat(20)],
    ["four letters", "pass".repeat(8)]
  ])("refuses %s, and does not show it", ([, text]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(AdcpWebhookHmac.secret(Redacted.make(text!)))
      assert.match(error.message, /secret: (?:\d+ bytes; AdCP demands 32|repeats itself)/)
      if (text !== "") assert.notInclude(Canary.show(error), text!)
    })
  )

  it.effect("of any text is that of node:crypto", () =>
    Effect.gen(function* () {
      yield* at(1)
      const text = "ключ, который никто не угадает: 7f3a"
      const secret = yield* AdcpWebhookHmac.secret(Redacted.make(text))
      const { fields } = yield* AdcpWebhookHmac.sign(utf8("{}"), secret)
      assert.strictEqual(fields[1]![1], `sha256=${createHmac("sha256", text).update("1.{}").digest("hex")}`)
    })
  )
})

describe("verify", () => {
  const delivered = Effect.gen(function* () {
    yield* at(5000)
    const secret = yield* newSecret
    const body = utf8('{"idempotency_key":"k"}')
    return { secret, body, fields: (yield* AdcpWebhookHmac.sign(body, secret)).fields }
  })

  it.effect("accepts any of the secrets", () =>
    Effect.gen(function* () {
      const { body, fields, secret } = yield* delivered
      const other = yield* AdcpWebhookHmac.secret(Redacted.make("another secret of 32 bytes or so"), { keyId: "new" })
      const outcome = (secrets: ReadonlyArray<Mac.Service>) =>
        outcomeOf(AdcpWebhookHmac.verify({ fields, body }, { secrets }))
      assert.strictEqual(yield* outcome([other, secret]), "buyer-7")
      assert.strictEqual(yield* outcome([other]), "SignatureInvalid")
      assert.strictEqual(yield* outcome([]), "InvalidConfiguration")
      assert.strictEqual(yield* outcome([yield* Mac.generate("HS384")]), "InvalidConfiguration")
      assert.strictEqual(
        yield* outcomeOf(AdcpWebhookHmac.verify({ fields, body: undefined }, { secrets: [secret] })),
        "InvalidConfiguration"
      )
    })
  )

  it.effect("answers with a copy of the body that was verified", () =>
    Effect.gen(function* () {
      const { body, fields, secret } = yield* delivered
      const received = body.slice()
      const verified = yield* AdcpWebhookHmac.verify({ fields, body: received }, { secrets: [secret] })
      received.fill(0)
      assert.deepStrictEqual(verified.body, body)
    })
  )

  it.effect("refuses fields that are absent or there twice", () =>
    Effect.gen(function* () {
      const { body, fields, secret } = yield* delivered
      const outcome = (lines: ReadonlyArray<HttpMessage.FieldLine>) =>
        outcomeOf(AdcpWebhookHmac.verify({ fields: lines, body }, { secrets: [secret] }))
      assert.strictEqual(yield* outcome(fields.slice(1)), "FieldMissing")
      assert.strictEqual(yield* outcome(fields.slice(0, 1)), "FieldMissing")
      assert.strictEqual(yield* outcome([...fields, ["x-adcp-signature", fields[1]![1]]]), "Malformed")
      assert.strictEqual(yield* outcome([...fields, ["x-adcp-timestamp", fields[0]![1]]]), "Malformed")
    })
  )

  it.effect("refuses a body that two parsers read differently", () =>
    Effect.gen(function* () {
      yield* at(5000)
      const secret = yield* newSecret
      const outcome = (body: Uint8Array) =>
        Effect.gen(function* () {
          const { fields } = yield* AdcpWebhookHmac.sign(body, secret)
          return yield* outcomeOf(AdcpWebhookHmac.verify({ fields, body }, { secrets: [secret] }))
        })
      assert.strictEqual(yield* outcome(utf8('{"a":{"b":1,"b":2}}')), "BodyMalformed")
      assert.strictEqual(yield* outcome(utf8('[{"a":1,"\\u0061":2}]')), "BodyMalformed")
      assert.strictEqual(yield* outcome(Uint8Array.of(0x22, 0xff, 0x22)), "BodyMalformed")
      assert.strictEqual(yield* outcome(utf8('{"a":{"a":1}}')), "buyer-7")
      assert.strictEqual(yield* outcome(utf8("no json")), "buyer-7")
    })
  )

  it.effect("shows nothing of secret, body and signature", () =>
    Effect.gen(function* () {
      const { fields, secret } = yield* delivered
      const body = utf8('{"iban":"DE89370400440532013000"}')
      const error = yield* Effect.flip(AdcpWebhookHmac.verify({ fields, body }, { secrets: [secret] }))
      const secrets = [
        { name: "secret", secret: publishedSecret },
        { name: "body", secret: body },
        { name: "signature", secret: fields[1]![1].slice(7) }
      ]
      assert.isUndefined(Canary.search(secrets)(Canary.show([error, secret])))
    })
  )

  it.effect.prop(
    "never dies, whatever the fields and the body say",
    {
      time: Schema.Union([Schema.String, Schema.Literal("5000")]),
      signature: Schema.Union([Schema.String, Schema.Literal(published[0]!.signature)]),
      body: Schema.String
    },
    ({ body, signature, time }) =>
      Effect.gen(function* () {
        const { secret } = yield* delivered
        const delivery = { fields: fieldsOf(time, signature), body: utf8(body) }
        assert.notStrictEqual(yield* outcomeOf(AdcpWebhookHmac.verify(delivery, { secrets: [secret] })), "buyer-7")
      })
  )
})

describe("verifyOnce", () => {
  it.effect("accepts a delivery once, for as long as it could be accepted", () =>
    Effect.gen(function* () {
      yield* at(5300)
      const secret = yield* newSecret
      const body = utf8("{}")
      const { fields } = yield* AdcpWebhookHmac.sign(body, secret)
      const outcome = (scope: string) =>
        outcomeOf(AdcpWebhookHmac.verifyOnce({ fields, body }, { secrets: [secret], scope }))
      yield* at(5000)
      assert.strictEqual(yield* outcome("a"), "buyer-7")
      assert.strictEqual(yield* outcome("b"), "buyer-7")
      assert.strictEqual(yield* outcome("a"), "Replayed")
      // another webhook of the same second
      yield* at(5300)
      const other = { fields: (yield* AdcpWebhookHmac.sign(utf8("[]"), secret)).fields, body: utf8("[]") }
      const options = { secrets: [secret], scope: "a" }
      assert.strictEqual(yield* outcomeOf(AdcpWebhookHmac.verifyOnce(other, options)), "buyer-7")
      yield* at(5600)
      assert.strictEqual(yield* outcome("a"), "Replayed")
      yield* at(5601)
      assert.strictEqual(yield* outcome("a"), "TooOld")
    }).pipe(Effect.provide(MemoryReplayStore.layer()))
  )
})
