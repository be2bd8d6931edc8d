/**
 * Random HTTP messages that a signature can cover, and what of them it covers:
 * what every implementation of RFC 9421 must read alike.
 */
import { Result, Schema } from "effect"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as StructuredFields from "../../src/schemas/StructuredFields.ts"
import * as ContentDigest from "../../src/protocols/ContentDigest.ts"

const Text = Schema.String.check(Schema.isMaxLength(12))

const Value = Schema.Struct({
  kind: Schema.Literals(["Integer", "Decimal", "String", "Token", "ByteSequence", "Boolean"]),
  number: Schema.Int.check(Schema.isBetween({ minimum: -999_999_999_999, maximum: 999_999_999_999 })),
  text: Text,
  bytes: Schema.Uint8Array,
  flag: Schema.Boolean
})

/** What a property draws. */
export const Draw = Schema.Struct({
  method: Schema.Literals(["GET", "POST", "PUT", "DELETE", "PATCH", "PURGE"]),
  port: Schema.Literals(["", ":8443", ":8080"]),
  scheme: Schema.Literals(["https", "http"]),
  path: Schema.Array(Text),
  query: Schema.Array(Schema.Struct({ name: Text, value: Text })),
  fields: Schema.Array(Schema.Array(Text)),
  dictionary: Schema.Array(Schema.Struct({ value: Value, parameter: Value })),
  hasBody: Schema.Boolean,
  body: Text,
  status: Schema.Int.check(Schema.isBetween({ minimum: 200, maximum: 599 })),
  picks: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 }))),
  nonce: Text,
  tag: Text,
  alg: Schema.Boolean,
  expires: Schema.Boolean
})
export type Draw = typeof Draw.Type

/** One that is as most messages are. */
export const typical: Draw = {
  method: "POST",
  port: ":8443",
  scheme: "https",
  path: ["orders", "7"],
  query: [{ name: "page", value: "a b" }],
  fields: [["a, b", "c"]],
  dictionary: [],
  hasBody: true,
  body: `{"item":7}`,
  status: 201,
  picks: Array.from({ length: 100 }, (_, index) => index),
  nonce: "n0",
  tag: "orders",
  alg: true,
  expires: true
}

export interface Case<M extends HttpMessage.HttpMessage> {
  readonly message: M
  /** The URL of the request, or of the one that is answered. */
  readonly url: string
  readonly components: ReadonlyArray<string>
  readonly fieldTypes: { readonly "x-dict": "dictionary" }
}

const fieldTypes = { "x-dict": "dictionary" } as const

/** Printable ASCII, blanks around it as they come. */
const printable = (text: string) => text.replace(/[^\x20-\x7e]/g, "~")

/** What all of them percent-encode alike. */
const plain = (text: string) => text.toWellFormed().replace(/[!'()~+]/g, "-")

const bareItem = ({ bytes, flag, kind, number, text }: typeof Value.Type): StructuredFields.BareItem => {
  const makers: { readonly [K in typeof kind]: () => StructuredFields.BareItem } = {
    Integer: () => StructuredFields.integer(number),
    Decimal: () => StructuredFields.decimal(Math.trunc(number / 1000) + 0.5),
    String: () => StructuredFields.string(printable(text)),
    Token: () => StructuredFields.token(`t${text.replace(/[^\w:/]/g, "*")}`),
    ByteSequence: () => StructuredFields.byteSequence(bytes),
    Boolean: () => StructuredFields.boolean(flag)
  }
  return makers[kind]()
}

/** A dictionary with blanks that strict serialization takes away. Its first member cannot be one of a list. */
const dictionaryOf = (draw: Draw): string => {
  const members = draw.dictionary.map(
    ({ parameter, value }, index) =>
      [`k${index}`, StructuredFields.item(bareItem(value), [[`p${index}`, bareItem(parameter)]])] as const
  )
  const text = members.map((member) => Result.getOrThrow(StructuredFields.serializeDictionary([member])))
  return ["first=1", ...text].join(" ,   ")
}

const linesOf = (draw: Draw): ReadonlyArray<HttpMessage.FieldLine> => [
  ...draw.fields.flatMap((lines, index) =>
    ["", ...lines].map((line) => [`X-Field-${index}`, printable(line)] as const)
  ),
  ["X-Dict", dictionaryOf(draw)]
]

const fieldComponents = (draw: Draw): ReadonlyArray<string> => [
  ...draw.fields.flatMap((_, index) => [`x-field-${index}`, `x-field-${index};bs`]),
  "x-dict",
  "x-dict;sf",
  `x-dict;key="first"`,
  ...draw.dictionary.map((_, index) => `x-dict;key="k${index}"`)
]

const queryOf = ({ query }: Draw) =>
  query.map(({ name, value }, index) => ({
    name: encodeURIComponent(plain(`${name}${index}`)),
    value: encodeURIComponent(plain(value))
  }))

const targetComponents = (draw: Draw): ReadonlyArray<string> => [
  "@target-uri",
  "@authority",
  "@scheme",
  "@request-target",
  "@path",
  "@query",
  ...queryOf(draw).map(({ name }) => `@query-param;name="${name}"`)
]

/** Some of them, in any order, each once. */
const chosen = (draw: Draw, candidates: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...new Set(draw.picks.map((pick) => candidates[pick % candidates.length]!))
]

const withDigest = (draw: Draw, lines: ReadonlyArray<HttpMessage.FieldLine>) => {
  const body = new TextEncoder().encode(draw.body)
  if (!draw.hasBody) return { body: new Uint8Array(0), fields: lines, covered: [] }
  const digest = Result.getOrThrow(ContentDigest.makeResult(body))
  return { body, fields: [...lines, ["Content-Digest", digest] as const], covered: ["content-digest"] }
}

export const requestOf = (draw: Draw): Case<HttpMessage.HttpRequest> => {
  const host = `api.example${draw.port}`
  const path = `/${draw.path.map((segment) => `p${encodeURIComponent(plain(segment))}`).join("/")}`
  const pairs = queryOf(draw).map(({ name, value }) => `${name}=${value}`)
  const target = pairs.length === 0 ? path : `${path}?${pairs.join("&")}`
  const { body, covered, fields } = withDigest(draw, [["Host", host], ...linesOf(draw)])
  return {
    message: HttpMessage.request({ method: draw.method, target, scheme: draw.scheme, fields, body }),
    url: `${draw.scheme}://${host}${target}`,
    components: ["@method", ...covered, ...chosen(draw, [...targetComponents(draw), ...fieldComponents(draw)])],
    fieldTypes
  }
}

export const responseOf = (draw: Draw): Case<HttpMessage.HttpResponse> => {
  const { message: request, url } = requestOf(draw)
  const { body, covered, fields } = withDigest(draw, linesOf(draw))
  const own = fieldComponents(draw)
  const asked = ["@method", ...targetComponents(draw), ...own].map((component) => `${component};req`)
  return {
    message: HttpMessage.response({ status: draw.status, fields, body, request }),
    url,
    components: ["@status", ...covered, ...chosen(draw, [...own, ...asked])],
    fieldTypes
  }
}
