import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as crypto from "node:crypto"
import * as PrivateKey from "../../src/schemas/PrivateKey.ts"
import * as PrivateKeySecret from "../../src/schemas/PrivateKeySecret.ts"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import { nodeKey, nodeKeys } from "./keys.ts"
import { refused } from "./refused.ts"
import { folder, readJson } from "./vectors.ts"

type Json = Record<string, unknown>
type KeyName = Parameters<typeof nodeKey>[0]

const publicJwk = (type: KeyName) => nodeKey(type).publicKey.export({ format: "jwk" }) as Record<string, string>
const privateJwk = (type: KeyName) => nodeKey(type).privateKey.export({ format: "jwk" }) as Record<string, string>

const nodeReads = (jwk: Json): crypto.KeyObject | undefined => {
  try {
    return jwk.d === undefined
      ? crypto.createPublicKey({ key: jwk as crypto.JsonWebKey, format: "jwk" })
      : crypto.createPrivateKey({ key: jwk as crypto.JsonWebKey, format: "jwk" })
  } catch {
    return undefined
  }
}

/** The first byte changed, or a zero byte added before it. */
const flip = (member: string, offset = 0) => {
  const bytes = Buffer.from(member, "base64url")
  bytes[offset < 0 ? bytes.length + offset : offset]! ^= 1
  return bytes.toString("base64url")
}
const pad = (member: string) => Buffer.concat([Buffer.of(0), Buffer.from(member, "base64url")]).toString("base64url")
const cut = (member: string) => Buffer.from(member, "base64url").subarray(1).toString("base64url")
const without = (jwk: Json, ...names: ReadonlyArray<string>): Json =>
  Object.fromEntries(Object.entries(jwk).filter(([name]) => !names.includes(name)))

const ed = publicJwk("Ed25519")
const ec = publicJwk("P-256")
const p521 = publicJwk("P-521")
const rsa = publicJwk("RSA")

describe("PublicKey.fromJwk", () => {
  it.effect.each(nodeKeys)("reads $type as node writes it, and writes it alike", ({ publicKey, spki, type }) =>
    Effect.gen(function* () {
      const jwk = publicKey.export({ format: "jwk" }) as Json
      const key = yield* PublicKey.fromJwk(jwk)
      assert.deepStrictEqual(PublicKey.toSpki(key), new Uint8Array(spki))
      assert.strictEqual(key.algorithm, type.startsWith("ML-DSA") ? type : undefined)
      assert.deepStrictEqual(PublicKey.toJwk(key), jwk as never)
      assert.isTrue(nodeReads(PublicKey.toJwk(key) as never)!.equals(publicKey))
    })
  )

  it.effect.each([
    ["Ed25519", "Ed25519", "Ed25519"],
    ["Ed25519", "EdDSA", "Ed25519"],
    ["P-256", "ES256", "ES256"],
    ["P-384", "ES384", "ES384"],
    ["P-521", "ES512", "ES512"],
    ["secp256k1", "ES256K", "ES256K"],
    ["RSA", "PS256", "PS256"],
    ["RSA", "RS512", "RS512"]
  ] as const)("reads %s with alg %s", ([type, alg, algorithm]) =>
    Effect.gen(function* () {
      const jwk = {
        ...publicJwk(type),
        alg,
        use: "sig",
        key_ops: ["verify"],
        kid: "a",
        x5t: "ignored",
        other: { deep: [] }
      }
      const key = yield* PublicKey.fromJwk(jwk)
      assert.strictEqual(key.algorithm, algorithm)
      const { alg: written, kid } = PublicKey.toJwk(key, { kid: "b" })
      assert.deepStrictEqual([written, kid], [type === "Ed25519" ? "EdDSA" : algorithm, "b"])
      assert.strictEqual((yield* PublicKey.fromJwk(jwk, { algorithm })).algorithm, algorithm)
    })
  )

  const cases: ReadonlyArray<readonly [string, unknown, RegExp]> = [
    ["text", JSON.stringify(ed), /parse the JSON first/],
    ["null", null, /expected an object/],
    ["undefined", undefined, /expected an object/],
    ["a list", [ed], /"kty" must be one of/],
    ["a function", () => ed, /expected an object/],
    ["no members", {}, /"kty"/],
    ["no kty", without(ed, "kty"), /"kty"/],
    ["an unknown kty", { ...ed, kty: "okp" }, /"kty" must be one of/],
    ["kty of another type", { ...ed, kty: ["OKP"] }, /"kty" must be one of/],
    ["a symmetric key", { kty: "oct", k: "AAAA" }, /symmetric/],
    ["no crv", without(ed, "crv"), /"crv"/],
    ["an unknown crv", { ...ed, crv: "Ed448" }, /"crv" must be one of Ed25519/],
    ["crv of another kty", { ...ed, crv: "P-256" }, /"crv" must be one of Ed25519/],
    ["kty of another crv", { ...ec, crv: "Ed25519" }, /"crv" must be one of P-256/],
    ["crv of a property of objects", { ...ec, crv: "toString" }, /"crv" must be one of P-256/],
    ["another curve", { ...ec, crv: "secp256k1" }, /not a point/],
    ["a longer curve", { ...ec, crv: "P-384" }, /must have 48 bytes/],
    ["no x", without(ed, "x"), /"x" is missing/],
    ["x as a number", { ...ed, x: 1 }, /"x" must be text/],
    ["x as bytes", { ...ed, x: new Uint8Array(32) }, /"x" must be text/],
    ["x with padding", { ...ed, x: `${ed.x}=` }, /"x" is not base64url/],
    ["x with a line end", { ...ed, x: `${ed.x}\n` }, /"x" is not base64url/],
    ["x in base64", { ...ed, x: `+/${ed.x!.slice(2)}` }, /"x" is not base64url/],
    ["x that is too short", { ...ed, x: cut(ed.x!) }, /must have 32 bytes, it has 31/],
    ["x that is too long", { ...ed, x: pad(ed.x!) }, /must have 32 bytes, it has 33/],
    ["x that is huge", { ...ed, x: "A".repeat(10_000) }, /too long/],
    ["y that is missing", without(ec, "y"), /"y" is missing/],
    ["y with a leading zero", { ...ec, y: pad(ec.y!) }, /must have 32 bytes, it has 33/],
    ["a point off the curve", { ...ec, y: flip(ec.y!) }, /not a point/],
    ["a P-521 coordinate without its zeros", { ...p521, x: cut(p521.x!) }, /must have 66 bytes, it has 65/],
    ["n with a leading zero", { ...rsa, n: pad(rsa.n!) }, /"n" must be a positive number without leading zero/],
    ["e with a leading zero", { ...rsa, e: pad(rsa.e!) }, /"e" must be a positive number without leading zero/],
    ["an empty e", { ...rsa, e: "" }, /"e" must be a positive number/],
    ["e = 3", { ...rsa, e: "Aw" }, /65537/],
    ["a modulus of 504 bits", { ...rsa, n: rsa.n!.slice(0, 84) }, /50\d bits/],
    ["an even modulus", { ...rsa, n: flip(rsa.n!, -1) }, /even/],
    ["alg of another type", { ...ed, alg: 1 }, /"alg" must be text/],
    ["alg for another kind of key", { ...ec, alg: "ES384" }, /"alg" is ES384, which P-256 keys cannot do/],
    ["alg for encryption", { ...rsa, alg: "RSA-OAEP-256" }, /"alg" is not a signature algorithm/],
    ["alg for a MAC", { ...rsa, alg: "HS256" }, /"alg" is not a signature algorithm/],
    ["alg none", { ...rsa, alg: "none" }, /"alg" is not a signature algorithm/],
    ["alg in lower case", { ...ec, alg: "es256" }, /"alg" is not a signature algorithm/],
    ["use for encryption", { ...ec, use: "enc" }, /"use" must be "sig"/],
    ["use of another type", { ...ec, use: ["sig"] }, /"use" must be text/],
    ["key_ops for signing alone", { ...ec, key_ops: ["sign"] }, /"key_ops" must list "verify"/],
    ["key_ops for encryption too", { ...ec, key_ops: ["verify", "encrypt"] }, /"key_ops"/],
    ["key_ops twice", { ...ec, key_ops: ["verify", "verify"] }, /"key_ops"/],
    ["no key_ops", { ...ec, key_ops: [] }, /"key_ops"/],
    ["key_ops as text", { ...ec, key_ops: "verify" }, /"key_ops"/],
    ["kid of another type", { ...ec, kid: 7 }, /"kid" must be text/],
    ["an AKP key without alg", without({ kty: "AKP", pub: "AAAA" }), /"alg" of an AKP key/],
    ["an AKP key of another alg", { kty: "AKP", alg: "SLH-DSA-SHA2-128s", pub: "AAAA" }, /"alg" of an AKP key/],
    [
      "an AKP key that is too short",
      { kty: "AKP", alg: "ML-DSA-44", pub: "AAAA" },
      /3 bytes; ML-DSA-44 public keys have 1312/
    ]
  ]
  it.effect.each(cases)("refuses %s", ([, jwk, problem]) => refused(PublicKey.fromJwk(jwk), "jwk", problem))

  it.effect.each(["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"])("refuses the private member %s", (name) =>
    refused(PublicKey.fromJwk({ ...ed, [name]: "AAAA" }), "jwk", /private members/)
  )

  it.effect("takes a member that is undefined for absent, and members of prototypes for none", () =>
    Effect.gen(function* () {
      yield* PublicKey.fromJwk({ ...ed, d: undefined, alg: undefined })
      yield* refused(PublicKey.fromJwk(Object.create(ed)), "jwk", /"kty"/)
    })
  )

  it.effect("fails on objects that throw", () =>
    Effect.gen(function* () {
      const hostile = {
        get kty(): string {
          throw new Error("from a getter")
        }
      }
      yield* refused(PublicKey.fromJwk(hostile), "jwk", /plain object/)
      const { proxy, revoke } = Proxy.revocable({}, {})
      revoke()
      yield* refused(PublicKey.fromJwk({ ...ed, key_ops: proxy }), "jwk", /./)
      yield* refused(PublicKey.fromJwk(proxy), "jwk", /./)
    })
  )

  it.effect("is stricter than node", () =>
    Effect.gen(function* () {
      const lax: ReadonlyArray<readonly [Json, RegExp]> = [
        [{ ...ec, x: Buffer.from(ec.x!, "base64url").toString("base64") }, /base64url/],
        [{ ...ec, x: ` ${ec.x}` }, /base64url/],
        [{ ...ec, use: "enc" }, /"use"/],
        [{ ...ec, alg: "ES512" }, /"alg"/],
        [{ ...ec, key_ops: ["encrypt"] }, /"key_ops"/],
        [{ ...rsa, n: pad(rsa.n!) }, /leading zero/],
        [{ ...rsa, e: "Aw" }, /65537/]
      ]
      for (const [jwk, problem] of lax) {
        assert.isDefined(nodeReads(jwk))
        yield* refused(PublicKey.fromJwk(jwk), "jwk", problem)
      }
    })
  )
})

describe("PrivateKey.fromJwk", () => {
  it.effect.each(nodeKeys)("reads $type as node writes it, and writes it alike", ({ privateKey, spki }) =>
    Effect.gen(function* () {
      const jwk = privateKey.export({ format: "jwk" }) as Json
      const key = yield* PrivateKey.fromJwk(jwk)
      assert.deepStrictEqual(PublicKey.toSpki(key.publicKey), new Uint8Array(spki))
      const written = PrivateKey.toJwk(key)
      assert.deepStrictEqual(Redacted.value(written), jwk as never)
      const again = yield* PrivateKey.fromJwk(written)
      assert.isTrue(Equal.equals(again.publicKey, key.publicKey))
      assert.deepStrictEqual(PrivateKeySecret.secretBytes(again), PrivateKeySecret.secretBytes(key))
    })
  )

  it.effect("takes alg, which must agree", () =>
    Effect.gen(function* () {
      const jwk = { ...privateJwk("RSA"), alg: "PS512", key_ops: ["sign"] }
      const key = yield* PrivateKey.fromJwk(jwk)
      assert.strictEqual(key.algorithm, "PS512")
      assert.strictEqual((Redacted.value(PrivateKey.toJwk(key)) as Json).alg, "PS512")
      yield* refused(PrivateKey.fromJwk(jwk, { algorithm: "PS256" }), "algorithm", /PS256 was asked for.*PS512 only/)
    })
  )

  const okp = privateJwk("Ed25519")
  const p256 = privateJwk("P-256")
  const k1 = privateJwk("secp256k1")
  const two = privateJwk("RSA")
  const other = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" })
  const cases: ReadonlyArray<readonly [string, Json, RegExp, boolean]> = [
    ["P-256 with the d of another key", { ...p256, d: other.d }, /its public half does not belong/, true],
    ["P-256 with a d that is changed", { ...p256, d: flip(p256.d!, -1) }, /its public half does not belong/, true],
    [
      "P-256 with the point of another key",
      { ...p256, x: other.x, y: other.y },
      /its public half does not belong/,
      true
    ],
    ["P-256 with a y that is changed", { ...p256, y: flip(p256.y!) }, /its public half does not belong/, false],
    ["P-256 without x and y", without(p256, "x", "y"), /"x" is missing/, false],
    ["secp256k1 with a d that is changed", { ...k1, d: flip(k1.d!, -1) }, /its public half does not belong/, true],
    ["Ed25519 with another x", { ...okp, x: flip(okp.x!) }, /its public half does not belong/, true],
    ["Ed25519 with another d", { ...okp, d: flip(okp.d!) }, /its public half does not belong/, true],
    ["Ed25519 without x", without(okp, "x"), /"x" is missing/, false],
    ["a d that is too short", { ...p256, d: cut(p256.d!) }, /must have 32 bytes, it has 31/, false],
    ["a d with a leading zero", { ...p256, d: pad(p256.d!) }, /must have 32 bytes, it has 33/, false],
    ["a d of zero", { ...p256, d: Buffer.alloc(32).toString("base64url") }, /not a private key/, false],
    ["a public key", without(p256, "d"), /no private members/, false],
    ["RSA with a changed d", { ...two, d: flip(two.d!, -1) }, /do not belong together/, true],
    ["RSA with a changed dp", { ...two, dp: flip(two.dp!, -1) }, /do not belong together/, true],
    ["RSA with its primes exchanged", { ...two, p: two.q!, q: two.p! }, /do not belong together/, true],
    ["RSA with a changed n", { ...two, n: flip(two.n!, 5) }, /do not belong together/, false],
    ["RSA with d alone", without(two, "p", "q", "dp", "dq", "qi"), /needs "p", "q"/, false],
    ["RSA without qi", without(two, "qi"), /needs "p", "q"/, false],
    ["RSA of more than two primes", { ...two, oth: [{ r: "AA", d: "AA", t: "AA" }] }, /more than two primes/, false],
    ["RSA with a leading zero in p", { ...two, p: pad(two.p!) }, /leading zero/, true],
    ["key_ops for verifying alone", { ...p256, key_ops: ["verify"] }, /"key_ops" must list "sign"/, true],
    ["use for encryption", { ...p256, use: "enc" }, /"use"/, true]
  ]
  it.effect.each(cases)("refuses %s", ([, jwk, problem, isReadByNode]) => {
    if (isReadByNode) assert.isDefined(nodeReads(jwk))
    return refused(PrivateKey.fromJwk(jwk), "jwk", problem)
  })

  it.effect("reads the private key of RFC 8037 appendix A.1", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromJwk({
        kty: "OKP",
        crv: "Ed25519",
        d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
      })
      assert.strictEqual(PublicKey.thumbprint(key.publicKey), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
    })
  )
})

describe("PublicKeyJwk", () => {
  it.effect.each(nodeKeys)("encodes and decodes $type", ({ publicKey }) =>
    Effect.gen(function* () {
      const jwk = publicKey.export({ format: "jwk" })
      const key = yield* Schema.decodeUnknownEffect(PublicKey.PublicKeyJwk)(jwk)
      assert.isTrue(PublicKey.isPublicKey(key))
      assert.deepStrictEqual(yield* Schema.encodeEffect(PublicKey.PublicKeyJwk)(key), jwk as never)
      const Nested = Schema.toCodecJson(Schema.Struct({ key: PublicKey.PublicKeyJwk }))
      const json = yield* Schema.encodeEffect(Nested)({ key })
      assert.deepStrictEqual(json, { key: jwk } as never)
      assert.isTrue(Equal.equals((yield* Schema.decodeUnknownEffect(Nested)(json)).key, key))
    })
  )

  it.effect("fails with the problem, and without the members", () =>
    Effect.gen(function* () {
      const jwk = privateJwk("Ed25519")
      const error = yield* Effect.flip(Schema.decodeUnknownEffect(PublicKey.PublicKeyJwk)(jwk))
      assert.match(error.message, /private members/)
      assert.notInclude(error.message, jwk.d!)
      assert.isTrue(
        (yield* Effect.flip(Schema.decodeUnknownEffect(PublicKey.PublicKeyJwk)("text")))._tag === "SchemaError"
      )
    })
  )
})

describe.skipIf(folder === undefined)("public vectors (skipped where EFFECT_SIGNER_VECTORS names no folder)", () => {
  it.effect("have our thumbprints: RFC 7638 section 3.1 and RFC 8037 appendix A.3", () =>
    Effect.gen(function* () {
      const vectors = readJson("jwk-thumbprint/cloudflare-vectors.json") as ReadonlyArray<{
        jwk: string
        thumbprint: string
      }>
      assert.lengthOf(vectors, 2)
      for (const { jwk, thumbprint } of vectors) {
        assert.strictEqual(PublicKey.thumbprint(yield* PublicKey.fromJwk(JSON.parse(jwk))), thumbprint)
      }
    })
  )

  it.effect("of RFC 7520 section 3 are read, and symmetric ones refused", () =>
    Effect.gen(function* () {
      const read = (name: string) => readJson(`jose-cookbook/jwk/${name}.json`) as Json
      for (const [open, secret] of [
        ["3_1.ec_public_key", "3_2.ec_private_key"],
        ["3_3.rsa_public_key", "3_4.rsa_private_key"]
      ]) {
        const publicKey = yield* PublicKey.fromJwk(read(open!))
        const privateKey = yield* PrivateKey.fromJwk(read(secret!))
        assert.isTrue(PublicKey.sameKey(publicKey, privateKey.publicKey))
        assert.deepStrictEqual(PublicKey.toJwk(publicKey), without(read(open!), "kid", "use") as never)
        assert.deepStrictEqual(
          Redacted.value(PrivateKey.toJwk(privateKey)),
          without(read(secret!), "kid", "use") as never
        )
        yield* refused(PublicKey.fromJwk(read(secret!)), "jwk", /private members/)
      }
      yield* refused(PublicKey.fromJwk(read("3_5.symmetric_key_mac_computation")), "jwk", /symmetric/)
      yield* refused(PrivateKey.fromJwk(read("3_6.symmetric_key_encryption")), "jwk", /symmetric/)
    })
  )
})
