import { KeyManagementServiceClient } from "@google-cloud/kms"
import { assert, describe, it } from "@effect/vitest"
import { credentials } from "@grpc/grpc-js"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { GoogleAuth, PassThroughClient } from "google-auth-library"
import { createHash } from "node:crypto"
import { connect } from "node:net"
import { EcdsaSignature, PublicKey, SignerError, Verifier } from "../../src/index.ts"
import type { SignatureAlgorithm } from "../../src/index.ts"
import * as Crc32c from "../../src/schemas/Crc32c.ts"
import * as GcpKmsEmulator from "../../src/testing/GcpKmsEmulator.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

const { Fault } = GcpKmsEmulator

const message = new TextEncoder().encode("message")
const digestOf = (hash: string) => new Uint8Array(createHash(hash).update(message).digest())

/** The client of the SDK, over gRPC or over its own HTTP. */
const sdk = (kms: GcpKmsEmulator.GcpKmsEmulator["Service"], transport: "grpc" | "rest") =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { hostname, port } = new URL(kms[transport].endpoint)
      return new KeyManagementServiceClient({
        apiEndpoint: hostname,
        port: Number(port),
        ...(transport === "grpc"
          ? { sslCreds: credentials.createInsecure(), auth: new GoogleAuth({ authClient: new PassThroughClient() }) }
          : { fallback: true, protocol: "http", auth: authOf(kms.tokens) })
      } as never)
    }),
    (client) => Effect.promise(() => client.close())
  )

const authOf = (tokens: GcpKmsEmulator.TokenSource) => {
  const client = new PassThroughClient()
  client.getRequestHeaders = async () => new Headers({ authorization: `Bearer ${await tokens.getAccessToken()}` })
  client.request = async (options) => {
    const headers = new Headers(options.headers)
    headers.set("authorization", `Bearer ${await tokens.getAccessToken()}`)
    return client.transporter.request({ ...options, headers })
  }
  return new GoogleAuth({ authClient: client })
}

interface Rejection {
  readonly code: number
  readonly details?: string
  readonly message: string
  readonly reason?: string
}

const rejection = (call: () => Promise<unknown>) =>
  Effect.promise(() =>
    call().then(
      () => assert.fail("it succeeded"),
      (error: Rejection) => error
    )
  )

const once = { retry: null, timeout: 5000 } as never

const kinds: ReadonlyArray<
  readonly [SignatureAlgorithm.SignatureAlgorithm, GcpKmsEmulator.Algorithm, "sha256" | "sha384" | "data"]
> = [
  ["Ed25519", "EC_SIGN_ED25519", "data"],
  ["ES256", "EC_SIGN_P256_SHA256", "sha256"],
  ["ES384", "EC_SIGN_P384_SHA384", "sha384"],
  ["ES256K", "EC_SIGN_SECP256K1_SHA256", "sha256"],
  ["PS256", "RSA_SIGN_PSS_2048_SHA256", "sha256"],
  ["RS256", "RSA_SIGN_PKCS1_2048_SHA256", "sha256"]
]

describe.each(["grpc", "rest"] as const)("the client of @google-cloud/kms over %s", (transport) => {
  it.live.each(kinds)("signs %s with %s given %s, and its checksums are right", ([algorithm, vendor, field]) =>
    Effect.gen(function* () {
      const kms = yield* GcpKmsEmulator.make({ transports: [transport] })
      const privateKey = vendor.startsWith("RSA") ? yield* TestKey.make(algorithm) : undefined
      const key = yield* kms.createKey("release", vendor, { privateKey })
      const client = yield* sdk(kms, transport)
      const name = yield* key.version
      const [publicKey] = yield* Effect.promise(() => client.getPublicKey({ name }))
      const read = yield* PublicKey.fromPem(publicKey.pem!)
      assert.isTrue(PublicKey.sameKey(read, yield* key.publicKey()))
      assert.strictEqual(Number(publicKey.pemCrc32c!.value), Crc32c.compute(new TextEncoder().encode(publicKey.pem!)))
      assert.deepStrictEqual([publicKey.name, publicKey.algorithm as unknown], [name, vendor])
      const bytes = field === "data" ? message : digestOf(field)
      const crc = { value: Crc32c.compute(bytes) }
      const [signed] = yield* Effect.promise(() =>
        client.asymmetricSign(
          field === "data"
            ? { name, data: bytes, dataCrc32c: crc }
            : { name, digest: { [field]: bytes }, digestCrc32c: crc }
        )
      )
      const signature = new Uint8Array(signed.signature as Uint8Array)
      assert.strictEqual(Number(signed.signatureCrc32c!.value), Crc32c.compute(signature))
      assert.deepStrictEqual(
        [signed.verifiedDataCrc32c, signed.verifiedDigestCrc32c],
        [field === "data", field !== "data"]
      )
      assert.strictEqual(signed.name, name)
      const length = { ES256: 32, ES256K: 32, ES384: 48 }[algorithm as "ES256"]
      const raw = length === undefined ? signature : EcdsaSignature.fromDer(signature, length)!
      const canonical = algorithm === "ES256K" ? EcdsaSignature.toLowS(raw)! : raw
      assert.isTrue(yield* Verifier.verify(read, message, canonical, { algorithm }))
    })
  )

  it.live("hears what is wrong with a request", () =>
    Effect.gen(function* () {
      const kms = yield* GcpKmsEmulator.make({ transports: [transport] })
      const client = yield* sdk(kms, transport)
      const name = yield* (yield* kms.createKey("p384", "EC_SIGN_P384_SHA384")).version
      const ed25519 = yield* (yield* kms.createKey("ed25519", "EC_SIGN_ED25519")).version
      const mlDsa = yield* (yield* kms.createKey("mldsa", "PQ_SIGN_ML_DSA_44")).version
      const mu = yield* (yield* kms.createKey("mu", "PQ_SIGN_ML_DSA_44_EXTERNAL_MU")).version
      const decrypting = yield* (yield* kms.createKey("rsa", "RSA_DECRYPT_OAEP_2048_SHA256", {
        privateKey: yield* TestKey.make("PS256")
      })).version
      const [sha256, sha384] = [digestOf("sha256"), digestOf("sha384")]
      const requests: ReadonlyArray<readonly [code: number, request: object]> = [
        [3, { name, digest: { sha256 } }],
        [3, { name, digest: { sha384: sha256 } }],
        [3, { name, digest: { sha384 }, data: message }],
        [3, { name }],
        [3, { name, digest: { sha384 }, digestCrc32c: { value: 1 } }],
        [3, { name: ed25519, data: message, dataCrc32c: { value: 1 } }],
        [3, { name: ed25519, data: new Uint8Array(65_537) }],
        [3, { name: ed25519, digest: { sha256 } }],
        [3, { name: mlDsa, digest: { externalMu: new Uint8Array(64) } }],
        [3, { name: mu, data: message }],
        [3, { name: mu, digest: { externalMu: new Uint8Array(63) } }],
        [5, { name: name.replace(/1$/, "9"), digest: { sha384 } }],
        [9, { name: decrypting, digest: { sha256 } }]
      ]
      for (const [code, request] of requests) {
        const error = yield* rejection(() => client.asymmetricSign(request, once))
        assert.strictEqual(error.code, code, `${JSON.stringify(request)} ${error.message}`)
      }
      // an ECDSA key hashes what it is given as data
      const [signed] = yield* Effect.promise(() => client.asymmetricSign({ name, data: message }, once))
      const raw = EcdsaSignature.fromDer(new Uint8Array(signed.signature as Uint8Array), 48)!
      const [{ pem }] = yield* Effect.promise(() => client.getPublicKey({ name }))
      assert.isTrue(yield* Verifier.verify(yield* PublicKey.fromPem(pem!), message, raw, { algorithm: "ES384" }))
      assert.isFalse(signed.verifiedDataCrc32c)
      assert.isFalse(signed.verifiedDigestCrc32c)
    })
  )

  it.live("is given the public key in the format that it asks for", () =>
    Effect.gen(function* () {
      const kms = yield* GcpKmsEmulator.make({ transports: [transport] })
      const client = yield* sdk(kms, transport)
      const key = yield* kms.createKey("mldsa", "PQ_SIGN_ML_DSA_44")
      const name = yield* key.version
      assert.strictEqual((yield* rejection(() => client.getPublicKey({ name }, once))).code, 3)
      const [answer] = yield* Effect.promise(() => client.getPublicKey({ name, publicKeyFormat: "NIST_PQC" }))
      const data = new Uint8Array(answer.publicKey!.data as Uint8Array)
      assert.deepStrictEqual(data, (yield* key.publicKey()).bytes)
      assert.strictEqual(Number(answer.publicKey!.crc32cChecksum!.value), Crc32c.compute(data))
      const p256 = yield* (yield* kms.createKey("p256", "EC_SIGN_P256_SHA256")).version
      const wrong = yield* rejection(() => client.getPublicKey({ name: p256, publicKeyFormat: "NIST_PQC" }, once))
      assert.strictEqual(wrong.code, 3)
    })
  )

  it.live("lists versions by page and by state", () =>
    Effect.gen(function* () {
      const kms = yield* GcpKmsEmulator.make({ transports: [transport] })
      const client = yield* sdk(kms, transport)
      const key = yield* kms.createKey("release", "EC_SIGN_P256_SHA256")
      for (let i = 2; i <= 12; i++) yield* kms.addVersion(key)
      yield* kms.setState(`${key.name}/cryptoKeyVersions/12`, "DISABLED")
      const [versions] = yield* Effect.promise(() =>
        client.listCryptoKeyVersions({ parent: key.name, filter: "state=ENABLED", pageSize: 5 })
      )
      assert.deepStrictEqual(
        versions.map(({ name }) => Number(/\d+$/.exec(name!)![0])),
        [1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9]
      )
      assert.strictEqual(yield* kms.recorder.count("listCryptoKeyVersions"), 3)
      const error = yield* rejection(() => client.listCryptoKeyVersions({ parent: key.name, filter: "what" }, once))
      assert.strictEqual(error.code, 3)
    })
  )

  it.live("hears of states, permissions and quotas in the words of Google", () =>
    Effect.gen(function* () {
      const kms = yield* GcpKmsEmulator.make({ transports: [transport] })
      const client = yield* sdk(kms, transport)
      const key = yield* kms.createKey("release", "EC_SIGN_ED25519", { state: "DISABLED" })
      const name = yield* key.version
      const sign = () => client.asymmetricSign({ name, data: message }, once)
      const disabled = yield* rejection(sign)
      assert.strictEqual(disabled.code, 9)
      assert.include(disabled.message, `${name} is not enabled, current state is: DISABLED.`)
      yield* kms.setState(name, "ENABLED")
      yield* kms.deny("asymmetricSign")
      const denied = yield* rejection(sign)
      assert.deepStrictEqual([denied.code, denied.reason], [7, "IAM_PERMISSION_DENIED"])
      assert.include(denied.message, "Permission 'cloudkms.cryptoKeyVersions.useToSign' denied on resource")
      yield* kms.allow("asymmetricSign")
      yield* kms.sign.push(Fault.throttle({ retryAfterSeconds: 3 }))
      const throttled = yield* rejection(sign)
      assert.deepStrictEqual([throttled.code, throttled.reason], [8, "RATE_LIMIT_EXCEEDED"])
      yield* Effect.promise(sign)
    })
  )
})

describe("the emulator", () => {
  it.effect("takes a token until it expires or is revoked", () =>
    Effect.gen(function* () {
      const kms = yield* GcpKmsEmulator.make({ transports: ["rest"] })
      const key = yield* kms.createKey("release", "EC_SIGN_P256_SHA256")
      const url = `${kms.rest.endpoint}/v1/${yield* key.version}/publicKey`
      const status = (token?: string) =>
        Effect.promise(() => fetch(url, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }))
      assert.strictEqual((yield* status()).status, 401)
      assert.strictEqual((yield* status("other")).status, 401)
      const token = yield* Effect.promise(() => kms.tokens.getAccessToken())
      assert.strictEqual((yield* status(token)).status, 200)
      yield* TestClock.adjust("1 hour")
      const expired = yield* status(token)
      assert.strictEqual(expired.status, 401)
      assert.include(yield* Effect.promise(() => expired.text()), "ACCESS_TOKEN_EXPIRED")
      const next = yield* Effect.promise(() => kms.tokens.getAccessToken())
      assert.notStrictEqual(next, token)
      yield* kms.revokeTokens
      assert.strictEqual((yield* status(next)).status, 401)
      // and what is no path of the API is a page
      const page = yield* Effect.promise(() => fetch(`${kms.rest.endpoint}/v2/what`))
      assert.deepStrictEqual([page.status, page.headers.get("content-type")], [404, "text/html; charset=UTF-8"])
    })
  )

  it.effect("writes JSON as Google does: integers as text, nothing that is false", () =>
    Effect.gen(function* () {
      const kms = yield* GcpKmsEmulator.make({ transports: ["rest"] })
      const name = yield* (yield* kms.createKey("release", "EC_SIGN_ED25519")).version
      const authorization = `Bearer ${yield* Effect.promise(() => kms.tokens.getAccessToken())}`
      const answer = (yield* Effect.promise(async () =>
        (
          await fetch(`${kms.rest.endpoint}/v1/${name}:asymmetricSign`, {
            method: "POST",
            headers: { authorization },
            body: JSON.stringify({ data: "AAAA", dataCrc32c: String(Crc32c.compute(new Uint8Array(3))) })
          })
        ).json()
      )) as Record<string, unknown>
      assert.match(String(answer["signatureCrc32c"]), /^\d+$/)
      assert.strictEqual(typeof answer["signatureCrc32c"], "string")
      assert.strictEqual(answer["verifiedDataCrc32c"], true)
      assert.notProperty(answer, "verifiedDigestCrc32c")
    })
  )

  it.effect("refuses a key of another kind, a port that is taken, and production", () =>
    Effect.gen(function* () {
      const kms = yield* GcpKmsEmulator.make()
      const privateKey = yield* TestKey.make("ES256")
      const other = yield* Effect.flip(kms.createKey("release", "EC_SIGN_ED25519", { privateKey }))
      assert.strictEqual(other._tag, "InvalidConfiguration")
      for (const [transport, field] of [
        ["rest", "port"],
        ["grpc", "grpcPort"]
      ] as const) {
        const taken = Number(new URL(kms[transport].endpoint).port)
        const error = yield* Effect.flip(GcpKmsEmulator.make({ [field]: taken, transports: [transport] }))
        assert.isTrue(error instanceof SignerError.InvalidConfiguration && error.field === field, error.message)
      }
      const previous = process.env["NODE_ENV"]
      process.env["NODE_ENV"] = "production"
      const refused = yield* Effect.flip(Effect.scoped(Layer.build(GcpKmsEmulator.layer()))).pipe(
        Effect.ensuring(Effect.sync(() => (process.env["NODE_ENV"] = previous)))
      )
      assert.isTrue(refused._tag === "InvalidConfiguration" && refused.field === "allowInProduction")
    })
  )
})

it.live("a request that no service expects ends its connection, and not the process", () =>
  Effect.gen(function* () {
    const kms = yield* GcpKmsEmulator.make({ transports: ["rest"] })
    const port = Number(new URL(kms.rest.endpoint).port)
    const rejections: Array<unknown> = []
    const onRejection = (error: unknown) => void rejections.push(error)
    process.on("unhandledRejection", onRejection)
    yield* Effect.addFinalizer(() => Effect.sync(() => process.off("unhandledRejection", onRejection)))
    const ask = (path: string) =>
      Effect.promise(
        () =>
          new Promise<string>((resolve) => {
            const socket = connect(port, "127.0.0.1", () => socket.write(`GET ${path} HTTP/1.0\r\n\r\n`))
            let text = ""
            socket.on("data", (chunk: Buffer) => (text += chunk.toString()))
            socket.on("error", () => {})
            socket.on("close", () => resolve(text))
          })
      )
    assert.strictEqual(yield* ask("//"), "")
    assert.include(yield* ask("/v1/nothing"), "404")
    assert.deepStrictEqual(rejections, [])
  }).pipe(Effect.timeout("10 seconds"))
)
