/**
 * Runs the command line in this process, on real files, with everything else in
 * the hands of the test.
 */
import * as NodeFileSystem from "@effect/platform-node-shared/NodeFileSystem"
import * as NodePath from "@effect/platform-node-shared/NodePath"
import {
  type Cause,
  ConfigProvider,
  Effect,
  FileSystem,
  Layer,
  Option,
  Path,
  Queue,
  Sink,
  Stdio,
  Stream,
  Terminal
} from "effect"
import { ChildProcessSpawner } from "effect/process"
import { effectSigner } from "../../../src/cli/Commands.ts"
import * as Run from "../../../src/cli/Run.ts"

export interface Options {
  readonly stdin?: string | Uint8Array | Stream.Stream<Uint8Array> | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  /** What somebody types. Absent: standard input is no terminal. */
  readonly typed?: string | undefined
  readonly stdoutIsTerminal?: boolean | undefined
}

export interface Result {
  readonly exitCode: number
  readonly stdout: Uint8Array
  readonly out: string
  readonly err: string
}

const bytesOf = (data: string | Uint8Array) => (typeof data === "string" ? new TextEncoder().encode(data) : data)

const stdinOf = (stdin: Options["stdin"]): Stream.Stream<Uint8Array> =>
  stdin === undefined
    ? Stream.empty
    : typeof stdin === "string" || stdin instanceof Uint8Array
      ? Stream.make(bytesOf(stdin))
      : stdin

const capture = () => {
  const chunks: Array<Uint8Array> = []
  const sink = () =>
    Sink.forEach((chunk: string | Uint8Array) => Effect.sync(() => void chunks.push(new Uint8Array(bytesOf(chunk)))))
  return { sink, bytes: () => new Uint8Array(Buffer.concat(chunks)) }
}

const keyOf = (character: string): Terminal.UserInput => ({
  input: Option.some(character),
  key: { name: character === "\r" ? "return" : character, ctrl: false, meta: false, shift: false }
})

const terminal = Effect.fnUntraced(function* (typed: string) {
  const queue = yield* Queue.make<Terminal.UserInput, Cause.Done>()
  yield* Queue.offerAll(queue, Array.from(typed, keyOf))
  yield* Queue.end(queue)
  return Terminal.make({
    columns: Effect.succeed(80),
    rows: Effect.succeed(24),
    size: Effect.die("not used"),
    readInput: Effect.succeed(queue),
    readLine: Effect.die("not used"),
    display: () => Effect.die("standard output may be a file: nothing is displayed there")
  })
})

export const run = Effect.fnUntraced(function* (args: ReadonlyArray<string>, options: Options = {}) {
  const stdout = capture()
  const stderr = capture()
  const services = Layer.mergeAll(
    Layer.effect(Terminal.Terminal, terminal(options.typed ?? "")),
    Stdio.layerTest({
      stdin: stdinOf(options.stdin),
      stdout: stdout.sink,
      stderr: stderr.sink,
      stdinIsTerminal: Effect.succeed(options.typed !== undefined),
      stdoutIsTerminal: Effect.succeed(options.stdoutIsTerminal === true)
    }),
    NodeFileSystem.layer,
    NodePath.layer,
    Layer.succeed(
      ChildProcessSpawner.ChildProcessSpawner,
      ChildProcessSpawner.make(() => Effect.die("nothing is spawned"))
    ),
    Layer.succeed(
      ConfigProvider.ConfigProvider,
      ConfigProvider.fromEnvRecord(options.env ?? {}, { preserveEmptyStrings: true })
    )
  )
  const exitCode = yield* Effect.provide(Run.run(effectSigner)(args), services)
  const result: Result = {
    exitCode,
    stdout: stdout.bytes(),
    out: new TextDecoder().decode(stdout.bytes()),
    err: new TextDecoder().decode(stderr.bytes())
  }
  return result
})

/** A temporary folder for the test, and names in it. */
export const temporary = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "effect-signer-test-" })
  return {
    folder,
    at: (name: string) => paths.join(folder, name),
    write: (name: string, data: string | Uint8Array, mode = 0o600) =>
      Effect.as(fs.writeFile(paths.join(folder, name), bytesOf(data), { mode }), paths.join(folder, name)),
    read: (name: string) => fs.readFileString(paths.join(folder, name)),
    list: Effect.map(fs.readDirectory(folder), (names) => names.sort()),
    modeOf: (name: string) => Effect.map(fs.stat(paths.join(folder, name)), ({ mode }) => mode & 0o777)
  }
}).pipe(Effect.provide([NodeFileSystem.layer, NodePath.layer]))
