/**
 * A layer with a non-extractable `CryptoKey`, for each algorithm that WebCrypto
 * has.
 */
import { Effect, Layer } from "effect"
import type { SignatureAlgorithm } from "../../src/index.ts"
import * as WebCryptoSigner from "../../src/layers/WebCryptoSigner.ts"
import { webCryptoParameters } from "../../src/primitives/webCryptoParameters.ts"

export const webCryptoSubjects = Object.keys(webCryptoParameters) as ReadonlyArray<
  SignatureAlgorithm.SignatureAlgorithm & keyof typeof webCryptoParameters
>

export const webCryptoLayer = (algorithm: SignatureAlgorithm.SignatureAlgorithm) =>
  Layer.unwrap(
    Effect.map(
      Effect.promise(
        () =>
          crypto.subtle.generateKey(
            {
              modulusLength: 2048,
              publicExponent: Uint8Array.of(1, 0, 1),
              ...webCryptoParameters[algorithm]!.key
            } as RsaHashedKeyGenParams,
            false,
            ["sign", "verify"]
          ) as Promise<CryptoKeyPair>
      ),
      WebCryptoSigner.layer
    )
  )
