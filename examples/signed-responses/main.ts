/**
 * The service with its key in Vault, an audit log and a policy. Vault is the
 * emulator here, so that it runs without one.
 */
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { Base64Url } from "effect/encoding"
import { HttpClient, HttpRouter } from "effect/http"
import { AuditLog, PublicKey, Signer, Verifier } from "effect-signer"
import * as VaultEmulator from "effect-signer/testing/VaultEmulator"
import * as VaultSigner from "effect-signer/VaultSigner"
import { routes } from "./app.ts"

/** Only statements about accounts leave this service with a signature. */
const accountsOnly: Signer.Rule = {
  name: "accounts-only",
  permits: ({ message }) => new TextDecoder().decode(message).startsWith(`{"account":`)
}

const SignerLive = Layer.unwrap(
  Effect.gen(function* () {
    const vault = yield* VaultEmulator.VaultEmulator
    yield* vault.createKey("answers", "ed25519")
    return VaultSigner.layer({ ...vault.connection, key: "answers" })
  })
).pipe(
  Signer.guard(accountsOnly),
  Signer.audited,
  Layer.provide([VaultEmulator.layer(), NodeHttpClient.layerUndici]),
  Layer.provideMerge(AuditLog.layerMemory())
)

const ServiceLive = HttpRouter.serve(Layer.mergeAll(...routes), { disableLogger: true }).pipe(
  Layer.provideMerge(SignerLive),
  Layer.provideMerge(NodeHttpServer.layerTest)
)

const client = Effect.gen(function* () {
  const answer = yield* HttpClient.get("/accounts/7")
  const body = new Uint8Array(yield* answer.arrayBuffer)
  const signature = yield* Effect.fromResult(Base64Url.decode(answer.headers["x-signature"] ?? ""))
  const published = yield* HttpClient.get("/.well-known/key.json")
  const publicKey = yield* PublicKey.fromJwk(yield* published.json)

  console.log(new TextDecoder().decode(body))
  console.log("signed by", answer.headers["x-signature-key"])
  console.log("verifies:", yield* Verifier.verify(publicKey, body, signature))
  const entries = yield* (yield* AuditLog.AuditEntries).all
  for (const { backend, keyVersion, outcome } of entries) console.log("audit:", outcome, backend, `v${keyVersion}`)
})

await Effect.runPromise(client.pipe(Effect.provide(ServiceLive)))
