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
import * as Base64 from "effect/encoding/Base64"
import * as Hex from "effect/encoding/Hex"
import * as Exit from "effect/Exit"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { primitives } from "#primitives"
import type { RemoteOptions } from "../decorators/remote.ts"
import { layerRemote } from "../decorators/remote.ts"
import { fromBase64, fromBase64Url } from "../schemas/BaseEncoding.ts"
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
import * as VaultClient from "./VaultClient.ts"
import type { Answer, Call, Problem, Send } from "./VaultClient.ts"
import type { TokenSource } from "./VaultToken.ts"
import * as VaultToken from "./VaultToken.ts"

export type { TokenSource }

const backend = "vault"

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
 * Which key, and for what.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyOptions extends Signer.MakeOptions {
  /** The name of the key. */
  readonly key: string
  /** Where the transit engine is mounted. Default `transit`. */
  readonly mount?: string | undefined
  /** Required for RSA keys, which can do several, and with `lazy`. Otherwise the one that the key can do. */
  readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm | undefined
  /** Of a key that is `derived`, which has another key pair for each context. `Ed25519` only. */
  readonly context?: Uint8Array | undefined
  /**
   * Bytes of an `Ed25519` message at most. Default 786,432: their base64 has the
   * 1 MiB that Vault takes unless `max_json_string_value_length` says otherwise.
   */
  readonly maxMessageLength?: number | undefined
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

type Mistake = readonly [field: string, problem: string]

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

/** The first thing that is wrong with the key. */
const keyMistake = (options: KeyOptions): Mistake | undefined => {
  const { algorithm, context, key, lazy, maxMessageLength, mount } = options
  if (typeof key !== "string" || key.includes("/") || VaultToken.encodePath(key) === undefined) {
    return ["key", "must be the name of a key: not empty, without slashes, . and .."]
  }
  if (mount !== undefined && VaultToken.encodePath(mount) === undefined) {
    return ["mount", "must be the path of a transit engine, without empty segments, . and .."]
  }
  if (algorithm === undefined && lazy === true) {
    return ["algorithm", "is required with lazy, because the key is not asked what it can do"]
  }
  if (context !== undefined && (algorithm ?? "Ed25519") !== "Ed25519") {
    return ["context", `applies to derived keys, which sign Ed25519 and not ${algorithm}`]
  }
  if (context?.length === 0) return ["context", "must not be empty"]
  if (maxMessageLength !== undefined && !(Number.isInteger(maxMessageLength) && maxMessageLength > 0)) {
    return ["maxMessageLength", "must be a positive integer"]
  }
}

// ---------------------------------------------------------------------------
// algorithms
// ---------------------------------------------------------------------------

/** `type` of the API: https://developer.hashicorp.com/vault/api-docs/secret/transit#create-key */
const keyTypes: { readonly [type: string]: SignatureAlgorithm.KeyType } = {
  ed25519: "Ed25519",
  "ecdsa-p256": "P-256",
  "ecdsa-p384": "P-384",
  "ecdsa-p521": "P-521",
  "rsa-2048": "RSA",
  "rsa-3072": "RSA",
  "rsa-4096": "RSA"
}

const hashes: { readonly [H in SignatureAlgorithm.Hash]: string } = {
  "SHA-256": "sha2-256",
  "SHA-384": "sha2-384",
  "SHA-512": "sha2-512"
}

interface Parameters {
  readonly input: "message" | "digest"
  /** What goes into each request beside its input. */
  readonly fields: { readonly [name: string]: string | boolean }
  /** The text after the prefix: `jws` changes its alphabet, too. */
  readonly decode: (text: string) => Uint8Array | undefined
}

/**
 * How each scheme is asked for. Everything is stated: the defaults of Vault are
 * SHA-256 for every curve, DER for ECDSA, and the longest salt for PSS.
 *
 * `prehashed` is never sent for Ed25519, where it would be Ed25519ph on Vault
 * Enterprise and is ignored elsewhere.
 */
const parametersOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm): Parameters | undefined => {
  const { hash, scheme } = SignatureAlgorithm.facts[algorithm]
  if (scheme === "EdDSA") return { input: "message", fields: {}, decode: fromBase64 }
  if (hash === undefined || algorithm === "ES256K") return undefined
  const prehashed = { prehashed: true, hash_algorithm: hashes[hash] }
  switch (scheme) {
    case "ECDSA":
      return { input: "digest", fields: { ...prehashed, marshaling_algorithm: "jws" }, decode: fromBase64Url }
    case "RSA-PSS":
      return {
        input: "digest",
        fields: { ...prehashed, signature_algorithm: "pss", salt_length: "hash" },
        decode: fromBase64
      }
    case "RSA-PKCS1":
      return { input: "digest", fields: { ...prehashed, signature_algorithm: "pkcs1v15" }, decode: fromBase64 }
    default:
      return undefined
  }
}

const supported = SignatureAlgorithm.all.filter((algorithm) => parametersOf(algorithm) !== undefined)

const defaultMaxMessageLength = 786_432

const tooLargeAdvice =
  "transit takes an Ed25519 message whole, as base64 in JSON. Raise maxMessageLength if " +
  "max_json_string_value_length of the server allows it, sign a digest that your protocol defines, or use an ECDSA key"

// ---------------------------------------------------------------------------
// answers
// ---------------------------------------------------------------------------

const decodeKey = Schema.decodeUnknownResult(
  Schema.Struct({
    data: Schema.Struct({
      type: Schema.String,
      latest_version: Schema.Int,
      derived: Schema.optionalKey(Schema.Boolean),
      supports_signing: Schema.optionalKey(Schema.Boolean),
      soft_deleted: Schema.optionalKey(Schema.Boolean),
      keys: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown))
    })
  })
)

const decodeVersion = Schema.decodeUnknownResult(Schema.Struct({ public_key: Schema.NonEmptyString }))

const signed = { key_version: Schema.optionalKey(Schema.Int) }

const decodeSigned = Schema.decodeUnknownResult(
  Schema.Struct({
    data: Schema.Struct({ signature: Schema.String, ...signed })
  })
)

const decodeBatch = Schema.decodeUnknownResult(
  Schema.Struct({
    data: Schema.Struct({
      batch_results: Schema.Array(
        Schema.Struct({
          signature: Schema.optionalKey(Schema.String),
          error: Schema.optionalKey(Schema.String),
          ...signed
        })
      )
    })
  })
)

/** `vault:v3:<text>`, and the version again beside it. */
const parseSignature = (
  signature: string,
  keyVersion: number | undefined,
  decode: Parameters["decode"]
): Result.Result<Signer.BackendSignature, Problem> => {
  const match = /^vault:v([1-9]\d{0,8}):([A-Za-z0-9+/_=-]{1,2048})$/.exec(signature)
  const bytes = match === null ? undefined : decode(match[2]!)
  return bytes === undefined
    ? Result.fail(VaultClient.invalidResponse("the signature is not in the form vault:v<version>:<bytes>"))
    : keyVersion !== undefined && keyVersion !== Number(match![1])
      ? Result.fail(VaultClient.invalidResponse("two key versions are said to have signed"))
      : Result.succeed({ bytes, keyVersion: KeyVersion.make(match![1]!) })
}

// ---------------------------------------------------------------------------
// backend
// ---------------------------------------------------------------------------

/** Items and bytes of base64 in one request: OpenBao takes 1000 strings of JSON, Vault 32 MiB. */
const maxBatchItems = 200
const maxBatchBytes = 8 * 1024 * 1024

/** Consecutive inputs that fit into one request. */
const chunksOf = (inputs: ReadonlyArray<Uint8Array>): ReadonlyArray<ReadonlyArray<Uint8Array>> => {
  const chunks: Array<Array<Uint8Array>> = []
  let bytes = Infinity
  for (const input of inputs) {
    const size = Math.ceil(input.length / 3) * 4
    if (bytes + size > maxBatchBytes || chunks.at(-1)!.length === maxBatchItems) {
      chunks.push([])
      bytes = 0
    }
    chunks.at(-1)!.push(input)
    bytes += size
  }
  return chunks
}

/** What is known of a key after one read. */
interface KeyInfo {
  readonly type: string
  readonly latest: string
  readonly versions: { readonly [version: string]: unknown }
}

const toKeyInfo = (answer: Answer, call: Call): Effect.Effect<KeyInfo, Problem> => {
  if (answer.status !== 200) return Effect.fail(VaultClient.refusal(answer, call))
  const decoded = Result.getOrUndefined(decodeKey(answer.json))?.data
  if (decoded === undefined) return Effect.fail(VaultClient.invalidResponse("the answer is not a transit key of Vault"))
  const { derived, keys, latest_version, soft_deleted, supports_signing, type } = decoded
  if (soft_deleted === true) {
    return Effect.fail((context: ErrorContext) => new KeyUnavailable({ ...context, state: "soft-deleted" }))
  }
  if (supports_signing === false) return Effect.fail((context: ErrorContext) => new KeyNotSigner(context))
  if (!Object.hasOwn(keyTypes, type)) {
    return Effect.fail(
      (context: ErrorContext) =>
        new UnsupportedAlgorithm({
          ...context,
          algorithm: /^[\w-]{1,64}$/.test(type) ? type : "-",
          problem: `no algorithm here is for keys of this type; there are ${Object.keys(keyTypes).join(", ")}`
        })
    )
  }
  if ((derived === true) !== (call.context !== undefined)) {
    return Effect.fail(
      (context: ErrorContext) =>
        new InvalidConfiguration({
          ...context,
          field: "context",
          problem: derived === true ? "the key is derived: state the context" : "the key is not derived: leave it out"
        })
    )
  }
  return Effect.succeed({ type, latest: String(latest_version), versions: keys ?? {} })
}

/** The public key of one version, in the form that its type has. */
const toPublicKey = (info: KeyInfo, version: string): Effect.Effect<PublicKey.PublicKey, Problem> => {
  if (!Object.hasOwn(info.versions, version)) return Effect.fail((context: ErrorContext) => new KeyNotFound(context))
  const text = Result.getOrUndefined(decodeVersion(info.versions[version]))?.public_key
  if (text === undefined) {
    return Effect.fail(
      VaultClient.invalidResponse(`version ${version} has no public key: is the key external or managed?`)
    )
  }
  const malformed = VaultClient.invalidResponse(`the public key of version ${version} is malformed`)
  if (info.type !== "ed25519") {
    return PublicKey.fromPem(`${text.trimEnd()}\n`).pipe(
      Effect.mapError(() => malformed),
      Effect.filterOrFail(
        (key) => key.type === keyTypes[info.type],
        () => malformed
      )
    )
  }
  const bytes = fromBase64(text)
  return bytes === undefined
    ? Effect.fail(malformed)
    : Effect.mapError(PublicKey.fromRaw("Ed25519", bytes), () => malformed)
}

const chooseAlgorithm = (
  asked: SignatureAlgorithm.SignatureAlgorithm | undefined,
  { type }: KeyInfo
): Effect.Effect<SignatureAlgorithm.SignatureAlgorithm, Problem> => {
  const candidates = SignatureAlgorithm.forKeyType(keyTypes[type]!)
  const only = asked ?? (candidates.length === 1 ? candidates[0] : undefined)
  return only !== undefined && candidates.includes(only)
    ? Effect.succeed(only)
    : Effect.fail(
        (context: ErrorContext) =>
          new InvalidConfiguration({
            ...context,
            field: "algorithm",
            problem:
              only === undefined
                ? `a key of type ${type} can do several; state one of ${candidates.join(", ")}`
                : `the key is of type ${type} and cannot do ${only}; it can do ${candidates.join(", ")}`
          })
      )
}

/** How a Signer names the key: its path, and of a derived key the fingerprint of its context. */
const keyIdOf = ({ context, key, mount }: KeyOptions, namespace: string | undefined): KeyId.KeyId => {
  const path = [namespace, mount ?? "transit", "keys", key]
    .filter((part) => part !== undefined && part !== "")
    .map((part) => part!.replace(/^\/+|\/+$/g, ""))
    .join("/")
  return KeyId.make(
    context === undefined ? path : `${path}#${Hex.encode(primitives.digest("SHA-256", context).subarray(0, 8))}`
  )
}

/** A Signer over anything that can send. `lazy` of the Signer itself is the second argument. */
const makeWith = Effect.fnUntraced(function* (
  options: KeyOptions,
  keyId: KeyId.KeyId,
  send: Send,
  isReadLater: boolean
): Effect.fn.Return<Service, SignerError> {
  const making: ErrorContext = { backend, keyId, operation: "make" }
  const asked = options.algorithm
  if (asked !== undefined && parametersOf(asked) === undefined) {
    return yield* new UnsupportedAlgorithm({
      ...making,
      algorithm: asked,
      problem: `transit cannot do it; it can do ${supported.join(", ")}`
    })
  }
  const at = <A>(
    operation: ErrorContext["operation"],
    effect: Effect.Effect<A, Problem>
  ): Effect.Effect<A, SignerError> => Effect.mapError(effect, (problem) => problem({ backend, keyId, operation }))

  const mount = VaultToken.encodePath(options.mount ?? "transit")!
  const name = encodeURIComponent(options.key)
  const context = options.context === undefined ? undefined : Base64.encode(options.context)
  const readCall: Call = { method: "GET", path: `${mount}/keys/${name}`, context }
  const read = Effect.flatMap(send(readCall), (answer) => toKeyInfo(answer, readCall))

  // Versions never change: what was read once need not be read again.
  const known = new Map<string, PublicKey.PublicKey>()
  const versionOf = (info: KeyInfo, version: string): Effect.Effect<PublicKey.PublicKey, Problem> =>
    Effect.tap(toPublicKey(info, version), (key) => Effect.sync(() => void known.set(version, key)))

  // What is read to choose the algorithm is the first answer to `publicKey`, too.
  let first = asked === undefined ? yield* at("make", read) : undefined
  const algorithm = first === undefined ? asked! : yield* at("make", chooseAlgorithm(asked, first))
  const { decode, fields, input } = parametersOf(algorithm)!

  const readKey = Effect.suspend(() => {
    const info = first
    first = undefined
    return info === undefined ? Effect.tap(read, (info) => chooseAlgorithm(algorithm, info)) : Effect.succeed(info)
  })

  const signPath = `${mount}/sign/${name}`
  const post = (body: string): Call => ({ method: "POST", path: signPath, body })
  const rest = Object.entries(fields)
    .map(([name, value]) => `,"${name}":${JSON.stringify(value)}`)
    .join("")
  const itemOf = (bytes: Uint8Array) =>
    `"input":"${Base64.encode(bytes)}"${context === undefined ? "" : `,"context":"${context}"`}`

  const sign = (bytes: Uint8Array): Effect.Effect<Signer.BackendSignature, Problem> => {
    const call = post(`{${itemOf(bytes)}${rest}}`)
    return Effect.flatMap(send(call), (answer): Effect.Effect<Signer.BackendSignature, Problem> => {
      if (answer.status !== 200) return Effect.fail(VaultClient.refusal(answer, call))
      const signed = Result.getOrUndefined(decodeSigned(answer.json))?.data
      return signed === undefined
        ? Effect.fail(VaultClient.invalidResponse("the answer is not a signature of Vault"))
        : Effect.fromResult(parseSignature(signed.signature, signed.key_version, decode))
    })
  }

  type Outcome = Exit.Exit<Signer.BackendSignature, SignerError>
  const signing: ErrorContext = { backend, keyId, operation: "sign" }
  const failed = (problem: Problem): Outcome => Exit.fail(problem(signing))

  const signChunk = (inputs: ReadonlyArray<Uint8Array>): Effect.Effect<ReadonlyArray<Outcome>> => {
    const call = post(`{"batch_input":[${inputs.map((bytes) => `{${itemOf(bytes)}}`).join(",")}]${rest}}`)
    return Effect.matchEffect(send(call), {
      onFailure: (problem) => Effect.succeed(inputs.map(() => failed(problem))),
      onSuccess: (answer) => {
        const results =
          answer.status === 200 ? Result.getOrUndefined(decodeBatch(answer.json))?.data.batch_results : undefined
        if (results === undefined || results.length !== inputs.length) {
          const problem =
            answer.status !== 200
              ? VaultClient.refusal(answer, call)
              : VaultClient.invalidResponse(`the answer is not one to a batch of ${inputs.length}`)
          return Effect.succeed(inputs.map(() => failed(problem)))
        }
        return Effect.succeed(
          results.map(({ error, key_version, signature }): Outcome =>
            signature === undefined || signature === ""
              ? failed(VaultClient.itemRefusal(error ?? "", call))
              : Result.match(parseSignature(signature, key_version, decode), {
                  onFailure: failed,
                  onSuccess: Exit.succeed
                })
          )
        )
      }
    })
  }

  return yield* Signer.make(
    {
      name: backend,
      keyId,
      algorithm,
      input,
      ...(input === "message"
        ? { maxMessageLength: options.maxMessageLength ?? defaultMaxMessageLength, tooLargeAdvice }
        : {}),
      publicKey: (version) => {
        if (version === undefined) {
          return at(
            "publicKey",
            Effect.flatMap(readKey, (info) => versionOf(info, info.latest))
          )
        }
        const key = known.get(version)
        return key !== undefined
          ? Effect.succeed(key)
          : /^[1-9]\d{0,8}$/.test(version)
            ? at(
                "publicKey",
                Effect.flatMap(readKey, (info) => versionOf(info, version))
              )
            : Effect.fail(new KeyNotFound({ backend, keyId, operation: "publicKey" }))
      },
      sign: (input) => at("sign", sign(input)),
      signMany: (inputs) => Effect.map(Effect.forEach(chunksOf(inputs), signChunk), (outcomes) => outcomes.flat())
    },
    {
      ...options,
      lazy: isReadLater,
      publicKeyTimeToLive: options.publicKeyTimeToLive ?? "5 minutes"
    }
  )
})

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
  yield* refuse(connectionMistake(options) ?? keyMistake(options), options.key)
  const { namespace, redirectOrigins, token, url } = options
  const keyId = keyIdOf(options, namespace)
  const send = yield* VaultClient.make({ url: new URL(url), namespace, redirectOrigins })
  const tokens = yield* Effect.mapError(VaultToken.make(token, send), (problem) =>
    problem({ backend, keyId, operation: "make" })
  )
  return yield* makeWith(options, keyId, VaultToken.authenticated(send, tokens), isReadLater)
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
            ? Effect.succeed({ status: statusCode, json: jsonOf(body) })
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
      Effect.suspend(() => makeWith(options, keyIdOf(options, undefined), send, isReadLater))
    )
  const make = (options: KeyOptions) => makeLater(options, options.lazy === true)
  return {
    make,
    layerBare: (options) => Layer.effect(Signer.Signer, make(options)),
    layer: (options) => layerRemote({ backend, keyId: options.key || "-" }, makeLater(options, true), options)
  }
}
