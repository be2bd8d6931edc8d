/**
 * `npm run bench -- [--json FILE] [--only PREFIX]`
 */
import { rename, writeFile } from "node:fs/promises"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import { NotAvailable } from "../scripts/live/Software.ts"
import { rows as aws } from "./aws.ts"
import { rows as decorators } from "./decorators.ts"
import { rows as http } from "./http.ts"
import { rows as imports } from "./imports.ts"
import { rows as interruption } from "./interruption.ts"
import { rows as jose } from "./jose.ts"
import { rows as keys } from "./keys.ts"
import { rows as local } from "./local.ts"
import { rows as pkcs11 } from "./pkcs11.ts"
import type { Result } from "./Row.ts"
import { rows as startup } from "./startup.ts"
import { rows as vault } from "./vault.ts"

const all = [
  ...local,
  ...decorators,
  ...imports,
  ...startup,
  ...jose,
  ...http,
  ...keys,
  ...vault,
  ...aws,
  ...interruption,
  ...pkcs11
]

const { values } = parseArgs({
  options: {
    json: { type: "string" },
    only: { type: "string" },
    help: { type: "boolean", short: "h" }
  }
})

if (values.help === true) {
  console.log(`npm run bench -- [--json FILE] [--only PREFIX]

  --json FILE     also write the rows as JSON
  --only PREFIX   only rows whose name starts with PREFIX

Rows: ${all.map((row) => row.name).join(", ")}`)
  process.exit(0)
}

const chosen = all.filter((row) => row.name.startsWith(values.only ?? ""))
if (chosen.length === 0) {
  console.error(`No row starts with "${values.only}". --help lists them.`)
  process.exit(2)
}

const width = Math.max(...chosen.map((row) => row.name.length))
console.log(`${"row".padEnd(width)}  ${"value".padStart(12)}  ${"ratio".padStart(6)}  against`)

const results: Array<Result> = []
for (const row of chosen) {
  const result = await Effect.runPromise(
    Effect.catch(row.measure, (error) => (error instanceof NotAvailable ? Effect.succeed(error) : Effect.fail(error)))
  )
  if (result instanceof NotAvailable) {
    console.log(`${row.name.padEnd(width)}  left out: ${result.message}`)
    continue
  }
  results.push(result)
  const value = `${result.value.toFixed(1)} ${result.unit}`
  console.log(
    `${row.name.padEnd(width)}  ${value.padStart(12)}  ${result.ratio.toFixed(2).padStart(6)}  ${result.against}`
  )
}

if (values.json !== undefined) {
  await writeFile(`${values.json}.tmp`, `${JSON.stringify(results, null, 2)}\n`)
  await rename(`${values.json}.tmp`, values.json)
}
