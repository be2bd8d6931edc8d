/**
 * RSA keys of a flawed generator (ROCA, CVE-2017-15361): their primes are powers
 * of 65537 modulo a product of small primes, and the private key follows from the
 * public one within hours.
 *
 * @category internal
 */
import * as Hex from "effect/encoding/Hex"

/** The small primes of the fingerprint, each with the residues that powers of 65537 have. */
const residues: ReadonlyArray<readonly [prime: bigint, powers: ReadonlySet<bigint>]> = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113,
  127, 131, 137, 139, 149, 151, 157, 163, 167
].map((prime) => {
  const powers = new Set<bigint>()
  for (let power = 1; !powers.has(BigInt(power)); power = (power * 65537) % prime) powers.add(BigInt(power))
  return [BigInt(prime), powers] as const
})

/** Whether a modulus has the fingerprint. Of sound ones less than one in 100 million has it. */
export const isWeak = (modulus: Uint8Array): boolean => {
  const n = BigInt(`0x${Hex.encode(modulus)}`)
  return residues.every(([prime, powers]) => powers.has(n % prime))
}
