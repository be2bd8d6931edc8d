/**
 * What came of suites of vectors, as a table for people.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type { SuiteResult, VectorSuite } from "./VectorSuite.ts"

/** Runs a suite. One that cannot be read or run is one failed case, so that no report is green without it. */
export const runSuite = (suite: VectorSuite, folder: string): Effect.Effect<SuiteResult> => {
  const failed = (problem: string) =>
    Effect.succeed({
      suite: suite.suite,
      source: suite.source,
      cases: 1,
      passed: 0,
      exceptions: [],
      failures: [{ case: "the file", problem }]
    })
  return suite.run(folder).pipe(
    Effect.catch((error) => failed(error.message)),
    Effect.catchDefect((defect) => failed(defect instanceof Error ? defect.message : String(defect)))
  )
}

/** How many cases failed. */
export const failed = (results: ReadonlyArray<SuiteResult>): number =>
  results.reduce((total, { failures }) => total + failures.length, 0)

const countBy = (reasons: ReadonlyArray<string>): ReadonlyArray<readonly [string, number]> => {
  const counts = new Map<string, number>()
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  return [...counts]
}

/** Columns as wide as they must be. */
export const table = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd()
  )
}

/** The lines of the report: a row for each suite, then why cases were left out, then what failed. */
export const report = (results: ReadonlyArray<SuiteResult>): ReadonlyArray<string> => [
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
