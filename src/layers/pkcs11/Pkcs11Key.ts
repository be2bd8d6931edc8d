/**
 * The key on a token: its two halves, and how each algorithm is asked for.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Hex from "effect/encoding/Hex"
import { fromHex } from "../../schemas/BaseEncoding.ts"
import * as Der from "../../schemas/Der.ts"
import * as Ecdsa from "../../schemas/Ecdsa.ts"
import * as KeyMaterial from "../../schemas/KeyMaterial.ts"
import { attempt } from "../../schemas/Malformed.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import * as SignatureAlgorithm from "../../schemas/SignatureAlgorithm.ts"
import { InvalidResponse, KeyNotSigner, UnsupportedAlgorithm } from "../../schemas/SignerError.ts"
import type { Problem } from "./Pkcs11Error.ts"
import { attemptCalls, keyNotFound, mistaken, Refused } from "./Pkcs11Error.ts"
import type { Cryptoki, Handle, Mechanism } from "./Pkcs11Module.ts"
import { Attribute, findObjects, readAttribute, toNumber } from "./Pkcs11Token.ts"

type Algorithm = SignatureAlgorithm.SignatureAlgorithm

// ---------------------------------------------------------------------------
// algorithms
// ---------------------------------------------------------------------------

/** `CKM_SHA256` and `CKG_MGF1_SHA256`, and so on: PKCS#11 3.1 section 6.1. */
const pssHashes: { readonly [H in SignatureAlgorithm.Hash]: { readonly hashAlg: number; readonly mgf: number } } = {
  "SHA-256": { hashAlg: 0x250, mgf: 2 },
  "SHA-384": { hashAlg: 0x260, mgf: 3 },
  "SHA-512": { hashAlg: 0x270, mgf: 4 }
}

/** `CK_PARAMS_RSA_PSS` of `pkcs11js`. */
const pssParameters = 5

/** `DigestInfo` up to the digest (RFC 8017 section 9.2, note 1). */
const digestInfo: { readonly [H in SignatureAlgorithm.Hash]: Uint8Array } = {
  "SHA-256": fromHex("3031300d060960864801650304020105000420")!,
  "SHA-384": fromHex("3041300d060960864801650304020205000430")!,
  "SHA-512": fromHex("3051300d060960864801650304020305000440")!
}

/** How the token is asked for one algorithm. */
export interface Request {
  readonly input: "message" | "digest"
  readonly mechanism: Mechanism
  /** What the token signs: the digest as it is, or in the form that the mechanism takes. */
  readonly toInput: (bytes: Uint8Array) => Uint8Array
}

/** `undefined` where PKCS#11 has no mechanism for it, or this backend does not use it. */
export const requestOf = (algorithm: Algorithm): Request | undefined => {
  const { hash, saltLength, scheme } = SignatureAlgorithm.facts[algorithm]
  const toInput = (bytes: Uint8Array) => bytes
  if (scheme === "EdDSA") return { input: "message", mechanism: { mechanism: 0x1057 }, toInput } // CKM_EDDSA
  if (hash === undefined) return undefined
  switch (scheme) {
    case "ECDSA":
      return { input: "digest", mechanism: { mechanism: 0x1041 }, toInput } // CKM_ECDSA
    case "RSA-PKCS1":
      return {
        input: "digest",
        mechanism: { mechanism: 0x1 }, // CKM_RSA_PKCS
        toInput: (digest) => Der.concat(digestInfo[hash], digest)
      }
    case "RSA-PSS":
      return {
        input: "digest",
        mechanism: {
          mechanism: 0xd, // CKM_RSA_PKCS_PSS
          parameter: { type: pssParameters, ...pssHashes[hash], saltLen: saltLength! }
        },
        toInput
      }
    default:
      return undefined
  }
}

export const supported: ReadonlyArray<Algorithm> = SignatureAlgorithm.all.filter(
  (algorithm) => requestOf(algorithm) !== undefined
)

/** Bytes of each digest: SoftHSM signs what is left of a longer one without a word. */
export const digestLength: { readonly [H in SignatureAlgorithm.Hash]: number } = {
  "SHA-256": 32,
  "SHA-384": 48,
  "SHA-512": 64
}

// ---------------------------------------------------------------------------
// key types
// ---------------------------------------------------------------------------

/** `CK_KEY_TYPE`. */
const KeyKind = { rsa: 0x0, ec: 0x3, ecEdwards: 0x40 } as const

/**
 * What `CKA_EC_PARAMS` may say, in hex: an OBJECT IDENTIFIER, or the name as a
 * PrintableString (PKCS#11 3.0 section 2.3.3).
 */
const curves: ReadonlyMap<string, SignatureAlgorithm.KeyType> = new Map([
  ["06082a8648ce3d030107", "P-256"],
  ["06052b81040022", "P-384"],
  ["06052b81040023", "P-521"],
  ["06052b8104000a", "secp256k1"],
  ["06032b6570", "Ed25519"], // RFC 8410
  ["06092b06010401da470f01", "Ed25519"], // of GnuPG, and of tokens older than RFC 8410
  ...(
    [
      ["secp256r1", "P-256"],
      ["secp384r1", "P-384"],
      ["secp521r1", "P-521"],
      ["secp256k1", "secp256k1"],
      ["edwards25519", "Ed25519"]
    ] as const
  ).map(([name, type]) => [Hex.encode(Der.encode(0x13, new TextEncoder().encode(name))), type] as const)
])

const typeOf = (kind: number | undefined, ecParams: Uint8Array | undefined): SignatureAlgorithm.KeyType | undefined => {
  if (kind === KeyKind.rsa) return "RSA"
  const type = ecParams === undefined ? undefined : curves.get(Hex.encode(ecParams))
  return type !== undefined && kind === (type === "Ed25519" ? KeyKind.ecEdwards : KeyKind.ec) ? type : undefined
}

// ---------------------------------------------------------------------------
// public half
// ---------------------------------------------------------------------------

/** `CKA_EC_POINT`: the bytes in an OCTET STRING, or as older tokens have them, bare. */
export const pointOf = (type: SignatureAlgorithm.KeyType, attribute: Uint8Array): Uint8Array => {
  const bare = KeyMaterial.isCurve(type)
    ? [1 + Ecdsa.coordinateLength[type], 1 + 2 * Ecdsa.coordinateLength[type]]
    : [32]
  return bare.includes(attribute.length)
    ? attribute
    : Der.decode(attribute, "CKA_EC_POINT", (reader) => reader.octetString("the point"))
}

const malformed: Problem = (context) =>
  new InvalidResponse({ ...context, problem: "the token shows a public key that is malformed" })

type Read = (attribute: number) => Uint8Array | undefined

/** The public key that the attributes of an object show. `undefined` where they show none. */
const publicKeyIn = (
  type: SignatureAlgorithm.KeyType,
  read: Read
): Effect.Effect<PublicKey.PublicKey, unknown> | undefined => {
  if (type === "RSA") {
    const modulus = read(Attribute.modulus)
    const exponent = read(Attribute.publicExponent)
    if (modulus?.length && exponent?.length) {
      return PublicKey.fromPkcs1(Der.sequence(Der.integer(modulus), Der.integer(exponent)))
    }
  } else {
    const point = read(Attribute.ecPoint)
    if (point?.length) {
      return Effect.flatMap(
        attempt(() => pointOf(type, point)),
        (bytes) => PublicKey.fromRaw(type, bytes)
      )
    }
  }
  const spki = read(Attribute.publicKeyInfo)
  return spki?.length ? PublicKey.fromSpki(spki) : undefined
}

/** The public key that an object shows, which must be of this type. */
const decoded = (
  type: SignatureAlgorithm.KeyType,
  read: Read
): Effect.Effect<PublicKey.PublicKey | undefined, Problem> => {
  const reading = publicKeyIn(type, read)
  return reading === undefined
    ? Effect.undefined
    : reading.pipe(
        Effect.mapError(() => malformed),
        Effect.filterOrFail(
          (key) => key.type === type,
          () => malformed
        )
      )
}

// ---------------------------------------------------------------------------
// key
// ---------------------------------------------------------------------------

/** Which key, by what the token says of it. */
export interface KeyFilter {
  readonly object?: string | undefined
  readonly id?: Uint8Array | undefined
}

/** `CK_OBJECT_CLASS`: `CKO_PUBLIC_KEY` and `CKO_PRIVATE_KEY`. */
const ObjectClass = { publicKey: 2, privateKey: 3 } as const

type Attributes = ReadonlyArray<readonly [type: number, value: number | Uint8Array]>

const attributesOf = ({ id, object }: KeyFilter): Attributes => [
  ...(object === undefined ? [] : [[Attribute.label, new TextEncoder().encode(object)] as const]),
  ...(id === undefined ? [] : [[Attribute.id, id] as const])
]

/** A private key that was found. The handle holds for as long as the login does. */
export interface Found {
  readonly handle: Handle
  readonly type: SignatureAlgorithm.KeyType
  /** The token wants the PIN for each signature. */
  readonly isAlwaysAuthenticated: boolean
}

const keyTypeIn = (read: Read): SignatureAlgorithm.KeyType | undefined => {
  const kind = toNumber(read(Attribute.keyType))
  return typeOf(kind, kind === KeyKind.rsa ? undefined : read(Attribute.ecParams))
}

const isTrue = (attribute: Uint8Array | undefined) => attribute !== undefined && attribute[0] !== 0

/** The one private key that fits the filter, and can do the algorithm where one is stated. */
export const find = (
  cryptoki: Cryptoki,
  session: Handle,
  filter: KeyFilter,
  algorithm: Algorithm | undefined
): Found => {
  const select = (objectClass: number) =>
    findObjects(cryptoki, session, [[Attribute.class, objectClass], ...attributesOf(filter)])
  const keys = select(ObjectClass.privateKey).map((handle) => {
    const read: Read = (attribute) => readAttribute(cryptoki, session, handle, attribute)
    return { handle, read, type: keyTypeIn(read) }
  })
  if (keys.length === 0) {
    throw new Refused(select(ObjectClass.publicKey).length === 0 ? keyNotFound : (context) => new KeyNotSigner(context))
  }
  const wanted = algorithm === undefined ? undefined : SignatureAlgorithm.facts[algorithm].keyType
  const fitting = wanted === undefined ? keys : keys.filter(({ type }) => type === wanted)
  const [key] = fitting
  if (key === undefined) {
    throw new Refused(mistaken("algorithm", `${algorithm} needs a ${wanted} key, and the key on the token is another`))
  }
  if (fitting.length > 1) {
    throw new Refused(
      mistaken(
        filter.id === undefined ? "id" : "object",
        `${fitting.length} private keys fit; state both label and id, so that one does`
      )
    )
  }
  const { handle, read, type } = key
  if (type === undefined) {
    throw new Refused(
      (context) =>
        new UnsupportedAlgorithm({ ...context, algorithm: "-", problem: "no algorithm here is for keys of this kind" })
    )
  }
  const sign = read(Attribute.sign)
  if (sign !== undefined && !isTrue(sign)) throw new Refused((context) => new KeyNotSigner(context))
  return { handle, type, isAlwaysAuthenticated: isTrue(read(Attribute.alwaysAuthenticate)) }
}

/**
 * The public half: of the public objects with the same id (or, where the private key
 * has none, the same label), which must agree; else in the attributes of the private
 * key itself. `undefined` where the token does not show it.
 */
export const findPublicKey = Effect.fnUntraced(function* (
  cryptoki: Cryptoki,
  session: Handle,
  { handle, type }: Found
): Effect.fn.Return<PublicKey.PublicKey | undefined, Problem> {
  const readOf =
    (object: Handle): Read =>
    (attribute) =>
      readAttribute(cryptoki, session, object, attribute)
  const readPrivate = readOf(handle)
  const same = yield* attemptCalls((): Attributes => {
    const id = readPrivate(Attribute.id)
    const label = readPrivate(Attribute.label)
    return id?.length ? [[Attribute.id, id]] : label?.length ? [[Attribute.label, label]] : []
  })
  const shown = yield* attemptCalls(() =>
    same.length === 0
      ? []
      : findObjects(cryptoki, session, [[Attribute.class, ObjectClass.publicKey], ...same])
          .map(readOf)
          .filter((read) => keyTypeIn(read) === type)
  )
  const readAll = (reads: ReadonlyArray<Read>) =>
    Effect.map(
      Effect.forEach(reads, (read) => Effect.flatten(attemptCalls(() => decoded(type, read)))),
      (keys) => keys.filter((key) => key !== undefined)
    )
  const [first, ...others] = yield* readAll(shown)
  if (first === undefined) return (yield* readAll([readPrivate]))[0]
  if (others.some((other) => !PublicKey.sameKey(first, other))) {
    return yield* Effect.fail(
      mistaken("id", "public keys that differ have the id of the private key; remove those that are not its own")
    )
  }
  return first
})
