/**
 * The components of an HTTP message that a signature covers: their identifiers,
 * and their values (RFC 9421 section 2).
 *
 * @category internal
 */
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import * as StructuredFields from "../../schemas/StructuredFields.ts"
import { trimmed } from "./FieldValue.ts"
import type { FieldLine, HttpMessage, HttpRequest, HttpResponse } from "../HttpMessage.ts"
import { refuse } from "./HttpSignatureInvalid.ts"
import type { FieldTypes } from "./StructuredFieldType.ts"
import { typeOf } from "./StructuredFieldType.ts"

// ---------------------------------------------------------------------------
// identifiers
// ---------------------------------------------------------------------------

/** An identifier, checked for everything that does not depend on the message. */
export interface Component {
  readonly name: string
  /** As it is written, its parameters in the order they came in. */
  readonly text: string
  /** The same for identifiers that differ in the order of their parameters only, which are equal. */
  readonly key: string
  readonly item: StructuredFields.Item
  readonly isOfRequest: boolean
  readonly isTrailer: boolean
  readonly isStructured: boolean
  readonly isBytes: boolean
  /** Of `key` or `name`. */
  readonly selects: string | undefined
}

/** What a parameter must be: a flag, or text. */
const parameterTypes: ReadonlyMap<string, "Boolean" | "String"> = new Map([
  ["sf", "Boolean"],
  ["bs", "Boolean"],
  ["req", "Boolean"],
  ["tr", "Boolean"],
  ["key", "String"],
  ["name", "String"]
])

/** Parameters of derived components; fields have all but `name`. */
const fieldParameters: ReadonlySet<string> = new Set(["sf", "bs", "req", "tr", "key"])

const isFieldName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/

const textOf = (item: StructuredFields.Item): string =>
  Result.getOrElse(StructuredFields.serializeItem(item), ({ problem }) => refuse("ComponentInvalid", problem))

/** Checks an identifier (RFC 9421 sections 2, 2.1, 2.2 and 2.5). */
export const componentOf = (item: StructuredFields.Item): Component => {
  if (item.value._tag !== "String") return refuse("ComponentInvalid", "the name of a component is a string")
  const name = item.value.value
  return item.parameters.length === 0 && isWhole(name) ? wholeOf(name, item) : checkedOf(name, item)
}

/** Names that need no parameter and no escape: what most signatures cover. */
const isWhole = (name: string): boolean => isFieldName.test(name) || (derived.has(name) && name !== "@query-param")

const wholeOf = (name: string, item: StructuredFields.Item): Component => {
  const text = `"${name}"`
  return {
    name,
    text,
    key: text,
    item,
    isOfRequest: false,
    isTrailer: false,
    isStructured: false,
    isBytes: false,
    selects: undefined
  }
}

const checkedOf = (name: string, item: StructuredFields.Item): Component => {
  const text = textOf(item)
  const invalid = (problem: string): never => refuse("ComponentInvalid", problem, text)
  const isDerived = name.startsWith("@")
  if (name === "@signature-params") invalid("it is always covered, and never listed (section 2.3)")
  if (isDerived && !derived.has(name)) invalid("no derived component has this name")
  if (!isDerived && !isFieldName.test(name)) invalid("the name of a field is a token in lower case")
  const allowed = isDerived ? derived.get(name)!.parameters : fieldParameters
  for (const [parameter, value] of item.parameters) {
    const type = parameterTypes.get(parameter)
    if (type === undefined) invalid("it has a parameter that is not known (section 2.5)")
    if (!allowed.has(parameter)) invalid(`"${parameter}" does not apply to it`)
    if (value._tag !== type || value.value === false) {
      invalid(type === "Boolean" ? `"${parameter}" has no value` : `"${parameter}" must be a string`)
    }
  }
  const has = (parameter: string) => StructuredFields.get(item.parameters, parameter) !== undefined
  // Section 2.1: the bytes are not compatible with the parsed value
  if (has("bs") && (has("sf") || has("key"))) invalid(`"bs" excludes "sf" and "key"`)
  if (name === "@query-param" && !has("name")) invalid(`"name" is missing (section 2.2.8)`)
  const selects = StructuredFields.get(item.parameters, isDerived ? "name" : "key")
  return {
    name,
    text,
    key: item.parameters.length < 2 ? text : textOf({ ...item, parameters: [...item.parameters].sort(byName) }),
    item,
    isOfRequest: has("req"),
    isTrailer: has("tr"),
    isStructured: has("sf"),
    isBytes: has("bs"),
    selects: selects?._tag === "String" ? selects.value : undefined
  }
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : 1)

/** Reads an identifier as callers write it: `"content-digest";req`, or without the quotes. */
export const parseComponent = (text: string): Component => {
  if (isWhole(text)) return wholeOf(text, StructuredFields.item(StructuredFields.string(text)))
  const end = text.indexOf(";")
  const quoted = text.startsWith(`"`) ? text : end < 0 ? `"${text}"` : `"${text.slice(0, end)}"${text.slice(end)}`
  const item = StructuredFields.parseItem(quoted, { duplicates: "refuse" })
  return Result.isSuccess(item)
    ? componentOf(item.success)
    : refuse("ComponentInvalid", "it is not the identifier of a component", text)
}

/** Checks a list of identifiers: each once (section 2.5). */
export const componentsOf = (items: ReadonlyArray<StructuredFields.Item>): ReadonlyArray<Component> => {
  const seen = new Set<string>()
  return items.map((item) => {
    const component = componentOf(item)
    if (seen.has(component.key)) refuse("ComponentInvalid", "it is covered twice", component.text)
    seen.add(component.key)
    return component
  })
}

// ---------------------------------------------------------------------------
// values of derived components (section 2.2)
// ---------------------------------------------------------------------------

interface Derived {
  readonly of: "Request" | "Response"
  readonly parameters: ReadonlySet<string>
  /** `undefined`: the message does not have it, or its source does not know it. */
  readonly value: (message: never) => string | undefined
}

const ofRequest = (
  value: (request: HttpRequest) => string | undefined,
  parameters: ReadonlyArray<string> = ["req"]
): Derived => ({ of: "Request", parameters: new Set(parameters), value })

const authorityPattern = /^(\[[0-9a-f:.]+\]|[a-z0-9\-._~%!$&'()*+,;=]+)(?::([0-9]*))?$/
const defaultPorts: ReadonlyMap<string, string> = new Map([
  ["http", "80"],
  ["https", "443"]
])

/** RFC 9110 section 4.2.3: lower case, without the port that the scheme has by default. */
const authorityOf = ({ authority, scheme }: HttpRequest): string | undefined => {
  const found = authorityPattern.exec(authority?.toLowerCase() ?? "")
  if (found === null) return undefined
  const [, host, port = ""] = found as unknown as [string, string, string | undefined]
  if (port === "") return host
  // Whether the port is the default one, nobody can tell without the scheme
  if (scheme === undefined) return port === "80" || port === "443" ? undefined : `${host}:${port}`
  return defaultPorts.get(scheme.toLowerCase()) === port ? host : `${host}:${port}`
}

const targetUriOf = (request: HttpRequest): string | undefined => {
  const authority = authorityOf(request)
  const { path, query, scheme } = request
  return authority === undefined || scheme === undefined || path === undefined
    ? undefined
    : `${scheme.toLowerCase()}://${authority}${path}${query === undefined ? "" : `?${query}`}`
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Nothing to decode, and nothing to encode. */
const isUnreserved = /^[A-Za-z0-9*\-._]*$/

/** A name or value of `application/x-www-form-urlencoded`, one character a byte, decoded; `undefined` where it is not UTF-8. */
const decodeForm = (text: string): string | undefined => {
  if (isUnreserved.test(text)) return text
  const bytes: Array<number> = []
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code > 0xff) return undefined
    const hex = code === 0x25 ? text.slice(at + 1, at + 3) : ""
    if (/^[0-9A-Fa-f]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16))
      at += 2
    } else {
      bytes.push(code === 0x2b ? 0x20 : code)
    }
  }
  try {
    return strictUtf8.decode(Uint8Array.from(bytes))
  } catch {
    return undefined
  }
}

/** All but letters, digits and `*-._` is escaped; a space is `%20`, not `+` (section 2.2.8). */
const encodeForm = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()~]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)

/** The parameters of a query, encoded anew; `undefined` for one that nobody can sign. */
type Query = ReadonlyMap<string, { readonly value: string | undefined; readonly problem: string }>

const parseQuery = ({ query }: HttpRequest): Query => {
  const parameters = new Map<string, { readonly value: string | undefined; readonly problem: string }>()
  for (const pair of (query ?? "").split("&")) {
    const end = pair.indexOf("=")
    const name = decodeForm(end < 0 ? pair : pair.slice(0, end))
    if (pair === "" || name === undefined) continue
    const key = encodeForm(name)
    const value = decodeForm(end < 0 ? "" : pair.slice(end + 1))
    parameters.set(
      key,
      parameters.has(key)
        ? { value: undefined, problem: "the parameter comes twice: cover @query instead" }
        : value === undefined
          ? { value, problem: "the parameter is not UTF-8" }
          : { value: encodeForm(value), problem: "" }
    )
  }
  return parameters
}

const derived: ReadonlyMap<string, Derived> = new Map([
  ["@method", ofRequest(({ method }) => (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(method) ? method : undefined))],
  ["@target-uri", ofRequest(targetUriOf)],
  ["@authority", ofRequest(authorityOf)],
  ["@scheme", ofRequest(({ scheme }) => scheme?.toLowerCase())],
  ["@request-target", ofRequest(({ requestTarget }) => requestTarget)],
  // Section 2.2.6: an empty path is a slash
  ["@path", ofRequest(({ path }) => (path === "" ? "/" : path))],
  // Section 2.2.7: a question mark also where there is no query
  ["@query", ofRequest(({ path, query }) => (path === undefined ? undefined : `?${query ?? ""}`))],
  // Read once for all parameters: see readerOf
  ["@query-param", ofRequest(() => undefined, ["req", "name"])],
  [
    "@status",
    {
      of: "Response",
      parameters: new Set<string>(),
      value: ({ status }: HttpResponse) =>
        Number.isInteger(status) && status >= 100 && status <= 999 ? String(status) : undefined
    }
  ]
])

// ---------------------------------------------------------------------------
// values of fields (section 2.1)
// ---------------------------------------------------------------------------

const bytesOf = (text: string, component: Component): Uint8Array =>
  Uint8Array.from(text, (character) => {
    const code = character.charCodeAt(0)
    return code > 0xff ? refuse("ComponentUnavailable", "a character that is no byte", component.text) : code
  })

const unavailable = (component: Component, problem: string): never =>
  refuse("ComponentUnavailable", problem, component.text)

const isControl = /[\x00-\x08\x0a-\x1f\x7f]/

/** The lines of a field, and what was read of them: once, however many components ask, and not if none does. */
interface Field {
  readonly lines: Array<string>
  values?: ReadonlyArray<string>
  hasControl?: boolean
  dictionary?: Result.Result<ReadonlyMap<string, StructuredFields.Member>, unknown>
}

const valuesOf = (field: Field): ReadonlyArray<string> => (field.values ??= field.lines.map(trimmed))

const fieldValue = (
  field: Field,
  areLinesExact: boolean,
  component: Component,
  fieldTypes: FieldTypes | undefined
): string => {
  const { isBytes, isStructured, name, selects } = component
  const values = valuesOf(field)
  field.hasControl ??= values.some((value) => isControl.test(value))
  if (field.hasControl) return unavailable(component, "a control character in its value")
  if (isBytes) {
    if (!areLinesExact)
      return unavailable(component, `"bs" needs the lines as they were sent, and here they are joined`)
    return values.map((value) => `:${Base64.encode(bytesOf(value, component))}:`).join(", ")
  }
  const type = typeOf(name, fieldTypes)
  if (selects !== undefined) {
    if (type !== "dictionary")
      return unavailable(component, "it is not known to be a dictionary: state it in fieldTypes")
    const dictionary = (field.dictionary ??= Result.map(
      StructuredFields.parseDictionary(values),
      (members) => new Map(members)
    ))
    if (Result.isFailure(dictionary)) return unavailable(component, "it is not a dictionary")
    const member = dictionary.success.get(selects)
    return member === undefined
      ? unavailable(component, "the dictionary has no such member")
      : Result.getOrThrow(StructuredFields.serializeMember(member))
  }
  if (!isStructured) return values.join(", ")
  if (type === undefined) return unavailable(component, "its type is not known: state it in fieldTypes")
  const written = structured[type](values)
  return Result.isSuccess(written) ? written.success : unavailable(component, `it is not of the type ${type}`)
}

/** Read and written again. */
const structured = {
  item: (values: ReadonlyArray<string>) =>
    Result.flatMap(StructuredFields.parseItem(values), (value) => StructuredFields.serializeItem(value)),
  list: (values: ReadonlyArray<string>) =>
    Result.flatMap(StructuredFields.parseList(values), (value) => StructuredFields.serializeList(value)),
  dictionary: (values: ReadonlyArray<string>) =>
    Result.flatMap(StructuredFields.parseDictionary(values), (value) => StructuredFields.serializeDictionary(value))
}

type Index = ReadonlyMap<string, Field>

/** The lines of each name, in their order. */
const indexOf = (lines: ReadonlyArray<FieldLine>): Index => {
  const index = new Map<string, Field>()
  for (const [name, value] of lines) {
    const key = name.toLowerCase()
    const field = index.get(key)
    if (field === undefined) index.set(key, { lines: [value] })
    else field.lines.push(value)
  }
  return index
}

// ---------------------------------------------------------------------------
// values
// ---------------------------------------------------------------------------

/** Reads the values of the components of one message. */
export interface ComponentReader {
  readonly message: HttpMessage
  readonly value: (component: Component) => string
  /** The lines of the field that a component is of. */
  readonly lines: (component: Component) => ReadonlyArray<string>
  /** The message that a component is of: with `req`, the request that was answered. */
  readonly contextOf: (component: Component) => HttpMessage
}

export const readerOf = (message: HttpMessage, fieldTypes?: FieldTypes): ComponentReader => {
  const indexes = new Map<ReadonlyArray<FieldLine>, Index>()
  const indexed = (lines: ReadonlyArray<FieldLine>): Index => {
    const known = indexes.get(lines)
    if (known !== undefined) return known
    const made = indexOf(lines)
    indexes.set(lines, made)
    return made
  }
  const queries = new Map<HttpMessage, Query>()
  const queryValue = (context: HttpMessage, component: Component): string => {
    const query = queries.get(context) ?? parseQuery(context as HttpRequest)
    queries.set(context, query)
    const parameter = query.get(component.selects!)
    if (parameter === undefined) return unavailable(component, "the query has no such parameter")
    return parameter.value ?? unavailable(component, parameter.problem)
  }
  const contextOf = (component: Component): HttpMessage => {
    if (!component.isOfRequest) return message
    // Section 2.4
    if (message._tag === "Request") return refuse("ComponentInvalid", `"req" is for responses`, component.text)
    return message.request ?? unavailable(component, "the request that was answered is not known: give it")
  }
  const field = (component: Component): Field => {
    const context = contextOf(component)
    const all = component.isTrailer ? context.trailers : context.fields
    if (all === undefined) return unavailable(component, "the trailers are not known")
    return indexed(all).get(component.name) ?? unavailable(component, "the message has no such field")
  }
  const rawValue = (component: Component): string => {
    const rule = derived.get(component.name)
    if (rule === undefined) {
      return fieldValue(field(component), contextOf(component).areLinesExact, component, fieldTypes)
    }
    const context = contextOf(component)
    if (rule.of !== context._tag) {
      const problem = rule.of === "Request" ? `it is of a request: cover it with "req"` : "it is of a response"
      return refuse("ComponentInvalid", problem, component.text)
    }
    const value = component.name === "@query-param" ? queryValue(context, component) : rule.value(context as never)
    if (value === undefined)
      return unavailable(component, "the message does not have it, or its source does not know it")
    // Section 2.2: printable, and no blanks around it
    return /^\s|[^\x20-\x7e]|\s$/.test(value) ? unavailable(component, "its value is not printable") : value
  }
  /** Of each identifier, once: 16 signatures of one message may cover the same. */
  const values = new Map<string, string>()
  return {
    message,
    contextOf,
    lines: (component) => valuesOf(field(component)),
    value: (component) => {
      const known = values.get(component.key)
      if (known !== undefined) return known
      const value = rawValue(component)
      // Section 2.5, step 4
      if (/[^\x00-\x7f]/.test(value)) return unavailable(component, `its value is not ASCII: cover it with "bs"`)
      values.set(component.key, value)
      return value
    }
  }
}
