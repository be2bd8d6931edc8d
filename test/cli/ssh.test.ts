import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { lstat, readdir } from "node:fs/promises"
import * as SshAgentSigner from "../../src/layers/SshAgentSigner.ts"
import { message, vectors } from "../protocols/sshsigVectors.ts"
import { run, temporary } from "./support/inProcess.ts"

const ok = Effect.fnUntraced(function* (...args: Parameters<typeof run>) {
  const result = yield* run(...args)
  assert.deepStrictEqual({ exitCode: result.exitCode, err: result.err }, { exitCode: 0, err: "" })
  return result
})

const refused = Effect.fnUntraced(function* (...args: Parameters<typeof run>) {
  const result = yield* run(...args)
  assert.deepStrictEqual({ exitCode: result.exitCode, out: result.out }, { exitCode: 2, out: "" })
  assert.match(result.err, /^effect-signer: [^\n]+\n$/)
  return result.err
})

const listening = (socket: string) =>
  Effect.promise(async () => {
    while (!(await lstat(socket).catch(() => undefined))) await new Promise((resolve) => setTimeout(resolve, 5))
  })

/** Keys in files, an agent over them until the scope is closed, and its socket. */
const serving = Effect.fnUntraced(function* (...flags: ReadonlyArray<string>) {
  const files = yield* temporary
  yield* ok(["keygen", "--out", files.at("ed.pem")])
  yield* ok(["keygen", "--alg", "RS256", "--modulus-length", "2048", "--out", files.at("rsa.pem")])
  const socket = files.at("s/agent")
  const keys = ["--key", files.at("ed.pem"), "--key", files.at("rsa.pem")]
  const fiber = yield* Effect.forkScoped(run(["agent", "serve", ...keys, "--socket", socket, ...flags]))
  yield* listening(socket)
  return { ...files, socket, fiber }
})

describe("agent", () => {
  it.effect("serve offers keys from files until it is interrupted; list shows them", () =>
    Effect.gen(function* () {
      const { at, fiber, socket } = yield* serving("--comment", "release")
      const { out } = yield* ok(["agent", "list"], { env: { SSH_AUTH_SOCK: socket } })
      assert.match(out, /^SHA256:[\w+/]{43} release \(Ed25519\)\nSHA256:[\w+/]{43} release \(RS256 or RS512\)\n$/)
      const json = JSON.parse((yield* ok(["agent", "list", "--socket", socket, "--json"])).out) as {
        readonly keys: ReadonlyArray<{ readonly type: string }>
      }
      assert.deepStrictEqual(
        json.keys.map(({ type }) => type),
        ["ssh-ed25519", "ssh-rsa"]
      )
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(at("s"))), [])
    })
  )

  it.effect("serve offers the key of a configuration, and sign takes one of an agent", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      yield* ok(["keygen", "--out", at("k.pem"), "--public-out", at("k.pub")])
      const socket = at("s/agent")
      const served = yield* write("served.json", JSON.stringify({ backend: "local", pem: { file: at("k.pem") } }))
      yield* Effect.forkScoped(run(["agent", "serve", "--config", served, "--comment", "release", "--socket", socket]))
      yield* listening(socket)
      const config = yield* write(
        "c.json",
        JSON.stringify({ backend: "ssh-agent", key: { comment: "release" }, socket })
      )
      yield* ok(["sign", "--config", config, "--out", at("m.sig")], { stdin: message })
      const args = ["verify", "--key", at("k.pub"), "--signature-file", at("m.sig")]
      assert.strictEqual((yield* ok(args, { stdin: message })).out, "valid\n")
      const sshsig = yield* ok(["sshsig", "sign", "--config", config], { stdin: message })
      yield* write("m.sshsig", sshsig.out)
      yield* ok(["sshsig", "verify", "--key", at("k.pub"), "-s", at("m.sshsig")], { stdin: message })
    })
  )

  it.effect("serve signs what its flags allow", () =>
    Effect.gen(function* () {
      const { socket } = yield* serving("--only-namespace", "git", "--no-login")
      const [key] = yield* SshAgentSigner.list({ socket })
      const signer = yield* SshAgentSigner.make({ socket, key: { publicKey: key!.publicKey! } })
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "PermissionDenied")
    })
  )

  it.effect("serve refuses keys that SSH does not have, and says what is missing", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      yield* ok(["keygen", "--alg", "ES256K", "--out", at("k.pem")])
      const socket = ["--socket", at("agent")]
      assert.include(yield* refused(["agent", "serve", "--key", at("k.pem"), ...socket]), "SSH has no secp256k1 keys")
      assert.include(yield* refused(["agent", "serve", ...socket]), "there is no key to serve")
      assert.include(yield* refused(["agent", "serve", "--key", at("k.pem")]), "--socket PATH")
      yield* ok(["keygen", "--out", at("ed.pem")])
      const taken = yield* write("taken", "a file")
      assert.include(
        yield* refused(["agent", "serve", "--key", at("ed.pem"), "--socket", taken]),
        "socket: there is a file of this name"
      )
    })
  )

  it.effect("list says where no agent is", () =>
    Effect.gen(function* () {
      const { at } = yield* temporary
      assert.include(yield* refused(["agent", "list"]), "SSH_AUTH_SOCK is not set")
      assert.include(yield* refused(["agent", "list", "--socket", at("none")]), "BackendUnavailable")
    })
  )

  it.effect("has help for each of its commands, and none alone is an error", () =>
    Effect.gen(function* () {
      for (const args of [
        ["agent", "--help"],
        ["agent", "serve", "--help"],
        ["sshsig", "verify", "-h"],
        ["help", "sshsig", "sign"]
      ]) {
        assert.include((yield* ok(args)).out, "USAGE")
      }
      assert.strictEqual((yield* run(["agent"])).exitCode, 2)
      // in a script, `--help` among other words must not end with 0
      assert.strictEqual((yield* run(["sshsig", "verify", "message", "--help"])).exitCode, 2)
    })
  )
})

describe("sshsig", () => {
  it.effect("signs and verifies, with a key and with allowed signers", () =>
    Effect.gen(function* () {
      const { at, modeOf, write } = yield* temporary
      yield* ok(["keygen", "--out", at("k.pem"), "--public-out", at("k.pub")])
      const file = yield* write("m", "hello")
      yield* ok(["sshsig", "sign", "--key", at("k.pem"), file, "--out", at("m.sig")])
      assert.strictEqual(yield* modeOf("m.sig"), 0o644 & ~process.umask())
      const stdout = yield* ok(["sshsig", "sign", "--key", at("k.pem"), file, "--hash", "sha256"])
      assert.match(stdout.out, /^-----BEGIN SSH SIGNATURE-----\n/)
      const verify = (...flags: ReadonlyArray<string>) => run(["sshsig", "verify", "-s", at("m.sig"), file, ...flags])
      const line = (yield* ok(["public-key", at("k.pem"), "--format", "openssh"])).out
      const allowed = yield* write("allowed", `*@example.com ${line}`)
      for (const [flags, exitCode, out] of [
        [["--key", at("k.pub")], 0, "valid\n"],
        [["--key", at("k.pub"), "--namespace", "git"], 1, "invalid\n"],
        [["--allowed-signers", allowed, "--principal", "me@example.com"], 0, "valid\n"],
        [["--allowed-signers", allowed, "--principal", "me@example.org"], 1, "invalid\n"]
      ] as const) {
        const result = yield* verify(...flags)
        assert.deepStrictEqual([result.exitCode, result.out, result.err], [exitCode, out, ""])
      }
      const other = yield* run(["sshsig", "verify", "-s", at("m.sig"), "--key", at("k.pub"), "--json"], {
        stdin: "other"
      })
      assert.strictEqual(other.exitCode, 1)
      assert.strictEqual((JSON.parse(other.out) as { readonly valid: boolean }).valid, false)
    })
  )

  it.effect.each(vectors)("verifies $algorithm of ssh-keygen", ({ line, namespace, signature }) =>
    Effect.gen(function* () {
      const { write } = yield* temporary
      const key = yield* write("k.pub", `${line}\n`)
      const file = yield* write("m.sig", signature)
      const args = ["sshsig", "verify", "--key", key, "-s", file, "-n", namespace]
      assert.strictEqual((yield* ok(args, { stdin: message })).out, "valid\n")
    })
  )

  it.effect("refuses what it cannot read or was not told, with exit code 2", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      yield* ok(["keygen", "--out", at("k.pem"), "--public-out", at("k.pub")])
      const file = yield* write("m", "hello")
      assert.include(
        yield* refused(["sshsig", "verify", "-s", file, "--key", at("k.pub"), file]),
        "sshsig: expected one"
      )
      assert.include(yield* refused(["sshsig", "verify", "-s", file, file]), "state --key FILE, or")
      assert.include(
        yield* refused(["sshsig", "verify", "-s", file, "--allowed-signers", file, "--principal", "me", file]),
        "line 1"
      )
      assert.include(yield* refused(["sshsig", "verify", "-s", file, "--allowed-signers", file, file]), "--principal")
      assert.include(yield* refused(["sshsig", "sign", file]), "--key FILE")
      assert.include(yield* refused(["sshsig", "sign", "--key", at("k.pem"), "--namespace", "", file]), "namespace")
      yield* ok(["keygen", "--alg", "ES256K", "--out", at("k256.pem")])
      assert.include(yield* refused(["sshsig", "sign", "--key", at("k256.pem"), file]), "ES256K")
    })
  )
})
