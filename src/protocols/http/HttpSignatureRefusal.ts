/**
 * How a server answers a request that does not meet its policy.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import { primitives } from "#primitives"
import * as Base64Url from "../../schemas/Base64Url.ts"
import type { ReplayStoreUnavailable } from "../../services/ReplayStore.ts"
import * as AcceptSignature from "./AcceptSignature.ts"
import type { Policy, VerifyError } from "./HttpSignatureCheck.ts"
import { HttpSignatureInvalid } from "./HttpSignatureInvalid.ts"

/** What a server knows of the request, whatever its framework. */
export interface Context {
  readonly policy: Policy
  /** Whether a nonce is required, and counts once. */
  readonly isOnce: boolean
  /** Whether the request has content. */
  readonly hasContent: boolean
}

/** An answer without content. */
export interface Refusal {
  readonly status: 400 | 401 | 413 | 429 | 503
  readonly headers: { readonly [name: string]: string }
}

/** Later, the same message may be accepted. */
const passing: ReadonlySet<string> = new Set([
  "KeysUnavailable",
  "JwksInvalid",
  "RevocationStale",
  "ReplayStoreUnavailable"
])

export const noSignature = new HttpSignatureInvalid({ reason: "NoSignature", problem: "the message has none" })

/** The body is longer than the server reads. */
export const tooLong = new HttpSignatureInvalid({
  reason: "TooLarge",
  problem: "the body is longer than this server reads"
})

/** The client went away, or the connection broke. */
export const incomplete = new HttpSignatureInvalid({
  reason: "DigestInvalid",
  problem: "the content is not known: it ended before it was whole"
})

/** Nothing was verified of a message whose body cannot be had. */
const unread: ReadonlyMap<unknown, Refusal> = new Map([
  [tooLong, { status: 413, headers: {} }],
  [incomplete, { status: 400, headers: {} }]
])

/** What the policy asks for of a request, in the words of RFC 9421 section 5. A nonce that it names is a new one. */
const acceptable = ({ hasContent, isOnce, policy }: Context): string => {
  const { body, components } = policy
  const needsDigest = body !== "any" && hasContent && !components.some((text) => /^"?content-digest/.test(text))
  return AcceptSignature.write([
    {
      label: policy.label ?? "sig1",
      components: needsDigest ? [...components, "content-digest"] : components,
      created: true,
      expires: policy.parameters?.includes("expires"),
      nonce:
        isOnce || policy.parameters?.includes("nonce") === true
          ? Base64Url.encode(primitives.randomBytes(Math.max(16, policy.minNonceBytes ?? 0)))
          : undefined,
      tag: policy.tag
    }
  ])
}

/**
 * The answer: it does not say what was wrong. A policy that is itself wrong is a
 * defect.
 */
export const refusalOf = (error: VerifyError | ReplayStoreUnavailable, context: Context): Effect.Effect<Refusal> => {
  if (error._tag === "InvalidConfiguration") return Effect.die(error)
  const refusal = unread.get(error)
  if (refusal !== undefined) return Effect.succeed(refusal)
  if (passing.has(error._tag)) return Effect.succeed({ status: 503, headers: {} })
  if (error._tag === "HttpSignatureInvalid" && error.reason === "TooManyNonces") {
    return Effect.succeed({ status: 429, headers: {} })
  }
  return Effect.sync(() => ({
    status: 401,
    // RFC 9110 section 11.6.1: a 401 names a scheme
    headers: { "www-authenticate": "Signature", "accept-signature": acceptable(context) }
  }))
}
