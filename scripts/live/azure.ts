/**
 * Azure Key Vault, and an emulator of it that others wrote.
 */
import type { Software } from "./Software.ts"

const file = "azure.live.test.ts"

/** https://github.com/nagyesta/lowkey-vault. Its certificate is its own: only the tests trust it. */
export const lowkeyVault: Software = {
  name: "lowkey-vault",
  suite: "kit/azure/lowkey-vault",
  file,
  how: "install Java 17 or newer, and name the jar of https://github.com/nagyesta/lowkey-vault/releases in EFFECT_SIGNER_LOWKEY_VAULT",
  version: (folder) => [
    "sh",
    "-c",
    'echo "lowkey-vault $(unzip -p "$1" META-INF/MANIFEST.MF | grep -i version | tr -d "\\r" | tr "\\n" " ")"',
    "sh",
    `${folder}lowkey-vault.jar`
  ],
  install: {
    pin: "latest",
    commands: (folder) => [
      ["sh", "-c", "command -v java > /dev/null || { echo there is no java >&2; exit 1; }"],
      [
        "sh",
        "-euc",
        `if [ -n "$1" ]; then cp "$1" "$2"; else
  base=https://repo1.maven.org/maven2/com/github/nagyesta/lowkey-vault/lowkey-vault-app
  latest=$(curl -fsSL "$base/maven-metadata.xml" | sed -n 's:.*<release>\\(.*\\)</release>.*:\\1:p')
  curl -fsSL -o "$2" "$base/$latest/lowkey-vault-app-$latest.jar"
fi`,
        "sh",
        process.env["EFFECT_SIGNER_LOWKEY_VAULT"] ?? "",
        `${folder}lowkey-vault.jar`
      ]
    ]
  },
  env: { NODE_TLS_REJECT_UNAUTHORIZED: "0" },
  start: (folder, port) => ({
    command: "java",
    args: ["-jar", `${folder}lowkey-vault.jar`, `--server.port=${port}`, "--server.address=127.0.0.1"],
    env: { HOME: folder }
  })
}

/** A key of a real account. */
export const azure: Software = {
  name: "azure-account",
  suite: "kit/azure/live",
  file,
  how: "name a key in EFFECT_SIGNER_AZURE_KEY; credentials as @azure/identity finds them",
  variable: "EFFECT_SIGNER_AZURE_KEY"
}
