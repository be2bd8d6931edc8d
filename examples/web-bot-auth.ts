import { Effect, Layer } from "effect"
import { LocalSigner, Signer } from "effect-signer"
import * as HttpMessage from "effect-signer/HttpMessage"
import * as HttpSignature from "effect-signer/HttpSignature"
import * as HttpSignatureProfile from "effect-signer/HttpSignatureProfile"
import * as KeyResolver from "effect-signer/KeyResolver"
import * as WebBotAuthSigner from "effect-signer/WebBotAuthSigner"

const profile = HttpSignatureProfile.webBotAuth

const program = Effect.gen(function* () {
  // What the crawler asks for, and where the keys of its operator are
  const request = HttpMessage.request({
    method: "GET",
    target: "https://shop.example/catalog",
    fields: [["Signature-Agent", '"https://bot.example"']]
  })
  const { message } = yield* HttpSignatureProfile.sign(profile, request)
  const { signatures } = yield* HttpSignatureProfile.verify(profile, message)
  console.log("signed for", HttpSignature.value(signatures[0], "@authority"))
  console.log("keys at", HttpSignature.value(signatures[0], "signature-agent"))

  // The directory that https://bot.example serves, signed by each key that is in it
  const key = yield* Signer.publicKey()
  const response = HttpMessage.response({
    status: 200,
    fields: [["Content-Type", WebBotAuthSigner.directoryMediaType]],
    body: new TextEncoder().encode(JSON.stringify(WebBotAuthSigner.directory([key]))),
    request: HttpMessage.request({
      method: "GET",
      target: `https://bot.example${WebBotAuthSigner.directoryPath}`,
      fields: []
    })
  })
  const directory = yield* HttpSignature.sign(response, {
    components: ['"@authority";req'],
    tag: WebBotAuthSigner.directoryTag,
    expiresIn: "1 day"
  })
  console.log(directory.fields.map(([name]) => name).join(", "), "for", WebBotAuthSigner.directoryPath)
})

// Verifiers on the web take Ed25519: AwsKmsSigner.layer({ keyId: "alias/crawler" })
const Live = KeyResolver.layerSigner().pipe(Layer.provideMerge(LocalSigner.layerGenerated("Ed25519")))

await Effect.runPromise(Effect.provide(program, Live))
