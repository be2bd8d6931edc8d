/**
 * `pkcs11:` URIs (RFC 7512): the standard way to name a token and an object on it.
 *
 * **Details**
 *
 * Every attribute of the RFC is read. What it does not know is refused, because an
 * attribute that is left out of a search finds more than was meant; so is one that
 * is empty or occurs twice.
 *
 * **Gotchas**
 *
 * `pin-value` is refused: a PIN in a URI ends in logs, in shell histories and in the
 * list of processes. Use `pin-source`, or hand the PIN over apart.
 *
 * `module-path` is code that is loaded into this process: take it from no one who may
 * not run programs here (section 6 of the RFC).
 *
 * **Example** (A key on a token)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as Pkcs11Uri from "effect-signer/Pkcs11Uri"
 *
 * const program = Effect.map(
 *   Pkcs11Uri.parse("pkcs11:token=Release%20keys;object=ed25519;type=private?pin-source=file:/run/pin"),
 *   ({ object, token }) => `${object} on ${token}` // "ed25519 on Release keys"
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { InvalidConfiguration } from "./SignerError.ts"
import { attempt, Malformed } from "./Malformed.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * The attributes of a `pkcs11:` URI, under the names of RFC 7512 section 2.3. Text is
 * Unicode without control characters.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pkcs11Uri {
  readonly token?: string
  readonly manufacturer?: string
  readonly serial?: string
  readonly model?: string
  readonly libraryManufacturer?: string
  /** `major` or `major.minor`. */
  readonly libraryVersion?: string
  readonly libraryDescription?: string
  readonly object?: string
  readonly type?: "public" | "private" | "cert" | "secret-key" | "data"
  readonly id?: Uint8Array
  readonly slotDescription?: string
  readonly slotManufacturer?: string
  readonly slotId?: number
  /** A `file:` URI, a path, or `|` and a command, as written. */
  readonly pinSource?: string
  readonly moduleName?: string
  readonly modulePath?: string
}

// ---------------------------------------------------------------------------
// characters
// ---------------------------------------------------------------------------

const field = "uri"

/** Characters of a URI at most. */
const maxLength = 4096

/**
 * What may stand for itself in a value (section 2.3): `unreserved`, and of the reserved
 * characters those that delimit nothing.
 */
const plain = {
  path: /^(?:[A-Za-z0-9\-._~:[\]@!$'()*+,=&]|%[0-9A-Fa-f]{2})+$/,
  query: /^(?:[A-Za-z0-9\-._~:[\]@!$'()*+,=/?|]|%[0-9A-Fa-f]{2})+$/
}

const toBytes = (text: string): Uint8Array => {
  const bytes: Array<number> = []
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "%") {
      bytes.push(Number.parseInt(text.slice(at + 1, at + 3), 16))
      at += 2
    } else {
      bytes.push(text.charCodeAt(at))
    }
  }
  return Uint8Array.from(bytes)
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const toText = (raw: string, name: string): string => {
  let text: string
  try {
    text = utf8.decode(toBytes(raw))
  } catch {
    throw new Malformed(field, `${name} is not UTF-8`)
  }
  if (/[\0-\x1f\x7f]/.test(text)) throw new Malformed(field, `${name} has a control character`)
  return text
}

/** Every byte that is not `unreserved` (RFC 3986 section 2.3), in upper-case hex. */
const escape = (bytes: Uint8Array, isAll = false): string =>
  Array.from(bytes, (byte) => {
    const character = String.fromCharCode(byte)
    return !isAll && /[A-Za-z0-9\-._~]/.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`
  }).join("")

const encoder = new TextEncoder()

// ---------------------------------------------------------------------------
// attributes
// ---------------------------------------------------------------------------

const types = ["public", "private", "cert", "secret-key", "data"] as const

interface Attribute {
  readonly name: string
  readonly property: keyof Pkcs11Uri
  readonly read: (raw: string, name: string) => Pkcs11Uri[keyof Pkcs11Uri]
  readonly write: (value: never) => string
}

const text = (name: string, property: keyof Pkcs11Uri): Attribute => ({
  name,
  property,
  read: toText,
  write: (value: string) => escape(encoder.encode(value))
})

/** Section 2.3, in the order of the RFC, which is also the order in which they are written. */
const pathAttributes: ReadonlyArray<Attribute> = [
  text("token", "token"),
  text("manufacturer", "manufacturer"),
  text("serial", "serial"),
  text("model", "model"),
  text("library-manufacturer", "libraryManufacturer"),
  {
    name: "library-version",
    property: "libraryVersion",
    read: (raw, name) => {
      if (!/^\d{1,3}(\.\d{1,3})?$/.test(raw)) throw new Malformed(field, `${name} is not in the form major.minor`)
      return raw
    },
    write: (value: string) => value
  },
  text("library-description", "libraryDescription"),
  text("object", "object"),
  {
    name: "type",
    property: "type",
    read: (raw, name) => {
      const type = types.find((type) => type === raw)
      if (type === undefined) throw new Malformed(field, `${name} must be one of ${types.join(", ")}`)
      return type
    },
    write: (value: string) => value
  },
  { name: "id", property: "id", read: toBytes, write: (value: Uint8Array) => escape(value, true) },
  text("slot-description", "slotDescription"),
  text("slot-manufacturer", "slotManufacturer"),
  {
    name: "slot-id",
    property: "slotId",
    read: (raw, name) => {
      if (!/^(0|[1-9]\d{0,14})$/.test(raw)) throw new Malformed(field, `${name} must be a number`)
      return Number(raw)
    },
    write: (value: number) => String(value)
  }
]

const pinValue: Attribute = {
  name: "pin-value",
  property: "pinSource",
  read: () => {
    throw new Malformed(
      field,
      "pin-value is not accepted: a PIN in a URI ends in logs and in the list of processes. Use pin-source, or hand " +
        "the PIN over apart"
    )
  },
  write: () => ""
}

/** Section 2.4. */
const queryAttributes: ReadonlyArray<Attribute> = [
  text("pin-source", "pinSource"),
  pinValue,
  text("module-name", "moduleName"),
  text("module-path", "modulePath")
]

// ---------------------------------------------------------------------------
// codec
// ---------------------------------------------------------------------------

const readPart = (
  part: string,
  delimiter: string,
  attributes: ReadonlyArray<Attribute>,
  isPlain: RegExp,
  where: string,
  found: Map<keyof Pkcs11Uri, Pkcs11Uri[keyof Pkcs11Uri]>
): void => {
  for (const piece of part.split(delimiter)) {
    const equals = piece.indexOf("=")
    const name = piece.slice(0, equals)
    // A name that is not known is not shown: it may be a value that lost its place.
    const attribute = equals < 0 ? undefined : attributes.find((attribute) => attribute.name === name)
    if (attribute === undefined) {
      throw new Malformed(
        field,
        `the ${where} has something other than ${attributes
          .filter((attribute) => attribute !== pinValue)
          .map(({ name }) => name)
          .join(", ")}`
      )
    }
    if (attribute === pinValue) attribute.read("", name)
    if (found.has(attribute.property)) throw new Malformed(field, `${name} is there twice`)
    const raw = piece.slice(equals + 1)
    if (raw === "") throw new Malformed(field, `${name} is empty; leave it out`)
    if (!isPlain.test(raw)) throw new Malformed(field, `${name} has a character that must be percent-encoded`)
    found.set(attribute.property, attribute.read(raw, name))
  }
}

const decode = (uri: string): Pkcs11Uri => {
  if (typeof uri !== "string") throw new Malformed(field, "must be text")
  if (uri.length > maxLength) throw new Malformed(field, `longer than ${maxLength} characters`)
  if (!/^pkcs11:/i.test(uri)) throw new Malformed(field, "must begin with pkcs11:")
  const rest = uri.slice("pkcs11:".length)
  const mark = rest.indexOf("?")
  const path = mark < 0 ? rest : rest.slice(0, mark)
  const found = new Map<keyof Pkcs11Uri, Pkcs11Uri[keyof Pkcs11Uri]>()
  if (path !== "") readPart(path, ";", pathAttributes, plain.path, "path", found)
  if (mark >= 0) readPart(rest.slice(mark + 1), "&", queryAttributes, plain.query, "query", found)
  return Object.fromEntries(found) as Pkcs11Uri
}

/**
 * Reads a `pkcs11:` URI. Fails with `InvalidConfiguration`, which shows nothing of
 * the values in it.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parse = (uri: string): Effect.Effect<Pkcs11Uri, InvalidConfiguration> => attempt(() => decode(uri))

const writePart = (uri: Pkcs11Uri, delimiter: string, attributes: ReadonlyArray<Attribute>): string =>
  attributes
    .filter((attribute) => attribute !== pinValue && uri[attribute.property] !== undefined)
    .map(({ name, property, write }) => `${name}=${write(uri[property] as never)}`)
    .join(delimiter)

/**
 * Writes a `pkcs11:` URI: attributes in the order of the RFC, all but unreserved
 * characters percent-encoded, and every byte of the id. What {@link parse} has read
 * comes out in this one form.
 *
 * @category encoding
 * @since 0.1.0
 */
export const format = (uri: Pkcs11Uri): string => {
  const query = writePart(uri, "&", queryAttributes)
  return `pkcs11:${writePart(uri, ";", pathAttributes)}${query === "" ? "" : `?${query}`}`
}
