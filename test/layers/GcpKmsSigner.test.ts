import { KeyManagementServiceClient } from "@google-cloud/kms"
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { credentials } from "@grpc/grpc-js"
import {
  Config,
  ConfigProvider,
  Context,
  Deferred,
  Duration,
  Effect,
  Fiber,
  Layer,
  Redacted,
  Schema,
  Scope
} from "effect"
import { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { GoogleAuth, OAuth2Client } from "google-auth-library"
import { vi } from "vitest"
import { EcdsaSignature, KeyVersion, PrivateKey, PublicKey, SignatureAlgorithm, SignerError } from "../../src/index.ts"
import * as ExternalMu from "../../src/layers/remote/ExternalMu.ts"
import * as GcpKmsSigner from "../../src/layers/GcpKmsSigner.ts"
import * as Crc32c from "../../src/schemas/Crc32c.ts"
import { Conformance } from "../../src/testing.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as GcpKmsEmulator from "../../src/testing/GcpKmsEmulator.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import {
  type Seen,
  answering,
  atOnce,
  build,
  faults,
  inputsOf,
  isValid,
  message,
  tagOf
} from "./support/cloudBackend.ts"

vi.mock("../../src/layers/remote/ExternalMu.ts", { spy: true })

const { Fault } = GcpKmsEmulator

type Kms = GcpKmsEmulator.GcpKmsEmulator["Service"]
type Transport = "rest" | "grpc"

const transports: ReadonlyArray<Transport> = ["rest", "grpc"]

/** What every token begins with. */
const tokenPrefix = "canary-token-0123456789abcdefghij."

/** RSA keys take long to make. */
const rsa4096 = Effect.runSync(Effect.cached(PrivateKey.generate("RSA", { modulusLength: 4096 })))
const privateKeyOf = (algorithm: GcpKmsEmulator.Algorithm) =>
  algorithm.includes("2048") ? TestKey.make("PS256") : algorithm.includes("4096") ? rsa4096 : Effect.undefined

// ---------------------------------------------------------------------------
// conformance
// ---------------------------------------------------------------------------

const kinds: ReadonlyArray<readonly [SignatureAlgorithm.SignatureAlgorithm, GcpKmsEmulator.Algorithm]> = [
  ["Ed25519", "EC_SIGN_ED25519"],
  ["ES256", "EC_SIGN_P256_SHA256"],
  ["ES384", "EC_SIGN_P384_SHA384"],
  ["ES256K", "EC_SIGN_SECP256K1_SHA256"],
  ["PS256", "RSA_SIGN_PSS_2048_SHA256"],
  ["PS512", "RSA_SIGN_PSS_4096_SHA512"],
  ["RS256", "RSA_SIGN_PKCS1_2048_SHA256"],
  ["RS512", "RSA_SIGN_PKCS1_4096_SHA512"],
  ["ML-DSA-44", "PQ_SIGN_ML_DSA_44"],
  ["ML-DSA-65", "PQ_SIGN_ML_DSA_65"],
  ["ML-DSA-87", "PQ_SIGN_ML_DSA_87"],
  ["ML-DSA-44", "PQ_SIGN_ML_DSA_44_EXTERNAL_MU"]
]

/** One emulator for all cases of an algorithm, made when the first of them runs. */
const kitOf = (
  transport: Transport,
  algorithm: SignatureAlgorithm.SignatureAlgorithm,
  vendor: GcpKmsEmulator.Algorithm
) => {
  const made = Effect.gen(function* () {
    const kms = yield* Scope.provide(GcpKmsEmulator.make({ tokenPrefix, transports: [transport] }), Scope.makeUnsafe())
    const privateKey = yield* privateKeyOf(vendor)
    yield* kms.createKey("kit", vendor, { privateKey })
    yield* kms.createKey("disabled", vendor, { privateKey, state: "DISABLED" })
    yield* kms.createKey("decrypting", "RSA_DECRYPT_OAEP_2048_SHA256", { privateKey: yield* TestKey.make("PS256") })
    return kms
  })
  const once = Effect.runSync(Effect.cached(made))
  const key = "projects/emulated/locations/global/keyRings/ring/cryptoKeys/kit"
  const layerOf = (options: Partial<GcpKmsSigner.LayerOptions> = {}) =>
    Layer.unwrap(
      Effect.map(once, (kms) =>
        GcpKmsSigner.layer({
          ...kms[transport],
          key,
          algorithm,
          resilience: atOnce,
          ...options
        } as GcpKmsSigner.LayerOptions)
      )
    )
  const other = algorithm === "ES256" ? "ES384" : "ES256"
  return {
    layer: layerOf(),
    faulty: [
      layerOf({ key: key.replace("kit", "none") }),
      layerOf({ key: key.replace("kit", "disabled") }),
      layerOf({ key: key.replace("kit", "decrypting") }),
      layerOf({ version: "9" }),
      layerOf({ algorithm: other }),
      layerOf({ endpoint: "http://127.0.0.1:1", resilience: { times: 0 } }),
      ...(transport === "rest"
        ? [
            layerOf({ tokens: { getAccessToken: async () => `${tokenPrefix}refused` } }),
            layerOf({ tokens: { getAccessToken: () => Promise.reject(new Error(`${tokenPrefix}thrown`)) } })
          ]
        : [])
    ],
    lazy: layerOf({ lazy: true, version: "1" }),
    bare: Layer.unwrap(
      Effect.map(once, (kms) => GcpKmsSigner.layerBare({ ...kms[transport], key, algorithm, version: "1" }))
    ),
    publicKeyReads: Effect.orDie(Effect.flatMap(once, ({ recorder }) => recorder.count("getPublicKey")))
  }
}

for (const transport of transports) {
  for (const [algorithm, vendor] of kinds) {
    const { bare, faulty, layer, lazy, publicKeyReads } = kitOf(transport, algorithm, vendor)
    const isData = SignatureAlgorithm.facts[algorithm].hash === undefined && !vendor.endsWith("_MU")
    const limit = isData ? { maxMessageLength: 65_536 } : {}
    const name = `kit/gcp/${transport}/${vendor}`
    Conformance.suite(it, name, layer, { publicKeyReads, secrets: [tokenPrefix], faulty, ...limit })
    if (algorithm === "ES256K" || algorithm === "Ed25519") {
      Conformance.suite(it, `${name}/lazy`, lazy, { publicKeyReads, ...limit })
      Conformance.suite(it, `${name}/bare`, bare, { publicKeyReads, ...limit })
    }
  }
}

// ---------------------------------------------------------------------------
// support
// ---------------------------------------------------------------------------

/** An emulator with one key, and options that name it. */
const withKey = <T extends Transport>(transport: T, algorithm: GcpKmsEmulator.Algorithm = "EC_SIGN_P256_SHA256") =>
  Effect.gen(function* () {
    const kms = yield* GcpKmsEmulator.make({ tokenPrefix, transports: [transport] })
    const key = yield* kms.createKey("release", algorithm, { privateKey: yield* privateKeyOf(algorithm) })
    const connection: Kms[T] = kms[transport]
    return { kms, key, options: { ...connection, key: key.name } }
  })

const int64 = (value: unknown) =>
  Number(typeof value === "object" && value !== null ? (value as { readonly value: unknown }).value : value)

const name = "projects/acme/locations/europe-west1/keyRings/ring/cryptoKeys/release"

const fixed = { getAccessToken: async () => `${tokenPrefix}fixed` }

const buildWith = (responses: ReadonlyArray<() => Response>, options: Partial<GcpKmsSigner.RestOptions> = {}) =>
  build(
    GcpKmsSigner.layerBare({
      key: `${name}/cryptoKeyVersions/3`,
      tokens: fixed,
      httpClient: answering(responses),
      ...options
    })
  )

// ---------------------------------------------------------------------------
// what is sent
// ---------------------------------------------------------------------------

describe.each(transports)("requests over %s", (transport) => {
  it.effect.each([
    { vendor: "EC_SIGN_ED25519", field: "data" },
    { vendor: "EC_SIGN_P256_SHA256", field: "sha256", length: 32 },
    { vendor: "EC_SIGN_P384_SHA384", field: "sha384", length: 48 },
    { vendor: "EC_SIGN_SECP256K1_SHA256", field: "sha256", length: 32 },
    { vendor: "RSA_SIGN_PSS_2048_SHA256", field: "sha256", length: 32 },
    { vendor: "RSA_SIGN_PKCS1_4096_SHA512", field: "sha512", length: 64 },
    { vendor: "PQ_SIGN_ML_DSA_44", field: "data" },
    { vendor: "PQ_SIGN_ML_DSA_44_EXTERNAL_MU", field: "externalMu", length: 64 }
  ] as const)("$vendor is given $field, with its checksum", ({ field, vendor, ...rest }) =>
    Effect.gen(function* () {
      const { key, kms, options } = yield* withKey(transport, vendor)
      const signer = yield* build(GcpKmsSigner.layer(options))
      const signature = yield* signer.sign(message)
      const [input = {}] = yield* inputsOf(kms.recorder, "asymmetricSign")
      assert.strictEqual(input["resource"], yield* key.version)
      const isData = field === "data"
      const sent = Buffer.from(
        String(isData ? input["data"] : (input["digest"] as Record<string, unknown>)[field]),
        "base64"
      )
      assert.strictEqual(sent.length, "length" in rest ? rest.length : message.length)
      if (isData) assert.deepStrictEqual(new Uint8Array(sent), message)
      assert.strictEqual(int64(input[isData ? "dataCrc32c" : "digestCrc32c"]), Crc32c.compute(sent))
      assert.strictEqual(signature.keyId, key.name)
      assert.strictEqual(`${signature.keyId}/${signature.keyVersion}`, yield* key.version)
      assert.isTrue(yield* isValid(signer, message, signature))
    })
  )

  it.effect("the key is read once while the layer is built, and with a stated version nothing is listed", () =>
    Effect.gen(function* () {
      const { key, kms, options } = yield* withKey(transport)
      for (const more of [
        { key: yield* key.version },
        { version: "1" },
        { version: "1", algorithm: "ES256" as const }
      ]) {
        const before = yield* kms.recorder.count("getPublicKey")
        const signer = yield* build(GcpKmsSigner.layer({ ...options, ...more }))
        yield* signer.sign(message)
        yield* signer.publicKey()
        yield* signer.publicKey(KeyVersion.make("cryptoKeyVersions/1"))
        assert.strictEqual((yield* kms.recorder.count("getPublicKey")) - before, 1)
      }
      assert.strictEqual(yield* kms.recorder.count("listCryptoKeyVersions"), 0)
    })
  )

  it.effect("with lazy and a version, a signature is one request; of ML-DSA, which has two kinds, two", () =>
    Effect.gen(function* () {
      for (const [vendor, algorithm, reads] of [
        ["EC_SIGN_ED25519", "Ed25519", 0],
        ["PQ_SIGN_ML_DSA_44_EXTERNAL_MU", "ML-DSA-44", 1]
      ] as const) {
        const { kms, options } = yield* withKey(transport, vendor)
        const signer = yield* build(GcpKmsSigner.layerBare({ ...options, version: "1", algorithm, lazy: true }))
        assert.strictEqual(yield* kms.recorder.count(), 0)
        const signature = yield* signer.sign(message)
        assert.deepStrictEqual(
          [yield* kms.recorder.count("asymmetricSign"), yield* kms.recorder.count("getPublicKey")],
          [1, reads]
        )
        assert.isTrue(yield* isValid(signer, message, signature))
      }
    })
  )

  it.effect("a key of ML-DSA is found out also where the algorithm is not stated, or another one is", () =>
    Effect.gen(function* () {
      for (const vendor of ["PQ_SIGN_ML_DSA_65", "EC_SIGN_P256_SHA256"] as const) {
        const { options } = yield* withKey(transport, vendor)
        const { algorithm } = yield* build(GcpKmsSigner.layer(options))
        const other = algorithm === "ES256" ? "ML-DSA-65" : "ES256"
        const error = yield* Effect.flip(build(GcpKmsSigner.layer({ ...options, algorithm: other })))
        assert.isTrue(error._tag === "InvalidConfiguration" && error.field === "algorithm", error.message)
        assert.include(error.message, `cannot do ${other}; it can do ${algorithm}`)
      }
    })
  )

  it.effect("with an external mu, the public key is hashed once, also where it is read at the first use", () =>
    Effect.gen(function* () {
      const { options } = yield* withKey(transport, "PQ_SIGN_ML_DSA_44_EXTERNAL_MU")
      const signer = yield* build(GcpKmsSigner.layerBare({ ...options, algorithm: "ML-DSA-44", lazy: true }))
      const before = vi.mocked(ExternalMu.of).mock.calls.length
      for (const input of [message, new Uint8Array(1000)]) {
        assert.isTrue(yield* isValid(signer, input, yield* signer.sign(input)))
      }
      assert.strictEqual(vi.mocked(ExternalMu.of).mock.calls.length - before, 1)
    })
  )

  it.effect("an ES256K signature is low-S, whatever the service makes", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey(transport, "EC_SIGN_SECP256K1_SHA256")
      const signer = yield* build(GcpKmsSigner.layer(options))
      yield* kms.sign.always(Fault.highS)
      for (let i = 0; i < 8; i++) {
        assert.isTrue(EcdsaSignature.isLowS((yield* signer.sign(Uint8Array.of(i))).bytes))
      }
    })
  )
})

// ---------------------------------------------------------------------------
// versions
// ---------------------------------------------------------------------------

describe.each(transports)("versions over %s", (transport) => {
  it.effect("the newest enabled one is found by its number, over all pages", () =>
    Effect.gen(function* () {
      const { key, kms, options } = yield* withKey(transport)
      for (let i = 2; i <= 230; i++) yield* kms.addVersion(key)
      yield* kms.setState(`${key.name}/cryptoKeyVersions/230`, "DISABLED")
      yield* kms.setState(`${key.name}/cryptoKeyVersions/229`, "DESTROY_SCHEDULED")
      yield* kms.addVersion(key, { state: "PENDING_GENERATION" })
      const signer = yield* build(GcpKmsSigner.layer(options))
      assert.strictEqual((yield* signer.sign(message)).keyVersion, "cryptoKeyVersions/228")
      const lists = yield* inputsOf(kms.recorder, "listCryptoKeyVersions")
      assert.deepStrictEqual(
        lists.map(({ filter, pageToken, resource }) => [resource, filter, pageToken || undefined]),
        [undefined, "100", "200"].map((pageToken) => [key.name, "state=ENABLED", pageToken])
      )
    })
  )

  it.effect("a version that is added signs nothing: still the pinned key", () =>
    Effect.gen(function* () {
      const { key, kms, options } = yield* withKey(transport)
      const signer = yield* build(GcpKmsSigner.layer({ ...options, version: "latest" }))
      const before = yield* signer.publicKey()
      yield* kms.addVersion(key)
      yield* kms.sign.push(Fault.rotate)
      for (let i = 0; i < 2; i++) {
        const signature = yield* signer.sign(message)
        assert.strictEqual(signature.keyVersion, "cryptoKeyVersions/1")
        assert.isTrue(yield* isValid(signer, message, signature))
      }
      assert.isTrue(PublicKey.sameKey(yield* signer.publicKey(), before))
      // and the next Signer has the new one
      const next = yield* build(GcpKmsSigner.layer(options))
      assert.strictEqual((yield* next.sign(message)).keyVersion, "cryptoKeyVersions/3")
      assert.isFalse(PublicKey.sameKey(yield* next.publicKey(), before))
      // whose keys a Signer can tell by their version
      assert.isTrue(PublicKey.sameKey(yield* next.publicKey(KeyVersion.make("cryptoKeyVersions/1")), before))
      for (const unknown of ["cryptoKeyVersions/9", "../9", "cryptoKeyVersions/0", "x"]) {
        const error = yield* Effect.flip(next.publicKey(KeyVersion.make(unknown)))
        assert.strictEqual(error._tag, "KeyNotFound")
      }
    })
  )

  it.effect("with lazy, the version is that of the first use", () =>
    Effect.gen(function* () {
      const { key, kms, options } = yield* withKey(transport)
      const signer = yield* build(GcpKmsSigner.layer({ ...options, algorithm: "ES256", lazy: true }))
      assert.strictEqual(yield* kms.recorder.count(), 0)
      yield* kms.addVersion(key)
      assert.strictEqual((yield* signer.sign(message)).keyVersion, "cryptoKeyVersions/2")
      yield* kms.addVersion(key)
      assert.strictEqual((yield* signer.sign(message)).keyVersion, "cryptoKeyVersions/2")
    })
  )

  it.effect.each([
    { state: "PENDING_GENERATION", says: "still being generated" },
    { state: "DISABLED", says: "disabled" },
    { state: "DESTROY_SCHEDULED", says: "scheduled for destruction" },
    { state: "DESTROYED", says: "destroyed" }
  ] as const)("$state is KeyUnavailable, before and after the layer is built", ({ says, state }) =>
    Effect.gen(function* () {
      const { key, kms, options } = yield* withKey(transport)
      const signer = yield* build(GcpKmsSigner.layer(options))
      yield* kms.setState(yield* key.version, state)
      for (const error of [
        yield* Effect.flip(signer.sign(message)),
        yield* Effect.flip(build(GcpKmsSigner.layer({ ...options, version: "1" })))
      ]) {
        assert.isTrue(error._tag === "KeyUnavailable" && error.state === says, error.message)
      }
      const none = yield* Effect.flip(build(GcpKmsSigner.layer(options)))
      assert.isTrue(none._tag === "KeyUnavailable" && none.state === "without an enabled version", none.message)
      yield* kms.setState(yield* key.version, "ENABLED")
      yield* signer.sign(message)
    })
  )

  it.effect("a permission that is missing is named; a key that is not there or not for signing is told apart", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey(transport)
      const signer = yield* build(GcpKmsSigner.layer(options))
      yield* kms.deny("asymmetricSign", "listCryptoKeyVersions")
      const denied = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(denied._tag, "PermissionDenied")
      assert.include(Canary.show(denied), "cloudkms.cryptoKeyVersions.useToSign")
      const list = yield* Effect.flip(build(GcpKmsSigner.layer(options)))
      assert.strictEqual(list._tag, "PermissionDenied")
      assert.include(Canary.show(list), "cloudkms.cryptoKeyVersions.list")
      assert.strictEqual((yield* build(GcpKmsSigner.layer({ ...options, version: "1" }))).algorithm, "ES256")
      const missing = yield* Effect.flip(build(GcpKmsSigner.layer({ ...options, version: "9" })))
      assert.strictEqual(missing._tag, "KeyNotFound")
      yield* kms.allow("asymmetricSign")
      for (const vendor of ["RSA_DECRYPT_OAEP_2048_SHA256", "GOOGLE_SYMMETRIC_ENCRYPTION"] as const) {
        const key = yield* kms.createKey(vendor, vendor, { privateKey: yield* privateKeyOf(vendor) })
        const error = yield* Effect.flip(build(GcpKmsSigner.layer({ ...options, key: key.name, version: "1" })))
        assert.strictEqual(error._tag, "KeyNotSigner")
        const lazy = yield* build(
          GcpKmsSigner.layerBare({ ...options, key: key.name, version: "1", algorithm: "PS256", lazy: true })
        )
        assert.strictEqual((yield* Effect.flip(lazy.sign(message)))._tag, "KeyNotSigner")
      }
    })
  )

  it.effect("a public key that is not the expected one signs nothing", () =>
    Effect.gen(function* () {
      const { key, kms, options } = yield* withKey(transport)
      const { publicKey } = yield* TestKey.make("ES256")
      const error = yield* Effect.flip(build(GcpKmsSigner.layer({ ...options, expectedPublicKey: publicKey })))
      assert.strictEqual(error._tag, "InvalidResponse")
      assert.strictEqual(yield* kms.recorder.count("asymmetricSign"), 0)
      yield* build(GcpKmsSigner.layer({ ...options, expectedPublicKey: yield* key.publicKey() }))
    })
  )
})

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

describe("options", () => {
  const key = `${name}/cryptoKeyVersions/3`

  it.effect.each([
    { options: { key: "release" }, field: "key" },
    { options: { key: "" }, field: "key" },
    { options: { key: undefined }, field: "key" },
    { options: { key: `/${name}` }, field: "key" },
    { options: { key: `${name}/` }, field: "key" },
    { options: { key: `${name}/cryptoKeyVersions/` }, field: "key" },
    { options: { key: `${name}/cryptoKeyVersions/0` }, field: "key" },
    { options: { key: `${name}/cryptoKeyVersions/3/publicKey` }, field: "key" },
    { options: { key: name.replace("release", "..") }, field: "key" },
    { options: { key: name.replace("acme", "..") }, field: "key" },
    { options: { key: name.replace("release", "a?b=c") }, field: "key" },
    { options: { key: `${name}\r\n` }, field: "key" },
    { options: { key, version: "4" }, field: "version" },
    { options: { key, version: "latest" }, field: "version" },
    { options: { key: name, version: "newest" }, field: "version" },
    { options: { key: name, version: "" }, field: "version" },
    { options: { key, lazy: true }, field: "algorithm" },
    { options: { key, transport: "http" }, field: "transport" },
    { options: { key, endpoint: "cloudkms.googleapis.com" }, field: "endpoint" },
    { options: { key, endpoint: "http://cloudkms.googleapis.com" }, field: "endpoint" },
    { options: { key, endpoint: "https://user:canary-password@cloudkms.googleapis.com" }, field: "endpoint" },
    { options: { key, endpoint: "https://cloudkms.googleapis.com/v1" }, field: "endpoint" },
    { options: { key, tokens: fixed, credentials: Redacted.make("canary-secret") }, field: "credentials" },
    {
      options: { key, credentials: Redacted.make('{"type":"external_account","token_url":"canary-url"}') },
      field: "credentials"
    },
    { options: { key, credentials: Redacted.make("canary-secret") }, field: "credentials" },
    { options: { key, transport: "grpc", credentials: Redacted.make("[]") }, field: "credentials" },
    { options: { key, transport: "grpc", client: {}, endpoint: "https://a.example" }, field: "endpoint" }
  ] as unknown as ReadonlyArray<{ options: GcpKmsSigner.Options; field: string }>)(
    "$options is InvalidConfiguration of $field",
    ({ field, options }) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(build(GcpKmsSigner.layer(options)))
        assert.isTrue(error._tag === "InvalidConfiguration" && error.field === field, error.message)
        assert.notInclude(Canary.show(error), "canary-")
      })
  )

  it.effect.each(["ES512", "BIP340", "BIP341", "PS384", "RS384"] as const)(
    "%s is UnsupportedAlgorithm that says what there is, and nothing is asked",
    (algorithm) =>
      Effect.gen(function* () {
        const { kms, options } = yield* withKey("rest")
        const error = yield* Effect.flip(build(GcpKmsSigner.layer({ ...options, algorithm })))
        assert.strictEqual(error._tag, "UnsupportedAlgorithm")
        assert.include(error.message, "Cloud KMS does not have it; it has Ed25519, ES256")
        assert.strictEqual(yield* kms.recorder.count(), 0)
      })
  )

  it.effect("layerConfig reads what it is told, and the environment by default", () =>
    Effect.gen(function* () {
      const { key, kms } = yield* withKey("grpc")
      const provided = (env: Record<string, string>) =>
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
      const told = GcpKmsSigner.layerConfig({
        key: Config.String("OTHER"),
        transport: Config.succeed("grpc" as const),
        endpoint: Config.succeed(kms.grpc.endpoint)
      })
      const signer = yield* provided({ OTHER: yield* key.version })(build(told))
      assert.strictEqual((yield* signer.sign(message)).keyVersion, "cryptoKeyVersions/1")

      const parts = { A1_GCP_PROJECT: "acme", A1_GCP_KEY_RING: "ring", A1_GCP_KEY: "release" }
      const absent = { version: undefined, algorithm: undefined, transport: undefined, credentials: undefined }
      assert.deepStrictEqual(yield* provided(parts)(GcpKmsSigner.environment), {
        ...absent,
        key: name.replace("europe-west1", "global")
      })
      const { credentials: secret, ...read } = yield* provided({
        ...parts,
        A1_GCP_LOCATION: "europe-west1",
        A1_GCP_KEY_VERSION: "3",
        A1_GCP_ALGORITHM: "ES256",
        A1_GCP_TRANSPORT: "grpc",
        GCP_SA_JSON: "canary-secret"
      })(GcpKmsSigner.environment)
      assert.deepStrictEqual(read, { key: name, version: "3", algorithm: "ES256", transport: "grpc" })
      assert.strictEqual(Redacted.value(secret!), "canary-secret")
      const whole = yield* provided({ ...parts, GCP_KMS_KEY_VERSION: `${name}/cryptoKeyVersions/7` })(
        GcpKmsSigner.environment
      )
      assert.strictEqual(whole.key, `${name}/cryptoKeyVersions/7`)
      const error = yield* Effect.flip(provided({ A1_GCP_KEY: "k" })(build(GcpKmsSigner.layerConfig())))
      assert.strictEqual(error._tag, "ConfigError")
    })
  )
})

// ---------------------------------------------------------------------------
// answers
// ---------------------------------------------------------------------------

describe("answers", () => {
  const pem =
    "-----BEGIN PUBLIC KEY-----\n" +
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n" +
    "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n" +
    "-----END PUBLIC KEY-----\n"
  const crc = (text: string) => String(Crc32c.compute(new TextEncoder().encode(text)))
  const publicKey = {
    name: `${name}/cryptoKeyVersions/3`,
    algorithm: "EC_SIGN_P256_SHA256",
    pem,
    pemCrc32c: crc(pem),
    protectionLevel: "HSM"
  }
  const der = Buffer.from(EcdsaSignature.toDer(new Uint8Array(64).fill(1))!)
  const signed = {
    name: publicKey.name,
    signature: der.toString("base64"),
    signatureCrc32c: String(Crc32c.compute(der)),
    verifiedDigestCrc32c: true
  }
  const signing = (answer: object) =>
    Effect.flatMap(buildWith([() => Response.json(publicKey), () => Response.json(answer)]), (signer) =>
      Effect.result(signer.sign(message))
    )
  const resultOf = (result: { readonly _tag: string; readonly failure?: SignerError.SignerError }) =>
    result._tag === "Success" ? "Success" : tagOf(result.failure!)

  it.effect.each([
    { change: {}, expected: "Success" },
    { change: { signatureCrc32c: Number(signed.signatureCrc32c) }, expected: "Success" },
    { change: { signatureCrc32c: undefined }, expected: "Retryable/ResponseCorrupted" },
    { change: { signatureCrc32c: "" }, expected: "Retryable/ResponseCorrupted" },
    { change: { signatureCrc32c: "1" }, expected: "Retryable/ResponseCorrupted" },
    { change: { signatureCrc32c: `-${signed.signatureCrc32c}` }, expected: "Retryable/ResponseCorrupted" },
    { change: { signatureCrc32c: `${signed.signatureCrc32c}.0` }, expected: "Retryable/ResponseCorrupted" },
    { change: { signatureCrc32c: "0x1" }, expected: "Retryable/ResponseCorrupted" },
    { change: { verifiedDigestCrc32c: false }, expected: "Retryable/ResponseCorrupted" },
    { change: { verifiedDigestCrc32c: undefined }, expected: "Retryable/ResponseCorrupted" },
    { change: { verifiedDigestCrc32c: "true" }, expected: "Retryable/ResponseCorrupted" },
    { change: { verifiedDigestCrc32c: undefined, verifiedDataCrc32c: true }, expected: "Retryable/ResponseCorrupted" },
    { change: { name: `${name}/cryptoKeyVersions/4` }, expected: "InvalidResponse" },
    { change: { name: name.replace("release", "other") }, expected: "InvalidResponse" },
    { change: { name: undefined }, expected: "InvalidResponse" },
    { change: { signature: undefined }, expected: "InvalidResponse" },
    { change: { signature: "!" }, expected: "InvalidResponse" },
    { change: { signature: der.toString("base64url") }, expected: "InvalidResponse" },
    { change: { signature: 7 }, expected: "InvalidResponse" },
    { change: { signature: "AAAA".repeat(8192) }, expected: "InvalidResponse" },
    {
      change: { signature: "AAAA", signatureCrc32c: String(Crc32c.compute(new Uint8Array(3))) },
      expected: "InvalidResponse"
    }
  ])("a signature with $change is $expected", ({ change, expected }) =>
    Effect.map(signing({ ...signed, ...change }), (result) => assert.strictEqual(resultOf(result), expected))
  )

  it.effect.each([
    { change: {}, expected: "Success" },
    { change: { pemCrc32c: undefined }, expected: "Retryable/ResponseCorrupted" },
    { change: { pemCrc32c: crc(pem.trimEnd()) }, expected: "Retryable/ResponseCorrupted" },
    { change: { pemCrc32c: crc(pem.replaceAll("\n", "\r\n")) }, expected: "Retryable/ResponseCorrupted" },
    { change: { pem: pem.trimEnd(), pemCrc32c: crc(pem.trimEnd()) }, expected: "Success" },
    { change: { pem: `${pem}${pem}`, pemCrc32c: crc(`${pem}${pem}`) }, expected: "InvalidResponse" },
    { change: { pem: undefined }, expected: "InvalidResponse" },
    { change: { name: `${name}/cryptoKeyVersions/4` }, expected: "InvalidResponse" },
    { change: { name: undefined }, expected: "InvalidResponse" },
    { change: { algorithm: "EC_SIGN_P384_SHA384" }, expected: "InvalidResponse" },
    { change: { algorithm: "EC_SIGN_ED25519" }, expected: "InvalidResponse" },
    { change: { algorithm: "RSA_SIGN_RAW_PKCS1_2048" }, expected: "UnsupportedAlgorithm" },
    { change: { algorithm: "PQ_SIGN_SLH_DSA_SHA2_128S" }, expected: "UnsupportedAlgorithm" },
    { change: { algorithm: "EC_SIGN_P521_SHA512" }, expected: "UnsupportedAlgorithm" },
    { change: { algorithm: "RSA_DECRYPT_OAEP_2048_SHA256" }, expected: "KeyNotSigner" },
    { change: { algorithm: "ML_KEM_768" }, expected: "KeyNotSigner" },
    { change: { algorithm: "toString" }, expected: "KeyNotSigner" },
    { change: { algorithm: undefined }, expected: "KeyNotSigner" }
  ])("a public key with $change is $expected", ({ change, expected }) =>
    Effect.map(Effect.result(buildWith([() => Response.json({ ...publicKey, ...change })])), (result) =>
      assert.strictEqual(resultOf(result), expected)
    )
  )

  it.effect.each([
    { body: [], expected: "KeyUnavailable" },
    { body: {}, expected: "KeyUnavailable" },
    { body: { cryptoKeyVersions: {} }, expected: "InvalidResponse" },
    { body: { cryptoKeyVersions: [{}] }, expected: "InvalidResponse" },
    { body: { cryptoKeyVersions: [{ name, state: "ENABLED" }] }, expected: "InvalidResponse" },
    {
      body: { cryptoKeyVersions: [{ name: `${name}x/cryptoKeyVersions/3`, state: "ENABLED" }] },
      expected: "InvalidResponse"
    },
    {
      body: { cryptoKeyVersions: [{ name: `${name}/cryptoKeyVersions/3`, state: "DISABLED" }] },
      expected: "KeyUnavailable"
    },
    { body: { nextPageToken: "again" }, expected: "KeyUnavailable" }
  ])("a list of versions that is $body is $expected", ({ body, expected }) =>
    Effect.gen(function* () {
      // nothing is asked for by a list that is refused
      const requests: Array<Seen> = []
      const httpClient = answering([() => Response.json(body)], requests)
      assert.strictEqual(resultOf(yield* Effect.result(buildWith([], { key: name, httpClient }))), expected)
      assert.isTrue(requests.every(({ url }) => url.includes("/cryptoKeyVersions?")))
    })
  )

  it.effect("an answer without end is cut off", () =>
    Effect.gen(function* () {
      let sent = 0
      const endless = () =>
        new Response(
          new ReadableStream({
            pull: (controller) => {
              sent++
              controller.enqueue(new Uint8Array(256 * 1024).fill(0x20))
            }
          })
        )
      assert.strictEqual((yield* Effect.flip(buildWith([endless])))._tag, "InvalidResponse")
      assert.isBelow(sent, 16)
    })
  )

  it.effect("a redirect is not followed", () =>
    Effect.gen(function* () {
      const requests: Array<Seen> = []
      const redirect = () => new Response(null, { status: 307, headers: { location: "https://evil.example" } })
      const error = yield* Effect.flip(buildWith([], { httpClient: answering([redirect], requests) }))
      assert.isTrue(error._tag === "InvalidConfiguration" && error.field === "endpoint", error.message)
      assert.strictEqual(requests.length, 1)
    })
  )

  it.effect("the address is the endpoint's, and the quota project of a credential is named", () =>
    Effect.gen(function* () {
      const requests: Array<Seen> = []
      yield* buildWith([], {
        endpoint: "https://cloudkms.europe-west1.rep.googleapis.com",
        tokens: Object.assign({ quotaProjectId: "billing" }, fixed),
        httpClient: answering([() => Response.json(publicKey)], requests)
      })
      const [{ headers, method, url } = { headers: {}, method: "", url: "" }] = requests
      assert.strictEqual(method, "GET")
      assert.strictEqual(
        url,
        `https://cloudkms.europe-west1.rep.googleapis.com/v1/${name}/cryptoKeyVersions/3/publicKey`
      )
      assert.strictEqual(headers["authorization"], `Bearer ${tokenPrefix}fixed`)
      assert.strictEqual(headers["x-goog-user-project"], "billing")
    })
  )
})

// ---------------------------------------------------------------------------
// credentials
// ---------------------------------------------------------------------------

describe("tokens", () => {
  it.effect("one that expires is replaced by its source, and one that is refused once", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey("rest")
      const signer = yield* build(GcpKmsSigner.layerBare(options))
      for (let hour = 0; hour < 3; hour++) {
        yield* TestClock.adjust("1 hour")
        yield* signer.sign(message)
      }
      assert.strictEqual(yield* kms.recorder.count("asymmetricSign"), 3)
      // refused on its way, when it was already taken
      let taken = ""
      const run = Effect.runPromiseWith(yield* Effect.context<never>())
      const stale = yield* build(
        GcpKmsSigner.layerBare({
          ...options,
          tokens: {
            getAccessToken: async () => {
              const token = await kms.tokens.getAccessToken()
              if (taken !== "" && taken !== token) return token
              taken = token
              await run(kms.revokeTokens)
              return token
            }
          }
        })
      )
      yield* stale.sign(message)
      assert.strictEqual(yield* kms.recorder.count("asymmetricSign"), 4)
    })
  )

  it.effect("the same token is not sent a second time, and a second one that is refused is the last", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey("rest")
      for (const [token, requests] of [
        [() => "canary-same", 1],
        [(asked: number) => `canary-other-${asked}`, 2]
      ] as const) {
        let asked = 0
        const before = yield* kms.recorder.count("getPublicKey")
        const tokens = { getAccessToken: async () => ({ token: token(asked++) }) }
        const error = yield* Effect.flip(build(GcpKmsSigner.layerBare({ ...options, version: "1", tokens })))
        assert.strictEqual(error._tag, "AuthenticationFailed")
        assert.notInclude(Canary.show(error), "canary-")
        assert.deepStrictEqual([asked, (yield* kms.recorder.count("getPublicKey")) - before], [2, requests])
      }
    })
  )

  /** A client of the library whose tokens come from the emulator, and are kept until they expire. */
  const libraryClient = (next: () => Promise<string>) => {
    const client = new OAuth2Client()
    let refreshed = 0
    client.refreshHandler = async () => {
      refreshed++
      return { access_token: await next(), expiry_date: Date.now() + 3_600_000 }
    }
    return { client, refreshed: () => refreshed }
  }

  it.live("a client of the library forgets the token that is refused, and obtains another, once for all", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey("rest")
      const { client, refreshed } = libraryClient(() => kms.tokens.getAccessToken())
      for (const tokens of [client, new GoogleAuth({ authClient: client })]) {
        const signer = yield* build(GcpKmsSigner.layerBare({ ...options, tokens }))
        const before = refreshed()
        yield* Effect.forEach([1, 2, 3], () => signer.sign(message))
        assert.strictEqual(refreshed(), before)
        yield* kms.revokeTokens
        yield* Effect.forEach(Array.from({ length: 20 }), () => signer.sign(message), { concurrency: "unbounded" })
        assert.strictEqual(refreshed(), before + 1)
      }
    })
  )

  it.live("over gRPC a refused token is replaced once, where the client shows its credentials", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey("grpc")
      const { client: authClient, refreshed } = libraryClient(async () => `token-${refreshed()}`)
      yield* Effect.promise(() => authClient.getAccessToken())
      const endpoint = new URL(options.endpoint)
      const client = yield* Effect.acquireRelease(
        Effect.sync(
          () =>
            new KeyManagementServiceClient({
              apiEndpoint: endpoint.hostname,
              port: Number(endpoint.port),
              sslCreds: credentials.createInsecure(),
              auth: new GoogleAuth({ authClient })
            } as never)
        ),
        (client) => Effect.promise(() => client.close())
      )
      const signer = yield* build(GcpKmsSigner.layerBare({ transport: "grpc", client, key: options.key, version: "1" }))
      const refused = Fault.vendorError("UNAUTHENTICATED", 401)
      yield* kms.sign.push(refused)
      yield* signer.sign(message)
      assert.deepStrictEqual([refreshed(), yield* kms.recorder.count("asymmetricSign")], [2, 2])
      yield* kms.sign.push(refused, refused)
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "AuthenticationFailed")
      assert.strictEqual(yield* kms.recorder.count("asymmetricSign"), 4)
      // without credentials of its own there is nothing to renew
      const bare = yield* build(GcpKmsSigner.layerBare({ ...options, version: "1" }))
      yield* kms.sign.push(refused)
      assert.strictEqual((yield* Effect.flip(bare.sign(message)))._tag, "AuthenticationFailed")
      assert.strictEqual(yield* kms.recorder.count("asymmetricSign"), 5)
    })
  )

  it.effect.each([
    {
      thrown: new Error("Could not load the default credentials. canary-secret"),
      tag: "AuthenticationFailed",
      shows: ""
    },
    {
      thrown: Object.assign(new Error("invalid_grant canary-secret"), {
        status: 400,
        response: { status: 400, data: { error: "invalid_grant", error_description: "canary-secret" } }
      }),
      tag: "AuthenticationFailed",
      shows: "invalid_grant"
    },
    {
      thrown: Object.assign(new Error("canary-secret"), { response: { status: 429, data: "canary-secret" } }),
      tag: "Retryable/RateLimited",
      shows: "429"
    },
    {
      thrown: Object.assign(new Error("canary-secret"), { status: 503 }),
      tag: "Retryable/BackendUnavailable",
      shows: "503"
    },
    {
      thrown: Object.assign(new Error("canary-secret"), { cause: { code: "ECONNREFUSED" } }),
      tag: "Retryable/BackendUnavailable",
      shows: "ECONNREFUSED"
    },
    {
      thrown: new Error("The file at canary-secret does not exist, or it is not a file. ENOENT: canary-secret"),
      tag: "InvalidConfiguration",
      shows: "GOOGLE_APPLICATION_CREDENTIALS"
    },
    { thrown: "canary-secret", tag: "AuthenticationFailed", shows: "" },
    { thrown: undefined, tag: "AuthenticationFailed", shows: "" }
  ])("a source that throws $thrown is $tag", ({ shows, tag, thrown }) =>
    Effect.gen(function* () {
      for (const getAccessToken of [
        () => Promise.reject(thrown),
        () => {
          throw thrown
        }
      ]) {
        const error = yield* Effect.flip(buildWith([], { tokens: { getAccessToken } }))
        assert.strictEqual(tagOf(error), tag)
        assert.notInclude(Canary.show(error), "canary-secret")
        assert.include(Canary.show(error), shows)
      }
    })
  )

  it.effect.each([
    { given: null, tag: "AuthenticationFailed" },
    { given: undefined, tag: "AuthenticationFailed" },
    { given: "", tag: "AuthenticationFailed" },
    { given: {}, tag: "AuthenticationFailed" },
    { given: { token: null }, tag: "AuthenticationFailed" },
    { given: "canary token", tag: "InvalidConfiguration" },
    { given: { token: "canary-token\r\nx: y" }, tag: "InvalidConfiguration" },
    { given: 7, tag: "InvalidConfiguration" }
  ])("a source that gives $given is $tag", ({ given, tag }) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(buildWith([], { tokens: { getAccessToken: async () => given as never } }))
      assert.strictEqual(error._tag, tag)
      assert.notInclude(Canary.show(error), "canary")
    })
  )

  it.live("a private key that is none is said, and not shown", () =>
    Effect.gen(function* () {
      const json = { type: "service_account", client_email: "canary-mail", private_key: "canary-secret" }
      const error = yield* Effect.flip(
        build(
          GcpKmsSigner.layerBare({
            key: `${name}/cryptoKeyVersions/3`,
            credentials: Redacted.make(JSON.stringify(json)),
            httpClient: answering([() => new Response("{}", { status: 500 })])
          })
        )
      )
      assert.isTrue(error._tag === "InvalidConfiguration" && error.field === "credentials", error.message)
      assert.notInclude(Canary.show(error), "canary-")
    })
  )

  it.effect("nobody is asked, and nothing is connected, before the first use", () =>
    Effect.gen(function* () {
      for (const transport of transports) {
        const signer = yield* build(
          GcpKmsSigner.layer({ transport, key: `${name}/cryptoKeyVersions/3`, algorithm: "Ed25519", lazy: true })
        )
        assert.deepStrictEqual([signer.backend, signer.keyId], ["gcp-kms", name])
      }
    })
  )

  it.live("a client of gRPC that is not ready when its caller leaves is closed", () =>
    Effect.gen(function* () {
      const { prototype } = KeyManagementServiceClient
      const begun = yield* Deferred.make<void>()
      const initialize = vi.spyOn(prototype, "initialize").mockImplementation(() => {
        Deferred.doneUnsafe(begun, Effect.void)
        return new Promise(() => {})
      })
      const close = vi.spyOn(prototype, "close")
      yield* Effect.addFinalizer(() => Effect.sync(() => [initialize, close].forEach((spy) => spy.mockRestore())))
      const signer = yield* GcpKmsSigner.make({
        transport: "grpc",
        endpoint: "http://127.0.0.1:1",
        key: `${name}/cryptoKeyVersions/3`,
        algorithm: "Ed25519",
        lazy: true
      })
      const fiber = yield* Effect.forkChild(signer.sign(message))
      yield* Deferred.await(begun)
      assert.strictEqual(close.mock.calls.length, 0)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(close.mock.calls.length, 1)
    }).pipe(Effect.timeout("10 seconds"))
  )
})

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

const version3 = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/3"

/** Every code of gRPC with the status of HTTP that goes with it, and what Cloud KMS says with some of them. */
const documented: ReadonlyArray<readonly [code: string, http: number, text: string, tag: string]> = [
  ["CANCELLED", 499, "", "Retryable/BackendUnavailable"],
  ["UNKNOWN", 500, "", "Retryable/BackendUnavailable"],
  ["INVALID_ARGUMENT", 400, "Digest is 31 bytes long", "InvalidConfiguration"],
  ["INVALID_ARGUMENT", 400, "The checksum in field digest_crc32c did not match", "Retryable/ResponseCorrupted"],
  ["NOT_FOUND", 404, `CryptoKeyVersion ${version3} not found.`, "KeyNotFound"],
  ["ALREADY_EXISTS", 409, "", "InvalidConfiguration"],
  ["PERMISSION_DENIED", 403, "Permission 'x' denied on resource (or it may not exist).", "PermissionDenied"],
  ["PERMISSION_DENIED/SERVICE_DISABLED", 403, "Cloud KMS API has not been used in project 1", "PermissionDenied"],
  ["PERMISSION_DENIED/IAM_PERMISSION_DENIED", 403, "", "PermissionDenied"],
  ["RESOURCE_EXHAUSTED", 429, "Quota exceeded", "Retryable/RateLimited"],
  ["FAILED_PRECONDITION", 400, `${version3} is not enabled, current state is: DISABLED.`, "KeyUnavailable"],
  ["FAILED_PRECONDITION", 400, `${version3} is not enabled, current state is: DESTROYED.`, "KeyUnavailable"],
  ["FAILED_PRECONDITION", 400, `${version3} is not enabled, current state is: PENDING_GENERATION.`, "KeyUnavailable"],
  ["FAILED_PRECONDITION", 400, "", "KeyUnavailable"],
  ["FAILED_PRECONDITION", 400, "Keys with algorithm X may not be used for signing", "KeyNotSigner"],
  ["FAILED_PRECONDITION", 400, "The key has purpose ENCRYPT_DECRYPT", "KeyNotSigner"],
  [
    "FAILED_PRECONDITION",
    400,
    "Google Cloud KMS API has not been used in this project before, or it is disabled.",
    "InvalidConfiguration"
  ],
  ["ABORTED", 409, "", "Retryable/BackendUnavailable"],
  ["OUT_OF_RANGE", 400, "", "InvalidConfiguration"],
  ["UNIMPLEMENTED", 501, "", "InvalidConfiguration"],
  ["INTERNAL", 500, "Internal error encountered.", "Retryable/BackendUnavailable"],
  ["UNAVAILABLE", 503, "The service is currently unavailable.", "Retryable/BackendUnavailable"],
  ["DATA_LOSS", 500, "", "Retryable/BackendUnavailable"],
  ["UNAUTHENTICATED", 401, "Request had invalid authentication credentials.", "AuthenticationFailed"],
  ["UNAUTHENTICATED/ACCESS_TOKEN_EXPIRED", 401, "", "AuthenticationFailed"],
  // of the client itself, about its credentials
  ...["UNKNOWN", "INTERNAL", "UNAUTHENTICATED"].flatMap((code) => {
    const text = "Getting metadata from plugin failed with error:"
    return [
      [code, 500, `${text} request to https://oauth2.example failed, ECONNREFUSED`, "Retryable/BackendUnavailable"],
      [code, 500, `${text} invalid_grant`, "AuthenticationFailed"]
    ] as const
  })
]

/** Answers of something between, which has no code of Google. */
const pages: ReadonlyArray<readonly [http: number, tag: string]> = [
  [200, "InvalidResponse"],
  [302, "InvalidConfiguration"],
  [400, "UnknownBackendError"],
  [401, "AuthenticationFailed"],
  [403, "PermissionDenied"],
  [404, "InvalidConfiguration"],
  [405, "InvalidConfiguration"],
  [407, "InvalidConfiguration"],
  [408, "Retryable/BackendUnavailable"],
  [413, "InvalidConfiguration"],
  [425, "Retryable/BackendUnavailable"],
  [429, "Retryable/RateLimited"],
  [500, "Retryable/BackendUnavailable"],
  [502, "Retryable/BackendUnavailable"],
  [503, "Retryable/BackendUnavailable"],
  [504, "Retryable/BackendUnavailable"]
]

describe.each(transports)("errors over %s", (transport) => {
  const deadline = transport === "grpc" ? "Retryable/TimedOut" : "Retryable/BackendUnavailable"

  it.effect.each([...documented, ["DEADLINE_EXCEEDED", 504, "", deadline] as const])(
    '%s %i "%s" is %s',
    ([code, http, text, tag]) =>
      Effect.gen(function* () {
        const { kms, options } = yield* withKey(transport)
        const signer = yield* build(GcpKmsSigner.layerBare(options))
        const fault = Fault.vendorError(code, http, text)
        yield* kms.sign.push(fault)
        const error = yield* Effect.flip(signer.sign(message))
        assert.strictEqual(tagOf(error), tag)
        assert.strictEqual(error.operation, "sign")
        assert.strictEqual(error.keyId, options.key)
        const { cause } = error
        const said = cause instanceof SignerError.VendorError ? [cause.vendorName, cause.code] : []
        const [status, reason] = code.split("/")
        assert.deepStrictEqual(said, [status, reason])
        assert.notInclude(Canary.show(error), version3)
        // and while the layer is built; a wrong argument may be the wrong format, which is tried, too
        yield* kms.getPublicKey.push(fault, fault)
        const made = yield* Effect.flip(build(GcpKmsSigner.layerBare(options)))
        assert.deepStrictEqual([tagOf(made), made.operation], [tag, "make"])
      })
  )

  it.effect("a code that nobody knows is UnknownBackendError", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey(transport)
      const signer = yield* build(GcpKmsSigner.layerBare(options))
      yield* kms.sign.push(Fault.vendorError(transport === "grpc" ? "99" : "TOASTED", 418, "canary-text"))
      const error = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(error._tag, "UnknownBackendError")
      assert.notInclude(Canary.show(error), "canary-text")
    })
  )

  it.effect("what a server asks to wait is kept", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey(transport)
      const signer = yield* build(GcpKmsSigner.layerBare(options))
      yield* kms.sign.push(Fault.throttle({ retryAfterSeconds: 7 }), Fault.throttle())
      const [first, second] = [yield* Effect.flip(signer.sign(message)), yield* Effect.flip(signer.sign(message))]
      const waits = [first, second].map((error) =>
        error._tag === "Retryable" && error.reason._tag === "RateLimited" && error.reason.retryAfter !== undefined
          ? Duration.toSeconds(error.reason.retryAfter)
          : undefined
      )
      assert.deepStrictEqual(waits, [7, undefined])
    })
  )

  it.effect("what a hostile server sends back of the request is not shown, nor who the caller is", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey(transport, "EC_SIGN_ED25519")
      const signer = yield* build(GcpKmsSigner.layerBare(options))
      const caller = "canary-caller@acme.iam.gserviceaccount.com"
      const search = Canary.search([
        { name: "token", secret: tokenPrefix },
        { name: "message", secret: message },
        { name: "caller", secret: caller }
      ])
      for (const code of ["PERMISSION_DENIED", "INVALID_ARGUMENT", "FAILED_PRECONDITION", "INTERNAL", "UNKNOWN"]) {
        for (const text of [
          `token ${tokenPrefix}x refused`,
          `data ${Buffer.from(message).toString("base64")} refused for ${caller}`,
          `cloudkms.${caller} ${new TextDecoder().decode(message)}`,
          `cloudkms.cryptoKeyVersions.${Buffer.from(message).toString("base64")}`
        ]) {
          yield* kms.sign.push(Fault.vendorError(code, 400, text))
          const error = yield* Effect.flip(signer.sign(message))
          assert.isUndefined(search(Canary.show(error)), text)
          const json = yield* Schema.encodeEffect(Schema.toCodecJson(SignerError.SignerError))(error)
          assert.isUndefined(search(JSON.stringify(json)), text)
        }
      }
    })
  )
})

describe("errors", () => {
  it.effect.each(pages)("a page with status %i is %s", ([http, tag]) =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey("rest")
      // undici: `fetch` makes no answer of 407
      const httpClient = Context.get(yield* Layer.build(NodeHttpClient.layerUndici), HttpClient.HttpClient)
      const signer = yield* build(GcpKmsSigner.layerBare({ ...options, httpClient }))
      yield* kms.sign.push(Fault.htmlPage(http))
      assert.strictEqual(tagOf(yield* Effect.flip(signer.sign(message))), tag)
    })
  )

  it.live("a connection that another client carries works as well", () =>
    Effect.gen(function* () {
      const { options } = yield* withKey("rest")
      const httpClient = Context.get(yield* Layer.build(NodeHttpClient.layerUndici), HttpClient.HttpClient)
      const signer = yield* build(GcpKmsSigner.layer({ ...options, httpClient }))
      assert.isTrue(yield* isValid(signer, message, yield* signer.sign(message)))
    })
  )

  it.live("over gRPC the deadline of a request is its timeout, and no retry of the SDK follows", () =>
    Effect.gen(function* () {
      const { kms, options } = yield* withKey("grpc")
      const signer = yield* build(GcpKmsSigner.layerBare({ ...options, requestTimeout: "100 millis" as const }))
      yield* kms.sign.push(Fault.hang)
      const error = yield* Effect.flip(signer.sign(message))
      assert.isTrue(
        error._tag === "Retryable" &&
          error.reason._tag === "TimedOut" &&
          Duration.toMillis(error.reason.duration) === 100
      )
      yield* kms.sign.push(Fault.vendorError("UNAVAILABLE", 503))
      assert.strictEqual(tagOf(yield* Effect.flip(signer.sign(message))), "Retryable/BackendUnavailable")
      assert.strictEqual(yield* kms.recorder.count("asymmetricSign"), 2)
    })
  )
})

// ---------------------------------------------------------------------------
// faults
// ---------------------------------------------------------------------------

describe.each(transports)("faults over %s", (transport) => {
  faults({
    kinds: ["EC_SIGN_ED25519", "EC_SIGN_SECP256K1_SHA256"],
    sign: "asymmetricSign",
    subject: (kind) =>
      Effect.map(withKey(transport, kind), ({ key, kms, options }) => ({
        server: kms,
        reads: { getPublicKey: kms.getPublicKey, listCryptoKeyVersions: kms.list },
        rotate: kms.addVersion(key),
        bare: GcpKmsSigner.layerBare(options),
        layer: (resilience) =>
          // a deadline that does not end the call in our place
          GcpKmsSigner.layer({ ...options, resilience, requestTimeout: "1 hour" } as GcpKmsSigner.LayerOptions),
        lazy: GcpKmsSigner.layerBare({ ...options, algorithm: "Ed25519", lazy: true })
      })),
    outcomes: [
      ["Success", Fault.highS],
      ["Retryable/BackendUnavailable", Fault.vendorError("INTERNAL", 500), Fault.vendorError("UNAVAILABLE", 503)],
      ["Retryable/ResponseCorrupted", Fault.wrongChecksum, Fault.unverified],
      ["InvalidResponse", Fault.wrongName],
      ["InvalidConfiguration", Fault.htmlPage(404)]
    ],
    readsFirst: true,
    readAgain: [Fault.wrongChecksum],
    misread: [Fault.wrongName],
    secrets: [tokenPrefix],
    attempt: 400
  })
})
