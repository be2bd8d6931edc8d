/**
 * What is asked of Cloud KMS and what it answers, over either transport: JSON with
 * base64 and 64-bit integers as text, or the objects of a gRPC client.
 *
 * @category internal
 */
import type * as Effect from "effect/Effect"
import { fromBase64 } from "../../schemas/BaseEncoding.ts"
import * as Crc32c from "../../schemas/Crc32c.ts"
import { member } from "./GcpKmsError.ts"
import type { Problem } from "../remote/Outcome.ts"

// ---------------------------------------------------------------------------
// requests
// ---------------------------------------------------------------------------

/** The field of a digest: https://cloud.google.com/kms/docs/reference/rest/v1/Digest */
export type DigestField = "sha256" | "sha384" | "sha512" | "externalMu"

/** What is to be signed. */
export type Input =
  | { readonly _tag: "Data"; readonly bytes: Uint8Array }
  | { readonly _tag: "Digest"; readonly field: DigestField; readonly bytes: Uint8Array }

/** `NIST_PQC`: keys of ML-DSA have no other format that every region gives. */
export type PublicKeyFormat = "NIST_PQC"

/** One attempt each; interruption ends it. What is answered is not looked at. */
export interface Transport {
  readonly getPublicKey: (name: string, format: PublicKeyFormat | undefined) => Effect.Effect<unknown, Problem>
  readonly asymmetricSign: (name: string, input: Input) => Effect.Effect<unknown, Problem>
  readonly listVersions: (key: string, pageToken: string | undefined) => Effect.Effect<unknown, Problem>
}

/** What a list of versions is asked for with. */
export const listParameters = { filter: "state=ENABLED", pageSize: 100 } as const

/** Encodes a request for signing. */
export const signRequest = <A, B>(
  input: Input,
  encode: { readonly bytes: (bytes: Uint8Array) => A; readonly int64: (value: number) => B }
) => {
  const checksum = encode.int64(Crc32c.compute(input.bytes))
  const bytes = encode.bytes(input.bytes)
  return input._tag === "Data"
    ? { data: bytes, dataCrc32c: checksum }
    : { digest: { [input.field]: bytes }, digestCrc32c: checksum }
}

// ---------------------------------------------------------------------------
// answers
// ---------------------------------------------------------------------------

/** More than any answer has: a signature of ML-DSA-87 is 4,627 bytes. */
const maxLength = 16_384

const bytesOf = (value: unknown): Uint8Array | undefined =>
  value instanceof Uint8Array
    ? new Uint8Array(value)
    : typeof value === "string" && value.length <= maxLength
      ? fromBase64(value)
      : undefined

/** `google.protobuf.Int64Value`: text in JSON, an object in gRPC. */
const int64Of = (value: unknown): number | undefined => {
  const inner = typeof value === "object" && value !== null ? member(value, "value") : value
  if (typeof inner === "number") return Number.isInteger(inner) ? inner : undefined
  return typeof inner === "string" && /^\d{1,10}$/.test(inner) ? Number(inner) : undefined
}

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" && value.length <= maxLength ? value : undefined

/** Whether bytes have the checksum that came with them. One that did not come is none. */
const isIntact = (bytes: Uint8Array, checksum: unknown): boolean => int64Of(checksum) === Crc32c.compute(bytes)

/** https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/asymmetricSign */
export interface Signed {
  readonly name: string | undefined
  readonly signature: Uint8Array
  /** Both ways: what arrived there is what was sent, and what arrived here is what was signed. */
  readonly isIntact: boolean
}

export const signed = (answer: unknown, input: Input): Signed | undefined => {
  const signature = bytesOf(member(answer, "signature"))
  if (signature === undefined) return undefined
  const isVerified = member(answer, input._tag === "Data" ? "verifiedDataCrc32c" : "verifiedDigestCrc32c") === true
  return {
    name: textOf(member(answer, "name")),
    signature,
    isIntact: isVerified && isIntact(signature, member(answer, "signatureCrc32c"))
  }
}

/** https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/getPublicKey */
export interface PublicKeyAnswer {
  readonly name: string | undefined
  /** Of the API: `EC_SIGN_ED25519`. */
  readonly algorithm: string | undefined
  /** PEM, or where it was asked for, the bytes of FIPS 204. */
  readonly material:
    | { readonly _tag: "Pem"; readonly text: string }
    | { readonly _tag: "Raw"; readonly bytes: Uint8Array }
  readonly isIntact: boolean
}

export const publicKey = (answer: unknown, format: PublicKeyFormat | undefined): PublicKeyAnswer | undefined => {
  const name = textOf(member(answer, "name"))
  const algorithm = textOf(member(answer, "algorithm"))
  if (format === undefined) {
    const text = textOf(member(answer, "pem"))
    if (text === undefined) return undefined
    const exact = new TextEncoder().encode(text)
    return {
      name,
      algorithm,
      material: { _tag: "Pem", text },
      isIntact: isIntact(exact, member(answer, "pemCrc32c"))
    }
  }
  const checksummed = member(answer, "publicKey")
  const bytes = bytesOf(member(checksummed, "data"))
  return bytes === undefined || bytes.length === 0
    ? undefined
    : {
        name,
        algorithm,
        material: { _tag: "Raw", bytes },
        isIntact: isIntact(bytes, member(checksummed, "crc32cChecksum"))
      }
}

/** A page of versions. */
export interface Versions {
  readonly versions: ReadonlyArray<{ readonly name: string | undefined; readonly state: unknown }>
  readonly nextPageToken: string | undefined
}

export const versions = (answer: unknown): Versions | undefined => {
  if (typeof answer !== "object" || answer === null) return undefined
  const listed = member(answer, "cryptoKeyVersions") ?? []
  return Array.isArray(listed)
    ? {
        versions: listed.map((version) => ({ name: textOf(member(version, "name")), state: member(version, "state") })),
        nextPageToken: textOf(member(answer, "nextPageToken"))
      }
    : undefined
}
