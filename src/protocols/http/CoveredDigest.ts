/**
 * Content digests that a signature covers: covered means checked (RFC 9421 section
 * 7.2.8).
 *
 * @category internal
 */
import * as Result from "effect/Result"
import type * as StructuredFields from "../../schemas/StructuredFields.ts"
import * as ContentDigest from "../ContentDigest.ts"
import type { Component, ComponentReader } from "./HttpComponent.ts"
import { refuse } from "./HttpSignatureInvalid.ts"

const isDigest = ({ name }: Component) => name === "content-digest"

/** Whether a signature covers the digest of the content of its own message. */
export const coversContent = (components: ReadonlyArray<Component>): boolean =>
  components.some((component) => isDigest(component) && !component.isOfRequest)

/** Checks every content digest that is covered, of the message and of the request that it answers. */
export const check = (
  reader: ComponentReader,
  components: ReadonlyArray<Component>,
  options: {
    /** Whether content that is not known is refused. */
    readonly mustBeKnown: boolean
    readonly alphabet?: StructuredFields.Alphabet | "either" | undefined
  }
): void => {
  /** By the lines that were checked: a signature may cover the same field in many ways. */
  const known = new Map<ReadonlyArray<string>, ReturnType<typeof ContentDigest.verifyResult>>()
  for (const component of components.filter(isDigest)) {
    const { body } = reader.contextOf(component)
    if (body === undefined) {
      if (!options.mustBeKnown) continue
      return refuse("DigestInvalid", "the content is not known: give the body of the message", component.text)
    }
    const { selects } = component
    // The others of the field are not covered: anybody may have written them
    if (selects !== undefined && selects !== "sha-256" && selects !== "sha-512") {
      return refuse("DigestInvalid", "the digest that is covered is neither sha-256 nor sha-512", component.text)
    }
    const lines = reader.lines(component)
    const checked = known.get(lines) ?? ContentDigest.verifyResult(body, lines, { alphabet: options.alphabet })
    known.set(lines, checked)
    if (Result.isFailure(checked)) return refuse("DigestInvalid", checked.failure.problem, component.text)
  }
}
