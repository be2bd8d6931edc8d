/**
 * The spec of the service: the same routes, and a test Signer in place of Vault.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpClient, HttpRouter } from "effect/http"
import { SignerError } from "effect-signer"
import { ScriptedSigner, TestSigner } from "effect-signer/testing"
import { routes } from "./app.ts"

const Service = HttpRouter.serve(Layer.mergeAll(...routes), { disableLogger: true })

describe("GET /accounts/:id", () => {
  it.effect("signs the bytes it answers with", () =>
    Effect.gen(function* () {
      const answer = yield* HttpClient.get("/accounts/7")
      const body = yield* answer.arrayBuffer
      const calls = yield* TestSigner.Calls
      assert.strictEqual(answer.status, 200)
      assert.deepStrictEqual(yield* calls.messages, [new Uint8Array(body)])
    }).pipe(
      Effect.provide(Service.pipe(Layer.provideMerge([TestSigner.layer({ seed: "spec" }), NodeHttpServer.layerTest])))
    )
  )

  it.effect("answers 503 where the key cannot be reached", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* HttpClient.get("/accounts/7")).status, 503)
    }).pipe(
      Effect.provide(
        Service.pipe(
          Layer.provideMerge([
            ScriptedSigner.layer({ steps: [ScriptedSigner.fail(new SignerError.BackendUnavailable({}))] }),
            NodeHttpServer.layerTest
          ])
        )
      )
    )
  )
})
