/**
 * Public keys to and from WebCrypto and `effect/crypto`.
 *
 * @since 0.1.0
 */
export * from "./schemas/WebCrypto.ts"
