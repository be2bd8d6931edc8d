/**
 * Where the passphrase of an encrypted key comes from: a file, the terminal, or
 * the environment. Never an argument: those are seen in the list of processes
 * and stay in the shell's history.
 *
 * @category internal
 */
import * as Flag from "effect/cli/Flag"
import * as Prompt from "effect/cli/Prompt"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import { fail, failure } from "./Failure.ts"
import * as SecretLine from "./SecretLine.ts"

/** The environment variable that is asked where no flag is given. */
export const variable = "EFFECT_SIGNER_PASSPHRASE"

/** The flags of commands that read or write private keys. */
export const flags = {
  passphraseFile: Flag.String("passphrase-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(
      `Read the passphrase from a file; one line end after it is left out. Default: $${variable}, which is ignored where ` +
        "the key that is read is not encrypted"
    ),
    Flag.optional
  ),
  passphrase: Flag.Boolean("passphrase").pipe(
    Flag.withDescription("Ask for the passphrase on the terminal"),
    Flag.withDefault(false),
    Flag.withoutNegation
  )
}

/** What the flags say. */
export interface Source {
  readonly passphraseFile: Option.Option<string>
  readonly passphrase: boolean
}

/** The environment variable of a new passphrase. */
export const newVariable = "EFFECT_SIGNER_NEW_PASSPHRASE"

/** The flags of commands that encrypt a key anew. */
export const newFlags = {
  newPassphraseFile: Flag.String("new-passphrase-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(
      `Read the passphrase for the file that is written from a file; one line end after it is left out. Default: $${newVariable}`
    ),
    Flag.optional
  ),
  newPassphrase: Flag.Boolean("new-passphrase").pipe(
    Flag.withDescription("Ask for the passphrase for the file that is written, twice"),
    Flag.withDefault(false),
    Flag.withoutNegation
  )
}

/** What these flags say. */
export interface NewSource {
  readonly newPassphraseFile: Option.Option<string>
  readonly newPassphrase: boolean
}

/** How to state one, for errors. */
export const advice = `give --passphrase-file FILE, or --passphrase to be asked, or set ${variable}`

/** How to state a new one, for errors. */
export const newAdvice = `give --new-passphrase-file FILE, or --new-passphrase to be asked, or set ${newVariable}`

/** The file that is read, if any: an input as others are. */
export const inputs = ({ passphraseFile }: Source): ReadonlyArray<string> => Option.toArray(passphraseFile)

const fromFile = (path: string) => SecretLine.read(path, "a passphrase")

const fromEnvironment = (variable: string) =>
  Config.option(Config.Redacted(variable)).pipe(Effect.mapError(() => failure(`${variable} cannot be read`)))

/** Asks on the terminal. The question goes to standard error: standard output may be a file. */
const onStderr = Effect.fnUntraced(function* <A, E, R>(question: Effect.Effect<A, E, R>) {
  const stdio = yield* Stdio.Stdio
  const terminal = yield* Terminal.Terminal
  const shown = Terminal.make({
    ...terminal,
    display: (text) => Stream.run(Stream.make(text), stdio.stderr())
  })
  return yield* Effect.provideService(question, Terminal.Terminal, shown)
})

const ask = (message: string) => onStderr(Prompt.run(Prompt.Hidden({ message })))

const prompt = Effect.fnUntraced(function* (twice: boolean, flag = "passphrase", question = "Passphrase") {
  const stdio = yield* Stdio.Stdio
  if (!(yield* stdio.stdinIsTerminal)) {
    return yield* fail(`--${flag} asks on the terminal, and standard input is not one; use --${flag}-file FILE`)
  }
  const first = yield* ask(question)
  if (
    twice &&
    Redacted.value(first) !== "" &&
    Redacted.value(yield* ask("The same passphrase again")) !== Redacted.value(first)
  ) {
    return yield* fail("the two passphrases differ")
  }
  return first
})

/**
 * The passphrase that the user states, if any. An empty one is refused: it is a
 * variable that was meant to be set.
 */
export const read = Effect.fnUntraced(function* (
  source: Source,
  options: { readonly twice: boolean; readonly isRequired?: boolean }
) {
  if (source.passphrase && Option.isSome(source.passphraseFile)) {
    return yield* fail("--passphrase and --passphrase-file exclude each other")
  }
  const [from, passphrase] = Option.isSome(source.passphraseFile)
    ? (["the passphrase file", Option.some(yield* fromFile(source.passphraseFile.value))] as const)
    : source.passphrase
      ? (["the passphrase", Option.some(yield* prompt(options.twice))] as const)
      : ([variable, yield* fromEnvironment(variable)] as const)
  if (Option.isSome(passphrase) && Redacted.value(passphrase.value) === "") {
    return yield* fail(
      `${from} is empty; ${options.isRequired === true ? advice : "leave it out for a key without encryption"}`
    )
  }
  return passphrase
})

/** The passphrase for the file that is written. There must be one. */
export const readNew = Effect.fnUntraced(function* ({ newPassphrase, newPassphraseFile }: NewSource) {
  if (newPassphrase && Option.isSome(newPassphraseFile)) {
    return yield* fail("--new-passphrase and --new-passphrase-file exclude each other")
  }
  const passphrase = Option.isSome(newPassphraseFile)
    ? Option.some(yield* fromFile(newPassphraseFile.value))
    : newPassphrase
      ? Option.some(yield* prompt(true, "new-passphrase", "New passphrase"))
      : yield* fromEnvironment(newVariable)
  if (Option.isNone(passphrase)) return yield* fail(`the file that is written needs a passphrase; ${newAdvice}`)
  if (Redacted.value(passphrase.value) === "") return yield* fail("the new passphrase is empty")
  return passphrase.value
})

/** A question that is answered with yes or no. Where nobody can be asked, the answer was to be a flag. */
export const confirm = Effect.fnUntraced(function* (question: string, flag: string) {
  const stdio = yield* Stdio.Stdio
  if (!(yield* stdio.stdinIsTerminal)) return yield* fail(`this has to be confirmed; say so with ${flag}`)
  const isConfirmed = yield* onStderr(Prompt.run(Prompt.Confirm({ message: question })))
  if (!isConfirmed) return yield* fail("it was not confirmed; nothing was done")
})
