/**
 * Times among the options of what is fetched, each with a default and bounds.
 *
 * @category internal
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"

/** Milliseconds. */
export interface Bounds {
  readonly default: number
  readonly min: number
  readonly max: number
}

/** The option in milliseconds, or its default. `field` is its name. */
export const millisOf = (
  field: string,
  stated: Duration.Input | undefined,
  { default: otherwise, max, min }: Bounds
): Effect.Effect<number, InvalidConfiguration> => {
  const [minimum, maximum] = [Duration.millis(min), Duration.millis(max)]
  const duration = Option.getOrUndefined(Duration.fromInput(stated ?? otherwise))
  return duration !== undefined && Duration.between(duration, { minimum, maximum })
    ? Effect.succeed(Duration.toMillis(duration))
    : Effect.fail(
        InvalidConfiguration.of({
          operation: "make",
          field,
          problem: `must be from ${Duration.format(minimum)} to ${Duration.format(maximum)}`
        })
      )
}
