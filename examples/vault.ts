import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { Signer, Verifier } from "effect-signer"
import * as VaultSigner from "effect-signer/VaultSigner"
import * as VaultEmulator from "effect-signer/testing/VaultEmulator"

const message = new TextEncoder().encode("ship it")

const program = Effect.gen(function* () {
  const signature = yield* Signer.sign(message)
  const publicKey = yield* Signer.publicKey(signature.keyVersion)
  console.log(signature.algorithm, signature.keyVersion) // Ed25519 1
  console.log(yield* Verifier.verify(publicKey, message, signature)) // true
})

// In production: the token that Vault Agent keeps fresh, and the HttpClient of the runtime's fetch.
export const SignerLive = VaultSigner.layer({
  url: "https://vault.example.com:8200",
  token: { file: "/run/vault/token" },
  key: "release"
}).pipe(Layer.provide(FetchHttpClient.layer))

// Here: an emulator, with a Redacted token of its own.
const emulated = Effect.gen(function* () {
  const { connection, createKey } = yield* VaultEmulator.VaultEmulator
  yield* createKey("release", "ed25519")
  const EmulatedLive = VaultSigner.layer({ ...connection, key: "release" })
  yield* program.pipe(Effect.provide(Layer.provide(EmulatedLive, FetchHttpClient.layer)))
})

await Effect.runPromise(emulated.pipe(Effect.provide(VaultEmulator.layer())))
