/**
 * Signs the requests of an `effect/http` client (RFC 9421).
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
import type { SignerError } from "../schemas/SignerError.ts"
import type * as Signer from "../services/Signer.ts"
import * as HttpMessage from "./HttpMessage.ts"
import * as HttpSignature from "./HttpSignature.ts"

/**
 * Signs one request: answers with the request that has the new fields.
 *
 * @category combinators
 * @since 0.1.0
 */
export const signRequest = (
  request: HttpClientRequest.HttpClientRequest,
  options: HttpSignature.SignOptions
): Effect.Effect<
  HttpClientRequest.HttpClientRequest,
  SignerError | HttpSignature.HttpSignatureInvalid,
  Signer.Signer
> =>
  Effect.map(HttpSignature.sign(HttpMessage.fromClientRequest(request), options), ({ fields }) =>
    fields.reduce((signed, [name, value]) => {
      // Another signature of the same message: one field, one more member
      const before = signed.headers[name.toLowerCase()]
      return HttpClientRequest.setHeader(signed, name, before === undefined ? value : `${before}, ${value}`)
    }, request)
  )

/**
 * A client whose requests are signed.
 *
 * @category combinators
 * @since 0.1.0
 */
export const signed =
  (options: HttpSignature.SignOptions) =>
  <E, R>(
    client: HttpClient.HttpClient.With<E, R>
  ): HttpClient.HttpClient.With<E | SignerError | HttpSignature.HttpSignatureInvalid, R | Signer.Signer> =>
    HttpClient.mapRequestEffect(client, (request) => signRequest(request, options))
