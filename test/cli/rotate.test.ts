import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Canary from "../../src/testing/Canary.ts"
import { run, temporary } from "./support/inProcess.ts"

const passphrase = "correct horse battery staple"
const search = Canary.search([{ name: "passphrase", secret: passphrase }])

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

const policy = ["--propagation", "10 minutes", "--token-lifetime", "1 hour"]

/** What is known without the passphrase of the keys. */
interface Shown {
  readonly revision: number
  readonly active?: string
  readonly keys: ReadonlyArray<{ readonly id: string; readonly kid: string; readonly state: string }>
  readonly pending: ReadonlyArray<{
    readonly step: string
    readonly id: string
    readonly dueAt: string
    readonly isDue: boolean
  }>
  readonly moved: ReadonlyArray<{ readonly id: string; readonly from?: string; readonly to: string }>
  readonly policySeconds: { readonly [name: string]: number }
}

const json = (text: string) => JSON.parse(text) as Shown

/** A store with the keys a and b, and a rotation that does not exist yet. */
const twoKeys = Effect.gen(function* () {
  const files = yield* temporary
  const open = { EFFECT_SIGNER_ROTATION: files.at("rotation.json"), EFFECT_SIGNER_STORE: files.at("keys.json") }
  const env = { ...open, EFFECT_SIGNER_PASSPHRASE: passphrase }
  for (const id of ["a", "b"]) yield* ok(["keys", "generate", "--alg", "ES256", "--id", id], { env })
  const step = (...args: ReadonlyArray<string>) => Effect.map(ok(["rotate", ...args, "--json"], { env }), json)
  const states = Effect.map(ok(["rotate", "status", "--json"], { env: open }), (text) =>
    Object.fromEntries(json(text).keys.map(({ id, state }) => [id, state]))
  )
  const kids = Effect.flatMap(ok(["jwks", "publish", "--rotation", files.at("rotation.json")], { env: open }), (text) =>
    Effect.as(
      KeyResolver.fromJwks(text, { owner: "us" }),
      (JSON.parse(text) as { keys: ReadonlyArray<{ kid: string }> }).keys.map(({ kid }) => kid)
    )
  )
  return { ...files, env, open, step, states, kids }
})

describe("rotate", () => {
  it.effect("takes a key from its start to the end of the key before it", () =>
    Effect.gen(function* () {
      const { env, kids, modeOf, open, states, step } = yield* twoKeys
      const begun = yield* step("adopt", "a", "--kid", "kid-a", ...policy)
      assert.deepStrictEqual(
        begun.moved.map(({ from, to }) => [from, to]),
        [[undefined, "active"]]
      )
      assert.strictEqual(yield* modeOf("rotation.json"), 0o600)
      yield* step("start", "b", "--kid", "kid-b")
      assert.deepStrictEqual(yield* kids, ["kid-a"])

      const published = yield* step("advance")
      assert.deepInclude(published.moved[0], { id: "b", from: "created", to: "published" })
      assert.deepInclude(published.pending[0], { step: "Canary", id: "b", isDue: false })
      assert.deepStrictEqual(yield* kids, ["kid-a", "kid-b"])

      // 10 minutes, and by default 30 seconds, 5 minutes and 1 minute
      const waiting = yield* ok(["rotate", "advance"], { env })
      assert.strictEqual(waiting, "Canary of b is due at 1970-01-01T00:16:30.000Z, in 16m 30s\n")
      assert.strictEqual((yield* ok(["rotate", "status"], { env: open })).split("\n").at(-2), waiting.trimEnd())
      yield* TestClock.adjust("16 minutes")
      assert.deepStrictEqual((yield* step("advance")).moved, [])
      yield* TestClock.adjust("30 seconds")
      assert.include(yield* ok(["rotate", "status"], { env: open }), "Canary of b is due: effect-signer rotate advance")
      const activated = yield* step("advance")
      assert.deepStrictEqual(
        activated.moved.map(({ from, id, to }) => [id, from, to]),
        [
          ["b", "published", "canary"],
          ["a", "active", "retiring"],
          ["b", "canary", "active"]
        ]
      )
      assert.deepStrictEqual(yield* kids, ["kid-a", "kid-b"])

      yield* TestClock.adjust("2 hours")
      assert.strictEqual((yield* ok(["rotate", "advance"], { env })).split("\n")[0], "a: retiring -> retired")
      assert.deepStrictEqual(yield* kids, ["kid-b"])
      yield* TestClock.adjust("2 hours")
      yield* step("advance")
      assert.deepStrictEqual(yield* states, { a: "disabled", b: "active" })
      assert.strictEqual(
        yield* ok(["rotate", "advance"], { env }),
        "nothing is due; the next key begins with effect-signer rotate start\n"
      )
    })
  )

  it.effect("goes back to the key before, and is done with a compromised one at once", () =>
    Effect.gen(function* () {
      const { env, kids, open, states, step } = yield* twoKeys
      yield* step("adopt", "a", ...policy)
      assert.include(yield* refused(["rotate", "rollback"], { env }), "no key that signed before is still published")
      yield* step("start", "b")
      yield* step("advance")
      assert.include(yield* refused(["rotate", "disable", "b"], { env: open }), "say so with --yes")
      assert.include(
        yield* refused(["keys", "remove", "a", "--yes"], { env }),
        "the rotation needs it, as its active key; see effect-signer rotate status, or say --force"
      )
      yield* TestClock.adjust("20 minutes")
      yield* step("advance")
      assert.deepStrictEqual(yield* states, { a: "retiring", b: "active" })
      yield* step("rollback")
      assert.deepStrictEqual(yield* states, { a: "active", b: "retiring" })
      assert.include(
        yield* refused(["rotate", "disable", "b"], { env: open }),
        "tokens that it signed may be alive; wait, or say that it is compromised; wait until 1970-01-01T"
      )
      yield* ok(["rotate", "disable", "b", "--compromised"], { env: open })
      assert.deepStrictEqual(yield* states, { a: "active", b: "disabled" })
      assert.lengthOf(yield* kids, 1)
    })
  )

  it.effect("a key that does not sign does not become active", () =>
    Effect.gen(function* () {
      const { env, states, step } = yield* twoKeys
      yield* step("adopt", "a", ...policy)
      yield* step("start", "b")
      yield* step("advance")
      yield* ok(["keys", "disable", "b"], { env })
      yield* TestClock.adjust("20 minutes")
      const result = yield* run(["rotate", "advance"], { env })
      assert.strictEqual(result.exitCode, 2)
      assert.include(result.out, "b: published -> canary\n")
      assert.include(result.err, "b did not sign its challenge: ")
      assert.include(result.err, "KeyUnavailable")
      assert.deepStrictEqual(yield* states, { a: "active", b: "canary" })
      assert.include(yield* refused(["rotate", "advance"], { env }), "b did not sign its challenge")
      yield* ok(["keys", "enable", "b"], { env })
      yield* step("advance")
      assert.deepStrictEqual(yield* states, { a: "retiring", b: "active" })
    })
  )

  it.effect("keeps its numbers, and lets them rise", () =>
    Effect.gen(function* () {
      const { open, step } = yield* twoKeys
      yield* step("adopt", "a", ...policy)
      yield* step("start", "b", "--token-lifetime", "2 hours", "--propagation", "1 minute")
      const { policySeconds } = json(yield* ok(["rotate", "status", "--json"], { env: open }))
      assert.deepInclude(policySeconds, { propagation: 600, tokenLifetime: 7200, refresh: 30 })
    })
  )

  it.effect("says what is wrong, and leaves everything as it is", () =>
    Effect.gen(function* () {
      const { at, env, list, open, step, write } = yield* twoKeys
      const yet = "rotation.json: there is no rotation; effect-signer rotate adopt begins one"
      assert.include(yield* refused(["rotate", "status"], { env: open }), yet)
      assert.include(yield* refused(["rotate", "advance"], { env: open }), yet)
      assert.include(
        yield* refused(["rotate", "start", "a"], { env }),
        "rotation.json: a rotation begins here; state --propagation TIME and --token-lifetime TIME"
      )
      for (const [args, message] of [
        [["start", "c", ...policy], "KeyNotFound"],
        [["start", "a", "--propagation", "soon", "--token-lifetime", "1 hour"], "--propagation has a wrong value"],
        [
          ["start", "a", "--propagation", "1 hour", "--token-lifetime", "Infinity"],
          "--token-lifetime must be a finite time"
        ],
        [["status", "--rotation", "-"], "--rotation is a file"]
      ] as const) {
        assert.include(yield* refused(["rotate", ...args], { env }), message)
      }
      assert.deepStrictEqual(yield* list, ["keys.json"])
      yield* step("adopt", "a", ...policy)
      assert.include(yield* refused(["rotate", "adopt", "b"], { env }), "only the first key of a rotation is adopted")
      assert.include(yield* refused(["rotate", "start", "a"], { env }), "the rotation has this key")
      yield* ok(["keys", "generate", "--alg", "Ed25519", "--id", "e"], { env })
      assert.include(yield* refused(["rotate", "start", "e"], { env }), "--allow-algorithm-change")
      yield* step("start", "e", "--allow-algorithm-change")
      yield* write("broken.json", "{}")
      assert.include(yield* refused(["rotate", "status", "--rotation", at("broken.json")], { env }), "broken.json: ")
    })
  )
})

describe("jwks publish", () => {
  it.effect("writes the keys of a store that can sign, by their tags", () =>
    Effect.gen(function* () {
      const { at, env, modeOf, read, write } = yield* twoKeys
      yield* ok(["keys", "generate", "--id", "c", "--tag", "use=tokens"], { env })
      const pem = yield* ok(["keys", "show", "a", "--format", "pem"], { env })
      yield* write("w.pem", pem)
      yield* ok(["keys", "import", at("w.pem"), "--id", "w"], { env })
      const keysOf = (text: string) => (JSON.parse(text) as { keys: ReadonlyArray<Record<string, unknown>> }).keys
      const all = yield* ok(["jwks", "publish"], { env })
      yield* KeyResolver.fromJwks(all, { owner: "us" })
      assert.lengthOf(keysOf(all), 3)
      yield* ok(["keys", "disable", "b"], { env })
      assert.lengthOf(keysOf(yield* ok(["jwks", "publish"], { env })), 2)

      const flags = ["--tag", "use=tokens", "--purpose", "adcp_use=request-signing"]
      const report = JSON.parse(yield* ok(["jwks", "publish", ...flags, "--out", at("jwks.json"), "--json"], { env }))
      const [key] = keysOf(yield* read("jwks.json"))
      assert.deepInclude(key, { kty: "OKP", use: "sig", alg: "EdDSA", adcp_use: "request-signing" })
      assert.notProperty(key, "d")
      assert.deepStrictEqual(report, { jwksFile: at("jwks.json"), keys: [key!["kid"]] })
      assert.strictEqual(yield* modeOf("jwks.json"), 0o644)

      assert.include(yield* refused(["jwks", "publish", "--out", at("jwks.json")], { env }), "it exists already")
      yield* ok(["jwks", "publish", "--out", at("jwks.json"), "--force"], { env })
      assert.lengthOf(keysOf(yield* read("jwks.json")), 2)
    })
  )

  it.effect("refuses what cannot be published, and never replaces a key", () =>
    Effect.gen(function* () {
      const { at, env, list, step } = yield* twoKeys
      yield* step("adopt", "a", ...policy)
      yield* ok(["keys", "export", "a", "--yes", "--out", at("a.pem")], { env })
      yield* ok(["keys", "generate", "--store", at("other.json")], { env })
      assert.include(yield* ok(["inspect", at("other.json")]), "key store of effect-signer keys")
      const before = yield* list
      for (const [args, message] of [
        [["--out", at("a.pem"), "--force"], "this is a private key, and is not replaced"],
        [["--out", at("other.json"), "--force"], "is not replaced"],
        [["--out", at("keys.json"), "--force"], "--out is the same file as the keys"],
        [
          ["--out", at("rotation.json"), "--force", "--rotation", at("rotation.json")],
          "--out is the same file as the keys"
        ],
        [["--rotation", at("rotation.json"), "--tag", "a=b"], "leave --tag and --store out"],
        [["--rotation", at("nothing.json")], "there is no rotation"],
        [["--purpose", "adcp_use"], "--purpose is MEMBER=VALUE"],
        [["--purpose", "kid=x"], "purposeMember: must be a name"]
      ] as const) {
        assert.include(yield* refused(["jwks", "publish", ...args], { env }), message)
      }
      yield* ok(["keys", "generate", "--alg", "BIP340", "--id", "wallet"], { env })
      assert.include(yield* refused(["jwks", "publish"], { env }), "wallet: JSON Web Keys have no name for BIP340")
      assert.deepStrictEqual(yield* list, before)
    })
  )
})
