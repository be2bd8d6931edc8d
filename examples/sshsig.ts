import { Effect } from "effect"
import { LocalSigner, PublicKey, Signer } from "effect-signer"
import * as Sshsig from "effect-signer/Sshsig"

const message = new TextEncoder().encode("release 1.0.0")

const program = Effect.gen(function* () {
  // As ssh-keygen -Y sign -n file; `ssh-keygen -Y verify` accepts it
  const signature = Sshsig.toArmored(yield* Sshsig.sign(message, { namespace: "file" }))
  console.log(signature)

  // Who may sign, as ssh-keygen and git read it
  const line = PublicKey.toOpenSsh(yield* Signer.publicKey())
  const allowedSigners = yield* Sshsig.parseAllowedSigners(`release@example.com namespaces="file" ${line}`)
  const isBy = (principal: string) =>
    Sshsig.verifyPrincipal(message, signature, { allowedSigners, principal, namespace: "file" })
  console.log("by release:", yield* isBy("release@example.com"))
  console.log("by mallory:", yield* isBy("mallory@example.com"))

  const error = yield* Effect.flip(Sshsig.fromArmored("-----BEGIN PGP SIGNATURE-----"))
  console.log(error._tag)
})

await Effect.runPromise(program.pipe(Effect.provide(LocalSigner.layerGenerated("Ed25519"))))
