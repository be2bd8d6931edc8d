import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { LocalSigner, PublicKey } from "effect-signer"
import { createHmac } from "node:crypto"
import * as MemoryReplayStore from "../../src/layers/MemoryReplayStore.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as StandardWebhooks from "../../src/protocols/StandardWebhooks.ts"
import * as Mac from "../../src/services/Mac.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)

/** The example of the reference libraries (github.com/standard-webhooks/standard-webhooks), in all of their languages. */
const published = {
  id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
  timestamp: 1614265330,
  body: utf8('{"test": 2432232314}'),
  secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  v1: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  privateKey: "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=",
  v1a: "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag=="
}

const secretOf = (text: string, keyId?: string) => StandardWebhooks.secret(Redacted.make(text), { keyId })
const newSecret = Effect.flatMap(StandardWebhooks.generateSecret, (text) => StandardWebhooks.secret(text))
const signerOf = (privateKey: LocalSigner.Options["privateKey"], purpose?: string) =>
  LocalSigner.make({ privateKey, purpose })
const webhook = { id: "msg_1", body: utf8('{"a":1}') }
const at = (seconds: number) => TestClock.setTime(seconds * 1000)

const fieldsOf = (id: string, timestamp: string, signature: string): ReadonlyArray<HttpMessage.FieldLine> => [
  ["Webhook-Id", id],
  ["Webhook-Timestamp", timestamp],
  ["Webhook-Signature", signature]
]

describe("the published example", () => {
  it.effect("v1 and v1a are signed byte for byte, and verified", () =>
    Effect.gen(function* () {
      yield* at(published.timestamp)
      const secret = yield* secretOf(published.secret)
      const privateKey = yield* StandardWebhooks.privateKey(Redacted.make(published.privateKey))
      const signer = yield* signerOf(privateKey)
      const signed = yield* StandardWebhooks.sign(published, { secrets: [secret], signers: [signer] })
      assert.deepStrictEqual(signed.fields, [
        ["webhook-id", published.id],
        ["webhook-timestamp", String(published.timestamp)],
        ["webhook-signature", `${published.v1} ${published.v1a}`]
      ])
      const { body } = published
      const delivery = { fields: signed.fields, body }
      const bySecret = yield* StandardWebhooks.verify(delivery, { secrets: [secret] })
      assert.deepStrictEqual(bySecret, {
        id: published.id,
        timestamp: published.timestamp,
        body,
        keyId: undefined
      })
      const publicKey = yield* signer.publicKey()
      const byKey = yield* StandardWebhooks.verify(delivery, { publicKeys: [publicKey] })
      assert.strictEqual(byKey.keyId, PublicKey.thumbprint(publicKey))
    })
  )

  it.effect("v1 is the HMAC of node:crypto, for secrets of every length", () =>
    Effect.gen(function* () {
      yield* at(1000)
      for (const length of [24, 31, 32, 33, 63, 64]) {
        const key = new Uint8Array(length).map((_, i) => i * 5 + length)
        const secret = yield* secretOf(`whsec_${Buffer.from(key).toString("base64")}`)
        const { fields } = yield* StandardWebhooks.sign(webhook, { secrets: [secret] })
        const expected = createHmac("sha256", key).update(`msg_1.1000.{"a":1}`).digest("base64")
        assert.strictEqual(fields[2]![1], `v1,${expected}`)
      }
    })
  )
})

describe("keys", () => {
  it.effect.each([
    "",
    "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_",
    "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", // no padding
    "whsec_ MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS_", // the other alphabet
    `whsec_${Buffer.alloc(23, 1).toString("base64")}`,
    `whsec_${Buffer.alloc(65, 1).toString("base64")}`,
    `whsec_${"A".repeat(100_000)}`
  ])("a secret is in its one form: %s", (text) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(secretOf(text))
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.strictEqual(error.field, "secret")
      if (text.length >= Canary.minLength && text.length < 200) {
        assert.isUndefined(Canary.search([{ name: "secret", secret: text.slice(6) || text }])(Canary.show(error)))
      }
    })
  )

  it.effect("a generated secret is read, and is another one each time", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* StandardWebhooks.generateSecret, yield* StandardWebhooks.generateSecret]
      assert.match(Redacted.value(a), /^whsec_[A-Za-z0-9+/]{43}=$/)
      assert.notStrictEqual(Redacted.value(a), Redacted.value(b))
      yield* StandardWebhooks.secret(a)
    })
  )

  it.effect("a public key is written and read", () =>
    Effect.gen(function* () {
      const signer = yield* signerOf(TestKey.make("Ed25519"))
      const key = yield* signer.publicKey()
      const text = StandardWebhooks.encodePublicKey(key)!
      assert.isTrue(PublicKey.sameKey(yield* StandardWebhooks.publicKey(text), key))
      const other = yield* LocalSigner.make({ privateKey: TestKey.make("ES256") })
      assert.isUndefined(StandardWebhooks.encodePublicKey(yield* other.publicKey()))
      for (const wrong of ["", "whpk_", text.slice(5), text.replace("whpk_", "whsk_"), `${text}=`]) {
        const error = yield* Effect.flip(StandardWebhooks.publicKey(wrong))
        assert.strictEqual(error.field, "publicKey")
      }
    })
  )

  it.effect("a private key is a seed, or a seed with its public key", () =>
    Effect.gen(function* () {
      const seed = Buffer.from("TESTSIGNINGKEYDONOTUSETHISFORANY")
      const signer = yield* signerOf(yield* StandardWebhooks.privateKey(Redacted.make(published.privateKey)))
      const whole = Buffer.concat([seed, PublicKey.toRaw(yield* signer.publicKey())])
      yield* StandardWebhooks.privateKey(Redacted.make(`whsk_${whole.toString("base64")}`))
      const mixed = Buffer.concat([seed, Buffer.alloc(32, 7)])
      for (const wrong of [mixed, seed.subarray(1)]) {
        yield* Effect.flip(StandardWebhooks.privateKey(Redacted.make(`whsk_${wrong.toString("base64")}`)))
      }
    })
  )
})

describe("sign", () => {
  it.effect.each([
    ["a period", { ...webhook, id: "msg.1" }, "id"],
    ["a comma", { ...webhook, id: "msg,1" }, "id"],
    ["a space", { ...webhook, id: "msg 1" }, "id"],
    ["a line break", { ...webhook, id: "msg\r\nX: 1" }, "id"],
    ["nothing", { ...webhook, id: "" }, "id"],
    ["too much", { ...webhook, id: "m".repeat(257) }, "id"],
    ["text for a body", { ...webhook, body: "{}" as never }, "body"]
  ] as const)("refuses %s", ([, wrong, field]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(StandardWebhooks.sign(wrong, { secrets: [yield* newSecret] }))
      assert.strictEqual(error._tag === "InvalidConfiguration" && error.field, field)
    })
  )

  it.effect("refuses no keys, too many, and those that are for something else", () =>
    Effect.gen(function* () {
      const secret = yield* newSecret
      const hs512 = yield* Mac.generate("HS512")
      const ed25519 = yield* signerOf(TestKey.make("Ed25519"), "webhooks")
      const es256 = yield* signerOf(TestKey.make("ES256"))
      const tagOf = (keys: StandardWebhooks.SigningKeys) =>
        Effect.map(Effect.flip(StandardWebhooks.sign(webhook, keys)), (error) => error._tag)
      assert.strictEqual(yield* tagOf({}), "InvalidConfiguration")
      assert.strictEqual(yield* tagOf({ secrets: Array.from({ length: 9 }, () => secret) }), "InvalidConfiguration")
      assert.strictEqual(yield* tagOf({ secrets: [hs512] }), "InvalidConfiguration")
      assert.strictEqual(yield* tagOf({ signers: [es256] }), "UnsupportedAlgorithm")
      assert.strictEqual(yield* tagOf({ signers: [ed25519], purpose: "releases" }), "InvalidConfiguration")
      yield* StandardWebhooks.sign(webhook, { signers: [ed25519], purpose: "webhooks" })
    })
  )
})

describe("verify", () => {
  const setup = Effect.gen(function* () {
    yield* at(10_000)
    const secret = yield* secretOf(published.secret, "s1")
    const { fields } = yield* StandardWebhooks.sign(webhook, { secrets: [secret] })
    const reasonOf = (
      delivery: StandardWebhooks.Delivery,
      options: StandardWebhooks.VerifyOptions = { secrets: [secret] }
    ) =>
      StandardWebhooks.verify(delivery, options).pipe(
        Effect.match({
          onFailure: (error) => (error._tag === "WebhookInvalid" ? error.reason : error._tag),
          onSuccess: ({ keyId }) => keyId ?? "verified"
        })
      )
    return { secret, fields, signature: fields[2]![1], reasonOf }
  })

  it.effect("accepts a signature by any of the secrets, and says which it was", () =>
    Effect.gen(function* () {
      const { fields, reasonOf, secret } = yield* setup
      const other = yield* newSecret
      const delivery = { fields, body: webhook.body }
      assert.strictEqual(yield* reasonOf(delivery), "s1")
      assert.strictEqual(yield* reasonOf(delivery, { secrets: [other, secret] }), "s1")
      assert.strictEqual(yield* reasonOf(delivery, { secrets: [other] }), "SignatureInvalid")
      const both = yield* StandardWebhooks.sign(webhook, { secrets: [other, secret] })
      assert.strictEqual(yield* reasonOf({ fields: both.fields, body: webhook.body }), "s1")
    })
  )

  it.effect("leaves signatures of other versions to others", () =>
    Effect.gen(function* () {
      const { reasonOf, signature } = yield* setup
      const body = webhook.body
      const wrong = "Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
      const deliver = (value: string) => ({ fields: fieldsOf("msg_1", "10000", value), body })
      assert.strictEqual(yield* reasonOf(deliver(`v1,${wrong} v2,${wrong} v9,?! ${signature}`)), "s1")
      assert.strictEqual(yield* reasonOf(deliver(`v2,${wrong}`)), "NoSignature")
      // by the other kind of key: the secret is never asked
      assert.strictEqual(yield* reasonOf(deliver(published.v1a)), "NoSignature")
      const publicKey = yield* Effect.flatMap(signerOf(TestKey.make("Ed25519")), (signer) => signer.publicKey())
      assert.strictEqual(yield* reasonOf(deliver(signature), { publicKeys: [publicKey] }), "NoSignature")
      assert.strictEqual(yield* reasonOf(deliver(published.v1a), { publicKeys: [publicKey] }), "SignatureInvalid")
    })
  )

  it.effect.each([
    ["no id", (f: ReadonlyArray<HttpMessage.FieldLine>) => f.slice(1), "FieldMissing"],
    ["no time", (f) => [f[0]!, f[2]!], "FieldMissing"],
    ["no signature", (f) => f.slice(0, 2), "FieldMissing"],
    ["two ids", (f) => [...f, ["WEBHOOK-ID", "msg_1"]], "Malformed"],
    ["two signatures", (f) => [...f, f[2]!], "Malformed"],
    ["another id", (f) => [["webhook-id", "msg_2"], f[1]!, f[2]!], "SignatureInvalid"],
    ["a period in the id", (f) => [["webhook-id", "msg.1"], f[1]!, f[2]!], "Malformed"],
    ["an empty id", (f) => [["webhook-id", ""], f[1]!, f[2]!], "Malformed"],
    ["another time", (f) => [f[0]!, ["webhook-timestamp", "10001"], f[2]!], "SignatureInvalid"],
    ["a time in text", (f) => [f[0]!, ["webhook-timestamp", "hello"], f[2]!], "Malformed"],
    ["a time with a zero before it", (f) => [f[0]!, ["webhook-timestamp", "010000"], f[2]!], "Malformed"],
    ["a time with a fraction", (f) => [f[0]!, ["webhook-timestamp", "10000.0"], f[2]!], "Malformed"],
    ["a negative time", (f) => [f[0]!, ["webhook-timestamp", "-1"], f[2]!], "Malformed"],
    ["a huge time", (f) => [f[0]!, ["webhook-timestamp", "9".repeat(40)], f[2]!], "Malformed"],
    ["the version alone", (f) => [f[0]!, f[1]!, ["webhook-signature", "v1,"]], "Malformed"],
    ["no version", (f) => [f[0]!, f[1]!, ["webhook-signature", f[2]![1].slice(3)]], "Malformed"],
    ["a short signature", (f) => [f[0]!, f[1]!, ["webhook-signature", "v1,dawfeoifkpqwoekfpqoekf"]], "Malformed"],
    ["base64url", (f) => [f[0]!, f[1]!, ["webhook-signature", f[2]![1].replace("=", "")]], "Malformed"],
    ["two spaces", (f) => [f[0]!, f[1]!, ["webhook-signature", `${f[2]![1]}  ${f[2]![1]}`]], "Malformed"],
    [
      "nine signatures",
      (f) => [f[0]!, f[1]!, ["webhook-signature", Array.from({ length: 9 }, () => f[2]![1]).join(" ")]],
      "Malformed"
    ],
    ["a long field", (f) => [f[0]!, f[1]!, ["webhook-signature", `v2,${"a".repeat(5000)}`]], "Malformed"]
  ] as ReadonlyArray<
    [string, (fields: ReadonlyArray<HttpMessage.FieldLine>) => ReadonlyArray<HttpMessage.FieldLine>, string]
  >)("refuses %s", ([, change, reason]) =>
    Effect.gen(function* () {
      const { fields, reasonOf } = yield* setup
      assert.strictEqual(yield* reasonOf({ fields: change(fields), body: webhook.body }), reason)
    })
  )

  it.effect("refuses a body of which one byte differs", () =>
    Effect.gen(function* () {
      const { fields, reasonOf } = yield* setup
      for (let at = 0; at < webhook.body.length; at++) {
        const body = webhook.body.slice()
        body[at]! ^= 1
        assert.strictEqual(yield* reasonOf({ fields, body }), "SignatureInvalid")
      }
      assert.strictEqual(yield* reasonOf({ fields, body: undefined }), "InvalidConfiguration")
      for (const wrong of [undefined, { "webhook-id": "1" }, [["webhook-id", ["1"]]], [null], ["webhook-id"]]) {
        assert.strictEqual(yield* reasonOf({ fields: wrong as never, body: webhook.body }), "InvalidConfiguration")
      }
    })
  )

  it.effect("refuses a signature of which one byte differs", () =>
    Effect.gen(function* () {
      const { reasonOf, signature } = yield* setup
      for (let at = 0; at < 32; at++) {
        const bytes = Buffer.from(signature.slice(3), "base64")
        bytes[at]! ^= 0x80
        const fields = fieldsOf("msg_1", "10000", `v1,${bytes.toString("base64")}`)
        assert.strictEqual(yield* reasonOf({ fields, body: webhook.body }), "SignatureInvalid")
      }
    })
  )

  it.effect("accepts no more than the tolerance, in both directions", () =>
    Effect.gen(function* () {
      const { fields, reasonOf, secret } = yield* setup
      const delivery = { fields, body: webhook.body }
      const atTime = (seconds: number, tolerance?: "30 seconds") =>
        Effect.andThen(at(seconds), reasonOf(delivery, { secrets: [secret], tolerance }))
      assert.strictEqual(yield* atTime(10_300), "s1")
      assert.strictEqual(yield* atTime(10_301), "TooOld")
      assert.strictEqual(yield* atTime(9700), "s1")
      assert.strictEqual(yield* atTime(9699), "TooNew")
      assert.strictEqual(yield* atTime(10_031, "30 seconds"), "TooOld")
      for (const tolerance of ["-1 seconds", "2 days"] as const) {
        assert.strictEqual(yield* reasonOf(delivery, { secrets: [secret], tolerance }), "InvalidConfiguration")
      }
    })
  )

  it.effect("answers with a copy of the body that was verified", () =>
    Effect.gen(function* () {
      const { fields, secret } = yield* setup
      const body = webhook.body.slice()
      const verified = yield* StandardWebhooks.verify({ fields, body }, { secrets: [secret] })
      body.fill(0)
      assert.deepStrictEqual(verified.body, webhook.body)
    })
  )

  it.effect("reads a request as it arrived", () =>
    Effect.gen(function* () {
      const { fields, reasonOf } = yield* setup
      const { body } = webhook
      const headers = new Headers(fields.map(([name, value]) => [name, value]))
      const url = "https://shop.example/hook"
      assert.strictEqual(
        yield* reasonOf(HttpMessage.fromFetchRequest({ method: "POST", url, headers }, { body })),
        "s1"
      )
      headers.append("webhook-id", "msg_2")
      assert.strictEqual(
        yield* reasonOf(HttpMessage.fromFetchRequest({ method: "POST", url, headers }, { body })),
        "Malformed"
      )
    })
  )

  it.effect("says nothing of the secret, the body or the signature", () =>
    Effect.gen(function* () {
      const { fields, secret, signature } = yield* setup
      const body = utf8('{"card":"4242424242424242"}')
      const error = yield* Effect.flip(StandardWebhooks.verify({ fields, body }, { secrets: [secret] }))
      const secrets = [
        { name: "secret", secret: Buffer.from(published.secret.slice(6), "base64") },
        { name: "body", secret: body },
        { name: "signature", secret: signature.slice(3) }
      ]
      assert.isUndefined(Canary.search(secrets)(Canary.show([error, secret])))
    })
  )

  it.effect.prop(
    "never dies, whatever the fields say",
    {
      fields: Schema.Array(
        Schema.Tuple([
          Schema.Literals(["webhook-id", "webhook-timestamp", "webhook-signature"]),
          Schema.Union([Schema.String, Schema.Literals(["msg_1", "10000", published.v1, published.v1a])])
        ])
      )
    },
    ({ fields }) =>
      Effect.gen(function* () {
        const { reasonOf } = yield* setup
        assert.notStrictEqual(yield* reasonOf({ fields, body: webhook.body }), "s1")
      })
  )
})

describe("verifyOnce", () => {
  const run = Effect.gen(function* () {
    yield* at(10_000)
    const secret = yield* secretOf(published.secret)
    const deliver = (by?: "delivery" | "event", scope = "shop") =>
      Effect.gen(function* () {
        const { fields } = yield* StandardWebhooks.sign(webhook, { secrets: [secret] })
        return () =>
          StandardWebhooks.verifyOnce({ fields, body: webhook.body }, { secrets: [secret], scope, by }).pipe(
            Effect.match({
              onFailure: (error) => (error._tag === "WebhookInvalid" ? error.reason : error._tag),
              onSuccess: ({ id }) => id
            })
          )
      })
    return deliver
  })

  it.effect("accepts a delivery once, and the same event delivered again", () =>
    Effect.gen(function* () {
      const deliver = yield* run
      const first = yield* deliver()
      assert.strictEqual(yield* first(), "msg_1")
      assert.strictEqual(yield* first(), "Replayed")
      assert.strictEqual(yield* (yield* deliver(undefined, "other"))(), "msg_1")
      yield* at(10_005)
      const again = yield* deliver()
      assert.strictEqual(yield* again(), "msg_1")
      assert.strictEqual(yield* (yield* deliver("event"))(), "msg_1")
      yield* at(10_010)
      assert.strictEqual(yield* (yield* deliver("event"))(), "Replayed")
    }).pipe(Effect.provide(MemoryReplayStore.layer()))
  )

  it.effect("remembers a delivery for as long as it could be accepted", () =>
    Effect.gen(function* () {
      const deliver = yield* run
      yield* at(10_300)
      const early = yield* deliver() // signed by a clock that is ahead
      yield* at(10_000)
      assert.strictEqual(yield* early(), "msg_1")
      yield* at(10_600)
      assert.strictEqual(yield* early(), "Replayed")
      yield* at(10_601)
      assert.strictEqual(yield* early(), "TooOld")
    }).pipe(Effect.provide(MemoryReplayStore.layer()))
  )

  it.effect("refuses where the store has no more room", () =>
    Effect.gen(function* () {
      const deliver = yield* run
      assert.strictEqual(yield* (yield* deliver())(), "msg_1")
      yield* at(10_001)
      assert.strictEqual(yield* (yield* deliver())(), "StoreFull")
    }).pipe(Effect.provide(MemoryReplayStore.layer({ maxPerKey: 1 })))
  )
})
