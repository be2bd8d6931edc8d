import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { Signer, Verifier } from "effect-signer"
import * as AzureKeyVaultSigner from "effect-signer/AzureKeyVaultSigner"
import * as AzureKeyVaultEmulator from "effect-signer/testing/AzureKeyVaultEmulator"

const message = new TextEncoder().encode("ship it")

const program = Effect.gen(function* () {
  const signature = yield* Signer.sign(message)
  const publicKey = yield* Signer.publicKey()
  console.log(signature.algorithm, signature.bytes.length) // ES256 64
  console.log(yield* Verifier.verify(publicKey, message, signature)) // true
})

// In production: DefaultAzureCredential of @azure/identity, and the HttpClient of the runtime's fetch.
export const SignerLive = AzureKeyVaultSigner.layer({
  vaultUrl: "https://release.vault.azure.net",
  key: "signing"
}).pipe(Layer.provide(FetchHttpClient.layer))

// Here: an emulator, with a credential that gives its tokens.
const emulated = Effect.gen(function* () {
  const vault = yield* AzureKeyVaultEmulator.AzureKeyVaultEmulator
  yield* vault.createKey("signing", "P-256")
  const EmulatedLive = AzureKeyVaultSigner.layer({ ...vault.connection, key: "signing" })
  yield* program.pipe(Effect.provide(Layer.provide(EmulatedLive, FetchHttpClient.layer)))
})

await Effect.runPromise(emulated.pipe(Effect.provide(AzureKeyVaultEmulator.layer())))
