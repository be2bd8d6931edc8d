import { assert, describe, it } from "@effect/vitest"
import { Effect, Equal, Exit, Fiber, Layer, Option, Redacted } from "effect"
import { base58 } from "@scure/base"
import { schnorr, secp256k1 } from "@noble/curves/secp256k1.js"
import { createHash } from "node:crypto"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { inspect } from "node:util"
import {
  KeyId,
  LocalSigner,
  PrivateKey,
  PublicKey,
  SignatureAlgorithm,
  Signer,
  Verifier,
  WatchOnlySigner
} from "../../src/index.ts"
import * as Jcs from "../../src/schemas/Jcs.ts"
import * as MemoryKeyStore from "../../src/layers/MemoryKeyStore.ts"
import * as KeyManager from "../../src/services/KeyManager.ts"
import * as KeyStore from "../../src/services/KeyStore.ts"
import * as Canary from "../../src/testing/Canary.ts"
import { TestSigner } from "../../src/testing.ts"
import { vectors, variable } from "../../src/cli/vectors/VectorSuites.ts"
import { withAuxiliary } from "../support/auxiliary.ts"

const message = new TextEncoder().encode("message")
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")

/** A manager of its own, over a store of its own. */
const layer = KeyManager.layer.pipe(Layer.provideMerge(MemoryKeyStore.layer))

const withKeys = <A, E>(
  use: (keys: KeyManager.Service) => Effect.Effect<A, E, KeyManager.KeyManager | KeyStore.KeyStore>
): Effect.Effect<A, E> => KeyManager.KeyManager.use(use).pipe(Effect.provide(Layer.fresh(layer)))

const failsWith = Effect.fnUntraced(function* <E extends { readonly _tag: string }, R>(
  self: Effect.Effect<unknown, E, R>,
  tag: E["_tag"]
) {
  const error = yield* Effect.flip(self)
  assert.strictEqual(error._tag, tag)
  return error
})

/** A secp256k1 key whose point has an odd y: the one on which x-only names and full names differ. */
const secret = Uint8Array.from({ length: 32 }, (_, i) => i + 2)
const secretOdd =
  secp256k1.getPublicKey(secret, true)[0] === 0x03
    ? secret
    : secp256k1.Point.Fn.toBytes(secp256k1.Point.Fn.neg(secp256k1.Point.Fn.fromBytes(secret)))
const secp256k1Key = PrivateKey.fromRaw("secp256k1", secretOdd)
const urn = (bytes: Uint8Array) => `urn:kms:secp256k1:${createHash("sha256").update(bytes).digest("hex").slice(0, 32)}`

describe("importKey", () => {
  it.effect("D3 importKey: answers the id, keeps tags, and leaves the active key alone", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const key = yield* PrivateKey.generate("Ed25519")
        const id = yield* keys.importKey(key, { tags: { tenant: "acme" } })
        assert.strictEqual(id, PublicKey.keyId(key.publicKey))
        assert.deepStrictEqual(yield* keys.active, Option.none())
        const entry = yield* keys.entry(id)
        assert.deepInclude(entry, {
          id,
          kind: "private",
          canExport: true,
          algorithm: "Ed25519",
          tags: { tenant: "acme" },
          state: "enabled",
          createdAt: 0
        })
        yield* keys.importKey(yield* PrivateKey.generate("ES256"), { id: "active", setActive: true })
        assert.deepStrictEqual(yield* keys.active, Option.some("active"))
        yield* keys.importKey(yield* PrivateKey.generate("ES384"))
        assert.deepStrictEqual(yield* keys.active, Option.some("active"))
      })
    )
  )

  it.effect("D3 importKey: a taken id is KeyExists, and changes nothing", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const key = yield* PrivateKey.generate("Ed25519")
        const id = yield* keys.importKey(key)
        const error = yield* failsWith(keys.importKey(key), "KeyExists")
        assert.deepInclude(error, { keyId: id })
        yield* keys.importKey(key, { id: "again" }) // an id of one's own is one's own business
        const other = yield* PrivateKey.generate("ES256")
        yield* failsWith(keys.importKey(other, { id: "again", setActive: true }), "KeyExists")
        yield* failsWith(keys.importPublicKey(other.publicKey, { id: "again" }), "KeyExists")
        yield* failsWith(keys.generateKey("ES256", { id: "again" }), "KeyExists")
        yield* failsWith(keys.attach((yield* TestSigner.make()).signer, { id: "again" }), "KeyExists")
        assert.deepStrictEqual(yield* keys.active, Option.none())
        assert.strictEqual((yield* keys.entry("again")).algorithm, "Ed25519")
        assert.lengthOf(yield* keys.list(), 2)
      })
    )
  )

  it.effect("of many that import one id at a time, one succeeds", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const key = yield* PrivateKey.generate("Ed25519")
        const exits = yield* Effect.forEach(
          Array.from({ length: 16 }),
          (_, i) => Effect.exit(i % 2 === 0 ? keys.importKey(key) : keys.importPublicKey(key.publicKey)),
          { concurrency: "unbounded" }
        )
        assert.lengthOf(exits.filter(Exit.isSuccess), 1)
        assert.lengthOf(yield* keys.list(), 1)
      })
    )
  )

  it.effect("keeps a copy: wiping the key that was imported harms nobody", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const key = yield* PrivateKey.generate("Ed25519")
        const id = yield* keys.importKey(key)
        PrivateKey.wipe(key)
        assert.isTrue(yield* keys.verify(message, yield* keys.sign(message, id), id))
        const error = yield* failsWith(keys.importKey(key, { id: "wiped" }), "InvalidConfiguration")
        assert.deepInclude(error, { field: "privateKey" })
      })
    )
  )

  it.effect("wants an algorithm where the key allows several, and one that it can do", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const key = yield* secp256k1Key
        assert.match((yield* failsWith(keys.importKey(key), "InvalidConfiguration")).message, /ES256K, BIP340, BIP341/)
        yield* failsWith(keys.importKey(key, { algorithm: "Ed25519" }), "InvalidConfiguration")
        yield* failsWith(keys.importPublicKey(key.publicKey), "InvalidConfiguration")
        const stated = yield* PrivateKey.fromRaw("secp256k1", secret, { algorithm: "BIP340" })
        yield* failsWith(keys.importKey(stated, { algorithm: "ES256K" }), "InvalidConfiguration")
        assert.strictEqual((yield* keys.entry(yield* keys.importKey(stated))).algorithm, "BIP340")
        // @ts-expect-error what is no key, from a program without types
        yield* failsWith(keys.importKey({ type: "Ed25519" }), "InvalidConfiguration")
        // @ts-expect-error as above
        yield* failsWith(keys.importPublicKey("key"), "InvalidConfiguration")
      })
    )
  )
})

describe("ids", () => {
  it.effect("D5 URN ids: the first 16 bytes of SHA-256 of the compressed point, whatever the scheme", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const key = yield* secp256k1Key
        const expected = urn(secp256k1.getPublicKey(secretOdd, true))
        assert.strictEqual(yield* keys.importKey(key, { algorithm: "BIP340" }), expected)
        assert.isTrue(KeyId.matches(expected, yield* keys.publicKey(expected)))
        yield* keys.remove(expected)
        assert.strictEqual(yield* keys.importKey(key, { algorithm: "ES256K" }), expected)
        yield* keys.remove(expected)
        assert.strictEqual(yield* keys.importPublicKey(key.publicKey, { algorithm: "BIP340" }), expected)
      })
    )
  )

  it.effect("D5 URN ids: schemes of one secp256k1 key side by side, each under an id of its own", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const key = yield* secp256k1Key
        const expected = urn(secp256k1.getPublicKey(secretOdd, true))
        const ids = yield* Effect.forEach(["ES256K", "BIP340", "BIP341"] as const, (algorithm) =>
          keys.importKey(key, { algorithm })
        )
        assert.deepStrictEqual(ids.slice(0, 2), [expected, `${expected}#bip340`] as Array<KeyId.KeyId>)
        const outputKey = yield* keys.publicKey(ids[2])
        assert.strictEqual(ids[2], PublicKey.keyId(outputKey))
        for (const algorithm of ["ES256K", "BIP340", "BIP341"] as const) {
          yield* failsWith(keys.importKey(key, { algorithm }), "KeyExists")
        }
        // the same key for the same algorithm stays there once, also when the plain URN is free again
        yield* keys.remove(expected)
        yield* failsWith(keys.importKey(key, { algorithm: "BIP340" }), "KeyExists")
        for (const id of ids.slice(1)) {
          const { bytes, algorithm } = yield* keys.sign(message, id)
          assert.strictEqual(algorithm, (yield* keys.entry(id)).algorithm)
          assert.isTrue(schnorr.verify(bytes, message, PublicKey.toRaw(yield* keys.publicKey(id))))
        }
      })
    )
  )

  it.effect("D5 URN ids: another key under the URN is KeyExists, not a reason to look for another id", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const key = yield* PrivateKey.generate("Ed25519")
        const id = PublicKey.keyId(key.publicKey)
        yield* keys.generateKey("ES256", { id })
        yield* failsWith(keys.importKey(key), "KeyExists")
      })
    )
  )

  it.effect.each([
    "release",
    "urn:kms:secp256k1:abababababababababababababababab/0/1",
    "m/86'/0'/0'/0/1",
    "arn:aws:kms:eu-central-1:111122223333:key/1234",
    "ключ подписи",
    "__proto__",
    "'; DROP TABLE keys; --",
    "k".repeat(1024)
  ])("D5 custom ids: %s", (id) =>
    withKeys((keys) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* keys.generateKey("Ed25519", { id }), id)
        assert.isTrue(yield* keys.has(id))
        assert.isFalse(yield* keys.has(`${id}/`))
        assert.strictEqual((yield* keys.sign(message, id)).keyId, id)
        const { signer } = yield* TestSigner.make()
        const another = `${id.slice(0, -1)}!`
        assert.strictEqual(yield* keys.attach(signer, { id: another }), another)
        assert.isTrue(yield* keys.has(another))
      })
    )
  )

  it.effect.each(["", "k".repeat(1025), "two\nlines", "\u0000", "tab\t", " key", "key ", "\u202egnirts", "\ud800", 7])(
    "D5 custom ids: %j is refused",
    (id) =>
      withKeys((keys) =>
        Effect.gen(function* () {
          const key = yield* PrivateKey.generate("Ed25519")
          const { signer } = yield* TestSigner.make()
          const bad = { id: id as string }
          for (const attempt of [
            keys.importKey(key, bad),
            keys.importPublicKey(key.publicKey, bad),
            keys.generateKey("Ed25519", bad),
            keys.attach(signer, bad)
          ]) {
            assert.deepInclude(yield* failsWith(attempt, "InvalidConfiguration"), { field: "id" })
          }
          assert.deepStrictEqual(yield* keys.list(), [])
        })
      )
  )
})

describe("importPublicKey", () => {
  it.effect("D3 importKey: a public key alone verifies, and signs with KeyNotSigner", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const key = yield* PrivateKey.generate("Ed25519")
        const signer = yield* LocalSigner.make({ privateKey: key })
        const id = yield* keys.importPublicKey(key.publicKey, { setActive: true })
        assert.deepInclude(yield* keys.entry(id), { kind: "watch-only", canExport: false })
        const signature = yield* signer.sign(message)
        assert.isTrue(yield* keys.verify(message, signature))
        assert.isFalse(yield* keys.verify(new Uint8Array(1), signature))
        for (const attempt of [keys.sign(message), keys.sign(message, id), keys.signer(), keys.signer(id)]) {
          assert.deepInclude(yield* failsWith(attempt, "KeyNotSigner"), { keyId: id, operation: "sign" })
        }
        yield* failsWith(keys.importKey(key), "KeyExists")
      })
    )
  )
})

describe("generateKey", () => {
  it.effect.each(SignatureAlgorithm.all)(
    "D4 generateKey: %s signs and verifies, and is exported",
    (algorithm) =>
      withKeys((keys) =>
        Effect.gen(function* () {
          const id = yield* keys.generateKey(algorithm, {
            tags: { purpose: "test" },
            setActive: true,
            modulusLength: algorithm.startsWith("PS") || algorithm.startsWith("RS") ? 2048 : undefined
          })
          assert.match(id, /^urn:kms:[a-z0-9-]+:[0-9a-f]{32}$/)
          assert.deepStrictEqual(yield* keys.active, Option.some(id))
          const entry = yield* keys.entry(id)
          assert.deepInclude(entry, { algorithm, tags: { purpose: "test" } })
          assert.isTrue(KeyId.matches(id, entry.publicKey))
          const signature = yield* keys.sign(message)
          assert.deepInclude(signature, { algorithm, keyId: id })
          assert.isTrue(yield* keys.verify(message, signature))
          assert.isTrue(yield* keys.verify(message, signature.bytes, id))
          assert.isFalse(yield* keys.verify(new Uint8Array(1), signature, id))
          assert.isTrue(yield* Verifier.verify(yield* keys.publicKey(), message, signature))
          if (entry.kind !== "private") return assert.fail(entry.kind)
          const exported = yield* keys.exportKey(entry)
          assert.strictEqual(exported.algorithm, algorithm === "BIP341" ? "BIP340" : algorithm)
          const again = yield* LocalSigner.make({ privateKey: exported, algorithm: exported.algorithm })
          assert.isTrue(yield* keys.verify(message, (yield* again.sign(message)).bytes))
        })
      ),
    60_000
  )

  it.effect("D4 generateKey: an id of one's own, and the active key stays as it is", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        assert.strictEqual(yield* keys.generateKey("Ed25519", { id: "mine" }), "mine")
        assert.deepStrictEqual(yield* keys.active, Option.none())
        // @ts-expect-error an algorithm that is none
        yield* failsWith(keys.generateKey("RSA-PSS"), "InvalidConfiguration")
        yield* failsWith(keys.generateKey("Ed25519", { modulusLength: 2048 }), "InvalidConfiguration")
      })
    )
  )
})

describe("schemes", () => {
  it.effect("D1 sign with scheme: a key is one scheme; ES256K is low-S", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const key = yield* secp256k1Key
        const id = yield* keys.importKey(key, { algorithm: "ES256K" })
        const signer = yield* keys.signer(id)
        const compressed = secp256k1.getPublicKey(secretOdd, true)
        for (let i = 0; i < 24; i++) {
          const { bytes } = yield* signer.sign(Uint8Array.of(i))
          assert.isTrue(secp256k1.verify(bytes, Uint8Array.of(i), compressed, { lowS: true }))
        }
      })
    )
  )

  // BIP 341, wallet-test-vectors.json, keyPathSpending, inputs 0 and 1
  it.effect.each([
    {
      secret: "6b973d88838f27366ed61c9ad6367663045cb456e28335c109e30717ae0c6baa",
      merkleRoot: undefined,
      tweaked: "2405b971772ad26915c8dcdf10f238753a9b837e5f8e6a86fd7c0cce5b7296d9",
      outputKey: "53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343"
    }
  ])("D1 sign with scheme: BIP341 is tweaked as published", ({ merkleRoot, outputKey, secret, tweaked }) =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const key = yield* PrivateKey.fromHex("secp256k1", secret)
        const id = yield* keys.importKey(key, { algorithm: "BIP341", merkleRoot })
        assert.strictEqual(PublicKey.toHex(yield* keys.publicKey(id)), outputKey)
        const entry = yield* keys.entry(id)
        if (entry.kind !== "private") return assert.fail(entry.kind)
        const exported = yield* keys.exportKey(entry)
        assert.strictEqual(exported.algorithm, "BIP340")
        const jwk = Redacted.value(PrivateKey.toJwk(exported)) as { readonly d: string }
        assert.strictEqual(Buffer.from(jwk.d, "base64url").toString("hex"), tweaked)
      })
    )
  )

  it.effect("D1 sign with scheme: BIP341 with a Merkle root is the key that LocalSigner and noble make", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const { Point } = secp256k1
        for (let i = 1; i <= 12; i++) {
          const privateKey = yield* PrivateKey.generate("secp256k1")
          const merkleRoot = i % 3 === 0 ? undefined : new Uint8Array(32).fill(i)
          const id = yield* keys.importKey(privateKey, { algorithm: "BIP341", merkleRoot })
          const x = PublicKey.toCompressed(privateKey.publicKey)!.subarray(1)
          const tweak = Point.Fn.fromBytes(schnorr.utils.taggedHash("TapTweak", x, merkleRoot ?? new Uint8Array(0)))
          const output = schnorr.utils.lift_x(BigInt(`0x${hex(x)}`)).add(Point.BASE.multiply(tweak))
          const publicKey = yield* keys.publicKey(id)
          assert.strictEqual(PublicKey.toHex(publicKey), hex(output.toBytes(true).subarray(1)))
          const local = yield* LocalSigner.make({ privateKey, algorithm: "BIP341", merkleRoot })
          assert.isTrue(Equal.equals(yield* local.publicKey(), publicKey))
          const signature = yield* keys.sign(message, id)
          assert.strictEqual(signature.algorithm, "BIP341")
          assert.isTrue(schnorr.verify(signature.bytes, message, output.toBytes(true).subarray(1)))
          assert.isTrue(yield* keys.verify(message, yield* local.sign(message), id))
        }
        const key = yield* secp256k1Key
        for (const options of [
          { algorithm: "BIP340", merkleRoot: new Uint8Array(32) },
          { algorithm: "BIP341", merkleRoot: new Uint8Array(31) }
        ] as const) {
          const error = yield* failsWith(keys.importKey(key, options), "InvalidConfiguration")
          assert.deepInclude(error, { field: "merkleRoot" })
        }
      })
    )
  )

  it.effect("D2 verify with stored key: a signature of another algorithm of the same key is false", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const key = yield* secp256k1Key
        const ecdsa = yield* keys.importKey(key, { algorithm: "ES256K" })
        const bip340 = yield* keys.importKey(key, { algorithm: "BIP340" })
        const signature = yield* keys.sign(message, ecdsa)
        assert.isTrue(yield* keys.verify(message, signature, ecdsa))
        assert.isFalse(yield* keys.verify(message, signature, bip340))
        assert.isFalse(yield* keys.verify(message, signature.bytes, bip340))
        assert.isFalse(yield* keys.verify(message, new Uint8Array(63), ecdsa))
        yield* failsWith(keys.verify(message, signature), "ActiveKeyNotSet")
        yield* failsWith(keys.verify(message, signature, "other"), "KeyNotFound")
      })
    )
  )
})

describe("the active key", () => {
  it.effect("D6 active key: none is ActiveKeyNotSet, and it is removed with force only", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        for (const attempt of [keys.sign(message), keys.signer(), keys.publicKey()]) {
          yield* failsWith(attempt, "ActiveKeyNotSet")
        }
        yield* failsWith(keys.setActive("a"), "KeyNotFound")
        yield* keys.generateKey("Ed25519", { id: "a" })
        yield* keys.generateKey("ES256", { id: "b" })
        yield* keys.setActive("a")
        assert.strictEqual((yield* keys.sign(message)).keyId, "a")
        yield* keys.setActive("b")
        assert.strictEqual((yield* keys.sign(message)).keyId, "b")
        assert.deepInclude(yield* failsWith(keys.remove("b"), "ActiveKeyDelete"), { keyId: "b" })
        assert.isTrue(yield* keys.has("b"))
        yield* keys.remove("a")
        yield* keys.remove("b", { force: true })
        yield* failsWith(keys.remove("b", { force: true }), "KeyNotFound")
        assert.deepStrictEqual(yield* keys.active, Option.none())
        yield* failsWith(keys.sign(message), "ActiveKeyNotSet")
      })
    )
  )

  it.effect("D6 active key: an attached one is active here, and once removed no other takes its place", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const store = yield* KeyStore.KeyStore
        yield* keys.generateKey("Ed25519", { id: "stored", setActive: true })
        const { signer } = yield* TestSigner.make({ algorithm: "ES256" })
        yield* keys.attach(signer, { id: "attached", setActive: true })
        assert.deepStrictEqual(yield* keys.active, Option.some("attached"))
        assert.deepStrictEqual(yield* store.active, Option.some("stored"))
        assert.strictEqual((yield* keys.sign(message)).algorithm, "ES256")
        yield* failsWith(keys.remove("attached"), "ActiveKeyDelete")
        yield* failsWith(keys.remove("stored"), "ActiveKeyDelete")
        yield* keys.remove("attached", { force: true })
        assert.deepStrictEqual(yield* keys.active, Option.none())
        yield* failsWith(keys.sign(message), "ActiveKeyNotSet")
        yield* keys.setActive("stored")
        assert.strictEqual((yield* keys.sign(message)).keyId, "stored")
      })
    )
  )
})

describe("entries", () => {
  it.effect("D7 listKeys: by tags, algorithm, state and kind, in the order they came", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const watched = yield* PrivateKey.generate("ES256")
        yield* keys.generateKey("Ed25519", { id: "b", tags: { tenant: "acme", stage: "test" } })
        yield* keys.generateKey("ES256", { id: "c", tags: { tenant: "acme" } })
        yield* keys.importPublicKey(watched.publicKey, { id: "a", tags: { tenant: "other" } })
        const { signer } = yield* TestSigner.make({ algorithm: "ES256" })
        yield* keys.attach(signer, { id: "aa", tags: { tenant: "acme" } })
        yield* keys.disable("c")
        const ids = (filter?: KeyManager.Filter) =>
          Effect.map(keys.list(filter), (entries) => entries.map(({ id }): string => id))
        assert.deepStrictEqual(yield* ids(), ["a", "aa", "b", "c"])
        assert.deepStrictEqual(yield* ids({ tags: { tenant: "acme" } }), ["aa", "b", "c"])
        assert.deepStrictEqual(yield* ids({ tags: { tenant: "acme", stage: "test" } }), ["b"])
        assert.deepStrictEqual(yield* ids({ tags: { toString: "x" } }), [])
        assert.deepStrictEqual(yield* ids({ algorithm: "ES256" }), ["a", "aa", "c"])
        assert.deepStrictEqual(yield* ids({ state: "disabled" }), ["c"])
        assert.deepStrictEqual(yield* ids({ state: "enabled", algorithm: "ES256" }), ["a", "aa"])
        assert.deepStrictEqual(yield* ids({ kind: "attached" }), ["aa"])
        assert.deepStrictEqual(yield* ids({ kind: "private" }), ["b", "c"])
        assert.deepStrictEqual(yield* ids({ kind: "watch-only" }), ["a"])
        for (const entry of yield* keys.list()) assert.deepStrictEqual(yield* keys.entry(entry.id), entry)
        yield* failsWith(keys.entry("none"), "KeyNotFound")
      })
    )
  )

  it.effect("D15 rotation lineage: tags carry it, are replaced whole and are nobody else's to change", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const tags: Record<string, string> = { generation: "1" }
        const { signer } = yield* TestSigner.make()
        yield* keys.generateKey("Ed25519", { id: "old", tags })
        yield* keys.attach(signer, { id: "kms", tags })
        tags.generation = "9"
        for (const id of ["old", "kms"]) {
          const entry = yield* keys.entry(id)
          assert.deepStrictEqual(entry.tags, { generation: "1" })
          assert.throws(() => Object.assign(entry.tags, { generation: "9" }))
        }
        yield* keys.generateKey("Ed25519", { id: "new", tags: { replaces: "old" } })
        assert.deepStrictEqual(
          (yield* keys.list({ tags: { replaces: "old" } })).map(({ id }): string => id),
          ["new"]
        )
        for (const id of ["old", "kms"]) {
          yield* keys.setTags(id, { replacedBy: "new" })
          assert.deepStrictEqual((yield* keys.entry(id)).tags, { replacedBy: "new" })
          for (const bad of [
            { ["n".repeat(257)]: "" },
            { name: "v".repeat(4097) },
            { name: "\u0000" },
            Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`t${i}`, ""]))
          ]) {
            assert.deepInclude(yield* failsWith(keys.setTags(id, bad), "KeyStoreError"), { reason: "Invalid" })
            yield* failsWith(keys.generateKey("Ed25519", { tags: bad }), "KeyStoreError")
            yield* failsWith(keys.attach(signer, { id: "other", tags: bad }), "KeyStoreError")
          }
          assert.deepStrictEqual((yield* keys.entry(id)).tags, { replacedBy: "new" })
        }
        yield* failsWith(keys.setTags("none", {}), "KeyNotFound")
      })
    )
  )

  it.effect("D9 exportKey: what can be exported is known before, by type and by value", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const key = yield* PrivateKey.generate("ES256K")
        const id = yield* keys.importKey(key)
        yield* keys.importPublicKey((yield* PrivateKey.generate("Ed25519")).publicKey, { id: "watched" })
        yield* keys.attach((yield* TestSigner.make()).signer, { id: "attached" })
        const exported: Array<string> = []
        for (const entry of yield* keys.list()) {
          if (entry.canExport) {
            const copy = yield* keys.exportKey(entry)
            assert.strictEqual(Redacted.value(PrivateKey.toPem(copy)), Redacted.value(PrivateKey.toPem(key)))
            PrivateKey.wipe(copy) // ours alone
            exported.push(entry.id)
          } else {
            // @ts-expect-error the type says that this key cannot be exported
            yield* failsWith(keys.exportKey(entry), "KeyNotSigner")
          }
        }
        assert.deepStrictEqual(exported, [id])
        assert.isTrue(yield* keys.verify(message, yield* keys.sign(message, id), id))
      })
    )
  )
})

describe("signer", () => {
  it.effect("D11 Signer adapter: fails at once on a bad id, and has its public key", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        yield* failsWith(keys.signer("none"), "KeyNotFound")
        yield* keys.generateKey("ES256", { id: "a", setActive: true })
        const signer = yield* keys.signer()
        assert.deepInclude(signer, { backend: "key-manager", keyId: "a" as KeyId.KeyId, algorithm: "ES256" })
        const publicKey = yield* signer.publicKey()
        assert.strictEqual(yield* signer.publicKey(), publicKey) // cached, and immutable
        assert.isTrue(Equal.equals(publicKey, yield* keys.publicKey("a")))
        // bound to the key that was active then
        yield* keys.generateKey("Ed25519", { id: "b", setActive: true })
        assert.strictEqual((yield* signer.sign(message)).keyId, "a")
        const ofLayer = yield* Signer.sign(message).pipe(Effect.provide(KeyManager.layerSigner()))
        assert.strictEqual(ofLayer.keyId, "b")
        const named = yield* Signer.sign(message).pipe(Effect.provide(KeyManager.layerSigner("a")))
        assert.strictEqual(named.keyId, "a")
        yield* failsWith(Signer.sign(message).pipe(Effect.provide(KeyManager.layerSigner("none"))), "KeyNotFound")
      })
    )
  )

  it.effect("a disabled key signs nothing, also with a Signer from before, and verifies", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const { signer: backend } = yield* TestSigner.make()
        yield* keys.attach(backend, { id: "attached" })
        yield* keys.generateKey("Ed25519", { id: "stored" })
        for (const id of ["attached", "stored"]) {
          const signer = yield* keys.signer(id)
          const signature = yield* signer.sign(message)
          yield* keys.disable(id)
          assert.strictEqual((yield* keys.entry(id)).state, "disabled")
          for (const attempt of [keys.sign(message, id), keys.signer(id), signer.sign(message)]) {
            assert.deepInclude(yield* failsWith(attempt, "KeyUnavailable"), { keyId: id, state: "disabled" })
          }
          assert.isTrue(yield* keys.verify(message, signature, id))
          yield* keys.enable(id)
          yield* signer.sign(message)
          yield* keys.sign(message, id)
          yield* keys.remove(id)
          for (const attempt of [keys.sign(message, id), keys.signer(id), signer.sign(message), keys.disable(id)]) {
            yield* failsWith(attempt, "KeyNotFound")
          }
          yield* keys.generateKey("Ed25519", { id })
          yield* failsWith(signer.sign(message), "KeyNotFound") // that is another key
          yield* keys.sign(message, id)
        }
        yield* failsWith(keys.enable("none"), "KeyNotFound")
      })
    )
  )

  it.effect("notices what another manager did to the same store", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const other = yield* KeyManager.make
        yield* keys.generateKey("Ed25519", { id: "a", setActive: true })
        const signer = yield* other.signer("a")
        yield* keys.disable("a")
        yield* failsWith(other.sign(message), "KeyUnavailable")
        yield* failsWith(signer.sign(message), "KeyUnavailable") // since `other` has read the entry
        yield* keys.enable("a")
        yield* other.sign(message, "a")
        yield* signer.sign(message)
        // another key under the same id
        const first = yield* keys.publicKey("a")
        yield* keys.remove("a", { force: true })
        yield* keys.generateKey("Ed25519", { id: "a" })
        const signature = yield* other.sign(message, "a")
        assert.isTrue(yield* keys.verify(message, signature, "a"))
        assert.isFalse(yield* Verifier.verify(first, message, signature))
      })
    )
  )

  it.effect("a Signer from before signs no more once the manager read that its key is gone or another", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const other = yield* KeyManager.make
        for (const next of ["Ed25519", "ES256", "watch-only"] as const) {
          yield* keys.generateKey("Ed25519", { id: "a" })
          const signer = yield* other.signer("a")
          const entry = yield* other.entry("a")
          yield* keys.remove("a")
          if (next === "watch-only") {
            yield* failsWith(other.sign(message, "a"), "KeyNotFound")
            yield* failsWith(signer.sign(message), "KeyNotFound")
            yield* keys.importPublicKey(entry.publicKey, { id: "a" })
            yield* failsWith(other.sign(message, "a"), "KeyNotSigner")
          } else {
            yield* keys.generateKey(next, { id: "a" })
            yield* other.sign(message, "a")
          }
          yield* failsWith(signer.sign(message), "KeyNotFound")
          yield* keys.remove("a")
        }
        // the private half alone was taken away
        yield* keys.generateKey("Ed25519", { id: "b" })
        const { publicKey } = yield* keys.entry("b")
        const signer = yield* other.signer("b")
        yield* keys.remove("b")
        yield* keys.importPublicKey(publicKey, { id: "b" })
        yield* failsWith(other.sign(message, "b"), "KeyNotSigner")
        yield* failsWith(signer.sign(message), "KeyNotFound")
      })
    )
  )

  it.effect("signs with the key of the entry, also where another comes between the two", () =>
    Effect.gen(function* () {
      const store = yield* KeyStore.KeyStore
      const other = yield* KeyManager.make
      let next: Effect.Effect<unknown, unknown> = Effect.void
      const lagging = KeyStore.KeyStore.of({
        ...store,
        // what another process does once the entry was read
        privateKey: (id) => Effect.andThen(Effect.orDie(Effect.suspend(() => next)), store.privateKey(id))
      })
      const keys = yield* Effect.provideService(KeyManager.make, KeyStore.KeyStore, lagging)
      const replace = Effect.andThen(other.remove("a"), other.generateKey("Ed25519", { id: "a" }))
      yield* other.generateKey("Ed25519", { id: "a" })
      next = Effect.suspend(() => ((next = Effect.void), replace))
      const signer = yield* keys.signer("a")
      const { bytes } = yield* signer.sign(message)
      assert.isTrue(yield* other.verify(message, bytes, "a"))
      // once more for each attempt: then it says so
      yield* replace
      next = replace
      assert.deepInclude(yield* failsWith(keys.sign(message, "a"), "KeyStoreError"), { reason: "Corrupt" })
      yield* failsWith(signer.sign(message), "KeyNotFound")
      next = Effect.void
      assert.isTrue(yield* other.verify(message, yield* keys.sign(message, "a"), "a"))
    }).pipe(Effect.provide(MemoryKeyStore.layer))
  )

  it.effect("an opening that is interrupted leaves nothing behind, and the next one works", () =>
    Effect.gen(function* () {
      const store = yield* KeyStore.KeyStore
      const opened: Array<PrivateKey.PrivateKey> = []
      const slow = KeyStore.KeyStore.of({
        ...store,
        privateKey: (id) =>
          Effect.tap(store.privateKey(id), (key) =>
            Effect.andThen(
              Effect.yieldNow,
              Effect.sync(() => opened.push(key))
            )
          )
      })
      const keys = yield* Effect.provideService(KeyManager.make, KeyStore.KeyStore, slow)
      const ids = [yield* keys.generateKey("BIP341"), yield* keys.generateKey("ES384")]
      for (const id of ids) {
        for (let turn = 0; turn < 12; turn++) {
          const fiber = yield* Effect.forkChild(keys.sign(message, id))
          for (let i = 0; i < turn; i++) yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
        }
        assert.isTrue(yield* keys.verify(message, yield* keys.sign(message, id), id))
      }
      assert.isTrue(opened.every(PrivateKey.isWiped))
    }).pipe(Effect.provide(MemoryKeyStore.layer))
  )

  it.effect("opens a key once for many first callers, and not while it is disabled", () =>
    Effect.gen(function* () {
      let opened = 0
      const store = yield* KeyStore.KeyStore
      const counting = KeyStore.KeyStore.of({
        ...store,
        privateKey: (id) =>
          Effect.andThen(
            Effect.sync(() => opened++),
            Effect.andThen(Effect.yieldNow, store.privateKey(id))
          )
      })
      const keys = yield* Effect.provideService(KeyManager.make, KeyStore.KeyStore, counting)
      const id = yield* keys.generateKey("Ed25519")
      assert.strictEqual(opened, 0)
      yield* Effect.forEach(Array.from({ length: 100 }), () => keys.sign(message, id), { concurrency: "unbounded" })
      assert.strictEqual(opened, 1)
      yield* keys.disable(id)
      yield* Effect.exit(keys.sign(message, id))
      assert.strictEqual(opened, 1)
      yield* keys.enable(id)
      yield* keys.sign(message, id)
      assert.strictEqual(opened, 2)
    }).pipe(Effect.provide(MemoryKeyStore.layer))
  )

  it.effect("an entry that was read while the key was disabled does not enable it", () =>
    Effect.gen(function* () {
      const store = yield* KeyStore.KeyStore
      let slow = false
      const lagging = KeyStore.KeyStore.of({
        ...store,
        get: (id) => Effect.tap(store.get(id), () => (slow ? Effect.yieldNow : Effect.void))
      })
      const keys = yield* Effect.provideService(KeyManager.make, KeyStore.KeyStore, lagging)
      const id = yield* keys.generateKey("Ed25519")
      slow = true
      const fiber = yield* Effect.forkChild(Effect.exit(keys.signer(id)), { startImmediately: true })
      slow = false
      yield* keys.disable(id)
      yield* Effect.yieldNow
      const exit = yield* Fiber.join(fiber)
      assert.isTrue(Exit.isFailure(exit))
    }).pipe(Effect.provide(MemoryKeyStore.layer))
  )

  it.effect("signs the message as it was when asked", () =>
    Effect.gen(function* () {
      const store = yield* KeyStore.KeyStore
      const waiting = KeyStore.KeyStore.of({ ...store, get: (id) => Effect.andThen(Effect.yieldNow, store.get(id)) })
      const keys = yield* Effect.provideService(KeyManager.make, KeyStore.KeyStore, waiting)
      const id = yield* keys.generateKey("Ed25519")
      const buffer = new Uint8Array(message)
      const fiber = yield* Effect.forkChild(keys.sign(buffer, id), { startImmediately: true })
      buffer.fill(0)
      assert.isTrue(yield* keys.verify(message, yield* Fiber.join(fiber), id))
      // @ts-expect-error text would be signed as the empty message
      yield* failsWith(keys.sign("message", id), "InvalidConfiguration")
    }).pipe(Effect.provide(MemoryKeyStore.layer))
  )
})

describe("attach", () => {
  it.effect("takes a Signer of any backend, which keeps its name and its errors", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const { signer } = yield* TestSigner.make({ algorithm: "ES384" })
        const id = yield* keys.attach(signer, { tags: { where: "kms" } })
        assert.strictEqual(id, PublicKey.keyId(yield* signer.publicKey()))
        assert.deepInclude(yield* keys.entry(id), { kind: "attached", backend: signer.backend, algorithm: "ES384" })
        assert.strictEqual((yield* keys.sign(message, id)).keyId, signer.keyId)
        assert.isTrue(yield* keys.verify(message, yield* keys.sign(message, id), id))
        yield* failsWith(keys.attach(signer), "KeyExists")
        const watched = yield* WatchOnlySigner.make({ publicKey: yield* signer.publicKey() })
        const watcher = yield* keys.attach(watched, { id: "watcher" })
        yield* failsWith(keys.sign(message, watcher), "KeyNotSigner")
      })
    )
  )

  it.effect("hides a stored key that another manager put under its id", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const { signer } = yield* TestSigner.make({ algorithm: "ES256" })
        yield* keys.attach(signer, { id: "same" })
        const other = yield* KeyManager.make
        yield* other.generateKey("Ed25519", { id: "same" })
        assert.deepStrictEqual(yield* keys.list(), [yield* keys.entry("same")])
        assert.strictEqual((yield* keys.sign(message, "same")).algorithm, "ES256")
        yield* keys.remove("same")
        assert.strictEqual((yield* keys.sign(message, "same")).algorithm, "Ed25519")
      })
    )
  )

  it.effect("D12 no singleton: another manager knows nothing of it, nor another store of any key", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const sibling = yield* KeyManager.make
        yield* keys.attach((yield* TestSigner.make()).signer, { id: "attached", setActive: true })
        yield* keys.generateKey("Ed25519", { id: "stored" })
        assert.isFalse(yield* sibling.has("attached"))
        assert.deepStrictEqual(yield* sibling.active, Option.none())
        assert.isTrue(yield* sibling.has("stored"))
        yield* withKeys((stranger) =>
          Effect.gen(function* () {
            assert.deepStrictEqual(yield* stranger.list(), [])
          })
        )
      })
    )
  )
})

describe("D13 bip340-jcs-2025", () => {
  it.effect.skipIf(vectors === undefined)(`is reproduced byte for byte (needs ${variable})`, () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const read = (name: string) =>
          Effect.promise(() => readFile(join(vectors!, "di-bip340", name), "utf8").then((text) => text.trim()))
        const pair = JSON.parse(yield* read("keyPair.json"))
        const secret = base58.decode(pair.privateKeyMultibase.slice(1)).subarray(2) // after the multicodec 0x1300
        const compressed = base58.decode(pair.publicKeyMultibase.slice(1)).subarray(2) // after the multicodec 0xe7
        const privateKey = yield* PrivateKey.fromRaw("secp256k1", secret)
        const id = yield* keys.importKey(privateKey, { algorithm: "BIP340", setActive: true })
        assert.strictEqual(id, urn(compressed))
        const proof = yield* Jcs.sha256(JSON.parse(yield* read("bip340-jcs-2025/proofConfigJCS.json")))
        const document = yield* Jcs.sha256(JSON.parse(yield* read("unsigned.json")))
        const hash = createHash("sha256").update(proof).update(document).digest()
        assert.strictEqual(hex(hash), yield* read("bip340-jcs-2025/finalHashJCS.txt"))
        const auxiliary = Buffer.from(yield* read("bip340-jcs-2025/randomAuxHexJCS.txt"), "hex")
        const { bytes } = yield* withAuxiliary(auxiliary, keys.sign(hash))
        assert.strictEqual(hex(bytes), yield* read("bip340-jcs-2025/sigHexJCS.txt"))
        assert.strictEqual(`z${base58.encode(bytes)}`, yield* read("bip340-jcs-2025/sigBTC58JCS.txt"))
        assert.isTrue(yield* keys.verify(hash, bytes))
        assert.notDeepEqual((yield* keys.sign(hash)).bytes, bytes) // else it is fresh
        const watched = yield* PublicKey.fromRaw("secp256k1", compressed)
        yield* keys.importPublicKey(watched, { id: "watched", algorithm: "BIP340" })
        assert.isTrue(yield* keys.verify(hash, bytes, "watched"))
      })
    )
  )
})

describe("what a caller does meanwhile", () => {
  it.effect("a key that is wiped while it is taken in is refused", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        for (const algorithm of ["BIP341", "BIP340"] as const) {
          const key = yield* PrivateKey.fromRaw("secp256k1", secretOdd)
          const waiting = Effect.andThen(Effect.yieldNow, keys.importKey(key, { algorithm }))
          const first = yield* Effect.forkChild(Effect.exit(keys.importKey(key, { algorithm })), {
            startImmediately: true
          })
          const second = yield* Effect.forkChild(Effect.flip(waiting), { startImmediately: true })
          PrivateKey.wipe(key)
          const exit = yield* Fiber.join(first)
          if (Exit.isSuccess(exit)) yield* keys.sign(message, exit.value)
          else assert.strictEqual(Option.getOrThrow(Exit.findErrorOption(exit))._tag, "InvalidConfiguration")
          assert.strictEqual((yield* Fiber.join(second))._tag, "InvalidConfiguration")
        }
      })
    )
  )

  it.effect("an entry exports the key that it shows, and no other that came under its id", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const entries: Array<KeyManager.Entry> = []
        for (const algorithm of ["ES256K", "BIP341"] as const) {
          yield* keys.generateKey(algorithm, { id: "a" })
          entries.push(yield* keys.entry("a"))
          if (entries.length === 1) yield* keys.remove("a")
        }
        const [before, now] = entries
        if (before?.kind !== "private" || now?.kind !== "private") return assert.fail("not private")
        assert.isTrue(PublicKey.sameKey((yield* keys.exportKey(now)).publicKey, now.publicKey))
        yield* failsWith(keys.exportKey(before), "KeyNotFound")
      })
    )
  )

  it.effect.each([7, null, {}, Symbol.iterator])("an id that is no text is of no key", (id) =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const none = id as never
        yield* failsWith(keys.sign(message, none), "KeyNotFound")
        yield* failsWith(keys.entry(none), "KeyNotFound")
        yield* failsWith(keys.remove(none), "KeyNotFound")
        yield* failsWith(keys.disable(none), "KeyNotFound")
      })
    )
  )
})

describe("secrets", () => {
  it.effect("are wiped where they were copied, and nowhere else", () =>
    Effect.gen(function* () {
      const store = yield* KeyStore.KeyStore
      const inserted: Array<PrivateKey.PrivateKey> = []
      const opened: Array<PrivateKey.PrivateKey> = []
      const watching = KeyStore.KeyStore.of({
        ...store,
        insert: (keys, options) => {
          for (const { privateKey } of keys) if (privateKey !== undefined) inserted.push(privateKey)
          return store.insert(keys, options)
        },
        privateKey: (id) => Effect.tap(store.privateKey(id), (key) => Effect.sync(() => opened.push(key)))
      })
      const keys = yield* Effect.provideService(KeyManager.make, KeyStore.KeyStore, watching)
      const key = yield* secp256k1Key
      const ids = [
        yield* keys.importKey(key, { algorithm: "BIP340" }),
        yield* keys.importKey(key, { algorithm: "BIP341" }),
        yield* keys.generateKey("Ed25519"),
        yield* keys.generateKey("BIP341")
      ]
      assert.deepStrictEqual(inserted.map(PrivateKey.isWiped), [false, true, true, true]) // the first is the caller's
      assert.isFalse(PrivateKey.isWiped(key))
      for (const id of ids) yield* keys.sign(message, id)
      assert.deepStrictEqual(opened.map(PrivateKey.isWiped), [true, true, true, true])
      const entry = yield* keys.entry(ids[1]!)
      if (entry.kind !== "private") return assert.fail(entry.kind)
      assert.isFalse(PrivateKey.isWiped(yield* keys.exportKey(entry)))
      assert.isTrue(PrivateKey.isWiped(opened.at(-1)!))
    }).pipe(Effect.provide(MemoryKeyStore.layer))
  )

  it.effect("are in no error, entry, list, Signer or manager", () =>
    withKeys((keys) =>
      Effect.gen(function* () {
        const secrets = [0, 1, 2].map((i) => Uint8Array.from({ length: 32 }, (_, j) => (j * 89 + 7 * i + 3) & 0xff))
        const [ed25519, bip340, bip341] = yield* Effect.all([
          PrivateKey.fromRaw("Ed25519", secrets[0]!),
          PrivateKey.fromRaw("secp256k1", secrets[1]!, { algorithm: "BIP340" }),
          PrivateKey.fromRaw("secp256k1", secrets[2]!, { algorithm: "BIP341" })
        ])
        const find = Canary.search(secrets.map((secret, i) => ({ name: `secret ${i}`, secret })))
        const shown: Array<unknown> = [keys]
        for (const [i, key] of [ed25519, bip340, bip341].entries()) {
          const id = yield* keys.importKey(key, { id: `key ${i}`, tags: { n: `${i}` } })
          const signer = yield* keys.signer(id)
          const entry = yield* keys.entry(id)
          shown.push(entry, signer, inspect(entry, { depth: 20, showHidden: true }), JSON.stringify(entry))
          if (entry.kind === "private") shown.push(yield* keys.exportKey(entry))
          shown.push(
            yield* Effect.flip(keys.importKey(key, { id })),
            yield* Effect.flip(keys.importKey(key, { algorithm: "ES384" })),
            yield* Effect.flip(keys.remove("none")),
            yield* Effect.flip(keys.sign(message)),
            yield* Effect.exit(keys.importKey(key, { id: "bad", tags: { n: "\u0000" } })),
            yield* Effect.exit(signer.sign(undefined as never))
          )
          yield* keys.disable(id)
          shown.push(yield* Effect.flip(signer.sign(message)))
        }
        shown.push(yield* keys.list(), yield* KeyStore.KeyStore, keys)
        for (const value of shown) assert.isUndefined(find(Canary.show(value)))
      })
    )
  )
})
