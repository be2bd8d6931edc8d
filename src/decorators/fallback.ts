import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as PublicKey from "../schemas/PublicKey.ts"
import { Signature } from "../schemas/Signature.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import * as Signer from "../services/Signer.ts"

/**
 * Options of {@link fallback}.
 *
 * @category models
 * @since 0.1.0
 */
export interface FallbackOptions {
  /**
   * Allow the next signer to hold another key. A verifier must then know both,
   * and choose by `signature.keyId`. Default `false`.
   */
  readonly allowAnotherKey?: boolean | undefined
}

/** One key has one public key, and the version of the one backend means nothing to the other. */
const withoutVersion = ({ algorithm, bytes, keyId }: Signature): Signature => new Signature({ algorithm, keyId, bytes })

/** {@link fallback} on values. */
export const fallbackSigner = (next: Signer.Service, options: FallbackOptions = {}) =>
  Effect.fnUntraced(function* (self: Signer.Service): Effect.fn.Return<Signer.Service, SignerError> {
    const context = { backend: self.backend, keyId: self.keyId, operation: "make" } as const
    if (self.algorithm !== next.algorithm) {
      return yield* new InvalidConfiguration({
        ...context,
        field: "algorithm",
        problem: `the fallback signs ${next.algorithm}, this signer ${self.algorithm}; both must be the same`
      })
    }

    const allowsAnotherKey = options.allowAnotherKey === true
    /** Both keys are one key now. Each time: either may have been rotated, and both are cached. */
    const checkSameKey: Effect.Effect<void, SignerError> = allowsAnotherKey
      ? Effect.void
      : Effect.suspend(() => Effect.all([self.publicKey(), next.publicKey()], { concurrency: 2 })).pipe(
          Effect.flatMap(([mine, theirs]) =>
            PublicKey.sameKey(mine, theirs)
              ? Effect.void
              : Effect.fail(
                  new InvalidConfiguration({
                    ...context,
                    field: "publicKey",
                    problem:
                      `the fallback has another key (${PublicKey.thumbprint(theirs)}) than this signer ` +
                      `(${PublicKey.thumbprint(mine)}); allow it with allowAnotherKey`
                  })
                )
          )
        )
    yield* Effect.catchTag(checkSameKey, "Retryable", () => Effect.void)

    return Signer.transform(self, {
      sign: (sign, message) =>
        Effect.catchTag(sign, "Retryable", (error) =>
          Effect.andThen(
            // keys that cannot be compared now are not assumed to be the same
            Effect.catchTag(checkSameKey, "Retryable", () => Effect.fail(error)),
            allowsAnotherKey ? next.sign(message) : Effect.map(next.sign(message), withoutVersion)
          )
        ),
      publicKey: (publicKey, version) =>
        allowsAnotherKey || version !== undefined // another backend counts versions differently
          ? publicKey
          : Effect.catchTag(publicKey, "Retryable", () => next.publicKey())
    })
  })

/**
 * Signs with the next signer when this one is `Retryable` to the end.
 *
 * **Details**
 *
 * Both must have one algorithm, and one public key unless `allowAnotherKey`: that
 * is checked while the layer is built, and again at each use of the fallback.
 * Keys that cannot be compared then are not assumed to be the same.
 * `Signature.keyId` says who signed; `keyVersion` is left out where both have one
 * key.
 *
 * **Gotchas**
 *
 * Put it after `retry` and before `audited`. Two backends number versions
 * differently, so `verified` belongs on each of the two, not around both.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fallback = <E2, R2>(
  next: Layer.Layer<Signer.Signer, E2, R2>,
  options?: FallbackOptions
): (<E, R>(
  self: Layer.Layer<Signer.Signer, E, R>
) => Layer.Layer<Signer.Signer, E | E2 | SignerError, R | Exclude<R2, Scope.Scope>>) =>
  Signer.lift((self) =>
    Effect.flatMap(Layer.build(next), (context) => fallbackSigner(Context.get(context, Signer.Signer), options)(self))
  )
