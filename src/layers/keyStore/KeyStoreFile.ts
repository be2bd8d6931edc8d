/**
 * The text of a file of many keys: which keys, how their private halves are
 * encrypted, and nothing secret in the clear.
 *
 * **Details**
 *
 * ```json
 * {
 *   "format": "effect-signer/key-store",
 *   "version": 1,
 *   "kdf": { "name": "Argon2id", "memory": 65536, "iterations": 3, "parallelism": 4, "salt": "<16 bytes>" },
 *   "cipher": "AES-256-GCM",
 *   "check": "<32 bytes>",
 *   "active": "main",
 *   "keys": [
 *     {"id":"main","algorithm":"Ed25519","publicKey":"<SPKI>","tags":{},"disabled":false,"createdAt":0,"sealed":"<nonce, PKCS#8, tag>"}
 *   ],
 *   "mac": "<32 bytes>"
 * }
 * ```
 *
 * Bytes are unpadded base64url. `check` is a MAC of what stands before it, which
 * tells a wrong passphrase from a changed file. `mac` is one of all the text before
 * its own line: whoever does not know the passphrase can change nothing, neither the
 * active key, nor a tag, nor the order, nor leave a key out. `active` is `null` where
 * no key is, and `sealed` is absent where a key is watch-only.
 *
 * @category internal
 */
import * as Base64Url from "effect/encoding/Base64Url"
import { fromBase64Url } from "../../schemas/BaseEncoding.ts"
import { KeyStoreError } from "../../schemas/KeyStoreError.ts"
import type { KeyStoreReason } from "../../schemas/KeyStoreError.ts"
import { Malformed } from "../../schemas/Malformed.ts"
import type { Cost } from "../../schemas/PassphraseCipher.ts"
import * as PassphraseCipher from "../../schemas/PassphraseCipher.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import * as StrictJson from "../../schemas/StrictJson.ts"
import type { StoredKey } from "../../services/KeyStore.ts"
import { copyTags } from "../../services/KeyStore.ts"
import * as StoredPublicKey from "./storedPublicKey.ts"

/** The value of the member `format`. */
export const format = "effect-signer/key-store"

/** The only version there is. */
const version = 1

/** Bytes of a salt. */
export const saltLength = 16

/** Bytes of a file, at most: some hundred thousand keys. */
export const maxLength = 128 * 1024 * 1024

/** How the keys of the file come from a passphrase. */
export interface Derivation {
  readonly cost: Cost
  readonly salt: Uint8Array
}

/** A key, and what of it is in the file. */
export interface Entry {
  readonly shown: StoredKey
  /** As in the file: base64url. */
  readonly sealed: string | undefined
}

/** What a file says. */
export interface Content {
  readonly active: string | undefined
  readonly entries: ReadonlyMap<string, Entry>
}

/** Bytes as they stand in a file. */
export const toText = (bytes: Uint8Array): string => Base64Url.encode(bytes)

/** The bytes of such text: none, where it is no such text. */
export const fromText = (text: string): Uint8Array => fromBase64Url(text) ?? new Uint8Array()

/** The error of a file. */
export const failure = (reason: KeyStoreReason, problem: string) =>
  new KeyStoreError({ store: "file", reason, problem })

// ---------------------------------------------------------------------------
// encoding
// ---------------------------------------------------------------------------

/** The text before `check`, which that authenticates. */
export const header = ({ cost, salt }: Derivation): string => {
  const { iterations, memory, parallelism } = cost
  const kdf = { name: "Argon2id", memory, iterations, parallelism, salt: Base64Url.encode(salt) }
  return `{
  "format": ${JSON.stringify(format)},
  "version": ${version},
  "kdf": ${JSON.stringify(kdf)},
  "cipher": "AES-256-GCM"`
}

const line = ({ sealed, shown: { createdAt, disabled, id, publicKey, tags } }: Entry): string =>
  `    ${JSON.stringify({
    id,
    algorithm: publicKey.algorithm,
    publicKey: Base64Url.encode(PublicKey.toSpki(publicKey)),
    tags,
    disabled,
    createdAt,
    ...(sealed === undefined ? {} : { sealed })
  })}`

/** Entries never change, and encoding one is most of the work of writing many. */
const lines = new WeakMap<Entry, string>()

const lineOf = (entry: Entry): string => {
  const known = lines.get(entry)
  if (known !== undefined) return known
  const text = line(entry)
  lines.set(entry, text)
  return text
}

/** The text before `mac`, which that authenticates. */
export const body = (derivation: Derivation, check: Uint8Array, { active, entries }: Content): string => {
  const keys = [...entries.values()].map(lineOf).join(",\n")
  return `${header(derivation)},
  "check": "${Base64Url.encode(check)}",
  "active": ${JSON.stringify(active ?? null)},
  "keys": [${keys === "" ? "" : `\n${keys}\n  `}]`
}

/** The end of a file. */
export const end = (mac: Uint8Array): string => `,\n  "mac": "${Base64Url.encode(mac)}"\n}\n`

/** Bytes of {@link end}: always so many. */
export const endLength = end(new Uint8Array(32)).length

// ---------------------------------------------------------------------------
// decoding
// ---------------------------------------------------------------------------

const corrupt = (problem: string) => failure("Corrupt", `${problem}; restore the file from a backup`)

/** What a file says of itself, before anything of it is known to be true. */
export interface Unverified {
  readonly derivation: Derivation
  readonly check: Uint8Array
  readonly mac: Uint8Array
  /** What `mac` authenticates. */
  readonly body: Uint8Array
  readonly json: StrictJson.JsonRecord
}

const refuse = (problem: string): never => {
  throw corrupt(problem)
}

const bytesOf = (value: unknown, name: string, length: number): Uint8Array => {
  const bytes = typeof value === "string" ? fromBase64Url(value) : undefined
  return bytes !== undefined && bytes.length === length
    ? bytes
    : refuse(`"${name}" is not ${length} bytes of base64url`)
}

const onlyMembers = (value: unknown, what: string, names: ReadonlyArray<string>): StrictJson.JsonRecord => {
  if (!StrictJson.isRecord(value)) return refuse(`${what} is not an object`)
  for (const name of Object.keys(value)) if (!names.includes(name)) refuse(`${what} has a member that is not known`)
  return value
}

const costOf = (kdf: StrictJson.JsonRecord): Cost => {
  try {
    const { iterations, memory, parallelism } = PassphraseCipher.checkCost(kdf as unknown as Cost, "kdf")
    return { iterations, memory, parallelism }
  } catch (error) {
    return refuse(error instanceof Malformed ? error.problem : "the cost of Argon2id is not one")
  }
}

/** Reads a file as far as that can be done without its passphrase. Throws {@link KeyStoreError}. */
export const decode = (bytes: Uint8Array): Unverified => {
  let json: unknown
  try {
    json = StrictJson.parseBytes(bytes, "file")
  } catch (error) {
    return refuse(error instanceof Malformed ? `${error.problem}: it was cut off or changed` : "it cannot be read")
  }
  const stated = StrictJson.isRecord(json) ? json : {}
  if (stated["format"] !== format) throw failure("Corrupt", "it is not a key store of effect-signer")
  if (typeof stated["version"] === "number" && stated["version"] > version) {
    throw failure(
      "NewerFormat",
      `it has version ${stated["version"]} of its format, and this version of effect-signer knows ${version}; upgrade effect-signer`
    )
  }
  if (stated["version"] !== version) return refuse(`"version" is not ${version}`)
  const members = ["format", "version", "kdf", "cipher", "check", "active", "keys", "mac"]
  const file = onlyMembers(json, "the file", members)
  const kdf = onlyMembers(file["kdf"], `"kdf"`, ["name", "memory", "iterations", "parallelism", "salt"])
  if (kdf["name"] !== "Argon2id" || file["cipher"] !== "AES-256-GCM") {
    return refuse("it is encrypted in a way that is not known")
  }
  const derivation = { cost: costOf(kdf), salt: bytesOf(kdf["salt"], "salt", saltLength) }
  const check = bytesOf(file["check"], "check", 32)
  const mac = bytesOf(file["mac"], "mac", 32)
  const bodyLength = bytes.length - endLength
  if (bodyLength < 0 || new TextDecoder().decode(bytes.subarray(bodyLength)) !== end(mac)) {
    return refuse("its end is not as it was written")
  }
  return { derivation, check, mac, body: bytes.subarray(0, bodyLength), json: file }
}

const publicKeyOf = (text: unknown, algorithm: SignatureAlgorithm): PublicKey.PublicKey =>
  (typeof text === "string" ? StoredPublicKey.decode(fromText(text), algorithm) : undefined) ??
  refuse("a public key is not one of its algorithm")

const entryOf = (value: unknown): Entry => {
  const names = ["id", "algorithm", "publicKey", "tags", "disabled", "createdAt", "sealed"]
  const { algorithm, createdAt, disabled, id, publicKey, sealed, tags } = onlyMembers(value, "a key", names)
  if (!StoredPublicKey.isAlgorithm(algorithm)) {
    throw failure("NewerFormat", "it has a key for an algorithm that is not known here; upgrade effect-signer")
  }
  if (
    typeof id !== "string" ||
    typeof disabled !== "boolean" ||
    typeof createdAt !== "number" ||
    !StrictJson.isRecord(tags) ||
    Object.values(tags).some((tag) => typeof tag !== "string") ||
    (sealed !== undefined && typeof sealed !== "string")
  ) {
    return refuse("a key has a member of the wrong type")
  }
  return {
    shown: Object.freeze({
      id,
      publicKey: publicKeyOf(publicKey, algorithm),
      tags: copyTags(tags as { readonly [name: string]: string }),
      disabled,
      createdAt,
      hasPrivateKey: sealed !== undefined
    }),
    sealed
  }
}

/** The keys of a file whose MAC was verified. Throws {@link KeyStoreError}. */
export const content = ({ json }: Unverified): Content => {
  const { active, keys } = json
  if (!Array.isArray(keys)) return refuse(`"keys" is not an array`)
  const entries = new Map<string, Entry>()
  for (const key of keys) {
    const entry = entryOf(key)
    entries.set(entry.shown.id, entry)
  }
  if (entries.size !== keys.length) return refuse("two keys have one id")
  if (active !== null && (typeof active !== "string" || !entries.has(active))) {
    return refuse(`"active" is not the id of a key`)
  }
  return { active: active ?? undefined, entries }
}
