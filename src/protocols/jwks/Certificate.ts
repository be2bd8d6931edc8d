/**
 * What a published chain of X.509 certificates (RFC 5280) must say: whose key the
 * first one certifies, and that each is certified by the next.
 *
 * Nothing here trusts a certificate: no signature, date or usage is checked. That
 * is for who reads the set, with the roots that they trust.
 *
 * @category internal
 */
import * as Der from "../../schemas/Der.ts"

/** The parts of a certificate that tie it to a key and to another certificate. Views of its bytes. */
export interface Certificate {
  readonly issuer: Uint8Array
  readonly subject: Uint8Array
  /** `SubjectPublicKeyInfo`. */
  readonly spki: Uint8Array
}

/** Reads DER. Throws `Malformed`. */
export const decode = (der: Uint8Array, field: string): Certificate =>
  Der.decode(der, field, (reader) =>
    reader.sequence("the certificate", (certificate) => {
      // RFC 5280 section 4.1.2
      const parts = certificate.sequence("its TBSCertificate", (tbs) => {
        const version = Der.context(0, "constructed")
        if (tbs.peek() === version) tbs.content(version, "its version")
        tbs.content(Der.Tag.integer, "its serial number")
        tbs.content(Der.Tag.sequence, "its signature algorithm")
        const issuer = tbs.element(Der.Tag.sequence, "its issuer")
        tbs.content(Der.Tag.sequence, "its validity")
        const subject = tbs.element(Der.Tag.sequence, "its subject")
        const spki = tbs.element(Der.Tag.sequence, "its public key")
        // Unique identifiers and extensions are not ours to read
        for (let tag = tbs.peek(); tag !== undefined; tag = tbs.peek()) tbs.content(tag, "an extension")
        return { issuer, subject, spki }
      })
      certificate.content(Der.Tag.sequence, "its signature algorithm")
      certificate.bitString("its signature")
      return parts
    })
  )
