/**
 * Standard Webhooks (standardwebhooks.com, version 1.0.0): events that a receiver
 * can tell to be from their sender, by a shared secret (`v1`) or by a public key
 * (`v1a`).
 *
 * **Details**
 *
 * - `v1` is HMAC with SHA-256: a `secret`, which is a `Mac`. `v1a` is Ed25519: a
 *   `Signer` signs and a `publicKey` verifies. A secret never meets a
 *   signature of the other kind.
 * - Both are over `id.timestamp.body`, with the bytes of the body as they were sent.
 * - State the old key beside the new one while keys are replaced: a webhook has a
 *   signature by each, and is accepted by any.
 *
 * **Gotchas**
 *
 * Give {@link verify} the bytes that were received: JSON that was parsed and written
 * again is another body.
 *
 * A sender delivers an event again until it is told that it arrived, each time with
 * the same `id` and another time: act on an `id` once. {@link verifyOnce} refuses
 * what was accepted before, which is another matter.
 *
 * An `id` with a period is refused, though the specification only advises against
 * it: with one, two different webhooks could have one signature.
 *
 * **Example** (Sending a webhook, and receiving it)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as StandardWebhooks from "effect-signer/StandardWebhooks"
 *
 * const program = Effect.gen(function*() {
 *   // Config.Redacted("WEBHOOK_SECRET"): whsec_...
 *   const secret = yield* StandardWebhooks.secret(yield* StandardWebhooks.generateSecret)
 *   const body = new TextEncoder().encode(`{"type":"invoice.paid","data":{"id":7}}`)
 *
 *   const { fields } = yield* StandardWebhooks.sign({ id: "msg_1", body }, { secrets: [secret] })
 *   const { id } = yield* StandardWebhooks.verify({ fields, body }, { secrets: [secret] })
 *   return id
 * })
 *
 * const result = Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import { fromBase64 } from "../schemas/BaseEncoding.ts"
import { isBytes } from "../schemas/Bytes.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { InvalidConfiguration, SignerError } from "../schemas/SignerError.ts"
import { UnsupportedAlgorithm } from "../schemas/SignerError.ts"
import type * as Mac from "../services/Mac.ts"
import * as PreparedVerifier from "../services/PreparedVerifier.ts"
import type { ReplayStore, ReplayStoreUnavailable } from "../services/ReplayStore.ts"
import type * as Signer from "../services/Signer.ts"
import type * as Verifier from "../services/Verifier.ts"
import type { FieldLine } from "./HttpMessage.ts"
import type { Delivery } from "./webhook/WebhookDelivery.ts"
import * as WebhookDelivery from "./webhook/WebhookDelivery.ts"
import type { WebhookInvalid } from "./webhook/WebhookDelivery.ts"

export {
  /**
   * @category encoding
   * @since 0.1.0
   */
  encodePublicKey,
  /**
   * @category constructors
   * @since 0.1.0
   */
  generateSecret,
  /**
   * @category decoding
   * @since 0.1.0
   */
  privateKey,
  /**
   * @category decoding
   * @since 0.1.0
   */
  publicKey,
  /**
   * @category decoding
   * @since 0.1.0
   */
  secret
} from "./webhook/StandardWebhookKeys.ts"

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
// signing
// ---------------------------------------------------------------------------

/**
 * What is sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Webhook {
  /** The same each time that one event is sent: visible ASCII without periods and commas, 256 characters at most. */
  readonly id: string
  readonly body: Uint8Array
}

/**
 * Whose signatures a webhook has: one by each, of which there is at least one and
 * eight at most.
 *
 * @category models
 * @since 0.1.0
 */
export interface SigningKeys {
  /** For `v1`. */
  readonly secrets?: ReadonlyArray<Mac.Service> | undefined
  /** For `v1a`: Ed25519. */
  readonly signers?: ReadonlyArray<Signer.Service> | undefined
  /** The purpose that the Signers must have. */
  readonly purpose?: string | undefined
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

/** Keys, and signatures of a webhook, at most. */
const maxKeys = 8

/** Visible ASCII without a period, which would let `id.timestamp` be read in two ways, and a comma, which joins lines. */
const isId = /^[\x21-\x2b\x2d\x2f-\x7e]{1,256}$/

const fields = { id: "webhook-id", timestamp: "webhook-timestamp", signature: "webhook-signature" } as const

const keysProblem = (
  operation: "sign" | "verify",
  secrets: ReadonlyArray<Mac.Service>,
  others: ReadonlyArray<unknown>,
  othersName: string
): InvalidConfiguration | undefined => {
  const count = secrets.length + others.length
  if (count === 0) return misconfigured(operation, "keys", `state secrets or ${othersName}`)
  if (count > maxKeys) return misconfigured(operation, "keys", `${count} keys; ${maxKeys} at most`)
  return secrets.every(({ algorithm }) => algorithm === "HS256")
    ? undefined
    : misconfigured(operation, "secrets", "must be for HS256")
}

const signersProblem = (
  signers: ReadonlyArray<Signer.Service>,
  purpose: string | undefined
): SignerError | undefined => {
  for (const signer of signers) {
    const { algorithm, backend, keyId } = signer
    if (algorithm !== "Ed25519") {
      const problem = "Standard Webhooks needs Ed25519"
      return new UnsupportedAlgorithm({ backend, keyId, operation: "sign", algorithm, problem })
    }
    if (purpose !== undefined && signer.purpose !== purpose) {
      return misconfigured("sign", "purpose", "the Signer is not for this purpose")
    }
  }
  return undefined
}

/**
 * Signs a webhook, at the time of Effect's clock: sign again for each delivery.
 *
 * @category signing
 * @since 0.1.0
 */
export const sign = Effect.fnUntraced(function* (
  webhook: Webhook,
  keys: SigningKeys
): Effect.fn.Return<Signed, SignerError> {
  const { secrets = [], signers = [] } = keys
  const problem = keysProblem("sign", secrets, signers, "signers") ?? signersProblem(signers, keys.purpose)
  if (problem !== undefined) return yield* problem
  const { body, id } = webhook
  if (typeof id !== "string" || !isId.test(id)) {
    const must = "must be 1 to 256 visible ASCII characters, none of them a period or a comma"
    return yield* misconfigured("sign", "id", must)
  }
  if (!isBytes(body)) return yield* misconfigured("sign", "body", "expected a Uint8Array")
  const timestamp = yield* WebhookDelivery.nowInSeconds
  const message = WebhookDelivery.withPrefix(`${id}.${timestamp}.`, body).bytes
  const macs = yield* Effect.forEach(secrets, (mac) =>
    Effect.map(mac.compute(message), (bytes) => `v1,${Base64.encode(bytes)}`)
  )
  const signatures = yield* Effect.forEach(
    signers,
    (signer) => Effect.map(signer.sign(message), ({ bytes }) => `v1a,${Base64.encode(bytes)}`),
    { concurrency: "unbounded" }
  )
  return {
    timestamp,
    fields: [
      [fields.id, id],
      [fields.timestamp, String(timestamp)],
      [fields.signature, [...macs, ...signatures].join(" ")]
    ]
  }
})

// ---------------------------------------------------------------------------
// verifying
// ---------------------------------------------------------------------------

/**
 * Whose signatures are accepted, and how old. One key at least, and eight at most.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyOptions {
  /** For `v1`. */
  readonly secrets?: ReadonlyArray<Mac.Service> | undefined
  /** For `v1a`: Ed25519. */
  readonly publicKeys?: ReadonlyArray<PublicKey.PublicKey> | undefined
  /** How far the time of a webhook may be from now, in both directions. Default 5 minutes. */
  readonly tolerance?: Duration.Input | undefined
}

/**
 * A webhook that is what its sender sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Verified {
  /** The same each time that one event is sent. */
  readonly id: string
  /** When this delivery was signed, in seconds since 1970. */
  readonly timestamp: number
  /** The bytes that were verified: a copy. */
  readonly body: Uint8Array
  /** Which key it was: of a secret its key id, of a public key its RFC 7638 thumbprint. */
  readonly keyId: string | undefined
}

/** By version: the bytes of a signature. Signatures of other versions are left to others. */
const lengths: ReadonlyMap<string, number> = new Map([
  ["v1", 32],
  ["v1a", 64]
])

interface Signatures {
  readonly v1: ReadonlyArray<Uint8Array>
  readonly v1a: ReadonlyArray<Uint8Array>
}

const isVersion = /^v[0-9a-z]{1,7}$/

/** Reads the list of signatures: versions and base64, with a space between. */
const signaturesOf = (value: string): Effect.Effect<Signatures, WebhookInvalid> => {
  const found: Record<keyof Signatures, Array<Uint8Array>> = { v1: [], v1a: [] }
  const entries = value.split(" ")
  if (entries.length > maxKeys) return refused("Malformed", fields.signature, `more than ${maxKeys} signatures`)
  for (const entry of entries) {
    const comma = entry.indexOf(",")
    const version = entry.slice(0, Math.max(comma, 0))
    if (!isVersion.test(version)) {
      return refused("Malformed", fields.signature, "expected versions and signatures, as in v1,<base64>")
    }
    const length = lengths.get(version)
    if (length === undefined) continue
    const bytes = fromBase64(entry.slice(comma + 1))
    if (bytes?.length !== length) {
      return refused("Malformed", fields.signature, `a signature of ${version} is the base64 of ${length} bytes`)
    }
    found[version as keyof Signatures].push(bytes)
  }
  return Effect.succeed(found)
}

/** Which key signed: an Effect of `undefined` where none did. */
const findKey = Effect.fnUntraced(function* (
  message: Uint8Array,
  signatures: Signatures,
  secrets: ReadonlyArray<Mac.Service>,
  verifiers: ReadonlyArray<Verifier.Verifier>
): Effect.fn.Return<Pick<Verified, "keyId"> | undefined> {
  if (signatures.v1.length > 0) {
    for (const mac of secrets) {
      // Once for all signatures: a long body is hashed as often as there are secrets
      const expected = yield* mac.compute(message)
      if (signatures.v1.some((signature) => WebhookDelivery.isSame(signature, expected))) return { keyId: mac.keyId }
    }
  }
  for (const verifier of verifiers) {
    for (const signature of signatures.v1a) {
      if (yield* verifier.verify(message, signature)) return { keyId: PublicKey.thumbprint(verifier.publicKey) }
    }
  }
  return undefined
})

/**
 * Verifies a webhook: that one of the keys signed it, not long ago.
 *
 * **Details**
 *
 * Fails with {@link WebhookInvalid}; with `InvalidConfiguration` where the options
 * are at fault.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verify = Effect.fnUntraced(function* (
  delivery: Delivery,
  options: VerifyOptions
): Effect.fn.Return<Verified, WebhookInvalid | InvalidConfiguration | UnsupportedAlgorithm> {
  const { publicKeys = [], secrets = [] } = options
  const problem = keysProblem("verify", secrets, publicKeys, "publicKeys")
  if (problem !== undefined) return yield* problem
  if (!publicKeys.every(({ type }) => type === "Ed25519")) {
    return yield* misconfigured("verify", "publicKeys", "must be Ed25519")
  }
  const tolerance = yield* WebhookDelivery.toleranceOf(options.tolerance ?? "5 minutes")
  const received = yield* WebhookDelivery.bodyOf(delivery)
  const id = yield* WebhookDelivery.fieldOf(delivery, fields.id)
  const time = yield* WebhookDelivery.fieldOf(delivery, fields.timestamp)
  const value = yield* WebhookDelivery.fieldOf(delivery, fields.signature)
  if (!isId.test(id)) {
    return yield* refused("Malformed", fields.id, "expected visible ASCII without periods and commas")
  }
  const timestamp = yield* WebhookDelivery.timeOf(time, fields.timestamp, tolerance)
  const signatures = yield* signaturesOf(value)
  const canCheck =
    (signatures.v1.length > 0 && secrets.length > 0) || (signatures.v1a.length > 0 && publicKeys.length > 0)
  if (!canCheck) return yield* refused("NoSignature", fields.signature)
  const { bytes, start } = WebhookDelivery.withPrefix(`${id}.${time}.`, received)
  const verifiers = yield* Effect.forEach(publicKeys, PreparedVerifier.of).pipe(
    Effect.catchTag("KeyMismatch", (error) => Effect.fail(misconfigured("verify", "publicKeys", error.problem)))
  )
  const found = yield* findKey(bytes, signatures, secrets, verifiers)
  if (found === undefined) return yield* refused("SignatureInvalid")
  return { id, timestamp, body: bytes.slice(start), keyId: found.keyId }
})

/**
 * Options of {@link verifyOnce}.
 *
 * @category models
 * @since 0.1.0
 */
export interface VerifyOnceOptions extends VerifyOptions {
  /** Which endpoint it is, among all that share the store. */
  readonly scope: string
  /**
   * What counts once. Default `"delivery"`: the same event may be delivered again,
   * with another time, as senders do until they are told that it arrived. `"event"`:
   * an `id` counts once while it is remembered; answer a repeated one with success, or
   * it is sent for ever.
   */
  readonly by?: "delivery" | "event" | undefined
}

/**
 * Verifies a webhook, and refuses one that was accepted before, by a `ReplayStore`.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verifyOnce = Effect.fnUntraced(function* (
  delivery: Delivery,
  options: VerifyOnceOptions
): Effect.fn.Return<
  Verified,
  WebhookInvalid | InvalidConfiguration | UnsupportedAlgorithm | ReplayStoreUnavailable,
  ReplayStore
> {
  const verified = yield* verify(delivery, options)
  const tolerance = yield* WebhookDelivery.toleranceOf(options.tolerance ?? "5 minutes")
  const { id, timestamp } = verified
  yield* WebhookDelivery.once({
    // Its own maximum for each endpoint: one that is flooded leaves the others alone
    keyId: options.scope,
    scope: "standard-webhooks",
    nonce: options.by === "event" ? id : `${id}.${timestamp}`,
    // A webhook from the future is accepted until its time is past, and the tolerance once more
    ttl: `${2 * tolerance + 1} seconds`
  })
  return verified
})
