/**
 * Google Cloud KMS on the loopback interface, over HTTP and over gRPC: real keys, real
 * signatures, versions in all their states, checksums, tokens that expire, and errors in
 * the shapes and the words of Google.
 *
 * **Details**
 *
 * Answers `getPublicKey`, `asymmetricSign` and `listCryptoKeyVersions`: to
 * `GcpKmsSigner`, and to the `KeyManagementServiceClient` of `@google-cloud/kms`. Both
 * transports show the same keys and read the same fault scripts, one for each
 * operation; what happened is recorded in order. Time is Effect's clock, so `TestClock`
 * lets tokens expire.
 *
 * **Gotchas**
 *
 * gRPC needs `@grpc/grpc-js`, `@grpc/proto-loader` and `@google-cloud/kms`, whose
 * definitions it reads; leave it out with `transports`. There are no roles: `deny` stands
 * for them. Without TLS no client of gRPC sends a token, so over gRPC none is asked for.
 *
 * **Example** (A spec against a throttled Cloud KMS)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Signer } from "effect-signer"
 * import * as GcpKmsSigner from "effect-signer/GcpKmsSigner"
 * import * as GcpKmsEmulator from "effect-signer/testing/GcpKmsEmulator"
 *
 * const program = Effect.gen(function*() {
 *   const kms = yield* GcpKmsEmulator.GcpKmsEmulator
 *   const key = yield* kms.createKey("release", "EC_SIGN_ED25519")
 *   yield* kms.sign.push(GcpKmsEmulator.Fault.throttle())
 *   return yield* Signer.sign(new TextEncoder().encode("hello")).pipe(
 *     Effect.provide(GcpKmsSigner.layer({ ...kms.rest, key: key.name }))
 *   )
 * }).pipe(Effect.provide(GcpKmsEmulator.layer({ transports: ["rest"] })))
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { primitives } from "#primitives"
import { fromBase64 } from "../schemas/BaseEncoding.ts"
import * as Crc32c from "../schemas/Crc32c.ts"
import * as Ecdsa from "../schemas/Ecdsa.ts"
import type * as PrivateKey from "../schemas/PrivateKey.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import { facts } from "../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import { refuseInProduction } from "../services/Ephemeral.ts"
import * as EmulatedKey from "./emulator/EmulatedKey.ts"
import type { Fault } from "./emulator/Fault.ts"
import * as FaultScript from "./emulator/FaultScript.ts"
import * as GoogleStatus from "./emulator/GoogleStatus.ts"
import * as GrpcServer from "./emulator/GrpcServer.ts"
import * as LoopbackServer from "./emulator/LoopbackServer.ts"
import * as Recorder from "./emulator/Recorder.ts"

export * as Fault from "./emulator/Fault.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * `CryptoKeyVersionAlgorithm` of the API, of those that sign here, and two that cannot.
 *
 * @category models
 * @since 0.1.0
 */
export type Algorithm = keyof typeof algorithms | "RSA_DECRYPT_OAEP_2048_SHA256" | "GOOGLE_SYMMETRIC_ENCRYPTION"

/**
 * `CryptoKeyVersionState` of the API, of those that matter to who signs.
 *
 * @category models
 * @since 0.1.0
 */
export type State = "PENDING_GENERATION" | "ENABLED" | "DISABLED" | "DESTROY_SCHEDULED" | "DESTROYED"

/**
 * The operations that are answered, as the recorder names them. `getAccessToken` is
 * what `tokens` was asked.
 *
 * @category models
 * @since 0.1.0
 */
export type Operation = "getPublicKey" | "asymmetricSign" | "listCryptoKeyVersions" | "getAccessToken"

/**
 * What a version is like.
 *
 * @category models
 * @since 0.1.0
 */
export interface VersionOptions {
  /** Default: a new key. */
  readonly privateKey?: PrivateKey.PrivateKey | undefined
  /** Default `ENABLED`. */
  readonly state?: State | undefined
  /** Default: that of the key. */
  readonly algorithm?: Algorithm | undefined
}

/**
 * A key that was made.
 *
 * @category models
 * @since 0.1.0
 */
export interface CreatedKey {
  /** `projects/.../cryptoKeys/release` */
  readonly name: string
  /** The name of its latest version: `projects/.../cryptoKeys/release/cryptoKeyVersions/1` */
  readonly version: Effect.Effect<string>
  /** Of the latest version, or of a named one. */
  readonly publicKey: (version?: string) => Effect.Effect<PublicKey.PublicKey>
}

/**
 * What gives tokens of the emulator.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenSource {
  getAccessToken(): Promise<string>
}

/**
 * A running emulator.
 *
 * @category services
 * @since 0.1.0
 */
export class GcpKmsEmulator extends Context.Service<
  GcpKmsEmulator,
  {
    readonly tokens: TokenSource
    /** Options with which `GcpKmsSigner` reaches it over HTTP. */
    readonly rest: { readonly transport: "rest"; readonly endpoint: string; readonly tokens: TokenSource }
    /** Options with which `GcpKmsSigner` reaches it over gRPC. */
    readonly grpc: { readonly transport: "grpc"; readonly endpoint: string }
    readonly createKey: (
      name: string,
      algorithm: Algorithm,
      options?: VersionOptions
    ) => Effect.Effect<CreatedKey, SignerError>
    /** Adds a version to a key. It is named, as all are, by the next number. */
    readonly addVersion: (key: CreatedKey, options?: VersionOptions) => Effect.Effect<string, SignerError>
    /** Of a version, by its name. */
    readonly setState: (version: string, state: State) => Effect.Effect<void>
    /** Refuses the tokens given so far. `tokens` gives another when it is asked. */
    readonly revokeTokens: Effect.Effect<void>
    /** Lets no caller do these operations, until {@link allow}. */
    readonly deny: (...operations: ReadonlyArray<Exclude<Operation, "getAccessToken">>) => Effect.Effect<void>
    readonly allow: (...operations: ReadonlyArray<Exclude<Operation, "getAccessToken">>) => Effect.Effect<void>
    /** Faults of `asymmetricSign`. `vendorError("PERMISSION_DENIED/SERVICE_DISABLED", 403)` states a reason, too. */
    readonly sign: FaultScript.FaultScript
    /** Faults of `getPublicKey`. */
    readonly getPublicKey: FaultScript.FaultScript
    /** Faults of `listCryptoKeyVersions`. */
    readonly list: FaultScript.FaultScript
    /** The operations that came, with their input and their transport. */
    readonly recorder: Recorder.Recorder
    /** Closes the servers and every connection; nothing answers afterwards. */
    readonly stop: Effect.Effect<void>
  }
>()("effect-signer/testing/GcpKmsEmulator") {}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: both. */
  readonly transports?: ReadonlyArray<"rest" | "grpc"> | undefined
  /** Of HTTP. Default: any that is free. */
  readonly port?: number | undefined
  /** Of gRPC. Default: any that is free. */
  readonly grpcPort?: number | undefined
  /** Where keys are. Default `projects/emulated/locations/global/keyRings/ring`. */
  readonly parent?: string | undefined
  /** What every token begins with, to look for it. */
  readonly tokenPrefix?: string | undefined
  /** Seconds a token lives. Default 3600. */
  readonly tokenTimeToLive?: number | undefined
  readonly allowInProduction?: boolean | undefined
}

// ---------------------------------------------------------------------------
// the API
// ---------------------------------------------------------------------------

interface Facts {
  readonly algorithm: SignatureAlgorithm
  readonly bits?: number
  readonly isMu?: boolean
}

/** https://cloud.google.com/kms/docs/algorithms#asymmetric_signing_algorithms */
const algorithms = {
  EC_SIGN_ED25519: { algorithm: "Ed25519" },
  EC_SIGN_P256_SHA256: { algorithm: "ES256" },
  EC_SIGN_P384_SHA384: { algorithm: "ES384" },
  EC_SIGN_SECP256K1_SHA256: { algorithm: "ES256K" },
  RSA_SIGN_PSS_2048_SHA256: { algorithm: "PS256", bits: 2048 },
  RSA_SIGN_PSS_3072_SHA256: { algorithm: "PS256", bits: 3072 },
  RSA_SIGN_PSS_4096_SHA256: { algorithm: "PS256", bits: 4096 },
  RSA_SIGN_PSS_4096_SHA512: { algorithm: "PS512", bits: 4096 },
  RSA_SIGN_PKCS1_2048_SHA256: { algorithm: "RS256", bits: 2048 },
  RSA_SIGN_PKCS1_3072_SHA256: { algorithm: "RS256", bits: 3072 },
  RSA_SIGN_PKCS1_4096_SHA256: { algorithm: "RS256", bits: 4096 },
  RSA_SIGN_PKCS1_4096_SHA512: { algorithm: "RS512", bits: 4096 },
  PQ_SIGN_ML_DSA_44: { algorithm: "ML-DSA-44" },
  PQ_SIGN_ML_DSA_65: { algorithm: "ML-DSA-65" },
  PQ_SIGN_ML_DSA_87: { algorithm: "ML-DSA-87" },
  PQ_SIGN_ML_DSA_44_EXTERNAL_MU: { algorithm: "ML-DSA-44", isMu: true },
  PQ_SIGN_ML_DSA_65_EXTERNAL_MU: { algorithm: "ML-DSA-65", isMu: true },
  PQ_SIGN_ML_DSA_87_EXTERNAL_MU: { algorithm: "ML-DSA-87", isMu: true }
} as const satisfies { readonly [name: string]: Facts }

/** A key that is not for signing may have a public half. */
const factsOf = (algorithm: Algorithm): Facts | undefined =>
  algorithm === "GOOGLE_SYMMETRIC_ENCRYPTION"
    ? undefined
    : algorithm === "RSA_DECRYPT_OAEP_2048_SHA256"
      ? { algorithm: "PS256", bits: 2048 }
      : algorithms[algorithm]

/** `google.rpc.Code` and the status of HTTP: https://cloud.google.com/apis/design/errors#http_mapping */
const codes = {
  CANCELLED: [1, 499],
  UNKNOWN: [2, 500],
  INVALID_ARGUMENT: [3, 400],
  DEADLINE_EXCEEDED: [4, 504],
  NOT_FOUND: [5, 404],
  ALREADY_EXISTS: [6, 409],
  PERMISSION_DENIED: [7, 403],
  RESOURCE_EXHAUSTED: [8, 429],
  FAILED_PRECONDITION: [9, 400],
  ABORTED: [10, 409],
  OUT_OF_RANGE: [11, 400],
  UNIMPLEMENTED: [12, 501],
  INTERNAL: [13, 500],
  UNAVAILABLE: [14, 503],
  DATA_LOSS: [15, 500],
  UNAUTHENTICATED: [16, 401]
} as const

type Code = keyof typeof codes

const isCode = (code: string): code is Code => Object.hasOwn(codes, code)

/** What a client of gRPC makes of a page: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md */
const codeOfPage = (status: number): Code => {
  const known: { readonly [status: number]: Code } = {
    400: "INTERNAL",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "UNIMPLEMENTED",
    429: "UNAVAILABLE",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "UNAVAILABLE"
  }
  return known[status] ?? "UNKNOWN"
}

/** https://cloud.google.com/apis/design/errors */
class GcpFailure {
  readonly code: string
  readonly message: string
  readonly details: ReadonlyArray<GoogleStatus.Detail>
  readonly http: number
  constructor(code: string, message: string, details: ReadonlyArray<GoogleStatus.Detail> = [], http?: number) {
    this.code = code
    this.message = message
    this.details = details
    this.http = http ?? (isCode(code) ? codes[code][1] : 500)
  }
}

const refuse = (...args: ConstructorParameters<typeof GcpFailure>) => Effect.fail(new GcpFailure(...args))

const domain = "cloudkms.googleapis.com"

const errorInfo = (reason: string): GoogleStatus.Detail => ({ _tag: "ErrorInfo", reason, domain })

const retryInfo = (seconds: number | undefined): ReadonlyArray<GoogleStatus.Detail> =>
  seconds === undefined ? [] : [{ _tag: "RetryInfo", seconds }]

/** Bytes of `data` at most: https://cloud.google.com/kms/quotas */
const maxDataLength = 65_536

/** `PublicKeyFormat` by number. */
const publicKeyFormats = ["PUBLIC_KEY_FORMAT_UNSPECIFIED", "PEM", "DER", "NIST_PQC"]

const digestLengths = { "SHA-256": 32, "SHA-384": 48, "SHA-512": 64 } as const
const digestHashes: { readonly [field: string]: keyof typeof digestLengths } = {
  sha256: "SHA-256",
  sha384: "SHA-384",
  sha512: "SHA-512"
}

// ---------------------------------------------------------------------------
// messages
// ---------------------------------------------------------------------------

/** A request of either transport. */
interface Call {
  readonly operation: Exclude<Operation, "getAccessToken">
  readonly transport: "rest" | "grpc"
  /** Of the version, or of the key whose versions are listed. */
  readonly resource: string
  readonly input: Input
  readonly authorization: string | undefined
}

type Input = Readonly<Record<string, unknown>>

/** What is answered, before it is encoded: bytes and 64-bit integers as they are. */
type Body = { readonly [name: string]: string | boolean | Uint8Array | Int64 | Body | ReadonlyArray<Body> }

class Int64 {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** Proto3 JSON: bytes in base64, 64-bit integers as text, and no default values. https://protobuf.dev/programming-guides/json */
const toJson = (value: Body[string] | Body): unknown => {
  if (value instanceof Uint8Array) return Base64.encode(value)
  if (value instanceof Int64) return String(value.value)
  if (Array.isArray(value)) return value.map(toJson)
  return typeof value === "object"
    ? Object.fromEntries(
        Object.entries(value)
          .filter(([, member]) => member !== false && member !== "")
          .map(([name, member]) => [name, toJson(member as Body[string])])
      )
    : value
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}): LoopbackServer.Response => {
  const text = JSON.stringify(body)
  return {
    _tag: "Answered",
    status,
    headers: {
      "content-type": "application/json; charset=UTF-8",
      "content-length": String(new TextEncoder().encode(text).length),
      ...headers
    },
    body: text
  }
}

const text = (value: unknown): string => (typeof value === "string" ? value : "")

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Input)[name] : undefined

const bytesIn = (value: unknown): Uint8Array | undefined =>
  value instanceof Uint8Array ? value : typeof value === "string" ? fromBase64(value) : undefined

const int64In = (value: unknown): number | undefined => {
  const inner = typeof value === "object" ? member(value, "value") : value
  return inner === undefined || inner === null ? undefined : Number(inner)
}

/** What the recorder keeps: bytes as base64. */
const recorded = (value: unknown): unknown =>
  value instanceof Uint8Array
    ? Base64.encode(value)
    : Array.isArray(value)
      ? value.map(recorded)
      : typeof value === "object" && value !== null
        ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name, recorded(member)]))
        : value

const keyPattern = /^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[\w-]{1,63}\/cryptoKeys\/[\w-]{1,63}$/
const versionPattern = /^(.*)\/cryptoKeyVersions\/(\d{1,10})$/

const routeOf = (method: string, path: string): Pick<Call, "operation" | "resource"> | undefined => {
  const [, resource, publicKey, sign] = /^\/v1\/(projects\/.*?)(?:(\/publicKey)|(:asymmetricSign))?$/.exec(path) ?? []
  if (resource === undefined) return undefined
  if (method === "GET" && publicKey !== undefined) return { operation: "getPublicKey", resource }
  if (method === "POST" && sign !== undefined) return { operation: "asymmetricSign", resource }
  const [, key] = /^(.*)\/cryptoKeyVersions$/.exec(resource) ?? []
  if (method === "GET" && key !== undefined) return { operation: "listCryptoKeyVersions", resource: key }
}

const parsed = (body: Uint8Array): Input => {
  if (body.length === 0) return {}
  try {
    const input: unknown = JSON.parse(new TextDecoder().decode(body))
    return typeof input === "object" && input !== null ? (input as Input) : {}
  } catch {
    return {}
  }
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

interface Version {
  readonly name: string
  readonly algorithm: Algorithm
  readonly key: EmulatedKey.EmulatedKey | undefined
  state: State
}

interface Stored {
  readonly name: string
  readonly algorithm: Algorithm
  readonly versions: Array<Version>
}

/**
 * A running emulator.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where a package for gRPC is not installed, a port is
 * taken, or `NODE_ENV` is `production`, unless `allowInProduction`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<GcpKmsEmulator["Service"], SignerError, Scope.Scope> {
  yield* refuseInProduction("gcp-kms-emulator", "an emulator", options.allowInProduction)
  const {
    parent = "projects/emulated/locations/global/keyRings/ring",
    tokenPrefix = "emulated.",
    tokenTimeToLive = 3600,
    transports = ["rest", "grpc"]
  } = options
  const context = yield* Effect.context<never>()
  const keys = new Map<string, Stored>()
  const accepted = new Map<string, number>()
  const denied = new Set<string>()
  const sign = FaultScript.make()
  const getPublicKey = FaultScript.make()
  const list = FaultScript.make()
  const { record, recorder } = Recorder.make()
  let current: { readonly token: string; readonly expiresAt: number } | undefined

  // -- keys

  const addTo = Effect.fnUntraced(function* (stored: Stored, given: VersionOptions) {
    const { algorithm = stored.algorithm, privateKey, state = "ENABLED" } = given
    const wanted = factsOf(algorithm)
    let key: EmulatedKey.EmulatedKey | undefined
    if (wanted !== undefined) {
      const { keyType } = facts[wanted.algorithm]
      key = privateKey === undefined ? yield* EmulatedKey.generate(keyType, wanted.bits) : EmulatedKey.make(privateKey)
      if (key.type !== keyType || key.modulusLength !== wanted.bits) {
        return yield* InvalidConfiguration.of({ field: "privateKey", problem: `is not a key of ${algorithm}` })
      }
    }
    const name = `${stored.name}/cryptoKeyVersions/${stored.versions.length + 1}`
    stored.versions.push({ name, algorithm, key, state })
    return name
  })

  const versionNamed = (name: string): Version | undefined => {
    const [, key] = versionPattern.exec(name) ?? []
    return keys.get(key ?? "")?.versions.find((version) => version.name === name)
  }

  const createKey: GcpKmsEmulator["Service"]["createKey"] = Effect.fnUntraced(function* (name, algorithm, given = {}) {
    const stored: Stored = { name: `${parent}/cryptoKeys/${name}`, algorithm, versions: [] }
    yield* addTo(stored, given)
    keys.set(stored.name, stored)
    const latest = () => stored.versions.at(-1)!
    return {
      name: stored.name,
      version: Effect.sync(() => latest().name),
      publicKey: (version) =>
        Effect.sync(() => (version === undefined ? latest() : versionNamed(version)!).key!.publicKey)
    }
  })

  // -- tokens

  /** Like the clients of Google: the same token until five minutes before it expires. */
  const getToken = Effect.map(Clock.currentTimeMillis, (now) => {
    if (current === undefined || current.expiresAt - 300_000 <= now || !accepted.has(current.token)) {
      current = {
        token: `${tokenPrefix}${Base64Url.encode(primitives.randomBytes(24))}`,
        expiresAt: now + tokenTimeToLive * 1000
      }
      accepted.set(current.token, current.expiresAt)
    }
    return current.token
  })

  const tokens: TokenSource = {
    getAccessToken: () =>
      Effect.runPromiseWith(context)(
        Effect.flatMap(getToken, (token) =>
          Effect.as(
            record("getAccessToken", {}, Effect.succeed<Recorder.Ended>({ _tag: "Answered", status: 200 })),
            token
          )
        )
      )
  }

  /** https://cloud.google.com/kms/docs/reference/permissions-and-roles */
  const permissions: { readonly [operation: string]: string } = {
    asymmetricSign: "cloudkms.cryptoKeyVersions.useToSign",
    getPublicKey: "cloudkms.cryptoKeyVersions.viewPublicKey",
    listCryptoKeyVersions: "cloudkms.cryptoKeyVersions.list"
  }

  const authorize = Effect.fnUntraced(function* ({ authorization, operation, resource, transport }: Call) {
    if (transport === "rest" || authorization !== undefined) {
      const token = /^Bearer (.+)$/.exec(authorization ?? "")?.[1]
      if (token === undefined) {
        return yield* refuse(
          "UNAUTHENTICATED",
          "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other " +
            "valid authentication credential.",
          [errorInfo("CREDENTIALS_MISSING")]
        )
      }
      const expiresAt = accepted.get(token)
      if (expiresAt === undefined || expiresAt <= (yield* Clock.currentTimeMillis)) {
        return yield* refuse(
          "UNAUTHENTICATED",
          "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid " +
            "authentication credential.",
          [errorInfo(expiresAt === undefined ? "ACCESS_TOKEN_TYPE_UNSUPPORTED" : "ACCESS_TOKEN_EXPIRED")]
        )
      }
    }
    if (denied.has(operation)) {
      return yield* refuse(
        "PERMISSION_DENIED",
        `Permission '${permissions[operation]}' denied on resource '${resource}' (or it may not exist).`,
        [errorInfo("IAM_PERMISSION_DENIED")]
      )
    }
  })

  // -- operations

  /** The version, which must be enabled to be used: https://cloud.google.com/kms/docs/key-states */
  const find = Effect.fnUntraced(function* (name: string) {
    const [, key] = versionPattern.exec(name) ?? []
    if (!keyPattern.test(key ?? "")) {
      return yield* refuse("INVALID_ARGUMENT", `Resource name [${name}] does not match the form of a CryptoKeyVersion.`)
    }
    const version = versionNamed(name)
    if (version === undefined) return yield* refuse("NOT_FOUND", `CryptoKeyVersion ${name} not found.`)
    if (version.state !== "ENABLED") {
      return yield* refuse("FAILED_PRECONDITION", `${name} is not enabled, current state is: ${version.state}.`, [
        { _tag: "PreconditionFailure", type: `KEY_${version.state}`, subject: name }
      ])
    }
    return version
  })

  const checksum = (bytes: Uint8Array, fault: Fault) =>
    new Int64(fault._tag === "WrongChecksum" ? (Crc32c.compute(bytes) ^ 1) >>> 0 : Crc32c.compute(bytes))

  const named = (name: string, fault: Fault) =>
    fault._tag === "WrongName" ? name.replace(versionPattern, "$1/cryptoKeyVersions/9$2") : name

  const rotate = (name: string) => addTo(keys.get(versionPattern.exec(name)![1]!)!, {})

  /** https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/getPublicKey */
  const reading = Effect.fnUntraced(function* ({ input, resource }: Call, fault: Fault) {
    const { algorithm, key } = yield* find(resource)
    if (key === undefined) {
      return yield* refuse("FAILED_PRECONDITION", `Keys with algorithm ${algorithm} do not contain a public key.`)
    }
    const { publicKey } = fault._tag === "AnotherKey" ? yield* EmulatedKey.generate(key.type, key.modulusLength) : key
    const pem = PublicKey.toPem(publicKey)
    const encoded = new TextEncoder().encode(pem)
    const asked = text(input["publicKeyFormat"])
    // the SDK over HTTP sends enumerations by number
    const format = publicKeyFormats[Number(asked || "0")] ?? asked
    const isPostQuantum = algorithm.startsWith("PQ_")
    const formats: { readonly [format: string]: Uint8Array } = {
      PEM: encoded,
      DER: PublicKey.toSpki(publicKey),
      ...(isPostQuantum ? { NIST_PQC: publicKey.bytes } : {})
    }
    if (fault._tag === "Rotate") yield* rotate(resource)
    const common = { name: named(resource, fault), algorithm, protectionLevel: "HSM" }
    if (format === "PUBLIC_KEY_FORMAT_UNSPECIFIED" && !isPostQuantum) {
      return { ...common, pem, pemCrc32c: checksum(encoded, fault) }
    }
    const data = Object.hasOwn(formats, format) ? formats[format] : undefined
    if (data === undefined) {
      return yield* refuse("INVALID_ARGUMENT", `Public key format ${format} is not supported for ${algorithm}.`)
    }
    return { ...common, publicKeyFormat: format, publicKey: { data, crc32cChecksum: checksum(data, fault) } }
  })

  /** What is to be signed, and how: a digest of the right kind and length, or `data`. */
  const inputOf = Effect.fnUntraced(function* (input: Input, wanted: Facts, algorithm: Algorithm) {
    const { hash } = facts[wanted.algorithm]
    const dataCrc32c = int64In(input["dataCrc32c"])
    const digestCrc32c = int64In(input["digestCrc32c"])
    // In proto3 empty bytes are bytes that are not there: only a checksum tells that they are meant.
    const data = bytesIn(input["data"]) ?? (dataCrc32c === undefined ? undefined : new Uint8Array(0))
    const given = Object.entries((input["digest"] ?? {}) as Input).find(([, value]) => bytesIn(value) !== undefined)
    const hasData = data !== undefined && (data.length > 0 || dataCrc32c !== undefined)
    const digestBytes = given === undefined || given[0] === "digest" ? undefined : bytesIn(given[1])
    // https://github.com/GoogleCloudPlatform/kms-integrations/blob/master/fakekms/contract/asymmetric_sign_test.go
    if (hasData && digestBytes !== undefined) {
      return yield* refuse("INVALID_ARGUMENT", "Only one of digest or data may be set.")
    }
    const isIntact = (bytes: Uint8Array, stated: number | undefined) =>
      stated === undefined || stated === Crc32c.compute(bytes)
    if (digestBytes !== undefined) {
      const field = given![0]
      const isExpected =
        wanted.isMu === true ? field === "externalMu" : hash !== undefined && digestHashes[field] === hash
      if (!isExpected) {
        return yield* refuse("INVALID_ARGUMENT", `Digest type ${field} does not match the algorithm ${algorithm}.`)
      }
      const length = hash === undefined ? 64 : digestLengths[hash]
      if (digestBytes.length !== length) {
        return yield* refuse("INVALID_ARGUMENT", `Digest is ${digestBytes.length} bytes long, expected ${length}.`)
      }
      if (!isIntact(digestBytes, digestCrc32c)) {
        return yield* refuse("INVALID_ARGUMENT", "The checksum in field digest_crc32c did not match the digest.")
      }
      return { kind: wanted.isMu === true ? ("mu" as const) : ("digest" as const), bytes: digestBytes }
    }
    if (!hasData) return yield* refuse("INVALID_ARGUMENT", "One of digest or data must be set.")
    if (wanted.isMu === true) {
      return yield* refuse("INVALID_ARGUMENT", `The algorithm ${algorithm} signs digest.external_mu only.`)
    }
    if (data.length > maxDataLength) {
      return yield* refuse("INVALID_ARGUMENT", `Data is ${data.length} bytes long, at most ${maxDataLength}.`)
    }
    if (!isIntact(data, dataCrc32c)) {
      return yield* refuse("INVALID_ARGUMENT", "The checksum in field data_crc32c did not match the data.")
    }
    return { kind: "message" as const, bytes: data }
  })

  /** https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/asymmetricSign */
  const signing = Effect.fnUntraced(function* ({ input, resource }: Call, fault: Fault) {
    const { algorithm, key } = yield* find(resource)
    const wanted = factsOf(algorithm)
    if (key === undefined || wanted === undefined || !Object.hasOwn(algorithms, algorithm)) {
      return yield* refuse("FAILED_PRECONDITION", `Keys with algorithm ${algorithm} may not be used for signing.`)
    }
    if (fault._tag === "Rotate") yield* rotate(resource)
    const { bytes, kind } = yield* inputOf(input, wanted, algorithm)
    const raw = yield* key.sign(wanted.algorithm, kind, bytes, fault)
    const signature = facts[wanted.algorithm].scheme === "ECDSA" ? Ecdsa.toDer(raw)! : raw
    const isVerified = fault._tag !== "Unverified"
    return {
      signature,
      signatureCrc32c: checksum(signature, fault),
      verifiedDigestCrc32c: isVerified && kind !== "message" && int64In(input["digestCrc32c"]) !== undefined,
      verifiedDataCrc32c: isVerified && kind === "message" && int64In(input["dataCrc32c"]) !== undefined,
      name: named(resource, fault),
      protectionLevel: "HSM"
    }
  })

  /** https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys.cryptoKeyVersions/list */
  const listing = Effect.fnUntraced(function* ({ input, resource }: Call, fault: Fault) {
    const stored = keys.get(resource)
    if (stored === undefined) return yield* refuse("NOT_FOUND", `CryptoKey ${resource} not found.`)
    const filter = text(input["filter"])
    // https://cloud.google.com/kms/docs/sorting-and-filtering
    const [, state] = /^state\s*[=:]\s*"?([A-Z_]+)"?$/.exec(filter) ?? []
    if (filter !== "" && state === undefined) return yield* refuse("INVALID_ARGUMENT", `Invalid filter: ${filter}`)
    const offset = Number(text(input["pageToken"]) || "0")
    const pageSize = Number(input["pageSize"] ?? 0) || 100
    if (fault._tag === "Rotate") yield* addTo(stored, {})
    // By name, as text: 10 comes before 2.
    const versions = stored.versions
      .filter((version) => state === undefined || version.state === state)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    const next = offset + pageSize
    return {
      cryptoKeyVersions: versions
        .slice(offset, next)
        .map(({ algorithm, name, state }) => ({ name: named(name, fault), state, algorithm, protectionLevel: "HSM" })),
      nextPageToken: next < versions.length ? String(next) : ""
    }
  })

  const perform = (call: Call, fault: Fault): Effect.Effect<Body, GcpFailure> =>
    authorize(call).pipe(
      Effect.andThen((): Effect.Effect<Body, GcpFailure | SignerError> => {
        switch (call.operation) {
          case "asymmetricSign":
            return signing(call, fault)
          case "getPublicKey":
            return reading(call, fault)
          case "listCryptoKeyVersions":
            return listing(call, fault)
        }
      }),
      Effect.mapError((error) =>
        error instanceof GcpFailure ? error : new GcpFailure("INTERNAL", "Internal error encountered.")
      )
    )

  // -- faults

  type Outcome =
    | { readonly _tag: "Body"; readonly body: Body; readonly isGarbled: boolean }
    | { readonly _tag: "Failure"; readonly failure: GcpFailure; readonly retryAfter?: number | undefined }
    | { readonly _tag: "Page"; readonly status: number; readonly retryAfter: number | undefined }
    | { readonly _tag: "Reset" }

  const failed = (failure: GcpFailure): Outcome => ({ _tag: "Failure", failure })

  const outcomeOf = (call: Call, fault: Fault): Effect.Effect<Outcome> => {
    switch (fault._tag) {
      case "Throttle":
        // https://cloud.google.com/kms/quotas
        return Effect.succeed(
          failed(
            new GcpFailure(
              "RESOURCE_EXHAUSTED",
              "Quota exceeded for quota metric 'Cryptographic requests' and limit 'Cryptographic requests per minute' of " +
                `service '${domain}'.`,
              [errorInfo("RATE_LIMIT_EXCEEDED"), ...retryInfo(fault.retryAfterSeconds)]
            )
          )
        )
      case "VendorError": {
        const [code, reason] = fault.code.split("/")
        const details = reason === undefined ? [] : [errorInfo(reason)]
        return Effect.succeed(failed(new GcpFailure(code!, fault.message ?? code!, details, fault.status)))
      }
      case "HtmlPage":
        return Effect.succeed({ _tag: "Page", status: fault.status, retryAfter: fault.retryAfterSeconds })
      case "Reset":
        return Effect.succeed({ _tag: "Reset" })
      case "Hang":
        return Effect.never
      case "Slow":
        return Effect.delay(
          Effect.suspend(() => outcomeOf(call, fault.then)),
          fault.duration
        )
      default:
        return Effect.match(perform(call, fault), {
          onSuccess: (body): Outcome => ({ _tag: "Body", body, isGarbled: fault._tag === "Garbled" }),
          onFailure: failed
        })
    }
  }

  const scripts = { asymmetricSign: sign, getPublicKey, listCryptoKeyVersions: list }

  const answer = <A extends Recorder.Ended>(call: Call, encode: (outcome: Outcome) => A): Effect.Effect<A> => {
    const { input, operation, resource, transport } = call
    return record(
      operation,
      { transport, resource, ...(recorded(input) as object) },
      Effect.map(
        Effect.flatMap(scripts[operation].next, (fault) => outcomeOf(call, fault)),
        encode
      )
    )
  }

  // -- HTTP

  const page = (status: number, retryAfter?: number): LoopbackServer.Response => ({
    _tag: "Answered",
    status,
    headers: {
      "content-type": "text/html; charset=UTF-8",
      ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) })
    },
    body: `<!DOCTYPE html><html lang=en><title>Error ${status}</title><p><b>${status}.</b> That’s an error.</html>`
  })

  const toHttp = (outcome: Outcome): LoopbackServer.Response | LoopbackServer.Reset => {
    switch (outcome._tag) {
      case "Body": {
        const whole = json(200, toJson(outcome.body))
        if (!outcome.isGarbled) return whole
        const body = whole.body.slice(0, whole.body.length / 2)
        return { ...whole, headers: { ...whole.headers, "content-length": String(body.length) }, body }
      }
      case "Failure": {
        const { code, details, http, message } = outcome.failure
        return json(http, GoogleStatus.toJson({ code: 0, message, details }, code, http))
      }
      case "Page":
        return page(outcome.status, outcome.retryAfter)
      case "Reset":
        return LoopbackServer.reset
    }
  }

  const serveHttp = LoopbackServer.make({
    port: options.port,
    handle: ({ body, headers, method, path }) => {
      const { pathname, searchParams } = new URL(path, "http://127.0.0.1")
      const route = routeOf(method, pathname)
      if (route === undefined) return record("-", undefined, Effect.succeed(page(404)))
      const authorization = headers["authorization"]
      return answer(
        {
          ...route,
          transport: "rest",
          input: { ...Object.fromEntries(searchParams), ...parsed(body) },
          authorization: typeof authorization === "string" ? authorization : undefined
        },
        toHttp
      )
    }
  })

  // -- gRPC

  const toGrpc = (outcome: Outcome): GrpcServer.Answered | GrpcServer.Reset => {
    switch (outcome._tag) {
      case "Body":
        return { _tag: "Answered", status: 0, message: outcome.body, isGarbled: outcome.isGarbled }
      case "Failure": {
        const { code: name, details, message } = outcome.failure
        const code = isCode(name) ? codes[name][0] : Number(name)
        return {
          _tag: "Answered",
          status: code,
          text: message,
          ...(details.length === 0 ? {} : { statusDetails: GoogleStatus.toBytes({ code, message, details }) })
        }
      }
      case "Page":
        return {
          _tag: "Answered",
          status: codes[codeOfPage(outcome.status)][0],
          text: `Received HTTP status code ${outcome.status}`
        }
      case "Reset":
        return { _tag: "Dropped", status: 0 }
    }
  }

  const operations = {
    GetPublicKey: "getPublicKey",
    AsymmetricSign: "asymmetricSign",
    ListCryptoKeyVersions: "listCryptoKeyVersions"
  } as const

  const serveGrpc = GrpcServer.make({
    from: "@google-cloud/kms",
    load: async () =>
      (await import("@google-cloud/kms/build/protos/protos.json", { with: { type: "json" } })).default as unknown,
    service: "google.cloud.kms.v1.KeyManagementService",
    methods: Object.keys(operations),
    port: options.grpcPort,
    handle: ({ header, message, method }) => {
      const { name, parent, ...input } = message
      return answer(
        {
          operation: operations[method as keyof typeof operations],
          transport: "grpc",
          resource: text(name) || text(parent),
          input,
          authorization: header("authorization")
        },
        toGrpc
      )
    }
  })

  const http = transports.includes("rest") ? yield* serveHttp : undefined
  const grpc = transports.includes("grpc") ? yield* serveGrpc : undefined

  const addressOf = (port: number | undefined) => `http://127.0.0.1:${port ?? 0}`

  return GcpKmsEmulator.of({
    tokens,
    rest: { transport: "rest", endpoint: addressOf(http?.port), tokens },
    grpc: { transport: "grpc", endpoint: addressOf(grpc?.port) },
    createKey,
    addVersion: (key, given = {}) => Effect.suspend(() => addTo(keys.get(key.name)!, given)),
    setState: (version, state) =>
      Effect.sync(() => {
        versionNamed(version)!.state = state
      }),
    revokeTokens: Effect.sync(() => accepted.clear()),
    deny: (...operations) => Effect.sync(() => operations.forEach((operation) => denied.add(operation))),
    allow: (...operations) => Effect.sync(() => operations.forEach((operation) => denied.delete(operation))),
    sign,
    getPublicKey,
    list,
    recorder,
    stop: Effect.all([http?.stop ?? Effect.void, grpc?.stop ?? Effect.void], { discard: true })
  })
})

/**
 * Provides a running emulator.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<GcpKmsEmulator, SignerError> =>
  Layer.effect(GcpKmsEmulator, make(options))
