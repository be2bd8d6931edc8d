/**
 * Requests over real sockets, signed with a key of every backend, good ones among bad
 * ones of every kind: the bad are refused for the one right reason, and the good are
 * handled once.
 */
import { NodeRedis } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, References } from "effect"
import * as MemoryReplayStore from "../../src/layers/MemoryReplayStore.ts"
import * as PostgresReplayStore from "../../src/layers/PostgresReplayStore.ts"
import * as RedisReplayStore from "../../src/layers/RedisReplayStore.ts"
import { ReplayStore } from "../../src/services/ReplayStore.ts"
import * as Postgres from "../support/postgres.ts"
import * as Redis from "../support/redis.ts"
import * as BackendKeys from "./support/backendKeys.ts"
import type { Side } from "./support/guardedService.ts"
import { sides } from "./support/guardedService.ts"
import { goodRequest, kinds, sidesOf } from "./support/requestKinds.ts"
import type { Story } from "./support/signedRequest.ts"
import { draft, sign } from "./support/signedRequest.ts"
import * as SteppedClock from "./support/steppedClock.ts"
import type { Sent } from "./support/traffic.ts"
import * as Traffic from "./support/traffic.ts"

type Stores<E> = readonly [Layer.Layer<ReplayStore, E>, Layer.Layer<ReplayStore, E>]

const inMemory = (options?: MemoryReplayStore.Options) =>
  Effect.map(MemoryReplayStore.make(options), (store): Stores<never> => {
    const layer = Layer.succeed(ReplayStore, store)
    return [layer, layer]
  })

/** Of a store whose server shares this machine with the rest of the tests. */
const timeout = "20 seconds"

/** Each kind from every party, twice; or each from one party in turn. */
type Share = "two of each" | "one of each"

const storiesOf = (parties: ReadonlyArray<BackendKeys.Party>, share: Share): ReadonlyArray<Story> => {
  const every = Traffic.everyStory(parties)
  return share === "two of each"
    ? [every, every].flat()
    : [...Map.groupBy(every, ({ kind, side }) => `${kind.kind} ${side}`).values()].map(
        (alike, index) => alike[index % alike.length]!
      )
}

const traffic = <E>(stores: Stores<E>, share: Share, requests: number) =>
  Effect.gen(function* () {
    const { advance, clock } = yield* SteppedClock.make
    return yield* Effect.gen(function* () {
      const parties = yield* BackendKeys.open
      const service = yield* Traffic.open(parties, stores)
      const planned = Traffic.plan(parties, { stories: storiesOf(parties, share), requests, seed: 20_260_101 })
      const sent = yield* Traffic.run(parties, service, planned, (seconds) => advance(`${seconds} seconds`))
      return { sent, handled: service.handled(), connections: service.connections() }
    }).pipe(Effect.provideService(Clock.Clock, clock))
  })

const sorted = (counts: Record<string, number>) =>
  Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)))

const countBy = (sent: ReadonlyArray<Sent>, nameOf: (one: Sent) => string): Record<string, number> =>
  sorted(Object.fromEntries([...Map.groupBy(sent, nameOf)].map(([name, all]) => [name, all.length])))

/** What came of all of it: nothing but what was expected, and each message that was accepted was handled once. */
const check = ({ connections, handled, sent }: Effect.Success<ReturnType<typeof traffic>>) => {
  const wrong = sent.filter(({ actual, expected }) => actual !== expected)
  assert.deepStrictEqual(
    countBy(wrong, ({ actual, expected, kind, party, side }) =>
      [side, party.backend, party.algorithm, kind.kind, `expected ${expected}`, `not ${actual}`].join(", ")
    ),
    {}
  )
  assert.strictEqual(handled.length, sent.filter(({ actual }) => actual === "200").length)
  assert.isTrue(handled.every((times) => times === 1))
  // Connections are kept: a few serve all of it
  assert.isAtMost(connections, 2 * Traffic.concurrency)
}

// ---------------------------------------------------------------------------
// what must come of it
// ---------------------------------------------------------------------------

/** Of every kind but the one that fills the plan up: as often from every party as it was sent. */
const tableOf = (algorithms: ReadonlyArray<string>, times: number) => {
  const table: Record<string, number> = {}
  for (const kind of kinds.filter((kind) => kind !== goodRequest)) {
    const fitting = algorithms.filter((algorithm) => kind.algorithm === undefined || kind.algorithm === algorithm)
    const { change, copies = 1, isAfter, outcome, then } = kind
    for (const side of sidesOf(kind)) {
      const genuine = copies > 1 || isAfter === true ? "200" : (then?.[side] ?? "200")
      const outcomes = [
        ...(change === undefined && copies === 1 ? [] : [genuine]),
        ...Array.from({ length: Math.max(1, copies - 1) }, () => outcome[side])
      ]
      for (const one of outcomes) {
        const name = `${kind.kind}: ${side} ${one}`
        table[name] = (table[name] ?? 0) + fitting.length * times
      }
    }
  }
  return table
}

const isCounted = ({ kind }: Sent) => kinds.includes(kind) && kind !== goodRequest

/** Of 10,000. Each of 14 waves repeats what was accepted in the waves before, 30 seconds apart. */
const others = {
  "good: adcp31 200": 541,
  "good: adcp32 200": 536,
  "good: rest 200": 545,
  "good: webhook 200": 536,
  "replayed later: adcp31 401 request_signature_replayed, step 12": 90,
  "replayed later: adcp32 401 request_signature_replayed, step 12": 90,
  "replayed later: rest 401 Replayed": 88,
  "replayed later: webhook 401 webhook_signature_replayed, step 12": 90,
  "replayed when it is too old: adcp31 401 request_signature_window_invalid, step 5": 1,
  "replayed when it is too old: adcp32 401 request_signature_window_invalid, step 5": 1,
  "replayed when it is too old: rest 401 TooOld": 3,
  "replayed when it is too old: webhook 401 webhook_signature_window_invalid, step 5": 1
}

const byBackend = {
  "aws-kms ES256": 1121,
  "aws-kms Ed25519": 1096,
  "azure-key-vault ES256": 1128,
  "gcp-kms ES256": 1136,
  "gcp-kms Ed25519": 1113,
  "local ES256": 1101,
  "local Ed25519": 1090,
  "vault ES256": 1112,
  "vault Ed25519": 1103
}

const byOutcome = {
  "adcp31 200": 1343,
  "adcp31 401 request_body_malformed, step 14": 18,
  "adcp31 401 request_signature_alg_not_allowed, step 4": 36,
  "adcp31 401 request_signature_components_incomplete, step 6": 72,
  "adcp31 401 request_signature_components_unexpected, step 6": 36,
  "adcp31 401 request_signature_digest_mismatch, step 11": 36,
  "adcp31 401 request_signature_header_malformed, step 1": 126,
  "adcp31 401 request_signature_invalid, step 10": 288,
  "adcp31 401 request_signature_key_purpose_invalid, step 8": 54,
  "adcp31 401 request_signature_key_revoked, step 9": 36,
  "adcp31 401 request_signature_key_unknown, step 7": 18,
  "adcp31 401 request_signature_params_incomplete, step 2": 36,
  "adcp31 401 request_signature_replayed, step 12": 244,
  "adcp31 401 request_signature_required, step 0": 18,
  "adcp31 401 request_signature_tag_invalid, step 3": 36,
  "adcp31 401 request_signature_window_invalid, step 5": 91,
  "adcp31 401 request_target_uri_malformed, step 10": 18,
  "adcp32 200": 1338,
  "adcp32 401 request_body_malformed, step 14": 18,
  "adcp32 401 request_signature_alg_not_allowed, step 4": 36,
  "adcp32 401 request_signature_components_incomplete, step 6": 90,
  "adcp32 401 request_signature_components_unexpected, step 6": 36,
  "adcp32 401 request_signature_digest_mismatch, step 11": 36,
  "adcp32 401 request_signature_header_malformed, step 1": 162,
  "adcp32 401 request_signature_invalid, step 10": 270,
  "adcp32 401 request_signature_key_purpose_invalid, step 8": 54,
  "adcp32 401 request_signature_key_revoked, step 9": 36,
  "adcp32 401 request_signature_key_unknown, step 7": 18,
  "adcp32 401 request_signature_params_incomplete, step 2": 36,
  "adcp32 401 request_signature_replayed, step 12": 208,
  "adcp32 401 request_signature_required, step 0": 18,
  "adcp32 401 request_signature_tag_invalid, step 3": 36,
  "adcp32 401 request_signature_window_invalid, step 5": 91,
  "adcp32 401 request_target_uri_malformed, step 10": 18,
  "rest 200": 1383,
  "rest 401 AlgorithmMismatch": 18,
  "rest 401 AlgorithmNotAllowed": 18,
  "rest 401 AlgorithmUnsupported": 18,
  "rest 401 ComponentInvalid": 18,
  "rest 401 ComponentUnavailable": 18,
  "rest 401 DigestInvalid": 36,
  "rest 401 Expired": 18,
  "rest 401 KeyRevoked": 36,
  "rest 401 KeyUnknown": 54,
  "rest 401 Malformed": 90,
  "rest 401 NoSignature": 72,
  "rest 401 NotCovered": 54,
  "rest 401 NotYetValid": 18,
  "rest 401 ParameterInvalid": 36,
  "rest 401 ParameterMissing": 18,
  "rest 401 Replayed": 242,
  "rest 401 SignatureInvalid": 324,
  "rest 401 TooOld": 39,
  "webhook 200": 1338,
  "webhook 401 webhook_body_malformed, step 14": 18,
  "webhook 401 webhook_signature_alg_not_allowed, step 4": 36,
  "webhook 401 webhook_signature_components_incomplete, step 6": 90,
  "webhook 401 webhook_signature_components_unexpected, step 6": 36,
  "webhook 401 webhook_signature_digest_mismatch, step 11": 36,
  "webhook 401 webhook_signature_header_malformed, step 1": 126,
  "webhook 401 webhook_signature_invalid, step 10": 270,
  "webhook 401 webhook_signature_key_purpose_invalid, step 8": 36,
  "webhook 401 webhook_signature_key_revoked, step 9": 36,
  "webhook 401 webhook_signature_key_unknown, step 7": 18,
  "webhook 401 webhook_signature_params_incomplete, step 2": 36,
  "webhook 401 webhook_signature_replayed, step 12": 244,
  "webhook 401 webhook_signature_required, step 0": 18,
  "webhook 401 webhook_signature_tag_invalid, step 3": 36,
  "webhook 401 webhook_signature_window_invalid, step 5": 91,
  "webhook 401 webhook_target_uri_malformed, step 10": 18
}

const kindOf = ({ actual, kind, side }: Sent) => `${kind.kind}: ${side} ${actual}`

describe("HTTP message signatures, end to end", () => {
  it.live(
    "10,000 requests with keys of every backend: each bad one is refused for its reason, each good one handled once",
    () =>
      Effect.gen(function* () {
        const all = yield* traffic(yield* inMemory(), "two of each", 10_000)
        check(all)
        const { sent } = all
        const algorithms = Object.keys(byBackend).map((name) => name.split(" ")[1]!)
        assert.strictEqual(sent.length, 10_000)
        assert.deepStrictEqual(countBy(sent.filter(isCounted), kindOf), sorted(tableOf(algorithms, 2)))
        assert.deepStrictEqual(
          countBy(
            sent.filter((one) => !isCounted(one)),
            kindOf
          ),
          others
        )
        assert.deepStrictEqual(
          countBy(sent, ({ party }) => `${party.backend} ${party.algorithm}`),
          byBackend
        )
        assert.deepStrictEqual(
          countBy(sent, ({ actual, side }) => `${side} ${actual}`),
          byOutcome
        )
      }),
    120_000
  )

  it.live("a key that has used as many nonces as it may is refused, and others are not", () =>
    Effect.gen(function* () {
      const { advance, clock } = yield* SteppedClock.make
      yield* Effect.gen(function* () {
        const [party, other] = (yield* BackendKeys.open) as [BackendKeys.Party, BackendKeys.Party]
        const { next, send } = yield* Traffic.open([party, other], yield* inMemory({ maxPerKey: 3 }))
        const ask = (side: Side, party: BackendKeys.Party) => {
          const story: Story = { kind: goodRequest, side, party }
          return Effect.flatMap(sign(story, draft(story, next())), (message) => send(story, message))
        }
        for (let times = 0; times < 3; times++) {
          assert.deepStrictEqual([yield* ask("rest", party), yield* ask("adcp31", party)], ["200", "200"])
        }
        const full = (kind: string) => `401 ${kind}_signature_rate_abuse, step 9a`
        assert.deepStrictEqual(yield* Effect.forEach(sides, (side) => ask(side, party)), [
          "429 TooManyNonces",
          full("request"),
          full("request"),
          full("webhook")
        ])
        assert.deepStrictEqual(yield* Effect.forEach(sides, (side) => ask(side, other)), ["200", "200", "200", "200"])
        yield* advance("7 minutes")
        assert.deepStrictEqual(yield* Effect.forEach(sides, (side) => ask(side, party)), ["200", "200", "200", "200"])
      }).pipe(Effect.provideService(Clock.Clock, clock))
    })
  )
})

describe("HTTP message signatures, end to end, two servers with one Redis", () => {
  if (Redis.missing !== undefined) {
    // oxlint-disable-next-line no-restricted-properties -- there is no Redis here, and the name says how to install it
    it.skip(`needs a server: ${Redis.missing}`, () => undefined)
    return
  }
  const storesOf = (url: string) => {
    const client = () =>
      RedisReplayStore.layer({ timeout }).pipe(
        Layer.provide(Layer.fresh(NodeRedis.layer({ url, disableOfflineQueue: true })))
      )
    return [client(), client()] as const
  }

  it.live("1,000 requests: what one has accepted, the other refuses", () =>
    Effect.gen(function* () {
      const { url } = yield* Redis.start
      check(yield* traffic(storesOf(url), "one of each", 1000))
    })
  )

  it.live("nothing is accepted while Redis is gone", () =>
    Effect.gen(function* () {
      const { kill, url } = yield* Redis.start
      const [party] = yield* BackendKeys.open
      const { handled, next, send } = yield* Traffic.open([party!], storesOf(url))
      const stories = sides.map((side): Story => ({ kind: goodRequest, side, party: party! }))
      const ask = Effect.forEach(stories, (story) =>
        Effect.flatMap(sign(story, draft(story, next())), (message) => send(story, message))
      )
      assert.deepStrictEqual(yield* ask, ["200", "200", "200", "200"])
      yield* kill
      assert.deepStrictEqual(yield* ask, ["503", "503", "503", "503"])
      assert.deepStrictEqual(handled(), [1, 1, 1, 1])
      // The client of Redis tells the log that its server is gone, and each time that it still is
    }).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))
  )
})

describe("HTTP message signatures, end to end, two servers with one PostgreSQL", () => {
  if (Postgres.missing !== undefined) {
    // oxlint-disable-next-line no-restricted-properties -- there is no PostgreSQL here, and the name says how to install it
    it.skip(`needs a server: ${Postgres.missing}`, () => undefined)
    return
  }

  it.live("1,000 requests: what one has accepted, the other refuses", () =>
    Effect.gen(function* () {
      const server = yield* Postgres.server
      const client = () =>
        PostgresReplayStore.layer({ timeout }).pipe(Layer.provide(Layer.fresh(Postgres.client(server))))
      check(yield* traffic([client(), client()], "one of each", 1000))
    })
  )
})
