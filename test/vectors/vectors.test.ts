import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { allSuites, suites, variable, vectors as folder } from "../../src/cli/vectors/VectorSuites.ts"

const found = folder === undefined ? [] : await Effect.runPromise(allSuites(folder))
const unread = [...suites.map(({ suite }) => suite), "wycheproof/*"]

describe("published vectors", () => {
  it.skipIf(folder === undefined).each(folder === undefined ? unread : [])(
    `%s: skipped, set ${variable} to the folder of the vectors`,
    (name) => assert.fail(`${name} was not run`)
  )

  it.skipIf(folder === undefined)("are found", () => assert.isAbove(found.length, suites.length))

  it.effect.each(found)(
    "$suite",
    (suite) =>
      Effect.gen(function* () {
        const result = yield* suite.run(folder!)
        assert.deepStrictEqual(result.failures, [])
        assert.isAbove(result.cases, 0)
        assert.strictEqual(result.passed + result.exceptions.length, result.cases)
      }),
    300_000
  )
})
