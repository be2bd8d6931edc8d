/**
 * The two tables of keys in PostgreSQL: one of keys, and one of a single row with
 * what is true of all of them.
 *
 * **Details**
 *
 * Every row has a MAC over what is not secret in it, and so has the id of the active
 * key: whoever can write to the database and does not have the envelope key can
 * neither put in a key, nor change a tag, nor choose another active key. They can
 * take rows away, and put back older ones.
 *
 * Whoever writes locks the one row first, shared where only rows of keys change, and
 * for itself where the active key may: so that two writers are in one order, and a
 * version that this one does not know is noticed.
 *
 * @category internal
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { isSqlError } from "effect/sql/SqlError"
import type { KeyStoreReason } from "../../schemas/KeyStoreError.ts"
import { KeyStoreError } from "../../schemas/KeyStoreError.ts"
import { VendorError } from "../../schemas/SignerError.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import type { StoredKey, Tags } from "../../services/KeyStore.ts"
import { copyTags } from "../../services/KeyStore.ts"
import * as PostgresTable from "../postgres/PostgresTable.ts"
import * as KeyCipher from "./KeyCipher.ts"
import * as StoredPublicKey from "./storedPublicKey.ts"

/** As errors name the store. */
export const store = "postgres"

/** The only version of the tables that there is. */
export const format = 1

/** The error of this store. */
export const failure = (reason: KeyStoreReason, problem: string) => new KeyStoreError({ store, reason, problem })

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/** What a driver's error becomes, by its reason. Anything else is `Unavailable`. */
const refusals: { readonly [tag: string]: readonly [KeyStoreReason, string] } = {
  AuthenticationError: ["PermissionDenied", "the database does not accept who we are"],
  AuthorizationError: ["PermissionDenied", "the database does not allow this to who we are"],
  SqlSyntaxError: ["Corrupt", "the tables are not those of this store"],
  UniqueViolation: ["Corrupt", "the tables have constraints that are not of this store"],
  ConstraintError: ["Corrupt", "the tables have constraints that are not of this store"]
}

/** The SQLSTATE of an error (PostgreSQL, appendix A), and nothing else of it: its text has SQL, values and hosts. */
const sqlStateOf = (reason: unknown): string | undefined => {
  const cause = (reason as { readonly cause?: unknown } | null)?.cause
  const code = (cause as { readonly code?: unknown } | null | undefined)?.code
  return typeof code === "string" && /^[0-9A-Z_]{3,40}$/.test(code) ? code : undefined
}

/** An error of the database, in our words. */
export const fromSqlError = ({ reason }: SqlError): KeyStoreError => {
  const [kind, problem] = refusals[reason._tag] ?? [
    "Unavailable",
    "the database cannot be reached, or cannot answer now"
  ]
  const code = sqlStateOf(reason)
  return new KeyStoreError({
    store,
    reason: kind,
    problem,
    cause: new VendorError({ vendorName: reason._tag, ...(code === undefined ? {} : { code }) })
  })
}

/**
 * All that went wrong in the database becomes ours; what we failed with stays. A
 * transaction whose connection is gone cannot roll back, which the client says as a
 * defect: the server has rolled back by itself.
 */
export const reduced = <A, E, R>(
  effect: Effect.Effect<A, E | SqlError, R>
): Effect.Effect<A, Exclude<E, SqlError> | KeyStoreError, R> =>
  Effect.catchCause(effect, (cause): Effect.Effect<never, Exclude<E, SqlError> | KeyStoreError> => {
    for (const reason of cause.reasons) {
      const error = reason._tag === "Fail" ? reason.error : reason._tag === "Die" ? reason.defect : undefined
      if (isSqlError(error)) return Effect.fail(fromSqlError(error))
    }
    return Effect.failCause(cause as Cause.Cause<Exclude<E, SqlError>>)
  })

/**
 * Runs in one transaction. Its locks put writers in order, each of whom sees what the
 * last one did: at a stricter level, which may be the default of a database, some of
 * them would fail instead.
 */
export const transaction = <A, E, R>(
  sql: SqlClient.SqlClient,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E | SqlError, R> =>
  Effect.provideService(sql.withTransaction(effect), SqlClient.BeginTransaction, "BEGIN ISOLATION LEVEL READ COMMITTED")

// ---------------------------------------------------------------------------
// names
// ---------------------------------------------------------------------------

/** The names of both tables, each with its schema where one is stated. */
export interface Names {
  readonly keys: string
  readonly state: string
}

/** Letters that need no quotes, so that the name is the same in every tool. 63 bytes is the most that PostgreSQL keeps. */
export const namesOf = (table: string): Names | undefined =>
  /^([a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,55}$/.test(table) ? { keys: table, state: `${table}_state` } : undefined

/** What makes both tables, as they are where there are none. */
export const statements = ({ keys, state }: Names): ReadonlyArray<string> => [
  `CREATE TABLE IF NOT EXISTS ${PostgresTable.quoted(keys)} (
  id text PRIMARY KEY,
  algorithm text NOT NULL,
  public_key bytea NOT NULL,
  tags jsonb NOT NULL,
  disabled boolean NOT NULL,
  created_at bigint NOT NULL,
  sealed bytea,
  mac bytea NOT NULL
)`,
  `CREATE INDEX IF NOT EXISTS ${PostgresTable.quoted(`${PostgresTable.unqualified(keys)}_tags`)} ON ${PostgresTable.quoted(keys)} USING gin (tags jsonb_path_ops)`,
  `CREATE TABLE IF NOT EXISTS ${PostgresTable.quoted(state)} (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  format integer NOT NULL,
  wrapped_secret bytea NOT NULL,
  active text REFERENCES ${PostgresTable.quoted(keys)} (id),
  active_mac bytea NOT NULL
)`
]

// ---------------------------------------------------------------------------
// rows
// ---------------------------------------------------------------------------

/** A row of a key, as {@link columns} select it. */
export interface KeyRow {
  readonly id: string
  readonly algorithm: string
  readonly public_key: Uint8Array
  /** JSON. */
  readonly tags: string
  readonly disabled: boolean
  readonly created_at: number
  readonly has_private_key: boolean
  readonly mac: Uint8Array
}

/** Types that every driver has one value for. */
export const columns = `id, algorithm, public_key, tags::text AS tags, disabled, created_at::float8 AS created_at, sealed IS NOT NULL AS has_private_key, mac`

const utf8 = (text: string) => new TextEncoder().encode(text)

/** What the MAC of a row authenticates: an array has one JSON text. The private half is bound by its own seal. */
export const rowBytes = ({ createdAt, disabled, hasPrivateKey, id, publicKey, tags }: StoredKey): Uint8Array =>
  utf8(
    JSON.stringify([
      "key",
      id,
      publicKey.algorithm,
      Base64.encode(PublicKey.toSpki(publicKey)),
      Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1)),
      disabled,
      createdAt,
      hasPrivateKey
    ])
  )

/** What the MAC of the active key authenticates. */
export const activeBytes = (active: string | undefined): Uint8Array => utf8(JSON.stringify(["active", active ?? null]))

const changed = () =>
  failure(
    "Corrupt",
    "a row was changed by something that does not have the envelope key, or was damaged; restore the tables from a backup"
  )

/** The MAC comes later: what something else wrote may be any JSON. */
const isTags = (tags: unknown): tags is Tags =>
  typeof tags === "object" &&
  tags !== null &&
  !Array.isArray(tags) &&
  Object.values(tags).every((value) => typeof value === "string")

const shownOf = (row: KeyRow): StoredKey | KeyStoreError => {
  if (!StoredPublicKey.isAlgorithm(row.algorithm)) {
    return failure("NewerFormat", "there is a key for an algorithm that is not known here; upgrade effect-signer")
  }
  const publicKey = StoredPublicKey.decode(row.public_key, row.algorithm)
  const tags: unknown = JSON.parse(row.tags)
  if (publicKey === undefined || !isTags(tags)) return changed()
  return Object.freeze({
    id: row.id,
    publicKey,
    tags: copyTags(tags),
    disabled: row.disabled,
    createdAt: row.created_at,
    hasPrivateKey: row.has_private_key
  })
}

/** Keys of rows, each of which is as it was written. */
export const decodeRows = Effect.fnUntraced(function* (
  cipher: KeyCipher.KeyCipher,
  rows: ReadonlyArray<KeyRow>
): Effect.fn.Return<Array<StoredKey>, KeyStoreError> {
  const keys: Array<StoredKey> = []
  for (const row of rows) {
    const shown = shownOf(row)
    if (shown instanceof KeyStoreError) return yield* shown
    keys.push(shown)
  }
  const macs = yield* KeyCipher.verifyMacs(
    cipher,
    keys.map((key, index) => [rowBytes(key), rows[index]!.mac])
  )
  return macs ? keys : yield* changed()
})

// ---------------------------------------------------------------------------
// the one row
// ---------------------------------------------------------------------------

/** What is true of all keys. */
export interface State {
  readonly format: number
  readonly wrapped_secret: Uint8Array
  readonly active: string | null
  readonly active_mac: Uint8Array
}

/** The one row, where the tables are there. A version that we do not know is an error. */
export const readState = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  { state }: Names,
  lock: "" | "FOR SHARE" | "FOR UPDATE"
): Effect.fn.Return<State | undefined, KeyStoreError | SqlError> {
  const [row] =
    yield* sql<State>`SELECT format, wrapped_secret, active, active_mac FROM ${sql(state)} ${sql.literal(lock)}`
  if (row !== undefined && row.format > format) {
    return yield* failure(
      "NewerFormat",
      `the tables have version ${row.format}, and this version of effect-signer knows ${format}; upgrade effect-signer`
    )
  }
  return row
})

/** The active key that a row says, where it is as it was written. */
export const activeOf = Effect.fnUntraced(function* (
  cipher: KeyCipher.KeyCipher,
  { active, active_mac }: Pick<State, "active" | "active_mac">
): Effect.fn.Return<string | undefined, KeyStoreError> {
  const id = active ?? undefined
  return (yield* KeyCipher.verifyMac(cipher, activeBytes(id), active_mac)) ? id : yield* changed()
})
