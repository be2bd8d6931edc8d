/**
 * Sends requests in waves, between which time goes on, to two servers with one
 * memory, and notes what came of each.
 */
import { Context, Effect, Layer } from "effect"
import type { HttpRequest } from "../../../src/protocols/HttpMessage.ts"
import type { ReplayStore } from "../../../src/services/ReplayStore.ts"
import type { Party } from "./backendKeys.ts"
import type { Side } from "./guardedService.ts"
import * as GuardedService from "./guardedService.ts"
import * as RawClient from "./rawClient.ts"
import type { Kind } from "./requestKinds.ts"
import { goodRequest, kinds, lifetime, replayed, sidesOf, tooOld } from "./requestKinds.ts"
import type { Story } from "./signedRequest.ts"
import { draft, keyOf, sign } from "./signedRequest.ts"

/** What came of a request. */
export interface Sent extends Story {
  readonly expected: string
  readonly actual: string
}

/** Stories that are under way at once, and connections to each server, at most. */
export const concurrency = 32

/** Seconds between two waves: the lifetimes are multiples of it, so that some wave is the last moment of a message. */
const step = 30

const waves = 14

// ---------------------------------------------------------------------------
// plan
// ---------------------------------------------------------------------------

/** A new request; one that is kept comes again in every later wave. */
type Fresh = Story & { readonly _tag: "Fresh"; readonly isKept: boolean }

/** What was accepted in an earlier wave, once more. */
interface Late {
  readonly _tag: "Late"
  readonly side: Side
  readonly from: number
}

type Wave = ReadonlyArray<Fresh | Late>

/** The generator of Lehmer: the order is the same in every run. */
const shuffled = <A>(all: ReadonlyArray<A>, seed: number): ReadonlyArray<A> => {
  const result = [...all]
  let state = seed
  for (let left = result.length - 1; left > 0; left--) {
    state = (state * 48_271) % 2_147_483_647
    const other = state % (left + 1)
    ;[result[left], result[other]] = [result[other]!, result[left]!]
  }
  return result
}

const cycle = <A>(all: ReadonlyArray<A>, index: number): A => all[index % all.length]!

/** One of each kind, from each party, to each side. */
export const everyStory = (parties: ReadonlyArray<Party>): ReadonlyArray<Story> =>
  kinds.flatMap((kind) =>
    parties
      .filter(({ algorithm }) => kind.algorithm === undefined || kind.algorithm === algorithm)
      .flatMap((party) => sidesOf(kind).map((side): Story => ({ kind, party, side })))
  )

/** How many requests a story sends. */
const lengthOf = ({ kind }: Story): number => kind.copies ?? (kind.change === undefined ? 1 : 2)

/** So many requests, in waves: these stories, what comes again later, and good ones for the rest. */
export const plan = (
  parties: ReadonlyArray<Party>,
  options: { readonly stories: ReadonlyArray<Story>; readonly requests: number; readonly seed: number }
): ReadonlyArray<Wave> => {
  const { requests, seed, stories } = options
  const { sides } = GuardedService
  const again = Array.from({ length: waves }, (_, wave): Wave => [
    ...sides.map((side, index): Fresh => {
      const party = cycle(parties, wave + index)
      return { _tag: "Fresh", kind: goodRequest, party, side, isKept: true }
    }),
    ...sides.flatMap((side) => Array.from({ length: wave }, (_, from): Late => ({ _tag: "Late", side, from })))
  ])
  const left = requests - again.flat().length - stories.reduce((sum, story) => sum + lengthOf(story), 0)
  if (left < 0) throw new RangeError(`${-left} requests too many`)
  const good = Array.from({ length: left }, (_, index): Story => ({
    kind: goodRequest,
    party: cycle(parties, index),
    side: cycle(sides, Math.floor(index / parties.length))
  }))
  const all = shuffled([...stories, ...good], seed)
  const size = Math.ceil(all.length / waves)
  return again.map((again, wave) => [
    ...again,
    ...all.slice(wave * size, (wave + 1) * size).map((story): Fresh => ({ ...story, _tag: "Fresh", isKept: false }))
  ])
}

// ---------------------------------------------------------------------------
// outcomes
// ---------------------------------------------------------------------------

/** What `/rest/` says to any bad request: what to sign, and not what was wrong. */
const asking = /^sig1=\("@method" "@target-uri"(?: "content-digest")?\);created;nonce="[\w-]{22}";tag="orders"$/

/** The reason of `HttpSignatureInvalid`, or the tag of another error. */
const reasonOf = (logged: string | undefined): string | undefined =>
  /^(?:HttpSignatureInvalid: )?(\w+)/.exec(logged ?? "")?.[1]

const utf8 = new TextDecoder()

/** What the answer says, where it has the form that it must have, and the log of the server. */
const outcomeOf = (
  story: Story,
  message: HttpRequest,
  { body, headers, status }: RawClient.Answer,
  logged: string | undefined
): string => {
  if (status === 200) {
    const { keyId, owner } = keyOf(story)
    const answer = JSON.stringify({ keyId, owner, body: utf8.decode(message.body) })
    return body === answer && logged === undefined ? "200" : `200, and not to this request: ${body}`
  }
  if (status === 503) return body === "" ? "503" : `503, ${body}`
  if (story.side === "rest") {
    const { "accept-signature": asks } = headers
    const isSilent = body === "" && (status === 401 ? asking.test(`${asks}`) : asks === undefined)
    return isSilent ? `${status} ${reasonOf(logged)}` : `${status}, ${asks}, ${body}`
  }
  const { "www-authenticate": challenge } = headers
  const code = /^\{"error_code":"(\w+)"\}$/.exec(body)?.[1]
  return challenge === `Signature error="${code}"` ? `${status} ${code}, ${logged}` : `${status}, ${challenge}, ${body}`
}

// ---------------------------------------------------------------------------
// run
// ---------------------------------------------------------------------------

/** A key of the same algorithm that somebody else has. */
const otherOf = (parties: ReadonlyArray<Party>, { algorithm, backend }: Party): Party => {
  const alike = parties.filter((party) => party.algorithm === algorithm)
  return cycle(alike, alike.findIndex((party) => party.backend === backend) + 1)
}

/** A client of two servers, each of which has one of the stores: it asks them by turns. */
export const open = Effect.fnUntraced(function* <E>(
  parties: ReadonlyArray<Party>,
  stores: readonly [Layer.Layer<ReplayStore, E>, Layer.Layer<ReplayStore, E>]
) {
  const ledger = GuardedService.makeLedger()
  const keys = yield* GuardedService.published(parties)
  const servers = yield* Effect.forEach(stores, (store) =>
    Effect.flatMap(Layer.build(store), (context) =>
      Effect.provide(GuardedService.serve(ledger), Context.merge(keys, context))
    )
  )
  const client = yield* RawClient.make(concurrency)
  let number = 0
  return {
    /** Another one each time. */
    next: () => ++number,
    send: Effect.fnUntraced(function* (story: Story, message: HttpRequest) {
      const own = ++number
      const answer = yield* client(cycle(servers, own).port, message, own)
      return outcomeOf(story, message, answer, ledger.reasons.get(`${own}`))
    }),
    /** How often the handler of each message that was accepted ran. */
    handled: () => [...ledger.handled.values()],
    connections: () => servers.reduce((sum, { connections }) => sum + connections(), 0)
  }
})

/** Sends what is planned. */
export const run = Effect.fnUntraced(function* (
  parties: ReadonlyArray<Party>,
  { next, send }: Effect.Success<ReturnType<typeof open>>,
  planned: ReadonlyArray<Wave>,
  pass: (seconds: number) => Effect.Effect<void>
) {
  const sent: Array<Sent> = []
  const kept = new Map<string, Story & { readonly message: HttpRequest }>()

  const check = (story: Story, message: HttpRequest, expected: string) =>
    Effect.map(send(story, message), (actual) => void sent.push({ ...story, expected, actual }))

  /** Which of them comes first is not known: that one does, and only one. */
  const race = Effect.fnUntraced(function* (story: Story, message: HttpRequest, copies: number) {
    const actual = yield* Effect.forEach(Array.from({ length: copies }), () => send(story, message), {
      concurrency: "unbounded"
    })
    const first = Math.max(0, actual.indexOf("200"))
    for (const [index, one] of actual.entries()) {
      sent.push({ ...story, expected: index === first ? "200" : story.kind.outcome[story.side], actual: one })
    }
  })

  /** Another request of the same signer; with the same nonce and to the same target it asks for something else. */
  const another = (story: Story, genuine: HttpRequest, nonce: string | undefined) => {
    const message = draft(story, next())
    return story.kind.another === undefined
      ? Effect.succeed(genuine)
      : sign(story, nonce === undefined ? message : { ...message, query: genuine.query }, nonce)
  }

  const fresh = Effect.fnUntraced(function* (story: Fresh, wave: number) {
    const { isKept, kind, party, side } = story
    const number = next()
    const nonce =
      kind.another === "same nonce" ? Buffer.from(`${number}`.padStart(16, "0")).toString("base64url") : undefined
    const genuine = yield* sign(story, draft(story, number), nonce)
    if (kind.copies !== undefined) return yield* race(story, genuine, kind.copies)
    const outcome = kind.outcome[side]
    if (kind.change === undefined) {
      if (isKept) kept.set(`${side} ${wave}`, { ...story, message: genuine })
      return yield* check(story, genuine, outcome)
    }
    const changed = kind.change(genuine, {
      algorithm: party.algorithm,
      another: yield* another(story, genuine, nonce),
      otherKeyId: otherOf(parties, party).main.keyId,
      revokedKeyId: party.revoked.keyId
    })
    if (kind.isAfter === true) {
      yield* check(story, genuine, "200")
      return yield* check(story, changed, outcome)
    }
    yield* check(story, changed, outcome)
    return yield* check(story, genuine, kind.then?.[side] ?? "200")
  })

  const late = ({ from, side }: Late, wave: number) => {
    const { message, ...story } = kept.get(`${side} ${from}`)!
    const isInTime = (wave - from) * step <= lifetime[side]
    const kind: Kind = isInTime
      ? { kind: "replayed later", outcome: replayed }
      : { kind: "replayed when it is too old", outcome: tooOld }
    return check({ ...story, kind }, message, kind.outcome[side])
  }

  for (const [wave, stories] of planned.entries()) {
    yield* Effect.forEach(stories, (one) => (one._tag === "Late" ? late(one, wave) : fresh(one, wave)), {
      concurrency,
      discard: true
    })
    yield* pass(step)
  }
  return sent
})
