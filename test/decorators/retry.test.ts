import { assert, describe, it, vi } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Schedule } from "effect"
import { Decorator, SignerError } from "effect-signer"
import { ScriptedSigner } from "effect-signer/testing"
import { TestClock } from "effect/testing"
import { pipe } from "effect/Function"

const message = new TextEncoder().encode("message")
const unavailable = ScriptedSigner.fail(new SignerError.BackendUnavailable({}))
const busy = (retryAfter: Duration.Input) =>
  ScriptedSigner.fail(new SignerError.RateLimited({ retryAfter: Duration.fromInputUnsafe(retryAfter) }))
const exponential = Schedule.exponential("100 millis")

/** Signs with the decorators over a scripted backend, and lets an hour pass. */
const signed = Effect.fnUntraced(function* (
  steps: ReadonlyArray<ScriptedSigner.Step>,
  decorate: (
    self: Parameters<ReturnType<typeof Decorator.retry>>[0]
  ) => Parameters<ReturnType<typeof Decorator.retry>>[0]
) {
  const { script, signer } = yield* ScriptedSigner.make({ steps })
  const fiber = yield* Effect.forkChild(Effect.exit(decorate(signer).sign(message)))
  yield* TestClock.adjust("1 hour")
  return { exit: yield* Fiber.join(fiber), times: yield* script.attemptTimes, script }
})

const errorOf = (exit: Exit.Exit<unknown, SignerError.SignerError>) => {
  const error = Exit.findErrorOption(exit)
  assert.strictEqual(error._tag, "Some")
  return error._tag === "Some" ? error.value : assert.fail()
}

describe("retry", () => {
  it.effect("repeats at the times of the schedule", () =>
    Effect.gen(function* () {
      const { exit, times } = yield* signed(
        [unavailable, unavailable, unavailable],
        Decorator.retry({ schedule: exponential, times: 3 })
      )
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(times, [0, 100, 300, 700])
    })
  )

  it.effect("stops after the given number of repetitions, with the last error", () =>
    Effect.gen(function* () {
      const { exit, times } = yield* signed(
        [unavailable, unavailable, busy("1 second")],
        Decorator.retry({ schedule: exponential, times: 2 })
      )
      assert.deepStrictEqual(times, [0, 100, 300])
      const error = errorOf(exit)
      assert.strictEqual(error._tag === "Retryable" && error.reason._tag, "RateLimited")
    })
  )

  it.effect("waits as long as the server asked where that is longer", () =>
    Effect.gen(function* () {
      const { times } = yield* signed(
        [busy("3 seconds"), busy("10 millis"), unavailable],
        Decorator.retry({ schedule: exponential, times: 3 })
      )
      assert.deepStrictEqual(times, [0, 3000, 3200, 3600])
    })
  )

  it.effect("honours the Retry-After of an unavailable backend too", () =>
    Effect.gen(function* () {
      const { times } = yield* signed(
        [ScriptedSigner.fail(new SignerError.BackendUnavailable({ retryAfter: Duration.seconds(7) }))],
        Decorator.retry({ schedule: exponential, times: 3 })
      )
      assert.deepStrictEqual(times, [0, 7000])
    })
  )

  it.effect("does not begin a pause that the budget cannot pay", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({ steps: [unavailable, busy("30 seconds")] })
      const retried = Decorator.retry({ schedule: exponential, times: 3, budget: "10 seconds" })(signer)
      const fiber = yield* Effect.forkChild(Effect.flip(retried.sign(message)))
      yield* TestClock.adjust("100 millis")
      const error = yield* Fiber.join(fiber) // at once: no further adjustment
      assert.strictEqual(error._tag === "Retryable" && error.reason._tag, "RateLimited")
      assert.deepStrictEqual(yield* script.attemptTimes, [0, 100])
    })
  )

  it.effect("cuts off the last attempt at the budget, and reports the last real error", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({ steps: [unavailable, ScriptedSigner.hang] })
      const retried = Decorator.retry({ schedule: Schedule.spaced("1 second"), times: 5, budget: "3500 millis" })(
        signer
      )
      const fiber = yield* Effect.forkChild(Effect.flip(retried.sign(message)))
      yield* TestClock.adjust("3499 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error._tag === "Retryable" && error.reason._tag, "BackendUnavailable")
      const attempts = yield* script.attempts
      assert.deepStrictEqual(
        attempts.map(({ at }) => at),
        [0, 1000]
      )
      assert.isTrue(attempts[1]?.exit !== undefined && Exit.hasInterrupts(attempts[1].exit))
    })
  )

  it.effect("reports TimedOut where the budget cut the only attempt", () =>
    Effect.gen(function* () {
      const { exit } = yield* signed(
        [ScriptedSigner.hang],
        Decorator.retry({ schedule: exponential, budget: "2 seconds" })
      )
      const error = errorOf(exit)
      assert.isTrue(
        error._tag === "Retryable" &&
          error.reason._tag === "TimedOut" &&
          Duration.toMillis(error.reason.duration) === 2000
      )
    })
  )

  it.effect("limits each attempt where timeout comes first", () =>
    Effect.gen(function* () {
      const { exit, times } = yield* signed(
        [ScriptedSigner.hang, unavailable, ScriptedSigner.delay("1900 millis")],
        (self) => pipe(self, Decorator.timeout("2 seconds"), Decorator.retry({ schedule: exponential, times: 3 }))
      )
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(times, [0, 2100, 2300])
    })
  )

  // The other tests have a clock of their own, and so a fiber that sleeps instead of a timer
  it.live("with the clock of the machine, an attempt that ends, times out or is interrupted leaves no timer", () =>
    Effect.gen(function* () {
      const started = vi.spyOn(globalThis, "setTimeout")
      const cleared = vi.spyOn(globalThis, "clearTimeout")
      yield* Effect.addFinalizer(() => Effect.sync(() => vi.restoreAllMocks()))
      const hour = 3_600_000
      /** Timers of an hour: how many were started, and how many of them are left. */
      const timers = () => {
        const all = started.mock.calls.flatMap(([, delay], n) =>
          delay === hour ? [started.mock.results[n]!.value] : []
        )
        const ended = new Set(cleared.mock.calls.map(([timer]) => timer))
        return { started: all.length, left: all.filter((timer) => !ended.has(timer as never)).length }
      }
      const { signer } = yield* ScriptedSigner.make({
        steps: [ScriptedSigner.hang, ScriptedSigner.delay("2 millis"), ScriptedSigner.hang]
      })
      const error = yield* Effect.flip(Decorator.timeout("5 millis")(signer).sign(message))
      assert.isTrue(error._tag === "Retryable" && error.reason._tag === "TimedOut")
      const patient = Decorator.timeout(hour)(signer)
      yield* patient.sign(message)
      assert.deepStrictEqual(timers(), { started: 1, left: 0 })
      const fiber = yield* Effect.forkChild(patient.sign(message), { startImmediately: true })
      assert.deepStrictEqual(timers(), { started: 2, left: 1 })
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(timers(), { started: 2, left: 0 })
    }).pipe(Effect.scoped)
  )

  it.live.each([2 ** 31 - 1, 2 ** 31 - 0.5, 2 ** 31, Infinity])("%d milliseconds are not over at once", (limit) =>
    Effect.gen(function* () {
      const { signer } = yield* ScriptedSigner.make({ steps: [ScriptedSigner.delay("20 millis")] })
      yield* Decorator.timeout(limit)(signer).sign(message)
    })
  )

  it.effect("an interruption during the pause leaves no further attempt", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({ steps: [unavailable, unavailable] })
      const retried = Decorator.retry({ schedule: Schedule.spaced("1 minute") })(signer)
      const fiber = yield* Effect.forkChild(retried.sign(message), { startImmediately: true })
      yield* TestClock.adjust("30 seconds")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* script.attemptTimes, [0])
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    })
  )

  const context = { backend: "scripted", keyId: "-", operation: "sign" } as const
  it.effect.each([
    new SignerError.KeyNotSigner(context),
    new SignerError.KeyNotFound(context),
    new SignerError.KeyUnavailable({ ...context, state: "disabled" }),
    new SignerError.AuthenticationFailed(context),
    new SignerError.PermissionDenied(context),
    new SignerError.PolicyDenied({ ...context, rule: "r" }),
    new SignerError.UnsupportedAlgorithm({ ...context, algorithm: "Ed25519" }),
    new SignerError.MessageTooLarge({ ...context, length: 2, limit: 1 }),
    new SignerError.InvalidResponse({ ...context, problem: "p" }),
    new SignerError.InvalidConfiguration({ ...context, problem: "p" }),
    new SignerError.UnknownBackendError(context)
  ])("never repeats $_tag", (error) =>
    Effect.gen(function* () {
      const { exit, times } = yield* signed(
        [ScriptedSigner.fail(error)],
        Decorator.retry({ schedule: exponential, times: 3 })
      )
      assert.strictEqual(errorOf(exit)._tag, error._tag)
      assert.deepStrictEqual(times, [0])
    })
  )

  it.effect("never repeats a defect", () =>
    Effect.gen(function* () {
      const { exit, times } = yield* signed(
        [ScriptedSigner.die(new Error("bug"))],
        Decorator.retry({ schedule: exponential, times: 3 })
      )
      assert.isTrue(Exit.hasDies(exit))
      assert.deepStrictEqual(times, [0])
    })
  )

  it.effect("signs the bytes of the call, whatever the caller does with its buffer between attempts", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({ steps: [unavailable, unavailable] })
      const seen: Array<string> = []
      const decorated = pipe(
        signer,
        Decorator.retry({ schedule: Schedule.spaced("1 second"), times: 3 }),
        Decorator.guard({
          name: "seen",
          permits: ({ message }) => seen.push(new TextDecoder().decode(message)) > 0
        })
      )
      const buffer = new TextEncoder().encode("original")
      const fiber = yield* Effect.forkChild(decorated.sign(buffer), { startImmediately: true })
      buffer.fill(0)
      yield* TestClock.adjust("1 second")
      buffer.fill(1)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)
      const attempts = yield* script.attempts
      assert.deepStrictEqual(
        attempts.map(({ message }) => new TextDecoder().decode(message)),
        Array(3).fill("original")
      )
      assert.deepStrictEqual(seen, ["original"])
      // one copy per call: all decorators and attempts share it
      assert.isTrue(attempts.every(({ message }) => message === attempts[0]?.message))
    })
  )

  it.effect("repeats reading the public key", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({ publicKeySteps: [unavailable, unavailable] })
      const retried = Decorator.retry({ schedule: exponential, times: 3 })(signer)
      const fiber = yield* Effect.forkChild(retried.publicKey())
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(yield* script.publicKeyTimes, [0, 100, 300])
    })
  )
})

describe("resilient", () => {
  it.effect("has the documented defaults", () =>
    Effect.gen(function* () {
      const { exit, times } = yield* signed(
        [ScriptedSigner.hang, unavailable, unavailable, unavailable],
        Decorator.resilient()
      )
      assert.strictEqual(errorOf(exit)._tag, "Retryable")
      assert.lengthOf(times, 4)
      const gaps = times.slice(1).map((time, index) => time - times[index]!)
      for (const [index, base] of [10_100, 200, 400].entries()) {
        const jitter = index === 0 ? [10_080, 10_120] : [base * 0.8, base * 1.2]
        assert.isTrue(gaps[index]! >= jitter[0]! - 1 && gaps[index]! <= jitter[1]! + 1, `gap ${index}: ${gaps[index]}`)
      }
    })
  )

  it.effect("never takes longer than its budget, whatever the jitter", () =>
    Effect.gen(function* () {
      for (let run = 0; run < 30; run++) {
        const { signer } = yield* ScriptedSigner.make({ steps: Array(10).fill(ScriptedSigner.hang) })
        const resilient = Decorator.resilient({ times: 9 })(signer)
        const fiber = yield* Effect.forkChild(Effect.exit(resilient.sign(message)), { startImmediately: true })
        yield* TestClock.adjust("45 seconds")
        assert.isDefined(fiber.pollUnsafe())
        const error = errorOf(yield* Fiber.join(fiber))
        assert.strictEqual(error._tag === "Retryable" && error.reason._tag, "TimedOut")
      }
    })
  )
})
