/**
 * Verifies requests for frameworks that know promises only: what they have in common.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import type * as ManagedRuntime from "effect/ManagedRuntime"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import type { KeyResolver } from "../../services/KeyResolver.ts"
import type { ReplayStore, ReplayStoreUnavailable } from "../../services/ReplayStore.ts"
import type { HttpRequest, RequestContext } from "../HttpMessage.ts"
import * as HttpSignature from "../HttpSignature.ts"
import { policyFor } from "./HttpSignatureCheck.ts"
import type { Refusal } from "./HttpSignatureRefusal.ts"
import { noSignature, refusalOf } from "./HttpSignatureRefusal.ts"

/**
 * Options of a verifier.
 *
 * @category models
 * @since 0.1.0
 */
export type VerifierOptions<ER> = Pick<RequestContext, "scheme" | "authority"> & {
  readonly policy: HttpSignature.PolicyFor
  /** Bytes that a body has at most. Default: one MiB. */
  readonly maxBodySize?: number | undefined
} & (
    | {
        /** A request is accepted once: `HttpSignature.verifyOnce`. */
        readonly replay: "refuse"
        /** Made once: `ManagedRuntime.make(layer)`. */
        readonly runtime: ManagedRuntime.ManagedRuntime<KeyResolver | ReplayStore, ER>
        /** As of `HttpSignature.verifyOnce`. */
        readonly scope?: string | undefined
      }
    | {
        /** A request is accepted as often as it comes, until it is too old. */
        readonly replay: "accept"
        /** Made once: `ManagedRuntime.make(layer)`. */
        readonly runtime: ManagedRuntime.ManagedRuntime<KeyResolver, ER>
      }
  )

/**
 * Why a request is refused.
 *
 * @category errors
 * @since 0.1.0
 */
export type Refused = Exclude<HttpSignature.VerifyError, InvalidConfiguration> | ReplayStoreUnavailable

/** A request of a framework. */
export interface Incoming {
  readonly hasContent: boolean
  readonly hasSignature: boolean
  /** Reads a body of so many bytes at most, or says why it cannot be had. Asked for once, where there is a signature. */
  readonly body: (limit: number) => Promise<Uint8Array | HttpSignature.HttpSignatureInvalid>
  readonly message: (body: Uint8Array) => HttpRequest
}

export type GateOutcome =
  | { readonly ok: true; readonly message: HttpSignature.VerifiedMessage }
  | { readonly ok: false; readonly error: Refused; readonly refusal: Refusal }

const misconfigured = (field: string, problem: string) =>
  InvalidConfiguration.of({ operation: "verify", field, problem })

/** Rejects only where the program is wrong, or the runtime cannot be built. Throws where options would let anything pass. */
export const gate = <ER>(options: VerifierOptions<ER>): ((incoming: Incoming) => Promise<GateOutcome>) => {
  const { maxBodySize = 1_048_576, policy } = options
  const isOnce = options.replay === "refuse"
  if (!isOnce && options.replay !== "accept") throw misconfigured("replay", `must be "refuse" or "accept"`)
  // A number that is none would be no limit
  if (!(maxBodySize >= 0)) throw misconfigured("maxBodySize", "must be a number of bytes")

  const verify = (message: HttpRequest) =>
    options.replay === "refuse"
      ? options.runtime.runPromise(
          settled(HttpSignature.verifyOnce(message, policyFor(policy, message), { scope: options.scope }))
        )
      : options.runtime.runPromise(settled(HttpSignature.verify(message, policyFor(policy, message))))

  const refused = async (error: Refused, { hasContent, message }: Incoming): Promise<GateOutcome> => ({
    ok: false,
    error,
    refusal: await Effect.runPromise(
      refusalOf(error, { policy: policyFor(policy, message(new Uint8Array(hasContent ? 1 : 0))), isOnce, hasContent })
    )
  })

  return async (incoming) => {
    if (!incoming.hasSignature) return refused(noSignature, incoming)
    const bytes = await incoming.body(maxBodySize)
    if (!(bytes instanceof Uint8Array)) return refused(bytes, incoming)
    const outcome = await verify(incoming.message(bytes))
    return outcome.ok ? outcome : refused(outcome.error, incoming)
  }
}

/** A policy that is wrong is a bug of the program, and rejects. */
const settled = <R>(
  verification: Effect.Effect<HttpSignature.VerifiedMessage, HttpSignature.VerifyError | ReplayStoreUnavailable, R>
) =>
  Effect.matchEffect(verification, {
    onSuccess: (message) => Effect.succeed({ ok: true as const, message }),
    onFailure: (error) =>
      error._tag === "InvalidConfiguration"
        ? Effect.fail(error)
        : Effect.as(Effect.logDebug("signature refused", error.message), { ok: false as const, error })
  })
