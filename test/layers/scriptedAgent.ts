/**
 * An ssh-agent on a real socket that answers as it is told, also wrongly.
 */
import { Effect } from "effect"
import { createServer, type Socket } from "node:net"
import type { PrivateKey } from "../../src/index.ts"
import { LocalSigner, PublicKey } from "../../src/index.ts"
import * as SshAgentFrame from "../../src/schemas/SshAgentFrame.ts"
import * as SshSignature from "../../src/schemas/SshSignature.ts"
import * as SshWire from "../../src/schemas/SshWire.ts"
import { privateFolder } from "../conformance/sshAgent.ts"

export interface Asked {
  readonly request: SshAgentFrame.Request
  readonly socket: Socket
  /** Number of the connection, from 0. */
  readonly connection: number
  /** Number of the signature request among all, from 0. */
  readonly number: number
  /** What an agent without faults would answer. */
  readonly honest: Uint8Array
}

/** What goes back: bytes, or nothing. */
export type Script = (asked: Asked) => Uint8Array | undefined | void

export const blobOf = (key: PublicKey.PublicKey) => SshWire.encodePublicKey(key)!

/** Listens until the scope is closed. `script` is asked for signatures, `list` for the list of keys. */
export const scriptedAgent = Effect.fnUntraced(function* (
  key: PrivateKey.PrivateKey,
  script: Script,
  list: Script = ({ honest }) => honest
) {
  const socketPath = `${yield* privateFolder}/agent`
  const signers = new Map(
    yield* Effect.forEach(SshSignature.algorithmsOf(key.publicKey), (algorithm) =>
      Effect.map(LocalSigner.make({ privateKey: key, algorithm }), (signer) => [algorithm, signer] as const)
    )
  )
  const blob = blobOf(key.publicKey)
  const run = Effect.runPromiseWith(yield* Effect.context<never>())
  let connections = 0
  let requests = 0

  const honestly = async (request: SshAgentFrame.Request): Promise<Uint8Array> => {
    if (request._tag === "RequestIdentities") return SshAgentFrame.identitiesAnswer([{ blob, comment: "scripted" }])
    if (request._tag !== "SignRequest") return SshAgentFrame.failure
    const algorithm =
      key.type === "RSA" ? (request.flags === 2 ? "RS256" : "RS512") : SshSignature.algorithmsOf(key.publicKey)[0]!
    const { bytes } = await run(signers.get(algorithm)!.sign(request.data))
    return SshAgentFrame.signResponse(SshSignature.encode(algorithm, bytes))
  }

  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    const connection = connections++
    const frames = new SshAgentFrame.Frames()
    let before = Promise.resolve()
    sockets.add(socket)
    socket.on("error", () => {})
    socket.on("data", (chunk) => {
      frames.push(chunk)
      for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
        const request = SshAgentFrame.decodeRequest(new Uint8Array(frame))
        const number = request._tag === "SignRequest" ? requests++ : -1
        before = before.then(async () => {
          const honest = await honestly(request)
          const answer = (number >= 0 ? script : list)({ request, socket, connection, number, honest })
          if (answer instanceof Uint8Array && !socket.destroyed) socket.write(answer)
        })
      }
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(socketPath, resolve))),
    () =>
      Effect.promise(
        () =>
          new Promise<void>((resolve) => {
            server.close(() => resolve())
            for (const socket of sockets) socket.destroy()
          })
      )
  )
  return { socket: socketPath, connections: () => connections, requests: () => requests }
})
