/**
 * The conformance cases against OpenBao and Vault.
 *
 * | variable | meaning |
 * | --- | --- |
 * | `EFFECT_SIGNER_VAULT_ADDR` | a server that runs already, with a key to sign about 180 messages with |
 * | `EFFECT_SIGNER_VAULT_TOKEN`, `EFFECT_SIGNER_VAULT_KEY` | a token and the name of the key; both are needed |
 * | `EFFECT_SIGNER_VAULT_MOUNT`, `EFFECT_SIGNER_VAULT_NAMESPACE` | where it is; default: `transit`, in no namespace |
 * | `EFFECT_SIGNER_VAULT_ALGORITHM` | its algorithm; needed for RSA |
 *
 * `npm run test:live` starts the servers; `EFFECT_SIGNER_BAO` and `EFFECT_SIGNER_VAULT`
 * are their executables, if they are not on the PATH as `bao` and `vault`.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted, Schema } from "effect"
import * as Software from "../../scripts/live/Software.ts"
import { openbao, rootToken, server, vault } from "../../scripts/live/vault.ts"
import { PublicKey, SignatureAlgorithm, Signer, Verifier } from "../../src/index.ts"
import * as VaultSigner from "../../src/layers/VaultSigner.ts"
import { Conformance } from "../../src/testing.ts"

const message = new TextEncoder().encode("message")
const timeout = 120_000
const maxMessageLength = 786_432

const types: ReadonlyArray<readonly [SignatureAlgorithm.SignatureAlgorithm, string]> = [
  ["Ed25519", "ed25519"],
  ["ES256", "ecdsa-p256"],
  ["ES384", "ecdsa-p384"],
  ["ES512", "ecdsa-p521"],
  ["PS256", "rsa-2048"],
  ["PS384", "rsa-2048"],
  ["PS512", "rsa-3072"],
  ["RS256", "rsa-2048"],
  ["RS384", "rsa-2048"],
  ["RS512", "rsa-4096"]
]

const build = <E>(layer: Layer.Layer<Signer.Signer, E>) =>
  Effect.map(Layer.build(layer), (context) => Context.get(context, Signer.Signer))

for (const software of [openbao, vault]) {
  const url = Software.urlOf(software.name)
  if (url === undefined) continue

  const request = (method: string, path: string, body?: object) =>
    fetch(`${url}/v1/${path}`, {
      method,
      headers: { "x-vault-token": rootToken },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
  const data = async (method: string, path: string, body?: object): Promise<Record<string, unknown>> => {
    const response = await request(method, path, body)
    const text = await response.text()
    assert.isTrue(response.ok, `${path}: ${response.status} ${text}`)
    return text === "" ? {} : ((JSON.parse(text) as { readonly data: Record<string, unknown> | null }).data ?? {})
  }
  const post = (path: string, body: object = {}) => data("POST", path, body)

  const layerOf = (options: Partial<VaultSigner.LayerOptions> & { readonly key: string }) =>
    VaultSigner.layer({ url, token: Redacted.make(rootToken), ...options }).pipe(
      Layer.provide(NodeHttpClient.layerUndici)
    )

  await post("sys/mounts/transit", { type: "transit" })
  for (const [algorithm, type] of types) {
    const key = `kit-${type}`
    await post(`transit/keys/${key}`, { type })
    Conformance.suite(it, `kit/vault/${software.name}/${algorithm}`, layerOf({ key, algorithm }), {
      timeout,
      secrets: [rootToken],
      faulty: [
        layerOf({ key: "none", algorithm }),
        layerOf({ key, algorithm, mount: "none" }),
        layerOf({ key, algorithm, token: Redacted.make(`hvs.${rootToken}`) })
      ],
      ...(algorithm === "Ed25519" ? { maxMessageLength } : {})
    })
  }

  await post("transit/keys/derived", { type: "ed25519", derived: true })
  const context = new TextEncoder().encode("tenant-7")
  Conformance.suite(it, `kit/vault/${software.name}/Ed25519/derived`, layerOf({ key: "derived", context }), {
    timeout,
    maxMessageLength
  })
  Conformance.suite(
    it,
    `kit/vault/${software.name}/ES256/batched`,
    layerOf({ key: "kit-ecdsa-p256", algorithm: "ES256", batch: {} }),
    { timeout }
  )

  describe(`${software.name}`, () => {
    it.live("a signature names its version, also while the key rotates", () =>
      Effect.gen(function* () {
        yield* Effect.promise(() => post("transit/keys/rotating", { type: "ecdsa-p384" }))
        const signer = yield* build(layerOf({ key: "rotating" }))
        const first = yield* signer.sign(message)
        yield* Effect.promise(() => post("transit/keys/rotating/rotate"))
        const second = yield* signer.sign(message)
        assert.deepStrictEqual([first.keyVersion, second.keyVersion], ["1", "2"])
        for (const { bytes, keyVersion } of [first, second]) {
          const key = yield* signer.publicKey(keyVersion)
          assert.isTrue(yield* Verifier.verify(key, message, bytes))
        }
      })
    )

    it.live.each([
      ["one by one", undefined],
      ["in batches", {}]
    ] as const)("%s, each of 300 signatures names the version that verifies it while the key rotates", ([how, batch]) =>
      Effect.gen(function* () {
        const key = `under-load-${how.replaceAll(" ", "-")}`
        yield* Effect.promise(() => post(`transit/keys/${key}`, { type: "ecdsa-p256" }))
        const signer = yield* build(layerOf({ key, batch }))
        const rotating = yield* Effect.forkChild(
          Effect.forEach(
            Array.from({ length: 6 }),
            () =>
              Effect.andThen(
                Effect.promise(() => post(`transit/keys/${key}/rotate`)),
                Effect.sleep("20 millis")
              ),
            { discard: true }
          )
        )
        const versions = yield* Effect.forEach(
          Array.from({ length: 300 }, (_, index) => new TextEncoder().encode(`message ${index}`)),
          (input, index) =>
            Effect.gen(function* () {
              // some are asked for after the last rotation
              if (index === 280) yield* Fiber.join(rotating)
              const { bytes, keyVersion } = yield* signer.sign(input)
              const publicKey = yield* signer.publicKey(keyVersion)
              assert.isTrue(yield* Verifier.verify(publicKey, input, bytes), `version ${keyVersion}`)
              return keyVersion
            }),
          { concurrency: 16 }
        )
        assert.isAbove(new Set(versions).size, 1)
      })
    )

    it.live(
      "a key that does not exist is status 400 when it is to sign and 404 when it is read: both KeyNotFound",
      () =>
        Effect.gen(function* () {
          const input = Buffer.from(message).toString("base64")
          const [sign, read] = yield* Effect.promise(() =>
            Promise.all([request("POST", "transit/sign/none", { input }), request("GET", "transit/keys/none")])
          )
          assert.deepStrictEqual([sign!.status, read!.status], [400, 404])
          const unread = { key: "none", algorithm: "Ed25519", lazy: true, resilience: { times: 0 } } as const
          const gone = yield* build(layerOf(unread))
          assert.strictEqual((yield* Effect.flip(gone.sign(message)))._tag, "KeyNotFound")
          const unbatched = yield* build(layerOf({ ...unread, batch: {} }))
          assert.strictEqual((yield* Effect.flip(unbatched.sign(message)))._tag, "KeyNotFound")
          assert.strictEqual((yield* Effect.flip(gone.publicKey()))._tag, "KeyNotFound")
        })
    )

    it.live("the key of a tenant is derived from its context", () =>
      Effect.gen(function* () {
        const keyOf = (tenant: string) =>
          Effect.flatMap(build(layerOf({ key: "derived", context: new TextEncoder().encode(tenant) })), (signer) =>
            signer.publicKey()
          )
        const [first, second, again] = [yield* keyOf("tenant-1"), yield* keyOf("tenant-2"), yield* keyOf("tenant-1")]
        assert.isFalse(PublicKey.sameKey(first, second))
        assert.isTrue(PublicKey.sameKey(first, again))
      })
    )

    it.live("a login with AppRole is renewed while it can be, and replaced by another when it cannot", () =>
      Effect.gen(function* () {
        const policy = `path "transit/*" { capabilities = ["read", "update"] }`
        const appRole = yield* Effect.promise(async () => {
          await post("sys/auth/approle", { type: "approle" })
          await post("sys/policies/acl/signs", { policy })
          await post("auth/approle/role/signer", { token_policies: "signs", token_ttl: "2s", token_max_ttl: "5s" })
          const { role_id } = await data("GET", "auth/approle/role/signer/role-id")
          const { secret_id } = await post("auth/approle/role/signer/secret-id")
          return { roleId: String(role_id), secretId: Redacted.make(String(secret_id)) }
        })
        const accessors = Effect.promise(
          async () => (await data("LIST", "auth/token/accessors"))["keys"] as Array<string>
        )
        const before = new Set(yield* accessors)
        const logins = Effect.map(accessors, (all) => all.filter((accessor) => !before.has(accessor)))

        const signer = yield* build(layerOf({ key: "kit-ed25519", token: { appRole } }))
        yield* signer.sign(message)
        const first = yield* logins
        assert.strictEqual(first.length, 1)
        yield* Effect.sleep("3500 millis") // longer than its time to live
        yield* signer.sign(message)
        assert.deepStrictEqual(yield* logins, first)
        yield* Effect.sleep("4 seconds") // longer than it may be renewed
        yield* signer.sign(message)
        assert.notInclude(yield* logins, first[0])

        const secretId = Redacted.make("00000000-0000-0000-0000-000000000000")
        const stranger = layerOf({ key: "kit-ed25519", token: { appRole: { ...appRole, secretId } } })
        assert.strictEqual((yield* Effect.flip(build(stranger)))._tag, "AuthenticationFailed")
      })
    )

    it.live("what it refuses has the tag that the emulator gives it", () =>
      Effect.gen(function* () {
        yield* Effect.promise(() => post("transit/keys/symmetric", { type: "aes256-gcm96" }))
        const tagOf = (options: Partial<VaultSigner.LayerOptions> & { readonly key: string }) =>
          Effect.map(Effect.flip(build(layerOf({ ...options, resilience: { times: 0 } }))), ({ _tag }) => _tag)
        assert.strictEqual(yield* tagOf({ key: "none" }), "KeyNotFound")
        assert.strictEqual(yield* tagOf({ key: "symmetric" }), "KeyNotSigner")
        assert.strictEqual(yield* tagOf({ key: "kit-ed25519", mount: "none" }), "InvalidConfiguration")
        assert.strictEqual(yield* tagOf({ key: "kit-ed25519", algorithm: "ES256" }), "InvalidConfiguration")
        assert.strictEqual(yield* tagOf({ key: "derived" }), "InvalidConfiguration")
        const gone = yield* build(layerOf({ key: "none", algorithm: "Ed25519", lazy: true, resilience: { times: 0 } }))
        assert.strictEqual((yield* Effect.flip(gone.sign(message)))._tag, "KeyNotFound")
        const refused = yield* tagOf({ key: "kit-ed25519", token: Redacted.make("hvs.nobody") })
        assert.include(["AuthenticationFailed", "PermissionDenied"], refused)
      })
    )
  })
}

const url = process.env["EFFECT_SIGNER_VAULT_ADDR"]
const token = process.env["EFFECT_SIGNER_VAULT_TOKEN"]
const key = process.env["EFFECT_SIGNER_VAULT_KEY"]

if (url === undefined || !Software.isDemanded(server.name)) {
  // no server of the user's
} else if (token === undefined || key === undefined) {
  it("EFFECT_SIGNER_VAULT_TOKEN and EFFECT_SIGNER_VAULT_KEY are there", () =>
    assert.fail("EFFECT_SIGNER_VAULT_ADDR is set, and they are needed with it"))
} else {
  const algorithm = Schema.decodeUnknownSync(Schema.UndefinedOr(SignatureAlgorithm.SignatureAlgorithm))(
    process.env["EFFECT_SIGNER_VAULT_ALGORITHM"]
  )
  const layer = VaultSigner.layer({
    url,
    token: Redacted.make(token),
    key,
    algorithm,
    mount: process.env["EFFECT_SIGNER_VAULT_MOUNT"],
    namespace: process.env["EFFECT_SIGNER_VAULT_NAMESPACE"]
  }).pipe(Layer.provide(NodeHttpClient.layerUndici))
  const signer = await Effect.runPromise(Effect.scoped(build(layer)))
  Conformance.suite(it, `kit/vault/live/${signer.algorithm}`, layer, {
    timeout,
    secrets: [token],
    ...(signer.algorithm === "Ed25519" ? { maxMessageLength } : {})
  })
}
