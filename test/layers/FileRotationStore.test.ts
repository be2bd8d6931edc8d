import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as FileRotationStore from "../../src/layers/FileRotationStore.ts"
import { start } from "./support/rotationProcesses.ts"
import { rotationStoreCases, someState } from "./support/rotationStores.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(join(tmpdir(), "effect-signer-rotation-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

describe("FileRotationStore", () => {
  rotationStoreCases(
    it,
    Effect.map(folder, (at) => {
      const path = join(at, "rotation.json")
      return { store: FileRotationStore.layer({ path }), other: FileRotationStore.layer({ path }) }
    })
  )

  const written = Effect.gen(function* () {
    const path = join(yield* folder, "rotation.json")
    const store = yield* FileRotationStore.make({ path })
    assert.isTrue(yield* store.compareAndSet(0, yield* someState))
    return { path, store, text: Fs.readFileSync(path, "utf8") }
  })

  it.live("writes a file for its owner alone, and leaves nothing beside it", () =>
    Effect.gen(function* () {
      const { path } = yield* written
      assert.strictEqual(Fs.statSync(path).mode & 0o777, 0o600)
      assert.deepStrictEqual(Fs.readdirSync(join(path, "..")), ["rotation.json"])
    })
  )

  it.live.each([
    ["NewerFormat", (text: string) => text.replace('{"format":1', '{"format":2')],
    ["NewerFormat", (text: string) => text.replace('"state":{"format":1', '"state":{"format":7')],
    ["Corrupt", (text: string) => text.slice(0, -10)],
    ["Corrupt", (text: string) => text.replace('"revision":1', '"revision":0')],
    ["Corrupt", (text: string) => text.replace('"revision":1', '"revision":1,"revision":2')],
    ["Corrupt", (text: string) => text.replace('"revision":1', '"note":1,"revision":1')],
    ["Corrupt", () => ""]
  ] as const)("refuses a file that is not one: %s", ([reason, change]) =>
    Effect.gen(function* () {
      const { path, store, text } = yield* written
      assert.notStrictEqual(change(text), text)
      Fs.writeFileSync(path, change(text))
      assert.strictEqual((yield* Effect.flip(store.read)).reason, reason)
      assert.strictEqual((yield* Effect.flip(store.compareAndSet(1, yield* someState))).reason, reason)
      assert.strictEqual(Fs.readFileSync(path, "utf8"), change(text))
    })
  )

  it.live("refuses to write more than it would read", () =>
    Effect.gen(function* () {
      const { path, store, text } = yield* written
      const state = yield* someState
      const large = { ...state, keys: state.keys.map((key) => ({ ...key, id: "k".repeat(70_000) })) }
      assert.strictEqual((yield* Effect.flip(store.compareAndSet(1, large))).reason, "TooLarge")
      assert.strictEqual(Fs.readFileSync(path, "utf8"), text)
    })
  )

  it.live("refuses a file that others may change, and a folder that is not there", () =>
    Effect.gen(function* () {
      const { path, store } = yield* written
      Fs.chmodSync(path, 0o666)
      assert.strictEqual((yield* Effect.flip(store.read)).reason, "PermissionDenied")
      const nowhere = yield* FileRotationStore.make({ path: join(path, "nowhere") })
      assert.strictEqual((yield* Effect.flip(nowhere.compareAndSet(0, yield* someState))).reason, "Unavailable")
    })
  )

  it.live(
    "processes that are killed while they take steps leave a whole state, from which others go on",
    () =>
      Effect.gen(function* () {
        const path = join(yield* folder, "rotation.json")
        const store = yield* FileRotationStore.make({ path })
        let last = 0
        for (let turn = 0; turn < 4; turn++) {
          const processes = yield* Effect.promise(() =>
            Promise.all([start(["100000", "file", path]), start(["100000", "file", path])])
          )
          const ends = processes.map(({ go }) => go())
          // somewhere in the steps after the first
          while ((yield* store.read).revision <= last) yield* Effect.sleep("20 millis")
          yield* Effect.sleep(100 + 37 * turn)
          for (const { kill } of processes) kill()
          yield* Effect.promise(() => Promise.all(ends))
          const { revision, state } = yield* store.read
          assert.isAbove(revision, last)
          assert.isAtMost(state!.keys.filter((key) => key.state === "active").length, 1)
          last = revision
        }
        // what they left, a lock included, is in nobody's way
        assert.isTrue(yield* store.compareAndSet(last, (yield* store.read).state!))
      }),
    120_000
  )
})
