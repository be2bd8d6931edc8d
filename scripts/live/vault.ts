/**
 * Servers of the transit engine: Vault and OpenBao.
 */
import { fileURLToPath } from "node:url"
import type { Software } from "./Software.ts"

export const rootToken = "effect-signer-live-root"

const file = "vault.live.test.ts"

/** In development mode: in memory, unsealed, without TLS, on the loopback interface. */
const start =
  (command: (folder: string) => string): NonNullable<Software["start"]> =>
  (folder, port) => ({
    command: command(folder),
    args: [
      "server",
      "-dev",
      "-dev-no-store-token",
      `-dev-root-token-id=${rootToken}`,
      `-dev-listen-address=127.0.0.1:${port}`
    ],
    env: { HOME: folder }
  })

/** Links the executable that is there into the folder, or does what else gets one. */
const linked = (command: string, otherwise: string): ReadonlyArray<string> => [
  "-euc",
  `if found=$(command -v "$1"); then ln -sf "$found" "$2"; else ${otherwise}; fi`,
  "sh",
  command
]

/** Vault 1.21.4, built from the Go module proxy where there is no executable: see `build-vault.sh`. */
export const vault: Software = {
  name: "vault",
  suite: "kit/vault/vault",
  file,
  how: "put vault on the PATH or name it in EFFECT_SIGNER_VAULT (https://developer.hashicorp.com/vault/install); or install Go 1.25 or newer, and it is built",
  version: (folder) => [`${folder}vault`, "version"],
  install: {
    pin: process.env["EFFECT_SIGNER_VAULT"]?.replace(/\W+/g, "-") ?? "1.21.4",
    limit: "25 minutes",
    commands: (folder) => [
      [
        "sh",
        ...linked(process.env["EFFECT_SIGNER_VAULT"] ?? "vault", 'exec bash "$3" "$2"'),
        `${folder}vault`,
        fileURLToPath(new URL("build-vault.sh", import.meta.url))
      ]
    ]
  },
  start: start((folder) => `${folder}vault`)
}

/** https://openbao.org/docs/install/ */
export const openbao: Software = {
  name: "openbao",
  suite: "kit/vault/openbao",
  file,
  how: "put bao on the PATH or name it in EFFECT_SIGNER_BAO (https://openbao.org/docs/install/)",
  version: (folder) => [`${folder}bao`, "version"],
  install: {
    pin: process.env["EFFECT_SIGNER_BAO"]?.replace(/\W+/g, "-") ?? "latest",
    commands: (folder) => [
      [
        "sh",
        ...linked(
          process.env["EFFECT_SIGNER_BAO"] ?? "bao",
          'GOBIN=$(dirname "$2") go install github.com/openbao/openbao@latest && mv "$(dirname "$2")/openbao" "$2"'
        ),
        `${folder}bao`
      ]
    ]
  },
  start: start((folder) => `${folder}bao`)
}

/** A key of a server that runs already. */
export const server: Software = {
  name: "vault-server",
  suite: "kit/vault/live",
  file,
  how: "name a server in EFFECT_SIGNER_VAULT_ADDR, with EFFECT_SIGNER_VAULT_TOKEN and EFFECT_SIGNER_VAULT_KEY",
  variable: "EFFECT_SIGNER_VAULT_ADDR"
}
