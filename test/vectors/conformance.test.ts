import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { vectors, variable } from "../../src/cli/vectors/VectorSuites.ts"

const script = fileURLToPath(new URL("../../scripts/conformance.ts", import.meta.url))

const run = (folder: string | undefined, ...args: ReadonlyArray<string>) =>
  spawnSync(process.execPath, ["--conditions=effect-signer-source", script, ...args], {
    encoding: "utf8",
    env: { ...process.env, [variable]: folder }
  })

const withFolder = async (use: (folder: string) => Promise<void>) => {
  const folder = await mkdtemp(join(tmpdir(), "effect-signer-conformance-"))
  try {
    await use(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

describe("the conformance report", () => {
  it("fails without vectors, and says where they are published", () =>
    withFolder(async (folder) => {
      const file = join(folder, "report.json")
      const { status, stderr } = run(undefined, "--json", file)
      assert.strictEqual(status, 1)
      for (const text of [variable, "C2SP/wycheproof", "bitcoin/bips", "RFC 8032", "RFC 6979"]) {
        assert.include(stderr, text)
      }
      assert.deepStrictEqual(await readdir(folder), [])
    }))

  it("fails with the reason where the folder is not one of vectors", () =>
    withFolder(async (folder) => {
      const { status, stderr } = run(folder, "--only", "wycheproof")
      assert.strictEqual(status, 1)
      assert.include(stderr, "wycheproof")
      assert.notInclude(stderr, "    at ")
    }))

  it("counts a suite that cannot be read as a failure, and writes the report whole", () =>
    withFolder(async (folder) => {
      await mkdir(join(folder, "wycheproof"))
      await writeFile(join(folder, "wycheproof", "new_test.json"), JSON.stringify({ schema: "new_schema.json" }))
      const { status, stderr, stdout } = run(folder, "--only", "wycheproof", "--json", join(folder, "report.json"))
      assert.strictEqual(status, 1)
      assert.include(stderr, "1 failed")
      assert.include(stdout, "no suite reads the schema new_schema.json")
      assert.sameMembers(await readdir(folder), ["wycheproof", "report.json"])
      const report = JSON.parse(await readFile(join(folder, "report.json"), "utf8"))
      assert.deepStrictEqual(report.at(-1), {
        suite: "wycheproof/new",
        source: "C2SP/wycheproof testvectors_v1/new_test.json",
        cases: 1,
        passed: 0,
        exceptions: []
      })
      assert.deepStrictEqual(
        report.map(({ suite }: { readonly suite: string }) => suite),
        ["wycheproof/new"]
      )
    }))

  it.skipIf(vectors === undefined)(`succeeds over the published vectors (needs ${variable})`, () =>
    withFolder(async (folder) => {
      const file = join(folder, "report.json")
      const { status, stdout } = run(vectors, "--only", "wycheproof", "--json", file)
      assert.strictEqual(status, 0)
      assert.include(stdout, "wycheproof/ed25519")
      for (const result of JSON.parse(await readFile(file, "utf8"))) {
        assert.sameMembers(Object.keys(result), ["suite", "source", "cases", "passed", "exceptions"])
        assert.strictEqual(result.passed + result.exceptions.length, result.cases, result.suite)
      }
    })
  )
})
