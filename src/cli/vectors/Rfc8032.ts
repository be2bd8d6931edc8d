/**
 * RFC 8032 section 7: the Ed25519 signatures, made and verified byte for byte.
 * The other instances of EdDSA are read too, and named as not supported.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { problemsOf, problemsWith, unequal, verifiers } from "./Implementations.ts"
import { checked, exception, Hex, type Outcome, readJson, suite, VectorError } from "./VectorSuite.ts"

const Vectors = Schema.Array(
  Schema.Struct({
    name: Schema.String,
    secretKey: Hex,
    publicKey: Hex,
    message: Hex,
    context: Schema.optionalKey(Hex),
    signature: Hex
  })
)

const read = readJson(Vectors)

const unsupported: { readonly [file: string]: string } = {
  "ed25519ctx.json": "Ed25519ctx is not an algorithm of this toolkit",
  "ed25519ph.json": "Ed25519ph is not an algorithm of this toolkit",
  "ed448.json": "Ed448 is not an algorithm of this toolkit",
  "ed448ph.json": "Ed448ph is not an algorithm of this toolkit"
}

const check = Effect.fnUntraced(function* (vector: (typeof Vectors.Type)[number]) {
  const made = yield* problemsWith(async (primitives) => {
    const sign = await primitives.prepareSign("Ed25519", vector.secretKey)
    return [
      ...unequal("public key", await primitives.publicFromSecret("Ed25519", vector.secretKey), vector.publicKey),
      ...unequal("signature", await sign(vector.message), vector.signature)
    ]
  })
  const asked = yield* verifiers("Ed25519", vector.publicKey)
  return [...made, ...(yield* problemsOf(asked, "valid", vector.message, vector.signature))]
})

const outcomesOf = Effect.fnUntraced(function* (folder: string, file: string) {
  const vectors = yield* read(join(folder, file))
  return yield* Effect.forEach(vectors, (vector): Effect.Effect<Outcome, VectorError> => {
    const name = `${file.replace(/\.json$/, "")} ${vector.name}`
    if (file === "ed25519.json") return Effect.map(check(vector), (problems) => checked(name, problems))
    const reason = unsupported[file]
    return reason === undefined
      ? Effect.fail(new VectorError({ file, problem: "an instance of EdDSA that this suite does not know" }))
      : Effect.succeed(exception(name, reason))
  })
})

export const rfc8032 = suite({
  suite: "rfc8032",
  folder: "rfc-extracted/8032-eddsa",
  source: "RFC 8032 section 7",
  outcomes: Effect.fnUntraced(function* (root) {
    const folder = join(root, "rfc-extracted", "8032-eddsa")
    const files = yield* Effect.tryPromise({
      try: () => readdir(folder),
      catch: (error) => new VectorError({ file: "8032-eddsa", problem: `cannot be read: ${String(error)}` })
    })
    const outcomes = yield* Effect.forEach(files.filter((file) => file.endsWith(".json")).sort(), (file) =>
      outcomesOf(folder, file)
    )
    return outcomes.flat()
  })
})
