import { assert, describe, it } from "@effect/vitest"
import { existsSync } from "node:fs"
import { readdir, readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { dirname, relative } from "node:path"
import { fileURLToPath } from "node:url"

const root = new URL("../../", import.meta.url)
const { resolve } = createRequire(import.meta.url)
const source = (path: string) => readFile(new URL(path, root), "utf8")

/** The comment that a module starts with. */
const headerOf = async (path: string): Promise<string> =>
  /^(?:#!.*\n)?\/\*\*[\s\S]*?\*\//.exec(await source(path))?.[0] ?? ""

const sourcesOf = async (folder: string): Promise<ReadonlyArray<string>> =>
  existsSync(new URL(folder, root))
    ? (await readdir(new URL(folder, root), { recursive: true }))
        .filter((file) => file.endsWith(".ts"))
        .map((file) => `${folder}/${file}`)
    : []

/** The modules that a module exports from, as paths from the root. */
const reexported = async (
  path: string
): Promise<ReadonlyArray<{ readonly name?: string | undefined; readonly path: string }>> =>
  [...(await source(path)).matchAll(/^export .*?(?:\* as (\w+) )?from "(\.[^"]+)"$/gm)].map(([, name, specifier]) => ({
    name,
    path: relative(fileURLToPath(root), fileURLToPath(new URL(specifier!, new URL(path, root))))
  }))

const { exports } = JSON.parse(await source("package.json")) as {
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>
}
const pattern = "./*Signer"
const listed = Object.entries(exports).filter(([subpath]) => subpath !== "./package.json" && subpath !== pattern)
const backends = (await readdir(new URL("src/layers", root))).filter((file) => file.endsWith("Signer.ts"))

/** Every public subpath, and the module behind it. */
const subpaths = [
  ...listed.map(([subpath, target]) => ({ subpath, path: target["effect-signer-source"]!.slice(2) })),
  ...backends.map((file) => ({ subpath: `./${file.slice(0, -3)}`, path: `src/layers/${file}` }))
]

describe("package.json exports", () => {
  it.each(subpaths)("$subpath is $path", ({ path, subpath }) => {
    const target = exports[subpath] ?? exports[pattern]!
    assert.strictEqual(resolve(`effect-signer${subpath.slice(1)}`), fileURLToPath(new URL(path, root)))
    assert.isTrue(existsSync(new URL(path, root)))
    assert.strictEqual(
      target["default"],
      target["effect-signer-source"]!.replace("./src/", "./dist/").replace(/\.ts$/, ".js")
    )
  })

  it("has every namespace of the root as a subpath", async () => {
    for (const { name, path } of await reexported("src/index.ts")) {
      assert.deepInclude(subpaths, { subpath: `./${name}`, path })
    }
  })

  it("has every module that is not marked internal", async () => {
    const facades = (await sourcesOf("src")).filter((path) => dirname(path) === "src")
    const gathered = (await Promise.all(facades.map(reexported))).flat()
    const reachable = new Set([...subpaths, ...gathered].map(({ path }) => path))
    const folders = ["schemas", "services", "protocols", "layers", "testing"].map((name) => `src/${name}`)
    const modules = (await Promise.all(folders.map(sourcesOf))).flat()
    const missing = await Promise.all(
      [...facades, ...modules].map(async (path) =>
        reachable.has(path) || (await headerOf(path)).includes("@category internal") ? [] : [path]
      )
    )
    assert.deepStrictEqual(
      missing.flat(),
      [],
      "give it a subpath in package.json, or `@category internal` in its header"
    )
  })

  it("keeps what is internal to itself", async () => {
    const modules = (await sourcesOf("src")).map((path) => path.slice("src/".length, -".ts".length))
    const internal = modules.filter((name) => !subpaths.some(({ subpath }) => subpath === `./${name}`))
    assert.isAbove(internal.length, 40)
    for (const name of internal)
      assert.throws(() => resolve(`effect-signer/${name}`), /Cannot find|not exported|not defined/)
  })
})

describe("declarations", () => {
  it("lose no import to the header of their module", async () => {
    // `stripInternal` takes the statement under a comment that says `@internal`: in a header, the first import
    const headers = await Promise.all(
      (await sourcesOf("src")).map(async (path) => ((await headerOf(path)).includes("@internal") ? [path] : []))
    )
    assert.deepStrictEqual(headers.flat(), [], "say `@category internal`")
  })
})
