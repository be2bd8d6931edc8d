/**
 * `effect-signer agent list` and `effect-signer agent serve`
 *
 * @category internal
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as LocalSigner from "../../layers/LocalSigner.ts"
import * as SshAgentServer from "../../layers/SshAgentServer.ts"
import * as SshAgentSigner from "../../layers/SshAgentSigner.ts"
import * as SshSignature from "../../schemas/SshSignature.ts"
import { fail, failure, ofSigner, plain, shownPath } from "../Failure.ts"
import * as Files from "../Files.ts"
import * as KeyFile from "../KeyFile.ts"
import * as Output from "../Output.ts"
import * as Passphrase from "../Passphrase.ts"
import * as SignerSource from "../SignerSource.ts"

/** A variable of the environment, where it is set. An empty one was meant to hold something. */
const variable = (name: string) =>
  Config.option(Config.String(name)).pipe(
    Effect.mapError(() => failure(`${name} cannot be read`)),
    Effect.tap((value) =>
      Option.isSome(value) && value.value === "" ? fail(`${name} is empty; or state --socket PATH`) : Effect.void
    )
  )

// ---------------------------------------------------------------------------
// list
// ---------------------------------------------------------------------------

const list = Command.make(
  "list",
  {
    socket: Flag.String("socket").pipe(
      Flag.withMetavar("PATH"),
      Flag.withDescription("The socket of the agent. Default: $SSH_AUTH_SOCK"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ socket: stated }) {
    const socket = Option.isSome(stated) ? stated : yield* variable("SSH_AUTH_SOCK")
    if (Option.isNone(socket)) return yield* fail("there is no agent: SSH_AUTH_SOCK is not set; or state --socket PATH")
    const keys = yield* Effect.mapError(SshAgentSigner.list({ socket: socket.value }), ofSigner)
    if (yield* Output.Json) {
      return yield* Output.print({
        keys: keys.map(({ algorithms, comment, fingerprint, type }) => ({ fingerprint, type, comment, algorithms }))
      })
    }
    if (keys.length === 0) yield* Output.note("the agent has no keys, or is locked")
    for (const { algorithms, comment, fingerprint, type } of keys) {
      const use = algorithms.length === 0 ? `${type}, not supported` : algorithms.join(" or ")
      yield* Output.write(`${fingerprint} ${plain(comment)} (${use})\n`)
    }
  })
).pipe(
  Command.withDescription("List the keys of an ssh-agent and what each can sign with here."),
  Command.withShortDescription("List the keys of an ssh-agent"),
  Command.withExamples([{ command: "effect-signer agent list", description: "The keys of the agent of this shell" }])
)

// ---------------------------------------------------------------------------
// serve
// ---------------------------------------------------------------------------

/** The Signers of a key file: an RSA key that states no algorithm has two. */
const signersOfFile = Effect.fnUntraced(function* (path: string, source: Passphrase.Source) {
  const privateKey = yield* KeyFile.privateKey(yield* KeyFile.open(path), source)
  const algorithms =
    privateKey.algorithm === undefined ? SshSignature.algorithmsOf(privateKey.publicKey) : [privateKey.algorithm]
  if (algorithms.length === 0) {
    return yield* fail(`${shownPath(path)}: SSH has no ${privateKey.type} keys; it has ${SshSignature.supported}`)
  }
  return yield* Effect.forEach(algorithms, (algorithm) =>
    Effect.mapError(LocalSigner.make({ privateKey, algorithm }), ofSigner)
  )
}, Effect.scoped)

/** As a shell reads it back. */
const quoted = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)

const defaultSocket = Effect.map(
  variable("XDG_RUNTIME_DIR"),
  Option.map((folder) => `${folder}/effect-signer/agent.sock`)
)

const serve = Command.make(
  "serve",
  {
    key: Flag.String("key").pipe(
      Flag.withAlias("k"),
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "A private key: PEM, JWK, DER or an encrypted key file, or - for standard input. May be stated several times"
      ),
      Flag.atLeast(0)
    ),
    ...SignerSource.flags,
    socket: Flag.String("socket").pipe(
      Flag.withMetavar("PATH"),
      Flag.withDescription("Where to listen. Default: $XDG_RUNTIME_DIR/effect-signer/agent.sock"),
      Flag.optional
    ),
    comment: Flag.String("comment").pipe(
      Flag.withMetavar("TEXT"),
      Flag.withDescription("What ssh-add -l shows beside each key. Default: the URN of the key"),
      Flag.optional
    ),
    only: Flag.String("only-namespace").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription(
        "Sign nothing but SSHSIG signatures for this namespace: git, file... May be stated several times"
      ),
      Flag.atLeast(0)
    ),
    noLogin: Flag.Boolean("no-login").pipe(
      Flag.withDescription("Sign nothing that could log in on an SSH server"),
      Flag.withDefault(false),
      Flag.withoutNegation
    ),
    ...Passphrase.flags
  },
  Effect.fnUntraced(function* ({ comment, key, noLogin, only, socket: stated, ...source }) {
    if (key.length === 0 && !SignerSource.isStated(source)) {
      return yield* fail("there is no key to serve: state --key FILE, --config FILE or --signer-env PREFIX")
    }
    if (Option.isSome(source.config) && Option.isSome(source.signerEnv)) {
      return yield* fail("state --config FILE or --signer-env PREFIX; only one of them")
    }
    yield* Files.checkInputs([...key, ...SignerSource.inputs(source), ...Passphrase.inputs(source)], {
      asksPassphrase: source.passphrase
    })
    const socket = Option.isSome(stated) ? stated : yield* defaultSocket
    if (Option.isNone(socket))
      return yield* fail("XDG_RUNTIME_DIR is not set; state where to listen with --socket PATH")
    const signers = [
      ...(yield* Effect.forEach(key, (path) => signersOfFile(path, source))).flat(),
      ...(SignerSource.isStated(source) ? [yield* SignerSource.open(source)] : [])
    ]
    const server = yield* Effect.mapError(
      SshAgentServer.make({
        socket: socket.value,
        keys: signers.map((signer) => ({ signer, comment: Option.getOrUndefined(comment) })),
        ...(only.length === 0 && !noLogin
          ? {}
          : {
              rules: [
                ...(only.length === 0 ? [] : [SshAgentServer.onlySshsig(...only)]),
                ...(noLogin ? [SshAgentServer.noUserAuthentication] : [])
              ]
            })
      }),
      ofSigner
    )
    const keys = server.keys.map(({ algorithms, comment, fingerprint }) => ({ fingerprint, comment, algorithms }))
    if (yield* Output.Json) yield* Output.print({ socket: server.socket, keys })
    else {
      for (const { algorithms, comment, fingerprint } of keys) {
        yield* Output.write(`# ${fingerprint} ${plain(comment)} (${algorithms.join(" or ")})\n`)
      }
      yield* Output.write(`export SSH_AUTH_SOCK=${quoted(plain(server.socket))}\n`)
      yield* Output.note("serving until it is interrupted")
    }
    return yield* Effect.never
  }, Effect.scoped)
).pipe(
  Command.withDescription(
    "Serve keys as an ssh-agent, so that ssh, ssh-keygen -Y sign and git sign with them: keys from files, or one of " +
      "any backend that a configuration names. Runs until it is interrupted; the socket is removed then."
  ),
  Command.withShortDescription("Serve keys as an ssh-agent"),
  Command.withExamples([
    {
      command: "effect-signer agent serve --config release.json --only-namespace git",
      description: "Git signs with a key of Vault, of a cloud or of an HSM, and nothing else is signed"
    },
    {
      command: "effect-signer agent serve --key release.pem --socket /run/user/1000/release/agent.sock",
      description: "A key in a file; export SSH_AUTH_SOCK as it prints it"
    }
  ])
)

/** What has to do with ssh-agents. */
export const agent = Command.make("agent").pipe(
  Command.withDescription("List the keys of an ssh-agent, or be one."),
  Command.withShortDescription("List the keys of an ssh-agent, or be one"),
  Command.withSubcommands([list, serve])
)
