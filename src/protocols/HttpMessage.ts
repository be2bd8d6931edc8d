/**
 * HTTP messages as a signature sees them: an ordered list of field lines, and of a
 * request the parts of its target.
 *
 * What the source of a message cannot know is `undefined` here, and a signature
 * that covers it is refused instead of being computed over a guess.
 *
 * **Details**
 *
 * | from | field lines | `@request-target` | trailers |
 * | --- | --- | --- | --- |
 * | {@link request}, {@link response} | as given | as given | as given |
 * | {@link fromIncomingMessage}, {@link fromServerRequest} on Node | exact | exact | exact, once the body was read |
 * | {@link fromClientRequest} | exact | unknown | unknown |
 * | {@link fromFetchRequest}, {@link fromFetchResponse}, {@link fromClientResponse} | joined | unknown | unknown |
 *
 * Where lines are joined, nobody can tell `a, b` from two lines: `bs` is refused.
 *
 * **Gotchas**
 *
 * Behind a proxy that ends TLS, state the `scheme` and, where the proxy rewrites
 * `Host`, the `authority` that clients use.
 *
 * **Example** (A request)
 *
 * ```ts
 * import * as HttpMessage from "effect-signer/HttpMessage"
 *
 * const request = HttpMessage.request({
 *   method: "POST",
 *   target: "/orders?dry=1",
 *   scheme: "https",
 *   fields: [["Host", "api.example"], ["Content-Type", "application/json"]],
 *   body: new TextEncoder().encode("{}")
 * })
 * ```
 *
 * @since 0.1.0
 */
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Url from "effect/http/Url"
import * as Result from "effect/Result"
import { trimmed } from "./http/FieldValue.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * One field line: its name in any letter case, and its value without decoding,
 * one character a byte.
 *
 * @category models
 * @since 0.1.0
 */
export type FieldLine = readonly [name: string, value: string]

interface Fields {
  readonly fields: ReadonlyArray<FieldLine>
  /** Whether each line here is one line of the message. `false`: lines of one name may be joined. */
  readonly areLinesExact: boolean
  /** `undefined`: not known. */
  readonly trailers: ReadonlyArray<FieldLine> | undefined
  /** The content as it is sent, after content coding. `undefined`: not known. */
  readonly body: Uint8Array | undefined
}

/**
 * A request. `undefined` is what is not known.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpRequest extends Fields {
  readonly _tag: "Request"
  readonly method: string
  readonly scheme: string | undefined
  /** Host and port, as in `Host` or `:authority`. */
  readonly authority: string | undefined
  /** Not decoded. Empty for `OPTIONS *`. */
  readonly path: string | undefined
  /** Without its `?`, not decoded. `undefined` where there is none. */
  readonly query: string | undefined
  /** Exactly as it is sent, in any of the four forms of RFC 9112 section 3.2. */
  readonly requestTarget: string | undefined
}

/**
 * A response.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpResponse extends Fields {
  readonly _tag: "Response"
  readonly status: number
  /** The request that it answers, for components with `req`. */
  readonly request: HttpRequest | undefined
}

/**
 * A message.
 *
 * @category models
 * @since 0.1.0
 */
export type HttpMessage = HttpRequest | HttpResponse

interface Content {
  readonly trailers?: ReadonlyArray<FieldLine> | undefined
  readonly body?: Uint8Array | undefined
}

/**
 * What {@link request} takes.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestOptions extends Content {
  readonly method: string
  /** The request target of RFC 9112 section 3.2: `/path?query`, a URL, `host:port` of `CONNECT`, or `*`. */
  readonly target: string
  /** Default: that of a target that is a URL. */
  readonly scheme?: string | undefined
  /** Default: that of the target, or else the one `Host` line. */
  readonly authority?: string | undefined
  readonly fields: ReadonlyArray<FieldLine>
}

/**
 * What {@link response} takes.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResponseOptions extends Content {
  readonly status: number
  readonly fields: ReadonlyArray<FieldLine>
  readonly request?: HttpRequest | undefined
}

/**
 * What an adapter cannot read from its source.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestContext {
  /** The content, where it was read. */
  readonly body?: Uint8Array | undefined
  /** The scheme that clients use, where a proxy ends TLS. */
  readonly scheme?: "http" | "https" | undefined
  /**
   * The authority that clients use, where a proxy rewrites `Host`; or the only one that
   * is served, so that a message for another host does not verify. Default: what the
   * message says.
   */
  readonly authority?: string | undefined
}

/**
 * What a response does not say about itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResponseContext {
  readonly body?: Uint8Array | undefined
  readonly request?: HttpRequest | undefined
}

// ---------------------------------------------------------------------------
// targets
// ---------------------------------------------------------------------------

type Target = Pick<HttpRequest, "scheme" | "authority" | "path" | "query">

const unknownTarget: Target = { scheme: undefined, authority: undefined, path: undefined, query: undefined }

/**
 * A URL with an authority and without a fragment. The path begins with a slash or is
 * empty: could it begin anywhere, one that does not match would take time with its square.
 */
const absoluteForm = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)(\/[^?#]*|)(?:\?([^#]*))?$/

/** Path and query of the origin form. */
const originForm = /^(\/[^?#]*)(?:\?([^#]*))?$/

const hostOf = (fields: ReadonlyArray<FieldLine>): string | undefined => {
  const hosts = fields.filter(([name]) => name.toLowerCase() === "host")
  return hosts.length === 1 ? trimmed(hosts[0]![1]) : undefined
}

/** RFC 9112 section 3.3. */
const parseTarget = (method: string, target: string, host: string | undefined): Target => {
  if (method === "CONNECT") return { ...unknownTarget, authority: target }
  if (target === "*") return { ...unknownTarget, authority: host, path: "" }
  const origin = originForm.exec(target)
  if (origin !== null) return { ...unknownTarget, authority: host, path: origin[1], query: origin[2] }
  const absolute = absoluteForm.exec(target)
  return absolute === null
    ? unknownTarget
    : { scheme: absolute[1], authority: absolute[2], path: absolute[3] === "" ? "/" : absolute[3], query: absolute[4] }
}

/** Of a parsed URL: what it says is normalized already. */
const targetOfUrl = (url: URL): Target => ({
  scheme: url.protocol.slice(0, -1),
  authority: url.host,
  path: url.pathname,
  query: queryOf(url)
})

/** `URL` does not tell an empty query from none, but its text does. */
const queryOf = (url: URL): string | undefined => {
  const [text] = url.href.split("#") as [string]
  const at = text.indexOf("?")
  return at < 0 ? undefined : text.slice(at + 1)
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * A request from its parts.
 *
 * @category constructors
 * @since 0.1.0
 */
export const request = (options: RequestOptions): HttpRequest => {
  const { body, fields, method, target, trailers } = options
  const parsed = parseTarget(method, target, hostOf(fields))
  return {
    _tag: "Request",
    method,
    scheme: options.scheme ?? parsed.scheme,
    authority: options.authority ?? parsed.authority,
    path: parsed.path,
    query: parsed.query,
    requestTarget: target,
    fields,
    areLinesExact: true,
    trailers,
    body
  }
}

/**
 * A response from its parts.
 *
 * @category constructors
 * @since 0.1.0
 */
export const response = (options: ResponseOptions): HttpResponse => ({
  _tag: "Response",
  status: options.status,
  fields: options.fields,
  areLinesExact: true,
  trailers: options.trailers,
  body: options.body,
  request: options.request
})

/**
 * What is read of a message of `node:http`.
 *
 * @category models
 * @since 0.1.0
 */
export interface IncomingMessage {
  readonly method?: string | undefined
  readonly url?: string | undefined
  /** What `url` was before a router (Express, Connect) took off the path where it is mounted. */
  readonly originalUrl?: string | undefined
  readonly statusCode?: number | undefined
  readonly rawHeaders: ReadonlyArray<string>
  readonly rawTrailers: ReadonlyArray<string>
  /** Whether the whole message was read: trailers are known then. */
  readonly complete: boolean
  readonly socket: object
}

/** Names and values in turn. Pseudo-header fields of HTTP/2 are no fields. */
const linesOf = (raw: ReadonlyArray<string>): ReadonlyArray<FieldLine> => {
  const lines: Array<FieldLine> = []
  for (let at = 0; at + 1 < raw.length; at += 2) {
    if (!raw[at]!.startsWith(":")) lines.push([raw[at]!, raw[at + 1]!])
  }
  return lines
}

const pseudo = (raw: ReadonlyArray<string>, name: string): string | undefined => {
  const at = raw.indexOf(name)
  return at >= 0 && at % 2 === 0 ? raw[at + 1] : undefined
}

/**
 * Whether a request asks one host wherever it names one: a server may go by another of
 * them than the signature (RFC 9112 section 3.2, RFC 9113 section 8.3.1).
 */
const namesOneHost = ({ authority, fields }: HttpRequest): boolean =>
  fields.every(
    ([name, value]) => name.toLowerCase() !== "host" || trimmed(value).toLowerCase() === authority?.toLowerCase()
  )

/**
 * A request that a server of `node:http` or `node:http2` received.
 *
 * **Details**
 *
 * Reads `rawHeaders`: every line, in its order. The scheme is `https` where the
 * connection is encrypted and `http` where it is not, unless it is stated. The authority
 * of a request whose `Host` is not that of its target is not known, unless it is stated.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromIncomingMessage = (message: IncomingMessage, context: RequestContext = {}): HttpRequest => {
  const { rawHeaders } = message
  const target = message.originalUrl ?? message.url ?? ""
  const authority = pseudo(rawHeaders, ":authority")
  const isEncrypted = "encrypted" in message.socket && message.socket.encrypted === true
  const isAbsolute = absoluteForm.test(target)
  const parsed = request({
    method: message.method ?? "",
    target,
    scheme:
      context.scheme ?? pseudo(rawHeaders, ":scheme") ?? (isAbsolute ? undefined : isEncrypted ? "https" : "http"),
    authority: context.authority ?? authority,
    fields: linesOf(rawHeaders),
    trailers: message.complete ? linesOf(message.rawTrailers) : undefined,
    body: context.body
  })
  const isKnown = context.authority !== undefined || namesOneHost(parsed)
  // HTTP/2 and later have no request target to sign (RFC 9421 section 2.2.5)
  const hasTarget = pseudo(rawHeaders, ":path") === undefined
  return isKnown && hasTarget
    ? parsed
    : {
        ...parsed,
        ...(isKnown ? {} : { authority: undefined }),
        ...(hasTarget ? {} : { requestTarget: undefined })
      }
}

/**
 * A response that a client of `node:http` received.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromIncomingResponse = (message: IncomingMessage, context: ResponseContext = {}): HttpResponse =>
  response({
    status: message.statusCode ?? 0,
    fields: linesOf(message.rawHeaders),
    trailers: message.complete ? linesOf(message.rawTrailers) : undefined,
    body: context.body,
    request: context.request
  })

/** `Headers` join lines of one name, but those of `Set-Cookie`. */
const joined = (headers: Iterable<readonly [string, string]>) => ({
  fields: [...headers],
  areLinesExact: false,
  trailers: undefined
})

/**
 * A Fetch request. Its stream is not read: give the `body`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromFetchRequest = (
  source: { readonly method: string; readonly url: string; readonly headers: Headers },
  context: RequestContext = {}
): HttpRequest => {
  const target = URL.canParse(source.url) ? targetOfUrl(new URL(source.url)) : unknownTarget
  return {
    _tag: "Request",
    method: source.method,
    ...target,
    scheme: context.scheme ?? target.scheme,
    authority: context.authority ?? target.authority,
    requestTarget: undefined,
    ...joined(source.headers),
    body: context.body
  }
}

/**
 * A Fetch response. Its stream is not read: give the `body`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromFetchResponse = (
  source: { readonly status: number; readonly headers: Headers },
  context: ResponseContext = {}
): HttpResponse => ({
  _tag: "Response",
  status: source.status,
  ...joined(source.headers),
  body: context.body,
  request: context.request
})

/** Empty content is known, and bytes are; a stream, a form and a file are not. */
const bodyOf = ({ body }: HttpClientRequest.HttpClientRequest): Uint8Array | undefined =>
  body._tag === "Empty" ? new Uint8Array(0) : body._tag === "Uint8Array" ? body.body : undefined

/** What the client asks for: the same function makes its URL. */
const urlOf = ({ url, urlParams }: HttpClientRequest.HttpClientRequest): URL | undefined =>
  Result.getOrUndefined(Url.make(url, urlParams, undefined))

/**
 * A request that a client of `effect/http` is about to send. A body that is a
 * stream, a form or a file is not known here.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromClientRequest = (source: HttpClientRequest.HttpClientRequest): HttpRequest => {
  const url = urlOf(source)
  return {
    _tag: "Request",
    method: source.method,
    ...(url === undefined ? unknownTarget : targetOfUrl(url)),
    requestTarget: undefined,
    fields: Object.entries(source.headers),
    areLinesExact: true,
    trailers: undefined,
    body: bodyOf(source)
  }
}

/**
 * A response that a client of `effect/http` received. Its body is not read: give
 * it, as `response.arrayBuffer` has it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromClientResponse = (
  source: HttpClientResponse.HttpClientResponse,
  context: ResponseContext = {}
): HttpResponse => ({
  _tag: "Response",
  status: source.status,
  ...joined(Object.entries(source.headers)),
  body: context.body,
  request: context.request
})

const isIncomingMessage = (source: object): source is IncomingMessage =>
  "rawHeaders" in source && Array.isArray(source.rawHeaders) && "socket" in source && typeof source.socket === "object"

/**
 * A request that a server of `effect/http` received. Its body is not read: give
 * it, as `request.arrayBuffer` has it.
 *
 * **Details**
 *
 * On Node it is read from the message below, as {@link fromIncomingMessage} does,
 * so changes that a middleware made do not count. Elsewhere lines are joined.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromServerRequest = (
  source: HttpServerRequest.HttpServerRequest,
  context: RequestContext = {}
): HttpRequest => {
  const scheme = context.scheme ?? source.protocol
  const below = source.source
  if (isIncomingMessage(below)) return fromIncomingMessage(below, { ...context, scheme })
  if (below instanceof Request) return fromFetchRequest(below, { ...context, scheme })
  const fields = joined(Object.entries(source.headers))
  const parsed = request({
    method: source.method,
    target: source.originalUrl,
    scheme,
    authority: context.authority,
    fields: fields.fields,
    body: context.body
  })
  return { ...parsed, ...fields, requestTarget: undefined }
}
