import { Effect, Layer } from "effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { LocalSigner, PrivateKey, Signer } from "effect-signer"
import * as Adcp from "effect-signer/Adcp"
import * as HttpMessage from "effect-signer/HttpMessage"
import * as HttpSignatureProfile from "effect-signer/HttpSignatureProfile"
import * as MemoryReplayStore from "effect-signer/MemoryReplayStore"
import * as StaticRevocationStore from "effect-signer/StaticRevocationStore"

const profile = HttpSignatureProfile.adcp31
const keyId = "buyer-2026" // the kid of the JWK at the jwks_uri of the agent

// What the seller says of itself in get_adcp_capabilities
const capability = Adcp.parseCapability({
  request_signing: { supported: true, covers_content_digest: "required", required_for: ["create_media_buy"] }
})

// The seller: verifies by the checklist of AdCP, and answers with its codes
const sell = Effect.fnUntraced(
  function* (request: HttpMessage.HttpRequest) {
    const verified = yield* Adcp.verifyRequest(request, { profile, capability: yield* capability })
    return verified._tag === "Signed" ? `signed by ${keyId}` : "not signed, and need not be"
  },
  Effect.catchTag("AdcpSignatureError", ({ code }) => Effect.succeed(code))
)

// The buyer: signs what this seller wants signed, and nothing else
const buy = Effect.gen(function* () {
  const client = (yield* HttpClient.HttpClient).pipe(
    HttpClient.mapRequest(HttpClientRequest.prependUrl("https://seller.example.com/adcp")),
    Adcp.client({ profile, capability, keyId }) // or Adcp.cachedCapability(how to ask the seller)
  )
  for (const operation of ["create_media_buy", "get_products"]) {
    const request = HttpClientRequest.post(`/${operation}`).pipe(HttpClientRequest.bodyJsonUnsafe({ plan_id: "p1" }))
    const response = yield* client.execute(request)
    console.log(`${operation}:`, yield* response.text)
  }
  const bare = yield* HttpClient.post("https://seller.example.com/adcp/create_media_buy")
  console.log("by another client:", yield* bare.text)
})

// Here, the network between the two is a function
const Network = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(Effect.context<Adcp.VerifyServices>(), (services) =>
    HttpClient.make((request) =>
      sell(HttpMessage.fromClientRequest(request)).pipe(
        Effect.map((text) => HttpClientResponse.fromWeb(request, new Response(text))),
        Effect.orDie,
        Effect.provide(services)
      )
    )
  )
)

// The seller finds the keys of the buyer at its jwks_uri
const Keys = Layer.unwrap(
  Effect.map(Signer.publicKey(), (key) =>
    Adcp.layerJwks({ keys: [Adcp.publicJwk(key, { adcpUse: "request-signing", keyId })] })
  )
)

const Live = Network.pipe(
  Layer.provide([Keys, MemoryReplayStore.layer(), StaticRevocationStore.layer({ keyIds: [] })]),
  // AwsKmsSigner.layer({ keyId: "alias/adcp-requests", purpose: "request-signing" })
  Layer.provideMerge(LocalSigner.layer({ privateKey: PrivateKey.generate("Ed25519"), purpose: "request-signing" }))
)

await Effect.runPromise(Effect.provide(buy, Live))
