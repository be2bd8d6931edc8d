/**
 * JSON Web Signatures (RFC 7515), with any key: signing needs a `Signer`,
 * verifying a `KeyResolver`, and nothing else.
 *
 * **Details**
 *
 * - Compact, flattened and general form, the last with several signers; detached
 *   payloads (RFC 7515 appendix F) and unencoded ones (RFC 7797).
 * - The algorithm is that of the key. What the message says about it is compared,
 *   never obeyed: `none` does not exist here, and symmetric algorithms only in the
 *   functions that take a `Mac`.
 * - Strict: base64url in its one form, no JSON member twice, nothing critical that
 *   is not understood, bounded lengths.
 * - Keys come from the resolver only: `jwk`, `jku`, `x5c` and `x5u` of a message
 *   are never followed.
 *
 * **Gotchas**
 *
 * The text of a token is no identity: an ECDSA signature can be changed into
 * another valid one. Use a claim or a digest of the payload.
 *
 * **Example** (Signing, and verifying with the same key)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LocalSigner } from "effect-signer"
 * import * as Jws from "effect-signer/Jws"
 * import * as KeyResolver from "effect-signer/KeyResolver"
 *
 * const program = Effect.gen(function*() {
 *   const token = yield* Jws.sign(new TextEncoder().encode("hello"), { typ: "greeting" })
 *   const { key, payload } = yield* Jws.verify(token, { typ: "greeting" })
 *   return [key.keyId, new TextDecoder().decode(payload)]
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
import type * as Schema from "effect/Schema"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import type { KeyAmbiguous, KeyUnknown, ResolvedKey, Service } from "../services/KeyResolver.ts"
import { KeyResolver } from "../services/KeyResolver.ts"
import type * as Mac from "../services/Mac.ts"
import * as Signer from "../services/Signer.ts"
import type { VerifyError } from "./jose/JwsCheck.ts"
import { check, checkMac, macAlgorithms } from "./jose/JwsCheck.ts"
import type { JwsInvalid } from "./jose/JwsInvalid.ts"
import type { Opened, OpenOptions } from "./jose/JwsReader.ts"
import { attempt, openCompact, openFlattened, openGeneral } from "./jose/JwsReader.ts"
import type { FlattenedJws, FlattenedOptions, HeaderOptions, SignOptions } from "./jose/JwsWriter.ts"
import {
  compact,
  flattened,
  headerMember,
  headerProblem,
  misconfigured,
  preparePayload,
  sealMac,
  sealSigner
} from "./jose/JwsWriter.ts"

export type {
  /**
   * @category errors
   * @since 0.1.0
   */
  VerifyError
} from "./jose/JwsCheck.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  FlattenedJws,
  /**
   * @category models
   * @since 0.1.0
   */
  FlattenedOptions,
  /**
   * @category models
   * @since 0.1.0
   */
  HeaderOptions,
  /**
   * @category models
   * @since 0.1.0
   */
  SignOptions
} from "./jose/JwsWriter.ts"

export {
  /**
   * @category errors
   * @since 0.1.0
   */
  JwsInvalid,
  /**
   * @category errors
   * @since 0.1.0
   */
  JwsReason
} from "./jose/JwsInvalid.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * A JWS with several signatures, as JSON (RFC 7515 section 7.2.1).
 *
 * @category models
 * @since 0.1.0
 */
export interface GeneralJws {
  readonly payload?: string
  readonly signatures: ReadonlyArray<Omit<FlattenedJws, "payload">>
}

/**
 * One of the signers of {@link signGeneral}, and its header: a Signer, or a Mac.
 *
 * @category models
 * @since 0.1.0
 */
export type Party = HeaderOptions & {
  readonly unprotected?: Schema.JsonObject | undefined
} & (
    | { readonly signer: Signer.Service; readonly mac?: undefined }
    | { readonly mac: Mac.Service; readonly signer?: undefined }
  )

/**
 * Options of {@link verify}.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyOptions extends OpenOptions {
  /** Whose key it must be. */
  readonly issuer?: string | undefined
  /** The tenant the key must be for. */
  readonly tenant?: string | undefined
  /** What the key must be for. */
  readonly purpose?: string | undefined
}

/**
 * Options of {@link verifyGeneral}.
 *
 * @category models
 * @since 0.1.0
 */
export interface GeneralOptions extends VerifyOptions {
  /** Whether every signature must verify, or one. Default `"all"`. */
  readonly policy?: "all" | "any" | undefined
  /** Shared secrets, for signatures by `HS256`, `HS384` and `HS512`. Default: none, and those are refused. */
  readonly macs?: ReadonlyArray<Mac.Service> | undefined
}

/**
 * The header of a JWS whose signature is verified.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifiedHeader {
  readonly protectedHeader: Schema.JsonObject
  /** What the signature does not cover: anybody may have changed it. */
  readonly unprotectedHeader: Schema.JsonObject | undefined
}

/**
 * A JWS whose signature is verified, and by whose key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verified extends VerifiedHeader {
  readonly payload: Uint8Array
  readonly key: ResolvedKey
}

/**
 * A JWS whose MAC is verified, and with which secret.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifiedMac extends VerifiedHeader {
  readonly payload: Uint8Array
  readonly mac: Mac.Service
}

/**
 * One signature of a general JWS that verifies.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifiedSignature extends VerifiedHeader {
  /** Absent where a MAC was verified. */
  readonly key: ResolvedKey | undefined
  /** Absent where a signature was verified. */
  readonly mac: Mac.Service | undefined
}

/**
 * A general JWS that meets the policy: its payload, and what came of each
 * signature, in order.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifiedGeneral {
  readonly payload: Uint8Array
  readonly signatures: ReadonlyArray<Result.Result<VerifiedSignature, VerifyError>>
}

// ---------------------------------------------------------------------------
// signing
// ---------------------------------------------------------------------------

/**
 * Signs a payload, in the compact form.
 *
 * **Details**
 *
 * The payload is copied. `kid` is the thumbprint of the key that signed, also
 * where the key is rotated meanwhile. Fails with `UnsupportedAlgorithm` for keys
 * that JOSE has no name for (BIP340), and with `InvalidConfiguration` for options
 * that contradict each other.
 *
 * @category signing
 * @since 0.1.0
 */
export const sign = (
  payload: Uint8Array,
  options: SignOptions = {}
): Effect.Effect<string, SignerError, Signer.Signer> =>
  Signer.Signer.use((signer) => compact(payload, options, (prepared) => sealSigner(signer, prepared, options)))

/**
 * Signs a payload, in the flattened JSON form.
 *
 * @category signing
 * @since 0.1.0
 */
export const signFlattened = (
  payload: Uint8Array,
  options: FlattenedOptions = {}
): Effect.Effect<FlattenedJws, SignerError, Signer.Signer> =>
  Signer.Signer.use((signer) => flattened(payload, options, (prepared) => sealSigner(signer, prepared, options)))

/**
 * Signs a payload with several keys, in the general JSON form, one after the
 * other. If one fails there is no JWS.
 *
 * @category signing
 * @since 0.1.0
 */
export const signGeneral = (
  payload: Uint8Array,
  parties: readonly [Party, ...ReadonlyArray<Party>],
  options: Pick<SignOptions, "detached" | "unencoded"> = {}
): Effect.Effect<GeneralJws, SignerError> =>
  Effect.suspend(() => {
    if (parties.length === 0) return Effect.fail(misconfigured("parties", "at least one must sign"))
    const problem = parties.map(headerProblem).find((problem) => problem !== undefined)
    if (problem !== undefined) return Effect.fail(problem)
    const prepared = preparePayload(payload, options, "json")
    if (prepared instanceof InvalidConfiguration) return Effect.fail(prepared)
    return Effect.map(
      Effect.forEach(parties, (party) =>
        Effect.map(
          party.signer === undefined ? sealMac(party.mac, prepared, party) : sealSigner(party.signer, prepared, party),
          (sealed) => ({
            protected: sealed.protected,
            ...headerMember(party.unprotected),
            signature: sealed.signature
          })
        )
      ),
      (signatures) => ({ ...(options.detached === true ? undefined : { payload: prepared.text }), signatures })
    )
  })

/**
 * Writes a compact JWS with a MAC: for two parties that share a secret.
 *
 * @category shared secrets
 * @since 0.1.0
 */
export const signMac = (
  payload: Uint8Array,
  mac: Mac.Service,
  options: Omit<SignOptions, "purpose" | "ed25519"> = {}
): Effect.Effect<string, InvalidConfiguration> =>
  compact(payload, options, (prepared) => sealMac(mac, prepared, options))

/**
 * Writes a flattened JWS with a MAC.
 *
 * @category shared secrets
 * @since 0.1.0
 */
export const signMacFlattened = (
  payload: Uint8Array,
  mac: Mac.Service,
  options: Omit<FlattenedOptions, "purpose" | "ed25519"> = {}
): Effect.Effect<FlattenedJws, InvalidConfiguration> =>
  flattened(payload, options, (prepared) => sealMac(mac, prepared, options))

// ---------------------------------------------------------------------------
// verifying
// ---------------------------------------------------------------------------

const headersOf = ({ header }: Opened): VerifiedHeader => ({
  protectedHeader: header.protectedHeader as Schema.JsonObject,
  unprotectedHeader: header.unprotectedHeader as Schema.JsonObject | undefined
})

const verifyOpened = (open: () => Opened, options: VerifyOptions) =>
  KeyResolver.use((resolver) =>
    Effect.flatMap(attempt(open), (opened) =>
      Effect.map(check(resolver, opened, options), (key): Verified => ({
        payload: opened.payload,
        ...headersOf(opened),
        key
      }))
    )
  )

/**
 * Verifies a compact JWS.
 *
 * **Details**
 *
 * The key is the one that the `KeyResolver` answers with for `kid`; `alg` must be
 * its algorithm. A high-S ECDSA signature is valid in JOSE.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verify = (token: string, options: VerifyOptions = {}): Effect.Effect<Verified, VerifyError, KeyResolver> =>
  verifyOpened(() => openCompact(token, options), options)

/**
 * Verifies a flattened JWS: its JSON text, or parsed already. Of a parsed one
 * nobody can tell whether a member stood in it twice: give the text.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verifyFlattened = (
  jws: string | FlattenedJws,
  options: VerifyOptions = {}
): Effect.Effect<Verified, VerifyError, KeyResolver> => verifyOpened(() => openFlattened(jws, options), options)

/**
 * Verifies a general JWS: its JSON text, or parsed already.
 *
 * **Details**
 *
 * With the policy `"all"` it fails with what is wrong with the first signature
 * that does not verify; with `"any"`, if none does. The answer says what came of
 * each, so that a caller can ask for particular signers.
 *
 * **Gotchas**
 *
 * Two signatures may be by one key: compare `key.keyId` before you count them.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verifyGeneral = (
  jws: string | GeneralJws,
  options: GeneralOptions = {}
): Effect.Effect<VerifiedGeneral, VerifyError, KeyResolver> =>
  KeyResolver.use(
    Effect.fnUntraced(function* (resolver): Effect.fn.Return<VerifiedGeneral, VerifyError> {
      const outcomes = yield* attempt(() => openGeneral(jws, options))
      let payload: Uint8Array | undefined
      let first: VerifyError | undefined
      const signatures: Array<Result.Result<VerifiedSignature, VerifyError>> = []
      for (const outcome of outcomes) {
        const verified = Result.isFailure(outcome)
          ? Result.fail(outcome.failure)
          : yield* Effect.result(checkEither(resolver, outcome.success, options))
        if (Result.isFailure(verified)) first ??= verified.failure
        else if (Result.isSuccess(outcome)) payload ??= outcome.success.payload
        signatures.push(verified)
      }
      const isEnough = options.policy === "any" ? payload !== undefined : first === undefined
      if (isEnough && payload !== undefined) return { payload, signatures }
      return yield* first!
    })
  )

const checkEither = (
  resolver: Service,
  opened: Opened,
  options: GeneralOptions
): Effect.Effect<VerifiedSignature, VerifyError> =>
  options.macs !== undefined && macAlgorithms.has(opened.header.alg)
    ? Effect.map(checkMac(options.macs, opened), (mac) => ({ ...headersOf(opened), key: undefined, mac }))
    : Effect.map(check(resolver, opened, options), (key) => ({ ...headersOf(opened), key, mac: undefined }))

const verifyMacOpened = (open: () => Opened, macs: Mac.Service | ReadonlyArray<Mac.Service>) =>
  Effect.suspend(() =>
    Effect.flatMap(attempt(open), (opened) =>
      Effect.map(checkMac(Array.isArray(macs) ? macs : [macs as Mac.Service], opened), (mac): VerifiedMac => ({
        payload: opened.payload,
        ...headersOf(opened),
        mac
      }))
    )
  )

/**
 * Verifies a compact JWS with a MAC.
 *
 * **Details**
 *
 * Of several secrets `kid` chooses; without one, exactly one must be for the
 * algorithm.
 *
 * @category shared secrets
 * @since 0.1.0
 */
export const verifyMac = (
  token: string,
  macs: Mac.Service | ReadonlyArray<Mac.Service>,
  options: Omit<VerifyOptions, "issuer" | "tenant" | "purpose"> = {}
): Effect.Effect<VerifiedMac, JwsInvalid | KeyUnknown | KeyAmbiguous> =>
  verifyMacOpened(() => openCompact(token, options), macs)

/**
 * Verifies a flattened JWS with a MAC.
 *
 * @category shared secrets
 * @since 0.1.0
 */
export const verifyMacFlattened = (
  jws: string | FlattenedJws,
  macs: Mac.Service | ReadonlyArray<Mac.Service>,
  options: Omit<VerifyOptions, "issuer" | "tenant" | "purpose"> = {}
): Effect.Effect<VerifiedMac, JwsInvalid | KeyUnknown | KeyAmbiguous> =>
  verifyMacOpened(() => openFlattened(jws, options), macs)
