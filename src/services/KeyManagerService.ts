/**
 * What a `KeyManager` does, as an interface, and what its operations are told.
 *
 * @category internal
 */
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { KeyId } from "../schemas/KeyId.ts"
import type { ActiveKeyNotSet } from "../schemas/KeyManagerError.ts"
import type { ActiveKeyDelete, KeyExists, KeyStoreError } from "../schemas/KeyStoreError.ts"
import type { PrivateKey } from "../schemas/PrivateKey.ts"
import type { PublicKey } from "../schemas/PublicKey.ts"
import type { Signature } from "../schemas/Signature.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import type {
  InvalidConfiguration,
  KeyNotFound,
  KeyNotSigner,
  SignerError,
  UnsupportedAlgorithm
} from "../schemas/SignerError.ts"
import type { Entry, Filter, PrivateEntry } from "./KeyEntry.ts"
import type { Tags } from "./KeyStore.ts"
import type { Service as SignerService } from "./Signer.ts"

/**
 * What can be said of any new key.
 *
 * @category models
 * @since 0.1.0
 */
export interface NewOptions {
  /** Default: the URN of the public key. */
  readonly id?: string | undefined
  /** At most 64, names of at most 256 characters, values of at most 4,096. */
  readonly tags?: Tags | undefined
  /** Make it the active key, in the same step. Default `false`. */
  readonly setActive?: boolean | undefined
}

/**
 * Options of {@link Service.importPublicKey}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ImportPublicOptions extends NewOptions {
  /** Required where the key allows several and names none: RSA and secp256k1. */
  readonly algorithm?: SignatureAlgorithm | undefined
}

/**
 * Options of {@link Service.importKey}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ImportOptions extends ImportPublicOptions {
  /** `BIP341` only: the 32-byte Merkle root of the script tree. Absent: a key-path-only output. */
  readonly merkleRoot?: Uint8Array | undefined
}

/**
 * Options of {@link Service.generateKey}.
 *
 * @category models
 * @since 0.1.0
 */
export interface GenerateOptions extends NewOptions {
  /** RSA only, in bits. Default 3072. */
  readonly modulusLength?: number | undefined
  /** As in {@link ImportOptions}. */
  readonly merkleRoot?: Uint8Array | undefined
}

/**
 * Everything that an operation of a `KeyManager` can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type KeyManagerError = SignerError | KeyExists | ActiveKeyNotSet | ActiveKeyDelete | KeyStoreError

/** What adding a key can fail with. */
type AddError = InvalidConfiguration | UnsupportedAlgorithm | KeyExists | KeyStoreError

/**
 * The operations of a `KeyManager`. Where an id may be left out, it is that of
 * the active key, and `ActiveKeyNotSet` where there is none.
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  /**
   * Keeps a private key and answers its id. The store has a copy: `PrivateKey.wipe`
   * yours. `KeyExists` where the id is taken.
   */
  readonly importKey: (privateKey: PrivateKey, options?: ImportOptions) => Effect.Effect<KeyId, AddError>
  /** Keeps a public key to verify with: watch-only. A public key for `BIP341` is an output key. */
  readonly importPublicKey: (publicKey: PublicKey, options?: ImportPublicOptions) => Effect.Effect<KeyId, AddError>
  /** Makes a new key and keeps it. */
  readonly generateKey: (algorithm: SignatureAlgorithm, options?: GenerateOptions) => Effect.Effect<KeyId, AddError>
  /**
   * Takes a Signer of any backend in, for as long as this manager lives. Asks it for
   * its public key. Its signatures name the key as its backend does.
   */
  readonly attach: (
    signer: SignerService,
    options?: NewOptions
  ) => Effect.Effect<KeyId, SignerError | KeyExists | KeyStoreError>
  /**
   * A Signer of one key. Fails here, and not with the first message, where the key is
   * not there, watch-only or disabled. Once the key is disabled or removed through
   * this manager, the Signer signs no more.
   */
  readonly signer: (id?: string) => Effect.Effect<SignerService, SignerError | ActiveKeyNotSet | KeyStoreError>
  /** Signs the whole message. A protocol wants a {@link Service.signer}. */
  readonly sign: (
    message: Uint8Array,
    id?: string
  ) => Effect.Effect<Signature, SignerError | ActiveKeyNotSet | KeyStoreError>
  /**
   * Whether the signature is by this key over this message, by the rules of
   * `Verifier`. Also for watch-only and disabled keys. Asks no backend, except an
   * attached Signer for a public key that it has not read yet: that of the version
   * which the signature names.
   */
  readonly verify: (
    message: Uint8Array,
    signature: Uint8Array | Signature,
    id?: string
  ) => Effect.Effect<boolean, SignerError | ActiveKeyNotSet | KeyStoreError>
  /** The public key, with its algorithm: of an attached Signer, the current one. */
  readonly publicKey: (id?: string) => Effect.Effect<PublicKey, SignerError | ActiveKeyNotSet | KeyStoreError>
  readonly entry: (id: string) => Effect.Effect<Entry, KeyNotFound | KeyStoreError>
  /** By `createdAt`, then by id. */
  readonly list: (filter?: Filter) => Effect.Effect<ReadonlyArray<Entry>, KeyStoreError>
  readonly has: (id: string) => Effect.Effect<boolean, KeyStoreError>
  /**
   * The private half of a key that {@link Entry} says can be exported, also of a
   * disabled one. A `BIP341` key comes out as what it is: a `BIP340` key, the output
   * key. Wipe what you are given.
   */
  readonly exportKey: (
    entry: PrivateEntry
  ) => Effect.Effect<PrivateKey, InvalidConfiguration | KeyNotFound | KeyNotSigner | KeyStoreError>
  /**
   * Forgets a key. The active one only with `force`, and then none is active: also
   * the one that is active in the store while an attached one is active here.
   */
  readonly remove: (
    id: string,
    options?: { readonly force?: boolean | undefined }
  ) => Effect.Effect<void, KeyNotFound | ActiveKeyDelete | KeyStoreError>
  /** The id of the active key. */
  readonly active: Effect.Effect<Option.Option<KeyId>, KeyStoreError>
  readonly setActive: (id: string) => Effect.Effect<void, KeyNotFound | KeyStoreError>
  /** From now on the key signs nothing. */
  readonly disable: (id: string) => Effect.Effect<void, KeyNotFound | KeyStoreError>
  readonly enable: (id: string) => Effect.Effect<void, KeyNotFound | KeyStoreError>
  /** Replaces all tags of a key. */
  readonly setTags: (id: string, tags: Tags) => Effect.Effect<void, KeyNotFound | KeyStoreError>
}
