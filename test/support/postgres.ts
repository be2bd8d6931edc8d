/**
 * A PostgreSQL server that lives as long as a scope: a new cluster in a temporary
 * folder, on a free port of the loopback interface, from the package of the system
 * (Debian and Ubuntu: `apt-get install postgresql`).
 */
import { PgClient } from "@effect/sql-pg"
import { Data, Effect, Layer, Redacted } from "effect"
import { execFile, spawn } from "node:child_process"
import * as Fs from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"

/** Where the packages of the usual systems put the programs of the server. */
const folders = ["/usr/lib/postgresql", "/usr/pgsql", "/usr/local/opt/postgresql", "/opt/homebrew/opt/postgresql"]

const candidates = (): ReadonlyArray<string> =>
  [
    ...(process.env["POSTGRES_BIN"] === undefined ? [] : [process.env["POSTGRES_BIN"]]),
    ...folders.flatMap((folder) =>
      !Fs.existsSync(folder)
        ? []
        : Fs.existsSync(join(folder, "bin"))
          ? [join(folder, "bin")]
          : Fs.readdirSync(folder)
              .sort((a, b) => Number(b) - Number(a))
              .map((version) => join(folder, version, "bin"))
    )
  ].filter((bin) => Fs.existsSync(join(bin, "initdb")) && Fs.existsSync(join(bin, "postgres")))

const bin = candidates()[0]

const isRoot = process.geteuid?.() === 0

/** `initdb` and `postgres` refuse to run as root: then as the user of the package, or as nobody. */
const userOf = (): { readonly uid: number; readonly gid: number } | undefined => {
  if (!isRoot) return undefined
  const users = Fs.readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"))
  const user = users.find(([name]) => name === "postgres") ?? users.find(([name]) => name === "nobody")
  return user === undefined ? { uid: 65_534, gid: 65_534 } : { uid: Number(user[2]), gid: Number(user[3]) }
}

/** Why there is no server here, with the line that installs it; `undefined` where there is. */
export const missing: string | undefined =
  bin === undefined
    ? "no PostgreSQL server here; Debian and Ubuntu: apt-get install -y postgresql; or set POSTGRES_BIN to the folder of initdb and postgres"
    : undefined

/** What did not start, with the end of its log. */
export class PostgresFailed extends Data.TaggedError("PostgresFailed")<{ readonly problem: string }> {
  override get message() {
    return this.problem
  }
}

/** A running server. Anybody on this machine may connect who knows the password. */
export interface Server {
  readonly port: number
  readonly username: string
  readonly password: string
  readonly database: string
  /** For `PgClient.layer` and `PgClient.make`. */
  readonly config: {
    readonly host: string
    readonly port: number
    readonly username: string
    readonly password: Redacted.Redacted
    readonly database: string
  }
  /** Kills the server as a power failure would, and starts it again over the same files. */
  readonly crash: Effect.Effect<void, PostgresFailed>
}

const run = promisify(execFile)

const freePort = Effect.promise(
  () =>
    new Promise<number>((resolve, reject) => {
      const server = createServer().once("error", reject)
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
      })
    })
)

const attempt = <A>(what: string, use: () => Promise<A>) =>
  Effect.tryPromise({
    try: use,
    catch: (error) => new PostgresFailed({ problem: `${what}: ${String((error as Error).message).slice(0, 2000)}` })
  })

/** Whether the server takes connections: it says so in its log, once it has recovered what was lost. */
const ready = Effect.fnUntraced(function* (log: string, isRunning: () => boolean) {
  const end = Date.now() + 60_000
  while (Date.now() < end) {
    const text = Fs.existsSync(log) ? Fs.readFileSync(log, "utf8") : ""
    if (text.includes("database system is ready to accept connections")) return
    if (!isRunning()) return yield* new PostgresFailed({ problem: `postgres ended: ${text.slice(-2000)}` })
    yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 25)))
  }
  return yield* new PostgresFailed({ problem: "postgres is not ready after a minute" })
})

type Stop = (signal: "SIGQUIT" | "SIGKILL") => Effect.Effect<void>

const start = (folder: string, port: number, user: ReturnType<typeof userOf>) =>
  Effect.gen(function* () {
    const log = join(folder, `log-${Date.now()}`)
    const out = Fs.openSync(log, "a", 0o600)
    const child = spawn(
      join(bin!, "postgres"),
      // Nothing here outlives a power failure, and nothing needs to: `crash` ends processes, and what they wrote stays.
      ["-D", join(folder, "data"), "-p", String(port), "-h", "127.0.0.1", "-k", "", "-F", "-c", "max_connections=200"],
      { stdio: ["ignore", out, out], cwd: folder, ...user }
    )
    Fs.closeSync(out)
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()))
    const stop: Stop = (signal) =>
      Effect.promise(() => {
        if (child.exitCode === null && child.signalCode === null) child.kill(signal)
        return ended
      })
    yield* Effect.onError(
      ready(log, () => child.exitCode === null && child.signalCode === null),
      () => stop("SIGKILL")
    )
    return stop
  })

/** A new server, stopped and removed when the scope closes. */
export const server = Effect.gen(function* () {
  if (bin === undefined) return yield* new PostgresFailed({ problem: missing! })
  const user = userOf()
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const path = Fs.mkdtempSync(join(tmpdir(), "effect-signer-postgres-"))
      if (user !== undefined) Fs.chownSync(path, user.uid, user.gid)
      return path
    }),
    (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
  )
  const [username, password, database] = ["signer", globalThis.crypto.randomUUID(), "postgres"]
  const passwordFile = join(folder, "password")
  Fs.writeFileSync(passwordFile, password, { mode: 0o600 })
  if (user !== undefined) Fs.chownSync(passwordFile, user.uid, user.gid)
  const options = ["-U", username, "--pwfile", passwordFile, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "-N"]
  yield* attempt("initdb", () =>
    run(join(bin, "initdb"), ["-D", join(folder, "data"), ...options], { cwd: folder, ...user })
  )
  const port = yield* freePort
  let stop: Stop = () => Effect.void
  yield* Effect.acquireRelease(
    Effect.map(start(folder, port, user), (started) => {
      stop = started
    }),
    () => Effect.suspend(() => stop("SIGQUIT"))
  )
  return {
    port,
    username,
    password,
    database,
    config: { host: "127.0.0.1", port, username, password: Redacted.make(password), database },
    // the postmaster takes its children with it at SIGQUIT, without a checkpoint: what is in the log is what is left
    crash: Effect.flatMap(
      Effect.suspend(() => stop("SIGQUIT")),
      () =>
        Effect.map(start(folder, port, user), (next) => {
          stop = next
        })
    )
  } satisfies Server
})

/** A client of a server, as `SqlClient` and `PgClient`, with up to ten connections. */
export const client = ({ config }: Server) => PgClient.layer({ ...config, maxConnections: 10 })

/** A client of a server of its own. */
export const layer = Layer.unwrap(Effect.map(server, client))
