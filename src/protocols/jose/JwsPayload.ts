/**
 * The payload of a JWS, encoded or not (RFC 7797), and what is signed of it.
 *
 * @category internal
 */

export const utf8 = new TextEncoder()

/** A payload in both forms: in the signing input, and in the JWS. */
export interface Payload {
  readonly isEncoded: boolean
  readonly bytes: Uint8Array
  /** As it stands in the JWS. Of unencoded ones only where it is not detached. */
  readonly text: string
}

/** RFC 7515 section 5.1, RFC 7797 section 3: ASCII(protected) "." payload. */
export const signingInput = (protectedText: string, payload: Payload): Uint8Array => {
  if (payload.isEncoded) return utf8.encode(`${protectedText}.${payload.text}`)
  const prefix = utf8.encode(`${protectedText}.`)
  const input = new Uint8Array(prefix.length + payload.bytes.length)
  input.set(prefix)
  input.set(payload.bytes, prefix.length)
  return input
}

/** RFC 7797 section 5.2: printable ASCII without a period. */
export const isCompactText = (text: string) => /^[\x20-\x2d\x2f-\x7e]*$/.test(text)
