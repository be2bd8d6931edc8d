/**
 * Bytes of a body that arrived in parts.
 *
 * @category internal
 */

/** One array of all of them. `length` is that of all together. */
export const concat = (chunks: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}
