/**
 * Reads JWS: takes them apart and checks everything but the signature.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Base64Url from "../../schemas/Base64Url.ts"
import { isBytes } from "../../schemas/Bytes.ts"
import { Malformed } from "../../schemas/Malformed.ts"
import * as StrictJson from "../../schemas/StrictJson.ts"
import * as JoseHeader from "./JoseHeader.ts"
import { JwsInvalid, refuse } from "./JwsInvalid.ts"
import type { Payload } from "./JwsPayload.ts"
import { isCompactText, signingInput, utf8 } from "./JwsPayload.ts"

/** What a reader demands of a JWS. */
export interface OpenOptions {
  /** The `typ` that the message must have. Absent: any, or none. */
  readonly typ?: string | undefined
  /** The payload of a detached JWS. */
  readonly payload?: Uint8Array | undefined
  /** Parameters that `crit` may name, because the caller heeds them. `b64` is heeded here. */
  readonly critical?: ReadonlyArray<string> | undefined
  /** Characters of the JWS at most. Default 1,048,576. */
  readonly maxLength?: number | undefined
}

const defaultMaxLength = 1_048_576

/** Signatures of a general JWS, at most: each costs a verification. */
const maxSignatures = 16

/** One signature, taken apart and checked for everything but the signature. */
export interface Opened {
  readonly header: JoseHeader.JoseHeader
  readonly payload: Uint8Array
  readonly message: Uint8Array
  readonly signature: Uint8Array
}

const decodeSignature = (text: string, start = 0): Uint8Array => {
  const signature = Base64Url.decode(text, start)
  if (signature === undefined) return refuse("Malformed", "the signature is not strict base64url")
  return signature.length === 0 ? refuse("Malformed", "the signature is empty") : signature
}

const checkType = (header: JoseHeader.JoseHeader, typ: string | undefined): void => {
  if (typ !== undefined && !JoseHeader.isType(header, typ)) {
    refuse("WrongType", `"typ" of the protected header is not the one that is asked for`)
  }
}

const notEncoded = () => refuse("Malformed", "the payload is not strict base64url")

/** `new Uint8Array("text")` is empty, and would be verified as the empty payload. */
const ownPayload = (payload: unknown): Uint8Array =>
  isBytes(payload) ? new Uint8Array(payload) : refuse("PayloadMismatch", "the payload that is given is no Uint8Array")

export const openCompact = (token: unknown, options: OpenOptions): Opened => {
  if (typeof token !== "string") return refuse("Malformed", "a compact JWS is text")
  const maxLength = options.maxLength ?? defaultMaxLength
  if (!(token.length <= maxLength)) return refuse("TooLarge", `longer than ${maxLength} characters`)
  const first = token.indexOf(".")
  const second = token.indexOf(".", first + 1)
  if (first < 0 || second < 0 || token.indexOf(".", second + 1) >= 0) {
    return refuse("Malformed", "a compact JWS has three parts, with periods between them")
  }
  const header = JoseHeader.ofCompact(token, first, options.critical ?? [])
  checkType(header, options.typ)
  const signature = decodeSignature(token, second + 1)
  const detached = options.payload
  if (detached !== undefined) {
    if (second !== first + 1) return refuse("PayloadMismatch", "a payload is given, and the JWS has one, too")
    const payload = ownPayload(detached)
    const text = header.isEncoded ? Base64Url.encode(payload) : ""
    const message = signingInput(token.slice(0, first), { isEncoded: header.isEncoded, bytes: payload, text })
    return { header, payload, message, signature }
  }
  const message = utf8.encode(token.slice(0, second))
  if (header.isEncoded) {
    return { header, payload: Base64Url.decode(token, first + 1, second) ?? notEncoded(), message, signature }
  }
  if (!isCompactText(token.slice(first + 1, second))) {
    return refuse(
      "Malformed",
      "an unencoded payload in the compact form must be printable ASCII (RFC 7797 section 5.2)"
    )
  }
  return { header, payload: message.slice(first + 1), message, signature }
}

const parseJson = (jws: unknown, options: OpenOptions): StrictJson.JsonRecord => {
  const maxLength = options.maxLength ?? defaultMaxLength
  // An object is written once and read again: one look at it, and the same rules for its size and depth
  const text = typeof jws === "string" ? jws : textOf(jws)
  if (text === undefined) return refuse("Malformed", "expected a JSON object, or its text")
  if (!(text.length <= maxLength)) return refuse("TooLarge", `longer than ${maxLength} characters`)
  let value: unknown
  try {
    value = StrictJson.parse(text, "jws")
  } catch (error) {
    if (error instanceof Malformed) return refuse("Malformed", error.problem)
    throw error
  }
  return StrictJson.isRecord(value) ? value : refuse("Malformed", "expected a JSON object, or its text")
}

const textOf = (value: unknown): string | undefined => {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

/** Reads one signature of a JSON form. `fields` is the JWS itself where it is flattened. */
const openJson = (fields: unknown, jws: StrictJson.JsonRecord, options: OpenOptions): Opened => {
  if (!StrictJson.isRecord(fields)) return refuse("Malformed", "a signature must be an object")
  const { header: unprotected, protected: protectedText, signature: signatureText } = fields
  if (typeof signatureText !== "string") return refuse("Malformed", `"signature" must be text`)
  if (protectedText !== undefined && (typeof protectedText !== "string" || protectedText === "")) {
    return refuse("Malformed", `"protected" must be text; it is absent where it would be empty`)
  }
  if (unprotected !== undefined && !StrictJson.isRecord(unprotected)) {
    return refuse("HeaderInvalid", `"header" must be an object`)
  }
  const protectedHeader = protectedText === undefined ? {} : JoseHeader.decodeProtected(protectedText)
  const header = JoseHeader.check(protectedHeader, unprotected, options.critical ?? [])
  checkType(header, options.typ)
  const signature = decodeSignature(signatureText)
  const { isEncoded } = header
  const payload = payloadOf(jws["payload"], isEncoded, options.payload)
  return { header, payload: payload.bytes, message: signingInput(protectedText ?? "", payload), signature }
}

const payloadOf = (member: unknown, isEncoded: boolean, detached: Uint8Array | undefined): Payload => {
  if (detached !== undefined) {
    if (member !== undefined) return refuse("PayloadMismatch", "a payload is given, and the JWS has one, too")
    const bytes = ownPayload(detached)
    return { isEncoded, bytes, text: isEncoded ? Base64Url.encode(bytes) : "" }
  }
  if (member === undefined) return refuse("PayloadMismatch", "the payload is detached: give it with the option payload")
  if (typeof member !== "string") return refuse("Malformed", `"payload" must be text`)
  if (isEncoded) return { isEncoded, bytes: Base64Url.decode(member) ?? notEncoded(), text: member }
  return member.isWellFormed()
    ? { isEncoded, bytes: utf8.encode(member), text: member }
    : refuse("Malformed", `"payload" is not well-formed text`)
}

export const openFlattened = (jws: unknown, options: OpenOptions): Opened => {
  const fields = parseJson(jws, options)
  // RFC 7515 section 7.2.2: a JWS is one or the other
  if (fields["signatures"] !== undefined) return refuse("Malformed", "this is a general JWS, not a flattened one")
  return openJson(fields, fields, options)
}

export const openGeneral = (jws: unknown, options: OpenOptions) => {
  const fields = parseJson(jws, options)
  const { signatures } = fields
  if (!Array.isArray(signatures) || signatures.length === 0) {
    return refuse("Malformed", `a general JWS has a list "signatures", which is not empty`)
  }
  if (["signature", "protected", "header"].some((name) => fields[name] !== undefined)) {
    return refuse("Malformed", "this is a general and a flattened JWS at once")
  }
  if (signatures.length > maxSignatures) return refuse("TooLarge", `more than ${maxSignatures} signatures`)
  const outcomes = signatures.map((signature: unknown) =>
    Result.try({
      try: () => openJson(signature, fields, options),
      catch: (error) => {
        if (error instanceof JwsInvalid) return error
        throw error
      }
    })
  )
  const opened = outcomes.flatMap((outcome) => (Result.isSuccess(outcome) ? [outcome.success] : []))
  // RFC 7797 section 3: all of them sign the payload in the same form
  if (opened.some(({ header }) => header.isEncoded !== opened[0]!.header.isEncoded)) {
    return refuse("HeaderInvalid", `"b64" must be the same in all signatures`)
  }
  return outcomes
}

/**
 * Runs a reader: what it refused is a typed failure, anything else is a bug.
 */
export const attempt = <A>(read: () => A): Effect.Effect<A, JwsInvalid> => {
  try {
    return Effect.succeed(read())
  } catch (error) {
    if (error instanceof JwsInvalid) return Effect.fail(error)
    throw error
  }
}
