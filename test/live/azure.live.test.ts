/**
 * The conformance cases against Azure Key Vault or a Managed HSM itself, and against
 * an emulator that others wrote.
 *
 * | variable | meaning |
 * | --- | --- |
 * | `EFFECT_SIGNER_AZURE_KEY` | the identifier of a key of a real account to sign about 180 messages with; credentials as `@azure/identity` finds them |
 * | `EFFECT_SIGNER_AZURE_ALGORITHM` | its algorithm; needed for RSA |
 * | `EFFECT_SIGNER_AZURE_API_VERSION` | the version of the API, of a cloud that is behind |
 *
 * `npm run test:live` starts the emulator, with a certificate that only these tests trust.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { azure, lowkeyVault } from "../../scripts/live/azure.ts"
import * as Software from "../../scripts/live/Software.ts"
import { SignatureAlgorithm, Signer } from "../../src/index.ts"
import * as AzureKeyVaultSigner from "../../src/layers/AzureKeyVaultSigner.ts"
import { Conformance } from "../../src/testing.ts"

const timeout = 120_000

const keys: ReadonlyArray<readonly [SignatureAlgorithm.SignatureAlgorithm, object]> = [
  ["ES256", { kty: "EC", crv: "P-256" }],
  ["ES384", { kty: "EC", crv: "P-384" }],
  ["ES512", { kty: "EC", crv: "P-521" }],
  ["ES256K", { kty: "EC", crv: "P-256K" }],
  ["PS256", { kty: "RSA", key_size: 2048 }],
  ["PS384", { kty: "RSA", key_size: 2048 }],
  ["PS512", { kty: "RSA", key_size: 3072 }],
  ["RS256", { kty: "RSA", key_size: 2048 }],
  ["RS384", { kty: "RSA", key_size: 2048 }],
  ["RS512", { kty: "RSA", key_size: 4096 }]
]

const emulator = Software.urlOf(lowkeyVault.name)

if (emulator !== undefined) {
  // its vaults are told apart by the name of the host
  const url = `https://localhost:${new URL(emulator).port}`
  const token = "any"
  for (const [algorithm, parameters] of keys) {
    const name = `kit-${algorithm.toLowerCase()}`
    // https://learn.microsoft.com/rest/api/keyvault/keys/create-key/create-key
    const response = await fetch(`${url}/keys/${name}/create?api-version=7.4`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ ...parameters, key_ops: ["sign", "verify"] })
    })
    assert.isTrue(response.ok, `${name}: ${response.status} ${await response.text()}`)
    const layer = AzureKeyVaultSigner.layer({
      vaultUrl: url,
      key: name,
      algorithm,
      apiVersion: "7.4",
      scope: "https://vault.azure.net/.default",
      credential: { getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3_600_000 }) }
    }).pipe(Layer.provide(NodeHttpClient.layerUndici))
    Conformance.suite(it, `${lowkeyVault.suite}/${algorithm}`, layer, { timeout })
  }
}

const vaultUrl = process.env["EFFECT_SIGNER_AZURE_KEY"]

if (vaultUrl !== undefined && Software.isDemanded(azure.name)) {
  const algorithm = Schema.decodeUnknownSync(Schema.UndefinedOr(SignatureAlgorithm.SignatureAlgorithm))(
    process.env["EFFECT_SIGNER_AZURE_ALGORITHM"]
  )
  const layer = AzureKeyVaultSigner.layer({
    vaultUrl,
    algorithm,
    apiVersion: process.env["EFFECT_SIGNER_AZURE_API_VERSION"]
  }).pipe(Layer.provide(NodeHttpClient.layerUndici))
  const signer = await Effect.runPromise(Effect.provide(Signer.Signer, layer))
  Conformance.suite(it, `kit/azure/live/${signer.algorithm}`, layer, { timeout })
}
