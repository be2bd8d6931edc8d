import { assert, describe, it } from "@effect/vitest"
import * as crypto from "node:crypto"
import { Malformed } from "../../src/schemas/Malformed.ts"
import * as Pem from "../../src/schemas/Pem.ts"
import { nodeKey, pem } from "./keys.ts"

const { publicKey, spki } = nodeKey("P-256")
const good = publicKey.export({ format: "pem", type: "spki" }) as string
const lines = good.trimEnd().split("\n")
const [begin, first, second, end] = lines as [string, string, string, string]
const [r1, r2] = [first.slice(0, 32), first.slice(32)]

const decode = (text: string) => Pem.decode(text, ["PUBLIC KEY"], { "PRIVATE KEY": "take the other one" })

const reads = (text: string) => {
  try {
    return crypto.createPublicKey(text).equals(publicKey)
  } catch {
    return false
  }
}

describe("decode", () => {
  it.each([
    ["as node writes it", good],
    ["without the last line end", good.trimEnd()],
    ["with CRLF", good.replaceAll("\n", "\r\n")],
    ["with CRLF, without the last line end", good.trimEnd().replaceAll("\n", "\r\n")]
  ])("reads a block %s", (_, text) => {
    assert.deepStrictEqual(decode(text), { label: "PUBLIC KEY", bytes: new Uint8Array(spki) })
  })

  it.each([
    ["with text before it", `subject=CN\n${good}`, /text before/, true],
    ["with an empty line before it", `\n${good}`, /text before/, true],
    ["with a space before it", ` ${good}`, /text before/, false],
    ["with a byte order mark", `\ufeff${good}`, /text before -----BEGIN \(a byte order mark\)/, true],
    ["without any line end", good.replaceAll("\n", " "), /its line ends are missing/, false],
    [
      "with a carriage return and no line feed at the end",
      `${good.replaceAll("\n", "\r\n").slice(0, -1)}`,
      /\(a carriage return\)/,
      true
    ],
    ["with text after it", `${good}junk`, /text after/, true],
    ["with an empty line after it", `${good}\n`, /text after/, true],
    ["twice", `${good}${good}`, /several blocks/, true],
    ["with another block after it", `${good}${pem("PRIVATE KEY", spki)}`, /several blocks/, true],
    ["with another END label", good.replace("END PUBLIC KEY", "END PRIVATE KEY"), /END/, false],
    ["without END", good.slice(0, -20), /END/, false],
    ["without BEGIN", good.slice(10), /does not start/, false],
    ["of nothing", `${begin}\n${end}\n`, /64 characters/, false],
    ["of one empty line", `${begin}\n\n${end}\n`, /64 characters/, false],
    ["with lower-case dashes and label", good.replace("BEGIN PUBLIC", "BEGIN Public"), /does not start/, false],
    ["with a space after the label line", good.replace(begin, `${begin} `), /does not start/, true],
    ["with a space at a line end", good.replace(first, `${first} `), /64 characters/, true],
    ["with a space inside a line", good.replace(first, `${r1} ${r2}`), /64 characters/, true],
    ["with spaces for characters", good.replace(first, `${first.slice(1)} `), /base64/, false],
    ["with short lines", good.replace(first, `${r1}\n${r2}`), /64 characters/, true],
    ["in one long line", `${begin}\n${first}${second}\n${end}\n`, /64 characters/, true],
    ["with an empty line inside", good.replace(second, `\n${second}`), /64 characters/, false],
    ["with an empty line at its end", good.replace(second, `${second}\n`), /64 characters/, false],
    ["with LF and CRLF mixed", good.replace(`${first}\n`, `${first}\r\n`), /64 characters/, true],
    ["with CR alone", good.replaceAll("\n", "\r"), /does not start/, false],
    ["with the characters \\n", good.replaceAll("\n", "\\n"), /characters \\n/, false],
    ["without padding", `${begin}\n${"A".repeat(3)}\n${end}\n`, /base64/, false],
    ["with surplus padding", `${begin}\n${"A".repeat(4)}====\n${end}\n`, /base64/, false],
    ["in base64url", `${begin}\n-_-_\n${end}\n`, /base64/, false],
    ["with headers", good.replace(first, `Comment: mine\n\n${first}`), /header lines/, false],
    [
      "encrypted in the legacy way",
      good.replace(first, `Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n${first}`),
      /openssl pkcs8 -topk8/,
      false
    ],
    ["with a label that has advice", pem("PRIVATE KEY", spki), /PRIVATE KEY: take the other one/, false],
    ["with any other label", pem("X509 CRL", spki), /another label than PUBLIC KEY$/, false],
    ["with the label of a property of objects", pem("CONSTRUCTOR", spki), /another label/, false],
    ["above the limit", good + " ".repeat(65_536), /longer than 65536/, true],
    ["that is none", "", /does not start/, false]
  ])("refuses a block %s", (_, text, problem, isReadByNode) => {
    try {
      decode(text)
    } catch (error) {
      assert.instanceOf(error, Malformed)
      assert.match(error.problem, problem)
      if (isReadByNode) assert.isTrue(reads(text))
      return
    }
    assert.fail("was not refused")
  })

  it("refuses non-zero trailing bits, which node reads", () => {
    // 91 bytes: two padding characters, four unused bits
    const at = good.indexOf("=") - 1
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    const changed = good.slice(0, at) + alphabet[alphabet.indexOf(good[at]!) + 1] + good.slice(at + 1)
    assert.throws(() => decode(changed), /base64/)
    assert.isTrue(crypto.createPublicKey(changed).equals(publicKey))
  })

  it("refuses what is not text", () => {
    assert.throws(() => decode(undefined as never), /expected text/)
    assert.throws(() => decode(Buffer.from(good) as never), /expected text/)
  })
})

describe("encode", () => {
  it.each([1, 2, 3, 47, 48, 49, 95, 96, 97, 1000])("writes %d bytes so that decode reads them", (length) => {
    const bytes = Uint8Array.from({ length }, (_, i) => i)
    const text = Pem.encode("PUBLIC KEY", bytes)
    assert.strictEqual(text, pem("PUBLIC KEY", bytes))
    assert.deepStrictEqual(decode(text).bytes, bytes)
  })
})
