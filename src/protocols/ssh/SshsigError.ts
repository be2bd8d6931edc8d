/**
 * The error of `Sshsig`, which exports it.
 *
 * @category internal
 */
import * as Schema from "effect/Schema"

/**
 * A signature, or a file of allowed signers, that cannot be read; `problem` says
 * which rule it breaks and shows nothing of it.
 *
 * @category errors
 * @since 0.1.0
 */
export class SshsigError extends Schema.TaggedError<SshsigError>("effect-signer/SshsigError")("SshsigError", {
  field: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.field}: ${this.problem}`
  }
}
