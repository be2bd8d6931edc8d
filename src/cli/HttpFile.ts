/**
 * HTTP messages in files, as they are on the wire of HTTP/1.1 (RFC 9112): a start
 * line, field lines, an empty line, the content. Lines end with CR LF or with LF.
 *
 * @category internal
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { FieldLine, HttpMessage, HttpRequest } from "../protocols/HttpMessage.ts"
import { request, response } from "../protocols/HttpMessage.ts"
import { fail, shownPath } from "./Failure.ts"
import * as Files from "./Files.ts"

/** A message, and what is needed to write it again as it was. */
export interface HttpFile {
  readonly message: HttpMessage
  /** The start line and the field lines, with the ends of their lines; one character a byte. */
  readonly head: string
  readonly lineEnd: "\r\n" | "\n"
  readonly body: Uint8Array
}

/** The flags of commands that read a message. */
export const flags = {
  scheme: Flag.Literals("scheme", ["https", "http"]).pipe(
    Flag.withDescription("The scheme of a request that does not state it. Default: https"),
    Flag.withDefault("https" as const)
  ),
  request: Flag.String("request").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("The request that a response answers, where the signature covers parts of it"),
    Flag.optional
  )
}

/** What these flags say. */
export interface Source {
  readonly scheme: "https" | "http"
  readonly request: Option.Option<string>
}

/** The files that are read beside the message. */
export const inputs = (source: Source): ReadonlyArray<string> => Option.toArray(source.request)

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

const requestLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP\/\d\.\d$/
const statusLine = /^HTTP\/\d(?:\.\d)? (\d{3})(?: .*)?$/
const fieldLine = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)$/

/** Where the empty line is: the end of the head, and the start of the content. */
const boundaryOf = (text: string): { readonly end: number; readonly next: number } => {
  const found = /\r?\n(\r?\n)/.exec(text)
  return found === null
    ? { end: text.length, next: text.length }
    : { end: found.index + found[0].length - found[1]!.length, next: found.index + found[0].length }
}

const valueOf = (fields: ReadonlyArray<FieldLine>, name: string): string | undefined =>
  fields.find(([field]) => field.toLowerCase() === name)?.[1].trim()

/** What is wrong with the content, for what the fields say of it. */
const contentProblem = (fields: ReadonlyArray<FieldLine>, body: Uint8Array): string | undefined => {
  if (valueOf(fields, "transfer-encoding") !== undefined) {
    return "has a Transfer-Encoding; save the content as it is, without chunks and that line"
  }
  const stated = valueOf(fields, "content-length")
  if (stated === undefined || stated === String(body.length)) return undefined
  return (
    `has ${body.length} bytes of content, and its Content-Length is another` +
    (stated === String(body.length - 1) && body.at(-1) === 0x0a
      ? "; the line end at the end of the file is one of them"
      : "")
  )
}

const parse = (bytes: Uint8Array, scheme: string, answered: HttpRequest | undefined): HttpFile | string => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")
  const { end, next } = boundaryOf(text)
  const complete = text.slice(0, end)
  const head = complete.endsWith("\n") ? complete : `${complete}\n`
  const [start = "", ...lines] = head
    .slice(0, -1)
    .split("\n")
    .map((line) => line.replace(/\r$/, ""))
  const fields: Array<FieldLine> = []
  for (const [index, line] of lines.entries()) {
    const field = fieldLine.exec(line)
    if (field === null) return `is no HTTP message: line ${index + 2} is not NAME: VALUE on one line`
    fields.push([field[1]!, field[2]!])
  }
  const body = bytes.slice(next)
  const problem = contentProblem(fields, body)
  if (problem !== undefined) return problem
  const asked = requestLine.exec(start)
  const status = statusLine.exec(start)
  if (asked === null && status === null) {
    return "is no HTTP message: its first line is neither METHOD TARGET HTTP/1.1 nor HTTP/1.1 STATUS REASON"
  }
  const message =
    asked === null
      ? response({ status: Number(status![1]), fields, body, request: answered })
      : request({
          method: asked[1]!,
          target: asked[2]!,
          scheme: asked[2]!.includes("://") ? undefined : scheme,
          fields,
          body
        })
  return { message, head, lineEnd: head.includes("\r\n") ? "\r\n" : "\n", body }
}

const readNamed = Effect.fnUntraced(function* (path: string, scheme: string, answered?: HttpRequest) {
  const parsed = parse(yield* Files.readAll(path), scheme, answered)
  return typeof parsed === "string" ? yield* fail(`${shownPath(path)} ${parsed}`) : parsed
})

/** Reads the message in a file, and the request that it answers. */
export const read = Effect.fnUntraced(function* (path: string, source: Source) {
  if (Option.isNone(source.request)) return yield* readNamed(path, source.scheme)
  const { message: asked } = yield* readNamed(source.request.value, source.scheme)
  if (asked._tag === "Response") return yield* fail(`${shownPath(source.request.value)} is a response, not a request`)
  const file = yield* readNamed(path, source.scheme, asked)
  return file.message._tag === "Response"
    ? file
    : yield* fail("--request FILE goes with a response, and this is a request")
})

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

/** Lines of fields as text. */
export const format = (fields: ReadonlyArray<FieldLine>, lineEnd = "\n"): string =>
  fields.map(([name, value]) => `${name}: ${value}${lineEnd}`).join("")

/** The file with more field lines, and otherwise byte for byte as it was. */
export const withFields = ({ body, head, lineEnd }: HttpFile, fields: ReadonlyArray<FieldLine>): Uint8Array =>
  Buffer.concat([Buffer.from(head + format(fields, lineEnd) + lineEnd, "latin1"), body])
