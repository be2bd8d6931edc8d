import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { createHash } from "node:crypto"
import * as Jcs from "effect-signer/Jcs"

const nested = (depth: number, leaf: unknown = 1): unknown => {
  let value = leaf
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value }
  return value
}

const cyclic: { self?: unknown } = {}
cyclic.self = [cyclic]

const doubling = (() => {
  let value: unknown = ["x"]
  for (let i = 0; i < 50; i++) value = [value, value]
  return value
})()

class Money {
  readonly amount = 1
}

class List extends Array<number> {}

const withHidden = Object.defineProperty({ a: 1 }, "b", { value: 2, enumerable: false })
const withGetter = {
  a: 1,
  get b() {
    return 2
  }
}

/** What is refused: where, and why. */
const refused: ReadonlyArray<readonly [what: string, value: unknown, path: string, problem: RegExp]> = [
  ["undefined", undefined, "", /undefined/],
  ["a member that is undefined", { a: { b: undefined } }, "/a/b", /undefined/],
  ["a function", { a: () => 1 }, "/a", /function/],
  ["a symbol", [Symbol("s")], "/0", /symbol/],
  ["a bigint", [1, 2n], "/1", /bigint/],
  ["NaN", { a: [0, NaN] }, "/a/1", /NaN/],
  ["Infinity", Infinity, "", /Infinity/],
  ["minus Infinity", [-Infinity], "/0", /Infinity/],
  ["half of a surrogate pair", { a: "\ud800" }, "/a", /surrogate/],
  ["the other half", "x\udc00", "", /surrogate/],
  ["a name with half of a surrogate pair", { "\udead": 1 }, "/\ufffd", /its name/],
  // oxlint-disable-next-line no-sparse-arrays
  ["a hole", { a: [1, , 3] }, "/a/1", /hole/],
  ["an array of holes", Object.assign([], { length: 4_000_000_000 }), "/0", /hole/],
  ["an array with a name", Object.assign([1], { extra: 1 }), "", /no elements/],
  ["a Map", { a: new Map([["b", 1]]) }, "/a", /plain object/],
  ["a Set", new Set([1]), "", /plain object/],
  ["bytes", { a: Uint8Array.of(1) }, "/a", /plain object/],
  ["a Date", [new Date(0)], "/0", /plain object/],
  ["a boxed number", [Object(1)], "/0", /plain object/],
  ["an instance of a class", { price: new Money() }, "/price", /plain object/],
  ["an instance of a class of arrays", [List.of(1)], "/0", /plain object/],
  ["an object over another object", Object.create({ a: 1 }), "", /plain object/],
  ["an object over an object over nothing", Object.create(Object.create(null)), "", /plain object/],
  ["an array over nothing", Object.setPrototypeOf([1], null), "", /plain object/],
  ["an object that claims to be an array", Object.setPrototypeOf({ length: 0 }, Array.prototype), "", /plain object/],
  ["an error", new Error("secret"), "", /plain object/],
  ["a getter", withGetter, "/b", /getter/],
  ["a hidden member", withHidden, "/b", /enumerable/],
  ["a member named by a symbol", { [Symbol("s")]: 1 }, "", /symbol/],
  ["a toJSON of its own", { toJSON: () => 1 }, "/toJSON", /function/],
  ["a cycle", cyclic, "/self/0", /inside itself/],
  ["65 levels", nested(65), "", /deeper than 64/],
  ["100,000 levels", nested(100_000), "", /deeper than 64/],
  ["what holds itself many times over", doubling, "", /longer than 16777216/],
  ["names as RFC 6901 writes them", { "a/b": { "~": undefined } }, "/a~1b/~0", /undefined/],
  ["a name that is long", { ["n".repeat(100)]: undefined }, `/${"n".repeat(64)}...`, /undefined/],
  ["a name that no terminal should be shown", { "\u001b[2J": undefined }, "/?[2J", /undefined/]
]

describe("Jcs.canonicalize", () => {
  it.effect.each([
    ["null", null, "null"],
    ["true", true, "true"],
    ["minus zero", -0, "0"],
    [
      "the order of UTF-16 code units",
      { "\u{1f600}": 1, "\ufb33": 2, "\u20ac": 3, a: 4, B: 5 },
      '{"B":5,"a":4,"\u20ac":3,"\u{1f600}":1,"\ufb33":2}'
    ],
    ["names of digits, as text", { 10: 1, 9: 2 }, '{"10":1,"9":2}'],
    [
      "controls",
      "\u0000\u0008\u0009\u000a\u000b\u000c\u000d\u001f\u007f\u2028",
      '"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\u007f\u2028"'
    ],
    ["quotes and slashes", '"\\/', '"\\"\\\\/"'],
    ["an object over nothing", Object.assign(Object.create(null), { b: [], a: {} }), '{"a":{},"b":[]}'],
    ["a member named __proto__", JSON.parse('{"__proto__":{"a":1}}'), '{"__proto__":{"a":1}}'],
    ["one object in two places", ((x) => [x, x])({ a: 1 }), '[{"a":1},{"a":1}]'],
    ["a frozen value", Object.freeze([Object.freeze({ a: 1 })]), '[{"a":1}]'],
    ["64 levels", nested(64), `${'{"a":['.repeat(32)}1${"]}".repeat(32)}`]
  ] as const)("writes %s", ([, value, text]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Jcs.canonicalize(value), text)
      assert.deepStrictEqual(yield* Jcs.canonicalBytes(value), new TextEncoder().encode(text))
    })
  )

  it.effect.each(refused)("refuses %s", ([, value, path, problem]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Jcs.canonicalize(value))
      assert.strictEqual(error._tag, "JcsInvalid")
      assert.match(error.problem, problem)
      if (!/deeper|longer/.test(error.problem)) assert.strictEqual(error.path, path)
      assert.isBelow(error.message.length, 2_600)
      assert.notInclude(error.message, "secret")
      // the longest takes a second or two
      for (const write of /longer/.test(error.problem) ? [] : [Jcs.canonicalBytes, Jcs.sha256]) {
        assert.deepStrictEqual(yield* Effect.flip(write(value)), error)
      }
    })
  )

  it.effect("reads each part once, and what throws when it is read is no defect", () =>
    Effect.gen(function* () {
      let reads = 0
      const changing = new Proxy(
        { a: 1 },
        { getOwnPropertyDescriptor: () => ({ value: ++reads, enumerable: true, configurable: true, writable: true }) }
      )
      assert.strictEqual(yield* Jcs.canonicalize([changing]), '[{"a":1}]')
      assert.strictEqual(reads, 1)
      const throwing = new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error("secret")
          }
        }
      )
      const error = yield* Effect.flip(Jcs.canonicalize({ a: throwing }))
      assert.strictEqual(error._tag, "JcsInvalid")
      assert.notInclude(error.message, "secret")
    })
  )

  it.effect("is not led astray by members of Object.prototype and Array.prototype", () =>
    Effect.gen(function* () {
      const polluted = [Object.prototype, Array.prototype] as ReadonlyArray<{ toJSON?: unknown; [0]?: unknown }>
      for (const prototype of polluted) prototype.toJSON = () => "changed"
      try {
        assert.strictEqual(yield* Jcs.canonicalize({ a: [{}] }), '{"a":[{}]}')
        polluted[1]![0] = "changed"
        assert.strictEqual((yield* Effect.flip(Jcs.canonicalize(Object.assign([], { length: 1 })))).path, "/0")
      } finally {
        for (const prototype of polluted) delete prototype.toJSON
        delete polluted[1]![0]
      }
    })
  )

  it.effect.prop("agrees with JSON.parse, whatever the order of members", { value: Schema.Json }, ({ value }) =>
    Effect.gen(function* () {
      const text = yield* Effect.result(Jcs.canonicalize(value))
      if (text._tag === "Failure") return assert.match(text.failure.problem, /surrogate/)
      const parsed: unknown = JSON.parse(text.success)
      assert.deepStrictEqual(parsed, JSON.parse(JSON.stringify(value)))
      assert.strictEqual(yield* Jcs.canonicalize(parsed), text.success)
      assert.strictEqual(yield* Jcs.canonicalize(reversed(parsed)), text.success)
      assert.strictEqual(yield* Jcs.canonicalizeJson(JSON.stringify(reversed(parsed), undefined, 2)), text.success)
    })
  )

  it.effect.prop("one number, one text, and back", { bits: Schema.BigInt }, ({ bits }) =>
    Effect.gen(function* () {
      const number = new Float64Array(BigUint64Array.of(BigInt.asUintN(64, bits * 0x9e3779b97f4a7c15n)).buffer)[0]!
      if (!Number.isFinite(number)) return
      const text = yield* Jcs.canonicalize(number)
      assert.strictEqual(Number(text), number === 0 ? 0 : number)
      assert.match(text, /^-?(?:0|[1-9]\d*)(?:\.\d*[1-9])?(?:e[+-][1-9]\d*)?$/)
    })
  )
})

/** The same value, with the members of its objects the other way round. */
const reversed = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(reversed)
    : typeof value === "object" && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .map(([name, member]) => [name, reversed(member)] as const)
            .reverse()
        )
      : value

describe("Jcs.canonicalizeJson", () => {
  it.effect.each([
    ["text", ' { "b" : 1.0, "a" : [ 1e3, "\\u00e9" ] } ', '{"a":[1000,"é"],"b":1}'],
    ["bytes", new TextEncoder().encode('{"é":1}'), '{"é":1}'],
    ["a scalar", "1E400".replace("4", ""), "1"]
  ] as const)("reads %s", ([, json, text]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Jcs.canonicalizeJson(json), text)
    })
  )

  it.effect.each([
    ["a member twice", '{"a":1,"b":{"c":1,"\\u0063":2}}', /twice/],
    ["no JSON", "{a:1}", /not JSON/],
    ["nothing", "", /not JSON/],
    ["a byte order mark", "\ufeff1", /not JSON/],
    ["bytes that are not UTF-8", Uint8Array.of(0x22, 0xff, 0x22), /UTF-8/],
    ["a number that overflows", "[1e400]", /Infinity/],
    ["half of a surrogate pair", '{"a":"\\ud800"}', /surrogate/],
    ["65 levels", `${"[".repeat(65)}${"]".repeat(65)}`, /deeper/],
    ["200,000 levels", `${"[".repeat(200_000)}${"]".repeat(200_000)}`, /deeper/],
    ["more than it reads", " ".repeat(Jcs.maxLength + 1), /longer/]
  ] as const)("refuses %s", ([, json, problem]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Jcs.canonicalizeJson(json))
      assert.strictEqual(error._tag, "JcsInvalid")
      assert.match(error.problem, problem)
    })
  )
})

describe("Jcs.sha256", () => {
  it.effect("D10 digest: is SHA-256 of the canonical bytes", () =>
    Effect.gen(function* () {
      const expected = createHash("sha256").update('{"a":null,"b":"é"}').digest("hex")
      assert.strictEqual(Buffer.from(yield* Jcs.sha256({ b: "é", a: null })).toString("hex"), expected)
    })
  )
})
