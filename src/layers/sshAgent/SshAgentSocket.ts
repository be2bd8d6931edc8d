/**
 * A unix socket that only its owner can open, made so that it is never open to
 * others, and that it takes the place of nothing that is in use or not ours.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import type { Socket } from "./NodeNet.ts"
import * as NodeNet from "./NodeNet.ts"

/** Bytes of a path on macOS and the BSDs, which have fewer than Linux; some runtimes cut longer ones off silently. */
const maxPathLength = 103

/** What a name in the same folder has more than the folder: `/.agent-XXXXXX/s`. */
const asidePrefix = ".agent-"

const invalid = (problem: string) =>
  new InvalidConfiguration({ backend: "ssh-agent-server", keyId: "-", operation: "make", field: "socket", problem })

/** What file systems say that have no links to sockets. */
const withoutLinks: ReadonlyArray<string | undefined> = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]

class Refused extends Error {}

const refuse = (problem: string): never => {
  throw new Refused(problem)
}

/** Whether anybody answers on a socket. */
const isAnswered = (net: NonNullable<ReturnType<typeof NodeNet.net>>, path: string): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ path }) as Socket & { on(event: "connect", listener: () => void): void }
    socket.on("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.on("error", (error) => {
      const code = NodeNet.codeOf(error)
      if (code === "ECONNREFUSED" || code === "ENOENT") resolve(false)
      else reject(new Refused(`it cannot be told whether the socket is in use (${code ?? "unknown"})`))
    })
  })

/** The sentence of what the system refused. */
const said = (error: unknown) =>
  invalid(error instanceof Refused ? error.message : `the system says ${NodeNet.codeOf(error) ?? "no"}`)

const attempt = <A>(evaluate: () => Promise<A>) => Effect.tryPromise({ try: evaluate, catch: said })

/** Listens on a socket until the scope ends; then it is closed, with all its connections, and removed. */
export const listen = Effect.fnUntraced(function* (
  path: string,
  maxConnections: number,
  connected: (socket: Socket) => void
): Effect.fn.Return<void, InvalidConfiguration, Scope.Scope> {
  const net = NodeNet.net()
  const files = NodeNet.files()
  const user = NodeNet.userId()
  if (net === undefined || files === undefined || NodeNet.isWindows() || user === undefined) {
    return yield* invalid("serving needs unix sockets, and a named pipe of Windows would be open to other users")
  }
  const folder = path.slice(0, Math.max(path.lastIndexOf("/"), 0)) || (path.startsWith("/") ? "/" : ".")
  const longest = Math.max(path.length, `${folder}/${asidePrefix}XXXXXX/s`.length)
  if (path === "" || path.endsWith("/") || path.includes("\0")) return yield* invalid("must be the path of a socket")
  if (new TextEncoder().encode(path).length - path.length + longest > maxPathLength) {
    return yield* invalid(`the path is too long: sockets have ${maxPathLength} bytes, of which some are kept free`)
  }

  const checkFolder = async () => {
    await files.mkdir(folder, { recursive: true, mode: 0o700 })
    const { mode, uid } = await files.stat(folder)
    if ((mode & 0o022) !== 0) refuse("others may write to the folder of the socket; use one of your own, of mode 0700")
    if (uid !== user && uid !== 0) refuse("the folder of the socket belongs to another user")
  }

  /** Gives the socket its name: link(2) replaces nothing, also not what came there meanwhile. */
  const publish = async (bound: string) => {
    try {
      await files.link(bound, path)
      await files.unlink(bound)
    } catch (error) {
      if (NodeNet.codeOf(error) === "EEXIST") refuse("another agent has taken the name meanwhile")
      if (!withoutLinks.includes(NodeNet.codeOf(error))) throw error
      await files.rename(bound, path)
    }
  }

  const isMissing = (error: unknown): undefined => {
    if (NodeNet.codeOf(error) !== "ENOENT") throw error
  }

  /** Removes what was left behind by a process that ended. */
  const makeRoom = async (aside: string) => {
    const stat = await files.lstat(path).catch(isMissing)
    if (stat === undefined) return
    if (!stat.isSocket()) refuse("there is a file of this name that is no socket; it is not replaced")
    if (stat.uid !== user) refuse("the socket belongs to another user; it is not replaced")
    if (await isAnswered(net, path)) refuse("another agent answers on this socket")
    // Another agent may have made room, too, and have the name by now: what is moved is asked once more
    const moved = `${aside}/o`
    if ((await files.rename(path, moved).then(() => true, isMissing)) !== true) return
    if (await isAnswered(net, moved)) {
      await publish(moved)
      refuse("another agent has taken the name meanwhile")
    }
    await files.unlink(moved)
  }

  yield* attempt(checkFolder)

  // Bound in a folder that only we can enter, and moved when its mode is right: it is never open to others
  const aside = yield* Effect.acquireRelease(
    attempt(() => files.mkdtemp(`${folder}/${asidePrefix}`)),
    (aside) => Effect.promise(() => files.rmdir(aside).catch(() => {}))
  )
  yield* attempt(() => makeRoom(aside))
  const bound = `${aside}/s`
  const sockets = new Set<Socket>()
  yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof net.createServer>, InvalidConfiguration>((resume) => {
      const server = net.createServer((socket) => {
        sockets.add(socket)
        socket.on("close", () => sockets.delete(socket))
        connected(socket)
      })
      server.maxConnections = maxConnections
      server.on("error", (error) => resume(Effect.fail(said(error))))
      server.listen(bound, () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
  )
  yield* Effect.acquireRelease(
    attempt(async () => {
      await files.chmod(bound, 0o600)
      const { dev, ino } = await files.lstat(bound)
      await publish(bound)
      await files.rmdir(aside)
      return { dev, ino }
    }),
    // Not what somebody else has put there meanwhile
    ({ dev, ino }) =>
      Effect.promise(async () => {
        const stat = await files.lstat(path).catch(() => undefined)
        if (stat?.dev === dev && stat.ino === ino) await files.unlink(path).catch(() => {})
      })
  )
})
