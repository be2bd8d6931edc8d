/**
 * `effect-signer public-key`
 *
 * @category internal
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Hex from "effect/encoding/Hex"
import * as Option from "effect/Option"
import * as LocalSigner from "../../layers/LocalSigner.ts"
import * as JoseAlgorithm from "../../schemas/JoseAlgorithm.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import * as SignatureAlgorithm from "../../schemas/SignatureAlgorithm.ts"
import * as AlgorithmFlag from "../AlgorithmFlag.ts"
import { fail, ofSigner } from "../Failure.ts"
import * as Files from "../Files.ts"
import * as KeyFile from "../KeyFile.ts"
import * as Output from "../Output.ts"
import * as Passphrase from "../Passphrase.ts"
import * as SignerSource from "../SignerSource.ts"

const hex = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Hex.encode(bytes))

/** A JWK Set as an issuer publishes it, with `alg` where the key has one algorithm only. */
const jwksOf = (key: PublicKey.PublicKey) => {
  const [first, ...others] = SignatureAlgorithm.forKeyType(key.type)
  const algorithm = key.algorithm ?? (others.length === 0 ? first : undefined)
  const alg = algorithm === undefined ? undefined : JoseAlgorithm.toJose(algorithm)
  return {
    keys: [
      { ...PublicKey.toJwk(key, { kid: PublicKey.thumbprint(key) }), ...(alg === undefined ? {} : { alg }), use: "sig" }
    ]
  }
}

/** The formats: what each prints, and `undefined` for keys that have no such form. */
const formats = {
  pem: (key) => PublicKey.toPem(key),
  jwk: (key) => PublicKey.toJwk(key),
  jwks: jwksOf,
  "raw-hex": (key) => PublicKey.toHex(key),
  "raw-base64": (key) => Base64.encode(PublicKey.toRaw(key)),
  compressed: (key) => hex(PublicKey.toCompressed(key)),
  openssh: (key) => PublicKey.toOpenSsh(key),
  id52: (key) => PublicKey.toId52(key),
  "key-id": (key) => PublicKey.keyId(key),
  thumbprint: (key) => PublicKey.thumbprint(key),
  fingerprint: (key) => PublicKey.fingerprint(key),
  "ssh-fingerprint": (key) => PublicKey.sshFingerprint(key),
  address: (key) => hex(PublicKey.address(key))
} as const satisfies { readonly [name: string]: (key: PublicKey.PublicKey) => string | object | undefined }

type Format = keyof typeof formats

const names = Object.keys(formats) as ReadonlyArray<Format>

/** One value as a person or another program reads it. */
const shown = (value: string | object) =>
  typeof value === "string" ? `${value.trimEnd()}\n` : `${JSON.stringify(value)}\n`

/** The public half of a key in a file. */
const publicKeyOf = Effect.fnUntraced(function* (
  path: string,
  algorithm: SignatureAlgorithm.SignatureAlgorithm | undefined,
  source: Passphrase.Source
) {
  const { privateKey, publicKey } = yield* KeyFile.anyKey(yield* KeyFile.open(path), source)
  if (algorithm === undefined) return publicKey
  return yield* Effect.mapError(
    privateKey === undefined
      ? PublicKey.withAlgorithm(publicKey, algorithm)
      : // BIP341 tweaks the key
        Effect.flatMap(LocalSigner.make({ privateKey, algorithm }), (signer) => signer.publicKey()),
    ofSigner
  )
})

/** Prints the public half of a key. */
export const publicKey = Command.make(
  "public-key",
  {
    file: Argument.String("key").pipe(
      Argument.withMetavar("FILE"),
      Argument.withDescription("A private or public key: PEM, JWK, DER or an OpenSSH line, or - for standard input"),
      Argument.optional
    ),
    ...SignerSource.flags,
    format: Flag.Literals("format", [...names, "all"]).pipe(
      Flag.withAlias("f"),
      Flag.withDescription(
        "What to print. Default: pem. jwks: a JWK Set with kid, alg and use, for those who verify tokens; address: SHA-256 of the raw public key (of curves compressed, of RSA the SPKI), in " +
          "hex; fingerprint: its first 16 digits; ssh-fingerprint: as ssh-keygen -l shows it; thumbprint: RFC 7638"
      ),
      Flag.withDefault("pem")
    ),
    alg: AlgorithmFlag.make(
      "What the key is for: becomes alg of a JWK; BIP340 and BIP341 have forms of their own"
    ).pipe(Flag.optional),
    ...Passphrase.flags
  },
  Effect.fnUntraced(function* ({ alg, file, format, ...source }) {
    yield* SignerSource.checkOne(source, file, "a key FILE")
    if (SignerSource.isStated(source)) {
      yield* SignerSource.refuseFlags({
        "--alg": Option.isSome(alg),
        "--passphrase": source.passphrase,
        "--passphrase-file": Option.isSome(source.passphraseFile)
      })
    }
    yield* Files.checkInputs([...Option.toArray(file), ...SignerSource.inputs(source), ...Passphrase.inputs(source)], {
      asksPassphrase: source.passphrase
    })
    const key = Option.isNone(file)
      ? yield* Effect.flatMap(SignerSource.open(source), (signer) => Effect.mapError(signer.publicKey(), ofSigner))
      : yield* publicKeyOf(file.value, yield* AlgorithmFlag.readOptional(alg), source)
    const wanted = format === "all" ? names : [format]
    const values = wanted.flatMap((name) => {
      const value = formats[name](key)
      return value === undefined ? [] : [[name, value] as const]
    })
    if (values.length === 0) {
      const possible = names.filter((name) => formats[name](key) !== undefined)
      return yield* fail(`a key of ${key.type} has no form ${format}; it has ${possible.join(", ")}`)
    }
    const json = yield* Output.Json
    if (json) return yield* Output.print(Object.fromEntries(values))
    yield* Output.write(
      format === "all" ? values.map(([name, value]) => `${name}:\n${shown(value)}`).join("\n") : shown(values[0]![1])
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Print the public half of a key in the form that another program wants, or one of its names. Nothing secret is printed."
  ),
  Command.withShortDescription("Print the public half of a key"),
  Command.withExamples([
    { command: "effect-signer public-key release.pem > release.pub.pem", description: "For those who verify" },
    {
      command: "effect-signer public-key release.pem --format openssh",
      description: "For authorized_keys and allowed_signers"
    },
    { command: "effect-signer public-key release.pub.pem --format thumbprint", description: "The kid of a JWT" },
    { command: "effect-signer public-key release.pem --format all", description: "Everything there is" },
    { command: "effect-signer public-key --config release.json", description: "The key of any backend" }
  ])
)
