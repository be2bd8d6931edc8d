import { Config, Effect, Redacted } from "effect"
import { LocalSigner, PrivateKey, Signer } from "effect-signer"

const SignerLive = LocalSigner.layerConfig({
  pem: Config.Redacted("SIGNING_KEY"), // the text of a PEM file
  passphrase: Config.Redacted("SIGNING_KEY_PASSPHRASE").pipe(Config.withDefault(undefined))
})

// what a deployment does: a key in the environment
const key = await Effect.runPromise(PrivateKey.generate("ES256"))
process.env["SIGNING_KEY"] = Redacted.value(PrivateKey.toPem(key))

const signature = await Effect.runPromise(
  Signer.sign(new TextEncoder().encode("hello")).pipe(Effect.provide(SignerLive))
)
console.log(JSON.stringify(signature)) // reads back with Signature.SignatureJson
