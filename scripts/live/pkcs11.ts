/**
 * SoftHSM, a PKCS#11 token in software, and `pkcs11js`, which talks to it: the package
 * is compiled into `.cache/live` once; tokens are new, in a folder of their own, for as
 * long as a scope is open.
 */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Cryptoki, Pkcs11Js } from "../../src/layers/Pkcs11Signer.ts"
import type { Software } from "./Software.ts"
import { install, NotAvailable } from "./Software.ts"

const run = promisify(execFile)

const version = "2.1.7"

/** https://github.com/softhsm/SoftHSMv2, and https://www.npmjs.com/package/pkcs11js, which is compiled. */
export const softhsm: Software = {
  name: "softhsm2",
  suite: "kit/pkcs11/softhsm2",
  file: "pkcs11.live.test.ts",
  how: "apt-get install softhsm2 opensc, and for pkcs11js: apt-get install python3 make g++",
  version: () => ["softhsm2-util", "--version"],
  install: {
    pin: `pkcs11js-${version}`,
    commands: (folder) => [
      // npm 11 compiles only what is named here
      [process.execPath, "-e", `require("fs").writeFileSync("package.json", '{"allowScripts":{"pkcs11js":true}}')`],
      [
        "npm",
        "install",
        "--no-save",
        "--no-package-lock",
        "--no-audit",
        "--no-fund",
        "--prefix",
        folder,
        `pkcs11js@${version}`
      ]
    ]
  }
}

/** Where distributions put the module. */
const modules = [
  process.env["EFFECT_SIGNER_SOFTHSM"] ?? "",
  "/usr/lib/softhsm/libsofthsm2.so",
  "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
  "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
  "/usr/lib64/pkcs11/libsofthsm2.so",
  "/usr/local/lib/softhsm/libsofthsm2.so",
  "/opt/homebrew/lib/softhsm/libsofthsm2.so"
]

export interface KeyEntry {
  readonly label: string
  /** Hex. */
  readonly id: string
  /** PKCS#8. */
  readonly pem: string
}

export interface TokenEntry {
  readonly label: string
  readonly keys?: ReadonlyArray<KeyEntry> | undefined
}

/** What the tests may do to a token beside signing with it. */
export interface Library extends Cryptoki {
  C_GetTokenInfo(slot: Uint8Array): ReturnType<Cryptoki["C_GetTokenInfo"]> & { readonly sessionCount: number }
  C_CloseAllSessions(slot: Uint8Array): void
  C_Logout(session: Uint8Array): void
  C_CreateObject(
    session: Uint8Array,
    template: Array<{ type: number; value: number | boolean | Uint8Array }>
  ): Uint8Array
}

export interface SoftHsm {
  readonly module: string
  readonly pkcs11js: Pkcs11Js
  /** One more object on the same library. */
  readonly library: () => Library
  readonly pin: string
  readonly soPin: string
  /** Runs `pkcs11-tool` of opensc. */
  readonly tool: (...args: ReadonlyArray<string>) => Promise<string>
}

const isThere = (program: string) =>
  Effect.promise(() =>
    run("sh", ["-c", 'command -v "$1"', "sh", program]).then(
      () => true,
      () => false
    )
  )

const demand = (isThere: boolean, problem: string) => (isThere ? Effect.void : Effect.fail(new NotAvailable(problem)))

/**
 * Tokens with these keys. SoftHSM reads the name of its configuration from the
 * environment of this process when it is initialised: all tokens of a process come
 * from one call.
 */
export const softHsm = Effect.fnUntraced(function* (
  tokens: ReadonlyArray<TokenEntry>
): Effect.fn.Return<SoftHsm, NotAvailable, Scope.Scope> {
  const module = modules.find((path) => path !== "" && existsSync(path))
  yield* demand(module !== undefined, `there is no module of SoftHSM: ${softhsm.how}`)
  yield* demand(yield* isThere("softhsm2-util"), `there is no softhsm2-util: ${softhsm.how}`)
  yield* demand(yield* isThere("pkcs11-tool"), `there is no pkcs11-tool: ${softhsm.how}`)
  const folder = yield* Effect.mapError(
    install(softhsm),
    ({ message }) => new NotAvailable(`pkcs11js: ${message}; ${softhsm.how}`)
  )
  const loaded = createRequire(`${folder}/`)("pkcs11js") as Pkcs11Js

  const pin = "87654321-user-pin"
  const soPin = "12345678-so-pin"
  const home = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "effect-signer-softhsm-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
  )
  const configuration = join(home, "softhsm2.conf")
  const env = { ...process.env, SOFTHSM2_CONF: configuration }
  const before = process.env["SOFTHSM2_CONF"]
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (before === undefined) delete process.env["SOFTHSM2_CONF"]
      else process.env["SOFTHSM2_CONF"] = before
    })
  )
  process.env["SOFTHSM2_CONF"] = configuration
  yield* Effect.tryPromise({
    try: async () => {
      await mkdir(join(home, "tokens"))
      await writeFile(configuration, `directories.tokendir = ${join(home, "tokens")}\nlog.level = ERROR\n`)
      for (const { keys = [], label } of tokens) {
        await run("softhsm2-util", ["--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", soPin], {
          env
        })
        for (const key of keys) {
          const file = join(home, "key.pem")
          await writeFile(file, key.pem, { mode: 0o600 })
          await run(
            "softhsm2-util",
            ["--import", file, "--token", label, "--label", key.label, "--id", key.id, "--pin", pin],
            { env }
          )
          await rm(file)
        }
      }
    },
    catch: (error) => new NotAvailable(`SoftHSM cannot be prepared: ${String((error as Error).message).slice(-300)}`)
  })
  return {
    module: module!,
    pkcs11js: loaded,
    library: () => {
      const library = new loaded.PKCS11() as Library
      library.load(module!)
      return library
    },
    pin,
    soPin,
    tool: (...args) => run("pkcs11-tool", ["--module", module!, ...args], { env }).then(({ stdout }) => stdout)
  }
})
