import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { PrivateKey, PublicKey } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as Jws from "../../src/protocols/Jws.ts"
import * as Jwt from "../../src/protocols/Jwt.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Mac from "../../src/services/Mac.ts"
import type * as Signer from "../../src/services/Signer.ts"

/** Deterministic, so that a failure can be run again: mulberry32. */
const randomFrom = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
}

type Random = () => number

const below = (random: Random, limit: number) => Math.floor(random() * limit)
const pick = <A>(random: Random, values: ReadonlyArray<A>): A => values[below(random, values.length)]!

const fragments = [
  ...'ABCxyz019-_+/=.,:{}[]"\\ \n\t\0é\u2028\ud800',
  `"alg":"none",`,
  `"alg":"HS256",`,
  `"kid":"x",`,
  `"crit":["b64"],`,
  `"b64":false,`,
  `"exp":1e999,`,
  `"__proto__":{},`,
  "null",
  "[[[[[[[[",
  "=="
]

/** One change of a text: what it returns is another text. */
const mutateText = (random: Random, text: string): string => {
  const at = below(random, text.length + 1)
  const length = 1 + below(random, 4)
  const changes: ReadonlyArray<() => string> = [
    () => text.slice(0, at) + text.slice(at + length),
    () => text.slice(0, at) + pick(random, fragments) + text.slice(at),
    () => text.slice(0, at) + pick(random, fragments) + text.slice(at + 1),
    () => text.slice(0, at),
    () => text.slice(0, at) + text.slice(Math.max(0, at - length)),
    () => text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << below(random, 7))) + text.slice(at + 1)
  ]
  const changed = pick(random, changes)()
  return changed === text ? mutateText(random, text) : changed
}

const encode = (text: string) => Buffer.from(text).toString("base64url")
const decode = (text: string) => Buffer.from(text, "base64url").toString()

/** Changes the text of a token, or what one of its parts says. */
const mutateToken = (random: Random, token: string): string => {
  if (random() < 0.5) return mutateText(random, token)
  const parts = token.split(".")
  const index = below(random, 2)
  const changed = parts.with(index, encode(mutateText(random, decode(parts[index]!)))).join(".")
  return changed === token ? mutateToken(random, token) : changed
}

const issuer = "https://id.example"
const expected = { issuer, audience: "api" }

const withOwn = <A, E>(effect: Effect.Effect<A, E, Signer.Signer | KeyResolver.KeyResolver>) =>
  Effect.provide(effect, KeyResolver.layerSigner().pipe(Layer.provideMerge(LocalSigner.layerGenerated("Ed25519"))))

/** Runs it, and demands a typed failure: a defect would fail the test, an acceptance does here. */
const refused = <A, E extends { readonly _tag: string }, R>(what: string, effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.result(effect), (outcome) => {
    if (Result.isSuccess(outcome)) assert.fail(`accepted: ${JSON.stringify(what)}`)
    return outcome.failure._tag
  })

describe("mutations", () => {
  it.effect(
    "of 60,000 tokens are refused with a typed error",
    () =>
      withOwn(
        Effect.gen(function* () {
          const random = randomFrom(1)
          const token = yield* Jwt.sign({ role: "reader", n: [1, { a: "b" }] }, { ...expected, expiresIn: "5 minutes" })
          yield* Jwt.verify(token, expected)
          const tags = new Set<string>()
          for (let i = 0; i < 60_000; i++) {
            const changed = mutateToken(random, token)
            tags.add(yield* refused(changed, Jwt.verify(changed, expected)))
          }
          assert.sameMembers([...tags], ["JwsInvalid", "JwtInvalid", "KeyUnknown"])
        })
      ),
    60_000
  )

  it.effect("of 10,000 tokens with a MAC are refused with a typed error", () =>
    Effect.gen(function* () {
      const random = randomFrom(2)
      const mac = yield* Mac.generate("HS256")
      const token = yield* Jwt.signMac({}, mac, { ...expected, expiresIn: "5 minutes" })
      for (let i = 0; i < 10_000; i++) {
        const changed = mutateToken(random, token)
        yield* refused(changed, Jwt.verifyMac(changed, mac, expected))
      }
    })
  )

  it.effect("of 15,000 JSON forms are refused, or say the same", () =>
    withOwn(
      Effect.gen(function* () {
        const random = randomFrom(3)
        const text = JSON.stringify(yield* Jws.signFlattened(new TextEncoder().encode("hello"), { typ: "t" }))
        for (let i = 0; i < 15_000; i++) {
          const changed = mutateText(random, text)
          const outcome = yield* Effect.result(Jws.verifyFlattened(changed, { typ: "t" }))
          // White space between members, and members that nobody knows, change nothing
          if (Result.isSuccess(outcome)) {
            assert.strictEqual(new TextDecoder().decode(outcome.success.payload), "hello")
            assert.strictEqual(outcome.success.protectedHeader["typ"], "t")
          }
        }
      })
    )
  )

  it.effect("of 15,000 JWK Sets are refused, or hold the same keys under the names that they state", () =>
    Effect.gen(function* () {
      const random = randomFrom(4)
      const keys = yield* Effect.forEach(["Ed25519", "ES256"] as const, (algorithm) =>
        Effect.map(PrivateKey.generate(algorithm), ({ publicKey }) => publicKey)
      )
      const jwks = JSON.stringify({ keys: keys.map((key, i) => PublicKey.toJwk(key, { kid: `k${i}` })) })
      let accepted = 0
      for (let i = 0; i < 15_000; i++) {
        const changed = mutateText(random, jwks)
        const outcome = yield* Effect.result(KeyResolver.fromJwks(changed))
        if (Result.isFailure(outcome)) {
          assert.strictEqual(outcome.failure._tag, "JwksInvalid")
          continue
        }
        accepted++
        const found = yield* Effect.result(outcome.success.resolve({ keyId: "k1" }))
        // A point that is changed is off its curve: the key of this name is the one that it was
        if (Result.isSuccess(found)) assert.isTrue(PublicKey.sameKey(found.success.publicKey, keys[1]!))
      }
      assert.isAbove(accepted, 0)
    })
  )
})
