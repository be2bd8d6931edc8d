/**
 * Where the PIN comes from.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { ErrorContext, SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"

/**
 * Where the PIN of the token's user comes from: the PIN, a file that holds it, or an
 * effect that asks somebody for it.
 *
 * @category models
 * @since 0.1.0
 */
export type PinSource =
  | Redacted.Redacted<string>
  | { readonly file: string }
  | Effect.Effect<Redacted.Redacted<string>, SignerError>

declare const process: { readonly getBuiltinModule?: (id: string) => unknown } | undefined

interface Files {
  readonly readFile: (
    path: string,
    options: { readonly encoding: "utf8"; readonly signal: AbortSignal }
  ) => Promise<string>
}

const invalid = (context: ErrorContext, problem: string) =>
  new InvalidConfiguration({ ...context, field: "pin", problem })

const readFile = (context: ErrorContext, path: string): Effect.Effect<Redacted.Redacted<string>, SignerError> => {
  const files = process?.getBuiltinModule?.("node:fs/promises") as Files | undefined
  if (files === undefined) return Effect.fail(invalid(context, "there are no files in this runtime"))
  return Effect.tryPromise({
    try: (signal) => files.readFile(path, { encoding: "utf8", signal }),
    catch: (error) => {
      const code = (error as { readonly code?: unknown } | null)?.code
      return invalid(context, `the file cannot be read: ${typeof code === "string" ? code : "unknown error"}`)
    }
  }).pipe(Effect.map((text) => Redacted.make(text.replace(/\r?\n$/, ""))))
}

/** A PIN that a token could take: an empty one, or a whole file, would cost an attempt for nothing. */
const check = (context: ErrorContext, pin: Redacted.Redacted<string>) => {
  const text: unknown = Redacted.value(pin)
  return typeof text === "string" && /^[^\0\r\n]{1,255}$/.test(text)
    ? Effect.succeed(pin)
    : Effect.fail(invalid(context, "must be 1 to 255 characters in one line"))
}

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
      : readFile(context, (source as { readonly file: string }).file)
  return Effect.flatMap(pin, (pin) => check(context, pin))
}
