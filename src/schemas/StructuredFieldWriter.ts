/**
 * Writes structured fields (RFC 9651 section 4.1).
 *
 * @category internal
 */
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import * as Base64Url from "./Base64Url.ts"
import { isBytes } from "./Bytes.ts"
import type { Alphabet, BareItem, Dictionary, Item, List, Member, Parameters } from "./StructuredFieldValue.ts"
import { attempt, maxWholeDigits, StructuredFieldInvalid } from "./StructuredFieldValue.ts"

/**
 * Options of the writers.
 *
 * @category models
 * @since 0.1.0
 */
export interface SerializeOptions {
  /** Default `"base64"`. */
  readonly alphabet?: Alphabet | undefined
}

const unwritable = (problem: string): never => {
  throw new StructuredFieldInvalid({ problem })
}

const maxInteger = 999_999_999_999_999

const writeInteger = (value: number): string =>
  Number.isInteger(value) && Math.abs(value) <= maxInteger
    ? String(value)
    : unwritable("an integer is a whole number of at most 15 digits")

/** Section 4.1.5: three digits, the last one rounded to the nearest, ties to even; by the digits, not by the number. */
const writeDecimal = (value: number): string => {
  if (!Number.isFinite(value) || Math.abs(value) >= 1e12)
    return unwritable("a decimal has at most 12 digits before the point")
  const text = String(Math.abs(value))
  const [whole, fraction = ""] = (text.includes("e-") ? "0.0" : text).split(".") as [string, string | undefined]
  const rest = fraction.slice(3)
  const kept = BigInt(whole + fraction.slice(0, 3).padEnd(3, "0"))
  const half = /^50*$/.test(rest)
  const isUp = half ? kept % 2n === 1n : rest !== "" && rest[0]! >= "5"
  const digits = String(isUp ? kept + 1n : kept).padStart(4, "0")
  if (digits.length > maxWholeDigits + 3) return unwritable("a decimal has at most 12 digits before the point")
  const sign = value < 0 && /[1-9]/.test(digits) ? "-" : "" // step 5: after rounding, and zero has none
  return `${sign}${digits.slice(0, -3)}.${digits.slice(-3).replace(/0{1,2}$/, "")}`
}

/** Nothing to escape, as in nearly every string: names, ids, nonces. */
const isPlain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

const writeString = (value: string): string => {
  if (isPlain.test(value)) return `"${value}"`
  return /^[\x20-\x7e]*$/.test(value)
    ? `"${value.replace(/["\\]/g, "\\$&")}"`
    : unwritable("a string holds printable ASCII only; other text is a display string")
}

const isToken = /^[A-Za-z*][\w!#$%&'*+\-.^`|~:/]*$/
const isKey = /^[a-z*][a-z0-9_\-.*]*$/

const writeDisplayString = (value: string): string => {
  if (!value.isWellFormed()) return unwritable("a display string is well-formed Unicode")
  let text = ""
  for (const byte of new TextEncoder().encode(value)) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x22 && byte !== 0x25
    text += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, "0")}`
  }
  return `%"${text}"`
}

const writeBareItem = (value: BareItem, options: SerializeOptions): string => {
  switch (value._tag) {
    case "Integer":
      return writeInteger(value.value)
    case "Decimal":
      return writeDecimal(value.value)
    case "String":
      return writeString(value.value)
    case "Token":
      return isToken.test(value.value) ? value.value : unwritable("a character that no token has")
    case "ByteSequence":
      if (!isBytes(value.value)) return unwritable("a byte sequence is a Uint8Array")
      return `:${options.alphabet === "base64url" ? Base64Url.encode(value.value) : Base64.encode(value.value)}:`
    case "Boolean":
      return value.value ? "?1" : "?0"
    case "Date":
      return `@${writeInteger(value.value)}`
    case "DisplayString":
      return writeDisplayString(value.value)
    default:
      return unwritable("not a value of a structured field")
  }
}

const isTrue = (value: BareItem): boolean => value._tag === "Boolean" && value.value

const writeKey = (key: string, seen: Set<string>): string => {
  if (!isKey.test(key)) return unwritable("a key is lower-case letters, digits, _, -, . and *")
  if (seen.has(key)) return unwritable("a key that was there before")
  seen.add(key)
  return key
}

const writeParameters = (parameters: Parameters, options: SerializeOptions): string => {
  const seen = new Set<string>()
  let text = ""
  for (const [name, value] of parameters) {
    text += `;${writeKey(name, seen)}${isTrue(value) ? "" : `=${writeBareItem(value, options)}`}`
  }
  return text
}

const writeItem = ({ parameters, value }: Item, options: SerializeOptions): string =>
  writeBareItem(value, options) + writeParameters(parameters, options)

const writeMember = (member: Member, options: SerializeOptions): string =>
  member._tag === "Item"
    ? writeItem(member, options)
    : `(${member.items.map((one) => writeItem(one, options)).join(" ")})${writeParameters(member.parameters, options)}`

const writeDictionary = (dictionary: Dictionary, options: SerializeOptions): string => {
  const seen = new Set<string>()
  return dictionary
    .map(([key, member]) => {
      const name = writeKey(key, seen)
      return member._tag === "Item" && isTrue(member.value)
        ? name + writeParameters(member.parameters, options)
        : `${name}=${writeMember(member, options)}`
    })
    .join(", ")
}

const serializeWith =
  <A>(write: (value: A, options: SerializeOptions) => string) =>
  (value: A, options: SerializeOptions = {}): Result.Result<string, StructuredFieldInvalid> =>
    attempt(() => write(value, options))

type Serialize<A> = (value: A, options?: SerializeOptions) => Result.Result<string, StructuredFieldInvalid>

/**
 * Writes an item.
 *
 * @category serializing
 * @since 0.1.0
 */
export const serializeItem: Serialize<Item> = serializeWith(writeItem)

/**
 * Writes a member: an item or an inner list, with its parameters.
 *
 * @category serializing
 * @since 0.1.0
 */
export const serializeMember: Serialize<Member> = serializeWith(writeMember)

/**
 * Writes a list. An empty one is empty text: leave the field out.
 *
 * @category serializing
 * @since 0.1.0
 */
export const serializeList: Serialize<List> = serializeWith((list, options) =>
  list.map((member) => writeMember(member, options)).join(", ")
)

/**
 * Writes a dictionary. An empty one is empty text: leave the field out.
 *
 * @category serializing
 * @since 0.1.0
 */
export const serializeDictionary: Serialize<Dictionary> = serializeWith(writeDictionary)
