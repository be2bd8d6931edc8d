/**
 * `npm run test:live`: every live suite against the software of others that this
 * machine has or can install, one after the other.
 *
 *   npm run test:live -- [--only NAMES] [--require NAMES] [--json FILE] [--list]
 *
 * A name is that of a program (`ministack`) or of what its tests are about (`aws`).
 * The report is an array of `{ suite, source, cases, passed, exceptions: [{ case,
 * reason }] }`, written whole or not at all. Fails where a case has a wrong answer,
 * where software that runs was given no case, and where what is required did not
 * run.
 */
import { existsSync } from "node:fs"
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { NodeRuntime } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Group from "./live/Group.ts"
import type { Software } from "./live/Software.ts"
import { cache, demandVariable, install, NotAvailable, start, urlVariable, versionOf } from "./live/Software.ts"
import { table } from "./live/table.ts"

const root = fileURLToPath(new URL("..", import.meta.url))

/** What came of one suite. `cases` is the sum of `passed`, `failed` and `exceptions`. */
interface Outcome {
  readonly software: Software
  readonly version: string
  readonly cases: number
  readonly passed: number
  readonly failed: number
  readonly exceptions: ReadonlyArray<{ readonly case: string; readonly reason: string }>
  /** Why nothing was run, or what else went wrong. */
  readonly problem?: string | undefined
}

/** `aws`, of `aws.live.test.ts`. */
const familyOf = ({ file }: Software) => file.replace(/\.live\.test\.ts$/, "")

const isNamed = (names: ReadonlyArray<string>) => (software: Software) =>
  names.includes(software.name) || names.includes(familyOf(software))

// ---------------------------------------------------------------------------
// what vitest reports
// ---------------------------------------------------------------------------

interface VitestReport {
  readonly testResults: ReadonlyArray<{
    readonly status: string
    readonly message?: string
    readonly assertionResults: ReadonlyArray<{ readonly fullName: string; readonly status: string }>
  }>
}

/** The reason of a test that is not run is at the end of its name: `case (reason)`. */
const exception = (name: string) => {
  const [, title = name, reason = "not run"] = /^(.*?) \((.*)\)$/s.exec(name) ?? []
  return { case: title, reason }
}

const outcome = (software: Software, version: string, { testResults }: VitestReport): Outcome => {
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
  const named = (status: (status: string) => boolean) => tests.filter((test) => status(test.status))
  const passed = named((status) => status === "passed").length
  // a file that cannot be loaded is one failed case
  const broken = testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length
  const failed = named((status) => status === "failed").length + broken
  const left = named((status) => status !== "passed" && status !== "failed").map(({ fullName }) => fullName.trim())
  const cases = passed + failed
  return cases === 0
    ? { ...absent(software, left[0] ?? "its tests hold no case"), version }
    : { software, version, cases: cases + left.length, passed, failed, exceptions: left.map(exception) }
}

const absent = (software: Software, why: string): Outcome => ({
  software,
  version: "",
  cases: 0,
  passed: 0,
  failed: 0,
  exceptions: [],
  problem: why
})

// ---------------------------------------------------------------------------
// running
// ---------------------------------------------------------------------------

const vitest = Effect.fnUntraced(function* (
  software: Software,
  version: string,
  env: Readonly<Record<string, string | undefined>>
): Effect.fn.Return<Outcome, never, Scope.Scope> {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "effect-signer-live-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
  )
  const report = join(folder, "report.json")
  const group = yield* Group.start(
    process.execPath,
    [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      "--config",
      "vitest.live.config.ts",
      `test/live/${software.file}`,
      "--reporter=dot",
      "--reporter=json",
      `--outputFile.json=${report}`
    ],
    { cwd: root, env: { ...process.env, ...env }, stdio: ["ignore", "inherit", "inherit"] }
  )
  const exit = yield* group.exit
  const result = existsSync(report)
    ? outcome(software, version, JSON.parse(yield* Effect.promise(() => readFile(report, "utf8"))) as VitestReport)
    : { ...absent(software, "the test runner wrote no report"), version, failed: 1 }
  return exit !== 0 && result.failed === 0
    ? { ...result, failed: 1, problem: `the test runner ended with ${exit}` }
    : result
}, Effect.scoped)

const runSuite = (software: Software, folder: Effect.Effect<string, NotAvailable>, isRequired: boolean) =>
  Effect.gen(function* () {
    const { file, name, variable } = software
    if (!existsSync(join(root, "test/live", file)))
      return yield* Effect.fail(new NotAvailable(`there is no test/live/${file}`))
    if (variable !== undefined && process.env[variable] === undefined) {
      return yield* Effect.fail(new NotAvailable(`${variable} is not set`))
    }
    const installed = yield* folder
    const version = yield* versionOf(software, installed)
    const url = yield* start(software, installed)
    console.log(`\n# ${software.suite} ${version}`)
    const result = yield* vitest(software, version, {
      ...software.env,
      [demandVariable]: url !== undefined || variable !== undefined || isRequired ? name : "",
      [urlVariable]: url
    })
    // it runs, and was asked for nothing
    return result.cases === 0 && url !== undefined ? { ...result, failed: 1 } : result
  }).pipe(
    Effect.scoped,
    Effect.catch((error) => Effect.succeed(absent(software, error.message)))
  )

// ---------------------------------------------------------------------------
// reporting
// ---------------------------------------------------------------------------

const lines = (outcomes: ReadonlyArray<Outcome>): ReadonlyArray<string> => {
  const cells = [
    ["suite", "software", "cases", "passed", "failed", "exceptions"],
    ...outcomes.map((row) => [
      row.software.suite,
      row.version || row.software.name,
      ...(row.cases > 0
        ? [row.cases, row.passed, row.failed, row.exceptions.length].map(String)
        : [row.failed > 0 ? "FAILED" : "not here", "", "", ""])
    ])
  ]
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  return [
    ...cells.map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd()
    ),
    ...outcomes.flatMap(({ failed, problem, software }) =>
      problem === undefined
        ? []
        : failed > 0
          ? ["", `${software.suite}: FAILED: ${problem}`]
          : ["", `${software.suite}: not here: ${problem}`, `  to run it: ${software.how}`]
    ),
    ...outcomes.flatMap(({ exceptions, software }) => {
      const reasons = Map.groupBy(exceptions, ({ reason }) => reason)
      return reasons.size === 0
        ? []
        : ["", `${software.suite}: exceptions`, ...[...reasons].map(([reason, all]) => `  ${all.length}  ${reason}`)]
    })
  ]
}

const writeReport = async (file: string, outcomes: ReadonlyArray<Outcome>): Promise<void> => {
  const rows = outcomes
    .filter(({ cases }) => cases > 0)
    .map(({ cases, exceptions, passed, software, version }) => ({
      suite: software.suite,
      source: version || software.name,
      cases,
      passed,
      exceptions
    }))
  const path = resolve(file)
  await writeFile(`${path}.${process.pid}.tmp`, `${JSON.stringify(rows, null, 2)}\n`)
  await rename(`${path}.${process.pid}.tmp`, path)
}

/** What is required and did not run. */
const missing = (required: ReadonlyArray<string>, outcomes: ReadonlyArray<Outcome>) =>
  required.filter((name) => !outcomes.some(({ passed, software }) => passed > 0 && isNamed([name])(software)))

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    require: { type: "string", default: "" },
    json: { type: "string" },
    list: { type: "boolean" }
  }
})

const split = (text: string) =>
  text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "")

const only = split(values.only)
const required = split(values.require)
const chosen = table.filter((software) => only.length === 0 || isNamed(only)(software))

const unknown = [...only, ...required].filter((name) => !table.some(isNamed([name])))
const unwanted = required.filter((name) => !chosen.some(isNamed([name])))

const main = Effect.gen(function* () {
  // what takes long to install is installed while the suites before it run
  const installing = new Map<Software, Fiber.Fiber<string, NotAvailable>>()
  for (const software of chosen) installing.set(software, yield* Effect.forkScoped(install(software)))
  const outcomes = yield* Effect.forEach(chosen, (software) =>
    runSuite(software, Fiber.join(installing.get(software)!), isNamed(required)(software))
  )
  console.log(`\n${lines(outcomes).join("\n")}`)
  const { json } = values
  if (json !== undefined) yield* Effect.promise(() => writeReport(json, outcomes))
  const absentees = missing(required, outcomes)
  for (const name of absentees) console.error(`\ntest:live: ${name} is required, and none of its cases has passed`)
  const count = (number: (outcome: Outcome) => number) => outcomes.reduce((sum, outcome) => sum + number(outcome), 0)
  const failed = count(({ failed }) => failed) + absentees.length
  console.log(`\ntest:live: ${count(({ passed }) => passed)} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
}).pipe(Effect.scoped)

if (values.list === true) {
  for (const software of table) console.log(`${software.name.padEnd(16)} ${software.suite.padEnd(28)} ${software.how}`)
  console.log(`\nWhat is installed is kept in ${cache}`)
} else if (unknown.length > 0 || unwanted.length > 0) {
  console.error(
    unknown.length > 0
      ? `test:live: nothing is named "${unknown[0]}". --list lists what there is.`
      : `test:live: --only leaves out "${unwanted[0]}", which is required`
  )
  process.exitCode = 2
} else {
  NodeRuntime.runMain(main)
}
