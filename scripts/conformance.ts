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
import { allSuites, originals, variable, vectors } from "../src/cli/vectors/VectorSuites.ts"
import { failed as failedOf, report, runSuite } from "../src/cli/vectors/VectorReport.ts"

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
  const failed = failedOf(results)
  if (failed > 0) console.error(`\nconformance: ${failed} failed`)
  return failed === 0 ? 0 : 1
}

process.exitCode = await main()
