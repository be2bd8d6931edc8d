import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { spawnSync } from "node:child_process"
import { chmod, link, symlink, writeFile } from "node:fs/promises"
import { Signature } from "../../src/index.ts"
import * as Canary from "../../src/testing/Canary.ts"
import { run, temporary } from "./support/inProcess.ts"

const hasOpenSsl = spawnSync("openssl", ["version"]).status === 0

/** Runs what must succeed. */
const ok = Effect.fnUntraced(function* (...args: Parameters<typeof run>) {
  const result = yield* run(...args)
  assert.deepStrictEqual({ exitCode: result.exitCode, err: result.err }, { exitCode: 0, err: "" })
  return result
})

/** Runs what must be refused with one readable line, and nothing on standard output. */
const refused = Effect.fnUntraced(function* (...args: Parameters<typeof run>) {
  const result = yield* run(...args)
  assert.deepStrictEqual({ exitCode: result.exitCode, out: result.out }, { exitCode: 2, out: "" })
  assert.match(result.err, /^effect-signer: [^\n]+\n$/)
  return result.err
})

const json = (text: string) => JSON.parse(text) as Record<string, unknown>

describe("keygen", () => {
  it.effect("writes a private key that only its owner can read, and the public key for others", () =>
    Effect.gen(function* () {
      const { at, list, modeOf, read } = yield* temporary
      const { out } = yield* ok(["keygen", "--out", at("k.pem"), "--public-out", at("k.pub.pem"), "--json"])
      assert.deepStrictEqual(yield* list, ["k.pem", "k.pub.pem"])
      assert.strictEqual(yield* modeOf("k.pem"), 0o600)
      assert.strictEqual(yield* modeOf("k.pub.pem"), 0o644 & ~process.umask())
      assert.match(yield* read("k.pem"), /^-----BEGIN PRIVATE KEY-----\n/)
      const report = json(out)
      assert.deepStrictEqual(Object.keys(report), [
        "algorithm",
        "keyId",
        "thumbprint",
        "encrypted",
        "privateKeyFile",
        "publicKeyFile"
      ])
      const shown = json((yield* ok(["public-key", at("k.pub.pem"), "--format", "all", "--json"])).out)
      assert.strictEqual(report["keyId"], shown["key-id"])
      assert.strictEqual(report["thumbprint"], shown["thumbprint"])
      assert.strictEqual(report["algorithm"], "Ed25519")
    })
  )

  it.effect.each(["Ed25519", "es256", "ES384", "ES512", "ES256K", "BIP340", "BIP341", "PS256", "RS512", "ML-DSA-44"])(
    "a key for %s signs, and its public key verifies, in both formats",
    (alg) =>
      Effect.gen(function* () {
        const { at, write } = yield* temporary
        const message = yield* write("message", Uint8Array.of(0, 255, 10, 13))
        for (const format of ["pem", "jwk"]) {
          const [key, pub, sig] = [at(`k.${format}`), at(`p.${format}`), at(`s.${format}`)]
          yield* ok(["keygen", "--alg", alg, "--format", format, "--out", key, "--public-out", pub])
          yield* ok(["sign", "--key", key, "--alg", alg, "--out", sig, message])
          const { out } = yield* ok(["verify", "--key", pub, "--alg", alg, "--signature-file", sig, message])
          assert.strictEqual(out, "valid\n")
        }
      })
  )

  it.effect("never overwrites, and leaves nothing when one of two files exists", () =>
    Effect.gen(function* () {
      const { at, list, read, write } = yield* temporary
      yield* write("taken", "mine")
      for (const args of [
        ["--out", at("taken")],
        ["--out", at("taken"), "--public-out", at("new")],
        ["--out", at("new"), "--public-out", at("taken")]
      ]) {
        const err = yield* refused(["keygen", ...args])
        assert.include(err, "it exists already, and is not overwritten")
        assert.deepStrictEqual(yield* list, ["taken"])
        assert.strictEqual(yield* read("taken"), "mine")
      }
    })
  )

  it.effect("of several at the same moment one wins, whole", () =>
    Effect.gen(function* () {
      const { at, list } = yield* temporary
      const results = yield* Effect.all(
        Array.from({ length: 8 }, () => run(["keygen", "--out", at("k.pem"), "--json"])),
        { concurrency: "unbounded" }
      )
      const winners = results.filter(({ exitCode }) => exitCode === 0)
      assert.strictEqual(winners.length, 1)
      assert.deepStrictEqual(yield* list, ["k.pem"])
      const { out } = yield* ok(["public-key", at("k.pem"), "--format", "key-id"])
      assert.strictEqual(out.trim(), json(winners[0]!.out)["keyId"])
    })
  )

  it.effect("says what is wrong with its arguments", () =>
    Effect.gen(function* () {
      const { at, list } = yield* temporary
      const out = ["--out", at("k")]
      assert.include(yield* refused(["keygen"]), "--out is missing (see effect-signer keygen --help)")
      assert.include(yield* refused(["keygen", ...out, "--alg", "rsa"]), "state one of PS256, PS384, PS512")
      assert.include(yield* refused(["keygen", ...out, "--alg", "nope"]), '--alg: "nope" is not a known')
      assert.include(
        yield* refused(["keygen", ...out, "--alg", "PS256", "--modulus-length", "1024"]),
        "--modulus-length: must be an integer from 2048 to 16384"
      )
      assert.include(yield* refused(["keygen", ...out, "--modulus-length", "2048"]), "applies to RSA keys")
      assert.include(yield* refused(["keygen", ...out, "--format", "der"]), "--format has a wrong value; expected")
      assert.include(
        yield* refused(["keygen", ...out, "--modulus-length", "abc"]),
        "--modulus-length has a wrong value; expected a whole number"
      )
      assert.include(
        yield* refused(["keygen", ...out, "--public-out", at("./k")]),
        "--out and --public-out name the same file"
      )
      assert.include(yield* refused(["keygen", "--out", at("no/k")]), `the folder ${at("no")} does not exist`)
      assert.include(yield* refused(["keygen", ...out, ...out]), "--out has a wrong value; expected at most 1 value")
      assert.deepStrictEqual(yield* list, [])
    })
  )

  it.effect("writes the private key to a pipe, and everything else to standard error", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const piped = yield* run(["keygen", "--out", "-", "--public-out", at("pub"), "--json"])
      assert.strictEqual(piped.exitCode, 0)
      assert.match(piped.out, /^-----BEGIN PRIVATE KEY-----\n[\s\S]*-----END PRIVATE KEY-----\n$/)
      yield* write("k.pem", piped.out)
      const { out } = yield* ok(["public-key", at("k.pem"), "--format", "key-id"])
      assert.strictEqual(json(piped.err)["keyId"], out.trim())
      assert.include(yield* refused(["keygen", "--out", "-"], { stdoutIsTerminal: true }), "on the terminal")
    })
  )
})

describe("sign", () => {
  it.effect.each(["base64url", "base64", "hex", "raw", "der"])(
    "writes %s, which verify reads when told so",
    (encoding) =>
      Effect.gen(function* () {
        const { at, write } = yield* temporary
        const message = yield* write("m", "message")
        yield* ok(["keygen", "--alg", "ES256", "--out", at("k"), "--public-out", at("p")])
        const { stdout } = yield* ok(["sign", "-k", at("k"), "-e", encoding, message])
        const signature = yield* write("s", stdout)
        const read = ["verify", "-k", at("p"), "-s", signature, message]
        assert.strictEqual((yield* ok([...read, "-e", encoding])).out, "valid\n")
        // declared, never guessed: in any other encoding it is invalid or refused
        for (const other of ["base64url", "base64", "hex", "raw", "der"].filter((name) => name !== encoding)) {
          const { exitCode, out } = yield* run([...read, "-e", other])
          assert.notStrictEqual(out, "valid\n", other)
          assert.include([1, 2], exitCode, other)
        }
      })
  )

  it.effect("takes the message from a file or from standard input, as bytes", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7) % 256)
      const message = yield* write("m", bytes)
      yield* ok(["keygen", "--out", at("k")])
      const key = ["--key", at("k")]
      const expected = (yield* ok(["sign", ...key, message])).out
      assert.match(expected, /^[A-Za-z0-9_-]{86}\n$/)
      assert.strictEqual((yield* ok(["sign", ...key], { stdin: bytes })).out, expected)
      assert.strictEqual((yield* ok(["sign", ...key, "-"], { stdin: bytes })).out, expected)
      assert.notStrictEqual((yield* ok(["sign", ...key], { stdin: bytes.subarray(1) })).out, expected)
      assert.notStrictEqual((yield* ok(["sign", ...key], { stdin: "" })).out, expected)
    })
  )

  it.effect("takes the key from standard input, but not the message as well", () =>
    Effect.gen(function* () {
      const { at, read, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--out", at("k")])
      const stdin = yield* read("k")
      const { out } = yield* ok(["sign", "--key", "-", message], { stdin })
      assert.strictEqual(out, (yield* ok(["sign", "--key", at("k"), message])).out)
      assert.include(yield* refused(["sign", "--key", "-"], { stdin }), "only one of the inputs can be standard input")
    })
  )

  it.live("takes the key from a pipe with a name, as <(pass show key) is one", () =>
    Effect.gen(function* () {
      const { at, read, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--out", at("k")])
      const expected = (yield* ok(["sign", "--key", at("k"), message])).out
      const pem = yield* read("k")
      assert.strictEqual(spawnSync("mkfifo", [at("pipe")]).status, 0)
      const [{ out }] = yield* Effect.all(
        [ok(["sign", "--key", at("pipe"), message]), Effect.promise(() => writeFile(at("pipe"), pem))],
        { concurrency: "unbounded" }
      )
      assert.strictEqual(out, expected)
    })
  )

  it.effect("gives the JSON form of the signature, which says its own encoding", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--alg", "ES256", "--out", at("k"), "--public-out", at("p")])
      const { out } = yield* ok(["sign", "--key", at("k"), "--json", message])
      const signature = yield* Schema.decodeUnknownEffect(Signature.SignatureJson)(JSON.parse(out))
      assert.strictEqual(signature.algorithm, "ES256")
      assert.strictEqual(signature.bytes.length, 64)
      assert.strictEqual(signature.keyId, (yield* ok(["public-key", at("p"), "-f", "key-id"])).out.trim())
      const file = yield* write("s.json", out)
      assert.strictEqual((yield* ok(["verify", "-k", at("p"), "-s", file, message])).out, "valid\n")
      assert.strictEqual((yield* ok(["verify", "-k", at("p"), "--signature", out, message])).out, "valid\n")
      assert.include(yield* refused(["verify", "-k", at("p"), "-e", "hex", "-s", file, message]), "is not hex")
      const both = yield* run(["sign", "--key", at("k"), "--json", "-e", "hex", message])
      assert.deepStrictEqual(json(both.err), {
        error: { tag: "Failure", message: "--json has its own encoding of the signature; leave --encoding out" }
      })
    })
  )

  it.effect("writes a file whole and once, and replaces it with --force only", () =>
    Effect.gen(function* () {
      const { at, list, read, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--out", at("k")])
      const args = ["sign", "--key", at("k"), "--out", at("s"), message]
      yield* write("s", "mine")
      assert.include(yield* refused(args), "it exists already")
      assert.strictEqual(yield* read("s"), "mine")
      const { out } = yield* ok([...args, "--force", "-e", "hex"])
      assert.match(out, /^signature file: .*\nalgorithm: +Ed25519\nkey id: +urn:kms:ed25519:[0-9a-f]{32}\n$/)
      assert.match(yield* read("s"), /^[0-9a-f]{128}\n$/)
      assert.deepStrictEqual(yield* list, ["k", "m", "s"])
    })
  )

  it.effect("destroys with --force neither what it reads nor a private key", () =>
    Effect.gen(function* () {
      const { at, folder, list, read, write } = yield* temporary
      const message = yield* write("m", "message")
      const passphrase = yield* write("passphrase", "correct horse")
      yield* ok(["keygen", "--out", at("k"), "--passphrase-file", passphrase])
      yield* ok(["keygen", "--out", at("other")])
      yield* ok(["keygen", "--out", at("jwk"), "--format", "jwk"])
      yield* Effect.promise(() => link(at("k"), at("hard")))
      yield* Effect.promise(() => symlink(at("m"), at("soft")))
      const contents = Effect.flatMap(list, Effect.forEach(read))
      const before = yield* contents
      const sign = (out: string) =>
        refused(["sign", "--force", "--key", at("k"), "--passphrase-file", passphrase, "--out", out, message])
      assert.include(yield* sign(at("k")), "--out is the same file as --key, and would destroy it")
      assert.include(yield* sign(`${folder}/./k`), "the same file as --key")
      assert.include(yield* sign(at("hard")), "the same file as --key")
      assert.include(yield* sign(message), "the same file as the message file")
      assert.include(yield* sign(at("soft")), "the same file as the message file")
      assert.include(yield* sign(passphrase), "the same file as --passphrase-file")
      assert.include(yield* sign(at("other")), "this is a private key, and is not replaced even with --force")
      assert.include(yield* sign(at("jwk")), "this is a private key")
      assert.deepStrictEqual(yield* contents, before)
      yield* ok(["sign", "--force", "--key", at("other"), "--out", at("new"), message])
      yield* ok(["sign", "--force", "--key", at("other"), "--out", at("new"), message])
    })
  )

  it.effect("needs an algorithm where the key allows several", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--alg", "ES256K", "--out", at("k")])
      const args = ["sign", "--key", at("k"), message]
      assert.match(yield* refused(args), /--alg: .* state one of ES256K, BIP340, BIP341/)
      yield* ok([...args, "--alg", "BIP340"])
      yield* refused([...args, "--alg", "Ed25519"])
      yield* ok(["keygen", "--alg", "ES256K", "--format", "jwk", "--out", at("k.jwk")])
      yield* ok(["sign", "--key", at("k.jwk"), message]) // its alg says so
      yield* refused(["sign", "--key", at("k.jwk"), "--alg", "BIP340", message])
    })
  )

  it.effect("refuses DER for what is not ECDSA, and bytes on a terminal", () =>
    Effect.gen(function* () {
      const { at, list, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--out", at("k")])
      const args = ["sign", "--key", at("k"), message]
      assert.include(yield* refused([...args, "-e", "der", "--out", at("s")]), "is for ECDSA signatures")
      assert.include(yield* refused([...args, "-e", "raw"], { stdoutIsTerminal: true }), "not text for a terminal")
      assert.deepStrictEqual(yield* list, ["k", "m"])
    })
  )

  it.effect("refuses what is no private key, with advice", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--out", at("k"), "--public-out", at("p")])
      const sign = (key: string) => refused(["sign", "--key", key, message])
      assert.include(yield* sign(at("p")), "this is a public key; a private key signs")
      assert.include(yield* sign(message), "no key that is known here")
      assert.include(yield* sign(at("absent")), "absent: no such file or folder")
      assert.include(yield* sign(at(".")), "it is a folder")
      assert.include(yield* sign(yield* write("long", new Uint8Array(65_537))), "longer than 65536 bytes")
      assert.include(yield* sign(yield* write("set", '{"keys":[]}')), "set of keys")
      assert.include(
        yield* sign(
          yield* write("ssh", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
        ),
        "openssh: the beginning is cut off"
      )
      assert.include(yield* refused(["sign", "--key", "-", message], { stdin: new Uint8Array(70_000) }), "65536")
    })
  )

  it.effect("warns where others may read the private key", () =>
    Effect.gen(function* () {
      const { at, read, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--out", at("k")])
      const open = yield* write("open", yield* read("k"), 0o644)
      const text = yield* run(["sign", "--key", open, message])
      assert.strictEqual(text.exitCode, 0)
      assert.match(text.err, /^warning: .*open: others may read this private key \(mode 0644\); .*chmod 600 .*open\n$/)
      const asJson = yield* run(["sign", "--key", open, "--json", message])
      assert.match(String(json(asJson.err)["warning"]), /mode 0644/)
    })
  )
})

describe("verify", () => {
  it.effect("answers valid or invalid, with an exit code of its own each", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--out", at("k"), "--public-out", at("p")])
      yield* ok(["keygen", "--out", at("k2"), "--public-out", at("p2")])
      yield* ok(["sign", "--key", at("k"), "--out", at("s"), message])
      const answer = (...args: ReadonlyArray<string>) =>
        Effect.map(run(["verify", ...args]), ({ err, exitCode, out }) => [exitCode, out, err])
      const valid = [0, "valid\n", ""]
      const invalid = [1, "invalid\n", ""]
      const signature = ["--signature-file", at("s")]
      assert.deepStrictEqual(yield* answer("--key", at("p"), ...signature, message), valid)
      assert.deepStrictEqual(yield* answer("--key", at("p2"), ...signature, message), invalid)
      const tampered = yield* write("t", "messagf")
      assert.deepStrictEqual(yield* answer("--key", at("p"), ...signature, tampered), invalid)
      assert.deepStrictEqual(yield* answer("--key", at("p"), ...signature, yield* write("e", "")), invalid)
      assert.deepStrictEqual(yield* answer("--key", at("p"), "--signature", "A".repeat(86), message), invalid)
      const report = json((yield* ok(["verify", "--json", "--key", at("p"), ...signature, message])).out)
      assert.deepStrictEqual(Object.keys(report), ["valid", "algorithm", "keyId"])
      assert.strictEqual(report["valid"], true)
      const refusal = yield* run(["verify", "--json", "--key", at("p2"), ...signature, message])
      assert.strictEqual(refusal.exitCode, 1)
      assert.strictEqual(json(refusal.out)["valid"], false)
    })
  )

  it.effect("does not find out, with exit code 2, what it cannot read", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--out", at("k"), "--public-out", at("p")])
      yield* ok(["sign", "--key", at("k"), "--out", at("s"), message])
      const verify = (...args: ReadonlyArray<string>) => refused(["verify", ...args])
      const key = ["--key", at("p")]
      const signature = ["--signature-file", at("s")]
      assert.match(yield* verify("--key", at("k"), ...signature, message), /this is a private key.*public-key .*k /)
      assert.include(yield* verify(...key, message), "state the signature once")
      assert.include(yield* verify(...key, ...signature, "--signature", "AAAA", message), "state the signature once")
      assert.include(yield* verify(...key, "--signature", "-AAA", message), "has 3 decoded bytes")
      assert.strictEqual((yield* run(["verify", ...key, `--signature=-${"A".repeat(85)}`, message])).out, "invalid\n")
      assert.include(yield* verify(...key, "--signature", "A", message), "is not base64url, nor the JSON form")
      assert.include(yield* verify(...key, "--signature", "AAAA ", message), "is not base64url")
      assert.include(yield* verify(...key, "--signature", "AAAA", "-e", "raw", message), "use --signature-file")
      assert.include(yield* verify(...key, ...signature, "-e", "der", message), "ECDSA")
      assert.include(yield* verify(...key, ...signature, at("absent")), "no such file")
      assert.include(yield* verify(...key, "-s", at("absent"), message), "no such file")
      assert.include(yield* verify(...key, "-s", "-"), "only one of the inputs")
      assert.include(yield* verify(...key, ...signature, "--alg", "ES256", message), "--alg: ")
    })
  )

  it.effect("does not call invalid what is no signature of this length, and says what it could be", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const message = yield* write("m", "message")
      for (const [alg, length] of [
        ["Ed25519", 64],
        ["ES384", 96],
        ["PS256", 256]
      ] as const) {
        const bits = alg === "PS256" ? ["--modulus-length", "2048"] : []
        yield* ok(["keygen", "--alg", alg, ...bits, "--out", at(`k${alg}`), "--public-out", at(`p${alg}`)])
        const verify = ["verify", "--key", at(`p${alg}`), "--alg", alg, message]
        const signed = (encoding: string) =>
          Effect.flatMap(ok(["sign", "--key", at(`k${alg}`), "--alg", alg, "-e", encoding, message]), ({ stdout }) =>
            write(`s${alg}${encoding}`, stdout)
          )
        const has = `decoded bytes, and a signature by ${alg} with this key has ${length}; `
        const hex = yield* signed("hex")
        assert.include(yield* refused([...verify, "-s", hex]), `${has}it could be hex: see --encoding`)
        const raw = yield* signed("raw")
        assert.match(yield* refused([...verify, "-s", raw]), /is not base64url.*; it could be raw: see --encoding/)
        assert.include(yield* refused([...verify, "--signature", "AAAA"]), `${has}declare what it is with --encoding`)
        if (alg !== "ES384") continue
        const der = yield* signed("der")
        assert.include(yield* refused([...verify, "-e", "raw", "-s", der]), "it could be der: see --encoding")
        assert.match(yield* refused([...verify, "-e", "der", "-s", raw]), /is not the DER of .* it could be raw/)
      }
      // the JSON form says itself what it is, and by another key or algorithm it is invalid
      const { out } = yield* ok(["sign", "--key", at("kES384"), "--json", message])
      const { exitCode } = yield* run(["verify", "--key", at("pEd25519"), "-s", yield* write("json", out), message])
      assert.strictEqual(exitCode, 1)
    })
  )

  it.effect("takes an algorithm from the key or from its caller, never from the signature", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--alg", "PS256", "--out", at("k"), "--public-out", at("p")])
      const { out } = yield* ok(["sign", "--key", at("k"), "--alg", "RS256", "--json", message])
      const signature = yield* write("s", out)
      const args = ["verify", "--key", at("p"), "-s", signature, message]
      assert.match(yield* refused(args), /--alg: .*state one of PS256/)
      assert.strictEqual((yield* run([...args, "--alg", "PS256"])).out, "invalid\n")
      assert.strictEqual((yield* ok([...args, "--alg", "RS256"])).out, "valid\n")
    })
  )

  it.effect("takes public keys in every form that public-key prints whole", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--out", at("k")])
      yield* ok(["sign", "--key", at("k"), "--out", at("s"), message])
      for (const format of ["pem", "jwk", "openssh", "id52"]) {
        const { out } = yield* ok(["public-key", at("k"), "--format", format])
        const key = yield* write(`p.${format}`, out)
        assert.strictEqual((yield* ok(["verify", "--key", key, "-s", at("s"), message])).out, "valid\n", format)
        assert.strictEqual((yield* ok(["verify", "--key", "-", "-s", at("s"), message], { stdin: out })).out, "valid\n")
      }
    })
  )
})

describe("public-key", () => {
  it.effect("prints every form of a key, the same from either half", () =>
    Effect.gen(function* () {
      const { at } = yield* temporary
      yield* ok(["keygen", "--alg", "ES256", "--out", at("k"), "--public-out", at("p")])
      const all = json((yield* ok(["public-key", at("k"), "--format", "all", "--json"])).out)
      const names = [
        "pem",
        "jwk",
        "jwks",
        "raw-hex",
        "raw-base64",
        "compressed",
        "openssh",
        "key-id",
        "thumbprint",
        "fingerprint"
      ]
      assert.deepStrictEqual(Object.keys(all), [...names, "ssh-fingerprint", "address"])
      assert.deepStrictEqual(json((yield* ok(["public-key", at("p"), "--format", "all", "--json"])).out), all)
      for (const [name, value] of Object.entries(all)) {
        const { out } = yield* ok(["public-key", at("k"), "--format", name])
        assert.strictEqual(out.trimEnd(), typeof value === "string" ? value.trimEnd() : JSON.stringify(value), name)
        assert.deepStrictEqual(json((yield* ok(["public-key", at("k"), "--json", "-f", name])).out), { [name]: value })
      }
      const text = (yield* ok(["public-key", at("k"), "--format", "all"])).out
      assert.include(text, `thumbprint:\n${String(all["thumbprint"])}\n`)
      assert.strictEqual((yield* ok(["public-key", at("k")])).out, all["pem"])
      assert.include(yield* refused(["public-key", at("k"), "--format", "id52"]), "has no form id52; it has pem, jwk")
    })
  )

  it.effect("writes what the key is for into the JWK, and tweaks the key for BIP341", () =>
    Effect.gen(function* () {
      const { at } = yield* temporary
      yield* ok(["keygen", "--alg", "ES256K", "--out", at("k")])
      const jwk = (...args: ReadonlyArray<string>) =>
        Effect.map(ok(["public-key", at("k"), "-f", "jwk", ...args]), ({ out }) => json(out))
      assert.isUndefined((yield* jwk())["alg"])
      assert.strictEqual((yield* jwk("--alg", "ES256K"))["alg"], "ES256K")
      const hex = (alg: string) => ok(["public-key", at("k"), "-f", "raw-hex", "--alg", alg])
      assert.match((yield* hex("BIP340")).out, /^[0-9a-f]{64}\n$/)
      assert.notStrictEqual((yield* hex("BIP341")).out, (yield* hex("BIP340")).out)
    })
  )
})

describe("inspect", () => {
  it.effect("says what each file is", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--alg", "PS256", "--out", at("k"), "--public-out", at("p")])
      const sign = yield* ok(["sign", "--key", at("k"), "--alg", "PS256", "--json", message])
      const describe = (path: string) => Effect.map(ok(["inspect", path, "--json"]), ({ out }) => json(out))
      const rsa = ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"]
      const privateKey = yield* describe(at("k"))
      assert.deepStrictEqual(
        [privateKey["kind"], privateKey["format"], privateKey["keyType"], privateKey["algorithms"]],
        ["private key", "PKCS#8 PEM", "RSA", rsa]
      )
      const publicKey = yield* describe(at("p"))
      assert.deepStrictEqual(publicKey, { ...privateKey, kind: "public key", format: "SPKI PEM" })
      const signature = yield* describe(yield* write("s", sign.out))
      assert.deepStrictEqual(signature, {
        kind: "signature",
        format: "JSON",
        algorithms: ["PS256"],
        keyId: privateKey["keyId"],
        length: 384
      })
      const text = (yield* ok(["inspect", at("p")])).out
      assert.match(text, /^kind: +public key\nformat: +SPKI PEM\nkey type: +RSA\nalgorithms: +PS256, PS384/)
    })
  )

  it.effect.each([
    ["unknown", "text", "hello"],
    ["unknown", "binary", Uint8Array.of(0xff, 0xfe, 0)],
    ["unknown", "JSON", '{"hello":1}'],
    // an ECDSA signature with a byte too many in front of r
    ["unknown", "DER", Buffer.from(`302702110001${"11".repeat(15)}0212${"22".repeat(18)}`, "hex")],
    ["unknown", "not JSON, although it begins with {", "{"],
    ["unknown", "PEM of something else", "-----BEGIN HELLO-----\nAAAA\n-----END HELLO-----\n"],
    ["certificate", "X.509 PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
    ["key set", "JWK Set", '{"keys":[]}'],
    ["private key", "JWK", '{"kty":"oct","k":"AAAA"}'],
    ["private key", "PKCS#8 PEM", "junk\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"],
    ["public key", "OpenSSH", "ssh-ed25519 AAAA comment\n"]
  ] as const)("says what is wrong with %s (%s)", ([kind, format, content]) =>
    Effect.gen(function* () {
      const { write } = yield* temporary
      const { err, exitCode, out } = yield* run(["inspect", "--json", yield* write("file", content)])
      const report = json(out)
      assert.deepStrictEqual([exitCode, err, report["kind"], report["format"]], [2, "", kind, format])
      assert.match(String(report["problem"]), /^.*file: ./)
    })
  )

  it.effect("reads DER", () =>
    Effect.gen(function* () {
      const { at, read, write } = yield* temporary
      yield* ok(["keygen", "--alg", "ES384", "--out", at("k"), "--public-out", at("p")])
      const der = (pem: string) => new Uint8Array(Buffer.from(pem.replace(/-----.*-----|\n/g, ""), "base64"))
      for (const [name, kind, format] of [
        ["k", "private key", "PKCS#8 DER"],
        ["p", "public key", "SPKI DER"]
      ] as const) {
        const file = yield* write(`${name}.der`, der(yield* read(name)))
        const report = json((yield* ok(["inspect", "--json", file])).out)
        assert.deepStrictEqual([report["kind"], report["format"], report["keyType"]], [kind, format, "P-384"])
      }
    })
  )
})

describe("a terminal", () => {
  it.effect("obeys nothing that a file says", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      yield* ok(["keygen", "--out", at("k")])
      yield* write("m", "message")
      const signature = json((yield* ok(["sign", "--json", "--key", at("k"), at("m")])).out)
      yield* write("s", JSON.stringify({ ...signature, keyId: "a\u001b]0;title\u0007\nkind:  private key" }))
      const { out } = yield* ok(["inspect", at("s")])
      assert.include(out, "a\\u001b]0;title\\u0007\\u000akind")
      assert.match(out, /^[\n\u0020-\u007e]+$/)
    })
  )
})

describe("inspect, of what has no mark of its own", () => {
  it.effect.each(["base64url", "base64", "hex", "raw", "der"])("takes %s for a signature, perhaps", (encoding) =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--alg", "ES256", "--out", at("k"), "--public-out", at("p")])
      const { stdout } = yield* ok(["sign", "--key", at("k"), "-e", encoding, message])
      const report = json((yield* ok(["inspect", "--json", yield* write("s", stdout)])).out)
      const isDer = encoding === "der"
      assert.deepStrictEqual(report, {
        kind: "perhaps a signature",
        format: isDer ? "DER" : encoding,
        algorithms: isDer ? ["ES256", "ES256K"] : ["Ed25519", "ES256", "ES256K", "BIP340", "BIP341"],
        length: isDer ? stdout.length : 64
      })
      const text = (yield* ok(["inspect", at("s")])).out
      assert.match(text, /^kind: +perhaps a signature\n/)
      assert.include(yield* refused(["sign", "--key", at("s"), message]), "perhaps it is a signature")
    })
  )

  it.effect("knows the lengths of RSA and ML-DSA signatures", () =>
    Effect.gen(function* () {
      const { write } = yield* temporary
      const algorithms = (length: number) =>
        Effect.gen(function* () {
          const file = yield* write(`s${length}`, Buffer.alloc(length, 1).toString("base64url"))
          return json((yield* ok(["inspect", "--json", file])).out)["algorithms"]
        })
      assert.deepStrictEqual(yield* algorithms(384), ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"])
      assert.deepStrictEqual(yield* algorithms(2420), ["ML-DSA-44"])
    })
  )
})

describe("passphrases", () => {
  const passphrase = "correct horse battery"
  const env = { EFFECT_SIGNER_PASSPHRASE: passphrase }

  it.effect("come from a file, the terminal or the environment", () =>
    Effect.gen(function* () {
      const { at, read, write } = yield* temporary
      const message = yield* write("m", "message")
      const file = yield* write("passphrase", `${passphrase}\n`)
      yield* ok(["keygen", "--out", at("file"), "--passphrase-file", file])
      yield* ok(["keygen", "--out", at("env")], { env })
      const typed = yield* run(["keygen", "--out", at("typed"), "--passphrase"], {
        typed: `${passphrase}\r${passphrase}\r`
      })
      assert.strictEqual(typed.exitCode, 0)
      assert.include(typed.out, "encrypted:        yes")
      assert.notInclude(typed.out + typed.err, passphrase)
      for (const name of ["file", "env", "typed"]) {
        assert.match(yield* read(name), /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/)
        const sign = ["sign", "--key", at(name), message]
        const expected = (yield* ok(sign, { env })).out
        assert.strictEqual((yield* ok([...sign, "--passphrase-file", file])).out, expected)
        const asked = yield* run([...sign, "--passphrase"], { typed: `${passphrase}\r` })
        assert.deepStrictEqual([asked.exitCode, asked.out], [0, expected])
        assert.include(asked.err, "Passphrase")
        assert.notInclude(asked.err, passphrase)
      }
    })
  )

  it.effect("that are wrong or absent are named as that", () =>
    Effect.gen(function* () {
      const { at, list, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* ok(["keygen", "--out", at("k")], { env })
      yield* ok(["keygen", "--out", at("plain")])
      const sign = ["sign", "--key", at("k"), message]
      const wrong = yield* refused(sign, { env: { EFFECT_SIGNER_PASSPHRASE: "wrong horse battery" } })
      assert.include(wrong, "passphrase: it is wrong, or the encrypted key is damaged")
      assert.notInclude(wrong, "horse")
      assert.match(yield* refused(sign), /the key is encrypted; give --passphrase-file FILE, or --passphrase.*EFFECT_/)
      const file = yield* write("passphrase", passphrase)
      const plain = ["sign", "--key", at("plain"), message]
      assert.include(yield* refused([...plain, "--passphrase-file", file]), "the key is not encrypted")
      yield* ok(plain, { env }) // the environment is for those keys that need it
      assert.include(yield* refused([...sign, "--passphrase-file", file, "--passphrase"]), "exclude each other")
      assert.include(yield* refused([...sign, "--passphrase"]), "standard input is not one")
      assert.include(yield* refused(["sign", "--key", at("k"), "--passphrase"], { typed: "" }), "on the terminal")
      const before = yield* list
      const keygen = (...args: ReadonlyArray<string>) => ["keygen", "--out", at("new"), ...args]
      assert.include(
        yield* refused(keygen(), { env: { EFFECT_SIGNER_PASSPHRASE: "" } }),
        "EFFECT_SIGNER_PASSPHRASE is empty"
      )
      assert.include(
        yield* refused(keygen("--passphrase-file", yield* write("empty", "\n"))),
        "the passphrase file is empty"
      )
      assert.include(yield* refused(keygen("--passphrase-file", yield* write("two", "a\nb\n"))), "has one line")
      assert.include(yield* refused(keygen("--passphrase-file", yield* write("latin", Uint8Array.of(0xe9)))), "UTF-8")
      assert.include(yield* refused(keygen("--format", "jwk"), { env }), "a JWK cannot be encrypted")
      const differ = yield* run(keygen("--passphrase"), { typed: "one passphrase\ranother one\r" })
      assert.deepStrictEqual([differ.exitCode, differ.out], [2, ""])
      assert.include(differ.err, "the two passphrases differ")
      assert.deepStrictEqual(yield* list, [...before, "empty", "latin", "two"].sort())
    })
  )

  it.effect("that are typed into the command line are refused and not repeated", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      yield* ok(["keygen", "--out", at("k")], { env })
      for (const args of [
        ["sign", "--key", at("k"), "--passphrase", passphrase],
        ["sign", "--key", at("k"), `--passphrase=${passphrase}`, yield* write("m", "")],
        ["sign", "--key", at("k"), `--passphrse=${passphrase}`],
        ["keygen", "--out", at("new"), "--passphrase", passphrase],
        ["keygen", "--out", at("new"), `--passphrase=${passphrase}`],
        ["inspect", at("k"), "--passphrase", passphrase],
        [`--${passphrase}`],
        [passphrase]
      ]) {
        const result = yield* run(args, { env, typed: `${passphrase}\r` })
        assert.deepStrictEqual([result.exitCode, result.out], [2, ""], args[0])
        assert.notInclude(result.err, passphrase)
        const asJson = yield* run(["--json", ...args], { env, typed: `${passphrase}\r` })
        assert.notInclude(asJson.err, passphrase)
      }
    })
  )

  it.effect("open an encrypted file to inspect, which says without one what it can", () =>
    Effect.gen(function* () {
      const { at } = yield* temporary
      yield* ok(["keygen", "--out", at("k"), "--public-out", at("p")], { env })
      const locked = json((yield* ok(["inspect", "--json", at("k")])).out)
      assert.deepStrictEqual(Object.keys(locked), ["kind", "format", "advice"])
      assert.strictEqual(locked["kind"], "encrypted private key")
      const opened = json((yield* ok(["inspect", "--json", at("k")], { env })).out)
      const publicKey = json((yield* ok(["inspect", "--json", at("p")])).out)
      assert.deepStrictEqual(opened, { ...publicKey, kind: "encrypted private key", format: "PKCS#8 PEM" })
    })
  )
})

describe("secrets", () => {
  it.effect.each(["Ed25519", "ES256", "RS256", "ML-DSA-65"])(
    "of %s keys are in no output, whatever goes wrong",
    (alg) =>
      Effect.gen(function* () {
        const { at, read, write } = yield* temporary
        const message = yield* write("m", "message")
        yield* ok(["keygen", "--alg", alg, "--format", "jwk", "--out", at("k.jwk")])
        const jwk = json(yield* read("k.jwk"))
        const secrets = ["d", "p", "q", "dp", "dq", "qi", "priv"]
          .filter((name) => name in jwk)
          .flatMap((name) => {
            const secret = new Uint8Array(Buffer.from(String(jwk[name]), "base64url"))
            // half of it is too much, too
            return [secret.subarray(0, 16), secret.subarray(-16)].map((secret) => ({ name, secret }))
          })
        assert.isNotEmpty(secrets)
        const find = Canary.search(secrets)
        assert.isDefined(find(yield* read("k.jwk"))) // the search finds what there is
        const text = yield* read("k.jwk")
        const secret = String(jwk["d"] ?? jwk["priv"])
        const broken = [
          text.slice(0, -2),
          text.replace("{", '{"alg":"none",'),
          text.replace(secret, `${secret}=`),
          text.replace(secret, `${secret.slice(0, -2)}`),
          text.replace(/"(d|priv)":/, '"$1":"","extra":'),
          `junk ${text}`,
          text.replace("{", "{\u0007"),
          `-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----\n`,
          `ssh-ed25519 ${secret}\n`
        ]
        for (const [i, content] of [text, ...broken].entries()) {
          const key = yield* write(`broken-${i}`, content)
          for (const args of [
            ["inspect", key],
            ["public-key", key, "--format", "all"],
            ["sign", "--key", key, "--alg", alg, message],
            ["verify", "--key", key, "--signature", "AAAA", message],
            ["verify", "--key", at("k.jwk"), "--signature-file", key, message],
            // the key where its file belongs
            ["inspect", content],
            ["sign", "--key", content, message],
            ["sign", "--key", secret, message],
            ["sign", "--key", at(secret), message],
            ["sign", "--key", Buffer.from(secret, "base64url").toString("hex"), message],
            ["keygen", "--out", key, "--alg", secret],
            ["verify", "--key", key, "--signature", secret, secret],
            [secret],
            [`--${secret}`],
            [`-${secret}`],
            ["sign", "--key", `-${secret}`, message],
            [content]
          ]) {
            for (const flags of [[], ["--json"]]) {
              const { err, out } = yield* run([...args, ...flags])
              assert.isUndefined(find(out + err), `${args[0]} with file ${i}: ${out}${err}`)
              assert.notMatch(err, /(flag -\w.*){3}/) // nor letter by letter
            }
          }
        }
      })
  )
})

describe("OpenSSL", () => {
  const openssl = (...args: ReadonlyArray<string>) => {
    const { status, stderr, stdout } = spawnSync("openssl", args)
    return { status, out: stdout.toString(), err: stderr.toString() }
  }
  const each = it.effect.each(hasOpenSsl ? ["Ed25519", "ES256", "RS256"] : [])

  if (!hasOpenSsl) {
    // oxlint-disable-next-line no-restricted-properties -- openssl is not on this machine
    it.skip("is not installed, so keys were not compared with it")
  }

  const der = it.effect.each(
    hasOpenSsl
      ? ([
          ["ES256", "SEC1 DER", ["ec", "-outform", "DER"]],
          ["PS256", "PKCS#1 DER", ["rsa", "-traditional", "-outform", "DER"]],
          ["ES256", "PKCS#8 DER", ["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"]],
          ["PS256", "PKCS#8 DER", ["pkcs8", "-topk8", "-nocrypt", "-outform", "DER"]]
        ] as const)
      : []
  )

  der("writes %s keys as %s, which we read", ([alg, format, command]) =>
    Effect.gen(function* () {
      const { at, read } = yield* temporary
      yield* ok(["keygen", "--alg", alg, "--out", at("k"), "--public-out", at("p")])
      const written = openssl(...command, "-in", at("k"), "-out", at("der"))
      assert.strictEqual(written.status, 0, written.err)
      yield* Effect.promise(() => chmod(at("der"), 0o600))
      const report = json((yield* ok(["inspect", "--json", at("der")])).out)
      assert.deepStrictEqual([report["kind"], report["format"]], ["private key", format])
      assert.strictEqual((yield* ok(["public-key", at("der")])).out, yield* read("p"))
      const { out } = yield* ok(["sign", "--key", at("der"), "--alg", alg, at("p")])
      const verify = ["verify", "--key", at("p"), "--alg", alg, "--signature", out.trim(), at("p")]
      assert.strictEqual((yield* ok(verify)).out, "valid\n")
    })
  )

  it.effect.each(hasOpenSsl ? ["encrypted", "PKCS#1 public"] : [])("writes other DER, which we read: %s", (what) =>
    Effect.gen(function* () {
      const { at, read, write } = yield* temporary
      const file = yield* write("passphrase", "correct horse")
      yield* ok(["keygen", "--alg", "PS256", "--out", at("k"), "--public-out", at("p")])
      const command =
        what === "encrypted"
          ? ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256", "-passout", `file:${file}`]
          : ["rsa", "-RSAPublicKey_out"]
      const written = openssl(...command, "-outform", "DER", "-in", at("k"), "-out", at("der"))
      assert.strictEqual(written.status, 0, written.err)
      yield* Effect.promise(() => chmod(at("der"), 0o600))
      const passphrase = what === "encrypted" ? ["--passphrase-file", file] : []
      assert.strictEqual((yield* ok(["public-key", at("der"), ...passphrase])).out, yield* read("p"))
    })
  )

  each("reads our %s keys, encrypted ones too, and we read its", (alg) =>
    Effect.gen(function* () {
      const { at, read, write } = yield* temporary
      const file = yield* write("passphrase", "correct horse\n")
      yield* ok(["keygen", "--alg", alg, "--out", at("k"), "--public-out", at("p"), "--passphrase-file", file])
      const publicKey = yield* read("p")
      assert.strictEqual(openssl("pkey", "-in", at("k"), "-passin", `file:${file}`, "-pubout").out, publicKey)
      assert.notStrictEqual(openssl("pkey", "-in", at("k"), "-passin", "pass:wrong", "-pubout").status, 0)
      const cipher = ["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256"]
      const plain = openssl("pkey", "-in", at("k"), "-passin", `file:${file}`, "-out", at("plain"))
      assert.strictEqual(plain.status, 0, plain.err)
      const again = openssl(
        "pkcs8",
        "-topk8",
        ...cipher,
        "-in",
        at("plain"),
        "-passout",
        `file:${file}`,
        "-out",
        at("k2")
      )
      assert.strictEqual(again.status, 0, again.err)
      assert.strictEqual((yield* ok(["public-key", at("k2"), "--passphrase-file", file])).out, publicKey)
    })
  )

  each("verifies our %s signatures, and we verify its", (alg) =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const message = yield* write("m", "a message\n")
      const encoding = alg === "ES256" ? "der" : "raw"
      yield* ok(["keygen", "--alg", alg, "--out", at("k"), "--public-out", at("p")])
      yield* ok(["sign", "--key", at("k"), "--alg", alg, "-e", encoding, "--out", at("ours"), message])
      const digest = alg === "Ed25519" ? ["-rawin"] : ["-rawin", "-digest", "sha256"]
      const common = ["pkeyutl", ...digest, "-in", message]
      const verified = openssl(...common, "-verify", "-pubin", "-inkey", at("p"), "-sigfile", at("ours"))
      assert.strictEqual(verified.status, 0, verified.err)
      assert.strictEqual(openssl(...common, "-sign", "-inkey", at("k"), "-out", at("theirs")).status, 0)
      const verify = ["verify", "--key", at("p"), "--alg", alg, "-e", encoding, "-s", at("theirs"), message]
      assert.strictEqual((yield* ok(verify)).out, "valid\n")
    })
  )
})
