/**
 * One key and one fully specified algorithm, as a service.
 *
 * A message takes one straight path: decorators, outermost first
 * (`src/decorators`), then {@link make}'s own steps here (copy, size, digest,
 * one backend call, canonical signature), then the {@link Backend} in
 * `src/layers`.
 *
 * @since 0.1.0
 */
import * as Cache from "effect/Cache"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Request from "effect/Request"
import * as RequestResolver from "effect/RequestResolver"
import type * as Scope from "effect/Scope"
import { primitives } from "#primitives"
import { isBytes } from "../schemas/Bytes.ts"
import * as Ecdsa from "../schemas/Ecdsa.ts"
import type { KeyId } from "../schemas/KeyId.ts"
import type { KeyVersion } from "../schemas/KeyVersion.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import { Signature } from "../schemas/Signature.ts"
import * as SignatureAlgorithm from "../schemas/SignatureAlgorithm.ts"
import type { ErrorContext, SignerError } from "../schemas/SignerError.ts"
import { InvalidConfiguration, InvalidResponse, MessageTooLarge, Retryable, TimedOut } from "../schemas/SignerError.ts"
import { Observation } from "./Observation.ts"

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * Signs with one key and one algorithm.
 *
 * **Details**
 *
 * `sign` takes the whole message, copies it once (or reads it at once, where a local key signs right away) and hashes it where the backend
 * wants a digest. `publicKey` is cached and single flight: see
 * {@link MakeOptions}. Both have `R = never`: a Signer owns what it needs.
 *
 * **Example** (Signing with whatever key the application provides)
 *
 * ```ts
 * import { Effect } from "effect"
 * import { Signer } from "effect-signer"
 *
 * const program = Effect.gen(function*() {
 *   const signer = yield* Signer.Signer
 *   return yield* signer.sign(new TextEncoder().encode("hello"))
 * })
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class Signer extends Context.Service<
  Signer,
  {
    /** Which backend holds the key: `"local"`, `"aws-kms"`... */
    readonly backend: string
    /** How the backend names the key. */
    readonly keyId: KeyId
    readonly algorithm: SignatureAlgorithm.SignatureAlgorithm
    /** What this key may sign for. Protocols and guards enforce it. */
    readonly purpose?: string | undefined
    /** The public half of the key, of the current version unless one is named. */
    readonly publicKey: (version?: KeyVersion) => Effect.Effect<PublicKey.PublicKey, SignerError>
    /** Signs the whole message. */
    readonly sign: (message: Uint8Array) => Effect.Effect<Signature, SignerError>
  }
>()("effect-signer/Signer") {}

/**
 * What a {@link Signer} is, as a value.
 *
 * @category models
 * @since 0.1.0
 */
export type Service = Signer["Service"]

/**
 * A key for a second Signer in the same application, of the same shape.
 *
 * **Example** (Two keys in one program)
 *
 * ```ts
 * import { Signer } from "effect-signer"
 *
 * class RootSigner extends Signer.Tag<RootSigner>()("app/RootSigner") {}
 * ```
 *
 * @see {@link as} to provide any Signer layer under it
 * @category services
 * @since 0.1.0
 */
export const Tag =
  <Self>() =>
  <const Identifier extends string>(identifier: Identifier) =>
    Context.Service<Self, Service>()(identifier)

// ---------------------------------------------------------------------------
// backend
// ---------------------------------------------------------------------------

/**
 * What one backend call returns: canonical bytes (raw `r‖s`, never DER), and
 * the version that signed where the backend has versions.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackendSignature {
  readonly bytes: Uint8Array
  readonly keyVersion?: KeyVersion | undefined
}

/**
 * What a key holder must provide. {@link make} derives the rest.
 *
 * **Details**
 *
 * `sign` makes one attempt and never retries. It is given the message, or the
 * digest by the algorithm's hash where `input` is `"digest"`. The buffer is the
 * Signer's own copy: it never changes and must not be changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Backend {
  readonly name: string
  readonly keyId: KeyId
  readonly algorithm: SignatureAlgorithm.SignatureAlgorithm
  readonly input: "message" | "digest"
  /** Bytes; longer messages fail with `MessageTooLarge` and reach nobody. AWS KMS Ed25519: 4096. */
  readonly maxMessageLength?: number | undefined
  /** What to do about a message that is too long; shown in the error. */
  readonly tooLargeAdvice?: string | undefined
  readonly publicKey: (version?: KeyVersion) => Effect.Effect<PublicKey.PublicKey, SignerError>
  readonly sign: (input: Uint8Array) => Effect.Effect<BackendSignature, SignerError>
  /**
   * For keys in this process: signs before it returns, or returns `undefined` where
   * that would take long. What is read at once needs no copy, which costs a local
   * signature over 4 KiB about five percent. Used where no decorator is applied.
   */
  readonly signNow?: ((message: Uint8Array) => BackendSignature | undefined) | undefined
  /** One call for several inputs: an outcome per input, in order. */
  readonly signMany?:
    | ((
        inputs: ReadonlyArray<Uint8Array>
      ) => Effect.Effect<ReadonlyArray<Exit.Exit<BackendSignature, SignerError>>, SignerError>)
    | undefined
}

/**
 * Options of {@link make}, which layers pass on.
 *
 * @category models
 * @since 0.1.0
 */
export interface MakeOptions {
  /**
   * Do not read the public key now. By default it is read, so that a wrong key
   * id, algorithm or permission fails here and not at the first signature.
   */
  readonly lazy?: boolean | undefined
  readonly purpose?: string | undefined
  /** A tripwire: any other public key (of any version) is `InvalidResponse`. */
  readonly expectedPublicKey?: PublicKey.PublicKey | undefined
  /**
   * How long the public key of the current version is served from the cache.
   * Absent: for ever, for backends whose version is pinned. The key of a named
   * version does not change, and stays among the 256 latest used.
   */
  readonly publicKeyTimeToLive?: Duration.Input | undefined
  /**
   * How long after its time to live a key is still served while reading it again
   * fails with `Retryable`. Default one hour. The backend is asked again every
   * five seconds at most.
   */
  readonly publicKeyStaleFor?: Duration.Input | undefined
  /**
   * The most one read of the public key may take. Default five seconds. It holds
   * for the read that callers share, whatever time each of them has.
   */
  readonly publicKeyTimeout?: Duration.Input | undefined
  /**
   * Collect concurrent calls into one `signMany` call. Ignored where the backend
   * has none.
   */
  readonly batch?:
    | {
        /** How long the first call waits for others. Default: until the fiber yields. */
        readonly window?: Duration.Input | undefined
        /** Calls in one batch. Default 100. */
        readonly max?: number | undefined
      }
    | undefined
}

// ---------------------------------------------------------------------------
// make
// ---------------------------------------------------------------------------

/** `sign` without the copy, of every Signer made here: {@link transform} copies once for all inner Signers. */
const unguarded = new WeakMap<Service["sign"], Service["sign"]>()

/** The backend of every Signer made here: a decorated one has another `sign`, and so is not in it. */
const backends = new WeakMap<Service["sign"], Backend>()

/**
 * The backend of a Signer that {@link make} made and no decorator wraps.
 *
 * @internal
 */
export const backendOf = (self: Service): Backend | undefined => backends.get(self.sign)

/** `new Uint8Array("text")` is empty, and would be signed as the empty message. */
const notBytes = (context: ErrorContext) =>
  Effect.fail(
    new InvalidConfiguration({
      ...context,
      field: "message",
      problem: "expected a Uint8Array; encode text with new TextEncoder().encode(text)"
    })
  )

/**
 * A `sign` that copies its message once and hands the copy to `signOwned`; or, where
 * nothing decorates it, has the backend read the message at once, before anybody
 * could change it. Another thread could change shared memory: that is always
 * copied (RFC 8032 reads the message twice, and two readings betray the key).
 */
const copying = (
  context: ErrorContext,
  signOwned: Service["sign"],
  signNow?: (message: Uint8Array) => Effect.Effect<Signature, SignerError> | undefined
): Service["sign"] => {
  const sign: Service["sign"] = (message) =>
    Effect.suspend(() => {
      if (!isBytes(message)) return notBytes(context)
      const signed = message.buffer instanceof ArrayBuffer ? signNow?.(message) : undefined
      return signed ?? signOwned(new Uint8Array(message))
    })
  unguarded.set(sign, signOwned)
  return sign
}

/** At most this many versions of one key stay cached. */
const versionCapacity = 256
const staleBackOffMillis = 5_000

const makePublicKey = Effect.fnUntraced(function* (backend: Backend, options: MakeOptions) {
  const context: ErrorContext = { backend: backend.name, keyId: backend.keyId, operation: "publicKey" }
  const { keyType } = SignatureAlgorithm.facts[backend.algorithm]
  const timeToLive =
    options.publicKeyTimeToLive === undefined
      ? Duration.infinity
      : Duration.fromInputUnsafe(options.publicKeyTimeToLive)
  const staleFor = Duration.fromInputUnsafe(options.publicKeyStaleFor ?? "1 hour")
  const staleAfter = Duration.toMillis(timeToLive) + Duration.toMillis(staleFor)
  const timeout = Duration.fromInputUnsafe(options.publicKeyTimeout ?? "5 seconds")
  let last: { readonly key: PublicKey.PublicKey; readonly readAt: number } | undefined

  const check = (key: PublicKey.PublicKey): Effect.Effect<PublicKey.PublicKey, SignerError> => {
    const expected = options.expectedPublicKey
    if (expected !== undefined && !PublicKey.sameKey(key, expected)) {
      return Effect.fail(
        new InvalidResponse({
          ...context,
          problem: `the public key is ${PublicKey.thumbprint(key)}, expected ${PublicKey.thumbprint(expected)}`
        })
      )
    }
    return key.type === keyType
      ? Effect.orDie(PublicKey.withAlgorithm(key, backend.algorithm))
      : Effect.fail(
          new InvalidConfiguration({
            ...context,
            field: "algorithm",
            problem: `${backend.algorithm} needs a ${keyType} key, this is a ${key.type} key`
          })
        )
  }

  // A limit of its own: callers share one read, so a read that hangs would hang for all of them, retries included.
  const read = (version?: KeyVersion) =>
    Effect.timeoutOrElse(Effect.flatMap(backend.publicKey(version), check), {
      duration: timeout,
      orElse: () => Effect.fail(new Retryable({ ...context, reason: new TimedOut({ duration: timeout }) }))
    }).pipe(Effect.provideService(Observation, undefined)) // a backend made of Signers is not observed twice

  /** The current key, and for how many milliseconds it may be served. */
  const readCurrent = Effect.clockWith((clock) =>
    read().pipe(
      Effect.map((key) => {
        last = { key, readAt: clock.currentTimeMillisUnsafe() }
        return { key, millis: Duration.toMillis(timeToLive) }
      }),
      Effect.catchTag("Retryable", (error) => {
        const left = last === undefined ? 0 : last.readAt + staleAfter - clock.currentTimeMillisUnsafe()
        return last !== undefined && left > 0
          ? Effect.succeed({ key: last.key, millis: Math.min(staleBackOffMillis, left) })
          : Effect.fail(error)
      })
    )
  )

  // a failure is never remembered
  const current = yield* Cache.makeWith((_: "current") => readCurrent, {
    capacity: 1,
    timeToLive: (exit) => (Exit.isSuccess(exit) ? Duration.millis(exit.value.millis) : Duration.zero)
  })
  const versions = yield* Cache.makeWith(read, {
    capacity: versionCapacity,
    timeToLive: (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.zero)
  })

  /** Tells whoever observes whether the backend is asked. */
  const observed = <Key, A>(cache: Cache.Cache<Key, A, SignerError>, key: Key) =>
    Effect.flatMap(Observation, (observer) =>
      observer === undefined
        ? Cache.get(cache, key)
        : Effect.flatMap(Cache.has(cache, key), (isHit) => {
            observer.publicKeyAsked(isHit)
            return Cache.get(cache, key)
          })
    )
  const currentKey = Effect.map(observed(current, "current"), ({ key }) => key)
  return (version?: KeyVersion) => (version === undefined ? currentKey : observed(versions, version))
})

class SignRequest extends Request.Class<{ readonly input: Uint8Array }, BackendSignature, SignerError> {}

const makeBatched = (
  backend: Backend,
  signMany: NonNullable<Backend["signMany"]>,
  batch: NonNullable<MakeOptions["batch"]>
): Backend["sign"] => {
  const collected = RequestResolver.make<SignRequest>(
    Effect.fnUntraced(function* (entries) {
      const outcomes = yield* signMany(entries.map((entry) => entry.request.input))
      entries.forEach((entry, index) =>
        entry.completeUnsafe(
          outcomes.length === entries.length
            ? outcomes[index]!
            : Exit.fail(
                new InvalidResponse({
                  backend: backend.name,
                  keyId: backend.keyId,
                  operation: "sign",
                  problem: `${outcomes.length} outcomes for a batch of ${entries.length}`
                })
              )
        )
      )
    })
  ).pipe(RequestResolver.batchN(batch.max ?? 100))
  const resolver = batch.window === undefined ? collected : RequestResolver.setDelay(collected, batch.window)
  return (input) => Effect.request(new SignRequest({ input }), resolver)
}

/**
 * A signature from what the backend answered: its length checked, `ES256K` low-S.
 *
 * @internal
 */
export const toSignature = (backend: Backend) => {
  const { algorithm, keyId } = backend
  const { signatureLength } = SignatureAlgorithm.facts[algorithm]
  return ({ bytes, keyVersion }: BackendSignature): Effect.Effect<Signature, SignerError> => {
    if (signatureLength !== undefined && bytes.length !== signatureLength) {
      return Effect.fail(
        new InvalidResponse({
          backend: backend.name,
          keyId,
          operation: "sign",
          problem: `a signature of ${bytes.length} bytes, expected ${signatureLength}${
            SignatureAlgorithm.facts[algorithm].scheme === "ECDSA" &&
            Ecdsa.fromDer(bytes, signatureLength / 2) !== undefined
              ? "; it looks like DER: use EcdsaSignature.fromDer"
              : ""
          }`
        })
      )
    }
    const canonical = algorithm === "ES256K" ? Ecdsa.toLowS(bytes) : bytes
    if (canonical === undefined) {
      return Effect.fail(
        new InvalidResponse({
          backend: backend.name,
          keyId,
          operation: "sign",
          problem: "s of the signature is not from 1 to n - 1"
        })
      )
    }
    return Effect.succeed(
      new Signature(
        keyVersion === undefined
          ? { algorithm, keyId, bytes: canonical }
          : { algorithm, keyId, keyVersion, bytes: canonical }
      )
    )
  }
}

/**
 * Derives a Signer from a {@link Backend}: one copy of the message, the size
 * check, the digest, one backend call (or one batch), the length and low-S of
 * the signature, and the public key cache.
 *
 * **Details**
 *
 * Adds no span, no metric, no retry and no verification: those are decorators.
 *
 * **Gotchas**
 *
 * Reads the public key before it returns, unless `lazy`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  backend: Backend,
  options: MakeOptions = {}
): Effect.fn.Return<Service, SignerError> {
  const { algorithm, keyId, maxMessageLength, name } = backend
  const context: ErrorContext = { backend: name, keyId, operation: "sign" }
  const { hash } = SignatureAlgorithm.facts[algorithm]
  if (backend.input === "digest" && hash === undefined) {
    return yield* new InvalidConfiguration({
      ...context,
      operation: "make",
      field: "input",
      problem: `${algorithm} signs messages, not digests`
    })
  }
  const prehash = backend.input === "digest" ? hash : undefined
  const publicKey = yield* makePublicKey(backend, options)
  const call =
    options.batch !== undefined && backend.signMany !== undefined
      ? makeBatched(backend, backend.signMany, options.batch)
      : backend.sign

  const finish = toSignature(backend)
  const signNow = (message: Uint8Array) => {
    const signed = backend.signNow?.(message)
    return signed === undefined ? undefined : finish(signed)
  }

  const signOwned = (message: Uint8Array): Effect.Effect<Signature, SignerError> =>
    maxMessageLength !== undefined && message.length > maxMessageLength
      ? Effect.fail(
          new MessageTooLarge({
            ...context,
            length: message.length,
            limit: maxMessageLength,
            ...(backend.tooLargeAdvice === undefined ? {} : { advice: backend.tooLargeAdvice })
          })
        )
      : Effect.flatMap(
          prehash === undefined ? call(message) : Effect.suspend(() => call(primitives.digest(prehash, message))),
          finish
        )

  if (options.lazy !== true) yield* publicKey()
  const sign = copying(context, signOwned, maxMessageLength === undefined ? signNow : undefined)
  backends.set(sign, backend)
  return Signer.of({ backend: name, keyId, algorithm, purpose: options.purpose, publicKey, sign })
})

// ---------------------------------------------------------------------------
// combinators
// ---------------------------------------------------------------------------

/**
 * The one primitive of decorators: wraps the two operations of a Signer.
 *
 * **Details**
 *
 * It owns the copy. However many decorators are stacked, the message is copied
 * once, at the outermost: what a guard inspected is what the key signs, also on
 * the second attempt, whatever the caller does with its buffer.
 *
 * @category combinators
 * @since 0.1.0
 */
export const transform = (
  self: Service,
  by: {
    readonly sign?:
      | ((sign: Effect.Effect<Signature, SignerError>, message: Uint8Array) => Effect.Effect<Signature, SignerError>)
      | undefined
    readonly publicKey?:
      | ((
          publicKey: Effect.Effect<PublicKey.PublicKey, SignerError>,
          version: KeyVersion | undefined
        ) => Effect.Effect<PublicKey.PublicKey, SignerError>)
      | undefined
  }
): Service => {
  const inner = unguarded.get(self.sign) ?? self.sign
  const context: ErrorContext = { backend: self.backend, keyId: self.keyId, operation: "sign" }
  const bySign = by.sign
  const byPublicKey = by.publicKey
  return Signer.of({
    ...self,
    sign: bySign === undefined ? self.sign : copying(context, (message) => bySign(inner(message), message)),
    publicKey: byPublicKey === undefined ? self.publicKey : (version) => byPublicKey(self.publicKey(version), version)
  })
}

/**
 * Lifts a function on Signers to one on layers: the exported form of every
 * decorator.
 *
 * @category combinators
 * @since 0.1.0
 */
export const lift =
  <E2 = never, R2 = never>(f: (self: Service) => Effect.Effect<Service, E2, R2>) =>
  <E, R>(self: Layer.Layer<Signer, E, R>): Layer.Layer<Signer, E | E2, R | Exclude<R2, Scope.Scope>> =>
    Layer.effect(Signer, Effect.flatMap(Signer, f)).pipe(Layer.provide(self)) as Layer.Layer<
      Signer,
      E | E2,
      R | Exclude<R2, Scope.Scope>
    >

/**
 * Provides a Signer layer under another key. Decorate first, rename last.
 *
 * **Example** (A root key beside the everyday one)
 *
 * ```ts
 * import { LocalSigner, Signer } from "effect-signer"
 *
 * class RootSigner extends Signer.Tag<RootSigner>()("app/RootSigner") {}
 *
 * const RootLive = LocalSigner.layerGenerated("Ed25519").pipe(
 *   Signer.timeout("2 seconds"),
 *   Signer.as(RootSigner)
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const as =
  <Self>(tag: Context.Service<Self, Service>) =>
  <E, R>(self: Layer.Layer<Signer, E, R>): Layer.Layer<Self, E, R> =>
    Layer.provide(
      Layer.effect(
        tag,
        Effect.map(Signer, (signer) => signer)
      ),
      self
    ) as Layer.Layer<Self, E, R>

/**
 * Signs with the Signer of the environment.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sign = (message: Uint8Array): Effect.Effect<Signature, SignerError, Signer> =>
  Signer.use((signer) => signer.sign(message))

/**
 * The public key of the Signer of the environment.
 *
 * @category combinators
 * @since 0.1.0
 */
export const publicKey = (version?: KeyVersion): Effect.Effect<PublicKey.PublicKey, SignerError, Signer> =>
  Signer.use((signer) => signer.publicKey(version))
