/**
 * `@adcp/sdk` signs with `AdcpSigningProvider`; its verifiers and ours verify what it
 * sends, and its verifiers what we sign natively.
 */
import {
  createSigningFetchAsync,
  InMemoryReplayStore,
  InMemoryRevocationStore,
  type SigningProvider,
  signRequestAsync,
  signWebhookAsync,
  StaticJwksResolver,
  verifyRequestSignature,
  verifyWebhookSignature
} from "@adcp/sdk/signing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { PrivateKey, PublicKey } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as Adcp from "../../src/protocols/Adcp.ts"
import * as AdcpSigningProvider from "../../src/protocols/adapters/AdcpSigningProvider.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as HttpSignatureProfile from "../../src/protocols/HttpSignatureProfile.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Signer from "../../src/services/Signer.ts"

const promise = <A>(evaluate: () => Promise<A>) =>
  Effect.tryPromise({ try: evaluate, catch: (error) => error as Error & { readonly code?: string } })

const body = '{"brief":"a campaign"}'
const request = {
  method: "POST",
  url: "https://seller.example/adcp/create_media_buy?a=1",
  headers: { "content-type": "application/json" },
  body
}

const setup = Effect.fnUntraced(function* (
  algorithm: "Ed25519" | "ES256",
  adcpUse: "request-signing" | "webhook-signing",
  keyId?: string
) {
  const signer = yield* LocalSigner.make({ privateKey: PrivateKey.generate(algorithm), algorithm, purpose: adcpUse })
  const made = yield* AdcpSigningProvider.make({ adcpUse, keyId }).pipe(Effect.provideService(Signer.Signer, signer))
  const provider: SigningProvider = made // its type is that of the SDK
  const jwk = AdcpSigningProvider.publicJwk(yield* signer.publicKey(), { adcpUse, keyId })
  return { signer, provider, jwk, jwks: new StaticJwksResolver([{ ...jwk, key_ops: [...jwk.key_ops] }]) }
})

const stores = () => ({ replayStore: new InMemoryReplayStore(), revocationStore: new InMemoryRevocationStore() })

const messageOf = (headers: Record<string, string>) =>
  HttpMessage.request({
    method: request.method,
    target: request.url,
    fields: Object.entries(headers),
    body: new TextEncoder().encode(body)
  })

const keyOf = (signer: Signer.Service, keyId: string) =>
  KeyResolver.layerSigner({ keyId }).pipe(Layer.provide(Layer.succeed(Signer.Signer, signer)))

describe.each(["Ed25519", "ES256"] as const)("AdcpSigningProvider with %s", (algorithm) => {
  it.live("signRequestAsync signs what the SDK verifies, and what we verify", () =>
    Effect.gen(function* () {
      const { jwks, provider, signer } = yield* setup(algorithm, "request-signing", "buyer-2026")
      const signed = yield* promise(() => signRequestAsync(request, provider, { coverContentDigest: true }))
      const received = { ...request, headers: signed.headers }
      const capability = { supported: true, covers_content_digest: "required" as const, required_for: ["create_media_buy"] }
      const result = yield* promise(() =>
        verifyRequestSignature(received, { capability, jwks, operation: "create_media_buy", ...stores() })
      )
      assert.strictEqual(result.status, "verified")
      const { signatures } = yield* HttpSignatureProfile.verify(
        HttpSignatureProfile.adcp31.request,
        messageOf(signed.headers)
      ).pipe(Effect.provide(keyOf(signer, "buyer-2026")))
      assert.strictEqual(signatures[0].keyId, "buyer-2026")
    })
  )

  it.live("signWebhookAsync signs what the SDK verifies, by the thumbprint", () =>
    Effect.gen(function* () {
      const { jwks, provider, signer } = yield* setup(algorithm, "webhook-signing")
      assert.strictEqual(provider.keyid, PublicKey.thumbprint(yield* signer.publicKey()))
      const signed = yield* promise(() => signWebhookAsync(request, provider))
      const received = { ...request, headers: signed.headers }
      const result = yield* promise(() => verifyWebhookSignature(received, { jwks, ...stores() }))
      assert.deepStrictEqual([result.status, result.keyid], ["verified", provider.keyid])
      yield* HttpSignatureProfile.verify(HttpSignatureProfile.adcp31.webhook, messageOf(signed.headers)).pipe(
        Effect.provide(keyOf(signer, provider.keyid))
      )
    })
  )

  it.live("createSigningFetchAsync sends signed requests", () =>
    Effect.gen(function* () {
      const { jwks, provider } = yield* setup(algorithm, "request-signing", "buyer-2026")
      let sent: Record<string, string> = {}
      const upstream = async (_url: unknown, init?: RequestInit) => {
        sent = Object.fromEntries(new Headers(init?.headers))
        return new Response("{}")
      }
      const signedFetch = createSigningFetchAsync(upstream, provider, { coverContentDigest: true })
      yield* promise(() => signedFetch(request.url, { method: "POST", headers: request.headers, body }))
      const result = yield* promise(() =>
        verifyRequestSignature(
          { ...request, headers: sent },
          {
            capability: { supported: true, covers_content_digest: "required", required_for: ["create_media_buy"] },
            jwks,
            operation: "create_media_buy",
            ...stores()
          }
        )
      )
      assert.strictEqual(result.status, "verified")
    })
  )

  it.live("a key for webhooks signs no request", () =>
    Effect.gen(function* () {
      const { provider } = yield* setup(algorithm, "webhook-signing", "hooks")
      const error = yield* Effect.flip(promise(() => signRequestAsync(request, provider)))
      assert.include(error.message, "its tag is not one of this key: adcp/webhook-signing/v1")
    })
  )
})

describe.each(["Ed25519", "ES256"] as const)("Adcp with %s", (algorithm) => {
  it.live.each(["adcp30", "adcp31", "adcp32"] as const)("%s: the SDK verifies requests", (version) =>
    Effect.gen(function* () {
      const { jwks, signer } = yield* setup(algorithm, "request-signing", "buyer-2026")
      const profile = HttpSignatureProfile[version]
      const { message } = yield* Adcp.signRequest(messageOf(request.headers), { profile, keyId: "buyer-2026" }).pipe(
        Effect.provideService(Signer.Signer, signer)
      )
      const received = { ...request, headers: Object.fromEntries(message.fields) }
      const capability = { supported: true, covers_content_digest: "required" as const, required_for: ["create_media_buy"] }
      const result = yield* promise(() =>
        verifyRequestSignature(received, { capability, jwks, operation: "create_media_buy", ...stores() })
      )
      assert.strictEqual(result.status, "verified")
    })
  )

  it.live("the SDK verifies webhooks", () =>
    Effect.gen(function* () {
      const { jwks, provider, signer } = yield* setup(algorithm, "webhook-signing")
      const { message } = yield* Adcp.signWebhook(messageOf(request.headers), {
        profile: HttpSignatureProfile.adcp31
      }).pipe(Effect.provideService(Signer.Signer, signer))
      const received = { ...request, headers: Object.fromEntries(message.fields) }
      const result = yield* promise(() => verifyWebhookSignature(received, { jwks, ...stores() }))
      assert.deepStrictEqual([result.status, result.keyid], ["verified", provider.keyid])
    })
  )
})
