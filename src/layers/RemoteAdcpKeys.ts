/**
 * Keys that an agent of AdCP publishes: the JWK Set behind its `jwks_uri`, for
 * `Adcp.verifyRequest` and its kin, with all members of each key.
 *
 * The URL comes from whoever configures the program, or from a `brand.json` that was
 * resolved by the rules of AdCP: never from a message.
 *
 * **Details**
 *
 * - The set is read when a key is first needed, by one request for all who wait, and
 *   kept as long as the server says, ten minutes at most (`maxAge`, up to an hour): no
 *   longer than you poll revocations. A key id that is not in it has it read again,
 *   once in 30 seconds at most.
 * - While the server is silent, the last set serves for ten more minutes
 *   (`staleFor`). What the server says counts at once: a set that is wrong, or gone,
 *   ends that.
 * - One GET over TLS to public addresses, checked and then connected to. No redirect
 *   is followed; five seconds, 64 KiB and 100 keys at most; plain JSON, no member and
 *   no `kid` twice. Loopback, private, link-local and every other special address is
 *   refused, in any notation.
 * - A set that cannot be read is `request_signature_jwks_unavailable`, which may be
 *   retried; one that is refused, or is where no request may go, is
 *   `request_signature_jwks_untrusted`.
 *
 * **Gotchas**
 *
 * Needs `node:https`. One of these is one agent: several are put together with
 * `Adcp.allKeys`. Keep the layer in a `const`: two calls of `layer(options)` are two
 * sets, each read for itself.
 *
 * **Example** (Requests of an agent)
 *
 * ```ts
 * import { Layer } from "effect"
 * import * as Adcp from "effect-signer/Adcp"
 * import type { HttpRequest } from "effect-signer/HttpMessage"
 * import * as HttpSignatureProfile from "effect-signer/HttpSignatureProfile"
 * import * as MemoryReplayStore from "effect-signer/MemoryReplayStore"
 * import * as RemoteAdcpKeys from "effect-signer/RemoteAdcpKeys"
 * import * as StaticRevocationStore from "effect-signer/StaticRevocationStore"
 *
 * const VerifierLive = Layer.mergeAll(
 *   RemoteAdcpKeys.layer({
 *     url: "https://buyer.example/.well-known/jwks.json",
 *     agentUrl: "https://buyer.example/agent"
 *   }),
 *   MemoryReplayStore.layer(),
 *   StaticRevocationStore.layer({ keyIds: [] })
 * )
 *
 * // Effect.provide(verify(request, capability), VerifierLive)
 * const verify = (request: HttpRequest, capability: Adcp.RequestSigning) =>
 *   Adcp.verifyRequest(request, { profile: HttpSignatureProfile.adcp32, capability })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import * as Adcp from "../protocols/Adcp.ts"
import * as CachedJwks from "./jwks/CachedJwks.ts"

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends CachedJwks.Settings {
  /** The https URL of the set: `jwks_uri` of the agent in `brand.json`. */
  readonly url: string
  /** Whose keys they are: `url` of the agent in `brand.json`. What a verified message says of who signed it. */
  readonly agentUrl: string
}

/**
 * The keys of an agent, for as long as the scope is open.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where options are wrong; the set is read later,
 * when a key is needed. Nothing is retried here. A caller that is interrupted leaves
 * the request to the others; closing the scope ends it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Adcp.AdcpKeysService, InvalidConfiguration, Scope.Scope> {
  const { agentUrl, url, ...settings } = options
  if (typeof agentUrl !== "string" || agentUrl === "") {
    const problem = "state whose keys they are: the url of the agent"
    return yield* InvalidConfiguration.of({ operation: "make", field: "agentUrl", problem })
  }
  const lookup = yield* CachedJwks.make({
    ...settings,
    name: "RemoteAdcpKeys",
    origin: { url },
    read: (body) => Adcp.keysFromJwks(body, { agentUrl })
  })
  return Adcp.AdcpKeys.of({ resolve: (keyId) => lookup((keys) => keys.resolve(keyId)) })
})

/**
 * Provides the keys of an agent.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Adcp.AdcpKeys, InvalidConfiguration> =>
  Layer.effect(Adcp.AdcpKeys, make(options))
