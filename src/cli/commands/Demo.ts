/**
 * `effect-signer demo`
 *
 * @category internal
 */
import * as Command from "effect/cli/Command"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import { exitCodes, fail, ofPlatform } from "../Failure.ts"
import * as Output from "../Output.ts"
import * as Run from "../Run.ts"
import { inspect } from "./Inspect.ts"
import { keygen } from "./Keygen.ts"
import { sign } from "./Sign.ts"
import { verify } from "./Verify.ts"

const files = {
  message: "release.txt",
  privateKey: "release.pem",
  publicKey: "release.pub.pem",
  signature: "release.txt.sig"
} as const

const message = "effect-signer demo, release 1.0.0\n"

const verifyCommand = ["verify", "--key", files.publicKey, "--signature-file", files.signature, files.message]

interface Step {
  readonly title: string
  readonly command: ReadonlyArray<string>
  readonly exitCode: number
  /** Changes one byte of the message before the command. */
  readonly tamper?: boolean
}

const steps: ReadonlyArray<Step> = [
  {
    title: "Make a key pair. The private key goes into a new file that only you can read.",
    command: ["keygen", "--out", files.privateKey, "--public-out", files.publicKey],
    exitCode: exitCodes.success
  },
  {
    title: `Sign a file. ${files.message} holds one line of text; the signature goes beside it.`,
    command: ["sign", "--key", files.privateKey, files.message, "--out", files.signature],
    exitCode: exitCodes.success
  },
  {
    title: "Verify it. That needs the public key only, and answers with the exit code, too: 0.",
    command: verifyCommand,
    exitCode: exitCodes.success
  },
  {
    title: "Now one byte of the file is changed, 1.0.0 to 1.0.1, and the same command refuses it with exit code 1.",
    command: verifyCommand,
    exitCode: exitCodes.invalidSignature,
    tamper: true
  },
  {
    title: "Which key was that again? A private key is described, never printed.",
    command: ["inspect", files.privateKey],
    exitCode: exitCodes.success
  }
]

/** The commands of the demonstration, as they are on the command line. */
const commands = Run.root([keygen, sign, verify, inspect])

/** Runs a command with what it prints in a text, and nothing from the environment. */
const capture = Effect.fnUntraced(function* (args: ReadonlyArray<string>) {
  const stdio = yield* Stdio.Stdio
  let output = ""
  const sink = () =>
    Sink.forEach((chunk: string | Uint8Array) =>
      Effect.sync(() => {
        output += typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk)
      })
    )
  const exitCode = yield* Run.run(commands)(args).pipe(
    Effect.provideService(Stdio.Stdio, Stdio.make({ ...stdio, stdout: sink, stderr: sink })),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({}))
  )
  return { exitCode, output }
})

const style = (color: boolean) => {
  const paint = (code: number) => (text: string) => (color ? `\u001b[${code}m${text}\u001b[0m` : text)
  return { title: paint(1), command: paint(36), good: paint(32), bad: paint(31) }
}

/** Makes a key, signs, verifies and tampers in a temporary folder, and says what it does. */
export const demo = Command.make(
  "demo",
  {},
  Effect.fnUntraced(function* () {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const json = yield* Output.Json
    const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
    const { bad, command: blue, good, title: bold } = style(canColor)
    const say = (text: string) => (json ? Effect.void : Output.write(`${text}\n`))
    const folder = yield* Effect.mapError(
      fs.makeTempDirectoryScoped({ prefix: "effect-signer-demo-" }),
      ofPlatform("the temporary folder")
    )
    const inFolder = (name: string) => paths.join(folder, name)
    const isFile = (word: string) => (Object.values(files) as ReadonlyArray<string>).includes(word)
    const writeMessage = (text: string) =>
      Effect.mapError(fs.writeFileString(inFolder(files.message), text), ofPlatform(files.message))

    yield* say(
      `${bold("effect-signer: sign and verify, step by step")}\nThe commands are those you would type; all files are temporary.\n`
    )
    yield* writeMessage(message)
    const done: Array<{ readonly command: string; readonly exitCode: number; readonly output: string }> = []
    for (const [index, { command, exitCode: expected, tamper, title }] of steps.entries()) {
      if (tamper === true) yield* writeMessage(message.replace("1.0.0", "1.0.1"))
      const typed = ["effect-signer", ...command].join(" ")
      yield* say(`${bold(`${index + 1}. ${title}`)}\n\n   ${blue(`$ ${typed}`)}`)
      const { exitCode, output } = yield* capture(command.map((word) => (isFile(word) ? inFolder(word) : word)))
      const shown = output.replaceAll(paths.join(folder, "/"), "").trimEnd()
      if (exitCode !== expected) return yield* fail(`the demonstration went wrong at step ${index + 1}: ${shown}`)
      const paint = shown === "valid" ? good : shown === "invalid" ? bad : (text: string) => text
      yield* say(
        `${shown
          .split("\n")
          .map((line) => `   ${paint(line)}`)
          .join("\n")}\n`
      )
      done.push({ command: typed, exitCode, output: shown })
    }
    yield* json ? Output.print({ steps: done }) : say("The folder is removed again. Next: effect-signer keygen --help")
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Show in a few seconds how signing works: make a key, sign a file, verify it, change one byte, see it refused. Works " +
      "in a temporary folder that is removed, and needs no account."
  ),
  Command.withShortDescription("See it work: make a key, sign, verify, tamper")
)
