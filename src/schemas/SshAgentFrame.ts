/**
 * The frames of the ssh-agent protocol (RFC 9987): a length, a type and what the
 * type says comes next. Reading is strict in both directions.
 *
 * @category internal
 */
import { Malformed } from "./Malformed.ts"
import * as SshWire from "./SshWire.ts"

const field = "ssh-agent"

// ---------------------------------------------------------------------------
// frames
// ---------------------------------------------------------------------------

/** Bytes of a frame at most, without its length: what OpenSSH reads and writes. */
export const maxLength = 262_144

/** A frame, with its length (section 3). */
export const encode = (...body: ReadonlyArray<Uint8Array>): Uint8Array => SshWire.string(SshWire.concat(...body))

/** Chunks at most: who sends byte by byte has us keep bytes, not a hundred bytes of bookkeeping for each. */
const maxChunks = 256

/** Cuts a stream of bytes into frames, and keeps no more than one of them and one chunk. */
export class Frames {
  #chunks: Array<Uint8Array> = []
  #length = 0

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#length += chunk.length
    if (this.#chunks.length > maxChunks) this.#joined()
  }

  /** The next whole frame, without its length. Throws `Malformed` as soon as its length is wrong. */
  next(): Uint8Array | undefined {
    if (this.#length < 4) return undefined
    const header = this.#chunks[0]!.length >= 4 ? this.#chunks[0]! : this.#joined()
    const length = new SshWire.Reader(header, field).uint32("the length")
    if (length === 0) throw new Malformed(field, "a frame without a type")
    if (length > maxLength) throw new Malformed(field, `a frame of ${length} bytes, at most ${maxLength}`)
    if (this.#length < 4 + length) return undefined
    const all = this.#joined()
    const rest = all.subarray(4 + length)
    this.#chunks = rest.length === 0 ? [] : [rest]
    this.#length = rest.length
    return all.subarray(4, 4 + length)
  }

  #joined(): Uint8Array {
    if (this.#chunks.length > 1) this.#chunks = [SshWire.concat(...this.#chunks)]
    return this.#chunks[0]!
  }
}

// ---------------------------------------------------------------------------
// messages
// ---------------------------------------------------------------------------

/** Section 6.1. */
const types = {
  failure: 5,
  requestIdentities: 11,
  identitiesAnswer: 12,
  signRequest: 13,
  signResponse: 14
} as const

/** Flags of a signature request (section 6.3). Without one, an RSA key signs with SHA-1. */
export const flags = { "rsa-sha2-256": 2, "rsa-sha2-512": 4 } as const

/** A key in the agent: the blob of its public half, and what somebody calls it. */
export interface Identity {
  readonly blob: Uint8Array
  readonly comment: string
}

/** What a client asks. */
export type Request =
  | { readonly _tag: "RequestIdentities" }
  | { readonly _tag: "SignRequest"; readonly blob: Uint8Array; readonly data: Uint8Array; readonly flags: number }
  /** Anything else: adding, removing, locking, extensions. */
  | { readonly _tag: "Other"; readonly type: number }

/** What an agent answers. */
export type Answer =
  | { readonly _tag: "Failure" }
  | { readonly _tag: "Identities"; readonly identities: ReadonlyArray<Identity> }
  | { readonly _tag: "Signature"; readonly signature: Uint8Array }

const comment = (bytes: Uint8Array) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)

/** Reads a request (sections 5.4 and 5.6). What it returns are views. */
export const decodeRequest = (frame: Uint8Array): Request =>
  SshWire.decode(frame, field, (reader): Request => {
    const type = reader.byte("the type")
    if (type === types.requestIdentities) return { _tag: "RequestIdentities" }
    if (type === types.signRequest) {
      return {
        _tag: "SignRequest",
        blob: reader.string("the key"),
        data: reader.string("the data"),
        flags: reader.uint32("the flags")
      }
    }
    reader.take(frame.length - 1, "the rest")
    return { _tag: "Other", type }
  })

/** Reads an answer (sections 5.1, 5.4 and 5.6). What it returns are views. */
export const decodeAnswer = (frame: Uint8Array): Answer =>
  SshWire.decode(frame, field, (reader): Answer => {
    const type = reader.byte("the type")
    switch (type) {
      case types.failure:
        return { _tag: "Failure" }
      case types.signResponse:
        return { _tag: "Signature", signature: reader.string("the signature") }
      case types.identitiesAnswer: {
        const count = reader.uint32("the number of keys")
        const identities: Array<Identity> = []
        // a key takes 8 bytes at least, so that the number alone allocates nothing
        for (let index = 0; index < count; index++) {
          identities.push({ blob: reader.string("a key"), comment: comment(reader.string("a comment")) })
        }
        return { _tag: "Identities", identities }
      }
      default:
        return reader.refuse(`an answer of the type ${type}, which belongs to no request of ours`)
    }
  })

export const requestIdentities: Uint8Array = encode(Uint8Array.of(types.requestIdentities))

export const signRequest = (blob: Uint8Array, data: Uint8Array, flags: number): Uint8Array =>
  encode(Uint8Array.of(types.signRequest), SshWire.string(blob), SshWire.string(data), SshWire.uint32(flags))

/** Bytes of data that a request with this key can carry. */
export const maxDataLength = (blob: Uint8Array): number => maxLength - (1 + 4 + blob.length + 4 + 4)

export const failure: Uint8Array = encode(Uint8Array.of(types.failure))

export const identitiesAnswer = (identities: ReadonlyArray<Identity>): Uint8Array =>
  encode(
    Uint8Array.of(types.identitiesAnswer),
    SshWire.uint32(identities.length),
    ...identities.flatMap(({ blob, comment }) => [SshWire.string(blob), SshWire.string(comment)])
  )

export const signResponse = (signature: Uint8Array): Uint8Array =>
  encode(Uint8Array.of(types.signResponse), SshWire.string(signature))
