import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../", import.meta.url))

/** One line of code in one file, and the rule that must refuse it. */
interface Case {
  readonly file: string
  readonly code: string
  readonly rule?: string | undefined
}

const imports = (file: string, ...specifiers: ReadonlyArray<string>): ReadonlyArray<Case> =>
  specifiers.map((specifier) => ({ file, code: `export * from "${specifier}"` }))

const refused = (file: string, ...specifiers: ReadonlyArray<string>): ReadonlyArray<Case> =>
  imports(file, ...specifiers).map((one) => ({ ...one, rule: "eslint(no-restricted-imports)" }))

const upwards: Readonly<Record<string, ReadonlyArray<string>>> = {
  primitives: ["services", "decorators", "protocols", "layers", "testing", "cli"],
  schemas: ["services", "decorators", "protocols", "layers", "testing", "cli"],
  services: ["decorators", "protocols", "layers", "testing", "cli"],
  decorators: ["protocols", "layers", "testing", "cli"],
  protocols: ["layers", "testing", "cli"],
  layers: ["testing", "cli"],
  testing: ["cli"]
}

const folders = [...Object.keys(upwards), "cli"]

const portable = ["schemas", "services", "decorators", "protocols", "layers", "testing"]

const cases: ReadonlyArray<Case> = [
  // the direction, and what is allowed along it
  ...Object.entries(upwards).flatMap(([folder, above]) => [
    ...above.flatMap((other) => refused(`${folder}/A.ts`, `../${other}/B.ts`)),
    ...folders
      .filter(
        (other) => folder !== "primitives" && other !== folder && !above.includes(other) && other !== "primitives"
      )
      .flatMap((other) => imports(`${folder}/A.ts`, `../${other}/B.ts`)),
    ...imports(`${folder}/A.ts`, "./B.ts", "@noble/hashes/sha2.js").slice(0, folder === "decorators" ? 1 : 2)
  ]),
  ...imports("schemas/A.ts", "#primitives", "../primitives/Primitives.ts", "@scure/base", "effect/encoding/Hex"),
  ...imports("services/A.ts", "#primitives", "../primitives/Primitives.ts"),
  ...imports("primitives/A.ts", "../schemas/Ecdsa.ts", "../schemas/SignatureAlgorithm.ts"),
  ...imports("testing/emulator/A.ts", "node:http", "../../schemas/KeyId.ts"),
  ...refused("testing/emulator/A.ts", "../../cli/main.ts", "effect"),
  ...imports("cli/A.ts", "node:fs", "../layers/LocalSigner.ts", "../Signer.ts"),
  // what stands behind a backend, another backend
  ...refused("layers/aws/A.ts", "../gcp/B.ts", "../OtherSigner.ts", "../../Signer.ts", "../../testing/B.ts", "node:fs"),
  ...imports("layers/aws/A.ts", "./B.ts", "../remote/B.ts", "../../schemas/KeyId.ts", "../../services/Signer.ts"),
  ...refused("protocols/jose/A.ts", "../../layers/B.ts", "../../cli/B.ts"),
  ...imports("protocols/jose/A.ts", "./B.ts", "../../schemas/KeyId.ts", "../../services/Signer.ts"),
  // a layer, another backend's layer
  ...refused("layers/OneSigner.ts", "./OtherSigner.ts", "../Signer.ts", "../index.ts"),
  ...imports(
    "layers/OneSigner.ts",
    "./Pool.ts",
    "@aws-sdk/client-kms",
    "effect/http/HttpClient",
    "../protocols/Jws.ts"
  ),
  // the one list of all backends
  ...imports("layers/config/SignerConfigBackends.ts", "../OtherSigner.ts", "./SignerConfigField.ts"),
  ...refused("layers/config/SignerConfigBackends.ts", "node:fs", "../../testing/A.ts", "../../Signer.ts", "effect"),
  // cycles through `#primitives`, which import/no-cycle cannot see
  ...refused("primitives/A.ts", "../schemas/PublicKey.ts"),
  ...["SignatureAlgorithm", "SignerError", "Ecdsa"].flatMap((name) => [
    ...refused(`schemas/${name}.ts`, "#primitives", "./PublicKey.ts"),
    ...imports(`schemas/${name}.ts`, "effect/Schema")
  ]),
  // the runtime
  ...portable.flatMap((folder) => [
    ...refused(`${folder}/A.ts`, "node:fs", "../primitives/node.ts"),
    ...imports(`${folder}/A.ts`, "effect/Effect")
  ]),
  ...refused("primitives/A.ts", "node:crypto", "./node.ts"),
  ...refused("primitives/node.ts", "node:fs"),
  ...imports("primitives/node.ts", "node:crypto"),
  { file: "cli/A.ts", code: `export const fs = () => import("fs")`, rule: "unicorn(prefer-node-protocol)" },
  { file: "schemas/A.ts", code: "export const buffer = () => Buffer.alloc(1)", rule: "eslint(no-restricted-globals)" },
  { file: "services/A.ts", code: "export const log = () => console.log(1)", rule: "eslint(no-console)" },
  // Effect by module; unstable areas of it, and vendors, only where they may be
  ...folders.flatMap((folder) =>
    refused(`${folder}/A.ts`, ...(folder === "primitives" ? ["effect"] : ["effect", "effect/http", "effect-signer"]))
  ),
  ...["schemas", "services", "decorators"].flatMap((folder) => refused(`${folder}/A.ts`, "effect/http/HttpClient")),
  ...["schemas", "services", "decorators", "protocols"].flatMap((folder) =>
    refused(`${folder}/A.ts`, "@aws-sdk/client-kms", "pkcs11js")
  ),
  ...imports("protocols/A.ts", "effect/http/HttpClient"),
  {
    file: "schemas/A.ts",
    code: `export const lazy = () => import("../layers/B.ts")`,
    rule: "eslint(no-restricted-imports)"
  },
  { file: "schemas/A.ts", code: `export type { A } from "../layers/B.ts"`, rule: "eslint(no-restricted-imports)" },
  // facades and examples
  ...refused("Facade.ts", "effect/Effect", "node:fs", "./cli/main.ts", "./primitives/node.ts"),
  ...imports("Facade.ts", "./schemas/A.ts", "./layers/LocalSigner.ts"),
  ...refused("../examples/a.ts", "../src/index.ts"),
  ...imports("../examples/a.ts", "effect-signer", "effect"),
  // what else the configuration adds to oxlint's own choice
  { file: "schemas/A.ts", code: "export const untyped = (a: any) => a", rule: "typescript(no-explicit-any)" },
  { file: "schemas/A.ts", code: "const unused = 1", rule: "eslint(no-unused-vars)" },
  { file: "../test/a.test.ts", code: `import { it } from "@effect/vitest"` },
  { file: "../test/a.test.ts", code: `it.only("a", () => {})`, rule: "eslint(no-restricted-properties)" },
  { file: "../test/a.test.ts", code: `it.effect.only("b", () => {})`, rule: "eslint(no-restricted-properties)" },
  { file: "../test/a.test.ts", code: `it.effect.skip("c", () => {})`, rule: "eslint(no-restricted-properties)" },
  // cycles, of types too
  { file: "schemas/X.ts", code: `export * from "./Y.ts"`, rule: "import(no-cycle)" },
  { file: "schemas/Y.ts", code: `export type { A } from "./X.ts"`, rule: "import(no-cycle)" }
]

/** The rules that refuse each line: all files linted by one run of the project's own configuration. */
const lint = async (files: ReadonlyMap<string, ReadonlyArray<string>>) => {
  const folder = await mkdtemp(join(tmpdir(), "effect-signer-lint-"))
  try {
    await cp(join(root, ".oxlintrc.json"), join(folder, ".oxlintrc.json"))
    for (const [file, lines] of files) {
      await mkdir(dirname(join(folder, file)), { recursive: true })
      await writeFile(join(folder, file), `${lines.join("\n")}\n`)
    }
    const output = await new Promise<string>((resolve) => {
      execFile(
        process.execPath,
        [join(root, "node_modules/oxlint/bin/oxlint"), "--config=.oxlintrc.json", "--format=json", "."],
        { cwd: folder, maxBuffer: 1 << 26 },
        (_, stdout) => resolve(stdout)
      )
    })
    const { diagnostics } = JSON.parse(output) as {
      readonly diagnostics: ReadonlyArray<{
        readonly code: string
        readonly filename: string
        readonly labels: ReadonlyArray<{ readonly span: { readonly line: number } }>
      }>
    }
    return (file: string, line: number): ReadonlyArray<string> =>
      diagnostics
        .filter(({ filename, labels }) => filename === file && labels[0]?.span.line === line)
        .map(({ code }) => code)
  } finally {
    await rm(folder, { recursive: true })
  }
}

describe("lint", async () => {
  const byFile = Map.groupBy(cases, ({ file }) => join("src", file))
  const rulesAt = await lint(new Map([...byFile].map(([file, all]) => [file, all.map(({ code }) => code)])))
  const rows = [...byFile].flatMap(([file, all]) =>
    all.map((one, index) => ({ ...one, file, line: index + 1, rules: one.rule === undefined ? [] : [one.rule] }))
  )

  it.each(rows.filter(({ rules }) => rules.length > 0))("refuses in $file: $code", ({ file, line, rules }) => {
    assert.deepStrictEqual(rulesAt(file, line), rules)
  })

  it.each(rows.filter(({ rules }) => rules.length === 0))("allows in $file: $code", ({ file, line }) => {
    assert.deepStrictEqual(rulesAt(file, line), [])
  })
})
