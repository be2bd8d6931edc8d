/**
 * What a file of key material is, by how it begins. Each form of a key has a
 * beginning of its own: nothing is tried out. A signature has none, and is told
 * by its length, for a person only.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as StandardWebhookKeys from "../protocols/webhook/StandardWebhookKeys.ts"
import * as Ecdsa from "../schemas/Ecdsa.ts"
import * as EncryptedKeyFile from "../schemas/EncryptedKeyFile.ts"
import * as EvNodeKeyFile from "../schemas/EvNodeKeyFile.ts"
import { attempt } from "../schemas/Malformed.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import * as PrivateKeyForm from "../schemas/PrivateKeyForm.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import * as Signature from "../schemas/Signature.ts"
import * as SignatureAlgorithm from "../schemas/SignatureAlgorithm.ts"
import type { InvalidConfiguration } from "../schemas/SignerError.ts"
import * as StrictJson from "../schemas/StrictJson.ts"
import { toText } from "./Files.ts"
import * as SignatureEncoding from "./SignatureEncoding.ts"

/** What a file is. */
export type Kind =
  | "private key"
  | "encrypted private key"
  | "public key"
  | "shared secret"
  | "signature"
  | "perhaps a signature"
  | "key set"
  | "key store"
  | "certificate"
  | "unknown"

/** What a file is, and how to read it as that. */
export interface FileForm {
  readonly kind: Kind
  /** For a person: `PKCS#8 PEM`. */
  readonly format: string
  /** What can be read of it without a passphrase. */
  readonly publicKey?: Effect.Effect<PublicKey.PublicKey, InvalidConfiguration> | undefined
  readonly privateKey?:
    | ((
        passphrase: Redacted.Redacted<string> | undefined
      ) => Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration>)
    | undefined
  readonly signature?: Signature.Signature | undefined
  /** Of a signature that does not say whose it is: its bytes, and by what they can be made. */
  readonly length?: number | undefined
  readonly algorithms?: ReadonlyArray<string> | undefined
}

/** Whether a file holds private keys or a secret, of which there may be no other copy. */
export const isPrecious = (form: FileForm): boolean =>
  isPrivate(form) || form.kind === "key store" || form.kind === "shared secret"

/** Whether a file holds a private key, encrypted or not. */
export const isPrivate = ({ kind }: FileForm): boolean => kind === "private key" || kind === "encrypted private key"

const pemLabels: { readonly [label: string]: { readonly kind: Kind; readonly format: string } } = {
  "PRIVATE KEY": { kind: "private key", format: "PKCS#8 PEM" },
  "ENCRYPTED PRIVATE KEY": { kind: "encrypted private key", format: "PKCS#8 PEM" },
  "EC PRIVATE KEY": { kind: "private key", format: "SEC1 PEM" },
  "EC PARAMETERS": { kind: "private key", format: "SEC1 PEM" },
  "RSA PRIVATE KEY": { kind: "private key", format: "PKCS#1 PEM" },
  "DSA PRIVATE KEY": { kind: "private key", format: "DSA PEM" },
  "OPENSSH PRIVATE KEY": { kind: "private key", format: "OpenSSH private key" },
  "PUBLIC KEY": { kind: "public key", format: "SPKI PEM" },
  "RSA PUBLIC KEY": { kind: "public key", format: "PKCS#1 PEM" },
  "SSH2 PUBLIC KEY": { kind: "public key", format: "RFC 4716" },
  CERTIFICATE: { kind: "certificate", format: "X.509 PEM" }
}

const ofPem = (label: string, text: string): FileForm => {
  const form: FileForm = Object.hasOwn(pemLabels, label)
    ? pemLabels[label]!
    : { kind: "unknown", format: "PEM of something else" }
  return isPrivate(form)
    ? { ...form, privateKey: (passphrase) => PrivateKey.fromPem(text, { passphrase }) }
    : { ...form, publicKey: PublicKey.fromPem(text) }
}

/** Members that only private and symmetric JWKs have. */
const privateMembers = ["d", "priv", "k"]

const decodeSignature = Schema.decodeUnknownOption(Signature.SignatureJson)

const keyStoreStart = /^\{\s*"format":\s*"effect-signer\/key-store"/

/** The form of JSON text. What JSON.parse says of bad text is not passed on: it quotes it. */
const ofJson = (text: string): FileForm => {
  // By how it begins: a large one is not read to its end here
  if (keyStoreStart.test(text)) return { kind: "key store", format: "key store of effect-signer keys" }
  let json: object
  try {
    json = JSON.parse(text) as object
  } catch {
    return { kind: "unknown", format: "not JSON, although it begins with {" }
  }
  const has = (name: string) => Object.hasOwn(json, name)
  if (has("kty")) {
    const jwk = attempt(() => StrictJson.parse(text, "jwk")) // no member twice: it would be two keys
    return {
      kind: privateMembers.some(has) ? "private key" : "public key",
      format: "JWK",
      publicKey: Effect.flatMap(jwk, (jwk) => PublicKey.fromJwk(jwk)),
      privateKey: () => Effect.flatMap(jwk, (jwk) => PrivateKey.fromJwk(jwk))
    }
  }
  if (has("keys")) return { kind: "key set", format: "JWK Set" }
  if (Reflect.get(json, "format") === EncryptedKeyFile.format) {
    const file = EncryptedKeyFile.decode(text)
    return {
      kind: "encrypted private key",
      format: "encrypted key file",
      publicKey: Effect.map(file, ({ publicKey }) => publicKey),
      privateKey: (passphrase) => PrivateKeyForm.decode(new TextEncoder().encode(text), { passphrase })
    }
  }
  if (has(EvNodeKeyFile.marker)) {
    return {
      kind: "encrypted private key",
      format: "signer.json of ev-node",
      privateKey: (passphrase) => PrivateKeyForm.decode(new TextEncoder().encode(text), { passphrase })
    }
  }
  return Option.match(decodeSignature(json), {
    onNone: () => ({ kind: "unknown", format: "JSON" }),
    onSome: (signature) => ({ kind: "signature", format: "JSON", signature })
  })
}

/** One line of Standard Webhooks: what it is, is its prefix. */
const ofWebhookKey = (text: string): FileForm | undefined => {
  const line = text.replace(/\r?\n$/, "")
  if (line.startsWith("whsec_")) return { kind: "shared secret", format: "Standard Webhooks" }
  if (line.startsWith("whpk_")) {
    return { kind: "public key", format: "Standard Webhooks", publicKey: StandardWebhookKeys.publicKey(line) }
  }
  return line.startsWith("whsk_")
    ? {
        kind: "private key",
        format: "Standard Webhooks",
        privateKey: () => StandardWebhookKeys.privateKey(Redacted.make(line))
      }
    : undefined
}

const ofText = (text: string): FileForm | undefined => {
  const label = /-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(text)?.[1]
  if (label !== undefined) return ofPem(label, text)
  if (/^\s*\{/.test(text)) return ofJson(text)
  if (/^(ssh|ecdsa-sha2|sk-ssh|sk-ecdsa-sha2)-[a-z0-9@.-]+ /.test(text)) {
    return { kind: "public key", format: "OpenSSH", publicKey: PublicKey.fromOpenSsh(text) }
  }
  if (/^wh(?:sec|sk|pk)_/.test(text)) return ofWebhookKey(text)
  const id52 = /^([0-9a-v]{52})\r?\n?$/.exec(text)?.[1]
  return id52 === undefined ? undefined : { kind: "public key", format: "ID52", publicKey: PublicKey.fromId52(id52) }
}

/** The identifier octets of what a DER SEQUENCE holds, as far as its headers can be followed. */
const elementTags = (bytes: Uint8Array): ReadonlyArray<number> => {
  const tags: Array<number> = []
  /** Where the content of the element at an offset begins and ends. */
  const contentOf = (offset: number): readonly [start: number, end: number] => {
    const first = bytes[offset + 1] ?? 0
    const start = offset + 2 + (first < 0x80 ? 0 : first & 0x7f)
    const length = first < 0x80 ? first : bytes.subarray(offset + 2, start).reduce((sum, byte) => sum * 256 + byte, 0)
    return [start, start + length]
  }
  let [offset, end] = contentOf(0)
  end = Math.min(end, bytes.length)
  while (offset < end && tags.length < 4) {
    tags.push(bytes[offset]!)
    offset = contentOf(offset)[1]
  }
  return tags
}

/** The DER forms, by the tags of their first elements. What is longer comes before what it begins with. */
const derForms: ReadonlyArray<readonly [tags: ReadonlyArray<number>, form: (der: Uint8Array) => FileForm]> = [
  [
    [0x02, 0x30], // version, AlgorithmIdentifier: RFC 5958 section 2
    (der) => ({ kind: "private key", format: "PKCS#8 DER", privateKey: () => PrivateKey.fromPkcs8(der) })
  ],
  [
    [0x02, 0x04], // version, privateKey: RFC 5915 section 3
    (der) => ({ kind: "private key", format: "SEC1 DER", privateKey: () => PrivateKey.fromSec1(der) })
  ],
  [
    [0x02, 0x02, 0x02], // version, modulus, publicExponent: RFC 8017 appendix A.1.2
    (der) => ({ kind: "private key", format: "PKCS#1 DER", privateKey: () => PrivateKey.fromPkcs1(der) })
  ],
  [
    [0x02, 0x02], // modulus, publicExponent: RFC 8017 appendix A.1.1
    (der) =>
      // A modulus alone has 256 bytes; what is shorter is an ECDSA signature that is not in order
      der.length < 256
        ? { kind: "unknown", format: "DER" }
        : { kind: "public key", format: "PKCS#1 DER", publicKey: PublicKey.fromPkcs1(der) }
  ],
  [
    [0x30, 0x03], // AlgorithmIdentifier, subjectPublicKey: RFC 5280 section 4.1
    (der) => ({ kind: "public key", format: "SPKI DER", publicKey: PublicKey.fromSpki(der) })
  ],
  [
    [0x30, 0x04], // encryptionAlgorithm, encryptedData: RFC 5958 section 3
    (der) => ({
      kind: "encrypted private key",
      format: "PKCS#8 DER",
      privateKey: (passphrase) => PrivateKey.fromPkcs8(der, { passphrase })
    })
  ],
  [[0x30, 0x30, 0x03], () => ({ kind: "certificate", format: "X.509 DER" })] // RFC 5280 section 4.1
]

const ofDer = (bytes: Uint8Array): FileForm | undefined => {
  if (bytes[0] !== 0x30) return undefined
  // Two INTEGERs are an RSA public key, too: the length of them tells which
  const signature = ofEcdsaDer(bytes)
  if (signature !== undefined || bytes.length < 40) return signature
  const tags = elementTags(bytes)
  return derForms.find(([first]) => first.every((tag, index) => tags[index] === tag))?.[1](bytes)
}

// ---------------------------------------------------------------------------
// signatures
// ---------------------------------------------------------------------------

const facts = Object.entries(SignatureAlgorithm.facts)

const ofEcdsaDer = (bytes: Uint8Array): FileForm | undefined => {
  const coordinate = Object.values(Ecdsa.coordinateLength)
    .sort((a, b) => a - b)
    .find((length) => Ecdsa.fromDer(bytes, length) !== undefined)
  return coordinate === undefined
    ? undefined
    : {
        kind: "perhaps a signature",
        format: "DER",
        length: bytes.length,
        algorithms: facts.flatMap(([name, { scheme, signatureLength }]) =>
          scheme === "ECDSA" && signatureLength === 2 * coordinate ? [name] : []
        )
      }
}

/** Lengths of RSA signatures: 2048 to 16384 bits, in the steps in which keys are made. */
const isRsaLength = (length: number) => length >= 256 && length <= 2048 && length % 64 === 0

/** By what a signature of this many bytes can be made. */
const algorithmsOf = (length: number): ReadonlyArray<string> =>
  facts.flatMap(([name, { keyType, signatureLength }]) =>
    (keyType === "RSA" ? isRsaLength(length) : signatureLength === length) ? [name] : []
  )

/** Bytes that are as long as signatures are. Digits that are all hex are hex: as base64 they are unlikely. */
const ofSignature = (bytes: Uint8Array, text: string | undefined): FileForm | undefined => {
  const line = text?.replace(/\r?\n$/, "")
  const encodings =
    line === undefined
      ? [["raw", bytes] as const]
      : (["hex", "base64url", "base64"] as const).map(
          (encoding) => [encoding, SignatureEncoding.decodeText[encoding](line)] as const
        )
  for (const [format, decoded] of encodings) {
    const algorithms = decoded === undefined ? [] : algorithmsOf(decoded.length)
    if (algorithms.length > 0) return { kind: "perhaps a signature", format, length: decoded!.length, algorithms }
  }
  return undefined
}

/** What the bytes of a file are. */
export const of = (bytes: Uint8Array): FileForm => {
  const text = toText(bytes)
  return (
    (text === undefined ? undefined : ofText(text)) ??
    ofDer(bytes) ??
    ofSignature(bytes, text) ?? { kind: "unknown", format: text === undefined ? "binary" : "text" }
  )
}
