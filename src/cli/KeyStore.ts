/**
 * Where the `key` commands keep keys: in encrypted files, or in the keyring of the
 * operating system.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as FileSigner from "../layers/FileSigner.ts"
import * as KeyringSigner from "../layers/KeyringSigner.ts"
import * as SecretFile from "../layers/keyFile/SecretFile.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import type { Failure } from "./Failure.ts"
import { failure, ofSigner, plain, shownPath, systemErrors } from "./Failure.ts"
import * as FileForm from "./FileForm.ts"
import * as Passphrase from "./Passphrase.ts"

/** What is known of a key without its passphrase. */
export interface Entry {
  readonly name: string
  readonly keyId?: string | undefined
  readonly keyType?: string | undefined
  readonly algorithm?: string | undefined
  /** `encrypted key file`, `PKCS#8 PEM`, `keyring`... */
  readonly format: string
  readonly encrypted: boolean
  readonly problem?: string | undefined
}

/** How a key that is read is decrypted: by flags of the user, or by the environment, which may be meant for another. */
export type Decryption = Redacted.Redacted<string> | Effect.Effect<Redacted.Redacted<string>> | undefined

/** A place with keys. Names are file names, or accounts. */
export interface KeyStore {
  readonly list: Effect.Effect<ReadonlyArray<Entry>, Failure>
  readonly read: (name: string, decryption: Decryption) => Effect.Effect<PrivateKey.PrivateKey, Failure>
  /** Fails where there is one of the name. */
  readonly create: (
    name: string,
    key: PrivateKey.PrivateKey,
    passphrase: Redacted.Redacted<string> | undefined
  ) => Effect.Effect<void, Failure>
  /** What is there, so that a person can be asked about it, and how it is removed. */
  readonly find: (
    name: string
  ) => Effect.Effect<{ readonly entry: Entry; readonly remove: Effect.Effect<void, Failure> }, Failure>
}

/** The passphrase that flags or the environment state, for {@link KeyStore.read}. */
export const decryptionOf = (source: Passphrase.Source) =>
  Effect.map(Passphrase.read(source, { twice: false }), (passphrase): Decryption =>
    Option.isNone(passphrase)
      ? undefined
      : source.passphrase || Option.isSome(source.passphraseFile)
        ? passphrase.value
        : Effect.succeed(passphrase.value)
  )

// ---------------------------------------------------------------------------
// files
// ---------------------------------------------------------------------------

/** The sentence of an error about the key in a file. */
export const inFile =
  (path: string) =>
  (error: SignerError): Failure => {
    const shown = shownPath(path)
    switch (error._tag) {
      case "KeyNotFound":
        return failure(`${shown}: ${systemErrors.NotFound}`, "FileError")
      case "PermissionDenied":
        return failure(`${shown}: ${systemErrors.PermissionDenied}`, "FileError")
      case "InvalidConfiguration":
        return error.field === "path"
          ? failure(`${shown}: ${plain(error.problem)}`, "FileError")
          : error.field === "passphrase" && /needed/.test(error.problem)
            ? failure(`${shown}: the key is encrypted; ${Passphrase.advice}`, error._tag)
            : failure(`${shown}: ${ofSigner(error).message}`, error._tag)
      default:
        return failure(`${shown}: ${ofSigner(error).message}`, error._tag)
    }
  }

const ofProblem =
  (path: string) =>
  ({ problem }: SecretFile.FileProblem): Failure =>
    failure(`${shownPath(path)}: ${problem}`, "FileError")

/** The public half of a key that is not encrypted; the key itself is wiped. */
const publicHalf = ({ privateKey }: FileForm.FileForm) =>
  privateKey === undefined
    ? undefined
    : Effect.map(privateKey(undefined), (key) => {
        PrivateKey.wipe(key)
        return key.publicKey
      })

/** What a file is; `undefined` where it is no private key. Its bytes are wiped. */
const describe = (name: string, path: string) =>
  Effect.flatMap(SecretFile.readAny(path), (content) =>
    Effect.gen(function* () {
      const form = FileForm.of(content.bytes)
      if (!FileForm.isPrivate(form)) return undefined
      const encrypted = form.kind === "encrypted private key"
      const known = encrypted ? form.publicKey : publicHalf(form)
      const result = known === undefined ? undefined : yield* Effect.result(known)
      const publicKey = result?._tag === "Success" ? result.success : undefined
      const entry: Entry = {
        name,
        keyId: publicKey === undefined ? undefined : PublicKey.keyId(publicKey),
        keyType: publicKey?.type,
        algorithm: publicKey?.algorithm,
        format: encrypted && form.format === "PKCS#8 PEM" ? "encrypted PEM" : form.format,
        encrypted,
        problem:
          result?._tag === "Failure"
            ? ofSigner(result.failure).message
            : (content.mode & 0o077) !== 0 && process.platform !== "win32"
              ? `others may read or change it (mode ${content.mode.toString(8).padStart(4, "0")})`
              : undefined
      }
      return { entry, identity: content.identity }
    }).pipe(Effect.ensuring(Effect.sync(() => content.bytes.fill(0))))
  )

/** Files that are private keys, in a folder. Names of `create`, `read` and `find` are paths, whatever the folder. */
export const files = (folder: string): KeyStore => ({
  list: Effect.gen(function* () {
    const names = yield* Effect.mapError(SecretFile.list(folder), ofProblem(folder))
    const found = yield* Effect.forEach(names, (name) =>
      // What cannot be read as a small regular file is no key file
      Effect.orElseSucceed(describe(name, Path.join(folder, name)), () => undefined)
    )
    return found.flatMap((one) => (one === undefined ? [] : [one.entry]))
  }),
  read: (name, passphrase) => Effect.mapError(FileSigner.read({ path: name, passphrase }), inFile(name)),
  create: (name, key, passphrase) =>
    passphrase === undefined
      ? Effect.fail(failure(`the file that is written needs a passphrase; ${Passphrase.newAdvice}`))
      : Effect.mapError(FileSigner.create({ path: name, key, passphrase }), inFile(name)),
  find: (name) =>
    Effect.flatMap(Effect.mapError(describe(name, name), ofProblem(name)), (found) =>
      found === undefined
        ? Effect.fail(failure(`${shownPath(name)}: this is no private key; it is left where it is`, "WrongFile"))
        : Effect.succeed({
            entry: found.entry,
            remove: SecretFile.withLock(name, {}, (target) => SecretFile.remove(target, found.identity)).pipe(
              Effect.mapError(ofProblem(name))
            )
          })
    )
})

/** Whether a path leads to nothing yet, for an answer before a passphrase is asked for. */
export const isFree = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    Fs.lstat(path).then(
      () => false,
      () => true
    )
  )

// ---------------------------------------------------------------------------
// the keyring
// ---------------------------------------------------------------------------

/** The entries of a service in the keyring of the operating system. Names are accounts. */
export const keyring = (service: string): KeyStore => {
  const entryOf = (name: string): Entry => ({ name, format: "keyring", encrypted: true })
  return {
    list: Effect.mapBoth(KeyringSigner.list({ service }), {
      onFailure: ofSigner,
      onSuccess: (accounts) => accounts.map(entryOf)
    }),
    read: (account) => Effect.mapError(KeyringSigner.load({ service, account }), ofSigner),
    create: (account, key) => Effect.mapError(KeyringSigner.store(key, { service, account }), ofSigner),
    find: (account) =>
      Effect.mapError(KeyringSigner.has({ service, account }), ofSigner).pipe(
        Effect.filterOrFail(
          (has) => has,
          () => failure("the keyring has no such entry", "KeyNotFound")
        ),
        Effect.as({
          entry: entryOf(account),
          remove: Effect.mapError(KeyringSigner.delete({ service, account }), ofSigner)
        })
      )
  }
}
