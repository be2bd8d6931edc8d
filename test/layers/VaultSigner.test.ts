import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Config, ConfigProvider, Context, Duration, Effect, Fiber, Layer, Redacted, Schema, Scope } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { KeyVersion, PublicKey, SignatureAlgorithm, Signer, SignerError, Verifier } from "../../src/index.ts"
import * as VaultSigner from "../../src/layers/VaultSigner.ts"
import { Conformance } from "../../src/testing.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import * as VaultEmulator from "../../src/testing/VaultEmulator.ts"
import { atOnce, build, faults, inputsOf, isValid, message, overheard, tagOf } from "./support/cloudBackend.ts"
import type { Seen } from "./support/cloudBackend.ts"

const { Fault } = VaultEmulator

const types: ReadonlyArray<readonly [SignatureAlgorithm.SignatureAlgorithm, VaultEmulator.KeyType]> = [
  ["Ed25519", "ed25519"],
  ["ES256", "ecdsa-p256"],
  ["ES384", "ecdsa-p384"],
  ["ES512", "ecdsa-p521"],
  ["PS256", "rsa-2048"],
  ["PS384", "rsa-2048"],
  ["PS512", "rsa-2048"],
  ["RS256", "rsa-2048"],
  ["RS384", "rsa-2048"],
  ["RS512", "rsa-2048"]
]

const canaryToken = Redacted.make("hvs.canary-token-0123456789abcdefghij")

/** One emulator for all cases of an algorithm, made when the first of them runs. */
const kitOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm, type: VaultEmulator.KeyType, isDerived = false) => {
  const made = Effect.gen(function* () {
    const vault = yield* Scope.provide(VaultEmulator.make({ rootToken: canaryToken }), Scope.makeUnsafe())
    const privateKey = type === "rsa-2048" ? yield* TestKey.make(algorithm) : undefined
    yield* vault.createKey("kit", type, { privateKey, isDerived })
    yield* vault.createKey("symmetric", "aes256-gcm96")
    return vault
  })
  const once = Effect.runSync(Effect.cached(made))
  const context = isDerived ? new TextEncoder().encode("tenant-7") : undefined
  const layerOf = (
    options: Partial<VaultSigner.LayerOptions> = {}
  ): Layer.Layer<Signer.Signer, SignerError.SignerError> =>
    Layer.unwrap(
      Effect.map(once, ({ connection }) =>
        VaultSigner.layer({ ...connection, key: "kit", algorithm, context, resilience: atOnce, ...options }).pipe(
          Layer.provide(NodeHttpClient.layerUndici)
        )
      )
    )
  return {
    layer: layerOf(),
    faulty: [
      layerOf({ key: "none" }),
      layerOf({ key: "symmetric" }),
      layerOf({ mount: "kv" }),
      layerOf({ algorithm: algorithm === "ES256" ? "Ed25519" : "ES256", context: undefined }),
      layerOf({ url: "http://127.0.0.1:1", resilience: { times: 0 } }),
      layerOf({ token: Redacted.make(`${Redacted.value(canaryToken)}x`) })
    ],
    lazy: layerOf({ lazy: true }),
    batched: layerOf({ batch: {} }),
    bare: Layer.unwrap(
      Effect.map(once, ({ connection }) =>
        VaultSigner.layerBare({ ...connection, key: "kit", algorithm, context }).pipe(
          Layer.provide(NodeHttpClient.layerUndici)
        )
      )
    ),
    publicKeyReads: Effect.orDie(Effect.flatMap(once, ({ recorder }) => recorder.count("readKey")))
  }
}

for (const [algorithm, type] of types) {
  const { bare, batched, faulty, layer, lazy, publicKeyReads } = kitOf(algorithm, type)
  const options = { publicKeyReads, ...(algorithm === "Ed25519" ? { maxMessageLength: 786_432 } : {}) }
  Conformance.suite(it, `kit/vault/emulator/${algorithm}`, layer, {
    ...options,
    secrets: [Redacted.value(canaryToken)],
    faulty
  })
  if (algorithm === "Ed25519" || algorithm === "ES256") {
    Conformance.suite(it, `kit/vault/emulator/${algorithm}/lazy`, lazy, options)
    Conformance.suite(it, `kit/vault/emulator/${algorithm}/bare`, bare, options)
    Conformance.suite(it, `kit/vault/emulator/${algorithm}/batched`, batched, options)
  }
}

const derived = kitOf("Ed25519", "ed25519", true)
Conformance.suite(it, "kit/vault/emulator/Ed25519/derived", derived.layer, {
  publicKeyReads: derived.publicKeyReads,
  maxMessageLength: 786_432,
  secrets: [Redacted.value(canaryToken)],
  faulty: derived.faulty
})

// ---------------------------------------------------------------------------
// what is sent
// ---------------------------------------------------------------------------

/** An emulator with one Ed25519 key. */
const withKey = Effect.gen(function* () {
  const vault = yield* VaultEmulator.make({ rootToken: canaryToken })
  const key = yield* vault.createKey("release", "ed25519")
  return { vault, key, options: { ...vault.connection, key: "release" } }
})

describe("requests", () => {
  const digest = Buffer.from("d".repeat(64)) // only lengths are looked at
  it.effect.each([
    { algorithm: "Ed25519", type: "ed25519", length: 10, fields: {} },
    {
      algorithm: "ES256",
      type: "ecdsa-p256",
      length: 32,
      fields: { prehashed: true, hash_algorithm: "sha2-256", marshaling_algorithm: "jws" }
    },
    {
      algorithm: "ES384",
      type: "ecdsa-p384",
      length: 48,
      fields: { prehashed: true, hash_algorithm: "sha2-384", marshaling_algorithm: "jws" }
    },
    {
      algorithm: "ES512",
      type: "ecdsa-p521",
      length: 64,
      fields: { prehashed: true, hash_algorithm: "sha2-512", marshaling_algorithm: "jws" }
    },
    {
      algorithm: "PS384",
      type: "rsa-2048",
      length: 48,
      fields: { prehashed: true, hash_algorithm: "sha2-384", signature_algorithm: "pss", salt_length: "hash" }
    },
    {
      algorithm: "RS512",
      type: "rsa-2048",
      length: 64,
      fields: { prehashed: true, hash_algorithm: "sha2-512", signature_algorithm: "pkcs1v15" }
    }
  ] as const)("$algorithm states everything: $fields", ({ algorithm, fields, length, type }) =>
    Effect.gen(function* () {
      const vault = yield* VaultEmulator.make()
      const privateKey = type === "rsa-2048" ? yield* TestKey.make(algorithm) : undefined
      yield* vault.createKey("release", type, { privateKey })
      const signer = yield* build(VaultSigner.layer({ ...vault.connection, key: "release", algorithm }))
      yield* signer.sign(digest.subarray(0, 10))
      const [{ input, ...rest } = {}] = yield* inputsOf(vault.recorder, "sign")
      assert.deepStrictEqual(rest, fields)
      assert.strictEqual(Buffer.from(String(input), "base64").length, length)
    })
  )

  it.effect("the token, the namespace and X-Vault-Request are headers; names are encoded", () =>
    Effect.gen(function* () {
      const vault = yield* VaultEmulator.make({ rootToken: canaryToken })
      yield* vault.createKey("release", "ed25519", { mount: "team/transit", namespace: "admin/prod" })
      const requests: Array<Seen> = []
      const layer = VaultSigner.layer({
        ...vault.connection,
        key: "release",
        mount: "team/transit/",
        namespace: "admin/prod"
      }).pipe(Layer.provide(overheard(requests)))
      const signer = Context.get(yield* Layer.build(layer), Signer.Signer)
      assert.strictEqual(signer.keyId, "admin/prod/team/transit/keys/release")
      yield* signer.sign(message)
      assert.deepStrictEqual(
        requests.map(({ url }) => new URL(url).pathname),
        ["/v1/team/transit/keys/release", "/v1/team/transit/sign/release"]
      )
      for (const { headers } of requests) {
        assert.strictEqual(headers["x-vault-token"], Redacted.value(canaryToken))
        assert.strictEqual(headers["x-vault-namespace"], "admin/prod")
        assert.strictEqual(headers["x-vault-request"], "true")
        assert.isUndefined(headers["authorization"])
      }
      const odd = VaultSigner.layer({ ...vault.connection, key: "a b&c%2e" }).pipe(Layer.provide(overheard(requests)))
      yield* Effect.flip(Layer.build(odd))
      assert.strictEqual(requests.at(-1)!.url, `${vault.url}/v1/transit/keys/a%20b%26c%252e`)
    })
  )

  it.effect("the key is read once while the layer is built, with or without algorithm", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      for (const algorithm of [undefined, "Ed25519"] as const) {
        const before = yield* vault.recorder.count("readKey")
        const signer = yield* build(VaultSigner.layer({ ...options, algorithm }))
        yield* signer.sign(message)
        yield* signer.publicKey()
        assert.strictEqual((yield* vault.recorder.count("readKey")) - before, 1)
      }
    })
  )

  it.effect("nothing is sent for an Ed25519 message that is too large, and the error says what to do", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const signer = yield* build(VaultSigner.layer(options))
      yield* signer.sign(new Uint8Array(786_432))
      const error = yield* Effect.flip(signer.sign(new Uint8Array(786_433)))
      assert.strictEqual(error._tag, "MessageTooLarge")
      assert.include(error.message, "max_json_string_value_length")
      assert.strictEqual(yield* vault.recorder.count("sign"), 1)
      // a server that takes more, and one that does not
      const raised = yield* build(VaultSigner.layer({ ...options, maxMessageLength: 1_000_000 }))
      const refused = yield* Effect.flip(raised.sign(new Uint8Array(800_000)))
      assert.isTrue(refused._tag === "InvalidConfiguration" && refused.field === "maxMessageLength", refused.message)
    })
  )
})

// ---------------------------------------------------------------------------
// versions
// ---------------------------------------------------------------------------

describe("versions", () => {
  it.effect("a signature names its version, and its public key is that version's", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      const signer = yield* build(VaultSigner.layer(options))
      const first = yield* signer.sign(message)
      yield* vault.rotate(key)
      const second = yield* signer.sign(message)
      assert.deepStrictEqual([first.keyVersion, second.keyVersion], ["1", "2"])
      assert.isTrue(
        PublicKey.sameKey(yield* signer.publicKey(KeyVersion.make("1")), yield* key.publicKey({ version: 1 }))
      )
      assert.isTrue(
        PublicKey.sameKey(yield* signer.publicKey(KeyVersion.make("2")), yield* key.publicKey({ version: 2 }))
      )
      assert.isTrue(yield* isValid(signer, message, first))
      assert.isTrue(yield* isValid(signer, message, second))
      // one read while the layer was built, one for the new version
      assert.strictEqual(yield* vault.recorder.count("readKey"), 2)
    })
  )

  it.effect("the key of the latest version is read again after its time to live", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      const { TestClock } = yield* Effect.promise(() => import("effect/testing"))
      const signer = yield* build(VaultSigner.layerBare(options))
      const before = yield* signer.publicKey()
      yield* vault.rotate(key)
      assert.isTrue(PublicKey.sameKey(yield* signer.publicKey(), before))
      yield* TestClock.adjust("5 minutes")
      assert.isTrue(PublicKey.sameKey(yield* signer.publicKey(), yield* key.publicKey({ version: 2 })))
    })
  )

  it.effect("a version that is not there is KeyNotFound, and text that is none is not asked for", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const signer = yield* build(VaultSigner.layerBare(options))
      const reads = yield* vault.recorder.count("readKey")
      for (const version of ["0", "01", "-1", "1.0", "latest", "__proto__", "constructor"]) {
        assert.strictEqual((yield* Effect.flip(signer.publicKey(KeyVersion.make(version))))._tag, "KeyNotFound")
      }
      assert.strictEqual(yield* vault.recorder.count("readKey"), reads)
      assert.strictEqual((yield* Effect.flip(signer.publicKey(KeyVersion.make("2"))))._tag, "KeyNotFound")
      assert.strictEqual(yield* vault.recorder.count("readKey"), reads + 1)
    })
  )

  it.live("while the key rotates all the time, 5,000 signatures verify under the version they name", () =>
    Effect.gen(function* () {
      const vault = yield* VaultEmulator.make()
      const key = yield* vault.createKey("release", "ed25519")
      const signer = yield* build(VaultSigner.layerBare({ ...vault.connection, key: "release" }))
      yield* vault.rotateEvery(key, "50 millis")
      const signed = yield* Effect.forEach(
        Array.from({ length: 5000 }, (_, number) => new TextEncoder().encode(`message ${number}`)),
        (input) => Effect.map(signer.sign(input), (signature) => ({ input, signature })),
        { concurrency: 64 }
      )
      const versions = new Set(signed.map(({ signature }) => signature.keyVersion))
      assert.isAbove(versions.size, 5)
      for (const { input, signature } of signed) {
        const publicKey = yield* key.publicKey({ version: Number(signature.keyVersion) })
        assert.isTrue(yield* Verifier.verify(publicKey, input, signature.bytes))
        assert.isTrue(yield* isValid(signer, input, signature))
      }
      // reading a version brings all that are older
      assert.isBelow(yield* vault.recorder.count("readKey"), versions.size + 2)
    })
  )

  it.live("and the verified layer returns no error", () =>
    Effect.gen(function* () {
      const vault = yield* VaultEmulator.make()
      const key = yield* vault.createKey("release", "ecdsa-p256")
      const signer = yield* build(VaultSigner.layer({ ...vault.connection, key: "release", resilience: { times: 0 } }))
      yield* vault.rotateEvery(key, "20 millis")
      yield* Effect.forEach(Array.from({ length: 500 }), () => signer.sign(message), { concurrency: 16 })
    })
  )
})

// ---------------------------------------------------------------------------
// derived keys
// ---------------------------------------------------------------------------

describe("derived keys", () => {
  const context = new TextEncoder().encode("tenant-7")

  it.effect("each context has a key pair of its own, and a name of its own", () =>
    Effect.gen(function* () {
      const vault = yield* VaultEmulator.make()
      const key = yield* vault.createKey("release", "ed25519", { isDerived: true })
      const signerOf = (context: Uint8Array) =>
        build(VaultSigner.layer({ ...vault.connection, key: "release", context }))
      const signer = yield* signerOf(context)
      const other = yield* signerOf(new TextEncoder().encode("tenant-8"))
      assert.isTrue(PublicKey.sameKey(yield* signer.publicKey(), yield* key.publicKey({ context })))
      assert.isFalse(PublicKey.sameKey(yield* signer.publicKey(), yield* other.publicKey()))
      assert.notStrictEqual(signer.keyId, other.keyId)
      assert.match(signer.keyId, /^transit\/keys\/release#[0-9a-f]{16}$/)
      assert.isFalse(yield* isValid(other, message, yield* signer.sign(message)))
    })
  )

  it.effect("a context that is missing, or that is too many, is InvalidConfiguration while the layer is built", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      yield* vault.createKey("derived", "ed25519", { isDerived: true })
      for (const wrong of [
        { ...options, context },
        { ...options, key: "derived" }
      ]) {
        const error = yield* Effect.flip(build(VaultSigner.layer(wrong)))
        assert.isTrue(error._tag === "InvalidConfiguration" && error.field === "context", error.message)
      }
      const lazy = yield* build(VaultSigner.layerBare({ ...options, key: "derived", algorithm: "Ed25519", lazy: true }))
      const error = yield* Effect.flip(lazy.sign(message))
      assert.isTrue(error._tag === "InvalidConfiguration" && error.field === "context", error.message)
    })
  )
})

// ---------------------------------------------------------------------------
// batches
// ---------------------------------------------------------------------------

describe("batches", () => {
  const inputs = (count: number) =>
    Array.from({ length: count }, (_, number) => new TextEncoder().encode(`message ${number}`))

  const signAll = (signer: Signer.Service, count: number) =>
    Effect.forEach(inputs(count), (input) => Effect.result(signer.sign(input)), { concurrency: "unbounded" })

  it.effect.each([
    { count: 100, requests: 1 },
    { count: 101, requests: 2 },
    { count: 1000, requests: 10 }
  ])("$count signatures at once are $requests requests, in order", ({ count, requests }) =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const signer = yield* build(VaultSigner.layer({ ...options, batch: {} }))
      const results = yield* signAll(signer, count)
      for (const [index, result] of results.entries()) {
        assert.isTrue(result._tag === "Success" && (yield* isValid(signer, inputs(count)[index]!, result.success)))
      }
      assert.strictEqual(yield* vault.recorder.count("sign"), requests)
    })
  )

  it.effect("one signature is one request", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const signer = yield* build(VaultSigner.layer({ ...options, batch: {} }))
      yield* signer.sign(message)
      assert.deepStrictEqual(yield* inputsOf(vault.recorder, "sign"), [
        { batch_input: [{ input: Buffer.from(message).toString("base64") }] }
      ])
    })
  )

  it.effect("a batch with large messages becomes several requests", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const signer = yield* build(VaultSigner.layerBare({ ...options, batch: {} }))
      const large = Array.from({ length: 16 }, (_, number) => new Uint8Array(786_432).fill(number))
      const signatures = yield* Effect.forEach(large, signer.sign, { concurrency: "unbounded" })
      for (const [index, signature] of signatures.entries()) {
        assert.isTrue(yield* isValid(signer, large[index]!, signature))
      }
      assert.strictEqual(yield* vault.recorder.count("sign"), 2)
    })
  )

  it.effect("derived keys sign in batches, too", () =>
    Effect.gen(function* () {
      const vault = yield* VaultEmulator.make()
      yield* vault.createKey("release", "ed25519", { isDerived: true })
      const context = new TextEncoder().encode("tenant-7")
      const signer = yield* build(VaultSigner.layer({ ...vault.connection, key: "release", context, batch: {} }))
      const results = yield* signAll(signer, 10)
      assert.isTrue(results.every(({ _tag }) => _tag === "Success"))
      assert.strictEqual(yield* vault.recorder.count("sign"), 1)
    })
  )

  /** Any answers, in turn. */
  const answering = (...bodies: ReadonlyArray<unknown>) => {
    let calls = 0
    return Layer.succeed(
      HttpClient.HttpClient,
      HttpClient.make((request) =>
        Effect.sync(() => HttpClientResponse.fromWeb(request, Response.json(bodies[calls++])))
      )
    )
  }

  const ok = (version: number) => `vault:v${version}:${Buffer.alloc(64, version).toString("base64")}`

  it.effect("an item that failed fails alone", () =>
    Effect.gen(function* () {
      const layer = VaultSigner.layerBare({
        url: "http://vault.test",
        token: canaryToken,
        key: "release",
        algorithm: "Ed25519",
        lazy: true,
        batch: {}
      }).pipe(
        Layer.provide(
          answering({
            data: {
              batch_results: [
                { signature: ok(1), key_version: 1 },
                { error: "unable to decode input as base64" },
                { error: "requested key is soft-deleted" },
                { signature: "", error: "missing 'context' for key derivation" },
                { signature: "vault:v1:?" },
                { signature: ok(3), key_version: 2 },
                {}
              ]
            }
          })
        )
      )
      const signer = Context.get(yield* Layer.build(layer), Signer.Signer)
      const results = yield* signAll(signer, 7)
      assert.deepStrictEqual(
        results.map((result) => (result._tag === "Success" ? result.success.keyVersion : tagOf(result.failure))),
        [
          "1",
          "InvalidConfiguration",
          "KeyUnavailable",
          "InvalidConfiguration",
          "InvalidResponse",
          "InvalidResponse",
          "InvalidResponse"
        ]
      )
    })
  )

  it.effect.each([
    { body: { data: { batch_results: [] } } },
    { body: { data: { batch_results: [{ signature: ok(1) }, { signature: ok(1) }, { signature: ok(1) }] } } },
    { body: { data: { signature: ok(1) } } },
    { body: null }
  ])("an answer that is not one to the batch is InvalidResponse for each: $body", ({ body }) =>
    Effect.gen(function* () {
      const layer = VaultSigner.layerBare({
        url: "http://vault.test",
        token: canaryToken,
        key: "release",
        algorithm: "Ed25519",
        lazy: true,
        batch: {}
      }).pipe(Layer.provide(answering(body)))
      const signer = Context.get(yield* Layer.build(layer), Signer.Signer)
      const results = yield* signAll(signer, 2)
      assert.deepStrictEqual(
        results.map((result) => (result._tag === "Failure" ? tagOf(result.failure) : "Success")),
        ["InvalidResponse", "InvalidResponse"]
      )
    })
  )

  it.live("an interrupted member of a batch does not end the batch", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const signer = yield* build(VaultSigner.layerBare({ ...options, batch: {} }))
      yield* vault.sign.push(Fault.slow("100 millis"))
      const calls = yield* Effect.forEach([1, 2, 3], (byte) =>
        Effect.forkChild(signer.sign(Uint8Array.of(byte)), { startImmediately: true })
      )
      yield* vault.recorder.waitFor((event) => event._tag === "Received" && event.operation === "sign")
      yield* Fiber.interrupt(calls[1]!)
      assert.isTrue(yield* isValid(signer, Uint8Array.of(1), yield* Fiber.join(calls[0]!)))
      assert.isTrue(yield* isValid(signer, Uint8Array.of(3), yield* Fiber.join(calls[2]!)))
      assert.strictEqual(yield* vault.recorder.count("sign"), 1)
    })
  )
})

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

describe("options", () => {
  it.effect("the algorithm is the one that the key can do", () =>
    Effect.gen(function* () {
      const vault = yield* VaultEmulator.make()
      for (const [algorithm, type] of types.filter(([, type]) => type !== "rsa-2048")) {
        yield* vault.createKey(type, type)
        const signer = yield* build(VaultSigner.layer({ ...vault.connection, key: type }))
        assert.strictEqual(signer.algorithm, algorithm)
      }
    })
  )

  it.effect.each([
    { type: "rsa-2048", algorithm: undefined, problem: "PS256, PS384, PS512, RS256, RS384, RS512" },
    { type: "ecdsa-p256", algorithm: "ES384", problem: "it can do ES256" },
    { type: "ed25519", algorithm: "PS256", problem: "it can do Ed25519" }
  ] as const)("$algorithm for $type is InvalidConfiguration", ({ algorithm, problem, type }) =>
    Effect.gen(function* () {
      const vault = yield* VaultEmulator.make()
      const privateKey = type === "rsa-2048" ? yield* TestKey.make("PS256") : undefined
      yield* vault.createKey("release", type, { privateKey })
      const options = { ...vault.connection, key: "release", algorithm }
      const error = yield* Effect.flip(build(VaultSigner.layer(options)))
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.include(error.message, problem)
    })
  )

  it.effect.each(["ES256K", "BIP340", "ML-DSA-65"] as const)(
    "%s is UnsupportedAlgorithm, and nothing is asked",
    (algorithm) =>
      Effect.gen(function* () {
        const { options, vault } = yield* withKey
        const error = yield* Effect.flip(build(VaultSigner.layer({ ...options, algorithm })))
        assert.strictEqual(error._tag, "UnsupportedAlgorithm")
        assert.strictEqual(yield* vault.recorder.count(), 0)
      })
  )

  const given = { url: "http://127.0.0.1:1", token: canaryToken, key: "release" }

  it.effect.each([
    { options: { ...given, key: "" }, field: "key" },
    { options: { ...given, key: ".." }, field: "key" },
    { options: { ...given, key: "." }, field: "key" },
    { options: { ...given, key: "../../sys/health" }, field: "key" },
    { options: { ...given, key: "a/b" }, field: "key" },
    { options: { ...given, key: "\ud800" }, field: "key" }, // no UTF-8: encodeURIComponent would throw
    { options: { ...given, mount: "\ud800" }, field: "mount" },
    { options: { ...given, key: "a?b" }, field: "key" },
    { options: { ...given, key: "a#b" }, field: "key" },
    { options: { ...given, key: "a\\b" }, field: "key" },
    { options: { ...given, key: "a\nb" }, field: "key" },
    { options: { ...given, mount: "" }, field: "mount" },
    { options: { ...given, mount: "a//b" }, field: "mount" },
    { options: { ...given, mount: "../sys" }, field: "mount" },
    { options: { ...given, mount: "transit/.." }, field: "mount" },
    { options: { ...given, namespace: "a b" }, field: "namespace" },
    { options: { ...given, namespace: "a\r\nx-vault-token: b" }, field: "namespace" },
    { options: { ...given, url: "vault:8200" }, field: "url" },
    { options: { ...given, url: "localhost" }, field: "url" },
    { options: { ...given, url: "https://user:canary@vault.test" }, field: "url" },
    { options: { ...given, url: "https://vault.test/?a=b" }, field: "url" },
    { options: { ...given, redirectOrigins: ["https://vault.test/"] }, field: "redirectOrigins" },
    { options: { ...given, redirectOrigins: ["vault.test"] }, field: "redirectOrigins" },
    { options: { ...given, lazy: true }, field: "algorithm" },
    { options: { ...given, algorithm: "ES256", context: message }, field: "context" },
    { options: { ...given, context: new Uint8Array(0) }, field: "context" },
    { options: { ...given, maxMessageLength: 0 }, field: "maxMessageLength" },
    { options: { ...given, token: Redacted.make("") }, field: "token" },
    { options: { ...given, token: Redacted.make("canary-token\n") }, field: "token" },
    { options: { ...given, token: { appRole: { roleId: "a", mount: "../sys" } } }, field: "token.appRole.mount" }
  ] as ReadonlyArray<{ options: VaultSigner.Options; field: string }>)(
    "$options is InvalidConfiguration of $field",
    ({ field, options }) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(build(VaultSigner.layer(options)))
        assert.isTrue(error._tag === "InvalidConfiguration" && error.field === field, error.message)
        assert.notInclude(Canary.show(error), "canary")
      })
  )

  it.effect("a public key that is not the expected one signs nothing", () =>
    Effect.gen(function* () {
      const { key, options, vault } = yield* withKey
      const { publicKey } = yield* TestKey.make("Ed25519")
      const error = yield* Effect.flip(build(VaultSigner.layer({ ...options, expectedPublicKey: publicKey })))
      assert.strictEqual(error._tag, "InvalidResponse")
      assert.strictEqual(yield* vault.recorder.count("sign"), 0)
      yield* build(VaultSigner.layer({ ...options, expectedPublicKey: yield* key.publicKey() }))
    })
  )

  it.effect("layerConfig reads what it is told, and the environment by default", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const env = {
        VAULT_ADDR: vault.url,
        VAULT_TOKEN: Redacted.value(canaryToken),
        A1_VAULT_KEY: "release",
        A1_VAULT_ALGORITHM: "Ed25519",
        OTHER: vault.url
      }
      const provided = (variables: Record<string, string>) =>
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: variables }))
      const signer = yield* provided(env)(build(VaultSigner.layerConfig()))
      yield* signer.sign(message)
      const told = VaultSigner.layerConfig({
        url: Config.String("OTHER"),
        token: Config.Redacted("VAULT_TOKEN"),
        key: Config.succeed(options.key)
      })
      yield* (yield* provided(env)(build(told))).sign(message)

      const { token, ...read } = yield* provided({ ...env, VAULT_NAMESPACE: "a", A1_VAULT_MOUNT: "b" })(
        VaultSigner.environment
      )
      assert.isTrue(Redacted.isRedacted(token) && Redacted.value(token) === Redacted.value(canaryToken))
      assert.deepStrictEqual(read, {
        url: vault.url,
        key: "release",
        namespace: "a",
        mount: "b",
        algorithm: "Ed25519"
      })
      const sources: ReadonlyArray<readonly [Record<string, string>, VaultSigner.TokenSource]> = [
        [{ VAULT_TOKEN_FILE: "/run/token", VAULT_ROLE_ID: "r" }, { file: "/run/token" }],
        [{ VAULT_KUBERNETES_ROLE: "signer" }, { kubernetes: { role: "signer", mount: undefined } }],
        [{ VAULT_ROLE_ID: "r", VAULT_AUTH_MOUNT: "m" }, { appRole: { roleId: "r", secretId: undefined, mount: "m" } }]
      ]
      for (const [variables, source] of sources) {
        const found = yield* provided({ VAULT_ADDR: "http://a", A1_VAULT_KEY: "k", ...variables })(
          VaultSigner.environment
        )
        assert.deepStrictEqual(found.token, source)
      }
      const error = yield* Effect.flip(
        provided({ VAULT_ADDR: "http://a", A1_VAULT_KEY: "k" })(build(VaultSigner.layerConfig()))
      )
      assert.strictEqual(error._tag, "ConfigError")
    })
  )
})

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/** Every status that Vault documents, with the words it has for it, and what it becomes. */
const documented: ReadonlyArray<readonly [status: number, text: string, tag: string]> = [
  // https://developer.hashicorp.com/vault/api-docs#http-status-codes
  [400, "signing key not found", "KeyNotFound"],
  [400, "key type aes256-gcm96 does not support signing", "KeyNotSigner"],
  [400, 'invalid hash algorithm "sha1"', "InvalidConfiguration"],
  [400, "missing client token", "AuthenticationFailed"],
  [401, "", "AuthenticationFailed"],
  [403, "1 error occurred:\n\t* permission denied\n\n", "PermissionDenied"],
  [403, "permission denied", "PermissionDenied"],
  [403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n", "AuthenticationFailed"],
  [403, "bad token", "AuthenticationFailed"],
  [404, 'no handler for route "transit/sign/release". route entry not found.', "InvalidConfiguration"],
  [404, "", "KeyNotFound"],
  [405, "1 error occurred:\n\t* unsupported operation\n\n", "InvalidConfiguration"],
  [408, "", "Retryable/BackendUnavailable"],
  [412, "required index state not present", "Retryable/BackendUnavailable"],
  [413, "failed to parse JSON input: JSON string value exceeds allowed length", "InvalidConfiguration"],
  [429, 'request path "transit/sign/release": rate limit quota exceeded', "Retryable/RateLimited"],
  [472, "", "Retryable/BackendUnavailable"],
  [473, "", "Retryable/BackendUnavailable"],
  [500, "1 error occurred:\n\t* internal error\n\n", "Retryable/BackendUnavailable"],
  [500, "key is soft deleted", "KeyUnavailable"],
  [500, "requested version for signing does not contain a private part", "KeyNotSigner"],
  [500, "missing 'context' for key derivation; the key was created using a derived key", "InvalidConfiguration"],
  [501, "", "Retryable/BackendUnavailable"],
  [502, "upstream rate limited", "Retryable/BackendUnavailable"],
  [503, "Vault is sealed", "Retryable/BackendUnavailable"],
  [504, "", "Retryable/BackendUnavailable"],
  // not documented
  [418, "", "UnknownBackendError"]
]

describe("errors", () => {
  it.effect.each(documented)('status %i with "%s" is %s', ([status, text, tag]) =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const signer = yield* build(VaultSigner.layerBare(options))
      yield* vault.sign.push(Fault.vendorError("", status, text))
      const error = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(tagOf(error), tag)
      assert.strictEqual(error.operation, "sign")
      assert.isTrue(error.cause instanceof SignerError.VendorError && error.cause.status === status)
      // and while the layer is built
      yield* vault.readKey.push(Fault.vendorError("", status, text))
      assert.strictEqual(tagOf(yield* Effect.flip(build(VaultSigner.layerBare(options)))), tag)
    })
  )

  it.effect("what a hostile server sends back of the request is not shown", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const signer = yield* build(VaultSigner.layerBare(options))
      const secret = new TextEncoder().encode("a message of many bytes")
      const input = Buffer.from(secret).toString("base64")
      const texts = [
        `token ${Redacted.value(canaryToken)} refused`,
        `body {"input":"${input}"} refused`,
        `body ${input.slice(0, 24)} refused`,
        "token hvs.somebody-elses refused"
      ]
      const search = Canary.search([
        { name: "token", secret: Redacted.value(canaryToken) },
        { name: "message", secret },
        { name: "another token", secret: "somebody-elses" }
      ])
      for (const text of texts) {
        yield* vault.sign.push(Fault.vendorError("", 400, text))
        const error = yield* Effect.flip(signer.sign(secret))
        assert.isUndefined(search(Canary.show(error)), text)
        const json = yield* Schema.encodeEffect(Schema.toCodecJson(SignerError.SignerError))(error)
        assert.isUndefined(search(JSON.stringify(json)), text)
      }
      // also a token that looks like a word
      const word = Redacted.make("wordlike")
      const plain = yield* VaultEmulator.make({ rootToken: word })
      yield* plain.createKey("release", "ed25519")
      const worded = yield* build(VaultSigner.layerBare({ ...plain.connection, key: "release" }))
      yield* plain.sign.push(Fault.vendorError("", 400, "the token wordlike is refused"))
      assert.notInclude(Canary.show(yield* Effect.flip(worded.sign(secret))), "wordlike")
      // what helps is shown
      yield* vault.sign.push(Fault.vendorError("", 400, 'invalid marshaling type "x"'))
      const error = yield* Effect.flip(signer.sign(secret))
      assert.include(Cause.pretty(Cause.fail(error.cause)), 'invalid marshaling type "x"')
    })
  )

  it.effect("permission, unknown keys, mounts and namespaces fail while the layer is built", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const fails = (more: Partial<VaultSigner.LayerOptions>) =>
        Effect.flip(build(VaultSigner.layer({ ...options, ...more })))
      assert.strictEqual(tagOf(yield* fails({ key: "none" })), "KeyNotFound")
      assert.strictEqual(tagOf(yield* fails({ token: Redacted.make("hvs.other") })), "AuthenticationFailed")
      for (const more of [{ mount: "kv" }, { namespace: "nowhere" }]) {
        const error = yield* fails(more)
        assert.isTrue(error._tag === "InvalidConfiguration" && error.field === "mount", error.message)
      }
      yield* vault.createKey("symmetric", "aes256-gcm96")
      assert.strictEqual(tagOf(yield* fails({ key: "symmetric" })), "KeyNotSigner")
      yield* vault.deny("readKey")
      assert.strictEqual(tagOf(yield* fails({})), "PermissionDenied")
      yield* vault.allow("readKey")
      yield* vault.deny("sign")
      const signer = yield* build(VaultSigner.layer(options))
      assert.strictEqual(tagOf(yield* Effect.flip(signer.sign(message))), "PermissionDenied")
    })
  )

  it.effect("a key that has no public half is InvalidResponse, one of an unknown type UnsupportedAlgorithm", () =>
    Effect.gen(function* () {
      const reading = (data: object) =>
        Effect.flip(
          Layer.build(
            VaultSigner.layerBare({ url: "http://vault.test", token: canaryToken, key: "release" }).pipe(
              Layer.provide(
                Layer.succeed(
                  HttpClient.HttpClient,
                  HttpClient.make((request) =>
                    Effect.succeed(HttpClientResponse.fromWeb(request, Response.json({ data })))
                  )
                )
              )
            )
          )
        )
      const key = { type: "ed25519", latest_version: 1 }
      assert.strictEqual((yield* reading({ ...key, keys: { "1": "pkcs11:object=a" } }))._tag, "InvalidResponse")
      assert.strictEqual((yield* reading({ ...key, keys: { "1": { public_key: "" } } }))._tag, "InvalidResponse")
      assert.strictEqual((yield* reading({ ...key, keys: { "1": { public_key: "AAAA" } } }))._tag, "InvalidResponse")
      assert.strictEqual(
        (yield* reading({ ...key, type: "ecdsa-p256", keys: { "1": { public_key: "-----" } } }))._tag,
        "InvalidResponse"
      )
      assert.strictEqual((yield* reading({ ...key, keys: {} }))._tag, "KeyNotFound")
      assert.strictEqual((yield* reading({ ...key, soft_deleted: true }))._tag, "KeyUnavailable")
      assert.strictEqual((yield* reading({ ...key, type: "managed_key" }))._tag, "UnsupportedAlgorithm")
      assert.strictEqual((yield* reading({ ...key, type: "toString" }))._tag, "UnsupportedAlgorithm")
      assert.strictEqual((yield* reading({ type: "ed25519" }))._tag, "InvalidResponse")
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
              controller.enqueue(new Uint8Array(1024 * 1024).fill(0x20))
            }
          })
        )
      const layer = VaultSigner.layerBare({ url: "http://vault.test", token: canaryToken, key: "release" }).pipe(
        Layer.provide(
          Layer.succeed(
            HttpClient.HttpClient,
            HttpClient.make((request) => Effect.sync(() => HttpClientResponse.fromWeb(request, endless())))
          )
        )
      )
      const error = yield* Effect.flip(Layer.build(layer))
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
      const signer = yield* build(VaultSigner.layerBare(options))
      yield* vault.sign.push(fault)
      const error = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(tagOf(error), tag)
      assert.isTrue(
        error._tag === "Retryable" && "retryAfter" in error.reason && Duration.toSeconds(error.reason.retryAfter!) === 7
      )
    })
  )

  it.effect("a sealed Vault is BackendUnavailable", () =>
    Effect.gen(function* () {
      const { options, vault } = yield* withKey
      const signer = yield* build(VaultSigner.layerBare(options))
      yield* vault.setSealed(true)
      assert.strictEqual(tagOf(yield* Effect.flip(signer.sign(message))), "Retryable/BackendUnavailable")
      yield* vault.setSealed(false)
      yield* signer.sign(message)
    })
  )
})

// ---------------------------------------------------------------------------
// faults
// ---------------------------------------------------------------------------

describe("faults", () => {
  faults({
    kinds: ["ed25519", "ecdsa-p256"],
    sign: "sign",
    subject: (kind) =>
      Effect.gen(function* () {
        const vault = yield* VaultEmulator.make({ rootToken: canaryToken })
        const key = yield* vault.createKey("release", kind)
        const options = { ...vault.connection, key: "release" }
        return {
          server: vault,
          reads: { readKey: vault.readKey },
          rotate: vault.rotate(key),
          bare: VaultSigner.layerBare(options),
          layer: (resilience) => VaultSigner.layer({ ...options, resilience }),
          lazy: VaultSigner.layerBare({ ...options, algorithm: "Ed25519", lazy: true })
        }
      }),
    outcomes: [
      [
        "Retryable/BackendUnavailable",
        Fault.vendorError("internal error", 500),
        Fault.vendorError("Vault is sealed", 503)
      ],
      ["InvalidResponse", Fault.htmlPage(200)],
      ["InvalidConfiguration", Fault.htmlPage(404)],
      ["KeyNotFound", Fault.wrongName]
    ],
    misread: [Fault.garbled, Fault.htmlPage(200)],
    secrets: [Redacted.value(canaryToken)]
  })
})
