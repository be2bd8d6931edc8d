/**
 * A list of what an issuer has revoked, as it publishes it: the payload of a JWS, read
 * strictly.
 *
 * @category internal
 */
import * as StrictJson from "../../schemas/StrictJson.ts"
import { Malformed } from "../../schemas/Malformed.ts"

export interface RevocationList {
  readonly version: number
  readonly issuer: string
  /** Milliseconds since the Unix epoch. */
  readonly updated: number
  readonly nextUpdate: number
  readonly tokenIds: ReadonlySet<string>
  readonly keyIds: ReadonlySet<string>
}

const field = "revocation list"

const malformed = (problem: string): never => {
  throw new Malformed(field, problem)
}

/** RFC 3339 section 5.6, in UTC. */
const timeForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/

const timeOf = (list: StrictJson.JsonRecord, name: string): number => {
  const value = list[name]
  const millis = typeof value === "string" && timeForm.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(millis) ? malformed(`${name} must be a time in UTC, as in 2026-01-31T12:00:00Z`) : millis
}

const textsOf = (list: StrictJson.JsonRecord, name: string): ReadonlySet<string> => {
  const value = list[name]
  return Array.isArray(value) && value.every((item): item is string => typeof item === "string" && item !== "")
    ? new Set(value)
    : malformed(`${name} must be a list of texts`)
}

/** Reads a payload. Throws {@link Malformed}, which quotes nothing of it. */
export const read = (payload: Uint8Array): RevocationList => {
  const list = StrictJson.parseBytes(payload, field)
  if (!StrictJson.isRecord(list)) return malformed("it is no JSON object")
  const { issuer, version } = list
  if (typeof version !== "number" || !Number.isSafeInteger(version) || version < 0) {
    return malformed("version must be a whole number, not negative")
  }
  if (typeof issuer !== "string" || issuer === "") return malformed("issuer must be a text")
  const [updated, nextUpdate] = [timeOf(list, "updated"), timeOf(list, "next_update")]
  if (nextUpdate <= updated) return malformed("next_update must be later than updated")
  return {
    version,
    issuer,
    updated,
    nextUpdate,
    tokenIds: textsOf(list, "revoked_jtis"),
    keyIds: textsOf(list, "revoked_kids")
  }
}
