/**
 * The `signer.json` of ev-node's file signer: an Ed25519 key under a passphrase,
 * with Argon2id (32 MiB, 3 passes, 4 lanes) and AES-256-GCM. Read only.
 *
 * Files of its first versions have no salt: their AES key is the passphrase
 * itself, repeated. Whoever has such a file tries a thousand million passphrases
 * a second. They are read only where that is asked for.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { fromBase64 } from "./BaseEncoding.ts"
import * as KeyMaterial from "./KeyMaterial.ts"
import { attempt, invalid, Malformed, maxInputLength } from "./Malformed.ts"
import * as PassphraseCipher from "./PassphraseCipher.ts"
import * as PrivateKey from "./PrivateKey.ts"
import type { InvalidConfiguration } from "./SignerError.ts"
import * as StrictJson from "./StrictJson.ts"
import * as Wiped from "./Wiped.ts"

const field = "evNodeKeyFile"

/** What ev-node derives with. */
const cost: PassphraseCipher.Cost = { memory: 32 * 1024, iterations: 3, parallelism: 4 }

const saltLength = 16

/** The 64 bytes that libp2p calls an Ed25519 private key, and the tag. */
const ciphertextLength = 64 + PassphraseCipher.tagLength

/** The file, not decrypted. */
export interface EvNodeKeyFile {
  readonly ciphertext: Uint8Array
  readonly nonce: Uint8Array
  readonly publicKey: Uint8Array
  /** Absent in the legacy form. */
  readonly salt: Uint8Array | undefined
}

/** The member that tells such a file from other JSON. */
export const marker = "priv_key_encrypted"

const names = [marker, "nonce", "pub_key", "salt"]

const refuse = (problem: string): never => {
  throw new Malformed(field, problem)
}

const parse = (text: unknown): EvNodeKeyFile => {
  if (typeof text !== "string") return refuse("expected text")
  if (text.length > maxInputLength) return refuse(`longer than ${maxInputLength} characters`)
  const members = StrictJson.parse(text, field)
  if (!StrictJson.isRecord(members)) return refuse("expected an object")
  if (Object.keys(members).some((name) => !names.includes(name))) {
    refuse(`it has a member that is not known; known are ${names.join(", ")}`)
  }
  const bytes = (name: string, length: number): Uint8Array => {
    const value = Object.hasOwn(members, name) ? members[name] : undefined
    const decoded = typeof value === "string" ? fromBase64(value) : undefined
    return decoded?.length === length ? decoded : refuse(`"${name}" must be the base64 of ${length} bytes`)
  }
  return {
    ciphertext: bytes(marker, ciphertextLength),
    nonce: bytes("nonce", PassphraseCipher.nonceLength),
    publicKey: bytes("pub_key", 32),
    salt: Object.hasOwn(members, "salt") ? bytes("salt", saltLength) : undefined
  }
}

/** Reads the text of a file. Nothing is decrypted. */
export const decode = (text: string): Effect.Effect<EvNodeKeyFile, InvalidConfiguration> => attempt(() => parse(text))

/** How files without a salt make a key of a passphrase. It is not empty. */
const repeated = (passphrase: Uint8Array): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, i) =>
    i < passphrase.length ? passphrase[i]! : passphrase[i % passphrase.length]! ^ i
  )

/** The key in a file. Its public half is compared with that of the file. */
export const decrypt = (
  file: EvNodeKeyFile,
  passphrase: Redacted.Redacted<string>,
  options: PrivateKey.Options & { readonly allowLegacyKeyDerivation?: boolean | undefined }
): Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration> =>
  Effect.suspend(() => {
    if (file.salt === undefined && options.allowLegacyKeyDerivation !== true) {
      return Effect.fail(
        invalid(
          "allowLegacyKeyDerivation",
          "the file has no salt: its encryption is the passphrase itself, repeated, and hardly protects the key; " +
            "encrypt it anew with FileSigner.upgrade, or with effect-signer key change-passphrase"
        )
      )
    }
    const derivation = file.salt === undefined ? { insecurely: repeated } : { ...cost, salt: file.salt }
    return Wiped.withBytes(
      PassphraseCipher.open(file.ciphertext, passphrase, { derivation, nonce: file.nonce }),
      (raw) => PrivateKey.fromRaw("Ed25519", raw, { algorithm: options.algorithm })
    ).pipe(
      Effect.filterOrFail(
        (key) => KeyMaterial.sameBytes(key.publicKey.bytes, file.publicKey),
        (key) => {
          PrivateKey.wipe(key)
          return invalid(field, `"pub_key" does not belong to the private key`)
        }
      )
    )
  })
