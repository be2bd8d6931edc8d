import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { LocalSigner, Signer, type SignerError } from "effect-signer"
import * as OctokitAppJwt from "../../src/protocols/adapters/OctokitAppJwt.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

const partsOf = (token: string): ReadonlyArray<unknown> =>
  token
    .split(".")
    .slice(0, 2)
    .map((part) => JSON.parse(Buffer.from(part, "base64url").toString()))

const setup = Effect.gen(function* () {
  const signer = yield* LocalSigner.make({ privateKey: TestKey.make("RS256"), algorithm: "RS256" })
  return yield* Effect.provideService(OctokitAppJwt.make(), Signer.Signer, signer)
})

describe("createJwt", () => {
  it.effect("is valid from a minute ago, for ten minutes, at the clock of GitHub", () =>
    Effect.gen(function* () {
      const createJwt = yield* setup
      yield* TestClock.setTime(1_700_000_000_999)
      for (const [id, difference, now] of [
        [123, undefined, 1_700_000_000],
        ["Iv1.abc", 0, 1_700_000_000],
        [123, 75, 1_700_000_075],
        [123, -75, 1_699_999_925]
      ] as const) {
        const { expiresAt, jwt } = yield* Effect.promise(() => createJwt(id, difference))
        const [iat, exp] = [now - 60, now + 540]
        assert.deepStrictEqual(partsOf(jwt), [
          { alg: "RS256", typ: "JWT" },
          { iat, exp, iss: String(id) }
        ])
        assert.strictEqual(expiresAt, new Date(exp * 1000).toISOString())
      }
    })
  )

  it.effect.each([
    ["appId", "", 0],
    ["appId", 0, 0],
    ["appId", 1.5, 0],
    ["appId", undefined, 0],
    ["timeDifference", 1, Number.NaN],
    ["timeDifference", 1, 1e300],
    ["timeDifference", 1, "60"]
  ] as const)("refuses a wrong %s: %s, %s", ([field, id, difference]) =>
    Effect.gen(function* () {
      const createJwt = yield* setup
      const error = yield* Effect.flip(
        Effect.tryPromise({
          try: () => createJwt(id as never, difference as never),
          catch: (error) => error as SignerError.SignerError
        })
      )
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.include(error.message, `${field}: expected`)
    })
  )
})
