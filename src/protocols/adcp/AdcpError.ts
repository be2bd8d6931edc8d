/**
 * Why a signed message of AdCP is refused: the codes of its specification, exactly.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const kinds = ["request", "webhook", "response"] as const

/** The kinds of messages that are signed. */
export type AdcpMessageKind = (typeof kinds)[number]

const reasons = [
  "required",
  "header_malformed",
  "params_incomplete",
  "tag_invalid",
  "alg_not_allowed",
  "window_invalid",
  "components_incomplete",
  "components_unexpected",
  "key_unknown",
  "key_purpose_invalid",
  "key_revoked",
  "revocation_stale",
  "rate_abuse",
  "invalid",
  "digest_mismatch",
  "replayed",
  "jwks_unavailable",
  "jwks_untrusted"
] as const

/**
 * The part of a code that is the same for all kinds of messages.
 *
 * @category errors
 * @since 0.1.0
 */
export type AdcpReason = (typeof reasons)[number]

/**
 * The codes of AdCP: `request_signature_*`, `webhook_signature_*`,
 * `response_signature_*`, and those of a target or a body that has no one meaning.
 *
 * @category errors
 * @since 0.1.0
 */
export type AdcpErrorCode =
  | `${AdcpMessageKind}_signature_${AdcpReason}`
  | `${AdcpMessageKind}_target_uri_malformed`
  | `${AdcpMessageKind}_body_malformed`
  | "webhook_mode_mismatch"

const codes: ReadonlyArray<AdcpErrorCode> = [
  ...kinds.flatMap((kind): ReadonlyArray<AdcpErrorCode> => [
    ...reasons.map((reason) => `${kind}_signature_${reason}` as const),
    `${kind}_target_uri_malformed`,
    `${kind}_body_malformed`
  ]),
  "webhook_mode_mismatch"
]

/** A step of the checklist: `0` is whether a signature is there at all. */
const Step = Schema.Literals(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "9a", "10", "11", "12", "13", "14"])

/**
 * A message that is refused. It holds nothing of the message: what an attacker
 * writes is not in it, but for the names in `duplicateMembers`, which are made safe
 * to log.
 *
 * **Details**
 *
 * Answer with status 401 and `wwwAuthenticate`. The step is for your logs, not for
 * who asked. `retryable` is true where keys could not be read: the same message may
 * be good later.
 *
 * @category errors
 * @since 0.1.0
 */
export class AdcpSignatureError extends Schema.TaggedError<AdcpSignatureError>("effect-signer/AdcpSignatureError")(
  "AdcpSignatureError",
  {
    code: Schema.Literals(codes),
    step: Step,
    problem: Schema.String,
    /** Bytes of the body, where it is the body that is refused. */
    bodyLength: Schema.optionalKey(Schema.Int),
    /** Names that an object of the body has twice, four at most, cut to 32 bytes and printable. */
    duplicateMembers: Schema.optionalKey(Schema.Array(Schema.String))
  }
) {
  override get message() {
    return `AdcpSignatureError: ${this.code} (step ${this.step}): ${this.problem}`
  }

  /** The HTTP status to answer with. */
  get status(): 401 {
    return 401
  }

  /** The value of `WWW-Authenticate`. */
  get wwwAuthenticate(): string {
    return `Signature error="${this.code}"`
  }

  /** Whether the same message may be good later. */
  get retryable(): boolean {
    return this.code.endsWith("_jwks_unavailable")
  }
}

/** What a checklist fails with, for one kind of messages. */
export const refusals = (kind: AdcpMessageKind) => {
  const of = (code: AdcpErrorCode, step: AdcpSignatureError["step"], problem: string) =>
    new AdcpSignatureError({ code, step, problem })
  return {
    signature: (reason: AdcpReason, step: AdcpSignatureError["step"], problem: string) =>
      of(`${kind}_signature_${reason}`, step, problem),
    target: (step: AdcpSignatureError["step"], problem: string) => of(`${kind}_target_uri_malformed`, step, problem),
    mode: (problem: string) => of("webhook_mode_mismatch", "1", problem),
    unresolvable: (step: AdcpSignatureError["step"], problem: string, bodyLength: number) =>
      new AdcpSignatureError({ code: `${kind}_body_malformed`, step, problem, bodyLength }),
    body: (problem: string, bodyLength: number, duplicateMembers: ReadonlyArray<string>) =>
      new AdcpSignatureError({
        code: `${kind}_body_malformed`,
        step: "14",
        problem,
        bodyLength,
        duplicateMembers
      })
  }
}

export type Refusals = ReturnType<typeof refusals>

/** Runs a check that throws what it refuses. */
export const attempt = <A>(check: () => A): Effect.Effect<A, AdcpSignatureError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(check())
    } catch (error) {
      if (error instanceof AdcpSignatureError) return Effect.fail(error)
      throw error
    }
  })
