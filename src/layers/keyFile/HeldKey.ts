/**
 * A Signer with a key that is read when it is made: from a file, or from a
 * variable. What the key was read from is wiped.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import { primitives } from "#primitives"
import type { KeyId } from "../../schemas/KeyId.ts"
import { maxInputLength } from "../../schemas/Malformed.ts"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import {
  InvalidConfiguration,
  InvalidResponse,
  isSignerError,
  KeyNotFound,
  PermissionDenied,
  VendorError
} from "../../schemas/SignerError.ts"
import * as Wiped from "../../schemas/Wiped.ts"
import * as LocalBackend from "../../services/LocalBackend.ts"
import type { Service } from "../../services/Signer.ts"
import * as SecretFile from "./SecretFile.ts"

/**
 * Options of every Signer with a key that is read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Required where the key allows several and names none: RSA and secp256k1. */
  readonly algorithm?: SignatureAlgorithm | undefined
  /** Default: `urn:kms:<curve>:<fingerprint>` of the public key. */
  readonly keyId?: KeyId | undefined
  readonly purpose?: string | undefined
  /** A tripwire: any other key is `InvalidResponse`. */
  readonly expectedPublicKey?: PublicKey.PublicKey | undefined
}

/**
 * Where a passphrase comes from: the text itself, or an effect that finds it, as a
 * `Config` or a question on the terminal. The effect is run where the key turns
 * out to be encrypted, and not otherwise.
 *
 * @category models
 * @since 0.1.0
 */
export type Passphrase = Redacted.Redacted<string> | Effect.Effect<Redacted.Redacted<string>, unknown>

/** Where in the program something went wrong: of which backend, and with what as the name of the key. */
export interface Where {
  readonly backend: string
  readonly keyId: string
}

/** A name as errors may show it: one that could be a key in the wrong place is not shown. */
export const shownName = (name: unknown): string =>
  typeof name !== "string" ||
  name.length > 1024 ||
  /-----|[\r\n{"]/.test(name) ||
  name.split(/[\\/]/).some((part) => /^[A-Za-z0-9+=_-]{40,}$/.test(part))
    ? "-"
    : name || "-"

const contextOf = ({ backend, keyId }: Where) => ({ backend, keyId, operation: "make" }) as const

/** An error of the input, in the words of this backend. */
export const relocate =
  (where: Where) =>
  (error: SignerError): SignerError =>
    error._tag === "InvalidConfiguration" && error.operation === "parse"
      ? new InvalidConfiguration({
          ...contextOf(where),
          ...(error.field === undefined ? {} : { field: error.field }),
          problem: error.problem
        })
      : error

/** An error of a file, in the words of this backend. */
export const fromProblem =
  (where: Where, field: string) =>
  (error: SecretFile.FileProblem): SignerError => {
    const cause = error.code === undefined ? {} : { cause: new VendorError({ code: error.code, text: error.problem }) }
    return error.kind === "NotFound"
      ? new KeyNotFound({ ...contextOf(where), problem: `${field}: ${error.problem}`, ...cause })
      : error.kind === "PermissionDenied"
        ? new PermissionDenied({ ...contextOf(where), ...cause })
        : new InvalidConfiguration({ ...contextOf(where), field, problem: error.problem, ...cause })
  }

const invalid = (where: Where, field: string, problem: string) =>
  new InvalidConfiguration({ ...contextOf(where), field, problem })

/** The passphrase of the options, if they say one. */
export const passphraseOf = (
  where: Where,
  options: {
    readonly passphrase?: Passphrase | undefined
    readonly passphraseFile?: string | undefined
  } & SecretFile.ReadOptions
): Effect.Effect<
  Redacted.Redacted<string> | Effect.Effect<Redacted.Redacted<string>, SignerError> | undefined,
  SignerError
> => {
  const { passphrase, passphraseFile } = options
  if (passphraseFile !== undefined) {
    return passphrase === undefined
      ? Effect.succeed(
          // A file that is missing here is not a missing key
          Effect.mapError(SecretFile.readLine(passphraseFile, options), ({ problem }) =>
            invalid(where, "passphraseFile", problem)
          )
        )
      : Effect.fail(invalid(where, "passphraseFile", "excludes passphrase"))
  }
  if (passphrase !== undefined && !Redacted.isRedacted(passphrase) && !Effect.isEffect(passphrase)) {
    return Effect.fail(invalid(where, "passphrase", "must be a Redacted, or an effect that answers with one"))
  }
  return Effect.succeed(
    passphrase === undefined || Redacted.isRedacted(passphrase)
      ? (passphrase as Redacted.Redacted<string> | undefined)
      : Effect.mapError(passphrase as Effect.Effect<Redacted.Redacted<string>, unknown>, (error) =>
          // of any other tag it would be said of the key: a passphrase that is nowhere is no missing key
          isSignerError(error) && error._tag === "Retryable"
            ? error
            : invalid(
                where,
                "passphrase",
                // what a question or a configuration says of itself is not ours to repeat
                `it could not be had (${Predicate.hasProperty(error, "_tag") && /^[A-Za-z]{1,64}$/.test(String(error._tag)) ? String(error._tag) : "unknown error"})`
              )
        )
  )
}

/** A Signer with the key, which is read now and wiped once the Signer has it. */
export const make = Effect.fnUntraced(function* (
  where: Where,
  read: Effect.Effect<PrivateKey.PrivateKey, SignerError>,
  { algorithm, expectedPublicKey, keyId, purpose }: Options
): Effect.fn.Return<Service, SignerError> {
  const signer = yield* Wiped.withWiped(
    Effect.mapError(read, relocate(where)),
    (privateKey) => LocalBackend.make(where.backend, primitives)({ privateKey, algorithm, keyId, purpose }),
    PrivateKey.wipe
  )
  if (expectedPublicKey !== undefined) {
    const publicKey = yield* signer.publicKey()
    if (!PublicKey.sameKey(publicKey, expectedPublicKey)) {
      return yield* new InvalidResponse({
        ...contextOf(where),
        problem: `the public key is ${PublicKey.thumbprint(publicKey)}, expected ${PublicKey.thumbprint(expectedPublicKey)}`
      })
    }
  }
  return signer
})

/** Text that holds a secret is bounded as files are. */
export const isTooLong = (text: string): boolean => text.length > maxInputLength
