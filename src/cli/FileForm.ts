/**
 * What a file of key material is, by how it begins. Each form has a beginning of
 * its own: nothing is tried out.
 *
 * @category internal
 */
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import * as Signature from "../schemas/Signature.ts"
import type { InvalidConfiguration } from "../schemas/SignerError.ts"
import { toText } from "./Files.ts"

/** What a file is. */
export type Kind =
  | "private key"
  | "encrypted private key"
  | "public key"
  | "signature"
  | "key set"
  | "certificate"
  | "unknown"

/** What a file is, and how to read it as that. */
export interface FileForm {
  readonly kind: Kind
  /** For a person: `PKCS#8 PEM`. */
  readonly format: string
  readonly publicKey?: Effect.Effect<PublicKey.PublicKey, InvalidConfiguration> | undefined
  readonly privateKey?:
    | ((
        passphrase: Redacted.Redacted<string> | undefined
      ) => Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration>)
    | undefined
  readonly signature?: Signature.Signature | undefined
}

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

const ofPem = (label: string, text: string): FileForm => ({
  ...(Object.hasOwn(pemLabels, label) ? pemLabels[label]! : { kind: "unknown", format: "PEM of something else" }),
  publicKey: PublicKey.fromPem(text),
  privateKey: (passphrase) => PrivateKey.fromPem(text, { passphrase })
})

/** Members that only private and symmetric JWKs have. */
const privateMembers = ["d", "priv", "k"]

const decodeSignature = Schema.decodeUnknownOption(Signature.SignatureJson)

/** The form of JSON text. What JSON.parse says of bad text is not passed on: it quotes it. */
const ofJson = (text: string): FileForm => {
  let json: object
  try {
    json = JSON.parse(text) as object
  } catch {
    return { kind: "unknown", format: "not JSON, although it begins with {" }
  }
  const has = (name: string) => Object.hasOwn(json, name)
  if (has("kty")) {
    return {
      kind: privateMembers.some(has) ? "private key" : "public key",
      format: "JWK",
      publicKey: PublicKey.fromJwk(json),
      privateKey: () => PrivateKey.fromJwk(json)
    }
  }
  if (has("keys")) return { kind: "key set", format: "JWK Set" }
  return Option.match(decodeSignature(json), {
    onNone: () => ({ kind: "unknown", format: "JSON" }),
    onSome: (signature) => ({ kind: "signature", format: "JSON", signature })
  })
}

const ofText = (text: string): FileForm | undefined => {
  const label = /-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(text)?.[1]
  if (label !== undefined) return ofPem(label, text)
  if (/^\s*\{/.test(text)) return ofJson(text)
  if (/^(ssh|ecdsa-sha2|sk-ssh|sk-ecdsa-sha2)-[a-z0-9@.-]+ /.test(text)) {
    return { kind: "public key", format: "OpenSSH", publicKey: PublicKey.fromOpenSsh(text) }
  }
  const id52 = /^([0-9a-v]{52})\r?\n?$/.exec(text)?.[1]
  return id52 === undefined ? undefined : { kind: "public key", format: "ID52", publicKey: PublicKey.fromId52(id52) }
}

/** DER: a SEQUENCE, in which an INTEGER (the version) comes first where the key is private. */
const ofDer = (bytes: Uint8Array): FileForm | undefined => {
  if (bytes[0] !== 0x30 || bytes.length < 40) return undefined
  const first = bytes[1]! < 0x80 ? 2 : 2 + (bytes[1]! & 0x7f)
  return bytes[first] === 0x02
    ? { kind: "private key", format: "PKCS#8 DER", privateKey: () => PrivateKey.fromPkcs8(bytes) }
    : bytes[first] === 0x30
      ? { kind: "public key", format: "SPKI DER", publicKey: PublicKey.fromSpki(bytes) }
      : undefined
}

/** What the bytes of a file are. */
export const of = (bytes: Uint8Array): FileForm => {
  const text = toText(bytes)
  return (
    (text === undefined ? undefined : ofText(text)) ??
    ofDer(bytes) ?? { kind: "unknown", format: text === undefined ? "binary" : "text" }
  )
}
