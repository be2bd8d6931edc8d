import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { chmod, symlink } from "node:fs/promises"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { legacyKey, signerJson } from "../layers/evNode.ts"
import { run, temporary } from "./support/inProcess.ts"

const one = "correct horse battery staple"
const two = "another passphrase altogether"

/** What a user would set, and what must never be shown. */
const env = { EFFECT_SIGNER_PASSPHRASE: one, EFFECT_SIGNER_NEW_PASSPHRASE: one }
const search = Canary.search([
  { name: "one", secret: one },
  { name: "two", secret: two }
])

const ok = Effect.fnUntraced(function* (...[args, options]: Parameters<typeof run>) {
  const result = yield* run(args, { env, ...options })
  assert.deepStrictEqual({ exitCode: result.exitCode, err: result.err }, { exitCode: 0, err: "" })
  assert.isUndefined(search(result.out))
  return result.out
})

const refused = Effect.fnUntraced(function* (...[args, options]: Parameters<typeof run>) {
  const result = yield* run(args, { env, ...options })
  assert.deepStrictEqual({ exitCode: result.exitCode, out: result.out }, { exitCode: 2, out: "" })
  assert.match(result.err, /^effect-signer: [^\n]+\n$/)
  assert.isUndefined(search(result.err))
  return result.err
})

const json = (text: string) => JSON.parse(text) as { readonly [name: string]: unknown }

/** A plain key and an encrypted one of it, in a folder. */
const keys = Effect.gen(function* () {
  const files = yield* temporary
  const { at } = files
  yield* ok(["keygen", "--out", at("plain.pem"), "--public-out", at("public.pem")], { env: {} })
  const report = json(yield* ok(["key", "import", at("plain.pem"), "--out", at("release.key"), "--json"]))
  return { ...files, keyId: String(report["keyId"]), report }
})

describe("key import", () => {
  it.effect("writes an encrypted file that only its owner can read, and that signs", () =>
    Effect.gen(function* () {
      const { at, keyId, list, modeOf, read, report } = yield* keys
      assert.deepStrictEqual(report, { privateKeyFile: at("release.key"), keyId, keyType: "Ed25519", encrypted: true })
      assert.strictEqual(yield* modeOf("release.key"), 0o600)
      assert.include(yield* read("release.key"), '"format": "effect-signer/encrypted-key"')
      assert.deepStrictEqual(yield* list, ["plain.pem", "public.pem", "release.key"])
      yield* ok(["sign", "--key", at("release.key"), "--out", at("sig"), at("public.pem")])
      const verified = yield* ok(["verify", "--key", at("public.pem"), "--signature-file", at("sig"), at("public.pem")])
      assert.strictEqual(verified, "valid\n")
      assert.include(yield* ok(["inspect", at("release.key")]), "encrypted key file")
      assert.include(yield* ok(["public-key", at("release.key")]), "BEGIN PUBLIC KEY")
    })
  )

  it.effect("keeps the algorithm of a JWK, and reads an encrypted PEM from standard input", () =>
    Effect.gen(function* () {
      const { at, read } = yield* temporary
      yield* ok(["keygen", "--alg", "ES256K", "--format", "jwk", "--out", at("k.jwk")], { env: {} })
      assert.strictEqual(
        json(yield* ok(["key", "import", at("k.jwk"), "--out", at("k.key"), "--json"]))["algorithm"],
        "ES256K"
      )
      yield* ok(["sign", "--key", at("k.key"), at("k.jwk")]) // no --alg
      yield* ok(["keygen", "--out", at("k.pem")])
      const stdin = yield* read("k.pem")
      assert.include(stdin, "ENCRYPTED")
      yield* ok(["key", "import", "-", "--out", at("other.key")], { stdin })
    })
  )

  it.effect("refuses a JWK with a member twice, which is another key to another program", () =>
    Effect.gen(function* () {
      const { at, read, write } = yield* temporary
      yield* ok(["keygen", "--format", "jwk", "--out", at("k.jwk")], { env: {} })
      const twice = yield* write("twice.jwk", (yield* read("k.jwk")).replace("{", `{"kty":"EC",`))
      for (const args of [
        ["key", "import", twice, "--out", at("k.key")],
        ["sign", "--key", twice, at("k.jwk")]
      ]) {
        assert.include(yield* refused(args), "twice")
      }
    })
  )

  it.effect("overwrites nothing, and needs a new passphrase", () =>
    Effect.gen(function* () {
      const { at, read } = yield* keys
      const before = yield* read("release.key")
      const args = ["key", "import", at("plain.pem"), "--out"]
      assert.include(yield* refused([...args, at("release.key")]), "it exists already, and is not overwritten")
      assert.include(yield* refused([...args, at("new.key")], { env: {} }), "EFFECT_SIGNER_NEW_PASSPHRASE")
      assert.include(
        yield* refused([...args, at("new.key")], { env: { EFFECT_SIGNER_NEW_PASSPHRASE: "" } }),
        "the new passphrase is empty"
      )
      assert.include(yield* refused([...args, "-"]), "--out is a file")
      assert.include(
        yield* refused(["key", "import", at("public.pem"), "--out", at("new.key")]),
        "this is a public key"
      )
      assert.include(yield* refused([...args, at("none/new.key")]), "no such file or folder")
      assert.strictEqual(yield* read("release.key"), before)
    })
  )

  it.effect("asks for the new passphrase twice", () =>
    Effect.gen(function* () {
      const { at } = yield* keys
      const args = ["key", "import", at("plain.pem"), "--out", at("new.key"), "--new-passphrase"]
      const result = yield* run(args, { typed: `${two}\r${two}\r`, env: {} })
      assert.strictEqual(result.exitCode, 0, result.err)
      yield* ok(["sign", "--key", at("new.key"), at("public.pem")], { env: { EFFECT_SIGNER_PASSPHRASE: two } })
      const differ = yield* run([...args.slice(0, 4), at("third.key"), "--new-passphrase"], {
        typed: `${two}\r${one}\r`,
        env: {}
      })
      assert.strictEqual(differ.exitCode, 2)
      assert.include(differ.err, "the two passphrases differ")
    })
  )
})

describe("key export", () => {
  it.effect("writes PEM, JWK and encrypted PEM", () =>
    Effect.gen(function* () {
      const { at, modeOf, read } = yield* keys
      const plain = yield* read("plain.pem")
      const toStdout = yield* run(["key", "export", at("release.key"), "--yes"], { env })
      assert.strictEqual(toStdout.out, plain)
      yield* ok(["key", "export", at("release.key"), "--yes", "--out", at("out.pem")])
      assert.strictEqual(yield* read("out.pem"), plain)
      assert.strictEqual(yield* modeOf("out.pem"), 0o600)
      yield* ok(["key", "export", at("release.key"), "--yes", "--format", "jwk", "--out", at("out.jwk")])
      assert.strictEqual(json(yield* read("out.jwk"))["kty"], "OKP")
      const encrypted = ["key", "export", at("release.key"), "--format", "encrypted-pem", "--out", at("encrypted.pem")]
      yield* ok(encrypted, { env: { ...env, EFFECT_SIGNER_NEW_PASSPHRASE: two } }) // not asked: it stays encrypted
      if (spawnSync("openssl", ["version"]).status === 0) {
        const opened = spawnSync("openssl", ["pkey", "-in", at("encrypted.pem"), "-passin", `pass:${two}`])
        assert.strictEqual(opened.stdout.toString(), plain)
      }
    })
  )

  it.effect("shows no key on a terminal, and asks", () =>
    Effect.gen(function* () {
      const { at, read } = yield* keys
      const args = ["key", "export", at("release.key")]
      assert.include(yield* refused([...args, "--yes"], { stdoutIsTerminal: true }), "on the terminal")
      const forced = yield* run([...args, "--yes", "--force"], { env, stdoutIsTerminal: true })
      assert.strictEqual(forced.out, yield* read("plain.pem"))
      assert.include(yield* refused(args), "confirmed; say so with --yes")
      const no = yield* run(args, { env, typed: "n" })
      assert.deepStrictEqual([no.exitCode, no.out], [2, ""])
      assert.include(no.err, "nothing was done")
      const yes = yield* run(args, { env, typed: "y" })
      assert.deepStrictEqual([yes.exitCode, yes.out], [0, forced.out])
    })
  )

  it.effect("refuses a wrong passphrase, a file that others may read, a link, and what is no key", () =>
    Effect.gen(function* () {
      const { at, list, read, write } = yield* keys
      const args = (name: string) => ["key", "export", at(name), "--yes", "--out", at("out.pem")]
      assert.include(yield* refused(args("release.key"), { env: { EFFECT_SIGNER_PASSPHRASE: two } }), "it is wrong")
      assert.include(yield* refused(args("release.key"), { env: {} }), "EFFECT_SIGNER_PASSPHRASE")
      assert.include(yield* refused(args("none.key")), "no such file or folder")
      assert.include(yield* refused(args("public.pem")), "others than its owner")
      yield* Effect.promise(() => symlink(at("release.key"), at("link.key")))
      assert.include(yield* refused(args("link.key")), "symbolic link")
      yield* write("cut.key", (yield* read("release.key")).slice(0, 300))
      assert.include(yield* refused(args("cut.key")), "cut short")
      yield* Effect.promise(() => chmod(at("release.key"), 0o640))
      assert.include(yield* refused(args("release.key")), "chmod 600")
      assert.notInclude(yield* list, "out.pem")
      const error = yield* run([...args("none.key"), "--json"], { env })
      assert.deepStrictEqual(Object.keys(json(error.err)["error"] as object), ["tag", "message"])
    })
  )
})

describe("key list", () => {
  it.effect("says which private keys a folder has, without a passphrase", () =>
    Effect.gen(function* () {
      const { at, folder, keyId, read, write } = yield* keys
      yield* write("broken.key", (yield* read("release.key")).replace('"version": 1', '"version": 9'))
      yield* write("notes.txt", "hello")
      yield* Effect.promise(() => chmod(at("plain.pem"), 0o644))
      const report = json(yield* ok(["key", "list", folder, "--json"], { env: {} })) as {
        readonly keys: ReadonlyArray<{ readonly [name: string]: unknown }>
      }
      assert.deepStrictEqual(
        report.keys.map(({ name }) => name),
        ["broken.key", "plain.pem", "release.key"]
      )
      assert.include(String(report.keys[0]!["problem"]), "newer version")
      assert.include(String(report.keys[1]!["problem"]), "others may read")
      assert.deepStrictEqual(report.keys[2], {
        name: "release.key",
        keyId,
        keyType: "Ed25519",
        format: "encrypted key file",
        encrypted: true
      })
      const shown = yield* ok(["key", "list", folder], { env: {} })
      assert.include(shown, `release.key  ${keyId}  Ed25519  encrypted key file\n`)
      assert.include(yield* refused(["key", "list", at("none")]), "no such file or folder")
    })
  )
})

describe("key delete", () => {
  it.effect("asks, and deletes private keys only", () =>
    Effect.gen(function* () {
      const { at, keyId, list } = yield* keys
      assert.include(yield* refused(["key", "delete", at("release.key")]), "--yes")
      assert.include(yield* refused(["key", "delete", at("public.pem"), "--yes"]), "this is no private key")
      assert.include(yield* refused(["key", "delete", at("none"), "--yes"]), "no such file or folder")
      const no = yield* run(["key", "delete", at("release.key")], { env, typed: "n" })
      assert.strictEqual(no.exitCode, 2)
      assert.include(no.err, keyId)
      assert.deepStrictEqual(yield* list, ["plain.pem", "public.pem", "release.key"])
      assert.deepStrictEqual(json(yield* ok(["key", "delete", at("release.key"), "--yes", "--json"])), {
        deleted: at("release.key"),
        keyId
      })
      assert.deepStrictEqual(yield* list, ["plain.pem", "public.pem"])
    })
  )
})

describe("key change-passphrase", () => {
  it.effect("encrypts a signer.json of ev-node anew, also a legacy one where that is asked for", () =>
    Effect.gen(function* () {
      const { at, read, write } = yield* temporary
      const key = yield* TestKey.make("Ed25519")
      const seed = TestKey.secretBytes("Ed25519", "effect-signer")
      const publicKey = key.publicKey.bytes
      const salted = yield* write("a.json", signerJson({ seed, publicKey, words: one, salt: Buffer.alloc(16, 7) }))
      const legacy = yield* write("b.json", signerJson({ seed, publicKey, key: legacyKey(one) }))
      yield* ok(["sign", "--key", salted, legacy])
      yield* ok(["key", "change-passphrase", salted])
      assert.include(yield* refused(["key", "change-passphrase", legacy]), "--allow-legacy-key-derivation: ")
      yield* ok(["key", "change-passphrase", legacy, "--allow-legacy-key-derivation"])
      for (const name of ["a.json", "b.json"]) {
        assert.include(yield* read(name), "effect-signer/encrypted-key")
        yield* ok(["sign", "--key", at(name), legacy])
      }
    })
  )

  it.effect("changes it in place, and encrypts a plain file", () =>
    Effect.gen(function* () {
      const { at, keyId, list, modeOf, read, write } = yield* keys
      const next = yield* write("next.txt", `${two}\n`)
      const args = ["--new-passphrase-file", next, "--json"]
      const report = json(yield* ok(["key", "change-passphrase", at("release.key"), ...args]))
      assert.deepStrictEqual(report, { privateKeyFile: at("release.key"), keyId, encrypted: true })
      assert.include(yield* refused(["sign", "--key", at("release.key"), next]), "it is wrong")
      yield* ok(["sign", "--key", at("release.key"), "--passphrase-file", next, next])

      yield* ok(["key", "change-passphrase", at("plain.pem"), ...args])
      assert.include(yield* read("plain.pem"), "effect-signer/encrypted-key")
      assert.strictEqual(yield* modeOf("plain.pem"), 0o600)
      yield* ok(["sign", "--key", at("plain.pem"), "--passphrase-file", next, next])
      assert.deepStrictEqual(yield* list, ["next.txt", "plain.pem", "public.pem", "release.key"])
    })
  )

  it.effect("leaves the file as it was where anything is wrong", () =>
    Effect.gen(function* () {
      const { at, read, write } = yield* keys
      const before = yield* read("release.key")
      const args = ["key", "change-passphrase", at("release.key")]
      assert.include(yield* refused(args, { env: { ...env, EFFECT_SIGNER_PASSPHRASE: two } }), "it is wrong")
      assert.include(yield* refused(args, { env: { EFFECT_SIGNER_PASSPHRASE: one } }), "needs a passphrase")
      assert.include(
        yield* refused([...args, "--new-passphrase", "--new-passphrase-file", yield* write("x", two)]),
        "exclude each other"
      )
      assert.include(yield* refused([...args, "--new-passphrase"]), "standard input is not one")
      assert.strictEqual(yield* read("release.key"), before)
    })
  )
})
