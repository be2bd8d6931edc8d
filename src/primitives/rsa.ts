/**
 * RSA keys between the canonical PKCS#1 forms of RFC 8017 appendix A.1 and what
 * runtimes import, and the arithmetic that says whether a private key is one.
 *
 * @category internal
 */

/** Tag and length of an element. Lengths go up to 65535 bytes; an RSA key of 16384 bits stays below 10000. */
const header = (tag: number, size: number): ReadonlyArray<number> =>
  size < 0x80 ? [tag, size] : size < 0x100 ? [tag, 0x81, size] : [tag, 0x82, size >> 8, size & 0xff]

/** A SEQUENCE of what the parts are together, in one copy. */
const sequenceOf = (...parts: ReadonlyArray<ArrayLike<number>>): Uint8Array<ArrayBuffer> => {
  const size = parts.reduce((total, part) => total + part.length, 0)
  const out = new Uint8Array(header(0x30, size).length + size)
  let offset = 0
  for (const part of [header(0x30, size), ...parts]) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}

/** An element of DER: all of its bytes, and those of its content. */
interface Element {
  readonly tag: number
  readonly bytes: Uint8Array
  readonly content: Uint8Array
}

/** The elements that fill `input` exactly, in shortest-form lengths (X.690 section 10.1); `undefined` otherwise. */
const elements = (input: Uint8Array): ReadonlyArray<Element> | undefined => {
  const found: Array<Element> = []
  let offset = 0
  while (offset < input.length) {
    const first = input[offset + 1]!
    const extra = first < 0x80 ? 0 : first - 0x80
    const start = offset + 2 + extra
    if (!(first <= 0x82) || first === 0x80 || start > input.length) return undefined
    let size = extra === 0 ? first : 0
    for (let i = offset + 2; i < start; i++) size = (size << 8) | input[i]!
    if ((extra === 1 && size < 0x80) || (extra === 2 && size < 0x100) || start + size > input.length) return undefined
    const end = start + size
    found.push({ tag: input[offset]!, bytes: input.subarray(offset, end), content: input.subarray(start, end) })
    offset = end
  }
  return found
}

/** The elements of the one SEQUENCE that is all of `input`. */
const sequence = (input: Uint8Array): ReadonlyArray<Element> | undefined => {
  const outer = elements(input)
  return outer?.length === 1 && outer[0]!.tag === 0x30 ? elements(outer[0]!.content) : undefined
}

/** An INTEGER that is not negative and not padded (X.690 section 8.3.2). */
const isUnsigned = ({ content, tag }: Element): boolean =>
  tag === 0x02 &&
  content.length > 0 &&
  content[0]! < 0x80 &&
  (content.length === 1 || content[0] !== 0 || content[1]! >= 0x80)

const toBigInt = ({ content }: Element): bigint => {
  let hex = "0x"
  for (const byte of content) hex += byte.toString(16).padStart(2, "0")
  return BigInt(hex)
}

/**
 * The `RSAPublicKey` of an `RSAPrivateKey`; `undefined` where the bytes are not
 * the DER of a two-prime private key, or its numbers disagree with one another.
 * Primality is not tested.
 */
export const publicFromSecret = (secret: Uint8Array): Uint8Array | undefined => {
  const fields = sequence(secret)
  if (fields?.length !== 9 || !fields.every(isUnsigned)) return undefined
  const [version, n, e, d, p, q, dp, dq, qi] = fields.map(toBigInt) as [
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
    bigint
  ]
  const agrees =
    version === 0n && // two-prime (RFC 8017 appendix A.1.2)
    p > 2n &&
    q > 2n &&
    p !== q &&
    n === p * q &&
    e > 2n &&
    e < n &&
    d > 1n &&
    d < n &&
    // e*d = 1 modulo lcm(p - 1, q - 1), which is: modulo both
    (e * d) % (p - 1n) === 1n &&
    (e * d) % (q - 1n) === 1n &&
    dp === d % (p - 1n) &&
    dq === d % (q - 1n) &&
    qi < p &&
    (qi * q) % p === 1n
  return agrees ? sequenceOf(fields[1]!.bytes, fields[2]!.bytes) : undefined
}

/**
 * The bytes of the modulus of an `RSAPublicKey`, and so of every signature by it:
 * a verifier must refuse any other length (RFC 8017 sections 8.1.2 and 8.2.2,
 * step 1), which OpenSSL does not where only leading zeros are missing.
 * `undefined` where the bytes are no such key.
 */
export const signatureLength = (publicKey: Uint8Array): number | undefined => {
  const fields = sequence(publicKey)
  if (fields?.length !== 2 || !fields.every(isUnsigned)) return undefined
  const { content } = fields[0]!
  return content[0] === 0 ? content.length - 1 : content.length
}

/** `AlgorithmIdentifier` of rsaEncryption with its NULL parameters (RFC 8017 appendix A.1). */
const rsaEncryption = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00]

/** PKCS#8 of an `RSAPrivateKey` (RFC 5208 section 5), in new bytes that the caller wipes. */
export const toPkcs8 = (secret: Uint8Array): Uint8Array<ArrayBuffer> =>
  sequenceOf([0x02, 0x01, 0x00], rsaEncryption, header(0x04, secret.length), secret)

/** The `RSAPrivateKey` inside a PKCS#8 that a runtime exported, in new bytes. */
export const fromPkcs8 = (pkcs8: Uint8Array): Uint8Array | undefined => {
  const key = sequence(pkcs8)?.[2]
  return key?.tag === 0x04 ? key.content.slice() : undefined
}

/** SPKI of an `RSAPublicKey` (RFC 5280 section 4.1). */
export const toSpki = (publicKey: Uint8Array): Uint8Array<ArrayBuffer> =>
  sequenceOf(rsaEncryption, header(0x03, publicKey.length + 1), [0x00], publicKey)
