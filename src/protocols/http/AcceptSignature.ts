/**
 * `Accept-Signature`: asking the other side for a signature (RFC 9421 section 5).
 *
 * @category internal
 */
import * as Result from "effect/Result"
import * as StructuredFields from "../../schemas/StructuredFields.ts"
import { trimmed } from "./FieldValue.ts"
import type { Component } from "./HttpComponent.ts"
import { componentsOf, parseComponent } from "./HttpComponent.ts"
import type { HttpMessage } from "../HttpMessage.ts"
import { refuse } from "./HttpSignatureInvalid.ts"
import { maxComponents } from "./SignatureBase.ts"
import { maxSignatures } from "./SignatureFields.ts"

/**
 * One signature that is asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignatureRequest {
  readonly label: string
  /** What it must cover, as `sign` takes it. */
  readonly components: ReadonlyArray<string>
  /** Whether it must say when it was created. */
  readonly created?: boolean | undefined
  /** Whether it must say when it expires. */
  readonly expires?: boolean | undefined
  /** Exactly this nonce. */
  readonly nonce?: string | undefined
  /** By its name in the registry of RFC 9421. */
  readonly alg?: string | undefined
  readonly keyId?: string | undefined
  readonly tag?: string | undefined
}

const texts = [
  ["nonce", "nonce"],
  ["alg", "alg"],
  ["keyid", "keyId"],
  ["tag", "tag"]
] as const

const memberOf = (request: SignatureRequest): StructuredFields.InnerList => {
  const components: ReadonlyArray<Component> = request.components.map(parseComponent)
  const parameters: Array<readonly [string, StructuredFields.BareItem]> = []
  if (request.created === true) parameters.push(["created", StructuredFields.boolean(true)])
  if (request.expires === true) parameters.push(["expires", StructuredFields.boolean(true)])
  for (const [name, field] of texts) {
    const value = request[field]
    if (value !== undefined) parameters.push([name, StructuredFields.string(value)])
  }
  return StructuredFields.innerList(
    componentsOf(components.map(({ item }) => item)).map(({ item }) => item),
    parameters
  )
}

/** Writes the field value. */
export const write = (requests: ReadonlyArray<SignatureRequest>): string => {
  const written = StructuredFields.serializeDictionary(requests.map((one) => [one.label, memberOf(one)] as const))
  return Result.getOrElse(written, ({ problem }) => refuse("Malformed", problem))
}

const flagOf = (parameters: StructuredFields.Parameters, name: string): boolean => {
  const value = StructuredFields.get(parameters, name)
  if (value === undefined) return false
  return value._tag === "Boolean" && value.value
    ? true
    : refuse("ParameterInvalid", `accept-signature: "${name}" has no value`)
}

const requestOf = (label: string, member: StructuredFields.Member): SignatureRequest => {
  if (member._tag !== "InnerList") return refuse("Malformed", "accept-signature: a signature must be an inner list")
  const { items, parameters } = member
  if (items.length > maxComponents) refuse("TooLarge", `more than ${maxComponents} components`)
  const found: { -readonly [K in keyof SignatureRequest]: SignatureRequest[K] } = {
    label,
    components: componentsOf(items).map(({ text }) => text),
    created: flagOf(parameters, "created"),
    expires: flagOf(parameters, "expires")
  }
  for (const [name, field] of texts) {
    const value = StructuredFields.get(parameters, name)
    if (value === undefined) continue
    if (value._tag !== "String") refuse("ParameterInvalid", `accept-signature: "${name}" must be a string`)
    found[field] = value.value as string
  }
  return found
}

/** Reads what a message asks for. */
export const read = (message: HttpMessage): ReadonlyArray<SignatureRequest> => {
  const lines = message.fields.flatMap(([name, value]) =>
    name.toLowerCase() === "accept-signature" ? [trimmed(value)] : []
  )
  const parsed = StructuredFields.parseDictionary(lines, { duplicates: "refuse" })
  if (Result.isFailure(parsed)) return refuse("Malformed", `accept-signature: ${parsed.failure.message}`)
  if (parsed.success.length > maxSignatures) refuse("TooLarge", `more than ${maxSignatures} signatures`)
  return parsed.success.map(([label, member]) => requestOf(label, member))
}

/**
 * What a signer is willing to do.
 *
 * @category models
 * @since 0.1.0
 */
export interface FulfillOptions {
  /** The components it signs at most. */
  readonly allowed: ReadonlyArray<string>
  /** The tags it signs for. Default: none. */
  readonly tags?: ReadonlyArray<string> | undefined
}

/** Refuses what is asked for beyond what the signer is willing to do. */
export const checkWilling = (request: SignatureRequest, options: FulfillOptions): void => {
  if (request.components.length === 0) refuse("NotFulfilled", "a signature that covers nothing proves nothing")
  const allowed = new Set(options.allowed.map((text) => parseComponent(text).key))
  const foreign = request.components.map(parseComponent).find(({ key }) => !allowed.has(key))
  if (foreign !== undefined) refuse("NotFulfilled", "this signer does not sign it on request", foreign.text)
  if (request.tag !== undefined && options.tags?.includes(request.tag) !== true) {
    refuse("NotFulfilled", "this signer does not sign for the tag that is asked for")
  }
}
