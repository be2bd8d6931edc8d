/**
 * The private key file of OpenSSH, `openssh-key-v1` (OpenSSH PROTOCOL.key): in PEM
 * the block `OPENSSH PRIVATE KEY`. One key, not encrypted: what encrypts it is
 * bcrypt_pbkdf, which nothing else here needs.
 *
 * @category internal
 */
import * as Hex from "effect/encoding/Hex"
import * as Ecdsa from "./Ecdsa.ts"
import * as KeyMaterial from "./KeyMaterial.ts"
import * as Pkcs1 from "./Pkcs1.ts"
import type { Claim, PrivateMaterial } from "./Pkcs8.ts"
import * as SshWire from "./SshWire.ts"

const field = "openssh"

/** `AUTH_MAGIC`: what every file begins with. */
const magic = new TextEncoder().encode("openssh-key-v1\0")

/** Bytes that the private part is padded to a multiple of: the block of cipher `none`. */
const blockLength = 8

const toBigInt = (bytes: Uint8Array) => BigInt(`0x${Hex.encode(bytes) || "0"}`)

/** Big-endian in the fewest bytes. */
const ofBigInt = (value: bigint): Uint8Array => {
  const digits = value.toString(16)
  return Uint8Array.from(digits.padStart(digits.length + (digits.length % 2), "0").match(/../g)!, (pair) =>
    Number.parseInt(pair, 16)
  )
}

/** `RSAPrivateKey` of what the file has of it: the CRT exponents are computed. */
const decodeRsa = (reader: SshWire.Reader): Omit<PrivateMaterial, "type"> => {
  const n = reader.mpint("the modulus")
  const e = reader.mpint("the public exponent")
  const d = reader.mpint("the private exponent")
  const qi = reader.mpint("the CRT coefficient")
  const p = reader.mpint("the first prime")
  const q = reader.mpint("the second prime")
  const exponent = (prime: Uint8Array) => {
    const order = toBigInt(prime) - 1n
    return order > 0n ? ofBigInt(toBigInt(d) % order) : reader.refuse("a prime of the RSA key is 0 or 1")
  }
  const secret = Pkcs1.encodePrivate({ n, e, d, p, q, dp: exponent(p), dq: exponent(q), qi })
  Pkcs1.decodePrivate(secret, field)
  return { secret, claims: [{ what: "the public half beside it", bytes: Pkcs1.encodePublic({ n, e }) }] }
}

const decodeEd25519 = (reader: SshWire.Reader): Omit<PrivateMaterial, "type"> => {
  const publicKey = reader.string("the public half beside it")
  const both = reader.string("the private key")
  if (both.length !== 64) reader.refuse("an Ed25519 private key has 64 bytes: the seed and the public key")
  return {
    secret: both.subarray(0, 32),
    claims: [
      { what: "the public half beside it", bytes: publicKey },
      { what: "the public key in the second 32 bytes", bytes: both.subarray(32) }
    ]
  }
}

const decodeCurve = (reader: SshWire.Reader, type: Ecdsa.Curve, curveName: string): Omit<PrivateMaterial, "type"> => {
  if (reader.text("the curve") !== curveName) reader.refuse("the curve is not that of the key type")
  const publicKey = reader.string("the public half beside it")
  const scalar = reader.mpint("the private key")
  const length = Ecdsa.coordinateLength[type]
  if (scalar.length > length) reader.refuse(`a ${type} private key has ${length} bytes at most`)
  const secret = new Uint8Array(length)
  secret.set(scalar, length - scalar.length)
  return { secret, claims: [{ what: "the public half beside it", bytes: publicKey }] }
}

/** The section that a cipher would hide: the check twice, the key, a comment, and the padding 1, 2, 3... */
const decodePrivate = (section: Uint8Array, { key, name }: ReturnType<typeof SshWire.decodePublicKey>) =>
  SshWire.decode(section, field, (reader): PrivateMaterial => {
    if (section.length % blockLength !== 0) {
      reader.refuse(`the private part is not a multiple of ${blockLength} bytes long`)
    }
    if (reader.uint32("the check") !== reader.uint32("the check")) {
      reader.refuse("the two check numbers differ: the file is damaged")
    }
    if (reader.text("the key type") !== name) reader.refuse("the private part has another key type than the public one")
    const { claims, secret } =
      key.type === "RSA"
        ? decodeRsa(reader)
        : KeyMaterial.isCurve(key.type)
          ? decodeCurve(reader, key.type, name.slice("ecdsa-sha2-".length))
          : decodeEd25519(reader)
    reader.string("the comment")
    for (let expected = 1; !reader.isDone; expected++) {
      if (expected >= blockLength || reader.byte("the padding") !== expected) {
        reader.refuse(`the padding is not 1, 2, 3... of less than ${blockLength} bytes`)
      }
    }
    const outer: Claim = { what: "the public key before it", bytes: key.bytes }
    return { type: key.type, secret, claims: [outer, ...claims] }
  })

/** Reads the file of one key that is not encrypted. Whether its halves belong together is not yet known. */
export const decode = (bytes: Uint8Array): PrivateMaterial =>
  SshWire.decode(bytes, field, (reader) => {
    if (!KeyMaterial.sameBytes(reader.take(magic.length, "the beginning"), magic)) {
      reader.refuse("it does not begin with openssh-key-v1")
    }
    const [cipher, derivation] = [reader.text("the cipher"), reader.text("the key derivation")]
    const parameters = reader.string("the parameters of the key derivation")
    if (cipher !== "none") {
      reader.refuse(
        "it is encrypted in the way of OpenSSH, which is not read here: hand it to an ssh-agent with ssh-add, and sign " +
          "with the backend ssh-agent"
      )
    }
    if (derivation !== "none" || parameters.length > 0) {
      reader.refuse("it is not encrypted, and names a key derivation all the same")
    }
    if (reader.uint32("the number of keys") !== 1) reader.refuse("it has not one key, but another number of them")
    const publicKey = SshWire.decodePublicKey(reader.string("the public key"), field)
    return decodePrivate(reader.string("the private part"), publicKey)
  })
