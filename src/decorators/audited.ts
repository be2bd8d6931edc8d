import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Hex from "effect/encoding/Hex"
import { primitives } from "#primitives"
import type { Signature } from "../schemas/Signature.ts"
import { UnknownBackendError, VendorError } from "../schemas/SignerError.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { AuditEntry, AuditLog, AuditLogError } from "../services/AuditLog.ts"
import * as Signer from "../services/Signer.ts"

const outcomeOf = (exit: Exit.Exit<Signature, SignerError>): Partial<AuditEntry> & Pick<AuditEntry, "outcome"> => {
  if (Exit.isSuccess(exit)) {
    const { keyVersion } = exit.value
    return keyVersion === undefined ? { outcome: "signed" } : { outcome: "signed", keyVersion }
  }
  const error = Exit.findErrorOption(exit)
  if (error._tag === "Some") return { outcome: "failed", error: error.value._tag }
  return { outcome: Exit.hasInterrupts(exit) ? "interrupted" : "defect" }
}

const recordTimeout = "5 seconds"

/** {@link audited} on a value. */
export const auditedSigner =
  (log: AuditLog["Service"]) =>
  (self: Signer.Service): Signer.Service => {
    const { algorithm, backend, keyId, purpose } = self
    const named = purpose === undefined ? { algorithm, backend, keyId } : { algorithm, backend, keyId, purpose }
    return Signer.transform(self, {
      sign: (sign, message) =>
        Effect.onExit(sign, (exit) =>
          Effect.clockWith((clock) =>
            log.record(
              new AuditEntry({
                ...named,
                timestamp: clock.currentTimeMillisUnsafe(),
                messageLength: message.length,
                messageDigest: Hex.encode(primitives.digest("SHA-256", message)),
                ...outcomeOf(exit)
              })
            )
          ).pipe(
            // the end of a call is uninterruptible: a log that hangs must not hold it for ever
            Effect.interruptible,
            Effect.timeoutOrElse({
              duration: recordTimeout,
              orElse: () => Effect.fail(new AuditLogError({ problem: "no answer from the audit log" }))
            }),
            // not Retryable: a signature may have been made, and would be made again
            Effect.mapError(
              ({ problem }) =>
                new UnknownBackendError({
                  backend,
                  keyId,
                  operation: "sign",
                  cause: new VendorError({ vendorName: "AuditLogError", text: problem })
                })
            )
          )
        )
    })
  }

/**
 * Writes one entry per call of `sign` to the {@link AuditLog}: signed, denied,
 * failed or interrupted.
 *
 * **Details**
 *
 * Put it last, outside `retry` and `guard`, so that an entry is a call and
 * denials are seen. If the entry cannot be written, the call fails with
 * `UnknownBackendError`, whose cause is the log's problem, and the signature is not
 * returned. The log has five seconds for it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const audited: <E, R>(self: Layer.Layer<Signer.Signer, E, R>) => Layer.Layer<Signer.Signer, E, R | AuditLog> =
  Signer.lift((self) => Effect.map(AuditLog, (log) => auditedSigner(log)(self)))
