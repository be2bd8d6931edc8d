import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { InvalidConfiguration } from "../../src/schemas/SignerError.ts"

/** Fails with `InvalidConfiguration` on this field, with a problem that matches. */
export const refused = <A, E>(effect: Effect.Effect<A, E>, field: string, problem: RegExp): Effect.Effect<void, A> =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.instanceOf(error, InvalidConfiguration)
    assert.strictEqual(error.field, field)
    assert.match(error.problem, problem)
  })
