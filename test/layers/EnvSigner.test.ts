import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Effect, Redacted } from "effect"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PrivateKey, PublicKey, Signer } from "../../src/index.ts"
import * as EnvSigner from "../../src/layers/EnvSigner.ts"
import * as EncryptedKeyFile from "../../src/schemas/EncryptedKeyFile.ts"
import * as Canary from "../../src/testing/Canary.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { cheap } from "../conformance/file.ts"
import { fastnVectors } from "./fastnVectors.ts"

const testKey = TestKey.make("Ed25519")
const seed = TestKey.secretBytes("Ed25519", "effect-signer")
const passphrase = Redacted.make("correct horse battery staple")

const [one, two] = fastnVectors
const search = Canary.search([
  { name: "seed", secret: seed },
  { name: "one", secret: Buffer.from(one.secret, "hex") },
  { name: "two", secret: Buffer.from(two.secret, "hex") },
  { name: "passphrase", secret: Redacted.value(passphrase) }
])

const inEnv = (env: Readonly<Record<string, string>>) =>
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))

const refused = <A, E extends { readonly _tag: string; readonly message: string }>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert.isUndefined(search(Canary.show(error) + Cause.pretty(Cause.fail(error))))
    return `${error._tag}: ${error.message}`
  })

describe("make", () => {
  it.effect("reads each form of text", () =>
    Effect.gen(function* () {
      const key = yield* testKey
      const pkcs8 = Buffer.from(Redacted.value(PrivateKey.toPkcs8(key)))
      const forms: ReadonlyArray<readonly [string, Omit<EnvSigner.Options, "variable">]> = [
        [Redacted.value(PrivateKey.toPem(key)), { format: "pem" }],
        [Redacted.value(PrivateKey.toPem(key)).trimEnd(), {}],
        [JSON.stringify(Redacted.value(PrivateKey.toJwk(key))), { format: "jwk" }],
        [EncryptedKeyFile.encode(yield* EncryptedKeyFile.encrypt(key, passphrase, { cost: cheap })), { passphrase }],
        [
          EncryptedKeyFile.encode(yield* EncryptedKeyFile.encrypt(key, passphrase, { cost: cheap })).trimEnd(),
          { passphrase: Effect.succeed(passphrase) }
        ],
        [Buffer.from(seed).toString("hex"), { keyType: "Ed25519" }],
        [Buffer.from(seed).toString("base64"), { keyType: "Ed25519" }],
        [Buffer.from(seed).toString("hex"), { algorithm: "Ed25519" }],
        [Buffer.from(seed).toString("base64"), { algorithm: "Ed25519" }],
        [Buffer.from(seed).toString("base64url"), { keyType: "Ed25519", format: "base64" }],
        [pkcs8.toString("base64"), {}]
      ]
      for (const [SIGNING_KEY, options] of forms) {
        const program = Effect.provide(
          Signer.Signer.use((signer) => signer.publicKey()),
          EnvSigner.layer({ variable: "SIGNING_KEY", ...options })
        )
        assert.isTrue(PublicKey.sameKey(yield* inEnv({ SIGNING_KEY })(program), key.publicKey))
      }
    })
  )

  it.effect("takes algorithm, purpose and the public key that is expected", () =>
    Effect.gen(function* () {
      const key = yield* testKey
      const env = inEnv({ KEY: Redacted.value(PrivateKey.toPem(key)) })
      const signer = yield* env(
        EnvSigner.make({ variable: "KEY", algorithm: "Ed25519", purpose: "release", expectedPublicKey: key.publicKey })
      )
      assert.deepStrictEqual([signer.backend, signer.purpose], ["env", "release"])
      const other = yield* PrivateKey.generate("Ed25519")
      assert.include(
        yield* refused(env(EnvSigner.make({ variable: "KEY", expectedPublicKey: other.publicKey }))),
        "InvalidResponse"
      )
      assert.include(yield* refused(env(EnvSigner.make({ variable: "KEY", algorithm: "ES256" }))), "algorithm")
    })
  )

  it.effect("says what is wrong, and never shows the value", () =>
    Effect.gen(function* () {
      const key = yield* testKey
      const pem = Redacted.value(PrivateKey.toPem(key))
      const hex = Buffer.from(seed).toString("hex")
      const failing = (KEY: string, options?: Omit<EnvSigner.Options, "variable">) =>
        refused(inEnv({ KEY })(EnvSigner.make({ variable: "KEY", ...options })))
      assert.include(yield* refused(inEnv({})(EnvSigner.make({ variable: "KEY" }))), "KeyNotFound: env.make")
      assert.include(yield* failing(pem.replaceAll("\n", "\\n")), "line ends")
      assert.include(
        yield* refused(inEnv({})(EnvSigner.make({ variable: "KEY" }))),
        "the variable is not set, or is empty"
      )
      assert.include(yield* failing(""), "the variable is not set, or is empty")
      const kept = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ KEY: "" }, { preserveEmptyStrings: true }))
      const empty = EnvSigner.make({ variable: "KEY" }).pipe(Effect.provide(kept))
      assert.include(yield* refused(empty), "it is empty")
      assert.include(yield* failing(hex), "keyType")
      assert.include(yield* failing(hex.slice(2), { algorithm: "Ed25519" }), "InvalidConfiguration")
      assert.include(yield* failing(`${hex}0`, { keyType: "Ed25519" }), "InvalidConfiguration")
      assert.include(yield* failing(`${hex} ${hex}`), "no key that is known")
      assert.include(yield* failing("x".repeat(70_000)), "too long")
      assert.include(yield* failing(pem, { passphrase }), "not encrypted")
      for (const variable of [pem, hex, "", "A B", "1A", "A=B"]) {
        assert.include(yield* refused(inEnv({})(EnvSigner.make({ variable }))), "not the name of a variable")
      }
    })
  )
})

describe("makeFastn", () => {
  const made = (env: Readonly<Record<string, string>>, id52: string = one.id52) =>
    inEnv(env)(EnvSigner.makeFastn({ id52 }))

  const keysFile = Effect.acquireRelease(
    Effect.sync(() => {
      const path = join(Fs.mkdtempSync(join(tmpdir(), "effect-signer-env-")), "keys")
      Fs.writeFileSync(path, `# keys\n${one.id52}: ${one.secret}\n`, { mode: 0o600 })
      return path
    }),
    (path) => Effect.sync(() => Fs.rmSync(join(path, ".."), { recursive: true }))
  )

  it.effect.each(fastnVectors)("finds the published key of $id52", ({ id52 }) =>
    Effect.gen(function* () {
      const FASTN_SECRET_KEYS = fastnVectors.map(({ id52, secret }) => `${id52.slice(0, 8)}:${secret}`).join("\n")
      const signer = yield* made({ FASTN_SECRET_KEYS }, id52)
      assert.strictEqual(PublicKey.toId52(yield* signer.publicKey()), id52)
      assert.strictEqual((yield* signer.sign(new Uint8Array(3))).bytes.length, 64)
    })
  )

  it.effect("finds a key in the file that is named, which is checked as key files are", () =>
    Effect.gen(function* () {
      const FASTN_SECRET_KEYS_FILE = yield* keysFile
      const signer = yield* made({ FASTN_SECRET_KEYS_FILE })
      assert.strictEqual(PublicKey.toId52(yield* signer.publicKey()), one.id52)
      Fs.chmodSync(FASTN_SECRET_KEYS_FILE, 0o644)
      assert.include(yield* refused(made({ FASTN_SECRET_KEYS_FILE })), "chmod 600")
      const missing = yield* refused(made({ FASTN_SECRET_KEYS_FILE: `${FASTN_SECRET_KEYS_FILE}.none` }))
      assert.include(missing, "KeyNotFound: FASTN_SECRET_KEYS_FILE: no such file")
    })
  )

  it.effect("refuses two sources, none, another key, and an empty prefix", () =>
    Effect.gen(function* () {
      const FASTN_SECRET_KEYS_FILE = yield* keysFile
      const FASTN_SECRET_KEYS = `${one.id52}: ${one.secret}`
      assert.include(yield* refused(made({ FASTN_SECRET_KEYS, FASTN_SECRET_KEYS_FILE })), "both set")
      assert.include(yield* refused(made({})), "KeyNotFound")
      assert.include(yield* refused(made({ FASTN_SECRET_KEYS }, two.id52)), "KeyNotFound")
      assert.include(yield* refused(made({ FASTN_SECRET_KEYS: `${one.id52}: ${two.secret}` })), "another one")
      assert.include(yield* refused(made({ FASTN_SECRET_KEYS: `: ${one.secret}` })), "empty")
      assert.include(yield* refused(made({ FASTN_SECRET_KEYS }, "i66f")), "52 characters")
      assert.include(yield* refused(made({ FASTN_SECRET_KEYS }, one.secret)), "52 characters")
    })
  )

  it.effect("is a layer", () =>
    Effect.gen(function* () {
      const FASTN_SECRET_KEYS = `${one.id52}: ${one.secret}`
      const program = Effect.provide(Signer.sign(new Uint8Array(3)), EnvSigner.layerFastn({ id52: one.id52 }))
      assert.strictEqual((yield* inEnv({ FASTN_SECRET_KEYS })(program)).algorithm, "Ed25519")
    })
  )
})
