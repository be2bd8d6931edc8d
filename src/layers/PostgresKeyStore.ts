/**
 * Keys in PostgreSQL, shared by any number of machines, their private halves
 * encrypted under a key that the database does not have.
 *
 * The store encrypts with one random secret of its own, which is in the database
 * wrapped by an `EnvelopeKey`: 32 bytes that the program knows, or a KMS. That is
 * asked once, when the store is opened. Private halves are opened one by one as they
 * are asked for.
 *
 * **Details**
 *
 * Works over any `SqlClient` of PostgreSQL, as `PgClient` of `@effect/sql-pg`. Each
 * operation is one transaction, at READ COMMITTED whatever the default is, or a
 * savepoint where there is one already. Two tables are made where there are none: `effect_signer_keys` and
 * `effect_signer_keys_state`; {@link statements} shows how, for a user of the
 * database who may not make tables. The user needs SELECT, INSERT, UPDATE and DELETE.
 *
 * Ids, public keys and tags are in the clear, and authenticated, as is which key is
 * active: a row that was written without the envelope key is refused as `Corrupt`.
 *
 * **Gotchas**
 *
 * Whoever can write to the database can take keys away, and put back older rows:
 * nothing tells those from the present ones. Whoever can read it sees ids and tags.
 *
 * The secret of the store is in the memory of the program while the store is open,
 * where nothing can read it out: whoever runs code there can still open keys.
 *
 * **Example** (A store with its envelope key from the environment)
 *
 * ```ts
 * import { PgClient } from "@effect/sql-pg"
 * import { Config, Effect, Layer } from "effect"
 * import * as PostgresKeyStore from "effect-signer/PostgresKeyStore"
 *
 * const DatabaseLive = PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") })
 *
 * const KeysLive = Layer.unwrap(
 *   Effect.map(Config.Redacted("KEYS_SECRET"), (envelope) => PostgresKeyStore.layer({ envelope }))
 * ).pipe(Layer.provide(DatabaseLive))
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { primitives } from "#primitives"
import type { KeyStoreError } from "../schemas/KeyStoreError.ts"
import { ActiveKeyDelete, KeyExists } from "../schemas/KeyStoreError.ts"
import * as PublicKey from "../schemas/PublicKey.ts"
import * as Wiped from "../schemas/Wiped.ts"
import type { EnvelopeKeyError } from "../services/EnvelopeKey.ts"
import * as EnvelopeKey from "../services/EnvelopeKey.ts"
import type { Filter, NewKey, Service } from "../services/KeyStore.ts"
import * as KeyStore from "../services/KeyStore.ts"
import * as KeyCipher from "./keyStore/KeyCipher.ts"
import { failure, reduced } from "./keyStore/KeyTables.ts"
import * as KeyTables from "./keyStore/KeyTables.ts"

const name = KeyTables.store

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

/**
 * What wraps the secret of the store: a key of its own, or 32 random bytes that the
 * program knows, or their base64.
 *
 * @category models
 * @since 0.1.0
 */
export type Envelope = EnvelopeKey.EnvelopeKey | Redacted.Redacted<Uint8Array | string>

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly envelope: Envelope
  /**
   * The name of the table of keys, with its schema or without: lower-case letters,
   * digits and underscores. Default: `effect_signer_keys`.
   */
  readonly table?: string | undefined
}

const defaultTable = "effect_signer_keys"

const namesOf = (table: string = defaultTable): Effect.Effect<KeyTables.Names, KeyStoreError> => {
  const names = typeof table === "string" ? KeyTables.namesOf(table) : undefined
  return names === undefined
    ? Effect.fail(
        failure(
          "Invalid",
          "table: it must be a name of lower-case letters, digits and _, of at most 56, or schema.name"
        )
      )
    : Effect.succeed(names)
}

/** What PostgreSQL cannot keep, and so cannot be asked for, is nowhere. */
const isKept = (text: unknown): boolean => typeof text === "string" && !text.includes("\u0000") && text.isWellFormed()

const envelopeOf = (envelope: Envelope): Effect.Effect<EnvelopeKey.EnvelopeKey, KeyStoreError> =>
  Redacted.isRedacted(envelope)
    ? Effect.mapError(EnvelopeKey.fromSecret(envelope), ({ problem }) => failure("Invalid", `envelope: ${problem}`))
    : typeof envelope?.wrap === "function" && typeof envelope.unwrap === "function"
      ? Effect.succeed(envelope)
      : Effect.fail(failure("Invalid", "envelope: it must be an EnvelopeKey, or a Redacted of 32 bytes"))

/**
 * The SQL that makes the tables, for a user of the database who may: the store of one
 * who may not finds them there.
 *
 * @category models
 * @since 0.1.0
 */
export const statements = (table?: string): Effect.Effect<ReadonlyArray<string>, KeyStoreError> =>
  Effect.map(namesOf(table), KeyTables.statements)

// ---------------------------------------------------------------------------
// the secret
// ---------------------------------------------------------------------------

const fromEnvelope = ({ cause, reason }: EnvelopeKeyError): KeyStoreError =>
  failure(
    reason === "Refused" ? "WrongPassphrase" : "Unavailable",
    `the envelope key ${
      reason === "Refused"
        ? "does not unwrap the secret of this store: it is another one, or was changed"
        : "cannot answer now"
    }${cause?.code === undefined ? "" : ` (${cause.code})`}`
  )

/** Uses the secret of a store, and wipes it. */
const withSecret = <A, E>(
  envelope: EnvelopeKey.EnvelopeKey,
  wrapped: Uint8Array,
  use: (secret: Uint8Array) => Effect.Effect<A, E>
): Effect.Effect<A, E | KeyStoreError> =>
  Wiped.withBytes(
    Effect.filterOrFail(
      Effect.mapError(envelope.unwrap(wrapped), fromEnvelope),
      (secret) => secret.length === KeyCipher.secretLength,
      () => failure("WrongPassphrase", "what the envelope key unwrapped is not the secret of a store")
    ),
    use
  )

const newState = (envelope: EnvelopeKey.EnvelopeKey) =>
  Wiped.withBytes(
    Effect.sync(() => new Uint8Array(primitives.randomBytes(KeyCipher.secretLength))),
    Effect.fnUntraced(function* (secret) {
      const cipher = yield* KeyCipher.make(secret)
      return {
        wrapped: yield* Effect.mapError(envelope.wrap(secret), fromEnvelope),
        mac: yield* KeyCipher.mac(cipher, KeyTables.activeBytes(undefined))
      }
    })
  )

/** The one row; with it the tables, where there are none. */
const prepare = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  names: KeyTables.Names,
  envelope: EnvelopeKey.EnvelopeKey
): Effect.fn.Return<KeyTables.State, KeyStoreError | SqlError> {
  const found = yield* sql<{ readonly there: boolean }>`SELECT to_regclass(${names.state}::text) IS NOT NULL AS there`
  if (found[0]?.there !== true) {
    yield* KeyTables.transaction(
      sql,
      Effect.gen(function* () {
        // two that make one table at once fail one of them, IF NOT EXISTS or not
        yield* sql`SELECT pg_advisory_xact_lock(hashtext(${`effect-signer ${names.state}`}::text))`
        for (const statement of KeyTables.statements(names)) yield* sql.unsafe(statement)
      })
    )
  }
  const state = yield* KeyTables.readState(sql, names, "")
  if (state !== undefined) return state
  const { mac, wrapped } = yield* newState(envelope)
  // keys without the row have lost their secret: with another one here, nobody would look for the backup
  yield* sql`INSERT INTO ${sql(names.state)} (format, wrapped_secret, active, active_mac)
    SELECT ${KeyTables.format}::integer, ${wrapped}::bytea, NULL, ${mac}::bytea
    WHERE NOT EXISTS (SELECT FROM ${sql(names.keys)}) ON CONFLICT DO NOTHING`
  return (
    (yield* KeyTables.readState(sql, names, "")) ??
    (yield* failure("Corrupt", "there are keys, and the row with their secret is gone; restore it from a backup"))
  )
})

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * Opens the store in a database, or makes it.
 *
 * **Details**
 *
 * Fails with `KeyStoreError`: `WrongPassphrase` where the envelope key is not that of
 * this store, `NewerFormat`, `Corrupt`, `PermissionDenied`, `Unavailable`, `Invalid`
 * for options. None shows SQL, values, the host or what the driver said: `cause` is
 * the kind of the error and its SQLSTATE.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Service, KeyStoreError, SqlClient.SqlClient> {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  const names = yield* namesOf(options.table)
  const envelope = yield* envelopeOf(options.envelope)
  if (sql.onDialectOrElse({ pg: () => false, orElse: () => true })) {
    return yield* failure("Invalid", "the SqlClient must be one of PostgreSQL")
  }
  const first = yield* reduced(prepare(sql, names, envelope))
  const cipher = yield* withSecret(envelope, first.wrapped_secret, KeyCipher.make)
  yield* KeyTables.activeOf(cipher, first)

  const [keys, state] = [sql(names.keys), sql(names.state)]
  const columns = sql.literal(KeyTables.columns)

  /** Runs in a transaction that has locked the one row. */
  const transaction = <A, E>(
    lock: "FOR SHARE" | "FOR UPDATE",
    use: (state: KeyTables.State) => Effect.Effect<A, E | SqlError>
  ): Effect.Effect<A, Exclude<E, SqlError> | KeyStoreError> =>
    reduced(
      KeyTables.transaction(
        sql,
        Effect.flatMap(KeyTables.readState(sql, names, lock), (state) =>
          state === undefined
            ? Effect.fail<KeyStoreError | E | SqlError>(failure("Corrupt", "the row of the state is gone"))
            : use(state)
        )
      )
    ) as Effect.Effect<A, Exclude<E, SqlError> | KeyStoreError>

  const select = Effect.fnUntraced(function* (id: string, lock: "" | "FOR UPDATE", operation?: "publicKey" | "sign") {
    const rows = yield* sql<KeyTables.KeyRow & { readonly sealed: Uint8Array | null }>`
      SELECT ${columns}, sealed FROM ${keys} WHERE id = ${id}::text ${sql.literal(lock)}`
    if (rows.length === 0) return yield* KeyStore.notFound(name, id, operation)
    const [shown] = yield* KeyTables.decodeRows(cipher, rows)
    return { shown: shown!, sealed: rows[0]!.sealed }
  })

  const isPossible = (id: string) => isKept(id) && id.length <= KeyStore.limits.id

  const find = (id: string, operation?: "publicKey" | "sign") =>
    isPossible(id) ? reduced(select(id, "", operation)) : Effect.fail(KeyStore.notFound(name, id, operation))

  const setActive = Effect.fnUntraced(function* (id: string | undefined) {
    const mac = yield* KeyCipher.mac(cipher, KeyTables.activeBytes(id))
    yield* sql`UPDATE ${state} SET active = ${id ?? null}::text, active_mac = ${mac}::bytea`
  })

  const rowOf = Effect.fnUntraced(function* (key: NewKey) {
    const { createdAt, id, privateKey, publicKey, tags } = key
    const shown = KeyStore.toStored(key)
    return {
      id,
      algorithm: publicKey.algorithm,
      public_key: Base64.encode(PublicKey.toSpki(publicKey)),
      tags,
      created_at: createdAt,
      sealed: privateKey === undefined ? null : Base64.encode(yield* KeyCipher.seal(name, cipher, shown, privateKey)),
      mac: Base64.encode(yield* KeyCipher.mac(cipher, KeyTables.rowBytes(shown)))
    }
  })

  return KeyStore.KeyStore.of({
    name,
    insert: Effect.fnUntraced(function* (newKeys, options) {
      const { setActive: active } = options ?? {}
      const added = yield* KeyStore.checkNewKeys(name, newKeys, options)
      if (added.length === 0) return
      const rows = JSON.stringify(yield* Effect.forEach(added, rowOf))
      yield* transaction(
        active === undefined ? "FOR SHARE" : "FOR UPDATE",
        Effect.fnUntraced(function* () {
          // in the order of ids, so that two callers do not wait for each other
          const inserted = yield* sql<{ readonly id: string }>`
            INSERT INTO ${keys} (id, algorithm, public_key, tags, disabled, created_at, sealed, mac)
            SELECT id, algorithm, decode(public_key, 'base64'), tags, false, created_at, decode(sealed, 'base64'),
              decode(mac, 'base64')
            FROM jsonb_to_recordset(${rows}::text::jsonb) AS added (id text, algorithm text, public_key text, tags jsonb,
              created_at bigint, sealed text, mac text)
            ORDER BY id COLLATE "C" ON CONFLICT (id) DO NOTHING RETURNING id`
          if (inserted.length !== added.length) {
            const ids = new Set(inserted.map(({ id }) => id))
            return yield* new KeyExists({ keyId: added.find(({ id }) => !ids.has(id))?.id ?? "-" })
          }
          if (active !== undefined) yield* setActive(active)
        })
      )
    }),
    get: (id) => Effect.map(find(id), ({ shown }) => shown),
    has: (id) =>
      isPossible(id)
        ? Effect.map(reduced(sql`SELECT 1 AS there FROM ${keys} WHERE id = ${id}::text`), (rows) => rows.length > 0)
        : Effect.succeed(false),
    list: (filter: Filter = {}) =>
      reduced(
        Effect.gen(function* () {
          // no key has a tag that cannot be kept
          if (
            !Object.entries(filter.tags ?? {})
              .flat()
              .every(isKept)
          )
            return []
          const { tags = {} } = filter
          const tagged =
            Object.keys(tags).length === 0 ? sql.literal("true") : sql`tags @> ${JSON.stringify(tags)}::text::jsonb`
          const rows = yield* sql<KeyTables.KeyRow>`
            SELECT ${columns} FROM ${keys} WHERE ${tagged}
              AND (${filter.algorithm ?? null}::text IS NULL OR algorithm = ${filter.algorithm ?? null}::text)
              AND (${filter.disabled ?? null}::boolean IS NULL OR disabled = ${filter.disabled ?? null}::boolean)`
          const found = yield* KeyTables.decodeRows(cipher, rows)
          return found.filter((key) => KeyStore.matches(key, filter)).sort(KeyStore.compare)
        })
      ),
    privateKey: (id) =>
      Effect.flatMap(
        find(id, "sign"),
        Effect.fnUntraced(function* ({ sealed, shown }) {
          if (sealed === null) return yield* KeyStore.notSigner(name, id)
          return yield* KeyCipher.open(name, cipher, shown, sealed)
        })
      ),
    update: Effect.fnUntraced(function* (id, change) {
      const { disabled, tags } = yield* KeyStore.checkChange(name, change)
      if (!isPossible(id)) return yield* KeyStore.notFound(name, id)
      yield* transaction(
        "FOR SHARE",
        Effect.fnUntraced(function* () {
          const { shown } = yield* select(id, "FOR UPDATE")
          const next = { ...shown, tags: tags ?? shown.tags, disabled: disabled ?? shown.disabled }
          const mac = yield* KeyCipher.mac(cipher, KeyTables.rowBytes(next))
          yield* sql`UPDATE ${keys} SET tags = ${JSON.stringify(next.tags)}::text::jsonb,
            disabled = ${next.disabled}::boolean, mac = ${mac}::bytea WHERE id = ${id}::text`
        })
      )
    }),
    remove: Effect.fnUntraced(function* (id, { force } = {}) {
      if (!isPossible(id)) return yield* KeyStore.notFound(name, id)
      yield* transaction(
        "FOR UPDATE",
        Effect.fnUntraced(function* (state) {
          if ((yield* KeyTables.activeOf(cipher, state)) === id) {
            if (force !== true) return yield* new ActiveKeyDelete({ keyId: id })
            yield* setActive(undefined)
          }
          const removed = yield* sql`DELETE FROM ${keys} WHERE id = ${id}::text RETURNING id`
          if (removed.length === 0) return yield* KeyStore.notFound(name, id)
        })
      )
    }),
    active: Effect.flatMap(
      reduced(KeyTables.readState(sql, names, "")),
      Effect.fnUntraced(function* (state) {
        if (state === undefined) return yield* failure("Corrupt", "the row of the state is gone")
        return Option.fromUndefinedOr(yield* KeyTables.activeOf(cipher, state))
      })
    ),
    setActive: Effect.fnUntraced(function* (id) {
      if (!isPossible(id)) return yield* KeyStore.notFound(name, id)
      yield* transaction(
        "FOR UPDATE",
        Effect.fnUntraced(function* () {
          yield* select(id, "")
          yield* setActive(id)
        })
      )
    })
  })
})

/**
 * Provides the store in the database of the `SqlClient` in the environment.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<KeyStore.KeyStore, KeyStoreError, SqlClient.SqlClient> =>
  Layer.effect(KeyStore.KeyStore, make(options))

// ---------------------------------------------------------------------------
// envelope
// ---------------------------------------------------------------------------

/**
 * Wraps the secret of a store by another envelope key. Stores that are open stay
 * open; from now on only the new key opens one.
 *
 * **Gotchas**
 *
 * The secret itself stays: whoever had the old envelope key and a copy of the
 * database can open what is in that copy, and with its secret also keys that are
 * kept later.
 *
 * @category combinators
 * @since 0.1.0
 */
export const changeEnvelope = Effect.fnUntraced(function* (options: {
  readonly from: Envelope
  readonly to: Envelope
  readonly table?: string | undefined
}): Effect.fn.Return<void, KeyStoreError, SqlClient.SqlClient> {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  const names = yield* namesOf(options.table)
  const [from, to] = [yield* envelopeOf(options.from), yield* envelopeOf(options.to)]
  yield* reduced(
    KeyTables.transaction(
      sql,
      Effect.gen(function* () {
        const state = yield* KeyTables.readState(sql, names, "FOR UPDATE")
        if (state === undefined) return yield* failure("NotFound", "there is no store in these tables")
        const wrapped = yield* withSecret(from, state.wrapped_secret, (secret) =>
          Effect.mapError(to.wrap(secret), fromEnvelope)
        )
        yield* sql`UPDATE ${sql(names.state)} SET wrapped_secret = ${wrapped}::bytea`
      })
    )
  )
})
