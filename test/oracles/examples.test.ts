/** The examples of the adapters, against the real libraries, as the README shows them. */
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { readdir } from "node:fs/promises"
import { promisify } from "node:util"

const run = promisify(execFile)
const folder = new URL("examples/", import.meta.url)
const examples = (await readdir(folder)).toSorted()

/** What the output must contain, for each example. */
const expected: Readonly<Record<string, ReadonlyArray<string>>> = {
  "adcp.ts": ["verified by seller-2026"],
  "atproto.ts": ["ES256 did:key:zDnae", "atproto verifies: true"],
  "better-auth.ts": ["better-auth issued a token for alice"],
  "jose.ts": ["jose verifies the token of alice"],
  "octokit.ts": ["app 123 for 600 seconds, until 20"],
  "sigstore.ts": ["sigstore verifies the bundle"],
  "solana-kit.ts": ["kit verifies the transaction: true"],
  "viem.ts": ["viem recovers our address: true", "signed a transaction of "],
  "web-bot-auth.ts": ["web-bot-auth verifies the request of "]
}

describe("examples", () => {
  it("each states what it must print", () => {
    assert.deepStrictEqual(examples, Object.keys(expected))
  })

  it.each(examples)("%s runs and prints what it says", async (name) => {
    const { stdout } = await run(process.execPath, ["--conditions=effect-signer-source", name], {
      cwd: folder,
      timeout: 60_000
    })
    for (const text of expected[name] ?? []) assert.include(stdout, text)
  })
})
