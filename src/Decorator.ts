/**
 * The decorators on values: `Signer => Signer`, for Signers that are not layers,
 * such as those of a key manager. Each has the options of its layer form in
 * `effect-signer/Signer`.
 *
 * **Example** (Decorating a value)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Decorator, LocalSigner, PrivateKey } from "effect-signer"
 *
 * const program = Effect.gen(function*() {
 *   const signer = yield* LocalSigner.make({ privateKey: PrivateKey.generate("Ed25519") })
 *   return Decorator.verified(Decorator.timeout("2 seconds")(signer))
 * })
 * ```
 *
 * @since 0.1.0
 */
export { auditedSigner as audited } from "./decorators/audited.ts"
export { fallbackSigner as fallback } from "./decorators/fallback.ts"
export { guardSigner as guard } from "./decorators/guard.ts"
export { observedSigner as observed } from "./decorators/observed.ts"
export { resilientSigner as resilient } from "./decorators/resilient.ts"
export { retrySigner as retry } from "./decorators/retry.ts"
export { timeoutSigner as timeout } from "./decorators/timeout.ts"
export { verifiedSigner as verified } from "./decorators/verified.ts"
