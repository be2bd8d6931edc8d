/**
 * Verifies HTTP message signatures (RFC 9421) in Express, and in whatever else takes
 * middleware over `node:http`: Connect, Restify, Polka.
 *
 * Make the runtime and the middleware once, where the program starts.
 *
 * **Details**
 *
 * The signature covers the bytes of the body, so the middleware must have them:
 *
 * - Before any parser it reads the body itself, of one MiB at most unless stated, and
 *   leaves it in `req.body` as bytes, as `express.raw()` would.
 * - After a parser it needs what the parser read: `express.json({ verify: capture })`.
 * - After a parser that kept nothing, and where the body was compressed, there are no
 *   such bytes: the request is handed to the error handler, as a mistake of the program.
 *
 * **Gotchas**
 *
 * Behind a proxy state the `scheme` and the `authority` that clients use: Express's
 * `trust proxy` has no say here.
 *
 * **Example** (A route for signed requests)
 *
 * ```ts
 * import { Layer, ManagedRuntime } from "effect"
 * import * as HttpSignatureExpress from "effect-signer/HttpSignatureExpress"
 * import * as MemoryReplayStore from "effect-signer/MemoryReplayStore"
 * import * as RemoteJwks from "effect-signer/RemoteJwks"
 *
 * const runtime = ManagedRuntime.make(
 *   Layer.mergeAll(
 *     RemoteJwks.layer({ url: "https://acme.example/jwks.json", owner: "acme" }),
 *     MemoryReplayStore.layer()
 *   )
 * )
 *
 * const signed = HttpSignatureExpress.middleware({
 *   runtime,
 *   replay: "refuse",
 *   scheme: "https",
 *   policy: {
 *     components: ["@method", "@target-uri"],
 *     algorithms: ["Ed25519"],
 *     maxAge: "5 minutes",
 *     skew: "30 seconds",
 *     tag: "orders"
 *   }
 * })
 *
 * // app.use(express.json({ verify: HttpSignatureExpress.capture }))
 * // app.post("/orders", signed, (req, res) => {
 * //   const { signatures: [{ key }] } = HttpSignatureExpress.verifiedRequest(req)
 * //   res.json({ by: key.owner })
 * // })
 * ```
 *
 * @since 0.1.0
 */
import * as Bytes from "effect/Bytes"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import type { VerifierOptions } from "./http/HttpSignatureGate.ts"
import { gate } from "./http/HttpSignatureGate.ts"
import { incomplete, tooLong } from "./http/HttpSignatureRefusal.ts"
import * as HttpMessage from "./HttpMessage.ts"
import type * as HttpSignature from "./HttpSignature.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  VerifierOptions
} from "./http/HttpSignatureGate.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What is needed of a request of `node:http`, which those of Express are.
 *
 * @category models
 * @since 0.1.0
 */
export interface Incoming extends HttpMessage.IncomingMessage {
  readonly headers: { readonly [name: string]: string | ReadonlyArray<string> | undefined }
  readonly httpVersionMajor: number
  readonly readableDidRead: boolean
  readonly readableEnded: boolean
  readonly destroyed: boolean
  readonly on: (event: string, listener: (...args: Array<unknown>) => void) => unknown
  readonly removeListener: (event: string, listener: (...args: Array<unknown>) => void) => unknown
}

/**
 * What is needed of a response of `node:http`, which those of Express are.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outgoing {
  statusCode: number
  readonly setHeader: (name: string, value: string) => unknown
  readonly end: () => unknown
}

// ---------------------------------------------------------------------------
// bodies
// ---------------------------------------------------------------------------

const captured = new WeakMap<object, Uint8Array>()

/**
 * Keeps the bytes that a parser of Express reads: `express.json({ verify: capture })`,
 * and so for the other parsers.
 *
 * @category middleware
 * @since 0.1.0
 */
export const capture = (request: object, _response: unknown, bytes: Uint8Array): void => {
  captured.set(request, bytes)
}

const headerOf = ({ headers }: Incoming, name: string): string | undefined => {
  const value = headers[name]
  return typeof value === "string" ? value : undefined
}

const hasContent = (request: Incoming): boolean =>
  headerOf(request, "transfer-encoding") !== undefined || (headerOf(request, "content-length") ?? "0") !== "0"

const misused = (problem: string) => InvalidConfiguration.of({ operation: "verify", field: "request", problem })

/** Reads the body of a request of which nothing was read. */
const read = (request: Incoming, limit: number): Promise<Uint8Array | typeof tooLong> =>
  new Promise((resolve, reject) => {
    // There was nothing to read, and somebody has waited for its end
    if (request.readableEnded) return resolve(new Uint8Array(0))
    if (request.destroyed) return resolve(incomplete)
    if (Number(headerOf(request, "content-length") ?? 0) > limit) return resolve(tooLong)
    const chunks: Array<Uint8Array> = []
    let length = 0
    const listeners = {
      data: (chunk: unknown) => {
        if (!(chunk instanceof Uint8Array)) {
          stop()
          return reject(misused("its body is decoded to text before it is verified: remove setEncoding"))
        }
        length += chunk.length
        if (length > limit) end(tooLong)
        else chunks.push(chunk)
      },
      end: () => end(Bytes.concat(chunks)),
      error: () => end(incomplete),
      close: () => end(incomplete)
    } as const
    const stop = () => {
      for (const [event, listener] of Object.entries(listeners)) request.removeListener(event, listener)
    }
    const end = (outcome: Uint8Array | typeof tooLong) => {
      stop()
      resolve(outcome)
    }
    for (const [event, listener] of Object.entries(listeners)) request.on(event, listener)
  })

/** What was read here, as it was sent. */
const received = new WeakMap<object, Uint8Array>()

const within = (limit: number, bytes: Uint8Array) => (bytes.length > limit ? tooLong : bytes)

/** What a parser left, or what is read here. */
const bodyOf = async (request: Incoming & { body?: unknown }, limit: number): Promise<Uint8Array | typeof tooLong> => {
  const before = received.get(request)
  if (before !== undefined) return within(limit, before)
  const kept = captured.get(request) ?? (request.body instanceof Uint8Array ? request.body : undefined)
  if (kept === undefined && !request.readableDidRead) {
    const bytes = await read(request, limit)
    if (!(bytes instanceof Uint8Array)) return bytes
    received.set(request, bytes)
    if (bytes.length > 0) request.body = bytes
    return bytes
  }
  // HTTP/2 has content without saying so in a header
  if (request.httpVersionMajor === 1 && !hasContent(request)) return new Uint8Array(0)
  if (kept === undefined) {
    throw misused(
      "its body was read by a parser that kept no bytes: put the middleware first, or use express.json({ verify: capture })"
    )
  }
  if (!/^(?:identity)?$/i.test(headerOf(request, "content-encoding") ?? "")) {
    throw misused("a parser has decompressed its body, and what was signed is gone: put the middleware first")
  }
  return within(limit, kept)
}

// ---------------------------------------------------------------------------
// middleware
// ---------------------------------------------------------------------------

const verified = new WeakMap<object, HttpSignature.VerifiedMessage>()

/**
 * What was verified of a request; throws where {@link middleware} did not let it pass.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verifiedRequest = (request: object): HttpSignature.VerifiedMessage => {
  const message = verified.get(request)
  if (message === undefined) throw misused("it was not verified: the middleware of signatures comes first")
  return message
}

/**
 * Middleware that lets requests pass which meet the policy, and answers the others.
 *
 * **Details**
 *
 * A request that is refused is answered with 401 (`WWW-Authenticate: Signature`) and an
 * `Accept-Signature` that says what to sign, with 413 where the body is too long, with
 * 400 where it ends before it is whole, with 429 where a key has used too many nonces,
 * and with 503 where it cannot be known whether the request is to be accepted. What
 * fails beside that, such as a policy that is wrong, goes to `next`. Throws
 * `InvalidConfiguration` where `replay` or `maxBodySize` is wrong.
 *
 * @category middleware
 * @since 0.1.0
 */
export const middleware = <ER>(
  options: VerifierOptions<ER>
): ((request: Incoming, response: Outgoing, next: (error?: unknown) => void) => void) => {
  const { authority, scheme } = options
  const pass = gate(options)
  return (request, response, next) => {
    pass({
      hasContent: hasContent(request),
      hasSignature: request.headers["signature-input"] !== undefined,
      body: (limit) => bodyOf(request, limit),
      message: (body) => HttpMessage.fromIncomingMessage(request, { scheme, authority, body })
    })
      .then((outcome) => {
        if (outcome.ok) {
          verified.set(request, outcome.message)
          return next()
        }
        const { headers, status } = outcome.refusal
        response.statusCode = status
        for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
        // A body that nobody reads would keep the connection: it has no use after this answer
        if (status === 413 && request.httpVersionMajor === 1) response.setHeader("connection", "close")
        response.end()
      })
      // Such as an answer that somebody else has given meanwhile
      .catch(next)
  }
}
