import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { KeyId } from "../schemas/KeyId.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import { PolicyDenied } from "../schemas/SignerError.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import * as Signer from "../services/Signer.ts"

/**
 * What a rule is asked about.
 *
 * @category models
 * @since 0.1.0
 */
export interface GuardRequest {
  /** The Signer's own copy: exactly what will be signed. Must not be changed. */
  readonly message: Uint8Array
  readonly backend: string
  readonly keyId: KeyId
  readonly algorithm: SignatureAlgorithm
  readonly purpose: string | undefined
}

/**
 * A named rule. `name` appears in the error, so name what is allowed
 * (`"release-only"`). Where a rule throws (a defect) or fails (its error), nothing is
 * signed either.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rule {
  readonly name: string
  readonly permits: (request: GuardRequest) => boolean | Effect.Effect<boolean, SignerError>
}

/** {@link guard} on a value. */
export const guardSigner =
  (rules: Rule | ReadonlyArray<Rule>) =>
  (self: Signer.Service): Signer.Service => {
    const all: ReadonlyArray<Rule> = Array.isArray(rules) ? rules.slice() : [rules as Rule]
    const { algorithm, backend, keyId, purpose } = self
    return Signer.transform(self, {
      sign: (sign, message) => {
        const request: GuardRequest = { message, backend, keyId, algorithm, purpose }
        if (all.length === 0)
          return Effect.fail(new PolicyDenied({ backend, keyId, operation: "sign", rule: "no rule" }))
        const ask = (index: number): Effect.Effect<void, SignerError> => {
          for (; index < all.length; index++) {
            const { name, permits } = all[index]!
            const answer = permits(request)
            if (answer === true) continue
            const denied = Effect.fail(new PolicyDenied({ backend, keyId, operation: "sign", rule: name }))
            if (!Effect.isEffect(answer)) return denied
            return Effect.flatMap(answer, (permitted) => (permitted === true ? ask(index + 1) : denied))
          }
          return Effect.void
        }
        return Effect.andThen(
          Effect.suspend(() => ask(0)),
          sign
        )
      }
    })
  }

/**
 * Signs only what every rule permits. A denial is `PolicyDenied` with the rule's
 * name, and nothing was sent to the backend.
 *
 * **Details**
 *
 * Without a rule nothing is permitted. Rules are asked in order and see the very bytes that will be signed. Put
 * `guard` after `retry`, so that rules are asked once per call.
 *
 * **Example** (A key that signs releases and nothing else)
 *
 * ```ts
 * import { LocalSigner, Signer } from "effect-signer"
 *
 * const prefix = new TextEncoder().encode("release:")
 *
 * const ReleaseSigner = LocalSigner.layerGenerated("Ed25519").pipe(
 *   Signer.guard({
 *     name: "release-only",
 *     permits: ({ message }) => prefix.every((byte, index) => message[index] === byte)
 *   })
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const guard = (
  rules: Rule | ReadonlyArray<Rule>
): (<E, R>(self: Layer.Layer<Signer.Signer, E, R>) => Layer.Layer<Signer.Signer, E, R>) =>
  Signer.lift((self) => Effect.succeed(guardSigner(rules)(self)))
