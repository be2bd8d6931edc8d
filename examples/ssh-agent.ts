import { Effect, Layer } from "effect"
import { LocalSigner, PrivateKey, Signer, Verifier } from "effect-signer"
import * as SshAgentServer from "effect-signer/SshAgentServer"
import * as SshAgentSigner from "effect-signer/SshAgentSigner"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"

const folder = await mkdtemp(`${tmpdir()}/agent-`) // mode 0700
const socket = `${folder}/agent.sock`

// An agent: any Signer, for ssh, ssh-keygen -Y sign and git. Here it stands for that of your system.
const AgentLive = Layer.effect(
  SshAgentServer.SshAgentServer,
  Effect.gen(function* () {
    const signer = yield* LocalSigner.make({ privateKey: PrivateKey.generate("Ed25519") })
    return yield* SshAgentServer.make({
      socket,
      keys: [{ signer, comment: "release" }],
      rules: SshAgentServer.noUserAuthentication
    })
  })
)

const program = Effect.gen(function* () {
  const agent = yield* SshAgentServer.SshAgentServer
  const [key] = yield* SshAgentSigner.list({ socket })
  console.log(`${key?.comment}: ${key?.algorithms.join()}`)

  // A Signer with a key in an agent. Without `socket` it is the one of SSH_AUTH_SOCK.
  const SignerLive = SshAgentSigner.layer({ socket, key: { fingerprint: agent.keys[0]!.fingerprint } })
  const message = new TextEncoder().encode("release 1.0.0")
  const { publicKey, signature } = yield* Effect.all({
    publicKey: Signer.publicKey(),
    signature: Signer.sign(message)
  }).pipe(Effect.provide(SignerLive))
  console.log("verifies:", yield* Verifier.verify(publicKey, message, signature))
})

await Effect.runPromise(program.pipe(Effect.provide(AgentLive)))
await rm(folder, { recursive: true })
