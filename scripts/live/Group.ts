/**
 * Processes that end with the scope that started them, and all they started with
 * them: each leads a group of its own, and the group is ended.
 */
import { spawn } from "node:child_process"
import type { StdioOptions } from "node:child_process"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export interface Options {
  readonly cwd?: string | undefined
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  readonly stdio?: StdioOptions | undefined
}

export interface Group {
  /** Why it is no longer there; `undefined` while it is. */
  readonly ended: () => string | undefined
  /** Its exit code, or what else it ended with. */
  readonly exit: Effect.Effect<number | string>
}

/** What a command that did not end well said last. */
export class CommandFailed extends Data.TaggedError("CommandFailed")<{ readonly message: string }> {}

/** How much of what a command says is kept. */
const kept = 4096

const signal = (pid: number | undefined, name: NodeJS.Signals) => {
  try {
    if (pid !== undefined) process.kill(-pid, name)
  } catch {
    // nobody is left
  }
}

/** Starts it, and ends it and its children when the scope is closed. */
export const start = (
  command: string,
  args: ReadonlyArray<string>,
  { cwd, env = process.env, stdio = "ignore" }: Options = {},
  onOutput?: (chunk: Buffer) => void
): Effect.Effect<Group, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn(command, args, { cwd, env: { ...env }, stdio, detached: true })
        const done = Promise.withResolvers<number | string>()
        let ended: number | string | undefined
        const end = (how: number | string) => {
          ended ??= how
          done.resolve(ended)
        }
        child.once("error", ({ message }) => end(message))
        child.once("close", (code, name) => end(code ?? name ?? "unknown"))
        child.stdout?.on("data", (chunk: Buffer) => onOutput?.(chunk))
        child.stderr?.on("data", (chunk: Buffer) => onOutput?.(chunk))
        return { pid: child.pid, done: done.promise, how: () => ended }
      }),
      ({ done, how, pid }) =>
        Effect.gen(function* () {
          if (how() === undefined) {
            signal(pid, "SIGTERM")
            yield* Effect.timeoutOption(
              Effect.promise(() => done),
              "5 seconds"
            )
          }
          signal(pid, "SIGKILL") // what it left behind
        })
    ),
    ({ done, how }) => ({
      ended: () => {
        const end = how()
        return typeof end === "number" ? `it ended with ${end}` : end
      },
      exit: Effect.promise(() => done)
    })
  )

/** Runs a command to its end: what it said, or a failure with the last it said. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: Options = {}
): Effect.Effect<string, CommandFailed> =>
  Effect.scoped(
    Effect.gen(function* () {
      let text = ""
      const group = yield* start(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] }, (chunk) => {
        text = (text + chunk.toString("utf8")).slice(-kept)
      })
      const exit = yield* group.exit
      const said = text.trim()
      if (exit === 0) return said
      return yield* new CommandFailed({ message: said === "" ? `${command}: ${exit}` : said })
    })
  )
