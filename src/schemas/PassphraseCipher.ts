/**
 * AES-256-GCM under a key that Argon2id (RFC 9106) derives from a passphrase.
 *
 * The cost that a file may ask for is checked before anything is spent on it.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import { argon2id } from "../primitives/argon2id.ts"
import * as EncryptedPkcs8 from "./EncryptedPkcs8.ts"
import { attempt, invalid, Malformed } from "./Malformed.ts"
import { passphraseOf } from "./PrivateKey.ts"
import type { InvalidConfiguration } from "./SignerError.ts"
import * as Wiped from "./Wiped.ts"

/**
 * What one guess of the passphrase costs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Cost {
  /** KiB: 8 for each lane at least, 262144 (256 MiB) at most. */
  readonly memory: number
  /** Passes over the memory: 1 to 16. */
  readonly iterations: number
  /** Lanes: 1 to 16. */
  readonly parallelism: number
}

/** Limits of what is read and written. All three at once take some seconds, and no more memory than that. */
const limits = { memory: 262_144, iterations: 16, parallelism: 16 } as const

/** Bytes of an AES-GCM nonce and tag (SP 800-38D section 8.2.1). */
export const nonceLength = 12
export const tagLength = 16

/** Refuses a cost that is out of bounds. */
export const checkCost = (cost: Cost, field: string): Cost => {
  for (const name of ["memory", "iterations", "parallelism"] as const) {
    const value: unknown = cost[name]
    if (!Number.isInteger(value) || (value as number) < 1 || (value as number) > limits[name]) {
      throw new Malformed(
        field,
        `"${name}" of Argon2id must be a whole number from 1 to ${limits[name]}${name === "memory" ? ", in KiB" : ""}`
      )
    }
  }
  // RFC 9106 section 3.1
  if (cost.memory < 8 * cost.parallelism) {
    throw new Malformed(field, `"memory" of Argon2id must be 8 KiB for each of "parallelism" at least`)
  }
  return cost
}

/** A buffer that is nobody else's, as WebCrypto's types want it. */
const own = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes)

/** How a passphrase becomes the 32 bytes of a key. */
export type Derivation =
  | (Cost & { readonly salt: Uint8Array })
  /** Not a derivation from a salt, and so not to be offered without being asked for. */
  | { readonly insecurely: (passphrase: Uint8Array) => Uint8Array }

const derive = async (
  passphrase: Uint8Array,
  derivation: Derivation,
  signal: AbortSignal
): Promise<Uint8Array<ArrayBuffer>> => {
  if ("insecurely" in derivation) return own(derivation.insecurely(passphrase))
  const { iterations, memory, parallelism, salt } = derivation
  const bytes = await argon2id({ passphrase, salt, iterations, memory, parallelism }, signal)
  try {
    return own(bytes)
  } finally {
    bytes.fill(0)
  }
}

const cipherKey = async (
  passphrase: Uint8Array,
  derivation: Derivation,
  usage: "encrypt" | "decrypt",
  signal: AbortSignal
): Promise<CryptoKey> => {
  const bytes = await derive(passphrase, derivation, signal)
  try {
    return await globalThis.crypto.subtle.importKey("raw", bytes, "AES-GCM", false, [usage])
  } finally {
    bytes.fill(0)
  }
}

const noArgon2id = "this runtime cannot derive the key: it has no Argon2id, or not the memory for it"

const withKey = <A>(
  passphrase: Redacted.Redacted<string>,
  derivation: Derivation,
  usage: "encrypt" | "decrypt",
  use: (key: CryptoKey) => Effect.Effect<A, InvalidConfiguration>
): Effect.Effect<A, InvalidConfiguration> =>
  Wiped.withBytes(
    attempt(() => EncryptedPkcs8.passphraseBytes(passphraseOf(passphrase))),
    (bytes) =>
      Effect.flatMap(
        Effect.tryPromise({
          try: (signal) => cipherKey(bytes, derivation, usage, signal),
          catch: () => invalid("kdf", noArgon2id)
        }),
        use
      )
  )

/** The 32 bytes themselves, for a key of many: the caller wipes them. */
export const deriveBytes = (
  passphrase: Redacted.Redacted<string>,
  derivation: Derivation
): Effect.Effect<Uint8Array, InvalidConfiguration> =>
  Wiped.withBytes(
    attempt(() => EncryptedPkcs8.passphraseBytes(passphraseOf(passphrase))),
    (bytes) =>
      Effect.tryPromise({
        try: (signal) => derive(bytes, derivation, signal),
        catch: () => invalid("kdf", noArgon2id)
      })
  )

/** What is to be encrypted, or was. */
export interface Sealed {
  readonly derivation: Derivation
  readonly nonce: Uint8Array
  readonly associatedData?: Uint8Array | undefined
}

const parametersOf = ({ associatedData, nonce }: Sealed): AesGcmParams => ({
  name: "AES-GCM",
  iv: own(nonce),
  tagLength: 8 * tagLength,
  ...(associatedData === undefined ? {} : { additionalData: own(associatedData) })
})

/** Ciphertext and tag. */
export const seal = (
  plain: Uint8Array,
  passphrase: Redacted.Redacted<string>,
  sealed: Sealed
): Effect.Effect<Uint8Array, InvalidConfiguration> =>
  withKey(passphrase, sealed.derivation, "encrypt", (key) =>
    Effect.map(
      Effect.promise(() => globalThis.crypto.subtle.encrypt(parametersOf(sealed), key, plain as BufferSource)),
      (data) => new Uint8Array(data)
    )
  )

/** The plaintext, in new bytes that the caller wipes. A wrong passphrase and a changed file look the same. */
export const open = (
  ciphertext: Uint8Array,
  passphrase: Redacted.Redacted<string>,
  sealed: Sealed
): Effect.Effect<Uint8Array, InvalidConfiguration> =>
  withKey(passphrase, sealed.derivation, "decrypt", (key) =>
    Effect.map(
      Effect.tryPromise({
        try: () => globalThis.crypto.subtle.decrypt(parametersOf(sealed), key, own(ciphertext)),
        catch: () => invalid("passphrase", "it is wrong, or the file was changed or damaged")
      }),
      (data) => new Uint8Array(data)
    )
  )
