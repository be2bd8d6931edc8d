/**
 * What every adapter to a library of Promises starts from: a Signer that can do
 * what the library needs, and a way to run effects there.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import { isBytes } from "../../schemas/Bytes.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { Signature } from "../../schemas/Signature.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import { InvalidConfiguration, InvalidResponse, UnsupportedAlgorithm } from "../../schemas/SignerError.ts"
import { isRecord } from "../../schemas/StrictJson.ts"
import * as Signer from "../../services/Signer.ts"

/** Runs an effect for a library. What it fails with is what the Promise rejects with. */
export type Run = <A>(effect: Effect.Effect<A, SignerError>, signal?: AbortSignal | undefined) => Promise<A>

/**
 * {@link Run} with the context of who asks for it: the clock, the loggers and the
 * tracer of the application are those of each call.
 */
export const run: Effect.Effect<Run> = Effect.map(Effect.context<never>(), (context) => {
  const runPromise = Effect.runPromiseWith(context)
  return (effect, signal) =>
    signal === undefined
      ? runPromise(effect)
      : runPromise(effect, { signal }).catch((error: unknown) => {
          throw signal.aborted ? signal.reason : error
        })
})

/** What a library needs of a key. */
export interface Needs {
  readonly library: string
  readonly algorithms: ReadonlyArray<SignatureAlgorithm>
  readonly purpose: string | undefined
}

/** The failure of a key that signs with another algorithm than the library needs. */
export const checkAlgorithm = (
  signer: Pick<Signer.Service, "algorithm" | "backend" | "keyId">,
  { algorithms, library }: Pick<Needs, "algorithms" | "library">
): Effect.Effect<void, UnsupportedAlgorithm> =>
  algorithms.includes(signer.algorithm)
    ? Effect.void
    : Effect.fail(
        new UnsupportedAlgorithm({
          backend: signer.backend,
          keyId: signer.keyId,
          operation: "make",
          algorithm: signer.algorithm,
          problem: `${library} needs ${algorithms.join(", ")}`
        })
      )

/** The Signer of the context, where it is one that the library can use. */
export const signerFor = Effect.fnUntraced(function* (
  needs: Needs
): Effect.fn.Return<Signer.Service, SignerError, Signer.Signer> {
  const signer = yield* Signer.Signer
  yield* checkAlgorithm(signer, needs)
  return needs.purpose === undefined || signer.purpose === needs.purpose
    ? signer
    : yield* misconfigured("purpose", "the Signer is not for this purpose")
})

/** Signs for a name that is made of one public key: fails where another one signed, because the key was rotated. */
export const signAs = (signer: Signer.Service, key: PublicKey.PublicKey) =>
  Effect.fnUntraced(function* (message: Uint8Array): Effect.fn.Return<Signature, SignerError> {
    const signature = yield* signer.sign(message)
    if (signature.keyVersion === undefined) return signature
    const signed = yield* signer.publicKey(signature.keyVersion)
    if (PublicKey.sameKey(signed, key)) return signature
    const { backend, keyId } = signer
    const problem = "the key was rotated: make this anew, with the name of the new key"
    return yield* new InvalidResponse({ backend, keyId, operation: "sign", problem })
  })

/** What is wrong with what the library, or its caller, handed in. */
export const misconfigured = (field: string, problem: string) =>
  InvalidConfiguration.of({ operation: "sign", field, problem })

/** `undefined` for what JSON cannot write: a bigint, a cycle. */
export const toJson = (value: object): string | undefined => {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

const utf8 = new TextEncoder()

/** Bytes as they are, an object as JSON. */
export const payloadBytes = (payload: Uint8Array | object): Effect.Effect<Uint8Array, InvalidConfiguration> =>
  Effect.suspend(() => {
    if (isBytes(payload)) return Effect.succeed(payload)
    if (!isRecord(payload)) {
      return Effect.fail(misconfigured("payload", "expected a Uint8Array, or an object of claims"))
    }
    const text = toJson(payload)
    return text === undefined
      ? Effect.fail(misconfigured("payload", "cannot be written as JSON"))
      : Effect.succeed(utf8.encode(text))
  })
