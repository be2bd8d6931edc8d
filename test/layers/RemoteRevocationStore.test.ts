import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { OutgoingHttpHeaders } from "node:http"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as RemoteRevocationStore from "../../src/layers/RemoteRevocationStore.ts"
import * as StaticRevocationStore from "../../src/layers/StaticRevocationStore.ts"
import * as Jws from "../../src/protocols/Jws.ts"
import * as Jwt from "../../src/protocols/Jwt.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import * as RevocationStore from "../../src/services/RevocationStore.ts"
import * as Signer from "../../src/services/Signer.ts"
import { ca, serve } from "./httpsServer.ts"

const issuer = "https://gov.example"
const typ = "revocation+jws"
const start = Date.parse("2026-06-01T12:00:00Z")

const list = (more: object = {}) => ({
  version: 1,
  issuer,
  updated: "2026-06-01T12:00:00Z",
  next_update: "2026-06-01T12:15:00Z",
  revoked_jtis: ["token-1"],
  revoked_kids: ["lost"],
  ...more
})

const sealed = (value: unknown, header: { readonly typ?: string } = { typ }) =>
  Jws.sign(new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value)), header)

/** A server that answers with whatever is set, counts, and a store that reads it. */
const setting = Effect.fnUntraced(function* (options: Partial<RemoteRevocationStore.Options> = {}) {
  yield* TestClock.setTime(start)
  const state = { body: "", status: 200, headers: {} as OutgoingHttpHeaders, requests: 0, etags: [] as Array<unknown> }
  const server = yield* serve((request, response) => {
    state.requests++
    state.etags.push(request.headers["if-none-match"])
    response.writeHead(state.status, { "content-type": "application/jose", ...state.headers })
    response.end(state.status === 304 ? "" : state.body)
  })
  const store = yield* RemoteRevocationStore.make({
    url: `https://127.0.0.1:${server.port}/revocations`,
    issuer,
    typ,
    allow: ["127.0.0.1"],
    ports: [server.port],
    ca,
    ...options
  })
  const outcome = (keyId: string) =>
    Effect.match(store.check({ keyId, issuer }), {
      onSuccess: () => "passes",
      onFailure: (error) => (error._tag === "RevocationStale" ? `${error._tag}: ${error.reason}` : error._tag)
    })
  return { state, store, outcome }
})

const Keys = KeyResolver.layerSigner({ owner: issuer }).pipe(Layer.provideMerge(LocalSigner.layerGenerated("Ed25519")))

describe("RemoteRevocationStore", () => {
  it.effect("refuses keys and tokens of the list, lets others pass, and asks once for all who wait", () =>
    Effect.gen(function* () {
      const { outcome, state, store } = yield* setting()
      state.body = yield* sealed(list())
      const outcomes = yield* Effect.forEach(Array.from({ length: 50 }), () => outcome("lost"), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(new Set(outcomes), new Set(["KeyRevoked"]))
      assert.strictEqual(yield* outcome("good"), "passes")
      assert.strictEqual((yield* Effect.flip(store.checkToken({ jti: "token-1", issuer })))._tag, "TokenRevoked")
      yield* store.checkToken({ jti: "token-2" })
      assert.strictEqual(state.requests, 1)
      // Nothing is known, or asked, of others
      yield* store.check({ keyId: "lost", issuer: "https://other.example" })
      yield* store.checkToken({ jti: "token-1", issuer: "https://other.example" })
      const error = yield* Effect.flip(store.check({ keyId: "lost" }))
      assert.strictEqual(error.message, `KeyRevoked: the key "lost" is revoked`)
    }).pipe(Effect.provide(Keys))
  )

  it.effect("reads the list again when it is old, and no more often than the cooldown allows", () =>
    Effect.gen(function* () {
      const { outcome, state } = yield* setting()
      state.body = yield* sealed(list())
      state.headers = { etag: `"v1"` }
      assert.strictEqual(yield* outcome("later"), "passes")
      state.body = yield* sealed(list({ version: 2, revoked_kids: ["later"], updated: "2026-06-01T12:04:00Z" }))
      yield* TestClock.adjust("299 seconds")
      assert.strictEqual(yield* outcome("later"), "passes")
      assert.strictEqual(state.requests, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* outcome("later"), "KeyRevoked")
      assert.deepStrictEqual(state.etags, [undefined, `"v1"`])
      // Unchanged is as good as read
      state.status = 304
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* outcome("later"), "KeyRevoked")
      assert.strictEqual(state.requests, 3)
      state.status = 500
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual(yield* outcome("later"), "KeyRevoked")
      assert.strictEqual(yield* outcome("later"), "KeyRevoked")
      assert.strictEqual(state.requests, 4)
      yield* TestClock.adjust("29 seconds")
      yield* outcome("later")
      assert.strictEqual(state.requests, 4)
      yield* TestClock.adjust("1 second")
      yield* outcome("later")
      assert.strictEqual(state.requests, 5)
    }).pipe(Effect.provide(Keys))
  )

  it.effect("reads the list again when it says that there is a new one", () =>
    Effect.gen(function* () {
      const { outcome, state } = yield* setting()
      state.body = yield* sealed(list({ next_update: "2026-06-01T12:02:00Z" }))
      assert.strictEqual(yield* outcome("later"), "passes")
      state.body = yield* sealed(list({ version: 2, updated: "2026-06-01T12:02:00Z", revoked_kids: ["later"] }))
      yield* TestClock.adjust(119_999)
      assert.strictEqual(yield* outcome("later"), "passes")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* outcome("later"), "KeyRevoked")
      assert.strictEqual(state.requests, 2)
    }).pipe(Effect.provide(Keys))
  )

  it.effect("fails closed when the last list is past its grace, and comes back with a new one", () =>
    Effect.gen(function* () {
      const { outcome, state } = yield* setting({ grace: "5 minutes" })
      state.body = yield* sealed(list())
      assert.strictEqual(yield* outcome("good"), "passes")
      state.status = 503
      yield* TestClock.setTime(Date.parse("2026-06-01T12:19:59.999Z"))
      assert.strictEqual(yield* outcome("good"), "passes")
      assert.strictEqual(yield* outcome("lost"), "KeyRevoked")
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* outcome("good"), "RevocationStale: Outdated")
      assert.strictEqual(yield* outcome("lost"), "RevocationStale: Outdated")
      state.status = 200
      state.body = yield* sealed(
        list({ version: 2, updated: "2026-06-01T12:20:00Z", next_update: "2026-06-01T12:30:00Z" })
      )
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* outcome("good"), "passes")
    }).pipe(Effect.provide(Keys))
  )

  it.effect("fails where it never had a list", () =>
    Effect.gen(function* () {
      const { outcome, state, store } = yield* setting()
      state.status = 404
      assert.strictEqual(yield* outcome("good"), "RevocationStale: Unavailable")
      const error = yield* Effect.flip(store.checkToken({ jti: "t" }))
      assert.strictEqual(error._tag === "RevocationStale" ? error.cause?.status : undefined, 404)
    }).pipe(Effect.provide(Keys))
  )

  it.effect.each([
    { name: "a lower version", change: { version: 0, updated: "2026-06-01T12:04:00Z" } },
    { name: "an earlier time", change: { version: 2, updated: "2026-06-01T11:59:59Z" } }
  ])("does not go back to an older list: $name", ({ change }) =>
    Effect.gen(function* () {
      const { outcome, state } = yield* setting()
      state.body = yield* sealed(list())
      assert.strictEqual(yield* outcome("lost"), "KeyRevoked")
      state.body = yield* sealed(list({ ...change, revoked_kids: [] }))
      yield* TestClock.adjust("6 minutes")
      assert.strictEqual(yield* outcome("lost"), "KeyRevoked")
      assert.strictEqual(state.requests, 2)
    }).pipe(Effect.provide(Keys))
  )

  it.effect("does not believe a key that it has revoked", () =>
    Effect.gen(function* () {
      const { outcome, state } = yield* setting()
      const { keyId } = yield* KeyResolver.KeyResolver.use((resolver) => resolver.resolve({}))
      state.body = yield* sealed(list({ revoked_kids: [keyId, "lost"] }))
      assert.strictEqual(yield* outcome("lost"), "KeyRevoked")
      // Whoever has that key takes back that others were lost
      state.body = yield* sealed(list({ version: 2, updated: "2026-06-01T12:05:00Z", revoked_kids: [] }))
      yield* TestClock.adjust("6 minutes")
      assert.strictEqual(yield* outcome("lost"), "KeyRevoked")
      assert.strictEqual(yield* outcome(keyId), "KeyRevoked")
      assert.strictEqual(state.requests, 2)
    }).pipe(Effect.provide(Keys))
  )

  it.effect.each<{
    readonly name: string
    readonly value: unknown
    readonly header?: object
    readonly problem: string
  }>([
    { name: "another typ", value: list(), header: { typ: "JWT" }, problem: "JwsInvalid" },
    { name: "no typ", value: list(), header: {}, problem: "JwsInvalid" },
    { name: "another issuer", value: list({ issuer: "https://other.example" }), problem: "another issuer" },
    { name: "no issuer", value: list({ issuer: undefined }), problem: "issuer" },
    { name: "a version that is none", value: list({ version: "1" }), problem: "version" },
    { name: "a negative version", value: list({ version: -1 }), problem: "version" },
    { name: "the future", value: list({ updated: "2026-06-01T12:01:01Z" }), problem: "the future" },
    { name: "more than seven days", value: list({ next_update: "2026-06-08T12:00:01Z" }), problem: "maxValidity" },
    { name: "an end before its start", value: list({ next_update: "2026-06-01T12:00:00Z" }), problem: "later" },
    { name: "a local time", value: list({ updated: "2026-06-01 12:00" }), problem: "updated" },
    { name: "a time as a number", value: list({ next_update: 1780315200 }), problem: "next_update" },
    { name: "a day that is none", value: list({ updated: "2026-13-01T12:00:00Z" }), problem: "updated" },
    { name: "a kid that is a number", value: list({ revoked_kids: ["a", 1] }), problem: "revoked_kids" },
    { name: "no jtis", value: list({ revoked_jtis: undefined }), problem: "revoked_jtis" },
    { name: "a list", value: [list()], problem: "object" },
    { name: "a member twice", value: `{"version":1,${JSON.stringify(list()).slice(1)}`, problem: "twice" },
    { name: "no JSON", value: "revoked: none", problem: "JSON" }
  ])("refuses a list with $name", ({ header, problem, value }) =>
    Effect.gen(function* () {
      const { outcome, state, store } = yield* setting()
      state.body = yield* sealed(value, header)
      assert.strictEqual(yield* outcome("good"), "RevocationStale: Unavailable")
      const error = yield* Effect.flip(store.check({ keyId: "good" }))
      assert.include(error.message, problem)
      assert.notInclude(error.message, "other.example")
    }).pipe(Effect.provide(Keys))
  )

  it.effect("refuses a list by another key, by the key of another owner, and one that was changed", () =>
    Effect.gen(function* () {
      const { outcome, state } = yield* setting()
      const attempt = (body: string) =>
        Effect.gen(function* () {
          state.body = body
          yield* TestClock.adjust("1 minute")
          return yield* outcome("good")
        })
      const other = yield* sealed(list()).pipe(Effect.provide(LocalSigner.layerGenerated("Ed25519")))
      assert.strictEqual(yield* attempt(other), "RevocationStale: Unavailable")
      const token = yield* sealed(list())
      assert.strictEqual(yield* attempt(`${token.slice(0, -4)}AAAA`), "RevocationStale: Unavailable")
      assert.strictEqual(yield* attempt(`${token}\n`), "passes")
      const { outcome: foreign, state: answer } = yield* setting({ owner: "https://else.example" })
      answer.body = token
      assert.strictEqual(yield* foreign("good"), "RevocationStale: Unavailable")
    }).pipe(Effect.provide(Keys))
  )

  it.effect.each([
    { field: "url", options: { url: "http://gov.example/list" } },
    { field: "issuer", options: { issuer: "" } },
    { field: "typ", options: { typ: "" } },
    { field: "grace", options: { grace: "3 hours" as const } },
    { field: "maxAge", options: { maxAge: "31 minutes" as const } },
    { field: "maxValidity", options: { maxValidity: "8 days" as const } },
    { field: "cooldown", options: { cooldown: 0 } }
  ])("refuses a wrong $field", ({ field, options }) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        RemoteRevocationStore.make({ url: "https://gov.example/list", issuer, typ, ...options })
      )
      assert.strictEqual(error.field, field)
    }).pipe(Effect.provide(Keys))
  )

  it.effect("reaches public addresses only", () =>
    Effect.gen(function* () {
      const store = yield* RemoteRevocationStore.make({ url: "https://127.0.0.1/list", issuer, typ })
      const error = yield* Effect.flip(store.check({ keyId: "k" }))
      assert.include(error.message, "AddressRefused")
    }).pipe(Effect.provide(Keys))
  )
})

describe("StaticRevocationStore", () => {
  it.effect("takes lists and sets, and not the one text that would be a list of its letters", () =>
    Effect.gen(function* () {
      const text: StaticRevocationStore.Options = {
        // @ts-expect-error -- a text can be iterated, too, and would revoke nothing
        keyIds: "lost"
      }
      assert.isDefined(text)
      for (const keyIds of [["lost"], new Set(["lost"])]) {
        const store = StaticRevocationStore.make({ keyIds, tokenIds: keyIds })
        assert.strictEqual((yield* Effect.flip(store.check({ keyId: "lost" })))._tag, "KeyRevoked")
        assert.strictEqual((yield* Effect.flip(store.checkToken({ jti: "lost" })))._tag, "TokenRevoked")
      }
    })
  )
})

describe("RevocationStore.refusing", () => {
  it.effect("makes JWS and JWT refuse a key that is revoked, and any key where nobody knows", () =>
    Effect.gen(function* () {
      const resolver = yield* KeyResolver.KeyResolver
      const { keyId } = yield* resolver.resolve({})
      const token = yield* Jwt.sign({}, { issuer, audience: "api", subject: "alice", expiresIn: "5 minutes" })
      const verifyWith = (store: RevocationStore.Service) =>
        Jwt.verify(token, { issuer, audience: "api" }).pipe(
          Effect.provide(
            RevocationStore.layerRefusing.pipe(
              Layer.provide(Layer.succeed(KeyResolver.KeyResolver, resolver)),
              Layer.provide(Layer.succeed(RevocationStore.RevocationStore, store))
            )
          )
        )
      assert.strictEqual((yield* verifyWith(StaticRevocationStore.make({ keyIds: ["other"] }))).subject, "alice")
      const ofOthers = StaticRevocationStore.make({ keyIds: [keyId], issuer: "https://other.example" })
      assert.strictEqual((yield* verifyWith(ofOthers)).subject, "alice")
      const revoked = yield* Effect.flip(verifyWith(StaticRevocationStore.make({ keyIds: [keyId], issuer })))
      assert.strictEqual(revoked._tag, "KeyRevoked")
      const stale = new RevocationStore.RevocationStale({ reason: "Unavailable", problem: "no list" })
      const unknowing = RevocationStore.RevocationStore.of({
        check: () => Effect.fail(stale),
        checkToken: () => Effect.fail(stale)
      })
      assert.strictEqual((yield* Effect.flip(verifyWith(unknowing)))._tag, "RevocationStale")
      // Of several resolvers the next one is not asked about a key that is revoked
      const refused = RevocationStore.refusing(resolver, StaticRevocationStore.make({ keyIds: [keyId] }))
      const both = KeyResolver.firstOf([refused, resolver])
      assert.strictEqual((yield* Effect.flip(both.resolve({ keyId })))._tag, "KeyRevoked")
      assert.strictEqual((yield* Signer.Signer).algorithm, "Ed25519")
    }).pipe(Effect.provide(Keys))
  )
})
