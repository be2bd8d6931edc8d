/**
 * What commands print: results on standard output, everything else on standard
 * error, as text for a person or as one line of JSON.
 *
 * @category internal
 */
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { Failure } from "./Failure.ts"
import { failure, plain } from "./Failure.ts"

/** The flag `--json` of every command. */
export const Json = GlobalFlag.Setting("json")({
  flag: Flag.Boolean("json").pipe(
    Flag.withDescription("Print one line of JSON; errors and warnings are lines of JSON on standard error"),
    Flag.withDefault(false),
    Flag.withoutNegation
  )
})

/** The same flag, read where the command line may not be one: errors are JSON too. */
export const isJson = (args: ReadonlyArray<string>): boolean => {
  const end = args.indexOf("--")
  return (end < 0 ? args : args.slice(0, end)).some((arg) => arg === "--json" || arg === "--json=true")
}

const closed = () => failure("cannot write: the output is closed", "FileError")

/** Writes text or bytes to standard output, as they are. */
export const write = (data: string | Uint8Array): Effect.Effect<void, Failure, Stdio.Stdio> =>
  Stdio.Stdio.use(({ stdout }) => Effect.mapError(Stream.run(Stream.make(data), stdout()), closed))

/** Writes a line to standard error. Where that is closed there is nobody to tell. */
export const note = (line: string): Effect.Effect<void, never, Stdio.Stdio> =>
  Stdio.Stdio.use(({ stderr }) => Effect.ignore(Stream.run(Stream.make(`${line}\n`), stderr())))

/** A warning, on standard error. */
export const warn = (sentence: string) =>
  Effect.flatMap(Json, (json) => note(json ? JSON.stringify({ warning: sentence }) : `warning: ${sentence}`))

/** What a command found: fields in the order in which they are shown. Absent ones are not. */
export interface Report {
  readonly [field: string]: string | number | boolean | ReadonlyArray<string> | object | undefined
}

const shownValue = (value: Report[string]): string =>
  typeof value === "boolean"
    ? value
      ? "yes"
      : "no"
    : Array.isArray(value)
      ? value.join(", ")
      : typeof value === "object"
        ? JSON.stringify(value)
        : String(value)

/** `keyId` is `key id` to a person. */
const shownField = (field: string) => field.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)

const table = (report: Report): string => {
  const rows = Object.entries(report).filter(([, value]) => value !== undefined)
  const width = Math.max(...rows.map(([field]) => shownField(field).length)) + 2
  return rows.map(([field, value]) => `${`${shownField(field)}:`.padEnd(width)}${plain(shownValue(value))}\n`).join("")
}

/** A report in the form that was asked for. */
export const render = (report: Report): Effect.Effect<string, never, GlobalFlag.Setting.Identifier<"json">> =>
  Effect.map(Json, (json) => (json ? `${JSON.stringify(report)}\n` : table(report)))

/** Prints a report on standard output. */
export const print = (report: Report) => Effect.flatMap(render(report), write)
