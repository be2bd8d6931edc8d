/**
 * `npm run test:oracles`: installs other libraries beside their tests, in a
 * package of their own, and runs these. The normal install stays small.
 */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../", import.meta.url))
const folder = fileURLToPath(new URL("../test/oracles/", import.meta.url))

const run = (command: string, args: ReadonlyArray<string>, cwd: string): void => {
  const { status } = spawnSync(command, args, { cwd, stdio: "inherit", shell: process.platform === "win32" })
  if (status !== 0) process.exit(status ?? 1)
}

run("npm", ["ci", "--no-audit", "--no-fund"], folder)
run("npx", ["vitest", "run", "--config", "test/oracles/vitest.config.ts", ...process.argv.slice(2)], root)
