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
 * Without an `id` it is the key that is active then, and stays that.
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
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidResponse } from "../schemas/SignerError.ts"
import * as KeyManager from "../services/KeyManager.ts"
import { toSignerError } from "../services/KeyManagerSignerError.ts"
import { KeyStore } from "../services/KeyStore.ts"
import type { Service } from "../services/Signer.ts"
import * as Signer from "../services/Signer.ts"
import * as FileKeyStore from "./FileKeyStore.ts"

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
  /** Which key. Default: the one that is active. */
  readonly id?: string | undefined
  /** Fails while the layer is built where the key is another one. */
  readonly expectedPublicKey?: PublicKey.PublicKey | undefined
  readonly purpose?: string | undefined
}

const backend = "key-store"

/**
 * A Signer with a key of a store.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Service, SignerError> {
  const { expectedPublicKey, id, purpose, ...file } = options
  const signer = yield* FileKeyStore.make({ ...file, mustExist: true }).pipe(
    Effect.flatMap((store) => Effect.provideService(KeyManager.make, KeyStore, store)),
    Effect.flatMap((keys) => keys.signer(id)),
    Effect.mapError(toSignerError(backend, id))
  )
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
