import { assert, describe, it } from "@effect/vitest"
import { Cause, Config, ConfigProvider, Effect, Exit, Layer, Redacted } from "effect"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PrivateKey, PublicKey, Signer, SignerError, Verifier } from "../../src/index.ts"
import * as FileSigner from "../../src/layers/FileSigner.ts"
import * as EncryptedKeyFile from "../../src/schemas/EncryptedKeyFile.ts"
import { Conformance } from "../../src/testing.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { cheap, fileSubjects } from "../conformance/file.ts"
import { legacyKey, signerJson } from "./evNode.ts"
import { fastnVectors } from "./fastnVectors.ts"

for (const { algorithm, layer, ...options } of fileSubjects) {
  Conformance.suite(it, `kit/file/${algorithm}`, layer, options)
}

const folder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(join(tmpdir(), "effect-signer-file-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

const words = "correct horse battery staple"
const passphrase = Redacted.make(words)
const seed = TestKey.secretBytes("Ed25519", "effect-signer")
const testKey = TestKey.make("Ed25519")
const search = Canary.search([
  { name: "passphrase", secret: words },
  { name: "seed", secret: seed }
])

const write = (path: string, content: string | Uint8Array, mode = 0o600) => {
  Fs.writeFileSync(path, content, { mode: 0o600 })
  Fs.chmodSync(path, mode)
  return path
}

const file = Effect.fnUntraced(function* (content: string | Uint8Array) {
  return write(join(yield* folder, "release"), content)
})

/** Signs, and the signature verifies by the test key. */
const signs = Effect.fnUntraced(function* (options: FileSigner.Options) {
  const signer = yield* FileSigner.make(options)
  const message = new TextEncoder().encode("message")
  const signature = yield* signer.sign(message)
  assert.isTrue(yield* Verifier.verify((yield* testKey).publicKey, message, signature))
  return signer
})

/** Fails, with a typed error that shows nothing, and the file as it was. */
const refused = Effect.fnUntraced(function* (options: FileSigner.Options) {
  const before =
    Fs.existsSync(options.path) && Fs.statSync(options.path).isFile() ? Fs.readFileSync(options.path) : undefined
  const exit = yield* Effect.exit(FileSigner.make(options))
  if (Exit.isSuccess(exit)) return assert.fail("it made a signer")
  const error = Cause.squash(exit.cause) as { readonly _tag: string; readonly field?: string; readonly message: string }
  assert.isFalse(Cause.hasDies(exit.cause), Cause.pretty(exit.cause))
  assert.isUndefined(search(Canary.show(exit.cause) + Cause.pretty(exit.cause)), error.message)
  if (before !== undefined) assert.deepStrictEqual(Fs.readFileSync(options.path), before)
  return error
})

describe("make", () => {
  it.effect("reads each form, told by its beginning and by its name", () =>
    Effect.gen(function* () {
      const key = yield* testKey
      const pkcs8 = Redacted.value(PrivateKey.toPkcs8(key))
      const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64")
      const forms: ReadonlyArray<readonly [string | Uint8Array, Partial<FileSigner.Options>]> = [
        [Redacted.value(PrivateKey.toPem(key)), { format: "pem" }],
        [Redacted.value(yield* PrivateKey.toEncryptedPem(key, passphrase)), { format: "pem", passphrase }],
        [JSON.stringify(Redacted.value(PrivateKey.toJwk(key)), undefined, 2), { format: "jwk" }],
        [
          EncryptedKeyFile.encode(yield* EncryptedKeyFile.encrypt(key, passphrase, { cost: cheap })),
          { format: "encrypted-key", passphrase }
        ],
        [pkcs8, { format: "pkcs8" }],
        [`${Buffer.from(seed).toString("hex").toUpperCase()}\n`, { format: "hex", keyType: "Ed25519" }],
        [`${base64(seed)}\r\n`, { format: "base64", keyType: "Ed25519" }],
        [base64(pkcs8), { format: "base64" }],
        [Buffer.from(pkcs8).toString("base64url"), { format: "base64" }]
      ]
      for (const [content, { format, ...options }] of forms) {
        const path = yield* file(content)
        const signer = yield* signs({ path, ...options })
        assert.strictEqual(signer.backend, "file")
        yield* signs({ path, ...options, format })
      }
      yield* signs({ path: yield* file(seed), format: "raw", keyType: "Ed25519" })
      yield* signs({
        path: yield* file(new Uint8Array([...seed, ...key.publicKey.bytes])),
        format: "raw",
        keyType: "Ed25519"
      })
    })
  )

  it.effect("takes algorithm, keyId, purpose and the public key that is expected", () =>
    Effect.gen(function* () {
      const path = yield* file(Redacted.value(PrivateKey.toPem(yield* testKey)))
      const { publicKey } = yield* testKey
      const signer = yield* FileSigner.make({
        path,
        algorithm: "Ed25519",
        purpose: "release",
        keyId: PublicKey.keyId(publicKey),
        expectedPublicKey: publicKey
      })
      assert.strictEqual(signer.purpose, "release")
      const other = yield* PrivateKey.generate("Ed25519")
      assert.strictEqual((yield* refused({ path, expectedPublicKey: other.publicKey }))._tag, "InvalidResponse")
      assert.strictEqual((yield* refused({ path, algorithm: "ES256" })).field, "algorithm")
      assert.strictEqual((yield* refused({ path, passphrase })).field, "passphrase")
      assert.strictEqual((yield* refused({ path, format: "jwk" }))._tag, "InvalidConfiguration")
      assert.strictEqual((yield* refused({ path, format: "other" as never })).field, "format")
    })
  )

  it.effect("has a typed error for each way in which a file is not one", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const pem = Redacted.value(PrivateKey.toPem(yield* testKey))
      const path = write(join(at, "key"), pem)
      Fs.symlinkSync(path, join(at, "link"))
      write(join(at, "open"), pem, 0o640)
      const tagOf = (name: string) => Effect.map(refused({ path: join(at, name) }), ({ _tag, field }) => [_tag, field])
      assert.deepStrictEqual(yield* tagOf("none"), ["KeyNotFound", undefined])
      assert.deepStrictEqual(yield* tagOf("key/below"), ["KeyNotFound", undefined])
      assert.deepStrictEqual(yield* tagOf("link"), ["InvalidConfiguration", "path"])
      assert.deepStrictEqual(yield* tagOf("open"), ["InvalidConfiguration", "path"])
      assert.deepStrictEqual(yield* tagOf("."), ["InvalidConfiguration", "path"])
      yield* signs({ path: join(at, "link"), followSymlinks: true })
      yield* signs({ path: join(at, "open"), allowGroupRead: true })
      for (const content of [
        "",
        "hello",
        "{",
        "{}",
        "[]",
        `{"kty":"OKP"}`,
        "-----BEGIN ",
        "\u0000".repeat(40),
        new Uint8Array(64).fill(0xff)
      ]) {
        const error = yield* refused({ path: yield* file(content) })
        assert.strictEqual(error._tag, "InvalidConfiguration")
        assert.notInclude(error.message, "effect-signer.parse")
      }
      // A key where a file name belongs is not repeated
      for (const wrong of [pem, Buffer.from(seed).toString("hex"), Buffer.from(seed).toString("base64url")]) {
        yield* refused({ path: wrong })
      }
      assert.strictEqual((yield* refused({ path: yield* file(Buffer.from(seed).toString("hex")) })).field, "keyType")
    })
  )

  it.effect("takes the passphrase from a file, from Config and from a question, and asks where it is needed only", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const key = yield* testKey
      const path = join(at, "key")
      yield* FileSigner.create({ path, key, passphrase, cost: cheap })
      const passphraseFile = write(join(at, "passphrase"), `${words}\n`)
      yield* signs({ path, passphraseFile })
      yield* signs({ path, passphrase: Config.Redacted("KEY_PASSPHRASE") }).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({ KEY_PASSPHRASE: words })))
      )
      let asked = 0
      const question = Effect.sync(() => (asked++, passphrase))
      yield* signs({ path, passphrase: question })
      yield* signs({ path: yield* file(Redacted.value(PrivateKey.toPem(key))), passphrase: question })
      assert.strictEqual(asked, 1)

      assert.strictEqual((yield* refused({ path })).field, "passphrase")
      assert.strictEqual((yield* refused({ path, passphrase: words as never })).field, "passphrase")
      assert.strictEqual((yield* refused({ path, passphrase: Redacted.make(`${words} `) })).field, "passphrase")
      assert.strictEqual((yield* refused({ path, passphrase, passphraseFile })).field, "passphraseFile")
      assert.include(
        (yield* refused({ path, passphrase: Effect.fail({ _tag: "Other", words }) })).message,
        "could not be had (Other)"
      )
      assert.include((yield* refused({ path, passphrase: Config.Redacted("NOT_SET") })).message, "ConfigError")
      // a passphrase that is nowhere is no key that is nowhere: firstAvailable must not go on to another key
      const elsewhere = { backend: "vault", keyId: "secret/passphrase", operation: "make" } as const
      const nowhere = Effect.fail(new SignerError.KeyNotFound(elsewhere))
      assert.include((yield* refused({ path, passphrase: nowhere })).message, "could not be had (KeyNotFound)")
      const late = new SignerError.Retryable({ ...elsewhere, reason: new SignerError.BackendUnavailable({}) })
      assert.strictEqual(yield* Effect.flip(FileSigner.make({ path, passphrase: Effect.fail(late) })), late)
      for (const content of ["", "\n", `${words}\n\n`, "a\nb", new Uint8Array([0xff])]) {
        const error = yield* refused({ path, passphraseFile: yield* file(content) })
        assert.strictEqual(error.field, "passphraseFile")
      }
      Fs.chmodSync(passphraseFile, 0o644)
      assert.strictEqual((yield* refused({ path, passphraseFile })).field, "passphraseFile")
      assert.strictEqual((yield* refused({ path, passphraseFile: join(at, "none") })).field, "passphraseFile")
    })
  )

  it.effect("can be interrupted while it derives, and while it asks", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const path = join(at, "key")
      yield* FileSigner.create({
        path,
        key: yield* testKey,
        passphrase,
        cost: { ...cheap, memory: 65_536, iterations: 8 }
      })
      for (const passphrase of [Redacted.make(words), Effect.never]) {
        const exit = yield* FileSigner.make({ path, passphrase }).pipe(
          Effect.raceFirst(
            Effect.as(
              Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5))),
              "first"
            )
          ),
          Effect.exit
        )
        assert.deepStrictEqual(exit, Exit.succeed("first") as never)
      }
    })
  )
})

describe("layer and layerConfig", () => {
  it.effect("provide a Signer", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "key")
      yield* FileSigner.create({ path, key: yield* testKey, passphrase, cost: cheap })
      const program = Signer.sign(new Uint8Array(3))
      const signature = yield* Effect.provide(program, FileSigner.layer({ path, passphrase }))
      assert.strictEqual(signature.algorithm, "Ed25519")
      const FromConfig = FileSigner.layerConfig({
        path: Config.String("KEY_FILE"),
        passphrase: Config.Redacted("KEY_PASSPHRASE")
      })
      const env = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ KEY_FILE: path, KEY_PASSPHRASE: words }))
      assert.deepStrictEqual(
        (yield* Effect.provide(program, FromConfig.pipe(Layer.provide(env)))).bytes,
        signature.bytes
      )
    })
  )
})

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

describe("create", () => {
  it.effect("never overwrites", () =>
    Effect.gen(function* () {
      const path = yield* file("mine")
      const error = yield* Effect.flip(FileSigner.create({ path, key: yield* testKey, passphrase, cost: cheap }))
      assert.include(error.message, "it exists already")
      assert.strictEqual(Fs.readFileSync(path, "utf8"), "mine")
      const missing = yield* Effect.flip(
        FileSigner.create({ path: join(path, "x"), key: yield* testKey, passphrase, cost: cheap })
      )
      assert.strictEqual(missing._tag, "KeyNotFound")
    })
  )
})

describe("changePassphrase and upgrade", () => {
  it.effect("encrypt any form anew, as our own", () =>
    Effect.gen(function* () {
      const key = yield* testKey
      const newPassphrase = Redacted.make("another passphrase")
      const contents = [
        [Redacted.value(PrivateKey.toPem(key)), {}],
        [Redacted.value(yield* PrivateKey.toEncryptedPem(key, passphrase)), { passphrase }],
        [EncryptedKeyFile.encode(yield* EncryptedKeyFile.encrypt(key, passphrase, { cost: cheap })), { passphrase }]
      ] as const
      for (const [content, options] of contents) {
        const path = yield* file(content)
        const publicKey = yield* FileSigner.changePassphrase({ path, ...options, newPassphrase, cost: cheap })
        assert.isTrue(PublicKey.sameKey(publicKey, key.publicKey))
        assert.strictEqual(Fs.statSync(path).mode & 0o777, 0o600)
        assert.strictEqual((yield* refused({ path, passphrase })).field, "passphrase")
        yield* signs({ path, passphrase: newPassphrase, format: "encrypted-key" })
        assert.isUndefined(search(Fs.readFileSync(path, "utf8")))
      }
    })
  )

  it.effect("leave the file as it was where anything is wrong", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "key")
      yield* FileSigner.create({ path, key: yield* testKey, passphrase, cost: cheap })
      const before = Fs.readFileSync(path)
      const newPassphrase = Redacted.make("another passphrase")
      const wrong: ReadonlyArray<FileSigner.ChangeOptions> = [
        { path, passphrase: Redacted.make("wrong"), newPassphrase },
        { path, newPassphrase },
        { path, passphrase, newPassphrase: Redacted.make("") },
        { path, passphrase, newPassphrase, cost: { ...cheap, memory: 0 } },
        { path, passphrase, newPassphrase, format: "pem" },
        { path, passphrase, newPassphrase, algorithm: "ES256" }
      ]
      for (const options of wrong) {
        const error = yield* Effect.flip(FileSigner.changePassphrase(options))
        assert.strictEqual(error._tag, "InvalidConfiguration")
        assert.isUndefined(search(Canary.show(error)))
        assert.deepStrictEqual(Fs.readFileSync(path), before)
      }
      assert.deepStrictEqual(Fs.readdirSync(join(path, "..")), ["key"])
    })
  )
})

// ---------------------------------------------------------------------------
// ev-node
// ---------------------------------------------------------------------------

describe("signer.json of ev-node", () => {
  const salt = Buffer.from("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "hex")

  it.effect("is read, whatever white space it has", () =>
    Effect.gen(function* () {
      const { publicKey } = yield* testKey
      const text = signerJson({ words, salt, seed, publicKey: publicKey.bytes })
      for (const content of [text, `${JSON.stringify(JSON.parse(text), undefined, 2)}\n`]) {
        yield* signs({ path: yield* file(content), passphrase })
      }
      const path = yield* file(text)
      assert.strictEqual((yield* refused({ path, passphrase: Redacted.make("wrong") })).field, "passphrase")
      assert.strictEqual((yield* refused({ path })).field, "passphrase")
    })
  )

  it.effect("is refused where it was changed, or says another public key", () =>
    Effect.gen(function* () {
      const { publicKey } = yield* testKey
      const other = yield* PrivateKey.generate("Ed25519")
      const text = signerJson({ words, salt, seed, publicKey: publicKey.bytes })
      const parsed = JSON.parse(text) as { readonly [name: string]: string }
      const changes: ReadonlyArray<string> = [
        JSON.stringify({ ...parsed, pub_key: Buffer.from(other.publicKey.bytes).toString("base64") }),
        JSON.stringify({ ...parsed, extra: "" }),
        JSON.stringify({ ...parsed, salt: "" }),
        JSON.stringify({ ...parsed, salt: null }),
        JSON.stringify({ ...parsed, nonce: "AAAA" }),
        text.replace("{", `{"nonce":"${parsed["nonce"]}",`)
      ]
      for (const content of changes) {
        assert.strictEqual((yield* refused({ path: yield* file(content), passphrase })).field, "evNodeKeyFile")
      }
    })
  )

  it.effect.each([
    words,
    "short",
    "exactly thirty-two bytes long!!!",
    "a passphrase that is longer than thirty-two bytes"
  ])("in its legacy form is read where that is asked for, and upgraded (%s)", (text) =>
    Effect.gen(function* () {
      const { publicKey } = yield* testKey
      const path = yield* file(signerJson({ key: legacyKey(text), seed, publicKey: publicKey.bytes }))
      const legacy = Redacted.make(text)
      assert.strictEqual((yield* refused({ path, passphrase: legacy })).field, "allowLegacyKeyDerivation")
      yield* signs({ path, passphrase: legacy, allowLegacyKeyDerivation: true })
      assert.strictEqual(
        (yield* refused({ path, passphrase: Redacted.make("wrong"), allowLegacyKeyDerivation: true })).field,
        "passphrase"
      )
      assert.strictEqual(
        (yield* Effect.flip(FileSigner.upgrade({ path, passphrase: legacy, cost: cheap })))._tag,
        "InvalidConfiguration"
      )
      const upgraded = yield* FileSigner.upgrade({
        path,
        passphrase: legacy,
        allowLegacyKeyDerivation: true,
        cost: cheap
      })
      assert.isTrue(PublicKey.sameKey(upgraded, publicKey))
      yield* signs({ path, passphrase: legacy, format: "encrypted-key" })
    })
  )
})

// ---------------------------------------------------------------------------
// fastn
// ---------------------------------------------------------------------------

describe("makeFastn", () => {
  const failure = (options: FileSigner.FastnOptions) =>
    Effect.map(Effect.flip(FileSigner.makeFastn(options)), (error) => {
      for (const { secret } of fastnVectors) {
        assert.isUndefined(Canary.search([{ name: "key", secret: Buffer.from(secret, "hex") }])(Canary.show(error)))
      }
      return error
    })

  it.effect.each(fastnVectors)("reads the published key of $id52", ({ id52, secret }) =>
    Effect.gen(function* () {
      const at = yield* folder
      write(join(at, "entity.private-key"), secret)
      const path = write(join(at, "keys"), `# comment\n\n ${id52.slice(0, 4)} : ${secret} \r\n`)
      for (const options of [
        { folder: at, prefix: "entity" },
        { folder: at, prefix: "entity", id52 },
        { path, id52 }
      ]) {
        const signer = yield* FileSigner.makeFastn(options)
        assert.strictEqual(PublicKey.toId52(yield* signer.publicKey()), id52)
      }
    })
  )

  it.effect("refuses a folder with both files, with the id only, with another key, and with neither", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const [one, two] = [fastnVectors[0]!, fastnVectors[1]!]
      const keyPath = write(join(at, "entity.private-key"), one.secret)
      const idPath = write(join(at, "entity.id52"), one.id52)
      assert.include((yield* failure({ folder: at, prefix: "entity" })).message, "both")
      Fs.rmSync(keyPath)
      const elsewhere = yield* failure({ folder: at, prefix: "entity" })
      assert.strictEqual(elsewhere._tag, "KeyNotFound") // a chain goes on to where it is
      assert.include(elsewhere.message, "EnvSigner")
      Fs.rmSync(idPath)
      assert.strictEqual((yield* failure({ folder: at, prefix: "entity" }))._tag, "KeyNotFound")
      write(keyPath, one.secret)
      assert.include((yield* failure({ folder: at, prefix: "entity", id52: two.id52 })).message, "another ID52")
      for (const prefix of ["", "..", "../entity", "a/b", ".hidden", "a\nb"]) {
        assert.include((yield* failure({ folder: at, prefix })).message, "prefix")
      }
      Fs.chmodSync(keyPath, 0o644)
      assert.include((yield* failure({ folder: at, prefix: "entity" })).message, "chmod 600")
      for (const content of ["", "x", `${one.secret}${one.secret}`, one.secret.toUpperCase(), `0x${one.secret}`]) {
        write(keyPath, content)
        assert.strictEqual((yield* failure({ folder: at, prefix: "entity" }))._tag, "InvalidConfiguration")
      }
    })
  )

  it.effect("takes the line whose key has the ID52, and no other", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const [one, two] = [fastnVectors[0]!, fastnVectors[1]!]
      const withLines = (...lines: ReadonlyArray<string>) => ({
        path: write(join(at, "keys"), lines.join("\n")),
        id52: one.id52
      })
      // two lines with the same beginning: the key decides
      yield* FileSigner.makeFastn(withLines(`i: ${two.secret}`, `i6: ${one.secret}`))
      assert.include((yield* failure(withLines(`i66fo: ${two.secret}`))).message, "another one")
      assert.strictEqual((yield* failure(withLines(`e87a: ${one.secret}`)))._tag, "KeyNotFound")
      assert.strictEqual((yield* failure(withLines()))._tag, "KeyNotFound")
      for (const line of [
        `: ${one.secret}`,
        ` :${one.secret}`,
        one.secret,
        `i66f ${one.secret}`,
        `i66f: ${one.secret}00`,
        `I66F: ${one.secret}`,
        "i66f:"
      ]) {
        const error = yield* failure(withLines("# a comment", line))
        assert.strictEqual(error._tag, "InvalidConfiguration")
        assert.include(error.message, "line 2")
      }
      assert.include((yield* failure({ ...withLines(`i6: ${one.secret}`), id52: "i66f" })).message, "52 characters")
    })
  )
})
