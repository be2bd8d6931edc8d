import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { LocalSigner } from "effect-signer"
import * as HttpSignatureClient from "effect-signer/HttpSignatureClient"
import * as HttpSignatureProfile from "effect-signer/HttpSignatureProfile"
import * as HttpSignatureServer from "effect-signer/HttpSignatureServer"
import * as KeyResolver from "effect-signer/KeyResolver"
import * as MemoryReplayStore from "effect-signer/MemoryReplayStore"

const profile = { ...HttpSignatureProfile.rfc9421Strict, tag: "orders" }

// runs for signed requests only, once for each, and knows whose they are
const order = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  const { signatures } = yield* HttpSignatureServer.VerifiedRequest
  return HttpServerResponse.text(`${signatures[0].key.owner} ordered ${yield* request.text}`) // the body is read as ever
}).pipe(HttpSignatureServer.verifiedOnce(HttpSignatureProfile.policyFor(profile)))

const ServerLive = HttpRouter.serve(HttpRouter.add("POST", "/orders", order), {
  disableLogger: true,
  disableListenLog: true
})

const program = Effect.gen(function* () {
  const client = yield* HttpClient.HttpClient
  const request = HttpClientRequest.post("/orders").pipe(HttpClientRequest.bodyText(`{"item":7}`, "application/json"))

  const signing = client.pipe(HttpSignatureClient.signed(HttpSignatureProfile.signOptionsFor(profile)))
  console.log(yield* (yield* signing.execute(request)).text)

  const refused = yield* client.execute(request) // nobody signed it
  console.log(refused.status, refused.headers["accept-signature"])
})

// the server knows the keys of its partners; the client holds one of them
const PartnerLive = LocalSigner.layerGenerated("Ed25519")
const KeysLive = KeyResolver.layerSigner({ owner: "partner" }).pipe(Layer.provideMerge(PartnerLive))

await Effect.runPromise(
  program.pipe(
    Effect.provide(
      ServerLive.pipe(
        Layer.provideMerge(NodeHttpServer.layerTest), // a free port; in production NodeHttpServer.layer
        Layer.provideMerge(Layer.merge(KeysLive, MemoryReplayStore.layer()))
      )
    )
  )
)
