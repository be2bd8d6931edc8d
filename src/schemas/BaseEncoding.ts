/**
 * Strict readers of RFC 4648: base64, base64url and hex.
 *
 * Each value has one text. Whitespace, missing or surplus padding, the other
 * alphabet and non-zero trailing bits (section 3.5) are all refused, by writing
 * the bytes again and comparing.
 *
 * @category internal
 */
import * as Base64 from "effect/encoding/Base64"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Hex from "effect/encoding/Hex"
import * as Result from "effect/Result"
import { Malformed, maxInputLength } from "./Malformed.ts"

const exact = (
  text: string,
  decode: (text: string) => Result.Result<Uint8Array, unknown>,
  encode: (bytes: Uint8Array) => string
): Uint8Array | undefined => {
  const bytes = Result.getOrUndefined(decode(text))
  return bytes !== undefined && encode(bytes) === text ? bytes : undefined
}

/**
 * Bytes of padded base64 (section 4), or `undefined`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromBase64 = (text: string): Uint8Array | undefined => exact(text, Base64.decode, Base64.encode)

/**
 * Bytes of unpadded base64url (section 5), or `undefined`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromBase64Url = (text: string): Uint8Array | undefined => exact(text, Base64Url.decode, Base64Url.encode)

/**
 * Bytes of hex in either letter case, or `undefined`.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromHex = (text: string): Uint8Array | undefined => exact(text.toLowerCase(), Hex.decode, Hex.encode)

/**
 * Bytes of the hex of a key.
 *
 * @internal
 */
export const bytesOfHex = (text: unknown): Uint8Array => {
  if (typeof text !== "string" || text.length > maxInputLength) throw new Malformed("hex", "expected the hex of a key")
  const bytes = fromHex(text)
  if (bytes === undefined) throw new Malformed("hex", "it is not hex: two digits a byte, no 0x, no spaces")
  return bytes
}
