/**
 * HTTP message signatures (RFC 9421), with any key: signing needs a `Signer`,
 * verifying a `KeyResolver` and a policy.
 *
 * **Details**
 *
 * - Every derived component, every parameter (`sf`, `bs`, `key`, `req`, `tr`),
 *   several signatures, responses bound to their request, `Accept-Signature`.
 * - The policy comes first: what must be covered, which algorithms, how old, for
 *   what. A signature that covers nothing never verifies.
 * - The algorithm is that of the key. `alg` is compared, never obeyed. Algorithms of
 *   the registry, `ml-dsa-44`, `-65` and `-87` of C2SP, and those of JOSE, which
 *   have no `alg` (section 3.3.7).
 * - Covered means checked: a `content-digest` that is covered must be that of the
 *   content, when signing and when verifying.
 * - The result holds what is covered, and nothing else of the message.
 *
 * **Gotchas**
 *
 * `verify` remembers no message, and accepts it again as long as it is not too old:
 * against replay use {@link verifyOnce}, with a `ReplayStore`. The bytes of a signature
 * are no identity: an ECDSA signature can be changed into another valid one.
 *
 * **Example** (Signing a request, and verifying it)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LocalSigner } from "effect-signer"
 * import * as HttpMessage from "effect-signer/HttpMessage"
 * import * as HttpSignature from "effect-signer/HttpSignature"
 * import * as KeyResolver from "effect-signer/KeyResolver"
 *
 * const policy: HttpSignature.Policy = {
 *   components: ["@method", "@target-uri"],
 *   algorithms: ["Ed25519"],
 *   maxAge: "5 minutes",
 *   skew: "30 seconds",
 *   tag: "orders"
 * }
 *
 * const program = Effect.gen(function*() {
 *   const request = HttpMessage.request({
 *     method: "POST",
 *     target: "https://api.example/orders",
 *     fields: [["Content-Type", "application/json"]],
 *     body: new TextEncoder().encode(`{"item":7}`)
 *   })
 *   const { message } = yield* HttpSignature.sign(request, {
 *     components: ["@method", "@target-uri", "content-digest"],
 *     tag: "orders"
 *   })
 *   const { signatures: [signature] } = yield* HttpSignature.verify(message, policy)
 *   return [signature.key.keyId, HttpSignature.value(signature, "@target-uri")]
 * })
 *
 * const Live = KeyResolver.layerSigner().pipe(Layer.provideMerge(LocalSigner.layerGenerated("Ed25519")))
 *
 * const result = Effect.runPromise(Effect.provide(program, Live))
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import type { InvalidConfiguration } from "../schemas/SignerError.ts"
import type { KeyAmbiguous, KeyUnknown } from "../services/KeyResolver.ts"
import { KeyResolver } from "../services/KeyResolver.ts"
import type * as Mac from "../services/Mac.ts"
import * as Signer from "../services/Signer.ts"
import type { FulfillOptions, SignatureRequest } from "./http/AcceptSignature.ts"
import * as AcceptSignature from "./http/AcceptSignature.ts"
import { parseComponent, readerOf } from "./http/HttpComponent.ts"
import type { HttpMessage } from "./HttpMessage.ts"
import type { HttpSignatureInvalid } from "./http/HttpSignatureInvalid.ts"
import { attempt, refuse } from "./http/HttpSignatureInvalid.ts"
import type {
  ByKey,
  ByMac,
  Policy,
  PolicyOptions,
  VerifiedMessage as VerifiedMessageOf,
  VerifiedSignature,
  VerifyError
} from "./http/HttpSignatureCheck.ts"
import { checkAlgorithms, judgeByKey, judgeByMac, verifyWith } from "./http/HttpSignatureCheck.ts"
import type { Signed, SignOptions } from "./http/HttpSignatureWriter.ts"
import { signWithMac, signWithSigner } from "./http/HttpSignatureWriter.ts"
import * as SignatureBase from "./http/SignatureBase.ts"
import * as SignatureFields from "./http/SignatureFields.ts"
import { algorithmOf } from "./http/SignatureParameters.ts"
import type { FieldTypes } from "./http/StructuredFieldType.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  FulfillOptions,
  /**
   * @category models
   * @since 0.1.0
   */
  SignatureRequest
} from "./http/AcceptSignature.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  CoveredComponent,
  /**
   * @category models
   * @since 0.1.0
   */
  Outcome,
  /**
   * @category models
   * @since 0.1.0
   */
  Policy,
  /**
   * @category models
   * @since 0.1.0
   */
  PolicyFor,
  /**
   * @category models
   * @since 0.1.0
   */
  PolicyOptions,
  /**
   * @category models
   * @since 0.1.0
   */
  VerifiedSignature,
  /**
   * @category errors
   * @since 0.1.0
   */
  VerifyError
} from "./http/HttpSignatureCheck.ts"

export {
  /**
   * @category errors
   * @since 0.1.0
   */
  HttpSignatureInvalid,
  /**
   * @category errors
   * @since 0.1.0
   */
  HttpSignatureReason
} from "./http/HttpSignatureInvalid.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  ParameterName,
  /**
   * @category models
   * @since 0.1.0
   */
  Signed,
  /**
   * @category models
   * @since 0.1.0
   */
  SignOptions
} from "./http/HttpSignatureWriter.ts"

export {
  /**
   * @category verifying
   * @since 0.1.0
   */
  verifyOnce
} from "./http/HttpSignatureOnce.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  OnceOptions
} from "./http/HttpSignatureOnce.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  FieldTypes
} from "./http/StructuredFieldType.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * A signature that verifies and meets the policy, and by whose key.
 *
 * @category models
 * @since 0.1.0
 */
export type Verified = VerifiedSignature & ByKey

/**
 * A MAC that verifies and meets the policy, and with which secret.
 *
 * @category models
 * @since 0.1.0
 */
export type VerifiedMac = VerifiedSignature & ByMac

/**
 * A message that meets a policy: its signatures, what came of each that the policy
 * asked for, and its content where a signature covers the digest.
 *
 * @category models
 * @since 0.1.0
 */
export type VerifiedMessage = VerifiedMessageOf<Verified, VerifyError>

/**
 * What verifying with a MAC can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type MacVerifyError = HttpSignatureInvalid | KeyUnknown | KeyAmbiguous | InvalidConfiguration

// ---------------------------------------------------------------------------
// signing
// ---------------------------------------------------------------------------

/**
 * Signs a message: answers with the lines to add, and with the message that has
 * them.
 *
 * **Details**
 *
 * Signatures that are there stay as they are; a label that is taken is refused.
 * `keyid` is the thumbprint of the key that signed, also where the key is rotated
 * meanwhile. The time is that of Effect's clock. Fails with `HttpSignatureInvalid`
 * where the message does not have a component, or cannot know it.
 *
 * **Gotchas**
 *
 * Add the lines as they are. What a client or a proxy changes afterwards (a path
 * that is normalized, a field that is joined or compressed) breaks the signature if
 * it is covered: {@link explain} shows the line.
 *
 * @category signing
 * @since 0.1.0
 */
export const sign = <M extends HttpMessage>(
  message: M,
  options: SignOptions
): Effect.Effect<Signed<M>, SignerError | HttpSignatureInvalid, Signer.Signer> =>
  Signer.Signer.use((signer) => signWithSigner(signer, message, options))

/**
 * Signs a message with a MAC: for two parties that share a secret.
 *
 * @category shared secrets
 * @since 0.1.0
 */
export const signMac = <M extends HttpMessage>(
  message: M,
  mac: Mac.Service,
  options: Omit<SignOptions, "purpose">
): Effect.Effect<Signed<M>, InvalidConfiguration | HttpSignatureInvalid> => signWithMac(mac, message, options)

// ---------------------------------------------------------------------------
// verifying
// ---------------------------------------------------------------------------

/**
 * Verifies the signatures of a message that a policy asks for.
 *
 * **Details**
 *
 * What is cheap is checked first: form, parameters, time, what is covered. Then the
 * `KeyResolver` is asked, the signature verified, and the content compared with
 * the digest. With the mode `"all"` it fails with what is wrong with the first
 * signature that does not verify; with `"any"`, if none does.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verify = (
  message: HttpMessage,
  policy: Policy
): Effect.Effect<VerifiedMessage, VerifyError, KeyResolver> =>
  KeyResolver.use((resolver) =>
    Effect.andThen(checkAlgorithms(policy), verifyWith(message, policy, judgeByKey(resolver, policy)))
  )

/**
 * Verifies the MACs of a message that a policy asks for.
 *
 * **Details**
 *
 * Of several secrets `keyid` chooses. `alg` must be `hmac-sha256`, or absent.
 *
 * @category shared secrets
 * @since 0.1.0
 */
export const verifyMac = (
  message: HttpMessage,
  macs: Mac.Service | ReadonlyArray<Mac.Service>,
  policy: PolicyOptions
): Effect.Effect<VerifiedMessageOf<VerifiedMac, MacVerifyError>, MacVerifyError> =>
  Effect.suspend(() => verifyWith(message, policy, judgeByMac(Array.isArray(macs) ? macs : [macs as Mac.Service])))

/**
 * The value of a component, if the signature covers it. The order of its
 * parameters does not matter.
 *
 * @category combinators
 * @since 0.1.0
 */
export const value = (signature: VerifiedSignature, component: string): string | undefined => {
  const asked = keyOf(component)
  return asked === undefined
    ? undefined
    : signature.components.find(({ identifier }) => keyOf(identifier) === asked)?.value
}

const keyOf = (text: string): string | undefined => Result.getOrUndefined(Result.try(() => parseComponent(text).key))

// ---------------------------------------------------------------------------
// asking for signatures
// ---------------------------------------------------------------------------

/**
 * The value of `Accept-Signature` that asks for signatures (RFC 9421 section 5.1).
 *
 * @category accept-signature
 * @since 0.1.0
 */
export const acceptSignature = (
  requests: ReadonlyArray<SignatureRequest>
): Effect.Effect<string, HttpSignatureInvalid> => attempt(() => AcceptSignature.write(requests))

/**
 * The signatures that a message asks for: none where it has no `Accept-Signature`.
 *
 * @category accept-signature
 * @since 0.1.0
 */
export const parseAcceptSignature = (
  message: HttpMessage
): Effect.Effect<ReadonlyArray<SignatureRequest>, HttpSignatureInvalid> => attempt(() => AcceptSignature.read(message))

/**
 * Signs a message as it was asked for (RFC 9421 section 5.2), whole or not at all.
 *
 * **Details**
 *
 * The other side asks; `allowed` and `tags` say what this signer is willing to
 * sign. Fails with `NotFulfilled` for anything else, and for a key or an algorithm
 * that is not the Signer's.
 *
 * @category accept-signature
 * @since 0.1.0
 */
export const fulfill = <M extends HttpMessage>(
  message: M,
  request: SignatureRequest,
  options: FulfillOptions & Pick<SignOptions, "expiresIn" | "keyId" | "fieldTypes" | "purpose">
): Effect.Effect<Signed<M>, SignerError | HttpSignatureInvalid, Signer.Signer> =>
  Signer.Signer.use(
    Effect.fnUntraced(function* (signer) {
      yield* attempt(() => {
        AcceptSignature.checkWilling(request, options)
        if (request.alg !== undefined && algorithmOf(request.alg) !== signer.algorithm) {
          refuse("NotFulfilled", "the algorithm that is asked for is not that of the key")
        }
        if (request.expires === true && options.expiresIn === undefined) {
          refuse("NotFulfilled", "the signature must say when it expires: state expiresIn")
        }
      })
      const { expiresIn, fieldTypes, purpose } = options
      const keyId = options.keyId ?? PublicKey.thumbprint(yield* signer.publicKey())
      if (request.keyId !== undefined && request.keyId !== keyId) {
        return yield* attempt(() => refuse("NotFulfilled", "the key that is asked for is not this one"))
      }
      const { components, label, nonce, tag } = request
      return yield* signWithSigner(signer, message, {
        components,
        label,
        nonce,
        tag,
        keyId: options.keyId,
        alg: request.alg !== undefined,
        expiresIn,
        fieldTypes,
        purpose
      })
    })
  )

// ---------------------------------------------------------------------------
// explaining
// ---------------------------------------------------------------------------

/**
 * What a signature signs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Explanation {
  readonly label: string
  /** The signature base, as this side computes it. It holds no secret, but whatever the covered fields hold. */
  readonly base: string
  /** Where it differs first from what the other side signed: the line, from 1, and what stands there. */
  readonly difference:
    | { readonly line: number; readonly ours: string | undefined; readonly theirs: string | undefined }
    | undefined
}

/**
 * Shows what a signature of a message signs and, next to what the other side says
 * that it signed, the first line that differs. It verifies nothing.
 *
 * @category explaining
 * @since 0.1.0
 */
export const explain = (
  message: HttpMessage,
  options: {
    /** Which signature. Default: the first. */
    readonly label?: string | undefined
    /** The signature base of the other side. */
    readonly theirs?: string | undefined
    readonly fieldTypes?: FieldTypes | undefined
  } = {}
): Effect.Effect<Explanation, HttpSignatureInvalid> =>
  attempt(() => {
    const found = SignatureFields.read(message, "either").find(
      ({ label }) => options.label === undefined || label === options.label
    )
    if (found === undefined) return refuse("NoSignature", "the message has none, or none with this label")
    const base = SignatureBase.build(readerOf(message, options.fieldTypes), found.input).text
    return { label: found.label, base, difference: differenceOf(base, options.theirs) }
  })

const differenceOf = (base: string, other: string | undefined): Explanation["difference"] => {
  if (other === undefined || other === base) return undefined
  const ours = base.split("\n")
  const theirs = other.split("\n")
  let line = 0
  while (ours[line] === theirs[line]) line++
  return { line: line + 1, ours: ours[line], theirs: theirs[line] }
}
