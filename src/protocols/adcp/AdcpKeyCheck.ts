/**
 * Whether a JWK is one that may verify: for this algorithm, for this purpose (step 8
 * of the checklist).
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import type { AdcpKey } from "./AdcpKeys.ts"

/** What a JWK of each algorithm says of itself (RFC 8037 section 2, RFC 7518 section 3.4, RFC 9864). */
const jwkOf: Partial<{
  readonly [A in SignatureAlgorithm]: {
    readonly kty: string
    readonly crv: string
    readonly alg: ReadonlyArray<unknown>
  }
}> = {
  Ed25519: { kty: "OKP", crv: "Ed25519", alg: ["EdDSA", "Ed25519"] },
  ES256: { kty: "EC", crv: "P-256", alg: ["ES256"] }
}

const problemOfKey = (
  jwk: AdcpKey["jwk"],
  algorithm: SignatureAlgorithm,
  purposes: ReadonlyArray<unknown>
): string | undefined => {
  const { adcp_use: purpose, alg, crv, key_ops: operations, kty, use } = jwk
  if (use !== "sig") return `"use" is not "sig"`
  if (!Array.isArray(operations) || !operations.includes("verify")) return `"key_ops" does not list "verify"`
  if (!purposes.includes(purpose)) return `"adcp_use" is not ${purposes.join(" or ")}`
  const expected = jwkOf[algorithm]
  return expected === undefined || kty !== expected.kty || crv !== expected.crv || !expected.alg.includes(alg)
    ? `"kty", "crv" and "alg" are not those of the signature`
    : undefined
}

/** Keys of a set that was read and frozen are parsed once. */
const parsed = new WeakMap<object, PublicKey.PublicKey>()

const parse = (jwk: AdcpKey["jwk"], algorithm: SignatureAlgorithm) =>
  Effect.suspend(() => {
    const known = parsed.get(jwk)
    if (known !== undefined && known.algorithm === algorithm) return Effect.succeed(known)
    // Operations that a publisher adds are no reason to refuse: "verify" is there
    const { key_ops: _, ...rest } = jwk
    return PublicKey.fromJwk(rest).pipe(
      Effect.flatMap((key) => PublicKey.withAlgorithm(key, algorithm)),
      Effect.tap((key) =>
        Effect.sync(() => {
          if (Object.isFrozen(jwk)) parsed.set(jwk, key)
        })
      )
    )
  })

/** The key, or why it is none for this. */
export const publicKeyFor = (
  jwk: AdcpKey["jwk"],
  algorithm: SignatureAlgorithm,
  purposes: ReadonlyArray<unknown>
): Effect.Effect<PublicKey.PublicKey, string> => {
  const problem = problemOfKey(jwk, algorithm, purposes)
  return problem === undefined
    ? Effect.mapError(parse(jwk, algorithm), () => "the key is not one of its kind")
    : Effect.fail(problem)
}
