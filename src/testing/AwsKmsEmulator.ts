/**
 * AWS KMS on the loopback interface, for the real SDK: real keys, real signatures,
 * aliases, key states, and the errors of AWS in the shapes of AWS.
 *
 * **Details**
 *
 * Speaks AWS JSON 1.1 (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html)
 * and knows `Sign`, `GetPublicKey` and `DescribeKey`. Keys and aliases are made by
 * the program that runs it. Faults come from scripts, one for each of `Sign` and
 * `GetPublicKey`; what happened is recorded in order.
 *
 * **Gotchas**
 *
 * Request signatures are not checked: any credentials are good, unless
 * `setCredentials` says otherwise. There are no grants, no policies and no quotas:
 * `deny` and the fault `throttle` stand for them.
 *
 * **Example** (A spec against a throttled AWS KMS)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Signer } from "effect-signer"
 * import * as AwsKmsSigner from "effect-signer/AwsKmsSigner"
 * import * as AwsKmsEmulator from "effect-signer/testing/AwsKmsEmulator"
 *
 * const program = Effect.gen(function*() {
 *   const kms = yield* AwsKmsEmulator.AwsKmsEmulator
 *   const key = yield* kms.createKey("ECC_NIST_EDWARDS25519", { alias: "alias/release" })
 *   yield* kms.sign.push(AwsKmsEmulator.Fault.throttle())
 *   return yield* Signer.sign(new TextEncoder().encode("hello")).pipe(
 *     Effect.provide(AwsKmsSigner.layer({ ...kms.connection, keyId: key.arn }))
 *   )
 * }).pipe(Effect.provide(AwsKmsEmulator.layer()))
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Ecdsa from "../schemas/Ecdsa.ts"
import type * as PrivateKey from "../schemas/PrivateKey.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { KeyType, SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import { facts, forKeyType } from "../schemas/SignatureAlgorithm.ts"
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
 * `KeySpec` of the API: what an asymmetric key for signing can be, and the
 * symmetric default, which cannot sign.
 *
 * @category models
 * @since 0.1.0
 */
export type KeySpec =
  | "ECC_NIST_EDWARDS25519"
  | "ECC_NIST_P256"
  | "ECC_NIST_P384"
  | "ECC_NIST_P521"
  | "ECC_SECG_P256K1"
  | "RSA_2048"
  | "RSA_3072"
  | "RSA_4096"
  | "ML_DSA_44"
  | "ML_DSA_65"
  | "ML_DSA_87"
  | "SYMMETRIC_DEFAULT"

/**
 * `KeyState` of the API, of those that matter to who signs.
 *
 * @category models
 * @since 0.1.0
 */
export type KeyState = "Enabled" | "Disabled" | "PendingDeletion" | "PendingImport" | "Unavailable"

/**
 * The operations that are answered.
 *
 * @category models
 * @since 0.1.0
 */
export type Operation = "Sign" | "GetPublicKey" | "DescribeKey"

/**
 * A key that was made.
 *
 * @category models
 * @since 0.1.0
 */
export interface CreatedKey {
  readonly keyId: string
  readonly arn: string
  /** Absent for `SYMMETRIC_DEFAULT`. */
  readonly publicKey: PublicKey.PublicKey | undefined
}

/**
 * A running emulator.
 *
 * @category services
 * @since 0.1.0
 */
export class AwsKmsEmulator extends Context.Service<
  AwsKmsEmulator,
  {
    readonly url: string
    /** Options with which `AwsKmsSigner` reaches it. */
    readonly connection: {
      readonly endpoint: string
      readonly region: string
      readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: Redacted.Redacted<string> }
    }
    readonly createKey: (
      spec: KeySpec,
      options?: {
        readonly alias?: string | undefined
        /** Default: a new key. */
        readonly privateKey?: PrivateKey.PrivateKey | undefined
        /** Default `SIGN_VERIFY`. */
        readonly keyUsage?: "SIGN_VERIFY" | "ENCRYPT_DECRYPT" | undefined
      }
    ) => Effect.Effect<CreatedKey, SignerError>
    /** Makes an alias, or moves it. */
    readonly setAlias: (alias: string, key: CreatedKey) => Effect.Effect<void>
    readonly setState: (key: CreatedKey, state: KeyState) => Effect.Effect<void>
    /** Lets nobody do these operations, until {@link allow}. */
    readonly deny: (...operations: ReadonlyArray<Operation>) => Effect.Effect<void>
    readonly allow: (...operations: ReadonlyArray<Operation>) => Effect.Effect<void>
    /** What to answer to an access key id. `valid` by default, as all that were never named. */
    readonly setCredentials: (accessKeyId: string, state: "valid" | "expired" | "unknown") => Effect.Effect<void>
    /** Faults of `Sign`. */
    readonly sign: FaultScript.FaultScript
    /** Faults of `GetPublicKey`. */
    readonly getPublicKey: FaultScript.FaultScript
    /** The operations that came, as `Sign` or `GetPublicKey`, with their input. */
    readonly recorder: Recorder.Recorder
    /** Stops answering. */
    readonly stop: Effect.Effect<void>
  }
>()("effect-signer/testing/AwsKmsEmulator") {}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: any free port. */
  readonly port?: number | undefined
  /** Default `eu-central-1`. */
  readonly region?: string | undefined
  /** Twelve digits. Default `111122223333`. */
  readonly accountId?: string | undefined
  readonly allowInProduction?: boolean | undefined
}

// ---------------------------------------------------------------------------
// what AWS KMS documents
// ---------------------------------------------------------------------------

/** https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html */
const keyTypes: { readonly [S in Exclude<KeySpec, "SYMMETRIC_DEFAULT">]: KeyType } = {
  ECC_NIST_EDWARDS25519: "Ed25519",
  ECC_NIST_P256: "P-256",
  ECC_NIST_P384: "P-384",
  ECC_NIST_P521: "P-521",
  ECC_SECG_P256K1: "secp256k1",
  RSA_2048: "RSA",
  RSA_3072: "RSA",
  RSA_4096: "RSA",
  ML_DSA_44: "ML-DSA-44",
  ML_DSA_65: "ML-DSA-65",
  ML_DSA_87: "ML-DSA-87"
}

/** `SigningAlgorithm` of the API for an algorithm of a key. */
const signingAlgorithms: { readonly [A in SignatureAlgorithm]?: string } = {
  Ed25519: "ED25519_SHA_512",
  ES256: "ECDSA_SHA_256",
  ES384: "ECDSA_SHA_384",
  ES512: "ECDSA_SHA_512",
  ES256K: "ECDSA_SHA_256",
  PS256: "RSASSA_PSS_SHA_256",
  PS384: "RSASSA_PSS_SHA_384",
  PS512: "RSASSA_PSS_SHA_512",
  RS256: "RSASSA_PKCS1_V1_5_SHA_256",
  RS384: "RSASSA_PKCS1_V1_5_SHA_384",
  RS512: "RSASSA_PKCS1_V1_5_SHA_512",
  "ML-DSA-44": "ML_DSA_SHAKE_256",
  "ML-DSA-65": "ML_DSA_SHAKE_256",
  "ML-DSA-87": "ML_DSA_SHAKE_256"
}

/** Every Ed25519 key offers it, too. It signs the digest of a digest, which is no standard algorithm: not emulated. */
const prehashed = "ED25519_PH_SHA_512"

const digestLengths = { "SHA-256": 32, "SHA-384": 48, "SHA-512": 64 } as const

/** Bytes of `Message` at most: https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html */
const maxMessageLength = 4096

/** An error of the API. https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html#API_Sign_Errors */
class KmsError {
  readonly code: string
  readonly status: number
  readonly message: string
  constructor(code: string, message: string, status = 400) {
    this.code = code
    this.status = status
    this.message = message
  }
}

/** Runs what throws a {@link KmsError} where AWS KMS answers with one; anything else is a bug and stays a defect. */
const attempt = <A>(evaluate: () => A): Effect.Effect<A, KmsError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(evaluate())
    } catch (error) {
      if (error instanceof KmsError) return Effect.fail(error)
      throw error
    }
  })

const validation = (message: string) => new KmsError("ValidationException", message)

interface Stored extends CreatedKey {
  readonly spec: KeySpec
  readonly usage: "SIGN_VERIFY" | "ENCRYPT_DECRYPT"
  readonly key: EmulatedKey.EmulatedKey | undefined
  state: KeyState
}

/**
 * The states in which a key signs and shows its public half: `Enabled` only.
 * https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
 */
const checkState = ({ arn, state }: Stored): void => {
  if (state === "Disabled") throw new KmsError("DisabledException", `${arn} is disabled.`)
  if (state !== "Enabled") {
    const words = state.replace(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase()
    throw new KmsError("KMSInvalidStateException", `${arn} is ${words}.`)
  }
}

/** The key for `Sign` and `GetPublicKey`, which need an asymmetric one. */
const asymmetric = (stored: Stored, operation: Operation): EmulatedKey.EmulatedKey => {
  if (stored.key === undefined) {
    throw operation === "Sign"
      ? new KmsError(
          "InvalidKeyUsageException",
          `${stored.arn} key usage is ENCRYPT_DECRYPT which is not valid for Sign.`
        )
      : new KmsError("UnsupportedOperationException", `${stored.arn} is not an asymmetric key.`)
  }
  return stored.key
}

/**
 * What is signed, and how. Ed25519 takes `RAW` only, and `DIGEST` with its prehashed
 * variant, which is not emulated; ML-DSA takes `RAW` and `EXTERNAL_MU` of 64 bytes; the
 * others `RAW` and a `DIGEST` of the length of their hash.
 * https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html#KMS-Sign-request-MessageType
 */
const kindOf = (
  algorithm: SignatureAlgorithm,
  messageType: unknown,
  spec: KeySpec,
  message: Uint8Array
): EmulatedKey.Kind => {
  const { hash, scheme } = facts[algorithm]
  const name = signingAlgorithms[algorithm]!
  if (messageType === "RAW") return "message"
  if (messageType === "DIGEST" && hash !== undefined) {
    if (message.length !== digestLengths[hash]) throw validation(`Digest is invalid length for algorithm ${name}.`)
    return "digest"
  }
  if (messageType === "EXTERNAL_MU" && scheme === "ML-DSA") {
    if (message.length !== 64) throw validation(`External Mu is invalid length for algorithm ${name}.`)
    return "mu"
  }
  throw validation(
    scheme === "EdDSA"
      ? `Message type ${String(messageType)} is incompatible with algorithm ${name}.`
      : `Message type ${String(messageType)} is incompatible with key spec ${spec}.`
  )
}

const bytesOf = (value: unknown, member: string): Uint8Array => {
  const decoded = typeof value === "string" ? Base64.decode(value) : undefined
  if (decoded === undefined || decoded._tag === "Failure") {
    throw new KmsError("SerializationException", `${member} is not base64`)
  }
  return decoded.success
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

type Input = Readonly<Record<string, unknown>>

const json = (status: number, body: object, headers: Record<string, string> = {}): LoopbackServer.Response => ({
  _tag: "Answered",
  status,
  headers: { "content-type": "application/x-amz-json-1.1", "x-amzn-requestid": crypto.randomUUID(), ...headers },
  body: JSON.stringify(body)
})

/** https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization */
const failure = ({ code, message, status }: KmsError, headers?: Record<string, string>) =>
  json(status, { __type: code, message }, headers)

/**
 * A running emulator.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where the port is taken, and where `NODE_ENV` is
 * `production`, unless `allowInProduction`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<AwsKmsEmulator["Service"], SignerError, Scope.Scope> {
  yield* refuseInProduction("aws-kms-emulator", "an emulator", options.allowInProduction)
  const { accountId = "111122223333", region = "eu-central-1" } = options
  const arnPrefix = `arn:aws:kms:${region}:${accountId}`
  const keys = new Map<string, Stored>()
  const aliases = new Map<string, string>()
  const denied = new Set<string>()
  const credentials = new Map<string, "valid" | "expired" | "unknown">()
  const sign = FaultScript.make()
  const getPublicKey = FaultScript.make()
  const { record, recorder } = Recorder.make()

  const createKey: AwsKmsEmulator["Service"]["createKey"] = Effect.fnUntraced(function* (spec, createOptions = {}) {
    const { alias, privateKey } = createOptions
    const type = spec === "SYMMETRIC_DEFAULT" ? undefined : keyTypes[spec]
    const modulusLength = spec.startsWith("RSA_") ? Number(spec.slice(4)) : undefined
    const key =
      type === undefined
        ? undefined
        : privateKey === undefined
          ? yield* EmulatedKey.generate(type, modulusLength)
          : EmulatedKey.make(privateKey)
    if (key !== undefined && (key.type !== type || key.modulusLength !== modulusLength)) {
      return yield* InvalidConfiguration.of({ field: "privateKey", problem: `is not a key of ${spec}` })
    }
    const keyId = crypto.randomUUID()
    const arn = `${arnPrefix}:key/${keyId}`
    const usage = key === undefined ? "ENCRYPT_DECRYPT" : (createOptions.keyUsage ?? "SIGN_VERIFY")
    const stored: Stored = { keyId, arn, publicKey: key?.publicKey, spec, usage, key, state: "Enabled" }
    keys.set(keyId, stored)
    if (alias !== undefined) aliases.set(alias, keyId)
    return { keyId, arn, publicKey: key?.publicKey }
  })

  /** https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id: an id, an ARN, an alias, an alias ARN. */
  const resolve = (keyId: unknown): Stored => {
    const text = String(keyId)
    const [, own, kind, rest] = /^(arn:.*):(key|alias)\/(.+)$/.exec(text) ?? []
    if (own !== undefined && own !== arnPrefix) throw new KmsError("NotFoundException", `Invalid arn ${region}`)
    const alias = kind === "alias" ? `alias/${rest}` : text.startsWith("alias/") ? text : undefined
    const id = alias === undefined ? (rest ?? text) : aliases.get(alias)
    const stored = id === undefined ? undefined : keys.get(id)
    if (stored !== undefined) return stored
    throw new KmsError(
      "NotFoundException",
      alias === undefined
        ? `Key '${arnPrefix}:key/${rest ?? text}' does not exist`
        : `Alias ${arnPrefix}:${alias} is not found.`
    )
  }

  /** https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html */
  const authorize = (operation: Operation, header: unknown): void => {
    const [, accessKeyId] = /Credential=([^/,\s]+)\//.exec(String(header)) ?? []
    if (accessKeyId === undefined) {
      throw new KmsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    }
    const state = credentials.get(accessKeyId) ?? "valid"
    if (state === "unknown") {
      throw new KmsError("UnrecognizedClientException", "The security token included in the request is invalid.")
    }
    if (state === "expired") {
      throw new KmsError("ExpiredTokenException", "The security token included in the request is expired")
    }
    if (denied.has(operation)) {
      throw new KmsError(
        "AccessDeniedException",
        `User: arn:aws:iam::${accountId}:user/${accessKeyId} is not authorized to perform: kms:${operation} on this resource`
      )
    }
  }

  const algorithmsOf = ({ key, usage }: Stored) =>
    key === undefined || usage !== "SIGN_VERIFY"
      ? []
      : forKeyType(key.type).filter((a) => signingAlgorithms[a] !== undefined)

  const describe = (stored: Stored) => {
    const SigningAlgorithms = algorithmsOf(stored).flatMap((algorithm) =>
      algorithm === "Ed25519" ? ["ED25519_SHA_512", prehashed] : [signingAlgorithms[algorithm]]
    )
    return {
      KeySpec: stored.spec,
      CustomerMasterKeySpec: stored.spec,
      KeyUsage: stored.usage,
      ...(SigningAlgorithms.length === 0 ? {} : { SigningAlgorithms })
    }
  }

  /** After this the aliases of the key mean a new key of the same kind. */
  const moveAliases = (stored: Stored) =>
    Effect.map(createKey(stored.spec, { keyUsage: stored.usage }), (created) => {
      for (const [alias, keyId] of aliases) {
        if (keyId === stored.keyId) aliases.set(alias, created.keyId)
      }
    })

  /** A key that is there, asymmetric and in a state to be used. */
  const toUse = (keyId: unknown, operation: Operation) => {
    const stored = resolve(keyId)
    const key = asymmetric(stored, operation)
    checkState(stored)
    return { stored, key }
  }

  const toSign = (input: Input) => {
    const message = bytesOf(input.Message, "Message")
    if (message.length > maxMessageLength) {
      throw validation(
        "1 validation error detected: Value at 'message' failed to satisfy constraint: " +
          `Member must have length less than or equal to ${maxMessageLength}`
      )
    }
    const { key, stored } = toUse(input.KeyId, "Sign")
    const { arn, spec, usage } = stored
    if (usage !== "SIGN_VERIFY") {
      throw new KmsError("InvalidKeyUsageException", `${arn} key usage is ${usage} which is not valid for Sign.`)
    }
    if (key.type === "Ed25519" && input.SigningAlgorithm === prehashed) {
      throw new KmsError("UnsupportedOperationException", `${prehashed} is not emulated.`)
    }
    const algorithm = algorithmsOf(stored).find((algorithm) => signingAlgorithms[algorithm] === input.SigningAlgorithm)
    if (algorithm === undefined) {
      throw new KmsError(
        "InvalidKeyUsageException",
        `Algorithm ${String(input.SigningAlgorithm)} is incompatible with key spec ${spec}.`
      )
    }
    return { algorithm, key, kind: kindOf(algorithm, input.MessageType ?? "RAW", spec, message), message, stored }
  }

  const named = ({ arn }: Stored, fault: Fault) =>
    fault._tag === "WrongName" ? `${arnPrefix}:key/${crypto.randomUUID()}` : arn

  const operations: {
    readonly [O in Operation]: (input: Input, fault: Fault) => Effect.Effect<object, KmsError | SignerError>
  } = {
    // https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html
    Sign: Effect.fnUntraced(function* (input, fault) {
      const { algorithm, key, kind, message, stored } = yield* attempt(() => toSign(input))
      if (fault._tag === "Rotate") yield* moveAliases(stored)
      const raw = yield* key.sign(algorithm, kind, message, fault)
      return {
        KeyId: named(stored, fault),
        // ECDSA signatures are DER: ANSI X9.62-2005 section 2.2.3, as the response of API_Sign says
        Signature: Base64.encode(facts[algorithm].scheme === "ECDSA" ? Ecdsa.toDer(raw)! : raw),
        SigningAlgorithm: input.SigningAlgorithm
      }
    }),

    // https://docs.aws.amazon.com/kms/latest/APIReference/API_GetPublicKey.html
    GetPublicKey: Effect.fnUntraced(function* (input, fault) {
      const { key, stored } = yield* attempt(() => toUse(input.KeyId, "GetPublicKey"))
      if (fault._tag === "Rotate") yield* moveAliases(stored)
      const { publicKey } = fault._tag === "AnotherKey" ? yield* EmulatedKey.generate(key.type, key.modulusLength) : key
      return {
        KeyId: named(stored, fault),
        PublicKey: Base64.encode(PublicKey.toSpki(publicKey)),
        ...describe(stored)
      }
    }),

    // https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html
    DescribeKey: (input) =>
      attempt(() => {
        const stored = resolve(input.KeyId)
        return {
          KeyMetadata: {
            AWSAccountId: accountId,
            Arn: stored.arn,
            KeyId: stored.keyId,
            Enabled: stored.state === "Enabled",
            KeyState: stored.state,
            KeyManager: "CUSTOMER",
            Origin: "AWS_KMS",
            MultiRegion: false,
            ...describe(stored)
          }
        }
      })
  }

  const perform = (operation: Operation, request: LoopbackServer.Request, input: Input, fault: Fault) =>
    attempt(() => authorize(operation, request.headers["authorization"])).pipe(
      Effect.andThen(Effect.suspend(() => operations[operation](input, fault))),
      Effect.map((body) => json(200, body)),
      Effect.catch((error) =>
        Effect.succeed(
          failure(error instanceof KmsError ? error : new KmsError("KMSInternalException", error.message, 500))
        )
      )
    )

  const answer = (operation: Operation, request: LoopbackServer.Request, input: Input, fault: Fault) =>
    FaultyAnswer.make(
      {
        perform: (fault) => perform(operation, request, input, fault),
        // https://docs.aws.amazon.com/kms/latest/developerguide/throttling.html
        throttled: () =>
          failure(
            new KmsError(
              "ThrottlingException",
              "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
            )
          ),
        failed: ({ code, message = "", status }) => failure(new KmsError(code, message, status))
      },
      fault
    )

  const server = yield* LoopbackServer.make({
    port: options.port,
    handle: (request) => {
      const target = /^TrentService\.(\w+)$/.exec(String(request.headers["x-amz-target"]))?.[1] ?? "-"
      const input = LoopbackServer.objectIn(request.body)
      if (input === undefined || !Object.hasOwn(operations, target)) {
        const error = new KmsError(input === undefined ? "SerializationException" : "UnknownOperationException", "")
        return record(target, input, Effect.succeed(failure(error)))
      }
      const operation = target as Operation
      const script = operation === "Sign" ? sign : operation === "GetPublicKey" ? getPublicKey : FaultScript.make()
      return record(
        operation,
        input,
        Effect.flatMap(script.next, (fault) => answer(operation, request, input, fault))
      )
    }
  })

  return AwsKmsEmulator.of({
    url: server.url,
    connection: {
      endpoint: server.url,
      region,
      credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: Redacted.make("emulated") }
    },
    createKey,
    setAlias: (alias, { keyId }) => Effect.sync(() => void aliases.set(alias, keyId)),
    setState: ({ keyId }, state) =>
      Effect.sync(() => {
        keys.get(keyId)!.state = state
      }),
    deny: (...operations) => Effect.sync(() => operations.forEach((operation) => denied.add(operation))),
    allow: (...operations) => Effect.sync(() => operations.forEach((operation) => denied.delete(operation))),
    setCredentials: (accessKeyId, state) => Effect.sync(() => void credentials.set(accessKeyId, state)),
    sign,
    getPublicKey,
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
export const layer = (options?: Options): Layer.Layer<AwsKmsEmulator, SignerError> =>
  Layer.effect(AwsKmsEmulator, make(options))
