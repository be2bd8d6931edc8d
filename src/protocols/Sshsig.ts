/**
 * SSHSIG, the signatures of `ssh-keygen -Y sign` and of git (OpenSSH
 * `PROTOCOL.sshsig`), made with any Signer whose key SSH has and verified without
 * one.
 *
 * **Details**
 *
 * A signature is for one namespace: `file` is that of files, `git` that of git;
 * name one of your own `what@your.domain`. It holds the public key that made it,
 * which says nothing about who that is: verify with a key that you know, or with a
 * file of allowed signers.
 *
 * | key | algorithm |
 * | --- | --- |
 * | Ed25519 | `Ed25519` |
 * | P-256, P-384, P-521 | `ES256` `ES384` `ES512` |
 * | RSA | `RS512` or `RS256`; never SHA-1 |
 *
 * **Gotchas**
 *
 * Certificates and security keys (`sk-*`) are refused with {@link SshsigError}. A
 * field that the format reserves is taken for what was signed, as it says, and
 * `ssh-keygen` always leaves it empty.
 *
 * **Example** (A signature that `ssh-keygen -Y verify` accepts)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { LocalSigner } from "effect-signer"
 * import * as Sshsig from "effect-signer/Sshsig"
 *
 * const program = Effect.gen(function*() {
 *   const message = new TextEncoder().encode("release 1.0.0")
 *   const signature = yield* Sshsig.sign(message, { namespace: "file" })
 *   return Sshsig.toArmored(signature) // -----BEGIN SSH SIGNATURE-----
 * }).pipe(Effect.provide(LocalSigner.layerGenerated("Ed25519")))
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Schema from "effect/Schema"
import { primitives } from "#primitives"
import { fromBase64 } from "../schemas/BaseEncoding.ts"
import { isBytes } from "../schemas/Bytes.ts"
import { attempt, Malformed, maxInputLength, ownBytes } from "../schemas/Malformed.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import * as SignatureAlgorithm from "../schemas/SignatureAlgorithm.ts"
import type { InvalidConfiguration, SignerError } from "../schemas/SignerError.ts"
import { UnsupportedAlgorithm } from "../schemas/SignerError.ts"
import * as SshMessage from "../schemas/SshMessage.ts"
import * as SshSignature from "../schemas/SshSignature.ts"
import * as SshWire from "../schemas/SshWire.ts"
import { Signer } from "../services/Signer.ts"
import * as Verifier from "../services/Verifier.ts"
import type { AllowedSigner } from "./ssh/AllowedSigners.ts"
import * as AllowedSigners from "./ssh/AllowedSigners.ts"
import { SshsigError } from "./ssh/SshsigError.ts"

export {
  /**
   * A signature, or a file of allowed signers, that cannot be read.
   *
   * @category errors
   * @since 0.1.0
   */
  SshsigError
}

export type {
  /**
   * A line of a file of allowed signers.
   *
   * @category models
   * @since 0.1.0
   */
  AllowedSigner
}

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * The hash of the message.
 *
 * @category models
 * @since 0.1.0
 */
export type HashAlgorithm = "sha256" | "sha512"

const hashes = { sha256: "SHA-256", sha512: "SHA-512" } as const

/**
 * A signature, as it is read and written.
 *
 * @category models
 * @since 0.1.0
 */
export class Sshsig extends Schema.Class<Sshsig>("effect-signer/Sshsig")({
  /** The key that it says has made it. */
  publicKey: Schema.declare(PublicKey.isPublicKey, { identifier: "effect-signer/PublicKey" }),
  namespace: Schema.NonEmptyString,
  hash: Schema.Literals(["sha256", "sha512"]),
  algorithm: SignatureAlgorithm.SignatureAlgorithm,
  /** Raw `r‖s` of ECDSA, as everywhere. */
  bytes: Schema.Uint8Array,
  /** Empty; what a later version of the format may have here is signed, too. */
  reserved: Schema.Uint8Array
}) {}

/** Bytes of a namespace at most. */
const maxNamespaceLength = 1024

const textOf = (bytes: Uint8Array, what: string): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new Malformed("sshsig", `${what} is not UTF-8`)
  }
}

const checkNamespace = (namespace: unknown): string => {
  if (typeof namespace !== "string" || namespace === "")
    throw new Malformed("namespace", "must be text that is not empty")
  if (/\p{Cc}/u.test(namespace) || !namespace.isWellFormed()) {
    throw new Malformed("namespace", "must have no control characters")
  }
  if (new TextEncoder().encode(namespace).length > maxNamespaceLength) {
    throw new Malformed("namespace", `longer than ${maxNamespaceLength} bytes`)
  }
  return namespace
}

const malformed = ({ field, problem }: InvalidConfiguration) => new SshsigError({ field: field ?? "sshsig", problem })

const reading = <A>(read: () => A): Effect.Effect<A, SshsigError> => Effect.mapError(attempt(read), malformed)

/** What is signed. */
const signedData = (
  message: Uint8Array,
  namespace: string,
  hash: HashAlgorithm,
  reserved: Uint8Array = new Uint8Array(0)
) => SshMessage.encodeSshsig(namespace, reserved, hash, primitives.digest(hashes[hash], message))

// ---------------------------------------------------------------------------
// decoding and encoding
// ---------------------------------------------------------------------------

const version = 1

/**
 * Reads the binary form.
 *
 * **Details**
 *
 * Strict: version 1, a namespace, one of the two hashes, a key and a signature of
 * kinds that go together, and nothing after them.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromBytes: (bytes: Uint8Array) => Effect.Effect<Sshsig, SshsigError> = Effect.fnUntraced(function* (
  bytes: Uint8Array
): Effect.fn.Return<Sshsig, SshsigError> {
  const fields = yield* reading(() =>
    SshWire.decode(ownBytes(bytes, "sshsig"), "sshsig", (reader) => {
      if (!SshMessage.startsWithMagic(reader.take(SshMessage.magic.length, "the preamble"))) {
        reader.refuse("it does not begin with SSHSIG")
      }
      if (reader.uint32("the version") !== version) reader.refuse("its version is not 1")
      const key = reader.string("the public key")
      const namespace = checkNamespace(textOf(reader.string("the namespace"), "the namespace"))
      const reserved = reader.string("the reserved field")
      const hash = reader.text("the hash")
      if (hash !== "sha256" && hash !== "sha512") return reader.refuse("its hash is not sha256 or sha512")
      return { key, namespace, reserved, hash: hash as HashAlgorithm, signature: reader.string("the signature") }
    })
  )
  const publicKey = yield* Effect.mapError(SshSignature.keyOfBlob(fields.key, "the public key"), malformed)
  const { algorithm, bytes: signature } = yield* reading(() =>
    SshSignature.decode(fields.signature, publicKey, "the signature")
  )
  const { hash, namespace, reserved } = fields
  return new Sshsig({ publicKey, namespace, hash, algorithm, bytes: signature, reserved })
})

const label = "SSH SIGNATURE"
const armor = new RegExp(
  `^-----BEGIN ${label}-----\\r?\\n((?:[A-Za-z0-9+/]{1,76}={0,2}\\r?\\n)+)-----END ${label}-----(?:\\r?\\n)?$`
)

/**
 * Reads the text form: one block `SSH SIGNATURE` with lines of base64, nothing
 * before it and at most a line end after it.
 *
 * @category decoding
 * @since 0.1.0
 */
export const fromArmored = (text: string): Effect.Effect<Sshsig, SshsigError> =>
  Effect.flatMap(
    reading(() => {
      if (typeof text !== "string" || text.length > maxInputLength) {
        throw new Malformed("sshsig", `expected text of ${maxInputLength} characters at most`)
      }
      const lines = armor.exec(text)?.[1]
      if (lines === undefined) {
        throw new Malformed(
          "sshsig",
          `expected one block -----BEGIN ${label}----- with lines of base64, and nothing else`
        )
      }
      const bytes = fromBase64(lines.replace(/\r?\n/g, ""))
      if (bytes === undefined) throw new Malformed("sshsig", "the lines are not base64 with its exact padding")
      return bytes
    }),
    fromBytes
  )

/**
 * The binary form.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toBytes = (sshsig: Sshsig): Uint8Array =>
  SshWire.concat(
    SshMessage.magic,
    SshWire.uint32(version),
    SshWire.string(SshWire.encodePublicKey(sshsig.publicKey)!),
    SshWire.string(sshsig.namespace),
    SshWire.string(sshsig.reserved),
    SshWire.string(sshsig.hash),
    SshWire.string(SshSignature.encode(sshsig.algorithm, sshsig.bytes))
  )

/**
 * The text form, in lines of 70 characters as `ssh-keygen` writes them, with a
 * line end.
 *
 * @category encoding
 * @since 0.1.0
 */
export const toArmored = (sshsig: Sshsig): string => {
  const lines = Base64.encode(toBytes(sshsig)).match(/.{1,70}/g)!
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n")
}

// ---------------------------------------------------------------------------
// signing
// ---------------------------------------------------------------------------

/**
 * Signs a message for a namespace with the Signer of the environment.
 *
 * **Details**
 *
 * The key is given a short text with the namespace and the hash of the message, so
 * that the message may be of any length. Fails with `UnsupportedAlgorithm` where
 * SSH does not have the algorithm of the Signer, and with {@link SshsigError} for a
 * namespace that is empty.
 *
 * @category signing
 * @since 0.1.0
 */
export const sign = Effect.fnUntraced(function* (
  message: Uint8Array,
  options: {
    readonly namespace: string
    /** Default `"sha512"`, as `ssh-keygen` has it. */
    readonly hash?: HashAlgorithm | undefined
  }
): Effect.fn.Return<Sshsig, SignerError | SshsigError, Signer> {
  const signer = yield* Signer
  const { algorithm, backend, keyId } = signer
  const { hash = "sha512", namespace } = options
  const data = yield* reading(() => {
    checkNamespace(namespace)
    if (!Object.hasOwn(hashes, hash)) throw new Malformed("hash", "must be sha256 or sha512")
    if (!isBytes(message)) throw new Malformed("message", "expected a Uint8Array")
    return signedData(message, namespace, hash)
  })
  if (SignatureAlgorithm.facts[algorithm].ssh === undefined) {
    return yield* new UnsupportedAlgorithm({
      backend,
      keyId,
      operation: "sign",
      algorithm,
      problem: `SSH does not have it; it has ${SshSignature.supported}`
    })
  }
  const signature = yield* signer.sign(data)
  // The key of the version that signed, also where the key was rotated in between
  const publicKey = yield* signer.publicKey(signature.keyVersion)
  return new Sshsig({
    publicKey,
    namespace,
    hash,
    algorithm,
    bytes: signature.bytes,
    reserved: new Uint8Array(0)
  })
})

// ---------------------------------------------------------------------------
// verification
// ---------------------------------------------------------------------------

/**
 * A signature in any of its forms.
 *
 * @category models
 * @since 0.1.0
 */
export type Input = Sshsig | string | Uint8Array

const read = (signature: Input): Effect.Effect<Sshsig, SshsigError> =>
  signature instanceof Sshsig
    ? Effect.succeed(signature)
    : typeof signature === "string"
      ? fromArmored(signature)
      : fromBytes(signature)

/** Whether the signature is by the key that it holds. */
const isSound = (message: Uint8Array, { algorithm, bytes, hash, namespace, publicKey, reserved }: Sshsig) =>
  isBytes(message)
    ? Verifier.verify(publicKey, signedData(message, namespace, hash, reserved), bytes, {
        algorithm
      }).pipe(
        // This runtime cannot verify it: that is not an answer
        Effect.mapError(({ message }) => new SshsigError({ field: "algorithm", problem: message }))
      )
    : Effect.succeed(false)

/**
 * Whether a signature is by a key that you know, over this message and for this
 * namespace.
 *
 * **Details**
 *
 * `true` or `false` and nothing more. Fails with {@link SshsigError} where the
 * signature cannot be read. An RSA key that states its algorithm accepts no other.
 *
 * @category verification
 * @since 0.1.0
 */
export const verify = Effect.fnUntraced(function* (
  message: Uint8Array,
  signature: Input,
  options: { readonly publicKey: PublicKey.PublicKey; readonly namespace: string }
): Effect.fn.Return<boolean, SshsigError> {
  const sshsig = yield* read(signature)
  const { algorithm } = options.publicKey
  return (
    sshsig.namespace === options.namespace &&
    PublicKey.sameKey(sshsig.publicKey, options.publicKey) &&
    (algorithm === undefined || algorithm === sshsig.algorithm) &&
    (yield* isSound(message, sshsig))
  )
})

// ---------------------------------------------------------------------------
// allowed signers
// ---------------------------------------------------------------------------

/**
 * Reads a file of allowed signers (ssh-keygen(1), ALLOWED SIGNERS).
 *
 * **Details**
 *
 * Each line is principals, options (`namespaces=`, `valid-after=`,
 * `valid-before=`), a key and maybe a comment. Times without `Z` are of this
 * machine's time zone. A line that cannot be read fails the whole file with its
 * number: a limit that is not understood must not be passed over.
 *
 * **Gotchas**
 *
 * `cert-authority` is refused: certificates are not verified here. A line with a
 * security key (`sk-*`) or another kind of key that is not supported allows
 * nothing, and is passed over.
 *
 * @category decoding
 * @since 0.1.0
 */
export const parseAllowedSigners: (text: string) => Effect.Effect<ReadonlyArray<AllowedSigner>, SshsigError> =
  AllowedSigners.parse

/** A time that is none, as of a date that could not be read, would be within every limit. */
const timeOf = (at: number | undefined): Effect.Effect<number, SshsigError> =>
  at === undefined
    ? Clock.currentTimeMillis
    : Number.isFinite(at)
      ? Effect.succeed(at)
      : Effect.fail(new SshsigError({ field: "at", problem: "must be a number of milliseconds since 1970" }))

/**
 * Whether a signature is by somebody: by a key that the allowed signers give to
 * this principal for this namespace, now or at another time.
 *
 * @category verification
 * @since 0.1.0
 */
export const verifyPrincipal = Effect.fnUntraced(function* (
  message: Uint8Array,
  signature: Input,
  options: {
    readonly allowedSigners: ReadonlyArray<AllowedSigner>
    /** `release@example.com` */
    readonly principal: string
    readonly namespace: string
    /** When a key had to be valid, in milliseconds since 1970. Default: now, by Effect's clock. */
    readonly at?: number | undefined
  }
): Effect.fn.Return<boolean, SshsigError> {
  const sshsig = yield* read(signature)
  const at = yield* timeOf(options.at)
  return (
    sshsig.namespace === options.namespace &&
    options.allowedSigners.some(
      (allowed) =>
        AllowedSigners.permits(allowed, sshsig.publicKey, sshsig.namespace, at) &&
        AllowedSigners.isPrincipal(allowed, options.principal)
    ) &&
    (yield* isSound(message, sshsig))
  )
})

/**
 * Who a signature may be by: the principals, or patterns, of the lines that have
 * its key for its namespace. Like `ssh-keygen -Y find-principals`.
 *
 * **Gotchas**
 *
 * Nothing is verified: the signature only says which key to look for. Ask
 * {@link verifyPrincipal} next.
 *
 * @category verification
 * @since 0.1.0
 */
export const findPrincipals = Effect.fnUntraced(function* (
  signature: Input,
  options: { readonly allowedSigners: ReadonlyArray<AllowedSigner>; readonly at?: number | undefined }
): Effect.fn.Return<ReadonlyArray<string>, SshsigError> {
  const sshsig = yield* read(signature)
  const at = yield* timeOf(options.at)
  return options.allowedSigners
    .filter((allowed) => AllowedSigners.permits(allowed, sshsig.publicKey, sshsig.namespace, at))
    .map(({ principals }) => principals)
})
