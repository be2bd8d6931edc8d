/**
 * `effect-signer verify`
 *
 * @category internal
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Ecdsa from "../../schemas/Ecdsa.ts"
import * as Pkcs1 from "../../schemas/Pkcs1.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { Signature } from "../../schemas/Signature.ts"
import * as SignatureAlgorithm from "../../schemas/SignatureAlgorithm.ts"
import * as Verifier from "../../services/Verifier.ts"
import * as AlgorithmFlag from "../AlgorithmFlag.ts"
import type { Failure } from "../Failure.ts"
import { Concluded, exitCodes, fail, ofSigner, shownPath } from "../Failure.ts"
import * as FileForm from "../FileForm.ts"
import * as Files from "../Files.ts"
import * as KeyFile from "../KeyFile.ts"
import * as Message from "../Message.ts"
import * as Output from "../Output.ts"
import * as SignatureEncoding from "../SignatureEncoding.ts"
import * as SignerSource from "../SignerSource.ts"

/** Where the signature is, and its bytes. */
interface Source {
  readonly name: string
  readonly bytes: Uint8Array
}

/** What a signature by a key must be: bytes of a length, and of ECDSA also DER. */
interface Expected {
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm
  readonly length: number
  /** Of ECDSA: half of the length. */
  readonly coordinate: number | undefined
}

const expectedOf = (key: PublicKey.PublicKey, algorithm: SignatureAlgorithm.SignatureAlgorithm): Expected => {
  const { scheme, signatureLength } = SignatureAlgorithm.facts[algorithm]
  const length = signatureLength ?? Pkcs1.decodePublic(key.bytes).n.length
  return { algorithm, length, coordinate: scheme === "ECDSA" ? length / 2 : undefined }
}

const textOf = (bytes: Uint8Array) => Files.toText(bytes)?.replace(/\r?\n$/, "")

/** The bytes in an encoding; `undefined` where they are not in it. */
const decodeAs = (encoding: SignatureEncoding.SignatureEncoding, bytes: Uint8Array): Uint8Array | undefined => {
  if (encoding === "raw" || encoding === "der") return bytes
  const text = textOf(bytes)
  return text === undefined ? undefined : SignatureEncoding.decodeText[encoding](text)
}

/** Whether bytes have the form that signatures by the key have: what has not was damaged, or is in another encoding. */
const hasForm = (encoding: SignatureEncoding.SignatureEncoding, bytes: Uint8Array, expected: Expected): boolean =>
  encoding === "der"
    ? expected.coordinate === undefined || Ecdsa.fromDer(bytes, expected.coordinate) !== undefined
    : bytes.length === expected.length

/** The encodings in which it could be a signature by the key. */
const advice = ({ bytes }: Source, tried: SignatureEncoding.SignatureEncoding, expected: Expected): string => {
  const possible = SignatureEncoding.names.filter((encoding) => {
    const decoded = encoding === tried ? undefined : decodeAs(encoding, bytes)
    return (
      decoded !== undefined &&
      (encoding !== "der" || expected.coordinate !== undefined) &&
      hasForm(encoding, decoded, expected)
    )
  })
  return possible.length === 0
    ? "declare what it is with --encoding"
    : `it could be ${possible.join(" or ")}: see --encoding`
}

/** The signature as `--encoding` declares it, or as the JSON form says itself. */
const decode = (
  source: Source,
  stated: SignatureEncoding.SignatureEncoding | undefined,
  expected: Expected
): Effect.Effect<Signature | Uint8Array, Failure> => {
  const { bytes, name } = source
  const json = stated === undefined ? FileForm.of(bytes).signature : undefined
  if (json !== undefined) return Effect.succeed(json)
  const encoding = stated ?? "base64url"
  const signature = decodeAs(encoding, bytes)
  if (signature === undefined) {
    const forms = `${encoding}${stated === undefined ? ", nor the JSON form" : ""}`
    return fail(`${name} is not ${forms}; ${advice(source, encoding, expected)}`)
  }
  if (hasForm(encoding, signature, expected)) return Effect.succeed(signature)
  const { algorithm, length } = expected
  return fail(
    encoding === "der"
      ? `${name} is not the DER of an ECDSA signature for ${algorithm}; ${advice(source, encoding, expected)}`
      : `${name} has ${signature.length} decoded bytes, and a signature by ${algorithm} with this key has ${length}; ` +
          advice(source, encoding, expected)
  )
}

/** Verifies a signature with a public key from a file, or with that of any backend. */
export const verify = Command.make(
  "verify",
  {
    message: Message.argument,
    key: Flag.String("key").pipe(
      Flag.withAlias("k"),
      Flag.withMetavar("FILE"),
      Flag.withDescription("The public key: PEM, JWK, DER or an OpenSSH line, or - for standard input"),
      Flag.optional
    ),
    ...SignerSource.flags,
    signature: Flag.String("signature").pipe(
      Flag.withMetavar("TEXT"),
      Flag.withDescription("The signature itself, as text"),
      Flag.optional
    ),
    signatureFile: Flag.String("signature-file").pipe(
      Flag.withAlias("s"),
      Flag.withMetavar("FILE"),
      Flag.withDescription("The signature in a file, or - for standard input"),
      Flag.optional
    ),
    encoding: Flag.Literals("encoding", SignatureEncoding.names).pipe(
      Flag.withAlias("e"),
      Flag.withDescription("How the signature is written. Default: base64url; the JSON form needs none"),
      Flag.optional
    ),
    alg: AlgorithmFlag.make("The algorithm; needed where the key allows several: RSA and secp256k1").pipe(Flag.optional)
  },
  Effect.fnUntraced(function* ({ alg, encoding, key, message: messageFile, signature, signatureFile, ...source }) {
    yield* SignerSource.checkOne(source, key, "--key FILE")
    if (SignerSource.isStated(source)) yield* SignerSource.refuseFlags({ "--alg": Option.isSome(alg) })
    if (Option.isSome(signature) === Option.isSome(signatureFile)) {
      return yield* fail("state the signature once, with --signature-file FILE or --signature TEXT")
    }
    const stated = Option.getOrUndefined(encoding)
    if (Option.isSome(signature) && stated !== undefined && SignatureEncoding.isBinary(stated)) {
      return yield* fail(`--encoding ${stated} is bytes, not text; use --signature-file FILE`)
    }
    const signaturePath = Option.getOrElse(signatureFile, () => "")
    yield* Files.checkInputs(
      [...Option.toArray(key), ...SignerSource.inputs(source), Message.pathOf(messageFile), signaturePath],
      { asksPassphrase: false }
    )
    const asked = yield* AlgorithmFlag.readOptional(alg)
    const signer = Option.isNone(key) ? yield* SignerSource.open(source) : undefined
    const current = Option.isSome(key)
      ? yield* Effect.flatMap(KeyFile.open(key.value), KeyFile.publicKey)
      : yield* Effect.mapError(signer!.publicKey(), ofSigner)
    const algorithm =
      signer?.algorithm ?? (yield* Effect.mapError(PublicKey.resolveAlgorithm(current, asked), ofSigner))
    const given = yield* decode(
      Option.isSome(signature)
        ? { name: "the signature", bytes: new TextEncoder().encode(signature.value) }
        : { name: shownPath(signaturePath), bytes: (yield* Files.readSmall(signaturePath)).bytes },
      stated,
      expectedOf(current, algorithm)
    )
    // The JSON form names the version that signed: the key may have been rotated since
    const version = given instanceof Uint8Array ? undefined : given.keyVersion
    const publicKey =
      signer === undefined || version === undefined
        ? current
        : yield* Effect.mapError(signer.publicKey(version), ofSigner)
    const verifier = yield* Effect.mapError(
      Verifier.make(publicKey, { algorithm, encoding: stated === "der" ? "der" : undefined }),
      ofSigner
    )
    const valid = yield* verifier.verify(yield* Message.read(messageFile), given)

    const json = yield* Output.Json
    yield* json
      ? Output.print({ valid, algorithm, keyId: PublicKey.keyId(publicKey) })
      : Output.write(valid ? "valid\n" : "invalid\n")
    if (!valid) return yield* new Concluded({ exitCode: exitCodes.invalidSignature })
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Verify a signature with a public key from a file, or with that of the signer in a configuration. Prints valid or invalid; exits with 0 where it is valid, 1 where " +
      "it is not, and 2 where that could not be found out."
  ),
  Command.withShortDescription("Verify a signature"),
  Command.withExamples([
    {
      command: "effect-signer verify --key release.pub.pem --signature-file app.tar.gz.sig app.tar.gz",
      description: "What effect-signer sign wrote"
    },
    {
      command:
        "openssl dgst -sha256 -sign ec.pem -out app.sig app.tar.gz && \\\n" +
        "    effect-signer verify --key ec.pub.pem --signature-file app.sig --encoding der app.tar.gz",
      description: "What OpenSSL signed with a P-256 key"
    },
    {
      command:
        "effect-signer verify --key rsa.pub.pem --alg PS256 --signature-file app.sig --encoding raw app.tar.gz && \\\n" +
        "    ./install.sh",
      description: "An RSA key allows several algorithms: state the one that you accept"
    },
    {
      command: "effect-signer verify --config release.json --signature-file app.tar.gz.sig app.tar.gz",
      description: "The public key that the backend has; it is asked for that and nothing else"
    }
  ])
)
