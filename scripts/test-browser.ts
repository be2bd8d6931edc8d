/**
 * `npm run test:browser`: every algorithm in headless Chromium, with no `node:`
 * in the bundle, each signature verified again here by the native primitives.
 */
import { execFileSync, spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { rolldown } from "rolldown"
import { PublicKey, SignatureAlgorithm, Verifier } from "effect-signer"
import type { Report } from "../test/browser/page.ts"

const fail = (message: string): never => {
  console.error(message)
  process.exit(1)
}

const findBrowser = () => {
  for (const name of [process.env["CHROMIUM"], "chromium", "chromium-browser", "google-chrome"]) {
    if (name === undefined) continue
    try {
      execFileSync(name, ["--version"], { stdio: "ignore" })
      return name
    } catch {
      // not this one
    }
  }
  return fail("No Chromium found. Install it (Debian: apt-get install chromium) or name it in CHROMIUM.")
}

const browser = findBrowser()

const bundle = await rolldown({
  input: new URL("../test/browser/page.ts", import.meta.url).pathname,
  platform: "browser",
  resolve: { conditionNames: ["effect-signer-source", "browser", "import", "default"] },
  logLevel: "silent"
})
const { output } = await bundle.generate({ format: "esm", codeSplitting: false })
const code = output[0].code
if (/(?:from|import|require)\s*\(?\s*["']node:/.test(code)) fail("the browser bundle imports node:")

const done = Promise.withResolvers<ReadonlyArray<Report>>()
const server = createServer((request, response) => {
  if (request.method === "POST") {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      response.end()
      const body = Buffer.concat(chunks).toString("utf8")
      if (request.url === "/reports") done.resolve(JSON.parse(body) as ReadonlyArray<Report>)
      else done.reject(new Error(`the page failed: ${body}`))
    })
    return
  }
  const isScript = request.url === "/page.js"
  response.setHeader("content-type", isScript ? "text/javascript" : "text/html")
  response.end(isScript ? code : `<!doctype html><script type="module" src="/page.js"></script>`)
})
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
const { port } = server.address() as AddressInfo

const profile = await mkdtemp(join(tmpdir(), "effect-signer-browser-"))
const child = spawn(
  browser,
  [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    `--user-data-dir=${profile}`,
    `http://127.0.0.1:${port}/`
  ],
  { stdio: "ignore" }
)
child.on("exit", (code) => done.reject(new Error(`Chromium ended early, exit code ${code}`)))
const deadline = setTimeout(() => done.reject(new Error("no report from the page within 3 minutes")), 180_000)

try {
  const reports = await done.promise
  let failed = 0
  for (const report of reports) {
    const isValidHere = await Effect.runPromise(
      Effect.flatMap(PublicKey.fromPem(report.spkiPem, { algorithm: report.algorithm }), (key) =>
        Verifier.verify(key, Uint8Array.from(report.message), Uint8Array.from(report.signature))
      )
    )
    const isGood = isValidHere && report.isVerified && report.isTamperedRefused && report.isPemRoundTrip
    if (!isGood) failed++
    console.log(`${isGood ? "ok  " : "FAIL"} ${report.backend.padEnd(6)} ${report.algorithm}`)
  }
  if (reports.length !== 2 * SignatureAlgorithm.all.length) fail(`only ${reports.length} reports`)
  console.log(`${reports.length - failed} passed, ${failed} failed`)
  process.exitCode = failed === 0 ? 0 : 1
} finally {
  clearTimeout(deadline)
  child.removeAllListeners("exit")
  child.kill("SIGKILL")
  server.close()
  await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
}
