/**
 * `npm run readme -- [--bench FILE]... [--conformance FILE]... [--installs FILE]`:
 * copies the example files into the README and `docs/`, and writes the generated tables
 * from the reports of those commands. What is given twice is one table: the report of
 * `test:live` goes with that of `conformance`.
 */
import { spawnSync } from "node:child_process"
import { readdir, readFile, rename, writeFile } from "node:fs/promises"
import { parseArgs } from "node:util"

interface BenchRow {
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly against: string
  readonly ratio: number
}

interface ConformanceRow {
  readonly suite: string
  readonly source: string
  readonly cases: number
  readonly passed: number
  readonly exceptions: ReadonlyArray<{ readonly case: string; readonly reason: string }>
}

interface PackReport {
  readonly installs: ReadonlyArray<{
    readonly install: string
    readonly packages: number
    readonly bytes: number
    readonly withoutEffect: number
  }>
}

const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>) =>
  [header, header.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")

/** How many exceptions, and why: the most frequent reasons. The report has them all. */
const reasons = ({ exceptions }: ConformanceRow) => {
  const counts = new Map<string, number>()
  for (const { reason } of exceptions) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  const sorted = [...counts].sort(([, a], [, b]) => b - a)
  const others = sorted.slice(2).reduce((sum, [, count]) => sum + count, 0)
  return [
    ...sorted.slice(0, 2).map(([reason, count]) => `${count}: ${reason}`),
    ...(others === 0 ? [] : [`${others} of ${sorted.length - 2} other reasons`])
  ].join("; ")
}

const isStartup = ({ name }: BenchRow) => name.startsWith("startup/")

/** One line per module: what its rows say, side by side. */
const startupTable = (rows: ReadonlyArray<BenchRow>) => {
  const values = new Map(rows.map(({ name, unit, value }) => [name, `${value.toFixed(0)} ${unit}`]))
  const modules = rows.flatMap(({ name }) => /^startup\/(.*)\/import$/.exec(name)?.[1] ?? [])
  return table(
    ["module", "import", "memory", "with a layer built", "memory"],
    modules.map((module) => [
      `\`${module}\``,
      ...["import", "import/memory", "layer", "layer/memory"].map((of) => values.get(`startup/${module}/${of}`) ?? "")
    ])
  )
}

const tables = {
  startup: (rows: ReadonlyArray<BenchRow>) => startupTable(rows.filter(isStartup)),
  bench: (all: ReadonlyArray<BenchRow>) => {
    const rows = all.filter((row) => !isStartup(row))
    return table(
      ["row", "median", "against", "ratio"],
      rows.map(({ against, name, ratio, unit, value }) => [
        `\`${name}\``,
        `${value.toFixed(1)} ${unit}`,
        against,
        name.startsWith("decorators/") ? "" : ratio.toFixed(2)
      ])
    )
  },
  conformance: (rows: ReadonlyArray<ConformanceRow>) =>
    table(
      ["suite", "source", "cases", "passed", "exceptions, each named in the report"],
      rows.map((row) => [`\`${row.suite}\``, row.source, String(row.cases), String(row.passed), reasons(row)])
    ),
  installs: ({ installs }: PackReport) =>
    table(
      ["install", "packages", "size", "of which not effect"],
      installs.map(({ bytes, install, packages, withoutEffect }) => [
        install,
        String(packages),
        `${(bytes / 1e6).toFixed(1)} MB`,
        `${(withoutEffect / 1e6).toFixed(1)} MB`
      ])
    )
}

const { values } = parseArgs({
  options: {
    bench: { type: "string", multiple: true },
    conformance: { type: "string", multiple: true },
    installs: { type: "string", multiple: true }
  }
})

/** Which sections a report has rows for. */
const sections = {
  bench: (rows: ReadonlyArray<BenchRow>) => [
    ...(rows.some((row) => !isStartup(row)) ? ["bench"] : []),
    ...(rows.some(isStartup) ? ["startup"] : [])
  ],
  conformance: () => ["conformance"],
  installs: () => ["installs"]
}

/** What the reports say, by section. */
const written = new Map<string, string>()
for (const [kind, files] of Object.entries(values)) {
  const reports = await Promise.all(files.map(async (file) => JSON.parse(await readFile(file, "utf8"))))
  const report = kind === "installs" ? reports.at(-1) : reports.flat()
  for (const name of sections[kind as keyof typeof sections](report)) {
    written.set(name, tables[name as keyof typeof tables](report))
  }
}

const root = new URL("../", import.meta.url)
const documents = ["README.md", ...(await readdir(new URL("docs/", root))).map((name) => `docs/${name}`)]

for (const document of documents) {
  let text = await readFile(new URL(document, root), "utf8")
  for (const [name, table] of written) {
    const section = new RegExp(`(<!-- generated:${name} -->\n)[\\s\\S]*?(<!-- /generated -->)`)
    if (!section.test(text)) continue
    text = text.replace(section, (_, before: string, after: string) => `${before}\n${table}\n\n${after}`)
    written.delete(name)
  }
  for (const [block, file] of text.matchAll(
    /<!-- ((?:test\/oracles\/)?examples\/[\w-]+\.ts) -->\n\n```ts\n[\s\S]*?```/g
  )) {
    const code = await readFile(new URL(file!, root), "utf8")
    text = text.replace(block, () => `<!-- ${file} -->\n\n\`\`\`ts\n${code}\`\`\``)
  }
  const temporary = new URL(`${document}.tmp`, root)
  await writeFile(temporary, text)
  await rename(temporary, new URL(document, root))
}
const { status } = spawnSync("oxfmt", documents, { cwd: root, stdio: "inherit" })
if (status !== 0) process.exitCode = 1
if (written.size > 0) throw new Error(`no document has the sections ${[...written.keys()].join(", ")}`)
