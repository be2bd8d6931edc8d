/**
 * RFC 6979 appendix A.2: deterministic ECDSA. Every implementation derives the
 * public key and verifies; the portable one, whose signatures are deterministic,
 * makes the same bytes.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import { coordinateLength } from "../../schemas/Ecdsa.ts"
import type { EcCurve } from "../../primitives/Primitives.ts"
import { primitives as portable } from "../../primitives/portable.ts"
import { facts, type Hash, type SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import { algorithmWith, notEcdsaHere, problemsOf, problemsWith, unequal, verifiers } from "./Implementations.ts"
import { checked, exception, readJson, suite } from "./VectorSuite.ts"

const Case = Schema.Struct({
  hash: Schema.String,
  message: Schema.String,
  k: Schema.String,
  r: Schema.String,
  s: Schema.String
})

const Curve = Schema.Struct({
  curve: Schema.String,
  q: Schema.String,
  private: Schema.String,
  Ux: Schema.String,
  Uy: Schema.String,
  cases: Schema.Array(Case)
})

const read = readJson(Schema.Array(Curve))

const curves: { readonly [name: string]: EcCurve } = {
  "NIST P-256": "P-256",
  "NIST P-384": "P-384",
  "NIST P-521": "P-521",
  secp256k1: "secp256k1"
}

/** The RFC prints numbers without leading zeros. */
const padded = (hex: string, length: number): Uint8Array =>
  new Uint8Array(Buffer.from(hex.padStart(2 * length, "0"), "hex"))

const check = Effect.fnUntraced(function* (
  algorithm: SignatureAlgorithm,
  key: typeof Curve.Type,
  vector: typeof Case.Type
) {
  const curve = facts[algorithm].keyType as EcCurve
  const length = coordinateLength[curve]
  const secret = padded(key.private, length)
  const publicKey = new Uint8Array([0x04, ...padded(key.Ux, length), ...padded(key.Uy, length)])
  const message = new TextEncoder().encode(vector.message)
  const signature = new Uint8Array([...padded(vector.r, length), ...padded(vector.s, length)])
  const made = yield* problemsWith(async (primitives) => [
    ...unequal("public key", await primitives.publicFromSecret(curve, secret), publicKey),
    ...(primitives === portable
      ? unequal("signature", await (await primitives.prepareSign(algorithm, secret))(message), signature)
      : [])
  ])
  const asked = yield* verifiers(algorithm, publicKey)
  return [...made, ...(yield* problemsOf(asked, "valid", message, signature))]
})

export const rfc6979 = suite({
  suite: "rfc6979",
  folder: "rfc-extracted/6979-deterministic-ecdsa",
  source: "RFC 6979 appendix A.2",
  outcomes: Effect.fnUntraced(function* (root) {
    const keys = yield* read(join(root, "rfc-extracted", "6979-deterministic-ecdsa", "vectors.json"))
    const outcomes = yield* Effect.forEach(keys, (key) =>
      Effect.forEach(key.cases, (vector) => {
        const name = `${key.curve} ${vector.hash} "${vector.message}"`
        const keyType = curves[key.curve]
        const algorithm =
          keyType === undefined ? undefined : algorithmWith({ scheme: "ECDSA", keyType, hash: vector.hash as Hash })
        return algorithm === undefined
          ? Effect.succeed(exception(name, notEcdsaHere(key.curve, keyType !== undefined, vector.hash)))
          : Effect.map(check(algorithm, key, vector), (problems) => checked(name, problems))
      })
    )
    return outcomes.flat()
  })
})
