/**
 * Our ssh-agent client over our own ssh-agent: a layer for each algorithm that SSH
 * has. Needs nothing of OpenSSH.
 */
import { Effect, Layer } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { LocalSigner } from "../../src/index.ts"
import type { SignatureAlgorithm } from "../../src/index.ts"
import * as SshAgentServer from "../../src/layers/SshAgentServer.ts"
import * as SshAgentSigner from "../../src/layers/SshAgentSigner.ts"
import * as TestKey from "../../src/testing/TestKey.ts"

/** A folder that only we can enter, for as long as a scope is open. */
export const privateFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(`${tmpdir()}/effect-signer-agent-`)),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

/** The client of an agent that serves the test key of an algorithm. */
export const overServer = (
  algorithm: SignatureAlgorithm.SignatureAlgorithm,
  options: Partial<SshAgentSigner.LayerOptions> = {}
) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const privateKey = yield* TestKey.make(algorithm)
      const signer = yield* LocalSigner.make({ privateKey, algorithm })
      const { socket } = yield* SshAgentServer.make({ socket: `${yield* privateFolder}/agent`, keys: [{ signer }] })
      return SshAgentSigner.layer({ socket, algorithm, key: { publicKey: privateKey.publicKey }, ...options })
    })
  )

/** Bytes of a message at most: a frame of 262144 bytes without 13 bytes and the blob of the key. */
export const limits: ReadonlyArray<readonly [SignatureAlgorithm.SignatureAlgorithm, number]> = [
  ["Ed25519", 262_144 - 13 - 51],
  ["ES256", 262_144 - 13 - 104],
  ["ES384", 262_144 - 13 - 136],
  ["ES512", 262_144 - 13 - 172],
  ["RS256", 262_144 - 13 - 279],
  ["RS512", 262_144 - 13 - 279]
]

export const sshAgent = limits.map(([algorithm, maxMessageLength]) => ({
  algorithm,
  maxMessageLength,
  layer: overServer(algorithm)
}))
