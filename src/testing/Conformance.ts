/**
 * What every Signer must do, as a list of effects: the same cases run in a test
 * runner, in the package of a third party and against a live key.
 *
 * **Details**
 *
 * Each case builds the Signer anew and releases it. Every signature is verified
 * by each implementation this runtime has, on Node the native and the portable
 * one, and BIP340 by one of the kit's own: so not only by the one that made it,
 * except for ML-DSA where Node has none. No case sleeps or reads the clock.
 *
 * **Gotchas**
 *
 * A live key signs about 160 messages, the longest of 1,000,000 bytes. A Signer
 * that never answers is not waited for here but by the runner: give the test, or
 * the effect, a limit.
 *
 * **Example** (All cases as tests)
 *
 * ```ts
 * import { it } from "@effect/vitest"
 * import { LocalSigner } from "effect-signer"
 * import { Conformance } from "effect-signer/testing"
 *
 * Conformance.suite(it, "local", LocalSigner.layerGenerated("Ed25519"))
 * ```
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { primitives as runtime } from "#primitives"
import { primitives as portable } from "../primitives/portable.ts"
import * as Ecdsa from "../schemas/Ecdsa.ts"
import * as KeyVersion from "../schemas/KeyVersion.ts"
import * as Pkcs1 from "../schemas/Pkcs1.ts"
import type { PublicKey } from "../schemas/PublicKey.ts"
import type { Signature } from "../schemas/Signature.ts"
import { facts } from "../schemas/SignatureAlgorithm.ts"
import { isSignerError } from "../schemas/SignerError.ts"
import type { Service } from "../services/Signer.ts"
import { Signer } from "../services/Signer.ts"
import * as Verifier from "../services/Verifier.ts"
import * as Bip340 from "./Bip340.ts"
import * as Canary from "./Canary.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * A case that is not run, and why.
 *
 * @category models
 * @since 0.1.0
 */
export interface Exception {
  readonly case: string
  readonly reason: string
}

/**
 * Options of a {@link Subject}: what the kit cannot find out by itself.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The declared limit, in bytes. Exactly above it messages must be refused. Default: none. */
  readonly maxMessageLength?: number | undefined
  /**
   * How often the backend was asked for a public key, ever. With it, 1,000
   * callers must cause one read; without it, they must only agree.
   */
  readonly publicKeyReads?: Effect.Effect<number> | undefined
  /**
   * How many messages the backend was asked to sign, ever. With it, two equal
   * messages must cause two signatures. Without it the kit cannot tell: equal
   * signatures over equal messages are right for every algorithm here (RFC 6979,
   * PKCS#1 v1.5, and a fixed salt), so that they are no sign of a cache.
   */
  readonly signatures?: Effect.Effect<number> | undefined
  /**
   * What must not show, in 8 bytes or more: seed, scalar, `d`, `p`, `q`, token,
   * PIN, each on its own. The message is searched for in any case.
   */
  readonly secrets?: ReadonlyArray<Uint8Array | string> | undefined
  /** Layers with the same secrets that cannot be built or cannot sign: their errors are searched too. */
  readonly faulty?: ReadonlyArray<Layer.Layer<Signer, unknown>> | undefined
  /** Cases that are not run. One that names no case is an error. */
  readonly exceptions?: ReadonlyArray<Exception> | undefined
}

/**
 * What is tested. `layer` is built anew by each case.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject extends Options {
  readonly name: string
  readonly layer: Layer.Layer<Signer, unknown>
}

/**
 * A case that was not met.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConformanceFailure extends Schema.TaggedError<ConformanceFailure>("effect-signer/ConformanceFailure")(
  "ConformanceFailure",
  { suite: Schema.String, case: Schema.String, problem: Schema.String }
) {
  override get message() {
    return `${this.suite}: ${this.case}: ${this.problem}`
  }
}

/**
 * One case. With an `exception`, its reason, `run` is not to be run.
 *
 * @category models
 * @since 0.1.0
 */
export interface Case {
  readonly name: string
  readonly run: Effect.Effect<void, ConformanceFailure>
  readonly exception?: string | undefined
}

/**
 * What came of all cases. `cases` is the sum of `passed`, `failures` and
 * `exceptions`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Report {
  readonly suite: string
  readonly source: string
  readonly cases: number
  readonly passed: number
  readonly exceptions: ReadonlyArray<Exception>
  readonly failures: ReadonlyArray<{ readonly case: string; readonly problem: string }>
}

// ---------------------------------------------------------------------------
// what cases are made of
// ---------------------------------------------------------------------------

/** What a case found out. */
class Problem {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const problem = (text: string) => Effect.fail(new Problem(text))

const demand = (holds: boolean, text: string) => (holds ? Effect.void : problem(text))

/** Bytes that differ from those of every other number, and at every offset. */
const message = (length: number, number = 0): Uint8Array => {
  const bytes = new Uint8Array(length)
  let state = number * 0x9e3779b1 + length + 1
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) | 0
    bytes[i] = state >>> 24
  }
  return bytes
}

const sameBytes = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, i) => byte === b[i])

const implementations = runtime === portable ? [portable] : [runtime, portable]

/** Verifies with every implementation that this runtime has; at least one. */
const verify = Effect.fnUntraced(function* (signer: Service, key: PublicKey, input: Uint8Array, bytes: Uint8Array) {
  const answers: Array<{ readonly by: string; readonly valid: boolean }> = []
  for (const primitives of implementations) {
    const verifier = yield* Verifier.makeWith(primitives)(key, { algorithm: signer.algorithm }).pipe(
      Effect.catchTag("UnsupportedAlgorithm", () => Effect.undefined)
    )
    if (verifier !== undefined) {
      answers.push({ by: primitives.name, valid: yield* verifier.verify(input, bytes) })
    }
  }
  // both implementations sign and verify Schnorr with one library
  if (facts[signer.algorithm].scheme === "Schnorr") {
    answers.push({ by: "BIP 340", valid: Bip340.verify(key.bytes.slice(1, 33), input, bytes) })
  }
  return answers.length > 0 ? answers : yield* problem(`nothing here can verify ${signer.algorithm}`)
})

/** The key that the signature says has signed verifies it over the message. */
const isOver = Effect.fnUntraced(function* (signer: Service, input: Uint8Array, signature: Signature) {
  const key = yield* signer.publicKey(signature.keyVersion)
  const refused = (yield* verify(signer, key, input, signature.bytes)).filter(({ valid }) => !valid)
  yield* demand(
    refused.length === 0,
    `the signature over ${input.length} bytes does not verify (${refused.map(({ by }) => by).join(", ")})`
  )
})

/** Lets everything run that is ready now, and what that makes ready, a few times over. */
const ticks = Effect.repeat(Effect.yieldNow, { times: 16 })

/** Signs a buffer of its own, so that what becomes of it does not matter here. */
const sign = (signer: Service, input: Uint8Array) => Effect.suspend(() => signer.sign(input.slice()))

const signsAndVerifies = Effect.fnUntraced(function* (signer: Service, input: Uint8Array) {
  yield* isOver(signer, input, yield* sign(signer, input))
})

const isTooLarge = Effect.fnUntraced(function* (signer: Service, length: number, limit: number) {
  const error = yield* Effect.flip(signer.sign(message(length))).pipe(
    Effect.catch(() => problem(`${length} bytes were signed; the declared limit is ${limit}`))
  )
  yield* demand(
    error._tag === "MessageTooLarge" && error.length === length && error.limit === limit,
    `${length} bytes, above the limit of ${limit}, fail with "${error.message}", expected MessageTooLarge with both`
  )
})

/** How many calls run at once, and how many are interrupted. */
const concurrentCalls = 64
const interruptedCalls = 16

const messages = (count: number) => Array.from({ length: count }, (_, number) => message(32 + (number % 8), number))

/** Begins a call, up to where it first waits for something. */
const begin = <A, E>(call: Effect.Effect<A, E>) => Effect.forkChild(call, { startImmediately: true })

/** Interrupts each fiber a little later than the one before it. */
const interruptInTurn = (fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>>) =>
  Effect.forEach(fibers, (fiber) => Effect.andThen(Fiber.interrupt(fiber), Effect.yieldNow), { discard: true })

const signsConcurrently = (signer: Service, calls: number) =>
  Effect.forEach(messages(calls), (input) => Effect.map(sign(signer, input), (signature) => ({ input, signature })), {
    concurrency: "unbounded"
  }).pipe(Effect.flatMap(Effect.forEach(({ input, signature }) => isOver(signer, input, signature), { discard: true })))

const unknownVersion = KeyVersion.make("effect-signer-conformance-no-such-version")

/** Bytes of a canonical signature; of RSA, the length of the modulus (RFC 8017 section 8). */
const canonicalLength = (signer: Service, key: PublicKey): number =>
  facts[signer.algorithm].signatureLength ?? Pkcs1.decodePublic(key.bytes).n.length

// ---------------------------------------------------------------------------
// what shows
// ---------------------------------------------------------------------------

/** Runs an effect with every log line, at any level, and every span printed into `shown`. */
const overheard = <A, E, R>(effect: Effect.Effect<A, E, R>, shown: Array<readonly [where: string, text: string]>) => {
  const logger = Logger.make(({ cause, fiber, message: line }) => {
    shown.push([
      "a log line",
      Canary.show([
        line,
        cause,
        Cause.pretty(cause),
        fiber.getRef(References.CurrentLogAnnotations),
        fiber.getRef(References.CurrentLogSpans)
      ])
    ])
  })
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return effect.pipe(
    Effect.provideService(Logger.CurrentLoggers, new Set([logger])),
    Effect.provideService(References.MinimumLogLevel, "All"),
    Effect.provideService(References.TracerEnabled, true),
    Effect.withTracer(tracer),
    Effect.ensuring(
      Effect.sync(() => {
        for (const { attributes, events, links, name, status } of spans) {
          shown.push([
            `the span ${name}`,
            Canary.show([name, attributes, events, links.map((link) => link.attributes), status])
          ])
        }
      })
    )
  )
}

/** How a call ended, as a program would print it. */
const exitShown = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit)
    ? Canary.show(exit.value)
    : [
        Cause.pretty(exit.cause),
        Canary.show(exit.cause),
        ...exit.cause.reasons.flatMap((reason) =>
          Cause.isFailReason(reason)
            ? [Canary.show(reason.error)]
            : Cause.isDieReason(reason)
              ? [Canary.show(reason.defect)]
              : []
        )
      ].join("\n")

const namedSecrets = (subject: Subject) =>
  (subject.secrets ?? []).map((secret, index) => ({ name: `secrets[${index}]`, secret }))

const showsNothingSecret = Effect.fnUntraced(function* (build: Build, subject: Subject) {
  for (const { name, secret } of namedSecrets(subject)) {
    yield* demand(
      secret.length >= Canary.minLength,
      `${name} has a length of ${secret.length}; below ${Canary.minLength} it would be found by accident`
    )
  }
  const input = message(48, 0xca)
  const shown: Array<readonly [where: string, text: string]> = []
  const ended = (where: string, call: Effect.Effect<unknown, unknown, Scope.Scope>) =>
    Effect.map(Effect.exit(call), (exit) => void shown.push([where, exitShown(exit)]))

  yield* overheard(
    Effect.gen(function* () {
      const signer = yield* build
      shown.push(["the Signer", Canary.show(signer)])
      yield* ended("the signature", sign(signer, input))
      yield* ended("the public key", signer.publicKey())
      yield* ended("the error of an unknown key version", signer.publicKey(unknownVersion))
      const interrupted = yield* begin(sign(signer, input))
      yield* Fiber.interrupt(interrupted)
      yield* ended("an interrupted call", Fiber.join(interrupted))
      if (subject.maxMessageLength !== undefined) {
        const long = new Uint8Array(subject.maxMessageLength + input.length)
        long.set(input)
        yield* ended("the error of a message that is too large", signer.sign(long))
      }
      for (const [index, layer] of (subject.faulty ?? []).entries()) {
        const call = Effect.flatMap(buildOf(layer), (signer) => Effect.andThen(signer.publicKey(), sign(signer, input)))
        const exit = yield* Effect.exit(call)
        yield* demand(Exit.isFailure(exit), `faulty[${index}] signs; it shows no error`)
        shown.push([`the error of faulty[${index}]`, exitShown(exit)])
      }
    }),
    shown
  )
  const search = Canary.search([{ name: "the message", secret: input }, ...namedSecrets(subject)])
  for (const [where, text] of shown) {
    const sighting = search(text)
    if (sighting !== undefined) return yield* problem(`${where} shows ${sighting.secret} as ${sighting.form}`)
  }
})

// ---------------------------------------------------------------------------
// cases
// ---------------------------------------------------------------------------

/** Builds the Signer, anew each time. It is released with the scope. */
type Build = Effect.Effect<Service, unknown, Scope.Scope>

const buildOf = (layer: Layer.Layer<Signer, unknown>): Build =>
  Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, Signer))

type Check = (build: Build, subject: Subject) => Effect.Effect<void, unknown, Scope.Scope>

/** Around the limit of AWS KMS, the block of every hash, and the libuv pool. */
const sizes = [0, 1, 4096, 4097, 1_000_000]

const sizeChecks = sizes.map((size): readonly [string, Check] => [
  `signs ${size} bytes`,
  (build, { maxMessageLength: limit }) =>
    Effect.flatMap(build, (signer) =>
      limit !== undefined && size > limit ? isTooLarge(signer, size, limit) : signsAndVerifies(signer, message(size))
    )
])

const limitCheck: readonly [string, Check] = [
  "refuses messages exactly above its limit",
  Effect.fnUntraced(function* (build, subject) {
    const limit = subject.maxMessageLength!
    const signer = yield* build
    yield* signsAndVerifies(signer, message(limit))
    yield* isTooLarge(signer, limit + 1, limit)
  })
]

const checks: ReadonlyArray<readonly [name: string, check: Check]> = [
  [
    "does not sign for another message",
    Effect.fnUntraced(function* (build) {
      const signer = yield* build
      const input = message(64)
      const { bytes, keyVersion } = yield* sign(signer, input)
      const key = yield* signer.publicKey(keyVersion)
      const others = [message(64, 1), input.subarray(1), Uint8Array.of(...input, 0), new Uint8Array(0)]
      for (const other of others) {
        const accepted = (yield* verify(signer, key, other, bytes)).filter(({ valid }) => valid)
        yield* demand(
          accepted.length === 0,
          `the signature verifies over another message, too (${accepted.map(({ by }) => by).join(", ")})`
        )
      }
    })
  ],

  [
    "makes canonical signatures",
    Effect.fnUntraced(function* (build) {
      const signer = yield* build
      // a high S, a DER form or a lost zero byte shows in half of the signatures or in fewer
      for (let number = 0; number < 16; number++) {
        const input = message(64, number)
        const signature = yield* sign(signer, input)
        const length = canonicalLength(signer, yield* signer.publicKey(signature.keyVersion))
        yield* demand(signature.bytes.length === length, `${signature.bytes.length} bytes, expected ${length}`)
        yield* demand(
          signer.algorithm !== "ES256K" || Ecdsa.isLowS(signature.bytes),
          "S is above half the order; ES256K signatures are low-S"
        )
        yield* isOver(signer, input, signature)
      }
    })
  ],

  [
    "names its key and algorithm",
    Effect.fnUntraced(function* (build) {
      const signer = yield* build
      const input = message(64)
      const signature = yield* sign(signer, input)
      yield* demand(
        signature.algorithm === signer.algorithm,
        `the signature says ${signature.algorithm}, the Signer ${signer.algorithm}`
      )
      yield* demand(
        signature.keyId === signer.keyId,
        `the signature says key ${signature.keyId}, the Signer ${signer.keyId}`
      )
      const key = yield* signer.publicKey(signature.keyVersion)
      yield* demand(
        key.type === facts[signer.algorithm].keyType && key.algorithm === signer.algorithm,
        `the public key is for ${key.algorithm ?? `any algorithm of ${key.type}`}, the Signer signs ${signer.algorithm}`
      )
      yield* isOver(signer, input, signature)
    })
  ],

  [
    "leaves the message as it is",
    Effect.fnUntraced(function* (build) {
      const signer = yield* build
      const input = message(64)
      yield* signer.sign(input)
      yield* demand(sameBytes(input, message(64)), "the message was changed")
      yield* ticks
      yield* demand(sameBytes(input, message(64)), "the message was changed after the signature was there")
    })
  ],

  [
    "signs the bytes of a view and nothing around them",
    Effect.fnUntraced(function* (build) {
      const signer = yield* build
      const around = message(96)
      const signature = yield* signer.sign(around.subarray(16, 80))
      yield* ticks
      yield* demand(sameBytes(around, message(96)), "the buffer around the message was changed")
      yield* isOver(signer, message(96).subarray(16, 80), signature)
    })
  ],

  [
    "signs a copy of the message",
    Effect.fnUntraced(function* (build) {
      const signer = yield* build
      const input = message(64)
      const signing = yield* begin(signer.sign(input))
      input.fill(0)
      yield* isOver(signer, message(64), yield* Fiber.join(signing))
    })
  ],

  [
    "signs again when its effect is run again",
    Effect.fnUntraced(function* (build, { signatures }) {
      const signer = yield* build
      const input = message(64)
      const signing = signer.sign(input.slice())
      const before = signatures === undefined ? 0 : yield* signatures
      const first = yield* signing
      yield* isOver(signer, input, first)
      first.bytes.fill(0) // the caller's own, not what the next caller gets
      const second = yield* signing
      yield* isOver(signer, input, second)
      if (signatures !== undefined) {
        const count = (yield* signatures) - before
        yield* demand(count === 2, `two calls caused ${count} signatures of the backend`)
      }
    })
  ],

  [
    `does not mix ${concurrentCalls} concurrent calls`,
    (build) => Effect.flatMap(build, (signer) => signsConcurrently(signer, concurrentCalls))
  ],

  [
    "works after interrupted calls",
    Effect.fnUntraced(function* (build) {
      const signer = yield* build
      const calls: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = [
        yield* begin(signer.publicKey()),
        ...(yield* Effect.forEach(messages(interruptedCalls), (input) => begin(sign(signer, input))))
      ]
      yield* interruptInTurn(calls)
      yield* signer.publicKey()
      yield* signsConcurrently(signer, interruptedCalls)
    })
  ],

  [
    "fails no other caller when one is interrupted",
    Effect.fnUntraced(function* (build) {
      const signer = yield* build
      const readers = [yield* begin(signer.publicKey()), yield* begin(signer.publicKey())] as const
      const calls = yield* Effect.forEach(messages(2 * interruptedCalls), (input) =>
        Effect.map(begin(sign(signer, input)), (fiber) => ({ input, fiber }))
      )
      yield* interruptInTurn([readers[0], ...calls.filter((_, index) => index % 2 === 0).map(({ fiber }) => fiber)])
      yield* Fiber.join(readers[1])
      for (const { fiber, input } of calls.filter((_, index) => index % 2 === 1)) {
        yield* isOver(signer, input, yield* Fiber.join(fiber))
      }
    })
  ],

  [
    "has one public key",
    Effect.fnUntraced(function* (build) {
      const signer = yield* build
      const before = yield* signer.publicKey()
      const { keyVersion } = yield* sign(signer, message(64))
      const after = yield* signer.publicKey()
      yield* demand(Equal.equals(before, after), "two reads gave two public keys")
      if (keyVersion !== undefined) {
        const [first, second] = [yield* signer.publicKey(keyVersion), yield* signer.publicKey(keyVersion)]
        yield* demand(Equal.equals(first, second), `two reads gave two public keys of version ${keyVersion}`)
      }
    })
  ],

  [
    "reads the public key once for 1,000 callers",
    Effect.fnUntraced(function* (build, { publicKeyReads }) {
      const before = publicKeyReads === undefined ? 0 : yield* publicKeyReads
      const signer = yield* build
      const keys = yield* Effect.forEach(Array.from({ length: 1000 }), () => signer.publicKey(), {
        concurrency: "unbounded"
      })
      yield* demand(
        keys.every((key) => Equal.equals(key, keys[0])),
        "concurrent callers were given different public keys"
      )
      if (publicKeyReads !== undefined) {
        const reads = (yield* publicKeyReads) - before
        yield* demand(reads === 1, `the backend was asked for the public key ${reads} times`)
      }
    })
  ],

  [
    "answers an unknown key version with a typed error",
    Effect.fnUntraced(function* (build) {
      const signer = yield* build
      const error = yield* Effect.flip(signer.publicKey(unknownVersion)).pipe(
        Effect.catch(() => problem("there is a public key for a version that does not exist"))
      )
      yield* demand(isSignerError(error), "the error is no SignerError")
    })
  ],

  [
    "verifies when the backend is gone",
    Effect.fnUntraced(function* (build, { publicKeyReads = Effect.succeed(0) }) {
      const input = message(64)
      const { key, signature, signer } = yield* Effect.scoped(
        Effect.gen(function* () {
          const signer = yield* build
          const signature = yield* sign(signer, input)
          return { key: yield* signer.publicKey(signature.keyVersion), signature, signer }
        })
      )
      const reads = yield* publicKeyReads
      const again = yield* signer
        .publicKey(signature.keyVersion)
        .pipe(
          Effect.catchCause((cause) => problem(`the public key, read before, needs the backend: ${describe(cause)}`))
        )
      yield* demand(Equal.equals(key, again), "the public key is another one")
      yield* isOver(signer, input, signature)
      yield* demand((yield* publicKeyReads) === reads, "the public key, read before, was read from the backend again")
    })
  ],

  ["shows nothing secret", showsNothingSecret]
]

/** A cause in one line. */
const describe = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  if (error instanceof Problem) return error.text
  if (isSignerError(error)) return error.message
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return Cause.hasFails(cause) || Cause.hasInterruptsOnly(cause) ? text : `a defect: ${text}`
}

/**
 * The cases for a subject, in order.
 *
 * **Details**
 *
 * A case with an exception carries its reason and must not be run. An exception
 * that names no case becomes a case that fails.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cases = (subject: Subject): ReadonlyArray<Case> => {
  const exceptions = subject.exceptions ?? []
  const build = buildOf(subject.layer)
  const search = Canary.search(namedSecrets(subject))
  const failure = (name: string, problem: string) => {
    const sighting = search(problem)
    return Effect.fail(
      new ConformanceFailure({
        suite: subject.name,
        case: name,
        problem: sighting === undefined ? problem : `what it says shows ${sighting.secret} as ${sighting.form}`
      })
    )
  }
  const known = [...sizeChecks, ...(subject.maxMessageLength === undefined ? [] : [limitCheck]), ...checks].map(
    ([name, check]): Case => ({
      name,
      run: Effect.scoped(check(build, subject)).pipe(Effect.catchCause((cause) => failure(name, describe(cause)))),
      exception: exceptions.find((exception) => exception.case === name)?.reason
    })
  )
  const unknown = exceptions
    .filter((exception) => !known.some(({ name }) => name === exception.case))
    .map(({ case: name }): Case => ({ name, run: failure(name, "an exception names this case, and there is none") }))
  return [...known, ...unknown]
}

// ---------------------------------------------------------------------------
// running
// ---------------------------------------------------------------------------

/**
 * Runs all cases, one after the other, and reports. Never fails: failures are in
 * the report.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = (subject: Subject): Effect.Effect<Report> =>
  Effect.suspend(() => {
    const all = cases(subject)
    return Effect.map(
      Effect.partition(
        all.filter(({ exception }) => exception === undefined),
        ({ run }) => run
      ),
      ([passes, failures]): Report => ({
        suite: subject.name,
        source: "effect-signer/testing",
        cases: all.length,
        passed: passes.length,
        exceptions: all.flatMap(({ exception, name }) =>
          exception === undefined ? [] : [{ case: name, reason: exception }]
        ),
        failures: failures.map((failure) => ({ case: failure.case, problem: failure.problem }))
      })
    )
  })

/**
 * What {@link suite} needs of a test runner: the `it` of `@effect/vitest`, or
 * anything like it.
 *
 * @category models
 * @since 0.1.0
 */
export interface TestRunner {
  readonly effect: {
    (name: string, self: () => Effect.Effect<void, ConformanceFailure>, timeout?: number): void
    readonly skip: (name: string, self: () => Effect.Effect<void, ConformanceFailure>, timeout?: number) => void
  }
}

/**
 * Registers all cases as tests. A case with an exception is registered as
 * skipped, with its reason in the name.
 *
 * @category combinators
 * @since 0.1.0
 */
export const suite = (
  it: TestRunner,
  name: string,
  layer: Layer.Layer<Signer, unknown>,
  options?: Options & {
    /** Milliseconds per case. Default: the runner's. */
    readonly timeout?: number | undefined
  }
): void => {
  for (const { exception, name: caseName, run } of cases({ ...options, name, layer })) {
    if (exception === undefined) it.effect(`${name}: ${caseName}`, () => run, options?.timeout)
    else it.effect.skip(`${name}: ${caseName} (${exception})`, () => run, options?.timeout)
  }
}
