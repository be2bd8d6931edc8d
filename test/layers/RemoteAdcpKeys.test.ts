import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { OutgoingHttpHeaders } from "node:http"
import * as MemoryReplayStore from "../../src/layers/MemoryReplayStore.ts"
import * as RemoteAdcpKeys from "../../src/layers/RemoteAdcpKeys.ts"
import * as StaticRevocationStore from "../../src/layers/StaticRevocationStore.ts"
import * as Adcp from "../../src/protocols/Adcp.ts"
import * as HttpSignatureProfile from "../../src/protocols/HttpSignatureProfile.ts"
import * as Canary from "../../src/testing/Canary.ts"
import { capability, craft, jwkOf, keyId, post } from "../protocols/adcpParties.ts"
import { ca, serve } from "./httpsServer.ts"

const agentUrl = "https://buyer.example/agent"
const secret = "canary-51b0c7d2ee"

interface Answer {
  readonly status?: number
  readonly headers?: OutgoingHttpHeaders
  readonly body?: unknown
}

/** An agent that publishes what `says` was told last. */
const publisher = Effect.fnUntraced(function* (body: unknown) {
  let answer: Answer = { body }
  const server = yield* serve((_, response) => {
    response.writeHead(answer.status ?? 200, { "content-type": "application/json", ...answer.headers })
    response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body ?? ""))
  })
  const options = {
    url: `https://127.0.0.1:${server.port}/jwks.json`,
    agentUrl,
    allow: ["127.0.0.1"],
    ports: [server.port],
    ca
  }
  return {
    seen: server.seen,
    options,
    says: (next: Answer) => {
      answer = next
    }
  }
})

const setOf = (...kids: ReadonlyArray<string>) => ({
  keys: kids.map((kid) => ({ kid, kty: "OKP", adcp_use: "request-signing" }))
})

const tagOf = <A>(effect: Effect.Effect<A, Adcp.AdcpKeysError>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.isUndefined(Canary.search([{ name: "body", secret }])(Canary.show(error)))
    return error._tag === "KeyUnknown" ? error._tag : `${error._tag} ${error.reason}`
  })

describe("resolve", () => {
  it.effect("answers with every member of the JWK, and whose it is", () =>
    Effect.gen(function* () {
      const { options, seen } = yield* publisher({ keys: [{ kid: "a", adcp_use: "webhook-signing", other: [1] }] })
      const { resolve } = yield* RemoteAdcpKeys.make(options)
      assert.strictEqual(seen.length, 0)
      const found = yield* resolve("a")
      assert.deepStrictEqual(found, { jwk: { kid: "a", adcp_use: "webhook-signing", other: [1] }, agentUrl })
      assert.strictEqual(seen.length, 1)
    })
  )

  it.effect("makes one request for all who wait, and for all who ask for keys that nobody knows", () =>
    Effect.gen(function* () {
      const { options, seen } = yield* publisher(setOf("a"))
      const { resolve } = yield* RemoteAdcpKeys.make(options)
      yield* Effect.all(
        Array.from({ length: 1000 }, () => resolve("a")),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(seen.length, 1)
      yield* TestClock.adjust("30 seconds")
      const unknown = Array.from({ length: 1000 }, (_, index) => tagOf(resolve(`x${index}`)))
      const tags = yield* Effect.all(unknown, { concurrency: "unbounded" })
      assert.deepStrictEqual([...new Set(tags)], ["KeyUnknown"])
      assert.strictEqual(seen.length, 2)
    })
  )

  it.effect("finds a key that was published meanwhile, after the cooldown", () =>
    Effect.gen(function* () {
      const { options, says, seen } = yield* publisher(setOf("a"))
      const { resolve } = yield* RemoteAdcpKeys.make(options)
      yield* resolve("a")
      says({ body: setOf("a", "b") })
      assert.strictEqual(yield* tagOf(resolve("b")), "KeyUnknown")
      yield* TestClock.adjust("30 seconds")
      yield* resolve("b")
      assert.strictEqual(seen.length, 2)
    })
  )

  it.effect("refuses a key that left the set, when it is read again", () =>
    Effect.gen(function* () {
      const { options, says } = yield* publisher(setOf("a", "b"))
      const { resolve } = yield* RemoteAdcpKeys.make(options)
      yield* resolve("b")
      says({ body: setOf("a") })
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* tagOf(resolve("b")), "KeyUnknown")
    })
  )

  it.effect("keeps no longer than the server says", () =>
    Effect.gen(function* () {
      const { options, says, seen } = yield* publisher("")
      says({ body: setOf("a"), headers: { "cache-control": "max-age=60" } })
      const { resolve } = yield* RemoteAdcpKeys.make(options)
      yield* resolve("a")
      yield* TestClock.adjust("59 seconds")
      yield* resolve("a")
      assert.strictEqual(seen.length, 1)
      yield* TestClock.adjust("1 second")
      yield* resolve("a")
      assert.strictEqual(seen.length, 2)
    })
  )

  it.effect("serves the last set while the server is busy, asks every five seconds, and then ends", () =>
    Effect.gen(function* () {
      const { options, says, seen } = yield* publisher(setOf("a"))
      const { resolve } = yield* RemoteAdcpKeys.make(options)
      yield* resolve("a")
      says({ status: 503 })
      yield* TestClock.adjust("10 minutes")
      for (const _ of [1, 2, 3]) yield* resolve("a")
      assert.strictEqual(yield* tagOf(resolve("b")), "KeysUnavailable Busy")
      assert.strictEqual(seen.length, 2)
      yield* TestClock.adjust("5 seconds")
      yield* resolve("a")
      assert.strictEqual(seen.length, 3)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* tagOf(resolve("a")), "KeysUnavailable Busy")
    })
  )

  it.effect.each([
    { what: "a kid twice", answer: { body: setOf("a", "a") }, is: "JwksInvalid DuplicateKeyId" },
    { what: "no set", answer: { body: { note: secret } }, is: "JwksInvalid Malformed" },
    { what: "a member twice", answer: { body: `{"keys":[],"keys":["${secret}"]}` }, is: "JwksInvalid Malformed" },
    { what: "a set that is gone", answer: { status: 404, body: secret }, is: "KeysUnavailable StatusRefused" },
    {
      what: "a redirect",
      answer: { status: 302, headers: { location: "https://127.0.0.1/" } },
      is: "KeysUnavailable Redirected"
    },
    { what: "too much", answer: { body: " ".repeat(65_537) }, is: "KeysUnavailable TooLarge" }
  ])("$what ends the last set at once, and is held back for five seconds", ({ answer, is }) =>
    Effect.gen(function* () {
      const { options, says, seen } = yield* publisher(setOf("a"))
      const { resolve } = yield* RemoteAdcpKeys.make(options)
      yield* resolve("a")
      says(answer)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* tagOf(resolve("a")), is)
      assert.strictEqual(yield* tagOf(resolve("a")), is)
      assert.strictEqual(seen.length, 2)
    })
  )

  it.effect("reaches no address that is not public", () =>
    Effect.gen(function* () {
      const { options, seen } = yield* publisher(setOf("a"))
      const { resolve } = yield* RemoteAdcpKeys.make({ ...options, allow: [] })
      assert.strictEqual(yield* tagOf(resolve("a")), "KeysUnavailable AddressRefused")
      assert.strictEqual(seen.length, 0)
    })
  )
})

describe("options", () => {
  it.effect.each([
    { field: "url", change: { url: "http://buyer.example/jwks.json" } },
    { field: "url", change: { url: "https://user@buyer.example/jwks.json" } },
    { field: "agentUrl", change: { agentUrl: "" } },
    { field: "maxAge", change: { maxAge: "2 hours" as const } },
    { field: "cooldown", change: { cooldown: 0 } },
    { field: "allow[0]", change: { allow: ["localhost"] } }
  ])("$field is refused: $change", ({ change, field }) =>
    Effect.gen(function* () {
      const options = { url: "https://buyer.example/jwks.json", agentUrl, ...change }
      const error = yield* Effect.flip(Effect.scoped(RemoteAdcpKeys.make(options)))
      assert.strictEqual(error.field, field)
    })
  )
})

describe("layer", () => {
  const verify = (options: RemoteAdcpKeys.Options) =>
    Effect.gen(function* () {
      const signed = yield* craft(post())
      return yield* Adcp.verifyRequest(signed, { profile: HttpSignatureProfile.adcp31, capability })
    }).pipe(
      Effect.provide(
        Layer.mergeAll(
          RemoteAdcpKeys.layer(options),
          MemoryReplayStore.layer(),
          StaticRevocationStore.layer({ keyIds: [] })
        )
      )
    )

  it.effect("verifies a request, and says which agent it is from", () =>
    Effect.gen(function* () {
      const { options } = yield* publisher({ keys: [yield* jwkOf("Ed25519")] })
      const verified = yield* verify(options)
      assert.strictEqual(verified._tag === "Signed" && verified.keyId, keyId)
      assert.strictEqual(verified._tag === "Signed" && verified.agentUrl, agentUrl)
    })
  )

  it.effect.each([
    { what: "a server that is busy", answer: { status: 503 }, code: "request_signature_jwks_unavailable", again: true },
    { what: "a set that is refused", answer: { body: {} }, code: "request_signature_jwks_untrusted", again: false },
    {
      what: "a redirect",
      answer: { status: 307, headers: { location: "/" } },
      code: "request_signature_jwks_untrusted",
      again: false
    },
    { what: "another address", allow: [], code: "request_signature_jwks_untrusted", again: false }
  ])("$what: $code", ({ again, allow, answer, code }) =>
    Effect.gen(function* () {
      const { options, says } = yield* publisher("")
      if (answer !== undefined) says(answer)
      const error = yield* Effect.flip(verify({ ...options, ...(allow && { allow }) }))
      assert.instanceOf(error, Adcp.AdcpSignatureError)
      assert.deepStrictEqual(
        [(error as Adcp.AdcpSignatureError).code, (error as Adcp.AdcpSignatureError).retryable],
        [code, again]
      )
    })
  )
})
