/**
 * The store of many keys that `keys`, `rotate` and `jwks publish` work on: one
 * encrypted file, and the `KeyManager` over it.
 *
 * @category internal
 */
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as FileKeyStore from "../layers/FileKeyStore.ts"
import type { KeyStoreError } from "../schemas/KeyStoreError.ts"
import { isSignerError } from "../schemas/SignerError.ts"
import * as KeyManager from "../services/KeyManager.ts"
import type { Tags } from "../services/KeyStore.ts"
import { KeyStore } from "../services/KeyStore.ts"
import type { Failure } from "./Failure.ts"
import { fail, failure, ofSigner, plain, shownPath } from "./Failure.ts"
import { isFree } from "./KeyStore.ts"
import * as Passphrase from "./Passphrase.ts"

/** The environment variable of `--store`. */
export const variable = "EFFECT_SIGNER_STORE"

const defaultPath = "effect-signer-keys.json"

/** The flags of commands that open the store. */
export const flags = {
  store: Flag.String("store").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(
      `The encrypted file with the keys. Default: $${variable}, or ${defaultPath} in the folder you are in`
    ),
    Flag.optional
  ),
  passphraseFile: Flag.String("passphrase-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(
      `Read the passphrase of the store from a file; one line end after it is left out. Default: $${Passphrase.variable}`
    ),
    Flag.optional
  ),
  passphrase: Flag.Boolean("passphrase").pipe(
    Flag.withDescription("Ask for the passphrase of the store on the terminal"),
    Flag.withDefault(false),
    Flag.withoutNegation
  )
}

/** What these flags say. */
export interface Source extends Passphrase.Source {
  readonly store: Option.Option<string>
}

/** The file that is meant. */
export const pathOf = Effect.fnUntraced(function* ({ store }: Pick<Source, "store">) {
  const fromEnvironment = Config.option(Config.String(variable)).pipe(
    Effect.mapError(() => failure(`${variable} cannot be read`))
  )
  const path = Option.isSome(store) ? store.value : Option.getOrElse(yield* fromEnvironment, () => defaultPath)
  return path === "" || path === "-" ? yield* fail("--store is a file") : path
})

// ---------------------------------------------------------------------------
// opening
// ---------------------------------------------------------------------------

/** The sentence of an error of the store in a file. */
export const ofStore =
  (path: string) =>
  ({ _tag, problem, reason }: KeyStoreError): Failure =>
    failure(
      `${shownPath(path)}: ${
        reason === "NotFound"
          ? "there is no key store; effect-signer keys generate or keys import makes one"
          : plain(problem)
      }`,
      _tag
    )

/** The sentence of any error of keys in a file. */
export const ofKeys =
  (path: string) =>
  (error: KeyManager.KeyManagerError): Failure => {
    if (isSignerError(error)) {
      return error._tag === "KeyNotFound" && error.problem === undefined
        ? failure(
            `${shownPath(path)}: there is no such key: ${plain(error.keyId)}; effect-signer keys list shows them`,
            error._tag
          )
        : ofSigner(error)
    }
    switch (error._tag) {
      case "KeyStoreError":
        return ofStore(path)(error)
      case "ActiveKeyDelete":
        return failure(
          "it is the active key; make another one active with effect-signer keys use, or say --force",
          error._tag
        )
      case "ActiveKeyNotSet":
        return failure("no key is active; name one, or make one active with effect-signer keys use", error._tag)
      case "KeyExists":
        return failure(plain(error.message.slice(`${error._tag}: `.length)), error._tag)
    }
  }

/** The keys of a store that is open. */
export interface Opened {
  readonly path: string
  readonly keys: KeyManager.Service
  /** Runs what is asked of the keys; what goes wrong is said in a sentence. */
  readonly ask: <A>(
    f: (keys: KeyManager.Service) => Effect.Effect<A, KeyManager.KeyManagerError>
  ) => Effect.Effect<A, Failure>
}

/** Opens the store, or makes it where a command that adds a key may. */
export const open = Effect.fnUntraced(function* (source: Source, options: { readonly create?: boolean } = {}) {
  const path = yield* pathOf(source)
  const isNew = options.create === true && (yield* isFree(path))
  const passphrase = Option.getOrUndefined(yield* Passphrase.read(source, { twice: isNew, isRequired: true }))
  if (passphrase === undefined) return yield* fail(`the key store is encrypted; ${Passphrase.advice}`)
  const store = yield* Effect.mapError(
    FileKeyStore.make({ path, passphrase, mustExist: options.create !== true }),
    (error) =>
      isNew && error.reason === "NotFound"
        ? failure(`the folder of ${shownPath(path)} does not exist`, error._tag)
        : ofStore(path)(error)
  )
  const keys = yield* Effect.provideService(KeyManager.make, KeyStore, store)
  const opened: Opened = { path, keys, ask: (f) => Effect.mapError(f(keys), ofKeys(path)) }
  return opened
})

// ---------------------------------------------------------------------------
// tags
// ---------------------------------------------------------------------------

/** The flag `--tag`, with what it is for. */
export const tagFlag = (description: string) =>
  Flag.String("tag").pipe(
    Flag.withMetavar("NAME=VALUE"),
    Flag.withDescription(`${description}. May be stated several times`),
    Flag.atLeast(0)
  )

/** Reads what `--tag` says. */
export const readTags = (texts: ReadonlyArray<string>): Effect.Effect<Tags, Failure> => {
  const tags = new Map<string, string>()
  for (const text of texts) {
    const at = text.indexOf("=")
    if (at < 1) return fail("--tag is NAME=VALUE")
    const name = text.slice(0, at)
    if (tags.has(name)) return fail("--tag states the same name twice")
    tags.set(name, text.slice(at + 1))
  }
  return Effect.succeed(Object.fromEntries(tags))
}
