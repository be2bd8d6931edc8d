/**
 * A session bus with GNOME Keyring on it, as a desktop has them: `dbus-daemon` and
 * `gnome-keyring-daemon` of this machine, over a home of their own, with the login
 * keyring unlocked. Nothing here installs them.
 */
import { execFile, spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { NotAvailable } from "./Software.ts"

const run = promisify(execFile)

export const name = "gnome-keyring"

const programs = ["dbus-daemon", "dbus-send", "gnome-keyring-daemon", "secret-tool"]
const advice = "on Debian: apt-get install dbus gnome-keyring libsecret-tools"
const password = "login"
const hasOwner = "org.freedesktop.DBus.NameHasOwner"

export interface Session {
  /** What programs of the session have in their environment. */
  readonly env: Readonly<Record<string, string>>
  /** Locks the login keyring, for good. */
  readonly lock: Effect.Effect<void>
  /** Runs a program in the session, with this on its standard input. */
  readonly exec: (input: string, command: string, ...args: ReadonlyArray<string>) => Effect.Effect<string>
}

const attempt = <A>(evaluate: () => Promise<A>) =>
  Effect.tryPromise({
    try: evaluate,
    catch: (error) =>
      new NotAvailable(
        `${name} cannot be started here: ${error instanceof Error ? error.message : "unknown"}; ${advice}`
      )
  })

/** Runs a process until the scope is closed. */
const daemon = (
  env: Readonly<Record<string, string>>,
  input: string,
  command: string,
  ...args: ReadonlyArray<string>
): Effect.Effect<void, NotAvailable, Scope.Scope> =>
  Effect.acquireRelease(
    attempt(
      () =>
        new Promise<ReturnType<typeof spawn>>((resolve, reject) => {
          const child = spawn(command, args, { env, stdio: ["pipe", "ignore", "ignore"] })
          child.once("error", reject)
          child.once("spawn", () => resolve(child))
          child.stdin.end(input)
        })
    ),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGTERM")
        setTimeout(() => child.kill("SIGKILL"), 5000).unref()
      })
  )

/** Starts both, until the scope is closed. */
export const start: Effect.Effect<Session, NotAvailable, Scope.Scope> = Effect.gen(function* () {
  for (const program of programs) {
    yield* attempt(() =>
      run("sh", ["-c", 'command -v "$1"', "sh", program]).catch(() =>
        Promise.reject(new Error(`there is no ${program}`))
      )
    )
  }
  const home = yield* Effect.acquireRelease(
    attempt(() => mkdtemp(`${tmpdir()}/effect-signer-keyring-`)),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
  )
  const address = `unix:path=${home}/bus`
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: home,
    XDG_RUNTIME_DIR: home,
    XDG_DATA_HOME: home,
    DBUS_SESSION_BUS_ADDRESS: address
  }
  yield* daemon(env, "", "dbus-daemon", "--session", "--nofork", "--nopidfile", "--address", address)
  const exec: Session["exec"] = (input, command, ...args) =>
    Effect.promise(
      () =>
        new Promise<string>((resolve, reject) => {
          const child = execFile(command, args, { env, timeout: 20_000 }, (error, stdout) =>
            error === null ? resolve(stdout) : reject(error)
          )
          child.stdin!.on("error", () => {}) // of a program that reads nothing
          child.stdin!.end(input)
        })
    )
  const isOnBus = (name: string) =>
    exec("", "dbus-send", "--session", "--print-reply", "--dest=org.freedesktop.DBus", "/", hasOwner, `string:${name}`)
  const waitFor = (name: string) =>
    Effect.sandbox(isOnBus(name)).pipe(
      Effect.filterOrFail((reply) => reply.includes("boolean true")),
      Effect.retry({ schedule: Schedule.spaced("100 millis"), times: 100 }),
      Effect.mapError(() => new NotAvailable(`${name} does not come up; ${advice}`))
    )
  yield* waitFor("org.freedesktop.DBus")
  yield* daemon(env, password, "gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
  yield* waitFor("org.freedesktop.secrets")
  return {
    env,
    exec,
    // secret-tool lock of libsecret 0.20 crashes
    lock: Effect.asVoid(
      exec(
        "",
        "dbus-send",
        "--session",
        "--print-reply",
        "--dest=org.freedesktop.secrets",
        "/org/freedesktop/secrets",
        "org.freedesktop.Secret.Service.Lock",
        "array:objpath:/org/freedesktop/secrets/collection/login"
      )
    )
  }
})
