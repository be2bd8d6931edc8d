/**
 * How a `KeyManager` names keys: any text that is safe to show, and by default the
 * URN of the public key.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as KeyId from "../schemas/KeyId.ts"
import type { PrivateKey } from "../schemas/PrivateKey.ts"
import { publicBytes } from "../schemas/PrivateKeySecret.ts"
import type { PublicKey } from "../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import { limits } from "./KeyStore.ts"

export const backend = "key-manager"

/** Of an error of a key that was asked to sign. */
export const signContext = (keyId: string) => ({ backend, keyId, operation: "sign" }) as const

/** The error of an option. */
export const invalid = (field: string, problem: string) =>
  new InvalidConfiguration({ backend, keyId: "-", operation: "make", field, problem })

const problemOf = (id: unknown): string | undefined =>
  typeof id !== "string"
    ? "must be text"
    : id.length === 0 || id.length > limits.id
      ? `must have from 1 to ${limits.id} characters`
      : // controls, formats such as the marks that reverse text, halves of surrogate pairs, line separators
        /[\p{C}\p{Zl}\p{Zp}]/u.test(id)
        ? "must be printable text in one line"
        : id.trim() !== id
          ? "must not begin or end with a space"
          : undefined

/** An id that a caller chose. */
export const check = (id: string): Effect.Effect<KeyId.KeyId, InvalidConfiguration> =>
  Effect.suspend(() => {
    const problem = problemOf(id)
    return problem === undefined ? Effect.succeed(KeyId.make(id)) : Effect.fail(invalid("id", problem))
  })

/**
 * The URN of a private key: of its own point, so that it is one for every scheme
 * of a secp256k1 key. A taproot output key is its x coordinate.
 */
export const ofPrivateKey = (key: PrivateKey, publicKey: PublicKey): KeyId.KeyId =>
  publicKey.algorithm === "BIP341"
    ? KeyId.fromPublicKey(publicKey)
    : KeyId.fromPublicKey({ type: key.type, bytes: publicBytes(key) })

/** The URN of the same key under another of its algorithms. */
export const withAlgorithm = (urn: KeyId.KeyId, algorithm: SignatureAlgorithm): KeyId.KeyId =>
  KeyId.make(`${urn}#${algorithm.toLowerCase()}`)
