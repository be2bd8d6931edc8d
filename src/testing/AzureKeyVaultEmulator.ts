/**
 * A vault of Azure Key Vault on the loopback interface: real keys, real
 * signatures, versions, keys that are disabled, expired, not yet valid or deleted,
 * tokens that expire, and errors in the shape and the words of Azure.
 *
 * **Details**
 *
 * Answers `GET /keys/:name`, `GET /keys/:name/:version` and `POST
 * /keys/:name/:version/sign`, the last also without a version. `credential` gives
 * tokens as a credential of `@azure/identity` does. Faults come from scripts, one
 * for signing and one for reading a key; what happened is recorded in order. Time is
 * Effect's clock, so `TestClock` lets tokens and keys expire.
 *
 * **Gotchas**
 *
 * There are no roles: `deny` stands for them, and any token that is valid may do
 * the rest. Requests without TLS only: `AzureKeyVaultSigner` sends them to the
 * loopback interface, the clients of `@azure/keyvault-keys` need an `httpClient`
 * that does, and a `vaultUrl` that they accept in the identifiers of keys.
 *
 * **Example** (A spec against a throttled vault)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { Signer } from "effect-signer"
 * import * as AzureKeyVaultSigner from "effect-signer/AzureKeyVaultSigner"
 * import * as AzureKeyVaultEmulator from "effect-signer/testing/AzureKeyVaultEmulator"
 *
 * const program = Effect.gen(function*() {
 *   const vault = yield* AzureKeyVaultEmulator.AzureKeyVaultEmulator
 *   yield* vault.createKey("release", "P-256")
 *   yield* vault.sign.push(AzureKeyVaultEmulator.Fault.throttle())
 *   return yield* Signer.sign(new TextEncoder().encode("hello")).pipe(
 *     Effect.provide(AzureKeyVaultSigner.layer({ ...vault.connection, key: "release" }).pipe(
 *       Layer.provide(FetchHttpClient.layer)
 *     ))
 *   )
 * }).pipe(Effect.provide(AzureKeyVaultEmulator.layer()))
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Hex from "effect/encoding/Hex"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { primitives } from "#primitives"
import { fromBase64Url } from "../schemas/BaseEncoding.ts"
import * as KeyVersion from "../schemas/KeyVersion.ts"
import type * as PrivateKey from "../schemas/PrivateKey.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import { all, facts } from "../schemas/SignatureAlgorithm.ts"
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
 * A curve, as the service calls it, or RSA with the bits of its modulus, and the
 * symmetric keys of a Managed HSM, which cannot sign.
 *
 * @category models
 * @since 0.1.0
 */
export type KeyType = "P-256" | "P-384" | "P-521" | "P-256K" | "RSA-2048" | "RSA-3072" | "RSA-4096" | "oct-HSM"

/**
 * The operations that are answered, as the recorder names them. `getToken` is
 * what `credential` was asked.
 *
 * @category models
 * @since 0.1.0
 */
export type Operation = "getKey" | "sign" | "getToken"

/**
 * What a version of a key is like.
 *
 * @category models
 * @since 0.1.0
 */
export interface VersionOptions {
  /** Default: a new key. */
  readonly privateKey?: PrivateKey.PrivateKey | undefined
  /** Default true. */
  readonly isEnabled?: boolean | undefined
  /** Milliseconds since 1970; the service counts seconds. */
  readonly notBefore?: number | undefined
  /** Milliseconds since 1970; the service counts seconds. */
  readonly expires?: number | undefined
}

/**
 * A key that was made.
 *
 * @category models
 * @since 0.1.0
 */
export interface CreatedKey {
  readonly name: string
  /** The current version. */
  readonly version: Effect.Effect<KeyVersion.KeyVersion>
  /** The identifier of the current version, as answers have it. */
  readonly id: Effect.Effect<string>
  /** Of the current version, or of a named one. */
  readonly publicKey: (version?: KeyVersion.KeyVersion) => Effect.Effect<PublicKey.PublicKey>
}

/**
 * What gives tokens of the emulator, as a credential of `@azure/identity` does.
 *
 * @category models
 * @since 0.1.0
 */
export interface Credential {
  getToken(
    scopes: string | Array<string>,
    options?: { readonly abortSignal?: unknown; readonly claims?: string }
  ): Promise<{ readonly token: string; readonly expiresOnTimestamp: number }>
}

/**
 * A running emulator.
 *
 * @category services
 * @since 0.1.0
 */
export class AzureKeyVaultEmulator extends Context.Service<
  AzureKeyVaultEmulator,
  {
    readonly url: string
    readonly credential: Credential
    /** Options with which `AzureKeyVaultSigner` reaches it. */
    readonly connection: { readonly vaultUrl: string; readonly credential: Credential; readonly scope: string }
    readonly createKey: (
      name: string,
      type: KeyType,
      options?: VersionOptions & {
        /** Of the key, as `RSA-HSM` and `EC-HSM` say. */
        readonly isHardware?: boolean | undefined
        /** Default `["sign", "verify"]`. */
        readonly operations?: ReadonlyArray<string> | undefined
      }
    ) => Effect.Effect<CreatedKey, SignerError>
    /** Adds a version to a key, which is the current one from then on. */
    readonly addVersion: (
      key: CreatedKey,
      options?: VersionOptions
    ) => Effect.Effect<KeyVersion.KeyVersion, SignerError>
    /** Enables or disables a version: the current one unless one is named. */
    readonly setEnabled: (key: CreatedKey, isEnabled: boolean, version?: KeyVersion.KeyVersion) => Effect.Effect<void>
    /** Deletes a key. It could be recovered, and is not found until then. */
    readonly deleteKey: (key: CreatedKey) => Effect.Effect<void>
    readonly recoverKey: (key: CreatedKey) => Effect.Effect<void>
    /** Refuses the tokens given so far. `credential` gives another when it is asked. */
    readonly revokeTokens: Effect.Effect<void>
    /** Lets no caller do these operations, until {@link allow}. */
    readonly deny: (...operations: ReadonlyArray<"getKey" | "sign">) => Effect.Effect<void>
    readonly allow: (...operations: ReadonlyArray<"getKey" | "sign">) => Effect.Effect<void>
    /** Faults of signing. `vendorError("Forbidden/KeyDisabled", 403)` states an inner code, too. */
    readonly sign: FaultScript.FaultScript
    /** Faults of reading a key. */
    readonly getKey: FaultScript.FaultScript
    /** The operations that came, with their body. */
    readonly recorder: Recorder.Recorder
    /** Closes the server and every connection; nothing answers afterwards. */
    readonly stop: Effect.Effect<void>
  }
>()("effect-signer/testing/AzureKeyVaultEmulator") {}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: any that is free. */
  readonly port?: number | undefined
  /** The address in the identifiers of keys. Default: that of the server. */
  readonly vaultUrl?: string | undefined
  /** What every token begins with, to look for it. */
  readonly tokenPrefix?: string | undefined
  /** Seconds a token lives. Default 3600. */
  readonly tokenTimeToLive?: number | undefined
  readonly allowInProduction?: boolean | undefined
}

// ---------------------------------------------------------------------------
// the API
// ---------------------------------------------------------------------------

/** https://learn.microsoft.com/rest/api/keyvault/keys/create-key/create-key#jsonwebkeytype */
const keyTypes = {
  "P-256": { type: "P-256", kty: "EC" },
  "P-384": { type: "P-384", kty: "EC" },
  "P-521": { type: "P-521", kty: "EC" },
  "P-256K": { type: "secp256k1", kty: "EC" },
  "RSA-2048": { type: "RSA", kty: "RSA", bits: 2048 },
  "RSA-3072": { type: "RSA", kty: "RSA", bits: 3072 },
  "RSA-4096": { type: "RSA", kty: "RSA", bits: 4096 }
} as const

const scope = "https://vault.azure.net/.default"

/** https://learn.microsoft.com/azure/key-vault/general/rest-error-codes */
class AzureFailure {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly innerCode: string | undefined
  constructor(status: number, code: string, message: string, innerCode?: string) {
    this.status = status
    this.code = code
    this.message = message
    this.innerCode = innerCode
  }
}

const refuse = (...args: ConstructorParameters<typeof AzureFailure>) => Effect.fail(new AzureFailure(...args))

interface Version {
  readonly name: KeyVersion.KeyVersion
  /** Absent: symmetric. */
  readonly key: EmulatedKey.EmulatedKey | undefined
  readonly createdAt: number
  readonly notBefore: number | undefined
  readonly expires: number | undefined
  isEnabled: boolean
}

interface Stored {
  readonly name: string
  readonly type: KeyType
  readonly kty: string
  readonly operations: ReadonlyArray<string>
  readonly versions: Array<Version>
  isDeleted: boolean
}

interface Route {
  readonly operation: "getKey" | "sign"
  readonly name: string
  readonly version: string | undefined
}

const routeOf = (method: string, path: string): Route | undefined => {
  // The clients of Azure write an empty version: `/keys/release//sign`
  const match = /^\/keys\/([0-9A-Za-z-]{1,127})(?:\/([0-9A-Za-z]*))??(\/sign|\/)?$/.exec(path)
  if (match === null) return undefined
  const [, name, named, tail] = match
  const version = named || undefined
  return tail === "/sign"
    ? method === "POST"
      ? { operation: "sign", name: name!, version }
      : undefined
    : method === "GET"
      ? { operation: "getKey", name: name!, version }
      : undefined
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}): LoopbackServer.Response => {
  const text = JSON.stringify(body)
  return {
    _tag: "Answered",
    status,
    headers: {
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-cache",
      "x-ms-keyvault-region": "loopback",
      "x-ms-request-id": crypto.randomUUID(),
      "content-length": String(new TextEncoder().encode(text).length),
      ...headers
    },
    body: text
  }
}

const newVersionName = () => KeyVersion.make(Hex.encode(primitives.randomBytes(16)))

/** Where to get a token, and for what: https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses */
const challenge = {
  "www-authenticate":
    'Bearer authorization="https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000", ' +
    'resource="https://vault.azure.net"'
}

const failed = ({ code, innerCode, message, status }: AzureFailure, headers: Record<string, string> = {}) =>
  json(
    status,
    { error: { code, message, ...(innerCode === undefined ? {} : { innererror: { code: innerCode } }) } },
    { ...(status === 401 ? challenge : {}), ...headers }
  )

type Input = Readonly<Record<string, unknown>>

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
): Effect.fn.Return<AzureKeyVaultEmulator["Service"], SignerError, Scope.Scope> {
  yield* refuseInProduction("azure-key-vault-emulator", "an emulator", options.allowInProduction)
  const { tokenPrefix = "emulated.", tokenTimeToLive = 3600 } = options
  const context = yield* Effect.context<never>()
  const keys = new Map<string, Stored>()
  const tokens = new Map<string, number>()
  const denied = new Set<string>()
  const sign = FaultScript.make()
  const getKey = FaultScript.make()
  const { record, recorder } = Recorder.make()
  let current: { readonly token: string; readonly expiresAt: number } | undefined
  let vaultUrl = ""

  // -- keys

  const addTo = Effect.fnUntraced(function* (
    stored: Stored,
    { expires, isEnabled = true, notBefore, privateKey }: VersionOptions
  ) {
    let key: EmulatedKey.EmulatedKey | undefined
    if (stored.type !== "oct-HSM") {
      const { type, ...rest } = keyTypes[stored.type]
      const bits = "bits" in rest ? rest.bits : undefined
      key = privateKey === undefined ? yield* EmulatedKey.generate(type, bits) : EmulatedKey.make(privateKey)
      if (key.type !== type || key.modulusLength !== bits) {
        return yield* InvalidConfiguration.of({ field: "privateKey", problem: `is not a key of ${stored.type}` })
      }
    }
    const name = newVersionName()
    stored.versions.push({
      name,
      key,
      createdAt: yield* Clock.currentTimeMillis,
      notBefore,
      expires,
      isEnabled
    })
    return name
  })

  const versionOf = (stored: Stored, name: string | undefined) =>
    name === undefined ? stored.versions.at(-1)! : stored.versions.find((version) => version.name === name)

  const idOf = (stored: Stored, { name }: Version) => `${vaultUrl}/keys/${stored.name}/${name}`

  const createKey: AzureKeyVaultEmulator["Service"]["createKey"] = Effect.fnUntraced(function* (
    name,
    type,
    given = {}
  ) {
    const { isHardware = false, operations = ["sign", "verify"] } = given
    const kty = type === "oct-HSM" ? type : `${keyTypes[type].kty}${isHardware ? "-HSM" : ""}`
    const stored: Stored = { name, type, kty, operations, versions: [], isDeleted: false }
    yield* addTo(stored, given)
    keys.set(name.toLowerCase(), stored)
    return {
      name,
      version: Effect.sync(() => versionOf(stored, undefined)!.name),
      id: Effect.sync(() => idOf(stored, versionOf(stored, undefined)!)),
      publicKey: (version) => Effect.sync(() => versionOf(stored, version)!.key!.publicKey)
    }
  })

  const storedOf = ({ name }: { readonly name: string }) => keys.get(name.toLowerCase())!

  // -- tokens

  /** Like MSAL: the same token until five minutes before it expires. */
  const getToken = Effect.map(Clock.currentTimeMillis, (now) => {
    if (current === undefined || current.expiresAt - 300_000 <= now || !tokens.has(current.token)) {
      current = {
        token: `${tokenPrefix}${Base64Url.encode(primitives.randomBytes(24))}`,
        expiresAt: now + tokenTimeToLive * 1000
      }
      tokens.set(current.token, current.expiresAt)
    }
    return { token: current.token, expiresOnTimestamp: current.expiresAt }
  })

  const credential: Credential = {
    getToken: (scopes, given) =>
      Effect.runPromiseWith(context)(
        Effect.flatMap(getToken, (answer) =>
          Effect.as(
            record(
              "getToken",
              { scopes, ...(given?.claims === undefined ? {} : { claims: given.claims }) },
              Effect.succeed<Recorder.Ended>({ _tag: "Answered", status: 200 })
            ),
            answer
          )
        )
      )
  }

  const authorize = Effect.fnUntraced(function* (operation: "getKey" | "sign", header: unknown) {
    const token = /^Bearer (.+)$/.exec(text(header))?.[1]
    if (token === undefined)
      return yield* refuse(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
    const expiresAt = tokens.get(token)
    if (expiresAt === undefined) {
      return yield* refuse(401, "Unauthorized", "AKV10046: Unable to resolve the key used for signature validation.")
    }
    if (expiresAt <= (yield* Clock.currentTimeMillis)) {
      return yield* refuse(401, "Unauthorized", "[TokenExpired] Error validating token: 'S2S12086'.")
    }
    if (denied.has(operation)) {
      return yield* refuse(
        403,
        "Forbidden",
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role " +
          `definitions were changed recently, please observe propagation time.\r\nAction: '${operation}'`,
        "ForbiddenByRbac"
      )
    }
  })

  // -- operations

  const find = Effect.fnUntraced(function* ({ name, version }: Route) {
    const stored = keys.get(name.toLowerCase())
    const found = stored === undefined || stored.isDeleted ? undefined : versionOf(stored, version)
    if (stored === undefined || found === undefined) {
      return yield* refuse(
        404,
        "KeyNotFound",
        `A key with (name/id) ${name}${version === undefined ? "" : `/${version}`} was not found in this key vault. ` +
          "If you recently deleted this key you may be able to recover it using the correct recovery command. For help " +
          "resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
      )
    }
    return { stored, version: found }
  })

  const seconds = (millis: number) => Math.floor(millis / 1000)

  /** https://learn.microsoft.com/rest/api/keyvault/keys/get-key/get-key: also of a key that is disabled. */
  const reading = Effect.fnUntraced(function* (route: Route, fault: Fault) {
    const { stored, version } = yield* find(route)
    const { createdAt, expires, isEnabled, key, notBefore } = version
    const shown =
      fault._tag === "AnotherKey" && key !== undefined ? yield* EmulatedKey.generate(key.type, key.modulusLength) : key
    const { alg: _, ...jwk } = shown === undefined ? { alg: undefined } : PublicKey.toJwk(shown.publicKey)
    const body = {
      key: {
        ...jwk,
        kid:
          fault._tag === "WrongName"
            ? idOf({ ...stored, name: `${stored.name}-other` }, version)
            : idOf(stored, version),
        kty: stored.kty,
        key_ops: stored.operations,
        ...("crv" in jwk && jwk.crv === "secp256k1" ? { crv: "P-256K" } : {})
      },
      attributes: {
        enabled: isEnabled,
        ...(notBefore === undefined ? {} : { nbf: seconds(notBefore) }),
        ...(expires === undefined ? {} : { exp: seconds(expires) }),
        created: seconds(createdAt),
        updated: seconds(createdAt),
        recoveryLevel: "Recoverable+Purgeable",
        recoverableDays: 90,
        exportable: false
      }
    }
    if (fault._tag === "Rotate") yield* addTo(stored, {})
    return body
  })

  const algorithms: ReadonlyArray<string> = all.filter((algorithm) => facts[algorithm].hash !== undefined)

  /** https://learn.microsoft.com/rest/api/keyvault/keys/sign/sign */
  const signing = Effect.fnUntraced(function* (route: Route, input: Input, fault: Fault) {
    const { stored, version: found } = yield* find(route)
    // Without a version the current one signs, also when it has just been made.
    if (fault._tag === "Rotate") yield* addTo(stored, {})
    const version = route.version === undefined ? versionOf(stored, undefined)! : found
    const now = yield* Clock.currentTimeMillis
    if (!version.isEnabled) {
      return yield* refuse(403, "Forbidden", "Operation sign is not allowed on a disabled key.", "KeyDisabled")
    }
    // https://learn.microsoft.com/azure/key-vault/keys/about-keys-details#date-time-controlled-operations
    if (version.expires !== undefined && version.expires <= now) {
      return yield* refuse(403, "Forbidden", "Operation sign is not allowed on an expired key.")
    }
    if (version.notBefore !== undefined && version.notBefore > now) {
      return yield* refuse(403, "Forbidden", "Operation sign is not allowed on a key that is not yet valid.")
    }
    if (version.key === undefined || !stored.operations.includes("sign")) {
      return yield* refuse(403, "Forbidden", "Operation sign is not permitted on this key.", "KeyOperationForbidden")
    }
    const algorithm = text(input["alg"]) as SignatureAlgorithm
    if (!algorithms.includes(algorithm)) {
      return yield* refuse(400, "BadParameter", "Property  alg has invalid value")
    }
    if (facts[algorithm].keyType !== version.key.type) {
      return yield* refuse(400, "BadParameter", "Key and signing algorithm are incompatible.")
    }
    const digest = fromBase64Url(text(input["value"]))
    if (digest === undefined || digest.length === 0) {
      return yield* refuse(400, "BadParameter", "Property  value has invalid value")
    }
    const length = primitives.digest(facts[algorithm].hash!, new Uint8Array(0)).length
    if (digest.length !== length) {
      return yield* refuse(
        400,
        "BadParameter",
        `Invalid length of 'value': ${digest.length} bytes. ${algorithm} requires ${length} bytes.`
      )
    }
    const bytes = yield* version.key.sign(algorithm, "digest", digest, fault)
    const name = fault._tag === "WrongName" ? newVersionName() : version.name
    return { kid: idOf(stored, { ...version, name }), value: Base64Url.encode(bytes) }
  })

  interface Request {
    readonly route: Route
    readonly input: Input
    readonly authorization: unknown
    readonly apiVersion: string | null
  }

  const perform = (
    { apiVersion, authorization, input, route }: Request,
    fault: Fault
  ): Effect.Effect<LoopbackServer.Response> =>
    authorize(route.operation, authorization).pipe(
      Effect.andThen(
        apiVersion === null
          ? refuse(400, "BadParameter", "The request URI contains an invalid name: api-version must be specified")
          : Effect.void
      ),
      Effect.andThen((): Effect.Effect<object, AzureFailure | SignerError> =>
        route.operation === "sign" ? signing(route, input, fault) : reading(route, fault)
      ),
      Effect.match({
        onSuccess: (body) => json(200, body),
        onFailure: (error) =>
          failed(error instanceof AzureFailure ? error : new AzureFailure(500, "InternalServerError", "Internal error"))
      })
    )

  const answer = (request: Request, fault: Fault) =>
    FaultyAnswer.make(
      {
        perform: (fault) => perform(request, fault),
        // https://learn.microsoft.com/azure/key-vault/general/overview-throttling
        throttled: () =>
          failed(
            new AzureFailure(
              429,
              "Throttled",
              "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached"
            )
          ),
        failed: ({ code, message = code, status }) => {
          const [outer, inner] = code.split("/")
          return failed(new AzureFailure(status, outer!, message, inner))
        }
      },
      fault
    )

  const scripts = { sign, getKey }

  const server = yield* LoopbackServer.make({
    port: options.port,
    handle: (incoming) => {
      const { pathname, searchParams } = new URL(incoming.path, "http://127.0.0.1")
      const route = routeOf(incoming.method, pathname)
      const input = incoming.body.length === 0 ? {} : LoopbackServer.objectIn(incoming.body)
      if (route === undefined) {
        return record("-", undefined, Effect.succeed(failed(new AzureFailure(404, "NotFound", "Not Found"))))
      }
      const request: Request = {
        route,
        input: input ?? {},
        authorization: incoming.headers["authorization"],
        apiVersion: searchParams.get("api-version")
      }
      // A client of Azure first asks what to get a token for, without one and without a body.
      const isProbe = request.authorization === undefined
      return record(
        route.operation,
        { ...input, ...(route.version === undefined ? {} : { version: route.version }) },
        isProbe
          ? perform(request, { _tag: "None" })
          : Effect.flatMap(scripts[route.operation].next, (fault) => answer(request, fault))
      )
    }
  })
  vaultUrl = (options.vaultUrl ?? server.url).replace(/\/+$/, "")

  return AzureKeyVaultEmulator.of({
    url: server.url,
    credential,
    connection: { vaultUrl: server.url, credential, scope },
    createKey,
    addVersion: (key, given = {}) => Effect.suspend(() => addTo(storedOf(key), given)),
    setEnabled: (key, isEnabled, version) =>
      Effect.sync(() => {
        versionOf(storedOf(key), version)!.isEnabled = isEnabled
      }),
    deleteKey: (key) =>
      Effect.sync(() => {
        storedOf(key).isDeleted = true
      }),
    recoverKey: (key) =>
      Effect.sync(() => {
        storedOf(key).isDeleted = false
      }),
    revokeTokens: Effect.sync(() => tokens.clear()),
    deny: (...operations) => Effect.sync(() => operations.forEach((operation) => denied.add(operation))),
    allow: (...operations) => Effect.sync(() => operations.forEach((operation) => denied.delete(operation))),
    sign,
    getKey,
    recorder,
    stop: server.stop
  })
})

/**
 * Provides a running emulator.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<AzureKeyVaultEmulator, SignerError> =>
  Layer.effect(AzureKeyVaultEmulator, make(options))
