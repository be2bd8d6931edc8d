import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as crypto from "node:crypto"
import { inspect } from "node:util"
import { primitives } from "#primitives"
import { Unsupported } from "../../src/primitives/Primitives.ts"
import * as PrivateKey from "../../src/schemas/PrivateKey.ts"
import * as PrivateKeySecret from "../../src/schemas/PrivateKeySecret.ts"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import * as SignatureAlgorithm from "../../src/schemas/SignatureAlgorithm.ts"
import type { KeyType } from "../../src/schemas/SignatureAlgorithm.ts"
import { InvalidConfiguration, UnsupportedAlgorithm } from "../../src/schemas/SignerError.ts"
import * as Canary from "../../src/testing/Canary.ts"
import { coordinateLength, curves, keyTypes, nodeKey, nodeKeys } from "./keys.ts"
import { hasOpenssl, openssl } from "./openssl.ts"
import { refused } from "./refused.ts"

const bytesOf = (length: number) =>
  Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))).check(
    Schema.isMinLength(length),
    Schema.isMaxLength(length)
  )

describe("generate", () => {
  it.effect.each(keyTypes)("makes a %s key", (type) =>
    Effect.gen(function* () {
      const options = type === "RSA" ? { modulusLength: 2048 } : undefined
      const key = yield* PrivateKey.generate(type, options)
      assert.isTrue(PrivateKey.isPrivateKey(key))
      assert.deepStrictEqual([key.type, key.algorithm, key.publicKey.type], [type, undefined, type])
      const again = yield* PrivateKey.fromPkcs8(PrivateKey.toPkcs8(key))
      assert.isTrue(Equal.equals(again.publicKey, key.publicKey))
      const other = yield* PrivateKey.generate(type, options)
      assert.isFalse(PublicKey.sameKey(other.publicKey, key.publicKey))
    })
  )

  it.effect.each(SignatureAlgorithm.all)("makes a key for %s", (algorithm) =>
    Effect.gen(function* () {
      const { keyType } = SignatureAlgorithm.facts[algorithm]
      const key = yield* PrivateKey.generate(algorithm, keyType === "RSA" ? { modulusLength: 2048 } : undefined)
      assert.strictEqual(key.type, keyType)
      assert.strictEqual(yield* PublicKey.resolveAlgorithm(key.publicKey), algorithm)
    })
  )

  it.effect("makes RSA keys of 3072 bits unless asked otherwise", () =>
    Effect.gen(function* () {
      const bits = (key: PrivateKey.PrivateKey) =>
        crypto.createPublicKey(PublicKey.toPem(key.publicKey)).asymmetricKeyDetails!.modulusLength
      assert.strictEqual(bits(yield* PrivateKey.generate("RSA")), 3072)
      assert.strictEqual(bits(yield* PrivateKey.generate("PS256", { modulusLength: 2048 })), 2048)
    })
  )

  it.effect("refuses what it cannot make", () =>
    Effect.gen(function* () {
      for (const modulusLength of [2047, 1024, 16385, 2048.5, NaN, "2048" as never]) {
        yield* refused(PrivateKey.generate("RSA", { modulusLength }), "modulusLength", /integer from 2048 to 16384/)
      }
      yield* refused(PrivateKey.generate("Ed25519", { modulusLength: 2048 }), "modulusLength", /applies to RSA/)
      for (const type of ["Ed448", "rsa", "toString", undefined]) {
        yield* refused(PrivateKey.generate(type as never), "type", /kind of key.*or a signature algorithm/)
      }
    })
  )

  it.effect("says where the runtime lacks an algorithm", () =>
    Effect.gen(function* () {
      const { generate, publicFromSecret } = primitives
      const changed = primitives as { generate: unknown; publicFromSecret: unknown }
      try {
        changed.generate = changed.publicFromSecret = () => Promise.reject(new Unsupported("ML-DSA needs a library"))
        const error = yield* Effect.flip(PrivateKey.generate("ML-DSA-44"))
        assert.instanceOf(error, UnsupportedAlgorithm)
        assert.match(error.message, /ML-DSA-44: ML-DSA needs a library/)
        yield* refused(
          PrivateKey.fromRaw("ML-DSA-44", new Uint8Array(32)),
          "raw",
          /cannot use ML-DSA-44 keys: ML-DSA needs/
        )
      } finally {
        Object.assign(changed, { generate, publicFromSecret })
      }
    })
  )

  it.effect("passes on nothing that a primitive says about a secret", () =>
    Effect.gen(function* () {
      const { publicFromSecret } = primitives
      const changed = primitives as { publicFromSecret: unknown }
      try {
        changed.publicFromSecret = (_: unknown, secret: Uint8Array) =>
          Promise.reject(new Error(`bad key ${secret.join()}`))
        const error = yield* Effect.flip(PrivateKey.fromRaw("Ed25519", new Uint8Array(32).fill(123)))
        assert.instanceOf(error, InvalidConfiguration)
        assert.notInclude(error.message + inspect(error), "123,123")
      } finally {
        Object.assign(changed, { publicFromSecret })
      }
    })
  )
})

describe("PrivateKey", () => {
  it.effect.each(nodeKeys)("of $type shows its type only", ({ pkcs8, type }) =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromPkcs8(pkcs8)
      assert.strictEqual(String(key), `PrivateKey(${type})`)
      assert.strictEqual(inspect(key), `PrivateKey(${type})`)
      assert.strictEqual(inspect({ key }, { depth: 9, showHidden: true }), `{ key: PrivateKey(${type}) }`)
      assert.strictEqual(JSON.stringify(key), JSON.stringify({ _id: "PrivateKey", type }))
      assert.deepStrictEqual(Reflect.ownKeys(key), ["type", "algorithm", "publicKey"])
    })
  )

  it.effect("is equal to a key with the same public half", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromPkcs8(nodeKey("Ed25519").pkcs8)
      assert.isTrue(Equal.equals(key, yield* PrivateKey.fromPem(PrivateKey.toPem(key))))
      assert.isFalse(Equal.equals(key, yield* PrivateKey.generate("Ed25519")))
    })
  )

  it.effect("is what isPrivateKey knows, and nothing else passes for one", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.generate("Ed25519")
      for (const other of [
        null,
        undefined,
        key.publicKey,
        { ...key },
        Object.create(PrivateKey.PrivateKey.prototype),
        structuredClone(key)
      ]) {
        assert.isFalse(PrivateKey.isPrivateKey(other))
      }
    })
  )
})

describe("the secret", () => {
  /** Every function that user code reaches from the module and from a key. */
  const reachable = (key: PrivateKey.PrivateKey) =>
    [PrivateKey, PrivateKey.PrivateKey, PrivateKey.PrivateKey.prototype, key, key.constructor].flatMap((owner) =>
      Reflect.ownKeys(owner).flatMap((name) => {
        const value: unknown = Reflect.get(owner, name, key)
        return typeof value === "function" ? [{ name: String(name), value: value as (key: unknown) => unknown }] : []
      })
    )

  /** What a call answers with; `undefined` where it throws, which tells nothing. */
  const answerOf = (call: () => unknown): unknown => {
    try {
      const answer = call()
      return Redacted.isRedacted(answer) ? Redacted.value(answer) : answer
    } catch {
      return undefined
    }
  }

  it.effect.each(["Ed25519", "ES256K"] as const)("of a %s key comes out of the documented encoders only", (type) =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.generate(type)
      const secret = PrivateKeySecret.secretBytes(key).slice()
      const search = Canary.search([{ name: "the secret", secret }])
      const shows = (value: unknown) =>
        search(Canary.show(value instanceof Uint8Array ? [...value] : value)) !== undefined
      const names = new Set<string>()
      for (const { name, value } of reachable(key)) {
        if (name === "wipe") continue
        if (shows(answerOf(() => value.call(key, key)))) names.add(name)
      }
      assert.deepStrictEqual([...names].sort(), ["toJwk", "toPem", "toPkcs8"])
      assert.isFalse("isGenerated" in PrivateKey)
    })
  )

  it.effect("of another key cannot be had through the class", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.generate("Ed25519")
      const Class = key.constructor as new (...args: ReadonlyArray<unknown>) => PrivateKey.PrivateKey
      const forged = new Class(key.publicKey, new Uint8Array(32))
      assert.isFalse(PrivateKey.isPrivateKey(forged))
      assert.throws(() => PrivateKey.toPem(forged), TypeError)
    })
  )
})

describe("BIP340 and BIP341 keys", () => {
  // BIP 340, test-vectors.csv, index 0 to 3
  it.effect.each([
    [
      "0000000000000000000000000000000000000000000000000000000000000003",
      "F9308A019258C31049344F85F89D5229B531C845836F99B08601F113BCE036F9"
    ],
    [
      "B7E151628AED2A6ABF7158809CF4F3C762E7160F38B4DA56A784D9045190CFEF",
      "DFF1D77F2A671C5F36183726DB2341BE58FEAE1DA2DECED843240F7B502BA659"
    ],
    [
      "C90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B14E5C9",
      "DD308AFEC5777E13121FA72B9CC1B7CC0139715309B086C960E18FD969774EB8"
    ],
    [
      "0B432B2677937381AEF05BB02A66ECD012773062CF3FA2549E44F58ED2401710",
      "25D1DFF95105F5253C4022F628A996AD3A0D95FBF21D468A1B33F8C160D8F517"
    ]
  ] as const)("have the names of the published x: secret %s", ([secret, x]) =>
    Effect.gen(function* () {
      const published = yield* PublicKey.fromHex("BIP340", x)
      const key = yield* PrivateKey.fromHex("secp256k1", secret, { algorithm: "BIP340" })
      assert.isTrue(Equal.equals(key.publicKey, published))
      assert.strictEqual(PublicKey.keyId(key.publicKey), PublicKey.keyId(published))
      assert.strictEqual(PublicKey.thumbprint(key.publicKey), PublicKey.thumbprint(published))
    })
  )

  it.effect.each(["BIP340", "BIP341"] as const)("for %s keep the point of the secret in what they write", (algorithm) =>
    Effect.gen(function* () {
      // of these secrets, some have a point with odd y
      for (let byte = 1; byte <= 6; byte++) {
        const key = yield* PrivateKey.fromRaw("secp256k1", new Uint8Array(32).fill(byte), { algorithm })
        assert.strictEqual(key.publicKey.bytes.at(-1)! % 2, 0)
        for (const again of [
          yield* PrivateKey.fromPkcs8(PrivateKey.toPkcs8(key), { algorithm }),
          yield* PrivateKey.fromJwk(Redacted.value(PrivateKey.toJwk(key)), { algorithm })
        ]) {
          assert.isTrue(Equal.equals(again.publicKey, key.publicKey))
          assert.deepStrictEqual(PrivateKeySecret.secretBytes(again), new Uint8Array(32).fill(byte))
        }
        crypto.createPrivateKey(Redacted.value(PrivateKey.toPem(key)))
      }
    })
  )
})

describe("wipe", () => {
  it.effect.each(keyTypes)("overwrites the secret of a %s key, and leaves nothing to write", (type) =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.generate(type, type === "RSA" ? { modulusLength: 2048 } : undefined)
      const live = PrivateKeySecret.secretBytes(key)
      assert.isTrue(live.some((byte) => byte !== 0))
      assert.isFalse(PrivateKey.isWiped(key))
      PrivateKey.wipe(key)
      PrivateKey.wipe(key)
      assert.isTrue(live.every((byte) => byte === 0))
      assert.isTrue(PrivateKey.isWiped(key))
      assert.lengthOf(PrivateKeySecret.secretBytes(key), 0)
      assert.lengthOf(Redacted.value(PrivateKey.toPkcs8(key)), 0)
      assert.strictEqual(Redacted.value(PrivateKey.toPem(key)), "")
      assert.deepStrictEqual(Redacted.value(PrivateKey.toJwk(key)), PublicKey.toJwk(key.publicKey))
      yield* refused(PrivateKey.toEncryptedPem(key, Redacted.make("pass")), "key", /wiped/)
      yield* refused(PrivateKey.fromPem(PrivateKey.toPem(key)), "pem", /./)
      assert.isString(PublicKey.thumbprint(key.publicKey))
    })
  )

  it.effect("leaves other keys of the same secret alone", () =>
    Effect.gen(function* () {
      const input = new Uint8Array(32).fill(9)
      const [a, b] = [yield* PrivateKey.fromRaw("Ed25519", input), yield* PrivateKey.fromRaw("Ed25519", input)]
      PrivateKey.wipe(a)
      assert.deepStrictEqual(PrivateKeySecret.secretBytes(b), input)
      assert.strictEqual(input[0], 9)
    })
  )
})

describe("round trips", () => {
  /** Through every format that has a place for the key. */
  const throughAll = (key: PrivateKey.PrivateKey) =>
    Effect.gen(function* () {
      const { type } = key
      const options = { algorithm: key.algorithm }
      const secret = PrivateKeySecret.secretBytes(key)
      const pem = Redacted.value(PrivateKey.toPem(key))
      const privateKeys = [
        yield* PrivateKey.fromPkcs8(PrivateKey.toPkcs8(key), options),
        yield* PrivateKey.fromPem(pem, options),
        yield* PrivateKey.fromPem(pem.replaceAll("\n", "\r\n"), options),
        yield* PrivateKey.fromJwk(PrivateKey.toJwk(key), options),
        yield* PrivateKey.fromJwk(JSON.parse(JSON.stringify(Redacted.value(PrivateKey.toJwk(key)))), options),
        ...(type === "RSA"
          ? [yield* PrivateKey.fromPkcs1(secret, options)]
          : [yield* PrivateKey.fromRaw(type, secret, options)])
      ]
      for (const again of privateKeys) {
        assert.isTrue(Equal.equals(again, key))
        assert.deepStrictEqual(PrivateKeySecret.secretBytes(again), secret)
      }
      const { publicKey } = key
      const line = PublicKey.toOpenSsh(publicKey)
      const id52 = PublicKey.toId52(publicKey)
      const compressed = PublicKey.toCompressed(publicKey)
      const publicKeys = [
        yield* PublicKey.fromSpki(PublicKey.toSpki(publicKey), options),
        yield* PublicKey.fromPem(PublicKey.toPem(publicKey), options),
        yield* PublicKey.fromJwk(PublicKey.toJwk(publicKey), options),
        ...(line === undefined ? [] : [yield* PublicKey.fromOpenSsh(line, options)]),
        ...(id52 === undefined ? [] : [yield* PublicKey.fromId52(id52, options)]),
        ...(compressed === undefined ? [] : [yield* PublicKey.fromRaw(type, compressed, options)]),
        ...(PublicKey.toRaw(publicKey).length === 32 && type === "secp256k1"
          ? []
          : [yield* PublicKey.fromRaw(type, PublicKey.toRaw(publicKey), options)])
      ]
      for (const again of publicKeys) assert.isTrue(Equal.equals(again, publicKey))
    })

  const secrets = { Ed25519: 32, ...coordinateLength, "ML-DSA-44": 32, "ML-DSA-65": 32, "ML-DSA-87": 32 }
  for (const [type, length] of Object.entries(secrets)) {
    it.effect.prop(
      `of any ${type} secret`,
      { secret: bytesOf(length) },
      ({ secret }) =>
        Effect.gen(function* () {
          const bytes = Uint8Array.from(secret)
          if (type === "P-521") bytes[0]! &= 1
          // the JWK of an ML-DSA key always states alg
          const options = type.startsWith("ML-DSA") ? { algorithm: type as "ML-DSA-44" } : undefined
          const key = yield* Effect.option(PrivateKey.fromRaw(type as KeyType, bytes, options))
          if (key._tag === "Some") yield* throughAll(key.value)
          // curves: 0, and what is not below the order
          else assert.isTrue(type in coordinateLength && (bytes.every((byte) => byte === 0) || bytes[2] === 0xff))
        }),
      { arbitrary: { runs: type.startsWith("ML-DSA") ? 8 : 25 } }
    )
  }

  it.effect.each(SignatureAlgorithm.all)("of a key for %s", (algorithm) =>
    Effect.gen(function* () {
      const { keyType } = SignatureAlgorithm.facts[algorithm]
      yield* throughAll(yield* PrivateKey.fromPkcs8(nodeKey(keyType)?.pkcs8 ?? new Uint8Array(0), { algorithm }))
    })
  )

  it.effect.each(curves)("of small scalars of %s, which keep their zeros", (curve) =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromRaw(
        curve,
        new Uint8Array(coordinateLength[curve]).with(coordinateLength[curve] - 1, 1)
      )
      yield* throughAll(key)
      const node = crypto.createPrivateKey(Redacted.value(PrivateKey.toPem(key)))
      assert.strictEqual(
        crypto.createPublicKey(node).export({ format: "pem", type: "spki" }),
        PublicKey.toPem(key.publicKey)
      )
    })
  )
})

describe.skipIf(!hasOpenssl)("openssl (skipped where the program is not on the PATH)", () => {
  const supported = nodeKeys.filter(({ type }) => !type.startsWith("ML-DSA"))

  it.effect.each(supported)("reads our $type PEM and writes it alike", ({ pkcs8, type }) =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromPkcs8(pkcs8)
      const pem = Redacted.value(PrivateKey.toPem(key))
      assert.strictEqual((yield* Effect.promise(() => openssl(["pkey"], pem))).toString(), pem)
      assert.strictEqual(
        (yield* Effect.promise(() => openssl(["pkey", "-pubout"], pem))).toString(),
        PublicKey.toPem(key.publicKey)
      )
      if (type === "Ed25519") return
      const traditional = yield* Effect.promise(() => openssl(["pkey", "-traditional"], pem))
      assert.match(traditional.toString(), /^-----BEGIN (RSA|EC) PRIVATE KEY-----/)
      assert.isTrue(Equal.equals(yield* PrivateKey.fromPem(traditional.toString()), key))
    })
  )

  it.effect("writes explicit parameters, which we refuse", () =>
    Effect.gen(function* () {
      const args = ["ecparam", "-name", "prime256v1", "-param_enc", "explicit", "-genkey", "-noout"]
      const sec1 = yield* Effect.promise(() => openssl(args, ""))
      assert.isTrue(crypto.createPrivateKey(sec1).type === "private")
      yield* refused(PrivateKey.fromPem(sec1.toString()), "sec1", /explicit parameters/)
      const pkcs8 = yield* Effect.promise(() => openssl(["pkey"], sec1))
      yield* refused(PrivateKey.fromPem(pkcs8.toString()), "pkcs8", /explicit parameters/)
      const publicKey = yield* Effect.promise(() => openssl(["pkey", "-pubout"], sec1))
      yield* refused(PublicKey.fromPem(publicKey.toString()), "spki", /explicit parameters/)
    })
  )

  it.effect("puts EC PARAMETERS before a key, which we refuse", () =>
    Effect.gen(function* () {
      const text = yield* Effect.promise(() => openssl(["ecparam", "-name", "secp384r1", "-genkey"], ""))
      yield* refused(PrivateKey.fromPem(text.toString()), "pem", /EC PARAMETERS: remove this block/)
      const converted = yield* Effect.promise(() => openssl(["pkcs8", "-topk8", "-nocrypt"], text))
      assert.strictEqual((yield* PrivateKey.fromPem(converted.toString())).type, "P-384")
    })
  )
})
