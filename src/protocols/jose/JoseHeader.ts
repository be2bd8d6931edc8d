/**
 * JOSE headers (RFC 7515 section 4), read strictly.
 *
 * @category internal
 */
import * as Base64Url from "../../schemas/Base64Url.ts"
import { Malformed } from "../../schemas/Malformed.ts"
import * as StrictJson from "../../schemas/StrictJson.ts"
import { refuse } from "./JwsInvalid.ts"

/** The header of one signature, checked. */
export interface JoseHeader {
  /** What the signature covers. */
  readonly protectedHeader: StrictJson.JsonRecord
  /** What it does not cover: anybody may have changed it. */
  readonly unprotectedHeader: StrictJson.JsonRecord | undefined
  /** From either: compared with the key, never trusted. */
  readonly alg: string
  readonly kid: string | undefined
  /** RFC 7797: whether the payload is base64url. */
  readonly isEncoded: boolean
}

/** Characters of an encoded header, at most. */
const maxLength = 16_384

/**
 * Names that `crit` must not list, because every implementation knows them (RFC
 * 7515 section 4.1.11, RFC 7518 sections 4.6 to 4.8).
 */
const neverCritical: ReadonlySet<string> = new Set(
  "alg jku jwk kid x5u x5c x5t x5t#S256 typ cty crit enc zip epk apu apv iv tag p2s p2c".split(" ")
)

/** Reads the text of a protected header. */
export const decodeProtected = (text: string): StrictJson.JsonRecord => {
  if (text.length > maxLength) return refuse("TooLarge", "the header is too long")
  const bytes = Base64Url.decode(text)
  if (bytes === undefined) return refuse("Malformed", "the protected header is not strict base64url")
  let header: unknown
  try {
    header = StrictJson.parseBytes(bytes, "the protected header")
  } catch (error) {
    if (error instanceof Malformed) return refuse("HeaderInvalid", error.message)
    throw error
  }
  return StrictJson.isRecord(header) ? header : refuse("HeaderInvalid", "the protected header is not a JSON object")
}

/** RFC 7515 section 4.1.11. */
const checkCritical = (crit: unknown, header: StrictJson.JsonRecord, understood: ReadonlyArray<string>): void => {
  if (!Array.isArray(crit) || crit.length === 0) refuse("CriticalUnknown", `"crit" must be a list, and not empty`)
  const seen = new Set<unknown>()
  for (const name of crit as ReadonlyArray<unknown>) {
    if (typeof name !== "string" || seen.has(name) || neverCritical.has(name) || !Object.hasOwn(header, name)) {
      refuse("CriticalUnknown", `"crit" must name further parameters of the protected header, each once`)
    }
    if (name !== "b64" && !understood.includes(name as string)) {
      refuse("CriticalUnknown", `"crit" names a parameter that is not understood here`)
    }
    seen.add(name)
  }
}

/**
 * Checks the parameters of one signature.
 *
 * `alg` and `kid` may stand in the unprotected header, too: neither is trusted.
 * `crit` and `b64` must not (RFC 7515 section 4.1.11, RFC 7797 section 3).
 */
export const check = (
  protectedHeader: StrictJson.JsonRecord,
  unprotectedHeader: StrictJson.JsonRecord | undefined,
  understood: ReadonlyArray<string>
): JoseHeader => {
  let params = protectedHeader
  if (unprotectedHeader !== undefined) {
    for (const name of Object.keys(unprotectedHeader)) {
      // RFC 7515 section 4: the names of the two are disjoint
      if (Object.hasOwn(protectedHeader, name)) refuse("HeaderInvalid", "a parameter stands in both headers")
      if (name === "crit" || name === "b64") refuse("HeaderInvalid", `"${name}" must be protected`)
    }
    params = { ...protectedHeader, ...unprotectedHeader }
  }
  const { alg, cty, kid, typ } = params
  if (typeof alg !== "string") return refuse("HeaderInvalid", `"alg" must be text`)
  for (const [name, value] of [["kid", kid] as const, ["typ", typ] as const, ["cty", cty] as const]) {
    if (value !== undefined && typeof value !== "string") refuse("HeaderInvalid", `"${name}" must be text`)
  }
  const { b64, crit } = protectedHeader
  if (crit !== undefined) checkCritical(crit, protectedHeader, understood)
  if (b64 !== undefined) {
    if (typeof b64 !== "boolean") refuse("HeaderInvalid", `"b64" must be true or false`)
    // RFC 7797 section 6: who does not know b64 must refuse the message
    if (!Array.isArray(crit) || !crit.includes("b64")) refuse("HeaderInvalid", `"b64" must be listed in "crit"`)
  }
  return { protectedHeader, unprotectedHeader, alg, kid: kid as string | undefined, isEncoded: b64 !== false }
}

/** Checked headers by their text: tokens by one key share theirs. */
const known = new Map<string, JoseHeader>()
const maxKnown = 256
/** A part of a longer text would keep all of it in memory. */
const maxKnownText = 8192

/** Whether nobody who is handed the header can change it for the next one. */
const isFlat = (header: StrictJson.JsonRecord) => Object.values(header).every((value) => typeof value !== "object")

/** Reads and checks the header of a compact JWS, which begins its text. What is read once is remembered for a while. */
export const ofCompact = (token: string, end: number, understood: ReadonlyArray<string>): JoseHeader => {
  const text = token.slice(0, end)
  const remembered = known.get(text)
  if (remembered !== undefined) return remembered
  const header = check(decodeProtected(text), undefined, understood)
  // A header with crit is none of these: crit is a list
  if (token.length <= maxKnownText && isFlat(header.protectedHeader)) {
    if (known.size >= maxKnown) known.clear()
    Object.freeze(header.protectedHeader)
    known.set(text, header)
  }
  return header
}

/** A media type as `typ` abbreviates it, in lower case (RFC 7515 section 4.1.9). */
const mediaType = (typ: string): string => {
  const lower = typ.toLowerCase()
  return lower.includes("/") ? lower : `application/${lower}`
}

/** Whether `typ` of the protected header is the one that is asked for. */
export const isType = (header: JoseHeader, expected: string): boolean => {
  const typ = header.protectedHeader["typ"]
  return typ === expected || (typeof typ === "string" && mediaType(typ) === mediaType(expected))
}
