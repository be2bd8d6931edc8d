/** The `openssl` program, where it is on the PATH. */
import { spawn, spawnSync } from "node:child_process"

const version = spawnSync("openssl", ["version"], { encoding: "utf8" })

export const hasOpenssl = version.status === 0

/** Runs `openssl` with input, and gives what it wrote. */
export const openssl = (args: ReadonlyArray<string>, input: string | Uint8Array): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const child = spawn("openssl", args, { stdio: ["pipe", "pipe", "pipe"] })
    const output: Array<Buffer> = []
    let problem = ""
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk))
    child.stderr.on("data", (chunk: Buffer) => {
      problem += chunk.toString()
    })
    child.on("error", reject)
    child.on("close", (code) =>
      code === 0 ? resolve(Buffer.concat(output)) : reject(new Error(`openssl ${args[0]}: ${problem.trim()}`))
    )
    child.stdin.on("error", () => {})
    child.stdin.end(input)
  })
