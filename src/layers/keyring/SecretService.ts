/**
 * Asks the Secret Service of the session bus whether it is there, unlocked, and
 * has an entry: before a native library that cannot be interrupted does.
 *
 * That library connects in a constructor, which blocks the thread for as long as
 * the bus or the service does not answer, and cannot tell an entry that is absent
 * from one that it cannot see.
 *
 * https://specifications.freedesktop.org/secret-service/latest/
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Malformed } from "../../schemas/Malformed.ts"
import * as DBus from "./DBus.ts"

/** What the Secret Service says. */
export interface State {
  /** Absent where nothing was set up yet: an entry can be stored nowhere. */
  readonly collection: "absent" | "locked" | "unlocked"
  /** The entry, wherever it is. */
  readonly entry: "absent" | "locked" | "unlocked"
}

/** Why there is no answer. */
export class Absent extends Error {
  override readonly name = "Absent"
}

interface Socket extends AsyncIterable<Uint8Array> {
  write(bytes: Uint8Array): void
  destroy(): void
  on(event: "error", listener: () => void): void
}

interface Process {
  readonly platform?: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly getuid?: () => number
  readonly getBuiltinModule?: (id: string) => unknown
}

declare const process: Process | undefined

const runtime = (): Process => (typeof process === "undefined" ? {} : process)

/** Tells whether the keyring of this platform is the Secret Service. */
export const isUsed = (): boolean => runtime().platform === "linux"

const unescaped = (value: string) =>
  value.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))

/**
 * The socket of the session bus ("Server Addresses"). Without an address it is
 * `bus` in the runtime directory, where systemd puts it.
 */
export const socketPath = (env: Readonly<Record<string, string | undefined>>): string | undefined => {
  const address = env["DBUS_SESSION_BUS_ADDRESS"]
  const runtimeDirectory = env["XDG_RUNTIME_DIR"]
  if (address === undefined || address === "") {
    return runtimeDirectory === undefined || runtimeDirectory === "" ? undefined : `${runtimeDirectory}/bus`
  }
  for (const one of address.split(";")) {
    if (!one.startsWith("unix:")) continue
    for (const pair of one.slice("unix:".length).split(",")) {
      const [key, value = ""] = pair.split("=", 2)
      if (value === "") continue
      if (key === "path") return unescaped(value)
      if (key === "abstract") return `\0${unescaped(value)}`
      if (key === "runtime" && value === "yes" && runtimeDirectory !== undefined) return `${runtimeDirectory}/bus`
    }
  }
  return undefined
}

const connect = Effect.suspend((): Effect.Effect<Socket, Absent, Scope.Scope> => {
  const { env = {}, getBuiltinModule } = runtime()
  const path = socketPath(env)
  if (path === undefined) {
    return Effect.fail(
      new Absent("there is no D-Bus session bus here: DBUS_SESSION_BUS_ADDRESS names no Unix socket, as on a server")
    )
  }
  const net = getBuiltinModule?.("node:net") as { connect(options: { path: string }): Socket } | undefined
  if (net === undefined) return Effect.fail(new Absent("there are no Unix sockets in this runtime"))
  return Effect.acquireRelease(
    Effect.sync(() => {
      const socket = net.connect({ path })
      socket.on("error", () => {}) // the reader fails with it; after that nobody listens
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )
})

const concat = (a: Uint8Array, b: Uint8Array) => {
  const bytes = new Uint8Array(a.length + b.length)
  bytes.set(a)
  bytes.set(b, a.length)
  return bytes
}

const service = "org.freedesktop.secrets"
const servicePath = "/org/freedesktop/secrets"

const converse = async (socket: Socket, attributes: Readonly<Record<string, string>>): Promise<State> => {
  const chunks = socket[Symbol.asyncIterator]()
  let buffer = new Uint8Array(0)
  const readMore = async () => {
    const next = await chunks.next()
    if (next.done === true) throw new Absent("the D-Bus session bus closed the connection")
    if (buffer.length > 2 * DBus.maxMessageLength) throw new Malformed("dbus", "more bytes than any answer has")
    buffer = concat(buffer, next.value)
  }
  const line = async () => {
    let end = -1
    while ((end = buffer.indexOf(0x0a)) < 0) await readMore()
    const text = new TextDecoder().decode(buffer.subarray(0, end)).trimEnd()
    buffer = buffer.slice(end + 1)
    return text
  }
  let serial = 0
  const call = async (method: DBus.Call, signature: string): Promise<DBus.Reader> => {
    const asked = ++serial
    socket.write(DBus.encodeCall(asked, method))
    for (;;) {
      const message = DBus.decode(buffer)
      if (message === undefined) {
        await readMore()
        continue
      }
      buffer = buffer.slice(message.length)
      if (message.replySerial !== asked) continue // a signal
      if (message.type === DBus.error) {
        throw new Absent(
          "no Secret Service answers on the D-Bus session bus: start gnome-keyring-daemon, KWallet or KeePassXC"
        )
      }
      if (message.type !== DBus.methodReturn || message.signature !== signature) {
        throw new Malformed("dbus", `an answer of type (${message.signature}), expected (${signature})`)
      }
      return message.body
    }
  }

  // "Authentication Protocol": a zero byte, then the user id in decimal, in hex
  const user = [...String(runtime().getuid?.() ?? 0)].map((digit) => `3${digit}`).join("")
  socket.write(new TextEncoder().encode(`\0AUTH EXTERNAL ${user}\r\n`))
  if (!(await line()).startsWith("OK ")) throw new Absent("the D-Bus session bus does not accept this user")
  socket.write(new TextEncoder().encode("BEGIN\r\n"))
  const bus = "org.freedesktop.DBus"
  await call({ destination: bus, path: "/org/freedesktop/DBus", interface: bus, member: "Hello" }, "s")

  const toService = { destination: service, path: servicePath, interface: "org.freedesktop.Secret.Service" }
  const found = await call({ ...toService, member: "SearchItems", arguments: [attributes] }, "aoao")
  const [unlocked, locked] = [found.skipArray(), found.skipArray()]
  const collection = (await call({ ...toService, member: "ReadAlias", arguments: ["default"] }, "o")).text()
  return {
    entry: unlocked > 0 ? "unlocked" : locked > 0 ? "locked" : "absent",
    collection: collection === "/" ? "absent" : (await isLocked(collection)) ? "locked" : "unlocked"
  }

  async function isLocked(path: string): Promise<boolean> {
    const value = await call(
      {
        destination: service,
        path,
        interface: "org.freedesktop.DBus.Properties",
        member: "Get",
        arguments: ["org.freedesktop.Secret.Collection", "Locked"]
      },
      "v"
    )
    if (value.signature() !== "b") throw new Malformed("dbus", "the property Locked is no boolean")
    return value.u32() !== 0
  }
}

/**
 * The state of the entry with these attributes. Fails with {@link Absent}, also
 * where the other side does not speak D-Bus. It waits for as long as the bus does:
 * the caller sets the limit, and interruption closes the socket.
 */
export const state = (attributes: Readonly<Record<string, string>>): Effect.Effect<State, Absent> =>
  Effect.scoped(
    Effect.flatMap(connect, (socket) =>
      Effect.tryPromise({
        try: () => converse(socket, attributes),
        catch: (error) => {
          if (error instanceof Absent) return error
          if (error instanceof Malformed) return new Absent(`what answers is not the Secret Service: ${error.problem}`)
          const code = (error as { readonly code?: unknown } | null)?.code
          return new Absent(
            `the D-Bus session bus cannot be reached: ${typeof code === "string" ? code : "the connection failed"}`
          )
        }
      })
    )
  )
