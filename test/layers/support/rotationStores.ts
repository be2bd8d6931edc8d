/** The cases that every store of a rotation must pass. */
import { assert } from "@effect/vitest"
import type { it as effectIt } from "@effect/vitest"
import type { Scope } from "effect"
import { Context, Effect, Layer } from "effect"
import { PublicKey } from "../../../src/index.ts"
import * as RotationState from "../../../src/schemas/RotationState.ts"
import * as RotationStateJson from "../../../src/schemas/RotationStateJson.ts"
import { RotationStore } from "../../../src/services/RotationStore.ts"
import * as TestKey from "../../../src/testing/TestKey.ts"

/** A state with one key. */
export const someState = Effect.gen(function* () {
  const policy = yield* RotationState.makePolicy({ propagation: "1 minute", tokenLifetime: "1 hour" })
  const { publicKey: bare } = yield* TestKey.make("Ed25519")
  const publicKey = yield* PublicKey.withAlgorithm(bare, "Ed25519")
  const key: RotationState.RotationKey = {
    id: "'; DROP TABLE keys; --",
    kid: PublicKey.thumbprint(publicKey),
    publicKey,
    algorithm: "Ed25519",
    state: "active",
    since: { created: 1, published: 1, active: 1 }
  }
  const state: RotationState.RotationState = { policy, updatedAt: 1, keys: [key] }
  return state
})

/** `subject`: a new store, and the same one as another process has it. */
export const rotationStoreCases = <E1, E2>(
  it: typeof effectIt,
  subject: Effect.Effect<
    {
      readonly store: Layer.Layer<RotationStore, E1>
      readonly other: Layer.Layer<RotationStore, E2>
    },
    never,
    Scope.Scope
  >
) => {
  const stores = Effect.gen(function* () {
    const { other, store } = yield* subject
    const build = <E>(layer: Layer.Layer<RotationStore, E>) =>
      Effect.map(Layer.build(layer), (context) => Context.get(context, RotationStore))
    return [yield* build(store), yield* build(other)] as const
  })

  it.live("begins with nothing, at revision 0", () =>
    Effect.gen(function* () {
      const [store] = yield* stores
      assert.deepStrictEqual(yield* store.read, { revision: 0, state: undefined })
    })
  )

  it.live("keeps what was written, and another process sees it", () =>
    Effect.gen(function* () {
      const [store, other] = yield* stores
      const state = yield* someState
      assert.isTrue(yield* store.compareAndSet(0, state))
      const { revision, state: found } = yield* other.read
      assert.strictEqual(revision, 1)
      assert.deepStrictEqual(RotationStateJson.toJson(found!), RotationStateJson.toJson(state))
      assert.isTrue(yield* other.compareAndSet(1, { ...state, updatedAt: 7 }))
      assert.strictEqual((yield* store.read).state?.updatedAt, 7)
    })
  )

  it.live("writes nothing over another revision than the one that was read", () =>
    Effect.gen(function* () {
      const [store, other] = yield* stores
      const state = yield* someState
      assert.isFalse(yield* store.compareAndSet(3, state))
      assert.isTrue(yield* store.compareAndSet(0, state))
      assert.isFalse(yield* other.compareAndSet(0, { ...state, updatedAt: 9 }))
      assert.isFalse(yield* other.compareAndSet(2, { ...state, updatedAt: 9 }))
      assert.strictEqual((yield* other.read).state?.updatedAt, 1)
    })
  )

  it.live(
    "of many that write the same revision at once, one does",
    () =>
      Effect.gen(function* () {
        const pair = yield* stores
        const state = yield* someState
        for (let revision = 0; revision < 3; revision++) {
          const written = yield* Effect.forEach(
            Array.from({ length: 12 }, (_, i) => i),
            (i) => pair[i % 2]!.compareAndSet(revision, { ...state, updatedAt: 10 + i }),
            { concurrency: "unbounded" }
          )
          assert.lengthOf(
            written.filter((one) => one),
            1
          )
          assert.strictEqual((yield* pair[0].read).state?.updatedAt, 10 + written.indexOf(true))
        }
      }),
    30_000
  )
}
