import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { BlockList, isIPv6 } from "node:net"
import * as PublicAddress from "../../src/schemas/PublicAddress.ts"

const { contains, parse, parseRange, refusalOf, special } = PublicAddress

const bytesOf = (text: string) => parse(text)?.bytes

/** IPv6 from eight groups. */
const textOf = (groups: ReadonlyArray<number>) => groups.map((group) => group.toString(16)).join(":")

/** The first and the last address of a range, and their neighbours outside. */
const edgesOf = (text: string) => {
  const { bytes, prefix } = parseRange(text)!
  const bits = BigInt(bytes.length * 8)
  const first = bytes.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n)
  const last = first | ((1n << (bits - BigInt(prefix))) - 1n)
  const shown = (number: bigint) => {
    const hex = number.toString(16).padStart(bytes.length * 2, "0")
    return bytes.length === 4
      ? hex
          .match(/../g)!
          .map((byte) => Number.parseInt(byte, 16))
          .join(".")
      : hex.match(/..../g)!.join(":")
  }
  const before = first === 0n ? [] : [shown(first - 1n)]
  const after = last === (1n << bits) - 1n ? [] : [shown(last + 1n)]
  return { inside: [shown(first), shown(last)], outside: [...before, ...after] }
}

describe("parse", () => {
  it.each([
    ["0.0.0.0", [0, 0, 0, 0]],
    ["255.255.255.255", [255, 255, 255, 255]],
    ["1.20.30.200", [1, 20, 30, 200]],
    ["::", Array.from({ length: 16 }, () => 0)],
    ["::1", [...Array.from({ length: 15 }, () => 0), 1]],
    ["1::", [0, 1, ...Array.from({ length: 14 }, () => 0)]],
    ["1:2:3:4:5:6:7:8", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
    ["1:2:3:4:5:6:7::", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 0]],
    ["::2:3:4:5:6:7:8", [0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8]],
    ["::ffff:1.2.3.4", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4]],
    ["1:2:3:4:5:6:1.2.3.4", [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 1, 2, 3, 4]],
    ["FE80::ABCD", [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xab, 0xcd]]
  ] as const)("reads %s", (text, bytes) => {
    assert.deepStrictEqual(bytesOf(text), [...bytes])
  })

  it.each(
    `127.1 127.0.1 2130706433 0x7f.0.0.1 0x7f000001 0177.0.0.1 127.0.0.01 00.0.0.0 256.0.0.1 1.2.3.4.5 1.2.3. .1.2.3
    1.2.3.4. 1..2.3 -1.0.0.0 1e1.0.0.0 １27.0.0.1 localhost [::1] ::1%lo fe80::1%eth0 fe80::1%25eth0 : ::: 1: :1 1:2
    1:2:3:4:5:6:7 1:2:3:4:5:6:7:8:9 1:2:3:4:5:6:7:8:: ::1:2:3:4:5:6:7:8 1:2:3:4::5:6:7:8 1::2::3 12345:: g:: ::1.2.3
    1.2.3.4:: ::1.2.3.4:5 1.2.3.4::5 1:2:3:4:5:6:7:1.2.3.4 ::ffff:127.1 ::ffff:0x7f.0.0.1 ::1/128 10.0.0.0/8`.split(
      /\s+/
    )
  )("takes %s for none", (text) => {
    assert.isUndefined(parse(text))
  })

  it("takes no text around an address", () => {
    for (const text of [
      "",
      " ",
      " 127.0.0.1",
      "127.0.0.1 ",
      "127.0.0.1\n",
      "127.0.0.1\0",
      "::1 ",
      "\t::1",
      "0".repeat(10_000)
    ]) {
      assert.isUndefined(parse(text))
    }
  })

  it.effect.prop(
    "agrees with node:net on text that looks like an address",
    {
      parts: Schema.Array(Schema.Literals(["", ":", "::", ".", "0", "1", "ff", "ffff", "127", "1.2.3.4", "256", "%1"]))
    },
    ({ parts }) =>
      Effect.sync(() => {
        const text = parts.join("")
        // A zone is part of an address to node:net
        assert.strictEqual(parse(text)?.bytes.length === 16, isIPv6(text) && !text.includes("%"), text)
      }),
    { arbitrary: { runs: 2000 } }
  )
})

describe("parseRange", () => {
  it.each([
    ["127.0.0.1", 32],
    ["::1", 128],
    ["10.0.0.0/8", 8],
    ["0.0.0.0/0", 0],
    ["100.64.0.0/10", 10],
    ["fc00::/7", 7],
    ["64:ff9b::/96", 96]
  ] as const)("reads %s", (text, prefix) => {
    assert.strictEqual(parseRange(text)?.prefix, prefix)
  })

  it.each([
    "10.0.0.1/8",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "10/8",
    "::1/64",
    "::/129",
    "fd00::/6",
    "a/8",
    "/8",
    "10.0.0.0/ 8",
    "10.0.0.0/0x8"
  ])("refuses %s", (text) => {
    assert.isUndefined(parseRange(text))
  })
})

describe("refusalOf", () => {
  it.each(special.map(([range, name]) => ({ range, name })))(
    "refuses $range, $name, from end to end",
    ({ name, range }) => {
      const { inside } = edgesOf(range)
      for (const address of inside) assert.match(refusalOf(address)!, /RFC|Azure/, address)
      // what is first said of its first address is its own name, or that of a smaller block in it
      const [first] = inside
      const names = special.filter(([other]) => contains(parseRange(other)!, parse(first!)!)).map(([, name]) => name)
      assert.include(names, name)
      assert.isTrue(refusalOf(first!)!.startsWith(names[0]!))
    }
  )

  it("takes the neighbours of what it refuses", () => {
    const taken = special
      .flatMap(([range]) => edgesOf(range).outside)
      .filter((address) => refusalOf(address) === undefined)
    const neighbours = `
      1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15
      168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.1.255 192.0.3.0
      192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0
      223.255.255.255 2001:0200:0000:0000:0000:0000:0000:0000 2003:0000:0000:0000:0000:0000:0000:0000`
    for (const address of neighbours.trim().split(/\s+/)) {
      assert.include(taken, address)
    }
  })

  it.each([
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450::1",
    "3ffe::1"
  ])("takes %s", (address) => {
    assert.isUndefined(refusalOf(address))
  })

  it.each(["1::", "4000::", "8000::1", "a000::1", "e000::1", "fe00::1", "0:1::", "100:0:0:2::", "64:ff9c::"])(
    "refuses %s, which is assigned to nobody",
    (address) => {
      assert.strictEqual(refusalOf(address), "not global unicast (RFC 4291 section 2.4)")
    }
  )

  it("says what is refused, and where that is written", () => {
    assert.strictEqual(refusalOf("127.0.0.1"), "loopback (RFC 1122 section 3.2.1.3)")
    assert.strictEqual(refusalOf("169.254.169.254"), "link-local, where clouds serve credentials (RFC 3927)")
    assert.strictEqual(refusalOf("255.255.255.255"), "limited broadcast (RFC 919 section 7)")
    assert.strictEqual(refusalOf("::ffff:8.8.8.8"), "IPv4-mapped (RFC 4291 section 2.5.5.2)")
    assert.strictEqual(refusalOf("2001::1"), "Teredo, with an IPv4 address inside (RFC 4380)")
    assert.strictEqual(refusalOf("localhost"), "not an IP address in its one form")
  })

  it("lets in what is allowed, and nothing beside it", () => {
    const allowed = ["127.0.0.1", "10.1.0.0/16", "fd00::/8"].map((text) => parseRange(text)!)
    for (const address of ["127.0.0.1", "10.1.0.0", "10.1.255.255", "fd12::1", "8.8.8.8"]) {
      assert.isUndefined(refusalOf(address, allowed), address)
    }
    for (const address of [
      "127.0.0.2",
      "10.0.255.255",
      "10.2.0.0",
      "fc00::1",
      "::ffff:127.0.0.1",
      "::127.0.0.1",
      "x"
    ]) {
      assert.isDefined(refusalOf(address, allowed), address)
    }
  })

  // node:net judges the same table by its own code; to one list IPv4 and IPv4-mapped are the same
  const blockLists = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const [range] of special) {
    const [address, prefix] = range.split("/")
    const family = address!.includes(":") ? "ipv6" : "ipv4"
    blockLists[family].addSubnet(address!, Number(prefix), family)
  }
  const byte = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
  const group = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff }))

  it.effect.prop(
    "agrees with a BlockList of node:net on IPv4",
    { bytes: Schema.Tuple([byte, byte, byte, byte]) },
    ({ bytes }) =>
      Effect.sync(() => {
        assert.strictEqual(refusalOf(bytes.join(".")) !== undefined, blockLists.ipv4.check(bytes.join("."), "ipv4"))
      }),
    { arbitrary: { runs: 2000 } }
  )

  it.effect.prop(
    "agrees with a BlockList of node:net on IPv6",
    { groups: Schema.Tuple([group, group, group, group, group, group, group, group]) },
    ({ groups: [first, ...rest] }) =>
      Effect.sync(() => {
        const starts = [first, 0, 0x64, 0x100, 0x2001, 0x2002, 0x2620, 0x3fff, 0x5f00, 0xfd00, 0xfe80, 0xff02]
        for (const start of starts) {
          const address = textOf([start, ...rest])
          const isElsewhere = start >> 13 !== 1
          const isBlocked = blockLists.ipv6.check(address, "ipv6")
          assert.strictEqual(refusalOf(address) !== undefined, isBlocked || isElsewhere, address)
        }
      }),
    { arbitrary: { runs: 500 } }
  )
})
