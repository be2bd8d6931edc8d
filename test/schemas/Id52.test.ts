import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as PrivateKey from "../../src/schemas/PrivateKey.ts"
import * as PublicKey from "../../src/schemas/PublicKey.ts"
import { nodeKey } from "./keys.ts"
import { refused } from "./refused.ts"

const id52 = "i66fo538lfl5ombdf6tcdbrabp4hmp9asv7nrffuc2im13ct4q60"

describe("ID52", () => {
  it.effect("of a known secret is the known one", () =>
    Effect.gen(function* () {
      const secret = "100d7e23f222267ba0be43855a262461b8a7718572edf58c56db912156d2bc25"
      const { publicKey } = yield* PrivateKey.fromHex("Ed25519", secret)
      assert.strictEqual(PublicKey.toId52(publicKey), id52)
      assert.isTrue(PublicKey.sameKey(yield* PublicKey.fromId52(id52), publicKey))
    })
  )

  it.effect.prop(
    "of any bytes is read back",
    {
      bytes: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))).check(
        Schema.isMinLength(32),
        Schema.isMaxLength(32)
      )
    },
    ({ bytes }) =>
      Effect.gen(function* () {
        const key = yield* PublicKey.fromRaw("Ed25519", Uint8Array.from(bytes))
        const text = PublicKey.toId52(key)!
        assert.match(text, /^[0-9a-v]{52}$/)
        assert.deepStrictEqual((yield* PublicKey.fromId52(text)).bytes, key.bytes)
      })
  )

  it.effect("of other keys is none", () =>
    Effect.map(PublicKey.fromSpki(nodeKey("P-256").spki), (key) => assert.isUndefined(PublicKey.toId52(key)))
  )

  it.effect.each([
    ["upper case", id52.toUpperCase()],
    ["one letter in upper case", id52.replace("f", "F")],
    ["padding", `${id52}====`],
    ["51 characters", id52.slice(1)],
    ["53 characters", `${id52}0`],
    ["a space", `${id52.slice(0, 51)} `],
    ["a letter of no alphabet", id52.replace("i", "w")],
    ["non-zero trailing bits", `${id52.slice(0, 51)}1`],
    ["other non-zero trailing bits", `${id52.slice(0, 51)}v`],
    ["no text", 52 as never]
  ])("with %s is refused", ([, text]) => refused(PublicKey.fromId52(text!), "id52", /^an ID52/))
})
