import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as crypto from "node:crypto"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import { bytes, coordinateLength, curves, nodeKey, nodeKeys, pem, tlv } from "./keys.ts"
import { refused } from "./refused.ts"

const { concat } = Buffer

/** What node makes of an SPKI: the export of what it read, or nothing. */
const node = (spki: Uint8Array): Buffer | undefined => {
  try {
    return crypto
      .createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" })
      .export({ format: "der", type: "spki" })
  } catch {
    return undefined
  }
}

const bitString = (content: Uint8Array, unused = 0) => tlv(0x03, Uint8Array.of(unused), content)
const ecPublicKey = bytes("06 07 2a 86 48 ce 3d 02 01")
const p256 = bytes("06 08 2a 86 48 ce 3d 03 01 07")
const rsaEncryption = bytes("06 09 2a 86 48 86 f7 0d 01 01 01")
const nothing = bytes("05 00")

const spkiOf = (algorithm: Uint8Array, key: Uint8Array) => tlv(0x30, algorithm, bitString(key))

const point = new Uint8Array(nodeKey("P-256").spki.subarray(-65))
const compressed = crypto.ECDH.convertKey(point, "prime256v1", undefined, undefined, "compressed") as Buffer
const hybrid = crypto.ECDH.convertKey(point, "prime256v1", undefined, undefined, "hybrid") as Buffer
const ed25519 = new Uint8Array(nodeKey("Ed25519").spki.subarray(-32))
const jwk = (type: Parameters<typeof nodeKey>[0]) =>
  nodeKey(type).publicKey.export({ format: "jwk" }) as Record<string, string>

/** RSAPublicKey of any numbers. */
const integer = (magnitude: Uint8Array) =>
  tlv(0x02, magnitude[0]! >= 0x80 ? concat([Buffer.of(0), magnitude]) : magnitude)
const n = new Uint8Array(Buffer.from(jwk("RSA").n!, "base64url"))
const pkcs1 = (modulus: Uint8Array, e: Uint8Array) => tlv(0x30, integer(modulus), integer(e))
const rsa = (modulus: Uint8Array, e: string) => spkiOf(tlv(0x30, rsaEncryption, nothing), pkcs1(modulus, bytes(e)))
const modulusOf = (bits: number, end = 0x01) => {
  const modulus = new Uint8Array(Math.ceil(bits / 8)).fill(0xa5)
  modulus[0] = 1 << ((bits - 1) % 8)
  modulus[modulus.length - 1] = end
  return modulus
}

/** P-256 as explicit parameters (RFC 3279 section 2.3.5), which RFC 5480 forbids. */
const explicitParameters = tlv(
  0x30,
  bytes("02 01 01"),
  tlv(
    0x30,
    bytes("06 07 2a 86 48 ce 3d 01 01"),
    tlv(0x02, bytes("00 ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"))
  ),
  tlv(
    0x30,
    tlv(0x04, bytes("ffffffff00000001000000000000000000000000fffffffffffffffffffffffc")),
    tlv(0x04, bytes("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b"))
  ),
  tlv(
    0x04,
    bytes(
      "04 6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296" +
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    )
  ),
  tlv(0x02, bytes("00 ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")),
  bytes("02 01 01")
)

describe("fromSpki", () => {
  it.effect.each(nodeKeys)("reads $type", ({ publicKey, spki, type }) =>
    Effect.gen(function* () {
      const key = yield* PublicKey.fromSpki(spki)
      assert.strictEqual(key.type, type)
      assert.isUndefined(key.algorithm)
      assert.deepStrictEqual(PublicKey.toSpki(key), new Uint8Array(spki))
      assert.isTrue(crypto.createPublicKey(PublicKey.toPem(key)).equals(publicKey))
    })
  )

  it.effect("reads a compressed point as the same key", () =>
    Effect.gen(function* () {
      const key = yield* PublicKey.fromSpki(spkiOf(tlv(0x30, ecPublicKey, p256), compressed))
      assert.deepStrictEqual(key.bytes, point)
    })
  )

  it.effect.each([2048, 2049, 3072, 16384])("reads an RSA modulus of %d bits", (bits) =>
    Effect.gen(function* () {
      const spki = rsa(modulusOf(bits), "010001")
      assert.deepStrictEqual(PublicKey.toSpki(yield* PublicKey.fromSpki(spki)), spki)
    })
  )

  const ed = (algorithm: string, key: Uint8Array) => spkiOf(bytes(algorithm), key)
  const spki = new Uint8Array(nodeKey("P-256").spki)

  it.effect.each([
    // DER
    ["bytes after the end", concat([spki, Buffer.of(0)]), /after the end/, true],
    ["bytes after the key", tlv(0x30, tlv(0x30, ecPublicKey, p256), bitString(point), nothing), /after the end/, false],
    [
      "a length in too many bytes",
      concat([Buffer.of(0x30, 0x81, spki.length - 2), spki.subarray(2)]),
      /more bytes than needed/,
      true
    ],
    ["an indefinite length", concat([Buffer.of(0x30, 0x80), spki.subarray(2), Buffer.of(0, 0)]), /indefinite/, true],
    ["a length that is too long", concat([Buffer.of(0x30, spki.length - 1), spki.subarray(2)]), /longer than/, false],
    ["unused bits", tlv(0x30, tlv(0x30, ecPublicKey, p256), bitString(point, 1)), /whole bytes/, false],
    [
      "an octet string for the bit string",
      tlv(0x30, tlv(0x30, ecPublicKey, p256), tlv(0x04, point)),
      /another ASN.1 type/,
      false
    ],
    ["nothing", new Uint8Array(0), /missing/, false],
    ["a PKCS#8 private key", nodeKey("P-256").pkcs8, /another ASN.1 type/, false],
    ["a PKCS#1 key", pkcs1(n, bytes("010001")), /another ASN.1 type/, false],
    // algorithm identifiers
    [
      "Ed25519 with NULL parameters",
      ed("30 07 06 03 2b 65 70 05 00", ed25519),
      /parameters are not those of Ed25519/,
      false
    ],
    [
      "RSA without parameters",
      spkiOf(tlv(0x30, rsaEncryption), pkcs1(n, bytes("010001"))),
      /parameters are not those of RSA/,
      true
    ],
    [
      "the curve as explicit parameters",
      spkiOf(tlv(0x30, ecPublicKey, explicitParameters), point),
      /explicit parameters/,
      true
    ],
    ["EC without a curve", spkiOf(tlv(0x30, ecPublicKey), point), /parameters are not those of P-256/, false],
    ["EC with NULL for the curve", spkiOf(tlv(0x30, ecPublicKey, nothing), point), /not named/, false],
    ["an unknown curve", spkiOf(tlv(0x30, ecPublicKey, bytes("06 03 2a 03 04")), point), /an unknown curve/, false],
    ["bytes after the parameters", spkiOf(tlv(0x30, ecPublicKey, p256, nothing), point), /after the end/, false],
    ["an unknown algorithm", ed("30 05 06 03 2a 03 04", ed25519), /unknown algorithm.*supported are Ed25519/, false],
    ["P-224", spkiOf(tlv(0x30, ecPublicKey, bytes("06 05 2b 81 04 00 21")), point.subarray(0, 57)), /P-224/, false],
    // keys
    [
      "Ed25519 of 31 bytes",
      ed("30 05 06 03 2b 65 70", ed25519.subarray(1)),
      /31 bytes; Ed25519 public keys have 32/,
      false
    ],
    ["Ed25519 of 33 bytes", ed("30 05 06 03 2b 65 70", concat([ed25519, Buffer.of(0)])), /33 bytes/, false],
    ["a hybrid point", spkiOf(tlv(0x30, ecPublicKey, p256), hybrid), /starts with 02 or 03/, true],
    ["the point at infinity", spkiOf(tlv(0x30, ecPublicKey, p256), Uint8Array.of(0)), /starts with 02 or 03/, false],
    [
      "a point without its first byte",
      spkiOf(tlv(0x30, ecPublicKey, p256), point.subarray(1)),
      /a point of 33 bytes/,
      false
    ],
    [
      "a point off the curve",
      spkiOf(tlv(0x30, ecPublicKey, p256), point.with(64, point[64]! ^ 1)),
      /not a point/,
      false
    ],
    [
      "an x that is on no point",
      spkiOf(tlv(0x30, ecPublicKey, p256), bytes(`02${"ff".repeat(32)}`)),
      /not a point/,
      false
    ],
    [
      "a point of another curve",
      spkiOf(tlv(0x30, ecPublicKey, bytes("06 05 2b 81 04 00 0a")), point),
      /not a point/,
      false
    ],
    ["RSA of 512 bits", rsa(modulusOf(512), "010001"), /512 bits/, true],
    ["RSA of 1024 bits", rsa(modulusOf(1024), "010001"), /1024 bits/, true],
    ["RSA of 2047 bits", rsa(modulusOf(2047), "010001"), /2047 bits/, true],
    ["RSA of 16385 bits", rsa(modulusOf(16385), "010001"), /16385 bits/, false],
    ["an even modulus", rsa(modulusOf(2048, 0x02), "010001"), /modulus is even/, true],
    ["e = 0", rsa(n, "00"), /exponent/, false],
    ["e = 1", rsa(n, "01"), /exponent/, false],
    ["e = 3", rsa(n, "03"), /exponent/, true],
    ["e = 65535", rsa(n, "ffff"), /exponent/, true],
    ["e = 65536", rsa(n, "010000"), /exponent/, true],
    ["e above 2^256", rsa(n, `01${"00".repeat(31)}01`), /exponent/, true],
    [
      "a negative modulus",
      spkiOf(tlv(0x30, rsaEncryption, nothing), tlv(0x30, tlv(0x02, n), integer(bytes("010001")))),
      /negative/,
      false
    ],
    [
      "a modulus with a leading zero too many",
      spkiOf(tlv(0x30, rsaEncryption, nothing), tlv(0x30, tlv(0x02, Buffer.of(0, 0), n), integer(bytes("010001")))),
      /more bytes than needed/,
      false
    ],
    [
      "bytes after the RSA key",
      spkiOf(tlv(0x30, rsaEncryption, nothing), concat([pkcs1(n, bytes("010001")), nothing])),
      /after the end/,
      false
    ]
  ] as ReadonlyArray<readonly [string, Uint8Array, RegExp, boolean]>)(
    "refuses %s",
    ([, der, problem, isReadByNode]) => {
      if (isReadByNode) assert.isDefined(node(der))
      return refused(PublicKey.fromSpki(der), "spki", problem)
    }
  )

  it.effect("names keys that it does not support", () =>
    Effect.gen(function* () {
      for (const [type, options, problem] of [
        ["x25519", {}, /X25519/],
        ["x448", {}, /X448/],
        ["ed448", {}, /Ed448/],
        ["dsa", { modulusLength: 1024, divisorLength: 160 }, /DSA/],
        ["dh", { group: "modp14" }, /Diffie-Hellman/],
        ["rsa-pss", { modulusLength: 2048 }, /RSASSA-PSS.*PS256/],
        ["ec", { namedCurve: "brainpoolP256r1" }, /brainpoolP256r1/]
      ] as const) {
        const { publicKey } = crypto.generateKeyPairSync(type as "x25519", options)
        yield* refused(PublicKey.fromSpki(publicKey.export({ format: "der", type: "spki" })), "spki", problem)
      }
    })
  )

  it.effect("refuses what is no bytes, or too many", () =>
    Effect.gen(function* () {
      yield* refused(PublicKey.fromSpki("30" as never), "spki", /Uint8Array/)
      yield* refused(PublicKey.fromSpki(undefined as never), "spki", /Uint8Array/)
      yield* refused(PublicKey.fromSpki(new Uint8Array(65_537)), "spki", /longer than 65536/)
    })
  )

  it.effect("parses its own copy", () =>
    Effect.gen(function* () {
      const input = new Uint8Array(nodeKey("Ed25519").spki)
      const key = yield* PublicKey.fromSpki(input)
      input.fill(0)
      assert.deepStrictEqual(key.bytes, ed25519)
    })
  )
})

describe("fromPem", () => {
  it.effect.each(nodeKeys)("reads $type", ({ publicKey, spki }) =>
    Effect.gen(function* () {
      const key = yield* PublicKey.fromPem(publicKey.export({ format: "pem", type: "spki" }) as string)
      assert.deepStrictEqual(PublicKey.toSpki(key), new Uint8Array(spki))
    })
  )

  it.effect("reads RSA PUBLIC KEY under its own label only", () =>
    Effect.gen(function* () {
      const { publicKey, spki } = nodeKey("RSA")
      const text = publicKey.export({ format: "pem", type: "pkcs1" }) as string
      const key = yield* PublicKey.fromPem(text)
      assert.deepStrictEqual(PublicKey.toSpki(key), new Uint8Array(spki))
      yield* refused(PublicKey.fromPem(text.replaceAll("RSA PUBLIC KEY", "PUBLIC KEY")), "spki", /another ASN.1 type/)
      yield* refused(PublicKey.fromPem(pem("RSA PUBLIC KEY", spki)), "pkcs1", /another ASN.1 type/)
    })
  )

  it.effect("refuses a private key, which node takes for a public one", () =>
    Effect.gen(function* () {
      const { privateKey, publicKey } = nodeKey("P-256")
      for (const type of ["pkcs8", "sec1"] as const) {
        const text = privateKey.export({ format: "pem", type }) as string
        assert.isTrue(crypto.createPublicKey(text).equals(publicKey))
        yield* refused(PublicKey.fromPem(text), "pem", /private key where a public key is needed/)
      }
      const rsa = nodeKey("RSA").privateKey.export({ format: "pem", type: "pkcs1" }) as string
      yield* refused(PublicKey.fromPem(rsa), "pem", /private key where a public key is needed/)
      yield* refused(PublicKey.fromPem(pem("OPENSSH PRIVATE KEY", point)), "pem", /ssh-keygen -y/)
    })
  )

  it.effect("says what to do with a certificate", () =>
    refused(PublicKey.fromPem(pem("CERTIFICATE", point)), "pem", /openssl x509 -pubkey/)
  )
})

describe("fromPkcs1", () => {
  it.effect("reads an RSAPublicKey, and nothing else", () =>
    Effect.gen(function* () {
      const { publicKey, spki } = nodeKey("RSA")
      const der = publicKey.export({ format: "der", type: "pkcs1" })
      const key = yield* PublicKey.fromPkcs1(der, { algorithm: "PS384" })
      assert.strictEqual(key.algorithm, "PS384")
      assert.deepStrictEqual(key.bytes, new Uint8Array(der))
      yield* refused(PublicKey.fromPkcs1(spki), "pkcs1", /another ASN.1 type/)
      yield* refused(PublicKey.fromPkcs1(concat([der, Buffer.of(0)])), "pkcs1", /after the end/)
      yield* refused(PublicKey.fromPkcs1(der, { algorithm: "ES256" }), "algorithm", /RSA keys cannot.*PS256/)
    })
  )
})

describe("fromRaw and fromHex", () => {
  it.effect.each(nodeKeys)("read what toRaw and toHex write of $type", ({ spki, type }) =>
    Effect.gen(function* () {
      const key = yield* PublicKey.fromSpki(spki)
      assert.isTrue(Equal.equals(yield* PublicKey.fromRaw(type, PublicKey.toRaw(key)), key))
      assert.isTrue(Equal.equals(yield* PublicKey.fromHex(type, PublicKey.toHex(key)), key))
      assert.isTrue(Equal.equals(yield* PublicKey.fromHex(type, PublicKey.toHex(key).toUpperCase()), key))
    })
  )

  it.effect.each(curves)("read either form of a point of %s", (curve) =>
    Effect.gen(function* () {
      const uncompressed = new Uint8Array(nodeKey(curve).spki.subarray(-1 - 2 * coordinateLength[curve]))
      const key = yield* PublicKey.fromRaw(curve, uncompressed)
      assert.deepStrictEqual(key.bytes, uncompressed)
      const short = PublicKey.toCompressed(key)!
      assert.lengthOf(short, 1 + coordinateLength[curve])
      assert.isTrue(Equal.equals(yield* PublicKey.fromRaw(curve, short), key))
      yield* refused(PublicKey.fromRaw(curve, short.with(0, 0x05)), "raw", /starts with 02 or 03/)
      yield* refused(
        PublicKey.fromRaw(curve, uncompressed.with(0, 0x06 + (uncompressed.at(-1)! & 1))),
        "raw",
        /starts with/
      )
      yield* refused(PublicKey.fromRaw(curve, uncompressed.with(5, uncompressed[5]! ^ 1)), "raw", /not a point/)
    })
  )

  it.effect("lift a BIP340 key to even y", () =>
    Effect.gen(function* () {
      // BIP 340 test vector 0
      const x = "F9308A019258C31049344F85F89D5229B531C845836F99B08601F113BCE036F9"
      const key = yield* PublicKey.fromHex("BIP340", x)
      assert.strictEqual(key.type, "secp256k1")
      assert.strictEqual(key.algorithm, "BIP340")
      assert.strictEqual(key.bytes.at(-1)! & 1, 0)
      assert.strictEqual(PublicKey.toHex(key), x.toLowerCase())
      assert.isTrue(Equal.equals(yield* PublicKey.fromRaw("BIP340", bytes(x)), key))
      // test vectors 5 and 14: not on the curve, and at least p
      for (const bad of [
        "EEFDEA4CDB677750A420FEE807EACF21EB9898AE79B9768766E4FAA04A2D4A34",
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFC30"
      ]) {
        yield* refused(PublicKey.fromHex("BIP340", bad), "hex", /not a point/)
      }
      yield* refused(PublicKey.fromHex("BIP340", `02${x}`), "hex", /33 bytes; BIP340 public keys have 32/)
      yield* refused(PublicKey.fromHex("BIP340", x, { algorithm: "ES256K" }), "algorithm", /ES256K was asked for/)
    })
  )

  it.effect("refuse other input", () =>
    Effect.gen(function* () {
      yield* refused(PublicKey.fromRaw("Ed25519", new Uint8Array(31)), "raw", /31 bytes/)
      yield* refused(
        PublicKey.fromRaw("ML-DSA-65", new Uint8Array(1312)),
        "raw",
        /1312 bytes; ML-DSA-65 public keys have 1952/
      )
      yield* refused(PublicKey.fromRaw("RSA", nodeKey("P-256").spki), "spki", /not an RSA key/)
      yield* refused(PublicKey.fromRaw("Ed448" as never, new Uint8Array(57)), "type", /BIP340 or one of Ed25519/)
      yield* refused(PublicKey.fromRaw("toString" as never, new Uint8Array(57)), "type", /one of/)
      yield* refused(PublicKey.fromHex("Ed25519", `0x${"00".repeat(31)}`), "hex", /no 0x/)
      yield* refused(PublicKey.fromHex("Ed25519", undefined as never), "hex", /expected the hex/)
      yield* refused(PublicKey.fromRaw("Ed25519", ed25519, { algorithm: "ES256" }), "algorithm", /they can do Ed25519$/)
      yield* refused(
        PublicKey.fromRaw("Ed25519", ed25519, { algorithm: "HS256" as never }),
        "algorithm",
        /they can do Ed25519$/
      )
    })
  )
})
