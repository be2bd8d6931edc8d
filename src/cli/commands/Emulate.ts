/**
 * `effect-signer emulate`
 *
 * @category internal
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { closest } from "../../layers/config/Closest.ts"
import * as Fault from "../../testing/emulator/Fault.ts"
import { emulators } from "../Emulators.ts"
import type { Emulator, Key } from "../Emulators.ts"
import type { Failure } from "../Failure.ts"
import { fail, ofSigner, shownWord } from "../Failure.ts"
import * as Output from "../Output.ts"

/** Faults by name. */
const faults: { readonly [name: string]: Fault.Fault } = {
  throttle: Fault.throttle(),
  unavailable: Fault.htmlPage(503),
  reset: Fault.reset,
  hang: Fault.hang,
  garbled: Fault.garbled,
  "wrong-name": Fault.wrongName,
  "wrong-checksum": Fault.wrongChecksum,
  "corrupted-signature": Fault.corruptedSignature,
  "another-key": Fault.anotherKey
}

const faultNames = Object.keys(faults)

const readFault = (
  text: string
): Effect.Effect<{ readonly fault: Fault.Fault; readonly probability: number }, Failure> => {
  const [, name = "", chance = "1"] = /^([a-z-]+)(?::(\d*(?:\.\d+)?))?$/.exec(text) ?? []
  const fault = Object.hasOwn(faults, name) ? faults[name] : undefined
  const probability = chance === "" ? NaN : Number(chance)
  return fault === undefined || Number.isNaN(probability)
    ? fail(`--fault is NAME or NAME:PROBABILITY, as throttle:0.2; the names are ${faultNames.join(", ")}`)
    : probability > 0 && probability <= 1
      ? Effect.succeed({ fault, probability })
      : fail("--fault: the probability is out of range; it is above 0, and 1 at most, as in throttle:0.2")
}

const readPeriod = (text: string): Effect.Effect<Duration.Duration, Failure> => {
  const duration = /^\d+ ?[a-z]+$/.test(text)
    ? Duration.fromInput(text.replace(/^(\d+) ?/, "$1 ") as Duration.Input)
    : Option.none()
  return Option.isSome(duration) && Duration.toMillis(duration.value) >= 100
    ? Effect.succeed(duration.value)
    : fail(`--rotate-every is a time, 100 millis or more: "30 seconds", "5 minutes"`)
}

interface WantedKey {
  readonly name: string
  readonly type: string
}

const readKey =
  ({ keyTypes }: Emulator) =>
  (text: string): Effect.Effect<WantedKey, Failure> => {
    const [, name, given = keyTypes[0]!] = /^([A-Za-z0-9-]{1,64})(?:=(.*))?$/.exec(text) ?? []
    const type = keyTypes.find((type) => type.toLowerCase() === given.toLowerCase())
    return name === undefined
      ? fail("--key is NAME or NAME=TYPE; a name is letters, digits and hyphens")
      : type === undefined
        ? fail(`--key: ${shownWord(given)} is no type of keys here; they are ${keyTypes.join(", ")}`)
        : Effect.succeed({ name, type })
  }

/** Which emulator is meant; who does not find it is shown all of them. */
const readVendor = (vendor: string): Effect.Effect<Emulator, Failure> => {
  const names = Object.keys(emulators)
  const alike = names.filter((name) => name[0] === vendor[0]?.toLowerCase())
  const near = closest(vendor, names) ?? (alike.length === 1 ? alike[0] : undefined)
  return Object.hasOwn(emulators, vendor)
    ? Effect.succeed(emulators[vendor]!)
    : fail(
        `${shownWord(vendor)} is no vendor that is emulated; they are ${names.join(", ")}` +
          (near === undefined ? "" : `; did you mean ${near}?`)
      )
}

const assignments = (env: { readonly [name: string]: string }) =>
  Object.entries(env).map(([name, value]) => `export ${name}='${value}'`)

/** Text that a shell takes as it is: what is for a person is a comment. */
const textOf = (
  name: string,
  { notes }: Emulator,
  url: string,
  env: { readonly [name: string]: string },
  keys: ReadonlyArray<WantedKey & Key>
): string =>
  [
    `# ${name} is emulated on ${url} until this program ends (Ctrl-C). For tests: its keys die with it.`,
    ...notes.map((note) => `# ${note}`),
    "",
    ...assignments({ ...env, ...keys[0]!.env }),
    ...keys.slice(1).flatMap((key) => assignments(key.env).map((line) => `# ${line}`)),
    "",
    "# The secrets below are plain text, and for tests. In a configuration of your own, name a variable that has one:",
    '# { "env": "NAME" } in the place of the text.',
    ...keys.flatMap((key) => [
      `# ${key.name} (${key.type}) is ${key.id}; as a configuration, for --config:`,
      `# ${JSON.stringify(key.config)}`
    ]),
    ""
  ].join("\n")

/** Starts an emulator and serves until it is interrupted. */
export const emulate = Command.make(
  "emulate",
  {
    vendor: Argument.String("vendor").pipe(
      Argument.withMetavar(Object.keys(emulators).join("|")),
      Argument.withDescription(
        "aws: AWS KMS; azure: Azure Key Vault; gcp: Google Cloud KMS; vault: the transit engine of Vault or OpenBao"
      )
    ),
    port: Flag.Int("port").pipe(
      Flag.withAlias("p"),
      Flag.withDescription("On 127.0.0.1. Default, and where it is 0: any that is free"),
      Flag.withDefault(0)
    ),
    keys: Flag.String("key").pipe(
      Flag.withAlias("k"),
      Flag.withMetavar("NAME=TYPE"),
      Flag.withDescription(
        "A key to make, by the vendor's name of its type; more than once for more keys. Default: release, of the first " +
          "type that the vendor has"
      ),
      Flag.atLeast(0)
    ),
    rotateEvery: Flag.String("rotate-every").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription('Add a version to every key every so often: "30 seconds"'),
      Flag.optional
    ),
    fault: Flag.String("fault").pipe(
      Flag.withMetavar("NAME:PROBABILITY"),
      Flag.withDescription(
        `What goes wrong with signing, and how often: throttle:0.2. Names: ${faultNames.join(", ")}`
      ),
      Flag.optional
    ),
    seed: Flag.Int("seed").pipe(
      Flag.withDescription("Of the chance of --fault: the same one makes the same choices. Default: 1"),
      Flag.withDefault(1)
    )
  },
  Effect.fnUntraced(function* ({ fault: faultText, keys: keyTexts, port, rotateEvery, seed, vendor }) {
    const json = yield* Output.Json
    const emulator = yield* readVendor(vendor)
    if (!(port >= 0 && port <= 65_535)) return yield* fail("--port is a number from 0 to 65535")
    const wanted = yield* Effect.forEach(keyTexts.length === 0 ? ["release"] : keyTexts, readKey(emulator))
    if (new Set(wanted.map(({ name }) => name.toLowerCase())).size < wanted.length) {
      return yield* fail("--key: two keys have the same name")
    }
    const fault = Option.isSome(faultText) ? yield* readFault(faultText.value) : undefined
    const period = Option.isSome(rotateEvery) ? yield* readPeriod(rotateEvery.value) : undefined

    const running = yield* Effect.mapError(emulator.start(port), ofSigner)
    const keys = yield* Effect.forEach(wanted, ({ name, type }) =>
      Effect.mapBoth(running.createKey(name, type), {
        onFailure: ofSigner,
        onSuccess: (key) => ({ name, type, ...key })
      })
    )
    if (fault !== undefined) yield* running.faults.sometimes(fault.fault, { probability: fault.probability, seed })
    if (period !== undefined) {
      const rotations = keys.flatMap(({ rotate }) => (rotate === undefined ? [] : [rotate]))
      if (rotations.length === 0) return yield* fail("--rotate-every: keys of this vendor that sign do not rotate")
      yield* Effect.forkScoped(
        Effect.forever(Effect.delay(Effect.all(rotations, { discard: true }), period)).pipe(Effect.ignore)
      )
    }
    yield* json
      ? Output.print({
          vendor,
          url: running.url,
          env: { ...running.env, ...keys[0]!.env },
          keys: keys.map(({ config, env, id, name, type }) => ({ name, type, id, env, config }))
        })
      : Output.write(textOf(vendor, emulator, running.url, running.env, keys))
    return yield* Effect.never
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Serve the signing API of a vendor on the loopback interface, with new keys, for tests in any language. Prints the " +
      "variables that a client needs, and configurations for --config; ends with Ctrl-C or SIGTERM. Its keys are in memory " +
      "and die with it, and everybody on this machine who has the token can use them."
  ),
  Command.withShortDescription("Serve a vendor's signing API, for tests"),
  Command.withExamples([
    {
      command: "effect-signer emulate vault --port 8200 --key release=ed25519 --key root=ecdsa-p384",
      description: "The transit engine of Vault with two keys"
    },
    {
      command: "effect-signer emulate aws --fault throttle:0.2 --seed 7",
      description: "AWS KMS that throttles every fifth signature, the same ones each time"
    },
    {
      command: 'effect-signer emulate vault --rotate-every "30 seconds" --json > vault.json &',
      description: "Keys that rotate, described for another program"
    }
  ])
)
