import { DSSEBundleBuilder } from "@sigstore/sign"
import { toSignedEntity, Verifier } from "@sigstore/verify"
import { Effect } from "effect"
import { LocalSigner, PublicKey, Signer } from "effect-signer"
import * as SigstoreSigner from "effect-signer/SigstoreSigner"
import { createPublicKey } from "node:crypto"

const program = Effect.gen(function* () {
  const signer = yield* SigstoreSigner.make()
  const builder = new DSSEBundleBuilder({ signer, witnesses: [] })
  const data = Buffer.from(JSON.stringify({ _type: "https://in-toto.io/Statement/v1" }))
  const bundle = yield* Effect.promise(() => builder.create({ data, type: "application/vnd.in-toto+json" }))

  // a verifier that trusts our key, found by its hint, and asks for no log
  const key = yield* Signer.publicKey()
  const publicKey = (hint: string) => {
    if (hint !== SigstoreSigner.hint(key)) throw new Error("a bundle by another key")
    return { publicKey: createPublicKey(PublicKey.toPem(key)), validFor: () => true }
  }
  const nobody = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] }
  const verifier = new Verifier({ ...nobody, publicKey }, { tlogThreshold: 0, timestampThreshold: 0 })
  verifier.verify(toSignedEntity(bundle)) // throws where it does not verify
  console.log("sigstore verifies the bundle")
})

await Effect.runPromise(program.pipe(Effect.provide(LocalSigner.layerGenerated("ES256"))))
