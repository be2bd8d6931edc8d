import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import * as StructuredFields from "../../src/schemas/StructuredFields.ts"

const { boolean, byteSequence, date, decimal, displayString, innerList, integer, item, string, token } =
  StructuredFields

/** Keys of any text, made into those that are allowed. */
const Key = Schema.String.check(Schema.isMaxLength(8))
const keyOf = (text: string, index: number) => `k${index}${text.replace(/[^a-z0-9_\-.*]/g, "")}`

const Value = Schema.Struct({
  kind: Schema.Literals(["Integer", "Decimal", "String", "Token", "ByteSequence", "Boolean", "Date", "DisplayString"]),
  number: Schema.Int.check(Schema.isBetween({ minimum: -999_999_999_999, maximum: 999_999_999_999 })),
  text: Schema.String.check(Schema.isMaxLength(16)),
  bytes: Schema.Uint8Array,
  flag: Schema.Boolean
})
type Value = typeof Value.Type

const bareItem = ({ bytes, flag, kind, number, text }: Value): StructuredFields.BareItem => {
  const makers: { readonly [K in Value["kind"]]: () => StructuredFields.BareItem } = {
    Integer: () => integer(number),
    Decimal: () => decimal(number / 1000),
    String: () => string(text.replace(/[^\x20-\x7e]/g, "\\")),
    Token: () => token(`a${text.replace(/[^\w:/]/g, "*")}`),
    ByteSequence: () => byteSequence(bytes),
    Boolean: () => boolean(flag),
    Date: () => date(number),
    DisplayString: () => displayString(text.toWellFormed())
  }
  return makers[kind]()
}

const Entries = Schema.Array(Schema.Struct({ key: Key, value: Value, inner: Schema.Array(Value) }))
type Entries = typeof Entries.Type

const dictionaryOf = (entries: Entries): StructuredFields.Dictionary =>
  entries.map(({ inner, key, value }, index) => {
    const parameters = inner.map((one, at) => [keyOf(key, at), bareItem(one)] as const)
    return [
      keyOf(key, index),
      index % 2 === 0
        ? item(bareItem(value), parameters)
        : innerList(
            inner.map((one) => item(bareItem(one), parameters)),
            parameters
          )
    ] as const
  })

interface Form {
  readonly parse: (text: string) => Result.Result<unknown, StructuredFields.StructuredFieldInvalid>
  readonly serialize: (value: never) => Result.Result<string, StructuredFields.StructuredFieldInvalid>
}

const forms: ReadonlyArray<Form> = [
  { parse: StructuredFields.parseItem, serialize: StructuredFields.serializeItem },
  { parse: StructuredFields.parseList, serialize: StructuredFields.serializeList },
  { parse: StructuredFields.parseDictionary, serialize: StructuredFields.serializeDictionary }
]

const problemOf = (result: Result.Result<unknown, StructuredFields.StructuredFieldInvalid>) =>
  Result.isFailure(result) ? result.failure.message : "accepted"

describe("structured fields", () => {
  it.effect.prop(
    "what is written is read as the same",
    { entries: Entries },
    ({ entries }) =>
      Effect.sync(() => {
        const dictionary = dictionaryOf(entries)
        const text = Result.getOrThrow(StructuredFields.serializeDictionary(dictionary))
        const read = Result.getOrThrow(StructuredFields.parseDictionary(text, { duplicates: "refuse" }))
        assert.deepStrictEqual(read, dictionary)
        const members = dictionary.map(([, member]) => member)
        const list = Result.getOrThrow(StructuredFields.serializeList(members))
        assert.deepStrictEqual(Result.getOrThrow(StructuredFields.parseList(list)), members)
      }),
    { arbitrary: { runs: 200 } }
  )

  it.effect.prop(
    "any text is read or refused with a typed error, and what is read has one canonical text",
    { text: Schema.String },
    ({ text }) =>
      Effect.sync(() => {
        for (const { parse, serialize } of forms) {
          const read = parse(text)
          if (Result.isFailure(read)) continue
          const once = Result.getOrThrow(serialize(read.success as never))
          const again = Result.getOrThrow(serialize(Result.getOrThrow(parse(once)) as never))
          assert.strictEqual(again, once)
        }
      }),
    { arbitrary: { runs: 500 } }
  )

  it.each([
    ["a=1, b=2, a=3", "a=3, b=2"],
    ["a;x=1;y=2;x=3", "a;x=3;y=2"]
  ])("%s keeps the place of the first and the value of the last, or is refused", (text, canonical) => {
    const read = Result.getOrThrow(StructuredFields.parseDictionary(text))
    assert.strictEqual(Result.getOrThrow(StructuredFields.serializeDictionary(read)), canonical)
    assert.match(
      problemOf(StructuredFields.parseDictionary(text, { duplicates: "refuse" })),
      /a name that was there before at character \d+$/
    )
  })

  it.each([
    [":aGVsbG8=:", "base64", true],
    [":aGVsbG8:", "base64", false],
    [":aGVsbG9=:", "base64", false],
    [":aGVs bG8=:", "base64", false],
    [":-_-_:", "base64", false],
    [":-_-_:", "base64url", true],
    [":aGVsbG8:", "base64url", true],
    [":aGVsbG8=:", "base64url", false],
    [":+/+/:", "base64url", false],
    [":+/+/:", "either", true],
    [":-_-_:", "either", true],
    [":-/+_:", "either", false],
    [":-_8=:", "either", false]
  ] as const)("%s in %s: %s", (text, alphabet, isRead) => {
    assert.strictEqual(Result.isSuccess(StructuredFields.parseItem(text, { alphabet })), isRead)
  })

  it("base64url is written where it is asked for", () => {
    const bytes = item(byteSequence(Uint8Array.of(251, 255)))
    assert.strictEqual(Result.getOrThrow(StructuredFields.serializeItem(bytes)), ":+/8=:")
    assert.strictEqual(Result.getOrThrow(StructuredFields.serializeItem(bytes, { alphabet: "base64url" })), ":-_8:")
  })

  it.each([
    [0.0005, "0.0"],
    [0.0015, "0.002"],
    [0.0025, "0.002"],
    [-0.0005, "0.0"],
    [-0.0006, "-0.001"],
    [-0, "0.0"],
    [1.2345, "1.234"],
    [1.2355, "1.236"],
    [1.00051, "1.001"],
    [1e-9, "0.0"],
    [10, "10.0"],
    [0.1, "0.1"],
    [999_999_999_999.999, "999999999999.999"],
    [999_999_999_999.9996, "refused"],
    [1e12, "refused"],
    [Number.NaN, "refused"],
    [Number.POSITIVE_INFINITY, "refused"]
  ])("the decimal %s is written as %s", (value, expected) => {
    const written = StructuredFields.serializeItem(item(decimal(value)))
    assert.strictEqual(
      Result.getOrElse(written, () => "refused"),
      expected
    )
  })

  it("the forms of a value are kept apart", () => {
    const text = '1, 1.0, a, "a", :YQ==:, ?1, @1, %"a"'
    const tags = Result.getOrThrow(StructuredFields.parseList(text)).map((member) =>
      member._tag === "Item" ? member.value._tag : member._tag
    )
    assert.deepStrictEqual(tags, [
      "Integer",
      "Decimal",
      "Token",
      "String",
      "ByteSequence",
      "Boolean",
      "Date",
      "DisplayString"
    ])
  })

  it("a member whose name is that of every object is a member", () => {
    const read = Result.getOrThrow(StructuredFields.parseDictionary("constructor=1, to-string"))
    assert.deepStrictEqual(StructuredFields.get(read, "constructor"), item(integer(1)))
    assert.isUndefined(StructuredFields.get(read, "valueOf"))
  })

  it("lines are joined, and lengths are bounded", () => {
    const read = Result.getOrThrow(StructuredFields.parseDictionary(["a=1", "b=2"]))
    assert.strictEqual(read.length, 2)
    assert.strictEqual(
      problemOf(StructuredFields.parseItem("x".repeat(262_145))),
      "StructuredFieldInvalid: longer than 262144 characters"
    )
    assert.strictEqual(problemOf(StructuredFields.parseItem("abc", { maxLength: 3 })), "accepted")
  })

  it("an error says where, and holds nothing of the value", () => {
    const problem = problemOf(StructuredFields.parseItem('"hunter2\u0000"'))
    assert.strictEqual(problem, "StructuredFieldInvalid: a string holds printable ASCII only at character 8")
  })

  it.each([
    ["spaces", (n: number) => `${" ".repeat(n)}!`],
    ["digits", (n: number) => "1".repeat(n)],
    ["backslashes", (n: number) => `"${"\\\\".repeat(n / 2)}`],
    ["members", (n: number) => "a,".repeat(n / 2)],
    ["the same key", (n: number) => Array.from({ length: n / 4 }, () => "a=1").join()],
    ["parameters", (n: number) => `a${";b".repeat(n / 2)}!`],
    ["empty lists", (n: number) => "( ".repeat(n / 2)],
    ["colons", (n: number) => ":".repeat(n)],
    ["percent signs", (n: number) => `%"${"%20".repeat(n / 3)}`]
  ])("of a long text of %s each character is taken a few times at most", (_, make) => {
    const text = make(65_536)
    for (const { parse } of forms) {
      assert.isBelow(
        charactersTaken(() => parse(text)),
        4 * text.length
      )
    }
  })
})

/** Characters that were copied, matched or searched: a cost with the square of the length shows here, without a clock. */
const charactersTaken = (run: () => unknown): number => {
  let taken = 0
  const { indexOf, slice } = String.prototype
  const { exec } = RegExp.prototype
  try {
    // oxlint-disable-next-line no-extend-native -- put back below
    String.prototype.slice = function (this: string, ...args) {
      const part = slice.apply(this, args)
      taken += part.length
      return part
    }
    // oxlint-disable-next-line no-extend-native -- put back below
    String.prototype.indexOf = function (this: string, search, from = 0) {
      const at = indexOf.call(this, search, from)
      taken += (at < 0 ? this.length : at) - from
      return at
    }
    // oxlint-disable-next-line no-extend-native -- put back below
    RegExp.prototype.exec = function (text) {
      const found = exec.call(this, text)
      taken += found?.[0].length ?? 1
      return found
    }
    run()
  } finally {
    Object.assign(String.prototype, { indexOf, slice })
    Object.assign(RegExp.prototype, { exec })
  }
  return taken
}
