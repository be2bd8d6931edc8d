/**
 * A package that only some backends need, and that is loaded when one of them is
 * built.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import type { Problem } from "./Outcome.ts"

/** Imports a package. `otherwise` says what would do instead of it. */
export const load = <A>(name: string, load: () => Promise<A>, otherwise = ""): Effect.Effect<A, Problem> =>
  Effect.tryPromise({
    try: load,
    catch: (): Problem => (context) =>
      new InvalidConfiguration({
        ...context,
        field: name,
        problem: `the package is not installed, or is not usable here; run: npm install ${name}${otherwise}`,
        absent: true
      })
  })
