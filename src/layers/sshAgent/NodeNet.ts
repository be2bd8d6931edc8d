/**
 * What is used of `node:net`, `node:fs/promises` and `process`: unix sockets.
 * Node, Bun and Deno have them; where they are missing there is no agent to talk to.
 *
 * @category internal
 */

/** A connection. */
export interface Socket {
  on(event: "data", listener: (chunk: Uint8Array) => void): this
  on(event: "error", listener: (error: { readonly code?: unknown }) => void): this
  on(event: "close" | "drain", listener: () => void): this
  write(bytes: Uint8Array): boolean
  destroy(): void
  pause(): void
  resume(): void
  ref(): void
  unref(): void
}

/** Who listens for connections. */
export interface Server {
  maxConnections: number
  on(event: "error", listener: (error: { readonly code?: unknown }) => void): this
  listen(path: string, listening: () => void): void
  close(closed: () => void): void
}

interface Net {
  /** Not of a bare path: `node:net` takes one of digits for a TCP port. */
  readonly connect: (options: { readonly path: string }) => Socket
  readonly createServer: (connected: (socket: Socket) => void) => Server
}

interface Stat {
  readonly mode: number
  readonly uid: number
  readonly dev: number
  readonly ino: number
  isSocket(): boolean
}

interface Files {
  readonly stat: (path: string) => Promise<Stat>
  readonly lstat: (path: string) => Promise<Stat>
  readonly mkdir: (path: string, options: { readonly recursive: true; readonly mode: number }) => Promise<unknown>
  readonly mkdtemp: (prefix: string) => Promise<string>
  readonly chmod: (path: string, mode: number) => Promise<void>
  readonly link: (existing: string, path: string) => Promise<void>
  readonly rename: (from: string, to: string) => Promise<void>
  readonly unlink: (path: string) => Promise<void>
  readonly rmdir: (path: string) => Promise<void>
}

interface Process {
  readonly platform: string
  readonly getuid?: () => number
  readonly getBuiltinModule?: (id: string) => unknown
}

const runtime = (globalThis as { readonly process?: Process }).process

/** `node:net`. */
export const net = (): Net | undefined => runtime?.getBuiltinModule?.("node:net") as Net | undefined

/** `node:fs/promises`. */
export const files = (): Files | undefined => runtime?.getBuiltinModule?.("node:fs/promises") as Files | undefined

/** Who this process runs as; `undefined` where there are no such numbers. */
export const userId = (): number | undefined => runtime?.getuid?.()

export const isWindows = (): boolean => runtime?.platform === "win32"

/** The code of an error of the runtime: `ENOENT`. */
export const codeOf = (error: unknown): string | undefined => {
  const code = (error as { readonly code?: unknown } | null)?.code
  return typeof code === "string" && /^E[A-Z0-9_]{1,40}$/.test(code) ? code : undefined
}
