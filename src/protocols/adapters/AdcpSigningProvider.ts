/**
 * The `SigningProvider` of `@adcp/sdk`: requests and webhooks of AdCP signed with a
 * key elsewhere.
 *
 * **Details**
 *
 * The functions of the SDK that take a provider (`signRequestAsync`,
 * `signWebhookAsync`, `createSigningFetchAsync`, `signerProvider` of the webhook
 * emitter) take this. Signatures are in its form: 64 bytes of Ed25519, or `r‖s` of
 * ECDSA with P-256, whatever the backend answers.
 *
 * A provider has one purpose, which is that of the Signer: it signs signature bases
 * of RFC 9421 that name its key, its algorithm and a tag of that purpose, and
 * rejects everything else. A key for requests serves webhooks, too.
 *
 * **Gotchas**
 *
 * `keyid` names one key. A signature by another version, after the key was rotated,
 * rejects: make a provider with the name of the new key. Publish {@link publicJwk}
 * first.
 *
 * **Example** (A provider for `signRequestAsync`)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LocalSigner, PrivateKey } from "effect-signer"
 * import * as AdcpSigningProvider from "effect-signer/AdcpSigningProvider"
 *
 * const program = Effect.gen(function*() {
 *   // signRequestAsync(request, provider)
 *   return yield* AdcpSigningProvider.make({ keyId: "buyer-2026", adcpUse: "request-signing" })
 * })
 *
 * // AwsKmsSigner.layer({ keyId: "alias/adcp-requests", purpose: "request-signing" })
 * const SignerLive = LocalSigner.layer({ privateKey: PrivateKey.generate("Ed25519"), purpose: "request-signing" })
 *
 * const provider = Effect.runPromise(Effect.provide(program, SignerLive))
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { primitives } from "#primitives"
import * as Base64Url from "../../schemas/Base64Url.ts"
import { isBytes } from "../../schemas/Bytes.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import { facts } from "../../schemas/SignatureAlgorithm.ts"
import type { Signature } from "../../schemas/Signature.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import * as Signer from "../../services/Signer.ts"
import { AdcpUse } from "../adcp/AdcpJwk.ts"
import { checkAlgorithm, misconfigured, run, signAs } from "./Adapter.ts"
import * as SignatureBaseGuard from "./SignatureBaseGuard.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  AdcpJwk
} from "../adcp/AdcpJwk.ts"

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
} from "../adcp/AdcpJwk.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * The algorithms of AdCP, by their names in RFC 9421.
 *
 * @category models
 * @since 0.1.0
 */
export type AdcpAlgorithm = "ed25519" | "ecdsa-p256-sha256"

/**
 * The `SigningProvider` of `@adcp/sdk`. What fails rejects with a `SignerError`.
 *
 * @category models
 * @since 0.1.0
 */
export interface AdcpSigningProvider {
  /** Signs a signature base of RFC 9421. */
  readonly sign: (payload: Uint8Array) => Promise<Uint8Array>
  readonly keyid: string
  readonly algorithm: AdcpAlgorithm
  /** The one purpose of the key; absent where the Signer has none. */
  readonly adcpUse?: AdcpUse
  /** Tells keys apart in caches, the same in every process. A hash: it shows no name of the backend. */
  readonly fingerprint: string
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** `kid` of the published JWK. Default: the RFC 7638 thumbprint of the key. Needed where `lazy`. */
  readonly keyId?: string | undefined
  /** Refuse a Signer of another algorithm, with {@link AdcpAlgorithmMismatch}. */
  readonly algorithm?: AdcpAlgorithm | undefined
  /** What the key must be for: a Signer of another purpose, or of none, is refused. Default: the purpose of the Signer. */
  readonly adcpUse?: AdcpUse | undefined
  /**
   * Read the public key with the first signature, not now. A failure is not kept: the
   * next signature reads it again.
   */
  readonly lazy?: boolean | undefined
}

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * The key signs with another algorithm than was stated.
 *
 * @category errors
 * @since 0.1.0
 */
export class AdcpAlgorithmMismatch extends Schema.TaggedError<AdcpAlgorithmMismatch>(
  "effect-signer/AdcpAlgorithmMismatch"
)("AdcpAlgorithmMismatch", {
  expected: Schema.String,
  /** The algorithm of the key: its name in RFC 9421, or ours where it has none there. */
  actual: Schema.String,
  /** The stated key id, or `"-"`. */
  keyId: Schema.String
}) {
  /** As `@adcp/sdk` names it. */
  readonly code = "signing_provider_algorithm_mismatch"

  override get message() {
    return `AdcpAlgorithmMismatch: the key ${this.keyId} signs with ${this.actual}, and ${this.expected} was stated`
  }
}

// ---------------------------------------------------------------------------
// purposes
// ---------------------------------------------------------------------------

const isUse = Schema.is(AdcpUse)

const requestTag = "adcp/request-signing/v1"
const webhookTag = "adcp/webhook-signing/v1"

/** The tags that a key of each purpose signs. The other purposes are those of tokens (JWS), which `Jws` signs. */
const tagsOf: { readonly [use in AdcpUse]?: ReadonlyArray<string> } = {
  "request-signing": [requestTag, webhookTag],
  "webhook-signing": [webhookTag],
  "response-signing": ["adcp/response-signing/v1"]
}

const tagsOfAny = [requestTag, webhookTag]

/** The purpose of a provider, or why it has none that AdCP knows. */
const useOf = (
  purpose: string | undefined,
  stated: AdcpUse | undefined
): AdcpUse | undefined | InvalidConfiguration => {
  const invalid = (problem: string) => InvalidConfiguration.of({ operation: "make", field: "adcpUse", problem })
  if (stated !== undefined && !isUse(stated)) return invalid(`must be one of ${AdcpUse.literals.join(", ")}`)
  if (stated !== undefined && purpose !== stated) return invalid(`the Signer is not for ${stated}`)
  if (purpose === undefined) return undefined
  if (!isUse(purpose)) return invalid("the Signer is for something else than AdCP")
  return tagsOf[purpose] === undefined ? invalid(`keys for ${purpose} sign no HTTP messages: use Jws`) : purpose
}

/** Visible ASCII: `keyid` is a string of RFC 8941, between quotes. */
const isKeyId = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/

const notASignatureBase = (problem: string) => misconfigured("payload", problem)

/** What is wrong with what the SDK asks to be signed. */
const payloadProblem = (
  payload: Uint8Array,
  { adcpUse, algorithm, keyid }: Pick<AdcpSigningProvider, "adcpUse" | "algorithm" | "keyid">
): InvalidConfiguration | undefined => {
  const stated = SignatureBaseGuard.read(payload)
  if (stated === undefined) return notASignatureBase("expected a signature base of RFC 9421: nothing else is signed")
  if (stated.keyId !== keyid) return notASignatureBase("it states another keyid than that of this provider")
  if (stated.alg !== algorithm) return notASignatureBase("it states another alg than that of the key")
  const tags = (adcpUse === undefined ? undefined : tagsOf[adcpUse]) ?? tagsOfAny
  return stated.tag !== undefined && tags.includes(stated.tag)
    ? undefined
    : notASignatureBase(`its tag is not one of this key: ${tags.join(", ")}`)
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const algorithms = ["Ed25519", "ES256"] as const

const utf8 = new TextEncoder()

/** Of the public key; of a key that was not read yet, of its names. */
const fingerprintOf = (parts: ReadonlyArray<string>): string =>
  Base64Url.encode(primitives.digest("SHA-256", utf8.encode(JSON.stringify(["effect-signer/adcp", ...parts]))))

/**
 * Makes a `SigningProvider` of `@adcp/sdk` with the Signer of the context.
 *
 * **Details**
 *
 * The public key is read now, so that a wrong key or a missing permission fails
 * here; with `lazy`, with the first signature. The algorithm is checked now in any
 * case.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<AdcpSigningProvider, SignerError | AdcpAlgorithmMismatch, Signer.Signer> {
  const signer = yield* Signer.Signer
  const { httpSignature } = facts[signer.algorithm]
  if (options.algorithm !== undefined && options.algorithm !== httpSignature) {
    const { algorithm: expected, keyId = "-" } = options
    return yield* new AdcpAlgorithmMismatch({ expected, actual: httpSignature ?? signer.algorithm, keyId })
  }
  yield* checkAlgorithm(signer, { library: "AdCP", algorithms })
  const adcpUse = useOf(signer.purpose, options.adcpUse)
  if (typeof adcpUse === "object") return yield* adcpUse
  if (options.keyId !== undefined && !isKeyId.test(options.keyId)) {
    return yield* InvalidConfiguration.of({
      operation: "make",
      field: "keyId",
      problem: "must be 1 to 256 visible ASCII characters, without quotes and backslashes"
    })
  }
  if (options.lazy === true && options.keyId === undefined) {
    return yield* InvalidConfiguration.of({
      operation: "make",
      field: "keyId",
      problem: "must be stated where lazy: the thumbprint of a key is known only when the key is read"
    })
  }
  const known = options.lazy === true ? undefined : yield* signer.publicKey()
  const toPromise = yield* run
  const keyid = options.keyId ?? PublicKey.thumbprint(known!)
  const algorithm = httpSignature as AdcpAlgorithm

  // The key that keyid names: the first that was read
  let named = known
  const sign = (payload: Uint8Array): Effect.Effect<Signature, SignerError> =>
    Effect.flatMap(named === undefined ? signer.publicKey() : Effect.succeed(named), (key) => {
      named ??= key
      return signAs(signer, named)(payload)
    })

  return {
    sign: async (payload) => {
      // Once: what was checked is what is signed
      const owned = isBytes(payload) ? new Uint8Array(payload) : undefined
      return toPromise(
        Effect.suspend(() => {
          const problem =
            owned === undefined
              ? notASignatureBase("expected a Uint8Array")
              : payloadProblem(owned, { keyid, algorithm, ...(adcpUse === undefined ? undefined : { adcpUse }) })
          return problem === undefined
            ? Effect.map(sign(owned!), ({ bytes }) => new Uint8Array(bytes))
            : Effect.fail(problem)
        })
      )
    },
    keyid,
    algorithm,
    ...(adcpUse === undefined ? undefined : { adcpUse }),
    fingerprint:
      known === undefined
        ? fingerprintOf([signer.backend, signer.keyId, keyid])
        : fingerprintOf([PublicKey.thumbprint(known), keyid])
  }
})
