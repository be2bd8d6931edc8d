import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { PublicKey } from "../schemas/PublicKey.ts"
import { InvalidResponse } from "../schemas/SignerError.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import * as Signer from "../services/Signer.ts"
import * as Verifier from "../services/Verifier.ts"

/** {@link verified} on a value. */
export const verifiedSigner = (self: Signer.Service): Signer.Service => {
  const context = { backend: self.backend, keyId: self.keyId, operation: "sign" } as const
  // The public key cache returns one value per version: parse each once, and let it go with the key.
  const verifiers = new WeakMap<PublicKey, Verifier.Verifier>()
  const verifierOf = (key: PublicKey): Effect.Effect<Verifier.Verifier, SignerError> => {
    const known = verifiers.get(key)
    return known !== undefined
      ? Effect.succeed(known)
      : Effect.map(Verifier.make(key, { algorithm: self.algorithm }), (verifier) => {
          verifiers.set(key, verifier)
          return verifier
        })
  }
  return Signer.transform(self, {
    sign: (sign, message) =>
      Effect.flatMap(sign, (signature) =>
        self.publicKey(signature.keyVersion).pipe(
          Effect.flatMap(verifierOf),
          Effect.flatMap((verifier) => verifier.verify(message, signature)),
          Effect.map((valid) => valid && signature.keyId === self.keyId),
          Effect.flatMap((valid): Effect.Effect<typeof signature, SignerError> =>
            valid
              ? Effect.succeed(signature)
              : Effect.fail(
                  new InvalidResponse({ ...context, problem: "the signature is not one by this key over this message" })
                )
          )
        )
      )
  })
}

/**
 * Verifies each signature, locally, before it is returned: one that is not by
 * this key over this message is `InvalidResponse` and never reaches the caller.
 *
 * **Details**
 *
 * Costs one local verification. Catches a moved alias, a version race, a wrong
 * mode, a corrupted response and a fault in the signer's hardware.
 *
 * @category combinators
 * @since 0.1.0
 */
export const verified: <E, R>(self: Layer.Layer<Signer.Signer, E, R>) => Layer.Layer<Signer.Signer, E, R> = Signer.lift(
  (self) => Effect.succeed(verifiedSigner(self))
)
