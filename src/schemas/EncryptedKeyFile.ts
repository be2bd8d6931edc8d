/**
 * A private key under a passphrase, as a JSON text file that says what it is:
 * which key, how it is encrypted, and nothing secret in the clear.
 *
 * Argon2id makes the key of AES-256-GCM, and everything in the file but the
 * ciphertext is authenticated with it: nobody can change a member, also not the
 * public key, without the passphrase.
 *
 * **Details**
 *
 * ```json
 * {
 *   "format": "effect-signer/encrypted-key",
 *   "version": 1,
 *   "key": { "type": "Ed25519", "algorithm": "Ed25519", "publicKey": "<SPKI>" },
 *   "kdf": { "name": "Argon2id", "memory": 65536, "iterations": 3, "parallelism": 4, "salt": "<16 bytes>" },
 *   "cipher": { "name": "AES-256-GCM", "nonce": "<12 bytes>" },
 *   "ciphertext": "<PKCS#8 and the 16 bytes of the tag>"
 * }
 * ```
 *
 * Bytes are unpadded base64url. `memory` is in KiB. `algorithm` is absent where
 * the key is for any that its type can do. The associated data is the JSON without
 * `ciphertext`, its members in this order, without white space. A file has one
 * text only: this order of members, each on a line of its own, two spaces of
 * indentation a level, and a line end. A member that is unknown, missing or there
 * twice is refused.
 *
 * AES-GCM and not XChaCha20-Poly1305, because every runtime has it natively; a new
 * salt for each encryption makes a new key, so that the short nonce is no concern.
 * The default cost is the second choice of RFC 9106 section 4: 64 MiB, 3 passes, 4
 * lanes, about 0.25 s with Node's own Argon2 (24.7 and newer) and 1.3 s with the
 * JavaScript one, in neither case on the thread of your program.
 *
 * **Gotchas**
 *
 * {@link EncryptedKeyFile.publicKey} is what the file says. Whoever may write the
 * file may say anything there, until {@link decrypt} has checked it.
 *
 * A passphrase is used as its UTF-8 bytes, without Unicode normalization.
 *
 * **Example** (Encrypting a key, and reading it again)
 *
 * ```ts
 * import { Config, Effect } from "effect"
 * import { PrivateKey } from "effect-signer"
 * import * as EncryptedKeyFile from "effect-signer/EncryptedKeyFile"
 *
 * const program = Effect.gen(function*() {
 *   const passphrase = yield* Config.Redacted("KEY_PASSPHRASE")
 *   const key = yield* PrivateKey.generate("Ed25519")
 *   const text = EncryptedKeyFile.encode(yield* EncryptedKeyFile.encrypt(key, passphrase))
 *   return yield* EncryptedKeyFile.decrypt(yield* EncryptedKeyFile.decode(text), passphrase)
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { primitives } from "#primitives"
import { fromBase64Url } from "./BaseEncoding.ts"
import { attempt, invalid, Malformed, maxInputLength } from "./Malformed.ts"
import * as PassphraseCipher from "./PassphraseCipher.ts"
import type { Cost } from "./PassphraseCipher.ts"
import * as PrivateKey from "./PrivateKey.ts"
import * as PublicKey from "./PublicKey.ts"
import * as SignatureAlgorithm from "./SignatureAlgorithm.ts"
import type { InvalidConfiguration } from "./SignerError.ts"
import * as StrictJson from "./StrictJson.ts"
import * as Wiped from "./Wiped.ts"

const field = "encryptedKeyFile"

/**
 * The value of the member `format`.
 *
 * @category models
 * @since 0.1.0
 */
export const format = "effect-signer/encrypted-key"

/** The only version there is. */
const version = 1

const saltLength = 16

export type {
  /**
   * What one guess of the passphrase costs: memory in KiB, passes over it, and
   * lanes.
   *
   * **Details**
   *
   * At most 262144 KiB, 16 passes and 16 lanes, which is also what a file may ask
   * for at most.
   *
   * @category models
   * @since 0.1.0
   */
  Cost
}

/**
 * The cost that {@link encrypt} uses: 64 MiB, 3 passes, 4 lanes.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultCost: Cost = { memory: 65_536, iterations: 3, parallelism: 4 }

/**
 * An encrypted private key. Nothing in it is secret.
 *
 * @category models
 * @since 0.1.0
 */
export interface EncryptedKeyFile {
  /** The public half of the key, with the one algorithm it is for, if any. */
  readonly publicKey: PublicKey.PublicKey
  readonly cost: Cost
  readonly salt: Uint8Array
  readonly nonce: Uint8Array
  readonly ciphertext: Uint8Array
}

// ---------------------------------------------------------------------------
// encoding
// ---------------------------------------------------------------------------

type Header = Omit<EncryptedKeyFile, "ciphertext">

const headerJson = ({ cost, nonce, publicKey, salt }: Header) => ({
  format,
  version,
  key: {
    type: publicKey.type,
    ...(publicKey.algorithm === undefined ? {} : { algorithm: publicKey.algorithm }),
    publicKey: Base64Url.encode(PublicKey.toSpki(publicKey))
  },
  kdf: {
    name: "Argon2id",
    memory: cost.memory,
    iterations: cost.iterations,
    parallelism: cost.parallelism,
    salt: Base64Url.encode(salt)
  },
  cipher: { name: "AES-256-GCM", nonce: Base64Url.encode(nonce) }
})

/**
 * Writes the text of a file.
 *
 * @category encoding
 * @since 0.1.0
 */
export const encode = (file: EncryptedKeyFile): string =>
  `${JSON.stringify({ ...headerJson(file), ciphertext: Base64Url.encode(file.ciphertext) }, undefined, 2)}\n`

const associatedData = (header: Header): Uint8Array => new TextEncoder().encode(JSON.stringify(headerJson(header)))

// ---------------------------------------------------------------------------
// decoding
// ---------------------------------------------------------------------------

const refuse = (problem: string): never => {
  throw new Malformed(field, problem)
}

/** The members of an object, which are all named. Those of `optional` may be absent. */
const members = (
  value: unknown,
  what: string,
  names: ReadonlyArray<string>,
  optional: ReadonlyArray<string> = []
): StrictJson.JsonRecord => {
  if (!StrictJson.isRecord(value)) return refuse(`${what} must be an object`)
  if (Object.keys(value).some((name) => !names.includes(name))) {
    refuse(`${what} has a member that is not known; known are ${names.join(", ")}`)
  }
  const missing = names.find((name) => !Object.hasOwn(value, name) && !optional.includes(name))
  if (missing !== undefined) refuse(`"${missing}" is missing`)
  return value
}

const bytes = (value: unknown, name: string): Uint8Array =>
  (typeof value === "string" ? fromBase64Url(value) : undefined) ??
  refuse(`"${name}" is not base64url in its one form, without padding`)

const bytesOfLength = (value: unknown, name: string, length: number): Uint8Array => {
  const decoded = bytes(value, name)
  return decoded.length === length ? decoded : refuse(`"${name}" must have ${length} bytes, it has ${decoded.length}`)
}

const isAlgorithm = Schema.is(SignatureAlgorithm.SignatureAlgorithm)

interface Parsed extends Omit<EncryptedKeyFile, "publicKey"> {
  readonly spki: Uint8Array
  readonly type: unknown
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm | undefined
}

const parse = (text: unknown): Parsed => {
  if (typeof text !== "string") return refuse("expected text")
  if (text.length > maxInputLength) return refuse(`longer than ${maxInputLength} characters`)
  const json = StrictJson.parse(text, field)
  const stated = StrictJson.isRecord(json) ? json : {}
  if (stated["format"] !== format) return refuse(`"format" must be ${format}`)
  if (stated["version"] !== version) {
    return refuse(
      typeof stated["version"] === "number" && stated["version"] > version
        ? `this is a newer version of the format than this version of effect-signer knows (${version}); upgrade effect-signer`
        : `"version" must be ${version}`
    )
  }
  const file = members(json, "the file", ["format", "version", "key", "kdf", "cipher", "ciphertext"])
  const key = members(file["key"], `"key"`, ["type", "algorithm", "publicKey"], ["algorithm"])
  const kdf = members(file["kdf"], `"kdf"`, ["name", "memory", "iterations", "parallelism", "salt"])
  const cipher = members(file["cipher"], `"cipher"`, ["name", "nonce"])
  if (kdf["name"] !== "Argon2id") return refuse(`the only "kdf" is Argon2id`)
  if (cipher["name"] !== "AES-256-GCM") return refuse(`the only "cipher" is AES-256-GCM`)
  const algorithm = key["algorithm"]
  if (algorithm !== undefined && !isAlgorithm(algorithm)) return refuse(`"algorithm" is not one that is supported`)
  const { iterations, memory, parallelism } = PassphraseCipher.checkCost(kdf as unknown as Cost, field)
  const ciphertext = bytes(file["ciphertext"], "ciphertext")
  if (ciphertext.length <= PassphraseCipher.tagLength) return refuse(`"ciphertext" is too short`)
  return {
    type: key["type"],
    algorithm,
    spki: bytes(key["publicKey"], "publicKey"),
    cost: { memory, iterations, parallelism },
    salt: bytesOfLength(kdf["salt"], "salt", saltLength),
    nonce: bytesOfLength(cipher["nonce"], "nonce", PassphraseCipher.nonceLength),
    ciphertext
  }
}

/**
 * Reads the text of a file. Nothing is decrypted.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` for anything but the one text that
 * {@link encode} writes, a newer version, and a cost over the limits.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decode = Effect.fnUntraced(function* (
  text: string
): Effect.fn.Return<EncryptedKeyFile, InvalidConfiguration> {
  const { algorithm, spki, type, ...rest } = yield* attempt(() => parse(text))
  const publicKey = yield* Effect.mapError(PublicKey.fromSpki(spki, { algorithm }), ({ problem }) =>
    invalid(field, `"publicKey": ${problem}`)
  )
  const file: EncryptedKeyFile = { ...rest, publicKey }
  if (publicKey.type !== type) return yield* invalid(field, `"type" is not that of "publicKey"`)
  if (encode(file) !== text) {
    return yield* invalid(
      field,
      "the order of members, white space or line ends were changed; restore the file as it was written"
    )
  }
  return file
})

// ---------------------------------------------------------------------------
// encryption
// ---------------------------------------------------------------------------

/**
 * Encrypts a key, with a new salt and nonce.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where the key was wiped, the passphrase is
 * empty or longer than 1024 characters, or the cost is out of bounds. The lower
 * bounds of a cost are those of Argon2id itself: a low one is for tests.
 *
 * @category constructors
 * @since 0.1.0
 */
export const encrypt = (
  key: PrivateKey.PrivateKey,
  passphrase: Redacted.Redacted<string>,
  options?: { readonly cost?: Cost | undefined }
): Effect.Effect<EncryptedKeyFile, InvalidConfiguration> =>
  Effect.flatMap(
    attempt((): Header => {
      if (PrivateKey.isWiped(key)) throw new Malformed("key", "the key was wiped")
      const { iterations, memory, parallelism } = PassphraseCipher.checkCost(options?.cost ?? defaultCost, "cost")
      return {
        publicKey: key.publicKey,
        cost: { memory, iterations, parallelism },
        salt: primitives.randomBytes(saltLength),
        nonce: primitives.randomBytes(PassphraseCipher.nonceLength)
      }
    }),
    (header) =>
      Wiped.withBytes(
        Effect.sync(() => Redacted.value(PrivateKey.toPkcs8(key))),
        (pkcs8) =>
          Effect.map(
            PassphraseCipher.seal(pkcs8, passphrase, {
              derivation: { ...header.cost, salt: header.salt },
              nonce: header.nonce,
              associatedData: associatedData(header)
            }),
            (ciphertext): EncryptedKeyFile => ({ ...header, ciphertext })
          )
      )
  )

/**
 * The key in a file. It has the public half that the file says, or this fails.
 *
 * **Details**
 *
 * A wrong passphrase and a changed file are the same error: the cipher cannot tell
 * them apart, and nobody should. `algorithm` must be the one the file states, where
 * it states one.
 *
 * @category decoding
 * @since 0.1.0
 */
export const decrypt = (
  file: EncryptedKeyFile,
  passphrase: Redacted.Redacted<string>,
  options?: PrivateKey.Options
): Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration> =>
  Effect.flatMap(
    attempt(() => ({
      derivation: { ...PassphraseCipher.checkCost(file.cost, "cost"), salt: file.salt },
      algorithm: PublicKey.agreeOnAlgorithm(file.publicKey.type, file.publicKey.algorithm, options?.algorithm)
    })),
    ({ algorithm, derivation }) =>
      Wiped.withBytes(
        PassphraseCipher.open(file.ciphertext, passphrase, {
          derivation,
          nonce: file.nonce,
          associatedData: associatedData(file)
        }),
        (pkcs8) => PrivateKey.fromPkcs8(pkcs8, { algorithm })
      ).pipe(
        Effect.filterOrFail(
          (key) => PublicKey.sameKey(key.publicKey, file.publicKey),
          (key) => {
            PrivateKey.wipe(key)
            return invalid(field, `"publicKey" does not belong to the private key`)
          }
        )
      )
  )
