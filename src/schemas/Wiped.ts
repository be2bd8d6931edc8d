/**
 * Secrets that are overwritten when they are no longer needed.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"

/**
 * Makes a secret, uses it, and wipes it whatever comes of that. Unlike
 * `acquireUseRelease`, the making can be interrupted: it may be a second of key
 * derivation, or a question to a person.
 */
export const withWiped = <Secret, E, R, A, E2, R2>(
  secret: Effect.Effect<Secret, E, R>,
  use: (secret: Secret) => Effect.Effect<A, E2, R2>,
  wipe: (secret: Secret) => void
): Effect.Effect<A, E | E2, R | R2> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(secret), (value) =>
      Effect.ensuring(
        restore(Effect.suspend(() => use(value))),
        Effect.sync(() => wipe(value))
      )
    )
  )

/** As {@link withWiped}, of bytes. */
export const withBytes = <E, R, A, E2, R2>(
  bytes: Effect.Effect<Uint8Array, E, R>,
  use: (bytes: Uint8Array) => Effect.Effect<A, E2, R2>
): Effect.Effect<A, E | E2, R | R2> => withWiped(bytes, use, (bytes) => void bytes.fill(0))
