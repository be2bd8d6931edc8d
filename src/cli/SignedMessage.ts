/**
 * Where the commands `http sign` and `webhook sign` write the message with its
 * signature.
 *
 * @category internal
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { FieldLine } from "../protocols/HttpMessage.ts"
import * as FileForm from "./FileForm.ts"
import * as Files from "./Files.ts"
import * as HttpFile from "./HttpFile.ts"
import * as Output from "./Output.ts"
import * as OutputFile from "./OutputFile.ts"

/** The flags of commands that sign a message in a file. */
export const flags = {
  fields: Flag.Boolean("fields").pipe(
    Flag.withDescription("Write the new field lines alone, not the whole message"),
    Flag.withDefault(false),
    Flag.withoutNegation
  ),
  ...OutputFile.flags
}

/** What these flags say. */
export interface Target {
  readonly fields: boolean
  readonly out: Option.Option<string>
  readonly force: boolean
}

/** The file that is written; `undefined` for standard output. */
const pathOf = ({ out }: Target): string | undefined =>
  Option.getOrUndefined(Option.filter(out, (path) => path !== "-"))

/** Checks, before anything is signed, that the file to be replaced is none of the inputs and holds no secret. */
export const check = (target: Target, inputs: { readonly [name: string]: string | undefined }) => {
  const path = pathOf(target)
  return path !== undefined && target.force
    ? Files.checkReplaceable(path, inputs, (bytes) => FileForm.isPrecious(FileForm.of(bytes)))
    : Effect.void
}

/** Writes the message with its new lines, or these alone. `shown` is what is said of a file that is written. */
export const write = Effect.fnUntraced(function* (
  target: Target,
  file: HttpFile.HttpFile,
  signed: { readonly fields: ReadonlyArray<FieldLine>; readonly report: Output.Report; readonly shown: Output.Report }
) {
  const path = pathOf(target)
  const bytes = target.fields
    ? Buffer.from(HttpFile.format(signed.fields), "latin1")
    : HttpFile.withFields(file, signed.fields)
  if (path !== undefined) {
    const written = { path, bytes, mode: 0o644 }
    yield* target.force ? Files.replace(written) : Files.writeNew([written])
  }
  if (yield* Output.Json) {
    const report = { ...signed.report, fields: signed.fields }
    return yield* Output.print(path === undefined ? report : { file: path, ...report })
  }
  yield* path === undefined ? Output.write(bytes) : Output.print({ file: path, ...signed.shown })
})
