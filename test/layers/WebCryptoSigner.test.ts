import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as WebCryptoSigner from "../../src/layers/WebCryptoSigner.ts"
import { Conformance } from "../../src/testing.ts"
import { webCryptoLayer, webCryptoSubjects } from "../conformance/webCrypto.ts"

for (const algorithm of webCryptoSubjects) {
  Conformance.suite(it, `kit/web-crypto/${algorithm}`, webCryptoLayer(algorithm))
}

describe("make", () => {
  const pair = (algorithm: AlgorithmIdentifier | EcKeyGenParams) =>
    Effect.promise(() => crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]) as Promise<CryptoKeyPair>)

  it.effect("refuses halves that do not belong together, and a public key that should sign", () =>
    Effect.gen(function* () {
      const one = yield* pair({ name: "ECDSA", namedCurve: "P-256" } as EcKeyGenParams)
      const other = yield* pair({ name: "ECDSA", namedCurve: "P-256" } as EcKeyGenParams)
      const error = yield* Effect.flip(WebCryptoSigner.make({ privateKey: one.privateKey, publicKey: other.publicKey }))
      assert.strictEqual(error._tag === "InvalidConfiguration" && error.field, "privateKey")
      const publicOnly = yield* Effect.flip(
        WebCryptoSigner.make({ privateKey: one.publicKey, publicKey: one.publicKey })
      )
      assert.strictEqual(publicOnly._tag, "KeyNotSigner")
    })
  )
})
