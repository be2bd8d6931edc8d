import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { LinkFailure, SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import { Signer } from "../services/Signer.ts"

/**
 * One place where the key may be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Link<R = never> {
  /** How the report calls it: `"keyring"`. */
  readonly name: string
  readonly layer: Layer.Layer<Signer, SignerError | Config.ConfigError, R>
}

/**
 * Options of {@link firstAvailable}.
 *
 * @category models
 * @since 0.1.0
 */
export interface FirstAvailableOptions {
  /**
   * Whether this failure of this link says that the key is not there, so that the
   * next one is tried. Default: the table of {@link firstAvailable}.
   */
  readonly movesOn?: ((error: SignerError | Config.ConfigError, link: string) => boolean) | undefined
}

/** Each tag of the union, so that a new one must be decided on. */
const saysNotHere: {
  readonly [Tag in SignerError["_tag"]]: (error: Extract<SignerError, { readonly _tag: Tag }>) => boolean
} = {
  KeyNotFound: () => true,
  Retryable: ({ reason }) => reason._tag === "BackendUnavailable" || reason._tag === "TimedOut",
  InvalidConfiguration: ({ absent }) => absent === true,
  AuthenticationFailed: () => false,
  InvalidResponse: () => false,
  KeyNotSigner: () => false,
  KeyUnavailable: () => false,
  MessageTooLarge: () => false,
  PermissionDenied: () => false,
  PolicyDenied: () => false,
  UnknownBackendError: () => false,
  UnsupportedAlgorithm: () => false
}

/** What is not set, if that is all: a value that is malformed is another matter. */
const notSet = ({ cause }: Config.ConfigError): string | undefined => {
  if (cause._tag !== "SchemaError") return undefined
  let issue = cause.issue
  const path: Array<PropertyKey> = []
  while (issue._tag === "Pointer" || issue._tag === "Encoding") {
    if (issue._tag === "Pointer") path.push(...issue.path)
    issue = issue.issue
  }
  // a source has texts only: what is of another type is nothing
  return issue._tag === "InvalidType" || issue._tag === "MissingKey" ? path.map(String).join("_") : undefined
}

const movesOnByDefault = (error: SignerError | Config.ConfigError): boolean =>
  error._tag === "ConfigError"
    ? notSet(error) !== undefined
    : (saysNotHere[error._tag] as (error: SignerError) => boolean)(error)

const context = { backend: "first-available", keyId: "-", operation: "make" } as const

const failureOf = (link: string, error: SignerError | Config.ConfigError): LinkFailure => {
  const missing = error._tag === "ConfigError" ? notSet(error) : undefined
  // Effect's message of a ConfigError says what was expected, and where; never what was found
  const message = missing === undefined ? error.message.replace(/\s+/g, " ") : `${missing} is not set`
  return { link, tag: error._tag, message }
}

/** Builds a layer in a scope of its own, which is closed at once where that fails. */
const build = <R>(layer: Link<R>["layer"]) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.flatMap(Effect.scope, (scope) => Scope.fork(scope)),
      (scope) =>
        Effect.onExit(restore(Layer.buildWithScope(layer, scope)), (exit) =>
          Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void
        )
    )
  )

/**
 * Provides the first Signer of a list that can be built: the keyring, else the key
 * file, else the environment.
 *
 * **Details**
 *
 * The links are built in order, while this layer is built, and none after the first
 * that succeeds. What a link that failed had opened is released before the next
 * is tried. Where all say that the key is not there, the error is one
 * `InvalidConfiguration` whose `causes` have the name, tag and message of each.
 *
 * | a link fails with | then |
 * | --- | --- |
 * | `KeyNotFound` | the next is tried |
 * | `Retryable` with `BackendUnavailable` or `TimedOut` | the next is tried |
 * | `InvalidConfiguration` with `absent`: no such package, bus, service | the next is tried |
 * | `ConfigError` of a variable that is not set | the next is tried |
 * | everything else: another key than expected, a wrong passphrase, a locked keyring, a malformed value | this is the error; nothing else is tried |
 *
 * The last row is what keeps a chain from signing with another key without a word.
 * `movesOn` replaces the table.
 *
 * **Gotchas**
 *
 * It decides once, and does not change afterwards: see `fallback` for a second
 * Signer that steps in later. A layer that is `lazy` is always available. State
 * `expectedPublicKey` on each link that has it, where only one key will do.
 *
 * **Example** (A variable, else a key for this run)
 *
 * ```ts
 * import { Config } from "effect"
 * import { LocalSigner, Signer } from "effect-signer"
 *
 * const SignerLive = Signer.firstAvailable([
 *   { name: "environment", layer: LocalSigner.layerConfig({ pem: Config.Redacted("SIGNING_KEY") }) },
 *   { name: "generated", layer: LocalSigner.layerGenerated("Ed25519") }
 * ])
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const firstAvailable = <const Links extends ReadonlyArray<Link<unknown>>>(
  links: Links,
  options?: FirstAvailableOptions
): Layer.Layer<Signer, SignerError, Layer.Services<Links[number]["layer"]>> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const movesOn = options?.movesOn ?? movesOnByDefault
      const causes: Array<LinkFailure> = []
      for (const { layer, name } of links as ReadonlyArray<Link<Layer.Services<Links[number]["layer"]>>>) {
        const built = yield* Effect.result(build(layer))
        if (built._tag === "Success") return built.success
        const error = built.failure
        if (!movesOn(error, name)) {
          return yield* error._tag === "ConfigError"
            ? new InvalidConfiguration({ ...context, field: name, problem: failureOf(name, error).message })
            : error
        }
        causes.push(failureOf(name, error))
      }
      return yield* new InvalidConfiguration({
        ...context,
        field: "links",
        problem:
          causes.length === 0
            ? "there are none"
            : `no key is available; ${causes.map(({ link, message }) => `${link}: ${message}`).join("; ")}`,
        absent: true,
        causes
      })
    })
  )
