/**
 * The BIP340 test vectors: verified by every implementation, and signed with the
 * given auxiliary randomness where the secret key is given.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { join } from "node:path"
import { signWith } from "../../primitives/schnorr.ts"
import * as PublicKey from "../../schemas/PublicKey.ts"
import { problemsOf, problemsWith, unequal, verifiers } from "./Implementations.ts"
import { checked, Hex, readText, suite, VectorError } from "./VectorSuite.ts"

const columns = [
  "index",
  "secret key",
  "public key",
  "aux_rand",
  "message",
  "signature",
  "verification result",
  "comment"
]

const decodeRow = Schema.decodeUnknownEffect(
  Schema.Struct({
    index: Schema.String,
    "secret key": Hex,
    "public key": Hex,
    aux_rand: Hex,
    message: Hex,
    signature: Hex,
    "verification result": Schema.Literals(["TRUE", "FALSE"]),
    comment: Schema.String
  }),
  { onExcessProperty: "error" }
)

type Row = Effect.Success<ReturnType<typeof decodeRow>>

const decode = Effect.fnUntraced(function* (text: string) {
  const fail = (problem: string) => new VectorError({ file: "test-vectors.csv", problem })
  const [header, ...lines] = text.trimEnd().split(/\r?\n/)
  if (header !== columns.join(",")) return yield* fail("its columns are not the known ones")
  return yield* Effect.forEach(lines, (line) => {
    // the file quotes nothing: more fields than columns would be a comma in a comment
    const fields = line.split(",")
    return fields.length === columns.length
      ? Effect.mapError(decodeRow(Object.fromEntries(columns.map((column, i) => [column, fields[i]]))), (error) =>
          fail(error.message)
        )
      : Effect.fail(fail(`a row has ${fields.length} fields, not ${columns.length}`))
  })
})

const check = Effect.fnUntraced(function* (row: Row) {
  const isPoint = Result.isSuccess(yield* Effect.result(PublicKey.fromRaw("BIP340", row["public key"])))
  const made = yield* problemsWith(async (primitives) => {
    // the public key is an x coordinate: of the point with the even y
    const point = await primitives.decodePoint("secp256k1", new Uint8Array([0x02, ...row["public key"]]))
    const read = (point !== undefined) === isPoint ? [] : [`decodes ${point === undefined ? "no" : "a"} point`]
    const secret = row["secret key"]
    if (secret.length === 0) return read
    const fresh = await (await primitives.prepareSign("BIP340", secret))(row.message)
    const verifies = await (await primitives.prepareVerify("BIP340", point!))(row.message, fresh)
    const publicKey = await primitives.publicFromSecret("secp256k1", secret)
    return [
      ...read,
      ...unequal("public key", publicKey?.subarray(1, 33), row["public key"]),
      ...unequal("signature", signWith(secret, row.message, row.aux_rand), row.signature),
      ...(verifies ? [] : ["its own signature does not verify"])
    ]
  })
  const asked = yield* verifiers("BIP340", row["public key"])
  const expected = row["verification result"] === "TRUE" ? "valid" : "invalid"
  return [...made, ...(yield* problemsOf(asked, expected, row.message, row.signature))]
})

export const bip340 = suite({
  suite: "bip340",
  folder: "bip340",
  source: "bitcoin/bips bip-0340/test-vectors.csv",
  outcomes: Effect.fnUntraced(function* (root) {
    const rows = yield* Effect.flatMap(readText(join(root, "bip340", "test-vectors.csv")), decode)
    return yield* Effect.forEach(rows, (row) =>
      Effect.map(check(row), (problems) =>
        checked(row.comment === "" ? row.index : `${row.index} ${row.comment}`, problems)
      )
    )
  })
})
