/**
 * `effect-signer keys`: many keys in one encrypted store.
 *
 * @category internal
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as PrivateKey from "../../schemas/PrivateKey.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import type { Entry } from "../../services/KeyManager.ts"
import * as AlgorithmFlag from "../AlgorithmFlag.ts"
import { fail, ofSigner, plain, shownPath } from "../Failure.ts"
import * as Files from "../Files.ts"
import * as KeyFile from "../KeyFile.ts"
import * as Output from "../Output.ts"
import * as Passphrase from "../Passphrase.ts"
import * as RotationFile from "../RotationFile.ts"
import * as StoredKeys from "../StoredKeys.ts"

const idArgument = Argument.String("id").pipe(
  Argument.withMetavar("ID"),
  Argument.withDescription("The id of a key in the store, as effect-signer keys list shows it")
)

const newKeyFlags = {
  id: Flag.String("id").pipe(
    Flag.withMetavar("ID"),
    Flag.withDescription("How the store names the key. Default: the URN of its public key"),
    Flag.optional
  ),
  tag: StoredKeys.tagFlag("Something to find the key by"),
  use: Flag.Boolean("use").pipe(
    Flag.withDescription("Make it the active key"),
    Flag.withDefault(false),
    Flag.withoutNegation
  )
}

const yesFlag = Flag.Boolean("yes").pipe(
  Flag.withAlias("y"),
  Flag.withDescription("Do not ask"),
  Flag.withDefault(false),
  Flag.withoutNegation
)

// ---------------------------------------------------------------------------
// what is shown of a key
// ---------------------------------------------------------------------------

const reportOf = (entry: Entry, active: Option.Option<string>) => ({
  id: entry.id,
  algorithm: entry.algorithm,
  kind: entry.kind,
  state: entry.state,
  active: Option.contains(active, entry.id),
  createdAt: new Date(entry.createdAt).toISOString(),
  tags: entry.tags,
  thumbprint: PublicKey.thumbprint(entry.publicKey)
})

const line = ({ active, algorithm, createdAt, id, kind, state, tags }: ReturnType<typeof reportOf>) =>
  [
    plain(id),
    algorithm,
    kind,
    ...(active ? ["active"] : []),
    ...(state === "disabled" ? ["disabled"] : []),
    createdAt,
    ...Object.entries(tags).map(([name, value]) => plain(`${name}=${value}`))
  ].join("  ")

/** What a command did to a key. */
const printEntry = Effect.fnUntraced(function* ({ ask, path }: StoredKeys.Opened, id: string) {
  const [entry, active] = yield* ask((keys) => Effect.all([keys.entry(id), keys.active]))
  const { tags, ...report } = reportOf(entry, active)
  const isShown = (yield* Output.Json) || Object.keys(tags).length > 0
  yield* Output.print({ ...report, tags: isShown ? tags : undefined, store: path })
})

// ---------------------------------------------------------------------------
// list, show
// ---------------------------------------------------------------------------

const list = Command.make(
  "list",
  {
    tag: StoredKeys.tagFlag("Only keys that have this tag"),
    alg: AlgorithmFlag.make("Only keys for this algorithm").pipe(Flag.optional),
    state: Flag.Literals("state", ["enabled", "disabled"]).pipe(
      Flag.withDescription("Only keys that are enabled, or disabled"),
      Flag.optional
    ),
    kind: Flag.Literals("kind", ["private", "watch-only"]).pipe(
      Flag.withDescription("Only keys that can sign, or only those that verify"),
      Flag.optional
    ),
    ...StoredKeys.flags
  },
  Effect.fnUntraced(function* ({ alg, kind, state, tag, ...source }) {
    const tags = yield* StoredKeys.readTags(tag)
    const algorithm = yield* AlgorithmFlag.readOptional(alg)
    const { ask } = yield* StoredKeys.open(source)
    const [entries, active] = yield* ask((keys) =>
      Effect.all([
        keys.list({ algorithm, kind: Option.getOrUndefined(kind), state: Option.getOrUndefined(state), tags }),
        keys.active
      ])
    )
    const reports = entries.map((entry) => reportOf(entry, active))
    if (yield* Output.Json) return yield* Output.write(`${JSON.stringify({ keys: reports })}\n`)
    if (reports.length === 0) return yield* Output.note("there are no such keys")
    yield* Output.write(reports.map((report) => `${line(report)}\n`).join(""))
  })
).pipe(
  Command.withDescription("List the keys of a store, oldest first. Nothing secret is shown."),
  Command.withShortDescription("List the keys of a store"),
  Command.withExamples([
    { command: "effect-signer keys list --tag tenant=acme", description: "The keys of one tenant" },
    { command: "effect-signer keys list --state disabled --json", description: "One line of JSON" }
  ])
)

const show = Command.make(
  "show",
  {
    id: idArgument.pipe(Argument.optional),
    format: Flag.Literals("format", ["pem", "jwk"]).pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Print the public key alone: SPKI in PEM, or a JSON Web Key"),
      Flag.optional
    ),
    ...StoredKeys.flags
  },
  Effect.fnUntraced(function* ({ format, id, ...source }) {
    const opened = yield* StoredKeys.open(source)
    const name = Option.isSome(id) ? id.value : Option.getOrUndefined(yield* opened.ask(({ active }) => active))
    if (name === undefined) return yield* fail("no key is active; name one")
    if (Option.isNone(format)) return yield* printEntry(opened, name)
    const { publicKey } = yield* opened.ask((keys) => keys.entry(name))
    yield* Output.write(
      format.value === "pem" ? PublicKey.toPem(publicKey) : `${JSON.stringify(PublicKey.toJwk(publicKey))}\n`
    )
  })
).pipe(
  Command.withDescription("Show what is known of a key: of the active one, where none is named."),
  Command.withShortDescription("Show a key, or its public half"),
  Command.withExamples([
    { command: "effect-signer keys show", description: "The active key" },
    { command: "effect-signer keys show release --format pem", description: "Its public key, for those who verify" }
  ])
)

// ---------------------------------------------------------------------------
// import, generate
// ---------------------------------------------------------------------------

const importKey = Command.make(
  "import",
  {
    source: Argument.String("source").pipe(
      Argument.withMetavar("FILE"),
      Argument.withDescription(
        "A private key, or a public one to verify with: PEM, JWK, DER, OpenSSH, or - for standard input"
      )
    ),
    alg: AlgorithmFlag.make("What the key is for; needed where it can do several: RSA and secp256k1").pipe(
      Flag.optional
    ),
    keyPassphraseFile: Flag.String("key-passphrase-file").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Read the passphrase of the key that is imported from a file"),
      Flag.optional
    ),
    ...newKeyFlags,
    ...StoredKeys.flags
  },
  Effect.fnUntraced(function* ({ alg, id, keyPassphraseFile, source: path, tag, use, ...source }) {
    yield* Files.checkInputs([path, ...Passphrase.inputs(source), ...Option.toArray(keyPassphraseFile)], {
      asksPassphrase: source.passphrase
    })
    const tags = yield* StoredKeys.readTags(tag)
    const algorithm = yield* AlgorithmFlag.readOptional(alg)
    const options = { id: Option.getOrUndefined(id), algorithm, tags, setActive: use }
    const file = yield* KeyFile.open(path)
    if (file.kind === "encrypted private key" && Option.isNone(keyPassphraseFile)) {
      return yield* fail(`${shownPath(path)}: the key is encrypted; give --key-passphrase-file FILE`)
    }
    const keySource = { passphraseFile: keyPassphraseFile, passphrase: false }
    const { privateKey, publicKey } = yield* KeyFile.anyKey(file, keySource)
    const opened = yield* StoredKeys.open(source, { create: true })
    const kept = yield* opened.ask((keys) =>
      privateKey === undefined ? keys.importPublicKey(publicKey, options) : keys.importKey(privateKey, options)
    )
    yield* printEntry(opened, kept)
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Put a key into a store, encrypted. A public key is kept to verify with. The store is made where there is none, with " +
      "mode 0600. The source stays where it is: remove it, and its backups, when the store works."
  ),
  Command.withShortDescription("Put a key into a store"),
  Command.withExamples([
    {
      command: "effect-signer keys import release.pem --id release --passphrase --use",
      description: "The passphrase of the store is asked for, twice where the store is new"
    },
    {
      command: "effect-signer keys import partner.pub.pem --id partner --tag tenant=acme",
      description: "A public key: watch-only"
    }
  ])
)

const generate = Command.make(
  "generate",
  {
    alg: AlgorithmFlag.make("What the key is for: Ed25519, ES256, ES256K, PS256, ... Default: Ed25519").pipe(
      Flag.withDefault("Ed25519")
    ),
    modulusLength: Flag.Int("modulus-length").pipe(
      Flag.withMetavar("BITS"),
      Flag.withDescription("Of RSA keys: 2048 to 16384. Default: 3072"),
      Flag.optional
    ),
    ...newKeyFlags,
    ...StoredKeys.flags
  },
  Effect.fnUntraced(function* ({ alg, id, modulusLength, tag, use, ...source }) {
    const tags = yield* StoredKeys.readTags(tag)
    const algorithm: SignatureAlgorithm = yield* AlgorithmFlag.read(alg)
    const opened = yield* StoredKeys.open(source, { create: true })
    const options = { id: Option.getOrUndefined(id), tags, setActive: use }
    const kept = yield* opened.ask((keys) =>
      keys.generateKey(algorithm, { ...options, modulusLength: Option.getOrUndefined(modulusLength) })
    )
    yield* printEntry(opened, kept)
  })
).pipe(
  Command.withDescription(
    "Make a key in a store. Its private half is never written anywhere else. The store is made where there is none."
  ),
  Command.withShortDescription("Make a key in a store"),
  Command.withExamples([
    {
      command: "effect-signer keys generate --alg ES256 --id 2026-11 --tag use=tokens --use",
      description: "A key for tokens, active at once"
    }
  ])
)

// ---------------------------------------------------------------------------
// use, disable, enable
// ---------------------------------------------------------------------------

const change = (
  name: "use" | "disable" | "enable",
  operation: "setActive" | "disable" | "enable",
  description: string,
  short: string
) =>
  Command.make(
    name,
    { id: idArgument, ...StoredKeys.flags },
    Effect.fnUntraced(function* ({ id, ...source }) {
      const opened = yield* StoredKeys.open(source)
      yield* opened.ask((keys) => keys[operation](id))
      yield* printEntry(opened, id)
    })
  ).pipe(
    Command.withDescription(description),
    Command.withShortDescription(short),
    Command.withExamples([{ command: `effect-signer keys ${name} release`, description: short }])
  )

const use = change(
  "use",
  "setActive",
  "Make a key the active one: the one that signs where a program names none.",
  "Make a key the active one"
)

const disable = change(
  "disable",
  "disable",
  "Have a key sign nothing any more. It stays in the store, and what it signed verifies.",
  "Have a key sign nothing"
)

const enable = change("enable", "enable", "Let a key that was disabled sign again.", "Let a key sign again")

// ---------------------------------------------------------------------------
// remove
// ---------------------------------------------------------------------------

const remove = Command.make(
  "remove",
  {
    id: idArgument,
    force: Flag.Boolean("force").pipe(
      Flag.withDescription("Remove it though it is the active key (then none is active), or one that a rotation needs"),
      Flag.withDefault(false),
      Flag.withoutNegation
    ),
    yes: yesFlag,
    ...StoredKeys.flags
  },
  Effect.fnUntraced(function* ({ force, id, yes, ...source }) {
    const { ask, path } = yield* StoredKeys.open(source)
    const [entry, active] = yield* ask((keys) => Effect.all([keys.entry(id), keys.active]))
    if (Option.contains(active, entry.id) && !force) {
      return yield* fail("it is the active key; make another one active with effect-signer keys use, or say --force")
    }
    const need = yield* RotationFile.needs(entry.id)
    if (need !== undefined && !force) {
      return yield* fail(`${need}; see effect-signer rotate status, or say --force`)
    }
    if (!yes) yield* Passphrase.confirm(`Remove the key ${plain(entry.id)} from ${shownPath(path)} for good?`, "--yes")
    yield* ask((keys) => keys.remove(entry.id, { force }))
    yield* Output.print({ removed: entry.id, store: path })
  })
).pipe(
  Command.withDescription(
    "Remove a key from a store for good. It is asked first; the active key, and one that the rotation still needs, need " +
      "--force. Backups of the store still have it."
  ),
  Command.withShortDescription("Remove a key from a store"),
  Command.withExamples([{ command: "effect-signer keys remove 2025-11 --yes", description: "In a script" }])
)

// ---------------------------------------------------------------------------
// export
// ---------------------------------------------------------------------------

const exportKey = Command.make(
  "export",
  {
    id: idArgument,
    out: Flag.String("out").pipe(
      Flag.withAlias("o"),
      Flag.withMetavar("FILE"),
      Flag.withDescription("Where the key goes: a file that does not exist yet, with mode 0600")
    ),
    format: Flag.Literals("format", ["pem", "jwk", "encrypted-pem"]).pipe(
      Flag.withAlias("f"),
      Flag.withDescription(
        "PKCS#8 PEM or a JSON Web Key, both without encryption, or encrypted PKCS#8 PEM. Default: pem"
      ),
      Flag.withDefault("pem" as const)
    ),
    yes: yesFlag,
    ...StoredKeys.flags,
    ...Passphrase.newFlags
  },
  Effect.fnUntraced(function* ({ format, id, newPassphrase, newPassphraseFile, out, yes, ...source }) {
    const encrypt = format === "encrypted-pem"
    if (out === "-") return yield* fail("--out is a file: a private key is not written to standard output")
    if (!encrypt && (newPassphrase || Option.isSome(newPassphraseFile))) {
      return yield* fail("a new passphrase is for --format encrypted-pem")
    }
    yield* Files.checkInputs([...Passphrase.inputs(source), ...Option.toArray(newPassphraseFile)], {
      asksPassphrase: source.passphrase || newPassphrase
    })
    const { ask } = yield* StoredKeys.open(source)
    const entry = yield* ask((keys) => keys.entry(id))
    if (entry.kind !== "private") return yield* fail("the key is watch-only: its private half is not in the store")
    if (!encrypt && !yes) {
      yield* Passphrase.confirm(`Write the private key ${plain(entry.id)} without encryption?`, "--yes")
    }
    const key = yield* Effect.acquireRelease(
      ask((keys) => keys.exportKey(entry)),
      (key) => Effect.sync(() => PrivateKey.wipe(key)),
      { interruptible: true }
    )
    const text = encrypt
      ? yield* Effect.mapError(
          PrivateKey.toEncryptedPem(key, yield* Passphrase.readNew({ newPassphrase, newPassphraseFile })),
          ofSigner
        )
      : format === "jwk"
        ? Redacted.make(`${JSON.stringify(Redacted.value(PrivateKey.toJwk(key)))}\n`)
        : PrivateKey.toPem(key)
    const bytes = yield* Effect.acquireRelease(
      Effect.sync(() => new TextEncoder().encode(Redacted.value(text))),
      (bytes) => Effect.sync(() => bytes.fill(0))
    )
    yield* Files.writeNew([{ path: out, bytes, mode: 0o600 }])
    yield* Output.print({ privateKeyFile: out, format, id: entry.id, algorithm: key.algorithm, encrypted: encrypt })
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Write the private half of a key into a new file that only you can read (mode 0600). Without encryption it is asked " +
      "whether you mean it. A watch-only key has none. A BIP341 key comes out as what it is: a BIP340 key."
  ),
  Command.withShortDescription("Write a private key into a file"),
  Command.withExamples([
    {
      command: "effect-signer keys export release --format encrypted-pem --new-passphrase --out release.pem",
      description: "Encrypted, for OpenSSL"
    }
  ])
)

/** Many keys in one store. */
export const keys = Command.make("keys").pipe(
  Command.withDescription(
    "Keep many keys in one encrypted file, each under an id, with tags, and one of them active: what a program opens with " +
      "FileKeyStore and KeyManager. For a key in a file of its own, or in the keyring, there is effect-signer key."
  ),
  Command.withShortDescription("Keep many keys in one encrypted store"),
  Command.withSubcommands([list, show, importKey, generate, use, disable, enable, remove, exportKey])
)
