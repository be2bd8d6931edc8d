/**
 * A key as a vendor holds it: it signs messages, digests and the representatives
 * of ML-DSA, and it can sign wrongly when it is told to.
 *
 * @category internal
 */
import * as crypto from "node:crypto"
import * as Effect from "effect/Effect"
import { primitives } from "#primitives"
import { prepareSignDigest } from "../../primitives/prehash.ts"
import type { Sign } from "../../primitives/Primitives.ts"
import * as Der from "../../schemas/Der.ts"
import * as Ecdsa from "../../schemas/Ecdsa.ts"
import * as Pkcs1 from "../../schemas/Pkcs1.ts"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import * as PrivateKeySecret from "../../schemas/PrivateKeySecret.ts"
import type { PublicKey } from "../../schemas/PublicKey.ts"
import type { Hash, KeyType, SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import { facts } from "../../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../../schemas/SignerError.ts"
import type { Fault } from "./Fault.ts"

/** What a vendor is given: the message, its digest, or mu of FIPS 204. */
export type Kind = "message" | "digest" | "mu"

export interface EmulatedKey {
  readonly type: KeyType
  readonly publicKey: PublicKey
  /** Bits of an RSA modulus. */
  readonly modulusLength: number | undefined
  /** Canonical bytes, wrong in the way of the fault. S is as the scheme makes it: high in half of the signatures. */
  readonly sign: (
    algorithm: SignatureAlgorithm,
    kind: Kind,
    input: Uint8Array,
    fault?: Fault
  ) => Effect.Effect<Uint8Array, SignerError>
}

// ---------------------------------------------------------------------------
// RSA over digests
// ---------------------------------------------------------------------------

/** DER of DigestInfo up to the digest: RFC 8017 section 9.2 note 1. */
const digestInfo: { readonly [H in Hash]: ReadonlyArray<number> } = {
  "SHA-256": [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20
  ],
  "SHA-384": [
    0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30
  ],
  "SHA-512": [
    0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40
  ]
}

const hashOf = (hash: Hash, ...parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  primitives.digest(hash, Der.concat(...parts))

/** MGF1: RFC 8017 appendix B.2.1. */
const mask = (hash: Hash, seed: Uint8Array, length: number): Uint8Array => {
  const blocks: Array<Uint8Array> = []
  for (let counter = 0, made = 0; made < length; counter++) {
    const block = hashOf(hash, seed, Uint8Array.of(counter >> 24, counter >> 16, counter >> 8, counter))
    blocks.push(block)
    made += block.length
  }
  return Der.concat(...blocks).subarray(0, length)
}

/** EMSA-PSS-ENCODE of a digest, with a salt as long as the hash: RFC 8017 section 9.1.1. */
const encodePss = (hash: Hash, digest: Uint8Array, modulusLength: number): Uint8Array => {
  const emBits = modulusLength - 1
  const emLength = Math.ceil(emBits / 8)
  const salt = primitives.randomBytes(digest.length)
  const h = hashOf(hash, new Uint8Array(8), digest, salt)
  const db = new Uint8Array(emLength - h.length - 1)
  db[db.length - salt.length - 1] = 0x01
  db.set(salt, db.length - salt.length)
  const dbMask = mask(hash, h, db.length)
  for (let i = 0; i < db.length; i++) db[i]! ^= dbMask[i]!
  db[0]! &= 0xff >> (8 * emLength - emBits)
  const em = Der.concat(db, h, Uint8Array.of(0xbc))
  const whole = new Uint8Array(modulusLength / 8)
  whole.set(em, whole.length - em.length)
  return whole
}

const prepareRsaDigest = (algorithm: SignatureAlgorithm, secret: Uint8Array, modulusLength: number): Sign => {
  const key = crypto.createPrivateKey({ key: secret as never, format: "der", type: "pkcs1" })
  const hash = facts[algorithm].hash!
  const { RSA_NO_PADDING, RSA_PKCS1_PADDING } = crypto.constants
  return facts[algorithm].scheme === "RSA-PSS"
    ? (digest) =>
        new Uint8Array(crypto.privateEncrypt({ key, padding: RSA_NO_PADDING }, encodePss(hash, digest, modulusLength)))
    : (digest) =>
        new Uint8Array(
          crypto.privateEncrypt(
            { key, padding: RSA_PKCS1_PADDING },
            Der.concat(Uint8Array.from(digestInfo[hash]), digest)
          )
        )
}

// ---------------------------------------------------------------------------
// ML-DSA over mu
// ---------------------------------------------------------------------------

const mlDsaNames = { "ML-DSA-44": "ml_dsa44", "ML-DSA-65": "ml_dsa65", "ML-DSA-87": "ml_dsa87" } as const

const prepareMu = async (algorithm: SignatureAlgorithm, seed: Uint8Array): Promise<Sign> => {
  const mlDsa = (await import("@noble/post-quantum/ml-dsa.js"))[mlDsaNames[algorithm as keyof typeof mlDsaNames]]
  const { secretKey } = mlDsa.keygen(seed)
  return (mu) => mlDsa.internal.sign(mu, secretKey, { externalMu: true })
}

// ---------------------------------------------------------------------------
// faults
// ---------------------------------------------------------------------------

/** secp256k1: the order n (SEC 2 section 2.4.1). */
const n = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

const toHighS = (raw: Uint8Array): Uint8Array => {
  if (!Ecdsa.isLowS(raw)) return raw
  let s = 0n
  for (let i = 32; i < 64; i++) s = (s << 8n) | BigInt(raw[i]!)
  let high = n - s
  const out = new Uint8Array(raw)
  for (let i = 63; i >= 32; i--) {
    out[i] = Number(high & 0xffn)
    high >>= 8n
  }
  return out
}

const tampered = (bytes: Uint8Array): Uint8Array => {
  const out = new Uint8Array(bytes)
  out[out.length - 1]! ^= 1
  return out
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const prepare = (
  algorithm: SignatureAlgorithm,
  kind: Kind,
  key: PrivateKey.PrivateKey,
  modulusLength: number | undefined
) => {
  const secret = PrivateKeySecret.secretBytes(key)
  switch (kind) {
    case "message":
      return primitives.prepareSign(algorithm, secret)
    case "mu":
      return prepareMu(algorithm, secret)
    case "digest":
      return modulusLength === undefined
        ? prepareSignDigest(key.type as Ecdsa.Curve, secret)
        : Promise.resolve(prepareRsaDigest(algorithm, secret, modulusLength))
  }
}

/** A key that an emulator holds. */
export const make = (privateKey: PrivateKey.PrivateKey): EmulatedKey => {
  const { publicKey, type } = privateKey
  const modulusLength = type === "RSA" ? Pkcs1.decodePublic(publicKey.bytes).n.length * 8 : undefined
  const prepared = new Map<string, Promise<Sign>>()

  const sign = (algorithm: SignatureAlgorithm, kind: Kind, input: Uint8Array) =>
    Effect.promise(async () => {
      const name = `${algorithm} ${kind}`
      const known = prepared.get(name) ?? prepare(algorithm, kind, privateKey, modulusLength)
      prepared.set(name, known)
      return (await known)(input)
    })

  let other: EmulatedKey | undefined
  const another = Effect.suspend(() =>
    other !== undefined ? Effect.succeed(other) : Effect.map(generate(type, modulusLength), (key) => (other = key))
  )

  return {
    type,
    publicKey,
    modulusLength,
    sign: (algorithm, kind, input, fault) => {
      switch (fault?._tag) {
        case "AnotherKey":
          return Effect.flatMap(another, (key) => key.sign(algorithm, kind, input))
        case "CorruptedSignature":
          return Effect.map(sign(algorithm, kind, input), tampered)
        case "HighS":
          return Effect.map(sign(algorithm, kind, input), (bytes) => (algorithm === "ES256K" ? toHighS(bytes) : bytes))
        default:
          return sign(algorithm, kind, input)
      }
    }
  }
}

/** A new key of a kind. */
export const generate = (type: KeyType, modulusLength?: number): Effect.Effect<EmulatedKey, SignerError> =>
  Effect.map(PrivateKey.generate(type, type === "RSA" ? { modulusLength } : {}), make)
