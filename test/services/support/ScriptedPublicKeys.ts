/**
 * A Signer with versions whose current one a test changes, and whose backend a
 * test can take away.
 */
import { Effect } from "effect"
import { KeyId, KeyVersion, PrivateKey, PublicKey, SignerError } from "../../../src/index.ts"
import * as LocalSigner from "../../../src/layers/LocalSigner.ts"
import * as Signature from "../../../src/schemas/Signature.ts"
import * as Signer from "../../../src/services/Signer.ts"

const make = Effect.fnUntraced(function* (names: ReadonlyArray<string>) {
  const signers = new Map<string, Signer.Service>()
  const keys = new Map<string, PublicKey.PublicKey>()
  for (const name of names) {
    const signer = yield* LocalSigner.make({ privateKey: PrivateKey.generate("Ed25519") })
    signers.set(name, signer)
    keys.set(name, yield* signer.publicKey())
  }
  let current = names[0]!
  /** What `publicKey()` answers: a cache may be older than the backend. */
  let cached = current
  let isDown = false
  const keyId = KeyId.make("versioned")
  const signer = Signer.Signer.of({
    backend: "scripted",
    keyId,
    algorithm: "Ed25519",
    publicKey: (version) =>
      Effect.suspend(() =>
        isDown
          ? Effect.fail(new SignerError.KeyNotFound({ backend: "scripted", keyId, operation: "publicKey" }))
          : Effect.succeed(keys.get(version ?? cached)!)
      ),
    sign: (message) =>
      Effect.suspend(() =>
        Effect.map(
          signers.get(current)!.sign(message),
          ({ algorithm, bytes }) =>
            new Signature.Signature({ algorithm, bytes, keyId, keyVersion: KeyVersion.make(current) })
        )
      )
  })
  return {
    signer,
    version: (name: string) => KeyVersion.make(name),
    thumbprint: (name: string) => PublicKey.thumbprint(keys.get(name)!),
    publicKey: (name: string) => keys.get(name)!,
    /** `stale`: the cache of public keys has not noticed yet. */
    rotate: (name: string, options?: { readonly stale: boolean }) => {
      current = name
      if (options?.stale !== true) cached = name
    },
    fail: () => {
      isDown = true
    }
  }
})

export const ScriptedPublicKeys = { make }
