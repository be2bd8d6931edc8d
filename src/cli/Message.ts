/**
 * The message to sign or to verify: a file, or standard input.
 *
 * @category internal
 */
import * as Argument from "effect/cli/Argument"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import { failure } from "./Failure.ts"
import * as Files from "./Files.ts"
import * as Output from "./Output.ts"

/** The argument of commands that take a token. */
export const token = Argument.String("token").pipe(
  Argument.withMetavar("FILE"),
  Argument.withDescription("The file of the token. Default, and where it is -: standard input"),
  Argument.optional
)

/** The argument of commands that take a message. */
export const argument = Argument.String("message").pipe(
  Argument.withMetavar("FILE"),
  Argument.withDescription("The message, as bytes, 2 GiB at most. Default, and where it is -: standard input"),
  Argument.optional
)

/** The name of the file, `-` where there is none. */
export const pathOf = (file: Option.Option<string>) => Option.getOrElse(file, () => "-")

/** Reads all of a token. */
export const readToken = (file: Option.Option<string>) => readNamed(file, "token")

const readNamed = Effect.fnUntraced(function* (file: Option.Option<string>, name: string) {
  const stdio = yield* Stdio.Stdio
  const path = pathOf(file)
  if (path === "-" && (yield* stdio.stdinIsTerminal)) {
    yield* Output.note(`reading the ${name} from the terminal; end it with Ctrl-D on a new line`)
  }
  return yield* Files.readAll(path)
})

/** Reads all of the message. */
export const read = Effect.fnUntraced(function* (file: Option.Option<string>, asksPassphrase = false) {
  // Who writes `--passphrase hunter2` has named a message file without knowing
  return yield* Effect.mapError(readNamed(file, "message"), (error) =>
    asksPassphrase
      ? failure(
          "the message file cannot be read (--passphrase takes no value: what follows it is the message file)",
          error.tag
        )
      : error
  )
})
