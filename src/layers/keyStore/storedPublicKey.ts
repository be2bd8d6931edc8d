/**
 * A public key as stores keep it: SPKI, and the one algorithm it is for.
 *
 * @category internal
 */
import * as Schema from "effect/Schema"
import type { KeyMaterial } from "../../schemas/KeyMaterial.ts"
import { Malformed } from "../../schemas/Malformed.ts"
import { PublicKey } from "../../schemas/PublicKey.ts"
import * as SignatureAlgorithm from "../../schemas/SignatureAlgorithm.ts"
import * as Spki from "../../schemas/Spki.ts"

/** Whether this version of the library knows an algorithm. */
export const isAlgorithm = Schema.is(SignatureAlgorithm.SignatureAlgorithm)

/**
 * The key of bytes that were authenticated, or `undefined` where they are not one.
 * That the point is on its curve was checked when the store took the key.
 */
export const decode = (spki: Uint8Array, algorithm: SignatureAlgorithm.SignatureAlgorithm): PublicKey | undefined => {
  let material: KeyMaterial
  try {
    material = Spki.decode(spki)
  } catch (error) {
    if (error instanceof Malformed) return undefined
    throw error
  }
  return SignatureAlgorithm.forKeyType(material.type).includes(algorithm)
    ? PublicKey.unchecked(material, algorithm)
    : undefined
}
