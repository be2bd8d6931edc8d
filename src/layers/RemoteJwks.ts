/**
 * Keys that somebody publishes: a JWK Set behind an https URL, or that of an OpenID
 * provider, as a `KeyResolver`.
 *
 * The URL comes from whoever configures the program, never from a message.
 *
 * **Details**
 *
 * - The set is read when a key is first needed, by one request for all who wait, and
 *   kept as long as the server says, ten minutes at most (`maxAge`, up to an hour). A
 *   key id that is not in it has it read again, once in 30 seconds at most.
 * - While the server is silent, the last set serves for ten more minutes. What the
 *   server says counts at once: a set that is wrong, or gone, ends that.
 * - A key that leaves the set is refused after 20 minutes at the latest: `maxAge`
 *   and `staleFor`.
 * - One GET over TLS to public addresses, checked and then connected to. No redirect
 *   is followed; five seconds, 64 KiB and 100 keys at most; plain JSON. Loopback,
 *   private, link-local and every other special address is refused, in any notation.
 *
 * **Gotchas**
 *
 * Needs `node:https`. A network that reaches IPv4 by NAT64 must allow that prefix:
 * `allow: ["64:ff9b::/96"]`.
 *
 * **Example** (Tokens of an OpenID provider)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as Jwt from "effect-signer/Jwt"
 * import * as RemoteJwks from "effect-signer/RemoteJwks"
 *
 * const issuer = "https://id.example"
 * const KeysLive = RemoteJwks.layer({ issuer })
 *
 * const subjectOf = (token: string) =>
 *   Jwt.verify(token, { issuer, audience: "api" }).pipe(
 *     Effect.map(({ subject }) => subject),
 *     Effect.provide(KeysLive)
 *   )
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { KeyUnknown, shownKeyId } from "../schemas/KeyResolverError.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import * as KeyResolver from "../services/KeyResolver.ts"
import * as CachedJwks from "./jwks/CachedJwks.ts"
import type * as JwksFetch from "./jwks/JwksFetch.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * Where the keys are, and whose.
 *
 * @category models
 * @since 0.1.0
 */
export type Source =
  | {
      /** The https URL of a JWK Set. */
      readonly url: string
      /** Whose keys they are: for tokens, the issuer. */
      readonly owner: string
    }
  | {
      /**
       * An OpenID provider, exactly as its tokens name it in `iss`. Its discovery
       * document (`/.well-known/openid-configuration`) says where its keys are.
       */
      readonly issuer: string
      /** Default: the issuer. */
      readonly owner?: string | undefined
    }

/**
 * Options that a {@link Source} may have.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings extends CachedJwks.Settings {
  readonly tenant?: string | undefined
  readonly purpose?: string | undefined
  /** As `KeyResolver.fromJwks`: needed where RSA keys state no `alg`. */
  readonly algorithms?: ReadonlyArray<SignatureAlgorithm> | undefined
  /** As `KeyResolver.fromJwks`: `"ignore"` where the set holds keys for encryption, too. Default `"refuse"`. */
  readonly foreignKeys?: "refuse" | "ignore" | undefined
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export type Options = Source & Settings

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * A resolver of the keys that somebody publishes, for as long as the scope is open.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where options are wrong; the set is read later,
 * when a key is needed. Lookups then fail with `KeysUnavailable` (see its `reason`),
 * `JwksInvalid`, or `KeyUnknown`. Nothing is retried here. A caller that is
 * interrupted leaves the request to the others; closing the scope ends it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<KeyResolver.Service, InvalidConfiguration, Scope.Scope> {
  const { algorithms, foreignKeys, purpose, tenant } = options
  const owner = options.owner ?? (options as JwksFetch.Origin).issuer
  const lookup = yield* CachedJwks.make({
    ...options,
    name: "RemoteJwks",
    origin: options as JwksFetch.Origin,
    read: (body) => KeyResolver.fromJwks(body, { algorithms, foreignKeys, owner, purpose, tenant })
  })
  if (owner === undefined || owner === "") {
    return yield* InvalidConfiguration.of({ operation: "make", field: "owner", problem: "state whose keys they are" })
  }
  return KeyResolver.KeyResolver.of({
    resolve: (request) => {
      const isOfOthers =
        (request.issuer !== undefined && request.issuer !== owner) ||
        (request.tenant !== undefined && request.tenant !== tenant) ||
        (request.purpose !== undefined && request.purpose !== purpose)
      return isOfOthers
        ? Effect.fail(new KeyUnknown(request.keyId === undefined ? {} : { keyId: shownKeyId(request.keyId) }))
        : lookup((keys) => keys.resolve(request))
    }
  })
})

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides a resolver of the keys that somebody publishes.
 *
 * **Gotchas**
 *
 * Keep the layer in a `const`: two calls of `layer(options)` are two resolvers, each
 * with a set of its own. Several issuers are several resolvers, put together with
 * `KeyResolver.firstOf`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<KeyResolver.KeyResolver, InvalidConfiguration> =>
  Layer.effect(KeyResolver.KeyResolver, make(options))
