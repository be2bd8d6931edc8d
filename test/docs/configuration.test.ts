import { assert, describe, it } from "@effect/vitest"
import { type Config, ConfigProvider, Effect } from "effect"
import { readFile } from "node:fs/promises"
import { builtIn, type Entry, remoteFields } from "../../src/layers/config/SignerConfigBackends.ts"

const text = await readFile(new URL("../../docs/configuration.md", import.meta.url), "utf8")
const sections = new Map(text.split(/^## /m).map((section) => [section.slice(0, section.indexOf("\n")), section]))
const backends = Object.entries<Entry>(builtIn)

/** The fields in the first column of the tables of a section; of `resilience.times` the first part. */
const fieldsIn = (section: string | undefined) => [
  ...new Set([...(section ?? "").matchAll(/^\| `(\w+)[.`]/gm)].map(([, field]) => field!))
]

/** The variables that a `Config` asks for. Each is answered with nothing, and then with something. */
const variablesOf = async (config: Config.Config<unknown>) => {
  const asked = new Set<string>()
  for (const answer of [undefined, "1"]) {
    const provider = ConfigProvider.make((path) => {
      asked.add(path.join("_"))
      return Effect.succeed(answer === undefined ? undefined : ConfigProvider.makeValue(answer))
    })
    await Effect.runPromiseExit(config.parse(provider))
  }
  return [...asked]
}

describe("docs/configuration.md", () => {
  it.each(backends)("%s: every field is there, and no other", (name, { fields }) => {
    const common = fieldsIn(sections.get("All backends"))
    const own = fieldsIn(sections.get(name))
    assert.sameMembers(
      Object.keys(fields).filter((field) => !common.includes(field)),
      own.filter((field) => field !== "algorithm")
    )
    assert.includeMembers(common, Object.keys(remoteFields))
  })

  it.each(backends)("%s: every variable is there", async (name, { load }) => {
    const { environment } = await load()
    if (environment === undefined) return assert.include(sections.get(name), "Not by the environment")
    const asked = await variablesOf(environment)
    assert.isNotEmpty(asked)
    for (const variable of asked) assert.include(sections.get(name), `\`${variable}\``)
  })

  it("has a section for each backend", () => {
    assert.includeMembers([...sections.keys()], Object.keys(builtIn))
  })
})
