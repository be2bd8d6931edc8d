/**
 * ECDSA over a digest made elsewhere. No runtime signs a digest as it is:
 * `node:crypto` hashes again, whatever it is given. So every implementation uses
 * noble here.
 *
 * @category internal
 */
import type { EcCurve } from "./Primitives.ts"

const curves: { readonly [C in EcCurve]: () => Promise<typeof import("@noble/curves/nist.js").p256> } = {
  "P-256": async () => (await import("@noble/curves/nist.js")).p256,
  "P-384": async () => (await import("@noble/curves/nist.js")).p384,
  "P-521": async () => (await import("@noble/curves/nist.js")).p521,
  secp256k1: async () => (await import("@noble/curves/secp256k1.js")).secp256k1
}

/** Signs a digest as it is: raw `r‖s`, as the scheme makes it. */
export const prepareSignDigest = async (
  curve: EcCurve,
  secret: Uint8Array
): Promise<(digest: Uint8Array) => Uint8Array> => {
  const scalar = secret.slice() // before the first await: the key may be wiped meanwhile
  const ecdsa = await curves[curve]()
  if (!ecdsa.utils.isValidSecretKey(scalar)) throw new RangeError(`not a ${curve} secret`)
  return (digest) => ecdsa.sign(digest, scalar, { prehash: false, lowS: false, extraEntropy: true })
}
