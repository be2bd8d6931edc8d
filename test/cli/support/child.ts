/**
 * Runs the command line as a user does: `node src/cli/bin.ts` in a process of its
 * own.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"

export const bin = fileURLToPath(new URL("../../../src/cli/bin.ts", import.meta.url))

export interface Options {
  readonly cwd?: string | undefined
  readonly stdin?: Uint8Array | string | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  /** More arguments of node. */
  readonly node?: ReadonlyArray<string> | undefined
  readonly bin?: string | undefined
  /** Sees the process as soon as it runs. */
  readonly started?: ((child: ChildProcess) => void) | undefined
}

export interface Result {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: Buffer
  readonly out: string
  readonly err: string
}

const { EFFECT_SIGNER_PASSPHRASE: _, FORCE_COLOR: __, NO_COLOR: ___, ...environment } = process.env

export const run = (args: ReadonlyArray<string>, options: Options = {}): Promise<Result> =>
  new Promise((resolve, reject) => {
    const nodeArgs = ["--conditions=effect-signer-source", ...(options.node ?? []), options.bin ?? bin]
    const child = spawn(process.execPath, [...nodeArgs, ...args], {
      cwd: options.cwd,
      env: { ...environment, TERM: "xterm", ...options.env }
    })
    const out: Array<Buffer> = []
    const err: Array<Buffer> = []
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk))
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk))
    child.stdin.on("error", () => {}) // a child that ends early does not read
    child.on("error", reject)
    child.on("close", (exitCode, signal) =>
      resolve({
        exitCode,
        signal,
        stdout: Buffer.concat(out),
        out: Buffer.concat(out).toString(),
        err: Buffer.concat(err).toString()
      })
    )
    if (options.stdin !== undefined) child.stdin.end(options.stdin)
    options.started?.(child)
  })
