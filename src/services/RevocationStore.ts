/**
 * Says which keys, and which tokens, do not count any more.
 *
 * A store that does not know fails ({@link RevocationStale}), and what it was asked
 * for is refused.
 *
 * **Example** (A resolver that refuses keys which are revoked)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PublicKey } from "effect-signer"
 * import * as KeyResolver from "effect-signer/KeyResolver"
 * import * as RevocationStore from "effect-signer/RevocationStore"
 * import * as StaticRevocationStore from "effect-signer/StaticRevocationStore"
 *
 * const program = (pem: string) =>
 *   Effect.gen(function*() {
 *     const publicKey = yield* PublicKey.fromPem(pem)
 *     const known = yield* KeyResolver.fromKeys([{ publicKey, keyId: "acme-1" }])
 *     const revoked = StaticRevocationStore.make({ keyIds: ["acme-1"] })
 *     return yield* RevocationStore.refusing(known, revoked).resolve({ keyId: "acme-1" })
 *   }).pipe(Effect.catchTag("KeyRevoked", ({ keyId }) => Effect.succeed(`${keyId} is revoked`)))
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type { KeyRevoked, RevocationStale } from "../schemas/KeyResolverError.ts"
import * as KeyResolver from "./KeyResolver.ts"

export {
  /**
   * @category errors
   * @since 0.1.0
   */
  KeyRevoked,
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
 * Which key is asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyQuestion {
  readonly keyId: string
  /** Whose key it is. A store that speaks for another issuer only has nothing to say of it. */
  readonly issuer?: string | undefined
}

/**
 * Which token is asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenQuestion {
  /** RFC 7519 section 4.1.7. */
  readonly jti: string
  readonly issuer?: string | undefined
}

/**
 * The token is revoked.
 *
 * @category errors
 * @since 0.1.0
 */
export class TokenRevoked extends Schema.TaggedError<TokenRevoked>("effect-signer/TokenRevoked")("TokenRevoked", {
  /** Who revoked it, where the list says so. */
  issuer: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return "TokenRevoked: the token is revoked"
  }
}

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * Says whether a key is revoked.
 *
 * @category services
 * @since 0.1.0
 */
export class RevocationStore extends Context.Service<
  RevocationStore,
  {
    readonly check: (question: KeyQuestion) => Effect.Effect<void, KeyRevoked | RevocationStale>
    readonly checkToken: (question: TokenQuestion) => Effect.Effect<void, TokenRevoked | RevocationStale>
  }
>()("effect-signer/RevocationStore") {}

/**
 * What a {@link RevocationStore} is, as a value.
 *
 * @category models
 * @since 0.1.0
 */
export type Service = RevocationStore["Service"]

// ---------------------------------------------------------------------------
// combinators
// ---------------------------------------------------------------------------

/**
 * A resolver that refuses keys which are revoked.
 *
 * **Details**
 *
 * The key is found first, and then looked up by its key id and its owner: JWS, JWT
 * and HTTP signatures refuse it alike. With several stores each must let it pass.
 *
 * @category combinators
 * @since 0.1.0
 */
export const refusing = (
  resolver: KeyResolver.Service,
  ...stores: readonly [Service, ...ReadonlyArray<Service>]
): KeyResolver.Service =>
  KeyResolver.KeyResolver.of({
    resolve: (request) =>
      Effect.tap(resolver.resolve(request), ({ keyId, owner }) =>
        Effect.forEach(stores, (store) => store.check({ keyId, issuer: owner }), { discard: true })
      )
  })

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides the resolver of the environment again, as one that refuses keys which the
 * store of the environment says are revoked.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRefusing: Layer.Layer<KeyResolver.KeyResolver, never, KeyResolver.KeyResolver | RevocationStore> =
  Layer.effect(
    KeyResolver.KeyResolver,
    Effect.gen(function* () {
      return refusing(yield* KeyResolver.KeyResolver, yield* RevocationStore)
    })
  )
