/**
 * Fetches JWK Sets: from a URL, or from where an OpenID provider says that its set
 * is.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import { KeysUnavailable } from "../../schemas/KeyResolverError.ts"
import { InvalidConfiguration, VendorError } from "../../schemas/SignerError.ts"
import * as GuardedFetch from "./GuardedFetch.ts"
import * as OpenIdDiscovery from "./OpenIdDiscovery.ts"

/** One of both. */
export interface Origin {
  readonly url?: string | undefined
  readonly issuer?: string | undefined
}

export interface JwksFetch {
  /** Who is asked first. */
  readonly host: string
  /** The URL of the set: known, or asked for. */
  readonly find: Effect.Effect<URL, KeysUnavailable>
  readonly get: (url: URL, etag?: string) => Effect.Effect<GuardedFetch.Answer, KeysUnavailable>
}

/** RFC 7517 section 8.5.2, and what most servers say. */
const accept = ["application/jwk-set+json", "application/json"]

const invalid = (field: string, problem: string) =>
  Effect.fail(InvalidConfiguration.of({ operation: "make", field, problem }))

const unavailable = ({ problem, reason, ...more }: OpenIdDiscovery.Failure): KeysUnavailable => {
  const { code, retryAfter, status }: Partial<GuardedFetch.Failure> = more
  const cause = { ...(code === undefined ? {} : { code }), ...(status === undefined ? {} : { status }) }
  const detail = status === undefined ? code : `status ${status}`
  return new KeysUnavailable({
    reason,
    problem: detail === undefined ? problem : `${problem} (${detail})`,
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(detail === undefined ? {} : { cause: new VendorError(cause) })
  })
}

/** Prepares fetches, after a look at the options. */
export const make = Effect.fnUntraced(function* (
  { issuer, url: stated }: Origin,
  options: GuardedFetch.Options
): Effect.fn.Return<JwksFetch, InvalidConfiguration> {
  const fetch = yield* GuardedFetch.make(options)
  if ((issuer === undefined) === (stated === undefined)) {
    return yield* invalid("url", "state the url of a set or the issuer, one of them")
  }
  const url = issuer === undefined ? fetch.parseUrl(stated!) : OpenIdDiscovery.documentOf(fetch, issuer)
  if (typeof url === "string") return yield* invalid(issuer === undefined ? "url" : "issuer", url)
  return {
    host: url.hostname,
    find:
      issuer === undefined
        ? Effect.succeed(url)
        : Effect.mapError(OpenIdDiscovery.jwksUri(fetch, issuer, url), unavailable),
    get: (url, etag) => Effect.mapError(fetch.get({ url, accept, etag }), unavailable)
  }
})
