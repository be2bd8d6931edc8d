/** Starts the processes of `rotationChild.ts`, all at the same moment. */
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Taken } from "../rotationSteps.ts"

const child = fileURLToPath(new URL("../rotationChild.ts", import.meta.url))
const root = fileURLToPath(new URL("../../..", import.meta.url))

/** A process that is ready and waits. */
export const start = (args: ReadonlyArray<string>) =>
  new Promise<{
    /** Lets it go on, and tells what it did; `undefined` where it was killed. */
    readonly go: () => Promise<Taken | undefined>
    readonly kill: () => void
  }>((resolve, reject) => {
    const process = spawn(globalThis.process.execPath, ["--conditions=effect-signer-source", child, ...args], {
      cwd: root
    })
    let out = ""
    let problem = ""
    let settle: (taken: Taken | undefined) => void = () => {}
    let fail: (error: Error) => void = reject
    process.stderr.on("data", (chunk) => (problem += chunk))
    process.stdout.on("data", (chunk) => {
      const isFirst = out === ""
      out += chunk
      if (!isFirst) return
      resolve({
        go: () =>
          new Promise((resolve, reject) => {
            settle = resolve
            fail = reject
            process.stdin.write("go\n")
          }),
        kill: () => process.kill("SIGKILL")
      })
    })
    process.on("close", (code, signal) => {
      if (signal === "SIGKILL") return settle(undefined)
      if (code !== 0) return fail(new Error(`a process failed: ${problem}`))
      settle(JSON.parse(out.trimEnd().split("\n")[1]!) as Taken)
    })
  })
