import { assert, describe, it } from "@effect/vitest"
import { secondsLeft } from "../../src/schemas/CacheControl.ts"

describe("secondsLeft", () => {
  it.each([
    [undefined, undefined, undefined],
    ["", "5", undefined],
    ["public", undefined, undefined],
    ["max-age=60", undefined, 60],
    ["public, Max-Age=60 , must-revalidate", undefined, 60],
    ["max-age=60", "20", 40],
    ["max-age=60", " 20 ", 40],
    ["max-age=60", "100", 0],
    ["max-age=60", "-5", 60],
    ["max-age=60", "soon", 60],
    [`max-age="60"`, undefined, 60],
    ["max-age=60, max-age=30", undefined, 30],
    ["max-age", undefined, 0],
    ["max-age=", undefined, 0],
    ["max-age=-1", undefined, 0],
    ["max-age=1.5", undefined, 0],
    ["max-age=1e9", undefined, 0],
    ["max-age=60, no-store", undefined, 0],
    ["no-cache", undefined, 0],
    [`no-cache="set-cookie"`, undefined, 0],
    ["NO-STORE", undefined, 0],
    ["s-maxage=60", undefined, undefined],
    ["max-age=999999999999", undefined, 999_999_999_999]
  ] as const)("of %j and age %j is %j", (cacheControl, age, seconds) => {
    assert.strictEqual(secondsLeft(cacheControl, age), seconds)
  })
})
