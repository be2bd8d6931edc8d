/**
 * Keys in the memory of this process, gone when it ends: for tests, and for programs
 * that make their keys anew each time.
 *
 * **Details**
 *
 * Private halves are held as they are, where nothing that prints the store reaches
 * them, and wiped when the key is removed or the store is released.
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
import * as Wiped from "../schemas/Wiped.ts"
import type { KeyNotSigner } from "../schemas/SignerError.ts"
import type { Service, StoredKey } from "../services/KeyStore.ts"
import * as KeyStore from "../services/KeyStore.ts"

const name = "memory"

interface Entry {
  readonly shown: StoredKey
  readonly pkcs8: Redacted.Redacted<Uint8Array> | undefined
}

const wipe = ({ pkcs8 }: Entry): void => {
  if (pkcs8 !== undefined) Redacted.value(pkcs8).fill(0)
}

/**
 * A store in memory, empty. Its private halves are wiped when the scope closes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Service, never, Scope.Scope> = Effect.gen(function* () {
  const entries = new Map<string, Entry>()
  let active: string | undefined

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const entry of entries.values()) wipe(entry)
      entries.clear()
      active = undefined
    })
  )

  const find = (id: string, operation: "publicKey" | "sign" = "publicKey") =>
    Effect.suspend(() => {
      const entry = entries.get(id)
      return entry === undefined ? Effect.fail(KeyStore.notFound(name, id, operation)) : Effect.succeed(entry)
    })

  return KeyStore.KeyStore.of({
    name,
    insert: (keys, options) =>
      Effect.andThen(
        KeyStore.checkNewKeys(name, keys, options),
        Effect.suspend(() => {
          const taken = keys.find(({ id }) => entries.has(id))
          if (taken !== undefined) return Effect.fail(new KeyExists({ keyId: taken.id }))
          for (const { createdAt, id, privateKey, publicKey, tags } of keys) {
            entries.set(id, {
              shown: Object.freeze({
                id,
                publicKey,
                tags: KeyStore.copyTags(tags),
                disabled: false,
                createdAt,
                hasPrivateKey: privateKey !== undefined
              }),
              pkcs8: privateKey === undefined ? undefined : PrivateKey.toPkcs8(privateKey)
            })
          }
          active = options?.setActive ?? active
          return Effect.void
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
      Effect.flatMap(
        find(id, "sign"),
        ({ pkcs8, shown }): Effect.Effect<PrivateKey.PrivateKey, KeyNotSigner | KeyStoreError> =>
          pkcs8 === undefined
            ? Effect.fail(KeyStore.notSigner(name, id))
            : Wiped.withBytes(
                // of its own: the entry may be removed while this is read
                Effect.sync(() => new Uint8Array(Redacted.value(pkcs8))),
                (bytes) =>
                  Effect.mapError(
                    PrivateKey.fromPkcs8(bytes, { algorithm: shown.publicKey.algorithm }),
                    () => new KeyStoreError({ store: name, reason: "Corrupt", problem: "the key was wiped meanwhile" })
                  )
              )
      ),
    update: (id, change) =>
      Effect.andThen(
        KeyStore.checkChange(name, change),
        Effect.map(find(id), ({ pkcs8, shown }) => {
          const tags = change.tags === undefined ? shown.tags : KeyStore.copyTags(change.tags)
          const disabled = change.disabled ?? shown.disabled
          entries.set(id, { pkcs8, shown: Object.freeze({ ...shown, tags, disabled }) })
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
 * Provides a store in memory, empty.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<KeyStore.KeyStore> = Layer.effect(KeyStore.KeyStore, make)
