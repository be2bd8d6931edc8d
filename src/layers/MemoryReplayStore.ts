/**
 * Remembers nonces in the memory of this process: for one process, and for tests.
 *
 * Several processes that accept the same messages need one store for all of them
 * (`PostgresReplayStore`, `RedisReplayStore`): each would accept a message once.
 *
 * **Gotchas**
 *
 * A process that starts again has forgotten: until `maxAge` and twice the `skew` have
 * passed, what it accepted before may come again.
 *
 * An entry takes about 200 bytes. Where all keys together have their maximum, other
 * keys are `"full"`, too: leave room for several.
 *
 * **Example** (A store of 100,000 nonces a key)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as MemoryReplayStore from "effect-signer/MemoryReplayStore"
 * import * as ReplayStore from "effect-signer/ReplayStore"
 *
 * const ReplayLive = MemoryReplayStore.layer({ maxPerKey: 100_000 })
 *
 * const program = ReplayStore.ReplayStore.use((store) =>
 *   store.insert({ keyId: "acme-1", scope: "orders", nonce: "n1", ttl: "6 minutes" })
 * ).pipe(Effect.provide(ReplayLive))
 * ```
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { InvalidConfiguration } from "../schemas/SignerError.ts"
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
  /** Nonces of all keys, at most. Default 4,000,000, and 16,000,000 at most. */
  readonly maxTotal?: number | undefined
}

interface Entry {
  readonly id: string
  readonly holder: string
  readonly expiresAt: number
}

/** Entries that expire within the same second are looked at together. */
const bucketMillis = 1000

/** Expired entries that an insert drops at most, unless it needs more room: as it adds one, they get fewer. */
const sweepLimit = 64

/** Fewer than a Map of V8 holds. */
const mostEntries = 16_000_000

/** One character a byte: 32 bytes take 48 as the key of a Map, and their base64 more than a kilobyte, in parts. */
const nameOf = (hash: Uint8Array) => String.fromCharCode(...hash)

const limitOf = (options: Options, name: keyof Options, otherwise: number) => {
  const limit = options[name] ?? otherwise
  return Number.isInteger(limit) && limit >= 1 && limit <= mostEntries
    ? Effect.succeed(limit)
    : Effect.fail(
        InvalidConfiguration.of({ operation: "make", field: name, problem: `must be from 1 to ${mostEntries}` })
      )
}

/**
 * A store in memory.
 *
 * **Details**
 *
 * A call takes the same time however many entries there are, unless a key at its maximum
 * waits for those of others to be dropped. What a key has used up of its maximum is free
 * again a second after the entry expired, at the latest. Fails with
 * `InvalidConfiguration` where a limit is none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: Options = {}
): Effect.fn.Return<ReplayStore.Service, InvalidConfiguration> {
  const maxPerKey = yield* limitOf(options, "maxPerKey", 1_000_000)
  const maxTotal = yield* limitOf(options, "maxTotal", 4_000_000)

  const entries = new Map<string, Entry>()
  const counts = new Map<string, number>()
  /** By the second in which they expire, counted from the epoch. */
  const buckets = new Map<number, Array<Entry>>()
  /** Seconds before this one have no bucket. */
  let first = 0

  const forget = (entry: Entry) => {
    // One that came again after it had expired stands in a later bucket, too
    if (entries.get(entry.id) !== entry) return
    entries.delete(entry.id)
    const count = counts.get(entry.holder)! - 1
    if (count === 0) counts.delete(entry.holder)
    else counts.set(entry.holder, count)
  }

  /** The first bucket of entries that have all expired. */
  const expired = (now: number): number | undefined => {
    if (buckets.size === 0) return undefined
    const end = Math.floor(now / bucketMillis)
    // Seconds without a bucket cost a look each; after a long pause the buckets are fewer than they
    if (end - first > buckets.size) {
      first = Infinity
      for (const at of buckets.keys()) if (at < first) first = at
    }
    for (; first < end; first++) if (buckets.has(first)) return first
    return undefined
  }

  /** Whether there were any. */
  const sweep = (now: number): boolean => {
    let left = sweepLimit
    for (let at = expired(now); at !== undefined && left > 0; at = expired(now)) {
      const bucket = buckets.get(at)!
      for (; left > 0 && bucket.length > 0; left--) forget(bucket.pop()!)
      if (bucket.length === 0) buckets.delete(at)
    }
    return left < sweepLimit
  }

  const isAtLimit = (holder: string) => (counts.get(holder) ?? 0) >= maxPerKey || entries.size >= maxTotal

  const isFull = (holder: string, now: number) => {
    // No further than there is room: after a pause all of a million may have expired
    while (isAtLimit(holder) && sweep(now));
    return isAtLimit(holder)
  }

  const isLive = (id: string, now: number) => {
    const entry = entries.get(id)
    return entry !== undefined && entry.expiresAt > now
  }

  return ReplayStore.make({
    name: "memory",
    insert: ({ entry, expiresAt, holder, now }) =>
      Effect.sync(() => {
        const id = nameOf(entry)
        const name = nameOf(holder)
        if (isLive(id, now)) return "replayed"
        const before = entries.get(id)
        if (before !== undefined) forget(before)
        if (isFull(name, now)) return "full"
        sweep(now)
        const added: Entry = { id, holder: name, expiresAt }
        entries.set(id, added)
        counts.set(name, (counts.get(name) ?? 0) + 1)
        const at = Math.floor(expiresAt / bucketMillis)
        const bucket = buckets.get(at)
        if (bucket === undefined) buckets.set(at, [added])
        else bucket.push(added)
        first = Math.min(first, at)
        return "inserted"
      }),
    has: ({ entry, now }) => Effect.sync(() => isLive(nameOf(entry), now)),
    isFull: ({ holder, now }) => Effect.sync(() => isFull(nameOf(holder), now))
  })
})

/**
 * Provides a store in memory.
 *
 * **Gotchas**
 *
 * Keep the layer in a `const`: two calls of `layer()` are two stores, each of which
 * accepts a message once.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<ReplayStore.ReplayStore, InvalidConfiguration> =>
  Layer.effect(ReplayStore.ReplayStore, make(options))
