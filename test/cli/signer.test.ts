/** Commands with a signer from a configuration, against an emulator. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as Canary from "../../src/testing/Canary.ts"
import * as VaultEmulator from "../../src/testing/VaultEmulator.ts"
import { run, temporary } from "./support/inProcess.ts"

/** A Vault with a key, and a file that says how to reach it. Its token is in a variable. */
const prepared = Effect.gen(function* () {
  const vault = yield* VaultEmulator.make()
  const key = yield* vault.createKey("release", "ed25519")
  const folder = yield* temporary
  const token = Redacted.value(vault.connection.token)
  const env = { TOKEN: token }
  const config = { backend: "vault", url: vault.url, token: { env: "TOKEN" }, key: "release", resilience: { times: 0 } }
  const path = yield* folder.write("signer.json", JSON.stringify(config))
  yield* folder.write("m", "message")
  return { ...folder, config, env, key, path, token, vault }
})

const errorOf = ({ err }: { readonly err: string }) => err.replace("effect-signer: ", "").trimEnd()

describe("--config and --signer-env", () => {
  it.live("sign, verify and public-key take any backend", () =>
    Effect.gen(function* () {
      const { at, env, path, token, vault } = yield* prepared
      const common = { env }
      const signed = yield* run(["sign", "--config", path, at("m"), "--out", at("s")], common)
      assert.deepStrictEqual([signed.exitCode, signed.err], [0, ""])
      assert.include(signed.out, "transit/keys/release")
      const verify = (...more: ReadonlyArray<string>) => run(["verify", "-s", at("s"), ...more], common)
      assert.strictEqual((yield* verify("--config", path, at("m"))).out, "valid\n")
      assert.strictEqual((yield* verify("--config", path, at("signer.json"))).exitCode, 1)

      const key = yield* run(["public-key", "--config", path], common)
      assert.include(key.out, "-----BEGIN PUBLIC KEY-----")
      const fromEnvironment = yield* run(["public-key", "--signer-env", "RELEASE"], {
        env: {
          RELEASE_SIGNER_BACKEND: "vault",
          RELEASE_VAULT_ADDR: vault.url,
          RELEASE_VAULT_TOKEN: token,
          RELEASE_A1_VAULT_KEY: "release"
        }
      })
      assert.strictEqual(fromEnvironment.out, key.out)
      const withoutPrefix = yield* run(["public-key", "--signer-env", "-"], {
        env: { SIGNER_BACKEND: "vault", VAULT_ADDR: vault.url, VAULT_TOKEN: token, A1_VAULT_KEY: "release" }
      })
      assert.strictEqual(withoutPrefix.out, key.out)
    }).pipe(Effect.scoped)
  )

  it.live("verify takes the key of the version that signed, which the JSON form names", () =>
    Effect.gen(function* () {
      const { at, env, key, path, vault, write } = yield* prepared
      const { out } = yield* run(["sign", "--config", path, "--json", at("m")], { env })
      yield* write("s.json", out)
      yield* vault.rotate(key)
      const { out: later } = yield* run(["sign", "--config", path, "--json", at("m")], { env })
      assert.strictEqual((JSON.parse(later) as { keyVersion: string }).keyVersion, "2")
      const verified = yield* run(["verify", "--config", path, "-s", at("s.json"), at("m")], { env })
      assert.deepStrictEqual([verified.exitCode, verified.out], [0, "valid\n"])
    }).pipe(Effect.scoped)
  )

  it.live("say everything that is wrong in one line, and no secret", () =>
    Effect.gen(function* () {
      const { at, config, env, token, write } = yield* prepared
      const wrong = yield* write("wrong.json", JSON.stringify({ ...config, url: "ftp://x", keyy: 1, pin: token }))
      const sign = (...args: ReadonlyArray<string>) => run(["sign", ...args, at("m")], { env })
      const mistakes = yield* sign("--config", wrong)
      assert.strictEqual(mistakes.exitCode, 2)
      assert.strictEqual(
        errorOf(mistakes),
        `${wrong}: keyy: no backend knows this field; did you mean key?; pin: has no effect with this backend, and is ` +
          "for pkcs11; leave it out; url: must be an http or https URL"
      )
      const json = yield* sign("--config", wrong, "--json")
      assert.strictEqual((JSON.parse(json.err) as { error: { tag: string } }).error.tag, "SignerConfigError")
      const unset = yield* run(["sign", "--config", at("signer.json"), at("m")])
      assert.include(unset.err, "token.env: the variable is not set")
      const garbage = yield* write("garbage.json", `{ "token": ${token}`)
      const broken = yield* sign("--config", garbage)
      const shown = [mistakes, json, unset, broken].map(({ err, out }) => err + out).join("\n")
      assert.isUndefined(Canary.search([{ name: "token", secret: token }])(shown))
      assert.include(broken.err, "the configuration: it is not JSON")
      assert.include((yield* sign("--signer-env", "RELEASE")).err, "RELEASE_SIGNER_BACKEND: is missing")
      assert.include((yield* sign("--signer-env", "a b")).err, "prefix: must be letters, digits and _")
    }).pipe(Effect.scoped)
  )

  it.live("name the option of the configuration, and no flag", () =>
    Effect.gen(function* () {
      const { at, config, env, vault, write } = yield* prepared
      yield* vault.createKey("rsa", "rsa-2048")
      const path = yield* write("rsa.json", JSON.stringify({ ...config, key: "rsa" }))
      const { err, exitCode } = yield* run(["sign", "--config", path, at("m")], { env })
      assert.strictEqual(exitCode, 2)
      assert.match(err, /^effect-signer: vault\.\w+: InvalidConfiguration: algorithm: .*state one of PS256, /)
    }).pipe(Effect.scoped)
  )

  it.live("warn of what has no effect", () =>
    Effect.gen(function* () {
      const { at, config, env, write } = yield* prepared
      const path = yield* write("more.json", JSON.stringify({ ...config, region: "eu" }))
      const { err, exitCode } = yield* run(["sign", "--config", path, at("m")], { env })
      assert.deepStrictEqual([exitCode, err], [0, "warning: region in the configuration: no effect with vault\n"])
    }).pipe(Effect.scoped)
  )

  it.live("go with no key, with each other, and with no flag of keys", () =>
    Effect.gen(function* () {
      const { at, env, path } = yield* prepared
      const error = (...args: ReadonlyArray<string>) => Effect.map(run(args, { env }), errorOf)
      const one = "state --key FILE, --config FILE or --signer-env PREFIX"
      assert.strictEqual(yield* error("sign", at("m")), one)
      assert.strictEqual(yield* error("sign", at("m"), "--config", path, "--key", "k"), `${one}; only one of them`)
      assert.strictEqual(
        yield* error("verify", at("m"), "--signature", "AA", "--config", path, "--key", "k"),
        `${one}; only one of them`
      )
      assert.strictEqual(yield* error("public-key"), "state a key FILE, --config FILE or --signer-env PREFIX")
      assert.strictEqual(yield* error("check"), "state --config FILE or --signer-env PREFIX")
      const flag = (name: string) => `${name} goes with a key in a file; a signer has it in its configuration`
      assert.strictEqual(yield* error("sign", at("m"), "-c", path, "--alg", "ES256"), flag("--alg"))
      assert.strictEqual(yield* error("sign", at("m"), "-c", path, "--passphrase-file", "p"), flag("--passphrase-file"))
      assert.strictEqual(yield* error("public-key", "-c", path, "--passphrase"), flag("--passphrase"))
      assert.strictEqual(
        yield* error("sign", "-c", "-"),
        "only one of the inputs can be standard input; name a file for the others"
      )
      assert.strictEqual(
        yield* error("sign", "-c", path, at("m"), "--out", path, "--force"),
        "--out is the same file as --config, and would destroy it; name another file"
      )
    }).pipe(Effect.scoped)
  )
})

describe("check", () => {
  it.live("reports each step", () =>
    Effect.gen(function* () {
      const { env, path } = yield* prepared
      const { err, exitCode, out } = yield* run(["check", "--config", path], { env })
      assert.deepStrictEqual([exitCode, err], [0, ""])
      assert.match(
        out,
        /^ok +configuration: vault\nok +signer: +Ed25519 transit\/keys\/release\nok +public key: +Ed25519 [0-9a-f]{16}\nok +signature: +64 bytes, version 1\nok +verification: +valid\n$/
      )
      const json = yield* run(["check", "--config", path, "--json"], { env })
      const report = JSON.parse(json.out) as { ok: boolean; steps: ReadonlyArray<{ step: string; ok: boolean }> }
      assert.isTrue(report.ok)
      assert.deepStrictEqual(
        report.steps.map(({ ok, step }) => [step, ok]),
        ["configuration", "signer", "public key", "signature", "verification"].map((step) => [step, true])
      )
    }).pipe(Effect.scoped)
  )

  it.live("shows a name so that a terminal does not obey it", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      yield* run(["keygen", "--out", at("k")])
      const local = { backend: "local", pem: { file: at("k") }, keyId: "a\u001b[2Jb\nok    verification:  valid" }
      const { out } = yield* run(["check", "--config", yield* write("signer.json", JSON.stringify(local))])
      assert.lengthOf(out.trimEnd().split("\n"), 5)
      assert.match(out, /^[\n\u0020-\u007e]+$/)
    }).pipe(Effect.scoped)
  )

  it.live("ends at the first step that fails, with 2 and no secret", () =>
    Effect.gen(function* () {
      const { config, env, path, token, vault, write } = yield* prepared
      const failing = (args: ReadonlyArray<string>, prepare: Effect.Effect<unknown>) =>
        Effect.gen(function* () {
          yield* prepare
          const { err, exitCode, out } = yield* run(["check", "--json", ...args], { env })
          assert.deepStrictEqual([exitCode, err], [2, ""])
          assert.isUndefined(Canary.search([{ name: "token", secret: token }])(out))
          const { ok, steps } = JSON.parse(out) as {
            ok: boolean
            steps: ReadonlyArray<{ step: string; ok: boolean; error?: string }>
          }
          assert.isFalse(ok)
          assert.isTrue(steps.slice(0, -1).every(({ ok }) => ok))
          return [steps.at(-1)!.step, steps.at(-1)!.error]
        })
      const absent = yield* write("absent.json", JSON.stringify({ ...config, key: "absent" }))
      const wrong = yield* write("wrong.json", JSON.stringify({ ...config, key: "" }))
      const configs = (file: string) => ["--config", file]
      assert.deepStrictEqual(yield* failing(configs(wrong), Effect.void), ["configuration", "SignerConfigError"])
      assert.deepStrictEqual(yield* failing(configs(absent), Effect.void), ["signer", "KeyNotFound"])
      assert.deepStrictEqual(yield* failing(configs(path), vault.deny("sign")), ["signature", "PermissionDenied"])
      const wrongly = vault.sign.push(VaultEmulator.Fault.corruptedSignature)
      assert.deepStrictEqual(yield* failing(configs(path), Effect.andThen(vault.allow("sign"), wrongly)), [
        "signature",
        "InvalidResponse"
      ])
      assert.deepStrictEqual(yield* failing(["--signer-env", "NONE"], Effect.void), [
        "configuration",
        "SignerConfigError"
      ])
    }).pipe(Effect.scoped)
  )
})
