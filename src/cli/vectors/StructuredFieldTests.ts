/**
 * The structured field tests of the HTTP working group: every field read, its
 * value compared, and written again in its canonical form; every value of the
 * serialisation tests written, or refused.
 */
import { base32 } from "@scure/base"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import * as StructuredFields from "../../schemas/StructuredFields.ts"
import { checked, decodeJson, readText, suite, VectorError } from "./VectorSuite.ts"

const Vectors = Schema.Array(
  Schema.Struct({
    name: Schema.String,
    raw: Schema.optionalKey(Schema.Array(Schema.String)),
    header_type: Schema.Literals(["item", "list", "dictionary"]),
    expected: Schema.optionalKey(Schema.Unknown),
    must_fail: Schema.optionalKey(Schema.Boolean),
    can_fail: Schema.optionalKey(Schema.Boolean),
    canonical: Schema.optionalKey(Schema.Array(Schema.String))
  })
)
type Vector = (typeof Vectors.Type)[number]

const decode = decodeJson(Vectors)

/** JSON has one kind of number: a literal with a point is marked, or `1.0` would be read as `1`. */
const markDecimals = (text: string): string =>
  text.replace(/"(?:[^"\\]|\\.)*"|-?\d+\.\d+(?:[eE][+-]?\d+)?/g, (found) =>
    found.startsWith(`"`) ? found : `{"__type":"decimal","value":${JSON.stringify(found)}}`
  )

type Typed = { readonly __type: string; readonly value: string | number }

const tagged: { readonly [type: string]: (value: string & number) => StructuredFields.BareItem } = {
  decimal: (value) => StructuredFields.decimal(Number(value)),
  token: StructuredFields.token,
  binary: (value) => StructuredFields.byteSequence(base32.decode(value)),
  date: StructuredFields.date,
  displaystring: StructuredFields.displayString
}

const bareItem = (json: unknown): StructuredFields.BareItem => {
  if (typeof json === "number") return StructuredFields.integer(json)
  if (typeof json === "string") return StructuredFields.string(json)
  if (typeof json === "boolean") return StructuredFields.boolean(json)
  const { __type, value } = json as Typed
  return tagged[__type]!(value as never)
}

type Pair = readonly [unknown, unknown]

const parameters = (json: unknown): StructuredFields.Parameters =>
  (json as ReadonlyArray<readonly [string, unknown]>).map(([name, value]) => [name, bareItem(value)])

const item = ([value, params]: Pair) => StructuredFields.item(bareItem(value), parameters(params))

const member = ([value, params]: Pair): StructuredFields.Member =>
  Array.isArray(value)
    ? StructuredFields.innerList((value as ReadonlyArray<Pair>).map(item), parameters(params))
    : item([value, params])

const forms = {
  item: {
    expected: (json: unknown) => item(json as Pair),
    parse: StructuredFields.parseItem,
    serialize: StructuredFields.serializeItem
  },
  list: {
    expected: (json: unknown) => (json as ReadonlyArray<Pair>).map(member),
    parse: StructuredFields.parseList,
    serialize: StructuredFields.serializeList
  },
  dictionary: {
    expected: (json: unknown) =>
      (json as ReadonlyArray<readonly [string, Pair]>).map(([key, value]) => [key, member(value)] as const),
    parse: StructuredFields.parseDictionary,
    serialize: StructuredFields.serializeDictionary
  }
}

interface Form {
  readonly expected: (json: unknown) => unknown
  readonly parse: (lines: ReadonlyArray<string>) => Result.Result<unknown, StructuredFields.StructuredFieldInvalid>
  readonly serialize: (value: never) => Result.Result<string, StructuredFields.StructuredFieldInvalid>
}

/** Values with `-0` and `0` kept apart, and bytes as they are. */
const shown = (value: unknown): string =>
  JSON.stringify(value, (_, inner) =>
    Object.is(inner, -0) ? "-0" : inner instanceof Uint8Array ? [...inner].join() : inner
  )

const problemsOf = (vector: Vector): ReadonlyArray<string> => {
  const form: Form = forms[vector.header_type]
  const isRefused = vector.must_fail === true
  const written = (value: unknown): ReadonlyArray<string> => {
    const text = form.serialize(value as never)
    if (Result.isFailure(text)) return isRefused ? [] : [`not written: ${text.failure.message}`]
    if (isRefused) return ["was written"]
    const canonical = (vector.canonical ?? vector.raw ?? []).join(", ")
    return text.success === canonical ? [] : [`written as ${text.success}, not as ${canonical}`]
  }
  if (vector.raw === undefined) return written(form.expected(vector.expected))
  const parsed = form.parse(vector.raw)
  if (Result.isFailure(parsed)) return isRefused || vector.can_fail === true ? [] : [parsed.failure.message]
  if (isRefused) return ["was read"]
  const expected = form.expected(vector.expected)
  return shown(parsed.success) === shown(expected)
    ? written(parsed.success)
    : [`read as ${shown(parsed.success)}, not as ${shown(expected)}`]
}

export const structuredFields = suite({
  suite: "structured-fields",
  folder: "structured-field-tests",
  source: "httpwg/structured-field-tests",
  outcomes: Effect.fnUntraced(function* (root) {
    const folder = join(root, "structured-field-tests")
    const files = yield* Effect.tryPromise({
      try: async () => {
        const [fields, values] = await Promise.all([readdir(folder), readdir(join(folder, "serialisation-tests"))])
        return [...fields, ...values.map((file) => `serialisation-tests/${file}`)]
      },
      catch: (error) => new VectorError({ file: "structured-field-tests", problem: `cannot be read: ${String(error)}` })
    })
    const outcomes = yield* Effect.forEach(files.filter((file) => file.endsWith(".json")).sort(), (file) =>
      Effect.gen(function* () {
        const text = yield* readText(join(folder, file))
        const vectors = yield* decode(file, markDecimals(text))
        return vectors.map((vector) => checked(`${file} ${vector.name}`, problemsOf(vector)))
      })
    )
    return outcomes.flat()
  })
})
