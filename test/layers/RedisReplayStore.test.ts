import { NodeRedis } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { Redis } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as RedisReplayStore from "../../src/layers/RedisReplayStore.ts"
import { ReplayStore } from "../../src/services/ReplayStore.ts"
import * as ReplayStoreConformance from "../../src/testing/ReplayStoreConformance.ts"
import * as RedisServer from "../support/redis.ts"

/** A client with a connection of its own each time that it is built. */
const storeOf = ({ url }: RedisServer.RedisServer, options?: RedisReplayStore.Options) =>
  RedisReplayStore.layer(options).pipe(Layer.provide(Layer.fresh(NodeRedis.layer({ url }))))

/** A client whose server is gone since it connected. */
const dead = Layer.effect(
  ReplayStore,
  Effect.gen(function* () {
    const server = yield* RedisServer.start
    const scope = yield* Effect.scope
    // Commands that wait for a connection would be answered by no clock of these tests
    const client = NodeRedis.layer({ url: server.url, disableOfflineQueue: true })
    const store = Context.get(
      yield* Layer.buildWithScope(Layer.provide(RedisReplayStore.layer(), client), scope),
      ReplayStore
    )
    yield* store.insert({ keyId: "k", scope: "s", nonce: "n", ttl: "1 minute" })
    yield* server.kill
    return store
  })
)

if (RedisServer.missing !== undefined) {
  describe("RedisReplayStore", () => {
    // oxlint-disable-next-line no-restricted-properties -- there is no Redis here, and the name says how to install it
    it.skip(`needs a server: ${RedisServer.missing}`, () => undefined)
  })
} else {
  const scope = Scope.makeUnsafe()
  const server = await Effect.runPromise(Scope.provide(RedisServer.start, scope))

  describe("RedisReplayStore", () => {
    const subject = {
      name: "redis",
      layer: storeOf(server, { maxPerKey: 5 }),
      other: storeOf(server, { maxPerKey: 5 }),
      unavailable: dead,
      secrets: [server.password],
      maxPerKey: 5
    }
    for (const { name, run } of ReplayStoreConformance.cases(subject)) it.effect(name, () => run)

    const client = NodeRedis.layer({ url: server.url })

    it.effect("gives every set a lifetime and names that hold no text of a message", () =>
      Effect.gen(function* () {
        const redis = yield* Redis.Redis
        const store = yield* RedisReplayStore.make({ prefix: "names:" })
        const insert = (nonce: string, ttl: number) => store.insert({ keyId: "lifetime", scope: "s", nonce, ttl })
        assert.strictEqual(yield* insert("n1", 60_000), "inserted")
        const [key, ...others] = yield* redis.send<Array<string>>("KEYS", "names:*")
        assert.deepStrictEqual(others, [])
        assert.match(key!, /^names:[A-Za-z0-9_-]{43}$/)
        const [member] = yield* redis.send<Array<string>>("ZRANGE", key!, "0", "-1")
        assert.match(member!, /^[A-Za-z0-9_-]{43}$/)
        const first = yield* redis.send<number>("PTTL", key!)
        assert.isTrue(first > 650_000 && first <= 660_000, `${first}`)
        // A shorter life does not shorten that of the others
        assert.strictEqual(yield* insert("n2", 1), "inserted")
        assert.isTrue((yield* redis.send<number>("PTTL", key!)) > 650_000)
        assert.strictEqual(yield* insert("n3", 3_600_000), "inserted")
        assert.isTrue((yield* redis.send<number>("PTTL", key!)) > 4_000_000)
      }).pipe(Effect.provide(client))
    )

    it.effect("goes on when the server has forgotten its scripts", () =>
      Effect.gen(function* () {
        const redis = yield* Redis.Redis
        const store = yield* RedisReplayStore.make()
        const entry = { keyId: "scripts", scope: "s", nonce: "n", ttl: "1 minute" } as const
        assert.strictEqual(yield* store.insert(entry), "inserted")
        yield* redis.send("SCRIPT", "FLUSH")
        assert.strictEqual(yield* store.insert(entry), "replayed")
      }).pipe(Effect.provide(client))
    )

    it.effect("inserts where the script was given to another server than has the set, as in a cluster", () =>
      Effect.gen(function* () {
        const here = yield* Redis.Redis
        const there = yield* RedisServer.start
        const other = Context.get(yield* Layer.build(Layer.fresh(NodeRedis.layer({ url: there.url }))), Redis.Redis)
        const cluster = yield* Redis.make({
          send: (command, ...args) => (command === "SCRIPT" ? other : here).send(command, ...args),
          subscribe: () => Effect.never,
          connect: Effect.never
        })
        const store = yield* RedisReplayStore.make({ prefix: "cluster:" }).pipe(
          Effect.provideService(Redis.Redis, cluster)
        )
        yield* here.send("SCRIPT", "FLUSH")
        const entry = { keyId: "cluster", scope: "s", nonce: "n", ttl: "1 minute" } as const
        assert.strictEqual(yield* store.insert(entry), "inserted")
        assert.strictEqual(yield* store.insert(entry), "replayed")
      }).pipe(Effect.provide(client), Effect.scoped)
    )

    it.effect("waits no longer than its timeout", () =>
      Effect.gen(function* () {
        const store = yield* RedisReplayStore.make({ timeout: "3 seconds" })
        const insert = store.insert({ keyId: "k", scope: "s", nonce: "n", ttl: "1 minute" })
        const fiber = yield* Effect.forkChild(Effect.flip(insert))
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual((yield* Fiber.join(fiber)).problem, "no answer within 3s")
      }).pipe(
        Effect.provide(
          Layer.effect(
            Redis.Redis,
            Redis.make({
              send: () => Effect.never,
              subscribe: () => Effect.never,
              connect: Effect.never
            })
          )
        )
      )
    )

    it.effect("says which code Redis refused with, and nothing else", () =>
      Effect.gen(function* () {
        const redis = yield* Redis.Redis
        const store = yield* RedisReplayStore.make({ prefix: "wrong:" })
        yield* store.insert({ keyId: "k", scope: "s", nonce: "n", ttl: "1 minute" })
        const [key] = yield* redis.send<Array<string>>("KEYS", "wrong:*")
        yield* redis.send("SET", key!, "text")
        const error = yield* Effect.flip(store.has({ keyId: "k", scope: "s", nonce: "n" }))
        assert.strictEqual(error._tag, "ReplayStoreUnavailable")
        assert.deepStrictEqual(error.cause?.code, "WRONGTYPE")
        assert.notInclude(error.message, key!)
      }).pipe(Effect.provide(client))
    )

    it.effect.each([{ maxPerKey: 0 }, { maxPerKey: 1.5 }, { timeout: "-1 second" as const }, { timeout: 0 }])(
      "refuses options that are wrong: %o",
      (options) =>
        Effect.gen(function* () {
          const exit = yield* Effect.exit(Effect.scoped(Layer.build(storeOf(server, options))))
          assert.isTrue(Exit.isFailure(exit))
        })
    )

    it.effect("ends its server", () => Scope.close(scope, Exit.void))
  })
}
