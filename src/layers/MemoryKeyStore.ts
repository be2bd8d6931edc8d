/**
 * Keys in the memory of this process, gone when it ends: for tests, and for programs
 * that make their keys anew each time.
 *
 * **Details**
 *
 * Private halves are held as they are, where nothing that prints the store reaches
 * them, and wiped when the key is removed or the store is released.
 *
 * **Gotchas**
 *
 * A key of `PrivateKey.generate`, or of `generateKey` of a `KeyManager`, dies with the
 * process: signatures that nobody can verify tomorrow are rarely meant. Where
 * `NODE_ENV` is `production` it is refused with `KeyStoreError`, `Invalid`, unless
 * the store was made with `allowInProduction`. Keys that were read from somewhere, and
 * watch-only keys, are taken everywhere.
 *
 * **Example** (A program with keys of its own)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { KeyStore } from "effect-signer/KeyStore"
 * import * as MemoryKeyStore from "effect-signer/MemoryKeyStore"
 *
 * const program = KeyStore.use((store) => store.list({ disabled: false }))
 *
 * Effect.runPromise(program.pipe(Effect.provide(MemoryKeyStore.layer)))
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { ActiveKeyDelete, KeyExists, KeyStoreError } from "../schemas/KeyStoreError.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import { isGenerated } from "../schemas/PrivateKeySecret.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import type { KeyNotFound, KeyNotSigner } from "../schemas/SignerError.ts"
import * as Wiped from "../schemas/Wiped.ts"
import { refuseInProduction } from "../services/Ephemeral.ts"
import type { Service, StoredKey } from "../services/KeyStore.ts"
import * as KeyStore from "../services/KeyStore.ts"

const name = "memory"

/**
 * Options of {@link makeWith} and {@link layerWith}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Take keys from `PrivateKey.generate` where `NODE_ENV` is `production`. They die with the process. */
  readonly allowInProduction?: boolean | undefined
}

interface Entry {
  readonly shown: StoredKey
  readonly pkcs8: Redacted.Redacted<Uint8Array> | undefined
}

interface Copy {
  readonly bytes: Uint8Array
  readonly algorithm: SignatureAlgorithm | undefined
}

const wipe = ({ pkcs8 }: Entry): void => {
  if (pkcs8 !== undefined) Redacted.value(pkcs8).fill(0)
}

/** A key that nobody can name tomorrow is refused in production, as by `LocalSigner`. */
const checkGenerated = (
  keys: ReadonlyArray<KeyStore.NewKey>,
  { allowInProduction }: Options
): Effect.Effect<void, KeyStoreError> =>
  keys.some(({ privateKey }) => privateKey !== undefined && isGenerated(privateKey))
    ? Effect.mapError(
        refuseInProduction(name, "a key that dies with the process", allowInProduction),
        ({ problem }) => new KeyStoreError({ store: name, reason: "Invalid", problem: `privateKey: ${problem}` })
      )
    : Effect.void

/**
 * As {@link make}, with options.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWith = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Service, never, Scope.Scope> {
  const entries = new Map<string, Entry>()
  let active: string | undefined

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const entry of entries.values()) wipe(entry)
      entries.clear()
      active = undefined
    })
  )

  const find = (id: string) =>
    Effect.suspend(() => {
      const entry = entries.get(id)
      return entry === undefined ? Effect.fail(KeyStore.notFound(name, id)) : Effect.succeed(entry)
    })

  return KeyStore.KeyStore.of({
    name,
    insert: (keys, { setActive } = {}) =>
      Effect.flatMap(
        KeyStore.checkNewKeys(name, keys, { setActive }),
        Effect.fnUntraced(function* (added) {
          yield* checkGenerated(added, options)
          const taken = added.find(({ id }) => entries.has(id))
          if (taken !== undefined) return yield* new KeyExists({ keyId: taken.id })
          if (added.some(({ privateKey }) => privateKey !== undefined && PrivateKey.isWiped(privateKey))) {
            return yield* new KeyStoreError({ store: name, reason: "Invalid", problem: "privateKey: it was wiped" })
          }
          for (const key of added) {
            const { id, privateKey } = key
            entries.set(id, {
              shown: KeyStore.toStored(key),
              pkcs8: privateKey === undefined ? undefined : PrivateKey.toPkcs8(privateKey)
            })
          }
          active = setActive ?? active
        })
      ),
    get: (id) => Effect.map(find(id), ({ shown }) => shown),
    has: (id) => Effect.sync(() => entries.has(id)),
    list: (filter) =>
      Effect.sync(() =>
        [...entries.values()]
          .map(({ shown }) => shown)
          .filter((key) => KeyStore.matches(key, filter))
          .sort(KeyStore.compare)
      ),
    privateKey: (id) =>
      Wiped.withWiped(
        Effect.suspend((): Effect.Effect<Copy, KeyNotFound | KeyNotSigner> => {
          const entry = entries.get(id)
          if (entry === undefined) return Effect.fail(KeyStore.notFound(name, id, "sign"))
          if (entry.pkcs8 === undefined) return Effect.fail(KeyStore.notSigner(name, id))
          // of its own: the entry may be removed while this is read
          const bytes = new Uint8Array(Redacted.value(entry.pkcs8))
          return Effect.succeed({ bytes, algorithm: entry.shown.publicKey.algorithm })
        }),
        ({ algorithm, bytes }) => Effect.orDie(PrivateKey.fromPkcs8(bytes, { algorithm })),
        ({ bytes }) => void bytes.fill(0)
      ),
    update: (id, change) =>
      Effect.flatMap(KeyStore.checkChange(name, change), ({ disabled, tags }) =>
        Effect.map(find(id), ({ pkcs8, shown }) => {
          entries.set(id, {
            pkcs8,
            shown: Object.freeze({ ...shown, tags: tags ?? shown.tags, disabled: disabled ?? shown.disabled })
          })
        })
      ),
    remove: (id, options) =>
      Effect.flatMap(find(id), (entry) => {
        if (active === id) {
          if (options?.force !== true) return Effect.fail(new ActiveKeyDelete({ keyId: id }))
          active = undefined
        }
        entries.delete(id)
        wipe(entry)
        return Effect.void
      }),
    active: Effect.sync(() => Option.fromUndefinedOr(active)),
    setActive: (id) =>
      Effect.map(find(id), () => {
        active = id
      })
  })
})

/**
 * A store in memory, empty. Its private halves are wiped when the scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Service, never, Scope.Scope> = makeWith({})

/**
 * Provides a store in memory, empty.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<KeyStore.KeyStore> = Layer.effect(KeyStore.KeyStore, make)

/**
 * As {@link layer}, with options.
 *
 * **Example** (Keys that are made anew by each process, also in production)
 *
 * ```ts
 * import { Layer } from "effect"
 * import * as KeyManager from "effect-signer/KeyManager"
 * import * as MemoryKeyStore from "effect-signer/MemoryKeyStore"
 *
 * const KeysLive = KeyManager.layer.pipe(Layer.provide(MemoryKeyStore.layerWith({ allowInProduction: true })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = (options: Options): Layer.Layer<KeyStore.KeyStore> =>
  Layer.effect(KeyStore.KeyStore, makeWith(options))
