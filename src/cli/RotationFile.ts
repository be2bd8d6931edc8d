/**
 * The rotation that `rotate` and `jwks publish` work on: its state in one file, its
 * keys in the store of `keys`.
 *
 * @category internal
 */
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as FileRotationStore from "../layers/FileRotationStore.ts"
import type { PolicyOptions } from "../schemas/RotationState.ts"
import { isSignerError } from "../schemas/SignerError.ts"
import * as KeyManager from "../services/KeyManager.ts"
import type { StepError } from "../services/Rotation.ts"
import * as Rotation from "../services/Rotation.ts"
import type { RotationStoreError } from "../services/RotationStore.ts"
import { RotationStore } from "../services/RotationStore.ts"
import type { Failure } from "./Failure.ts"
import { fail, failure, ofSigner, plain, shownPath } from "./Failure.ts"

/** The environment variable of `--rotation`. */
export const variable = "EFFECT_SIGNER_ROTATION"

const defaultPath = "effect-signer-rotation.json"

/** The flag, where a command has it by default. */
export const flag = Flag.String("rotation").pipe(
  Flag.withMetavar("FILE"),
  Flag.withDescription(
    `The file with the state of the rotation. Default: $${variable}, or ${defaultPath} in the folder you are in`
  ),
  Flag.optional
)

/** The file that is meant. */
export const pathOf = Effect.fnUntraced(function* (stated: Option.Option<string>) {
  const fromEnvironment = Config.option(Config.String(variable)).pipe(
    Effect.mapError(() => failure(`${variable} cannot be read`))
  )
  const path = Option.isSome(stated) ? stated.value : Option.getOrElse(yield* fromEnvironment, () => defaultPath)
  return path === "" || path === "-" ? yield* fail("--rotation is a file") : path
})

/** The sentence of an error of the file. */
const ofStore =
  (path: string) =>
  ({ _tag, problem }: RotationStoreError): Failure =>
    failure(`${shownPath(path)}: ${plain(problem)}`, _tag)

/** The sentence of an error of a step. */
export const ofStep =
  (path: string) =>
  (error: StepError): Failure => {
    if (isSignerError(error)) return ofSigner(error)
    if (error._tag === "RotationStoreError") return ofStore(path)(error)
    return error._tag === "CanaryFailed" && error.error !== undefined
      ? failure(`${plain(error.id)} did not sign its challenge: ${ofSigner(error.error).message}`, error._tag)
      : failure(
          plain(
            error.message
              .replace(/^rotation\.\w+: /, "")
              .replace("with allowAlgorithmChange", "with --allow-algorithm-change")
          ),
          error._tag
        )
  }

/** What the file says now; `undefined` where there is no rotation in it. */
export const read = (path: string) =>
  Effect.gen(function* () {
    const store = yield* FileRotationStore.make({ path })
    const { state } = yield* Effect.mapError(store.read, ofStore(path))
    return { store, state }
  })

/** Whether the rotation that is meant by default still needs this key: the file, and what the key is there. */
export const needs = Effect.fnUntraced(function* (id: string) {
  const path = yield* pathOf(Option.none())
  const found = yield* Effect.option(read(path))
  const key = Option.getOrUndefined(found)?.state?.keys.find((key) => key.id === id)
  return key === undefined || key.state === "retired" || key.state === "disabled"
    ? undefined
    : `${shownPath(path)}: the rotation needs it, as its ${key.state} key`
})

/**
 * The rotation in a file. Its numbers are those that are kept with it, unless others
 * are stated. Without keys it can be looked at and published, and takes no step that
 * has a key sign.
 */
export const open = Effect.fnUntraced(function* (
  path: string,
  options: { readonly keys?: KeyManager.Service | undefined; readonly policy?: PolicyOptions | undefined } = {}
) {
  const { state, store } = yield* read(path)
  const policy = options.policy ?? state?.policy
  if (policy === undefined) {
    return yield* fail(
      `${shownPath(path)}: there is no rotation; effect-signer rotate adopt begins one with the key that verifiers have, rotate start with a new one`
    )
  }
  const rotation = yield* Rotation.make({
    policy,
    signerOf: (id) =>
      options.keys === undefined
        ? Effect.die("a step without keys has a key sign")
        : KeyManager.signerOf(options.keys)(id)
  }).pipe(Effect.provideService(RotationStore, store), Effect.mapError(ofSigner))
  return { rotation, ask: <A>(effect: Effect.Effect<A, StepError>) => Effect.mapError(effect, ofStep(path)) }
})
