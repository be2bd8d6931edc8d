/**
 * Private keys in memory: for development, tests, and keys that no holder can
 * keep for you.
 *
 * The secret is in no property. Printing, JSON, `structuredClone` and comparison
 * see the kind of key and the public half only. Whatever is read is checked
 * against the public half, which is always computed again.
 *
 * **Gotchas**
 *
 * {@link wipe} overwrites the one copy that the key holds. JavaScript keeps others
 * out of reach: the text of a PEM, numbers computed while an RSA key was checked,
 * and whatever the garbage collector moved.
 *
 * **Example** (Reading an encrypted PEM)
 *
 * ```ts
 * import { Config, Effect } from "effect"
 * import { PrivateKey } from "effect-signer"
 *
 * const program = (pem: string) =>
 *   Effect.gen(function*() {
 *     const passphrase = yield* Config.Redacted("KEY_PASSPHRASE")
 *     return yield* PrivateKey.fromPem(pem, { passphrase })
 *   })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { primitives } from "#primitives"
import { Unsupported } from "../primitives/Primitives.ts"
import { bytesOfHex } from "./BaseEncoding.ts"
import * as EncryptedPkcs8 from "./EncryptedPkcs8.ts"
import * as Jwk from "./Jwk.ts"
import * as KeyMaterial from "./KeyMaterial.ts"
import { attempt, invalid, Malformed, ownBytes } from "./Malformed.ts"
import * as OpenSshPrivateKey from "./OpenSshPrivateKey.ts"
import * as Pem from "./Pem.ts"
import * as Pkcs1 from "./Pkcs1.ts"
import * as Pkcs8 from "./Pkcs8.ts"
import { hold, isHeld, publicBytes, secretBytes, wipe as wipeSecret } from "./PrivateKeySecret.ts"
import * as PublicKey from "./PublicKey.ts"
import * as Sec1 from "./Sec1.ts"
import * as SignatureAlgorithm from "./SignatureAlgorithm.ts"
import type { KeyType } from "./SignatureAlgorithm.ts"
import { InvalidConfiguration, UnsupportedAlgorithm } from "./SignerError.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * A private key. Made by the decoders of this module and {@link generate} only.
 *
 * @category models
 * @since 0.1.0
 */
export class PrivateKey implements Inspectable.Inspectable {
  readonly type: KeyType
  /** The one algorithm this key is for, where that was stated. */
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm | undefined
  readonly publicKey: PublicKey.PublicKey
  /** Only of the type: no other object has it. */
  declare protected readonly "~effect-signer/PrivateKey": never

  private constructor(publicKey: PublicKey.PublicKey) {
    this.type = publicKey.type
    this.algorithm = publicKey.algorithm
    this.publicKey = publicKey
    Object.freeze(this)
  }

  /**
   * An object without a secret, which is no key yet.
   *
   * @internal
   */
  static withoutSecret(publicKey: PublicKey.PublicKey): PrivateKey {
    return new PrivateKey(publicKey)
  }

  toJSON(): unknown {
    return { _id: "PrivateKey", type: this.type, algorithm: this.algorithm }
  }

  toString(): string {
    return `PrivateKey(${this.algorithm ?? this.type})`
  }

  [Inspectable.NodeInspectSymbol](): string {
    return this.toString()
  }
}

/**
 * Tells whether a value is a {@link PrivateKey}. No other object can pass for one.
 *
 * @category guards
 * @since 0.1.0
 */
export const isPrivateKey = (u: unknown): u is PrivateKey => isHeld(u)

/** A key of a secret, which is taken over and known to belong to the public bytes. */
const fromParts = (
  material: KeyMaterial.KeyMaterial,
  algorithm: SignatureAlgorithm.SignatureAlgorithm | undefined,
  secret: Uint8Array,
  isGenerated: boolean
): PrivateKey => {
  const key = PrivateKey.withoutSecret(PublicKey.PublicKey.unchecked(material, algorithm))
  hold(key, secret, material.bytes, isGenerated)
  return key
}

/**
 * Overwrites the secret with zeros and forgets it. The public half stays.
 *
 * **Details**
 *
 * Afterwards {@link isWiped} is `true`, {@link toEncryptedPem} fails, and the other
 * encoders write no secret: empty bytes, empty text, the public JWK.
 *
 * @category combinators
 * @since 0.1.0
 */
export const wipe = (key: PrivateKey): void => wipeSecret(key)

/**
 * Tells whether the secret of a key was wiped.
 *
 * @category guards
 * @since 0.1.0
 */
export const isWiped = (key: PrivateKey): boolean => secretBytes(key).length === 0

// ---------------------------------------------------------------------------
// making
// ---------------------------------------------------------------------------

const isKeyType = Schema.is(SignatureAlgorithm.KeyType)
const isAlgorithm = Schema.is(SignatureAlgorithm.SignatureAlgorithm)

/**
 * Makes a new key of a kind, or for one algorithm, from the runtime's secure
 * random source.
 *
 * **Details**
 *
 * RSA keys have 3072 bits unless `modulusLength` says otherwise: 2048 to 16384
 * bits. Fails with `UnsupportedAlgorithm` where this runtime lacks ML-DSA.
 *
 * @category constructors
 * @since 0.1.0
 */
export const generate = (
  type: KeyType | SignatureAlgorithm.SignatureAlgorithm,
  options?: { readonly modulusLength?: number | undefined }
): Effect.Effect<PrivateKey, InvalidConfiguration | UnsupportedAlgorithm> => {
  const algorithm = !isKeyType(type) && isAlgorithm(type) ? type : undefined
  const keyType = algorithm === undefined ? (type as KeyType) : SignatureAlgorithm.facts[algorithm].keyType
  const modulusLength = options?.modulusLength
  if (!isKeyType(keyType)) {
    return Effect.fail(
      InvalidConfiguration.of({
        operation: "make",
        field: "type",
        problem: `must be a kind of key (${SignatureAlgorithm.KeyType.literals.join(", ")}) or a signature algorithm`
      })
    )
  }
  if (modulusLength !== undefined && !isModulusLength(keyType, modulusLength)) {
    return Effect.fail(
      InvalidConfiguration.of({
        operation: "make",
        field: "modulusLength",
        problem:
          keyType === "RSA"
            ? `must be an integer from ${Pkcs1.minModulusLength} to ${Pkcs1.maxModulusLength}, in bits`
            : `applies to RSA keys, not to ${keyType}`
      })
    )
  }
  const unsupported = ({ message }: Unsupported) =>
    new UnsupportedAlgorithm({
      backend: "effect-signer",
      keyId: "-",
      operation: "make",
      algorithm: type,
      problem: message
    })
  return Effect.tryPromise({
    try: async () => {
      const secret = await primitives.generate(keyType, { modulusLength: modulusLength ?? 3072 })
      const bytes = await primitives.publicFromSecret(keyType, secret)
      return fromParts({ type: keyType, bytes: bytes! }, algorithm, secret, true)
    },
    catch: (error) => error
  }).pipe(Effect.catch((error) => (error instanceof Unsupported ? Effect.fail(unsupported(error)) : Effect.die(error))))
}

const isModulusLength = (type: KeyType, bits: number) =>
  type === "RSA" && Number.isInteger(bits) && bits >= Pkcs1.minModulusLength && bits <= Pkcs1.maxModulusLength

// ---------------------------------------------------------------------------
// decoding
// ---------------------------------------------------------------------------

/**
 * Options of the decoders.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The one algorithm the key is for. Must be one that the kind of key can do, and the one that the input states. */
  readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm | undefined
}

/**
 * Options of the decoders of formats that may be encrypted.
 *
 * @category models
 * @since 0.1.0
 */
export interface EncryptedOptions extends Options {
  /** Required where the key is encrypted, refused where it is not. */
  readonly passphrase?: Redacted.Redacted<string> | undefined
}

interface Candidate {
  readonly field: string
  readonly material: Pkcs8.PrivateMaterial
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm | undefined
}

const candidate = (field: string, material: Pkcs8.PrivateMaterial, options: Options | undefined): Candidate => ({
  field,
  material,
  algorithm: PublicKey.agreeOnAlgorithm(material.type, undefined, options?.algorithm)
})

/** Computes the public half, and compares it with every public half that the input claims. */
const complete = async ({ algorithm, field, material }: Candidate): Promise<PrivateKey> => {
  const { claims, expandedKey, type } = material
  const secret = new Uint8Array(material.secret)
  material.secret.fill(0) // a view of bytes that are ours, or what a codec made
  try {
    const bytes = await primitives.publicFromSecret(type, secret)
    if (bytes === undefined) {
      throw new Malformed(
        field,
        type === "RSA" ? "the numbers of the RSA key do not belong together" : `this is not a private key of ${type}`
      )
    }
    const forms = KeyMaterial.isCurve(type) ? [bytes, KeyMaterial.compress(bytes)] : [bytes]
    for (const claim of claims) {
      if (!forms.some((form) => KeyMaterial.sameBytes(form, claim.bytes))) {
        throw new Malformed(field, `${claim.what} does not belong to the private key`)
      }
    }
    if (expandedKey !== undefined && !(await Pkcs8.agreesWithSeed(type, secret, bytes, expandedKey))) {
      throw new Malformed(field, "the expanded key does not belong to the seed")
    }
    return fromParts({ type, bytes }, algorithm, secret, false)
  } catch (error) {
    secret.fill(0)
    throw error
  }
}

/** From what a codec read to a key. Nothing that a primitive says about secret bytes is passed on. */
const finish = (read: () => Candidate): Effect.Effect<PrivateKey, InvalidConfiguration> =>
  Effect.flatMap(attempt(read), (candidate) =>
    Effect.tryPromise({
      try: () => complete(candidate),
      catch: (error) =>
        error instanceof Malformed
          ? invalid(error.field, error.problem)
          : error instanceof Unsupported
            ? invalid(candidate.field, `this runtime cannot use ${candidate.material.type} keys: ${error.message}`)
            : invalid(candidate.field, `this runtime refuses the ${candidate.material.type} key`)
    })
  )

/** Reads bytes that are ours, and wipes them whatever comes of it. */
const finishOwn = (
  own: Uint8Array,
  read: (own: Uint8Array) => Candidate
): Effect.Effect<PrivateKey, InvalidConfiguration> =>
  Effect.ensuring(
    finish(() => read(own)),
    Effect.sync(() => own.fill(0))
  )

/** Reads a copy of bytes. */
const finishBytes = (
  bytes: Uint8Array | Redacted.Redacted<Uint8Array>,
  field: string,
  read: (own: Uint8Array) => Candidate
): Effect.Effect<PrivateKey, InvalidConfiguration> =>
  Effect.flatMap(
    attempt(() => ownBytes(reveal(bytes, field), field)),
    (own) => finishOwn(own, read)
  )

/** The value of a `Redacted`, which may have been wiped. */
const reveal = (value: unknown, field: string): unknown => {
  if (!Redacted.isRedacted(value)) return value
  try {
    return Redacted.value(value)
  } catch {
    throw new Malformed(field, "the redacted value was wiped")
  }
}

/** @internal */
export const passphraseOf = (passphrase: Redacted.Redacted<string>): string => {
  const value = reveal(passphrase, "passphrase")
  if (typeof value !== "string") throw new Malformed("passphrase", "expected text")
  return value
}

const decrypted = (
  der: Uint8Array,
  passphrase: Redacted.Redacted<string>,
  options: Options | undefined
): Effect.Effect<PrivateKey, InvalidConfiguration> =>
  attempt(() => passphraseOf(passphrase)).pipe(
    Effect.flatMap((text) => EncryptedPkcs8.decrypt(der, text)),
    Effect.flatMap((pkcs8) => finishOwn(pkcs8, (own) => candidate("pkcs8", Pkcs8.decode(own), options)))
  )

/**
 * Reads the DER of PKCS#8: `PrivateKeyInfo` (RFC 5208) or `OneAsymmetricKey` (RFC
 * 5958), and with a passphrase `EncryptedPrivateKeyInfo`.
 *
 * **Details**
 *
 * Every public key that the input carries must belong to the secret. ML-DSA needs
 * its seed (RFC 9881): alone, or with the expanded key beside it.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromPkcs8 = (
  der: Uint8Array | Redacted.Redacted<Uint8Array>,
  options?: EncryptedOptions
): Effect.Effect<PrivateKey, InvalidConfiguration> => {
  const passphrase = options?.passphrase
  return passphrase === undefined
    ? finishBytes(der, "pkcs8", (own) => candidate("pkcs8", Pkcs8.decode(own), options))
    : Effect.flatMap(
        attempt(() => ownBytes(reveal(der, "pkcs8"), "pkcs8")),
        (own) => decrypted(own, passphrase, options)
      )
}

/**
 * Reads the DER of a SEC 1 `ECPrivateKey` (RFC 5915), which must name its curve.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromSec1 = (
  der: Uint8Array | Redacted.Redacted<Uint8Array>,
  options?: Options
): Effect.Effect<PrivateKey, InvalidConfiguration> =>
  finishBytes(der, "sec1", (own) => candidate("sec1", sec1Material(own), options))

const sec1Material = (der: Uint8Array): Pkcs8.PrivateMaterial => {
  const { publicKey, secret, type } = Sec1.decode(der, "sec1")
  return {
    type,
    secret,
    claims: publicKey === undefined ? [] : [{ what: "the public key inside it", bytes: publicKey }]
  }
}

/**
 * Reads the DER of a PKCS#1 `RSAPrivateKey` (RFC 8017 appendix A.1.2) with two
 * primes.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromPkcs1 = (
  der: Uint8Array | Redacted.Redacted<Uint8Array>,
  options?: Options
): Effect.Effect<PrivateKey, InvalidConfiguration> =>
  finishBytes(der, "pkcs1", (own) => candidate("pkcs1", pkcs1Material(own), options))

const pkcs1Material = (der: Uint8Array): Pkcs8.PrivateMaterial => {
  Pkcs1.decodePrivate(der)
  return { type: "RSA", secret: der, claims: [] }
}

const pemReaders = {
  "PRIVATE KEY": ["pkcs8", Pkcs8.decode],
  "EC PRIVATE KEY": ["sec1", sec1Material],
  "RSA PRIVATE KEY": ["pkcs1", pkcs1Material],
  "OPENSSH PRIVATE KEY": ["openssh", OpenSshPrivateKey.decode]
} as const

const publicAdvice = "this is a public key where a private key is needed"

const pemAdvice = {
  "PUBLIC KEY": publicAdvice,
  "RSA PUBLIC KEY": publicAdvice,
  CERTIFICATE: "this is a certificate where a private key is needed",
  "DSA PRIVATE KEY": "DSA is not supported",
  "EC PARAMETERS":
    "remove this block and keep the EC PRIVATE KEY, or convert the key with: openssl pkcs8 -topk8 -nocrypt"
}

/**
 * Reads one PEM block `PRIVATE KEY`, `ENCRYPTED PRIVATE KEY`, `EC PRIVATE KEY`,
 * `RSA PRIVATE KEY` or `OPENSSH PRIVATE KEY`.
 *
 * **Details**
 *
 * RFC 7468 in its strict form: one block, nothing before or after it, equal
 * labels, lines of 64 characters; of 70 where OpenSSH wrote it. Encrypted keys are
 * PBES2 with PBKDF2 or scrypt, and AES-CBC; what OpenSSH encrypted is refused. A
 * passphrase that is missing, wrong, or given for a key that is not encrypted, is
 * an error of its own.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromPem = (
  text: string | Redacted.Redacted<string>,
  options?: EncryptedOptions
): Effect.Effect<PrivateKey, InvalidConfiguration> =>
  Effect.flatMap(
    attempt(() =>
      Pem.decode(
        reveal(text, "pem") as string,
        ["PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "OPENSSH PRIVATE KEY"],
        pemAdvice
      )
    ),
    ({ bytes, label }) => {
      const passphrase = options?.passphrase
      if (label === "ENCRYPTED PRIVATE KEY") {
        return passphrase === undefined
          ? Effect.fail(invalid("passphrase", "the key is encrypted: a passphrase is needed"))
          : decrypted(bytes, passphrase, options)
      }
      const [field, read] = pemReaders[label]
      return finishOwn(bytes, (own) => {
        const material = read(own)
        if (passphrase !== undefined) {
          throw new Malformed("passphrase", "the key is not encrypted; leave the passphrase out")
        }
        return candidate(field, material, options)
      })
    }
  )

/**
 * Reads a private JWK, already parsed from JSON.
 *
 * **Details**
 *
 * The public members must be there and belong to the secret. An RSA key needs its
 * CRT members. `alg` becomes the algorithm of the key.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromJwk = (jwk: unknown, options?: Options): Effect.Effect<PrivateKey, InvalidConfiguration> =>
  finish(() => {
    const { algorithm, material } = Jwk.decodePrivate(reveal(jwk, "jwk"))
    return {
      field: "jwk",
      material,
      algorithm: PublicKey.agreeOnAlgorithm(material.type, algorithm, options?.algorithm)
    }
  })

const rawCandidate = (type: KeyType, bytes: Uint8Array, field: string, options: Options | undefined): Candidate => {
  if (!isKeyType(type)) throw new Malformed("type", `must be one of ${SignatureAlgorithm.KeyType.literals.join(", ")}`)
  if (type === "RSA") throw new Malformed("type", "an RSA private key has no raw form; use fromPkcs1 or fromPkcs8")
  // RFC 8032's seed, or the 64 bytes that NaCl and libp2p call the secret key
  if (type === "Ed25519" && bytes.length === 64) {
    const claims = [{ what: "the public key in the second 32 bytes", bytes: bytes.subarray(32) }]
    return candidate(field, { type, secret: bytes.subarray(0, 32), claims }, options)
  }
  const length = privateLength[type]
  if (bytes.length !== length) {
    throw new Malformed(
      field,
      `${bytes.length} bytes; ${type} private keys have ${length}${type === "Ed25519" ? " or 64" : ""}`
    )
  }
  return candidate(field, { type, secret: bytes, claims: [] }, options)
}

const privateLength: { readonly [T in Exclude<KeyType, "RSA">]: number } = {
  Ed25519: 32,
  "P-256": 32,
  "P-384": 48,
  "P-521": 66,
  secp256k1: 32,
  "ML-DSA-44": 32,
  "ML-DSA-65": 32,
  "ML-DSA-87": 32
}

/**
 * Reads the bare bytes of a secret.
 *
 * **Details**
 *
 * Ed25519: the 32-byte seed, or 64 bytes of seed and public key, which must belong
 * together. Curves: the scalar, big-endian, with the length of the order. ML-DSA:
 * the 32-byte seed. RSA has no such form.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromRaw = (
  type: KeyType,
  bytes: Uint8Array | Redacted.Redacted<Uint8Array>,
  options?: Options
): Effect.Effect<PrivateKey, InvalidConfiguration> =>
  finishBytes(bytes, "raw", (own) => rawCandidate(type, own, "raw", options))

/**
 * Reads the hex of what {@link fromRaw} reads, in either letter case and without a
 * prefix.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromHex = (
  type: KeyType,
  text: string | Redacted.Redacted<string>,
  options?: Options
): Effect.Effect<PrivateKey, InvalidConfiguration> =>
  Effect.flatMap(
    attempt(() => bytesOfHex(reveal(text, "hex"))),
    (own) => finishOwn(own, (bytes) => rawCandidate(type, bytes, "hex", options))
  )

// ---------------------------------------------------------------------------
// encoding
// ---------------------------------------------------------------------------

const pkcs8Of = (key: PrivateKey): Uint8Array =>
  isWiped(key) ? new Uint8Array(0) : Pkcs8.encode(key.type, secretBytes(key), publicBytes(key))

/**
 * The DER of PKCS#8, version 1. ML-DSA in the seed form of RFC 9881.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toPkcs8 = (key: PrivateKey): Redacted.Redacted<Uint8Array> =>
  Redacted.make(pkcs8Of(key), { label: "PKCS#8" })

/**
 * One PEM block `PRIVATE KEY`, not encrypted, with LF line ends.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toPem = (key: PrivateKey): Redacted.Redacted<string> => {
  const pkcs8 = pkcs8Of(key)
  const text = pkcs8.length === 0 ? "" : Pem.encode("PRIVATE KEY", pkcs8)
  pkcs8.fill(0)
  return Redacted.make(text, { label: "PEM" })
}

/**
 * One PEM block `ENCRYPTED PRIVATE KEY`: PBES2 with PBKDF2-HMAC-SHA-256 of 600,000
 * iterations and a 16-byte salt, and AES-256-CBC. `openssl pkey` opens it.
 *
 * **Gotchas**
 *
 * CBC hides the key and does not authenticate it. A changed file is noticed only
 * because the public half no longer fits, where the format has one: curves and
 * RSA, not Ed25519 and ML-DSA.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toEncryptedPem = (
  key: PrivateKey,
  passphrase: Redacted.Redacted<string>
): Effect.Effect<Redacted.Redacted<string>, InvalidConfiguration> =>
  Effect.flatMap(
    attempt(() => {
      if (isWiped(key)) throw new Malformed("key", "the key was wiped")
      return passphraseOf(passphrase)
    }),
    (text) => {
      const pkcs8 = pkcs8Of(key)
      return EncryptedPkcs8.encrypt(pkcs8, text).pipe(
        Effect.map((der) => Redacted.make(Pem.encode("ENCRYPTED PRIVATE KEY", der), { label: "PEM" })),
        Effect.ensuring(Effect.sync(() => pkcs8.fill(0)))
      )
    }
  )

/**
 * The private JWK, public members and `alg` included.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toJwk = (key: PrivateKey): Redacted.Redacted<Jwk.PrivateJwk | Jwk.PublicJwk> => {
  const jwk = isWiped(key)
    ? PublicKey.toJwk(key.publicKey)
    : Jwk.encodePrivate(Jwk.encodePublic({ type: key.type, bytes: publicBytes(key) }, key.algorithm), secretBytes(key))
  return Redacted.make(jwk, { label: "JWK" })
}
