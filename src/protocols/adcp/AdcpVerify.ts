/**
 * Verifies messages of AdCP: requests, webhooks and responses.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import { ReplayStore } from "../../services/ReplayStore.ts"
import type { ReplayStoreUnavailable } from "../../services/ReplayStore.ts"
import { RevocationStore } from "../../services/RevocationStore.ts"
import { mayHaveContent } from "../http/MessageContent.ts"
import type { HttpRequest, HttpResponse } from "../HttpMessage.ts"
import type { AdcpProfiles, DigestPolicy, Profile } from "../HttpSignatureProfile.ts"
import type { RequestSigning, SigningMode } from "./AdcpCapability.ts"
import { modeOf } from "./AdcpCapability.ts"
import type { Checklist, Passed } from "./AdcpChecklist.ts"
import * as AdcpChecklist from "./AdcpChecklist.ts"
import type { AdcpMessageKind, AdcpSignatureError, Refusals } from "./AdcpError.ts"
import { refusals } from "./AdcpError.ts"
import { AdcpKeys } from "./AdcpKeys.ts"
import type { AdcpOperation, Inspected } from "./AdcpOperation.ts"
import { allIn, carriesWebhookCredentials, inspect, resolve } from "./AdcpOperation.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * Who signed a message, and what of it is signed.
 *
 * **Gotchas**
 *
 * It says which agent it is from. Whether that agent may do what it asks for is a
 * question of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifiedSigner extends Passed {
  readonly _tag: "Signed"
}

/**
 * A request that is not signed, and need not be: nothing is known of who sent it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Unsigned {
  readonly _tag: "Unsigned"
  /** What was wrong with its signature, where the capability says to warn only. Report it. */
  readonly warning: AdcpSignatureError | undefined
}

/**
 * Options of {@link verifyRequest}.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyRequestOptions {
  /** Which version of AdCP the endpoint speaks. Never guessed from a message. */
  readonly profile: AdcpProfiles
  /** What the verifier says of itself in `get_adcp_capabilities`. */
  readonly capability: RequestSigning
  /** What the request asks for, as the application routes it. Default: as its path and its body say. */
  readonly operation?: AdcpOperation | undefined
  /** Whether the caller has shown another credential that is accepted for this operation. Default `false`. */
  readonly isAuthenticatedOtherwise?: boolean | undefined
}

/**
 * Options of {@link verifyWebhook} and {@link verifyResponse}.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyOptions {
  /** Which version of AdCP the other side speaks. Never guessed from a message. */
  readonly profile: AdcpProfiles
}

/**
 * What verifying needs: keys, and what must be remembered.
 *
 * @category models
 * @since 0.1.0
 */
export type VerifyServices = AdcpKeys | ReplayStore | RevocationStore

type Failure = AdcpSignatureError | ReplayStoreUnavailable

// ---------------------------------------------------------------------------
// verifying
// ---------------------------------------------------------------------------

const checklistOf = (
  kind: AdcpMessageKind,
  profile: Profile,
  contentDigest: DigestPolicy
): Effect.Effect<Checklist, never, VerifyServices> =>
  Effect.gen(function* () {
    const keys = yield* AdcpKeys
    const replay = yield* ReplayStore
    const revocation = yield* RevocationStore
    return { profile, contentDigest, refusals: refusals(kind), keys, replay, revocation }
  })

const signed = (passed: Passed): VerifiedSigner => ({ _tag: "Signed", ...passed })

const half = "one of Signature and Signature-Input is there without the other"

/** The policy that counts: that of the profile is stricter than any capability. */
const digestPolicy = (profile: Profile, capability: RequestSigning): DigestPolicy =>
  profile.contentDigest === "either" ? capability.coversContentDigest : profile.contentDigest

/** From the strictest. */
const modes: ReadonlyArray<SigningMode> = ["required", "warn", "supported"]

const strictest = (found: ReadonlyArray<SigningMode>): SigningMode =>
  modes.find((mode) => found.includes(mode)) ?? "none"

/** What the verifier asks of a request, and whether it can tell which operation it is. */
interface Asked {
  readonly mode: SigningMode
  /** Why it cannot. */
  readonly problem: string | undefined
}

const askedOf = (request: HttpRequest, { capability, operation }: VerifyRequestOptions, body: Inspected): Asked => {
  const found = operation === undefined ? allIn(request.path, body) : { operations: [operation], problem: undefined }
  const mode = strictest(found.operations.map((one) => modeOf(capability, one)))
  return { mode, problem: isBypassable(capability) ? found.problem : undefined }
}

/** Whether there is an operation that may only be asked for with a signature. */
const isBypassable = ({ protocolMethodsRequiredFor, requiredFor }: RequestSigning): boolean =>
  requiredFor.length + protocolMethodsRequiredFor.length > 0

/** Why a request without a signature is refused, or nothing. */
const refusalOf = (
  { mode, problem }: Asked,
  { capability, isAuthenticatedOtherwise }: VerifyRequestOptions,
  body: Inspected,
  { signature, unresolvable }: Refusals,
  length: number
): AdcpSignatureError | undefined => {
  if (mode === "required" && isAuthenticatedOtherwise !== true) {
    return signature("required", "0", "the operation needs a signature")
  }
  if (problem !== undefined) return unresolvable("0", problem, length)
  // A stolen token must not redirect webhooks
  return capability.supported && carriesWebhookCredentials(body)
    ? signature("required", "0", "credentials for webhooks need a signature, and so does a body that may have some")
    : undefined
}

/**
 * Verifies a request: who signed it, or that it is not signed and need not be.
 *
 * **Details**
 *
 * The steps of the verifier checklist of AdCP, in their order; the first that fails
 * is the error. `operation` decides which list of the capability counts; where it is
 * not stated, path and body decide, and a body that two readers may route differently
 * is `request_body_malformed`. Where the list warns, a signature that is wrong makes
 * the request `Unsigned`, with a warning; one that cannot be read is refused always. A
 * nonce counts once for each key and target, until its signature has expired.
 *
 * **Gotchas**
 *
 * Give the request as it was received: its own path, its body byte for byte, and the
 * `Host` that the client sent; a proxy in front must pass it on, or every signature is
 * `request_target_uri_malformed`. `Unsigned` authenticates nobody: look at the other
 * credential yourself.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verifyRequest = Effect.fnUntraced(function* (
  request: HttpRequest,
  options: VerifyRequestOptions
): Effect.fn.Return<VerifiedSigner | Unsigned, Failure, VerifyServices> {
  const profile = options.profile.request
  const checklist = yield* checklistOf("request", profile, digestPolicy(profile, options.capability))
  const found = AdcpChecklist.signatureOf(request)
  if (found === "half") return yield* checklist.refusals.signature("header_malformed", "1", half)
  const body = inspectOf(request, options.isAuthenticatedOtherwise === true ? Infinity : undefined)
  const length = request.body?.length ?? 0
  const asked = askedOf(request, options, body)
  if (found === "none") {
    const refusal = refusalOf(asked, options, body, checklist.refusals, length)
    if (refusal !== undefined) return yield* refusal
    return { _tag: "Unsigned", warning: undefined }
  }
  const verified: Effect.Effect<VerifiedSigner | Unsigned, Failure> = Effect.map(
    AdcpChecklist.run(request, checklist),
    signed
  )
  const unambiguous =
    asked.problem === undefined
      ? verified
      : Effect.flatMap(verified, (verified) => {
          // Now that it is known who sent it, also where it is long
          const { problem } = askedOf(request, options, inspectOf(request, Infinity))
          return problem === undefined
            ? Effect.succeed(verified)
            : Effect.fail(checklist.refusals.unresolvable("14", problem, length))
        })
  if (asked.mode !== "warn" || carriesWebhookCredentials(body)) return yield* unambiguous
  return yield* Effect.catchTag(
    unambiguous,
    "AdcpSignatureError",
    (error): Effect.Effect<Unsigned, AdcpSignatureError> =>
      isRefusedAlways(error) ? Effect.fail(error) : Effect.succeed({ _tag: "Unsigned", warning: error })
  )
})

/**
 * Which operation a request asks for.
 *
 * **Details**
 *
 * A JSON-RPC message says so itself: the tool of MCP's `tools/call`, the skill in the
 * one data part of A2A's `message/send` and `SendMessage`, and else its method. Any
 * other request is named by the last segment of its path, as a router may read it:
 * decoded, in any letter case, with a slash behind it. Fails with
 * `request_body_malformed` where two readers may see two operations: a member twice or
 * in another letter case, a batch, several data parts, JSON that is none or is in
 * another charset.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const operationOf = (request: HttpRequest): Effect.Effect<AdcpOperation, AdcpSignatureError> =>
  Effect.suspend(() => {
    const resolved = resolve(request)
    return resolved._tag === "Operation"
      ? Effect.succeed(resolved.operation)
      : Effect.fail(refusals("request").unresolvable("0", resolved.problem, request.body?.length ?? 0))
  })

/** A body that nobody has read may be anything. */
const inspectOf = (request: HttpRequest, most?: number | undefined): Inspected =>
  request.body === undefined && mayHaveContent(request) ? { _tag: "Ambiguous" } : inspect(request, most)

/** What cannot be read, and what has two meanings, is refused whatever the list says. */
const isRefusedAlways = ({ step }: AdcpSignatureError): boolean => step === "1" || step === "14"

/**
 * Verifies a webhook: who signed it.
 *
 * **Details**
 *
 * As {@link verifyRequest}, with codes of its own, and without a choice: it is signed
 * and its content is covered. One with the headers of the older HMAC scheme is
 * `webhook_mode_mismatch`: which of the two is used was agreed when it was
 * registered.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verifyWebhook = Effect.fnUntraced(function* (
  request: HttpRequest,
  options: VerifyOptions
): Effect.fn.Return<VerifiedSigner, Failure, VerifyServices> {
  const profile = options.profile.webhook
  const checklist = yield* checklistOf("webhook", profile, profile.contentDigest)
  if (request.fields.some(([name]) => name.toLowerCase() === "x-adcp-signature")) {
    return yield* checklist.refusals.mode("it has the header of the older HMAC scheme")
  }
  return yield* verifyBound(request, checklist)
})

/**
 * Verifies a response: who signed it, and that it answers this request.
 *
 * **Details**
 *
 * The request is the one that was sent, as {@link HttpResponse} holds it. AdCP does
 * not specify responses; the profile is that of its SDKs, tag
 * `adcp/response-signing/v1`.
 *
 * **Gotchas**
 *
 * AdCP 3.2 lets no agent sign its responses over HTTP this way: it signs payloads, of
 * two tasks only. Use this between parties who have agreed on it.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verifyResponse = Effect.fnUntraced(function* (
  response: HttpResponse,
  options: VerifyOptions
): Effect.fn.Return<VerifiedSigner, Failure, VerifyServices> {
  const profile = options.profile.response
  return yield* verifyBound(response, yield* checklistOf("response", profile, profile.contentDigest))
})

const verifyBound = (
  message: HttpRequest | HttpResponse,
  checklist: Checklist
): Effect.Effect<VerifiedSigner, Failure> => {
  const found = AdcpChecklist.signatureOf(message)
  if (found === "none") return Effect.fail(checklist.refusals.signature("required", "0", "it is not signed"))
  return found === "half"
    ? Effect.fail(checklist.refusals.signature("header_malformed", "1", half))
    : Effect.map(AdcpChecklist.run(message, checklist), signed)
}
