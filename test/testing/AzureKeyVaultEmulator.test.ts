import { CryptographyClient, KeyClient } from "@azure/keyvault-keys"
import { createDefaultHttpClient } from "@azure/core-rest-pipeline"
import type { HttpClient } from "@azure/core-rest-pipeline"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { createHash } from "node:crypto"
import { PublicKey, Verifier } from "../../src/index.ts"
import type { SignatureAlgorithm } from "../../src/index.ts"
import * as AzureKeyVaultEmulator from "../../src/testing/AzureKeyVaultEmulator.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

const { Fault } = AzureKeyVaultEmulator

const vaultUrl = "https://emulated.vault.azure.net"
const message = new TextEncoder().encode("message")
const digestOf = (hash: string) => new Uint8Array(createHash(hash).update(message).digest())

/** The SDK's own client, whose requests to the vault go to the loopback interface. */
const rewriting = (url: string): HttpClient => {
  const client = createDefaultHttpClient()
  return {
    sendRequest: async (request) => {
      const original = request.url
      assert.strictEqual(new URL(original).origin, vaultUrl)
      request.url = original.replace(vaultUrl, url)
      request.allowInsecureConnection = true
      try {
        return await client.sendRequest(request)
      } finally {
        request.url = original
        request.allowInsecureConnection = false
      }
    }
  }
}

const withSdk = Effect.gen(function* () {
  const vault = yield* AzureKeyVaultEmulator.make({ vaultUrl })
  const options = { httpClient: rewriting(vault.url), retryOptions: { maxRetries: 0 } }
  return {
    vault,
    keys: new KeyClient(vaultUrl, vault.credential, options),
    cryptography: (id: string) => new CryptographyClient(id, vault.credential, options)
  }
})

interface Rejection {
  readonly name: string
  readonly code?: string
  readonly statusCode?: number
  readonly message: string
  readonly details?: { readonly error?: { readonly innererror?: object; readonly innerError?: object } }
}

const rejection = (call: () => Promise<unknown>) =>
  Effect.promise(() =>
    call().then(
      () => assert.fail("it succeeded"),
      (error: Rejection) => error
    )
  )

const status = (error: Rejection) => [error.statusCode, error.code]

describe("the clients of @azure/keyvault-keys", () => {
  it.effect.each([
    ["ES256", "P-256", "sha256"],
    ["ES384", "P-384", "sha384"],
    ["ES512", "P-521", "sha512"],
    ["ES256K", "P-256K", "sha256"],
    ["PS256", "RSA-2048", "sha256"],
    ["PS512", "RSA-2048", "sha512"],
    ["RS384", "RSA-2048", "sha384"]
  ] as ReadonlyArray<readonly [SignatureAlgorithm.SignatureAlgorithm, AzureKeyVaultEmulator.KeyType, string]>)(
    "sign %s with %s",
    ([algorithm, type, hash]) =>
      Effect.gen(function* () {
        const { cryptography, keys, vault } = yield* withSdk
        const privateKey = type === "RSA-2048" ? yield* TestKey.make(algorithm) : undefined
        const created = yield* vault.createKey("release", type, { privateKey })
        const key = yield* Effect.promise(() => keys.getKey("release"))
        assert.strictEqual(key.id, yield* created.id)
        assert.strictEqual(key.properties.version, yield* created.version)
        assert.isTrue(key.properties.enabled)
        assert.deepStrictEqual(key.keyOperations, ["sign", "verify"])
        const { result } = yield* Effect.promise(() => cryptography(key.id!).sign(algorithm, digestOf(hash)))
        assert.isTrue(
          yield* Verifier.verify(yield* created.publicKey(), message, new Uint8Array(result), { algorithm })
        )
      })
  )

  it.effect("read the key that is told, with its dates", () =>
    Effect.gen(function* () {
      const { keys, vault } = yield* withSdk
      yield* vault.createKey("release", "P-256", {
        privateKey: yield* TestKey.make("ES256"),
        isHardware: true,
        isEnabled: false,
        notBefore: 86_400_000,
        expires: 172_800_000
      })
      const { key, keyType, properties } = yield* Effect.promise(() => keys.getKey("release"))
      assert.strictEqual(keyType, "EC-HSM")
      assert.isFalse(properties.enabled)
      assert.strictEqual(properties.notBefore?.getTime(), 86_400_000)
      assert.strictEqual(properties.expiresOn?.getTime(), 172_800_000)
      const { publicKey } = yield* TestKey.make("ES256")
      const { x, y } = PublicKey.toJwk(publicKey) as { readonly x: string; readonly y: string }
      assert.deepStrictEqual(
        [key?.x, key?.y].map((bytes) => Buffer.from(bytes!).toString("base64url")),
        [x, y]
      )
    })
  )

  it.effect("see the errors of Azure", () =>
    Effect.gen(function* () {
      const { cryptography, keys, vault } = yield* withSdk
      const created = yield* vault.createKey("release", "P-256")
      const id = yield* created.id
      const sign = () => cryptography(id).sign("ES256", digestOf("sha256"))
      assert.deepStrictEqual(status(yield* rejection(() => keys.getKey("none"))), [404, "KeyNotFound"])
      yield* vault.sign.push(Fault.throttle())
      assert.deepStrictEqual(status(yield* rejection(sign)), [429, "Throttled"])
      yield* vault.deny("sign")
      assert.deepStrictEqual(status(yield* rejection(sign)), [403, "Forbidden"])
      yield* vault.allow("sign")
      // past the check that the client makes by itself
      const client = cryptography(id)
      yield* Effect.promise(() => client.sign("ES256", digestOf("sha256")))
      yield* vault.setEnabled(created, false)
      const disabled = yield* rejection(() => client.sign("ES256", digestOf("sha256")))
      assert.deepStrictEqual(status(disabled), [403, "Forbidden"])
      assert.include(JSON.stringify(disabled.details), "KeyDisabled")
      yield* vault.setEnabled(created, true)
      assert.deepStrictEqual(status(yield* rejection(() => client.sign("ES256", digestOf("sha256").subarray(1)))), [
        400,
        "BadParameter"
      ])
      yield* vault.deleteKey(created)
      assert.deepStrictEqual(status(yield* rejection(() => keys.getKey("release"))), [404, "KeyNotFound"])
    })
  )

  it.effect("are challenged for a token, and again when it is refused", () =>
    Effect.gen(function* () {
      const { keys, vault } = yield* withSdk
      yield* vault.createKey("release", "P-256")
      yield* Effect.promise(() => keys.getKey("release"))
      const statuses = Effect.map(vault.recorder.events, (events) =>
        events.flatMap((event) => (event._tag === "Answered" && event.operation === "getKey" ? [event.status] : []))
      )
      assert.deepStrictEqual(yield* statuses, [401, 200])
      yield* vault.recorder.clear
      yield* Effect.promise(() => keys.getKey("release"))
      assert.deepStrictEqual(yield* statuses, [200])
    })
  )

  it.effect("name the version that they read, not the one that signed: why none is used here", () =>
    Effect.gen(function* () {
      const { cryptography, vault } = yield* withSdk
      const created = yield* vault.createKey("release", "P-256")
      const first = yield* created.version
      const client = cryptography(`${vaultUrl}/keys/release`)
      yield* Effect.promise(() => client.sign("ES256", digestOf("sha256")))
      const second = yield* vault.addVersion(created)
      const { keyID, result } = yield* Effect.promise(() => client.sign("ES256", digestOf("sha256")))
      const isBy = (version: typeof first) =>
        Effect.flatMap(created.publicKey(version), (key) => Verifier.verify(key, message, new Uint8Array(result)))
      assert.deepStrictEqual([yield* isBy(first), yield* isBy(second)], [false, true])
      assert.isTrue(keyID?.endsWith(`/${first}`))
    })
  )
})

describe("AzureKeyVaultEmulator", () => {
  const ask = (url: string, token: string | undefined, init?: { readonly body?: object }) =>
    Effect.promise(async () => {
      const response = await fetch(url, {
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        ...(init?.body === undefined ? {} : { method: "POST", body: JSON.stringify(init.body) })
      })
      return { status: response.status, headers: response.headers, json: (await response.json()) as never }
    })

  it.effect("says where to get a token to whoever has none", () =>
    Effect.gen(function* () {
      const vault = yield* AzureKeyVaultEmulator.make()
      const { headers, json, status } = yield* ask(`${vault.url}/keys/a?api-version=7.4`, undefined)
      assert.strictEqual(status, 401)
      assert.match(
        headers.get("www-authenticate")!,
        /^Bearer authorization="https:\/\/.+", resource="https:\/\/vault\.azure\.net"$/
      )
      assert.deepStrictEqual(json, {
        error: { code: "Unauthorized", message: "AKV10000: Request is missing a Bearer or PoP token." }
      } as never)
    })
  )

  it.effect("lets a token expire by the clock of the test, and gives the same one until shortly before", () =>
    Effect.gen(function* () {
      const vault = yield* AzureKeyVaultEmulator.make({ tokenTimeToLive: 600 })
      yield* vault.createKey("a", "P-256")
      const get = Effect.promise(() => vault.credential.getToken("https://vault.azure.net/.default"))
      const url = `${vault.url}/keys/a?api-version=7.4`
      const { token } = yield* get
      assert.strictEqual((yield* ask(url, token)).status, 200)
      yield* TestClock.adjust("4 minutes")
      assert.strictEqual((yield* get).token, token)
      yield* TestClock.adjust("6 minutes")
      assert.strictEqual((yield* ask(url, token)).status, 401)
      assert.notStrictEqual((yield* get).token, token)
      assert.strictEqual((yield* ask(url, (yield* get).token)).status, 200)
    })
  )

  it.effect("signs with the current version where none is named", () =>
    Effect.gen(function* () {
      const vault = yield* AzureKeyVaultEmulator.make()
      const key = yield* vault.createKey("a", "P-256")
      const { token } = yield* Effect.promise(() => vault.credential.getToken(""))
      const body = { alg: "ES256", value: Buffer.from(digestOf("sha256")).toString("base64url") }
      yield* vault.sign.push(Fault.rotate)
      const { json } = yield* ask(`${vault.url}/keys/a/sign?api-version=7.4`, token, { body })
      assert.strictEqual((json as { readonly kid: string }).kid, yield* key.id)
    })
  )

  it.effect.each([
    { path: "/keys/a", body: undefined, status: 400 },
    { path: "/keys/a/sign?api-version=7.4", body: { alg: "EdDSA", value: "AAAA" }, status: 400 },
    { path: "/keys/a/sign?api-version=7.4", body: { alg: "ES384", value: "AAAA" }, status: 400 },
    { path: "/keys/a/sign?api-version=7.4", body: { alg: "ES256", value: "AAAA" }, status: 400 },
    { path: "/keys/a/sign?api-version=7.4", body: { alg: "ES256", value: "*" }, status: 400 },
    { path: "/keys/b?api-version=7.4", body: undefined, status: 404 },
    { path: "/keys/a/0123?api-version=7.4", body: undefined, status: 404 },
    { path: "/secrets/a?api-version=7.4", body: undefined, status: 404 }
  ])("$path $body.alg $body.value is $status", ({ body, path, status }) =>
    Effect.gen(function* () {
      const vault = yield* AzureKeyVaultEmulator.make()
      yield* vault.createKey("a", "P-256")
      const { token } = yield* Effect.promise(() => vault.credential.getToken(""))
      assert.strictEqual((yield* ask(`${vault.url}${path}`, token, body === undefined ? {} : { body })).status, status)
    })
  )

  it.effect("is a layer", () =>
    Effect.gen(function* () {
      const vault = yield* AzureKeyVaultEmulator.AzureKeyVaultEmulator
      assert.match(vault.url, /^http:\/\/127\.0\.0\.1:\d+$/)
    }).pipe(Effect.provide(Layer.fresh(AzureKeyVaultEmulator.layer())))
  )

  it.effect("a key of another type is refused", () =>
    Effect.gen(function* () {
      const vault = yield* AzureKeyVaultEmulator.make()
      const error = yield* Effect.flip(vault.createKey("a", "P-384", { privateKey: yield* TestKey.make("ES256") }))
      assert.strictEqual(error._tag, "InvalidConfiguration")
    })
  )
})
