/**
 * What stores in PostgreSQL have in common: names of tables, statements that nothing
 * of the caller touches, and what may be kept of an error.
 *
 * @category internal
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { VendorError } from "../../schemas/SignerError.ts"

/** Each of its two parts is short enough that a name of an index made of it is one that PostgreSQL takes. */
const form = /^(?:[a-z_][a-z0-9_]{0,39}\.)?[a-z_][a-z0-9_]{0,39}$/

/** Whether it may name a table, with its schema or without. */
export const isName = (table: string): boolean => form.test(table)

/** What to say of one that may not. */
export const nameProblem = "must be lower-case letters, digits and _, 40 at most, with a schema or without"

/** A name as it stands in a statement: it may be a word of SQL, such as `user`. */
export const quoted = (table: string): string =>
  table
    .split(".")
    .map((part) => `"${part}"`)
    .join(".")

/** A name without its schema. */
export const unqualified = (table: string): string => table.slice(table.indexOf(".") + 1)

/** What kind of failure it was, and the SQLSTATE: nothing that the server or the driver said. */
export const causeOf = ({ reason }: SqlError): VendorError => {
  const code = (reason.cause as { readonly code?: unknown } | null | undefined)?.code
  return new VendorError({
    vendorName: reason._tag,
    ...(typeof code === "string" && /^[A-Z0-9_]{2,64}$/.test(code) ? { code } : {})
  })
}

/** Not in a transaction that the caller has begun: what it rolls back would be forgotten. */
export const apart =
  (sql: SqlClient.SqlClient) =>
  <A, E>(answer: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.updateContext(answer, (context: Context.Context<never>) => Context.omit(sql.transactionService)(context))

/** Whoever leaves does not wait until the statement is given up: with a server that is silent that takes seconds. */
export const leavable = <A, E>(answer: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(answer), (fiber) =>
      Effect.onInterrupt(restore(Fiber.join(fiber)), () => Effect.sync(() => fiber.interruptUnsafe()))
    )
  )

/** Creates a table: two processes that create one at once would get in each other's way. */
export const create = (
  sql: SqlClient.SqlClient,
  table: string,
  statements: ReadonlyArray<string>
): Effect.Effect<void, SqlError> =>
  sql`SELECT pg_advisory_xact_lock(hashtext(${table}))`.pipe(
    Effect.andThen(Effect.forEach(statements, (statement) => sql.unsafe(statement), { discard: true })),
    sql.withTransaction
  )
