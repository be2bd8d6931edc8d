/**
 * What a seller says of signatures in `get_adcp_capabilities`: the block
 * `request_signing`.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import * as StrictJson from "../../schemas/StrictJson.ts"
import type { DigestPolicy } from "../HttpSignatureProfile.ts"
import type { AdcpOperation } from "./AdcpOperation.ts"

/**
 * What a verifier asks of requests.
 *
 * **Details**
 *
 * Operations are those of AdCP (`create_media_buy`). Protocol methods are those of
 * JSON-RPC, exactly as they are sent: `tasks/cancel` of A2A 0.3 is not `CancelTask` of
 * A2A 1.0. One never counts as the other.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestSigning {
  readonly supported: boolean
  readonly coversContentDigest: DigestPolicy
  /** Unsigned requests are refused. */
  readonly requiredFor: ReadonlyArray<string>
  /** Signatures that are wrong are reported, not refused. */
  readonly warnFor: ReadonlyArray<string>
  /** Signatures are verified where they are there. */
  readonly supportedFor: ReadonlyArray<string>
  readonly protocolMethodsRequiredFor: ReadonlyArray<string>
  readonly protocolMethodsWarnFor: ReadonlyArray<string>
  readonly protocolMethodsSupportedFor: ReadonlyArray<string>
}

/**
 * What a capability says of one operation. `"none"`: it does not name it.
 *
 * @category models
 * @since 0.1.0
 */
export type SigningMode = "required" | "warn" | "supported" | "none"

/** Entries of a list, and characters of one, at most. */
const maxEntries = 1000
const maxLength = 128

const invalid = (field: string, problem: string) =>
  InvalidConfiguration.of({ operation: "make", field: `request_signing.${field}`, problem })

const lists = [
  ["required_for", "requiredFor", false],
  ["warn_for", "warnFor", false],
  ["supported_for", "supportedFor", false],
  ["protocol_methods_required_for", "protocolMethodsRequiredFor", true],
  ["protocol_methods_warn_for", "protocolMethodsWarnFor", true],
  ["protocol_methods_supported_for", "protocolMethodsSupportedFor", true]
] as const

const policies: ReadonlyArray<unknown> = ["required", "either", "forbidden"]

/** How AdCP spells its operations: what tells them from methods of JSON-RPC. */
const isOperation = /^[a-z][a-z0-9_]*$/

/** The method of MCP that calls operations: the list of operations is for what it calls. */
const envelope = "tools/call"

const problemOfList = (value: unknown, isMethods: boolean): string | undefined => {
  if (!Array.isArray(value) || value.length > maxEntries) return `must be a list of names, ${maxEntries} at most`
  if (!value.every((name) => typeof name === "string" && name.length > 0 && name.length <= maxLength)) {
    return `must be names of 1 to ${maxLength} characters`
  }
  if (value.some((name: string) => isOperation.test(name) === isMethods)) {
    return isMethods
      ? "must be methods of JSON-RPC: operations of AdCP, as create_media_buy, belong into the other list"
      : "must be operations of AdCP, as create_media_buy: methods of JSON-RPC belong into the other list"
  }
  return isMethods && value.includes(envelope)
    ? `must not name ${envelope}: state the operations that it calls`
    : undefined
}

/**
 * Reads a block `request_signing`, or a whole answer that has one. An answer without
 * one supports no signatures.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where an operation stands among protocol methods
 * or the other way round, and for anything else that has no one meaning. Members that
 * are not known are left alone.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const parseCapability = (input: unknown): Effect.Effect<RequestSigning, InvalidConfiguration> =>
  Effect.suspend(() => {
    if (!StrictJson.isRecord(input)) return Effect.fail(invalid("", "must be an object"))
    const isAnswer = "request_signing" in input
    const isBlock = "supported" in input || "required_for" in input || "supported_for" in input
    const block = isAnswer ? input["request_signing"] : isBlock ? input : { supported: false }
    if (!StrictJson.isRecord(block)) return Effect.fail(invalid("", "must be an object"))
    const { covers_content_digest: covers = "either", supported = false } = block
    if (typeof supported !== "boolean") return Effect.fail(invalid("supported", "must be true or false"))
    if (!policies.includes(covers)) {
      return Effect.fail(invalid("covers_content_digest", "must be required, either or forbidden"))
    }
    const names: { [field: string]: ReadonlyArray<string> } = {}
    for (const [member, field, isMethods] of lists) {
      const value = block[member] ?? []
      const problem = problemOfList(value, isMethods)
      if (problem !== undefined) return Effect.fail(invalid(member, problem))
      names[field] = [...(value as ReadonlyArray<string>)]
    }
    return Effect.succeed({ supported, coversContentDigest: covers as DigestPolicy, ...names } as RequestSigning)
  })

/**
 * What a capability says of an operation or a protocol method: the strictest list
 * that names it.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const modeOf = (capability: RequestSigning, { name, protocolMethod }: AdcpOperation): SigningMode => {
  const names = (operations: ReadonlyArray<string>, methods: ReadonlyArray<string>) =>
    (name !== undefined && operations.includes(name)) ||
    (protocolMethod !== undefined && methods.includes(protocolMethod))
  if (names(capability.requiredFor, capability.protocolMethodsRequiredFor)) return "required"
  if (names(capability.warnFor, capability.protocolMethodsWarnFor)) return "warn"
  return names(capability.supportedFor, capability.protocolMethodsSupportedFor) ? "supported" : "none"
}
