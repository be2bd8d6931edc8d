/**
 * Signs with an asymmetric key of AWS KMS.
 *
 * **Details**
 *
 * Needs the package `@aws-sdk/client-kms`, which is imported when a Signer is
 * made. A key is named by its id, its ARN, an alias or an alias ARN, resolved
 * once: afterwards only the ARN is sent, and each answer must come from it. Keys of
 * this kind do not rotate, so the public key is read once and kept.
 *
 * | algorithm | what leaves the process |
 * | --- | --- |
 * | `Ed25519` | the message, at most 4096 bytes |
 * | `ES256` `ES384` `ES512` `ES256K`, `PS*`, `RS*` | its digest |
 * | `ML-DSA-*` | the message up to 4096 bytes, above them its 64-byte representative |
 *
 * **Gotchas**
 *
 * A moved alias does not move a running Signer: build the layer anew. The
 * prehashed Ed25519 of AWS KMS hashes a digest once more and is no standard
 * Ed25519ph; it is not offered.
 *
 * **Example** (The key behind an alias)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Signer } from "effect-signer"
 * import * as AwsKmsSigner from "effect-signer/AwsKmsSigner"
 *
 * const SignerLive = AwsKmsSigner.layer({ keyId: "alias/release", region: "eu-central-1" })
 *
 * const program = Signer.sign(new TextEncoder().encode("hello")).pipe(Effect.provide(SignerLive))
 * ```
 *
 * @since 0.1.0
 */
import type * as KMS from "@aws-sdk/client-kms"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { RemoteOptions } from "../decorators/remote.ts"
import { layerRemote } from "../decorators/remote.ts"
import * as Ecdsa from "../schemas/Ecdsa.ts"
import * as KeyId from "../schemas/KeyId.ts"
import * as KeyVersion from "../schemas/KeyVersion.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import * as SignatureAlgorithm from "../schemas/SignatureAlgorithm.ts"
import type { ErrorContext, SignerError } from "../schemas/SignerError.ts"
import {
  InvalidConfiguration,
  InvalidResponse,
  KeyNotFound,
  KeyNotSigner,
  UnsupportedAlgorithm
} from "../schemas/SignerError.ts"
import type { Service } from "../services/Signer.ts"
import * as Signer from "../services/Signer.ts"
import * as AlgorithmChoice from "./remote/AlgorithmChoice.ts"
import type { Client, ConnectionOptions } from "./aws/AwsKmsClient.ts"
import * as AwsKmsClient from "./aws/AwsKmsClient.ts"
import * as ExternalMu from "./remote/ExternalMu.ts"
import { identifier } from "./remote/Outcome.ts"

export type { Client, ConnectionOptions }

const backend = "aws-kms"

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

/**
 * Which key, and for what.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyOptions {
  /** A key id, a key ARN, an alias (`alias/release`) or an alias ARN. */
  readonly keyId: string
  /** Required for RSA keys, which can do several, and with `lazy`. Otherwise the one that the key can do. */
  readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm | undefined
  readonly purpose?: string | undefined
  /** Ask AWS KMS nothing until the first signature. */
  readonly lazy?: boolean | undefined
}

/**
 * Options of {@link make} and {@link layerBare}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends KeyOptions, ConnectionOptions {
  /** A tripwire: any other public key is `InvalidResponse`, before anything is signed. */
  readonly expectedPublicKey?: PublicKey.PublicKey | undefined
  /**
   * A `KMSClient` to use instead of a new one. It brings region, credentials and
   * connections of its own, is not destroyed, and its own retries do not happen for
   * what this Signer sends.
   */
  readonly client?: Client | undefined
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface LayerOptions extends Options, RemoteOptions {}

const connectionFields = [
  "region",
  "profile",
  "endpoint",
  "credentials",
  "concurrency",
  "connectionTimeout",
  "requestTimeout"
] as const satisfies ReadonlyArray<keyof ConnectionOptions>

/** What an ARN of AWS KMS says: `arn:aws:kms:<region>:<account>:key/<id>`, or `:alias/<name>`. */
const arn = /^arn:[a-z0-9-]+:kms:([a-z0-9-]+):\d{12}:(key|alias)\/[\w/-]+$/

const isEndpoint = (text: string) => URL.canParse(text) && ["http:", "https:"].includes(new URL(text).protocol)

/**
 * The first thing that is wrong with the options, as a field and what to do about it.
 *
 * @internal
 */
export const mistake = (options: Options): readonly [field: string, problem: string] | undefined => {
  const { algorithm, client, concurrency, endpoint, keyId, region } = options
  if (typeof keyId !== "string" || !/^[\x21-\x7e]{1,2048}$/.test(keyId)) {
    return ["keyId", "must be a key id, a key ARN, alias/<name> or an alias ARN, without spaces"]
  }
  const keyRegion = arn.exec(keyId)?.[1]
  if (keyId.startsWith("arn:") && keyRegion === undefined) {
    return ["keyId", "it is no ARN of a key or an alias: arn:aws:kms:<region>:<account>:key/<id>"]
  }
  if (algorithm === undefined && options.lazy === true) {
    return ["algorithm", "is required with lazy, because the key is not asked what it can do"]
  }
  if (client !== undefined) {
    const field = connectionFields.find((field) => options[field] !== undefined)
    return field === undefined ? undefined : [field, "the client given has its own; leave this option out"]
  }
  if (region !== undefined && keyRegion !== undefined && region !== keyRegion) {
    return ["region", `is another one than ${keyRegion}, which the key's ARN says`]
  }
  if (endpoint !== undefined && !isEndpoint(endpoint)) return ["endpoint", "must be an http or https URL"]
  if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency > 0)) {
    return ["concurrency", "must be a positive integer"]
  }
}

// ---------------------------------------------------------------------------
// algorithms
// ---------------------------------------------------------------------------

/** `SigningAlgorithm` of the API. What is absent, AWS KMS cannot do. */
const vendorAlgorithms: { readonly [A in SignatureAlgorithm.SignatureAlgorithm]?: KMS.SigningAlgorithmSpec } = {
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

/** `KeySpec` of the API: the kind of key, and the length of its signatures where the algorithm does not say. */
const keySpecs: {
  readonly [S in KMS.KeySpec]?: { readonly type: SignatureAlgorithm.KeyType; readonly length?: number }
} = {
  ECC_NIST_EDWARDS25519: { type: "Ed25519" },
  ECC_NIST_P256: { type: "P-256" },
  ECC_NIST_P384: { type: "P-384" },
  ECC_NIST_P521: { type: "P-521" },
  ECC_SECG_P256K1: { type: "secp256k1" },
  RSA_2048: { type: "RSA", length: 256 },
  RSA_3072: { type: "RSA", length: 384 },
  RSA_4096: { type: "RSA", length: 512 },
  ML_DSA_44: { type: "ML-DSA-44" },
  ML_DSA_65: { type: "ML-DSA-65" },
  ML_DSA_87: { type: "ML-DSA-87" }
}

/** Bytes of a `RAW` message at most: https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html */
const rawLimit = 4096

const tooLargeAdvice =
  "AWS KMS takes an Ed25519 message whole. Sign a digest that your protocol defines, or use an ECDSA key, which signs " +
  "messages of any length. Ed25519ph would be another algorithm and is never put in its place"

type Input = Pick<KMS.SignRequest, "Message" | "MessageType">

/** What is sent for the input of `Backend.sign`: the message where the scheme takes messages, else the digest. */
const inputOf = (
  algorithm: SignatureAlgorithm.SignatureAlgorithm,
  key: PublicKey.PublicKey
): ((input: Uint8Array) => Input) => {
  switch (SignatureAlgorithm.facts[algorithm].scheme) {
    case "EdDSA":
      return (message) => ({ Message: message, MessageType: "RAW" })
    case "ML-DSA": {
      const mu = ExternalMu.of(key)
      return (message) =>
        message.length <= rawLimit
          ? { Message: message, MessageType: "RAW" }
          : { Message: mu(message), MessageType: "EXTERNAL_MU" }
    }
    default:
      return (digest) => ({ Message: digest, MessageType: "DIGEST" })
  }
}

/** Canonical bytes from those of the API, where ECDSA is DER. `undefined` where they are none. */
const canonicalOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm, length: number | undefined) => {
  const { keyType, scheme } = SignatureAlgorithm.facts[algorithm]
  if (scheme === "ECDSA") {
    const coordinate = Ecdsa.coordinateLength[keyType as Ecdsa.Curve]
    return (bytes: Uint8Array) => Ecdsa.fromDer(bytes, coordinate)
  }
  return (bytes: Uint8Array) => (length === undefined || bytes.length === length ? bytes : undefined)
}

// ---------------------------------------------------------------------------
// key
// ---------------------------------------------------------------------------

/** A key that was looked at: what is known of it holds for ever. */
interface Key {
  readonly arn: string
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm
  readonly publicKey: PublicKey.PublicKey
  readonly inputOf: (input: Uint8Array) => Input
  readonly canonicalOf: (bytes: Uint8Array) => Uint8Array | undefined
}

/** Whether the ARN that AWS KMS resolved `keyId` to can be its ARN. Where an alias points to, only AWS KMS knows. */
const isArnOf = (keyArn: string, keyId: string): boolean => {
  if (arn.exec(keyArn)?.[2] !== "key") return false
  const kind = arn.exec(keyId)?.[2]
  return kind === "key"
    ? keyArn === keyId
    : kind === "alias" || keyId.startsWith("alias/") || keyArn.endsWith(`:key/${keyId}`)
}

const toKey = Effect.fnUntraced(function* (
  options: Options,
  context: ErrorContext,
  response: Partial<KMS.GetPublicKeyCommandOutput>
): Effect.fn.Return<Key, SignerError> {
  const { KeyId: keyArn, KeySpec, KeyUsage, PublicKey: spki, SigningAlgorithms } = response
  if (KeyUsage !== undefined && KeyUsage !== "SIGN_VERIFY") return yield* new KeyNotSigner(context)
  const spec = KeySpec === undefined ? undefined : keySpecs[KeySpec]
  if (KeySpec !== undefined && spec === undefined) {
    return yield* new UnsupportedAlgorithm({
      ...context,
      algorithm: identifier(KeySpec) ?? "-",
      problem: "no algorithm here is for keys of this kind"
    })
  }
  if (typeof keyArn !== "string" || !isArnOf(keyArn, options.keyId)) {
    return yield* new InvalidResponse({ ...context, problem: "the public key is not said to be of the key asked for" })
  }
  if (!(spki instanceof Uint8Array)) {
    return yield* new InvalidResponse({ ...context, problem: "there is no public key in the answer" })
  }
  const publicKey = yield* Effect.mapError(
    PublicKey.fromSpki(spki),
    ({ problem }) => new InvalidResponse({ ...context, problem: `the public key is malformed: ${problem}` })
  )
  if (spec !== undefined && spec.type !== publicKey.type) {
    return yield* new InvalidResponse({ ...context, problem: `a ${publicKey.type} key that is said to be ${KeySpec}` })
  }
  const expected = options.expectedPublicKey
  if (expected !== undefined && !PublicKey.sameKey(publicKey, expected)) {
    return yield* new InvalidResponse({
      ...context,
      problem: `the public key is ${PublicKey.thumbprint(publicKey)}, expected ${PublicKey.thumbprint(expected)}`
    })
  }
  const candidates = SignatureAlgorithm.forKeyType(publicKey.type).filter((algorithm) => {
    const vendor = vendorAlgorithms[algorithm]
    return vendor !== undefined && (SigningAlgorithms === undefined || SigningAlgorithms.includes(vendor))
  })
  const algorithm = yield* Effect.mapError(
    AlgorithmChoice.choose(options.algorithm, candidates, publicKey.type),
    (problem) => problem(context)
  )
  return {
    arn: keyArn,
    algorithm,
    publicKey,
    inputOf: inputOf(algorithm, publicKey),
    canonicalOf: canonicalOf(algorithm, spec?.length)
  }
})

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * A Signer with a key of AWS KMS, without retries and without verification.
 *
 * **Details**
 *
 * Reads the public key before it returns, unless `lazy`: the id of the Signer is
 * then the ARN of the key. With `lazy` it is `keyId` as stated, the key is pinned at
 * the first use, and each signature names its ARN as the key version, unless
 * `keyId` is that ARN.
 *
 * Credentials that AWS refuses are obtained anew, once, and the request is sent
 * again if they are others.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Service, SignerError, Scope.Scope> {
  const wrong = mistake(options)
  if (wrong !== undefined) {
    const [field, problem] = wrong
    return yield* new InvalidConfiguration({ backend, keyId: options.keyId || "-", operation: "make", field, problem })
  }
  const asked = options.algorithm
  if (asked !== undefined && vendorAlgorithms[asked] === undefined) {
    return yield* new UnsupportedAlgorithm({
      backend,
      keyId: options.keyId,
      operation: "make",
      algorithm: asked,
      problem: `AWS KMS cannot do it; it can do ${Object.keys(vendorAlgorithms).join(", ")}`
    })
  }
  const request = yield* AwsKmsClient.make({ ...options, region: options.region ?? arn.exec(options.keyId)?.[1] })

  // Single flight, and for ever: asymmetric keys of AWS KMS do not rotate. A failure is not remembered.
  const reading = { backend, keyId: options.keyId, operation: "publicKey" } as const
  const key = yield* Effect.cachedWithTTL(
    Effect.flatMap(
      request(reading, (sdk) => new sdk.GetPublicKeyCommand({ KeyId: options.keyId })),
      (response) => toKey(options, reading, response as Partial<KMS.GetPublicKeyCommandOutput>)
    ),
    (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.zero)
  )

  const known = options.lazy === true ? undefined : yield* key
  const algorithm = known?.algorithm ?? asked!
  const keyId = KeyId.make(known?.arn ?? options.keyId)
  const context: ErrorContext = { backend, keyId, operation: "sign" }
  const { scheme } = SignatureAlgorithm.facts[algorithm]
  const SigningAlgorithm = vendorAlgorithms[algorithm]!
  const invalidResponse = (problem: string) => Effect.fail(new InvalidResponse({ ...context, problem }))

  const signWith =
    ({ arn, canonicalOf, inputOf }: Key): Signer.Backend["sign"] =>
    (input) =>
      Effect.flatMap(
        request(context, (sdk) => new sdk.SignCommand({ KeyId: arn, SigningAlgorithm, ...inputOf(input) })),
        (response): Effect.Effect<Signer.BackendSignature, SignerError> => {
          const answer = response as Partial<KMS.SignCommandOutput>
          if (answer.KeyId !== arn) {
            return invalidResponse("another key than the one asked for is said to have signed")
          }
          if (answer.SigningAlgorithm !== undefined && answer.SigningAlgorithm !== SigningAlgorithm) {
            return invalidResponse("another algorithm than the one asked for is said to have signed")
          }
          const bytes = answer.Signature instanceof Uint8Array ? canonicalOf(answer.Signature) : undefined
          if (bytes === undefined) return invalidResponse("the signature is not in the form of its algorithm")
          return Effect.succeed(keyId === arn ? { bytes } : { bytes, keyVersion: KeyVersion.make(arn) })
        }
      )

  return yield* Signer.make(
    {
      name: backend,
      keyId,
      algorithm,
      input: scheme === "EdDSA" || scheme === "ML-DSA" ? "message" : "digest",
      ...(scheme === "EdDSA" ? { maxMessageLength: rawLimit, tooLargeAdvice } : {}),
      publicKey: (version) =>
        Effect.flatMap(key, ({ arn, publicKey }) =>
          version === undefined || version === arn
            ? Effect.succeed(publicKey)
            : Effect.fail(KeyNotFound.version({ ...context, operation: "publicKey" }, version))
        ),
      sign: known === undefined ? (input) => Effect.flatMap(key, (key) => signWith(key)(input)) : signWith(known)
    },
    { lazy: true, purpose: options.purpose }
  )
})

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides a `Signer` with a key of AWS KMS: one request per signature, no retry,
 * nothing verified or observed. Decorate it yourself.
 *
 * @see {@link layer}
 * @category layers
 * @since 0.1.0
 */
export const layerBare = (options: Options): Layer.Layer<Signer.Signer, SignerError> =>
  Layer.effect(Signer.Signer, make(options))

/**
 * Provides a `Signer` with a key of AWS KMS: resilient, verified and observed.
 *
 * **Details**
 *
 * 10 s per attempt, three more attempts after `Retryable`, each signature verified
 * here before it is returned. The public key is read while the layer is built, so a
 * wrong key, algorithm, region or permission fails there.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: LayerOptions): Layer.Layer<Signer.Signer, SignerError> => {
  const { observe, resilience, ...rest } = options
  const timeout = resilience?.timeout
  const requestTimeout =
    options.requestTimeout ??
    (options.client === undefined
      ? Duration.sum(Duration.fromInputUnsafe(timeout ?? "10 seconds"), Duration.seconds(1))
      : undefined)
  return layerRemote({ backend, keyId: options.keyId }, make({ ...rest, requestTimeout }), {
    observe,
    resilience,
    lazy: options.lazy
  })
}

/**
 * What {@link layerConfig} reads.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigOptions extends KeyOptions, ConnectionOptions {}

/**
 * The options in the environment.
 *
 * **Details**
 *
 * | variable | option |
 * | --- | --- |
 * | `A1_KMS_KEY_ID` | `keyId` |
 * | `A1_KMS_ALGORITHM` | `algorithm`; optional |
 * | `AWS_REGION`, else `AWS_DEFAULT_REGION` | `region`; optional |
 * | `AWS_PROFILE` | `profile`; optional |
 * | `AWS_ENDPOINT_URL_KMS`, else `AWS_ENDPOINT_URL` | `endpoint`; optional |
 *
 * Credentials are the SDK's: it reads `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`
 * and `AWS_SESSION_TOKEN` itself.
 *
 * @category config
 * @since 0.1.0
 */
export const environment: Config.Config<ConfigOptions> = Config.all({
  keyId: Config.NonEmptyString("A1_KMS_KEY_ID"),
  algorithm: Config.option(Config.schema(SignatureAlgorithm.SignatureAlgorithm, "A1_KMS_ALGORITHM")),
  region: Config.option(Config.orElse(Config.String("AWS_REGION"), () => Config.String("AWS_DEFAULT_REGION"))),
  profile: Config.option(Config.String("AWS_PROFILE")),
  endpoint: Config.option(Config.orElse(Config.String("AWS_ENDPOINT_URL_KMS"), () => Config.String("AWS_ENDPOINT_URL")))
}).pipe(
  Config.map(({ keyId, ...optional }) => ({
    keyId,
    algorithm: Option.getOrUndefined(optional.algorithm),
    region: Option.getOrUndefined(optional.region),
    profile: Option.getOrUndefined(optional.profile),
    endpoint: Option.getOrUndefined(optional.endpoint)
  }))
)

/**
 * Provides a `Signer` with a key of AWS KMS that `Config` names, as {@link layer}
 * does. Without an argument it reads the {@link environment}.
 *
 * **Example** (A key from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import * as AwsKmsSigner from "effect-signer/AwsKmsSigner"
 *
 * const SignerLive = AwsKmsSigner.layerConfig({
 *   keyId: Config.String("RELEASE_KEY"),
 *   region: Config.String("AWS_REGION")
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
