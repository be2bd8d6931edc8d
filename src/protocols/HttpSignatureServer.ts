/**
 * Verifies the requests that an `effect/http` server receives (RFC 9421), and
 * provides what was verified as a service.
 *
 * **Details**
 *
 * The body is read once: `text`, `json`, `urlParamsBody` and `arrayBuffer` of the
 * request read the same bytes after this. A request without a signature in its
 * header is refused before its body is read. A body has one MiB at most, unless
 * `HttpServerRequest.MaxBodySize` says otherwise: it is in memory before anybody
 * knows whose it is.
 *
 * **Gotchas**
 *
 * `stream` and the multipart readers of the request find nothing any more: read
 * `body` of {@link VerifiedRequest}, which is what a signature covers. So with a body that
 * is compressed: `HttpMiddleware.decompression` before this makes it another one, which is
 * refused, and after this it finds none.
 *
 * Behind a proxy that ends TLS state the `scheme`, or nothing that covers
 * `@target-uri` or `@scheme` verifies. Where the server answers to any `Host`, state
 * the `authority`: a request that was signed for another host verifies here, too, if
 * it is sent here as it is.
 *
 * **Example** (A handler that knows who asks)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpServerResponse } from "effect/http"
 * import * as HttpSignatureServer from "effect-signer/HttpSignatureServer"
 *
 * const handler = Effect.gen(function*() {
 *   const { signatures: [{ key }] } = yield* HttpSignatureServer.VerifiedRequest
 *   return HttpServerResponse.text(`hello ${key.owner}`)
 * })
 *
 * const app = handler.pipe(HttpSignatureServer.verified({
 *   components: ["@method", "@target-uri"],
 *   algorithms: ["Ed25519", "ES256"],
 *   maxAge: "5 minutes",
 *   skew: "30 seconds",
 *   tag: "orders"
 * }))
 * ```
 *
 * @since 0.1.0
 */
import * as ByteSize from "effect/ByteSize"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { HttpServerError } from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { KeyResolver } from "../services/KeyResolver.ts"
import type { ReplayStore, ReplayStoreUnavailable } from "../services/ReplayStore.ts"
import { policyFor } from "./http/HttpSignatureCheck.ts"
import { noSignature, refusalOf } from "./http/HttpSignatureRefusal.ts"
import * as HttpMessage from "./HttpMessage.ts"
import * as HttpSignature from "./HttpSignature.ts"

/**
 * What was verified of the request that is handled.
 *
 * @category services
 * @since 0.1.0
 */
export class VerifiedRequest extends Context.Service<VerifiedRequest, HttpSignature.VerifiedMessage>()(
  "effect-signer/HttpSignatureServer/VerifiedRequest"
) {}

/**
 * How clients see this server, where a proxy is between.
 *
 * @category models
 * @since 0.1.0
 */
export type Options = Pick<HttpMessage.RequestContext, "scheme" | "authority">

const defaultMaxBodySize = ByteSize.mebibytes(1)

const bodyOf = ({ arrayBuffer }: HttpServerRequest.HttpServerRequest): Effect.Effect<Uint8Array, HttpServerError> =>
  Effect.flatMap(HttpServerRequest.MaxBodySize, (size) =>
    Effect.map(
      Effect.provideService(arrayBuffer, HttpServerRequest.MaxBodySize, size ?? defaultMaxBodySize),
      (buffer) => new Uint8Array(buffer)
    )
  )

/** Looks for a signature, reads the body, and verifies. */
const checked = <E, R>(
  options: Options,
  verify: (message: HttpMessage.HttpRequest) => Effect.Effect<HttpSignature.VerifiedMessage, E, R>
): Effect.Effect<
  HttpSignature.VerifiedMessage,
  E | HttpSignature.HttpSignatureInvalid | HttpServerError,
  HttpServerRequest.HttpServerRequest | R
> =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const unread = HttpMessage.fromServerRequest(request, options)
    if (!unread.fields.some(([name]) => name.toLowerCase() === "signature-input")) return yield* noSignature
    const body = yield* bodyOf(request)
    return yield* verify(HttpMessage.fromServerRequest(request, { ...options, body }))
  })

const hasContent = ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
  headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0"

/** What the policy asks for of a request whose body nobody read. */
const asked = (policy: HttpSignature.PolicyFor, request: HttpServerRequest.HttpServerRequest) => {
  const content = hasContent(request)
  const body = new Uint8Array(content ? 1 : 0)
  return { hasContent: content, policy: policyFor(policy, HttpMessage.fromServerRequest(request, { body })) }
}

/** Hands what was verified to the handler, and answers what was not. */
const guarding =
  <R1>(
    policy: HttpSignature.PolicyFor,
    isOnce: boolean,
    verification: Effect.Effect<
      HttpSignature.VerifiedMessage,
      HttpSignature.VerifyError | ReplayStoreUnavailable | HttpServerError,
      R1
    >
  ) =>
  <E, R>(
    handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    E | HttpServerError,
    Exclude<R, VerifiedRequest> | HttpServerRequest.HttpServerRequest | R1
  > =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Effect.matchEffect(verification, {
        onSuccess: (message) => Effect.provideService(handler, VerifiedRequest, message),
        onFailure: (error): Effect.Effect<HttpServerResponse.HttpServerResponse, E | HttpServerError> =>
          error._tag === "HttpServerError"
            ? Effect.fail(error)
            : Effect.andThen(
                Effect.logDebug("signature refused", error.message),
                Effect.map(refusalOf(error, { isOnce, ...asked(policy, request) }), (refusal) =>
                  HttpServerResponse.empty(refusal)
                )
              )
      })
    )

// ---------------------------------------------------------------------------
// verifying
// ---------------------------------------------------------------------------

/**
 * Verifies the request that is handled.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verify = (
  policy: HttpSignature.PolicyFor,
  options: Options = {}
): Effect.Effect<
  HttpSignature.VerifiedMessage,
  HttpSignature.VerifyError | HttpServerError,
  HttpServerRequest.HttpServerRequest | KeyResolver
> => checked(options, (message) => HttpSignature.verify(message, policyFor(policy, message)))

/**
 * Verifies the request that is handled, and that it comes for the first time: see
 * `HttpSignature.verifyOnce`.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verifyOnce = (
  policy: HttpSignature.PolicyFor,
  options: Options & HttpSignature.OnceOptions = {}
): Effect.Effect<
  HttpSignature.VerifiedMessage,
  HttpSignature.VerifyError | ReplayStoreUnavailable | HttpServerError,
  HttpServerRequest.HttpServerRequest | KeyResolver | ReplayStore
> => checked(options, (message) => HttpSignature.verifyOnce(message, policyFor(policy, message), options))

// ---------------------------------------------------------------------------
// middleware
// ---------------------------------------------------------------------------

/**
 * Handles a request only if it meets the policy, and provides
 * {@link VerifiedRequest} to the handler.
 *
 * **Details**
 *
 * Any other request is answered with 401 (`WWW-Authenticate: Signature`) and an
 * `Accept-Signature` that says what to sign (with content, its `content-digest`, too), but not what was wrong; with 503
 * where the keys, or which of them are revoked, cannot be read now, or are published
 * wrongly; with 413 where the body is too long. What was wrong with a signature is
 * logged at the level of debugging. A policy that is itself wrong is a defect.
 *
 * **Gotchas**
 *
 * The same request is handled again as often as it comes, until it is too old:
 * {@link verifiedOnce} handles it once.
 *
 * @category middleware
 * @since 0.1.0
 */
export const verified = (
  policy: HttpSignature.PolicyFor,
  options?: Options
): (<E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  E | HttpServerError,
  Exclude<R, VerifiedRequest> | HttpServerRequest.HttpServerRequest | KeyResolver
>) => guarding(policy, false, verify(policy, options))

/**
 * Handles a request only if it meets the policy and comes for the first time, and
 * provides {@link VerifiedRequest} to the handler.
 *
 * **Details**
 *
 * As {@link verified}; a request that was handled is answered with 401, one of a key
 * that has used too many nonces with 429, and every request with 503 where the store
 * cannot answer. The `Accept-Signature` of a 401 names a new nonce.
 *
 * @category middleware
 * @since 0.1.0
 */
export const verifiedOnce = (
  policy: HttpSignature.PolicyFor,
  options?: Options & HttpSignature.OnceOptions
): (<E, R>(
  handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
) => Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  E | HttpServerError,
  Exclude<R, VerifiedRequest> | HttpServerRequest.HttpServerRequest | KeyResolver | ReplayStore
>) => guarding(policy, true, verifyOnce(policy, options))
