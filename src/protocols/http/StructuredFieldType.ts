/**
 * Which HTTP fields are structured fields, and of which form: the "Structured
 * Type" of the IANA registry of field names. A field that is not in it is never
 * guessed; who knows its type states it.
 *
 * @category internal
 */
import type { FieldType } from "../../schemas/StructuredFields.ts"

/** Of RFC 9421, 9530, 9651 and the registry (https://www.iana.org/assignments/http-fields). */
const registered: ReadonlyMap<string, FieldType> = new Map([
  ["accept-ch", "list"],
  ["accept-signature", "dictionary"],
  ["available-dictionary", "item"],
  ["cache-status", "list"],
  ["capsule-protocol", "item"],
  ["cdn-cache-control", "dictionary"],
  ["client-cert", "item"],
  ["client-cert-chain", "list"],
  ["content-digest", "dictionary"],
  ["cross-origin-embedder-policy", "item"],
  ["cross-origin-embedder-policy-report-only", "item"],
  ["cross-origin-opener-policy", "item"],
  ["cross-origin-opener-policy-report-only", "item"],
  ["deprecation", "item"],
  ["dictionary-id", "item"],
  ["incremental", "item"],
  ["origin-agent-cluster", "item"],
  ["priority", "dictionary"],
  ["proxy-status", "list"],
  ["repr-digest", "dictionary"],
  ["signature", "dictionary"],
  ["signature-input", "dictionary"],
  ["use-as-dictionary", "dictionary"],
  ["want-content-digest", "dictionary"],
  ["want-repr-digest", "dictionary"]
])

/**
 * What a caller knows of further fields, by lower-case name.
 *
 * @category models
 * @since 0.1.0
 */
export type FieldTypes = { readonly [name: string]: FieldType }

/** The type of a field, by its lower-case name. */
export const typeOf = (name: string, further: FieldTypes = {}): FieldType | undefined =>
  registered.get(name) ?? (Object.hasOwn(further, name) ? further[name] : undefined)
