/**
 * `effect-signer vectors run` and `effect-signer vectors list`
 *
 * @category internal
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Concluded, exitCodes, fail, plain, shownPath } from "../Failure.ts"
import * as Output from "../Output.ts"

/** The suites: loaded by the commands that run them, and no others. */
const load = Effect.promise(async () => ({
  ...(await import("../vectors/VectorSuites.ts")),
  ...(await import("../vectors/VectorReport.ts"))
}))

const only = Flag.String("only").pipe(
  Flag.withMetavar("PREFIX"),
  Flag.withDescription("Only the suites whose names begin so: rfc9421, adcp/, wycheproof/ed25519"),
  Flag.optional
)

const run = Command.make(
  "run",
  {
    folder: Argument.String("folder").pipe(
      Argument.withMetavar("DIR"),
      Argument.withDescription("The folder with a folder for each family; effect-signer vectors list shows their names")
    ),
    only
  },
  Effect.fnUntraced(function* ({ folder, only }) {
    const { failed, report, runSuite, suitesIn } = yield* load
    const json = yield* Output.Json
    const found = yield* suitesIn(folder)
    const prefix = Option.getOrElse(only, () => "")
    const running = found.present.filter(({ suite }) => suite.startsWith(prefix))
    if (running.length === 0) {
      return yield* fail(
        found.present.length === 0
          ? `${shownPath(folder)}: none of the families is there; effect-signer vectors list shows where they are published`
          : "no suite that is there begins so"
      )
    }
    const results = yield* Effect.forEach(running, (suite, at) =>
      Effect.andThen(
        json ? Effect.void : Output.note(`${at + 1}/${running.length} ${suite.suite}`),
        runSuite(suite, folder)
      )
    )
    const missing = found.absent.filter(({ suite }) => suite.startsWith(prefix)).map(({ suite }) => suite)
    if (json) yield* Output.print({ ok: failed(results) === 0, suites: results, missing })
    else {
      const lines = report(results)
      const rest = missing.length === 0 ? [] : ["", `not in the folder, not run: ${missing.join(", ")}`]
      yield* Output.write([...lines, ...rest].map((line) => `${plain(line)}\n`).join(""))
    }
    if (failed(results) > 0) return yield* new Concluded({ exitCode: exitCodes.invalidSignature })
  })
).pipe(
  Command.withDescription(
    "Run published test vectors against this toolkit and print what came of them: every case of every file, those that are " +
      "left out with the reason. Exits with 0 where no answer is wrong, 1 where one is, and 2 where there are no vectors."
  ),
  Command.withShortDescription("Run published test vectors"),
  Command.withExamples([
    { command: "effect-signer vectors run vectors", description: "All families that are in the folder" },
    { command: "effect-signer vectors run vectors --only adcp/ --json", description: "One family, for a program" }
  ])
)

const list = Command.make(
  "list",
  {},
  Effect.fnUntraced(function* () {
    const { suites, table } = yield* load
    const rows = suites.map(({ folder, source, suite }) => ({ suite, folder, source }))
    const wycheproof = { suite: "wycheproof/...", folder: "wycheproof", source: "C2SP/wycheproof testvectors_v1" }
    const all = [...rows, wycheproof]
    yield* (yield* Output.Json)
      ? Output.print({ suites: all })
      : Output.write(
          table([["suite", "folder", "published in"], ...all.map((row) => [row.suite, row.folder, row.source])])
            .map((line) => `${line}\n`)
            .join("")
        )
  })
).pipe(
  Command.withDescription("List the suites, the folder that each is read from, and where its vectors are published."),
  Command.withShortDescription("List the suites and where they are published"),
  Command.withExamples([{ command: "effect-signer vectors list", description: "What vectors run looks for" }])
)

/** Published test vectors. */
export const vectors = Command.make("vectors").pipe(
  Command.withDescription("Run the test vectors that others have published against this toolkit."),
  Command.withShortDescription("Published test vectors"),
  Command.withSubcommands([run, list])
)
