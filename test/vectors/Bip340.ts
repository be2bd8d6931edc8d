/**
 * The BIP340 test vectors: verified by every implementation, and signed with the
 * given auxiliary randomness where the secret key is given.
 */
import { Effect, Schema } from "effect"
import { join } from "node:path"
import type { Primitives } from "../../src/primitives/Primitives.ts"
import { signWith } from "../../src/primitives/schnorr.ts"
import { problemsWith, run, unequal } from "./Implementations.ts"
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

const decode = Effect.fnUntraced(function*(text: string) {
  const fail = (problem: string) => new VectorError({ file: "test-vectors.csv", problem })
  const [header, ...lines] = text.trimEnd().split(/\r?\n/)
  if (header !== columns.join(",")) return yield* fail("its columns are not the known ones")
  return yield* Effect.forEach(lines, (line) => {
    // the file quotes nothing: more fields than columns would be a comma in a comment
    const fields = line.split(",")
    return fields.length === columns.length
      ? Effect.mapError(
        decodeRow(Object.fromEntries(columns.map((column, i) => [column, fields[i]]))),
        (error) => fail(error.message)
      )
      : Effect.fail(fail(`a row has ${fields.length} fields, not ${columns.length}`))
  })
})

/** The key is an x coordinate: the point with the even y. One that is no point verifies nothing. */
const verifies = async (primitives: Primitives, row: Row): Promise<boolean> => {
  const point = await primitives.decodePoint("secp256k1", new Uint8Array([0x02, ...row["public key"]]))
  return point !== undefined && (await primitives.prepareVerify("BIP340", point))(row.message, row.signature)
}

const check = (row: Row): Promise<ReadonlyArray<string>> =>
  problemsWith(async (primitives) => {
    const valid = await verifies(primitives, row)
    const wrong = valid === (row["verification result"] === "TRUE") ? [] : [`answers ${valid}`]
    const secret = row["secret key"]
    if (secret.length === 0) return wrong
    const publicKey = await primitives.publicFromSecret("secp256k1", secret)
    const sign = await primitives.prepareSign("BIP340", secret)
    const fresh = await sign(row.message)
    return [
      ...wrong,
      ...unequal("public key", publicKey?.subarray(1, 33), row["public key"]),
      ...unequal("signature", signWith(secret, row.message, row.aux_rand), row.signature),
      ...(await verifies(primitives, { ...row, signature: fresh }) ? [] : ["its own signature does not verify"])
    ]
  })

export const bip340 = suite({
  suite: "bip340",
  source: "bitcoin/bips bip-0340/test-vectors.csv",
  outcomes: Effect.fnUntraced(function*(root) {
    const rows = yield* Effect.flatMap(readText(join(root, "bip340", "test-vectors.csv")), decode)
    return yield* Effect.forEach(rows, (row) =>
      Effect.map(run(() => check(row)), (problems) =>
        checked(row.comment === "" ? row.index : `${row.index} ${row.comment}`, problems)))
  })
})
