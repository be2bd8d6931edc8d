/**
 * A public key that is published so that others can verify with it.
 *
 * @category internal
 */
import type { PublicKey } from "./PublicKey.ts"

/**
 * A public key that is published, and what is said of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface PublishedKey {
  /** Its algorithm must be stated where its type allows several: RSA and secp256k1. */
  readonly publicKey: PublicKey
  /** `kid`. Default: the RFC 7638 thumbprint. */
  readonly keyId?: string | undefined
  /** What the key signs for: `request-signing`. Published where the set has a member for it. */
  readonly purpose?: string | undefined
  /**
   * Certificates in base64 of DER, that of this key first, each certified by the
   * next (RFC 7517 section 4.7).
   */
  readonly x5c?: ReadonlyArray<string> | undefined
}
