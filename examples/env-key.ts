import { ConfigProvider, Effect, Redacted } from "effect"
import { PrivateKey, PublicKey, Signer } from "effect-signer"
import * as EnvSigner from "effect-signer/EnvSigner"

const SignerLive = EnvSigner.layer({ variable: "SIGNING_KEY" })

const program = Effect.gen(function* () {
  const signer = yield* Signer.Signer
  const { bytes } = yield* signer.sign(new TextEncoder().encode("hello"))
  console.log(`${signer.backend} signs with ${signer.algorithm}: ${bytes.length} bytes`)
})

// what a deployment does: PEM, JWK, hex or base64 in the environment
const key = await Effect.runPromise(PrivateKey.generate("ES256"))
process.env["SIGNING_KEY"] = Redacted.value(PrivateKey.toPem(key))
await Effect.runPromise(Effect.provide(program, SignerLive))

// what a spec does: another environment, and the lines of keys that fastn uses
const secret = "100d7e23f222267ba0be43855a262461b8a7718572edf58c56db912156d2bc25"
const env = ConfigProvider.fromEnvRecord({ FASTN_SECRET_KEYS: `# published test key\ni66fo538: ${secret}` })
const id52 = "i66fo538lfl5ombdf6tcdbrabp4hmp9asv7nrffuc2im13ct4q60"
const signer = await Effect.runPromise(EnvSigner.makeFastn({ id52 }).pipe(Effect.provide(ConfigProvider.layer(env))))
console.log(PublicKey.toId52(await Effect.runPromise(signer.publicKey())))
