import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import * as SshWire from "../../src/schemas/SshWire.ts"
import { bytes, nodeKey, nodeKeys } from "./keys.ts"
import { refused } from "./refused.ts"

interface Vector {
  readonly type: string
  readonly line: string
  readonly fingerprint: string
  /** What `ssh-keygen -e -m PKCS8` writes; OpenSSH 9.2 has none for Ed25519. */
  readonly pem?: string
}

/** Made, fingerprinted and converted with ssh-keygen of OpenSSH 9.2. */
const vectors: ReadonlyArray<Vector> = [
  {
    type: "Ed25519",
    line: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGzOy9qZ5ntyQiCbl6e+JN9mRW1+h1u9LBTN+csxqmro user@host",
    fingerprint: "SHA256:q1JWcoA/aSFRvf+qy63Ss/W6Iew9DBZm6f496g3vPbc"
  },
  {
    type: "P-256",
    line:
      "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBNdauXXkZC0+Mw5P+JHJoq3dsgD2" +
      "TZaKenPyk9UvQQIClMNCJbX91nHNR67EdGWedQg9AXWn8/OMcg9re8QydS0= user@host",
    fingerprint: "SHA256:Cu+0rPFPSFW1DNRF/I7WUcks5UORry2UrxHz/zN9ifo",
    pem: `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE11q5deRkLT4zDk/4kcmird2yAPZN
lop6c/KT1S9BAgKUw0Iltf3Wcc1HrsR0ZZ51CD0Bdafz84xyD2t7xDJ1LQ==
-----END PUBLIC KEY-----
`
  },
  {
    type: "P-384",
    line:
      "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBKPL1Jl3D8g7L7cmzZlBa5PwbTNt" +
      "g8H1dPcuIHvmUG+5/jpzNV2U101eaLIBiHb5kVrIjnuaWvAinoODD9uuSJlV+vHpAq5ZO+iIOBwoTzSv3mqa1rMXMpHfOSfmV6Yt" +
      "2Q== user@host",
    fingerprint: "SHA256:fTNtsxUMPeVtmh1qB3tSie049ASVJsVO/ztp5RmJGlE",
    pem: `-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEo8vUmXcPyDsvtybNmUFrk/BtM22DwfV0
9y4ge+ZQb7n+OnM1XZTXTV5osgGIdvmRWsiOe5pa8CKeg4MP265ImVX68ekCrlk7
6Ig4HChPNK/eaprWsxcykd85J+ZXpi3Z
-----END PUBLIC KEY-----
`
  },
  {
    type: "P-521",
    line:
      "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAAzmsL3eZUJm9GIO5+uWeiJJYcO" +
      "b5nyGSqpfDBiOYvgkxRMk+ZHpcBUmJOXzUIPOcNeDk8XNahJ3JX9JmG6V0N8+gBTByhB1nfOXyybg4B55S0VSRq4MxRwT5ztZT+Q" +
      "vGaLxuh+mR7MN4D6r1XV3nI4dF/BrLiusHy+LyGKwUiPY+zh4A== user@host",
    fingerprint: "SHA256:NHevnb1w96Fy4/noEg9RJGkiH+2L7Zh/qjHQElmOWoI",
    pem: `-----BEGIN PUBLIC KEY-----
MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAM5rC93mVCZvRiDufrlnoiSWHDm+Z
8hkqqXwwYjmL4JMUTJPmR6XAVJiTl81CDznDXg5PFzWoSdyV/SZhuldDfPoAUwco
QdZ3zl8sm4OAeeUtFUkauDMUcE+c7WU/kLxmi8bofpkezDeA+q9V1d5yOHRfway4
rrB8vi8hisFIj2Ps4eA=
-----END PUBLIC KEY-----
`
  },
  {
    type: "RSA",
    line:
      "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC02Pyu7iQihfF0tuCUVV8imTnkizdEgV7G94g07w6WfEuIy/b+q6GdbyRM2DZL" +
      "OuR7WoRY5fOP7dxixZbXXJM3IZv6H6UaFEw3TK9YPkWj6HCdxqvxIualENdPb/f5ZrDn57MRRS7Ur/ufS1bI6ks/iR0/dagCiGNh" +
      "UEFiDXgoE9ChKV1HrHUkNOiKXaSLH4JugfndKZOZ8IABt9DmYlPVgao3StODHLnC4Ri+YQlGYOUgZDn1bDdwoMjJ99YmpdGjF3YE" +
      "J3zfj1AGNhQX3JC150aH08R25GXbvtleHfLd5vfUeLb9D1kmjKfOf2TuOS5IMuXt3SHKIEAWYzDAEenD user@host",
    fingerprint: "SHA256:oc5bhaULtcDgtmjuL3oOCi9vlFExUGlF17ZtljlTet8",
    pem: `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtNj8ru4kIoXxdLbglFVf
Ipk55Is3RIFexveINO8OlnxLiMv2/quhnW8kTNg2Szrke1qEWOXzj+3cYsWW11yT
NyGb+h+lGhRMN0yvWD5Fo+hwncar8SLmpRDXT2/3+Waw5+ezEUUu1K/7n0tWyOpL
P4kdP3WoAohjYVBBYg14KBPQoSldR6x1JDToil2kix+CboH53SmTmfCAAbfQ5mJT
1YGqN0rTgxy5wuEYvmEJRmDlIGQ59Ww3cKDIyffWJqXRoxd2BCd8349QBjYUF9yQ
tedGh9PEduRl277ZXh3y3eb31Hi2/Q9ZJoynzn9k7jkuSDLl7d0hyiBAFmMwwBHp
wwIDAQAB
-----END PUBLIC KEY-----
`
  }
]

const vector = (type: string) => vectors.find((vector) => vector.type === type)!
const ed = vector("Ed25519").line
const [name, blob] = ed.split(" ") as [string, string]
const inBase64 = (...parts: ReadonlyArray<Uint8Array>) => Buffer.concat(parts).toString("base64")

describe("OpenSSH lines", () => {
  it.effect.each(vectors)("of $type are read and written as ssh-keygen has them", ({ fingerprint, line, pem, type }) =>
    Effect.gen(function* () {
      const key = yield* PublicKey.fromOpenSsh(line)
      assert.strictEqual(key.type, type)
      assert.isUndefined(key.algorithm)
      assert.strictEqual(PublicKey.toOpenSsh(key, "user@host"), line)
      assert.strictEqual(PublicKey.toOpenSsh(key), line.replace(" user@host", ""))
      assert.strictEqual(PublicKey.sshFingerprint(key), fingerprint)
      if (pem !== undefined) assert.strictEqual(PublicKey.toPem(key), pem)
      for (const other of [
        line.replace(" user@host", ""),
        `${line}\n`,
        `${line}\r\n`,
        `${line} two  words`,
        `${line.replace("user@host", "")}`
      ]) {
        assert.isTrue(PublicKey.sameKey(yield* PublicKey.fromOpenSsh(other), key))
      }
    })
  )

  it.effect.each(nodeKeys)("of $type are written and read, or there are none", ({ spki, type }) =>
    Effect.gen(function* () {
      const key = yield* PublicKey.fromSpki(spki)
      const line = PublicKey.toOpenSsh(key)
      if (type === "secp256k1" || type.startsWith("ML-DSA")) {
        assert.isUndefined(line)
        assert.isUndefined(PublicKey.sshFingerprint(key))
      } else {
        assert.isTrue(PublicKey.sameKey(yield* PublicKey.fromOpenSsh(line!), key))
      }
    })
  )

  it.effect("take an algorithm", () =>
    Effect.gen(function* () {
      const key = yield* PublicKey.fromOpenSsh(vector("RSA").line, { algorithm: "RS512" })
      assert.strictEqual(key.algorithm, "RS512")
      yield* refused(PublicKey.fromOpenSsh(ed, { algorithm: "RS512" }), "algorithm", /Ed25519 keys cannot/)
    })
  )

  it.effect("are one line, whatever the comment", () =>
    Effect.gen(function* () {
      const key = yield* PublicKey.fromOpenSsh(ed)
      const line = PublicKey.toOpenSsh(key, `a\r\nssh-ed25519 AAAA b\u0000\u0085c`)
      assert.strictEqual(line, `${name} ${blob} a ssh-ed25519 AAAA b c`)
      yield* PublicKey.fromOpenSsh(line!)
    })
  )

  const { publicKey } = nodeKey("P-256")
  const point = new Uint8Array(publicKey.export({ format: "der", type: "spki" }).subarray(-65))
  const text = SshWire.string
  const n = new Uint8Array(Buffer.from(nodeKey("RSA").publicKey.export({ format: "jwk" }).n as string, "base64url"))
  const rsa = (e: Uint8Array, modulus: Uint8Array, ...rest: ReadonlyArray<Uint8Array>) =>
    `ssh-rsa ${inBase64(text("ssh-rsa"), text(e), text(modulus), ...rest)}`
  const positive = Uint8Array.of(0, ...n)
  const cases: ReadonlyArray<readonly [string, string, RegExp]> = [
    ["another name before the blob", ed.replace(name, "ssh-rsa"), /another key type/],
    ["an RSA signature name for the key", vector("RSA").line.replace("ssh-rsa", "rsa-sha2-256"), /another key type/],
    ["options before the name", `restrict ${ed}`, /expected one line|base64/],
    ["a command before the name", `command="true" ${ed}`, /expected one line/],
    ["two lines", `${ed}\n${ed}`, /expected one line/],
    ["two line ends", `${ed}\n\n`, /expected one line/],
    ["a space before it", ` ${ed}`, /expected one line/],
    ["a tab between the words", ed.replace(" ", "\t"), /expected one line/],
    ["two spaces between the words", ed.replace(" ", "  "), /expected one line/],
    ["the name alone", name, /expected one line/],
    ["base64 without its padding", vector("P-256").line.replace("=", ""), /padding/],
    ["base64 of nothing", `${name} AAAA`, /cut off/],
    ["a blob that is cut off", `${name} ${inBase64(Buffer.from(blob, "base64").subarray(0, -1))}`, /cut off/],
    ["bytes after the key", `${name} ${inBase64(Buffer.from(blob, "base64"), Buffer.of(0))}`, /after the end/],
    ["a huge length", `${name} ${inBase64(bytes("ffffffff"), new Uint8Array(60))}`, /cut off/],
    ["an Ed25519 key of 31 bytes", `${name} ${inBase64(text(name), text(new Uint8Array(31)))}`, /31 bytes/],
    [
      "a name with control characters",
      `${name} ${inBase64(text("ssh-\u0001"), text(new Uint8Array(32)))}`,
      /printable ASCII/
    ],
    ["a security key", `sk-ssh-ed25519@openssh.com ${inBase64(text("sk-ssh-ed25519@openssh.com"))}`, /security key/],
    [
      "a certificate",
      `ssh-ed25519-cert-v01@openssh.com ${inBase64(text("ssh-ed25519-cert-v01@openssh.com"))}`,
      /certificate/
    ],
    ["a DSA key", `ssh-dss ${inBase64(text("ssh-dss"))}`, /not supported; supported are ssh-ed25519/],
    ["a property of objects", `constructor ${inBase64(text("constructor"))}`, /not supported/],
    [
      "another curve in the blob",
      `ecdsa-sha2-nistp256 ${inBase64(text("ecdsa-sha2-nistp256"), text("nistp384"), text(point))}`,
      /curve is not that/
    ],
    [
      "a compressed point",
      `ecdsa-sha2-nistp256 ${inBase64(text("ecdsa-sha2-nistp256"), text("nistp256"), text(point.subarray(0, 33).with(0, 2)))}`,
      /uncompressed/
    ],
    [
      "a point off the curve",
      `ecdsa-sha2-nistp256 ${inBase64(text("ecdsa-sha2-nistp256"), text("nistp256"), text(point.with(64, point[64]! ^ 1)))}`,
      /not a point/
    ],
    ["a negative modulus", rsa(bytes("010001"), n), /negative/],
    ["a modulus with a zero too many", rsa(bytes("010001"), Uint8Array.of(0, ...positive)), /leading zero/],
    ["an exponent with a leading zero", rsa(bytes("00010001"), positive), /leading zero/],
    ["no exponent", rsa(bytes(""), positive), /exponent/],
    ["e = 3", rsa(bytes("03"), positive), /exponent/],
    ["e and n exchanged", rsa(positive, bytes("010001")), /17 bits/],
    ["bytes after the RSA key", rsa(bytes("010001"), positive, bytes("00")), /after the end/]
  ]
  it.effect.each(cases)("with %s are refused", ([, line, problem]) =>
    refused(PublicKey.fromOpenSsh(line), "ssh", problem)
  )

  it.effect("must be text", () =>
    Effect.gen(function* () {
      yield* refused(PublicKey.fromOpenSsh(undefined as never), "ssh", /expected one line/)
      yield* refused(PublicKey.fromOpenSsh(`${ed} ${"x".repeat(65_536)}`), "ssh", /expected one line/)
    })
  )
})

describe("the wire encoding (RFC 4251 section 5)", () => {
  it.each([
    ["", "00000000"],
    ["00", "00000000"],
    ["09a378f9b2e332a7", "0000000809a378f9b2e332a7"],
    ["80", "000000020080"],
    ["000080", "000000020080"]
  ])("writes the mpint %s as %s", (magnitude, wire) => {
    assert.deepStrictEqual(SshWire.mpint(bytes(magnitude)), bytes(wire))
    const read = SshWire.decode(bytes(wire), "ssh", (reader) => reader.mpint("n"))
    assert.strictEqual(Buffer.from(read).toString("hex"), magnitude.replace(/^(00)+/, ""))
  })

  it.each([0, 1, 255, 256, 0x7fffffff, 0x80000000, 0xffffffff])("writes and reads the uint32 %d", (value) => {
    assert.strictEqual(
      SshWire.decode(SshWire.uint32(value), "ssh", (reader) => reader.uint32("n")),
      value
    )
  })

  it("reads bytes, strings and text in order", () => {
    const wire = SshWire.concat(Uint8Array.of(7), SshWire.string("n\u00e4"), SshWire.string("abc"))
    SshWire.decode(wire, "ssh", (reader) => {
      assert.strictEqual(reader.byte("b"), 7)
      assert.strictEqual(new TextDecoder().decode(reader.string("s")), "n\u00e4")
      assert.isFalse(reader.isDone)
      assert.strictEqual(reader.text("t"), "abc")
      assert.isTrue(reader.isDone)
      assert.throws(() => reader.byte("b"), /cut off/)
    })
  })
})
