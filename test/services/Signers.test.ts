import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Ref, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as Jws from "../../src/protocols/Jws.ts"
import { KeyNotFound } from "../../src/schemas/SignerError.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Signer from "../../src/services/Signer.ts"
import * as Signers from "../../src/services/Signers.ts"

const message = new TextEncoder().encode("hello")

/** A lookup that notes what was built and what was released. */
const noting = Effect.map(Ref.make<ReadonlyArray<string>>([]), (events) => {
  const note = (event: string) => Ref.update(events, (all) => [...all, event])
  const lookup = (id: string) =>
    LocalSigner.layerGenerated("Ed25519").pipe(
      Layer.provideMerge(Layer.effectDiscard(Effect.acquireRelease(note(`+${id}`), () => note(`-${id}`))))
    )
  return { lookup, note, events: Ref.get(events) }
})

const sign = (signer: Signer.Service) => signer.sign(message)

describe("get", () => {
  it.effect("builds once for all who use an id, one Signer per id", () =>
    Effect.gen(function* () {
      const { events, lookup } = yield* noting
      const signers = yield* Signers.make(lookup)
      const all = yield* Effect.forEach(["a", "b", "a", "a", "b"], (id) => signers.get(id), {
        concurrency: "unbounded"
      })
      assert.strictEqual(all[0], all[2])
      assert.strictEqual(all[0], all[3])
      assert.strictEqual(all[1], all[4])
      assert.notStrictEqual(all[0]!.keyId, all[1]!.keyId)
      assert.deepStrictEqual(yield* events, ["+a", "+b"])
    })
  )

  it.effect("releases what nobody has used for the time to live, and not before", () =>
    Effect.gen(function* () {
      const { events, lookup } = yield* noting
      const signers = yield* Signers.make(lookup, { idleTimeToLive: "1 minute" })
      const first = yield* signers.use("a", (signer) => Effect.succeed(signer.keyId))
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual(yield* signers.use("a", (signer) => Effect.succeed(signer.keyId)), first)
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(yield* events, ["+a"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* events, ["+a", "-a"])
      assert.notStrictEqual(yield* signers.use("a", (signer) => Effect.succeed(signer.keyId)), first)
    })
  )

  it.effect("keeps what is in use, however long", () =>
    Effect.gen(function* () {
      const { events, lookup } = yield* noting
      const signers = yield* Signers.make(lookup, { idleTimeToLive: "1 minute" })
      const scope = yield* Scope.make()
      const signer = yield* Scope.provide(signers.get("a"), scope)
      yield* TestClock.adjust("1 day")
      yield* sign(signer)
      assert.deepStrictEqual(yield* events, ["+a"])
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* events, ["+a", "-a"])
    })
  )

  it.effect("without a time to live releases at once", () =>
    Effect.gen(function* () {
      const { events, lookup } = yield* noting
      const signers = yield* Signers.make(lookup, { idleTimeToLive: 0 })
      yield* signers.use("a", sign)
      assert.deepStrictEqual(yield* events, ["+a", "-a"])
    })
  )

  it.effect("releases everything when its scope is closed", () =>
    Effect.gen(function* () {
      const { events, lookup } = yield* noting
      yield* Effect.scoped(
        Effect.gen(function* () {
          const signers = yield* Signers.make(lookup)
          yield* signers.use("a", sign)
          yield* signers.use("b", sign)
        })
      )
      assert.sameMembers([...(yield* events)], ["+a", "+b", "-a", "-b"])
    })
  )

  it.effect("thousands of ids leave nothing behind", () =>
    Effect.gen(function* () {
      let open = 0
      let built = 0
      const key = yield* Layer.build(LocalSigner.layerGenerated("Ed25519"))
      const signers = yield* Signers.make(
        () =>
          Layer.effect(
            Signer.Signer,
            Effect.acquireRelease(
              Effect.sync(() => {
                open++
                built++
                return Context.get(key, Signer.Signer)
              }),
              () => Effect.sync(() => open--)
            )
          ),
        { idleTimeToLive: "1 minute" }
      )
      for (let round = 0; round < 3; round++) {
        yield* Effect.forEach(
          Array.from({ length: 2000 }, (_, index) => `tenant-${index}`),
          (id) => signers.use(id, sign),
          { concurrency: 50, discard: true }
        )
        assert.strictEqual(open, 2000)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(open, 0)
      }
      assert.strictEqual(built, 6000)
    })
  )

  it.effect.each(["", "a\nb", "a\u0000", "\ud800", "a".repeat(257), 7 as never, undefined as never])(
    "refuses the id %j, and asks nobody",
    (id) =>
      Effect.gen(function* () {
        const { events, lookup } = yield* noting
        const signers = yield* Signers.make(lookup)
        const error = yield* Effect.flip(Effect.scoped(signers.get(id)))
        assert.strictEqual(error._tag, "InvalidConfiguration")
        assert.strictEqual(
          error.message,
          "signers.make: InvalidConfiguration: id: must be text of 1 to 256 characters without control characters"
        )
        assert.deepStrictEqual(yield* events, [])
      })
  )

  it.effect.each(["__proto__", "constructor", "toString", "a/../b", "ключ"])("%s is an id like any other", (id) =>
    Effect.gen(function* () {
      const { events, lookup } = yield* noting
      const signers = yield* Signers.make(lookup)
      yield* signers.use(id, sign)
      yield* signers.use(id, sign)
      assert.deepStrictEqual(yield* events, [`+${id}`])
    })
  )
})

describe("a build that fails", () => {
  const failing = Effect.gen(function* () {
    const { events, lookup, note } = yield* noting
    const down = yield* Ref.make(true)
    const error = new KeyNotFound({ backend: "test", keyId: "a", operation: "publicKey" })
    const signers = yield* Signers.make(
      (id) =>
        Layer.unwrap(
          Effect.flatMap(Ref.get(down), (isDown) =>
            isDown
              ? Effect.yieldNow.pipe(Effect.andThen(note(`!${id}`)), Effect.andThen(Effect.fail(error)))
              : Effect.succeed(lookup(id))
          )
        ),
      { idleTimeToLive: "1 hour" }
    )
    return { down, error, events, signers }
  })

  it.effect("is not kept: the next use builds again", () =>
    Effect.gen(function* () {
      const { down, error, events, signers } = yield* failing
      assert.strictEqual(yield* Effect.flip(signers.use("a", sign)), error)
      assert.strictEqual(yield* Effect.flip(signers.use("a", sign)), error)
      yield* Ref.set(down, false)
      yield* signers.use("a", sign)
      yield* signers.use("a", sign)
      assert.deepStrictEqual(yield* events, ["!a", "!a", "+a"])
    })
  )

  it.effect("is not kept in the scope that saw it fail, either", () =>
    Effect.gen(function* () {
      const { down, events, signers } = yield* failing
      yield* Effect.flip(signers.get("a"))
      yield* Ref.set(down, false)
      yield* sign(yield* signers.get("a"))
      assert.deepStrictEqual(yield* events, ["!a", "+a"])
    })
  )

  it.effect("fails for all who wait, once", () =>
    Effect.gen(function* () {
      const { error, events, signers } = yield* failing
      const errors = yield* Effect.all(
        Array.from({ length: 20 }, () => Effect.flip(signers.use("a", sign))),
        {
          concurrency: "unbounded"
        }
      )
      assert.isTrue(errors.every((one) => one === error))
      assert.deepStrictEqual(yield* events, ["!a"])
    })
  )

  it.effect("is not kept where all who asked have left", () =>
    Effect.gen(function* () {
      const { lookup } = yield* noting
      const gate = yield* Deferred.make<void>()
      const attempts = yield* Ref.make(0)
      const signers = yield* Signers.make(
        (id) =>
          Layer.unwrap(
            Effect.flatMap(
              Ref.updateAndGet(attempts, (n) => n + 1),
              (attempt) =>
                attempt === 1
                  ? Effect.andThen(
                      Deferred.await(gate),
                      Effect.fail(new KeyNotFound({ backend: "test", keyId: id, operation: "sign" }))
                    )
                  : Effect.succeed(lookup(id))
            )
          ),
        { idleTimeToLive: "1 hour" }
      )
      const fiber = yield* Effect.forkChild(signers.use("a", sign), { startImmediately: true })
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.yieldNow
      yield* signers.use("a", sign)
      assert.strictEqual(yield* Ref.get(attempts), 2)
    })
  )

  it.effect("releases what it had built at once", () =>
    Effect.gen(function* () {
      const { events, note } = yield* noting
      const error = new KeyNotFound({ backend: "test", keyId: "a", operation: "sign" })
      const signers = yield* Signers.make((id) =>
        Layer.effect(Signer.Signer, Effect.fail(error)).pipe(
          Layer.provideMerge(Layer.effectDiscard(Effect.acquireRelease(note(`+${id}`), () => note(`-${id}`))))
        )
      )
      yield* Effect.flip(signers.get("a")) // in a scope that stays open
      assert.deepStrictEqual(yield* events, ["+a", "-a"])
    })
  )

  it.effect("takes no room", () =>
    Effect.gen(function* () {
      const { lookup } = yield* noting
      const error = new KeyNotFound({ backend: "test", keyId: "a", operation: "sign" })
      const signers = yield* Signers.make(
        (id) => (id === "a" ? Layer.effect(Signer.Signer, Effect.fail(error)) : lookup(id)),
        { capacity: 1 }
      )
      yield* Effect.flip(signers.get("a")) // in a scope that stays open
      yield* signers.get("b")
    })
  )

  it.effect("a lookup that throws is a defect, and is not kept", () =>
    Effect.gen(function* () {
      const { lookup } = yield* noting
      let isBroken = true
      const signers = yield* Signers.make((id) => {
        if (isBroken) throw new Error("broken")
        return lookup(id)
      })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(signers.use("a", sign))))
      isBroken = false
      yield* signers.use("a", sign)
    })
  )
})

describe("interruption", () => {
  it.effect("of the first who asked leaves the build to the others", () =>
    Effect.gen(function* () {
      const { events, lookup } = yield* noting
      const gate = yield* Deferred.make<void>()
      const signers = yield* Signers.make((id) => Layer.unwrap(Effect.as(Deferred.await(gate), lookup(id))))
      const first = yield* Effect.forkChild(signers.use("a", sign), { startImmediately: true })
      const second = yield* Effect.forkChild(signers.use("a", sign), { startImmediately: true })
      yield* Fiber.interrupt(first)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(second)).algorithm, "Ed25519")
      assert.deepStrictEqual(yield* events, ["+a"])
    })
  )
})

describe("the services of a build", () => {
  class Region extends Context.Service<Region, string>()("test/Region") {}

  it.effect("are those of the layer, whoever asks first", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const lookup = () =>
        Layer.unwrap(
          Effect.map(Region, (region) => {
            seen.push(region)
            return LocalSigner.layerGenerated("Ed25519")
          })
        )
      const live = Signers.layer(lookup).pipe(Layer.provide(Layer.succeed(Region, "ours")))
      yield* Signers.use("a", sign).pipe(Effect.provideService(Region, "theirs"), Effect.provide(live))
      assert.deepStrictEqual(seen, ["ours"])
    })
  )

  it.effect("are not those that the application has built of the same layer", () =>
    Effect.gen(function* () {
      const KeyLive = LocalSigner.layerGenerated("Ed25519")
      const live = Layer.merge(
        KeyLive,
        Signers.layer(() => KeyLive)
      )
      yield* Effect.gen(function* () {
        const signers = yield* Signers.Signers
        const { keyId } = yield* Signer.Signer
        const all = [keyId, (yield* signers.get("a")).keyId, (yield* signers.get("b")).keyId]
        yield* signers.invalidate("a")
        all.push((yield* signers.get("a")).keyId)
        assert.strictEqual(new Set(all).size, 4)
      }).pipe(Effect.provide(live))
    })
  )
})

describe("invalidate", () => {
  it.effect("has the next use build anew; who uses the Signer keeps it", () =>
    Effect.gen(function* () {
      const { events, lookup } = yield* noting
      const signers = yield* Signers.make(lookup)
      const scope = yield* Scope.make()
      const before = yield* Scope.provide(signers.get("a"), scope)
      yield* signers.invalidate("a")
      const after = yield* signers.use("a", Effect.succeed)
      assert.notStrictEqual(after.keyId, before.keyId)
      yield* sign(before)
      assert.deepStrictEqual(yield* events, ["+a", "+a"])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* events, ["+a", "+a", "-a"])
      yield* signers.invalidate("unknown")
    })
  )
})

describe("capacity", () => {
  it.effect("is made by releasing what was not used for the longest time", () =>
    Effect.gen(function* () {
      const { events, lookup } = yield* noting
      const signers = yield* Signers.make(lookup, { capacity: 2 })
      yield* signers.use("a", sign)
      yield* TestClock.adjust("1 second")
      yield* signers.use("b", sign)
      yield* TestClock.adjust("1 second")
      yield* signers.use("a", sign)
      yield* signers.use("c", sign)
      yield* signers.use("a", sign)
      assert.deepStrictEqual(yield* events, ["+a", "+b", "-b", "+c"])
    })
  )

  it.effect("does not take a Signer from who uses it", () =>
    Effect.gen(function* () {
      const { events, lookup } = yield* noting
      const signers = yield* Signers.make(lookup, { capacity: 1 })
      const error = yield* signers.use("a", () => Effect.flip(signers.use("b", sign)))
      assert.strictEqual(error._tag, "Retryable")
      assert.strictEqual(error._tag === "Retryable" ? error.reason._tag : undefined, "RateLimited")
      yield* signers.use("b", sign)
      assert.deepStrictEqual(yield* events, ["+a", "-a", "+b"])
    })
  )

  it.effect("holds for many at once", () =>
    Effect.gen(function* () {
      let open = 0
      let most = 0
      const key = yield* Layer.build(LocalSigner.layerGenerated("Ed25519"))
      const signers = yield* Signers.make(
        () =>
          Layer.effect(
            Signer.Signer,
            Effect.acquireRelease(
              Effect.sync(() => {
                most = Math.max(most, ++open)
                return Context.get(key, Signer.Signer)
              }),
              () => Effect.sync(() => open--)
            )
          ),
        { capacity: 10 }
      )
      yield* Effect.forEach(
        Array.from({ length: 500 }, (_, index) => `t${index % 50}`),
        (id) => signers.use(id, sign),
        {
          concurrency: 8,
          discard: true
        }
      )
      assert.isAtMost(most, 10)
    })
  )

  it.effect.each([
    { capacity: 0 },
    { capacity: 1.5 },
    { capacity: Number.NaN },
    { idleTimeToLive: -1 },
    { idleTimeToLive: "2 days" as const }
  ])("refuses %j", (options) =>
    Effect.gen(function* () {
      const { lookup } = yield* noting
      const error = yield* Effect.flip(Signers.make(lookup, options))
      assert.deepStrictEqual([error._tag, error.field], ["InvalidConfiguration", Object.keys(options)[0]])
    })
  )
})

describe("accessors", () => {
  it.effect("provide runs a protocol with the key of an id", () =>
    Effect.gen(function* () {
      const { lookup } = yield* noting
      const program = Effect.gen(function* () {
        const token = yield* Jws.sign(message).pipe(Signers.provide("acme"))
        const signer = yield* Signers.get("acme")
        const keys = KeyResolver.fromSigners([{ signer }])
        return yield* Jws.verify(token).pipe(Effect.provideService(KeyResolver.KeyResolver, keys))
      })
      const { payload } = yield* Effect.provide(program, Signers.layer(lookup))
      assert.deepStrictEqual(payload, message)
    })
  )

  class TenantUnknown extends Schema.TaggedError<TenantUnknown>()("TenantUnknown", {}) {}
  class Tenants extends Signers.Tag<Tenants, TenantUnknown>()("test/Tenants") {}

  it.effect("a tag of one's own has errors of one's own", () =>
    Effect.gen(function* () {
      const live = Layer.effect(
        Tenants,
        Signers.make((id) =>
          id === "acme"
            ? LocalSigner.layerGenerated("Ed25519")
            : Layer.effect(Signer.Signer, Effect.fail(new TenantUnknown()))
        )
      )
      const known = yield* Tenants.use((tenants) => tenants.use("acme", sign)).pipe(Effect.provide(live))
      assert.strictEqual(known.algorithm, "Ed25519")
      const answer = yield* Tenants.use((tenants) => tenants.use("globex", sign)).pipe(
        Effect.catchTag("TenantUnknown", () => Effect.succeed("unknown")),
        Effect.provide(live)
      )
      assert.strictEqual(answer, "unknown")
    })
  )
})
