/**
 * Times that are stated on the command line: `5 minutes`.
 *
 * @category internal
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Failure } from "./Failure.ts"
import { fail } from "./Failure.ts"

/** Reads what a flag says. */
export const read = (flag: string, stated: string): Effect.Effect<Duration.Duration, Failure> =>
  Option.match(Duration.fromInput(stated as Duration.Input), {
    onNone: () => fail(`--${flag} has a wrong value; expected a number and a unit, as in "5 minutes"`),
    onSome: (duration) =>
      Duration.isFinite(duration) ? Effect.succeed(duration) : fail(`--${flag} must be a finite time`)
  })

/** Reads what a flag says where it is there. */
export const readOptional = (
  flag: string,
  stated: Option.Option<string>
): Effect.Effect<Duration.Duration | undefined, Failure> =>
  Effect.map(Effect.transposeOption(Option.map(stated, (text) => read(flag, text))), Option.getOrUndefined)
