/**
 * The words of a command line before they are parsed: which of them is the value
 * of a flag, and whether help is all that is asked for.
 *
 * A signature may begin with `-`, and one that another party wrote may look like
 * `--version`. Neither may become a flag: `verify` would end with 0 and have
 * verified nothing.
 *
 * @category internal
 */
import type * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import * as Effect from "effect/Effect"
import type { Failure } from "./Failure.ts"
import { failure, flagWithoutValue } from "./Failure.ts"

/** What the words of a command line can be. */
export interface Vocabulary {
  /** With the commands they belong to: `agent serve`. */
  readonly commands: ReadonlySet<string>
  /** Flags as they are typed, `--key` and `-k`, and whether a value follows. */
  readonly flags: ReadonlyMap<string, { readonly name: string; readonly takesValue: boolean }>
}

/** Flags that answer instead of a command, and end with 0. */
const builtIns = [
  { name: "help", aliases: ["h"], takesValue: false },
  { name: "version", aliases: ["v"], takesValue: false },
  { name: "completions", aliases: [], takesValue: true },
  { name: "json", aliases: [], takesValue: false }
] as const

const typed = (name: string) => (name.length === 1 ? `-${name}` : `--${name}`)

/** The vocabulary of a command and all its subcommands. */
export const vocabularyOf = (command: Command.Command.Any): Vocabulary => {
  interface Named {
    readonly path: string
    readonly descriptor: Completions.CommandDescriptor
  }
  const below = (path: string, { subcommands }: Completions.CommandDescriptor): ReadonlyArray<Named> =>
    subcommands.flatMap((descriptor) => {
      const named = { path: `${path}${descriptor.name}`, descriptor }
      return [named, ...below(`${named.path} `, descriptor)]
    })
  const root = Completions.fromCommand(command)
  const commands = below("", root)
  const flags = [root, ...commands.map(({ descriptor }) => descriptor)].flatMap((descriptor) =>
    descriptor.flags.map(({ aliases, name, type }) => ({ name, aliases, takesValue: type._tag !== "Boolean" }))
  )
  return {
    commands: new Set(commands.map(({ path }) => path)),
    flags: new Map(
      [...builtIns, ...flags].flatMap(({ aliases, name, takesValue }) =>
        [name, ...aliases].map((word) => [typed(word), { name, takesValue }] as const)
      )
    )
  }
}

const nameOf = (word: string) => word.split("=", 1)[0]!

/**
 * Ties each value to its flag with `=`, so that a value which begins with `-` is
 * none. A flag where a value belongs is a forgotten value, and fails.
 */
export const joinValues = (
  { flags }: Vocabulary,
  args: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>, Failure> => {
  const joined: Array<string> = []
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!
    if (word === "--") return Effect.succeed([...joined, ...args.slice(i)])
    const flag = flags.get(word)
    const value = args[i + 1]
    if (flag?.takesValue !== true || value === undefined || value === "--") {
      joined.push(word)
      continue
    }
    if (flags.has(nameOf(value))) return Effect.fail(failure(flagWithoutValue(flag.name), "UsageError"))
    joined.push(`${word}=${value}`)
    i++
  }
  return Effect.succeed(joined)
}

/** `help` as a command: `effect-signer help sign` is `effect-signer sign --help`. */
export const expandHelp = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const first = args.findIndex((word) => word !== "--json")
  return args[first] === "help" ? [...args.slice(0, first), ...args.slice(first + 1), "--help"] : args
}

/** The command whose help is asked for beside other words; `undefined` where none is, or is not named first. */
export const helpAmong = ({ commands }: Vocabulary, args: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
  const end = args.indexOf("--")
  const words = end < 0 ? args : args.slice(0, end)
  if (!words.some((word) => word === "--help" || word === "-h")) return undefined
  const others = words.filter((word) => word !== "--help" && word !== "-h" && word !== "--json")
  const length = [2, 1].find((length) => commands.has(others.slice(0, length).join(" ")))
  return length === undefined ? undefined : others.slice(0, length)
}

/**
 * Whether help, version and completions may answer: only where nothing else is
 * asked for than at most one command. `verify --key FILE --help` ends with an
 * error: what follows it in a script must not take 0 for `valid`.
 */
export const mayAskForHelp = ({ commands }: Vocabulary, args: ReadonlyArray<string>): boolean => {
  const own = new Set(builtIns.flatMap(({ aliases, name }) => [name, ...aliases].map(typed)))
  const others = args.filter((word) => !own.has(nameOf(word)))
  return others.length === 0 || commands.has(others.join(" "))
}
