/**
 * Sign with a key your program never holds. Importing this loads `effect` and
 * the small core, no vendor package: backends are subpaths
 * (`effect-signer/AwsKmsSigner`).
 *
 * @since 0.1.0
 */
export * as AuditLog from "./services/AuditLog.ts"
export * as Decorator from "./Decorator.ts"
export * as EcdsaSignature from "./schemas/Ecdsa.ts"
export * as KeyId from "./schemas/KeyId.ts"
export * as KeyVersion from "./schemas/KeyVersion.ts"
export * as LocalSigner from "./layers/LocalSigner.ts"
export * as PrivateKey from "./schemas/PrivateKey.ts"
export * as PublicKey from "./schemas/PublicKey.ts"
export * as Signature from "./schemas/Signature.ts"
export * as SignatureAlgorithm from "./schemas/SignatureAlgorithm.ts"
export * as Signer from "./Signer.ts"
export * as SignerError from "./schemas/SignerError.ts"
export * as SignerMetric from "./SignerMetric.ts"
export * as Verifier from "./services/Verifier.ts"
export * as WatchOnlySigner from "./layers/WatchOnlySigner.ts"
