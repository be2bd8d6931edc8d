/**
 * Servers of the transit engine: OpenBao and Vault, as they are found on this
 * machine. Nothing here installs them.
 */
import type { Software } from "./Software.ts"

export const rootToken = "effect-signer-live-root"

/** A server in development mode: in memory, unsealed, without TLS, on the loopback interface. */
const server = (name: string, command: string, variable: string, addressVariable: string): Software => ({
  name,
  version: command.replace(/\W+/g, "-"),
  install: () => [
    [
      "sh",
      "-c",
      `command -v "$1" || { echo "there is no executable $1: put it on the PATH, or name it in ${variable}" >&2; exit 1; }`,
      "sh",
      command
    ]
  ],
  start: (folder, port) => ({
    command,
    args: [
      "server",
      "-dev",
      "-dev-no-store-token",
      `-dev-root-token-id=${rootToken}`,
      `-dev-listen-address=127.0.0.1:${port}`
    ],
    env: { HOME: folder, [addressVariable]: `http://127.0.0.1:${port}` }
  })
})

/** https://openbao.org/docs/install/ */
export const openbao: Software = server(
  "openbao",
  process.env["EFFECT_SIGNER_BAO"] ?? "bao",
  "EFFECT_SIGNER_BAO",
  "BAO_ADDR"
)

/** https://developer.hashicorp.com/vault/install */
export const vault: Software = server(
  "vault",
  process.env["EFFECT_SIGNER_VAULT"] ?? "vault",
  "EFFECT_SIGNER_VAULT",
  "VAULT_ADDR"
)
