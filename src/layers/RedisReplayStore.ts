/**
 * Remembers nonces in Redis: one store for any number of processes.
 *
 * **Details**
 *
 * - Of each key id Redis has one sorted set, of hashes of nonces by the time when they
 *   expire. One script looks, counts and inserts, so nothing comes between, in a
 *   cluster, too. The set has a lifetime, which the same script writes.
 * - The names are `prefix` and a hash: no text of a message is part of a command.
 * - Whether an entry has expired is told by the clock of the process that asks. Redis
 *   keeps it ten minutes longer, for a process whose clock is behind.
 *
 * **Gotchas**
 *
 * What Redis forgets, may come again: set `maxmemory-policy noeviction`, and have it
 * write what it was told (`appendonly yes`) unless a restart may lose the last
 * minutes. Replication is not synchronous: a failover may lose some entries.
 *
 * A client that queues commands while it is not connected waits as long: state
 * `timeout`.
 *
 * **Example** (With the client of `@effect/platform-node`)
 *
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import * as RedisReplayStore from "effect-signer/RedisReplayStore"
 *
 * const ReplayLive = RedisReplayStore.layer().pipe(
 *   Layer.provide(NodeRedis.layer({ url: "redis://127.0.0.1:6379" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redis from "effect/persistence/Redis"
import { InvalidConfiguration, VendorError } from "../schemas/SignerError.ts"
import * as ReplayStore from "../services/ReplayStore.ts"

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Nonces of one key, at most. Default 1,000,000. */
  readonly maxPerKey?: number | undefined
  /** What the names of all sets begin with. Default `"effect-signer:replay:"`. */
  readonly prefix?: string | undefined
  /** For one answer. Default 2 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/** How long Redis keeps an entry that has expired, in milliseconds: the clocks of two processes differ by less. */
const margin = 600_000

/**
 * KEYS: the set. ARGV: entry, now, when it expires, the maximum, the margin.
 *
 * An entry that expired stays while a clock that is behind may ask for it, and then
 * goes with the next calls, 100 at a time.
 */
const lua = `
local old = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", ARGV[2] - ARGV[5], "LIMIT", 0, 100)
if #old > 0 then redis.call("ZREM", KEYS[1], unpack(old)) end
local stored = redis.call("ZSCORE", KEYS[1], ARGV[1])
if stored and tonumber(stored) > tonumber(ARGV[2]) then return "replayed" end
if redis.call("ZCOUNT", KEYS[1], "(" .. ARGV[2], "+inf") >= tonumber(ARGV[4]) then return "full" end
redis.call("ZADD", KEYS[1], ARGV[3], ARGV[1])
local lifetime = ARGV[3] - ARGV[2] + ARGV[5]
if redis.call("PTTL", KEYS[1]) < lifetime then redis.call("PEXPIRE", KEYS[1], lifetime) end
return "inserted"
`

type Insertion = readonly [set: string, entry: string, now: number, expiresAt: number, max: number]

const insert = Redis.script((...insertion: Insertion) => [...insertion, margin], {
  numberOfKeys: 1,
  lua
}).withReturnType<unknown>()

const outcomes: ReadonlyArray<unknown> = ["inserted", "replayed", "full"] satisfies ReadonlyArray<ReplayStore.Outcome>

const isOutcome = (answer: unknown): answer is ReplayStore.Outcome => outcomes.includes(answer)

const name = "redis"

/** A code of the runtime (`ECONNREFUSED`) or of Redis (`READONLY`), and nothing else of an error. */
const causeOf = ({ cause }: Redis.RedisError): VendorError | undefined => {
  const error = (typeof cause === "object" && cause !== null ? cause : {}) as { code?: unknown; message?: unknown }
  const code = [error.code, /^[A-Z]+(?= )/.exec(String(error.message))?.[0]].find(
    (code): code is string => typeof code === "string" && /^[A-Z][A-Z0-9_]{1,63}$/.test(code)
  )
  return code === undefined ? undefined : new VendorError({ code })
}

const isWithoutScript = ({ cause }: Redis.RedisError) => String(cause).includes("NOSCRIPT")

const unavailable = (error: Redis.RedisError) => {
  const cause = causeOf(error)
  return new ReplayStore.ReplayStoreUnavailable({
    store: name,
    problem: "Redis did not do what it was asked for",
    ...(cause === undefined ? {} : { cause })
  })
}

const unexpected = Effect.fail(
  new ReplayStore.ReplayStoreUnavailable({ store: name, problem: "Redis answered with something else" })
)

const invalid = (field: string, problem: string) => InvalidConfiguration.of({ operation: "make", field, problem })

/**
 * A store in Redis.
 *
 * **Details**
 *
 * Redis is asked when it is needed. Nothing is retried: a command that failed may have
 * been done, and is not sent again. Fails with `InvalidConfiguration` where options are
 * wrong.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<ReplayStore.Service, InvalidConfiguration, Redis.Redis> {
  const { maxPerKey = 1_000_000, prefix = "effect-signer:replay:" } = options
  if (!Number.isSafeInteger(maxPerKey) || maxPerKey < 1) {
    return yield* invalid("maxPerKey", "must be a whole number from 1")
  }
  const timeout = Option.getOrUndefined(Duration.fromInput(options.timeout ?? "2 seconds"))
  if (timeout === undefined || !Duration.isPositive(timeout)) return yield* invalid("timeout", "must be a duration")
  const redis = yield* Redis.Redis
  const setOf = (holder: Uint8Array) => `${prefix}${Base64Url.encode(holder)}`

  const asked = <A>(answer: Effect.Effect<A, Redis.RedisError>): Effect.Effect<A, ReplayStore.ReplayStoreUnavailable> =>
    Effect.mapError(answer, unavailable).pipe(
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

  /** In a cluster the server that was given the script need not be the one that has the set: that one is given both. */
  const inserted = (...insertion: Insertion) =>
    Effect.catchIf(redis.eval(insert)(...insertion), isWithoutScript, () =>
      redis.send("EVAL", lua, "1", ...[...insertion, margin].map(String))
    )

  return ReplayStore.make({
    name,
    insert: ({ entry, expiresAt, holder, now }) =>
      Effect.filterOrElse(
        asked(inserted(setOf(holder), Base64Url.encode(entry), now, expiresAt, maxPerKey)),
        isOutcome,
        () => unexpected
      ),
    has: ({ entry, holder, now }) =>
      Effect.flatMap(asked(redis.send("ZSCORE", setOf(holder), Base64Url.encode(entry))), (score) =>
        score === null
          ? Effect.succeed(false)
          : Number.isFinite(Number(score))
            ? Effect.succeed(Number(score) > now)
            : unexpected
      ),
    isFull: ({ holder, now }) =>
      Effect.flatMap(asked(redis.send("ZCOUNT", setOf(holder), `(${now}`, "+inf")), (count) =>
        Number.isFinite(Number(count)) ? Effect.succeed(Number(count) >= maxPerKey) : unexpected
      )
  })
})

/**
 * Provides a store in Redis.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<ReplayStore.ReplayStore, InvalidConfiguration, Redis.Redis> =>
  Layer.effect(ReplayStore.ReplayStore, make(options))
