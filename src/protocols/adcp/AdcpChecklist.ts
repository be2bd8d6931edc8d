/**
 * The checklist by which AdCP verifies a signed message: 14 steps, in their order,
 * and the first that fails decides.
 *
 * What is cheap comes before what is not, and a nonce is remembered only after the
 * signature was verified: nobody without the key fills the store.
 *
 * @category internal
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as PublicKey from "../../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import { facts } from "../../schemas/SignatureAlgorithm.ts"
import * as StructuredFields from "../../schemas/StructuredFields.ts"
import * as PreparedVerifier from "../../services/PreparedVerifier.ts"
import type { ReplayStoreUnavailable } from "../../services/ReplayStore.ts"
import type * as ReplayStore from "../../services/ReplayStore.ts"
import type * as RevocationStore from "../../services/RevocationStore.ts"
import * as ContentDigest from "../ContentDigest.ts"
import type { CoveredComponent } from "../HttpSignature.ts"
import { trimmed } from "../http/FieldValue.ts"
import { parseComponent, readerOf } from "../http/HttpComponent.ts"
import { mayHaveContent } from "../http/MessageContent.ts"
import { HttpSignatureInvalid } from "../http/HttpSignatureInvalid.ts"
import * as SignatureBase from "../http/SignatureBase.ts"
import type { HttpMessage, HttpRequest } from "../HttpMessage.ts"
import type { DigestPolicy, Profile } from "../HttpSignatureProfile.ts"
import type { AdcpSignatureError, Refusals } from "./AdcpError.ts"
import { attempt } from "./AdcpError.ts"
import { publicKeyFor } from "./AdcpKeyCheck.ts"
import type { AdcpKey, AdcpKeysService } from "./AdcpKeys.ts"
import { checkBody } from "./BodyMeaning.ts"
import * as TargetUri from "./TargetUri.ts"

/** What a message is checked with. */
export interface Checklist {
  readonly profile: Profile
  readonly refusals: Refusals
  /** Whether the digest of the content must be covered: the profile's word, or the verifier's own. */
  readonly contentDigest: DigestPolicy
  readonly keys: AdcpKeysService
  readonly replay: ReplayStore.Service
  readonly revocation: RevocationStore.Service
}

/** A message that passed. */
export interface Passed {
  readonly keyId: string
  readonly agentUrl: string | undefined
  readonly algorithm: SignatureAlgorithm
  readonly label: string
  readonly created: number
  readonly expires: number
  readonly nonce: string
  /** Seconds since 1970. */
  readonly verifiedAt: number
  readonly target: TargetUri.TargetUri
  readonly components: ReadonlyArray<CoveredComponent>
  /** The content, where its digest is covered. */
  readonly body: Uint8Array | undefined
}

// ---------------------------------------------------------------------------
// step 1: the two fields
// ---------------------------------------------------------------------------

const linesOf = (message: HttpMessage, name: string): ReadonlyArray<string> =>
  message.fields.flatMap(([other, value]) => (other.toLowerCase() === name ? [trimmed(value)] : []))

/** Whether a message has both fields of a signature, none, or one of the two: which is no signature. */
export const signatureOf = (message: HttpMessage): "both" | "none" | "half" => {
  const input = linesOf(message, "signature-input").length > 0
  const signature = linesOf(message, "signature").length > 0
  return input && signature ? "both" : input || signature ? "half" : "none"
}

/** Characters of each of the two fields, at most. */
const maxLength = 65_536

interface Parsed {
  readonly input: StructuredFields.InnerList
  readonly signature: Uint8Array
  /** Identifiers, as they are written. */
  readonly covered: ReadonlyArray<string>
}

const parse = (message: HttpMessage, { profile, refusals }: Checklist): Parsed => {
  const malformed = (problem: string): never => {
    throw refusals.signature("header_malformed", "1", problem)
  }
  const dictionary = (name: string): StructuredFields.Dictionary => {
    const parsed = StructuredFields.parseDictionary(linesOf(message, name), {
      duplicates: "refuse",
      alphabet: profile.signature.read,
      maxLength
    })
    return Result.isSuccess(parsed) ? parsed.success : malformed(`${name}: ${parsed.failure.message}`)
  }
  const memberOf = (name: string): StructuredFields.Member => {
    const found = dictionary(name).find(([label]) => label === profile.label)
    return found === undefined ? malformed(`${name}: there is no label ${profile.label}`) : found[1]
  }
  const input = memberOf("signature-input")
  const signature = memberOf("signature")
  if (input._tag !== "InnerList") return malformed("signature-input: not a list of components")
  if (signature._tag !== "Item" || signature.value._tag !== "ByteSequence" || signature.parameters.length > 0) {
    return malformed("signature: not a byte sequence")
  }
  const covered = SignatureBase.coveredBy(input).map(({ text }) => text)
  // What is covered has one value, or a signer and a verifier may each mean another
  if (covered.includes(`"content-type"`) && hasSeveralValues(linesOf(message, "content-type"))) {
    malformed("content-type: more than one value")
  }
  if (covered.includes(`"content-digest"`)) checkDigestForm(linesOf(message, "content-digest"), profile, malformed)
  return { input, signature: signature.value.value, covered }
}

/** A comma in quotes is part of a parameter. */
const hasSeveralValues = (lines: ReadonlyArray<string>): boolean => {
  if (lines.length > 1) return true
  const [line = ""] = lines
  let isQuoted = false
  for (let at = 0; at < line.length; at++) {
    if (isQuoted && line[at] === "\\") at++
    else if (line[at] === `"`) isQuoted = !isQuoted
    else if (line[at] === "," && !isQuoted) return true
  }
  return false
}

/** RFC 9530 section 2: a dictionary, each algorithm once. Whether it is right is step 11. */
const checkDigestForm = (
  lines: ReadonlyArray<string>,
  { digest }: Profile,
  malformed: (problem: string) => never
): void => {
  if (lines.length === 0) return
  const parsed = StructuredFields.parseDictionary(lines, { duplicates: "refuse", alphabet: digest.read, maxLength })
  if (Result.isFailure(parsed)) return malformed(`content-digest: ${parsed.failure.message}`)
  const isDigests = parsed.success.every(([, member]) => member._tag === "Item" && member.value._tag === "ByteSequence")
  if (!isDigests || parsed.success.length === 0) malformed("content-digest: not digests")
}

// ---------------------------------------------------------------------------
// steps 2 to 5: parameters
// ---------------------------------------------------------------------------

interface Parameters {
  readonly created: number
  readonly expires: number
  readonly nonce: string
  readonly keyId: string
  readonly alg: string
  readonly tag: string
}

const types = {
  created: "Integer",
  expires: "Integer",
  nonce: "String",
  keyid: "String",
  alg: "String",
  tag: "String"
} as const

const readParameters = ({ input }: Parsed, { profile, refusals }: Checklist): Parameters => {
  const values = new Map<string, unknown>()
  for (const [name, type] of Object.entries(types)) {
    const value = StructuredFields.get(input.parameters, name)
    if (value === undefined) continue
    if (value._tag !== type) throw refusals.signature("header_malformed", "1", `"${name}" has the wrong type`)
    values.set(name, value.value)
  }
  for (const name of Object.keys(types)) {
    if (!values.has(name)) throw refusals.signature("params_incomplete", "2", `"${name}" is missing`)
  }
  const nonce = values.get("nonce") as string
  const minBytes = profile.nonce?.minBytes ?? 0
  // Its bytes are never read: a last character with loose bits is no other nonce
  if (!/^[A-Za-z0-9_-]*$/.test(nonce) || nonce.length % 4 === 1 || Math.floor((nonce.length * 3) / 4) < minBytes) {
    throw refusals.signature("params_incomplete", "2", `"nonce" is not ${minBytes} bytes of unpadded base64url`)
  }
  return {
    created: values.get("created") as number,
    expires: values.get("expires") as number,
    nonce,
    keyId: values.get("keyid") as string,
    alg: values.get("alg") as string,
    tag: values.get("tag") as string
  }
}

/** The algorithm by its name in RFC 9421. */
const algorithmOf = (alg: string, { profile, refusals }: Checklist): SignatureAlgorithm => {
  const algorithm = profile.algorithms.find((one) => facts[one].httpSignature === alg)
  if (algorithm === undefined) throw refusals.signature("alg_not_allowed", "4", "the profile does not allow it")
  return algorithm
}

const checkWindow = (
  { created, expires }: Parameters,
  now: number,
  { profile: { maxLifetime, skew }, refusals }: Checklist
): void => {
  const [most, tolerance] = [maxLifetime, skew].map((input) => Duration.toSeconds(Duration.fromInputUnsafe(input)))
  const invalid = (problem: string) => {
    throw refusals.signature("window_invalid", "5", problem)
  }
  if (expires <= created) invalid(`"expires" is not after "created"`)
  if (expires - created > most!) invalid(`"expires" is more than ${most} seconds after "created"`)
  if (created > now + tolerance!) invalid(`"created" is in the future`)
  if (expires < now - tolerance!) invalid("it has expired")
}

// ---------------------------------------------------------------------------
// step 6: what is covered
// ---------------------------------------------------------------------------

const checkCovered = (message: HttpMessage, covered: ReadonlyArray<string>, checklist: Checklist): void => {
  const { contentDigest, profile, refusals } = checklist
  const hasContent = mayHaveContent(message)
  const required = [
    ...profile.components,
    ...(hasContent ? profile.contentComponents : []),
    ...(contentDigest === "required" && (hasContent || alwaysDigests(profile)) ? ["content-digest"] : [])
  ].map((text) => parseComponent(text).text)
  const lacking = required.find((text) => !covered.includes(text))
  if (lacking !== undefined) throw refusals.signature("components_incomplete", "6", `${lacking} is not covered`)
  const isForbidden = (text: string) =>
    !required.includes(text) &&
    (text.startsWith(`"@`) || text.includes(`";`) || text === forbiddenDigest(contentDigest))
  if (covered.some(isForbidden)) {
    throw refusals.signature("components_unexpected", "6", "it covers what the profile does not know, or forbids")
  }
}

/** A webhook is its content: there is no webhook without. */
const alwaysDigests = ({ tag }: Profile): boolean => tag === "adcp/webhook-signing/v1"

const forbiddenDigest = (policy: DigestPolicy) => (policy === "forbidden" ? `"content-digest"` : undefined)

// ---------------------------------------------------------------------------
// steps 7 and 8: the key
// ---------------------------------------------------------------------------

const findKey = (keyId: string, { keys, refusals }: Checklist): Effect.Effect<AdcpKey, AdcpSignatureError> =>
  keys.resolve(keyId).pipe(
    Effect.catchTags({
      KeyUnknown: () => Effect.fail(refusals.signature("key_unknown", "7", "no key has this keyid")),
      KeysUnavailable: ({ reason }) =>
        Effect.fail(
          reason === "AddressRefused" || reason === "Redirected"
            ? refusals.signature("jwks_untrusted", "7", "the keys are where no request may go")
            : refusals.signature("jwks_unavailable", "7", "the keys cannot be read now")
        ),
      JwksInvalid: () => Effect.fail(refusals.signature("jwks_untrusted", "7", "the set of keys is refused"))
    }),
    // The lookup may be anybody's: its answer is to what was asked
    Effect.filterOrFail(
      ({ jwk }) => jwk["kid"] === keyId,
      () => refusals.signature("key_unknown", "7", "the key that was found has another kid")
    )
  )

const checkKey = (
  { jwk }: AdcpKey,
  algorithm: SignatureAlgorithm,
  { profile: { purposes }, refusals }: Checklist
): Effect.Effect<PublicKey.PublicKey, AdcpSignatureError> =>
  Effect.mapError(publicKeyFor(jwk, algorithm, purposes), (problem) =>
    refusals.signature("key_purpose_invalid", "8", problem)
  )

// ---------------------------------------------------------------------------
// steps 10 to 14
// ---------------------------------------------------------------------------

/** The request whose target counts: of a response, the one that it answers. */
const requestOf = (message: HttpMessage): HttpRequest | undefined =>
  message._tag === "Request" ? message : message.request

const canonicalTarget = (message: HttpMessage, { refusals }: Checklist): TargetUri.TargetUri => {
  const request = requestOf(message)
  if (request === undefined) throw refusals.target("10", "the request that was answered is not known: give it")
  const target = TargetUri.ofRequest(request)
  if (Result.isFailure(target)) throw refusals.target("10", target.failure.message)
  return target.success
}

const withTarget = (message: HttpMessage, target: TargetUri.TargetUri): HttpMessage =>
  message._tag === "Request"
    ? TargetUri.withTarget(message, target)
    : { ...message, request: TargetUri.withTarget(message.request!, target) }

/** A component that the message does not have is not covered, whatever the list says. */
const baseOf = (message: HttpMessage, input: StructuredFields.InnerList, { refusals }: Checklist) => {
  try {
    return SignatureBase.build(readerOf(message), input)
  } catch (error) {
    if (!(error instanceof HttpSignatureInvalid)) throw error
    throw refusals.signature("components_incomplete", "6", "a component that is covered cannot be read")
  }
}

/** Nonces count per key; one that several agents could have chosen, per agent and key. */
const holderOf = (keyId: string, { agentUrl }: AdcpKey): string =>
  agentUrl === undefined ? keyId : JSON.stringify([agentUrl, keyId])

/** Runs the checklist on a message that has both fields. */
export const run = Effect.fnUntraced(function* (
  message: HttpMessage,
  checklist: Checklist
): Effect.fn.Return<Passed, AdcpSignatureError | ReplayStoreUnavailable> {
  const { profile, refusals, replay, revocation } = checklist
  const nowMillis = yield* Clock.currentTimeMillis
  const now = Math.floor(nowMillis / 1000)
  const { algorithm, covered, input, parameters, signature } = yield* attempt(() => {
    const request = requestOf(message)
    if (request !== undefined && TargetUri.hasRawHost(request)) {
      throw refusals.signature("header_malformed", "1", "the host is not ASCII: send its A-labels")
    }
    const { covered, input, signature } = parsedOf(message, checklist)
    const parameters = readParameters({ covered, input, signature }, checklist)
    if (parameters.tag !== profile.tag) throw refusals.signature("tag_invalid", "3", `"tag" is not ${profile.tag}`)
    const algorithm = algorithmOf(parameters.alg, checklist)
    checkWindow(parameters, now, checklist)
    checkCovered(message, covered, checklist)
    return { algorithm, covered, input, parameters, signature }
  })
  const { created, expires, keyId, nonce } = parameters
  const key = yield* findKey(keyId, checklist)
  const publicKey = yield* checkKey(key, algorithm, checklist)
  yield* Effect.catchTags(revocation.check({ keyId, issuer: key.agentUrl }), {
    KeyRevoked: () => Effect.fail(refusals.signature("key_revoked", "9", "the key is revoked")),
    RevocationStale: () =>
      Effect.fail(refusals.signature("revocation_stale", "9", "it is not known whether the key is revoked"))
  })
  const holder = holderOf(keyId, key)
  const full = () => refusals.signature("rate_abuse", "9a", "too many signatures by this key: alert whoever runs this")
  if (yield* replay.isFull(holder)) return yield* full()

  const { base, target } = yield* attempt(() => {
    const target = canonicalTarget(message, checklist)
    return { target, base: baseOf(withTarget(message, target), input, checklist) }
  })
  const verifier = yield* Effect.mapError(PreparedVerifier.of(publicKey), () =>
    refusals.signature("key_purpose_invalid", "8", "this runtime cannot verify with the key")
  )
  if (!(yield* verifier.verify(SignatureBase.bytesOf(base), signature))) {
    return yield* refusals.signature("invalid", "10", "it is not by this key over this message")
  }

  const coversContent = covered.includes(`"content-digest"`)
  if (coversContent) {
    const { body } = message
    const mismatch = (problem: string) => refusals.signature("digest_mismatch", "11", problem)
    if (body === undefined) return yield* mismatch("the content is not known: give the body of the message")
    const lines = linesOf(message, "content-digest")
    const digest = ContentDigest.verifyResult(body, lines, { alphabet: profile.digest.read })
    if (Result.isFailure(digest)) return yield* mismatch("the digest is not that of the content")
  }
  // Until the last moment at which step 5 would still let it pass, and that is a whole second
  const tolerance = Duration.toMillis(Duration.fromInputUnsafe(profile.skew))
  const ttl = Duration.millis(expires * 1000 + tolerance + 1000 - nowMillis)
  const outcome = yield* replay.insert({ keyId: holder, scope: target.uri, nonce, ttl })
  if (outcome === "replayed") return yield* refusals.signature("replayed", "12", "it was there before")
  if (outcome === "full") return yield* full()
  yield* attempt(() => checkBody(message, refusals))
  return {
    keyId,
    agentUrl: key.agentUrl,
    algorithm,
    label: profile.label,
    created,
    expires,
    nonce,
    verifiedAt: now,
    target,
    components: base.covered.map(({ component, value }) => ({ identifier: component.text, value })),
    body: coversContent ? message.body : undefined
  }
})

/** Identifiers that contradict themselves make the field malformed. */
const parsedOf = (message: HttpMessage, checklist: Checklist): Parsed => {
  try {
    return parse(message, checklist)
  } catch (error) {
    if (!(error instanceof HttpSignatureInvalid)) throw error
    throw checklist.refusals.signature("header_malformed", "1", "signature-input: a component that there is not")
  }
}
