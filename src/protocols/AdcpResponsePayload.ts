/**
 * Signed answers of AdCP brand agents: the JWS in `signed_response` of
 * `verify_brand_claim` and `verify_brand_claims`, bound to the request that they
 * answer.
 *
 * **Details**
 *
 * - The signature is over the canonical JSON (RFC 8785) of the payload, which stands
 *   beside it as an object. `typ` is `adcp-response-payload+jws`.
 * - The payload holds the task, the brand, the agent, the hash of the request and of
 *   who made it, and the answer. {@link verify} compares each with what the caller
 *   knows: nothing of it is taken from the answer.
 * - Keys come from `Adcp.AdcpKeys`, and are for `response-signing`.
 *
 * **Gotchas**
 *
 * A signed answer says which agent gave it. Whether that agent speaks for the brand is
 * in the `brand.json` of the brand: without a look at it, the answer changes no trust.
 *
 * Other tasks have no signed answers: AdCP 3 has a closed list.
 *
 * **Example** (Signing an answer, and verifying it)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LocalSigner, PrivateKey, Signer } from "effect-signer"
 * import * as Adcp from "effect-signer/Adcp"
 * import * as AdcpResponsePayload from "effect-signer/AdcpResponsePayload"
 * import * as StaticRevocationStore from "effect-signer/StaticRevocationStore"
 *
 * const binding: AdcpResponsePayload.Binding = {
 *   task: "verify_brand_claim",
 *   brandDomain: "acme.example",
 *   agentUrl: "https://brand.acme.example/agent",
 *   callerIdentity: "signed-agent-url:https://buyer.example/agent",
 *   request: { claim_type: "property", value: "shop.example" }
 * }
 *
 * const program = Effect.gen(function*() {
 *   const signer = yield* Signer.Signer
 *   const answer = { verdict: "owned" }
 *   const signed_response = yield* AdcpResponsePayload.sign(answer, binding)
 *   const body = JSON.stringify({ ...answer, signed_response })
 *
 *   const jwk = Adcp.publicJwk(yield* signer.publicKey(), { adcpUse: "response-signing" })
 *   const { response } = yield* AdcpResponsePayload.verify(body, binding).pipe(
 *     Effect.provide(Layer.merge(Adcp.layerJwks({ keys: [jwk] }), StaticRevocationStore.layer({ keyIds: [] })))
 *   )
 *   return response
 * })
 *
 * const SignerLive = LocalSigner.layer({ privateKey: PrivateKey.generate("Ed25519"), purpose: "response-signing" })
 *
 * const result = Effect.runPromise(Effect.provide(program, SignerLive))
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Base64Url from "../schemas/Base64Url.ts"
import * as Jcs from "../schemas/Jcs.ts"
import type { KeyRevoked, RevocationStale } from "../schemas/KeyResolverError.ts"
import { KeyUnknown, shownKeyId } from "../schemas/KeyResolverError.ts"
import { Malformed } from "../schemas/Malformed.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import * as StrictJson from "../schemas/StrictJson.ts"
import * as KeyResolver from "../services/KeyResolver.ts"
import { RevocationStore } from "../services/RevocationStore.ts"
import * as Signer from "../services/Signer.ts"
import { publicKeyFor } from "./adcp/AdcpKeyCheck.ts"
import { AdcpKeys, type AdcpKeysService } from "./adcp/AdcpKeys.ts"
import * as Jws from "./Jws.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What both sides know of an answer, each for itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface Binding {
  readonly task: "verify_brand_claim" | "verify_brand_claims"
  /** The brand that is asked about, as the server resolved it: not a copy of what the request says. */
  readonly brandDomain: string
  /** The agent that answers: the canonical `url` of its entry in `brand.json`. */
  readonly agentUrl: string
  /** Who asks, as it was authenticated: `signed-agent-url:...`, `api-client-id:...`, `mtls-san:...`, or `null`. */
  readonly callerIdentity: string | null
  /** The request of the task. */
  readonly request: Schema.JsonObject
}

/**
 * The member `signed_response` of an answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface SignedResponse {
  readonly protected: string
  readonly payload: Schema.JsonObject
  readonly signature: string
}

/**
 * An answer that its agent signed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verified {
  /** The answer: what is signed, not what stands beside it. */
  readonly response: Schema.JsonObject
  readonly keyId: string
  /** The agent whose key it is, where its keys say so. */
  readonly agentUrl: string | undefined
  /** Seconds since 1970. */
  readonly issuedAt: number
  readonly expiresAt: number
}

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * Why a signed answer is refused.
 *
 * **Details**
 *
 * | reason | when |
 * | --- | --- |
 * | `Malformed` | no JSON object with each member once, or no `signed_response` as it should be |
 * | `HeaderInvalid` | another `typ`, an algorithm that AdCP does not have, no `kid`, or more than that |
 * | `TypeMismatch`, `TaskMismatch` | the payload is one of something else |
 * | `AgentMismatch` | it is by another agent than was asked |
 * | `Expired`, `NotYetValid` | its time is over, or has not come |
 * | `RequestHashMismatch` | it answers another request, or somebody else |
 * | `TenantMismatch` | it speaks of another brand |
 * | `Inconsistent` | what stands beside the signed answer says something else |
 *
 * @category errors
 * @since 0.1.0
 */
export const ResponseReason = Schema.Literals([
  "Malformed",
  "HeaderInvalid",
  "TypeMismatch",
  "TaskMismatch",
  "AgentMismatch",
  "Expired",
  "NotYetValid",
  "RequestHashMismatch",
  "TenantMismatch",
  "Inconsistent"
])

/**
 * The type of {@link ResponseReason}.
 *
 * @category errors
 * @since 0.1.0
 */
export type ResponseReason = typeof ResponseReason.Type

const codes: { readonly [reason in ResponseReason]?: string } = {
  Expired: "SIGNED_RESPONSE_ENVELOPE_EXPIRED",
  RequestHashMismatch: "SIGNED_RESPONSE_REQUEST_HASH_MISMATCH",
  TenantMismatch: "SIGNED_RESPONSE_TENANT_MISMATCH"
}

/**
 * A signed answer that is refused. It holds nothing of the answer.
 *
 * @category errors
 * @since 0.1.0
 */
export class ResponsePayloadInvalid extends Schema.TaggedError<ResponsePayloadInvalid>(
  "effect-signer/ResponsePayloadInvalid"
)("ResponsePayloadInvalid", { reason: ResponseReason, problem: Schema.String }) {
  /** The code that AdCP has for it; `undefined` where it has none. */
  get code(): string | undefined {
    return codes[this.reason]
  }

  override get message() {
    return `ResponsePayloadInvalid: ${this.reason}: ${this.problem}`
  }
}

const refuse = (reason: ResponseReason, problem: string) => Effect.fail(new ResponsePayloadInvalid({ reason, problem }))

// ---------------------------------------------------------------------------
// signing
// ---------------------------------------------------------------------------

const typ = "adcp-response-payload+jws"
const purpose = "response-signing"

/** Algorithms by their names in JOSE, as AdCP has them. */
const algorithms: ReadonlyMap<unknown, SignatureAlgorithm> = new Map([
  ["EdDSA", "Ed25519"],
  ["ES256", "ES256"]
])

/**
 * The hash by which an answer is bound to its request: `sha256:` and base64url.
 *
 * @category signing
 * @since 0.1.0
 */
export const requestHash = (binding: Binding): Effect.Effect<string, Jcs.JcsInvalid> => {
  const { agentUrl, brandDomain, callerIdentity, request, task } = binding
  return Effect.map(
    Jcs.sha256({ task, brand_domain: brandDomain, agent_url: agentUrl, caller_identity: callerIdentity, request }),
    (hash) => `sha256:${Base64Url.encode(hash)}`
  )
}

const maxLifetime = Duration.days(366)

/** Bytes of a payload in its canonical form, at most: what `Jws` reads has base64 and a header beside. */
const maxLength = 768_000

const tooLong = `longer than ${maxLength} bytes`

/**
 * Signs an answer: what to send as `signed_response`, beside its members.
 *
 * **Details**
 *
 * The Signer must have the purpose `response-signing`, and one of the two algorithms of
 * AdCP. The payload is 768,000 bytes at most.
 *
 * @category signing
 * @since 0.1.0
 */
export const sign = Effect.fnUntraced(function* (
  response: Schema.JsonObject,
  binding: Binding,
  options: {
    /** `kid` of the published JWK. Default: the RFC 7638 thumbprint of the key that signs. */
    readonly keyId?: string | undefined
    /** How long the answer counts. Default 5 minutes. */
    readonly expiresIn?: Duration.Input | undefined
  } = {}
): Effect.fn.Return<SignedResponse, SignerError | Jcs.JcsInvalid, Signer.Signer> {
  const invalid = (field: string, problem: string) => InvalidConfiguration.of({ operation: "sign", field, problem })
  const signer = yield* Signer.Signer
  if (![...algorithms.values()].includes(signer.algorithm)) {
    return yield* invalid("algorithm", `must be one of ${[...algorithms.values()].join(", ")}`)
  }
  const lifetime = Option.getOrUndefined(Duration.fromInput(options.expiresIn ?? "5 minutes"))
  if (lifetime === undefined || !Duration.between(lifetime, { minimum: Duration.seconds(1), maximum: maxLifetime })) {
    return yield* invalid("expiresIn", "must be from 1 second to a year")
  }
  const iat = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  const { agentUrl, brandDomain, task } = binding
  const payload = {
    typ,
    task,
    brand_domain: brandDomain,
    agent_url: agentUrl,
    request_hash: yield* requestHash(binding),
    iat,
    exp: iat + Math.floor(Duration.toSeconds(lifetime)),
    response
  }
  const text = yield* Jcs.canonicalize(payload)
  const bytes = new TextEncoder().encode(text)
  if (bytes.length > maxLength) return yield* invalid("response", tooLong)
  const token = yield* Jws.sign(bytes, { typ, kid: options.keyId, purpose })
  const [header = "", , signature = ""] = token.split(".")
  // What was signed, not what the caller may change meanwhile
  return { protected: header, payload: JSON.parse(text) as Schema.JsonObject, signature }
})

// ---------------------------------------------------------------------------
// verifying
// ---------------------------------------------------------------------------

/**
 * What verifying a signed answer can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export type VerifyError = ResponsePayloadInvalid | Jcs.JcsInvalid | Jws.VerifyError | KeyRevoked | RevocationStale

/** Of the protocol, not of the task: they stand outside of what is signed. */
const envelope: ReadonlySet<string> = new Set([
  "signed_response",
  "status",
  "context_id",
  "task_id",
  "message",
  "timestamp",
  "replayed",
  "adcp_version",
  "adcp_major_version"
])

const read = (body: string | Uint8Array): StrictJson.JsonRecord | undefined => {
  try {
    const value = typeof body === "string" ? StrictJson.parse(body, "body") : StrictJson.parseBytes(body, "body")
    return StrictJson.isRecord(value) ? value : undefined
  } catch (error) {
    if (error instanceof Malformed) return undefined
    throw error
  }
}

/** The keys of an agent as `Jws` asks for them: for answers only. */
const resolverOf = (keys: AdcpKeysService, algorithm: SignatureAlgorithm) =>
  KeyResolver.make(({ keyId = "" }) =>
    Effect.flatMap(keys.resolve(keyId), ({ agentUrl, jwk }) =>
      jwk["kid"] === keyId
        ? publicKeyFor(jwk, algorithm, [purpose]).pipe(
            Effect.mapBoth({
              onFailure: () => new KeyUnknown({ keyId: shownKeyId(keyId) }),
              onSuccess: (publicKey) => ({ publicKey, keyId, owner: agentUrl })
            })
          )
        : Effect.fail(new KeyUnknown({ keyId: shownKeyId(keyId) }))
    )
  )

const isSeconds = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/**
 * Verifies the signed answer in the body of a response.
 *
 * **Details**
 *
 * The steps of AdCP in their order: form, header, key, signature, kind, task, time,
 * request, brand, and that nothing beside the signed answer contradicts it. A key for
 * something else than `response-signing` is `KeyUnknown`.
 *
 * **Gotchas**
 *
 * Give the body as it was received, as text or bytes: of a parsed one nobody can tell
 * whether a member stood in it twice. With `callerIdentity: null` the answer may have
 * been one to somebody else.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verify = Effect.fnUntraced(function* (
  body: string | Uint8Array,
  binding: Binding,
  options: {
    /** How far the clocks may differ. Default, and at most, 60 seconds. */
    readonly skew?: Duration.Input | undefined
  } = {}
): Effect.fn.Return<Verified, VerifyError | InvalidConfiguration, AdcpKeys | RevocationStore> {
  const skew = Option.getOrUndefined(Duration.fromInput(options.skew ?? "60 seconds"))
  if (skew === undefined || !Duration.between(skew, { minimum: Duration.zero, maximum: Duration.seconds(60) })) {
    const problem = "must be from 0 to 60 seconds"
    return yield* InvalidConfiguration.of({ operation: "verify", field: "skew", problem })
  }
  // Step 1
  const outer = read(body)
  const signed = outer?.["signed_response"]
  if (outer === undefined || !StrictJson.isRecord(signed)) {
    return yield* refuse("Malformed", "there is no signed_response in a JSON object with each member once")
  }
  const { payload, protected: header, signature } = signed
  if (typeof header !== "string" || typeof signature !== "string" || !StrictJson.isRecord(payload)) {
    return yield* refuse("Malformed", "protected and signature must be text, payload an object")
  }
  const canonical = yield* Jcs.canonicalBytes(payload)
  if (canonical.length > maxLength) return yield* refuse("Malformed", `the payload is ${tooLong}`)
  // Steps 2 to 4
  const { keyId, owner } = yield* verifySignature(header, canonical, signature)
  const revocation = yield* RevocationStore
  yield* revocation.check({ keyId, issuer: owner })
  // Steps 5 and 6
  if (payload["typ"] !== typ) return yield* refuse("TypeMismatch", `the typ of the payload is not ${typ}`)
  if (payload["task"] !== binding.task) return yield* refuse("TaskMismatch", "it answers another task")
  // Step 7
  const { exp, iat, response } = payload
  if (!isSeconds(exp) || !isSeconds(iat) || exp <= iat || !StrictJson.isRecord(response)) {
    return yield* refuse("Malformed", "iat, exp or response of the payload is not as it should be")
  }
  const now = (yield* Clock.currentTimeMillis) / 1000
  const tolerance = Duration.toSeconds(skew)
  if (exp <= now - tolerance) return yield* refuse("Expired", "its time is over")
  if (iat > now + tolerance) return yield* refuse("NotYetValid", "its time has not come")
  // Step 8
  if (payload["request_hash"] !== (yield* requestHash(binding))) {
    return yield* refuse("RequestHashMismatch", "it answers another request, or somebody else")
  }
  // Step 9
  if (payload["brand_domain"] !== binding.brandDomain) {
    return yield* refuse("TenantMismatch", "it speaks of another brand")
  }
  if (payload["agent_url"] !== binding.agentUrl || (owner !== undefined && owner !== binding.agentUrl)) {
    return yield* refuse("AgentMismatch", "it is by another agent")
  }
  // Step 10
  for (const [name, value] of Object.entries(outer)) {
    if (envelope.has(name)) continue
    const isSame =
      Object.hasOwn(response, name) && (yield* Jcs.canonicalize(value)) === (yield* Jcs.canonicalize(response[name]))
    if (!isSame) return yield* refuse("Inconsistent", "a member beside the signed answer is not in it, or another")
  }
  return { response: response as Schema.JsonObject, keyId, agentUrl: owner, issuedAt: iat, expiresAt: exp }
})

const verifySignature = Effect.fnUntraced(function* (
  header: string,
  payload: Uint8Array,
  signature: string
): Effect.fn.Return<KeyResolver.ResolvedKey, VerifyError, AdcpKeys> {
  const bytes = Base64Url.decode(header)
  const { alg, kid, typ: type, ...others } = (bytes && read(bytes)) ?? {}
  const algorithm = algorithms.get(alg)
  if (algorithm === undefined) return yield* refuse("HeaderInvalid", `"alg" is not one of AdCP`)
  if (typeof kid !== "string" || kid === "") return yield* refuse("HeaderInvalid", `there is no "kid"`)
  // Byte for byte: JOSE itself would take other spellings
  if (type !== typ) return yield* refuse("HeaderInvalid", `"typ" is not ${typ}`)
  if (Object.keys(others).length > 0) return yield* refuse("HeaderInvalid", "a parameter beside alg, kid and typ")
  const { key } = yield* Jws.verify(`${header}.${Base64Url.encode(payload)}.${signature}`).pipe(
    Effect.provideService(KeyResolver.KeyResolver, resolverOf(yield* AdcpKeys, algorithm))
  )
  return key
})
