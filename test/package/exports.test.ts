import { assert, describe, it } from "@effect/vitest"
import { existsSync } from "node:fs"
import { readdir, readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { relative } from "node:path"
import { fileURLToPath } from "node:url"

const root = new URL("../../", import.meta.url)
const { resolve } = createRequire(import.meta.url)
const source = (path: string) => readFile(new URL(path, root), "utf8")

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

  it("has every module that is not marked @internal", async () => {
    const facades = (await readdir(new URL("src", root)))
      .filter((file) => file.endsWith(".ts"))
      .map((file) => `src/${file}`)
    const gathered = (await Promise.all(facades.map(reexported))).flat()
    const reachable = new Set([...subpaths, ...gathered].map(({ path }) => path))
    const folders = ["schemas", "services", "protocols", "layers", "testing"]
    for (const folder of folders.filter((name) => existsSync(new URL(`src/${name}`, root)))) {
      for (const file of await readdir(new URL(`src/${folder}`, root))) {
        const path = `src/${folder}/${file}`
        if (!file.endsWith(".ts") || reachable.has(path)) continue
        const [header] = (await source(path)).split("*/", 1)
        assert.include(header, "@internal", `${path}: give it a subpath in package.json, or mark the module @internal`)
      }
    }
    for (const facade of facades)
      assert.include(
        subpaths.map(({ path }) => path),
        facade
      )
  })

  it.each([
    "primitives/node",
    "primitives/Primitives",
    "services/LocalBackend",
    "schemas/KeyId",
    "decorators/observed",
    "layers/LocalSigner",
    "testing/TestSigner",
    "cli/bin",
    "index",
    "LocalBackend",
    "Ephemeral",
    "Observation",
    "src/index.ts"
  ])("keeps effect-signer/%s to itself", (path) => {
    assert.throws(() => resolve(`effect-signer/${path}`), /ERR_PACKAGE_PATH_NOT_EXPORTED|is not defined by "exports"/)
  })
})
