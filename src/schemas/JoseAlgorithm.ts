/**
 * Names of signature algorithms in JOSE: `alg` of a JWS header or a JWK.
 *
 * @category internal
 */
import type { SignatureAlgorithm } from "./SignatureAlgorithm.ts"
import { all, facts } from "./SignatureAlgorithm.ts"

const byName: ReadonlyMap<string, SignatureAlgorithm> = new Map([
  // RFC 8037 section 3.1: Ed25519 or Ed448, and only the first exists here. RFC 9864 deprecates it.
  ["EdDSA", "Ed25519"] as const,
  ...all.flatMap((algorithm) => {
    const { jose } = facts[algorithm]
    return jose === undefined ? [] : [[jose, algorithm] as const]
  })
])

/** The algorithm of a name; letter case counts (RFC 7515 section 4.1.1). `undefined` for `none` and symmetric ones, too. */
export const fromJose = (name: string): SignatureAlgorithm | undefined => byName.get(name)

/** What JOSE calls Ed25519: the name that every library reads, and the fully specified one of RFC 9864. */
export type Ed25519Name = "EdDSA" | "Ed25519"

/**
 * The name of an algorithm; `undefined` where JOSE has none. Headers and keys have the same default, because readers
 * compare the two as text.
 */
export const toJose = (algorithm: SignatureAlgorithm, ed25519: Ed25519Name = "EdDSA"): string | undefined =>
  algorithm === "Ed25519" ? ed25519 : facts[algorithm].jose
