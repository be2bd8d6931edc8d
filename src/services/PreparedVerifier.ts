/**
 * The {@link Verifier} of a public key, prepared once for as long as the key
 * lives: a key that a resolver keeps is parsed for its first message only.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import { KeyMismatch } from "../schemas/KeyResolverError.ts"
import type { PublicKey } from "../schemas/PublicKey.ts"
import type { UnsupportedAlgorithm } from "../schemas/SignerError.ts"
import * as Verifier from "./Verifier.ts"

/** Public keys are immutable: what was prepared stays true. */
const prepared = new WeakMap<PublicKey, Effect.Effect<Verifier.Verifier>>()

/** The verifier of the one algorithm of a key. A key that leaves a choice is none that a resolver may answer with. */
export const of = (publicKey: PublicKey): Effect.Effect<Verifier.Verifier, KeyMismatch | UnsupportedAlgorithm> =>
  prepared.get(publicKey) ??
  Verifier.make(publicKey).pipe(
    Effect.catchTag("InvalidConfiguration", ({ problem }) => Effect.fail(new KeyMismatch({ problem }))),
    Effect.map((verifier) => {
      prepared.set(publicKey, Effect.succeed(verifier))
      return verifier
    })
  )
