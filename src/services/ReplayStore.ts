/**
 * Remembers the nonces of messages that were accepted, so that none is accepted
 * twice.
 *
 * Insert after the signature was verified: before that, anybody could fill the
 * store, or use up the nonce of somebody else. A store that cannot answer fails, and
 * the message is refused: never accepted unseen.
 *
 * **Details**
 *
 * - A nonce counts for one key id and one scope: what the message was for, such as
 *   its target. Texts of any length and content: a store holds SHA-256 only.
 * - An entry lives until its `ttl` has passed by Effect's clock: as long as the
 *   message could be accepted again. Of several processes each goes by its own clock,
 *   which is the one that it judges the age of a message with.
 * - A key has so many nonces at most (1,000,000 unless stated): `"full"` refuses its
 *   messages until old ones have expired, and leaves other keys alone.
 *
 * **Example** (A request that counts once)
 *
 * ```ts
 * import { Effect } from "effect"
 * import * as MemoryReplayStore from "effect-signer/MemoryReplayStore"
 * import * as ReplayStore from "effect-signer/ReplayStore"
 *
 * const accept = (keyId: string, nonce: string) =>
 *   ReplayStore.ReplayStore.use((store) =>
 *     store.insert({ keyId, scope: "https://api.example/orders", nonce, ttl: "6 minutes" })
 *   ).pipe(Effect.map((outcome) => outcome === "inserted"))
 *
 * const program = Effect.all([accept("acme-1", "n1"), accept("acme-1", "n1")]) // [true, false]
 *
 * const result = Effect.runPromise(Effect.provide(program, MemoryReplayStore.layer()))
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { primitives } from "#primitives"
import { VendorError } from "../schemas/SignerError.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * What is remembered: a nonce, of whom, for what.
 *
 * @category models
 * @since 0.1.0
 */
export interface Nonce {
  /** Who signed: the key id, together with its owner where several owners may use one. */
  readonly keyId: string
  /** What the message is for. A nonce counts once for each. */
  readonly scope: string
  readonly nonce: string
}

/**
 * A nonce that is seen, and how long it must be remembered.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry extends Nonce {
  /** As long as a message with this nonce could be accepted. From one millisecond to 366 days. */
  readonly ttl: Duration.Input
}

/**
 * What came of an insert: it is new; it was there; or its key has too many.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = "inserted" | "replayed" | "full"

// ---------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------

/**
 * The store cannot say whether a nonce was seen. What it was asked for must be
 * refused.
 *
 * @category errors
 * @since 0.1.0
 */
export class ReplayStoreUnavailable extends Schema.TaggedError<ReplayStoreUnavailable>(
  "effect-signer/ReplayStoreUnavailable"
)("ReplayStoreUnavailable", {
  store: Schema.String,
  problem: Schema.String,
  cause: Schema.optionalKey(VendorError)
}) {
  override get message() {
    return `${this.store}: ReplayStoreUnavailable: ${this.problem}`
  }
}

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * Remembers nonces.
 *
 * @category services
 * @since 0.1.0
 */
export class ReplayStore extends Context.Service<
  ReplayStore,
  {
    readonly name: string
    /** Remembers a nonce unless it is there: of any number of callers, in any process, one is told `"inserted"`. */
    readonly insert: (entry: Entry) => Effect.Effect<Outcome, ReplayStoreUnavailable>
    /** Whether a nonce is there. It may be there a moment later: only `insert` decides. */
    readonly has: (nonce: Nonce) => Effect.Effect<boolean, ReplayStoreUnavailable>
    /** Whether a key has as many nonces as it may: to refuse its messages before their signatures are verified. */
    readonly isFull: (keyId: string) => Effect.Effect<boolean, ReplayStoreUnavailable>
  }
>()("effect-signer/ReplayStore") {}

/**
 * What a {@link ReplayStore} is, as a value.
 *
 * @category models
 * @since 0.1.0
 */
export type Service = ReplayStore["Service"]

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * What a store has to do. It sees no text of a message: `holder` is the SHA-256 of
 * the key id and `entry` that of key id, scope and nonce, 32 bytes each. Times are
 * milliseconds since the Unix epoch.
 *
 * @category models
 * @since 0.1.0
 */
export interface Backend {
  readonly name: string
  /**
   * In one atomic step: `"replayed"` where the entry is there and expires after `now`;
   * else `"full"` where the holder has its maximum of such entries; else the entry
   * replaces an expired one, or is new.
   */
  readonly insert: (insertion: {
    readonly holder: Uint8Array
    readonly entry: Uint8Array
    readonly now: number
    readonly expiresAt: number
  }) => Effect.Effect<Outcome, ReplayStoreUnavailable>
  readonly has: (question: {
    readonly holder: Uint8Array
    readonly entry: Uint8Array
    readonly now: number
  }) => Effect.Effect<boolean, ReplayStoreUnavailable>
  readonly isFull: (question: {
    readonly holder: Uint8Array
    readonly now: number
  }) => Effect.Effect<boolean, ReplayStoreUnavailable>
}

/** JSON tells any two lists of texts apart, those with lone surrogates, too. */
const digestOf = (texts: ReadonlyArray<string>): Uint8Array =>
  primitives.digest("SHA-256", new TextEncoder().encode(JSON.stringify(texts)))

const holderOf = (keyId: string) => digestOf([keyId])

const entryOf = ({ keyId, nonce, scope }: Nonce) => digestOf([keyId, scope, nonce])

const maxTtl = Duration.toMillis("366 days")

/** Whole milliseconds, never less than what was asked for. */
const millisOf = (ttl: Duration.Input): number | undefined => {
  const millis = Math.ceil(Option.match(Duration.fromInput(ttl), { onNone: () => -1, onSome: Duration.toMillis }))
  return millis >= 1 && millis <= maxTtl ? millis : undefined
}

/**
 * A store of what only it can do.
 *
 * **Details**
 *
 * Hashes what the backend is given, reads the clock, and refuses a `ttl` that is not
 * from one millisecond to 366 days.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (backend: Backend): Service =>
  ReplayStore.of({
    name: backend.name,
    insert: (nonce) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const millis = millisOf(nonce.ttl)
        return millis === undefined
          ? Effect.fail(
              new ReplayStoreUnavailable({ store: backend.name, problem: "ttl must be from 1 millisecond to 366 days" })
            )
          : backend.insert({ holder: holderOf(nonce.keyId), entry: entryOf(nonce), now, expiresAt: now + millis })
      }),
    has: (nonce) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        backend.has({ holder: holderOf(nonce.keyId), entry: entryOf(nonce), now })
      ),
    isFull: (keyId) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => backend.isFull({ holder: holderOf(keyId), now }))
  })
