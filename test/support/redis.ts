/**
 * A throw-away Redis: on a loopback port, in memory only, gone with the scope.
 *
 * @category internal
 */
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { createServer } from "node:net"

const binary = ["/usr/bin/redis-server", "/usr/local/bin/redis-server", "/opt/homebrew/bin/redis-server"].find((path) =>
  existsSync(path)
)

/** Why there is none. */
export const missing =
  binary === undefined
    ? "redis-server is not installed: apt-get install --no-install-recommends redis-server"
    : undefined

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { readonly port: number }
    server.close(() => resume(Effect.succeed(port)))
  })
})

export interface RedisServer {
  readonly url: string
  readonly password: string
  /** Ends it at once, as a crash would. */
  readonly kill: Effect.Effect<void>
}

/** Starts one; answers when it takes connections. */
export const start = Effect.gen(function* () {
  const password = "canary-redis-password-57c1"
  const port = yield* freePort
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(
        binary!,
        ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--requirepass", password],
        { cwd: "/tmp", stdio: ["ignore", "pipe", "ignore"] }
      )
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  yield* Effect.callback<void>((resume) => {
    let output = ""
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString()
      if (output.includes("Ready to accept connections")) resume(Effect.void)
    })
    child.on("exit", () => resume(Effect.die(`redis-server ended: ${output}`)))
  })
  const kill = Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.on("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })
  return { url: `redis://:${password}@127.0.0.1:${port}`, password, kill } satisfies RedisServer
})
