/**
 * Signs with a private key from a file: our own encrypted form, PEM, encrypted PEM,
 * JWK, PKCS#8, hex, base64, raw bytes, ev-node's `signer.json`, and fastn's files.
 *
 * **Details**
 *
 * What a file is, is told by its beginning; `format` states it. The file must be a
 * regular one and no symbolic link, belong to this user or to root, and have no
 * permissions for others (not checked on Windows). It is read once, when the
 * Signer is made; then the key is in this process, as with `LocalSigner`.
 *
 * {@link upgrade} encrypts a file of any form anew as our own, and
 * {@link changePassphrase} does so with another passphrase. Both replace the file
 * at once, under a lock: whoever is interrupted, or killed, leaves the old file or
 * the new one, whole.
 *
 * **Gotchas**
 *
 * The bytes of the file, of the passphrase and of the key are overwritten as soon
 * as they are not needed. Texts are not: JavaScript cannot wipe a string, so the
 * text of a passphrase, of a PEM or of a JWK stays in memory until that is used
 * again.
 *
 * A file protects a key as well as this machine and the passphrase do. A key that
 * matters belongs in a KMS, an HSM or an agent: only the layer changes.
 *
 * **Example** (An encrypted key, with the passphrase from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import * as FileSigner from "effect-signer/FileSigner"
 *
 * const SignerLive = FileSigner.layer({
 *   path: "/etc/app/release.key",
 *   passphrase: Config.Redacted("KEY_PASSPHRASE")
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as EncryptedKeyFile from "../schemas/EncryptedKeyFile.ts"
import * as FastnKeys from "../schemas/FastnKeys.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import { Format } from "../schemas/PrivateKeyForm.ts"
import * as PrivateKeyForm from "../schemas/PrivateKeyForm.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { KeyType } from "../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration, KeyNotFound } from "../schemas/SignerError.ts"
import * as Wiped from "../schemas/Wiped.ts"
import type { Service } from "../services/Signer.ts"
import { Signer } from "../services/Signer.ts"
import * as HeldKey from "./keyFile/HeldKey.ts"
import type { Passphrase } from "./keyFile/HeldKey.ts"
import * as SecretFile from "./keyFile/SecretFile.ts"

export {
  /**
   * The forms in which a key is read: `encrypted-key`, `ev-node`, `pem`, `jwk`,
   * `pkcs8`, `hex`, `base64` and `raw`.
   *
   * @category schemas
   * @since 0.1.0
   */
  Format
}

export type {
  /**
   * Where a passphrase comes from: the text itself, or an effect that finds it, as
   * a `Config` or a question on the terminal.
   *
   * @category models
   * @since 0.1.0
   */
  Passphrase
}

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

/**
 * Which file, and how it is to be read.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileOptions {
  /** The name of the file, relative to the working directory of the process. */
  readonly path: string
  /** Default: what the content begins like. `raw` must be stated. */
  readonly format?: Format | undefined
  /** What kind of key bare bytes are: of `raw`, and of `hex` and `base64` of them. */
  readonly keyType?: KeyType | undefined
  /**
   * Required where the key is encrypted; a text is refused where it is not, and an
   * effect is not run then.
   */
  readonly passphrase?: Passphrase | undefined
  /** A file with the passphrase in one line, checked as the key is. Excludes `passphrase`. */
  readonly passphraseFile?: string | undefined
  /** Read what a symbolic link leads to, as where Kubernetes mounts a secret. */
  readonly followSymlinks?: boolean | undefined
  /** Read a file that its group may read, as where Kubernetes sets `fsGroup`. */
  readonly allowGroupRead?: boolean | undefined
  /**
   * `ev-node` only: read a file without a salt, whose encryption hardly protects
   * the key. Meant for {@link upgrade}.
   */
  readonly allowLegacyKeyDerivation?: boolean | undefined
}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends FileOptions, HeldKey.Options {}

/**
 * Options of {@link makeFastn} and {@link layerFastn}: the key `prefix` in a
 * folder, or the key of an ID52 in a file of keys.
 *
 * @category models
 * @since 0.1.0
 */
export type FastnOptions = (
  | {
      /** A folder with `{prefix}.private-key`. */
      readonly folder: string
      readonly prefix: string
      /** The ID52 that the key must have. */
      readonly id52?: string | undefined
    }
  | {
      /** A file with lines `prefix: key`. */
      readonly path: string
      readonly id52: string
    }
) &
  Omit<HeldKey.Options, "algorithm"> &
  SecretFile.ReadOptions

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

const backend = "file"

const whereOf = (path: string): HeldKey.Where => ({ backend, keyId: HeldKey.shownName(path) })

const invalid = (where: HeldKey.Where, field: string, problem: string) =>
  new InvalidConfiguration({ ...where, operation: "make", field, problem })

/** Bytes of a file, wiped when `use` is done. */
const withContent = <A>(
  path: string,
  where: HeldKey.Where,
  options: SecretFile.ReadOptions,
  use: (content: SecretFile.Content) => Effect.Effect<A, SignerError>
): Effect.Effect<A, SignerError> =>
  Wiped.withWiped(
    Effect.mapError(SecretFile.read(path, options), HeldKey.fromProblem(where, "path")),
    use,
    ({ bytes }) => void bytes.fill(0)
  )

type ReadKeyOptions = FileOptions & Pick<PrivateKey.Options, "algorithm">

const decode = (
  { bytes }: SecretFile.Content,
  where: HeldKey.Where,
  options: ReadKeyOptions
): Effect.Effect<PrivateKey.PrivateKey, SignerError> =>
  Effect.flatMap(HeldKey.passphraseOf(where, options), (passphrase) =>
    Effect.mapError(PrivateKeyForm.decode(bytes, { ...options, passphrase }), HeldKey.relocate(where))
  )

/**
 * Reads the private key in a file.
 *
 * **Details**
 *
 * Fails with `KeyNotFound` where there is no such file, `PermissionDenied` where
 * the system does not let us read it, and `InvalidConfiguration` for everything
 * else, a wrong passphrase included. No error shows what the file holds.
 *
 * @category decoding
 * @since 0.1.0
 */
export const read = (options: ReadKeyOptions): Effect.Effect<PrivateKey.PrivateKey, SignerError> => {
  const where = whereOf(options.path)
  return withContent(options.path, where, options, (content) => decode(content, where, options))
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * A Signer with the private key in a file.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Service, SignerError> =>
  HeldKey.make(whereOf(options.path), read(options), options)

const textOf = (bytes: Uint8Array): Redacted.Redacted<string> => Redacted.make(new TextDecoder().decode(bytes))

const findFastn = (path: string, id52: string, options: SecretFile.ReadOptions) => {
  const where = whereOf(path)
  return withContent(path, where, options, ({ bytes }) =>
    Effect.filterOrFail(
      FastnKeys.find(textOf(bytes), id52),
      (key) => key !== undefined,
      () => new KeyNotFound({ ...where, operation: "make", problem: "no line is for this ID52" })
    )
  )
}

const readFastn = Effect.fnUntraced(function* (
  folder: string,
  prefix: string,
  id52: string | undefined,
  options: SecretFile.ReadOptions
): Effect.fn.Return<PrivateKey.PrivateKey, SignerError> {
  if (!/^[\w-][\w.-]{0,199}$/.test(prefix)) {
    return yield* invalid(
      whereOf(folder),
      "prefix",
      "it must be letters, digits, _, - and dots, and not begin with a dot"
    )
  }
  const [keyPath, idPath] = ["private-key", "id52"].map((end) => SecretFile.inFolder(folder, `${prefix}.${end}`))
  const where = whereOf(keyPath!)
  const [hasKey, hasId] = yield* Effect.mapError(
    Effect.all([SecretFile.exists(keyPath!), SecretFile.exists(idPath!)]),
    HeldKey.fromProblem(where, "folder")
  )
  if (hasId && hasKey) {
    return yield* invalid(
      where,
      "prefix",
      "the folder has both the .private-key and the .id52 of it; it must be known which is meant: remove one"
    )
  }
  if (hasId) {
    return yield* new KeyNotFound({
      ...where,
      operation: "make",
      problem:
        "the folder has the .id52 of it only: its key is in the keyring or in FASTN_SECRET_KEYS; use KeyringSigner or EnvSigner"
    })
  }
  const key = yield* withContent(keyPath!, where, options, ({ bytes }) => FastnKeys.decode(textOf(bytes)))
  if (id52 !== undefined && PublicKey.toId52(key.publicKey) !== id52) {
    PrivateKey.wipe(key)
    return yield* invalid(where, "id52", "the key in the folder is the key of another ID52")
  }
  return key
})

/**
 * A Signer with an Ed25519 key in a file of fastn.
 *
 * **Details**
 *
 * In a folder: `{prefix}.private-key`, and no `{prefix}.id52` beside it. In a file
 * of keys: of the lines whose prefix the ID52 begins with, the one whose key has
 * this ID52; it is an error where there are such lines and none has.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeFastn = (options: FastnOptions): Effect.Effect<Service, SignerError> =>
  "folder" in options
    ? HeldKey.make(whereOf(options.folder), readFastn(options.folder, options.prefix, options.id52, options), options)
    : HeldKey.make(whereOf(options.path), findFastn(options.path, options.id52, options), options)

/**
 * Provides a `Signer` with the private key in a file.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Signer, SignerError> => Layer.effect(Signer, make(options))

/**
 * Provides a `Signer` with a key in a file of fastn.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFastn = (options: FastnOptions): Layer.Layer<Signer, SignerError> =>
  Layer.effect(Signer, makeFastn(options))

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
 * Provides a `Signer` with the private key in a file, as `Config` says.
 *
 * **Example** (A file and its passphrase from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import * as FileSigner from "effect-signer/FileSigner"
 *
 * const SignerLive = FileSigner.layerConfig({
 *   path: Config.String("SIGNING_KEY_FILE"),
 *   passphraseFile: Config.String("SIGNING_KEY_PASSPHRASE_FILE")
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<ConfigOptions>
): Layer.Layer<Signer, SignerError | Config.ConfigError> =>
  Layer.effect(Signer, Effect.flatMap(Config.unwrap(config), make))

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

const encrypted = (
  where: HeldKey.Where,
  key: PrivateKey.PrivateKey,
  passphrase: Redacted.Redacted<string>,
  cost: EncryptedKeyFile.Cost | undefined
) =>
  Effect.map(Effect.mapError(EncryptedKeyFile.encrypt(key, passphrase, { cost }), HeldKey.relocate(where)), (file) =>
    new TextEncoder().encode(EncryptedKeyFile.encode(file))
  )

/** What a lock says of itself, in our words; what `use` says stays as it is. */
const withLock = <A>(
  path: string,
  where: HeldKey.Where,
  options: SecretFile.ReadOptions,
  use: (target: string) => Effect.Effect<A, SignerError>
): Effect.Effect<A, SignerError> =>
  Effect.catchTag(SecretFile.withLock(path, options, use), "FileProblem", (problem) =>
    Effect.fail(HeldKey.fromProblem(where, "path")(problem))
  )

/**
 * Writes a key into a new file, encrypted, with mode 0600. A file that exists is
 * never overwritten.
 *
 * @category encoding
 * @since 0.1.0
 */
export const create = (options: {
  readonly path: string
  readonly key: PrivateKey.PrivateKey
  readonly passphrase: Redacted.Redacted<string>
  /** Default `EncryptedKeyFile.defaultCost`. */
  readonly cost?: EncryptedKeyFile.Cost | undefined
}): Effect.Effect<void, SignerError> => {
  const where = whereOf(options.path)
  return Effect.flatMap(encrypted(where, options.key, options.passphrase, options.cost), (bytes) =>
    withLock(options.path, where, {}, (target) =>
      Effect.mapError(SecretFile.create(target, bytes), HeldKey.fromProblem(where, "path"))
    )
  )
}

/**
 * Options of {@link changePassphrase}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChangeOptions extends FileOptions {
  /** The one algorithm that the key is for from now on, where the file does not say one. */
  readonly algorithm?: PrivateKey.Options["algorithm"]
  readonly newPassphrase: Redacted.Redacted<string>
  /** Default `EncryptedKeyFile.defaultCost`, whatever the file had. */
  readonly cost?: EncryptedKeyFile.Cost | undefined
}

const rewrite = (options: ReadKeyOptions, newPassphrase: Redacted.Redacted<string>, cost: ChangeOptions["cost"]) => {
  const where = whereOf(options.path)
  return withLock(options.path, where, options, (target) =>
    withContent(target, where, { ...options, followSymlinks: false }, (content) =>
      Wiped.withWiped(
        decode(content, where, options),
        (key) =>
          Effect.flatMap(encrypted(where, key, newPassphrase, cost), (bytes) =>
            Effect.as(
              Effect.mapError(SecretFile.replace(target, bytes, content.identity), HeldKey.fromProblem(where, "path")),
              key.publicKey
            )
          ),
        PrivateKey.wipe
      )
    )
  )
}

/**
 * Encrypts the key in a file under another passphrase, in our own form whatever it
 * was, and answers with its public half.
 *
 * **Details**
 *
 * The new file replaces the old one at once, with mode 0600. Until then nothing of
 * the old one changes; a failure leaves it as it was. Two processes do so one after
 * the other, and the second fails where the passphrase it knows is no longer the
 * right one.
 *
 * **Gotchas**
 *
 * Backups, snapshots and the disk itself keep the old file. Whoever has one of
 * them and the old passphrase has the key.
 *
 * @category encoding
 * @since 0.1.0
 */
export const changePassphrase = (options: ChangeOptions): Effect.Effect<PublicKey.PublicKey, SignerError> =>
  rewrite(options, options.newPassphrase, options.cost)

/**
 * Encrypts the key in a file anew, under the same passphrase and in our own form:
 * for files of ev-node, encrypted PEM, and a cost that is no longer enough.
 *
 * **Details**
 *
 * As {@link changePassphrase}. ev-node does not read the new file: it signs through
 * this library from then on.
 *
 * @category encoding
 * @since 0.1.0
 */
export const upgrade = (
  options: Omit<ChangeOptions, "newPassphrase" | "passphrase" | "passphraseFile"> & {
    readonly passphrase: Redacted.Redacted<string>
  }
): Effect.Effect<PublicKey.PublicKey, SignerError> => rewrite(options, options.passphrase, options.cost)
