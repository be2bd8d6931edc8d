import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as ContentDigest from "../../src/protocols/ContentDigest.ts"

const content = new TextEncoder().encode(`{"hello": "world"}`)
const sha256 = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"
const sha512 = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"
const wrong256 = `sha-256=:${Buffer.alloc(32).toString("base64")}:`

const reasonOf = <A>(effect: Effect.Effect<A, ContentDigest.DigestInvalid>) =>
  Effect.map(Effect.result(effect), (outcome) => (Result.isSuccess(outcome) ? "accepted" : outcome.failure.reason))

describe("ContentDigest", () => {
  it.effect("makes the digests that are asked for, in that order", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ContentDigest.make(content), sha256)
      assert.strictEqual(yield* ContentDigest.make(content, ["sha-512", "sha-256"]), `${sha512}, ${sha256}`)
      assert.strictEqual(yield* reasonOf(ContentDigest.make(content, [])), "Unsupported")
      assert.strictEqual(yield* reasonOf(ContentDigest.make(content, ["md5" as "sha-256"])), "Unsupported")
      assert.strictEqual(yield* reasonOf(ContentDigest.make("text" as unknown as Uint8Array)), "Malformed")
    })
  )

  it.effect.each([
    [sha256, "accepted"],
    [`${sha256}, ${sha512}`, "accepted"],
    [`unixsum=:AAA=:, ${sha512}`, "accepted"],
    // every digest of ours must be right, whatever stands beside it
    [`${wrong256}, ${sha512}`, "Mismatch"],
    [`${sha512}, ${wrong256}`, "Mismatch"],
    [wrong256, "Mismatch"],
    ["md5=:mZFLkyvTelC5g8XnyQrpOw==:", "Unsupported"],
    ["SHA-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:", "Malformed"],
    ["", "Unsupported"],
    [`${sha256}, ${sha256}`, "Malformed"],
    [`${wrong256}, ${sha256}`, "Malformed"],
    ["sha-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=", "Malformed"],
    ["sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE:", "Malformed"],
    ["sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPF=:", "Malformed"],
    ["sha-256=:X48E:", "Malformed"],
    ["sha-256", "Malformed"],
    ["sha-256=(:X48E:)", "Malformed"]
  ] as const)("%s: %s", ([value, expected]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf(ContentDigest.verify(content, value)), expected)
    })
  )

  it.effect("another alphabet is read where it is asked for", () =>
    Effect.gen(function* () {
      const value = sha512.replaceAll("+", "-").replaceAll("/", "_").replaceAll("==:", ":")
      assert.strictEqual(yield* reasonOf(ContentDigest.verify(content, value)), "Malformed")
      assert.strictEqual(yield* reasonOf(ContentDigest.verify(content, value, { alphabet: "base64url" })), "accepted")
      assert.strictEqual(yield* reasonOf(ContentDigest.verify(content, value, { alphabet: "either" })), "accepted")
      assert.strictEqual(yield* reasonOf(ContentDigest.verify(content, sha512, { alphabet: "either" })), "accepted")
    })
  )

  it.effect("wishes are written and read, the most wanted first", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ContentDigest.want({ "sha-512": 3, "sha-256": 10 }), "sha-512=3, sha-256=10")
      assert.deepStrictEqual(yield* ContentDigest.parseWant("sha-512=3, sha-256=10, md5=9"), ["sha-256", "sha-512"])
      assert.deepStrictEqual(yield* ContentDigest.parseWant("sha-256=0"), [])
      for (const value of ["sha-256=11", "sha-256=-1", "sha-256=1.0", "sha-256", "sha-256=a", "="]) {
        assert.strictEqual(yield* reasonOf(ContentDigest.parseWant(value)), "Malformed")
      }
      assert.strictEqual(yield* reasonOf(ContentDigest.want({})), "Malformed")
      assert.strictEqual(yield* reasonOf(ContentDigest.want({ "sha-256": 11 })), "Malformed")
    })
  )
})
