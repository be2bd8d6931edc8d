/**
 * Project Wycheproof's JOSE files: JSON Web Signatures, keys and key sets, read
 * and verified as an application would. A test is accepted where `KeyResolver` or
 * `Mac` takes the keys and `Jws` verifies with them.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Jws from "../../protocols/Jws.ts"
import { fromJose } from "../../schemas/JoseAlgorithm.ts"
import * as KeyResolver from "../../services/KeyResolver.ts"
import * as Mac from "../../services/Mac.ts"
import { checked, decodeJson, exception, type Outcome, VectorError } from "./VectorSuite.ts"

const { optionalKey, String: Text } = Schema

/** What a JWK holds is for the toolkit to read, faults included. */
const Keys = Schema.JsonObject

const Test = Schema.Struct({
  tcId: Schema.Int,
  comment: Text,
  jws: optionalKey(Schema.Union([Text, Schema.JsonObject])),
  jwe: optionalKey(Schema.Union([Text, Schema.JsonObject])),
  pt: optionalKey(Text),
  result: Schema.Literals(["valid", "invalid", "acceptable"]),
  flags: Schema.Array(Text)
})

const Group = Schema.Struct({
  type: Schema.Literals(["JsonWebSignature", "JsonWebKey", "JsonWebCrypto", "JsonWebEncryption"]),
  source: optionalKey(Schema.Struct({ name: Text, version: Text })),
  comment: optionalKey(Text),
  private: optionalKey(Keys),
  public: optionalKey(Keys),
  tests: Schema.Array(Test)
})

const decode = decodeJson(
  Schema.Struct({
    schema: Text,
    algorithm: optionalKey(Text),
    generatorVersion: optionalKey(Text),
    numberOfTests: Schema.Int,
    header: Schema.Array(Text),
    notes: Schema.Record(Text, Schema.Json),
    testGroups: Schema.Array(Group)
  })
)

/** Cases of `json_web_signature_test.json` that this toolkit answers otherwise on purpose, or that contradict others. */
const exceptions: ReadonlyMap<number, string> = new Map([
  ...[346, 350].map((id) => [id, "the key says PS256 and the header PS384: a key has one algorithm"] as const),
  ...[347, 351].map(
    (id) => [id, `the key says ES521, which is no registered algorithm (RFC 7518 section 3.1)`] as const
  ),
  ...[367, 370].map((id) => [id, "the JWS and the key are those of tcId 357, which the file calls valid"] as const),
  ...[372, 373].map(
    (id) => [id, "a character outside of the base64url alphabet is refused (RFC 7515 section 2)"] as const
  )
])

const asSet = (keys: Schema.JsonObject): Schema.JsonObject => (Array.isArray(keys["keys"]) ? keys : { keys: [keys] })

const isSymmetric = (keys: Schema.JsonObject): boolean =>
  (asSet(keys)["keys"] as ReadonlyArray<Schema.JsonObject>).every((key) => key["kty"] === "oct")

/** The algorithm that the header of a compact JWS names: what an application states where the key does not. */
const statedAlgorithm = (jws: string | Schema.JsonObject): string | undefined => {
  try {
    const header = typeof jws === "string" ? jws.split(".")[0] : jws["protected"]
    return JSON.parse(Buffer.from(String(header), "base64url").toString())["alg"]
  } catch {
    return undefined
  }
}

const resolverOf = (keys: Schema.JsonObject, jws: string | Schema.JsonObject) => {
  const algorithm = fromJose(statedAlgorithm(jws) ?? "")
  return Effect.catchIf(
    KeyResolver.fromJwks(JSON.stringify(asSet(keys))),
    (error) => error.reason === "AlgorithmUnstated" && algorithm !== undefined,
    () => KeyResolver.fromJwks(JSON.stringify(asSet(keys)), { algorithms: [algorithm!] })
  )
}

const verifySigned = (keys: Schema.JsonObject, jws: string | Schema.JsonObject) =>
  Effect.gen(function* () {
    const resolver = yield* resolverOf(keys, jws)
    const verified: Effect.Effect<unknown, unknown, KeyResolver.KeyResolver> =
      typeof jws === "string"
        ? Jws.verify(jws)
        : jws["signatures"] === undefined
          ? Jws.verifyFlattened(JSON.stringify(jws))
          : Jws.verifyGeneral(JSON.stringify(jws))
    return yield* Effect.provideService(verified, KeyResolver.KeyResolver, resolver)
  })

const isMacAlgorithm = Schema.is(Mac.MacAlgorithm)

const verifyMac = (keys: Schema.JsonObject, jws: string | Schema.JsonObject) =>
  Effect.gen(function* () {
    const stated = statedAlgorithm(jws)
    const set = asSet(keys)
    const isUnstated = (set["keys"] as ReadonlyArray<Schema.JsonObject>).every((jwk) => jwk["alg"] === undefined)
    const macs = yield* Mac.fromJwks(
      Redacted.make(set),
      isUnstated && isMacAlgorithm(stated) ? { algorithm: stated } : {}
    )
    return yield* typeof jws === "string" ? Jws.verifyMac(jws, macs) : Jws.verifyMacFlattened(JSON.stringify(jws), macs)
  })

const run = Effect.fnUntraced(function* (group: typeof Group.Type, test: typeof Test.Type, isNamed: boolean) {
  const name = test.comment === "" ? `tcId ${test.tcId}` : `tcId ${test.tcId} ${test.comment}`
  const { jws } = test
  if (jws === undefined) return exception(name, "encryption (JWE) is not part of this toolkit")
  const reason = isNamed ? exceptions.get(test.tcId) : undefined
  if (reason !== undefined) return exception(name, reason)
  const keys = group.public ?? group.private
  if (keys === undefined) return checked(name, ["the group has no keys"])
  const verified: Effect.Effect<unknown, unknown> =
    group.public === undefined && isSymmetric(keys) ? verifyMac(keys, jws) : verifySigned(keys, jws)
  const isAccepted = Result.isSuccess(yield* Effect.result(verified))
  return checked(
    name,
    test.result === "valid" && !isAccepted
      ? ["valid, and refused"]
      : test.result === "invalid" && isAccepted
        ? ["invalid, and accepted"]
        : []
  )
})

const family = Effect.fnUntraced(function* (
  file: string,
  text: string
): Effect.fn.Return<ReadonlyArray<Outcome>, VectorError> {
  const { numberOfTests, testGroups } = yield* decode(file, text)
  const isNamed = file.startsWith("json_web_signature_test")
  const outcomes = yield* Effect.forEach(testGroups, (group) =>
    Effect.forEach(group.tests, (test) => run(group, test, isNamed))
  )
  const found = outcomes.flat()
  return found.length === numberOfTests
    ? found
    : yield* new VectorError({ file, problem: `holds ${found.length} tests and says ${numberOfTests}` })
})

/** The forms of the JOSE files, by their `schema` field. */
export const joseFamilies = Object.fromEntries(
  ["signature", "key", "crypto", "encryption"].flatMap((subject) =>
    [`json_web_${subject}_schema.json`, `json_web_${subject}_schema_v1.json`].map((schema) => [schema, family] as const)
  )
)
