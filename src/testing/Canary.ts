/**
 * Looks for secrets in what a value shows when it is printed, in every form in
 * which bytes and text are printed.
 *
 * @category internal
 */
import * as Base64 from "effect/encoding/Base64"
import * as Hex from "effect/encoding/Hex"
import * as Formatter from "effect/Formatter"

/** What must not show. Text is searched for as text and as its UTF-8 bytes. */
export type Secret = Uint8Array | string

/** Shorter secrets are found by accident. */
export const minLength = 8

// ---------------------------------------------------------------------------
// forms of a secret
// ---------------------------------------------------------------------------

const latin1 = (bytes: Uint8Array): string => {
  let text = ""
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

/** What stands in the base64 of any text that holds these bytes, by where they begin in a group of three. */
const base64Cores = (bytes: Uint8Array): ReadonlyArray<string> =>
  [0, 1, 2].map((offset) => {
    const shifted = new Uint8Array(offset + bytes.length)
    shifted.set(bytes, offset)
    const text = Base64.encode(shifted).replaceAll("=", "")
    const mixedEnd = shifted.length % 3 === 0 ? 0 : 1
    const mixedStart = [0, 2, 3][offset]!
    return text.slice(mixedStart, text.length - mixedEnd)
  })

interface Form {
  readonly name: string
  /** Whether a printed text, in one of its readings, shows this form. */
  readonly isIn: (shown: Shown) => boolean
}

const formsOfBytes = (bytes: Uint8Array): ReadonlyArray<Form> => {
  const hex = Hex.encode(bytes)
  const base64 = base64Cores(bytes)
  const base64Url = base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"))
  const decimals = bytes.join(",")
  const integer = BigInt(`0x0${hex}`).toString()
  const text = latin1(bytes)
  return [
    { name: "hex", isIn: ({ lowerCase }) => lowerCase.includes(hex) },
    { name: "base64", isIn: ({ compact }) => base64.some((core) => compact.includes(core)) },
    { name: "base64url", isIn: ({ compact }) => base64Url.some((core) => compact.includes(core)) },
    { name: "decimal bytes", isIn: ({ compact }) => compact.includes(decimals) },
    { name: "a decimal number", isIn: ({ compact }) => integer.length >= 2 * minLength && compact.includes(integer) },
    { name: "latin1", isIn: ({ verbatim }) => verbatim.includes(text) }
  ]
}

const formsOfText = (text: string): ReadonlyArray<Form> => {
  const spellings = [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text)]
  return [
    { name: "text", isIn: ({ verbatim }) => spellings.some((spelling) => verbatim.includes(spelling)) },
    ...formsOfBytes(new TextEncoder().encode(text))
  ]
}

// ---------------------------------------------------------------------------
// what a value shows
// ---------------------------------------------------------------------------

/** One printed text, in the readings in which forms are looked for. */
interface Shown {
  readonly verbatim: string
  /** Without white space, colons, line breaks of JSON strings and the keys that JSON gives to bytes. */
  readonly compact: string
  readonly lowerCase: string
}

const shownBy = (verbatim: string): Shown => {
  const compact = verbatim.replace(/"\d+":|\\[nr]|[\s:]+/g, "")
  return { verbatim, compact, lowerCase: compact.toLowerCase() }
}

/** Objects looked into per value: a client may reach the whole runtime. */
const maxObjects = 100_000

/** Everything own properties reach, enumerable or not, without running a getter. */
const reachable = (root: unknown): string => {
  const out: Array<string> = []
  const seen = new Set<object>()
  const visit = (value: unknown, next: Array<unknown>): void => {
    if ((typeof value !== "object" && typeof value !== "function") || value === null) {
      if (value !== undefined && value !== null) out.push(String(value))
      return
    }
    if (seen.has(value) || seen.size >= maxObjects) return
    seen.add(value)
    if (value instanceof ArrayBuffer) return visit(new Uint8Array(value), next)
    if (ArrayBuffer.isView(value)) {
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
      out.push(bytes.join(","), latin1(bytes))
      return
    }
    if (Array.isArray(value)) {
      for (const item of value) next.push(item)
      return
    }
    if (value instanceof Map || value instanceof Set) next.push([...value])
    for (const key of Reflect.ownKeys(value)) {
      const property = Reflect.getOwnPropertyDescriptor(value, key)
      if (property === undefined || !("value" in property)) continue
      next.push(/^\d+$/.test(String(key)) ? undefined : String(key), property.value)
    }
  }
  // Depth first and in order, so that the numbers of an array stay together.
  const stack: Array<unknown> = [root]
  while (stack.length > 0) {
    const next: Array<unknown> = []
    visit(stack.pop(), next)
    for (let i = next.length - 1; i >= 0; i--) stack.push(next[i])
  }
  return out.join(",")
}

interface NodeUtil {
  readonly inspect: (value: unknown, options: Record<string, unknown>) => string
}

declare const process: { readonly getBuiltinModule?: (id: "node:util") => NodeUtil } | undefined

const nodeUtil = typeof process === "undefined" ? undefined : process.getBuiltinModule?.("node:util")

/** Node's own, where this is Node. It honours the printing methods of a class. */
const nodeInspect = (value: unknown): string =>
  nodeUtil?.inspect(value, { depth: 20, showHidden: true, maxArrayLength: null, maxStringLength: null }) ?? ""

const printers: ReadonlyArray<(value: unknown) => unknown> = [
  String,
  JSON.stringify,
  Formatter.format,
  nodeInspect,
  reachable
]

/** All that printing a value, by any of the usual means, shows. A printer that throws shows nothing. */
export const show = (value: unknown): string =>
  printers
    .map((print) => {
      try {
        return String(print(value))
      } catch {
        return ""
      }
    })
    .join("\n")

// ---------------------------------------------------------------------------
// search
// ---------------------------------------------------------------------------

/** What a search found: which secret, and in which form. */
export interface Sighting {
  readonly secret: string
  readonly form: string
}

/** Prepares a search for named secrets in printed text. Those shorter than {@link minLength} are not searched for. */
export const search = (
  secrets: ReadonlyArray<{ readonly name: string; readonly secret: Secret }>
): ((shown: string) => Sighting | undefined) => {
  const wanted = secrets
    .filter(({ secret }) => secret.length >= minLength)
    .map(({ name, secret }) => ({
      name,
      forms: typeof secret === "string" ? formsOfText(secret) : formsOfBytes(secret)
    }))
  return (text) => {
    const shown = shownBy(text)
    for (const { forms, name } of wanted) {
      const form = forms.find(({ isIn }) => isIn(shown))
      if (form !== undefined) return { secret: name, form: form.name }
    }
    return undefined
  }
}
