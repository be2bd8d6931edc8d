/**
 * OpenSSH's own agent and tools, and git, as they are found on this machine.
 * Nothing here installs them.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { type AddressInfo, connect, createServer } from "node:net"
import { tmpdir, userInfo } from "node:os"
import * as Effect from "effect/Effect"

/** Why the suite does not run, with what would install it; `undefined` where all is there. */
export const missing: string | undefined = (() => {
  const folders = (process.env["PATH"] ?? "").split(":")
  const absent = ["ssh-agent", "ssh-add", "ssh-keygen", "git"].filter(
    (program) => !folders.some((folder) => existsSync(`${folder}/${program}`))
  )
  return absent.length === 0
    ? undefined
    : `openssh: there is no ${absent.join(", ")} on the PATH; run: apt-get install openssh-client git`
})()

export interface Result {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs a program with nothing of this environment but the PATH and what is stated. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: {
    readonly cwd?: string
    readonly env?: Readonly<Record<string, string>>
    readonly stdin?: string | Uint8Array
  } = {}
): Effect.Effect<Result> =>
  Effect.callback((resume) => {
    const child = execFile(
      command,
      args,
      { cwd: options.cwd, env: { PATH: process.env["PATH"], ...options.env }, timeout: 60_000 },
      (error, out, err) => resume(Effect.succeed({ code: error === null ? 0 : Number(error.code ?? 255), out, err }))
    )
    child.stdin?.on("error", () => {})
    child.stdin?.end(options.stdin ?? "")
  })

/** Runs what must succeed. */
export const ok = (...args: Parameters<typeof run>): Effect.Effect<string> =>
  Effect.flatMap(run(...args), ({ code, err, out }) =>
    code === 0 ? Effect.succeed(out) : Effect.die(new Error(`${args[0]} ${args[1].join(" ")}: ${err.trim()}`))
  )

/** A folder that only we can enter, for as long as a scope is open. */
export const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(`${tmpdir()}/effect-signer-ssh-`)),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

const ended = (child: ChildProcess) =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise<void>((resolve) => child.once("exit", () => resolve()))

/** An agent on a socket until the scope is closed. What is already there is replaced, as after a crash. */
export const agent = Effect.fnUntraced(function* (socket: string, env: Readonly<Record<string, string>> = {}) {
  yield* Effect.promise(() => rm(socket, { force: true }))
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn("ssh-agent", ["-D", "-a", socket], { env: { PATH: process.env["PATH"], ...env }, stdio: "ignore" })
    ),
    (child) =>
      Effect.promise(() => {
        child.kill("SIGTERM")
        return ended(child)
      })
  )
  yield* Effect.promise(async () => {
    while (!existsSync(socket) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5))
  })
  return {
    /** Ends it at once, in the middle of whatever it does. */
    kill: Effect.promise(() => {
      child.kill("SIGKILL")
      return ended(child)
    })
  }
})

const sshdPath = "/usr/sbin/sshd"

/** Why nobody can log in here. */
export const missingServer: string | undefined = existsSync(sshdPath)
  ? undefined
  : `openssh: there is no ${sshdPath}; run: apt-get install openssh-server`

const freePort = Effect.promise(
  () =>
    new Promise<number>((resolve) => {
      const server = createServer().listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        server.close(() => resolve(port))
      })
    })
)

/** A server on loopback until the scope is closed, where whoever has one of the keys logs in as this user. */
export const server = Effect.fnUntraced(function* (directory: string, authorizedKeys: string) {
  yield* keygen(`${directory}/host`, ["ed25519"], "host")
  yield* Effect.promise(() => writeFile(`${directory}/authorized`, authorizedKeys))
  if (process.getuid?.() === 0) yield* Effect.promise(() => mkdir("/run/sshd", { recursive: true, mode: 0o755 }))
  const port = yield* freePort
  const options = {
    ListenAddress: "127.0.0.1",
    HostKey: `${directory}/host`,
    AuthorizedKeysFile: `${directory}/authorized`,
    PidFile: "none",
    UsePAM: "no",
    StrictModes: "no",
    PermitRootLogin: "yes",
    PasswordAuthentication: "no"
  }
  const flags = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`])
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawn(sshdPath, ["-D", "-f", "/dev/null", "-p", `${port}`, ...flags], { stdio: "ignore" })),
    (child) =>
      Effect.promise(() => {
        child.kill("SIGTERM")
        return ended(child)
      })
  )
  const answers = Effect.promise(
    () =>
      new Promise<boolean>((resolve) => {
        const socket = connect(port, "127.0.0.1")
        socket
          .once("error", () => resolve(false))
          .once("connect", () => {
            socket.destroy()
            resolve(true)
          })
      })
  )
  while (child.exitCode === null && !(yield* answers)) yield* Effect.sleep("20 millis")
  return { port, user: userInfo().username }
})

/** Makes a key without a passphrase: `path` and `path.pub`, with its name as comment. */
export const keygen = (path: string, type: ReadonlyArray<string>, comment: string) =>
  ok("ssh-keygen", ["-q", "-t", ...type, "-N", "", "-C", comment, "-f", path])

export const add = (socket: string, ...args: ReadonlyArray<string>) =>
  ok("ssh-add", ["-q", ...args], { env: { SSH_AUTH_SOCK: socket } })
