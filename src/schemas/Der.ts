/**
 * A reader and a writer of ASN.1 DER (X.690), for the few types that keys are
 * made of.
 *
 * Every value has one encoding: definite lengths in the fewest bytes, integers
 * in the fewest bytes and never negative, bit strings without unused bits, and
 * nothing after the end of any sequence. What is BER and not DER is refused.
 *
 * @category internal
 */
import { Malformed, maxInputLength } from "./Malformed.ts"

/** Identifier octets (X.690 section 8.1.2). */
export const Tag = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  sequence: 0x30
} as const

/** The identifier octet of context-specific tag `[number]`. */
export const context = (number: number, form: "primitive" | "constructed"): number =>
  (form === "primitive" ? 0x80 : 0xa0) | number

// ---------------------------------------------------------------------------
// reader
// ---------------------------------------------------------------------------

/** Reads the elements of one value in order. All that it returns are views. */
export class Reader {
  readonly #bytes: Uint8Array
  readonly #field: string
  #offset = 0

  constructor(bytes: Uint8Array, field: string) {
    this.#bytes = bytes
    this.#field = field
  }

  /** Stops with a problem. */
  refuse(problem: string): never {
    throw new Malformed(this.#field, problem)
  }

  /** The identifier octet of the next element; `undefined` at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#offset]
  }

  /** The next element, header included. */
  element(tag: number, what: string): Uint8Array {
    const start = this.#offset
    this.content(tag, what)
    return this.#bytes.subarray(start, this.#offset)
  }

  /** The content of the next element. */
  content(tag: number, what: string): Uint8Array {
    const actual = this.#bytes[this.#offset]
    if (actual === undefined) this.refuse(`${what} is missing`)
    if (actual !== tag) this.refuse(`${what} has another ASN.1 type than it must`)
    const length = this.#length(what)
    const start = this.#offset
    if (length > this.#bytes.length - start) this.refuse(`${what} is longer than what encloses it`)
    this.#offset = start + length
    return this.#bytes.subarray(start, this.#offset)
  }

  /** Sections 8.1.3 and 10.1: definite, in the fewest bytes. Leaves the offset at the content. */
  #length(what: string): number {
    const first = this.#bytes[this.#offset + 1]
    this.#offset += 2
    if (first === undefined) this.refuse(`${what} is cut off`)
    if (first < 0x80) return first
    if (first === 0x80) this.refuse(`${what} has an indefinite length: this is BER, DER is needed`)
    const count = first - 0x80
    if (count > 3) this.refuse(`${what} has a length of ${count} bytes; no key is that long`)
    let length = 0
    for (let i = 0; i < count; i++) {
      const next = this.#bytes[this.#offset++]
      if (next === undefined) this.refuse(`${what} is cut off`)
      length = length * 256 + next
    }
    if (length < 0x80 || length < 256 ** (count - 1)) {
      this.refuse(`${what} has a length in more bytes than needed: this is BER, DER is needed`)
    }
    return length
  }

  /** The elements of the next sequence, and nothing after them. */
  sequence<A>(what: string, read: (reader: Reader) => A): A {
    return decode(this.content(Tag.sequence, what), this.#field, read)
  }

  /** One element inside an explicit context tag. */
  explicit<A>(number: number, what: string, read: (reader: Reader) => A): A {
    return decode(this.content(context(number, "constructed"), what), this.#field, read)
  }

  /** A non-negative integer, big-endian, without the sign byte (section 8.3). */
  integer(what: string): Uint8Array {
    const content = this.content(Tag.integer, what)
    const [first, second] = content
    if (first === undefined) this.refuse(`${what} is an empty integer`)
    if (first >= 0x80) this.refuse(`${what} is negative`)
    if (first !== 0 || second === undefined) return content
    if (second < 0x80) this.refuse(`${what} is an integer in more bytes than needed: this is BER, DER is needed`)
    return content.subarray(1)
  }

  /** A small non-negative integer: `Infinity` where it has more than six bytes. */
  number(what: string): number {
    const content = this.integer(what)
    return content.length > 6 ? Infinity : content.reduce((sum, byte) => sum * 256 + byte, 0)
  }

  /** A bit string of whole bytes (section 8.6). `tag` where it is tagged implicitly. */
  bitString(what: string, tag: number = Tag.bitString): Uint8Array {
    const content = this.content(tag, what)
    if (content[0] !== 0) this.refuse(`${what} is not a bit string of whole bytes`)
    return content.subarray(1)
  }

  octetString(what: string): Uint8Array {
    return this.content(Tag.octetString, what)
  }

  null(what: string): void {
    if (this.content(Tag.null, what).length !== 0) this.refuse(`${what} is not NULL`)
  }

  /** Nothing is left. */
  end(): void {
    if (this.#offset !== this.#bytes.length) this.refuse("there are bytes after the end")
  }
}

/** Reads bytes with `read`, which must use them up. */
export const decode = <A>(bytes: Uint8Array, field: string, read: (reader: Reader) => A): A => {
  if (bytes.length > maxInputLength) throw new Malformed(field, `longer than ${maxInputLength} bytes`)
  const reader = new Reader(bytes, field)
  const value = read(reader)
  reader.end()
  return value
}

// ---------------------------------------------------------------------------
// writer
// ---------------------------------------------------------------------------

/** All parts, one after the other, in new bytes. */
export const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}

/** One element with the content of all parts. */
export const encode = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const header =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : length < 0x10000
          ? [tag, 0x82, length >> 8, length & 0xff]
          : [tag, 0x83, length >> 16, (length >> 8) & 0xff, length & 0xff]
  return concat(Uint8Array.from(header), ...parts)
}

export const sequence = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => encode(Tag.sequence, ...parts)

export const octetString = (bytes: Uint8Array): Uint8Array => encode(Tag.octetString, bytes)

export const bitString = (bytes: Uint8Array): Uint8Array => encode(Tag.bitString, Uint8Array.of(0), bytes)

/** A non-negative integer from its big-endian bytes. */
export const integer = (bytes: Uint8Array): Uint8Array => {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const magnitude = bytes.subarray(start)
  return magnitude.length > 0 && magnitude[0]! < 0x80
    ? encode(Tag.integer, magnitude)
    : encode(Tag.integer, Uint8Array.of(0), magnitude)
}

/** A small non-negative integer. */
export const number = (value: number): Uint8Array => {
  const bytes: Array<number> = []
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return integer(Uint8Array.from(bytes))
}
