/**
 * Runs in a browser: signs with every algorithm, verifies, refuses a tampered
 * message, and posts what it did for Node to check again.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { PrivateKey, PublicKey, SignatureAlgorithm, Verifier } from "effect-signer"
import * as LocalSigner from "effect-signer/LocalSigner"
import * as NobleSigner from "effect-signer/NobleSigner"

export interface Report {
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm
  readonly backend: string
  readonly spkiPem: string
  readonly message: ReadonlyArray<number>
  readonly signature: ReadonlyArray<number>
  readonly isVerified: boolean
  readonly isTamperedRefused: boolean
  readonly isPemRoundTrip: boolean
}

const signIn = Effect.fnUntraced(function* (
  algorithm: SignatureAlgorithm.SignatureAlgorithm,
  layers: typeof NobleSigner | typeof LocalSigner
) {
  const privateKey = yield* PrivateKey.generate(algorithm)
  const signer = yield* layers.make({ privateKey, algorithm })
  const message = crypto.getRandomValues(new Uint8Array(100))
  const signature = yield* signer.sign(message)
  const publicKey = yield* signer.publicKey()
  const tampered = message.map((byte, index) => (index === 50 ? byte ^ 1 : byte))
  const again = yield* PrivateKey.fromPem(Redacted.value(PrivateKey.toPem(privateKey)))
  const report: Report = {
    algorithm,
    backend: signer.backend,
    spkiPem: PublicKey.toPem(publicKey),
    message: [...message],
    signature: [...signature.bytes],
    isVerified: yield* Verifier.verify(publicKey, message, signature),
    isTamperedRefused: !(yield* Verifier.verify(publicKey, tampered, signature)),
    isPemRoundTrip: PublicKey.sameKey(again.publicKey, privateKey.publicKey)
  }
  return report
})

const reports = Effect.forEach(SignatureAlgorithm.all, (algorithm) =>
  Effect.all([signIn(algorithm, NobleSigner), signIn(algorithm, LocalSigner)])
)

const post = (path: string, body: string) => fetch(path, { method: "POST", body })

Effect.runPromise(reports).then(
  (results) => post("/reports", JSON.stringify(results.flat())),
  (error: unknown) => post("/failed", String(error instanceof Error ? error.stack : error))
)
