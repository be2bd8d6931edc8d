/**
 * Which operation of AdCP a request asks for: by its path, or by the JSON-RPC
 * message of MCP and A2A in its body.
 *
 * What has no one answer is refused: a server that reads the body in another way
 * would run an operation that nobody was asked to sign.
 *
 * @category internal
 */
import { Malformed } from "../../schemas/Malformed.ts"
import * as StrictJson from "../../schemas/StrictJson.ts"
import type { HttpRequest } from "../HttpMessage.ts"
import { isJson, textOf } from "./BodyText.ts"

/**
 * What a request asks for. Both are there where a method of A2A calls an operation.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdcpOperation {
  /** An operation of AdCP: `create_media_buy`. */
  readonly name?: string | undefined
  /** A method of JSON-RPC, but for `tools/call`: `tasks/cancel`, `message/send`. */
  readonly protocolMethod?: string | undefined
}

// ---------------------------------------------------------------------------
// bodies
// ---------------------------------------------------------------------------

/** What can be said of a body before anybody is known to have signed it. */
export type Inspected =
  | { readonly _tag: "None" }
  | { readonly _tag: "Json"; readonly value: unknown }
  /** It may be JSON to others: a member twice, another charset, too deep, or too long to look at. */
  | { readonly _tag: "Ambiguous" }

/** Bytes of a body that are looked at before anybody is known to have sent it, at most. */
const maxLength = 1_048_576

const contentTypes = ({ fields }: HttpRequest): ReadonlyArray<string> =>
  fields.flatMap(([name, value]) => (name.toLowerCase() === "content-type" ? [value] : []))

/** What some readers go by, whatever RFC 8259 says: section 8.1 knows UTF-8 only. */
const charset = /;\s*charset\s*=\s*"?([^";\s]*)/gi

const isOtherCharset = (type: string): boolean =>
  Array.from(type.matchAll(charset)).some(([, name = ""]) => !/^utf-?8$/i.test(name))

/** Reads the body of a request whatever its `Content-Type` says it is: an attacker chooses that. */
export const inspect = (request: HttpRequest, most: number = maxLength): Inspected => {
  const { body } = request
  if (body === undefined || body.length === 0) return { _tag: "None" }
  if (body.length > most) return { _tag: "Ambiguous" }
  const types = contentTypes(request)
  const text = textOf(body)
  try {
    if (text !== undefined && !types.some(isOtherCharset)) {
      return { _tag: "Json", value: StrictJson.parse(text, "body") }
    }
  } catch (error) {
    if (!(error instanceof Malformed)) throw error
  }
  // A byte order mark is skipped by some readers, and what says that it is JSON is JSON to some
  const mayBeJson =
    types.some((type) => /json/i.test(type)) || (text !== undefined && isJson(text.replace(/^\uFEFF/, "")))
  return { _tag: mayBeJson ? "Ambiguous" : "None" }
}

// ---------------------------------------------------------------------------
// JSON-RPC
// ---------------------------------------------------------------------------

/** What a message asks for, or why nobody can say. */
export type Resolved =
  | { readonly _tag: "Operation"; readonly operation: AdcpOperation }
  | { readonly _tag: "Unresolvable"; readonly problem: string }

const resolved = (operation: AdcpOperation): Resolved => ({ _tag: "Operation", operation })

const unresolvable = (problem: string): Resolved => ({ _tag: "Unresolvable", problem })

/** Whether a member differs from a name in its letter case only: some readers take it for the other. */
const hasVariant = (record: StrictJson.JsonRecord, names: ReadonlyArray<string>): boolean =>
  Object.keys(record).some((key) => names.some((name) => name !== key && name.toLowerCase() === key.toLowerCase()))

/** Methods of A2A that call a skill, in its versions. */
const a2aMethods: ReadonlySet<unknown> = new Set([
  "message/send",
  "message/stream",
  "SendMessage",
  "SendStreamingMessage"
])

/** The binding of A2A to HTTP without JSON-RPC. */
const isA2aCall = /^message:(?:send|stream)$/

/** Of a part in the versions of A2A. An invocation has text, which means nothing, and data. */
const contents = ["text", "data", "raw", "url", "file"]

/** The skill that the one data part of a message names. */
const skillOf = (params: unknown): Resolved => {
  if (!StrictJson.isRecord(params) || hasVariant(params, ["message"])) return unresolvable("there is no one message")
  const { message } = params
  if (!StrictJson.isRecord(message) || hasVariant(message, ["parts", "taskId"])) {
    return unresolvable("there is no one message")
  }
  const { parts } = message
  if (!Array.isArray(parts)) return unresolvable("the message has no parts")
  const found: Array<unknown> = []
  for (const part of parts as ReadonlyArray<unknown>) {
    if (!StrictJson.isRecord(part) || hasVariant(part, [...contents, "kind"])) return unresolvable("not a part")
    const [content, ...others] = contents.filter((name) => Object.hasOwn(part, name))
    if (others.length > 0 || (content !== "text" && content !== "data")) {
      return unresolvable("a part is text or data, and one of them")
    }
    if (part["kind"] !== undefined && part["kind"] !== content) return unresolvable("a part is not of its kind")
    if (content === "data") found.push(part["data"])
  }
  const [data] = found
  if (found.length !== 1) return unresolvable("the message has not one data part")
  if (!StrictJson.isRecord(data) || hasVariant(data, ["skill"])) return unresolvable("the data names no skill")
  return nameOf(data["skill"], "the data names no skill")
}

const maxName = 128

const nameOf = (name: unknown, problem: string): Resolved =>
  typeof name === "string" && name !== "" && name.length <= maxName ? resolved({ name }) : unresolvable(problem)

const ofJsonRpc = (message: StrictJson.JsonRecord): Resolved => {
  if (hasVariant(message, ["jsonrpc", "method", "params"])) return unresolvable("two spellings of one member")
  const { method, params } = message
  const isResponse = method === undefined && ("result" in message || "error" in message) && params === undefined
  if (isResponse) return resolved({})
  if (typeof method !== "string" || method.length > maxName) return unresolvable("the message has no method")
  if (a2aMethods.has(method)) {
    const called = skillOf(params)
    // It is a method, too: a list of methods that names it means every call
    return called._tag === "Operation" ? resolved({ ...called.operation, protocolMethod: method }) : called
  }
  if (method !== "tools/call") return resolved({ protocolMethod: method })
  return StrictJson.isRecord(params) && !hasVariant(params, ["name"])
    ? nameOf(params["name"], "the call names no tool")
    : unresolvable("the call names no tool")
}

/** What a reader may take for a message of JSON-RPC, also one that lacks the version. */
const isJsonRpc = (value: StrictJson.JsonRecord): boolean => {
  const names = Object.keys(value).map((key) => key.toLowerCase())
  const { method } = value
  return (
    names.includes("jsonrpc") ||
    (names.includes("method") && names.includes("params")) ||
    a2aMethods.has(method) ||
    method === "tools/call"
  )
}

// ---------------------------------------------------------------------------
// requests
// ---------------------------------------------------------------------------

const isName = /^[a-z][a-z0-9_]{0,127}$/

/**
 * The segments of a path as the most generous router reads them: decoded, without
 * letter case, parameters and empty segments.
 */
const segmentsOf = (path: string): ReadonlyArray<string> => {
  const decoded = path.replace(/%([0-7][0-9A-Fa-f])/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16))
  )
  const kept: Array<string> = []
  for (const segment of decoded.split(/[/\\]/)) {
    const [name = ""] = segment.toLowerCase().split(";", 1)
    if (name === "..") kept.pop()
    else if (name !== "" && name !== ".") kept.push(name)
  }
  return kept
}

/** The last segment of a path. */
const inPath = (path: string | undefined): AdcpOperation => {
  const name = path === undefined ? undefined : segmentsOf(path).at(-1)
  return name !== undefined && isName.test(name) ? { name } : {}
}

const isA2aPath = (path: string | undefined): boolean =>
  path !== undefined && isA2aCall.test(segmentsOf(path).at(-1) ?? "")

/** What the body asks for; `undefined` where it is no call of anything. */
const inBody = (path: string | undefined, body: Inspected): Resolved | undefined => {
  if (body._tag === "None") return undefined
  if (body._tag === "Ambiguous") return unresolvable("the body has more than one meaning")
  const { value } = body
  // Also a batch of JSON-RPC: nothing in AdCP is a list or a scalar
  if (!StrictJson.isRecord(value)) return unresolvable("the body is JSON, and no object")
  if (isA2aPath(path)) return skillOf(value)
  return isJsonRpc(value) ? ofJsonRpc(value) : undefined
}

/**
 * Everything that a request may ask for, by its path and by its body: who wants to
 * pass as something else has to deceive both.
 */
export const allIn = (
  path: string | undefined,
  body: Inspected
): { readonly operations: ReadonlyArray<AdcpOperation>; readonly problem: string | undefined } => {
  const called = inBody(path, body)
  const named = inPath(path)
  return called?._tag === "Operation"
    ? { operations: [called.operation, named], problem: undefined }
    : { operations: [named], problem: called?.problem }
}

/** The operation of a request: its body says it, and else its path. */
export const resolve = (request: HttpRequest): Resolved =>
  inBody(request.path, inspect(request)) ?? resolved(inPath(request.path))

/** The same, and nothing where nobody can say. */
export const operationOf = (request: HttpRequest): AdcpOperation => {
  const found = resolve(request)
  return found._tag === "Operation" ? found.operation : {}
}

// ---------------------------------------------------------------------------
// credentials for webhooks
// ---------------------------------------------------------------------------

/** Where AdCP registers webhooks: one, or a list of them. */
const registrations = ["push_notification_config", "notification_configs"]

/** As deep as strict JSON is, so it ends. */
const carries = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return false
  if (Array.isArray(value)) return value.some(carries)
  return Object.entries(value).some(
    ([key, member]) =>
      (registrations.includes(key.toLowerCase()) && [member].flat().some(hasCredentials)) || carries(member)
  )
}

/** In any letter case: to some readers the names are the same. */
const hasCredentials = (config: unknown): boolean =>
  StrictJson.isRecord(config) &&
  Object.entries(config).some(([key, member]) => key.toLowerCase() === "authentication" && isThere(member))

const isThere = (value: unknown): boolean =>
  typeof value === "object" && value !== null ? Object.keys(value).length > 0 : value !== null && value !== ""

/** Whether a body registers credentials for webhooks, at any depth, or may do so. */
export const carriesWebhookCredentials = (body: Inspected): boolean =>
  body._tag === "Ambiguous" || (body._tag === "Json" && carries(body.value))
