/**
 * Checks the signatures of an HTTP message against a policy (RFC 9421 section
 * 3.2): what is cheap first, then the key, then the signature, then the content.
 *
 * @category internal
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Base64Url from "../../schemas/Base64Url.ts"
import { shownKeyId } from "../../schemas/KeyResolverError.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import { facts } from "../../schemas/SignatureAlgorithm.ts"
import type { UnsupportedAlgorithm } from "../../schemas/SignerError.ts"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import * as StructuredFields from "../../schemas/StructuredFields.ts"
import type { KeyRequest, KeyResolverError, ResolvedKey, Service } from "../../services/KeyResolver.ts"
import { KeyAmbiguous, KeyUnknown } from "../../services/KeyResolver.ts"
import type * as Mac from "../../services/Mac.ts"
import * as PreparedVerifier from "../../services/PreparedVerifier.ts"
import * as CoveredDigest from "./CoveredDigest.ts"
import type { Component, ComponentReader } from "./HttpComponent.ts"
import { parseComponent, readerOf } from "./HttpComponent.ts"
import type { HttpMessage } from "../HttpMessage.ts"
import { attempt, HttpSignatureInvalid, refuse } from "./HttpSignatureInvalid.ts"
import * as SignatureBase from "./SignatureBase.ts"
import type { Labelled } from "./SignatureFields.ts"
import * as SignatureFields from "./SignatureFields.ts"
import type { SignatureParameters } from "./SignatureParameters.ts"
import * as SignatureParametersOf from "./SignatureParameters.ts"
import type { FieldTypes } from "./StructuredFieldType.ts"

// ---------------------------------------------------------------------------
// policy
// ---------------------------------------------------------------------------

/**
 * What every verification states, and what it may.
 *
 * @category models
 * @since 0.1.0
 */
export interface PolicyOptions {
  /** What each signature must cover; it may cover more. At least one. */
  readonly components: ReadonlyArray<string>
  /** How long ago a signature may have been created. `created` is required. */
  readonly maxAge: Duration.Input
  /** How far the clocks of signer and verifier may differ. It is granted at both ends. */
  readonly skew: Duration.Input
  /** Only signatures with this tag count; `undefined`: only those without one. */
  readonly tag: string | undefined
  /** Only the signature with this label counts. Default: all of that tag. */
  readonly label?: string | undefined
  /** Whether every signature that counts must verify, or one. Default `"all"`. */
  readonly mode?: "all" | "any" | undefined
  /** Parameters that must be there, beside `created`. */
  readonly parameters?: ReadonlyArray<"expires" | "nonce" | "alg" | "keyid"> | undefined
  /**
   * Whether each signature must cover the `content-digest` of content that is known
   * and not empty. Default `"covered"`.
   */
  readonly body?: "covered" | "any" | undefined
  /** Types of structured fields that are not registered, by lower-case name, for `sf` and `key`. */
  readonly fieldTypes?: FieldTypes | undefined
  /** How signatures and digests are encoded. Default `"base64"`; the others are for older profiles. */
  readonly alphabet?: StructuredFields.Alphabet | "either" | undefined
  /** How digests are encoded, where it is not as the signatures. */
  readonly digestAlphabet?: StructuredFields.Alphabet | "either" | undefined
  /** Components that no signature may cover. */
  readonly forbidden?: ReadonlyArray<string> | undefined
  /** How long after `created` a signature may expire, where it says so. */
  readonly maxLifetime?: Duration.Input | undefined
  /** Bytes that a nonce has at least, which is unpadded base64url then. Default: any text. */
  readonly minNonceBytes?: number | undefined
}

/**
 * A policy for signatures by a public key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Policy extends PolicyOptions, Pick<KeyRequest, "issuer" | "tenant" | "purpose"> {
  /** The algorithms a key may be for. At least one. */
  readonly algorithms: ReadonlyArray<SignatureAlgorithm>
}

/**
 * A policy, or how it follows from the message: from whether it has content, and which
 * fields.
 *
 * @category models
 * @since 0.1.0
 */
export type PolicyFor = Policy | ((message: HttpMessage) => Policy)

export const policyFor = (policy: PolicyFor, message: HttpMessage): Policy =>
  typeof policy === "function" ? policy(message) : policy

interface Prepared {
  readonly required: ReadonlyArray<Component>
  readonly forbidden: ReadonlySet<string>
  readonly maxAgeMillis: number
  readonly maxLifetimeMillis: number
  readonly skewMillis: number
}

const misconfigured = (field: string, problem: string) =>
  InvalidConfiguration.of({ operation: "verify", field, problem })

const millisOf = (input: Duration.Input): number | undefined => {
  const millis = Option.match(Duration.fromInput(input), { onNone: () => -1, onSome: Duration.toMillis })
  return millis >= 0 ? millis : undefined
}

const preparePolicy = (policy: PolicyOptions): Effect.Effect<Prepared, InvalidConfiguration> => {
  if (policy.components.length === 0) {
    return Effect.fail(
      misconfigured("components", "state what a signature must cover: one that may cover nothing proves nothing")
    )
  }
  const maxAgeMillis = millisOf(policy.maxAge)
  const skewMillis = millisOf(policy.skew)
  if (maxAgeMillis === undefined) return Effect.fail(misconfigured("maxAge", "must be a duration, not negative"))
  if (skewMillis === undefined) return Effect.fail(misconfigured("skew", "must be a duration, not negative"))
  const maxLifetimeMillis = policy.maxLifetime === undefined ? Infinity : millisOf(policy.maxLifetime)
  if (maxLifetimeMillis === undefined) {
    return Effect.fail(misconfigured("maxLifetime", "must be a duration, not negative"))
  }
  return attempt(() => ({
    required: policy.components.map(parseComponent),
    forbidden: new Set((policy.forbidden ?? []).map((text) => parseComponent(text).key)),
    maxAgeMillis,
    maxLifetimeMillis,
    skewMillis
  })).pipe(Effect.mapError((error) => misconfigured("components", error.message)))
}

// ---------------------------------------------------------------------------
// results
// ---------------------------------------------------------------------------

/**
 * One component that a signature covers.
 *
 * @category models
 * @since 0.1.0
 */
export interface CoveredComponent {
  /** As it is written in `Signature-Input`: `"content-digest";req`. */
  readonly identifier: string
  readonly value: string
}

/**
 * A signature that verifies and meets the policy: what it covers, and nothing else.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifiedSignature extends SignatureParameters {
  readonly label: string
  readonly created: number
  readonly components: ReadonlyArray<CoveredComponent>
}

/**
 * What came of each signature that the policy asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome<A, E> {
  readonly label: string
  readonly outcome: Result.Result<A, E>
}

/** A message that meets a policy. */
export interface VerifiedMessage<A extends VerifiedSignature, E> {
  /** Those that verify, in the order of `Signature-Input`. */
  readonly signatures: readonly [A, ...ReadonlyArray<A>]
  readonly outcomes: ReadonlyArray<Outcome<A, E>>
  /** The content, where a signature that verifies covers its digest. */
  readonly body: Uint8Array | undefined
}

// ---------------------------------------------------------------------------
// checks
// ---------------------------------------------------------------------------

const checkTimes = (created: number, expires: number | undefined, policy: Prepared, nowMillis: number): void => {
  if (created * 1000 > nowMillis + policy.skewMillis) refuse("NotYetValid", `"created" is in the future`)
  if (nowMillis > created * 1000 + policy.maxAgeMillis + policy.skewMillis) {
    refuse("TooOld", `"created" is longer ago than the policy allows`)
  }
  if (expires !== undefined && nowMillis >= expires * 1000 + policy.skewMillis) refuse("Expired")
  if (expires !== undefined && (expires - created) * 1000 > policy.maxLifetimeMillis) {
    refuse("ParameterInvalid", `"expires" is later than the policy allows`)
  }
}

const checkNonce = (nonce: string | undefined, minBytes: number | undefined): void => {
  if (nonce === undefined || minBytes === undefined) return
  const bytes = Base64Url.decode(nonce)
  if (bytes === undefined) return refuse("ParameterInvalid", `"nonce" is not unpadded base64url`)
  if (bytes.length < minBytes) refuse("ParameterInvalid", `"nonce" has fewer than ${minBytes} bytes`)
}

/** A signature that meets the policy, but for its key and its bytes. */
interface Candidate {
  readonly base: SignatureBase.SignatureBase
  readonly components: ReadonlyArray<Component>
  readonly verified: VerifiedSignature
}

const candidateOf = (
  reader: ComponentReader,
  { input, label }: Labelled,
  policy: PolicyOptions,
  prepared: Prepared,
  nowMillis: number
): Candidate => {
  const parameters = SignatureParametersOf.read(input.parameters)
  const { created } = parameters
  if (created === undefined) return refuse("ParameterMissing", `"created" is missing`)
  for (const name of policy.parameters ?? []) {
    if (StructuredFields.get(input.parameters, name) === undefined) refuse("ParameterMissing", `"${name}" is missing`)
  }
  checkTimes(created, parameters.expires, prepared, nowMillis)
  checkNonce(parameters.nonce, policy.minNonceBytes)
  const components = SignatureBase.coveredBy(input)
  if (components.length === 0) refuse("NotCovered", "the signature covers nothing")
  const keys = new Set(components.map(({ key }) => key))
  const lacking = prepared.required.find(({ key }) => !keys.has(key))
  if (lacking !== undefined) refuse("NotCovered", "the policy requires it", lacking.text)
  const foreign = components.find(({ key }) => prepared.forbidden.has(key))
  if (foreign !== undefined) refuse("ComponentInvalid", "the policy forbids that it is covered", foreign.text)
  const { body } = reader.message
  if (policy.body !== "any" && body !== undefined && body.length > 0 && !CoveredDigest.coversContent(components)) {
    refuse("NotCovered", "the message has content, and its digest is not covered", `"content-digest"`)
  }
  const base = SignatureBase.build(reader, input, components)
  const covered = base.covered.map(({ component, value }) => ({ identifier: component.text, value }))
  return { base, components, verified: { ...parameters, created, label, components: covered } }
}

/** Finds the key or the secret of a signature, and verifies with it. */
type Judge<A, E> = (parameters: SignatureParameters, message: Uint8Array, signature: Uint8Array) => Effect.Effect<A, E>

const select = (labelled: ReadonlyArray<Labelled>, { label, tag }: PolicyOptions): ReadonlyArray<Labelled> => {
  if (labelled.length === 0) return refuse("NoSignature", "the message has none")
  const selected = labelled.filter((one) => {
    const stated = StructuredFields.get(one.input.parameters, "tag")
    const isOfTag = tag === undefined ? stated === undefined : stated?._tag === "String" && stated.value === tag
    return isOfTag && (label === undefined || one.label === label)
  })
  return selected.length > 0
    ? selected
    : refuse("NoSignature", "none has the label and the tag that the policy asks for")
}

export const verifyWith = Effect.fnUntraced(function* <A extends object, E extends object>(
  message: HttpMessage,
  policy: PolicyOptions,
  judge: Judge<A, E>
): Effect.fn.Return<
  VerifiedMessage<VerifiedSignature & A, E | HttpSignatureInvalid>,
  E | HttpSignatureInvalid | InvalidConfiguration
> {
  const prepared = yield* preparePolicy(policy)
  const selected = yield* attempt(() => select(SignatureFields.read(message, policy.alphabet), policy))
  const nowMillis = yield* Clock.currentTimeMillis
  const reader = readerOf(message, policy.fieldTypes)
  const outcomes: Array<Outcome<VerifiedSignature & A, E | HttpSignatureInvalid>> = []
  const signatures: Array<VerifiedSignature & A> = []
  let failure: E | HttpSignatureInvalid | undefined
  let body: Uint8Array | undefined
  for (const labelled of selected) {
    const outcome = yield* Effect.result(
      Effect.flatMap(
        attempt(() => candidateOf(reader, labelled, policy, prepared, nowMillis)),
        ({ base, components, verified }) =>
          Effect.flatMap(judge(verified, SignatureBase.bytesOf(base), labelled.signature), (by) =>
            attempt(() => {
              const alphabet = policy.digestAlphabet ?? policy.alphabet
              CoveredDigest.check(reader, components, { mustBeKnown: true, alphabet })
              if (CoveredDigest.coversContent(components)) body = message.body
              return { ...verified, ...by }
            })
          )
      )
    )
    outcomes.push({ label: labelled.label, outcome })
    if (Result.isSuccess(outcome)) signatures.push(outcome.success)
    else if (policy.mode === "any") failure ??= outcome.failure
    else return yield* Effect.fail(outcome.failure)
  }
  const [first, ...others] = signatures
  // There is at least one outcome: where none is a success, there is a failure
  return first === undefined ? yield* Effect.fail(failure!) : { signatures: [first, ...others], outcomes, body }
})

// ---------------------------------------------------------------------------
// keys and secrets
// ---------------------------------------------------------------------------

/**
 * What verifying with public keys can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type VerifyError = HttpSignatureInvalid | KeyResolverError | UnsupportedAlgorithm | InvalidConfiguration

/** By whose key. */
export interface ByKey {
  readonly key: ResolvedKey
  readonly algorithm: SignatureAlgorithm
}

const invalid = (reason: HttpSignatureInvalid["reason"], problem?: string) =>
  Effect.fail(new HttpSignatureInvalid(problem === undefined ? { reason } : { reason, problem }))

const notAllowed = invalid("AlgorithmNotAllowed", "the policy does not allow the algorithm of the signature")

type KeyError = HttpSignatureInvalid | KeyResolverError | UnsupportedAlgorithm

/** RFC 9421 section 3.3, and 3.3.7 for the algorithms of JOSE. */
const isOfHttp = (algorithm: SignatureAlgorithm): boolean =>
  facts[algorithm].httpSignature !== undefined || facts[algorithm].jose !== undefined

export const judgeByKey = (
  resolver: Service,
  { algorithms, issuer, purpose, tenant }: Policy
): Judge<ByKey, KeyError> =>
  Effect.fnUntraced(function* ({ alg, keyId }, message, signature): Effect.fn.Return<ByKey, KeyError> {
    const stated = alg === undefined ? undefined : yield* attempt(() => SignatureParametersOf.algorithmOf(alg))
    if (stated !== undefined && !algorithms.includes(stated)) return yield* notAllowed
    const key = yield* resolver.resolve({ keyId, algorithm: stated, issuer, tenant, purpose })
    // The resolver may be anybody's: its answer is to what was asked
    if (keyId !== undefined && key.keyId !== keyId) return yield* new KeyUnknown({ keyId: shownKeyId(keyId) })
    const { algorithm, verify } = yield* PreparedVerifier.of(key.publicKey)
    // Section 3.2, step 6: wherever the algorithm is stated, it is the same
    if (stated !== undefined && stated !== algorithm) {
      return yield* invalid("AlgorithmMismatch", `"alg" is not the algorithm of the key`)
    }
    if (!isOfHttp(algorithm) || !algorithms.includes(algorithm)) return yield* notAllowed
    return (yield* verify(message, signature)) ? { key, algorithm } : yield* invalid("SignatureInvalid")
  })

/** With which secret. */
export interface ByMac {
  readonly mac: Mac.Service
}

export const judgeByMac =
  (macs: ReadonlyArray<Mac.Service>): Judge<ByMac, HttpSignatureInvalid | KeyUnknown | KeyAmbiguous> =>
  ({ alg, keyId }, message, signature) => {
    if (alg !== undefined && alg !== SignatureParametersOf.hmacName) {
      return invalid("AlgorithmUnsupported", `"alg" is not ${SignatureParametersOf.hmacName}`)
    }
    // A secret without a name of its own is the one that the caller means, whatever the message calls it
    const fitting = macs.filter((mac) => keyId === undefined || mac.keyId === undefined || mac.keyId === keyId)
    const named = keyId === undefined ? {} : { keyId: shownKeyId(keyId) }
    const [mac] = fitting
    if (mac === undefined) return Effect.fail(new KeyUnknown(named))
    if (fitting.length > 1) return Effect.fail(new KeyAmbiguous({ ...named, count: fitting.length }))
    if (alg !== undefined && mac.algorithm !== "HS256") {
      return invalid("AlgorithmMismatch", `"alg" is not the algorithm of the secret`)
    }
    return Effect.flatMap(mac.verify(message, signature), (isValid) =>
      isValid ? Effect.succeed({ mac }) : invalid("SignatureInvalid")
    )
  }

export const checkAlgorithms = ({ algorithms }: Policy): Effect.Effect<void, InvalidConfiguration> =>
  algorithms.length === 0
    ? Effect.fail(misconfigured("algorithms", "state the algorithms that a key may be for"))
    : Effect.void
