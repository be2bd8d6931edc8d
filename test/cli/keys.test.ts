import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chmod } from "node:fs/promises"
import * as Canary from "../../src/testing/Canary.ts"
import * as Child from "./support/child.ts"
import { run, temporary } from "./support/inProcess.ts"

const passphrase = "correct horse battery staple"
const other = "another passphrase altogether"
const search = Canary.search([
  { name: "passphrase", secret: passphrase },
  { name: "other", secret: other }
])

const ok = Effect.fnUntraced(function* (...[args, options]: Parameters<typeof run>) {
  const result = yield* run(args, options)
  assert.deepStrictEqual({ exitCode: result.exitCode, err: result.err }, { exitCode: 0, err: "" })
  assert.isUndefined(search(result.out))
  return result.out
})

const refused = Effect.fnUntraced(function* (...[args, options]: Parameters<typeof run>) {
  const result = yield* run(args, options)
  assert.deepStrictEqual({ exitCode: result.exitCode, out: result.out }, { exitCode: 2, out: "" })
  assert.match(result.err, /^effect-signer: [^\n]+\n$/)
  assert.isUndefined(search(result.err))
  return result.err.slice("effect-signer: ".length, -1)
})

const json = (text: string) => JSON.parse(text) as { readonly [name: string]: unknown }

/** A folder with a store that does not exist yet, and its environment. */
const empty = Effect.map(temporary, (files) => ({
  ...files,
  store: files.at("keys.json"),
  env: { EFFECT_SIGNER_STORE: files.at("keys.json"), EFFECT_SIGNER_PASSPHRASE: passphrase }
}))

describe("keys", () => {
  it.effect("D14 encrypted store and command line: a key from its making to its end", () =>
    Effect.gen(function* () {
      const { at, env, modeOf, read, store } = yield* empty
      const made = json(
        yield* ok(["keys", "generate", "--alg", "ES256", "--id", "a", "--tag", "tenant=acme", "--use", "--json"], {
          env
        })
      )
      assert.deepInclude(made, {
        id: "a",
        algorithm: "ES256",
        kind: "private",
        state: "enabled",
        active: true,
        tags: { tenant: "acme" },
        store
      })
      assert.strictEqual(yield* modeOf("keys.json"), 0o600)
      const second = json(yield* ok(["keys", "generate", "--json"], { env }))
      assert.match(String(second["id"]), /^urn:kms:ed25519:/)
      assert.isFalse(second["active"])
      const id = String(second["id"])

      const all = json(yield* ok(["keys", "list", "--json"], { env }))["keys"] as ReadonlyArray<{ id: string }>
      assert.sameMembers(
        all.map((key) => key.id),
        ["a", id]
      )
      const tagged = yield* ok(["keys", "list", "--tag", "tenant=acme"], { env })
      assert.match(tagged, /^a {2}ES256 {2}private {2}active {2}\d{4}-\S+Z {2}tenant=acme\n$/)
      assert.strictEqual((yield* run(["keys", "list", "--tag", "tenant=other"], { env })).out, "")

      assert.include(yield* ok(["keys", "show"], { env }), "ES256")
      const pem = yield* ok(["keys", "show", "a", "--format", "pem"], { env })
      assert.match(pem, /^-----BEGIN PUBLIC KEY-----\n/)
      assert.include(yield* ok(["keys", "show", "a", "--format", "jwk"], { env }), `"crv":"P-256"`)

      assert.isTrue(json(yield* ok(["keys", "use", id, "--json"], { env }))["active"])
      assert.strictEqual(json(yield* ok(["keys", "disable", "a", "--json"], { env }))["state"], "disabled")
      assert.match(yield* ok(["keys", "list", "--state", "disabled"], { env }), /^a {2}ES256 {2}private {2}disabled/)
      assert.strictEqual(json(yield* ok(["keys", "enable", "a", "--json"], { env }))["state"], "enabled")

      yield* ok(["keys", "export", "a", "--yes", "--out", at("a.pem")], { env })
      assert.strictEqual(yield* modeOf("a.pem"), 0o600)
      assert.strictEqual(yield* ok(["public-key", at("a.pem"), "--format", "pem"]), pem)
      assert.notInclude(yield* read("keys.json"), (yield* read("a.pem")).split("\n")[1]!)

      assert.strictEqual(
        yield* refused(["keys", "remove", id, "--yes"], { env }),
        "it is the active key; make another one active with effect-signer keys use, or say --force"
      )
      assert.deepStrictEqual(json(yield* ok(["keys", "remove", id, "--yes", "--force", "--json"], { env })), {
        removed: id,
        store
      })
      assert.include(
        yield* refused(["keys", "generate", "--alg", "ES256", "--store", at("no/such.json")], { env }),
        "no/such.json does not exist"
      )
      assert.include(yield* refused(["keys", "show"], { env }), "no key is active")
      assert.include(
        yield* refused(["keys", "show", id], { env }),
        `there is no such key: ${id}; effect-signer keys list`
      )
    })
  )

  it.effect("imports private and public keys, with the passphrases that each has", () =>
    Effect.gen(function* () {
      const { at, env, write } = yield* empty
      yield* ok(["keygen", "--out", at("k.pem"), "--public-out", at("k.pub")], {
        env: { EFFECT_SIGNER_PASSPHRASE: other }
      })
      yield* write("other.txt", `${other}\n`)
      assert.include(
        yield* refused(["keys", "import", at("k.pem")], { env }),
        "the key is encrypted; give --key-passphrase-file FILE"
      )
      const report = json(
        yield* ok(["keys", "import", at("k.pem"), "--id", "k", "--key-passphrase-file", at("other.txt"), "--json"], {
          env
        })
      )
      assert.deepInclude(report, { id: "k", algorithm: "Ed25519", kind: "private" })
      assert.include(yield* refused(["keys", "import", at("k.pub"), "--id", "k"], { env }), "already")
      const watched = json(yield* ok(["keys", "import", at("k.pub"), "--id", "w", "--tag", "a=", "--json"], { env }))
      assert.deepInclude(watched, { id: "w", kind: "watch-only", tags: { a: "" } })
      assert.strictEqual(
        yield* refused(["keys", "export", "w", "--yes", "--out", at("w.pem")], { env }),
        "the key is watch-only: its private half is not in the store"
      )
      const encrypted = ["keys", "export", "k", "--format", "encrypted-pem", "--out", at("out.pem")]
      yield* ok(encrypted, { env: { ...env, EFFECT_SIGNER_NEW_PASSPHRASE: other } })
      yield* ok(["public-key", at("out.pem"), "--passphrase-file", at("other.txt")])
    })
  )

  it.effect("asks before it removes or shows a key, and takes no for an answer", () =>
    Effect.gen(function* () {
      const { at, env, list } = yield* empty
      yield* ok(["keys", "generate", "--id", "a"], { env })
      for (const args of [
        ["keys", "remove", "a"],
        ["keys", "export", "a", "--out", at("a.pem")]
      ]) {
        assert.include(yield* refused(args, { env }), "this has to be confirmed; say so with --yes")
        const typed = yield* run(args, { env, typed: "n" })
        assert.strictEqual(typed.exitCode, 2)
        assert.include(typed.err, "it was not confirmed; nothing was done")
      }
      assert.deepStrictEqual(yield* list, ["keys.json"])
      yield* ok(["keys", "show", "a"], { env })
    })
  )

  it.effect("says what is wrong with the store, and never the passphrase", () =>
    Effect.gen(function* () {
      const { at, env, store, write } = yield* empty
      assert.include(yield* refused(["keys", "list"], { env }), "there is no key store; effect-signer keys generate")
      yield* ok(["keys", "generate"], { env })
      assert.match(
        yield* refused(["keys", "list"], { env: { ...env, EFFECT_SIGNER_PASSPHRASE: other } }),
        /keys\.json: .*passphrase/
      )
      assert.include(
        yield* refused(["keys", "list"], { env: { EFFECT_SIGNER_STORE: store } }),
        "the key store is encrypted; give --passphrase-file FILE"
      )
      yield* write("broken.json", "{}")
      assert.include(yield* refused(["keys", "list", "--store", at("broken.json")], { env }), "broken.json: ")
      assert.strictEqual(yield* refused(["keys", "list", "--store", "-"], { env }), "--store is a file")
      if (process.platform !== "win32") {
        yield* Effect.promise(() => chmod(store, 0o644))
        assert.include(yield* refused(["keys", "list"], { env }), "keys.json: ")
      }
    })
  )

  it.effect("refuses flags that make no sense, before it opens anything", () =>
    Effect.gen(function* () {
      const { env, list, write } = yield* empty
      const key = yield* write("k", "-----BEGIN PRIVATE KEY-----\n")
      for (const [args, message] of [
        [["keys", "generate", "--tag", "tenant"], "--tag is NAME=VALUE"],
        [["keys", "generate", "--tag", "=x"], "--tag is NAME=VALUE"],
        [["keys", "generate", "--tag", "a=1", "--tag", "a=2"], "--tag states the same name twice"],
        [["keys", "generate", "--alg", "none"], "--alg: "],
        [["keys", "export", "a", "--out", "-"], "--out is a file"],
        [["keys", "export", "a", "--out", "x", "--new-passphrase"], "a new passphrase is for --format encrypted-pem"],
        [["keys", "import", key], `${key}: `],
        [["keys", "import", "-", "--passphrase"], "--passphrase asks on the terminal"]
      ] as const) {
        assert.include(yield* refused(args, { env }), message)
      }
      assert.deepStrictEqual(yield* list, ["k"])
    })
  )

  it.effect("asks twice for the passphrase of a new store, once for that of an old one", () =>
    Effect.gen(function* () {
      const { at } = yield* empty
      const args = ["keys", "generate", "--store", at("new.json"), "--passphrase", "--json"]
      assert.include((yield* run(args, { typed: "one\rtwo\r" })).err, "the two passphrases differ")
      assert.strictEqual((yield* run(args, { typed: "secret words\rsecret words\r" })).exitCode, 0)
      assert.strictEqual((yield* run(args, { typed: "secret words\r" })).exitCode, 0)
    })
  )

  it.effect("its help says what it is for, and so does that of key", () =>
    Effect.gen(function* () {
      assert.include(yield* ok(["keys", "--help"]), "there is effect-signer key.")
      assert.include(yield* ok(["key", "--help"]), "there is effect-signer keys.")
      const completions = yield* Effect.promise(() => Child.run(["--completions", "bash"]))
      for (const name of ["keys", "rotate", "publish"]) assert.include(completions.out, name)
      for (const name of ["list", "show", "import", "generate", "use", "disable", "enable", "remove", "export"]) {
        assert.include(yield* ok(["keys", name, "--help"]), `effect-signer keys ${name}`)
      }
    })
  )
})
