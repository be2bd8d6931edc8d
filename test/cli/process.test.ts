import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { cp, readFile, writeFile } from "node:fs/promises"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import * as Child from "./support/child.ts"
import * as InProcess from "./support/inProcess.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))

const child = (...args: Parameters<typeof Child.run>) => Effect.promise(() => Child.run(...args))

const hasPython = spawnSync("python3", ["--version"]).status === 0

const commands = ["demo", "keygen", "sign", "verify", "public-key", "inspect", "check", "emulate"]

describe("effect-signer, as a process", () => {
  it.live("signs and verifies, and answers with exit codes", () =>
    Effect.gen(function* () {
      const { folder, list, modeOf, write } = yield* InProcess.temporary
      const options = { cwd: folder }
      yield* write("m", "message")
      yield* write("t", "messagE")
      const made = yield* child(["keygen", "--out", "k", "--public-out", "p"], options)
      assert.deepStrictEqual([made.exitCode, made.err], [0, ""])
      assert.strictEqual(yield* modeOf("k"), 0o600)
      const signed = yield* child(["sign", "--key", "k", "--out", "s", "m"], options)
      assert.deepStrictEqual([signed.exitCode, signed.err], [0, ""])
      const verify = (key: string, message: string) =>
        Effect.map(child(["verify", "--key", key, "-s", "s", message], options), ({ err, exitCode, out }) => [
          exitCode,
          out,
          err
        ])
      const [valid, tampered, absent, again] = yield* Effect.all(
        [verify("p", "m"), verify("p", "t"), verify("p", "absent"), child(["keygen", "--out", "k"], options)],
        { concurrency: 2 }
      )
      assert.deepStrictEqual(valid, [0, "valid\n", ""])
      assert.deepStrictEqual(tampered, [1, "invalid\n", ""])
      assert.deepStrictEqual(absent, [2, "", "effect-signer: absent: no such file or folder\n"])
      assert.deepStrictEqual(
        [again.exitCode, again.out, again.err],
        [2, "", "effect-signer: k: it exists already, and is not overwritten\n"]
      )
      assert.deepStrictEqual(yield* list, ["k", "m", "p", "s", "t"])
    })
  )

  it.live("takes large binary messages from a pipe, and writes exact bytes into one", () =>
    Effect.gen(function* () {
      const { at, write } = yield* InProcess.temporary
      const message = new Uint8Array(randomBytes(8 * 1024 * 1024))
      yield* write("m", message)
      yield* InProcess.run(["keygen", "--out", at("k"), "--public-out", at("p")])
      const { stdout } = yield* child(["sign", "--key", at("k"), "-e", "raw"], { stdin: message })
      assert.strictEqual(stdout.length, 64)
      const inProcess = yield* InProcess.run(["sign", "--key", at("k"), "-e", "raw", at("m")])
      assert.deepStrictEqual(new Uint8Array(stdout), inProcess.stdout)
      yield* write("s", new Uint8Array(stdout))
      const verify = ["verify", "--key", at("p"), "-e", "raw", "-s", at("s")]
      assert.strictEqual((yield* child(verify, { stdin: message })).exitCode, 0)
      assert.strictEqual((yield* child(verify, { stdin: message.subarray(1) })).exitCode, 1)
    })
  )

  it.live("reads the passphrase from the environment, where empty is not absent", () =>
    Effect.gen(function* () {
      const { at, list, read } = yield* InProcess.temporary
      const keygen = (EFFECT_SIGNER_PASSPHRASE: string) =>
        child(["keygen", "--out", at("k")], { env: { EFFECT_SIGNER_PASSPHRASE } })
      assert.strictEqual((yield* keygen("")).exitCode, 2)
      assert.deepStrictEqual(yield* list, [])
      assert.strictEqual((yield* keygen("correct horse")).exitCode, 0)
      assert.include(yield* read("k"), "ENCRYPTED")
    })
  )

  it.live("explains itself: every command, with examples", () =>
    Effect.gen(function* () {
      const [help, ...ofCommands] = yield* Effect.forEach(
        [[], ...commands.map((command) => [command])],
        (path) => child([...path, "--help"]),
        { concurrency: 2 }
      )
      for (const { err, exitCode, out } of [help!, ...ofCommands]) {
        assert.deepStrictEqual([exitCode, err], [0, ""])
        assert.notInclude(out, "\u001b")
        for (const section of ["DESCRIPTION\n", "USAGE\n  effect-signer ", "GLOBAL FLAGS\n", "--json "]) {
          assert.include(out, section)
        }
      }
      for (const command of commands) assert.match(help!.out, new RegExp(`^ {2}${command} {2,}[A-Z]`, "m"))
      for (const { out } of ofCommands.slice(1)) assert.match(out, /EXAMPLES\n {2}# [A-Z].*\n {2}\S/)
    })
  )

  it.live("says its version, and that a command is missing", () =>
    Effect.gen(function* () {
      const { version } = JSON.parse(yield* Effect.promise(() => readFile(`${root}package.json`, "utf8"))) as {
        version: string
      }
      const [text, json, bare, bareJson] = yield* Effect.all(
        [child(["--version"]), child(["--version", "--json"]), child([]), child(["--json"])],
        { concurrency: 2 }
      )
      assert.strictEqual(text.out, `effect-signer ${version}\n`)
      assert.deepStrictEqual(JSON.parse(json.out), { version })
      assert.deepStrictEqual([bare.exitCode, bare.out], [2, ""])
      assert.include(bare.err, "USAGE")
      assert.deepStrictEqual([bareJson.exitCode, bareJson.out], [2, ""])
      assert.strictEqual((JSON.parse(bareJson.err) as { error: { tag: string } }).error.tag, "UsageError")
    })
  )

  it.live("ends in a sentence where nobody reads its output any more", () =>
    Effect.gen(function* () {
      const { at } = yield* InProcess.temporary
      yield* InProcess.run(["keygen", "--out", at("k")])
      const { err, exitCode } = yield* child(["public-key", at("k"), "-f", "all"], {
        started: ({ stdout }) => stdout?.destroy()
      })
      assert.deepStrictEqual([exitCode, err], [2, "effect-signer: cannot write: the output is closed\n"])
    })
  )

  // oxlint-disable-next-line no-restricted-properties -- python3, which has a pseudo terminal, is not on this machine
  const terminal = hasPython ? it.live : it.live.skip
  terminal(
    `asks on a real terminal${hasPython ? "" : " (python3, which has one, is not installed)"}, without showing what is typed`,
    () =>
      Effect.gen(function* () {
        const { at, write } = yield* InProcess.temporary
        const passphrase = "correct-horse"
        yield* write("m", "message")
        const env = { EFFECT_SIGNER_PASSPHRASE: passphrase }
        yield* InProcess.run(["keygen", "--out", at("k")], { env })
        const expected = (yield* InProcess.run(["sign", "--key", at("k"), at("m")], { env })).out
        const shown = yield* Effect.promise(() =>
          onTerminal(["sign", "--key", at("k"), "--passphrase", at("m")], `${passphrase}\r`)
        )
        assert.include(shown, "Passphrase")
        assert.include(shown, expected.trim())
        assert.notInclude(shown, passphrase)
      })
  )
})

/** Python has a pseudo terminal in its standard library; Node has none. */
const python = `
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b""
typed = False
while True:
    if select.select([fd], [], [], 20)[0] == []:
        break
    try:
        chunk = os.read(fd, 4096)
    except OSError:
        break
    if chunk == b"":
        break
    shown += chunk
    if not typed and b"Passphrase" in shown:
        typed = True
        time.sleep(0.2)
        os.write(fd, sys.argv[1].encode())
os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
`

const onTerminal = async (args: ReadonlyArray<string>, typed: string): Promise<string> => {
  const command = [process.execPath, "--conditions=effect-signer-source", Child.bin, ...args]
  const { error, stderr, stdout } = spawnSync("python3", ["-c", python, typed, ...command], { timeout: 30_000 })
  if (error !== undefined) throw error
  assert.strictEqual(stderr.toString(), "")
  return stdout.toString()
}

describe("demo", () => {
  it.live("shows it all in seconds, with commands that work, and cleans up", () =>
    Effect.gen(function* () {
      const { at, folder, list, write } = yield* InProcess.temporary
      const start = performance.now()
      const { err, exitCode, out } = yield* child(["demo"], { env: { TMPDIR: folder } })
      assert.isBelow(performance.now() - start, 5000)
      assert.deepStrictEqual([exitCode, err], [0, ""])
      assert.deepStrictEqual(yield* list, [])
      assert.notInclude(out, "\u001b")
      assert.notInclude(out, folder)
      assert.match(out, /\n {3}valid\n[\s\S]*\n {3}invalid\n/)
      // typed one after the other in a folder, they do what was shown
      const typed = [...out.matchAll(/^ {3}\$ effect-signer (.*)$/gm)].map(([, command]) => command!.split(" "))
      assert.strictEqual(typed.length, 5)
      yield* write("release.txt", "a release\n")
      const exitCodes: Array<number | null> = []
      for (const [index, args] of typed.entries()) {
        if (index === 3) yield* Effect.promise(() => writeFile(at("release.txt"), "b release\n"))
        exitCodes.push((yield* child(args, { cwd: folder })).exitCode)
      }
      assert.deepStrictEqual(exitCodes, [0, 0, 0, 1, 0])
    })
  )

  it.live("is coloured where that is wanted, and speaks JSON", () =>
    Effect.gen(function* () {
      const [forced, refused, json, encrypted] = yield* Effect.all(
        [
          child(["demo"], { env: { FORCE_COLOR: "1" } }),
          child(["demo"], { env: { FORCE_COLOR: "1", NO_COLOR: "1" } }),
          child(["demo", "--json"]),
          child(["demo"], { env: { EFFECT_SIGNER_PASSPHRASE: "correct horse" } })
        ],
        { concurrency: 2 }
      )
      assert.include(forced.out, "\u001b[32mvalid\u001b[0m")
      assert.notInclude(refused.out, "\u001b")
      const { steps } = JSON.parse(json.out) as { steps: ReadonlyArray<Record<string, unknown>> }
      assert.deepStrictEqual(
        steps.map(({ exitCode }) => exitCode),
        [0, 0, 0, 1, 0]
      )
      assert.deepStrictEqual(Object.keys(steps[0]!), ["command", "exitCode", "output"])
      assert.include(encrypted.out, "encrypted:        no") // the environment is not part of the demonstration
    })
  )
})

describe("interruption", () => {
  it.live.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("%s ends it at once, and leaves no file", (signal) =>
    Effect.gen(function* () {
      const { at, list } = yield* InProcess.temporary
      let sent = 0
      // minutes of work in another thread
      const result = yield* child(["keygen", "--alg", "PS256", "--modulus-length", "16384", "--out", at("k")], {
        started: (child) =>
          void sleep(1500).then(() => {
            sent = performance.now()
            child.kill(signal)
          })
      })
      assert.isBelow(performance.now() - sent, 3000)
      assert.deepStrictEqual([result.signal, result.out, result.err], [signal, "", ""])
      assert.deepStrictEqual(yield* list, [])
    })
  )

  it.live("a kill at any moment leaves no file of a key, or a whole one", () =>
    Effect.gen(function* () {
      const { at, list, modeOf } = yield* InProcess.temporary
      const start = performance.now()
      yield* child(["keygen", "--out", at("measured")])
      const whole = performance.now() - start
      const killed = yield* Effect.forEach(
        Array.from({ length: 10 }, (_, i) => i),
        (i) =>
          child(["keygen", "--out", at(`k${i}`)], {
            // one at the start, and most towards the end: until then it is only starting
            started: (child) => void sleep(whole * (i === 0 ? 0.1 : 0.55 + i * 0.05)).then(() => child.kill("SIGKILL"))
          }),
        { concurrency: 1 }
      )
      assert.isTrue(killed.some(({ signal }) => signal === "SIGKILL"))
      for (const name of yield* list) {
        assert.strictEqual(yield* modeOf(name), 0o600)
        if (name.startsWith(".")) continue // a temporary file, which nobody takes for a key
        const { exitCode } = yield* InProcess.run(["public-key", at(name)])
        assert.strictEqual(exitCode, 0, name)
      }
    })
  )
})

describe("bin", () => {
  it.live("names the package to install where it is missing", () =>
    Effect.gen(function* () {
      const { at, folder } = yield* InProcess.temporary
      yield* Effect.promise(() => cp(`${root}src`, at("src"), { recursive: true }))
      yield* Effect.promise(() => cp(`${root}package.json`, at("package.json")))
      const { err, exitCode, out } = yield* child(["demo"], { bin: `${folder}/src/cli/bin.ts` })
      assert.deepStrictEqual([exitCode, out], [2, ""])
      assert.strictEqual(
        err,
        "effect-signer: the package @effect/platform-node-shared is not installed; the command line needs: " +
          "npm install effect @effect/platform-node-shared\n"
      )
    })
  )

  it.live.each(["20.20.2", "22.18.0"])("says that Node %s is too old", (version) =>
    Effect.gen(function* () {
      const versions = `{ ...process.versions, node: "${version}" }`
      const code = `Object.defineProperty(process, "versions", { value: ${versions} })`
      const { err, exitCode, out } = yield* child(["demo"], {
        node: ["--import", `data:text/javascript,${encodeURIComponent(code)}`]
      })
      assert.deepStrictEqual([exitCode, out], [2, ""])
      assert.strictEqual(err, `effect-signer: Node 22.19 or newer is needed, and this is ${version}\n`)
    })
  )
})
