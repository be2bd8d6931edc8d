/**
 * Why there is no key for a message: one flat union of tagged errors.
 *
 * **Gotchas**
 *
 * What a message names is an attacker's text: `keyId` is cut where it is long, and
 * no error holds key bytes.
 *
 * @category internal
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { VendorError } from "./SignerError.ts"

/**
 * The text of a message or a key set as an error may hold it.
 *
 * @internal
 */
export const shownKeyId = (keyId: string): string =>
  (keyId.length > 128 ? `${keyId.slice(0, 128)}...` : keyId).replace(/\p{C}/gu, "?")

/**
 * No key of the resolver is the one that the message names, for the issuer,
 * tenant and purpose that were asked for. It does not say which of these differs.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyUnknown extends Schema.TaggedError<KeyUnknown>("effect-signer/KeyUnknown")("KeyUnknown", {
  /** As the message names it; absent where it names none. */
  keyId: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return this.keyId === undefined
      ? "KeyUnknown: the message names no key, and none fits it"
      : `KeyUnknown: no key with the id ${JSON.stringify(this.keyId)} fits the message`
  }
}

/**
 * Several keys fit the message. A message without a key id is accepted only where
 * exactly one key does.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyAmbiguous extends Schema.TaggedError<KeyAmbiguous>("effect-signer/KeyAmbiguous")("KeyAmbiguous", {
  keyId: Schema.optionalKey(Schema.String),
  /** How many keys fit. */
  count: Schema.Int
}) {
  override get message() {
    return (
      `KeyAmbiguous: ${this.count} keys fit the message` +
      (this.keyId === undefined ? ", which names none: write a key id into it" : ": state whose key it must be")
    )
  }
}

/**
 * What a resolver answered is not an answer to what it was asked: another key id,
 * or a key without its one algorithm. A bug of the resolver, and refused.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyMismatch extends Schema.TaggedError<KeyMismatch>("effect-signer/KeyMismatch")("KeyMismatch", {
  keyId: Schema.optionalKey(Schema.String),
  problem: Schema.String
}) {
  override get message() {
    return `KeyMismatch: ${this.problem}`
  }
}

/**
 * What is wrong with a JWK Set.
 *
 * @category errors
 * @since 0.1.0
 */
export const JwksReason = Schema.Literals([
  "TooLarge",
  "TooManyKeys",
  "Malformed",
  "DuplicateKeyId",
  "PrivateKey",
  "SymmetricKey",
  "WrongUse",
  "WrongKeyOps",
  "WeakKey",
  "AlgorithmMismatch",
  "AlgorithmUnstated",
  "UnsupportedKey",
  "MalformedKey"
])

/**
 * The type of {@link JwksReason}.
 *
 * @category errors
 * @since 0.1.0
 */
export type JwksReason = typeof JwksReason.Type

/**
 * A JWK Set that is refused, whole: which key is wrong, and how.
 *
 * @category errors
 * @since 0.1.0
 */
export class JwksInvalid extends Schema.TaggedError<JwksInvalid>("effect-signer/JwksInvalid")("JwksInvalid", {
  reason: JwksReason,
  /** Of the key in `keys`, from 0. Absent where the set itself is wrong. */
  index: Schema.optionalKey(Schema.Int),
  /** The `kid` of that key, where it has one. */
  keyId: Schema.optionalKey(Schema.String),
  problem: Schema.String
}) {
  override get message() {
    const key =
      this.index === undefined
        ? ""
        : ` keys[${this.index}]${this.keyId === undefined ? "" : ` (kid ${JSON.stringify(this.keyId)})`}:`
    return `JwksInvalid: ${this.reason}:${key} ${this.problem}`
  }
}

/**
 * Why published keys were not read.
 *
 * - `Unreachable`, `TimedOut`, `Busy` (429 and 5xx): later it may work.
 * - `AddressRefused`: the host has an address that is not public. `Untrusted`: its
 *   certificate is not trusted.
 * - The server does not publish keys there: `Redirected`, `StatusRefused`,
 *   `WrongContentType`, `Compressed`, `TooLarge`, `InvalidResponse`,
 *   `InvalidDiscovery`.
 *
 * @category errors
 * @since 0.1.0
 */
export const KeysUnavailableReason = Schema.Literals([
  "Unreachable",
  "TimedOut",
  "Busy",
  "AddressRefused",
  "Untrusted",
  "Redirected",
  "StatusRefused",
  "WrongContentType",
  "Compressed",
  "TooLarge",
  "InvalidResponse",
  "InvalidDiscovery"
])

/**
 * The type of {@link KeysUnavailableReason}.
 *
 * @category errors
 * @since 0.1.0
 */
export type KeysUnavailableReason = typeof KeysUnavailableReason.Type

const passing: ReadonlyArray<KeysUnavailableReason | undefined> = [undefined, "Unreachable", "TimedOut", "Busy"]

/**
 * The keys cannot be read now: a server that does not answer, a key holder that
 * is out of reach. The one error here that may be retried, where it
 * `isRetryable`.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeysUnavailable extends Schema.TaggedError<KeysUnavailable>("effect-signer/KeysUnavailable")(
  "KeysUnavailable",
  {
    /** Of keys that are published; absent where a key holder is out of reach. */
    reason: Schema.optionalKey(KeysUnavailableReason),
    problem: Schema.String,
    /** What the server asked for. */
    retryAfter: Schema.optionalKey(Schema.Duration),
    cause: Schema.optionalKey(VendorError)
  }
) {
  override get message() {
    const after = this.retryAfter === undefined ? "" : `; retry after ${Duration.format(this.retryAfter)}`
    const reason = this.reason === undefined ? "" : `${this.reason}: `
    return `KeysUnavailable: ${reason}${this.problem}${after}`
  }

  /** Whether the same question may be answered later. */
  get isRetryable(): boolean {
    return passing.includes(this.reason)
  }
}

/**
 * The key is revoked: nothing that it signs is accepted any more.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyRevoked extends Schema.TaggedError<KeyRevoked>("effect-signer/KeyRevoked")("KeyRevoked", {
  keyId: Schema.String,
  /** Who revoked it, where the list says so. */
  issuer: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return `KeyRevoked: the key ${JSON.stringify(this.keyId)} is revoked`
  }
}

/**
 * Why it is not known which keys are revoked.
 *
 * - `Unavailable`: the list was never read, and cannot be read now.
 * - `Outdated`: the list that was read is too old to go by, and there is no newer one.
 *
 * @category errors
 * @since 0.1.0
 */
export const RevocationStaleReason = Schema.Literals(["Unavailable", "Outdated"])

/**
 * The type of {@link RevocationStaleReason}.
 *
 * @category errors
 * @since 0.1.0
 */
export type RevocationStaleReason = typeof RevocationStaleReason.Type

/**
 * Nobody can say now whether a key is revoked, so it counts as if it were. Later it
 * may be known again.
 *
 * @category errors
 * @since 0.1.0
 */
export class RevocationStale extends Schema.TaggedError<RevocationStale>("effect-signer/RevocationStale")(
  "RevocationStale",
  {
    reason: RevocationStaleReason,
    /** Why the last list that was fetched does not count. No part of it. */
    problem: Schema.String,
    cause: Schema.optionalKey(VendorError)
  }
) {
  override get message() {
    return `RevocationStale: ${this.reason}: ${this.problem}`
  }
}

/**
 * Everything that resolving a key can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export const KeyResolverError = Schema.Union([
  KeyUnknown,
  KeyAmbiguous,
  KeyMismatch,
  KeyRevoked,
  JwksInvalid,
  KeysUnavailable,
  RevocationStale
])

/**
 * The type of {@link KeyResolverError}.
 *
 * @category errors
 * @since 0.1.0
 */
export type KeyResolverError = typeof KeyResolverError.Type
