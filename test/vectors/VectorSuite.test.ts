import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { primitives } from "../../src/primitives/portable.ts"
import { bip340 } from "../../src/cli/vectors/Bip340.ts"
import { rfc8032 } from "../../src/cli/vectors/Rfc8032.ts"
import * as Wycheproof from "../../src/cli/vectors/Wycheproof.ts"

const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")

const seed = new Uint8Array(32).fill(1)
const message = new Uint8Array([1, 2, 3])
const publicKey = toHex((await primitives.publicFromSecret("Ed25519", seed))!)
const signature = toHex(await (await primitives.prepareSign("Ed25519", seed))(message))

const test = (tcId: number, result: string, sig = signature) => ({
  tcId,
  comment: "",
  flags: ["Ours"],
  msg: toHex(message),
  sig,
  result
})

/** A file of the form that Wycheproof's have, around a key of our own. */
const file = (tests: ReadonlyArray<object>, changes: object = {}, curve = "edwards25519") => ({
  algorithm: "EDDSA",
  schema: "eddsa_verify_schema_v1.json",
  numberOfTests: tests.length,
  header: ["Made by this test."],
  notes: { Ours: { bugType: "BASIC" } },
  testGroups: [
    {
      type: "EddsaVerify",
      source: { name: "effect-signer", version: "1" },
      publicKey: { type: "EDDSAPublicKey", curve, keySize: 255, pk: publicKey },
      publicKeyDer: "",
      publicKeyPem: "",
      tests
    }
  ],
  ...changes
})

const folderOf = (files: { readonly [name: string]: object | string }) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const folder = await mkdtemp(join(tmpdir(), "effect-signer-vectors-"))
      for (const [name, content] of Object.entries(files)) {
        await mkdir(join(folder, name, ".."), { recursive: true })
        await writeFile(join(folder, name), typeof content === "string" ? content : JSON.stringify(content))
      }
      return folder
    }),
    (folder) => Effect.promise(() => rm(folder, { recursive: true }))
  )

const runOne = Effect.fnUntraced(function* (content: object | string) {
  const folder = yield* folderOf({ "wycheproof/ed25519_test.json": content })
  const suites = yield* Wycheproof.discover(folder)
  return yield* suites[0]!.run(folder)
})

describe("Wycheproof", () => {
  it.effect("names a suite after each file", () =>
    Effect.gen(function* () {
      const folder = yield* folderOf({
        "wycheproof/b_test.json": {},
        "wycheproof/a_test.json": {},
        "wycheproof/ORIGIN.txt": ""
      })
      const suites = yield* Wycheproof.discover(folder)
      assert.deepStrictEqual(
        suites.map(({ suite }) => suite),
        ["wycheproof/a", "wycheproof/b"]
      )
    })
  )

  it.effect("passes right answers, and either answer to what is acceptable", () =>
    Effect.gen(function* () {
      const wrong = `00${signature.slice(2)}`
      const tests = [test(1, "valid"), test(2, "invalid", wrong), test(3, "acceptable"), test(4, "acceptable", wrong)]
      const result = yield* runOne(file(tests))
      assert.deepStrictEqual(result, {
        suite: "wycheproof/ed25519",
        source: "C2SP/wycheproof testvectors_v1/ed25519_test.json",
        cases: 4,
        passed: 4,
        exceptions: [],
        failures: []
      })
    })
  )

  it.effect("fails wrong answers, with who gave them", () =>
    Effect.gen(function* () {
      const result = yield* runOne(file([test(1, "invalid"), test(2, "valid", "00"), test(3, "valid")]))
      assert.strictEqual(result.passed, 1)
      assert.deepStrictEqual(result.failures, [
        {
          case: "tcId 1",
          problem: "node answers valid, expected invalid; portable answers valid, expected invalid"
        },
        {
          case: "tcId 2",
          problem: "node answers invalid, expected valid; portable answers invalid, expected valid"
        }
      ])
    })
  )

  it.effect("names what is not an algorithm of the toolkit", () =>
    Effect.gen(function* () {
      const result = yield* runOne(file([test(7, "valid")], {}, "edwards448"))
      assert.strictEqual(result.cases, 1)
      assert.strictEqual(result.passed, 0)
      assert.deepStrictEqual(result.exceptions, [
        { case: "tcId 7", reason: "EdDSA on edwards448 is not an algorithm of this toolkit" }
      ])
    })
  )

  const tests = [test(1, "valid")]
  it.effect.each([
    { name: "a field it does not know", content: file([{ ...test(1, "valid"), context: "00" }]), says: "context" },
    { name: "a field of the file", content: file(tests, { curve: "x" }), says: "curve" },
    { name: "a missing field", content: file([{ tcId: 1 }]), says: "comment" },
    { name: "another result", content: file([test(1, "maybe")]), says: "result" },
    { name: "bytes that are not hexadecimal", content: file([test(1, "valid", "0g")]), says: "sig" },
    { name: "another number of tests", content: file(tests, { numberOfTests: 2 }), says: "holds 1 tests and says 2" },
    { name: "an unknown schema", content: file(tests, { schema: "new_schema.json" }), says: "new_schema.json" },
    { name: "what is not JSON", content: "{", says: "schema field" }
  ])("does not read $name", ({ content, says }) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(runOne(content))
      assert.strictEqual(error._tag, "VectorError")
      assert.include(error.message, "ed25519_test.json")
      assert.include(error.message, says)
    })
  )

  it.effect("fails where the folder is absent", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Wycheproof.discover(join(tmpdir(), "effect-signer-no-such-folder")))
      assert.strictEqual(error._tag, "VectorError")
    })
  )
})

describe("rfc8032", () => {
  const vector = { name: "1", secretKey: toHex(seed), publicKey, message: toHex(message), signature }

  it.effect("passes Ed25519, and names the other instances", () =>
    Effect.gen(function* () {
      const folder = yield* folderOf({
        "rfc-extracted/8032-eddsa/ed25519.json": [vector, { ...vector, name: "2", signature: "00" }],
        "rfc-extracted/8032-eddsa/ed448.json": [vector]
      })
      const result = yield* rfc8032.run(folder)
      assert.strictEqual(result.cases, 3)
      assert.strictEqual(result.passed, 1)
      assert.deepStrictEqual(
        result.failures.map((failure) => failure.case),
        ["ed25519 2"]
      )
      assert.deepStrictEqual(result.exceptions, [
        { case: "ed448 1", reason: "Ed448 is not an algorithm of this toolkit" }
      ])
    })
  )

  it.effect("does not read an instance it does not know", () =>
    Effect.gen(function* () {
      const folder = yield* folderOf({ "rfc-extracted/8032-eddsa/ed521.json": [vector] })
      const error = yield* Effect.flip(rfc8032.run(folder))
      assert.include(error.message, "ed521.json")
    })
  )
})

describe("bip340", () => {
  const header = "index,secret key,public key,aux_rand,message,signature,verification result,comment"

  it.effect.each([
    { name: "other columns", text: "index,comment\n0,", says: "columns" },
    { name: "a comma in a comment", text: `${header}\n0,,00,,,00,FALSE,one, two`, says: "9 fields" },
    { name: "another result", text: `${header}\n0,,00,,,00,false,`, says: "verification result" }
  ])("does not read $name", ({ says, text }) =>
    Effect.gen(function* () {
      const folder = yield* folderOf({ "bip340/test-vectors.csv": text })
      const error = yield* Effect.flip(bip340.run(folder))
      assert.include(error.message, says)
    })
  )
})
