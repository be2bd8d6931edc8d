/**
 * How a signature is written into a file. The encoding is declared, never
 * guessed; only the JSON form says itself what it is.
 *
 * @category internal
 */
import * as Base64 from "effect/encoding/Base64"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Hex from "effect/encoding/Hex"
import * as Schema from "effect/Schema"
import { fromBase64, fromBase64Url, fromHex } from "../schemas/BaseEncoding.ts"
import * as Signature from "../schemas/Signature.ts"

/** Names of `--encoding`. */
export const names = ["base64url", "base64", "hex", "raw", "der"] as const

/** The type of {@link names}. */
export type SignatureEncoding = (typeof names)[number]

/** The encodings whose bytes are not text. */
export const isBinary = (encoding: SignatureEncoding): boolean => encoding === "raw" || encoding === "der"

/** A signature in one encoding: a line of text, or bytes; `undefined` where it has no such form. */
export const encode: {
  readonly [E in SignatureEncoding]: (signature: Signature.Signature) => string | Uint8Array | undefined
} = {
  base64url: ({ bytes }) => `${Base64Url.encode(bytes)}\n`,
  base64: ({ bytes }) => `${Base64.encode(bytes)}\n`,
  hex: ({ bytes }) => `${Hex.encode(bytes)}\n`,
  raw: ({ bytes }) => bytes,
  der: (signature) => Signature.toDer(signature)
}

/** The JSON form, in one line. */
export const encodeJson = (signature: Signature.Signature): string =>
  `${JSON.stringify(Schema.encodeSync(Signature.SignatureJson)(signature))}\n`

/** Bytes of a signature in a text encoding, or `undefined`. One line end may follow. */
export const decodeText: {
  readonly [E in Exclude<SignatureEncoding, "raw" | "der">]: (text: string) => Uint8Array | undefined
} = {
  base64url: fromBase64Url,
  base64: fromBase64,
  hex: fromHex
}
