/**
 * The SSH wire encoding (RFC 4251 section 5) and the public key blobs written in
 * it (RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4).
 *
 * @category internal
 */
import * as Der from "./Der.ts"
import type { Curve } from "./Ecdsa.ts"
import * as KeyMaterial from "./KeyMaterial.ts"
import { Malformed } from "./Malformed.ts"
import * as Pkcs1 from "./Pkcs1.ts"

// ---------------------------------------------------------------------------
// reader
// ---------------------------------------------------------------------------

/** Reads fields in order. All that it returns are views. */
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

  /** Whether all bytes are read. */
  get isDone(): boolean {
    return this.#offset === this.#bytes.length
  }

  /** The next bytes, without a length before them. */
  take(length: number, what: string): Uint8Array {
    if (length > this.#bytes.length - this.#offset) this.refuse(`${what} is cut off`)
    return this.#bytes.subarray(this.#offset, (this.#offset += length))
  }

  byte(what: string): number {
    return this.take(1, what)[0]!
  }

  uint32(what: string): number {
    return this.take(4, what).reduce((sum, byte) => sum * 256 + byte, 0)
  }

  string(what: string): Uint8Array {
    return this.take(this.uint32(what), what)
  }

  /** A string of printable ASCII. */
  text(what: string): string {
    const bytes = this.string(what)
    if (!bytes.every((byte) => byte >= 0x20 && byte < 0x7f)) this.refuse(`${what} is not printable ASCII`)
    return new TextDecoder().decode(bytes)
  }

  /** A non-negative integer, big-endian, without the sign byte. Zero is no bytes. */
  mpint(what: string): Uint8Array {
    const bytes = this.string(what)
    const [first, second] = bytes
    if (first === undefined) return bytes
    if (first >= 0x80) this.refuse(`${what} is negative`)
    if (first !== 0) return bytes
    if (second === undefined || second < 0x80) this.refuse(`${what} has a leading zero that it does not need`)
    return bytes.subarray(1)
  }

  /** Nothing is left. */
  end(): void {
    if (!this.isDone) this.refuse("there are bytes after the end")
  }
}

/** Reads bytes with `read`, which must use them up. */
export const decode = <A>(bytes: Uint8Array, field: string, read: (reader: Reader) => A): A => {
  const reader = new Reader(bytes, field)
  const value = read(reader)
  reader.end()
  return value
}

// ---------------------------------------------------------------------------
// writer
// ---------------------------------------------------------------------------

export const uint32 = (value: number): Uint8Array =>
  Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)

/** A string: its length, and the bytes or the UTF-8 of the text. */
export const string = (value: Uint8Array | string): Uint8Array => {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value
  return Der.concat(uint32(bytes.length), bytes)
}

/** A non-negative integer from its big-endian bytes. */
export const mpint = (bytes: Uint8Array): Uint8Array => {
  let start = 0
  while (bytes[start] === 0) start++
  const magnitude = bytes.subarray(start)
  return string(magnitude.length > 0 && magnitude[0]! >= 0x80 ? Der.concat(Uint8Array.of(0), magnitude) : magnitude)
}

export const concat = Der.concat

// ---------------------------------------------------------------------------
// public key blobs
// ---------------------------------------------------------------------------

type SshType = "Ed25519" | "RSA" | Exclude<Curve, "secp256k1">

const names: { readonly [T in SshType]: string } = {
  Ed25519: "ssh-ed25519",
  "P-256": "ecdsa-sha2-nistp256",
  "P-384": "ecdsa-sha2-nistp384",
  "P-521": "ecdsa-sha2-nistp521",
  RSA: "ssh-rsa"
}

const hasBlob = (key: KeyMaterial.KeyMaterial): key is KeyMaterial.KeyMaterial & { readonly type: SshType } =>
  Object.hasOwn(names, key.type)

/** What the blob of a curve says after its name: RFC 5656 section 6.1. */
const curveName = (type: SshType) => names[type].slice("ecdsa-sha2-".length)

/** The name of the kind of key, as a blob and a line start with it; `undefined` where SSH has no such key. */
export const publicKeyName = (key: KeyMaterial.KeyMaterial): string | undefined =>
  hasBlob(key) ? names[key.type] : undefined

/** Reads a public key blob and the name it starts with. A point is not yet known to be on its curve. */
export const decodePublicKey = (
  blob: Uint8Array,
  field = "ssh"
): { readonly name: string; readonly key: KeyMaterial.KeyMaterial } =>
  decode(blob, field, (reader) => {
    const name = reader.text("the key type")
    const type = (Object.keys(names) as ReadonlyArray<SshType>).find((type) => names[type] === name)
    if (type === undefined) {
      return reader.refuse(
        name.startsWith("sk-")
          ? "a security key (sk-...) signs more than the message and is not supported"
          : name.includes("-cert-v0")
            ? "a certificate is not a public key; take the key that it certifies"
            : `this key type is not supported; supported are ${Object.values(names).join(", ")}`
      )
    }
    if (type === "RSA") {
      const e = reader.mpint("the public exponent")
      const n = reader.mpint("the modulus")
      return { name, key: KeyMaterial.check(type, Pkcs1.encodePublic({ n, e }), field) }
    }
    if (type === "Ed25519") return { name, key: KeyMaterial.check(type, reader.string("the public key"), field) }
    if (reader.text("the curve") !== curveName(type)) reader.refuse("the curve is not that of the key type")
    const point = reader.string("the public key")
    if (point[0] !== 0x04) reader.refuse("the point must be uncompressed")
    return { name, key: KeyMaterial.check(type, point, field) }
  })

/** Writes a public key blob; `undefined` where SSH has no such key. */
export const encodePublicKey = (key: KeyMaterial.KeyMaterial): Uint8Array | undefined => {
  if (!hasBlob(key)) return undefined
  const name = string(names[key.type])
  if (key.type === "Ed25519") return concat(name, string(key.bytes))
  if (key.type !== "RSA") return concat(name, string(curveName(key.type)), string(key.bytes))
  const { e, n } = Pkcs1.decodePublic(key.bytes)
  return concat(name, mpint(e), mpint(n))
}
