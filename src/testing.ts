/**
 * For specs and for authors of backends: signers that are the same in every run
 * or do as they are told, and the cases that every backend must pass.
 *
 * **Gotchas**
 *
 * The signers refuse to be built where `NODE_ENV` is `production`, unless
 * `allowInProduction`.
 *
 * @since 0.1.0
 */
export * as Conformance from "./testing/Conformance.ts"
export * as KeyStoreConformance from "./testing/KeyStoreConformance.ts"
export * as ReplayStoreConformance from "./testing/ReplayStoreConformance.ts"
export * as ScriptedSigner from "./testing/ScriptedSigner.ts"
export * as TestSigner from "./testing/TestSigner.ts"
