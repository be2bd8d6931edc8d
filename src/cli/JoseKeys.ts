/**
 * Keys of the commands `jws`, `jwt`, `http` and `webhook`: a signer to sign with, and the keys of
 * whoever may have signed.
 *
 * @category internal
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as LocalSigner from "../layers/LocalSigner.ts"
import type * as HttpSignature from "../protocols/HttpSignature.ts"
import type * as Jws from "../protocols/Jws.ts"
import type { JwtInvalid } from "../protocols/Jwt.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import * as KeyResolver from "../services/KeyResolver.ts"
import * as AlgorithmFlag from "./AlgorithmFlag.ts"
import type { Failure } from "./Failure.ts"
import { Concluded, exitCodes, fail, failure, ofSigner, plain, shownPath } from "./Failure.ts"
import * as FileForm from "./FileForm.ts"
import * as Files from "./Files.ts"
import * as KeyFile from "./KeyFile.ts"
import * as Output from "./Output.ts"
import * as Passphrase from "./Passphrase.ts"
import * as SignerSource from "./SignerSource.ts"

const key = (description: string) =>
  Flag.String("key").pipe(
    Flag.withAlias("k"),
    Flag.withMetavar("FILE"),
    Flag.withDescription(description),
    Flag.optional
  )

const alg = AlgorithmFlag.make("The algorithm; needed where the key allows several: RSA and secp256k1").pipe(
  Flag.optional
)

// ---------------------------------------------------------------------------
// signing
// ---------------------------------------------------------------------------

/** The flags of commands that sign. */
export const signFlags = {
  key: key("The private key: PEM, JWK, DER or an encrypted key file, or - for standard input"),
  ...SignerSource.flags,
  alg,
  kid: Flag.String("kid").pipe(
    Flag.withMetavar("TEXT"),
    Flag.withDescription("How the header names the key. Default: its RFC 7638 thumbprint"),
    Flag.optional
  ),
  ed25519: Flag.Literals("ed25519", ["EdDSA", "Ed25519"]).pipe(
    Flag.withDescription("What the header says of an Ed25519 key. Default: EdDSA"),
    Flag.optional
  ),
  ...Passphrase.flags
}

/** What these flags say. */
export interface SignSource extends SignerSource.Source, Passphrase.Source {
  readonly key: Option.Option<string>
  readonly alg: Option.Option<string>
}

/**
 * The signer that is stated, in the scope of the command. `input` is the file that is signed. `purpose` is what a key
 * in a file is used for, which it does not say itself; a signer has its own in its configuration.
 */
export const openSigner = Effect.fnUntraced(function* (source: SignSource, input: string, purpose?: string) {
  yield* SignerSource.checkOne(source, source.key, "--key FILE")
  if (SignerSource.isStated(source)) {
    yield* SignerSource.refuseFlags({
      "--alg": Option.isSome(source.alg),
      "--passphrase": source.passphrase,
      "--passphrase-file": Option.isSome(source.passphraseFile)
    })
  }
  yield* Files.checkInputs(
    [...Option.toArray(source.key), ...SignerSource.inputs(source), input, ...Passphrase.inputs(source)],
    { asksPassphrase: source.passphrase }
  )
  if (Option.isNone(source.key)) return yield* SignerSource.open(source)
  const algorithm = yield* AlgorithmFlag.readOptional(source.alg)
  const privateKey = yield* KeyFile.privateKey(yield* KeyFile.open(source.key.value), source)
  return yield* Effect.mapError(LocalSigner.make({ privateKey, algorithm, purpose }), ofSigner)
})

// ---------------------------------------------------------------------------
// verifying
// ---------------------------------------------------------------------------

/** The flags of commands that verify. */
export const verifyFlags = {
  key: key("The one public key: PEM, JWK, DER or an OpenSSH line, whatever name is stated for it"),
  ...SignerSource.flags,
  jwks: Flag.String("jwks").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("The public keys, as a JWK Set: what is verified names one of them"),
    Flag.optional
  ),
  alg: AlgorithmFlag.make("The algorithm to accept; needed for RSA and secp256k1 keys that state none").pipe(
    Flag.optional
  )
}

/** What these flags say. */
export interface VerifySource extends SignerSource.Source {
  readonly key: Option.Option<string>
  readonly jwks: Option.Option<string>
  readonly alg: Option.Option<string>
}

/** One key, whatever name is stated for it. */
const only = (publicKey: PublicKey.PublicKey) => {
  const thumbprint = PublicKey.thumbprint(publicKey)
  return KeyResolver.KeyResolver.of({
    resolve: ({ keyId }) => Effect.succeed({ publicKey, keyId: keyId ?? thumbprint })
  })
}

/** Checks that the keys are stated once, and all inputs before any is read. `inputs` are the other files. */
export const checkKeys = Effect.fnUntraced(function* (source: VerifySource, inputs: ReadonlyArray<string>) {
  const stated = [source.key, source.jwks, source.config, source.signerEnv].filter(Option.isSome)
  if (stated.length !== 1) {
    return yield* fail("state the keys once, with --key FILE or --jwks FILE, or --config FILE or --signer-env PREFIX")
  }
  if (SignerSource.isStated(source)) yield* SignerSource.refuseFlags({ "--alg": Option.isSome(source.alg) })
  const paths = [...Option.toArray(source.key), ...Option.toArray(source.jwks), ...SignerSource.inputs(source)]
  yield* Files.checkInputs([...paths, ...inputs], { asksPassphrase: false })
})

/** The bytes of a JWK Set. */
export const readJwks = Effect.fnUntraced(function* (path: string) {
  const { bytes } = yield* Files.readSmall(path)
  return FileForm.of(bytes).format === "JWK"
    ? yield* fail(
        `${shownPath(path)}: this is a single JWK, not a set of them; write it as {"keys": [JWK]}, or state it with --key`
      )
    : bytes
})

/** The public key of the signer that is stated, with its algorithm. */
export const ofStatedSigner = Effect.fnUntraced(function* (source: SignerSource.Source) {
  const signer = yield* SignerSource.open(source)
  const current = yield* Effect.mapError(signer.publicKey(), ofSigner)
  const publicKey = yield* Effect.mapError(PublicKey.withAlgorithm(current, signer.algorithm), ofSigner)
  return { publicKey, purpose: signer.purpose }
})

/** The keys that are stated. `inputs` are the other files that are read. */
export const openResolver = Effect.fnUntraced(function* (source: VerifySource, inputs: ReadonlyArray<string>) {
  yield* checkKeys(source, inputs)
  const algorithm = yield* AlgorithmFlag.readOptional(source.alg)
  if (Option.isSome(source.jwks)) {
    const path = source.jwks.value
    return yield* Effect.mapError(
      KeyResolver.fromJwks(yield* readJwks(path), { algorithms: algorithm === undefined ? undefined : [algorithm] }),
      (error) => failure(plain(`${shownPath(path)}: ${error.message}`), error._tag)
    )
  }
  if (Option.isNone(source.key)) return only((yield* ofStatedSigner(source)).publicKey)
  const found = yield* Effect.flatMap(KeyFile.open(source.key.value), KeyFile.publicKey)
  const publicKey = yield* PublicKey.resolveAlgorithm(found, algorithm).pipe(
    Effect.flatMap((algorithm) => PublicKey.withAlgorithm(found, algorithm)),
    Effect.mapError(ofSigner)
  )
  return only(publicKey)
})

/** Why a token or a message is not accepted. */
export type Refusal = Jws.VerifyError | JwtInvalid | HttpSignature.VerifyError

const ours: ReadonlySet<Refusal["_tag"]> = new Set<Refusal["_tag"]>([
  "UnsupportedAlgorithm",
  "KeysUnavailable",
  "RevocationStale",
  "InvalidConfiguration"
])

/** Whether it is the token that is refused, and not the keys that cannot be asked. */
export const isRefusal = (error: Refusal): boolean => !ours.has(error._tag)

/** Says that it is not valid, and why, and ends the command with 1. `report` is what `--json` says beside that. */
export const refuse = Effect.fnUntraced(function* (report: Output.Report & { readonly reason: string }, why: string) {
  if (yield* Output.Json) yield* Output.print({ valid: false, ...report })
  else {
    yield* Output.write("invalid\n")
    yield* Output.note(`effect-signer: ${plain(why)}`)
  }
  return yield* new Concluded({ exitCode: exitCodes.invalidSignature })
})

/** Ends a command whose token is refused with 1, and one that cannot tell with 2. */
export const conclude = Effect.fnUntraced(function* (error: Refusal) {
  if (!isRefusal(error)) return yield* failure(plain(error.message), error._tag)
  return yield* refuse({ reason: "reason" in error ? error.reason : error._tag }, error.message)
})

/** The text of a token in a file; one line end may follow it. */
export const tokenIn = (bytes: Uint8Array): Effect.Effect<string, Failure> => {
  const text = Files.toText(bytes)?.replace(/\r?\n$/, "")
  return text === undefined ? fail("the token is not text") : Effect.succeed(text)
}
