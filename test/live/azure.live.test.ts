/**
 * The conformance cases against Azure Key Vault or a Managed HSM itself.
 *
 * | variable | meaning |
 * | --- | --- |
 * | `EFFECT_SIGNER_AZURE_KEY` | the identifier of a key of a real account to sign about 180 messages with; credentials as `@azure/identity` finds them |
 * | `EFFECT_SIGNER_AZURE_ALGORITHM` | its algorithm; needed for RSA |
 * | `EFFECT_SIGNER_AZURE_API_VERSION` | the version of the API, of a cloud that is behind |
 */
import { NodeHttpClient } from "@effect/platform-node"
import { it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { SignatureAlgorithm, Signer } from "../../src/index.ts"
import * as AzureKeyVaultSigner from "../../src/layers/AzureKeyVaultSigner.ts"
import { Conformance } from "../../src/testing.ts"

const vaultUrl = process.env["EFFECT_SIGNER_AZURE_KEY"]

if (vaultUrl === undefined) {
  // oxlint-disable-next-line no-restricted-properties -- what is missing here is the name
  it.skip("Azure Key Vault: EFFECT_SIGNER_AZURE_KEY names no key", () => {})
} else {
  const algorithm = Schema.decodeUnknownSync(Schema.UndefinedOr(SignatureAlgorithm.SignatureAlgorithm))(
    process.env["EFFECT_SIGNER_AZURE_ALGORITHM"]
  )
  const layer = AzureKeyVaultSigner.layer({
    vaultUrl,
    algorithm,
    apiVersion: process.env["EFFECT_SIGNER_AZURE_API_VERSION"]
  }).pipe(Layer.provide(NodeHttpClient.layerUndici))
  const signer = await Effect.runPromise(Effect.provide(Signer.Signer, layer))
  Conformance.suite(it, `kit/azure/live/${signer.algorithm}`, layer, { timeout: 120_000 })
}
