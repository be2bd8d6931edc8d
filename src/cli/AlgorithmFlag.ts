/**
 * The flag `--alg`.
 *
 * @category internal
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as SignatureAlgorithm from "../schemas/SignatureAlgorithm.ts"
import type { Failure } from "./Failure.ts"
import { ofSigner } from "./Failure.ts"

/** The flag, with what it is for. */
export const make = (description: string) =>
  Flag.String("alg").pipe(Flag.withMetavar("NAME"), Flag.withDescription(description))

/** What may be a name. Anything else may be a secret in the wrong place, and an error would show it. */
const isWord = (name: string) => /^[\w .-]{1,24}$/.test(name)

/** Reads a name, as `SignatureAlgorithm.fromName` does. */
export const read = (name: string): Effect.Effect<SignatureAlgorithm.SignatureAlgorithm, Failure> =>
  Effect.mapError(SignatureAlgorithm.fromName(isWord(name) ? name : "this"), ofSigner)

/** Reads a name where one is given. */
export const readOptional = (
  name: Option.Option<string>
): Effect.Effect<SignatureAlgorithm.SignatureAlgorithm | undefined, Failure> =>
  Effect.map(Effect.transposeOption(Option.map(name, read)), Option.getOrUndefined)
