/**
 * The `Signer` service, how to make one from a backend, and the decorators.
 *
 * **Details**
 *
 * Decorators take and return a layer of `Signer`. Composition reads from the key
 * outwards: timeout per attempt, then retry, then verification, then policy, then
 * audit. On values, the same decorators are in `effect-signer/Decorator`.
 *
 * **Example** (A signer, decorated)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LocalSigner, Signer } from "effect-signer"
 *
 * const SignerLive = LocalSigner.layerGenerated("Ed25519").pipe(
 *   Signer.resilient(),
 *   Signer.verified
 * )
 *
 * const program = Signer.sign(new TextEncoder().encode("hello")).pipe(Effect.provide(SignerLive))
 * ```
 *
 * @since 0.1.0
 */
export { as, lift, make, publicKey, sign, Signer, Tag, transform } from "./services/Signer.ts"
export type { Backend, BackendSignature, MakeOptions, Service } from "./services/Signer.ts"
export { audited } from "./decorators/audited.ts"
export { fallback } from "./decorators/fallback.ts"
export type { FallbackOptions } from "./decorators/fallback.ts"
export { firstAvailable } from "./decorators/firstAvailable.ts"
export type { FirstAvailableOptions, Link } from "./decorators/firstAvailable.ts"
export { guard } from "./decorators/guard.ts"
export type { GuardRequest, Rule } from "./decorators/guard.ts"
export { observed } from "./decorators/observed.ts"
export type { ObservedOptions } from "./decorators/observed.ts"
export { layerRemote } from "./decorators/remote.ts"
export type { RemoteOptions } from "./decorators/remote.ts"
export { resilient } from "./decorators/resilient.ts"
export type { ResilientOptions } from "./decorators/resilient.ts"
export { retry } from "./decorators/retry.ts"
export type { RetryOptions } from "./decorators/retry.ts"
export { timeout } from "./decorators/timeout.ts"
export { verified } from "./decorators/verified.ts"
