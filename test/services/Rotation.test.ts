import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Context, Effect, Exit, Fiber, Layer, Schedule, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { KeyId, KeyVersion, LocalSigner, PublicKey, Signer, SignerError, Verifier } from "../../src/index.ts"
import * as MemoryRotationStore from "../../src/layers/MemoryRotationStore.ts"
import * as VaultSigner from "../../src/layers/VaultSigner.ts"
import * as Jwt from "../../src/protocols/Jwt.ts"
import * as RotationStateJson from "../../src/schemas/RotationStateJson.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Rotation from "../../src/services/Rotation.ts"
import * as RotationStore from "../../src/services/RotationStore.ts"
import { Conformance } from "../../src/testing.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import * as VaultEmulator from "../../src/testing/VaultEmulator.ts"

const policy = {
  propagation: "10 minutes",
  tokenLifetime: "1 hour",
  refresh: "30 seconds",
  outage: "1 minute",
  clockSkew: "30 seconds"
} as const

/** Until a key that was published may sign, and until one that was replaced may go. */
const propagated = "12 minutes"
const outlived = "62 minutes"

const message = new TextEncoder().encode("hello")

const local = (id: string) =>
  LocalSigner.make({ privateKey: TestKey.make("Ed25519", id), keyId: KeyId.make(`local ${id}`) })

/** A store in memory that counts, and that can be out of reach. */
const makeStore = Effect.gen(function* () {
  const memory = yield* MemoryRotationStore.make
  const script = {
    isDown: false,
    reads: 0,
    delay: 0,
    answerDelay: 0,
    override: undefined as RotationStore.Stored | undefined
  }
  const down = new RotationStore.RotationStoreError({
    store: "memory",
    operation: "read",
    reason: "Unavailable",
    problem: "it is out of reach"
  })
  const store: RotationStore.Service = {
    name: "memory",
    read: Effect.suspend(() => {
      script.reads++
      if (script.isDown) return Effect.fail(down)
      // others have their turn between a read and the write after it
      const read = Effect.tap(
        script.override === undefined ? memory.read : Effect.succeed(script.override),
        Effect.yieldNow
      )
      return script.delay === 0 ? read : Effect.delay(read, script.delay)
    }),
    compareAndSet: (revision, state) =>
      script.isDown
        ? Effect.fail(down)
        : Effect.tap(memory.compareAndSet(revision, state), () =>
            script.answerDelay === 0 ? Effect.void : Effect.sleep(script.answerDelay)
          )
  }
  return { store, script }
})

const over = (store: RotationStore.Service, options: Partial<Rotation.Options> = {}) =>
  Rotation.make({ policy, signerOf: local, ...options }).pipe(Effect.provideService(RotationStore.RotationStore, store))

const setUp = Effect.fnUntraced(function* (options: Partial<Rotation.Options> = {}) {
  yield* TestClock.setTime(1_800_000_000_000)
  const { script, store } = yield* makeStore
  const rotation = yield* over(store, options)
  yield* rotation.adopt("first")
  const stateOf = (id: string) =>
    Effect.map(rotation.status, ({ state }) => state.keys.find((key) => key.id === id)?.state)
  return { rotation, script, store, stateOf }
})

/** Takes the steps of a key until it is active. */
const activate = Effect.fnUntraced(function* (rotation: Rotation.Service) {
  yield* rotation.advance // published
  yield* TestClock.adjust(propagated)
  yield* rotation.advance // canary
  yield* rotation.advance // active
})

/** The events from now on. */
const listen = Effect.fnUntraced(function* (rotation: Rotation.Service) {
  const events: Array<Rotation.RotationEvent> = []
  yield* rotation.events.pipe(
    Stream.runForEach((event) => Effect.sync(() => events.push(event))),
    Effect.forkScoped({ startImmediately: true })
  )
  return events
})

/** A holder whose key changes under one name, and which fails when it is told to. */
const makeHolder = (id: string) => {
  const holder = { seed: id, fails: false, garbles: false, version: 1 }
  const inner = Effect.suspend(() => LocalSigner.make({ privateKey: TestKey.make("Ed25519", holder.seed) }))
  const signer = Signer.make(
    {
      name: "holder",
      keyId: KeyId.make(id),
      algorithm: "Ed25519",
      input: "message",
      publicKey: () => Effect.flatMap(inner, (signer) => signer.publicKey()),
      sign: (input) =>
        holder.fails
          ? Effect.fail(new SignerError.PermissionDenied({ backend: "holder", keyId: id, operation: "sign" }))
          : Effect.map(
              Effect.flatMap(inner, (signer) => signer.sign(input)),
              ({ bytes }) => ({
                bytes: holder.garbles ? new Uint8Array(64) : bytes,
                keyVersion: KeyVersion.make(String(holder.version))
              })
            )
    },
    { lazy: true }
  )
  return { holder, signer }
}

describe("the signer", () => {
  it.effect("signs with the active key, and its key version names it", () =>
    Effect.gen(function* () {
      const { rotation } = yield* setUp()
      const signer = yield* rotation.signer
      const before = yield* signer.sign(message)
      const [first] = (yield* rotation.status).state.keys
      assert.strictEqual(before.keyVersion, first!.kid)
      assert.isTrue(yield* Verifier.verify(first!.publicKey, message, before))
      yield* rotation.start("second")
      yield* activate(rotation)
      const after = yield* signer.sign(message)
      const second = (yield* rotation.status).state.keys[1]!
      assert.strictEqual(after.keyVersion, second.kid)
      assert.isTrue(PublicKey.sameKey(yield* signer.publicKey(), second.publicKey))
      // the key of a signature that was made before is found by its version
      assert.isTrue(PublicKey.sameKey(yield* signer.publicKey(before.keyVersion), first!.publicKey))
      assert.strictEqual((yield* Effect.flip(signer.publicKey(KeyVersion.make("other"))))._tag, "KeyNotFound")
    })
  )

  it.effect("reads the state once in each refresh, whatever is signed", () =>
    Effect.gen(function* () {
      const { rotation, script } = yield* setUp()
      const signer = yield* rotation.signer
      yield* TestClock.adjust("31 seconds")
      const before = script.reads
      yield* Effect.forEach(Array.from({ length: 50 }), () => signer.sign(message), { concurrency: "unbounded" })
      assert.strictEqual(script.reads, before + 1)
      yield* TestClock.adjust("29 seconds")
      yield* signer.sign(message)
      assert.strictEqual(script.reads, before + 1)
      yield* TestClock.adjust("1 second")
      yield* signer.sign(message)
      assert.strictEqual(script.reads, before + 2)
    })
  )

  it.effect("goes on for the outage where the state cannot be read, then stops, then comes back", () =>
    Effect.gen(function* () {
      const { rotation, script } = yield* setUp()
      const signer = yield* rotation.signer
      script.isDown = true
      yield* TestClock.adjust("90 seconds")
      yield* signer.sign(message)
      yield* TestClock.adjust("1 second")
      const error = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(error._tag, "Retryable")
      assert.include(error.message, "nobody knows which key is published")
      assert.strictEqual((yield* Effect.flip(rotation.published))._tag, "RotationStoreError")
      script.isDown = false
      yield* signer.sign(message)
    })
  )

  it.effect("does not take an old state for a new one where the clock was set back", () =>
    Effect.gen(function* () {
      const testClock = yield* Clock.Clock
      const at = { wall: 1_800_000_000_000, monotonic: 0n }
      const clock: Clock.Clock = {
        ...testClock,
        sleep: (duration) => testClock.sleep(duration),
        currentTimeMillisUnsafe: () => at.wall,
        currentTimeMillis: Effect.sync(() => at.wall),
        monotonicTimeNanosUnsafe: () => at.monotonic,
        monotonicTimeNanos: Effect.sync(() => at.monotonic)
      }
      yield* Effect.gen(function* () {
        const { script, store } = yield* makeStore
        const rotation = yield* over(store)
        yield* rotation.adopt("first")
        const signer = yield* rotation.signer
        script.isDown = true
        at.wall -= 3_600_000 // the machine slept, and woke with another time
        assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "Retryable")
        at.wall += 3_600_000 - 20_000
        at.monotonic += 89_000_000_000n
        yield* signer.sign(message)
        at.monotonic += 2_000_000_000n // the clock says that no time has passed
        assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "Retryable")
      }).pipe(Effect.provideService(Clock.Clock, clock))
    })
  )

  it.effect("asks a store that does not answer once a second, and not at each signature", () =>
    Effect.gen(function* () {
      const { rotation, script } = yield* setUp()
      const signer = yield* rotation.signer
      script.isDown = true
      yield* TestClock.adjust("40 seconds")
      const before = script.reads
      for (let i = 0; i < 20; i++) yield* signer.sign(message)
      assert.strictEqual(script.reads, before + 1)
      yield* TestClock.adjust("1 second")
      yield* signer.sign(message)
      assert.strictEqual(script.reads, before + 2)
    })
  )

  it.effect("does not wait for ever for a store that hangs", () =>
    Effect.gen(function* () {
      const { rotation, script } = yield* setUp()
      const signer = yield* rotation.signer
      script.delay = 3_600_000
      yield* TestClock.adjust("40 seconds")
      const signing = yield* Effect.forkChild(signer.sign(message), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(signing)))
      yield* TestClock.adjust("2 minutes")
      const late = yield* Effect.forkChild(Effect.flip(signer.sign(message)), { startImmediately: true })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(late))._tag, "Retryable")
    })
  )

  it.effect("has nobody wait longer than a second while the state that is known may still be used", () =>
    Effect.gen(function* () {
      const { rotation, script } = yield* setUp()
      const signer = yield* rotation.signer
      yield* TestClock.adjust("31 seconds")
      script.delay = 3_600_000
      for (let turn = 0; turn < 20; turn++) {
        const signing = yield* Effect.forkChild(signer.sign(message), { startImmediately: true })
        yield* TestClock.adjust("1 second")
        assert.isDefined(signing.pollUnsafe(), `turn ${turn}`)
        yield* Fiber.join(signing)
        yield* TestClock.adjust("1 second")
      }
    })
  )

  it.effect("dates a state from when its reading began", () =>
    Effect.gen(function* () {
      const { rotation, script } = yield* setUp()
      const signer = yield* rotation.signer
      yield* TestClock.adjust("31 seconds")
      script.delay = 4_000
      const slow = yield* Effect.forkChild(signer.sign(message), { startImmediately: true })
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(slow)
      script.isDown = true
      yield* TestClock.adjust("86 seconds") // 90 since the reading began
      yield* signer.sign(message)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "Retryable")
    })
  )

  it.effect("takes note of a state that came after everybody had stopped waiting", () =>
    Effect.gen(function* () {
      const { rotation, script, store } = yield* setUp()
      const signer = yield* rotation.signer
      yield* (yield* over(store)).disable("first", { compromised: true })
      yield* TestClock.adjust("31 seconds")
      script.delay = 4_000
      const slow = yield* Effect.forkChild(signer.sign(message), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(slow) // with what was known
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "KeyUnavailable")
    })
  )

  it.effect("goes on for others where the one who reads the state is interrupted", () =>
    Effect.gen(function* () {
      const { rotation, script } = yield* setUp()
      const signer = yield* rotation.signer
      yield* TestClock.adjust("31 seconds")
      script.delay = 1_000
      const first = yield* Effect.forkChild(signer.sign(message), { startImmediately: true })
      const second = yield* Effect.forkChild(signer.sign(message), { startImmediately: true })
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(second)))
    })
  )

  it.effect("refuses a state that went back, which is one whose steps were lost", () =>
    Effect.gen(function* () {
      const { rotation, script, store } = yield* setUp()
      const signer = yield* rotation.signer
      const old = yield* store.read
      yield* rotation.start("second")
      script.override = old
      assert.include((yield* Effect.flip(rotation.status)).message, "went back from revision 2 to 1")
      yield* TestClock.adjust("2 minutes")
      const error = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(error._tag, "InvalidConfiguration")
    })
  )

  it.effect("withholds a signature by a key that nobody has published", () =>
    Effect.gen(function* () {
      const { holder, signer: held } = makeHolder("first")
      const { rotation } = yield* setUp({ signerOf: () => held })
      const signer = yield* rotation.signer
      yield* signer.sign(message)
      holder.seed = "made by the holder"
      holder.version = 2
      const error = yield* Effect.flip(signer.sign(message))
      assert.strictEqual(error._tag, "InvalidResponse")
      assert.include(error.message, "another key than the one that is published")
    })
  )

  it.effect("has one algorithm: it fails once the active key has another, and is made again", () =>
    Effect.gen(function* () {
      const { rotation, stateOf } = yield* setUp({
        signerOf: (id) => LocalSigner.make({ privateKey: TestKey.make(id === "first" ? "Ed25519" : "ES256", id) })
      })
      const signer = yield* rotation.signer
      assert.include((yield* Effect.flip(rotation.start("second"))).message, "AlgorithmChange")
      yield* rotation.start("second", { allowAlgorithmChange: true })
      yield* activate(rotation)
      assert.strictEqual(yield* stateOf("second"), "active")
      assert.include((yield* Effect.flip(signer.sign(message))).message, "replaced by one for ES256")
      const again = yield* rotation.signer
      assert.strictEqual((yield* again.sign(message)).algorithm, "ES256")
    })
  )

  it.effect("of this moment has the kid as key id, and fails once another key is active", () =>
    Effect.gen(function* () {
      const { rotation } = yield* setUp()
      const pinned = yield* rotation.active
      assert.strictEqual(pinned.keyId, (yield* rotation.status).state.keys[0]!.kid as KeyId.KeyId)
      yield* pinned.sign(message)
      yield* rotation.start("second", { kid: "2031-01" })
      yield* activate(rotation)
      assert.strictEqual((yield* Effect.flip(pinned.sign(message)))._tag, "KeyUnavailable")
      assert.strictEqual((yield* rotation.active).keyId, KeyId.make("2031-01"))
    })
  )

  it.effect("cannot be made where there is no key yet", () =>
    Effect.gen(function* () {
      const { store } = yield* makeStore
      const rotation = yield* over(store)
      assert.strictEqual((yield* Effect.flip(rotation.signer))._tag, "KeyUnavailable")
      assert.include((yield* Effect.flip(rotation.published)).message, "it holds no rotation")
    })
  )

  Conformance.suite(
    it,
    "rotation",
    Rotation.layerSigner.pipe(
      Layer.provide(
        Layer.effect(
          Rotation.Rotation,
          Effect.gen(function* () {
            const { store } = yield* makeStore
            const rotation = yield* over(store)
            yield* rotation.adopt("first")
            return rotation
          })
        )
      )
    )
  )
})

describe("steps", () => {
  it.effect("publish the keys from published to retiring, with their purpose", () =>
    Effect.gen(function* () {
      const { rotation } = yield* setUp({ purpose: "tokens" })
      const published = Effect.map(rotation.published, (keys) => keys.length)
      yield* rotation.start("second")
      assert.strictEqual(yield* published, 1)
      yield* activate(rotation)
      const [first, second] = yield* rotation.published
      assert.deepInclude(first, { purpose: "tokens" })
      assert.strictEqual(second?.keyId, PublicKey.thumbprint(second!.publicKey))
      yield* TestClock.adjust(outlived)
      yield* rotation.advance
      assert.strictEqual(yield* published, 1)
    })
  )

  it.effect("that are not due say what is waited for and until when", () =>
    Effect.gen(function* () {
      const { rotation } = yield* setUp()
      assert.deepInclude(yield* Effect.flip(rotation.advance), { reason: "NothingToDo" })
      yield* rotation.start("second")
      yield* rotation.advance
      assert.deepInclude(yield* Effect.flip(rotation.advance), {
        reason: "PropagationNotOver",
        until: 1_800_000_000_000 + 12 * 60_000
      })
    })
  )

  it.effect("of many at once are taken once each", () =>
    Effect.gen(function* () {
      const { rotation, stateOf, store } = yield* setUp()
      const others = yield* Effect.forEach(Array.from({ length: 8 }), () => over(store))
      const starts = yield* Effect.forEach(others, (other) => Effect.exit(other.start("second")), {
        concurrency: "unbounded"
      })
      assert.lengthOf(starts.filter(Exit.isSuccess), 1)
      const advances = yield* Effect.forEach(others, (other) => Effect.exit(other.advance), {
        concurrency: "unbounded"
      })
      assert.lengthOf(advances.filter(Exit.isSuccess), 1)
      assert.strictEqual(yield* stateOf("second"), "published")
      assert.strictEqual((yield* rotation.status).revision, 3)
    })
  )

  it.effect("are told to those who listen where they were taken, once", () =>
    Effect.gen(function* () {
      const { rotation, store } = yield* setUp()
      const other = yield* over(store)
      const [here, there] = [yield* listen(rotation), yield* listen(other)]
      yield* rotation.start("second")
      yield* other.advance
      yield* TestClock.adjust(propagated)
      yield* rotation.advance
      yield* other.advance
      yield* Effect.yieldNow
      const shown = (events: ReadonlyArray<Rotation.RotationEvent>) =>
        events.map((event) => (event._tag === "Moved" ? `${event.id} ${event.from} ${event.to}` : event._tag))
      assert.deepStrictEqual(shown(here), ["second undefined created", "second published canary"])
      assert.deepStrictEqual(shown(there), [
        "second created published",
        "first active retiring",
        "second canary active"
      ])
    })
  )

  it.effect("start a key only if it signs", () =>
    Effect.gen(function* () {
      const { holder, signer } = makeHolder("second")
      const { rotation, stateOf } = yield* setUp({ signerOf: (id) => (id === "first" ? local(id) : signer) })
      holder.fails = true
      const error = yield* Effect.flip(rotation.start("second"))
      assert.deepInclude(error, { _tag: "CanaryFailed", id: "second", verified: 0 })
      assert.isUndefined(yield* stateOf("second"))
      assert.include((yield* Effect.flip(rotation.start(""))).message, "id: must be text")
    })
  )

  it.effect("do not activate a key that fails as a canary; it is told, and holds up no other key", () =>
    Effect.gen(function* () {
      const { holder, signer } = makeHolder("third")
      const { rotation, stateOf } = yield* setUp({ signerOf: (id) => (id === "third" ? signer : local(id)) })
      yield* rotation.start("second")
      yield* activate(rotation)
      yield* rotation.start("third")
      yield* rotation.advance
      const events = yield* listen(rotation)
      holder.fails = true
      yield* TestClock.adjust(propagated)
      yield* rotation.advance
      assert.strictEqual(yield* stateOf("third"), "canary")
      const error = yield* Effect.flip(rotation.advance)
      assert.deepInclude(error, { _tag: "CanaryFailed", id: "third" })
      assert.include(error.message, "PermissionDenied")
      yield* TestClock.adjust(outlived)
      yield* rotation.advance
      assert.strictEqual(yield* stateOf("first"), "retired")
      assert.strictEqual(yield* stateOf("third"), "canary")
      assert.includeMembers(
        events.map(({ _tag }) => _tag),
        ["CanaryFailed"]
      )
      holder.fails = false
      yield* rotation.advance
      assert.strictEqual(yield* stateOf("third"), "active")
    })
  )

  it.effect("do not activate a key that its holder has exchanged", () =>
    Effect.gen(function* () {
      const { holder, signer } = makeHolder("second")
      const { rotation } = yield* setUp({ signerOf: (id) => (id === "first" ? local(id) : signer) })
      yield* rotation.start("second")
      yield* rotation.advance
      holder.seed = "made by the holder"
      holder.version = 2
      yield* TestClock.adjust(propagated)
      yield* rotation.advance
      assert.include((yield* Effect.flip(rotation.advance)).message, "another key than the one that is published")
    })
  )

  it.effect("do not activate a key whose signatures do not verify", () =>
    Effect.gen(function* () {
      const { holder, signer } = makeHolder("second")
      const { rotation, stateOf } = yield* setUp({ signerOf: (id) => (id === "first" ? local(id) : signer) })
      yield* rotation.start("second")
      yield* rotation.advance
      holder.garbles = true
      yield* TestClock.adjust(propagated)
      yield* rotation.advance
      const error = yield* Effect.flip(rotation.advance)
      assert.include(error.message, "does not verify by the published key")
      assert.strictEqual(yield* stateOf("second"), "canary")
    })
  )

  it.effect("that were taken are told, also where who took one is interrupted", () =>
    Effect.gen(function* () {
      const { rotation, script, stateOf } = yield* setUp()
      const events = yield* listen(rotation)
      yield* rotation.start("second")
      script.answerDelay = 1_000
      const step = yield* Effect.forkChild(rotation.advance, { startImmediately: true })
      for (let i = 0; i < 10; i++) yield* Effect.yieldNow
      const interrupted = yield* Effect.forkChild(Fiber.interrupt(step), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(interrupted)
      assert.strictEqual(yield* stateOf("second"), "published")
      assert.lengthOf(events, 2)
    })
  )

  it.effect("roll back to a key that still signs, and to no other", () =>
    Effect.gen(function* () {
      const { holder, signer } = makeHolder("first")
      const { rotation, stateOf } = yield* setUp({ signerOf: (id) => (id === "first" ? signer : local(id)) })
      yield* rotation.start("second")
      yield* activate(rotation)
      holder.fails = true
      assert.strictEqual((yield* Effect.flip(rotation.rollback))._tag, "CanaryFailed")
      assert.strictEqual(yield* stateOf("second"), "active")
      holder.fails = false
      yield* rotation.rollback
      assert.deepStrictEqual([yield* stateOf("first"), yield* stateOf("second")], ["active", "retiring"])
    })
  )

  it.effect("roll back once where several do so at once, and not forward again", () =>
    Effect.gen(function* () {
      const { rotation, store, stateOf } = yield* setUp()
      yield* rotation.start("second")
      yield* activate(rotation)
      const processes = [yield* over(store), yield* over(store), rotation]
      const exits = yield* Effect.forEach(processes, ({ rollback }) => Effect.exit(rollback), {
        concurrency: "unbounded"
      })
      assert.lengthOf(exits.filter(Exit.isSuccess), 1)
      assert.deepStrictEqual([yield* stateOf("first"), yield* stateOf("second")], ["active", "retiring"])
    })
  )

  it.effect("are taken and told, too, where the store wrote them and its answer was lost", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_800_000_000_000)
      const { store } = yield* makeStore
      let lose = true
      const answerless: RotationStore.Service = {
        ...store,
        compareAndSet: (revision, state) =>
          Effect.filterOrFail(
            store.compareAndSet(revision, state),
            () => !lose,
            () =>
              new RotationStore.RotationStoreError({
                store: "memory",
                operation: "compareAndSet",
                reason: "Unavailable",
                problem: "the answer was lost"
              })
          )
      }
      const rotation = yield* over(answerless)
      const events = yield* listen(rotation)
      const adopted = yield* rotation.adopt("first")
      assert.deepInclude(adopted[0], { id: "first", to: "active" })
      yield* Effect.yieldNow
      assert.lengthOf(events, 1)
      // what another process wrote in the meantime is not this step
      const raced = yield* over({
        ...answerless,
        compareAndSet: (revision, state) =>
          Effect.andThen(
            Effect.orDie(store.compareAndSet(revision, { ...state, updatedAt: state.updatedAt + 1 })),
            answerless.compareAndSet(revision, state)
          )
      })
      assert.strictEqual((yield* Effect.flip(raced.start("second")))._tag, "RotationStoreError")
      lose = false
    })
  )

  it.effect.each([
    ["id", "a\nb", {}],
    ["kid", "second", { kid: "a\nb" }],
    ["kid", "second", { kid: "\ud800" }],
    ["kid", "second", { kid: "k".repeat(2049) }]
  ] as const)("refuse a %s that no key set can have: %#", ([field, id, options]) =>
    Effect.gen(function* () {
      const { rotation } = yield* setUp()
      for (const step of [rotation.start(id, options), rotation.adopt(id, options)]) {
        assert.deepInclude(yield* Effect.flip(step), { _tag: "InvalidConfiguration", field })
      }
    })
  )

  it.effect("release the Signer of a key that is done with, also in processes that take none", () =>
    Effect.gen(function* () {
      const { rotation, store } = yield* setUp()
      const released: Array<string> = []
      const other = yield* over(store, {
        signerOf: (id) =>
          Effect.acquireRelease(local(id), () =>
            Effect.sync(() => {
              released.push(id)
            })
          )
      })
      const signer = yield* other.signer
      yield* signer.sign(message)
      yield* rotation.start("second")
      yield* activate(rotation)
      yield* TestClock.adjust(outlived)
      yield* signer.sign(message)
      assert.deepStrictEqual(released, [])
      yield* rotation.advance // retired
      yield* TestClock.adjust("31 seconds")
      yield* signer.sign(message)
      assert.deepStrictEqual(released, ["first"])
    })
  )

  it.effect("disable a key that is not needed, or a compromised one at once", () =>
    Effect.gen(function* () {
      const { rotation, stateOf } = yield* setUp()
      yield* rotation.start("second")
      yield* rotation.disable("second")
      assert.strictEqual((yield* Effect.flip(rotation.start("second")))._tag, "RotationRefused")
      assert.deepInclude(yield* Effect.flip(rotation.disable("first")), { reason: "StillNeeded" })
      const signer = yield* rotation.signer
      yield* rotation.disable("first", { compromised: true })
      assert.strictEqual(yield* stateOf("first"), "disabled")
      assert.deepStrictEqual(yield* rotation.published, [])
      assert.strictEqual((yield* Effect.flip(signer.sign(message)))._tag, "KeyUnavailable")
    })
  )

  it.effect("are kept by the larger policy of two processes", () =>
    Effect.gen(function* () {
      const { rotation, store } = yield* setUp()
      const longer = yield* over(store, { policy: { ...policy, tokenLifetime: "2 hours" } })
      yield* longer.start("second")
      assert.strictEqual((yield* rotation.status).state.policy.tokenLifetime, 7_200_000)
    })
  )

  it.effect("are kept by the larger policy from when somebody signs or publishes by it", () =>
    Effect.gen(function* () {
      const { rotation, script, store } = yield* setUp()
      const longer = yield* over(store, {
        policy: { ...policy, propagation: "1 hour", tokenLifetime: "2 hours", canarySignatures: 7 }
      })
      const { length } = yield* longer.published
      assert.strictEqual(length, 1)
      const { revision, state } = yield* rotation.status
      assert.deepInclude(state.policy, { propagation: 3_600_000, tokenLifetime: 7_200_000, canarySignatures: 3 })
      yield* (yield* longer.signer).sign(message)
      assert.strictEqual((yield* rotation.status).revision, revision) // once
      // who cannot say so does neither
      const shorter = yield* over(store, { policy: { ...policy, outage: "3 minutes" } })
      const readOnly = yield* over(
        {
          ...store,
          compareAndSet: () =>
            Effect.fail(
              new RotationStore.RotationStoreError({
                store: "memory",
                operation: "compareAndSet",
                reason: "PermissionDenied",
                problem: "it is read only"
              })
            )
        },
        { policy: { ...policy, tokenLifetime: "3 hours" } }
      )
      assert.deepInclude(yield* Effect.flip(readOnly.published), { reason: "PermissionDenied" })
      assert.deepInclude(yield* Effect.flip(readOnly.signer), { _tag: "InvalidConfiguration" })
      yield* shorter.published
      assert.strictEqual((yield* rotation.status).state.policy.outage, 180_000)
      assert.isAbove(script.reads, 0)
    })
  )

  it.effect("hold nothing secret: not in the state, an event or an error", () =>
    Effect.gen(function* () {
      const secret = TestKey.secretBytes("Ed25519", "second")
      const { rotation, script } = yield* setUp()
      const events = yield* listen(rotation)
      yield* rotation.start("second")
      yield* activate(rotation)
      const status = yield* rotation.status
      const refused = yield* Effect.flip(rotation.advance)
      script.isDown = true
      const down = yield* Effect.exit(rotation.advance)
      const shown = [
        status,
        events,
        refused,
        down,
        Exit.isFailure(down) ? Cause.pretty(down.cause) : "",
        RotationStateJson.toText(status.state),
        yield* rotation.signer
      ]
      const search = Canary.search([{ name: "the private key", secret }])
      for (const value of shown) assert.isUndefined(search(Canary.show(value)))
    })
  )
})

describe("run", () => {
  it.effect("goes on after a turn that failed, and tells so", () =>
    Effect.gen(function* () {
      const { rotation, script, stateOf } = yield* setUp()
      const events = yield* listen(rotation)
      yield* rotation.start("second")
      const running = yield* rotation
        .run({ schedule: Schedule.spaced("1 minute") })
        .pipe(Effect.forkChild({ startImmediately: true }))
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* stateOf("second"), "published")
      script.isDown = true
      yield* TestClock.adjust("3 minutes")
      script.isDown = false
      yield* TestClock.adjust("15 minutes")
      assert.strictEqual(yield* stateOf("second"), "active")
      yield* Fiber.interrupt(running)
      const failures = events.filter((event) => event._tag === "TurnFailed")
      assert.deepStrictEqual(failures[0]?.error, "RotationStoreError")
    })
  )

  it.effect("begins no rotation in an empty store, unless it is told to", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_800_000_000_000)
      const { store } = yield* makeStore
      const rotation = yield* over(store)
      const events = yield* listen(rotation)
      let made = 0
      const options = {
        schedule: Schedule.spaced("1 minute"),
        rotateEvery: "30 days",
        newKey: Effect.sync(() => `key-${++made}`)
      } as const
      const running = yield* Effect.forkScoped(rotation.run(options), { startImmediately: true })
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual((yield* rotation.status).state.keys, [])
      assert.deepInclude(events[0], { _tag: "TurnFailed", error: "InvalidConfiguration" })
      yield* Fiber.interrupt(running)
      yield* Effect.forkScoped(rotation.run({ ...options, begin: true }), { startImmediately: true })
      // the key is made in real time
      const begun = Effect.map(rotation.status, ({ state }) => state.keys.length > 0)
      for (let turn = 0; turn < 10_000 && !(yield* begun); turn++) {
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      assert.strictEqual(made, 1)
      assert.lengthOf((yield* rotation.status).state.keys, 1)
    }).pipe(Effect.scoped)
  )

  it.effect("needs to know how often, where it makes keys", () =>
    Effect.gen(function* () {
      const { rotation } = yield* setUp()
      const error = yield* Effect.flip(
        rotation.run({ schedule: Schedule.spaced("1 minute"), newKey: Effect.succeed("next") })
      )
      assert.strictEqual(error.field, "rotateEvery")
    })
  )
})

describe("across backends", () => {
  it.live("a local key is followed by one of Vault, in one rotation: all tokens verify", () =>
    Effect.gen(function* () {
      const vault = yield* VaultEmulator.VaultEmulator
      yield* vault.createKey("release", "ed25519")
      const { store } = yield* makeStore
      // at once: what is tested is the way from one holder to another
      const at = { propagation: 0, tokenLifetime: 0, refresh: 0, outage: 0, clockSkew: 0 }
      const rotation = yield* over(store, {
        policy: at,
        signerOf: (id) =>
          id.startsWith("vault:")
            ? Effect.map(
                Layer.build(
                  VaultSigner.layer({ ...vault.connection, key: id.slice("vault:".length) }).pipe(
                    Layer.provide(NodeHttpClient.layerUndici)
                  )
                ),
                (context) => Context.get(context, Signer.Signer)
              )
            : local(id)
      })
      yield* rotation.adopt("file")
      const signer = yield* rotation.signer
      const issue = Jwt.sign({}, { issuer: "https://id.example", audience: "api", expiresIn: "5 minutes" }).pipe(
        Effect.provideService(Signer.Signer, signer)
      )
      const tokens = [yield* issue]
      yield* rotation.start("vault:release")
      tokens.push(yield* issue)
      for (let i = 0; i < 3; i++) yield* rotation.advance
      tokens.push(yield* issue)
      const keys = yield* rotation.published
      const resolver = yield* KeyResolver.fromKeys(keys)
      const kids = yield* Effect.forEach(tokens, (token) =>
        Jwt.verify(token, { issuer: "https://id.example", audience: "api" }).pipe(
          Effect.provideService(KeyResolver.KeyResolver, resolver),
          Effect.map(({ key }) => key.keyId)
        )
      )
      assert.deepStrictEqual(kids, [keys[0]!.keyId, keys[0]!.keyId, keys[1]!.keyId])
      assert.strictEqual(signer.backend, "rotation")
    }).pipe(Effect.provide(VaultEmulator.layer()))
  )
})

describe("layer", () => {
  it.effect.each([
    ["name", { name: "" }],
    ["name", { name: "a\nb" }],
    ["purpose", { purpose: "" }],
    ["purpose", { purpose: "p".repeat(257) }]
  ] as const)("refuses a %s that is none", ([field, options]) =>
    Effect.gen(function* () {
      const { store } = yield* makeStore
      assert.deepInclude(yield* Effect.flip(over(store, options)), { _tag: "InvalidConfiguration", field })
    })
  )

  it.effect("refuses a policy that is none", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const layer = Rotation.layer({ policy: { ...policy, canarySignatures: 0 }, signerOf: local }).pipe(
        Layer.provide(MemoryRotationStore.layer())
      )
      const error = yield* Effect.flip(Scope.provide(Layer.build(layer), scope))
      assert.strictEqual(error.field, "canarySignatures")
    })
  )
})
