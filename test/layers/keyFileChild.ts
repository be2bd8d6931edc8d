/**
 * A process that writes a key file, for the tests that kill it: `loop PATH FROM TO`
 * changes the passphrase to and fro until it is killed, `once PATH FROM TO` does
 * so once and says how that ended.
 */
import { Effect, Redacted } from "effect"
import * as FileSigner from "../../src/layers/FileSigner.ts"

const [mode, path, from, to] = process.argv.slice(2) as [string, string, string, string]

const change = (from: string, to: string) =>
  FileSigner.changePassphrase({
    path,
    passphrase: Redacted.make(from),
    newPassphrase: Redacted.make(to),
    cost: { memory: 8, iterations: 1, parallelism: 1 }
  })

if (mode === "once") {
  const exit = await Effect.runPromiseExit(change(from, to))
  console.log(JSON.stringify(exit._tag === "Success" ? { ok: true } : exit.cause.reasons[0]))
} else {
  // Whoever was killed before may have left either of them
  let [now, next] = [from, to]
  for (let turn = 0; ; turn++) {
    const exit = await Effect.runPromiseExit(change(now, next))
    if (exit._tag === "Failure" && turn > 0) throw new Error(String(exit.cause))
    ;[now, next] = [next, now]
    if (turn === 1) process.stdout.write("ready\n")
  }
}
