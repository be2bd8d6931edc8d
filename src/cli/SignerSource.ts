/**
 * Which signer a command uses when its key is in no key file: the flags
 * `--config` and `--signer-env`, for any backend there is.
 *
 * @category internal
 */
import * as Flag from "effect/cli/Flag"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SignerConfig from "../layers/SignerConfig.ts"
import type { Service } from "../services/Signer.ts"
import { Signer } from "../services/Signer.ts"
import type { Failure } from "./Failure.ts"
import { fail, failure, ofBackend, plain, shownPath } from "./Failure.ts"
import * as Files from "./Files.ts"
import * as Output from "./Output.ts"

/** The flags of commands that sign with any backend. */
export const flags = {
  config: Flag.String("config").pipe(
    Flag.withAlias("c"),
    Flag.withMetavar("FILE"),
    Flag.withDescription("A signer instead of a key: JSON that names its backend, or - for standard input"),
    Flag.optional
  ),
  signerEnv: Flag.String("signer-env").pipe(
    Flag.withMetavar("PREFIX"),
    Flag.withDescription(
      "A signer instead of a key: that of the variables PREFIX_SIGNER_BACKEND and those of its backend, or - for " +
        "variables without a prefix"
    ),
    Flag.optional
  )
}

/** What the flags say. */
export interface Source {
  readonly config: Option.Option<string>
  readonly signerEnv: Option.Option<string>
}

/** Whether a signer is stated. */
export const isStated = ({ config, signerEnv }: Source): boolean => Option.isSome(config) || Option.isSome(signerEnv)

/** The file that is read, if any: an input as others are. */
export const inputs = ({ config }: Source): ReadonlyArray<string> => Option.toArray(config)

/** Fails unless exactly one of a key and a signer is stated. `name` is what the command calls the former, if it takes one. */
export const checkOne = (
  source: Source,
  key: Option.Option<string>,
  name?: string | undefined
): Effect.Effect<void, Failure> => {
  const stated = [key, source.config, source.signerEnv].filter(Option.isSome).length
  const names = `${name === undefined ? "" : `${name}, `}--config FILE or --signer-env PREFIX`
  return stated === 1 ? Effect.void : fail(`state ${names}${stated === 0 ? "" : "; only one of them"}`)
}

/** Fails where a flag is stated that is for keys in files, and would have no effect. */
export const refuseFlags = (stated: { readonly [flag: string]: boolean }): Effect.Effect<void, Failure> => {
  const [flag] = Object.keys(stated).filter((name) => stated[name])
  return flag === undefined
    ? Effect.void
    : fail(`${flag} goes with a key in a file; a signer has it in its configuration`)
}

const ofConfig =
  (name: string) =>
  ({ message }: SignerConfig.SignerConfigError): Failure =>
    failure(plain(`${name}: ${message}`), "SignerConfigError")

const textOf = (path: string) =>
  Effect.flatMap(Files.readSmall(path), ({ bytes }) => {
    const text = Files.toText(bytes)
    return text === undefined ? fail(`${shownPath(path)}: a configuration is UTF-8 text`) : Effect.succeed(text)
  })

/** The backend that is stated, checked and not yet asked for anything. Warns of what it ignores. */
export const choose = Effect.fnUntraced(function* (source: Source) {
  const path = Option.getOrUndefined(source.config)
  const chosen = yield* path !== undefined
    ? Effect.flatMap(textOf(path), (text) => Effect.mapError(SignerConfig.fromText(text), ofConfig(shownPath(path))))
    : Effect.mapError(
        SignerConfig.fromEnvironment({
          prefix: Option.getOrUndefined(Option.filter(source.signerEnv, (prefix) => prefix !== "-"))
        }),
        ofConfig("the environment")
      )
  if (chosen.ignored.length > 0) {
    yield* Output.warn(`${chosen.ignored.join(", ")} in the configuration: no effect with ${chosen.backend}`)
  }
  return chosen
})

/** Builds the signer, in the scope of the command. */
export const build = ({ layer }: SignerConfig.Chosen) =>
  Effect.mapError(
    Effect.map(Layer.build(layer), (context): Service => Context.get(context, Signer)),
    ofBackend // whole, and without the flags that keys in files have: the configuration states them
  )

/** The signer that is stated, in the scope of the command. */
export const open = (source: Source) => Effect.flatMap(choose(source), build)
