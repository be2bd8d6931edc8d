/**
 * Webhooks of AdCP signed with a shared secret: the legacy scheme, which AdCP 4.0
 * removes. New integrations sign with a key: `Adcp.signWebhook`.
 *
 * **Details**
 *
 * `X-ADCP-Signature` is `sha256=` and the hex of HMAC with SHA-256, over
 * `timestamp.body` with the bytes of the body as they were sent; `X-ADCP-Timestamp`
 * is in seconds, 300 of them from now at most.
 *
 * **Gotchas**
 *
 * The secret is text, and its bytes are those of the text: the hex of 32 bytes is a
 * secret of 64 bytes.
 *
 * There is no nonce: what is sent twice within 300 seconds is accepted twice, but by
 * {@link verifyOnce}. Act once on the `idempotency_key` of the body.
 *
 * A body that names a member of an object twice is refused, with a right signature,
 * too: two parsers could read two different events in it.
 *
 * **Example** (Sending a webhook, and receiving it)
 *
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import * as AdcpWebhookHmac from "effect-signer/AdcpWebhookHmac"
 *
 * const program = Effect.gen(function*() {
 *   // Config.Redacted("ADCP_WEBHOOK_SECRET")
 *   const secret = yield* AdcpWebhookHmac.secret(Redacted.make("0f1e2d3c4b5a69788796a5b4c3d2e1f0"))
 *   const body = new TextEncoder().encode(`{"status":"completed"}`)
 *
 *   const { fields } = yield* AdcpWebhookHmac.sign(body, secret)
 *   const { timestamp } = yield* AdcpWebhookHmac.verify({ fields, body }, { secrets: [secret] })
 *   return timestamp
 * })
 *
 * const result = Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import * as Redacted from "effect/Redacted"
import { fromHex } from "../schemas/BaseEncoding.ts"
import { isBytes } from "../schemas/Bytes.ts"
import { Malformed } from "../schemas/Malformed.ts"
import type { InvalidConfiguration } from "../schemas/SignerError.ts"
import * as StrictJson from "../schemas/StrictJson.ts"
import * as Mac from "../services/Mac.ts"
import type { ReplayStore, ReplayStoreUnavailable } from "../services/ReplayStore.ts"
import type { FieldLine } from "./HttpMessage.ts"
import type { Delivery } from "./webhook/WebhookDelivery.ts"
import * as WebhookDelivery from "./webhook/WebhookDelivery.ts"
import type { WebhookInvalid } from "./webhook/WebhookDelivery.ts"

export type {
  /**
   * @category models
   * @since 0.1.0
   */
  Delivery
} from "./webhook/WebhookDelivery.ts"

export {
  /**
   * @category errors
   * @since 0.1.0
   */
  WebhookInvalid,
  /**
   * @category errors
   * @since 0.1.0
   */
  WebhookReason
} from "./webhook/WebhookDelivery.ts"

const { misconfigured, refused } = WebhookDelivery

// ---------------------------------------------------------------------------
// secrets
// ---------------------------------------------------------------------------

/** One unit of one to four bytes, again and again: `aaaa...`, `0000...`, `abab...`. */
const isRepeated = (bytes: Uint8Array): boolean =>
  [1, 2, 4].some((unit) => bytes.every((byte, index) => byte === bytes[index % unit]))

const utf8 = new TextEncoder()

/**
 * Reads the secret of `push_notification_config.authentication.credentials`: the
 * UTF-8 of the text, 32 bytes or more, and not one character again and again.
 *
 * @category decoding
 * @since 0.1.0
 */
export const secret = (
  text: Redacted.Redacted<string>,
  options?: {
    /** How messages name it, and what {@link Verified} says of it. */
    readonly keyId?: string | undefined
  }
): Effect.Effect<Mac.Service, InvalidConfiguration> =>
  Effect.suspend(() => {
    const value = Redacted.value(text)
    if (typeof value !== "string") return Effect.fail(misconfigured("make", "secret", "expected text"))
    const bytes = utf8.encode(value)
    if (bytes.length < 32) {
      return Effect.fail(misconfigured("make", "secret", `${bytes.length} bytes; AdCP demands 32 random bytes or more`))
    }
    return isRepeated(bytes)
      ? Effect.fail(misconfigured("make", "secret", "repeats itself: it must be random"))
      : Mac.make({ algorithm: "HS256", secret: Redacted.make(bytes), keyId: options?.keyId })
  })

// ---------------------------------------------------------------------------
// signing
// ---------------------------------------------------------------------------

const fields = { signature: "x-adcp-signature", timestamp: "x-adcp-timestamp" } as const

const prefix = "sha256="

/** The MAC of a body at a time, and the bytes of the body that it is of. */
const seal = (mac: Mac.Service, timestamp: string, body: Uint8Array) => {
  const { bytes, start } = WebhookDelivery.withPrefix(`${timestamp}.`, body)
  return Effect.map(mac.compute(bytes), (computed) => ({ computed, body: bytes.subarray(start) }))
}

const secretsProblem = (operation: "sign" | "verify", secrets: ReadonlyArray<Mac.Service>) => {
  if (secrets.length === 0 || secrets.length > 8) return misconfigured(operation, "secrets", "state 1 to 8 of them")
  return secrets.every(({ algorithm }) => algorithm === "HS256")
    ? undefined
    : misconfigured(operation, "secrets", "must be for HS256")
}

/**
 * The fields to send with the body.
 *
 * @category models
 * @since 0.1.0
 */
export interface Signed {
  readonly fields: ReadonlyArray<FieldLine>
  /** Seconds since 1970. */
  readonly timestamp: number
}

/**
 * Signs the body of a webhook, at the time of Effect's clock: sign again for each
 * delivery.
 *
 * @category signing
 * @since 0.1.0
 */
export const sign = Effect.fnUntraced(function* (
  body: Uint8Array,
  secret: Mac.Service
): Effect.fn.Return<Signed, InvalidConfiguration> {
  const problem = secretsProblem("sign", [secret])
  if (problem !== undefined) return yield* problem
  if (!isBytes(body)) return yield* misconfigured("sign", "body", "expected a Uint8Array")
  const timestamp = yield* WebhookDelivery.nowInSeconds
  const { computed } = yield* seal(secret, String(timestamp), body)
  return {
    timestamp,
    fields: [
      ["X-ADCP-Timestamp", String(timestamp)],
      ["X-ADCP-Signature", prefix + Hex.encode(computed)]
    ]
  }
})

// ---------------------------------------------------------------------------
// verifying
// ---------------------------------------------------------------------------

/**
 * Whose webhooks are accepted, and how old.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyOptions {
  /** One secret, or several while one is replaced by the next: 8 at most. */
  readonly secrets: ReadonlyArray<Mac.Service>
  /** How far the time of a webhook may be from now, in both directions. Default 300 seconds. */
  readonly tolerance?: Duration.Input | undefined
}

/**
 * A webhook that is what its sender sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verified {
  /** When it was signed, in seconds since 1970. */
  readonly timestamp: number
  /** The bytes that were verified: a copy. */
  readonly body: Uint8Array
  /** The key id of the secret. */
  readonly keyId: string | undefined
}

/** Lower-case hex, as every signer of AdCP writes it. */
const isSignature = /^sha256=[0-9a-f]{64}$/

/** Whether a body is JSON that names a member twice. What is no JSON at all has no meaning to mistake. */
const isAmbiguous = (body: Uint8Array): boolean => {
  try {
    StrictJson.parseBytes(body, "body")
    return false
  } catch (error) {
    if (error instanceof Malformed) return isJson(body)
    throw error
  }
}

const lenient = new TextDecoder()

/** Whether other parsers would read it. */
const isJson = (body: Uint8Array): boolean => {
  try {
    JSON.parse(lenient.decode(body))
    return true
  } catch {
    return false
  }
}

const verifyWith = Effect.fnUntraced(function* (
  delivery: Delivery,
  options: VerifyOptions
): Effect.fn.Return<Verified & { readonly signature: string }, WebhookInvalid | InvalidConfiguration> {
  const problem = secretsProblem("verify", options.secrets)
  if (problem !== undefined) return yield* problem
  const tolerance = yield* WebhookDelivery.toleranceOf(options.tolerance ?? "300 seconds")
  const received = yield* WebhookDelivery.bodyOf(delivery)
  const time = yield* WebhookDelivery.fieldOf(delivery, fields.timestamp)
  const signature = yield* WebhookDelivery.fieldOf(delivery, fields.signature)
  const timestamp = yield* WebhookDelivery.timeOf(time, fields.timestamp, tolerance)
  if (!isSignature.test(signature)) {
    return yield* refused("Malformed", fields.signature, "expected sha256= and 64 digits of lower-case hex")
  }
  const given = fromHex(signature.slice(prefix.length))!
  for (const mac of options.secrets) {
    const { body, computed } = yield* seal(mac, time, received)
    if (!WebhookDelivery.isSame(given, computed)) continue
    if (isAmbiguous(body)) return yield* refused("BodyMalformed", undefined, "it could be read in two ways")
    return { timestamp, body: new Uint8Array(body), keyId: mac.keyId, signature }
  }
  return yield* refused("SignatureInvalid")
})

/**
 * Verifies a webhook: that it was signed with one of the secrets, not long ago.
 *
 * **Details**
 *
 * Fails with {@link WebhookInvalid}; with `InvalidConfiguration` where the options
 * are at fault.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verify = (
  delivery: Delivery,
  options: VerifyOptions
): Effect.Effect<Verified, WebhookInvalid | InvalidConfiguration> =>
  Effect.map(verifyWith(delivery, options), ({ body, keyId, timestamp }) => ({ body, keyId, timestamp }))

/**
 * Options of {@link verifyOnce}.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyOnceOptions extends VerifyOptions {
  /** Which endpoint it is, among all that share the store. */
  readonly scope: string
}

/**
 * Verifies a webhook, and refuses one that was accepted before, by a `ReplayStore`:
 * the same body, signed with the same secret in the same second.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verifyOnce = Effect.fnUntraced(function* (
  delivery: Delivery,
  options: VerifyOnceOptions
): Effect.fn.Return<Verified, WebhookInvalid | InvalidConfiguration | ReplayStoreUnavailable, ReplayStore> {
  const tolerance = yield* WebhookDelivery.toleranceOf(options.tolerance ?? "300 seconds")
  const { body, keyId, signature, timestamp } = yield* verifyWith(delivery, options)
  yield* WebhookDelivery.once({
    // Its own maximum for each endpoint: one that is flooded leaves the others alone
    keyId: options.scope,
    scope: "adcp-webhook-hmac",
    nonce: signature,
    // A webhook from the future is accepted until its time is past, and the tolerance once more
    ttl: `${2 * tolerance + 1} seconds`
  })
  return { timestamp, body, keyId }
})
