/**
 * Checks one signature of a JWS: finds the key or the secret, and verifies with it.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import { fromJose } from "../../schemas/JoseAlgorithm.ts"
import { shownKeyId } from "../../schemas/KeyResolverError.ts"
import type { UnsupportedAlgorithm } from "../../schemas/SignerError.ts"
import type { KeyRequest, KeyResolverError, ResolvedKey, Service } from "../../services/KeyResolver.ts"
import { fits, KeyAmbiguous, KeyUnknown } from "../../services/KeyResolver.ts"
import type * as Mac from "../../services/Mac.ts"
import * as PreparedVerifier from "../../services/PreparedVerifier.ts"
import { JwsInvalid } from "./JwsInvalid.ts"
import type { Opened } from "./JwsReader.ts"

/**
 * What verifying can fail with: the message is wrong, there is no key for it, or
 * this runtime lacks the algorithm of the key.
 *
 * @category errors
 * @since 0.1.0
 */
export type VerifyError = JwsInvalid | KeyResolverError | UnsupportedAlgorithm

const invalid = (reason: JwsInvalid["reason"], problem?: string) =>
  Effect.fail(new JwsInvalid(problem === undefined ? { reason } : { reason, problem }))

/**
 * Finds the key and verifies one signature with it.
 */
export const check = (
  resolver: Service,
  { header, message, signature }: Opened,
  options: Pick<KeyRequest, "issuer" | "tenant" | "purpose">
): Effect.Effect<ResolvedKey, VerifyError> => {
  const { alg, kid } = header
  const algorithm = fromJose(alg)
  if (algorithm === undefined) {
    return invalid(
      "AlgorithmUnsupported",
      alg.startsWith("HS")
        ? "a MAC is verified with a shared secret, by the functions that take a Mac, never with a public key"
        : `"alg" is not a signature algorithm that is supported`
    )
  }
  const { issuer, purpose, tenant } = options
  const resolved = resolver.resolve({ keyId: kid, algorithm, issuer, tenant, purpose })
  return Effect.flatMap(resolved, (key): Effect.Effect<ResolvedKey, VerifyError> => {
    // The resolver may be anybody's: its answer is to what was asked
    if ((kid !== undefined && key.keyId !== kid) || !fits({ issuer, purpose, tenant }, key)) {
      return Effect.fail(new KeyUnknown(kid === undefined ? {} : { keyId: shownKeyId(kid) }))
    }
    return Effect.flatMap(PreparedVerifier.of(key.publicKey), (verifier) =>
      verifier.algorithm === algorithm
        ? Effect.flatMap(verifier.verify(message, signature), (isValid) =>
            isValid ? Effect.succeed(key) : invalid("SignatureInvalid")
          )
        : invalid("AlgorithmMismatch", `"alg" is not the algorithm of the key`)
    )
  })
}

export const macAlgorithms: ReadonlySet<string> = new Set(["HS256", "HS384", "HS512"])

/**
 * Chooses the secret and verifies one MAC with it.
 */
export const checkMac = (
  macs: ReadonlyArray<Mac.Service>,
  { header, message, signature }: Opened
): Effect.Effect<Mac.Service, JwsInvalid | KeyUnknown | KeyAmbiguous> => {
  const { alg, kid } = header
  if (!macAlgorithms.has(alg)) {
    return invalid("AlgorithmUnsupported", `"alg" is not one of ${[...macAlgorithms].join(", ")}`)
  }
  // A secret without a name of its own is the one that the caller means, whatever the message calls it
  const fitting = macs.filter((mac) =>
    kid === undefined ? mac.algorithm === alg : mac.keyId === undefined || mac.keyId === kid
  )
  const keyId = kid === undefined ? {} : { keyId: shownKeyId(kid) }
  const [mac] = fitting
  if (mac === undefined) return Effect.fail(new KeyUnknown(keyId))
  if (fitting.length > 1) return Effect.fail(new KeyAmbiguous({ ...keyId, count: fitting.length }))
  if (mac.algorithm !== alg) return invalid("AlgorithmMismatch", `"alg" is not the algorithm of the secret`)
  return Effect.flatMap(mac.verify(message, signature), (isValid) =>
    isValid ? Effect.succeed(mac) : invalid("SignatureInvalid")
  )
}
