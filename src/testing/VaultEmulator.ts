/**
 * The transit engine of Vault and OpenBao on the loopback interface: real keys,
 * real signatures, versions, derived keys, tokens that expire, logins, namespaces,
 * and the errors of Vault in the words of Vault.
 *
 * **Details**
 *
 * Answers below `/v1/`: `<mount>/sign/:name`, `<mount>/keys/:name` with `rotate` and
 * `config`, `auth/<mount>/login` of AppRole and Kubernetes, `auth/token/lookup-self`
 * and `renew-self`, `sys/mounts/:path`, `sys/health`. Faults come from scripts, one for signing, one for
 * reading a key and one for logins and renewals; what happened is recorded in order.
 * Time is Effect's clock, so `TestClock` lets tokens expire.
 *
 * **Gotchas**
 *
 * There are no policies: `deny` stands for them, and any token that is valid may do
 * the rest. PSS is signed with `salt_length: "hash"` and refused with another.
 * Requests without TLS only.
 *
 * **Example** (A spec against a throttled Vault)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { Signer } from "effect-signer"
 * import * as VaultSigner from "effect-signer/VaultSigner"
 * import * as VaultEmulator from "effect-signer/testing/VaultEmulator"
 *
 * const program = Effect.gen(function*() {
 *   const vault = yield* VaultEmulator.VaultEmulator
 *   yield* vault.createKey("release", "ed25519")
 *   yield* vault.sign.push(VaultEmulator.Fault.throttle())
 *   return yield* Signer.sign(new TextEncoder().encode("hello")).pipe(
 *     Effect.provide(VaultSigner.layer({ ...vault.connection, key: "release" }).pipe(
 *       Layer.provide(FetchHttpClient.layer)
 *     ))
 *   )
 * }).pipe(Effect.provide(VaultEmulator.layer()))
 * ```
 *
 * @since 0.1.0
 */
import { hkdf } from "@noble/hashes/hkdf.js"
import { sha256 } from "@noble/hashes/sha2.js"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { primitives } from "#primitives"
import { fromBase64 } from "../schemas/BaseEncoding.ts"
import * as Ecdsa from "../schemas/Ecdsa.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import * as PrivateKeySecret from "../schemas/PrivateKeySecret.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { Hash, SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import { facts } from "../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import { refuseInProduction } from "../services/Ephemeral.ts"
import * as EmulatedKey from "./emulator/EmulatedKey.ts"
import type { Fault } from "./emulator/Fault.ts"
import * as FaultScript from "./emulator/FaultScript.ts"
import * as FaultyAnswer from "./emulator/FaultyAnswer.ts"
import * as LoopbackServer from "./emulator/LoopbackServer.ts"
import * as Recorder from "./emulator/Recorder.ts"

export * as Fault from "./emulator/Fault.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * `type` of a key: those that sign, and the symmetric default, which cannot.
 *
 * @category models
 * @since 0.1.0
 */
export type KeyType =
  | "ed25519"
  | "ecdsa-p256"
  | "ecdsa-p384"
  | "ecdsa-p521"
  | "rsa-2048"
  | "rsa-3072"
  | "rsa-4096"
  | "aes256-gcm96"

/**
 * The operations that are answered, as the recorder names them.
 *
 * @category models
 * @since 0.1.0
 */
export type Operation =
  | "sign"
  | "readKey"
  | "createKey"
  | "rotateKey"
  | "configKey"
  | "login"
  | "renewSelf"
  | "lookupSelf"
  | "mount"
  | "health"

/**
 * A key that was made.
 *
 * @category models
 * @since 0.1.0
 */
export interface CreatedKey {
  readonly name: string
  readonly mount: string
  readonly namespace: string
  /** Of the latest version, or of a named one; of a derived key, for the context. */
  readonly publicKey: (options?: {
    readonly version?: number | undefined
    readonly context?: Uint8Array | undefined
  }) => Effect.Effect<PublicKey.PublicKey, SignerError>
}

/**
 * How long a token lives.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenOptions {
  /** Seconds. Default 0: it does not expire. */
  readonly timeToLive?: number | undefined
  /** Seconds after which no renewal helps. Default: none. */
  readonly maxTimeToLive?: number | undefined
  /** Default true. */
  readonly isRenewable?: boolean | undefined
}

/**
 * A running emulator.
 *
 * @category services
 * @since 0.1.0
 */
export class VaultEmulator extends Context.Service<
  VaultEmulator,
  {
    readonly url: string
    /** Options with which `VaultSigner` reaches it. */
    readonly connection: { readonly url: string; readonly token: Redacted.Redacted<string> }
    readonly createKey: (
      name: string,
      type: KeyType,
      options?: {
        /** Default `transit`. */
        readonly mount?: string | undefined
        readonly namespace?: string | undefined
        /** `ed25519` only. */
        readonly isDerived?: boolean | undefined
        /** Of the first version. Default: a new key. */
        readonly privateKey?: PrivateKey.PrivateKey | undefined
      }
    ) => Effect.Effect<CreatedKey, SignerError>
    /** Adds a version to a key. */
    readonly rotate: (key: CreatedKey) => Effect.Effect<void, SignerError>
    /** Adds a version to a key every so often, for as long as the scope is open. */
    readonly rotateEvery: (key: CreatedKey, period: Duration.Input) => Effect.Effect<void, never, Scope.Scope>
    readonly createToken: (options?: TokenOptions) => Effect.Effect<Redacted.Redacted<string>>
    readonly revokeToken: (token: Redacted.Redacted<string>) => Effect.Effect<void>
    /** Revokes all tokens but that of `connection`. */
    readonly revokeTokens: Effect.Effect<void>
    /** Lets `auth/<mount>/login` give tokens to whoever has both ids. */
    readonly addAppRole: (
      role: TokenOptions & {
        readonly roleId: string
        readonly secretId: Redacted.Redacted<string>
        readonly mount?: string | undefined
      }
    ) => Effect.Effect<void>
    /** Lets `auth/<mount>/login` give tokens to whoever has the JWT. */
    readonly addKubernetesRole: (
      role: TokenOptions & {
        readonly role: string
        readonly jwt: Redacted.Redacted<string>
        readonly mount?: string | undefined
      }
    ) => Effect.Effect<void>
    /** Lets no token do these operations, until {@link allow}. */
    readonly deny: (...operations: ReadonlyArray<Operation>) => Effect.Effect<void>
    readonly allow: (...operations: ReadonlyArray<Operation>) => Effect.Effect<void>
    readonly setSealed: (isSealed: boolean) => Effect.Effect<void>
    /** Faults of signing. */
    readonly sign: FaultScript.FaultScript
    /** Faults of reading a key. */
    readonly readKey: FaultScript.FaultScript
    /** Faults of logins and renewals. */
    readonly login: FaultScript.FaultScript
    /** The operations that came, with their body. */
    readonly recorder: Recorder.Recorder
    /** Closes the server and every connection; nothing answers afterwards. */
    readonly stop: Effect.Effect<void>
  }
>()("effect-signer/testing/VaultEmulator") {}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: any that is free. */
  readonly port?: number | undefined
  /** The token of `connection`, which may do everything. Default: a new one. */
  readonly rootToken?: Redacted.Redacted<string> | undefined
  /** Where transit engines are mounted. Default `["transit"]`. */
  readonly mounts?: ReadonlyArray<string> | undefined
  /** `max_json_string_value_length`. Default 1,048,576. */
  readonly maxJsonStringLength?: number | undefined
  readonly allowInProduction?: boolean | undefined
}

// ---------------------------------------------------------------------------
// the API
// ---------------------------------------------------------------------------

/** https://developer.hashicorp.com/vault/api-docs/secret/transit#create-key, with `name` of each version as Vault writes it. */
const keyTypes = {
  ed25519: { type: "Ed25519", name: "ed25519" },
  "ecdsa-p256": { type: "P-256", name: "P-256" },
  "ecdsa-p384": { type: "P-384", name: "P-384" },
  "ecdsa-p521": { type: "P-521", name: "P-521" },
  "rsa-2048": { type: "RSA", name: "rsa-2048", bits: 2048 },
  "rsa-3072": { type: "RSA", name: "rsa-3072", bits: 3072 },
  "rsa-4096": { type: "RSA", name: "rsa-4096", bits: 4096 }
} as const

const isSigning = (type: KeyType): type is keyof typeof keyTypes => Object.hasOwn(keyTypes, type)

const hashes: { readonly [name: string]: Hash } = {
  "sha2-256": "SHA-256",
  "sha2-384": "SHA-384",
  "sha2-512": "SHA-512"
}

/** An error of the API: https://developer.hashicorp.com/vault/api-docs#error-response */
class VaultFailure {
  readonly status: number
  readonly errors: ReadonlyArray<string>
  constructor(status: number, ...errors: ReadonlyArray<string>) {
    this.status = status
    this.errors = errors
  }
}

const refuse = (status: number, ...errors: ReadonlyArray<string>) => Effect.fail(new VaultFailure(status, ...errors))

/** The words of Vault since 1.15 for a token that is not there any longer, and for one that may not. */
const invalidToken = new VaultFailure(403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
const internalError = new VaultFailure(500, "1 error occurred:\n\t* internal error\n\n")
const permissionDenied = new VaultFailure(403, "1 error occurred:\n\t* permission denied\n\n")

interface Stored {
  readonly name: string
  readonly type: KeyType
  readonly isDerived: boolean
  readonly versions: Array<{
    readonly key: EmulatedKey.EmulatedKey
    readonly privateKey: PrivateKey.PrivateKey
    readonly createdAt: number
  }>
  /** Of derived keys, by version and context. */
  readonly derived: Map<string, EmulatedKey.EmulatedKey>
  minEncryptionVersion: number
}

interface Token {
  expiresAt: number
  readonly timeToLive: number
  readonly notAfter: number
  readonly isRenewable: boolean
}

type Input = Readonly<Record<string, unknown>>

const hasLongString = (value: unknown, limit: number): boolean =>
  typeof value === "string"
    ? value.length > limit
    : typeof value === "object" && value !== null && Object.values(value).some((part) => hasLongString(part, limit))

const json = (status: number, body: unknown, headers: Record<string, string> = {}): LoopbackServer.Response => {
  const text = body === undefined ? "" : `${JSON.stringify(body)}\n`
  return {
    _tag: "Answered",
    status,
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store",
      // net/http of Go states the length of what it need not send in parts, which are answers below 2 KiB
      ...(text.length < 2048 ? { "content-length": String(new TextEncoder().encode(text).length) } : {}),
      ...headers
    },
    body: text
  }
}

/** https://developer.hashicorp.com/vault/api-docs#api-operations: what is around `data` of every answer. */
const envelope = (parts: { readonly data?: object; readonly auth?: object }) => ({
  request_id: crypto.randomUUID(),
  lease_id: "",
  renewable: false,
  lease_duration: 0,
  data: parts.data ?? null,
  wrap_info: null,
  warnings: null,
  auth: parts.auth ?? null
})

const failed = ({ errors, status }: VaultFailure, headers?: Record<string, string>) => json(status, { errors }, headers)

/** Which operation a request is, and of what. */
interface Route {
  readonly operation: Operation
  /** The mount of the engine or of the auth method. */
  readonly mount: string
  readonly name: string
}

const routes: ReadonlyArray<readonly [method: RegExp, path: RegExp, operation: Operation]> = [
  [/^GET$/, /^(sys)\/(health)$/, "health"],
  [/^(?:POST|PUT)$/, /^(sys)\/mounts\/(.+?)\/?$/, "mount"],
  [/^(?:POST|PUT)$/, /^auth\/(token)\/(renew-self)$/, "renewSelf"],
  [/^GET$/, /^auth\/(token)\/(lookup-self)$/, "lookupSelf"],
  [/^(?:POST|PUT)$/, /^auth\/(.+)\/(login)$/, "login"],
  [/^(?:POST|PUT)$/, /^(.+)\/sign\/([\w.-]+)(?:\/[\w-]+)?$/, "sign"],
  [/^(?:POST|PUT)$/, /^(.+)\/keys\/([\w.-]+)\/rotate$/, "rotateKey"],
  [/^(?:POST|PUT)$/, /^(.+)\/keys\/([\w.-]+)\/config$/, "configKey"],
  [/^(?:POST|PUT)$/, /^(.+)\/keys\/([\w.-]+)$/, "createKey"],
  [/^GET$/, /^(.+)\/keys\/([\w.-]+)$/, "readKey"]
]

const routeOf = (method: string, path: string): Route | undefined => {
  for (const [wanted, pattern, operation] of routes) {
    const match = wanted.test(method) ? pattern.exec(path) : null
    if (match !== null) return { operation, mount: match[1]!, name: match[2]! }
  }
}

const text = (value: unknown): string => (typeof value === "string" ? value : "")

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * A running emulator.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where `NODE_ENV` is `production`, unless
 * `allowInProduction`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<VaultEmulator["Service"], SignerError, Scope.Scope> {
  yield* refuseInProduction("vault-emulator", "an emulator", options.allowInProduction)
  const { maxJsonStringLength = 1_048_576 } = options
  const newToken = () => `hvs.${Base64Url.encode(primitives.randomBytes(24))}`
  const root = options.rootToken ?? Redacted.make(newToken())
  const keys = new Map<string, Stored>()
  const mounts = new Set<string>()
  const tokens = new Map<string, Token>()
  const logins = new Map<string, TokenOptions>()
  const denied = new Set<Operation>()
  const sign = FaultScript.make()
  const readKey = FaultScript.make()
  const login = FaultScript.make()
  const { record, recorder } = Recorder.make()
  let isSealed = false
  tokens.set(Redacted.value(root), { expiresAt: Infinity, timeToLive: 0, notAfter: Infinity, isRenewable: false })

  const mountOf = (namespace: string, mount: string) => `${namespace.replace(/^\/+|\/+$/g, "")}|${mount}`
  const keyOf = (namespace: string, mount: string, name: string) => `${mountOf(namespace, mount)}|${name}`
  for (const mount of options.mounts ?? ["transit"]) mounts.add(mountOf("", mount))

  // -- keys

  const addVersion = Effect.fnUntraced(function* (stored: Stored, given?: PrivateKey.PrivateKey) {
    if (!isSigning(stored.type)) return
    const { type, ...rest } = keyTypes[stored.type]
    const bits = "bits" in rest ? rest.bits : undefined
    const privateKey = given ?? (yield* PrivateKey.generate(type, bits === undefined ? {} : { modulusLength: bits }))
    const key = EmulatedKey.make(privateKey)
    if (key.type !== type || key.modulusLength !== bits) {
      return yield* InvalidConfiguration.of({ field: "privateKey", problem: `is not a key of ${stored.type}` })
    }
    stored.versions.push({ key, privateKey, createdAt: yield* Clock.currentTimeMillis })
  })

  /**
   * The key of a version; of a derived key, the one that HKDF-SHA256 makes of it and
   * the context: https://developer.hashicorp.com/vault/docs/secrets/transit#key-derivation
   */
  const keyFor = Effect.fnUntraced(function* (stored: Stored, version: number, context: Uint8Array | undefined) {
    const { key, privateKey } = stored.versions[version - 1]!
    if (!stored.isDerived) return key
    const name = `${version} ${Base64.encode(context!)}`
    const known = stored.derived.get(name)
    if (known !== undefined) return known
    const seed = hkdf(sha256, PrivateKeySecret.secretBytes(privateKey), undefined, context!, 32)
    const derived = EmulatedKey.make(yield* PrivateKey.fromRaw("Ed25519", seed))
    stored.derived.set(name, derived)
    return derived
  })

  const created = (stored: Stored, mount: string, namespace: string): CreatedKey => ({
    name: stored.name,
    mount,
    namespace,
    publicKey: ({ context, version = stored.versions.length } = {}) =>
      Effect.map(keyFor(stored, version, context), ({ publicKey }) => publicKey)
  })

  const createKey: VaultEmulator["Service"]["createKey"] = Effect.fnUntraced(function* (name, type, given = {}) {
    const { isDerived = false, mount = "transit", namespace = "", privateKey } = given
    if (isDerived && type !== "ed25519" && type !== "aes256-gcm96") {
      return yield* InvalidConfiguration.of({ field: "isDerived", problem: `${type} does not support derivation` })
    }
    const stored: Stored = { name, type, isDerived, versions: [], derived: new Map(), minEncryptionVersion: 0 }
    yield* addVersion(stored, privateKey)
    mounts.add(mountOf(namespace, mount))
    keys.set(keyOf(namespace, mount, name), stored)
    return created(stored, mount, namespace)
  })

  const rotate = ({ mount, name, namespace }: CreatedKey) =>
    Effect.suspend(() => addVersion(keys.get(keyOf(namespace, mount, name))!))

  // -- tokens

  const issue = (given: TokenOptions = {}) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      const { isRenewable = true, maxTimeToLive = Infinity, timeToLive = 0 } = given
      const token = newToken()
      const notAfter = now + maxTimeToLive * 1000
      const expiresAt = timeToLive === 0 ? Infinity : Math.min(now + timeToLive * 1000, notAfter)
      tokens.set(token, { expiresAt, timeToLive, notAfter, isRenewable })
      return token
    })

  /** https://developer.hashicorp.com/vault/api-docs/auth/approle#login-with-approle */
  const authOf = (token: string, { expiresAt, isRenewable }: Token, now: number) => ({
    client_token: token,
    accessor: Base64Url.encode(primitives.digest("SHA-256", new TextEncoder().encode(token)).subarray(0, 18)),
    policies: ["default"],
    token_policies: ["default"],
    metadata: null,
    lease_duration: expiresAt === Infinity ? 0 : Math.floor((expiresAt - now) / 1000),
    renewable: isRenewable,
    entity_id: "",
    token_type: "service",
    orphan: true,
    mfa_requirement: null,
    num_uses: 0
  })

  const authorize = Effect.fnUntraced(function* (operation: Operation, header: unknown) {
    const token = tokens.get(text(header))
    if (token === undefined || token.expiresAt <= (yield* Clock.currentTimeMillis))
      return yield* Effect.fail(invalidToken)
    if (denied.has(operation)) return yield* Effect.fail(permissionDenied)
    return { text: text(header), token }
  })

  // -- operations

  const storedOf = (route: Route, namespace: string) => keys.get(keyOf(namespace, route.mount, route.name))

  interface Item {
    readonly signature?: string
    readonly key_version?: number
    readonly public_key?: string
    readonly error?: string
  }

  /** What is wrong with one input is an error of its own in a batch, and of the request without one. */
  const signItem = Effect.fnUntraced(function* (
    stored: Stored,
    item: Input,
    input: Input,
    fault: Fault,
    version: number
  ) {
    const type = stored.type as keyof typeof keyTypes
    const bytes = fromBase64(text(item["input"]))
    if (bytes === undefined)
      return yield* refuse(400, "unable to decode input as base64: illegal base64 data at input byte 0")
    const context = fromBase64(text(item["context"]))
    if (context === undefined) return yield* refuse(400, "failed to base64-decode context")
    if (stored.isDerived && context.length === 0) {
      return yield* refuse(
        500,
        "missing 'context' for key derivation; the key was created using a derived key, which means additional, " +
          "per-request information must be included in order to perform operations with the key"
      )
    }
    const key = yield* keyFor(stored, version, context)
    const isPss = text(input["signature_algorithm"]) !== "pkcs1v15"
    const hash = hashes[text(input["hash_algorithm"]) || "sha2-256"]!
    const algorithm: SignatureAlgorithm =
      type === "ed25519"
        ? "Ed25519"
        : type === "ecdsa-p256"
          ? "ES256"
          : type === "ecdsa-p384"
            ? "ES384"
            : type === "ecdsa-p521"
              ? "ES512"
              : `${isPss ? "PS" : "RS"}${hash.slice(4) as "256" | "384" | "512"}`
    // `prehashed` is ignored for Ed25519: outside of Vault Enterprise there is no Ed25519ph
    const isMessage = algorithm === "Ed25519"
    const signed = isMessage || input["prehashed"] === true ? bytes : primitives.digest(hash, bytes)
    if (facts[algorithm].keyType === "RSA" && signed.length !== primitives.digest(hash, new Uint8Array(0)).length) {
      return yield* refuse(500, "crypto/rsa: input must be hashed message")
    }
    const raw = yield* key.sign(algorithm, isMessage ? "message" : "digest", signed, fault)
    const isJws = input["marshaling_algorithm"] === "jws"
    const isEcdsa = facts[algorithm].scheme === "ECDSA"
    // `jws` is also another alphabet, for every type of key
    const encoded = isJws ? Base64Url.encode(raw) : Base64.encode(isEcdsa ? Ecdsa.toDer(raw)! : raw)
    const named = fault._tag === "WrongName" ? version + 1 : version
    return {
      signature: `vault:v${named}:${encoded}`,
      key_version: named,
      publicKey: stored.isDerived ? key.publicKey : undefined
    }
  })

  /** https://developer.hashicorp.com/vault/api-docs/secret/transit#sign-data */
  const signing = Effect.fnUntraced(function* (route: Route, namespace: string, input: Input, fault: Fault) {
    const stored = storedOf(route, namespace)
    if (input["hash_algorithm"] !== undefined && hashes[text(input["hash_algorithm"])] === undefined) {
      return yield* refuse(400, `invalid hash algorithm "${text(input["hash_algorithm"])}"`)
    }
    if (!["", "asn1", "jws"].includes(text(input["marshaling_algorithm"]))) {
      return yield* refuse(400, `invalid marshaling type "${text(input["marshaling_algorithm"])}"`)
    }
    if (stored === undefined) return yield* refuse(400, "signing key not found")
    if (!isSigning(stored.type)) return yield* refuse(400, `key type ${stored.type} does not support signing`)
    if (
      stored.type.startsWith("rsa") &&
      input["signature_algorithm"] !== "pkcs1v15" &&
      input["salt_length"] !== "hash"
    ) {
      return yield* refuse(501, `this emulator signs PSS with salt_length "hash" only`)
    }
    if (fault._tag === "Rotate") yield* addVersion(stored)
    const latest = stored.versions.length
    const asked = typeof input["key_version"] === "number" && input["key_version"] !== 0 ? input["key_version"] : latest
    if (asked > latest) {
      return yield* refuse(500, "requested version for signing is higher than the latest key version")
    }
    if (asked < 0) return yield* refuse(500, "requested version for signing is negative")
    if (asked < stored.minEncryptionVersion) {
      return yield* refuse(500, "requested version for signing is less than the minimum encryption key version")
    }
    const batch = input["batch_input"]
    if (batch === undefined) {
      const { publicKey, ...signed } = yield* signItem(stored, input, input, fault, asked)
      return publicKey === undefined ? signed : { ...signed, public_key: Base64.encode(publicKey.bytes) }
    }
    if (!Array.isArray(batch) || batch.length === 0) return yield* refuse(400, "missing batch input to process")
    const results = yield* Effect.forEach(batch as ReadonlyArray<Input>, (item) =>
      signItem(stored, item, input, fault, asked).pipe(
        // in a batch the public key of a derived key is one word
        Effect.map(({ publicKey, ...signed }): Item =>
          publicKey === undefined ? signed : ({ ...signed, publickey: Base64.encode(publicKey.bytes) } as Item)
        ),
        Effect.catchIf(
          (error) => error instanceof VaultFailure,
          ({ errors }) => Effect.succeed<Item>({ error: errors[0]! })
        ),
        Effect.map((result) => (item["reference"] === undefined ? result : { ...result, reference: item["reference"] }))
      )
    )
    return { batch_results: results }
  })

  /** https://developer.hashicorp.com/vault/api-docs/secret/transit#read-key */
  const reading = Effect.fnUntraced(function* (route: Route, namespace: string, query: URLSearchParams, fault: Fault) {
    const stored = storedOf(route, namespace)
    if (stored === undefined) return yield* refuse(404)
    if (fault._tag === "Rotate") yield* addVersion(stored)
    const context = fromBase64(query.get("context") ?? "")
    if (context === undefined) return yield* refuse(400, "failed to base64-decode context")
    const isRsa = stored.type.startsWith("rsa")
    const entries: Array<readonly [string, unknown]> = []
    for (const [index, { createdAt, key }] of stored.versions.entries()) {
      const shown =
        fault._tag === "AnotherKey"
          ? (yield* EmulatedKey.generate(key.type, key.modulusLength)).publicKey
          : stored.isDerived && context.length > 0
            ? (yield* keyFor(stored, index + 1, context)).publicKey
            : key.publicKey
      entries.push([
        String(index + 1),
        {
          certificate_chain: "",
          creation_time: new Date(createdAt).toISOString(),
          name: keyTypes[stored.type as keyof typeof keyTypes].name,
          public_key:
            stored.type === "ed25519"
              ? stored.isDerived && context.length === 0
                ? ""
                : Base64.encode(shown.bytes)
              : PublicKey.toPem(shown)
        }
      ])
    }
    return {
      allow_plaintext_backup: false,
      auto_rotate_period: 0,
      deletion_allowed: false,
      derived: stored.isDerived,
      exportable: false,
      imported_key: false,
      keys: isSigning(stored.type) ? Object.fromEntries(entries) : { "1": 0 },
      latest_version: fault._tag === "WrongName" ? stored.versions.length + 1 : Math.max(1, stored.versions.length),
      min_available_version: 0,
      min_decryption_version: 1,
      min_encryption_version: stored.minEncryptionVersion,
      name: stored.name,
      supports_decryption: isRsa || !isSigning(stored.type),
      supports_derivation: stored.type === "ed25519" || !isSigning(stored.type),
      supports_encryption: isRsa || !isSigning(stored.type),
      supports_signing: isSigning(stored.type),
      type: stored.type
    }
  })

  const isKeyType = (type: string): type is KeyType => type === "aes256-gcm96" || Object.hasOwn(keyTypes, type)

  interface Request {
    readonly route: Route
    readonly namespace: string
    readonly query: URLSearchParams
    readonly input: Input
    readonly token: unknown
  }

  type Data = Effect.Effect<{ readonly data?: object; readonly auth?: object } | undefined, VaultFailure | SignerError>

  const operations: { readonly [O in Operation]: (request: Request, fault: Fault) => Data } = {
    sign: ({ input, namespace, route, token }, fault) =>
      Effect.andThen(
        authorize("sign", token),
        Effect.map(signing(route, namespace, input, fault), (data) => ({ data }))
      ),
    readKey: ({ namespace, query, route, token }, fault) =>
      Effect.andThen(
        authorize("readKey", token),
        Effect.map(reading(route, namespace, query, fault), (data) => ({ data }))
      ),
    createKey: Effect.fnUntraced(function* ({ input, namespace, query, route, token }, fault) {
      yield* authorize("createKey", token)
      const type = text(input["type"]) || "aes256-gcm96"
      if (!isKeyType(type)) return yield* refuse(400, `unknown key type ${type}`)
      if (storedOf(route, namespace) === undefined) {
        yield* createKey(route.name, type, { mount: route.mount, namespace, isDerived: input["derived"] === true })
      }
      return { data: yield* reading(route, namespace, query, fault) }
    }),
    // https://developer.hashicorp.com/vault/api-docs/secret/transit#rotate-key
    rotateKey: Effect.fnUntraced(function* ({ namespace, query, route, token }, fault) {
      yield* authorize("rotateKey", token)
      const stored = storedOf(route, namespace)
      if (stored === undefined) return yield* refuse(400, "key not found")
      yield* addVersion(stored)
      return { data: yield* reading(route, namespace, query, fault) }
    }),
    // https://developer.hashicorp.com/vault/api-docs/secret/transit#update-key-configuration
    configKey: Effect.fnUntraced(function* ({ input, namespace, query, route, token }, fault) {
      yield* authorize("configKey", token)
      const stored = storedOf(route, namespace)
      if (stored === undefined) return yield* refuse(400, `no existing key named ${route.name} could be found`)
      const version = input["min_encryption_version"]
      if (typeof version === "number") {
        if (version > stored.versions.length) {
          return yield* refuse(
            400,
            `cannot set min encryption version of ${version}, latest key version is ${stored.versions.length}`
          )
        }
        stored.minEncryptionVersion = version
      }
      return { data: yield* reading(route, namespace, query, fault) }
    }),
    login: Effect.fnUntraced(function* ({ input, namespace, route }) {
      const prefix = `${mountOf(namespace, route.mount)} `
      if (![...logins.keys()].some((name) => name.startsWith(prefix))) {
        return yield* refuse(404, `no handler for route "auth/${route.mount}/login". route entry not found.`)
      }
      const isAppRole = input["role_id"] !== undefined
      const given = logins.get(
        prefix +
          (isAppRole
            ? `${text(input["role_id"])} ${text(input["secret_id"])}`
            : `${text(input["role"])} ${text(input["jwt"])}`)
      )
      if (given === undefined) {
        // https://developer.hashicorp.com/vault/docs/auth/approle and .../auth/kubernetes
        return yield* isAppRole ? refuse(400, "invalid role or secret ID") : refuse(403, "permission denied")
      }
      const token = yield* issue(given)
      return { auth: authOf(token, tokens.get(token)!, yield* Clock.currentTimeMillis) }
    }),
    // https://developer.hashicorp.com/vault/api-docs/auth/token#renew-a-token-self
    renewSelf: Effect.fnUntraced(function* ({ token: header }) {
      const { text: name, token } = yield* authorize("renewSelf", header)
      if (!token.isRenewable) return yield* refuse(400, "lease is not renewable")
      const now = yield* Clock.currentTimeMillis
      token.expiresAt = token.timeToLive === 0 ? Infinity : Math.min(now + token.timeToLive * 1000, token.notAfter)
      return { auth: authOf(name, token, now) }
    }),
    // https://developer.hashicorp.com/vault/api-docs/auth/token#lookup-a-token-self
    lookupSelf: Effect.fnUntraced(function* ({ token: header }) {
      const { token } = yield* authorize("lookupSelf", header)
      const now = yield* Clock.currentTimeMillis
      return {
        data: {
          ttl: token.expiresAt === Infinity ? 0 : Math.floor((token.expiresAt - now) / 1000),
          renewable: token.isRenewable,
          policies: ["default"],
          type: "service"
        }
      }
    }),
    // https://developer.hashicorp.com/vault/api-docs/system/mounts#enable-secrets-engine
    mount: Effect.fnUntraced(function* ({ input, namespace, route: { name }, token }) {
      yield* authorize("mount", token)
      if (input["type"] !== "transit")
        return yield* refuse(400, `plugin not found in the catalog: ${text(input["type"])}`)
      if (mounts.has(mountOf(namespace, name))) return yield* refuse(400, `path is already in use at ${name}/`)
      mounts.add(mountOf(namespace, name))
      return {}
    }),
    // https://developer.hashicorp.com/vault/api-docs/system/health
    health: () => Effect.undefined
  }

  const perform = (request: Request, fault: Fault): Effect.Effect<LoopbackServer.Response> => {
    const {
      namespace,
      route: { mount, operation }
    } = request
    const isTransit = ["sign", "readKey", "createKey", "rotateKey", "configKey"].includes(operation)
    const answered: Data = isSealed
      ? refuse(503, "Vault is sealed")
      : isTransit && !mounts.has(mountOf(namespace, mount))
        ? // before it says what is mounted, Vault wants a token that is one
          Effect.andThen(
            authorize("lookupSelf", request.token),
            refuse(404, `no handler for route "${mount}". route entry not found.`)
          )
        : operations[operation](request, fault)
    return Effect.match(answered, {
      onSuccess: (parts) => json(200, parts === undefined ? health(isSealed) : envelope(parts)),
      onFailure: (error) => failed(error instanceof VaultFailure ? error : internalError)
    })
  }

  const answer = (request: Request, fault: Fault) =>
    FaultyAnswer.make(
      {
        perform: (fault) => perform(request, fault),
        // https://developer.hashicorp.com/vault/docs/enterprise/lease-count-quotas and .../concepts/resource-quotas
        throttled: () =>
          failed(
            new VaultFailure(
              429,
              `request path "${request.route.mount}/${request.route.operation}": rate limit quota exceeded`
            )
          ),
        failed: ({ code, message = code, status }) => failed(new VaultFailure(status, message))
      },
      fault
    )

  const scripts: { readonly [O in Operation]?: FaultScript.FaultScript } = { sign, readKey, login, renewSelf: login }
  const none = FaultScript.make()

  const server = yield* LoopbackServer.make({
    port: options.port,
    handle: (incoming) => {
      const { pathname, searchParams } = new URL(incoming.path, "http://127.0.0.1")
      const path = decodeURIComponent(pathname.replace(/^\/v1\//, ""))
      const route = pathname.startsWith("/v1/") ? routeOf(incoming.method, path) : undefined
      const input = incoming.body.length === 0 ? {} : LoopbackServer.objectIn(incoming.body)
      if (route === undefined) {
        return record("-", undefined, Effect.succeed(failed(new VaultFailure(404))))
      }
      if (input === undefined) {
        return record(route.operation, undefined, Effect.succeed(failed(new VaultFailure(400, "error parsing JSON"))))
      }
      if (hasLongString(input, maxJsonStringLength)) {
        // https://developer.hashicorp.com/vault/docs/configuration/listener/tcp#max_json_string_value_length
        const error = new VaultFailure(413, "failed to parse JSON input: JSON string value exceeds allowed length")
        return record(route.operation, undefined, Effect.succeed(failed(error)))
      }
      const request: Request = {
        route,
        namespace: text(incoming.headers["x-vault-namespace"]),
        query: searchParams,
        input,
        token: incoming.headers["x-vault-token"]
      }
      const script = scripts[route.operation] ?? none
      return record(
        route.operation,
        input,
        Effect.flatMap(script.next, (fault) => answer(request, fault))
      )
    }
  })

  return VaultEmulator.of({
    url: server.url,
    connection: { url: server.url, token: root },
    createKey,
    rotate,
    rotateEvery: (key, period) =>
      Effect.asVoid(Effect.forkScoped(Effect.repeat(Effect.orDie(rotate(key)), Schedule.spaced(period)))),
    createToken: (given) => Effect.map(issue(given), (token) => Redacted.make(token)),
    revokeToken: (token) => Effect.sync(() => void tokens.delete(Redacted.value(token))),
    revokeTokens: Effect.sync(() => {
      for (const token of tokens.keys()) if (token !== Redacted.value(root)) tokens.delete(token)
    }),
    addAppRole: ({ mount = "approle", roleId, secretId, ...given }) =>
      Effect.sync(() => void logins.set(`${mountOf("", mount)} ${roleId} ${Redacted.value(secretId)}`, given)),
    addKubernetesRole: ({ jwt, mount = "kubernetes", role, ...given }) =>
      Effect.sync(() => void logins.set(`${mountOf("", mount)} ${role} ${Redacted.value(jwt)}`, given)),
    deny: (...operations) => Effect.sync(() => operations.forEach((operation) => denied.add(operation))),
    allow: (...operations) => Effect.sync(() => operations.forEach((operation) => denied.delete(operation))),
    setSealed: (sealed) =>
      Effect.sync(() => {
        isSealed = sealed
      }),
    sign,
    readKey,
    login,
    recorder,
    stop: server.stop
  })
})

const health = (isSealed: boolean) => ({
  initialized: true,
  sealed: isSealed,
  standby: false,
  version: "0.0.0-emulator",
  cluster_name: "effect-signer",
  server_time_utc: 0
})

/**
 * Provides a running emulator.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<VaultEmulator, SignerError> =>
  Layer.effect(VaultEmulator, make(options))
