import { Effect, Layer, Schema } from "effect"
import { LocalSigner, Signer, SignerError } from "effect-signer"
import * as Signers from "effect-signer/Signers"

class TenantUnknown extends Schema.TaggedError<TenantUnknown>()("TenantUnknown", {}) {}

class Tenants extends Signers.Tag<Tenants, TenantUnknown>()("app/Tenants") {}

// What you know of your tenants: which backend, which key. An id that a request names is looked up, and nothing else.
const tenants: ReadonlyMap<string, Layer.Layer<Signer.Signer, SignerError.SignerError>> = new Map([
  ["acme", LocalSigner.layerGenerated("Ed25519")],
  ["globex", LocalSigner.layerGenerated("ES256")]
])

const TenantsLive = Layer.effect(
  Tenants,
  Signers.make((id) => tenants.get(id) ?? Layer.effect(Signer.Signer, Effect.fail(new TenantUnknown())), {
    idleTimeToLive: "5 minutes",
    capacity: 1000
  })
)

const signFor = (tenant: string, message: string) =>
  Tenants.use((all) => all.use(tenant, (signer) => signer.sign(new TextEncoder().encode(message)))).pipe(
    Effect.map(({ algorithm }) => `${tenant} signs with ${algorithm}`),
    Effect.catchTag("TenantUnknown", () => Effect.succeed("there is no such tenant"))
  )

const program = Effect.forEach(["acme", "globex", "initech"], (tenant) => signFor(tenant, "paid"), {
  concurrency: "unbounded"
})

console.log((await Effect.runPromise(program.pipe(Effect.provide(TenantsLive)))).join("\n"))
