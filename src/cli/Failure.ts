/**
 * How a command ends when it does not succeed, and how that is said in one line.
 *
 * Nothing that was typed is repeated unless it is a plain file name or word: a
 * key or a passphrase in the wrong place must not reach a log through an error.
 *
 * @category internal
 */
import type * as CliError from "effect/cli/CliError"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { PlatformError, SystemErrorTag } from "effect/PlatformError"
import type { SignerError } from "../schemas/SignerError.ts"

/** What could not be done, in one sentence for a person. */
export class Failure extends Data.TaggedError("Failure")<{
  /** For `--json`: the tag of the error behind it, or `Failure`. */
  readonly tag: string
  readonly message: string
}> {}

/** Everything is said already; only the exit code is left. */
export class Concluded extends Data.TaggedError("Concluded")<{ readonly exitCode: number }> {}

/** Exit codes of every command. */
export const exitCodes = { success: 0, invalidSignature: 1, error: 2 } as const

/** A failure of our own. */
export const failure = (message: string, tag = "Failure"): Failure => new Failure({ tag, message })

/** Fails with a sentence. */
export const fail = (message: string): Effect.Effect<never, Failure> => Effect.fail(failure(message))

// ---------------------------------------------------------------------------
// what may be shown
// ---------------------------------------------------------------------------

/** Control characters, and those that reorder text: a terminal must not obey what a file or an argument says. */
const unsafe = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g

/** Text on one line that a terminal only displays. */
export const plain = (text: string): string =>
  text.replace(unsafe, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** Key material in some form: a PEM block, JSON, several lines, or 40 digits and letters with no dot. */
const isSecret = (text: string) => /-----|[\r\n{"]|^[A-Za-z0-9+/_=-]{40,}$/.test(text)

/** Whether a file name may be key material. An absolute path is long by nature: each of its names counts. */
const looksSecret = (path: string) => (path.startsWith("/") ? path.split("/").some(isSecret) : isSecret(path))

/** A file name as an error shows it. */
export const shownPath = (path: string): string =>
  path === "-"
    ? "standard input"
    : path === ""
      ? "the file without a name"
      : looksSecret(path) || path.length > 1024
        ? "the file (its name is not shown)"
        : plain(path)

/** A file name as a person may copy it into a shell. */
export const shellWord = (path: string): string =>
  /^[\w@%+=:,.][\w@%+=:,./-]*$|^\/[\w@%+=:,./-]*$/.test(path) && !looksSecret(path) ? path : "FILE"

/** A word of the command line as an error shows it. */
const shownWord = (word: string): string => (/^-{0,2}[a-z][a-z0-9-]{0,30}$/i.test(word) ? word : "(not shown)")

// ---------------------------------------------------------------------------
// other errors
// ---------------------------------------------------------------------------

/** Fields of the library that are flags here. */
const flagOf: { readonly [field: string]: string } = {
  algorithm: "--alg",
  allowLegacyKeyDerivation: "--allow-legacy-key-derivation",
  modulusLength: "--modulus-length"
}

/** The sentence of a signer's error, without the backend's name: there is one here. */
export const ofSigner = (error: SignerError): Failure =>
  failure(
    plain(
      error._tag === "InvalidConfiguration"
        ? error.field === undefined
          ? error.problem
          : `${flagOf[error.field] ?? error.field}: ${error.problem}`
        : error.message
    ),
    error._tag
  )

/** Bytes of a message at most: it is read whole, and Node reads no file that is larger. */
export const maxMessageLength = 2 ** 31 - 1

/** What is said of a longer one. */
export const messageTooLong = "a message is read whole and can have 2 GiB at most; this one is larger"

/** The one wording for what goes wrong with files. */
export const systemErrors = {
  AlreadyExists: "it exists already, and is not overwritten",
  BadResource: "it is a folder, or part of its path is not one",
  NotFound: "no such file or folder",
  PermissionDenied: "permission denied"
} as const satisfies { readonly [T in SystemErrorTag]?: string }

/** The sentence of an error about a file. */
export const ofPlatform =
  (path: string) =>
  (error: PlatformError): Failure =>
    failure(
      `${shownPath(path)}: ${sentences[error.reason._tag] ?? codeOf(error.reason.cause) ?? error.reason._tag}`,
      "FileError"
    )

const sentences: { readonly [tag: string]: string | undefined } = systemErrors

const codeOf = (cause: unknown): string | undefined => {
  const code = (cause as { readonly code?: unknown } | undefined)?.code
  return code === "ERR_FS_FILE_TOO_LARGE"
    ? messageTooLong
    : typeof code === "string" && /^E[A-Z0-9_]+$/.test(code)
      ? `the system says ${code}`
      : undefined
}

const suggested = (suggestions: ReadonlyArray<string>) =>
  suggestions.length === 0 ? "" : `; did you mean ${suggestions.join(" or ")}?`

/** What is said of a flag that takes a value and got none. */
export const flagWithoutValue = (name: string): string =>
  `--${name} has no value; where it begins with -, write --${name}=VALUE`

/** Flags that answer instead of a command, as they are typed. */
const answering = ["--help", "-h", "--version", "-v", "--completions"]

/** What effect says a number is, as a person says it. */
const expectedOf = (expected: string): string =>
  /finite number/i.test(expected) ? "a whole number" : plain(expected).replace(/^Expected:? /i, "")

const usage: {
  readonly [T in CliError.NonShowHelpErrors["_tag"]]: (
    error: Extract<CliError.NonShowHelpErrors, { readonly _tag: T }>
  ) => string
} = {
  UnrecognizedOption: (error) =>
    answering.includes(error.option)
      ? `${error.option} goes with nothing but the name of a command`
      : `unknown flag ${shownWord(error.option)}${suggested(error.suggestions)}`,
  DuplicateOption: (error) => `the flag --${error.option} is defined twice`,
  MissingOption: (error) => `--${error.option} is missing`,
  MissingArgument: (error) => `the argument ${error.argument} is missing`,
  UnexpectedArgument: (error) =>
    `${error.arguments.length === 1 ? "one argument" : `${error.arguments.length} arguments`} too many`,
  InvalidValue: (error) =>
    error.option === "passphrase"
      ? "--passphrase takes no value, it asks for it: what is typed in a command is seen by others"
      : error.value === ""
        ? flagWithoutValue(error.option)
        : `--${error.option} has a wrong value; expected ${expectedOf(error.expected)}`,
  UnknownSubcommand: (error) => `unknown command ${shownWord(error.subcommand)}${suggested(error.suggestions)}`,
  ValidationError: (error) => error.message,
  UserError: (error) => error.message
}

/** The sentence of a wrong command line. A text after a - is a flag per letter: what may be a secret is counted. */
export const ofUsage = (
  errors: ReadonlyArray<CliError.NonShowHelpErrors>,
  commandPath: ReadonlyArray<string>
): Failure => {
  const sentences = errors.map((error) => (usage[error._tag] as (error: unknown) => string)(error))
  const isFlag = (_: string, index: number) => {
    const error = errors[index]!
    return error._tag === "UnrecognizedOption" && !answering.includes(error.option)
  }
  const flags = sentences.filter(isFlag)
  const others = sentences.filter((sentence, index) => !isFlag(sentence, index))
  const shown = [...(flags.length > 2 ? [`${flags.length} unknown flags`] : flags), ...others]
  return failure(`${shown.join(", ")} (see ${commandPath.join(" ")} --help)`, "UsageError")
}
