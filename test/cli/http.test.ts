import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { folder, readJson } from "../schemas/vectors.ts"
import type { AdcpVector } from "./support/adcpVectors.ts"
import { requestOf } from "./support/adcpVectors.ts"
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

describe("http --profile adcp-3.x", () => {
  const buy =
    "post /adcp/./%63reate_media_buy?b=2&a=1 HTTP/1.1\r\nHost: Seller.Example.com:443\r\n" +
    `Content-Type: application/json\r\n\r\n{"plan_id":"p1"}`
  const canonical = "POST /adcp/create_media_buy?b=2&a=1 HTTP/1.1\r\nHost: Seller.Example.com:443\r\n"

  const parties = Effect.gen(function* () {
    const { sign: _, verify: __, ...own } = yield* files
    yield* TestClock.setTime(1_700_000_000_000)
    yield* own.write("buy.http", buy)
    const sign = (version: string, ...args: ReadonlyArray<string>) =>
      ok(["http", "sign", "--profile", version, "--key", own.at("k.pem"), ...args, own.at("buy.http")])
    const verify = (signed: string, version: string, ...args: ReadonlyArray<string>) =>
      run(["http", "verify", "--profile", version, "--key", own.at("k.pub"), ...args], { stdin: signed })
    return { ...own, sign, verify }
  })

  it.effect("signs and writes the canonical form, and verifies by version", () =>
    Effect.gen(function* () {
      const { at, sign, verify, write } = yield* parties
      for (const version of ["adcp-3.0", "adcp-3.1", "adcp-3.2"]) {
        const signed = yield* sign(version, "--keyid", "acme-2026", "--expires-in", "2 minutes")
        assert.isTrue(signed.startsWith(canonical), signed)
        assert.match(signed, /created=1700000000;expires=1700000120;nonce="[\w-]{22}";keyid="acme-2026";alg="ed25519"/)
        assert.deepInclude(yield* verify(signed, version), { exitCode: 0, out: "valid\n", err: "" })
      }
      const absolute = buy.replace("/adcp", "HTTPS://seller.example.com:443/adcp")
      yield* write("buy.http", absolute)
      const signed = yield* sign("adcp-3.2")
      assert.isTrue(signed.startsWith("POST https://seller.example.com/adcp/create_media_buy?b=2&a=1 HTTP/1.1\r\n"))
      const { out } = yield* verify(signed, "adcp-3.2", "--json")
      const { signatures } = JSON.parse(out) as { readonly signatures: ReadonlyArray<{ readonly covered: unknown }> }
      assert.deepInclude(signatures[0]!.covered as ReadonlyArray<object>, {
        identifier: `"@target-uri"`,
        value: "https://seller.example.com/adcp/create_media_buy?b=2&a=1"
      })
      const stated = ["--profile", "adcp-3.2", "--key", at("k.pem"), "--fields"]
      const lines = yield* run(["http", "sign", ...stated, at("buy.http")])
      assert.match(lines.out, /^Content-Digest: .*\nSignature-Input: .*\nSignature: .*\n$/)
      assert.include(lines.err, "warning: the target is signed in its canonical form")
    })
  )

  it.effect("refuses what was changed with the code of AdCP and its step", () =>
    Effect.gen(function* () {
      const { sign, verify } = yield* parties
      const signed = yield* sign("adcp-3.1")
      const changes: ReadonlyArray<readonly [string | RegExp, string, string]> = [
        [`"p1"`, `"p2"`, "digest_mismatch (step 11)"],
        ["a=1", "a=2", "invalid (step 10)"],
        ["Seller.", "other.", "invalid (step 10)"],
        ["application/json", "text/json", "invalid (step 10)"],
        ["created=1700000000", "created=1699999999", "window_invalid (step 5)"],
        ["created=1700000000", "created=1700000001", "invalid (step 10)"],
        [`alg="ed25519"`, `alg="rsa-pss-sha512"`, "alg_not_allowed (step 4)"],
        [` "@authority"`, "", "components_incomplete (step 6)"],
        [/;nonce="[^"]*"/, "", "params_incomplete (step 2)"],
        [/Signature: .*\r\n/, "", "header_malformed (step 1)"],
        [/Signature(-Input)?: .*\r\n/g, "", "required (step 0)"]
      ]
      for (const [from, to, code] of changes) {
        const changed = signed.replace(from, to)
        assert.notStrictEqual(changed, signed)
        const { err, exitCode, out } = yield* verify(changed, "adcp-3.1")
        assert.deepStrictEqual([exitCode, out], [1, "invalid\n"])
        assert.include(err, `request_signature_${code}`)
        const json = yield* verify(changed, "adcp-3.1", "--json")
        const [reason, step] = code.split(" (step ") as [string, string]
        assert.deepStrictEqual(JSON.parse(json.out), {
          valid: false,
          reason: `request_signature_${reason}`,
          step: step.slice(0, -1)
        })
      }
      yield* TestClock.setTime(1_700_000_361_000)
      assert.include((yield* verify(signed, "adcp-3.1")).err, "request_signature_window_invalid (step 5)")
    })
  )

  it.effect("asks for what the capability asks for, and says what is not signed", () =>
    Effect.gen(function* () {
      const { at, sign, verify, write } = yield* parties
      const block = { supported: true, required_for: ["create_media_buy"], warn_for: ["get_products"] }
      yield* write("required.json", JSON.stringify({ request_signing: block }))
      yield* write("forbidden.json", JSON.stringify({ ...block, covers_content_digest: "forbidden" }))
      const by = (name: string) => ["--capability", at(name)]
      const signed = yield* sign("adcp-3.1")
      assert.strictEqual((yield* verify(signed, "adcp-3.1", ...by("required.json"))).exitCode, 0)
      const forbidden = yield* verify(signed, "adcp-3.1", ...by("forbidden.json"))
      assert.include(forbidden.err, "request_signature_components_unexpected (step 6)")
      // What the version demands is no matter of the capability
      assert.strictEqual((yield* verify(yield* sign("adcp-3.2"), "adcp-3.2", ...by("forbidden.json"))).exitCode, 0)

      assert.include(
        (yield* verify(buy, "adcp-3.1", ...by("required.json"))).err,
        "request_signature_required (step 0)"
      )
      const free = buy.replace("%63reate_media_buy", "get_products")
      assert.include((yield* verify(free, "adcp-3.1")).err, "request_signature_required (step 0)")
      const unsigned = yield* verify(free, "adcp-3.1", ...by("required.json"))
      assert.deepStrictEqual([unsigned.exitCode, unsigned.out], [1, "unsigned\n"])
      assert.include(unsigned.err, "the capability asks for no signature")
      yield* write("buy.http", free)
      const broken = (yield* sign("adcp-3.1")).replace("a=1", "a=2")
      const warned = yield* verify(broken, "adcp-3.1", ...by("required.json"))
      assert.deepStrictEqual([warned.exitCode, warned.out], [1, "unsigned\n"])
      assert.include(warned.err, "request_signature_invalid (step 10)")
      const json = yield* verify(broken, "adcp-3.1", ...by("required.json"), "--json")
      const warning = { reason: "request_signature_invalid", step: "10" }
      assert.deepStrictEqual(JSON.parse(json.out), { valid: false, reason: "Unsigned", warning })
    })
  )

  it.effect.each([
    [["sign", "--tag", "x"], "--tag does not go with --profile adcp-3.1"],
    [["sign", "--component", "@method"], "--component does not go with"],
    [["sign", "--label", "x"], "--label does not go with"],
    [["sign", "--expires-in", "1 hour"], "--expires-in: must be 300 seconds or less"],
    [["verify", "--max-age", "1 hour"], "--max-age does not go with"],
    [["verify", "--skew", "1 hour"], "--skew does not go with"],
    [["verify", "--alg", "ES256"], "--alg does not go with"],
    [["verify", "--capability", "@response.http"], "response.http: request_signing: it is not JSON"],
    [["verify", "--capability", "@list.json"], "request_signing.required_for: must be"],
    [["verify", "--profile", "strict", "--capability", "@list.json"], "--capability goes with a profile of AdCP"]
  ] as const)("%j ends with 2", ([[command, ...args], problem]) =>
    Effect.gen(function* () {
      const { at, write } = yield* parties
      yield* write("list.json", `{"request_signing":{"supported":true,"required_for":"all"}}`)
      const named = args.map((arg) => (arg.startsWith("@") && arg.includes(".") ? at(arg.slice(1)) : arg))
      const profile = named.includes("strict") ? [] : ["--profile", "adcp-3.1"]
      const key = at(command === "sign" ? "k.pem" : "k.pub")
      const { err, exitCode, out } = yield* run(["http", command, ...profile, "--key", key, ...named, at("buy.http")])
      assert.deepStrictEqual([exitCode, out], [2, ""])
      assert.include(err, problem)
    })
  )

  it.effect("signs a request with a target that has a canonical form, and nothing else", () =>
    Effect.gen(function* () {
      const { at, write } = yield* parties
      const refused = Effect.fnUntraced(function* (name: string, ...args: ReadonlyArray<string>) {
        const { err, exitCode, out } = yield* run(["http", "sign", "--profile", "adcp-3.1", ...args, at(name)])
        assert.deepStrictEqual([exitCode, out], [2, ""])
        return err
      })
      const key = ["--key", at("k.pem")]
      assert.include(yield* refused("response.http", ...key), "adcp-3.1 is for requests, and this is a response")
      yield* write("odd.http", buy.replace("/./", "/%2e/"))
      assert.include(yield* refused("odd.http", ...key), "TargetUriMalformed: path: an encoded dot segment")
      yield* ok(["keygen", "--alg", "ES384", "--out", at("e.pem"), "--public-out", at("e.pub")])
      assert.include(yield* refused("buy.http", "--key", at("e.pem")), "ES384")
    })
  )

  it.effect.skipIf(folder === undefined)("answers as the published requests say (needs EFFECT_SIGNER_VECTORS)", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const jwks = join(folder!, "adcp/request-signing/keys.json")
      const counts = { positive: 0, negative: 0 }
      for (const kind of ["positive", "negative"] as const) {
        for (const name of readdirSync(join(folder!, "adcp/request-signing", kind))) {
          const vector = readJson(`adcp/request-signing/${kind}/${name}`) as AdcpVector
          // What was seen before, and what is revoked, is not known here
          if (vector.test_harness_state !== undefined) continue
          counts[kind]++
          yield* TestClock.setTime(vector.reference_now * 1000)
          yield* write("request.http", requestOf(vector))
          yield* write("capability.json", JSON.stringify(vector.verifier_capability))
          const capability = ["--capability", at("capability.json")]
          const args = ["--profile", "adcp-3.1", "--jwks", jwks, ...capability, "--json", at("request.http")]
          const result = yield* run(["http", "verify", ...args])
          const { reason, step, valid } = JSON.parse(result.out) as {
            readonly valid: boolean
            readonly reason?: string
            readonly step?: string
          }
          const { error_code: code, failed_step: failed, success } = vector.expected_outcome
          const expected = [success ? 0 : 1, success, code, failed === undefined ? undefined : String(failed)]
          assert.deepStrictEqual([result.exitCode, valid, reason, step], expected, name)
        }
      }
      assert.isAbove(counts.positive, 0)
      assert.isAbove(counts.negative, 0)
    })
  )

  it.effect.skipIf(folder === undefined)("warns where the content is not covered (needs EFFECT_SIGNER_VECTORS)", () =>
    Effect.gen(function* () {
      const { write } = yield* temporary
      const vector = readJson("adcp/request-signing/positive/001-basic-post.json") as AdcpVector
      yield* TestClock.setTime(vector.reference_now * 1000)
      const file = yield* write("request.http", requestOf(vector))
      const jwks = join(folder!, "adcp/request-signing/keys.json")
      const { err, exitCode, out } = yield* run(["http", "verify", "--profile", "adcp-3.1", "--jwks", jwks, file])
      assert.deepStrictEqual([exitCode, out], [0, "valid\n"])
      assert.strictEqual(err, "warning: the signature does not cover the content, which may be anybody's\n")
    })
  )
})
