import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import { SqlClient } from "effect/sql"
import * as PostgresRotationStore from "../../src/layers/PostgresRotationStore.ts"
import * as RotationState from "../../src/schemas/RotationState.ts"
import { RotationStore } from "../../src/services/RotationStore.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as Postgres from "../support/postgres.ts"
import { start } from "./support/rotationProcesses.ts"
import { rotationStoreCases, someState } from "./support/rotationStores.ts"

if (Postgres.missing !== undefined) {
  describe("PostgresRotationStore", () => {
    // oxlint-disable-next-line no-restricted-properties -- there is no server here, and the name says what installs one
    it.skip(`needs a server: ${Postgres.missing}`, () => undefined)
  })
} else {
  const scope = Scope.makeUnsafe()
  const server = await Effect.runPromise(Scope.provide(Postgres.server, scope))
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const client = Postgres.client(server)
  const layerOf = (options?: PostgresRotationStore.Options) =>
    PostgresRotationStore.layer(options).pipe(Layer.provide(Layer.fresh(client)))

  describe("PostgresRotationStore", () => {
    let cases = 0
    rotationStoreCases(
      it,
      Effect.sync(() => {
        const options = { name: `case ${cases++}` }
        return { store: layerOf(options), other: layerOf(options) }
      })
    )

    describe("where transactions are serializable by default", () => {
      const database = "serializable"
      const strict = PgClient.layer({ ...server.config, database, maxConnections: 10 })
      const created = Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE DATABASE ${sql.literal(database)}`
        yield* sql`ALTER DATABASE ${sql.literal(database)} SET default_transaction_isolation TO 'serializable'`
      }).pipe(Effect.provide(client), Effect.orDie, Effect.cached, Effect.runSync)
      let strictCases = 0
      rotationStoreCases(
        it,
        Effect.map(created, () => {
          const layer = PostgresRotationStore.layer({ name: `case ${strictCases++}` })
          return {
            store: layer.pipe(Layer.provide(Layer.fresh(strict))),
            other: layer.pipe(Layer.provide(Layer.fresh(strict)))
          }
        })
      )
    })

    it.live(
      "of two processes that contend for 100 steps, each is taken once",
      () =>
        Effect.gen(function* () {
          const args = ["100", "postgres", String(server.port), server.username, server.password]
          const processes = yield* Effect.promise(() => Promise.all([start(args), start(args)]))
          const taken = yield* Effect.promise(() => Promise.all(processes.map(({ go }) => go())))
          const store = yield* PostgresRotationStore.make({ name: "contended" })
          const { revision, state } = yield* store.read
          assert.isAtLeast(revision, 100)
          assert.strictEqual(
            taken.reduce((sum, process) => sum + process!.commits, 0),
            revision
          )
          const moves = taken.flatMap((process) => process!.moves)
          assert.strictEqual(new Set(moves).size, moves.length)
          for (const process of taken) assert.isAbove(process!.commits, 0) // both of them had a part in it
          assert.isAtMost(state!.keys.filter((key) => key.state === "active").length, 1)
        }).pipe(Effect.provide(client)),
      120_000
    )

    it.live("is created by several processes at once, in a schema of its own", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        yield* sql`CREATE SCHEMA rotation_test`
        const table = "rotation_test.states"
        yield* Effect.forEach(
          Array.from({ length: 6 }, () => layerOf({ table })),
          (layer) => Effect.scoped(Layer.build(layer)),
          { concurrency: "unbounded" }
        )
        const store = yield* PostgresRotationStore.make({ table, create: false })
        assert.isTrue(yield* store.compareAndSet(0, yield* someState))
        assert.strictEqual((yield* store.read).revision, 1)
      }).pipe(Effect.provide(client))
    )

    it.live("does not take part in a transaction of the caller: what it wrote stays, what it reads is new", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const store = yield* PostgresRotationStore.make({ name: "transaction" })
        const state = yield* someState
        yield* Effect.gen(function* () {
          yield* sql`SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`
          yield* sql`SELECT 1 AS one`
          assert.isTrue(yield* store.compareAndSet(0, state))
          assert.strictEqual((yield* store.read).revision, 1)
          return yield* Effect.fail("rolled back")
        }).pipe(sql.withTransaction, Effect.flip)
        assert.strictEqual((yield* store.read).revision, 1)
      }).pipe(Effect.provide(client))
    )

    it.live("refuses a row that is damaged, and one of a newer version", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const store = yield* PostgresRotationStore.make({ name: "damaged" })
        yield* store.compareAndSet(0, yield* someState)
        yield* sql`UPDATE effect_signer_rotation SET state = '{"format":2}' WHERE name = 'damaged'`
        assert.strictEqual((yield* Effect.flip(store.read)).reason, "NewerFormat")
        yield* sql`UPDATE effect_signer_rotation SET state = left(state, 5) WHERE name = 'damaged'`
        assert.strictEqual((yield* Effect.flip(store.read)).reason, "Corrupt")
      }).pipe(Effect.provide(client))
    )

    it.live.each([
      ["name", { name: "" }],
      ["table", { table: 'a"; DROP TABLE b; --' }],
      ["timeout", { timeout: 0 }]
    ] as const)("refuses a %s that is none", ([field, options]) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(PostgresRotationStore.make(options))
        assert.deepInclude(error, { _tag: "InvalidConfiguration", field })
      }).pipe(Effect.provide(client))
    )

    it.live(
      "says that the server is gone, and nothing of statements, addresses and passwords",
      () =>
        Effect.gen(function* () {
          const running = yield* Scope.make()
          const doomed = yield* Scope.provide(Postgres.server, running)
          const built = yield* Layer.build(
            PostgresRotationStore.layer().pipe(Layer.provide(Layer.fresh(Postgres.client(doomed))))
          )
          const store = Context.get(built, RotationStore)
          yield* Scope.close(running, Exit.void)
          for (const operation of [
            store.read,
            store.compareAndSet(0, RotationState.empty((yield* someState).policy))
          ]) {
            const error = yield* Effect.flip(operation as Effect.Effect<unknown, unknown>)
            assert.deepInclude(error, { _tag: "RotationStoreError", reason: "Unavailable" })
            const secrets = [doomed.password, String(doomed.port), "effect_signer_rotation", "SELECT", "INSERT"]
            assert.deepStrictEqual(
              secrets.filter((secret) => Canary.show(error).includes(secret)),
              []
            )
          }
        }),
      30_000
    )
  })
}
