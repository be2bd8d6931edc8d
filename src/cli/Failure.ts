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
import type { SignerError, VendorError } from "../schemas/SignerError.ts"

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

/** A JWS or JWT in its compact form: base64url of a JSON object, and two more parts. */
const isToken = (text: string) => /^\s*eyJ[\w-]*\.[\w-]*\.[\w-]*\s*$/.test(text)

/** Key material in some form: a PEM block, JSON, a token, several lines, 40 digits and letters with no dot, a webhook's. */
const isSecret = (text: string) =>
  isToken(text) || /-----|[\r\n{"]|^(?:[A-Za-z0-9+/_=-]{40,}|whs(?:ec|k)_[A-Za-z0-9+/_=-]*)$/.test(text)

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
        : shortened(plain(path))

/** The beginning of a text, where all of it would hide the sentence around it. */
const shortened = (text: string) => (text.length > 200 ? `${text.slice(0, 80)}...` : text)

/** What is said of a file that cannot be opened: who typed its content is told so. */
export const unopened = (path: string, sentence: string): Failure =>
  failure(
    isToken(path)
      ? "this looks like a token, not a file: write it to a file or pipe it"
      : `${shownPath(path)}: ${sentence}`,
    "FileError"
  )

/** A file name as a person may copy it into a shell. */
export const shellWord = (path: string): string =>
  /^[\w@%+=:,.][\w@%+=:,./-]*$|^\/[\w@%+=:,./-]*$/.test(path) && !looksSecret(path) ? path : "FILE"

/** A word of the command line as an error shows it. */
export const shownWord = (word: string): string => (/^-{0,2}[a-z][a-z0-9_-]{0,30}$/i.test(word) ? word : "(not shown)")

// ---------------------------------------------------------------------------
// other errors
// ---------------------------------------------------------------------------

/** Fields of the library that are flags here. */
const flagOf: { readonly [field: string]: string } = {
  algorithm: "--alg",
  allowLegacyKeyDerivation: "--allow-legacy-key-derivation",
  expiresIn: "--expires-in",
  modulusLength: "--modulus-length"
}

/** Which key it is about, and what the backend said: names and numbers, never its text. */
const detailsOf = (error: SignerError, sentence: string): string => {
  const isNamed = error.keyId === "-" || sentence.includes(error.keyId) || looksSecret(error.keyId)
  const keyId = isNamed ? undefined : `key ${error.keyId}`
  const cause: Partial<VendorError> = ("cause" in error ? error.cause : undefined) ?? {}
  const { code, requestId, status, vendorName } = cause
  const details = [
    keyId,
    vendorName,
    code === vendorName ? undefined : code,
    status === undefined ? undefined : `status ${status}`,
    requestId === undefined ? undefined : `request ${requestId}`
  ].filter((detail) => detail !== undefined)
  return details.length === 0 ? "" : ` (${details.join(", ")})`
}

/** The sentence of the error of a backend, with what it knows beside its tag. `Retryable` is a word for programs. */
export const ofBackend = (error: SignerError): Failure => {
  const isRetryable = error._tag === "Retryable"
  const sentence = isRetryable ? `${error.backend}.${error.operation}: ${error.reason.message}` : error.message
  const advice = isRetryable ? "; it may succeed later" : ""
  return failure(plain(`${sentence}${detailsOf(error, sentence)}${advice}`), error._tag)
}

/** The sentence of a signer's error, without the backend's name where there is one here only. */
export const ofSigner = (error: SignerError): Failure =>
  error._tag === "InvalidConfiguration"
    ? failure(
        plain(error.field === undefined ? error.problem : `${flagOf[error.field] ?? error.field}: ${error.problem}`),
        error._tag
      )
    : ofBackend(error)

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
    unopened(path, sentences[error.reason._tag] ?? codeOf(error.reason.cause) ?? error.reason._tag)

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
