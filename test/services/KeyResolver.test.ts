import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { PrivateKey, PublicKey, SignatureAlgorithm, SignerError } from "../../src/index.ts"
import * as LocalSigner from "../../src/layers/LocalSigner.ts"
import * as KeyResolver from "../../src/services/KeyResolver.ts"
import { testRsaKey } from "../../src/testing/TestKey.ts"
import { ScriptedPublicKeys } from "./support/ScriptedPublicKeys.ts"

const publicKeyOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm) =>
  Effect.map(PrivateKey.generate(algorithm), ({ publicKey }) => publicKey)

const jwkOf = (algorithm: SignatureAlgorithm.SignatureAlgorithm, kid?: string) =>
  Effect.map(publicKeyOf(algorithm), (key) => ({ ...PublicKey.toJwk(key, { kid }), use: "sig" }))

const rsa = { kty: "RSA", n: testRsaKey.n, e: testRsaKey.e }

const reasonOf = (keys: ReadonlyArray<unknown>, options?: KeyResolver.JwksOptions) =>
  Effect.map(Effect.flip(KeyResolver.fromJwks(JSON.stringify({ keys }), options)), (error) => [
    error.reason,
    error.index,
    error.keyId
  ])

describe("fromKeys", () => {
  it.effect("answers with the key, its owner and its purpose", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* publicKeyOf("Ed25519"), yield* publicKeyOf("ES256")]
      const { resolve } = yield* KeyResolver.fromKeys([
        { publicKey: a, keyId: "a", owner: "acme", tenant: "t1", purpose: "tokens" },
        { publicKey: b }
      ])
      const found = yield* resolve({ keyId: "a", issuer: "acme", tenant: "t1", purpose: "tokens" })
      assert.isTrue(PublicKey.sameKey(found.publicKey, a))
      assert.deepStrictEqual([found.keyId, found.owner, found.tenant, found.purpose], ["a", "acme", "t1", "tokens"])
      const byThumbprint = yield* resolve({ keyId: PublicKey.thumbprint(b) })
      assert.isTrue(PublicKey.sameKey(byThumbprint.publicKey, b))
      assert.strictEqual(byThumbprint.publicKey.algorithm, "ES256")
    })
  )

  it.effect.each([
    { keyId: "c" },
    { keyId: "a", issuer: "globex" },
    { keyId: "a", tenant: "t2" },
    { keyId: "a", purpose: "releases" },
    { keyId: "b", tenant: "t1" },
    { keyId: "b", purpose: "tokens" },
    { algorithm: "ES384" as const }
  ])("knows no key for %j", (request) =>
    Effect.gen(function* () {
      const { resolve } = yield* KeyResolver.fromKeys([
        { publicKey: yield* publicKeyOf("Ed25519"), keyId: "a", owner: "acme", tenant: "t1", purpose: "tokens" },
        { publicKey: yield* publicKeyOf("ES256"), keyId: "b" }
      ])
      assert.strictEqual((yield* Effect.flip(resolve(request)))._tag, "KeyUnknown")
    })
  )

  it.effect("takes a message without a key id only where exactly one key fits", () =>
    Effect.gen(function* () {
      const { resolve } = yield* KeyResolver.fromKeys([
        { publicKey: yield* publicKeyOf("Ed25519"), keyId: "a", owner: "acme" },
        { publicKey: yield* publicKeyOf("Ed25519"), keyId: "b", owner: "globex" },
        { publicKey: yield* publicKeyOf("ES256"), keyId: "c" }
      ])
      assert.strictEqual((yield* resolve({ algorithm: "ES256" })).keyId, "c")
      assert.strictEqual((yield* resolve({ algorithm: "Ed25519", issuer: "globex" })).keyId, "b")
      const error = yield* Effect.flip(resolve({ algorithm: "Ed25519" }))
      assert.deepStrictEqual([error._tag, "count" in error && error.count], ["KeyAmbiguous", 2])
    })
  )

  it.effect("keeps the keys of two owners apart, which have one key id", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* publicKeyOf("Ed25519"), yield* publicKeyOf("Ed25519")]
      const { resolve } = yield* KeyResolver.fromKeys([
        { publicKey: a, keyId: "1", owner: "acme" },
        { publicKey: b, keyId: "1", owner: "globex" }
      ])
      assert.isTrue(PublicKey.sameKey((yield* resolve({ keyId: "1", issuer: "acme" })).publicKey, a))
      assert.isTrue(PublicKey.sameKey((yield* resolve({ keyId: "1", issuer: "globex" })).publicKey, b))
      assert.strictEqual((yield* Effect.flip(resolve({ keyId: "1" })))._tag, "KeyAmbiguous")
    })
  )

  it.effect("says whose one key it is, also where two owners share it", () =>
    Effect.gen(function* () {
      const publicKey = yield* publicKeyOf("Ed25519")
      const { resolve } = yield* KeyResolver.fromKeys([
        { publicKey, keyId: "1", owner: "acme" },
        { publicKey, keyId: "1", owner: "globex" }
      ])
      assert.strictEqual((yield* resolve({ keyId: "1", issuer: "acme" })).owner, "acme")
      assert.strictEqual((yield* resolve({ keyId: "1", issuer: "globex" })).owner, "globex")
    })
  )

  it.effect("refuses a key id twice, and a key without its one algorithm", () =>
    Effect.gen(function* () {
      const publicKey = yield* publicKeyOf("Ed25519")
      const twice = yield* Effect.flip(
        KeyResolver.fromKeys([
          { publicKey, keyId: "a" },
          { publicKey, keyId: "a" }
        ])
      )
      assert.strictEqual(twice.field, "keys[1].keyId")
      const unstated = yield* Effect.flip(KeyResolver.fromKeys([{ publicKey: yield* PublicKey.fromJwk(rsa) }]))
      assert.strictEqual(unstated.field, "keys[0].publicKey")
      assert.include(unstated.problem, "PS256")
    })
  )
})

describe("make", () => {
  it.effect("refuses an answer to another question", () =>
    Effect.gen(function* () {
      const publicKey = yield* publicKeyOf("Ed25519")
      const answering = (key: KeyResolver.ResolvedKey) => KeyResolver.make(() => Effect.succeed(key))
      const wrong = [
        answering({ publicKey, keyId: "b" }),
        answering({ publicKey, keyId: "a", owner: "globex" }),
        answering({ publicKey: yield* PublicKey.fromJwk(rsa), keyId: "a" })
      ]
      for (const { resolve } of wrong) {
        assert.strictEqual((yield* Effect.flip(resolve({ keyId: "a", issuer: "acme" })))._tag, "KeyMismatch")
      }
      assert.strictEqual((yield* answering({ publicKey, keyId: "a" }).resolve({ keyId: "a" })).keyId, "a")
    })
  )
})

describe("fromJwks", () => {
  it.effect("reads text, bytes and an object", () =>
    Effect.gen(function* () {
      const set = { keys: [yield* jwkOf("Ed25519", "a"), yield* jwkOf("ES256")], extra: true }
      for (const jwks of [set, JSON.stringify(set), new TextEncoder().encode(JSON.stringify(set))]) {
        const { resolve } = yield* KeyResolver.fromJwks(jwks, { owner: "acme", purpose: "tokens" })
        const found = yield* resolve({ keyId: "a", purpose: "tokens" })
        assert.deepStrictEqual([found.publicKey.algorithm, found.owner, found.purpose], ["Ed25519", "acme", "tokens"])
        assert.strictEqual((yield* resolve({ algorithm: "ES256" })).publicKey.algorithm, "ES256")
      }
    })
  )

  it.effect("says which key is wrong, and how", () =>
    Effect.gen(function* () {
      const good = yield* jwkOf("Ed25519", "a")
      const other = yield* jwkOf("ES256", "b")
      const oct = { kty: "oct", k: "AAAA", kid: "s" }
      const weak = { kty: "RSA", alg: "RS256", e: "AQAB", n: Buffer.alloc(128, 0xff).toString("base64url"), kid: "w" }
      assert.deepStrictEqual(yield* reasonOf([good, good]), ["DuplicateKeyId", 1, "a"])
      assert.deepStrictEqual(yield* reasonOf([good, { ...other, d: "AAAA" }]), ["PrivateKey", 1, "b"])
      assert.deepStrictEqual(yield* reasonOf([good, oct]), ["SymmetricKey", 1, "s"])
      assert.deepStrictEqual(yield* reasonOf([{ ...other, k: "AAAA" }]), ["SymmetricKey", 0, "b"])
      assert.deepStrictEqual(yield* reasonOf([{ ...other, use: "enc" }]), ["WrongUse", 0, "b"])
      assert.deepStrictEqual(yield* reasonOf([{ ...other, key_ops: ["encrypt"] }]), ["WrongKeyOps", 0, "b"])
      assert.deepStrictEqual(yield* reasonOf([{ ...other, key_ops: ["sign"] }]), ["WrongKeyOps", 0, "b"])
      assert.deepStrictEqual(yield* reasonOf([{ ...other, key_ops: ["verify", "wrapKey"] }]), ["WrongKeyOps", 0, "b"])
      assert.deepStrictEqual(yield* reasonOf([{ ...other, alg: "ES384" }]), ["AlgorithmMismatch", 0, "b"])
      assert.deepStrictEqual(yield* reasonOf([{ ...good, alg: "ES256" }]), ["AlgorithmMismatch", 0, "a"])
      assert.deepStrictEqual(yield* reasonOf([{ ...rsa, alg: "ES256" }]), ["AlgorithmMismatch", 0, undefined])
      assert.deepStrictEqual(yield* reasonOf([{ ...other, crv: "P-384", alg: "ES256" }]), ["AlgorithmMismatch", 0, "b"])
      assert.deepStrictEqual(yield* reasonOf([{ ...other, alg: "none" }]), ["UnsupportedKey", 0, "b"])
      assert.deepStrictEqual(yield* reasonOf([{ ...other, alg: "HS256" }]), ["UnsupportedKey", 0, "b"])
      assert.deepStrictEqual(yield* reasonOf([{ kty: "OKP", crv: "X25519", x: "AA" }]), [
        "UnsupportedKey",
        0,
        undefined
      ])
      assert.deepStrictEqual(yield* reasonOf([weak]), ["WeakKey", 0, "w"])
      assert.deepStrictEqual(yield* reasonOf([{ ...rsa, alg: "RS256", e: "AQ" }]), ["MalformedKey", 0, undefined])
      assert.deepStrictEqual(yield* reasonOf([{ ...other, y: other.kty }]), ["MalformedKey", 0, "b"])
      assert.deepStrictEqual(yield* reasonOf([rsa]), ["AlgorithmUnstated", 0, undefined])
      assert.deepStrictEqual(yield* reasonOf([{ ...good, kid: 7 }]), ["MalformedKey", 0, undefined])
      assert.deepStrictEqual(yield* reasonOf([{ ...good, kid: "" }]), ["MalformedKey", 0, ""])
      assert.deepStrictEqual(yield* reasonOf([null]), ["MalformedKey", 0, undefined])
    })
  )

  it.effect("refuses a set that is too large, has too many keys, or is none", () =>
    Effect.gen(function* () {
      const reason = (jwks: unknown) => Effect.map(Effect.flip(KeyResolver.fromJwks(jwks)), (error) => error.reason)
      const [good] = [yield* jwkOf("Ed25519")]
      assert.strictEqual(yield* reason(JSON.stringify({ keys: [], extra: "x".repeat(65_536) })), "TooLarge")
      assert.strictEqual(yield* reason({ keys: [], extra: "x".repeat(65_536) }), "TooLarge")
      assert.strictEqual(yield* reason({ keys: Array.from({ length: 101 }, () => good) }), "TooManyKeys")
      const cyclic: { self?: unknown } = {}
      cyclic.self = cyclic
      for (const wrong of [
        "",
        "{",
        "[]",
        "null",
        `{"keys":{}}`,
        `{"keys":[],"keys":[]}`,
        `{"keys":[{"kid":"a","kid":"b"}]}`,
        new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0x7d]),
        new Uint8Array([0x22, 0xff, 0x22]),
        "[".repeat(100) + "]".repeat(100),
        undefined,
        cyclic
      ]) {
        assert.strictEqual(yield* reason(wrong), "Malformed")
      }
    })
  )

  it.effect("takes the algorithms that are allowed, and no others", () =>
    Effect.gen(function* () {
      const { resolve } = yield* KeyResolver.fromJwks({ keys: [rsa] }, { algorithms: ["RS256", "ES256"] })
      assert.strictEqual((yield* resolve({ algorithm: "RS256" })).publicKey.algorithm, "RS256")
      assert.deepStrictEqual(yield* reasonOf([rsa], { algorithms: ["RS256", "PS256"] }), [
        "AlgorithmUnstated",
        0,
        undefined
      ])
      assert.deepStrictEqual(yield* reasonOf([{ ...rsa, alg: "RS512" }], { algorithms: ["RS256"] }), [
        "UnsupportedKey",
        0,
        undefined
      ])
    })
  )

  it.effect("leaves keys for something else out where that is asked for, and nothing that is dangerous", () =>
    Effect.gen(function* () {
      const good = yield* jwkOf("Ed25519", "a")
      const other = yield* jwkOf("ES256", "b")
      const options = { foreignKeys: "ignore" as const }
      const { resolve } = yield* KeyResolver.fromJwks(
        { keys: [{ ...other, use: "enc" }, { kty: "OKP", crv: "X25519", x: "AA" }, good] },
        options
      )
      assert.strictEqual((yield* resolve({ keyId: "a" })).keyId, "a")
      assert.strictEqual((yield* Effect.flip(resolve({ keyId: "b" })))._tag, "KeyUnknown")
      assert.deepStrictEqual(yield* reasonOf([{ ...other, use: "enc", d: "AA" }], options), ["PrivateKey", 0, "b"])
      assert.deepStrictEqual(yield* reasonOf([{ kty: "oct", use: "enc", k: "AA" }], options), [
        "SymmetricKey",
        0,
        undefined
      ])
      assert.deepStrictEqual(yield* reasonOf([good, { ...other, kid: "a", use: "enc" }], options), [
        "DuplicateKeyId",
        1,
        "a"
      ])
    })
  )

  it.effect("refuses a modulus of the flawed generator", () =>
    Effect.gen(function* () {
      // 65537^2 modulo the product of the primes of the fingerprint, plus a multiple of it: what such a modulus looks like
      const primes = [3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101]
      const more = [103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167]
      const product = [...primes, ...more].reduce((product, prime) => product * BigInt(prime), 2n)
      const n = (65537n ** 2n % product) + product * (1n << BigInt(2047 - product.toString(2).length + 1))
      const jwk = { kty: "RSA", alg: "RS256", e: "AQAB", n: Buffer.from(n.toString(16), "hex").toString("base64url") }
      assert.strictEqual(n.toString(2).length, 2048)
      assert.deepStrictEqual(yield* reasonOf([jwk]), ["WeakKey", 0, undefined])
      assert.include((yield* Effect.flip(PublicKey.fromJwk(jwk))).message, "CVE-2017-15361")
    })
  )

  it.effect("shows a hostile kid cut and without control characters", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        KeyResolver.fromJwks({ keys: [{ kty: "x", kid: `\u001b[31m${"k".repeat(500)}` }] })
      )
      assert.isBelow(error.message.length, 300)
      assert.notInclude(error.message, "\u001b")
    })
  )
})

describe("fromSigners", () => {
  it.effect("answers with our own keys", () =>
    Effect.gen(function* () {
      const privateKey = yield* PrivateKey.generate("ES256")
      const signer = yield* LocalSigner.make({ privateKey, purpose: "tokens" })
      const { resolve } = KeyResolver.fromSigners([
        { signer, owner: "us" },
        { signer, owner: "them", keyId: "k" }
      ])
      const keyId = PublicKey.thumbprint(privateKey.publicKey)
      const found = yield* resolve({ keyId })
      assert.deepStrictEqual([found.keyId, found.owner, found.purpose], [keyId, "us", "tokens"])
      assert.strictEqual((yield* resolve({ keyId: "k" })).owner, "them")
    })
  )

  it.effect("keeps two tenants apart that share a Signer", () =>
    Effect.gen(function* () {
      const signer = yield* LocalSigner.make({ privateKey: PrivateKey.generate("ES256") })
      const { resolve } = KeyResolver.fromSigners([
        { signer, keyId: "k", tenant: "a" },
        { signer, keyId: "k", tenant: "b" }
      ])
      assert.strictEqual((yield* resolve({ keyId: "k", tenant: "a" })).tenant, "a")
      assert.strictEqual((yield* resolve({ keyId: "k", tenant: "b" })).tenant, "b")
      assert.strictEqual((yield* Effect.flip(resolve({ keyId: "k" })))._tag, "KeyAmbiguous")
    })
  )

  it.effect("hides no key behind another one with its key id", () =>
    Effect.gen(function* () {
      const make = () => LocalSigner.make({ privateKey: PrivateKey.generate("ES256") })
      const { resolve } = KeyResolver.fromSigners([
        { signer: yield* make(), keyId: "k" },
        { signer: yield* make(), keyId: "k" }
      ])
      assert.strictEqual((yield* Effect.flip(resolve({ keyId: "k" })))._tag, "KeyAmbiguous")
    })
  )

  it.effect("counts a key with two key ids once, where the message names none", () =>
    Effect.gen(function* () {
      const keys = yield* ScriptedPublicKeys.make(["v1"])
      const { resolve } = KeyResolver.fromSigners([
        { signer: keys.signer, keyId: "current", versions: [keys.version("v1")] }
      ])
      assert.strictEqual((yield* resolve({})).keyId, "current")
    })
  )

  it.effect("follows a rotation, and keeps the versions that are named", () =>
    Effect.gen(function* () {
      const keys = yield* ScriptedPublicKeys.make(["v1", "v2"])
      const { resolve } = KeyResolver.fromSigners([{ signer: keys.signer, versions: [keys.version("v1")] }])
      const known = (name: string) =>
        Effect.match(resolve({ keyId: keys.thumbprint(name) }), { onFailure: (e) => e._tag, onSuccess: () => true })
      assert.deepStrictEqual([yield* known("v1"), yield* known("v2")], [true, "KeyUnknown"])
      keys.rotate("v2")
      assert.deepStrictEqual([yield* known("v1"), yield* known("v2")], [true, true])
      keys.fail()
      assert.strictEqual(yield* known("v1"), "KeysUnavailable")
    })
  )
})

describe("firstOf", () => {
  const unavailable = KeyResolver.KeyResolver.of({
    resolve: () => Effect.fail(new KeyResolver.KeysUnavailable({ problem: "down" }))
  })

  it.effect("passes over what does not know the key, or is down", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* publicKeyOf("Ed25519"), yield* publicKeyOf("Ed25519")]
      const first = yield* KeyResolver.fromKeys([{ publicKey: a, keyId: "a" }])
      const second = yield* KeyResolver.fromKeys([{ publicKey: b, keyId: "b" }])
      const { resolve } = KeyResolver.firstOf([unavailable, first, second])
      assert.isTrue(PublicKey.sameKey((yield* resolve({ keyId: "b" })).publicKey, b))
      assert.strictEqual((yield* Effect.flip(resolve({ keyId: "c" })))._tag, "KeysUnavailable")
      const both = KeyResolver.firstOf([first, second])
      assert.strictEqual((yield* Effect.flip(both.resolve({ keyId: "c" })))._tag, "KeyUnknown")
      assert.strictEqual((yield* Effect.flip(both.resolve({ algorithm: "Ed25519" })))._tag, "KeyAmbiguous")
      const same = KeyResolver.firstOf([first, first])
      assert.strictEqual((yield* same.resolve({ algorithm: "Ed25519" })).keyId, "a")
    })
  )
})

describe("errors", () => {
  it("KeysUnavailable carries the vendor's error reduced", () => {
    const cause = new SignerError.VendorError({ code: "ECONNREFUSED" })
    const error = new KeyResolver.KeysUnavailable({ problem: "down", cause })
    assert.strictEqual(error.message, "KeysUnavailable: down")
  })
})
