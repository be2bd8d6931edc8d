/**
 * The forms in which a private key lies in a file or a variable, and how each is
 * told by its beginning. Nothing is tried out: what begins like one form is read
 * as that form, or refused.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { fromBase64, fromBase64Url, fromHex } from "./BaseEncoding.ts"
import * as EncryptedKeyFile from "./EncryptedKeyFile.ts"
import * as EvNodeKeyFile from "./EvNodeKeyFile.ts"
import { attempt, invalid, Malformed } from "./Malformed.ts"
import * as PrivateKey from "./PrivateKey.ts"
import { facts, type KeyType } from "./SignatureAlgorithm.ts"
import type { InvalidConfiguration } from "./SignerError.ts"
import * as StrictJson from "./StrictJson.ts"

/**
 * A form of a private key.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Format = Schema.Literals(["encrypted-key", "ev-node", "pem", "jwk", "pkcs8", "hex", "base64", "raw"])

/**
 * The type of {@link Format}.
 *
 * | format | what it is | encrypted |
 * | --- | --- | --- |
 * | `encrypted-key` | our own: `EncryptedKeyFile` | yes |
 * | `ev-node` | `signer.json` of ev-node | yes |
 * | `pem` | one block `PRIVATE KEY`, `EC PRIVATE KEY`, `RSA PRIVATE KEY`, `OPENSSH PRIVATE KEY`, or `ENCRYPTED PRIVATE KEY` | the last |
 * | `jwk` | a private JSON Web Key | no |
 * | `pkcs8` | the DER of PKCS#8 | where a passphrase is stated |
 * | `hex`, `base64` | text of what `raw` or, without a `keyType`, `pkcs8` is | no |
 * | `raw` | the bytes of the secret; needs a `keyType` or an `algorithm` | no |
 *
 * @category models
 * @since 0.1.0
 */
export type Format = typeof Format.Type

const isFormat = Schema.is(Format)

/** How a key is to be read. */
export interface Options<E> {
  readonly format?: Format | undefined
  /** Of `raw`, and of its texts. */
  readonly keyType?: KeyType | undefined
  readonly algorithm?: PrivateKey.Options["algorithm"]
  /** An effect is run only where the key is encrypted. */
  readonly passphrase?: Redacted.Redacted<string> | Effect.Effect<Redacted.Redacted<string>, E> | undefined
  readonly allowLegacyKeyDerivation?: boolean | undefined
}

const field = "key"

const refuse = (problem: string): never => {
  throw new Malformed(field, problem)
}

// ---------------------------------------------------------------------------
// what it is
// ---------------------------------------------------------------------------

const toText = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

const ofJson = (text: string): Format => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return refuse("it begins like JSON, and is not: it was cut short, or is damaged")
  }
  const has = (name: string) => typeof json === "object" && json !== null && Object.hasOwn(json, name)
  return has("format")
    ? "encrypted-key"
    : has(EvNodeKeyFile.marker)
      ? "ev-node"
      : has("kty")
        ? "jwk"
        : refuse("it is JSON, and no key that is known here: known are a JWK, encrypted-key and ev-node")
}

/** One line, without its end. */
const lineOf = (text: string) => text.replace(/\r?\n$/, "")

const detect = (bytes: Uint8Array, text: string | undefined): Format => {
  if (text?.includes("-----BEGIN ") === true) return "pem"
  if (text !== undefined && /^\s*\{/.test(text)) return ofJson(text)
  const line = text === undefined ? undefined : lineOf(text)
  // Hex is base64, too: what is all digits of hex is hex
  if (line !== undefined && /^([0-9a-fA-F]{2}){16,}$/.test(line)) return "hex"
  if (line !== undefined && /^[A-Za-z0-9+/_-]{40,}={0,2}$/.test(line)) return "base64"
  if (bytes.length === 0) return refuse("it is empty")
  return bytes[0] === 0x30 && bytes.length > 40
    ? "pkcs8"
    : refuse(
        `it is no key that is known here; known are ${Format.literals.join(", ")}; raw bytes need format: "raw" and a keyType`
      )
}

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

type Read<E> = (
  input: { readonly bytes: Uint8Array; readonly text: string },
  options: Options<E>
) => Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration | E>

const needed = () => invalid("passphrase", "the key is encrypted: a passphrase is needed")

const withPassphrase = <A, E>(
  { passphrase }: Options<E>,
  use: (passphrase: Redacted.Redacted<string>) => Effect.Effect<A, InvalidConfiguration>
): Effect.Effect<A, InvalidConfiguration | E> =>
  passphrase === undefined
    ? Effect.fail(needed())
    : Redacted.isRedacted(passphrase)
      ? use(passphrase as Redacted.Redacted<string>)
      : Effect.flatMap(passphrase as Effect.Effect<Redacted.Redacted<string>, E>, use)

const unencrypted = <E>(
  { passphrase }: Options<E>,
  read: () => Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration>
): Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration> =>
  Redacted.isRedacted(passphrase)
    ? Effect.fail(invalid("passphrase", "the key is not encrypted; leave the passphrase out"))
    : read()

/** Raw bytes of the kind of key that is stated, or that the algorithm is of. */
const ofRaw = <E>(bytes: Uint8Array, { algorithm, keyType }: Options<E>) => {
  const type = keyType ?? (algorithm === undefined ? undefined : facts[algorithm].keyType)
  return type === undefined
    ? Effect.fail(invalid("keyType", "the key is bare bytes, and does not say for what: state its keyType"))
    : PrivateKey.fromRaw(type, bytes, { algorithm })
}

/** Whether bytes begin as PKCS#8 does, a SEQUENCE of all of them: with 48 bytes the shortest is longer than most raw keys. */
const isSequence = (bytes: Uint8Array) =>
  bytes[0] === 0x30 && bytes.length >= 48 && (bytes[1]! > 0x80 || bytes[1] === bytes.length - 2)

/** PKCS#8 where no kind of key is stated and it looks so, else raw bytes. They are ours, and wiped. */
const ofBytes = <E>(bytes: Uint8Array, options: Options<E>) =>
  Effect.ensuring(
    options.keyType === undefined && isSequence(bytes)
      ? PrivateKey.fromPkcs8(bytes, { algorithm: options.algorithm })
      : ofRaw(bytes, options),
    Effect.sync(() => bytes.fill(0))
  )

const ofEncoded =
  <E>(what: string, decode: (line: string) => Uint8Array | undefined): Read<E> =>
  ({ text }, options) =>
    unencrypted(options, () =>
      Effect.flatMap(
        attempt(() => decode(lineOf(text)) ?? refuse(`it is not ${what}`)),
        (bytes) => ofBytes(bytes, options)
      )
    )

const isEncryptedPem = (text: string) => text.includes("-----BEGIN ENCRYPTED PRIVATE KEY-----")

const readers = <E>(): { readonly [F in Format]: Read<E> } => ({
  "encrypted-key": ({ text }, options) =>
    Effect.flatMap(EncryptedKeyFile.decode(text), (file) =>
      withPassphrase(options, (passphrase) => EncryptedKeyFile.decrypt(file, passphrase, options))
    ),
  "ev-node": ({ text }, options) =>
    Effect.flatMap(EvNodeKeyFile.decode(text), (file) =>
      withPassphrase(options, (passphrase) => EvNodeKeyFile.decrypt(file, passphrase, options))
    ),
  pem: ({ text }, options) =>
    isEncryptedPem(text)
      ? withPassphrase(options, (passphrase) => PrivateKey.fromPem(text, { passphrase, algorithm: options.algorithm }))
      : PrivateKey.fromPem(text, {
          // Refused there, once it is known that the key is read at all
          passphrase: Redacted.isRedacted(options.passphrase)
            ? (options.passphrase as Redacted.Redacted<string>)
            : undefined,
          algorithm: options.algorithm
        }),
  jwk: ({ text }, options) =>
    unencrypted(options, () =>
      Effect.flatMap(
        attempt(() => StrictJson.parse(text, field)),
        (jwk) => PrivateKey.fromJwk(jwk, { algorithm: options.algorithm })
      )
    ),
  pkcs8: ({ bytes }, options) =>
    options.passphrase === undefined
      ? PrivateKey.fromPkcs8(bytes, { algorithm: options.algorithm })
      : withPassphrase(options, (passphrase) =>
          PrivateKey.fromPkcs8(bytes, { passphrase, algorithm: options.algorithm })
        ),
  hex: ofEncoded("hex: two digits a byte, no 0x, no spaces", fromHex),
  base64: ofEncoded("base64 or base64url in its one form", (line) => fromBase64(line) ?? fromBase64Url(line)),
  raw: ({ bytes }, options) => unencrypted(options, () => ofRaw(bytes, options))
})

/** The forms of bytes; all others are text. */
const binary: ReadonlyArray<Format> = ["pkcs8", "raw"]

/** The key in the content of a file. The caller wipes the bytes. */
export const decode = <E = never>(
  bytes: Uint8Array,
  options: Options<E>
): Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration | E> =>
  Effect.flatMap(
    attempt(() => {
      if (options.format !== undefined && !isFormat(options.format)) {
        throw new Malformed("format", `must be one of ${Format.literals.join(", ")}`)
      }
      const text = toText(bytes)
      const format = options.format ?? detect(bytes, text)
      if (text === undefined && !binary.includes(format)) refuse("it is not UTF-8 text")
      return { format, text: text ?? "" }
    }),
    ({ format, text }) => readers<E>()[format]({ bytes, text }, options)
  )
