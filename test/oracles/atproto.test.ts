/** `@atproto/crypto` verifies what our Keypair signs, strictly: low-S and compact. */
import { formatDidKey, type Keypair, parseDidKey, verifySignature } from "@atproto/crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { PublicKey } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as AtprotoKeypair from "../../src/protocols/adapters/AtprotoKeypair.ts"
import * as Signer from "../../src/services/Signer.ts"

const promise = <A>(evaluate: () => Promise<A>) =>
  Effect.tryPromise({ try: evaluate, catch: (error) => error as Error })

describe.each(["ES256", "ES256K"] as const)("AtprotoKeypair with %s", (algorithm) => {
  it.live("has the did that atproto makes of the key", () =>
    Effect.gen(function* () {
      const keypair: Keypair = yield* AtprotoKeypair.make()
      const key = yield* Signer.Signer.use((signer) => signer.publicKey())
      assert.strictEqual(keypair.did(), formatDidKey(algorithm, PublicKey.toCompressed(key)!))
      assert.deepStrictEqual(parseDidKey(keypair.did()), { jwtAlg: algorithm, keyBytes: PublicKey.toRaw(key) })
    }).pipe(Effect.provide(LocalSigner.layerGenerated(algorithm)))
  )

  it.live("signs what atproto verifies, which takes low-S only", () =>
    Effect.gen(function* () {
      const keypair: Keypair = yield* AtprotoKeypair.make()
      for (let i = 0; i < 32; i++) {
        const message = new Uint8Array(i)
        const signature = yield* promise(() => keypair.sign(message))
        assert.isTrue(yield* promise(() => verifySignature(keypair.did(), message, signature)))
        assert.isFalse(yield* promise(() => verifySignature(keypair.did(), Uint8Array.of(1, i), signature)))
      }
    }).pipe(Effect.provide(LocalSigner.layerGenerated(algorithm)))
  )
})
