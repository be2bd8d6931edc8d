/**
 * Publishes public keys as a JWK Set (RFC 7517), for others to verify with.
 *
 * A set is a function of its keys: the same keys, in whatever order, are the same
 * bytes with the same entity tag. It holds nothing but public members, each key for
 * one algorithm, and is one that `KeyResolver.fromJwks` and `RemoteJwks` accept.
 *
 * **Details**
 *
 * Each key has `use` `"sig"`, `key_ops` `["verify"]`, an `alg` and a `kid`: the RFC
 * 7638 thumbprint, unless one is stated. A set has 100 keys and 64 KiB at most, as
 * its readers allow.
 *
 * **Gotchas**
 *
 * Who verifies keeps a set as long as `maxAge` says. A key that is new must be
 * published for that long before it signs, and one that is retired must stay until
 * everything that it signed has expired: `Rotation` does both.
 *
 * **Example** (The key of this program, published)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { Signer } from "effect-signer"
 * import * as Jwks from "effect-signer/Jwks"
 * import * as LocalSigner from "effect-signer/LocalSigner"
 *
 * const keys = Effect.gen(function*() {
 *   const signer = yield* Signer.Signer
 *   return [{ publicKey: yield* signer.publicKey() }]
 * })
 *
 * const Routes = Jwks.layerRoute({ keys, maxAge: "5 minutes" }).pipe(
 *   Layer.provide(LocalSigner.layerGenerated("ES256"))
 * )
 * const { dispose, handler } = HttpRouter.toWebHandler(Routes, { disableLogger: true })
 *
 * const response = await handler(new Request("https://id.example/.well-known/jwks.json"))
 * console.log(response.status, response.headers.get("cache-control"))
 * await dispose()
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { primitives } from "#primitives"
import * as Base64Url from "../schemas/Base64Url.ts"
import { fromBase64 } from "../schemas/BaseEncoding.ts"
import type { Ed25519Name } from "../schemas/JoseAlgorithm.ts"
import type { PublicJwk } from "../schemas/Jwk.ts"
import * as Reader from "../schemas/Jwks.ts"
import { sameBytes } from "../schemas/KeyMaterial.ts"
import { attempt } from "../schemas/Malformed.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { PublishedKey } from "../schemas/PublishedKey.ts"
import { isText, maxNameLength, maxPurposeLength } from "../schemas/PublishedKey.ts"
import { facts } from "../schemas/SignatureAlgorithm.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import * as Certificate from "./jwks/Certificate.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  PublishedKey
} from "../schemas/PublishedKey.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * A key as a set states it.
 *
 * @category models
 * @since 0.1.0
 */
export type PublishedJwk = PublicJwk & {
  readonly use: "sig"
  readonly key_ops: readonly ["verify"]
  readonly alg: string
  readonly kid: string
  readonly x5c?: ReadonlyArray<string>
  /** The member that states the purpose. */
  readonly [member: string]: unknown
}

/**
 * A set that can be published.
 *
 * @category models
 * @since 0.1.0
 */
export interface JwkSet {
  /** By `kid`. */
  readonly keys: ReadonlyArray<PublishedJwk>
  /** `{"keys":[...]}` on one line, without a line end. */
  readonly text: string
  /** A strong entity tag (RFC 9110 section 8.8.3), with its quotes: the SHA-256 of the text. */
  readonly etag: string
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The member that states what a key signs for, where a profile has one: AdCP has
   * `adcp_use`. Default: none, and purposes are not published.
   */
  readonly purposeMember?: string | undefined
  /** What `alg` says of Ed25519 keys. Default `"EdDSA"`, as `PublicKey.toJwk`. */
  readonly ed25519?: Ed25519Name | undefined
}

// ---------------------------------------------------------------------------
// guards
// ---------------------------------------------------------------------------

const invalid = (field: string, problem: string) => InvalidConfiguration.of({ operation: "make", field, problem })

const refuse = (field: string, problem: string) => Effect.fail(invalid(field, problem))

/** Members that mean something else (RFC 7517 and 7518, and the registry that they establish). */
const registered = new Set(
  "kty use key_ops alg kid x5u x5c x5t crv x y d n e p q dp dq qi oth k ext pub priv iat nbf exp revoked".split(" ")
)

const checkOptions = ({ ed25519, purposeMember }: Options): Effect.Effect<void, InvalidConfiguration> =>
  purposeMember !== undefined && (!/^[A-Za-z]\w{0,63}$/.test(purposeMember) || registered.has(purposeMember))
    ? refuse("purposeMember", "must be a name of letters, digits and _ that JSON Web Keys do not have already")
    : ed25519 !== undefined && ed25519 !== "EdDSA" && ed25519 !== "Ed25519"
      ? refuse("ed25519", "must be EdDSA or Ed25519")
      : Effect.void

// ---------------------------------------------------------------------------
// keys
// ---------------------------------------------------------------------------

/** RFC 7517 section 4.7: the first certificate is that of the key, and each is certified by the next. */
const checkCertificates = Effect.fnUntraced(function* (
  x5c: ReadonlyArray<string>,
  key: PublicKey.PublicKey,
  field: string
): Effect.fn.Return<void, InvalidConfiguration> {
  if (!Array.isArray(x5c) || x5c.length === 0) {
    return yield* refuse(field, "must be a list with the certificate of the key first")
  }
  let issuer: Uint8Array | undefined
  for (const [index, text] of x5c.entries()) {
    const at = `${field}[${index}]`
    const der = typeof text === "string" && text.length <= Reader.maxLength ? fromBase64(text) : undefined
    if (der === undefined) {
      return yield* refuse(at, "must be base64 of DER: what is between the lines of PEM, without line ends")
    }
    const certificate = yield* attempt(() => Certificate.decode(der, at))
    if (index === 0) {
      const certified = yield* Effect.mapError(PublicKey.fromSpki(certificate.spki), ({ problem }) =>
        invalid(at, `the key of the certificate: ${problem}`)
      )
      if (!PublicKey.sameKey(certified, key)) return yield* refuse(at, "this is the certificate of another key")
    } else if (!sameBytes(certificate.subject, issuer!)) {
      return yield* refuse(at, "this is not the issuer of the certificate before it")
    }
    issuer = certificate.issuer
  }
})

const toJwk = Effect.fnUntraced(function* (
  { keyId, publicKey, purpose, x5c }: PublishedKey,
  { ed25519, purposeMember }: Options,
  field: string
): Effect.fn.Return<PublishedJwk, InvalidConfiguration> {
  if (!PublicKey.isPublicKey(publicKey)) return yield* refuse(`${field}.publicKey`, "must be a PublicKey")
  const algorithm = yield* Effect.mapError(PublicKey.resolveAlgorithm(publicKey), ({ problem }) =>
    invalid(`${field}.publicKey`, problem)
  )
  if (facts[algorithm].jose === undefined) {
    return yield* refuse(`${field}.publicKey`, `JSON Web Keys have no name for ${algorithm}`)
  }
  if (keyId !== undefined && !isText(keyId, maxNameLength)) {
    return yield* refuse(`${field}.keyId`, "must be text of 1 to 2048 characters without control characters")
  }
  if (purpose !== undefined && !isText(purpose, maxPurposeLength)) {
    return yield* refuse(`${field}.purpose`, "must be text of 1 to 256 characters without control characters")
  }
  if (x5c !== undefined) yield* checkCertificates(x5c, publicKey, `${field}.x5c`)
  const key = yield* Effect.orDie(PublicKey.withAlgorithm(publicKey, algorithm))
  const { alg, kid, kty, ...material } = PublicKey.toJwk(key, { kid: keyId ?? PublicKey.thumbprint(key), ed25519 })
  return {
    kty,
    use: "sig",
    key_ops: ["verify"],
    alg,
    kid,
    ...(purpose === undefined || purposeMember === undefined ? {} : { [purposeMember]: purpose }),
    ...material,
    ...(x5c === undefined ? {} : { x5c: [...x5c] })
  } as PublishedJwk
})

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const utf8 = new TextEncoder()

/**
 * Makes the set of some keys.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration`, which names the key: one whose algorithm is not
 * certain or has no name in JOSE (BIP340), two with the same `kid`, a certificate of
 * another key, a set that is too large for its readers. No keys are a set, too.
 *
 * **Gotchas**
 *
 * Certificates are published as they are: their signatures, dates and usages are
 * not checked.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  keys: ReadonlyArray<PublishedKey>,
  options: Options = {}
): Effect.fn.Return<JwkSet, InvalidConfiguration> {
  yield* checkOptions(options)
  if (!Array.isArray(keys)) return yield* refuse("keys", "must be a list")
  if (keys.length > Reader.maxKeys) {
    return yield* refuse("keys", `${keys.length} keys; a set has ${Reader.maxKeys} at most`)
  }
  const jwks = yield* Effect.forEach(keys, (key, index) => toJwk(key, options, `keys[${index}]`))
  const seen = new Set<string>()
  for (const [index, { kid }] of jwks.entries()) {
    if (seen.has(kid)) return yield* refuse(`keys[${index}].keyId`, "another key has the same kid")
    seen.add(kid)
  }
  const sorted = jwks.toSorted((a, b) => (a.kid < b.kid ? -1 : 1))
  const text = JSON.stringify({ keys: sorted })
  const bytes = utf8.encode(text)
  if (bytes.length > Reader.maxLength) {
    return yield* refuse("keys", `the set has ${bytes.length} bytes, and ${Reader.maxLength} at most are read`)
  }
  return { keys: sorted, text, etag: `"${Base64Url.encode(primitives.digest("SHA-256", bytes))}"` }
})

// ---------------------------------------------------------------------------
// routes
// ---------------------------------------------------------------------------

/**
 * Options of {@link handler}.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandlerOptions<E = never, R = never> extends Options {
  /** The keys to publish, asked for with each request: what a rotation says now is what is answered. */
  readonly keys: Effect.Effect<ReadonlyArray<PublishedKey>, E, R>
  /**
   * How long an answer may be kept, in whole seconds: at most as long as a new key is
   * published before it signs. At most one day.
   */
  readonly maxAge: Duration.Input
}

const oneDay = Duration.days(1)

const cacheControlOf = (maxAge: Duration.Input): Effect.Effect<string, InvalidConfiguration> => {
  const duration = Option.getOrUndefined(Duration.fromInput(maxAge))
  return duration !== undefined && Duration.between(duration, { minimum: Duration.zero, maximum: oneDay })
    ? Effect.succeed(`public, max-age=${Math.floor(Duration.toSeconds(duration))}`)
    : refuse("maxAge", "must be from 0 seconds to 1 day")
}

/** RFC 9110 section 13.1.2: `*`, or one of the entity tags, compared weakly. */
const matches = (ifNoneMatch: string | undefined, etag: string): boolean =>
  ifNoneMatch !== undefined &&
  (ifNoneMatch.trim() === "*" ||
    [...ifNoneMatch.matchAll(/"[\x21\x23-\x7e\x80-\xff]*"/g)].some(([tag]) => tag === etag))

/** Which error it is, without what it says: it may be anybody's. */
const tagOf = (error: unknown): string => {
  const tag = (error as { readonly _tag?: unknown } | null | undefined)?._tag
  return typeof tag === "string" && /^[\w/.-]{1,64}$/.test(tag) ? tag : "error"
}

const unavailable = HttpServerResponse.empty({ status: 503, headers: { "cache-control": "no-store" } })

/**
 * Answers a request with the set, as `application/jwk-set+json`.
 *
 * **Details**
 *
 * With an `ETag`, with `Cache-Control: public, max-age`, and with 304 where
 * `If-None-Match` names what would be sent. Where the keys cannot be read, or are
 * none that can be published, with 503 and `no-store`: who verifies then keeps the
 * set that they have. Which error it was is logged, as its tag.
 *
 * Fails with `InvalidConfiguration` at once where the options are wrong.
 *
 * @category routes
 * @since 0.1.0
 */
export const handler = <E = never, R = never>({
  keys,
  maxAge,
  ...options
}: HandlerOptions<E, R>): Effect.Effect<
  Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest | R>,
  InvalidConfiguration
> =>
  Effect.map(Effect.andThen(checkOptions(options), cacheControlOf(maxAge)), (cacheControl) => {
    const answer = ({ etag, text }: JwkSet) =>
      Effect.map(HttpServerRequest.HttpServerRequest, ({ headers: { "if-none-match": ifNoneMatch } }) => {
        const headers = { "cache-control": cacheControl, etag }
        return matches(ifNoneMatch, etag)
          ? HttpServerResponse.empty({ status: 304, headers }) // RFC 9110 section 15.4.5
          : HttpServerResponse.text(text, { contentType: "application/jwk-set+json", headers }) // RFC 7517 section 8.5.2
      })
    const refuse = (error: unknown) =>
      Effect.as(
        Effect.logError(
          "the JWK Set is not published",
          error instanceof InvalidConfiguration ? error.message : tagOf(error)
        ),
        unavailable
      )
    return Effect.matchEffect(
      Effect.flatMap(keys, (published) => make(published, options)),
      { onSuccess: answer, onFailure: refuse }
    )
  })

/**
 * Provides the route of a set to an `HttpRouter`: `GET` and `HEAD` of
 * `/.well-known/jwks.json`, unless another path is stated.
 *
 * @see {@link handler} for what it answers
 * @category routes
 * @since 0.1.0
 */
export const layerRoute = <E = never, R = never>({
  path = "/.well-known/jwks.json",
  ...options
}: HandlerOptions<E, R> & { readonly path?: HttpRouter.PathInput | undefined }): Layer.Layer<
  never,
  InvalidConfiguration,
  HttpRouter.HttpRouter | Exclude<R, Scope.Scope>
> =>
  HttpRouter.use((router) =>
    Effect.gen(function* () {
      const answer = yield* handler(options)
      const context = yield* Effect.context<R>()
      // What the request brings, its span above all, counts before what the layer was built with
      const provided = Effect.updateContext(answer, (request: Context.Context<HttpServerRequest.HttpServerRequest>) =>
        Context.merge(context, request)
      )
      yield* router.add("GET", path, provided)
    })
  )
