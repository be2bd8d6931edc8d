/**
 * Signs with a key in an ssh-agent (RFC 9987): OpenSSH's own, `gpg-agent`, an
 * agent of a password manager or a hardware token, or `SshAgentServer`.
 *
 * **Details**
 *
 * | key in the agent | algorithm |
 * | --- | --- |
 * | `ssh-ed25519` | `Ed25519` |
 * | `ecdsa-sha2-nistp256` `-nistp384` `-nistp521` | `ES256` `ES384` `ES512` |
 * | `ssh-rsa` | `RS256` or `RS512`, which must be stated; never SHA-1 |
 *
 * The agent is given the whole message, so that a message is at most about
 * 262,000 bytes long: see `MessageTooLarge`. One connection serves all callers of
 * a Signer; it is opened anew after it broke, and what was under way fails with
 * `Retryable`. Certificates (`*-cert-v01@openssh.com`), security keys (`sk-*`) and
 * DSA keys in the agent are passed over, and are `UnsupportedAlgorithm` where one
 * of them is asked for.
 *
 * **Gotchas**
 *
 * An agent signs any bytes, and a login on a server is bytes that begin with the
 * identifier of a session. A message like that is `PolicyDenied` unless
 * `allowUserAuthentication`: nobody who may choose a message may log in with your
 * key. A key that signs for an application is still better not one that opens
 * servers.
 *
 * An agent gives no reason when it refuses. A list that has other keys and not
 * this one is `KeyNotFound`; an empty list is `KeyUnavailable`, because a locked
 * agent shows one; a refused signature by a key that is in the list is
 * `PermissionDenied`: the owner said no, or a constraint of the key did. None of
 * these is repeated; an agent that was started anew has no keys until somebody
 * adds them.
 *
 * An agent that asks its owner for each signature needs more time than the 10
 * seconds that an attempt of {@link layer} has: state `resilience: { timeout }`.
 *
 * **Example** (The key of a fingerprint, in the agent of the environment)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Signer } from "effect-signer"
 * import * as SshAgentSigner from "effect-signer/SshAgentSigner"
 *
 * const SignerLive = SshAgentSigner.layer({
 *   key: { fingerprint: "SHA256:q1JWcoA/aSFRvf+qy63Ss/W6Iew9DBZm6f496g3vPbc" }
 * })
 *
 * const program = Signer.sign(new TextEncoder().encode("hello")).pipe(Effect.provide(SignerLive))
 * ```
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { primitives } from "#primitives"
import type { RemoteOptions } from "../decorators/remote.ts"
import { layerRemote } from "../decorators/remote.ts"
import { fromBase64 } from "../schemas/BaseEncoding.ts"
import * as KeyId from "../schemas/KeyId.ts"
import { sameBytes } from "../schemas/KeyMaterial.ts"
import { attempt } from "../schemas/Malformed.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import * as SignatureAlgorithm from "../schemas/SignatureAlgorithm.ts"
import type { ErrorContext, SignerError } from "../schemas/SignerError.ts"
import {
  BackendUnavailable,
  InvalidConfiguration,
  InvalidResponse,
  KeyNotFound,
  KeyUnavailable,
  MessageTooLarge,
  PermissionDenied,
  PolicyDenied,
  Retryable,
  TimedOut,
  UnsupportedAlgorithm,
  VendorError
} from "../schemas/SignerError.ts"
import * as SshAgentFrame from "../schemas/SshAgentFrame.ts"
import * as SshMessage from "../schemas/SshMessage.ts"
import * as SshSignature from "../schemas/SshSignature.ts"
import type { Service } from "../services/Signer.ts"
import * as Signer from "../services/Signer.ts"
import type { Connection, Failure } from "./sshAgent/SshAgentConnection.ts"
import * as SshAgentConnection from "./sshAgent/SshAgentConnection.ts"

const backend = "ssh-agent"

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

/**
 * Which of the keys in the agent. A comment is what somebody has typed, and must
 * be that of one key only.
 *
 * @category models
 * @since 0.1.0
 */
export type KeySelector =
  | { readonly publicKey: PublicKey.PublicKey }
  /** As `ssh-add -l` shows it: `SHA256:` and 43 characters. */
  | { readonly fingerprint: string }
  /** An Ed25519 key as 52 characters of base32hex. */
  | { readonly id52: string }
  | { readonly comment: string }

/**
 * Options of {@link make} and {@link layerBare}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly key: KeySelector
  /**
   * The path of the socket, or of a named pipe on Windows
   * (`\\.\pipe\openssh-ssh-agent`). Default: `SSH_AUTH_SOCK`.
   */
  readonly socket?: string | undefined
  /** Needed for RSA keys that state none: `RS256` or `RS512`. */
  readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm | undefined
  /** Default: the fingerprint of the key, `SHA256:...`. */
  readonly keyId?: KeyId.KeyId | undefined
  readonly purpose?: string | undefined
  /** The most a request may take, with the time in which the agent asks its owner. Default one minute. */
  readonly timeout?: Duration.Input | undefined
  /** Sign also what could log in on an SSH server. Default `false`. */
  readonly allowUserAuthentication?: boolean | undefined
  /**
   * Do not ask the agent now. Not for a comment, and a fingerprint needs
   * `algorithm` with it.
   */
  readonly lazy?: boolean | undefined
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface LayerOptions extends Options, RemoteOptions {}

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

const unavailable = (context: ErrorContext, code: string | undefined, path: string) =>
  new Retryable({
    ...context,
    reason: new BackendUnavailable({ problem: `no answer from ${path}${code === undefined ? "" : ` (${code})`}` }),
    ...(code === undefined ? {} : { cause: new VendorError({ code }) })
  })

const denied: ReadonlyArray<string | undefined> = ["EACCES", "EPERM"]
const impossible: ReadonlyArray<string | undefined> = ["ENOTSOCK", "ENAMETOOLONG", "EINVAL", "ENOTDIR"]

const ofConnection = (context: ErrorContext, failure: Failure, path: string): SignerError => {
  switch (failure._tag) {
    case "NoSockets":
      return new InvalidConfiguration({
        ...context,
        field: "socket",
        problem: "this runtime has no unix sockets; Node, Bun and Deno have them"
      })
    case "Malformed":
      return new InvalidResponse({ ...context, problem: failure.problem })
    case "Unreachable": {
      const { code } = failure
      const cause = { cause: new VendorError(code === undefined ? {} : { code }) }
      return denied.includes(code)
        ? new PermissionDenied({ ...context, ...cause })
        : impossible.includes(code)
          ? new InvalidConfiguration({ ...context, field: "socket", problem: "this path is no socket", ...cause })
          : unavailable(context, code, path)
    }
  }
}

// ---------------------------------------------------------------------------
// keys of the agent
// ---------------------------------------------------------------------------

/** A key of the agent with one of our algorithms. */
interface AgentKey {
  readonly blob: Uint8Array
  readonly publicKey: PublicKey.PublicKey
}

const fingerprintOf = (blob: Uint8Array) =>
  `SHA256:${Base64.encode(primitives.digest("SHA-256", blob)).replace(/=+$/, "")}`

/**
 * A key in an agent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Identity {
  /** The kind of key as SSH names it: `ssh-ed25519`. */
  readonly type: string
  readonly fingerprint: string
  readonly comment: string
  /** Absent where the kind of key is not supported here. */
  readonly publicKey: PublicKey.PublicKey | undefined
  /** What the key can sign with here. */
  readonly algorithms: ReadonlyArray<SignatureAlgorithm.SignatureAlgorithm>
}

/** The agent of a socket, with errors of ours. */
interface Agent {
  readonly identities: (context: ErrorContext) => Effect.Effect<ReadonlyArray<SshAgentFrame.Identity>, SignerError>
  /** The signature, or `undefined` where the agent refuses. */
  readonly sign: (context: ErrorContext, frame: Uint8Array) => Effect.Effect<Uint8Array | undefined, SignerError>
}

const agentOf = (connection: Connection, timeout: Duration.Duration, path: string): Agent => {
  const request = (context: ErrorContext, frame: Uint8Array) =>
    connection.request(frame).pipe(
      Effect.mapError((failure) => ofConnection(context, failure, path)),
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () => Effect.fail(new Retryable({ ...context, reason: new TimedOut({ duration: timeout }) }))
      })
    )
  const unexpected = (context: ErrorContext): Effect.Effect<never, SignerError> =>
    Effect.fail(new InvalidResponse({ ...context, problem: "the agent answered another request" }))
  return {
    identities: (context) =>
      Effect.flatMap(request(context, SshAgentFrame.requestIdentities), (answer): ReturnType<Agent["identities"]> =>
        answer._tag === "Identities"
          ? Effect.succeed(answer.identities)
          : answer._tag === "Failure"
            ? Effect.fail(new KeyUnavailable({ ...context, state: "not shown: the agent refuses to list its keys" }))
            : unexpected(context)
      ),
    sign: (context, frame) =>
      Effect.flatMap(request(context, frame), (answer): ReturnType<Agent["sign"]> =>
        answer._tag === "Signature"
          ? Effect.succeed(answer.signature)
          : answer._tag === "Failure"
            ? Effect.undefined
            : unexpected(context)
      )
  }
}

/** Where the agent listens. */
const socketOf = (socket: string | undefined, context: ErrorContext): Effect.Effect<string, InvalidConfiguration> => {
  const environment = (globalThis as { readonly process?: { readonly env?: Record<string, string | undefined> } })
    .process?.env
  const path = socket ?? environment?.["SSH_AUTH_SOCK"]
  return path === undefined || path === "" || path.includes("\0")
    ? Effect.fail(
        new InvalidConfiguration({
          ...context,
          field: "socket",
          problem:
            socket === undefined
              ? "there is no agent: SSH_AUTH_SOCK is not set; start one with: eval $(ssh-agent)"
              : "must be the path of a socket"
        })
      )
    : Effect.succeed(path)
}

const connected = Effect.fnUntraced(function* (
  socket: string | undefined,
  timeout: Duration.Input | undefined,
  context: ErrorContext
): Effect.fn.Return<Agent, InvalidConfiguration, Scope.Scope> {
  const path = yield* socketOf(socket, context)
  const connection = yield* SshAgentConnection.make(path)
  return agentOf(connection, Duration.fromInputUnsafe(timeout ?? "1 minute"), path)
})

/**
 * The keys that an agent offers, in its order.
 *
 * **Gotchas**
 *
 * A locked agent offers none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const list = (
  options: { readonly socket?: string | undefined; readonly timeout?: Duration.Input | undefined } = {}
): Effect.Effect<ReadonlyArray<Identity>, SignerError> => {
  const context: ErrorContext = { backend, keyId: "-", operation: "publicKey" }
  return Effect.scoped(
    Effect.gen(function* () {
      const agent = yield* connected(options.socket, options.timeout, context)
      return yield* Effect.forEach(
        yield* agent.identities(context),
        Effect.fnUntraced(function* ({ blob, comment }): Effect.fn.Return<Identity> {
          const publicKey = yield* Effect.option(SshSignature.keyOfBlob(blob, "ssh"))
          return {
            type: SshSignature.nameOfBlob(blob) ?? "unknown",
            fingerprint: fingerprintOf(blob),
            comment,
            publicKey: Option.getOrUndefined(publicKey),
            algorithms: Option.isSome(publicKey) ? SshSignature.algorithmsOf(publicKey.value) : []
          }
        })
      )
    })
  )
}

// ---------------------------------------------------------------------------
// selection
// ---------------------------------------------------------------------------

/** How a key is told from others, and what is known of it before the agent is asked. */
interface Wanted {
  readonly keyId: string
  readonly known: AgentKey | undefined
  readonly matches: (identity: SshAgentFrame.Identity) => boolean
  readonly isComment: boolean
}

const invalidKey = (problem: string) => InvalidConfiguration.of({ backend, operation: "make", field: "key", problem })

const wantedKey = (publicKey: PublicKey.PublicKey) =>
  Effect.map(
    Effect.mapError(SshSignature.blobOfKey(publicKey, "key"), ({ problem }) => invalidKey(problem)),
    (blob): Wanted => ({
      keyId: fingerprintOf(blob),
      known: { blob, publicKey },
      matches: (identity) => sameBytes(identity.blob, blob),
      isComment: false
    })
  )

const selectors = ["publicKey", "fingerprint", "id52", "comment"]

const wantedOf = (selector: KeySelector): Effect.Effect<Wanted, InvalidConfiguration> => {
  const stated = Object.entries(selector ?? {}).filter(([, value]) => value !== undefined)
  if (stated.length !== 1 || !selectors.includes(stated[0]![0])) {
    return Effect.fail(invalidKey("state one of publicKey, fingerprint, id52 and comment"))
  }
  if ("publicKey" in selector) {
    return PublicKey.isPublicKey(selector.publicKey)
      ? wantedKey(selector.publicKey)
      : Effect.fail(invalidKey("publicKey is no PublicKey; read one with PublicKey.fromOpenSsh(line)"))
  }
  if ("id52" in selector) {
    return Effect.flatMap(
      Effect.mapError(PublicKey.fromId52(selector.id52), ({ problem }) => invalidKey(problem)),
      wantedKey
    )
  }
  if ("fingerprint" in selector) {
    const { fingerprint } = selector
    return typeof fingerprint === "string" &&
      /^SHA256:[A-Za-z0-9+/]{43}$/.test(fingerprint) &&
      fromBase64(`${fingerprint.slice("SHA256:".length)}=`) !== undefined
      ? Effect.succeed({
          keyId: fingerprint,
          known: undefined,
          matches: (identity) => fingerprintOf(identity.blob) === fingerprint,
          isComment: false
        })
      : Effect.fail(invalidKey("a fingerprint is SHA256: and 43 characters of base64, as ssh-add -l shows it"))
  }
  const { comment } = selector
  return typeof comment === "string" && comment !== ""
    ? Effect.succeed({
        keyId: comment,
        known: undefined,
        matches: (identity) => identity.comment === comment,
        isComment: true
      })
    : Effect.fail(invalidKey("a comment is text that is not empty"))
}

/** Why a key is not in the list: a locked agent shows an empty one (OpenSSH), as does one without keys. */
const absent = (context: ErrorContext, identities: ReadonlyArray<SshAgentFrame.Identity>): SignerError =>
  identities.length === 0
    ? new KeyUnavailable({ ...context, state: "not shown: the agent is locked, or has no keys" })
    : new KeyNotFound(context)

/** The one key that is wanted. */
const find = Effect.fnUntraced(function* (
  context: ErrorContext,
  wanted: Wanted,
  identities: ReadonlyArray<SshAgentFrame.Identity>
): Effect.fn.Return<AgentKey, SignerError> {
  const matching = identities.filter(wanted.matches)
  const usable: Array<AgentKey> = []
  for (const { blob } of matching) {
    const publicKey = yield* Effect.option(SshSignature.keyOfBlob(blob, "ssh"))
    if (Option.isSome(publicKey) && !usable.some((other) => sameBytes(other.blob, blob))) {
      usable.push({ blob: new Uint8Array(blob), publicKey: publicKey.value })
    }
  }
  if (usable.length > 1) {
    return yield* new InvalidConfiguration({
      ...context,
      field: "key",
      problem: `${usable.length} keys of the agent have this comment; state a fingerprint`
    })
  }
  if (usable[0] !== undefined) return usable[0]
  if (matching[0] !== undefined) {
    return yield* new UnsupportedAlgorithm({
      ...context,
      algorithm: SshSignature.nameOfBlob(matching[0].blob) ?? "unknown",
      problem: "certificates, security keys (sk-...), DSA keys and RSA keys below 2048 bits cannot sign here"
    })
  }
  return yield* absent(context, identities)
})

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/** The algorithm of a key: the one that is asked for, or the only one there is. */
const resolveAlgorithm = Effect.fnUntraced(function* (
  context: ErrorContext,
  publicKey: PublicKey.PublicKey,
  asked: SignatureAlgorithm.SignatureAlgorithm | undefined
): Effect.fn.Return<SignatureAlgorithm.SignatureAlgorithm, SignerError> {
  const candidates = SshSignature.algorithmsOf(publicKey)
  const stated = asked ?? publicKey.algorithm
  if (stated === undefined && candidates.length > 1) {
    return yield* new InvalidConfiguration({
      ...context,
      field: "algorithm",
      problem: `${publicKey.type} keys can do several; state one of ${candidates.join(", ")}`
    })
  }
  const algorithm = stated ?? candidates[0]!
  const cannot = unsupportedOf(context, algorithm)
  if (cannot !== undefined) return yield* cannot
  return yield* Effect.mapError(
    PublicKey.resolveAlgorithm(publicKey, algorithm),
    ({ problem }) => new InvalidConfiguration({ ...context, field: "algorithm", problem })
  )
})

const unsupportedOf = (context: ErrorContext, algorithm: SignatureAlgorithm.SignatureAlgorithm) =>
  SignatureAlgorithm.facts[algorithm]?.ssh === undefined
    ? new UnsupportedAlgorithm({
        ...context,
        algorithm,
        problem: `an ssh-agent cannot do it; it can do ${SshSignature.supported}`
      })
    : undefined

/** RFC 9987 section 6.3: an RSA key signs with SHA-1 unless a flag says otherwise. */
const flagsOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm): number =>
  algorithm === "RS256"
    ? SshAgentFrame.flags["rsa-sha2-256"]
    : algorithm === "RS512"
      ? SshAgentFrame.flags["rsa-sha2-512"]
      : 0

const makeLater = Effect.fnUntraced(function* (
  options: Options,
  isReadLater: boolean
): Effect.fn.Return<Service, SignerError, Scope.Scope> {
  const wanted = yield* wantedOf(options.key)
  const making: ErrorContext = { backend, keyId: options.keyId ?? wanted.keyId, operation: "make" }
  const asked = options.algorithm
  const cannot = asked === undefined ? undefined : unsupportedOf(making, asked)
  if (cannot !== undefined) return yield* cannot
  const agent = yield* connected(options.socket, options.timeout, making)
  const read = (context: ErrorContext) =>
    Effect.flatMap(agent.identities(context), (identities) => find(context, wanted, identities))

  if (options.lazy === true && (wanted.isComment || (wanted.known === undefined && asked === undefined))) {
    return yield* new InvalidConfiguration({
      ...making,
      field: "lazy",
      problem: wanted.isComment
        ? "a comment is looked up at once; state a fingerprint or a public key"
        : "a fingerprint says nothing of the algorithm; state algorithm, too"
    })
  }
  // What was once found is the key, whatever gets its comment later
  let key = wanted.known
  if (options.lazy !== true && (key === undefined || !isReadLater)) key = yield* read(making)
  const algorithm =
    key === undefined ? asked! : yield* resolveAlgorithm(making, wanted.known?.publicKey ?? key.publicKey, asked)
  const keyId = options.keyId ?? KeyId.make(key === undefined ? wanted.keyId : fingerprintOf(key.blob))
  const flags = flagsOf(algorithm)
  const name = SignatureAlgorithm.facts[algorithm].ssh!

  const found = (context: ErrorContext) =>
    key === undefined
      ? Effect.tap(read(context), (read) =>
          Effect.sync(() => {
            key = read
          })
        )
      : Effect.succeed(key)

  /** Why the agent refused, as far as its list tells. */
  const refusal = (context: ErrorContext, { blob }: AgentKey): Effect.Effect<never, SignerError> =>
    Effect.flatMap(agent.identities(context), (identities) =>
      Effect.fail(
        identities.some((identity) => sameBytes(identity.blob, blob))
          ? new PermissionDenied(context)
          : absent(context, identities)
      )
    )

  const sign = Effect.fnUntraced(function* (
    message: Uint8Array
  ): Effect.fn.Return<Signer.BackendSignature, SignerError> {
    const context: ErrorContext = { backend, keyId, operation: "sign" }
    if (options.allowUserAuthentication !== true && SshMessage.kindOf(message)._tag === "UserAuthentication") {
      return yield* new PolicyDenied({ ...context, rule: "no-user-authentication" })
    }
    const key = yield* found(context)
    const limit = SshAgentFrame.maxDataLength(key.blob)
    if (message.length > limit) {
      return yield* new MessageTooLarge({ ...context, length: message.length, limit, advice: tooLargeAdvice })
    }
    const signature = yield* agent.sign(context, SshAgentFrame.signRequest(key.blob, message, flags))
    if (signature === undefined) return yield* refusal(context, key)
    const decoded = yield* Effect.mapError(
      attempt(() => SshSignature.decode(signature, key.publicKey, "signature")),
      ({ problem }) => new InvalidResponse({ ...context, problem })
    )
    if (decoded.algorithm !== algorithm) {
      return yield* new InvalidResponse({
        ...context,
        problem: `a signature by ${SignatureAlgorithm.facts[decoded.algorithm].ssh}, and ${name} was asked for`
      })
    }
    return { bytes: decoded.bytes }
  })

  return yield* Signer.make(
    {
      name: backend,
      keyId,
      algorithm,
      input: "message",
      maxMessageLength: key === undefined ? undefined : SshAgentFrame.maxDataLength(key.blob),
      tooLargeAdvice,
      // RFC 9987 has no versions of a key
      publicKey: (version) => {
        const context: ErrorContext = { backend, keyId, operation: "publicKey" }
        return version === undefined
          ? Effect.map(read(context), ({ publicKey }) => publicKey)
          : Effect.fail(KeyNotFound.version(context, version))
      },
      sign
    },
    { purpose: options.purpose, lazy: isReadLater, expectedPublicKey: key?.publicKey }
  )
})

const tooLargeAdvice = "an agent takes frames of 262144 bytes; sign a digest in a format that has one: Sshsig"

/**
 * A Signer with a key in an ssh-agent, without retries and without verification.
 *
 * **Details**
 *
 * Asks the agent for the key before it returns, unless `lazy`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Service, SignerError, Scope.Scope> =>
  makeLater(options, options.lazy === true)

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Provides a `Signer` with a key in an ssh-agent: one request per signature, no
 * retry, nothing verified or observed. Decorate it yourself.
 *
 * @see {@link layer}
 * @category layers
 * @since 0.1.0
 */
export const layerBare = (options: Options): Layer.Layer<Signer.Signer, SignerError> =>
  Layer.effect(Signer.Signer, make(options))

/**
 * Provides a `Signer` with a key in an ssh-agent: resilient, verified and
 * observed.
 *
 * **Details**
 *
 * 10 s per attempt, three more attempts after `Retryable`, each signature verified
 * here before it is returned. The agent is asked for the key while the layer is
 * built, so that an agent that does not run, and a key that it does not have, fail
 * there.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: LayerOptions): Layer.Layer<Signer.Signer, SignerError> =>
  layerRemote({ backend, keyId: options.keyId ?? "-" }, makeLater(options, true), options)

// ---------------------------------------------------------------------------
// config
// ---------------------------------------------------------------------------

/**
 * What {@link layerConfig} reads.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConfigOptions {
  readonly socket?: string | undefined
  readonly key: KeySelector
  readonly algorithm?: SignatureAlgorithm.SignatureAlgorithm | undefined
  readonly purpose?: string | undefined
}

const optional = <A>(config: Config.Config<A>) => Config.map(Config.option(config), Option.getOrUndefined)

/** A fingerprint and an ID52 cannot be mistaken for each other; anything else is a comment. */
const selectorOf = (text: string): KeySelector =>
  text.startsWith("SHA256:") ? { fingerprint: text } : /^[0-9a-v]{52}$/.test(text) ? { id52: text } : { comment: text }

/**
 * The options in the environment.
 *
 * **Details**
 *
 * | variable | option |
 * | --- | --- |
 * | `SSH_AUTH_SOCK` | `socket` |
 * | `A1_SSH_AGENT_KEY` | `key`: a fingerprint `SHA256:...`, an ID52, or a comment |
 * | `A1_SSH_AGENT_ALGORITHM` | `algorithm`; needed for RSA |
 *
 * @category config
 * @since 0.1.0
 */
export const environment: Config.Config<ConfigOptions> = Config.all({
  socket: optional(Config.NonEmptyString("SSH_AUTH_SOCK")),
  key: Config.map(Config.NonEmptyString("A1_SSH_AGENT_KEY"), selectorOf),
  algorithm: optional(Config.schema(SignatureAlgorithm.SignatureAlgorithm, "A1_SSH_AGENT_ALGORITHM"))
})

/**
 * Provides a `Signer` with a key that `Config` names, as {@link layer} does.
 * Without an argument it reads the {@link environment}.
 *
 * **Example** (A key from the environment)
 *
 * ```ts
 * import * as SshAgentSigner from "effect-signer/SshAgentSigner"
 *
 * const SignerLive = SshAgentSigner.layerConfig()
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  config: Config.Wrap<ConfigOptions> = environment
): Layer.Layer<Signer.Signer, SignerError | Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), layer))
