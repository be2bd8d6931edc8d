/**
 * The texts in which fastn keeps Ed25519 keys: lines `prefix: key`, each for the
 * ID52 that begins with the prefix, and a key alone.
 *
 * Stricter than fastn where it could pick another key than was meant: a line that
 * is none is an error, a prefix cannot be empty, and a key must be the one of the
 * ID52 that is asked for.
 *
 * @category internal
 */
import { base32nopad } from "@scure/base"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { fromHex } from "./BaseEncoding.ts"
import * as Id52 from "./Id52.ts"
import { attempt, invalid, Malformed, maxInputLength } from "./Malformed.ts"
import * as PrivateKey from "./PrivateKey.ts"
import * as PublicKey from "./PublicKey.ts"
import type { InvalidConfiguration } from "./SignerError.ts"
import * as Wiped from "./Wiped.ts"

const field = "fastnKeys"

/** One line. */
interface Line {
  readonly prefix: string
  readonly secret: Uint8Array
}

/** The bytes of 64 digits of hex in lower case or, as older files have them, of 52 characters of base32. */
const secretOf = (text: string): Uint8Array | undefined => {
  if (/^[0-9a-f]{64}$/.test(text)) return fromHex(text)
  if (!/^([a-z2-7]{52}|[A-Z2-7]{52})$/.test(text)) return undefined
  try {
    return base32nopad.decode(text.toUpperCase())
  } catch {
    return undefined // the last bits are not zero
  }
}

const linesOf = (text: unknown): ReadonlyArray<Line> => {
  if (typeof text !== "string") throw new Malformed(field, "expected text")
  if (text.length > maxInputLength) throw new Malformed(field, `longer than ${maxInputLength} characters`)
  return text.split(/\r?\n/).flatMap((line, index) => {
    const trimmed = line.trim()
    if (trimmed === "" || trimmed.startsWith("#")) return []
    const refuse = (problem: string): never => {
      throw new Malformed(field, `line ${index + 1}: ${problem}`)
    }
    const colon = trimmed.indexOf(":")
    if (colon < 0) return refuse("expected prefix: key, or # and a comment")
    const prefix = trimmed.slice(0, colon).trimEnd()
    if (prefix === "") return refuse("the prefix is empty, and an empty prefix is no key's")
    if (!/^[0-9a-v]{1,52}$/.test(prefix)) return refuse("the prefix is not the beginning of an ID52")
    const secret = secretOf(trimmed.slice(colon + 1).trimStart())
    return [{ prefix, secret: secret ?? refuse("the key is not 64 digits of hex in lower case") }]
  })
}

/** The key with an ID52 among lines; `undefined` where no line is for it. */
export const find = (
  text: Redacted.Redacted<string>,
  id52: string
): Effect.Effect<PrivateKey.PrivateKey | undefined, InvalidConfiguration> =>
  Effect.flatMap(
    attempt(() => {
      Id52.decode(id52)
      const lines = linesOf(Redacted.value(text))
      return { lines, own: lines.filter(({ prefix }) => id52.startsWith(prefix)) }
    }),
    ({ lines, own }) =>
      Effect.gen(function* () {
        for (const { secret } of own) {
          const key = yield* PrivateKey.fromRaw("Ed25519", secret)
          if (PublicKey.toId52(key.publicKey) === id52) return key
          PrivateKey.wipe(key)
        }
        return own.length === 0
          ? undefined
          : yield* invalid(field, "the key that is there for this ID52 is the key of another one")
      }).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            for (const { secret } of lines) secret.fill(0)
          })
        )
      )
  )

/** A key alone, with white space around it. */
export const decode = (text: Redacted.Redacted<string>): Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration> =>
  Wiped.withBytes(
    attempt(() => {
      const secret = secretOf(Redacted.value(text).trim())
      if (secret === undefined) throw new Malformed(field, "the key is not 64 digits of hex in lower case")
      return secret
    }),
    (secret) => PrivateKey.fromRaw("Ed25519", secret)
  )
