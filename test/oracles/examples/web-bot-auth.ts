import { Effect } from "effect"
import { LocalSigner, PublicKey } from "effect-signer"
import * as WebBotAuthSigner from "effect-signer/WebBotAuthSigner"
import { signatureHeaders, verify } from "web-bot-auth"
import { verifierFromJWK } from "web-bot-auth/crypto"

const url = "https://shop.example/catalog"

const program = Effect.gen(function* () {
  const signer = yield* WebBotAuthSigner.make()
  const window = { created: new Date(), expires: new Date(Date.now() + 300_000) }
  const signed = yield* Effect.promise(() => signatureHeaders(new Request(url), signer, window))

  const verifier = yield* Effect.promise(() => verifierFromJWK({ ...PublicKey.toJwk(signer.publicKey) } as JsonWebKey))
  yield* Effect.promise(() => verify(new Request(url, { headers: { ...signed } }), verifier))
  console.log("web-bot-auth verifies the request of", signer.keyid)
})

await Effect.runPromise(program.pipe(Effect.provide(LocalSigner.layerGenerated("Ed25519"))))
