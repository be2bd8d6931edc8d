/**
 * The JSON Canonicalization Scheme (RFC 8785): one text for one JSON value, so that
 * it can be hashed and signed.
 *
 * Only what JSON has is written. `JSON.stringify` leaves out a function, turns a
 * `Map` into `{}` and a hole into `null`: two different values would then have one
 * signature. Here each of these is an error that names its place.
 *
 * **Details**
 *
 * Members are in the order of their UTF-16 code units, numbers as ECMAScript writes
 * them, nothing between the tokens. Values are at most 64 arrays and objects deep,
 * their text at most 16,777,216 characters: neither a cycle nor an array that holds
 * itself many times over stops the program.
 *
 * **Gotchas**
 *
 * Numbers are IEEE 754 doubles: `9007199254740993` is read, and signed, as
 * `9007199254740992`. Put larger ones, and money, into strings (RFC 8785 section
 * 3.1, RFC 7493 section 2.2).
 *
 * **Example** (Signing a document)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Signer } from "effect-signer"
 * import * as Jcs from "effect-signer/Jcs"
 *
 * const program = Effect.gen(function*() {
 *   const bytes = yield* Jcs.canonicalBytes({ b: [1.0, "é"], a: null }) // {"a":null,"b":[1,"é"]}
 *   return yield* Signer.sign(bytes)
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { primitives } from "#primitives"
import { Malformed } from "./Malformed.ts"
import * as StrictJson from "./StrictJson.ts"

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * The value is none that JSON has, or none that this module writes.
 *
 * **Details**
 *
 * `path` is the JSON Pointer (RFC 6901) of what is wrong, `""` for the whole value:
 * of its member names, those that are long are cut. No value is shown.
 *
 * @category errors
 * @since 0.1.0
 */
export class JcsInvalid extends Schema.TaggedError<JcsInvalid>("effect-signer/JcsInvalid")("JcsInvalid", {
  path: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `JcsInvalid: ${this.path === "" ? "the value" : this.path}: ${this.problem}`
  }
}

// ---------------------------------------------------------------------------
// limits
// ---------------------------------------------------------------------------

/**
 * Arrays and objects inside each other, at most.
 *
 * @category models
 * @since 0.1.0
 */
export const maxDepth = StrictJson.maxDepth

/**
 * UTF-16 code units of a canonical text, and of a text that is read, at most.
 *
 * @category models
 * @since 0.1.0
 */
export const maxLength = 16_777_216

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

const shownNames = 32

/** RFC 6901 section 3: `~` and `/` are escaped. What no terminal should be shown is replaced. */
const pointer = (path: ReadonlyArray<string | number>): string =>
  path
    .slice(0, shownNames)
    .map((name) => {
      const text = String(name).toWellFormed()
      return `/${(text.length > 64 ? `${text.slice(0, 64)}...` : text).replaceAll("~", "~0").replaceAll("/", "~1")}`
    })
    .join("")
    .replace(/\p{C}/gu, "?") + (path.length > shownNames ? "/..." : "")

/** Where a member is not one: found before anything of it is read. */
const wrongProperty = (property: PropertyDescriptor | undefined): string | undefined =>
  property === undefined
    ? "it is a hole"
    : !("value" in property)
      ? "it is a getter or a setter"
      : property.enumerable !== true
        ? "it is not enumerable"
        : undefined

/** What a value is that JSON does not have, for the error. */
const nameOf = (value: unknown): string =>
  typeof value === "object"
    ? "it is not a plain object or array: make it one, such as text for a date and base64url for bytes"
    : `it is ${value === undefined ? "undefined" : `a ${typeof value}`}, which JSON does not have`

/** One walk over one value: whatever a getter or a proxy would say later, each part is read once. */
class Writer {
  readonly parts: Array<string> = []
  length = 0
  readonly path: Array<string | number> = []
  readonly inside = new Set<object>()

  fail(problem: string): never {
    throw new Malformed(pointer(this.path), problem)
  }

  write(text: string): void {
    this.length += text.length
    this.parts.push(text)
    if (this.length > maxLength) this.fail(`the canonical text is longer than ${maxLength} characters`)
  }

  /** RFC 8785 section 3.2.2.2: as ECMAScript's QuoteJSONString, and half a surrogate pair is an error. */
  writeText(text: string, what: string): void {
    if (!text.isWellFormed()) this.fail(`${what} has half of a surrogate pair`)
    this.write(JSON.stringify(text))
  }

  writeValue(value: unknown): void {
    switch (typeof value) {
      case "string":
        return this.writeText(value, "it")
      case "number":
        // section 3.2.2.3: ECMAScript's Number::toString, which writes -0 as 0
        return Number.isFinite(value)
          ? this.write(String(value))
          : this.fail(`it is ${value}, which JSON does not have`)
      case "boolean":
        return this.write(value ? "true" : "false")
      case "object":
        return value === null ? this.write("null") : this.writeContainer(value)
      default:
        return this.fail(nameOf(value))
    }
  }

  writeContainer(value: object): void {
    if (this.inside.has(value)) this.fail("it is inside itself")
    if (this.inside.size === maxDepth) this.fail(`it is deeper than ${maxDepth} levels`)
    this.inside.add(value)
    const prototype: unknown = Object.getPrototypeOf(value)
    if (Array.isArray(value) && prototype === Array.prototype) this.writeArray(value)
    else if (!Array.isArray(value) && (prototype === Object.prototype || prototype === null)) this.writeObject(value)
    else this.fail(nameOf(value))
    this.inside.delete(value)
  }

  writeArray(array: ReadonlyArray<unknown>): void {
    const { length } = array
    this.write("[")
    for (let i = 0; i < length; i++) {
      if (i > 0) this.write(",")
      this.writeProperty(array, i)
    }
    // the elements and `length`
    if (Reflect.ownKeys(array).length !== length + 1) this.fail("it is an array with members that are no elements")
    this.write("]")
  }

  writeObject(object: object): void {
    const names = Reflect.ownKeys(object)
    for (const name of names) if (typeof name === "symbol") this.fail("one of its members is named by a symbol")
    this.write("{")
    // section 3.2.3: by UTF-16 code units, which is how ECMAScript compares strings
    for (const [i, name] of (names as Array<string>).sort().entries()) {
      if (i > 0) this.write(",")
      this.path.push(name)
      this.writeText(name, "its name")
      this.path.pop()
      this.write(":")
      this.writeProperty(object, name)
    }
    this.write("}")
  }

  writeProperty(container: object, name: string | number): void {
    this.path.push(name)
    const property = Object.getOwnPropertyDescriptor(container, name)
    const problem = wrongProperty(property)
    if (problem !== undefined) this.fail(problem)
    this.writeValue(property!.value)
    this.path.pop()
  }
}

/** A proxy may throw anything: that, too, is a value that cannot be written. */
const run = <A>(evaluate: () => A): Effect.Effect<A, JcsInvalid> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(evaluate())
    } catch (error) {
      return Effect.fail(
        error instanceof Malformed
          ? new JcsInvalid({ path: error.field, problem: error.problem })
          : new JcsInvalid({ path: "", problem: "it cannot be read: reading it threw an error" })
      )
    }
  })

const textOf = (value: unknown): string => {
  const writer = new Writer()
  writer.writeValue(value)
  return writer.parts.join("")
}

const utf8 = new TextEncoder()

/**
 * The canonical text of a value.
 *
 * **Details**
 *
 * The value is `null`, a boolean, a finite number, a well-formed string, or an array
 * or a plain object of these, members of the object itself only. Fails with
 * {@link JcsInvalid} on everything else: `undefined`, functions, symbols, bigints,
 * `NaN`, holes, getters, instances of a class (`Date`, `Map`, `Uint8Array`), cycles.
 *
 * @category constructors
 * @since 0.1.0
 */
export const canonicalize = (value: unknown): Effect.Effect<string, JcsInvalid> => run(() => textOf(value))

/**
 * The UTF-8 bytes of {@link canonicalize}: what is hashed or signed (RFC 8785
 * section 3.2.4).
 *
 * @category constructors
 * @since 0.1.0
 */
export const canonicalBytes = (value: unknown): Effect.Effect<Uint8Array, JcsInvalid> =>
  run(() => utf8.encode(textOf(value)))

/**
 * SHA-256 of {@link canonicalBytes}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sha256 = (value: unknown): Effect.Effect<Uint8Array, JcsInvalid> =>
  run(() => primitives.digest("SHA-256", utf8.encode(textOf(value))))

/**
 * The canonical text of JSON text, or of its UTF-8 bytes.
 *
 * **Details**
 *
 * A member that stands twice in one object is refused (RFC 8785 section 3.1, RFC
 * 7493 section 2.3): parsers differ on which of the two counts. So are a byte order
 * mark, bytes that are not UTF-8, and numbers that overflow.
 *
 * @category constructors
 * @since 0.1.0
 */
export const canonicalizeJson = (json: string | Uint8Array): Effect.Effect<string, JcsInvalid> =>
  run(() => {
    if (json.length > maxLength) throw new Malformed("", `the text is longer than ${maxLength}`)
    return textOf(typeof json === "string" ? StrictJson.parse(json, "") : StrictJson.parseBytes(json, ""))
  })
