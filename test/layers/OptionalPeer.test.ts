import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { promisify } from "node:util"

const run = promisify(execFile)

const data = (source: string) => `data:text/javascript,${encodeURIComponent(source)}`

/** What a script prints in a process in which a package is not installed. */
const without = (name: string, script: string) =>
  Effect.promise(async () => {
    const hook = `import { registerHooks } from "node:module"
      registerHooks({ resolve(specifier, context, next) {
        if (specifier === "${name}") throw Object.assign(new Error(specifier), { code: "ERR_MODULE_NOT_FOUND" })
        return next(specifier, context)
      } })`
    const { stdout } = await run(
      process.execPath,
      ["--conditions=effect-signer-source", "--import", data(hook), "--input-type=module", "-e", script],
      { cwd: new URL("../..", import.meta.url) }
    )
    return JSON.parse(stdout)
  })

const key = "projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"
const uri = "pkcs11:token=t;object=o;type=private?module-path=/none.so"

describe("a package that is not installed", () => {
  it.live.each([
    { peer: "@aws-sdk/client-kms", backend: "AwsKmsSigner", options: { keyId: "alias/a", region: "eu-central-1" } },
    {
      peer: "@azure/identity",
      backend: "AzureKeyVaultSigner",
      options: { vaultUrl: "https://a.vault.azure.net", key: "k" }
    },
    { peer: "google-auth-library", backend: "GcpKmsSigner", options: { key } },
    { peer: "@google-cloud/kms", backend: "GcpKmsSigner", options: { key, transport: "grpc" } },
    { peer: "pkcs11js", backend: "Pkcs11Signer", options: { uri } }
  ])(
    "$peer: $backend can be imported, its layer says what to install, and a chain moves on",
    ({ backend, options, peer }) =>
      Effect.gen(function* () {
        const outcome = yield* without(
          peer,
          `import { Effect, Layer } from "effect"
          import { FetchHttpClient } from "effect/http"
          import { LocalSigner, Signer } from "effect-signer"
          import * as Backend from "effect-signer/${backend}"
          const layer = Layer.provide(Backend.layer(${JSON.stringify(options)}), FetchHttpClient.layer)
          const local = LocalSigner.layerGenerated("Ed25519")
          const chain = Signer.firstAvailable([{ name: "first", layer }, { name: "second", layer: local }])
          const signing = Effect.gen(function* () {
            const { _tag, absent, message } = yield* Effect.flip(Layer.build(layer))
            const { backend } = yield* Effect.provide(Signer.Signer, chain)
            return { _tag, absent, message, backend }
          })
          console.log(JSON.stringify(await Effect.runPromise(Effect.scoped(signing))))`
        )
        assert.deepInclude(outcome, { _tag: "InvalidConfiguration", absent: true, backend: "local" })
        assert.include(outcome.message, `npm install ${peer}`)
      })
  )
})
