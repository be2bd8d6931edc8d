import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import * as PostgresReplayStore from "../../src/layers/PostgresReplayStore.ts"
import { ReplayStore } from "../../src/services/ReplayStore.ts"
import * as ReplayStoreConformance from "../../src/testing/ReplayStoreConformance.ts"
import * as Postgres from "../support/postgres.ts"

const storeOf = (server: Postgres.Server, options?: PostgresReplayStore.Options) =>
  PostgresReplayStore.layer(options).pipe(Layer.provide(Layer.fresh(Postgres.client(server))))

/**
 * A port that passes bytes on to another until it is silent: then it takes them, and
 * answers none. `silence` resolves when the next statement has come; `cancels` counts
 * the connections that came after that, to cancel it, and were given up.
 */
const silent = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<{
      readonly port: number
      readonly silence: () => Promise<void>
      readonly cancels: () => number
      readonly close: () => void
    }>((resume) => {
      let isSilent = false
      let cancelled = 0
      let heard = () => {}
      const sockets = new Set<Socket>()
      const proxy = createServer((near) => {
        const isLate = isSilent
        const far = connect(port, "127.0.0.1")
        for (const socket of [near, far]) {
          sockets.add(socket)
          socket.on("error", () => undefined)
        }
        near.on("data", (bytes) => (isSilent ? heard() : far.write(bytes)))
        far.on("data", (bytes) => (isSilent ? undefined : near.write(bytes)))
        near.on("close", () => {
          if (isLate) cancelled++
          far.destroy()
        })
        far.on("close", () => near.destroy())
      })
      proxy.listen(0, "127.0.0.1", () =>
        resume(
          Effect.succeed({
            port: (proxy.address() as AddressInfo).port,
            silence: () => {
              isSilent = true
              return new Promise<void>((resolve) => (heard = resolve))
            },
            cancels: () => cancelled,
            close: () => {
              for (const socket of sockets) socket.destroy()
              proxy.close()
            }
          })
        )
      )
    }),
    ({ close }) => Effect.sync(close)
  )

if (Postgres.missing !== undefined) {
  describe("PostgresReplayStore", () => {
    // oxlint-disable-next-line no-restricted-properties -- there is no PostgreSQL here, and the name says how to install it
    it.skip(`needs a server: ${Postgres.missing}`, () => undefined)
  })
} else {
  const scope = Scope.makeUnsafe()
  const server = await Effect.runPromise(Scope.provide(Postgres.server, scope))

  /** A client whose server is gone since it connected. */
  const dead = Layer.effect(
    ReplayStore,
    Effect.gen(function* () {
      const running = yield* Scope.make()
      const server = yield* Scope.provide(Postgres.server, running)
      const layer = PostgresReplayStore.layer().pipe(Layer.provide(Layer.fresh(Postgres.client(server))))
      const store = Context.get(yield* Layer.build(layer), ReplayStore)
      yield* store.insert({ keyId: "k", scope: "s", nonce: "n", ttl: "1 minute" })
      yield* Scope.close(running, Exit.void)
      return store
    })
  )

  describe("PostgresReplayStore", () => {
    const subject = {
      name: "postgres",
      layer: storeOf(server, { maxPerKey: 5 }),
      other: storeOf(server, { maxPerKey: 5 }),
      unavailable: dead,
      secrets: [server.password],
      maxPerKey: 5
    }
    for (const { name, run } of ReplayStoreConformance.cases(subject)) it.effect(name, () => run, 30_000)

    const client = Postgres.client(server)

    it.effect("is created by several processes at once, in a schema of its own", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE SCHEMA replay_test`
        const table = "replay_test.nonces"
        yield* Effect.forEach(
          Array.from({ length: 8 }, () => storeOf(server, { table })),
          (layer) => Effect.scoped(Layer.build(layer)),
          { concurrency: "unbounded" }
        )
        const store = yield* PostgresReplayStore.make({ table, create: false })
        assert.strictEqual(yield* store.insert({ keyId: "k", scope: "s", nonce: "n", ttl: 1000 }), "inserted")
        const rows = yield* sql<{
          readonly octets: number
        }>`SELECT octet_length(entry) AS octets FROM replay_test.nonces`
        assert.deepStrictEqual(rows, [{ octets: 32 }])
      }).pipe(Effect.provide(client))
    )

    it.effect(
      "deletes rows in the background, ten minutes after they expired",
      () =>
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const table = "prune_test"
          const store = yield* PostgresReplayStore.make({ table })
          const count = Effect.map(
            sql<{ readonly n: number }>`SELECT count(*)::int AS n FROM prune_test`,
            ([row]) => row!.n
          )
          yield* sql`
          INSERT INTO prune_test SELECT sha256(number::text::bytea), sha256('x'::bytea), 60000
          FROM generate_series(1, 25000) AS number`
          yield* store.insert({ keyId: "k", scope: "s", nonce: "long", ttl: "1 day" })
          const pause = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 50)))
          for (let minute = 0; minute < 10; minute++) yield* Effect.andThen(TestClock.adjust("1 minute"), pause)
          assert.strictEqual(yield* count, 25_001)
          for (let tries = 0; tries < 100 && (yield* count) > 1; tries++) {
            yield* Effect.andThen(TestClock.adjust("1 minute"), pause)
          }
          assert.strictEqual(yield* count, 1)
          assert.isTrue(yield* store.has({ keyId: "k", scope: "s", nonce: "long" }))
        }).pipe(Effect.provide(client)),
      30_000
    )

    it.effect(
      "waits no longer than its timeout for a table that somebody has locked",
      () =>
        Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          const store = yield* PostgresReplayStore.make({ table: "locked_test", timeout: "3 seconds" })
          const insert = store.insert({ keyId: "k", scope: "s", nonce: "n", ttl: "1 minute" })
          const problem = yield* sql.withTransaction(
            Effect.gen(function* () {
              yield* sql`LOCK TABLE locked_test IN ACCESS EXCLUSIVE MODE`
              const fiber = yield* Effect.forkChild(Effect.flip(insert), { startImmediately: true })
              yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 100)))
              yield* TestClock.adjust("3 seconds")
              return (yield* Fiber.join(fiber)).problem
            })
          )
          assert.strictEqual(problem, "no answer within 3s")
          assert.strictEqual(yield* insert, "inserted")
        }).pipe(Effect.provide(client)),
      30_000
    )

    it.effect(
      "does not wait longer where the server is silent, for which the client waits to give up a statement",
      () =>
        Effect.gen(function* () {
          const { cancels, close, port, silence } = yield* silent(server.port)
          const silenced = { ...server, config: { ...server.config, port } }
          const store = Context.get(yield* Layer.build(storeOf(silenced, { timeout: "3 seconds" })), ReplayStore)
          assert.strictEqual(yield* store.insert({ keyId: "k", scope: "s", nonce: "a", ttl: "1 hour" }), "inserted")
          const pause = silence()
          const fiber = yield* Effect.forkChild(
            Effect.flip(store.insert({ keyId: "k", scope: "s", nonce: "b", ttl: "1 hour" })),
            { startImmediately: true }
          )
          yield* Effect.promise(() => pause)
          yield* TestClock.adjust("3 seconds")
          assert.strictEqual((yield* Fiber.join(fiber)).problem, "no answer within 3s")
          // The client gives up after seconds: what it has done by now, it had done before
          yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 50)))
          assert.strictEqual(cancels(), 0)
          close()
        }).pipe(Effect.scoped),
      30_000
    )

    it.effect("remembers what was inserted in a transaction that is rolled back", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const store = yield* PostgresReplayStore.make()
        const insert = store.insert({ keyId: "rollback", scope: "s", nonce: "n", ttl: "1 minute" })
        const failed = yield* Effect.flip(
          sql.withTransaction(Effect.flatMap(insert, (outcome) => Effect.fail({ outcome })))
        )
        assert.deepStrictEqual(failed, { outcome: "inserted" })
        assert.strictEqual(yield* insert, "replayed")
      }).pipe(Effect.provide(client))
    )

    it.effect(
      "keeps what it answered for through a crash of the server",
      () =>
        Effect.gen(function* () {
          const entry = { keyId: "crash", scope: "s", nonce: "n", ttl: "1 hour" } as const
          const insert = Effect.scoped(
            Effect.flatMap(Layer.build(storeOf(server)), (context) => Context.get(context, ReplayStore).insert(entry))
          )
          assert.strictEqual(yield* insert, "inserted")
          yield* Scope.provide(server.crash, scope)
          assert.strictEqual(yield* insert, "replayed")
        }),
      60_000
    )

    it.effect.each([
      { field: "maxPerKey", options: { maxPerKey: 0 } },
      { field: "table", options: { table: `x"; DROP TABLE y; --` } },
      { field: "table", options: { table: "A" } },
      { field: "timeout", options: { timeout: 0 } },
      { field: "pruneEvery", options: { pruneEvery: "-1 second" as const } }
    ])("refuses options that are wrong: $options", ({ field, options }) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(PostgresReplayStore.make(options))
        assert.strictEqual(error._tag, "InvalidConfiguration")
        if (error._tag === "InvalidConfiguration") assert.strictEqual(error.field, field)
      }).pipe(Effect.provide(client))
    )

    it.effect("ends its server", () => Scope.close(scope, Exit.void))
  })
}
