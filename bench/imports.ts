/**
 * What importing the built package costs, against importing the same modules of
 * `effect` alone. Each sample is a process of its own.
 */
import { execFile } from "node:child_process"
import { readdir, readFile } from "node:fs/promises"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import type { Row } from "./Row.ts"
import { median } from "./Row.ts"

const run = promisify(execFile)
const root = new URL("..", import.meta.url)
const rounds = 25

/** Milliseconds that a list of imports takes in a new process. */
const importTime = async (specifiers: ReadonlyArray<string>) => {
  const script = `const start = performance.now()
${specifiers.map((specifier) => `await import(${JSON.stringify(specifier)})`).join("\n")}
console.log(performance.now() - start)`
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script], { cwd: root })
  return Number(stdout)
}

/** The modules of `effect` that the files reachable from the built root import. */
const effectModules = async () => {
  const seen = new Set<string>()
  const modules = new Set<string>()
  const visit = async (url: URL): Promise<void> => {
    if (seen.has(url.href)) return
    seen.add(url.href)
    const source = await readFile(url, "utf8")
    for (const [, specifier] of source.matchAll(/^(?:import|export)\s[^;]*?from "([^"]+)"/gm)) {
      if (specifier!.startsWith("effect/")) modules.add(specifier!)
      else if (specifier!.startsWith(".")) await visit(new URL(specifier!, url))
      else if (specifier === "#primitives") await visit(new URL("dist/primitives/node.js", root))
    }
  }
  await visit(new URL("dist/index.js", root))
  return [...modules].toSorted()
}

const measure = async () => {
  if (!(await readdir(root)).includes("dist")) await run("npm", ["run", "build"], { cwd: root })
  const reference = await effectModules()
  const ours: Array<number> = []
  const ratios: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    const alone = await importTime(reference)
    const whole = await importTime(["effect-signer"])
    ours.push(whole)
    ratios.push(whole / alone)
  }
  return {
    name: "import/root",
    value: median(ours),
    unit: "ms",
    against: `the same ${reference.length} modules of effect`,
    ratio: median(ratios),
    samples: rounds
  }
}

export const rows: ReadonlyArray<Row> = [{ name: "import/root", measure: Effect.promise(measure) }]
