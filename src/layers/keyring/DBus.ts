/**
 * As much of the D-Bus wire as a few method calls need: messages of protocol
 * version 1 with text and dictionaries of text in, and a reader over what comes
 * back.
 *
 * https://dbus.freedesktop.org/doc/dbus-specification.html, "Message Protocol"
 *
 * @category internal
 */
import { Malformed } from "../../schemas/Malformed.ts"

/** Bytes of a message that are read at most. The specification allows 128 MiB; the answers here are a few hundred. */
export const maxMessageLength = 1_048_576

/** Text, an object path read as text, or a dictionary `a{ss}`. */
export type Argument = string | Readonly<Record<string, string>>

/** A method call. */
export interface Call {
  readonly destination: string
  readonly path: string
  readonly interface: string
  readonly member: string
  readonly arguments?: ReadonlyArray<Argument> | undefined
}

/** What is used of a message. */
export interface Message {
  readonly type: number
  /** Bytes of the whole message. */
  readonly length: number
  readonly replySerial: number | undefined
  readonly errorName: string | undefined
  readonly signature: string
  readonly body: Reader
}

export const methodReturn = 2
export const error = 3

/** "Valid Header Fields" */
const fields = { path: 1, interface: 2, member: 3, errorName: 4, replySerial: 5, destination: 6, signature: 8 } as const

class Writer {
  readonly bytes: Array<number> = []

  align(boundary: number) {
    while (this.bytes.length % boundary !== 0) this.bytes.push(0)
  }

  u32(value: number) {
    this.align(4)
    this.bytes.push(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24)
  }

  text(value: string) {
    const utf8 = new TextEncoder().encode(value)
    this.u32(utf8.length)
    this.bytes.push(...utf8, 0)
  }

  signature(value: string) {
    this.bytes.push(value.length, ...new TextEncoder().encode(value), 0)
  }

  field(code: number, signature: "g" | "o" | "s", value: string) {
    this.align(8)
    this.bytes.push(code)
    this.signature(signature)
    if (signature === "g") this.signature(value)
    else this.text(value)
  }

  dictionary(value: Readonly<Record<string, string>>) {
    this.u32(0)
    const lengthAt = this.bytes.length - 4
    this.align(8) // the padding before the first entry does not count
    const start = this.bytes.length
    for (const [key, text] of Object.entries(value)) {
      this.align(8)
      this.text(key)
      this.text(text)
    }
    this.patch(lengthAt, this.bytes.length - start)
  }

  patch(at: number, value: number) {
    for (let i = 0; i < 4; i++) this.bytes[at + i] = (value >>> (8 * i)) & 0xff
  }
}

/** The bytes of a method call, little-endian. */
export const encodeCall = (serial: number, call: Call): Uint8Array => {
  const body = new Writer()
  const args = call.arguments ?? []
  for (const argument of args) {
    if (typeof argument === "string") body.text(argument)
    else body.dictionary(argument)
  }
  const header = new Writer()
  header.bytes.push(0x6c, 1, 0, 1) // little-endian, METHOD_CALL, no flags, version 1
  header.u32(body.bytes.length)
  header.u32(serial)
  header.u32(0)
  header.field(fields.path, "o", call.path)
  header.field(fields.interface, "s", call.interface)
  header.field(fields.member, "s", call.member)
  header.field(fields.destination, "s", call.destination)
  if (args.length > 0) {
    header.field(fields.signature, "g", args.map((_) => (typeof _ === "string" ? "s" : "a{ss}")).join(""))
  }
  header.patch(12, header.bytes.length - 16)
  header.align(8)
  return Uint8Array.from([...header.bytes, ...body.bytes])
}

const malformed = (problem: string) => new Malformed("dbus", problem)

/** Reads values in order. Throws {@link Malformed} where the message ends too early. */
export class Reader {
  readonly #view: DataView
  readonly #littleEndian: boolean
  #at: number

  constructor(message: Uint8Array, littleEndian: boolean, at: number) {
    this.#view = new DataView(message.buffer, message.byteOffset, message.length)
    this.#littleEndian = littleEndian
    this.#at = at
  }

  #take(length: number): number {
    const at = this.#at
    if (length > this.#view.byteLength - at) throw malformed("a message is shorter than it says")
    this.#at = at + length
    return at
  }

  get at(): number {
    return this.#at
  }

  align(boundary: number): void {
    this.#take((boundary - (this.#at % boundary)) % boundary)
  }

  byte(): number {
    return this.#view.getUint8(this.#take(1))
  }

  u32(): number {
    this.align(4)
    return this.#view.getUint32(this.#take(4), this.#littleEndian)
  }

  text(): string {
    return this.#utf8(this.u32())
  }

  signature(): string {
    return this.#utf8(this.byte())
  }

  /** The number of bytes of an array of text or paths, which are skipped. */
  skipArray(): number {
    const length = this.u32()
    this.#take(length)
    return length
  }

  #utf8(length: number): string {
    const at = this.#take(length + 1)
    return new TextDecoder().decode(new Uint8Array(this.#view.buffer, this.#view.byteOffset + at, length))
  }
}

/** The first message of the bytes; `undefined` where more bytes are needed. */
export const decode = (bytes: Uint8Array): Message | undefined => {
  if (bytes.length < 16) return undefined
  const littleEndian = bytes[0] === 0x6c
  if ((!littleEndian && bytes[0] !== 0x42) || bytes[3] !== 1) throw malformed("this is no message of D-Bus version 1")
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
  const fieldsEnd = 16 + view.getUint32(12, littleEndian)
  const bodyAt = fieldsEnd + ((8 - (fieldsEnd % 8)) % 8)
  const length = bodyAt + view.getUint32(4, littleEndian)
  if (length > maxMessageLength) throw malformed(`a message is longer than ${maxMessageLength} bytes`)
  if (bytes.length < length) return undefined

  const message = bytes.subarray(0, length)
  const header = new Reader(message.subarray(0, fieldsEnd), littleEndian, 16)
  const found = new Map<number, string | number>()
  while (header.at < fieldsEnd) {
    header.align(8)
    const code = header.byte()
    const signature = header.signature()
    const read = readers[signature]
    if (read === undefined) throw malformed("a header field has a type that header fields do not have")
    found.set(code, read(header))
  }
  const textOf = (code: number) => {
    const value = found.get(code)
    return typeof value === "string" ? value : undefined
  }
  const replySerial = found.get(fields.replySerial)
  return {
    type: bytes[1]!,
    length,
    replySerial: typeof replySerial === "number" ? replySerial : undefined,
    errorName: textOf(fields.errorName),
    signature: textOf(fields.signature) ?? "",
    body: new Reader(message, littleEndian, bodyAt)
  }
}

/** The types of header fields. */
const readers: { readonly [signature: string]: ((reader: Reader) => string | number) | undefined } = {
  g: (reader) => reader.signature(),
  o: (reader) => reader.text(),
  s: (reader) => reader.text(),
  u: (reader) => reader.u32()
}
