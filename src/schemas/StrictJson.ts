/**
 * JSON (RFC 8259) that has one meaning: UTF-8 without a byte order mark, no
 * member twice in one object, and a bounded depth.
 *
 * `JSON.parse` keeps the last of several members with one name, other parsers the
 * first: what was verified would not be what another program acts on (RFC 7515
 * section 4 and RFC 7519 section 4 demand one or the other).
 *
 * @category internal
 */
import { Malformed } from "./Malformed.ts"

/** Objects and arrays inside each other, at most. */
export const maxDepth = 64

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const quote = 0x22
const backslash = 0x5c

/** How many members valid JSON text has: each has the one colon outside of strings. And how deep it is. */
const measure = (text: string): { readonly members: number; readonly depth: number } => {
  let members = 0
  let depth = 0
  let deepest = 0
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case quote:
        for (i++; text.charCodeAt(i) !== quote; i++) if (text.charCodeAt(i) === backslash) i++
        break
      case 0x3a: // :
        members++
        break
      case 0x7b: // {
      case 0x5b: // [
        if (++depth > deepest) deepest = depth
        break
      case 0x7d: // }
      case 0x5d: // ]
        depth--
        break
    }
  }
  return { members, depth: deepest }
}

/** How many members a parsed value has: one less for each that was there twice. */
const countMembers = (value: unknown): number => {
  if (typeof value !== "object" || value === null) return 0
  let count = 0
  if (Array.isArray(value)) {
    for (const element of value) count += countMembers(element)
    return count
  }
  for (const name of Object.keys(value)) count += 1 + countMembers((value as Record<string, unknown>)[name])
  return count
}

/** Parses text. Throws {@link Malformed}, which never quotes the text. */
export const parse = (text: string, field: string): unknown => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Malformed(field, "it is not JSON")
  }
  const { depth, members } = measure(text)
  if (depth > maxDepth) throw new Malformed(field, `JSON deeper than ${maxDepth} levels`)
  if (members !== countMembers(value)) throw new Malformed(field, "a member appears twice in one JSON object")
  return value
}

/** Parses bytes, which must be UTF-8. */
export const parseBytes = (bytes: Uint8Array, field: string): unknown => {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw new Malformed(field, "it is not UTF-8 text")
  }
  return parse(text, field)
}

/** A JSON object, as {@link parse} makes it. */
export interface JsonRecord {
  readonly [name: string]: unknown
}

/** Whether a parsed value is a JSON object. */
export const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === "object" && value !== null && !Array.isArray(value)
