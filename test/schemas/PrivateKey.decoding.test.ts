import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Redacted from "effect/Redacted"
import * as crypto from "node:crypto"
import * as PrivateKey from "../../src/schemas/PrivateKey.ts"
import * as PrivateKeySecret from "../../src/schemas/PrivateKeySecret.ts"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import { bytes, coordinateLength, curves, nodeKey, nodeKeys, nodeKeyTypes, pem, tlv } from "./keys.ts"
import { refused } from "./refused.ts"

const { concat } = Buffer

const nodeReads = (key: Uint8Array, type: "pkcs8" | "sec1" | "pkcs1" = "pkcs8"): crypto.KeyObject | undefined => {
  try {
    return crypto.createPrivateKey({ key: Buffer.from(key), format: "der", type })
  } catch {
    return undefined
  }
}

const ecPublicKey = bytes("06 07 2a 86 48 ce 3d 02 01")
const p256 = bytes("06 08 2a 86 48 ce 3d 03 01 07")
const p384 = bytes("06 05 2b 81 04 00 22")
const ecAlgorithm = tlv(0x30, ecPublicKey, p256)
const edAlgorithm = bytes("30 05 06 03 2b 65 70")
const rsaAlgorithm = bytes("30 0d 06 09 2a 86 48 86 f7 0d 01 01 01 05 00")
const v1 = bytes("02 01 00")
const v2 = bytes("02 01 01")

const jwk = (type: Parameters<typeof nodeKey>[0]) =>
  nodeKey(type).privateKey.export({ format: "jwk" }) as Record<string, string>
const member = (type: Parameters<typeof nodeKey>[0], name: string) =>
  new Uint8Array(Buffer.from(jwk(type)[name]!, "base64url"))

const seed = member("Ed25519", "d")
const edPublic = member("Ed25519", "x")
const scalar = member("P-256", "d")
const point = new Uint8Array(nodeKey("P-256").spki.subarray(-65))
const compressed = new Uint8Array(
  crypto.ECDH.convertKey(point, "prime256v1", undefined, undefined, "compressed") as Buffer
)
const otherPoint = new Uint8Array(crypto.createECDH("prime256v1").generateKeys())

const pkcs8 = (algorithm: Uint8Array, key: Uint8Array, ...rest: ReadonlyArray<Uint8Array>) =>
  tlv(0x30, rest.length > 0 && rest.at(-1)![0] === 0x81 ? v2 : v1, algorithm, tlv(0x04, key), ...rest)
const v2Public = (key: Uint8Array) => tlv(0x81, Uint8Array.of(0), key)
const ed = (key: Uint8Array, ...rest: ReadonlyArray<Uint8Array>) => pkcs8(edAlgorithm, tlv(0x04, key), ...rest)
const sec1Public = (key: Uint8Array) => tlv(0xa1, tlv(0x03, Uint8Array.of(0), key))
const sec1 = (...rest: ReadonlyArray<Uint8Array>) => tlv(0x30, bytes("02 01 01"), tlv(0x04, scalar), ...rest)
const attributes = tlv(0xa0, tlv(0x30, bytes("06 03 2a 03 04"), tlv(0x31, bytes("0c 01 41"))))

const samePkcs8 = (key: PrivateKey.PrivateKey, expected: Uint8Array) =>
  assert.deepStrictEqual(Redacted.value(PrivateKey.toPkcs8(key)), new Uint8Array(expected))

describe("fromPkcs8", () => {
  it.effect.each(nodeKeys)("reads $type as node writes it", ({ pkcs8, privateKey, spki, type }) =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromPkcs8(pkcs8)
      assert.strictEqual(key.type, type)
      assert.isUndefined(key.algorithm)
      assert.deepStrictEqual(PublicKey.toSpki(key.publicKey), new Uint8Array(spki))
      const der = Redacted.value(PrivateKey.toPkcs8(key))
      assert.isTrue(crypto.createPrivateKey({ key: Buffer.from(der), format: "der", type: "pkcs8" }).equals(privateKey))
      samePkcs8(yield* PrivateKey.fromPkcs8(Redacted.make(der)), der)
    })
  )

  it.effect("reads version 2", () =>
    Effect.gen(function* () {
      // RFC 8410 section 10.3: with attributes and the public key
      const text = `-----BEGIN PRIVATE KEY-----
MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB
Z9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PRIVATE KEY-----
`
      const key = yield* PrivateKey.fromPem(text)
      assert.strictEqual(
        PublicKey.toHex(key.publicKey),
        "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
      )
      for (const der of [
        pkcs8(ecAlgorithm, sec1(), v2Public(point)),
        pkcs8(ecAlgorithm, sec1(sec1Public(point)), v2Public(compressed)),
        pkcs8(
          rsaAlgorithm,
          nodeKey("RSA").privateKey.export({ format: "der", type: "pkcs1" }),
          v2Public(nodeKey("RSA").publicKey.export({ format: "der", type: "pkcs1" }))
        )
      ]) {
        samePkcs8(yield* PrivateKey.fromPkcs8(der), nodeKey(der.length > 1000 ? "RSA" : "P-256").pkcs8)
      }
    })
  )

  it.effect.each([
    ["EC without the public key", pkcs8(ecAlgorithm, sec1())],
    ["EC with a compressed public key", pkcs8(ecAlgorithm, sec1(sec1Public(compressed)))],
    ["EC with the curve inside too", pkcs8(ecAlgorithm, sec1(tlv(0xa0, p256), sec1Public(point)))],
    ["EC with attributes", pkcs8(ecAlgorithm, sec1(sec1Public(point)), attributes)],
    ["EC with no attribute", pkcs8(ecAlgorithm, sec1(sec1Public(point)), tlv(0xa0))]
  ] as const)("reads %s", ([, der]) =>
    Effect.map(PrivateKey.fromPkcs8(der), (key) => samePkcs8(key, nodeKey("P-256").pkcs8))
  )

  const whole = ed(seed)

  it.effect.each([
    ["bytes after the end", concat([whole, Buffer.of(0)]), /after the end/, true],
    ["bytes after the seed", pkcs8(edAlgorithm, concat([tlv(0x04, seed), bytes("05 00")])), /after the end/, false],
    [
      "a length in too many bytes",
      concat([Buffer.of(0x30, 0x81, whole.length - 2), whole.subarray(2)]),
      /more bytes than/,
      true
    ],
    ["an indefinite length", concat([Buffer.of(0x30, 0x80), whole.subarray(2), Buffer.of(0, 0)]), /indefinite/, true],
    [
      "version 2",
      tlv(0x30, bytes("02 01 02"), edAlgorithm, tlv(0x04, tlv(0x04, seed))),
      /version must be 0 or 1/,
      false
    ],
    ["version -1", tlv(0x30, bytes("02 01 ff"), edAlgorithm, tlv(0x04, tlv(0x04, seed))), /negative/, false],
    [
      "a public key in version 1",
      tlv(0x30, v1, edAlgorithm, tlv(0x04, tlv(0x04, seed)), v2Public(edPublic)),
      /after the end/,
      false
    ],
    [
      "no public key in version 2",
      tlv(0x30, v2, edAlgorithm, tlv(0x04, tlv(0x04, seed))),
      /version 2 must have is missing/,
      true
    ],
    [
      "another public key in version 2",
      ed(seed, v2Public(edPublic.with(0, edPublic[0]! ^ 1))),
      /beside it does not belong/,
      true
    ],
    ["a public key with unused bits", ed(seed, tlv(0x81, Uint8Array.of(1), edPublic)), /whole bytes/, false],
    ["attributes that are none", ed(seed, tlv(0xa0, bytes("05 00"))), /another ASN.1 type/, false],
    ["a seed of 31 bytes", ed(seed.subarray(1)), /seed has 32 bytes, this one 31/, false],
    ["a seed and the public key", ed(new Uint8Array(concat([seed, edPublic]))), /this one 64/, false],
    ["a seed that is not wrapped", pkcs8(edAlgorithm, seed), /ASN.1|after the end|longer|length/, false],
    [
      "Ed25519 with NULL parameters",
      pkcs8(bytes("30 07 06 03 2b 65 70 05 00"), tlv(0x04, seed)),
      /parameters are not those/,
      false
    ],
    [
      "RSA without parameters",
      pkcs8(
        bytes("30 0b 06 09 2a 86 48 86 f7 0d 01 01 01"),
        nodeKey("RSA").privateKey.export({ format: "der", type: "pkcs1" })
      ),
      /parameters are not those/,
      true
    ],
    ["an encrypted key", tlv(0x30, tlv(0x30, bytes("06 03 2a 03 04")), tlv(0x04, seed)), /passphrase is needed/, false],
    ["a public key", nodeKey("Ed25519").spki, /passphrase is needed|ASN.1/, false],
    // ECPrivateKey
    [
      "EC with the public key of another",
      pkcs8(ecAlgorithm, sec1(sec1Public(otherPoint))),
      /inside the ECPrivateKey does not belong/,
      true
    ],
    [
      "EC with a public key off the curve",
      pkcs8(ecAlgorithm, sec1(sec1Public(point.with(64, point[64]! ^ 1)))),
      /does not belong/,
      false
    ],
    [
      "EC with another curve inside",
      pkcs8(ecAlgorithm, sec1(tlv(0xa0, p384), sec1Public(point))),
      /another curve/,
      false
    ],
    [
      "EC of another version",
      pkcs8(ecAlgorithm, tlv(0x30, bytes("02 01 02"), tlv(0x04, scalar))),
      /version of the ECPrivateKey/,
      true
    ],
    [
      "EC with a scalar of 31 bytes",
      pkcs8(ecAlgorithm, tlv(0x30, bytes("02 01 01"), tlv(0x04, scalar.subarray(1)))),
      /has 32 bytes, this one 31/,
      true
    ],
    [
      "EC with a scalar of 33 bytes",
      pkcs8(ecAlgorithm, tlv(0x30, bytes("02 01 01"), tlv(0x04, concat([Buffer.of(0), scalar])))),
      /this one 33/,
      true
    ],
    [
      "EC with the scalar zero",
      pkcs8(ecAlgorithm, tlv(0x30, bytes("02 01 01"), tlv(0x04, new Uint8Array(32)))),
      /not a private key of P-256/,
      false
    ],
    [
      "EC with the order as the scalar",
      pkcs8(
        ecAlgorithm,
        tlv(
          0x30,
          bytes("02 01 01"),
          tlv(0x04, bytes("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"))
        )
      ),
      /not a private key of P-256/,
      false
    ],
    [
      "EC with bytes after the public key",
      pkcs8(ecAlgorithm, sec1(sec1Public(point), bytes("05 00"))),
      /after the end/,
      false
    ]
  ] as ReadonlyArray<readonly [string, Uint8Array, RegExp, boolean]>)(
    "refuses %s",
    ([, der, problem, isReadByNode]) => {
      if (isReadByNode) assert.isDefined(nodeReads(der))
      return refused(PrivateKey.fromPkcs8(der), "pkcs8", problem)
    }
  )

  it.effect("names keys that it does not support", () =>
    Effect.gen(function* () {
      for (const [type, options, problem] of [
        ["x25519", {}, /X25519/],
        ["ed448", {}, /Ed448/],
        ["rsa-pss", { modulusLength: 2048 }, /RSASSA-PSS.*PS256/],
        ["ec", { namedCurve: "secp224r1" }, /P-224/],
        ["ec", { namedCurve: "prime256v1", paramEncoding: "explicit" }, /explicit parameters/]
      ] as const) {
        const { privateKey } = crypto.generateKeyPairSync(type as "x25519", options)
        yield* refused(PrivateKey.fromPkcs8(privateKey.export({ format: "der", type: "pkcs8" })), "pkcs8", problem)
      }
    })
  )

  it.effect("refuses what is no bytes", () =>
    Effect.gen(function* () {
      yield* refused(PrivateKey.fromPkcs8("30" as never), "pkcs8", /Uint8Array/)
      yield* refused(PrivateKey.fromPkcs8(Redacted.make("30") as never), "pkcs8", /Uint8Array/)
      const wiped = Redacted.make(new Uint8Array(1))
      Redacted.wipeUnsafe(wiped)
      yield* refused(PrivateKey.fromPkcs8(wiped), "pkcs8", /redacted value was wiped/)
    })
  )

  it.effect("parses its own copy, and does not wipe the input", () =>
    Effect.gen(function* () {
      const input = new Uint8Array(nodeKey("Ed25519").pkcs8)
      const key = yield* PrivateKey.fromPkcs8(input)
      assert.deepStrictEqual(input, new Uint8Array(nodeKey("Ed25519").pkcs8))
      input.fill(0)
      assert.deepStrictEqual(PrivateKeySecret.secretBytes(key), seed)
    })
  )
})

describe("ML-DSA in PKCS#8 (RFC 9881 section 6)", () => {
  const types = nodeKeyTypes.filter((type) => type.startsWith("ML-DSA"))

  /** Seed and expanded key, as OpenSSL writes both. */
  const partsOf = (type: (typeof types)[number]) => {
    const { pkcs8 } = nodeKey(type)
    const oid = bytes("06 09 60 86 48 01 65 03 04 03")
    const at = pkcs8.indexOf(oid)
    return { algorithm: tlv(0x30, pkcs8.subarray(at, at + 11)), both: pkcs8.subarray(at + 11) }
  }

  it.effect.each(types)("reads %s as a seed, and as a seed with its expanded key", (type) =>
    Effect.gen(function* () {
      const { algorithm, both } = partsOf(type)
      const key = yield* PrivateKey.fromPkcs8(nodeKey(type).pkcs8)
      const secret = PrivateKeySecret.secretBytes(key)
      assert.lengthOf(secret, 32)
      const seedOnly = tlv(0x30, v1, algorithm, tlv(0x04, tlv(0x80, secret)))
      samePkcs8(key, seedOnly)
      samePkcs8(yield* PrivateKey.fromPkcs8(seedOnly), seedOnly)
      const expanded = both.subarray(
        both.length - { "ML-DSA-44": 2560, "ML-DSA-65": 4032, "ML-DSA-87": 4896 }[type as "ML-DSA-44"]
      )
      const of = (inner: Uint8Array) => PrivateKey.fromPkcs8(tlv(0x30, v1, algorithm, tlv(0x04, inner)))
      samePkcs8(yield* of(tlv(0x30, tlv(0x04, secret), tlv(0x04, expanded))), seedOnly)
      yield* refused(of(tlv(0x04, expanded)), "pkcs8", /expanded form.*export it with its seed/)
      yield* refused(of(tlv(0x80, secret.subarray(1))), "pkcs8", /seed of an ML-DSA.* has 32 bytes, this one 31/)
      yield* refused(of(tlv(0x30, tlv(0x04, secret), tlv(0x04, expanded.subarray(1)))), "pkcs8", /expanded key of an/)
      yield* refused(of(tlv(0x30, tlv(0x04, secret))), "pkcs8", /expanded key is missing/)
      for (const offset of [0, 31, 32, 63, 64, 127]) {
        const changed = new Uint8Array(expanded)
        changed[offset]! ^= 1
        yield* refused(of(tlv(0x30, tlv(0x04, secret), tlv(0x04, changed))), "pkcs8", /does not belong to the seed/)
      }
    })
  )
})

describe("fromSec1", () => {
  it.effect.each(curves)("reads %s as node writes it", (curve) =>
    Effect.gen(function* () {
      const { pkcs8, privateKey } = nodeKey(curve)
      const der = privateKey.export({ format: "der", type: "sec1" })
      samePkcs8(yield* PrivateKey.fromSec1(der), pkcs8)
      samePkcs8(yield* PrivateKey.fromPem(privateKey.export({ format: "pem", type: "sec1" }) as string), pkcs8)
    })
  )

  it.effect.each([
    ["without a curve", sec1(sec1Public(point)), /must name it/],
    [
      "with explicit parameters",
      sec1(tlv(0xa0, tlv(0x30, bytes("02 01 01"))), sec1Public(point)),
      /explicit parameters/
    ],
    ["with an unknown curve", sec1(tlv(0xa0, bytes("06 03 2a 03 04")), sec1Public(point)), /not supported/],
    ["with two curves", sec1(tlv(0xa0, p256, p384)), /after the end/],
    ["on a curve that is too long for it", sec1(tlv(0xa0, p384)), /has 48 bytes, this one 32/],
    ["with another public key", sec1(tlv(0xa0, p256), sec1Public(otherPoint)), /does not belong/],
    ["with bytes after it", concat([sec1(tlv(0xa0, p256)), Buffer.of(0)]), /after the end/]
  ] as const)("refuses a key %s", ([, der, problem]) => refused(PrivateKey.fromSec1(der), "sec1", problem))
})

describe("fromPkcs1", () => {
  const names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"]
  const numbers = Object.fromEntries(names.map((name) => [name, member("RSA", name)])) as Record<string, Uint8Array>
  const integer = (magnitude: Uint8Array) =>
    tlv(0x02, magnitude[0]! >= 0x80 ? concat([Buffer.of(0), magnitude]) : magnitude)
  const rsa = (changes: Record<string, Uint8Array> = {}, version = v1) =>
    tlv(0x30, version, ...names.map((name) => integer(changes[name] ?? numbers[name]!)))

  it.effect("reads a key as node writes it", () =>
    Effect.gen(function* () {
      const { pkcs8, privateKey } = nodeKey("RSA")
      const der = privateKey.export({ format: "der", type: "pkcs1" })
      assert.deepStrictEqual(rsa(), new Uint8Array(der))
      samePkcs8(yield* PrivateKey.fromPkcs1(der), pkcs8)
      samePkcs8(yield* PrivateKey.fromPem(privateKey.export({ format: "pem", type: "pkcs1" }) as string), pkcs8)
    })
  )

  it.effect.each(names)("refuses a key whose %s is another number", (name) =>
    Effect.gen(function* () {
      for (const [offset, bit] of [
        [-1, 2],
        [Math.floor(numbers[name]!.length / 2), 1]
      ] as const) {
        const changed = new Uint8Array(numbers[name]!)
        changed[offset < 0 ? changed.length + offset : offset]! ^= bit
        const error = yield* Effect.flip(PrivateKey.fromPkcs1(rsa({ [name]: changed })))
        assert.match(error.message, /do not belong together|exponent must be odd|modulus/)
      }
    })
  )

  it.effect.each([
    [
      "with other CRT numbers, which node reads",
      rsa({ dp: numbers.dq!, dq: numbers.dp! }),
      /do not belong together/,
      true
    ],
    ["with its primes in the other order", rsa({ p: numbers.q!, q: numbers.p! }), /do not belong together/, true],
    ["of more than two primes", rsa({}, v2), /more than two primes/, false],
    ["of an unknown version", rsa({}, bytes("02 01 02")), /version/, false],
    ["with a number too few", tlv(0x30, v1, ...names.slice(1).map((name) => integer(numbers[name]!))), /./, false],
    [
      "with a number too many",
      tlv(0x30, v1, ...[...names, "e"].map((name) => integer(numbers[name]!))),
      /after the end/,
      false
    ],
    ["with a negative number", tlv(0x30, v1, ...names.map((name) => tlv(0x02, numbers[name]!))), /negative/, false]
  ] as ReadonlyArray<readonly [string, Uint8Array, RegExp, boolean]>)(
    "refuses a key %s",
    ([, der, problem, isReadByNode]) => {
      if (isReadByNode) assert.isDefined(nodeReads(der, "pkcs1"))
      return refused(PrivateKey.fromPkcs1(der), "pkcs1", problem)
    }
  )

  it.effect("refuses keys that are too short, which node reads and makes", () => {
    const { privateKey } = crypto.generateKeyPairSync("rsa", { modulusLength: 1024 })
    return refused(PrivateKey.fromPkcs1(privateKey.export({ format: "der", type: "pkcs1" })), "pkcs1", /1024 bits/)
  })

  it.effect("refuses e = 3, which node reads and makes", () => {
    const { privateKey } = crypto.generateKeyPairSync("rsa", { modulusLength: 2048, publicExponent: 3 })
    return refused(PrivateKey.fromPkcs8(privateKey.export({ format: "der", type: "pkcs8" })), "pkcs8", /65537/)
  })
})

describe("fromPem", () => {
  it.effect.each(nodeKeys)("reads $type", ({ pkcs8, privateKey, spki }) =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromPem(
        Redacted.make(privateKey.export({ format: "pem", type: "pkcs8" }) as string)
      )
      assert.deepStrictEqual(PublicKey.toSpki(key.publicKey), new Uint8Array(spki))
      assert.isTrue(crypto.createPrivateKey(Redacted.value(PrivateKey.toPem(key))).equals(privateKey))
      assert.isAbove(pkcs8.length, 0)
    })
  )

  it.effect.each([
    ["PUBLIC KEY", /public key where a private key is needed/],
    ["RSA PUBLIC KEY", /public key where a private key is needed/],
    ["CERTIFICATE", /certificate/],
    ["EC PARAMETERS", /openssl pkcs8 -topk8/],
    ["DSA PRIVATE KEY", /DSA is not supported/],
    ["ANY PRIVATE KEY", /another label than PRIVATE KEY, ENCRYPTED PRIVATE KEY/]
  ] as const)("refuses the label %s", ([label, problem]) =>
    refused(PrivateKey.fromPem(pem(label, seed)), "pem", problem)
  )

  it.effect("refuses the legacy encryption of OpenSSL, which node reads", () => {
    const text = nodeKey("P-256").privateKey.export({
      format: "pem",
      type: "sec1",
      cipher: "aes-256-cbc",
      passphrase: "pass"
    }) as string
    assert.include(text, "Proc-Type: 4,ENCRYPTED")
    return refused(PrivateKey.fromPem(text, { passphrase: Redacted.make("pass") }), "pem", /openssl pkcs8 -topk8/)
  })

  it.effect("tells a missing passphrase from one that is not needed", () =>
    Effect.gen(function* () {
      const { privateKey } = nodeKey("Ed25519")
      const plain = privateKey.export({ format: "pem", type: "pkcs8" }) as string
      const encrypted = privateKey.export({
        format: "pem",
        type: "pkcs8",
        cipher: "aes-256-cbc",
        passphrase: "pass"
      }) as string
      yield* refused(PrivateKey.fromPem(encrypted), "passphrase", /a passphrase is needed/)
      yield* refused(PrivateKey.fromPem(plain, { passphrase: Redacted.make("pass") }), "passphrase", /not encrypted/)
      yield* refused(PrivateKey.fromPem(encrypted, { passphrase: Redacted.make("") }), "passphrase", /empty/)
      yield* refused(PrivateKey.fromPem(encrypted, { passphrase: Redacted.make("wrong") }), "passphrase", /it is wrong/)
    })
  )

  it.effect("reads each block under its own label only", () =>
    Effect.gen(function* () {
      const { pkcs8, privateKey } = nodeKey("P-256")
      const sec1 = privateKey.export({ format: "der", type: "sec1" })
      yield* refused(PrivateKey.fromPem(pem("PRIVATE KEY", sec1)), "pkcs8", /ASN.1 type/)
      yield* refused(PrivateKey.fromPem(pem("EC PRIVATE KEY", pkcs8)), "sec1", /version|ASN.1 type/)
      yield* refused(PrivateKey.fromPem(pem("RSA PRIVATE KEY", pkcs8)), "pkcs1", /ASN.1 type/)
    })
  )

  it.effect("refuses what is no text", () =>
    Effect.gen(function* () {
      yield* refused(PrivateKey.fromPem(undefined as never), "pem", /expected text/)
      yield* refused(PrivateKey.fromPem(Redacted.make(1) as never), "pem", /expected text/)
    })
  )
})

describe("fromRaw and fromHex", () => {
  it.effect.each(nodeKeys.filter(({ type }) => type !== "RSA"))("read the secret of $type", ({ pkcs8, type }) =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromPkcs8(pkcs8)
      const secret = new Uint8Array(PrivateKeySecret.secretBytes(key))
      const hex = Buffer.from(secret).toString("hex")
      for (const again of [
        yield* PrivateKey.fromRaw(type, secret),
        yield* PrivateKey.fromRaw(type, Redacted.make(secret)),
        yield* PrivateKey.fromHex(type, hex),
        yield* PrivateKey.fromHex(type, Redacted.make(hex.toUpperCase()))
      ]) {
        assert.isTrue(Equal.equals(again.publicKey, key.publicKey))
        assert.deepStrictEqual(PrivateKeySecret.secretBytes(again), secret)
      }
    })
  )

  it.effect("read an Ed25519 seed with its public key", () =>
    Effect.gen(function* () {
      const both = new Uint8Array(concat([seed, edPublic]))
      const key = yield* PrivateKey.fromRaw("Ed25519", both)
      assert.deepStrictEqual(PrivateKeySecret.secretBytes(key), seed)
      yield* refused(
        PrivateKey.fromRaw("Ed25519", both.with(63, both[63]! ^ 1)),
        "raw",
        /second 32 bytes does not belong/
      )
      yield* refused(
        PrivateKey.fromRaw("Ed25519", both.with(0, both[0]! ^ 1)),
        "raw",
        /second 32 bytes does not belong/
      )
    })
  )

  it.effect.each(curves)("refuse scalars of %s that are zero, the order or too long", (curve) =>
    Effect.gen(function* () {
      const length = coordinateLength[curve]
      yield* refused(PrivateKey.fromRaw(curve, new Uint8Array(length)), "raw", /not a private key/)
      yield* refused(PrivateKey.fromRaw(curve, new Uint8Array(length).fill(0xff)), "raw", /not a private key/)
      yield* refused(PrivateKey.fromRaw(curve, new Uint8Array(length + 1)), "raw", new RegExp(`have ${length}$`))
      yield* refused(PrivateKey.fromRaw(curve, new Uint8Array(length - 1)), "raw", new RegExp(`have ${length}$`))
    })
  )

  it.effect("refuse other input", () =>
    Effect.gen(function* () {
      yield* refused(
        PrivateKey.fromRaw("Ed25519", new Uint8Array(33)),
        "raw",
        /33 bytes; Ed25519 private keys have 32 or 64/
      )
      yield* refused(PrivateKey.fromRaw("RSA", new Uint8Array(33)), "type", /fromPkcs1/)
      yield* refused(PrivateKey.fromRaw("Ed448" as never, new Uint8Array(57)), "type", /one of Ed25519/)
      yield* refused(PrivateKey.fromHex("Ed25519", "zz"), "hex", /not hex/)
      yield* refused(PrivateKey.fromHex("Ed25519", `0x${"00".repeat(32)}`), "hex", /no 0x/)
      yield* refused(PrivateKey.fromRaw("P-256", scalar, { algorithm: "ES384" }), "algorithm", /they can do ES256$/)
    })
  )

  it.effect("state an algorithm", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromRaw("secp256k1", new Uint8Array(32).fill(1), { algorithm: "BIP340" })
      assert.strictEqual(key.algorithm, "BIP340")
      assert.strictEqual(key.publicKey.algorithm, "BIP340")
    })
  )
})
