/**
 * The parameters of a signature of an HTTP message (RFC 9421 section 2.3).
 *
 * @category internal
 */
import * as StructuredFields from "../../schemas/StructuredFields.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import { all, facts } from "../../schemas/SignatureAlgorithm.ts"
import { refuse } from "./HttpSignatureInvalid.ts"

/** What a signature says about itself. Its signature covers it. */
export interface SignatureParameters {
  /** Seconds since 1970. */
  readonly created: number | undefined
  readonly expires: number | undefined
  readonly nonce: string | undefined
  /** By its name in the registry. Compared with the key, never obeyed. */
  readonly alg: string | undefined
  readonly keyId: string | undefined
  readonly tag: string | undefined
}

const timeOf = (parameters: StructuredFields.Parameters, name: string): number | undefined => {
  const value = StructuredFields.get(parameters, name)
  if (value === undefined) return undefined
  return value._tag === "Integer" && value.value >= 0
    ? value.value
    : refuse("ParameterInvalid", `"${name}" must be an integer, seconds since 1970`)
}

const textOf = (parameters: StructuredFields.Parameters, name: string): string | undefined => {
  const value = StructuredFields.get(parameters, name)
  if (value === undefined) return undefined
  return value._tag === "String" ? value.value : refuse("ParameterInvalid", `"${name}" must be a string`)
}

/** Reads the registered parameters. Others are covered, too, and mean nothing here. */
export const read = (parameters: StructuredFields.Parameters): SignatureParameters => {
  const created = timeOf(parameters, "created")
  const expires = timeOf(parameters, "expires")
  if (created !== undefined && expires !== undefined && expires <= created) {
    refuse("ParameterInvalid", `"expires" is not after "created"`)
  }
  return {
    created,
    expires,
    nonce: textOf(parameters, "nonce"),
    alg: textOf(parameters, "alg"),
    keyId: textOf(parameters, "keyid"),
    tag: textOf(parameters, "tag")
  }
}

/** The name of HMAC with SHA-256 (RFC 9421 section 3.3.3), the one symmetric algorithm of the registry. */
export const hmacName = "hmac-sha256"

const byName: ReadonlyMap<string, SignatureAlgorithm> = new Map(
  all.flatMap((algorithm) => {
    const { httpSignature } = facts[algorithm]
    return httpSignature === undefined ? [] : [[httpSignature, algorithm] as const]
  })
)

/**
 * The algorithm that `alg` names: one of the registry (RFC 9421 section 6.2.2) or
 * of C2SP httpsig-pq. JOSE names are none of them (section 3.3.7).
 */
export const algorithmOf = (alg: string): SignatureAlgorithm => {
  const algorithm = byName.get(alg)
  if (algorithm !== undefined) return algorithm
  return refuse(
    "AlgorithmUnsupported",
    alg === hmacName
      ? "a MAC is verified with a shared secret, by the functions that take a Mac, never with a public key"
      : `"alg" is not a signature algorithm that is supported`
  )
}
