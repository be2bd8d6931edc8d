/**
 * What can go wrong when signing: one flat union of tagged errors.
 *
 * A backend says what went wrong in these words and no others. Only
 * {@link Retryable} may be acted on by a schedule; it carries a tagged `reason`.
 *
 * **Gotchas**
 *
 * No field holds headers, tokens, PINs, key bytes or message bytes. `cause` is a
 * {@link VendorError}: the vendor's name, code, status and request id, never the
 * raw error object, whose enumerable fields travel into JSON and loggers.
 *
 * **Example** (Handling one error by its tag)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Signer } from "effect-signer"
 *
 * const signed = Signer.sign(new Uint8Array(3)).pipe(
 *   Effect.catchTag("KeyNotSigner", () => Effect.succeed("watch-only"))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

const context = {
  /** Which backend: `"local"`, `"aws-kms"`... */
  backend: Schema.String,
  /** How the backend names the key; `"-"` where no key was reached yet. */
  keyId: Schema.String,
  operation: Schema.Literals(["make", "parse", "publicKey", "sign", "verify"])
}

/**
 * Where an error happened: fields that every error carries.
 *
 * @category models
 * @since 0.1.0
 */
export interface ErrorContext {
  readonly backend: string
  readonly keyId: string
  readonly operation: "make" | "parse" | "publicKey" | "sign" | "verify"
}

/**
 * A vendor's error, reduced to what helps and cannot leak.
 *
 * @category models
 * @since 0.1.0
 */
export class VendorError extends Schema.TaggedError<VendorError>("effect-signer/VendorError")("VendorError", {
  /** The vendor's error class or exception name. */
  vendorName: Schema.optionalKey(Schema.String),
  code: Schema.optionalKey(Schema.String),
  status: Schema.optionalKey(Schema.Int),
  requestId: Schema.optionalKey(Schema.String),
  text: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return [this.vendorName, this.code, this.status, this.requestId, this.text]
      .filter((part) => part !== undefined)
      .join(" ")
  }
}

const cause = { cause: Schema.optionalKey(VendorError) }

const text = (self: ErrorContext & { readonly _tag: string }, detail?: string) =>
  `${self.backend}.${self.operation}: ${self._tag}${detail === undefined ? "" : `: ${detail}`}`

// ---------------------------------------------------------------------------
// reasons of Retryable
// ---------------------------------------------------------------------------

/**
 * Reason: too many requests, by the backend's limit or our own. `retryAfter` is
 * what the server asked for.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimited extends Schema.TaggedError<RateLimited>("effect-signer/RateLimited")("RateLimited", {
  retryAfter: Schema.optionalKey(Schema.Duration)
}) {
  override get message() {
    return this.retryAfter === undefined
      ? "RateLimited"
      : `RateLimited: retry after ${Duration.format(this.retryAfter)}`
  }
}

/**
 * Reason: the backend cannot be reached or cannot answer now; also an open
 * circuit breaker. `problem` says what was tried and what came of it, where no
 * answer came.
 *
 * @category errors
 * @since 0.1.0
 */
export class BackendUnavailable extends Schema.TaggedError<BackendUnavailable>("effect-signer/BackendUnavailable")(
  "BackendUnavailable",
  { problem: Schema.optionalKey(Schema.String), retryAfter: Schema.optionalKey(Schema.Duration) }
) {
  override get message() {
    return this.problem === undefined ? "BackendUnavailable" : `BackendUnavailable: ${this.problem}`
  }
}

/**
 * Reason: an attempt, or the whole call, took longer than allowed.
 *
 * @category errors
 * @since 0.1.0
 */
export class TimedOut extends Schema.TaggedError<TimedOut>("effect-signer/TimedOut")("TimedOut", {
  duration: Schema.Duration
}) {
  override get message() {
    return `TimedOut: no answer within ${Duration.format(this.duration)}`
  }
}

/**
 * Reason: a checksum over the response does not match, nothing else.
 *
 * @category errors
 * @since 0.1.0
 */
export class ResponseCorrupted extends Schema.TaggedError<ResponseCorrupted>("effect-signer/ResponseCorrupted")(
  "ResponseCorrupted",
  {}
) {
  override get message() {
    return "ResponseCorrupted"
  }
}

/**
 * The reasons of {@link Retryable}.
 *
 * @category errors
 * @since 0.1.0
 */
export const RetryableReason = Schema.Union([RateLimited, BackendUnavailable, TimedOut, ResponseCorrupted])

/**
 * The type of {@link RetryableReason}.
 *
 * @category errors
 * @since 0.1.0
 */
export type RetryableReason = typeof RetryableReason.Type

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * The same call may succeed later. The only error a retry acts on.
 *
 * @category errors
 * @since 0.1.0
 */
export class Retryable extends Schema.TaggedError<Retryable>("effect-signer/Retryable")("Retryable", {
  ...context,
  reason: RetryableReason,
  ...cause
}) {
  override get message() {
    return text(this, this.reason.message)
  }
}

/**
 * The entry has no private half (watch-only), or the key's usage is not signing.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyNotSigner extends Schema.TaggedError<KeyNotSigner>("effect-signer/KeyNotSigner")("KeyNotSigner", {
  ...context,
  ...cause
}) {
  override get message() {
    return text(this, "the key cannot sign: it has no private half here, or its usage is not signing")
  }
}

/**
 * No such key, or no such version of it. `problem` says more where the backend
 * alone does not say enough.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyNotFound extends Schema.TaggedError<KeyNotFound>("effect-signer/KeyNotFound")("KeyNotFound", {
  ...context,
  problem: Schema.optionalKey(Schema.String),
  ...cause
}) {
  override get message() {
    const named = this.keyId === "-" ? undefined : `there is no such key, or no such version of it: ${this.keyId}`
    return text(this, this.problem ?? named)
  }

  /**
   * A version that a key does not have.
   *
   * @internal
   */
  static version(context: ErrorContext, version: string) {
    const shown = version.length > 64 ? `${version.slice(0, 64)}...` : version
    return new KeyNotFound({ ...context, problem: `${context.keyId} has no version ${JSON.stringify(shown)}` })
  }
}

/**
 * The key exists and cannot be used now: disabled, pending deletion, expired,
 * locked.
 *
 * @category errors
 * @since 0.1.0
 */
export class KeyUnavailable extends Schema.TaggedError<KeyUnavailable>("effect-signer/KeyUnavailable")(
  "KeyUnavailable",
  { ...context, state: Schema.String, ...cause }
) {
  override get message() {
    return text(this, `the key is ${this.state}`)
  }
}

/**
 * The backend does not accept who we are, or there is nothing to tell it by.
 * `problem` says which of the two. A PIN is never retried.
 *
 * @category errors
 * @since 0.1.0
 */
export class AuthenticationFailed extends Schema.TaggedError<AuthenticationFailed>(
  "effect-signer/AuthenticationFailed"
)("AuthenticationFailed", { ...context, problem: Schema.optionalKey(Schema.String), ...cause }) {
  override get message() {
    return text(this, this.problem)
  }
}

/**
 * The backend knows who we are and does not allow this.
 *
 * @category errors
 * @since 0.1.0
 */
export class PermissionDenied extends Schema.TaggedError<PermissionDenied>("effect-signer/PermissionDenied")(
  "PermissionDenied",
  { ...context, ...cause }
) {
  override get message() {
    return text(this)
  }
}

/**
 * One of our own rules said no. Nothing was sent to the backend.
 *
 * @category errors
 * @since 0.1.0
 */
export class PolicyDenied extends Schema.TaggedError<PolicyDenied>("effect-signer/PolicyDenied")("PolicyDenied", {
  ...context,
  rule: Schema.String
}) {
  override get message() {
    return text(this, `rule "${this.rule}" does not permit it`)
  }
}

/**
 * The backend, the key or this runtime cannot do this algorithm.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnsupportedAlgorithm extends Schema.TaggedError<UnsupportedAlgorithm>(
  "effect-signer/UnsupportedAlgorithm"
)("UnsupportedAlgorithm", {
  ...context,
  algorithm: Schema.String,
  problem: Schema.optionalKey(Schema.String),
  ...cause
}) {
  override get message() {
    return text(this, this.problem === undefined ? this.algorithm : `${this.algorithm}: ${this.problem}`)
  }
}

/**
 * The message is longer than the backend takes for this algorithm. Lengths are
 * in bytes.
 *
 * @category errors
 * @since 0.1.0
 */
export class MessageTooLarge extends Schema.TaggedError<MessageTooLarge>("effect-signer/MessageTooLarge")(
  "MessageTooLarge",
  { ...context, length: Schema.Int, limit: Schema.Int, advice: Schema.optionalKey(Schema.String) }
) {
  override get message() {
    const advice = this.advice === undefined ? "" : `; ${this.advice}`
    return text(this, `${this.length} bytes, at most ${this.limit}${advice}`)
  }
}

/**
 * The backend answered with something that is not a signature by this key over
 * this message. It was not passed on.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidResponse extends Schema.TaggedError<InvalidResponse>("effect-signer/InvalidResponse")(
  "InvalidResponse",
  { ...context, problem: Schema.String, ...cause }
) {
  override get message() {
    return text(this, this.problem)
  }
}

/**
 * Why one link of `Signer.firstAvailable` was passed over.
 *
 * @category models
 * @since 0.1.0
 */
export const LinkFailure = Schema.Struct({
  /** The name of the link. */
  link: Schema.String,
  /** The tag of its error. */
  tag: Schema.String,
  message: Schema.String
})

/**
 * The type of {@link LinkFailure}.
 *
 * @category models
 * @since 0.1.0
 */
export type LinkFailure = typeof LinkFailure.Type

/**
 * Options that contradict each other, malformed key material, or a request the
 * vendor calls invalid. `problem` says which field and what to do, and never
 * shows the value of a secret.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidConfiguration extends Schema.TaggedError<InvalidConfiguration>(
  "effect-signer/InvalidConfiguration"
)("InvalidConfiguration", {
  ...context,
  field: Schema.optionalKey(Schema.String),
  problem: Schema.String,
  /** Nothing is wrong with what was found: there is nothing here, no such file, variable, package or service. */
  absent: Schema.optionalKey(Schema.Literal(true)),
  /** Of `Signer.firstAvailable`: why each of its links was passed over, in order. */
  causes: Schema.optionalKey(Schema.Array(LinkFailure)),
  ...cause
}) {
  override get message() {
    return text(this, this.field === undefined ? this.problem : `${this.field}: ${this.problem}`)
  }

  /**
   * Malformed input found while parsing, before any backend or key is known.
   *
   * @internal
   */
  static of(options: { readonly field?: string; readonly problem: string } & Partial<ErrorContext>) {
    return new InvalidConfiguration({ backend: "effect-signer", keyId: "-", operation: "parse", ...options })
  }
}

/**
 * A code of the vendor that we do not know.
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownBackendError extends Schema.TaggedError<UnknownBackendError>("effect-signer/UnknownBackendError")(
  "UnknownBackendError",
  { ...context, ...cause }
) {
  override get message() {
    return text(this)
  }
}

/**
 * Everything a {@link Signer} can fail with.
 *
 * @category errors
 * @since 0.1.0
 */
export const SignerError = Schema.Union([
  Retryable,
  KeyNotSigner,
  KeyNotFound,
  KeyUnavailable,
  AuthenticationFailed,
  PermissionDenied,
  PolicyDenied,
  UnsupportedAlgorithm,
  MessageTooLarge,
  InvalidResponse,
  InvalidConfiguration,
  UnknownBackendError
])

/**
 * The type of {@link SignerError}.
 *
 * @category errors
 * @since 0.1.0
 */
export type SignerError = typeof SignerError.Type

/**
 * Tells whether a value is a {@link SignerError}.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSignerError = Schema.is(SignerError)
