/**
 * Signs with a key that the operating system's keyring keeps: the Secret Service
 * of Linux (GNOME Keyring, KWallet, KeePassXC), the Keychain of macOS, the
 * Credential Manager of Windows.
 *
 * **Details**
 *
 * It needs `npm install @napi-rs/keyring`. A key is one entry, named by service
 * and account. What is stored is the PEM of PKCS#8, which `openssl` reads, or with
 * `format: "seed"` the 32 bytes that fastn stores. Where the account is an ID52 or
 * a `urn:kms:` id, the key in the entry must be that key.
 *
 * On Linux the Secret Service is asked first, over D-Bus, with a time limit: a host
 * without a session bus, without a service or with a locked keyring gets its
 * typed reason at once. The kernel's keyring, which forgets everything at reboot,
 * is never used instead.
 *
 * **Gotchas**
 *
 * A keyring keeps a secret, it does not sign: the key is read into the memory of
 * this process, as that of `LocalSigner` is, and whoever runs as the same user may
 * read it, too. Servers have no keyring as a rule.
 *
 * **Example** (The key of an identity)
 *
 * ```ts
 * import * as KeyringSigner from "effect-signer/KeyringSigner"
 *
 * const SignerLive = KeyringSigner.layer({
 *   service: "fastn",
 *   account: "i66fo538lfl5ombdf6tcdbrabp4hmp9asv7nrffuc2im13ct4q60"
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { primitives } from "#primitives"
import * as KeyId from "../schemas/KeyId.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import type { ErrorContext, SignerError } from "../schemas/SignerError.ts"
import {
  InvalidConfiguration,
  InvalidResponse,
  KeyNotFound,
  KeyUnavailable,
  PermissionDenied,
  Retryable,
  TimedOut,
  UnknownBackendError,
  VendorError
} from "../schemas/SignerError.ts"
import * as LocalBackend from "../services/LocalBackend.ts"
import type { Service } from "../services/Signer.ts"
import { Signer } from "../services/Signer.ts"
import * as HeldKey from "./keyFile/HeldKey.ts"
import * as SecretService from "./keyring/SecretService.ts"

const backend = "keyring"
const packageName = "@napi-rs/keyring"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * Where an entry is.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  /** The application: `"fastn"`. */
  readonly service: string
  /** The key. An ID52 or a `urn:kms:` id here must be that of the key. */
  readonly account: string
  /** For each question to the keyring. Default five seconds. */
  readonly timeLimit?: Duration.Input | undefined
  /**
   * Linux: let the desktop ask its user to unlock a locked keyring. Default `false`:
   * a locked keyring is `KeyUnavailable` at once. A question that nobody answers
   * ends with the time limit here, and keeps one thread busy until it is closed.
   */
  readonly prompt?: boolean | undefined
}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Entry {
  /** Required where the key allows several: RSA and secp256k1. */
  readonly algorithm?: SignatureAlgorithm | undefined
  /** A tripwire: any other key in the entry is `InvalidResponse`. */
  readonly expectedPublicKey?: PublicKey.PublicKey | undefined
  /** Default: `urn:kms:<curve>:<fingerprint>` of the public key. */
  readonly keyId?: KeyId.KeyId | undefined
  readonly purpose?: string | undefined
}

/**
 * Options of {@link store}.
 *
 * @category models
 * @since 0.1.0
 */
export interface StoreOptions extends Entry {
  /**
   * `"pem"`, the default: PKCS#8 PEM. `"seed"`: the bare 32 bytes of an Ed25519 key,
   * which fastn reads, under its ID52 as the account.
   */
  readonly format?: "pem" | "seed" | undefined
  /** Replace an entry that is there. Default `false`: it is an error. */
  readonly replace?: boolean | undefined
}

// ---------------------------------------------------------------------------
// the package
// ---------------------------------------------------------------------------

/** As much of the package as is used. */
interface Keyring {
  readonly AsyncEntry: new (
    service: string,
    account: string,
    options: { readonly linux: { readonly store: "secret-service" } }
  ) => VendorEntry
  findCredentialsAsync(service: string): Promise<ReadonlyArray<{ readonly account: string }>>
}

interface VendorEntry {
  getSecret(): Promise<Array<number> | null>
  setSecret(secret: Uint8Array): Promise<void>
  deleteCredential(): Promise<boolean>
}

const importPackage = (context: ErrorContext) =>
  Effect.tryPromise({
    try: (): Promise<Keyring> => import("@napi-rs/keyring"),
    catch: () =>
      new InvalidConfiguration({
        ...context,
        field: packageName,
        problem: `the package is not installed, or is not usable here; run: npm install ${packageName}`,
        absent: true
      })
  })

type Found = (context: ErrorContext, cause: VendorError) => SignerError

const locked: Found = (context, cause) => new KeyUnavailable({ ...context, state: "locked", cause })
const unreachable: Found = (context, cause) =>
  new InvalidConfiguration({
    ...context,
    field: "keyring",
    problem: "the keyring of this system cannot be reached",
    absent: true,
    cause
  })

/**
 * The package fails with a text and the code `GenericFailure`, whatever happened.
 * The words are those of keyring-rs and its platforms; what none of them fits is
 * `UnknownBackendError`.
 */
const texts: ReadonlyArray<readonly [words: RegExp, found: Found]> = [
  [/prompt was dismissed|is locked|IsLocked|user interaction is not allowed/i, locked],
  [
    /no result found/i,
    (context, cause) =>
      new InvalidConfiguration({
        ...context,
        field: "keyring",
        problem: "there is no default collection to store an entry in; log in to a desktop session, or create one",
        cause
      })
  ],
  [
    /more than one|ambiguous/i,
    (context, cause) =>
      new InvalidConfiguration({
        ...context,
        field: "account",
        problem: "several entries have this service and account; delete all but one",
        cause
      })
  ],
  [
    /longer than|too long|is invalid/i,
    (context, cause) =>
      new InvalidConfiguration({
        ...context,
        field: "secret",
        problem: "the keyring of this platform refuses an entry of this name or length",
        cause
      })
  ],
  [/denied|canceled|cancelled|not authorized/i, (context, cause) => new PermissionDenied({ ...context, cause })],
  [/Platform failure|zbus error|not supported/i, unreachable]
]

/** What the package says, in our words. Its text stays here: it may quote what it was given. */
const classify = (context: ErrorContext, error: unknown): SignerError => {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown }
  const cause = new VendorError({ vendorName: packageName, ...(code === "GenericFailure" ? { code } : {}) })
  const text = typeof message === "string" ? message : ""
  const found = texts.find(([words]) => words.test(text))?.[1]
  return found === undefined ? new UnknownBackendError({ ...context, cause }) : found(context, cause)
}

// ---------------------------------------------------------------------------
// entries
// ---------------------------------------------------------------------------

const contextOf = ({ account, service }: Entry): ErrorContext => ({
  backend,
  keyId: `${service}/${account}`,
  operation: "make"
})

const invalid = (context: ErrorContext, field: string, problem: string) =>
  Effect.fail(new InvalidConfiguration({ ...context, field, problem }))

const limited =
  (context: ErrorContext, entry: Pick<Entry, "timeLimit">) =>
  <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | Retryable> => {
    const duration = Duration.fromInputUnsafe(entry.timeLimit ?? "5 seconds")
    return Effect.timeoutOrElse(effect, {
      duration,
      orElse: () => Effect.fail(new Retryable({ ...context, reason: new TimedOut({ duration }) }))
    })
  }

const notFound = (context: ErrorContext) =>
  Effect.fail(
    new KeyNotFound({
      ...context,
      problem:
        "the keyring shows no entry with this service and account; that of another session, or one that is locked, " +
        "would not show"
    })
  )

const isName = (value: unknown): value is string =>
  // the platforms end a name at a zero byte
  typeof value === "string" && value !== "" && value.length <= 256 && !value.includes("\0")

/** Checks the names, then, on Linux, that the Secret Service is there and need not ask anybody. */
const prepare = Effect.fnUntraced(function* (
  context: ErrorContext,
  entry: Omit<Entry, "account"> & { readonly account?: string },
  writes: boolean
): Effect.fn.Return<{ readonly keyring: Keyring; readonly isAbsent: boolean }, SignerError> {
  const names = entry.account === undefined ? { service: entry.service } : entry
  for (const field of ["service", "account"] as const) {
    if (field in names && !isName(entry[field])) {
      return yield* invalid(context, field, "expected text of 1 to 256 characters without zero characters")
    }
  }
  const keyring = yield* importPackage(context)
  if (!SecretService.isUsed()) return { keyring, isAbsent: false }

  const attributes = {
    service: entry.service,
    ...(entry.account === undefined ? {} : { username: entry.account })
  }
  const state = yield* SecretService.state(attributes).pipe(
    Effect.mapError(
      (absent) => new InvalidConfiguration({ ...context, field: "keyring", problem: absent.message, absent: true })
    ),
    limited(context, entry)
  )
  if (writes && state.entry === "absent" && state.collection === "absent") {
    return yield* invalid(
      context,
      "keyring",
      "the Secret Service has no default collection to store a key in; log in to a desktop session, or create one"
    )
  }
  const needed = state.entry === "absent" && writes ? state.collection : state.entry
  if (needed === "locked" && entry.prompt !== true) {
    return yield* new KeyUnavailable({ ...context, state: "locked" })
  }
  return { keyring, isAbsent: state.entry === "absent" }
})

/** One call of the package. It cannot be interrupted: what it answers later is not looked at. */
const call = <A>(
  context: ErrorContext,
  entry: Entry,
  keyring: Keyring,
  evaluate: (entry: VendorEntry) => Promise<A>
): Effect.Effect<A, SignerError> =>
  limited(
    context,
    entry
  )(
    Effect.tryPromise({
      // without this option it falls back to the keyring of the kernel, which is volatile
      try: async () =>
        evaluate(new keyring.AsyncEntry(entry.service, entry.account, { linux: { store: "secret-service" } })),
      catch: (error) => classify(context, error)
    })
  )

const isId52 = /^[0-9a-v]{52}$/i

/** An account that is an id says which key it holds. */
const checkAccount = Effect.fnUntraced(function* (
  context: ErrorContext,
  entry: Entry,
  key: PublicKey.PublicKey
): Effect.fn.Return<void, SignerError> {
  const holds = isId52.test(entry.account)
    ? PublicKey.sameKey(yield* Effect.mapError(PublicKey.fromId52(entry.account), HeldKey.relocate(context)), key)
    : KeyId.parseUrn(entry.account) === undefined || KeyId.matches(entry.account, key)
  if (!holds) {
    return yield* new InvalidResponse({
      ...context,
      problem: `the key is ${PublicKey.toId52(key) ?? PublicKey.keyId(key)}, and the account names another`
    })
  }
})

/** Whether something other than the entry says which key it must be: then a bare seed is no guess. */
const isPinned = (options: Options) => isId52.test(options.account) || options.expectedPublicKey !== undefined

/** What an entry holds: a PEM, or where the key is pinned, a seed as fastn has stored it, bare or in hex. */
const decode = (
  context: ErrorContext,
  options: Options,
  secret: Uint8Array
): Effect.Effect<PrivateKey.PrivateKey, SignerError> => {
  const isText = secret.length <= 65_536 && secret.every((byte) => byte < 0x80)
  const text = isText ? new TextDecoder().decode(secret) : ""
  const { algorithm } = options
  if (text.startsWith("-----BEGIN ")) return PrivateKey.fromPem(Redacted.make(text), { algorithm })
  if (isPinned(options)) {
    if (secret.length === 32) return PrivateKey.fromRaw("Ed25519", secret, { algorithm })
    if (/^[0-9a-fA-F]{64}$/.test(text)) return PrivateKey.fromHex("Ed25519", Redacted.make(text), { algorithm })
  }
  return invalid(
    context,
    "secret",
    "the entry holds no PEM of a private key; a bare Ed25519 seed is read where the account is its ID52, or with " +
      "expectedPublicKey"
  )
}

/**
 * Reads a private key from the keyring.
 *
 * **Details**
 *
 * Fails with `KeyNotFound` where the keyring shows no such entry, `KeyUnavailable`
 * where it is locked, `InvalidConfiguration` where this host has no keyring or the
 * entry holds no key, and `InvalidResponse` where it holds another key than the
 * account or `expectedPublicKey` says.
 *
 * @category combinators
 * @since 0.1.0
 */
export const load = Effect.fnUntraced(function* (
  options: Omit<Options, "keyId" | "purpose">
): Effect.fn.Return<PrivateKey.PrivateKey, SignerError> {
  const context = contextOf(options)
  const { isAbsent, keyring } = yield* prepare(context, options, false)
  if (isAbsent) return yield* notFound(context)
  const answer = yield* call(context, options, keyring, (entry) => entry.getSecret())
  if (answer === null) return yield* notFound(context)
  const secret = Uint8Array.from(answer)
  answer.fill(0)
  const key = yield* Effect.ensuring(
    Effect.suspend(() => decode(context, options, secret)),
    Effect.sync(() => secret.fill(0))
  ).pipe(Effect.mapError(HeldKey.relocate(context)))
  yield* Effect.tapError(checkKey(context, options, key.publicKey), () => Effect.sync(() => PrivateKey.wipe(key)))
  return key
})

const checkKey = Effect.fnUntraced(function* (
  context: ErrorContext,
  options: Options,
  key: PublicKey.PublicKey
): Effect.fn.Return<void, SignerError> {
  yield* checkAccount(context, options, key)
  const expected = options.expectedPublicKey
  if (expected !== undefined && !PublicKey.sameKey(key, expected)) {
    return yield* new InvalidResponse({
      ...context,
      problem: `the public key is ${PublicKey.thumbprint(key)}, expected ${PublicKey.thumbprint(expected)}`
    })
  }
})

/** Credential Manager: `CRED_MAX_CREDENTIAL_BLOB_SIZE`, 5 * 512 bytes. */
const windowsLimit = 2560

/**
 * Writes a private key to the keyring, where it stays until {@link delete} or its
 * owner deletes it.
 *
 * **Gotchas**
 *
 * An entry that is there is replaced only with `replace`. Two writers at once may
 * both find none. Windows stores up to 2560 bytes: RSA keys with more than 3072
 * bits are refused there.
 *
 * @category combinators
 * @since 0.1.0
 */
export const store = Effect.fnUntraced(function* (
  privateKey: PrivateKey.PrivateKey,
  options: StoreOptions
): Effect.fn.Return<void, SignerError> {
  const context = contextOf(options)
  if (PrivateKey.isWiped(privateKey)) return yield* invalid(context, "privateKey", "the key was wiped")
  const isSeed = options.format === "seed"
  if (isSeed && PublicKey.toId52(privateKey.publicKey) !== options.account) {
    return yield* invalid(context, "format", "a seed is stored for an Ed25519 key whose ID52 is the account; use pem")
  }
  const { isAbsent, keyring } = yield* prepare(context, options, true)
  yield* checkAccount(context, options, privateKey.publicKey)
  if (options.replace !== true && !isAbsent && (yield* isThere(context, options, keyring))) {
    return yield* invalid(context, "account", "there is an entry already; replace it with replace: true")
  }
  yield* Effect.acquireUseRelease(
    Effect.sync(() => encode(privateKey, isSeed)),
    (secret) =>
      secret.length > windowsLimit && isWindows()
        ? invalid(context, "privateKey", `${secret.length} bytes; Credential Manager stores ${windowsLimit} at most`)
        : call(context, options, keyring, (entry) => entry.setSecret(secret)),
    (secret) => Effect.sync(() => secret.fill(0))
  )
})

declare const process: { readonly platform?: string } | undefined

const isWindows = () => typeof process !== "undefined" && process.platform === "win32"

const encode = (key: PrivateKey.PrivateKey, isSeed: boolean): Uint8Array => {
  if (!isSeed) return new TextEncoder().encode(Redacted.value(PrivateKey.toPem(key)))
  const pkcs8 = Redacted.value(PrivateKey.toPkcs8(key))
  const seed = pkcs8.slice(-32) // RFC 8410 section 7: version 1 ends in the seed
  pkcs8.fill(0)
  return seed
}

const isThere = (context: ErrorContext, options: Entry, keyring: Keyring): Effect.Effect<boolean, SignerError> =>
  Effect.map(
    call(context, options, keyring, (entry) => entry.getSecret()),
    (secret) => {
      secret?.fill(0)
      return secret !== null
    }
  )

/**
 * Tells whether the keyring shows an entry, whatever it holds.
 *
 * @category combinators
 * @since 0.1.0
 */
export const has = Effect.fnUntraced(function* (entry: Entry): Effect.fn.Return<boolean, SignerError> {
  const context = contextOf(entry)
  const { isAbsent, keyring } = yield* prepare(context, entry, false)
  return isAbsent ? false : yield* isThere(context, entry, keyring)
})

const delete_ = Effect.fnUntraced(function* (entry: Entry): Effect.fn.Return<void, SignerError> {
  const context = contextOf(entry)
  const { isAbsent, keyring } = yield* prepare(context, entry, false)
  if (isAbsent) return yield* notFound(context)
  const wasThere = yield* call(context, entry, keyring, (entry) => entry.deleteCredential())
  if (!wasThere) return yield* notFound(context)
})

export {
  /**
   * Deletes an entry, whatever it holds. Fails with `KeyNotFound` where the keyring
   * shows none.
   *
   * @category combinators
   * @since 0.1.0
   */
  delete_ as delete
}

/**
 * The accounts of a service, sorted.
 *
 * **Gotchas**
 *
 * The package lists entries together with their secrets, as text: each of them is
 * in the memory of this process for a moment, and cannot be wiped. A locked entry
 * is `KeyUnavailable`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const list = Effect.fnUntraced(function* (
  options: Omit<Entry, "account">
): Effect.fn.Return<ReadonlyArray<string>, SignerError> {
  const context: ErrorContext = { backend, keyId: "-", operation: "make" }
  const { isAbsent, keyring } = yield* prepare(context, options, false)
  if (isAbsent) return []
  const found = yield* limited(
    context,
    options
  )(
    Effect.tryPromise({
      try: async () => (await keyring.findCredentialsAsync(options.service)).map(({ account }) => account),
      catch: (error) => classify(context, error)
    })
  )
  return found.toSorted()
})

// ---------------------------------------------------------------------------
// signer
// ---------------------------------------------------------------------------

const makeLocal = LocalBackend.make(backend, primitives)

/**
 * A Signer with the key of an entry. The keyring is asked once; afterwards the key
 * is in this process, and the entry may be locked or deleted.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Service, SignerError> {
  const { algorithm, keyId, purpose } = options
  const privateKey = yield* load(options)
  return yield* Effect.ensuring(
    makeLocal({ privateKey, algorithm, keyId, purpose }),
    Effect.sync(() => PrivateKey.wipe(privateKey))
  )
})

/**
 * Provides a `Signer` with the key of an entry.
 *
 * @see {@link make}
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Signer, SignerError> => Layer.effect(Signer, make(options))

/**
 * What {@link layerConfig} reads.
 *
 * @category models
 * @since 0.1.0
 */
export type ConfigOptions = Omit<Options, "expectedPublicKey" | "timeLimit">

/**
 * Provides a `Signer` with the key of an entry that `Config` names.
 *
 * **Example** (An account from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import * as KeyringSigner from "effect-signer/KeyringSigner"
 *
 * const SignerLive = KeyringSigner.layerConfig({
 *   service: Config.succeed("fastn"),
 *   account: Config.String("FASTN_ID52")
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
