/**
 * Many keys under one roof: imported, generated, watched or attached, each under an
 * id, with one of them active.
 *
 * A key here is one key and one algorithm, and {@link Service.signer} makes a
 * `Signer` of it like any other: protocols, decorators and backends stay what they
 * are. Where keys are kept is the business of a `KeyStore`.
 *
 * **Details**
 *
 * - *Ids.* Any printable line of up to 1,024 characters, also a path below another
 *   id (`urn:kms:secp256k1:ab…/0/1`). By default the URN of the public key, see
 *   `KeyId.fromPublicKey`. Where that URN names the same key under another algorithm,
 *   the new one gets `#` and its algorithm behind it: a secp256k1 key imported for
 *   `ES256K` and then for `BIP340` is `urn:…` and `urn:…#bip340`. The URN of a private
 *   key is that of its own point, whatever the scheme; `KeyId.matches` tells whether
 *   a URN fits a key.
 * - *The active key* is what signs where no id is given. Importing and generating
 *   leave it alone unless asked.
 * - *Watch-only* keys verify, and sign with `KeyNotSigner`. *Disabled* keys verify,
 *   and sign with `KeyUnavailable`.
 * - *Attached* Signers (`AwsKmsSigner`, `SshAgentSigner`...) live in this process: the
 *   store knows nothing of them, and neither does the next process. While one is
 *   active, it is active here only.
 * - *BIP341* keys are tweaked once, when they are imported, with the Merkle root given
 *   there. What is kept, shown and exported is the output key.
 * - `sign` reads the entry for each signature, so it notices at once what other
 *   processes did to a shared store. A Signer of `signer` reads nothing: it notices
 *   what was done through this manager, and what `sign` or `signer` of this manager
 *   read since. A key that came under the id of another has Signers of its own.
 *
 * **Gotchas**
 *
 * A private key that signed stays in this process, prepared, until it is disabled or
 * removed here, and as long as somebody holds a Signer of it.
 *
 * `generateKey` over `MemoryKeyStore` makes a key that dies with the process: where
 * `NODE_ENV` is `production` that store refuses it, unless `allowInProduction`.
 *
 * **Example** (Two keys, one of them active)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import * as KeyManager from "effect-signer/KeyManager"
 * import * as MemoryKeyStore from "effect-signer/MemoryKeyStore"
 *
 * const program = Effect.gen(function*() {
 *   const keys = yield* KeyManager.KeyManager
 *   yield* keys.generateKey("Ed25519", { id: "release", setActive: true })
 *   yield* keys.generateKey("BIP340", { tags: { wallet: "main" } })
 *   const signature = yield* keys.sign(new TextEncoder().encode("1.0.0"))
 *   return yield* keys.verify(new TextEncoder().encode("1.0.0"), signature, "release") // true
 * })
 *
 * const KeysLive = KeyManager.layer.pipe(Layer.provide(MemoryKeyStore.layer))
 * Effect.runPromise(program.pipe(Effect.provide(KeysLive)))
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import { isBytes } from "../schemas/Bytes.ts"
import * as KeyId from "../schemas/KeyId.ts"
import { ActiveKeyNotSet } from "../schemas/KeyManagerError.ts"
import type { KeyStoreError } from "../schemas/KeyStoreError.ts"
import { ActiveKeyDelete, KeyExists } from "../schemas/KeyStoreError.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import { Signature } from "../schemas/Signature.ts"
import type { InvalidConfiguration, KeyNotFound, SignerError } from "../schemas/SignerError.ts"
import { KeyNotSigner } from "../schemas/SignerError.ts"
import * as Wiped from "../schemas/Wiped.ts"
import type { AttachedEntry, Entry } from "./KeyEntry.ts"
import * as KeyEntry from "./KeyEntry.ts"
import { KeyGate } from "./KeyGate.ts"
import * as ManagedKeyId from "./ManagedKeyId.ts"
import * as OpenedKeys from "./OpenedKeys.ts"
import * as TaprootKey from "./TaprootKey.ts"
import type { Tags } from "./KeyStore.ts"
import { toSignerError } from "./KeyManagerSignerError.ts"
import * as KeyStore from "./KeyStore.ts"
import type { ImportOptions, NewOptions, Service } from "./KeyManagerService.ts"
import * as Signer from "./Signer.ts"
import * as Verifier from "./Verifier.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  AttachedEntry,
  /**
   * @category models
   * @since 0.1.0
   */
  Entry,
  /**
   * @category models
   * @since 0.1.0
   */
  EntryFields,
  /**
   * @category models
   * @since 0.1.0
   */
  Filter,
  /**
   * @category models
   * @since 0.1.0
   */
  PrivateEntry,
  /**
   * @category models
   * @since 0.1.0
   */
  WatchOnlyEntry
} from "./KeyEntry.ts"
export type {
  /**
   * @category models
   * @since 0.1.0
   */
  GenerateOptions,
  /**
   * @category models
   * @since 0.1.0
   */
  ImportOptions,
  /**
   * @category models
   * @since 0.1.0
   */
  ImportPublicOptions,
  /**
   * @category errors
   * @since 0.1.0
   */
  KeyManagerError,
  /**
   * @category models
   * @since 0.1.0
   */
  NewOptions,
  /**
   * @category models
   * @since 0.1.0
   */
  Service
} from "./KeyManagerService.ts"
export {
  /**
   * @category errors
   * @since 0.1.0
   */
  ActiveKeyNotSet
} from "../schemas/KeyManagerError.ts"
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
  KeyStoreError
} from "../schemas/KeyStoreError.ts"

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * Holds many keys, and makes Signers of them.
 *
 * @category services
 * @since 0.1.0
 */
export class KeyManager extends Context.Service<KeyManager, Service>()("effect-signer/KeyManager") {}

// ---------------------------------------------------------------------------
// make
// ---------------------------------------------------------------------------

/** A Signer that was attached. */
interface Attached {
  readonly signer: Signer.Service
  readonly publicKey: PublicKey.PublicKey
  readonly gate: KeyGate
  readonly createdAt: number
  tags: Tags
}

const entryOfAttached = ({ createdAt, gate, publicKey, signer, tags }: Attached): AttachedEntry => ({
  kind: "attached",
  canExport: false,
  id: gate.id,
  backend: signer.backend,
  algorithm: signer.algorithm,
  publicKey,
  tags,
  state: gate.state === "disabled" ? "disabled" : "enabled",
  createdAt
})

/** The key that is kept for a private key, and the public key that verifies what it signs. */
const materialOf = Effect.fnUntraced(function* (
  privateKey: PrivateKey.PrivateKey,
  { algorithm: asked, merkleRoot }: ImportOptions
): Effect.fn.Return<readonly [PrivateKey.PrivateKey, PublicKey.PublicKey], InvalidConfiguration> {
  if (!PrivateKey.isPrivateKey(privateKey)) return yield* ManagedKeyId.invalid("privateKey", "must be a PrivateKey")
  if (PrivateKey.isWiped(privateKey)) return yield* ManagedKeyId.invalid("privateKey", "the key was wiped")
  const algorithm = yield* PublicKey.resolveAlgorithm(privateKey.publicKey, asked)
  if (merkleRoot !== undefined && (algorithm !== "BIP341" || !isBytes(merkleRoot) || merkleRoot.length !== 32)) {
    return yield* ManagedKeyId.invalid(
      "merkleRoot",
      algorithm === "BIP341" ? "must be 32 bytes" : `applies to BIP341, not to ${algorithm}`
    )
  }
  const kept = algorithm === "BIP341" ? yield* TaprootKey.outputKey(privateKey, merkleRoot?.slice()) : privateKey
  return [kept, yield* PublicKey.withAlgorithm(kept.publicKey, algorithm)]
})

/**
 * A manager of the keys in the store.
 *
 * **Details**
 *
 * It reads nothing now. Two managers share what their store shares, and nothing
 * else: no state is global.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Service, never, KeyStore.KeyStore> = Effect.gen(function* () {
  const store = yield* KeyStore.KeyStore
  const opened = yield* OpenedKeys.make(store)
  const attached = new Map<string, Attached>()
  /**
   * What is active here, whatever the store says: an attached key, or none after it
   * was removed. Never would another key sign in its place.
   */
  let activeHere: Option.Option<KeyId.KeyId> | undefined
  /** One change at a time: an id is free, and then it is taken. */
  const changing = Semaphore.makeUnsafe(1).withPermit

  // ids

  const active: Service["active"] = Effect.suspend(() =>
    activeHere === undefined
      ? Effect.map(
          store.active,
          Option.map((id) => id as KeyId.KeyId)
        )
      : Effect.succeed(activeHere)
  )

  const named = (id: string | undefined): Effect.Effect<string, ActiveKeyNotSet | KeyStoreError> =>
    id === undefined
      ? Effect.flatMap(
          active,
          Option.match({ onNone: () => Effect.fail(new ActiveKeyNotSet()), onSome: (id) => Effect.succeed(id) })
        )
      : Effect.succeed(id)

  const has: Service["has"] = (id) => Effect.suspend(() => (attached.has(id) ? Effect.succeed(true) : store.has(id)))

  const find = (id: string): Effect.Effect<Entry | undefined, KeyStoreError> =>
    Effect.catchTag(entry(id), "KeyNotFound", () => Effect.succeed(undefined))

  /** A free id for a key: the one that was chosen, or its URN. */
  const freeId = Effect.fnUntraced(function* (
    chosen: KeyId.KeyId | undefined,
    urn: KeyId.KeyId,
    publicKey: PublicKey.PublicKey
  ): Effect.fn.Return<KeyId.KeyId, KeyExists | KeyStoreError> {
    let id = chosen ?? urn
    if (chosen === undefined) {
      const suffixed = ManagedKeyId.withAlgorithm(urn, publicKey.algorithm!)
      const there = yield* find(urn)
      // the same key for the same algorithm is not taken in twice
      if (there === undefined && (yield* has(suffixed))) return yield* new KeyExists({ keyId: suffixed })
      if (
        there !== undefined &&
        there.algorithm !== publicKey.algorithm &&
        PublicKey.sameKey(there.publicKey, publicKey)
      )
        id = suffixed
    }
    return (yield* has(id)) ? yield* new KeyExists({ keyId: id }) : id
  })

  // keys in

  const insert = Effect.fnUntraced(function* (
    chosen: string | undefined,
    urn: KeyId.KeyId,
    publicKey: PublicKey.PublicKey,
    privateKey: PrivateKey.PrivateKey | undefined,
    { setActive, tags }: NewOptions
  ): Effect.fn.Return<KeyId.KeyId, InvalidConfiguration | KeyExists | KeyStoreError> {
    const checked = chosen === undefined ? undefined : yield* ManagedKeyId.check(chosen)
    const id = yield* freeId(checked, urn, publicKey)
    const createdAt = yield* Clock.currentTimeMillis
    yield* store.insert(
      [{ id, publicKey, privateKey, tags: tags ?? {}, createdAt }],
      setActive === true ? { setActive: id } : {}
    )
    if (setActive === true) activeHere = undefined
    return id
  }, changing)

  const importKey: Service["importKey"] = (privateKey, options = {}) =>
    Wiped.withWiped(
      materialOf(privateKey, options),
      ([kept, publicKey]) => insert(options.id, ManagedKeyId.ofPrivateKey(kept, publicKey), publicKey, kept, options),
      ([kept]) => {
        if (kept !== privateKey) PrivateKey.wipe(kept)
      }
    )

  const importPublicKey: Service["importPublicKey"] = Effect.fnUntraced(function* (publicKey, options = {}) {
    if (!PublicKey.isPublicKey(publicKey)) return yield* ManagedKeyId.invalid("publicKey", "must be a PublicKey")
    const algorithm = yield* PublicKey.resolveAlgorithm(publicKey, options.algorithm)
    const stated = yield* PublicKey.withAlgorithm(publicKey, algorithm)
    const urn = KeyId.fromPublicKey(algorithm === "BIP341" ? stated : publicKey)
    return yield* insert(options.id, urn, stated, undefined, options)
  })

  const generateKey: Service["generateKey"] = (algorithm, options = {}) =>
    Wiped.withWiped(
      PrivateKey.generate(algorithm, { modulusLength: options.modulusLength }),
      (privateKey) => importKey(privateKey, { ...options, algorithm }),
      PrivateKey.wipe
    )

  const attach: Service["attach"] = Effect.fnUntraced(function* (signer, { id: chosen, setActive, tags = {} } = {}) {
    const checked = chosen === undefined ? undefined : yield* ManagedKeyId.check(chosen)
    const own = (yield* KeyStore.checkChange(ManagedKeyId.backend, { tags })).tags!
    const publicKey = yield* PublicKey.withAlgorithm(yield* signer.publicKey(), signer.algorithm)
    return yield* Effect.gen(function* () {
      const id = yield* freeId(checked, KeyId.fromPublicKey(publicKey), publicKey)
      const createdAt = yield* Clock.currentTimeMillis
      attached.set(id, { signer, publicKey, gate: new KeyGate(id), createdAt, tags: own })
      if (setActive === true) activeHere = Option.some(id)
      return id
    }).pipe(changing)
  })

  // keys that sign

  const signer: Service["signer"] = Effect.fnUntraced(function* (id) {
    const name = yield* named(id)
    const here = attached.get(name)
    if (here !== undefined) return yield* here.gate.pass(Effect.succeed(here.gate.guard(here.signer)))
    const [gate, signer] = yield* opened.usable(name)
    return gate.guard(signer)
  })

  const sign: Service["sign"] = (message, id) =>
    Effect.suspend(() => {
      // the caller's buffer may change while the store is asked
      const copy = isBytes(message) ? new Uint8Array(message) : message
      return Effect.flatMap(named(id), (name) => {
        const here = attached.get(name)
        return here === undefined
          ? Effect.flatMap(opened.usable(name), ([gate, signer]) => gate.pass(signer.sign(copy)))
          : here.gate.pass(here.signer.sign(copy))
      })
    })

  // keys that verify

  const publicKeyOf = (
    id: string | undefined,
    signature?: Uint8Array | Signature
  ): Effect.Effect<PublicKey.PublicKey, SignerError | ActiveKeyNotSet | KeyStoreError> =>
    Effect.flatMap(named(id), (name): Effect.Effect<PublicKey.PublicKey, SignerError | KeyStoreError> => {
      const here = attached.get(name)
      return here === undefined
        ? Effect.map(store.get(name), (stored) => stored.publicKey)
        : here.signer.publicKey(signature instanceof Signature ? signature.keyVersion : undefined)
    })

  const verify: Service["verify"] = (message, signature, id) =>
    Effect.flatMap(publicKeyOf(id, signature), (publicKey) => Verifier.verify(publicKey, message, signature))

  // entries

  const entry: Service["entry"] = (id) =>
    Effect.suspend((): Effect.Effect<Entry, KeyNotFound | KeyStoreError> => {
      const here = attached.get(id)
      return here === undefined ? Effect.map(store.get(id), KeyEntry.ofStored) : Effect.succeed(entryOfAttached(here))
    })

  const list: Service["list"] = Effect.fnUntraced(function* (filter = {}) {
    const asked = KeyEntry.storeFilter(filter)
    const stored = asked === undefined ? [] : yield* store.list(asked)
    const here = [...attached.values()].map(entryOfAttached).filter((entry) => KeyEntry.matches(entry, filter))
    // an attached key hides a stored one that another process put under its id
    const shown: ReadonlyArray<Entry> = stored.filter(({ id }) => !attached.has(id)).map(KeyEntry.ofStored)
    return [...shown, ...here].sort(KeyStore.compare)
  })

  const exportKey: Service["exportKey"] = ({ id, publicKey }) =>
    Effect.suspend(() =>
      attached.has(id)
        ? Effect.fail(new KeyNotSigner(ManagedKeyId.signContext(id)))
        : Effect.flatMap(
            store.privateKey(id),
            (key): Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration | KeyNotFound> => {
              const wiping = Effect.ensuring(Effect.sync(() => PrivateKey.wipe(key)))
              return !PublicKey.sameKey(key.publicKey, publicKey) || key.algorithm !== publicKey.algorithm
                ? wiping(Effect.fail(KeyStore.notFound(ManagedKeyId.backend, id, "sign"))) // another came under its id
                : key.algorithm === "BIP341"
                  ? wiping(TaprootKey.asBip340(key))
                  : Effect.succeed(key)
            }
          )
    )

  // changes

  const remove: Service["remove"] = (id, options) =>
    Effect.suspend(() => {
      const here = attached.get(id)
      if (here === undefined) {
        return Effect.onExit(store.remove(id, options), (exit) =>
          Exit.isSuccess(exit) ? opened.changed(id, "removed") : Effect.void
        )
      }
      const isActive = activeHere !== undefined && Option.contains(activeHere, here.gate.id)
      if (isActive && options?.force !== true) return Effect.fail(new ActiveKeyDelete({ keyId: id }))
      attached.delete(id)
      here.gate.state = "removed"
      if (isActive) activeHere = Option.none()
      return Effect.void
    }).pipe(changing)

  const setActive: Service["setActive"] = (id) =>
    Effect.suspend(() => {
      const here = attached.get(id)
      if (here === undefined) {
        return Effect.map(store.setActive(id), () => {
          activeHere = undefined
        })
      }
      activeHere = Option.some(here.gate.id)
      return Effect.void
    }).pipe(changing)

  const setDisabled = (disabled: boolean) => (id: string) =>
    Effect.suspend(() => {
      const state = disabled ? "disabled" : "open"
      const here = attached.get(id)
      if (here !== undefined) {
        here.gate.state = state
        return Effect.void
      }
      return Effect.onExit(store.update(id, { disabled }), (exit) =>
        Exit.isSuccess(exit) ? opened.changed(id, state) : Effect.void
      )
    }).pipe(changing)

  const setTags: Service["setTags"] = (id, tags) =>
    Effect.suspend(() => {
      const here = attached.get(id)
      return here === undefined
        ? store.update(id, { tags })
        : Effect.map(KeyStore.checkChange(ManagedKeyId.backend, { tags }), (change) => {
            here.tags = change.tags!
          })
    }).pipe(changing)

  return KeyManager.of({
    importKey,
    importPublicKey,
    generateKey,
    attach,
    signer,
    sign,
    verify,
    publicKey: (id) => publicKeyOf(id),
    entry,
    list,
    has,
    exportKey,
    remove,
    active,
    setActive,
    disable: setDisabled(true),
    enable: setDisabled(false),
    setTags
  })
})

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides a `KeyManager` over the `KeyStore` of the environment.
 *
 * **Example** (Keys in memory)
 *
 * ```ts
 * import { Layer } from "effect"
 * import * as KeyManager from "effect-signer/KeyManager"
 * import * as MemoryKeyStore from "effect-signer/MemoryKeyStore"
 *
 * const KeysLive = KeyManager.layer.pipe(Layer.provide(MemoryKeyStore.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<KeyManager, never, KeyStore.KeyStore> = Layer.effect(KeyManager, make)

/**
 * The Signer of a key of a manager, with the errors of a Signer only: for
 * `Rotation`, `Signers`, and whatever else takes a Signer by its id.
 *
 * **Details**
 *
 * A store that cannot be reached is `Retryable`, one that is refused
 * `InvalidConfiguration`; no active key is `KeyNotFound`.
 *
 * **Example** (A rotation over the keys of a manager)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as KeyManager from "effect-signer/KeyManager"
 * import * as Rotation from "effect-signer/Rotation"
 *
 * const rotation = Effect.gen(function*() {
 *   const keys = yield* KeyManager.KeyManager
 *   return yield* Rotation.make({
 *     policy: { propagation: "15 minutes", tokenLifetime: "1 hour" },
 *     signerOf: KeyManager.signerOf(keys)
 *   })
 * })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const signerOf =
  (keys: Service) =>
  (id?: string): Effect.Effect<Signer.Service, SignerError> =>
    Effect.mapError(keys.signer(id), toSignerError("key-manager", id))

/**
 * Provides a `Signer` of one key of the `KeyManager`: of the key that is active when
 * the layer is built, where no id is given. Fails as {@link signerOf} does.
 *
 * @see {@link Service.signer}
 * @category layers
 * @since 0.1.0
 */
export const layerSigner = (id?: string): Layer.Layer<Signer.Signer, SignerError, KeyManager> =>
  Layer.effect(
    Signer.Signer,
    KeyManager.use((keys) => signerOf(keys)(id))
  )
