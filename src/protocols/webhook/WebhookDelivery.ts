/**
 * What webhooks have in common, whatever their scheme: one line of each field, a
 * time within some tolerance, and one error.
 *
 * @category internal
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { isBytes } from "../../schemas/Bytes.ts"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import { ReplayStore } from "../../services/ReplayStore.ts"
import type { Entry, ReplayStoreUnavailable } from "../../services/ReplayStore.ts"
import { trimmed } from "../http/FieldValue.ts"
import type { FieldLine } from "../HttpMessage.ts"

/**
 * What arrived: every `HttpMessage.HttpRequest` is one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Delivery {
  readonly fields: ReadonlyArray<FieldLine>
  /** The bytes as they were received, before anything parsed them. */
  readonly body: Uint8Array | undefined
}

/**
 * Why a webhook is refused. `SignatureInvalid` is all that is ever said of a
 * signature.
 *
 * | reason | when |
 * | --- | --- |
 * | `FieldMissing` | a field of the scheme is absent |
 * | `Malformed` | a field is not what the scheme says, or is there twice |
 * | `TooOld`, `TooNew` | the time is not within the tolerance |
 * | `NoSignature` | no signature is of a version that the keys can check |
 * | `SignatureInvalid` | no signature is by one of the keys over this webhook |
 * | `BodyMalformed` | the signature is right, and the body could be read in two ways |
 * | `Replayed` | it was accepted before |
 * | `StoreFull` | the store of what was accepted has no more room |
 *
 * @category errors
 * @since 0.1.0
 */
export const WebhookReason = Schema.Literals([
  "FieldMissing",
  "Malformed",
  "TooOld",
  "TooNew",
  "NoSignature",
  "SignatureInvalid",
  "BodyMalformed",
  "Replayed",
  "StoreFull"
])

/**
 * The type of {@link WebhookReason}.
 *
 * @category errors
 * @since 0.1.0
 */
export type WebhookReason = typeof WebhookReason.Type

/**
 * A webhook that is refused. It holds nothing of what the webhook says.
 *
 * @category errors
 * @since 0.1.0
 */
export class WebhookInvalid extends Schema.TaggedError<WebhookInvalid>("effect-signer/WebhookInvalid")(
  "WebhookInvalid",
  {
    reason: WebhookReason,
    /** The field it is about, where it is about one. */
    field: Schema.optionalKey(Schema.String),
    problem: Schema.optionalKey(Schema.String)
  }
) {
  override get message() {
    const field = this.field === undefined ? "" : ` ${this.field}`
    return `WebhookInvalid: ${this.reason}${field}${this.problem === undefined ? "" : `: ${this.problem}`}`
  }
}

/** The failure of a field. */
export const refused = (
  reason: WebhookReason,
  field?: string,
  problem?: string
): Effect.Effect<never, WebhookInvalid> =>
  Effect.fail(
    new WebhookInvalid({
      reason,
      ...(field === undefined ? undefined : { field }),
      ...(problem === undefined ? undefined : { problem })
    })
  )

/** What is wrong with what the application states. */
export const misconfigured = (operation: "make" | "sign" | "verify", field: string, problem: string) =>
  InvalidConfiguration.of({ operation, field, problem })

// ---------------------------------------------------------------------------
// fields
// ---------------------------------------------------------------------------

/** Characters of a field value, at most. */
const maxValueLength = 4096

/** The value of the one line of a field. */
export const fieldOf = ({ fields }: Delivery, name: string): Effect.Effect<string, WebhookInvalid> => {
  const lines = fields.filter(([line]) => line.toLowerCase() === name)
  if (lines.length === 0) return refused("FieldMissing", name)
  if (lines.length > 1) return refused("Malformed", name, "the field is there twice")
  const value = trimmed(lines[0]![1])
  return value.length > maxValueLength
    ? refused("Malformed", name, `longer than ${maxValueLength} characters`)
    : Effect.succeed(value)
}

const isLine = (line: unknown): boolean =>
  Array.isArray(line) && line.length === 2 && typeof line[0] === "string" && typeof line[1] === "string"

/** The bytes of the body, as the caller gave them, where the delivery is one. */
export const bodyOf = ({ body, fields }: Delivery): Effect.Effect<Uint8Array, InvalidConfiguration> => {
  if (!Array.isArray(fields) || !fields.every(isLine)) {
    return Effect.fail(misconfigured("verify", "fields", "must be a list of names and values, as Object.entries gives"))
  }
  return isBytes(body)
    ? Effect.succeed(body)
    : Effect.fail(misconfigured("verify", "body", "must be the bytes that were received, as a Uint8Array"))
}

const utf8 = new TextEncoder()

/** A copy of a body behind a prefix, and the place where it starts. */
export const withPrefix = (
  prefix: string,
  body: Uint8Array
): { readonly bytes: Uint8Array; readonly start: number } => {
  const head = utf8.encode(prefix)
  const bytes = new Uint8Array(head.length + body.length)
  bytes.set(head)
  bytes.set(body, head.length)
  return { bytes, start: head.length }
}

// ---------------------------------------------------------------------------
// time
// ---------------------------------------------------------------------------

/** Seconds since 1970, in their one form. */
const isSeconds = /^(?:0|[1-9][0-9]{0,11})$/

/** Whole seconds of Effect's clock. */
export const nowInSeconds: Effect.Effect<number> = Effect.map(Clock.currentTimeMillis, (now) => Math.floor(now / 1000))

/** Seconds of a tolerance: from none to a day. */
export const toleranceOf = (tolerance: Duration.Input): Effect.Effect<number, InvalidConfiguration> => {
  const seconds = Option.match(Duration.fromInput(tolerance), { onNone: () => -1, onSome: Duration.toSeconds })
  return seconds >= 0 && seconds <= 86_400
    ? Effect.succeed(seconds)
    : Effect.fail(misconfigured("verify", "tolerance", "must be from 0 seconds to 1 day"))
}

/** The time that a field states, where it is within the tolerance of now, in both directions. */
export const timeOf = Effect.fnUntraced(function* (
  text: string,
  field: string,
  tolerance: number
): Effect.fn.Return<number, WebhookInvalid> {
  if (!isSeconds.test(text)) return yield* refused("Malformed", field, "expected seconds since 1970, in digits")
  const seconds = Number(text)
  const now = yield* nowInSeconds
  if (seconds < now - tolerance) return yield* refused("TooOld", field)
  return seconds > now + tolerance ? yield* refused("TooNew", field) : seconds
})

// ---------------------------------------------------------------------------
// secrets
// ---------------------------------------------------------------------------

/** Looks at every byte, whatever the first ones say. */
export const isSame = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!
  return difference === 0
}

// ---------------------------------------------------------------------------
// replay
// ---------------------------------------------------------------------------

/** Accepts an entry once. */
export const once = (entry: Entry): Effect.Effect<void, WebhookInvalid | ReplayStoreUnavailable, ReplayStore> =>
  ReplayStore.use((store) =>
    Effect.flatMap(store.insert(entry), (outcome) =>
      outcome === "inserted" ? Effect.void : refused(outcome === "full" ? "StoreFull" : "Replayed")
    )
  )
