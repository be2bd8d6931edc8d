import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import * as crypto from "node:crypto"
import { inspect } from "node:util"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import * as SignatureAlgorithm from "../../src/schemas/SignatureAlgorithm.ts"
import { coordinateLength, curves, nodeKey, nodeKeys } from "./keys.ts"
import { hasOpenssl, openssl } from "./openssl.ts"
import { refused } from "./refused.ts"

const keyOf = (type: Parameters<typeof nodeKey>[0], options?: PublicKey.Options) =>
  PublicKey.fromSpki(nodeKey(type).spki, options)

describe("PublicKey", () => {
  it.effect.each(nodeKeys)("of $type prints its type and thumbprint, and is a JWK in JSON", ({ publicKey, type }) =>
    Effect.gen(function* () {
      const key = yield* keyOf(type)
      const text = `PublicKey(${type}, ${PublicKey.thumbprint(key)})`
      assert.strictEqual(String(key), text)
      assert.strictEqual(inspect(key), text)
      assert.deepStrictEqual(JSON.parse(JSON.stringify(key)), publicKey.export({ format: "jwk" }))
    })
  )

  it.effect("compares structurally, algorithm included", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* keyOf("RSA"), yield* PublicKey.fromPem(PublicKey.toPem(yield* keyOf("RSA")))]
      assert.isTrue(Equal.equals(a, b))
      assert.strictEqual(Hash.hash(a), Hash.hash(b))
      const c = yield* PublicKey.withAlgorithm(a, "PS256")
      assert.isFalse(Equal.equals(a, c))
      assert.isFalse(Equal.equals(a, yield* keyOf("P-256")))
      assert.isFalse(Equal.equals(a, "a key"))
      assert.isTrue(PublicKey.sameKey(a, c))
      assert.isFalse(PublicKey.sameKey(a, yield* keyOf("P-256")))
    })
  )

  it.effect("cannot be changed", () =>
    Effect.gen(function* () {
      const key = yield* keyOf("Ed25519")
      const before = PublicKey.toHex(key)
      key.bytes.fill(0)
      PublicKey.toRaw(key).fill(0)
      PublicKey.toSpki(key).fill(0)
      assert.strictEqual(PublicKey.toHex(key), before)
      assert.throws(() => {
        ;(key as { type: string }).type = "RSA"
      }, TypeError)
    })
  )

  it.effect("is what isPublicKey knows, and nothing else passes for one", () =>
    Effect.gen(function* () {
      const key = yield* keyOf("Ed25519")
      assert.isTrue(PublicKey.isPublicKey(key))
      for (const other of [
        null,
        undefined,
        "key",
        { ...key },
        Object.create(PublicKey.PublicKey.prototype),
        structuredClone(key)
      ]) {
        assert.isFalse(PublicKey.isPublicKey(other))
      }
    })
  )
})

describe("sameKey", () => {
  it.effect("compares x alone with a BIP340 or BIP341 key", () =>
    Effect.gen(function* () {
      const point = PublicKey.toCompressed(yield* keyOf("secp256k1"))!
      const even = yield* PublicKey.fromRaw("secp256k1", point.with(0, 2))
      const odd = yield* PublicKey.fromRaw("secp256k1", point.with(0, 3))
      const lifted = yield* PublicKey.fromRaw("BIP340", point.subarray(1))
      const tweaked = yield* PublicKey.withAlgorithm(lifted, "BIP341")
      assert.isFalse(PublicKey.sameKey(even, odd))
      for (const key of [lifted, tweaked]) {
        for (const other of [even, odd, lifted, tweaked]) {
          assert.isTrue(PublicKey.sameKey(key, other))
          assert.isTrue(PublicKey.sameKey(other, key))
        }
      }
      const another = yield* PublicKey.fromRaw("BIP340", new Uint8Array(32).fill(0xab).with(31, 0x02)).pipe(
        Effect.catch(() =>
          PublicKey.fromHex("BIP340", "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9")
        )
      )
      assert.isFalse(PublicKey.sameKey(lifted, another))
    })
  )
})

describe("BIP340 and BIP341 keys", () => {
  it.effect("have one form and one name, whichever point they were read from", () =>
    Effect.gen(function* () {
      const point = PublicKey.toCompressed(yield* keyOf("secp256k1"))!
      const lifted = yield* PublicKey.fromRaw("BIP340", point.subarray(1))
      const spkiOf = (prefix: number) =>
        Effect.map(PublicKey.fromRaw("secp256k1", point.with(0, prefix)), PublicKey.toSpki)
      for (const algorithm of ["BIP340", "BIP341"] as const) {
        const same = yield* PublicKey.withAlgorithm(lifted, algorithm)
        for (const prefix of [2, 3]) {
          const untyped = yield* PublicKey.fromRaw("secp256k1", point.with(0, prefix))
          for (const key of [
            yield* PublicKey.fromRaw("secp256k1", point.with(0, prefix), { algorithm }),
            yield* PublicKey.fromSpki(yield* spkiOf(prefix), { algorithm }),
            yield* PublicKey.fromJwk(PublicKey.toJwk(untyped), { algorithm }),
            yield* PublicKey.withAlgorithm(untyped, algorithm)
          ]) {
            assert.isTrue(Equal.equals(key, same))
            for (const name of [PublicKey.keyId, PublicKey.thumbprint, PublicKey.fingerprint, PublicKey.toHex]) {
              assert.strictEqual(name(key), name(same))
            }
            assert.deepStrictEqual(PublicKey.toSpki(key), PublicKey.toSpki(same))
          }
        }
      }
    })
  )

  it.effect("have no y that another algorithm could use", () =>
    Effect.gen(function* () {
      const point = PublicKey.toCompressed(yield* keyOf("secp256k1"))!
      const key = yield* PublicKey.fromRaw("BIP340", point.subarray(1))
      yield* refused(PublicKey.withAlgorithm(key, "ES256K"), "algorithm", /no y/)
      assert.strictEqual((yield* PublicKey.withAlgorithm(key, "BIP341")).algorithm, "BIP341")
    })
  )
})

describe("withAlgorithm and resolveAlgorithm", () => {
  it.effect.each(nodeKeys)("know what a $type key can do", ({ type }) =>
    Effect.gen(function* () {
      const key = yield* keyOf(type)
      const candidates = SignatureAlgorithm.forKeyType(type)
      for (const algorithm of SignatureAlgorithm.all) {
        if (candidates.includes(algorithm)) {
          const bound = yield* PublicKey.withAlgorithm(key, algorithm)
          assert.strictEqual(bound.algorithm, algorithm)
          assert.isTrue(PublicKey.sameKey(bound, key))
          // BIP340 and BIP341 keys have the other y, perhaps
          if (!algorithm.startsWith("BIP34")) assert.deepStrictEqual(bound.bytes, key.bytes)
          assert.strictEqual(yield* PublicKey.resolveAlgorithm(bound), algorithm)
          assert.strictEqual(yield* PublicKey.resolveAlgorithm(bound, algorithm), algorithm)
          assert.strictEqual(yield* PublicKey.resolveAlgorithm(key, algorithm), algorithm)
          assert.strictEqual((yield* keyOf(type, { algorithm })).algorithm, algorithm)
        } else {
          yield* refused(PublicKey.withAlgorithm(key, algorithm), "algorithm", /keys cannot do it; they can do/)
          yield* refused(PublicKey.resolveAlgorithm(key, algorithm), "algorithm", /keys cannot do it/)
          yield* refused(keyOf(type, { algorithm }), "algorithm", /keys cannot do it/)
        }
      }
      if (candidates.length === 1) {
        assert.strictEqual(yield* PublicKey.resolveAlgorithm(key), candidates[0])
      } else {
        yield* refused(
          PublicKey.resolveAlgorithm(key),
          "algorithm",
          new RegExp(`state one of ${candidates.join(", ")}$`)
        )
      }
    })
  )

  it.effect("do not use a key for another algorithm than it is for", () =>
    Effect.gen(function* () {
      const key = yield* keyOf("RSA", { algorithm: "PS256" })
      yield* refused(PublicKey.resolveAlgorithm(key, "RS256"), "algorithm", /RS256 was asked for.*PS256 only/)
      assert.strictEqual((yield* PublicKey.withAlgorithm(key, "RS256")).algorithm, "RS256")
    })
  )
})

describe("encoders", () => {
  it.effect.each(curves)("write points of %s in each form", (curve) =>
    Effect.gen(function* () {
      const key = yield* keyOf(curve)
      const length = coordinateLength[curve]
      const raw = PublicKey.toRaw(key)
      assert.lengthOf(raw, 1 + 2 * length)
      assert.deepStrictEqual(
        PublicKey.toCompressed(key),
        Uint8Array.of(2 + (raw.at(-1)! & 1), ...raw.subarray(1, 1 + length))
      )
    })
  )

  it.effect("write BIP340 and BIP341 keys as x", () =>
    Effect.gen(function* () {
      for (const algorithm of ["BIP340", "BIP341"] as const) {
        const key = yield* keyOf("secp256k1", { algorithm })
        assert.deepStrictEqual(PublicKey.toRaw(key), key.bytes.slice(1, 33))
        assert.lengthOf(PublicKey.toCompressed(key)!, 33)
        assert.isUndefined(PublicKey.toJwk(key).alg)
      }
    })
  )

  it.effect("write the JWK with alg where the algorithm is known", () =>
    Effect.gen(function* () {
      assert.isUndefined(PublicKey.toJwk(yield* keyOf("RSA")).alg)
      assert.deepStrictEqual(
        Object.keys(PublicKey.toJwk(yield* keyOf("P-256", { algorithm: "ES256" }), { kid: "1" })),
        ["kty", "alg", "kid", "crv", "x", "y"]
      )
    })
  )

  it.effect("call Ed25519 in a JWK what a token calls it, unless told otherwise", () =>
    Effect.gen(function* () {
      const key = yield* keyOf("Ed25519", { algorithm: "Ed25519" })
      const names = ([undefined, "EdDSA", "Ed25519"] as const).map((ed25519) => PublicKey.toJwk(key, { ed25519 }).alg)
      assert.deepStrictEqual(names, ["EdDSA", "EdDSA", "Ed25519"])
      assert.strictEqual(JSON.parse(JSON.stringify(key)).alg, "EdDSA")
    })
  )

  it.effect("have no compressed form of keys that are no points", () =>
    Effect.gen(function* () {
      for (const type of ["Ed25519", "RSA"] as const) assert.isUndefined(PublicKey.toCompressed(yield* keyOf(type)))
    })
  )
})

describe("thumbprint", () => {
  it.effect.each(nodeKeys)("of $type is the hash of its required members in order", ({ publicKey, type }) =>
    Effect.gen(function* () {
      const jwk = publicKey.export({ format: "jwk" }) as Record<string, string>
      // RFC 7638 section 3.2, RFC 8037 section 2, RFC 8812; AKP: alg, kty, pub
      const members = Object.keys(jwk)
        .sort()
        .filter((name) => name !== "alg" || jwk.kty === "AKP")
      const json = JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]])))
      const expected = crypto.createHash("sha256").update(json).digest("base64url")
      assert.strictEqual(PublicKey.thumbprint(yield* keyOf(type)), expected)
      for (const algorithm of SignatureAlgorithm.forKeyType(type)) {
        if (algorithm.startsWith("BIP34")) continue // of the point with even y: see above
        assert.strictEqual(PublicKey.thumbprint(yield* keyOf(type, { algorithm })), expected)
      }
    })
  )
})

describe.skipIf(!hasOpenssl)("openssl (skipped where the program is not on the PATH)", () => {
  it.effect.each(nodeKeys.filter(({ type }) => !type.startsWith("ML-DSA")))(
    "reads our $type PEM and writes it alike",
    ({ type }) =>
      Effect.gen(function* () {
        const key = yield* keyOf(type)
        const pem = PublicKey.toPem(key)
        const written = yield* Effect.promise(() => openssl(["pkey", "-pubin", "-pubout"], pem))
        assert.strictEqual(written.toString(), pem)
        const der = yield* Effect.promise(() =>
          openssl(["pkey", "-pubin", "-inform", "DER", "-outform", "DER"], PublicKey.toSpki(key))
        )
        assert.isTrue(Equal.equals(yield* PublicKey.fromSpki(der), key))
      })
  )

  it.effect.each(curves)("writes compressed points of %s, which we read", (curve) =>
    Effect.gen(function* () {
      const key = yield* keyOf(curve)
      const args = ["ec", "-pubin", "-conv_form", "compressed", "-pubout"]
      const pem = yield* Effect.promise(() => openssl(args, PublicKey.toPem(key)))
      assert.isBelow(pem.length, PublicKey.toPem(key).length)
      assert.isTrue(Equal.equals(yield* PublicKey.fromPem(pem.toString()), key))
    })
  )
})
