import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { PrivateKey, PublicKey } from "../../src/index.ts"
import { testRsaKey } from "../../src/testing/TestKey.ts"
import { ca, serve } from "../layers/httpsServer.ts"
import { run, temporary } from "./support/inProcess.ts"

const json = { "content-type": "application/json" }

/** A server of one set, and the flags that let a command reach it. */
const published = Effect.fnUntraced(function* (set: unknown, status = 200) {
  const { write } = yield* temporary
  const body = typeof set === "string" ? set : JSON.stringify(set)
  const server = yield* serve((request, response) => {
    const issuer = `https://127.0.0.1:${server.port}`
    response.writeHead(status, json)
    response.end(request.url === "/jwks" ? body : JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks` }))
  })
  const issuer = `https://127.0.0.1:${server.port}`
  const flags = ["--allow", "127.0.0.1", "--ca", yield* write("ca.pem", ca)]
  return { issuer, url: `${issuer}/jwks`, flags, seen: server.seen }
})

const publicJwk = Effect.map(PrivateKey.generate("ES256"), ({ publicKey }) => ({
  jwk: { ...PublicKey.toJwk(publicKey, { kid: "a" }), use: "sig" },
  thumbprint: PublicKey.thumbprint(publicKey)
}))

const rsa = { kty: "RSA", n: testRsaKey.n, e: testRsaKey.e }

describe("jwks fetch", () => {
  it.effect("prints the keys of a set", () =>
    Effect.gen(function* () {
      const { jwk, thumbprint } = yield* publicJwk
      const { flags, issuer, url } = yield* published({ keys: [jwk, { ...rsa, alg: "RS256" }] })
      for (const source of [[url], ["--issuer", issuer]]) {
        const text = yield* run(["jwks", "fetch", ...source, ...flags])
        assert.deepStrictEqual([text.exitCode, text.err], [0, ""])
        const lines = text.out.trimEnd().split("\n")
        assert.deepStrictEqual(
          lines.map((line) => line.split(/ +/).slice(0, 6)),
          [
            ["key", "kid", "kty", "crv/bits", "alg", "use"],
            ["0", "a", "EC", "P-256", "ES256", "sig"],
            ["1", "-", "RSA", "2048", "RS256", "-"]
          ]
        )
        assert.include(lines[1], thumbprint)
        const asJson = yield* run(["jwks", "fetch", ...source, ...flags, "--json"])
        const report = JSON.parse(asJson.out)
        assert.deepStrictEqual([asJson.exitCode, report.url, report.usable, report.problems], [0, url, true, []])
        assert.deepStrictEqual(report.keys[0], {
          kid: "a",
          kty: "EC",
          crv: "P-256",
          alg: "ES256",
          use: "sig",
          thumbprint
        })
        assert.strictEqual(report.keys[1].bits, 2048)
      }
    })
  )

  it.effect("says everything that is wrong, key by key, and ends with 1", () =>
    Effect.gen(function* () {
      const { jwk } = yield* publicJwk
      const secret = "c2VjcmV0LWNhbmFyeS0xMjM0NTY3OA"
      const { flags, url } = yield* published({
        keys: [
          jwk,
          { ...jwk, d: secret },
          { kty: "oct", k: secret, kid: "\u001b[2Jx" },
          rsa,
          { ...jwk, kid: "e", use: "enc" },
          7
        ]
      })
      const report = yield* run(["jwks", "fetch", url, ...flags, "--json"])
      assert.strictEqual(report.exitCode, 1)
      assert.deepStrictEqual(
        JSON.parse(report.out).problems.map((problem: Record<string, unknown>) => [
          problem["index"],
          problem["reason"]
        ]),
        [
          [1, "PrivateKey"],
          [1, "DuplicateKeyId"],
          [2, "SymmetricKey"],
          [3, "AlgorithmUnstated"],
          [4, "WrongUse"],
          [5, "MalformedKey"]
        ]
      )
      assert.notInclude(report.out, secret)
      const text = yield* run(["jwks", "fetch", url, ...flags, "--foreign-keys", "ignore", "--alg", "ES256"])
      assert.strictEqual(text.exitCode, 1)
      assert.match(text.out, /^key 1 \(a\): PrivateKey: it has private members/m)
      assert.notMatch(text.out, /WrongUse|AlgorithmUnstated/)
      assert.notInclude(text.out, secret)
      assert.notInclude(text.out, "\u001b")
    })
  )

  it.effect.each([
    ["not JSON", "Malformed"],
    [`{"keys":[],"keys":[]}`, "Malformed"],
    [`{}`, "Malformed"],
    [
      JSON.stringify({
        keys: Array.from({ length: 101 }, (_, index) => ({ ...rsa, e: "AQAB", n: "AQ", kid: `${index}` }))
      }),
      "TooManyKeys"
    ]
  ] as const)("says what is wrong with a set, %#", ([body, reason]) =>
    Effect.gen(function* () {
      const { flags, url } = yield* published(body)
      const report = yield* run(["jwks", "fetch", url, ...flags, "--json"])
      const { problems, usable } = JSON.parse(report.out)
      assert.deepStrictEqual([report.exitCode, usable, problems.at(-1).reason], [1, false, reason])
      assert.isUndefined(problems.at(-1).index)
    })
  )

  it.effect("RSA keys without alg are for the one that is stated", () =>
    Effect.gen(function* () {
      const { flags, url } = yield* published({ keys: [rsa] })
      assert.strictEqual((yield* run(["jwks", "fetch", url, ...flags, "--alg", "RS256"])).exitCode, 0)
    })
  )

  it.effect("ends with 2 where nothing could be fetched, and says why", () =>
    Effect.gen(function* () {
      const { flags, seen, url } = yield* published({ keys: [] }, 404)
      const { write } = yield* temporary
      const noCertificate = yield* write("no.pem", "hello")
      for (const [args, message] of [
        [[url, ...flags], "StatusRefused: the answer is not 200 (status 404)"],
        [[url, ...flags.slice(0, 2)], "Untrusted"],
        [[url, ...flags.slice(2)], "AddressRefused: 127.0.0.1: loopback (RFC 1122 section 3.2.1.3)"],
        [["https://169.254.169.254/latest"], "AddressRefused"],
        [[url.replace("https", "http")], "url: must be an https URL"],
        [["--issuer", "id.example"], "issuer: is not a URL"],
        [[], "state the URL of a set, or --issuer URL"],
        [[url, "--issuer", url], "state the URL of a set, or --issuer URL"],
        [[url, "--allow", "localhost"], "allow[0]: expected an IP address"],
        [[url, "--ca", noCertificate], "there is no certificate in PEM in it"],
        [[url, "--ca", "/nowhere/ca.pem"], "no such file"]
      ] as const) {
        const result = yield* run(["jwks", "fetch", ...args])
        assert.deepStrictEqual([result.exitCode, result.out], [2, ""], args.join(" "))
        assert.include(result.err, message)
      }
      assert.strictEqual(seen.length, 1)
    })
  )
})
