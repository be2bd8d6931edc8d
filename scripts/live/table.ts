/**
 * The software of others that the live tests know, in the order in which it is
 * tried. What takes longest to get is last.
 */
import { aws, localKms, ministack } from "./aws.ts"
import { azure, lowkeyVault } from "./azure.ts"
import { softhsm } from "./pkcs11.ts"
import type { Software } from "./Software.ts"
import { openbao, server, vault } from "./vault.ts"

/** OpenSSH's own agent. */
const openssh: Software = {
  name: "openssh",
  suite: "kit/ssh-agent/openssh",
  file: "ssh-agent.live.test.ts",
  how: "Debian: apt-get install openssh-client",
  version: () => [
    "sh",
    "-c",
    "command -v ssh-agent ssh-add > /dev/null || { echo there is no ssh-agent >&2; exit 1; }; ssh -V 2>&1"
  ]
}

/** The Secret Service of GNOME, on a session bus of its own. */
const gnomeKeyring: Software = {
  name: "gnome-keyring",
  suite: "kit/keyring/gnome-keyring",
  file: "keyring.live.test.ts",
  how: "Debian: apt-get install dbus gnome-keyring libsecret-tools",
  version: () => ["gnome-keyring-daemon", "--version"]
}

/** A key of a real project at Google Cloud, over both transports. */
const gcp: Software = {
  name: "gcp-account",
  suite: "kit/gcp/live",
  file: "gcp.live.test.ts",
  how: "name a key in EFFECT_SIGNER_GCP_KEY; credentials as Application Default Credentials finds them",
  variable: "EFFECT_SIGNER_GCP_KEY"
}

export const table: ReadonlyArray<Software> = [
  ministack,
  localKms,
  lowkeyVault,
  openssh,
  softhsm,
  gnomeKeyring,
  openbao,
  vault,
  aws,
  azure,
  gcp,
  server
]
