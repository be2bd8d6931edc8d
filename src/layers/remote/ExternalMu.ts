/**
 * The message representative of ML-DSA, which a key holder that takes no message of
 * any length signs in its place: the signature is the same.
 *
 * @category internal
 */
import { shake256 } from "@noble/hashes/sha3.js"
import type { PublicKey } from "../../schemas/PublicKey.ts"

/** FIPS 204 algorithm 7: tr = H(pk, 64); mu = H(tr ‖ M', 64); M' = 0 ‖ length of the context ‖ context ‖ M. */
export const of = (key: PublicKey): ((message: Uint8Array) => Uint8Array) => {
  const tr = shake256(key.bytes, { dkLen: 64 })
  const emptyContext = new Uint8Array(2)
  return (message) => shake256.create({ dkLen: 64 }).update(tr).update(emptyContext).update(message).digest()
}
