import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Fiber, Layer, Option, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { PrivateKey, PublicKey } from "../../src/index.ts"
import * as FileKeyStore from "../../src/layers/FileKeyStore.ts"
import type { NewKey, Service } from "../../src/services/KeyStore.ts"
import { KeyStore, KeyStoreError } from "../../src/services/KeyStore.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as KeyStoreConformance from "../../src/testing/KeyStoreConformance.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { seeded } from "../primitives/random.ts"

const cost = { memory: 8, iterations: 1, parallelism: 1 }
const secret = "correct horse battery staple"
const passphrase = Redacted.make(secret)

const folder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(join(tmpdir(), "effect-signer-keys-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

const newPath = Effect.map(folder, (folder) => join(folder, "keys.json"))

KeyStoreConformance.suite(
  it,
  "file",
  Layer.unwrap(Effect.map(newPath, (path) => FileKeyStore.layer({ path, passphrase, cost }))),
  {
    pair: Effect.flatMap(newPath, (path) =>
      Effect.all([FileKeyStore.make({ path, passphrase, cost }), FileKeyStore.make({ path, passphrase, cost })])
    ),
    secrets: [secret]
  }
)

// ---------------------------------------------------------------------------
// what the cases are made of
// ---------------------------------------------------------------------------

const newKey = Effect.fnUntraced(function* (id: string, tags: NewKey["tags"] = {}) {
  const privateKey = yield* TestKey.make("ES256", id)
  const publicKey = yield* PublicKey.withAlgorithm(privateKey.publicKey, "ES256")
  return { id, publicKey, privateKey, tags, createdAt: 0 }
})

const open = (path: string, options: Partial<FileKeyStore.Options> = {}) =>
  FileKeyStore.make({ path, passphrase, cost, ...options })

/** A file with two keys, the first of them active. */
const twoKeys = Effect.gen(function* () {
  const path = yield* newPath
  const store = yield* open(path)
  yield* store.insert([yield* newKey("one", { tenant: "acme" }), yield* newKey("two")], { setActive: "one" })
  return { path, store, text: Fs.readFileSync(path, "utf8") }
})

/** The reason of a failure, and that nothing secret or of the path shows in it. */
const reasonOf = <A>(effect: Effect.Effect<A, unknown>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, KeyStoreError)
    const shown = Canary.show(error)
    const search = Canary.search([
      { name: "the passphrase", secret },
      { name: "the private half", secret: TestKey.secretBytes("P-256", "one") }
    ])
    assert.isUndefined(search(shown))
    assert.notInclude(shown, "effect-signer-keys-")
    return error.reason
  })

const pkcs8 = (key: PrivateKey.PrivateKey) => Redacted.value(PrivateKey.toPkcs8(key)).join()

const opensBoth = Effect.fnUntraced(function* (store: Service) {
  for (const id of ["one", "two"]) {
    assert.strictEqual(pkcs8(yield* store.privateKey(id)), pkcs8((yield* newKey(id)).privateKey))
  }
})

describe("the file", () => {
  it.effect("D14 encrypted store: has mode 0600, no private half in the clear, and nothing beside it", () =>
    Effect.gen(function* () {
      const { path, text } = yield* twoKeys
      assert.strictEqual(Fs.statSync(path).mode & 0o777, 0o600)
      assert.deepStrictEqual(Fs.readdirSync(join(path, "..")), ["keys.json"])
      const search = Canary.search([
        { name: "the passphrase", secret },
        { name: "one", secret: TestKey.secretBytes("P-256", "one") },
        { name: "two", secret: TestKey.secretBytes("P-256", "two") }
      ])
      assert.isUndefined(search(text))
      const json = JSON.parse(text)
      assert.deepStrictEqual(Object.keys(json), [
        "format",
        "version",
        "kdf",
        "cipher",
        "check",
        "active",
        "keys",
        "mac"
      ])
      assert.strictEqual(json.format, "effect-signer/key-store")
      assert.deepStrictEqual({ ...json.kdf, salt: "" }, { name: "Argon2id", ...cost, salt: "" })
    })
  )

  it.effect("is read again by another store, with the active key", () =>
    Effect.gen(function* () {
      const { path } = yield* twoKeys
      const store = yield* open(path, { mustExist: true })
      yield* opensBoth(store)
      assert.deepStrictEqual(yield* store.active, Option.some("one"))
      assert.deepStrictEqual((yield* store.get("one")).tags, { tenant: "acme" })
    })
  )

  it.effect("is made with the default cost, unless one is stated", () =>
    Effect.gen(function* () {
      const path = yield* newPath
      yield* FileKeyStore.make({ path, passphrase })
      const { kdf } = JSON.parse(Fs.readFileSync(path, "utf8"))
      assert.deepStrictEqual([kdf.memory, kdf.iterations, kdf.parallelism], [65_536, 3, 4])
    })
  )

  it.effect("is not made where it must exist, nor where there is no folder", () =>
    Effect.gen(function* () {
      const path = yield* newPath
      assert.strictEqual(yield* reasonOf(open(path, { mustExist: true })), "NotFound")
      assert.isFalse(Fs.existsSync(path))
      assert.strictEqual(yield* reasonOf(open(join(path, "none", "keys.json"))), "NotFound")
    })
  )
})

describe("make", () => {
  it.effect("refuses another passphrase, and none", () =>
    Effect.gen(function* () {
      const { path, text } = yield* twoKeys
      assert.strictEqual(
        yield* reasonOf(open(path, { passphrase: Redacted.make("incorrect horse") })),
        "WrongPassphrase"
      )
      assert.strictEqual(yield* reasonOf(open(path, { passphrase: undefined })), "Invalid")
      assert.strictEqual(yield* reasonOf(open(path, { passphrase: Redacted.make("") })), "Invalid")
      assert.strictEqual(yield* reasonOf(open(path, { passphrase: Effect.fail(secret) })), "Invalid")
      assert.strictEqual(Fs.readFileSync(path, "utf8"), text)
      const asked = yield* open(path, { passphrase: Effect.succeed(passphrase) })
      yield* opensBoth(asked)
    })
  )

  it.effect("refuses a cost out of bounds, of its options and of a file", () =>
    Effect.gen(function* () {
      const { path, text } = yield* twoKeys
      const tooMuch = { memory: 262_145, iterations: 1, parallelism: 1 }
      assert.strictEqual(yield* reasonOf(open(yield* newPath, { cost: tooMuch })), "Invalid")
      Fs.writeFileSync(path, text.replace(`"memory":8`, `"memory":4000000000`))
      assert.strictEqual(yield* reasonOf(open(path)), "Corrupt")
    })
  )

  it.effect.each([
    ["a newer version", (text: string) => text.replace(`"version": 1`, `"version": 2`), "NewerFormat"],
    [
      "a newer version with other members",
      () => `{"format":"effect-signer/key-store","version":7,"all":"new"}`,
      "NewerFormat"
    ],
    ["an older version", (text: string) => text.replace(`"version": 1`, `"version": 0`), "Corrupt"],
    ["another format", (text: string) => text.replace("effect-signer/key-store", "other"), "Corrupt"],
    ["an empty file", () => "", "Corrupt"],
    ["a file that was cut off", (text: string) => text.slice(0, -200), "Corrupt"],
    ["a file without its line end", (text: string) => text.slice(0, -1), "Corrupt"],
    ["other white space", (text: string) => text.replace(`"active": `, `"active":  `), "Corrupt"],
    ["another active key", (text: string) => text.replace(`"active": "one"`, `"active": "two"`), "Corrupt"],
    ["no active key", (text: string) => text.replace(`"active": "one"`, `"active": null`), "Corrupt"],
    ["another tag", (text: string) => text.replace("acme", "evil"), "Corrupt"],
    ["a key that is disabled", (text: string) => text.replace(`"disabled":false`, `"disabled":true`), "Corrupt"],
    ["a key left out", (text: string) => text.replace(/ {4}\{"id":"one".*\n/, ""), "Corrupt"],
    ["keys in another order", (text: string) => text.replace(/( {4}\{.*\}),\n( {4}\{.*\})\n/, "$2,\n$1\n"), "Corrupt"],
    [
      "private halves that changed places",
      (text: string) => {
        const [one, two] = [...text.matchAll(/"sealed":"([^"]+)"/g)].map((match) => match[1]!)
        return text.replace(one!, "X").replace(two!, one!).replace(`"X"`, `"${two}"`)
      },
      "Corrupt"
    ],
    ["a member twice", (text: string) => text.replace(`"active":`, `"active": null, "active":`), "Corrupt"],
    ["a member that is not known", (text: string) => text.replace(`"active":`, `"more": 1, "active":`), "Corrupt"],
    ["another salt", (text: string) => text.replace(/"salt":"[^"]+"/, `"salt":"${"A".repeat(22)}"`), "WrongPassphrase"],
    [
      "another check",
      (text: string) => text.replace(/"check": "[^"]+"/, `"check": "${"A".repeat(43)}"`),
      "WrongPassphrase"
    ],
    ["another MAC", (text: string) => text.replace(/"mac": "[^"]+"/, `"mac": "${"A".repeat(43)}"`), "Corrupt"]
  ] as const)("refuses %s", ([, edit, reason]) =>
    Effect.gen(function* () {
      const { path, text } = yield* twoKeys
      const edited = edit(text)
      assert.notStrictEqual(edited, text)
      Fs.writeFileSync(path, edited)
      assert.strictEqual(yield* reasonOf(open(path)), reason)
      // and nobody writes over it
      assert.strictEqual(yield* reasonOf(open(path, { mustExist: true })), reason)
      assert.strictEqual(Fs.readFileSync(path, "utf8"), edited)
    })
  )

  it.effect("refuses a file that others may read, change or have made, and a link", () =>
    Effect.gen(function* () {
      const { path } = yield* twoKeys
      for (const mode of [0o640, 0o604, 0o620, 0o602, 0o644, 0o666]) {
        Fs.chmodSync(path, mode)
        assert.strictEqual(yield* reasonOf(open(path)), "PermissionDenied")
      }
      Fs.chmodSync(path, 0o600)
      const link = `${path}.link`
      Fs.symlinkSync(path, link)
      assert.strictEqual(yield* reasonOf(open(link)), "PermissionDenied")
      const followed = yield* open(link, { followSymlinks: true })
      yield* opensBoth(followed)
      yield* followed.insert([yield* newKey("three")])
      assert.isTrue(Fs.lstatSync(link).isSymbolicLink())
      assert.isTrue(yield* (yield* open(path)).has("three"))
      Fs.unlinkSync(path)
      Fs.mkdirSync(path)
      assert.strictEqual(yield* reasonOf(open(path)), "PermissionDenied")
    })
  )
})

describe("an open store", () => {
  it.effect("fails, and keeps what is there, where the file is edited or removed behind it", () =>
    Effect.gen(function* () {
      const { path, store, text } = yield* twoKeys
      Fs.chmodSync(path, 0o644)
      assert.strictEqual(yield* reasonOf(store.setActive("two")), "PermissionDenied")
      Fs.chmodSync(path, 0o600)
      const other = text.replace("acme", "evil").replace(/"mac": "[^"]+"/, `"mac": "${"A".repeat(43)}"`)
      Fs.writeFileSync(path, other)
      assert.strictEqual(yield* reasonOf(store.get("one")), "Corrupt")
      assert.strictEqual(yield* reasonOf(store.setActive("two")), "Corrupt")
      assert.strictEqual(Fs.readFileSync(path, "utf8"), other)
      Fs.writeFileSync(path, text)
      yield* opensBoth(store)
      Fs.unlinkSync(path)
      assert.strictEqual(yield* reasonOf(store.get("one")), "NotFound")
      assert.strictEqual(yield* reasonOf(store.insert([yield* newKey("three")])), "NotFound")
      assert.isFalse(Fs.existsSync(path))
    })
  )

  it.effect("waits for its turn, and says that it had none", () =>
    Effect.gen(function* () {
      const { path, store, text } = yield* twoKeys
      Fs.writeFileSync(`${path}.lock`, "1 elsewhere 1 token\n")
      const fiber = yield* Effect.forkChild(reasonOf(store.setActive("two")), { startImmediately: true })
      while (fiber.pollUnsafe() === undefined) {
        yield* TestClock.adjust(50)
        yield* TestClock.withLive(Effect.sleep(1))
      }
      assert.strictEqual(yield* Fiber.join(fiber), "Locked")
      assert.strictEqual(Fs.readFileSync(path, "utf8"), text)
      // nobody waits to read
      yield* opensBoth(store)
      Fs.unlinkSync(`${path}.lock`)
      yield* store.setActive("two")
    })
  )

  it.effect("writes many keys at once", () =>
    Effect.gen(function* () {
      const { path, store } = yield* twoKeys
      const before = Fs.statSync(path).ino
      const keys = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, i) => `key-${i}`),
        (id) => newKey(id)
      )
      const writes: Array<string> = []
      const watcher = Fs.watch(join(path, ".."), (_, name) => void writes.push(String(name)))
      yield* store.insert(keys)
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20)))
      watcher.close()
      assert.notStrictEqual(Fs.statSync(path).ino, before)
      assert.lengthOf([...new Set(writes.filter((name) => name.endsWith(".new")))], 1)
    })
  )
})

describe("a file of many keys", () => {
  it.effect("is read and written again, longer than the file of one key may be", () =>
    Effect.gen(function* () {
      const { path, store } = yield* twoKeys
      const { publicKey } = yield* newKey("any")
      const ids = Array.from({ length: 600 }, (_, i) => `watching-${i}`)
      yield* store.insert(ids.map((id) => ({ id, publicKey, privateKey: undefined, tags: {}, createdAt: 1 })))
      assert.isAbove(Fs.statSync(path).size, 65_536)
      const again = yield* open(path)
      yield* again.update("one", { disabled: true })
      yield* opensBoth(store)
      assert.isTrue((yield* store.get("one")).disabled)
      assert.lengthOf(yield* store.list({ hasPrivateKey: false }), 600)
    })
  )
})

describe("changePassphrase", () => {
  const next = Redacted.make("another passphrase")

  it.effect("seals all private halves anew", () =>
    Effect.gen(function* () {
      const { path, store, text } = yield* twoKeys
      const watching = { ...(yield* newKey("watching")), privateKey: undefined }
      yield* store.insert([watching])
      yield* FileKeyStore.changePassphrase({ path, passphrase, newPassphrase: next, cost })
      assert.strictEqual(yield* reasonOf(open(path)), "WrongPassphrase")
      const changed = yield* open(path, { passphrase: next })
      yield* opensBoth(changed)
      assert.isFalse((yield* changed.get("watching")).hasPrivateKey)
      assert.deepStrictEqual(yield* changed.active, Option.some("one"))
      const sealed = [...text.matchAll(/"sealed":"([^"]+)"/g)].map((match) => match[1]!)
      assert.lengthOf(sealed, 2)
      for (const one of sealed) assert.notInclude(Fs.readFileSync(path, "utf8"), one)
      assert.strictEqual(Fs.statSync(path).mode & 0o777, 0o600)
      // the store that was open has to be opened again
      assert.strictEqual(yield* reasonOf(store.get("one")), "WrongPassphrase")
      assert.strictEqual(yield* reasonOf(store.setActive("two")), "WrongPassphrase")
    })
  )

  it.effect("leaves the file as it was where it fails", () =>
    Effect.gen(function* () {
      const { path, text } = yield* twoKeys
      const wrong = Redacted.make("wrong one")
      const change = (options: object) =>
        FileKeyStore.changePassphrase({ path, passphrase, newPassphrase: next, cost, ...options })
      assert.strictEqual(yield* reasonOf(change({ passphrase: wrong })), "WrongPassphrase")
      for (const bad of [Redacted.make(""), "text that anything would show", undefined]) {
        const error = yield* Effect.flip(change({ newPassphrase: bad }))
        assert.deepInclude(error, { _tag: "KeyStoreError", reason: "Invalid" })
        assert.include(error.message, "newPassphrase: ")
      }
      assert.strictEqual(yield* reasonOf(change({ path: `${path}.none` })), "NotFound")
      assert.strictEqual(Fs.readFileSync(path, "utf8"), text)
    })
  )
})

describe("layerConfig", () => {
  it.effect("reads the path and the file of the passphrase", () =>
    Effect.gen(function* () {
      const { path } = yield* twoKeys
      const file = `${path}.passphrase`
      Fs.writeFileSync(file, `${secret}\n`, { mode: 0o600 })
      const layer = FileKeyStore.layerConfig({
        path: Config.String("KEYS_FILE"),
        passphraseFile: Config.String("KEYS_PASSPHRASE_FILE")
      }).pipe(
        Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ KEYS_FILE: path, KEYS_PASSPHRASE_FILE: file })))
      )
      yield* Effect.provide(KeyStore.use(opensBoth), layer)
    })
  )
})

// ---------------------------------------------------------------------------
// processes
// ---------------------------------------------------------------------------

const child = fileURLToPath(new URL("keyStoreChild.ts", import.meta.url))
const root = fileURLToPath(new URL("../..", import.meta.url))

const start = (args: ReadonlyArray<string>) =>
  spawn(process.execPath, ["--conditions=effect-signer-source", child, ...args], { cwd: root })

/** Inserts in a loop, and is killed `delay` milliseconds after the first time. Answers with how often it said it had. */
const killed = (path: string, name: string, delay: number) =>
  new Promise<number>((resolve, reject) => {
    const process = start([path, name])
    let [output, problem] = ["", ""]
    process.stderr.on("data", (chunk) => (problem += chunk))
    process.stdout.on("data", (chunk) => (output += chunk))
    process.stdout.once("data", () => setTimeout(() => process.kill("SIGKILL"), delay))
    process.on("close", (_, signal) =>
      signal === "SIGKILL"
        ? resolve(output.split("\n").length - 1)
        : reject(new Error(`it ended by itself: ${problem}`))
    )
  })

const finished = (path: string, name: string, count: number) =>
  new Promise<void>((resolve, reject) => {
    const process = start([path, name, String(count)])
    let problem = ""
    process.stderr.on("data", (chunk) => (problem += chunk))
    process.on("close", (code) => (code === 0 ? resolve() : reject(new Error(problem))))
  })

describe("processes", () => {
  it.live(
    "killed while they write leave all that they said they had written, and nothing by halves: 10 times",
    () =>
      Effect.gen(function* () {
        const random = seeded(11)
        const path = yield* newPath
        const store = yield* open(path)
        let leftBehind = 0
        for (let i = 0; i < 10; i++) {
          const name = `run-${i}`
          const said = yield* Effect.promise(() => killed(path, name, random.below(40)))
          leftBehind += Fs.readdirSync(join(path, "..")).length - 1
          const ids = (yield* store.list()).map(({ id }) => id).filter((id) => id.startsWith(`${name}-`))
          const turns = new Set(ids.map((id) => id.split("-")[2]))
          assert.lengthOf(ids, 2 * turns.size)
          assert.isTrue(turns.size === said || turns.size === said + 1, `${turns.size} of ${said}`)
        }
        assert.isAbove(leftBehind, 3) // they were killed in the middle of it
        // what they left, a lock included, is in nobody's way
        yield* store.insert([yield* newKey("one"), yield* newKey("two")])
        yield* opensBoth(store)
        assert.deepStrictEqual(Fs.readdirSync(join(path, "..")), ["keys.json"])
      }),
    120_000
  )

  it.live(
    "lose no key of each other",
    () =>
      Effect.gen(function* () {
        const path = yield* newPath
        const store = yield* open(path)
        const names = ["a", "b", "c"]
        yield* Effect.forEach(names, (name) => Effect.promise(() => finished(path, name, 8)), { concurrency: 3 })
        assert.lengthOf(yield* store.list(), names.length * 8 * 2)
        assert.lengthOf(yield* (yield* open(path)).list(), names.length * 8 * 2)
      }),
    120_000
  )
})
