/**
 * The keyring of the session in the environment, with a stored key for each
 * algorithm: for the suite `kit/keyring/gnome-keyring`.
 */
import { Effect, Layer, Redacted } from "effect"
import { PrivateKey, SignatureAlgorithm } from "../../src/index.ts"
import * as KeyringSigner from "../../src/layers/KeyringSigner.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

type Algorithm = SignatureAlgorithm.SignatureAlgorithm

const service = "effect-signer-kit"

/** Of the secret numbers, one that no public part of the key contains. */
const secretOf = (key: PrivateKey.PrivateKey) =>
  Buffer.from(
    String((Redacted.value(PrivateKey.toJwk(key)) as { readonly d?: string; readonly priv?: string }).d ?? ""),
    "base64url"
  )

export const keyringSubject = Effect.fnUntraced(function* (algorithm: Algorithm) {
  const key = yield* TestKey.make(algorithm)
  const at = { service, account: algorithm }
  const secret = secretOf(key)
  const other = yield* PrivateKey.generate("Ed25519")
  return {
    algorithm,
    secrets: secret.length === 0 ? [] : [new Uint8Array(secret)],
    layer: Layer.unwrap(
      Effect.as(KeyringSigner.store(key, { ...at, replace: true }), KeyringSigner.layer({ ...at, algorithm }))
    ),
    faulty: [
      KeyringSigner.layer({ ...at, account: "none", algorithm }),
      KeyringSigner.layer({ ...at, algorithm, expectedPublicKey: other.publicKey }),
      Layer.unwrap(
        Effect.map(KeyringSigner.store(key, { ...at, account: `${algorithm}-other`, replace: true }), () =>
          KeyringSigner.layer({
            ...at,
            account: `${algorithm}-other`,
            algorithm: algorithm === "Ed25519" ? "ES256" : "Ed25519"
          })
        )
      )
    ]
  }
})

/** All algorithms: built where a session is in the environment. */
export const keyringSubjects = Effect.forEach(SignatureAlgorithm.all, (algorithm) => keyringSubject(algorithm))
