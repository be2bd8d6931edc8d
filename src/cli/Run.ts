/**
 * Runs a command line and says how it ended, as an exit code: 0 for success, 1
 * for an invalid signature, 2 for anything else.
 *
 * @category internal
 */
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import type * as Terminal from "effect/Terminal"
import { readFileSync } from "node:fs"
import * as CommandLine from "./CommandLine.ts"
import type { Concluded, Failure } from "./Failure.ts"
import { exitCodes, failure, ofUsage } from "./Failure.ts"
import * as Output from "./Output.ts"

/** The same path from `src/cli` and from `dist/cli`. */
const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string
}

const builtIns = [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] as const

/** The root of commands: its name, its help, and the flags that all of them have. */
export const root = <const Commands extends ReadonlyArray<Command.Command.SubcommandEntry>>(commands: Commands) =>
  Command.make("effect-signer").pipe(
    Command.withDescription(
      "Make keys, sign and verify on the command line. Exits with 0 for success or a valid signature, 1 for an invalid " +
        "signature, and 2 for an error."
    ),
    Command.withExamples([{ command: "effect-signer demo", description: "See it work, in five seconds" }]),
    Command.withSubcommands(commands),
    Command.withGlobalFlags([Output.Json])
  )

const report = (json: boolean, { message, tag }: Failure) =>
  Output.note(json ? JSON.stringify({ error: { tag, message } }) : `effect-signer: ${message}`)

/** Of a bug only what cannot hold a secret: the kind of error and where it happened. */
const ofDefect = (defect: unknown): Failure => {
  const [name, stack] = defect instanceof Error ? [defect.name, defect.stack ?? ""] : ["Error", ""]
  const places = stack
    .split("\n")
    .filter((line) => /^\s+at /.test(line))
    .slice(0, 5)
    .map((line) => line.trim())
  return failure(`this is a bug in effect-signer, please report it: ${[name, ...places].join(" ")}`, "Defect")
}

const presenter = (
  stdio: Stdio.Stdio,
  json: boolean,
  colors: boolean,
  out: (text: string) => Effect.Effect<void, never, Stdio.Stdio> = (text) => Effect.ignore(Output.write(`${text}\n`))
): CliOutput.Presenter => {
  const formatter = CliOutput.defaultFormatter({ colors })
  return {
    present: (event) =>
      Effect.provideService(
        event._tag === "Version"
          ? out(json ? JSON.stringify({ version: event.version }) : `${event.name} ${event.version}`)
          : event._tag === "InvalidInvocation"
            ? report(json, ofUsage(event.errors, event.commandPath))
            : event.reason === "Requested"
              ? out(formatter.formatHelpDoc(event.helpDoc))
              : // A command without its subcommand is an error: a script must notice
                json
                ? report(
                    json,
                    failure(`a command is missing (see ${event.commandPath.join(" ")} --help)`, "UsageError")
                  )
                : Output.note(formatter.formatHelpDoc(event.helpDoc)),
        Stdio.Stdio,
        stdio
      )
  }
}

/** Runs the command line `args`. Never fails: what went wrong is on standard error. */
export const run = <Input, ContextInput, R>(
  command: Command.Command<"effect-signer", Input, ContextInput, Failure | Concluded | Terminal.QuitError, R>
) => {
  const vocabulary = CommandLine.vocabularyOf(command)
  return Effect.fnUntraced(function* (typed: ReadonlyArray<string>) {
    const args = CommandLine.expandHelp(typed)
    const stdio = yield* Stdio.Stdio
    const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
    const json = Output.isJson(args)
    /** For a person who asked for it beside other words; a script sees the exit code of an error. */
    const showHelp = (args: ReadonlyArray<string>) => {
      const path =
        json || CommandLine.mayAskForHelp(vocabulary, args) ? undefined : CommandLine.helpAmong(vocabulary, args)
      return path === undefined
        ? Effect.void
        : Command.runWith(command, { version })([...path, "--help"]).pipe(
            Effect.ignore,
            Effect.provideService(CliConfig.CliConfig, CliConfig.make({ builtIns })),
            Effect.provideService(CliOutput.Presenter, presenter(stdio, json, canColor, Output.note))
          )
    }
    return yield* Effect.flatMap(CommandLine.joinValues(vocabulary, args), (joined) =>
      Command.runWith(command, { version })(joined).pipe(
        // Where they may not answer they do not exist
        Effect.provideService(
          CliConfig.CliConfig,
          CliConfig.make({ builtIns: CommandLine.mayAskForHelp(vocabulary, joined) ? builtIns : [] })
        ),
        Effect.tapError((error) => (error._tag === "ShowHelp" ? showHelp(joined) : Effect.void))
      )
    ).pipe(
      Effect.as<number>(exitCodes.success),
      Effect.catch((error): Effect.Effect<number, never, Stdio.Stdio> =>
        error._tag === "Concluded"
          ? Effect.succeed(error.exitCode)
          : error._tag === "ShowHelp" // presented already
            ? Effect.succeed(exitCodes.error)
            : Effect.as(
                report(json, error._tag === "Failure" ? error : ofUsage([error], ["effect-signer"])),
                exitCodes.error
              )
      ),
      Effect.catchDefect((defect) => Effect.as(report(json, ofDefect(defect)), exitCodes.error)),
      Effect.provideService(CliOutput.Presenter, presenter(stdio, json, canColor))
    )
  })
}
