/**
 * `ECPrivateKey` of SEC 1 (RFC 5915): alone as the PEM block `EC PRIVATE KEY`,
 * and inside PKCS#8.
 *
 * @category internal
 */
import * as AlgorithmIdentifier from "./AlgorithmIdentifier.ts"
import * as Der from "./Der.ts"
import * as Ecdsa from "./Ecdsa.ts"

/** What an `ECPrivateKey` says. */
export interface Sec1 {
  readonly type: Ecdsa.Curve
  /** The scalar, big-endian, with the length of the curve's order. */
  readonly secret: Uint8Array
  /** The point that it claims to belong to. */
  readonly publicKey: Uint8Array | undefined
}

/** Reads `ECPrivateKey`: on the curve that PKCS#8 names around it, or on the one it must name itself. */
export const decode = (der: Uint8Array, field: string, outer?: Ecdsa.Curve): Sec1 =>
  Der.decode(der, field, (reader) =>
    reader.sequence("the ECPrivateKey", (key) => {
      if (key.number("the version") !== 1) key.refuse("the version of the ECPrivateKey must be 1")
      const secret = key.octetString("the private key")
      const named =
        key.peek() === Der.context(0, "constructed")
          ? key.explicit(0, "the curve", (parameters) => {
              if (parameters.peek() === Der.Tag.sequence) {
                parameters.refuse("the curve is written out as explicit parameters; only named curves are accepted")
              }
              return (
                AlgorithmIdentifier.decodeCurve(parameters.element(Der.Tag.oid, "the curve")) ??
                parameters.refuse("this curve is not supported; the curves are P-256, P-384, P-521 and secp256k1")
              )
            })
          : undefined
      const type = outer ?? named ?? key.refuse("the curve is missing; an EC PRIVATE KEY must name it")
      if (named !== undefined && named !== type)
        key.refuse("the ECPrivateKey names another curve than the PKCS#8 around it")
      // RFC 5915 section 3: padded to the length of the order
      const length = Ecdsa.coordinateLength[type]
      if (secret.length !== length) key.refuse(`a ${type} private key has ${length} bytes, this one ${secret.length}`)
      const publicKey =
        key.peek() === Der.context(1, "constructed")
          ? key.explicit(1, "the public key", (inner) => inner.bitString("the public key"))
          : undefined
      return { type, secret, publicKey }
    })
  )

/** Writes `ECPrivateKey` for use inside PKCS#8, which names the curve. */
export const encode = (secret: Uint8Array, publicKey: Uint8Array): Uint8Array =>
  Der.sequence(
    Der.number(1),
    Der.octetString(secret),
    Der.encode(Der.context(1, "constructed"), Der.bitString(publicKey))
  )
