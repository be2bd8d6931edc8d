/**
 * Writes signatures of HTTP messages.
 *
 * @category internal
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { primitives } from "#primitives"
import * as Base64Url from "../../schemas/Base64Url.ts"
import type { KeyVersion } from "../../schemas/KeyVersion.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import { facts } from "../../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import { InvalidConfiguration, InvalidResponse, UnsupportedAlgorithm } from "../../schemas/SignerError.ts"
import * as StructuredFields from "../../schemas/StructuredFields.ts"
import type * as Mac from "../../services/Mac.ts"
import type * as Signer from "../../services/Signer.ts"
import * as ContentDigest from "../ContentDigest.ts"
import * as CoveredDigest from "./CoveredDigest.ts"
import type { Component } from "./HttpComponent.ts"
import { parseComponent, readerOf } from "./HttpComponent.ts"
import type { FieldLine, HttpMessage } from "../HttpMessage.ts"
import type { HttpSignatureInvalid } from "./HttpSignatureInvalid.ts"
import { attempt, refuse } from "./HttpSignatureInvalid.ts"
import * as SignatureBase from "./SignatureBase.ts"
import { labelsOf, maxSignatures } from "./SignatureFields.ts"
import { hmacName } from "./SignatureParameters.ts"
import type { FieldTypes } from "./StructuredFieldType.ts"

/**
 * What a caller may say about a signature.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignOptions {
  /**
   * What is covered, in this order: names of fields in lower case, derived
   * components, and their parameters, as in `"content-digest"`,
   * `"@query-param;name=\"id\""` or `"@method;req"`. A `content-digest` that is
   * absent is added where the body is known.
   */
  readonly components: ReadonlyArray<string>
  /** Default `"sig1"`. Must be new in the message. */
  readonly label?: string | undefined
  /** How long after its creation the signature expires, in whole seconds. Default: it does not say. */
  readonly expiresIn?: Duration.Input | undefined
  /** `true`: 16 random bytes. Default: none. */
  readonly nonce?: string | true | undefined
  /** What the signature is for: an application's own name for it. */
  readonly tag?: string | undefined
  /**
   * How the message names the key. Default: the RFC 7638 thumbprint of the public
   * key that signs, or the key id of a Mac; `false`: not at all.
   */
  readonly keyId?: string | false | undefined
  /**
   * Whether to write `alg`. Default `false`: the key says it. Algorithms of JOSE that
   * are not in the registry of RFC 9421 have no name to write (section 3.3.7).
   */
  readonly alg?: boolean | undefined
  /** Types of structured fields that are not registered, by lower-case name, for `sf` and `key`. */
  readonly fieldTypes?: FieldTypes | undefined
  /** How the signature, and a digest that is added, are encoded. Default `"base64"`; `"base64url"` is for older profiles. */
  readonly alphabet?: StructuredFields.Alphabet | undefined
  /** How a digest is encoded, where it is not as the signature. */
  readonly digestAlphabet?: StructuredFields.Alphabet | undefined
  /** The purpose the Signer must have. */
  readonly purpose?: string | undefined
  /** The purposes of which the Signer must have one. Default, and empty: any. */
  readonly purposes?: ReadonlyArray<string> | undefined
  /** The algorithms of which the Signer must have one. Default: any that RFC 9421 or JOSE names. */
  readonly algorithms?: ReadonlyArray<SignatureAlgorithm> | undefined
  /** What `expiresIn` may be at most. */
  readonly maxLifetime?: Duration.Input | undefined
  /** The parameters that are written first, in this order. Default: that of RFC 9421 section 2.3. */
  readonly parameterOrder?: ReadonlyArray<ParameterName> | undefined
}

/**
 * A parameter of a signature (RFC 9421 section 2.3).
 *
 * @category models
 * @since 0.1.0
 */
export type ParameterName = "created" | "expires" | "nonce" | "alg" | "keyid" | "tag"

/**
 * A message with a new signature.
 *
 * @category models
 * @since 0.1.0
 */
export interface Signed<M extends HttpMessage> {
  /** The message with the new field lines. */
  readonly message: M
  /** The new lines alone: `Content-Digest` where it was added, `Signature-Input` and `Signature`. */
  readonly fields: ReadonlyArray<FieldLine>
  readonly label: string
}

export const misconfigured = (field: string, problem: string) =>
  InvalidConfiguration.of({ operation: "sign", field, problem })

const isLabel = /^[a-z*][a-z0-9_\-.*]*$/

/** A message that is ready to be signed. */
interface Prepared<M extends HttpMessage> {
  readonly message: M
  readonly added: ReadonlyArray<FieldLine>
  readonly label: string
  readonly components: ReadonlyArray<Component>
}

const withFields = <M extends HttpMessage>(message: M, lines: ReadonlyArray<FieldLine>): M =>
  lines.length === 0 ? message : { ...message, fields: [...message.fields, ...lines] }

const isDigestAlgorithm = Schema.is(ContentDigest.DigestAlgorithm)

const isOwnDigest = ({ isOfRequest, isTrailer, name }: Component) =>
  name === "content-digest" && !isOfRequest && !isTrailer

const prepare = <M extends HttpMessage>(message: M, options: SignOptions): Prepared<M> => {
  const label = options.label ?? "sig1"
  const labels = labelsOf(message)
  if (labels.has(label)) refuse("LabelTaken", "the message has a signature with this label")
  if (labels.size >= maxSignatures) refuse("TooLarge", `the message has ${maxSignatures} signatures`)
  const components = options.components.map(parseComponent)
  const added: Array<FieldLine> = []
  const algorithms = components.filter(isOwnDigest).map(({ selects }) => selects ?? "sha-256")
  const hasDigest = message.fields.some(([name]) => name.toLowerCase() === "content-digest")
  if (message.body !== undefined && !hasDigest && algorithms.length > 0 && algorithms.every(isDigestAlgorithm)) {
    const { digestAlphabet: alphabet = options.alphabet } = options
    const digest = ContentDigest.makeResult(message.body, algorithms, { alphabet })
    added.push(["Content-Digest", Result.getOrElse(digest, ({ problem }) => refuse("DigestInvalid", problem))])
  }
  return { message: withFields(message, added), added, label, components }
}

/** Whole seconds, of which there is at least one. */
const secondsOf = (input: Duration.Input): number | undefined => {
  const seconds = Option.match(Duration.fromInput(input), { onNone: () => 0, onSome: Duration.toSeconds })
  return seconds >= 1 && Number.isFinite(seconds) ? Math.floor(seconds) : undefined
}

/** Whether a lifetime is longer than it may be. */
const isTooLong = (expiresIn: Duration.Input, maxLifetime: Duration.Input | undefined): boolean => {
  const most = maxLifetime === undefined ? undefined : secondsOf(maxLifetime)
  return most !== undefined && secondsOf(expiresIn)! > most
}

const optionsProblem = (options: SignOptions): InvalidConfiguration | undefined => {
  const { components, expiresIn, label, maxLifetime } = options
  if (components.length === 0) return misconfigured("components", "a signature that covers nothing proves nothing")
  if (label !== undefined && !isLabel.test(label)) {
    return misconfigured("label", "must be lower-case letters, digits, _, -, . and *, and begin with a letter")
  }
  if (expiresIn === undefined) return undefined
  if (secondsOf(expiresIn) === undefined) return misconfigured("expiresIn", "must be a duration of a second or more")
  return isTooLong(expiresIn, maxLifetime)
    ? misconfigured("expiresIn", `must be ${secondsOf(maxLifetime!)} seconds or less`)
    : undefined
}

/** A signature over its own field cannot be: the field changes when the signature is added. */
const isOwnField = ({ isOfRequest, isTrailer, name, selects }: Component) =>
  (name === "signature" || name === "signature-input") && selects === undefined && !isOfRequest && !isTrailer

/** A digest that somebody else added may be as the standard says, also where ours is not. */
const readable = (alphabet: SignOptions["digestAlphabet"]) => (alphabet === "base64url" ? "either" : alphabet)

/**
 * Signs exactly this member of `Signature-Input`.
 */
export const seal = <M extends HttpMessage, A extends { readonly bytes: Uint8Array }, E>(
  prepared: Pick<Prepared<M>, "message" | "added" | "label">,
  input: StructuredFields.InnerList,
  { alphabet, digestAlphabet = alphabet, fieldTypes }: Pick<SignOptions, "alphabet" | "digestAlphabet" | "fieldTypes">,
  sign: (base: Uint8Array) => Effect.Effect<A, E>
): Effect.Effect<{ readonly signed: Signed<M>; readonly signature: A }, E | HttpSignatureInvalid> => {
  const { added, label, message } = prepared
  const built = attempt(() => {
    const reader = readerOf(message, fieldTypes)
    const components = SignatureBase.coveredBy(input)
    const own = components.find(isOwnField)
    if (own !== undefined) {
      refuse("ComponentInvalid", `the signature itself changes this field: cover a member of it, with "key"`, own.text)
    }
    const base = SignatureBase.build(reader, input, components)
    // One that was just added is that of the content
    const stated = added.length === 0 ? components : components.filter((component) => !isOwnDigest(component))
    CoveredDigest.check(reader, stated, { mustBeKnown: false, alphabet: readable(digestAlphabet) })
    return base
  })
  return Effect.flatMap(built, (base) =>
    Effect.map(sign(SignatureBase.bytesOf(base)), (signature) => {
      const value = Result.getOrThrow(
        StructuredFields.serializeDictionary(
          [[label, StructuredFields.item(StructuredFields.byteSequence(signature.bytes))]],
          { alphabet }
        )
      )
      const lines: ReadonlyArray<FieldLine> = [
        ["Signature-Input", `${label}=${base.input}`],
        ["Signature", value]
      ]
      return { signature, signed: { message: withFields(message, lines), fields: [...added, ...lines], label } }
    })
  )
}

/** In the order of RFC 9421 section 2.3, unless it is stated. */
const inputOf = (
  components: ReadonlyArray<Component>,
  options: SignOptions,
  nowMillis: number,
  alg: string | undefined,
  keyId: string | undefined
): StructuredFields.InnerList => {
  const created = Math.floor(nowMillis / 1000)
  const { expiresIn, tag } = options
  const expires = expiresIn === undefined ? undefined : created + secondsOf(expiresIn)!
  const nonce = options.nonce === true ? Base64Url.encode(primitives.randomBytes(16)) : options.nonce
  const { integer, string } = StructuredFields
  const parameters: Array<readonly [string, StructuredFields.BareItem]> = [["created", integer(created)]]
  if (expires !== undefined) parameters.push(["expires", integer(expires)])
  if (nonce !== undefined) parameters.push(["nonce", string(nonce)])
  if (alg !== undefined) parameters.push(["alg", string(alg)])
  if (keyId !== undefined) parameters.push(["keyid", string(keyId)])
  if (tag !== undefined) parameters.push(["tag", string(tag)])
  const order: ReadonlyArray<string> = options.parameterOrder ?? []
  const placeOf = ([name]: readonly [string, unknown]) => (order.includes(name) ? order.indexOf(name) : order.length)
  return StructuredFields.innerList(
    components.map(({ item }) => item),
    order.length === 0 ? parameters : parameters.sort((a, b) => placeOf(a) - placeOf(b))
  )
}

const prepared = <M extends HttpMessage>(
  message: M,
  options: SignOptions
): Effect.Effect<Prepared<M>, InvalidConfiguration | HttpSignatureInvalid> =>
  Effect.suspend((): Effect.Effect<Prepared<M>, InvalidConfiguration | HttpSignatureInvalid> => {
    const problem = optionsProblem(options)
    return problem === undefined ? attempt(() => prepare(message, options)) : Effect.fail(problem)
  })

/** Why a Signer cannot sign an HTTP message as it is asked to. */
const signerProblem = (signer: Signer.Service, options: SignOptions): SignerError | undefined => {
  const { httpSignature, jose } = facts[signer.algorithm]
  if (httpSignature === undefined && jose === undefined) {
    return new UnsupportedAlgorithm({
      backend: signer.backend,
      keyId: signer.keyId,
      operation: "sign",
      algorithm: signer.algorithm,
      problem: "neither RFC 9421 nor JOSE has a name for it"
    })
  }
  if (options.alg === true && httpSignature === undefined) {
    return misconfigured("alg", `${signer.algorithm} is not in the registry of RFC 9421, so alg cannot name it`)
  }
  const { algorithms, purpose, purposes = [] } = options
  if (algorithms !== undefined && !algorithms.includes(signer.algorithm)) {
    return misconfigured("algorithms", `the Signer signs with ${signer.algorithm}, not with ${algorithms.join(" or ")}`)
  }
  if (purpose !== undefined && signer.purpose !== purpose) {
    return misconfigured("purpose", "the Signer is not for this purpose")
  }
  return purposes.length > 0 && (signer.purpose === undefined || !purposes.includes(signer.purpose))
    ? misconfigured("purposes", `the Signer must state its purpose: ${purposes.join(" or ")}`)
    : undefined
}

export const signWithSigner = <M extends HttpMessage>(
  signer: Signer.Service,
  message: M,
  options: SignOptions
): Effect.Effect<Signed<M>, SignerError | HttpSignatureInvalid> => {
  const problem = signerProblem(signer, options)
  if (problem !== undefined) return Effect.fail(problem)
  const alg = options.alg === true ? facts[signer.algorithm].httpSignature : undefined
  return Effect.flatMap(prepared(message, options), (ready) => {
    const sealAs = (keyId: string | undefined) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        seal(ready, inputOf(ready.components, options, now, alg, keyId), options, signer.sign)
      )
    /** With the thumbprint of the key that signs: one that was rotated since its public key was read signs again. */
    const sealWith = (
      key: PublicKey.PublicKey,
      triesLeft: number
    ): Effect.Effect<Signed<M>, SignerError | HttpSignatureInvalid> =>
      Effect.flatMap(sealAs(PublicKey.thumbprint(key)), ({ signature, signed }) => {
        const version: KeyVersion | undefined = signature.keyVersion
        if (version === undefined) return Effect.succeed(signed)
        return Effect.flatMap(signer.publicKey(version), (actual) => {
          if (actual === key || PublicKey.sameKey(actual, key)) return Effect.succeed(signed)
          return triesLeft > 0
            ? sealWith(actual, triesLeft - 1)
            : Effect.fail(
                new InvalidResponse({
                  backend: signer.backend,
                  keyId: signer.keyId,
                  operation: "sign",
                  problem: "the key was rotated at each attempt, and keyid must name the key that signs"
                })
              )
        })
      })
    if (options.keyId !== undefined) {
      return Effect.map(sealAs(options.keyId === false ? undefined : options.keyId), ({ signed }) => signed)
    }
    return Effect.flatMap(signer.publicKey(), (key) => sealWith(key, 2))
  })
}

export const signWithMac = <M extends HttpMessage>(
  mac: Mac.Service,
  message: M,
  options: SignOptions
): Effect.Effect<Signed<M>, InvalidConfiguration | HttpSignatureInvalid> => {
  if (options.alg === true && mac.algorithm !== "HS256") {
    return Effect.fail(
      misconfigured("alg", `${mac.algorithm} is not in the registry of RFC 9421, so alg cannot name it`)
    )
  }
  const keyId = options.keyId === false ? undefined : (options.keyId ?? mac.keyId)
  const alg = options.alg === true ? hmacName : undefined
  return Effect.flatMap(prepared(message, options), (ready) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.map(
        seal(ready, inputOf(ready.components, options, now, alg, keyId), options, (base) =>
          Effect.map(mac.compute(base), (bytes) => ({ bytes }))
        ),
        ({ signed }) => signed
      )
    )
  )
}
