/**
 * Software of others that the live tests run against: installed into `.cache/live`
 * once, started on a loopback port for as long as a scope is open.
 *
 * Where this machine cannot install or start it, the reason is a
 * {@link NotAvailable}: the tests show it, and fail with it where
 * `EFFECT_SIGNER_LIVE` names the software.
 */
import { execFile, spawn } from "node:child_process"
import { mkdir, writeFile } from "node:fs/promises"
import { existsSync } from "node:fs"
import { connect, createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"

const run = promisify(execFile)

const cache = new URL("../../.cache/live/", import.meta.url)

/** Why a program is not there. */
export class NotAvailable extends Error {
  override readonly name = "NotAvailable"
}

export interface Software {
  readonly name: string
  /** Changes with every pin: what was installed under another one is not used. */
  readonly version: string
  /** Commands that install it into `folder`. */
  readonly install: (folder: string) => ReadonlyArray<readonly [command: string, ...args: ReadonlyArray<string>]>
  /** How to start it on 127.0.0.1 and this port. */
  readonly start: (
    folder: string,
    port: number
  ) => {
    readonly command: string
    readonly args?: ReadonlyArray<string>
    readonly env: Readonly<Record<string, string>>
  }
}

export interface Running {
  readonly url: string
  readonly port: number
}

/** What a command said, or what could not be done, in one line. */
const reason = (error: unknown): string => {
  const { message, stderr } = error as { readonly message?: string; readonly stderr?: string }
  const text = stderr === undefined || stderr.trim() === "" ? (message ?? String(error)) : stderr
  return text.trim().replace(/\s+/g, " ").slice(-300)
}

const install = async (software: Software): Promise<string> => {
  const folder = new URL(`${software.name}-${software.version}/`, cache).pathname
  const mark = `${folder}.installed`
  if (existsSync(mark)) return folder
  await mkdir(folder, { recursive: true })
  for (const [command, ...args] of software.install(folder)) {
    await run(command, args, { cwd: folder, timeout: 600_000, maxBuffer: 64 * 1024 * 1024 })
  }
  await writeFile(mark, "")
  return folder
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

const isListening = (port: number) =>
  Effect.callback<void, Error>((resume) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("error", (error) => resume(Effect.fail(error)))
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.void)
    })
  })

const attempt = <A>(software: Software, what: string, evaluate: () => Promise<A>) =>
  Effect.tryPromise({
    try: evaluate,
    catch: (error) => new NotAvailable(`${software.name} cannot be ${what} here: ${reason(error)}`)
  })

/** Installs it where that was not done yet, and runs it until the scope is closed. */
export const start = Effect.fnUntraced(function* (
  software: Software
): Effect.fn.Return<Running, NotAvailable, Scope.Scope> {
  const folder = yield* attempt(software, "installed", () => install(software))
  const port = yield* attempt(software, "started", freePort)
  const { args = [], command, env } = software.start(folder, port)
  let ended: string | undefined
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(command, args, {
        cwd: folder,
        env: { PATH: process.env["PATH"] ?? "", ...env },
        stdio: "ignore"
      })
      child.once("error", (error) => {
        ended = error.message
      })
      child.once("exit", (code) => {
        ended ??= `it ended with ${code}`
      })
      return child
    }),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.pid === undefined) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGTERM")
        setTimeout(() => child.kill("SIGKILL"), 5000).unref()
      })
  )
  yield* isListening(port).pipe(
    Effect.mapError((error) => new NotAvailable(`${software.name} does not answer: ${ended ?? error.message}`)),
    Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 300, while: () => ended === undefined })
  )
  return { port, url: `http://127.0.0.1:${port}` }
})

/** Whether the environment demands it: then a test must not go on without it. */
export const isDemanded = (name: string): boolean =>
  (process.env["EFFECT_SIGNER_LIVE"] ?? "")
    .split(",")
    .map((part) => part.trim())
    .includes(name)
