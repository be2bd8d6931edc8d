import { assert, describe, it } from "@effect/vitest"
import { VendorError } from "../../src/schemas/SignerError.ts"
import { ActiveKeyDelete, KeyExists, KeyStoreError, KeyStoreReason } from "../../src/schemas/KeyStoreError.ts"

describe("messages", () => {
  it("name the key, quoted, and cut where it is long", () => {
    assert.strictEqual(new KeyExists({ keyId: `a"b` }).message, `KeyExists: there is a key with the id "a\\"b" already`)
    assert.isBelow(new KeyExists({ keyId: "x".repeat(5000) }).message.length, 250)
    assert.include(new ActiveKeyDelete({ keyId: "main" }).message, `"main" is the active key`)
  })

  it("say which store, why, and what to do", () => {
    const error = new KeyStoreError({
      store: "file",
      reason: "Corrupt",
      problem: "it was cut off",
      cause: new VendorError({ code: "EIO" })
    })
    assert.strictEqual(error.message, "file: KeyStoreError: Corrupt: it was cut off")
  })
})

describe("isRetryable", () => {
  it("is true of what may be there later", () => {
    const retryable = KeyStoreReason.literals.filter(
      (reason) => new KeyStoreError({ store: "file", reason, problem: "" }).isRetryable
    )
    assert.deepStrictEqual(retryable, ["Unavailable", "Locked"])
  })
})
