/**
 * Messages of AdCP on the command line: the versions by their names, signing in the
 * canonical form, and verifying by the checklist.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as MemoryReplayStore from "../layers/MemoryReplayStore.ts"
import * as StaticRevocationStore from "../layers/StaticRevocationStore.ts"
import * as Adcp from "../protocols/Adcp.ts"
import type { HttpRequest } from "../protocols/HttpMessage.ts"
import type { AdcpProfiles } from "../protocols/HttpSignatureProfile.ts"
import * as HttpSignatureProfile from "../protocols/HttpSignatureProfile.ts"
import { attempt } from "../schemas/Malformed.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import * as StrictJson from "../schemas/StrictJson.ts"
import type { ReplayStoreUnavailable } from "../services/ReplayStore.ts"
import { ReplayStore } from "../services/ReplayStore.ts"
import { RevocationStore } from "../services/RevocationStore.ts"
import type * as Signer from "../services/Signer.ts"
import { Signer as SignerTag } from "../services/Signer.ts"
import type { Failure } from "./Failure.ts"
import { Concluded, exitCodes, fail, failure, ofSigner, plain, shownPath } from "./Failure.ts"
import * as FileForm from "./FileForm.ts"
import * as Files from "./Files.ts"
import type { HttpFile } from "./HttpFile.ts"
import * as JoseKeys from "./JoseKeys.ts"
import * as KeyFile from "./KeyFile.ts"
import * as Output from "./Output.ts"

// ---------------------------------------------------------------------------
// versions
// ---------------------------------------------------------------------------

/** By the name on the command line: which version of AdCP the other side speaks. */
const versions = {
  "adcp-3.0": HttpSignatureProfile.adcp30,
  "adcp-3.1": HttpSignatureProfile.adcp31,
  "adcp-3.2": HttpSignatureProfile.adcp32
} satisfies Record<string, AdcpProfiles>

export type Version = keyof typeof versions

export const names = Object.keys(versions) as ReadonlyArray<Version>

export const isVersion = (name: string): name is Version => Object.hasOwn(versions, name)

/** What keys in files, which do not say it, are used for. */
const purposes = { request: "request-signing", webhook: "webhook-signing" } as const satisfies {
  readonly [kind: string]: Adcp.AdcpUse
}

/** The messages of AdCP that commands sign and verify. */
export type Kind = keyof typeof purposes

export const purposeOf = (kind: Kind): Adcp.AdcpUse => purposes[kind]

// ---------------------------------------------------------------------------
// signing
// ---------------------------------------------------------------------------

const signings = { request: Adcp.signRequest, webhook: Adcp.signWebhook }

const targetOf = ({ authority, path, query, scheme }: HttpRequest, isAbsolute: boolean): string =>
  `${isAbsolute ? `${scheme}://${authority}` : ""}${path}${query === undefined ? "" : `?${query}`}`

/** The file with the method and the target that were signed in its first line: what is signed is what is sent. */
const asSigned = (file: HttpFile, signed: HttpRequest): HttpFile => ({
  ...file,
  message: signed,
  head: file.head.replace(
    /^\S+ (\S+) /,
    (_, target: string) => `${signed.method} ${targetOf(signed, target.includes("://"))} `
  )
})

const notSigned = (error: Adcp.SignFailure): Failure =>
  error._tag === "AdcpSignatureError"
    ? failure(plain(`${error.message}; a configuration says it with "purpose"`), error._tag)
    : error._tag === "HttpSignatureInvalid" || error._tag === "TargetUriMalformed"
      ? failure(plain(error.message), error._tag)
      : ofSigner(error)

/** Signs the request in a file. Says so where its target was not in the form that is signed. */
export const sign = Effect.fnUntraced(function* (
  kind: Kind,
  file: HttpFile,
  request: HttpRequest,
  options: Omit<Adcp.SignMessageOptions, "profile"> & {
    readonly version: Version
    readonly signer: Signer.Service
    /** Whether the new lines are written alone. */
    readonly fieldsOnly: boolean
  }
) {
  const { expiresIn, fieldsOnly, keyId, signer, version } = options
  const signed = yield* signings[kind](request, {
    profile: versions[version],
    keyId,
    expiresIn
  }).pipe(Effect.provideService(SignerTag, signer), Effect.mapError(notSigned))
  const canonical = asSigned(file, signed.message)
  if (fieldsOnly && canonical.head !== file.head) {
    yield* Output.warn(
      "the target is signed in its canonical form, which these lines go with: leave --fields out to see it"
    )
  }
  return { file: canonical, label: signed.label, fields: signed.fields }
})

// ---------------------------------------------------------------------------
// keys
// ---------------------------------------------------------------------------

interface StatedKey {
  readonly publicKey: PublicKey.PublicKey
  /** What the key says that it is for, where it says it. */
  readonly purpose: unknown
}

/** The key in a file, and `adcp_use` of a JWK. */
const readKey = Effect.fnUntraced(function* (path: string) {
  // Wiped, as KeyFile does it: a private key may be there by mistake
  const { bytes, mode } = yield* Effect.acquireRelease(
    Files.readSmall(path),
    ({ bytes }) => Effect.sync(() => bytes.fill(0)),
    { interruptible: true }
  )
  const form = FileForm.of(bytes)
  const publicKey = yield* KeyFile.publicKey({ ...form, path, mode })
  const jwk = form.format === "JWK" ? StrictJson.parseBytes(bytes, "jwk") : undefined
  return { publicKey, purpose: StrictJson.isRecord(jwk) ? jwk["adcp_use"] : undefined } satisfies StatedKey
})

const algorithms: ReadonlyMap<string, SignatureAlgorithm> = new Map([
  ["Ed25519", "Ed25519"],
  ["P-256", "ES256"]
])

/** The keys that are stated, as their owner publishes them. `inputs` are the other files that are read. */
export const openKeys = Effect.fnUntraced(function* (
  source: JoseKeys.VerifySource,
  kind: Kind,
  inputs: ReadonlyArray<string>
) {
  yield* JoseKeys.checkKeys(source, inputs)
  if (Option.isSome(source.jwks)) {
    const path = source.jwks.value
    return yield* Effect.mapError(Adcp.keysFromJwks(yield* JoseKeys.readJwks(path)), (error) =>
      failure(plain(`${shownPath(path)}: ${error.message}`), error._tag)
    )
  }
  const { publicKey: found, purpose }: StatedKey = yield* Option.isSome(source.key)
    ? readKey(source.key.value)
    : JoseKeys.ofStatedSigner(source)
  const algorithm = algorithms.get(found.type)
  if (algorithm === undefined) {
    return yield* fail(`AdCP signs with Ed25519 and ES256 (P-256) keys, and this is a key of ${found.type}`)
  }
  const publicKey = yield* Effect.mapError(PublicKey.withAlgorithm(found, algorithm), ofSigner)
  // One key, whatever name the message has for it
  return Adcp.AdcpKeys.of({
    resolve: (keyId) =>
      Effect.succeed({
        jwk: {
          ...Adcp.publicJwk(publicKey, { adcpUse: purposeOf(kind), keyId }),
          ...(purpose === undefined ? {} : { adcp_use: purpose })
        }
      })
  })
})

// ---------------------------------------------------------------------------
// verifying
// ---------------------------------------------------------------------------

/** The block `request_signing` in a file, or the whole answer that has one. */
export const readCapability = Effect.fnUntraced(function* (path: string) {
  const { bytes } = yield* Files.readSmall(path)
  return yield* attempt(() => StrictJson.parseBytes(bytes, "request_signing")).pipe(
    Effect.flatMap(Adcp.parseCapability),
    Effect.mapError((error) => {
      const { message, tag } = ofSigner(error)
      return failure(`${shownPath(path)}: ${message}`, tag)
    })
  )
})

/** A capability that asks for a signature whatever the request is: the operation is this one always. */
const always = { name: "any" }

const signatureRequired: Adcp.RequestSigning = {
  supported: true,
  coversContentDigest: "either",
  requiredFor: [always.name],
  warnFor: [],
  supportedFor: [],
  protocolMethodsRequiredFor: [],
  protocolMethodsWarnFor: [],
  protocolMethodsSupportedFor: []
}

/** Runs a verification with the keys, with nothing remembered and nothing revoked, and concludes where it refuses. */
const withStores = Effect.fnUntraced(function* <A>(
  verification: Effect.Effect<A, Adcp.AdcpSignatureError | ReplayStoreUnavailable, Adcp.VerifyServices>,
  keys: Adcp.AdcpKeysService
) {
  const replay = yield* Effect.mapError(MemoryReplayStore.make(), ofSigner)
  return yield* verification.pipe(
    Effect.provideService(Adcp.AdcpKeys, keys),
    Effect.provideService(ReplayStore, replay),
    Effect.provideService(RevocationStore, StaticRevocationStore.make({ keyIds: [] })),
    Effect.catch((error) =>
      error._tag === "AdcpSignatureError"
        ? JoseKeys.refuse({ reason: error.code, step: error.step }, error.message)
        : Effect.fail(failure(plain(error.message), error._tag))
    )
  )
})

const accept = Effect.fnUntraced(function* (request: HttpRequest, signed: Adcp.VerifiedSigner) {
  if (request.body !== undefined && request.body.length > 0 && signed.body === undefined) {
    yield* Output.warn("the signature does not cover the content, which may be anybody's")
  }
  const { algorithm, components, created, expires, keyId, label } = signed
  yield* (yield* Output.Json)
    ? Output.print({ valid: true, signatures: [{ label, algorithm, keyId, created, expires, covered: components }] })
    : Output.write("valid\n")
})

/** Says that nobody is known to have signed it: that is no valid signature, whatever the capability lets pass. */
const acceptUnsigned = Effect.fnUntraced(function* ({ warning }: Adcp.Unsigned) {
  if (yield* Output.Json) {
    const warned = warning === undefined ? {} : { warning: { reason: warning.code, step: warning.step } }
    yield* Output.print({ valid: false, reason: "Unsigned", ...warned })
  } else {
    yield* Output.write("unsigned\n")
    yield* Output.note(
      warning === undefined
        ? "effect-signer: it is not signed, and the capability asks for no signature"
        : `effect-signer: ${plain(warning.message)}; the capability only warns of it`
    )
  }
  return yield* new Concluded({ exitCode: exitCodes.invalidSignature })
})

/** Verifies a request and says what came of it. Without a capability it must be signed. */
export const verifyRequest = Effect.fnUntraced(function* (
  request: HttpRequest,
  version: Version,
  keys: Adcp.AdcpKeysService,
  capability: Adcp.RequestSigning | undefined
) {
  const profile = versions[version]
  const options =
    capability === undefined ? { profile, capability: signatureRequired, operation: always } : { profile, capability }
  const found = yield* withStores(Adcp.verifyRequest(request, options), keys)
  return yield* found._tag === "Signed" ? accept(request, found) : acceptUnsigned(found)
})

/** Verifies a webhook and says what came of it. */
export const verifyWebhook = Effect.fnUntraced(function* (
  request: HttpRequest,
  version: Version,
  keys: Adcp.AdcpKeysService
) {
  yield* accept(request, yield* withStores(Adcp.verifyWebhook(request, { profile: versions[version] }), keys))
})
