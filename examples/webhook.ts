import { Effect } from "effect"
import { LocalSigner, Signer } from "effect-signer"
import * as MemoryReplayStore from "effect-signer/MemoryReplayStore"
import * as StandardWebhooks from "effect-signer/StandardWebhooks"

const webhook = {
  id: "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", // the same each time this event is sent
  body: new TextEncoder().encode(`{"type":"invoice.paid","data":{"id":7}}`)
}

const program = Effect.gen(function* () {
  // Symmetric, v1: one secret for each endpoint, whsec_... from Config.Redacted("WEBHOOK_SECRET")
  const current = yield* StandardWebhooks.secret(yield* StandardWebhooks.generateSecret, { keyId: "current" })
  const next = yield* StandardWebhooks.secret(yield* StandardWebhooks.generateSecret, { keyId: "next" })

  // Asymmetric, v1a: the key stays in the KMS, the receiver has whpk_...
  const signer = yield* Signer.Signer

  // The sender: a signature by each key, while the secret is replaced
  const { fields } = yield* StandardWebhooks.sign(webhook, { secrets: [current, next], signers: [signer] })
  console.log(fields.map(([name]) => name).join(", ")) // webhook-id, webhook-timestamp, webhook-signature

  // Receivers: with the new secret, and with the public key
  const delivery = { fields, body: webhook.body }
  console.log("by", (yield* StandardWebhooks.verify(delivery, { secrets: [next] })).keyId)
  const whpk = StandardWebhooks.encodePublicKey(yield* signer.publicKey())!
  const publicKey = yield* StandardWebhooks.publicKey(whpk)
  const options = { publicKeys: [publicKey], scope: "invoices" }
  const { body, id } = yield* StandardWebhooks.verifyOnce(delivery, options)
  console.log(id, new TextDecoder().decode(body))

  // The same delivery again, and another body
  console.log((yield* Effect.flip(StandardWebhooks.verifyOnce(delivery, options))).message)
  const changed = { fields, body: new TextEncoder().encode(`{"type":"invoice.paid","data":{"id":8}}`) }
  console.log((yield* Effect.flip(StandardWebhooks.verify(changed, options))).message)
})

await Effect.runPromise(
  program.pipe(Effect.provide([LocalSigner.layerGenerated("Ed25519"), MemoryReplayStore.layer()]))
)
