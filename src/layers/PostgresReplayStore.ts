/**
 * Remembers nonces in a PostgreSQL table: one store for any number of processes.
 *
 * **Details**
 *
 * - An insert is one statement, `INSERT ... ON CONFLICT`: of concurrent callers in any
 *   number of processes PostgreSQL lets one through.
 * - The table holds hashes and times, no text of a message.
 * - Whether an entry has expired is told by the clock of the process that asks. Rows
 *   are deleted ten minutes later, for a process whose clock is behind, in batches and
 *   in the background.
 * - How many nonces a key has is counted once a second at most, and up to its maximum:
 *   several processes together may exceed it by what they insert within a second, and
 *   `"full"` may last a second longer.
 *
 * **Gotchas**
 *
 * An insert takes a connection of its own, also within a transaction of the caller: one
 * that is rolled back does not make a message new again. A pool of one connection is too
 * small for that.
 *
 * Where `synchronous_commit` is off, or a standby that lags takes over, the last
 * entries may be lost, and their messages accepted again.
 *
 * **Example** (With the client of `@effect/sql-pg`)
 *
 * ```ts
 * import { PgClient } from "@effect/sql-pg"
 * import { Config, Layer } from "effect"
 * import * as PostgresReplayStore from "effect-signer/PostgresReplayStore"
 *
 * const ReplayLive = PostgresReplayStore.layer().pipe(
 *   Layer.provide(PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import * as ReplayStore from "../services/ReplayStore.ts"
import * as PostgresTable from "./postgres/PostgresTable.ts"

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Nonces of one key, at most. Default 1,000,000. */
  readonly maxPerKey?: number | undefined
  /** The table, in lower case, with its schema or without. Default `"effect_signer_replay"`. */
  readonly table?: string | undefined
  /** Whether the table is created where it is not there. Default `true`; `false` where {@link ddl} is a migration of yours. */
  readonly create?: boolean | undefined
  /** How often rows that nobody needs are deleted. Default 1 minute. */
  readonly pruneEvery?: Duration.Input | undefined
  /** For one answer. Default 2 seconds. */
  readonly timeout?: Duration.Input | undefined
}

const name = "postgres"

const defaultTable = "effect_signer_replay"

/** How long a row stays after its entry has expired, in milliseconds: the clocks of two processes differ by less. */
const margin = 600_000

/** Rows that one statement deletes, at most. */
const batch = 10_000

/** How long a count is good, in milliseconds. */
const countFor = 1000

/** Keys whose counts are kept. */
const maxCounts = 10_000

/**
 * The statements that create a table, for a migration.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ddl = (table: string = defaultTable): ReadonlyArray<string> => [
  `CREATE TABLE IF NOT EXISTS ${PostgresTable.quoted(table)} (` +
    `entry bytea PRIMARY KEY CHECK (octet_length(entry) = 32), ` +
    `holder bytea NOT NULL CHECK (octet_length(holder) = 32), ` +
    `expires_at bigint NOT NULL)`,
  `CREATE INDEX IF NOT EXISTS "${PostgresTable.unqualified(table)}_holder" ON ${PostgresTable.quoted(table)} (holder, expires_at)`,
  `CREATE INDEX IF NOT EXISTS "${PostgresTable.unqualified(table)}_expires" ON ${PostgresTable.quoted(table)} (expires_at)`
]

const invalid = (field: string, problem: string) => InvalidConfiguration.of({ operation: "make", field, problem })

const durationOf = (field: "pruneEvery" | "timeout", input: Duration.Input) => {
  const duration = Option.getOrUndefined(Duration.fromInput(input))
  return duration !== undefined && Duration.isPositive(duration)
    ? Effect.succeed(duration)
    : Effect.fail(invalid(field, "must be a duration"))
}

/**
 * A store in PostgreSQL, for as long as the scope is open.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where options are wrong or the client is not one of
 * PostgreSQL, and with `ReplayStoreUnavailable` where the table cannot be created.
 * Nothing is retried.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<
  ReplayStore.Service,
  InvalidConfiguration | ReplayStore.ReplayStoreUnavailable,
  SqlClient.SqlClient | Scope.Scope
> {
  const { create = true, maxPerKey = 1_000_000, table = defaultTable } = options
  if (!Number.isSafeInteger(maxPerKey) || maxPerKey < 1) {
    return yield* invalid("maxPerKey", "must be a whole number from 1")
  }
  if (!PostgresTable.isName(table)) return yield* invalid("table", PostgresTable.nameProblem)
  const timeout = yield* durationOf("timeout", options.timeout ?? "2 seconds")
  const pruneEvery = yield* durationOf("pruneEvery", options.pruneEvery ?? "1 minute")
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  const isPostgres = sql.onDialectOrElse({ pg: () => true, orElse: () => false })
  if (!isPostgres) return yield* invalid("client", "expected a SqlClient of PostgreSQL, as of @effect/sql-pg")
  const rows = sql.literal(PostgresTable.quoted(table))
  const apart = PostgresTable.apart(sql)

  const unavailable = (problem: string) => (error: SqlError) =>
    new ReplayStore.ReplayStoreUnavailable({ store: name, problem, cause: PostgresTable.causeOf(error) })

  const asked = <A>(answer: Effect.Effect<A, SqlError>): Effect.Effect<A, ReplayStore.ReplayStoreUnavailable> =>
    Effect.mapError(
      PostgresTable.leavable(apart(answer)),
      unavailable("PostgreSQL did not do what it was asked for")
    ).pipe(
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () =>
          Effect.fail(
            new ReplayStore.ReplayStoreUnavailable({
              store: name,
              problem: `no answer within ${Duration.format(timeout)}`
            })
          )
      })
    )

  if (create) {
    yield* Effect.mapError(PostgresTable.create(sql, table, ddl(table)), unavailable("the table cannot be created"))
  }

  const prune: Effect.Effect<void, SqlError> = Effect.gen(function* () {
    const before = (yield* Clock.currentTimeMillis) - margin
    let deleted = batch
    while (deleted === batch) {
      const gone = yield* sql`
        DELETE FROM ${rows} WHERE entry IN (
          SELECT entry FROM ${rows} WHERE expires_at <= ${before} ORDER BY expires_at LIMIT ${batch}
          FOR UPDATE SKIP LOCKED
        ) RETURNING 1 AS one`
      deleted = gone.length
    }
  })
  yield* Effect.sleep(pruneEvery).pipe(
    Effect.andThen(
      Effect.catch(apart(prune), (error) =>
        Effect.logDebug("replay store: rows stay", PostgresTable.causeOf(error).message)
      )
    ),
    Effect.forever,
    Effect.forkScoped
  )

  /** Live entries of keys, counted within the last second, and what was inserted here since. */
  const counts = new Map<string, { readonly at: number; live: number }>()

  const countOf = Effect.fnUntraced(function* (
    holder: Uint8Array,
    now: number
  ): Effect.fn.Return<{ live: number }, ReplayStore.ReplayStoreUnavailable> {
    const id = String.fromCharCode(...holder)
    const known = counts.get(id)
    if (known !== undefined && now >= known.at && now < known.at + countFor) return known
    const [row] = yield* asked(
      sql<{ readonly live: string | number | bigint }>`
        SELECT count(*)::text AS live FROM (
          SELECT 1 FROM ${rows} WHERE holder = ${holder} AND expires_at > ${now} LIMIT ${maxPerKey}
        ) AS entries`
    )
    const counted = { at: now, live: Number(row!.live) }
    if (counts.size >= maxCounts) counts.clear()
    counts.set(id, counted)
    return counted
  })

  const isThere = (entry: Uint8Array, now: number) =>
    Effect.map(
      asked(sql`SELECT 1 AS one FROM ${rows} WHERE entry = ${entry} AND expires_at > ${now}`),
      (found) => found.length > 0
    )

  return ReplayStore.make({
    name,
    insert: Effect.fnUntraced(function* ({ entry, expiresAt, holder, now }) {
      const count = yield* countOf(holder, now)
      if (count.live >= maxPerKey) return (yield* isThere(entry, now)) ? "replayed" : "full"
      // Counted before it is there: whoever asks meanwhile sees the room that is left
      count.live++
      const inserted = yield* asked(
        sql`
          INSERT INTO ${rows} AS stored (entry, holder, expires_at) VALUES (${entry}, ${holder}, ${expiresAt})
          ON CONFLICT (entry) DO UPDATE SET expires_at = excluded.expires_at WHERE stored.expires_at <= ${now}
          RETURNING 1 AS one`
      )
      if (inserted.length > 0) return "inserted"
      count.live--
      return "replayed"
    }),
    has: ({ entry, now }) => isThere(entry, now),
    isFull: ({ holder, now }) => Effect.map(countOf(holder, now), ({ live }) => live >= maxPerKey)
  })
})

/**
 * Provides a store in PostgreSQL.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<
  ReplayStore.ReplayStore,
  InvalidConfiguration | ReplayStore.ReplayStoreUnavailable,
  SqlClient.SqlClient
> => Layer.effect(ReplayStore.ReplayStore, make(options))
