/**
 * ID52: an Ed25519 public key as 52 characters, base32hex in lower case without
 * padding (RFC 4648 section 7).
 *
 * @category internal
 */
import { base32hexnopad } from "@scure/base"
import { Malformed } from "./Malformed.ts"

/** Reads an ID52. Upper case, other lengths and non-zero trailing bits are refused: each key has one ID52. */
export const decode = (text: string): Uint8Array => {
  if (typeof text !== "string" || text.length !== 52) throw new Malformed("id52", "an ID52 has 52 characters")
  if (!/^[0-9a-v]{51}[0g]$/.test(text)) {
    throw new Malformed("id52", "an ID52 is base32hex in lower case, 0 to 9 and a to v, and ends in 0 or g")
  }
  return base32hexnopad.decode(text.toUpperCase())
}

/** Writes an ID52. */
export const encode = (key: Uint8Array): string => base32hexnopad.encode(key).toLowerCase()
