/**
 * One GET over HTTPS, of a document that others publish at an address which others
 * may have chosen: whatever it is, the request reaches public servers only, and the
 * answer is small, soon and what was asked for.
 *
 * **Details**
 *
 * - The host is looked up once. Every address must be public, and the connection
 *   goes to those addresses: a name server that answers differently the next time
 *   is not asked a next time. TLS still checks the certificate against the name.
 * - No redirect is followed. No cookie or credential is sent. What the environment
 *   says of proxies, or to turn the checks of TLS off, does not count; the
 *   certificates that are trusted are those of the runtime, or `ca`.
 * - Five seconds for all of it, 64 KiB of body, not compressed, of a media type that
 *   was asked for.
 * - Interruption closes the connection.
 *
 * **Gotchas**
 *
 * Made for Node: another runtime must honour `lookup` of `node:https`.
 *
 * @category internal
 */
import * as Bytes from "effect/Bytes"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as PublicAddress from "../../schemas/PublicAddress.ts"
import * as RetryAfter from "../../schemas/RetryAfter.ts"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import * as NodeHttps from "./NodeHttps.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/** Bytes of a body, at most. */
export const maxLength = 65_536

/** Bytes of all headers together, at most. */
const maxHeaderSize = 16_384

export interface Options {
  /** Addresses (`127.0.0.1`) and networks (`10.1.0.0/16`) that may be reached though they are not public. */
  readonly allow?: ReadonlyArray<string> | undefined
  /** Default: 443. */
  readonly ports?: ReadonlyArray<number> | undefined
  /** Certificates in PEM that are trusted instead of those of the runtime. */
  readonly ca?: string | ReadonlyArray<string> | undefined
  /** For everything, the lookup of the name included. Default: 5 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** The addresses of a host name. Default: those of the system. */
  readonly lookup?: ((hostname: string) => Promise<ReadonlyArray<string>>) | undefined
}

export interface Request {
  readonly url: URL
  /** Media types in lower case, without parameters. */
  readonly accept: ReadonlyArray<string>
  /** The document is needed only where it is another one than this. */
  readonly etag?: string | undefined
}

/** The document; without `body` it is the one that `etag` of the request names. */
export interface Answer {
  readonly body: Uint8Array | undefined
  readonly etag: string | undefined
  readonly cacheControl: string | undefined
  readonly age: string | undefined
}

/** Why there is no answer. No part of what the server sent is in it. */
export interface Failure {
  readonly reason:
    | "AddressRefused"
    | "Unreachable"
    | "TimedOut"
    | "Untrusted"
    | "Busy"
    | "Redirected"
    | "StatusRefused"
    | "WrongContentType"
    | "Compressed"
    | "TooLarge"
    | "InvalidResponse"
  readonly problem: string
  /** Of the runtime: `ECONNREFUSED`. */
  readonly code?: string | undefined
  readonly status?: number | undefined
  readonly retryAfter?: Duration.Duration | undefined
}

export interface GuardedFetch {
  /** Reads a URL that may be fetched, or says in words what is wrong with it. */
  readonly parseUrl: (text: string) => URL | string
  readonly get: (request: Request) => Effect.Effect<Answer, Failure>
}

// ---------------------------------------------------------------------------
// addresses
// ---------------------------------------------------------------------------

/** A host of a URL without the brackets of IPv6. */
const hostOf = (url: URL) => url.hostname.replace(/^\[(.*)\]$/, "$1")

const codeOf = (error: unknown): string | undefined => {
  const code = (error as NodeHttps.SystemError | null)?.code
  return typeof code === "string" && /^[A-Z][A-Z0-9_]{1,63}$/.test(code) ? code : undefined
}

const lookupOf = (dns: NonNullable<ReturnType<typeof NodeHttps.dns>>) => (hostname: string) =>
  dns.lookup(hostname, { all: true }).then((all) => all.map(({ address }) => address))

/** The addresses of a host, all of which may be reached. */
const addressesOf = (
  host: string,
  allowed: ReadonlyArray<PublicAddress.Range>,
  lookup: (hostname: string) => Promise<ReadonlyArray<string>>
): Effect.Effect<ReadonlyArray<string>, Failure> => {
  const isLiteral = PublicAddress.parse(host) !== undefined
  const found = isLiteral
    ? Effect.succeed([host])
    : Effect.tryPromise({
        try: () => lookup(host),
        catch: (error): Failure => ({
          reason: "Unreachable",
          problem: `${host}: the name cannot be looked up`,
          code: codeOf(error)
        })
      })
  return Effect.flatMap(found, (addresses) => {
    if (addresses.length === 0) {
      return Effect.fail<Failure>({ reason: "Unreachable", problem: `${host}: the name has no addresses` })
    }
    for (const address of addresses) {
      const why = PublicAddress.refusalOf(address, allowed)
      if (why !== undefined) {
        const shown = isLiteral || PublicAddress.parse(address) === undefined ? host : `${host} is ${address}`
        return Effect.fail<Failure>({
          reason: "AddressRefused",
          problem: `${shown}: ${why}; only public addresses are reached, and those that allow lists`
        })
      }
    }
    return Effect.succeed(addresses)
  })
}

/** The lookup of the connection: what was checked, and nothing else. */
const pinnedTo = (addresses: ReadonlyArray<string>): NodeHttps.Lookup => {
  const pinned = addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }))
  const [first] = pinned
  return (_, { all }, callback) =>
    queueMicrotask(() => (all === true ? callback(null, pinned) : callback(null, first!.address, first!.family)))
}

// ---------------------------------------------------------------------------
// answers
// ---------------------------------------------------------------------------

const headerOf = ({ headers }: NodeHttps.Incoming, name: string): string | undefined => {
  const value = headers[name]
  return typeof value === "string" ? value.trim() : undefined
}

/** RFC 9110 section 8.8.3, of a length that is worth repeating. */
const isEtag = (value: string) => /^(?:W\/)?"[\x21\x23-\x7e]{0,256}"$/.test(value)

/** A media type and its parameters (RFC 9110 section 8.3.1): JSON is UTF-8, whatever else would be said. */
const isAccepted = (value: string | undefined, accept: ReadonlyArray<string>): boolean => {
  const [type, ...parameters] = (value ?? "").toLowerCase().split(";")
  return (
    accept.includes(type!.trim()) &&
    parameters.every((parameter) => !/^\s*charset=/.test(parameter) || /^\s*charset="?utf-8"?\s*$/.test(parameter))
  )
}

/** What is wrong with an answer, as far as its status and headers tell. */
const refusalOf = (incoming: NodeHttps.Incoming, request: Request, now: number): Failure | undefined => {
  const { statusCode: status = 0 } = incoming
  const isUnchanged = status === 304 && request.etag !== undefined
  if (isUnchanged) return undefined
  if (status >= 300 && status < 400) {
    return { reason: "Redirected", problem: "the answer is a redirect, which is not followed", status }
  }
  if (status === 429 || status >= 500) {
    const retryAfter = RetryAfter.parse(headerOf(incoming, "retry-after"), now)
    return { reason: "Busy", problem: "the server cannot answer now", status, retryAfter }
  }
  if (status !== 200) return { reason: "StatusRefused", problem: "the answer is not 200", status }
  const encodings = [headerOf(incoming, "content-encoding"), headerOf(incoming, "transfer-encoding")]
  if (encodings.some((encoding) => encoding !== undefined && !/^(?:identity|chunked)$/i.test(encoding))) {
    return { reason: "Compressed", problem: "the answer is compressed, though it was asked for as it is", status }
  }
  if (!isAccepted(headerOf(incoming, "content-type"), request.accept)) {
    return { reason: "WrongContentType", problem: `the answer is not ${request.accept.join(" or ")}`, status }
  }
  return Number(headerOf(incoming, "content-length")) > maxLength ? tooLarge : undefined
}

const tooLarge: Failure = { reason: "TooLarge", problem: `the answer is longer than ${maxLength} bytes` }

/** Of OpenSSL, in which the runtime reports that it does not trust a server. */
const untrusted = /CERT|^UNABLE_TO_|^ERR_TLS_|^ERR_SSL_|^EPROTO$/

/** What went wrong on the wire. */
const ofError = (error: unknown): Failure => {
  const code = codeOf(error)
  if (code === "HPE_HEADER_OVERFLOW") {
    return { reason: "TooLarge", problem: `the headers of the answer are longer than ${maxHeaderSize} bytes`, code }
  }
  if (code?.startsWith("HPE_") === true) {
    return { reason: "InvalidResponse", problem: "the answer is not HTTP as it should be", code }
  }
  return code !== undefined && untrusted.test(code)
    ? { reason: "Untrusted", problem: "there is no TLS connection with a certificate that is trusted", code }
    : { reason: "Unreachable", problem: "the connection failed or ended early", code }
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const invalid = (field: string, problem: string) => InvalidConfiguration.of({ operation: "make", field, problem })

/** The runtime passes over what is no certificate, and then trusts nobody. */
const isPem = (text: unknown) => typeof text === "string" && text.includes("-----BEGIN CERTIFICATE-----")

const readAllowed = Effect.fnUntraced(function* (
  allow: ReadonlyArray<string>
): Effect.fn.Return<ReadonlyArray<PublicAddress.Range>, InvalidConfiguration> {
  const allowed: Array<PublicAddress.Range> = []
  for (const [index, text] of allow.entries()) {
    const range = PublicAddress.parseRange(text)
    if (range === undefined) {
      return yield* invalid(
        `allow[${index}]`,
        "expected an IP address, or a network such as 10.1.0.0/16 (no host name)"
      )
    }
    if (range.prefix === 0) {
      return yield* invalid(`allow[${index}]`, "that is every address there is; name the networks that are needed")
    }
    allowed.push(range)
  }
  return allowed
})

/** A guarded `get`, after a look at the options. */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<GuardedFetch, InvalidConfiguration> {
  const [https, dns] = [NodeHttps.https(), NodeHttps.dns()]
  if (https === undefined || dns === undefined) {
    return yield* invalid("runtime", "there is no node:https here; fetch the keys elsewhere and hand them in as a set")
  }
  const allowed = yield* readAllowed(options.allow ?? [])
  const ports = options.ports ?? [443]
  const badPort = ports.findIndex((port) => !Number.isInteger(port) || port < 1 || port > 65_535)
  if (badPort >= 0) return yield* invalid(`ports[${badPort}]`, "expected a whole number from 1 to 65535")
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "5 seconds")
  const ca = typeof options.ca === "string" ? [options.ca] : options.ca
  if (ca !== undefined && (ca.length === 0 || !ca.every(isPem))) {
    return yield* invalid("ca", "expected certificates in PEM, each text with one of them at least")
  }
  const lookup = options.lookup ?? lookupOf(dns)
  // One of our own: it keeps no connection, no TLS session, and no proxy that the environment names
  const agent = new https.Agent({ keepAlive: false, maxCachedSessions: 0 })

  const exchange = (request: Request, addresses: ReadonlyArray<string>, now: number) =>
    Effect.callback<Answer, Failure>((resume) => {
      const { url } = request
      const outgoing = https.request({
        method: "GET",
        host: hostOf(url),
        port: url.port === "" ? 443 : Number(url.port),
        path: `${url.pathname}${url.search}`,
        headers: {
          accept: request.accept.join(", "),
          "accept-encoding": "identity",
          "user-agent": "effect-signer",
          ...(request.etag === undefined ? {} : { "if-none-match": request.etag })
        },
        agent,
        lookup: pinnedTo(addresses),
        ca,
        // Said here, or NODE_TLS_REJECT_UNAUTHORIZED and flags of the runtime would have a say
        rejectUnauthorized: true,
        minVersion: "TLSv1.2",
        insecureHTTPParser: false,
        maxHeaderSize
      })
      let isOver = false
      const end = (outcome: Effect.Effect<Answer, Failure>) => {
        if (isOver) return
        isOver = true
        outgoing.destroy()
        resume(outcome)
      }
      const broken = (error?: NodeHttps.SystemError) => end(Effect.fail(ofError(error)))
      outgoing.on("error", broken)
      outgoing.on("close", () => broken())
      outgoing.on("response", (incoming) => {
        incoming.on("error", broken)
        const refusal = refusalOf(incoming, request, now)
        if (refusal !== undefined) return end(Effect.fail(refusal))
        const chunks: Array<Uint8Array> = []
        let length = 0
        incoming.on("data", (chunk) => {
          length += chunk.length
          if (length > maxLength) return end(Effect.fail(tooLarge))
          chunks.push(chunk)
        })
        incoming.on("end", () => {
          const etag = headerOf(incoming, "etag")
          end(
            Effect.succeed({
              body: incoming.statusCode === 304 ? undefined : Bytes.concat(chunks),
              etag: etag !== undefined && isEtag(etag) ? etag : undefined,
              cacheControl: headerOf(incoming, "cache-control"),
              age: headerOf(incoming, "age")
            })
          )
        })
      })
      outgoing.end()
      return Effect.sync(() => {
        isOver = true
        outgoing.destroy()
      })
    })

  return {
    parseUrl: (text) => {
      const url = URL.canParse(text) ? new URL(text) : undefined
      if (url === undefined) return "is not a URL"
      if (url.protocol !== "https:") return "must be an https URL"
      if (url.username !== "" || url.password !== "") return "must not hold a user name or a password"
      if (text.includes("#")) return "must not have a fragment"
      const port = url.port === "" ? 443 : Number(url.port)
      return ports.includes(port) ? url : `names port ${port}, which ports does not allow`
    },
    get: (request) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.flatMap(addressesOf(hostOf(request.url), allowed, lookup), (addresses) =>
          exchange(request, addresses, now)
        )
      ).pipe(
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () =>
            Effect.fail<Failure>({ reason: "TimedOut", problem: `no answer within ${Duration.format(timeout)}` })
        })
      )
  }
})
