import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import { InvalidConfiguration } from "../../src/schemas/SignerError.ts"
import * as Pkcs11Uri from "../../src/schemas/Pkcs11Uri.ts"
import { refused } from "./refused.ts"

/** Text that an attribute can hold, from any. */
const toValue = (text: string): string =>
  text
    .replace(/[\0-\x1f\x7f]/g, "")
    .slice(0, 40)
    .toWellFormed() || "a"

describe("Pkcs11Uri", () => {
  it.effect("reads the examples of RFC 7512 section 3 that name no PIN", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Pkcs11Uri.parse("pkcs11:"), {})
      assert.deepStrictEqual(yield* Pkcs11Uri.parse("pkcs11:object=my-pubkey;type=public"), {
        object: "my-pubkey",
        type: "public"
      })
      assert.deepStrictEqual(yield* Pkcs11Uri.parse("pkcs11:object=my-key;type=private?pin-source=file:/etc/token"), {
        object: "my-key",
        type: "private",
        pinSource: "file:/etc/token"
      })
      assert.deepStrictEqual(
        yield* Pkcs11Uri.parse(
          "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;" +
            "object=my-certificate;type=cert;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin".replace(
              ";serial=",
              ";serial=1"
            )
        ),
        {
          token: "The Software PKCS#11 Softtoken",
          manufacturer: "Snake Oil, Inc.",
          model: "1.0",
          object: "my-certificate",
          type: "cert",
          id: Uint8Array.of(0x69, 0x95, 0x3e, 0x5c, 0xf4, 0xbd, 0xec, 0x91),
          serial: "1",
          pinSource: "file:/etc/token_pin"
        }
      )
      assert.deepStrictEqual(
        yield* Pkcs11Uri.parse("pkcs11:slot-description=Sun%20Metaslot;library-version=3;slot-id=327"),
        { slotDescription: "Sun Metaslot", libraryVersion: "3", slotId: 327 }
      )
      assert.deepStrictEqual(
        yield* Pkcs11Uri.parse("pkcs11:token=Software%20PKCS%2311%20softtoken;object=&;id=%00?module-path=/a/b?c|d"),
        { token: "Software PKCS#11 softtoken", object: "&", id: Uint8Array.of(0), modulePath: "/a/b?c|d" }
      )
    })
  )

  it.effect.each([
    ["", /must begin with pkcs11:/],
    ["pkcs11", /must begin with pkcs11:/],
    ["http://token=a", /must begin with pkcs11:/],
    ["pkcs11:token=a;", /something other than/],
    ["pkcs11:token=a;;object=b", /something other than/],
    ["pkcs11:token", /something other than/],
    ["pkcs11:Token=a", /something other than/],
    ["pkcs11:tok%65n=a", /something other than/],
    ["pkcs11:x-vendor=a", /something other than/],
    ["pkcs11:pin-source=file:/a", /something other than/],
    ["pkcs11:?token=a", /something other than/],
    ["pkcs11:?", /something other than/],
    ["pkcs11:token=a;token=a", /token is there twice/],
    ["pkcs11:?pin-source=/a&pin-source=/b", /pin-source is there twice/],
    ["pkcs11:token=", /token is empty/],
    ["pkcs11:id=", /id is empty/],
    ["pkcs11:token=a b", /percent-encoded/],
    ["pkcs11:token=a#b", /percent-encoded/],
    ["pkcs11:token=a/b", /percent-encoded/],
    ["pkcs11:token=%2", /percent-encoded/],
    ["pkcs11:token=%zz", /percent-encoded/],
    ["pkcs11:token=é", /percent-encoded/],
    ["pkcs11:token=%FF", /token is not UTF-8/],
    ["pkcs11:token=%C0%80", /token is not UTF-8/],
    ["pkcs11:object=%00", /object has a control character/],
    ["pkcs11:object=%0A", /object has a control character/],
    ["pkcs11:type=secret", /type must be one of/],
    ["pkcs11:slot-id=-1", /slot-id must be a number/],
    ["pkcs11:slot-id=01", /slot-id must be a number/],
    ["pkcs11:library-version=1.2.3", /library-version is not/],
    ["pkcs11:token=a?pin-value=1234", /pin-value is not accepted/],
    ["pkcs11:token=a?pin-value=", /pin-value is not accepted/],
    [`pkcs11:token=${"a".repeat(5000)}`, /longer than 4096/]
  ] as const)("refuses %s", ([uri, problem]) => refused(Pkcs11Uri.parse(uri), "uri", problem))

  it.effect("shows no PIN that it refuses", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Pkcs11Uri.parse("pkcs11:token=a?pin-value=canary-of-a-pin"))
      assert.notInclude(`${error.message} ${JSON.stringify(error)} ${error.stack}`, "canary-of-a-pin")
    })
  )

  it.effect.prop(
    "reads what it writes",
    { token: Schema.String, object: Schema.String, pinSource: Schema.String, id: Schema.Uint8Array },
    ({ id, object, pinSource, token }) =>
      Effect.gen(function* () {
        const given = {
          token: toValue(token),
          object: toValue(object),
          pinSource: toValue(pinSource),
          id: Uint8Array.of(0, ...id)
        }
        const written = Pkcs11Uri.format(given)
        assert.isBelow(written.length, 4096)
        const read = yield* Pkcs11Uri.parse(written)
        assert.deepStrictEqual({ ...read }, { ...given })
        assert.strictEqual(Pkcs11Uri.format(read), written)
      }),
    { arbitrary: { runs: 300 } }
  )

  it("answers 100,000 mutations with a URI in its one form, or with a typed error", () => {
    const seeds = [
      "pkcs11:token=Release%20keys;serial=0123;object=ed%C3%A9;id=%01%02%ff;type=private?module-path=/usr/lib/p.so&pin-source=file:/run/pin",
      "pkcs11:model=SoftHSM%20v2;manufacturer=SoftHSM%20project;slot-id=3;library-version=2.6"
    ]
    const alphabet = "pkcs1:;?&=%/|#. \0é\u{10ffff}aAzZ09ffC3-"
    let state = 1
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    let accepted = 0
    for (let n = 0; n < 100_000; n++) {
      let uri = seeds[n % seeds.length]!
      for (let edits = random(4); edits >= 0; edits--) {
        const at = random(uri.length + 1)
        const character = alphabet[random(alphabet.length)]!
        uri = [
          () => uri.slice(0, at) + character + uri.slice(at),
          () => uri.slice(0, at) + uri.slice(at + 1 + random(5)),
          () => uri.slice(0, at) + character + uri.slice(at + 1),
          () => uri.slice(0, at) + uri.slice(random(uri.length))
        ][random(4)]!()
      }
      const exit = Effect.runSyncExit(Pkcs11Uri.parse(uri))
      if (Exit.isSuccess(exit)) {
        accepted++
        const written = Pkcs11Uri.format(exit.value)
        const again = Effect.runSync(Pkcs11Uri.parse(written))
        if (Pkcs11Uri.format(again) !== written) assert.fail(JSON.stringify(uri))
      } else {
        const error = Exit.findErrorOption(exit)
        if (error._tag === "None" || !(error.value instanceof InvalidConfiguration)) assert.fail(JSON.stringify(uri))
      }
    }
    assert.isAbove(accepted, 5000)
    assert.isBelow(accepted, 95_000)
  })
})
