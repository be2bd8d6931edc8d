import { assert, describe, it } from "@effect/vitest"
import { Malformed } from "../../src/schemas/Malformed.ts"
import * as SshAgentFrame from "../../src/schemas/SshAgentFrame.ts"
import * as SshMessage from "../../src/schemas/SshMessage.ts"
import * as SshWire from "../../src/schemas/SshWire.ts"
import { seeded } from "../primitives/random.ts"

const blob = SshWire.concat(SshWire.string("ssh-ed25519"), SshWire.string(new Uint8Array(32).fill(7)))
const data = new TextEncoder().encode("data")

/** The frame without its length. */
const body = (frame: Uint8Array) => frame.subarray(4)

const hex = (text: string) => new Uint8Array(Buffer.from(text.replace(/\s/g, ""), "hex"))

describe("messages", () => {
  it("are those of RFC 9987 sections 5.4 and 5.6, byte for byte", () => {
    assert.deepStrictEqual(SshAgentFrame.requestIdentities, hex("00000001 0b"))
    assert.deepStrictEqual(SshAgentFrame.failure, hex("00000001 05"))
    assert.deepStrictEqual(
      SshAgentFrame.signRequest(hex("aabb"), hex("cc"), 4),
      hex("00000010 0d 00000002aabb 00000001cc 00000004")
    )
    assert.deepStrictEqual(SshAgentFrame.signResponse(hex("dd")), hex("00000006 0e 00000001dd"))
    assert.deepStrictEqual(
      SshAgentFrame.identitiesAnswer([{ blob: hex("aa"), comment: "me" }]),
      hex("00000010 0c 00000001 00000001aa 000000026d65")
    )
  })

  it("are read as they are written", () => {
    const sign = SshAgentFrame.decodeRequest(body(SshAgentFrame.signRequest(blob, data, 2)))
    assert.deepStrictEqual(sign, { _tag: "SignRequest", blob, data, flags: 2 })
    const identities = [
      { blob, comment: "me@host" },
      { blob: new Uint8Array(0), comment: "ü" }
    ]
    const list = SshAgentFrame.decodeAnswer(body(SshAgentFrame.identitiesAnswer(identities)))
    assert.deepStrictEqual(list, { _tag: "Identities", identities })
    assert.deepStrictEqual(SshAgentFrame.decodeAnswer(body(SshAgentFrame.failure)), { _tag: "Failure" })
  })

  it("leave exactly the room for data that they say", () => {
    const limit = SshAgentFrame.maxDataLength(blob)
    assert.strictEqual(SshAgentFrame.signRequest(blob, new Uint8Array(limit), 0).length, 4 + SshAgentFrame.maxLength)
  })

  it("with a number of keys that they do not hold allocate nothing", () => {
    assert.throws(() => SshAgentFrame.decodeAnswer(hex("0c ffffffff")), Malformed)
  })
})

describe("Frames", () => {
  const all = SshWire.concat(
    SshAgentFrame.signRequest(blob, data, 2),
    SshAgentFrame.requestIdentities,
    SshAgentFrame.failure
  )

  it("cuts a stream at any place", () => {
    for (let size = 1; size <= all.length; size++) {
      const frames = new SshAgentFrame.Frames()
      const read: Array<Uint8Array> = []
      for (let at = 0; at < all.length; at += size) {
        frames.push(all.subarray(at, at + size))
        for (let frame = frames.next(); frame !== undefined; frame = frames.next()) read.push(frame)
      }
      assert.deepStrictEqual(SshWire.concat(...read.map((frame) => SshAgentFrame.encode(frame))), all)
    }
  })

  it("cuts a frame that comes byte by byte", () => {
    const frame = SshAgentFrame.signRequest(blob, new Uint8Array(5000).fill(7), 0)
    const frames = new SshAgentFrame.Frames()
    for (const byte of frame.subarray(0, -1)) {
      frames.push(Uint8Array.of(byte))
      assert.isUndefined(frames.next())
    }
    frames.push(frame.subarray(-1))
    assert.deepStrictEqual(frames.next(), frame.subarray(4))
    assert.isUndefined(frames.next())
  })

  it("takes 256 KiB and not a byte more, before the bytes are there", () => {
    const frames = new SshAgentFrame.Frames()
    frames.push(SshWire.uint32(SshAgentFrame.maxLength))
    assert.isUndefined(frames.next())
    const longer = new SshAgentFrame.Frames()
    longer.push(SshWire.uint32(SshAgentFrame.maxLength + 1))
    assert.throws(() => longer.next(), Malformed)
    const none = new SshAgentFrame.Frames()
    none.push(new Uint8Array(4))
    assert.throws(() => none.next(), Malformed)
  })
})

describe("100,000 changed messages", () => {
  const seeds = [
    SshAgentFrame.signRequest(blob, data, 2),
    SshAgentFrame.requestIdentities,
    SshAgentFrame.failure,
    SshAgentFrame.signResponse(SshWire.concat(SshWire.string("ssh-ed25519"), SshWire.string(new Uint8Array(64)))),
    SshAgentFrame.identitiesAnswer([
      { blob, comment: "me@host" },
      { blob, comment: "" }
    ]),
    SshMessage.encodeSshsig("file", new Uint8Array(0), "sha512", new Uint8Array(64))
  ]

  it("are read or are Malformed, and nothing else", () => {
    const random = seeded(9987)
    let [read, refused] = [0, 0]
    for (let number = 0; number < 100_000; number++) {
      const seed = seeds[number % seeds.length]!
      let mutant = new Uint8Array(seed)
      for (let change = 0; change <= number % 3; change++) {
        const at = random.below(mutant.length + 1)
        const kind = random.below(4)
        mutant =
          kind === 0 && mutant.length > 0
            ? mutant.with(Math.min(at, mutant.length - 1), random.below(256))
            : kind === 1
              ? mutant.slice(0, at)
              : kind === 2
                ? new Uint8Array([...mutant.subarray(0, at), ...random.bytes(random.below(9)), ...mutant.subarray(at)])
                : new Uint8Array([...mutant.subarray(0, at), ...mutant.subarray(at + 1)])
      }
      for (const decode of [
        () => {
          const frames = new SshAgentFrame.Frames()
          frames.push(mutant)
          while (frames.next() !== undefined);
        },
        () => SshAgentFrame.decodeRequest(mutant.subarray(4)),
        () => SshAgentFrame.decodeAnswer(mutant.subarray(4))
      ]) {
        try {
          decode()
          read++
        } catch (error) {
          if (!(error instanceof Malformed)) throw error
          refused++
        }
      }
      SshMessage.kindOf(mutant) // has no failure
    }
    assert.strictEqual(read + refused, 300_000)
    assert.isAbove(read, 10_000)
    assert.isAbove(refused, 10_000)
  })
})

describe("kindOf", () => {
  const login = (...more: ReadonlyArray<Uint8Array>) =>
    SshWire.concat(
      SshWire.string(new Uint8Array(32)),
      Uint8Array.of(50),
      ...["root", "ssh-connection", "publickey"].map((text) => SshWire.string(text)),
      ...more
    )

  it("knows a login, however it goes on", () => {
    for (const message of [login(), login(Uint8Array.of(1)), login(new Uint8Array(300))]) {
      assert.strictEqual(SshMessage.kindOf(message)._tag, "UserAuthentication")
    }
    const hostbound = SshWire.concat(
      SshWire.string(new Uint8Array(20)),
      Uint8Array.of(50),
      ...["", "", "publickey-hostbound-v00@openssh.com"].map((text) => SshWire.string(text))
    )
    assert.strictEqual(SshMessage.kindOf(hostbound)._tag, "UserAuthentication")
    const { length } = login()
    for (let end = 0; end < length; end++) {
      assert.strictEqual(SshMessage.kindOf(login().subarray(0, end))._tag, "Other")
    }
    assert.strictEqual(SshMessage.kindOf(login().with(36, 51))._tag, "Other")
  })

  it("knows the data of a signature and its namespace", () => {
    const encoded = SshMessage.encodeSshsig("git", new Uint8Array(0), "sha256", new Uint8Array(32))
    assert.deepStrictEqual(SshMessage.kindOf(encoded), { _tag: "Sshsig", namespace: "git" })
    const marked = SshMessage.encodeSshsig("\uFEFFgit", new Uint8Array(0), "sha256", new Uint8Array(32))
    assert.deepStrictEqual(SshMessage.kindOf(marked), { _tag: "Sshsig", namespace: "\uFEFFgit" })
    for (const other of [
      SshMessage.encodeSshsig("", new Uint8Array(0), "sha256", new Uint8Array(32)),
      SshMessage.encodeSshsig("git", new Uint8Array(0), "sha256", new Uint8Array(64)),
      SshMessage.encodeSshsig("git", new Uint8Array(0), "md5", new Uint8Array(16)),
      SshWire.concat(encoded, Uint8Array.of(0)),
      encoded.with(10, 0xff),
      encoded.subarray(0, 6)
    ]) {
      assert.deepStrictEqual(SshMessage.kindOf(other), { _tag: "Other" })
    }
  })
})
