/**
 * The one exception of the key codecs, and the one place where it becomes a
 * typed error.
 *
 * A codec is a plain function over bytes or text: it returns, or it throws
 * {@link Malformed}. What it says never shows the input: a parser that lost its
 * place reads secret bytes as labels, names and numbers.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import { InvalidConfiguration } from "./SignerError.ts"

/** Bytes of text or DER that any codec reads at most. The largest key here, RSA with 16384 bits, needs 13,000. */
export const maxInputLength = 65_536

/** What a codec throws: the input is not one. */
export class Malformed extends Error {
  override readonly name = "Malformed"
  readonly field: string
  readonly problem: string

  constructor(field: string, problem: string) {
    super(`${field}: ${problem}`)
    this.field = field
    this.problem = problem
  }
}

/** The error of malformed input. */
export const invalid = (field: string, problem: string) => InvalidConfiguration.of({ field, problem })

/** Runs a codec: what it threw is a typed failure, anything else is a bug and stays a defect. */
export const attempt = <A>(codec: () => A): Effect.Effect<A, InvalidConfiguration> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(codec())
    } catch (error) {
      if (error instanceof Malformed) return Effect.fail(invalid(error.field, error.problem))
      throw error
    }
  })

/** A copy of input bytes that nobody else can change while they are parsed. */
export const ownBytes = (bytes: unknown, field: string): Uint8Array => {
  if (!(bytes instanceof Uint8Array)) throw new Malformed(field, "expected bytes, as a Uint8Array")
  if (bytes.length > maxInputLength) throw new Malformed(field, `longer than ${maxInputLength} bytes`)
  return new Uint8Array(bytes)
}
