import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as Adcp from "../../src/protocols/Adcp.ts"
import type { HttpRequest } from "../../src/protocols/HttpMessage.ts"
import { request } from "../../src/protocols/HttpMessage.ts"
import * as HttpSignatureProfile from "../../src/protocols/HttpSignatureProfile.ts"
import { capability, craft, post, verifier, withField } from "./adcpParties.ts"

const now = 1_776_520_800_000

/** The outcome, with stores of its own. A defect or another failure fails the test. */
const outcomeOf = (message: HttpRequest, profile = HttpSignatureProfile.adcp31) =>
  Adcp.verifyRequest(message, { profile, capability }).pipe(
    Effect.map(({ _tag }): string => _tag),
    Effect.catchTag("AdcpSignatureError", ({ code }) => Effect.succeed(code)),
    Effect.provide(verifier())
  )

/** A text with one character changed, at each place, in a way that stays text. */
const flips = (text: string): ReadonlyArray<string> =>
  Array.from({ length: text.length }, (_, at) => {
    const code = text.charCodeAt(at)
    const other = code === 0x7e ? 0x21 : code + 1
    return text.slice(0, at) + String.fromCharCode(other) + text.slice(at + 1)
  })

const refusedAll = (messages: ReadonlyArray<HttpRequest>) =>
  Effect.forEach(messages, (message) =>
    Effect.map(outcomeOf(message), (outcome) => {
      assert.notStrictEqual(outcome, "Signed")
      assert.match(outcome, /^request_/)
    })
  )

describe("every change of what is covered is refused", () => {
  const whole = Effect.andThen(TestClock.setTime(now), craft(post({ target: "https://seller.example.com/adcp/x?a=1" })))

  it.effect.each(["signature-input", "signature", "content-digest", "content-type"])("of %s", (name) =>
    Effect.gen(function* () {
      const signed = yield* whole
      const value = signed.fields.find(([other]) => other.toLowerCase() === name)![1]
      assert.strictEqual(yield* outcomeOf(signed), "Signed")
      yield* refusedAll(flips(value).map((text) => withField(signed, name, () => text)))
    })
  )

  it.effect.each(["method", "authority", "path", "query"] as const)("of the %s", (part) =>
    Effect.gen(function* () {
      const signed = yield* whole
      yield* refusedAll(flips(signed[part]!).map((text) => ({ ...signed, [part]: text })))
    })
  )

  it.effect("of the body, bit by bit", () =>
    Effect.gen(function* () {
      const signed = yield* whole
      const body = signed.body!
      yield* refusedAll(
        Array.from({ length: body.length * 8 }, (_, bit) => {
          const changed = Uint8Array.from(body)
          changed[bit >> 3]! ^= 1 << (bit & 7)
          return { ...signed, body: changed }
        })
      )
    })
  )
})

describe("anything else is a typed refusal", () => {
  const Text = Schema.String
  const fuzzed = {
    target: Text,
    host: Text,
    input: Text,
    signature: Text,
    digest: Text,
    body: Schema.Uint8Array
  }

  it.effect.prop(
    "whatever the fields hold",
    fuzzed,
    ({ body, digest, host, input, signature, target }) =>
      Effect.gen(function* () {
        const message = request({
          method: "POST",
          target,
          scheme: "https",
          fields: [
            ["Host", host],
            ["Signature-Input", input],
            ["Signature", signature],
            ["Content-Digest", digest]
          ],
          body
        })
        assert.match(yield* outcomeOf(message), /^request_/)
      }),
    { arbitrary: { runs: 100 } }
  )

  it.effect.prop(
    "whatever a well-formed signature is sent with",
    { target: Text, host: Text, body: Schema.Uint8Array, keyId: Text, nonce: Text },
    ({ body, host, keyId, nonce, target }) =>
      Effect.gen(function* () {
        yield* TestClock.setTime(now)
        const signed = yield* craft(post())
        const printable = (text: string) => text.replace(/[^\x20-\x7e]|["\\]/g, "x")
        const changed = withField(signed, "signature-input", (value) =>
          value
            .replace(/keyid="[^"]*"/, () => `keyid="${printable(keyId)}"`)
            .replace(/nonce="[^"]*"/, () => `nonce="${printable(nonce)}AAAAAAAAAAAAAAAAAAAAAA"`)
        )
        assert.match(yield* outcomeOf({ ...changed, authority: host, path: target, body }), /^request_/)
      }),
    { arbitrary: { runs: 100 } }
  )

  it.effect.prop(
    "whatever an unsigned body holds",
    { body: Schema.Uint8Array, text: Text },
    ({ body, text }) =>
      Effect.gen(function* () {
        for (const content of [
          body,
          new TextEncoder().encode(text),
          new TextEncoder().encode(JSON.stringify({ text }))
        ]) {
          const outcome = yield* outcomeOf({ ...post({ target: "https://seller.example.com/mcp" }), body: content })
          assert.match(outcome, /^Unsigned$|^request_/)
        }
      }),
    { arbitrary: { runs: 100 } }
  )

  it.effect.prop(
    "a canonical URL is its own canonical form",
    { url: Text, path: Text, host: Text },
    ({ host, path, url }) =>
      Effect.gen(function* () {
        for (const text of [
          url,
          `https://seller.example.com/${path}`,
          `https://${host}/p`,
          `https://a.example/%${path}`
        ]) {
          const first = yield* Effect.option(Adcp.canonicalUri(text))
          if (first._tag === "None") continue
          const { authority, uri } = first.value
          assert.deepStrictEqual(yield* Adcp.canonicalUri(uri), first.value)
          assert.match(uri, /^https?:\/\/[!-~]+$/)
          // The URL standard agrees on what is left of the host
          assert.strictEqual(new URL(uri).host, authority.startsWith("[") ? new URL(uri).host : authority)
        }
      }),
    { arbitrary: { runs: 200 } }
  )
})
