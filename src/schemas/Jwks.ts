/**
 * JWK Sets (RFC 7517 section 5), read strictly: a set is taken whole or refused
 * whole, and the error names the key.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Base64Url from "./Base64Url.ts"
import { isBytes } from "./Bytes.ts"
import { fromJose } from "./JoseAlgorithm.ts"
import type { JwksReason } from "./KeyResolverError.ts"
import { JwksInvalid, shownKeyId } from "./KeyResolverError.ts"
import { Malformed } from "./Malformed.ts"
import * as PublicKey from "./PublicKey.ts"
import * as Roca from "./Roca.ts"
import type { SignatureAlgorithm } from "./SignatureAlgorithm.ts"
import { facts, forKeyType } from "./SignatureAlgorithm.ts"
import * as StrictJson from "./StrictJson.ts"

/** Bytes of a set, at most. */
export const maxLength = 65_536

/** Keys of a set, at most. */
export const maxKeys = 100

/** A key of a set. */
export interface Entry {
  readonly publicKey: PublicKey.PublicKey
  /** `kid`; absent where the set states none. */
  readonly keyId: string | undefined
}

export interface Options {
  /** Accept these algorithms only. */
  readonly algorithms?: ReadonlyArray<SignatureAlgorithm> | undefined
  /** What becomes of keys that are plainly for something else. Default `"refuse"`. */
  readonly foreignKeys?: "refuse" | "ignore" | undefined
}

interface Problem {
  readonly reason: JwksReason
  readonly problem: string
}

/** Whether a key with this problem may be one that others need: not ours to judge, and safe to leave out. */
const isForeign = ({ reason }: Problem): boolean =>
  reason === "WrongUse" || reason === "WrongKeyOps" || reason === "UnsupportedKey"

/** Members of private keys (RFC 7518 section 6.2.2 and 6.3.2; `priv` of AKP). */
const privateMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"]

const curvesOf: { readonly [kty: string]: ReadonlyArray<string> | undefined } = {
  EC: ["P-256", "P-384", "P-521", "secp256k1"],
  OKP: ["Ed25519"],
  RSA: [],
  AKP: []
}

/** RFC 7517 section 4.3: a key for signatures has no other uses. */
const areToVerify = (operations: unknown) =>
  Array.isArray(operations) &&
  operations.includes("verify") &&
  operations.every((value) => value === "sign" || value === "verify")

/** What is wrong with a JWK in a set of public keys, as far as its members tell. */
const problemOf = (jwk: StrictJson.JsonRecord): Problem | undefined => {
  const { alg, crv, key_ops: operations, kty, use } = jwk
  if (kty === "oct" || jwk["k"] !== undefined) {
    return {
      reason: "SymmetricKey",
      problem: "a symmetric key does not belong into a set of public keys: whoever reads the set can sign with it"
    }
  }
  if (privateMembers.some((name) => jwk[name] !== undefined)) {
    return { reason: "PrivateKey", problem: "it has private members: this key is no longer secret, replace it" }
  }
  if (use !== undefined && use !== "sig") return { reason: "WrongUse", problem: `"use" must be "sig"` }
  if (operations !== undefined && !areToVerify(operations)) {
    return { reason: "WrongKeyOps", problem: `"key_ops" must list "verify", and nothing but "sign" beside it` }
  }
  if (typeof kty !== "string" || !Object.hasOwn(curvesOf, kty)) {
    return { reason: "UnsupportedKey", problem: `"kty" must be one of ${Object.keys(curvesOf).join(", ")}` }
  }
  const curves = curvesOf[kty]!
  if (curves.length > 0 && !curves.includes(crv as string)) {
    return { reason: "UnsupportedKey", problem: `"crv" must be one of ${curves.join(", ")}` }
  }
  if (alg === undefined) return undefined
  const algorithm = typeof alg === "string" ? fromJose(alg) : undefined
  if (algorithm === undefined) {
    return { reason: "UnsupportedKey", problem: `"alg" is not a signature algorithm that is supported` }
  }
  const { keyType } = facts[algorithm]
  if (kty === "RSA" ? keyType !== "RSA" : kty !== "AKP" && keyType !== crv) {
    return { reason: "AlgorithmMismatch", problem: `"alg" is ${algorithm}, which keys of this kind cannot do` }
  }
  return undefined
}

/** Whether what was refused in an RSA key is its strength: its modulus can be read, and is short or of a flawed generator. */
const isWeakRsa = ({ kty, n }: StrictJson.JsonRecord): boolean => {
  const modulus = kty === "RSA" && typeof n === "string" && n.length <= 4096 ? Base64Url.decode(n) : undefined
  return (
    modulus !== undefined &&
    (modulus.length < 256 || (modulus.length === 256 && modulus[0]! < 0x80) || Roca.isWeak(modulus))
  )
}

/** The key for its one algorithm. */
const withOneAlgorithm = (
  key: PublicKey.PublicKey,
  allowed: ReadonlyArray<SignatureAlgorithm> | undefined
): Effect.Effect<PublicKey.PublicKey, Problem> => {
  const candidates = (key.algorithm === undefined ? forKeyType(key.type) : [key.algorithm]).filter(
    (algorithm) => facts[algorithm].jose !== undefined && (allowed === undefined || allowed.includes(algorithm))
  )
  const [algorithm] = candidates
  if (algorithm === undefined) {
    return Effect.fail({ reason: "UnsupportedKey", problem: "the key is for none of the algorithms that are allowed" })
  }
  return candidates.length === 1
    ? Effect.orDie(PublicKey.withAlgorithm(key, algorithm))
    : Effect.fail({
        reason: "AlgorithmUnstated",
        problem: `"alg" is missing, and ${key.type} keys can do ${candidates.join(", ")}; allow one of them with algorithms`
      })
}

const readKey = (jwk: StrictJson.JsonRecord, options: Options): Effect.Effect<PublicKey.PublicKey, Problem> => {
  const problem = problemOf(jwk)
  if (problem !== undefined) return Effect.fail(problem)
  return PublicKey.fromJwk(jwk).pipe(
    Effect.mapError((error): Problem => ({
      reason: isWeakRsa(jwk) ? "WeakKey" : "MalformedKey",
      problem: error.problem
    })),
    Effect.flatMap((key) => withOneAlgorithm(key, options.algorithms))
  )
}

const refuse = (reason: JwksReason, problem: string) => Effect.fail(new JwksInvalid({ reason, problem }))

/** The text of an object that somebody parsed: one look at it, whatever its getters say the next time. */
const textOf = (input: unknown): string => {
  try {
    return JSON.stringify(input) ?? ""
  } catch {
    return ""
  }
}

const parse = (input: unknown): Effect.Effect<unknown, JwksInvalid> => {
  const json = typeof input === "string" || isBytes(input) ? input : textOf(input)
  if (json.length > maxLength) return refuse("TooLarge", `longer than ${maxLength} bytes`)
  try {
    return Effect.succeed(
      typeof json === "string" ? StrictJson.parse(json, "jwks") : StrictJson.parseBytes(json, "jwks")
    )
  } catch (error) {
    if (error instanceof Malformed) return refuse("Malformed", error.problem)
    throw error
  }
}

/** Reads JSON text or bytes; or an object that was parsed already, whose double members nobody can tell. */
export const read = Effect.fnUntraced(function* (
  input: unknown,
  options: Options = {}
): Effect.fn.Return<ReadonlyArray<Entry>, JwksInvalid> {
  const set = yield* parse(input)
  const keys = StrictJson.isRecord(set) ? set["keys"] : undefined
  if (!Array.isArray(keys)) return yield* refuse("Malformed", `a JWK Set is an object with an array "keys"`)
  if (keys.length > maxKeys) return yield* refuse("TooManyKeys", `${keys.length} keys; a set has ${maxKeys} at most`)
  const seen = new Set<string>()
  const entries: Array<Entry> = []
  for (const [index, jwk] of (keys as ReadonlyArray<unknown>).entries()) {
    const kid = StrictJson.isRecord(jwk) ? jwk["kid"] : undefined
    const invalid = ({ problem, reason }: Problem) =>
      new JwksInvalid({ reason, index, problem, ...(typeof kid === "string" ? { keyId: shownKeyId(kid) } : {}) })
    if (!StrictJson.isRecord(jwk)) {
      return yield* invalid({ reason: "MalformedKey", problem: "a key must be an object" })
    }
    if (kid !== undefined && (typeof kid !== "string" || kid === "")) {
      return yield* invalid({ reason: "MalformedKey", problem: `"kid" must be text, and not empty` })
    }
    if (kid !== undefined && seen.has(kid)) {
      return yield* invalid({ reason: "DuplicateKeyId", problem: "another key of the set has the same kid" })
    }
    if (kid !== undefined) seen.add(kid)
    const outcome = yield* Effect.result(readKey(jwk, options))
    if (Result.isSuccess(outcome)) {
      entries.push({ publicKey: outcome.success, keyId: kid })
    } else if (options.foreignKeys !== "ignore" || !isForeign(outcome.failure)) {
      return yield* invalid(outcome.failure)
    }
  }
  return entries
})
