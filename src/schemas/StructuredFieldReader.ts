/**
 * Reads structured fields (RFC 9651 section 4.2).
 *
 * @category internal
 */
import * as Result from "effect/Result"
import * as Base64Url from "./Base64Url.ts"
import { fromBase64 } from "./BaseEncoding.ts"
import type {
  Alphabet,
  BareItem,
  Dictionary,
  InnerList,
  Item,
  List,
  Member,
  Parameters
} from "./StructuredFieldValue.ts"
import {
  attempt,
  boolean,
  byteSequence,
  date,
  decimal,
  displayString,
  innerList,
  integer,
  item,
  maxIntegerDigits,
  maxWholeDigits,
  string,
  StructuredFieldInvalid,
  token
} from "./StructuredFieldValue.ts"

/**
 * Options of the readers.
 *
 * @category models
 * @since 0.1.0
 */
export interface ParseOptions {
  /**
   * What becomes of a key of a dictionary, or the name of a parameter, that comes
   * twice. `"last"` keeps the place of the first and the value of the last, as the
   * standard says; `"refuse"` is for what is signed. Default `"last"`.
   */
  readonly duplicates?: "last" | "refuse" | undefined
  /**
   * Default `"base64"`. The others read what some older profiles write, and no value
   * that mixes the two.
   */
  readonly alphabet?: Alphabet | "either" | undefined
  /** Characters of all lines, at most. Default 262,144. */
  readonly maxLength?: number | undefined
}

const defaultMaxLength = 262_144

/** A text, and how far it is read. */
interface Cursor {
  readonly text: string
  at: number
  readonly refuseDuplicates: boolean
  readonly decodeBytes: (text: string) => Uint8Array | undefined
}

const decoders: { readonly [A in Alphabet | "either"]: (text: string) => Uint8Array | undefined } = {
  base64: fromBase64,
  base64url: (text) => Base64Url.decode(text),
  // Padded base64 has a multiple of 4 characters, none of them - or _
  either: (text) =>
    text.length % 4 === 0 && !/[-_]/.test(text) ? (fromBase64(text) ?? Base64Url.decode(text)) : Base64Url.decode(text)
}

const wrong = (cursor: Cursor, problem: string): never => {
  throw new StructuredFieldInvalid({ problem, position: cursor.at })
}

const isNext = (cursor: Cursor, character: string) => cursor.text[cursor.at] === character

/** Skips the character where it is the next one. */
const skip = (cursor: Cursor, character: string): boolean => {
  const found = isNext(cursor, character)
  if (found) cursor.at++
  return found
}

const skipSpaces = (cursor: Cursor): void => {
  while (skip(cursor, " "));
}

const skipBlanks = (cursor: Cursor): void => {
  while (skip(cursor, " ") || skip(cursor, "\t"));
}

/** What a sticky pattern matches here. */
const match = (cursor: Cursor, pattern: RegExp, expected: string): string => {
  pattern.lastIndex = cursor.at
  const found = pattern.exec(cursor.text)?.[0]
  if (found === undefined) return wrong(cursor, `expected ${expected}`)
  cursor.at += found.length
  return found
}

const keyPattern = /[a-z*][a-z0-9_\-.*]*/y
const numberPattern = /-?\d+(?:\.\d+)?/y
const tokenPattern = /[A-Za-z*][\w!#$%&'*+\-.^`|~:/]*/y

/** Section 4.2.4. */
const parseNumber = (cursor: Cursor): BareItem => {
  const start = cursor.at
  const text = match(cursor, numberPattern, "a number")
  const [whole, fraction] = text.replace("-", "").split(".") as [string, string | undefined]
  const isTooLong =
    fraction === undefined ? whole.length > maxIntegerDigits : whole.length > maxWholeDigits || fraction.length > 3
  if (isTooLong) {
    cursor.at = start
    wrong(cursor, "the number has too many digits")
  }
  const value = Number(text)
  return fraction === undefined ? integer(value === 0 ? 0 : value) : decimal(value)
}

/** Section 4.2.5. */
const parseString = (cursor: Cursor): BareItem => {
  const { text } = cursor
  let value = ""
  let start = ++cursor.at
  for (; cursor.at < text.length; cursor.at++) {
    const code = text.charCodeAt(cursor.at)
    if (code === 0x22) {
      value += text.slice(start, cursor.at++)
      return string(value)
    }
    if (code === 0x5c) {
      value += text.slice(start, cursor.at)
      start = ++cursor.at
      if (!isNext(cursor, `"`) && !isNext(cursor, "\\")) wrong(cursor, "only a quote or a backslash can be escaped")
    } else if (code < 0x20 || code > 0x7e) {
      wrong(cursor, "a string holds printable ASCII only")
    }
  }
  return wrong(cursor, "the string does not end")
}

/** Section 4.2.7. */
const parseBytes = (cursor: Cursor): BareItem => {
  const start = cursor.at + 1
  const end = cursor.text.indexOf(":", start)
  if (end < 0) return wrong(cursor, "the byte sequence does not end")
  const value = cursor.decodeBytes(cursor.text.slice(start, end))
  if (value === undefined) return wrong(cursor, "the byte sequence is not strict base64")
  cursor.at = end + 1
  return byteSequence(value)
}

/** Section 4.2.8. */
const parseBoolean = (cursor: Cursor): BareItem => {
  cursor.at++
  if (skip(cursor, "1")) return boolean(true)
  if (skip(cursor, "0")) return boolean(false)
  return wrong(cursor, "expected ?0 or ?1")
}

/** Section 4.2.9. */
const parseDate = (cursor: Cursor): BareItem => {
  const start = cursor.at++
  const number = parseNumber(cursor)
  if (number._tag === "Integer") return date(number.value)
  cursor.at = start
  return wrong(cursor, "a date has whole seconds")
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const hexPattern = /[0-9a-f]{2}/y

/** Section 4.2.10. */
const parseDisplayString = (cursor: Cursor): BareItem => {
  const { text } = cursor
  const start = cursor.at++
  if (!skip(cursor, `"`)) return wrong(cursor, "expected a quote")
  const bytes: Array<number> = []
  while (cursor.at < text.length) {
    const code = text.charCodeAt(cursor.at)
    if (code < 0x20 || code > 0x7e) return wrong(cursor, "a display string is written in printable ASCII")
    cursor.at++
    if (code === 0x25) {
      bytes.push(Number.parseInt(match(cursor, hexPattern, "two lower-case hex digits"), 16))
    } else if (code === 0x22) {
      try {
        return displayString(utf8.decode(Uint8Array.from(bytes)))
      } catch {
        cursor.at = start
        return wrong(cursor, "the display string is not UTF-8")
      }
    } else {
      bytes.push(code)
    }
  }
  return wrong(cursor, "the display string does not end")
}

/** By the first character (section 4.2.3.1). Letters, digits and `*` are added below. */
const parsers = new Map<string, (cursor: Cursor) => BareItem>([
  [`"`, parseString],
  [":", parseBytes],
  ["?", parseBoolean],
  ["@", parseDate],
  ["%", parseDisplayString]
])
for (const character of "-0123456789") parsers.set(character, parseNumber)
for (const character of "*ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  parsers.set(character, (cursor) => token(match(cursor, tokenPattern, "a token")))
}

const parseBareItem = (cursor: Cursor): BareItem => {
  const parse = parsers.get(cursor.text.charAt(cursor.at))
  return parse === undefined ? wrong(cursor, "expected a value") : parse(cursor)
}

const parseKey = (cursor: Cursor, seen: ReadonlyMap<string, unknown>): string => {
  const start = cursor.at
  const key = match(cursor, keyPattern, "a key, in lower case")
  if (cursor.refuseDuplicates && seen.has(key)) {
    cursor.at = start
    wrong(cursor, "a name that was there before")
  }
  return key
}

/** Section 4.2.3.2. A name that comes again keeps its place. */
const parseParameters = (cursor: Cursor): Parameters => {
  if (!isNext(cursor, ";")) return []
  const parameters = new Map<string, BareItem>()
  while (skip(cursor, ";")) {
    skipSpaces(cursor)
    const name = parseKey(cursor, parameters)
    parameters.set(name, skip(cursor, "=") ? parseBareItem(cursor) : boolean(true))
  }
  return [...parameters]
}

const parseOneItem = (cursor: Cursor): Item => {
  const value = parseBareItem(cursor)
  return item(value, parseParameters(cursor))
}

/** Section 4.2.1.2. */
const parseInnerList = (cursor: Cursor): InnerList => {
  cursor.at++
  const items: Array<Item> = []
  while (cursor.at < cursor.text.length) {
    skipSpaces(cursor)
    if (skip(cursor, ")")) return innerList(items, parseParameters(cursor))
    items.push(parseOneItem(cursor))
    if (!isNext(cursor, " ") && !isNext(cursor, ")")) return wrong(cursor, "expected a space or )")
  }
  return wrong(cursor, "the inner list does not end")
}

const parseMember = (cursor: Cursor): Member => (isNext(cursor, "(") ? parseInnerList(cursor) : parseOneItem(cursor))

/** Members with commas between them. */
const parseMembers = (cursor: Cursor, parseOne: () => void): void => {
  while (cursor.at < cursor.text.length) {
    parseOne()
    skipBlanks(cursor)
    if (cursor.at >= cursor.text.length) return
    if (!skip(cursor, ",")) return wrong(cursor, "expected a comma")
    skipBlanks(cursor)
    if (cursor.at >= cursor.text.length) return wrong(cursor, "expected a member after the comma")
  }
}

const forms = {
  item: parseOneItem,
  list: (cursor: Cursor): List => {
    const members: Array<Member> = []
    parseMembers(cursor, () => members.push(parseMember(cursor)))
    return members
  },
  dictionary: (cursor: Cursor): Dictionary => {
    const members = new Map<string, Member>()
    parseMembers(cursor, () => {
      const key = parseKey(cursor, members)
      members.set(key, skip(cursor, "=") ? parseMember(cursor) : item(boolean(true), parseParameters(cursor)))
    })
    return [...members]
  }
}

const parseWith =
  <A>(form: (cursor: Cursor) => A) =>
  (lines: string | ReadonlyArray<string>, options: ParseOptions = {}): Result.Result<A, StructuredFieldInvalid> =>
    attempt(() => {
      const maxLength = options.maxLength ?? defaultMaxLength
      const text = typeof lines === "string" ? lines : lines.join(", ")
      if (text.length > maxLength) {
        throw new StructuredFieldInvalid({ problem: `longer than ${maxLength} characters` })
      }
      const cursor: Cursor = {
        text,
        at: 0,
        refuseDuplicates: options.duplicates === "refuse",
        decodeBytes: decoders[options.alphabet ?? "base64"]
      }
      skipSpaces(cursor)
      const value = form(cursor)
      skipSpaces(cursor)
      return cursor.at === text.length ? value : wrong(cursor, "more than one value")
    })

type Parse<A> = (
  lines: string | ReadonlyArray<string>,
  options?: ParseOptions
) => Result.Result<A, StructuredFieldInvalid>

/**
 * Reads an item: a field value, or the values of its lines.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parseItem: Parse<Item> = parseWith(forms.item)

/**
 * Reads a list: a field value, or the values of its lines.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parseList: Parse<List> = parseWith(forms.list)

/**
 * Reads a dictionary: a field value, or the values of its lines.
 *
 * @category parsing
 * @since 0.1.0
 */
export const parseDictionary: Parse<Dictionary> = parseWith(forms.dictionary)
