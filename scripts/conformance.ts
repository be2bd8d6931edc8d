/**
 * Runs every suite of published vectors, and the conformance kit over every
 * backend that needs no server of others, and reports what came of it.
 *
 *   npm run conformance -- [--json FILE] [--only PREFIX]
 *
 * The table is for people; the file holds an array of
 * `{ suite, source, cases, passed, exceptions: [{ case, reason }] }` and is written
 * whole or not at all. Fails where any case has a wrong answer, or where there
 * are no vectors.
 */
import { Effect } from "effect"
import { rename, writeFile } from "node:fs/promises"
import { resolve } from "node:path"
import { parseArgs } from "node:util"
import { kits } from "../test/conformance/kits.ts"
import { allSuites, originals, variable, vectors } from "../test/vectors/suites.ts"
import type { SuiteResult, VectorSuite } from "../test/vectors/VectorSuite.ts"

/** A suite that cannot be read is one failed case, so that no report is green without it. */
const runSuite = (suite: VectorSuite, folder: string): Effect.Effect<SuiteResult> =>
  Effect.catch(suite.run(folder), (error) =>
    Effect.succeed({
      suite: suite.suite,
      source: suite.source,
      cases: 1,
      passed: 0,
      exceptions: [],
      failures: [{ case: "the file", problem: error.message }]
    })
  )

const countBy = (reasons: ReadonlyArray<string>): ReadonlyArray<readonly [string, number]> => {
  const counts = new Map<string, number>()
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  return [...counts]
}

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd()
  )
}

const report = (results: ReadonlyArray<SuiteResult>): ReadonlyArray<string> => [
  ...table([
    ["suite", "cases", "passed", "exceptions", "source"],
    ...results.map((result) => [
      result.suite,
      String(result.cases),
      String(result.passed),
      String(result.exceptions.length),
      result.source
    ])
  ]),
  ...results
    .filter(({ exceptions }) => exceptions.length > 0)
    .flatMap(({ exceptions, suite }) => [
      "",
      `${suite}: exceptions`,
      ...countBy(exceptions.map(({ reason }) => reason)).map(([reason, count]) => `  ${count}  ${reason}`)
    ]),
  ...results
    .filter(({ failures }) => failures.length > 0)
    .flatMap(({ failures, suite }) => [
      "",
      `${suite}: FAILED`,
      ...failures.map((failure) => `  ${failure.case}: ${failure.problem}`)
    ])
]

const writeWhole = async (file: string, text: string): Promise<void> => {
  const temporary = `${file}.${process.pid}.tmp`
  await writeFile(temporary, text)
  await rename(temporary, file)
}

const main = async (): Promise<number> => {
  const { values } = parseArgs({ options: { json: { type: "string" }, only: { type: "string" } } })
  const folder = vectors
  if (folder === undefined) {
    console.error(
      [`conformance: set ${variable} to a folder with the published vectors. The originals are`, ...originals].join(
        "\n  "
      )
    )
    return 1
  }
  const suites = await Effect.runPromise(
    Effect.catch(allSuites(folder), (error) => {
      console.error(`conformance: ${error.message}`)
      return Effect.succeed([])
    })
  )
  if (suites.length === 0) return 1
  const running = [
    ...suites.map((suite) => ({ name: suite.suite, run: runSuite(suite, folder) })),
    ...kits.map((kit) => ({ name: kit.suite, run: kit.run }))
  ].filter(({ name }) => name.startsWith(values.only ?? ""))
  if (running.length === 0) {
    console.error(`conformance: no suite starts with "${values.only}"`)
    return 2
  }
  const results = await Effect.runPromise(
    Effect.forEach(running, ({ name, run }, index) =>
      Effect.andThen(
        Effect.sync(() => process.stderr.write(`${index + 1}/${running.length} ${name}\n`)),
        run
      )
    )
  )
  console.log(report(results).join("\n"))
  if (values.json !== undefined) {
    const published = results.map(({ failures: _, ...result }) => result)
    await writeWhole(resolve(values.json), `${JSON.stringify(published, null, 2)}\n`)
  }
  const failed = results.reduce((total, { failures }) => total + failures.length, 0)
  if (failed > 0) console.error(`\nconformance: ${failed} failed`)
  return failed === 0 ? 0 : 1
}

process.exitCode = await main()
