/**
 * Keys in one file on this machine, their private halves encrypted under a
 * passphrase: the store for one machine, without a server.
 *
 * Argon2id runs once, when the store is opened. Private halves are opened one by one
 * as they are asked for, and everything in the file is authenticated: a file that
 * anything else has changed is refused.
 *
 * **Details**
 *
 * The file is JSON, with ids, public keys and tags in the clear, mode 0600. It is
 * refused where others than its owner may read or change it, where it is a symbolic
 * link, or belongs to another user. A write makes a new file beside it, syncs it and
 * gives it the name, so that a process that is killed leaves the old file or the new
 * one. Writers of one machine take turns by a lock file, `NAME.lock`, and each reads
 * the file again before it writes: no key is lost. Readers notice at their next
 * operation that another process has written.
 *
 * All keys are held in memory, about 1 KiB each, their private halves sealed. A write
 * writes the whole file: 10,000 keys are about 4 MiB. Insert many keys in one call.
 *
 * **Gotchas**
 *
 * Nothing tells an older copy of the file, put back, from the file: keep backups
 * where only the owner writes. Whoever has an older copy and its passphrase has the
 * keys in it, also after {@link changePassphrase} or `remove`.
 *
 * The lock does not work over network file systems that do not make files
 * exclusively. Several machines share keys by `PostgresKeyStore`.
 *
 * **Example** (A store with the passphrase from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import * as FileKeyStore from "effect-signer/FileKeyStore"
 *
 * const KeysLive = FileKeyStore.layer({
 *   path: "/var/lib/app/keys.json",
 *   passphrase: Config.Redacted("KEYS_PASSPHRASE")
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Cost } from "../schemas/EncryptedKeyFile.ts"
import { ActiveKeyDelete, KeyExists } from "../schemas/KeyStoreError.ts"
import type { KeyStoreError } from "../schemas/KeyStoreError.ts"
import type { PrivateKey } from "../schemas/PrivateKey.ts"
import type { KeyNotSigner } from "../schemas/SignerError.ts"
import type { Service } from "../services/KeyStore.ts"
import * as KeyStore from "../services/KeyStore.ts"
import * as HeldKey from "./keyFile/HeldKey.ts"
import type { Passphrase } from "./keyFile/HeldKey.ts"
import { failure } from "./keyStore/KeyStoreFile.ts"
import type { Content, Entry } from "./keyStore/KeyStoreFile.ts"
import * as StoreFile from "./keyStore/StoreFile.ts"

const name = "file"

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

/**
 * Which file, and its passphrase.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileOptions {
  /** The name of the file, relative to the working directory of the process. */
  readonly path: string
  /** Or an effect that finds it, as a `Config` or a question on the terminal. */
  readonly passphrase?: Passphrase | undefined
  /** A file with the passphrase in one line, checked as the store is. Excludes `passphrase`. */
  readonly passphraseFile?: string | undefined
  /** Follow a symbolic link: what it leads to is read, and replaced. */
  readonly followSymlinks?: boolean | undefined
  /** What a guess of the passphrase of a new file costs. Default: 64 MiB, 3 passes, 4 lanes, about 0.25 s. */
  readonly cost?: Cost | undefined
}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends FileOptions {
  /** Fail with `NotFound` where there is no file. Default: an empty one is made. */
  readonly mustExist?: boolean | undefined
}

/** The passphrase, which this store needs always. */
const passphraseOf = (options: FileOptions): Effect.Effect<Redacted.Redacted<string>, KeyStoreError> => {
  const where = { backend: name, keyId: "-" }
  return HeldKey.passphraseOf(where, options).pipe(
    Effect.flatMap((passphrase) =>
      passphrase === undefined || Redacted.isRedacted(passphrase) ? Effect.succeed(passphrase) : passphrase
    ),
    Effect.mapError((error) =>
      failure("Invalid", error._tag === "InvalidConfiguration" ? `${error.field}: ${error.problem}` : error._tag)
    ),
    Effect.filterOrFail(
      (passphrase) => passphrase !== undefined,
      () => failure("Invalid", "passphrase: it is needed; a store is never written without one")
    )
  )
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const entryOf = (
  { entries }: Content,
  id: string,
  operation: "publicKey" | "sign" = "publicKey"
): Effect.Effect<Entry, ReturnType<typeof KeyStore.notFound>> => {
  const entry = entries.get(id)
  return entry === undefined ? Effect.fail(KeyStore.notFound(name, id, operation)) : Effect.succeed(entry)
}

const withEntry = ({ active, entries }: Content, entry: Entry): Content => ({
  active,
  entries: new Map(entries).set(entry.shown.id, entry)
})

/**
 * Opens the store in a file, or makes it.
 *
 * **Details**
 *
 * Fails with `KeyStoreError`: `WrongPassphrase`, `Corrupt` for a file that was cut
 * off, edited or damaged, `NewerFormat`, `PermissionDenied` where others may read or
 * change the file, `NotFound` where there is no such folder, `Invalid` for options.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Service, KeyStoreError> {
  const { followSymlinks, path } = options
  const file = yield* StoreFile.open({ path, followSymlinks }, yield* passphraseOf(options), options)

  return KeyStore.KeyStore.of({
    name,
    insert: Effect.fnUntraced(function* (keys, options) {
      const { setActive } = options ?? {}
      const added = yield* Effect.forEach(
        yield* KeyStore.checkNewKeys(name, keys, options),
        Effect.fnUntraced(function* (key): Effect.fn.Return<Entry, KeyStoreError> {
          const { id, privateKey, publicKey } = key
          return {
            shown: KeyStore.toStored(key),
            sealed:
              privateKey === undefined
                ? undefined
                : yield* StoreFile.sealEntry(file.cipher, { id, publicKey }, privateKey)
          }
        })
      )
      yield* file.modify(({ active, entries }) => {
        const taken = added.find(({ shown }) => entries.has(shown.id))
        if (taken !== undefined) return Effect.fail(new KeyExists({ keyId: taken.shown.id }))
        const next = new Map(entries)
        for (const entry of added) next.set(entry.shown.id, entry)
        return Effect.succeed({ active: setActive ?? active, entries: next })
      })
    }),
    get: (id) => Effect.flatMap(file.read, (content) => Effect.map(entryOf(content, id), ({ shown }) => shown)),
    has: (id) => Effect.map(file.read, ({ entries }) => entries.has(id)),
    list: (filter) =>
      Effect.map(file.read, ({ entries }) => {
        const found = []
        for (const { shown } of entries.values()) if (KeyStore.matches(shown, filter)) found.push(shown)
        return found.sort(KeyStore.compare)
      }),
    privateKey: (id) =>
      Effect.flatMap(file.read, (content) =>
        Effect.flatMap(
          entryOf(content, id, "sign"),
          ({ sealed, shown }): Effect.Effect<PrivateKey, KeyNotSigner | KeyStoreError> =>
            sealed === undefined
              ? Effect.fail(KeyStore.notSigner(name, id))
              : StoreFile.openEntry(file.cipher, { sealed, shown })
        )
      ),
    update: (id, change) =>
      Effect.flatMap(KeyStore.checkChange(name, change), ({ disabled, tags }) =>
        file.modify((content) =>
          Effect.map(entryOf(content, id), ({ sealed, shown }) =>
            withEntry(content, {
              sealed,
              shown: Object.freeze({ ...shown, tags: tags ?? shown.tags, disabled: disabled ?? shown.disabled })
            })
          )
        )
      ),
    remove: (id, { force } = {}) =>
      file.modify((content) =>
        Effect.flatMap(entryOf(content, id), () => {
          const isActive = content.active === id
          if (isActive && force !== true) return Effect.fail(new ActiveKeyDelete({ keyId: id }))
          const entries = new Map(content.entries)
          entries.delete(id)
          return Effect.succeed({ active: isActive ? undefined : content.active, entries })
        })
      ),
    active: Effect.map(file.read, ({ active }) => Option.fromUndefinedOr(active)),
    setActive: (id) =>
      file.modify((content) => Effect.as(entryOf(content, id), { active: id, entries: content.entries }))
  })
})

/**
 * Provides the store in a file.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<KeyStore.KeyStore, KeyStoreError> =>
  Layer.effect(KeyStore.KeyStore, make(options))

/**
 * What {@link layerConfig} reads.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigOptions extends Omit<Options, "passphrase"> {
  readonly passphrase?: Redacted.Redacted<string> | undefined
}

/**
 * Provides the store in a file, as `Config` says.
 *
 * **Example** (A file and its passphrase from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import * as FileKeyStore from "effect-signer/FileKeyStore"
 *
 * const KeysLive = FileKeyStore.layerConfig({
 *   path: Config.String("KEYS_FILE"),
 *   passphraseFile: Config.String("KEYS_PASSPHRASE_FILE")
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<ConfigOptions>
): Layer.Layer<KeyStore.KeyStore, KeyStoreError | Config.ConfigError> =>
  Layer.effect(KeyStore.KeyStore, Effect.flatMap(Config.unwrap(config), make))

// ---------------------------------------------------------------------------
// passphrase
// ---------------------------------------------------------------------------

/**
 * Encrypts all private halves in a file under another passphrase, with a new salt.
 *
 * **Details**
 *
 * The new file replaces the old one at once; a failure leaves it as it was. `cost`
 * is that of the new file, the default whatever the old one had.
 *
 * **Gotchas**
 *
 * A store that is open stays with the passphrase it was opened with: its next
 * operation fails with `WrongPassphrase`, until it is opened again. Older copies of
 * the file keep their passphrase.
 *
 * @category encoding
 * @since 0.1.0
 */
export const changePassphrase = Effect.fnUntraced(function* (
  options: FileOptions & { readonly newPassphrase: Redacted.Redacted<string> }
): Effect.fn.Return<void, KeyStoreError> {
  const { cost, followSymlinks, newPassphrase, path } = options
  if (!Redacted.isRedacted(newPassphrase)) return yield* failure("Invalid", "newPassphrase: must be a Redacted")
  yield* StoreFile.changePassphrase({ path, followSymlinks }, yield* passphraseOf(options), newPassphrase, cost)
})
