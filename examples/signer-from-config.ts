import { Effect, Redacted } from "effect"
import { PrivateKey, Signer } from "effect-signer"
import * as SignerConfig from "effect-signer/SignerConfig"
import { readFile } from "node:fs/promises"

// development: a key in a variable; production: another file, { "backend": "vault", ... }
const text = await readFile(new URL("signer-from-config.json", import.meta.url), "utf8")
const key = await Effect.runPromise(PrivateKey.generate("Ed25519"))
process.env["SIGNING_KEY"] = Redacted.value(PrivateKey.toPem(key))

const program = Effect.gen(function* () {
  const signer = yield* Signer.Signer
  const { bytes } = yield* signer.sign(new TextEncoder().encode("hello"))
  console.log(signer.backend, signer.algorithm, "for", signer.purpose, bytes.length, "bytes")
})
await Effect.runPromise(program.pipe(Effect.provide(SignerConfig.layerText(text))))

// everything that is wrong, at once, before anything is asked
const wrong = { backend: "vault", url: "vault:8200", token: { env: "VAULT_TOKEN" }, pin: "1234", kye: "release" }
const error = await Effect.runPromise(Effect.flip(SignerConfig.fromConfig(wrong)))
for (const { path, problem } of error.mistakes) console.log(`${path}: ${problem}`)
