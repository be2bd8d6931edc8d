/**
 * `npm run check:pack -- [--json FILE]`: is what we publish what a user can use?
 *
 * Packs the package, installs it in empty folders as users do (alone, with the
 * command line's optional peer, with every optional peer), and there imports
 * every subpath, compiles against the types, bundles for a browser, and
 * measures what an install costs.
 */
import { execFile } from "node:child_process"
import { access, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { gzipSync } from "node:zlib"
import { rolldown } from "rolldown"

interface PackageJson {
  readonly version: string
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly imports: Readonly<Record<string, Readonly<Record<string, string | Readonly<Record<string, string>>>>>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>
  readonly devDependencies: Readonly<Record<string, string>>
}

const { values: options } = parseArgs({ options: { json: { type: "string" } } })

const root = fileURLToPath(new URL("../", import.meta.url))
const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as PackageJson
const cliPeer = "@effect/platform-node-shared"
const optionalPeers = Object.keys(manifest.peerDependenciesMeta).filter(
  (name) => manifest.peerDependenciesMeta[name]!.optional
)
/** As developed on; `pkcs11js` is compiled at install, and so no development dependency. */
const pinned = (name: string) => `${name}@${manifest.devDependencies[name] ?? manifest.peerDependencies[name]}`

// ---------------------------------------------------------------------------
// reporting
// ---------------------------------------------------------------------------

const failures: Array<string> = []

const report = (claim: string, problems: ReadonlyArray<string>): void => {
  console.log(`${problems.length === 0 ? "ok  " : "FAIL"}  ${claim}`)
  for (const problem of problems) console.log(`      ${problem.replaceAll("\n", "\n      ")}`)
  failures.push(...problems)
}

interface Output {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const run = (cwd: string, command: string, args: ReadonlyArray<string>): Promise<Output> =>
  new Promise((resolve) => {
    execFile(command, args, { cwd, maxBuffer: 1 << 28 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 1, stdout, stderr })
    )
  })

const must = async (cwd: string, command: string, args: ReadonlyArray<string>): Promise<string> => {
  const { code, stderr, stdout } = await run(cwd, command, args)
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} failed with ${code}\n${stdout}${stderr}`)
  return stdout
}

// ---------------------------------------------------------------------------
// pack and install
// ---------------------------------------------------------------------------

const work = await mkdtemp(join(tmpdir(), "effect-signer-pack-"))
process.on("exit", () => void rm(work, { recursive: true, force: true }))

interface Packed {
  readonly filename: string
  readonly size: number
  readonly unpackedSize: number
  readonly files: ReadonlyArray<{ readonly path: string; readonly mode: number }>
}

const packOutput = await must(root, "npm", ["pack", "--json", "--pack-destination", work])
const [packed] = JSON.parse(packOutput.slice(packOutput.indexOf("[\n"))) as readonly [Packed]
const packedFiles = new Set(packed.files.map(({ path }) => path))

const install = async (name: string, ...packages: ReadonlyArray<string>): Promise<string> => {
  const folder = join(work, name)
  await mkdir(folder)
  await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }))
  const flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
  await must(folder, "npm", ["install", ...flags, join(work, packed.filename), pinned("effect"), ...packages])
  return folder
}

const library = await install("library")
const commandLine = await install("command-line", pinned(cliPeer))
const everything = await install("everything", ...optionalPeers.map(pinned))

// ---------------------------------------------------------------------------
// what is in the tarball
// ---------------------------------------------------------------------------

const targets = (value: unknown): ReadonlyArray<string> =>
  typeof value === "string" ? [value] : Object.values(value as object).flatMap(targets)

const backends = [...packedFiles].flatMap((path) => /^dist\/layers\/(\w+Signer)\.js$/.exec(path)?.[1] ?? [])
const subpaths = Object.keys(manifest.exports)
  .filter((subpath) => subpath !== "./package.json")
  .flatMap((subpath) => (subpath === "./*Signer" ? backends.map((name) => `./${name}`) : [subpath]))
  .map((subpath) => `effect-signer${subpath.slice(1)}`)

const wanted = [
  "LICENSE",
  "README.md",
  ...[manifest.exports, manifest.imports, manifest.bin].flatMap(targets).map((path) => path.slice(2))
].filter((path) => !path.includes("*"))
report(
  "the tarball has every file that package.json names, the licence and the README",
  wanted.filter((path) => !packedFiles.has(path)).map((path) => `missing: ${path}`)
)
report(
  "the tarball has dist, src, docs, examples and nothing else",
  [...packedFiles].filter(
    (path) =>
      !/^(dist|src)\/.+\.(js|ts|map)$|^examples\/.+\.(ts|json)$|^(package\.json|LICENSE|(docs\/)?\w+\.md)$/.test(path)
  )
)

const installed = join(library, "node_modules/effect-signer")
const maps = [...packedFiles].filter((path) => path.endsWith(".map"))
const orphans = await Promise.all(
  maps.map(async (path) => {
    const { sources } = JSON.parse(await readFile(join(installed, path), "utf8")) as { sources: ReadonlyArray<string> }
    const found = await Promise.all(
      sources.map((source) =>
        access(join(installed, dirname(path), source)).then(
          () => true,
          () => false
        )
      )
    )
    return found.every(Boolean) ? [] : [`${path}: its source is not in the package`]
  })
)
report("every source map leads to a source", orphans.flat())

// ---------------------------------------------------------------------------
// import, from plain JavaScript
// ---------------------------------------------------------------------------

/** Prints the files that were loaded. */
const tracer = `
import { registerHooks } from "node:module"
import { writeSync } from "node:fs"
const files = []
registerHooks({ load: (url, context, next) => { files.push(url); return next(url, context) } })
process.on("exit", () => writeSync(1, "\\n" + JSON.stringify(files)))
`

interface Loaded {
  readonly error: string | undefined
  readonly packages: ReadonlyArray<string>
}

const load = async (folder: string, specifier: string): Promise<Loaded> => {
  await writeFile(join(folder, "tracer.mjs"), tracer)
  const code = `const m = await import(${JSON.stringify(specifier)}); if (Object.keys(m).length === 0) throw new Error("exports nothing")`
  const args = ["--import", "./tracer.mjs", "--input-type=module", "--eval", code]
  const { code: exit, stderr, stdout } = await run(folder, process.execPath, args)
  const files = JSON.parse(stdout.slice(stdout.lastIndexOf("\n"))) as ReadonlyArray<string>
  const packages = files.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? [])
  return {
    error: exit === 0 ? undefined : (/^\w*Error.*$/m.exec(stderr)?.[0] ?? stderr),
    packages: [...new Set(packages)].toSorted()
  }
}

const alone = await Promise.all(subpaths.map((specifier) => load(library, specifier)))
const complete = await Promise.all(subpaths.map((specifier) => load(everything, specifier)))
/** A subpath of a vendor says which optional peer it misses. */
const missesPeer = ({ error }: Loaded) =>
  error !== undefined && optionalPeers.some((name) => error.includes(`Cannot find package '${name}'`))
report(
  `${subpaths.length} subpaths import without optional peers, or name the one they need`,
  subpaths.flatMap((specifier, index) => {
    const { error } = alone[index]!
    return error === undefined || missesPeer(alone[index]!) ? [] : [`${specifier}: ${error}`]
  })
)
report(
  "every subpath imports with its optional peers",
  subpaths.flatMap((specifier, index) => {
    const { error } = complete[index]!
    return error === undefined ? [] : [`${specifier}: ${error}`]
  })
)

const core = ["@noble/hashes", "@scure/base", "effect", "effect-signer"]
const rootPackages = complete[subpaths.indexOf("effect-signer")]!.packages
report(
  `importing the root loads ${rootPackages.join(", ")}`,
  rootPackages.filter((name) => !core.includes(name)).map((name) => `and ${name}, which it must not`)
)

/** Every file of ours that is not a public subpath, as somebody might try to name it. */
const internals = [...packedFiles].flatMap((path) => {
  const name = /^dist\/(.*)\.js$/.exec(path)?.[1]
  return name === undefined ? [] : [`effect-signer/dist/${name}.js`, `effect-signer/${name}`]
})
const attempts = internals.filter((specifier) => !subpaths.includes(specifier))
const script = `
const { resolve } = require("node:module").createRequire(process.cwd() + "/package.json")
const isFound = (specifier) => { try { return resolve(specifier) !== "" } catch { return false } }
console.log(JSON.stringify(${JSON.stringify(attempts)}.filter(isFound)))`
const found = JSON.parse(await must(library, process.execPath, ["--eval", script])) as ReadonlyArray<string>
report(`nothing internal can be imported (${attempts.length} attempts)`, found)

// ---------------------------------------------------------------------------
// the command line
// ---------------------------------------------------------------------------

const effectSigner = (folder: string, ...args: ReadonlyArray<string>) =>
  run(folder, join(folder, "node_modules/.bin/effect-signer"), args)

const version = await effectSigner(commandLine, "--version")
report(
  "effect-signer --version answers",
  version.stdout.includes(manifest.version) ? [] : [version.stdout + version.stderr]
)
const refusal = await effectSigner(library, "--version")
report(
  `without ${cliPeer}, effect-signer says what to install`,
  refusal.code !== 0 && refusal.stderr.includes(`npm install`) && refusal.stderr.includes(cliPeer)
    ? []
    : [`exit ${refusal.code}: ${refusal.stdout}${refusal.stderr}`]
)

// ---------------------------------------------------------------------------
// types
// ---------------------------------------------------------------------------

const consumer = `
import { Effect, Layer } from "effect"
import { Decorator, LocalSigner, PrivateKey, type Signature, Signer, type SignerError, Verifier } from "effect-signer"
${subpaths.map((specifier, index) => `import * as M${index} from "${specifier}"`).join("\n")}
export const modules = [${subpaths.map((_, index) => `M${index}`).join(", ")}]

// Types that became \`any\` on the way here would make these true as well.
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const yes = <A extends true>(value: A): A => value

const SignerLive = LocalSigner.layer({ privateKey: PrivateKey.generate("Ed25519") }).pipe(
  Signer.resilient(),
  Signer.verified
)
yes<Same<typeof SignerLive, Layer.Layer<Signer.Signer, SignerError.SignerError>>>(true)

const sign = Effect.gen(function* () {
  const signer = yield* Signer.Signer
  return yield* signer.sign(new Uint8Array([1]))
})
yes<Same<typeof sign, Effect.Effect<Signature.Signature, SignerError.SignerError, Signer.Signer>>>(true)

const key: LocalSigner.Options["privateKey"] = PrivateKey.generate("ES256")
yes<Same<LocalSigner.Options["privateKey"], typeof key | PrivateKey.PrivateKey>>(true)
// @ts-expect-error a key is not a number
export const wrong: LocalSigner.Options["privateKey"] = 1
export const programs = [Effect.provide(sign, SignerLive), Decorator.timeout("1 second"), Verifier.verify]
`

const strict = {
  target: "ES2022",
  lib: ["ES2022", "DOM", "DOM.Iterable", "ESNext.Disposable"],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  noEmit: true,
  types: []
}

const tsc = async (name: string, compilerOptions: object, files: ReadonlyArray<string>): Promise<void> => {
  const config = JSON.stringify({ compilerOptions: { ...strict, ...compilerOptions }, files })
  await writeFile(join(everything, `${name}.json`), config)
  const compiler = join(root, "node_modules/typescript/bin/tsc")
  const { stdout } = await run(everything, process.execPath, [compiler, "--pretty", "false", "-p", `${name}.json`])
  // What another package's declarations get wrong is not ours to mend.
  const ours = stdout
    .split(/\n(?=\S)/)
    .filter((error) => error !== "" && !/^node_modules\/(?!effect-signer\/)/.test(error))
  report(`types compile: ${name}`, ours)
}

await writeFile(join(everything, "consumer.ts"), consumer)
await tsc("NodeNext", { module: "NodeNext" }, ["consumer.ts"])
await tsc("Bundler", { module: "ESNext", moduleResolution: "Bundler" }, ["consumer.ts"])
const declarations = [...packedFiles].filter((path) => path.endsWith(".d.ts"))
await tsc(
  "every declaration",
  { module: "NodeNext", types: ["node"], typeRoots: [join(root, "node_modules/@types")] },
  declarations.map((path) => `node_modules/effect-signer/${path}`)
)

// ---------------------------------------------------------------------------
// browsers
// ---------------------------------------------------------------------------

const bundle = async (folder: string, code: string) => {
  const entry = join(folder, "browser.js")
  await writeFile(entry, code)
  const build = await rolldown({ input: entry, platform: "browser", logLevel: "silent" })
  const { output } = await build.generate({ format: "esm", minify: true })
  await build.close()
  const chunks = output.filter((file) => file.type === "chunk")
  const own = new Set(chunks.map(({ fileName }) => fileName))
  const first = chunks.find(({ isEntry }) => isEntry)!
  const initial = new Set([first.fileName, ...first.imports])
  return {
    external: [...new Set(chunks.flatMap(({ dynamicImports, imports }) => [...imports, ...dynamicImports]))].filter(
      (name) => !own.has(name)
    ),
    modules: chunks.flatMap(({ moduleIds }) => moduleIds),
    gzip: chunks
      .filter(({ fileName }) => initial.has(fileName))
      .reduce((sum, { code }) => sum + gzipSync(code).length, 0)
  }
}

const inBrowser = await bundle(
  library,
  `export * as S from "effect-signer"; export * as N from "effect-signer/NobleSigner"`
)
report("a browser bundle of the root and NobleSigner has no node: module", [
  ...inBrowser.external
    .filter((name) => !optionalPeers.some((peer) => name.startsWith(peer)))
    .map((name) => `imports ${name}`),
  ...inBrowser.modules.filter((id) => id.endsWith("primitives/node.js")).map((id) => `contains ${id}`),
  ...(inBrowser.modules.some((id) => id.endsWith("primitives/portable.js")) ? [] : ["lacks primitives/portable.js"])
])
const small = await bundle(
  library,
  `export { layer } from "effect-signer/NobleSigner"
export { generate } from "effect-signer/PrivateKey"
export { sign } from "effect-signer/Signer"
export { verify } from "effect-signer/Verifier"`
)

// ---------------------------------------------------------------------------
// what an install costs
// ---------------------------------------------------------------------------

const sizeOf = async (path: string): Promise<number> => {
  const entries = await readdir(path, { withFileTypes: true, recursive: true })
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size)
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

const measure = async (install: string, folder: string) => {
  const lock = await readFile(join(folder, "node_modules/.package-lock.json"), "utf8")
  const names = Object.keys((JSON.parse(lock) as { packages: object }).packages)
  const bytes = await sizeOf(join(folder, "node_modules"))
  const effect = await sizeOf(join(folder, "node_modules/effect"))
  return { install, packages: names.length, bytes, withoutEffect: bytes - effect }
}

const installs = [
  await measure("effect-signer and effect", library),
  await measure(`and ${cliPeer}, for the command line`, commandLine)
]
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
console.log(`
| install | packages | size | of which not effect |
| --- | ---: | ---: | ---: |
${installs.map((row) => `| ${row.install} | ${row.packages} | ${megabytes(row.bytes)} | ${megabytes(row.withoutEffect)} |`).join("\n")}

tarball ${(packed.size / 1e3).toFixed(0)} kB, unpacked ${megabytes(packed.unpackedSize)}, ${packed.files.length} files
browser bundle to generate, sign and verify, before a curve is loaded: ${(small.gzip / 1e3).toFixed(0)} kB minified and gzipped
`)

if (options.json !== undefined) {
  const result = {
    passed: failures.length === 0,
    failures,
    subpaths: subpaths.map((specifier, index) => ({ specifier, loads: complete[index]!.packages })),
    installs,
    tarball: { bytes: packed.size, unpacked: packed.unpackedSize, files: packed.files.length },
    browser: { gzip: small.gzip }
  }
  await writeFile(`${options.json}.part`, `${JSON.stringify(result, undefined, 2)}\n`)
  await rename(`${options.json}.part`, options.json)
}
console.log(failures.length === 0 ? "The package is good." : `${failures.length} problems in the package.`)
process.exitCode = failures.length === 0 ? 0 : 1
