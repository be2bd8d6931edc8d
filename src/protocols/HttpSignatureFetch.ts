/**
 * HTTP message signatures (RFC 9421) as plain functions over the `Request` and
 * `Response` of Fetch: for Hono, Next.js, Bun, Deno, workers, and `fetch` itself.
 *
 * Make the runtime and the functions once, where the program starts.
 *
 * **Details**
 *
 * - {@link verifier} answers, and rejects for nothing that a client can send: with what
 *   was verified, or with the `Response` to send.
 * - The request can still be read after it was verified: `json`, `text` and the others
 *   give the bytes that were verified. A body has one MiB at most, unless stated.
 *
 * **Gotchas**
 *
 * Verify before anything reads the body, or hand in the `body` that was read.
 *
 * The URL of a `Request` is what the server makes of it: behind a proxy state the
 * `scheme` and the `authority` that clients use.
 *
 * **Example** (A handler of Fetch, and of Hono)
 *
 * ```ts
 * import { Layer, ManagedRuntime } from "effect"
 * import * as HttpSignatureFetch from "effect-signer/HttpSignatureFetch"
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
 * const verify = HttpSignatureFetch.verifier({
 *   runtime,
 *   replay: "refuse",
 *   policy: {
 *     components: ["@method", "@target-uri"],
 *     algorithms: ["Ed25519"],
 *     maxAge: "5 minutes",
 *     skew: "30 seconds",
 *     tag: "orders"
 *   }
 * })
 *
 * // Hono: app.post("/orders", (c) => handler(c.req.raw))
 * const handler = async (request: Request) => {
 *   const outcome = await verify(request)
 *   if (!outcome.ok) return outcome.response
 *   const order = await request.json()
 *   return Response.json({ order, by: outcome.message.signatures[0].key.owner })
 * }
 * ```
 *
 * @since 0.1.0
 */
import * as Bytes from "effect/Bytes"
import type * as ManagedRuntime from "effect/ManagedRuntime"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import type { Signer } from "../services/Signer.ts"
import type { Refused, VerifierOptions } from "./http/HttpSignatureGate.ts"
import { gate } from "./http/HttpSignatureGate.ts"
import { incomplete, tooLong } from "./http/HttpSignatureRefusal.ts"
import * as HttpMessage from "./HttpMessage.ts"
import * as HttpSignature from "./HttpSignature.ts"

export type {
  /**
   * @category errors
   * @since 0.1.0
   */
  Refused,
  /**
   * @category models
   * @since 0.1.0
   */
  VerifierOptions
} from "./http/HttpSignatureGate.ts"

// ---------------------------------------------------------------------------
// bodies
// ---------------------------------------------------------------------------

const wasRead = InvalidConfiguration.of({
  operation: "verify",
  field: "request",
  problem: "its body was read before it was verified: verify first, or hand in the body"
})

/** `fetch` would send none of it. */
const notBytes = InvalidConfiguration.of({ operation: "parse", field: "body", problem: "must be a stream of bytes" })

/** Reads a body that can still be read afterwards. */
const read = async (source: Request | Response, limit: number): Promise<Uint8Array | typeof tooLong> => {
  if (source.body === null) return new Uint8Array(0)
  if (Number(source.headers.get("content-length")) > limit) return tooLong
  const reader = source.clone().body!.getReader()
  const chunks: Array<Uint8Array> = []
  let length = 0
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    if (!(next.value instanceof Uint8Array)) throw notBytes
    length += next.value.length
    if (length > limit) {
      // Both halves of what was cloned, or the rest would be kept
      void Promise.allSettled([reader.cancel(), source.body.cancel()])
      return tooLong
    }
    chunks.push(next.value)
  }
  return Bytes.concat(chunks)
}

/** Reads the body of a request; one that the client did not send whole is refused. */
const received = async (request: Request, limit: number): Promise<Uint8Array | typeof tooLong> => {
  if (request.bodyUsed || request.body?.locked === true) throw wasRead
  try {
    return await read(request, limit)
  } catch (error) {
    if (error === notBytes) throw error
    return incomplete
  }
}

/** The whole body of what is to be signed. */
const whole = async (source: Request | Response): Promise<Uint8Array> => {
  const body = await read(source, Infinity)
  if (body instanceof Uint8Array) return body
  throw body
}

// ---------------------------------------------------------------------------
// verifying
// ---------------------------------------------------------------------------

/**
 * What came of a request: what was verified, or why it is refused and what to answer.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome =
  | { readonly ok: true; readonly message: HttpSignature.VerifiedMessage }
  | { readonly ok: false; readonly error: Refused; readonly response: Response }

/**
 * A function that verifies requests by one policy.
 *
 * **Details**
 *
 * The answer to a request that is refused is 401 (`WWW-Authenticate: Signature`) with an
 * `Accept-Signature` that says what to sign, 413 where the body is too long, 400 where
 * it ends before it is whole, 429 where a key has used too many nonces, and 503 where it
 * cannot be known whether the request is to be accepted. It does not say what was wrong;
 * `error` does.
 *
 * Rejects where the runtime cannot be built, the policy is wrong, or the body was read
 * before. Throws `InvalidConfiguration` where `replay` or `maxBodySize` is wrong.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verifier = <ER>(
  options: VerifierOptions<ER>
): ((request: Request, context?: { readonly body?: Uint8Array | undefined }) => Promise<Outcome>) => {
  const { authority, scheme } = options
  const pass = gate(options)
  return async (request, context = {}) => {
    const outcome = await pass({
      hasContent: request.body !== null || (context.body !== undefined && context.body.length > 0),
      hasSignature: request.headers.has("signature-input"),
      message: (body) => HttpMessage.fromFetchRequest(request, { scheme, authority, body }),
      body: async (limit) => {
        if (context.body === undefined) return received(request, limit)
        return context.body.length > limit ? tooLong : context.body
      }
    })
    if (outcome.ok) return outcome
    const { status, headers } = outcome.refusal
    return { ok: false, error: outcome.error, response: new Response(null, { status, headers }) }
  }
}

// ---------------------------------------------------------------------------
// signing
// ---------------------------------------------------------------------------

/**
 * Options of {@link requestSigner} and {@link responseSigner}.
 *
 * @category models
 * @since 0.1.0
 */
export type SignerOptions<ER> = HttpSignature.SignOptions & {
  /** Made once: `ManagedRuntime.make(SignerLive)`. */
  readonly runtime: ManagedRuntime.ManagedRuntime<Signer, ER>
}

const withFields = (headers: Headers, fields: ReadonlyArray<HttpMessage.FieldLine>): Headers => {
  const all = new Headers(headers)
  for (const [name, value] of fields) all.append(name, value)
  return all
}

/**
 * A function that signs requests, for `fetch`.
 *
 * **Details**
 *
 * Whatever the body was made of (text, a form, a stream), it is read into memory and
 * sent as it was signed. Rejects with a `SignerError` or `HttpSignatureInvalid`.
 *
 * **Gotchas**
 *
 * A redirect that `fetch` follows carries the signature of the first URL: state
 * `redirect: "error"` or `"manual"`.
 *
 * @category signing
 * @since 0.1.0
 */
export const requestSigner =
  <ER>({ runtime, ...options }: SignerOptions<ER>): ((request: Request) => Promise<Request>) =>
  async (request) => {
    const body = await whole(request)
    const message = HttpMessage.fromFetchRequest(request, { body })
    const { fields } = await runtime.runPromise(HttpSignature.sign(message, options))
    return new Request(request, {
      headers: withFields(request.headers, fields),
      ...(body.length > 0 ? { body: new Uint8Array(body) } : {})
    })
  }

/**
 * A function that signs responses. Components with `;req` are those of the request.
 *
 * **Details**
 *
 * The body is read into memory. Rejects with a `SignerError` or `HttpSignatureInvalid`.
 *
 * @category signing
 * @since 0.1.0
 */
export const responseSigner =
  <ER>({
    authority,
    runtime,
    scheme,
    ...options
  }: SignerOptions<ER> & Pick<HttpMessage.RequestContext, "scheme" | "authority">): ((
    response: Response,
    request?: Request
  ) => Promise<Response>) =>
  async (response, request) => {
    const body = await whole(response)
    const message = HttpMessage.fromFetchResponse(response, {
      body,
      request: request === undefined ? undefined : HttpMessage.fromFetchRequest(request, { authority, scheme })
    })
    const { fields } = await runtime.runPromise(HttpSignature.sign(message, options))
    const { status, statusText } = response
    return new Response(response.body === null ? null : new Uint8Array(body), {
      status,
      statusText,
      headers: withFields(response.headers, fields)
    })
  }
