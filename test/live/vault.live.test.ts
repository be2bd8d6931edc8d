/**
 * The conformance cases against OpenBao and Vault.
 *
 * | variable | meaning |
 * | --- | --- |
 * | `EFFECT_SIGNER_BAO`, `EFFECT_SIGNER_VAULT` | the executables, if they are not on the PATH as `bao` and `vault` |
 * | `EFFECT_SIGNER_LIVE` | names of servers, with commas, without which the run fails: `openbao,vault` |
 * | `EFFECT_SIGNER_VAULT_ADDR` | a server that runs already, with a key to sign about 180 messages with |
 * | `EFFECT_SIGNER_VAULT_TOKEN`, `EFFECT_SIGNER_VAULT_KEY` | a token and the name of the key; both are needed |
 * | `EFFECT_SIGNER_VAULT_MOUNT`, `EFFECT_SIGNER_VAULT_NAMESPACE` | where it is; default: `transit`, in no namespace |
 * | `EFFECT_SIGNER_VAULT_ALGORITHM` | its algorithm; needed for RSA |
 */
import { NodeHttpClient } from "@effect/platform-node"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Redacted, Schema, Scope } from "effect"
import * as Software from "../../scripts/live/Software.ts"
import { openbao, rootToken, vault } from "../../scripts/live/vault.ts"
import { SignatureAlgorithm, Signer, Verifier } from "../../src/index.ts"
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

const notRun = (why: string) => {
  // oxlint-disable-next-line no-restricted-properties -- what is missing here is the name
  it.skip(`${why}`, () => {})
}

const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const build = <E>(layer: Layer.Layer<Signer.Signer, E>) =>
  Effect.map(Layer.build(layer), (context) => Context.get(context, Signer.Signer))

for (const software of [openbao, vault]) {
  const started = await Effect.runPromise(Effect.result(Scope.provide(Software.start(software), scope)))
  if (started._tag === "Failure") {
    const { message } = started.failure
    if (Software.isDemanded(software.name)) it(`${software.name} is there`, () => assert.fail(message))
    else notRun(message)
    continue
  }
  const { url } = started.success

  const post = async (path: string, body: object = {}) => {
    const response = await fetch(`${url}/v1/${path}`, {
      method: "POST",
      headers: { "x-vault-token": rootToken },
      body: JSON.stringify(body)
    })
    assert.isTrue(response.ok, `${path}: ${response.status} ${await response.text()}`)
  }

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

if (url === undefined) {
  notRun("Vault: EFFECT_SIGNER_VAULT_ADDR names no server")
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
