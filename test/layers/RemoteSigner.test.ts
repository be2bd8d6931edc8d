import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"
import { PrivateKey, SignatureAlgorithm, Signer } from "../../src/index.ts"
import * as RemoteSigner from "../../src/layers/RemoteSigner.ts"
import { Conformance, TestSigner } from "../../src/testing.ts"
import { signingService } from "./support/signingService.ts"
import type { Answering } from "./support/signingService.ts"

const token = "token-of-the-remote-signer"

/** A Signer whose key is behind a service on a socket. */
const remote = (algorithm: SignatureAlgorithm.SignatureAlgorithm, answer?: Answering) =>
  Effect.gen(function* () {
    const { signer } = yield* TestSigner.make({ algorithm })
    const service = yield* signingService(signer, { token, answer })
    const publicKey = yield* signer.publicKey()
    return {
      ...service,
      options: {
        url: service.url,
        keyId: "k1",
        publicKey,
        algorithm,
        token: Redacted.make(token)
      } as RemoteSigner.Options
    }
  })

const layerOf = (
  algorithm: SignatureAlgorithm.SignatureAlgorithm,
  change: (options: RemoteSigner.Options) => RemoteSigner.Options = (options) => options
) =>
  Layer.unwrap(Effect.map(remote(algorithm), ({ options }) => RemoteSigner.layer(change(options)))).pipe(
    Layer.provide(FetchHttpClient.layer)
  )

for (const algorithm of ["Ed25519", "ES256", "ES256K", "PS256"] as const) {
  Conformance.suite(it, `remote, ${algorithm}`, layerOf(algorithm), {
    maxMessageLength: 1_000_000,
    secrets: [token],
    faulty: [
      layerOf(algorithm, (options) => ({ ...options, token: Redacted.make("another-token-than-theirs") })),
      layerOf(algorithm, (options) => ({ ...options, keyId: "another" })),
      layerOf(algorithm, (options) => ({ ...options, url: `${options.url}?token=${token}` }))
    ]
  })
}

const failing = (answer: Answering, change: (options: RemoteSigner.Options) => RemoteSigner.Options = (o) => o) =>
  Effect.gen(function* () {
    const { options, requests } = yield* remote("Ed25519", answer)
    const signer = yield* RemoteSigner.make(change(options))
    const error = yield* Effect.flip(signer.sign(new Uint8Array(8)))
    return { error, requests: requests() }
  }).pipe(Effect.provide(FetchHttpClient.layer), Effect.scoped)

describe("RemoteSigner", () => {
  it.effect("sends what the interface says", () =>
    Effect.gen(function* () {
      const { options, requests } = yield* remote("ES256")
      const signer = yield* RemoteSigner.make(options)
      yield* signer.sign(new TextEncoder().encode("message"))
      const [{ body, headers, method, url } = assert.fail("no request")] = requests()
      assert.deepStrictEqual(JSON.parse(body), { payload_b64: "bWVzc2FnZQ==", kid: "k1", alg: "ecdsa-p256-sha256" })
      assert.deepStrictEqual([method, url], ["POST", "/sign"])
      assert.strictEqual(headers.authorization, `Bearer ${token}`)
    }).pipe(Effect.provide(FetchHttpClient.layer), Effect.scoped)
  )

  const json = (value: unknown): Answering => ({ status: 200, body: JSON.stringify(value) })

  it.effect.each<{ readonly name: string; readonly answer: Answering; readonly tag: string }>([
    { name: "400", answer: { status: 400 }, tag: "InvalidConfiguration" },
    { name: "401", answer: { status: 401 }, tag: "AuthenticationFailed" },
    { name: "403", answer: { status: 403 }, tag: "PermissionDenied" },
    { name: "404", answer: { status: 404 }, tag: "KeyNotFound" },
    { name: "405", answer: { status: 405 }, tag: "InvalidConfiguration" },
    { name: "413", answer: { status: 413 }, tag: "InvalidConfiguration" },
    { name: "418", answer: { status: 418 }, tag: "UnknownBackendError" },
    { name: "422", answer: { status: 422 }, tag: "InvalidConfiguration" },
    { name: "429", answer: { status: 429, headers: { "retry-after": "7" } }, tag: "Retryable/RateLimited" },
    { name: "500", answer: { status: 500, body: "<html>" }, tag: "Retryable/BackendUnavailable" },
    {
      name: "a redirect",
      answer: { status: 307, headers: { location: "http://127.0.0.1:1/" } },
      tag: "InvalidConfiguration"
    },
    { name: "no JSON", answer: { status: 200, body: "<html>" }, tag: "InvalidResponse" },
    { name: "no signature", answer: json({}), tag: "InvalidResponse" },
    { name: "base64url", answer: json({ signature_b64: "_".repeat(86) }), tag: "InvalidResponse" },
    { name: "no padding", answer: json({ signature_b64: "A".repeat(86) }), tag: "InvalidResponse" },
    { name: "a short signature", answer: json({ signature_b64: "AAAA" }), tag: "InvalidResponse" },
    { name: "nobody there", answer: { status: 0 }, tag: "Retryable/BackendUnavailable" }
  ])("$name is $tag, after one request", ({ answer, tag }) =>
    Effect.gen(function* () {
      const { error, requests } = yield* failing(answer)
      assert.strictEqual(error._tag === "Retryable" ? `Retryable/${error.reason._tag}` : error._tag, tag)
      assert.strictEqual(requests.length, 1)
      assert.notInclude(JSON.stringify(error), token)
    })
  )

  it.effect("returns no signature of another key", () =>
    Effect.gen(function* () {
      const { publicKey } = yield* PrivateKey.generate("Ed25519")
      const { options } = yield* remote("Ed25519")
      const error = yield* Effect.flip(
        Signer.sign(new Uint8Array(8)).pipe(
          Effect.provide(RemoteSigner.layer({ ...options, publicKey, resilience: { times: 0 } }))
        )
      )
      assert.strictEqual(error._tag, "InvalidResponse")
    }).pipe(Effect.provide(FetchHttpClient.layer), Effect.scoped)
  )

  it.effect.each(["", "ftp://a/", "https://u@a/", "https://a/?x", "https://a/#x", "a"])("refuses the URL %j", (url) =>
    Effect.gen(function* () {
      const { options } = yield* remote("Ed25519")
      const error = yield* Effect.flip(RemoteSigner.make({ ...options, url }))
      assert.deepInclude(error, { _tag: "InvalidConfiguration", field: "url" })
    }).pipe(Effect.provide(FetchHttpClient.layer), Effect.scoped)
  )
})
