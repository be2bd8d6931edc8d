/**
 * Keeps the state of a rotation in one row of a PostgreSQL table: for any number of
 * processes on any number of machines.
 *
 * **Details**
 *
 * A step is one statement, `UPDATE ... WHERE revision =`: of processes that take the same
 * step one does. Statements run outside of a transaction of the caller, whose snapshot
 * could be older than the state.
 *
 * **Gotchas**
 *
 * The client must reach the primary: what a standby answers may be older than the
 * delays of the rotation allow. Where a standby that lags takes over, the last steps
 * may be lost; a process that has seen them then stops signing, rather than go back.
 *
 * **Example** (With the client of `@effect/sql-pg`)
 *
 * ```ts
 * import { PgClient } from "@effect/sql-pg"
 * import { Config, Layer } from "effect"
 * import * as PostgresRotationStore from "effect-signer/PostgresRotationStore"
 *
 * const StoreLive = PostgresRotationStore.layer({ name: "release" }).pipe(
 *   Layer.provide(PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { attempt } from "../schemas/Malformed.ts"
import * as RotationStateJson from "../schemas/RotationStateJson.ts"
import type { VendorError } from "../schemas/SignerError.ts"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
import * as StrictJson from "../schemas/StrictJson.ts"
import type { Service, Stored } from "../services/RotationStore.ts"
import { RotationStore, RotationStoreError } from "../services/RotationStore.ts"
import * as PostgresTable from "./postgres/PostgresTable.ts"

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Which rotation of those in the table. Default `"default"`. */
  readonly name?: string | undefined
  /** The table, in lower case, with its schema or without. Default `"effect_signer_rotation"`. */
  readonly table?: string | undefined
  /** Whether the table is created where it is not there. Default `true`; `false` where {@link ddl} is a migration of yours. */
  readonly create?: boolean | undefined
  /** For one answer. Default 5 seconds. */
  readonly timeout?: Duration.Input | undefined
}

const defaultTable = "effect_signer_rotation"

/**
 * The statements that create a table, for a migration.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ddl = (table: string = defaultTable): ReadonlyArray<string> => [
  `CREATE TABLE IF NOT EXISTS ${PostgresTable.quoted(table)} (` +
    `name text PRIMARY KEY, revision bigint NOT NULL CHECK (revision > 0), state text NOT NULL)`
]

const invalid = (field: string, problem: string) =>
  new InvalidConfiguration({ backend: "rotation", keyId: "-", operation: "make", field, problem })

const isRefusedAccess = ({ reason }: SqlError) =>
  reason._tag === "AuthorizationError" || reason._tag === "AuthenticationError"

/** Where transactions are serializable by default, this is how one is told that another one was faster. */
const isConflict = ({ reason }: SqlError) => reason._tag === "SerializationError"

type Operation = RotationStoreError["operation"]

const failure = (operation: Operation, reason: RotationStoreError["reason"], problem: string, cause?: VendorError) =>
  new RotationStoreError({ store: "postgres", operation, reason, problem, ...(cause === undefined ? {} : { cause }) })

interface Row {
  readonly revision: string
  readonly state: string
}

const parse = ({ revision, state }: Row): Effect.Effect<Stored, RotationStoreError> => {
  const corrupt = () => failure("read", "Corrupt", "the row is not the state of a rotation; restore it from a copy")
  return Effect.flatMap(
    Effect.mapError(
      attempt(() => StrictJson.parse(state, "state")),
      corrupt
    ),
    (document) =>
      RotationStateJson.isNewer(document)
        ? Effect.fail(
            failure("read", "NewerFormat", "a newer version of effect-signer wrote it, and is needed to read it")
          )
        : Effect.mapBoth(RotationStateJson.fromJson(document), {
            onFailure: corrupt,
            onSuccess: (state) => ({ revision: Number(revision), state })
          })
  )
}

/**
 * A store in PostgreSQL.
 *
 * **Details**
 *
 * Fails with `InvalidConfiguration` where options are wrong or the client is not one of
 * PostgreSQL, and with `RotationStoreError` where the table cannot be created. Nothing
 * is retried.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<Service, InvalidConfiguration | RotationStoreError, SqlClient.SqlClient> {
  const { create = true, name = "default", table = defaultTable } = options
  if (name === "" || name.length > 255 || name.includes("\0")) {
    return yield* invalid("name", "must be text of 1 to 255 characters")
  }
  if (!PostgresTable.isName(table)) return yield* invalid("table", PostgresTable.nameProblem)
  const timeout = Option.getOrUndefined(Duration.fromInput(options.timeout ?? "5 seconds"))
  if (timeout === undefined || !Duration.isPositive(timeout)) return yield* invalid("timeout", "must be a duration")
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  const isPostgres = sql.onDialectOrElse({ pg: () => true, orElse: () => false })
  if (!isPostgres) return yield* invalid("client", "expected a SqlClient of PostgreSQL, as of @effect/sql-pg")
  const rows = sql.literal(PostgresTable.quoted(table))

  const asked = <A>(operation: Operation, answer: Effect.Effect<A, SqlError>): Effect.Effect<A, RotationStoreError> =>
    PostgresTable.leavable(PostgresTable.apart(sql)(answer)).pipe(
      Effect.mapError((error) =>
        failure(
          operation,
          isRefusedAccess(error) ? "PermissionDenied" : "Unavailable",
          operation === "make" ? "the table cannot be created" : "PostgreSQL did not do what it was asked for",
          PostgresTable.causeOf(error)
        )
      ),
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () => Effect.fail(failure(operation, "Unavailable", `no answer within ${Duration.format(timeout)}`))
      })
    )

  if (create) {
    yield* asked("make", PostgresTable.create(sql, table, ddl(table)))
  }

  return RotationStore.of({
    name: "postgres",
    read: Effect.flatMap(
      Effect.suspend(() =>
        asked("read", sql<Row>`SELECT revision::text AS revision, state FROM ${rows} WHERE name = ${name}`)
      ),
      ([row]) => (row === undefined ? Effect.succeed<Stored>({ revision: 0, state: undefined }) : parse(row))
    ),
    compareAndSet: (revision, state) =>
      Effect.suspend(() => {
        const text = RotationStateJson.toText(state)
        const written =
          revision === 0
            ? sql`
                INSERT INTO ${rows} (name, revision, state) VALUES (${name}, 1, ${text})
                ON CONFLICT (name) DO NOTHING RETURNING 1 AS one`
            : sql`
                UPDATE ${rows} SET revision = revision + 1, state = ${text}
                WHERE name = ${name} AND revision = ${revision} RETURNING 1 AS one`
        return Effect.map(
          asked(
            "compareAndSet",
            Effect.catchIf(written, isConflict, () => Effect.succeed([]))
          ),
          ({ length }) => length === 1
        )
      })
  })
})

/**
 * Provides a `RotationStore` in PostgreSQL.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options
): Layer.Layer<RotationStore, InvalidConfiguration | RotationStoreError, SqlClient.SqlClient> =>
  Layer.effect(RotationStore, make(options))
