import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Scope } from "effect"
import nodeVault from "node-vault"
import { PublicKey, SignatureAlgorithm, SignerError } from "../../src/index.ts"
import * as VaultSigner from "../../src/layers/VaultSigner.ts"
import { Conformance } from "../../src/testing.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import * as VaultEmulator from "../../src/testing/VaultEmulator.ts"
import { atOnce, build, isValid, message, tagOf } from "./support/cloudBackend.ts"

const { Fault } = VaultEmulator

const canaryToken = "hvs.canary-token-0123456789abcdefghij"

/** The real package, as an application configures it. */
const clientOf = (url: string, token = canaryToken) =>
  nodeVault({ endpoint: url, token, requestOptions: { timeout: 5000 } })

const withKey = Effect.gen(function* () {
  const vault = yield* VaultEmulator.make({ rootToken: Redacted.make(canaryToken) })
  const key = yield* vault.createKey("release", "ed25519")
  return { vault, key, client: clientOf(vault.url) }
})

const types: ReadonlyArray<readonly [SignatureAlgorithm.SignatureAlgorithm, VaultEmulator.KeyType]> = [
  ["Ed25519", "ed25519"],
  ["ES384", "ecdsa-p384"],
  ["PS256", "rsa-2048"],
  ["RS512", "rsa-2048"]
]

for (const [algorithm, type] of types) {
  const once = Effect.runSync(
    Effect.cached(
      Effect.gen(function* () {
        const vault = yield* Scope.provide(
          VaultEmulator.make({ rootToken: Redacted.make(canaryToken) }),
          Scope.makeUnsafe()
        )
        const privateKey = type === "rsa-2048" ? yield* TestKey.make(algorithm) : undefined
        yield* vault.createKey("kit", type, { privateKey })
        return vault
      })
    )
  )
  const layerOf = (options: { readonly key?: string; readonly token?: string; readonly url?: string } = {}) =>
    Layer.unwrap(
      Effect.map(once, ({ url }) =>
        VaultSigner.fromNodeVault(clientOf(options.url ?? url, options.token)).layer({
          key: options.key ?? "kit",
          algorithm,
          resilience: { ...atOnce, times: 0 }
        })
      )
    )
  Conformance.suite(it, `kit/vault/emulator/node-vault/${algorithm}`, layerOf(), {
    publicKeyReads: Effect.orDie(Effect.flatMap(once, ({ recorder }) => recorder.count("readKey"))),
    ...(algorithm === "Ed25519" ? { maxMessageLength: 786_432 } : {}),
    secrets: [canaryToken, `${canaryToken}x`],
    faulty: [layerOf({ key: "none" }), layerOf({ token: `${canaryToken}x` }), layerOf({ url: "http://127.0.0.1:1" })]
  })
}

describe("fromNodeVault", () => {
  it.effect("signs as the layer does: versions, batches, derived keys", () =>
    Effect.gen(function* () {
      const { client, key, vault } = yield* withKey
      const { layer, layerBare, make } = VaultSigner.fromNodeVault(client)
      const signer = yield* build(layer({ key: "release" }))
      assert.strictEqual(signer.keyId, "transit/keys/release")
      yield* vault.rotate(key)
      const signature = yield* signer.sign(message)
      assert.strictEqual(signature.keyVersion, "2")
      assert.isTrue(yield* isValid(signer, message, signature))

      const batched = yield* build(layerBare({ key: "release", batch: {} }))
      const before = yield* vault.recorder.count("sign")
      yield* Effect.forEach(Array.from({ length: 100 }), () => batched.sign(message), { concurrency: "unbounded" })
      assert.strictEqual((yield* vault.recorder.count("sign")) - before, 1)

      const derived = yield* vault.createKey("derived", "ed25519", { isDerived: true })
      const context = new TextEncoder().encode("tenant 7?&")
      const tenant = yield* make({ key: "derived", context })
      assert.isTrue(PublicKey.sameKey(yield* tenant.publicKey(), yield* derived.publicKey({ context })))
      assert.isTrue(yield* isValid(tenant, message, yield* tenant.sign(message)))
    })
  )

  it.effect.each(["../../sys/health", "..", "a/../b", "a/b", ""])("the name %j never reaches the client", (key) =>
    Effect.gen(function* () {
      const calls: Array<unknown> = []
      const client: VaultSigner.NodeVault = {
        read: (path) => {
          calls.push(path)
          return Promise.resolve({})
        },
        write: (path) => {
          calls.push(path)
          return Promise.resolve({})
        }
      }
      const error = yield* Effect.flip(VaultSigner.fromNodeVault(client).make({ key }))
      assert.isTrue(error._tag === "InvalidConfiguration" && error.field === "key", error.message)
      const inMount = yield* Effect.flip(
        VaultSigner.fromNodeVault(client).make({ key: "release", mount: "transit/../sys" })
      )
      assert.isTrue(inMount._tag === "InvalidConfiguration" && inMount.field === "mount", inMount.message)
      assert.deepStrictEqual(calls, [])
    })
  )

  it.live.each([
    { fault: Fault.throttle(), tag: "Retryable/RateLimited" },
    { fault: Fault.vendorError("internal error", 500), tag: "Retryable/BackendUnavailable" },
    { fault: Fault.vendorError("Vault is sealed", 503), tag: "Retryable/BackendUnavailable" },
    { fault: Fault.vendorError("permission denied", 403), tag: "PermissionDenied" },
    {
      fault: Fault.vendorError("2 errors occurred: * permission denied * invalid token", 403),
      tag: "AuthenticationFailed"
    },
    { fault: Fault.vendorError("signing key not found", 400), tag: "KeyNotFound" },
    { fault: Fault.htmlPage(502), tag: "Retryable/BackendUnavailable" },
    { fault: Fault.htmlPage(200), tag: "InvalidResponse" },
    { fault: Fault.garbled, tag: "InvalidResponse" },
    { fault: Fault.reset, tag: "Retryable/BackendUnavailable" },
    { fault: Fault.hang, tag: "Retryable/TimedOut" },
    { fault: Fault.wrongName, tag: "KeyNotFound" },
    { fault: Fault.corruptedSignature, tag: "InvalidResponse" },
    { fault: Fault.anotherKey, tag: "InvalidResponse" }
  ])("$fault._tag is $tag, without the token", ({ fault, tag }) =>
    Effect.gen(function* () {
      const { client, vault } = yield* withKey
      const { layer } = VaultSigner.fromNodeVault(client)
      const signer = yield* build(layer({ key: "release", resilience: { timeout: "200 millis", times: 0 } }))
      yield* vault.sign.push(fault)
      const error = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(tagOf(error), tag)
      const search = Canary.search([{ name: "token", secret: canaryToken }])
      assert.isUndefined(search(Canary.show(error)))
      yield* signer.sign(message)
    })
  )

  it.effect("an error of the network holds the token in node-vault, and not here", () =>
    Effect.gen(function* () {
      const client = clientOf("http://127.0.0.1:1")
      const search = Canary.search([{ name: "token", secret: canaryToken }])
      const raw = yield* Effect.promise(() => client.write("transit/sign/release", {}).catch((error: unknown) => error))
      assert.isDefined(search(Canary.show(raw)))
      const error = yield* Effect.flip(VaultSigner.fromNodeVault(client).make({ key: "release" }))
      assert.strictEqual(tagOf(error), "Retryable/BackendUnavailable")
      assert.isTrue(error.cause instanceof SignerError.VendorError && error.cause.code === "ECONNREFUSED")
      assert.isUndefined(search(Canary.show(error)))
    })
  )
})
