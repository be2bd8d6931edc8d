/**
 * `SubjectPublicKeyInfo` (RFC 5280 section 4.1): the DER of a public key with its
 * algorithm, in PEM the block `PUBLIC KEY`.
 *
 * @category internal
 */
import * as AlgorithmIdentifier from "./AlgorithmIdentifier.ts"
import * as Der from "./Der.ts"
import * as KeyMaterial from "./KeyMaterial.ts"

/** Reads SPKI. A point may be compressed, and is not yet known to be on its curve. */
export const decode = (der: Uint8Array): KeyMaterial.KeyMaterial =>
  Der.decode(der, "spki", (reader) =>
    reader.sequence("the SubjectPublicKeyInfo", (spki) => {
      const type = AlgorithmIdentifier.decode(spki.element(Der.Tag.sequence, "the algorithm"), "spki")
      return KeyMaterial.check(type, spki.bitString("the public key"), "spki")
    })
  )

/** Writes SPKI. */
export const encode = (key: KeyMaterial.KeyMaterial): Uint8Array =>
  Der.sequence(AlgorithmIdentifier.encode(key.type), Der.bitString(key.bytes))
