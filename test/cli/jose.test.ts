import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { PublicKey } from "../../src/index.ts"
import { run, temporary } from "./support/inProcess.ts"

const ok = Effect.fnUntraced(function* (args: ReadonlyArray<string>, options?: Parameters<typeof run>[1]) {
  const result = yield* run(args, options)
  assert.deepStrictEqual([result.exitCode, result.err], [0, ""])
  return result.out
})

interface Report {
  readonly [field: string]: unknown
  readonly claims: { readonly [name: string]: unknown }
}

const json = (text: string): Report => JSON.parse(text) as Report

/** Keys of two kinds, their public halves, and a JWK Set of both. */
const keys = Effect.gen(function* () {
  const files = yield* temporary
  const { at, read, write } = files
  for (const [name, alg] of [
    ["a", "Ed25519"],
    ["b", "ES256"],
    ["r", "RS256"]
  ] as const) {
    yield* ok(["keygen", "--alg", alg, "--out", at(`${name}.pem`), "--public-out", at(`${name}.pub`)])
  }
  const jwks = yield* Effect.forEach(["a.pub", "b.pub"], (name) =>
    Effect.map(Effect.flatMap(read(name), PublicKey.fromPem), (key) =>
      PublicKey.toJwk(key, { kid: PublicKey.thumbprint(key) })
    )
  )
  yield* write("jwks.json", JSON.stringify({ keys: jwks }))
  yield* write("message", "hello\n")
  return files
})

describe("jws", () => {
  it.effect("signs and verifies, compact and flattened, detached and unencoded", () =>
    Effect.gen(function* () {
      const { at, read, write } = yield* keys
      for (const key of ["a", "b"]) {
        for (const flags of [[], ["--form", "flattened"], ["--detached"], ["--form", "flattened", "--unencoded"]]) {
          const token = yield* ok(["jws", "sign", "--key", at(`${key}.pem`), at("message"), ...flags])
          assert.strictEqual(token.indexOf("\n"), token.length - 1)
          yield* write("token", token)
          const payload = flags[0] === "--detached" ? ["--payload", at("message")] : []
          for (const keys of [
            ["--key", at(`${key}.pub`)],
            ["--jwks", at("jwks.json")]
          ]) {
            assert.strictEqual(yield* ok(["jws", "verify", ...keys, ...payload, at("token")]), "valid\n")
          }
        }
      }
      const stdin = yield* read("message")
      const token = yield* ok(["jws", "sign", "--key", at("a.pem"), "--typ", "note", "--kid", "k1"], { stdin })
      const verify = ["jws", "verify", "--key", at("a.pub"), "--typ", "note", "--out", at("out"), "--json"]
      const report = json(yield* ok(verify, { stdin: token }))
      assert.deepStrictEqual(
        [report["valid"], report["algorithm"], report["keyId"], report["header"]],
        [true, "Ed25519", "k1", { alg: "EdDSA", typ: "note", kid: "k1" }]
      )
      assert.strictEqual(yield* read("out"), "hello\n")
    })
  )

  it.effect("ends with 1 and writes nothing where the token is refused", () =>
    Effect.gen(function* () {
      const { at, list, write } = yield* keys
      const token = yield* ok(["jws", "sign", "--key", at("a.pem"), at("message")])
      yield* write("token", token.replace("aGVsbG8K", "aGVsbG8h"))
      const before = yield* list
      const args = ["jws", "verify", "--key", at("a.pub"), "--out", at("out"), at("token")]
      const text = yield* run(args)
      assert.deepStrictEqual([text.exitCode, text.out], [1, "invalid\n"])
      assert.include(text.err, "SignatureInvalid")
      const asJson = yield* run([...args, "--json"])
      assert.deepStrictEqual([asJson.exitCode, json(asJson.out)], [1, { valid: false, reason: "SignatureInvalid" }])
      assert.deepStrictEqual(yield* list, before)
      const stranger = yield* run(["jws", "verify", "--jwks", at("jwks.json")], {
        stdin: yield* ok(["jws", "sign", "--key", at("r.pem"), "--alg", "RS256", at("message")])
      })
      assert.deepStrictEqual([stranger.exitCode, stranger.out], [1, "invalid\n"])
      assert.include(stranger.err, "KeyUnknown")
    })
  )

  it.effect("ends with 2 where it cannot tell", () =>
    Effect.gen(function* () {
      const { at, write } = yield* keys
      yield* write("broken.json", `{"keys":[{"kty":"oct","k":"AAAA"}]}`)
      for (const [args, message] of [
        [["jws", "verify", at("message")], "--key FILE or --jwks FILE"],
        [["jws", "verify", "--key", at("a.pub"), "--jwks", at("jwks.json"), at("message")], "state the keys once"],
        [["jws", "verify", "--jwks", at("broken.json"), at("message")], "SymmetricKey"],
        [["jws", "verify", "--key", at("a.pem"), at("message")], "only the public one belongs here"],
        [["jws", "verify", "--key", at("r.pub"), at("message")], "--alg"],
        [["jws", "sign", at("message")], "--key FILE"],
        [["jws", "sign", "--key", at("a.pem"), "--unencoded", at("message")], "RFC 7797"]
      ] as const) {
        const result = yield* run(args)
        assert.deepStrictEqual([result.exitCode, result.out], [2, ""], args.join(" "))
        assert.include(result.err, message)
      }
    })
  )
})

describe("jwt", () => {
  const who = ["--issuer", "https://id.example", "--audience", "api"]

  it.effect("signs, verifies and decodes, by the clock", () =>
    Effect.gen(function* () {
      const { at, write } = yield* keys
      yield* TestClock.setTime(1_000_000_000_000)
      yield* write("claims.json", `{"role":"reader"}`)
      const sign = ["jwt", "sign", "--key", at("b.pem"), ...who, "--subject", "7", "--claims", at("claims.json")]
      const token = yield* ok(sign)
      yield* write("token", token)
      const verify = ["jwt", "verify", "--jwks", at("jwks.json"), ...who, "--subject", "7", at("token")]
      assert.strictEqual(yield* ok(verify), "valid\n")
      const report = json(yield* ok([...verify, "--json"]))
      assert.strictEqual(report.claims["role"], "reader")
      assert.strictEqual(report["expiresAt"], "2001-09-09T01:51:40.000Z")
      const decoded = json(yield* ok(["jwt", "decode", at("token"), "--json"]))
      assert.deepStrictEqual([decoded["verified"], decoded.claims["sub"]], [false, "7"])
      assert.include(yield* ok(["jwt", "decode", at("token")]), "verified:")
      assert.strictEqual((yield* run([...verify, "--max-age", "1 second"])).exitCode, 0)
      yield* TestClock.adjust("2 minutes")
      const old = yield* run([...verify, "--max-age", "1 second", "--json"])
      assert.deepStrictEqual([old.exitCode, json(old.out)["reason"]], [1, "TooOld"])
      yield* TestClock.adjust("4 minutes")
      const late = yield* run(verify)
      assert.deepStrictEqual([late.exitCode, late.out], [1, "invalid\n"])
      assert.include(late.err, "Expired")
    })
  )

  it.effect("refuses another issuer, audience, subject and type", () =>
    Effect.gen(function* () {
      const { at, write } = yield* keys
      yield* write("token", yield* ok(["jwt", "sign", "--key", at("a.pem"), ...who, "--subject", "7"]))
      for (const [flags, reason] of [
        [["--issuer", "x", "--any-audience"], "WrongIssuer"],
        [["--any-issuer", "--audience", "x"], "WrongAudience"],
        [[...who, "--subject", "8"], "WrongSubject"],
        [[...who, "--typ", "at+jwt"], "WrongType"]
      ] as const) {
        const result = yield* run(["jwt", "verify", "--key", at("a.pub"), "--json", ...flags, at("token")])
        assert.deepStrictEqual([result.exitCode, json(result.out)["reason"]], [1, reason])
      }
      yield* ok(["jwt", "verify", "--key", at("a.pub"), "--any-issuer", "--any-audience", at("token")])
    })
  )

  it.effect("ends with 2 where it cannot tell", () =>
    Effect.gen(function* () {
      const { at, write } = yield* keys
      yield* write("twice.json", `{"a":1,"a":2}`)
      yield* write("list.json", `[]`)
      yield* write("iss.json", `{"iss":"x"}`)
      const sign = ["jwt", "sign", "--key", at("a.pem"), ...who]
      const verify = ["jwt", "verify", "--key", at("a.pub"), at("message")]
      for (const [args, message] of [
        [[...sign, "--claims", at("twice.json")], "twice"],
        [[...sign, "--claims", at("list.json")], "a JSON object"],
        [[...sign, "--claims", at("iss.json")], `"iss" is not set here`],
        [[...sign, "--expires-in", "soon"], "--expires-in has a wrong value"],
        [[...sign, "--expires-in", "Infinity"], "--expires-in"],
        [verify, "--issuer TEXT or --any-issuer"],
        [[...verify, "--any-issuer"], "--audience TEXT or --any-audience"],
        [["jwt", "decode", at("message")], "three parts"]
      ] as const) {
        const result = yield* run(args)
        assert.deepStrictEqual([result.exitCode, result.out], [2, ""], args.join(" "))
        assert.include(result.err, message)
      }
    })
  )
})
