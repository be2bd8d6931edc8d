import { Effect, Layer } from "effect"
import { LocalSigner } from "effect-signer"
import * as HttpMessage from "effect-signer/HttpMessage"
import * as HttpSignature from "effect-signer/HttpSignature"
import * as KeyResolver from "effect-signer/KeyResolver"

// What a request must look like: stated once, before any request is read.
const policy: HttpSignature.Policy = {
  components: ["@method", "@target-uri", "content-digest"],
  algorithms: ["Ed25519"],
  maxAge: "5 minutes",
  skew: "30 seconds",
  tag: "orders"
}

const program = Effect.gen(function* () {
  const request = HttpMessage.request({
    method: "POST",
    target: "https://shop.example/orders?dry=1",
    fields: [["Content-Type", "application/json"]],
    body: new TextEncoder().encode(`{"item":7}`)
  })

  // The lines to send: the digest of the body, what is covered, and the signature.
  const { fields, message } = yield* HttpSignature.sign(request, { components: policy.components, tag: "orders" })
  console.log(fields.map(([name]) => name).join(", ")) // Content-Digest, Signature-Input, Signature

  const { body, signatures } = yield* HttpSignature.verify(message, policy)
  console.log(HttpSignature.value(signatures[0], "@target-uri"), "by", signatures[0].key.owner)
  console.log(new TextDecoder().decode(body)) // checked against the digest that the signature covers
  console.log(HttpSignature.value(signatures[0], "content-type")) // undefined: nobody signed it

  // Another body, another address, another purpose: each is refused, and says why.
  const changed = { ...message, body: new TextEncoder().encode(`{"item":8}`) }
  console.log((yield* Effect.flip(HttpSignature.verify(changed, policy))).message)
  const moved = { ...message, path: "/refunds" }
  console.log((yield* Effect.flip(HttpSignature.verify(moved, policy))).message)
  const other = { ...policy, tag: "refunds" }
  console.log((yield* Effect.flip(HttpSignature.verify(message, other))).message)

  // When a partner's signature does not verify, compare what each side signed.
  const { base } = yield* HttpSignature.explain(message)
  const { difference } = yield* HttpSignature.explain(moved, { theirs: base })
  console.log(difference)
})

const Live = KeyResolver.layerSigner({ owner: "https://partner.example" }).pipe(
  Layer.provideMerge(LocalSigner.layerGenerated("Ed25519"))
)

await Effect.runPromise(Effect.provide(program, Live))
