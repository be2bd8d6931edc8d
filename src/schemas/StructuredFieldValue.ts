/**
 * The values of structured fields, as data.
 *
 * @category internal
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * A value without parameters (RFC 9651 section 3.3).
 *
 * **Details**
 *
 * `Integer` has at most 15 digits, `Decimal` at most 12 before the point and three
 * behind it, `Date` counts whole seconds since 1970.
 *
 * @category models
 * @since 0.1.0
 */
export type BareItem =
  | { readonly _tag: "Integer"; readonly value: number }
  | { readonly _tag: "Decimal"; readonly value: number }
  | { readonly _tag: "String"; readonly value: string }
  | { readonly _tag: "Token"; readonly value: string }
  | { readonly _tag: "ByteSequence"; readonly value: Uint8Array }
  | { readonly _tag: "Boolean"; readonly value: boolean }
  | { readonly _tag: "Date"; readonly value: number }
  | { readonly _tag: "DisplayString"; readonly value: string }

/**
 * Parameters in their order, each name once (RFC 9651 section 3.1.2).
 *
 * @category models
 * @since 0.1.0
 */
export type Parameters = ReadonlyArray<readonly [name: string, value: BareItem]>

/**
 * A value with its parameters.
 *
 * @category models
 * @since 0.1.0
 */
export interface Item {
  readonly _tag: "Item"
  readonly value: BareItem
  readonly parameters: Parameters
}

/**
 * A list in parentheses, with parameters of its own (RFC 9651 section 3.1.1).
 *
 * @category models
 * @since 0.1.0
 */
export interface InnerList {
  readonly _tag: "InnerList"
  readonly items: ReadonlyArray<Item>
  readonly parameters: Parameters
}

/**
 * What lists and dictionaries hold.
 *
 * @category models
 * @since 0.1.0
 */
export type Member = Item | InnerList

/**
 * A list (RFC 9651 section 3.1).
 *
 * @category models
 * @since 0.1.0
 */
export type List = ReadonlyArray<Member>

/**
 * Members by key, in their order, each key once (RFC 9651 section 3.2).
 *
 * @category models
 * @since 0.1.0
 */
export type Dictionary = ReadonlyArray<readonly [key: string, member: Member]>

/**
 * The three forms of a field.
 *
 * @category models
 * @since 0.1.0
 */
export type FieldType = "item" | "list" | "dictionary"

/**
 * How byte sequences are written: `"base64"` is the standard's, padded;
 * `"base64url"` is unpadded.
 *
 * @category models
 * @since 0.1.0
 */
export type Alphabet = "base64" | "base64url"

/**
 * Digits of an integer at most, and of a decimal before its point.
 *
 * @internal
 */
export const maxIntegerDigits = 15

/** @internal */
export const maxWholeDigits = 12

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * A text that is no structured field of the form that was asked for, or a value
 * that none can hold. It holds nothing of the value.
 *
 * @category errors
 * @since 0.1.0
 */
export class StructuredFieldInvalid extends Schema.TaggedError<StructuredFieldInvalid>(
  "effect-signer/StructuredFieldInvalid"
)("StructuredFieldInvalid", {
  problem: Schema.String,
  /** Where in the text, from 0. Absent for a value that is written. */
  position: Schema.optionalKey(Schema.Int)
}) {
  override get message() {
    const at = this.position === undefined ? "" : ` at character ${this.position}`
    return `StructuredFieldInvalid: ${this.problem}${at}`
  }
}

/**
 * Runs a codec: what it threw is a failure, anything else is a bug.
 *
 * @internal
 */
export const attempt = <A>(codec: () => A): Result.Result<A, StructuredFieldInvalid> => {
  try {
    return Result.succeed(codec())
  } catch (error) {
    if (error instanceof StructuredFieldInvalid) return Result.fail(error)
    throw error
  }
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * A whole number.
 *
 * @category constructors
 * @since 0.1.0
 */
export const integer = (value: number): BareItem => ({ _tag: "Integer", value })

/**
 * A number with a fraction, rounded to three digits when it is written.
 *
 * @category constructors
 * @since 0.1.0
 */
export const decimal = (value: number): BareItem => ({ _tag: "Decimal", value })

/**
 * Printable ASCII in quotes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const string = (value: string): BareItem => ({ _tag: "String", value })

/**
 * A short word without quotes.
 *
 * @category constructors
 * @since 0.1.0
 */
export const token = (value: string): BareItem => ({ _tag: "Token", value })

/**
 * Bytes. The array is not copied.
 *
 * @category constructors
 * @since 0.1.0
 */
export const byteSequence = (value: Uint8Array): BareItem => ({ _tag: "ByteSequence", value })

/**
 * `?1` or `?0`; as a parameter or member, true is written as the bare name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const boolean = (value: boolean): BareItem => ({ _tag: "Boolean", value })

/**
 * Seconds since 1970.
 *
 * @category constructors
 * @since 0.1.0
 */
export const date = (seconds: number): BareItem => ({ _tag: "Date", value: seconds })

/**
 * Unicode text.
 *
 * @category constructors
 * @since 0.1.0
 */
export const displayString = (value: string): BareItem => ({ _tag: "DisplayString", value })

/**
 * A value with parameters.
 *
 * @category constructors
 * @since 0.1.0
 */
export const item = (value: BareItem, parameters: Parameters = []): Item => ({ _tag: "Item", value, parameters })

/**
 * A list in parentheses.
 *
 * @category constructors
 * @since 0.1.0
 */
export const innerList = (items: ReadonlyArray<Item>, parameters: Parameters = []): InnerList => ({
  _tag: "InnerList",
  items,
  parameters
})

// ---------------------------------------------------------------------------
// combinators
// ---------------------------------------------------------------------------

/**
 * The value of a parameter, or the member of a dictionary.
 *
 * @category combinators
 * @since 0.1.0
 */
export const get = <A>(entries: ReadonlyArray<readonly [string, A]>, name: string): A | undefined =>
  entries.find(([key]) => key === name)?.[1]
