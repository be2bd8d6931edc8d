import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as crypto from "node:crypto"
import * as PrivateKey from "../../src/schemas/PrivateKey.ts"
import * as PrivateKeySecret from "../../src/schemas/PrivateKeySecret.ts"
import { bytes, nodeKey, nodeKeys, pem, tlv } from "./keys.ts"
import { hasOpenssl, openssl } from "./openssl.ts"
import { refused } from "./refused.ts"

const passphrase = "correct horse \u00e4 \u{1f511}"
const { pkcs8, privateKey } = nodeKey("P-256")
const plain = privateKey.export({ format: "pem", type: "pkcs8" }) as string

const read = (key: string | Uint8Array, text = passphrase) =>
  typeof key === "string"
    ? PrivateKey.fromPem(key, { passphrase: Redacted.make(text) })
    : PrivateKey.fromPkcs8(key, { passphrase: Redacted.make(text) })

const isTheKey = (key: PrivateKey.PrivateKey) =>
  assert.deepStrictEqual(Redacted.value(PrivateKey.toPkcs8(key)), new Uint8Array(pkcs8))

// ---------------------------------------------------------------------------
// EncryptedPrivateKeyInfo of any parameters, by node:crypto
// ---------------------------------------------------------------------------

const oid = (hex: string) => tlv(0x06, bytes(hex))
const nothing = bytes("05 00")
const small = (value: number) => {
  const digits = value.toString(16)
  const hex = digits.length % 2 === 0 ? digits : `0${digits}`
  return tlv(0x02, bytes(hex >= "8" ? `00${hex}` : hex))
}

const salt = bytes("00 11 22 33 44 55 66 77")
const iv = bytes("000102030405060708090a0b0c0d0e0f")
const hmac = (last: string) => tlv(0x30, oid(`2a864886f70d02${last}`), nothing)
const aes256 = tlv(0x30, oid("60864801650304012a"), tlv(0x04, iv))
const pbkdf2 = (...parameters: ReadonlyArray<Uint8Array>) =>
  tlv(0x30, oid("2a864886f70d01050c"), tlv(0x30, ...parameters))
const scrypt = (...parameters: ReadonlyArray<Uint8Array>) =>
  tlv(0x30, oid("2b06010401da47040b"), tlv(0x30, ...parameters))
const pbes2 = (kdf: Uint8Array, cipher: Uint8Array, data: Uint8Array) =>
  tlv(0x30, tlv(0x30, oid("2a864886f70d01050d"), tlv(0x30, kdf, cipher)), tlv(0x04, data))

const encrypt = (key: Uint8Array, content: Uint8Array = pkcs8, algorithm = "aes-256-cbc") => {
  const cipher = crypto.createCipheriv(algorithm, key, iv)
  return new Uint8Array(Buffer.concat([cipher.update(content), cipher.final()]))
}
const derived = (iterations: number, hash: string, length = 32) =>
  crypto.pbkdf2Sync(passphrase, salt, iterations, length, hash)
const data = encrypt(derived(10, "sha256"))
const usual = pbkdf2(tlv(0x04, salt), small(10), hmac("09"))

describe("decrypt", () => {
  it.effect("reads what this file writes", () => Effect.map(read(pbes2(usual, aes256, data)), isTheKey))

  it.effect.each(["aes-128-cbc", "aes-192-cbc", "aes-256-cbc"])("reads %s as node writes it", (cipher) =>
    Effect.map(read(privateKey.export({ format: "pem", type: "pkcs8", cipher, passphrase }) as string), isTheKey)
  )

  it.effect.each(nodeKeys)("reads $type as node writes it", ({ privateKey, publicKey }) =>
    Effect.gen(function* () {
      const der = privateKey.export({ format: "der", type: "pkcs8", cipher: "aes-256-cbc", passphrase })
      const key = yield* read(der)
      const again = crypto.createPrivateKey(Redacted.value(PrivateKey.toPem(key)))
      assert.isTrue(crypto.createPublicKey(again).equals(publicKey))
    })
  )

  it.effect.each([
    ["07", "sha1"],
    ["09", "sha256"],
    ["0a", "sha384"],
    ["0b", "sha512"]
  ])("reads PRF %s", ([last, hash]) => {
    const prf = last === "07" ? [] : [hmac(last!)]
    return Effect.map(
      read(pbes2(pbkdf2(tlv(0x04, salt), small(1000), ...prf), aes256, encrypt(derived(1000, hash!)))),
      isTheKey
    )
  })

  it.effect("reads a stated key length", () =>
    Effect.map(read(pbes2(pbkdf2(tlv(0x04, salt), small(10), small(32), hmac("09")), aes256, data)), isTheKey)
  )

  it.effect.each([
    [2, 1, 1],
    [1024, 8, 1],
    [16384, 8, 1],
    [64, 4, 3]
  ])("reads scrypt with N = %d, r = %d, p = %d", ([N, r, p]) => {
    const key = crypto.scryptSync(passphrase, salt, 32, { N: N!, r: r!, p: p!, maxmem: 2 ** 28 })
    const kdf = scrypt(tlv(0x04, salt), small(N!), small(r!), small(p!))
    return Effect.map(read(pbes2(kdf, aes256, encrypt(key))), isTheKey)
  })

  it.effect("refuses a wrong passphrase, whatever padding it leaves", () =>
    Effect.gen(function* () {
      const der = pbes2(usual, aes256, data)
      // one in 256 wrong keys leaves valid padding
      for (let i = 0; i < 600; i++)
        yield* refused(read(der, `wrong ${i}`), "passphrase", /^it is wrong, or the encrypted key is damaged$/)
    })
  )

  it.effect("says what is wrong with a key inside", () => {
    const inner = privateKey.export({ format: "der", type: "sec1" })
    return refused(
      read(pbes2(usual, aes256, encrypt(derived(10, "sha256"), inner))),
      "pkcs8",
      /version must be 0 or 1|ASN.1 type/
    )
  })

  const cases: ReadonlyArray<readonly [string, Uint8Array, RegExp]> = [
    [
      "PBES1 with DES",
      tlv(0x30, tlv(0x30, oid("2a864886f70d010503"), tlv(0x30, tlv(0x04, salt), small(10))), tlv(0x04, data)),
      /PBES1 with MD5 and DES is not supported; convert/
    ],
    [
      "PKCS#12 with triple DES",
      tlv(0x30, tlv(0x30, oid("2a864886f70d010c0103"), tlv(0x30, tlv(0x04, salt), small(10))), tlv(0x04, data)),
      /PKCS#12 with triple DES is not supported/
    ],
    ["an unknown encryption", tlv(0x30, tlv(0x30, oid("2a0304")), tlv(0x04, data)), /of this kind is not supported/],
    [
      "triple DES",
      pbes2(usual, tlv(0x30, oid("2a864886f70d0307"), tlv(0x04, salt)), data),
      /triple DES in CBC mode is not supported/
    ],
    [
      "AES-GCM",
      pbes2(usual, tlv(0x30, oid("60864801650304012e"), tlv(0x30, tlv(0x04, salt))), data),
      /AES-256-GCM is not supported/
    ],
    ["an unknown key derivation", pbes2(tlv(0x30, oid("2a0304")), aes256, data), /key derivation of this kind/],
    [
      "HMAC-SHA-224",
      pbes2(pbkdf2(tlv(0x04, salt), small(10), hmac("08")), aes256, data),
      /HMAC-SHA-224 is not supported/
    ],
    [
      "the default PRF written out",
      pbes2(pbkdf2(tlv(0x04, salt), small(10), hmac("07")), aes256, data),
      /default PRF is written out/
    ],
    [
      "a PRF without NULL",
      pbes2(pbkdf2(tlv(0x04, salt), small(10), tlv(0x30, oid("2a864886f70d0209"))), aes256, data),
      /PRF's parameters is missing/
    ],
    ["no iterations", pbes2(pbkdf2(tlv(0x04, salt), small(0), hmac("09")), aes256, data), /1 to 10000000/],
    [
      "too many iterations",
      pbes2(pbkdf2(tlv(0x04, salt), small(10_000_001), hmac("09")), aes256, data),
      /1 to 10000000/
    ],
    [
      "far too many iterations",
      pbes2(pbkdf2(tlv(0x04, salt), tlv(0x02, bytes("7fffffffffffffffff")), hmac("09")), aes256, data),
      /1 to 10000000/
    ],
    [
      "a negative iteration count",
      pbes2(pbkdf2(tlv(0x04, salt), bytes("02 01 ff"), hmac("09")), aes256, data),
      /negative/
    ],
    [
      "a short salt",
      pbes2(pbkdf2(tlv(0x04, salt.subarray(1)), small(10), hmac("09")), aes256, data),
      /salt must have 8/
    ],
    [
      "another key length",
      pbes2(pbkdf2(tlv(0x04, salt), small(10), small(16), hmac("09")), aes256, data),
      /key length is not that of the cipher/
    ],
    [
      "a short IV",
      pbes2(usual, tlv(0x30, oid("60864801650304012a"), tlv(0x04, iv.subarray(1))), data),
      /must have 16 bytes/
    ],
    ["half a block", pbes2(usual, aes256, data.subarray(1)), /whole AES blocks/],
    ["no data", pbes2(usual, aes256, new Uint8Array(0)), /whole AES blocks/],
    [
      "scrypt with N no power of 2",
      pbes2(scrypt(tlv(0x04, salt), small(1000), small(8), small(1)), aes256, data),
      /power of 2/
    ],
    ["scrypt with N = 1", pbes2(scrypt(tlv(0x04, salt), small(1), small(8), small(1)), aes256, data), /power of 2/],
    ["scrypt with r = 0", pbes2(scrypt(tlv(0x04, salt), small(2), small(0), small(1)), aes256, data), /power of 2/],
    [
      "scrypt with too much memory",
      pbes2(scrypt(tlv(0x04, salt), small(2 ** 19), small(8), small(1)), aes256, data),
      /256 MiB/
    ],
    [
      "scrypt with too much work",
      pbes2(scrypt(tlv(0x04, salt), small(2 ** 14), small(8), small(17)), aes256, data),
      /256 MiB/
    ],
    [
      "scrypt with huge numbers",
      pbes2(scrypt(tlv(0x04, salt), tlv(0x02, bytes("0100000000000000")), small(8), small(1)), aes256, data),
      /256 MiB/
    ],
    [
      "bytes after the parameters",
      pbes2(pbkdf2(tlv(0x04, salt), small(10), hmac("09"), nothing), aes256, data),
      /after the end/
    ],
    ["bytes after the end", Buffer.concat([pbes2(usual, aes256, data), nothing]), /after the end/],
    ["a key that is not encrypted", pkcs8, /not encrypted, and a passphrase is given/]
  ]
  it.effect.each(cases)("refuses %s", ([, der, problem]) => refused(read(der), "pkcs8", problem))

  it.effect("refuses passphrases that are none", () =>
    Effect.gen(function* () {
      const der = pbes2(usual, aes256, data)
      yield* refused(read(der, ""), "passphrase", /empty/)
      yield* refused(read(der, "\ud800"), "passphrase", /Unicode/)
      yield* refused(read(der, "x".repeat(1025)), "passphrase", /1024/)
      yield* refused(PrivateKey.fromPkcs8(der, { passphrase: "plain text" as never }), "passphrase", /./)
      yield* refused(
        PrivateKey.fromPkcs8(der, { passphrase: Redacted.make(1) as never }),
        "passphrase",
        /expected text/
      )
    })
  )
})

describe("encrypt", () => {
  it.effect.each(nodeKeys)("writes $type so that node reads it", ({ pkcs8, publicKey }) =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromPkcs8(pkcs8)
      const text = Redacted.value(yield* PrivateKey.toEncryptedPem(key, Redacted.make(passphrase)))
      assert.match(text, /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/)
      assert.isTrue(crypto.createPublicKey(crypto.createPrivateKey({ key: text, passphrase })).equals(publicKey))
      const again = yield* read(text)
      assert.deepStrictEqual(PrivateKeySecret.secretBytes(again), PrivateKeySecret.secretBytes(key))
      assert.notStrictEqual(Redacted.value(yield* PrivateKey.toEncryptedPem(key, Redacted.make(passphrase))), text)
    })
  )

  it.effect("writes the parameters it promises", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromPkcs8(pkcs8)
      const text = Redacted.value(yield* PrivateKey.toEncryptedPem(key, Redacted.make(passphrase)))
      const hex = Buffer.from(text.split("\n").slice(1, -2).join(""), "base64").toString("hex")
      const expected = Buffer.from(
        pbkdf2(tlv(0x04, new Uint8Array(16).fill(0xee)), small(600_000), hmac("09"))
      ).toString("hex")
      assert.match(hex, new RegExp(expected.replace("ee".repeat(16), "[0-9a-f]{32}")))
      assert.include(hex, "60864801650304012a0410")
    })
  )

  it.effect("refuses an empty passphrase, and a wiped key", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromPkcs8(pkcs8)
      yield* refused(PrivateKey.toEncryptedPem(key, Redacted.make("")), "passphrase", /empty/)
      PrivateKey.wipe(key)
      yield* refused(PrivateKey.toEncryptedPem(key, Redacted.make("pass")), "key", /wiped/)
    })
  )
})

describe.skipIf(!hasOpenssl)("openssl (skipped where the program is not on the PATH)", () => {
  const pass = ["-passin", "pass:secret"]

  it.effect("opens what we write", () =>
    Effect.gen(function* () {
      const key = yield* PrivateKey.fromPkcs8(pkcs8)
      const text = Redacted.value(yield* PrivateKey.toEncryptedPem(key, Redacted.make("secret")))
      const opened = yield* Effect.promise(() => openssl(["pkey", ...pass], text))
      isTheKey(yield* PrivateKey.fromPem(opened.toString()))
    })
  )

  it.effect.each(
    ["hmacWithSHA1", "hmacWithSHA256", "hmacWithSHA384", "hmacWithSHA512"].flatMap((prf) =>
      ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc"].map((cipher) => [prf, cipher] as const)
    )
  )("writes PBKDF2 with %s and %s so that we open it", ([prf, cipher]) =>
    Effect.gen(function* () {
      const args = ["pkcs8", "-topk8", "-v2", cipher, "-v2prf", prf, "-passout", "pass:secret"]
      const text = yield* Effect.promise(() => openssl(args, plain))
      isTheKey(yield* read(text.toString(), "secret"))
    })
  )

  it.effect.each(["aes-128-cbc", "aes-192-cbc", "aes-256-cbc"])("writes scrypt and %s so that we open it", (cipher) =>
    Effect.gen(function* () {
      const args = ["pkcs8", "-topk8", "-v2", cipher, "-scrypt", "-passout", "pass:secret"]
      const text = yield* Effect.promise(() => openssl(args, plain))
      isTheKey(yield* read(text.toString(), "secret"))
    })
  )

  it.effect.each([
    [["-v2", "des3"], /triple DES/],
    [["-v1", "PBE-SHA1-3DES"], /PKCS#12 with triple DES/]
  ] as const)("writes %s, which we name and refuse", ([options, problem]) =>
    Effect.gen(function* () {
      const text = yield* Effect.promise(() =>
        openssl(["pkcs8", "-topk8", ...options, "-passout", "pass:secret"], plain)
      )
      yield* refused(read(text.toString(), "secret"), "pkcs8", problem)
    })
  )

  it.effect("makes legacy keys, which we refuse with advice that works", () =>
    Effect.gen(function* () {
      const legacy = yield* Effect.promise(() => openssl(["ec", "-aes256", "-passout", "pass:secret"], plain))
      yield* refused(read(legacy.toString(), "secret"), "pem", /openssl pkcs8 -topk8/)
      const converted = yield* Effect.promise(() =>
        openssl(["pkcs8", "-topk8", ...pass, "-passout", "pass:secret"], legacy)
      )
      isTheKey(yield* read(converted.toString(), "secret"))
    })
  )

  it.effect("reads its own PEM of a bare key under the right label", () =>
    Effect.gen(function* () {
      isTheKey(yield* PrivateKey.fromPem((yield* Effect.promise(() => openssl(["pkey"], plain))).toString()))
      yield* refused(PrivateKey.fromPem(pem("PUBLIC KEY", pkcs8)), "pem", /public key/)
    })
  )
})
