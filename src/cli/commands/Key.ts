/**
 * `effect-signer key`: keys in encrypted files, or in the keyring.
 *
 * @category internal
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stdio from "effect/Stdio"
import * as FileSigner from "../../layers/FileSigner.ts"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import { fail, ofSigner, plain, shownPath } from "../Failure.ts"
import * as Files from "../Files.ts"
import * as KeyFile from "../KeyFile.ts"
import * as KeyStore from "../KeyStore.ts"
import * as Output from "../Output.ts"
import * as Passphrase from "../Passphrase.ts"

const keyringFlag = Flag.String("keyring").pipe(
  Flag.withMetavar("SERVICE"),
  Flag.withDescription(
    "The keyring of the operating system instead of files: names are the accounts of this service. Needs npm install " +
      "@napi-rs/keyring"
  ),
  Flag.optional
)

const nameArgument = Argument.String("key").pipe(
  Argument.withMetavar("KEY"),
  Argument.withDescription("A file with a private key; with --keyring an account")
)

const yesFlag = Flag.Boolean("yes").pipe(
  Flag.withAlias("y"),
  Flag.withDescription("Do not ask"),
  Flag.withDefault(false),
  Flag.withoutNegation
)

const storeOf = (service: Option.Option<string>, folder = ".") =>
  Option.match(service, { onNone: () => KeyStore.files(folder), onSome: KeyStore.keyring })

/** A private key that is wiped when the scope ends. */
const wiped = <E, R>(key: Effect.Effect<PrivateKey.PrivateKey, E, R>) =>
  Effect.acquireRelease(key, (key) => Effect.sync(() => PrivateKey.wipe(key)), { interruptible: true })

// ---------------------------------------------------------------------------
// import
// ---------------------------------------------------------------------------

const importKey = Command.make(
  "import",
  {
    source: Argument.String("source").pipe(
      Argument.withMetavar("FILE"),
      Argument.withDescription("A private key: PEM, JWK, DER, signer.json of ev-node, or - for standard input")
    ),
    out: Flag.String("out").pipe(
      Flag.withAlias("o"),
      Flag.withMetavar("KEY"),
      Flag.withDescription("Where the key goes: a file that does not exist yet; with --keyring an account")
    ),
    keyring: keyringFlag,
    ...Passphrase.flags,
    ...Passphrase.newFlags
  },
  Effect.fnUntraced(function* ({ keyring, newPassphrase, newPassphraseFile, out, source: path, ...source }) {
    const toFile = Option.isNone(keyring)
    if (out === "-") return yield* fail("--out is a file; effect-signer key export writes a key to standard output")
    yield* Files.checkInputs([path, ...Passphrase.inputs(source), ...Option.toArray(newPassphraseFile)], {
      asksPassphrase: source.passphrase || newPassphrase
    })
    if (!toFile && (newPassphrase || Option.isSome(newPassphraseFile))) {
      return yield* fail("the keyring encrypts by itself; leave the new passphrase out")
    }
    if (toFile && !(yield* KeyStore.isFree(out))) {
      return yield* fail(`${shownPath(out)}: it exists already, and is not overwritten`)
    }
    const key = yield* KeyFile.privateKey(yield* KeyFile.open(path), source)
    const passphrase = toFile ? yield* Passphrase.readNew({ newPassphrase, newPassphraseFile }) : undefined
    yield* storeOf(keyring).create(out, key, passphrase)
    yield* Output.print({
      [toFile ? "privateKeyFile" : "account"]: out,
      keyId: PublicKey.keyId(key.publicKey),
      keyType: key.type,
      algorithm: key.algorithm,
      encrypted: true
    })
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Encrypt a private key into a new file that only you can read (mode 0600), or put it into the keyring. The source " +
      "stays where it is: remove it, and its backups, when the new one works."
  ),
  Command.withShortDescription("Encrypt a private key into a new file"),
  Command.withExamples([
    {
      command: "effect-signer key import release.pem --out release.key --new-passphrase",
      description: "The passphrase is asked for, twice"
    },
    {
      command: "effect-signer key import ~/.evnode/config/signer.json --passphrase --out node.key --new-passphrase",
      description: "The key of a node of ev-node"
    }
  ])
)

// ---------------------------------------------------------------------------
// export
// ---------------------------------------------------------------------------

const formats = ["pem", "jwk", "encrypted-pem"] as const

const exportKey = Command.make(
  "export",
  {
    name: nameArgument,
    out: Flag.String("out").pipe(
      Flag.withAlias("o"),
      Flag.withMetavar("FILE"),
      Flag.withDescription("Where the key goes: a file that does not exist yet. Default: standard output"),
      Flag.withDefault("-")
    ),
    format: Flag.Literals("format", formats).pipe(
      Flag.withAlias("f"),
      Flag.withDescription(
        "PKCS#8 PEM or a JSON Web Key, both without encryption, or encrypted PKCS#8 PEM. Default: pem"
      ),
      Flag.withDefault("pem" as const)
    ),
    force: Flag.Boolean("force").pipe(
      Flag.withDescription("Show the key on the terminal, if that is what standard output is"),
      Flag.withDefault(false),
      Flag.withoutNegation
    ),
    yes: yesFlag,
    keyring: keyringFlag,
    ...Passphrase.flags,
    ...Passphrase.newFlags
  },
  Effect.fnUntraced(function* ({
    force,
    format,
    keyring,
    name,
    newPassphrase,
    newPassphraseFile,
    out,
    yes,
    ...source
  }) {
    const stdio = yield* Stdio.Stdio
    const encrypt = format === "encrypted-pem"
    if (!encrypt && (newPassphrase || Option.isSome(newPassphraseFile))) {
      return yield* fail("a new passphrase is for --format encrypted-pem")
    }
    if (out === "-" && !force && (yield* stdio.stdoutIsTerminal)) {
      return yield* fail(
        "this would show the private key on the terminal; name a file with --out, pipe it into another program, or say --force"
      )
    }
    yield* Files.checkInputs([...Passphrase.inputs(source), ...Option.toArray(newPassphraseFile)], {
      asksPassphrase: source.passphrase || newPassphrase
    })
    if (!encrypt && !yes) {
      yield* Passphrase.confirm(`Write the private key of ${shownPath(name)} without encryption?`, "--yes")
    }
    const decryption = yield* KeyStore.decryptionOf(source)
    const key = yield* wiped(storeOf(keyring).read(name, decryption))
    const text =
      format === "jwk"
        ? Redacted.make(`${JSON.stringify(Redacted.value(PrivateKey.toJwk(key)))}\n`)
        : encrypt
          ? yield* Effect.mapError(
              PrivateKey.toEncryptedPem(key, yield* Passphrase.readNew({ newPassphrase, newPassphraseFile })),
              ofSigner
            )
          : PrivateKey.toPem(key)
    const bytes = yield* Effect.acquireRelease(
      Effect.sync(() => new TextEncoder().encode(Redacted.value(text))),
      (bytes) => Effect.sync(() => bytes.fill(0))
    )
    if (out === "-") return yield* Output.write(bytes)
    yield* Files.writeNew([{ path: out, bytes, mode: 0o600 }])
    yield* Output.print({ privateKeyFile: out, format, keyId: PublicKey.keyId(key.publicKey), encrypted: encrypt })
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Write a private key in a form that other programs read. Without encryption it is asked whether you mean it, and " +
      "nothing is shown on a terminal."
  ),
  Command.withShortDescription("Write a private key in another form"),
  Command.withExamples([
    {
      command: "effect-signer key export release.key --passphrase --out release.pem",
      description: "PKCS#8 PEM in a new file with mode 0600"
    },
    {
      command:
        "effect-signer key export release.key --passphrase --format encrypted-pem --new-passphrase --out release.pem",
      description: "For OpenSSL, and still encrypted"
    }
  ])
)

// ---------------------------------------------------------------------------
// list
// ---------------------------------------------------------------------------

const line = ({ algorithm, encrypted, format, keyId, keyType, name, problem }: KeyStore.Entry) =>
  [
    plain(name),
    keyId ?? (encrypted ? "(encrypted)" : "(not encrypted)"),
    algorithm ?? keyType,
    format,
    problem === undefined ? undefined : `problem: ${problem}`
  ]
    .filter((part) => part !== undefined)
    .join("  ")

const list = Command.make(
  "list",
  {
    folder: Argument.String("folder").pipe(
      Argument.withMetavar("FOLDER"),
      Argument.withDescription("A folder with key files. Default: the one you are in"),
      Argument.withDefault(".")
    ),
    keyring: keyringFlag
  },
  Effect.fnUntraced(function* ({ folder, keyring }) {
    const entries = yield* storeOf(keyring, folder).list
    if (yield* Output.Json) return yield* Output.write(`${JSON.stringify({ keys: entries })}\n`)
    if (entries.length === 0) return yield* Output.note("there are no private keys here")
    yield* Output.write(entries.map((entry) => `${line(entry)}\n`).join(""))
  })
).pipe(
  Command.withDescription(
    "List the private keys in a folder, or in the keyring. No passphrase is needed: an encrypted key file says which key " +
      "it is, and that is not checked before it is decrypted."
  ),
  Command.withShortDescription("List private keys"),
  Command.withExamples([{ command: "effect-signer key list keys --json", description: "One line of JSON" }])
)

// ---------------------------------------------------------------------------
// delete
// ---------------------------------------------------------------------------

const deleteKey = Command.make(
  "delete",
  { name: nameArgument, yes: yesFlag, keyring: keyringFlag },
  Effect.fnUntraced(function* ({ keyring, name, yes }) {
    const { entry, remove } = yield* storeOf(keyring).find(name)
    const shown = `${shownPath(name)}${entry.keyId === undefined ? "" : ` (${entry.keyId})`}`
    if (!yes) yield* Passphrase.confirm(`Delete the private key ${shown} for good?`, "--yes")
    yield* remove
    yield* Output.print({ deleted: name, keyId: entry.keyId })
  })
).pipe(
  Command.withDescription(
    "Delete a private key: a file that is one, or an entry of the keyring. It is asked first. Backups and the disk itself " +
      "may still hold it."
  ),
  Command.withShortDescription("Delete a private key"),
  Command.withExamples([
    { command: "effect-signer key delete release.key", description: "Asks before it does so" },
    { command: "effect-signer key delete --keyring app release --yes", description: "In a script" }
  ])
)

// ---------------------------------------------------------------------------
// change-passphrase
// ---------------------------------------------------------------------------

const changePassphrase = Command.make(
  "change-passphrase",
  {
    file: Argument.String("file").pipe(
      Argument.withMetavar("FILE"),
      Argument.withDescription("A file with a private key")
    ),
    legacy: Flag.Boolean("allow-legacy-key-derivation").pipe(
      Flag.withDescription("Read a signer.json of ev-node without a salt, whose encryption hardly protects the key"),
      Flag.withDefault(false),
      Flag.withoutNegation
    ),
    ...Passphrase.flags,
    ...Passphrase.newFlags
  },
  Effect.fnUntraced(function* ({ file, legacy, newPassphrase, newPassphraseFile, ...source }) {
    yield* Files.checkInputs([...Passphrase.inputs(source), ...Option.toArray(newPassphraseFile)], {
      asksPassphrase: source.passphrase || newPassphrase
    })
    const passphrase = yield* KeyStore.decryptionOf(source)
    const publicKey = yield* FileSigner.changePassphrase({
      path: file,
      passphrase,
      newPassphrase: yield* Passphrase.readNew({ newPassphrase, newPassphraseFile }),
      allowLegacyKeyDerivation: legacy
    }).pipe(Effect.mapError(KeyStore.inFile(file)))
    yield* Output.print({ privateKeyFile: file, keyId: PublicKey.keyId(publicKey), encrypted: true })
  })
).pipe(
  Command.withDescription(
    "Encrypt the key in a file under another passphrase, in place and at once, whatever form it had: PEM, encrypted PEM, " +
      "JWK, signer.json of ev-node, or our own. Who is interrupted has the old file or the new one. Backups still open " +
      "with the old passphrase."
  ),
  Command.withShortDescription("Encrypt a key file under another passphrase"),
  Command.withExamples([
    {
      command: "effect-signer key change-passphrase release.key --passphrase --new-passphrase",
      description: "Both are asked for"
    },
    {
      command: "effect-signer key change-passphrase release.pem --new-passphrase-file new.txt",
      description: "Encrypt a plain PEM file in place"
    }
  ])
)

/** Keys in files and in the keyring. */
export const key = Command.make("key").pipe(
  Command.withDescription(
    "Keep private keys, each in an encrypted file of its own, or in the keyring of the operating system. For many keys in " +
      "one store there is effect-signer keys."
  ),
  Command.withShortDescription("Keep private keys in encrypted files"),
  Command.withSubcommands([importKey, exportKey, list, deleteKey, changePassphrase])
)
