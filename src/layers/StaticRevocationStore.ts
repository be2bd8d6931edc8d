/**
 * Keys and tokens that are revoked, as a list that does not change: of a
 * configuration, or read where the program starts.
 *
 * **Example** (Refusing a key that was lost)
 *
 * ```ts
 * import { Layer } from "effect"
 * import * as RemoteJwks from "effect-signer/RemoteJwks"
 * import * as RevocationStore from "effect-signer/RevocationStore"
 * import * as StaticRevocationStore from "effect-signer/StaticRevocationStore"
 *
 * const KeysLive = RevocationStore.layerRefusing.pipe(
 *   Layer.provide(RemoteJwks.layer({ issuer: "https://id.example" })),
 *   Layer.provide(StaticRevocationStore.layer({ keyIds: ["lost-2026-03"] }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { KeyRevoked, shownKeyId } from "../schemas/KeyResolverError.ts"
import * as RevocationStore from "../services/RevocationStore.ts"

/**
 * What is revoked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly keyIds?: ReadonlyArray<string> | ReadonlySet<string> | undefined
  /** `jti` of tokens. */
  readonly tokenIds?: ReadonlyArray<string> | ReadonlySet<string> | undefined
  /** Whose keys and tokens they are. Default: everybody's. */
  readonly issuer?: string | undefined
}

/**
 * A store of what is given.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): RevocationStore.Service => {
  const { issuer } = options
  const keyIds = new Set(options.keyIds)
  const tokenIds = new Set(options.tokenIds)
  const by = issuer === undefined ? {} : { issuer }
  const isOurs = (asked: string | undefined) => issuer === undefined || asked === undefined || asked === issuer
  return RevocationStore.RevocationStore.of({
    check: (question) =>
      isOurs(question.issuer) && keyIds.has(question.keyId)
        ? Effect.fail(new KeyRevoked({ keyId: shownKeyId(question.keyId), ...by }))
        : Effect.void,
    checkToken: (question) =>
      isOurs(question.issuer) && tokenIds.has(question.jti)
        ? Effect.fail(new RevocationStore.TokenRevoked(by))
        : Effect.void
  })
}

/**
 * Provides a store of what is given.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<RevocationStore.RevocationStore> =>
  Layer.succeed(RevocationStore.RevocationStore, make(options))
