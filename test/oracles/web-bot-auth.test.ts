/** `web-bot-auth` signs with `WebBotAuthSigner`; it verifies that, and what our profile signs natively. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { directoryResponseHeaders, signatureHeaders, verify } from "web-bot-auth"
import { verifierFromJWK } from "web-bot-auth/crypto"
import { PrivateKey, PublicKey } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as WebBotAuthSigner from "../../src/protocols/adapters/WebBotAuthSigner.ts"
import * as HttpMessage from "../../src/protocols/HttpMessage.ts"
import * as HttpSignature from "../../src/protocols/HttpSignature.ts"
import * as HttpSignatureProfile from "../../src/protocols/HttpSignatureProfile.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Signer from "../../src/services/Signer.ts"
import { testRsaKey } from "../../src/testing/TestKey.ts"

const promise = <A>(evaluate: () => Promise<A>) =>
  Effect.tryPromise({ try: evaluate, catch: (error) => error as Error })

const provide =
  (algorithm: "Ed25519" | "PS512") =>
  <A, E>(effect: Effect.Effect<A, E, Signer.Signer>) =>
    Effect.provideServiceEffect(
      effect,
      Signer.Signer,
      LocalSigner.make({
        privateKey:
          algorithm === "PS512" ? PrivateKey.fromJwk(testRsaKey, { algorithm }) : PrivateKey.generate(algorithm),
        algorithm
      })
    )

const window = () => ({ created: new Date(Date.now() - 1000), expires: new Date(Date.now() + 300_000) })
const url = "https://shop.example/a?b=1"
const agent = { "Signature-Agent": '"https://bot.example"' }

const jwkOf = (key: PublicKey.PublicKey) => ({ ...PublicKey.toJwk(key) }) as JsonWebKey

describe.each(["Ed25519", "PS512"] as const)("WebBotAuthSigner with %s", (algorithm) => {
  it.live("signatureHeaders signs what web-bot-auth verifies", () =>
    Effect.gen(function* () {
      const signer = yield* WebBotAuthSigner.make()
      for (const headers of [{}, agent]) {
        const signed = yield* promise(() => signatureHeaders(new Request(url, { headers }), signer, window()))
        const received = new Request(url, { headers: { ...headers, ...signed } })
        const verifier = yield* promise(() => verifierFromJWK(jwkOf(signer.publicKey)))
        yield* promise(() => verify(received, verifier))
        const refused = yield* Effect.flip(
          promise(() => verify(new Request("https://other.example/", { headers: { ...headers, ...signed } }), verifier))
        )
        assert.include(refused.message, "invalid signature")
      }
    }).pipe(provide(algorithm))
  )

  it.live("directoryResponseHeaders signs a directory, which our verifier verifies", () =>
    Effect.gen(function* () {
      const signer = yield* WebBotAuthSigner.make()
      const target = `https://bot.example${WebBotAuthSigner.directoryPath}`
      const body = new TextEncoder().encode(JSON.stringify(WebBotAuthSigner.directory([signer.publicKey])))
      const request = new Request(target)
      const response = new Response(body, { headers: { "content-type": WebBotAuthSigner.directoryMediaType } })
      const signed = yield* promise(() => directoryResponseHeaders({ request, response } as never, [signer], window()))
      const message = HttpMessage.response({
        status: 200,
        fields: Object.entries(signed),
        body,
        request: HttpMessage.fromFetchRequest(request)
      })
      const { signatures } = yield* HttpSignature.verify(message, {
        components: ['"@authority";req'],
        algorithms: [algorithm],
        maxAge: "1 day",
        skew: "1 minute",
        tag: WebBotAuthSigner.directoryTag,
        body: "any"
      }).pipe(Effect.provide(KeyResolver.layerSigner()))
      assert.strictEqual(signatures[0].keyId, signer.keyid)
    }).pipe(provide(algorithm))
  )
})

describe("HttpSignatureProfile.webBotAuth", () => {
  it.live("signs natively what web-bot-auth verifies", () =>
    Effect.gen(function* () {
      for (const fields of [[], Object.entries(agent)]) {
        const request = HttpMessage.request({ method: "GET", target: url, fields })
        const signed = yield* HttpSignatureProfile.sign(HttpSignatureProfile.webBotAuth, request)
        const received = new Request(url, { headers: [...fields, ...signed.fields] as Array<[string, string]> })
        const publicKey = yield* Signer.publicKey()
        const verifier = yield* promise(() => verifierFromJWK(jwkOf(publicKey)))
        yield* promise(() => verify(received, verifier))
      }
    }).pipe(provide("Ed25519"))
  )

  it.live("verifies natively what web-bot-auth signs", () =>
    Effect.gen(function* () {
      const signer = yield* WebBotAuthSigner.make()
      const signed = yield* promise(() => signatureHeaders(new Request(url, { headers: agent }), signer, window()))
      const message = HttpMessage.request({
        method: "GET",
        target: url,
        fields: [...Object.entries(agent), ...Object.entries(signed)]
      })
      const { signatures } = yield* HttpSignatureProfile.verify(HttpSignatureProfile.webBotAuth, message).pipe(
        Effect.provide(KeyResolver.layerSigner())
      )
      assert.strictEqual(HttpSignature.value(signatures[0], "signature-agent"), agent["Signature-Agent"])
    }).pipe(provide("Ed25519"))
  )
})
