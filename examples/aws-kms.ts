import { Effect } from "effect"
import { Signer, Verifier } from "effect-signer"
import * as AwsKmsSigner from "effect-signer/AwsKmsSigner"
import * as AwsKmsEmulator from "effect-signer/testing/AwsKmsEmulator"

const message = new TextEncoder().encode("ship it")

const program = Effect.gen(function* () {
  const signature = yield* Signer.sign(message)
  const publicKey = yield* Signer.publicKey()
  console.log(signature.algorithm, signature.bytes.length) // ES256 64
  console.log(yield* Verifier.verify(publicKey, message, signature)) // true
})

// In production: region and credentials as the AWS SDK finds them.
export const SignerLive = AwsKmsSigner.layer({ keyId: "alias/release" })

// Here: an emulator, which the real SDK talks to.
const emulated = Effect.gen(function* () {
  const kms = yield* AwsKmsEmulator.AwsKmsEmulator
  yield* kms.createKey("ECC_NIST_P256", { alias: "alias/release" })
  yield* program.pipe(Effect.provide(AwsKmsSigner.layer({ ...kms.connection, keyId: "alias/release" })))
})

await Effect.runPromise(emulated.pipe(Effect.provide(AwsKmsEmulator.layer())))
