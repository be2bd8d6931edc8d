import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { PrivateKey, PublicKey } from "../../src/index.ts"
import * as FileSigner from "../../src/layers/FileSigner.ts"
import * as SecretFile from "../../src/layers/keyFile/SecretFile.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { cheap } from "../conformance/file.ts"
import { seeded } from "../primitives/random.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(join(tmpdir(), "effect-signer-secret-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

const utf8 = (text: string) => new TextEncoder().encode(text)
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
const isRoot = process.geteuid?.() === 0
const other = 65_534
if (!isRoot) console.warn("not tested: files of other users, and a full disk. Run the tests as root")

const write = (path: string, content = "the secret", mode = 0o600) => {
  Fs.writeFileSync(path, content, { mode: 0o600 })
  Fs.chmodSync(path, mode)
  return path
}

const problemOf = <A>(effect: Effect.Effect<A, SecretFile.FileProblem>) =>
  Effect.map(Effect.flip(effect), (problem) => {
    assert.instanceOf(problem, SecretFile.FileProblem)
    return `${problem.kind}: ${problem.problem}`
  })

describe("read", () => {
  it.effect("reads a file of ours that nobody else can read", () =>
    Effect.gen(function* () {
      const path = write(join(yield* folder, "key"))
      for (const mode of [0o600, 0o400, 0o700]) {
        Fs.chmodSync(path, mode)
        assert.strictEqual(text((yield* SecretFile.read(path)).bytes), "the secret")
      }
    })
  )

  it.effect("refuses any permission for others", () =>
    Effect.gen(function* () {
      const path = write(join(yield* folder, "key"))
      for (const bit of [0o040, 0o020, 0o010, 0o004, 0o002, 0o001]) {
        Fs.chmodSync(path, 0o600 | bit)
        assert.match(yield* problemOf(SecretFile.read(path)), /^Refused: others than its owner .*chmod 600/)
      }
      Fs.chmodSync(path, 0o640)
      assert.strictEqual(text((yield* SecretFile.read(path, { allowGroupRead: true })).bytes), "the secret")
      for (const mode of [0o660, 0o644, 0o650]) {
        Fs.chmodSync(path, mode)
        assert.match(yield* problemOf(SecretFile.read(path, { allowGroupRead: true })), /^Refused: others/)
      }
      assert.strictEqual(Fs.readFileSync(path, "utf8"), "the secret")
    })
  )

  // Only root can give a file away
  it.effect.each(isRoot ? [0] : [])("refuses a file of another user (as root)", () =>
    Effect.gen(function* () {
      const path = write(join(yield* folder, "key"))
      Fs.chownSync(path, other, other)
      assert.match(yield* problemOf(SecretFile.read(path)), /^Refused: it belongs to another user/)
    })
  )

  it.effect.each(isRoot ? [0] : [])("reads a file of root as another user, and says what it may not (as root)", () =>
    Effect.gen(function* () {
      const at = yield* folder
      Fs.chmodSync(at, 0o755)
      const path = write(join(at, "key"), "the secret", 0o000)
      const module = fileURLToPath(new URL("../../src/layers/keyFile/SecretFile.ts", import.meta.url))
      const code = `
        const { read } = await import(${JSON.stringify(module)})
        const { Effect } = await import("effect")
        process.setgroups([]); process.setegid(${other}); process.seteuid(${other})
        console.log(JSON.stringify(await Effect.runPromise(Effect.result(read(${JSON.stringify(path)})))))
      `
      const out = execFileSync(
        process.execPath,
        ["--conditions=effect-signer-source", "--input-type=module", "-e", code],
        { cwd: fileURLToPath(new URL("../..", import.meta.url)), timeout: 30_000 }
      ).toString()
      assert.include(out, "PermissionDenied")
      assert.include(out, "EACCES")
    })
  )

  it.effect("refuses links, folders, pipes, devices, what is too long, and what is not there", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const path = write(join(at, "key"))
      const link = join(at, "link")
      Fs.symlinkSync(path, link)
      assert.match(yield* problemOf(SecretFile.read(link)), /^Refused: it is a symbolic link/)
      assert.strictEqual(text((yield* SecretFile.read(link, { followSymlinks: true })).bytes), "the secret")
      Fs.chmodSync(path, 0o644)
      assert.match(yield* problemOf(SecretFile.read(link, { followSymlinks: true })), /^Refused: others/)
      assert.match(yield* problemOf(SecretFile.read(at)), /^Refused: it is a folder/)
      assert.match(yield* problemOf(SecretFile.read(join(at, "none"))), /^NotFound/)
      assert.match(yield* problemOf(SecretFile.read(join(path, "below"))), /^NotFound/)
      assert.match(yield* problemOf(SecretFile.read("/dev/zero", { followSymlinks: true })), /^Refused: it is not/)
      assert.match(yield* problemOf(SecretFile.read(write(join(at, "long"), "x".repeat(65_537)))), /^Refused: longer/)
      assert.lengthOf((yield* SecretFile.read(write(join(at, "full"), "x".repeat(65_536)))).bytes, 65_536)
      Fs.symlinkSync("loop", join(at, "loop"))
      assert.match(yield* problemOf(SecretFile.read(join(at, "loop"), { followSymlinks: true })), /^Refused/)
    })
  )

  it.effect("refuses a pipe at once, also where nobody writes to it", () =>
    Effect.gen(function* () {
      const pipe = join(yield* folder, "pipe")
      execFileSync("mkfifo", ["-m", "600", pipe])
      assert.match(yield* problemOf(SecretFile.read(pipe)), /^Refused: it is not a regular file/)
    })
  )

  it.effect.each(["", "a\nb", "-----BEGIN PRIVATE KEY-----", "a\0b", "x".repeat(5000), 3 as never])(
    "refuses %j as a name, and does not repeat it",
    (name) =>
      Effect.gen(function* () {
        assert.notInclude(yield* problemOf(SecretFile.read(name)), "BEGIN")
      })
  )
})

describe("writing", () => {
  it.effect("makes a file with mode 0600 that did not exist, whatever the umask is", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const path = join(at, "key")
      const before = process.umask(0)
      yield* SecretFile.withLock(path, {}, (target) => SecretFile.create(target, utf8("one"))).pipe(
        Effect.ensuring(Effect.sync(() => process.umask(before)))
      )
      assert.strictEqual(Fs.statSync(path).mode & 0o777, 0o600)
      assert.match(
        yield* problemOf(SecretFile.withLock(path, {}, (target) => SecretFile.create(target, utf8("two")))),
        /^AlreadyExists/
      )
      assert.strictEqual(Fs.readFileSync(path, "utf8"), "one")
      assert.deepStrictEqual(Fs.readdirSync(at), ["key"])
    })
  )

  it.effect("does not create through a link that leads nowhere", () =>
    Effect.gen(function* () {
      const at = yield* folder
      Fs.symlinkSync(join(at, "elsewhere"), join(at, "key"))
      assert.match(yield* problemOf(SecretFile.create(join(at, "key"), utf8("one"))), /^AlreadyExists/)
      assert.deepStrictEqual(Fs.readdirSync(at), ["key"])
    })
  )

  it.effect("leaves a file that somebody else has changed since", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const path = write(join(at, "key"))
      const { identity } = yield* SecretFile.read(path)
      write(path, "theirs")
      assert.match(yield* problemOf(SecretFile.replace(path, utf8("mine"), identity)), /somebody else/)
      assert.match(yield* problemOf(SecretFile.remove(path, identity)), /somebody else/)
      assert.strictEqual(Fs.readFileSync(path, "utf8"), "theirs")
      assert.deepStrictEqual(Fs.readdirSync(at), ["key"])
    })
  )

  it.effect("replaces what a link leads to, and keeps the link, where links may be followed", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const path = write(join(at, "key"))
      const link = join(at, "link")
      Fs.symlinkSync("key", link)
      const options = { followSymlinks: true }
      const { identity } = yield* SecretFile.read(link, options)
      yield* SecretFile.withLock(link, options, (target) => SecretFile.replace(target, utf8("new"), identity))
      assert.isTrue(Fs.lstatSync(link).isSymbolicLink())
      assert.strictEqual(Fs.readFileSync(path, "utf8"), "new")
    })
  )

  it.effect.each(isRoot && process.platform === "linux" ? [0] : [])(
    "leaves the old file where the disk is full (as root, on Linux)",
    () =>
      Effect.gen(function* () {
        const at = yield* folder
        if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=16k,mode=700", "tmpfs", at]).status !== 0) {
          return console.warn("not tested: a full disk (mount is not permitted here)")
        }
        yield* Effect.addFinalizer(() => Effect.sync(() => void spawnSync("umount", [at])))
        const path = write(join(at, "key"))
        const { identity } = yield* SecretFile.read(path)
        const big = new Uint8Array(40_000).fill(65)
        const problem = yield* problemOf(
          SecretFile.withLock(path, {}, (target) => SecretFile.replace(target, big, identity))
        )
        assert.include(problem, "ENOSPC")
        assert.strictEqual(Fs.readFileSync(path, "utf8"), "the secret")
        assert.deepStrictEqual(Fs.readdirSync(at), ["key"])
      })
  )
})

describe("withLock", () => {
  it.live("lets one in at a time, in this process too", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "key")
      let inside = 0
      let most = 0
      const one = SecretFile.withLock(path, {}, () =>
        Effect.gen(function* () {
          most = Math.max(most, ++inside)
          yield* Effect.sleep(5)
          inside--
        })
      )
      yield* Effect.all([one, one, one, one], { concurrency: "unbounded" })
      assert.strictEqual(most, 1)
    })
  )

  it.live("is released after a failure and after an interruption, also of one who waits", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const path = join(at, "key")
      yield* Effect.flip(SecretFile.withLock(path, {}, () => Effect.fail("no")))
      const holder = yield* Effect.forkChild(
        SecretFile.withLock(path, {}, () => Effect.never),
        { startImmediately: true }
      )
      while (!Fs.existsSync(`${path}.lock`)) yield* Effect.sleep(1)
      const waiter = yield* Effect.forkChild(
        SecretFile.withLock(path, {}, () => Effect.void),
        { startImmediately: true }
      )
      yield* Effect.sleep(10)
      yield* Fiber.interrupt(waiter)
      assert.deepStrictEqual(Fs.readdirSync(at), ["key.lock"])
      yield* Fiber.interrupt(holder)
      assert.deepStrictEqual(Fs.readdirSync(at), [])
    })
  )

  const gone = spawnSync("true").pid
  it.live.each([
    ["of a process that is gone", `${gone} ${hostname().replace(/\s/g, "_")} 1 token\n`],
    ["of a process whose id another one has now", `${process.pid} ${hostname().replace(/\s/g, "_")} 1 token\n`]
  ])("takes over a lock %s", ([, content]) =>
    Effect.gen(function* () {
      const at = yield* folder
      const path = join(at, "key")
      Fs.writeFileSync(`${path}.lock`, content!)
      Fs.writeFileSync(join(at, ".key.01234567-89ab-4def-8123-456789abcdef.new"), "left behind")
      Fs.writeFileSync(join(at, ".key.mine.new"), "something else")
      assert.strictEqual(yield* SecretFile.withLock(path, {}, () => Effect.succeed(1)), 1)
      assert.deepStrictEqual(Fs.readdirSync(at), [".key.mine.new"])
    })
  )

  it.effect("removes nothing of a file whose long name begins alike", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const alike = "k".repeat(150)
      yield* SecretFile.withLock(join(at, `${alike}1`), {}, () =>
        Effect.gen(function* () {
          const aside = `.${"k".repeat(100)}.01234567-89ab-4def-8123-456789abcdef.new`
          Fs.writeFileSync(join(at, aside), "being written")
          yield* SecretFile.withLock(join(at, `${alike}2`), {}, () => Effect.void)
          assert.include(Fs.readdirSync(at), aside)
        })
      )
    })
  )

  it.effect.each([
    ["of a running process", `${process.pid} ${hostname().replace(/\s/g, "_")}  token\n`],
    ["of another machine", "1 elsewhere 1 token\n"],
    ["that is being made", ""],
    ["that nobody here made", "1 ".repeat(5000)]
  ])("does not take over a lock %s", ([, content]) =>
    Effect.gen(function* () {
      const path = join(yield* folder, "key")
      Fs.writeFileSync(`${path}.lock`, content!)
      const fiber = yield* Effect.forkChild(Effect.flip(SecretFile.withLock(path, {}, () => Effect.void)), {
        startImmediately: true
      })
      while (fiber.pollUnsafe() === undefined) {
        yield* TestClock.adjust(50)
        yield* TestClock.withLive(Effect.sleep(1))
      }
      const error = yield* Fiber.join(fiber)
      assert.include(error.message, "another process is changing it")
      assert.strictEqual(Fs.readFileSync(`${path}.lock`, "utf8"), content)
    })
  )
})

// ---------------------------------------------------------------------------
// processes
// ---------------------------------------------------------------------------

const child = fileURLToPath(new URL("keyFileChild.ts", import.meta.url))
const root = fileURLToPath(new URL("../..", import.meta.url))

const start = (args: ReadonlyArray<string>) =>
  spawn(process.execPath, ["--conditions=effect-signer-source", child, ...args], { cwd: root })

/** Writes in a loop, and is killed `delay` milliseconds after the loop began. */
const killed = (path: string, delay: number) =>
  new Promise<void>((resolve, reject) => {
    const process = start(["loop", path, "the first one", "the second one"])
    let problem = ""
    process.stderr.on("data", (chunk) => (problem += chunk))
    process.stdout.once("data", () => setTimeout(() => process.kill("SIGKILL"), delay))
    process.on("close", (_, signal) =>
      signal === "SIGKILL" ? resolve() : reject(new Error(`it ended by itself: ${problem}`))
    )
  })

describe("processes", () => {
  it.live(
    "killed while they write leave the old file or the new one, whole: 52 times",
    () =>
      Effect.gen(function* () {
        const random = seeded(7)
        const key = yield* TestKey.make("Ed25519")
        let leftLocks = 0
        const run = Effect.gen(function* () {
          const at = yield* folder
          const path = join(at, "key")
          const passphrases = ["the first one", "the second one"].map((text) => Redacted.make(text))
          yield* FileSigner.create({ path, key, passphrase: passphrases[0]!, cost: cheap })
          for (let i = 0; i < 13; i++) {
            yield* Effect.promise(() => killed(path, random.below(25)))
            if (Fs.existsSync(`${path}.lock`)) leftLocks++
            const found = yield* Effect.forEach(passphrases, (passphrase) =>
              Effect.option(FileSigner.read({ path, passphrase }))
            )
            const read = found.flatMap((option) => (option._tag === "Some" ? [option.value] : []))
            assert.lengthOf(read, 1)
            assert.isTrue(PublicKey.sameKey(read[0]!.publicKey, key.publicKey))
          }
          // What they left, a lock included, is in nobody's way
          const last = found(path, passphrases)
          yield* FileSigner.changePassphrase({
            path,
            passphrase: yield* last,
            newPassphrase: passphrases[0]!,
            cost: cheap
          })
          assert.deepStrictEqual(Fs.readdirSync(at), ["key"])
        })
        yield* Effect.all([run, run, run, run], { concurrency: 4 })
        assert.isAbove(leftLocks, 5) // they were killed in the middle of it
      }),
    180_000
  )

  const found = (path: string, passphrases: ReadonlyArray<Redacted.Redacted<string>>) =>
    Effect.firstSuccessOf(passphrases.map((passphrase) => Effect.as(FileSigner.read({ path, passphrase }), passphrase)))

  it.live(
    "that change the passphrase at the same moment do so one after the other",
    () =>
      Effect.gen(function* () {
        const at = yield* folder
        const key = yield* TestKey.make("Ed25519")
        for (let i = 0; i < 4; i++) {
          const path = join(at, `key${i}`)
          yield* FileSigner.create({ path, key, passphrase: Redacted.make("before"), cost: cheap })
          const results = yield* Effect.forEach(
            ["by one", "by another"],
            (to) =>
              Effect.promise(
                () =>
                  new Promise<{ readonly ok?: true; readonly error?: { readonly field: string } }>((resolve) => {
                    const process = start(["once", path, "before", to])
                    let out = ""
                    process.stdout.on("data", (chunk) => (out += chunk))
                    process.on("close", () => resolve(JSON.parse(out)))
                  })
              ),
            { concurrency: 2 }
          )
          assert.strictEqual(results.filter(({ ok }) => ok).length, 1)
          // The other one found that its passphrase is no longer the right one
          assert.strictEqual(results.find(({ ok }) => !ok)?.error?.field, "passphrase")
          const winner = results[0]!.ok === true ? "by one" : "by another"
          const again = yield* FileSigner.read({ path, passphrase: Redacted.make(winner) })
          assert.isTrue(PublicKey.sameKey(again.publicKey, key.publicKey))
          PrivateKey.wipe(again)
        }
        assert.deepStrictEqual(Fs.readdirSync(at), ["key0", "key1", "key2", "key3"])
      }),
    120_000
  )
})
