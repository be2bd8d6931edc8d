/**
 * Signs with an asymmetric key of Google Cloud KMS.
 *
 * **Details**
 *
 * Speaks to two endpoints, `getPublicKey` and `asymmetricSign`: over HTTP by default,
 * or over gRPC through `@google-cloud/kms`, also with a client of your own. Over HTTP
 * the tokens are those of `google-auth-library`, or of a source of your own. HTTP is the
 * default because a process is up with it sooner and in less memory. With the
 * `httpClient` of undici it is also the faster of the two.
 *
 * One version of the key signs: the one that is stated, or the newest that was enabled
 * when the key was first read. A version has one algorithm, which decides all:
 *
 * | algorithm of the version | algorithm | what leaves the process |
 * | --- | --- | --- |
 * | `EC_SIGN_ED25519` | `Ed25519` | the message, at most 64 KiB |
 * | `EC_SIGN_P256_SHA256` `EC_SIGN_P384_SHA384` | `ES256` `ES384` | its digest |
 * | `EC_SIGN_SECP256K1_SHA256` | `ES256K`, made low-S here | its digest |
 * | `RSA_SIGN_PSS_*` | `PS256` `PS512` | its digest |
 * | `RSA_SIGN_PKCS1_*` | `RS256` `RS512` | its digest |
 * | `PQ_SIGN_ML_DSA_*` | `ML-DSA-*` | the message, at most 64 KiB |
 * | `PQ_SIGN_ML_DSA_*_EXTERNAL_MU` | `ML-DSA-*` | its 64-byte representative |
 *
 * CRC32C checksums go both ways, and a signature is passed on only if Cloud KMS says
 * that it checked ours, its own is right, and the version named is the one asked for.
 *
 * **Gotchas**
 *
 * A version that is added later signs nothing here: build the layer anew. To find the
 * newest version takes the permission `cloudkms.cryptoKeyVersions.list`, which
 * `roles/cloudkms.signerVerifier` does not have; with a version stated, that role is
 * enough. There is no SHA-384 with RSA, and SHA-512 only with keys of 4096 bits.
 *
 * **Example** (A version of a key)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Signer } from "effect-signer"
 * import * as GcpKmsSigner from "effect-signer/GcpKmsSigner"
 *
 * const SignerLive = GcpKmsSigner.layer({
 *   key: "projects/acme/locations/europe-west1/keyRings/release/cryptoKeys/signing/cryptoKeyVersions/3"
 * })
 *
 * const program = Signer.sign(new TextEncoder().encode("hello")).pipe(Effect.provide(SignerLive))
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
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
  KeyNotFound,
  KeyNotSigner,
  KeyUnavailable,
  UnsupportedAlgorithm
} from "../schemas/SignerError.ts"
import type { Service } from "../services/Signer.ts"
import * as Signer from "../services/Signer.ts"
import * as ExternalMu from "./remote/ExternalMu.ts"
import type { CredentialOptions, TokenSource } from "./gcp/GcpCredential.ts"
import * as GcpKmsApi from "./gcp/GcpKmsApi.ts"
import * as GcpKmsError from "./gcp/GcpKmsError.ts"
import * as GcpKmsGrpc from "./gcp/GcpKmsGrpc.ts"
import type { Client } from "./gcp/GcpKmsGrpc.ts"
import * as GcpKmsRest from "./gcp/GcpKmsRest.ts"
import { identifier, invalidResponse, type Problem } from "./remote/Outcome.ts"

export type { Client, CredentialOptions, TokenSource }

const backend = "gcp-kms"

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

/**
 * Which key, where, and for what.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyOptions extends Signer.MakeOptions, CredentialOptions {
  /**
   * The name of a key, `projects/P/locations/L/keyRings/R/cryptoKeys/K`, or of one of
   * its versions, with `/cryptoKeyVersions/N`.
   */
  readonly key: string
  /**
   * The number of a version, where `key` names none. Default `"latest"`: the newest that
   * is enabled when the key is first read, which needs the permission
   * `cloudkms.cryptoKeyVersions.list`.
   */
  readonly version?: string | undefined
  /** Required with `lazy`. Otherwise the one that the version has. */
  readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm | undefined
  /**
   * Default `https://cloudkms.googleapis.com`. Another for an endpoint of one region or of
   * a private network, and `http` for an emulator on the loopback interface.
   */
  readonly endpoint?: string | undefined
}

/**
 * Options of a Signer that speaks HTTP.
 *
 * @category models
 * @since 0.1.0
 */
export interface RestOptions extends KeyOptions {
  readonly transport?: "rest" | undefined
  /** Default: `google-auth-library`, an optional peer, with `credentials` or what it finds. */
  readonly tokens?: TokenSource | undefined
  /** Default: `fetch`. */
  readonly httpClient?: HttpClient.HttpClient | undefined
}

/**
 * Options of a Signer that speaks gRPC.
 *
 * @category models
 * @since 0.1.0
 */
export interface GrpcOptions extends KeyOptions {
  readonly transport: "grpc"
  /**
   * A `KeyManagementServiceClient` to use instead of a new one. It brings endpoint and
   * credentials of its own, is not closed, and its own retries do not happen for what
   * this Signer sends.
   */
  readonly client?: Client | undefined
  /**
   * Until one request is answered. Default 10 seconds; for {@link layer} one second more
   * than its timeout per attempt, which is to come first.
   */
  readonly requestTimeout?: Duration.Input | undefined
}

/**
 * Options of {@link make} and {@link layerBare}.
 *
 * @category models
 * @since 0.1.0
 */
export type Options = RestOptions | GrpcOptions

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export type LayerOptions = Options & RemoteOptions

/** What the options name. */
interface Target {
  /** Of the key, without a version. */
  readonly key: string
  /** Absent: the newest. */
  readonly version: string | undefined
  readonly endpoint: URL
}

type Mistake = readonly [field: string, problem: string]

const keyForm = "projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>"

/** https://cloud.google.com/kms/docs/resource-hierarchy; a project may have a domain: `example.com:acme`. */
const resource =
  /^(projects\/[a-z0-9][a-z0-9.:-]{0,127}\/locations\/[a-z0-9-]{1,63}\/keyRings\/[\w-]{1,63}\/cryptoKeys\/[\w-]{1,63})(?:\/cryptoKeyVersions\/([1-9]\d{0,9}))?$/

const versionPattern = /^[1-9]\d{0,9}$/

const isLoopback = (host: string) => host === "localhost" || host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host)

/** The target, or the first thing that is wrong. */
const targetOf = (options: Options): Result.Result<Target, Mistake> => {
  const { credentials, endpoint, key, version } = options
  const fail = (field: string, problem: string) => Result.fail<Mistake>([field, problem])
  const [, name, versioned] = (typeof key === "string" ? resource.exec(key) : null) ?? []
  if (name === undefined) {
    return fail("key", `must be the name of a key, or of a version of one: ${keyForm}[/cryptoKeyVersions/<number>]`)
  }
  if (versioned !== undefined && version !== undefined && versioned !== version) {
    return fail("version", "is another one than key names")
  }
  const wanted = versioned ?? (version === "latest" ? undefined : version)
  if (wanted !== undefined && !versionPattern.test(wanted)) {
    return fail("version", 'must be the number of a version, or "latest"')
  }
  if (options.algorithm === undefined && options.lazy === true) {
    return fail("algorithm", "is required with lazy, because the key is not asked what it can do")
  }
  const { transport = "rest" } = options
  if (transport !== "rest" && transport !== "grpc") return fail("transport", 'must be "rest" or "grpc"')
  if (options.transport === "grpc" && options.client !== undefined) {
    const field = credentials !== undefined ? "credentials" : endpoint !== undefined ? "endpoint" : undefined
    if (field !== undefined) return fail(field, "the client given has its own; leave this option out")
  }
  if (options.transport !== "grpc" && options.tokens !== undefined && credentials !== undefined) {
    return fail("credentials", "the tokens given are not made with them; leave this option out")
  }
  const address = endpoint ?? "https://cloudkms.googleapis.com"
  if (typeof address !== "string" || !URL.canParse(address)) return fail("endpoint", "must be an https URL")
  const url = new URL(address)
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname))) {
    return fail("endpoint", "must be an https URL; http carries the token for anyone to read")
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "" || url.pathname !== "/") {
    return fail("endpoint", "must be a host without user, path, query or fragment")
  }
  return Result.succeed({ key: name, version: wanted, endpoint: url })
}

/**
 * The first thing that is wrong with the options, as far as they tell by themselves.
 *
 * @internal
 */
export const mistake = (options: Options): Mistake | undefined =>
  Result.match(targetOf(options), { onSuccess: () => undefined, onFailure: (mistake) => mistake })

/** The key as errors name it before it is known that there is one. */
const namedBy = (options: Options): string =>
  Result.match(targetOf(options), { onSuccess: ({ key }) => key, onFailure: () => "-" })

// ---------------------------------------------------------------------------
// algorithms
// ---------------------------------------------------------------------------

interface VendorAlgorithm {
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm
  /** Bytes of a signature where the algorithm does not say. */
  readonly length?: number
  /** The version signs the representative of a message, and no message. */
  readonly isMu?: boolean
}

/** `CryptoKeyVersionAlgorithm`: https://cloud.google.com/kms/docs/algorithms#asymmetric_signing_algorithms */
const vendorAlgorithms: { readonly [name: string]: VendorAlgorithm } = {
  EC_SIGN_ED25519: { algorithm: "Ed25519" },
  EC_SIGN_P256_SHA256: { algorithm: "ES256" },
  EC_SIGN_P384_SHA384: { algorithm: "ES384" },
  EC_SIGN_SECP256K1_SHA256: { algorithm: "ES256K" },
  RSA_SIGN_PSS_2048_SHA256: { algorithm: "PS256", length: 256 },
  RSA_SIGN_PSS_3072_SHA256: { algorithm: "PS256", length: 384 },
  RSA_SIGN_PSS_4096_SHA256: { algorithm: "PS256", length: 512 },
  RSA_SIGN_PSS_4096_SHA512: { algorithm: "PS512", length: 512 },
  RSA_SIGN_PKCS1_2048_SHA256: { algorithm: "RS256", length: 256 },
  RSA_SIGN_PKCS1_3072_SHA256: { algorithm: "RS256", length: 384 },
  RSA_SIGN_PKCS1_4096_SHA256: { algorithm: "RS256", length: 512 },
  RSA_SIGN_PKCS1_4096_SHA512: { algorithm: "RS512", length: 512 },
  PQ_SIGN_ML_DSA_44: { algorithm: "ML-DSA-44" },
  PQ_SIGN_ML_DSA_65: { algorithm: "ML-DSA-65" },
  PQ_SIGN_ML_DSA_87: { algorithm: "ML-DSA-87" },
  PQ_SIGN_ML_DSA_44_EXTERNAL_MU: { algorithm: "ML-DSA-44", isMu: true },
  PQ_SIGN_ML_DSA_65_EXTERNAL_MU: { algorithm: "ML-DSA-65", isMu: true },
  PQ_SIGN_ML_DSA_87_EXTERNAL_MU: { algorithm: "ML-DSA-87", isMu: true }
}

const supported = [...new Set(Object.values(vendorAlgorithms).map(({ algorithm }) => algorithm))]

const unsupported = (name: string | undefined): Problem => {
  const algorithm = identifier(name) ?? "-"
  return (context) =>
    algorithm.includes("_SIGN_")
      ? new UnsupportedAlgorithm({
          ...context,
          algorithm,
          problem: algorithm.startsWith("RSA_SIGN_RAW_")
            ? "such a version signs without naming the hash; create one of RSA_SIGN_PSS_* or RSA_SIGN_PKCS1_*"
            : `no algorithm here is for versions of this kind; there are ${supported.join(", ")}`
        })
      : new KeyNotSigner(context)
}

const digestFields: { readonly [H in SignatureAlgorithm.Hash]: GcpKmsApi.DigestField } = {
  "SHA-256": "sha256",
  "SHA-384": "sha384",
  "SHA-512": "sha512"
}

const isMlDsa = (algorithm: SignatureAlgorithm.SignatureAlgorithm) =>
  SignatureAlgorithm.facts[algorithm].scheme === "ML-DSA"

/** Bytes of `data` at most: the limit of Cloud KMS for what is to be processed. https://cloud.google.com/kms/quotas */
const dataLimit = 65_536

const tooLargeAdvice =
  "Cloud KMS takes the message whole. Sign a digest that your protocol defines, or use a key that signs messages of any " +
  "length: of ECDSA, of RSA, or of ML-DSA with an external mu, and not lazy"

type Encode = (input: Uint8Array) => GcpKmsApi.Input

/** What is sent for the input of `Backend.sign` where no public key is needed to tell. */
const inputOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm): Encode => {
  const { hash } = SignatureAlgorithm.facts[algorithm]
  return hash === undefined
    ? (bytes) => ({ _tag: "Data", bytes })
    : (bytes) => ({ _tag: "Digest", field: digestFields[hash], bytes })
}

const muOf = (key: PublicKey.PublicKey): Encode => {
  const mu = ExternalMu.of(key)
  return (message) => ({ _tag: "Digest", field: "externalMu", bytes: mu(message) })
}

/** Canonical bytes from those of the API, where ECDSA is DER. `undefined` where they are none. */
const canonicalOf = (
  algorithm: SignatureAlgorithm.SignatureAlgorithm,
  length: number | undefined
): ((bytes: Uint8Array) => Uint8Array | undefined) => {
  const { keyType, scheme } = SignatureAlgorithm.facts[algorithm]
  if (scheme === "ECDSA") {
    const coordinate = Ecdsa.coordinateLength[keyType as Ecdsa.Curve]
    return (bytes) => Ecdsa.fromDer(bytes, coordinate)
  }
  return (bytes) => (length === undefined || bytes.length === length ? bytes : undefined)
}

// ---------------------------------------------------------------------------
// keys
// ---------------------------------------------------------------------------

const nameOf = (key: string, version: string) => `${key}/cryptoKeyVersions/${version}`

const keyVersionOf = (version: string) => KeyVersion.make(`cryptoKeyVersions/${version}`)

/** The number in what {@link keyVersionOf} makes, also alone. */
const numberIn = (version: KeyVersion.KeyVersion): string | undefined => {
  const number = version.replace(/^cryptoKeyVersions\//, "")
  return versionPattern.test(number) ? number : undefined
}

/** The newest enabled version: they are numbered in order, and the list has no promised one. */
const newest = Effect.fnUntraced(function* (
  transport: GcpKmsApi.Transport,
  key: string
): Effect.fn.Return<string, Problem> {
  let found = 0
  let pageToken: string | undefined
  // As many pages as a key of ten thousand enabled versions has; a server that never ends is not followed.
  for (let page = 0; page < 100; page++) {
    const listed = GcpKmsApi.versions(yield* transport.listVersions(key, pageToken))
    if (listed === undefined) return yield* Effect.fail(invalidResponse("the answer is not a list of versions"))
    for (const { name, state } of listed.versions) {
      const [, of, number] = (name === undefined ? null : resource.exec(name)) ?? []
      if (of !== key || number === undefined) {
        return yield* Effect.fail(invalidResponse("a version of another key is in the list"))
      }
      if (state === "ENABLED") found = Math.max(found, Number(number))
    }
    pageToken = listed.nextPageToken
    if (pageToken === undefined) break
  }
  if (found === 0) {
    return yield* Effect.fail(
      (context: ErrorContext) => new KeyUnavailable({ ...context, state: "without an enabled version" })
    )
  }
  return String(found)
})

/** A version that was looked at: what is known of it holds for ever. */
interface KeyInfo {
  readonly version: string
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm
  readonly publicKey: PublicKey.PublicKey
  readonly isMu: boolean
  readonly encode: Encode
  readonly canonicalOf: (bytes: Uint8Array) => Uint8Array | undefined
}

const toKeyInfo = Effect.fnUntraced(function* (
  answer: GcpKmsApi.PublicKeyAnswer | undefined,
  key: string,
  version: string
): Effect.fn.Return<KeyInfo, Problem> {
  if (answer === undefined) return yield* Effect.fail(invalidResponse("there is no public key in the answer"))
  if (answer.name !== nameOf(key, version)) {
    return yield* Effect.fail(invalidResponse("the answer is another version than was asked for"))
  }
  if (!answer.isIntact) return yield* Effect.fail(GcpKmsError.corrupted)
  const vendor =
    answer.algorithm !== undefined && Object.hasOwn(vendorAlgorithms, answer.algorithm)
      ? vendorAlgorithms[answer.algorithm]
      : undefined
  if (vendor === undefined) return yield* Effect.fail(unsupported(answer.algorithm))
  const { algorithm, isMu = false, length } = vendor
  const { keyType } = SignatureAlgorithm.facts[algorithm]
  const { material } = answer
  const publicKey = yield* Effect.mapError(
    material._tag === "Pem" ? PublicKey.fromPem(material.text) : PublicKey.fromRaw(keyType, material.bytes),
    ({ problem }) => invalidResponse(`the public key is malformed: ${problem}`)
  )
  if (publicKey.type !== keyType) {
    return yield* Effect.fail(invalidResponse(`a ${publicKey.type} key that is said to be ${answer.algorithm}`))
  }
  return {
    version,
    algorithm,
    publicKey,
    isMu,
    encode: isMu ? muOf(publicKey) : inputOf(algorithm),
    canonicalOf: canonicalOf(algorithm, length)
  }
})

/**
 * Reads a version. Keys of ML-DSA must be asked for in another format than all others,
 * and the wrong format is an invalid argument: where the algorithm is not known, both.
 */
const readVersion = (
  transport: GcpKmsApi.Transport,
  { key }: Target,
  version: string,
  algorithm: SignatureAlgorithm.SignatureAlgorithm | undefined
): Effect.Effect<KeyInfo, Problem> => {
  const read = (format: GcpKmsApi.PublicKeyFormat | undefined) =>
    Effect.map(transport.getPublicKey(nameOf(key, version), format), (answer) => GcpKmsApi.publicKey(answer, format))
  const isPostQuantum = algorithm !== undefined && isMlDsa(algorithm)
  const [first, second] = isPostQuantum ? (["NIST_PQC", undefined] as const) : ([undefined, "NIST_PQC"] as const)
  const isFormat = (problem: Problem) =>
    GcpKmsError.isInvalidArgument(problem({ backend, keyId: key, operation: "make" }))
  return read(first).pipe(
    Effect.catchIf(isFormat, (problem) =>
      // where the format is not what is wrong, the first answer says more
      Effect.mapError(read(second), (again) => (isFormat(again) ? problem : again))
    ),
    Effect.flatMap((answer) => toKeyInfo(answer, key, version))
  )
}

const checkAlgorithm = (
  asked: SignatureAlgorithm.SignatureAlgorithm | undefined,
  info: KeyInfo
): Effect.Effect<KeyInfo, Problem> =>
  asked === undefined || asked === info.algorithm
    ? Effect.succeed(info)
    : Effect.fail(
        (context: ErrorContext) =>
          new InvalidConfiguration({
            ...context,
            field: "algorithm",
            problem: `the version cannot do ${asked}; it can do ${info.algorithm} and nothing else`
          })
      )

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const signatureIn = (
  answer: unknown,
  input: GcpKmsApi.Input,
  key: string,
  version: string,
  canonical: (bytes: Uint8Array) => Uint8Array | undefined
): Effect.Effect<Signer.BackendSignature, Problem> => {
  const signed = GcpKmsApi.signed(answer, input)
  if (signed === undefined) return Effect.fail(invalidResponse("the answer is not a signature of Cloud KMS"))
  if (signed.name !== nameOf(key, version)) {
    return Effect.fail(invalidResponse("another version than the one asked for has signed"))
  }
  if (!signed.isIntact) return Effect.fail(GcpKmsError.corrupted)
  const bytes = canonical(signed.signature)
  return bytes === undefined
    ? Effect.fail(invalidResponse("the signature is not in the form of its algorithm"))
    : Effect.succeed({ bytes, keyVersion: keyVersionOf(version) })
}

/** Over anything that answers. */
const makeWith = Effect.fnUntraced(function* (
  options: Options,
  target: Target,
  transport: GcpKmsApi.Transport,
  isReadLater: boolean
): Effect.fn.Return<Service, SignerError> {
  const keyId = KeyId.make(target.key)
  const at = <A>(
    operation: ErrorContext["operation"],
    effect: Effect.Effect<A, Problem>
  ): Effect.Effect<A, SignerError> => Effect.mapError(effect, (problem) => problem({ backend, keyId, operation }))

  const newestOrStated = target.version === undefined ? newest(transport, target.key) : Effect.succeed(target.version)
  // Single flight. What was read once is what is signed with, for ever.
  const pinned = yield* Effect.cachedWithTTL(
    Effect.flatMap(newestOrStated, (version) => readVersion(transport, target, version, options.algorithm)),
    (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.zero)
  )
  const known =
    options.lazy === true
      ? undefined
      : yield* at(
          "make",
          Effect.flatMap(pinned, (info) => checkAlgorithm(options.algorithm, info))
        )
  const algorithm = known?.algorithm ?? options.algorithm!
  const { hash } = SignatureAlgorithm.facts[algorithm]
  const isLimited = hash === undefined && known?.isMu !== true

  const signWith = (version: string, encode: Encode, canonical: KeyInfo["canonicalOf"]): Signer.Backend["sign"] => {
    const name = nameOf(target.key, version)
    return (bytes) => {
      const input = encode(bytes)
      return at(
        "sign",
        Effect.flatMap(transport.asymmetricSign(name, input), (answer) =>
          signatureIn(answer, input, target.key, version, canonical)
        )
      )
    }
  }
  const signBy = (info: KeyInfo) => signWith(info.version, info.encode, info.canonicalOf)

  const sign: Signer.Backend["sign"] =
    known !== undefined
      ? signBy(known)
      : target.version !== undefined && !isMlDsa(algorithm)
        ? signWith(target.version, inputOf(algorithm), canonicalOf(algorithm, undefined))
        : // which version, or what kind of ML-DSA, the key must say first
          (bytes) =>
            Effect.flatMap(
              at(
                "sign",
                Effect.flatMap(pinned, (info) => checkAlgorithm(algorithm, info))
              ),
              (info) => signBy(info)(bytes)
            )

  return yield* Signer.make(
    {
      name: backend,
      keyId,
      algorithm,
      input: hash === undefined ? "message" : "digest",
      ...(isLimited ? { maxMessageLength: dataLimit, tooLargeAdvice } : {}),
      publicKey: (named) => {
        const number = named === undefined ? target.version : numberIn(named)
        if (named !== undefined && number === undefined) {
          return Effect.fail(KeyNotFound.version({ backend, keyId, operation: "publicKey" }, named))
        }
        const info =
          number === target.version
            ? pinned
            : Effect.filterOrElse(
                pinned,
                (info) => info.version === number,
                () => readVersion(transport, target, number!, algorithm)
              )
        return at(
          "publicKey",
          Effect.map(
            Effect.flatMap(info, (info) => checkAlgorithm(algorithm, info)),
            ({ publicKey }) => publicKey
          )
        )
      },
      sign
    },
    { ...options, lazy: isReadLater }
  )
})

const connected = Effect.fnUntraced(function* (
  options: Options,
  isReadLater: boolean
): Effect.fn.Return<Service, SignerError, Scope.Scope> {
  const target = targetOf(options)
  const making: ErrorContext = { backend, keyId: namedBy(options), operation: "make" }
  if (Result.isFailure(target)) {
    const [field, problem] = target.failure
    return yield* new InvalidConfiguration({ ...making, field, problem })
  }
  const { algorithm, credentials } = options
  if (algorithm !== undefined && !supported.includes(algorithm)) {
    return yield* new UnsupportedAlgorithm({
      ...making,
      algorithm,
      problem: `Cloud KMS does not have it; it has ${supported.join(", ")}`
    })
  }
  const connection = { endpoint: target.success.endpoint, credentials }
  const transport = yield* Effect.mapError(
    options.transport === "grpc"
      ? GcpKmsGrpc.make({
          ...connection,
          client: options.client,
          requestTimeout: Duration.fromInputUnsafe(options.requestTimeout ?? "10 seconds")
        })
      : GcpKmsRest.make({ ...connection, tokens: options.tokens, httpClient: options.httpClient }),
    (problem) => problem(making)
  )
  return yield* makeWith(options, target.success, transport, isReadLater)
})

/**
 * A Signer with a key of Cloud KMS, without retries and without verification.
 *
 * **Details**
 *
 * Reads the public key before it returns, unless `lazy`: a wrong name, algorithm or
 * permission, and a version that is not enabled, fail here. With `lazy` the version, if
 * none is stated, is that of the first use. The id of the Signer is the name of the key,
 * and each signature names its version, as `cryptoKeyVersions/3`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Service, SignerError, Scope.Scope> =>
  connected(options, options.lazy === true)

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides a `Signer` with a key of Cloud KMS: one request per signature, no retry,
 * nothing verified or observed. Decorate it yourself.
 *
 * @see {@link layer}
 * @category layers
 * @since 0.1.0
 */
export const layerBare = (options: Options): Layer.Layer<Signer.Signer, SignerError> =>
  Layer.effect(Signer.Signer, make(options))

/**
 * Provides a `Signer` with a key of Cloud KMS: resilient, verified and observed.
 *
 * **Details**
 *
 * 10 s per attempt, three more attempts after `Retryable`, each signature verified
 * here before it is returned. The public key is read while the layer is built, so a
 * wrong key, algorithm, credential or role fails there.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: LayerOptions): Layer.Layer<Signer.Signer, SignerError> => {
  const timeout = Duration.fromInputUnsafe(options.resilience?.timeout ?? "10 seconds")
  return layerRemote(
    { backend, keyId: namedBy(options) },
    connected(
      options.transport === "grpc"
        ? { ...options, requestTimeout: options.requestTimeout ?? Duration.sum(timeout, Duration.seconds(1)) }
        : options,
      true
    ),
    options
  )
}

// ---------------------------------------------------------------------------
// config
// ---------------------------------------------------------------------------

/**
 * What {@link layerConfig} reads.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigOptions extends CredentialOptions {
  readonly key: string
  readonly version?: string | undefined
  readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm | undefined
  readonly transport?: "rest" | "grpc" | undefined
  readonly endpoint?: string | undefined
  readonly purpose?: string | undefined
}

const optional = <A>(config: Config.Config<A>) => Config.map(Config.option(config), Option.getOrUndefined)

/** A whole name, or the parts of one. */
const keyInParts = Config.all({
  project: Config.NonEmptyString("A1_GCP_PROJECT"),
  location: Config.NonEmptyString("A1_GCP_LOCATION").pipe(Config.withDefault("global")),
  ring: Config.NonEmptyString("A1_GCP_KEY_RING"),
  key: Config.NonEmptyString("A1_GCP_KEY")
}).pipe(
  Config.map(
    ({ key, location, project, ring }) => `projects/${project}/locations/${location}/keyRings/${ring}/cryptoKeys/${key}`
  )
)

/**
 * What can be set instead of a variable that is missing.
 *
 * @internal
 */
export const alternatives = { A1_GCP_PROJECT: ["GCP_KMS_KEY_VERSION"] }

/**
 * The options in the environment.
 *
 * **Details**
 *
 * | variable | option |
 * | --- | --- |
 * | `GCP_KMS_KEY_VERSION` | `key`: the name of a version or of a key |
 * | else `A1_GCP_PROJECT` `A1_GCP_LOCATION` `A1_GCP_KEY_RING` `A1_GCP_KEY` | `key` in parts; the location is `global` where it is absent |
 * | `A1_GCP_KEY_VERSION` | `version`; optional |
 * | `A1_GCP_ALGORITHM` | `algorithm`; optional |
 * | `A1_GCP_TRANSPORT` | `transport`; optional |
 * | `GCP_SA_JSON` | `credentials`; optional: absent, Application Default Credentials |
 *
 * `google-auth-library` reads more of the environment of the process by itself:
 * `GOOGLE_APPLICATION_CREDENTIALS` above all.
 *
 * @category config
 * @since 0.1.0
 */
export const environment: Config.Config<ConfigOptions> = Config.all({
  key: Config.orElse(Config.NonEmptyString("GCP_KMS_KEY_VERSION"), () => keyInParts),
  version: optional(Config.NonEmptyString("A1_GCP_KEY_VERSION")),
  algorithm: optional(Config.schema(SignatureAlgorithm.SignatureAlgorithm, "A1_GCP_ALGORITHM")),
  transport: optional(Config.schema(Schema.Literals(["rest", "grpc"]), "A1_GCP_TRANSPORT")),
  credentials: optional(Config.Redacted("GCP_SA_JSON"))
})

/**
 * Provides a `Signer` with a key that `Config` names, as {@link layer} does.
 * Without an argument it reads the {@link environment}.
 *
 * **Example** (A key from the environment)
 *
 * ```ts
 * import { Config } from "effect"
 * import * as GcpKmsSigner from "effect-signer/GcpKmsSigner"
 *
 * const SignerLive = GcpKmsSigner.layerConfig({
 *   key: Config.String("RELEASE_KEY"),
 *   version: Config.String("RELEASE_KEY_VERSION")
 * })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<ConfigOptions> = environment
): Layer.Layer<Signer.Signer, SignerError | Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), (options) => layer(options as LayerOptions)))
