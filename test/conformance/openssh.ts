/**
 * Our ssh-agent client over OpenSSH's own agent: a layer for each algorithm, each
 * with an agent and a key of its own. Needs `ssh-agent`, `ssh-add` and `ssh-keygen`.
 */
import { Effect, Layer } from "effect"
import { readFile } from "node:fs/promises"
import * as openssh from "../../scripts/live/openssh.ts"
import { PublicKey } from "../../src/index.ts"
import type { SignatureAlgorithm } from "../../src/index.ts"
import * as SshAgentSigner from "../../src/layers/SshAgentSigner.ts"
import { limits } from "./sshAgent.ts"

type Algorithm = SignatureAlgorithm.SignatureAlgorithm

/** What `ssh-keygen -t` is told. */
export const types: { readonly [A in Algorithm]?: ReadonlyArray<string> } = {
  Ed25519: ["ed25519"],
  ES256: ["ecdsa", "-b", "256"],
  ES384: ["ecdsa", "-b", "384"],
  ES512: ["ecdsa", "-b", "521"],
  RS256: ["rsa", "-b", "2048"],
  RS512: ["rsa", "-b", "2048"]
}

/** A key of OpenSSH in a folder. */
export const key = Effect.fnUntraced(function* (folder: string, algorithm: Algorithm, name = "key") {
  const path = `${folder}/${name}`
  yield* openssh.keygen(path, types[algorithm]!, name)
  const line = yield* Effect.promise(() => readFile(`${path}.pub`, "utf8"))
  return { path, line: line.trim(), publicKey: yield* PublicKey.fromOpenSsh(line) }
})

const over = (algorithm: Algorithm) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const folder = yield* openssh.folder
      const socket = `${folder}/agent`
      const { path, publicKey } = yield* key(folder, algorithm)
      yield* openssh.agent(socket)
      yield* openssh.add(socket, path)
      return SshAgentSigner.layer({ socket, algorithm, key: { publicKey } })
    })
  )

export const opensshAgent = limits.map(([algorithm, maxMessageLength]) => ({
  algorithm,
  maxMessageLength,
  layer: over(algorithm)
}))
