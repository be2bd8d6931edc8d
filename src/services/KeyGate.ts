/**
 * Whether a key of a `KeyManager` may sign, as every Signer that was handed out for
 * it asks before each signature.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type { KeyId } from "../schemas/KeyId.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { KeyNotFound, KeyUnavailable } from "../schemas/SignerError.ts"
import * as Signer from "./Signer.ts"
import { signContext } from "./ManagedKeyId.ts"

/**
 * One key, as this process knows it. A key that comes under the id of one that was
 * removed has a gate of its own.
 */
export class KeyGate {
  readonly id: KeyId
  state: "open" | "disabled" | "removed" = "open"

  constructor(id: KeyId) {
    this.id = id
  }

  /** Why the key does not sign; `undefined` where it does. */
  refusal(): KeyUnavailable | KeyNotFound | undefined {
    const context = signContext(this.id)
    return this.state === "open"
      ? undefined
      : this.state === "disabled"
        ? new KeyUnavailable({ ...context, state: "disabled" })
        : new KeyNotFound(context)
  }

  /** An effect that runs only while the key may sign. */
  readonly pass = <A>(sign: Effect.Effect<A, SignerError>): Effect.Effect<A, SignerError> =>
    Effect.suspend(() => {
      const refusal = this.refusal()
      return refusal === undefined ? sign : Effect.fail(refusal)
    })

  /** A Signer that signs only while the key may. */
  guard(signer: Signer.Service): Signer.Service {
    return Signer.transform(signer, { sign: this.pass })
  }
}
