/**
 * RFC 9530: the digests of its examples, made and verified; the one that it
 * prints with wrong padding, refused; and its wishes, read.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import * as ContentDigest from "../../protocols/ContentDigest.ts"
import { checked, Hex, readJson, suite } from "./VectorSuite.ts"

const Vectors = Schema.Struct({
  origin: Schema.String,
  licence: Schema.String,
  vectors: Schema.Array(
    Schema.Struct({
      section: Schema.String,
      body: Schema.optionalKey(Schema.String),
      bodyHex: Schema.optionalKey(Hex),
      alg: ContentDigest.DigestAlgorithm,
      digest: Schema.String,
      digestMatchesBody: Schema.Literal(true)
    })
  ),
  malformedAsPrinted: Schema.Array(
    Schema.Struct({ section: Schema.String, header: Schema.String, note: Schema.String })
  ),
  wantHeaders: Schema.Array(Schema.String)
})

const read = readJson(Vectors)

/** The algorithms of ours that each of the printed wishes asks for, the most wanted first. */
const wanted: { readonly [value: string]: ReadonlyArray<ContentDigest.DigestAlgorithm> } = {
  "sha-256=1": ["sha-256"],
  "sha-512=3, sha-256=10, unixsum=0": ["sha-256", "sha-512"]
}

export const rfc9530 = suite({
  suite: "rfc9530",
  folder: "rfc9530",
  source: "RFC 9530 appendices B to D",
  outcomes: Effect.fnUntraced(function* (root) {
    const { malformedAsPrinted, vectors, wantHeaders } = yield* read(join(root, "rfc9530", "rfc9530-vectors.json"))
    const digests = yield* Effect.forEach(vectors, ({ alg, body, bodyHex, digest, section }) =>
      Effect.gen(function* () {
        const content = bodyHex ?? new TextEncoder().encode(body!)
        const value = `${alg}=:${digest}:`
        const made = yield* Effect.exit(ContentDigest.make(content, [alg]))
        const other = new Uint8Array([...content, 0])
        return checked(`${section} ${alg}`, [
          ...(Exit.isSuccess(made) && made.value === value ? [] : ["made another digest"]),
          ...(Exit.isSuccess(yield* Effect.exit(ContentDigest.verify(content, value))) ? [] : ["does not verify"]),
          ...(Exit.isFailure(yield* Effect.exit(ContentDigest.verify(other, value))) ? [] : ["other content verifies"])
        ])
      })
    )
    const malformed = yield* Effect.forEach(malformedAsPrinted, ({ header, section }) =>
      Effect.map(Effect.exit(ContentDigest.parse(header)), (exit) =>
        checked(section, Exit.isFailure(exit) ? [] : ["was read"])
      )
    )
    const wishes = yield* Effect.forEach(wantHeaders, (header) =>
      Effect.gen(function* () {
        const value = header.replace(/^.*?: /, "")
        const exit = yield* Effect.exit(ContentDigest.parseWant(value))
        const isRight = Exit.isSuccess(exit) && exit.value.join() === wanted[value]?.join()
        return checked(header, isRight ? [] : ["was read as another wish"])
      })
    )
    return [...digests, ...malformed, ...wishes]
  })
})
