import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { run, temporary } from "./support/inProcess.ts"

const ok = Effect.fnUntraced(function* (args: ReadonlyArray<string>, options?: Parameters<typeof run>[1]) {
  const result = yield* run(args, options)
  assert.deepStrictEqual([result.exitCode, result.err], [0, ""])
  return result.out
})

const request =
  "POST /orders?dry=1 HTTP/1.1\r\nHost: api.example\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n" +
  `{"item":7}`
const response = "HTTP/1.1 200 OK\nContent-Type: text/plain\n\nhello"

const files = Effect.gen(function* () {
  const files = yield* temporary
  const { at, write } = files
  yield* ok(["keygen", "--alg", "Ed25519", "--out", at("k.pem"), "--public-out", at("k.pub")])
  yield* write("request.http", request)
  yield* write("response.http", response)
  const sign = (...args: ReadonlyArray<string>) => ok(["http", "sign", "--key", at("k.pem"), ...args])
  const verify = (...args: ReadonlyArray<string>) => run(["http", "verify", "--key", at("k.pub"), ...args])
  return { ...files, sign, verify }
})

describe("http", () => {
  it.effect("signs a request and a response, and verifies them", () =>
    Effect.gen(function* () {
      const { at, read, sign, verify } = yield* files
      yield* sign(at("request.http"), "--out", at("signed.http"))
      const signed = yield* read("signed.http")
      const [head, added] = [request.slice(0, request.indexOf("\r\n\r\n") + 2), signed.split("\r\n").slice(4, 7)]
      assert.strictEqual(signed, `${head}${added.join("\r\n")}\r\n\r\n{"item":7}`)
      assert.deepStrictEqual(
        added.map((line) => line.slice(0, line.indexOf(":"))),
        ["Content-Digest", "Signature-Input", "Signature"]
      )
      assert.include(added[1], `("@method" "@target-uri" "content-type" "content-digest");created=`)
      assert.deepInclude(yield* verify(at("signed.http")), { exitCode: 0, out: "valid\n" })

      const bound = yield* sign("--request", at("signed.http"), at("response.http"))
      assert.include(bound, `("@status" "@method";req "@target-uri";req "content-type" "content-digest")`)
      const found = yield* run(["http", "verify", "--key", at("k.pub"), "--request", at("signed.http"), "--json"], {
        stdin: bound
      })
      const { signatures, valid } = JSON.parse(found.out) as {
        readonly valid: boolean
        readonly signatures: ReadonlyArray<{ readonly covered: ReadonlyArray<object> }>
      }
      assert.isTrue(valid)
      assert.deepInclude(signatures[0]!.covered, { identifier: `"@method";req`, value: "POST" })
    })
  )

  it.effect("ends with 1 where the message was changed, and with 2 where nobody can tell", () =>
    Effect.gen(function* () {
      const { at, sign, verify, write } = yield* files
      const signed = yield* sign(at("request.http"))
      const changes: ReadonlyArray<readonly [string, string, string]> = [
        [`"item":7`, `"item":8`, "DigestInvalid"],
        ["dry=1", "dry=0", "SignatureInvalid"],
        ["application/json", "text/json", "SignatureInvalid"],
        [";nonce=", `;tag="x";nonce=`, "NoSignature"]
      ]
      for (const [from, to, reason] of changes) {
        yield* write("changed.http", signed.replace(from, to))
        const { err, exitCode, out } = yield* verify(at("changed.http"))
        assert.deepStrictEqual([exitCode, out, err.includes(reason)], [1, "invalid\n", true], `${to}: ${err}`)
      }
      assert.strictEqual((yield* verify(at("request.http"))).exitCode, 1)
      assert.strictEqual((yield* verify(at("missing.http"))).exitCode, 2)
    })
  )

  it.effect("covers what is asked for, with a label, a tag and a time", () =>
    Effect.gen(function* () {
      const { at, sign, verify } = yield* files
      const stated = ["--component", "@method", "--component", "content-digest", "--tag", "app"]
      const lines = yield* sign(
        at("request.http"),
        "--fields",
        "--label",
        "mine",
        "--keyid",
        "k1",
        "--expires-in",
        "2 minutes",
        ...stated
      )
      const [, created, expires] = /mine=\("@method" "content-digest"\);created=(\d+);expires=(\d+)/.exec(lines)!
      assert.strictEqual(Number(expires) - Number(created), 120)
      assert.include(lines, `;keyid="k1";tag="app"`)
      const signed = request.replace("\r\n\r\n", `\r\n${lines.trimEnd().replace(/\n/g, "\r\n")}\r\n\r\n`)
      const read = (...args: ReadonlyArray<string>) =>
        run(["http", "verify", "--key", at("k.pub"), ...args], { stdin: signed })
      assert.strictEqual((yield* read(...stated)).out, "valid\n")
      assert.strictEqual((yield* read("--tag", "other", "--component", "@method")).out, "invalid\n")
      assert.strictEqual((yield* read("--tag", "app")).out, "invalid\n")
      const wrong = yield* verify("--profile", "web-bot-auth", at("response.http"))
      assert.include(wrong.err, "for requests, and this is a response")
    })
  )

  it.effect("writes nothing over what is there, and replaces no input", () =>
    Effect.gen(function* () {
      const { at, read, write } = yield* files
      yield* write("taken", "precious")
      const sign = (...args: ReadonlyArray<string>) => run(["http", "sign", "--key", at("k.pem"), ...args])
      assert.strictEqual((yield* sign("--out", at("taken"), at("request.http"))).exitCode, 2)
      assert.strictEqual(yield* read("taken"), "precious")
      const own = yield* sign("--out", at("request.http"), "--force", at("request.http"))
      assert.strictEqual(own.exitCode, 2)
      assert.strictEqual(yield* read("request.http"), request)
      assert.strictEqual((yield* sign("--out", at("taken"), "--force", at("request.http"))).exitCode, 0)
      assert.include(yield* read("taken"), "Signature-Input: ")
    })
  )

  it.effect("explains what is signed, and shows the first line that differs", () =>
    Effect.gen(function* () {
      const { at, sign, write } = yield* files
      yield* write("signed.http", yield* sign(at("request.http")))
      const base = yield* ok(["http", "explain", at("signed.http")])
      assert.isTrue(base.startsWith(`"@method": POST\n"@target-uri": https://api.example/orders?dry=1\n`))
      yield* write("same.txt", base)
      const same = yield* run(["http", "explain", "--base", at("same.txt"), at("signed.http")])
      assert.deepStrictEqual([same.exitCode, same.out], [0, base])
      yield* write("other.txt", base.replace("https:", "http:"))
      const other = yield* run(["http", "explain", "--base", at("other.txt"), at("signed.http")])
      assert.strictEqual(other.exitCode, 1)
      assert.include(other.out, 'line 2 differs\nours:   "@target-uri": https:')
    })
  )

  it.effect.each([
    ["nonsense", "neither METHOD TARGET HTTP/1.1 nor"],
    ["", "neither METHOD TARGET HTTP/1.1 nor"],
    ["GET / HTTP/1.1\nHost a\n\n", "line 2 is not NAME: VALUE"],
    ["GET / HTTP/1.1\nHost: a\n folded\n\n", "line 3 is not NAME: VALUE"],
    ["GET / HTTP/1.1\nHost : a\n\n", "line 2 is not NAME: VALUE"],
    ["POST / HTTP/1.1\nHost: a\nContent-Length: 2\n\nab\n", "line end at the end of the file"],
    ["POST / HTTP/1.1\nHost: a\nContent-Length: 9\n\nab", "Content-Length is another"],
    ["POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n2\nab\n0\n\n", "without chunks"]
  ])("refuses what is no message: %j", ([text, problem]) =>
    Effect.gen(function* () {
      const { at } = yield* files
      const { err, exitCode, out } = yield* run(["http", "sign", "--key", at("k.pem")], { stdin: text! })
      assert.deepStrictEqual([exitCode, out], [2, ""])
      assert.include(err, problem!)
    })
  )
})
