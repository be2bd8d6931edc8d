/**
 * The fields `Signature-Input` and `Signature` of a message (RFC 9421 section 4).
 *
 * @category internal
 */
import * as Result from "effect/Result"
import * as StructuredFields from "../../schemas/StructuredFields.ts"
import { trimmed } from "./FieldValue.ts"
import type { FieldLine, HttpMessage } from "../HttpMessage.ts"
import { refuse } from "./HttpSignatureInvalid.ts"

/** Signatures of one message, at most: each costs a verification. */
export const maxSignatures = 16

/** Characters of each of the two fields, at most. */
const maxLength = 131_072

/** A signature of a message, read but not checked. */
export interface Labelled {
  readonly label: string
  readonly input: StructuredFields.InnerList
  readonly signature: Uint8Array
}

type Alphabet = StructuredFields.ParseOptions["alphabet"]

const parse = (lines: ReadonlyArray<FieldLine>, name: string, alphabet: Alphabet): StructuredFields.Dictionary => {
  const values: Array<string> = []
  for (const [other, value] of lines) {
    if (other.length === name.length && other.toLowerCase() === name) values.push(trimmed(value))
  }
  const parsed = StructuredFields.parseDictionary(values, { duplicates: "refuse", alphabet, maxLength })
  if (Result.isFailure(parsed)) return refuse("Malformed", `${name}: ${parsed.failure.message}`)
  return parsed.success.length > maxSignatures
    ? refuse("TooLarge", `more than ${maxSignatures} signatures`)
    : parsed.success
}

/** A signer may send the fields as trailers, too; a label is there once in all. */
const linesOf = (message: HttpMessage): ReadonlyArray<FieldLine> =>
  message.trailers === undefined ? message.fields : [...message.fields, ...message.trailers]

/** Reads the signatures of a message, in the order of `Signature-Input`. */
export const read = (message: HttpMessage, alphabet?: Alphabet): ReadonlyArray<Labelled> => {
  const lines = linesOf(message)
  const signatures = new Map(parse(lines, "signature", alphabet))
  const inputs = parse(lines, "signature-input", undefined)
  // Section 4: a label in one field only is an error
  if (inputs.length !== signatures.size) refuse("Malformed", "a label is in one of the two fields only")
  return inputs.map(([label, input]) => {
    const member = signatures.get(label)
    if (member === undefined) return refuse("Malformed", "a label is in one of the two fields only")
    if (input._tag !== "InnerList") return refuse("Malformed", "signature-input: a signature must be an inner list")
    if (member._tag !== "Item" || member.value._tag !== "ByteSequence" || member.parameters.length > 0) {
      return refuse("Malformed", "signature: a signature must be a byte sequence")
    }
    return { label, input, signature: member.value.value }
  })
}

/** The labels that a message has in either field. */
export const labelsOf = (message: HttpMessage): ReadonlySet<string> => {
  const lines = linesOf(message)
  // Either alphabet: the signatures of others are not ours to judge
  return new Set(
    [...parse(lines, "signature", "either"), ...parse(lines, "signature-input", undefined)].map(([label]) => label)
  )
}
