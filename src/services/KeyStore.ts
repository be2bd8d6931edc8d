/**
 * Where keys are kept: many of them, each with its public half, tags, and a private
 * half unless it is watch-only.
 *
 * A store keeps and finds; it neither signs nor decides. What a key may be used
 * for, and what becomes of it, is the business of who uses the store.
 *
 * **Details**
 *
 * `MemoryKeyStore`, `FileKeyStore` and `PostgresKeyStore` are three of them. For one
 * of your own, fill in the service and run `KeyStoreConformance` of
 * `effect-signer/testing` over it. What each store owes:
 *
 * - Every operation happens whole or not at all, also among concurrent callers, also
 *   where the process is killed in the middle. Of several callers that insert one
 *   id, one succeeds.
 * - Keys and changes are taken as they are at the call, whatever becomes of the objects
 *   while the store waits: work with what {@link checkNewKeys} and {@link checkChange}
 *   answer. A private half that is wiped meanwhile is refused, never kept as nothing.
 * - What an operation answered is what any later one sees, in other instances of the
 *   store over the same medium, too.
 * - Private halves are encrypted where they are kept, and each is bound to the id,
 *   public key and algorithm of its entry: one that was moved to another entry does
 *   not open.
 * - A private half is opened when `privateKey` asks for it, and not before.
 * - Ids and tags are data: any text that {@link checkNewKeys} accepts comes back as
 *   it was, `__proto__` and `'; DROP TABLE` included.
 * - Errors are those of this interface, and hold nothing secret.
 *
 * **Example** (Keeping a key and finding it by its tags)
 *
 * ```ts
 * import { Clock, Effect } from "effect"
 * import { PrivateKey, PublicKey } from "effect-signer"
 * import { KeyStore } from "effect-signer/KeyStore"
 * import * as MemoryKeyStore from "effect-signer/MemoryKeyStore"
 *
 * const program = Effect.gen(function*() {
 *   const store = yield* KeyStore
 *   const privateKey = yield* PrivateKey.generate("Ed25519")
 *   const id = PublicKey.keyId(privateKey.publicKey)
 *   const publicKey = yield* PublicKey.withAlgorithm(privateKey.publicKey, "Ed25519")
 *   yield* store.insert(
 *     [{ id, publicKey, privateKey, tags: { tenant: "acme" }, createdAt: yield* Clock.currentTimeMillis }],
 *     { setActive: id }
 *   )
 *   return yield* store.list({ tags: { tenant: "acme" } })
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(MemoryKeyStore.layer)))
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { ActiveKeyDelete } from "../schemas/KeyStoreError.ts"
import { KeyExists, KeyStoreError } from "../schemas/KeyStoreError.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import { KeyNotFound, KeyNotSigner } from "../schemas/SignerError.ts"

export {
  /**
   * @category errors
   * @since 0.1.0
   */
  ActiveKeyDelete,
  /**
   * @category errors
   * @since 0.1.0
   */
  KeyExists,
  /**
   * @category errors
   * @since 0.1.0
   */
  KeyStoreError,
  /**
   * @category errors
   * @since 0.1.0
   */
  KeyStoreReason
} from "../schemas/KeyStoreError.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What is known of a key beside its keys: names and values of any text.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tags {
  readonly [name: string]: string
}

/**
 * A key as the store shows it. Nothing in it is secret.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoredKey {
  readonly id: string
  /** States the one algorithm that the key is for. */
  readonly publicKey: PublicKey.PublicKey
  readonly tags: Tags
  readonly disabled: boolean
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number
  /** `false`: watch-only. */
  readonly hasPrivateKey: boolean
}

/**
 * A key to be kept. It is not disabled.
 *
 * @category models
 * @since 0.1.0
 */
export interface NewKey {
  readonly id: string
  /** Must state its algorithm. */
  readonly publicKey: PublicKey.PublicKey
  /** Must belong to `publicKey`. `undefined`: watch-only. The store keeps a copy: wipe yours. */
  readonly privateKey: PrivateKey.PrivateKey | undefined
  readonly tags: Tags
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number
}

/**
 * Which keys {@link KeyStore} lists: those that meet all that is stated.
 *
 * @category models
 * @since 0.1.0
 */
export interface Filter {
  /** Each of these tags with exactly this value; others may be there beside them. */
  readonly tags?: Tags | undefined
  readonly algorithm?: SignatureAlgorithm | undefined
  readonly disabled?: boolean | undefined
  readonly hasPrivateKey?: boolean | undefined
}

/**
 * What of a key can change.
 *
 * @category models
 * @since 0.1.0
 */
export interface Change {
  /** All tags that the key has from now on. */
  readonly tags?: Tags | undefined
  readonly disabled?: boolean | undefined
}

/**
 * The operations of a {@link KeyStore}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  /** `"memory"`, `"file"`, `"postgres"`: as errors name the store. */
  readonly name: string
  /**
   * Keeps all of these keys, or none of them. `setActive`, the id of one of them,
   * makes that the active key in the same step.
   */
  readonly insert: (
    keys: ReadonlyArray<NewKey>,
    options?: { readonly setActive?: string | undefined }
  ) => Effect.Effect<void, KeyExists | KeyStoreError>
  readonly get: (id: string) => Effect.Effect<StoredKey, KeyNotFound | KeyStoreError>
  readonly has: (id: string) => Effect.Effect<boolean, KeyStoreError>
  /** By `createdAt`, then by id (of its UTF-16 code units). */
  readonly list: (filter?: Filter) => Effect.Effect<ReadonlyArray<StoredKey>, KeyStoreError>
  /**
   * The private half, opened now, in a new key that the caller wipes. It states the
   * algorithm of the entry. `KeyNotSigner` where the key is watch-only. A disabled
   * key is opened as any other: the store does not decide.
   */
  readonly privateKey: (id: string) => Effect.Effect<PrivateKey.PrivateKey, KeyNotFound | KeyNotSigner | KeyStoreError>
  readonly update: (id: string, change: Change) => Effect.Effect<void, KeyNotFound | KeyStoreError>
  /** Forgets a key. The active one only with `force`: then none is active. */
  readonly remove: (
    id: string,
    options?: { readonly force?: boolean | undefined }
  ) => Effect.Effect<void, KeyNotFound | ActiveKeyDelete | KeyStoreError>
  /** The id of the active key: of none in a new store. */
  readonly active: Effect.Effect<Option.Option<string>, KeyStoreError>
  readonly setActive: (id: string) => Effect.Effect<void, KeyNotFound | KeyStoreError>
}

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * Keeps keys.
 *
 * @category services
 * @since 0.1.0
 */
export class KeyStore extends Context.Service<KeyStore, Service>()("effect-signer/KeyStore") {}

// ---------------------------------------------------------------------------
// for authors of a store
// ---------------------------------------------------------------------------

/**
 * The most that a store takes: characters (UTF-16 code units) and numbers.
 *
 * @category models
 * @since 0.1.0
 */
export const limits = {
  /** Characters of an id. */
  id: 1024,
  /** Tags of a key. */
  tags: 64,
  /** Characters of the name of a tag. */
  tagName: 256,
  /** Characters of the value of a tag. */
  tagValue: 4096
} as const

const textProblem = (text: unknown, limit: number): string | undefined =>
  typeof text !== "string"
    ? "it must be text"
    : text.length > limit
      ? `it has more than ${limit} characters`
      : !text.isWellFormed()
        ? "it is not well-formed Unicode: it has half of a surrogate pair"
        : // PostgreSQL cannot keep it, and no terminal should be shown the others
          /[\u0000-\u0008\u000e-\u001f\u007f]/.test(text)
          ? "it has a control character"
          : undefined

const idProblem = (id: unknown): string | undefined =>
  id === ""
    ? "it is empty"
    : (textProblem(id, limits.id) ?? (/[\n\v\f\r\t]/.test(id as string) ? "it has a control character" : undefined))

const tagsProblem = (tags: unknown): string | undefined => {
  if (typeof tags !== "object" || tags === null || Array.isArray(tags)) return "they must be an object of texts"
  const entries = Object.entries(tags)
  if (entries.length > limits.tags) return `there are more than ${limits.tags}`
  for (const [name, value] of entries) {
    const problem = textProblem(name, limits.tagName) ?? textProblem(value, limits.tagValue)
    if (problem !== undefined) return `of the name or the value of one: ${problem}`
  }
  return undefined
}

const keyProblem = ({ createdAt, id, privateKey, publicKey, tags }: NewKey): string | undefined => {
  const ofId = idProblem(id)
  if (ofId !== undefined) return `id: ${ofId}`
  if (!PublicKey.isPublicKey(publicKey)) return "publicKey: it must be a PublicKey"
  if (publicKey.algorithm === undefined) {
    return "publicKey: it states no algorithm; give it the one it is for with PublicKey.withAlgorithm"
  }
  if (privateKey !== undefined) {
    if (!PrivateKey.isPrivateKey(privateKey)) return "privateKey: it must be a PrivateKey"
    if (PrivateKey.isWiped(privateKey)) return "privateKey: it was wiped"
    if (!PublicKey.sameKey(publicKey, privateKey.publicKey)) return "privateKey: it does not belong to publicKey"
    if (privateKey.algorithm !== undefined && privateKey.algorithm !== publicKey.algorithm) {
      return `privateKey: it is for ${privateKey.algorithm} only, and publicKey states ${publicKey.algorithm}`
    }
  }
  if (!Number.isSafeInteger(createdAt) || createdAt < 0) {
    return "createdAt: it must be a whole number of milliseconds since the Unix epoch"
  }
  const ofTags = tagsProblem(tags)
  return ofTags === undefined ? undefined : `tags: ${ofTags}`
}

const invalid = (store: string, problem: string) => new KeyStoreError({ store, reason: "Invalid", problem })

/**
 * What any store refuses to keep: ids that are empty, longer than
 * {@link limits}, with control characters or half of a surrogate pair; tags
 * likewise, but with tabs and line ends; a public key without its algorithm; a
 * private half that does not belong to it; an id twice; a `setActive` that is not
 * among the keys.
 *
 * Answers the keys in objects of its own, with {@link copyTags}: what was checked is
 * what is kept, also where the caller changes its objects while the store waits.
 *
 * @category guards
 * @since 0.1.0
 */
export const checkNewKeys = (
  store: string,
  keys: ReadonlyArray<NewKey>,
  options?: { readonly setActive?: string | undefined }
): Effect.Effect<ReadonlyArray<NewKey>, KeyExists | KeyStoreError> =>
  Effect.suspend((): Effect.Effect<ReadonlyArray<NewKey>, KeyExists | KeyStoreError> => {
    const checked = new Map<string, NewKey>()
    for (const [index, { createdAt, id, privateKey, publicKey, tags }] of keys.entries()) {
      const key = { id, publicKey, privateKey, tags, createdAt }
      const problem = keyProblem(key)
      if (problem !== undefined) return Effect.fail(invalid(store, `keys[${index}].${problem}`))
      if (checked.has(id)) return Effect.fail(new KeyExists({ keyId: id }))
      checked.set(id, { ...key, tags: copyTags(tags) })
    }
    const { setActive } = options ?? {}
    return setActive === undefined || checked.has(setActive)
      ? Effect.succeed([...checked.values()])
      : Effect.fail(invalid(store, "setActive: it must be the id of one of the keys"))
  })

/**
 * As {@link checkNewKeys}, of a change.
 *
 * @category guards
 * @since 0.1.0
 */
export const checkChange = (store: string, { disabled, tags }: Change): Effect.Effect<Change, KeyStoreError> =>
  Effect.suspend(() => {
    if (disabled !== undefined && typeof disabled !== "boolean") {
      return Effect.fail(invalid(store, "disabled: it must be true or false"))
    }
    const problem = tags === undefined ? undefined : tagsProblem(tags)
    return problem === undefined
      ? Effect.succeed({ disabled, tags: tags === undefined ? undefined : copyTags(tags) })
      : Effect.fail(invalid(store, `tags: ${problem}`))
  })

/**
 * What is known of a new key once it is stored: for stores, of what {@link checkNewKeys}
 * answers.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toStored = ({ createdAt, id, privateKey, publicKey, tags }: NewKey): StoredKey =>
  Object.freeze({ id, publicKey, tags, disabled: false, createdAt, hasPrivateKey: privateKey !== undefined })

/**
 * Tags that nobody can change: a copy, its names in order.
 *
 * @category combinators
 * @since 0.1.0
 */
export const copyTags = (tags: Tags): Tags =>
  Object.freeze(Object.fromEntries(Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1))))

/**
 * Tells whether a key is one of those that a filter asks for.
 *
 * @category guards
 * @since 0.1.0
 */
export const matches = (key: Omit<StoredKey, "id" | "createdAt">, filter: Filter = {}): boolean => {
  const { algorithm, disabled, hasPrivateKey, tags } = filter
  if (algorithm !== undefined && key.publicKey.algorithm !== algorithm) return false
  if (disabled !== undefined && key.disabled !== disabled) return false
  if (hasPrivateKey !== undefined && key.hasPrivateKey !== hasPrivateKey) return false
  if (tags === undefined) return true
  for (const name of Object.keys(tags)) {
    if (!Object.hasOwn(key.tags, name) || key.tags[name] !== tags[name]) return false
  }
  return true
}

/**
 * The order of a list: by `createdAt`, then by id.
 *
 * @category combinators
 * @since 0.1.0
 */
export const compare = (a: Pick<StoredKey, "createdAt" | "id">, b: Pick<StoredKey, "createdAt" | "id">): number =>
  a.createdAt - b.createdAt || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

/** An id that no store has may be of any length, or no text at all. */
const shownId = (id: string): string =>
  typeof id !== "string" || id === "" ? "-" : id.length > limits.id ? `${id.slice(0, 128)}...` : id

/**
 * The error of an id that the store does not have.
 *
 * @category errors
 * @since 0.1.0
 */
export const notFound = (store: string, id: string, operation: "publicKey" | "sign" = "publicKey"): KeyNotFound =>
  new KeyNotFound({ backend: store, keyId: shownId(id), operation })

/**
 * The error of a key that is watch-only.
 *
 * @category errors
 * @since 0.1.0
 */
export const notSigner = (store: string, id: string): KeyNotSigner =>
  new KeyNotSigner({ backend: store, keyId: shownId(id), operation: "sign" })
