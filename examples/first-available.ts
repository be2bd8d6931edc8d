// The keyring of a developer's desktop, else a file, else a variable: the first that has the key.
import { Config, Effect } from "effect"
import { LocalSigner, Signer } from "effect-signer"
import * as FileSigner from "effect-signer/FileSigner"
import * as KeyringSigner from "effect-signer/KeyringSigner"

const SignerLive = Signer.firstAvailable([
  { name: "keyring", layer: KeyringSigner.layer({ service: "my-app", account: "release" }) },
  { name: "file", layer: FileSigner.layer({ path: "/etc/my-app/release.key" }) },
  { name: "variable", layer: LocalSigner.layerConfig({ pem: Config.Redacted("MY_APP_RELEASE_KEY") }) }
])

const program = Signer.sign(new TextEncoder().encode("hello")).pipe(
  Effect.map(({ keyId }) => `signed by ${keyId}`),
  Effect.provide(SignerLive),
  // On a host that has none of them, one error says why of each.
  Effect.catchTag("InvalidConfiguration", ({ causes = [] }) =>
    Effect.succeed(causes.map(({ link, tag }) => `${link}: ${tag}`).join("\n"))
  )
)

console.log(await Effect.runPromise(program))
