/**
 * Project Wycheproof's signature files. What a file holds is read from its
 * `schema` field, so further files of a known form need no change here; a form
 * that is not known fails.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { fromPkcs8 } from "../../primitives/rsa.ts"
import type { Hash, KeyType, SignatureAlgorithm } from "../../schemas/SignatureAlgorithm.ts"
import {
  algorithmWith,
  type Asked,
  notEcdsaHere,
  problemsOf,
  problemsWith,
  unequal,
  verifiers
} from "./Implementations.ts"
import {
  checked,
  decodeJson,
  exception,
  Hex,
  type Outcome,
  readText,
  suite,
  VectorError,
  type VectorSuite
} from "./VectorSuite.ts"
import { joseFamilies } from "./WycheproofJose.ts"

// ---------------------------------------------------------------------------
// forms
// ---------------------------------------------------------------------------

const { optionalKey, String: Text } = Schema

const Note = Schema.Struct({
  bugType: Text,
  description: optionalKey(Text),
  effect: optionalKey(Text),
  links: optionalKey(Schema.Array(Text)),
  cves: optionalKey(Schema.Array(Text))
})

const common = {
  tcId: Schema.Int,
  comment: Text,
  flags: Schema.Array(Text),
  result: Schema.Literals(["valid", "invalid", "acceptable"])
}

const Test = Schema.Struct({ ...common, msg: Hex, sig: Hex })

const Jwk = Schema.Struct({
  kty: Text,
  kid: optionalKey(Text),
  alg: optionalKey(Text),
  use: optionalKey(Text),
  key_ops: optionalKey(Schema.Array(Text)),
  crv: optionalKey(Text),
  x: optionalKey(Text),
  y: optionalKey(Text),
  n: optionalKey(Text),
  e: optionalKey(Text),
  d: optionalKey(Text),
  p: optionalKey(Text),
  q: optionalKey(Text),
  dp: optionalKey(Text),
  dq: optionalKey(Text),
  qi: optionalKey(Text)
})

const group = <F extends Schema.Struct.Fields, T extends Schema.Constraint>(type: string, test: T, fields: F) =>
  Schema.Struct({
    type: Schema.Literal(type),
    source: Schema.Struct({ name: Text, version: Text }),
    tests: Schema.Array(test),
    ...fields
  })

const publicKeyForms = { publicKeyDer: Text, publicKeyPem: Text, publicKeyJwk: optionalKey(Jwk) }

const ecdsaFields = {
  publicKey: Schema.Struct({
    type: Schema.Literal("EcPublicKey"),
    curve: Text,
    keySize: Schema.Int,
    uncompressed: Hex,
    wx: Text,
    wy: Text
  }),
  sha: Text,
  ...publicKeyForms
}

const eddsaFields = {
  publicKey: Schema.Struct({ type: Text, curve: Text, keySize: Schema.Int, pk: Hex }),
  ...publicKeyForms
}

const rsaFields = {
  publicKey: Schema.Struct({ modulus: Text, publicExponent: Text }),
  /** PKCS#1 `RSAPublicKey`. */
  publicKeyAsn: Hex,
  keyJwk: optionalKey(Jwk),
  keySize: Schema.Int,
  sha: Text,
  ...publicKeyForms
}

const pssFields = { ...rsaFields, mgf: Text, mgfSha: Text, sLen: Schema.Int }

const pkcs1GenerateFields = {
  privateKey: Schema.Struct({
    modulus: Text,
    publicExponent: Text,
    privateExponent: Text,
    prime1: optionalKey(Text),
    prime2: optionalKey(Text),
    exponent1: optionalKey(Text),
    exponent2: optionalKey(Text),
    coefficient: optionalKey(Text),
    otherPrimeInfos: optionalKey(Schema.Array(Schema.Array(Text)))
  }),
  privateKeyPkcs8: Hex,
  privateKeyPem: Text,
  privateKeyJwk: optionalKey(Jwk),
  keyAsn: Hex,
  keyDer: Text,
  keyPem: Text,
  keyJwk: optionalKey(Jwk),
  keySize: Schema.Int,
  sha: Text
}

const mlDsaVerifyFields = { publicKey: Hex, publicKeyDer: Text }

const MlDsaVerifyTest = Schema.Struct({ ...Test.fields, ctx: optionalKey(Hex) })

const mlDsaSeedFields = {
  privateSeed: Hex,
  privateKeyPkcs8: optionalKey(Text),
  publicKey: Schema.NullOr(Hex)
}

const mlDsaNoSeedFields = { privateKey: Hex, publicKey: Schema.NullOr(Hex) }

const MlDsaSignTest = Schema.Struct({
  ...common,
  sig: Hex,
  msg: optionalKey(Hex),
  ctx: optionalKey(Hex),
  rnd: optionalKey(Hex),
  mu: optionalKey(Hex)
})

// ---------------------------------------------------------------------------
// families
// ---------------------------------------------------------------------------

/** How the signatures of one group are verified, or why they are not. */
type Plan =
  | {
      readonly algorithm: SignatureAlgorithm
      readonly publicKey: Uint8Array
      readonly options?: Parameters<typeof verifiers>[2]
    }
  | { readonly unsupported: string }

const notOurs = (what: string): Plan => ({ unsupported: `${what} is not an algorithm of this toolkit` })

const caseName = (test: { readonly tcId: number; readonly comment: string }): string =>
  test.comment === "" ? `tcId ${test.tcId}` : `tcId ${test.tcId} ${test.comment}`

type Family = (file: string, text: string) => Effect.Effect<ReadonlyArray<Outcome>, VectorError>

/** A file of groups of one form, each group run by `runGroup`. */
const family = <G extends { readonly tests: ReadonlyArray<unknown> }>(
  schema: Schema.Constraint & { readonly Type: G; readonly DecodingServices: never },
  runGroup: (group: G, algorithm: string) => Effect.Effect<ReadonlyArray<Outcome>>
): Family => {
  const decode = decodeJson(
    Schema.Struct({
      algorithm: Text,
      generatorVersion: optionalKey(Text),
      schema: Text,
      numberOfTests: Schema.Int,
      header: Schema.Array(Text),
      notes: Schema.Record(Text, Note),
      testGroups: Schema.Array(schema)
    })
  )
  return Effect.fnUntraced(function* (file, text) {
    const { algorithm, numberOfTests, testGroups } = yield* decode(file, text)
    const outcomes = yield* Effect.forEach(testGroups, (group) => runGroup(group, algorithm))
    const found = outcomes.flat()
    return found.length === numberOfTests
      ? found
      : yield* new VectorError({ file, problem: `holds ${found.length} tests and says ${numberOfTests}` })
  })
}

/** A file whose tests are signatures to verify. */
const verifyFamily = <G extends { readonly tests: ReadonlyArray<typeof Test.Type> }>(
  schema: Schema.Constraint & { readonly Type: G; readonly DecodingServices: never },
  planOf: (group: G) => Plan
): Family =>
  family(
    schema,
    Effect.fnUntraced(function* (group) {
      const plan = planOf(group)
      if ("unsupported" in plan) return group.tests.map((test) => exception(caseName(test), plan.unsupported))
      const asked = yield* verifiers(plan.algorithm, plan.publicKey, plan.options)
      return yield* Effect.forEach(group.tests, (test) => checkedBy(asked, test))
    })
  )

const checkedBy = (asked: ReadonlyArray<Asked>, test: typeof Test.Type, problems: ReadonlyArray<string> = []) =>
  Effect.map(problemsOf(asked, test.result, test.msg, test.sig), (found) =>
    checked(caseName(test), [...problems, ...found])
  )

const curves: { readonly [name: string]: KeyType } = {
  secp256r1: "P-256",
  secp384r1: "P-384",
  secp521r1: "P-521",
  secp256k1: "secp256k1"
}

interface EcdsaGroup {
  readonly publicKey: { readonly curve: string; readonly uncompressed: Uint8Array }
  readonly sha: string
}

const ecdsaPlan =
  (options: Parameters<typeof verifiers>[2]) =>
  ({ publicKey, sha }: EcdsaGroup): Plan => {
    const { curve, uncompressed } = publicKey
    const keyType = curves[curve]
    const algorithm = keyType === undefined ? undefined : algorithmWith({ scheme: "ECDSA", keyType, hash: sha as Hash })
    return algorithm === undefined
      ? { unsupported: notEcdsaHere(curve, keyType !== undefined, sha) }
      : { algorithm, publicKey: uncompressed, options }
  }

interface RsaNumbers {
  readonly modulus: string
  readonly publicExponent: string
}

/** Keys that the toolkit refuses to verify with, whatever the signature. */
const weakness = ({ modulus, publicExponent }: RsaNumbers): string | undefined =>
  BigInt(`0x${modulus}`).toString(2).length < 2048
    ? "RSA keys of fewer than 2048 bits are refused"
    : BigInt(`0x${publicExponent}`) < 65537n
      ? "RSA keys with a public exponent below 65537 are refused"
      : undefined

const rsaPlan = (
  algorithm: SignatureAlgorithm | undefined,
  scheme: string,
  group: { readonly publicKey: RsaNumbers; readonly publicKeyAsn: Uint8Array }
): Plan => {
  if (algorithm === undefined) return notOurs(scheme)
  const weak = weakness(group.publicKey)
  return weak === undefined ? { algorithm, publicKey: group.publicKeyAsn } : { unsupported: weak }
}

const RsassaPss = group("RsassaPssVerify", Test, pssFields)
const RsassaPssWithParameters = group("RsassaPssWithParametersVerify", Test, pssFields)

const pssPlan = (group: typeof RsassaPss.Type | typeof RsassaPssWithParameters.Type): Plan => {
  const { mgf, mgfSha, sLen, sha } = group
  const algorithm =
    mgf === "MGF1" && mgfSha === sha
      ? algorithmWith({ scheme: "RSA-PSS", hash: sha as Hash, saltLength: sLen })
      : undefined
  const maskedBy = mgfSha === "" ? mgf : `${mgf} of ${mgfSha}`
  return rsaPlan(algorithm, `RSA-PSS with ${sha}, ${maskedBy} and a salt of ${sLen} bytes`, group)
}

const pkcs1Algorithm = (sha: string) => algorithmWith({ scheme: "RSA-PKCS1", hash: sha as Hash })

const Pkcs1Verify = group("RsassaPkcs1Verify", Test, rsaFields)
const Pkcs1Generate = group("RsassaPkcs1Generate", Test, pkcs1GenerateFields)

const pkcs1Plan = (group: {
  readonly publicKey: RsaNumbers
  readonly publicKeyAsn: Uint8Array
  readonly sha: string
}): Plan => rsaPlan(pkcs1Algorithm(group.sha), `RSASSA-PKCS1-v1_5 with ${group.sha}`, group)

/** PKCS#1 v1.5 signatures are deterministic: what is signed is what the file holds. */
const runPkcs1Generate = Effect.fnUntraced(function* (group: typeof Pkcs1Generate.Type) {
  const plan = pkcs1Plan({ publicKey: group.privateKey, publicKeyAsn: group.keyAsn, sha: group.sha })
  if ("unsupported" in plan) return group.tests.map((test) => exception(caseName(test), plan.unsupported))
  const secret = fromPkcs8(group.privateKeyPkcs8) ?? new Uint8Array(0)
  const asked = yield* verifiers(plan.algorithm, plan.publicKey)
  return yield* Effect.forEach(
    group.tests,
    Effect.fnUntraced(function* (test) {
      const made = yield* problemsWith(async (primitives) => {
        const sign = await primitives.prepareSign(plan.algorithm, secret)
        return [
          ...unequal("public key", await primitives.publicFromSecret("RSA", secret), group.keyAsn),
          ...unequal("signature", await sign(test.msg), test.sig)
        ]
      })
      return yield* checkedBy(asked, test, made)
    })
  )
})

const MlDsaVerify = group("MlDsaVerify", MlDsaVerifyTest, mlDsaVerifyFields)

const withContext = "ML-DSA with a context string is not an algorithm of this toolkit"

const hasContext = (test: { readonly ctx?: Uint8Array }) => test.ctx !== undefined && test.ctx.length > 0

const runMlDsaVerify = Effect.fnUntraced(function* (group: typeof MlDsaVerify.Type, algorithm: string) {
  const asked = yield* verifiers(algorithm as SignatureAlgorithm, group.publicKey)
  return yield* Effect.forEach(group.tests, (test) =>
    hasContext(test) ? Effect.succeed(exception(caseName(test), withContext)) : checkedBy(asked, test)
  )
})

const MlDsaSignSeed = group("MlDsaSign", MlDsaSignTest, mlDsaSeedFields)

/** The toolkit signs hedged, so the bytes differ each time: checked are the public key and the file's signature. */
const runMlDsaSignSeed = Effect.fnUntraced(function* (group: typeof MlDsaSignSeed.Type, algorithm: string) {
  const keyType = algorithm as Extract<KeyType, `ML-DSA-${string}`>
  const { publicKey } = group
  const derived = yield* problemsWith(async (primitives) => {
    const actual = await primitives.publicFromSecret(keyType, group.privateSeed)
    if (publicKey !== null) return unequal("public key", actual, publicKey)
    return actual === undefined ? [] : ["derives a public key of what is no seed"]
  })
  if (publicKey === null) return group.tests.map((test) => checked(caseName(test), derived))
  const asked = yield* verifiers(keyType, publicKey)
  return yield* Effect.forEach(group.tests, (test) => {
    const { msg } = test
    if (hasContext(test)) return Effect.succeed(exception(caseName(test), withContext))
    return msg === undefined
      ? Effect.succeed(exception(caseName(test), "the toolkit signs messages, not an external mu"))
      : checkedBy(asked, { ...test, msg }, derived)
  })
})

const MlDsaSignNoSeed = group("MlDsaSign", MlDsaSignTest, mlDsaNoSeedFields)

const families: { readonly [schema: string]: Family } = {
  "ecdsa_verify_schema_v1.json": verifyFamily(group("EcdsaVerify", Test, ecdsaFields), ecdsaPlan({ encoding: "der" })),
  "ecdsa_p1363_verify_schema_v1.json": verifyFamily(
    group("EcdsaP1363Verify", Test, ecdsaFields),
    ecdsaPlan({ encoding: "raw" })
  ),
  "ecdsa_bitcoin_verify_schema.json": verifyFamily(
    group("EcdsaBitcoinVerify", Test, ecdsaFields),
    ecdsaPlan({ encoding: "der", lowS: true })
  ),
  "eddsa_verify_schema_v1.json": verifyFamily(group("EddsaVerify", Test, eddsaFields), ({ publicKey }) =>
    publicKey.curve === "edwards25519"
      ? { algorithm: "Ed25519", publicKey: publicKey.pk }
      : notOurs(`EdDSA on ${publicKey.curve}`)
  ),
  "rsassa_pss_verify_schema_v1.json": verifyFamily(RsassaPss, pssPlan),
  "rsassa_pss_with_parameters_verify_schema.json": verifyFamily(RsassaPssWithParameters, pssPlan),
  "rsassa_pkcs1_verify_schema_v1.json": verifyFamily(Pkcs1Verify, pkcs1Plan),
  "rsassa_pkcs1_generate_schema_v1.json": family(Pkcs1Generate, runPkcs1Generate),
  "mldsa_verify_schema.json": family(MlDsaVerify, runMlDsaVerify),
  "mldsa_sign_seed_schema.json": family(MlDsaSignSeed, runMlDsaSignSeed),
  "mldsa_sign_noseed_schema.json": family(MlDsaSignNoSeed, ({ tests }) =>
    Effect.succeed(
      tests.map((test) => exception(caseName(test), "ML-DSA secrets of this toolkit are seeds, not expanded keys"))
    )
  ),
  ...joseFamilies
}

const Header = Schema.Struct({ schema: Text })
const decodeHeader = Schema.decodeUnknownEffect(Schema.fromJsonString(Header))

const outcomesOf = Effect.fnUntraced(function* (root: string, file: string) {
  const text = yield* readText(join(root, "wycheproof", file))
  const { schema } = yield* Effect.mapError(
    decodeHeader(text),
    () => new VectorError({ file, problem: "is not JSON with a schema field" })
  )
  const found = families[schema]
  if (found === undefined) {
    return yield* new VectorError({ file, problem: `no suite reads the schema ${schema}` })
  }
  return yield* found(file, text)
})

/** One suite per file of the folder `wycheproof`, in the order of their names. */
export const discover = (root: string): Effect.Effect<ReadonlyArray<VectorSuite>, VectorError> =>
  Effect.tryPromise({
    try: () => readdir(join(root, "wycheproof")),
    catch: (error) => new VectorError({ file: "wycheproof", problem: `cannot be read: ${String(error)}` })
  }).pipe(
    Effect.map((files) =>
      files
        .filter((file) => file.endsWith(".json"))
        .sort()
        .map((file) =>
          suite({
            suite: `wycheproof/${file.replace(/(_test)?\.json$/, "")}`,
            folder: "wycheproof",
            source: `C2SP/wycheproof testvectors_v1/${file}`,
            outcomes: (root) => outcomesOf(root, file)
          })
        )
    )
  )
