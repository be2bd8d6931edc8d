import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import * as RetryAfter from "../../src/schemas/RetryAfter.ts"

const now = Date.parse("Fri, 20 Nov 2026 12:00:00 GMT")

describe("RetryAfter", () => {
  it.each([
    ["0", 0],
    ["7", 7],
    [" 120 ", 120],
    ["Fri, 20 Nov 2026 12:00:30 GMT", 30],
    ["Fri, 20 Nov 2026 11:00:00 GMT", 0]
  ])("%j is %i seconds", (value, seconds) => {
    assert.strictEqual(Duration.toSeconds(RetryAfter.parse(value, now)!), seconds)
  })

  it.each([
    [undefined],
    [null],
    [7],
    [""],
    ["-1"],
    ["1.5"],
    ["1e3"],
    ["soon"],
    ["99999999999"],
    ["2026-11-20T12:00:30Z"]
  ])("%j says nothing", (value) => {
    assert.isUndefined(RetryAfter.parse(value, now))
  })

  it("a date that does not exist says nothing", () => {
    assert.isUndefined(RetryAfter.parse("Fri, 99 Foo 2026 12:00:30 GMT", now))
  })
})
