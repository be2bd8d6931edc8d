/**
 * Signs with a key of Azure Key Vault or of a Managed HSM.
 *
 * **Details**
 *
 * Speaks to two endpoints, the key and its `sign`, with the `HttpClient` it is
 * given and a token of any `TokenCredential`. The `CryptographyClient` of
 * `@azure/keyvault-keys` is not used: it reads the key before it signs, names the
 * version that it read and not the one that signed, and repeats requests by
 * itself. Without a `credential`, `@azure/identity` finds one.
 *
 * | key type | algorithm |
 * | --- | --- |
 * | `EC` `EC-HSM` on `P-256` `P-384` `P-521` | `ES256` `ES384` `ES512` |
 * | `EC` `EC-HSM` on `P-256K` | `ES256K`, made low-S here |
 * | `RSA` `RSA-HSM` | `PS256` `PS384` `PS512` `RS256` `RS384` `RS512` |
 *
 * The digest of the message leaves the process, and never the message. One version
 * of the key signs: the one that is stated, or the one that was current when the
 * key was first read. A version that is added later signs nothing here, and an
 * answer of another version than the pinned one is `InvalidResponse`.
 *
 * **Gotchas**
 *
 * There is no `Ed25519` in Key Vault or Managed HSM. A redirect is not followed,
 * because the token goes to no other host: do not give it a client made with
 * `HttpClient.followRedirects`. The service cannot be told which tenant a vault is
 * in: a credential for another tenant than its own must say so.
 *
 * **Example** (A key of a vault)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { Signer } from "effect-signer"
 * import * as AzureKeyVaultSigner from "effect-signer/AzureKeyVaultSigner"
 *
 * const SignerLive = AzureKeyVaultSigner.layer({
 *   vaultUrl: "https://release.vault.azure.net",
 *   key: "signing"
 * }).pipe(Layer.provide(FetchHttpClient.layer))
 *
 * const program = Signer.sign(new TextEncoder().encode("hello")).pipe(Effect.provide(SignerLive))
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Exit from "effect/Exit"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { RemoteOptions } from "../decorators/remote.ts"
import { layerRemote } from "../decorators/remote.ts"
import { fromBase64Url } from "../schemas/BaseEncoding.ts"
import * as Ecdsa from "../schemas/Ecdsa.ts"
import * as KeyId from "../schemas/KeyId.ts"
import * as KeyVersion from "../schemas/KeyVersion.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import * as SignatureAlgorithm from "../schemas/SignatureAlgorithm.ts"
import type { ErrorContext, SignerError } from "../schemas/SignerError.ts"
import {
  InvalidConfiguration,
  KeyNotFound,
  KeyNotSigner,
  KeyUnavailable,
  UnsupportedAlgorithm
} from "../schemas/SignerError.ts"
import type { Service } from "../services/Signer.ts"
import * as Signer from "../services/Signer.ts"
import * as AlgorithmChoice from "./remote/AlgorithmChoice.ts"
import type { ClientSecret, TokenCredential } from "./azure/AzureCredential.ts"
import * as AzureCredential from "./azure/AzureCredential.ts"
import type { Ask } from "./azure/AzureKeyVaultClient.ts"
import * as AzureKeyVaultClient from "./azure/AzureKeyVaultClient.ts"
import * as HttpExchange from "./remote/HttpExchange.ts"
import { invalidResponse, type Problem } from "./remote/Outcome.ts"

export type { ClientSecret, TokenCredential }

const backend = "azure-key-vault"

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

/**
 * Options of {@link make} and {@link layerBare}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Signer.MakeOptions {
  /**
   * `https://release.vault.azure.net`, `https://release.managedhsm.azure.net`, or
   * the identifier of a key or of one of its versions, which names `key` and
   * `version`, too: `https://release.vault.azure.net/keys/signing/0123...`
   */
  readonly vaultUrl: string
  /** The name of the key. Required unless `vaultUrl` has it. */
  readonly key?: string | undefined
  /** Default: the version that is current when the key is first read. */
  readonly version?: string | undefined
  /** Required for RSA keys, which can do several, and with `lazy`. Otherwise the one that the key can do. */
  readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm | undefined
  /** Default: `DefaultAzureCredential` of `@azure/identity`, an optional peer. */
  readonly credential?: TokenCredential | ClientSecret | undefined
  /**
   * What the token is for. Default: by the host of `vaultUrl`, as
   * `https://vault.azure.net/.default` and `https://managedhsm.azure.net/.default`,
   * also of the national clouds. Required for another host.
   */
  readonly scope?: string | undefined
  /** Default `2025-07-01`. A cloud that is behind may want `7.4`. */
  readonly apiVersion?: string | undefined
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface LayerOptions extends Options, RemoteOptions {}

/**
 * The clouds: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#dns-suffixes-for-object-identifiers
 * The authority of the public cloud is the default of `@azure/identity`.
 */
const clouds: ReadonlyArray<{ readonly suffix: string; readonly authorityHost?: string }> = [
  { suffix: "azure.net" },
  { suffix: "azure.cn", authorityHost: "https://login.chinacloudapi.cn" },
  { suffix: "usgovcloudapi.net", authorityHost: "https://login.microsoftonline.us" },
  { suffix: "microsoftazure.de", authorityHost: "https://login.microsoftonline.de" }
]

/** The scope and authority of `<name>.vault.<cloud>` and `<name>.managedhsm.<cloud>`. */
const cloudOf = (host: string) => {
  for (const { authorityHost, suffix } of clouds) {
    for (const service of ["vault", "managedhsm"]) {
      if (host.endsWith(`.${service}.${suffix}`)) {
        return { scope: `https://${service}.${suffix}/.default`, authorityHost }
      }
    }
  }
}

/** What the options name. */
interface Target {
  readonly url: URL
  readonly key: string
  readonly version: string | undefined
  readonly scope: string
  readonly authorityHost: string | undefined
}

type Mistake = readonly [field: string, problem: string]

const isLoopback = (host: string) => host === "localhost" || host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host)

/** Key Vault: letters, digits and hyphens. https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#vault-name-and-object-name */
const isName = (text: unknown) => typeof text === "string" && /^[0-9A-Za-z-]{1,127}$/.test(text)

const versionPattern = /^[0-9A-Za-z]{1,64}$/

const addressForm = "must be the address of a vault or the identifier of a key: https://<vault>/keys/<name>/<version>"

/** The target, or the first thing that is wrong. */
const targetOf = (options: Options): Result.Result<Target, Mistake> => {
  const { algorithm, apiVersion, lazy, scope, vaultUrl } = options
  const fail = (field: string, problem: string) => Result.fail<Mistake>([field, problem])
  if (typeof vaultUrl !== "string" || !URL.canParse(vaultUrl)) return fail("vaultUrl", addressForm)
  const url = new URL(vaultUrl)
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname))) {
    return fail("vaultUrl", "must be an https URL; http carries the token for anyone to read")
  }
  if (url.username !== "" || url.password !== "") return fail("vaultUrl", "must not hold a user name or password")
  if (url.search !== "" || url.hash !== "") return fail("vaultUrl", "must not have a query or a fragment")
  const path = /^\/*(?:keys\/([^/]+)(?:\/([^/]+))?\/?)?$/.exec(url.pathname)
  if (path === null) return fail("vaultUrl", addressForm)
  const [, named, versioned] = path
  if (named !== undefined && options.key !== undefined && named !== options.key) {
    return fail("key", "is another one than vaultUrl names")
  }
  if (versioned !== undefined && options.version !== undefined && versioned !== options.version) {
    return fail("version", "is another one than vaultUrl names")
  }
  const key = options.key ?? named
  const version = options.version ?? versioned
  if (key === undefined) return fail("key", "is required, unless vaultUrl is the identifier of a key")
  if (!isName(key)) return fail("key", "must be the name of a key: 1 to 127 letters, digits and hyphens")
  if (version !== undefined && !versionPattern.test(version)) {
    return fail("version", "must be the version of a key, 32 hex digits; leave it out for the current one")
  }
  if (algorithm === undefined && lazy === true) {
    return fail("algorithm", "is required with lazy, because the key is not asked what it can do")
  }
  if (apiVersion !== undefined && !/^[\w.-]{1,32}$/.test(apiVersion)) {
    return fail("apiVersion", "must be a version of the API, as 2025-07-01")
  }
  const cloud = cloudOf(url.hostname)
  const wanted = scope ?? cloud?.scope
  if (wanted === undefined) {
    return fail(
      "scope",
      "is required, because the host of vaultUrl is none of Azure's: https://vault.azure.net/.default"
    )
  }
  if (!/^[\x21-\x7e]{1,512}$/.test(wanted)) return fail("scope", "must be printable ASCII without spaces")
  return Result.succeed({
    url: new URL(url.origin),
    key,
    version,
    scope: wanted,
    authorityHost: cloud?.authorityHost
  })
}

/**
 * The first thing that is wrong with the options, as far as they tell by themselves.
 *
 * @internal
 */
export const mistake = (options: Options): Mistake | undefined =>
  Result.match(targetOf(options), { onSuccess: () => undefined, onFailure: (mistake) => mistake })

const keyIdOf = ({ key, url }: Target) => KeyId.make(`${url.origin}/keys/${key}`)

/** The key as errors name it before it is known that there is one. */
const namedBy = (options: Options): string =>
  Result.match(targetOf(options), { onSuccess: keyIdOf, onFailure: () => options.key || "-" })

// ---------------------------------------------------------------------------
// keys
// ---------------------------------------------------------------------------

const decodeKey = Schema.decodeUnknownResult(
  Schema.Struct({
    key: Schema.Struct({
      kid: Schema.String,
      kty: Schema.String,
      key_ops: Schema.optionalKey(Schema.Array(Schema.String)),
      crv: Schema.optionalKey(Schema.String),
      x: Schema.optionalKey(Schema.String),
      y: Schema.optionalKey(Schema.String),
      n: Schema.optionalKey(Schema.String),
      e: Schema.optionalKey(Schema.String)
    }),
    attributes: Schema.optionalKey(
      Schema.Struct({
        enabled: Schema.optionalKey(Schema.Boolean),
        nbf: Schema.optionalKey(Schema.Finite),
        exp: Schema.optionalKey(Schema.Finite)
      })
    )
  })
)

const decodeSigned = Schema.decodeUnknownResult(Schema.Struct({ kid: Schema.String, value: Schema.String }))

/** `crv` of the API: https://learn.microsoft.com/rest/api/keyvault/keys/get-key/get-key#jsonwebkeycurvename */
const curves: { readonly [crv: string]: Ecdsa.Curve } = {
  "P-256": "P-256",
  "P-384": "P-384",
  "P-521": "P-521",
  "P-256K": "secp256k1", // RFC 8812 came later
  SECP256K1: "secp256k1"
}

/** What the service can sign with, and `alg` of a request: the names are those of JOSE. */
const isSupported = (algorithm: SignatureAlgorithm.SignatureAlgorithm) => {
  const { keyType } = SignatureAlgorithm.facts[algorithm]
  return (
    algorithm !== "BIP340" &&
    algorithm !== "BIP341" &&
    (keyType === "RSA" || Object.hasOwn(Ecdsa.coordinateLength, keyType))
  )
}

const supported = SignatureAlgorithm.all.filter(isSupported)

/** What is known of one version of a key. */
interface KeyInfo {
  readonly version: string
  readonly publicKey: PublicKey.PublicKey
  readonly canSign: boolean
  readonly isEnabled: boolean
  /** Seconds since 1970. */
  readonly notBefore: number | undefined
  readonly expires: number | undefined
}

/**
 * The version that an identifier names, if it is one of this key. Names are
 * compared without case, as Key Vault does; the host is that of the vault also
 * where it was reached by another name, and TLS vouches for it.
 */
const versionIn = (kid: string, key: string): string | undefined => {
  if (kid.length > 2048 || !URL.canParse(kid)) return undefined
  const path = /^\/keys\/([^/]+)\/([^/]+)$/.exec(new URL(kid).pathname)
  return path !== null && path[1]!.toLowerCase() === key.toLowerCase() && versionPattern.test(path[2]!)
    ? path[2]
    : undefined
}

/** A number with leading zeros as the service has them, as JOSE wants it: in `length` bytes, or in the fewest. */
const numberOf = (text: string | undefined, length?: number): string | undefined => {
  const bytes = text === undefined || text.length > 2048 ? undefined : fromBase64Url(text)
  if (bytes === undefined) return undefined
  const first = bytes.findIndex((byte) => byte !== 0)
  const digits = first < 0 ? new Uint8Array(0) : bytes.subarray(first)
  if (length === undefined) return Base64Url.encode(digits)
  if (digits.length > length) return undefined
  const padded = new Uint8Array(length)
  padded.set(digits, length - digits.length)
  return Base64Url.encode(padded)
}

const toKeyInfo = (json: unknown, name: string, wanted: string | undefined): Effect.Effect<KeyInfo, Problem> => {
  const decoded = Result.getOrUndefined(decodeKey(json))
  if (decoded === undefined) {
    return Effect.fail(invalidResponse("the answer is not a key of Key Vault"))
  }
  const { attributes = {}, key } = decoded
  const version = versionIn(key.kid, name)
  if (version === undefined || (wanted !== undefined && version !== wanted)) {
    return Effect.fail(invalidResponse("the answer is another key or version than was asked for"))
  }
  const kty = key.kty.replace(/-HSM$/, "")
  if (kty === "oct") return Effect.fail((context: ErrorContext) => new KeyNotSigner(context))
  const curve = key.crv !== undefined && Object.hasOwn(curves, key.crv) ? curves[key.crv] : undefined
  if (kty !== "RSA" && (kty !== "EC" || curve === undefined)) {
    const type = kty === "EC" ? key.crv : key.kty
    return Effect.fail(
      (context: ErrorContext) =>
        new UnsupportedAlgorithm({
          ...context,
          algorithm: type !== undefined && /^[\w-]{1,64}$/.test(type) ? type : "-",
          problem: `no algorithm here is for keys of this type; there are RSA, and EC on P-256, P-384, P-521 and P-256K`
        })
    )
  }
  const length = curve === undefined ? undefined : Ecdsa.coordinateLength[curve]
  const jwk =
    curve === undefined
      ? { kty, n: numberOf(key.n), e: numberOf(key.e) }
      : { kty, crv: curve, x: numberOf(key.x, length), y: numberOf(key.y, length) }
  return Effect.mapBoth(PublicKey.fromJwk(jwk), {
    onFailure: () => invalidResponse("the public key is malformed"),
    onSuccess: (publicKey): KeyInfo => ({
      version,
      publicKey,
      canSign: key.key_ops === undefined || key.key_ops.includes("sign"),
      isEnabled: attributes.enabled !== false,
      notBefore: attributes.nbf,
      expires: attributes.exp
    })
  })
}

/** Seconds by which our clock may differ from that of the service, which has the last word. */
const skew = 300

/** Why a key cannot sign now, as far as it says so itself. */
const obstacleOf = (info: KeyInfo, now: number): Problem | undefined => {
  const seconds = now / 1000
  const state = !info.isEnabled
    ? "disabled"
    : info.expires !== undefined && info.expires + skew <= seconds
      ? "expired"
      : info.notBefore !== undefined && info.notBefore - skew > seconds
        ? "not yet valid"
        : undefined
  if (state !== undefined) return (context) => new KeyUnavailable({ ...context, state })
  if (!info.canSign) return (context) => new KeyNotSigner(context)
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const chooseAlgorithm = (asked: SignatureAlgorithm.SignatureAlgorithm | undefined, { publicKey: { type } }: KeyInfo) =>
  AlgorithmChoice.choose(asked, SignatureAlgorithm.forKeyType(type).filter(isSupported), type)

const signed = (json: unknown, name: string, pinned: string): Result.Result<Signer.BackendSignature, Problem> => {
  const answer = Result.getOrUndefined(decodeSigned(json))
  const bytes = answer === undefined || answer.value.length > 2048 ? undefined : fromBase64Url(answer.value)
  if (answer === undefined || bytes === undefined) {
    return Result.fail(invalidResponse("the answer is not a signature of Key Vault"))
  }
  return versionIn(answer.kid, name) === pinned
    ? Result.succeed({ bytes, keyVersion: KeyVersion.make(pinned) })
    : Result.fail(invalidResponse("another key or version than the pinned one has signed"))
}

/** Over anything that answers. */
const makeWith = Effect.fnUntraced(function* (
  options: Options,
  target: Target,
  ask: Ask,
  isReadLater: boolean
): Effect.fn.Return<Service, SignerError> {
  const keyId = keyIdOf(target)
  const at = <A>(
    operation: ErrorContext["operation"],
    effect: Effect.Effect<A, Problem>
  ): Effect.Effect<A, SignerError> => Effect.mapError(effect, (problem) => problem({ backend, keyId, operation }))

  const read = (version: string | undefined): Effect.Effect<KeyInfo, Problem> =>
    Effect.flatMap(ask({ path: `keys/${target.key}${version === undefined ? "" : `/${version}`}` }), (json) =>
      toKeyInfo(json, target.key, version)
    )
  // Single flight. What was read once is what is signed with, for ever.
  const pinned = yield* Effect.cachedWithTTL(read(target.version), (exit) =>
    Exit.isSuccess(exit) ? Duration.infinity : Duration.zero
  )
  if (options.lazy !== true) {
    yield* at(
      "make",
      Effect.flatMap(pinned, (info) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const obstacle = obstacleOf(info, now)
          return obstacle === undefined ? Effect.void : Effect.fail(obstacle)
        })
      )
    )
  }
  const algorithm =
    options.lazy === true
      ? options.algorithm!
      : yield* at(
          "make",
          Effect.flatMap(pinned, (info) => chooseAlgorithm(options.algorithm, info))
        )
  const signPath = (version: string) => `keys/${target.key}/${version}/sign`
  const version =
    target.version === undefined ? Effect.map(pinned, (info) => info.version) : Effect.succeed(target.version)

  return yield* Signer.make(
    {
      name: backend,
      keyId,
      algorithm,
      input: "digest",
      publicKey: (named) => {
        if (named !== undefined && !versionPattern.test(named)) {
          return Effect.fail(KeyNotFound.version({ backend, keyId, operation: "publicKey" }, named))
        }
        const info =
          named === undefined || named === target.version
            ? pinned
            : Effect.filterOrElse(
                pinned,
                (info) => info.version === named,
                () => read(named)
              )
        return at(
          "publicKey",
          Effect.map(
            Effect.tap(info, (info) => chooseAlgorithm(algorithm, info)),
            ({ publicKey }) => publicKey
          )
        )
      },
      sign: (digest) =>
        at(
          "sign",
          Effect.flatMap(version, (version) =>
            Effect.flatMap(
              ask({ path: signPath(version), body: { alg: algorithm, value: Base64Url.encode(digest) } }),
              (json) => Effect.fromResult(signed(json, target.key, version))
            )
          )
        )
    },
    { ...options, lazy: isReadLater }
  )
})

const connected = Effect.fnUntraced(function* (
  options: Options,
  isReadLater: boolean
): Effect.fn.Return<Service, SignerError, HttpClient.HttpClient> {
  const target = targetOf(options)
  const making: ErrorContext = { backend, keyId: namedBy(options), operation: "make" }
  if (Result.isFailure(target)) {
    const [field, problem] = target.failure
    return yield* new InvalidConfiguration({ ...making, field, problem })
  }
  const { algorithm, apiVersion = "2025-07-01", credential: source } = options
  if (algorithm !== undefined && !isSupported(algorithm)) {
    return yield* new UnsupportedAlgorithm({
      ...making,
      algorithm,
      problem: `Azure Key Vault and Managed HSM do not have it; they have ${supported.join(", ")}`
    })
  }
  const { authorityHost, scope, url } = target.success
  const credential = yield* Effect.mapError(AzureCredential.resolve(source, authorityHost), (problem) =>
    problem(making)
  )
  const tokens = yield* AzureCredential.make(credential, scope)
  const send = yield* HttpExchange.make({ url, address: AzureKeyVaultClient.address, client: "HttpClient" })
  return yield* makeWith(options, target.success, AzureKeyVaultClient.make({ apiVersion, tokens, send }), isReadLater)
})

/**
 * A Signer with a key of a vault, without retries and without verification.
 *
 * **Details**
 *
 * Reads the key before it returns, unless `lazy`: an algorithm that it cannot do,
 * and a key that is disabled, expired or not for signing, fail here. With `lazy`
 * the version, if none is stated, is that of the first use.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Service, SignerError, HttpClient.HttpClient> =>
  connected(options, options.lazy === true)

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides a `Signer` with a key of a vault: one request per signature, no retry,
 * nothing verified or observed. Decorate it yourself.
 *
 * @see {@link layer}
 * @category layers
 * @since 0.1.0
 */
export const layerBare = (options: Options): Layer.Layer<Signer.Signer, SignerError, HttpClient.HttpClient> =>
  Layer.effect(Signer.Signer, make(options))

/**
 * Provides a `Signer` with a key of a vault: resilient, verified and observed.
 *
 * **Details**
 *
 * 10 s per attempt, three more attempts after `Retryable`, each signature verified
 * here before it is returned. The key is read while the layer is built, so a wrong
 * name, algorithm, credential or role fails there.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: LayerOptions): Layer.Layer<Signer.Signer, SignerError, HttpClient.HttpClient> =>
  layerRemote({ backend, keyId: namedBy(options) }, connected(options, true), options)

// ---------------------------------------------------------------------------
// config
// ---------------------------------------------------------------------------

/**
 * What {@link layerConfig} reads.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigOptions {
  readonly vaultUrl: string
  readonly key?: string | undefined
  readonly version?: string | undefined
  readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm | undefined
  readonly credential?: TokenCredential | ClientSecret | undefined
  readonly scope?: string | undefined
  readonly apiVersion?: string | undefined
  readonly purpose?: string | undefined
}

const optional = <A>(config: Config.Config<A>) => Config.map(Config.option(config), Option.getOrUndefined)

/**
 * The options in the environment.
 *
 * **Details**
 *
 * | variable | option |
 * | --- | --- |
 * | `AZURE_KEYVAULT_URL` | `vaultUrl`; also the identifier of a key or of a version |
 * | `A1_AZURE_KEY` | `key`; optional where the URL names it |
 * | `A1_AZURE_KEY_VERSION` | `version`; optional |
 * | `A1_AZURE_ALGORITHM` | `algorithm`; optional |
 * | `AZURE_CLIENT_SECRET` with `AZURE_TENANT_ID` and `AZURE_CLIENT_ID` | `credential`; absent, `DefaultAzureCredential` |
 *
 * `DefaultAzureCredential` reads more of the environment of the process by itself:
 * `AZURE_FEDERATED_TOKEN_FILE`, `AZURE_CLIENT_CERTIFICATE_PATH`,
 * `AZURE_AUTHORITY_HOST`. Set `AZURE_TOKEN_CREDENTIALS=prod` on servers, so that it
 * does not try the tools of a developer.
 *
 * @category config
 * @since 0.1.0
 */
export const environment: Config.Config<ConfigOptions> = Config.all({
  vaultUrl: Config.NonEmptyString("AZURE_KEYVAULT_URL"),
  key: optional(Config.NonEmptyString("A1_AZURE_KEY")),
  version: optional(Config.NonEmptyString("A1_AZURE_KEY_VERSION")),
  algorithm: optional(Config.schema(SignatureAlgorithm.SignatureAlgorithm, "A1_AZURE_ALGORITHM")),
  credential: optional(
    Config.all({
      tenantId: Config.NonEmptyString("AZURE_TENANT_ID"),
      clientId: Config.NonEmptyString("AZURE_CLIENT_ID"),
      clientSecret: Config.Redacted("AZURE_CLIENT_SECRET")
    })
  )
})

/**
 * Provides a `Signer` with a key that `Config` names, as {@link layer} does.
 * Without an argument it reads the {@link environment}.
 *
 * **Example** (A key from the environment)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import * as AzureKeyVaultSigner from "effect-signer/AzureKeyVaultSigner"
 *
 * const SignerLive = AzureKeyVaultSigner.layerConfig().pipe(Layer.provide(FetchHttpClient.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<ConfigOptions> = environment
): Layer.Layer<Signer.Signer, SignerError | Config.ConfigError, HttpClient.HttpClient> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), layer))
