/**
 * Private keys that anybody can derive: the same seed and algorithm give the
 * same key in every run and on every machine.
 *
 * @category internal
 */
import { hkdf } from "@noble/hashes/hkdf.js"
import { sha256 } from "@noble/hashes/sha2.js"
import type * as Effect from "effect/Effect"
import * as Ecdsa from "../schemas/Ecdsa.ts"
import * as KeyMaterial from "../schemas/KeyMaterial.ts"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import type { KeyType, SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import { facts } from "../schemas/SignatureAlgorithm.ts"
import type { InvalidConfiguration, UnsupportedAlgorithm } from "../schemas/SignerError.ts"

/**
 * The one RSA key of this package, 2048 bits, published in RFC 7520 section 3.4.
 * Finding primes from a seed would take seconds and depend on the search.
 */
export const testRsaKey = {
  kty: "RSA",
  n:
    "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwG" +
    "U_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3u" +
    "hGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHd" +
    "rNP5zw",
  e: "AQAB",
  d:
    "bWUC9B-EFRIo8kpGfh0ZuyGPvMNKvYWNtB_ikiH9k20eT-O1q_I78eiZkpXxXQ0UTEs2LsNRS-8uJbvQ-A1irkwMSMkK1J3XTGgdrhCku9gRldY7" +
    "sNA_AKZGh-Q661_42rINLRCe8W-nZ34ui_qOfkLnK9QWDDqpaIsA-bMwWWSDFu2MUBYwkHTMEzLYGqOe04noqeq1hExBTHBOBdkMXiuFhUq1BU6l" +
    "-DqEiWxqg82sXt2h-LMnT3046AOYJoRioz75tSUQfGCshWTBnP5uDjd18kKhyv07lhfSJdrPdM5Plyl21hsFf4L_mHCuoFau7gdsPfHPxxjVOcOp" +
    "BrQzwQ",
  p:
    "3Slxg_DwTXJcb6095RoXygQCAZ5RnAvZlno1yhHtnUex_fp7AZ_9nRaO7HX_-SFfGQeutao2TDjDAWU4Vupk8rw9JR0AzZ0N2fvuIAmr_WCsmGpe" +
    "NqQnev1T7IyEsnh8UMt-n5CafhkikzhEsrmndH6LxOrvRJlsPp6Zv8bUq0k",
  q:
    "uKE2dh-cTf6ERF4k4e_jy78GfPYUIaUyoSSJuBzp3Cubk3OCqs6grT8bR_cu0Dm1MZwWmtdqDyI95HrUeq3MP15vMMON8lHTeZu2lmKvwqW7anV5" +
    "UzhM1iZ7z4yMkuUwFWoBvyY898EXvRD-hdqRxHlSqAZ192zB3pVFJ0s7pFc",
  dp:
    "B8PVvXkvJrj2L-GYQ7v3y9r6Kw5g9SahXBwsWUzp19TVlgI-YV85q1NIb1rxQtD-IsXXR3-TanevuRPRt5OBOdiMGQp8pbt26gljYfKU_E9xn-RU" +
    "LHz0-ed9E9gXLKD4VGngpz-PfQ_q29pk5xWHoJp009Qf1HvChixRX59ehik",
  dq:
    "CLDmDGduhylc9o7r84rEUVn7pzQ6PF83Y-iBZx5NT-TpnOZKF1pErAMVeKzFEl41DlHHqqBLSM0W1sOFbwTxYWZDm6sI6og5iTbwQGIC3gnJKbi_" +
    "7k_vJgGHwHxgPaX2PnvP-zyEkDERuf-ry4c_Z11Cq9AqC2yeL6kdKT1cYF8",
  qi:
    "3PiqvXQN0zwMeE-sBvZgi289XP9XCQF3VWqPzMKnIgQp7_Tugo6-NZBKCQsMf3HaEGBjTVJs_jcK8-TRXvaKe-7ZMaQj8VfBdYkssbu0NKDDhjJ-" +
    "GtiseaDVWt7dcH0cfwxgFUHpQh7FoCrjFJ6h6ZEpMF6xmujs4qMpPz8aaI4"
} as const

/** Secret bytes from a seed: HKDF-SHA256 (RFC 5869), one key type never shares bytes with another. */
export const secretBytes = (type: Exclude<KeyType, "RSA">, seed: string | Uint8Array): Uint8Array => {
  const length = KeyMaterial.isCurve(type) ? Ecdsa.coordinateLength[type] : 32
  const ikm = typeof seed === "string" ? new TextEncoder().encode(seed) : seed
  const secret = hkdf(sha256, ikm, undefined, new TextEncoder().encode(`effect-signer/testing ${type}`), length)
  // A scalar must be below the order: without its highest bit (of the 521 of P-521: without the highest) it is.
  if (KeyMaterial.isCurve(type)) secret[0]! &= type === "P-521" ? 0 : 0x7f
  return secret
}

/** The test key of an algorithm and a seed. For RSA the seed changes nothing. */
export const make = (
  algorithm: SignatureAlgorithm,
  seed: string | Uint8Array = "effect-signer"
): Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration> => {
  const { keyType } = facts[algorithm]
  return keyType === "RSA" ? PrivateKey.fromJwk(testRsaKey) : PrivateKey.fromRaw(keyType, secretBytes(keyType, seed))
}

/** A key that is no test key, and another one in every run. */
export const another = (
  algorithm: SignatureAlgorithm
): Effect.Effect<PrivateKey.PrivateKey, InvalidConfiguration | UnsupportedAlgorithm> =>
  PrivateKey.generate(algorithm, facts[algorithm].keyType === "RSA" ? { modulusLength: 2048 } : {})
