/**
 * What counts as bytes at the public boundary.
 *
 * @category internal
 */

/** Whether a value is an array of bytes, also of another realm, where `instanceof` fails. */
export const isBytes = (value: unknown): value is Uint8Array =>
  ArrayBuffer.isView(value) && (value as Uint8Array).BYTES_PER_ELEMENT === 1
