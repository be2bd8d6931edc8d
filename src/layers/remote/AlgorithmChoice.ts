/**
 * Which algorithm a Signer is for, where a key may be able to do several.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import type { Problem } from "./Outcome.ts"

/** The one that was asked for, else the only one that a key of this type can do. */
export const choose = (
  asked: SignatureAlgorithm | undefined,
  candidates: ReadonlyArray<SignatureAlgorithm>,
  type: string
): Effect.Effect<SignatureAlgorithm, Problem> => {
  const only = asked ?? (candidates.length === 1 ? candidates[0] : undefined)
  if (only !== undefined && candidates.includes(only)) return Effect.succeed(only)
  const list = candidates.join(", ")
  const problem =
    only === undefined
      ? `a key of type ${type} can do several; state one of ${list}`
      : `the key is of type ${type} and cannot do ${only}; it can do ${list}`
  return Effect.fail((context) => new InvalidConfiguration({ ...context, field: "algorithm", problem }))
}
