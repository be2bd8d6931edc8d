import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Layer, Redacted } from "effect"
import { createHmac } from "node:crypto"
import * as Mac from "../../src/services/Mac.ts"
import * as Canary from "../../src/testing/Canary.ts"

const lengths = { HS256: 32, HS384: 48, HS512: 64 } as const
const secret = (length: number) => new Uint8Array(length).map((_, i) => 7 * i + 3)

describe("Mac", () => {
  it.effect.each(Mac.MacAlgorithm.literals)("%s is the HMAC of node:crypto, and checks its own", (algorithm) =>
    Effect.gen(function* () {
      for (const extra of [0, 1, 200]) {
        const key = secret(lengths[algorithm] + extra)
        const mac = yield* Mac.make({ algorithm, secret: Redacted.make(key) })
        const message = new TextEncoder().encode("hello")
        const made = yield* mac.compute(message)
        const expected = createHmac(`sha${algorithm.slice(2)}`, key)
          .update(message)
          .digest()
        assert.deepStrictEqual(made, new Uint8Array(expected))
        assert.isTrue(yield* mac.verify(message, made))
        for (let i = 0; i < made.length; i++) {
          const flipped = made.slice()
          flipped[i]! ^= 1
          assert.isFalse(yield* mac.verify(message, flipped))
        }
        for (const wrong of [new Uint8Array(0), made.subarray(1), new Uint8Array([...made, 0])]) {
          assert.isFalse(yield* mac.verify(message, wrong))
        }
        assert.isFalse(yield* mac.verify(new Uint8Array(5), made))
      }
    })
  )

  it.effect("copies the secret", () =>
    Effect.gen(function* () {
      const key = secret(32)
      const mac = yield* Mac.make({ algorithm: "HS256", secret: Redacted.make(key) })
      const before = yield* mac.compute(new Uint8Array(1))
      key.fill(0)
      assert.deepStrictEqual(yield* mac.compute(new Uint8Array(1)), before)
    })
  )

  it.effect.each(Mac.MacAlgorithm.literals)("%s needs a secret as long as its hash", (algorithm) =>
    Effect.gen(function* () {
      const short = Redacted.make(secret(lengths[algorithm] - 1))
      const error = yield* Effect.flip(Mac.make({ algorithm, secret: short }))
      assert.include(error.message, `${lengths[algorithm]} random bytes`)
      assert.strictEqual(error.field, "secret")
      const long = yield* Effect.flip(Mac.make({ algorithm, secret: Redacted.make(new Uint8Array(65_537)) }))
      assert.include(long.message, "65536 at most")
    })
  )

  it.effect("shows no secret, whatever is printed", () =>
    Effect.gen(function* () {
      const key = secret(32)
      const mac = yield* Mac.make({ algorithm: "HS256", secret: Redacted.make(key), keyId: "k" })
      const k = Buffer.from(key).toString("base64url")
      const errors = yield* Effect.all([
        Effect.flip(Mac.fromJwk(Redacted.make({ kty: "oct", k, alg: "HS512" }))),
        Effect.flip(Mac.fromJwk(Redacted.make({ kty: "oct", k: `${k}=`, alg: "HS256" }))),
        Effect.flip(Mac.fromJwks(Redacted.make({ keys: [{ kty: "EC", k, alg: "HS256" }] })))
      ])
      const search = Canary.search([
        { name: "secret", secret: key },
        { name: "k", secret: k }
      ])
      for (const value of [mac, ...errors]) assert.isUndefined(search(Canary.show(value)))
      assert.isDefined(search(k))
    })
  )

  it.effect.each([
    [{ kty: "EC" }, `"kty"`],
    [{ alg: "none" }, `"alg"`],
    [{ alg: undefined }, `"alg"`],
    [{ alg: "RS256" }, `"alg"`],
    [{ use: "enc" }, `"use"`],
    [{ key_ops: ["encrypt"] }, `"key_ops"`],
    [{ key_ops: [] }, `"key_ops"`],
    [{ kid: 7 }, `"kid"`],
    [{ k: "AAA=" }, `"k"`],
    [{ k: undefined }, `"k"`]
  ] as const)("refuses a JWK with %j", ([members, text]) =>
    Effect.gen(function* () {
      const jwk = { kty: "oct", alg: "HS256", k: Buffer.from(secret(32)).toString("base64url"), ...members }
      assert.include((yield* Effect.flip(Mac.fromJwk(Redacted.make(jwk)))).message, text)
    })
  )

  it.effect("refuses a set with a key of another kind, a kid twice, or none where there are several", () =>
    Effect.gen(function* () {
      const oct = (kid?: string) => ({
        kty: "oct",
        alg: "HS256",
        k: Buffer.from(secret(32)).toString("base64url"),
        kid
      })
      const problem = (keys: unknown) => Effect.map(Effect.flip(Mac.fromJwks(Redacted.make({ keys }))), String)
      assert.include(yield* problem([oct("a"), { kty: "EC" }]), "jwks.keys[1]")
      assert.include(yield* problem([oct("a"), oct("a")]), "the same kid")
      assert.include(yield* problem([oct("a"), oct()]), `"kid" is missing`)
      assert.include(yield* problem([]), "1 to 100")
      const macs = yield* Mac.fromJwks(Redacted.make({ keys: [oct("a"), oct("b")] }))
      assert.deepStrictEqual(
        macs.map(({ keyId }) => keyId),
        ["a", "b"]
      )
    })
  )

  it.effect("reads a secret from the configuration", () =>
    Effect.gen(function* () {
      const layer = Mac.layerConfig({ secret: Config.Redacted("SECRET"), algorithm: Config.succeed("HS256" as const) })
      const made = yield* Mac.Mac.use((mac) => mac.compute(new Uint8Array(1))).pipe(
        Effect.provide(
          Layer.provide(
            layer,
            ConfigProvider.layer(
              ConfigProvider.fromEnvRecord({ SECRET: Buffer.from(secret(32)).toString("base64url") })
            )
          )
        )
      )
      assert.deepStrictEqual(made, new Uint8Array(createHmac("sha256", secret(32)).update(new Uint8Array(1)).digest()))
    })
  )

  it.effect("generates a different secret each time", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* Mac.generate("HS512"), yield* Mac.generate("HS512")]
      assert.notDeepEqual(yield* a.compute(new Uint8Array(1)), yield* b.compute(new Uint8Array(1)))
    })
  )
})
