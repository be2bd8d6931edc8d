/**
 * The native primitives, on `node:crypto`. The only file of the core that names
 * it.
 *
 * Keys become bare `KeyObject`s once: since Node 24.18 an options object costs
 * 12 to 14 us per call, and `dsaEncoding: "ieee-p1363"` another 14, so ECDSA is
 * signed as DER and converted here. Work of more than about 200 us runs on the
 * libuv pool; the rest is synchronous, where the pool would only add latency.
 *
 * @category internal
 */
import * as crypto from "node:crypto"
import * as Ecdsa from "../schemas/Ecdsa.ts"
import { facts } from "../schemas/SignatureAlgorithm.ts"
import type { Hash, KeyType, SignatureAlgorithm } from "../schemas/SignatureAlgorithm.ts"
import { isCanonicalScalar, isStrictEncoding } from "./ed25519Encoding.ts"
import type { EcCurve, Primitives, Sign, SignOptions, Verify, VerifyOptions } from "./Primitives.ts"
import * as rsa from "./rsa.ts"

const hashes: { readonly [H in Hash]: string } = { "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512" }

const ecdhNames: { readonly [C in EcCurve]: string } = {
  "P-256": "prime256v1",
  "P-384": "secp384r1",
  "P-521": "secp521r1",
  secp256k1: "secp256k1"
}

/** DER of AlgorithmIdentifier: RFC 8410 section 3, RFC 5480 section 2.1.1, RFC 9881 section 2. */
const algorithmIdentifiers: { readonly [T in Exclude<KeyType, "RSA">]: string } = {
  Ed25519: "300506032b6570",
  "P-256": "301306072a8648ce3d020106082a8648ce3d030107",
  "P-384": "301006072a8648ce3d020106052b81040022",
  "P-521": "301006072a8648ce3d020106052b81040023",
  secp256k1: "301006072a8648ce3d020106052b8104000a",
  "ML-DSA-44": "300b0609608648016503040311",
  "ML-DSA-65": "300b0609608648016503040312",
  "ML-DSA-87": "300b0609608648016503040313"
}

const der = (tag: number, ...parts: ReadonlyArray<Uint8Array>): Buffer => {
  const content = Buffer.concat(parts)
  const length =
    content.length < 0x80
      ? [content.length]
      : content.length < 0x100
        ? [0x81, content.length]
        : [0x82, content.length >> 8, content.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

const isEcCurve = (type: KeyType): type is EcCurve => type in ecdhNames

/** What PKCS#8 wraps for each kind of secret: RFC 8410 section 7, RFC 5915, RFC 9881 section 6. */
const innerPrivateKey = (type: Exclude<KeyType, "RSA">, secret: Uint8Array): Buffer =>
  type === "Ed25519"
    ? der(0x04, secret)
    : isEcCurve(type)
      ? der(0x30, der(0x02, Buffer.of(1)), der(0x04, secret))
      : der(0x80, secret)

const privateKeyObject = (type: KeyType, secret: Uint8Array): crypto.KeyObject => {
  if (type === "RSA") return crypto.createPrivateKey({ key: Buffer.from(secret), format: "der", type: "pkcs1" })
  const identifier = Buffer.from(algorithmIdentifiers[type], "hex")
  const inner = innerPrivateKey(type, secret)
  const pkcs8 = der(0x30, der(0x02, Buffer.of(0)), identifier, der(0x04, inner))
  try {
    return crypto.createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })
  } finally {
    pkcs8.fill(0)
    inner.fill(0)
  }
}

const publicKeyObject = (type: KeyType, bytes: Uint8Array): crypto.KeyObject => {
  if (type === "RSA") return crypto.createPublicKey({ key: Buffer.from(bytes), format: "der", type: "pkcs1" })
  const spki = der(0x30, Buffer.from(algorithmIdentifiers[type], "hex"), der(0x03, Buffer.of(0), bytes))
  return crypto.createPublicKey({ key: spki, format: "der", type: "spki" })
}

/** The public bytes at the end of an SPKI with a key of known length. */
const publicLength: { readonly [T in Exclude<KeyType, "RSA" | EcCurve>]: number } = {
  Ed25519: 32,
  "ML-DSA-44": 1312,
  "ML-DSA-65": 1952,
  "ML-DSA-87": 2592
}

/** Asked, not inferred from a version: ML-DSA needs OpenSSL 3.5 and a Node built to show it. */
let nativeMlDsa: boolean | undefined
const hasNativeMlDsa = (): boolean => {
  if (nativeMlDsa === undefined) {
    try {
      nativeMlDsa = privateKeyObject("ML-DSA-44", new Uint8Array(32)).type === "private"
    } catch {
      nativeMlDsa = false
    }
  }
  return nativeMlDsa
}

/** What native code here cannot do is done by the portable primitives. */
const portable = async (): Promise<Primitives> => (await import("./portable.ts")).primitives

const isNative = (type: KeyType) => !type.startsWith("ML-DSA") || hasNativeMlDsa()

/** Messages longer than this are hashed on the pool: over about 200 us of SHA-512. */
const inlineLimit = 64 * 1024

/** Algorithms whose signature alone takes over about 200 us. */
const signsOnPool: ReadonlySet<SignatureAlgorithm> = new Set<SignatureAlgorithm>([
  "ES384",
  "ES512",
  "ES256K",
  "PS256",
  "PS384",
  "PS512",
  "RS256",
  "RS384",
  "RS512",
  "ML-DSA-44",
  "ML-DSA-65",
  "ML-DSA-87"
])

/** Algorithms whose verification alone takes over about 200 us. */
const verifiesOnPool: ReadonlySet<SignatureAlgorithm> = new Set<SignatureAlgorithm>(["ES384", "ES512", "ES256K"])

type NodeKey = crypto.KeyObject | crypto.SignKeyObjectInput

const signAsync = (hash: string | null, message: Uint8Array, key: NodeKey) =>
  new Promise<Buffer>((resolve, reject) =>
    crypto.sign(hash, message, key as crypto.SignKeyObjectInput, (error, signature) => {
      if (error === null) resolve(signature)
      else reject(error)
    })
  )

const verifyAsync = (hash: string | null, message: Uint8Array, key: NodeKey, signature: Uint8Array) =>
  new Promise<boolean>((resolve) =>
    crypto.verify(hash, message, key as crypto.VerifyKeyObjectInput, signature, (error, valid) =>
      resolve(error === null && valid)
    )
  )

/** PSS always with the exact salt length: Node's own default is the maximum when signing, any when verifying. */
const nodeKey = (algorithm: SignatureAlgorithm, key: crypto.KeyObject): NodeKey => {
  const { scheme, saltLength } = facts[algorithm]
  return scheme === "RSA-PSS" ? { key, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: saltLength! } : key
}

const nodeHash = (algorithm: SignatureAlgorithm): string | null => {
  const hash = facts[algorithm].hash
  return hash === undefined ? null : hashes[hash]
}

const prepareSign = async (algorithm: SignatureAlgorithm, secret: Uint8Array, options?: SignOptions): Promise<Sign> => {
  const { keyType, scheme } = facts[algorithm]
  if (scheme === "Schnorr") return (await import("./schnorr.ts")).prepareSign(algorithm, secret, options)
  if (!isNative(keyType)) return (await portable()).prepareSign(algorithm, secret, options)
  // OpenSSL takes scalars that are zero, too long or not below the order, and signs with them
  if ((await publicFromSecret(keyType, secret)) === undefined) throw new RangeError(`not a ${keyType} secret`)
  const hash = nodeHash(algorithm)
  const key = nodeKey(algorithm, privateKeyObject(keyType, secret))
  // The first RSA signature after an import costs about 280 us more than the rest: blinding and Montgomery set-up.
  if (keyType === "RSA") await signAsync(hash, new Uint8Array(0), key)
  const length = isEcCurve(keyType) ? Ecdsa.coordinateLength[keyType] : undefined
  const canonical = (signature: Buffer): Uint8Array =>
    length === undefined
      ? new Uint8Array(signature.buffer, signature.byteOffset, signature.length)
      : Ecdsa.fromDer(signature, length)!
  const onPool = async (message: Uint8Array) => canonical(await signAsync(hash, message, key))
  if (signsOnPool.has(algorithm)) return onPool
  const sign = (message: Uint8Array) =>
    message.length > inlineLimit ? onPool(message) : canonical(crypto.sign(hash, message, key as crypto.KeyObject))
  return Object.assign(sign, { inlineLimit })
}

/** `undefined` for bytes that are no canonical key of the kind: OpenSSL also reads compressed and hybrid points. */
const wellFormedPublicKey = async (type: KeyType, bytes: Uint8Array): Promise<crypto.KeyObject | undefined> => {
  if (isEcCurve(type) && (bytes[0] !== 0x04 || (await decodePoint(type, bytes)) === undefined)) return undefined
  try {
    return publicKeyObject(type, bytes)
  } catch {
    return undefined
  }
}

const prepareVerify = async (
  algorithm: SignatureAlgorithm,
  publicKey: Uint8Array,
  options?: VerifyOptions
): Promise<Verify> => {
  const { keyType, scheme } = facts[algorithm]
  if (scheme === "Schnorr") return (await import("./schnorr.ts")).prepareVerify(publicKey)
  if (!isNative(keyType) || (scheme === "EdDSA" && options?.ed25519 === "zip215")) {
    return (await portable()).prepareVerify(algorithm, publicKey, options)
  }
  if (scheme === "EdDSA" && !isStrictEncoding(publicKey)) return () => false
  const keyObject = await wellFormedPublicKey(keyType, publicKey)
  if (keyObject === undefined) return () => false
  const hash = nodeHash(algorithm)
  const key = nodeKey(algorithm, keyObject)
  const length = facts[algorithm].signatureLength ?? rsa.signatureLength(publicKey)
  const isWellFormed = (signature: Uint8Array) =>
    signature.length === length &&
    (scheme !== "EdDSA" || (isStrictEncoding(signature.subarray(0, 32)) && isCanonicalScalar(signature.subarray(32))))
  const native = (signature: Uint8Array) => (scheme === "ECDSA" ? Ecdsa.toDer(signature)! : signature)
  return (message, signature) =>
    !isWellFormed(signature)
      ? false
      : verifiesOnPool.has(algorithm) || message.length > inlineLimit
        ? verifyAsync(hash, message, key, native(signature))
        : crypto.verify(hash, message, key as crypto.KeyObject, native(signature))
}

const publicFromSecret = async (type: KeyType, secret: Uint8Array): Promise<Uint8Array | undefined> => {
  if (type === "RSA") return rsa.publicFromSecret(secret)
  if (!isNative(type)) return (await portable()).publicFromSecret(type, secret)
  if (isEcCurve(type)) {
    if (secret.length !== Ecdsa.coordinateLength[type]) return undefined
    const ecdh = crypto.createECDH(ecdhNames[type])
    try {
      ecdh.setPrivateKey(secret) // refuses 0 and anything not below the order
    } catch {
      return undefined
    }
    return new Uint8Array(ecdh.getPublicKey(null, "uncompressed"))
  }
  if (secret.length !== 32) return undefined
  const spki = crypto.createPublicKey(privateKeyObject(type, secret)).export({ format: "der", type: "spki" })
  return new Uint8Array(spki.subarray(spki.length - publicLength[type as keyof typeof publicLength]))
}

const decodePoint = async (curve: EcCurve, point: Uint8Array): Promise<Uint8Array | undefined> => {
  const length = Ecdsa.coordinateLength[curve]
  const isCompressed = point.length === 1 + length && (point[0] === 0x02 || point[0] === 0x03)
  const isUncompressed = point.length === 1 + 2 * length && point[0] === 0x04
  if (!isCompressed && !isUncompressed) return undefined
  try {
    return new Uint8Array(
      crypto.ECDH.convertKey(point, ecdhNames[curve], undefined, undefined, "uncompressed") as Buffer
    )
  } catch {
    return undefined
  }
}

const generate = async (
  type: KeyType,
  options?: { readonly modulusLength?: number | undefined }
): Promise<Uint8Array> => {
  if (type === "RSA") {
    return new Promise((resolve, reject) =>
      crypto.generateKeyPair(
        "rsa",
        { modulusLength: options?.modulusLength ?? 3072, publicExponent: 65537 },
        (error, _, key) => {
          if (error === null) resolve(new Uint8Array(key.export({ format: "der", type: "pkcs1" })))
          else reject(error)
        }
      )
    )
  }
  if (!isEcCurve(type)) return randomBytes(32)
  const ecdh = crypto.createECDH(ecdhNames[type])
  ecdh.generateKeys()
  const scalar = ecdh.getPrivateKey()
  const secret = new Uint8Array(Ecdsa.coordinateLength[type])
  secret.set(scalar, secret.length - scalar.length)
  scalar.fill(0)
  return secret
}

const randomBytes = (length: number) => crypto.getRandomValues(new Uint8Array(length))

export const primitives: Primitives = {
  name: "node",
  digest: (hash, message) => {
    const digest = crypto.hash(hashes[hash], message, "buffer")
    return new Uint8Array(digest.buffer, digest.byteOffset, digest.length)
  },
  randomBytes,
  generate,
  publicFromSecret,
  decodePoint,
  taprootOutputKey: async (internalKey, merkleRoot) =>
    (await import("./schnorr.ts")).taprootOutputKey(internalKey, merkleRoot),
  prepareSign,
  prepareVerify
}
