import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { promisify } from "node:util"
import { fileURLToPath } from "node:url"

const run = promisify(execFile)
const root = new URL("../../", import.meta.url)

interface Example {
  readonly name: string
  readonly code: string
}

/** The `ts` blocks of the doc comments of one source file. */
const examplesOf = (path: string, source: string): ReadonlyArray<Example> =>
  [...source.matchAll(/^ \* ```ts\n((?: \*.*\n)*?) \* ```$/gm)].map(([, block], index) => ({
    name: `${path.replace(/\W/g, "-")}-${index}.ts`,
    code: block!.replace(/^ \* ?/gm, "")
  }))

const sources = (await readdir(new URL("src/", root), { recursive: true })).filter((path) => path.endsWith(".ts"))
const examples = (
  await Promise.all(sources.map(async (path) => examplesOf(path, await readFile(new URL(`src/${path}`, root), "utf8"))))
).flat()

describe("doc comments", () => {
  it("have examples", () => {
    assert.isAbove(examples.length, 15)
  })

  it("examples compile, and run where they only define", async () => {
    // inside the repository, so that package names resolve
    await mkdir(new URL(".cache/", root), { recursive: true })
    const folder = await mkdtemp(fileURLToPath(new URL(".cache/doc-", root)))
    try {
      await Promise.all(examples.map(({ code, name }) => writeFile(`${folder}/${name}`, code)))
      await writeFile(
        `${folder}/all.ts`,
        // a spec runs under its test runner only; it is compiled with the rest
        examples
          .filter(({ code }) => !code.includes("@effect/vitest"))
          .map(({ name }) => `await import("./${name}")`)
          .join("\n") + "\nexport {}\n"
      )
      await writeFile(
        `${folder}/tsconfig.json`,
        JSON.stringify({
          extends: "../../tsconfig.json",
          compilerOptions: { noUnusedLocals: false, allowImportingTsExtensions: true, noEmit: true },
          include: ["*.ts"]
        })
      )
      const tsc = fileURLToPath(new URL("node_modules/.bin/tsc", root))
      const types = await run(process.execPath, [tsc, "-p", folder]).then(
        () => "",
        (error: { stdout: string }) => error.stdout
      )
      assert.strictEqual(types, "")
      await run(process.execPath, ["--conditions=effect-signer-source", `${folder}/all.ts`], { cwd: root })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
