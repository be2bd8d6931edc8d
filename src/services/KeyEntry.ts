/**
 * What a `KeyManager` shows of a key: data, and nothing of it secret.
 *
 * @category internal
 */
import type { KeyId } from "../schemas/KeyId.ts"
import type { PublicKey } from "../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import type { Filter as StoreFilter, StoredKey, Tags } from "./KeyStore.ts"

/**
 * What every entry has.
 *
 * @category models
 * @since 0.1.0
 */
export interface EntryFields {
  readonly id: KeyId
  readonly algorithm: SignatureAlgorithm
  /** Of an attached Signer: as it was when it was attached. */
  readonly publicKey: PublicKey
  readonly tags: Tags
  /** A disabled key signs nothing. */
  readonly state: "enabled" | "disabled"
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number
}

/**
 * A key whose private half the store keeps: the only kind that can be exported.
 *
 * @category models
 * @since 0.1.0
 */
export interface PrivateEntry extends EntryFields {
  readonly kind: "private"
  readonly canExport: true
}

/**
 * A key whose public half alone is known: it verifies, and does not sign.
 *
 * @category models
 * @since 0.1.0
 */
export interface WatchOnlyEntry extends EntryFields {
  readonly kind: "watch-only"
  readonly canExport: false
}

/**
 * A Signer of any backend under an id. It lives in this process only.
 *
 * @category models
 * @since 0.1.0
 */
export interface AttachedEntry extends EntryFields {
  readonly kind: "attached"
  readonly canExport: false
  /** Of the Signer. */
  readonly backend: string
}

/**
 * What a `KeyManager` shows of a key.
 *
 * @category models
 * @since 0.1.0
 */
export type Entry = PrivateEntry | WatchOnlyEntry | AttachedEntry

/**
 * Which entries `list` shows: those that meet all that is stated.
 *
 * @category models
 * @since 0.1.0
 */
export interface Filter {
  /** Each of these tags with exactly this value; others may be there beside them. */
  readonly tags?: Tags | undefined
  readonly algorithm?: SignatureAlgorithm | undefined
  readonly state?: "enabled" | "disabled" | undefined
  readonly kind?: Entry["kind"] | undefined
}

/** The entry of a stored key. */
export const ofStored = (stored: StoredKey): PrivateEntry | WatchOnlyEntry => {
  const fields: EntryFields = {
    id: stored.id as KeyId,
    algorithm: stored.publicKey.algorithm!, // a store refuses a key that does not state it
    publicKey: stored.publicKey,
    tags: stored.tags,
    state: stored.disabled ? "disabled" : "enabled",
    createdAt: stored.createdAt
  }
  return stored.hasPrivateKey
    ? { kind: "private", canExport: true, ...fields }
    : { kind: "watch-only", canExport: false, ...fields }
}

/** What the store is asked for; `undefined` where none of its keys can be meant. */
export const storeFilter = ({ algorithm, kind, state, tags }: Filter): StoreFilter | undefined =>
  kind === "attached"
    ? undefined
    : {
        algorithm,
        tags,
        disabled: state === undefined ? undefined : state === "disabled",
        hasPrivateKey: kind === undefined ? undefined : kind === "private"
      }

/** Whether an entry meets a filter. */
export const matches = (entry: Entry, { algorithm, kind, state, tags = {} }: Filter): boolean =>
  (algorithm === undefined || entry.algorithm === algorithm) &&
  (kind === undefined || entry.kind === kind) &&
  (state === undefined || entry.state === state) &&
  Object.keys(tags).every((name) => Object.hasOwn(entry.tags, name) && entry.tags[name] === tags[name])
