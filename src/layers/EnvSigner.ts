/**
 * Signs with a private key from a variable of the environment, or of whatever else
 * `Config` reads: PEM, JWK, our own encrypted form, hex, base64, or fastn's lines
 * of keys.
 *
 * **Details**
 *
 * The variable is read through the `ConfigProvider` of the program, once, when the
 * Signer is made.
 *
 * **Gotchas**
 *
 * Other processes of the same user, crash reports and what a program starts see
 * its environment. A file, an agent or a KMS keeps a key better: only the layer
 * changes.
 *
 * **Example** (A key in a variable)
 *
 * ```ts
 * import * as EnvSigner from "effect-signer/EnvSigner"
 *
 * const SignerLive = EnvSigner.layer({ variable: "SIGNING_KEY" })
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as FastnKeys from "../schemas/FastnKeys.ts"
import type * as PrivateKey from "../schemas/PrivateKey.ts"
import { Format } from "../schemas/PrivateKeyForm.ts"
import * as PrivateKeyForm from "../schemas/PrivateKeyForm.ts"
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

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends HeldKey.Options {
  /** The name of the variable: letters, digits and `_`. */
  readonly variable: string
  /** Default: what the text begins like. */
  readonly format?: Exclude<Format, "raw" | "pkcs8"> | undefined
  /** What kind of key `hex` and `base64` of bare bytes are. Without it they are those of PKCS#8. */
  readonly keyType?: KeyType | undefined
  /** Required where the key is encrypted; a text is refused where it is not, and an effect is not run then. */
  readonly passphrase?: Passphrase | undefined
}

/**
 * Options of {@link makeFastn} and {@link layerFastn}.
 *
 * @category models
 * @since 0.1.0
 */
export interface FastnOptions extends Omit<HeldKey.Options, "algorithm">, SecretFile.ReadOptions {
  /** The ID52 of the key. */
  readonly id52: string
}

const backend = "env"

const contextOf = (where: HeldKey.Where) => ({ ...where, operation: "make" }) as const

/** Whether a text can be the name of a variable. One that cannot may be a key in the wrong place, and is not shown. */
const isName = (name: unknown) =>
  typeof name === "string" && /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name) && !/^[A-Fa-f0-9]{40,}$/.test(name)

const notSet = (where: HeldKey.Where, problem: string) => new KeyNotFound({ ...contextOf(where), problem })

const variable = (
  name: string,
  where: HeldKey.Where
): Effect.Effect<Option.Option<Redacted.Redacted<string>>, SignerError> =>
  Effect.mapError(
    Config.option(Config.Redacted(name)),
    () => new InvalidConfiguration({ ...contextOf(where), field: "variable", problem: "it cannot be read as text" })
  )

const readVariable = Effect.fnUntraced(function* (
  options: Options,
  where: HeldKey.Where
): Effect.fn.Return<PrivateKey.PrivateKey, SignerError> {
  if (!isName(options.variable)) {
    return yield* new InvalidConfiguration({
      ...contextOf(where),
      field: "variable",
      problem: "this is not the name of a variable: letters, digits and _, and no digit first"
    })
  }
  const value = yield* variable(options.variable, where)
  // A provider gives one that is empty as absent, unless it is made to preserve it
  if (Option.isNone(value)) return yield* notSet(where, "the variable is not set, or is empty")
  const text = Redacted.value(value.value)
  if (HeldKey.isTooLong(text)) {
    return yield* new InvalidConfiguration({ ...contextOf(where), field: "variable", problem: "its value is too long" })
  }
  const passphrase = yield* HeldKey.passphraseOf(where, options)
  return yield* Wiped.withBytes(
    // A shell takes the last line end from what $(cat FILE) reads, and an encrypted key file has one
    Effect.sync(() => new TextEncoder().encode(/^\{[^]*[^\n]$/.test(text) ? `${text}\n` : text)),
    (bytes) => PrivateKeyForm.decode(bytes, { ...options, passphrase })
  )
})

/**
 * A Signer with the private key in a variable.
 *
 * **Details**
 *
 * Fails with `KeyNotFound` where the variable is not set, and with
 * `InvalidConfiguration` where its value is no key. No error shows the value.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Service, SignerError> =>
  Effect.suspend(() => {
    const where = { backend, keyId: isName(options.variable) ? options.variable : "-" }
    return HeldKey.make(where, readVariable(options, where), options)
  })

const keysVariable = "FASTN_SECRET_KEYS"
const fileVariable = "FASTN_SECRET_KEYS_FILE"

const fileKeys = (
  where: HeldKey.Where,
  path: string,
  options: SecretFile.ReadOptions
): Effect.Effect<Redacted.Redacted<string>, SignerError> =>
  Effect.map(Effect.mapError(SecretFile.read(path, options), HeldKey.fromProblem(where, fileVariable)), ({ bytes }) => {
    const text = new TextDecoder().decode(bytes)
    bytes.fill(0)
    return Redacted.make(text)
  })

const readFastn = Effect.fnUntraced(function* (
  options: FastnOptions,
  where: HeldKey.Where
): Effect.fn.Return<PrivateKey.PrivateKey, SignerError> {
  const keys = yield* variable(keysVariable, where)
  const file = yield* variable(fileVariable, where)
  if (Option.isSome(keys) && Option.isSome(file)) {
    return yield* new InvalidConfiguration({
      ...contextOf(where),
      field: keysVariable,
      problem: `${keysVariable} and ${fileVariable} are both set; it must be known which is meant: unset one`
    })
  }
  if (Option.isNone(keys) && Option.isNone(file)) {
    return yield* notSet(where, `neither ${keysVariable} nor ${fileVariable} is set`)
  }
  const text = Option.isSome(keys)
    ? keys.value
    : yield* fileKeys(where, Redacted.value(Option.getOrThrow(file)), options)
  const key = yield* FastnKeys.find(text, options.id52)
  return key ?? (yield* notSet(where, "no line is for this ID52"))
})

/**
 * A Signer with the Ed25519 key of an ID52, from `FASTN_SECRET_KEYS` or from the
 * file that `FASTN_SECRET_KEYS_FILE` names.
 *
 * **Details**
 *
 * Lines are `prefix: key`, with the beginning of an ID52 and 64 digits of hex; `#`
 * begins a comment. Of the lines whose prefix the ID52 begins with, the one whose
 * key has this ID52 is taken; it is `InvalidConfiguration` where there are such
 * lines and none has, where both variables are set, and where a line is no line,
 * one with an empty prefix included. The file is checked as `FileSigner` does.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeFastn = (options: FastnOptions): Effect.Effect<Service, SignerError> =>
  Effect.suspend(() => {
    const where = { backend, keyId: /^[0-9a-v]{52}$/.test(options.id52) ? options.id52 : "-" }
    return HeldKey.make(where, readFastn(options, where), options)
  })

/**
 * Provides a `Signer` with the private key in a variable.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Signer, SignerError> => Layer.effect(Signer, make(options))

/**
 * Provides a `Signer` with a key of `FASTN_SECRET_KEYS` or `FASTN_SECRET_KEYS_FILE`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFastn = (options: FastnOptions): Layer.Layer<Signer, SignerError> =>
  Layer.effect(Signer, makeFastn(options))
