import { Effect, type Scope } from "effect"
import { SignatureAlgorithm } from "../../src/index.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

export const bytesFromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"))

/** The secret parts of the test key of an algorithm: what must never show. */
export const secretsOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm): ReadonlyArray<Uint8Array> => {
  const { keyType } = SignatureAlgorithm.facts[algorithm]
  const { d, dp, dq, p, q, qi } = TestKey.testRsaKey
  return keyType === "RSA"
    ? [d, p, q, dp, dq, qi].map((number) => new Uint8Array(Buffer.from(number, "base64url")))
    : [TestKey.secretBytes(keyType, "effect-signer")]
}

/** Sets `NODE_ENV` until the scope closes. */
export const inNodeEnv = (value: string): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => {
        const before = process.env["NODE_ENV"]
        process.env["NODE_ENV"] = value
        return before
      }),
      (before) =>
        Effect.sync(() => {
          if (before === undefined) delete process.env["NODE_ENV"]
          else process.env["NODE_ENV"] = before
        })
    )
  )
