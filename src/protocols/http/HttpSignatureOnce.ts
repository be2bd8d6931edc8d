/**
 * Verifies a message that may be accepted once: the nonces of its signatures are
 * remembered for as long as they could verify again.
 *
 * @category internal
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidConfiguration } from "../../schemas/SignerError.ts"
import { KeyResolver } from "../../services/KeyResolver.ts"
import type { ReplayStoreUnavailable } from "../../services/ReplayStore.ts"
import { ReplayStore } from "../../services/ReplayStore.ts"
import type { HttpMessage } from "../HttpMessage.ts"
import type { ByKey, Policy, VerifiedMessage, VerifiedSignature, VerifyError } from "./HttpSignatureCheck.ts"
import { checkAlgorithms, judgeByKey, verifyWith } from "./HttpSignatureCheck.ts"
import { HttpSignatureInvalid } from "./HttpSignatureInvalid.ts"

/**
 * Options of {@link verifyOnce}.
 *
 * @category models
 * @since 0.1.0
 */
export interface OnceOptions {
  /**
   * Within what a nonce counts once. Services that share a store and are to accept the
   * same message each have a scope of their own. Default: the tag of the policy.
   */
  readonly scope?: string | undefined
}

const millisOf = (input: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(input))

/** What a `ReplayStore` remembers an entry for, at most. */
const longest = Duration.toMillis("366 days")

/** Whether a message from as far in the future as it may be would be remembered for longer. What is no duration is refused later. */
const isTooLong = ({ maxAge, skew }: Policy) =>
  Option.exists(
    Option.all([Duration.fromInput(maxAge), Duration.fromInput(skew)]),
    ([age, each]) => Duration.toMillis(age) + 3 * Duration.toMillis(each) >= longest
  )

const tooLong = InvalidConfiguration.of({
  operation: "verify",
  field: "maxAge",
  problem: "a nonce is remembered for as long as a message is accepted: with three times the skew less than 366 days"
})

/** How long a signature could verify again, and the skew once more for a clock that is set back. */
const ttlOf = ({ created, expires }: VerifiedSignature, { maxAge, skew }: Policy, now: number): number => {
  const end = Math.min(created * 1000 + millisOf(maxAge), expires === undefined ? Infinity : expires * 1000)
  return Math.max(1, end + 2 * millisOf(skew) - now + 1)
}

/** One key id may be that of keys of several owners. */
const holderOf = ({ key: { keyId, owner, tenant } }: ByKey) => JSON.stringify([owner ?? null, tenant ?? null, keyId])

const reasons = { replayed: "Replayed", full: "TooManyNonces" } as const

/**
 * Verifies the signatures of a message, and that it comes for the first time.
 *
 * **Details**
 *
 * Every signature must have a `nonce`. After all is verified, each nonce is remembered
 * by the `ReplayStore`, for its key: one that was there is refused as `Replayed`, one
 * too many of a key as `TooManyNonces`. A store that cannot answer fails, with
 * `ReplayStoreUnavailable`.
 *
 * **Gotchas**
 *
 * A message that is refused later, or whose handling fails, has used up its nonces: the
 * sender signs again.
 *
 * Whoever carries a message can take signatures off it. Where several meet the policy,
 * it may come, and is accepted, once with each: let signers use a tag each, and go by one.
 *
 * @category verifying
 * @since 0.1.0
 */
export const verifyOnce = Effect.fnUntraced(function* (
  message: HttpMessage,
  policy: Policy,
  options: OnceOptions = {}
): Effect.fn.Return<
  VerifiedMessage<VerifiedSignature & ByKey, VerifyError>,
  VerifyError | ReplayStoreUnavailable,
  KeyResolver | ReplayStore
> {
  const store = yield* ReplayStore
  const resolver = yield* KeyResolver
  if (isTooLong(policy)) return yield* tooLong
  yield* checkAlgorithms(policy)
  const withNonce: Policy = { ...policy, parameters: [...(policy.parameters ?? []), "nonce"] }
  const verified = yield* verifyWith(message, withNonce, judgeByKey(resolver, policy))
  const now = yield* Clock.currentTimeMillis
  const scope = options.scope ?? policy.tag ?? ""
  for (const signature of verified.signatures) {
    // It was required above
    const nonce = signature.nonce!
    const outcome = yield* store.insert({
      keyId: holderOf(signature),
      scope,
      nonce,
      ttl: ttlOf(signature, policy, now)
    })
    if (outcome !== "inserted") return yield* new HttpSignatureInvalid({ reason: reasons[outcome] })
  }
  return verified
})
