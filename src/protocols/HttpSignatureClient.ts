/**
 * Signs the requests of an `effect/http` client (RFC 9421): all of them, or those for
 * which the server asks.
 *
 * **Gotchas**
 *
 * Apply it last, closest to the transport: what is changed after it is not what is
 * signed. A redirect that the client follows carries the signature of the first
 * URL. A body that is a stream, a form or a file is not known before it is sent:
 * cover a `content-digest` that you set yourself, or none.
 *
 * **Example** (A client whose requests are signed)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpClient, HttpClientRequest } from "effect/http"
 * import * as HttpSignatureClient from "effect-signer/HttpSignatureClient"
 *
 * const program = Effect.gen(function*() {
 *   const client = (yield* HttpClient.HttpClient).pipe(
 *     HttpClient.mapRequest(HttpClientRequest.prependUrl("https://api.example")),
 *     HttpSignatureClient.signed({
 *       components: ["@method", "@target-uri", "content-digest"],
 *       tag: "orders"
 *     })
 *   )
 *   return yield* client.post("/orders")
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Result from "effect/Result"
import type { SignerError } from "../schemas/SignerError.ts"
import type * as Signer from "../services/Signer.ts"
import { withFields } from "./http/HttpClientFields.ts"
import * as HttpMessage from "./HttpMessage.ts"
import * as HttpSignature from "./HttpSignature.ts"

/**
 * How requests are signed: the same for each, or as follows from the request.
 *
 * @category models
 * @since 0.1.0
 */
export type SignOptionsFor =
  | HttpSignature.SignOptions
  | ((message: HttpMessage.HttpRequest) => Effect.Effect<HttpSignature.SignOptions>)

/**
 * Signs one request: answers with the request that has the new fields.
 *
 * @category combinators
 * @since 0.1.0
 */
export const signRequest = (
  request: HttpClientRequest.HttpClientRequest,
  options: SignOptionsFor
): Effect.Effect<
  HttpClientRequest.HttpClientRequest,
  SignerError | HttpSignature.HttpSignatureInvalid,
  Signer.Signer
> =>
  Effect.suspend(() => {
    const message = HttpMessage.fromClientRequest(request)
    const chosen = typeof options === "function" ? options(message) : Effect.succeed(options)
    return Effect.map(
      Effect.flatMap(chosen, (options) => HttpSignature.sign(message, options)),
      ({ fields }) => withFields(request, fields)
    )
  })

/**
 * A client whose requests are signed.
 *
 * @category combinators
 * @since 0.1.0
 */
export const signed =
  (options: SignOptionsFor) =>
  <E, R>(
    client: HttpClient.HttpClient.With<E, R>
  ): HttpClient.HttpClient.With<E | SignerError | HttpSignature.HttpSignatureInvalid, R | Signer.Signer> =>
    HttpClient.mapRequestEffect(client, (request) => signRequest(request, options))

/**
 * Options of {@link fulfilling}.
 *
 * @category models
 * @since 0.1.0
 */
export type FulfillingOptions = HttpSignature.FulfillOptions &
  Pick<HttpSignature.SignOptions, "expiresIn" | "keyId" | "fieldTypes" | "purpose">

/** What can be sent a second time, and is known to be the same. */
const isRepeatable = ({ body }: HttpClientRequest.HttpClientRequest): boolean =>
  body._tag === "Empty" || body._tag === "Uint8Array"

const isOfSameOrigin = (a: HttpClientRequest.HttpClientRequest, b: HttpClientRequest.HttpClientRequest): boolean => {
  const [first, second] = [HttpMessage.fromClientRequest(a), HttpMessage.fromClientRequest(b)]
  return first.authority !== undefined && first.authority === second.authority && first.scheme === second.scheme
}

/** The request with each signature that is asked for and that this side is willing to make; `undefined`: none. */
const fulfilled = Effect.fnUntraced(function* (
  request: HttpClientRequest.HttpClientRequest,
  response: HttpClientResponse.HttpClientResponse,
  options: FulfillingOptions
) {
  const asked = yield* HttpSignature.parseAcceptSignature(HttpMessage.fromClientResponse(response))
  let signed: HttpClientRequest.HttpClientRequest | undefined
  for (const one of asked) {
    const outcome = yield* Effect.result(
      HttpSignature.fulfill(HttpMessage.fromClientRequest(signed ?? request), one, options)
    )
    // Whoever is not willing to sign it, or cannot, leaves it out; a key holder that fails is an error
    if (Result.isSuccess(outcome)) signed = withFields(signed ?? request, outcome.success.fields)
    else if (outcome.failure._tag !== "HttpSignatureInvalid") return yield* outcome.failure
  }
  return signed
})

/**
 * A client that signs when it is asked to: a request that is answered with 401 and an
 * `Accept-Signature` (RFC 9421 section 5) is signed as it says, and sent once more.
 *
 * **Details**
 *
 * `allowed` and `tags` say what this client signs on request. Of several signatures
 * that are asked for it makes those that it is willing to make. The first answer stands
 * where it is willing to make none, where the body is a stream, a form or a file, which
 * cannot be sent again, and where it came from another origin than was asked.
 *
 * **Gotchas**
 *
 * Who answers chooses what is signed, within `allowed`, the nonce, and how many signatures
 * are made, up to 16: allow what says where the request goes (`@method`, `@target-uri`),
 * and use a key that is for nothing else. `fetch` follows redirects unseen, so that another origin may be the one that
 * asks: state `redirect: "manual"` in `FetchHttpClient.RequestInit`.
 *
 * The first request is sent without a signature: where a server always wants one,
 * {@link signed} saves it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fulfilling =
  (options: FulfillingOptions) =>
  <E, R>(client: HttpClient.HttpClient.With<E, R>): HttpClient.HttpClient.With<E | SignerError, R | Signer.Signer> =>
    HttpClient.transform(client, (effect, request) =>
      Effect.flatMap(
        effect,
        (response): Effect.Effect<HttpClientResponse.HttpClientResponse, E | SignerError, R | Signer.Signer> => {
          const isAsked = response.status === 401 && response.headers["accept-signature"] !== undefined
          if (!isAsked || !isRepeatable(request) || !isOfSameOrigin(request, response.request)) {
            return Effect.succeed(response)
          }
          return fulfilled(request, response, options).pipe(
            // What cannot be read asks for nothing
            Effect.catchTag("HttpSignatureInvalid", () => Effect.undefined),
            Effect.flatMap((signed) =>
              signed === undefined ? Effect.succeed(response) : client.postprocess(Effect.succeed(signed))
            )
          )
        }
      )
    )
