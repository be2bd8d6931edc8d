/**
 * A Signer over the transit engine, whoever sends its requests: what each
 * algorithm is asked for with, and what the answers hold.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Hex from "effect/encoding/Hex"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { primitives } from "#primitives"
import { fromBase64, fromBase64Url } from "../../schemas/BaseEncoding.ts"
import * as KeyId from "../../schemas/KeyId.ts"
import * as KeyVersion from "../../schemas/KeyVersion.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import * as SignatureAlgorithm from "../../schemas/SignatureAlgorithm.ts"
import type { ErrorContext, SignerError } from "../../schemas/SignerError.ts"
import {
  InvalidConfiguration,
  KeyNotFound,
  KeyNotSigner,
  KeyUnavailable,
  UnsupportedAlgorithm
} from "../../schemas/SignerError.ts"
import type { Service } from "../../services/Signer.ts"
import * as Signer from "../../services/Signer.ts"
import * as AlgorithmChoice from "../remote/AlgorithmChoice.ts"
import { invalidResponse } from "../remote/Outcome.ts"
import type { Problem } from "../remote/Outcome.ts"
import * as VaultClient from "./VaultClient.ts"
import type { Answer, Call, Send } from "./VaultClient.ts"
import { encodePath } from "./VaultToken.ts"

export const backend = "vault"

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

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

/** What is wrong with an option. */
export type Mistake = readonly [field: string, problem: string]

/** The first thing that is wrong with the key. */
export const keyMistake = (options: KeyOptions): Mistake | undefined => {
  const { algorithm, context, key, lazy, maxMessageLength, mount } = options
  if (typeof key !== "string" || key.includes("/") || encodePath(key) === undefined) {
    return ["key", "must be the name of a key: not empty, without slashes, . and .."]
  }
  if (mount !== undefined && encodePath(mount) === undefined) {
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
    ? Result.fail(invalidResponse("the signature is not in the form vault:v<version>:<bytes>"))
    : keyVersion !== undefined && keyVersion !== Number(match![1])
      ? Result.fail(invalidResponse("two key versions are said to have signed"))
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
  if (decoded === undefined) return Effect.fail(invalidResponse("the answer is not a transit key of Vault"))
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
  if (!Object.hasOwn(info.versions, version))
    return Effect.fail((context: ErrorContext) => KeyNotFound.version(context, version))
  const text = Result.getOrUndefined(decodeVersion(info.versions[version]))?.public_key
  if (text === undefined) {
    return Effect.fail(invalidResponse(`version ${version} has no public key: is the key external or managed?`))
  }
  const malformed = invalidResponse(`the public key of version ${version} is malformed`)
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

const chooseAlgorithm = (asked: SignatureAlgorithm.SignatureAlgorithm | undefined, { type }: KeyInfo) =>
  AlgorithmChoice.choose(asked, SignatureAlgorithm.forKeyType(keyTypes[type]!), type)

/** How a Signer names the key: its path, and of a derived key the fingerprint of its context. */
export const keyIdOf = ({ context, key, mount }: KeyOptions, namespace: string | undefined): KeyId.KeyId => {
  const path = [namespace, mount ?? "transit", "keys", key]
    .filter((part) => part !== undefined && part !== "")
    .map((part) => part!.replace(/^\/+|\/+$/g, ""))
    .join("/")
  return KeyId.make(
    context === undefined ? path : `${path}#${Hex.encode(primitives.digest("SHA-256", context).subarray(0, 8))}`
  )
}

/** Over anything that can send. With `isReadLater` the Signer that is made has not read its public key. */
export const make = Effect.fnUntraced(function* (
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

  const mount = encodePath(options.mount ?? "transit")!
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
        ? Effect.fail(invalidResponse("the answer is not a signature of Vault"))
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
              : invalidResponse(`the answer is not one to a batch of ${inputs.length}`)
          return Effect.succeed(inputs.map(() => failed(problem)))
        }
        return Effect.succeed(
          results.map(({ error, key_version, signature }): Outcome =>
            signature === undefined || signature === ""
              ? failed(VaultClient.itemRefusal(error, call))
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
            : Effect.fail(KeyNotFound.version({ backend, keyId, operation: "publicKey" }, version))
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
