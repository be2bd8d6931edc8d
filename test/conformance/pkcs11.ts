/**
 * SoftHSM with a key for each algorithm that it has: for the suite
 * `kit/pkcs11/softhsm2`.
 */
import { Effect, Redacted } from "effect"
import type { SoftHsm, TokenEntry } from "../../scripts/live/pkcs11.ts"
import { softHsm } from "../../scripts/live/pkcs11.ts"
import { PrivateKey, SignatureAlgorithm } from "../../src/index.ts"
import * as Pkcs11Signer from "../../src/layers/Pkcs11Signer.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

/** Without BIP340, BIP341 and ML-DSA, for which SoftHSM has no mechanism. */
const algorithms = SignatureAlgorithm.all.filter(
  (algorithm) => !["Schnorr", "ML-DSA"].includes(SignatureAlgorithm.facts[algorithm].scheme)
)

const token = "kit"

/** The token, with one key for each type of key. */
export const kitToken: Effect.Effect<TokenEntry> = Effect.gen(function* () {
  const types = new Map(algorithms.map((algorithm) => [SignatureAlgorithm.facts[algorithm].keyType, algorithm]))
  const keys = yield* Effect.forEach([...types], ([type, algorithm], index) =>
    Effect.map(Effect.orDie(TestKey.make(algorithm)), (key) => ({
      label: type,
      id: `a${index}`,
      pem: Redacted.value(PrivateKey.toPem(key))
    }))
  )
  return { label: token, keys }
})

/** A secret number of the key, which no public part of it contains. */
const secretOf = (key: PrivateKey.PrivateKey) =>
  new Uint8Array(Buffer.from((Redacted.value(PrivateKey.toJwk(key)) as { readonly d: string }).d, "base64url"))

export const kitSubjects = (hsm: SoftHsm) =>
  Effect.forEach(algorithms, (algorithm) =>
    Effect.map(Effect.orDie(TestKey.make(algorithm)), (key) => {
      const options = {
        module: hsm.module,
        pkcs11js: hsm.pkcs11js,
        token,
        object: SignatureAlgorithm.facts[algorithm].keyType,
        algorithm,
        pin: Redacted.make(hsm.pin)
      }
      return {
        algorithm,
        layer: Pkcs11Signer.layer(options),
        secrets: [hsm.pin, secretOf(key)],
        faulty: [
          Pkcs11Signer.layer({ ...options, object: "none" }),
          Pkcs11Signer.layer({ ...options, token: "none" }),
          Pkcs11Signer.layer({ ...options, algorithm: algorithm === "Ed25519" ? "ES256" : "Ed25519" }),
          Pkcs11Signer.layer({ ...options, module: "/none.so" }),
          Pkcs11Signer.layer({ ...options, uri: `pkcs11:token=${token}?pin-value=${hsm.pin}` })
        ]
      }
    })
  )

/** Fails with the reason where SoftHSM or `pkcs11js` is not there. */
export const pkcs11Subjects = Effect.gen(function* () {
  const hsm = yield* softHsm([yield* kitToken])
  return yield* kitSubjects(hsm)
})
