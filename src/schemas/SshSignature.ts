/**
 * SSH signatures: the name of an algorithm and bytes in the encoding that SSH
 * gives them (RFC 8709 section 6, RFC 5656 section 3.1.2, RFC 8332 section 3),
 * and the same bytes as they are everywhere else here; and the keys of these
 * algorithms as blobs.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Ecdsa from "./Ecdsa.ts"
import { attempt, invalid, Malformed } from "./Malformed.ts"
import * as Pkcs1 from "./Pkcs1.ts"
import * as PublicKey from "./PublicKey.ts"
import * as SignatureAlgorithm from "./SignatureAlgorithm.ts"
import type { InvalidConfiguration } from "./SignerError.ts"
import * as SshWire from "./SshWire.ts"

type Algorithm = SignatureAlgorithm.SignatureAlgorithm

/** The algorithms that SSH has, by their names in SSH. */
export const algorithms: ReadonlyMap<string, Algorithm> = new Map(
  SignatureAlgorithm.all.flatMap((algorithm) => {
    const name = SignatureAlgorithm.facts[algorithm].ssh
    return name === undefined ? [] : [[name, algorithm] as const]
  })
)

/** The same as a list for a person. */
export const supported: string = [...algorithms.values()].join(", ")

/** The algorithms of SSH that a key can do. */
export const algorithmsOf = (key: PublicKey.PublicKey): ReadonlyArray<Algorithm> =>
  SignatureAlgorithm.forKeyType(key.type).filter((algorithm) => SignatureAlgorithm.facts[algorithm].ssh !== undefined)

/** Reads a blob and nothing after it; a point must be on its curve. */
export const keyOfBlob = (blob: Uint8Array, field: string): Effect.Effect<PublicKey.PublicKey, InvalidConfiguration> =>
  Effect.flatMap(
    attempt(() => SshWire.decodePublicKey(blob, field)),
    ({ name }) => PublicKey.fromOpenSsh(`${name} ${Base64.encode(blob)}`)
  )

/** The blob of a key. Fails for the kinds of key that SSH does not have. */
export const blobOfKey = (key: PublicKey.PublicKey, field: string): Effect.Effect<Uint8Array, InvalidConfiguration> => {
  const blob = SshWire.encodePublicKey(key)
  return blob === undefined ? Effect.fail(invalid(field, `SSH has no ${key.type} keys`)) : Effect.succeed(blob)
}

/** The name of the kind of key that a blob starts with, also of a kind that is not supported. */
export const nameOfBlob = (blob: Uint8Array): string | undefined => {
  try {
    const name = new SshWire.Reader(blob, "ssh").text("the key type")
    return /^[\w@.-]{1,64}$/.test(name) ? name : undefined
  } catch {
    return undefined
  }
}

/** The length of signatures by a key: RFC 8332 section 3 has no other for RSA than that of the modulus. */
const lengthOf = (algorithm: Algorithm, key: PublicKey.PublicKey): number =>
  SignatureAlgorithm.facts[algorithm].signatureLength ?? Pkcs1.decodePublic(key.bytes).n.length

/** Writes a signature. */
export const encode = (algorithm: Algorithm, bytes: Uint8Array): Uint8Array => {
  const { scheme, ssh } = SignatureAlgorithm.facts[algorithm]
  if (ssh === undefined) throw new Error(`SSH has no ${algorithm}`)
  const half = bytes.length / 2
  return SshWire.concat(
    SshWire.string(ssh),
    SshWire.string(
      scheme === "ECDSA"
        ? SshWire.concat(SshWire.mpint(bytes.subarray(0, half)), SshWire.mpint(bytes.subarray(half)))
        : bytes
    )
  )
}

/** Reads a signature by a key: raw `r‖s`, and RSA in the length of the modulus. Throws `Malformed`. */
export const decode = (
  blob: Uint8Array,
  key: PublicKey.PublicKey,
  field: string
): { readonly algorithm: Algorithm; readonly bytes: Uint8Array } =>
  SshWire.decode(blob, field, (reader) => {
    const name = reader.text("the algorithm of the signature")
    const algorithm = algorithms.get(name)
    if (algorithm === undefined || SignatureAlgorithm.facts[algorithm].keyType !== key.type) {
      return reader.refuse(
        name === "ssh-rsa"
          ? "ssh-rsa is a signature over SHA-1, which is not supported"
          : `the signature is by another algorithm than ${key.type} keys have here`
      )
    }
    const encoded = reader.string("the signature")
    const length = lengthOf(algorithm, key)
    if (key.type === "RSA") {
      // RFC 8332 section 3: leading zeros may be missing
      if (encoded.length > length || encoded.length === 0) reader.refuse("the signature is not as long as the modulus")
      const bytes = new Uint8Array(length)
      bytes.set(encoded, length - encoded.length)
      return { algorithm, bytes }
    }
    if (key.type === "Ed25519") {
      if (encoded.length !== length) reader.refuse(`a signature of ${encoded.length} bytes, expected ${length}`)
      return { algorithm, bytes: new Uint8Array(encoded) }
    }
    const half = Ecdsa.coordinateLength[key.type as Ecdsa.Curve]
    const bytes = new Uint8Array(length)
    const numbers = new SshWire.Reader(encoded, field)
    for (const [index, what] of ["r", "s"].entries()) {
      const number = numbers.mpint(what)
      if (number.length > half || number.length === 0) throw new Malformed(field, `${what} is out of range`)
      bytes.set(number, (index + 1) * half - number.length)
    }
    numbers.end()
    return { algorithm, bytes }
  })
