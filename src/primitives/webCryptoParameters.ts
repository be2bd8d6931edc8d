/**
 * The algorithm objects of WebCrypto, for the algorithms it has.
 *
 * @category internal
 */
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"

/** @internal */
export interface WebCryptoParameters {
  /** For `importKey` and `generateKey`. */
  readonly key: { readonly name: string; readonly namedCurve?: string; readonly hash?: string }
  /** For `sign` and `verify`. */
  readonly operation: { readonly name: string; readonly hash?: string; readonly saltLength?: number }
}

const ecdsa = (namedCurve: string, hash: string): WebCryptoParameters => ({
  key: { name: "ECDSA", namedCurve },
  operation: { name: "ECDSA", hash }
})

const pss = (hash: string, saltLength: number): WebCryptoParameters => ({
  key: { name: "RSA-PSS", hash },
  operation: { name: "RSA-PSS", saltLength }
})

const pkcs1 = (hash: string): WebCryptoParameters => ({
  key: { name: "RSASSA-PKCS1-v1_5", hash },
  operation: { name: "RSASSA-PKCS1-v1_5" }
})

/** @internal */
export const webCryptoParameters: { readonly [A in SignatureAlgorithm]?: WebCryptoParameters } = {
  Ed25519: { key: { name: "Ed25519" }, operation: { name: "Ed25519" } },
  ES256: ecdsa("P-256", "SHA-256"),
  ES384: ecdsa("P-384", "SHA-384"),
  ES512: ecdsa("P-521", "SHA-512"),
  PS256: pss("SHA-256", 32),
  PS384: pss("SHA-384", 48),
  PS512: pss("SHA-512", 64),
  RS256: pkcs1("SHA-256"),
  RS384: pkcs1("SHA-384"),
  RS512: pkcs1("SHA-512")
}
