import { Effect, Layer } from "effect"
import { KeyId, PublicKey, Signer, SignerError } from "effect-signer"

/** A key holder of your own: two calls, and errors in the toolkit's words. */
interface Vendor {
  readonly sign: (key: string, message: Uint8Array) => Promise<Uint8Array>
  readonly publicKey: (key: string) => Promise<{ readonly spki: Uint8Array }>
}

const make = (vendor: Vendor, key: string) => {
  const keyId = KeyId.make(key)
  const unavailable = (operation: "sign" | "publicKey") => () =>
    new SignerError.Retryable({
      backend: "acme",
      keyId,
      operation,
      reason: new SignerError.BackendUnavailable({})
    })
  return Signer.make(
    {
      name: "acme",
      keyId,
      algorithm: "Ed25519",
      input: "message",
      publicKey: () =>
        Effect.tryPromise({ try: () => vendor.publicKey(key), catch: unavailable("publicKey") }).pipe(
          Effect.flatMap(({ spki }) => PublicKey.fromSpki(spki))
        ),
      sign: (message) =>
        Effect.tryPromise({ try: () => vendor.sign(key, message), catch: unavailable("sign") }).pipe(
          Effect.map((bytes) => ({ bytes }))
        )
    },
    { lazy: true }
  )
}

export const layer = (vendor: Vendor, key: string) =>
  Signer.layerRemote({ backend: "acme", keyId: key }, make(vendor, key))

// a vendor that answers, to show it running
const { privateKey, publicKey } = (await crypto.subtle.generateKey({ name: "Ed25519" }, true, [
  "sign",
  "verify"
])) as CryptoKeyPair
const vendor: Vendor = {
  sign: async (_, message) => new Uint8Array(await crypto.subtle.sign("Ed25519", privateKey, new Uint8Array(message))),
  publicKey: async () => ({ spki: new Uint8Array(await crypto.subtle.exportKey("spki", publicKey)) })
}

const signature = await Effect.runPromise(
  Signer.sign(new TextEncoder().encode("hello")).pipe(Effect.provide(Layer.fresh(layer(vendor, "release"))))
)
console.log(signature.keyId, signature.algorithm, `${signature.bytes.length} bytes`) // verified before it got here
