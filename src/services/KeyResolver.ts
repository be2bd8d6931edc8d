/**
 * Finds the public key that a message names: which key, whose it is, and what it
 * is for.
 *
 * A key id in a message is its sender's word. The resolver takes it as a question
 * only, together with what the caller knows (issuer, tenant, purpose), and its
 * answer says who signed. It answers with public keys alone: a shared secret
 * (`Mac`) never comes from here, so no public key is ever used as one.
 *
 * **Details**
 *
 * A message that names no key is accepted only where the resolver holds exactly
 * one key of that algorithm that fits.
 *
 * **Example** (Static keys of two partners)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PublicKey } from "effect-signer"
 * import * as KeyResolver from "effect-signer/KeyResolver"
 *
 * const program = (acmePem: string, globexJwks: string) =>
 *   Effect.gen(function*() {
 *     const acme = yield* PublicKey.fromPem(acmePem)
 *     return KeyResolver.firstOf([
 *       yield* KeyResolver.fromKeys([{ publicKey: acme, keyId: "acme-1", owner: "https://acme.example" }]),
 *       yield* KeyResolver.fromJwks(globexJwks, { owner: "https://globex.example" })
 *     ])
 *   })
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Jwks from "../schemas/Jwks.ts"
import type { JwksInvalid, KeyResolverError } from "../schemas/KeyResolverError.ts"
import { KeyAmbiguous, KeyMismatch, KeysUnavailable, KeyUnknown, shownKeyId } from "../schemas/KeyResolverError.ts"
import type { KeyVersion } from "../schemas/KeyVersion.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import { forKeyType } from "../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration, VendorError } from "../schemas/SignerError.ts"
import * as Signer from "./Signer.ts"

export {
  /**
   * @category errors
   * @since 0.1.0
   */
  JwksInvalid,
  /**
   * @category errors
   * @since 0.1.0
   */
  JwksReason,
  /**
   * @category errors
   * @since 0.1.0
   */
  KeyAmbiguous,
  /**
   * @category errors
   * @since 0.1.0
   */
  KeyMismatch,
  /**
   * @category errors
   * @since 0.1.0
   */
  KeyResolverError,
  /**
   * @category errors
   * @since 0.1.0
   */
  KeyRevoked,
  /**
   * @category errors
   * @since 0.1.0
   */
  KeysUnavailable,
  /**
   * @category errors
   * @since 0.1.0
   */
  KeysUnavailableReason,
  /**
   * @category errors
   * @since 0.1.0
   */
  KeyUnknown,
  /**
   * @category errors
   * @since 0.1.0
   */
  RevocationStale,
  /**
   * @category errors
   * @since 0.1.0
   */
  RevocationStaleReason
} from "../schemas/KeyResolverError.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What is asked: what the message claims, and what the caller knows.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyRequest {
  /** How the message names the key: `kid`, `keyid`. An attacker's text. */
  readonly keyId?: string | undefined
  /** The algorithm that the message claims. It chooses among keys of a message that names none, and nothing else. */
  readonly algorithm?: SignatureAlgorithm | undefined
  /**
   * Whose key it must be: the issuer that the caller expects. A key of another owner
   * does not fit; one that states no owner does, because its resolver serves one only.
   */
  readonly issuer?: string | undefined
  /** The tenant it must be for. A key that states no tenant does not fit. */
  readonly tenant?: string | undefined
  /** What it must be for. A key that states no purpose does not fit. */
  readonly purpose?: string | undefined
}

/**
 * The answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResolvedKey {
  /** The key, for one algorithm: stated with it where its type allows several. Keep the object: it is parsed once. */
  readonly publicKey: PublicKey.PublicKey
  /** The key id that was asked for, or that of the one key that fits. */
  readonly keyId: string
  /** Whose key it is: for tokens, the issuer. Absent where the resolver serves one owner only. */
  readonly owner?: string | undefined
  readonly tenant?: string | undefined
  readonly purpose?: string | undefined
}

/**
 * A static key.
 *
 * @category models
 * @since 0.1.0
 */
export interface Key {
  /** Its algorithm must be stated where its type allows several: RSA and secp256k1. */
  readonly publicKey: PublicKey.PublicKey
  /** Default: the RFC 7638 thumbprint. */
  readonly keyId?: string | undefined
  readonly owner?: string | undefined
  readonly tenant?: string | undefined
  readonly purpose?: string | undefined
}

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * Finds the key for a message.
 *
 * @category services
 * @since 0.1.0
 */
export class KeyResolver extends Context.Service<
  KeyResolver,
  { readonly resolve: (request: KeyRequest) => Effect.Effect<ResolvedKey, KeyResolverError> }
>()("effect-signer/KeyResolver") {}

/**
 * What a {@link KeyResolver} is, as a value.
 *
 * @category models
 * @since 0.1.0
 */
export type Service = KeyResolver["Service"]

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const named = (keyId: string | undefined) => (keyId === undefined ? {} : { keyId: shownKeyId(keyId) })

const unknown = (request: KeyRequest) => Effect.fail(new KeyUnknown(named(request.keyId)))

/**
 * Whether what a key states is what was asked for.
 *
 * @internal
 */
export const fits = (request: KeyRequest, key: Omit<Key, "publicKey">): boolean =>
  (request.issuer === undefined || key.owner === undefined || key.owner === request.issuer) &&
  (request.tenant === undefined || key.tenant === request.tenant) &&
  (request.purpose === undefined || key.purpose === request.purpose)

/**
 * A resolver from a function, which may be wrong: an answer with another key id
 * than the one asked for, for another issuer, tenant or purpose, or whose
 * one algorithm is not certain, is a {@link KeyMismatch}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (resolve: (request: KeyRequest) => Effect.Effect<ResolvedKey, KeyResolverError>): Service =>
  KeyResolver.of({
    resolve: (request) =>
      Effect.flatMap(resolve(request), (key) => {
        const problem =
          request.keyId !== undefined && key.keyId !== request.keyId
            ? "the resolver answered with another key id than the one it was asked for"
            : !fits(request, key)
              ? "the resolver answered with a key of another issuer, tenant or purpose"
              : key.publicKey.algorithm === undefined && forKeyType(key.publicKey.type).length > 1
                ? "the resolver answered with a key whose algorithm is not stated"
                : undefined
        return problem === undefined
          ? Effect.succeed(key)
          : Effect.fail(new KeyMismatch({ ...named(request.keyId), problem }))
      })
  })

/** Whether two answers say the same of a message: the key, its algorithm, and whose it is. */
const isSame = (a: ResolvedKey, b: ResolvedKey) =>
  PublicKey.sameKey(a.publicKey, b.publicKey) &&
  a.publicKey.algorithm === b.publicKey.algorithm &&
  a.owner === b.owner &&
  a.tenant === b.tenant &&
  a.purpose === b.purpose

/** Looks keys up by their id; keys of several owners may share one. */
const ofEntries = (entries: ReadonlyArray<ResolvedKey>): Service => {
  const byKeyId = Map.groupBy(entries, (entry) => entry.keyId)
  return KeyResolver.of({
    resolve: (request) => {
      const candidates =
        request.keyId === undefined
          ? entries.filter(
              ({ publicKey }) => request.algorithm === undefined || publicKey.algorithm === request.algorithm
            )
          : (byKeyId.get(request.keyId) ?? [])
      const fitting = candidates
        .filter((entry) => fits(request, entry))
        // one key that has two key ids is still one key
        .filter((entry, index, all) => !all.slice(0, index).some((other) => isSame(other, entry)))
      if (fitting.length === 0) return unknown(request)
      return fitting.length === 1
        ? Effect.succeed(fitting[0]!)
        : Effect.fail(new KeyAmbiguous({ ...named(request.keyId), count: fitting.length }))
    }
  })
}

const entryOf = Effect.fnUntraced(function* (key: Key): Effect.fn.Return<ResolvedKey, InvalidConfiguration> {
  const algorithm = yield* PublicKey.resolveAlgorithm(key.publicKey)
  const publicKey = yield* PublicKey.withAlgorithm(key.publicKey, algorithm)
  return { ...key, publicKey, keyId: key.keyId ?? PublicKey.thumbprint(publicKey) }
})

/**
 * A resolver of keys that do not change.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where a key does not state its one algorithm,
 * and where two keys of the same owner and tenant have one key id.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromKeys = Effect.fnUntraced(function* (
  keys: ReadonlyArray<Key>
): Effect.fn.Return<Service, InvalidConfiguration> {
  const entries: Array<ResolvedKey> = []
  for (const [index, key] of keys.entries()) {
    const entry = yield* Effect.mapError(entryOf(key), (error) =>
      InvalidConfiguration.of({ field: `keys[${index}].publicKey`, problem: error.problem })
    )
    const isTaken = entries.some(
      (other) => other.keyId === entry.keyId && other.owner === entry.owner && other.tenant === entry.tenant
    )
    if (isTaken) {
      return yield* InvalidConfiguration.of({
        field: `keys[${index}].keyId`,
        problem: "another key of the same owner and tenant has this key id"
      })
    }
    entries.push(entry)
  }
  return ofEntries(entries)
})

/**
 * Options of {@link fromJwks}.
 *
 * @category models
 * @since 0.1.0
 */
export interface JwksOptions {
  /**
   * Accept these algorithms only. Needed where a key of the set states no `alg` and
   * its type allows several: an RSA key without `alg` is for the one RSA algorithm
   * that is listed.
   */
  readonly algorithms?: ReadonlyArray<SignatureAlgorithm> | undefined
  /**
   * What becomes of keys that are plainly for something else: `use` or `key_ops`
   * of encryption, an unknown `kty`, `crv` or `alg`. Default `"refuse"`. Private,
   * symmetric, weak and malformed keys are refused always.
   */
  readonly foreignKeys?: "refuse" | "ignore" | undefined
  readonly owner?: string | undefined
  readonly tenant?: string | undefined
  readonly purpose?: string | undefined
}

/**
 * A resolver of a JWK Set: JSON as text or bytes, or parsed already.
 *
 * **Details**
 *
 * Strict: at most 64 KiB and 100 keys, no JSON member twice, no `kid` twice, no
 * private or symmetric members, `use`, `key_ops`, `alg` and curve must agree, RSA
 * of 2048 bits or more. One wrong key refuses the whole set, with a `JwksInvalid`
 * that names it. A key without `kid` is named by its RFC 7638 thumbprint.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromJwks = (jwks: unknown, options: JwksOptions = {}): Effect.Effect<Service, JwksInvalid> => {
  const { owner, purpose, tenant } = options
  return Effect.map(Jwks.read(jwks, options), (keys) =>
    ofEntries(
      keys.map(({ keyId, publicKey }) => ({
        publicKey,
        keyId: keyId ?? PublicKey.thumbprint(publicKey),
        owner,
        tenant,
        purpose
      }))
    )
  )
}

/**
 * A key of our own: a Signer, and how messages name it.
 *
 * @category models
 * @since 0.1.0
 */
export interface OwnKey {
  readonly signer: Signer.Service
  /** Default: the RFC 7638 thumbprint of each of its public keys. */
  readonly keyId?: string | undefined
  /** Older versions whose messages are still accepted, beside the current one. Their key ids are thumbprints. */
  readonly versions?: ReadonlyArray<KeyVersion> | undefined
  readonly owner?: string | undefined
  readonly tenant?: string | undefined
}

const unavailable = (error: SignerError) =>
  new KeysUnavailable({
    problem: `the public key of ${error.backend} cannot be read: ${error._tag}`,
    ...(error.cause instanceof VendorError ? { cause: error.cause } : {})
  })

/**
 * A resolver of the project's own keys, to verify what its Signers signed.
 *
 * **Details**
 *
 * Asks the Signers for their public keys at each call, which they have cached, so
 * it follows a rotation as they do. The purpose of a key is that of its Signer. A
 * Signer that cannot say its public key is {@link KeysUnavailable}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSigners = (keys: ReadonlyArray<OwnKey>): Service => {
  const asked = keys.flatMap((key) => [undefined, ...(key.versions ?? [])].map((version) => ({ key, version })))
  let last: { readonly publicKeys: ReadonlyArray<PublicKey.PublicKey>; readonly service: Service } | undefined
  const current = Effect.gen(function* () {
    const publicKeys = yield* Effect.mapError(
      Effect.forEach(asked, ({ key, version }) => key.signer.publicKey(version)),
      unavailable
    )
    if (last !== undefined && publicKeys.every((publicKey, index) => publicKey === last!.publicKeys[index])) {
      return last.service
    }
    const entries = asked.map(({ key, version }, index): ResolvedKey => {
      const publicKey = publicKeys[index]!
      return {
        publicKey,
        keyId: (version === undefined ? key.keyId : undefined) ?? PublicKey.thumbprint(publicKey),
        owner: key.owner,
        tenant: key.tenant,
        purpose: key.signer.purpose
      }
    })
    // The current version may be one of those named, too
    const distinct = entries.filter(
      (entry, index) => !entries.slice(0, index).some((other) => other.keyId === entry.keyId && isSame(other, entry))
    )
    const service = ofEntries(distinct)
    last = { publicKeys, service }
    return service
  })
  return KeyResolver.of({ resolve: (request) => Effect.flatMap(current, (service) => service.resolve(request)) })
}

// ---------------------------------------------------------------------------
// combinators
// ---------------------------------------------------------------------------

/**
 * Asks resolvers in turn: the first that knows the key answers.
 *
 * **Details**
 *
 * One that does not know the key, or has no keys now, is passed over; if nobody
 * knows it, an unavailable one is the reason (`KeysUnavailable`, which may be
 * retried). A message that names no key is put to all of them: exactly one key of
 * all must fit.
 *
 * @category combinators
 * @since 0.1.0
 */
export const firstOf = (resolvers: ReadonlyArray<Service>): Service =>
  KeyResolver.of({
    resolve: Effect.fnUntraced(function* (request) {
      const found: Array<ResolvedKey> = []
      let missing: KeysUnavailable | undefined
      for (const resolver of resolvers) {
        const outcome = yield* Effect.result(resolver.resolve(request))
        if (Result.isSuccess(outcome)) {
          if (request.keyId !== undefined) return outcome.success
          if (!found.some((key) => isSame(key, outcome.success))) found.push(outcome.success)
        } else if (outcome.failure._tag === "KeysUnavailable") {
          missing ??= outcome.failure
        } else if (outcome.failure._tag !== "KeyUnknown") {
          return yield* outcome.failure
        }
      }
      if (missing !== undefined) return yield* missing
      if (found.length > 1) return yield* new KeyAmbiguous({ count: found.length })
      return found[0] ?? (yield* unknown(request))
    })
  })

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides a resolver of static keys.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerKeys = (keys: ReadonlyArray<Key>): Layer.Layer<KeyResolver, InvalidConfiguration> =>
  Layer.effect(KeyResolver, fromKeys(keys))

/**
 * Provides a resolver of a JWK Set.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerJwks = (jwks: unknown, options?: JwksOptions): Layer.Layer<KeyResolver, JwksInvalid> =>
  Layer.effect(KeyResolver, fromJwks(jwks, options))

/**
 * Provides a resolver of the key of the `Signer` in the environment: to verify
 * what this program signs.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSigner = (options?: Omit<OwnKey, "signer">): Layer.Layer<KeyResolver, never, Signer.Signer> =>
  Layer.effect(
    KeyResolver,
    Effect.map(Signer.Signer, (signer) => fromSigners([{ ...options, signer }]))
  )
