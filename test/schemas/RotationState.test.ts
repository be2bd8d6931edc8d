import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { PublicKey } from "../../src/index.ts"
import * as Jwks from "../../src/protocols/Jwks.ts"
import * as RotationState from "../../src/schemas/RotationState.ts"
import * as RotationStateJson from "../../src/schemas/RotationStateJson.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

const second = 1000
const minute = 60 * second
const hour = 60 * minute

/** Margins are 200 seconds: 30 of refresh, 110 of outage, 60 of clocks. */
const policy: RotationState.Policy = {
  propagation: 10 * minute,
  tokenLifetime: hour,
  refresh: 30 * second,
  outage: 110 * second,
  clockSkew: 60 * second,
  canarySignatures: 3,
  canaryLength: 0
}
const stale = policy.refresh + policy.outage
const margin = stale + policy.clockSkew

const keyOf = Effect.fnUntraced(function* (id: string, algorithm: "Ed25519" | "ES256" | "RS256" = "Ed25519") {
  const { publicKey } = yield* TestKey.make(algorithm, `rotation ${id}`)
  const key: RotationState.NewKey = {
    id,
    kid: PublicKey.thumbprint(publicKey),
    publicKey: yield* PublicKey.withAlgorithm(publicKey, algorithm),
    algorithm
  }
  return key
})

const keys = Effect.runSync(
  Effect.cached(
    Effect.forEach(
      Array.from({ length: 60 }, (_, i) => `key-${i}`),
      (id) => keyOf(id)
    )
  )
)

/** A rotation that is told what happens when. */
const machine = (first: RotationState.RotationState = RotationState.empty(policy)) => {
  let state = first
  const take = (now: number, step: RotationState.Step) => {
    const taken = RotationState.transition(state, now, step)
    if (Result.isFailure(taken)) throw taken.failure
    state = taken.success
  }
  return {
    take,
    refused: (now: number, step: RotationState.Step) => {
      const taken = RotationState.transition(state, now, step)
      return Result.isFailure(taken) ? taken.failure : assert.fail(`${step._tag} was taken`)
    },
    get state() {
      return state
    },
    stateOf: (id: string) => state.keys.find((key) => key.id === id)?.state
  }
}

const start = 1_800_000_000_000

/** `key-0` is active, `key-1` published at `start`. */
const rotating = Effect.gen(function* () {
  const [first, second] = (yield* keys) as [RotationState.NewKey, RotationState.NewKey]
  const rotation = machine()
  rotation.take(start - hour, { _tag: "Adopt", key: first })
  rotation.take(start, { _tag: "Start", key: second })
  rotation.take(start, { _tag: "Publish", id: "key-1" })
  return rotation
})

const readyAt = start + policy.propagation + margin

/** `key-1` has taken the place of `key-0` at `readyAt`. */
const rotated = Effect.map(rotating, (rotation) => {
  rotation.take(readyAt, { _tag: "Canary", id: "key-1" })
  rotation.take(readyAt, { _tag: "Activate", id: "key-1", verified: 3 })
  return rotation
})

describe("transition", () => {
  it.effect("goes from created to disabled, each step at the first moment at which it may be taken", () =>
    Effect.gen(function* () {
      const rotation = yield* rotating
      const early = rotation.refused(readyAt - 1, { _tag: "Canary", id: "key-1" })
      assert.deepInclude(early, { reason: "PropagationNotOver", until: readyAt, id: "key-1", step: "Canary" })
      assert.include(early.message, new Date(readyAt).toISOString())
      rotation.take(readyAt, { _tag: "Canary", id: "key-1" })
      assert.strictEqual(
        rotation.refused(readyAt, { _tag: "Activate", id: "key-1", verified: 2 }).reason,
        "CanaryFailed"
      )
      rotation.take(readyAt, { _tag: "Activate", id: "key-1", verified: 3 })
      assert.deepStrictEqual([rotation.stateOf("key-0"), rotation.stateOf("key-1")], ["retiring", "active"])
      const over = readyAt + policy.tokenLifetime + margin
      assert.deepInclude(rotation.refused(over - 1, { _tag: "Retire", id: "key-0" }), {
        reason: "TokensAlive",
        until: over
      })
      rotation.take(over, { _tag: "Retire", id: "key-0" })
      assert.deepStrictEqual(
        RotationState.published(rotation.state).map(({ id }) => id),
        ["key-1"]
      )
      rotation.take(over, { _tag: "Disable", id: "key-0" })
      assert.strictEqual(rotation.stateOf("key-0"), "disabled")
    })
  )

  it.effect("refuses each step from every other state", () =>
    Effect.gen(function* () {
      const rotation = yield* rotated
      for (const step of ["Publish", "Canary", "Retire"] as const) {
        assert.strictEqual(rotation.refused(readyAt, { _tag: step, id: "key-1" }).reason, "WrongState")
      }
      assert.strictEqual(rotation.refused(readyAt, { _tag: "Activate", id: "key-0", verified: 9 }).reason, "WrongState")
      assert.strictEqual(rotation.refused(readyAt, { _tag: "Publish", id: "__proto__" }).reason, "KeyUnknown")
    })
  )

  it.effect("rolls back while the old key is published, and keeps the newer one published", () =>
    Effect.gen(function* () {
      const rotation = yield* rotated
      const at = readyAt + 5 * minute
      rotation.take(at, { _tag: "Rollback" })
      assert.deepStrictEqual([rotation.stateOf("key-0"), rotation.stateOf("key-1")], ["active", "retiring"])
      const over = at + policy.tokenLifetime + margin
      assert.strictEqual(rotation.refused(over - 1, { _tag: "Retire", id: "key-1" }).until, over)
      rotation.take(at + minute, { _tag: "Rollback" }) // and forward again
      assert.strictEqual(rotation.stateOf("key-1"), "active")
    })
  )

  it.effect("does not roll back to another key than the one that is meant", () =>
    Effect.gen(function* () {
      const rotation = yield* rotated
      const back = { _tag: "Rollback", to: "key-0" } as const
      rotation.take(readyAt, back)
      assert.strictEqual(rotation.refused(readyAt, back).reason, "Contended")
      assert.strictEqual(rotation.stateOf("key-0"), "active")
    })
  )

  it.effect("disables a key that is compromised whatever the clock says", () =>
    Effect.gen(function* () {
      const long = start - 400 * 24 * hour
      const rotation = yield* rotated
      rotation.take(long, { _tag: "Disable", id: "key-1", compromised: true })
      assert.strictEqual(rotation.stateOf("key-1"), "disabled")
      assert.strictEqual(rotation.state.updatedAt, readyAt)
      // a wait that began too early would end too early
      assert.strictEqual(rotation.refused(long, { _tag: "Rollback" }).reason, "ClockBackwards")
      assert.strictEqual(rotation.refused(long, { _tag: "Retire", id: "key-0" }).reason, "ClockBackwards")
    })
  )

  it.effect("does not roll back to a key that is no longer published", () =>
    Effect.gen(function* () {
      const rotation = yield* rotated
      rotation.take(readyAt + policy.tokenLifetime + margin, { _tag: "Retire", id: "key-0" })
      assert.strictEqual(rotation.refused(readyAt + 2 * hour, { _tag: "Rollback" }).reason, "NoPredecessor")
    })
  )

  it.effect("refuses to disable what tokens need, and does so for a compromised key", () =>
    Effect.gen(function* () {
      const rotation = yield* rotated
      assert.deepInclude(rotation.refused(readyAt, { _tag: "Disable", id: "key-1" }), { reason: "StillNeeded" })
      assert.strictEqual(
        rotation.refused(readyAt, { _tag: "Disable", id: "key-0" }).until,
        readyAt + policy.tokenLifetime + margin
      )
      rotation.take(readyAt, { _tag: "Disable", id: "key-1", compromised: true })
      assert.isUndefined(RotationState.active(rotation.state))
      rotation.take(readyAt, { _tag: "Rollback" })
      assert.strictEqual(RotationState.active(rotation.state)?.id, "key-0")
    })
  )

  it.effect("takes one key at a time, and none twice: by name, by kid or by key", () =>
    Effect.gen(function* () {
      const rotation = yield* rotating
      const [first, , third] = (yield* keys) as ReadonlyArray<RotationState.NewKey>
      const startWith = (key: RotationState.NewKey) => rotation.refused(start, { _tag: "Start", key }).reason
      assert.strictEqual(startWith(third!), "InProgress")
      assert.strictEqual(startWith({ ...third!, id: "key-0" }), "KeyKnown")
      assert.strictEqual(startWith({ ...third!, kid: first!.kid }), "KeyKnown")
      assert.strictEqual(startWith({ ...first!, id: "again", kid: "again" }), "KeyKnown")
      assert.strictEqual(rotation.refused(start, { _tag: "Adopt", key: third! }).reason, "NotEmpty")
    })
  )

  it.effect("takes a key of another algorithm where that is allowed", () =>
    Effect.gen(function* () {
      const [first] = yield* keys
      const rotation = machine()
      rotation.take(start, { _tag: "Adopt", key: first! })
      const key = yield* keyOf("p256", "ES256")
      assert.strictEqual(rotation.refused(start, { _tag: "Start", key }).reason, "AlgorithmChange")
      rotation.take(start, { _tag: "Start", key, allowAlgorithmChange: true })
      assert.strictEqual(RotationState.candidate(rotation.state)?.id, "p256")
    })
  )

  it.effect("refuses a clock that went back by more than clocks may differ", () =>
    Effect.gen(function* () {
      const rotation = yield* rotating
      const step = { _tag: "Disable", id: "key-1" } as const
      assert.deepInclude(rotation.refused(start - policy.clockSkew - 1, step), {
        reason: "ClockBackwards",
        until: start - policy.clockSkew
      })
      assert.strictEqual(rotation.refused(NaN, step).reason, "ClockBackwards")
      rotation.take(start - policy.clockSkew, step)
      assert.strictEqual(rotation.state.updatedAt, start)
    })
  )

  it.effect("raises a number of the policy, and never lowers one", () =>
    Effect.gen(function* () {
      const rotation = yield* rotating
      const raised = RotationState.raise(rotation.state, { ...policy, propagation: hour, tokenLifetime: 1 })
      assert.deepInclude(raised.policy, { propagation: hour, tokenLifetime: policy.tokenLifetime })
      assert.strictEqual(RotationState.pending(raised)[0]?.dueAt, start + hour + margin)
    })
  )

  it.effect("says what is next, and that there is nothing", () =>
    Effect.gen(function* () {
      const rotation = yield* rotating
      const due = RotationState.due(rotation.state, start)
      assert.isTrue(Result.isFailure(due) && due.failure.until === readyAt)
      const nothing = RotationState.due(RotationState.empty(policy), start)
      assert.isTrue(Result.isFailure(nothing) && nothing.failure.reason === "NothingToDo")
    })
  )

  it.effect("forgets the oldest of the keys that are done with, so that a state stays small", () =>
    Effect.gen(function* () {
      const all = yield* keys
      const rotation = machine()
      all.forEach((key, i) => {
        rotation.take(start + i, { _tag: "Start", key })
        rotation.take(start + i, { _tag: "Disable", id: key.id })
      })
      assert.lengthOf(rotation.state.keys, 8)
      assert.strictEqual(rotation.state.keys[7]?.id, "key-59")
      assert.isBelow(RotationStateJson.toText(rotation.state).length, 4000)
    })
  )

  it.effect("takes no more keys than a state can hold", () =>
    Effect.gen(function* () {
      const [first, second] = yield* keys
      const rotation = machine()
      rotation.take(start, { _tag: "Adopt", key: first! })
      const [key] = rotation.state.keys
      const full = machine({
        ...rotation.state,
        keys: Array.from({ length: 256 }, (_, i) => ({ ...key!, id: `${i}`, state: "retiring" as const }))
      })
      assert.strictEqual(full.refused(start, { _tag: "Start", key: second! }).reason, "TooManyKeys")
    })
  )

  it.effect.each([
    ["", 100],
    ["k".repeat(1000), 20]
  ] as const)(
    "takes no more keys than fit into a key set and into a file, whatever happens to them: %#",
    ([prefix, least]) =>
      Effect.gen(function* () {
        const first = yield* keyOf("first")
        const rotation = machine({ ...RotationState.empty({ ...policy, tokenLifetime: 5000 * hour }) })
        rotation.take(start, { _tag: "Adopt", key: { ...first, kid: `${prefix}é` } })
        let now = start
        let count = 1
        for (; count < 300; count++) {
          const key = { ...(yield* keyOf(`${count}`)), id: `key-${count}`, kid: `${prefix}é${count}` }
          const started = RotationState.transition(rotation.state, now, { _tag: "Start", key })
          if (Result.isFailure(started)) {
            assert.strictEqual(started.failure.reason, "TooManyKeys")
            break
          }
          rotation.take(now, { _tag: "Start", key })
          rotation.take(now, { _tag: "Publish", id: key.id })
          now += policy.propagation + margin
          rotation.take(now, { _tag: "Canary", id: key.id })
          rotation.take(now, { _tag: "Activate", id: key.id, verified: 3 })
        }
        assert.isAtLeast(count, least)
        const keys = RotationState.published(rotation.state).map(({ kid, publicKey }) => ({
          publicKey,
          keyId: kid,
          purpose: "request-signing"
        }))
        assert.lengthOf(keys, count)
        yield* Jwks.make(keys, { purposeMember: "adcp_use" })
        // in every state that they come into later
        const later = rotation.state.keys.map((key) => ({
          ...key,
          since: { ...key.since, canary: now, retiring: now, retired: now, disabled: now }
        }))
        assert.isBelow(
          new TextEncoder().encode(RotationStateJson.toText({ ...rotation.state, keys: later })).length,
          65_400
        )
      })
  )
})

// ---------------------------------------------------------------------------
// the rule
// ---------------------------------------------------------------------------

const random = (seed: number) => {
  let x = (seed ^ 0x9e3779b9) >>> 0 || 1
  const next = () => {
    x ^= x << 13
    x >>>= 0
    x ^= x >>> 17
    x ^= x << 5
    x >>>= 0
    return x / 0x1_0000_0000
  }
  return {
    below: (n: number) => Math.floor(next() * n),
    pick: <A>(of: ReadonlyArray<A>): A => of[Math.floor(next() * of.length)]!
  }
}

interface Moment {
  readonly at: number
  readonly state: RotationState.RotationState
}

/**
 * What several processes do, whose clocks differ by as much as they may, each trying
 * steps at random and often at the very moment at which one seems due to them.
 */
const history = (seed: number, all: ReadonlyArray<RotationState.NewKey>): ReadonlyArray<Moment> => {
  const { below, pick } = random(seed)
  const offsets = [-policy.clockSkew / 2, 0, policy.clockSkew / 2]
  let now = start
  let state = RotationState.empty(policy)
  let used = 0
  const moments: Array<Moment> = [{ at: now, state }]
  for (let i = 0; i < 150; i++) {
    const offset = pick(offsets)
    const [soonest] = RotationState.pending(state)
    now = Math.max(
      now,
      pick([
        now,
        now + below(minute),
        now + below(2 * hour),
        soonest === undefined ? now : soonest.dueAt - offset,
        soonest === undefined ? now : soonest.dueAt - offset - 1
      ])
    )
    const id = state.keys.length === 0 ? "none" : pick(state.keys).id
    const key = all[used % all.length]!
    const step = pick<RotationState.Step>([
      ...(soonest === undefined
        ? []
        : [
            { _tag: soonest.step, id: soonest.key.id, verified: 3 } as RotationState.Step,
            { _tag: soonest.step, id: soonest.key.id, verified: 3 } as RotationState.Step
          ]),
      { _tag: "Start", key },
      { _tag: "Rollback" },
      { _tag: "Disable", id },
      { _tag: "Retire", id },
      { _tag: "Canary", id },
      { _tag: "Activate", id, verified: 3 },
      ...(used === 0 ? [{ _tag: "Adopt", key } as const] : [])
    ])
    const taken = RotationState.transition(state, now + offset, step)
    if (Result.isSuccess(taken)) {
      state = taken.success
      if (step._tag === "Start" || step._tag === "Adopt") used++
      moments.push({ at: now, state })
    }
  }
  return moments
}

/** The stretches of time in which a key is in one of some states; `end` where it still is. */
const stretches = (moments: ReadonlyArray<Moment>, id: string, states: ReadonlyArray<string>, end: number) => {
  const found: Array<{ readonly from: number; to: number }> = []
  let isIn = false
  for (const { at, state } of moments) {
    const key = state.keys.find((key) => key.id === id)
    const isNow = key !== undefined && states.includes(key.state)
    if (isNow && !isIn) found.push({ from: at, to: end })
    if (!isNow && isIn) found.at(-1)!.to = at
    isIn = isNow
  }
  return found
}

/**
 * A signer acts on a state up to `stale` old, a verifier on a key set up to `propagation`
 * old that was made from a state up to `stale` old. So a key that was active from `a`
 * to `b` must be published from `a - propagation - stale` to `b + stale + tokenLifetime`.
 */
const violations = (moments: ReadonlyArray<Moment>): { readonly activations: number; readonly broken: number } => {
  const end = moments.at(-1)!.at
  const ids = new Set(moments.flatMap(({ state }) => state.keys.map(({ id }) => id)))
  let activations = 0
  let broken = 0
  for (const id of ids) {
    const shown = stretches(moments, id, ["published", "canary", "active", "retiring"], end)
    for (const { from, to } of stretches(moments, id, ["active"], end)) {
      activations++
      const isAdopted = shown.some((stretch) => stretch.from === from)
      const first = isAdopted ? from : from - policy.propagation - stale
      const last = to === end ? end : Math.min(end, to + stale + policy.tokenLifetime)
      if (!shown.some((stretch) => stretch.from <= first && stretch.to >= last)) broken++
    }
  }
  return { activations, broken }
}

describe("the rule", () => {
  it.effect.prop(
    "every token that a signer may have issued verifies while it is alive, whatever happens",
    { seed: Schema.Int },
    ({ seed }) =>
      Effect.gen(function* () {
        assert.strictEqual(violations(history(seed, yield* keys)).broken, 0)
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect("is tested by histories in which keys become active, and cannot be by ones in which they do not", () =>
    Effect.gen(function* () {
      let activations = 0
      for (let seed = 0; seed < 200; seed++) activations += violations(history(seed, yield* keys)).activations
      assert.isAbove(activations, 1000)
      // the check finds a key that came a millisecond too soon, and one that went too soon
      const rotation = yield* rotated
      const at = (at: number, ids: { readonly [id: string]: RotationState.KeyState }): Moment => ({
        at,
        state: {
          ...rotation.state,
          keys: rotation.state.keys
            .filter(({ id }) => Object.hasOwn(ids, id))
            .map((key) => ({ ...key, state: ids[key.id]! }))
        }
      })
      const between = (soon: number, late: number) =>
        violations([
          at(start, { "key-0": "active" }),
          at(start + 1, { "key-0": "active", "key-1": "published" }),
          at(soon, { "key-0": "retiring", "key-1": "active" }),
          at(late, { "key-1": "active" }),
          at(late + hour, { "key-1": "active" })
        ]).broken
      const soonest = start + 1 + policy.propagation + stale
      const latest = soonest + stale + policy.tokenLifetime
      assert.strictEqual(between(soonest, latest), 0)
      assert.strictEqual(between(soonest - 1, latest), 1)
      assert.strictEqual(between(soonest, latest - 1), 1)
    })
  )
})

// ---------------------------------------------------------------------------
// policy and JSON
// ---------------------------------------------------------------------------

describe("makePolicy", () => {
  it.effect("takes durations, and has defaults for what is not the application's", () =>
    Effect.gen(function* () {
      const made = yield* RotationState.makePolicy({ propagation: "10 minutes", tokenLifetime: "1 hour" })
      assert.deepStrictEqual(made, {
        propagation: 600_000,
        tokenLifetime: 3_600_000,
        refresh: 30_000,
        outage: 300_000,
        clockSkew: 60_000,
        canarySignatures: 3,
        canaryLength: 0
      })
    })
  )

  it.effect.each([
    ["propagation", { propagation: "soon" as "1 second" }],
    ["tokenLifetime", { tokenLifetime: "Infinity" as const }],
    ["clockSkew", { clockSkew: "-1 second" as const }],
    ["refresh", { refresh: NaN }],
    ["canarySignatures", { canarySignatures: 0 }]
  ] as const)("refuses a %s that is none", ([field, wrong]) =>
    Effect.gen(function* () {
      const made = RotationState.makePolicy({ propagation: "1 minute", tokenLifetime: "1 hour", ...wrong })
      assert.strictEqual((yield* Effect.flip(made)).field, field)
    })
  )
})

describe("RotationStateJson", () => {
  it.effect("comes back as it was, and holds public keys only", () =>
    Effect.gen(function* () {
      const { state } = yield* rotated
      const rsa = machine(state)
      rsa.take(readyAt + 1, { _tag: "Start", key: yield* keyOf("rsa", "RS256"), allowAlgorithmChange: true })
      const text = RotationStateJson.toText(rsa.state)
      const again = yield* RotationStateJson.fromText(text)
      assert.deepStrictEqual(RotationStateJson.toJson(again), RotationStateJson.toJson(rsa.state))
      assert.isTrue(PublicKey.sameKey(again.keys[2]!.publicKey, rsa.state.keys[2]!.publicKey))
      assert.strictEqual(again.keys[2]!.publicKey.algorithm, "RS256")
      assert.notMatch(text, /"(d|p|q|dp|dq|qi|priv|k)":/)
      const codec = Schema.decodeUnknownEffect(RotationStateJson.RotationStateJson)
      assert.strictEqual((yield* codec(JSON.parse(text))).updatedAt, rsa.state.updatedAt)
    })
  )

  interface Doc {
    format: number
    updatedAt: number
    policy: Record<string, unknown>
    keys: Array<Record<string, unknown> & { publicKey: Record<string, unknown>; since: Record<string, unknown> }>
  }

  it.effect.each([
    ["a newer format", (doc: Doc): unknown => (doc.format = 2), "newer version"],
    ["another format", (doc: Doc): unknown => (doc.format = 0), "not the state"],
    [
      "an unknown member",
      (doc: Doc): unknown => ((doc as unknown as Record<string, unknown>)["note"] = 1),
      "not the state"
    ],
    ["an unknown member of a key", (doc: Doc): unknown => (doc.keys[0]!["note"] = 1), "not the state"],
    ["a private JWK", (doc: Doc): unknown => (doc.keys[0]!.publicKey["d"] = "AAAA"), "not the state"],
    ["an unknown member of a JWK", (doc: Doc): unknown => (doc.keys[0]!.publicKey["x5u"] = "a"), "not the state"],
    ["another algorithm than the key's", (doc: Doc): unknown => (doc.keys[0]!["algorithm"] = "ES256"), "not the state"],
    ["two active keys", (doc: Doc): unknown => (doc.keys[0]!["state"] = "active"), "not the state"],
    ["a name twice", (doc: Doc): unknown => (doc.keys[1]!["id"] = doc.keys[0]!["id"]), "not the state"],
    ["a kid twice", (doc: Doc): unknown => (doc.keys[1]!["kid"] = doc.keys[0]!["kid"]), "not the state"],
    ["a key twice", (doc: Doc): unknown => (doc.keys[1]!.publicKey = doc.keys[0]!.publicKey), "not the state"],
    ["a state without its time", (doc: Doc): unknown => delete doc.keys[1]!.since["active"], "not the state"],
    ["a time that is none", (doc: Doc): unknown => (doc.updatedAt = -1), "not the state"],
    ["a time after the last step", (doc: Doc): unknown => (doc.updatedAt = start - hour), "not the state"],
    ["a time that no date has", (doc: Doc): unknown => (doc.updatedAt = 9e15), "not the state"],
    ["a wait that has no end", (doc: Doc): unknown => (doc.policy["propagation"] = 9e15), "not the state"],
    ["a policy without a number", (doc: Doc): unknown => delete doc.policy["outage"], "not the state"]
  ] as const)("refuses %s", ([, change, problem]) =>
    Effect.gen(function* () {
      const doc = JSON.parse(RotationStateJson.toText((yield* rotated).state)) as Doc
      yield* RotationStateJson.fromJson(JSON.parse(JSON.stringify(doc)))
      change(doc)
      const error = yield* Effect.flip(RotationStateJson.fromText(JSON.stringify(doc)))
      assert.include(error.message, problem)
    })
  )

  it.effect("refuses a member that is there twice, and text that is no JSON", () =>
    Effect.gen(function* () {
      const text = RotationStateJson.toText((yield* rotated).state)
      const twice = yield* Effect.flip(RotationStateJson.fromText(text.replace("{", `{"format":1,`)))
      assert.include(twice.message, "twice")
      assert.strictEqual((yield* Effect.flip(RotationStateJson.fromText(text.slice(1))))._tag, "InvalidConfiguration")
    })
  )
})
