import { Effect } from "effect"
import { Signer, Verifier } from "effect-signer"
import * as GcpKmsSigner from "effect-signer/GcpKmsSigner"
import * as GcpKmsEmulator from "effect-signer/testing/GcpKmsEmulator"

const message = new TextEncoder().encode("ship it")

const program = Effect.gen(function* () {
  const signature = yield* Signer.sign(message)
  const publicKey = yield* Signer.publicKey()
  console.log(signature.algorithm, signature.keyVersion) // Ed25519 cryptoKeyVersions/1
  console.log(yield* Verifier.verify(publicKey, message, signature)) // true
})

// In production: Application Default Credentials, and the newest enabled version of the key.
export const SignerLive = GcpKmsSigner.layer({
  key: "projects/acme/locations/europe-west1/keyRings/release/cryptoKeys/signing"
})

// Here: an emulator, which throttles the first attempt.
const emulated = Effect.gen(function* () {
  const kms = yield* GcpKmsEmulator.GcpKmsEmulator
  const key = yield* kms.createKey("signing", "EC_SIGN_ED25519")
  yield* kms.sign.push(GcpKmsEmulator.Fault.throttle())
  yield* program.pipe(Effect.provide(GcpKmsSigner.layer({ ...kms.rest, key: key.name })))
  console.log("attempts:", yield* kms.recorder.count("asymmetricSign")) // attempts: 2
})

await Effect.runPromise(emulated.pipe(Effect.provide(GcpKmsEmulator.layer({ transports: ["rest"] }))))
