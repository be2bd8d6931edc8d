import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Redacted } from "effect"
import { argon2Sync, createCipheriv, createDecipheriv } from "node:crypto"
import { PrivateKey, PublicKey, SignatureAlgorithm } from "../../src/index.ts"
import * as EncryptedKeyFile from "../../src/schemas/EncryptedKeyFile.ts"
import * as PrivateKeyForm from "../../src/schemas/PrivateKeyForm.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { cheap } from "../conformance/file.ts"

const words = "correct horse battery staple"
const passphrase = Redacted.make(words)
const secret = TestKey.secretBytes("Ed25519", "effect-signer")
const search = Canary.search([
  { name: "passphrase", secret: words },
  { name: "key", secret }
])

/** A new key file. */
const make = (cost: EncryptedKeyFile.Cost = cheap) =>
  Effect.flatMap(TestKey.make("Ed25519"), (key) => EncryptedKeyFile.encrypt(key, passphrase, { cost }))

type Json = { [name: string]: unknown } & { key: Json; kdf: Json; cipher: Json }

/** A text with other members, as JSON has it. */
const changed = (file: EncryptedKeyFile.EncryptedKeyFile, change: (json: Json) => void) => {
  const json = JSON.parse(EncryptedKeyFile.encode(file)) as Json
  change(json)
  return `${JSON.stringify(json, undefined, 2)}\n`
}

const read = (text: string) =>
  Effect.flatMap(EncryptedKeyFile.decode(text), (file) => EncryptedKeyFile.decrypt(file, passphrase))

/** What must be refused as malformed, before anything is derived. */
const refused = Effect.fnUntraced(function* (text: string) {
  const error = yield* Effect.flip(EncryptedKeyFile.decode(text))
  assert.strictEqual(error._tag, "InvalidConfiguration")
  assert.strictEqual(error.field, "encryptedKeyFile")
  assert.isUndefined(search(Canary.show(error)))
  return error.problem
})

describe("encrypt and decrypt", () => {
  it.effect.each(SignatureAlgorithm.all)("keep a key for %s, and what it is for", (algorithm) =>
    Effect.gen(function* () {
      const pem = PrivateKey.toPem(yield* TestKey.make(algorithm))
      const key = yield* PrivateKey.fromPem(pem, { algorithm })
      const text = EncryptedKeyFile.encode(yield* EncryptedKeyFile.encrypt(key, passphrase, { cost: cheap }))
      const again = yield* read(text)
      assert.isTrue(PublicKey.sameKey(again.publicKey, key.publicKey))
      assert.strictEqual(again.algorithm, algorithm)
      assert.strictEqual(Redacted.value(PrivateKey.toPem(again)), Redacted.value(pem))
      assert.strictEqual(EncryptedKeyFile.encode(yield* EncryptedKeyFile.decode(text)), text)
    })
  )

  it.effect("write what the module says, which another implementation reads", () =>
    Effect.gen(function* () {
      const file = yield* make({ memory: 64, iterations: 2, parallelism: 2 })
      const { ciphertext, ...header } = JSON.parse(EncryptedKeyFile.encode(file)) as Json
      const bytes = Buffer.from(String(ciphertext), "base64url")
      const key = argon2Sync("argon2id", {
        message: words,
        nonce: Buffer.from(String(header.kdf["salt"]), "base64url"),
        memory: 64,
        passes: 2,
        parallelism: 2,
        tagLength: 32
      })
      const cipher = createDecipheriv("aes-256-gcm", key, Buffer.from(String(header.cipher["nonce"]), "base64url"))
      cipher.setAAD(Buffer.from(JSON.stringify(header)))
      cipher.setAuthTag(bytes.subarray(-16))
      const plain = Buffer.concat([cipher.update(bytes.subarray(0, -16)), cipher.final()])
      const again = yield* PrivateKey.fromPkcs8(new Uint8Array(plain))
      assert.isTrue(PublicKey.sameKey(again.publicKey, file.publicKey))
    })
  )

  it.effect("use a new salt and nonce each time, and show nothing of the key", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* make(), yield* make()]
      assert.notDeepEqual(a.salt, b.salt)
      assert.notDeepEqual(a.nonce, b.nonce)
      assert.notDeepEqual(a.ciphertext, b.ciphertext)
      assert.isUndefined(search(Canary.show(a) + EncryptedKeyFile.encode(a)))
    })
  )

  it.effect("cost what the documentation says, by default", () =>
    Effect.gen(function* () {
      const file = yield* Effect.flatMap(TestKey.make("Ed25519"), (key) => EncryptedKeyFile.encrypt(key, passphrase))
      assert.deepStrictEqual(file.cost, { memory: 65_536, iterations: 3, parallelism: 4 })
    })
  )

  it.effect.each(["", "a".repeat(1025), "\ud800", "Correct horse battery staple", `${words} `, "\u0000"])(
    "refuse the passphrase %j",
    (other) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(EncryptedKeyFile.decrypt(yield* make(), Redacted.make(other)))
        assert.strictEqual(error.field, "passphrase")
        assert.isUndefined(search(Canary.show(error)))
      })
  )

  it.effect("refuse another algorithm than the file says, and one the key cannot do", () =>
    Effect.gen(function* () {
      const pem = PrivateKey.toPem(yield* TestKey.make("BIP340"))
      const key = yield* PrivateKey.fromPem(pem, { algorithm: "BIP340" })
      const file = yield* EncryptedKeyFile.encrypt(key, passphrase, { cost: cheap })
      for (const algorithm of ["ES256K", "Ed25519"] as const) {
        const error = yield* Effect.flip(EncryptedKeyFile.decrypt(file, passphrase, { algorithm }))
        assert.strictEqual(error.field, "algorithm")
      }
    })
  )

  it.effect("refuse a wiped key", () =>
    Effect.gen(function* () {
      const key = yield* TestKey.make("Ed25519")
      PrivateKey.wipe(key)
      assert.strictEqual((yield* Effect.flip(EncryptedKeyFile.encrypt(key, passphrase))).field, "key")
    })
  )

  it.effect("refuse a public key that is not that of the private one, whoever wrote it", () =>
    Effect.gen(function* () {
      const file = yield* make()
      const other = yield* PrivateKey.generate("Ed25519")
      const forged = { ...file, publicKey: other.publicKey }
      const error = yield* Effect.flip(EncryptedKeyFile.decrypt(forged, passphrase))
      assert.strictEqual(error.field, "passphrase") // the header is authenticated

      // Somebody with the passphrase can authenticate another header
      const { ciphertext: _, ...header } = JSON.parse(EncryptedKeyFile.encode(forged)) as Json
      const key = argon2Sync("argon2id", {
        message: words,
        nonce: file.salt,
        memory: cheap.memory,
        passes: cheap.iterations,
        parallelism: cheap.parallelism,
        tagLength: 32
      })
      const cipher = createCipheriv("aes-256-gcm", key, file.nonce)
      cipher.setAAD(Buffer.from(JSON.stringify(header)))
      const plain = Redacted.value(PrivateKey.toPkcs8(yield* TestKey.make("Ed25519")))
      const ciphertext = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
      const refusal = yield* Effect.flip(EncryptedKeyFile.decrypt({ ...forged, ciphertext }, passphrase))
      assert.include(refusal.problem, "does not belong to the private key")
    })
  )
})

describe("a damaged file", () => {
  it.effect("cut at any length is a typed error", () =>
    Effect.gen(function* () {
      const text = EncryptedKeyFile.encode(yield* make())
      for (let length = 0; length < text.length; length++) yield* refused(text.slice(0, length))
    })
  )

  it.effect(
    "with any byte flipped is a typed error, and never another key",
    () =>
      Effect.gen(function* () {
        const bytes = new TextEncoder().encode(EncryptedKeyFile.encode(yield* make()))
        const fields = new Set<string | undefined>()
        for (let i = 0; i < bytes.length; i++) {
          for (const mask of [0x01, 0x02, 0x20, 0x80, 0xff]) {
            const exit = yield* Effect.exit(
              PrivateKeyForm.decode(bytes.with(i, bytes[i]! ^ mask), { format: "encrypted-key", passphrase })
            )
            if (Exit.isSuccess(exit)) assert.fail(`a key in spite of byte ${i} changed by ${mask}`)
            const error = yield* Effect.flip(exit)
            assert.strictEqual(error._tag, "InvalidConfiguration")
            fields.add(error.field)
            if (i % 16 === 0) assert.isUndefined(search(Canary.show(error)))
          }
        }
        assert.includeMembers([...fields], ["encryptedKeyFile", "passphrase"])
      }),
    60_000
  )

  it.effect("says the same as a wrong passphrase where the cipher decides", () =>
    Effect.gen(function* () {
      const file = yield* make()
      const damaged = { ...file, ciphertext: file.ciphertext.with(5, file.ciphertext[5]! ^ 1) }
      const errors = [
        yield* Effect.flip(EncryptedKeyFile.decrypt(damaged, passphrase)),
        yield* Effect.flip(EncryptedKeyFile.decrypt(file, Redacted.make("another one"))),
        yield* Effect.flip(EncryptedKeyFile.decrypt({ ...file, cost: { ...cheap, iterations: 2 } }, passphrase)),
        yield* Effect.flip(EncryptedKeyFile.decrypt({ ...file, nonce: file.nonce.with(0, 1) }, passphrase))
      ]
      assert.strictEqual(new Set(errors.map((error) => JSON.stringify(error))).size, 1)
    })
  )
})

describe("decode", () => {
  it.effect("refuses members that are there twice, unknown, missing or in another order", () =>
    Effect.gen(function* () {
      const file = yield* make()
      const text = EncryptedKeyFile.encode(file)
      assert.include(yield* refused(text.replace('"version": 1,', '"version": 1,\n  "version": 1,')), "appears twice")
      assert.include(yield* refused(text.replace('"memory": 8,', '"memory": 9,\n    "memory": 8,')), "appears twice")
      assert.include(yield* refused(`${text}\n`), "white space")
      assert.include(yield* refused(text.replaceAll("\n", "\r\n")), "line ends")
      assert.include(yield* refused(JSON.stringify(JSON.parse(text))), "white space")
      assert.include(yield* refused(text.replace('"memory": 8,', '"memory": 8.0,')), "white space")
      assert.include(yield* refused(text.replace("Argon2id", "Argon2\\u0069d")), "were changed")
      assert.include(yield* refused(changed(file, (json) => void (json["comment"] = "mine"))), "not known")
      assert.include(yield* refused(changed(file, (json) => void (json.kdf["secret"] = words))), "not known")
      assert.include(yield* refused(text.replace('"format"', '"__proto__": {},\n  "format"')), "not known")
      for (const name of ["key", "kdf", "cipher", "ciphertext"]) {
        assert.strictEqual(yield* refused(changed(file, (json) => void delete json[name])), `"${name}" is missing`)
      }
      for (const name of ["type", "publicKey"]) yield* refused(changed(file, (json) => void delete json.key[name]))
    })
  )

  it.effect("names a newer version, and another format", () =>
    Effect.gen(function* () {
      const file = yield* make()
      assert.include(
        yield* refused(changed(file, (json) => Object.assign(json, { version: 2, mac: "x" }))),
        "upgrade effect-signer"
      )
      for (const version of [0, "1", null, -1, 1.5]) {
        assert.notInclude(yield* refused(changed(file, (json) => Object.assign(json, { version }))), "upgraded")
      }
      assert.include(yield* refused(changed(file, (json) => void (json["format"] = "other"))), '"format"')
      assert.include(yield* refused(changed(file, (json) => void (json.kdf["name"] = "scrypt"))), "Argon2id")
      assert.include(yield* refused(changed(file, (json) => void (json.cipher["name"] = "AES-128-GCM"))), "AES-256-GCM")
      assert.include(yield* refused(changed(file, (json) => void (json.key["type"] = "P-256"))), '"type"')
      assert.include(yield* refused(changed(file, (json) => void (json.key["algorithm"] = "HS256"))), "not one")
      assert.include(yield* refused(changed(file, (json) => void (json.key["algorithm"] = "ES256"))), "cannot do it")
      yield* refused("x".repeat(70_000))
      for (const text of ["", "null", "[]", "1", '"text"', "{}"]) yield* refused(text)
      yield* refused(3 as never)
    })
  )

  const hostile: ReadonlyArray<readonly [name: string, value: unknown]> = [
    ...["memory", "iterations", "parallelism"].flatMap((name) =>
      [0, -1, 1.5, 1e9, 2 ** 31, 2 ** 32, 1e308, "8", null, true, [8], {}].map((value) => [name, value] as const)
    ),
    ["memory", 262_145],
    ["memory", 7],
    ["iterations", 17],
    ["parallelism", 17],
    ["parallelism", 2] // with 8 KiB
  ]

  it.effect("refuses every cost that is out of bounds, and derives nothing", () =>
    Effect.gen(function* () {
      const file = yield* make()
      for (const [name, value] of hostile) {
        const problem = yield* refused(changed(file, (json) => void (json.kdf[name] = value)))
        assert.include(problem, "Argon2id", `${name} = ${JSON.stringify(value)}`)
      }
      // also where the record did not come from a text
      for (const cost of [
        { ...cheap, memory: 2 ** 30 },
        { ...cheap, iterations: 1e9 },
        { ...cheap, memory: NaN }
      ]) {
        assert.strictEqual((yield* Effect.flip(EncryptedKeyFile.decrypt({ ...file, cost }, passphrase))).field, "cost")
        const key = yield* TestKey.make("Ed25519")
        assert.strictEqual((yield* Effect.flip(EncryptedKeyFile.encrypt(key, passphrase, { cost }))).field, "cost")
      }
    })
  )

  it.effect("reads a file that costs the most that is allowed, without paying for it", () =>
    Effect.gen(function* () {
      const text = changed(yield* make(), (json) =>
        Object.assign(json.kdf, { memory: 262_144, iterations: 16, parallelism: 16 })
      )
      assert.strictEqual((yield* EncryptedKeyFile.decode(text)).cost.memory, 262_144)
    })
  )

  it.effect.each(["salt", "nonce"])("refuses a %s of another length", (name) =>
    Effect.gen(function* () {
      const file = yield* make()
      for (const value of ["", "AA", "A".repeat(64), "====", 3, null]) {
        yield* refused(changed(file, (json) => void ((name === "salt" ? json.kdf : json.cipher)[name] = value)))
      }
    })
  )
})
