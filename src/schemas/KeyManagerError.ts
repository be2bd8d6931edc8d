/**
 * The one error that belongs to a `KeyManager` alone. The others it shares: those
 * of a Signer, of the store, and of malformed input.
 *
 * @category internal
 */
import * as Schema from "effect/Schema"

/**
 * No key was named, and none is active.
 *
 * @category errors
 * @since 0.1.0
 */
export class ActiveKeyNotSet extends Schema.TaggedError<ActiveKeyNotSet>("effect-signer/ActiveKeyNotSet")(
  "ActiveKeyNotSet",
  {}
) {
  override get message() {
    return "ActiveKeyNotSet: no key is active; name one by its id, or make one active with setActive"
  }
}
