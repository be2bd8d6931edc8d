/**
 * Signs with a key of an HSM, a smart card or SoftHSM, over PKCS#11.
 *
 * **Details**
 *
 * Needs the optional package `pkcs11js`, which is compiled when it is installed
 * (Python 3, make and a C++ compiler), and the vendor's module: a library that is
 * loaded into this process.
 *
 * | key type | algorithm | mechanism | what reaches the token |
 * | --- | --- | --- | --- |
 * | `CKK_EC_EDWARDS` | `Ed25519` | `CKM_EDDSA` | the message |
 * | `CKK_EC` | `ES256` `ES384` `ES512` `ES256K` | `CKM_ECDSA` | its digest |
 * | `CKK_RSA` | `RS256` `RS384` `RS512` | `CKM_RSA_PKCS` | its digest |
 * | `CKK_RSA` | `PS256` `PS384` `PS512` | `CKM_RSA_PKCS_PSS`, salt as long as the hash | its digest |
 *
 * Signatures are made on threads of libuv, in a pool of sessions: this thread does
 * not wait for the token, except for what begins an operation (`C_SignInit`), opens a
 * session or logs in. Calls beyond the pool wait in order. Where a session or its
 * login is gone, the call is repeated once on a new session, with the PIN that was
 * accepted before.
 *
 * **Gotchas**
 *
 * A native call cannot be stopped. A call that is interrupted returns at once, and
 * its session stays taken until the token has answered; it is then closed. A token
 * that hangs so holds `sessions` threads of libuv, which file access and host names
 * use as well: state fewer sessions than `UV_THREADPOOL_SIZE`, or raise that, where it
 * may. A call under way keeps the process running until it returns.
 *
 * A login belongs to the process and not to a layer: while one layer is logged in,
 * others on the same token need no PIN. All threads of a process share the module,
 * too; use it from one of them.
 *
 * **Example** (A key of SoftHSM)
 *
 * ```ts
 * import { Config, Effect, Redacted } from "effect"
 * import { Signer } from "effect-signer"
 * import * as Pkcs11Signer from "effect-signer/Pkcs11Signer"
 *
 * const signerWith = (pin: Redacted.Redacted<string>) =>
 *   Pkcs11Signer.layer({
 *     module: "/usr/lib/softhsm/libsofthsm2.so",
 *     uri: "pkcs11:token=release;object=ed25519",
 *     pin
 *   })
 *
 * const program = Effect.gen(function*() {
 *   const pin = yield* Config.Redacted("HSM_PIN")
 *   return yield* Signer.sign(new TextEncoder().encode("hello")).pipe(Effect.provide(signerWith(pin)))
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { RemoteOptions } from "../decorators/remote.ts"
import { layerRemote } from "../decorators/remote.ts"
import * as KeyId from "../schemas/KeyId.ts"
import * as Pkcs1 from "../schemas/Pkcs1.ts"
import * as Pkcs11Uri from "../schemas/Pkcs11Uri.ts"
import type * as PublicKey from "../schemas/PublicKey.ts"
import * as SignatureAlgorithm from "../schemas/SignatureAlgorithm.ts"
import type { ErrorContext, SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration, KeyNotFound, UnsupportedAlgorithm } from "../schemas/SignerError.ts"
import type { Service } from "../services/Signer.ts"
import * as Signer from "../services/Signer.ts"
import type { Problem } from "./pkcs11/Pkcs11Error.ts"
import { attemptCalls, mistaken, Refused } from "./pkcs11/Pkcs11Error.ts"
import * as Pkcs11Key from "./pkcs11/Pkcs11Key.ts"
import type { Cryptoki, Pkcs11Js } from "./pkcs11/Pkcs11Module.ts"
import * as Pkcs11Module from "./pkcs11/Pkcs11Module.ts"
import type { PinFile, PinSource } from "./pkcs11/Pkcs11Pin.ts"
import * as Pkcs11Pin from "./pkcs11/Pkcs11Pin.ts"
import * as Pkcs11SessionPool from "./pkcs11/Pkcs11SessionPool.ts"
import * as Pkcs11Token from "./pkcs11/Pkcs11Token.ts"

export type { Cryptoki, PinFile, PinSource, Pkcs11Js }

const backend = "pkcs11"

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

/**
 * Which key, and for what. Token and key are each named so that exactly one fits: by
 * `uri`, by the other fields, or by both where they do not contradict each other.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyOptions {
  /**
   * A `pkcs11:` URI (RFC 7512), as `p11tool --list-all` prints it. Read are `token`,
   * `serial`, `manufacturer`, `model`, `object`, `id`, `type=private`, `module-path`
   * and `pin-source` with a `file:` URI or an absolute path. Slot numbers change and
   * are refused, and so is `pin-value`.
   */
  readonly uri?: string | undefined
  /** The absolute path of the PKCS#11 module. It is loaded into this process. */
  readonly module?: string | undefined
  /** The label of the token. */
  readonly token?: string | undefined
  /** The serial number of the token. */
  readonly serial?: string | undefined
  /** `CKA_LABEL` of the private key. */
  readonly object?: string | undefined
  /** `CKA_ID` of the private key. */
  readonly id?: Uint8Array | undefined
  /** Required for RSA keys, which can do several, and with `lazy`. Otherwise the one that the key can do. */
  readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm | undefined
  readonly purpose?: string | undefined
  /** Load no module and ask the token nothing until the first signature. The PIN is asked for anyway. */
  readonly lazy?: boolean | undefined
}

/**
 * Options of {@link make} and {@link layerBare}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends KeyOptions {
  /**
   * The PIN of the token's user, or where it comes from.
   *
   * **Details**
   *
   * It is obtained once, when the Signer is made, and without a time limit: an effect
   * may ask a person. It stays in memory, redacted, to log in again when a token comes
   * back. A PIN that the token refuses is not sent a second time by this Signer, and
   * none is sent where the next failure would lock the token.
   *
   * Absent: the key is one that needs no login, or another layer is logged in.
   */
  readonly pin?: PinSource | undefined
  /**
   * The public key: a tripwire where the token shows it, else what stands in for it.
   */
  readonly expectedPublicKey?: PublicKey.PublicKey | undefined
  /**
   * Sessions at most, and so signatures under way at once. Default: the threads of
   * libuv, `UV_THREADPOOL_SIZE` or 4, and no more than the token allows.
   */
  readonly sessions?: number | undefined
  /** The package, already loaded: for bundles, and where it is installed elsewhere. */
  readonly pkcs11js?: Pkcs11Js | undefined
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface LayerOptions extends Options, RemoteOptions {}

/** Options without contradictions. */
interface Settings {
  readonly module: string
  readonly uri: Pkcs11Uri.Pkcs11Uri
  readonly keyId: KeyId.KeyId
  readonly pin: PinSource | undefined
  readonly sessions: number
}

const at = (operation: ErrorContext["operation"], keyId: string = "-"): ErrorContext => ({ backend, keyId, operation })

const making = at("make")

const invalid = (field: string, problem: string) => new InvalidConfiguration({ ...making, field, problem })

const isAbsolute = (path: string) => /^(\/|[A-Za-z]:[\\/]|\\\\)[^\0]*$/.test(path)

const sameBytes = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, i) => byte === b[i])

/** The options in the form of a URI. */
const stated = ({ id, module, object, serial, token }: Options): Pkcs11Uri.Pkcs11Uri => ({
  ...(token === undefined ? {} : { token }),
  ...(serial === undefined ? {} : { serial }),
  ...(object === undefined ? {} : { object }),
  ...(id === undefined ? {} : { id: new Uint8Array(id) }),
  ...(module === undefined ? {} : { modulePath: module })
})

/** Attributes of the URI that say nothing that would find the same key tomorrow, or nothing that is looked at. */
const unused = [
  ["libraryManufacturer", "library-manufacturer"],
  ["libraryVersion", "library-version"],
  ["libraryDescription", "library-description"],
  ["slotDescription", "slot-description"],
  ["slotManufacturer", "slot-manufacturer"],
  ["slotId", "slot-id"],
  ["moduleName", "module-name"]
] as const

/** `pin-source` as a file: RFC 7512 section 2.4. */
const pinFile = (source: string): { readonly file: string } | undefined => {
  const path = /^file:/i.test(source) ? source.slice("file:".length).replace(/^\/\/(localhost)?(?=\/)/, "") : source
  return isAbsolute(path) && !source.startsWith("|") ? { file: path } : undefined
}

/** As many native calls as run at once: https://docs.libuv.org/en/v1.x/threadpool.html */
const libuvThreads = (): number => {
  const { process } = globalThis as { readonly process?: { readonly env?: { readonly [name: string]: unknown } } }
  const stated = Number.parseInt(String(process?.env?.["UV_THREADPOOL_SIZE"] ?? ""), 10)
  return Number.isNaN(stated) ? 4 : Math.min(1024, Math.max(1, stated))
}

const toSettings = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Settings, SignerError> {
  const fromUri =
    options.uri === undefined
      ? {}
      : yield* Effect.mapError(Pkcs11Uri.parse(options.uri), ({ problem }) => invalid("uri", problem))
  const fromOptions = stated(options)
  const different = (["token", "serial", "object", "modulePath"] as const).find(
    (name) => fromUri[name] !== undefined && fromOptions[name] !== undefined && fromUri[name] !== fromOptions[name]
  )
  if (different !== undefined) {
    return yield* invalid(different === "modulePath" ? "module" : different, "the uri says otherwise")
  }
  if (fromUri.id !== undefined && fromOptions.id !== undefined && !sameBytes(fromUri.id, fromOptions.id)) {
    return yield* invalid("id", "the uri says otherwise")
  }
  const useless = unused.find(([name]) => fromUri[name] !== undefined)
  if (useless !== undefined) return yield* invalid("uri", `${useless[1]} is not used to find a key here; leave it out`)
  const uri = { ...fromUri, ...fromOptions }
  if (uri.type !== undefined && uri.type !== "private") {
    return yield* invalid("uri", "type must be private, or absent: it is the private key that signs")
  }
  if (uri.token === undefined && uri.serial === undefined) {
    return yield* invalid("token", "state the label or the serial number of the token")
  }
  if (uri.object === undefined && uri.id === undefined) {
    return yield* invalid("object", "state the label or the id of the key")
  }
  for (const name of ["token", "serial", "object"] as const) {
    const value: unknown = uri[name]
    if (value !== undefined && !(typeof value === "string" && /^[^\0-\x1f\x7f]{1,1024}$/.test(value))) {
      return yield* invalid(name, "must be text without control characters")
    }
  }
  if (uri.id !== undefined && uri.id.length === 0) return yield* invalid("id", "is empty; leave it out")
  if (uri.modulePath === undefined || !isAbsolute(uri.modulePath)) {
    return yield* invalid(
      "module",
      "state the absolute path of the PKCS#11 module, such as /usr/lib/softhsm/libsofthsm2.so"
    )
  }
  const sessions = options.sessions ?? libuvThreads()
  if (!Number.isInteger(sessions) || sessions < 1 || sessions > 1024) {
    return yield* invalid("sessions", "must be a whole number from 1 to 1024")
  }
  let pin = options.pin
  if (uri.pinSource !== undefined && pin === undefined) {
    pin = pinFile(uri.pinSource)
    if (pin === undefined) {
      return yield* invalid("uri", "pin-source must be a file: URI or an absolute path; no command is run for it")
    }
  }
  const { manufacturer, model, object, serial, token, id } = uri
  const name = {
    ...stated({ token, serial, object, id }),
    ...(manufacturer === undefined ? {} : { manufacturer }),
    ...(model === undefined ? {} : { model })
  }
  return {
    module: uri.modulePath,
    uri: name,
    keyId: KeyId.make(Pkcs11Uri.format(name)),
    pin,
    sessions
  }
})

/**
 * The first thing that is wrong with the options, as far as they tell by themselves.
 *
 * @internal
 */
export const mistake = (options: Options): readonly [field: string, problem: string] | undefined => {
  const settings = Effect.runSync(Effect.result(toSettings(options)))
  return Result.isFailure(settings) && settings.failure._tag === "InvalidConfiguration"
    ? [settings.failure.field ?? "uri", settings.failure.problem]
    : undefined
}

// ---------------------------------------------------------------------------
// key
// ---------------------------------------------------------------------------

/** A key that is ready to sign. */
interface Ready {
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm
  readonly publicKey: PublicKey.PublicKey
  readonly pool: Pkcs11SessionPool.Pool
}

const chooseAlgorithm = (
  asked: SignatureAlgorithm.SignatureAlgorithm | undefined,
  type: SignatureAlgorithm.KeyType
): Effect.Effect<SignatureAlgorithm.SignatureAlgorithm, Problem> => {
  const candidates = Pkcs11Key.supported.filter((algorithm) => SignatureAlgorithm.facts[algorithm].keyType === type)
  const only = asked ?? (candidates.length === 1 ? candidates[0] : undefined)
  return only === undefined
    ? Effect.fail(mistaken("algorithm", `an ${type} key can do several; state one of ${candidates.join(", ")}`))
    : Effect.succeed(only)
}

/** Bytes of the signatures by a key. */
const signatureLengthOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm, key: PublicKey.PublicKey): number =>
  SignatureAlgorithm.facts[algorithm].signatureLength ?? Pkcs1.decodePublic(key.bytes).n.length

interface Session {
  readonly handle: Pkcs11Module.Handle
  readonly key: Pkcs11Key.Found
}

/** CK_EFFECTIVELY_INFINITE is 0, CK_UNAVAILABLE_INFORMATION all ones. */
const sessionLimit = ({ maxSessionCount }: Pkcs11Module.TokenInfo): number =>
  maxSessionCount > 0 && maxSessionCount <= 0xffff ? maxSessionCount : Infinity

/** Finds the key, with a session that stays open. */
const open = Effect.fnUntraced(function* (
  options: Options,
  { module: path, sessions, uri }: Settings,
  pin: Redacted.Redacted<string> | undefined,
  scope: Scope.Scope
): Effect.fn.Return<Ready, Problem> {
  const module = yield* Pkcs11Module.acquire(path, options.pkcs11js)
  const { cryptoki } = module
  const token = Pkcs11Token.make(module, uri, pin)

  const openSession = (): Session => {
    const handle = token.openSession()
    try {
      return { handle, key: Pkcs11Key.find(cryptoki, handle, uri, options.algorithm) }
    } catch (error) {
      const isBlind = pin === undefined && token.isLoginRequired() && !token.isLoggedIn(handle)
      token.closeSession(handle)
      throw error instanceof Refused && isBlind
        ? new Refused(mistaken("pin", "no such key is visible without the PIN of the token; state it"))
        : error
    }
  }

  const found = Effect.gen(function* () {
    const first = yield* attemptCalls(openSession)
    const ready = Effect.gen(function* () {
      const algorithm = yield* chooseAlgorithm(options.algorithm, first.key.type)
      const request = Pkcs11Key.requestOf(algorithm)!
      const mechanisms = yield* attemptCalls(token.mechanisms)
      if (!mechanisms.includes(request.mechanism.mechanism)) {
        return yield* Effect.fail<Problem>(
          (context) =>
            new UnsupportedAlgorithm({ ...context, algorithm, problem: "the token does not have the mechanism for it" })
        )
      }
      if (first.key.isAlwaysAuthenticated && pin === undefined) {
        return yield* Effect.fail(mistaken("pin", "the key wants the PIN for each signature; state it"))
      }
      const publicKey = (yield* Pkcs11Key.findPublicKey(cryptoki, first.handle, first.key)) ?? options.expectedPublicKey
      if (publicKey === undefined) {
        return yield* Effect.fail(
          mistaken("expectedPublicKey", "the token does not show the public half of the key; state it")
        )
      }
      if (publicKey.type !== first.key.type) {
        return yield* Effect.fail(
          mistaken("expectedPublicKey", `is a ${publicKey.type} key, and the private key is a ${first.key.type} key`)
        )
      }
      const pool = Pkcs11SessionPool.make<Session>(
        {
          open: openSession,
          close: ({ handle }) => token.closeSession(handle),
          sign: ({ handle, key }, input, output) => {
            cryptoki.C_SignInit(handle, request.mechanism, key.handle)
            if (key.isAlwaysAuthenticated) token.authenticate(handle)
            return cryptoki.C_SignAsync(handle, input, output)
          },
          drained: module.release
        },
        first,
        {
          capacity: Math.min(sessions, sessionLimit(token.info())),
          signatureLength: signatureLengthOf(algorithm, publicKey)
        }
      )
      yield* Scope.addFinalizer(scope, Effect.sync(pool.close))
      return { algorithm, publicKey, pool }
    })
    return yield* Effect.onError(ready, () => Effect.sync(() => token.closeSession(first.handle)))
  })
  return yield* Effect.onError(found, () => Effect.sync(module.release))
}, Effect.uninterruptible)

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/** With the PIN at hand. With `isReadLater` the Signer that is made has not read its public key. */
const connected = Effect.fnUntraced(function* (
  options: Options,
  settings: Settings,
  pin: Redacted.Redacted<string> | undefined,
  isReadLater: boolean
): Effect.fn.Return<Service, SignerError, Scope.Scope> {
  const { keyId } = settings
  const scope = yield* Effect.scope

  // Single flight, and for ever. A failure is not remembered, except that a refused PIN is not sent again.
  let refused: SignerError | undefined
  const ready = yield* Effect.cachedWithTTL(
    Effect.suspend(() =>
      refused === undefined
        ? Effect.mapError(open(options, settings, pin, scope), (problem) => {
            const error = problem(at("make", keyId))
            if (error._tag === "AuthenticationFailed") refused = error
            return error
          })
        : Effect.fail(refused)
    ),
    (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.zero)
  )

  const known = options.algorithm === undefined || !isReadLater ? yield* ready : undefined
  const algorithm = known?.algorithm ?? options.algorithm!
  const { input, toInput } = Pkcs11Key.requestOf(algorithm)!
  const { hash } = SignatureAlgorithm.facts[algorithm]
  const signing = at("sign", keyId)

  return yield* Signer.make(
    {
      name: backend,
      keyId,
      algorithm,
      input,
      publicKey: (version) =>
        version === undefined
          ? Effect.map(ready, ({ publicKey }) => publicKey)
          : Effect.fail(KeyNotFound.version(at("publicKey", keyId), version)), // keys on a token have no versions
      sign: (bytes) =>
        input === "digest" && bytes.length !== Pkcs11Key.digestLength[hash!]
          ? Effect.die(new Error(`a digest of ${bytes.length} bytes for ${algorithm}`))
          : Effect.flatMap(ready, ({ pool }) => Effect.map(pool.sign(signing, toInput(bytes)), (bytes) => ({ bytes })))
    },
    {
      lazy: isReadLater,
      purpose: options.purpose,
      expectedPublicKey: options.expectedPublicKey
    }
  )
})

/** What is known before any module is loaded. */
const prepared = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<{ readonly settings: Settings; readonly pin: Redacted.Redacted<string> | undefined }, SignerError> {
  const settings = yield* toSettings(options)
  const { algorithm } = options
  const context = at("make", settings.keyId)
  if (algorithm !== undefined && Pkcs11Key.requestOf(algorithm) === undefined) {
    return yield* new UnsupportedAlgorithm({
      ...context,
      algorithm,
      problem: `this backend cannot do it; it can do ${Pkcs11Key.supported.join(", ")}`
    })
  }
  if (algorithm === undefined && options.lazy === true) {
    return yield* new InvalidConfiguration({
      ...context,
      field: "algorithm",
      problem: "is required with lazy, because the token is not asked what the key can do"
    })
  }
  return { settings, pin: yield* Pkcs11Pin.read(context, settings.pin) }
})

/**
 * A Signer with a key on a PKCS#11 token, without retries and without verification.
 *
 * **Details**
 *
 * Finds the key before it returns, unless `lazy`, and fails with `KeyNotFound`,
 * `KeyNotSigner`, `AuthenticationFailed` or, where two tokens or keys fit,
 * `InvalidConfiguration`.
 *
 * The id of the Signer is the `pkcs11:` URI of the key, without module and PIN.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Service, SignerError, Scope.Scope> =>
  Effect.flatMap(prepared(options), ({ pin, settings }) => connected(options, settings, pin, options.lazy === true))

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides a `Signer` with a key on a PKCS#11 token: one native call per signature, no
 * timeout, no retry, nothing verified or observed. Decorate it yourself.
 *
 * @see {@link layer}
 * @category layers
 * @since 0.1.0
 */
export const layerBare = (options: Options): Layer.Layer<Signer.Signer, SignerError> =>
  Layer.effect(Signer.Signer, make(options))

/**
 * Provides a `Signer` with a key on a PKCS#11 token: resilient, verified and observed.
 *
 * **Details**
 *
 * 10 s per attempt, three more attempts after `Retryable`, each signature verified
 * here before it is returned. The key is looked for while the layer is built, so a
 * wrong token, key, algorithm or PIN fails there. `AuthenticationFailed` is never
 * repeated.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: LayerOptions): Layer.Layer<Signer.Signer, SignerError> =>
  Layer.unwrap(
    Effect.map(prepared(options), ({ pin, settings }) =>
      layerRemote({ backend, keyId: settings.keyId }, connected(options, settings, pin, true), options)
    )
  )

// ---------------------------------------------------------------------------
// config
// ---------------------------------------------------------------------------

/**
 * What {@link layerConfig} reads.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigOptions extends KeyOptions {
  readonly pin?: Redacted.Redacted<string> | PinFile | undefined
  readonly sessions?: number | undefined
}

const optional = <A>(config: Config.Config<A>) => Config.map(Config.option(config), Option.getOrUndefined)

/**
 * The options in the environment.
 *
 * **Details**
 *
 * | variable | option |
 * | --- | --- |
 * | `PKCS11_URI` | `uri` |
 * | `PKCS11_MODULE` | `module`; optional where the URI has `module-path` |
 * | `PKCS11_PIN`, else `PKCS11_PIN_FILE` | `pin`; optional |
 * | `PKCS11_ALGORITHM` | `algorithm`; optional |
 * | `PKCS11_SESSIONS` | `sessions`; optional |
 *
 * @category config
 * @since 0.1.0
 */
export const environment: Config.Config<ConfigOptions> = Config.all({
  uri: Config.NonEmptyString("PKCS11_URI"),
  module: optional(Config.NonEmptyString("PKCS11_MODULE")),
  pin: optional(
    Config.orElse(
      Config.map(Config.Redacted("PKCS11_PIN"), (pin): NonNullable<ConfigOptions["pin"]> => pin),
      () => Config.map(Config.NonEmptyString("PKCS11_PIN_FILE"), (file) => ({ file }))
    )
  ),
  algorithm: optional(Config.schema(SignatureAlgorithm.SignatureAlgorithm, "PKCS11_ALGORITHM")),
  sessions: optional(Config.Int("PKCS11_SESSIONS"))
})

/**
 * Provides a `Signer` with a key that `Config` names, as {@link layer} does. Without
 * an argument it reads the {@link environment}.
 *
 * **Example** (A key and its PIN from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import * as Pkcs11Signer from "effect-signer/Pkcs11Signer"
 *
 * const SignerLive = Pkcs11Signer.layerConfig({
 *   module: Config.String("PKCS11_MODULE"),
 *   uri: Config.String("RELEASE_KEY"),
 *   pin: Config.Redacted("RELEASE_PIN")
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<ConfigOptions> = environment
): Layer.Layer<Signer.Signer, SignerError | Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), layer))
