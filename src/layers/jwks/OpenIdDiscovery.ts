/**
 * Where an OpenID provider publishes its keys (OpenID Connect Discovery 1.0
 * section 4).
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import { Malformed } from "../../schemas/Malformed.ts"
import * as StrictJson from "../../schemas/StrictJson.ts"
import type { Failure as FetchFailure, GuardedFetch } from "./GuardedFetch.ts"

/** Why the document says nothing, or what it does not say. */
export type Failure = FetchFailure | { readonly reason: "InvalidDiscovery"; readonly problem: string }

/**
 * The URL of the document of an issuer, or what is wrong with its name. Section
 * 4.1: the last slash of a path is left out.
 */
export const documentOf = ({ parseUrl }: GuardedFetch, issuer: string): URL | string => {
  const url = parseUrl(issuer)
  if (typeof url === "string") return url
  // Section 3: an issuer has no query and no fragment
  if (issuer.includes("?")) return "must not have a query"
  return parseUrl(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`)
}

const invalid = (problem: string) => Effect.fail<Failure>({ reason: "InvalidDiscovery", problem })

const parse = (body: Uint8Array): StrictJson.JsonRecord | undefined => {
  try {
    const value = StrictJson.parseBytes(body, "discovery")
    return StrictJson.isRecord(value) ? value : undefined
  } catch (error) {
    if (error instanceof Malformed) return undefined
    throw error
  }
}

/** The URL of the key set. */
export const jwksUri = Effect.fnUntraced(function* (
  fetch: GuardedFetch,
  issuer: string,
  document: URL
): Effect.fn.Return<URL, Failure> {
  const { body } = yield* fetch.get({ url: document, accept: ["application/json"] })
  const metadata = parse(body ?? new Uint8Array())
  if (metadata === undefined) return yield* invalid("the discovery document is not a JSON object in UTF-8")
  // Section 4.3: exactly the issuer that was asked, or anybody could speak for it
  if (metadata["issuer"] !== issuer) return yield* invalid("the discovery document is one of another issuer")
  const uri = metadata["jwks_uri"]
  if (typeof uri !== "string") return yield* invalid("the discovery document has no jwks_uri")
  const url = fetch.parseUrl(uri)
  return typeof url === "string" ? yield* invalid(`jwks_uri ${url}`) : url
})
