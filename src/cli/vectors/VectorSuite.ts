/**
 * Published test vectors as data: a suite reads its files, runs each case on
 * every implementation and says what came of it. Tests and the conformance
 * report run the same suites.
 *
 * The one rule: `cases` counts what the file holds. A case that this toolkit does
 * not answer for is an exception with a reason, never a pass and never left out.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { readFile } from "node:fs/promises"
import { basename } from "node:path"

export interface SuiteResult {
  readonly suite: string
  readonly source: string
  readonly cases: number
  readonly passed: number
  readonly exceptions: ReadonlyArray<{ readonly case: string; readonly reason: string }>
  readonly failures: ReadonlyArray<{ readonly case: string; readonly problem: string }>
}

export interface VectorSuite {
  /** Family and subject: `wycheproof/ed25519`. */
  readonly suite: string
  /** Where the vectors are published. */
  readonly source: string
  /** Its folder in the folder of all vectors. */
  readonly folder: string
  /** `folder` is the root of the vectors, the one `EFFECT_SIGNER_VECTORS` names. */
  readonly run: (folder: string) => Effect.Effect<SuiteResult, VectorError>
}

/** A vector file that cannot be read as what it should be. Never passed over in silence. */
export class VectorError extends Schema.TaggedError<VectorError>("effect-signer/VectorError")("VectorError", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.problem}`
  }
}

/** What came of one case. */
export type Outcome =
  | { readonly _tag: "Passed"; readonly case: string }
  | { readonly _tag: "Exception"; readonly case: string; readonly reason: string }
  | { readonly _tag: "Failed"; readonly case: string; readonly problem: string }

export const exception = (name: string, reason: string): Outcome => ({ _tag: "Exception", case: name, reason })

/** Passed where no check found a problem. */
export const checked = (name: string, problems: ReadonlyArray<string>): Outcome =>
  problems.length === 0 ? { _tag: "Passed", case: name } : { _tag: "Failed", case: name, problem: problems.join("; ") }

export const suite = (options: {
  readonly suite: string
  readonly source: string
  readonly folder: string
  readonly outcomes: (folder: string) => Effect.Effect<ReadonlyArray<Outcome>, VectorError>
}): VectorSuite => ({
  suite: options.suite,
  source: options.source,
  folder: options.folder,
  run: (folder) =>
    Effect.map(options.outcomes(folder), (outcomes) => ({
      suite: options.suite,
      source: options.source,
      cases: outcomes.length,
      passed: outcomes.filter((outcome) => outcome._tag === "Passed").length,
      exceptions: outcomes.flatMap((outcome) =>
        outcome._tag === "Exception" ? [{ case: outcome.case, reason: outcome.reason }] : []
      ),
      failures: outcomes.flatMap((outcome) =>
        outcome._tag === "Failed" ? [{ case: outcome.case, problem: outcome.problem }] : []
      )
    }))
})

/** Bytes in hexadecimal, in either letter case. */
export const Hex = Schema.Uint8ArrayFromHex

export const readText = (file: string): Effect.Effect<string, VectorError> =>
  Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: (error) => new VectorError({ file: basename(file), problem: `cannot be read: ${String(error)}` })
  })

/** Decodes JSON text. A field that the schema does not know is an error: it may say what the case means. */
export const decodeJson = <S extends Schema.Constraint & { readonly DecodingServices: never }>(
  schema: S
): ((file: string, text: string) => Effect.Effect<S["Type"], VectorError>) => {
  const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(schema), { onExcessProperty: "error" })
  return (file, text) =>
    Effect.mapError(decode(text), (error) => new VectorError({ file: basename(file), problem: error.message }))
}

/** Reads and decodes a JSON file, as {@link decodeJson} does. */
export const readJson = <S extends Schema.Constraint & { readonly DecodingServices: never }>(
  schema: S
): ((file: string) => Effect.Effect<S["Type"], VectorError>) => {
  const decode = decodeJson(schema)
  return (file) => Effect.flatMap(readText(file), (text) => decode(file, text))
}
