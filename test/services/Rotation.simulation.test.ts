import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Result, Schedule, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { LocalSigner, Signer } from "../../src/index.ts"
import * as MemoryRotationStore from "../../src/layers/MemoryRotationStore.ts"
import * as Jwt from "../../src/protocols/Jwt.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as Rotation from "../../src/services/Rotation.ts"
import { RotationStore, RotationStoreError } from "../../src/services/RotationStore.ts"
import type * as RotationStoreModule from "../../src/services/RotationStore.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

const second = 1000
const minute = 60 * second

const random = (seed: number) => {
  let x = (seed ^ 0x9e3779b9) >>> 0 || 1
  return (n: number) => {
    x ^= x << 13
    x >>>= 0
    x ^= x >>> 17
    x ^= x << 5
    x >>>= 0
    return x % n
  }
}

const policy = {
  propagation: "3 minutes",
  tokenLifetime: "5 minutes",
  refresh: "20 seconds",
  outage: "40 seconds",
  clockSkew: "10 seconds",
  canarySignatures: 2,
  canaryLength: "30 seconds"
} as const

const propagation = 3 * minute
const tokenLifetime = 5 * minute

const signerOf = (id: string) => LocalSigner.make({ privateKey: TestKey.make("Ed25519", id) })

/** A process: it lives until it crashes, and then another one takes its place over the same store. */
const makeProcess = (store: RotationStoreModule.Service) =>
  Effect.gen(function* () {
    const build = Effect.gen(function* () {
      const scope = yield* Scope.make()
      const rotation = yield* Rotation.make({ policy, signerOf }).pipe(
        Effect.provideService(RotationStore, store),
        Scope.provide(scope)
      )
      return { rotation, scope, signer: undefined as Signer.Service | undefined }
    })
    let now = yield* build
    return {
      get rotation() {
        return now.rotation
      },
      crash: Effect.gen(function* () {
        yield* Scope.close(now.scope, Exit.void)
        now = yield* build
      }),
      signer: Effect.suspend(() =>
        now.signer === undefined
          ? Effect.tap(now.rotation.signer, (signer) => Effect.sync(() => (now.signer = signer)))
          : Effect.succeed(now.signer)
      )
    }
  })

const issuer = "https://id.example"

describe("a simulation", () => {
  it.effect(
    "five verifiers check every token of ten rotations, with a crash in every state and with rollbacks",
    () =>
      Effect.gen(function* () {
        const below = random(11)
        const memory = yield* MemoryRotationStore.make
        let writes = 0
        let lost = 0
        // Now and then the answer of a write is lost: it was written, and nobody knows
        const store: RotationStoreModule.Service = {
          ...memory,
          compareAndSet: (revision, state) =>
            Effect.flatMap(memory.compareAndSet(revision, state), (written) => {
              if (!written || ++writes % 4 !== 0) return Effect.succeed(written)
              lost++
              return Effect.fail(
                new RotationStoreError({
                  store: "memory",
                  operation: "compareAndSet",
                  reason: "Unavailable",
                  problem: "the answer was lost"
                })
              )
            })
        }
        const processes = [yield* makeProcess(store), yield* makeProcess(store), yield* makeProcess(store)] as const
        const [stepper, ...signers] = processes

        yield* TestClock.setTime(1_800_000_000_000)
        yield* stepper.rotation.adopt("key-0")

        const verifiers = Array.from({ length: 5 }, () => ({
          until: 0,
          resolver: undefined as KeyResolver.Service | undefined
        }))
        const tokens: Array<{ readonly text: string; readonly expiresAt: number; checkedAt: number }> = []
        let issued = 0
        let checked = 0
        let turns = 0
        const usedKids = new Set<string>()

        const check = Effect.fnUntraced(function* (text: string) {
          for (const { resolver } of verifiers) {
            const { key } = yield* Jwt.verify(text, { issuer, audience: "api" }).pipe(
              Effect.provideService(KeyResolver.KeyResolver, resolver!)
            )
            usedKids.add(key.keyId)
            checked++
          }
        })

        /** Ten seconds of the world. */
        const turn = Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis
          for (const verifier of verifiers) {
            if (now >= verifier.until) {
              // from any process, and for any time that is allowed
              const keys = yield* processes[below(3)]!.rotation.published
              verifier.resolver = yield* KeyResolver.fromKeys(keys.map((key) => ({ ...key, owner: issuer })))
              verifier.until = now + (below(3) === 0 ? propagation : below(propagation))
            }
          }
          for (const process of signers) {
            const signer = yield* process.signer
            const text = yield* Jwt.sign({}, { issuer, audience: "api", expiresIn: policy.tokenLifetime }).pipe(
              Effect.provideService(Signer.Signer, signer)
            )
            tokens.push({ text, expiresAt: now + tokenLifetime, checkedAt: 0 })
            issued++
          }
          while (tokens.length > 0 && tokens[0]!.expiresAt <= now) tokens.shift()
          for (const token of tokens) {
            const isLast = token.expiresAt - now <= 10 * second
            if (token.checkedAt !== 0 && !isLast && below(4) !== 0) continue
            token.checkedAt = now
            yield* check(token.text)
          }
          turns++
          yield* TestClock.adjust("10 seconds")
        })

        const seen = new Set<string>()
        const stateOf = (id: string) =>
          Effect.map(stepper.rotation.status, ({ state }) => state.keys.find((key) => key.id === id)?.state)

        /** Until the key is in a state; after each step that was taken the process crashes. */
        const until = Effect.fnUntraced(function* (id: string, state: string) {
          while ((yield* stateOf(id)) !== state) {
            const before = (yield* stepper.rotation.status).revision
            const result = yield* Effect.result(stepper.rotation.advance)
            const { revision, state: after } = yield* stepper.rotation.status
            if (revision > before) {
              after.keys.forEach((key) => seen.add(key.state))
              yield* stepper.crash
              if (below(2) === 0) yield* signers[below(2)]!.crash
            } else if (Result.isFailure(result)) {
              assert.include(["RotationRefused"], result.failure._tag)
            }
            yield* turn
          }
        })

        for (let rotation = 1; rotation <= 10; rotation++) {
          const id = `key-${rotation}`
          yield* Effect.exit(stepper.rotation.start(id)) // its answer may be lost; it is there in any case
          assert.strictEqual(yield* stateOf(id), "created")
          yield* stepper.crash
          yield* until(id, "active")
          for (let i = below(12); i > 0; i--) yield* turn
          if (rotation % 3 === 0) {
            // back, for a while, and forward again
            yield* Effect.exit(stepper.rotation.rollback)
            assert.strictEqual(yield* stateOf(id), "retiring")
            yield* stepper.crash
            for (let i = below(20); i > 0; i--) yield* turn
            yield* Effect.exit(stepper.rotation.rollback)
            assert.strictEqual(yield* stateOf(id), "active")
            yield* stepper.crash
          }
          if (rotation % 2 === 0) yield* until(`key-${rotation - 1}`, "disabled")
        }
        for (let i = 0; i < 40; i++) yield* turn

        assert.deepStrictEqual(
          ["active", "canary", "created", "disabled", "published", "retired", "retiring"].filter((s) => !seen.has(s)),
          ["created"] // seen by the assertion above
        )
        assert.strictEqual(usedKids.size, 11)
        assert.isAbove(lost, 10)
        assert.isAbove(issued, 500)
        assert.isAbove(checked, issued * 10)
        assert.strictEqual(issued, turns * 2)
      }),
    120_000
  )
})

describe("run", () => {
  it.effect(
    "rotates once in 30 days for a year, by its schedule alone",
    () =>
      Effect.gen(function* () {
        const store = yield* MemoryRotationStore.make
        const rotation = yield* Rotation.make({
          policy: { propagation: "15 minutes", tokenLifetime: "1 day" },
          signerOf
        }).pipe(Effect.provideService(RotationStore, store))
        yield* TestClock.setTime(Date.UTC(2030, 0, 1))
        yield* rotation.adopt("key-0")
        const moves: Array<Rotation.Moved> = []
        yield* rotation.events.pipe(
          Stream.runForEach((event) =>
            Effect.sync(() => {
              if (event._tag === "Moved") moves.push(event)
            })
          ),
          Effect.forkScoped({ startImmediately: true })
        )
        let made = 0
        const running = yield* rotation
          .run({
            schedule: Schedule.spaced("1 hour"),
            rotateEvery: "30 days",
            begin: true,
            newKey: Effect.sync(() => `key-${++made}`)
          })
          .pipe(Effect.forkScoped({ startImmediately: true }))
        for (let day = 0; day < 365; day++) {
          yield* TestClock.adjust("1 day")
          const { state } = yield* rotation.status
          assert.lengthOf(
            state.keys.filter((key) => key.state === "active"),
            1
          )
        }
        assert.strictEqual(made, 12)
        yield* Fiber.interrupt(running)
        const activations = moves.filter(({ to }) => to === "active")
        assert.deepStrictEqual(
          activations.map(({ id }) => id),
          Array.from({ length: 12 }, (_, i) => `key-${i + 1}`)
        )
        // every event once
        assert.strictEqual(new Set(moves.map(({ id, to }) => `${id} ${to}`)).size, moves.length)
        activations.slice(1).forEach(({ at }, i) => {
          const days = (at - activations[i]!.at) / (24 * 60 * minute)
          assert.isTrue(days >= 30 && days < 30.2, `${days}`)
        })
        const { state } = yield* rotation.status
        assert.strictEqual(state.keys.find(({ id }) => id === "key-11")?.state, "disabled")
      }),
    60_000
  )
})
