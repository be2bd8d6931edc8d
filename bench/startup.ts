/**
 * What a backend costs at start-up: the import of its module, and a layer of it that
 * asks nobody anything, so with the vendor's SDK loaded where there is one. Of the
 * built package; each sample is a process of its own, in turn with one that does
 * nothing.
 */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { PrivateKey } from "effect-signer"
import type { Result, Row } from "./Row.ts"
import { median } from "./Row.ts"

const run = promisify(execFile)
const root = new URL("..", import.meta.url)
const rounds = 15

interface Startup {
  readonly name: string
  readonly specifier: string
  /** The layer, of the module `M`; the key file is `file`. */
  readonly layer?: string
  readonly needsHttpClient?: boolean
}

const backend = (name: string, layer?: string, needsHttpClient = false): Startup => ({
  name,
  specifier: `effect-signer/${name.split("/")[0]}`,
  ...(layer === undefined ? {} : { layer }),
  needsHttpClient
})

const gcpKey = "projects/p/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"

const startups: ReadonlyArray<Startup> = [
  // what every program on Effect has
  { name: "effect", specifier: "effect/Schema" },
  { name: "index", specifier: "effect-signer" },
  backend("LocalSigner", `M.layerGenerated("Ed25519")`),
  backend("FileSigner", "M.layer({ path: file })"),
  backend(
    "AwsKmsSigner",
    `M.layer({
      endpoint: "http://127.0.0.1:9",
      region: "eu-central-1",
      keyId: "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
      algorithm: "Ed25519",
      credentials: { accessKeyId: "AKID", secretAccessKey: Redacted.make("startup") },
      lazy: true
    })`
  ),
  backend(
    "AzureKeyVaultSigner",
    `M.layer({ vaultUrl: "https://release.vault.azure.net/keys/release", algorithm: "ES256", lazy: true })`,
    true
  ),
  backend("GcpKmsSigner/rest", `M.layer({ key: "${gcpKey}", algorithm: "ES256", lazy: true })`, true),
  backend(
    "GcpKmsSigner/grpc",
    `M.layer({ key: "${gcpKey}", transport: "grpc", algorithm: "ES256", lazy: true })`,
    true
  ),
  backend(
    "VaultSigner",
    `M.layer({
      url: "http://127.0.0.1:9",
      token: Redacted.make("hvs.startup"),
      key: "release",
      algorithm: "Ed25519",
      lazy: true
    })`,
    true
  ),
  backend(
    "SshAgentSigner",
    `M.layer({
      key: { id52: "i66fo538lfl5ombdf6tcdbrabp4hmp9asv7nrffuc2im13ct4q60" },
      algorithm: "Ed25519",
      socket: "/nowhere/agent",
      lazy: true
    })`
  ),
  backend(
    "Pkcs11Signer",
    `M.layer({
      module: "/nowhere/token.so",
      token: "release",
      object: "release",
      pin: Redacted.make("startup"),
      algorithm: "ES256",
      lazy: true
    })`
  ),
  backend("KeyringSigner")
]

/** Milliseconds, and bytes of the resident set, when nothing, the module or the layer is there. */
interface Sample {
  readonly time: number
  readonly memory: number
}

interface Costs {
  readonly bare: Sample
  readonly imported: Sample
  /** As `imported` where there is no layer to build. */
  readonly built: Sample
}

const sample = `const sample = () => ({ time: performance.now(), memory: process.memoryUsage.rss() })\n`

const inProcess = async (script: string): Promise<unknown> => {
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", sample + script], { cwd: root })
  return JSON.parse(stdout)
}

const bare = "console.log(JSON.stringify(sample()))"

const scriptOf = ({ layer, needsHttpClient, specifier }: Startup, file: string) => `
const M = await import(${JSON.stringify(specifier)})
const imported = sample()
const built = ${
  layer === undefined
    ? "imported"
    : `await (async () => {
  const file = ${JSON.stringify(file)}
  const [Effect, Layer, Redacted] = await Promise.all(
    ["Effect", "Layer", "Redacted"].map((name) => import("effect/" + name))
  )
  const layer = ${layer}
  const whole = ${needsHttpClient ? `layer.pipe(Layer.provide((await import("effect/http/FetchHttpClient")).layer))` : "layer"}
  return Effect.runPromise(Effect.scoped(Effect.andThen(Layer.build(whole), Effect.sync(sample))))
})()`
}
console.log(JSON.stringify({ imported, built }))
process.exit()`

/** All of them in turn, so that whatever else the machine does disturbs them alike. */
const measureAll = async (): Promise<ReadonlyMap<Startup, ReadonlyArray<Costs>>> => {
  if (!existsSync(new URL("dist", root))) await run("npm", ["run", "build"], { cwd: root })
  const folder = await mkdtemp(join(tmpdir(), "effect-signer-bench-"))
  try {
    const file = join(folder, "key.pem")
    const key = await Effect.runPromise(PrivateKey.generate("Ed25519"))
    await writeFile(file, Redacted.value(PrivateKey.toPem(key)), { mode: 0o600 })
    const costs = new Map(startups.map((startup) => [startup, new Array<Costs>()]))
    for (let round = 0; round < rounds; round++) {
      for (const [startup, samples] of costs) {
        const alone = (await inProcess(bare)) as Sample
        samples.push({ bare: alone, ...((await inProcess(scriptOf(startup, file))) as Omit<Costs, "bare">) })
      }
    }
    return costs
  } finally {
    await rm(folder, { recursive: true })
  }
}

let measured: Promise<ReadonlyMap<Startup, ReadonlyArray<Costs>>> | undefined

/** Up to four rows of the one measurement, which is made when the first of all rows is wanted. */
const rowsOf = (startup: Startup): ReadonlyArray<Row> => {
  const row = (name: string, at: "imported" | "built", what: keyof Sample): Row => ({
    name,
    measure: Effect.promise(async (): Promise<Result> => {
      const samples = (await (measured ??= measureAll())).get(startup)!
      const scale = what === "memory" ? 1e6 : 1
      return {
        name,
        value: median(samples.map((cost) => (cost[at][what] - cost.bare[what]) / scale)),
        unit: what === "memory" ? "MB" : "ms",
        against: "bare Node",
        ratio: median(samples.map((cost) => cost[at][what] / cost.bare[what])),
        samples: samples.length
      }
    })
  })
  const prefix = `startup/${startup.name}`
  return [
    row(`${prefix}/import`, "imported", "time"),
    row(`${prefix}/import/memory`, "imported", "memory"),
    ...(startup.layer === undefined
      ? []
      : [row(`${prefix}/layer`, "built", "time"), row(`${prefix}/layer/memory`, "built", "memory")])
  ]
}

export const rows: ReadonlyArray<Row> = startups.flatMap(rowsOf)
