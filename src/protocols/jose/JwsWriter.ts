/**
 * Writes JWS: headers, payloads and one signature or MAC.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import * as Base64Url from "../../schemas/Base64Url.ts"
import { isBytes } from "../../schemas/Bytes.ts"
import { toJose } from "../../schemas/JoseAlgorithm.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import { InvalidConfiguration, InvalidResponse, UnsupportedAlgorithm } from "../../schemas/SignerError.ts"
import * as StrictJson from "../../schemas/StrictJson.ts"
import type * as Mac from "../../services/Mac.ts"
import type * as Signer from "../../services/Signer.ts"
import * as JoseHeader from "./JoseHeader.ts"
import { JwsInvalid } from "./JwsInvalid.ts"
import type { Payload } from "./JwsPayload.ts"
import { isCompactText, signingInput, utf8 } from "./JwsPayload.ts"

/**
 * A JWS with one signature, as JSON (RFC 7515 section 7.2.2). `payload` is absent
 * where it is detached.
 *
 * @category models
 * @since 0.1.0
 */
export interface FlattenedJws {
  readonly payload?: string
  readonly protected: string
  readonly header?: Schema.JsonObject
  readonly signature: string
}

/**
 * What goes into the header of one signature.
 *
 * @category models
 * @since 0.1.0
 */
export interface HeaderOptions {
  /** What the message is, so that it cannot pass for something else that the key signs. */
  readonly typ?: string | undefined
  /** Default: the RFC 7638 thumbprint of the key that signs. `false` writes none. */
  readonly kid?: string | false | undefined
  /**
   * What is written for Ed25519. Default `"EdDSA"` (RFC 8037), which every library
   * reads; `"Ed25519"` is its fully specified name (RFC 9864), which the older ones
   * do not. Both are read here. Other readers compare it with `alg` of the published
   * key as text: publish that with the same option of `PublicKey.toJwk`, which has
   * the same default.
   */
  readonly ed25519?: "EdDSA" | "Ed25519" | undefined
  /** Further protected parameters. `alg`, `kid`, `typ`, `crit` and `b64` have options of their own. */
  readonly header?: Schema.JsonObject | undefined
  /** Those parameters of `header` that a reader must understand or refuse the message. */
  readonly critical?: ReadonlyArray<string> | undefined
}

/**
 * Options of {@link sign}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignOptions extends HeaderOptions {
  /** Leave the payload out; the reader must have it. Default `false`. */
  readonly detached?: boolean | undefined
  /** Sign the payload as it is, not its base64url (RFC 7797). Default `false`. */
  readonly unencoded?: boolean | undefined
  /** What the key must be for: a Signer of another purpose is refused. */
  readonly purpose?: string | undefined
}

/**
 * Options of {@link signFlattened}.
 *
 * @category models
 * @since 0.1.0
 */
export interface FlattenedOptions extends SignOptions {
  /** Parameters that the signature does not cover. */
  readonly unprotected?: Schema.JsonObject | undefined
}

const ownNames = ["alg", "kid", "typ", "crit", "b64"]

const encodeHeader = (alg: string, kid: string | undefined, options: HeaderOptions, isEncoded: boolean): string => {
  const crit = [...(isEncoded ? [] : ["b64"]), ...(options.critical ?? [])]
  return Base64Url.encode(
    utf8.encode(
      JSON.stringify({
        alg,
        typ: options.typ,
        kid,
        ...(isEncoded ? undefined : { b64: false }),
        ...(crit.length === 0 ? undefined : { crit }),
        ...options.header
      })
    )
  )
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

interface Sealed {
  readonly protected: string
  readonly signature: string
}

const sealAs = (
  signer: Signer.Service,
  kid: string | undefined,
  alg: string,
  payload: Payload,
  options: HeaderOptions
) => {
  const protectedText = encodeHeader(alg, kid, options, payload.isEncoded)
  return Effect.map(signer.sign(signingInput(protectedText, payload)), ({ bytes, keyVersion }) => ({
    protected: protectedText,
    signature: Base64Url.encode(bytes),
    keyVersion
  }))
}

/** With the thumbprint of the key that signs: one that was rotated since its public key was read signs again. */
const sealWith = (
  signer: Signer.Service,
  key: PublicKey.PublicKey,
  alg: string,
  payload: Payload,
  options: HeaderOptions,
  triesLeft: number
): Effect.Effect<Sealed, SignerError> =>
  Effect.flatMap(sealAs(signer, PublicKey.thumbprint(key), alg, payload, options), (sealed) =>
    sealed.keyVersion === undefined
      ? Effect.succeed(sealed)
      : Effect.flatMap(signer.publicKey(sealed.keyVersion), (signed) => {
          if (signed === key || PublicKey.sameKey(signed, key)) return Effect.succeed(sealed)
          return triesLeft > 0
            ? sealWith(signer, signed, alg, payload, options, triesLeft - 1)
            : Effect.fail(
                new InvalidResponse({
                  backend: signer.backend,
                  keyId: signer.keyId,
                  operation: "sign",
                  problem: "the key was rotated at each attempt, and a kid must name the key that signs"
                })
              )
        })
  )

type Seal<E> = (payload: Payload) => Effect.Effect<Sealed, E>

export const misconfigured = (field: string, problem: string) =>
  InvalidConfiguration.of({ operation: "sign", field, problem })

export const headerProblem = (
  options: HeaderOptions & { readonly unprotected?: Schema.JsonObject | undefined }
): InvalidConfiguration | undefined => {
  const { critical = [], header, kid, typ, unprotected } = options
  if (typ !== undefined && !isText(typ)) return misconfigured("typ", "must be text, and not empty")
  if (kid !== undefined && kid !== false && !isText(kid)) {
    return misconfigured("kid", "must be text, and not empty; false writes none")
  }
  for (const [field, members] of [
    ["header", header],
    ["unprotected", unprotected]
  ] as const) {
    if (members !== undefined && !isPlain(members)) return misconfigured(field, "must be an object that JSON can write")
  }
  const taken = header === undefined ? undefined : ownNames.find((name) => Object.hasOwn(header, name))
  if (taken !== undefined) return misconfigured("header", `"${taken}" is not set here; it has an option of its own`)
  if (critical.some((name) => header === undefined || !Object.hasOwn(header, name))) {
    return misconfigured("critical", "names a parameter that is not in header")
  }
  const uncovered = unprotected === undefined ? [] : Object.keys(unprotected)
  const wrong = uncovered.find(
    (name) =>
      (ownNames.includes(name) && name !== "kid") ||
      (name === "kid" && options.kid !== false) ||
      (header !== undefined && Object.hasOwn(header, name))
  )
  if (wrong !== undefined) {
    return misconfigured("unprotected", `"${wrong}" belongs into the protected header, or stands in it already`)
  }
  return header === undefined ? undefined : unreadable(options, critical)
}

const isText = (value: unknown) => typeof value === "string" && value !== ""

/** Whether JSON has it, and as what it is: an object with a `toJSON` is written as something else. */
const isPlain = (members: object): boolean => {
  try {
    return StrictJson.isRecord(members) && typeof members["toJSON"] !== "function" && JSON.stringify(members) !== ""
  } catch {
    return false // a bigint, a cycle
  }
}

/** What readers refuse, ours among them: a header that is too long, and what `crit` must not name. */
const unreadable = (options: HeaderOptions, critical: ReadonlyArray<string>): InvalidConfiguration | undefined => {
  try {
    JoseHeader.check(JoseHeader.decodeProtected(encodeHeader("", undefined, options, true)), undefined, critical)
    return undefined
  } catch (error) {
    if (!(error instanceof JwsInvalid)) throw error
    return misconfigured(error.reason === "CriticalUnknown" ? "critical" : "header", error.problem ?? error.reason)
  }
}

export const preparePayload = (
  payload: Uint8Array,
  options: Pick<SignOptions, "detached" | "unencoded">,
  form: "compact" | "json"
): Payload | InvalidConfiguration => {
  if (!isBytes(payload)) {
    return misconfigured("payload", "expected a Uint8Array; encode text with new TextEncoder().encode(text)")
  }
  const bytes = new Uint8Array(payload) // ours: the caller may change its own
  if (options.unencoded !== true) return { isEncoded: true, bytes, text: Base64Url.encode(bytes) }
  if (options.detached === true) return { isEncoded: false, bytes, text: "" }
  let text: string
  try {
    text = strictUtf8.decode(bytes)
  } catch {
    return misconfigured("unencoded", "the payload is not UTF-8 text: sign it detached, or encoded")
  }
  return form === "compact" && !isCompactText(text)
    ? misconfigured(
        "unencoded",
        "in the compact form the payload must be printable ASCII without a period (RFC 7797 section 5.2): sign it " +
          "detached, or in the flattened form"
      )
    : { isEncoded: false, bytes, text }
}

export const sealSigner = (
  signer: Signer.Service,
  payload: Payload,
  options: HeaderOptions & { readonly purpose?: string | undefined }
): Effect.Effect<Sealed, SignerError> => {
  const alg = toJose(signer.algorithm, options.ed25519)
  if (alg === undefined) {
    return Effect.fail(
      new UnsupportedAlgorithm({
        backend: signer.backend,
        keyId: signer.keyId,
        operation: "sign",
        algorithm: signer.algorithm,
        problem: "JOSE has no name for it"
      })
    )
  }
  if (options.purpose !== undefined && signer.purpose !== options.purpose) {
    return Effect.fail(misconfigured("purpose", "the Signer is not for this purpose"))
  }
  return options.kid === undefined
    ? Effect.flatMap(signer.publicKey(), (key) => sealWith(signer, key, alg, payload, options, 2))
    : sealAs(signer, options.kid === false ? undefined : options.kid, alg, payload, options)
}

export const sealMac = (mac: Mac.Service, payload: Payload, options: HeaderOptions): Effect.Effect<Sealed> => {
  const kid = options.kid === false ? undefined : (options.kid ?? mac.keyId)
  const protectedText = encodeHeader(mac.algorithm, kid, options, payload.isEncoded)
  return Effect.map(mac.compute(signingInput(protectedText, payload)), (bytes) => ({
    protected: protectedText,
    signature: Base64Url.encode(bytes)
  }))
}

/** RFC 7515 section 7.2.1: absent where it is empty. */
export const headerMember = (unprotected: Schema.JsonObject | undefined) =>
  unprotected === undefined || Object.keys(unprotected).length === 0 ? undefined : { header: unprotected }

export const compact = <E>(
  payload: Uint8Array,
  options: SignOptions,
  seal: Seal<E>
): Effect.Effect<string, E | InvalidConfiguration> =>
  Effect.suspend((): Effect.Effect<string, E | InvalidConfiguration> => {
    const problem = headerProblem(options)
    if (problem !== undefined) return Effect.fail(problem)
    const prepared = preparePayload(payload, options, "compact")
    if (prepared instanceof InvalidConfiguration) return Effect.fail(prepared)
    const text = options.detached === true ? "" : prepared.text
    return Effect.map(seal(prepared), (sealed) => `${sealed.protected}.${text}.${sealed.signature}`)
  })

export const flattened = <E>(
  payload: Uint8Array,
  options: FlattenedOptions,
  seal: Seal<E>
): Effect.Effect<FlattenedJws, E | InvalidConfiguration> =>
  Effect.suspend((): Effect.Effect<FlattenedJws, E | InvalidConfiguration> => {
    const problem = headerProblem(options)
    if (problem !== undefined) return Effect.fail(problem)
    const prepared = preparePayload(payload, options, "json")
    if (prepared instanceof InvalidConfiguration) return Effect.fail(prepared)
    return Effect.map(seal(prepared), (sealed) => ({
      ...(options.detached === true ? undefined : { payload: prepared.text }),
      protected: sealed.protected,
      ...headerMember(options.unprotected),
      signature: sealed.signature
    }))
  })
