/**
 * An HTTP service that signs its answers. It asks for a `Signer` and knows no
 * backend.
 */
import { Effect } from "effect"
import { Base64Url } from "effect/encoding"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { PublicKey, Signer } from "effect-signer"

/** Answers with JSON, and a detached signature over its bytes. */
const signedJson = Effect.fn("signedJson")(function* (body: unknown) {
  const text = JSON.stringify(body)
  const signature = yield* Signer.sign(new TextEncoder().encode(text))
  return HttpServerResponse.text(text, {
    contentType: "application/json",
    headers: {
      "x-signature": Base64Url.encode(signature.bytes),
      "x-signature-key": `${signature.keyId}${signature.keyVersion === undefined ? "" : `#${signature.keyVersion}`}`
    }
  })
})

const balance = HttpRouter.add(
  "GET",
  "/accounts/:id",
  Effect.gen(function* () {
    const { id } = yield* HttpRouter.params
    return yield* signedJson({ account: id, balance: "12.50" })
  }).pipe(
    Effect.catchTags({
      PolicyDenied: () => Effect.succeed(HttpServerResponse.empty({ status: 403 })),
      Retryable: () => Effect.succeed(HttpServerResponse.empty({ status: 503 }))
    })
  )
)

/** What verifiers need: the public key as a JWK. */
const key = HttpRouter.add(
  "GET",
  "/.well-known/key.json",
  Effect.map(Signer.publicKey(), (publicKey) => HttpServerResponse.jsonUnsafe(PublicKey.toJwk(publicKey)))
)

export const routes = [balance, key] as const
