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
 * `body` of {@link VerifiedRequest}, which is what a signature covers.
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

/**
 * Verifies the request that is handled.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verify = (
  policy: HttpSignature.Policy,
  options: Options = {}
): Effect.Effect<
  HttpSignature.VerifiedMessage,
  HttpSignature.VerifyError | HttpServerError,
  HttpServerRequest.HttpServerRequest | KeyResolver
> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const unread = HttpMessage.fromServerRequest(request, options)
    if (!unread.fields.some(([name]) => name.toLowerCase() === "signature-input")) {
      return Effect.fail(
        new HttpSignature.HttpSignatureInvalid({ reason: "NoSignature", problem: "the message has none" })
      )
    }
    return Effect.flatMap(bodyOf(request), (body) =>
      HttpSignature.verify(HttpMessage.fromServerRequest(request, { ...options, body }), policy)
    )
  })

const hasContent = ({ headers }: HttpServerRequest.HttpServerRequest): boolean =>
  headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0"

/** What the policy asks for of a request, in the words of RFC 9421 section 5. */
const acceptable = (policy: HttpSignature.Policy, request: HttpServerRequest.HttpServerRequest) => {
  const { body, components } = policy
  const needsDigest =
    body !== "any" && hasContent(request) && !components.some((text) => /^"?content-digest/.test(text))
  return HttpSignature.acceptSignature([
    {
      label: policy.label ?? "sig1",
      components: needsDigest ? [...components, "content-digest"] : components,
      created: true,
      expires: policy.parameters?.includes("expires"),
      tag: policy.tag
    }
  ])
}

/**
 * Handles a request only if it meets the policy, and provides
 * {@link VerifiedRequest} to the handler.
 *
 * **Details**
 *
 * Any other request is answered with 401 and an `Accept-Signature` that says what
 * to sign (with content, its `content-digest`, too), but not what was wrong; with 503
 * where the keys cannot be read now, or are published wrongly; with 413 where the body
 * is too long. What was wrong with a signature is logged at the level of debugging. A
 * policy that is itself wrong is a defect.
 *
 * @category middleware
 * @since 0.1.0
 */
export const verified =
  (policy: HttpSignature.Policy, options: Options = {}) =>
  <E, R>(
    handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
  ): Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    E | HttpServerError,
    Exclude<R, VerifiedRequest> | HttpServerRequest.HttpServerRequest | KeyResolver
  > =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Effect.matchEffect(verify(policy, options), {
        onSuccess: (message) => Effect.provideService(handler, VerifiedRequest, message),
        onFailure: (error): Effect.Effect<HttpServerResponse.HttpServerResponse, E | HttpServerError> => {
          if (error._tag === "HttpServerError") return Effect.fail(error)
          if (error._tag === "InvalidConfiguration") return Effect.die(error)
          const answer =
            error._tag === "KeysUnavailable" || error._tag === "JwksInvalid"
              ? Effect.succeed(HttpServerResponse.empty({ status: 503 }))
              : Effect.map(Effect.orDie(acceptable(policy, request)), (value) =>
                  HttpServerResponse.empty({ status: 401, headers: { "accept-signature": value } })
                )
          return Effect.andThen(Effect.logDebug("signature refused", error.message), answer)
        }
      })
    )
