import { KMSClient } from "@aws-sdk/client-kms"
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Duration, Effect, Exit, Fiber, Layer, Redacted, Schema, Scope } from "effect"
import { readFileSync } from "node:fs"
import { PublicKey, SignatureAlgorithm, Signer, SignerError, Verifier } from "../../src/index.ts"
import { classify } from "../../src/layers/aws/AwsKmsError.ts"
import * as AwsKmsSigner from "../../src/layers/AwsKmsSigner.ts"
import { Conformance } from "../../src/testing.ts"
import * as AwsKmsEmulator from "../../src/testing/AwsKmsEmulator.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { atOnce, build, faults, inputsOf, isValid, message, tagOf } from "./support/cloudBackend.ts"

const { Fault } = AwsKmsEmulator

type Kms = AwsKmsEmulator.AwsKmsEmulator["Service"]

const specs: ReadonlyArray<readonly [SignatureAlgorithm.SignatureAlgorithm, AwsKmsEmulator.KeySpec]> = [
  ["Ed25519", "ECC_NIST_EDWARDS25519"],
  ["ES256", "ECC_NIST_P256"],
  ["ES384", "ECC_NIST_P384"],
  ["ES512", "ECC_NIST_P521"],
  ["ES256K", "ECC_SECG_P256K1"],
  ["PS256", "RSA_2048"],
  ["PS384", "RSA_2048"],
  ["PS512", "RSA_2048"],
  ["RS256", "RSA_2048"],
  ["RS384", "RSA_2048"],
  ["RS512", "RSA_2048"],
  ["ML-DSA-44", "ML_DSA_44"],
  ["ML-DSA-65", "ML_DSA_65"],
  ["ML-DSA-87", "ML_DSA_87"]
]

/** An emulator with one Ed25519 key behind `alias/release`. */
const withKey = Effect.gen(function* () {
  const kms = yield* AwsKmsEmulator.make()
  const key = yield* kms.createKey("ECC_NIST_EDWARDS25519", { alias: "alias/release" })
  return { kms, key, options: { ...kms.connection, keyId: key.arn } }
})

// ---------------------------------------------------------------------------
// the kit
// ---------------------------------------------------------------------------

const canaries = {
  accessKeyId: "AKIACANARY0123456789",
  secretAccessKey: "canary-secret-access-key-0123456789abcdef",
  sessionToken: "canary-session-token-0123456789abcdef"
}

const canaryCredentials = {
  accessKeyId: canaries.accessKeyId,
  secretAccessKey: Redacted.make(canaries.secretAccessKey),
  sessionToken: Redacted.make(canaries.sessionToken)
}

/** One emulator for all cases of an algorithm, made when the first of them runs. */
const kitOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm, spec: AwsKmsEmulator.KeySpec) => {
  const made = Effect.gen(function* () {
    const kms = yield* Scope.provide(AwsKmsEmulator.make(), Scope.makeUnsafe())
    const privateKey = spec === "RSA_2048" ? yield* TestKey.make(algorithm) : undefined
    const key = yield* kms.createKey(spec, { alias: "alias/kit", privateKey })
    const symmetric = yield* kms.createKey("SYMMETRIC_DEFAULT")
    return { kms, key, symmetric }
  })
  const once = Effect.runSync(Effect.cached(made))
  const layerOf = (
    f: (kit: Effect.Success<typeof made>) => Partial<AwsKmsSigner.LayerOptions>
  ): Layer.Layer<Signer.Signer, SignerError.SignerError> =>
    Layer.unwrap(
      Effect.map(once, (kit) =>
        AwsKmsSigner.layer({
          ...kit.kms.connection,
          credentials: canaryCredentials,
          keyId: "alias/kit",
          algorithm,
          resilience: atOnce,
          ...f(kit)
        })
      )
    )
  return {
    layer: layerOf(() => ({})),
    faulty: [
      layerOf(() => ({ keyId: "alias/none" })),
      layerOf(({ symmetric }) => ({ keyId: symmetric.arn })),
      layerOf(() => ({ algorithm: algorithm === "ES256" ? "Ed25519" : "ES256" })),
      layerOf(() => ({ endpoint: "http://127.0.0.1:1", resilience: { times: 0 } })),
      layerOf(({ kms }) => ({ endpoint: kms.url.replace("http:", "https:"), resilience: { times: 0 } }))
    ],
    lazy: layerOf(() => ({ lazy: true })),
    bare: Layer.unwrap(
      Effect.map(once, ({ key, kms }) => AwsKmsSigner.layerBare({ ...kms.connection, keyId: key.keyId, algorithm }))
    ),
    publicKeyReads: Effect.orDie(Effect.flatMap(once, ({ kms }) => kms.recorder.count("GetPublicKey")))
  }
}

for (const [algorithm, spec] of specs) {
  const { bare, faulty, layer, lazy, publicKeyReads } = kitOf(algorithm, spec)
  const options = { publicKeyReads, ...(algorithm === "Ed25519" ? { maxMessageLength: 4096 } : {}) }
  Conformance.suite(it, `kit/aws/emulator/${algorithm}`, layer, {
    ...options,
    secrets: Object.values(canaries),
    faulty
  })
  if (algorithm === "Ed25519" || algorithm === "ES256") {
    Conformance.suite(it, `kit/aws/emulator/${algorithm}/lazy`, lazy, options)
    Conformance.suite(it, `kit/aws/emulator/${algorithm}/bare`, bare, options)
  }
}

// ---------------------------------------------------------------------------
// what is sent
// ---------------------------------------------------------------------------

const signInputs = (kms: Kms) =>
  inputsOf<{ readonly KeyId: string; readonly Message: string; readonly MessageType: string }>(kms.recorder, "Sign")

describe("requests", () => {
  it.effect.each([
    { algorithm: "Ed25519", spec: "ECC_NIST_EDWARDS25519", length: 4096, type: "RAW", sent: 4096 },
    { algorithm: "ES256", spec: "ECC_NIST_P256", length: 10, type: "DIGEST", sent: 32 },
    { algorithm: "ES384", spec: "ECC_NIST_P384", length: 10, type: "DIGEST", sent: 48 },
    { algorithm: "ES512", spec: "ECC_NIST_P521", length: 100_000, type: "DIGEST", sent: 64 },
    { algorithm: "ML-DSA-44", spec: "ML_DSA_44", length: 4096, type: "RAW", sent: 4096 },
    { algorithm: "ML-DSA-44", spec: "ML_DSA_44", length: 4097, type: "EXTERNAL_MU", sent: 64 }
  ] as const)("$algorithm sends $type for $length bytes", ({ length, sent, spec, type }) =>
    Effect.gen(function* () {
      const kms = yield* AwsKmsEmulator.make()
      const key = yield* kms.createKey(spec)
      const signer = yield* build(AwsKmsSigner.layer({ ...kms.connection, keyId: key.keyId }))
      const input = new Uint8Array(length).fill(7)
      assert.isTrue(yield* isValid(signer, input, yield* signer.sign(input)))
      const [request] = yield* signInputs(kms)
      assert.strictEqual(request!.MessageType, type)
      assert.strictEqual(Buffer.from(request!.Message, "base64").length, sent)
      assert.strictEqual(request!.KeyId, key.arn)
    })
  )

  it.effect("nothing is sent for an Ed25519 message that is too large, and the error says what to do", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey
      const signer = yield* build(AwsKmsSigner.layer(options))
      const error = yield* Effect.flip(signer.sign(new Uint8Array(4097)))
      assert.strictEqual(error._tag, "MessageTooLarge")
      assert.include(error.message, "ECDSA")
      assert.strictEqual(yield* kms.recorder.count("Sign"), 0)
    })
  )

  it.effect("the public key is read once while the layer is built", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey
      const signer = yield* build(AwsKmsSigner.layer(options))
      assert.strictEqual(yield* kms.recorder.count("GetPublicKey"), 1)
      yield* signer.publicKey()
      yield* signer.sign(message)
      assert.strictEqual(yield* kms.recorder.count("GetPublicKey"), 1)
    })
  )
})

// ---------------------------------------------------------------------------
// which key
// ---------------------------------------------------------------------------

describe("keyId", () => {
  it.effect("an id, an ARN, an alias and an alias ARN become the ARN", () =>
    Effect.gen(function* () {
      const { key, options } = yield* withKey
      const aliasArn = key.arn.replace(/key\/.*/, "alias/release")
      for (const keyId of [key.keyId, key.arn, "alias/release", aliasArn]) {
        const signer = yield* build(AwsKmsSigner.layer({ ...options, keyId }))
        assert.strictEqual(signer.keyId, key.arn)
        const signature = yield* signer.sign(message)
        assert.strictEqual(signature.keyId, key.arn)
        assert.isUndefined(signature.keyVersion)
      }
    })
  )

  it.effect("the region is the one of the ARN", () =>
    Effect.gen(function* () {
      const kms = yield* AwsKmsEmulator.make({ region: "ap-south-2" })
      const key = yield* kms.createKey("ECC_NIST_P256")
      const { credentials, endpoint } = kms.connection
      const signer = yield* build(AwsKmsSigner.layer({ endpoint, credentials, keyId: key.arn }))
      yield* signer.sign(message)
    })
  )

  it.effect("an alias that moves does not move the Signer", () =>
    Effect.gen(function* () {
      const { key, kms, options } = yield* withKey
      const signer = yield* build(AwsKmsSigner.layer({ ...options, keyId: "alias/release" }))
      const first = yield* signer.sign(message)
      yield* kms.setAlias("alias/release", yield* kms.createKey("ECC_NIST_EDWARDS25519"))
      const second = yield* signer.sign(message)
      assert.strictEqual(second.keyId, key.arn)
      assert.isTrue(yield* isValid(signer, message, first))
      assert.isTrue(yield* Verifier.verify(key.publicKey!, message, second.bytes))
      const later = yield* build(AwsKmsSigner.layer({ ...options, keyId: "alias/release" }))
      assert.notStrictEqual(later.keyId, key.arn)
    })
  )

  it.effect("a lazy Signer is pinned at its first use, and each signature names the key", () =>
    Effect.gen(function* () {
      const { key, kms, options } = yield* withKey
      const layer = AwsKmsSigner.layer({ ...options, keyId: "alias/release", algorithm: "Ed25519", lazy: true })
      const signer = yield* build(layer)
      assert.strictEqual(yield* kms.recorder.count(), 0)
      const first = yield* signer.sign(message)
      assert.strictEqual(first.keyId, "alias/release")
      assert.strictEqual(first.keyVersion, key.arn)
      yield* kms.setAlias("alias/release", yield* kms.createKey("ECC_NIST_EDWARDS25519"))
      const second = yield* signer.sign(message)
      assert.strictEqual(second.keyVersion, key.arn)
      assert.isTrue(yield* isValid(signer, message, second))
      assert.isTrue(PublicKey.sameKey(yield* signer.publicKey(), key.publicKey!))
    })
  )

  it.effect.each([{ fault: Fault.wrongName }, { fault: Fault.anotherKey }])(
    "GetPublicKey with $fault._tag fails while the layer is built",
    ({ fault }) =>
      Effect.gen(function* () {
        const { key, kms, options } = yield* withKey
        yield* kms.getPublicKey.push(fault)
        const layer = AwsKmsSigner.layer({ ...options, expectedPublicKey: key.publicKey })
        assert.strictEqual((yield* Effect.flip(build(layer)))._tag, "InvalidResponse")
      })
  )

  it.effect("another public key than the expected one signs nothing, also when lazy and bare", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey
      const { publicKey } = yield* kms.createKey("ECC_NIST_EDWARDS25519")
      const expecting = { ...options, expectedPublicKey: publicKey, algorithm: "Ed25519" } as const
      assert.strictEqual((yield* Effect.flip(build(AwsKmsSigner.layer(expecting))))._tag, "InvalidResponse")
      const lazy = yield* build(AwsKmsSigner.layerBare({ ...expecting, lazy: true }))
      assert.strictEqual((yield* Effect.flip(lazy.sign(message)))._tag, "InvalidResponse")
      assert.strictEqual(yield* kms.recorder.count("Sign"), 0)
    })
  )
})

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

describe("options", () => {
  it.effect("the algorithm is the one that the key can do", () =>
    Effect.gen(function* () {
      const kms = yield* AwsKmsEmulator.make()
      for (const [algorithm, spec] of specs.filter(([, spec]) => spec !== "RSA_2048")) {
        const key = yield* kms.createKey(spec)
        const signer = yield* build(AwsKmsSigner.layer({ ...kms.connection, keyId: key.arn }))
        assert.strictEqual(signer.algorithm, algorithm)
      }
    })
  )

  it.effect.each([
    { spec: "RSA_2048", algorithm: undefined, problem: "PS256, PS384, PS512, RS256, RS384, RS512" },
    { spec: "ECC_NIST_P256", algorithm: "ES384", problem: "it can do ES256" },
    { spec: "ECC_SECG_P256K1", algorithm: "ES256", problem: "it can do ES256K" },
    { spec: "ECC_NIST_EDWARDS25519", algorithm: "PS256", problem: "it can do Ed25519" }
  ] as const)("$algorithm for $spec is InvalidConfiguration", ({ algorithm, problem, spec }) =>
    Effect.gen(function* () {
      const kms = yield* AwsKmsEmulator.make()
      const privateKey = spec === "RSA_2048" ? yield* TestKey.make("PS256") : undefined
      const key = yield* kms.createKey(spec, { privateKey })
      const error = yield* Effect.flip(build(AwsKmsSigner.layer({ ...kms.connection, keyId: key.arn, algorithm })))
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.include(error.message, problem)
    })
  )

  it.effect("BIP340 is UnsupportedAlgorithm, and nothing is asked", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey
      const error = yield* Effect.flip(build(AwsKmsSigner.layer({ ...options, algorithm: "BIP340" })))
      assert.strictEqual(error._tag, "UnsupportedAlgorithm")
      assert.strictEqual(yield* kms.recorder.count(), 0)
    })
  )

  it.effect("a key that does not sign is KeyNotSigner, a symmetric one is InvalidConfiguration", () =>
    Effect.gen(function* () {
      const kms = yield* AwsKmsEmulator.make()
      const privateKey = yield* TestKey.make("PS256")
      const encrypting = yield* kms.createKey("RSA_2048", { privateKey, keyUsage: "ENCRYPT_DECRYPT" })
      const symmetric = yield* kms.createKey("SYMMETRIC_DEFAULT")
      const tag = (keyId: string) =>
        Effect.map(Effect.flip(build(AwsKmsSigner.layer({ ...kms.connection, keyId, algorithm: "PS256" }))), tagOf)
      assert.strictEqual(yield* tag(encrypting.arn), "KeyNotSigner")
      assert.strictEqual(yield* tag(symmetric.arn), "InvalidConfiguration")
    })
  )

  const keyArn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  const client = { send: () => Promise.reject(new Error("never called")) }

  it.effect.each([
    { options: { keyId: "" }, field: "keyId" },
    { options: { keyId: "two words" }, field: "keyId" },
    { options: { keyId: "arn:aws:s3:::bucket" }, field: "keyId" },
    { options: { keyId: keyArn, lazy: true }, field: "algorithm" },
    { options: { keyId: keyArn, region: "us-east-1" }, field: "region" },
    { options: { keyId: "alias/a", region: "us-east-1", endpoint: "localhost:4566" }, field: "endpoint" },
    { options: { keyId: "alias/a", region: "us-east-1", concurrency: 0 }, field: "concurrency" },
    { options: { keyId: "alias/a", client, region: "us-east-1" }, field: "region" },
    { options: { keyId: "alias/a", client, requestTimeout: "1 second" }, field: "requestTimeout" }
  ] as ReadonlyArray<{ options: AwsKmsSigner.Options; field: string }>)(
    "$options is InvalidConfiguration of $field",
    ({ field, options }) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.scoped(AwsKmsSigner.make(options)))
        assert.isTrue(error._tag === "InvalidConfiguration" && error.field === field, error.message)
      })
  )

  it.effect("layerConfig reads what it is told, and the environment by default", () =>
    Effect.gen(function* () {
      const { key, kms } = yield* withKey
      const env = {
        A1_KMS_KEY_ID: "alias/release",
        A1_KMS_ALGORITHM: "Ed25519",
        AWS_DEFAULT_REGION: kms.connection.region,
        AWS_ENDPOINT_URL_KMS: kms.url,
        SECRET: canaries.secretAccessKey
      }
      const provided = Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
      const options = yield* provided(AwsKmsSigner.environment)
      assert.deepStrictEqual(options, {
        keyId: "alias/release",
        algorithm: "Ed25519",
        region: kms.connection.region,
        profile: undefined,
        endpoint: kms.url
      })
      const told = AwsKmsSigner.layerConfig({
        keyId: Config.String("A1_KMS_KEY_ID"),
        region: Config.String("AWS_DEFAULT_REGION"),
        endpoint: Config.String("AWS_ENDPOINT_URL_KMS"),
        credentials: { accessKeyId: Config.succeed("AKID"), secretAccessKey: Config.Redacted("SECRET") }
      })
      const signer = yield* provided(build(told))
      assert.strictEqual(signer.keyId, key.arn)
      const missing = AwsKmsSigner.layerConfig({ keyId: Config.String("NOT_THERE") })
      assert.strictEqual((yield* Effect.flip(provided(build(missing))))._tag, "ConfigError")
    })
  )

  it.effect("purpose is that of the Signer", () =>
    Effect.gen(function* () {
      const { options } = yield* withKey
      assert.strictEqual((yield* build(AwsKmsSigner.layer({ ...options, purpose: "releases" }))).purpose, "releases")
    })
  )
})

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/** Every error that the API documents for the two operations and for all, with its status, and what it becomes. */
const documented: ReadonlyArray<readonly [code: string, status: number, tag: string]> = [
  // https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html, API_GetPublicKey.html
  ["DependencyTimeoutException", 503, "Retryable/BackendUnavailable"],
  ["DisabledException", 400, "KeyUnavailable"],
  ["DryRunOperationException", 412, "InvalidConfiguration"],
  ["InvalidArnException", 400, "InvalidConfiguration"],
  ["InvalidGrantTokenException", 400, "PermissionDenied"],
  ["InvalidKeyUsageException", 400, "KeyNotSigner"],
  ["KeyUnavailableException", 500, "Retryable/BackendUnavailable"],
  ["KMSInternalException", 500, "Retryable/BackendUnavailable"],
  ["KMSInvalidStateException", 400, "KeyUnavailable"],
  ["NotFoundException", 400, "KeyNotFound"],
  ["UnsupportedOperationException", 400, "InvalidConfiguration"],
  // https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html, older and newer editions
  ["AccessDeniedException", 400, "PermissionDenied"],
  ["ExpiredTokenException", 400, "AuthenticationFailed"],
  ["IncompleteSignature", 400, "AuthenticationFailed"],
  ["IncompleteSignatureException", 400, "AuthenticationFailed"],
  ["InternalFailure", 500, "Retryable/BackendUnavailable"],
  ["InvalidAction", 400, "InvalidConfiguration"],
  ["InvalidClientTokenId", 403, "AuthenticationFailed"],
  ["InvalidParameterCombination", 400, "InvalidConfiguration"],
  ["InvalidParameterValue", 400, "InvalidConfiguration"],
  ["InvalidQueryParameter", 400, "InvalidConfiguration"],
  ["InvalidSignatureException", 400, "AuthenticationFailed"],
  ["MalformedHttpRequestException", 400, "InvalidConfiguration"],
  ["MalformedQueryString", 404, "InvalidConfiguration"],
  ["MissingAction", 400, "InvalidConfiguration"],
  ["MissingAuthenticationToken", 403, "AuthenticationFailed"],
  ["MissingAuthenticationTokenException", 400, "AuthenticationFailed"],
  ["MissingParameter", 400, "InvalidConfiguration"],
  ["NotAuthorized", 401, "PermissionDenied"],
  ["OptInRequired", 403, "PermissionDenied"],
  ["RequestAbortedException", 400, "Retryable/BackendUnavailable"],
  ["RequestEntityTooLargeException", 413, "InvalidConfiguration"],
  ["RequestExpired", 400, "AuthenticationFailed"],
  ["RequestTimeoutException", 408, "Retryable/BackendUnavailable"],
  ["SerializationException", 400, "InvalidConfiguration"],
  ["ServiceUnavailable", 503, "Retryable/BackendUnavailable"],
  ["ThrottlingException", 400, "Retryable/RateLimited"],
  ["UnknownOperationException", 404, "InvalidConfiguration"],
  ["UnrecognizedClientException", 400, "AuthenticationFailed"],
  ["ValidationError", 400, "InvalidConfiguration"],
  ["ValidationException", 400, "InvalidConfiguration"],
  // not documented for KMS
  ["SomethingNewException", 400, "UnknownBackendError"],
  ["SomethingNewException", 500, "Retryable/BackendUnavailable"],
  ["SomethingNewException", 429, "Retryable/RateLimited"]
]

describe("errors", () => {
  it.effect.each(documented)("%s with status %i is %s", ([code, status, tag]) =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey
      const text = "arn:aws:iam::111122223333:user/canary is in this text"
      yield* kms.sign.push(Fault.vendorError(code, status, text))
      const signer = yield* build(AwsKmsSigner.layerBare(options))
      const error = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(tagOf(error), tag)
      assert.strictEqual(error.operation, "sign")
      const { cause } = error
      assert.isTrue(cause instanceof SignerError.VendorError && cause.vendorName === code && cause.status === status)
      assert.match((cause as SignerError.VendorError).requestId!, /^[0-9a-f-]{36}$/)
      assert.notInclude(Canary.show(error), "canary")
      // and while the layer is built
      yield* kms.getPublicKey.push(Fault.vendorError(code, status, text))
      const atBuild = yield* Effect.flip(build(AwsKmsSigner.layerBare(options)))
      assert.strictEqual(tagOf(atBuild), tag)
      assert.strictEqual(atBuild.operation, "publicKey")
    })
  )

  it("every error that the SDK documents for Sign and GetPublicKey is in the table", () => {
    for (const command of ["Sign", "GetPublicKey"]) {
      const url = new URL(
        `../../node_modules/@aws-sdk/client-kms/dist-types/commands/${command}Command.d.ts`,
        import.meta.url
      )
      const names = [...readFileSync(url, "utf8").matchAll(/@throws \{@link (\w+)\}/g)].map((match) => match[1]!)
      assert.isAbove(names.length, 8)
      for (const name of names.filter((name) => name !== "KMSServiceException")) {
        assert.isTrue(
          documented.some(([code, , tag]) => code === name && tag !== "UnknownBackendError"),
          name
        )
      }
    }
  })

  const context = { backend: "aws-kms", keyId: "k", operation: "sign" } as const
  const codes = ["ECONNRESET", "ECONNREFUSED", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH"]

  it.effect.each([
    ...codes.map((code) => ({ thrown: { name: "Error", code }, tag: "Retryable/BackendUnavailable" })),
    { thrown: { name: "AggregateError", code: "ECONNREFUSED" }, tag: "Retryable/BackendUnavailable" },
    { thrown: { name: "TimeoutError" }, tag: "Retryable/BackendUnavailable" },
    { thrown: { name: "AbortError" }, tag: "Retryable/BackendUnavailable" },
    { thrown: { name: "CredentialsProviderError" }, tag: "AuthenticationFailed" },
    { thrown: { name: "TokenProviderError" }, tag: "AuthenticationFailed" },
    { thrown: { name: "Error", code: "DEPTH_ZERO_SELF_SIGNED_CERT" }, tag: "InvalidConfiguration" },
    {
      thrown: { name: "InvalidSignatureException", $metadata: { httpStatusCode: 400, clockSkewCorrected: true } },
      tag: "Retryable/BackendUnavailable"
    },
    { thrown: { name: "SyntaxError", $metadata: { httpStatusCode: 502 } }, tag: "Retryable/BackendUnavailable" },
    { thrown: { name: "SyntaxError", $metadata: { httpStatusCode: 200 } }, tag: "InvalidResponse" },
    { thrown: { name: "Unknown", $metadata: { httpStatusCode: 307 } }, tag: "InvalidConfiguration" },
    { thrown: { name: "toString" }, tag: "UnknownBackendError" },
    { thrown: "a string", tag: "UnknownBackendError" },
    { thrown: undefined, tag: "UnknownBackendError" }
  ])("$thrown is $tag", ({ tag, thrown }) =>
    Effect.sync(() => assert.strictEqual(tagOf(classify(context, thrown, 0)), tag))
  )

  it.effect("what could carry text of the server is left out", () =>
    Effect.gen(function* () {
      const error = classify(
        context,
        {
          name: "User: canary is not authorized",
          code: "canary code",
          message: "canary",
          stack: "canary",
          $metadata: { httpStatusCode: 400, requestId: "canary request" },
          $response: { headers: { authorization: "canary" } }
        },
        0
      )
      assert.strictEqual(error._tag, "UnknownBackendError")
      assert.notInclude(Canary.show(error), "canary")
      const json = yield* Schema.encodeEffect(Schema.toCodecJson(SignerError.SignerError))(error)
      assert.notInclude(JSON.stringify(json), "canary")
    })
  )

  it.effect.each([
    { state: "Disabled", says: "disabled" },
    { state: "PendingDeletion", says: "pending deletion" },
    { state: "PendingImport", says: "pending import" },
    { state: "Unavailable", says: "unavailable" }
  ] as const)("a key that is $state is KeyUnavailable, $says", ({ says, state }) =>
    Effect.gen(function* () {
      const { key, kms, options } = yield* withKey
      const signer = yield* build(AwsKmsSigner.layer(options))
      yield* kms.setState(key, state)
      const error = yield* Effect.flip(signer.sign(message))
      assert.isTrue(error._tag === "KeyUnavailable" && error.state === says, error.message)
      assert.strictEqual((yield* Effect.flip(build(AwsKmsSigner.layer(options))))._tag, "KeyUnavailable")
    })
  )

  it.effect.each([
    { fault: Fault.throttle({ retryAfterSeconds: 7 }), tag: "Retryable/RateLimited" },
    { fault: Fault.htmlPage(503, { retryAfterSeconds: 7 }), tag: "Retryable/BackendUnavailable" }
  ])("Retry-After of $fault._tag is kept", ({ fault, tag }) =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey
      const signer = yield* build(AwsKmsSigner.layerBare(options))
      yield* kms.sign.push(fault)
      const error = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(tagOf(error), tag)
      assert.isTrue(
        error._tag === "Retryable" && "retryAfter" in error.reason && Duration.toSeconds(error.reason.retryAfter!) === 7
      )
    })
  )

  it.effect("permission and unknown keys fail while the layer is built", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey
      yield* kms.deny("GetPublicKey")
      const denied = yield* Effect.flip(build(AwsKmsSigner.layer(options)))
      assert.strictEqual(denied._tag, "PermissionDenied")
      assert.notInclude(Canary.show(denied), "AKIDEXAMPLE")
      yield* kms.allow("GetPublicKey")
      const unknown = yield* Effect.flip(build(AwsKmsSigner.layer({ ...options, keyId: "alias/none" })))
      assert.strictEqual(unknown._tag, "KeyNotFound")
      yield* kms.deny("Sign")
      const signer = yield* build(AwsKmsSigner.layer(options))
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "PermissionDenied")
    })
  )
})

// ---------------------------------------------------------------------------
// faults
// ---------------------------------------------------------------------------

describe("faults", () => {
  faults({
    kinds: ["ECC_NIST_EDWARDS25519", "ECC_SECG_P256K1"],
    sign: "Sign",
    subject: (kind) =>
      Effect.gen(function* () {
        const kms = yield* AwsKmsEmulator.make()
        const key = yield* kms.createKey(kind, { alias: "alias/release" })
        const options = { ...kms.connection, credentials: canaryCredentials, keyId: key.arn }
        return {
          server: kms,
          reads: { GetPublicKey: kms.getPublicKey },
          bare: AwsKmsSigner.layerBare({ ...options, keyId: "alias/release", requestTimeout: "150 millis" }),
          // no limit but ours closes the connection
          layer: (resilience) => AwsKmsSigner.layer({ ...options, resilience, requestTimeout: "1 hour" }),
          lazy: AwsKmsSigner.layerBare({ ...options, algorithm: "Ed25519", lazy: true })
        }
      }),
    outcomes: [
      ["Success", Fault.highS],
      ["Retryable/BackendUnavailable", Fault.vendorError("KMSInternalException", 500)],
      ["InvalidResponse", Fault.wrongName]
    ],
    unanswered: "Retryable/BackendUnavailable",
    readsFirst: true,
    misread: [Fault.wrongName, Fault.garbled],
    secrets: Object.values(canaries)
  })
})

// ---------------------------------------------------------------------------
// clients and credentials
// ---------------------------------------------------------------------------

describe("client", () => {
  const handedIn = (kms: Kms, options?: { readonly maxAttempts?: number }) => {
    const { credentials, endpoint, region } = kms.connection
    return new KMSClient({
      endpoint,
      region,
      credentials: { accessKeyId: credentials.accessKeyId, secretAccessKey: "secret" },
      ...options
    })
  }

  it.effect("a configured client is used, and left alone", () =>
    Effect.gen(function* () {
      const { key, kms } = yield* withKey
      const client = handedIn(kms)
      const signature = yield* Signer.sign(message).pipe(
        Effect.provide(AwsKmsSigner.layer({ client, keyId: "alias/release" }))
      )
      assert.isTrue(yield* Verifier.verify(key.publicKey!, message, signature.bytes))
      // after the layer is gone
      const again = yield* Signer.sign(message).pipe(Effect.provide(AwsKmsSigner.layer({ client, keyId: key.arn })))
      assert.strictEqual(again.keyId, key.arn)
    })
  )

  it.live("its own retries do not multiply with ours", () =>
    Effect.gen(function* () {
      const { kms } = yield* withKey
      const client = handedIn(kms, { maxAttempts: 5 })
      const signer = yield* build(
        AwsKmsSigner.layer({ client, keyId: "alias/release", resilience: { ...atOnce, times: 2 } })
      )
      for (const fault of [Fault.throttle(), Fault.htmlPage(503), Fault.reset]) {
        yield* kms.sign.always(fault)
        const before = yield* kms.recorder.count("Sign")
        assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "Retryable")
        assert.strictEqual((yield* kms.recorder.count("Sign")) - before, 3)
      }
    })
  )

  it.live("interruption closes its connection", () =>
    Effect.gen(function* () {
      const { kms } = yield* withKey
      const signer = yield* build(AwsKmsSigner.layer({ client: handedIn(kms), keyId: "alias/release" }))
      yield* kms.sign.push(Fault.hang)
      const call = yield* Effect.forkChild(signer.sign(message))
      yield* kms.recorder.waitFor((event) => event._tag === "Received" && event.operation === "Sign")
      yield* Fiber.interrupt(call)
      yield* kms.recorder.waitFor((event) => event._tag === "Abandoned")
      assert.strictEqual(yield* kms.recorder.count("Sign"), 1)
    })
  )

  it.live("as many requests are under way as concurrency allows", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey
      const underWay = (concurrency: number | undefined) =>
        Effect.scoped(
          Effect.gen(function* () {
            const signer = yield* build(AwsKmsSigner.layerBare({ ...options, concurrency }))
            yield* kms.recorder.clear
            yield* kms.sign.always(Fault.slow("300 millis"))
            yield* Effect.forEach(Array.from({ length: 100 }), () => signer.sign(message), { concurrency: "unbounded" })
            const events = (yield* kms.recorder.events).filter(({ operation }) => operation === "Sign")
            let now = 0
            return Math.max(...events.map(({ _tag }) => (_tag === "Received" ? ++now : --now)))
          })
        )
      assert.strictEqual(yield* underWay(undefined), 100)
      assert.strictEqual(yield* underWay(50), 50)
    })
  )

  it.effect("the client of a layer is destroyed with it", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey
      const scope = yield* Scope.make()
      const signer = yield* Scope.provide(AwsKmsSigner.make(options), scope)
      yield* kms.sign.push(Fault.hang)
      const call = yield* Effect.forkChild(Effect.flip(signer.sign(message)))
      yield* kms.recorder.waitFor((event) => event._tag === "Received" && event.operation === "Sign")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(tagOf(yield* Fiber.join(call)), "Retryable/BackendUnavailable")
    })
  )
})

describe("credentials", () => {
  /** A client whose provider has new credentials whenever it is asked anew. */
  const renewing = (kms: Kms) => {
    let number = 0
    return new KMSClient({
      endpoint: kms.url,
      region: kms.connection.region,
      credentials: () => {
        number++
        return Promise.resolve({
          accessKeyId: `AKID${number}`,
          secretAccessKey: "secret",
          expiration: new Date(Date.now() + 3_600_000)
        })
      }
    })
  }

  it.effect("credentials that AWS refuses are renewed once for all callers, and the request repeated", () =>
    Effect.gen(function* () {
      const { kms } = yield* withKey
      const signer = yield* build(AwsKmsSigner.layer({ client: renewing(kms), keyId: "alias/release" }))
      yield* kms.setCredentials("AKID1", "expired")
      yield* Effect.forEach(Array.from({ length: 32 }), () => signer.sign(message), { concurrency: "unbounded" })
      yield* kms.setCredentials("AKID2", "unknown")
      yield* signer.sign(message)
      yield* kms.setCredentials("AKID3", "valid")
      yield* kms.setCredentials("AKID4", "expired")
      assert.isAtMost(yield* kms.recorder.count("Sign"), 66)
    })
  )

  it.effect("new credentials that are refused, too, are AuthenticationFailed after one repeat", () =>
    Effect.gen(function* () {
      const { kms } = yield* withKey
      const signer = yield* build(AwsKmsSigner.layer({ client: renewing(kms), keyId: "alias/release" }))
      yield* kms.setCredentials("AKID1", "expired")
      yield* kms.setCredentials("AKID2", "expired")
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "AuthenticationFailed")
      assert.strictEqual(yield* kms.recorder.count("Sign"), 2)
      yield* signer.sign(message)
    })
  )

  it.effect("the same credentials are not tried again", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey
      const signer = yield* build(AwsKmsSigner.layer(options))
      yield* kms.setCredentials(kms.connection.credentials.accessKeyId, "expired")
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "AuthenticationFailed")
      assert.strictEqual(yield* kms.recorder.count("Sign"), 1)
    })
  )
})
