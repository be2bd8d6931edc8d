/**
 * Where the `audited` decorator writes: one entry per call of `sign`, whatever
 * became of it.
 *
 * **Gotchas**
 *
 * A record that fails, fails the call: an unaudited signature is not returned.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { KeyVersion } from "../schemas/KeyVersion.ts"
import { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"

/**
 * What happened in one call of `sign`. Holds no message bytes and no signature:
 * `messageDigest` is the SHA-256 of the message in lower-case hex, enough to find
 * the entry of a message one has.
 *
 * @category models
 * @since 0.1.0
 */
export class AuditEntry extends Schema.Class<AuditEntry>("effect-signer/AuditEntry")({
  /** Milliseconds since the Unix epoch, when the call ended. */
  timestamp: Schema.Finite,
  backend: Schema.String,
  keyId: Schema.String,
  keyVersion: Schema.optionalKey(KeyVersion),
  algorithm: SignatureAlgorithm,
  purpose: Schema.optionalKey(Schema.String),
  messageLength: Schema.Int,
  messageDigest: Schema.String,
  outcome: Schema.Literals(["signed", "failed", "interrupted", "defect"]),
  /** The tag of the error, of a failed call. */
  error: Schema.optionalKey(Schema.String)
}) {}

/**
 * The entry could not be written.
 *
 * @category errors
 * @since 0.1.0
 */
export class AuditLogError extends Schema.TaggedError<AuditLogError>("effect-signer/AuditLogError")("AuditLogError", {
  problem: Schema.String
}) {
  override get message() {
    return this.problem
  }
}

/**
 * Records audit entries.
 *
 * @category services
 * @since 0.1.0
 */
export class AuditLog extends Context.Service<
  AuditLog,
  {
    readonly record: (entry: AuditEntry) => Effect.Effect<void, AuditLogError>
  }
>()("effect-signer/AuditLog") {}

/**
 * The entries of {@link layerMemory}, oldest first.
 *
 * @category services
 * @since 0.1.0
 */
export class AuditEntries extends Context.Service<
  AuditEntries,
  {
    readonly all: Effect.Effect<ReadonlyArray<AuditEntry>>
  }
>()("effect-signer/AuditEntries") {}

/**
 * Keeps entries in memory, all of them or the newest `capacity`. For tests and
 * development: they die with the process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (options?: {
  readonly capacity?: number | undefined
}): Layer.Layer<AuditLog | AuditEntries> =>
  Layer.effectContext(
    Effect.sync(() => {
      const capacity = options?.capacity ?? Infinity
      const entries: Array<AuditEntry> = []
      return Context.make(
        AuditLog,
        AuditLog.of({
          record: (entry) =>
            Effect.sync(() => {
              entries.push(entry)
              if (entries.length > capacity) entries.shift()
            })
        })
      ).pipe(Context.add(AuditEntries, AuditEntries.of({ all: Effect.sync(() => entries.slice()) })))
    })
  )

/**
 * Writes each entry through Effect's logger, at level `Info`, with the entry's
 * fields as annotations.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerLogger: Layer.Layer<AuditLog> = Layer.succeed(
  AuditLog,
  AuditLog.of({
    record: (entry) => Effect.logInfo("signer audit").pipe(Effect.annotateLogs({ ...entry }))
  })
)
