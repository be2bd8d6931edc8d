import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { PrivateKey, PublicKey } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as Jws from "../../src/protocols/Jws.ts"
import * as Mac from "../../src/services/Mac.ts"
import * as Signer from "../../src/services/Signer.ts"
import { joseFamilies } from "../../src/cli/vectors/WycheproofJose.ts"

const payload = new TextEncoder().encode("x")
const oct = { kty: "oct", kid: "s", alg: "HS256", k: Buffer.alloc(32, 7).toString("base64url") }

const fileOf = (schema: string, groups: ReadonlyArray<object>, tests: number) =>
  JSON.stringify({ schema, numberOfTests: tests, header: [], notes: {}, testGroups: groups })

describe("Wycheproof's JOSE files", () => {
  it.effect("of keys and key sets are judged as an application would, faults included", () =>
    Effect.gen(function* () {
      const signer = yield* LocalSigner.make({ privateKey: PrivateKey.generate("ES256") })
      const key = PublicKey.toJwk(yield* signer.publicKey(), { kid: "k" })
      const provide = <A, E>(effect: Effect.Effect<A, E, Signer.Signer>) =>
        Effect.provideService(effect, Signer.Signer, signer)
      const signed = yield* provide(Jws.sign(payload, { kid: "k" }))
      const flattened = yield* provide(Jws.signFlattened(payload, { kid: "k" }))
      const tagged = yield* Jws.signMac(payload, yield* Mac.fromJwk(Redacted.make(oct)))
      const test = (tcId: number, result: string, fields: object) => ({
        tcId,
        comment: "",
        result,
        flags: [],
        ...fields
      })
      const group = (fields: object, tests: ReadonlyArray<object>) => ({ type: "JsonWebCrypto", ...fields, tests })
      const groups = [
        group({ public: { keys: [key] } }, [
          test(1, "valid", { jws: signed }),
          test(2, "valid", { jws: flattened }),
          test(3, "valid", { jwe: "x" })
        ]),
        group({ public: key }, [test(4, "valid", { jws: signed })]),
        group({ public: { keys: [key, key] } }, [test(5, "invalid", { jws: signed })]),
        group({ public: { keys: [key, oct] } }, [test(6, "invalid", { jws: signed })]),
        group({ private: { keys: [oct] } }, [test(7, "valid", { jws: tagged })]),
        group({ private: { keys: [oct, { ...oct, alg: "HS512" }] } }, [test(8, "invalid", { jws: tagged })]),
        group({ public: { keys: [key] } }, [test(9, "invalid", { jws: signed }), test(10, "valid", { jws: tagged })])
      ]
      for (const subject of ["key", "crypto"]) {
        const schema = `json_web_${subject}_schema_v1.json`
        const outcomes = yield* joseFamilies[schema]!(`json_web_${subject}_test.json`, fileOf(schema, groups, 10))
        assert.deepStrictEqual(
          outcomes.map((outcome) => outcome._tag),
          ["Passed", "Passed", "Exception", "Passed", "Passed", "Passed", "Passed", "Passed", "Failed", "Failed"]
        )
      }
    })
  )
})
