/**
 * CRC-32C (Castagnoli): the checksum of RFC 3720 appendix B.4, which Google Cloud
 * sends and wants. Not the CRC-32 of zlib, whose polynomial is another.
 *
 * @category internal
 */

/** The polynomial 0x1EDC6F41, bits reversed: RFC 3720 section 12.1. */
const polynomial = 0x82f63b78

let table: Uint32Array | undefined

const makeTable = (): Uint32Array =>
  Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    return crc
  })

/** The checksum of bytes: an integer from 0 to 2^32 - 1. */
export const compute = (bytes: Uint8Array): number => {
  const remainders = (table ??= makeTable())
  let crc = 0xffffffff
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ remainders[(crc ^ bytes[i]!) & 0xff]!
  return (crc ^ 0xffffffff) >>> 0
}
