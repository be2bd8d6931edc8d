/**
 * A Signer for specs: a real key that is the same in every run, and a record of
 * what was signed.
 *
 * **Details**
 *
 * The key is derived from `seed` and the kind of key by HKDF-SHA256, so what names
 * a key stays the same from run to run and from machine to machine. RSA keys
 * are not derived: every RSA algorithm uses the one 2048-bit test key of RFC 7520
 * section 3.4, whatever the seed.
 *
 * **Gotchas**
 *
 * The key is the same in every run; a signature is only for Ed25519 and RS256,
 * RS384, RS512: the other algorithms sign with fresh randomness. A decorator on
 * this layer passes on its `Signer` only: keep `Calls` with `Layer.provideMerge`.
 *
 * Anybody can derive these keys. Nothing here is built where `NODE_ENV` is
 * `production`, unless `allowInProduction`.
 *
 * **Example** (A spec that looks at what was signed)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Signer } from "effect-signer"
 * import { TestSigner } from "effect-signer/testing"
 *
 * const program = Effect.gen(function*() {
 *   yield* Signer.sign(new TextEncoder().encode("release 1.2.3"))
 *   const calls = yield* TestSigner.Calls
 *   return yield* calls.messages
 * }).pipe(Effect.provide(TestSigner.layer({ algorithm: "ES256" })))
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { primitives } from "#primitives"
import type { KeyId } from "../schemas/KeyId.ts"
import type { Signature } from "../schemas/Signature.ts"
import type { SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { refuseInProduction } from "../services/Ephemeral.ts"
import * as LocalBackend from "../services/LocalBackend.ts"
import * as Signer from "../services/Signer.ts"
import * as TestKey from "./TestKey.ts"

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default `Ed25519`. */
  readonly algorithm?: SignatureAlgorithm | undefined
  /** What the key is derived from; text as UTF-8. Another seed is another key, except for RSA. */
  readonly seed?: string | Uint8Array | undefined
  /** Default: `urn:kms:<curve>:<fingerprint>` of the public key. */
  readonly keyId?: KeyId | undefined
  readonly purpose?: string | undefined
  readonly allowInProduction?: boolean | undefined
}

/**
 * One call of `sign`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  /** A copy. */
  readonly message: Uint8Array
  /** How it ended; `undefined` while it runs. */
  readonly exit: Exit.Exit<Signature, SignerError> | undefined
}

/**
 * What a test signer was asked to sign, in the order in which the calls began.
 *
 * @category services
 * @since 0.1.0
 */
export class Calls extends Context.Service<
  Calls,
  {
    readonly all: Effect.Effect<ReadonlyArray<Call>>
    readonly messages: Effect.Effect<ReadonlyArray<Uint8Array>>
    /** Forgets them. */
    readonly clear: Effect.Effect<void>
  }
>()("effect-signer/testing/Calls") {}

/**
 * A test signer and its {@link Calls}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (options: Options = {}): Effect.fn.Return<
  {
    readonly signer: Signer.Service
    readonly calls: Calls["Service"]
  },
  SignerError
> {
  yield* refuseInProduction("test", "a key that anybody can derive", options.allowInProduction)
  const { algorithm = "Ed25519", keyId, purpose, seed } = options
  const signer = yield* LocalBackend.make(
    "test",
    primitives
  )({
    privateKey: TestKey.make(algorithm, seed),
    algorithm,
    keyId,
    purpose
  })
  const calls: Array<{ readonly message: Uint8Array; exit: Call["exit"] }> = []
  return {
    signer: Signer.transform(signer, {
      sign: (sign, message) =>
        Effect.suspend(() => {
          const call = { message: new Uint8Array(message), exit: undefined as Call["exit"] }
          calls.push(call)
          return Effect.onExit(sign, (exit) =>
            Effect.sync(() => {
              call.exit = exit
            })
          )
        })
    }),
    calls: Calls.of({
      all: Effect.sync(() => calls.map((call) => ({ ...call }))),
      messages: Effect.sync(() => calls.map(({ message }) => message)),
      clear: Effect.sync(() => {
        calls.length = 0
      })
    })
  }
})

/**
 * Provides a test `Signer`, and its {@link Calls}.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Signer.Signer | Calls, SignerError> =>
  Layer.effectContext(
    Effect.map(make(options), ({ calls, signer }) =>
      Context.make(Signer.Signer, signer).pipe(Context.add(Calls, calls))
    )
  )
