/**
 * Software of others that the live tests run against: how it is installed, started
 * on a loopback port, and which file of tests it is given to.
 *
 * What cannot be had on this machine is a {@link NotAvailable} with the reason that
 * was found by trying.
 */
import { existsSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { connect, createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { homedir } from "node:os"
import { join } from "node:path"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Group from "./Group.ts"

/** What was installed or built is kept here, for every clone of this repository. */
export const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "effect-signer", "live")

/** Why a program is not there. */
export class NotAvailable extends Error {
  override readonly name = "NotAvailable"
}

export type Command = readonly [command: string, ...args: ReadonlyArray<string>]

export interface Software {
  /** As `--only` and `--require` name it. */
  readonly name: string
  /** In the report: `kit/aws/ministack`. */
  readonly suite: string
  /** Its tests, in `test/live`. */
  readonly file: string
  /** How a person gets it, where this script could not. */
  readonly how: string
  /** An environment variable without which there is nothing to run: an account at a vendor. */
  readonly variable?: string | undefined
  /** Says its version when it is there. */
  readonly version?: ((folder: string) => Command) | undefined
  readonly install?:
    | {
        /** Changes with every pin: what was installed under another one is not used. */
        readonly pin: string
        /** Commands that install it into `folder`. */
        readonly commands: (folder: string) => ReadonlyArray<Command>
        /** Default: 5 minutes. */
        readonly limit?: Duration.Input | undefined
      }
    | undefined
  /** What its tests have in their environment. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** How to start it on 127.0.0.1 and this port. Without it, the tests start what they need. */
  readonly start?:
    | ((
        folder: string,
        port: number
      ) => {
        readonly command: string
        readonly args?: ReadonlyArray<string>
        readonly env: Readonly<Record<string, string>>
      })
    | undefined
}

/** What a command said last, in one line. */
const reason = (error: unknown): string => {
  const lines = (error instanceof Error ? error.message : String(error)).trim().split("\n")
  const text = lines.slice(-3).join(" ").replace(/\s+/g, " ")
  return text.length > 300 ? `…${text.slice(-300)}` : text
}

/** Installs it where that was not done yet. Its folder. */
export const install = Effect.fnUntraced(function* (software: Software): Effect.fn.Return<string, NotAvailable> {
  const { install, name } = software
  const folder = `${join(cache, `${name}-${install?.pin ?? "system"}`)}/`
  const mark = join(folder, ".installed")
  yield* Effect.promise(() => mkdir(folder, { recursive: true }))
  if (install === undefined || existsSync(mark)) return folder
  const limit = install.limit ?? "5 minutes"
  yield* Effect.forEach(install.commands(folder), ([command, ...args]) => Group.run(command, args, { cwd: folder }), {
    discard: true
  }).pipe(
    Effect.timeoutOrElse({
      duration: limit,
      orElse: () =>
        Effect.fail(
          new Group.CommandFailed({ message: `given up after ${Duration.format(Duration.fromInputUnsafe(limit))}` })
        )
    }),
    Effect.mapError((error) => new NotAvailable(`it cannot be installed from here: ${reason(error)}`))
  )
  yield* Effect.promise(() => writeFile(mark, ""))
  return folder
})

/** What it says of its version. */
export const versionOf = (software: Software, folder: string): Effect.Effect<string, NotAvailable> => {
  const { version } = software
  if (version === undefined) return Effect.succeed("")
  const [command, ...args] = version(folder)
  return Group.run(command, args).pipe(
    Effect.timeout("20 seconds"),
    Effect.map((said) => said.split(/[\n,]/)[0]!.slice(0, 80)),
    Effect.map((said) => (/[a-z]/i.test(said) ? said : `${software.name} ${said}`)),
    Effect.mapError((error) => new NotAvailable(`${command}: ${reason(error)}`))
  )
}

const freePort: Effect.Effect<number> = Effect.promise(
  () =>
    new Promise((resolve, reject) => {
      const server = createServer()
      server.once("error", reject)
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        server.close(() => resolve(port))
      })
    })
)

const isListening = (port: number) =>
  Effect.callback<void, Error>((resume) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("error", (error) => resume(Effect.fail(error)))
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.void)
    })
  })

/** Runs it until the scope is closed. Its URL; `undefined` where the tests start what they need. */
export const start = Effect.fnUntraced(function* (
  software: Software,
  folder: string
): Effect.fn.Return<string | undefined, NotAvailable, Scope.Scope> {
  if (software.start === undefined) return undefined
  const port = yield* freePort
  const { args = [], command, env } = software.start(folder, port)
  const group = yield* Group.start(command, args, { cwd: folder, env: { PATH: process.env["PATH"], ...env } })
  yield* isListening(port).pipe(
    Effect.mapError((error) => new NotAvailable(`it does not answer: ${group.ended() ?? error.message}`)),
    Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 600, while: () => group.ended() === undefined })
  )
  return `http://127.0.0.1:${port}`
})

// ---------------------------------------------------------------------------
// what the tests are told
// ---------------------------------------------------------------------------

/** The names of the software that the environment demands: a test must not go on without it. */
export const demandVariable = "EFFECT_SIGNER_LIVE"

/** Where the server is that `scripts/live.ts` has started. */
export const urlVariable = "EFFECT_SIGNER_LIVE_URL"

/** Whether the environment demands it: then a test must not go on without it. */
export const isDemanded = (name: string): boolean =>
  (process.env[demandVariable] ?? "")
    .split(",")
    .map((part) => part.trim())
    .includes(name)

/** Where it runs, if it was started for these tests. */
export const urlOf = (name: string): string | undefined => (isDemanded(name) ? process.env[urlVariable] : undefined)
