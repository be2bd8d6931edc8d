/**
 * Serves Signers as an ssh-agent (RFC 9987) on a unix socket, so that `ssh`,
 * `ssh-keygen -Y sign` and `git` sign with a key in a KMS.
 *
 * **Details**
 *
 * Lists its keys and signs with them; everything else (adding, removing and
 * locking keys, extensions) is answered with a failure, as the protocol has it for
 * what an agent does not do. An RSA key is served by a Signer for `RS512`, by one
 * for `RS256`, or by both; SHA-1 is refused.
 *
 * The socket has mode 0600 and is in a folder that others may not write to; a
 * folder that does not exist is made with mode 0700. A socket that was left behind
 * is replaced, one that answers is not, and neither is one of another user or a
 * file that is no socket. It is removed when the scope ends.
 *
 * Nothing is logged. What is signed is seen by the Signers, and by their
 * decorators: `Signer.audited` writes down every signature.
 *
 * **Gotchas**
 *
 * Whoever may open the socket may sign, as with any agent: root, and every process
 * of the same user. `rules` limit what: {@link onlySshsig} and
 * {@link noUserAuthentication}.
 *
 * **Example** (Git signs with a key of the application)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { LocalSigner } from "effect-signer"
 * import * as SshAgentServer from "effect-signer/SshAgentServer"
 *
 * const AgentLive = SshAgentServer.layer({
 *   socket: "/run/user/1000/effect-signer/agent.sock",
 *   rules: SshAgentServer.onlySshsig("git")
 * }).pipe(Layer.provide(LocalSigner.layerGenerated("Ed25519")))
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Rule } from "../decorators/guard.ts"
import { guardSigner } from "../decorators/guard.ts"
import { sameBytes } from "../schemas/KeyMaterial.ts"
import { attempt, Malformed } from "../schemas/Malformed.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import * as SignatureAlgorithm from "../schemas/SignatureAlgorithm.ts"
import type { SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration, Retryable, TimedOut, UnsupportedAlgorithm } from "../schemas/SignerError.ts"
import * as SshAgentFrame from "../schemas/SshAgentFrame.ts"
import * as SshMessage from "../schemas/SshMessage.ts"
import * as SshSignature from "../schemas/SshSignature.ts"
import type { Service } from "../services/Signer.ts"
import { Signer } from "../services/Signer.ts"
import type { Socket } from "./sshAgent/NodeNet.ts"
import * as SshAgentSocket from "./sshAgent/SshAgentSocket.ts"

const backend = "ssh-agent-server"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * A key to serve.
 *
 * @category models
 * @since 0.1.0
 */
export interface Key {
  readonly signer: Service
  /** What `ssh-add -l` shows beside the key, 1024 bytes at most. Default: the URN of the key, `urn:kms:...`. */
  readonly comment?: string | undefined
}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Where the socket shall be, in 80 bytes or so. */
  readonly socket: string
  /** What may be signed, asked for each signature, for all keys. Default: anything. */
  readonly rules?: Rule | ReadonlyArray<Rule> | undefined
  /** Clients at the same time; more are turned away. Default 64. */
  readonly connections?: number | undefined
  /** Signatures at the same time, of all clients together. Default 32. */
  readonly concurrency?: number | undefined
  /** The most a signature may take. Default one minute. */
  readonly timeout?: Duration.Input | undefined
  /** How long a client may be silent, also within a request. Default ten minutes. */
  readonly idleTimeout?: Duration.Input | undefined
}

/**
 * A key as it is served.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServedKey {
  readonly publicKey: PublicKey.PublicKey
  readonly fingerprint: string
  readonly comment: string
  readonly algorithms: ReadonlyArray<SignatureAlgorithm.SignatureAlgorithm>
}

/**
 * A running agent.
 *
 * @category services
 * @since 0.1.0
 */
export class SshAgentServer extends Context.Service<
  SshAgentServer,
  {
    /** The path for `SSH_AUTH_SOCK`. */
    readonly socket: string
    readonly keys: ReadonlyArray<ServedKey>
  }
>()("effect-signer/SshAgentServer") {}

// ---------------------------------------------------------------------------
// rules
// ---------------------------------------------------------------------------

/**
 * A rule: only signatures in the format SSHSIG (`ssh-keygen -Y sign`, git), and
 * with a name only in these namespaces. Git's is `git`, that of files is `file`.
 *
 * **Gotchas**
 *
 * The namespace is what the client says it is: it tells apart what signatures are
 * good for, not who asked.
 *
 * @category guards
 * @since 0.1.0
 */
export const onlySshsig = (...namespaces: ReadonlyArray<string>): Rule => ({
  name: namespaces.length === 0 ? "only-sshsig" : `only-sshsig ${namespaces.join(" ")}`,
  permits: ({ message }) => {
    const kind = SshMessage.kindOf(message)
    return kind._tag === "Sshsig" && (namespaces.length === 0 || namespaces.includes(kind.namespace))
  }
})

/**
 * A rule: nothing that could log in on an SSH server (RFC 4252 section 7).
 *
 * @category guards
 * @since 0.1.0
 */
export const noUserAuthentication: Rule = {
  name: "no-user-authentication",
  permits: ({ message }) => SshMessage.kindOf(message)._tag !== "UserAuthentication"
}

// ---------------------------------------------------------------------------
// keys
// ---------------------------------------------------------------------------

interface Entry {
  readonly blob: Uint8Array
  readonly comment: string
  readonly publicKey: PublicKey.PublicKey
  readonly signers: Array<Service>
}

const maxCommentLength = 1024

const invalid = (field: string, problem: string) =>
  new InvalidConfiguration({ backend, keyId: "-", operation: "make", field, problem })

/** Keys by their blobs: an RSA key may have a Signer for each of its algorithms. */
const entriesOf = Effect.fnUntraced(function* (
  keys: ReadonlyArray<Key>,
  rules: Options["rules"]
): Effect.fn.Return<ReadonlyArray<Entry>, SignerError> {
  if (keys.length === 0) return yield* invalid("keys", "there is no key to serve")
  const entries: Array<Entry> = []
  for (const { comment, signer } of keys) {
    const { algorithm, keyId } = signer
    if (SignatureAlgorithm.facts[algorithm].ssh === undefined) {
      return yield* new UnsupportedAlgorithm({
        backend,
        keyId,
        operation: "make",
        algorithm,
        problem: `SSH does not have it; it has ${SshSignature.supported}`
      })
    }
    const blob = yield* SshSignature.blobOfKey(yield* signer.publicKey(), "keys")
    // The key alone, without the one algorithm of this Signer
    const publicKey = yield* SshSignature.keyOfBlob(blob, "keys")
    const guarded = rules === undefined ? signer : guardSigner(rules)(signer)
    const same = entries.find((entry) => sameBytes(entry.blob, blob))
    if (same === undefined) {
      const shown = comment ?? PublicKey.keyId(publicKey)
      if (new TextEncoder().encode(shown).length > maxCommentLength || /\p{Cc}/u.test(shown)) {
        return yield* invalid("comment", `must have ${maxCommentLength} bytes at most and no control characters`)
      }
      entries.push({ blob, comment: shown, publicKey, signers: [guarded] })
    } else if (same.signers.some((other) => other.algorithm === algorithm)) {
      return yield* invalid(
        "keys",
        `two Signers have the same key and algorithm: ${PublicKey.sshFingerprint(publicKey)}`
      )
    } else {
      same.signers.push(guarded)
    }
  }
  const list = SshAgentFrame.identitiesAnswer(entries)
  return list.length > SshAgentFrame.maxLength ? yield* invalid("keys", "the list of all keys is too long") : entries
})

const knownFlags = SshAgentFrame.flags["rsa-sha2-256"] | SshAgentFrame.flags["rsa-sha2-512"]

/**
 * RFC 9987 section 6.3: a flag that is not supported is a failure, and without one an RSA key would sign with SHA-1.
 * Other keys pass over those of RSA, as OpenSSH does.
 */
const algorithmOf = (publicKey: PublicKey.PublicKey, flags: number) =>
  (flags & ~knownFlags) !== 0
    ? undefined
    : publicKey.type !== "RSA"
      ? SshSignature.algorithmsOf(publicKey)[0]
      : flags & SshAgentFrame.flags["rsa-sha2-256"]
        ? "RS256"
        : flags & SshAgentFrame.flags["rsa-sha2-512"]
          ? "RS512"
          : undefined

/** As many signatures at once, and as long, as the options allow. */
type Limited = (sign: ReturnType<Service["sign"]>) => ReturnType<Service["sign"]>

/** The answer to a frame; a client hears of no reason. */
const answering = (entries: ReadonlyArray<Entry>, limited: Limited) => {
  const list = SshAgentFrame.identitiesAnswer(entries)
  const sign = Effect.fnUntraced(function* (
    request: Extract<SshAgentFrame.Request, { readonly _tag: "SignRequest" }>
  ): Effect.fn.Return<Uint8Array, SignerError> {
    const entry = entries.find(({ blob }) => sameBytes(blob, request.blob))
    const algorithm = entry === undefined ? undefined : algorithmOf(entry.publicKey, request.flags)
    const signer = entry?.signers.find((signer) => signer.algorithm === algorithm)
    if (entry === undefined || signer === undefined) return SshAgentFrame.failure
    const { bytes, keyVersion } = yield* limited(signer.sign(request.data))
    // A key that was rotated since is another key than the one that is served
    const isSame = keyVersion === undefined || PublicKey.sameKey(yield* signer.publicKey(keyVersion), entry.publicKey)
    return isSame ? SshAgentFrame.signResponse(SshSignature.encode(signer.algorithm, bytes)) : SshAgentFrame.failure
  })
  return (frame: Uint8Array): Effect.Effect<Uint8Array> =>
    attempt(() => SshAgentFrame.decodeRequest(frame)).pipe(
      Effect.flatMap((request): Effect.Effect<Uint8Array, SignerError> =>
        request._tag === "RequestIdentities"
          ? Effect.succeed(list)
          : request._tag === "SignRequest"
            ? sign(request)
            : // Section 5.7: an extension that is not known has this answer, too
              Effect.succeed(SshAgentFrame.failure)
      ),
      Effect.catchCause(() => Effect.succeed(SshAgentFrame.failure))
    )
}

// ---------------------------------------------------------------------------
// clients
// ---------------------------------------------------------------------------

/** Requests of one client that are answered at the same time; more are read when one of them is done. */
const maxPipelined = 32

type Run = (effect: Effect.Effect<void>) => Fiber.Fiber<void>

/** Serves one client until either side has enough. Answers go out in the order of the requests (section 3). */
const serve = (
  socket: Socket,
  run: Run,
  answer: (frame: Uint8Array) => Effect.Effect<Uint8Array>,
  idleMillis: number,
  clock: Clock.Clock
) => {
  const frames = new SshAgentFrame.Frames()
  const slots: Array<{ answer: Uint8Array | undefined; fiber: Fiber.Fiber<void> | undefined }> = []
  const state = { isOpen: true, isFull: false, isPumping: false, activeAt: clock.currentTimeMillisUnsafe() }

  const flush = () => {
    while (state.isOpen && slots[0]?.answer !== undefined) {
      if (!socket.write(slots.shift()!.answer!)) state.isFull = true
      state.activeAt = clock.currentTimeMillisUnsafe()
    }
  }

  const pump = () => {
    if (state.isPumping) return // an answer that is there at once: the loop goes on below
    state.isPumping = true
    try {
      while (state.isOpen && !state.isFull && slots.length < maxPipelined) {
        const frame = frames.next()
        if (frame === undefined) return socket.resume()
        const slot: (typeof slots)[number] = { answer: undefined, fiber: undefined }
        slots.push(slot)
        slot.fiber = run(
          Effect.map(answer(new Uint8Array(frame)), (bytes) => {
            slot.answer = bytes
            flush()
            pump()
          })
        )
      }
      socket.pause()
    } catch (error) {
      if (!(error instanceof Malformed)) throw error
      socket.destroy()
    } finally {
      state.isPumping = false
    }
  }

  const watch = run(
    Effect.gen(function* () {
      while (state.isOpen) {
        const left = state.activeAt + idleMillis - clock.currentTimeMillisUnsafe()
        if (left <= 0 && (state.isFull || slots.length === 0)) return socket.destroy()
        yield* Effect.sleep(Duration.millis(left <= 0 ? idleMillis : left))
      }
    })
  )

  socket.on("data", (chunk) => {
    state.activeAt = clock.currentTimeMillisUnsafe()
    frames.push(chunk)
    pump()
  })
  socket.on("drain", () => {
    state.isFull = false
    pump()
  })
  socket.on("error", () => socket.destroy())
  socket.on("close", () => {
    state.isOpen = false
    watch.interruptUnsafe()
    for (const { fiber } of slots.splice(0)) fiber?.interruptUnsafe()
  })
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

const count = (field: string, value: number | undefined, otherwise: number) =>
  value === undefined
    ? Effect.succeed(otherwise)
    : Number.isInteger(value) && value >= 1 && value <= 10_000
      ? Effect.succeed(value)
      : Effect.fail(invalid(field, "must be a whole number from 1 to 10000"))

/**
 * Serves keys until the scope ends.
 *
 * **Details**
 *
 * Reads the public key of each Signer first. Fails with `InvalidConfiguration`
 * where the socket cannot be made, and with `UnsupportedAlgorithm` for a Signer
 * whose algorithm SSH does not have.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options & { readonly keys: ReadonlyArray<Key> }
): Effect.fn.Return<SshAgentServer["Service"], SignerError, Scope.Scope> {
  const connections = yield* count("connections", options.connections, 64)
  const semaphore = yield* Semaphore.make(yield* count("concurrency", options.concurrency, 32))
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "1 minute")
  const idleMillis = Math.max(1, Duration.toMillis(Duration.fromInputUnsafe(options.idleTimeout ?? "10 minutes")))
  const entries = yield* entriesOf(options.keys.slice(), options.rules)
  const clock = yield* Clock.Clock
  const run = yield* FiberSet.makeRuntime<never, void, never>()
  const answer = answering(entries, (self) =>
    Effect.timeoutOrElse(semaphore.withPermit(self), {
      duration: timeout,
      orElse: () =>
        Effect.fail(
          new Retryable({ backend, keyId: "-", operation: "sign", reason: new TimedOut({ duration: timeout }) })
        )
    })
  )
  yield* SshAgentSocket.listen(options.socket, connections, (socket) => serve(socket, run, answer, idleMillis, clock))
  return {
    socket: options.socket,
    keys: entries.map(({ comment, publicKey, signers }) => ({
      publicKey,
      fingerprint: PublicKey.sshFingerprint(publicKey)!,
      comment,
      algorithms: signers.map(({ algorithm }) => algorithm)
    }))
  }
})

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * Serves the Signer of the environment, or the ones that are given, for as long as
 * the layer lives.
 *
 * **Example** (Several keys)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LocalSigner, PrivateKey } from "effect-signer"
 * import * as SshAgentServer from "effect-signer/SshAgentServer"
 *
 * const AgentLive = Layer.unwrap(
 *   Effect.gen(function*() {
 *     const git = yield* LocalSigner.make({ privateKey: PrivateKey.generate("Ed25519") })
 *     const releases = yield* LocalSigner.make({ privateKey: PrivateKey.generate("ES256") })
 *     return SshAgentServer.layer({
 *       socket: "/run/user/1000/effect-signer/agent.sock",
 *       keys: [{ signer: git, comment: "git" }, { signer: releases, comment: "releases" }]
 *     })
 *   })
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: {
  (options: Options & { readonly keys: ReadonlyArray<Key> }): Layer.Layer<SshAgentServer, SignerError>
  (options: Options): Layer.Layer<SshAgentServer, SignerError, Signer>
} = ((options: Options & { readonly keys?: ReadonlyArray<Key> | undefined }) =>
  Layer.effect(
    SshAgentServer,
    options.keys === undefined
      ? Signer.use((signer) => make({ ...options, keys: [{ signer }] }))
      : make({ ...options, keys: options.keys })
  )) as never
