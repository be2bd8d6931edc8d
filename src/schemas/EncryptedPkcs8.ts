/**
 * `EncryptedPrivateKeyInfo` (RFC 5958 section 3) with PBES2 (RFC 8018 section
 * 6.2): PKCS#8 under a passphrase, in PEM the block `ENCRYPTED PRIVATE KEY`.
 *
 * Reads PBKDF2 with HMAC-SHA-1, -256, -384 or -512, and scrypt (RFC 7914); and
 * AES-CBC with 128, 192 or 256 bits. Writes PBKDF2-HMAC-SHA-256 and AES-256-CBC,
 * which `openssl pkey` opens. The work that a file may ask for is bounded.
 *
 * @category internal
 */
import * as Hex from "effect/encoding/Hex"
import * as Effect from "effect/Effect"
import { primitives } from "#primitives"
import { fromHex } from "./BaseEncoding.ts"
import * as Der from "./Der.ts"
import { attempt, invalid, Malformed } from "./Malformed.ts"
import type { InvalidConfiguration } from "./SignerError.ts"

const field = "pkcs8"

/** PBKDF2 iterations that we write (OWASP's minimum for HMAC-SHA-256), and that we read at most. */
const iterations = 600_000
const maxIterations = 10_000_000

/** Memory and work of scrypt at most: 128 * N * r * p bytes. */
const maxScrypt = 256 * 1024 * 1024

// OBJECT IDENTIFIER contents, in hex
const pbes2 = "2a864886f70d01050d"
const pbkdf2 = "2a864886f70d01050c"
const scrypt = "2b06010401da47040b"
const hmacSha256 = "2a864886f70d0209"
const aes256Cbc = "60864801650304012a"

/** RFC 8018 appendix B.1. */
const prfs: ReadonlyMap<string, "SHA-256" | "SHA-384" | "SHA-512"> = new Map([
  [hmacSha256, "SHA-256"],
  ["2a864886f70d020a", "SHA-384"],
  ["2a864886f70d020b", "SHA-512"]
] as const)

/** Key bytes of AES in CBC mode (RFC 8018 appendix B.2.5). */
const ciphers: ReadonlyMap<string, number> = new Map([
  ["608648016503040102", 16],
  ["608648016503040116", 24],
  [aes256Cbc, 32]
])

/** Names of what is not supported. */
const foreign: ReadonlyMap<string, string> = new Map([
  ["2a864886f70d010501", "PBES1 with MD2 and DES"],
  ["2a864886f70d010503", "PBES1 with MD5 and DES"],
  ["2a864886f70d010504", "PBES1 with MD2 and RC2"],
  ["2a864886f70d010506", "PBES1 with MD5 and RC2"],
  ["2a864886f70d01050a", "PBES1 with SHA-1 and DES"],
  ["2a864886f70d01050b", "PBES1 with SHA-1 and RC2"],
  ["2a864886f70d010c0101", "PKCS#12 with RC4"],
  ["2a864886f70d010c0102", "PKCS#12 with RC4"],
  ["2a864886f70d010c0103", "PKCS#12 with triple DES"],
  ["2a864886f70d010c0104", "PKCS#12 with triple DES"],
  ["2a864886f70d010c0105", "PKCS#12 with RC2"],
  ["2a864886f70d010c0106", "PKCS#12 with RC2"],
  ["2a864886f70d0302", "RC2-CBC"],
  ["2a864886f70d0307", "triple DES in CBC mode"],
  ["2b0e030207", "DES-CBC"],
  ["608648016503040106", "AES-128-GCM"],
  ["60864801650304011a", "AES-192-GCM"],
  ["60864801650304012e", "AES-256-GCM"],
  ["2a864886f70d0208", "HMAC-SHA-224"],
  ["2a864886f70d020c", "HMAC-SHA-512/224"],
  ["2a864886f70d020d", "HMAC-SHA-512/256"],
  ["60864801650304020d", "HMAC-SHA3-224"],
  ["60864801650304020e", "HMAC-SHA3-256"],
  ["60864801650304020f", "HMAC-SHA3-384"],
  ["608648016503040210", "HMAC-SHA3-512"]
])

interface Parameters {
  readonly derivation:
    | { readonly _tag: "pbkdf2"; readonly salt: Uint8Array; readonly iterations: number; readonly hash: string }
    | { readonly _tag: "scrypt"; readonly salt: Uint8Array; readonly N: number; readonly r: number; readonly p: number }
  readonly keyLength: number
  readonly iv: Uint8Array
  readonly data: Uint8Array
}

const advice = "convert the key with: openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256"

const unsupported = (reader: Der.Reader, what: string, oid: string): never =>
  reader.refuse(`${what} ${foreign.get(oid) ?? "of this kind"} is not supported; ${advice}`)

const oidOf = (reader: Der.Reader, what: string) => Hex.encode(reader.content(Der.Tag.oid, what))

const saltOf = (reader: Der.Reader): Uint8Array => {
  const salt = reader.octetString("the salt")
  // RFC 8018 section 4.1
  return salt.length >= 8 && salt.length <= 1024 ? salt : reader.refuse("the salt must have 8 to 1024 bytes")
}

/** The optional keyLength, which is the cipher's where it is stated. */
const keyLengthOf = (reader: Der.Reader): number | undefined =>
  reader.peek() === Der.Tag.integer ? reader.number("the key length") : undefined

/** RFC 8018 appendix A.2. */
const decodePbkdf2 = (reader: Der.Reader) =>
  reader.sequence("the PBKDF2 parameters", (parameters) => {
    const salt = saltOf(parameters)
    const count = parameters.number("the iteration count")
    if (count < 1 || count > maxIterations) parameters.refuse(`the iteration count must be 1 to ${maxIterations}`)
    const keyLength = keyLengthOf(parameters)
    const hash =
      parameters.peek() === undefined
        ? "SHA-1" // the DEFAULT, which DER never writes
        : parameters.sequence("the PRF", (prf) => {
            const oid = oidOf(prf, "the PRF")
            prf.null("the PRF's parameters")
            if (oid === "2a864886f70d0207") prf.refuse("the default PRF is written out: this is BER, DER is needed")
            return prfs.get(oid) ?? unsupported(prf, "the PRF", oid)
          })
    return { derivation: { _tag: "pbkdf2", salt, iterations: count, hash } as const, keyLength }
  })

/** RFC 7914 section 7. */
const decodeScrypt = (reader: Der.Reader) =>
  reader.sequence("the scrypt parameters", (parameters) => {
    const salt = saltOf(parameters)
    const N = parameters.number("the cost")
    const r = parameters.number("the block size")
    const p = parameters.number("the parallelization")
    if (!(N > 1) || Math.log2(N) % 1 !== 0 || r < 1 || p < 1 || !(128 * N * r * p <= maxScrypt)) {
      parameters.refuse("the scrypt cost must be a power of 2, and 128 * N * r * p at most 256 MiB")
    }
    return { derivation: { _tag: "scrypt", salt, N, r, p } as const, keyLength: keyLengthOf(parameters) }
  })

const decode = (der: Uint8Array): Parameters =>
  Der.decode(der, field, (reader) =>
    reader.sequence("the EncryptedPrivateKeyInfo", (info) => {
      if (info.peek() === Der.Tag.integer) {
        info.refuse("it is not encrypted, and a passphrase is given; leave the passphrase out")
      }
      const parameters = info.sequence("the encryption algorithm", (algorithm) => {
        const scheme = oidOf(algorithm, "the encryption algorithm")
        if (scheme !== pbes2) unsupported(algorithm, "the encryption", scheme)
        return algorithm.sequence("the PBES2 parameters", (inner) => {
          const derived = inner.sequence("the key derivation", (derivation) => {
            const oid = oidOf(derivation, "the key derivation")
            return oid === pbkdf2
              ? decodePbkdf2(derivation)
              : oid === scrypt
                ? decodeScrypt(derivation)
                : unsupported(derivation, "a key derivation", oid)
          })
          return inner.sequence("the cipher", (cipher) => {
            const oid = oidOf(cipher, "the cipher")
            const keyLength = ciphers.get(oid) ?? unsupported(cipher, "the cipher", oid)
            if (derived.keyLength !== undefined && derived.keyLength !== keyLength) {
              cipher.refuse("the key length is not that of the cipher")
            }
            const iv = cipher.octetString("the initialization vector")
            if (iv.length !== 16) cipher.refuse("the initialization vector must have 16 bytes")
            return { derivation: derived.derivation, keyLength, iv }
          })
        })
      })
      const data = info.octetString("the encrypted data")
      if (data.length === 0 || data.length % 16 !== 0) info.refuse("the encrypted data is not whole AES blocks")
      return { ...parameters, data }
    })
  )

/** A buffer that is nobody else's, as WebCrypto's types want it. */
const own = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes)

/** The UTF-8 of a passphrase, in a buffer that the caller wipes. */
export const passphraseBytes = (passphrase: string): Uint8Array<ArrayBuffer> => {
  if (passphrase.length === 0) throw new Malformed("passphrase", "it is empty")
  if (passphrase.length > 1024) throw new Malformed("passphrase", "longer than 1024 characters")
  // A lone surrogate has no UTF-8, and would be read as any other one
  if (!passphrase.isWellFormed()) throw new Malformed("passphrase", "it is not well-formed Unicode")
  return new TextEncoder().encode(passphrase)
}

const deriveBytes = async (
  passphrase: Uint8Array<ArrayBuffer>,
  { derivation, keyLength }: Pick<Parameters, "derivation" | "keyLength">
): Promise<Uint8Array<ArrayBuffer>> => {
  if (derivation._tag === "scrypt") {
    const { scryptAsync } = await import("@noble/hashes/scrypt.js")
    const { N, p, r, salt } = derivation
    return own(await scryptAsync(passphrase, salt, { N, r, p, dkLen: keyLength, maxmem: 2 * maxScrypt }))
  }
  const { hash, iterations, salt } = derivation
  const { subtle } = globalThis.crypto
  const base = await subtle.importKey("raw", passphrase, "PBKDF2", false, ["deriveBits"])
  const parameters = { name: "PBKDF2", salt: own(salt), iterations, hash }
  return new Uint8Array(await subtle.deriveBits(parameters, base, 8 * keyLength))
}

const deriveKey = async (
  passphrase: Uint8Array<ArrayBuffer>,
  parameters: Pick<Parameters, "derivation" | "keyLength">,
  usage: "encrypt" | "decrypt"
): Promise<CryptoKey> => {
  const bytes = await deriveBytes(passphrase, parameters)
  try {
    return await globalThis.crypto.subtle.importKey("raw", bytes, "AES-CBC", false, [usage])
  } finally {
    bytes.fill(0)
  }
}

const withKey = <A>(
  passphrase: string,
  parameters: Pick<Parameters, "derivation" | "keyLength">,
  usage: "encrypt" | "decrypt",
  use: (key: CryptoKey) => Effect.Effect<A, InvalidConfiguration>
): Effect.Effect<A, InvalidConfiguration> =>
  attempt(() => passphraseBytes(passphrase)).pipe(
    Effect.flatMap((bytes) =>
      Effect.tryPromise({
        try: () => deriveKey(bytes, parameters, usage),
        catch: () => invalid(field, "this runtime's WebCrypto cannot derive the key of this encryption")
      }).pipe(Effect.ensuring(Effect.sync(() => bytes.fill(0))))
    ),
    Effect.flatMap(use)
  )

const isSequence = (bytes: Uint8Array): boolean => {
  try {
    Der.decode(bytes, field, (reader) => reader.element(Der.Tag.sequence, "the PrivateKeyInfo"))
    return true
  } catch {
    return false
  }
}

/** The PKCS#8 inside, in new bytes that the caller wipes. */
export const decrypt = (der: Uint8Array, passphrase: string): Effect.Effect<Uint8Array, InvalidConfiguration> =>
  Effect.flatMap(
    attempt(() => decode(der)),
    (parameters) =>
      withKey(passphrase, parameters, "decrypt", (key) => {
        const wrong = invalid("passphrase", "it is wrong, or the encrypted key is damaged")
        const algorithm = { name: "AES-CBC", iv: own(parameters.iv) }
        return Effect.tryPromise({
          try: () => globalThis.crypto.subtle.decrypt(algorithm, key, own(parameters.data)),
          catch: () => wrong
        }).pipe(
          Effect.map((plain) => new Uint8Array(plain)),
          // One wrong key in 256 leaves a padding that looks right
          Effect.filterOrFail(isSequence, () => wrong)
        )
      })
  )

const oid = (hex: string) => Der.encode(Der.Tag.oid, fromHex(hex)!)

/** Encrypts PKCS#8. */
export const encrypt = (pkcs8: Uint8Array, passphrase: string): Effect.Effect<Uint8Array, InvalidConfiguration> =>
  Effect.suspend(() => {
    const salt = primitives.randomBytes(16)
    const iv = primitives.randomBytes(16)
    const derivation = { _tag: "pbkdf2", salt, iterations, hash: "SHA-256" } as const
    return withKey(passphrase, { derivation, keyLength: 32 }, "encrypt", (key) =>
      Effect.promise(() => globalThis.crypto.subtle.encrypt({ name: "AES-CBC", iv: own(iv) }, key, own(pkcs8)))
    ).pipe(
      Effect.map((data) =>
        Der.sequence(
          Der.sequence(
            oid(pbes2),
            Der.sequence(
              Der.sequence(
                oid(pbkdf2),
                Der.sequence(
                  Der.octetString(salt),
                  Der.number(iterations),
                  Der.sequence(oid(hmacSha256), Der.encode(Der.Tag.null))
                )
              ),
              Der.sequence(oid(aes256Cbc), Der.octetString(iv))
            )
          ),
          Der.octetString(new Uint8Array(data))
        )
      )
    )
  })
