import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Context, Duration, Effect, Layer, Redacted, Schedule, Schema, Scope } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { EcdsaSignature, KeyVersion, PublicKey, SignatureAlgorithm, Signer, SignerError } from "../../src/index.ts"
import * as AzureKeyVaultSigner from "../../src/layers/AzureKeyVaultSigner.ts"
import { Conformance } from "../../src/testing.ts"
import * as AzureKeyVaultEmulator from "../../src/testing/AzureKeyVaultEmulator.ts"
import * as Canary from "../../src/testing/Canary.ts"
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
  overheard,
  tagOf
} from "./support/cloudBackend.ts"

const { Fault } = AzureKeyVaultEmulator

type Vault = AzureKeyVaultEmulator.AzureKeyVaultEmulator["Service"]

const types: ReadonlyArray<readonly [SignatureAlgorithm.SignatureAlgorithm, AzureKeyVaultEmulator.KeyType]> = [
  ["ES256", "P-256"],
  ["ES384", "P-384"],
  ["ES512", "P-521"],
  ["ES256K", "P-256K"],
  ["PS256", "RSA-2048"],
  ["PS384", "RSA-2048"],
  ["PS512", "RSA-2048"],
  ["RS256", "RSA-2048"],
  ["RS384", "RSA-2048"],
  ["RS512", "RSA-2048"]
]

/** What every token begins with. */
const tokenPrefix = "canary-token-0123456789abcdefghij."

const rsaKeyOf = (type: AzureKeyVaultEmulator.KeyType) =>
  type === "RSA-2048" ? TestKey.make("PS256") : Effect.undefined

// ---------------------------------------------------------------------------
// conformance
// ---------------------------------------------------------------------------

/** One emulator for all cases of an algorithm, made when the first of them runs. */
const kitOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm, type: AzureKeyVaultEmulator.KeyType) => {
  const made = Effect.gen(function* () {
    const vault = yield* Scope.provide(AzureKeyVaultEmulator.make({ tokenPrefix }), Scope.makeUnsafe())
    yield* vault.createKey("kit", type, { privateKey: yield* rsaKeyOf(type), isHardware: type === "P-256K" })
    yield* vault.createKey("symmetric", "oct-HSM")
    yield* vault.createKey("disabled", type, { privateKey: yield* rsaKeyOf(type), isEnabled: false })
    return vault
  })
  const once = Effect.runSync(Effect.cached(made))
  const layerOf = (options: Partial<AzureKeyVaultSigner.LayerOptions> = {}) =>
    Layer.unwrap(
      Effect.map(once, ({ connection }) =>
        AzureKeyVaultSigner.layer({ ...connection, key: "kit", algorithm, resilience: atOnce, ...options }).pipe(
          Layer.provide(NodeHttpClient.layerUndici)
        )
      )
    )
  return {
    layer: layerOf(),
    faulty: [
      layerOf({ key: "none" }),
      layerOf({ key: "symmetric" }),
      layerOf({ key: "disabled" }),
      layerOf({ version: "0".repeat(32) }),
      layerOf({ algorithm: algorithm === "ES256" ? "ES384" : "ES256" }),
      layerOf({ vaultUrl: "http://127.0.0.1:1", resilience: { times: 0 } }),
      layerOf({
        credential: {
          getToken: async () => ({ token: `${tokenPrefix}refused`, expiresOnTimestamp: Date.now() + 3_600_000 })
        }
      }),
      layerOf({ credential: { getToken: () => Promise.reject(new Error(`${tokenPrefix}thrown`)) } })
    ],
    lazy: layerOf({ lazy: true }),
    bare: Layer.unwrap(
      Effect.map(once, ({ connection }) =>
        AzureKeyVaultSigner.layerBare({ ...connection, key: "kit", algorithm }).pipe(
          Layer.provide(NodeHttpClient.layerUndici)
        )
      )
    ),
    publicKeyReads: Effect.orDie(Effect.flatMap(once, ({ recorder }) => recorder.count("getKey")))
  }
}

for (const [algorithm, type] of types) {
  const { bare, faulty, layer, lazy, publicKeyReads } = kitOf(algorithm, type)
  Conformance.suite(it, `kit/azure/emulator/${algorithm}`, layer, { publicKeyReads, secrets: [tokenPrefix], faulty })
  if (algorithm === "ES256" || algorithm === "ES256K") {
    Conformance.suite(it, `kit/azure/emulator/${algorithm}/lazy`, lazy, { publicKeyReads })
    Conformance.suite(it, `kit/azure/emulator/${algorithm}/bare`, bare, { publicKeyReads })
  }
}

// ---------------------------------------------------------------------------
// what is sent
// ---------------------------------------------------------------------------

/** An emulator with one P-256 key. */
const withKey = Effect.gen(function* () {
  const vault = yield* AzureKeyVaultEmulator.make({ tokenPrefix })
  const key = yield* vault.createKey("release", "P-256")
  return { vault, key, options: { ...vault.connection, key: "release" } }
})

const version = "0123456789abcdef0123456789abcdef"

const fixed = {
  getToken: async () => ({ token: `${tokenPrefix}fixed`, expiresOnTimestamp: Number.MAX_SAFE_INTEGER })
}

/** A client with any answers, in turn; the last for ever. */
const answers = (...given: Parameters<typeof answering>) => Layer.succeed(HttpClient.HttpClient, answering(...given))

const buildWith = (options: Partial<AzureKeyVaultSigner.Options>, client: Layer.Layer<HttpClient.HttpClient>) =>
  Effect.map(
    Layer.build(
      AzureKeyVaultSigner.layerBare({
        vaultUrl: "https://canary.vault.azure.net",
        key: "release",
        credential: fixed,
        ...options
      }).pipe(Layer.provide(client))
    ),
    (context) => Context.get(context, Signer.Signer)
  )

describe("requests", () => {
  it.effect.each([
    { algorithm: "ES256", type: "P-256", length: 32 },
    { algorithm: "ES384", type: "P-384", length: 48 },
    { algorithm: "ES512", type: "P-521", length: 64 },
    { algorithm: "ES256K", type: "P-256K", length: 32 },
    { algorithm: "PS384", type: "RSA-2048", length: 48 },
    { algorithm: "RS512", type: "RSA-2048", length: 64 }
  ] as const)("$algorithm is asked for by its name, with a digest of $length bytes", ({ algorithm, length, type }) =>
    Effect.gen(function* () {
      const vault = yield* AzureKeyVaultEmulator.make()
      const key = yield* vault.createKey("release", type, { privateKey: yield* rsaKeyOf(type) })
      const signer = yield* build(AzureKeyVaultSigner.layer({ ...vault.connection, key: "release", algorithm }))
      const signature = yield* signer.sign(message)
      const [{ alg, value, version } = {}] = yield* inputsOf(vault.recorder, "sign")
      assert.deepStrictEqual([alg, version], [algorithm, yield* key.version])
      assert.strictEqual(Buffer.from(String(value), "base64url").length, length)
      assert.strictEqual(signature.keyVersion, yield* key.version)
      assert.strictEqual(signature.keyId, `${vault.url}/keys/release`)
    })
  )

  it.effect("the token is a header, the version is in the path, and no challenge is waited for", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      const requests: Array<Seen> = []
      const layer = AzureKeyVaultSigner.layer(options).pipe(Layer.provide(overheard(requests)))
      const signer = Context.get(yield* Layer.build(layer), Signer.Signer)
      yield* signer.sign(message)
      assert.deepStrictEqual(
        requests.map(({ method, url }) => `${method} ${new URL(url).pathname}`),
        ["GET /keys/release", `POST /keys/release/${yield* key.version}/sign`]
      )
      for (const { headers } of requests) {
        assert.match(headers["authorization"]!, new RegExp(`^Bearer ${tokenPrefix.replaceAll(".", "\\.")}`))
      }
      assert.deepStrictEqual(yield* inputsOf(vault.recorder, "getToken"), [
        { scopes: "https://vault.azure.net/.default" }
      ])
    })
  )

  it.effect("the key is read once while the layer is built, with or without algorithm and version", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      for (const more of [{}, { algorithm: "ES256" as const }, { version: yield* key.version }]) {
        const before = yield* vault.recorder.count("getKey")
        const signer = yield* build(AzureKeyVaultSigner.layer({ ...options, ...more }))
        yield* signer.sign(message)
        yield* signer.publicKey()
        yield* signer.publicKey(yield* key.version)
        assert.strictEqual((yield* vault.recorder.count("getKey")) - before, 1)
      }
    })
  )

  it.effect("with lazy and a version, a signature is one request", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      const version = yield* key.version
      const signer = yield* build(
        AzureKeyVaultSigner.layerBare({ ...options, version, algorithm: "ES256", lazy: true })
      )
      assert.strictEqual(yield* vault.recorder.count(), 0)
      yield* signer.sign(message)
      assert.deepStrictEqual([yield* vault.recorder.count("sign"), yield* vault.recorder.count("getKey")], [1, 0])
    })
  )

  it.effect("an ES256K signature is low-S, whatever the service makes", () =>
    Effect.gen(function* () {
      const vault = yield* AzureKeyVaultEmulator.make()
      yield* vault.createKey("release", "P-256K")
      const signer = yield* build(AzureKeyVaultSigner.layer({ ...vault.connection, key: "release" }))
      assert.strictEqual(signer.algorithm, "ES256K")
      yield* vault.sign.always(Fault.highS)
      for (let i = 0; i < 8; i++) {
        const { bytes } = yield* signer.sign(Uint8Array.of(i))
        assert.isTrue(EcdsaSignature.isLowS(bytes))
      }
    })
  )

  it.effect.each([
    ["https://a.vault.azure.net", "https://vault.azure.net/.default"],
    ["https://a.managedhsm.azure.net/", "https://managedhsm.azure.net/.default"],
    ["https://a.vault.azure.cn", "https://vault.azure.cn/.default"],
    ["https://a.managedhsm.azure.cn", "https://managedhsm.azure.cn/.default"],
    ["https://a.vault.usgovcloudapi.net", "https://vault.usgovcloudapi.net/.default"],
    ["https://a.managedhsm.usgovcloudapi.net", "https://managedhsm.usgovcloudapi.net/.default"],
    ["https://a.vault.microsoftazure.de", "https://vault.microsoftazure.de/.default"]
  ] as const)("the token for %s is for %s", ([vaultUrl, scope]) =>
    Effect.gen(function* () {
      const scopes: Array<string | Array<string>> = []
      const credential: AzureKeyVaultSigner.TokenCredential = {
        getToken: async (scope) => {
          scopes.push(scope)
          return { token: "t", expiresOnTimestamp: Number.MAX_SAFE_INTEGER }
        }
      }
      const client = answers([() => new Response("{}", { status: 429 })])
      yield* Effect.flip(buildWith({ vaultUrl, credential }, client))
      yield* Effect.flip(buildWith({ vaultUrl, credential, scope: "https://other/.default" }, client))
      assert.deepStrictEqual(scopes, [scope, "https://other/.default"])
    })
  )

  it.effect("the identifier of a key, or of a version, names both", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      const { key: _, ...connection } = options
      const first = yield* key.version
      yield* vault.addVersion(key)
      for (const [path, expected] of [
        ["/keys/release", yield* key.version],
        [`/keys/release/${first}`, first]
      ] as const) {
        const signer = yield* build(AzureKeyVaultSigner.layer({ ...connection, vaultUrl: `${vault.url}${path}` }))
        assert.strictEqual((yield* signer.sign(message)).keyVersion, expected)
        assert.strictEqual(signer.keyId, `${vault.url}/keys/release`)
      }
    })
  )
})

// ---------------------------------------------------------------------------
// versions
// ---------------------------------------------------------------------------

describe("versions", () => {
  it.effect("a version that is added signs nothing: still the pinned key", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      const first = yield* key.version
      const signer = yield* build(AzureKeyVaultSigner.layer(options))
      const before = yield* signer.publicKey()
      const second = yield* vault.addVersion(key)
      const signature = yield* signer.sign(message)
      assert.strictEqual(signature.keyVersion, first)
      assert.isTrue(yield* isValid(signer, message, signature))
      assert.isTrue(PublicKey.sameKey(yield* signer.publicKey(), before))
      // and the next Signer has the new one
      const next = yield* build(AzureKeyVaultSigner.layer(options))
      assert.strictEqual((yield* next.sign(message)).keyVersion, second)
      assert.isFalse(PublicKey.sameKey(yield* next.publicKey(), before))
    })
  )

  it.live("while versions are added, 500 signatures are of the pinned one", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      const first = yield* key.version
      const signer = yield* build(AzureKeyVaultSigner.layer({ ...options, resilience: { times: 0 } }))
      yield* Effect.forkScoped(Effect.repeat(Effect.orDie(vault.addVersion(key)), Schedule.spaced("5 millis")))
      const versions = yield* Effect.forEach(
        Array.from({ length: 500 }),
        () => Effect.map(signer.sign(message), ({ keyVersion }) => keyVersion),
        { concurrency: 16 }
      )
      assert.notStrictEqual(yield* key.version, first)
      assert.deepStrictEqual([...new Set(versions)], [first])
    })
  )

  it.effect("lazy pins what is current at the first use, for keys and signatures alike", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      const signer = yield* build(AzureKeyVaultSigner.layer({ ...options, algorithm: "ES256", lazy: true }))
      yield* vault.addVersion(key)
      const second = yield* key.version
      const signatures = yield* Effect.forEach([1, 2, 3], () => signer.sign(message), { concurrency: "unbounded" })
      yield* vault.addVersion(key)
      assert.deepStrictEqual(
        [...signatures, yield* signer.sign(message)].map(({ keyVersion }) => keyVersion),
        [second, second, second, second]
      )
      assert.isTrue(PublicKey.sameKey(yield* signer.publicKey(), yield* key.publicKey(second)))
      assert.strictEqual(yield* vault.recorder.count("getKey"), 1)
    })
  )

  it.effect("the public key of another version can be read, also of one that is disabled", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      const first = yield* key.version
      const old = yield* build(AzureKeyVaultSigner.layer(options))
      const signature = yield* old.sign(message)
      yield* vault.addVersion(key)
      yield* vault.setEnabled(key, false, first)
      const signer = yield* build(AzureKeyVaultSigner.layer(options))
      assert.isTrue(yield* isValid(signer, message, signature))
      assert.strictEqual(tagOf(yield* Effect.flip(signer.publicKey(KeyVersion.make("f".repeat(32))))), "KeyNotFound")
      const reads = yield* vault.recorder.count("getKey")
      for (const none of ["../../secrets", "a/b", "latest version", "__proto__", "?"]) {
        assert.strictEqual(tagOf(yield* Effect.flip(signer.publicKey(KeyVersion.make(none)))), "KeyNotFound")
      }
      assert.strictEqual(yield* vault.recorder.count("getKey"), reads)
    })
  )

  it.effect.each([
    `https://canary.vault.azure.net/keys/release/${"f".repeat(32)}`,
    `https://canary.vault.azure.net/keys/other/${version}`,
    `https://canary.vault.azure.net/secrets/release/${version}`,
    "https://canary.vault.azure.net/keys/release",
    `release/${version}`,
    ""
  ])('a signature of "%s" is InvalidResponse', (kid) =>
    Effect.gen(function* () {
      const client = answers([() => Response.json({ kid, value: Buffer.alloc(64, 1).toString("base64url") })])
      const signer = yield* buildWith({ version, algorithm: "ES256", lazy: true }, client)
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "InvalidResponse")
    })
  )

  it.effect("the name in an answer may be in another case, and the host that of the vault", () =>
    Effect.gen(function* () {
      const kid = `https://real.vault.azure.net/keys/RELEASE/${version}`
      const client = answers([() => Response.json({ kid, value: Buffer.alloc(64, 1).toString("base64url") })])
      const signer = yield* buildWith({ version, algorithm: "ES256", lazy: true }, client)
      assert.strictEqual((yield* signer.sign(message)).keyVersion, version)
    })
  )
})

// ---------------------------------------------------------------------------
// keys
// ---------------------------------------------------------------------------

describe("keys", () => {
  it.effect("the algorithm is the one that the key can do", () =>
    Effect.gen(function* () {
      const vault = yield* AzureKeyVaultEmulator.make()
      for (const [algorithm, type] of types.filter(([, type]) => type !== "RSA-2048")) {
        for (const isHardware of [false, true]) {
          yield* vault.createKey(type, type, { isHardware })
          const signer = yield* build(AzureKeyVaultSigner.layer({ ...vault.connection, key: type }))
          assert.strictEqual(signer.algorithm, algorithm)
        }
      }
    })
  )

  it.effect.each([
    { type: "RSA-2048", algorithm: undefined, problem: "PS256, PS384, PS512, RS256, RS384, RS512" },
    { type: "P-256", algorithm: "ES384", problem: "it can do ES256" },
    { type: "P-256K", algorithm: "ES256", problem: "it can do ES256K" },
    { type: "RSA-2048", algorithm: "ES256", problem: "cannot do ES256" }
  ] as const)("$algorithm for $type is InvalidConfiguration", ({ algorithm, problem, type }) =>
    Effect.gen(function* () {
      const vault = yield* AzureKeyVaultEmulator.make()
      yield* vault.createKey("release", type, { privateKey: yield* rsaKeyOf(type) })
      const error = yield* Effect.flip(
        build(AzureKeyVaultSigner.layer({ ...vault.connection, key: "release", algorithm }))
      )
      assert.isTrue(error._tag === "InvalidConfiguration" && error.field === "algorithm", error.message)
      assert.include(error.message, problem)
    })
  )

  it.effect.each(["Ed25519", "BIP340", "BIP341", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"] as const)(
    "%s is UnsupportedAlgorithm that says that Azure has none, and nothing is asked",
    (algorithm) =>
      Effect.gen(function* () {
        const { options, vault } = yield* withKey
        const error = yield* Effect.flip(build(AzureKeyVaultSigner.layer({ ...options, algorithm })))
        assert.strictEqual(error._tag, "UnsupportedAlgorithm")
        assert.include(error.message, "Azure Key Vault and Managed HSM do not have it")
        assert.strictEqual(yield* vault.recorder.count(), 0)
      })
  )

  it.effect(
    "a key that is disabled, expired, not yet valid, deleted or not for signing fails while the layer is built",
    () =>
      Effect.gen(function* () {
        const vault = yield* AzureKeyVaultEmulator.make()
        yield* TestClock.adjust("1 day")
        const now = Duration.toMillis("1 day")
        const fails = (key: string) => Effect.flip(build(AzureKeyVaultSigner.layer({ ...vault.connection, key })))
        const states: ReadonlyArray<readonly [string, Parameters<Vault["createKey"]>[2], string]> = [
          ["disabled", { isEnabled: false }, "disabled"],
          ["expired", { expires: now - 600_000 }, "expired"],
          ["early", { notBefore: now + 600_000 }, "not yet valid"]
        ]
        for (const [name, options, state] of states) {
          yield* vault.createKey(name, "P-256", options)
          const error = yield* fails(name)
          assert.isTrue(error._tag === "KeyUnavailable" && error.state === state, error.message)
        }
        yield* vault.createKey("symmetric", "oct-HSM")
        assert.strictEqual(tagOf(yield* fails("symmetric")), "KeyNotSigner")
        yield* vault.createKey("verifier", "P-256", { operations: ["verify"] })
        assert.strictEqual(tagOf(yield* fails("verifier")), "KeyNotSigner")
        assert.strictEqual(tagOf(yield* fails("none")), "KeyNotFound")
        const deleted = yield* vault.createKey("deleted", "P-256")
        yield* vault.deleteKey(deleted)
        assert.strictEqual(tagOf(yield* fails("deleted")), "KeyNotFound")
        yield* vault.recoverKey(deleted)
        yield* build(AzureKeyVaultSigner.layer({ ...vault.connection, key: "deleted" }))
      })
  )

  it.effect("a clock that is wrong by minutes decides nothing: the service has the last word", () =>
    Effect.gen(function* () {
      const vault = yield* AzureKeyVaultEmulator.make()
      yield* TestClock.adjust("1 day")
      const now = Duration.toMillis("1 day")
      const states: ReadonlyArray<readonly [string, Parameters<Vault["createKey"]>[2], string]> = [
        ["expired", { expires: now - 60_000 }, "expired"],
        ["early", { notBefore: now + 60_000 }, "not yet valid"]
      ]
      for (const [name, options, state] of states) {
        yield* vault.createKey(name, "P-256", options)
        const signer = yield* build(AzureKeyVaultSigner.layer({ ...vault.connection, key: name }))
        const error = yield* Effect.flip(signer.sign(message))
        assert.isTrue(error._tag === "KeyUnavailable" && error.state === state, error.message)
        assert.strictEqual(error.operation, "sign")
      }
    })
  )

  it.effect("what happens to a key afterwards is said by the next signature", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      const signer = yield* build(AzureKeyVaultSigner.layer(options))
      yield* vault.setEnabled(key, false)
      const disabled = yield* Effect.flip(signer.sign(message))
      assert.isTrue(disabled._tag === "KeyUnavailable" && disabled.state === "disabled", disabled.message)
      yield* vault.setEnabled(key, true)
      yield* vault.deleteKey(key)
      assert.strictEqual(tagOf(yield* Effect.flip(signer.sign(message))), "KeyNotFound")
      yield* vault.recoverKey(key)
      yield* signer.sign(message)
    })
  )

  const jwk = {
    kid: `https://canary.vault.azure.net/keys/release/${version}`,
    kty: "EC",
    crv: "P-256",
    key_ops: ["sign"],
    x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
  }
  const reading = (key: object) =>
    Effect.result(buildWith({}, answers([() => Response.json({ key, attributes: { enabled: true } })])))

  it.effect("numbers with leading zeros, or without those of a coordinate, are read", () =>
    Effect.gen(function* () {
      const plain = yield* reading(jwk)
      assert.strictEqual(plain._tag, "Success")
      const zeros = yield* reading({
        ...jwk,
        x: Buffer.concat([new Uint8Array(2), Buffer.from(jwk.x, "base64url")]).toString("base64url")
      })
      assert.strictEqual(zeros._tag, "Success")
      // a coordinate that begins with a zero byte, in fewer bytes
      let key = yield* TestKey.make("ES256", "0")
      while (key.publicKey.bytes[1] !== 0) key = yield* TestKey.make("ES256", key.publicKey.bytes)
      const { x, y } = PublicKey.toJwk(key.publicKey) as { readonly x: string; readonly y: string }
      const short = yield* reading({ ...jwk, x: Buffer.from(x, "base64url").subarray(1).toString("base64url"), y })
      assert.isTrue(short._tag === "Success" && PublicKey.sameKey(yield* short.success.publicKey(), key.publicKey))
    })
  )

  it.effect.each([
    { key: { ...jwk, kid: "https://canary.vault.azure.net/keys/other/0123" }, tag: "InvalidResponse" },
    { key: { ...jwk, kid: "https://canary.vault.azure.net/keys/release" }, tag: "InvalidResponse" },
    { key: { ...jwk, kid: "?" }, tag: "InvalidResponse" },
    { key: { ...jwk, x: jwk.y }, tag: "InvalidResponse" },
    { key: { ...jwk, x: `${jwk.x}AAAA` }, tag: "InvalidResponse" },
    { key: { ...jwk, x: "" }, tag: "InvalidResponse" },
    { key: { ...jwk, x: undefined }, tag: "InvalidResponse" },
    { key: { ...jwk, kty: "RSA" }, tag: "InvalidResponse" },
    { key: { ...jwk, kty: "OKP", crv: "Ed25519" }, tag: "UnsupportedAlgorithm" },
    { key: { ...jwk, crv: "P-192" }, tag: "UnsupportedAlgorithm" },
    { key: { ...jwk, crv: "toString" }, tag: "UnsupportedAlgorithm" },
    { key: { ...jwk, kty: "oct" }, tag: "KeyNotSigner" },
    { key: { ...jwk, key_ops: ["verify"] }, tag: "KeyNotSigner" },
    { key: undefined, tag: "InvalidResponse" }
  ])("a key that is $key.kty $key.crv $key.kid $key.x is $tag", ({ key, tag }) =>
    Effect.gen(function* () {
      const result = yield* reading(key as never)
      assert.isTrue(result._tag === "Failure" && result.failure._tag === tag, JSON.stringify(result))
    })
  )
})

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

describe("options", () => {
  const given = { vaultUrl: "https://canary.vault.azure.net", key: "release", credential: fixed }

  it.effect.each([
    { options: { ...given, vaultUrl: "canary" }, field: "vaultUrl" },
    { options: { ...given, vaultUrl: "http://canary.vault.azure.net" }, field: "vaultUrl" },
    { options: { ...given, vaultUrl: "ftp://canary.vault.azure.net" }, field: "vaultUrl" },
    { options: { ...given, vaultUrl: "https://user:canary-password@a.vault.azure.net" }, field: "vaultUrl" },
    { options: { ...given, vaultUrl: "https://a.vault.azure.net/?a=b" }, field: "vaultUrl" },
    { options: { ...given, vaultUrl: "https://a.vault.azure.net/secrets/release" }, field: "vaultUrl" },
    { options: { ...given, vaultUrl: "https://a.vault.azure.net/keys/release/0123/sign" }, field: "vaultUrl" },
    { options: { ...given, vaultUrl: "https://a.vault.azure.net/keys/other" }, field: "key" },
    {
      options: { ...given, vaultUrl: "https://a.vault.azure.net/keys/release/0123", version: "4567" },
      field: "version"
    },
    { options: { ...given, vaultUrl: "https://vault.example.com" }, field: "scope" },
    { options: { ...given, vaultUrl: "https://evilvault.azure.net.example.com" }, field: "scope" },
    { options: { ...given, vaultUrl: "https://evilvault.azure.net" }, field: "scope" },
    { options: { ...given, scope: "a b" }, field: "scope" },
    { options: { ...given, key: undefined }, field: "key" },
    { options: { ...given, key: "" }, field: "key" },
    { options: { ...given, key: ".." }, field: "key" },
    { options: { ...given, key: "a/b" }, field: "key" },
    { options: { ...given, key: "a?b" }, field: "key" },
    { options: { ...given, key: "a\r\nb" }, field: "key" },
    { options: { ...given, key: "a".repeat(128) }, field: "key" },
    { options: { ...given, version: "../other" }, field: "version" },
    { options: { ...given, version: "" }, field: "version" },
    { options: { ...given, lazy: true }, field: "algorithm" },
    { options: { ...given, apiVersion: "7.4&a=b" }, field: "apiVersion" }
  ] as ReadonlyArray<{ options: AzureKeyVaultSigner.Options; field: string }>)(
    "$options is InvalidConfiguration of $field",
    ({ field, options }) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(build(AzureKeyVaultSigner.layer(options)))
        assert.isTrue(error._tag === "InvalidConfiguration" && error.field === field, error.message)
        assert.notInclude(Canary.show(error), "canary-")
      })
  )

  it.effect("a public key that is not the expected one signs nothing", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      const { publicKey } = yield* TestKey.make("ES256")
      const error = yield* Effect.flip(build(AzureKeyVaultSigner.layer({ ...options, expectedPublicKey: publicKey })))
      assert.strictEqual(error._tag, "InvalidResponse")
      assert.strictEqual(yield* vault.recorder.count("sign"), 0)
      yield* build(AzureKeyVaultSigner.layer({ ...options, expectedPublicKey: yield* key.publicKey() }))
    })
  )

  it.effect("layerConfig reads what it is told, and the environment by default", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      const provided = (env: Record<string, string>) =>
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
      const told = AzureKeyVaultSigner.layerConfig({
        vaultUrl: Config.String("OTHER"),
        credential: Config.succeed(options.credential),
        scope: Config.succeed(options.scope)
      })
      const signer = yield* provided({ OTHER: yield* key.id })(build(told))
      assert.strictEqual((yield* signer.sign(message)).keyVersion, yield* key.version)

      const minimal = { AZURE_KEYVAULT_URL: vault.url, A1_AZURE_KEY: "release" }
      assert.deepStrictEqual(yield* provided(minimal)(AzureKeyVaultSigner.environment), {
        vaultUrl: vault.url,
        key: "release",
        version: undefined,
        algorithm: undefined,
        credential: undefined
      })
      const { credential, ...read } = yield* provided({
        ...minimal,
        A1_AZURE_KEY_VERSION: version,
        A1_AZURE_ALGORITHM: "ES256",
        AZURE_TENANT_ID: "tenant",
        AZURE_CLIENT_ID: "client",
        AZURE_CLIENT_SECRET: "canary-secret"
      })(AzureKeyVaultSigner.environment)
      assert.deepStrictEqual(read, { vaultUrl: vault.url, key: "release", version, algorithm: "ES256" })
      const secret = credential as AzureKeyVaultSigner.ClientSecret
      assert.deepStrictEqual([secret.tenantId, secret.clientId], ["tenant", "client"])
      assert.strictEqual(Redacted.value(secret.clientSecret), "canary-secret")
      assert.notInclude(Canary.show(credential), "canary-secret")
      const error = yield* Effect.flip(provided({ A1_AZURE_KEY: "k" })(build(AzureKeyVaultSigner.layerConfig())))
      assert.strictEqual(error._tag, "ConfigError")
    })
  )
})

// ---------------------------------------------------------------------------
// tokens
// ---------------------------------------------------------------------------

describe("tokens", () => {
  it.effect("one is asked for, however many requests wait for it, and kept", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      const signer = yield* build(
        AzureKeyVaultSigner.layer({ ...options, version: yield* key.version, algorithm: "ES256", lazy: true })
      )
      yield* Effect.forEach(Array.from({ length: 100 }), () => signer.sign(message), { concurrency: "unbounded" })
      assert.strictEqual(yield* vault.recorder.count("getToken"), 1)
    })
  )

  it.effect("it is asked for again shortly before it expires, and not after", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const signer = yield* build(AzureKeyVaultSigner.layerBare(options))
      yield* TestClock.adjust("57 minutes")
      yield* signer.sign(message)
      assert.strictEqual(yield* vault.recorder.count("getToken"), 1)
      yield* TestClock.adjust("90 seconds")
      yield* signer.sign(message)
      assert.strictEqual(yield* vault.recorder.count("getToken"), 2)
      assert.strictEqual(yield* vault.recorder.count("sign"), 2)
      for (let hour = 0; hour < 5; hour++) {
        yield* TestClock.adjust("1 hour")
        yield* signer.sign(message)
      }
      assert.strictEqual(yield* vault.recorder.count("sign"), 7)
    })
  )

  it.effect("one that is refused is replaced once, for all that were refused", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const signer = yield* build(AzureKeyVaultSigner.layerBare(options))
      yield* vault.revokeTokens
      yield* Effect.forEach(Array.from({ length: 20 }), () => signer.sign(message), { concurrency: "unbounded" })
      assert.strictEqual(yield* vault.recorder.count("getToken"), 2)
      assert.isAtMost(yield* vault.recorder.count("sign"), 40)
    })
  )

  it.effect("the same token is not sent a second time, and a second one that is refused is the last", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      let given = 0
      const credentialOf = (token: () => string): AzureKeyVaultSigner.TokenCredential => ({
        getToken: async () => {
          given++
          return { token: token(), expiresOnTimestamp: Number.MAX_SAFE_INTEGER }
        }
      })
      for (const [token, requests] of [
        [() => "canary-same", 1],
        [() => `canary-other-${given}`, 2]
      ] as const) {
        given = 0
        const before = yield* vault.recorder.count("getKey")
        const error = yield* Effect.flip(
          build(AzureKeyVaultSigner.layerBare({ ...options, credential: credentialOf(token) }))
        )
        assert.strictEqual(error._tag, "AuthenticationFailed")
        assert.notInclude(Canary.show(error), "canary-")
        assert.deepStrictEqual([given, (yield* vault.recorder.count("getKey")) - before], [2, requests])
      }
    })
  )

  it.effect("the claims of a refusal are passed on, once", () =>
    Effect.gen(function* () {
      const claims = JSON.stringify({ access_token: { nbf: { essential: true, value: "1700000000" } } })
      const asked: Array<string | undefined> = []
      const credential: AzureKeyVaultSigner.TokenCredential = {
        getToken: async (_, options) => {
          asked.push(options?.claims)
          assert.isTrue(options?.enableCae)
          return { token: `t${asked.length}`, expiresOnTimestamp: Number.MAX_SAFE_INTEGER }
        }
      }
      const requests: Array<Seen> = []
      const client = answers(
        [
          () =>
            new Response("{}", {
              status: 401,
              headers: {
                "www-authenticate": `Bearer realm="", error="insufficient_claims", claims="${Buffer.from(claims).toString("base64")}"`
              }
            }),
          () =>
            Response.json({
              kid: `https://a.vault.azure.net/keys/release/${version}`,
              value: Buffer.alloc(64, 1).toString("base64url")
            })
        ],
        requests
      )
      const signer = yield* buildWith({ version, algorithm: "ES256", lazy: true, credential }, client)
      yield* signer.sign(message)
      assert.deepStrictEqual(asked, [undefined, claims])
      assert.deepStrictEqual(
        requests.map(({ headers }) => headers["authorization"]),
        ["Bearer t1", "Bearer t2"]
      )
    })
  )

  class CredentialUnavailableError extends Error {
    override readonly name = "CredentialUnavailableError"
  }
  const authenticationError = (statusCode: number, text: string) =>
    Object.assign(new Error(text), {
      name: "AuthenticationError",
      statusCode,
      errorResponse: { error: "invalid_client", errorDescription: text }
    })

  it.effect.each([
    {
      thrown: new CredentialUnavailableError("canary-secret"),
      tag: "AuthenticationFailed",
      shows: "CredentialUnavailable"
    },
    {
      thrown: authenticationError(401, "AADSTS7000215: Invalid client secret canary-secret provided."),
      tag: "AuthenticationFailed",
      shows: "AADSTS7000215"
    },
    { thrown: authenticationError(400, "canary-secret"), tag: "AuthenticationFailed", shows: "invalid_client" },
    { thrown: authenticationError(429, "canary-secret"), tag: "Retryable/RateLimited", shows: "429" },
    { thrown: authenticationError(503, "canary-secret"), tag: "Retryable/BackendUnavailable", shows: "503" },
    {
      thrown: Object.assign(new Error("canary-secret"), { name: "RestError", code: "ENOTFOUND" }),
      tag: "Retryable/BackendUnavailable",
      shows: "ENOTFOUND"
    },
    { thrown: "canary-secret", tag: "AuthenticationFailed", shows: "" },
    { thrown: undefined, tag: "AuthenticationFailed", shows: "" }
  ])("a credential that throws $thrown.name $thrown.statusCode is $tag", ({ shows, tag, thrown }) =>
    Effect.gen(function* () {
      const { options } = yield* withKey
      for (const getToken of [
        () => Promise.reject(thrown),
        () => {
          throw thrown
        }
      ]) {
        const error = yield* Effect.flip(build(AzureKeyVaultSigner.layerBare({ ...options, credential: { getToken } })))
        assert.strictEqual(tagOf(error), tag)
        assert.notInclude(Canary.show(error), "canary-secret")
        assert.include(Canary.show(error), shows)
      }
    })
  )

  it.effect.each([
    { given: null, tag: "AuthenticationFailed" },
    { given: undefined, tag: "AuthenticationFailed" },
    { given: { token: "canary token", expiresOnTimestamp: 1e15 }, tag: "InvalidConfiguration" },
    { given: { token: "canary-token\r\nx: y", expiresOnTimestamp: 1e15 }, tag: "InvalidConfiguration" },
    { given: { token: "", expiresOnTimestamp: 1e15 }, tag: "InvalidConfiguration" },
    { given: { token: "canary-token", expiresOnTimestamp: "tomorrow" }, tag: "InvalidConfiguration" }
  ])("a credential that gives $given is $tag", ({ given, tag }) =>
    Effect.gen(function* () {
      const { options } = yield* withKey
      const credential = { getToken: async () => given as never }
      const error = yield* Effect.flip(build(AzureKeyVaultSigner.layerBare({ ...options, credential })))
      assert.strictEqual(error._tag, tag)
      assert.notInclude(Canary.show(error), "canary")
    })
  )

  it.live("a credential that hangs is timed out and aborted, and asked again", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      let asked = 0
      let aborted = 0
      const credential: AzureKeyVaultSigner.TokenCredential = {
        getToken: (scope, given) => {
          if (asked++ > 0) return vault.credential.getToken(scope)
          given?.abortSignal?.addEventListener("abort", () => void aborted++)
          return new Promise(() => {})
        }
      }
      const signer = yield* build(
        AzureKeyVaultSigner.layer({ ...options, credential, resilience: { ...atOnce, timeout: "50 millis" } })
      )
      yield* signer.sign(message)
      assert.deepStrictEqual([asked, aborted], [2, 1])
    })
  )

  it.live("without a credential, and with a client secret, @azure/identity is asked", () =>
    Effect.gen(function* () {
      const { options } = yield* withKey
      const error = yield* Effect.flip(
        build(
          AzureKeyVaultSigner.layerBare({
            ...options,
            credential: { tenantId: "not a tenant", clientId: "c", clientSecret: Redacted.make("canary-secret") }
          })
        )
      )
      assert.isTrue(error._tag === "InvalidConfiguration" && error.field === "credential", error.message)
      assert.notInclude(Canary.show(error), "canary-secret")
      // nothing is asked of it before the first request
      const { credential: _, ...rest } = options
      const signer = yield* build(AzureKeyVaultSigner.layer({ ...rest, algorithm: "ES256", lazy: true }))
      assert.strictEqual(signer.backend, "azure-key-vault")
    })
  )
})

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/** What is documented, and seen in the wild, with what it becomes. */
const documented: ReadonlyArray<readonly [status: number, code: string, text: string, tag: string]> = [
  [400, "BadParameter", "Property  alg has invalid value", "InvalidConfiguration"],
  [401, "Unauthorized", "AKV10022: Invalid audience. Expected https://vault.azure.net", "AuthenticationFailed"],
  [401, "Unauthorized", "AKV10032: Invalid issuer.", "AuthenticationFailed"],
  [403, "Forbidden/KeyDisabled", "Operation sign is not allowed on a disabled key.", "KeyUnavailable"],
  [403, "Forbidden", "Operation sign is not allowed on a disabled key.", "KeyUnavailable"],
  [403, "Forbidden", "Operation sign is not allowed on an expired key.", "KeyUnavailable"],
  [403, "Forbidden", "The key is not yet valid.", "KeyUnavailable"],
  [403, "Forbidden/KeyNotYetValid", "", "KeyUnavailable"],
  [403, "Forbidden/KeyExpired", "", "KeyUnavailable"],
  [403, "Forbidden/KeyNotYetValidOrExpired", "outside the validity period", "KeyUnavailable"],
  [403, "Forbidden/ForbiddenByPolicy", "does not have keys sign permission", "PermissionDenied"],
  [403, "Forbidden/ForbiddenByRbac", "Caller is not authorized to perform action on resource.", "PermissionDenied"],
  [403, "Forbidden/ForbiddenByFirewall", "Client address is not authorized", "PermissionDenied"],
  [403, "Forbidden/ForbiddenByConnection", "Public network access is disabled", "PermissionDenied"],
  [403, "Forbidden", "", "PermissionDenied"],
  [403, "Forbidden", "Operation sign is not permitted on this key.", "KeyNotSigner"],
  [404, "KeyNotFound", "A key with (name/id) release was not found in this key vault.", "KeyNotFound"],
  [405, "", "", "InvalidConfiguration"],
  [407, "", "", "InvalidConfiguration"],
  [408, "", "", "Retryable/BackendUnavailable"],
  [
    409,
    "Conflict/ObjectIsDeletedButRecoverable",
    "Key release is currently in a deleted but recoverable state",
    "KeyUnavailable"
  ],
  [409, "Conflict", "Key release is currently in a deleted but recoverable state", "KeyUnavailable"],
  [409, "Conflict/ObjectIsBeingDeleted", "", "KeyUnavailable"],
  [409, "Conflict/ObjectIsBeingRecovered", "", "KeyUnavailable"],
  [409, "ConflictError", "", "KeyUnavailable"],
  [429, "Throttled", "Request was not processed because too many requests were received.", "Retryable/RateLimited"],
  [500, "InternalServerError", "", "Retryable/BackendUnavailable"],
  [502, "", "", "Retryable/BackendUnavailable"],
  [503, "ServiceUnavailable", "", "Retryable/BackendUnavailable"],
  [504, "", "", "Retryable/BackendUnavailable"],
  // a proxy that says so, whatever it says
  [429, "Forbidden/KeyDisabled", "", "Retryable/RateLimited"],
  [503, "Forbidden/KeyDisabled", "", "Retryable/BackendUnavailable"],
  // not documented
  [418, "", "", "UnknownBackendError"],
  [403, "Forbidden/toString", "", "PermissionDenied"]
]

describe("errors", () => {
  it.effect.each(documented)('status %i with %s "%s" is %s', ([status, code, text, tag]) =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const signer = yield* build(AzureKeyVaultSigner.layerBare(options))
      const fault = Fault.vendorError(code, status, text)
      // no 401 is sent again: the credential has no other token
      yield* vault.sign.push(fault)
      const error = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(tagOf(error), tag)
      assert.strictEqual(error.operation, "sign")
      const { cause } = error
      assert.isTrue(cause instanceof SignerError.VendorError && cause.status === status)
      assert.match(cause instanceof SignerError.VendorError ? cause.requestId! : "", /^[0-9a-f-]{36}$/)
      // and while the layer is built
      yield* vault.getKey.push(fault)
      const made = yield* Effect.flip(build(AzureKeyVaultSigner.layerBare(options)))
      assert.deepStrictEqual([tagOf(made), made.operation], [tag, "make"])
    })
  )

  it.effect("what a hostile server sends back of the request is not shown, nor who the caller is", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const signer = yield* build(AzureKeyVaultSigner.layerBare(options))
      yield* signer.sign(message)
      const [{ value } = {}] = yield* inputsOf(vault.recorder, "sign")
      const { token } = yield* Effect.promise(() => vault.credential.getToken(""))
      const caller = "f35cc9ee-bb19-43c7-a7fb-4a05d4b5fc80"
      const search = Canary.search([
        { name: "token", secret: token },
        { name: "token", secret: tokenPrefix },
        { name: "digest", secret: String(value) },
        { name: "caller", secret: caller }
      ])
      for (const text of [
        `token ${token} refused`,
        `value ${String(value)} refused`,
        `value ${String(value).slice(0, 24)} refused`,
        `The user, group or application 'appid=${caller};oid=${caller}' does not have keys sign permission`,
        `Caller is not authorized.\r\nCaller: appid=${caller};oid=${caller}`,
        "token eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.e30.c2ln refused"
      ]) {
        yield* vault.sign.push(Fault.vendorError("Forbidden", 403, text))
        const error = yield* Effect.flip(signer.sign(message))
        assert.strictEqual(error._tag, "PermissionDenied")
        assert.isUndefined(search(Canary.show(error)), text)
        assert.notInclude(Canary.show(error), "eyJ0eXAi")
        const json = yield* Schema.encodeEffect(Schema.toCodecJson(SignerError.SignerError))(error)
        assert.isUndefined(search(JSON.stringify(json)), text)
      }
      // also a token that looks like a word
      const plain = yield* build(
        AzureKeyVaultSigner.layerBare({
          ...options,
          version,
          algorithm: "ES256",
          lazy: true,
          credential: { getToken: async () => ({ token: "wordlike", expiresOnTimestamp: Number.MAX_SAFE_INTEGER }) }
        })
      )
      yield* vault.sign.push(Fault.vendorError("Forbidden", 403, "the token wordlike is refused"))
      assert.notInclude(Canary.show(yield* Effect.flip(plain.sign(message))), "wordlike")
      // what helps is shown
      yield* vault.sign.push(Fault.vendorError("BadParameter", 400, "Property  alg has invalid value"))
      const error = yield* Effect.flip(signer.sign(message))
      assert.include(Canary.show(error.cause), "Property  alg has invalid value")
    })
  )

  it.effect("who may read and not sign fails at the first signature, who may not read while the layer is built", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      yield* vault.deny("sign")
      const signer = yield* build(AzureKeyVaultSigner.layer(options))
      assert.strictEqual(tagOf(yield* Effect.flip(signer.sign(message))), "PermissionDenied")
      yield* vault.deny("getKey")
      assert.strictEqual(tagOf(yield* Effect.flip(build(AzureKeyVaultSigner.layer(options)))), "PermissionDenied")
      yield* vault.allow("sign", "getKey")
      yield* signer.sign(message)
    })
  )

  it.effect.each(["", "null", "[]", "{}", '{"kid":1,"value":2}', '{"kid":"a"}', "<html></html>"])(
    "an answer of %s is InvalidResponse",
    (body) =>
      Effect.gen(function* () {
        const signer = yield* buildWith(
          { version, algorithm: "ES256", lazy: true },
          answers([() => new Response(body)])
        )
        assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "InvalidResponse")
        assert.strictEqual((yield* Effect.flip(signer.publicKey()))._tag, "InvalidResponse")
      })
  )

  it.effect.each(["", "AAAA", `${"A".repeat(86)}==`, "A".repeat(4096), "*"])(
    'a signature "%s" is InvalidResponse',
    (value) =>
      Effect.gen(function* () {
        const kid = `https://canary.vault.azure.net/keys/release/${version}`
        const signer = yield* buildWith(
          { version, algorithm: "ES256", lazy: true },
          answers([() => Response.json({ kid, value })])
        )
        assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "InvalidResponse")
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
      const error = yield* Effect.flip(buildWith({}, answers([endless])))
      assert.strictEqual(error._tag, "InvalidResponse")
      assert.isBelow(sent, 16)
    })
  )

  it.effect.each([
    { fault: Fault.throttle({ retryAfterSeconds: 7 }), tag: "Retryable/RateLimited" },
    { fault: Fault.htmlPage(503, { retryAfterSeconds: 7 }), tag: "Retryable/BackendUnavailable" }
  ])("Retry-After of $fault._tag is kept", ({ fault, tag }) =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const signer = yield* build(AzureKeyVaultSigner.layerBare(options))
      yield* vault.sign.push(fault)
      const error = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(tagOf(error), tag)
      assert.isTrue(
        error._tag === "Retryable" && "retryAfter" in error.reason && Duration.toSeconds(error.reason.retryAfter!) === 7
      )
    })
  )

  /** A server that redirects to another, which notes what reaches it. */
  const redirecting = Effect.acquireRelease(
    Effect.promise(async () => {
      const reached: Array<string | undefined> = []
      const other = createServer((request, response) => {
        reached.push(request.headers.authorization)
        response.end("{}")
      })
      await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve))
      const vault = createServer((request, response) => {
        response.writeHead(307, { location: `http://127.0.0.1:${(other.address() as AddressInfo).port}${request.url}` })
        response.end()
      })
      await new Promise<void>((resolve) => vault.listen(0, "127.0.0.1", resolve))
      return { other, reached, vault, url: `http://127.0.0.1:${(vault.address() as AddressInfo).port}` }
    }),
    ({ other, vault }) =>
      Effect.sync(() => {
        for (const server of [other, vault]) {
          server.close()
          server.closeAllConnections()
        }
      })
  )

  it.live.each([
    { name: "undici", client: NodeHttpClient.layerUndici },
    { name: "node:http", client: NodeHttpClient.layerNodeHttp },
    { name: "fetch", client: FetchHttpClient.layer }
  ])("$name does not carry the token to another host", ({ client }) =>
    Effect.gen(function* () {
      const { reached, url } = yield* redirecting
      const error = yield* Effect.flip(
        buildWith({ vaultUrl: url, scope: "https://vault.azure.net/.default" }, Layer.orDie(client))
      )
      assert.isTrue(error._tag === "InvalidConfiguration" && error.field === "vaultUrl", error.message)
      assert.deepStrictEqual(reached, [])
    })
  )
})

// ---------------------------------------------------------------------------
// faults
// ---------------------------------------------------------------------------

describe("faults", () => {
  faults({
    kinds: ["P-256", "P-256K"],
    sign: "sign",
    subject: (kind) =>
      Effect.gen(function* () {
        const vault = yield* AzureKeyVaultEmulator.make({ tokenPrefix })
        const key = yield* vault.createKey("release", kind)
        const options = { ...vault.connection, key: "release" }
        return {
          server: vault,
          reads: { getKey: vault.getKey },
          rotate: vault.addVersion(key),
          bare: AzureKeyVaultSigner.layerBare(options),
          layer: (resilience) => AzureKeyVaultSigner.layer({ ...options, resilience }),
          lazy: AzureKeyVaultSigner.layerBare({ ...options, algorithm: "ES256", lazy: true })
        }
      }),
    outcomes: [
      ["Success", Fault.highS],
      [
        "Retryable/BackendUnavailable",
        Fault.vendorError("InternalServerError", 500),
        Fault.vendorError("ServiceUnavailable", 503)
      ],
      ["InvalidResponse", Fault.htmlPage(200), Fault.wrongName],
      ["InvalidConfiguration", Fault.htmlPage(404)]
    ],
    readsFirst: true,
    misread: [Fault.wrongName, Fault.garbled, Fault.htmlPage(200)],
    secrets: [tokenPrefix]
  })
})
