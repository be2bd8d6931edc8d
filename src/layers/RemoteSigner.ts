/**
 * A Signer behind a URL: a service of your own that holds the key, and is asked
 * over HTTP for each signature.
 *
 * **Details**
 *
 * The service answers one request, `POST url`:
 *
 * ```text
 * {"payload_b64": "<message>", "kid": "<key id>", "alg": "<algorithm>"}
 * 200 {"signature_b64": "<signature>"}
 * ```
 *
 * Both are base64 (RFC 4648 section 4), with padding. `alg` is the name of RFC 9421
 * (`ed25519`, `ecdsa-p256-sha256`), that of JOSE where RFC 9421 has none,
 * and ours where neither has (`BIP340`). The
 * signature is in canonical form: ECDSA is `r‖s`, not DER. It is the interface that
 * the AdCP SDK calls a signing oracle.
 *
 * **Gotchas**
 *
 * The service sends no public key: it is stated, and with {@link layer} no signature
 * that is not by it is ever returned. Whoever may call the service may sign
 * anything with the key: give it a token, and a policy of its own.
 *
 * **Example** (A service inside of a network)
 *
 * ```ts
 * import { Effect, Layer, Redacted } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { PublicKey, Signer } from "effect-signer"
 * import * as RemoteSigner from "effect-signer/RemoteSigner"
 *
 * const SignerLive = (pem: string, token: string) =>
 *   Layer.unwrap(
 *     Effect.map(PublicKey.fromPem(pem), (publicKey) =>
 *       RemoteSigner.layer({ url: "https://signer.internal/sign", keyId: "release", publicKey, token: Redacted.make(token) })
 *     )
 *   ).pipe(Layer.provide(FetchHttpClient.layer))
 *
 * const program = Signer.sign(new TextEncoder().encode("message"))
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import type * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { layerRemote } from "../decorators/remote.ts"
import type { RemoteOptions } from "../decorators/remote.ts"
import * as KeyId from "../schemas/KeyId.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import { facts } from "../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration, KeyNotFound, VendorError } from "../schemas/SignerError.ts"
import type { Service } from "../services/Signer.ts"
import * as Signer from "../services/Signer.ts"
import * as HttpExchange from "./remote/HttpExchange.ts"
import type { Problem } from "./remote/Outcome.ts"
import { byStatus, invalid, invalidResponse, keyNotFound, notThere } from "./remote/Outcome.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * Options of {@link make} and {@link layerBare}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Where the service is: http or https, without user name, query and fragment. */
  readonly url: string
  /** `kid` of each request. */
  readonly keyId: string
  /** The key that signs there. */
  readonly publicKey: PublicKey.PublicKey
  /** Required where the key allows several and names none: RSA and secp256k1. */
  readonly algorithm?: SignatureAlgorithm | undefined
  /** Sent as `Authorization: Bearer`, to this host only. Default: no such header. */
  readonly token?: Redacted.Redacted<string> | undefined
  /** Bytes of a message at most. Default 1,000,000. */
  readonly maxMessageLength?: number | undefined
  readonly purpose?: string | undefined
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface LayerOptions extends Options, Omit<RemoteOptions, "lazy"> {}

// ---------------------------------------------------------------------------
// the exchange
// ---------------------------------------------------------------------------

const backend = "remote"

const server = { name: "a remote signer", address: "url" }

const ofStatus = byStatus(server, {
  400: invalid("the service calls the request invalid: is it this key and this algorithm?"),
  404: keyNotFound,
  405: notThere(server),
  413: invalid("the service does not take messages of this size; lower maxMessageLength", "maxMessageLength"),
  422: invalid("the service calls the request invalid: is it this key and this algorithm?")
})

const refusal =
  ({ retryAfter, status }: HttpExchange.Answer): Problem =>
  (context) =>
    ofStatus(status)({ ...context, cause: new VendorError({ status }) }, retryAfter)

/** Padded base64 of the standard alphabet and no other text. */
const decode = (text: unknown): Uint8Array | undefined => {
  if (typeof text !== "string" || text.length > 65_536) return undefined
  const bytes = Result.getOrUndefined(Base64.decode(text))
  return bytes !== undefined && Base64.encode(bytes) === text ? bytes : undefined
}

const parseUrl = (url: string): URL | undefined => {
  if (!URL.canParse(url)) return undefined
  const parsed = new URL(url)
  const isPlain = parsed.username === "" && parsed.password === "" && parsed.search === "" && parsed.hash === ""
  return isPlain && (parsed.protocol === "https:" || parsed.protocol === "http:") ? parsed : undefined
}

/**
 * How the service is told the algorithm.
 *
 * @category combinators
 * @since 0.1.0
 */
export const algorithmName = (algorithm: SignatureAlgorithm): string =>
  facts[algorithm].httpSignature ?? facts[algorithm].jose ?? algorithm

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * A Signer behind a URL, without retries and without verification. Asks for nothing
 * before the first signature.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Service, SignerError, HttpClient.HttpClient> {
  const named = options.keyId || "-"
  const refuse = (field: string, problem: string) =>
    new InvalidConfiguration({ backend, keyId: named, operation: "make", field, problem })
  const url = parseUrl(options.url)
  if (url === undefined) {
    return yield* refuse("url", "must be an http or https URL without user name, query and fragment")
  }
  if (options.keyId === "") return yield* refuse("keyId", "must not be empty")
  const algorithm = yield* PublicKey.resolveAlgorithm(options.publicKey, options.algorithm)
  const publicKey = yield* PublicKey.withAlgorithm(options.publicKey, algorithm)
  const keyId = KeyId.make(options.keyId)
  const context = { backend, keyId, operation: "sign" } as const
  const send = yield* HttpExchange.make({ url, address: "url", client: "HttpClient" })
  const alg = algorithmName(algorithm)
  const path = url.pathname
  const { token } = options

  return yield* Signer.make(
    {
      name: backend,
      keyId,
      algorithm,
      input: "message",
      maxMessageLength: options.maxMessageLength ?? 1_000_000,
      publicKey: (version) =>
        version === undefined
          ? Effect.succeed(publicKey)
          : Effect.fail(KeyNotFound.version({ ...context, operation: "publicKey" }, version)),
      sign: (message) =>
        Effect.suspend(() =>
          send({
            method: "POST",
            path,
            token,
            body: JSON.stringify({ payload_b64: Base64.encode(message), kid: options.keyId, alg })
          })
        ).pipe(
          Effect.flatMap((answer) => {
            if (answer.status !== 200) return Effect.fail(refusal(answer))
            const bytes = decode((answer.json as { readonly signature_b64?: unknown } | undefined)?.signature_b64)
            return bytes === undefined
              ? Effect.fail(invalidResponse("signature_b64 of the answer is not padded base64"))
              : Effect.succeed({ bytes })
          }),
          Effect.mapError((problem) => problem(context))
        )
    },
    { lazy: true, purpose: options.purpose }
  )
})

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides a `Signer` behind a URL: one request per signature, no retry, nothing
 * verified or observed. Decorate it yourself.
 *
 * @see {@link layer}
 * @category layers
 * @since 0.1.0
 */
export const layerBare = (options: Options): Layer.Layer<Signer.Signer, SignerError, HttpClient.HttpClient> =>
  Layer.effect(Signer.Signer, make(options))

/**
 * Provides a `Signer` behind a URL: resilient, verified and observed.
 *
 * **Details**
 *
 * 10 s per attempt, three more attempts after `Retryable`, each signature verified
 * here, with the key that was stated, before it is returned.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: LayerOptions): Layer.Layer<Signer.Signer, SignerError, HttpClient.HttpClient> =>
  layerRemote({ backend, keyId: options.keyId || "-" }, make(options), options)
