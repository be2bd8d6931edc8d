/**
 * A public key that is published so that others can verify with it.
 *
 * @category internal
 */
import type { PublicKey } from "./PublicKey.ts"

/** Whether a value is text that a log or a terminal only displays: what a key may be called in public. */
export const isText = (value: unknown, maxLength: number): value is string =>
  typeof value === "string" && value.length > 0 && value.length <= maxLength && !/\p{C}/u.test(value)

/** Characters of a name of a key, and of a purpose, at most. */
export const maxNameLength = 2048
export const maxPurposeLength = 256

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
