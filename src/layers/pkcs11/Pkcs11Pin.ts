/**
 * Where the PIN comes from.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { ErrorContext, SignerError } from "../../schemas/SignerError.ts"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import * as SecretFile from "../keyFile/SecretFile.ts"

/**
 * A file that holds the PIN in one line. It must be a regular file and no symbolic
 * link, belong to this user or to root, and have no permissions for others (not
 * checked on Windows).
 *
 * @category models
 * @since 0.1.0
 */
export interface PinFile {
  readonly file: string
  /** Read what a symbolic link leads to, as where Kubernetes mounts a secret. */
  readonly followSymlinks?: boolean | undefined
  /** Read a file that its group may read, as where Kubernetes sets `fsGroup`. */
  readonly allowGroupRead?: boolean | undefined
}

/**
 * Where the PIN of the token's user comes from: the PIN, a file that holds it, or an
 * effect that asks somebody for it.
 *
 * @category models
 * @since 0.1.0
 */
export type PinSource = Redacted.Redacted<string> | PinFile | Effect.Effect<Redacted.Redacted<string>, SignerError>

const invalid = (context: ErrorContext, problem: string) =>
  new InvalidConfiguration({ ...context, field: "pin", problem })

/** A PIN that a token could take: an empty one, or a whole file, would cost an attempt for nothing. */
const check = (context: ErrorContext, pin: Redacted.Redacted<string>) => {
  const text: unknown = Redacted.value(pin)
  return typeof text === "string" && /^[^\0\r\n]{1,255}$/.test(text)
    ? Effect.succeed(pin)
    : Effect.fail(invalid(context, "must be 1 to 255 characters in one line"))
}

const readFile = (context: ErrorContext, { file, ...options }: PinFile) =>
  Effect.mapError(SecretFile.readLine(file, options), ({ problem }) => invalid(context, `the file with it: ${problem}`))

/** The PIN, without the line end of a file. */
export const read = (
  context: ErrorContext,
  source: PinSource | undefined
): Effect.Effect<Redacted.Redacted<string> | undefined, SignerError> => {
  if (source === undefined) return Effect.undefined
  const pin = Redacted.isRedacted(source)
    ? Effect.succeed(source as Redacted.Redacted<string>)
    : Effect.isEffect(source)
      ? (source as Effect.Effect<Redacted.Redacted<string>, SignerError>)
      : readFile(context, source as PinFile)
  return Effect.flatMap(pin, (pin) => check(context, pin))
}
