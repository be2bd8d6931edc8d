/**
 * Which material under a key id: Vault's `3`, Google's `cryptoKeyVersions/3`,
 * Azure's 32 hex digits. Opaque text, as the backend writes it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * A key version.
 *
 * @category schemas
 * @since 0.1.0
 */
export const KeyVersion = Schema.NonEmptyString.pipe(Schema.brand("effect-signer/KeyVersion"))

/**
 * The type of {@link KeyVersion}.
 *
 * @category models
 * @since 0.1.0
 */
export type KeyVersion = typeof KeyVersion.Type

/**
 * A key version from text.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (text: string): KeyVersion => KeyVersion.make(text)
