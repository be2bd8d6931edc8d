import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { SignerError } from "../schemas/SignerError.ts"
import type { Scope } from "effect/Scope"
import * as Signer from "../services/Signer.ts"
import { observedSigner } from "./observed.ts"
import type { ObservedOptions } from "./observed.ts"
import { resilientEffect, resilientSigner } from "./resilient.ts"
import type { ResilientOptions } from "./resilient.ts"
import { verifiedSigner } from "./verified.ts"

/**
 * Options of {@link layerRemote}, which every remote backend's `layer` takes
 * beside its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface RemoteOptions {
  /** Timeout per attempt and retry. Default: as {@link resilient}. */
  readonly resilience?: ResilientOptions | undefined
  /** Metric attributes. */
  readonly observe?: ObservedOptions | undefined
  /** Do not read the public key while the layer is built. */
  readonly lazy?: boolean | undefined
}

/**
 * What every remote backend's `layer` is: the bare Signer, resilient, verified
 * and observed, with its public key read while the layer is built.
 *
 * **Details**
 *
 * `make` must build a lazy Signer: what it asks the backend while it is made, and
 * the first read of the public key, get the same timeout and retries as `sign`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRemote = <R>(
  context: { readonly backend: string; readonly keyId: string },
  make: Effect.Effect<Signer.Service, SignerError, R>,
  options: RemoteOptions = {}
): Layer.Layer<Signer.Signer, SignerError, Exclude<R, Scope>> =>
  Layer.effect(
    Signer.Signer,
    make.pipe(
      resilientEffect(options.resilience ?? {}, { ...context, operation: "make" }),
      Effect.map(resilientSigner(options.resilience)),
      Effect.map(verifiedSigner),
      Effect.map(observedSigner(options.observe)),
      Effect.tap((signer) => (options.lazy === true ? Effect.void : signer.publicKey()))
    )
  )
