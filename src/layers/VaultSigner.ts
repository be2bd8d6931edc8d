/**
 * Signs with a key of the transit engine of Vault or OpenBao.
 *
 * **Details**
 *
 * Speaks to two endpoints with the `HttpClient` it is given, and needs no package
 * beside `effect`. `NodeHttpClient.layerUndici` of `@effect/platform-node` is the
 * fastest client there is; `FetchHttpClient.layer` runs everywhere.
 *
 * | key type | algorithm | what leaves the process |
 * | --- | --- | --- |
 * | `ed25519` | `Ed25519` | the message |
 * | `ecdsa-p256` `ecdsa-p384` `ecdsa-p521` | `ES256` `ES384` `ES512` | its digest |
 * | `rsa-2048` `rsa-3072` `rsa-4096` | `PS256` `PS384` `PS512` `RS256` `RS384` `RS512` | its digest |
 *
 * The latest version of the key signs. Each signature names the version that made
 * it, and `publicKey(version)` is the key of that version: a rotation between the
 * two is harmless. The key of the latest version is read again after
 * `publicKeyTimeToLive`.
 *
 * **Gotchas**
 *
 * A redirect is followed only to `redirectOrigins`, once and to the same path:
 * the token goes to no other host. Do not give it a client made with
 * `HttpClient.followRedirects`, which would carry the token there, and with
 * `FetchHttpClient` provide `RequestInit` to this layer and not beneath the
 * client: what is beneath is replaced by one that follows no redirect.
 *
 * **Example** (A key of the transit engine)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { Signer } from "effect-signer"
 * import * as VaultSigner from "effect-signer/VaultSigner"
 * import { Layer } from "effect"
 *
 * const signerWith = (token: Redacted.Redacted<string>) =>
 *   VaultSigner.layer({ url: "https://vault.example.com:8200", token, key: "release" }).pipe(
 *     Layer.provide(FetchHttpClient.layer)
 *   )
 *
 * const program = (token: Redacted.Redacted<string>) =>
 *   Signer.sign(new TextEncoder().encode("hello")).pipe(Effect.provide(signerWith(token)))
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { RemoteOptions } from "../decorators/remote.ts"
import { layerRemote } from "../decorators/remote.ts"
import * as SignatureAlgorithm from "../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import type { Service } from "../services/Signer.ts"
import * as Signer from "../services/Signer.ts"
import type { Problem } from "./remote/Outcome.ts"
import * as VaultClient from "./vault/VaultClient.ts"
import type { Answer, Send } from "./vault/VaultClient.ts"
import type { TokenSource } from "./vault/VaultToken.ts"
import * as VaultToken from "./vault/VaultToken.ts"
import type { KeyOptions, Mistake } from "./vault/VaultTransit.ts"
import { backend, keyIdOf, keyMistake } from "./vault/VaultTransit.ts"
import * as VaultTransit from "./vault/VaultTransit.ts"

export type {
  /**
   * Which key, and for what.
   *
   * @category models
   * @since 0.1.0
   */
  KeyOptions,
  /**
   * Where the token comes from.
   *
   * **Details**
   *
   * | source | what is done |
   * | --- | --- |
   * | a token | sent as it is, and never renewed |
   * | `file` | read when the first request needs it, and again when Vault refuses it: the sink of Vault Agent |
   * | `appRole` | `auth/<mount>/login` with a role id and a secret id |
   * | `kubernetes` | `auth/<mount>/login` with the token of the pod's service account, read for each login |
   *
   * A token from a login is renewed after two thirds of its time to live, for as
   * long as the layer lives, and replaced by a new login where it cannot be renewed
   * or Vault refuses it.
   *
   * @category models
   * @since 0.1.0
   */
  TokenSource
}

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

/**
 * How to reach Vault.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionOptions {
  /** `https://vault.example.com:8200`; also with a path, of a proxy in front. */
  readonly url: string
  /** A token, or where it comes from. */
  readonly token: TokenSource
  /** Of Vault Enterprise and OpenBao: `team-a/prod`. The login happens in it, too. */
  readonly namespace?: string | undefined
  /**
   * Origins beside that of `url` to which a redirect may carry the token:
   * `https://vault-1.example.com:8200`. Default: none. Vault redirects only where
   * its nodes do not forward requests to the active one.
   */
  readonly redirectOrigins?: ReadonlyArray<string> | undefined
}

/**
 * Options of {@link make} and {@link layerBare}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends KeyOptions, ConnectionOptions {}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface LayerOptions extends Options, RemoteOptions {}

/** What a header may hold. */
const isNamespace = (text: string) => /^[\x21-\x7e]{1,512}$/.test(text)

const isOrigin = (text: string) => URL.canParse(text) && new URL(text).origin === text && /^https?:/.test(text)

/** The first thing that is wrong with the connection. */
const connectionMistake = ({ namespace, redirectOrigins, url }: ConnectionOptions): Mistake | undefined => {
  if (!URL.canParse(url)) return ["url", "must be an http or https URL"]
  const { hash, password, protocol, search, username } = new URL(url)
  if (protocol !== "http:" && protocol !== "https:") return ["url", "must be an http or https URL"]
  if (username !== "" || password !== "") return ["url", "must not hold a user name or password"]
  if (search !== "" || hash !== "") return ["url", "must not have a query or a fragment"]
  if (namespace !== undefined && !isNamespace(namespace)) return ["namespace", "must be printable ASCII without spaces"]
  if (!(redirectOrigins ?? []).every(isOrigin)) {
    return ["redirectOrigins", "must be origins and nothing more: https://vault-1.example.com:8200"]
  }
}

/**
 * The first thing that is wrong with the options, as far as they tell by themselves.
 *
 * @internal
 */
export const mistake = (options: Options): Mistake | undefined => connectionMistake(options) ?? keyMistake(options)

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const refuse = (mistake: Mistake | undefined, keyId: string) =>
  mistake === undefined
    ? Effect.void
    : Effect.fail(
        new InvalidConfiguration({
          backend,
          keyId: keyId || "-",
          operation: "make",
          field: mistake[0],
          problem: mistake[1]
        })
      )

const connected = Effect.fnUntraced(function* (
  options: Options,
  isReadLater: boolean
): Effect.fn.Return<Service, SignerError, HttpClient.HttpClient | Scope.Scope> {
  yield* refuse(mistake(options), options.key)
  const { namespace, redirectOrigins, token, url } = options
  const keyId = keyIdOf(options, namespace)
  const send = yield* VaultClient.make({ url: new URL(url), namespace, redirectOrigins })
  const tokens = yield* Effect.mapError(VaultToken.make(token, send), (problem) =>
    problem({ backend, keyId, operation: "make" })
  )
  return yield* VaultTransit.make(options, keyId, VaultToken.authenticated(send, tokens), isReadLater)
})

/**
 * A Signer with a transit key, without retries and without verification.
 *
 * **Details**
 *
 * Reads the key before it returns, unless `lazy`: its type says which algorithm it
 * can do, and another one fails here.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Service, SignerError, HttpClient.HttpClient | Scope.Scope> =>
  connected(options, options.lazy === true)

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides a `Signer` with a transit key: one request per signature, no retry,
 * nothing verified or observed. Decorate it yourself.
 *
 * @see {@link layer}
 * @category layers
 * @since 0.1.0
 */
export const layerBare = (options: Options): Layer.Layer<Signer.Signer, SignerError, HttpClient.HttpClient> =>
  Layer.effect(Signer.Signer, make(options))

/**
 * Provides a `Signer` with a transit key: resilient, verified and observed.
 *
 * **Details**
 *
 * 10 s per attempt, three more attempts after `Retryable`, each signature verified
 * here, with the key of the version that it names, before it is returned. The key
 * is read while the layer is built, so a wrong name, algorithm, mount or token
 * fails there.
 *
 * **Gotchas**
 *
 * Vault answers some mistakes of the caller with status 500, which is repeated as
 * if it were a passing fault.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: LayerOptions): Layer.Layer<Signer.Signer, SignerError, HttpClient.HttpClient> =>
  layerRemote({ backend, keyId: options.key || "-" }, connected(options, true), options)

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
  readonly url: string
  readonly token: TokenSource
  readonly key: string
  readonly namespace?: string | undefined
  readonly mount?: string | undefined
  readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm | undefined
  readonly purpose?: string | undefined
}

const optional = <A>(config: Config.Config<A>) => Config.map(Config.option(config), Option.getOrUndefined)

const tokenFromEnvironment: Config.Config<TokenSource> = Config.Redacted("VAULT_TOKEN").pipe(
  Config.orElse(() => Config.map(Config.NonEmptyString("VAULT_TOKEN_FILE"), (file): TokenSource => ({ file }))),
  Config.orElse(() =>
    Config.map(
      Config.all({
        role: Config.NonEmptyString("VAULT_KUBERNETES_ROLE"),
        mount: optional(Config.NonEmptyString("VAULT_AUTH_MOUNT"))
      }),
      (kubernetes): TokenSource => ({ kubernetes })
    )
  ),
  Config.orElse(() =>
    Config.map(
      Config.all({
        roleId: Config.NonEmptyString("VAULT_ROLE_ID"),
        secretId: optional(Config.Redacted("VAULT_SECRET_ID")),
        mount: optional(Config.NonEmptyString("VAULT_AUTH_MOUNT"))
      }),
      (appRole): TokenSource => ({ appRole })
    )
  )
)

/**
 * What can be set instead of a variable that is missing.
 *
 * @internal
 */
export const alternatives = { VAULT_ROLE_ID: ["VAULT_TOKEN", "VAULT_TOKEN_FILE", "VAULT_KUBERNETES_ROLE"] }

/**
 * The options in the environment.
 *
 * **Details**
 *
 * | variable | option |
 * | --- | --- |
 * | `VAULT_ADDR` | `url` |
 * | `VAULT_TOKEN`, else `VAULT_TOKEN_FILE`, else `VAULT_KUBERNETES_ROLE`, else `VAULT_ROLE_ID` with `VAULT_SECRET_ID` | `token` |
 * | `VAULT_AUTH_MOUNT` | the mount of the login; optional |
 * | `VAULT_NAMESPACE` | `namespace`; optional |
 * | `A1_VAULT_KEY` | `key` |
 * | `A1_VAULT_MOUNT` | `mount`; optional |
 * | `A1_VAULT_ALGORITHM` | `algorithm`; optional |
 *
 * @category config
 * @since 0.1.0
 */
export const environment: Config.Config<ConfigOptions> = Config.all({
  url: Config.NonEmptyString("VAULT_ADDR"),
  token: tokenFromEnvironment,
  key: Config.NonEmptyString("A1_VAULT_KEY"),
  namespace: optional(Config.NonEmptyString("VAULT_NAMESPACE")),
  mount: optional(Config.NonEmptyString("A1_VAULT_MOUNT")),
  algorithm: optional(Config.schema(SignatureAlgorithm.SignatureAlgorithm, "A1_VAULT_ALGORITHM"))
})

/**
 * Provides a `Signer` with a transit key that `Config` names, as {@link layer}
 * does. Without an argument it reads the {@link environment}.
 *
 * **Example** (A key from the environment)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import * as VaultSigner from "effect-signer/VaultSigner"
 *
 * const SignerLive = VaultSigner.layerConfig().pipe(Layer.provide(FetchHttpClient.layer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<ConfigOptions> = environment
): Layer.Layer<Signer.Signer, SignerError | Config.ConfigError, HttpClient.HttpClient> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), layer))

// ---------------------------------------------------------------------------
// node-vault
// ---------------------------------------------------------------------------

/**
 * What is used of a configured client of the package `node-vault`.
 *
 * @category models
 * @since 0.1.0
 */
export interface NodeVault {
  /** Looked at to keep it out of errors. */
  readonly token?: string | undefined
  read(path: string): Promise<unknown>
  write(path: string, data: object): Promise<unknown>
}

/** An answer or a failure of `node-vault`: its errors hold the request, and so the token. */
const sendWith =
  (client: NodeVault): Send =>
  ({ body, context, method, path }) =>
    Effect.matchEffect(
      Effect.tryPromise({
        try: () =>
          method === "GET"
            ? client.read(context === undefined ? path : `${path}?context=${encodeURIComponent(context)}`)
            : client.write(path, JSON.parse(body ?? "{}") as object),
        catch: (error) => error
      }),
      {
        onSuccess: (json): Effect.Effect<Answer, Problem> => Effect.succeed({ status: 200, json: jsonOf(json) }),
        onFailure: (error) => {
          const { body, statusCode } = (error as { readonly response?: Record<string, unknown> } | null)?.response ?? {}
          return typeof statusCode === "number" && Number.isInteger(statusCode)
            ? Effect.succeed({
                status: statusCode,
                json: jsonOf(body),
                token: client.token === undefined ? undefined : Redacted.make(client.token)
              })
            : Effect.fail(VaultClient.unreachable(error))
        }
      }
    )

const jsonOf = (value: unknown): unknown => (typeof value === "object" && value !== null ? value : undefined)

/**
 * The constructors of this module over a client of the package `node-vault` that
 * the application already has: its address, token, namespace and TLS are used.
 *
 * **Details**
 *
 * What such a client throws is reduced as everything else is: neither the token
 * nor the request reaches an error. Names that would leave the path of the key are
 * refused before it is called.
 *
 * **Gotchas**
 *
 * What `node-vault` 0.12 does by itself cannot be undone from outside. It follows
 * redirects, to other hosts with the token; it ignores interruption, so a call
 * that was given up goes on unseen; it drops the `Retry-After` of the server, does
 * not bound answers, and has no timeout unless it is configured. The token is
 * renewed by whoever renews that of the client. {@link layer} has none of this.
 *
 * **Example** (A client that is there already)
 *
 * ```ts
 * import * as VaultSigner from "effect-signer/VaultSigner"
 *
 * const signerOf = (client: VaultSigner.NodeVault) => VaultSigner.fromNodeVault(client).layer({ key: "release" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromNodeVault = (
  client: NodeVault
): {
  readonly make: (options: KeyOptions) => Effect.Effect<Service, SignerError>
  readonly layerBare: (options: KeyOptions) => Layer.Layer<Signer.Signer, SignerError>
  readonly layer: (options: KeyOptions & RemoteOptions) => Layer.Layer<Signer.Signer, SignerError>
} => {
  const send = sendWith(client)
  const makeLater = (options: KeyOptions, isReadLater: boolean) =>
    Effect.andThen(
      refuse(keyMistake(options), options.key),
      Effect.suspend(() => VaultTransit.make(options, keyIdOf(options, undefined), send, isReadLater))
    )
  const make = (options: KeyOptions) => makeLater(options, options.lazy === true)
  return {
    make,
    layerBare: (options) => Layer.effect(Signer.Signer, make(options)),
    layer: (options) => layerRemote({ backend, keyId: options.key || "-" }, makeLater(options, true), options)
  }
}
