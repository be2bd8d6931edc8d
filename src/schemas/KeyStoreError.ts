/**
 * What can go wrong with stored keys: tagged errors of a `KeyStore`, beside
 * `KeyNotFound` and `KeyNotSigner`, which every part of this library shares.
 *
 * **Gotchas**
 *
 * No field holds key bytes, a passphrase, a path, SQL text or what a driver said:
 * `problem` is our own text, and `cause` a name, a code or a status.
 *
 * @category internal
 */
import * as Schema from "effect/Schema"
import { VendorError } from "./SignerError.ts"

const shown = (keyId: string): string => JSON.stringify(keyId.length > 128 ? `${keyId.slice(0, 128)}...` : keyId)

/**
 * A key with this id is in the store already, or twice in one call of `insert`.
 * Nothing was written.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyExists extends Schema.TaggedError<KeyExists>("effect-signer/KeyExists")("KeyExists", {
  keyId: Schema.String
}) {
  override get message() {
    return `KeyExists: there is a key with the id ${shown(this.keyId)} already`
  }
}

/**
 * The active key is not removed without `force`.
 *
 * @category errors
 * @since 0.1.0
 */
export class ActiveKeyDelete extends Schema.TaggedError<ActiveKeyDelete>("effect-signer/ActiveKeyDelete")(
  "ActiveKeyDelete",
  { keyId: Schema.String }
) {
  override get message() {
    return `ActiveKeyDelete: ${shown(this.keyId)} is the active key; make another one active first, or remove it with force`
  }
}

/**
 * Why a store could not do what it was asked for.
 *
 * **Details**
 *
 * - `Unavailable`: the medium cannot be reached, read or written now. The same call
 *   may succeed later.
 * - `Locked`: another process writes and did not end in time. As `Unavailable`.
 * - `NotFound`: there is no store there, and none was to be made.
 * - `PermissionDenied`: the system does not let us, or others may read or change
 *   what only the owner should.
 * - `Corrupt`: what is stored is not what a store wrote: cut off, edited, or damaged.
 * - `NewerFormat`: written by a newer version of this library.
 * - `WrongPassphrase`: the passphrase or the envelope key is not that of this store.
 * - `Invalid`: what the store was asked to keep, or its options.
 *
 * @category errors
 * @since 0.1.0
 */
export const KeyStoreReason = Schema.Literals([
  "Unavailable",
  "Locked",
  "NotFound",
  "PermissionDenied",
  "Corrupt",
  "NewerFormat",
  "WrongPassphrase",
  "Invalid"
])

/**
 * The type of {@link KeyStoreReason}.
 *
 * @category errors
 * @since 0.1.0
 */
export type KeyStoreReason = typeof KeyStoreReason.Type

/**
 * The store could not do it. `problem` says what to do, and nothing that is secret.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyStoreError extends Schema.TaggedError<KeyStoreError>("effect-signer/KeyStoreError")("KeyStoreError", {
  /** Which store: `"memory"`, `"file"`, `"postgres"`... */
  store: Schema.String,
  reason: KeyStoreReason,
  problem: Schema.String,
  cause: Schema.optionalKey(VendorError)
}) {
  override get message() {
    return `${this.store}: KeyStoreError: ${this.reason}: ${this.problem}`
  }

  /** Whether the same call may succeed later. */
  get isRetryable(): boolean {
    return this.reason === "Unavailable" || this.reason === "Locked"
  }
}
