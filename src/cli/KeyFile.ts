/**
 * Keys from files: which key a file holds, whatever its format, and advice where
 * it is not the one a command needs.
 *
 * @category internal
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PrivateKey from "../schemas/PrivateKey.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import type { InvalidConfiguration } from "../schemas/SignerError.ts"
import type { Failure } from "./Failure.ts"
import { failure, ofSigner, shellWord, shownPath } from "./Failure.ts"
import * as FileForm from "./FileForm.ts"
import * as Files from "./Files.ts"
import * as Output from "./Output.ts"
import * as Passphrase from "./Passphrase.ts"

/** A file whose kind is known, and whose key is not read yet. */
export interface KeyFile extends FileForm.FileForm {
  readonly path: string
  /** Permission bits. */
  readonly mode: number | undefined
}

/** Whether others than the owner may read or change a private key. Windows has no such bits. */
const isExposed = (file: KeyFile): boolean =>
  FileForm.isPrivate(file) && file.mode !== undefined && (file.mode & 0o066) !== 0 && process.platform !== "win32"

const exposed = ({ mode, path }: KeyFile): string =>
  `${shownPath(path)}: others may read this private key (mode ${mode!.toString(8).padStart(4, "0")}); ` +
  `take that from them with: chmod 600 ${shellWord(path)}`

/**
 * Reads a file and finds out what it is. Warns where a private key is open to
 * others. The bytes are wiped when the scope ends.
 */
export const open = Effect.fnUntraced(function* (path: string) {
  const { bytes, mode } = yield* Effect.acquireRelease(
    Files.readSmall(path),
    ({ bytes }) => Effect.sync(() => bytes.fill(0)),
    { interruptible: true }
  )
  const file: KeyFile = { ...FileForm.of(bytes), path, mode }
  if (isExposed(file)) yield* Output.warn(exposed(file))
  return file
})

const refuse = (file: KeyFile, sentence: string) =>
  Effect.fail(failure(`${shownPath(file.path)}: ${sentence}`, "WrongFile"))

const inFile =
  (file: KeyFile) =>
  (error: InvalidConfiguration): Failure => {
    const { message, tag } = ofSigner(error)
    return failure(`${shownPath(file.path)}: ${message}`, tag)
  }

// ---------------------------------------------------------------------------
// public keys
// ---------------------------------------------------------------------------

const notAKey: { readonly [K in FileForm.Kind]: (file: KeyFile) => string } = {
  "private key": () => "this is a private key",
  "encrypted private key": () => "this is an encrypted private key",
  "public key": () => "this is a public key",
  "shared secret": () => "this is a shared secret, which belongs into --secret-file of effect-signer webhook",
  signature: () => "this is a signature, not a key",
  "perhaps a signature": () => "this is no key that is known here; perhaps it is a signature",
  "key set": () => "this is a set of keys; write the one you mean into a file of its own",
  "key store": () => "this is a store of keys; see effect-signer keys list --store FILE",
  certificate: ({ path }) =>
    `this is a certificate; write its key into a file with: openssl x509 -in ${shellWord(path)} -noout -pubkey`,
  unknown: ({ format }) =>
    `this is no key that is known here (it is ${format}); known are PEM, JWK, DER and OpenSSH lines`
}

/** The public key in a file that holds one. */
export const publicKey = (file: KeyFile): Effect.Effect<PublicKey.PublicKey, Failure> => {
  if (FileForm.isPrivate(file)) {
    return refuse(
      file,
      "this is a private key, and only the public one belongs here; write it into a file with: " +
        `effect-signer public-key ${shellWord(file.path)} --format pem`
    )
  }
  return file.kind !== "public key" || file.publicKey === undefined
    ? refuse(file, notAKey[file.kind](file))
    : Effect.mapError(file.publicKey, inFile(file))
}

// ---------------------------------------------------------------------------
// private keys
// ---------------------------------------------------------------------------

/** The private key in a file that holds one. It is wiped when the scope ends. */
export const privateKey = Effect.fnUntraced(function* (file: KeyFile, source: Passphrase.Source) {
  const decode = file.privateKey
  if (!FileForm.isPrivate(file) || decode === undefined) {
    return yield* refuse(
      file,
      `${notAKey[file.kind](file)}${file.kind === "public key" ? "; a private key signs" : ""}`
    )
  }
  const isEncrypted = file.kind === "encrypted private key"
  if (!isEncrypted && (source.passphrase || Option.isSome(source.passphraseFile))) {
    // What another program encrypted, and is not read here, says so
    yield* Effect.mapError(Effect.map(decode(undefined), PrivateKey.wipe), inFile(file))
    return yield* refuse(file, "the key is not encrypted; leave the passphrase out")
  }
  const passphrase = isEncrypted ? yield* Passphrase.read(source, { twice: false }) : Option.none()
  if (isEncrypted && Option.isNone(passphrase)) {
    return yield* refuse(file, `the key is encrypted; ${Passphrase.advice}`)
  }
  return yield* Effect.acquireRelease(
    Effect.mapError(decode(Option.getOrUndefined(passphrase)), inFile(file)),
    (key) => Effect.sync(() => PrivateKey.wipe(key)),
    { interruptible: true }
  )
})

/** A private or a public key: what `public-key` and `inspect` take. */
export const anyKey = (file: KeyFile, source: Passphrase.Source) =>
  FileForm.isPrivate(file)
    ? Effect.map(privateKey(file, source), (key) => ({ privateKey: key, publicKey: key.publicKey }))
    : Effect.map(publicKey(file), (key) => ({ privateKey: undefined, publicKey: key }))
