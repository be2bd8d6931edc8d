/**
 * The portable primitives: noble for curves, hashes and ML-DSA, WebCrypto for
 * RSA and randomness. Nothing of Node is named here, and no curve is loaded
 * before a key asks for it.
 *
 * A public key that is none verifies nothing; a secret that is none throws when
 * it is prepared.
 *
 * @category internal
 */
import type { ECDSA } from "@noble/curves/abstract/weierstrass.js"
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js"
import { facts } from "../schemas/SignatureAlgorithm.ts"
import type { Facts, Hash, KeyType, SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import { isCanonicalScalar, isStrictEncoding } from "./ed25519Encoding.ts"
import { Unsupported } from "./Primitives.ts"
import type { EcCurve, Primitives, Sign, SignOptions, Verify, VerifyOptions } from "./Primitives.ts"
import * as rsa from "./rsa.ts"

const hashes = { "SHA-256": sha256, "SHA-384": sha384, "SHA-512": sha512 }

const digest = (hash: Hash, message: Uint8Array): Uint8Array => hashes[hash](message)

/** `getRandomValues` gives at most this many bytes at a time (Web Cryptography section 10.1.1). */
const quota = 65536

const randomBytes = (length: number): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(length)
  for (let offset = 0; offset < length; offset += quota) {
    globalThis.crypto.getRandomValues(bytes.subarray(offset, offset + quota))
  }
  return bytes
}

/** Verifies nothing: the public bytes are not a key. */
const never: Verify = () => false

// ---------------------------------------------------------------------------
// Ed25519
// ---------------------------------------------------------------------------

const loadEd25519 = async () => (await import("@noble/curves/ed25519.js")).ed25519

type Ed25519 = Awaited<ReturnType<typeof loadEd25519>>

/**
 * Strict verification: canonical A and R not of small order, S below L, and the
 * cofactorless equation. noble's own `verify` multiplies by the cofactor, which
 * native code does not.
 */
const verifyStrict = ({ Point }: Ed25519, publicKey: Uint8Array): Verify => {
  const { BASE, Fn } = Point
  const minusA = isStrictEncoding(publicKey) ? unlessThrown(() => Point.fromBytes(publicKey).negate()) : undefined
  if (minusA === undefined) return never
  return (message, signature) => {
    const r = signature.subarray(0, 32)
    const s = signature.subarray(32)
    if (!isStrictEncoding(r) || !isCanonicalScalar(s)) return false
    // RFC 8032 section 5.1.7 step 2: h = SHA-512(R || A || M), a little-endian number
    const hash = sha512.create().update(r).update(publicKey).update(message).digest()
    const h = Fn.create(fromLittleEndian(hash))
    // step 3 without the cofactor: S*B - h*A = R, compared as encoded, which canonical R allows
    const point = BASE.multiplyUnsafe(fromLittleEndian(s)).add(minusA.multiplyUnsafe(h)).toBytes()
    return point.every((byte, i) => byte === r[i])
  }
}

const fromLittleEndian = (bytes: Uint8Array): bigint => {
  let hex = ""
  for (const byte of bytes) hex = byte.toString(16).padStart(2, "0") + hex
  return BigInt(`0x${hex}`)
}

/** noble throws where bytes are no point. */
const unlessThrown = <A>(decode: () => A): A | undefined => {
  try {
    return decode()
  } catch {
    return undefined
  }
}

// ---------------------------------------------------------------------------
// ECDSA
// ---------------------------------------------------------------------------

const loadCurve: { readonly [C in EcCurve]: () => Promise<ECDSA> } = {
  "P-256": async () => (await import("@noble/curves/nist.js")).p256,
  "P-384": async () => (await import("@noble/curves/nist.js")).p384,
  "P-521": async () => (await import("@noble/curves/nist.js")).p521,
  secp256k1: async () => (await import("@noble/curves/secp256k1.js")).secp256k1
}

const isEcCurve = (type: KeyType): type is EcCurve => type in loadCurve

/** All of noble's choices, made: it is given digests, leaves S as it is, and reads and writes raw `r‖s`. */
const ecdsaOptions = { prehash: false, lowS: false, format: "compact" } as const

// ---------------------------------------------------------------------------
// RSA
// ---------------------------------------------------------------------------

const subtle = (): SubtleCrypto => {
  const found = globalThis.crypto?.subtle
  if (found === undefined) {
    throw new Unsupported("RSA needs WebCrypto: this runtime has no crypto.subtle (browsers offer it over https only)")
  }
  return found
}

const webCryptoNames = { "RSA-PSS": "RSA-PSS", "RSA-PKCS1": "RSASSA-PKCS1-v1_5" } as const

type RsaScheme = keyof typeof webCryptoNames

const importParameters = (scheme: RsaScheme, { hash }: Facts) => ({ name: webCryptoNames[scheme], hash: hash! })

/** PSS always with the exact salt length; the parameter means nothing to PKCS#1 v1.5. */
const useParameters = (scheme: RsaScheme, { saltLength }: Facts) => ({
  name: webCryptoNames[scheme],
  saltLength: saltLength ?? 0
})

/** WebCrypto takes no views of shared memory; a copy is none. */
const unshared = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes)

const generateRsa = async (modulusLength: number): Promise<Uint8Array> => {
  const keys = await subtle().generateKey(
    { name: "RSA-PSS", hash: "SHA-256", modulusLength, publicExponent: Uint8Array.of(1, 0, 1) },
    true,
    ["sign", "verify"]
  )
  const pkcs8 = new Uint8Array(await subtle().exportKey("pkcs8", keys.privateKey))
  const secret = rsa.fromPkcs8(pkcs8)
  pkcs8.fill(0)
  if (secret === undefined) throw new Unsupported("RSA: this runtime's WebCrypto exports PKCS#8 of an unknown form")
  return secret
}

// ---------------------------------------------------------------------------
// ML-DSA
// ---------------------------------------------------------------------------

const loadMlDsa = async (type: Extract<KeyType, `ML-DSA-${string}`>) => {
  const module = await import("@noble/post-quantum/ml-dsa.js").catch((cause: unknown) => {
    throw new Unsupported(
      `${type} needs the package @noble/post-quantum: install it (npm install @noble/post-quantum)`,
      { cause }
    )
  })
  return { "ML-DSA-44": module.ml_dsa44, "ML-DSA-65": module.ml_dsa65, "ML-DSA-87": module.ml_dsa87 }[type]
}

const isMlDsa = (type: KeyType): type is Extract<KeyType, `ML-DSA-${string}`> => type.startsWith("ML-DSA-")

// ---------------------------------------------------------------------------
// by scheme
// ---------------------------------------------------------------------------

type Scheme = Facts["scheme"]

const signers: {
  readonly [S in Scheme]: (
    algorithm: SignatureAlgorithm,
    secret: Uint8Array,
    options: SignOptions | undefined
  ) => Promise<Sign>
} = {
  EdDSA: async (_, secret) => {
    const ed25519 = await loadEd25519()
    const seed = secret.slice()
    ed25519.getPublicKey(seed) // throws where it is no seed
    return (message) => ed25519.sign(message, seed)
  },
  ECDSA: async (algorithm, secret) => {
    const { hash, keyType } = facts[algorithm]
    const curve = await loadCurve[keyType as EcCurve]()
    if (!curve.utils.isValidSecretKey(secret)) throw new RangeError(`not a secret key of ${keyType}`)
    const scalar = secret.slice()
    return (message) => curve.sign(digest(hash!, message), scalar, ecdsaOptions)
  },
  Schnorr: async (algorithm, secret, options) => (await import("./schnorr.ts")).prepareSign(algorithm, secret, options),
  "RSA-PSS": (algorithm, secret) => prepareRsaSign("RSA-PSS", facts[algorithm], secret),
  "RSA-PKCS1": (algorithm, secret) => prepareRsaSign("RSA-PKCS1", facts[algorithm], secret),
  "ML-DSA": async (algorithm, secret) => {
    const mlDsa = await loadMlDsa(facts[algorithm].keyType as Extract<KeyType, `ML-DSA-${string}`>)
    const { secretKey } = mlDsa.keygen(secret)
    return (message) => mlDsa.sign(message, secretKey)
  }
}

const prepareRsaSign = async (scheme: RsaScheme, fact: Facts, secret: Uint8Array): Promise<Sign> => {
  const crypto = subtle()
  const pkcs8 = rsa.toPkcs8(secret)
  const importing = crypto.importKey("pkcs8", pkcs8, importParameters(scheme, fact), false, ["sign"])
  const key = await importing.finally(() => pkcs8.fill(0))
  const parameters = useParameters(scheme, fact)
  return async (message) => new Uint8Array(await crypto.sign(parameters, key, unshared(message)))
}

const verifiers: {
  readonly [S in Scheme]: (
    algorithm: SignatureAlgorithm,
    publicKey: Uint8Array,
    options: VerifyOptions | undefined
  ) => Promise<Verify>
} = {
  EdDSA: async (_, publicKey, options) => {
    const ed25519 = await loadEd25519()
    if (options?.ed25519 !== "zip215") return verifyStrict(ed25519, publicKey)
    return publicKey.length === 32
      ? (message, signature) => ed25519.verify(signature, message, publicKey, { zip215: true })
      : never
  },
  ECDSA: async (algorithm, publicKey) => {
    const { hash, keyType } = facts[algorithm]
    const curve = await loadCurve[keyType as EcCurve]()
    return curve.utils.isValidPublicKey(publicKey, false)
      ? (message, signature) => curve.verify(signature, digest(hash!, message), publicKey, ecdsaOptions)
      : never
  },
  Schnorr: async (_, publicKey) => (await import("./schnorr.ts")).prepareVerify(publicKey),
  "RSA-PSS": (algorithm, publicKey) => prepareRsaVerify("RSA-PSS", facts[algorithm], publicKey),
  "RSA-PKCS1": (algorithm, publicKey) => prepareRsaVerify("RSA-PKCS1", facts[algorithm], publicKey),
  "ML-DSA": async (algorithm, publicKey) => {
    const mlDsa = await loadMlDsa(facts[algorithm].keyType as Extract<KeyType, `ML-DSA-${string}`>)
    return publicKey.length === mlDsa.lengths.publicKey
      ? (message, signature) => mlDsa.verify(signature, message, publicKey)
      : never
  }
}

const prepareRsaVerify = async (scheme: RsaScheme, fact: Facts, publicKey: Uint8Array): Promise<Verify> => {
  const crypto = subtle()
  const importing = crypto.importKey("spki", rsa.toSpki(publicKey), importParameters(scheme, fact), false, ["verify"])
  const key = await importing.catch(() => undefined)
  if (key === undefined) return never
  const parameters = useParameters(scheme, fact)
  const length = rsa.signatureLength(publicKey)
  return (message, signature) =>
    signature.length === length && crypto.verify(parameters, key, unshared(signature), unshared(message))
}

export const primitives: Primitives = {
  name: "portable",
  digest,
  randomBytes,
  generate: async (type, options) =>
    type === "RSA"
      ? generateRsa(options?.modulusLength ?? 3072)
      : isEcCurve(type)
        ? (await loadCurve[type]()).utils.randomSecretKey()
        : randomBytes(32),
  publicFromSecret: async (type, secret) => {
    if (type === "RSA") return rsa.publicFromSecret(secret)
    if (isEcCurve(type)) {
      const curve = await loadCurve[type]()
      return curve.utils.isValidSecretKey(secret) ? curve.getPublicKey(secret, false) : undefined
    }
    if (secret.length !== 32) return undefined
    return isMlDsa(type) ? (await loadMlDsa(type)).keygen(secret).publicKey : (await loadEd25519()).getPublicKey(secret)
  },
  decodePoint: async (curve, point) => {
    const { Point } = await loadCurve[curve]()
    return unlessThrown(() => Point.fromBytes(point).toBytes(false))
  },
  taprootOutputKey: async (internalKey, merkleRoot) =>
    (await import("./schnorr.ts")).taprootOutputKey(internalKey, merkleRoot),
  prepareSign: (algorithm, secret, options) => signers[facts[algorithm].scheme](algorithm, secret, options),
  prepareVerify: async (algorithm, publicKey, options) => {
    const { scheme, signatureLength } = facts[algorithm]
    const verify = await verifiers[scheme](algorithm, publicKey.slice(), options)
    return (message, signature) =>
      signatureLength === undefined || signature.length === signatureLength ? verify(message, signature) : false
  }
}
