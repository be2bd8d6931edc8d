import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { KeyVersion, Signer, SignerError, Verifier } from "../../src/index.ts"
import * as Decorator from "../../src/Decorator.ts"
import { ScriptedSigner } from "../../src/testing.ts"

const message = new TextEncoder().encode("message")
const unavailable = ScriptedSigner.fail(new SignerError.BackendUnavailable({}))

const isValid = (signer: Signer.Service, signature: Uint8Array) =>
  Effect.flatMap(signer.publicKey(), (key) => Verifier.verify(key, message, signature))

describe("ScriptedSigner", () => {
  it.effect("follows the script, then signs", () =>
    Effect.gen(function* () {
      const denied = new SignerError.PermissionDenied({ backend: "scripted", keyId: "k", operation: "sign" })
      const { script, signer } = yield* ScriptedSigner.make({
        steps: [unavailable, ScriptedSigner.fail(denied), ScriptedSigner.succeed]
      })
      const first = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(first._tag, "Retryable")
      assert.strictEqual(first.backend, "scripted")
      assert.strictEqual(first.keyId, signer.keyId)
      assert.strictEqual(first.operation, "sign")
      assert.strictEqual(yield* Effect.flip(signer.sign(message)), denied)
      for (let i = 0; i < 2; i++) {
        const signature = yield* signer.sign(message)
        assert.isTrue(yield* isValid(signer, signature.bytes))
      }
      const attempts = yield* script.attempts
      assert.deepStrictEqual(
        attempts.map(({ exit, step }) => [step._tag, Exit.isSuccess(exit!)]),
        [
          ["Fail", false],
          ["Fail", false],
          ["Succeed", true],
          ["Succeed", true]
        ]
      )
      assert.deepStrictEqual(attempts[3]!.message, message)
    })
  )

  it.effect("keeps the clock times of attempts, and what is still to come can be added", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({ steps: [unavailable, ScriptedSigner.hang] })
      yield* script.push(ScriptedSigner.delay("1 second"))
      const decorated = Decorator.retry({ schedule: Schedule.spaced("1 second"), times: 3 })(
        Decorator.timeout("5 seconds")(signer)
      )
      const fiber = yield* Effect.forkChild(decorated.sign(message))
      yield* TestClock.adjust("1 minute")
      assert.isTrue(yield* isValid(signer, (yield* Fiber.join(fiber)).bytes))
      assert.deepStrictEqual(yield* script.attemptTimes, [0, 1000, 7000])
      const [failed, hung, late] = yield* script.attempts
      assert.isTrue(Exit.isFailure(failed!.exit!) && !Exit.hasInterrupts(failed!.exit))
      assert.isTrue(Exit.isFailure(hung!.exit!) && Exit.hasInterrupts(hung!.exit))
      assert.isTrue(Exit.isSuccess(late!.exit!))
    })
  )

  it.effect("delays any step", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({ steps: [ScriptedSigner.delay("3 seconds", unavailable)] })
      const fiber = yield* Effect.forkChild(Effect.flip(signer.sign(message)), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      assert.isUndefined((yield* script.attempts)[0]!.exit)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Retryable")
    })
  )

  it.effect("dies with the given defect", () =>
    Effect.gen(function* () {
      const { signer } = yield* ScriptedSigner.make({ steps: [ScriptedSigner.die("boom")] })
      assert.deepStrictEqual(yield* Effect.exit(signer.sign(message)), Exit.die("boom"))
    })
  )

  it.effect.each(["Ed25519", "ES256", "ES256K", "BIP340", "PS256", "ML-DSA-44"] as const)(
    "answers wrongly in each way with %s, and never twice",
    (algorithm) =>
      Effect.gen(function* () {
        for (const mistake of ["truncated", "tampered", "anotherMessage", "anotherKey"] as const) {
          const { signer } = yield* ScriptedSigner.make({ algorithm, steps: [ScriptedSigner.invalid(mistake)] })
          const verified = Decorator.verified(signer)
          assert.strictEqual((yield* Effect.flip(verified.sign(message)))._tag, "InvalidResponse", mistake)
          yield* verified.sign(message)
        }
      })
  )

  it.effect("plays a script for the public key", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({
        publicKeySteps: [unavailable, ScriptedSigner.invalid("anotherKey")],
        publicKeyTimeToLive: "1 minute"
      })
      assert.strictEqual(yield* script.publicKeyReads, 0)
      const error = yield* Effect.flip(signer.publicKey())
      assert.strictEqual(error._tag, "Retryable")
      assert.strictEqual(error.operation, "publicKey")
      const another = yield* signer.publicKey()
      yield* TestClock.adjust("2 minutes")
      yield* script.pushPublicKey(ScriptedSigner.succeed)
      assert.notDeepEqual((yield* signer.publicKey()).bytes, another.bytes)
      assert.strictEqual(yield* script.publicKeyReads, 3)
      assert.deepStrictEqual(yield* script.publicKeyTimes, [0, 0, 120_000])
      const version = KeyVersion.make("2")
      assert.strictEqual((yield* Effect.flip(signer.publicKey(version)))._tag, "KeyNotFound")
      assert.strictEqual((yield* script.publicKeyAttempts)[3]!.version, version)
    })
  )

  it.effect("reads the public key while it is made where asked to", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(ScriptedSigner.make({ lazy: false, publicKeySteps: [unavailable] }))
      assert.strictEqual(error._tag, "Retryable")
    })
  )

  it.effect("provides the Signer and its Script", () =>
    Effect.gen(function* () {
      const script = yield* ScriptedSigner.Script
      assert.strictEqual((yield* Effect.flip(Signer.sign(message)))._tag, "Retryable")
      assert.lengthOf(yield* script.attempts, 1)
    }).pipe(Effect.provide(ScriptedSigner.layer({ steps: [unavailable] })))
  )

  it.effect("goes under decorators as a layer", () =>
    Effect.gen(function* () {
      const { script, signer } = yield* ScriptedSigner.make({ steps: [unavailable] })
      const decorated = Layer.succeed(Signer.Signer, signer).pipe(Signer.retry({ schedule: Schedule.recurs(1) }))
      yield* Effect.provide(Signer.sign(message), decorated)
      assert.lengthOf(yield* script.attempts, 2)
    })
  )
})
