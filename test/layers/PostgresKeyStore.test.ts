import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Option, Redacted, Schedule, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { PublicKey } from "../../src/index.ts"
import * as PostgresKeyStore from "../../src/layers/PostgresKeyStore.ts"
import { EnvelopeKeyError, fromSecret, generateSecret } from "../../src/services/EnvelopeKey.ts"
import type { EnvelopeKey } from "../../src/services/EnvelopeKey.ts"
import type { NewKey, Service } from "../../src/services/KeyStore.ts"
import { KeyStore, KeyStoreError } from "../../src/services/KeyStore.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as KeyStoreConformance from "../../src/testing/KeyStoreConformance.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import * as Postgres from "../support/postgres.ts"

if (Postgres.missing !== undefined) console.warn(`not tested: PostgresKeyStore. ${Postgres.missing}`)

const secret = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
const envelope = Redacted.make(secret)

describe.skipIf(Postgres.missing !== undefined)("with a PostgreSQL server", () => {
  const scope = Scope.makeUnsafe()
  let server: Postgres.Server

  beforeAll(async () => {
    server = await Effect.runPromise(Scope.provide(Postgres.server, scope))
  }, 120_000)

  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)), 60_000)

  let tables = 0
  const newTable = () => `keys_${tables++}`

  const client = Layer.unwrap(Effect.sync(() => Postgres.client(server)))

  /** A store with a client of its own. */
  const open = (table: string, options?: Partial<PostgresKeyStore.Options>) =>
    Effect.map(
      Layer.build(Layer.fresh(Layer.provide(PostgresKeyStore.layer({ envelope, table, ...options }), client))),
      (context) => Context.get(context, KeyStore)
    )

  const onServer = <A, E>(effect: Effect.Effect<A, E, SqlClient.SqlClient | PgClient.PgClient>) =>
    Effect.provide(effect, client)

  KeyStoreConformance.suite(
    it,
    "postgres",
    Layer.unwrap(Effect.sync(() => PostgresKeyStore.layer({ envelope, table: newTable() }))).pipe(
      Layer.provide(client)
    ),
    {
      pair: Effect.suspend(() => {
        const table = newTable()
        return Effect.all([open(table), open(table)], { concurrency: "unbounded" })
      }),
      secrets: [secret, "0123456789abcdef0123456789abcdef"]
    }
  )

  // -------------------------------------------------------------------------
  // what the cases are made of
  // -------------------------------------------------------------------------

  const newKey = Effect.fnUntraced(function* (id: string, tags: NewKey["tags"] = {}) {
    const privateKey = yield* TestKey.make("ES256", id)
    const publicKey = yield* PublicKey.withAlgorithm(privateKey.publicKey, "ES256")
    return { id, publicKey, privateKey, tags, createdAt: 0 }
  })

  /** A store with two keys, the first of them active. */
  const twoKeys = Effect.gen(function* () {
    const table = newTable()
    const store = yield* open(table)
    yield* store.insert([yield* newKey("one", { tenant: "acme" }), yield* newKey("two")], { setActive: "one" })
    return { table, store }
  })

  const opensBoth = Effect.fnUntraced(function* (store: Service) {
    for (const id of ["one", "two"]) {
      const opened = yield* store.privateKey(id)
      assert.isTrue(PublicKey.sameKey(opened.publicKey, (yield* newKey(id)).publicKey))
    }
  })

  /** The reason of a failure, and that nothing of the database or of the keys shows in it. */
  const reasonOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.map(Effect.flip(effect), (error) => {
      assert.instanceOf(error, KeyStoreError)
      const shown = Canary.show(error)
      const search = Canary.search([
        { name: "the password", secret: server.password },
        { name: "the envelope key", secret },
        { name: "the private half", secret: TestKey.secretBytes("P-256", "one") }
      ])
      assert.isUndefined(search(shown))
      for (const part of ["SELECT", "INSERT", "127.0.0.1", String(server.port), "keys_"]) assert.notInclude(shown, part)
      return error.reason
    })

  const run = (statement: string) => onServer(Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(statement)))

  const all = (table: string) =>
    Effect.map(Effect.all([run(`SELECT * FROM ${table}`), run(`SELECT * FROM ${table}_state`)]), (rows) =>
      Canary.show(rows)
    )

  // -------------------------------------------------------------------------
  // the tables
  // -------------------------------------------------------------------------

  it.live("keeps no private half and no secret in the clear", () =>
    Effect.gen(function* () {
      const { table } = yield* twoKeys
      const search = Canary.search([
        { name: "one", secret: TestKey.secretBytes("P-256", "one") },
        { name: "two", secret: TestKey.secretBytes("P-256", "two") },
        { name: "the envelope key", secret: "0123456789abcdef0123456789abcdef" }
      ])
      assert.isUndefined(search(yield* all(table)))
    })
  )

  it.live("is found again by another store, in a schema too, and with names transformed", () =>
    Effect.gen(function* () {
      yield* run("CREATE SCHEMA vault")
      const store = yield* open("vault.keys")
      yield* store.insert([yield* newKey("one"), yield* newKey("two")], { setActive: "one" })
      const transformed = Layer.unwrap(
        Effect.sync(() =>
          PgClient.layer({
            ...server.config,
            transformResultNames: (name) => name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()),
            transformQueryNames: (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
          })
        )
      )
      const again = yield* PostgresKeyStore.make({ envelope, table: "vault.keys" }).pipe(
        Effect.provide(yield* Layer.build(transformed))
      )
      yield* opensBoth(again)
      assert.deepStrictEqual(yield* again.active, Option.some("one"))
    })
  )

  it.live("is made once by many that open it at the same moment", () =>
    Effect.gen(function* () {
      const table = newTable()
      const stores = yield* Effect.forEach(Array.from({ length: 6 }), () => open(table), { concurrency: 6 })
      yield* stores[0]!.insert([yield* newKey("one"), yield* newKey("two")])
      for (const store of stores) yield* opensBoth(store)
    })
  )

  it.live("refuses a newer version, when it is opened and when it is changed meanwhile", () =>
    Effect.gen(function* () {
      const { store, table } = yield* twoKeys
      yield* run(`UPDATE ${table}_state SET format = 2`)
      assert.strictEqual(yield* reasonOf(open(table)), "NewerFormat")
      const before = yield* all(table)
      assert.strictEqual(yield* reasonOf(store.insert([yield* newKey("three")])), "NewerFormat")
      assert.strictEqual(yield* reasonOf(store.update("one", { disabled: true })), "NewerFormat")
      assert.strictEqual(yield* reasonOf(store.remove("two")), "NewerFormat")
      assert.strictEqual(yield* reasonOf(store.setActive("two")), "NewerFormat")
      assert.strictEqual(yield* all(table), before)
    })
  )

  const forged = `INSERT INTO TABLE SELECT 'forged', algorithm, public_key, tags, false, 0, sealed, mac FROM TABLE WHERE id = 'one'`

  it.live.each([
    ["a tag", `UPDATE TABLE SET tags = '{"tenant":"evil"}' WHERE id = 'one'`],
    ["tags that are null", `UPDATE TABLE SET tags = 'null' WHERE id = 'one'`],
    ["tags that are a list", `UPDATE TABLE SET tags = '["acme"]' WHERE id = 'one'`],
    ["a tag that is no text", `UPDATE TABLE SET tags = '{"tenant":{"a":[null]}}' WHERE id = 'one'`],
    ["a time that is none", `UPDATE TABLE SET created_at = -9223372036854775808 WHERE id = 'one'`],
    ["the state", `UPDATE TABLE SET disabled = true WHERE id = 'one'`],
    ["the time", `UPDATE TABLE SET created_at = 1 WHERE id = 'one'`],
    ["the algorithm", `UPDATE TABLE SET algorithm = 'ES256K' WHERE id = 'one'`],
    ["a public key", `UPDATE TABLE SET public_key = (SELECT public_key FROM TABLE WHERE id = 'two') WHERE id = 'one'`],
    ["public key bytes", `UPDATE TABLE SET public_key = '\\x00' WHERE id = 'one'`],
    ["that there is a private half", `UPDATE TABLE SET sealed = NULL WHERE id = 'one'`],
    ["an id", `DELETE FROM TABLE WHERE id = 'two'; UPDATE TABLE SET id = 'two' WHERE id = 'one'`],
    ["a key that was put in", forged]
  ] as const)("refuses %s that something else wrote", ([, statement]) =>
    Effect.gen(function* () {
      const { store, table } = yield* twoKeys
      yield* run(`UPDATE ${table}_state SET active = NULL`)
      for (const part of statement.split("; ")) yield* run(part.replaceAll("TABLE", table))
      assert.strictEqual(yield* reasonOf(store.list()), "Corrupt")
      const id = statement === forged ? "forged" : statement.startsWith("DELETE") ? "two" : "one"
      assert.strictEqual(yield* reasonOf(store.get(id)), "Corrupt")
      assert.strictEqual(yield* reasonOf(store.privateKey(id)), "Corrupt")
      assert.strictEqual(yield* reasonOf(store.update(id, { disabled: false })), "Corrupt")
    })
  )

  it.live("refuses an active key that something else chose", () =>
    Effect.gen(function* () {
      const { store, table } = yield* twoKeys
      yield* run(`UPDATE ${table}_state SET active = 'two'`)
      assert.strictEqual(yield* reasonOf(store.active), "Corrupt")
      assert.strictEqual(yield* reasonOf(store.remove("two")), "Corrupt")
      assert.strictEqual(yield* reasonOf(open(table)), "Corrupt")
    })
  )

  it.live.each(["repeatable read", "serializable"])(
    "serves many callers where transactions are by default %s",
    (level) =>
      Effect.gen(function* () {
        yield* run(`ALTER ROLE CURRENT_USER SET default_transaction_isolation = '${level}'`)
        const layer = Layer.unwrap(Effect.sync(() => PostgresKeyStore.layer({ envelope, table: newTable() })))
        const cases = KeyStoreConformance.cases({ name: level, layer: Layer.provide(layer, Layer.fresh(client)) })
        for (const name of ["loses no key of concurrent callers", "never has an active key that is not there"]) {
          yield* cases.find((one) => one.name === name)!.run
        }
      }).pipe(Effect.ensuring(Effect.orDie(run("ALTER ROLE CURRENT_USER RESET default_transaction_isolation"))))
  )

  it.live("makes no new secret for keys that have lost theirs", () =>
    Effect.gen(function* () {
      const { store, table } = yield* twoKeys
      const row = yield* run(`DELETE FROM ${table}_state RETURNING *`)
      assert.lengthOf(row, 1)
      assert.strictEqual(yield* reasonOf(open(table)), "Corrupt")
      assert.strictEqual(yield* reasonOf(store.insert([yield* newKey("three")])), "Corrupt")
      assert.deepStrictEqual(yield* run(`SELECT * FROM ${table}_state`), [])
      // once no key needs the one that is gone, there may be another
      yield* run(`DELETE FROM ${table}`)
      yield* open(table)
    })
  )

  it.live.each(["user", "order", "select", "table"])("takes a name that SQL has taken: %s", (table) =>
    Effect.gen(function* () {
      const store = yield* open(table)
      yield* store.insert([yield* newKey("one"), yield* newKey("two")], { setActive: "one" })
      yield* opensBoth(yield* open(table))
    })
  )

  it.live("does not open a private half that was moved or damaged", () =>
    Effect.gen(function* () {
      const { store, table } = yield* twoKeys
      yield* run(`UPDATE ${table} SET sealed = (SELECT sealed FROM ${table} WHERE id = 'two') WHERE id = 'one'`)
      assert.strictEqual(yield* reasonOf(store.privateKey("one")), "Corrupt")
      yield* run(`UPDATE ${table} SET sealed = '\\x00' WHERE id = 'two'`)
      assert.strictEqual(yield* reasonOf(store.privateKey("two")), "Corrupt")
    })
  )

  // -------------------------------------------------------------------------
  // the envelope key
  // -------------------------------------------------------------------------

  it.live("refuses another envelope key, and what is none", () =>
    Effect.gen(function* () {
      const { table } = yield* twoKeys
      assert.strictEqual(yield* reasonOf(open(table, { envelope: yield* generateSecret })), "WrongPassphrase")
      for (const wrong of ["", "c2hvcnQ=", `${secret}x`]) {
        assert.strictEqual(yield* reasonOf(open(table, { envelope: Redacted.make(wrong) })), "Invalid")
      }
      for (const wrong of [secret, undefined, {}]) {
        assert.strictEqual(yield* reasonOf(open(table, { envelope: wrong as never })), "Invalid")
      }
      const bytes = Redacted.make(new TextEncoder().encode("0123456789abcdef0123456789abcdef"))
      yield* opensBoth(yield* open(table, { envelope: bytes }))
    })
  )

  it.live("asks an envelope key once, and says what it says", () =>
    Effect.gen(function* () {
      const inner = yield* fromSecret(envelope)
      let [wraps, unwraps] = [0, 0]
      const kms: EnvelopeKey = {
        name: "kms",
        wrap: (bytes) => Effect.suspend(() => (wraps++, inner.wrap(bytes))),
        unwrap: (bytes) => Effect.suspend(() => (unwraps++, inner.unwrap(bytes)))
      }
      const table = newTable()
      const store = yield* open(table, { envelope: kms })
      yield* store.insert([yield* newKey("one"), yield* newKey("two")])
      yield* opensBoth(store)
      assert.deepStrictEqual([wraps, unwraps], [1, 1])
      yield* opensBoth(yield* open(table, { envelope: kms }))
      assert.deepStrictEqual([wraps, unwraps], [1, 2])
      const down = (reason: "Refused" | "Unavailable"): EnvelopeKey => ({
        ...kms,
        unwrap: () => Effect.fail(new EnvelopeKeyError({ name: "kms", reason }))
      })
      assert.strictEqual(yield* reasonOf(open(table, { envelope: down("Unavailable") })), "Unavailable")
      assert.strictEqual(yield* reasonOf(open(table, { envelope: down("Refused") })), "WrongPassphrase")
      const short: EnvelopeKey = { ...kms, unwrap: () => Effect.succeed(new Uint8Array(16)) }
      assert.strictEqual(yield* reasonOf(open(table, { envelope: short })), "WrongPassphrase")
    })
  )

  it.live("changes the envelope key, under which the keys stay", () =>
    Effect.gen(function* () {
      const { store, table } = yield* twoKeys
      const to = yield* generateSecret
      const change = (from: typeof envelope) => onServer(PostgresKeyStore.changeEnvelope({ from, to, table }))
      assert.strictEqual(yield* reasonOf(change(yield* generateSecret)), "WrongPassphrase")
      yield* change(envelope)
      yield* opensBoth(store)
      yield* opensBoth(yield* open(table, { envelope: to }))
      assert.strictEqual(yield* reasonOf(open(table)), "WrongPassphrase")
    })
  )

  // -------------------------------------------------------------------------
  // failures of the database
  // -------------------------------------------------------------------------

  /** Lets `use` run while the table of keys is locked, and whoever writes waits. */
  const whileLocked = <A, E>(table: string, use: Effect.Effect<A, E>) =>
    onServer(
      Effect.flatMap(SqlClient.SqlClient, (sql) =>
        sql.withTransaction(Effect.andThen(sql.unsafe(`LOCK TABLE ${table} IN EXCLUSIVE MODE`), use))
      )
    )

  /** Waits until somebody waits for the table. */
  const somebodyWaits = (table: string) =>
    Effect.repeat(
      run(
        `SELECT pid FROM pg_locks JOIN pg_class ON relation = pg_class.oid WHERE relname = '${table}' AND NOT granted`
      ),
      { until: (rows) => rows.length > 0, schedule: Schedule.spaced("10 millis") }
    )

  it.live("leaves nothing of an insert whose connection is killed in the middle", () =>
    Effect.gen(function* () {
      const { store, table } = yield* twoKeys
      const fiber = yield* Effect.forkChild(
        whileLocked(
          table,
          Effect.gen(function* () {
            const rows = yield* somebodyWaits(table)
            yield* run(`SELECT pg_terminate_backend(${String((rows[0] as { readonly pid: number }).pid)})`)
            yield* Effect.sleep("100 millis")
          })
        )
      )
      yield* Effect.sleep("100 millis")
      const keys = [yield* newKey("three"), yield* newKey("four")]
      assert.strictEqual(yield* reasonOf(store.insert(keys, { setActive: "three" })), "Unavailable")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        (yield* store.list()).map(({ id }) => id),
        ["one", "two"]
      )
      assert.deepStrictEqual(yield* store.active, Option.some("one"))
      yield* store.insert(keys, { setActive: "three" })
      assert.deepStrictEqual(yield* store.active, Option.some("three"))
    })
  )

  it.live("leaves nothing of an insert that is interrupted in the middle", () =>
    Effect.gen(function* () {
      const { store, table } = yield* twoKeys
      const insert = yield* Effect.forkChild(
        Effect.andThen(
          Effect.sleep("50 millis"),
          Effect.flatMap(newKey("three"), (key) => store.insert([key]))
        )
      )
      yield* whileLocked(table, Effect.andThen(somebodyWaits(table), Fiber.interrupt(insert)))
      assert.isFalse(yield* store.has("three"))
      yield* store.insert([yield* newKey("three")])
      yield* opensBoth(store)
    })
  )

  it.live("has all that it said it had kept, after the server died", () =>
    Effect.gen(function* () {
      const { store, table } = yield* twoKeys
      yield* server.crash
      const again = yield* open(table)
      yield* opensBoth(again)
      assert.deepStrictEqual(yield* again.active, Option.some("one"))
      // the store that was open goes on, once its connections are new
      yield* Effect.retry(opensBoth(store), { times: 20, schedule: Schedule.spaced("50 millis") })
    })
  )

  it.live("reduces what the database says", () =>
    Effect.gen(function* () {
      const { store, table } = yield* twoKeys
      yield* run(`DROP TABLE ${table}_state, ${table}`)
      assert.strictEqual(yield* reasonOf(store.get("one")), "Corrupt")
      assert.strictEqual(yield* reasonOf(store.insert([yield* newKey("three")])), "Corrupt")
      assert.strictEqual(yield* reasonOf(open("Keys; DROP TABLE x")), "Invalid")
      assert.strictEqual(yield* reasonOf(open("a".repeat(57))), "Invalid")
    })
  )

  it.live("works for a user who may not make tables, and says where one may not write", () =>
    Effect.gen(function* () {
      const table = newTable()
      const names = `${table}, ${table}_state`
      for (const statement of yield* PostgresKeyStore.statements(table)) yield* run(statement)
      for (const [role, grants] of [
        ["writer", "SELECT, INSERT, UPDATE, DELETE"],
        ["reader", "SELECT"]
      ]) {
        yield* run(`CREATE ROLE ${role} LOGIN PASSWORD '${server.password}'`)
        yield* run(`GRANT ${grants} ON ${names} TO ${role}`)
      }
      const as = (username: string) =>
        Effect.flatMap(Layer.build(PgClient.layer({ ...server.config, username })), (context) =>
          Effect.provide(PostgresKeyStore.make({ envelope, table }), context)
        )
      const store = yield* as("writer")
      yield* store.insert([yield* newKey("one"), yield* newKey("two")], { setActive: "one" })
      yield* store.remove("one", { force: true })
      yield* store.insert([yield* newKey("one")])
      const reader = yield* as("reader")
      yield* opensBoth(reader)
      assert.strictEqual(yield* reasonOf(reader.insert([yield* newKey("three")])), "PermissionDenied")
      assert.strictEqual(yield* reasonOf(reader.setActive("one")), "PermissionDenied")
      yield* run(`CREATE ROLE stranger LOGIN PASSWORD '${server.password}'`)
      assert.strictEqual(yield* reasonOf(as("stranger")), "PermissionDenied")
    })
  )

  it.live("takes part in a transaction of its caller", () =>
    Effect.gen(function* () {
      const table = newTable()
      const context = yield* Layer.build(client)
      const store = yield* Effect.provide(PostgresKeyStore.make({ envelope, table }), context)
      const sql = Context.get(context, SqlClient.SqlClient)
      const failed = sql.withTransaction(
        Effect.andThen(
          Effect.flatMap(newKey("one"), (key) => store.insert([key])),
          Effect.fail("no")
        )
      )
      assert.strictEqual(yield* Effect.flip(failed), "no")
      assert.isFalse(yield* store.has("one"))
    })
  )
})
