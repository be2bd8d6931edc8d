/**
 * The conformance vectors of AdCP: signed requests and webhooks, canonical URLs and
 * the body-integrity table. Every file of the published folders is a case: what is
 * there is run.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { readdir } from "node:fs/promises"
import { basename, join } from "node:path"
import * as LocalSigner from "../../layers/LocalSigner.ts"
import * as MemoryReplayStore from "../../layers/MemoryReplayStore.ts"
import * as StaticRevocationStore from "../../layers/StaticRevocationStore.ts"
import * as Adcp from "../../protocols/Adcp.ts"
import { readerOf } from "../../protocols/http/HttpComponent.ts"
import { seal } from "../../protocols/http/HttpSignatureWriter.ts"
import * as SignatureBase from "../../protocols/http/SignatureBase.ts"
import type { FieldLine, HttpRequest } from "../../protocols/HttpMessage.ts"
import { request } from "../../protocols/HttpMessage.ts"
import type { AdcpProfiles, Profile } from "../../protocols/HttpSignatureProfile.ts"
import * as HttpSignatureProfile from "../../protocols/HttpSignatureProfile.ts"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import { RevocationStale } from "../../schemas/KeyResolverError.ts"
import * as StructuredFields from "../../schemas/StructuredFields.ts"
import { ReplayStore } from "../../services/ReplayStore.ts"
import { RevocationStore } from "../../services/RevocationStore.ts"
import { checked, type Outcome, readText, suite, VectorError, type VectorSuite } from "./VectorSuite.ts"

const { optionalKey, String: Text } = Schema
const Texts = Schema.Array(Text)

/**
 * Graders add notes to these files from one version to the next: fields that are not
 * known are not read, and `null` is a field that is not there.
 */
const readJson = <S extends Schema.Constraint & { readonly DecodingServices: never }>(schema: S) => {
  const decode = Schema.decodeUnknownEffect(schema)
  return Effect.fnUntraced(function* (file: string): Effect.fn.Return<S["Type"], VectorError> {
    const text = yield* readText(file)
    const failed = (error: unknown) => new VectorError({ file: basename(file), problem: String(error) })
    const json = yield* Effect.try({
      try: (): unknown => JSON.parse(text, (_, value: unknown) => (value === null ? undefined : value)),
      catch: failed
    })
    return yield* Effect.mapError(decode(json), failed)
  })
}

const Jwk = Schema.JsonObject

const Keys = Schema.Struct({ keys: Schema.Array(Jwk) })

const Vector = Schema.Struct({
  signing_profile_version: optionalKey(Text),
  reference_now: Schema.Number,
  request: Schema.Struct({
    method: Text,
    url: Text,
    headers: Schema.Record(Text, Schema.Union([Text, Texts, Schema.Number])),
    body: optionalKey(Text)
  }),
  verifier_capability: optionalKey(Schema.JsonObject),
  jwks_ref: optionalKey(Texts),
  jwks_override: optionalKey(Schema.JsonObject),
  test_harness_state: optionalKey(
    Schema.Struct({
      replay_cache_entries: optionalKey(
        Schema.Array(Schema.Struct({ keyid: Text, nonce: Text, ttl_seconds: optionalKey(Schema.Number) }))
      ),
      replay_cache_per_keyid_cap_hit: optionalKey(Schema.Struct({ keyid: Text })),
      per_keyid_cap_filled_for: optionalKey(Text),
      revocation_list: optionalKey(Schema.Struct({ revoked_kids: Texts })),
      revoked_kids: optionalKey(Texts),
      revocation_list_stale_seconds: optionalKey(Schema.Number)
    })
  ),
  expected_signature_base: optionalKey(Text),
  expected_outcome: Schema.Struct({
    success: Schema.Boolean,
    error_code: optionalKey(Text),
    verified_label: optionalKey(Text)
  })
})
type Vector = typeof Vector.Type

const readVector = readJson(Vector)
const readKeys = readJson(Keys)

// ---------------------------------------------------------------------------
// one case
// ---------------------------------------------------------------------------

const versions: { readonly [version: string]: AdcpProfiles } = {
  "3.0": HttpSignatureProfile.adcp30,
  "3.1": HttpSignatureProfile.adcp31,
  "3.2": HttpSignatureProfile.adcp32
}

const utf8 = new TextEncoder()

const messageOf = ({ request: { body = "", headers, method, url } }: Vector): HttpRequest =>
  request({
    method,
    target: url,
    fields: Object.entries(headers).flatMap(([name, value]) =>
      [value].flat().map((line): FieldLine => [name, String(line)])
    ),
    body: utf8.encode(body)
  })

/** The set that the verifier sees: a choice of the file, with what the vector replaces. */
const jwksOf = (vector: Vector, all: ReadonlyArray<Schema.JsonObject>): ReadonlyArray<unknown> => {
  const { jwks_override: override, jwks_ref: names } = vector
  if (override !== undefined && Array.isArray(override["keys"])) return override["keys"]
  const chosen = all.filter(({ kid }) => names === undefined || names.includes(kid as string))
  return chosen.map((jwk) => override?.[jwk["kid"] as string] ?? jwk)
}

/** The state that the vector wants the verifier to be in. */
const withState = Effect.fnUntraced(function* (vector: Vector, target: HttpRequest) {
  const state = vector.test_harness_state
  const replay = yield* MemoryReplayStore.make({ maxPerKey: 2 })
  const scope = Option.getOrElse(
    Option.map(Result.getSuccess(yield* Effect.result(Adcp.canonicalUri(vector.request.url))), ({ uri }) => uri),
    () => target.requestTarget ?? ""
  )
  for (const { keyid, nonce, ttl_seconds: seconds = 360 } of state?.replay_cache_entries ?? []) {
    yield* replay.insert({ keyId: keyid, scope, nonce, ttl: `${seconds} seconds` })
  }
  const full = state?.replay_cache_per_keyid_cap_hit?.keyid ?? state?.per_keyid_cap_filled_for
  if (full !== undefined) {
    for (const nonce of ["1", "2"]) yield* replay.insert({ keyId: full, scope, nonce, ttl: "360 seconds" })
  }
  const revoked = [...(state?.revocation_list?.revoked_kids ?? []), ...(state?.revoked_kids ?? [])]
  const isStale = (state?.revocation_list_stale_seconds ?? 0) > 0
  const known = StaticRevocationStore.make({ keyIds: revoked })
  const stale = () => Effect.fail(new RevocationStale({ reason: "Outdated", problem: "not refreshed" }))
  return Layer.mergeAll(
    Layer.succeed(ReplayStore, replay),
    Layer.succeed(RevocationStore, isStale ? { check: stale, checkToken: stale } : known)
  )
})

/** Codes of messages whose signature base was computed: their base is that of what they signed. */
const hasBase = /_signature_(?:invalid|digest_mismatch|replayed)$/

const baseProblems = Effect.fnUntraced(function* (vector: Vector, message: HttpRequest) {
  const { expected_outcome: outcome, expected_signature_base: theirs } = vector
  if (theirs === undefined || !(outcome.success || hasBase.test(outcome.error_code ?? ""))) return []
  const canonical = yield* Adcp.canonicalRequest(message)
  const { text: ours } = SignatureBase.build(readerOf(canonical), inputOf(vector))
  return ours === theirs ? [] : [`the base is ${JSON.stringify(ours)}`]
})

/** The lines of a header, whatever its letter case. */
const headerOf = ({ request: { headers } }: Vector, name: string): ReadonlyArray<string> =>
  Object.entries(headers).flatMap(([other, value]) => (other.toLowerCase() === name ? [value].flat().map(String) : []))

/** What the vector signs: the member of `Signature-Input` that counts. */
const inputOf = (vector: Vector): StructuredFields.InnerList => {
  const members = Result.getOrThrow(StructuredFields.parseDictionary(headerOf(vector, "signature-input")))
  return members.find(([label]) => label === "sig1")![1] as StructuredFields.InnerList
}

/** Signs a positive vector again with the private half that the file publishes: Ed25519 gives the same bytes. */
const signedAgainProblems = Effect.fnUntraced(function* (
  vector: Vector,
  message: HttpRequest,
  profile: Profile,
  keys: ReadonlyArray<Schema.JsonObject>
) {
  const jwk = keys.find(({ kid }) => vector.jwks_ref?.[0] === kid)
  const secret = jwk?.["_private_d_for_test_only"]
  if (jwk?.["crv"] !== "Ed25519" || typeof secret !== "string") return []
  const [signature = ""] = headerOf(vector, "signature")
  const privateKey = yield* PrivateKey.fromJwk({ kty: "OKP", crv: "Ed25519", x: jwk["x"], d: secret })
  const signer = yield* LocalSigner.make({ privateKey, algorithm: "Ed25519" })
  const canonical = yield* Adcp.canonicalRequest(message)
  const bare = { ...canonical, fields: canonical.fields.filter(([name]) => !/^signature/i.test(name)) }
  const { signed } = yield* seal(
    { message: bare, added: [], label: "sig1" },
    inputOf(vector),
    { alphabet: profile.signature.write, digestAlphabet: profile.digest.write },
    signer.sign
  )
  const ours = signed.fields.find(([name]) => name === "Signature")![1]
  return signature.split(", ")[0] === ours ? [] : ["signed again: Signature differs"]
})

type Kind = "request" | "webhook"

const verify = (kind: Kind, vector: Vector, message: HttpRequest, profile: AdcpProfiles) =>
  kind === "webhook"
    ? Adcp.verifyWebhook(message, { profile })
    : Effect.flatMap(Adcp.parseCapability(vector.verifier_capability ?? { supported: true }), (capability) =>
        Adcp.verifyRequest(message, { profile, capability })
      )

const problemsOf = Effect.fnUntraced(function* (
  kind: Kind,
  vector: Vector,
  profile: AdcpProfiles,
  keys: ReadonlyArray<Schema.JsonObject>
) {
  const message = messageOf(vector)
  const state = yield* withState(vector, message)
  const keysLive = Adcp.layerJwks({ keys: jwksOf(vector, keys) })
  const outcome = yield* verify(kind, vector, message, profile).pipe(
    Effect.map((verified) => (verified._tag === "Signed" ? `verified ${verified.label}` : "not signed")),
    Effect.catchTag("AdcpSignatureError", ({ code }) => Effect.succeed(code)),
    Effect.provide(Layer.merge(state, keysLive))
  )
  const { error_code: code, success, verified_label: label = "sig1" } = vector.expected_outcome
  const isSigned = Object.keys(vector.request.headers).some((name) => /^signature/i.test(name))
  const expected = !success ? code : isSigned ? `verified ${label}` : "not signed"
  const positive = success && isSigned ? yield* signedAgainProblems(vector, message, profile[kind], keys) : []
  return [
    ...(outcome === expected ? [] : [`came to ${outcome}, expected ${expected}`]),
    ...(yield* baseProblems(vector, message)),
    ...positive
  ]
})

const atItsTime = <A, E, R>({ reference_now: seconds }: Vector, effect: Effect.Effect<A, E, R>) =>
  TestClock.setTime(seconds * 1000).pipe(Effect.andThen(effect), Effect.provide(Layer.fresh(TestClock.layer())))

// ---------------------------------------------------------------------------
// folders
// ---------------------------------------------------------------------------

/** The JSON files of a folder by name; none where there is no such folder. */
const filesOf = (folder: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.tryPromise(() => readdir(folder)).pipe(
    Effect.map((names) => names.filter((name) => name.endsWith(".json")).sort()),
    Effect.orElseSucceed(() => [])
  )

interface Group {
  readonly suite: string
  readonly kind: Kind
  readonly folders: ReadonlyArray<string>
}

const requests: Group = {
  suite: "adcp/request",
  kind: "request",
  folders: ["positive", "negative", "profile-3.2/positive", "profile-3.2/negative"]
}
const webhooks: Group = { suite: "adcp/webhook", kind: "webhook", folders: ["positive", "negative"] }

/** Which operation a call over A2A is: newer than the others, of 3.2. */
const a2a: Group = { suite: "adcp/a2a", kind: "request", folders: ["a2a/positive", "a2a/negative"] }

/** What a vector is of that does not say so: files of 3.0 have no versions, and those of webhooks never. */
const defaultVersion = (root: string): Effect.Effect<string> =>
  readJson(Schema.Struct({ version: Text }))(join(root, "adcp", "request-signing", "canonicalization.json")).pipe(
    Effect.map(({ version }) => (version === "3.0" ? version : "3.1")),
    Effect.orElseSucceed(() => "3.1")
  )

const vectorSuite = ({ folders, kind, suite: name }: Group): VectorSuite =>
  suite({
    suite: name,
    folder: `adcp/${kind}-signing`,
    source: `adcontextprotocol/adcp static/compliance/source/test-vectors/${kind}-signing`,
    outcomes: Effect.fnUntraced(function* (root) {
      const folder = join(root, "adcp", `${kind}-signing`)
      const { keys } = yield* readKeys(join(folder, "keys.json"))
      const otherwise = yield* defaultVersion(root)
      const outcomes: Array<Outcome> = []
      for (const group of folders) {
        for (const file of yield* filesOf(join(folder, group))) {
          const name = `${group}/${file.replace(".json", "")}`
          // One file that cannot be read is one case that fails: the others are run
          const read = yield* Effect.result(readVector(join(folder, group, file)))
          if (Result.isFailure(read)) {
            outcomes.push(checked(name, [read.failure.problem]))
            continue
          }
          const vector = read.success
          const version = vector.signing_profile_version ?? (/3\.2|a2a/.test(group) ? "3.2" : otherwise)
          const profile = versions[version]
          const problems =
            profile === undefined
              ? Effect.succeed([`no profile for version ${version}`])
              : atItsTime(vector, problemsOf(kind, vector, profile, keys))
          const found = yield* Effect.catchCause(Effect.scoped(problems), (cause) =>
            Effect.succeed([Cause.pretty(cause)])
          )
          outcomes.push(checked(name, found))
        }
      }
      return outcomes
    })
  })

export const adcpRequest: VectorSuite = vectorSuite(requests)
export const adcpWebhook: VectorSuite = vectorSuite(webhooks)

// ---------------------------------------------------------------------------
// canonical URLs
// ---------------------------------------------------------------------------

const Canonicalization = Schema.Struct({
  cases: Schema.Array(
    Schema.Struct({
      name: Text,
      input_url: Text,
      expected_target_uri: optionalKey(Text),
      expected_authority: optionalKey(Text),
      reject: optionalKey(Schema.Boolean),
      expected_error_code: optionalKey(Text)
    })
  )
})

const readCanonicalization = readJson(Canonicalization)

export const adcpCanonicalization: VectorSuite = suite({
  suite: "adcp/canonicalization",
  folder: "adcp/request-signing",
  source: "adcontextprotocol/adcp static/compliance/source/test-vectors/request-signing/canonicalization.json",
  outcomes: Effect.fnUntraced(function* (root): Effect.fn.Return<ReadonlyArray<Outcome>, VectorError> {
    const file = join(root, "adcp", "request-signing", "canonicalization.json")
    const { cases } = yield* readCanonicalization(file)
    return yield* Effect.forEach(cases, (vector) =>
      Effect.map(Effect.result(Adcp.canonicalUri(vector.input_url)), (outcome) => {
        const actual = Result.isSuccess(outcome)
          ? `${outcome.success.uri} ${outcome.success.authority}`
          : "request_target_uri_malformed"
        const expected =
          vector.reject === true
            ? vector.expected_error_code
            : `${vector.expected_target_uri} ${vector.expected_authority}`
        return checked(vector.name, actual === expected ? [] : [`is ${actual}, expected ${expected}`])
      })
    )
  })
})

// ---------------------------------------------------------------------------
// body integrity
// ---------------------------------------------------------------------------

const BodyIntegrity = Schema.Struct({
  cases: Schema.Array(
    Schema.Struct({
      id: Text,
      endpoint_profile: Text,
      mode: Text,
      has_body: Schema.Boolean,
      signature_present: Schema.Boolean,
      signature_header_state: optionalKey(Text),
      covers_content_digest: optionalKey(Schema.Boolean),
      cryptographic_signature_valid: optionalKey(Schema.Boolean),
      digest_matches_body: optionalKey(Schema.Boolean),
      fallback_auth_valid: optionalKey(Schema.Boolean),
      expected: Schema.Struct({
        action: Text,
        error_code: optionalKey(Text),
        authentication_source: optionalKey(Text),
        verified_signer_identity: optionalKey(Schema.Boolean)
      })
    })
  )
})
type BodyCase = (typeof BodyIntegrity.Type)["cases"][number]

const readBodyIntegrity = readJson(BodyIntegrity)

/** 3.2 and whatever came after it. */
const bindsContent = (version: string): boolean => {
  const [major, minor] = version.split(/[.-]/).map(Number) as [number, number]
  return major > 3 || (major === 3 && minor >= 2)
}

const decided = (one: BodyCase): BodyCase["expected"] => {
  const mode = one.mode.replace("protocol_methods_", "").replace("_for", "") as Adcp.SigningMode
  const decision = Adcp.decide({
    mode,
    bindsContent: bindsContent(one.endpoint_profile),
    hasBody: one.has_body,
    signature:
      one.signature_header_state === "malformed_pair" ? "malformed" : one.signature_present ? "present" : "absent",
    coversContentDigest: one.covers_content_digest === true,
    isSignatureValid: one.cryptographic_signature_valid,
    isDigestRight: one.digest_matches_body,
    isAuthenticatedOtherwise: one.fallback_auth_valid === true
  })
  if (decision._tag === "Reject") {
    return { action: "reject", error_code: decision.code, verified_signer_identity: false }
  }
  if (decision._tag === "RejectUnauthenticated") {
    return { action: "reject_unauthenticated", verified_signer_identity: false }
  }
  return {
    action: decision.warning === undefined ? "accept" : "accept_with_warning",
    authentication_source: decision.by === "signature" ? "signature" : "fallback",
    verified_signer_identity: decision.by === "signature"
  }
}

/** Every member that the vector states. */
const differences = (actual: BodyCase["expected"], expected: BodyCase["expected"]): ReadonlyArray<string> =>
  Object.entries(expected).flatMap(([name, value]) =>
    (actual as { readonly [name: string]: unknown })[name] === value
      ? []
      : [`${name} is ${String((actual as { readonly [name: string]: unknown })[name])}, expected ${String(value)}`]
  )

const bodyIntegrityFile = "body-integrity-policy.json"

const adcpBodyIntegrity: VectorSuite = suite({
  suite: "adcp/body-integrity",
  folder: "adcp/request-signing",
  source: `adcontextprotocol/adcp static/compliance/source/test-vectors/request-signing/${bodyIntegrityFile}`,
  outcomes: Effect.fnUntraced(function* (root): Effect.fn.Return<ReadonlyArray<Outcome>, VectorError> {
    const { cases } = yield* readBodyIntegrity(join(root, "adcp", "request-signing", bodyIntegrityFile))
    return cases.map((one) => checked(one.id, differences(decided(one), one.expected)))
  })
})

/** The suites of files that not every copy of the vectors has. */
export const discover = Effect.fnUntraced(function* (root: string): Effect.fn.Return<ReadonlyArray<VectorSuite>> {
  const folder = join(root, "adcp", "request-signing")
  const calls = yield* filesOf(join(folder, "a2a", "negative"))
  return [
    ...((yield* filesOf(folder)).includes(bodyIntegrityFile) ? [adcpBodyIntegrity] : []),
    ...(calls.length > 0 ? [vectorSuite(a2a)] : [])
  ]
})
