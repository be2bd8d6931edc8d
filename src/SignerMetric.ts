/**
 * The metrics that `Signer.observed` updates.
 *
 * @since 0.1.0
 */
export { calls, duration, failures, publicKeyCache, retries } from "./decorators/observed.ts"
