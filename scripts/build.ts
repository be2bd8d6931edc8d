/**
 * `npm run build`: `dist` from `src`, by plain `tsc`, from nothing.
 */
import { spawnSync } from "node:child_process"
import { chmod, rm } from "node:fs/promises"
import { fileURLToPath } from "node:url"

const root = new URL("../", import.meta.url)
const tsc = fileURLToPath(new URL("node_modules/typescript/bin/tsc", root))

await rm(new URL("dist", root), { recursive: true, force: true })
const { status } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" })
if (status !== 0) process.exit(status ?? 1)
await chmod(new URL("dist/cli/bin.js", root), 0o755)
