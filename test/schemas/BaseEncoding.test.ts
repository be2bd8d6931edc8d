import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { fromBase64, fromBase64Url, fromHex } from "../../src/schemas/BaseEncoding.ts"

describe("fromBase64", () => {
  it.prop("reads what node writes", { bytes: Schema.Uint8Array }, ({ bytes }) => {
    assert.deepStrictEqual(fromBase64(Buffer.from(bytes).toString("base64")), bytes)
  })

  it.each([
    ["without padding", "Zg"],
    ["with too much padding", "Zg==="],
    ["with padding alone", "===="],
    ["with padding inside", "Zg==Zg=="],
    ["with a non-zero trailing bit", "Zh=="],
    ["with a space", "Zm 9v"],
    ["with a line end", "Zm9v\n"],
    ["with a line end inside", "Zm\n9v"],
    ["in the other alphabet", "_-8="],
    ["with a character that is no base64", "Zm9*"],
    ["with a character beyond Latin-1", "Zm9\u{1f600}"],
    ["with a NUL", "Zm9\0"]
  ])("refuses text %s", (_, text) => {
    assert.isUndefined(fromBase64(text))
    assert.isAbove(Buffer.from(text, "base64").length, -1) // node reads anything
  })
})

describe("fromBase64Url", () => {
  it.prop("reads what node writes", { bytes: Schema.Uint8Array }, ({ bytes }) => {
    assert.deepStrictEqual(fromBase64Url(Buffer.from(bytes).toString("base64url")), bytes)
  })

  it.each([
    ["with padding", "Zg=="],
    ["of an impossible length", "Z"],
    ["with a non-zero trailing bit", "Zh"],
    ["with two non-zero trailing bits", "Zm-"],
    ["with a space", "Zm 9v"],
    ["with a line end", "Zm9v\n"],
    ["in the other alphabet", "+/8"]
  ])("refuses text %s", (_, text) => {
    assert.isUndefined(fromBase64Url(text))
  })
})

describe("fromHex", () => {
  it.prop("reads what node writes, in either case", { bytes: Schema.Uint8Array }, ({ bytes }) => {
    const hex = Buffer.from(bytes).toString("hex")
    assert.deepStrictEqual(fromHex(hex), bytes)
    assert.deepStrictEqual(fromHex(hex.toUpperCase()), bytes)
  })

  it.each(["0", "0x00", "0g", " 00", "00 ", "00:11", "\u0660\u0660", "\uff10\uff10"])("refuses %j", (text) => {
    assert.isUndefined(fromHex(text))
  })
})
