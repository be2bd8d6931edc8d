/**
 * `effect-signer keygen`
 *
 * @category internal
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import * as Stdio from "effect/Stdio"
import * as LocalSigner from "../../layers/LocalSigner.ts"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import * as AlgorithmFlag from "../AlgorithmFlag.ts"
import { fail, ofSigner } from "../Failure.ts"
import * as Files from "../Files.ts"
import * as Output from "../Output.ts"
import * as Passphrase from "../Passphrase.ts"

const jsonLine = (jwk: object) => `${JSON.stringify(jwk)}\n`

/** Makes a key pair and writes it into files that did not exist. */
export const keygen = Command.make(
  "keygen",
  {
    out: Flag.String("out").pipe(
      Flag.withAlias("o"),
      Flag.withMetavar("FILE"),
      Flag.withDescription("Where the private key goes: a file that does not exist yet, or - for a pipe")
    ),
    publicOut: Flag.String("public-out").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Where the public key goes as well: a file that does not exist yet"),
      Flag.optional
    ),
    alg: AlgorithmFlag.make("What the key is for: Ed25519, ES256, ES256K, PS256, ... Default: Ed25519").pipe(
      Flag.withDefault("Ed25519")
    ),
    format: Flag.Literals("format", ["pem", "jwk"]).pipe(
      Flag.withDescription("PKCS#8 and SPKI in PEM, or JSON Web Keys"),
      Flag.withDefault("pem")
    ),
    modulusLength: Flag.Int("modulus-length").pipe(
      Flag.withMetavar("BITS"),
      Flag.withDescription("Of RSA keys: 2048 to 16384. Default: 3072"),
      Flag.optional
    ),
    ...Passphrase.flags
  },
  Effect.fnUntraced(function* ({ alg, format, modulusLength, out, publicOut, ...source }) {
    const stdio = yield* Stdio.Stdio
    const publicPath = Option.getOrUndefined(publicOut)
    const algorithm = yield* AlgorithmFlag.read(alg)
    if (publicPath === "-") return yield* fail("--public-out is a file; effect-signer public-key prints a public key")
    const paths = yield* Path.Path
    if (publicPath !== undefined && out !== "-" && paths.resolve(out) === paths.resolve(publicPath)) {
      return yield* fail("--out and --public-out name the same file; the two keys need one each")
    }
    const passphrase = yield* Passphrase.read(source, { twice: true })
    if (format === "jwk" && Option.isSome(passphrase)) {
      return yield* fail("a JWK cannot be encrypted here; leave the passphrase out, or use --format pem")
    }
    if (out === "-" && Option.isNone(passphrase) && (yield* stdio.stdoutIsTerminal)) {
      return yield* fail(
        "this would show the private key on the terminal; name a file, or pipe it into another program"
      )
    }

    const privateKey = yield* Effect.acquireRelease(
      Effect.mapError(
        PrivateKey.generate(algorithm, { modulusLength: Option.getOrUndefined(modulusLength) }),
        ofSigner
      ),
      (key) => Effect.sync(() => PrivateKey.wipe(key)),
      { interruptible: true }
    )
    // What verifies is not always the key's own public half: BIP341 tweaks it
    const publicKey = yield* Effect.mapError(
      Effect.flatMap(LocalSigner.make({ privateKey, algorithm }), (signer) => signer.publicKey()),
      ofSigner
    )
    const text =
      format === "jwk"
        ? Redacted.make(jsonLine(Redacted.value(PrivateKey.toJwk(privateKey))))
        : Option.isSome(passphrase)
          ? yield* Effect.mapError(PrivateKey.toEncryptedPem(privateKey, passphrase.value), ofSigner)
          : PrivateKey.toPem(privateKey)
    const bytes = yield* Effect.acquireRelease(
      Effect.sync(() => new TextEncoder().encode(Redacted.value(text))),
      (bytes) => Effect.sync(() => bytes.fill(0))
    )
    const publicText = format === "jwk" ? jsonLine(PublicKey.toJwk(publicKey)) : PublicKey.toPem(publicKey)
    const publicFile =
      publicPath === undefined ? [] : [{ path: publicPath, bytes: new TextEncoder().encode(publicText), mode: 0o644 }]
    const privateFile = out === "-" ? [] : [{ path: out, bytes, mode: 0o600 }]

    // The public file first: where it cannot be written, no private key was made for nothing
    yield* Files.writeNew([...publicFile, ...privateFile])
    if (out === "-") yield* Output.write(bytes)
    const report = yield* Output.render({
      algorithm,
      keyId: PublicKey.keyId(publicKey),
      thumbprint: PublicKey.thumbprint(publicKey),
      encrypted: Option.isSome(passphrase),
      privateKeyFile: out === "-" ? undefined : out,
      publicKeyFile: publicPath
    })
    yield* out === "-" ? Output.note(report.trimEnd()) : Output.write(report)
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Make a key pair. The private key goes into a new file that only you can read (mode 0600); a file that exists is " +
      "never overwritten."
  ),
  Command.withShortDescription("Make a key pair"),
  Command.withExamples([
    {
      command: "effect-signer keygen --out release.pem --public-out release.pub.pem",
      description: "An Ed25519 key, and its public half for those who verify"
    },
    {
      command: "effect-signer keygen --alg ES256 --out release.pem --passphrase",
      description: "An encrypted P-256 key; the passphrase is asked for"
    },
    {
      command: "effect-signer keygen --alg PS256 --modulus-length 4096 --format jwk --out release.jwk",
      description: "An RSA key as a JSON Web Key"
    }
  ])
)
