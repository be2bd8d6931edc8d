/**
 * Signed messages of AdCP (Ad Context Protocol): verifies requests, webhooks and
 * responses by the checklist of its specification, with its error codes.
 *
 * **Details**
 *
 * - The 14 steps in their order, the first that fails decides: form, parameters, tag,
 *   algorithm, time, what is covered, key and its purpose, revocation, cap, signature,
 *   digest, replay, and a body that has one meaning.
 * - The target is compared in its canonical form ({@link canonicalUri}), and with the
 *   `Host` that came with it.
 * - Keys come from {@link AdcpKeys}, with all members of their JWK (`RemoteAdcpKeys`
 *   reads what an agent publishes); nonces from a `ReplayStore`, revocations from a
 *   `RevocationStore`.
 * - The version is a profile of `HttpSignatureProfile`: `adcp30`, `adcp31`, `adcp32`.
 *
 * **Gotchas**
 *
 * A verified message says which agent it is from, and no more: whether that agent may
 * spend this brand's money is for the application to find out.
 *
 * **Example** (Verifying a request)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import * as Adcp from "effect-signer/Adcp"
 * import * as HttpMessage from "effect-signer/HttpMessage"
 * import * as HttpSignatureProfile from "effect-signer/HttpSignatureProfile"
 * import * as MemoryReplayStore from "effect-signer/MemoryReplayStore"
 * import * as StaticRevocationStore from "effect-signer/StaticRevocationStore"
 *
 * const program = Effect.gen(function*() {
 *   const capability = yield* Adcp.parseCapability({
 *     request_signing: { supported: true, covers_content_digest: "required", required_for: ["create_media_buy"] }
 *   })
 *   const request = HttpMessage.request({
 *     method: "POST",
 *     target: "https://seller.example.com/adcp/create_media_buy",
 *     fields: [["Content-Type", "application/json"]],
 *     body: new TextEncoder().encode(`{"plan_id":"plan_001"}`)
 *   })
 *   return yield* Adcp.verifyRequest(request, { profile: HttpSignatureProfile.adcp32, capability })
 * }).pipe(Effect.catchTag("AdcpSignatureError", (error) => Effect.succeed(error.wwwAuthenticate)))
 *
 * const Live = Layer.mergeAll(
 *   Adcp.layerJwks({ keys: [] }),
 *   MemoryReplayStore.layer(),
 *   StaticRevocationStore.layer({ keyIds: [] })
 * )
 *
 * // Signature error="request_signature_required"
 * const result = Effect.runPromise(Effect.provide(program, Live))
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { HttpRequest } from "./HttpMessage.ts"
import * as TargetUri from "./adcp/TargetUri.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  RequestSigning,
  /**
   * @category models
   * @since 0.1.0
   */
  SigningMode
} from "./adcp/AdcpCapability.ts"

export {
  /**
   * @category capabilities
   * @since 0.1.0
   */
  modeOf,
  /**
   * @category capabilities
   * @since 0.1.0
   */
  parseCapability
} from "./adcp/AdcpCapability.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  ClientOptions
} from "./adcp/AdcpClient.ts"

export {
  /**
   * @category capabilities
   * @since 0.1.0
   */
  cachedCapability,
  /**
   * @category clients
   * @since 0.1.0
   */
  client,
  /**
   * @category capabilities
   * @since 0.1.0
   */
  requestMode
} from "./adcp/AdcpClient.ts"

export type {
  /**
   * @category errors
   * @since 0.1.0
   */
  AdcpErrorCode,
  /**
   * @category errors
   * @since 0.1.0
   */
  AdcpReason
} from "./adcp/AdcpError.ts"

export {
  /**
   * @category errors
   * @since 0.1.0
   */
  AdcpSignatureError
} from "./adcp/AdcpError.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  AdcpJwk
} from "./adcp/AdcpJwk.ts"

export {
  /**
   * @category schemas
   * @since 0.1.0
   */
  AdcpUse,
  /**
   * @category keys
   * @since 0.1.0
   */
  publicJwk
} from "./adcp/AdcpJwk.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  AdcpKey,
  /**
   * @category errors
   * @since 0.1.0
   */
  AdcpKeysError,
  /**
   * @category models
   * @since 0.1.0
   */
  AdcpKeysOptions,
  /**
   * @category models
   * @since 0.1.0
   */
  AdcpKeysService,
  /**
   * @category models
   * @since 0.1.0
   */
  AdcpLoaderOptions
} from "./adcp/AdcpKeys.ts"

export {
  /**
   * @category services
   * @since 0.1.0
   */
  AdcpKeys,
  /**
   * @category keys
   * @since 0.1.0
   */
  allKeys,
  /**
   * @category keys
   * @since 0.1.0
   */
  keysFromJwks,
  /**
   * @category keys
   * @since 0.1.0
   */
  keysFromLoader,
  /**
   * @category layers
   * @since 0.1.0
   */
  layerJwks,
  /**
   * @category layers
   * @since 0.1.0
   */
  layerLoader
} from "./adcp/AdcpKeys.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  AdcpOperation
} from "./adcp/AdcpOperation.ts"

export type {
  /**
   * @category errors
   * @since 0.1.0
   */
  SignFailure,
  /**
   * @category models
   * @since 0.1.0
   */
  SignMessageOptions,
  /**
   * @category models
   * @since 0.1.0
   */
  SignRequestOptions
} from "./adcp/AdcpSign.ts"

export {
  /**
   * @category signing
   * @since 0.1.0
   */
  signRequest,
  /**
   * @category signing
   * @since 0.1.0
   */
  signResponse,
  /**
   * @category signing
   * @since 0.1.0
   */
  signWebhook
} from "./adcp/AdcpSign.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  Unsigned,
  /**
   * @category models
   * @since 0.1.0
   */
  VerifiedSigner,
  /**
   * @category models
   * @since 0.1.0
   */
  VerifyOptions,
  /**
   * @category models
   * @since 0.1.0
   */
  VerifyRequestOptions,
  /**
   * @category models
   * @since 0.1.0
   */
  VerifyServices
} from "./adcp/AdcpVerify.ts"

export {
  /**
   * @category capabilities
   * @since 0.1.0
   */
  operationOf,
  /**
   * @category verifying
   * @since 0.1.0
   */
  verifyRequest,
  /**
   * @category verifying
   * @since 0.1.0
   */
  verifyResponse,
  /**
   * @category verifying
   * @since 0.1.0
   */
  verifyWebhook
} from "./adcp/AdcpVerify.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  RequestDecision,
  /**
   * @category models
   * @since 0.1.0
   */
  RequestFacts
} from "./adcp/BodyIntegrity.ts"

export {
  /**
   * @category capabilities
   * @since 0.1.0
   */
  decide
} from "./adcp/BodyIntegrity.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  TargetUri
} from "./adcp/TargetUri.ts"

export {
  /**
   * @category errors
   * @since 0.1.0
   */
  TargetUriMalformed
} from "./adcp/TargetUri.ts"

// ---------------------------------------------------------------------------
// targets
// ---------------------------------------------------------------------------

/**
 * The one form in which AdCP compares a URL, and signs it.
 *
 * **Details**
 *
 * Scheme and host in lower case, IDN as A-labels, without a root dot, user
 * information, default port and fragment; dot segments resolved, empty segments kept;
 * `%7E` decoded, `%2f` as `%2F`; the query byte for byte. What has no such form is
 * {@link TargetUriMalformed}: also an encoded dot segment, a backslash, and a host
 * with an underscore.
 *
 * @category targets
 * @since 0.1.0
 */
export const canonicalUri = (url: string): Effect.Effect<TargetUri.TargetUri, TargetUri.TargetUriMalformed> =>
  Effect.suspend(() => Effect.fromResult(TargetUri.parse(url)))

/**
 * A request with its target in canonical form: what a signer of AdCP signs, and
 * sends.
 *
 * @category targets
 * @since 0.1.0
 */
export const canonicalRequest = (request: HttpRequest): Effect.Effect<HttpRequest, TargetUri.TargetUriMalformed> =>
  Effect.suspend(() =>
    Effect.map(Effect.fromResult(TargetUri.ofRequest(request)), (target) => TargetUri.withTarget(request, target))
  )
