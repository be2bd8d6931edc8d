import * as NodeFileSystem from "@effect/platform-node-shared/NodeFileSystem"
import * as NodePath from "@effect/platform-node-shared/NodePath"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, FileSystem, Layer, PlatformError } from "effect"
import * as Files from "../../src/cli/Files.ts"
import { temporary } from "./support/inProcess.ts"

const bytes = new TextEncoder().encode("the content")
const services = Layer.mergeAll(NodeFileSystem.layer, NodePath.layer)

/** The real file system, with some operations replaced. */
const replaced = (change: (fs: FileSystem.FileSystem) => Partial<FileSystem.FileSystem>) =>
  Layer.merge(
    NodePath.layer,
    Layer.effect(
      FileSystem.FileSystem,
      FileSystem.FileSystem.use((fs) => Effect.succeed(FileSystem.make({ ...fs, ...change(fs) })))
    ).pipe(Layer.provide(NodeFileSystem.layer))
  )

const systemError = (tag: PlatformError.SystemErrorTag) =>
  PlatformError.systemError({ _tag: tag, module: "FileSystem", method: "link" })

describe("writeNew", () => {
  it.effect("gives a file its name when it is whole and on the disk", () =>
    Effect.gen(function* () {
      const { at, list, modeOf, read } = yield* temporary
      const seen: Array<string> = []
      const watching = replaced((fs) => ({
        link: (from, to) =>
          Effect.gen(function* () {
            seen.push(`${yield* fs.readFileString(from)} ${((yield* fs.stat(from)).mode & 0o777).toString(8)}`)
            yield* fs.link(from, to)
          })
      }))
      yield* Effect.provide(Files.writeNew([{ path: at("new"), bytes, mode: 0o600 }]), watching)
      assert.deepStrictEqual(seen, ["the content 600"])
      assert.deepStrictEqual(yield* list, ["new"])
      assert.strictEqual(yield* read("new"), "the content")
      assert.strictEqual(yield* modeOf("new"), 0o600)
    })
  )

  it.effect("is never readable by others, from the first byte on", () =>
    Effect.gen(function* () {
      const { at } = yield* temporary
      const modes: Array<number> = []
      const watching = replaced((fs) => ({
        open: (path, options) =>
          Effect.tap(fs.open(path, options), (file) =>
            Effect.map(file.stat, ({ mode, type }) => (type === "File" ? modes.push(mode & 0o777) : 0))
          )
      }))
      const before = process.umask(0)
      yield* Files.writeNew([{ path: at("new"), bytes, mode: 0o600 }]).pipe(
        Effect.provide(watching),
        Effect.ensuring(Effect.sync(() => process.umask(before)))
      )
      assert.deepStrictEqual(modes, [0o600])
    })
  )

  it.effect("does not replace a file that appears at the last moment", () =>
    Effect.gen(function* () {
      const { at, list, read } = yield* temporary
      const racing = replaced((fs) => ({
        link: (from, to) => Effect.andThen(Effect.orDie(fs.writeFileString(at("new"), "theirs")), fs.link(from, to))
      }))
      const files = [
        { path: at("first"), bytes, mode: 0o644 },
        { path: at("new"), bytes, mode: 0o600 }
      ]
      const error = yield* Effect.flip(Effect.provide(Files.writeNew(files), racing))
      assert.include(error.message, "it exists already")
      assert.deepStrictEqual(yield* list, ["new"])
      assert.strictEqual(yield* read("new"), "theirs")
    })
  )

  it.effect("does not follow a link that leads nowhere", () =>
    Effect.gen(function* () {
      const { at, list } = yield* temporary
      yield* Effect.provide(
        FileSystem.FileSystem.use((fs) => fs.symlink(at("elsewhere"), at("new"))),
        services
      )
      const error = yield* Effect.flip(
        Effect.provide(Files.writeNew([{ path: at("new"), bytes, mode: 0o600 }]), services)
      )
      assert.include(error.message, "it exists already")
      assert.deepStrictEqual(yield* list, ["new"])
    })
  )

  it.effect.each(["PermissionDenied", "Unknown"] as const)(
    "works where links do not (%s), and overwrites as little",
    (tag) =>
      Effect.gen(function* () {
        const { at, list, modeOf, read, write } = yield* temporary
        const withoutLinks = replaced(() => ({ link: () => Effect.fail(systemError(tag)) }))
        const create = (name: string) =>
          Effect.provide(Files.writeNew([{ path: at(name), bytes, mode: 0o600 }]), withoutLinks)
        yield* create("new")
        assert.strictEqual(yield* read("new"), "the content")
        assert.strictEqual(yield* modeOf("new"), 0o600)
        yield* write("taken", "mine")
        assert.include((yield* Effect.flip(create("taken"))).message, "it exists already")
        assert.strictEqual(yield* read("taken"), "mine")
        assert.deepStrictEqual(yield* list, ["new", "taken"])
      })
  )

  it.effect.each(["link", "write", "sync", "second write"] as const)("leaves nothing where the %s fails", (what) =>
    Effect.gen(function* () {
      const { at, list } = yield* temporary
      let writes = 0
      const failing = replaced((fs) => ({
        ...(what === "link" ? { link: () => Effect.fail(systemError("NotFound")) } : {}),
        open: (path, options) =>
          Effect.map(fs.open(path, options), (file): FileSystem.File => {
            const isWriting = options?.flag === "wx"
            const fails = (name: string) =>
              isWriting && (what === name || (what === `second ${name}` && ++writes === 2))
            const full = Effect.fail(systemError("Unknown"))
            return new Proxy(file, {
              get: (target, name) =>
                name === "writeAll"
                  ? (bytes: Uint8Array) =>
                      fails("write") ? Effect.andThen(target.write(bytes.subarray(0, 3)), full) : target.writeAll(bytes)
                  : name === "sync" && fails("sync")
                    ? full
                    : Reflect.get(target, name, target)
            })
          })
      }))
      const files = ["one", "two"].map((name) => ({ path: at(name), bytes, mode: 0o600 }))
      yield* Effect.flip(Effect.provide(Files.writeNew(files), failing))
      assert.deepStrictEqual(yield* list, [])
    })
  )

  it.effect("once begun, is not left half done by an interruption", () =>
    Effect.gen(function* () {
      const { at, list } = yield* temporary
      const reached = yield* Deferred.make<void>()
      const proceed = yield* Deferred.make<void>()
      const waiting = replaced((fs) => ({
        link: (from, to) =>
          Effect.gen(function* () {
            yield* Deferred.succeed(reached, undefined)
            yield* Deferred.await(proceed)
            yield* fs.link(from, to)
          })
      }))
      const files = ["one", "two"].map((name) => ({ path: at(name), bytes, mode: 0o600 }))
      const fiber = yield* Effect.forkChild(Effect.provide(Files.writeNew(files), waiting))
      yield* Deferred.await(reached)
      const interruption = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
      yield* Deferred.succeed(proceed, undefined)
      yield* Fiber.join(interruption)
      assert.deepStrictEqual(yield* list, ["one", "two"])
    })
  )
})

describe("replace", () => {
  it.effect("puts a whole file in the place of another, which stays where that fails", () =>
    Effect.gen(function* () {
      const { at, list, read, write } = yield* temporary
      yield* write("old", "mine")
      const file = { path: at("old"), bytes, mode: 0o644 }
      const failing = replaced(() => ({ rename: () => Effect.fail(systemError("PermissionDenied")) }))
      const error = yield* Effect.flip(Effect.provide(Files.replace(file), failing))
      assert.include(error.message, "permission denied")
      assert.strictEqual(yield* read("old"), "mine")
      yield* Effect.provide(Files.replace(file), services)
      assert.strictEqual(yield* read("old"), "the content")
      assert.deepStrictEqual(yield* list, ["old"])
    })
  )
})
