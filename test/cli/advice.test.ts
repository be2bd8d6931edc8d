/** What somebody is told who uses the command line for the first time, and takes a wrong turn. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import * as VaultEmulator from "../../src/testing/VaultEmulator.ts"
import { encryptedOpenSshKey, openSshKeys } from "../schemas/openSshKeys.ts"
import * as Child from "./support/child.ts"
import { run, temporary } from "./support/inProcess.ts"

const ok = Effect.fnUntraced(function* (...args: Parameters<typeof run>) {
  const result = yield* run(...args)
  assert.deepStrictEqual({ exitCode: result.exitCode, err: result.err }, { exitCode: 0, err: "" })
  return result.out
})

const refused = Effect.fnUntraced(function* (...args: Parameters<typeof run>) {
  const result = yield* run(...args)
  assert.deepStrictEqual({ exitCode: result.exitCode, out: result.out }, { exitCode: 2, out: "" })
  assert.match(result.err, /^effect-signer: [^\n]+\n$/)
  return result.err.slice("effect-signer: ".length, -1)
})

const json = (text: string) => JSON.parse(text) as { readonly [name: string]: unknown }

const who = ["--issuer", "https://id.example", "--audience", "api"]

/** A key, its public half, a configuration with it, and a message. */
const keys = Effect.gen(function* () {
  const files = yield* temporary
  const { at, write } = files
  yield* ok(["keygen", "--out", at("k.pem"), "--public-out", at("k.pub")])
  yield* write("message", "hello\n")
  yield* write("signer.json", JSON.stringify({ backend: "file", path: at("k.pem") }))
  return files
})

describe("a key of ssh-keygen", () => {
  it.effect.each(openSshKeys)("of $type signs, and is described", ({ file, line, type }) =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const key = yield* write("id", file)
      const pub = yield* write("id.pub", line)
      const message = yield* write("m", "message")
      const alg = type === "RSA" ? ["--alg", "RS256"] : []
      yield* ok(["sign", "--key", key, ...alg, "--out", at("sig"), message])
      assert.strictEqual(yield* ok(["verify", "--key", pub, ...alg, "--signature-file", at("sig"), message]), "valid\n")
      assert.include(yield* ok(["inspect", key]), "OpenSSH private key")
      assert.strictEqual(yield* ok(["public-key", key, "--format", "openssh"]), `${line}\n`)
    })
  )

  it.effect("that is encrypted goes to an ssh-agent", () =>
    Effect.gen(function* () {
      const { write } = yield* temporary
      const key = yield* write("id", encryptedOpenSshKey)
      const passphrase = yield* write("passphrase", "secret")
      for (const flags of [[], ["--passphrase-file", passphrase]]) {
        const sentence = yield* refused(["sign", "--key", key, ...flags, passphrase])
        assert.include(sentence, "hand it to an ssh-agent with ssh-add")
      }
    })
  )
})

describe("a token in the place of a file", () => {
  it.effect("is not repeated", () =>
    Effect.gen(function* () {
      const { at } = yield* keys
      for (const claims of [[], ["--subject", "s".repeat(300)]]) {
        const token = (yield* ok(["jwt", "sign", "--key", at("k.pem"), ...who, ...claims])).trim()
        for (const args of [
          ["jwt", "verify", "--key", at("k.pub"), ...who, token],
          ["jwt", "decode", token],
          ["jws", "verify", "--key", at("k.pub"), token],
          ["inspect", token]
        ]) {
          assert.strictEqual(yield* refused(args), "this looks like a token, not a file: write it to a file or pipe it")
        }
      }
    })
  )

  it.effect("nor is anything else that is long, or a key", () =>
    Effect.gen(function* () {
      for (const text of ['{"kty":"OKP"}', "-----BEGIN PRIVATE KEY-----", "a".repeat(300)]) {
        assert.include(yield* refused(["inspect", "--", text]), "(its name is not shown)")
      }
      const sentence = yield* refused(["inspect", "a b".repeat(200)])
      assert.match(sentence, /^(a b){26}a \.\.\.: cannot be read \(ENAMETOOLONG\)$/)
    })
  )

  it.effect("the help says that it is a file of a token", () =>
    Effect.gen(function* () {
      for (const command of ["jwt verify", "jwt decode", "jws verify"]) {
        const help = yield* ok([...command.split(" "), "--help"])
        assert.include(help, "token FILE")
        assert.notInclude(help, "message FILE")
      }
    })
  )
})

describe("jws verify without the payload", () => {
  it.effect.each(["compact", "flattened"])("of a detached %s token asks for it", (form) =>
    Effect.gen(function* () {
      const { at, write } = yield* keys
      yield* write("d", yield* ok(["jws", "sign", "--key", at("k.pem"), "--form", form, "--detached", at("message")]))
      const verify = ["jws", "verify", "--key", at("k.pub")]
      assert.strictEqual(yield* refused([...verify, at("d")]), "the payload is not in the token: give --payload FILE")
      assert.strictEqual(yield* ok([...verify, "--payload", at("message"), at("d")]), "valid\n")
      // An empty payload is one
      yield* write("empty", "")
      yield* write("e", yield* ok(["jws", "sign", "--key", at("k.pem"), "--form", form, at("empty")]))
      assert.strictEqual(yield* ok([...verify, at("e")]), "valid\n")
    })
  )
})

describe("key list and inspect", () => {
  const env = { EFFECT_SIGNER_PASSPHRASE: "one two three", EFFECT_SIGNER_NEW_PASSPHRASE: "one two three" }

  it.effect("name the same key, and an encrypted PEM is no problem", () =>
    Effect.gen(function* () {
      const { at, folder, read, write } = yield* keys
      yield* ok(["keygen", "--out", at("e.pem")], { env })
      yield* ok(["key", "import", at("k.pem"), "--out", at("z.key")], { env })
      yield* write("broken.pem", (yield* read("k.pem")).replace(/\n.{20}/, "\nAAAAAAAAAAAAAAAAAAAA"))
      const keyId = json(yield* ok(["inspect", at("k.pem"), "--json"]))["keyId"]
      const listed = json(yield* ok(["key", "list", folder, "--json"]))["keys"] as ReadonlyArray<object>
      assert.deepStrictEqual(listed.slice(1), [
        { name: "e.pem", format: "encrypted PEM", encrypted: true },
        { name: "k.pem", keyId, keyType: "Ed25519", format: "PKCS#8 PEM", encrypted: false },
        { name: "z.key", keyId, keyType: "Ed25519", format: "encrypted key file", encrypted: true }
      ])
      assert.property(listed[0], "problem")
      assert.strictEqual(json(yield* ok(["inspect", at("z.key"), "--json"]))["keyId"], keyId)
    })
  )
})

describe("keys of those who verify", () => {
  it.effect("are written as a JWK Set, which verifies", () =>
    Effect.gen(function* () {
      const { at, read, write } = yield* keys
      const set = json(yield* ok(["public-key", at("k.pem"), "--format", "jwks"]))
      const [jwk] = set["keys"] as ReadonlyArray<{ readonly [name: string]: unknown }>
      const key = yield* PublicKey.fromPem(yield* read("k.pub"))
      assert.deepStrictEqual(
        [jwk!["alg"], jwk!["use"], jwk!["kid"], jwk!["d"]],
        ["EdDSA", "sig", PublicKey.thumbprint(key), undefined]
      )
      yield* write("jwks.json", JSON.stringify(set))
      yield* write("k.jwk", JSON.stringify(jwk))
      yield* write("token", yield* ok(["jwt", "sign", "--key", at("k.pem"), ...who]))
      yield* write("token.jws", yield* ok(["jws", "sign", "--key", at("k.pem"), at("message")]))
      for (const args of [
        ["jwt", "verify", ...who, at("token")],
        ["jws", "verify", at("token.jws")]
      ]) {
        assert.strictEqual(yield* ok([...args, "--jwks", at("jwks.json")]), "valid\n")
        assert.strictEqual(yield* ok([...args, "--config", at("signer.json")]), "valid\n")
        const env = { R_SIGNER_BACKEND: "file", R_SIGNING_KEY_FILE: at("k.pem") }
        assert.strictEqual((yield* run([...args, "--signer-env", "R"], { env })).out, "valid\n")
        assert.include(yield* refused([...args, "--jwks", at("k.jwk")]), 'write it as {"keys": [JWK]}')
        assert.include(yield* refused([...args, "--config", at("signer.json"), "--key", at("k.pub")]), "once")
        assert.include(yield* refused([...args, "--config", at("signer.json"), "--alg", "Ed25519"]), "--alg goes with")
      }
    })
  )

  it.effect("of RSA have alg where it is stated", () =>
    Effect.gen(function* () {
      const { at } = yield* temporary
      yield* ok(["keygen", "--alg", "RS256", "--out", at("r.pem"), "--modulus-length", "2048"])
      const algOf = (...flags: ReadonlyArray<string>) =>
        Effect.map(ok(["public-key", at("r.pem"), "--format", "jwks", ...flags]), (text) => {
          const [jwk] = json(text)["keys"] as ReadonlyArray<{ readonly [name: string]: unknown }>
          return jwk!["alg"]
        })
      assert.deepStrictEqual([yield* algOf(), yield* algOf("--alg", "PS256")], [undefined, "PS256"])
    })
  )
})

describe("jwt sign", () => {
  it.effect("warns of what jwt verify refuses", () =>
    Effect.gen(function* () {
      const { at } = yield* keys
      const result = yield* run(["jwt", "sign", "--key", at("k.pem"), "--issuer", "i"])
      assert.strictEqual(result.exitCode, 0)
      assert.strictEqual(
        result.err,
        "warning: there is no --audience: jwt verify refuses the token unless it is told --any-audience\n"
      )
      assert.include((yield* run(["jwt", "sign", "--key", at("k.pem")])).err, "--any-issuer\n")
    })
  )
})

describe("agent", () => {
  it.live("serve prints what a shell evaluates", () =>
    Effect.gen(function* () {
      const { at } = yield* keys
      const args = ["agent", "serve", "--key", at("k.pem"), "--socket", at("s/agent"), "--comment", "$(boom)"]
      const out = yield* Effect.promise(async () => {
        let out = ""
        await Child.run(args, {
          started: (child) =>
            child.stdout!.on("data", (chunk: Buffer) => {
              out += chunk.toString()
              if (out.includes("export ") && out.endsWith("\n")) child.kill("SIGTERM")
            })
        })
        return out
      })
      const [key, variable, ...rest] = out.split("\n")
      assert.match(key!, /^# SHA256:[\w+/]{43} \$\(boom\) \(Ed25519\)$/)
      assert.strictEqual(variable, `export SSH_AUTH_SOCK=${at("s/agent")}`)
      assert.deepStrictEqual(rest, [""])
    })
  )

  it.effect("says that a variable is empty, not that it is missing", () =>
    Effect.gen(function* () {
      const { at } = yield* keys
      assert.include(
        yield* refused(["agent", "serve", "--key", at("k.pem")], { env: { XDG_RUNTIME_DIR: "" } }),
        "XDG_RUNTIME_DIR is empty"
      )
      assert.include(yield* refused(["agent", "list"], { env: { SSH_AUTH_SOCK: "" } }), "SSH_AUTH_SOCK is empty")
      assert.include(yield* refused(["agent", "list"]), "SSH_AUTH_SOCK is not set")
    })
  )
})

describe("a key in the form of another SSH program", () => {
  it.effect("is advised in words of a shell", () =>
    Effect.gen(function* () {
      const { write } = yield* temporary
      const key = yield* write("k", "-----BEGIN SSH2 PUBLIC KEY-----\nAAAA\n-----END SSH2 PUBLIC KEY-----\n")
      const sentence = yield* refused(["public-key", key])
      assert.include(sentence, "ssh-keygen -i -f FILE")
      assert.notMatch(sentence, /from[A-Z]/)
    })
  )
})

describe("check", () => {
  it.effect("says what the error knows: the address, the key, and what the backend answered", () =>
    Effect.gen(function* () {
      const { write } = yield* temporary
      const token = "hvs.secret-of-this-test"
      const server = yield* VaultEmulator.make()
      const failed = Effect.fnUntraced(function* (config: object) {
        const path = yield* write(
          "v.json",
          JSON.stringify({ backend: "vault", token, resilience: { times: 0 }, ...config })
        )
        const result = yield* run(["check", "--config", path])
        assert.deepStrictEqual([result.exitCode, result.err], [2, ""])
        assert.notInclude(result.out, token)
        return result.out
      })
      const nobody = yield* failed({ url: "http://127.0.0.1:1", key: "release" })
      assert.match(nobody, /BackendUnavailable: .*127\.0\.0\.1:1.*release.*; it may succeed later\n$/)
      assert.notInclude(nobody, "Retryable")
      const refused = yield* failed({ url: server.url, key: "release" })
      assert.match(refused, /AuthenticationFailed: .*\(key .*release, status 403\)\n$/)
      const absent = yield* failed({ url: server.url, key: "nope", token: Redacted.value(server.connection.token) })
      assert.match(absent, /KeyNotFound: .*nope \(status 404\)\n$/)
    })
  )
})

describe("files that are written", () => {
  it.effect("have a folder, and the help names the encrypted key file", () =>
    Effect.gen(function* () {
      const { at } = yield* keys
      for (const force of [[], ["--force"]]) {
        assert.strictEqual(
          yield* refused(["sign", "--key", at("k.pem"), "--out", at("no/x"), ...force, at("message")]),
          `the folder ${at("no")} does not exist`
        )
      }
      for (const command of [["sign"], ["jws", "sign"], ["jwt", "sign"], ["agent", "serve"]]) {
        assert.include(yield* ok([...command, "--help"]), "encrypted key file")
      }
    })
  )
})
