import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Redacted, Schema } from "effect"
import { inspect } from "node:util"
import * as Canary from "../../src/testing/Canary.ts"

// with bytes whose base64 and base64url differ
const secret = Uint8Array.from({ length: 32 }, (_, i) => (i % 3 === 0 ? 0xfb : (i * 89 + 7) & 0xff))
const hex = Buffer.from(secret).toString("hex")
const base64 = Buffer.from(secret).toString("base64")
const find = Canary.search([{ name: "seed", secret }])
const look = (value: unknown) => find(Canary.show(value))?.form

class Config {
  readonly #seed = secret
  get seed() {
    return this.#seed
  }
}

class Chatty {
  readonly #seed = base64;
  [inspect.custom]() {
    return `Chatty(${this.#seed})`
  }
}

class Jsonable {
  readonly #seed = hex
  toJSON() {
    return { seed: this.#seed }
  }
}

const cyclic: { self?: unknown; seed?: Uint8Array } = {}
cyclic.self = cyclic
cyclic.seed = secret

const shown: ReadonlyArray<readonly [where: string, value: unknown, form: string]> = [
  ["the bytes", secret, "decimal bytes"],
  ["an array buffer", { buffer: secret.buffer }, "hex"],
  ["a buffer", Buffer.from(secret), "hex"],
  ["an array of numbers", [...secret], "decimal bytes"],
  ["bytes as JSON makes them", JSON.stringify({ key: secret }), "decimal bytes"],
  ["bytes as JSON makes them, read again", JSON.parse(JSON.stringify({ key: secret })), "decimal bytes"],
  ["hex", `key ${hex}`, "hex"],
  ["upper-case hex", hex.toUpperCase(), "hex"],
  ["hex with colons", hex.match(/../g)!.join(":"), "hex"],
  ["hex in lines", hex.match(/.{16}/g)!.join("\n    "), "hex"],
  ["base64", base64, "base64"],
  ["base64 in lines", JSON.stringify({ pem: base64.match(/.{1,11}/g)!.join("\r\n") }), "base64"],
  ["base64url", Buffer.from(secret).toString("base64url"), "base64url"],
  ["a number", BigInt(`0x${hex}`), "a decimal number"],
  ["latin1", Buffer.from(secret).toString("latin1"), "latin1"],
  ["a nested field", { a: [{ b: { c: secret } }] }, "decimal bytes"],
  ["a hidden field", Object.defineProperty({}, "seed", { value: hex, enumerable: false }), "hex"],
  ["a symbol", { [Symbol("seed")]: hex }, "hex"],
  ["a key", { [hex]: true }, "hex"],
  ["a function's field", Object.assign(() => 0, { seed: hex }), "hex"],
  ["a map", new Map([["seed", secret]]), "decimal bytes"],
  ["a set", new Set([hex]), "hex"],
  ["a cycle", cyclic, "decimal bytes"],
  ["an error's message", new Error(hex), "hex"],
  ["an error's cause", new Error("no", { cause: { config: { seed: secret } } }), "decimal bytes"],
  ["one of several errors", new AggregateError([new Error(base64)]), "base64"],
  ["a Cause", Cause.die(new Error(base64)), "base64"],
  ["what a class says when inspected", new Chatty(), "base64"],
  ["what a class says as JSON", new Jsonable(), "hex"]
]

const hidden: ReadonlyArray<readonly [where: string, value: unknown]> = [
  ["a redacted value", { seed: Redacted.make(secret) }],
  ["a private field", new Config()],
  ["a closure", () => secret],
  ["other bytes", Uint8Array.from(secret).reverse()],
  ["part of the bytes", secret.subarray(1)],
  ["nothing", undefined]
]

describe("Canary", () => {
  it.each(shown)("finds a secret in %s", (_, value, form) => assert.strictEqual(look(value), form))

  it.each(hidden)("finds nothing in %s", (_, value) => assert.isUndefined(look(value)))

  it("finds text as text and as bytes, escaped or not", () => {
    const password = 'pass"wörd/1'
    const find = Canary.search([{ name: "password", secret: password }])
    const forms = [
      password,
      JSON.stringify(password),
      `https://host/?p=${encodeURIComponent(password)}`,
      Buffer.from(password).toString("base64"),
      Buffer.from(`user:${password}`).toString("base64"),
      Buffer.from(password).toString("hex")
    ]
    assert.deepStrictEqual(
      forms.map((form) => find(Canary.show(form))?.form),
      ["text", "text", "text", "base64", "base64", "hex"]
    )
  })

  it("says which secret", () => {
    const find = Canary.search([
      { name: "one", secret: "11111111" },
      { name: "two", secret: "22222222" }
    ])
    assert.deepStrictEqual(find("x22222222"), { secret: "two", form: "text" })
  })

  it("does not look for what is too short", () =>
    assert.isUndefined(
      Canary.search([
        { name: "pin", secret: "1234" },
        { name: "none", secret: "" }
      ])("1234")
    ))

  it.effect.prop(
    "finds base64 and base64url at any place in other bytes",
    { before: Schema.Uint8Array, after: Schema.Uint8Array },
    ({ after, before }) =>
      Effect.sync(() => {
        const all = Buffer.concat([before, secret, after])
        assert.isDefined(find(all.toString("base64")))
        assert.isDefined(find(all.toString("base64url")))
        assert.isDefined(find(all.toString("hex")))
      }),
    { arbitrary: { runs: 100 } }
  )
})
