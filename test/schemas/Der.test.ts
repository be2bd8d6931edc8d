import { assert, describe, it } from "@effect/vitest"
import * as Der from "../../src/schemas/Der.ts"
import { Malformed } from "../../src/schemas/Malformed.ts"
import { bytes, tlv } from "./keys.ts"

const read = <A>(hex: string, f: (reader: Der.Reader) => A) => Der.decode(bytes(hex), "der", f)

const refuses = (f: () => unknown, problem: RegExp) => {
  try {
    f()
  } catch (error) {
    assert.instanceOf(error, Malformed)
    return assert.match(error.problem, problem)
  }
  assert.fail("was not refused")
}

describe("Reader", () => {
  it.each([
    ["02 01 00", "00"],
    ["02 01 7f", "7f"],
    ["02 02 00 80", "80"],
    ["02 03 01 00 01", "010001"]
  ])("reads the integer %s", (der, magnitude) => {
    assert.deepStrictEqual(
      read(der, (reader) => reader.integer("n")),
      bytes(magnitude)
    )
  })

  it.each([
    ["02 00", /empty/],
    ["02 01 80", /negative/],
    ["02 02 ff 7f", /negative/],
    ["02 02 00 7f", /more bytes than needed/],
    ["02 02 00 00", /more bytes than needed/],
    ["02 03 00 00 80", /more bytes than needed/],
    ["02 81 01 05", /more bytes than needed/],
    ["02 82 00 01 05", /more bytes than needed/],
    ["02 80 05 00 00", /indefinite/],
    ["02 84 00 00 00 01 05", /length of 4 bytes/],
    ["02 ff 05", /length of 127 bytes/],
    ["02 02 05", /longer than/],
    ["02 81", /cut off/],
    ["02", /cut off/],
    ["", /missing/],
    ["03 01 05", /another ASN.1 type/],
    ["22 03 02 01 05", /another ASN.1 type/], // a constructed integer
    ["1f 02 01 05", /another ASN.1 type/], // a tag number of several bytes
    ["02 01 05 00", /bytes after the end/]
  ])("refuses the integer %s", (der, problem) => {
    refuses(() => read(der, (reader) => reader.integer("n")), problem)
  })

  it("reads small numbers, and calls large ones infinite", () => {
    assert.strictEqual(
      read("02 03 01 00 01", (reader) => reader.number("n")),
      65537
    )
    assert.strictEqual(
      read("02 06 7f ff ff ff ff ff", (reader) => reader.number("n")),
      0x7fffffffffff
    )
    assert.strictEqual(
      read("02 07 01 00 00 00 00 00 00", (reader) => reader.number("n")),
      Infinity
    )
  })

  it.each([
    ["03 01 00", ""],
    ["03 02 00 ff", "ff"]
  ])("reads the bit string %s", (der, content) => {
    assert.deepStrictEqual(
      read(der, (reader) => reader.bitString("bits")),
      bytes(content)
    )
  })

  it.each(["03 00", "03 02 01 fe", "03 02 08 ff", "23 04 03 02 00 ff"])("refuses the bit string %s", (der) => {
    refuses(() => read(der, (reader) => reader.bitString("bits")), /bit string|another ASN.1 type/)
  })

  it("refuses NULL with content", () => {
    read("05 00", (reader) => reader.null("nothing"))
    refuses(() => read("05 01 00", (reader) => reader.null("nothing")), /not NULL/)
    refuses(() => read("05 81 00", (reader) => reader.null("nothing")), /more bytes than needed/)
  })

  it("refuses bytes after the end of an inner sequence", () => {
    const inner = (reader: Der.Reader) => reader.sequence("it", (sequence) => sequence.integer("n"))
    assert.deepStrictEqual(read("30 03 02 01 05", inner), bytes("05"))
    refuses(() => read("30 05 02 01 05 05 00", inner), /bytes after the end/)
    refuses(() => read("30 03 02 01 05 00", inner), /bytes after the end/)
    refuses(() => read("30 03 02 02 05", inner), /longer than/)
  })

  it("refuses input above the limit", () => {
    refuses(() => Der.decode(new Uint8Array(65_537), "der", () => 0), /longer than 65536/)
  })
})

describe("the writer", () => {
  it.each([0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff])("writes %d bytes of content with the shortest length", (length) => {
    const content = new Uint8Array(length).fill(7)
    const der = Der.octetString(content)
    if (length < 0x10000) assert.deepStrictEqual(der, tlv(0x04, content))
    if (length < 65_000)
      assert.deepStrictEqual(
        Der.decode(der, "der", (reader) => reader.octetString("it")),
        content
      )
  })

  it("writes a length of three bytes", () => {
    const der = Der.octetString(new Uint8Array(0x10000))
    assert.deepStrictEqual(der.subarray(0, 5), bytes("04 83 01 00 00"))
    assert.lengthOf(der, 0x10005)
  })

  it.each([
    ["", "02 01 00"],
    ["00", "02 01 00"],
    ["00 00 7f", "02 01 7f"],
    ["80", "02 02 00 80"],
    ["00 80", "02 02 00 80"]
  ])("writes the integer %s as %s", (magnitude, der) => {
    assert.deepStrictEqual(Der.integer(bytes(magnitude)), bytes(der))
  })

  it.each([
    [0, "02 01 00"],
    [127, "02 01 7f"],
    [128, "02 02 00 80"],
    [600_000, "02 03 09 27 c0"]
  ] as const)("writes the number %d", (value, der) => {
    assert.deepStrictEqual(Der.number(value), bytes(der))
  })
})
