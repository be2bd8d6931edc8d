/**
 * The signature base: the text that a signature of an HTTP message signs (RFC 9421
 * section 2.5).
 *
 * @category internal
 */
import * as Result from "effect/Result"
import * as StructuredFields from "../../schemas/StructuredFields.ts"
import type { Component, ComponentReader } from "./HttpComponent.ts"
import { componentsOf } from "./HttpComponent.ts"
import { refuse } from "./HttpSignatureInvalid.ts"

/** Components of one signature, at most. */
export const maxComponents = 128

/** A component that is covered, and its value. */
export interface Covered {
  readonly component: Component
  readonly value: string
}

export interface SignatureBase {
  readonly covered: ReadonlyArray<Covered>
  /** The value of the signature in `Signature-Input`. */
  readonly input: string
  readonly text: string
}

const utf8 = new TextEncoder()

/** The bytes that are signed: the text is ASCII. */
export const bytesOf = (base: SignatureBase): Uint8Array => utf8.encode(base.text)

/** The components of a signature, checked. */
export const coveredBy = (input: StructuredFields.InnerList): ReadonlyArray<Component> =>
  input.items.length > maxComponents
    ? refuse("TooLarge", `more than ${maxComponents} components`)
    : componentsOf(input.items)

/** Builds the base of a signature: its components in their order, its parameters as they came. */
export const build = (
  reader: ComponentReader,
  input: StructuredFields.InnerList,
  components: ReadonlyArray<Component> = coveredBy(input)
): SignatureBase => {
  const covered = components.map((component) => ({ component, value: reader.value(component) }))
  // The identifiers are written already: an empty list, and what comes after it
  const written = StructuredFields.serializeMember({ ...input, items: [] })
  if (Result.isFailure(written)) return refuse("ParameterInvalid", written.failure.problem)
  const member = `(${components.map(({ text }) => text).join(" ")})${written.success.slice(2)}`
  const lines = covered.map(({ component, value }) => `${component.text}: ${value}`)
  return {
    covered,
    input: member,
    text: [...lines, `"@signature-params": ${member}`].join("\n")
  }
}
