import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Completions } from "effect/cli"
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import { truncate } from "node:fs/promises"
import * as CommandLine from "../../src/cli/CommandLine.ts"
import { effectSigner } from "../../src/cli/Commands.ts"
import { run, temporary } from "./support/inProcess.ts"

/** An Ed25519 key whose signature over a message begins with `-` and has the letters of flags. */
const awkward = () => {
  for (let i = 0; ; i++) {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519") as { privateKey: KeyObject; publicKey: KeyObject }
    const text = sign(null, new TextEncoder().encode("message"), privateKey).toString("base64url")
    if (/^-.*h/.test(text)) return { text, pem: String(publicKey.export({ type: "spki", format: "pem" })) }
  }
}

const flagLike = [
  ["--signature", "--version"],
  ["--signature", "--help"],
  ["--signature", "-h"],
  ["--signature", "-v"],
  ["--signature", "--completions=bash"],
  ["--signature", "--completions", "bash"],
  ["--signature", "--json"],
  ["--signature", "--"],
  ["--signature=--version"],
  ["--signature-file", "-h"],
  ["-s", "-h"],
  ["-sh"],
  ["-s=-h"],
  ["--signature", "AAAA", "--help"],
  ["--signature", "AAAA", "--version"],
  ["--signature", "AAAA", "-v"],
  ["--signature", "AAAA", "-hv"],
  ["--signature", "AAAA", "--completions", "bash"],
  ["--signature", "AAAA", "--completions=zsh"],
  ["--sgnature=AAAA", "-h"]
]

describe("verify", () => {
  it.effect("answers 0 for nothing but a valid signature, whatever looks like a flag", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      const message = yield* write("m", "message")
      yield* run(["keygen", "--out", at("k"), "--public-out", at("p")])
      for (const signature of flagLike) {
        for (const args of [
          ["verify", "--key", at("p"), ...signature, message],
          ["verify", ...signature, "--key", at("p"), message],
          ["verify", message, "--key", at("p"), ...signature],
          ["--json", "verify", "--key", at("p"), ...signature, message],
          ["verify", ...signature, message],
          ["verify", ...signature]
        ]) {
          const result = yield* run(args)
          assert.deepStrictEqual([result.exitCode, result.out], [2, ""], args.join(" "))
        }
      }
      for (const args of [
        ["--help", "verify", "--key", at("p")],
        ["-h", "verify", message],
        ["verify", "--key", "--help"],
        ["verify", "--key", "--version", "--signature", "AAAA", message],
        ["verify", "--help", message],
        ["verify", "--version", "--key", at("p")],
        ["--completions", "bash", "verify", "--key", at("p")],
        ["help", "verify", "--key", at("p")]
      ]) {
        const result = yield* run(args)
        assert.deepStrictEqual([result.exitCode, result.out], [2, ""], args.join(" "))
      }
    })
  )

  it.effect("takes a signature that begins with -", () =>
    Effect.gen(function* () {
      const { write } = yield* temporary
      const { pem, text } = awkward()
      const message = yield* write("m", "message")
      const args = ["verify", "--key", yield* write("p", pem), "--signature"]
      assert.strictEqual((yield* run([...args, text, message])).out, "valid\n")
      const other = yield* write("o", "massage")
      assert.deepStrictEqual((yield* run([...args, text, other])).exitCode, 1)
    })
  )
})

describe("help", () => {
  it.effect("is a command, too, and answers where it is asked for alone", () =>
    Effect.gen(function* () {
      const root = yield* run(["--help"])
      assert.strictEqual(root.exitCode, 0)
      assert.include(root.out, "USAGE")
      assert.deepStrictEqual(yield* run(["help"]), root)
      const ofVerify = yield* run(["verify", "--help"])
      assert.strictEqual(ofVerify.exitCode, 0)
      for (const args of [
        ["help", "verify"],
        ["verify", "-h"],
        ["--help", "verify"]
      ]) {
        assert.deepStrictEqual(yield* run(args), ofVerify, args.join(" "))
      }
      assert.strictEqual((yield* run(["--completions", "bash"])).exitCode, 0)
      const refused = yield* run(["sign", "--key", "k", "--help"])
      assert.deepStrictEqual([refused.exitCode, refused.out], [2, ""])
      // The help is shown all the same, to a person: not as what a script reads, and not as success
      const [sentence, ...help] = refused.err.split("\n")
      assert.strictEqual(
        sentence,
        "effect-signer: --help goes with nothing but the name of a command (see effect-signer sign --help)"
      )
      assert.strictEqual(help.join("\n"), (yield* run(["sign", "--help"])).out)
      const ofAgent = yield* run(["agent", "list", "--socket", "s", "-h"])
      assert.include(ofAgent.err, "effect-signer agent list [flags]")
      const asJson = yield* run(["sign", "--key", "k", "--help", "--json"])
      assert.strictEqual(asJson.err.split("\n").length, 2)
      assert.notInclude((yield* run(["sign", "--key", "k", "--", "--help"])).err, "USAGE")
      assert.include((yield* run(["help", "nope"])).err, "unknown command nope")
    })
  )

  it.effect("says what is easily misunderstood", () =>
    Effect.gen(function* () {
      const help = (command: string) => Effect.map(run([command, "--help"]), ({ out }) => out.replace(/\s+/g, " "))
      assert.match(
        yield* help("public-key"),
        /address: SHA-256 of the raw public key.*fingerprint: its first 16 digits/
      )
      assert.include(yield* help("sign"), "ignored where the key that is read is not encrypted")
      assert.include(yield* help("sign"), "errors and warnings are lines of JSON on standard error")
      assert.include(yield* help("sign"), "2 GiB at most")
      assert.match(yield* help("sign"), /--alg PS256 --encoding raw --out app\.sig/)
      assert.match(yield* help("verify"), /--alg PS256 --signature-file app\.sig --encoding raw app\.tar\.gz/)
    })
  )
})

describe("joinValues", () => {
  const vocabulary = CommandLine.vocabularyOf(effectSigner)

  it.effect("ties values to their flags, and leaves what follows -- alone", () =>
    Effect.gen(function* () {
      const join = (...args: ReadonlyArray<string>) => CommandLine.joinValues(vocabulary, args)
      assert.deepStrictEqual(yield* join("sign", "-k", "-x", "--force", "m"), ["sign", "-k=-x", "--force", "m"])
      assert.deepStrictEqual(yield* join("sign", "--out", "a=b", "m"), ["sign", "--out=a=b", "m"])
      assert.deepStrictEqual(yield* join("verify", "--signature", ""), ["verify", "--signature="])
      assert.deepStrictEqual(yield* join("verify", "--", "--key", "-x"), ["verify", "--", "--key", "-x"])
      assert.deepStrictEqual(yield* join("verify", "--key"), ["verify", "--key"])
      const error = yield* Effect.flip(join("keygen", "--out", "--json"))
      assert.strictEqual(error.message, "--out has no value; where it begins with -, write --out=VALUE")
    })
  )

  it("knows every flag, and each word is the same flag in all commands", () => {
    type Descriptor = Completions.CommandDescriptor
    const all = (descriptor: Descriptor): ReadonlyArray<Descriptor> => [
      descriptor,
      ...descriptor.subcommands.flatMap(all)
    ]
    const meanings = new Map<string, Set<string>>()
    for (const { flags } of all(Completions.fromCommand(effectSigner))) {
      for (const { aliases, name, type } of flags) {
        const takesValue = type._tag !== "Boolean"
        for (const word of [name, ...aliases].map((word) => (word.length === 1 ? `-${word}` : `--${word}`))) {
          meanings.set(word, (meanings.get(word) ?? new Set()).add(`--${name}${takesValue ? " VALUE" : ""}`))
          assert.deepInclude(vocabulary.flags.get(word), { name, takesValue }, word)
        }
      }
    }
    assert.isAbove(meanings.size, 15)
    // `joinValues` looks at words before it is known which command they are for
    assert.deepStrictEqual(
      [...meanings].filter(([, { size }]) => size > 1),
      []
    )
  })
})

describe("a message of more than 2 GiB", () => {
  it.effect("is refused with the limit, from a file and from standard input", () =>
    Effect.gen(function* () {
      const { at, write } = yield* temporary
      yield* run(["keygen", "--out", at("k")])
      const large = yield* write("large", "")
      yield* Effect.promise(() => truncate(large, 2 ** 31)) // sparse: takes no room
      const ofFile = yield* run(["sign", "--key", at("k"), large])
      const sentence = "a message is read whole and can have 2 GiB at most; this one is larger\n"
      assert.deepStrictEqual([ofFile.exitCode, ofFile.out], [2, ""])
      assert.strictEqual(ofFile.err, `effect-signer: ${large}: ${sentence}`)
      const chunk = new Uint8Array(2 ** 26) // one chunk many times
      const stdin = Stream.fromIterable(Array.from({ length: 33 }, () => chunk))
      const ofStdin = yield* run(["sign", "--key", at("k")], { stdin })
      assert.deepStrictEqual([ofStdin.exitCode, ofStdin.out], [2, ""])
      assert.strictEqual(ofStdin.err, `effect-signer: standard input: ${sentence}`)
    })
  )
})
