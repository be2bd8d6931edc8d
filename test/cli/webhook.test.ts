import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { randomBytes } from "node:crypto"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import * as Canary from "../../src/testing/Canary.ts"
import { folder, readJson } from "../schemas/vectors.ts"
import { requestOf, type AdcpVector } from "./support/adcpVectors.ts"
import { run, temporary } from "./support/inProcess.ts"

const ok = Effect.fnUntraced(function* (args: ReadonlyArray<string>, options?: Parameters<typeof run>[1]) {
  const result = yield* run(args, options)
  assert.deepStrictEqual([result.exitCode, result.err], [0, ""], args.join(" "))
  return result.out
})

const event =
  "POST /hooks/1 HTTP/1.1\r\nHost: buyer.example.com\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n" +
  `{"item":7}`

const newSecret = () => `whsec_${randomBytes(32).toString("base64")}`

const secrets = { a: newSecret(), b: newSecret(), c: newSecret() }

/** An event, three secrets, a key of each algorithm, and a time that is not 0. */
const files = Effect.gen(function* () {
  const files = yield* temporary
  const { at, read, write } = files
  yield* TestClock.setTime(1_700_000_000_000)
  yield* write("event.http", event)
  for (const [name, secret] of Object.entries(secrets)) yield* write(`${name}.secret`, `${secret}\n`)
  for (const [name, alg] of [
    ["k", "Ed25519"],
    ["p", "ES256"]
  ] as const) {
    yield* ok(["keygen", "--alg", alg, "--out", at(`${name}.pem`), "--public-out", at(`${name}.pub`)])
  }
  const sign = (...args: ReadonlyArray<string>) => ok(["webhook", "sign", ...args, at("event.http")])
  const verify = (signed: string, ...args: ReadonlyArray<string>) =>
    run(["webhook", "verify", ...args], { stdin: signed })
  const jwkOf = (name: string, change: object = {}) =>
    Effect.map(ok(["public-key", "--format", "jwk", at(name)]), (text) => ({
      ...(JSON.parse(text) as Record<string, unknown>),
      alg: name === "k.pub" ? "EdDSA" : "ES256",
      use: "sig",
      key_ops: ["verify"],
      ...change
    }))
  return { ...files, sign, verify, jwkOf, at, read, write }
})

/** Each change makes of a signed webhook one that is refused for this reason. */
type Change = readonly [from: string | RegExp, to: string, reason: string]

const refuses = Effect.fnUntraced(function* (
  verify: (signed: string) => ReturnType<typeof run>,
  signed: string,
  changes: ReadonlyArray<Change>
) {
  assert.deepInclude(yield* verify(signed), { exitCode: 0, out: "valid\n", err: "" })
  for (const [from, to, reason] of changes) {
    const changed = signed.replace(from, to)
    assert.notStrictEqual(changed, signed, String(from))
    const { err, exitCode, out } = yield* verify(changed)
    assert.deepStrictEqual([exitCode, out, err.includes(reason)], [1, "invalid\n", true], `${from}: ${err}`)
  }
})

describe("webhook --kind standard", () => {
  it.effect("signs the published example as its specification does, and verifies it", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      yield* TestClock.setTime(1_614_265_330_000)
      yield* write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
      yield* write("key", "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=\n")
      yield* write("event.http", `POST / HTTP/1.1\nHost: a.example\n\n{"test": 2432232314}`)
      const keys = ["--secret-file", at("secret"), "--key", at("key")]
      const id = "msg_p5jXN8AQM9LWM0D4loKWxJek"
      const lines = yield* ok(["webhook", "sign", ...keys, "--id", id, "--fields", at("event.http")])
      assert.strictEqual(
        lines,
        `webhook-id: ${id}\nwebhook-timestamp: 1614265330\nwebhook-signature: ` +
          "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= " +
          "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==\n"
      )
      const signed = `POST / HTTP/1.1\nHost: a.example\n${lines}\n{"test": 2432232314}`
      const pem = yield* ok(["public-key", "--format", "pem", at("key")])
      const { x } = JSON.parse(yield* ok(["public-key", "--format", "jwk", at("key")])) as { readonly x: string }
      yield* write("public.pem", pem)
      yield* write("public.whpk", `whpk_${Buffer.from(x, "base64url").toString("base64")}\n`)
      for (const keys of [
        ["--secret-file", at("secret")],
        ["--key", at("public.pem")],
        ["--key", at("public.whpk")]
      ]) {
        assert.strictEqual(yield* ok(["webhook", "verify", ...keys], { stdin: signed }), "valid\n")
      }
    })
  )

  it.effect("keeps the message as it was, and makes an id", () =>
    Effect.gen(function* () {
      const { at, read, sign, verify } = yield* files
      yield* sign("--secret-file", at("a.secret"), "--out", at("signed.http"))
      const signed = yield* read("signed.http")
      const added = signed.split("\r\n").slice(4, 7)
      assert.strictEqual(signed, event.replace("\r\n\r\n", `\r\n${added.join("\r\n")}\r\n\r\n`))
      const id = /^webhook-id: (msg_[\w-]{22})$/.exec(added[0]!)![1]
      const found = yield* verify(signed, "--secret-file", at("a.secret"), "--json")
      const report = { valid: true, id, timestamp: 1_700_000_000, secretFile: at("a.secret") }
      assert.deepStrictEqual(JSON.parse(found.out), report)
      const json = JSON.parse(yield* sign("--secret-file", at("a.secret"), "--id", "e1", "--json")) as {
        readonly id: string
        readonly fields: ReadonlyArray<ReadonlyArray<string>>
      }
      assert.deepStrictEqual([json.id, json.fields[0]], ["e1", ["webhook-id", "e1"]])
    })
  )

  it.effect("accepts any secret and any key of a rotation, and no other", () =>
    Effect.gen(function* () {
      const { at, sign, verify } = yield* files
      const old = yield* sign("--secret-file", at("a.secret"))
      const both = yield* sign("--secret-file", at("b.secret"), "--secret-file", at("a.secret"), "--key", at("k.pem"))
      const file = (name: string) => ["--secret-file", at(`${name}.secret`)]
      for (const [signed, args, expected] of [
        [old, file("a"), at("a.secret")],
        [old, [...file("b"), ...file("a")], at("a.secret")],
        [both, file("a"), at("a.secret")],
        [both, file("b"), at("b.secret")],
        [both, ["--key", at("k.pub")], undefined],
        [both, [...file("c"), "--key", at("k.pub")], undefined]
      ] as const) {
        const { out } = yield* verify(signed, ...args, "--json")
        const report = JSON.parse(out) as { readonly valid: boolean; readonly secretFile?: string }
        assert.deepStrictEqual([report.valid, report.secretFile], [true, expected])
      }
      for (const [signed, args, reason] of [
        [old, file("b"), "SignatureInvalid"],
        [both, file("c"), "SignatureInvalid"],
        [old, ["--key", at("k.pub")], "NoSignature"]
      ] as const) {
        assert.strictEqual((yield* verify(signed, ...args, "--json")).exitCode, 1)
        const { out } = yield* verify(signed, ...args, "--json")
        assert.deepInclude(JSON.parse(out), { valid: false, reason })
      }
    })
  )

  it.effect("signs and verifies with a signer of a configuration", () =>
    Effect.gen(function* () {
      const { at, read, sign, verify, write } = yield* files
      yield* write("signer.json", JSON.stringify({ backend: "local", pem: yield* read("k.pem") }))
      const signed = yield* sign("--config", at("signer.json"))
      assert.match(signed, /webhook-signature: v1a,[^ ]{88}\r\n/)
      for (const keys of [
        ["--config", at("signer.json")],
        ["--key", at("k.pub")]
      ]) {
        assert.strictEqual((yield* verify(signed, ...keys)).out, "valid\n")
      }
      assert.strictEqual((yield* verify(signed.replace("7}", "8}"), "--config", at("signer.json"))).out, "invalid\n")
    })
  )

  it.effect.each([["--secret-file", "a.secret", "a.secret"] as const, ["--key", "k.pem", "k.pub"] as const])(
    "refuses what was changed, signed with %s",
    ([flag, own, theirs]) =>
      Effect.gen(function* () {
        const { at, sign, verify } = yield* files
        const signed = yield* sign(flag, at(own))
        yield* refuses((text) => verify(text, flag, at(theirs)), signed, [
          [`"item":7`, `"item":8`, "SignatureInvalid"],
          ["webhook-id: msg_", "webhook-id: msg-", "SignatureInvalid"],
          ["timestamp: 1700000000", "timestamp: 1700000001", "SignatureInvalid"],
          ["timestamp: 1700000000", "timestamp: 1699999699", "TooOld"],
          ["timestamp: 1700000000", "timestamp: 1700000301", "TooNew"],
          ["timestamp: 1700000000", "timestamp: 01700000000", "Malformed webhook-timestamp"],
          [/webhook-id: .*\r\n/, "$&$&", "Malformed webhook-id"],
          [/webhook-id: .*\r\n/, "", "FieldMissing webhook-id"],
          [/(webhook-signature: v1a?,).*/, "$1AAAA", "Malformed webhook-signature"],
          [/(webhook-signature: )v1a?,.*/, "$1v9,AAAA", "NoSignature"]
        ])
      })
  )
})

describe("webhook --kind adcp-hmac", () => {
  const kind = ["--kind", "adcp-hmac"]

  it.effect("signs with one secret, verifies with one of several, and refuses what was changed", () =>
    Effect.gen(function* () {
      const { at, sign, verify } = yield* files
      const signed = yield* sign(...kind, "--secret-file", at("a.secret"))
      assert.match(signed, /\r\nX-ADCP-Timestamp: 1700000000\r\nX-ADCP-Signature: sha256=[0-9a-f]{64}\r\n\r\n\{/)
      const rotated = ["--secret-file", at("b.secret"), "--secret-file", at("a.secret")]
      yield* refuses((text) => verify(text, ...kind, ...rotated), signed, [
        [`"item":7`, `"item":8`, "SignatureInvalid"],
        ["Timestamp: 1700000000", "Timestamp: 1700000001", "SignatureInvalid"],
        ["Timestamp: 1700000000", "Timestamp: 1699999699", "TooOld"],
        ["sha256=", "sha512=", "Malformed x-adcp-signature"],
        [/X-ADCP-Signature: .*\r\n/, "", "FieldMissing x-adcp-signature"]
      ])
      const wrong = yield* verify(signed, ...kind, "--secret-file", at("b.secret"), "--json")
      assert.deepStrictEqual([wrong.exitCode, JSON.parse(wrong.out)], [1, { valid: false, reason: "SignatureInvalid" }])
    })
  )
})

describe("webhook --tolerance", () => {
  it.effect.each(["standard", "adcp-hmac"])("is 5 minutes in both directions, or as stated: %s", (kind) =>
    Effect.gen(function* () {
      const { at, sign, verify } = yield* files
      const keys = ["--kind", kind!, "--secret-file", at("a.secret")]
      const signed = yield* sign(...keys)
      for (const [seconds, args, reason] of [
        [300, [], undefined],
        [-300, [], undefined],
        [301, [], "TooOld"],
        [-301, [], "TooNew"],
        [301, ["--tolerance", "6 minutes"], undefined],
        [2, ["--tolerance", "1 second"], "TooOld"]
      ] as const) {
        yield* TestClock.setTime((1_700_000_000 + seconds) * 1000)
        const { exitCode, out } = yield* verify(signed, ...keys, ...args, "--json")
        const report = JSON.parse(out) as { readonly reason?: string }
        assert.deepStrictEqual([exitCode, report.reason], [reason === undefined ? 0 : 1, reason], `${seconds} ${args}`)
      }
    })
  )
})

describe("webhook --kind adcp-3.x", () => {
  it.effect("signs and verifies by version, with both algorithms, by a key and by a set", () =>
    Effect.gen(function* () {
      const { at, jwkOf, sign, verify, write } = yield* files
      const published = yield* Effect.forEach(["k.pub", "p.pub"], (name) =>
        jwkOf(name, { kid: name, adcp_use: "webhook-signing" })
      )
      yield* write("jwks.json", JSON.stringify({ keys: published }))
      for (const version of ["adcp-3.0", "adcp-3.1", "adcp-3.2"]) {
        for (const name of ["k", "p"]) {
          const kind = ["--kind", version]
          const signed = yield* sign(...kind, "--key", at(`${name}.pem`), "--keyid", `${name}.pub`)
          assert.include(signed, `tag="adcp/webhook-signing/v1"`)
          for (const keys of [
            ["--key", at(`${name}.pub`)],
            ["--jwks", at("jwks.json")]
          ]) {
            assert.deepInclude(yield* verify(signed, ...kind, ...keys), { exitCode: 0, out: "valid\n", err: "" })
          }
          const { out } = yield* verify(signed, ...kind, "--jwks", at("jwks.json"), "--json")
          const { signatures } = JSON.parse(out) as { readonly signatures: ReadonlyArray<{ readonly keyId: string }> }
          assert.strictEqual(signatures[0]!.keyId, `${name}.pub`)
        }
      }
    })
  )

  it.effect("refuses what was changed with the code of AdCP and its step", () =>
    Effect.gen(function* () {
      const { at, sign, verify } = yield* files
      const signed = yield* sign("--kind", "adcp-3.1", "--key", at("k.pem"))
      yield* refuses((text) => verify(text, "--kind", "adcp-3.1", "--key", at("k.pub")), signed, [
        [`"item":7`, `"item":8`, "webhook_signature_digest_mismatch (step 11)"],
        ["/hooks/1", "/hooks/2", "webhook_signature_invalid (step 10)"],
        ["application/json", "text/json", "webhook_signature_invalid (step 10)"],
        ["created=1700000000", "created=1700000001", "webhook_signature_invalid (step 10)"],
        ["expires=1700000300", "expires=1700000000", "webhook_signature_window_invalid (step 5)"],
        ["webhook-signing/v1", "request-signing/v1", "webhook_signature_tag_invalid (step 3)"],
        [/Signature: .*\r\n/, "", "webhook_signature_header_malformed (step 1)"],
        [/Signature(-Input)?: .*\r\n/g, "", "webhook_signature_required (step 0)"],
        ["Host:", "X-ADCP-Signature: sha256=00\r\nHost:", "webhook_mode_mismatch (step 1)"]
      ])
      yield* TestClock.setTime(1_700_000_361_000)
      const stale = yield* verify(signed, "--kind", "adcp-3.1", "--key", at("k.pub"), "--json")
      const report = { valid: false, reason: "webhook_signature_window_invalid", step: "5" }
      assert.deepStrictEqual([stale.exitCode, JSON.parse(stale.out)], [1, report])
    })
  )

  it.effect("takes a key for what it says it is for", () =>
    Effect.gen(function* () {
      const { at, jwkOf, read, sign, verify, write } = yield* files
      const signed = yield* sign("--kind", "adcp-3.1", "--key", at("k.pem"), "--keyid", "k1")
      for (const [kind, change, code] of [
        ["adcp-3.1", { adcp_use: "webhook-signing" }, undefined],
        ["adcp-3.1", { adcp_use: "request-signing" }, undefined],
        ["adcp-3.0", { adcp_use: "request-signing" }, "webhook_signature_key_purpose_invalid"],
        ["adcp-3.1", { adcp_use: "governance-signing" }, "webhook_signature_key_purpose_invalid"]
      ] as const) {
        const jwk = yield* jwkOf("k.pub", { kid: "k1", ...change })
        yield* write("one.json", JSON.stringify(jwk))
        yield* write("jwks.json", JSON.stringify({ keys: [jwk] }))
        for (const keys of [
          ["--key", at("one.json")],
          ["--jwks", at("jwks.json")]
        ]) {
          const { exitCode, out } = yield* verify(signed, "--kind", kind, ...keys, "--json")
          const report = JSON.parse(out) as { readonly reason?: string }
          assert.deepStrictEqual([exitCode, report.reason], [code === undefined ? 0 : 1, code])
        }
      }
      yield* write("jwks.json", JSON.stringify({ keys: [yield* jwkOf("k.pub", { kid: "k1" })] }))
      const unstated = yield* verify(signed, "--kind", "adcp-3.1", "--jwks", at("jwks.json"))
      assert.include(unstated.err, "webhook_signature_key_purpose_invalid (step 8)")

      // A signer is for what its configuration says
      const pem = yield* read("k.pem")
      const signer = (purpose: object) =>
        Effect.andThen(
          write("signer.json", JSON.stringify({ backend: "local", pem, ...purpose })),
          run(["webhook", "sign", "--kind", "adcp-3.1", "--config", at("signer.json"), at("event.http")])
        )
      for (const purpose of [{}, { purpose: "jwt" }]) {
        const refused = yield* signer(purpose)
        assert.deepStrictEqual([refused.exitCode, refused.out], [2, ""])
        assert.include(refused.err, "its purpose must be request-signing or webhook-signing; a configuration says it")
      }
      assert.strictEqual((yield* signer({ purpose: "webhook-signing" })).exitCode, 0)
      const byConfig = ["webhook", "verify", "--kind", "adcp-3.1", "--config", at("signer.json")]
      assert.strictEqual(yield* ok(byConfig, { stdin: signed }), "valid\n")
    })
  )

  it.effect.skipIf(folder === undefined)("verifies the published webhooks (needs EFFECT_SIGNER_VECTORS)", () =>
    Effect.gen(function* () {
      const { write } = yield* temporary
      const names = readdirSync(join(folder!, "adcp/webhook-signing/positive"))
      assert.isAbove(names.length, 0)
      for (const name of names) {
        const vector = readJson(`adcp/webhook-signing/positive/${name}`) as AdcpVector
        yield* TestClock.setTime(vector.reference_now * 1000)
        const file = yield* write("webhook.http", requestOf(vector))
        const jwks = join(folder!, "adcp/webhook-signing/keys.json")
        assert.strictEqual(
          yield* ok(["webhook", "verify", "--kind", "adcp-3.1", "--jwks", jwks, file]),
          "valid\n",
          name
        )
      }
    })
  )
})

describe("webhook", () => {
  const signing: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
    [[], "state --secret-file FILE, --key FILE, --config FILE or --signer-env PREFIX"],
    [["--kind", "adcp-3.1"], "state --key FILE, --config FILE or --signer-env PREFIX"],
    [["--kind", "adcp-hmac"], "state one secret, with --secret-file FILE"],
    [["--kind", "adcp-hmac", "--secret-file", "@a.secret", "--secret-file", "@b.secret"], "state one secret"],
    [["--kind", "adcp-hmac", "--key", "@k.pem"], "--key does not go with --kind adcp-hmac"],
    [["--kind", "adcp-hmac", "--secret-file", "@a.secret", "--passphrase"], "--passphrase does not go with"],
    [["--secret-file", "@a.secret", "--alg", "Ed25519"], "--alg goes with --key FILE"],
    [["--kind", "adcp-3.2", "--secret-file", "@a.secret"], "--secret-file does not go with --kind adcp-3.2"],
    [["--kind", "adcp-3.2", "--key", "@k.pem", "--id", "x"], "--id does not go with --kind adcp-3.2"],
    [["--secret-file", "@a.secret", "--keyid", "x"], "--keyid does not go with --kind standard"],
    [["--secret-file", "@a.secret", "--id", "a.b"], "none of them a period or a comma"],
    [["--secret-file", "@event.http"], "event.http: a secret file has one line"],
    [["--secret-file", "@short.secret"], "short.secret: expected whsec_ and the base64 of 24 to 64 random bytes"],
    [["--kind", "adcp-hmac", "--secret-file", "@short.secret"], "AdCP demands 32 random bytes or more"],
    [["--key", "@a.secret"], "a.secret: this is a shared secret, which belongs into --secret-file"],
    [["--key", "@p.pem"], "Standard Webhooks needs Ed25519"],
    [["--secret-file", "-"], "only one of the inputs can be standard input"],
    [["--secret-file", "@a.secret", "--out", "@taken", "--force"], "--out is the same file as --secret-file (2)"]
  ]

  it.effect.each(signing)("sign %j ends with 2", ([args, problem]) =>
    Effect.gen(function* () {
      const { at, write } = yield* files
      yield* write("short.secret", "whsec_AAAA\n")
      yield* write("taken", secrets.c)
      const named = args.map((arg) => (arg.startsWith("@") ? at(arg.slice(1)) : arg))
      const more = args.includes("--force") ? ["--secret-file", at("taken")] : []
      const message = args.includes("-") ? [] : [at("event.http")]
      const { err, exitCode, out } = yield* run(["webhook", "sign", ...named, ...more, ...message], { stdin: event })
      assert.deepStrictEqual([exitCode, out], [2, ""])
      assert.include(err, problem)
    })
  )

  const verifying: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
    [[], "state --secret-file FILE, --key FILE, --config FILE or --signer-env PREFIX"],
    [["--kind", "adcp-hmac"], "state the secret, with --secret-file FILE"],
    [["--kind", "adcp-3.1"], "state the keys once"],
    [["--kind", "adcp-3.1", "--key", "@k.pub", "--key", "@p.pub"], "several keys of AdCP are a set, for --jwks FILE"],
    [
      ["--kind", "adcp-3.1", "--key", "@k.pub", "--tolerance", "1 hour"],
      "--tolerance does not go with --kind adcp-3.1"
    ],
    [["--kind", "adcp-3.1", "--key", "@r.pub"], "AdCP signs with Ed25519 and ES256 (P-256) keys"],
    [["--kind", "adcp-3.1", "--key", "@k.pem"], "only the public one belongs here"],
    [["--jwks", "@k.pub"], "--jwks does not go with --kind standard"],
    [["--secret-file", "@a.secret", "--tolerance", "2 days"], "--tolerance must be from 0 seconds to 1 day"],
    [["--secret-file", "@a.secret", "--tolerance", "soon"], "--tolerance has a wrong value"],
    [["--key", "@p.pub"], "publicKeys: must be Ed25519"],
    [["--secret-file", "@missing"], "missing: no such file or folder"]
  ]

  it.effect.each(verifying)("verify %j ends with 2", ([args, problem]) =>
    Effect.gen(function* () {
      const { at } = yield* files
      if (args.includes("@r.pub")) {
        yield* ok(["keygen", "--alg", "RS256", "--out", at("r.pem"), "--public-out", at("r.pub")])
      }
      const named = args.map((arg) => (arg.startsWith("@") ? at(arg.slice(1)) : arg))
      const { err, exitCode, out } = yield* run(["webhook", "verify", ...named, at("event.http")])
      assert.deepStrictEqual([exitCode, out], [2, ""])
      assert.include(err, problem)
    })
  )

  it.effect("signs no response, and nothing that is signed already", () =>
    Effect.gen(function* () {
      const { at, sign, write } = yield* files
      const again = Effect.fnUntraced(function* (text: string, ...args: ReadonlyArray<string>) {
        yield* write("again.http", text)
        const { err, exitCode, out } = yield* run(["webhook", "sign", ...args, at("again.http")])
        assert.deepStrictEqual([exitCode, out], [2, ""])
        return err
      })
      const secret = ["--secret-file", at("a.secret")]
      assert.include(yield* again("HTTP/1.1 200 OK\n\n", ...secret), "this is a response")
      assert.include(yield* again(yield* sign(...secret), ...secret), "has a line webhook-id already")
      const hmac = ["--kind", "adcp-hmac", ...secret]
      assert.include(yield* again(yield* sign(...hmac), ...hmac), "has a line X-ADCP-Timestamp already")
      const adcp = ["--kind", "adcp-3.1", "--key", at("k.pem")]
      assert.include(yield* again(yield* sign(...adcp), ...adcp), "LabelTaken")
    })
  )

  it.effect("replaces no secret, even with --force", () =>
    Effect.gen(function* () {
      const { at, read, write } = yield* files
      const to = (name: string) =>
        run(["webhook", "sign", "--secret-file", at("a.secret"), "--out", at(name), "--force", at("event.http")])
      for (const name of ["a.secret", "b.secret", "event.http", "k.pem"]) {
        const before = yield* read(name)
        assert.strictEqual((yield* to(name)).exitCode, 2, name)
        assert.strictEqual(yield* read(name), before)
      }
      yield* write("old.http", "old")
      assert.strictEqual((yield* to("old.http")).exitCode, 0)
      assert.include(yield* read("old.http"), "webhook-signature: v1,")
    })
  )

  it.effect("shows no secret, whatever goes wrong", () =>
    Effect.gen(function* () {
      const { at, read, sign, write } = yield* files
      const short = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
      const privateKey = `whsk_${randomBytes(32).toString("base64")}`
      yield* write("key", privateKey)
      yield* write("broken", `${secrets.a.slice(0, -2)}!\n`)
      yield* write("two", `${secrets.a}\n${secrets.b}\n`)
      const search = Canary.search([
        ...[short, ...Object.values(secrets), privateKey].flatMap((text) => {
          const [, base64] = text.split("_") as [string, string]
          return [
            { name: text, secret: base64 },
            { name: text, secret: new Uint8Array(Buffer.from(base64, "base64")) }
          ]
        }),
        { name: "the PEM", secret: (yield* read("k.pem")).split("\n")[1]! }
      ])
      const signed = yield* sign("--secret-file", at("a.secret"), "--key", at("key"))
      yield* write("signed.http", signed)
      const outputs = [signed]
      for (const command of ["sign", "verify"]) {
        for (const kind of ["standard", "adcp-hmac", "adcp-3.1"]) {
          for (const json of [[], ["--json"]]) {
            for (const args of [
              ["--secret-file", at("a.secret")],
              ["--secret-file", at("broken")],
              ["--secret-file", at("two")],
              ["--secret-file", secrets.a],
              ["--secret-file", short],
              ["--secret-file", at("key")],
              ["--secret-file", at("k.pem")],
              ["--key", at("a.secret")],
              ["--key", at("key")],
              ["--key", privateKey],
              ["--key", secrets.b],
              ["--config", at("a.secret")],
              ["--jwks", at("a.secret")],
              ["--tolerance", secrets.a, "--secret-file", at("a.secret")],
              ["--kind", secrets.a],
              [`--secret=${secrets.a}`],
              [short]
            ]) {
              const { err, out } = yield* run(["webhook", command, "--kind", kind, ...json, ...args, at("event.http")])
              outputs.push(out, err)
            }
          }
        }
      }
      for (const path of ["a.secret", "key"]) {
        const { err, out } = yield* run(["inspect", at(path)])
        outputs.push(out, err)
      }
      for (const output of outputs) assert.isUndefined(search(output), output)
    })
  )
})
