/**
 * `effect-signer sign`
 *
 * @category internal
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stdio from "effect/Stdio"
import * as LocalSigner from "../../layers/LocalSigner.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import * as AlgorithmFlag from "../AlgorithmFlag.ts"
import { fail, ofSigner } from "../Failure.ts"
import * as FileForm from "../FileForm.ts"
import * as Files from "../Files.ts"
import * as KeyFile from "../KeyFile.ts"
import * as Message from "../Message.ts"
import * as Output from "../Output.ts"
import * as OutputFile from "../OutputFile.ts"
import * as Passphrase from "../Passphrase.ts"
import * as SignatureEncoding from "../SignatureEncoding.ts"
import * as SignerSource from "../SignerSource.ts"

/** A signer with a key in a file. */
const signerOf = Effect.fnUntraced(function* (
  path: string,
  algorithm: SignatureAlgorithm | undefined,
  source: Passphrase.Source
) {
  const privateKey = yield* KeyFile.privateKey(yield* KeyFile.open(path), source)
  return yield* Effect.mapError(LocalSigner.make({ privateKey, algorithm }), ofSigner)
})

/** Signs a message with a key from a file, or with any backend. */
export const sign = Command.make(
  "sign",
  {
    message: Message.argument,
    key: Flag.String("key").pipe(
      Flag.withAlias("k"),
      Flag.withMetavar("FILE"),
      Flag.withDescription("The private key: PEM, JWK, DER or an encrypted key file, or - for standard input"),
      Flag.optional
    ),
    ...SignerSource.flags,
    alg: AlgorithmFlag.make("The algorithm; needed where the key allows several: RSA and secp256k1").pipe(
      Flag.optional
    ),
    ...OutputFile.flags,
    encoding: Flag.Literals("encoding", SignatureEncoding.names).pipe(
      Flag.withAlias("e"),
      Flag.withDescription(
        "How the signature is written: as text, as raw bytes, or as DER (ECDSA only). Default: base64url"
      ),
      Flag.optional
    ),
    ...Passphrase.flags
  },
  Effect.fnUntraced(function* ({ alg, encoding: stated, force, key, message: messageFile, out, ...source }) {
    yield* SignerSource.checkOne(source, key, "--key FILE")
    const json = yield* Output.Json
    const stdio = yield* Stdio.Stdio
    const encoding = Option.getOrElse(stated, () => "base64url" as const)
    const toStdout = Option.isNone(out) || out.value === "-"
    if (json && Option.isSome(stated)) {
      return yield* fail("--json has its own encoding of the signature; leave --encoding out")
    }
    if (toStdout && !json && SignatureEncoding.isBinary(encoding) && (yield* stdio.stdoutIsTerminal)) {
      return yield* fail(
        `--encoding ${encoding} is not text for a terminal; name a file with --out, or use another encoding`
      )
    }
    if (SignerSource.isStated(source)) {
      yield* SignerSource.refuseFlags({
        "--alg": Option.isSome(alg),
        "--passphrase": source.passphrase,
        "--passphrase-file": Option.isSome(source.passphraseFile)
      })
    }
    yield* Files.checkInputs(
      [
        ...Option.toArray(key),
        ...SignerSource.inputs(source),
        Message.pathOf(messageFile),
        ...Passphrase.inputs(source)
      ],
      { asksPassphrase: source.passphrase }
    )
    if (!toStdout && force) {
      yield* Files.checkReplaceable(
        out.value,
        {
          "--key": Option.getOrUndefined(key),
          "--config": Option.getOrUndefined(source.config),
          "the message file": Message.pathOf(messageFile),
          "--passphrase-file": Option.getOrUndefined(source.passphraseFile)
        },
        (bytes) => FileForm.isPrecious(FileForm.of(bytes))
      )
    }
    const signer = Option.isNone(key)
      ? yield* SignerSource.open(source)
      : yield* signerOf(key.value, yield* AlgorithmFlag.readOptional(alg), source)
    const message = yield* Message.read(messageFile, source.passphrase)
    const signature = yield* Effect.mapError(signer.sign(message), ofSigner)

    const encoded = json ? SignatureEncoding.encodeJson(signature) : SignatureEncoding.encode[encoding](signature)
    if (encoded === undefined) {
      return yield* fail(`--encoding ${encoding} is for ECDSA signatures, and this is ${signature.algorithm}`)
    }
    if (toStdout) return yield* Output.write(encoded)
    const bytes = typeof encoded === "string" ? new TextEncoder().encode(encoded) : encoded
    const file = { path: out.value, bytes, mode: 0o644 }
    yield* force ? Files.replace(file) : Files.writeNew([file])
    yield* Output.print({ signatureFile: out.value, algorithm: signature.algorithm, keyId: signature.keyId })
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Sign a file, or what comes on standard input, with a private key from a file, or with any backend that a " +
      "configuration names."
  ),
  Command.withShortDescription("Sign a file or standard input"),
  Command.withExamples([
    {
      command: "effect-signer sign --key release.pem app.tar.gz --out app.tar.gz.sig",
      description: "Sign a file; the signature is one line of base64url"
    },
    {
      command: "git archive HEAD | effect-signer sign --key release.pem --json",
      description: "Sign what another program writes; the JSON form says who signed, too"
    },
    {
      command: "effect-signer sign --key rsa.pem --alg PS256 --encoding raw --out app.sig app.tar.gz",
      description: "Bytes as OpenSSL and other tools take them"
    },
    {
      command: "effect-signer sign --config release.json app.tar.gz --out app.tar.gz.sig",
      description: "A key of Vault, of a cloud, of an HSM: whichever release.json names"
    }
  ])
)
