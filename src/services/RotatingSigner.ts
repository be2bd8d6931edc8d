/**
 * A Signer that signs with the active key of a rotation, whichever that is.
 *
 * The rotation is the holder of the key, and the kid of the key that signed is its key
 * version. `Jws` and `Jwt` compare the two anyway, so the `kid` of a token always names
 * the key that signed, also when the key changes between the two calls.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as KeyId from "../schemas/KeyId.ts"
import * as KeyVersion from "../schemas/KeyVersion.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { RotationKey, RotationState } from "../schemas/RotationState.ts"
import { active } from "../schemas/RotationState.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import type { ErrorContext, SignerError } from "../schemas/SignerError.ts"
import {
  BackendUnavailable,
  InvalidConfiguration,
  InvalidResponse,
  KeyNotFound,
  KeyUnavailable,
  Retryable
} from "../schemas/SignerError.ts"
import type { RotationStoreError } from "./RotationStore.ts"
import * as Signer from "./Signer.ts"

export interface Options {
  /** A state that is young enough to act on. */
  readonly state: Effect.Effect<RotationState | undefined, RotationStoreError>
  /** The Signer of a key. */
  readonly signerOf: (id: string) => Effect.Effect<Signer.Service, SignerError>
  readonly keyId: string
  readonly algorithm: SignatureAlgorithm
  readonly purpose: string | undefined
  /** Sign with this key only, while it is the active one. */
  readonly only?: string | undefined
}

/** What those see who sign, of a state that cannot be read. */
export const toSignerError =
  (context: ErrorContext) =>
  (error: RotationStoreError): SignerError =>
    error.reason === "Unavailable"
      ? new Retryable({
          ...context,
          reason: new BackendUnavailable({
            problem: `the state of the rotation cannot be read, so nobody knows which key is published: ${error.message}`
          })
        })
      : new InvalidConfiguration({ ...context, field: "store", problem: error.message })

/** The active key of a state. */
export const activeOf = (
  state: RotationState | undefined,
  context: ErrorContext
): Effect.Effect<RotationKey, KeyUnavailable> => {
  const key = state === undefined ? undefined : active(state)
  return key === undefined
    ? Effect.fail(new KeyUnavailable({ ...context, state: "not active yet: the rotation has no active key" }))
    : Effect.succeed(key)
}

/** A signature by a key of a rotation, or an error: never one by a key that is not published. */
export const signWith = Effect.fnUntraced(function* (
  signer: Signer.Service,
  key: RotationKey,
  message: Uint8Array
): Effect.fn.Return<Uint8Array, SignerError> {
  const context = { backend: "rotation", keyId: key.id, operation: "sign" } as const
  if (signer.algorithm !== key.algorithm) {
    return yield* new InvalidConfiguration({
      ...context,
      field: "signerOf",
      problem: `the Signer signs with ${signer.algorithm}, the key was started with ${key.algorithm}`
    })
  }
  const { bytes, keyVersion } = yield* signer.sign(message)
  // The holder may have another version of the key by now, which nobody has published
  const signed = yield* signer.publicKey(keyVersion)
  return PublicKey.sameKey(signed, key.publicKey)
    ? bytes
    : yield* new InvalidResponse({
        ...context,
        problem: "its holder signs with another key than the one that is published; name the version of the key"
      })
})

export const make = (options: Options): Effect.Effect<Signer.Service, SignerError> => {
  const { algorithm, only, signerOf } = options
  const keyId = KeyId.make(options.keyId)
  const contextOf = (operation: "publicKey" | "sign") => ({ backend: "rotation", keyId, operation })
  const stateFor = (operation: "publicKey" | "sign") =>
    Effect.mapError(options.state, toSignerError(contextOf(operation)))

  const activeFor = Effect.fnUntraced(function* (
    operation: "publicKey" | "sign"
  ): Effect.fn.Return<RotationKey, SignerError> {
    const context = contextOf(operation)
    const key = yield* activeOf(yield* stateFor(operation), context)
    if (only !== undefined && key.kid !== only) {
      return yield* new KeyUnavailable({ ...context, state: "no longer active: another key has taken its place" })
    }
    if (key.algorithm !== algorithm) {
      const state = `replaced by one for ${key.algorithm}, and this Signer is for ${algorithm}: make it again`
      return yield* new KeyUnavailable({ ...context, state })
    }
    return key
  })

  const publicKey = Effect.fnUntraced(function* (
    version?: KeyVersion.KeyVersion
  ): Effect.fn.Return<PublicKey.PublicKey, SignerError> {
    if (version === undefined) return (yield* activeFor("publicKey")).publicKey
    const state = yield* stateFor("publicKey")
    const key = state?.keys.find(({ kid }) => kid === version)
    return key === undefined ? yield* KeyNotFound.version(contextOf("publicKey"), version) : key.publicKey
  })

  return Signer.make(
    {
      name: "rotation",
      keyId,
      algorithm,
      input: "message",
      publicKey,
      sign: Effect.fnUntraced(function* (message) {
        const key = yield* activeFor("sign")
        const bytes = yield* signWith(yield* signerOf(key.id), key, message)
        return { bytes, keyVersion: KeyVersion.make(key.kid) }
      })
    },
    // The key changes: the state is what is kept, and says for how long
    { lazy: true, purpose: options.purpose, publicKeyTimeToLive: 0, publicKeyStaleFor: 0 }
  )
}
