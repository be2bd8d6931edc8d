/**
 * `AlgorithmIdentifier` of SPKI and PKCS#8: each kind of key has exactly one,
 * parameters included, so it is compared and not interpreted.
 *
 * @category internal
 */
import * as Hex from "effect/encoding/Hex"
import { fromHex } from "./BaseEncoding.ts"
import * as Der from "./Der.ts"
import type { Curve } from "./Ecdsa.ts"
import { Malformed } from "./Malformed.ts"
import type { KeyType } from "./SignatureAlgorithm.ts"

/** OBJECT IDENTIFIER of each named curve (RFC 5480 section 2.1.1.1, SEC 2 appendix A.2). */
const curves: { readonly [C in Curve]: string } = {
  "P-256": "06082a8648ce3d030107",
  "P-384": "06052b81040022",
  "P-521": "06052b81040023",
  secp256k1: "06052b8104000a"
}

/** id-ecPublicKey and the named curve (RFC 5480 section 2.1.1). */
const ec = (curve: Curve) =>
  `30${Hex.encode(Uint8Array.of(9 + curves[curve].length / 2))}06072a8648ce3d0201${curves[curve]}`

const identifiers: { readonly [T in KeyType]: string } = {
  Ed25519: "300506032b6570", // RFC 8410 section 3: parameters absent
  "P-256": ec("P-256"),
  "P-384": ec("P-384"),
  "P-521": ec("P-521"),
  secp256k1: ec("secp256k1"),
  RSA: "300d06092a864886f70d0101010500", // RFC 3279 section 2.3.1: parameters NULL
  "ML-DSA-44": "300b0609608648016503040311", // RFC 9881 section 2: parameters absent
  "ML-DSA-65": "300b0609608648016503040312",
  "ML-DSA-87": "300b0609608648016503040313"
}

const types: ReadonlyMap<string, KeyType> = new Map(
  Object.entries(identifiers).map(([type, hex]) => [hex, type as KeyType])
)

/** Names of what is not here, by the content of the OBJECT IDENTIFIER. */
const foreign: { readonly [oid: string]: string } = {
  "2a864886f70d01010a":
    "an RSASSA-PSS key; write it with the identifier rsaEncryption, and state PS256, PS384 or PS512 as the algorithm",
  "2a864886f70d010107": "an RSAES-OAEP key, which cannot sign",
  "2a8648ce380401": "a DSA key",
  "2a864886f70d010301": "a Diffie-Hellman key, which cannot sign",
  "2a8648ce3e0201": "a Diffie-Hellman key, which cannot sign",
  "2b8104010c": "an ECDH key, which cannot sign",
  "2b656e": "an X25519 key, which cannot sign",
  "2b656f": "an X448 key, which cannot sign",
  "2b6571": "an Ed448 key",
  "608648016503040401": "an ML-KEM-512 key, which cannot sign",
  "608648016503040402": "an ML-KEM-768 key, which cannot sign",
  "608648016503040403": "an ML-KEM-1024 key, which cannot sign",
  "608648016503040320": "a HashML-DSA-44 key",
  "608648016503040321": "a HashML-DSA-65 key",
  "608648016503040322": "a HashML-DSA-87 key",
  "2a8648ce3d030101": "the curve P-192",
  "2b81040021": "the curve P-224",
  "2b2403030208010107": "the curve brainpoolP256r1",
  "2b240303020801010b": "the curve brainpoolP384r1",
  "2b240303020801010d": "the curve brainpoolP512r1",
  "2a811ccf5501822d": "the curve SM2"
}

const nameOf = (oid: Uint8Array, unknown: string) => {
  const hex = Hex.encode(oid)
  return Object.hasOwn(foreign, hex) ? foreign[hex]! : unknown
}

/** Why an identifier that is none of ours is refused. */
const diagnose = (element: Uint8Array, field: string): string =>
  Der.decode(element, field, (reader) =>
    reader.sequence("the algorithm identifier", (inner) => {
      const oid = inner.content(Der.Tag.oid, "the algorithm")
      const parameters = inner.peek()
      if (parameters !== undefined) {
        const content = inner.content(parameters, "the algorithm's parameters")
        if (Hex.encode(oid) === "2a8648ce3d0201") {
          return parameters === Der.Tag.oid
            ? `${nameOf(content, "an unknown curve")} is not supported; the curves are P-256, P-384, P-521 and secp256k1`
            : parameters === Der.Tag.sequence
              ? "the curve is written out as explicit parameters; only named curves are accepted (RFC 5480 section 2.1.1)"
              : "the curve is not named"
        }
      }
      const known = [...types].find(([hex]) =>
        hex.slice(4).startsWith(`06${Hex.encode(Uint8Array.of(oid.length))}${Hex.encode(oid)}`)
      )
      return known === undefined
        ? `this is ${nameOf(oid, "a key of an unknown algorithm")}; supported are ${[...types.values()].join(", ")}`
        : `the algorithm's parameters are not those of ${known[1]} keys`
    })
  )

/** The kind of key that a whole `AlgorithmIdentifier` names. */
export const decode = (element: Uint8Array, field: string): KeyType => {
  const type = types.get(Hex.encode(element))
  if (type === undefined) throw new Malformed(field, diagnose(element, field))
  return type
}

/** The `AlgorithmIdentifier` of a kind of key. */
export const encode = (type: KeyType): Uint8Array => fromHex(identifiers[type])!

/** The named curve as an OBJECT IDENTIFIER element. */
export const encodeCurve = (curve: Curve): Uint8Array => fromHex(curves[curve])!

/** The curve that a whole OBJECT IDENTIFIER element names; `undefined` where it is none of ours. */
export const decodeCurve = (element: Uint8Array): Curve | undefined => {
  const hex = Hex.encode(element)
  return (Object.keys(curves) as ReadonlyArray<Curve>).find((curve) => curves[curve] === hex)
}
