/**
 * Fields of a configuration: how plain JSON becomes the options of a backend, and
 * where its secrets come from. What a field says about a value never shows it.
 *
 * @category internal
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { fromBase64 } from "../../schemas/BaseEncoding.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import { isRecord } from "../../schemas/StrictJson.ts"

/** What is expected where text is, and there is something else. */
const expectedText = (json: unknown, otherwise: string): string =>
  typeof json === "number" ? 'expected text, in quotes: "7"' : otherwise

/** What stands in the JSON, where it is not text itself. */
export type Reference = { readonly env: string } | { readonly file: string }

const invalid = (message: string) => new SchemaIssue.InvalidValue({ message })
const refuse = (message: string) => Effect.fail(invalid(message))
const at = (key: string, message: string) => Effect.fail(new SchemaIssue.Pointer([key], invalid(message)))

/** A field that is read and never written back: nothing puts a secret into JSON again. */
const readOnly = <Type, Json>(
  type: Schema.Codec<Type>,
  decode: (json: unknown) => Effect.Effect<Type, SchemaIssue.Issue>
): Schema.Codec<Type, Json> =>
  Schema.Unknown.pipe(
    Schema.decodeTo(
      type,
      SchemaTransformation.transformEffect({
        decode,
        encode: (): Effect.Effect<unknown, SchemaIssue.Issue> =>
          Effect.fail(new SchemaIssue.Forbidden({ message: "a configuration is read and not written" }))
      })
    )
  ) as Schema.Codec<unknown, unknown> as Schema.Codec<Type, Json>

/** The only key of an object. */
const onlyKey = (json: Readonly<Record<string, unknown>>): string | undefined => {
  const keys = Object.keys(json)
  return keys.length === 1 ? keys[0] : undefined
}

// ---------------------------------------------------------------------------
// references
// ---------------------------------------------------------------------------

/** Bytes of a file at most, as everywhere here. */
const maxLength = 65_536

declare const process: { readonly getBuiltinModule?: (id: string) => unknown } | undefined

interface Files {
  readonly open: (path: string) => Promise<{
    read(buffer: Uint8Array, offset: number, length: number, position: null): Promise<{ readonly bytesRead: number }>
    close(): Promise<void>
  }>
}

/** Text of a file, without one line end after it. A pipe is read, and nothing endless. */
const readFile = (path: string): Effect.Effect<string, SchemaIssue.Issue> =>
  Effect.suspend(() => {
    const files = (typeof process === "undefined" ? undefined : process.getBuiltinModule?.("node:fs/promises")) as
      | Files
      | undefined
    if (files === undefined) return at("file", "there are no files in this runtime")
    return Effect.tryPromise({
      try: async () => {
        const buffer = new Uint8Array(maxLength + 1)
        const file = await files.open(path)
        try {
          let length = 0
          let read: number
          do {
            read = (await file.read(buffer, length, buffer.length - length, null)).bytesRead
            length += read
          } while (read > 0 && length < buffer.length)
          return length > maxLength
            ? undefined
            : new TextDecoder("utf-8", { fatal: true }).decode(buffer.subarray(0, length))
        } finally {
          buffer.fill(0)
          await file.close()
        }
      },
      catch: (error) => (error as { readonly code?: unknown } | null)?.code
    }).pipe(
      Effect.catch((code) =>
        at(
          "file",
          `the file cannot be read: ${typeof code === "string" && /^\w{1,40}$/.test(code) ? code : "unknown error"}`
        )
      ),
      Effect.flatMap((text) => {
        if (text === undefined) return at("file", `the file is longer than ${maxLength} bytes`)
        const content = text.replace(/\r?\n$/, "")
        return content === "" ? at("file", "the file is empty") : Effect.succeed(content)
      })
    )
  })

const readVariable = (name: string): Effect.Effect<string, SchemaIssue.Issue> =>
  /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name)
    ? Effect.matchEffect(Config.Redacted(name), {
        onFailure: () => at("env", "the variable is not set"),
        onSuccess: (value) =>
          Redacted.value(value) === "" ? at("env", "the variable is empty") : Effect.succeed(Redacted.value(value))
      })
    : at("env", "must be the name of a variable: letters, digits and _")

const sources: { readonly [key: string]: (value: string) => Effect.Effect<string, SchemaIssue.Issue> } = {
  env: readVariable,
  file: readFile
}

const textForms = `expected text, or { "env": "NAME" }, or { "file": "/path" }`

/** Text that stands in the JSON, in a variable or in a file. */
const resolve = (json: unknown): Effect.Effect<string, SchemaIssue.Issue> => {
  if (typeof json === "string") return json === "" ? refuse("must not be empty") : Effect.succeed(json)
  const key = isRecord(json) ? onlyKey(json) : undefined
  const source = key !== undefined && Object.hasOwn(sources, key) ? sources[key] : undefined
  if (key === undefined || source === undefined) return refuse(expectedText(json, textForms))
  const value = (json as Readonly<Record<string, unknown>>)[key]
  return typeof value === "string" && value !== "" ? source(value) : at(key, "expected text that is not empty")
}

// ---------------------------------------------------------------------------
// fields
// ---------------------------------------------------------------------------

/**
 * A secret: text, `{ "env": "NAME" }` or `{ "file": "/path" }`. It is `Redacted`
 * from here on, and is not written back.
 *
 * **Details**
 *
 * The variable is read through `Config`, and so from whatever `ConfigProvider` is
 * there. Of a file one line end after the text is left out, 65,536 bytes are the
 * most, and a relative path is relative to the working directory.
 *
 * @category fields
 * @since 0.1.0
 */
export const Secret: Schema.Codec<Redacted.Redacted<string>, string | Reference> = readOnly(
  Schema.Redacted(Schema.String) as unknown as Schema.Codec<Redacted.Redacted<string>>,
  (json) => Effect.map(resolve(json), (text) => Redacted.make(text))
)

/**
 * Text that is not empty, 4096 characters at most.
 *
 * @category fields
 * @since 0.1.0
 */
export const Text: Schema.Codec<string> = readOnly(Schema.String, (json) =>
  typeof json !== "string" || json === ""
    ? refuse(expectedText(json, "expected text that is not empty"))
    : json.length > 4096
      ? refuse("is longer than 4096 characters")
      : !json.isWellFormed()
        ? refuse("has half of a surrogate pair, which is no character")
        : Effect.succeed(json)
)

/**
 * A time: `"2 seconds"`, `"100 millis"`, `"1 hour"`.
 *
 * @category fields
 * @since 0.1.0
 */
export const Time: Schema.Codec<Duration.Duration, string> = readOnly(Schema.Duration, (json) => {
  const match = typeof json === "string" && json.length <= 64 ? /^\d+(?:\.\d+)? [a-z]+$/.test(json) : false
  const duration = match ? Duration.fromInput(json as Duration.Input) : undefined
  return duration?._tag === "Some" && Duration.toMillis(duration.value) > 0
    ? Effect.succeed(duration.value)
    : refuse(`expected a time above zero: "2 seconds", "100 millis", "1 hour"`)
})

const atLeast = (least: number, message: string): Schema.Codec<number> =>
  readOnly(Schema.Finite, (json) =>
    typeof json === "number" && Number.isSafeInteger(json) && json >= least ? Effect.succeed(json) : refuse(message)
  )

/**
 * A whole number above zero.
 *
 * @category fields
 * @since 0.1.0
 */
export const Count = atLeast(1, "expected a whole number above zero")

/**
 * A whole number, also zero.
 *
 * @category fields
 * @since 0.1.0
 */
export const CountOrNone = atLeast(0, "expected a whole number, or 0")

/** A public key: its PEM, its OpenSSH line, or its JWK as an object; also in a variable or in a file. */
const decodePublicKey = (json: unknown): Effect.Effect<PublicKey.PublicKey, SchemaIssue.Issue> => {
  const reason = ({ problem }: { readonly problem: string }) => invalid(`is no public key: ${problem}`)
  if (isRecord(json) && Object.hasOwn(json, "kty")) return Effect.mapError(PublicKey.fromJwk(json), reason)
  return Effect.flatMap(
    Effect.mapError(resolve(json), (issue) =>
      issue._tag === "Pointer" ? issue : invalid("expected a public key: PEM, an OpenSSH line, or a JWK")
    ),
    (text) => Effect.mapError(text.startsWith("-----") ? PublicKey.fromPem(text) : PublicKey.fromOpenSsh(text), reason)
  )
}

/**
 * A public key: its PEM, its OpenSSH line or its JWK, or where the first two are, as
 * of a {@link Secret}.
 *
 * @category fields
 * @since 0.1.0
 */
export const Key: Schema.Codec<PublicKey.PublicKey, string | Schema.JsonObject | Reference> = readOnly(
  Schema.declare(PublicKey.isPublicKey),
  decodePublicKey
)

/**
 * Bytes as base64.
 *
 * @category fields
 * @since 0.1.0
 */
export const Bytes: Schema.Codec<Uint8Array, string> = readOnly(
  Schema.Uint8Array as Schema.Codec<Uint8Array>,
  (json) => {
    const bytes = typeof json === "string" && json.length <= maxLength ? fromBase64(json) : undefined
    return bytes === undefined ? refuse("expected bytes as base64") : Effect.succeed(bytes)
  }
)

type Variants = { readonly [key: string]: Schema.Codec<unknown, unknown> }
type VariantsOf<Members extends Variants, Side extends "Type" | "Encoded"> = {
  readonly [K in keyof Members]: { readonly [P in K]: Members[K][Side] }
}[keyof Members]

/**
 * An object with one key, which says what it holds; anything else is read by
 * `otherwise`, if there is one.
 *
 * @category fields
 * @since 0.1.0
 */
export const variants: {
  <const Members extends Variants>(
    members: Members
  ): Schema.Codec<VariantsOf<Members, "Type">, VariantsOf<Members, "Encoded">>
  <const Members extends Variants, Type, Json>(
    members: Members,
    otherwise: Schema.Codec<Type, Json>
  ): Schema.Codec<VariantsOf<Members, "Type"> | Type, VariantsOf<Members, "Encoded"> | Json>
} = (members: Variants, otherwise?: Schema.Codec<unknown, unknown>) =>
  readOnly<never, never>(Schema.Unknown as unknown as Schema.Codec<never>, (json) => {
    const key = isRecord(json) ? onlyKey(json) : undefined
    const member =
      key !== undefined && Object.hasOwn(members, key) ? Schema.Struct({ [key]: members[key]! }) : otherwise
    return member === undefined
      ? refuse(`expected an object with one of ${Object.keys(members).join(", ")}`)
      : (Effect.mapError(
          Schema.decodeUnknownEffect(member as Schema.Codec<unknown, unknown>)(json, {
            errors: "all",
            onExcessProperty: "error"
          }),
          ({ issue }) => issue
        ) as Effect.Effect<never, SchemaIssue.Issue>)
  })
