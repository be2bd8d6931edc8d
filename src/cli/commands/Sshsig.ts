/**
 * `effect-signer sshsig sign` and `effect-signer sshsig verify`
 *
 * @category internal
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as LocalSigner from "../../layers/LocalSigner.ts"
import * as Sshsig from "../../protocols/Sshsig.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import { Signer } from "../../services/Signer.ts"
import * as AlgorithmFlag from "../AlgorithmFlag.ts"
import { Concluded, exitCodes, fail, failure, ofSigner, plain, shownPath } from "../Failure.ts"
import * as FileForm from "../FileForm.ts"
import * as Files from "../Files.ts"
import * as KeyFile from "../KeyFile.ts"
import * as Message from "../Message.ts"
import * as Output from "../Output.ts"
import * as Passphrase from "../Passphrase.ts"
import * as OutputFile from "../OutputFile.ts"
import * as SignerSource from "../SignerSource.ts"

const namespace = Flag.String("namespace").pipe(
  Flag.withAlias("n"),
  Flag.withMetavar("NAME"),
  Flag.withDescription("What the signature is good for: file, git, or a name of your own. Default: file"),
  Flag.withDefault("file")
)

const ofSshsig = (error: Sshsig.SshsigError) => failure(plain(error.message), error._tag)

// ---------------------------------------------------------------------------
// sign
// ---------------------------------------------------------------------------

/** A signer with a key in a file. Of the two algorithms of RSA it takes the one that `ssh-keygen` takes. */
const signerOf = Effect.fnUntraced(function* (
  path: string,
  asked: SignatureAlgorithm | undefined,
  source: Passphrase.Source
) {
  const privateKey = yield* KeyFile.privateKey(yield* KeyFile.open(path), source)
  const algorithm = asked ?? privateKey.algorithm ?? (privateKey.type === "RSA" ? "RS512" : undefined)
  return yield* Effect.mapError(LocalSigner.make({ privateKey, algorithm }), ofSigner)
})

const sign = Command.make(
  "sign",
  {
    message: Message.argument,
    key: Flag.String("key").pipe(
      Flag.withAlias("k"),
      Flag.withMetavar("FILE"),
      Flag.withDescription("The private key: PEM, JWK or DER, or - for standard input"),
      Flag.optional
    ),
    ...SignerSource.flags,
    alg: AlgorithmFlag.make("RS512 or RS256, for RSA keys. Default: RS512").pipe(Flag.optional),
    namespace,
    hash: Flag.Literals("hash", ["sha512", "sha256"]).pipe(
      Flag.withDescription("The hash of the message. Default: sha512"),
      Flag.withDefault("sha512" as const)
    ),
    ...OutputFile.flags,
    ...Passphrase.flags
  },
  Effect.fnUntraced(function* ({ alg, force, hash, key, message: messageFile, namespace, out, ...source }) {
    yield* SignerSource.checkOne(source, key, "--key FILE")
    if (SignerSource.isStated(source)) {
      yield* SignerSource.refuseFlags({
        "--alg": Option.isSome(alg),
        "--passphrase": source.passphrase,
        "--passphrase-file": Option.isSome(source.passphraseFile)
      })
    }
    const inputs = {
      "--key": Option.getOrUndefined(key),
      "--config": Option.getOrUndefined(source.config),
      "the message file": Message.pathOf(messageFile),
      "--passphrase-file": Option.getOrUndefined(source.passphraseFile)
    }
    yield* Files.checkInputs(
      Object.values(inputs).filter((path) => path !== undefined),
      { asksPassphrase: source.passphrase }
    )
    const path = Option.getOrElse(out, () => "-")
    if (path !== "-" && force) {
      yield* Files.checkReplaceable(path, inputs, (bytes) => FileForm.isPrecious(FileForm.of(bytes)))
    }
    const signer = Option.isNone(key)
      ? yield* SignerSource.open(source)
      : yield* signerOf(key.value, yield* AlgorithmFlag.readOptional(alg), source)
    const message = yield* Message.read(messageFile, source.passphrase)
    const sshsig = yield* Sshsig.sign(message, { namespace, hash }).pipe(
      Effect.provideService(Signer, signer),
      Effect.mapError((error) => (error._tag === "SshsigError" ? ofSshsig(error) : ofSigner(error)))
    )
    const armored = Sshsig.toArmored(sshsig)
    const report = {
      algorithm: sshsig.algorithm,
      fingerprint: PublicKey.sshFingerprint(sshsig.publicKey),
      namespace,
      hash
    }
    if (path === "-") {
      return yield* (yield* Output.Json) ? Output.print({ signature: armored, ...report }) : Output.write(armored)
    }
    const file = { path, bytes: new TextEncoder().encode(armored), mode: 0o644 }
    yield* force ? Files.replace(file) : Files.writeNew([file])
    yield* Output.print({ signatureFile: path, ...report })
  }, Effect.scoped)
).pipe(
  Command.withDescription("Sign a file, or what comes on standard input, as ssh-keygen -Y sign does."),
  Command.withShortDescription("Sign as ssh-keygen -Y sign does"),
  Command.withExamples([
    {
      command: "effect-signer sshsig sign --key release.pem app.tar.gz --out app.tar.gz.sig",
      description: "A signature that ssh-keygen -Y verify -n file accepts"
    },
    {
      command: "effect-signer sshsig sign --config release.json --namespace release@example.com app.tar.gz",
      description: "A key of any backend, and a namespace of your own"
    }
  ])
)

// ---------------------------------------------------------------------------
// verify
// ---------------------------------------------------------------------------

const textOf = (path: string, what: string) =>
  Effect.flatMap(Files.readAll(path), (bytes) => {
    const text = Files.toText(bytes)
    return text === undefined ? fail(`${shownPath(path)}: ${what} is UTF-8 text`) : Effect.succeed(text)
  })

const verify = Command.make(
  "verify",
  {
    message: Message.argument,
    signatureFile: Flag.String("signature-file").pipe(
      Flag.withAlias("s"),
      Flag.withMetavar("FILE"),
      Flag.withDescription("The signature in a file, or - for standard input")
    ),
    key: Flag.String("key").pipe(
      Flag.withAlias("k"),
      Flag.withMetavar("FILE"),
      Flag.withDescription("The public key: PEM, JWK, DER or an OpenSSH line, or - for standard input"),
      Flag.optional
    ),
    allowedSigners: Flag.String("allowed-signers").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Who may sign with which keys, instead of one key: see ssh-keygen(1), ALLOWED SIGNERS"),
      Flag.optional
    ),
    principal: Flag.String("principal").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Who it must be by, as --allowed-signers names them: release@example.com"),
      Flag.optional
    ),
    namespace
  },
  Effect.fnUntraced(function* ({ allowedSigners, key, message: messageFile, namespace, principal, signatureFile }) {
    if (
      Option.isSome(key) === Option.isSome(allowedSigners) ||
      Option.isSome(allowedSigners) !== Option.isSome(principal)
    ) {
      return yield* fail("state --key FILE, or --allowed-signers FILE and --principal NAME")
    }
    yield* Files.checkInputs(
      [...Option.toArray(key), ...Option.toArray(allowedSigners), Message.pathOf(messageFile), signatureFile],
      { asksPassphrase: false }
    )
    const publicKey = Option.isSome(key) ? yield* Effect.flatMap(KeyFile.open(key.value), KeyFile.publicKey) : undefined
    const allowed = Option.isSome(allowedSigners)
      ? yield* Effect.mapError(
          Effect.flatMap(textOf(allowedSigners.value, "a file of allowed signers"), Sshsig.parseAllowedSigners),
          (error) => (error._tag === "SshsigError" ? ofSshsig(error) : error)
        )
      : []
    const sshsig = yield* Effect.mapError(
      Effect.flatMap(textOf(signatureFile, "a signature"), Sshsig.fromArmored),
      (error) => (error._tag === "SshsigError" ? ofSshsig(error) : error)
    )
    const message = yield* Message.read(messageFile)
    const valid = yield* Effect.mapError(
      publicKey === undefined
        ? Sshsig.verifyPrincipal(message, sshsig, {
            allowedSigners: allowed,
            principal: Option.getOrElse(principal, () => ""),
            namespace
          })
        : Sshsig.verify(message, sshsig, { publicKey, namespace }),
      ofSshsig
    )
    yield* (yield* Output.Json)
      ? Output.print({
          valid,
          algorithm: sshsig.algorithm,
          fingerprint: PublicKey.sshFingerprint(sshsig.publicKey),
          namespace: sshsig.namespace
        })
      : Output.write(valid ? "valid\n" : "invalid\n")
    if (!valid) return yield* new Concluded({ exitCode: exitCodes.invalidSignature })
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Verify a signature of ssh-keygen -Y sign, of git or of sshsig sign. Prints valid or invalid; exits with 0 where it " +
      "is valid, 1 where it is not, and 2 where that could not be found out."
  ),
  Command.withShortDescription("Verify as ssh-keygen -Y verify does"),
  Command.withExamples([
    {
      command: "effect-signer sshsig verify --key release.pub --signature-file app.tar.gz.sig app.tar.gz",
      description: "With one key that you know"
    },
    {
      command:
        "effect-signer sshsig verify --allowed-signers allowed_signers --principal release@example.com \\\n" +
        "    --signature-file app.tar.gz.sig app.tar.gz",
      description: "With a file of who may sign"
    }
  ])
)

/** Signatures in the format of OpenSSH. */
export const sshsig = Command.make("sshsig").pipe(
  Command.withDescription("Sign and verify in the format of ssh-keygen -Y and of git."),
  Command.withShortDescription("Sign and verify as ssh-keygen -Y does"),
  Command.withSubcommands([sign, verify])
)
