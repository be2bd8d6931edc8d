/**
 * JSON Web Keys (RFC 7517): EC and RSA (RFC 7518), OKP Ed25519 (RFC 8037),
 * secp256k1 (RFC 8812) and AKP ML-DSA (draft-ietf-cose-dilithium).
 *
 * Reading is strict where a lax reader picks another key than was meant:
 * base64url has one form and coordinates one length, numbers have no leading
 * zeros, and `kty`, `crv`, `alg`, `use` and `key_ops` must agree. Members that
 * are not known are ignored (RFC 7517 section 4).
 *
 * @category internal
 */
import * as Base64Url from "effect/encoding/Base64Url"
import { fromBase64Url } from "./BaseEncoding.ts"
import * as Der from "./Der.ts"
import * as Ecdsa from "./Ecdsa.ts"
import type { Ed25519Name } from "./JoseAlgorithm.ts"
import { fromJose, toJose } from "./JoseAlgorithm.ts"
import * as KeyMaterial from "./KeyMaterial.ts"
import { Malformed } from "./Malformed.ts"
import * as Pkcs1 from "./Pkcs1.ts"
import type { PrivateMaterial } from "./Pkcs8.ts"
import * as SignatureAlgorithm from "./SignatureAlgorithm.ts"
import type { KeyType } from "./SignatureAlgorithm.ts"

/**
 * Members of any JWK here.
 *
 * @category models
 * @since 0.1.0
 */
export type JwkCommon = {
  readonly alg?: string
  readonly kid?: string
}

/**
 * A public JWK as this module writes it. Binary members are unpadded base64url.
 *
 * @category models
 * @since 0.1.0
 */
export type PublicJwk = JwkCommon &
  (
    | { readonly kty: "OKP"; readonly crv: "Ed25519"; readonly x: string }
    | { readonly kty: "EC"; readonly crv: Ecdsa.Curve; readonly x: string; readonly y: string }
    | { readonly kty: "RSA"; readonly n: string; readonly e: string }
    | { readonly kty: "AKP"; readonly alg: string; readonly pub: string }
  )

/**
 * A private JWK as this module writes it. RSA always with its CRT members.
 *
 * @category models
 * @since 0.1.0
 */
export type PrivateJwk = PublicJwk &
  (
    | { readonly kty: "OKP"; readonly d: string }
    | { readonly kty: "EC"; readonly d: string }
    | {
        readonly kty: "RSA"
        readonly d: string
        readonly p: string
        readonly q: string
        readonly dp: string
        readonly dq: string
        readonly qi: string
      }
    | { readonly kty: "AKP"; readonly priv: string }
  )

// ---------------------------------------------------------------------------
// members
// ---------------------------------------------------------------------------

type Members = ReadonlyMap<string, unknown>

const refuse = (problem: string): never => {
  throw new Malformed("jwk", problem)
}

/** One look at the object, so that what was checked is what is used. Absent and `undefined` are the same. */
const membersOf = (jwk: unknown): Members => {
  if (typeof jwk === "string") return refuse("expected an object; parse the JSON first")
  if (typeof jwk !== "object" || jwk === null) return refuse("expected an object")
  let entries: ReadonlyArray<readonly [string, unknown]>
  try {
    entries = Object.entries(jwk).map(([name, value]) => [name, Array.isArray(value) ? [...value] : value])
  } catch {
    return refuse("expected a plain object") // a getter or a proxy threw
  }
  return new Map(entries.filter(([, value]) => value !== undefined))
}

const optionalText = (members: Members, name: string): string | undefined => {
  const value = members.get(name)
  return value === undefined || typeof value === "string" ? value : refuse(`"${name}" must be text`)
}

/** A binary member. */
const bytes = (members: Members, name: string, length?: number): Uint8Array => {
  const text = optionalText(members, name) ?? refuse(`"${name}" is missing`)
  if (text.length > 8192) refuse(`"${name}" is too long`)
  const value = fromBase64Url(text) ?? refuse(`"${name}" is not base64url in its one form, without padding`)
  return length === undefined || value.length === length
    ? value
    : refuse(`"${name}" must have ${length} bytes, it has ${value.length}`)
}

/** A `Base64urlUInt`: in the fewest bytes (RFC 7518 section 2). */
const number = (members: Members, name: string): Uint8Array => {
  const value = bytes(members, name)
  return value.length > 0 && value[0] !== 0
    ? value
    : refuse(`"${name}" must be a positive number without leading zero bytes`)
}

const crvOf = <C extends string>(members: Members, curves: ReadonlyArray<C>): C => {
  const crv = members.get("crv")
  return curves.find((curve) => curve === crv) ?? refuse(`"crv" must be one of ${curves.join(", ")}`)
}

const privateNames = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"]

const curves = Object.keys(Ecdsa.coordinateLength) as ReadonlyArray<Ecdsa.Curve>

const mlDsaTypes = ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"] as const

const publicMaterial = (members: Members): KeyMaterial.KeyMaterial => {
  const kty = members.get("kty")
  const check = (type: KeyType, value: Uint8Array) => KeyMaterial.check(type, value, "jwk")
  switch (kty) {
    case "OKP":
      return check(crvOf(members, ["Ed25519"]), bytes(members, "x", 32))
    case "EC": {
      const crv = crvOf(members, curves)
      // RFC 7518 section 6.2.1.2: the full length, leading zeros included
      const [x, y] = ["x", "y"].map((name) => bytes(members, name, Ecdsa.coordinateLength[crv]))
      return check(crv, Der.concat(Uint8Array.of(0x04), x!, y!))
    }
    case "RSA":
      return check("RSA", Pkcs1.encodePublic({ n: number(members, "n"), e: number(members, "e") }))
    case "AKP": {
      const type =
        mlDsaTypes.find((alg) => alg === members.get("alg")) ??
        refuse(`"alg" of an AKP key must be one of ${mlDsaTypes.join(", ")}`)
      return check(type, bytes(members, "pub"))
    }
    case "oct":
      return refuse("a symmetric key (kty oct) has no public half and does not sign")
    default:
      return refuse(`"kty" must be one of OKP, EC, RSA, AKP`)
  }
}

// ---------------------------------------------------------------------------
// what the key may be used for
// ---------------------------------------------------------------------------

const algorithmOf = (members: Members, type: KeyType): SignatureAlgorithm.SignatureAlgorithm | undefined => {
  const alg = optionalText(members, "alg")
  if (alg === undefined) return undefined
  const algorithm = fromJose(alg) ?? refuse(`"alg" is not a signature algorithm that is supported`)
  return SignatureAlgorithm.facts[algorithm].keyType === type
    ? algorithm
    : refuse(`"alg" is ${algorithm}, which ${type} keys cannot do`)
}

/** RFC 7517 sections 4.2 and 4.3. */
const checkUse = (members: Members, operation: "sign" | "verify"): void => {
  optionalText(members, "kid")
  const use = optionalText(members, "use")
  if (use !== undefined && use !== "sig") refuse(`"use" must be "sig"`)
  const operations = members.get("key_ops")
  if (operations === undefined) return
  if (
    !Array.isArray(operations) ||
    new Set(operations).size !== operations.length ||
    !operations.every((value) => value === "sign" || value === "verify") ||
    !operations.includes(operation)
  ) {
    refuse(`"key_ops" must list "${operation}", and nothing but "sign" and "verify", each once`)
  }
}

// ---------------------------------------------------------------------------
// codecs
// ---------------------------------------------------------------------------

/** What a JWK says about its key. */
export interface Decoded<Material> {
  readonly material: Material
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm | undefined
}

/**
 * Reads a public JWK. A private one is refused. A point is not yet known to be
 * on its curve.
 *
 * @internal
 */
export const decodePublic = (jwk: unknown): Decoded<KeyMaterial.KeyMaterial> => {
  const members = membersOf(jwk)
  if (members.get("kty") !== "oct" && privateNames.some((name) => members.has(name))) {
    refuse("it has private members; a public key is needed here, remove them")
  }
  const material = publicMaterial(members)
  checkUse(members, "verify")
  return { material, algorithm: algorithmOf(members, material.type) }
}

const secretOf = (members: Members, type: KeyType): Uint8Array => {
  if (KeyMaterial.isCurve(type)) return bytes(members, "d", Ecdsa.coordinateLength[type])
  if (type === "Ed25519") return bytes(members, "d", 32)
  if (type !== "RSA") return bytes(members, "priv", 32)
  if (members.has("oth")) refuse("an RSA key with more than two primes is not supported")
  if (!["p", "q", "dp", "dq", "qi"].every((name) => members.has(name))) {
    refuse(`an RSA private key needs "p", "q", "dp", "dq" and "qi" beside "d" (RFC 7518 section 6.3.2)`)
  }
  const numbers = { n: number(members, "n"), e: number(members, "e"), d: number(members, "d") }
  const primes = { p: number(members, "p"), q: number(members, "q") }
  const crt = { dp: number(members, "dp"), dq: number(members, "dq"), qi: number(members, "qi") }
  return Pkcs1.encodePrivate({ ...numbers, ...primes, ...crt })
}

/**
 * Reads a private JWK. Its public members become a claim to be checked.
 *
 * @internal
 */
export const decodePrivate = (jwk: unknown): Decoded<PrivateMaterial> => {
  const members = membersOf(jwk)
  const { bytes: claimed, type } = publicMaterial(members)
  if (!members.has(type.startsWith("ML-DSA") ? "priv" : "d")) {
    refuse("it has no private members; a private key is needed here")
  }
  checkUse(members, "sign")
  const algorithm = algorithmOf(members, type)
  return {
    material: { type, secret: secretOf(members, type), claims: [{ what: "its public half", bytes: claimed }] },
    algorithm
  }
}

const base64 = Base64Url.encode

/**
 * The members that the RFC 7638 thumbprint is made of, in its order.
 *
 * @internal
 */
export const required = ({ bytes, type }: KeyMaterial.KeyMaterial): PublicJwk => {
  if (type === "Ed25519") return { crv: type, kty: "OKP", x: base64(bytes) } // RFC 8037 section 2
  if (KeyMaterial.isCurve(type)) {
    const length = Ecdsa.coordinateLength[type]
    const [x, y] = [bytes.subarray(1, 1 + length), bytes.subarray(1 + length)]
    return { crv: type, kty: "EC", x: base64(x), y: base64(y) } // RFC 7638 section 3.2
  }
  if (type === "RSA") {
    const { e, n } = Pkcs1.decodePublic(bytes)
    return { e: base64(e), kty: "RSA", n: base64(n) }
  }
  return { alg: type, kty: "AKP", pub: base64(bytes) }
}

/**
 * Writes a public JWK: `kty` first, `alg` where the algorithm has a JOSE name.
 *
 * @internal
 */
export const encodePublic = (
  material: KeyMaterial.KeyMaterial,
  algorithm: SignatureAlgorithm.SignatureAlgorithm | undefined,
  kid?: string,
  ed25519?: Ed25519Name
): PublicJwk => {
  const { kty, ...rest } = required(material)
  const alg = algorithm === undefined ? undefined : toJose(algorithm, ed25519)
  return {
    kty,
    ...(alg === undefined ? {} : { alg }),
    ...(kid === undefined ? {} : { kid }),
    ...rest
  } as PublicJwk
}

/**
 * Writes a private JWK.
 *
 * @internal
 */
export const encodePrivate = (publicJwk: PublicJwk, secret: Uint8Array): PrivateJwk => {
  if (publicJwk.kty === "AKP") return { ...publicJwk, priv: base64(secret) }
  if (publicJwk.kty !== "RSA") return { ...publicJwk, d: base64(secret) }
  const { d, dp, dq, p, q, qi } = Pkcs1.decodePrivate(secret)
  return {
    ...publicJwk,
    d: base64(d),
    p: base64(p),
    q: base64(q),
    dp: base64(dp),
    dq: base64(dq),
    qi: base64(qi)
  }
}
