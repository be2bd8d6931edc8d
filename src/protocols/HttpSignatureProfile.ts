/**
 * Profiles of HTTP message signatures (RFC 9421): what two parties have agreed to
 * cover, state and accept, as data that signer and verifier read alike.
 *
 * A profile is a plain value. Take one of these, or change one with a spread:
 * `{ ...rfc9421Strict, tag: "orders" }`.
 *
 * **Details**
 *
 * | profile | covers | for |
 * | --- | --- | --- |
 * | {@link rfc9421Strict} | method, URI, and content | your own services |
 * | {@link webBotAuth} | authority, and `Signature-Agent` | crawlers and agents that say who they are |
 * | {@link adcp30}, {@link adcp31}, {@link adcp32} | method, URI, authority, and content | requests, webhooks and responses of AdCP |
 *
 * **Gotchas**
 *
 * `verify` here checks a signature and nothing that needs a memory: replay and
 * revocation are those of `ReplayStore` and `RevocationStore`. Requests of AdCP
 * have more rules (a canonical URI, the purpose of a key, exact error codes): verify
 * them with `Adcp`, not here.
 *
 * **Example** (Signing and verifying by one profile)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LocalSigner } from "effect-signer"
 * import * as HttpMessage from "effect-signer/HttpMessage"
 * import * as HttpSignatureProfile from "effect-signer/HttpSignatureProfile"
 * import * as KeyResolver from "effect-signer/KeyResolver"
 *
 * const profile = { ...HttpSignatureProfile.rfc9421Strict, tag: "orders" }
 *
 * const program = Effect.gen(function*() {
 *   const request = HttpMessage.request({
 *     method: "POST",
 *     target: "https://api.example/orders",
 *     fields: [["Content-Type", "application/json"]],
 *     body: new TextEncoder().encode(`{"item":7}`)
 *   })
 *   const { message } = yield* HttpSignatureProfile.sign(profile, request)
 *   return yield* HttpSignatureProfile.verify(profile, message)
 * })
 *
 * const Live = KeyResolver.layerSigner().pipe(Layer.provideMerge(LocalSigner.layerGenerated("Ed25519")))
 *
 * const result = Effect.runPromise(Effect.provide(program, Live))
 * ```
 *
 * @since 0.1.0
 */
import * as Base64 from "effect/encoding/Base64"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { primitives } from "#primitives"
import * as Base64Url from "../schemas/Base64Url.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import type { Alphabet } from "../schemas/StructuredFields.ts"
import type { KeyRequest, KeyResolver } from "../services/KeyResolver.ts"
import type { ReplayStore, ReplayStoreUnavailable } from "../services/ReplayStore.ts"
import type { Signer } from "../services/Signer.ts"
import type { HttpMessage } from "./HttpMessage.ts"
import type {
  HttpSignatureInvalid,
  ParameterName,
  Policy,
  Signed,
  SignOptions,
  VerifiedMessage,
  VerifyError
} from "./HttpSignature.ts"
import * as HttpSignature from "./HttpSignature.ts"
import { mayHaveContent } from "./http/MessageContent.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What a verifier wants of the digest of the content: that it is covered, that it is
 * not, or either.
 *
 * @category models
 * @since 0.1.0
 */
export type DigestPolicy = "required" | "either" | "forbidden"

/**
 * How bytes are encoded: what is written, and what is read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Encoding {
  readonly write: Alphabet
  /** `"either"` reads both, and no value that mixes them. */
  readonly read: Alphabet | "either"
}

/**
 * A profile.
 *
 * @category models
 * @since 0.1.0
 */
export interface Profile {
  /** For people and for errors: `"adcp/3.2 request"`. */
  readonly name: string
  /** Which messages it is for. */
  readonly messages: "request" | "response"
  /** What each signature covers, in this order. */
  readonly components: ReadonlyArray<string>
  /** What it covers beside, where there is content. */
  readonly contentComponents: ReadonlyArray<string>
  /** Whether it covers `content-digest`, where there is content: after the components above. */
  readonly contentDigest: DigestPolicy
  /** Whether a signer covers it where that is open. */
  readonly coversDigest: boolean
  /** Fields that it covers where the message has them: last. */
  readonly presentComponents: ReadonlyArray<string>
  /** Exactly this tag; `undefined`: none. */
  readonly tag: string | undefined
  /** The label that is written. */
  readonly label: string
  /** Whether a verifier looks at the signature with that label only. */
  readonly isLabelFixed: boolean
  /** Parameters that must be there, beside `created`. */
  readonly parameters: ReadonlyArray<"expires" | "nonce" | "alg" | "keyid">
  /** The order in which parameters are written. A verifier takes any. */
  readonly parameterOrder: ReadonlyArray<ParameterName>
  readonly algorithms: ReadonlyArray<SignatureAlgorithm>
  /** From `created` to `expires`: what is written where a caller states nothing. */
  readonly lifetime: Duration.Input
  /** From `created` to `expires`, at most. */
  readonly maxLifetime: Duration.Input
  /** How far the clocks may differ, at both ends. */
  readonly skew: Duration.Input
  /** How a nonce is made and checked; `undefined`: none is written, and any is read. */
  readonly nonce: NonceRule | undefined
  /** How the signature is encoded. */
  readonly signature: Encoding
  /** How a digest is encoded. */
  readonly digest: Encoding
  /**
   * The purposes that a key may have: a Signer with another one, or with none, does
   * not sign. Empty: any.
   */
  readonly purposes: ReadonlyArray<string>
}

/**
 * A rule for nonces.
 *
 * @category models
 * @since 0.1.0
 */
export interface NonceRule {
  /** Random bytes of one that is made. */
  readonly bytes: number
  /** How they are written. */
  readonly alphabet: Alphabet
  /** Bytes that one that is read has at least; `undefined`: it may be any text. */
  readonly minBytes: number | undefined
}

// ---------------------------------------------------------------------------
// profiles
// ---------------------------------------------------------------------------

const standard: Encoding = { write: "base64", read: "base64" }

/**
 * For services of one's own: everything that decides what a request does is
 * covered, it is valid for a minute, and can be kept from being replayed.
 *
 * @category profiles
 * @since 0.1.0
 */
export const rfc9421Strict: Profile = {
  name: "rfc9421 strict",
  messages: "request",
  components: ["@method", "@target-uri"],
  contentComponents: ["content-type"],
  contentDigest: "required",
  coversDigest: true,
  presentComponents: ["authorization"],
  tag: undefined,
  label: "sig1",
  isLabelFixed: false,
  parameters: ["expires", "nonce", "keyid"],
  parameterOrder: ["created", "expires", "nonce", "keyid", "tag"],
  algorithms: ["Ed25519", "ES256", "ES384", "PS512", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"],
  lifetime: "1 minute",
  maxLifetime: "5 minutes",
  skew: "30 seconds",
  nonce: { bytes: 16, alphabet: "base64url", minBytes: 16 },
  signature: standard,
  digest: standard,
  purposes: []
}

/**
 * Web Bot Auth (draft-meunier-web-bot-auth-architecture): an automated client says
 * whose it is. `keyid` is the RFC 7638 thumbprint.
 *
 * **Details**
 *
 * Covers the authority, and `Signature-Agent` where the request has it. A signature
 * lives for a day at most.
 *
 * **Gotchas**
 *
 * Nothing but the authority is protected: not the path, not the method, not the
 * content. It says who asks, not what for.
 *
 * @category profiles
 * @since 0.1.0
 */
export const webBotAuth: Profile = {
  name: "web-bot-auth",
  messages: "request",
  components: ["@authority"],
  contentComponents: [],
  contentDigest: "either",
  coversDigest: false,
  presentComponents: ["signature-agent"],
  tag: "web-bot-auth",
  label: "sig1",
  isLabelFixed: false,
  parameters: ["expires", "keyid"],
  parameterOrder: ["created", "expires", "keyid", "nonce", "tag"],
  algorithms: ["Ed25519"],
  lifetime: "5 minutes",
  maxLifetime: "1 day",
  skew: "1 minute",
  nonce: { bytes: 64, alphabet: "base64", minBytes: undefined },
  signature: standard,
  digest: standard,
  purposes: []
}

/** Unpadded base64url is written; what is read may be either alphabet, not both in one value. */
const legacy: Encoding = { write: "base64url", read: "either" }

const adcp: Profile = {
  name: "adcp",
  messages: "request",
  components: ["@method", "@target-uri", "@authority"],
  contentComponents: ["content-type"],
  contentDigest: "either",
  coversDigest: true,
  presentComponents: [],
  tag: "adcp/request-signing/v1",
  label: "sig1",
  isLabelFixed: true,
  parameters: ["expires", "nonce", "keyid", "alg"],
  parameterOrder: ["created", "expires", "nonce", "keyid", "alg", "tag"],
  algorithms: ["Ed25519", "ES256"],
  lifetime: "5 minutes",
  maxLifetime: "5 minutes",
  skew: "1 minute",
  nonce: { bytes: 16, alphabet: "base64url", minBytes: 16 },
  signature: legacy,
  digest: legacy,
  purposes: ["request-signing"]
}

/** In every 3.x webhooks keep the encoding of version 1. */
const webhook: Profile = {
  ...adcp,
  name: "adcp/3.1 webhook",
  contentDigest: "required",
  tag: "adcp/webhook-signing/v1",
  // One key may serve both: the tag tells them apart
  purposes: ["request-signing", "webhook-signing"]
}

/** Signed by the agent that answers, and bound to what it was asked. */
const response: Profile = {
  ...adcp,
  name: "adcp/3 response",
  messages: "response",
  components: ["@status", "@method;req", "@authority;req", "@target-uri;req"],
  contentDigest: "required",
  tag: "adcp/response-signing/v1",
  purposes: ["response-signing"]
}

/**
 * The three kinds of messages that AdCP signs, in one version of the protocol.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdcpProfiles {
  readonly request: Profile
  readonly webhook: Profile
  readonly response: Profile
}

/**
 * AdCP 3.0: the digest of the content is up to the seller's policy; signatures are
 * unpadded base64url. A webhook needs a key of its own.
 *
 * @category profiles
 * @since 0.1.0
 */
export const adcp30: AdcpProfiles = {
  request: { ...adcp, name: "adcp/3.0 request" },
  webhook: { ...webhook, name: "adcp/3.0 webhook", purposes: ["webhook-signing"] },
  response
}

/**
 * AdCP 3.1: as 3.0, and a key for requests may sign webhooks, too.
 *
 * @category profiles
 * @since 0.1.0
 */
export const adcp31: AdcpProfiles = {
  request: { ...adcp, name: "adcp/3.1 request" },
  webhook,
  response
}

/**
 * AdCP 3.2: requests cover the digest of their content always, and everything is
 * encoded as RFC 8941 says, with no second chance.
 *
 * @category profiles
 * @since 0.1.0
 */
export const adcp32: AdcpProfiles = {
  request: { ...adcp, name: "adcp/3.2 request", contentDigest: "required", signature: standard, digest: standard },
  webhook,
  response
}

// ---------------------------------------------------------------------------
// what a message covers
// ---------------------------------------------------------------------------

/**
 * The components that a signature of this message covers by a profile, in their
 * order.
 *
 * **Details**
 *
 * `coverDigest` decides where the profile leaves it open; default: `coversDigest` of
 * the profile. A body that is not known counts as content, but for GET and HEAD.
 *
 * @category combinators
 * @since 0.1.0
 */
export const components = (
  profile: Profile,
  message: HttpMessage,
  options: { readonly coverDigest?: boolean | undefined } = {}
): ReadonlyArray<string> => {
  const { contentDigest } = profile
  const withDigest =
    contentDigest === "either" ? (options.coverDigest ?? profile.coversDigest) : contentDigest === "required"
  const hasContent = mayHaveContent(message)
  const present = new Set(message.fields.map(([name]) => name.toLowerCase()))
  return [
    ...profile.components,
    ...(hasContent ? profile.contentComponents : []),
    ...(hasContent && withDigest ? ["content-digest"] : []),
    ...profile.presentComponents.filter((name) => present.has(name))
  ]
}

// ---------------------------------------------------------------------------
// signing
// ---------------------------------------------------------------------------

/**
 * What a caller may choose within a profile.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProfileSignOptions {
  /** How the message names the key. Default: the RFC 7638 thumbprint. */
  readonly keyId?: string | undefined
  /** Default: that of the profile. */
  readonly expiresIn?: Duration.Input | undefined
  /** Default: random, where the profile has one. */
  readonly nonce?: string | undefined
  /** Default: that of the profile. */
  readonly label?: string | undefined
  /** Whether the digest of the content is covered, where the profile leaves it open. Default: as it says. */
  readonly coverDigest?: boolean | undefined
}

/** A new nonce by the rule. */
const nonceOf = ({ alphabet, bytes }: NonceRule): string =>
  (alphabet === "base64" ? Base64.encode : Base64Url.encode)(primitives.randomBytes(bytes))

/**
 * The options by which `HttpSignature.sign` signs a message as a profile says. Each
 * call makes a new nonce.
 *
 * @category signing
 * @since 0.1.0
 */
export const signOptions = (
  profile: Profile,
  message: HttpMessage,
  options: ProfileSignOptions = {}
): Effect.Effect<SignOptions> =>
  Effect.sync(() => ({
    components: components(profile, message, options),
    label: options.label ?? profile.label,
    tag: profile.tag,
    expiresIn: options.expiresIn ?? profile.lifetime,
    nonce: options.nonce ?? (profile.nonce === undefined ? undefined : nonceOf(profile.nonce)),
    keyId: options.keyId,
    alg: profile.parameters.includes("alg"),
    alphabet: profile.signature.write,
    digestAlphabet: profile.digest.write,
    maxLifetime: profile.maxLifetime,
    parameterOrder: profile.parameterOrder,
    algorithms: profile.algorithms,
    purposes: profile.purposes
  }))

/**
 * {@link signOptions} for whatever message comes: what `HttpSignatureClient.signed`
 * takes.
 *
 * **Example** (A client that signs by a profile)
 *
 * ```ts
 * import * as HttpSignatureClient from "effect-signer/HttpSignatureClient"
 * import * as HttpSignatureProfile from "effect-signer/HttpSignatureProfile"
 *
 * const signed = HttpSignatureClient.signed(
 *   HttpSignatureProfile.signOptionsFor(HttpSignatureProfile.rfc9421Strict)
 * )
 * ```
 *
 * @category signing
 * @since 0.1.0
 */
export const signOptionsFor =
  (profile: Profile, options?: ProfileSignOptions) =>
  (message: HttpMessage): Effect.Effect<SignOptions> =>
    signOptions(profile, message, options)

/**
 * Signs a message as a profile says.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration`, before anything is signed, where the Signer has
 * another algorithm or another purpose than the profile allows, or the lifetime is
 * too long.
 *
 * @category signing
 * @since 0.1.0
 */
export const sign = <M extends HttpMessage>(
  profile: Profile,
  message: M,
  options?: ProfileSignOptions
): Effect.Effect<Signed<M>, SignerError | HttpSignatureInvalid, Signer> =>
  Effect.flatMap(signOptions(profile, message, options), (made) => HttpSignature.sign(message, made))

// ---------------------------------------------------------------------------
// verifying
// ---------------------------------------------------------------------------

/**
 * Whose key it must be.
 *
 * @category models
 * @since 0.1.0
 */
export type ProfileVerifyOptions = Pick<KeyRequest, "issuer" | "tenant" | "purpose">

/**
 * The policy by which `HttpSignature.verify` checks a message as a profile says.
 *
 * @category verifying
 * @since 0.1.0
 */
export const policy = (profile: Profile, message: HttpMessage, options: ProfileVerifyOptions = {}): Policy => ({
  ...options,
  components: components(profile, message, { coverDigest: false }),
  forbidden: profile.contentDigest === "forbidden" ? ["content-digest"] : undefined,
  algorithms: profile.algorithms,
  maxAge: profile.maxLifetime,
  maxLifetime: profile.maxLifetime,
  skew: profile.skew,
  tag: profile.tag,
  label: profile.isLabelFixed ? profile.label : undefined,
  parameters: profile.parameters,
  minNonceBytes: profile.nonce?.minBytes,
  body: profile.contentDigest === "required" ? "covered" : "any",
  alphabet: profile.signature.read,
  digestAlphabet: profile.digest.read
})

/**
 * {@link policy} for whatever message comes: what `HttpSignatureServer`,
 * `HttpSignatureFetch` and `HttpSignatureExpress` take.
 *
 * **Example** (A handler that accepts a request by a profile, once)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { HttpServerResponse } from "effect/http"
 * import * as HttpSignatureProfile from "effect-signer/HttpSignatureProfile"
 * import * as HttpSignatureServer from "effect-signer/HttpSignatureServer"
 *
 * const handler = Effect.succeed(HttpServerResponse.empty()).pipe(
 *   HttpSignatureServer.verifiedOnce(HttpSignatureProfile.policyFor(HttpSignatureProfile.rfc9421Strict))
 * )
 * ```
 *
 * @category verifying
 * @since 0.1.0
 */
export const policyFor =
  (profile: Profile, options?: ProfileVerifyOptions) =>
  (message: HttpMessage): Policy =>
    policy(profile, message, options)

/**
 * Verifies a message as a profile says, and accepts it once: `HttpSignature.verifyOnce`.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verifyOnce = (
  profile: Profile,
  message: HttpMessage,
  { scope, ...options }: ProfileVerifyOptions & HttpSignature.OnceOptions = {}
): Effect.Effect<VerifiedMessage, VerifyError | ReplayStoreUnavailable, KeyResolver | ReplayStore> =>
  HttpSignature.verifyOnce(message, policy(profile, message, options), { scope })

/**
 * Verifies a message as a profile says.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verify = (
  profile: Profile,
  message: HttpMessage,
  options?: ProfileVerifyOptions
): Effect.Effect<VerifiedMessage, VerifyError, KeyResolver> =>
  HttpSignature.verify(message, policy(profile, message, options))
