/**
 * The one form of a URL that AdCP compares and signs: RFC 3986 section 6.2.2 and
 * 6.2.3, IDN as A-labels, and nothing else touched.
 *
 * `URL` is not used for it: it keeps `%41`, keeps a root dot, accepts
 * `https:///p`, and reads a backslash as a slash.
 *
 * @category internal
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { HttpRequest } from "../HttpMessage.ts"
import { trimmed } from "../http/FieldValue.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * A URL that has no canonical form. It holds nothing of the URL.
 *
 * @category errors
 * @since 0.1.0
 */
export class TargetUriMalformed extends Schema.TaggedError<TargetUriMalformed>("effect-signer/TargetUriMalformed")(
  "TargetUriMalformed",
  {
    /** Which part. */
    part: Schema.Literals(["url", "scheme", "authority", "host", "port", "path", "query", "host header"]),
    problem: Schema.String
  }
) {
  override get message() {
    return `TargetUriMalformed: ${this.part}: ${this.problem}`
  }
}

/**
 * A URL in its canonical form, and its parts.
 *
 * @category models
 * @since 0.1.0
 */
export interface TargetUri {
  /** What `@target-uri` is. */
  readonly uri: string
  /** What `@authority` is. */
  readonly authority: string
  readonly scheme: "http" | "https"
  readonly path: string
  /** Without its `?`; `undefined` where there is none. */
  readonly query: string | undefined
}

type Part = TargetUriMalformed["part"]

/** Codecs throw what callers get as a failure. */
const refuse = (part: Part, problem: string): never => {
  throw new TargetUriMalformed({ part, problem })
}

const attempt = <A>(codec: () => A): Result.Result<A, TargetUriMalformed> => {
  try {
    return Result.succeed(codec())
  } catch (error) {
    if (error instanceof TargetUriMalformed) return Result.fail(error)
    throw error
  }
}

// ---------------------------------------------------------------------------
// host and port
// ---------------------------------------------------------------------------

const isAscii = /^[\x21-\x7e]*$/

/** A label as DNS has it (UTS 46 with UseSTD3ASCIIRules): letters, digits, and hyphens within. */
const isLabel = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

/** The A-labels of a name; `undefined` where there are none. UTS 46, nontransitional, as the URL standard demands. */
const toAscii = (name: string): string | undefined => {
  const url = `https://${name}/`
  return URL.canParse(url) ? new URL(url).hostname : undefined
}

/** IPv6 literals keep their brackets and their spelling, in lower case. */
const ipv6Of = (host: string): string => {
  if (!host.endsWith("]")) refuse("host", "an IPv6 literal without its closing bracket")
  // RFC 6874: a zone is local to a node
  if (host.includes("%")) refuse("host", "an IPv6 zone identifier means nothing to others")
  if (!/^\[[0-9A-Fa-f:.]+\]$/.test(host) || !URL.canParse(`https://${host}/`)) refuse("host", "not an IPv6 literal")
  return host.toLowerCase()
}

const hostOf = (host: string): string => {
  if (host.startsWith("[")) return ipv6Of(host)
  if (host === "") return refuse("host", "there is none")
  if (/[^\x80-\uffffA-Za-z0-9.-]/.test(host)) return refuse("host", "a character that no host name has")
  const ascii = isAscii.test(host) ? host.toLowerCase() : toAscii(host)
  if (ascii === undefined) return refuse("host", "it has no A-labels")
  // One dot at the end is the root of DNS
  const name = ascii.endsWith(".") ? ascii.slice(0, -1) : ascii
  if (name.length > 253) refuse("host", "longer than 253 characters")
  for (const label of name.split(".")) {
    if (label === "") refuse("host", "an empty DNS label")
    if (!isLabel.test(label)) refuse("host", "a label that is not letters, digits and hyphens within")
  }
  // To many clients `1.2` and `0x7f.1` are addresses, and they ask for another host than is written
  if (/(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(name) && toAscii(name) !== name) refuse("host", "not an IPv4 address")
  return name
}

const defaultPorts = { http: 80, https: 443 } as const

const portOf = (port: string, scheme: "http" | "https"): string => {
  if (port === "") return ""
  const value = /^[0-9]{1,10}$/.test(port) ? Number(port) : 65_536
  if (value > 65_535) return refuse("port", "not a number from 0 to 65535")
  return value === defaultPorts[scheme] ? "" : `:${value}`
}

const authorityOf = (authority: string, scheme: "http" | "https"): string => {
  if (authority === "") return refuse("authority", "there is none")
  const hostAndPort = authority.slice(authority.lastIndexOf("@") + 1)
  const parsed = /^(\[[^\]]*\]?|[^:]*)(?::(.*))?$/.exec(hostAndPort)
  if (parsed === null) return refuse("authority", "not a host and a port")
  const [, host = "", port = ""] = parsed
  return `${hostOf(host)}${portOf(port, scheme)}`
}

// ---------------------------------------------------------------------------
// path
// ---------------------------------------------------------------------------

/** RFC 3986 section 5.2.4, of a path that begins with a slash. An empty segment is a segment. */
const removeDotSegments = (path: string): string => {
  const kept: Array<string> = []
  const segments = path.slice(1).split("/")
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1
    if (segment !== "." && segment !== "..") kept.push(segment)
    else {
      if (segment === "..") kept.pop()
      if (isLast) kept.push("")
    }
  }
  return `/${kept.join("/")}`
}

const isUnreserved = /[A-Za-z0-9\-._~]/

/** RFC 3986 sections 6.2.2.1 and 6.2.2.2. */
const normalizePercent = (path: string): string =>
  path.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return isUnreserved.test(character) ? character : `%${hex.toUpperCase()}`
  })

const pathOf = (path: string): string => {
  if (path === "") return "/"
  if (!path.startsWith("/")) return refuse("path", "it does not begin with a slash")
  if (!isAscii.test(path)) return refuse("path", "a character that is not printable ASCII")
  // Some read it as a slash
  if (path.includes("\\")) return refuse("path", "a backslash")
  const normal = normalizePercent(removeDotSegments(path))
  // Some resolve `%2e%2e` as they do `..`, others do not: what is signed would not be what is served
  if (/\/\.\.?(?:\/|$)/.test(normal)) return refuse("path", "an encoded dot segment")
  return normal
}

// ---------------------------------------------------------------------------
// canonical form
// ---------------------------------------------------------------------------

interface Parts {
  readonly scheme: string
  readonly authority: string
  readonly path: string
  readonly query: string | undefined
}

const canonical = ({ authority, path, query, scheme }: Parts): TargetUri => {
  const lower = scheme.toLowerCase()
  if (lower !== "http" && lower !== "https") return refuse("scheme", "neither http nor https")
  if (query !== undefined && !isAscii.test(query)) refuse("query", "a character that is not printable ASCII")
  const canonicalAuthority = authorityOf(authority, lower)
  const canonicalPath = pathOf(path)
  const end = query === undefined ? "" : `?${query}`
  return {
    uri: `${lower}://${canonicalAuthority}${canonicalPath}${end}`,
    authority: canonicalAuthority,
    scheme: lower,
    path: canonicalPath,
    query
  }
}

const absolute = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?$/s

const partsOf = (url: string): Parts => {
  const parsed = absolute.exec(url)
  if (parsed === null) return refuse("url", "not an absolute URL")
  const [, scheme, authority, path, query] = parsed as unknown as [string, string, string, string, string | undefined]
  return { scheme, authority, path, query }
}

/**
 * The canonical form of a URL.
 *
 * @internal
 */
export const parse = (url: string): Result.Result<TargetUri, TargetUriMalformed> =>
  attempt(() => canonical(partsOf(url)))

const partsOfRequest = (request: HttpRequest): Parts => {
  const { authority, path, query, requestTarget, scheme } = request
  if (scheme !== undefined && authority !== undefined && path !== undefined) {
    return { scheme, authority, path, query }
  }
  return partsOf(requestTarget ?? "")
}

/** What the message itself says of its host: `Host`, once, or nothing. */
const hostHeaders = (request: HttpRequest): ReadonlyArray<string> =>
  request.fields.flatMap(([name, value]) => (name.toLowerCase() === "host" ? [trimmed(value)] : []))

/**
 * The canonical form of the target of a request.
 *
 * **Details**
 *
 * The authority of the target and the `Host` that came with it must be the same: a
 * request that was sent to one host and is shown to another is refused.
 *
 * @internal
 */
export const ofRequest = (request: HttpRequest): Result.Result<TargetUri, TargetUriMalformed> =>
  attempt(() => {
    const target = canonical(partsOfRequest(request))
    const hosts = hostHeaders(request)
    if (hosts.length > 1) refuse("host header", "it is there more than once")
    const [host] = hosts
    if (host === undefined) return target
    if (host.includes("@")) refuse("host header", "it has user information")
    if (!isAscii.test(host)) refuse("host header", "a character that is not printable ASCII")
    const received = attempt(() => authorityOf(host, target.scheme))
    if (Result.isFailure(received)) return refuse("host header", received.failure.problem)
    return received.success === target.authority ? target : refuse("host header", "it is not the host of the target")
  })

/**
 * The request with its canonical target: what its signature is computed of.
 *
 * @internal
 */
export const withTarget = (request: HttpRequest, target: TargetUri): HttpRequest => ({
  ...request,
  method: request.method.toUpperCase(),
  scheme: target.scheme,
  authority: target.authority,
  path: target.path,
  query: target.query
})

/**
 * Whether a target names its host in other characters than ASCII: on the wire that
 * is no URL.
 *
 * @internal
 */
export const hasRawHost = (request: HttpRequest): boolean => {
  const authority = request.authority ?? absolute.exec(request.requestTarget ?? "")?.[2] ?? ""
  return /[^\x00-\x7f]/.test(authority)
}
