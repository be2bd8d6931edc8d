import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Crc32c from "../../src/schemas/Crc32c.ts"

const ascending = Uint8Array.from({ length: 32 }, (_, i) => i)
/** An iSCSI SCSI Read (10) command PDU. */
const scsiRead = new Uint8Array(48)
scsiRead.set([0x01, 0xc0], 0)
scsiRead.set([0x14], 16)
scsiRead.set([0x04], 22)
scsiRead.set([0x14], 27)
scsiRead.set([0x18], 31)
scsiRead.set([0x28], 32)
scsiRead.set([0x02], 40)

describe("Crc32c", () => {
  // RFC 3720 appendix B.4, where each is written with its least significant byte first
  it.each([
    ["32 bytes of zeros", new Uint8Array(32), 0x8a9136aa],
    ["32 bytes of ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ["32 bytes of ascending values", ascending, 0x46dd794e],
    ["32 bytes of descending values", ascending.toReversed(), 0x113fdb5c],
    ["an iSCSI read command", scsiRead, 0xd9963a56],
    // the check value of the catalogue of parametrised CRC algorithms, CRC-32/ISCSI
    ["123456789", new TextEncoder().encode("123456789"), 0xe3069283],
    ["nothing", new Uint8Array(0), 0]
  ] as const)("of %s is as published", (_, bytes, expected) => {
    assert.strictEqual(Crc32c.compute(bytes), expected)
  })

  it.effect.prop("any one bit that is flipped changes it", { bytes: Schema.Uint8Array }, ({ bytes }) =>
    Effect.sync(() => {
      const before = Crc32c.compute(bytes)
      assert.isTrue(Number.isInteger(before) && before >= 0 && before < 2 ** 32)
      for (let bit = 0; bit < bytes.length * 8; bit += 7) {
        const changed = new Uint8Array(bytes)
        changed[bit >> 3]! ^= 1 << (bit & 7)
        assert.notStrictEqual(Crc32c.compute(changed), before)
      }
    })
  )
})
