/**
 * Files that hold one secret: a passphrase, a token.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { fail, shownPath } from "./Failure.ts"
import * as Files from "./Files.ts"

/** Reads the one line of a file, without its line end. `name` is what it holds: `a passphrase`. */
export const read = (path: string, name: string) =>
  Effect.flatMap(Files.readSmall(path), ({ bytes }) => {
    const text = Files.toText(bytes)?.replace(/\r?\n$/, "")
    bytes.fill(0)
    return text === undefined
      ? fail(`${shownPath(path)}: ${name} file is UTF-8 text`)
      : /[\r\n]/.test(text)
        ? fail(`${shownPath(path)}: ${name} file has one line`)
        : Effect.succeed(Redacted.make(text))
  })
