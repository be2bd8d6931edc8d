/**
 * `npm run test:oracles`: installs other libraries beside their tests, in a
 * package of their own, and runs these. The normal install stays small.
 */
import { spawnSync } from "node:child_process"
import { symlinkSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../", import.meta.url))
const folder = fileURLToPath(new URL("../test/oracles/", import.meta.url))

const run = (command: string, args: ReadonlyArray<string>, cwd: string): void => {
  const { status } = spawnSync(command, args, { cwd, stdio: "inherit", shell: process.platform === "win32" })
  if (status !== 0) process.exit(status ?? 1)
}

run("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder)
// The examples import what a user imports: `effect-signer/...`
symlinkSync(root, `${folder}node_modules/effect-signer`, "junction")
// With the types of the other libraries, which no other check sees
run("npx", ["tsc", "--noEmit", "-p", "test/oracles"], root)
run("npx", ["vitest", "run", "--config", "test/oracles/vitest.config.ts", ...process.argv.slice(2)], root)
