import {
  InMemoryReplayStore,
  InMemoryRevocationStore,
  signWebhookAsync,
  StaticJwksResolver,
  verifyWebhookSignature
} from "@adcp/sdk/signing"
import { Effect } from "effect"
import { LocalSigner, PrivateKey, Signer } from "effect-signer"
import * as AdcpSigningProvider from "effect-signer/AdcpSigningProvider"

const adcpUse = "webhook-signing"
const keyId = "seller-2026"

const program = Effect.gen(function* () {
  const provider = yield* AdcpSigningProvider.make({ adcpUse, keyId })
  const webhook = {
    method: "POST",
    url: "https://buyer.example/hook",
    headers: { "content-type": "application/json" },
    body: `{"status":"completed"}`
  }
  const { headers } = yield* Effect.promise(() => signWebhookAsync(webhook, provider))

  // what the jwks_uri of the agent answers with
  const jwk = AdcpSigningProvider.publicJwk(yield* Signer.publicKey(), { adcpUse, keyId })
  const { keyid, status } = yield* Effect.promise(() =>
    verifyWebhookSignature(
      { ...webhook, headers },
      {
        jwks: new StaticJwksResolver([{ ...jwk, key_ops: [...jwk.key_ops] }]),
        replayStore: new InMemoryReplayStore(),
        revocationStore: new InMemoryRevocationStore()
      }
    )
  )
  console.log(status, "by", keyid)
})

// AwsKmsSigner.layer({ keyId: "alias/adcp-webhooks", purpose: "webhook-signing" })
const SignerLive = LocalSigner.layer({ privateKey: PrivateKey.generate("ES256"), purpose: adcpUse })

await Effect.runPromise(Effect.provide(program, SignerLive))
