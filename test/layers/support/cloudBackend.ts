/**
 * What holds for every backend in a cloud, against its emulator: the test of one is
 * its tables, and what is its own.
 */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Logger, References, Schedule, type Scope, Tracer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { type Signature, Signer, type SignerError, Verifier } from "../../../src/index.ts"
import * as Canary from "../../../src/testing/Canary.ts"
import * as Fault from "../../../src/testing/emulator/Fault.ts"
import type { FaultScript } from "../../../src/testing/emulator/FaultScript.ts"
import type { Recorder } from "../../../src/testing/emulator/Recorder.ts"

export const message = new TextEncoder().encode("message of the canary")

/** Retries without waiting. */
export const atOnce = { schedule: Schedule.spaced("1 millis") }

export const build = <E>(layer: Layer.Layer<Signer.Signer, E, HttpClient.HttpClient>) =>
  Effect.map(Layer.build(Layer.provide(layer, NodeHttpClient.layerUndici)), (context) =>
    Context.get(context, Signer.Signer)
  )

export const isValid = (signer: Signer.Service, input: Uint8Array, signature: Signature.Signature) =>
  Effect.flatMap(signer.publicKey(signature.keyVersion), (key) =>
    Verifier.verify(key, input, signature.bytes, { algorithm: signer.algorithm })
  )

export const tagOf = (error: SignerError.SignerError): string =>
  error._tag === "Retryable" ? `${error._tag}/${error.reason._tag}` : error._tag

// ---------------------------------------------------------------------------
// requests
// ---------------------------------------------------------------------------

/** What an emulator was sent, of one operation. */
export const inputsOf = <A = Record<string, unknown>>({ events }: Recorder, operation: string) =>
  Effect.map(events, (events) =>
    events.flatMap((event) => (event._tag === "Received" && event.operation === operation ? [event.input as A] : []))
  )

/** A request, and what it carried. */
export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
}

/** A client that looks at every request. */
export const overheard = (requests: Array<Seen>) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(
      HttpClient.HttpClient,
      HttpClient.mapRequest((request) => {
        requests.push({ method: request.method, url: request.url, headers: { ...request.headers } })
        return request
      })
    )
  ).pipe(Layer.provide(NodeHttpClient.layerUndici))

/** A client with any answers, in turn; the last for ever. */
export const answering = (responses: ReadonlyArray<() => Response>, requests: Array<Seen> = []) => {
  let calls = 0
  return HttpClient.make((request, url) =>
    Effect.sync(() => {
      requests.push({ method: request.method, url: url.href, headers: { ...request.headers } })
      return HttpClientResponse.fromWeb(request, responses[Math.min(calls++, responses.length - 1)]!())
    })
  )
}

/** Adds every span, with every header that may be captured, and every log line. */
const overhear = <A, E>(effect: Effect.Effect<A, E>, shown: Array<string>) =>
  Effect.suspend(() => {
    const spans: Array<Tracer.NativeSpan> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    const logger = Logger.make(({ cause, message }) => void shown.push(Canary.show([message, cause])))
    return Effect.logDebug("begun").pipe(
      Effect.andThen(effect),
      Effect.provideService(HttpClient.TracerHeaderFilter, () => true),
      Effect.provideService(Logger.CurrentLoggers, new Set([logger])),
      Effect.provideService(References.MinimumLogLevel, "All"),
      Effect.withTracer(tracer),
      Effect.ensuring(
        Effect.sync(() => {
          for (const { attributes, events, name, status } of spans) {
            shown.push(Canary.show([name, attributes, events, status]))
          }
        })
      )
    )
  })

// ---------------------------------------------------------------------------
// faults
// ---------------------------------------------------------------------------

type SignerLayer = Layer.Layer<Signer.Signer, SignerError.SignerError, HttpClient.HttpClient>

/** An emulator with one key, and the ways to sign with it. */
export interface Subject {
  readonly server: { readonly recorder: Recorder; readonly sign: FaultScript; readonly stop: Effect.Effect<void> }
  /** What is read of a key, by operation; the first has its public half. */
  readonly reads: Readonly<Record<string, FaultScript>>
  /** Adds a version, where keys have some. */
  readonly rotate?: Effect.Effect<unknown, SignerError.SignerError> | undefined
  readonly bare: SignerLayer
  readonly layer: (resilience: Signer.ResilientOptions) => SignerLayer
  /** Bare, and nothing read before the first use. */
  readonly lazy: SignerLayer
}

export interface Backend<Kind extends string> {
  /** With a key of a kind. */
  readonly subject: (kind: Kind) => Effect.Effect<Subject, SignerError.SignerError, Scope.Scope>
  readonly kinds: readonly [Kind, ...ReadonlyArray<Kind>]
  /** The operation that signs. */
  readonly sign: string
  /** What a fault makes of a signature, bare and by `layer` alike, beside what all backends have in common. */
  readonly outcomes: ReadonlyArray<readonly [outcome: string, ...faults: ReadonlyArray<Fault.Fault>]>
  /** What a bare signature ends with where no answer comes. Default: it waits. */
  readonly unanswered?: "Retryable/BackendUnavailable" | undefined
  /** Whether a lazy Signer reads the key before its first signature. */
  readonly readsFirst?: boolean | undefined
  /** Faults in reading the key after which it is read again. */
  readonly readAgain?: ReadonlyArray<Fault.Fault> | undefined
  /** Faults in reading the key with which a layer is not built: `InvalidResponse`. */
  readonly misread: ReadonlyArray<Fault.Fault>
  /** What must not show. */
  readonly secrets: ReadonlyArray<string>
  /** Milliseconds in which an attempt is surely answered. Default 150. */
  readonly attempt?: number | undefined
}

interface Row {
  readonly fault: Fault.Fault
  readonly bare: string
  readonly layer: string
}

/** `Success`: it verifies. `Unverified`: it does not, and nobody said so. `TimedOut`: it waits. */
const rowsOf = <Kind extends string>({ outcomes, unanswered = "TimedOut" as never }: Backend<Kind>) => {
  const alike: Backend<Kind>["outcomes"] = [
    ["Success", Fault.none, Fault.slow("20 millis"), Fault.rotate],
    ["Retryable/RateLimited", Fault.throttle(), Fault.throttle({ retryAfterSeconds: 1 })],
    ["Retryable/BackendUnavailable", Fault.htmlPage(500), Fault.htmlPage(502), Fault.reset],
    ["PermissionDenied", Fault.htmlPage(403)],
    ["InvalidResponse", Fault.garbled],
    ...outcomes
  ]
  return [
    ...alike.flatMap(([outcome, ...faults]) => faults.map((fault): Row => ({ fault, bare: outcome, layer: outcome }))),
    ...[Fault.hang, Fault.slow("1 minute")].map((fault): Row => ({
      fault,
      bare: unanswered,
      layer: "Retryable/TimedOut"
    })),
    ...[Fault.corruptedSignature, Fault.anotherKey].map((fault): Row => ({
      fault,
      bare: "Unverified",
      layer: "InvalidResponse"
    }))
  ]
}

const numbered = (count: number) =>
  Array.from({ length: count }, (_, number) => new TextEncoder().encode(`message ${number}`))

/** Everything that may go wrong between a backend and its server. */
export const faults = <Kind extends string>(backend: Backend<Kind>) => {
  const { attempt = 150, kinds, misread, readAgain = [], secrets, sign, subject } = backend
  const rows = rowsOf(backend)
  const withKey = Effect.map(subject(kinds[0]), (made) => {
    const [read, script] = Object.entries(made.reads)[0]!
    return { ...made, read, script, count: made.server.recorder.count }
  })
  const isReceived =
    (wanted: string): Parameters<Recorder["waitFor"]>[0] =>
    ({ _tag, operation }) =>
      _tag === "Received" && operation === wanted

  const outcomeOf = (signer: Signer.Service) =>
    Effect.gen(function* () {
      const isVerified = Effect.flatMap(signer.sign(message), (signature) => isValid(signer, message, signature))
      const result = yield* Effect.result(Effect.timeoutOption(isVerified, attempt + 100))
      return result._tag === "Failure"
        ? tagOf(result.failure)
        : result.success._tag === "None"
          ? "TimedOut"
          : result.success.value
            ? "Success"
            : "Unverified"
    })

  for (const kind of kinds) {
    it.live.each(rows)(`${kind}: $fault._tag is $bare bare and $layer by layer`, (row) =>
      Effect.gen(function* () {
        const { layer, server, ...subjected } = yield* subject(kind)
        const bare = yield* build(subjected.bare)
        const decorated = yield* build(layer({ timeout: attempt, times: 0 }))
        yield* server.sign.push(row.fault, row.fault)
        assert.strictEqual(yield* outcomeOf(bare), row.bare)
        const shown: Array<string> = []
        const ended = yield* overhear(Effect.exit(decorated.sign(message)), shown)
        shown.push(Canary.show(ended))
        assert.strictEqual(
          Exit.isSuccess(ended) ? "Success" : tagOf(Cause.squash(ended.cause) as SignerError.SignerError),
          row.layer
        )
        assert.isAbove(shown.length, 2)
        const search = Canary.search([
          ...secrets.map((secret) => ({ name: "token", secret })),
          { name: "message", secret: message }
        ])
        assert.isUndefined(search(shown.join("\n")))
        assert.strictEqual(yield* outcomeOf(decorated), "Success")
        assert.strictEqual(bare.keyId, decorated.keyId)
      })
    )
  }

  it.live.each(rows.filter(({ layer }) => layer.startsWith("Retryable")))("$fault._tag is tried again", ({ fault }) =>
    Effect.gen(function* () {
      const { count, layer, server } = yield* withKey
      const signer = yield* build(layer({ ...atOnce, timeout: attempt, times: 2 }))
      yield* server.sign.push(fault, fault)
      assert.isTrue(yield* isValid(signer, message, yield* signer.sign(message)))
      assert.strictEqual(yield* count(sign), 3)
    })
  )

  it.live("what the layer reads while it is built is tried again, and a wrong answer is none", () =>
    Effect.gen(function* () {
      const { count, layer, read, reads, script } = yield* withKey
      for (const each of Object.values(reads)) yield* each.push(Fault.throttle())
      yield* script.push(Fault.htmlPage(502), Fault.reset, ...readAgain)
      const signer = yield* build(layer({ ...atOnce, times: 9 }))
      yield* signer.sign(message)
      assert.strictEqual(yield* count(read), 4 + readAgain.length)
      for (const fault of misread) {
        yield* script.push(fault)
        assert.strictEqual(tagOf(yield* Effect.flip(build(layer(atOnce)))), "InvalidResponse")
      }
      // a key that is not the one that signs
      yield* script.push(Fault.anotherKey)
      const fooled = yield* build(layer(atOnce))
      assert.strictEqual(tagOf(yield* Effect.flip(fooled.sign(message))), "InvalidResponse")
    })
  )

  it.live("an interrupted call ends at the server, and no attempt follows", () =>
    Effect.gen(function* () {
      const { bare, layer, read, server } = yield* withKey
      const { recorder } = server
      const signer = yield* build(layer(atOnce))
      yield* recorder.clear
      yield* server.sign.push(Fault.hang)
      const call = yield* Effect.forkChild(signer.sign(message))
      yield* recorder.waitFor(isReceived(sign))
      yield* Fiber.interrupt(call)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(call)))
      yield* recorder.waitFor(({ _tag }) => _tag === "Abandoned")
      // a request of another Signer marks the place after which an attempt would stand
      yield* build(bare)
      assert.deepStrictEqual(
        (yield* recorder.events)
          .filter(({ operation }) => operation === sign || operation === read)
          .map(({ _tag, operation }) => `${_tag} ${operation}`),
        [`Received ${sign}`, `Abandoned ${sign}`, `Received ${read}`, `Answered ${read}`]
      )
      yield* signer.sign(message)
    })
  )

  it.live("a request that timed out is not left running at the server", () =>
    Effect.gen(function* () {
      const { layer, server } = yield* withKey
      const signer = yield* build(layer({ timeout: attempt, times: 0 }))
      yield* server.sign.push(Fault.hang)
      assert.strictEqual(tagOf(yield* Effect.flip(signer.sign(message))), "Retryable/TimedOut")
      yield* server.recorder.waitFor(({ _tag }) => _tag === "Abandoned")
    })
  )

  // a backend that must read the key before its first signature
  if (backend.readsFirst === true) {
    const lazily = Effect.flatMap(withKey, (made) => Effect.map(build(made.lazy), (signer) => ({ ...made, signer })))

    it.effect("a first read that failed is not remembered", () =>
      Effect.gen(function* () {
        const { count, read, script, signer } = yield* lazily
        yield* script.push(Fault.htmlPage(503))
        assert.strictEqual(tagOf(yield* Effect.flip(signer.sign(message))), "Retryable/BackendUnavailable")
        assert.isTrue(yield* isValid(signer, message, yield* signer.sign(message)))
        assert.strictEqual(yield* count(read), 2)
      })
    )

    it.effect("a hundred first callers are one read of the key", () =>
      Effect.gen(function* () {
        const { count, reads, signer } = yield* lazily
        yield* Effect.forEach(numbered(100), signer.sign, { concurrency: "unbounded" })
        for (const operation of Object.keys(reads)) assert.strictEqual(yield* count(operation), 1)
      })
    )

    it.live("a caller that leaves does not take the first read from the others", () =>
      Effect.gen(function* () {
        const { count, read, script, server, signer } = yield* lazily
        yield* script.push(Fault.slow("100 millis"))
        const [leaving, ...staying] = yield* Effect.forEach(numbered(3), (input) =>
          Effect.forkChild(signer.sign(input), { startImmediately: true })
        )
        yield* server.recorder.waitFor(isReceived(read))
        yield* Fiber.interrupt(leaving!)
        for (const call of staying) yield* Fiber.join(call)
        assert.deepStrictEqual([yield* count(read), yield* count(sign)], [1, 2])
      })
    )
  }

  const throttled = (times: number | undefined) =>
    Effect.gen(function* () {
      const { count, layer, server } = yield* withKey
      const signer = yield* build(layer({ ...atOnce, times }))
      yield* server.sign.sometimes(Fault.throttle(), { probability: 0.2, seed: 1 })
      const results = yield* Effect.forEach(
        numbered(1000),
        (input) => Effect.result(Effect.flatMap(signer.sign(input), (signature) => isValid(signer, input, signature))),
        { concurrency: 64 }
      )
      return { results, attempts: yield* count(sign) }
    })

  it.live("1,000 signatures with 20% throttled all succeed with 9 retries, in 1.4 attempts at most", () =>
    Effect.gen(function* () {
      const { attempts, results } = yield* throttled(9)
      assert.isTrue(results.every((result) => result._tag === "Success" && result.success))
      assert.isAbove(attempts, 1100)
      assert.isAtMost(attempts, 1400)
    })
  )

  it.live("1,000 signatures with 20% throttled and the default retries fail as RateLimited only", () =>
    Effect.gen(function* () {
      const { results } = yield* throttled(undefined)
      const failures = results.flatMap((result) => (result._tag === "Failure" ? [tagOf(result.failure)] : []))
      assert.isTrue(results.every((result) => result._tag === "Failure" || result.success))
      assert.isAbove(failures.length, 0)
      assert.isBelow(failures.length, 20)
      assert.deepStrictEqual([...new Set(failures)], ["Retryable/RateLimited"])
    })
  )

  it.effect("with the server stopped, everything signed before verifies", () =>
    Effect.gen(function* () {
      const { count, layer, read, rotate = Effect.void, server } = yield* withKey
      const signer = yield* build(layer({ times: 0 }))
      const inputs = numbered(20)
      const signatures = yield* Effect.forEach(inputs, (input, number) =>
        Effect.andThen(number === 10 ? rotate : Effect.void, signer.sign(input))
      )
      const before = [yield* count(sign), yield* count(read)]
      yield* server.stop
      assert.strictEqual(tagOf(yield* Effect.flip(signer.sign(message))), "Retryable/BackendUnavailable")
      for (const [index, signature] of signatures.entries()) {
        assert.isTrue(yield* isValid(signer, inputs[index]!, signature))
      }
      assert.deepStrictEqual([yield* count(sign), yield* count(read)], before)
    })
  )
}
