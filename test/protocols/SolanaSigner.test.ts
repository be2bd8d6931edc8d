import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { PrivateKey, Signer, type SignerError, Verifier } from "effect-signer"
import { ScriptedSigner, TestSigner } from "effect-signer/testing"
import * as SolanaSigner from "../../src/protocols/adapters/SolanaSigner.ts"

const utf8 = (text: string) => new TextEncoder().encode(text)

describe("address", () => {
  it.effect.each([
    // RFC 8032 section 7.1, test 1
    [
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "FVen3X669xLzsi6N2V91DoiyzHzg1uAgqiT8jZ9nS96Z"
    ],
    // the key pair of the Solana documentation ("How to Restore a Keypair")
    ["ae2f9a10cac1ce71c7be3585a9af1f38de358abde0d875ad0a95352d49fbedf6", "24PNhTaNtomHhoy3fTRaMhAFCRj4uHqhZEEoWrKDbR5p"]
  ] as const)("of %s is %s", ([secret, expected]) =>
    Effect.gen(function* () {
      const { publicKey } = yield* PrivateKey.fromHex("Ed25519", secret)
      assert.strictEqual<string | undefined>(SolanaSigner.address(publicKey), expected)
    })
  )
})

describe("make", () => {
  it.effect("signs the bytes of transactions and of messages, under its address, in order", () =>
    Effect.gen(function* () {
      const { calls, signer } = yield* TestSigner.make({ algorithm: "Ed25519" })
      const solana = yield* Effect.provideService(SolanaSigner.make(), Signer.Signer, signer)
      const key = yield* signer.publicKey()
      const contents = Array.from({ length: 30 }, (_, i) => utf8(`message ${i}`))
      const signed = [
        yield* Effect.promise(() => solana.signMessages(contents.map((content) => ({ content })))),
        yield* Effect.promise(() => solana.signTransactions(contents.map((messageBytes) => ({ messageBytes }))))
      ]
      for (const signatures of signed) {
        for (const [i, content] of contents.entries()) {
          assert.deepStrictEqual(Object.keys(signatures[i]!), [solana.address])
          assert.isTrue(yield* Verifier.verify(key, content, signatures[i]![solana.address]!))
        }
      }
      assert.lengthOf(yield* calls.all, 60)
      assert.deepStrictEqual(yield* Effect.promise(() => solana.signMessages([])), [])
    })
  )

  it.effect("signs what it was given, whatever becomes of the buffers, and nothing that is no bytes", () =>
    Effect.gen(function* () {
      // the first ten start at once, the others when these are done
      const gate = yield* Deferred.make<void>()
      const waiting = Signer.transform(
        yield* Effect.map(TestSigner.make({ algorithm: "Ed25519" }), ({ signer }) => signer),
        {
          sign: (sign) => Effect.andThen(Deferred.await(gate), sign)
        }
      )
      const solana = yield* Effect.provideService(SolanaSigner.make(), Signer.Signer, waiting)
      const contents = Array.from({ length: 12 }, (_, i) => utf8(`message ${i}`))
      const promise = solana.signMessages(contents.map((content) => ({ content })))
      for (const content of contents) content.fill(0)
      yield* Deferred.succeed(gate, undefined)
      const signatures = yield* Effect.promise(() => promise)
      const key = yield* waiting.publicKey()
      assert.isTrue(yield* Verifier.verify(key, utf8("message 11"), signatures[11]![solana.address]!))
      const promised = solana.signMessages([undefined as never])
      assert.instanceOf(yield* Effect.promise(() => promised.catch((error: unknown) => error)), TypeError)
      for (const text of ["text", [1, 2]]) {
        const error = yield* Effect.flip(
          Effect.tryPromise({
            try: () => solana.signTransactions([{ messageBytes: text as never }]),
            catch: (error) => error as SignerError.SignerError
          })
        )
        assert.include(error.message, "message: expected a Uint8Array")
      }
    })
  )

  it.effect("an abort signal interrupts what the backend does, and is the reason of the rejection", () =>
    Effect.gen(function* () {
      const { signer } = yield* ScriptedSigner.make({ algorithm: "Ed25519" })
      const started = yield* Deferred.make<void>()
      const stopped = yield* Deferred.make<void>()
      const hanging = Signer.transform(signer, {
        sign: () =>
          Effect.andThen(Deferred.succeed(started, undefined), Effect.never).pipe(
            Effect.onInterrupt(() => Deferred.succeed(stopped, undefined))
          )
      })
      const solana = yield* Effect.provideService(SolanaSigner.make(), Signer.Signer, hanging)
      const controller = new AbortController()
      const rejected = solana
        .signMessages([{ content: utf8("a") }], { abortSignal: controller.signal })
        .catch((error: unknown) => error)
      yield* Deferred.await(started)
      const reason = new Error("cancelled")
      controller.abort(reason)
      assert.strictEqual(yield* Effect.promise(() => rejected), reason)
      yield* Deferred.await(stopped)
    })
  )
})
