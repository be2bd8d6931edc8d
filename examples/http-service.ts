import { Layer, ManagedRuntime } from "effect"
import { LocalSigner } from "effect-signer"
import type { Policy } from "effect-signer/HttpSignature"
import * as HttpSignatureFetch from "effect-signer/HttpSignatureFetch"
import * as KeyResolver from "effect-signer/KeyResolver"
import * as MemoryReplayStore from "effect-signer/MemoryReplayStore"
import * as RevocationStore from "effect-signer/RevocationStore"
import * as StaticRevocationStore from "effect-signer/StaticRevocationStore"

const policy: Policy = {
  components: ["@method", "@target-uri"],
  algorithms: ["Ed25519"],
  maxAge: "5 minutes",
  skew: "30 seconds",
  tag: "orders"
}

// The partner's key, and ours to know which of them are revoked: a list here, a signed one behind a URL in production.
const PartnerKeys = KeyResolver.layerSigner({ owner: "https://partner.example", keyId: "partner-1" }).pipe(
  Layer.provideMerge(LocalSigner.layerGenerated("Ed25519"))
)

const runtimeOf = (revoked: ReadonlyArray<string>) =>
  ManagedRuntime.make(
    Layer.mergeAll(
      RevocationStore.layerRefusing.pipe(Layer.provide(StaticRevocationStore.layer({ keyIds: revoked }))),
      MemoryReplayStore.layer() // PostgresReplayStore or RedisReplayStore where several processes serve
    ).pipe(Layer.provideMerge(PartnerKeys))
  )

// The service: a handler of Fetch, as Hono, Next.js, Bun, Deno and workers take it.
const service = (runtime: ReturnType<typeof runtimeOf>) => {
  const verify = HttpSignatureFetch.verifier({ runtime, policy, replay: "refuse" })
  return async (request: Request): Promise<Response> => {
    const outcome = await verify(request)
    if (!outcome.ok) {
      console.log("refused:", outcome.error.message)
      return outcome.response
    }
    const { item } = (await request.json()) as { readonly item: number }
    return Response.json({ item, by: outcome.message.signatures[0].key.owner })
  }
}

const runtime = runtimeOf([])
const handler = service(runtime)
const sign = HttpSignatureFetch.requestSigner({
  runtime,
  components: ["@method", "@target-uri", "content-digest"],
  keyId: "partner-1",
  tag: "orders",
  nonce: true
})
const order = () => new Request("https://shop.example/orders", { method: "POST", body: `{"item":7}` })

const request = await sign(order())
const again = request.clone()
console.log(await (await handler(request)).text())

// The same request once more, and one that nobody signed.
console.log((await handler(again)).status)
const unsigned = await handler(order())
console.log(unsigned.status, unsigned.headers.get("accept-signature")?.replace(/nonce="[^"]+"/, "nonce=..."))

// A key that is revoked signs for nothing any more.
const later = runtimeOf(["partner-1"])
const refused = HttpSignatureFetch.requestSigner({
  runtime: later,
  components: ["@method", "@target-uri", "content-digest"],
  keyId: "partner-1",
  tag: "orders",
  nonce: true
})
console.log((await service(later)(await refused(order()))).status)

await Promise.all([runtime.dispose(), later.dispose()])
