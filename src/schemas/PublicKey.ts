/**
 * Public keys: read strictly from every format in use, written in each, named by
 * thumbprint, fingerprint or URN.
 *
 * A `PublicKey` exists only if it was read: every decoder checks the whole input,
 * and that a point is on its curve. Nothing is guessed: the format is the name of
 * the function.
 *
 * **Gotchas**
 *
 * A kind of key is not an algorithm. RSA and secp256k1 keys sign with several:
 * state one with `algorithm`, or read a JWK that has `alg`.
 *
 * **Example** (Reading a PEM, writing a JWK)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { PublicKey } from "effect-signer"
 *
 * const program = (pem: string) =>
 *   Effect.gen(function*() {
 *     const key = yield* PublicKey.fromPem(pem)
 *     return { ...PublicKey.toJwk(key), kid: PublicKey.thumbprint(key) }
 *   })
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Hex from "effect/encoding/Hex"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as Inspectable from "effect/Inspectable"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { primitives } from "#primitives"
import { bytesOfHex, fromBase64 } from "./BaseEncoding.ts"
import * as Der from "./Der.ts"
import * as Id52 from "./Id52.ts"
import * as Jwk from "./Jwk.ts"
import * as KeyId from "./KeyId.ts"
import * as KeyMaterial from "./KeyMaterial.ts"
import { attempt, invalid, Malformed, maxInputLength, ownBytes } from "./Malformed.ts"
import * as Pem from "./Pem.ts"
import * as SignatureAlgorithm from "./SignatureAlgorithm.ts"
import type { KeyType } from "./SignatureAlgorithm.ts"
import type { InvalidConfiguration } from "./SignerError.ts"
import * as Spki from "./Spki.ts"
import * as SshWire from "./SshWire.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/** Whether a key for this algorithm is an x coordinate. */
const isXOnly = ({ algorithm }: { readonly algorithm: SignatureAlgorithm.SignatureAlgorithm | undefined }) =>
  algorithm === "BIP340" || algorithm === "BIP341"

/**
 * A public key. Immutable, and made by the decoders of this module only.
 *
 * **Details**
 *
 * Compares structurally, algorithm included: {@link sameKey} compares the key
 * alone. Printed, it shows its type and thumbprint; as JSON it is a JWK.
 *
 * A key for BIP340 or BIP341 is an x coordinate. It is held as the point with even
 * y, whichever of the two points it was read from: so its key id, thumbprint and
 * other names are those of the published x.
 *
 * @category models
 * @since 0.1.0
 */
export class PublicKey implements Equal.Equal, Inspectable.Inspectable {
  readonly type: KeyType
  /** The one algorithm this key is for, where that was stated. */
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm | undefined
  readonly #bytes: Uint8Array

  private constructor(material: KeyMaterial.KeyMaterial, algorithm: SignatureAlgorithm.SignatureAlgorithm | undefined) {
    this.type = material.type
    this.algorithm = algorithm
    // an x-only key is one key, whichever point it was read from (BIP 340, "Public Key Generation", lift_x)
    this.#bytes = isXOnly({ algorithm }) ? KeyMaterial.evenY(material.bytes) : new Uint8Array(material.bytes)
    Object.freeze(this)
  }

  /**
   * A key whose bytes are known to be canonical and valid.
   *
   * @internal
   */
  static unchecked(
    material: KeyMaterial.KeyMaterial,
    algorithm: SignatureAlgorithm.SignatureAlgorithm | undefined
  ): PublicKey {
    return new PublicKey(material, algorithm)
  }

  /** @internal */
  static is(u: unknown): u is PublicKey {
    return typeof u === "object" && u !== null && #bytes in u
  }

  /**
   * The canonical bytes, a new copy each time: Ed25519 32 bytes, curves the
   * uncompressed SEC1 point, RSA the PKCS#1 `RSAPublicKey`, ML-DSA as FIPS 204
   * encodes it.
   */
  get bytes(): Uint8Array {
    return new Uint8Array(this.#bytes)
  }

  [Equal.symbol](that: unknown): boolean {
    return (
      PublicKey.is(that) &&
      this.type === that.type &&
      this.algorithm === that.algorithm &&
      KeyMaterial.sameBytes(this.#bytes, that.#bytes)
    )
  }

  [Hash.symbol](): number {
    return Hash.string(`${this.type} ${this.algorithm} ${Hex.encode(this.#bytes)}`)
  }

  toJSON(): Jwk.PublicJwk {
    return toJwk(this)
  }

  toString(): string {
    return `PublicKey(${this.algorithm ?? this.type}, ${thumbprint(this)})`
  }

  [Inspectable.NodeInspectSymbol](): string {
    return this.toString()
  }
}

/**
 * Tells whether a value is a {@link PublicKey}. No other object can pass for one.
 *
 * @category guards
 * @since 0.1.0
 */
export const isPublicKey: (u: unknown) => u is PublicKey = PublicKey.is

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

// ---------------------------------------------------------------------------
// algorithm
// ---------------------------------------------------------------------------

/**
 * The one algorithm that a key of this type is for, of what the input and the
 * options state.
 *
 * @internal
 */
export const agreeOnAlgorithm = (
  type: KeyType,
  stated: SignatureAlgorithm.SignatureAlgorithm | undefined,
  asked: SignatureAlgorithm.SignatureAlgorithm | undefined
): SignatureAlgorithm.SignatureAlgorithm | undefined => {
  if (asked === undefined) return stated
  const candidates = SignatureAlgorithm.forKeyType(type)
  if (!candidates.includes(asked)) {
    throw new Malformed("algorithm", `${type} keys cannot do it; they can do ${candidates.join(", ")}`)
  }
  if (stated !== undefined && stated !== asked) {
    throw new Malformed("algorithm", `${asked} was asked for, and the key is for ${stated} only`)
  }
  return asked
}

/**
 * The same key for one algorithm, whatever it was for before.
 *
 * **Gotchas**
 *
 * A key for BIP340 or BIP341 has no y, and cannot become one for ES256K.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withAlgorithm = (
  key: PublicKey,
  algorithm: SignatureAlgorithm.SignatureAlgorithm
): Effect.Effect<PublicKey, InvalidConfiguration> =>
  attempt(() => {
    const agreed = agreeOnAlgorithm(key.type, undefined, algorithm)
    if (isXOnly(key) && !isXOnly({ algorithm })) {
      throw new Malformed("algorithm", `a key for ${key.algorithm} is an x coordinate, with no y for ${algorithm}`)
    }
    return PublicKey.unchecked(key, agreed)
  })

/**
 * The algorithm to use a key with: the one asked for, else the one the key is
 * for, else the only one that its type allows.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where that leaves several, and lists them;
 * and where the algorithm asked for is not the one the key is for.
 *
 * @category combinators
 * @since 0.1.0
 */
export const resolveAlgorithm = (
  key: PublicKey,
  asked?: SignatureAlgorithm.SignatureAlgorithm | undefined
): Effect.Effect<SignatureAlgorithm.SignatureAlgorithm, InvalidConfiguration> =>
  attempt(() => {
    const algorithm = agreeOnAlgorithm(key.type, key.algorithm, asked)
    if (algorithm !== undefined) return algorithm
    const candidates = SignatureAlgorithm.forKeyType(key.type)
    if (candidates.length === 1) return candidates[0]!
    throw new Malformed("algorithm", `${key.type} keys can do several; state one of ${candidates.join(", ")}`)
  })

// ---------------------------------------------------------------------------
// decoding
// ---------------------------------------------------------------------------

interface Candidate {
  readonly material: KeyMaterial.KeyMaterial
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm | undefined
}

/** From material whose form is checked to a key: points must be on their curve, and become uncompressed. */
const finish = (field: string, candidate: () => Candidate): Effect.Effect<PublicKey, InvalidConfiguration> =>
  Effect.flatMap(attempt(candidate), ({ algorithm, material: { bytes, type } }) => {
    if (!KeyMaterial.isCurve(type)) return Effect.succeed(PublicKey.unchecked({ type, bytes }, algorithm))
    return Effect.flatMap(
      Effect.promise(() => primitives.decodePoint(type, bytes)),
      (point) =>
        point === undefined
          ? Effect.fail(invalid(field, `the public key is not a point of the curve ${type}`))
          : Effect.succeed(PublicKey.unchecked({ type, bytes: point }, algorithm))
    )
  })

const candidate = (material: KeyMaterial.KeyMaterial, options: Options | undefined): Candidate => ({
  material,
  algorithm: agreeOnAlgorithm(material.type, undefined, options?.algorithm)
})

/**
 * Reads the DER of a `SubjectPublicKeyInfo` (RFC 5280 section 4.1).
 *
 * **Details**
 *
 * DER and nothing after it, named curves only, RSA of 2048 to 16384 bits. A point
 * may be compressed.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromSpki = (der: Uint8Array, options?: Options): Effect.Effect<PublicKey, InvalidConfiguration> =>
  finish("spki", () => candidate(Spki.decode(ownBytes(der, "spki")), options))

/**
 * Reads the DER of a PKCS#1 `RSAPublicKey` (RFC 8017 appendix A.1.1).
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromPkcs1 = (der: Uint8Array, options?: Options): Effect.Effect<PublicKey, InvalidConfiguration> =>
  finish("pkcs1", () => candidate(KeyMaterial.check("RSA", ownBytes(der, "pkcs1"), "pkcs1"), options))

const privateAdvice =
  "this is a private key where a public key is needed; write its public half with: openssl pkey -pubout"

const pemAdvice = {
  "PRIVATE KEY": privateAdvice,
  "ENCRYPTED PRIVATE KEY": privateAdvice,
  "EC PRIVATE KEY": privateAdvice,
  "RSA PRIVATE KEY": privateAdvice,
  "DSA PRIVATE KEY": privateAdvice,
  "OPENSSH PRIVATE KEY":
    "this is a private key where a public key is needed; write its public half with: ssh-keygen -y",
  CERTIFICATE: "this is a certificate; write its public key with: openssl x509 -pubkey -noout",
  "SSH2 PUBLIC KEY": "convert it to an OpenSSH line with: ssh-keygen -i -f FILE"
}

/**
 * Reads one PEM block `PUBLIC KEY` (SPKI) or `RSA PUBLIC KEY` (PKCS#1).
 *
 * **Details**
 *
 * RFC 7468 in its strict form: one block, nothing before or after it, equal
 * labels, lines of 64 characters. A private key is refused.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromPem = (text: string, options?: Options): Effect.Effect<PublicKey, InvalidConfiguration> =>
  finish("pem", () => {
    const { bytes, label } = Pem.decode(text, ["PUBLIC KEY", "RSA PUBLIC KEY"], pemAdvice)
    return candidate(label === "PUBLIC KEY" ? Spki.decode(bytes) : KeyMaterial.check("RSA", bytes, "pkcs1"), options)
  })

/**
 * Reads a public JWK, already parsed from JSON.
 *
 * **Details**
 *
 * `alg` becomes the algorithm of the key. Private members and symmetric keys are
 * refused, and so are members that contradict each other; members that are not
 * known are ignored.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromJwk = (jwk: unknown, options?: Options): Effect.Effect<PublicKey, InvalidConfiguration> =>
  finish("jwk", () => {
    const { algorithm, material } = Jwk.decodePublic(jwk)
    return { material, algorithm: agreeOnAlgorithm(material.type, algorithm, options?.algorithm) }
  })

const isKeyType = Schema.is(SignatureAlgorithm.KeyType)

const rawCandidate = (
  type: KeyType | "BIP340",
  bytes: Uint8Array,
  field: string,
  options: Options | undefined
): Candidate => {
  if (type === "BIP340") {
    if (bytes.length !== 32) throw new Malformed(field, `${bytes.length} bytes; BIP340 public keys have 32`)
    // BIP 340, lift_x: of the two points with this x, the one with even y
    const material = { type: "secp256k1", bytes: Der.concat(Uint8Array.of(0x02), bytes) } as const
    return { material, algorithm: agreeOnAlgorithm("secp256k1", "BIP340", options?.algorithm) }
  }
  if (!isKeyType(type)) {
    throw new Malformed("type", `must be BIP340 or one of ${SignatureAlgorithm.KeyType.literals.join(", ")}`)
  }
  return candidate(type === "RSA" ? rsaOf(bytes) : KeyMaterial.check(type, bytes, field), options)
}

const rsaOf = (spki: Uint8Array): KeyMaterial.KeyMaterial => {
  const material = Spki.decode(spki)
  if (material.type !== "RSA") throw new Malformed("spki", "this is not an RSA key")
  return material
}

/**
 * Reads the bare bytes of a key, as {@link toRaw} writes them.
 *
 * **Details**
 *
 * Ed25519: 32 bytes (RFC 8032). Curves: a compressed or uncompressed SEC1 point.
 * `"BIP340"`: a 32-byte x coordinate, which becomes the secp256k1 point with even
 * y and the algorithm BIP340. ML-DSA: as FIPS 204 encodes it. RSA has no bare form:
 * the SPKI DER.
 *
 * **Gotchas**
 *
 * An Ed25519 key is any 32 bytes: whether they are a point is for verification to
 * say, because strict and ZIP 215 rules differ on it.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromRaw = (
  type: KeyType | "BIP340",
  bytes: Uint8Array,
  options?: Options
): Effect.Effect<PublicKey, InvalidConfiguration> =>
  finish("raw", () => rawCandidate(type, ownBytes(bytes, "raw"), "raw", options))

/**
 * Reads the hex of what {@link fromRaw} reads, in either letter case and without
 * a prefix.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromHex = (
  type: KeyType | "BIP340",
  text: string,
  options?: Options
): Effect.Effect<PublicKey, InvalidConfiguration> =>
  finish("hex", () => rawCandidate(type, bytesOfHex(text), "hex", options))

/**
 * Reads one line of an OpenSSH public key file: `ssh-ed25519`, `ssh-rsa` or
 * `ecdsa-sha2-nistp256`, `-nistp384`, `-nistp521`, then base64, then any comment.
 *
 * **Details**
 *
 * The blob must be of the kind that the line says, and whole. One line end may
 * follow. Options before the type, as in `authorized_keys`, are refused.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromOpenSsh = (line: string, options?: Options): Effect.Effect<PublicKey, InvalidConfiguration> =>
  finish("ssh", () => {
    if (typeof line !== "string" || line.length > maxInputLength)
      throw new Malformed("ssh", "expected one line of text")
    const match = /^([a-z0-9@.-]{1,64}) ([A-Za-z0-9+/]+={0,2})(?: [^\r\n]*)?(?:\r?\n)?$/.exec(line)
    if (match === null)
      throw new Malformed("ssh", "expected one line: the key type, a space, base64, and maybe a comment")
    const blob = fromBase64(match[2]!)
    if (blob === undefined) throw new Malformed("ssh", "the second word is not base64 with its exact padding")
    const { key, name } = SshWire.decodePublicKey(blob)
    if (name !== match[1]) throw new Malformed("ssh", "the line names another key type than the key itself")
    return candidate(key, options)
  })

/**
 * Reads an ID52: an Ed25519 key as 52 characters of base32hex in lower case.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromId52 = (text: string, options?: Options): Effect.Effect<PublicKey, InvalidConfiguration> =>
  finish("id52", () => candidate({ type: "Ed25519", bytes: Id52.decode(text) }, options))

// ---------------------------------------------------------------------------
// encoding
// ---------------------------------------------------------------------------

/**
 * The DER of the `SubjectPublicKeyInfo`.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toSpki = (key: PublicKey): Uint8Array => Spki.encode(key)

/**
 * One PEM block `PUBLIC KEY`, with LF line ends.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toPem = (key: PublicKey): string => Pem.encode("PUBLIC KEY", toSpki(key))

/**
 * The public JWK, with `alg` where the algorithm of the key is known and has a
 * JOSE name, and with `kid` only where one is stated.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toJwk = (
  key: PublicKey,
  options?: {
    readonly kid?: string | undefined
    /**
     * What `alg` says of an Ed25519 key. Default `"EdDSA"` (RFC 8037), as tokens that
     * `Jws` and `Jwt` sign say: readers compare the two as text. `"Ed25519"` is the
     * name of RFC 9864, which fewer libraries read. Both are read here.
     */
    readonly ed25519?: "EdDSA" | "Ed25519" | undefined
  }
): Jwk.PublicJwk => Jwk.encodePublic(key, key.algorithm, options?.kid, options?.ed25519)

/**
 * The bare bytes of the key, which {@link fromRaw} reads.
 *
 * **Details**
 *
 * Ed25519: 32 bytes. Curves: the uncompressed SEC1 point, or the 32-byte x
 * coordinate where the algorithm is BIP340 or BIP341. ML-DSA: as FIPS 204 encodes
 * it. RSA has no bare form: the SPKI DER.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toRaw = (key: PublicKey): Uint8Array =>
  key.type === "RSA" ? toSpki(key) : isXOnly(key) ? KeyMaterial.xOnly(key.bytes) : key.bytes

/**
 * The compressed SEC1 point; `undefined` for keys that are none.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toCompressed = (key: PublicKey): Uint8Array | undefined =>
  KeyMaterial.isCurve(key.type) ? KeyMaterial.compress(key.bytes) : undefined

/**
 * The bytes of {@link toRaw} in lower-case hex.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toHex = (key: PublicKey): string => Hex.encode(toRaw(key))

/**
 * The line of an OpenSSH public key file, without a line end; `undefined` for
 * secp256k1 and ML-DSA, which OpenSSH does not have.
 *
 * **Gotchas**
 *
 * Control characters of the comment become spaces: a line break in it would start
 * another line of an `authorized_keys` file.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toOpenSsh = (key: PublicKey, comment?: string | undefined): string | undefined => {
  const blob = SshWire.encodePublicKey(key)
  if (blob === undefined) return undefined
  const line = `${SshWire.publicKeyName(key)} ${Base64.encode(blob)}`
  return comment === undefined || comment === "" ? line : `${line} ${comment.replace(/\p{Cc}+/gu, " ")}`
}

/**
 * The ID52 of an Ed25519 key; `undefined` for other keys.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toId52 = (key: PublicKey): string | undefined =>
  key.type === "Ed25519" ? Id52.encode(key.bytes) : undefined

// ---------------------------------------------------------------------------
// names
// ---------------------------------------------------------------------------

/**
 * The RFC 7638 thumbprint, SHA-256 in base64url: the `kid` to use where none is
 * stated.
 *
 * @category names
 * @since 0.1.0
 */
export const thumbprint = (key: PublicKey): string => {
  const known = thumbprints.get(key)
  if (known !== undefined) return known
  const made = Base64Url.encode(
    primitives.digest("SHA-256", new TextEncoder().encode(JSON.stringify(Jwk.required(key))))
  )
  thumbprints.set(key, made)
  return made
}

/** Public keys are immutable: so are their thumbprints. */
const thumbprints = new WeakMap<PublicKey, string>()

/**
 * The first 16 hex digits of {@link address}: enough to tell keys apart in a list.
 *
 * @category names
 * @since 0.1.0
 */
export const fingerprint = (key: PublicKey): string => Hex.encode(address(key).subarray(0, 8))

/**
 * SHA-256 of the public key, 32 bytes: of the 32 bytes of Ed25519, the compressed
 * point of a curve, the SPKI DER of RSA, the FIPS 204 bytes of ML-DSA.
 *
 * @category names
 * @since 0.1.0
 */
export const address = (key: PublicKey): Uint8Array => KeyId.digest(key)

/**
 * The URN of the key, from the first half of {@link address}.
 *
 * @see `KeyId.fromPublicKey` for its form
 * @category names
 * @since 0.1.0
 */
export const keyId = (key: PublicKey): KeyId.KeyId => KeyId.fromPublicKey(key)

/**
 * The fingerprint that `ssh-keygen -l` shows, `SHA256:...`; `undefined` where SSH
 * has no such key.
 *
 * @category names
 * @since 0.1.0
 */
export const sshFingerprint = (key: PublicKey): string | undefined => {
  const blob = SshWire.encodePublicKey(key)
  return blob === undefined
    ? undefined
    : `SHA256:${Base64.encode(primitives.digest("SHA-256", blob)).replace(/=+$/, "")}`
}

/**
 * Tells whether two keys are the same, whatever algorithm each is for.
 *
 * **Details**
 *
 * A BIP340 or BIP341 key is its x coordinate: with one of these, y is not
 * compared.
 *
 * @category guards
 * @since 0.1.0
 */
export const sameKey = (a: PublicKey, b: PublicKey): boolean =>
  a.type === b.type &&
  (isXOnly(a) || isXOnly(b)
    ? KeyMaterial.sameBytes(KeyMaterial.xOnly(a.bytes), KeyMaterial.xOnly(b.bytes))
    : KeyMaterial.sameBytes(a.bytes, b.bytes))

// ---------------------------------------------------------------------------
// schemas
// ---------------------------------------------------------------------------

/**
 * A `PublicKey` in memory, a public JWK in JSON.
 *
 * @category schemas
 * @since 0.1.0
 */
export const PublicKeyJwk: Schema.Codec<PublicKey, Schema.JsonObject> = Schema.JsonObject.pipe(
  Schema.decodeTo(
    Schema.declare(isPublicKey, { identifier: "effect-signer/PublicKey", expected: "PublicKey" }),
    SchemaTransformation.transformEffect({
      decode: (jwk: Schema.JsonObject) =>
        Effect.mapError(fromJwk(jwk), (error) => new SchemaIssue.InvalidValue({ message: error.message })),
      encode: (key: PublicKey): Effect.Effect<Schema.JsonObject> => Effect.succeed({ ...toJwk(key) })
    })
  )
)
