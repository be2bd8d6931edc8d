/**
 * A Signer with one key of an encrypted key store in a file: what `FileKeyStore`
 * and the commands `keys` keep.
 *
 * **When to use**
 *
 * Where a program signs with one of many keys and needs no `KeyManager`: a command, a
 * configuration. The key is in this process to sign.
 *
 * **Gotchas**
 *
 * The store is opened while the layer is built, which takes the time of one Argon2id.
 * Without an `id` it is the key that is active then, and stays that; with a `rotation` it is
 * the one that is active there whenever something is signed.
 *
 * **Example** (The key that is active)
 *
 * ```ts
 * import * as KeyStoreSigner from "effect-signer/KeyStoreSigner"
 *
 * const SignerLive = KeyStoreSigner.layer({ path: "/etc/acme/keys.json", passphraseFile: "/run/secrets/keys" })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration, InvalidResponse, KeyNotFound } from "../schemas/SignerError.ts"
import * as KeyManager from "../services/KeyManager.ts"
import { toSignerError } from "../services/KeyManagerSignerError.ts"
import { KeyStore } from "../services/KeyStore.ts"
import * as Rotation from "../services/Rotation.ts"
import { RotationStore } from "../services/RotationStore.ts"
import type { Service } from "../services/Signer.ts"
import * as Signer from "../services/Signer.ts"
import * as FileKeyStore from "./FileKeyStore.ts"
import * as FileRotationStore from "./FileRotationStore.ts"

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pick<
  FileKeyStore.Options,
  "path" | "passphrase" | "passphraseFile" | "followSymlinks"
> {
  /** Which key. Default: the one that is active in the store. */
  readonly id?: string | undefined
  /**
   * The file of a rotation of these keys, as the commands `rotate` keep it: always the key that is
   * active there signs, also when it is another one later. Instead of `id`.
   */
  readonly rotation?: string | undefined
  /** Fails while the layer is built where the key is another one. */
  readonly expectedPublicKey?: PublicKey.PublicKey | undefined
  readonly purpose?: string | undefined
}

const backend = "key-store"

/** The Signer of a rotation, which reads its file again as it says. */
const rotating = Effect.fnUntraced(function* (path: string, keys: KeyManager.Service, purpose: string | undefined) {
  const context = { backend, keyId: "active", operation: "make" } as const
  const store = yield* FileRotationStore.make({ path })
  const { state } = yield* Effect.mapError(store.read, ({ problem }) =>
    InvalidConfiguration.of({ ...context, field: "rotation", problem })
  )
  if (state === undefined) return yield* new KeyNotFound({ ...context, problem: "there is no rotation in that file" })
  const rotation = yield* Rotation.make({
    policy: state.policy,
    signerOf: KeyManager.signerOf(keys),
    purpose
  }).pipe(Effect.provideService(RotationStore, store))
  return yield* rotation.signer
})

/**
 * A Signer with a key of a store.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Service, SignerError, Scope.Scope> {
  const { expectedPublicKey, id, purpose, rotation, ...file } = options
  const context = { backend, keyId: id ?? "active", operation: "make" } as const
  if (rotation !== undefined && (id !== undefined || expectedPublicKey !== undefined)) {
    return yield* new InvalidConfiguration({
      ...context,
      field: "rotation",
      problem: "says which key signs: state neither id nor expectedPublicKey beside it"
    })
  }
  const keys = yield* FileKeyStore.make({ ...file, mustExist: true }).pipe(
    Effect.flatMap((store) => Effect.provideService(KeyManager.make, KeyStore, store)),
    Effect.mapError(toSignerError(backend, id))
  )
  const signer = yield* rotation === undefined ? KeyManager.signerOf(keys)(id) : rotating(rotation, keys, purpose)
  const publicKey = yield* signer.publicKey()
  if (expectedPublicKey !== undefined && !PublicKey.sameKey(publicKey, expectedPublicKey)) {
    return yield* new InvalidResponse({
      backend,
      keyId: signer.keyId,
      operation: "make",
      problem: `the public key is ${PublicKey.thumbprint(publicKey)}, expected ${PublicKey.thumbprint(expectedPublicKey)}`
    })
  }
  return Signer.Signer.of({ ...signer, purpose })
})

/**
 * Provides a `Signer` with a key of a store.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Signer.Signer, SignerError> =>
  Layer.effect(Signer.Signer, make(options))
