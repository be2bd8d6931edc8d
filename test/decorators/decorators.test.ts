import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Metric, References, Tracer } from "effect"
import { pipe } from "effect/Function"
import { TestClock } from "effect/testing"
import { AuditLog, Decorator, KeyId, LocalSigner, PublicKey, Signer, SignerError, Verifier } from "effect-signer"
import { ScriptedSigner, TestSigner } from "effect-signer/testing"

const message = new TextEncoder().encode("message")
const unavailable = ScriptedSigner.fail(new SignerError.BackendUnavailable({}))

describe("verified", () => {
  it.effect.each(["truncated", "tampered", "anotherMessage", "anotherKey"] as const)(
    "never returns a signature that is %s",
    (mistake) =>
      Effect.gen(function* () {
        const { signer } = yield* ScriptedSigner.make({ steps: [ScriptedSigner.invalid(mistake)] })
        const verified = Decorator.verified(signer)
        assert.strictEqual((yield* Effect.flip(verified.sign(message)))._tag, "InvalidResponse")
        assert.lengthOf((yield* verified.sign(message)).bytes, 64)
      })
  )

  it.effect("never returns a signature in the name of another key", () =>
    Effect.gen(function* () {
      const { signer } = yield* TestSigner.make()
      const renamed = Decorator.verified({ ...signer, keyId: KeyId.make("another") })
      assert.strictEqual((yield* Effect.flip(renamed.sign(message)))._tag, "InvalidResponse")
    })
  )

  it.effect("reads the public key once for many signatures", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make()
      const verified = Decorator.verified(signer)
      yield* Effect.forEach(Array.from({ length: 20 }), () => verified.sign(message), { concurrency: "unbounded" })
      assert.strictEqual(yield* script.publicKeyReads, 1)
    })
  )
})

describe("guard", () => {
  it.effect("denies with the name of the rule, and spends nothing", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make()
      const guarded = Decorator.guard([
        { name: "short", permits: ({ message }) => message.length < 100 },
        { name: "text", permits: ({ message }) => Effect.succeed(message.every((byte) => byte < 0x80)) }
      ])(signer)
      const errors = [
        yield* Effect.flip(guarded.sign(new Uint8Array(100))),
        yield* Effect.flip(guarded.sign(Uint8Array.of(0xff)))
      ]
      assert.deepStrictEqual(
        errors.map((error) => error._tag === "PolicyDenied" && error.rule),
        ["short", "text"]
      )
      assert.lengthOf(yield* script.attempts, 0)
      assert.lengthOf((yield* guarded.sign(message)).bytes, 64)
    })
  )

  it.effect("permits nothing without a rule, and keeps the rules it was made with", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make()
      assert.strictEqual((yield* Effect.flip(Decorator.guard([])(signer).sign(message)))._tag, "PolicyDenied")
      const rules = [{ name: "never", permits: () => false }]
      const guarded = Decorator.guard(rules)(signer)
      rules.length = 0
      assert.strictEqual((yield* Effect.flip(guarded.sign(message)))._tag, "PolicyDenied")
      assert.lengthOf(yield* script.attempts, 0)
    })
  )

  it.effect("asks about the key and its purpose", () =>
    Effect.gen(function* () {
      const { signer } = yield* TestSigner.make({ purpose: "webhook", algorithm: "ES256" })
      const guarded = Decorator.guard({
        name: "purpose",
        permits: ({ algorithm, backend, keyId, purpose }) =>
          purpose === "webhook" && algorithm === "ES256" && backend === "test" && keyId === signer.keyId
      })(signer)
      yield* guarded.sign(message)
    })
  )

  it.effect("does not sign where a rule throws or fails", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make()
      const throws = Decorator.guard({
        name: "throws",
        permits: () => {
          throw new Error("bug in a rule")
        }
      })(signer)
      assert.isTrue(Exit.hasDies(yield* Effect.exit(throws.sign(message))))
      const error = new SignerError.PermissionDenied({ backend: "rule", keyId: "-", operation: "sign" })
      const fails = Decorator.guard({ name: "fails", permits: () => Effect.fail(error) })(signer)
      assert.strictEqual(yield* Effect.flip(fails.sign(message)), error)
      assert.lengthOf(yield* script.attempts, 0)
    })
  )

  it.effect("denies on anything but true", () =>
    Effect.gen(function* () {
      const { signer } = yield* ScriptedSigner.make()
      const guarded = Decorator.guard({ name: "r", permits: () => "yes" as unknown as boolean })(signer)
      assert.strictEqual((yield* Effect.flip(guarded.sign(message)))._tag, "PolicyDenied")
    })
  )
})

describe("audited", () => {
  const AuditedScripted = (options?: ScriptedSigner.Options) =>
    Effect.gen(function* () {
      const context = yield* Layer.build(AuditLog.layerMemory())
      const { script, signer } = yield* ScriptedSigner.make(options)
      return {
        entries: Context.get(context, AuditLog.AuditEntries).all,
        audited: Decorator.audited(Context.get(context, AuditLog.AuditLog)),
        script,
        signer
      }
    })

  it.effect("writes one entry per call: signed, failed, denied, interrupted, defect", () =>
    Effect.gen(function* () {
      const { audited, entries, signer } = yield* AuditedScripted({
        steps: [
          ScriptedSigner.succeed,
          unavailable,
          unavailable,
          ScriptedSigner.hang,
          ScriptedSigner.die(new Error("bug"))
        ]
      })
      const whole = pipe(
        signer,
        Decorator.guard({ name: "not-empty", permits: ({ message }) => message.length > 0 }),
        audited
      )
      yield* TestClock.adjust("5 seconds")
      yield* whole.sign(message)
      yield* Effect.flip(whole.sign(message))
      yield* Effect.flip(whole.sign(message))
      yield* Effect.flip(whole.sign(new Uint8Array(0)))
      const hung = yield* Effect.forkChild(whole.sign(message), { startImmediately: true })
      yield* Fiber.interrupt(hung)
      yield* Effect.exit(whole.sign(message))
      const all = yield* entries
      assert.deepStrictEqual(
        all.map(({ error, outcome }) => [outcome, error]),
        [
          ["signed", undefined],
          ["failed", "Retryable"],
          ["failed", "Retryable"],
          ["failed", "PolicyDenied"],
          ["interrupted", undefined],
          ["defect", undefined]
        ]
      )
      const [first] = all
      assert.deepInclude(
        { ...first },
        {
          timestamp: 5000,
          backend: "scripted",
          keyId: signer.keyId,
          algorithm: "Ed25519",
          messageLength: 7,
          // sha256("message")
          messageDigest: "ab530a13e45914982b79f9b7e3fba994cfd1f3fb22f71cea1afbf02b460c6d1d"
        }
      )
    })
  )

  it.effect("is once per call around retry", () =>
    Effect.gen(function* () {
      const { audited, entries, signer } = yield* AuditedScripted({ steps: [unavailable, unavailable] })
      const fiber = yield* Effect.forkChild(audited(Decorator.resilient()(signer)).sign(message))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        (yield* entries).map(({ outcome }) => outcome),
        ["signed"]
      )
    })
  )

  it.effect("does not return a signature that could not be recorded", () =>
    Effect.gen(function* () {
      const { signer } = yield* ScriptedSigner.make()
      const audited = Decorator.audited(
        AuditLog.AuditLog.of({
          record: () => Effect.fail(new AuditLog.AuditLogError({ problem: "disk full" }))
        })
      )(signer)
      const error = yield* Effect.flip(audited.sign(message))
      assert.strictEqual(error._tag === "UnknownBackendError" && error.cause?.text, "disk full")
    })
  )

  it.effect("a log that takes its time still records a call that was interrupted", () =>
    Effect.gen(function* () {
      const { signer } = yield* ScriptedSigner.make({ steps: [ScriptedSigner.hang] })
      const outcomes: Array<string> = []
      const audited = Decorator.audited(
        AuditLog.AuditLog.of({
          record: ({ outcome }) =>
            Effect.delay(
              Effect.sync(() => void outcomes.push(outcome)),
              "1 second"
            )
        })
      )(signer)
      const call = yield* Effect.forkChild(audited.sign(message), { startImmediately: true })
      const interruption = yield* Effect.forkChild(Fiber.interrupt(call), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(interruption)
      assert.deepStrictEqual(outcomes, ["interrupted"])
    })
  )

  it.effect("a log that hangs holds no call for ever, and makes no second signature", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make()
      const audited = pipe(
        signer,
        Decorator.audited(AuditLog.AuditLog.of({ record: () => Effect.never })),
        Decorator.resilient()
      )
      const fiber = yield* Effect.forkChild(Effect.flip(audited.sign(message)))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "UnknownBackendError")
      assert.lengthOf(yield* script.attempts, 1)

      const interrupted = yield* Effect.forkChild(audited.sign(message), { startImmediately: true })
      const interruption = yield* Effect.forkChild(Fiber.interrupt(interrupted), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(interruption)
    })
  )

  it.effect("keeps the newest entries where memory is limited", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(AuditLog.layerMemory({ capacity: 2 }))
      const { signer } = yield* ScriptedSigner.make()
      const audited = Decorator.audited(Context.get(context, AuditLog.AuditLog))(signer)
      yield* Effect.forEach([1, 2, 3], (length) => audited.sign(new Uint8Array(length)))
      const entries = yield* Context.get(context, AuditLog.AuditEntries).all
      assert.deepStrictEqual(
        entries.map(({ messageLength }) => messageLength),
        [2, 3]
      )
    })
  )
})

describe("fallback", () => {
  const pair = (options?: { readonly seed?: string; readonly allowAnotherKey?: boolean }) =>
    Effect.gen(function* () {
      const first = yield* ScriptedSigner.make()
      const next = yield* ScriptedSigner.make({ seed: options?.seed })
      const signer = yield* Decorator.fallback(next.signer, { allowAnotherKey: options?.allowAnotherKey })(first.signer)
      return { first, next, signer }
    })

  it.effect("signs with the next signer when the first is Retryable, and only then", () =>
    Effect.gen(function* () {
      const { first, next, signer } = yield* pair()
      yield* signer.sign(message)
      assert.lengthOf(yield* next.script.attempts, 0)
      yield* first.script.push(unavailable)
      yield* signer.sign(message)
      assert.lengthOf(yield* next.script.attempts, 1)
      yield* first.script.push(
        ScriptedSigner.fail(new SignerError.PermissionDenied({ backend: "b", keyId: "-", operation: "sign" }))
      )
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "PermissionDenied")
      assert.lengthOf(yield* next.script.attempts, 1)
    })
  )

  it.effect("refuses another key while it is made", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(pair({ seed: "another" }))
      assert.strictEqual(error._tag === "InvalidConfiguration" && error.field, "publicKey")
    })
  )

  it.effect("refuses another algorithm", () =>
    Effect.gen(function* () {
      const first = yield* ScriptedSigner.make()
      const next = yield* ScriptedSigner.make({ algorithm: "ES256" })
      const error = yield* Effect.flip(Decorator.fallback(next.signer, { allowAnotherKey: true })(first.signer))
      assert.strictEqual(error._tag === "InvalidConfiguration" && error.field, "algorithm")
    })
  )

  it.effect("allows another key where told to, and the signature says which", () =>
    Effect.gen(function* () {
      const { first, next, signer } = yield* pair({ seed: "another", allowAnotherKey: true })
      yield* first.script.push(unavailable)
      const signature = yield* signer.sign(message)
      assert.strictEqual(signature.keyId, next.signer.keyId)
      assert.isTrue(yield* Verifier.verify(yield* next.signer.publicKey(), message, signature))
    })
  )

  it.effect("does not use a key that could not be compared", () =>
    Effect.gen(function* () {
      const first = yield* ScriptedSigner.make({
        publicKeySteps: [unavailable, unavailable],
        steps: [unavailable, unavailable]
      })
      const next = yield* ScriptedSigner.make({ seed: "another" })
      const signer = yield* Decorator.fallback(next.signer)(first.signer)
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "Retryable")
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "InvalidConfiguration")
      assert.lengthOf(yield* next.script.attempts, 0)
    })
  )

  it.effect("compares keys at each use: a rotated key is another key", () =>
    Effect.gen(function* () {
      const first = yield* TestSigner.make()
      const next = yield* TestSigner.make()
      const rotated = (yield* TestSigner.make({ seed: "rotated" })).signer
      let isRotated = false
      const failing = new SignerError.Retryable({
        backend: "b",
        keyId: "-",
        operation: "sign",
        reason: new SignerError.BackendUnavailable({})
      })
      const signer = yield* Decorator.fallback(next.signer)({
        ...first.signer,
        publicKey: (version) => (isRotated ? rotated : first.signer).publicKey(version),
        sign: () => Effect.fail(failing)
      })
      yield* signer.sign(message)
      isRotated = true
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "InvalidConfiguration")
    })
  )

  it.effect("as a layer, serves the public key of the next where the first is gone", () =>
    Effect.gen(function* () {
      const Live = ScriptedSigner.layer({ publicKeySteps: [unavailable, unavailable] }).pipe(
        Signer.fallback(ScriptedSigner.layer())
      )
      const key = yield* Signer.publicKey().pipe(Effect.provide(Live))
      assert.isTrue(PublicKey.isPublicKey(key))
    })
  )
})

describe("observed", () => {
  const traced = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      return Effect.map(Effect.exit(Effect.withTracer(effect, tracer)), (exit) => ({ exit, spans }))
    })

  const stateOf = (name: string, attributes: Record<string, string>) =>
    Effect.map(Metric.snapshot, (all) => {
      const found = all.filter(
        (metric) =>
          metric.id === name && Object.entries(attributes).every(([key, value]) => metric.attributes?.[key] === value)
      )
      return found.reduce((sum, { state }) => sum + Number((state as { count: number | bigint }).count), 0)
    })

  const freshMetrics = Effect.provideService(Metric.MetricRegistry, new Map())

  it.effect("makes one span per sign, with no key material and no message", () =>
    Effect.gen(function* () {
      const { signer } = yield* ScriptedSigner.make({ steps: [unavailable] })
      const observed = Decorator.observed()(Decorator.resilient()(signer))
      const fiber = yield* Effect.forkChild(traced(observed.sign(message)))
      yield* TestClock.adjust("1 minute")
      const { spans } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        spans.map(({ name }) => name),
        ["Signer.sign"]
      )
      assert.deepStrictEqual(Object.fromEntries(spans[0]!.attributes), {
        "signer.backend": "scripted",
        "signer.key_id": signer.keyId,
        "signer.algorithm": "Ed25519",
        "signer.message_length": 7
      })
    })
  )

  it.effect("counts calls, failures by tag, retries, durations, cache hits and misses", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({
        steps: [ScriptedSigner.succeed, unavailable, unavailable, ScriptedSigner.succeed, ScriptedSigner.hang]
      })
      const observed = Decorator.observed({ attributes: { service: "spec" } })(Decorator.resilient()(signer))
      const calls = yield* Effect.forkChild(
        Effect.gen(function* () {
          yield* observed.sign(message)
          yield* observed.sign(message) // after two repetitions
          yield* Effect.exit(Effect.timeoutOption(observed.sign(message), "1 second")) // interrupted
          yield* script.push(
            ScriptedSigner.fail(new SignerError.KeyNotFound({ backend: "b", keyId: "-", operation: "sign" }))
          )
          yield* Effect.flip(observed.sign(message))
          yield* observed.publicKey()
          yield* observed.publicKey()
          yield* observed.publicKey()
        })
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(calls)
      const signing = { backend: "scripted", algorithm: "Ed25519", operation: "sign", service: "spec" }
      assert.strictEqual(yield* stateOf("signer_calls_total", signing), 4)
      assert.strictEqual(yield* stateOf("signer_retries_total", signing), 2)
      assert.strictEqual(yield* stateOf("signer_failures_total", { ...signing, error: "KeyNotFound" }), 1)
      assert.strictEqual(yield* stateOf("signer_failures_total", { ...signing, error: "Interrupted" }), 1)
      assert.strictEqual(yield* stateOf("signer_duration", signing), 4)
      const reading = { ...signing, operation: "publicKey" }
      assert.strictEqual(yield* stateOf("signer_public_key_cache_total", { ...reading, result: "miss" }), 1)
      assert.strictEqual(yield* stateOf("signer_public_key_cache_total", { ...reading, result: "hit" }), 2)
      const all = yield* Metric.snapshot
      for (const { attributes } of all) assert.notInclude(JSON.stringify(attributes ?? {}), signer.keyId)
    }).pipe(freshMetrics)
  )

  it.effect("an interruption at any step of a call is an interruption and nothing else", () =>
    Effect.gen(function* () {
      const { signer } = yield* ScriptedSigner.make({ steps: [] })
      const observed = Decorator.observed()(Decorator.resilient()(signer))
      let interrupted = 0
      const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [observed.sign(message), observed.publicKey()]
      for (const call of calls) {
        for (let step = 1; ; step++) {
          // a scheduler that lets the fiber yield once, at this step
          const tasks: Array<() => void> = []
          let steps = 0
          const fiber = yield* Effect.sync(() =>
            Effect.runFork(call.pipe(Effect.provideService(Metric.MetricRegistry, new Map())), {
              scheduler: {
                executionMode: "async",
                shouldYield: () => ++steps === step,
                makeDispatcher: () => ({ scheduleTask: (task) => void tasks.push(task), flush: () => {} })
              }
            })
          )
          if (fiber.pollUnsafe() !== undefined) break
          fiber.interruptUnsafe()
          for (const task of tasks) task()
          const exit = yield* Fiber.await(fiber)
          assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause), `step ${step}: ${String(exit)}`)
          interrupted++
        }
      }
      assert.isAbove(interrupted, 20)
    })
  )

  it.effect("a local layer makes no span", () =>
    Effect.gen(function* () {
      const { spans } = yield* traced(Signer.sign(message).pipe(Effect.provide(LocalSigner.layerGenerated("Ed25519"))))
      assert.lengthOf(spans, 0)
    })
  )
})

describe("a stack of decorators", () => {
  it.effect("is a layer like any other, and stops at once when interrupted", () =>
    Effect.gen(function* () {
      const entered = yield* Deferred.make<void>()
      const Live = ScriptedSigner.layer({ steps: [ScriptedSigner.hang] }).pipe(
        Signer.timeout("1 minute"),
        Signer.resilient(),
        Signer.verified,
        Signer.observed(),
        Signer.guard({ name: "all", permits: () => Effect.as(Deferred.succeed(entered, undefined), true) }),
        Signer.audited,
        Layer.provideMerge(AuditLog.layerMemory())
      )
      const program = Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Signer.sign(message), { startImmediately: true })
        yield* Deferred.await(entered)
        yield* Fiber.interrupt(fiber)
        return (yield* (yield* AuditLog.AuditEntries).all).map(({ outcome }) => outcome)
      })
      assert.deepStrictEqual(yield* program.pipe(Effect.provide(Live)), ["interrupted"])
    })
  )

  it.effect("keeps a replaced sign: a decorator never reaches behind it", () =>
    Effect.gen(function* () {
      const { signer } = yield* TestSigner.make()
      const denied = new SignerError.PermissionDenied({ backend: "own", keyId: "-", operation: "sign" })
      const replaced = Signer.Signer.of({ ...Decorator.timeout("1 second")(signer), sign: () => Effect.fail(denied) })
      const decorated = Decorator.observed()(Decorator.timeout("1 second")(replaced))
      assert.strictEqual(yield* Effect.flip(decorated.sign(message)), denied)
    })
  )

  it.effect("prints no secret and no message in a failure", () =>
    Effect.gen(function* () {
      const secret = new TextEncoder().encode("the message that must not be printed")
      const { signer } = yield* ScriptedSigner.make({ steps: [ScriptedSigner.invalid("tampered")] })
      const whole = pipe(signer, Decorator.verified, Decorator.observed())
      const exit = yield* Effect.exit(whole.sign(secret)).pipe(Effect.provideService(References.MinimumLogLevel, "All"))
      assert.isTrue(Exit.isFailure(exit))
      const text = Exit.isFailure(exit) ? `${Cause.pretty(exit.cause)}${JSON.stringify(exit)}` : ""
      assert.include(text, "InvalidResponse")
      assert.notInclude(text, "must not be printed")
      assert.notInclude(text, Buffer.from(secret).toString("hex").slice(0, 16))
    })
  )
})
