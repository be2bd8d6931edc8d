import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { Base64, Base64Url } from "effect/encoding"
import * as EnvelopeKey from "../../src/services/EnvelopeKey.ts"
import * as Canary from "../../src/testing/Canary.ts"

const bytes = new Uint8Array(32).map((_, index) => 251 - index)
const secret = new Uint8Array(32).map((_, index) => 7 * index)

describe("fromSecret", () => {
  it.effect("unwraps what it wrapped, from bytes, base64 and base64url", () =>
    Effect.gen(function* () {
      const keys = yield* Effect.forEach([bytes, Base64.encode(bytes), `${Base64Url.encode(bytes)}`], (value) =>
        EnvelopeKey.fromSecret(Redacted.make<Uint8Array | string>(value))
      )
      for (const one of keys) {
        for (const other of keys) assert.deepStrictEqual(yield* other.unwrap(yield* one.wrap(secret)), secret)
      }
    })
  )

  it.effect("wraps each time anew, and shows nothing of it", () =>
    Effect.gen(function* () {
      const key = yield* EnvelopeKey.fromSecret(Redacted.make(bytes))
      const [one, two] = [yield* key.wrap(secret), yield* key.wrap(secret)]
      assert.notDeepEqual(one, two)
      const search = Canary.search([
        { name: "the envelope key", secret: bytes },
        { name: "the secret", secret }
      ])
      for (const value of [key, one, two]) assert.isUndefined(search(Canary.show(value)))
    })
  )

  it.effect("leaves the bytes of its caller as they are", () =>
    Effect.gen(function* () {
      const own = new Uint8Array(bytes)
      const input = new Uint8Array(secret)
      const key = yield* EnvelopeKey.fromSecret(Redacted.make(own))
      yield* key.unwrap(yield* key.wrap(input))
      assert.deepStrictEqual(own, bytes)
      assert.deepStrictEqual(input, secret)
    })
  )

  it.effect("refuses what another key wrapped, and every change", () =>
    Effect.gen(function* () {
      const key = yield* EnvelopeKey.fromSecret(Redacted.make(bytes))
      const other = yield* EnvelopeKey.fromSecret(yield* EnvelopeKey.generateSecret)
      const wrapped = yield* key.wrap(secret)
      assert.strictEqual((yield* Effect.flip(other.unwrap(wrapped))).reason, "Refused")
      for (let index = 0; index < wrapped.length; index++) {
        const changed = wrapped.with(index, wrapped[index]! ^ 1)
        assert.strictEqual((yield* Effect.flip(key.unwrap(changed)))._tag, "EnvelopeKeyError")
      }
      for (const length of [0, 11, 12, 27, wrapped.length - 1]) {
        assert.strictEqual((yield* Effect.flip(key.unwrap(wrapped.slice(0, length)))).reason, "Refused")
      }
    })
  )

  it.effect.each([
    ["no bytes", Redacted.make(new Uint8Array())],
    ["31 bytes", Redacted.make(new Uint8Array(31))],
    ["33 bytes", Redacted.make(Base64.encode(new Uint8Array(33)))],
    ["what is no base64", Redacted.make("correct horse battery staple")],
    ["base64 with a line end", Redacted.make(`${Base64.encode(bytes)}\n`)],
    ["text that is not redacted", Base64.encode(bytes) as never]
  ] as const)("refuses %s", ([, secret]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(EnvelopeKey.fromSecret(secret as Redacted.Redacted<string>))
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.strictEqual(error.field, "secret")
      assert.notInclude(Canary.show(error), "battery")
    })
  )
})

describe("generateSecret", () => {
  it.effect("makes 32 bytes, others each time", () =>
    Effect.gen(function* () {
      const [one, two] = [yield* EnvelopeKey.generateSecret, yield* EnvelopeKey.generateSecret]
      assert.notStrictEqual(Redacted.value(one), Redacted.value(two))
      yield* EnvelopeKey.fromSecret(one)
    })
  )
})
