import { assert, describe, it } from "@effect/vitest"
import { schnorr } from "@noble/curves/secp256k1.js"
import { Config, ConfigProvider, Effect, Layer, Redacted } from "effect"
import { Hex } from "effect/encoding"
import { inspect } from "node:util"
import {
  KeyId,
  KeyVersion,
  LocalSigner,
  PrivateKey,
  PublicKey,
  SignatureAlgorithm,
  Signer,
  Verifier
} from "../../src/index.ts"
import * as NobleSigner from "../../src/layers/NobleSigner.ts"
import { Conformance } from "../../src/testing.ts"
import * as TestKey from "../../src/testing/TestKey.ts"
import { bytesFromHex, inNodeEnv, secretsOf } from "./keys.ts"

const message = new TextEncoder().encode("message")

for (const algorithm of SignatureAlgorithm.all) {
  const privateKey = TestKey.make(algorithm)
  const passphrase = "correct horse battery staple"
  const encrypted = Effect.flatMap(privateKey, (key) => PrivateKey.toEncryptedPem(key, Redacted.make(passphrase)))
  Conformance.suite(it, `kit/local/${algorithm}`, LocalSigner.layer({ privateKey, algorithm }), {
    secrets: [...secretsOf(algorithm), passphrase],
    faulty: [
      // another passphrase, a passphrase where none belongs, half a file, and an algorithm of another kind of key
      Effect.flatMap(encrypted, (pem) => PrivateKey.fromPem(pem, { passphrase: Redacted.make(`${passphrase}r`) })),
      Effect.flatMap(privateKey, (key) =>
        PrivateKey.fromPem(PrivateKey.toPem(key), { passphrase: Redacted.make(passphrase) })
      ),
      Effect.flatMap(privateKey, (key) =>
        PrivateKey.fromPem(Redacted.make(Redacted.value(PrivateKey.toPem(key)).replace(/-----END.*/, "")))
      ),
      Effect.flatMap(privateKey, (key) =>
        PrivateKey.fromPem(PrivateKey.toPem(key), { algorithm: algorithm === "Ed25519" ? "ES256" : "Ed25519" })
      )
    ].map((privateKey) => LocalSigner.layer({ privateKey, algorithm }))
  })
}

describe("make", () => {
  it.effect("names the key by its public key, or as it is told", () =>
    Effect.gen(function* () {
      const privateKey = yield* TestKey.make("Ed25519")
      const byDefault = yield* LocalSigner.make({ privateKey })
      assert.strictEqual(byDefault.backend, "local")
      assert.strictEqual(byDefault.keyId, PublicKey.keyId(privateKey.publicKey))
      assert.isUndefined(byDefault.purpose)
      const named = yield* LocalSigner.make({ privateKey, keyId: KeyId.make("release"), purpose: "releases" })
      assert.strictEqual(named.keyId, "release")
      assert.strictEqual(named.purpose, "releases")
      assert.strictEqual((yield* named.sign(message)).keyId, "release")
    })
  )

  it.effect("takes an effect of a key, and its failure", () =>
    Effect.gen(function* () {
      const signer = yield* LocalSigner.make({ privateKey: TestKey.make("ES256") })
      assert.strictEqual(signer.algorithm, "ES256")
      const error = yield* Effect.flip(LocalSigner.make({ privateKey: PrivateKey.fromPem("not a key") }))
      assert.strictEqual(error._tag, "InvalidConfiguration")
    })
  )

  it.effect.each([
    { what: "an algorithm of another kind of key", key: "Ed25519", algorithm: "ES256", field: "algorithm" },
    { what: "an RSA key without an algorithm", key: "RS256", algorithm: undefined, field: "algorithm" },
    { what: "a secp256k1 key without an algorithm", key: "ES256K", algorithm: undefined, field: "algorithm" },
    { what: "a Merkle root for BIP340", key: "BIP340", algorithm: "BIP340", merkleRoot: 32, field: "merkleRoot" },
    { what: "a Merkle root for Ed25519", key: "Ed25519", algorithm: "Ed25519", merkleRoot: 32, field: "merkleRoot" },
    { what: "a Merkle root of 31 bytes", key: "BIP341", algorithm: "BIP341", merkleRoot: 31, field: "merkleRoot" }
  ] as const)("refuses $what", ({ algorithm, field, key, ...rest }) =>
    Effect.gen(function* () {
      const privateKey = yield* TestKey.make(key)
      const merkleRoot = "merkleRoot" in rest ? new Uint8Array(rest.merkleRoot) : undefined
      const error = yield* Effect.flip(LocalSigner.make({ privateKey, algorithm, merkleRoot }))
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.strictEqual(error._tag === "InvalidConfiguration" ? error.field : "", field)
    })
  )

  it.effect("refuses an algorithm other than the one the key states", () =>
    Effect.gen(function* () {
      const privateKey = yield* PrivateKey.fromJwk({ ...TestKey.testRsaKey, alg: "PS256" })
      assert.strictEqual((yield* LocalSigner.make({ privateKey })).algorithm, "PS256")
      const error = yield* Effect.flip(LocalSigner.make({ privateKey, algorithm: "RS256" }))
      assert.strictEqual(error._tag, "InvalidConfiguration")
    })
  )

  it.effect("knows no versions", () =>
    Effect.gen(function* () {
      const signer = yield* LocalSigner.make({ privateKey: TestKey.make("Ed25519") })
      assert.isUndefined((yield* signer.sign(message)).keyVersion)
      assert.strictEqual((yield* Effect.flip(signer.publicKey(KeyVersion.make("1"))))._tag, "KeyNotFound")
    })
  )

  it.effect("shows nothing of the key when it is printed", () =>
    Effect.gen(function* () {
      const signer = yield* LocalSigner.make({ privateKey: TestKey.make("Ed25519") })
      const shown = `${inspect(signer, { depth: null, showHidden: true })} ${JSON.stringify(signer)}`
      const secret = Buffer.from(TestKey.secretBytes("Ed25519", "effect-signer"))
      assert.notInclude(shown, secret.toString("hex"))
      assert.notInclude(shown, secret.toString("base64"))
      assert.notInclude(shown.replace(/\s/g, ""), secret.join(","))
    })
  )

  it.effect("signs after the private key was wiped: it was read once", () =>
    Effect.gen(function* () {
      for (const algorithm of SignatureAlgorithm.all) {
        const privateKey = yield* TestKey.make(algorithm)
        const signer = yield* LocalSigner.make({ privateKey, algorithm })
        PrivateKey.wipe(privateKey)
        const signature = yield* signer.sign(message)
        assert.isTrue(yield* Verifier.verify(yield* signer.publicKey(), message, signature), algorithm)
      }
    })
  )
})

describe("BIP341", () => {
  /** From the wallet test vectors of BIP341, keyPathSpending. */
  const vectors = [
    {
      internalPrivateKey: "6b973d88838f27366ed61c9ad6367663045cb456e28335c109e30717ae0c6baa",
      internalPublicKey: "d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d",
      merkleRoot: undefined,
      outputPublicKey: "53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343"
    },
    {
      internalPrivateKey: "1e4da49f6aaf4e5cd175fe08a32bb5cb4863d963921255f33d3bc31e1343907f",
      internalPublicKey: "187791b6f712a8ea41c8ecdd0ee77fab3e85263b37e1ec18a3651926b3a6cf27",
      merkleRoot: "5b75adecf53548f3ec6ad7d78383bf84cc57b55a3127c72b9a2481752dd88b21",
      outputPublicKey: "147c9c57132f6e7ecddba9800bb0c4449251c92a1e60371ee77557b6620f3ea3"
    }
  ]

  /** The output key, computed by other means. */
  const outputKey = (internal: Uint8Array, merkleRoot: Uint8Array) => {
    const {
      Point,
      utils: { lift_x, pointToBytes, taggedHash }
    } = { Point: schnorr.Point, utils: schnorr.utils }
    const tweak = BigInt(`0x${Hex.encode(taggedHash("TapTweak", internal, merkleRoot))}`)
    return pointToBytes(lift_x(BigInt(`0x${Hex.encode(internal)}`)).add(Point.BASE.multiply(tweak)))
  }

  it.effect.each(vectors)("signs with the tweaked key of $internalPublicKey", (vector) =>
    Effect.gen(function* () {
      const merkleRoot = vector.merkleRoot === undefined ? undefined : bytesFromHex(vector.merkleRoot)
      const privateKey = yield* PrivateKey.fromHex("secp256k1", vector.internalPrivateKey)
      assert.strictEqual(Hex.encode(privateKey.publicKey.bytes.slice(1, 33)), vector.internalPublicKey)
      const signer = yield* LocalSigner.make({ privateKey, algorithm: "BIP341", merkleRoot })
      const publicKey = yield* signer.publicKey()
      const xOnly = publicKey.bytes.slice(1, 33)
      assert.strictEqual(Hex.encode(xOnly), vector.outputPublicKey)
      assert.deepStrictEqual(xOnly, outputKey(bytesFromHex(vector.internalPublicKey), merkleRoot ?? new Uint8Array(0)))
      assert.strictEqual(signer.keyId, PublicKey.keyId(publicKey))
      const { bytes } = yield* signer.sign(message)
      assert.isTrue(schnorr.verify(bytes, message, bytesFromHex(vector.outputPublicKey)))
      assert.isFalse(schnorr.verify(bytes, message, bytesFromHex(vector.internalPublicKey)))
    })
  )

  it.effect("has another output key for each script tree", () =>
    Effect.gen(function* () {
      const privateKey = yield* TestKey.make("BIP341")
      const roots = [undefined, new Uint8Array(32), new Uint8Array(32).fill(1)]
      const keys = yield* Effect.forEach(roots, (merkleRoot) =>
        Effect.flatMap(LocalSigner.make({ privateKey, algorithm: "BIP341", merkleRoot }), (signer) =>
          signer.publicKey()
        )
      )
      assert.strictEqual(new Set(keys.map(PublicKey.thumbprint)).size, 3)
    })
  )
})

describe("layerGenerated", () => {
  const publicKey = (layer: Layer.Layer<Signer.Signer, unknown>) => Effect.provide(Signer.publicKey(), layer)

  it.effect("makes a new key each time it is built", () =>
    Effect.gen(function* () {
      const layer = LocalSigner.layerGenerated("Ed25519", { keyId: KeyId.make("dev"), purpose: "development" })
      const first = yield* publicKey(layer)
      const second = yield* publicKey(Layer.fresh(layer))
      assert.isFalse(PublicKey.sameKey(first, second))
      const signer = yield* Effect.provide(Signer.Signer, layer)
      assert.deepStrictEqual([signer.keyId, signer.purpose], [KeyId.make("dev"), "development"])
    })
  )

  it.effect("makes RSA keys of the length asked for", () =>
    Effect.gen(function* () {
      const layer = LocalSigner.layerGenerated("PS256", { modulusLength: 2048 })
      assert.lengthOf((yield* Effect.provide(Signer.sign(message), layer)).bytes, 256)
      const error = yield* Effect.flip(publicKey(LocalSigner.layerGenerated("ES256", { modulusLength: 2048 })))
      assert.include(String(error), "modulusLength")
    })
  )

  it.effect("refuses to be built in production, unless that is allowed", () =>
    Effect.gen(function* () {
      yield* inNodeEnv("production")
      const error = yield* Effect.flip(Layer.build(LocalSigner.layerGenerated("Ed25519")))
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.include(error.message, "allowInProduction: true")
      yield* publicKey(LocalSigner.layerGenerated("Ed25519", { allowInProduction: true }))
    })
  )

  it.effect("a key from PrivateKey.generate is refused alike, and one that was written down is not", () =>
    Effect.gen(function* () {
      yield* inNodeEnv("production")
      const privateKey = yield* PrivateKey.generate("Ed25519")
      for (const make of [LocalSigner.make, NobleSigner.make]) {
        assert.include((yield* Effect.flip(make({ privateKey }))).message, "allowInProduction: true")
        yield* make({ privateKey, allowInProduction: true })
        yield* make({ privateKey: PrivateKey.fromPem(PrivateKey.toPem(privateKey)) })
      }
    })
  )

  it.effect("decides when it is built, not when it is written down", () =>
    Effect.gen(function* () {
      const layer = LocalSigner.layerGenerated("Ed25519")
      yield* publicKey(layer)
      yield* inNodeEnv("production")
      assert.strictEqual((yield* Effect.flip(Layer.build(Layer.fresh(layer))))._tag, "InvalidConfiguration")
    })
  )
})

describe("layerConfig", () => {
  const from = (env: Record<string, string>) => ConfigProvider.layer(ConfigProvider.fromEnv({ env }))

  it.effect("reads a PEM key", () =>
    Effect.gen(function* () {
      const privateKey = yield* TestKey.make("PS512")
      const layer = LocalSigner.layerConfig({
        pem: Config.Redacted("SIGNING_KEY"),
        algorithm: Config.succeed("PS512" as const),
        keyId: Config.succeed(KeyId.make("token")),
        purpose: Config.String("SIGNING_PURPOSE")
      }).pipe(
        Layer.provide(
          from({
            SIGNING_KEY: Redacted.value(PrivateKey.toPem(privateKey)),
            SIGNING_PURPOSE: "tokens"
          })
        )
      )
      const signer = yield* Effect.provide(Signer.Signer, layer)
      assert.deepStrictEqual([signer.algorithm, signer.keyId, signer.purpose], ["PS512", KeyId.make("token"), "tokens"])
      assert.isTrue(PublicKey.sameKey(yield* signer.publicKey(), privateKey.publicKey))
    })
  )

  it.effect("reads an encrypted PEM key, and shows neither key nor passphrase where it cannot", () =>
    Effect.gen(function* () {
      const privateKey = yield* TestKey.make("ES256")
      const pem = yield* PrivateKey.toEncryptedPem(privateKey, Redacted.make("correct horse"))
      const layer = (passphrase: string) =>
        LocalSigner.layerConfig({
          pem: Config.Redacted("SIGNING_KEY"),
          passphrase: Config.Redacted("SIGNING_PASSPHRASE")
        }).pipe(Layer.provide(from({ SIGNING_KEY: Redacted.value(pem), SIGNING_PASSPHRASE: passphrase })))
      const publicKey = yield* Effect.provide(Signer.publicKey(), layer("correct horse"))
      assert.isTrue(PublicKey.sameKey(publicKey, privateKey.publicKey))
      const error = yield* Effect.flip(Effect.provide(Signer.publicKey(), layer("battery staple")))
      assert.strictEqual(error._tag, "InvalidConfiguration")
      assert.notInclude(inspect(error, { depth: null }), "battery staple")
    })
  )

  it.effect("fails with ConfigError where the key is not configured", () =>
    Effect.gen(function* () {
      const layer = LocalSigner.layerConfig({ pem: Config.Redacted("SIGNING_KEY") }).pipe(Layer.provide(from({})))
      const error = yield* Effect.flip(Layer.build(layer))
      assert.strictEqual(error._tag, "ConfigError")
    })
  )
})
