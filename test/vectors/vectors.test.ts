import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { allSuites, suites, variable } from "./suites.ts"

const folder = process.env[variable]

if (folder === undefined) {
  describe("published vectors", () => {
    for (const name of [...suites.map(({ suite }) => suite), "wycheproof/*"]) {
      it.skip(`${name}: skipped, set ${variable} to the folder of the vectors`, () => {})
    }
  })
} else {
  const found = await Effect.runPromise(allSuites(folder))
  describe("published vectors", () => {
    it("are found", () => assert.isAbove(found.length, suites.length))

    it.effect.each(found)("$suite", (suite) =>
      Effect.gen(function*() {
        const result = yield* suite.run(folder)
        assert.deepStrictEqual(result.failures, [])
        assert.isAbove(result.cases, 0)
        assert.strictEqual(result.passed + result.exceptions.length, result.cases)
      }), 300_000)
  })
}
